"""Recurrent regression from the sound of speech to expression weights, emotion left implicit; a rival in ECM.

Sources, of which only the outline is known here (abstracts, and what ECM and EmoFace say of them):
- `LSTM`: Pham, Cheung and Pavlovic, CVPR Workshops 2017: long short-term memory on mel spectrogram, mel cepstra and
  chromagram; the outputs are head rotation and weights of a blendshape model.
- `CNN_RNN`: Pham, Wang and Pavlovic, arXiv 1710.00920: convolution in frequency and in time, then a recurrent network.
  **This is the one that ECM compares with under the name "Pham17"** (its reference 21).

symbol  here       shape       meaning
        hidden     (B, S, C)   acoustic features, k = `per_frame` for each motion frame, or any other speech features
        condition  (B, S')     empty in both papers
        motion     (B, T, K)   expression weights, or other coefficients of the motion

Ours, because nothing above settles it: every size; one direction of time (both papers run in real time), with no delay
of the output; three convolutions of stride 2 in frequency and one over 3 acoustic frames; a linear output without
limits, started at zero; mean squared error (`lib.losses.vertex_mse`); head rotation left out; an optional one-hot
subject beside the features, off unless `subjects` is set. Emotion is never an input: all expression must come from
the sound. The claims tested on it ask for no more than recurrent regression.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import audio as sound
from lib.errors import InputError
from lib.models import parts


@dataclass(frozen=True)
class Config:
    """Sizes (ours). `channels` empty: the recurrent network hears the features themselves."""

    motion_width: int = 46
    audio_width: int = 115  # of `acoustic_features`
    per_frame: int = 2
    channels: tuple[int, ...] = ()  # of the convolutions in frequency; the last one is that in time
    width: int = 256
    layers: int = 3
    dropout: float = 0.1
    subjects: int = 0


LSTM = Config()
CNN_RNN = Config(audio_width=64, channels=(16, 32, 32, 32))  # hears the mel bands alone


class Spectral(nn.Module):
    """Features as a picture: convolutions along frequency, each halving it, then one along time."""

    def __init__(self, c: Config):
        super().__init__()
        *frequency, _ = sizes = c.channels
        inputs = (1, *sizes[:-1])
        self.frequency = nn.ModuleList(
            nn.Conv2d(a, b, (3, 1), stride=(2, 1), padding=(1, 0)) for a, b in zip(inputs, frequency, strict=False)
        )
        self.time = nn.Conv2d(inputs[-1], sizes[-1], (1, 3))
        self.width = sizes[-1] * -(-c.audio_width // 2 ** len(frequency))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, S, C) -> (B, S, width); a feature sees itself and two before it."""
        x = hidden.mT[:, None]
        for convolution in self.frequency:
            x = F.relu(convolution(x))
        x = F.relu(self.time(F.pad(x, (2, 0))))
        return x.flatten(1, 2).mT


class Pham17(nn.Module):
    """Acoustic features to motion; `LSTM` and `CNN_RNN` are the two published outlines."""

    def __init__(self, config: Config = LSTM):
        super().__init__()
        c = self.config = config
        self.spectral = Spectral(c) if c.channels else None
        features = self.spectral.width if self.spectral else c.audio_width
        self.project = nn.Linear(c.per_frame * features + c.subjects, c.width)
        self.lstm = nn.LSTM(c.width, c.width, c.layers, batch_first=True, dropout=c.dropout if c.layers > 1 else 0.0)
        self.out = nn.Linear(c.width, c.motion_width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def decode(self, hidden: Tensor, condition: Tensor | None, frames: int) -> Tensor:
        """Motion (B, T, K) from features (B, >= kT, C) and condition (B, subjects), or None where there is none.

        Raises InputError naming features or condition that do not fit or are not finite.
        """
        c = self.config
        parts.check_sequence(hidden, c.audio_width, "features")
        parts.check_audio_frames(frames, hidden.shape[1], c.per_frame)
        condition = hidden.new_zeros(len(hidden), 0) if condition is None else condition
        parts.check_row(condition, len(hidden), c.subjects, "condition")
        heard = hidden[:, : frames * c.per_frame]
        heard = self.spectral(heard) if self.spectral else heard
        heard = heard.unflatten(1, (frames, c.per_frame)).flatten(2)                        # (B, T, k features)
        x = torch.cat([heard, condition[:, None].expand(-1, frames, -1)], -1)
        x, _ = self.lstm(torch.tanh(self.project(x)))
        return self.out(x)


def acoustic_features(audio: np.ndarray, fps: float = 50.0, bands: int = 64) -> np.ndarray:
    """Features (S, 115) of 16 kHz audio (N,) at `fps`: what the workshop paper names, in sizes of ours.

    64 log mel bands, 13 mel cepstra with their first and second differences, 12 pitch classes; every column with zero
    mean and unit variance over the clip, or zero where it does not change. InputError for audio under two frames.
    """
    cepstra = sound.mfcc(audio, fps=fps)
    if len(cepstra) < 2:
        raise InputError(f"audio has {len(audio)} samples; at least {round(2 * sound.SAMPLE_RATE / fps)} are needed")
    slopes = np.gradient(cepstra, axis=0)
    columns = [sound.mel(audio, fps=fps, n_mels=bands), cepstra, slopes, np.gradient(slopes, axis=0)]
    columns = np.concatenate([*columns, pitch_classes(audio, fps)], 1)
    spread = columns.std(0)
    return ((columns - columns.mean(0)) / np.where(spread > 1e-6, spread, np.inf)).astype(np.float32)


def pitch_classes(audio: np.ndarray, fps: float, window_s: float = 0.064) -> np.ndarray:
    """Share of the twelve semitones, C first, in the power of each frame above 60 Hz, (T, 12); A is 440 Hz."""
    frames = sound.windows(audio, fps, window_s)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]))) ** 2
    hertz = np.fft.rfftfreq(frames.shape[1], 1 / sound.SAMPLE_RATE)
    heard = hertz > 60
    semitone = np.round(12 * np.log2(hertz[heard] / 440)).astype(int) + 9
    classes = power[:, heard] @ np.eye(12)[semitone % 12]
    return classes / np.maximum(classes.sum(1, keepdims=True), 1e-10)
