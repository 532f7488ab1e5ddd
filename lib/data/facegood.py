"""FACEGOOD Audio2Face training pairs: Mandarin speech of one speaker with 116 rig weights per frame, 30 fps.

The columns are found by name. The release has two orders of names; the one under which left and right twins move alike
(its shirley_1015_bs_name.npy) is ORDER.
"""

from pathlib import Path
from typing import Any

import numpy as np

from lib import audio
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of, sounds
from lib.errors import InputError, explain

FPS = 30.0
WIDTH = 116
ORDER = """
    brow_lower_l tongue_Scale_X tongue_Scale__X tongue_Scale_Y tongue_Scale__Y tongue_Scale_Z tongue_Scale__Z
    nose_out_l nose_out_r tongue_u tongue_u_u cheek_suck_r brow_raise_d mouth_stretch_u tongue_u_d tooth_d_d
    tongue_d tooth_r tooth_d_u cheek_UP eye_blink1_l eye_blink1_r eye_blink2_l eye_blink2_r eye_lidTight_l
    eye_lidTight_r eye_shutTight_l eye_shutTight_r brow_lower_r eye_upperLidRaise_l eye_upperLidRaise_r
    eye_downLidRaise_l eye_downLidRaise_r jaw_sideways_l jaw_sideways_r jaw_thrust_c mouth_chew_c mouth_chinRaise_d
    mouth_chinRaise_u brow_raise_c mouth_dimple_l mouth_dimple_r mouth_funnel_dl mouth_funnel_dr mouth_funnel_ul
    mouth_funnel_ur mouth_lipCornerDepressFix_l mouth_lipCornerDepressFix_r mouth_lipCornerDepress_l
    mouth_lipCornerDepress_r brow_raise_l mouth_lipCornerPullOpen_l mouth_lipCornerPullOpen_r mouth_lipCornerPull_l
    mouth_lipCornerPull_r mouth_lipStretchOpen_l mouth_lipStretchOpen_r mouth_lipStretch_l mouth_lipStretch_r
    mouth_lowerLipDepress_l mouth_lowerLipDepress_r brow_raise_r mouth_lowerLipProtrude_c mouth_oh_c mouth_oo_c
    mouth_pressFix_c mouth_press_l mouth_press_r mouth_pucker_l mouth_pucker_r mouth_screamFix_c mouth_sideways_l
    cheek_puff_l mouth_sideways_r mouth_stretch_c mouth_suck_dl mouth_suck_dr mouth_suck_ul mouth_suck_ur
    mouth_upperLipRaise_l mouth_upperLipRaise_r nose_wrinkle_l nose_wrinkle_r cheek_puff_r tooth_l eye_lookDown1_l
    eye_lookDown2_l eye_lookLeft_l eye_lookRight_l eye_lookUp_l eye_lookDown1_r eye_lookDown2_r eye_lookLeft_r
    cheek_raise_l eye_lookRight_r eye_lookUp_r tongue_Rot_1X tongue_Rot__1X tongue_Rot_2X tongue_Rot__2X
    tongue_Rot_3X tongue_Rot__3X tongue_Rot_1Y tongue_Rot__1Y cheek_raise_r tongue_Rot_2Y tongue_Rot__2Y
    tongue_Rot_3Y tongue_Rot__3Y tongue_Rot_1Z tongue_Rot__1Z tongue_Rot_2Z tongue_Rot__2Z tongue_Rot_3Z
    tongue_Rot__3Z cheek_suck_l
"""
NAMES = tuple(ORDER.split())


def clips(folder: Path | str | None = None) -> Clips:
    """Takes below `folder` (default: the asset "facegood_blendshapes"); labels: id, take. `motion` is (T, 116)."""
    folder = folder_of("facegood_blendshapes", folder)
    rows = [{"id": f"facegood-{path.stem}", "take": path.stem, "path": path, "weights": _weights_of(folder, path.stem)}
            for path in sounds(folder / "wav", "FACEGOOD takes", "*")]
    return Clips(rows, _read)


def weights(path: Path | str) -> tuple[np.ndarray, tuple[str, ...], float]:
    """Weights (T, 116) float32 in the order NAMES, NAMES, and the fps of a take.

    Reads the released bare array (.npy, columns in that order, 30 fps) and an .npz with weights, names and fps. Raises
    InputError naming the missing columns, or what else differs.
    """
    path = Path(path)
    values, names, fps = _stored(path)
    missing = [name for name in NAMES if name not in names]
    if missing:
        raise InputError(f"{path}: column(s) {', '.join(missing[:5])} missing; expected {WIDTH}; export the take again")
    if values.shape != (len(values), len(names)) or not len(values) or not np.isfinite(values).all() or fps != FPS:
        raise InputError(f"{path}: weights {values.shape} for {len(names)} names at {fps:g} fps; "
                         f"expected finite (T, {WIDTH}) at {FPS:g}")
    return values[:, [names.index(name) for name in NAMES]], NAMES, fps


def _stored(path: Path) -> tuple[np.ndarray, list[str], float]:
    try:
        data = np.load(path, allow_pickle=False)
        if path.suffix == ".npy":
            return np.asarray(data, np.float32), list(NAMES), FPS
        with data:
            return np.asarray(data["weights"], np.float32), data["names"].tolist(), float(data["fps"])
    except Exception as error:                       # zipfile, numpy and zlib each raise their own kinds
        raise InputError(f"{path}: expected an .npz with weights, names and fps ({explain(error)})") from error


def _weights_of(folder: Path, take: str) -> Path:
    """The .npz of a take where it is there, else the released .npy."""
    repacked = folder / f"bs_value_{take}.npz"
    return repacked if repacked.exists() else repacked.with_suffix(".npy")


def _read(row: dict[str, Any]) -> Clip:
    values, names, fps = weights(row["weights"])
    return Clip(id=row["id"], audio=audio.load(row["path"]), speaker="facegood-shirley", source="facegood", fps=fps,
                motion=values, motion_kind="facegood116", extra={"names": names, "language": "zh"})
