"""FLAME-like parameters of the puppet: 50 expression components and 6 pose numbers, learned from its own motion.

    params (T, 56) = expression (50), head rotation (3), jaw rotation (3), as ECM's F_t; rotations as axis times angle

    decode(params) = R_head [ jaw(template + sum_k expression_k component_k) ]          (as in FLAME, Li et al. 2017)

The layer that turns by the jaw is linear blend skinning with the puppet's jaw weights. Encoding inverts the chain from
the outside: the scalp shows the head's rotation, the lower teeth the jaw's, the rest is projected on the components.
Not the FLAME model of MPI: `lib.face.flame_layer` reads that one, and this basis, into one differentiable layer.
"""

from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.face.alignment import rigid
from lib.puppet import proportions as P
from lib.puppet.head import NECK_PIVOT, Head, head

N_EXPRESSION = 50


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle (T, 3) of rotation matrices (T, 3, 3), angles below pi."""
    skew = np.stack([matrix[:, 2, 1] - matrix[:, 1, 2], matrix[:, 0, 2] - matrix[:, 2, 0],
                     matrix[:, 1, 0] - matrix[:, 0, 1]], -1) / 2
    sine = np.linalg.norm(skew, axis=-1)
    angle = np.arctan2(sine, (np.trace(matrix, axis1=1, axis2=2) - 1) / 2)
    return skew * (angle / np.maximum(sine, 1e-12))[:, None]


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Rotation matrices (T, 3, 3) of axis times angle (T, 3): Rodrigues' formula."""
    angle = np.linalg.norm(vector, axis=-1)
    x, y, z = (vector / np.maximum(angle, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    k = np.moveaxis(np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]), -1, 0)
    return np.eye(3) + np.sin(angle)[:, None, None] * k + (1 - np.cos(angle))[:, None, None] * (k @ k)


