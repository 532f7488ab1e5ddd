"""Emotional faces: action-unit recipes in rig controls, their intensity, and their course in time.

Recipes follow the prototypes of EMFACS (Friesen and Ekman 1983; Ekman, Friesen and Hager 2002), translated from action
units to ARKit's controls. With expressivity g and accent a of the actor (a factor per control), intensity x, envelope
e(t) and side s = left, right:

    control_s(t) = recipe * response(x) * g * a * (1 +- asymmetry) * e(t),      response(x) = x (1 + K (1 - x))

The response is slightly concave (K = 0.25), our choice: it gives methods that interpolate linearly something to miss.
It increases strictly on 0..1, with response(0) = 0 and response(1) = 1: intensity 0 is exactly the neutral face.
Speech and emotion interact: an emotion also changes how large jaw, lips and rounding move (`manner`), and rounding
takes room from a smile (`room_for_speech`).
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.face.rig import ARKIT, index
from lib.puppet.actors import Actor
from lib.puppet.mouth import Manner, smooth

K_RESPONSE = 0.25

# Short names stand for both sides; a side is named where only one moves. Values are for full intensity, expressivity 1.
RECIPES: dict[str, dict[str, float]] = {
    "neutral": {},
    "happy": dict(mouthSmile=0.72, cheekSquint=0.75, eyeSquint=0.40, mouthDimple=0.15, mouthUpperUp=0.14,
                  browOuterUp=0.12),                                              # AU 6 + 12
    "sad": dict(browInnerUp=0.85, browDown=0.22, mouthFrown=0.62, mouthShrugLower=0.30, eyeSquint=0.18,
                eyeBlink=0.16),                                                   # AU 1 + 4 + 15 + 17, drooping lids
    "angry": dict(browDown=0.92, eyeSquint=0.42, eyeWide=0.22, noseSneer=0.42, mouthPress=0.30, mouthLowerDown=0.20,
                  mouthUpperUp=0.16, jawForward=0.30, mouthFrown=0.15),           # AU 4 + 5 + 7 + 23
    "fearful": dict(browInnerUp=0.75, browOuterUp=0.35, browDown=0.20, eyeWide=0.90, mouthStretch=0.55,
                    mouthLowerDown=0.16, jawOpen=0.05),                           # AU 1 + 2 + 4 + 5 + 20 + 26
    "disgusted": dict(noseSneer=0.90, mouthUpperUp=0.42, browDown=0.45, eyeSquint=0.55, cheekSquint=0.45,
                      mouthFrown=0.30, mouthShrugLower=0.25),                     # AU 9 + 10 + 15 + 17
    "surprised": dict(browInnerUp=0.90, browOuterUp=0.95, eyeWide=0.72, jawOpen=0.16, mouthFunnel=0.08),   # AU 1+2+5+26
    "contempt": dict(mouthSmileRight=0.55, mouthDimpleRight=0.75, cheekSquintRight=0.35, browOuterUpRight=0.45,
                     eyeSquint=0.28, eyeBlink=0.12, mouthPress=0.18),             # AU 12 + 14 of one side
}
# Size of speech movements at full intensity, in the order jaw, lips, rounding
ARTICULATION = {
    "neutral": (1.0, 1.0, 1.0),
    "happy": (1.10, 1.15, 0.80),
    "sad": (0.72, 0.75, 0.90),
    "angry": (1.25, 1.25, 1.05),
    "fearful": (0.88, 1.10, 0.85),
    "disgusted": (0.85, 1.05, 0.85),
    "surprised": (1.22, 1.00, 1.10),
    "contempt": (0.80, 0.85, 0.95),
}
# Carriage of the head at full intensity: pitch (positive = down), yaw, roll in radians
CARRIAGE = {
    "neutral": (0.0, 0.0, 0.0),
    "happy": (-0.03, 0.0, 0.02),
    "sad": (0.12, 0.0, 0.03),
    "angry": (0.06, 0.0, 0.0),
    "fearful": (-0.04, 0.03, 0.0),
    "disgusted": (-0.05, 0.05, 0.02),
    "surprised": (-0.07, 0.0, 0.0),
    "contempt": (-0.06, 0.0, 0.05),
}


@dataclass(frozen=True)
class State:
    """Emotional state of a session, shared by its clips: course of the envelope, shift of the actor's asymmetry."""

    base: float = 0.75             # envelope in silence; 1 in loud speech
    attack_s: float = 0.20         # time from the first frame to the base
    asymmetry: float = 0.0         # added to the actor's


