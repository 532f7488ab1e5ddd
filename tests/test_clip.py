"""The record of a clip, and resampling in time."""

import numpy as np
import pytest

from lib.data.clip import Clip, Phoneme, frame_count, resample
from lib.errors import InputError

SOUND = np.zeros(16_000, np.float32)


def test_one_second_of_sound_lasts_one_second():
    assert Clip("a", SOUND, "someone").duration_s == 1.0


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros((2, 100)), np.array([0.0, np.nan]), np.array([np.inf])])
def test_sound_that_is_empty_stereo_or_not_finite_is_refused_by_name(audio):
    with pytest.raises(InputError, match="clip-7: audio"):
        Clip("clip-7", audio, "someone")


@pytest.mark.parametrize(("motion", "kind", "fps", "message"), [
    (np.zeros((5, 51)), "rig52", 25, r"\(T, 52\)"),
    (np.zeros((5, 100)), "vertices", 25, r"\(T, any, 3\)"),
    (np.zeros((5, 52)), "rig53", 25, "motion_kind"),
    (np.zeros((5, 52)), "rig52", None, "frame rate"),
    (np.full((5, 52), np.nan), "rig52", 25, "NaN"),
])
def test_motion_that_does_not_fit_its_kind_is_refused(motion, kind, fps, message):
    with pytest.raises(InputError, match=message):
        Clip("a", SOUND, "someone", fps=fps, motion=motion, motion_kind=kind)


def test_a_phoneme_that_runs_backwards_is_refused():
    with pytest.raises(InputError, match="runs from 0.3 to 0.2"):
        Clip("a", SOUND, "someone", phonemes=(Phoneme("a", 0.3, 0.2),))


def test_a_ramp_at_100_fps_reads_4_at_the_second_frame_of_25_fps():
    ramp = np.arange(100, dtype=np.float32)
    assert resample(ramp, 100, 25)[:3].tolist() == [0.0, 4.0, 8.0]


def test_resampling_a_straight_line_keeps_it_at_every_rate_and_holds_the_end():
    line = np.arange(100.0)[:, None] / 100
    at_30 = resample(line, 100, 30)
    assert at_30.shape == (30, 1)
    np.testing.assert_allclose(at_30[:, 0], np.arange(30) / 30, atol=1e-12)
    assert resample(line, 100, 100, frames=105)[-1] == line[-1]


def test_frame_count_forgives_rounding_only():
    assert frame_count(0.3 * 3, 10) == 9          # 0.8999999999999999 s
    assert frame_count(0.89, 10) == 8
