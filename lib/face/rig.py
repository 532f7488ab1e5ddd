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


# --- MetaHuman ------------------------------------------------------------------------------------------------------
# Short names: "jaw" is the attribute translateY of CTRL_C_jaw (CTRL_L_, CTRL_R_, CTRL_), "jaw:X" its translateX.
_CENTRE = """
eye:X eye eye_parallelLook jaw:X jaw jaw_fwdBack jaw_openExtreme mouth:X mouth mouth_lipShiftD mouth_lipShiftU
mouth_stickyD mouth_stickyU neck_swallow teethD:X teethD teethU:X teethU teeth_fwdBackD teeth_fwdBackU tongue:X
tongue tongue_inOut tongue_narrowWide tongue_press tongue_tip:X tongue_tip tongue_tip:X tongue_tip
"""
_SIDE = """
brow_down brow_lateral brow_raiseIn brow_raiseOut ear_up eye:X eye eye_blink eye_cheekRaise eye_eyelidD
eye_eyelidU eye_faceScrunch eye_lidPress eye_pupil eye_squintInner eyelashes_tweakerIn eyelashes_tweakerOut
jaw_ChinRaiseD jaw_ChinRaiseU jaw_chinCompress jaw_clench mouth_corner:X mouth_corner mouth_cornerDepress
mouth_cornerPull mouth_cornerSharpnessD mouth_cornerSharpnessU mouth_dimple mouth_funnelD mouth_funnelU
mouth_lipBiteD mouth_lipBiteU mouth_lipSticky mouth_lipsBlow mouth_lipsPressU mouth_lipsRollD mouth_lipsRollU
mouth_lipsTogetherD mouth_lipsTogetherU mouth_lipsTowardsTeethD mouth_lipsTowardsTeethU mouth_lowerLipDepress
mouth_pressD mouth_pressU mouth_purseD mouth_purseU mouth_pushPullD mouth_pushPullU mouth_sharpCornerPull
mouth_stickyInnerD mouth_stickyInnerU mouth_stickyOuterD mouth_stickyOuterU mouth_stretch mouth_stretchLipsClose
mouth_suckBlow mouth_thicknessD mouth_thicknessU mouth_tightenD mouth_tightenU mouth_towardsD mouth_towardsU
mouth_upperLipRaise neck_mastoidContract neck_stretch nose:X nose nose_nasolabialDeepen nose_wrinkleUpper
"""
_GLOBAL = """
lookAtSwitch neckCorrectivesMultiplyerD neckCorrectivesMultiplyerM neckCorrectivesMultiplyerU
neck_digastricUpDown neck_throatExhaleInhale neck_throatUpDown
"""


def _columns(prefix: str, short: str) -> list[str]:
    """Full column names of a block of short names."""
    parts = (name.partition(":") for name in short.split())
    return [f"{prefix}{control}-translate{axis or 'Y'}" for control, _, axis in parts]


METAHUMAN = (*_columns("CTRL_C_", _CENTRE), *_columns("CTRL_L_", _SIDE), *_columns("CTRL_R_", _SIDE),
             *_columns("CTRL_", _GLOBAL))
# ARKit control -> MetaHuman columns it drives alike; {S} stands for L or R of the control's own side
_LINKS = {
    "eyeBlink": ("{S}_eye_blink",), "eyeSquint": ("{S}_eye_squintInner",), "eyeWide": ("{S}_eye_eyelidU",),
    "cheekSquint": ("{S}_eye_cheekRaise",), "noseSneer": ("{S}_nose_wrinkleUpper",), "browDown": ("{S}_brow_down",),
    "browOuterUp": ("{S}_brow_raiseOut",), "mouthSmile": ("{S}_mouth_cornerPull",),
    "mouthFrown": ("{S}_mouth_cornerDepress",), "mouthDimple": ("{S}_mouth_dimple",),
    "mouthStretch": ("{S}_mouth_stretch",), "mouthPress": ("{S}_mouth_pressU", "{S}_mouth_pressD"),
    "mouthLowerDown": ("{S}_mouth_lowerLipDepress",), "mouthUpperUp": ("{S}_mouth_upperLipRaise",),
    "browInnerUp": ("L_brow_raiseIn", "R_brow_raiseIn"), "cheekPuff": ("L_mouth_suckBlow", "R_mouth_suckBlow"),
    "jawForward": ("C_jaw_fwdBack",), "jawOpen": ("C_jaw",), "tongueOut": ("C_tongue_inOut",),
    "mouthClose": ("L_mouth_lipsTogetherU", "R_mouth_lipsTogetherU", "L_mouth_lipsTogetherD", "R_mouth_lipsTogetherD"),
    "mouthFunnel": ("L_mouth_funnelU", "R_mouth_funnelU", "L_mouth_funnelD", "R_mouth_funnelD"),
    "mouthPucker": ("L_mouth_purseU", "R_mouth_purseU", "L_mouth_purseD", "R_mouth_purseD"),
    "mouthRollLower": ("L_mouth_lipsRollD", "R_mouth_lipsRollD"),
    "mouthRollUpper": ("L_mouth_lipsRollU", "R_mouth_lipsRollU"),
    "mouthShrugLower": ("L_jaw_ChinRaiseD", "R_jaw_ChinRaiseD"),
    "mouthShrugUpper": ("L_jaw_ChinRaiseU", "R_jaw_ChinRaiseU"),
}
# opposite controls that share one signed column: (positive, negative, column)
_OPPOSITES = (
    ("jawLeft", "jawRight", "C_jaw:X"), ("mouthLeft", "mouthRight", "C_mouth:X"),
    ("eyeLookOutLeft", "eyeLookInLeft", "L_eye:X"), ("eyeLookInRight", "eyeLookOutRight", "R_eye:X"),
    ("eyeLookUpLeft", "eyeLookDownLeft", "L_eye"), ("eyeLookUpRight", "eyeLookDownRight", "R_eye"),
)


