"""What speech does not tell: blinks, gaze, drift of the expression and sway of the head.

All are functions of absolute time, drawn from generators that know actor, session, seed and sentence and nothing about
emotion, intensity or duration. Clips that differ in those alone therefore share their noise at equal times.
Session-wide choices (how much drift, which way the head sways) come from the generator of the session.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from lib.face.rig import ARKIT, index

BLINKS_PER_MINUTE = (3.518, 0.532)     # mean and SD of ln(rate): EmoFace (IEEE VR 2024), 445 intervals of MEAD
SHORTEST_BLINK_INTERVAL_S = 0.40       # blinks do not overlap (0.2 % of the law lies below)
CLOSING_S, CLOSED_S, OPENING_S = 0.10, 0.04, 0.20
WARM_UP_S = 20.0                       # the renewal process runs this long before the clip, so that it starts typically
FIXATION_S = (0.25, 0.90)              # shortest fixation, mean of the exponential rest
SACCADE_S = 0.05
CENTRE_PROBABILITY = 0.40              # EmoFace, section 3.3
ECCENTRICITY = (0.08, 0.35)            # radius of a gaze target, in units of the look controls
NOD_RAD, SWAY_RAD = 0.06, 0.025        # head motion of an average actor: tied to stress; free

DRIFTING = {                           # control -> size of its drift for an average session
    "browInnerUp": 0.07, "browOuterUpLeft": 0.06, "browOuterUpRight": 0.06, "browDownLeft": 0.07, "browDownRight": 0.07,
    "eyeSquintLeft": 0.06, "eyeSquintRight": 0.06, "cheekSquintLeft": 0.04, "cheekSquintRight": 0.04,
    "mouthSmileLeft": 0.04, "mouthSmileRight": 0.04, "mouthPressLeft": 0.04, "mouthPressRight": 0.04,
    "mouthLeft": 0.04, "mouthRight": 0.04, "jawLeft": 0.03, "jawRight": 0.03, "noseSneerLeft": 0.03,
    "noseSneerRight": 0.03,
}


@dataclass(frozen=True)
class Nuisance:
    """Draws for one clip: `blinks` onset times in s, `lids` (T,) closure 0..1, `gaze` (T, 2) right and up as the viewer
    sees it, `drift` (T, 52) added to the rig, `sway` (T, 3) radians added to the pose, `nod` size of nods."""

    blinks: tuple[float, ...]
    lids: np.ndarray
    gaze: np.ndarray
    drift: np.ndarray
    sway: np.ndarray
    nod: float


def stream(purpose: str, *key: int | str) -> np.random.Generator:
    """Generator of one purpose and key; words enter by their CRC-32, so the stream is the same on every machine."""
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in (purpose, *key)]
    return np.random.default_rng(words)


def draw(actor: int, session: int, seed: int, sentence: str, times_s: np.ndarray) -> Nuisance:
    """All nuisance of a clip at the given times (T,)."""
    clip, mood = (actor, session, seed, sentence), stream("mood", actor, session, seed)
    drift_size, sway_size, nod = mood.uniform([0.5, 0.5, 0.6], [1.5, 1.5, 1.4])
    sway_axes = mood.dirichlet([4, 4, 4]) * 3
    blinks = blink_times(stream("blink", *clip), float(times_s[-1]) if len(times_s) else 0.0)
    return Nuisance(
        blinks=blinks,
        lids=lid_closure(blinks, times_s),
        gaze=gaze_path(stream("gaze", *clip), times_s),
        drift=drift_size * _drift(stream("drift", *clip), times_s),
        sway=sway_size * SWAY_RAD * sway_axes * slow_noise(stream("sway", *clip), times_s, 3, (0.1, 0.7)),
        nod=float(nod),
    )


def blink_times(rng: np.random.Generator, duration_s: float) -> tuple[float, ...]:
    """Onsets in [0, duration_s]; rates per minute are log-normal (BLINKS_PER_MINUTE), an interval is 60 / rate."""
    onset, onsets = -WARM_UP_S, []
    while onset <= duration_s:
        if onset >= 0:
            onsets.append(onset)
        onset += blink_interval(rng)
    return tuple(onsets)


def blink_interval(rng: np.random.Generator) -> float:
    """Seconds from one blink to the next."""
    return max(SHORTEST_BLINK_INTERVAL_S, 60 / rng.lognormal(*BLINKS_PER_MINUTE))


def lid_closure(blinks: tuple[float, ...], times_s: np.ndarray) -> np.ndarray:
    """Closure (T,) of the lids in 0..1: 100 ms closing, 40 ms closed, 200 ms opening, each a raised cosine."""
    closure = np.zeros(len(times_s))
    knots = np.cumsum([0, CLOSING_S, CLOSED_S, OPENING_S])
    for onset in blinks:
        ramp = np.interp(times_s - onset, knots, [0, 1, 1, 0], left=0, right=0)
        closure = np.maximum(closure, 0.5 - 0.5 * np.cos(np.pi * ramp))
    return closure


def gaze_path(rng: np.random.Generator, times_s: np.ndarray) -> np.ndarray:
    """Gaze (T, 2): fixations joined by saccades of 50 ms, x to the viewer's right, y up."""
    end = float(times_s[-1]) if len(times_s) else 0.0
    time, knots, points = 0.0, [0.0], [_gaze_target(rng)]
    while time <= end:
        time += FIXATION_S[0] + rng.exponential(FIXATION_S[1])
        target = _gaze_target(rng)
        knots += [time, time + SACCADE_S]
        points += [points[-1], target]
    return np.stack([np.interp(times_s, knots, axis) for axis in np.array(points).T], axis=1)


