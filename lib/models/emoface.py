"""EmoFace: speech and an emotion label to MetaHuman controllers (IEEE VR 2024, paper 003).

paper          here       shape        meaning
audio          audio      (B, N)       waveform, 16 kHz, zero mean and unit variance
               hidden     (B, T, C)    wav2vec 2.0 features, interpolated to 60 Hz before the speech transformer
emotion        emotion    (B,)         angry, disgusted, fearful, happy, neutral, sad, surprised: 0 to 6
PE             positions  (T, d)       sinusoids of the frame number (Eq. 1, 2)
content        in_fn      (B, T, d)    Linear(hidden) + PE
               embed, emotion (B, 1, d)  label vector, added to every frame
Audio2Rig      encoder, out_fn (B, T, 174)  ten transformer layers, then a linear map that starts at zero

Attribute names are the key names of the released checkpoints, which therefore load (`parts.load_official`).

Profiles. `PAPER` attends over the frames of the clip. `CODE` is what the released program computes: its features lie as
(batch, time, width) while encoding and layers read (time, batch, width). With one clip every frame is then a sequence
of length 1: each frame is processed alone, all get the encoding of position 0, and the query and key weights are dead.
(With two clips the released layers attend across clips; it always runs one, so `CODE` here keeps clips apart.)

Decoders of Table 4 and of the speed claim (Sec. 3.1.3). The paper states none of their sizes; our choices:
fc              as many residual layers, each Linear-ReLU-Linear with post-norm, as many weights as a transformer layer
lstm            `lstm_layers` bidirectional layers of the width that comes closest to the weights of the transformer
autoregressive  FaceFormer's decoder: causal attention that favours the last second, cross-attention to the own frame;
                depth, width and heads of the transformer, inner width for as many weights. `past` own frames are
                visible (None: all, 0: none): its first layer looks that far back, the others at their own frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import parts

if TYPE_CHECKING:
    from jaxtyping import Float

EMOTIONS = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")  # order of the released labels
FPS = 60.0
LABEL_WIDTH, LABEL_INNER = 256, 512  # fixed in the released code at every model width
TABLE_POSITIONS = 5000  # length of the table in the released files; here it extends as far as needed


@dataclass(frozen=True)
class Config:
    """Sizes and readings; the defaults are the published model as the paper describes it."""

    outputs: int = 174
    emotions: int = 7
    audio_width: int = 768
    width: int = 512                 # d_model, Sec. 4.2 (Sec. 3.1.3 says 174; discrepancy 3d:F1)
    layers: int = 10                 # Sec. 4.2
    heads: int = 8                   # released code; the paper gives none of the next three
    ffn: int = 2048
    dropout: float = 0.1
    fps: float = FPS
    attention: str = "time"          # "frame": released code (3d:F2)
    positions: bool = True           # False: "wo positional encoding", Table 4
    decoder: str = "transformer"     # or "fc", "lstm", "autoregressive"
    lstm_layers: int = 2
    past: int | None = None          # visible own frames of the autoregressive decoder
    wav2vec2: Mapping[str, Any] | None = None  # fields of transformers.Wav2Vec2Config; None: features come from a cache


PAPER = Config(wav2vec2={})
CODE = replace(PAPER, attention="frame")


def encoder_stack(c: Config) -> nn.TransformerEncoder:
    """Ten post-norm ReLU layers under the released key names."""
    layer = nn.TransformerEncoderLayer(c.width, c.heads, c.ffn, c.dropout, batch_first=True)
    return nn.TransformerEncoder(layer, c.layers, enable_nested_tensor=False)


def layer_weights(c: Config) -> int:
    """Numbers in one transformer encoder layer: 4 d^2 + 2 d f + 9 d + f."""
    return 4 * c.width**2 + 2 * c.width * c.ffn + 9 * c.width + c.ffn


class ConnectedLayer(nn.Module):
    """One frame alone: x + W2 relu(W1 x), then layer norm; as many weights as a transformer layer."""

    def __init__(self, c: Config):
        super().__init__()
        inner = round((layer_weights(c) - 3 * c.width) / (2 * c.width + 1))
        self.widen, self.narrow = nn.Linear(c.width, inner), nn.Linear(inner, c.width)
        self.norm, self.drop = nn.LayerNorm(c.width), nn.Dropout(c.dropout)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.norm(x + self.drop(self.narrow(self.drop(self.widen(x).relu()))))


class RecurrentStack(nn.Module):
    """Bidirectional LSTM and a projection back to the model width; as many weights as the transformer layers."""

    def __init__(self, c: Config):
        super().__init__()
        if c.lstm_layers < 1:
            raise InputError(f"lstm_layers is {c.lstm_layers}; the LSTM decoder needs at least 1")
        width = matched_lstm_width(c)
        dropout = c.dropout if c.lstm_layers > 1 else 0.0
        self.lstm = nn.LSTM(c.width, width, c.lstm_layers, batch_first=True, bidirectional=True, dropout=dropout)
        self.project = nn.Linear(2 * width, c.width)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.project(self.lstm(x)[0])


def matched_lstm_width(c: Config) -> int:
    """Width h per direction at which LSTM and projection come closest to the weights of the transformer layers.

    First layer 8 h (d + h + 2), each further one 8 h (3 h + 2), projection 2 h d + d: a quadratic in h.
    """
    square = 8 + 24 * (c.lstm_layers - 1)
    linear = 10 * c.width + 16 * c.lstm_layers
    constant = c.width - c.layers * layer_weights(c)
    return max(1, round((math.sqrt(linear**2 - 4 * square * constant) - linear) / (2 * square)))


def matched_inner_width(c: Config) -> int:
    """Inner width f at which decoder layers and motion embedding come closest to the weights of the transformer.

    A layer has 8 d^2 + 15 d + (2 d + 1) f numbers, the embedding of the last frame (outputs + 1) d.
    """
    rest = c.layers * (layer_weights(c) - 8 * c.width**2 - 15 * c.width) - (c.outputs + 1) * c.width
    return max(1, round(rest / (c.layers * (2 * c.width + 1))))


class AutoregressiveDecoder(nn.Module):
    """Frames one after the other, each fed its predecessor (FaceFormer, Fan et al. 2022, on controllers)."""

    def __init__(self, c: Config):
        super().__init__()
        if c.past is not None and c.past < 0:
            raise InputError(f"past is {c.past}; expected a number of frames, or None for all")
        self.config, self.period = c, round(c.fps)
        self.rig_fn = nn.Linear(c.outputs, c.width)
        self.stack = parts.decoder_stack(c.width, c.heads, matched_inner_width(c), c.layers, c.dropout)

    def token(self, rig: Tensor, start: Tensor) -> Tensor:
        """What a frame is asked with: its predecessor's controllers and the emotion; the first one the emotion only."""
        return start if self.config.past == 0 else self.rig_fn(rig) + start

    def decode(self, content: Tensor, emotion: Tensor, to_rig: nn.Linear) -> Float[Tensor, "b t c"]:
        """Own frames fed back, with a key-value cache; content (B, T, d), emotion (B, T, d)."""
        frames, positions = content.shape[1], self.positions(content)
        cached = parts.CachedDecoder(self.stack, content, frames, period=self.period, per_frame=1)
        biases = [cached.bias.masked_fill(hidden.flip(-1).to(content.device), float("-inf"))      # oldest first
                  for hidden in self.out_of_sight(frames)]
        outputs, token = [], emotion[:, 0]
        for t in range(frames):
            x = self.drop(token + positions[t])
            for layer, bias in zip(cached.layers, biases, strict=True):
                x = layer.step(x, t, bias[..., frames - t - 1 :])
            outputs.append(to_rig(x))
            if t + 1 < frames:
                token = self.token(outputs[-1], emotion[:, t + 1])
        return torch.stack(outputs, 1)

    def teacher_forced(self, content: Tensor, emotion: Tensor, rig: Tensor) -> Float[Tensor, "b t d"]:
        """All frames at once, fed the true controllers (B, T, outputs) of the frame before."""
        frames, c = content.shape[1], self.config
        tokens = torch.cat([emotion[:, :1], self.token(rig[:, :-1], emotion[:, 1:])], 1) + self.positions(content)
        age = torch.arange(frames)[:, None] - torch.arange(frames)
        causal = parts.causal_bias(frames, self.period, c.heads)
        own = parts.alignment_mask(frames, frames, 1).to(content.device)
        x = self.drop(tokens)
        for layer, hidden in zip(self.stack.layers, self.out_of_sight(frames), strict=True):
            bias = causal.masked_fill(hidden[age.clamp(min=0)], float("-inf"))
            x = layer(x, content, tgt_mask=bias.to(content).repeat(len(content), 1, 1), memory_mask=own)
        return x

    def out_of_sight(self, frames: int) -> list[Tensor]:
        """True at the ages (frames,) that `past` hides, layer by layer; a token carries the frame before its own.

        Layers that all looked `past` frames back would together see that many times their number.
        """
        past, age = self.config.past, torch.arange(frames)
        reach = [frames if past is None else max(past, 1) if first else 1
                 for first in (True, *[False] * (self.config.layers - 1))]
        return [age >= frames_seen for frames_seen in reach]

    def positions(self, like: Tensor) -> Tensor:
        table = parts.periodic_encoding(like.shape[1], self.period, self.config.width).to(like)
        return table if self.config.positions else torch.zeros_like(table)

    def drop(self, tokens: Tensor) -> Tensor:
        return F.dropout(tokens, self.config.dropout, self.training)


