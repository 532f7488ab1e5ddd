"""Rigid and similarity alignment."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.alignment import rigid, rotation, similarity, stabilise


def test_a_known_similarity_is_recovered_on_every_frame():
    rng = np.random.default_rng(0)
    x, pose = rng.normal(size=(6, 20, 3)), rng.normal(0, 0.5, (6, 3))
    y = 1.7 * np.einsum("tij,tpj->tpi", rotation(pose), x) + [1, 2, 3]
    fit = similarity(x, y)
    assert np.allclose(fit.scale, 1.7) and np.allclose(fit.rotation, rotation(pose)) and np.allclose(fit(x), y)


def test_rigid_keeps_the_size_and_never_reflects():
    x = np.random.default_rng(1).normal(size=(1, 10, 3))
    fit = rigid(x, x[0] * [-2, 2, 2])
    assert fit.scale[0] == 1 and np.linalg.det(fit.rotation[0]) == pytest.approx(1)


def test_two_dimensional_points_align_too():
    x = np.array([[[0.0, 0], [1, 0], [0, 2]]])
    assert np.allclose(similarity(x, x[0] @ np.array([[0.0, 2], [-2, 0]]))(x)[0], x[0] @ np.array([[0.0, 2], [-2, 0]]))


def test_stabilising_removes_head_motion_and_keeps_the_mouth():
    rng = np.random.default_rng(2)
    face = rng.normal(size=(68, 3)) * 50
    frames = np.repeat(face[None], 8, 0)
    frames[:, 66, 1] -= np.arange(8)                                         # a jaw opening
    moved = np.einsum("tij,tpj->tpi", rotation(rng.normal(0, 0.2, (8, 3))), frames) + rng.normal(size=(8, 1, 3))
    assert np.allclose(stabilise(moved, face, on=np.arange(27, 46)), frames)


def test_positive_pitch_looks_down_and_positive_yaw_looks_to_the_image_right():
    nose = np.array([0, 0, 1.0])
    assert (rotation(np.array([[0.3, 0, 0]]))[0] @ nose)[1] < 0
    assert (rotation(np.array([[0, 0.3, 0]]))[0] @ nose)[0] > 0


def test_too_few_points_are_refused():
    with pytest.raises(InputError, match="points"):
        rigid(np.zeros((4, 2, 3)), np.zeros((2, 3)))
