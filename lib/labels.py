"""Names and orders of emotion classes: every recogniser, corpus and program numbers them differently.

Numbers are converted by name, never by position. Names are those of `lib.puppet.spec.EMOTIONS`; `canonical` understands
the published spellings. Seven classes are common to all; contempt and calm are dropped where an order lacks them.
"""

from collections.abc import Sequence

import numpy as np

from lib.errors import InputError

COMMON = ("neutral", "happy", "sad", "surprised", "fearful", "disgusted", "angry")
ORDERS: dict[str, tuple[str, ...]] = {
    "raf-db": ("surprised", "fearful", "disgusted", "happy", "sad", "angry", "neutral"),                # SCN
    "affectnet-7": COMMON,                                                                            # DAN, ECM
    "affectnet-8": (*COMMON, "contempt"),                                                             # DAN
    "mead": ("angry", "contempt", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"),      # VNet, EVP
    "mead-demo": ("angry", "disgusted", "contempt", "fearful", "happy", "sad", "surprised", "neutral"),
    "ravdess": ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"),       # code 01 ...
}
SPELLINGS = {
    "neutral": ("neu", "n"), "happy": ("happiness", "hap", "h"), "sad": ("sadness", "s"), "calm": (), "contempt": (),
    "surprised": ("surprise", "sur"), "fearful": ("fear", "fea", "f"), "disgusted": ("disgust", "dis", "d"),
    "angry": ("anger", "ang", "a"),
}  # fmt: skip
_CANONICAL = {spelling: name for name, others in SPELLINGS.items() for spelling in (name, *others)}


def canonical(label: str) -> str:
    """The study's name of a published label ("ANG", "fear", "Happiness" ...); raises InputError for an unknown one."""
    found = _CANONICAL.get(label.strip().lower())
    if found is None:
        raise InputError(f"emotion {label!r}: unknown; expected one of {', '.join(SPELLINGS)} or a published spelling")
    return found


def order(which: str | Sequence[str]) -> tuple[str, ...]:
    """Names in the order `which`: a key of `ORDERS`, or the labels themselves in any published spelling."""
    if isinstance(which, str):
        if which not in ORDERS:
            raise InputError(f"order {which!r}: unknown; expected one of {', '.join(ORDERS)}, or the labels")
        return ORDERS[which]
    names = tuple(canonical(label) for label in which)
    if not names or len(set(names)) < len(names):
        raise InputError(f"labels {tuple(which)}: expected each emotion once")
    return names


def reorder(scores, source: str | Sequence[str], target: str | Sequence[str]):
    """Scores (..., K) of an array or tensor in order `source` as (..., K') in order `target`; surplus ones dropped.

    Raises InputError when the width is not that of `source` or `target` has an emotion that `source` lacks.
    """
    have, want = order(source), order(target)
    if scores.shape[-1] != len(have):
        raise InputError(f"scores {tuple(scores.shape)}: expected {len(have)} in the last place ({', '.join(have)})")
    missing = [name for name in want if name not in have]
    if missing:
        raise InputError(f"emotions {', '.join(missing)}: not among {', '.join(have)}")
    return scores[..., [have.index(name) for name in want]]


def translate(indices, source: str | Sequence[str], target: str | Sequence[str]) -> np.ndarray:
    """Class numbers of order `source` as those of order `target`; -1 where `target` has no such class."""
    have, want = order(source), order(target)
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu" or indices.size and not 0 <= indices.min() <= indices.max() < len(have):
        raise InputError(f"class numbers: expected whole numbers from 0 to {len(have) - 1}")
    return np.array([want.index(name) if name in want else -1 for name in have])[indices]
