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

from lib.errors import InputError
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


class FaceFormer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        d, D = config.width, config.motion_width
        self.audio_encoder = None if config.wav2vec2 is None else parts.speech_model(config.wav2vec2)
        self.audio_feature_map = nn.Linear(config.audio_width, d)
        self.vertice_map = nn.Linear(D, d)
        self.transformer_decoder = parts.decoder_stack(
            d, config.heads, config.ffn or 2 * d, config.layers, config.dropout
        )
        self.vertice_map_r = nn.Linear(d, D)
        self.obj_vector = nn.Linear(config.subjects, d, bias=False)
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    def encode_audio(self, audio: Tensor, frames: int | None = None) -> Tensor:
        """Speech features (B, S, C) of normalised 16 kHz audio (B, N); fewer than asked for if the audio ends early."""
        if self.audio_encoder is None:
            raise InputError("this FaceFormer has no speech encoder (config.wav2vec2 is None); pass cached features")
        config = self.config
        return parts.encode_speech(
            self.audio_encoder, audio, frames=frames, per_frame=config.audio_per_frame, fps=config.fps
        )

    def decode(self, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
        """Motion offsets (B, T, D) from features (B, >= kT, C), each frame fed by the one before; differentiable."""
        config = self.config
        self.check(hidden, style)
        memory, style = self.audio_feature_map(hidden), self.obj_vector(style)
        decoder = parts.CachedDecoder(
            self.transformer_decoder, memory, frames, period=config.period, per_frame=config.audio_per_frame
        )
        positions = self.positions(frames, hidden)
        weight, bias = self.feedback()
        token, outputs = style, []
        for position in positions:
            outputs.append(decoder.step(self.drop(token + position)))
            token = F.linear(outputs[-1], weight, bias) + style
        return self.vertice_map_r(torch.stack(outputs, 1))

    def teacher_forced(self, hidden: Tensor, style: Tensor, motion: Tensor) -> Tensor:
        """Motion offsets (B, T, D), each frame fed by the true offsets `motion` (B, T, D) before it."""
        self.check(hidden, style)
        parts.check_sequence(motion, self.config.motion_width, "motion")
        config, frames = self.config, motion.shape[1]
        past = torch.cat([torch.zeros_like(motion[:, :1]), motion[:, :-1]], 1)
        tokens = self.vertice_map(past) + self.obj_vector(style)[:, None] + self.positions(frames, hidden)
        memory = self.audio_feature_map(hidden)
        outputs = parts.decode(
            self.transformer_decoder,
            self.drop(tokens),
            memory,
            period=config.period,
            per_frame=config.audio_per_frame,
        )
        return self.vertice_map_r(outputs)

    def predict(self, audio: Tensor, template: Tensor, style: Tensor) -> Tensor:
        """Vertices (B, T, D) for normalised 16 kHz audio (B, N), template (B, D) and style (B, subjects)."""
        hidden = self.encode_audio(audio)
        parts.check_row(template, len(hidden), self.config.motion_width, "template")
        frames = hidden.shape[1] // self.config.audio_per_frame
        return template[:, None] + self.decode(hidden, style, frames)

    def check(self, hidden: Tensor, style: Tensor) -> None:
        """Raise InputError that names features or style of the wrong shape, or with NaN."""
        parts.check_sequence(hidden, self.config.audio_width, "features")
        parts.check_row(style, len(hidden), self.config.subjects, "style")

    def feedback(self) -> tuple[Tensor, Tensor]:
        """Weight (d, d) and bias (d,) of the motion encoder after the motion decoder: E(R(x)) = W x + b."""
        encoder, decoder = self.vertice_map, self.vertice_map_r
        return encoder.weight @ decoder.weight, encoder.weight @ decoder.bias + encoder.bias

    def positions(self, frames: int, like: Tensor) -> Tensor:
        return parts.periodic_encoding(frames, self.config.period, self.config.width).to(like)

    def drop(self, tokens: Tensor) -> Tensor:
        return F.dropout(tokens, self.config.dropout, self.training)

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        """Positional tables of the released files, by key; built when called."""
        return {"PPE.pe": lambda: parts.table_600(self.config.period, self.config.width)}