@dataclass(frozen=True, eq=False)
class FlameLike:
    """Fitted basis: template (V, 3) mm, components (50, V, 3) in mm per standard deviation, jaw weights (V,)."""

    template: np.ndarray
    components: np.ndarray
    jaw: np.ndarray
    scalp: np.ndarray
    lower_teeth: np.ndarray

    @classmethod
    def fit(cls, vertices: np.ndarray, neutral: np.ndarray | None = None,
            n_components: int = N_EXPRESSION) -> "FlameLike":
        """Learn the components from vertices (T, V, 3) of one or more puppets.

        neutral (V, 3) or (T, V, 3): the resting face of each frame; None is the mean head. Needs more frames than
        components; raises InputError otherwise.
        """
        if len(vertices) <= n_components:
            raise InputError(f"{n_components} components need more than {n_components} frames, got {len(vertices)}")
        shared = head()
        empty = cls(shared.mean, np.zeros((0, *shared.mean.shape), np.float32), shared.jaw_weights, *_anchors(shared))
        rest, _ = empty._unposed(vertices, _resting(empty.template, neutral))
        flat = rest.reshape(len(rest), -1)
        gram_values, gram_vectors = np.linalg.eigh(flat @ flat.T)          # frames are fewer than coordinates
        top = np.argsort(gram_values)[::-1][:n_components]
        length = np.sqrt(np.maximum(gram_values[top], 1e-12))
        directions = (flat.T @ gram_vectors[:, top] / length).T           # orthonormal
        scale = (length / np.sqrt(len(flat)))[:, None]
        components = (directions * scale).reshape(n_components, *empty.template.shape)
        return cls(empty.template, components.astype(np.float32), empty.jaw, empty.scalp, empty.lower_teeth)

    def encode(self, vertices: np.ndarray, neutral: np.ndarray | None = None) -> np.ndarray:
        """Parameters (T, 56) of vertices (T, V, 3), given the resting face of the actor (None: the mean head)."""
        rest, pose = self._unposed(vertices, _resting(self.template, neutral))
        flat = self.components.reshape(len(self.components), -1)
        expression = rest.reshape(len(rest), -1) @ flat.T / (flat**2).sum(1)
        return np.concatenate([expression, pose], 1).astype(np.float32)

    def decode(self, params: np.ndarray, neutral: np.ndarray | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in mm of parameters (T, 56)."""
        params = np.asarray(params, np.float32)
        n = len(self.components)
        if params.ndim != 2 or params.shape[1] != n + 6:
            raise InputError(f"FLAME-like parameters: expected (frames, {n + 6}), got {params.shape}")
        x = _resting(self.template, neutral) + np.tensordot(params[:, :n], self.components, 1)
        moved = np.where(self.jaw > 0)[0]
        x[:, moved] = _jaw(x[:, moved], rotation_matrix(params[:, n + 3:]), self.jaw[moved])
        turn = rotation_matrix(params[:, n:n + 3]).astype(np.float32)
        return ((x - NECK_PIVOT) @ turn.mT + NECK_PIVOT).astype(np.float32)

    def _unposed(self, vertices: np.ndarray, neutral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Displacements (T, V, 3) from the resting face once head and jaw are turned back, and pose (T, 6)."""
        frames = len(vertices)
        resting = np.broadcast_to(neutral, vertices.shape)
        turn = rigid(resting[:, self.scalp], vertices[:, self.scalp]).rotation
        x = (vertices - NECK_PIVOT) @ turn.astype(np.float32) + NECK_PIVOT
        jaw = rigid(resting[:, self.lower_teeth], x[:, self.lower_teeth]).rotation
        moved = np.where(self.jaw > 0)[0]
        x[:, moved] = _jaw(x[:, moved], jaw, self.jaw[moved], inverse=True)
        return x - resting, np.concatenate([rotation_vector(turn), rotation_vector(jaw)], 1).reshape(frames, 6)

    def round_trip_error(self, vertices: np.ndarray, neutral: np.ndarray | None = None) -> np.ndarray:
        """Mean distance (T,) in mm between vertices and their way to 56 numbers and back."""
        back = self.decode(self.encode(vertices, neutral), neutral)
        return np.linalg.norm(back - vertices, axis=-1).mean(1)


def _resting(template: np.ndarray, neutral: np.ndarray | None) -> np.ndarray:
    return template if neutral is None else np.asarray(neutral, np.float32)


def _anchors(shared: Head) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that only the head moves (scalp behind the ears), and those that only the jaw moves (lower teeth)."""
    skin = shared.topology.parts["skin"]
    back = skin[(shared.mean[skin, 2] < 0) & (shared.mean[skin, 1] > 20)]
    teeth = shared.topology.parts["teeth"]
    return back, teeth[shared.jaw_weights[teeth] > 0.99]


def _jaw(x: np.ndarray, turn: np.ndarray, weights: np.ndarray, inverse: bool = False) -> np.ndarray:
    """Linear blend skinning of points (T, M, 3) about the jaw joint, or its inverse.

    A blend of standing still and turning scales what is across the axis and turns it, both by known amounts, so its
    inverse needs no matrix per point.
    """
    vector = rotation_vector(turn)                                                           # (T, 3)
    angle = np.linalg.norm(vector, axis=1)
    axis = vector / np.maximum(angle, 1e-12)[:, None]
    centred = x - np.float32(P.JAW_JOINT)
    along = centred @ (axis[:, :, None] * axis[:, None]).astype(np.float32)
    across = centred - along
    aside = across @ np.cross(axis[:, None], np.eye(3)).astype(np.float32)                   # axis x across
    kept = (1 + weights * (np.cos(angle) - 1)[:, None]).astype(np.float32)[..., None]
    turned = (weights * np.sin(angle)[:, None]).astype(np.float32)[..., None]
    if inverse:
        across, aside = across / (kept**2 + turned**2), -aside / (kept**2 + turned**2)
    return along + kept * across + turned * aside + np.float32(P.JAW_JOINT)
