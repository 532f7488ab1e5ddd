"""Smoothing, blinks and gaze: the published events, both profiles, the detector, and the law of blinks."""

import numpy as np
import pytest

from lib import paths
from lib.data import emoface as recordings
from lib.errors import InputError
from lib.face import eyes, metahuman
from lib.face.rig import ARKIT, from_metahuman, index, to_metahuman

needs_vectors = pytest.mark.skipif(
    paths.find_asset("emoface_sample/blink") is None, reason="needs the asset emoface_sample with its blink vectors"
)
MINUTES_10 = 36_000


def generator(seed=0):
    return np.random.default_rng(seed)


# Smoothing ------------------------------------------------------------------------------------------------------------


def test_smoothing_keeps_a_cubic_and_a_constant_and_removes_jitter():
    time = np.linspace(-1, 1, 101)[:, None]
    cubic = np.hstack([time**3 - time, np.full_like(time, 0.4)])
    assert np.allclose(eyes.smooth(cubic)[7:-7], cubic[7:-7])          # edges repeat the end value
    jitter = (-1.0) ** np.arange(101)[:, None]
    assert np.abs(eyes.smooth(jitter)[7:-7]).max() < 0.2


def test_a_clip_shorter_than_the_window_and_another_rate_are_smoothed():
    assert eyes.smooth(np.ones((3, 2), np.float32)) == pytest.approx(np.ones((3, 2)))
    jump = np.repeat([0.0, 1.0], 50)[:, None]
    reach = [np.flatnonzero(np.abs(np.diff(eyes.smooth(jump, fps)[:, 0])) > 1e-9).size for fps in (60.0, 25.0)]
    assert reach == [15, 7]                                            # 0.25 s at both rates, always odd


# Blinks ---------------------------------------------------------------------------------------------------------------


def test_a_blink_of_13_frames_is_shut_on_its_fifth():
    lids = eyes.add_blinks(np.full((40, 2), 0.2), [10], (0, 1))
    assert np.flatnonzero(lids[:, 0] != 0.2).tolist() == list(range(10, 23))
    assert lids[10:23, 0] == pytest.approx(1 - 0.8 * eyes.OPENNESS) and lids[14].tolist() == [1, 1]


def test_rates_become_waits_as_published_and_as_released():
    # 3600 / 40 = 90 frames; 3600 / 10 = 360, clipped 3600 / 15 = 240; a blink lasts 13 frames
    assert eyes.blink_onsets(iter([40, 10]), 1000, eyes.PAPER.blink) == [90, 463]
    assert eyes.blink_onsets(iter([40, 10]), 1000, eyes.CODE.blink) == [91, 345]


def test_blinks_keep_their_times_at_30_fps():
    assert eyes.blink_onsets(iter([40, 10]), 500, eyes.PAPER.blink, fps=30) == [45, 231]
    lids = eyes.add_blinks(np.zeros((20, 1)), [3], (0,), fps=30)[:, 0]
    assert lids[3:9] == pytest.approx(1 - eyes.OPENNESS[:12:2])


def test_a_blink_that_the_end_cuts_off_is_begun():
    assert eyes.add_blinks(np.zeros((12, 1)), [8], (0,))[8:, 0] == pytest.approx([0.05, 0.25, 0.45, 0.7])


@pytest.mark.parametrize("profile", [eyes.PAPER, eyes.CODE])
def test_sampled_blinks_are_as_frequent_as_the_law_says_in_time(profile):
    # mean wait 60 s / 29.3 = 2.05 s, and 13 frames of blink: 26.5 per minute, not the 38.9 of the mean rate
    onsets = eyes.blink_onsets(eyes.rates(generator(), profile.blink), 20 * MINUTES_10, profile.blink)
    assert len(onsets) / 200 == pytest.approx(60 / (60 / 29.27 + 13 / 60), abs=0.9)
    assert profile.blink.mean_rate == pytest.approx(38.84, abs=0.01)
    assert profile.blink.per_minute == pytest.approx(29.27, abs=0.01)


# Gaze -----------------------------------------------------------------------------------------------------------------


def test_gaze_stays_at_its_target_in_the_paper_and_snaps_back_in_the_code():
    moves = [(20, (0.1, 0.0)), (20, (0.2, 0.1))]
    stays = eyes.gaze_path(iter(moves), 46, eyes.PAPER.gaze)
    assert stays[19:26, 0] == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    assert stays[44:46].tolist() == pytest.approx(np.array([[0.1, 0.0], [0.12, 0.02]]))
    snaps = eyes.gaze_path(iter(moves), 60, eyes.CODE.gaze)
    assert snaps[20:27, 0] == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1, 0])          # one frame later, then 0
    assert snaps[46:53, 1] == pytest.approx([0, 0.02, 0.04, 0.06, 0.08, 0.1, 0])


