"""Emotion priors: normalisation and smoothing of both profiles, linearity of logits, the recogniser of frames."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import foundations, labels, paths, priors
from lib.errors import InputError
from lib.face.flame import FlameLike
from lib.face.flame_layer import from_puppet
from lib.priors import CODE, PAPER, Priors
from lib.puppet import spec
from lib.puppet.head import head


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    return [rng.normal(3, 2, (frames, 7)) for frames in (40, 90)]


# Normalisation --------------------------------------------------------------------------------------------------------


def test_the_released_profile_gives_the_training_set_mean_zero_and_deviation_one_per_class(logits):
    rows = np.concatenate([Priors.fit(CODE, logits).normalise(x) for x in logits])
    assert rows.mean(0) == pytest.approx(np.zeros(7), abs=1e-6) and rows.std(0) == pytest.approx(np.ones(7), abs=1e-6)


def test_the_papers_profile_puts_the_training_set_between_zero_and_one(logits):
    fitted = Priors.fit(PAPER, logits)
    rows = np.concatenate([fitted.normalise(x) for x in logits])
    assert rows.min(0) == pytest.approx(np.zeros(7)) and rows.max(0) == pytest.approx(np.ones(7))
    assert fitted.predictor_range == (0, 1) and Priors.fit(CODE, logits).predictor_range == (-2, 2)


@pytest.mark.parametrize("profile", [CODE, PAPER])
def test_normalisation_can_be_undone_and_forgets_scale_and_offset(logits, profile):
    fitted = Priors.fit(profile, logits)
    assert fitted.restore(fitted.normalise(logits[0])) == pytest.approx(logits[0], abs=1e-5)
    moved = Priors.fit(profile, [5 * x - 2 for x in logits])
    assert moved.normalise(5 * logits[0] - 2) == pytest.approx(fitted.normalise(logits[0]), abs=1e-5)


def test_zero_clips_of_speakers_without_emotion_shrink_the_released_statistics(logits):
    with_zeros = Priors.fit(CODE, [*logits, np.zeros((130, 7))])
    assert with_zeros.centre == pytest.approx(Priors.fit(CODE, logits).centre / 2)


# Smoothing ------------------------------------------------------------------------------------------------------------


def test_the_mean_of_31_frames_halves_a_constant_at_its_ends():
    smooth = priors.moving_average(np.ones((60, 7)))
    assert smooth[0] == pytest.approx(16 / 31) and smooth[-1] == pytest.approx(16 / 31)
    assert smooth[15:45] == pytest.approx(1)


def test_one_frame_is_spread_over_31():
    impulse = np.zeros((61, 1))
    impulse[30] = 31
    assert priors.moving_average(impulse)[:, 0].tolist() == pytest.approx([0] * 15 + [1] * 31 + [0] * 15)


def test_the_low_pass_keeps_a_constant_and_its_slow_waves_and_halves_the_power_at_the_cut_off():
    assert priors.low_pass(np.full((50, 7), 2.0), 30, 0.43) == pytest.approx(2)
    t = np.arange(3000) / 30
    for hz, gain in ((0.05, 1.0), (0.43, 0.5**0.5), (5.0, 0.0)):
        wave = np.sin(2 * np.pi * hz * t)[:, None]
        kept = priors.low_pass(wave, 30, 0.43)[500:2500]
        assert kept.std() / wave[500:2500].std() == pytest.approx(gain, abs=0.01)


def test_both_filters_have_the_same_cut_off():
    frequency = PAPER.cut_off_hz / PAPER.fps
    window = np.sin(31 * np.pi * frequency) / (31 * np.sin(np.pi * frequency))         # gain of a mean of 31
    assert window**2 == pytest.approx(0.5, abs=0.01)


def test_the_released_program_smooths_targets_alone_and_the_paper_both(logits):
    code, paper = Priors.fit(CODE, logits), Priors.fit(PAPER, logits)
    assert np.array_equal(code.inputs(logits[0]), code.normalise(logits[0]))
    assert np.array_equal(paper.inputs(logits[0]), paper.targets(logits[0]))
    for fitted in (code, paper):
        assert fitted.targets(logits[1])[15:-15].std() < 0.5 * fitted.normalise(logits[1]).std()


@pytest.mark.parametrize("profile", [CODE, PAPER])
def test_a_profile_without_smoothing_leaves_targets_and_inputs_as_they_are(logits, profile):
    fitted = Priors.fit(replace(profile, smoothing="none"), logits)
    assert np.array_equal(fitted.targets(logits[0]), fitted.normalise(logits[0]))
    assert np.array_equal(fitted.inputs(logits[0]), fitted.normalise(logits[0]))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips_are_smoothed_too(logits, frames):
    for profile in (CODE, PAPER):
        assert Priors.fit(profile, logits).targets(logits[0][:frames]).shape == (frames, 7)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: Priors.fit(CODE, []), "no training clip"),
    (lambda: Priors.fit(CODE, [np.ones((5, 7))]), "'neutral' never changes"),
    (lambda: Priors.fit(CODE, [np.ones((5, 8))]), r"\(5, 8\): expected \(frames, 7\)"),
    (lambda: Priors.fit(PAPER, [np.full((5, 7), np.nan)]), "NaN"),
    (lambda: priors.moving_average(np.ones((5, 7)), 30), "odd number"),
    (lambda: priors.low_pass(np.ones((5, 7)), 30, 15), "half the frame rate"),
])  # fmt: skip
def test_what_gives_no_prior_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


# Linearity ------------------------------------------------------------------------------------------------------------

LEVELS = np.linspace(0, 1, 9)


def table(course, offsets=(0.0, 1.0, 2.0)):
    rows = [{"emotion": "happy", "actor": a, "intensity": x, "logit": offset + course(x, a)}
            for a, offset in enumerate(offsets) for x in LEVELS]
    return pd.DataFrame(rows)


def test_a_line_is_found_with_its_slope_whatever_the_actors_offsets():
    (row,) = priors.logit_linearity(table(lambda x, a: (3 + a) * x)).to_dict("records")
    assert (row["slope"], row["r2_line"], row["kendall"], row["spearman"]) == pytest.approx((4, 1, 1, 1))
    # slopes 3, 4, 5: mean 4, error 1 / sqrt 3, t(2) = 4.3027
    assert (row["low"], row["high"]) == pytest.approx((4 - 2.4841, 4 + 2.4841), abs=1e-3)
    assert (row["units"], row["clips"]) == (3, 27)


def test_a_parabola_is_told_from_a_line():
    (row,) = priors.logit_linearity(table(lambda x, a: x**2)).to_dict("records")
    # the line explains cov(x, x^2)^2 / (var x var x^2): 15/16 for all x in 0..1, a little less on nine steps
    assert row["r2_line"] == pytest.approx(np.corrcoef(LEVELS, LEVELS**2)[0, 1] ** 2)
    assert row["r2_line"] == pytest.approx(15 / 16, abs=0.02)
    assert row["r2_quadratic"] == pytest.approx(1) and row["kendall"] == pytest.approx(1)


def test_what_does_not_move_follows_nothing():
    (row,) = priors.logit_linearity(table(lambda x, a: 0 * x)).to_dict("records")
    assert row["slope"] == pytest.approx(0) and row["r2_line"] == 0 and np.isnan(row["kendall"])


def test_one_unit_has_a_slope_but_no_interval():
    (row,) = priors.logit_linearity(table(lambda x, a: 2 * x, offsets=(0,))).to_dict("records")
    assert row["slope"] == pytest.approx(2) and np.isnan(row["low"]) and np.isnan(row["high"])


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.drop(columns="logit"), "logit missing"),
    (lambda t: t[t.intensity < 0.3], "3 intensities; at least 4"),
    (lambda t: t.assign(logit=np.nan), "happy, actor 0 has NaN"),
    (lambda t: t[:0], "every row missing"),
])  # fmt: skip
def test_tables_without_what_is_needed_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        priors.logit_linearity(change(table(lambda x, a: x)))


# Recogniser -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The recogniser of the smoke scale, trained here into a cache of its own."""
    before, paths.CACHE = paths.CACHE, tmp_path_factory.mktemp("cache")
    priors.frame_recogniser.cache_clear()
    yield priors.frame_recogniser("smoke")
    priors.frame_recogniser.cache_clear()
    paths.CACHE = before