class EmoFace(nn.Module):
    """Speech features and emotion labels to controllers."""

    def __init__(self, config: Config | None = None):
        super().__init__()
        c = self.config = config or Config()
        if c.attention not in ("time", "frame") or c.decoder not in DECODERS:
            raise InputError(
                f"attention {c.attention!r}, decoder {c.decoder!r}: expected 'time' or 'frame', "
                f"and one of {', '.join(DECODERS)}"
            )
        self.audio_encoder = None if c.wav2vec2 is None else parts.speech_model(c.wav2vec2)
        self.embed = nn.Embedding(c.emotions, LABEL_WIDTH)
        self.emotion = nn.Sequential(
            nn.Linear(LABEL_WIDTH, LABEL_INNER), nn.LeakyReLU(0.2), nn.Linear(LABEL_INNER, c.width)
        )
        self.encoder = DECODERS[c.decoder](c)
        self.in_fn = nn.Linear(c.audio_width, c.width)
        self.out_fn = nn.Linear(c.width, c.outputs)
        nn.init.zeros_(self.out_fn.weight)
        nn.init.zeros_(self.out_fn.bias)

    def encode_audio(self, audio: Tensor, frames: int | None = None) -> Float[Tensor, "b t c"]:
        """Speech features of normalised 16 kHz audio (B, N) at `frames` frames; default int(N / 16000 * fps)."""
        if self.audio_encoder is None:
            raise InputError("this EmoFace has no speech encoder (config.wav2vec2 is None); pass cached features")
        frames = frames or int(audio.shape[-1] * self.config.fps / 16000)
        return parts.encode_speech(self.audio_encoder, audio, frames=frames, per_frame=1, fps=self.config.fps)

    def decode(self, hidden: Tensor, emotion: Tensor, frames: int | None = None) -> Float[Tensor, "b t o"]:
        """Controllers (B, T, outputs) from features (B, S, C), interpolated to `frames` where these are given.

        `emotion`: ids (B,), or (B, T) for one id per frame; or weights of the emotions (B, E) or (B, T, E), one-hot or
        any mixture. The released program knows one id per clip; the rest is ours. Raises InputError naming what
        does not fit.
        """
        content, label = self.content(hidden, emotion, frames)
        if self.config.decoder == "autoregressive":
            return self.encoder.decode(content + label, label.expand_as(content), self.out_fn)
        return self.out_fn(self.over_frames(content + label))

    def teacher_forced(self, hidden: Tensor, emotion: Tensor, motion: Tensor) -> Float[Tensor, "b t o"]:
        """As `decode`, with the true controllers (B, T, outputs) before each frame; autoregressive decoder only."""
        if self.config.decoder != "autoregressive":
            raise InputError(f"the {self.config.decoder} decoder has no feedback to force; use decode")
        parts.check_sequence(motion, self.config.outputs, "motion")
        content, label = self.content(hidden, emotion, motion.shape[1])
        return self.out_fn(self.encoder.teacher_forced(content + label, label.expand_as(content), motion))

    def predict(self, audio: Tensor, emotion: Tensor, frames: int | None = None) -> Float[Tensor, "b t o"]:
        """Controllers (B, T, outputs) for normalised 16 kHz audio (B, N)."""
        return self.decode(self.encode_audio(audio, frames), emotion)

    def over_frames(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """The layers of Audio2Rig; in profile CODE over sequences of one frame."""
        if self.config.decoder == "transformer" and self.config.attention == "frame":
            return self.encoder(x.flatten(0, 1)[:, None]).reshape_as(x)
        return self.encoder(x)

    def content(self, hidden: Tensor, emotion: Tensor, frames: int | None) -> tuple[Tensor, Tensor]:
        """Content (B, T, d) with positions, and the label (B, 1 or T, d) to be added to it."""
        parts.check_sequence(hidden, self.config.audio_width, "features")
        if frames is not None and frames != hidden.shape[1]:
            parts.check_audio_frames(frames, frames, 1)
            hidden = parts.resample_features(hidden, frames)
        content = self.in_fn(hidden)
        content = F.dropout(content + self.positions(content), self.config.dropout, self.training)
        return content, self.emotion(self.weights(emotion, *hidden.shape[:2]) @ self.embed.weight)

    def weights(self, emotion: Tensor, clips: int, frames: int) -> Float[Tensor, "b t e"]:
        """Weights of the emotions, (B, 1 or T, E)."""
        count = self.config.emotions
        if not emotion.is_floating_point():
            if emotion.numel() and not 0 <= int(emotion.min()) <= int(emotion.max()) < count:
                raise InputError(f"emotion ids run from 0 to {count - 1}; got {emotion.min()} to {emotion.max()}")
            emotion = F.one_hot(emotion.long(), count).to(self.embed.weight)
        per_frame = emotion if emotion.ndim == 3 else emotion[:, None] if emotion.ndim == 2 else None
        if per_frame is None or per_frame.shape not in ((clips, 1, count), (clips, frames, count)):
            raise InputError(
                f"emotion has weights of shape {tuple(emotion.shape)}; expected one of {count} emotions for each of "
                f"{clips} clips, or for each of their {frames} frames"
            )
        if not torch.isfinite(per_frame).all():
            raise InputError("emotion contains NaN or infinite weights")
        return per_frame

    def positions(self, like: Float[Tensor, "b t d"]) -> Tensor:
        """Positional encoding to add, (T, d), or (1, d): position 0 for every frame, in profile CODE."""
        c, frames = self.config, like.shape[1]
        if not c.positions or c.decoder == "autoregressive":                       # which marks its tokens itself
            return like.new_zeros(1, c.width)
        return parts.sinusoids(frames if c.attention == "time" else 1, c.width).to(like)

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        """Positional table of the released files, by key; built when called."""
        return {"pos_encoder.pe": lambda: parts.sinusoids(TABLE_POSITIONS, self.config.width)[:, None]}


DECODERS: dict[str, Callable[[Config], nn.Module]] = {
    "transformer": encoder_stack,
    "fc": lambda c: nn.Sequential(*(ConnectedLayer(c) for _ in range(c.layers))),
    "lstm": RecurrentStack,
    "autoregressive": AutoregressiveDecoder,
}