def test_released_eyes_are_at_the_centre_nine_tenths_of_the_time():
    centred = {}
    for name, law in (("paper", eyes.PAPER.gaze), ("code", eyes.CODE.gaze)):
        path = eyes.gaze_path(eyes.gaze_moves(generator(), law), MINUTES_10, law)
        assert np.hypot(*path.T).max() <= 0.2 + 1e-6
        centred[name] = (path == 0).all(1).mean()
    assert centred["paper"] == pytest.approx(0.36, abs=0.05) and centred["code"] == pytest.approx(0.927, abs=0.01)


def test_waits_and_returns_are_drawn_from_the_published_ranges():
    for law, low in ((eyes.PAPER.gaze, 15), (eyes.CODE.gaze, 25)):
        draws = [move for move, _ in zip(eyes.gaze_moves(generator(), law), range(4000), strict=False)]
        waits, centred = {wait for wait, _ in draws}, np.mean([target == (0, 0) for _, target in draws])
        assert waits == set(range(low, 46)) and centred == pytest.approx(0.4, abs=0.03)


def test_rig_eyes_turn_as_metahuman_eyes_do():
    path = np.array([[0.1, 0.05], [-0.2, -0.1]], np.float32)
    rig = eyes.turn_eyes(np.full((2, len(ARKIT)), 0.3, np.float32), path)
    assert rig[0, [index("eyeLookOutLeft"), index("eyeLookInRight")]] == pytest.approx([0.1, 0.1])
    assert rig[1, [index("eyeLookInLeft"), index("eyeLookDownRight")]] == pytest.approx([0.2, 0.1])
    assert to_metahuman(rig)[:, metahuman.GAZE] == pytest.approx(path)
    assert (rig[:, index("jawOpen")] == np.float32(0.3)).all()


# The chain ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [eyes.PAPER, eyes.CODE])
def test_the_chain_touches_nothing_but_lids_and_gaze_after_smoothing(profile):
    curves = generator(1).uniform(0, 0.5, (600, 174)).astype(np.float32)
    done, smoothed = eyes.finish(curves, generator(), profile), eyes.smooth(curves)
    other = np.setdiff1d(np.arange(174), (*metahuman.GAZE, *metahuman.BLINK))
    assert np.array_equal(done[:, other], smoothed[:, other])
    assert done[:, metahuman.BLINK].max() == 1 and done.dtype == np.float32
    assert np.array_equal(done, eyes.finish(curves, generator(), profile))


def test_rig_and_metahuman_columns_blink_and_look_at_the_same_times():
    rig = np.zeros((900, len(ARKIT)), np.float32)
    by_rig = eyes.finish(rig, generator(5))
    by_columns = from_metahuman(eyes.finish(to_metahuman(rig), generator(5)))
    assert np.abs(by_rig - by_columns).max() < 1e-5 and by_rig[:, index("eyeBlinkLeft")].max() == 1


@pytest.mark.parametrize(("curves", "fps", "message"), [
    (np.zeros((5, 60)), 60, "expected .52, 174. controls"), (np.full((5, 52), np.nan), 60, "NaN"),
    (np.zeros(5), 60, "expected numbers"), (np.zeros((0, 52)), 60, "expected numbers"),
    (np.zeros((5, 52)), 0, "fps 0"), (np.zeros((5, 52)), np.nan, "fps nan"),
])  # fmt: skip
def test_curves_that_cannot_be_finished_are_named(curves, fps, message):
    with pytest.raises(InputError, match=message):
        eyes.finish(curves, generator(), fps=fps)


# Detection ------------------------------------------------------------------------------------------------------------


def face(height, width=4.0):
    """One frame of 68 points whose eyes are `height` by `width`."""
    points = np.zeros((68, 2))
    one = [(0, 0), (1, height / 2), (3, height / 2), (width, 0), (3, -height / 2), (1, -height / 2)]
    points[36:42], points[42:48] = one, np.add(one, (10, 0))
    return points


def test_the_eye_aspect_ratio_is_height_over_width_at_any_size_and_angle():
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    ratios = eyes.eye_aspect_ratio(np.stack([face(1.0), face(0.0), 7 * face(1.0) @ turn.T + 3]))
    assert ratios == pytest.approx([0.25, 0, 0.25])
    assert np.isnan(eyes.eye_aspect_ratio(np.full((1, 68, 2), np.nan))[0])


def test_blinks_are_runs_of_three_frames_and_intervals_count_from_the_last_one():
    closed = np.array([0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1], bool)
    assert eyes.blinks(closed) == [(2, 5), (10, 14)]
    assert eyes.intervals(eyes.blinks(closed)).tolist() == [2, 5] and eyes.intervals([]).size == 0


