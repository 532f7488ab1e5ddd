"""The landmark detector, and what is trained on pictures at smoke scale: it beats its trivial rivals where it must."""

import numpy as np
import pytest
import torch

from lib import picture_foundations as foundations
from lib.errors import InputError
from lib.models.detector import Detector, calibrated


def test_the_detector_starts_at_the_mean_face_and_speaks_in_its_pixels():
    mean = np.random.default_rng(0).uniform(50, 200, (68, 2))
    model = Detector(48, mean).eval()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    found = model.detect(torch.zeros(3, 3, 48, 48))
    assert found.shape == (3, 68, 2) and np.allclose(found, mean, atol=1e-4)


def test_calibration_removes_what_is_constant_for_a_face():
    rng = np.random.default_rng(1)
    truth, wrong, rest = rng.normal(size=(5, 68, 2)), rng.normal(size=(68, 2)), rng.normal(size=(68, 2))
    assert np.allclose(calibrated(truth + wrong, rest + wrong, rest), truth)


def test_other_pictures_are_refused():
    with pytest.raises(InputError, match=r"expected \(B, 3, 48, 48\)"):
        Detector(48, np.zeros((68, 2)))(torch.zeros(1, 3, 64, 64))


def test_the_face_window_is_cut_and_averaged():
    images = np.zeros((1, 128, 128, 3), np.uint8)
    images[0, 28:30, 16:18] = 200                                   # upper left corner of the window, 2 x 2 pixels
    window = foundations.face_window(images)
    assert window.shape == (1, 48, 48, 3) and window[0, 0, 0, 0] == 200 and window.sum() == 600


def test_sound_windows_are_centred_at_their_frames():
    audio = np.random.default_rng(2).normal(0, 1e-3, 32_000).astype(np.float32)
    audio[16_000:16_160] += 0.5                                     # a click at 1 s, which is frame 25
    windows = foundations.sound_windows(audio, np.array([0, 21, 25, 27, 29, 49]))
    assert windows.shape == (6, 80, 20)
    loudest = windows.mean(1).max(1)
    assert (loudest > loudest.max() - 1).tolist() == [False, False, True, True, False, False]


def test_names_of_training_and_test_do_not_meet():
    for recipe in foundations.RECIPES.values():
        assert not set(recipe.actors) & set(recipe.test_actors)
        assert 8 * len(recipe.actors) < foundations.UNSEEN_HEADS


def test_a_rendered_landmark_lies_on_its_place_in_the_picture():
    """The pupil is the darkest spot near the middle of the eye; the lips are redder than the chin."""
    camera = foundations.Camera(256)
    picture, points = camera.neutral(3)
    camera.close()
    left, top = np.floor(points[36:42].min(0)).astype(int)
    right, bottom = np.ceil(points[36:42].max(0)).astype(int)
    eye = picture[top:bottom, left:right].astype(float).sum(-1)
    y, x = np.unravel_index(eye.argmin(), eye.shape)
    assert abs(left + x - points[36:42, 0].mean()) < 5 and abs(top + y - points[36:42, 1].mean()) < 4
    lip, chin = (picture[tuple(np.round(p[::-1]).astype(int))].astype(float) for p in
                 ((points[51] + points[62]) / 2, points[8] - [0, 12]))
    assert lip[0] / lip[1] > 1.1 * chin[0] / chin[1]


def test_the_smoke_detector_beats_the_face_at_rest_on_heads_never_seen():
    found = foundations.scores("detector", "smoke")
    assert found["found"]["all_px"] < 0.7 * found["face at rest"]["all_px"]
    assert found["calibrated"]["lips_px"] < 0.7 * found["face at rest"]["lips_px"]


def test_registered_faces_lie_on_the_face_at_rest():
    held = foundations.pictures("smoke", unseen=True)
    images, points = foundations.registered(held)
    for seen, moved, rest in ((held.images, images, held.neutral_images), (held.points, points, held.neutral_points)):
        before, after = (np.abs(faces - rest[held.heads].astype(float)).mean() for faces in (seen, moved))
        assert after < 0.85 * before
