"""The puppet's head: neutral shape, 14 identity modes, 52 ARKit expression shapes, turning jaw and eyes.

    x(t) = neutral(identity) + sum_k c_k(t) shape_k          additive
           then the jaw turns about its joint, the eyeballs turn in their sockets, the head takes its pose.

Two things are not additive. The jaw: each vertex turns by its share of the jaw's angle; `mouthClose` takes the share
of the lips back, so that equal jawOpen and mouthClose keep the lips shut. The lids: while an eye is closed by
eyeBlink, what its look, squint and wide shapes do to the lids fades by (1 - eyeBlink), so that lids do not cross.
"""

import functools

import numpy as np

from lib.errors import InputError
from lib.face.alignment import rotation
from lib.face.rig import index, validate
from lib.face.topology import Topology, surface_area
from lib.puppet import proportions as P
from lib.puppet.mesh import build
from lib.puppet.shapes import IDENTITY_MODES, SHEET, expression_basis, identity_basis

N_IDENTITY = len(IDENTITY_MODES)
JAW_ANGLE = 0.30                                     # radians at jawOpen = 1
GAZE_ANGLE = np.radians([22.0, 28.0, 30.0, 30.0])    # eyes at full look up, down, in, out
NECK_PIVOT = np.array([0.0, -60.0, -15.0], np.float32)


