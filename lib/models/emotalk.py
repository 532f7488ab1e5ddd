"""EmoTalk: emotion found in the voice, speech to blendshape weights (Peng et al., ICCV 2023); the rival in EmoFace.

symbol    here           shape         meaning
A_c,e     Speech         -             content c spoken with emotion e: waveforms (B, N), or features (B, S, C)
          content        (B, T, C)     features of the content encoder at the motion frames
          emotion        (B, T, C)     features of the emotion encoder at the motion frames
l, p      condition      (B, S)        level of emotion and person, one-hot side by side, S = levels + persons
B_c,e     motion         (B, T, K)     blendshape weights, K = 52 (released) or 174 (EmoFace) or any other
          memory         (B, T, d)     emotion features after `audio_feature_map_emo`
          query          (B, T, d)     content, emotion, level and person side by side

Source: the released code, which holds the model and its inference; attribute names are its key names, so its weights
load (`load_released`). Training was not released: the four terms of `losses` follow the paper's description, their
weights are the caller's (`LossWeights`: ours).

All frames at once, although the attention is causal: there is no feedback. Masks are those of FaceFormer (lib.models.
parts), cross-attention to the same frame only. Here they serve any batch; the released masks serve one clip.
EmoFace removes level and person and trains 174 controls (`EMOFACE`); it does not say how the width is made up then, so
the emotion part grows to 320 (ours).

Where features come from a cache, the emotion branch would have nothing to learn: its encoder is what the cross-entropy
teaches. With `acoustic_width` it hears acoustic features instead, through a small trainable encoder (`Listener`, ours)
that classifier and decoder share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import losses as terms
from lib.errors import InputError
from lib.models import parts

LARGE = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
    "conv_bias": True, "feat_extract_norm": "layer", "do_stable_layer_norm": True,
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are the released model. An encoder of None: its features come from a cache."""

    motion_width: int = 52
    content_width: int = 512
    emotion_width: int = 256
    levels: int = 2
    persons: int = 24
    condition_width: int = 32  # of level and of person, each
    audio_width: int = 1024
    emotions: int = 7  # classes of the emotion checkpoint
    period: int = 30  # frames
    fps: float = 30.0
    heads: int = 4
    ffn: int | None = None  # the width of the query
    dropout: float = 0.1
    acoustic_width: int | None = None  # of cached features for the emotion branch alone
    wav2vec2_content: Mapping[str, Any] | None = None  # fields of transformers.Wav2Vec2Config, as LARGE
    wav2vec2_emotion: Mapping[str, Any] | None = None

    @property
    def width(self) -> int:
        """Width of query and memory: 512 + 256 + 32 + 32 = 832."""
        return self.content_width + self.emotion_width + self.condition_width * (bool(self.levels) + bool(self.persons))


RELEASED = Config(wav2vec2_content=LARGE, wav2vec2_emotion=LARGE)
EMOFACE = replace(RELEASED, motion_width=174, levels=0, persons=0, emotion_width=320)


class Speech(NamedTuple):
    """What the two encoders hear: both waveforms (B, N), normalised, 16 kHz, or both features (B, S, C)."""

    content: Tensor
    emotion: Tensor

    @classmethod
    def of(cls, hidden: Tensor) -> "Speech":
        """The same waveform, or the same features, for both."""
        return cls(hidden, hidden)


class Reconstruction(NamedTuple):
    """Result of the training path: `cross` and `own` motion (B, T, K), emotion `logits` (B, E) of the donor."""

    cross: Tensor
    own: Tensor
    logits: Tensor


@dataclass(frozen=True)
class LossWeights:
    """Weights of the four terms; not released, these are ours."""

    cross: float = 1.0
    own: float = 1.0
    velocity: float = 0.5
    emotion: float = 0.1


