"""The rig: 52 named face controls in 0..1, and the view of the same motion as 174 MetaHuman controllers.

Names of the 52 controls and their order: Apple's ARKit (`ARFaceAnchor.BlendShapeLocation`). Left and right are the
subject's. Names of the 174 columns: the controller list published with EmoFace (IEEE VR 2024), in which the tip of the
tongue occurs twice and the right-hand column is always the left-hand column + 69.
"""

import numpy as np

from lib.errors import InputError

ARKIT = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)
_INDEX = {name: i for i, name in enumerate(ARKIT)}


def index(name: str) -> int:
    """Column of a control in a rig array."""
    if name not in _INDEX:
        raise InputError(f"{name!r} is not one of the 52 ARKit controls; see lib.face.rig.ARKIT")
    return _INDEX[name]


def curves(frames: int = 1, **values: float | np.ndarray) -> np.ndarray:
    """Rig curves (frames, 52), all zero except the named controls (each a number or (frames,))."""
    rig = np.zeros((frames, len(ARKIT)), np.float32)
    for name, value in values.items():
        rig[:, index(name)] = value
    return rig


def mirror(rig: np.ndarray) -> np.ndarray:
    """Curves (..., 52) of the mirrored face: every ...Left control takes the ...Right value and the reverse."""
    return rig[..., _MIRROR]


def _swapped(name: str) -> str:
    left, right = name.endswith("Left"), name.endswith("Right")
    return name[:-4] + "Right" if left else name[:-5] + "Left" if right else name


_MIRROR = np.array([_INDEX[_swapped(name)] for name in ARKIT])


def validate(rig: np.ndarray) -> np.ndarray:
    """The curves as finite float32 (T, 52); raises InputError for another shape or for NaN."""
    rig = np.asarray(rig, np.float32)
    if rig.ndim != 2 or rig.shape[1] != len(ARKIT):
        raise InputError(f"rig curves: expected (frames, {len(ARKIT)}), got {rig.shape}")
    if not np.isfinite(rig).all():
        raise InputError("rig curves hold NaN or infinity; fill the gaps before use")
    return rig
