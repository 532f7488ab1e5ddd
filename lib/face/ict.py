"""The ICT face driven by the same 52 ARKit curves (asset `ict_face_model`, USC ICT, MIT licence).

26,719 vertices with teeth and eyes; the model's unit is cm, ours mm. Its shapes split some of Apple's into a left
and a right half (browInnerUp, cheekPuff); it has no tongue shape.
"""

import functools
import json

import numpy as np

from lib.face.alignment import rotation
from lib.face.rig import ARKIT, validate
from lib.face.topology import Topology, surface_area
from lib.paths import asset

ASSET = "ict_face_model"
REMEDY = "get the folder `ict_face_model` (see data_manifest.yaml) and name its parent in STUDY_DATA"
NECK_PIVOT = np.array([0.0, -90.0, -15.0], np.float32)
SKIN, NARROW_FACE = 9409, 6706                 # vertices 0..SKIN-1 are the face skin, counts from the model's notes
# parts by vertex range, as listed in the documentation of the ICT-FaceKit
_PARTS = {"skin": (0, 11248), "mouth": (11248, 13294), "lid_edge": (13294, 14062), "gums": (14062, 17039),
          "teeth": (17039, 21451), "sclera": (21451, 24591), "lashes": (25351, 26719)}
# transparent shells over the eyes and the lower lash cards: they need transparency to look right
HIDDEN = ((24591, 25351), (25693, 26035), (26377, 26719))
LASH_MM = 2.2                                  # of the opaque upper lash cards only the roots are drawn, as a lash line
PUPIL_MM, IRIS_MM = 2.2, 5.6
FADE_MM = 2.4                                  # width over which lips and brows pass into skin
BROW_DROP_MM, BROW_MM, BROW_TAPER = 4.0, 4.2, 0.55    # below the landmarks (its upper rim); half width; share lost
_SPLIT = ("browInnerUp", "cheekPuff")


def ict_names(name: str) -> tuple[str, ...]:
    """Names of the ICT shapes that make up an ARKit control; empty for tongueOut."""
    if name in _SPLIT:
        return f"{name}_L", f"{name}_R"
    if name == "tongueOut":
        return ()
    return (name.replace("Left", "_L").replace("Right", "_R"),) if name.startswith(_SIDED) else (name,)


_SIDED = ("eye", "mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch", "mouthPress", "mouthLowerDown",
          "mouthUpperUp", "browDown", "browOuterUp", "cheekSquint", "noseSneer")


class IctFace:
    """Linear face model with ARKit names; `ict_face()` returns the shared one. Distances in mm."""

    def __init__(self):
        folder = asset(ASSET, REMEDY)
        with np.load(folder / "ict_expressions.npz") as data:
            self.mean = (data["neutral"] * 10).astype(np.float32)                       # (26719, 3)
            quads, names = data["faces"], list(data["expression_names"])
            deltas = data["expression_deltas"].astype(np.float32) * 10
        meta = json.loads((folder / "vertex_indices.json").read_text())
        shapes = np.zeros((len(ARKIT), *self.mean.shape), np.float32)
        for k, name in enumerate(ARKIT):
            for part in ict_names(name):
                shapes[k] += deltas[names.index(part)]
        self._moving = np.where(np.abs(shapes).max((0, 2)) > 0)[0]                     # the rest costs nothing
        self._shapes = np.ascontiguousarray(shapes[:, self._moving].reshape(len(ARKIT), -1))
        pupils = np.abs([deltas[names.index(f"PupilDilate_{side}")] for side in "LR"]).max((0, 2))
        self.topology = _topology(self.mean, quads, np.array(meta["idx_to_landmark_verts"], np.int32), pupils)

    def vertices(self, rig: np.ndarray, pose: np.ndarray | None = None) -> np.ndarray:
        """Vertices (T, 26719, 3) in mm for rig curves (T, 52) and head pose (T, 3)."""
        rig = validate(rig)
        x = np.repeat(self.mean[None], len(rig), 0)
        x[:, self._moving] += (rig @ self._shapes).reshape(len(rig), -1, 3)
        if pose is not None:
            x = (x - NECK_PIVOT) @ rotation(pose).astype(np.float32).mT + NECK_PIVOT
        return x