class EmotionHead(nn.Module):
    """Mean over time, dense layer, tanh, dropout, linear: logits of the emotion classes."""

    def __init__(self, width: int, emotions: int, dropout: float):
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(width, emotions)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T, C) -> (B, E)."""
        return self.out_proj(self.dropout(torch.tanh(self.dense(hidden.mean(1)))))


class Listener(nn.Module):
    """Trainable stand-in for the emotion encoder: two convolutions over five rows, and their mean over the clip.

    Ours; as wide inside as what it hears. The mean stands for the attention over the clip that every frame of wav2vec
    2.0 has.
    """

    def __init__(self, heard: int, width: int):
        super().__init__()
        self.near, self.far = (nn.Conv1d(heard, heard, 5, padding=2) for _ in range(2))
        self.whole, self.widen = nn.Linear(heard, heard), nn.Linear(heard, width)

    def forward(self, heard: Tensor) -> Tensor:
        """(B, S, acoustic width) -> (B, S, C)."""
        found = self.far(self.near(heard.mT).relu()).relu().mT
        return self.widen(found + self.whole(found.mean(1, keepdim=True)))


class EmotionEncoder(nn.Module):
    """Speech encoder with its classifier; `wav2vec2` is None where features come from a cache."""

    def __init__(self, config: Config):
        super().__init__()
        self.wav2vec2 = speech_model(config.wav2vec2_emotion)
        self.listener = None if config.acoustic_width is None else Listener(config.acoustic_width, config.audio_width)
        self.classifier = EmotionHead(config.audio_width, config.emotions, config.dropout)


def speech_model(sizes: Mapping[str, Any] | None) -> nn.Module | None:
    # both branches were trained without SpecAugment
    return None if sizes is None else parts.speech_model({**sizes, "apply_spec_augment": False})


class EmoTalk(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config, d = config, config.width
        self.audio_encoder_cont = speech_model(config.wav2vec2_content)
        self.audio_encoder_emo = EmotionEncoder(config)
        self.audio_feature_map_cont = nn.Linear(config.audio_width, config.content_width)
        self.audio_feature_map_emo = nn.Linear(config.audio_width, d)
        self.audio_feature_map_emo2 = nn.Linear(d, config.emotion_width)
        self.obj_vector_level = nn.Linear(config.levels, config.condition_width) if config.levels else None
        self.obj_vector_person = nn.Linear(config.persons, config.condition_width) if config.persons else None
        self.transformer_decoder = parts.decoder_stack(d, config.heads, config.ffn or d, 1, config.dropout)
        self.bs_map_r = nn.Linear(d, config.motion_width)
        nn.init.zeros_(self.bs_map_r.weight)
        nn.init.zeros_(self.bs_map_r.bias)

    def encode_content(self, speech: Tensor, frames: int) -> Tensor:
        """Content features (B, T, C) at the motion frames, of waveform (B, N) or cached features (B, S, C).

        The rate of a waveform changes before the transformer, that of cached features can only change after it.
        """
        if speech.ndim == 3:
            return self.at_frames(speech, frames)
        encoder = available(self.audio_encoder_cont, "content")
        return parts.encode_speech(encoder, speech, frames=frames, per_frame=1, fps=self.config.fps)

    def encode_emotion(self, speech: Tensor, frames: int) -> Tensor:
        """Emotion features (B, T, C) at the motion frames; resampled twice, before and after the transformer."""
        if speech.ndim != 3:
            encoder = available(self.audio_encoder_emo.wav2vec2, "emotion")
            speech = parts.encode_speech(encoder, speech, frames=None, per_frame=1, fps=self.config.fps)
        elif self.audio_encoder_emo.listener is not None:
            parts.check_sequence(speech, self.config.acoustic_width, "acoustic features")
            speech = self.audio_encoder_emo.listener(speech)
        return self.at_frames(speech, frames)

    def at_frames(self, hidden: Tensor, frames: int) -> Tensor:
        parts.check_sequence(hidden, self.config.audio_width, "features")
        if frames < 1:
            raise InputError(f"{frames} motion frames asked for; at least 1 is needed")
        return hidden if hidden.shape[1] == frames else parts.resample_features(hidden, frames)

    def classify(self, emotion: Tensor) -> Tensor:
        """Emotion logits (B, E) of emotion features (B, T, C)."""
        return self.audio_encoder_emo.classifier(emotion)

    def fuse(self, content: Tensor, emotion: Tensor, condition: Tensor | None = None) -> Tensor:
        """Motion (B, T, K) from content and emotion features (B, T, C) and condition (B, S): the guided decoder."""
        memory = self.audio_feature_map_emo(emotion)
        query = [self.audio_feature_map_cont(content), F.relu(self.audio_feature_map_emo2(memory))]
        query += [part[:, None].expand(-1, content.shape[1], -1) for part in self.embed(condition, len(content))]
        decoded = parts.decode(
            self.transformer_decoder, torch.cat(query, -1), memory, period=self.config.period, per_frame=1
        )
        return self.bs_map_r(decoded)

    def embed(self, condition: Tensor | None, clips: int) -> list[Tensor]:
        """Embeddings (B, 32) of level and person, as far as the model has them."""
        sizes = self.config.levels, self.config.persons
        if condition is None and not any(sizes):
            return []
        if condition is None:
            raise InputError(f"this EmoTalk needs a condition (clips, {sizes[0]} levels + {sizes[1]} persons)")
        parts.check_row(condition, clips, sum(sizes), "condition")
        maps = self.obj_vector_level, self.obj_vector_person
        return [linear(part) for linear, part in zip(maps, condition.split(sizes, 1), strict=True) if linear]

    def decode(self, hidden: Tensor | Speech, condition: Tensor | None, frames: int) -> Tensor:
        """Motion (B, T, K) with the emotion of the speech itself.

        `hidden`: features (B, S, C) or waveform (B, N) for both branches, or a `Speech` with one for each.
        """
        content, emotion = hidden if isinstance(hidden, Speech) else Speech.of(hidden)
        return self.fuse(self.encode_content(content, frames), self.encode_emotion(emotion, frames), condition)

    def predict(self, audio: Tensor, condition: Tensor | None = None) -> Tensor:
        """Motion (B, T, K) of a normalised 16 kHz waveform (B, N), T = ceil(seconds * fps)."""
        return self.decode(audio, condition, frame_count(audio.shape[-1], self.config.fps))

    def forward(self, recipient: Speech, donor: Speech, condition: Tensor | None, frames: tuple[int, int]):
        """Training path: the recipient's sentence (c1, e2) with the donor's emotion (c2, e1), and with its own.

        `frames` are the lengths of the two targets B_c1,e1 (cross) and B_c1,e2 (own). Returns a `Reconstruction`.
        """
        cross, own = frames
        emotion = self.encode_emotion(donor.emotion, cross)
        moved = self.fuse(self.encode_content(recipient.content, cross), emotion, condition)
        return Reconstruction(moved, self.decode(recipient, condition, own), self.classify(emotion))

    def fixed_tables(self) -> dict:
        """None: the released files hold no tables."""
        return {}


def available(encoder: nn.Module | None, which: str) -> nn.Module:
    if encoder is None:
        raise InputError(f"this EmoTalk has no {which} encoder (config.wav2vec2_{which} is None); pass cached features")
    return encoder


def frame_count(samples: int, fps: float, rate: int = 16000) -> int:
    """Motion frames of a waveform: ceil(seconds * fps), as the released inference counts."""
    return int(-(-samples * fps // rate))


def losses(result: Reconstruction, cross: Tensor, own: Tensor, emotion: Tensor) -> dict[str, Tensor]:
    """The four unweighted terms, by the names of `LossWeights`.

    cross, own: mean squared error to B_c1,e1 and B_c1,e2 (B, T, K); velocity: mean squared error of the differences of
    consecutive frames, over both; emotion: cross-entropy of the donor's logits and its label (B,), in nats.
    """
    velocity = [terms.vertex_mse(a.diff(dim=1), b.diff(dim=1)) for a, b in ((result.cross, cross), (result.own, own))]
    return {
        "cross": terms.vertex_mse(result.cross, cross),
        "own": terms.vertex_mse(result.own, own),
        "velocity": sum(velocity) / 2,
        "emotion": terms.style_cross_entropy(result.logits, emotion),
    }


def total(losses: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """Weighted sum of the four terms."""
    return sum(getattr(weights, name) * value for name, value in losses.items())


def load_released(model: EmoTalk, state: Mapping[str, Any], *, source: str = "checkpoint") -> None:
    """Load released weights strictly, but for the letter heads of both encoders, which nothing ever uses."""
    tensors = parts.official_tensors(state, source)
    parts.load_official(model, {k: v for k, v in tensors.items() if ".lm_head." not in k}, source=source)


# Finishing of the motion (released inference) -------------------------------------------------------------------------

BLINK_COLUMNS = (8, 9)  # eyeBlinkLeft, eyeBlinkRight in the alphabetical order of the released rig
BLINK_FRAMES, DEEPEST = 7, 0.95  # of a blink in the released program


def blink_shape(closing: int, frames: int = BLINK_FRAMES, deepest: float = DEEPEST) -> np.ndarray:
    """Weights (frames,) of a blink whose lids are shut in frame `closing`, counted from 1: two raised cosines.

    A shape of our own: the released program holds measured ones, which are not copied here.
    """
    at = np.arange(1, frames + 1)
    phase = np.minimum(at / closing, (frames + 1 - at) / (frames + 1 - closing))
    return deepest * (0.5 - 0.5 * np.cos(np.pi * phase))


BLINKS = np.stack([blink_shape(closing) for closing in (1, 2, 3, 4)])  # four variants, as there


def smooth(motion: np.ndarray) -> np.ndarray:
    """Each weight of (T, K) through a Savitzky-Golay filter of order 2 over 5 frames; at least 5 frames needed."""
    from scipy.signal import savgol_filter

    if len(motion) < 5:
        raise InputError(f"motion has {len(motion)} frames; smoothing over 5 frames needs at least 5")
    return savgol_filter(motion, 5, 2, axis=0)


def draw_blinks(frames: int, draws: Random, shapes: np.ndarray = BLINKS) -> list[tuple[int, int]]:
    """First frame and variant of each blink: the first in frames 0 to 60, the next 60 to 180 later, all complete."""
    blinks, start = [], draws.randint(0, 60)
    while start < frames - shapes.shape[1]:
        blinks.append((start, draws.randint(1, len(shapes)) - 1))
        start += draws.randint(60, 180)
    return blinks


def insert_blinks(
    motion: np.ndarray, blinks: Sequence[tuple[int, int]], columns: Sequence[int] = BLINK_COLUMNS,
    shapes: np.ndarray = BLINKS,
) -> np.ndarray:  # fmt: skip
    """Copy of (T, K), float64, whose eyelid `columns` hold the blinks, of `shapes` (variants, frames), and no more."""
    result = np.array(motion, np.float64)
    result[:, columns] = 0
    for start, variant in blinks:
        result[start : start + shapes.shape[1], columns] = shapes[variant][:, None]
    return result