def metahuman_index(name: str) -> int:
    """Column of a MetaHuman attribute by full name, the first one where the name occurs twice (tip of the tongue)."""
    if name not in METAHUMAN:
        raise InputError(f"{name!r} is not one of the {len(METAHUMAN)} MetaHuman columns")
    return METAHUMAN.index(name)


def _full(short: str) -> int:
    control, _, axis = short.partition(":")
    return METAHUMAN.index(f"CTRL_{control}-translate{axis or 'Y'}")


def _link_matrix() -> np.ndarray:
    """Matrix (52, 174) of the linear map from the rig to the MetaHuman columns."""
    matrix = np.zeros((len(ARKIT), len(METAHUMAN)), np.float32)
    for name, row in zip(ARKIT, matrix, strict=True):
        side = "L" if name.endswith("Left") else "R"
        stem = name if name in _LINKS else name.removesuffix("Left").removesuffix("Right")
        for column in _LINKS.get(stem, ()):
            row[_full(column.format(S=side))] = 1.0
    for positive, negative, column in _OPPOSITES:
        matrix[_INDEX[positive], _full(column)], matrix[_INDEX[negative], _full(column)] = 1.0, -1.0
    return matrix


_MATRIX = _link_matrix()
_INVERSE = np.linalg.pinv(_MATRIX).astype(np.float32)
# the two centre columns carry what both eyes share, as EmoFace's gaze does; the side columns carry the rest
_GAZE = ((0, _full("L_eye:X"), _full("R_eye:X")), (1, _full("L_eye"), _full("R_eye")))


def to_metahuman(rig: np.ndarray) -> np.ndarray:
    """The 174 MetaHuman columns (T, 174) of rig curves (T, 52); columns without a counterpart stay zero.

    Opposite controls (look in and out, jaw left and right) share one signed column; the gaze common to both eyes goes
    to columns 0 and 1 (C_eye), where EmoFace writes gaze, only the rest to each eye.
    """
    columns = validate(rig) @ _MATRIX
    for centre, left, right in _GAZE:
        columns[:, centre] = (columns[:, left] + columns[:, right]) / 2
        columns[:, left] -= columns[:, centre]
        columns[:, right] -= columns[:, centre]
    return columns


def from_metahuman(columns: np.ndarray) -> np.ndarray:
    """Rig curves (T, 52) of MetaHuman columns (T, 174); exact for curves without two opposite controls at once."""
    columns = np.array(columns, np.float32)
    if columns.ndim != 2 or columns.shape[1] != len(METAHUMAN):
        raise InputError(f"MetaHuman curves: expected (frames, {len(METAHUMAN)}), got {columns.shape}")
    for centre, left, right in _GAZE:
        columns[:, left] += columns[:, centre]
        columns[:, right] += columns[:, centre]
        columns[:, centre] = 0
    rig = columns @ _INVERSE
    for positive, negative, _ in _OPPOSITES:
        signed = rig[:, _INDEX[positive]] - rig[:, _INDEX[negative]]
        rig[:, _INDEX[positive]], rig[:, _INDEX[negative]] = np.maximum(signed, 0), np.maximum(-signed, 0)
    return rig


def round_trip_error(rig: np.ndarray) -> np.ndarray:
    """Largest change (52,) of each control on the way to MetaHuman columns and back."""
    return np.abs(from_metahuman(to_metahuman(rig)) - rig).max(0)