def test_the_recogniser_names_the_emotion_of_unseen_actors_and_is_kept(smoke):
    scores = priors.recogniser_scores("smoke")
    assert scores["clips, intensity >= 0.7"] > 0.9 and 0.8 < scores["frames, all"] < 1
    assert np.sum(scores["confusion"], axis=1).tolist() == [8, 6, 6, 6, 6, 6, 6]
    seen = head().landmarks(np.random.default_rng(0).uniform(0, 0.5, (6, 52))), head().mean[head().topology.landmarks]
    before = smoke.logits(*seen)
    priors.frame_recogniser.cache_clear()
    assert np.array_equal(priors.frame_recogniser("smoke").logits(*seen), before)


def test_a_frame_does_not_depend_on_its_neighbours(smoke):
    points, template = head().landmarks(np.random.default_rng(0).uniform(0, 0.5, (12, 52))), head().mean[
        head().topology.landmarks]
    both, turned = smoke.logits(points, template), smoke.logits(points[::-1], template)
    assert both.shape == (12, 7) and both == pytest.approx(turned[::-1], abs=1e-4)


def test_parameters_are_read_through_their_landmarks_with_the_head_turned_back(smoke):
    rng = np.random.default_rng(0)
    rig = (rng.uniform(0, 0.8, (70, 52)) * (rng.random((70, 52)) < 0.25)).astype(np.float32)
    like = FlameLike.fit(head().vertices(rig))
    layer, params = from_puppet(like), like.encode(head().vertices(rig[:6]))
    by_params = smoke.logits_of_params(params, layer)
    by_points = smoke.logits(head().landmarks(rig[:6]), head().mean[head().topology.landmarks])
    assert np.abs(by_params - by_points).max() < 0.1 * by_points.std()
    params[:, 50:53] = 0.3
    assert smoke.logits_of_params(params, layer) == pytest.approx(by_params, abs=1e-4)


