"""VOCA: a window of speech features to vertex offsets (Cudeiro et al., CVPR 2019); a rival in ECM.

symbol  here        shape       meaning
        speech      (S, 29)     character scores of DeepSpeech 0.1 at 50 Hz, or other features (S, C)
        windows     (B, W, C)   W = 16 frames around each motion frame t: t - 8 ... t + 7
c       condition   (B, 8)      one-hot training subject, or a mixture; the released demo counts subjects from 1
        motion      (B, D)      offset from the template, D = 3 x 5023, metres

Source: the released code (TensorFlow 1; no trained weight is read here). Every frame is computed by itself from its own
window; the condition enters twice, with the features and before the dense layers.

`network_input`: what the released program feeds to DeepSpeech: mel-frequency cepstra (HTK scale, with lifter and
energy), context of 9 frames on both sides, standardised over the clip. DeepSpeech itself is not here.
`Config(features=C)` on features other than DeepSpeech's is the variant **VOCA-CTC**: window, network and losses as
published, another listener; its numbers are never those of VOCA.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import parts

SAMPLE_RATE = 16000  # Hz
SPEECH_RATE = 50  # frames per second of DeepSpeech


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are the released model."""

    motion_width: int = 15069  # 3 x 5023 vertices
    features: int = 29  # characters of DeepSpeech
    window: int = 16  # frames; of another rate than 60 Hz it is another model
    subjects: int = 8
    expression: int = 50  # columns of the basis that starts the last layer
    channels: tuple[int, ...] = (32, 32, 64, 64)
    hidden: int = 128
    fps: float = 60.0
    speech_rate: float = SPEECH_RATE


