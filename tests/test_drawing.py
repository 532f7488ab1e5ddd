"""Landmark pictures: conventions, places of lines, shifts below a pixel, and what is refused."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face import drawing
from lib.puppet.head import head


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """One neutral face (1, 68, 2) in a frame of 256 pixels, jaw 150 pixels wide."""
    points = head().mean[head().topology.landmarks][:, :2].astype(float)
    scale = 150 / np.ptp(points[:17, 0])
    return (points * [scale, -scale] + [128, 140])[None]


@pytest.mark.parametrize(("style", "channels", "ground"), [("lsp", 1, 0), ("makeittalk", 3, 255), ("bilayer", 3, 1)])
def test_each_convention_has_its_background_and_channels(face, style, channels, ground):
    (picture,) = drawing.draw(face, style)
    assert picture.shape == (256, 256, channels) and picture.dtype == np.uint8
    assert (picture == ground).all(-1).mean() > 0.9 and (picture[0] == ground).all()


def test_parts_are_drawn_in_their_colours_where_the_landmarks_are(face):
    (picture,) = drawing.draw(face, "makeittalk", smooth=False)
    seen = {8: (0, 255, 0), 19: (255, 0, 0), 57: (255, 255, 0), 29: (0, 255, 0), 62: (0, 255, 255)}
    for point, colour in seen.items():
        x, y = np.floor(face[0, point]).astype(int)
        window = picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
        assert (window == colour).all(-1).any(), point


def test_eyes_and_lips_are_closed_and_brows_are_not(face):
    moved = face.copy()
    moved[0, [41, 59, 67]] = [[30, 30], [30, 200], [220, 200]]      # the last point of a closed curve, far away
    (picture,) = drawing.draw(moved, "lsp", smooth=False)
    for first, last in ((36, 41), (48, 59), (60, 67)):
        middle = np.floor(moved[0, [first, last]].mean(0)).astype(int)
        assert picture[middle[1] - 2 : middle[1] + 3, middle[0] - 2 : middle[0] + 3].max() == 255
    assert drawing.PARTS["right_brow"][2] is False


def test_a_shift_of_a_quarter_pixel_is_seen_only_with_smooth_lines(face):
    inside = np.floor(face) + 0.6
    for smooth, seen in ((True, True), (False, False)):
        before, after = (drawing.draw(inside + d, "lsp", smooth=smooth) for d in (0.0, 0.25))
        assert (before != after).any() == seen


def test_sizes_scale_the_whole_frame(face):
    large, small = (drawing.draw(face, "lsp", size, width=size // 64)[0, ..., 0].astype(float) for size in (256, 64))
    blocks = large.reshape(64, 4, 64, 4).mean((1, 3))
    shifts = (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)
    agree = {shift: (np.roll(small, shift, (0, 1)) * blocks).sum() for shift in shifts}
    assert max(agree, key=agree.get) == (0, 0)
    assert np.array_equal(drawing.draw(face / 4, "lsp", 64, frame=64), drawing.draw(face, "lsp", 64))


def test_points_far_outside_are_clipped(face):
    assert drawing.draw(face + 1e9, "lsp").max() == 0
    assert drawing.draw(face[:0], "lsp").shape == (0, 256, 256, 1)


@pytest.mark.parametrize(("change", "message"), [
    (lambda p: p[0], r"expected \(T, 68, 2\)"), (lambda p: np.concatenate([p, p], -1), "drop z first"),
    (lambda p: p * np.nan, "NaN or infinity"),
])  # fmt: skip
def test_malformed_landmarks_are_refused(face, change, message):
    with pytest.raises(InputError, match=message):
        drawing.draw(change(face))


def test_unknown_styles_and_sizes_are_refused(face):
    with pytest.raises(InputError, match="expected one of lsp, makeittalk, bilayer"):
        drawing.draw(face, "dlib")
    with pytest.raises(InputError, match="expected positive numbers"):
        drawing.draw(face, "lsp", 0)
