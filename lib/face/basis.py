"""A linear basis of motion: the span in which laptop-scale networks predict, and the floor that this costs.

At published size a network ends in a layer of width 3V (70,110 for BIWI). The motion of a face spans far fewer
directions, so at laptop scale the last layer is W = B A with a fixed orthonormal B: the first K principal directions of
the training motion. For an orthonormal B the mean squared error over coordinates equals that over coefficients plus a
constant (the part of the truth outside the span), so the gradient of A is the same as with the wide layer; what is lost
is measured by `residual` and is part of the oracle floor of every table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class MotionBasis:
    """K orthonormal directions of motion; `scale` (mm) makes the coefficients of order one."""

    directions: Float[np.ndarray, "k d"]
    scale: float

    @classmethod
    def fit(cls, motion: Float[np.ndarray, "n d"], components: int, seed: int = 0) -> MotionBasis:
        """Principal directions (not centred: zero motion keeps coefficient zero) of frames of motion in millimetres.

        Raises InputError when there are fewer frames than components.
        """
        from sklearn.utils.extmath import randomized_svd

        if len(motion) < components:
            raise InputError(f"a basis of {components} directions needs at least as many frames, got {len(motion)}")
        _, _, directions = randomized_svd(motion, components, n_iter=4, random_state=seed)
        coefficients = motion @ directions.T
        return cls(directions.astype(np.float32), float(np.sqrt(np.mean(coefficients**2))))

    def encode(self, motion: Float[np.ndarray, "t v 3"]) -> Float[np.ndarray, "t k"]:
        """Coefficients (T, K), dimensionless, of motion (T, V, 3) in millimetres."""
        return (motion.reshape(len(motion), -1) @ self.directions.T / self.scale).astype(np.float32)

    def decode(self, coefficients: Float[np.ndarray, "t k"]) -> Float[np.ndarray, "t v 3"]:
        """Motion (T, V, 3) in millimetres of coefficients (T, K)."""
        flat = np.asarray(coefficients, np.float32) @ (self.directions * np.float32(self.scale))
        return flat.reshape(len(flat), -1, 3)

    def residual(self, motion: Float[np.ndarray, "t v 3"]) -> Float[np.ndarray, " t"]:
        """Root mean square distance per vertex (mm) of every frame from the span."""
        error = motion - self.decode(self.encode(motion))
        return np.sqrt(np.square(error).sum(-1).mean(-1))
