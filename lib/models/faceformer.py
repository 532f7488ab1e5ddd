"""FaceFormer: autoregressive speech to vertices (Fan, Lin, Saito, Wang and Komura, CVPR 2022).

symbol  here                shape         meaning
A       hidden              (B, S, C)     wav2vec 2.0 features, k = `audio_per_frame` for each motion frame
s       style               (B, subjects) one-hot training subject (any mixture is allowed)
y_t     motion              (B, T, D)     offset from the template, D = 3 x vertices
        vertice_map         D -> d        motion encoder E, with bias
        vertice_map_r       d -> D        motion decoder R, weights and bias start at zero
        obj_vector          subjects -> d style encoder, no bias

Attribute names are the key names of the released checkpoints, which therefore load (`parts.load_official`).

Two paths, as in the released program, and their small mismatch (first token: style alone when autoregressive, style
plus the encoder's bias when teacher-forced) is kept: `decode` is autoregressive, for inference and for training
without teacher forcing; `teacher_forced` sees the true past.

Speed. The loop needs y_t only through E(R(x_t)), a product of two linear maps, so `decode` folds it into one d x d map
and applies the 3V-wide layer once, to all frames, at the end. Clips over 600 frames work (released: they fail).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.models import parts


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are the published BIWI model. `wav2vec2` None: features come from a cache."""

    motion_width: int = 70110  # 3 x 23370 vertices
    width: int = 128
    period: int = 25  # frames
    fps: float = 25.0
    subjects: int = 6
    audio_per_frame: int = 2  # 2: features stay at 50 Hz; 1: resampled to fps before the speech transformer
    audio_width: int = 768
    heads: int = 4
    layers: int = 1
    ffn: int | None = None  # 2 x width
    dropout: float = 0.1
    wav2vec2: Mapping[str, Any] | None = None  # fields of transformers.Wav2Vec2Config; {} is the base size


BIWI = Config(wav2vec2={})
VOCASET = Config(motion_width=15069, width=64, period=30, fps=30.0, subjects=8, audio_per_frame=1, wav2vec2={})


class FaceFormer(parts.SpeechDecoder):
    """Speech features to motion; see the module for its two paths."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.vertice_map_r = nn.Linear(config.width, config.motion_width)
        self.obj_vector = nn.Linear(config.subjects, config.width, bias=False)
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    def decode(self, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
        """Motion offsets (B, T, D) from features (B, >= kT, C), each frame fed by the one before; differentiable."""
        self.check(hidden, style)
        decoder, style = self.cached(hidden, frames), self.style_of(style)
        weight, bias = self.feedback()
        token, outputs = style, []
        for position in self.positions(frames, hidden):
            outputs.append(decoder.step(self.drop(token + position)))
            token = F.linear(outputs[-1], weight, bias) + style
        return self.vertice_map_r(torch.stack(outputs, 1))

    def teacher_forced(self, hidden: Tensor, style: Tensor, motion: Tensor) -> Tensor:
        """Motion offsets (B, T, D), each frame fed by the true offsets `motion` (B, T, D) before it."""
        return self.vertice_map_r(self.forced(hidden, style, motion))

    def style_of(self, weights: Tensor) -> Tensor:
        """Style vector (B, d) of subject weights (B, subjects)."""
        return self.obj_vector(weights)

    def feedback(self) -> tuple[Tensor, Tensor]:
        """Weight (d, d) and bias (d,) of the motion encoder after the motion decoder: E(R(x)) = W x + b."""
        encoder, decoder = self.vertice_map, self.vertice_map_r
        return encoder.weight @ decoder.weight, encoder.weight @ decoder.bias + encoder.bias

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        """Positional tables of the released files, by key; built when called."""
        return {"PPE.pe": lambda: parts.table_600(self.config.period, self.config.width)}