def test_a_trained_detector_finds_a_blink_where_a_threshold_sees_a_squint():
    rng = generator()
    shape = np.array([0, 0.02, 0.1, 0.18, 0.1, 0.02, 0])
    opened = rng.uniform(0.18, 0.36, (200, 1)) + 0.01 * rng.standard_normal((200, 7))
    detector = eyes.train_detector(opened, opened - shape, penalty=100.0)
    squint = np.r_[np.full(15, 0.19), 0.19 - shape[1:6], np.full(15, 0.19)]
    assert eyes.blinks(eyes.below_threshold(squint)) == [(0, 35)]
    found = eyes.blinks(detector.closed(squint), shortest=1)
    assert len(found) == 1 and found[0][0] <= 17 < found[0][1]
    assert not detector.closed(np.full(5, 0.1)).any()                 # no window fits


def test_windows_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"shut windows \(3, 6\)"):
        eyes.train_detector(np.ones((3, 7)), np.ones((3, 6)))


@needs_vectors
def test_on_the_published_windows_the_detector_is_right_nine_times_in_ten():
    opened, shut = recordings.blink_windows()
    assert (len(opened), len(shut)) == (453, 150)
    assert (opened[:, 3].mean(), shut[:, 3].mean()) == pytest.approx((0.322, 0.153), abs=5e-4)
    detector = eyes.train_detector(opened, shut)
    right = np.r_[detector.score(opened) <= 0, detector.score(shut) > 0]
    assert right.mean() == pytest.approx(0.929, abs=0.01)


# The law --------------------------------------------------------------------------------------------------------------


@needs_vectors
def test_the_published_intervals_give_the_printed_law():
    frames = recordings.blink_intervals()
    law = eyes.published_law(frames)
    assert (law.mu, law.sigma) == pytest.approx((3.518, 0.532), abs=5e-4)
    assert (len(frames), frames.min(), frames.max(), (1800 / frames > 100).sum()) == (445, 4, 154, 87)


def recorded(law, length, clips, rng):
    """Intervals the released recipe would store from videos of one length that start at any moment."""
    found = []
    for _ in range(clips):
        waits = 1800 / rng.lognormal(law.mu, law.sigma, 400)
        onsets = np.cumsum(waits)
        start = rng.uniform(50, 100) * waits.mean()
        inside = onsets[(onsets > start) & (onsets < start + length)]
        found += list(np.diff(np.r_[start, inside]))
    return np.array(found)


def test_short_clips_make_the_published_recipe_see_too_many_blinks_and_the_refit_corrects_it():
    truth = eyes.BlinkLaw(3.1, 0.5)                                    # 19.6 blinks per minute
    frames = recorded(truth, 150, 2000, generator(3))
    naive, refit = eyes.published_law(frames), eyes.law_of_clips(frames, [150])
    assert (refit.mu, refit.sigma) == pytest.approx((truth.mu, truth.sigma), abs=0.05)
    assert naive.mu > truth.mu + 0.3 and refit.per_minute == pytest.approx(truth.per_minute, rel=0.05)


def test_in_endless_clips_without_dropped_rates_the_refit_is_the_published_recipe():
    frames = 1800 / generator().lognormal(3.5, 0.5, 500)
    law, naive = eyes.law_of_clips(frames, [1e9], highest=1e9), eyes.published_law(frames, highest=1e9)
    assert (law.mu, law.sigma) == pytest.approx((naive.mu, naive.sigma), abs=1e-3)


def test_cut_intervals_count_as_longer_than_seen():
    waits = 1800 / generator().lognormal(3.2, 0.5, 3000)
    cut = waits > 80
    law = eyes.law_of_intervals(waits[~cut], np.full(cut.sum(), 80.0))
    assert (law.mu, law.sigma) == pytest.approx((3.2, 0.5), abs=0.03)
    assert eyes.law_of_intervals(waits[~cut]).mu > 3.3


@needs_vectors
def test_the_refit_of_the_published_intervals_is_slower_the_shorter_the_clips():
    frames = recordings.blink_intervals()
    slow = [eyes.law_of_clips(frames, [length]).per_minute for length in (155, 180, 240)]
    assert slow == pytest.approx([19.2, 22.2, 25.0], abs=0.1) and eyes.published_law(frames).per_minute > slow[-1]


@pytest.mark.parametrize(("fit", "message"), [
    (lambda: eyes.published_law(np.full(30, 5)), "0 intervals at up to 100"),
    (lambda: eyes.law_of_clips(np.full(30, 50), [40]), "none longer than every clip"),
    (lambda: eyes.law_of_intervals(np.ones(3)), "3 whole intervals"),
    (lambda: eyes.published_law(np.array([50, -1])), "positive numbers of frames"),
])  # fmt: skip
def test_intervals_that_determine_no_law_are_refused(fit, message):
    with pytest.raises(InputError, match=message):
        fit()
