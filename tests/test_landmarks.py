"""The 68 landmarks: groups, openings, projection, normalisation."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face import landmarks as lm


def face() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 68, 3))


def test_the_groups_cover_all_68_points_once():
    assert sorted(np.concatenate(list(lm.GROUPS.values()))) == list(range(68))


def test_eye_aspect_ratio_of_eyes_ten_wide_and_three_high_is_0_3():
    points = np.zeros((68, 2))
    for start in (36, 42):
        points[start:start + 6] = [[0, 0], [3, 1.5], [7, 1.5], [10, 0], [7, -1.5], [3, -1.5]]
    assert lm.eye_aspect_ratio(points) == pytest.approx(0.3)


def test_opening_and_width_measure_the_inner_lips():
    points = np.zeros((68, 2))
    points[[62, 66]], points[[60, 64]] = [[0, 3], [0, -1]], [[-20, 0], [20, 0]]
    assert (lm.lip_opening(points), lm.lip_width(points)) == (4, 40)


def test_projection_drops_depth_and_a_quarter_turn_shows_it():
    points = face()[:1]
    assert np.array_equal(lm.project(points), points[..., :2])
    assert np.allclose(lm.project(points, np.array([[0, np.pi / 2, 0]]))[..., 0], points[..., 2])


def test_standardised_windows_have_mean_0_and_spread_1_wherever_the_face_is():
    z, _, _ = lm.standardise(face() * [3, 5, 7] + [100, -20, 4])
    assert np.allclose(z.mean((0, 1)), 0) and np.allclose(z.std((0, 1)), 1)
    assert np.allclose(z, lm.standardise(face())[0])


def test_mirroring_is_its_own_inverse():
    assert np.array_equal(lm.MIRROR[lm.MIRROR], np.arange(68))


@pytest.mark.parametrize("bad, word", [(np.zeros((5, 67, 2)), "68"), (np.full((1, 68, 2), np.nan), "NaN")])
def test_other_counts_and_gaps_are_refused(bad, word):
    with pytest.raises(InputError, match=word):
        lm.lip_opening(bad)
