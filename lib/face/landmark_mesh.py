"""68 landmarks as a mesh: flat ribbons along the contours, so that a player of meshes can show what has no surface.

Nothing is added to the landmarks: every vertex lies on a contour or half a line width beside it, at depth 0. Vertices
0 to 67 are the landmarks themselves; each line of a contour adds four corners of a strip.
"""

from functools import cache

import numpy as np

from lib.errors import InputError
from lib.face.drawing import PARTS
from lib.face.landmarks import COUNT, GROUPS, LIPS
from lib.face.topology import Topology

WIDTH_MM = 1.6                       # of a line, about the thickness that image translation is shown


@cache
def lines() -> np.ndarray:
    """Ends (L, 2) of all lines, landmark numbers."""
    ends = []
    for first, last, closed in PARTS.values():
        points = [*range(first, last + 1), *([first] if closed else [])]
        ends += list(zip(points[:-1], points[1:], strict=True))
    return np.array(ends)


@cache
def landmark_topology() -> Topology:
    """Connectivity of the ribbons; the lips have a region, as every face of the study has one."""
    corners = COUNT + 4 * np.arange(len(lines()))[:, None] + np.arange(4)                    # (L, 4)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [2, 1, 3]]]).astype(np.int32)
    parts = {name: _belonging(points) for name, points in (("lips", LIPS), ("brows", np.concatenate(
        [GROUPS["right_brow"], GROUPS["left_brow"]])))}
    upper = np.concatenate([GROUPS[name] for name in ("right_brow", "left_brow", "right_eye", "left_eye")])
    regions = {"lips": _belonging(LIPS), "upper_face": _belonging(upper)}
    return Topology("landmarks", faces, regions, np.arange(COUNT, dtype=np.int32), 1.0,
                    {"skin": np.arange(COUNT + 4 * len(lines())), **parts})


def _belonging(points: np.ndarray) -> np.ndarray:
    """Vertices of the lines between some landmarks, and these themselves."""
    inside = np.flatnonzero(np.isin(lines(), points).all(1))
    corners = COUNT + 4 * inside[:, None] + np.arange(4)
    return np.concatenate([np.asarray(points), corners.ravel()])


def ribbons(landmarks: np.ndarray, width: float = WIDTH_MM) -> np.ndarray:
    """Vertices (T, V, 3) of landmarks (T, 68, 2) with y up, in their unit; `width` of the lines in it.

    Raises InputError for other shapes. A line of length 0 gets a strip of no area.
    """
    landmarks = np.asarray(landmarks, np.float32)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (COUNT, 2):
        raise InputError(f"landmarks {landmarks.shape}: expected (T, {COUNT}, 2)")
    start, end = (landmarks[:, lines()[:, side]] for side in (0, 1))                         # (T, L, 2)
    along = end - start
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.stack([-along[..., 1], along[..., 0]], -1) / np.where(length > 0, length, 1) * (width / 2)
    corners = np.stack([start + across, start - across, end + across, end - across], 2).reshape(len(landmarks), -1, 2)
    flat = np.concatenate([landmarks, corners], 1)
    return np.concatenate([flat, np.zeros_like(flat[..., :1])], -1)
