"""The one record every reader of a corpus yields: sound, motion in the corpus' own representation, and known factors.

Sound is float32 mono at 16 kHz in [-1, 1]. Motion keeps the frame rate and the unit of its corpus; frame i lies at time
i / fps. Nothing is cut or padded here: a reader that must do so says it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib.errors import InputError

SAMPLE_RATE = 16_000
MOTION_SHAPES = {            # trailing shape of every kind of motion; None = any size
    "rig52": (52,),          # ARKit curves, 0..1
    "vertices": (None, 3),
    "landmarks68": (68, None),
    "facegood116": (116,),
    "metahuman174": (174,),  # MetaHuman controllers of EmoFace
    "3dmm64": (64,),
}


@dataclass(frozen=True)
class Phoneme:
    """One phoneme of a recording: IPA label (empty = silence), start and end in seconds."""

    label: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Clip:
    """One recording: `audio` (N,) at 16 kHz, `motion` (T, ...) at `fps`, and what is known about it (None = not known).

    Raises InputError when the sound is empty, not one-dimensional or not finite, when motion is not finite, has no
    frame rate or does not have the shape its kind asks for, and when phonemes run backwards.
    """

    id: str
    audio: np.ndarray
    speaker: str
    emotion: str | None = None
    intensity: float | None = None
    sentence: str | None = None
    session: str | None = None
    source: str = "puppet"
    fps: float | None = None
    motion: np.ndarray | None = None
    motion_kind: str | None = None
    phonemes: tuple[Phoneme, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "audio", _sound(self.id, self.audio))
        if self.motion is not None:
            object.__setattr__(self, "motion", _motion(self))
        _require_order(self.id, self.phonemes)

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return len(self.audio) / SAMPLE_RATE


def _sound(name: str, audio: np.ndarray) -> np.ndarray:
    audio = np.asarray(audio, dtype=np.float32)
    if audio.ndim != 1 or not audio.size:
        raise InputError(f"{name}: audio must be non-empty and mono (N,), got shape {audio.shape}; mix it down first")
    if not np.isfinite(audio).all():
        raise InputError(f"{name}: audio holds NaN or infinite samples; decode the file again")
    return audio


def _motion(clip: Clip) -> np.ndarray:
    motion = np.asarray(clip.motion)
    if clip.fps is None or not clip.fps > 0:
        raise InputError(f"{clip.id}: motion needs a frame rate above 0, got fps={clip.fps}")
    if clip.motion_kind not in MOTION_SHAPES:
        raise InputError(f"{clip.id}: motion_kind must be one of {sorted(MOTION_SHAPES)}, got {clip.motion_kind!r}")
    wanted = MOTION_SHAPES[clip.motion_kind]
    fits = motion.ndim == len(wanted) + 1 and all(w in (None, n) for w, n in zip(wanted, motion.shape[1:], strict=True))
    if not fits:
        shape = ", ".join("any" if size is None else str(size) for size in ("T", *wanted))
        raise InputError(f"{clip.id}: {clip.motion_kind} motion must be ({shape}), got {motion.shape}")
    if not np.isfinite(motion).all():
        raise InputError(f"{clip.id}: motion holds NaN or infinite values; interpolate gaps or split the clip")
    return motion


def _require_order(name: str, phonemes: tuple[Phoneme, ...]) -> None:
    for phoneme in phonemes:
        if not 0 <= phoneme.start_s <= phoneme.end_s:
            raise InputError(f"{name}: phoneme {phoneme.label!r} runs from {phoneme.start_s} to {phoneme.end_s} s")


def frame_count(duration_s: float, fps: float) -> int:
    """Frames of a clip: floor(duration x fps), with a millionth of a frame forgiven for rounding."""
    return int(np.floor(duration_s * fps + 1e-6))


def resample(curves: np.ndarray, fps_from: float, fps_to: float, frames: int | None = None) -> np.ndarray:
    """Curves (T, ...) at another frame rate, linear in time, in the same dtype; frame i stays at time i / fps.

    `frames` defaults to floor(T fps_to / fps_from); times beyond the last frame hold it.
    Raises InputError when there is no frame or a rate is not positive.
    """
    curves = np.asarray(curves)
    if not len(curves) or fps_from <= 0 or fps_to <= 0:
        raise InputError(f"resample needs frames and positive rates, got {curves.shape}, {fps_from} and {fps_to} fps")
    frames = max(1, frame_count(len(curves) / fps_from, fps_to)) if frames is None else frames
    position = np.minimum(np.arange(frames) * (fps_from / fps_to), len(curves) - 1)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, len(curves) - 1)
    weight = (position - low).reshape(-1, *[1] * (curves.ndim - 1))
    return (curves[low] * (1 - weight) + curves[high] * weight).astype(curves.dtype, copy=False)
