"""A portrait that moves: at rest it is itself, lips open and close, and what is no portrait is refused."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face import warp


@pytest.fixture(scope="module")
def portrait() -> warp.Portrait:
    return warp.astronaut(128)


def test_its_own_landmarks_give_the_picture_back(portrait):
    again = portrait.frame(portrait.points).astype(int)
    assert np.abs(again - portrait.picture).mean() < 1 and np.abs(again - portrait.picture).max() < 60


def test_the_border_stays_and_the_moved_point_carries_its_surroundings(portrait):
    points = portrait.points.copy()
    points[17:22, 1] -= 4                                                       # one brow up by four pixels
    moved = portrait.frame(points)
    assert np.array_equal(moved[[0, -1]], portrait.picture[[0, -1]])
    x, y = np.round(portrait.points[19]).astype(int)
    brow, here, left = (int(values.mean()) for values in (portrait.picture[y, x], moved[y - 4, x], moved[y, x]))
    assert abs(here - brow) < 20 < 40 < left - brow                             # the dark hair has gone up with it
    chin = slice(100, 128)
    assert np.array_equal(moved[chin], portrait.frame(portrait.points)[chin])


def test_shut_lips_show_no_mouth_and_open_ones_a_dark_one(portrait):
    shut = portrait.closed
    assert np.allclose(shut[[61, 62, 63]], shut[[67, 66, 65]])
    wide = shut.copy()
    wide[[65, 66, 67]] += [0, 10]
    wide[55:60] += [0, 10]
    x, y = np.round(wide[66] - [0, 4]).astype(int)
    open_, closed = (portrait.frame(points)[y - 1 : y + 2, x - 2 : x + 3].mean() for points in (wide, shut))
    assert open_ < 60 < closed


def test_motion_of_another_face_is_turned_and_scaled_to_this_one(portrait):
    template = portrait.points * 3 + [50, -20]
    motion = np.repeat(template[None], 2, 0)
    motion[1, 8] += [0, 30]
    moved = portrait.moved(motion, template)
    assert np.allclose(moved[0], portrait.closed, atol=1e-6)
    assert np.allclose(moved[1, 8] - portrait.closed[8], [0, 10], atol=1e-6)


@pytest.mark.parametrize(("change", "message"), [
    (lambda p, x: (p[..., 0], x), r"expected \(H, W, 3\) uint8"), (lambda p, x: (p.astype(float), x), "uint8"),
    (lambda p, x: (p, x + 100), "within the picture"), (lambda p, x: (p, x[None]), "within the picture"),
    (lambda p, x: (p, x * np.nan), "NaN"), (lambda p, x: (p, x[:60]), "landmarks"),
])  # fmt: skip
def test_malformed_portraits_are_refused(portrait, change, message):
    with pytest.raises(InputError, match=message):
        warp.Portrait(*change(portrait.picture, portrait.points), "nobody")


def test_motion_that_is_not_finite_is_refused(portrait):
    with pytest.raises(InputError, match="NaN"):
        portrait.frames(np.full((2, 68, 2), np.nan))
