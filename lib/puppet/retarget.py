"""From the puppet's vertices back to its 52 rig curves, so that other faces with ARKit names can show the same motion.

    min over c_t in [0, 1]^52 and one identity:  sum_t || x_t - f(c_t, identity) ||^2  +  small ridge terms

f is the head itself. Its jaw and eyes turn, so f is linearised at rest and the residual of the true f is fed back
(Gauss-Newton with a constant Jacobian); the bounds are kept by projected, accelerated gradient steps.
"""

import functools
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.face.rig import ARKIT
from lib.puppet.head import N_IDENTITY, head

ROUNDS, STEPS = 6, 60
STEP_OF_JACOBIAN = 0.3           # control value at which a secant stands for the derivative: mid-range speech
RIDGE = 2e-3                     # of the mean curvature; keeps controls that cancel each other at zero
IDENTITY_RIDGE = 1e-2
STRIDE = 3                       # every third front vertex tells enough


@dataclass(frozen=True, eq=False)
class _Linear:
    """Vertices used, and how they answer to each control (52, 3K) and to each identity mode (14, 3K), in mm."""

    chosen: np.ndarray
    controls: np.ndarray
    identity: np.ndarray


@functools.cache
def _linear() -> _Linear:
    face = head()
    eyes = np.concatenate([face.topology.parts[part] for part in ("iris", "pupil")])
    chosen = np.unique(np.concatenate([face.topology.regions["front"][::STRIDE], eyes[::STRIDE]]))
    rest = face.mean[chosen]
    moved = face.vertices(STEP_OF_JACOBIAN * np.eye(len(ARKIT), dtype=np.float32), only=chosen) - rest
    modes = np.stack([face.neutral(mode)[chosen] - rest for mode in np.eye(N_IDENTITY, dtype=np.float32)])
    return _Linear(chosen, (moved / STEP_OF_JACOBIAN).reshape(len(ARKIT), -1), modes.reshape(N_IDENTITY, -1))


def rig_curves(vertices: np.ndarray) -> np.ndarray:
    """Rig curves (T, 52) in 0..1 that come closest to the puppet's vertices (T, V, 3) in mm, without head pose.

    Raises InputError for another mesh. The identity is found along, one for all frames.
    """
    return fit(vertices)[0]


def fit(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rig curves (T, 52) as in `rig_curves`, and the identity (N_IDENTITY,) that goes with them."""
    if vertices.ndim != 3 or vertices.shape[1:] != head().mean.shape:
        raise InputError(f"expected vertices (T, {head().n_vertices}, 3) of the puppet, got {vertices.shape}")
    linear = _linear()
    target = np.asarray(vertices, np.float32)[:, linear.chosen]
    rig, identity = np.zeros((len(target), len(ARKIT)), np.float32), np.zeros(N_IDENTITY, np.float32)
    for _ in range(ROUNDS):
        identity = identity + _identity_step(linear, _residual(target, rig, identity, linear).mean(0), identity)
        rig = _bounded_step(linear, _residual(target, rig, identity, linear), rig)
    return rig, identity


def residual_mm(vertices: np.ndarray, rig: np.ndarray, identity: np.ndarray) -> float:
    """Mean distance in mm between the front vertices of (T, V, 3) and of the head with the fitted curves."""
    front = head().topology.regions["front"]
    missed = vertices[:, front] - head().vertices(rig, identity, only=front)
    return float(np.linalg.norm(missed, axis=-1).mean())


def _residual(target: np.ndarray, rig: np.ndarray, identity: np.ndarray, linear: _Linear) -> np.ndarray:
    """What the head misses of the target, (T, 3K) mm."""
    return (target - head().vertices(rig, identity, only=linear.chosen)).reshape(len(target), -1)


def _identity_step(linear: _Linear, missed: np.ndarray, identity: np.ndarray) -> np.ndarray:
    curvature = linear.identity @ linear.identity.T
    ridge = IDENTITY_RIDGE * np.trace(curvature) / N_IDENTITY
    return np.linalg.solve(curvature + ridge * np.eye(N_IDENTITY), linear.identity @ missed - ridge * identity)


def _bounded_step(linear: _Linear, missed: np.ndarray, rig: np.ndarray) -> np.ndarray:
    """The curves in [0, 1] that minimise the linearised problem about `rig`, by accelerated projected gradients."""
    curvature = linear.controls @ linear.controls.T
    curvature += RIDGE * np.trace(curvature) / len(ARKIT) * np.eye(len(ARKIT), dtype=np.float32)
    pull = missed @ linear.controls.T + rig @ (linear.controls @ linear.controls.T)              # (T, 52)
    scale = 1 / np.sqrt(np.diag(curvature))                                                      # equal curvature
    curvature, pull = curvature * scale * scale[:, None], pull * scale
    rate = 1 / np.linalg.eigvalsh(curvature)[-1]
    now = ahead = rig / scale
    for step in range(STEPS):
        new = np.clip(ahead - rate * (ahead @ curvature - pull), 0, 1 / scale)
        now, ahead = new, new + step / (step + 3) * (new - now)
    return (now * scale).astype(np.float32)