def _gaze_target(rng: np.random.Generator) -> np.ndarray:
    centred, radius, angle = rng.uniform(size=3)
    if centred < CENTRE_PROBABILITY:
        return np.zeros(2)
    low, high = ECCENTRICITY
    return (low + (high - low) * radius) * np.array([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)])


def slow_noise(rng: np.random.Generator, times_s: np.ndarray, columns: int, band_hz: tuple[float, float]) -> np.ndarray:
    """Noise (T, columns) of variance 1: five sinusoids per column with frequencies in the band."""
    frequency = rng.uniform(*band_hz, size=(5, columns))
    phase = rng.uniform(0, 2 * np.pi, size=(5, columns))
    return np.sqrt(2 / 5) * np.sin(2 * np.pi * times_s[:, None, None] * frequency + phase).sum(1)


def _drift(rng: np.random.Generator, times_s: np.ndarray) -> np.ndarray:
    drift = np.zeros((len(times_s), len(ARKIT)))
    columns = [index(name) for name in DRIFTING]
    drift[:, columns] = slow_noise(rng, times_s, len(columns), (0.1, 0.8)) * np.array(list(DRIFTING.values()))
    return drift


def nods(activity: np.ndarray) -> np.ndarray:
    """Head pose (T, 3) of nods that follow stress, for nod size 1: pitch down where speech is louder than around."""
    return np.stack([NOD_RAD * activity, np.zeros_like(activity), np.zeros_like(activity)], axis=1)


def move_eyes(rig: np.ndarray, nuisance: Nuisance) -> np.ndarray:
    """The rig (T, 52) with lids closing in blinks and eyes following the gaze."""
    moved, closure = rig.copy(), nuisance.lids
    for side in ("Left", "Right"):
        blink, wide = index(f"eyeBlink{side}"), index(f"eyeWide{side}")
        moved[:, blink] = 1 - (1 - rig[:, blink]) * (1 - closure)
        moved[:, wide] = rig[:, wide] * (1 - closure)
    return _look(moved, nuisance.gaze)


def _look(rig: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """Set the look controls: the viewer's right is outwards for the subject's left eye and inwards for the right."""
    right, left = np.maximum(gaze[:, 0], 0), np.maximum(-gaze[:, 0], 0)
    for name, value in (("OutLeft", right), ("InRight", right), ("InLeft", left), ("OutRight", left)):
        rig[:, index(f"eyeLook{name}")] = value
    for side in ("Left", "Right"):
        rig[:, index(f"eyeLookUp{side}")] = np.maximum(gaze[:, 1], 0)
        rig[:, index(f"eyeLookDown{side}")] = np.maximum(-gaze[:, 1], 0)
    return rig
