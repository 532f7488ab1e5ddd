"""Judges of landmarks in a picture: emotion of a clip, emotion of every frame, and whether lips and voice belong
together.

judge         sees                                              decides by
statistics    as in `lib.models.judges`, blind to depth         linear discriminants on statistics over time
course        the same                                          a small convolutional network over time
frames        one frame at a time                               linear discriminants, or a small network
proxy-Sync    20 lip points x 5 frames, 80 mel bands x 20       distance of two vectors, by SyncNet's offset search

Landmarks (T, 68, 2) are in a picture, y down, with head motion removed; all judges see displacement from the person's
own neutral landmarks in units of the outer eye distance. Proxy-Sync has weights and inputs of its own: its numbers are
never comparable with published SyncNet scores (`lib.models.syncnet`).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import audio
from lib.errors import InputError
from lib.face.landmarks import COUNT, LIPS
from lib.models import syncnet
from lib.models.judges import CourseJudge, CourseNetwork, Discriminants, StatisticsJudge, displacement

SEEN = np.tile(np.array([1, 1, 0], np.float32), COUNT)      # of a displacement (..., 204): x and y
MEL_RATE, MEL_BANDS, MEL_STEPS = 100, 80, 20                # of proxy-Sync: steps of 10 ms, 0.2 s as in SyncNet


def lifted(points: np.ndarray) -> np.ndarray:
    """Landmarks (..., 68, 2) of a picture, y down, as (..., 68, 3) with y up and no depth."""
    points = np.asarray(points)
    if points.shape[-2:] != (COUNT, 2):
        raise InputError(f"landmarks {points.shape}: expected (..., {COUNT}, 2) in a picture")
    return np.concatenate([points * [1, -1], np.zeros_like(points[..., :1])], -1)


class _Planar:
    """Mixed into a judge of lib/models/judges.py: takes landmarks (T, 68, 2) of a picture and template (68, 2)."""

    def predict_proba(self, landmarks: np.ndarray, template: np.ndarray, **options) -> np.ndarray:
        return super().predict_proba(lifted(landmarks), lifted(template), **options)


class PlanarStatistics(_Planar, StatisticsJudge):
    """Linear discriminants on statistics over time, blind to depth."""

    def log_odds(self, moved: np.ndarray) -> np.ndarray:
        return super().log_odds(moved * SEEN)


class PlanarNetwork(CourseNetwork):
    """The convolutional network, blind to depth: displacement (B, T, 204) to emotion logits (B, K)."""

    def forward(self, moved: Tensor) -> Tensor:
        return super().forward(moved * torch.from_numpy(SEEN).to(moved.device))


class PlanarCourse(_Planar, CourseJudge):
    """The convolutional network on landmarks over time, blind to depth."""


class FrameNetwork(nn.Module):
    """Displacement (..., 204) of one frame to emotion logits (..., K), blind to depth."""

    def __init__(self, classes: int, width: int = 64):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))          # displacements are a few hundredths of the eye distance
        self.layers = nn.Sequential(nn.Linear(3 * COUNT, width), nn.GELU(), nn.Dropout(0.2), nn.Linear(width, width),
                                    nn.GELU(), nn.Dropout(0.2), nn.Linear(width, classes))  # fmt: skip

    def forward(self, moved: Tensor) -> Tensor:
        return self.layers(self.scale * moved * torch.from_numpy(SEEN).to(moved.device))


class FrameRecogniser:
    """Emotion of every frame by itself, from `log_odds`: displacement (T, 204) to (T, K)."""

    def __init__(self, name: str, emotions: tuple[str, ...], log_odds):
        self.name, self.emotions, self.log_odds = name, emotions, log_odds

    @classmethod
    def linear(cls, emotions: tuple[str, ...], discriminants: Discriminants) -> "FrameRecogniser":
        """Linear discriminants of one frame."""
        return cls("linear", emotions, lambda moved: discriminants(moved * SEEN))

    @classmethod
    def network(cls, emotions: tuple[str, ...], network: FrameNetwork) -> "FrameRecogniser":
        """A small network of one frame."""
        network = network.eval().requires_grad_(False)
        return cls("network", emotions, torch.inference_mode()(lambda moved: network(torch.from_numpy(moved)).numpy()))

    def softmax(self, landmarks: np.ndarray, template: np.ndarray,
                emotions: tuple[str, ...] | None = None) -> np.ndarray:
        """Probabilities (T, K) of `emotions` (all it knows, or those that can occur) for landmarks (T, 68, 2).

        Raises InputError for an emotion it does not know, and as `lib.models.judges.displacement`.
        """
        chosen = self.emotions if emotions is None else emotions
        unknown = set(chosen) - set(self.emotions)
        if unknown or not chosen:
            raise InputError(f"emotions {sorted(unknown)}: recogniser {self.name!r} knows {', '.join(self.emotions)}")
        log_odds = self.log_odds(displacement(lifted(landmarks), lifted(template))).astype(np.float64)
        log_odds = log_odds[:, [self.emotions.index(e) for e in chosen]]
        odds = np.exp(log_odds - log_odds.max(-1, keepdims=True))
        return odds / odds.sum(-1, keepdims=True)


# Proxy-Sync -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SyncSizes:
    """Widths of proxy-Sync."""

    width: int = 64
    vector: int = 48


class SyncNetwork(nn.Module):
    """Lips (W, 5, 40) and sound (W, 20, 80) to vectors (W, vector) of length 1, close where they belong together."""

    def __init__(self, sizes: SyncSizes):
        super().__init__()
        w, lips = sizes.width, syncnet.FRAMES * 2 * len(LIPS)
        self.register_buffer("mel_mean", torch.zeros(MEL_BANDS))
        self.register_buffer("mel_spread", torch.ones(MEL_BANDS))
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.lip_layers = nn.Sequential(nn.Flatten(), nn.Linear(lips, 2 * w), nn.BatchNorm1d(2 * w), nn.ReLU(),
                                        nn.Linear(2 * w, 2 * w), nn.BatchNorm1d(2 * w), nn.ReLU(),
                                        nn.Linear(2 * w, sizes.vector))  # fmt: skip
        self.sound_layers = nn.Sequential(nn.Conv1d(MEL_BANDS, w, 3, 2, 1), nn.BatchNorm1d(w), nn.ReLU(),
                                          nn.Conv1d(w, w, 3, 2, 1), nn.BatchNorm1d(w), nn.ReLU(), nn.Flatten(),
                                          nn.Linear(MEL_STEPS // 4 * w, 2 * w), nn.BatchNorm1d(2 * w), nn.ReLU(),
                                          nn.Linear(2 * w, sizes.vector))  # fmt: skip

    def lip(self, lips: Tensor) -> Tensor:
        """Vectors of windows of lips."""
        return F.normalize(self.lip_layers(self.scale * lips), dim=-1)

    def sound(self, mel: Tensor) -> Tensor:
        """Vectors of windows of sound."""
        standard = (mel - self.mel_mean) / self.mel_spread
        return F.normalize(self.sound_layers(standard.transpose(1, 2)), dim=-1)


def lip_windows(moved: np.ndarray) -> np.ndarray:
    """Windows (W, 5, 40) of the lips in displacement (T, 204), x and y of 20 points; one begins at every frame."""
    lips = moved.reshape(len(moved), COUNT, 3)[:, LIPS, :2].reshape(len(moved), -1)
    return np.lib.stride_tricks.sliding_window_view(lips, syncnet.FRAMES, axis=0).transpose(0, 2, 1)


def sound_windows(samples: np.ndarray) -> np.ndarray:
    """Windows (W, 20, 80) of the log mel bands of a waveform (N,) at 16 kHz; one begins with every frame of video."""
    mel = audio.mel(samples, fps=MEL_RATE, n_mels=MEL_BANDS)
    views = np.lib.stride_tricks.sliding_window_view(mel, MEL_STEPS, axis=0)[:: syncnet.STEPS_PER_FRAME]
    return views.transpose(0, 2, 1)


class ProxySync:
    """A trained `SyncNetwork` with the score of SyncNet."""

    def __init__(self, network: SyncNetwork):
        self.network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def hear(self, samples: np.ndarray) -> Tensor:
        """Vectors (W, D) of a waveform (N,) at 16 kHz, one for every frame of video; InputError where it is too short.

        Kept by callers that score many faces against one sound.
        """
        syncnet.windows(len(samples) // syncnet.SAMPLES_PER_FRAME, len(samples))
        return self.network.sound(_tensor(sound_windows(samples)))

    @torch.inference_mode()
    def score(self, landmarks: np.ndarray, template: np.ndarray, heard: Tensor) -> syncnet.Match:
        """Offset, confidence and distances of landmarks (T, 68, 2) at 25 fps and their sound, as `hear` gives it.

        template (68, 2): neutral landmarks of the speaker. Raises InputError as `displacement`, and for a clip too
        short for one window.
        """
        moved = displacement(lifted(landmarks), lifted(template))
        sounding = (len(heard) + syncnet.FRAMES) * syncnet.SAMPLES_PER_FRAME
        count = syncnet.windows(len(moved), sounding)
        return syncnet.offset_search(self.network.lip(_tensor(lip_windows(moved)[:count])), heard[:count])


def _tensor(windows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(windows, np.float32))
