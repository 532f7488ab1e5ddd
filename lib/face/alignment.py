"""Rigid and similarity alignment of point sets, all frames at once.

    minimise over s, R, t   sum_i w_i || s R x_i + t - y_i ||^2

Kabsch (1976) gives R and t with s = 1; Umeyama (1991) gives s as well. Points correspond by index.
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError


@dataclass(frozen=True)
class Similarity:
    """x -> scale * R x + shift, one per frame: scale (T,), rotation (T, 3, 3), shift (T, 3)."""

    scale: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Transform points (T, P, D)."""
        turned = points @ self.rotation.mT                              # einsum takes twenty times as long
        return (self.scale[:, None, None] * turned + self.shift[:, None]).astype(points.dtype, copy=False)


def rotation(pose: np.ndarray) -> np.ndarray:
    """Rotation matrices (T, 3, 3) of pitch, yaw, roll (T, 3) in radians: R = Rz(roll) Ry(yaw) Rx(pitch).

    Positive pitch looks down, positive yaw turns the nose to the image right, positive roll tips the head to the
    image left.
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.asarray(pose, float)).T, np.sin(np.asarray(pose, float)).T
    rows = [[cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx]]
    return np.moveaxis(np.array(rows), -1, 0)


def similarity(source: np.ndarray, target: np.ndarray, scaled: bool = True) -> Similarity:
    """Best similarity (Umeyama) of source (T, P, D) onto target (P, D) or (T, P, D); rigid when not `scaled`."""
    source = np.asarray(source)
    target = np.broadcast_to(target, source.shape)
    if source.ndim != 3 or source.shape[1] < source.shape[2]:
        raise InputError(f"alignment: expected (frames, points, axes) with points >= axes, got {source.shape}")
    mean_s, mean_t = source.mean(1), target.mean(1)
    centred_s, centred_t = source - mean_s[:, None], target - mean_t[:, None]
    u, d, vt = np.linalg.svd(centred_t.mT @ centred_s)
    sign = np.ones_like(d)
    sign[:, -1] = np.sign(np.linalg.det(u) * np.linalg.det(vt))          # a reflection is not a rotation
    turn = (u * sign[:, None]) @ vt
    scale = (d * sign).sum(-1) / (centred_s**2).sum((1, 2)) if scaled else np.ones(len(source))
    shift = mean_t - scale[:, None] * np.einsum("tij,tj->ti", turn, mean_s)
    return Similarity(scale, turn, shift)


def rigid(source: np.ndarray, target: np.ndarray) -> Similarity:
    """Best rotation and shift (Kabsch) of source (T, P, D) onto target (P, D) or (T, P, D)."""
    return similarity(source, target, scaled=False)


def stabilise(points: np.ndarray, template: np.ndarray, on: np.ndarray, scaled: bool = False) -> np.ndarray:
    """Points (T, P, D) with head motion removed: each frame fitted to the template on the points `on`."""
    return similarity(points[:, on], template[on], scaled)(points)