def session_state(rng: np.random.Generator) -> State:
    """Draw the state of a session: always three numbers, whatever the emotion."""
    base, attack_s, asymmetry = rng.uniform([0.65, 0.10, -0.05], [0.85, 0.30, 0.05])
    return State(float(base), float(attack_s), float(asymmetry))


def response(intensity: float) -> float:
    """Share of the full expression shown at an intensity in 0..1; strictly increasing, 0 -> 0, 1 -> 1."""
    if not 0 <= intensity <= 1:
        raise InputError(f"intensity must lie between 0 and 1, got {intensity}")
    return intensity * (1 + K_RESPONSE * (1 - intensity))


def recipe(emotion: str) -> np.ndarray:
    """Control values (52,) of an emotion at full intensity, both sides equal unless the recipe names one."""
    if emotion not in RECIPES:
        raise InputError(f"emotion {emotion!r} is unknown; choose one of {', '.join(RECIPES)}")
    values = np.zeros(len(ARKIT))
    for name, value in RECIPES[emotion].items():
        sides = [name] if name in ARKIT else [f"{name}Left", f"{name}Right"]
        values[[index(side) for side in sides]] = value
    return values


def sides(asymmetry: float) -> np.ndarray:
    """Factors (52,): 1 + asymmetry for left controls, 1 - asymmetry for right ones, 1 for the others."""
    sign = [name.endswith("Left") - name.endswith("Right") for name in ARKIT]
    return 1 + asymmetry * np.array(sign, float)


def envelope(activity: np.ndarray, times_s: np.ndarray, state: State = State()) -> np.ndarray:
    """Course of an emotion (T,) in 0..1 from speech activity (T,) in 0..1: slower than speech, never gone in pauses."""
    slow = smooth(activity[:, None], times_s, 0.18)[:, 0]
    attack = np.sin(0.5 * np.pi * np.minimum((times_s + 0.1) / (state.attack_s + 0.1), 1))
    return attack * (state.base + (1 - state.base) * slow)


def emotion_curves(emotion: str, intensity: float, actor: Actor, course: np.ndarray,
                   state: State = State()) -> np.ndarray:
    """Rig curves (T, 52) of the emotion alone, from its course (T,), not yet limited; exactly 0 at intensity 0."""
    size = response(intensity) * actor.expressivity
    return course[:, None] * (size * recipe(emotion) * actor.accent * sides(actor.asymmetry + state.asymmetry))


def manner(emotion: str, intensity: float, actor: Actor) -> Manner:
    """Sizes of speech movements: trait of the actor times effect of the emotion."""
    amount = response(intensity) * actor.expressivity
    jaw, lips, rounding = (1 + amount * (size - 1) for size in ARTICULATION[emotion])
    return Manner(actor.articulation * jaw, lips, actor.rounding * rounding)


CORNERS = tuple(index(f"mouth{part}{side}") for part in ("Smile", "Stretch", "Frown", "Dimple")
                for side in ("Left", "Right"))


def room_for_speech(emotional: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Emotional curves (T, 52) reduced at the mouth corners where speech rounds the lips, up to 60 %."""
    rounding = np.maximum(speech[:, index("mouthPucker")], speech[:, index("mouthFunnel")])
    reduced = emotional.copy()
    reduced[:, CORNERS] *= 1 - 0.6 * np.clip(rounding, 0, 1)[:, None]
    return reduced


def carriage(emotion: str, intensity: float, actor: Actor, course: np.ndarray) -> np.ndarray:
    """Head pose (T, 3) that goes with an emotion: pitch, yaw, roll in radians."""
    return course[:, None] * (response(intensity) * actor.expressivity * np.array(CARRIAGE[emotion]))