class Head:
    """Parametric head; `head()` returns the shared one. Distances in mm, angles in radians."""

    def __init__(self):
        mesh = build()
        self.mean = mesh.vertices.astype(np.float32)                                    # (V, 3)
        self.mirror = mesh.mirror
        basis, free, shut = expression_basis(mesh)
        self._shapes = basis.reshape(len(basis), -1).astype(np.float32)                # (52, 3V)
        self._jaw = np.stack([free, shut - free]).astype(np.float32)                   # (2, V)
        self._identity = identity_basis(mesh).reshape(N_IDENTITY, -1).astype(np.float32)
        side = mesh.vertices[:, 0] > 0
        ball = np.concatenate([mesh.parts[part] for part in ("sclera", "iris", "pupil")])
        self._balls = {"Left": np.sort(ball[side[ball]]), "Right": np.sort(ball[~side[ball]])}
        self.topology = _topology(mesh)

    @property
    def jaw_weights(self) -> np.ndarray:
        """Share (V,) of the jaw's rotation that each vertex takes with the lips free."""
        return self._jaw[0]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.mean)

    def neutral(self, identity: np.ndarray | None = None) -> np.ndarray:
        """Neutral face (V, 3) in mm of an identity (N_IDENTITY,) in standard deviations; None is the mean face."""
        if identity is None:
            return self.mean.copy()
        identity = np.asarray(identity, np.float32)
        if identity.shape != (N_IDENTITY,):
            raise InputError(f"identity: expected ({N_IDENTITY},) standard deviations, got {identity.shape}")
        return self.mean + (identity @ self._identity).reshape(-1, 3)

    def vertices(self, rig: np.ndarray, identity: np.ndarray | None = None, pose: np.ndarray | None = None,
                 only: np.ndarray | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in mm for rig curves (T, 52), head pose (T, 3) = pitch, yaw, roll.

        `only` (K,) computes just those vertices, (T, K, 3), in a fraction of the time.
        """
        rig = validate(rig)
        neutral = self.neutral(identity)
        keep = slice(None) if only is None else np.asarray(only)
        shapes = self._shapes if only is None else self._shapes.reshape(52, -1, 3)[:, keep].reshape(52, -1)
        x = (_gated(rig) @ shapes).reshape(len(rig), -1, 3)
        x += neutral[keep]
        self._turn_jaw(x, rig, keep)
        self._turn_eyes(x, rig, neutral, only)
        if pose is not None:
            x = (x - NECK_PIVOT) @ rotation(pose).astype(np.float32).mT + NECK_PIVOT
        return x

    def landmarks(self, rig: np.ndarray, identity: np.ndarray | None = None,
                  pose: np.ndarray | None = None) -> np.ndarray:
        """The 68 landmarks (T, 68, 3) in mm; same arguments as `vertices`."""
        return self.vertices(rig, identity, pose, only=self.topology.landmarks)

    def _turn_jaw(self, x: np.ndarray, rig: np.ndarray, keep) -> None:
        """Turn each vertex about the jaw joint (parallel to x) by its share of the jaw's angle, in place."""
        share = self._jaw[:, keep]
        moving = np.where(np.abs(share).sum(0) > 1e-4)[0]
        drive = rig[:, [index("jawOpen"), index("mouthClose")]]
        if not moving.size or not drive.any():
            return
        angle = JAW_ANGLE * np.maximum(drive @ share[:, moving], 0)                     # (T, M)
        sine, versine = np.sin(angle), 1 - np.cos(angle)
        y, z = (x[:, moving, k] - P.JAW_JOINT[k].astype(np.float32) for k in (1, 2))
        x[:, moving, 1] += -sine * z - versine * y
        x[:, moving, 2] += sine * y - versine * z

    def _turn_eyes(self, x: np.ndarray, rig: np.ndarray, neutral: np.ndarray, only: np.ndarray | None) -> None:
        """Turn the eyeballs about their centres by the look controls, in place."""
        for side, inwards in (("Left", -1.0), ("Right", 1.0)):
            ids = self._balls[side]
            centre = (neutral[ids].min(0) + neutral[ids].max(0)) / 2
            centre[2] = neutral[ids, 2].max() - (np.ptp(neutral[ids, 1])) / 2
            at = ids if only is None else np.where(np.isin(only, ids))[0]
            if at.size:
                up, down, into, out = (rig[:, index(f"eyeLook{way}{side}")] * angle
                                       for way, angle in zip(("Up", "Down", "In", "Out"), GAZE_ANGLE, strict=True))
                turn = rotation(np.stack([down - up, inwards * (into - out), np.zeros(len(rig))], -1))
                x[:, at] = (x[:, at] - centre) @ turn.astype(np.float32).mT + centre


def _gated(rig: np.ndarray) -> np.ndarray:
    """Rig curves with the other lid shapes faded by the blink of the same eye."""
    rig = rig.copy()
    for side in ("Left", "Right"):
        open_share = 1 - np.clip(rig[:, index(f"eyeBlink{side}")], 0, 1)
        for name in ("LookUp", "LookDown", "LookIn", "LookOut", "Squint", "Wide"):
            rig[:, index(f"eye{name}{side}")] *= open_share
    return rig


def _topology(mesh) -> Topology:
    """Regions, landmarks and unit of the puppet mesh."""
    p, parts = mesh.vertices, mesh.parts
    sheet = np.sort(np.concatenate([parts[name] for name in SHEET if name in parts]))
    outer = np.setdiff1d(sheet, np.concatenate([parts["mouth"], parts["lid_edge"]]))
    x, y, z = p[outer].T
    eye_gap = np.minimum(*(np.linalg.norm(p[outer] - P.EYE_CENTRE * [s, 1, 1], axis=1) for s in (1, -1)))
    regions = {
        "lips": np.sort(parts["lips"]),
        "mouth": outer[(y < -12) & (y > -88) & (z > 60)],
        "upper_face": outer[(y > 12) & (y < 95) & (z > 55)],
        "eyes": outer[(eye_gap < 24) & (z > 75)],
        "front": outer[(z > 25) & (y > -95) & (y < 110)],
    }
    unit = float(np.sqrt(surface_area(p, mesh.faces[np.isin(mesh.faces, outer).all(1)])))
    return Topology("puppet", mesh.faces, regions, _landmarks(mesh, outer), unit, parts)


def _landmarks(mesh, outer: np.ndarray) -> np.ndarray:
    """Vertex indices (68,) of the landmarks: rows of the mesh at lips and lids, nearest skin elsewhere."""
    from lib.face.landmarks import MIRROR

    tags, p = mesh.tags, mesh.vertices
    half = outer[p[outer, 0] >= 0]
    rows = {"upper_lip_4": (51, 52, 53, 54), "lower_lip_4": (55, 56, 57), "upper_lip_0": (62, 63, 64),
            "lower_lip_0": (65, 66), "lid_margin": (42, 43, 44, 45, 46, 47)}
    home = {k: tags[tag] for tag, ks in rows.items() for k in ks}
    result = np.full(68, -1, np.int64)
    for k, point in P.LANDMARKS.items():
        ids = home.get(k, half)
        if point[0] == 0:
            ids = ids[p[ids, 0] == 0]
        result[k] = ids[np.linalg.norm(p[ids] - point, axis=1).argmin()]
    missing = result < 0
    result[missing] = mesh.mirror[result[MIRROR[missing]]]
    return result.astype(np.int32)


@functools.cache
def head() -> Head:
    """The shared head; built once per process."""
    return Head()