def _topology(p: np.ndarray, quads: np.ndarray, landmarks: np.ndarray, pupils: np.ndarray) -> Topology:
    """Triangles of the quads, regions by geometry of the neutral face, landmarks of the model.

    `pupils` (V,) is how far the shape that dilates the pupils moves each vertex.
    """
    quads = quads[_drawn(p, quads)]
    four = quads[quads[:, 3] >= 0]
    faces = np.concatenate([quads[:, :3], four[:, [0, 2, 3]]]).astype(np.int32)
    skin = np.arange(SKIN)
    x, y, z = p[skin].T
    eyes = [np.linalg.norm(p[skin] - p[landmarks[k:k + 6]].mean(0), axis=1) for k in (36, 42)]
    regions = {"lips": skin[_inside_lips(p[skin], p[landmarks])], "mouth": skin[(y < -12) & (y > -88) & (z > 60)],
               "upper_face": skin[(y > 12) & (y < 95) & (z > 55)], "eyes": skin[np.minimum(*eyes) < 24],
               "front": skin[:NARROW_FACE]}
    parts = {name: np.arange(*span) for name, span in _PARTS.items()}
    parts["lips"] = regions["lips"]
    parts |= _irises(p, parts["sclera"], pupils)
    unit = float(np.sqrt(surface_area(p, faces[(faces < SKIN).all(1)])))
    return Topology("ict", faces, regions, landmarks, unit, parts, _tints(p, landmarks))


def _drawn(p: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Which quads (Q,) can be seen: not the hidden parts, and of the upper lashes what is close to a lid."""
    from scipy.spatial import cKDTree

    first, last = _PARTS["lashes"]
    lids = cKDTree(np.concatenate([p[:SKIN], p[slice(*_PARTS["lid_edge"])]]))
    away = np.zeros(len(p) + 1, bool)                                 # one more: the -1 of triangles stands for it
    away[first:last] = lids.query(p[first:last])[0] > LASH_MM
    for a, b in HIDDEN:
        away[a:b] = True
    return ~away[quads].any(1)


def _tints(p: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """Lips within their outline and brows along theirs, fading over FADE_MM; weights (V,), zero off the skin."""
    lips, brows = np.zeros(len(p), np.float32), np.zeros(len(p), np.float32)
    outline = _dense(p[landmarks[[*range(48, 60), 48]], :2])
    away = _distance(p[:SKIN, :2], outline)[0] * np.where(_inside_lips(p[:SKIN], p[landmarks]), 1, -1)
    lips[:SKIN] = np.clip(0.5 + away / FADE_MM, 0, 1)
    for outer_to_inner in (range(17, 22), range(26, 21, -1)):
        line = _dense(p[landmarks[list(outer_to_inner)], :2] - [0, BROW_DROP_MM])
        away, along = _distance(p[:SKIN, :2], line)
        half = BROW_MM * (1 - BROW_TAPER * (1 - along))
        front = p[:SKIN, 2] > p[landmarks[17], 2] - 8
        brows[:SKIN] = np.maximum(brows[:SKIN], front * np.clip(0.5 + (half - away) / FADE_MM, 0, 1))
    return {"lips": lips, "brows": brows}


def _dense(corners: np.ndarray, points: int = 200) -> np.ndarray:
    """Points (N, 2) along the line through the corners."""
    at = np.linspace(0, len(corners) - 1, points)
    return np.stack([np.interp(at, np.arange(len(corners)), corners[:, k]) for k in range(2)], 1)


def _distance(q: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N,) of points (N, 2) from a dense line, and how far along it (0..1) the closest point is."""
    from scipy.spatial import cKDTree

    away, index = cKDTree(line).query(q)
    return away, index / (len(line) - 1)


def _irises(p: np.ndarray, balls: np.ndarray, pupils: np.ndarray) -> dict[str, np.ndarray]:
    """Iris and pupil: front vertices of the eyeballs about the middle of what moves when the pupils dilate."""
    q = np.abs(p[balls])
    moving = q[(pupils[balls] > 0) & (q[:, 2] > q[:, 2].mean())]
    off = np.linalg.norm((q - (moving.min(0) + moving.max(0)) / 2)[:, :2], axis=1)
    off = np.where(q[:, 2] > q[:, 2].mean(), off, np.inf)
    return {"iris": balls[off < IRIS_MM], "pupil": balls[off < PUPIL_MM]}


def _inside_lips(p: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Which skin points lie within the outline of the 12 outer lip landmarks, seen from the front."""
    from lib.puppet.mesh import inside

    return inside(p[:, :2], landmarks[48:60, :2]) & (p[:, 2] > landmarks[48, 2] - 6)


@functools.cache
def ict_face() -> IctFace:
    """The shared ICT face; raises AssetMissing when the asset is absent."""
    return IctFace()
