"""Blinks, gaze, drift and sway."""

import numpy as np
import pytest

from lib.face.rig import ARKIT, index
from lib.puppet import nuisance

TIMES = np.arange(600) / 100


def test_blink_rates_are_log_normal_with_the_published_mean_and_deviation():
    rng = np.random.default_rng(0)
    rates = np.log([60 / nuisance.blink_interval(rng) for _ in range(20_000)])
    assert rates.mean() == pytest.approx(3.518, abs=0.015)
    assert rates.std() == pytest.approx(0.532, abs=0.015)


def test_a_blink_closes_in_100_ms_and_opens_by_340_ms():
    closure = nuisance.lid_closure((1.0,), np.array([0.99, 1.0, 1.05, 1.1, 1.14, 1.24, 1.35]))
    np.testing.assert_allclose(closure, [0, 0, 0.5, 1, 1, 0.5, 0], atol=1e-12)


def test_a_blink_closes_the_lid_whatever_the_emotion_and_ends_wide_eyes():
    draws = nuisance.Nuisance((), np.ones(1), np.zeros((1, 2)), np.zeros((1, 52)), np.zeros((1, 3)), 1.0)
    moved = nuisance.move_eyes(np.full((1, len(ARKIT)), 0.3), draws)[0]
    assert moved[index("eyeBlinkLeft")] == moved[index("eyeBlinkRight")] == 1
    assert moved[index("eyeWideLeft")] == 0


def test_noise_of_a_shorter_clip_is_the_beginning_of_that_of_a_longer():
    long, short = (nuisance.draw(3, 1, 0, "en-main-002", times) for times in (TIMES, TIMES[:250]))
    for name in ("lids", "gaze", "drift", "sway"):
        np.testing.assert_array_equal(getattr(long, name)[:250], getattr(short, name))
    assert short.blinks == long.blinks[:len(short.blinks)]


def test_every_key_changes_the_noise():
    base = nuisance.draw(3, 1, 0, "en-main-002", TIMES)
    for key in ((4, 1, 0, "en-main-002"), (3, 0, 0, "en-main-002"), (3, 1, 1, "en-main-002"), (3, 1, 0, "en-main-003")):
        assert abs(nuisance.draw(*key, TIMES).drift - base.drift).max() > 0.01


def test_clips_of_a_session_share_the_size_of_nods():
    nods = {nuisance.draw(3, 1, 0, f"en-main-{i:03d}", TIMES).nod for i in range(4)}
    assert len(nods) == 1


def test_eyes_look_the_same_way():
    draws = nuisance.draw(0, 0, 0, "en-main-000", TIMES)
    moved = nuisance.move_eyes(np.zeros((len(TIMES), len(ARKIT))), draws)
    np.testing.assert_array_equal(moved[:, index("eyeLookOutLeft")], moved[:, index("eyeLookInRight")])
    assert np.hypot(*draws.gaze.T).max() <= nuisance.ECCENTRICITY[1] + 1e-9


def test_slow_noise_has_unit_variance():
    noise = nuisance.slow_noise(np.random.default_rng(0), np.arange(200_000) / 10, 3, (0.1, 0.7))
    np.testing.assert_allclose(noise.std(0), 1, atol=0.05)