class Voca(nn.Module):
    """`basis` (D, expression) starts the last layer: expression components of the face model, as published.

    Without it the last layer starts at random like the other dense layers (ours).
    """

    def __init__(self, config: Config | None = None, basis: Tensor | None = None):
        super().__init__()
        c = self.config = config or Config()
        inputs = (c.features + c.subjects, *c.channels[:-1])
        self.norm = nn.BatchNorm2d(1, eps=1e-5, momentum=0.1)  # one scale and one offset for the whole window
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2) for a, b in zip(inputs, c.channels, strict=True))
        self.hidden = nn.Linear(c.channels[-1] * self.steps() + c.subjects, c.hidden)
        self.expression = nn.Linear(c.hidden, c.expression)
        self.offsets = nn.Linear(c.expression, c.motion_width)
        self.start(basis)

    def steps(self) -> int:
        """Frames left after the convolutions, each of which halves their number, rounded up: 16, 8, 4, 2, 1."""
        return -(-self.config.window // 2 ** len(self.config.channels))

    def start(self, basis: Tensor | None) -> None:
        """Truncated normal weights, 0.02 in convolutions and 0.1 in dense layers; biases zero; offsets = basis."""
        for layer in (*self.convolutions, self.hidden, self.expression, self.offsets):
            scale = 0.02 if isinstance(layer, nn.Conv1d) else 0.1
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            nn.init.zeros_(layer.bias)
        if basis is None:
            return
        expected = tuple(self.offsets.weight.shape)
        if tuple(basis.shape) != expected:
            raise InputError(f"expression basis has shape {tuple(basis.shape)}; expected {expected}")
        self.offsets.weight.data.copy_(basis)

    def forward(self, windows: Tensor, condition: Tensor) -> Tensor:
        """Offsets (B, D) from windows (B, W, C) and conditions (B, subjects)."""
        c = self.config
        parts.check_sequence(windows, c.features, "windows")
        if windows.shape[1] != c.window:
            raise InputError(f"windows have {windows.shape[1]} frames; expected {c.window}")
        parts.check_row(condition, len(windows), c.subjects, "condition")
        x = self.norm(windows[:, None])[:, 0].mT
        x = torch.cat([x, condition[..., None].expand(-1, -1, c.window)], 1)  # (B, C + subjects, W)
        for convolution in self.convolutions:
            x = F.relu(convolution(pad_to_half(x)))
        x = torch.tanh(self.hidden(torch.cat([x.flatten(1), condition], -1)))
        return self.offsets(self.expression(x))

    def decode(self, hidden: Tensor, condition: Tensor, frames: int) -> Tensor:
        """Offsets (B, T, D) from speech features (B, S, C) at `speech_rate` and conditions (B, subjects)."""
        parts.check_sequence(hidden, self.config.features, "features")
        if frames < 1:
            raise InputError(f"{frames} motion frames asked for; at least 1 is needed")
        windows = cut_windows(at_rate(hidden, self.config.speech_rate, self.config.fps, frames), self.config.window)
        clips = len(hidden)
        parts.check_row(condition, clips, self.config.subjects, "condition")
        motion = self(windows.flatten(0, 1), condition.repeat_interleave(frames, 0))
        return motion.unflatten(0, (clips, frames))


def pad_to_half(x: Tensor) -> Tensor:
    """Zeros around (B, C, W): kernel 3 with stride 2 then returns W / 2 frames, rounded up; an odd zero is the last."""
    missing = 1 + x.shape[-1] % 2
    return F.pad(x, (missing // 2, missing - missing // 2))


def reconstruction_loss(pred: Tensor, truth: Tensor, coordinates: int = 3) -> Tensor:
    """Squared distance of each vertex, averaged over vertices and frames; `coordinates` 1 for weights of a rig."""
    return coordinates * F.mse_loss(pred, truth)


def velocity_loss(pred: Tensor, truth: Tensor, coordinates: int = 3) -> Tensor:
    """The same of the differences of consecutive frames (B, T, D), T at least 2; published weight: 10."""
    return reconstruction_loss(pred.diff(dim=1), truth.diff(dim=1), coordinates)


VELOCITY_WEIGHT = 10.0


def pairs(frames: int) -> np.ndarray:
    """Frame pairs (T, 2) of which training draws its samples: (t - 1, t); the first repeats frame 0."""
    after = np.arange(frames)
    return np.stack([np.maximum(after - 1, 0), after], 1)


# Speech features ------------------------------------------------------------------------------------------------------


def at_rate(features: Tensor, rate_from: float, rate_to: float, frames: int) -> Tensor:
    """Features (B, S, C) interpolated linearly at times i / rate_to, i < frames; the last one holds beyond the end."""
    last = features.shape[1] - 1
    position = (torch.arange(frames, dtype=torch.float64) * rate_from / rate_to).clamp(max=last).to(features.device)
    before = position.long()
    after, share = (before + 1).clamp(max=last), (position - before).to(features.dtype)[:, None]
    return features[:, before] * (1 - share) + features[:, after] * share


def cut_windows(features: Tensor, window: int) -> Tensor:
    """Windows (B, T, W, C) of (B, T, C): frames t - W/2 ... t + W/2 - 1, zeros beyond both ends."""
    padded = F.pad(features, (0, 0, window // 2, window // 2))
    return padded.unfold(1, window, 1)[:, : features.shape[1]].mT


def frame_count(samples: int, fps: float = 60.0) -> int:
    """Motion frames of audio at 16 kHz: seconds * fps, rounded."""
    return round(samples / SAMPLE_RATE * fps)


def network_input(audio: np.ndarray, coefficients: int = 26, context: int = 9) -> np.ndarray:
    """Input of DeepSpeech (S, 494) at 50 Hz of 16-bit audio (N,) at 16 kHz: 19 frames of 26 cepstra each.

    Standardised by mean and standard deviation of the whole matrix. InputError if the audio is not int16.
    """
    cepstra = mel_cepstra(audio, coefficients)[::2]
    padded = np.pad(cepstra, ((context, context), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * context + 1, axis=0)
    stacked = windows.transpose(0, 2, 1).reshape(len(cepstra), -1)
    return (stacked - stacked.mean()) / stacked.std()


FRAME, STEP, FFT, BANDS, LIFTER, EMPHASIS = 400, 160, 512, 26, 22, 0.97  # 25 ms, 10 ms


def mel_cepstra(audio: np.ndarray, coefficients: int = 26) -> np.ndarray:
    """Mel-frequency cepstra (S, coefficients) at 100 Hz of 16-bit audio (N,) at 16 kHz, float64.

    The classic front end (HTK): pre-emphasis, frames of 25 ms without a taper, 26 triangular bands, logarithm,
    orthonormal DCT, sinusoidal lifter; the logarithm of the frame's energy in place of coefficient 0.
    """
    from scipy.fft import dct

    audio = np.asarray(audio)
    if audio.ndim != 1 or audio.dtype != np.int16 or audio.size == 0:
        raise InputError(f"audio is {audio.dtype} of shape {audio.shape}; expected int16 samples (N,) at 16 kHz")
    power = np.abs(np.fft.rfft(frames_of(audio.astype(np.float64)), FFT)) ** 2 / FFT
    smallest = np.finfo(float).eps  # stands for silence, whose logarithm does not exist
    bands = power @ htk_bands().T
    cepstra = dct(np.log(np.where(bands == 0, smallest, bands)), type=2, axis=1, norm="ortho")[:, :coefficients]
    cepstra = cepstra * (1 + LIFTER / 2 * np.sin(np.pi * np.arange(coefficients) / LIFTER))
    energy = power.sum(1)
    cepstra[:, 0] = np.log(np.where(energy == 0, smallest, energy))
    return cepstra


def frames_of(audio: np.ndarray) -> np.ndarray:
    """Pre-emphasised frames (S, 400), one every 160 samples, zeros after the end."""
    emphasised = np.append(audio[0], audio[1:] - EMPHASIS * audio[:-1])
    steps = -(-max(len(audio) - FRAME, 0) // STEP)
    padded = np.pad(emphasised, (0, max(steps * STEP + FRAME - len(audio), 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::STEP][: steps + 1]


def htk_bands() -> np.ndarray:
    """Triangular bands (26, 257) equally wide on the scale 2595 log10(1 + f / 700), edges at whole bins."""
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), BANDS + 2)
    edges = np.floor((FFT + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE)
    bins = np.arange(FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    # the middle bin belongs to the falling side
    return np.where((low <= bins) & (bins < middle), rising, np.where((middle <= bins) & (bins < high), falling, 0.0))
