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
        self.topology = _topology(self.mean, quads, np.array(meta["idx_to_landmark_verts"], np.int32))

    def vertices(self, rig: np.ndarray, pose: np.ndarray | None = None) -> np.ndarray:
        """Vertices (T, 26719, 3) in mm for rig curves (T, 52) and head pose (T, 3)."""
        rig = validate(rig)
        x = np.repeat(self.mean[None], len(rig), 0)
        x[:, self._moving] += (rig @ self._shapes).reshape(len(rig), -1, 3)
        if pose is not None:
            x = np.einsum("tij,tvj->tvi", rotation(pose).astype(np.float32), x - NECK_PIVOT) + NECK_PIVOT
        return x


def _topology(p: np.ndarray, quads: np.ndarray, landmarks: np.ndarray) -> Topology:
    """Triangles of the quads, regions by geometry of the neutral face, landmarks of the model."""
    quads = quads[~np.any([((quads >= a) & (quads < b)).any(1) for a, b in HIDDEN], axis=0)]
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
    parts |= _irises(p, parts["sclera"])
    unit = float(np.sqrt(surface_area(p, faces[(faces < SKIN).all(1)])))
    return Topology("ict", faces, regions, landmarks, unit, parts)


def _irises(p: np.ndarray, balls: np.ndarray) -> dict[str, np.ndarray]:
    """Iris and pupil: front vertices of the eyeballs within 6.2 and 2.4 mm of their axes."""
    q = np.abs(p[balls])
    centre = (q.min(0) + q.max(0)) / 2
    off = np.where(p[balls, 2] > centre[2], np.linalg.norm((q - centre)[:, :2], axis=1), np.inf)
    return {"iris": balls[off < 6.2], "pupil": balls[off < 2.4]}


def _inside_lips(p: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Which skin points lie within the outline of the 12 outer lip landmarks, seen from the front."""
    from lib.puppet.mesh import inside

    return inside(p[:, :2], landmarks[48:60, :2]) & (p[:, 2] > landmarks[48, 2] - 6)


@functools.cache
def ict_face() -> IctFace:
    """The shared ICT face; raises AssetMissing when the asset is absent."""
    return IctFace()