def test_more_intensity_gives_a_higher_logit(smoke):
    specs = [one for one in priors.sweep_specs("smoke") if one.emotion == "happy"][:2]
    rows = priors.intensity_sweep(smoke, specs, levels=(0.0, 0.3, 0.6, 1.0))
    (row,) = priors.logit_linearity(rows).to_dict("records")
    assert row["slope"] > 0 and row["spearman"] == pytest.approx(1) and row["r2_line"] > 0.9
    assert rows.probability.between(0, 1).all()
    with pytest.raises(InputError, match="contempt"):
        priors.intensity_sweep(smoke, [specs[0].changed(emotion="contempt")])


def test_the_recogniser_shares_no_actor_and_no_sentence_with_corpus_judges_or_voices():
    for scale, recipe in priors.RECIPES.items():
        own = {*recipe.actors, *recipe.test_actors}
        others = (*foundations.JUDGES[scale].actors, *foundations.JUDGES[scale].test_actors,
                  *foundations.SPEECH[scale].actors, *foundations.SPEECH[scale].test_actors, *spec.LAPTOP.actors)
        assert len(own) == len(recipe.actors) + len(recipe.test_actors) and not own & set(others)
        heard, unheard = ({clip.sentence for clip in priors._specs(recipe, test)} for test in (False, True))
        assert not heard & unheard and all(s.startswith("en-ctc") for s in heard | unheard)
    assert priors.FrameRecogniser.emotions == labels.ORDERS["affectnet-7"]
    with pytest.raises(InputError, match="poster"):
        priors.frame_recogniser("poster")
