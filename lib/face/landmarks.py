"""The 68 landmarks of the iBUG 300-W scheme: index groups, openings and normalisation.

All indices are 0-based. "Right" is the subject's right, which is the left of the picture. Layout `(..., 68, 2 or 3)`.
"""

import numpy as np

from lib.errors import InputError

COUNT = 68
GROUPS: dict[str, np.ndarray] = {
    "jaw": np.arange(0, 17), "right_brow": np.arange(17, 22), "left_brow": np.arange(22, 27),
    "nose_bridge": np.arange(27, 31), "nose_base": np.arange(31, 36), "right_eye": np.arange(36, 42),
    "left_eye": np.arange(42, 48), "outer_lips": np.arange(48, 60), "inner_lips": np.arange(60, 68),
}
LIPS = np.arange(48, 68)
STABLE = np.array([27, 28, 29, 30, 33, 36, 39, 42, 45])     # nine points that speech hardly moves (MakeItTalk)
MIRROR = np.array([*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
                   39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66,
                   65])


def validate(points: np.ndarray) -> np.ndarray:
    """The points as an array (..., 68, 2 or 3) of finite numbers; raises InputError otherwise."""
    points = np.asarray(points)
    if points.ndim < 2 or points.shape[-2] != COUNT or points.shape[-1] not in (2, 3):
        raise InputError(f"landmarks: expected (..., {COUNT}, 2 or 3), got {points.shape}")
    if not np.isfinite(points).all():
        raise InputError("landmarks hold NaN or infinity: interpolate the missing frames first")
    return points


def _distance(points: np.ndarray, i: int, j: int) -> np.ndarray:
    return np.linalg.norm(points[..., i, :] - points[..., j, :], axis=-1)


def eye_aspect_ratio(points: np.ndarray) -> np.ndarray:
    """Eye aspect ratio, mean of both eyes (...,): height over width, about 0.25-0.35 open, below 0.2 closed.

        EAR = (|p37 - p41| + |p38 - p40|) / (2 |p36 - p39|), likewise 43-47, 44-46, 42-45 (Soukupova and Cech 2016)
    """
    points = validate(points)
    right = (_distance(points, 37, 41) + _distance(points, 38, 40)) / (2 * _distance(points, 36, 39))
    left = (_distance(points, 43, 47) + _distance(points, 44, 46)) / (2 * _distance(points, 42, 45))
    return (right + left) / 2


def lip_opening(points: np.ndarray) -> np.ndarray:
    """Distance between the middles of the inner lips, |p62 - p66| (...,), in the unit of the points."""
    return _distance(validate(points), 62, 66)


def lip_width(points: np.ndarray) -> np.ndarray:
    """Distance between the inner mouth corners, |p60 - p64| (...,), in the unit of the points."""
    return _distance(validate(points), 60, 64)


def project(points: np.ndarray, pose: np.ndarray | None = None) -> np.ndarray:
    """Orthographic picture (T, 68, 2) of landmarks (T, 68, 3): x to the right, y up, unit unchanged.

    With `pose` (T, 3) = pitch, yaw, roll in radians the points are first turned about their origin.
    """
    from lib.face.alignment import rotation

    points = validate(points)
    if pose is not None:
        points = points @ rotation(pose).mT
    return points[..., :2]


def standardise(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Window (T, 68, D) with zero mean and unit spread per axis over time and points; returns it, mean (D,), std (D,).

    Removes position and size of a face, keeps its rotation and motion (Ventriloquist-Net). Note that the spread
    contains the opening of the mouth, so a loud speaker shrinks his own unit.
    """
    points = validate(points)
    mean, std = points.mean((0, 1)), points.std((0, 1))
    return (points - mean) / np.maximum(std, 1e-8), mean, std
