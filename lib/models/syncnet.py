"""SyncNet (Chung and Zisserman, ACCV Workshops 2016): do lips and voice belong together, and by how many frames are
they apart?

Two networks map five video frames and the 0.2 s of sound beside them to vectors of 1024 numbers that are close where
they belong together. The score compares every window of the lips with the sound 15 windows before to 15 after:

    d(i, s) = || lip_i - audio_(i+s) + 1e-6 ||        audio beyond both ends is zero
    D(s)    = mean over i of d(i, s)
    LSE-D   = min D,   LSE-C = median D - min D,   offset = 15 - argmin, positive where the sound comes early

`offset_search` is this score for any two sequences of vectors; on weights trained elsewhere it is another measure and
its numbers are not comparable with published ones. Zero padding counts: of 24 windows (a word of LRW) up to 15
comparisons at the largest shift are with nothing.

Source: layers, rates and score of the released program joonson/syncnet_python (MIT), fact by fact.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data import checkpoint
from lib.errors import InputError
from lib.models import resnet, voca

FPS = 25
FRAMES = 5                          # video frames of one window
STEPS, CEPSTRA = 20, 13             # of sound: steps of 10 ms, mel-frequency cepstra
STEPS_PER_FRAME = 4
SAMPLES_PER_FRAME = 640
SIZE = 224                          # pixels
SHIFTS = 15
EPSILON = 1e-6


def _block(convolution: nn.Module) -> list[nn.Module]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return [convolution, norm(convolution.out_channels), nn.ReLU()]


def _audio_layers() -> nn.Sequential:
    """Cepstra (B, 1, 13, 20) to (B, 512, 1, 1)."""
    return nn.Sequential(
        *_block(nn.Conv2d(1, 64, 3, padding=1)), nn.MaxPool2d(1, 1),
        *_block(nn.Conv2d(64, 192, 3, padding=1)), nn.MaxPool2d(3, (1, 2)),
        *_block(nn.Conv2d(192, 384, 3, padding=1)), *_block(nn.Conv2d(384, 256, 3, padding=1)),
        *_block(nn.Conv2d(256, 256, 3, padding=1)), nn.MaxPool2d(3, 2), *_block(nn.Conv2d(256, 512, (5, 4))),
    )  # fmt: skip


def _lip_layers() -> nn.Sequential:
    """Frames (B, 3, 5, 224, 224) to (B, 512, 1, 1, 1)."""
    thrice = [layer for _ in range(3) for layer in _block(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1)))]
    return nn.Sequential(
        *_block(nn.Conv3d(3, 96, (5, 7, 7), (1, 2, 2))), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_block(nn.Conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1))),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)), *thrice, nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_block(nn.Conv3d(256, 512, (1, 6, 6))),
    )  # fmt: skip


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))


class SyncNet(nn.Module):
    """The released network under its own key names; 13,640,256 numbers and 14 counters."""

    def __init__(self):
        super().__init__()
        self.netcnnaud, self.netfcaud = _audio_layers(), _head()
        self.netcnnlip, self.netfclip = _lip_layers(), _head()

    def audio(self, cepstra: Tensor) -> Tensor:
        """Vectors (B, 1024) of cepstra (B, 1, 13, 20)."""
        return self.netfcaud(self.netcnnaud(cepstra).flatten(1))

    def lip(self, frames: Tensor) -> Tensor:
        """Vectors (B, 1024) of BGR frames 0..255, not scaled, (B, 3, 5, 224, 224)."""
        return self.netfclip(self.netcnnlip(frames).flatten(1))


def load(path: Path | str) -> SyncNet:
    """The network with released weights (`syncnet_v2.model`); InputError where the file holds another network."""
    model = SyncNet()
    resnet.load_weights(model, checkpoint.load(path), source=str(path))
    return model


def windows(frames: int, samples: int) -> int:
    """Number of windows that have both five frames and their sound; InputError where there is none."""
    count = min(frames, samples // SAMPLES_PER_FRAME) - FRAMES
    if count < 1:
        raise InputError(f"SyncNet: {frames} frames and {samples} samples; expected more than {FRAMES} frames at "
                         f"{FPS} fps and their sound at 16 kHz")
    return count


@torch.inference_mode()
def features(model: SyncNet, frames: Tensor, audio: np.ndarray, batch: int = 20) -> tuple[Tensor, Tensor]:
    """Lip and audio vectors (W, 1024) each, of BGR frames (T, 3, 224, 224) at 25 fps and int16 samples at 16 kHz.

    InputError for frames of another shape, audio that is not int16, or clips too short for one window.
    """
    if frames.ndim != 4 or tuple(frames.shape[1:]) != (3, SIZE, SIZE):
        raise InputError(f"SyncNet: frames {tuple(frames.shape)}; expected (T, 3, {SIZE}, {SIZE}), BGR 0 to 255")
    count = windows(len(frames), len(audio))
    cepstra = torch.from_numpy(voca.mel_cepstra(audio, CEPSTRA)).float()
    sound = cepstra.unfold(0, STEPS, STEPS_PER_FRAME)[:count, None]                     # (W, 1, 13, 20)
    seen = frames.unfold(0, FRAMES, 1)[:count].permute(0, 1, 4, 2, 3)                   # (W, 3, 5, 224, 224), a view
    lip = torch.cat([model.lip(part.float()) for part in seen.split(batch)])
    return lip, model.audio(sound)


@dataclass(frozen=True)
class Match:
    """Outcome of the offset search; distances (W, 2 shifts + 1), column k compares lip i with audio i + k - shifts."""

    offset: int
    confidence: float
    min_distance: float
    mean_distance: Tensor
    distances: Tensor


def offset_search(lip: Tensor, audio: Tensor, shifts: int = SHIFTS) -> Match:
    """Score of two sequences of vectors (W, D), see the module text; InputError where their shapes differ."""
    if lip.ndim != 2 or lip.shape != audio.shape or not len(lip):
        raise InputError(f"offset search: lip {tuple(lip.shape)} and audio {tuple(audio.shape)}; expected (W, D) both")
    padded = F.pad(audio, (0, 0, shifts, shifts))
    columns = [F.pairwise_distance(lip, padded[k : k + len(lip)], eps=EPSILON) for k in range(2 * shifts + 1)]
    distances = torch.stack(columns, 1)
    mean = distances.mean(0)
    least, best = mean.min(0)
    return Match(shifts - int(best), float(mean.median() - least), float(least), mean, distances)


def score(model: SyncNet, frames: Tensor, audio: np.ndarray) -> Match:
    """Offset, confidence (LSE-C) and distance (LSE-D) of one clip; arguments as of `features`."""
    return offset_search(*features(model, frames, audio))
