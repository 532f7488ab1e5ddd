"""The linear basis of motion: round trip, equal losses, errors."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.basis import MotionBasis


def motion(frames=50, rank=4, vertices=20):
    rng = np.random.default_rng(0)
    return (rng.standard_normal((frames, rank)) @ rng.standard_normal((rank, vertices * 3))).astype(np.float32)


def test_motion_of_rank_four_is_reproduced_by_four_directions():
    flat = motion()
    basis = MotionBasis.fit(flat, 4)
    mesh = flat.reshape(50, 20, 3)
    assert np.allclose(basis.decode(basis.encode(mesh)), mesh, atol=1e-3)
    assert basis.residual(mesh).max() < 1e-3


def test_squared_error_of_coefficients_equals_that_of_vertices_in_the_span():
    flat = motion()
    basis = MotionBasis.fit(flat, 4)
    a, b = basis.encode(flat[:10].reshape(10, 20, 3)), basis.encode(flat[10:20].reshape(10, 20, 3))
    vertices = np.square(flat[:10] - flat[10:20]).sum()
    assert np.square(a - b).sum() * basis.scale**2 == pytest.approx(vertices, rel=1e-4)


def test_zero_motion_has_zero_coefficients():
    basis = MotionBasis.fit(motion(), 3)
    assert not basis.encode(np.zeros((2, 20, 3), np.float32)).any()


def test_more_components_than_frames_is_an_error():
    with pytest.raises(InputError, match="at least as many frames"):
        MotionBasis.fit(motion(frames=3), 4)
