"""From phonemes with times to mouth curves.

Targets of all phonemes compete at every instant through dominance functions (Cohen and Massaro 1993): with a distance
tau to the phoneme's core, D = strength * exp(-|tau| / spread), and a curve is the dominance-weighted mean of targets.
Spreads differ by group of controls and by direction: rounding begins early and lasts, contact of the lips is brief.

Dominance alone never quite closes a mouth. Bilabials (p b m) and labiodentals (f v) therefore also give a contact curve
in 0..1 which is 1 for at least HOLD_S; `close_lips` and `touch_teeth` impose it on the finished rig, emotion included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from lib.data.clip import Phoneme
from lib.face.rig import ARKIT, index

GROUPS = {                # group of controls -> (spread before the phoneme, after it) in seconds
    "jaw": (0.065, 0.055),
    "lips": (0.060, 0.055),
    "round": (0.130, 0.090),
    "contact": (0.030, 0.030),
    "tongue": (0.040, 0.040),
}
CONTROLS = {              # short name in the table below -> group, ARKit controls it drives
    "jaw": ("jaw", ("jawOpen",)),
    "forward": ("jaw", ("jawForward",)),
    "stretch": ("lips", ("mouthStretchLeft", "mouthStretchRight")),
    "lower": ("lips", ("mouthLowerDownLeft", "mouthLowerDownRight")),
    "upper": ("lips", ("mouthUpperUpLeft", "mouthUpperUpRight")),
    "funnel": ("round", ("mouthFunnel",)),
    "pucker": ("round", ("mouthPucker",)),
    "press": ("contact", ("mouthPressLeft", "mouthPressRight")),
    "roll_lower": ("contact", ("mouthRollLower",)),
    "roll_upper": ("contact", ("mouthRollUpper",)),
    "tongue": ("tongue", ("tongueOut",)),
}
NAMES = tuple(CONTROLS)
CONTROL_GROUPS = tuple(CONTROLS[name][0] for name in NAMES)

# Targets in rig units (0..1) and how strongly the phoneme insists on them, per group (default 1 for vowels).
VOWEL = dict(jaw=1.0, lips=1.0, round=1.0, contact=0.3, tongue=0.3)
CONSONANT = dict(jaw=0.5, lips=0.45, round=0.2, contact=0.3, tongue=0.5)
SIBILANT = CONSONANT | dict(jaw=1.8, lips=0.8)
PALATAL = SIBILANT | dict(round=1.2)
GLIDE = CONSONANT | dict(round=1.6, jaw=0.8)
DENTAL = CONSONANT | dict(tongue=2.5, jaw=0.8)
BILABIAL = CONSONANT | dict(jaw=1.2, lips=1.5, contact=4.0)
LABIODENTAL = CONSONANT | dict(jaw=1.4, lips=1.5, contact=4.0)
WEAK = dict.fromkeys(GROUPS, 0.15)
PAUSE = dict.fromkeys(GROUPS, 0.6)

VISEMES: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "_": (PAUSE, {}),
    # open and mid vowels
    "ɑ": (VOWEL, dict(jaw=0.62, lower=0.30, upper=0.12)),
    "a": (VOWEL, dict(jaw=0.60, stretch=0.08, lower=0.30, upper=0.14)),
    "æ": (VOWEL, dict(jaw=0.55, stretch=0.25, lower=0.34, upper=0.20)),
    "ʌ": (VOWEL, dict(jaw=0.42, lower=0.22, upper=0.10)),
    "ɐ": (VOWEL, dict(jaw=0.32, lower=0.16, upper=0.06)),
    "ə": (VOWEL | dict(jaw=0.6), dict(jaw=0.24, lower=0.14, upper=0.05)),
    "ɛ": (VOWEL, dict(jaw=0.40, stretch=0.26, lower=0.28, upper=0.14)),
    "e": (VOWEL, dict(jaw=0.32, stretch=0.32, lower=0.26, upper=0.12)),
    "ɤ": (VOWEL, dict(jaw=0.30, stretch=0.12, lower=0.18)),
    "ɜ": (VOWEL, dict(jaw=0.26, funnel=0.30, pucker=0.12, lower=0.12)),
    # close and rounded vowels
    "ɪ": (VOWEL, dict(jaw=0.24, stretch=0.28, lower=0.22, upper=0.08)),
    "i": (VOWEL, dict(jaw=0.16, stretch=0.45, lower=0.24, upper=0.12)),
    "ɨ": (VOWEL, dict(jaw=0.12, stretch=0.22, lower=0.14)),
    "ɔ": (VOWEL, dict(jaw=0.46, funnel=0.38, pucker=0.15, lower=0.10)),
    "o": (VOWEL, dict(jaw=0.34, funnel=0.34, pucker=0.38)),
    "ʊ": (VOWEL, dict(jaw=0.20, funnel=0.24, pucker=0.42)),
    "u": (VOWEL, dict(jaw=0.11, funnel=0.16, pucker=0.80)),
    "y": (VOWEL, dict(jaw=0.10, funnel=0.14, pucker=0.75)),
    # consonants
    "p": (BILABIAL, dict(jaw=0.05, press=0.20, roll_lower=0.12, roll_upper=0.10)),
    "b": (BILABIAL, dict(jaw=0.06, press=0.15, roll_lower=0.10, roll_upper=0.08)),
    "m": (BILABIAL, dict(jaw=0.06, press=0.12, roll_lower=0.08, roll_upper=0.06)),
    "f": (LABIODENTAL, dict(jaw=0.08, upper=0.30, roll_lower=0.75)),
    "v": (LABIODENTAL, dict(jaw=0.09, upper=0.26, roll_lower=0.72)),
    "w": (GLIDE, dict(jaw=0.10, funnel=0.14, pucker=0.85)),
    "ɹ": (GLIDE | dict(round=0.8), dict(jaw=0.18, funnel=0.42, pucker=0.22, lower=0.10)),
    "ʃ": (PALATAL, dict(jaw=0.09, forward=0.2, funnel=0.62, pucker=0.20, lower=0.18, upper=0.14)),
    "ʒ": (PALATAL, dict(jaw=0.10, forward=0.2, funnel=0.58, pucker=0.20, lower=0.16, upper=0.12)),
    "ɕ": (SIBILANT, dict(jaw=0.09, stretch=0.28, lower=0.18, upper=0.08)),
    "s": (SIBILANT, dict(jaw=0.06, stretch=0.26, lower=0.20, upper=0.08)),
    "z": (SIBILANT, dict(jaw=0.07, stretch=0.24, lower=0.20, upper=0.08)),
    "t": (CONSONANT, dict(jaw=0.13, lower=0.12, tongue=0.04)),
    "d": (CONSONANT, dict(jaw=0.14, lower=0.12, tongue=0.04)),
    "ɾ": (CONSONANT, dict(jaw=0.16, lower=0.12, tongue=0.04)),
    "n": (CONSONANT, dict(jaw=0.14, lower=0.12, tongue=0.05)),
    "l": (DENTAL, dict(jaw=0.22, lower=0.16, tongue=0.16)),
    "θ": (DENTAL, dict(jaw=0.16, lower=0.16, upper=0.06, tongue=0.38)),
    "ð": (DENTAL, dict(jaw=0.16, lower=0.16, upper=0.06, tongue=0.32)),
    "k": (CONSONANT, dict(jaw=0.20, lower=0.10)),
    "ɡ": (CONSONANT, dict(jaw=0.20, lower=0.10)),
    "ŋ": (CONSONANT, dict(jaw=0.18, lower=0.10)),
    "x": (CONSONANT, dict(jaw=0.22, lower=0.10)),
    "h": (WEAK, dict(jaw=0.26, lower=0.12)),
    "j": (CONSONANT | dict(lips=0.9), dict(jaw=0.13, stretch=0.34, lower=0.16)),
    "ʔ": (WEAK, dict(jaw=0.15)),
}
# eSpeak's spellings of the same sounds, English and Mandarin; longer spellings win
ALIASES = {
    "ɚ": "ɜ", "ᵻ": "ɪ", "ɒ": "ɔ", "r": "ɹ", "g": "ɡ", "c": "k", "q": "k", "χ": "x", "ç": "ɕ", "ɲ": "n", "ʋ": "v",
    "i.": "ɨ", "i̪": "ɨ", "s.": "ʃ", "ɻ": "ɹ", "ʐ": "ʒ", "ʂ": "ʃ", "œ": "o", "ø": "o", "ʁ": "x", "ɫ": "l", "ɯ": "ɨ",
}
BILABIALS, LABIODENTALS, STRESS = frozenset("pbm"), frozenset("fv"), frozenset("ˈˌ")
STRESS_GAIN = {"ˈ": 1.12, "ˌ": 1.0, "": 0.92}     # size of a vowel's targets by stress mark
HOLD_S = 0.060                                    # contact lasts at least this long: one frame at 25 fps falls inside
RAMP_S = 0.055                                    # time to come into contact and to leave it
SMOOTH_S = 0.012                                  # standard deviation of the final low-pass


@dataclass(frozen=True)
class Manner:
    """How a speaker articulates: sizes of jaw, lip and rounding movements (1 = average)."""

    jaw: float = 1.0
    lips: float = 1.0
    round: float = 1.0


@dataclass(frozen=True)
class Segment:
    """One sound with a single target: a phoneme, or one half of a diphthong."""

    sound: str
    start_s: float
    end_s: float
    gain: float


@cache
def sounds(label: str) -> tuple[str, ...]:
    """Keys of VISEMES in a label of eSpeak: "oʊ" -> o, ʊ; "tʃ" -> t, ʃ; signs that move no lip are skipped."""
    found, rest = [], "".join(sign for sign in label if sign not in STRESS)
    while rest:
        size = next((n for n in (2, 1) if rest[:n] in ALIASES or rest[:n] in VISEMES), 0)
        if size:
            found.append(ALIASES.get(rest[:size], rest[:size]))
        rest = rest[size or 1:]
    if len(found) > 1 and found[-1] == "h":            # Mandarin "ph": aspiration, not a sound of its own
        found.pop()
    return tuple(found) or ("_",)


def segments(phonemes: Sequence[Phoneme]) -> list[Segment]:
    """Phonemes cut into sounds of equal share; adjacent pauses are joined."""
    cut: list[Segment] = []
    for phoneme in phonemes:
        parts = sounds(phoneme.label)
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(parts) + 1)
        gain = STRESS_GAIN[phoneme.label[0] if phoneme.label[:1] in STRESS else ""]
        for sound, start, end in zip(parts, edges, edges[1:], strict=False):
            if sound == "_" and cut and cut[-1].sound == "_":
                start = cut.pop().start_s
            cut.append(Segment(sound, float(start), float(end), gain if _is_vowel(sound) else 1.0))
    return cut


def _is_vowel(sound: str) -> bool:
    return VISEMES[sound][0]["contact"] == VOWEL["contact"] and VISEMES[sound][0]["tongue"] == VOWEL["tongue"]


def speech_curves(phonemes: Sequence[Phoneme], times_s: np.ndarray, manner: Manner = Manner()) -> np.ndarray:
    """Rig curves (T, 52), float64, of speech alone at the given times (T,); contact not yet imposed."""
    cut = segments(phonemes)
    dominance = _dominance(cut, times_s)                                             # (T, S, G)
    per_control = dominance[..., [list(GROUPS).index(group) for group in CONTROL_GROUPS]]   # (T, S, C)
    curves = np.einsum("tsc,sc->tc", per_control, _targets(cut, manner)) / per_control.sum(1)
    rig = np.zeros((len(times_s), len(ARKIT)))
    for column, name in enumerate(NAMES):
        for control in CONTROLS[name][1]:
            rig[:, index(control)] = curves[:, column]
    return np.clip(smooth(rig, times_s), 0, 1)


def _targets(cut: Sequence[Segment], manner: Manner) -> np.ndarray:
    """Targets (S, C) of every segment, sized by stress and manner."""
    sizes = {"jaw": manner.jaw, "lips": manner.lips, "round": manner.round, "contact": 1.0, "tongue": 1.0}
    size = np.array([sizes[group] for group in CONTROL_GROUPS])
    table = np.array([[VISEMES[s.sound][1].get(name, 0.0) for name in NAMES] for s in cut])
    return table * size * np.array([s.gain for s in cut])[:, None]


def _dominance(cut: Sequence[Segment], times_s: np.ndarray) -> np.ndarray:
    """D = strength * exp(-|tau| / spread), (T, S, G); tau is 0 inside the core of a segment."""
    start, end = np.array([(s.start_s, s.end_s) for s in cut]).T
    half_core = np.maximum(0.15 * (end - start), 0.5 * (end - start) - 0.06)
    offset = times_s[:, None] - 0.5 * (start + end)                                  # (T, S), negative = before
    tau = np.maximum(np.abs(offset) - half_core, 0)[..., None]
    before, after = np.array(list(GROUPS.values())).T
    spread = np.where(offset[..., None] < 0, before, after)
    strength = np.array([[VISEMES[s.sound][0][group] for group in GROUPS] for s in cut])
    return strength * np.exp(-tau / spread) + 1e-12                                  # never an empty sum


def smooth(curves: np.ndarray, times_s: np.ndarray, deviation_s: float = SMOOTH_S) -> np.ndarray:
    """Gaussian low-pass along time of curves (T, C), edges held."""
    if len(times_s) < 2:
        return curves
    deviation = deviation_s / (times_s[1] - times_s[0])
    reach = max(1, int(np.ceil(3 * deviation)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    padded = np.pad(curves, ((reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return windows @ (kernel / kernel.sum())


def contact_curve(phonemes: Sequence[Phoneme], times_s: np.ndarray, which: frozenset[str] = BILABIALS) -> np.ndarray:
    """Contact (T,) in 0..1: 1 while a sound of `which` holds (at least HOLD_S), raised-cosine ramps around it."""
    contact = np.zeros(len(times_s))
    for start, end in holds(phonemes, which):
        outside = np.maximum(np.maximum(start - times_s, times_s - end), 0)
        contact = np.maximum(contact, 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / RAMP_S, 1)))
    return contact


def holds(phonemes: Sequence[Phoneme], which: frozenset[str] = BILABIALS) -> list[tuple[float, float]]:
    """Times (start, end) in seconds between which the contact of each sound of `which` is complete.

    eSpeak's label of a stop marks little more than its burst, so the hold begins before the label, as the lips do.
    """
    spans = [(s.start_s - 0.02, s.end_s - 0.01) for s in segments(phonemes) if s.sound in which]
    return [(start, max(end, start + HOLD_S)) for start, end in spans]


# Share of a control that stays while the lips are in contact: none of what parts them in the middle, little of what
# parts them at the sides, most of a smile. Other controls stay whole. Measured on the head: gap below 0.5 mm (tests).
KEPT = {
    "mouthFunnel": 0.0, "mouthLowerDown": 0.0, "mouthUpperUp": 0.0, "mouthShrugUpper": 0.0, "tongueOut": 0.0,
    "mouthStretch": 0.4, "mouthDimple": 0.3, "mouthFrown": 0.4, "mouthShrugLower": 0.4, "noseSneer": 0.12,
    "mouthPucker": 0.45, "jawForward": 0.3, "mouthLeft": 0.3, "mouthRight": 0.3, "mouthSmile": 0.85,
}
KEPT_AT_TEETH = {"mouthFunnel": 0.0, "mouthLowerDown": 0.0, "tongueOut": 0.0, "mouthUpperUp": 0.6, "noseSneer": 0.4,
                 "mouthPucker": 0.4, "jawForward": 0.3, "mouthShrugLower": 0.0, "mouthFrown": 0.6}


def _shares(kept: dict[str, float]) -> np.ndarray:
    """Shares (52,), both sides equal unless a side is named; 1 where nothing is said."""
    return np.array([kept.get(name, kept.get(name.removesuffix("Left").removesuffix("Right"), 1.0)) for name in ARKIT])


STAYING, TOUCHING = _shares(KEPT), _shares(KEPT_AT_TEETH)
CLOSED_JAW, TEETH_JAW = 0.10, 0.09            # widest jaw with lips in contact, with the lower lip at the teeth
TEETH_ROLL = 0.72                             # lower lip rolled in far enough to meet the upper teeth
PRESSURE = 0.06                               # mouthClose beyond the jaw's: soft lips pressed together


def close_lips(rig: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """The rig (T, 52) with the lips brought together as `contact` (T,) goes to 1, whatever else the face does."""
    closed = rig * (1 - contact[:, None] * (1 - STAYING))
    jaw = index("jawOpen")
    closed[:, jaw] = _limit(rig[:, jaw], CLOSED_JAW, contact)
    closed[:, index("mouthClose")] = np.maximum(rig[:, index("mouthClose")], contact * (closed[:, jaw] + PRESSURE))
    return closed


def touch_teeth(rig: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """The rig (T, 52) with the lower lip brought under the upper teeth as `contact` (T,) goes to 1."""
    touching = rig * (1 - contact[:, None] * (1 - TOUCHING))
    touching[:, index("jawOpen")] = _limit(rig[:, index("jawOpen")], TEETH_JAW, contact)
    roll = index("mouthRollLower")
    touching[:, roll] = np.maximum(rig[:, roll], TEETH_ROLL * contact)
    return touching


def _limit(curve: np.ndarray, ceiling: float, contact: np.ndarray) -> np.ndarray:
    """The curve (T,), saturating softly at `ceiling` where contact is complete."""
    return (1 - contact) * curve + contact * ceiling * np.tanh(curve / ceiling)
