"""FLAME-like parameters learned from the puppet."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.flame import FlameLike, rotation_matrix, rotation_vector
from lib.face.rig import curves
from lib.puppet.head import N_IDENTITY, head


@pytest.fixture(scope="module")
def fitted() -> tuple[FlameLike, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rig = (rng.uniform(0, 0.8, (160, 52)) * (rng.random((160, 52)) < 0.25)).astype(np.float32)
    pose = rng.normal(0, 0.1, (160, 3))
    vertices = head().vertices(rig, None, pose)
    return FlameLike.fit(vertices[:120]), vertices[120:], pose[120:]


def test_a_rotation_survives_the_way_to_axis_and_angle():
    vector = np.array([[0.1, -0.4, 0.2], [0, 0, 0], [1.0, 0, 0]])
    assert np.allclose(rotation_vector(rotation_matrix(vector)), vector)


def test_56_numbers_bring_unseen_frames_back_within_a_fifth_of_a_millimetre(fitted):
    model, vertices, _ = fitted
    assert model.encode(vertices).shape == (40, 56)
    assert model.round_trip_error(vertices).mean() < 0.2


def test_the_resting_face_is_all_zero_and_an_open_jaw_shows_in_the_jaw_numbers(fitted):
    model, _, _ = fitted
    assert np.abs(model.encode(head().vertices(curves(1)))).max() < 1e-2
    jaw = model.encode(head().vertices(curves(1, jawOpen=1.0)))[0, 53:]
    assert jaw[0] == pytest.approx(0.30, abs=5e-3) and np.abs(jaw[1:]).max() < 1e-3


def test_another_actor_is_encoded_against_his_own_resting_face(fitted):
    model, _, _ = fitted
    identity = np.random.default_rng(1).normal(size=N_IDENTITY)
    rig = curves(1, mouthSmileLeft=0.5, jawOpen=0.3)
    params = model.encode(head().vertices(rig, identity), head().neutral(identity))
    assert np.abs(params - model.encode(head().vertices(rig))).max() < 0.05


def test_too_few_frames_and_wrong_widths_are_refused(fitted):
    with pytest.raises(InputError, match="more than 50 frames"):
        FlameLike.fit(head().vertices(curves(50)))
    with pytest.raises(InputError, match="56"):
        fitted[0].decode(np.zeros((1, 55)))
