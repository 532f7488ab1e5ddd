"""Evidence for paper 004 from small tables whose answers can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from lib import claims
from lib.experiments import eavanet_claims as evidence
from lib.experiments.eavanet_measures import ALPHAS, TIMED, UNSEEN

ERRORS = {"control/static-template": 6.0, "control/oracle": 1.0, "eavanet": 2.0, "faceformer": 3.0}


def scores(errors=ERRORS, seeds=(0, 1, 2)):
    rows = [{"seed": seed, "system": system, "part": part, "clip": f"c{clip}", "speaker": clip % 2, "emotion": "sad",
             "intensity": 1.0, "lve_mm": error + 0.01 * seed, "upper_mm": error, "vertex_error_mm": error,
             "fdd_abs": error, "fdd": -error, "fdd_vertex": error, "fdd_static": 8.0, "achieved": 0.9,
             "achieved_truth": 0.6, "sync_mm": 4 - error / 2, "judge": 1.0 - error / 10}
            for seed in seeds for system, error in errors.items() for part in ("seen", "unseen") for clip in range(4)]
    return pd.DataFrame(rows)


def results(**tables):
    empty = dict.fromkeys(evidence.Results.__dataclass_fields__)
    return evidence.Results(**{**empty, "scale": "smoke", "seeds": (0, 1, 2), **tables})


def test_advantage_is_the_difference_in_shares_of_the_room_between_static_template_and_floor():
    d = evidence.advantage(scores(), "eavanet", "faceformer", "upper_mm", "unseen")
    assert len(d) == 12
    assert np.allclose(d.value, (3 - 2) / (6 - 1))


def test_skill_is_zero_for_the_template_one_for_the_floor_and_the_fraction_between():
    for system, expected in {"control/static-template": 0.0, "control/oracle": 1.0, "eavanet": 0.8}.items():
        assert evidence.mean_skill(scores(), system, "upper_mm", "seen") == pytest.approx(expected)


def test_fdd_advantage_is_a_share_of_the_static_templates_fdd():
    d = evidence.fdd_advantage(scores(), "eavanet", "faceformer", "seen")
    assert np.allclose(d.value, (3 - 2) / 8)
    assert evidence.fdd_floor(scores(), "seen") == pytest.approx(1 / 8)


def test_an_fdd_column_is_undecidable_when_blinks_alone_exceed_its_margin():
    both = {**ERRORS, "faceformer/label": 2.5}
    claim = claims.by_id(claims.load(), "eavanet-01")
    columns = {e.column: e for e in evidence.table_two(results(scores=scores(both)), claim, "faceformer")}
    judged = claims.judge(claim, list(columns.values()))
    assert {c.column: c.verdict for c in judged.columns}["fdd"] == claims.OPEN
    assert "oracle floor" in judged.missing


def test_exaggeration_is_the_log_ratio_of_achieved_to_true_intensity():
    sad, angry = evidence.stronger_than_truth(results(scores=scores()))
    assert np.allclose(sad.d.value, np.log(1.5)) and len(angry.d) == 0


def timing(exponent=1.0):
    rows = [{"run": run, "system": system, "audio_s": length, "seconds": factor * length**power,
             "without_speech_s": factor * length**power, "lstm_s": 0.1 * factor}
            for run in range(3) for length in (1.0, 2.0, 4.0)
            for system, factor, power in (("EavaNet", 0.1, exponent), (evidence.FACEFORMER, 1.0, 2.0),
                                          (evidence.CODETALKER, 10.0, 2.0), ("EavaNet, autoregressive twin", 0.3, 1.0))]
    return pd.DataFrame(rows)


def test_exponents_are_slopes_on_logarithmic_axes():
    slopes = evidence.exponents(timing())
    assert slopes["EavaNet"].tolist() == pytest.approx([1.0] * 3)
    assert slopes[evidence.FACEFORMER].tolist() == pytest.approx([2.0] * 3)


def test_speed_compares_at_four_seconds_and_growth_asks_for_all_three_conditions():
    ratio = evidence.speed(timing(), evidence.FACEFORMER, 7)[0]
    assert np.allclose(ratio.d.value, np.log(16 / 0.4)) and all(check.passed for check in ratio.checks)
    assert all(check.passed for column in evidence.growth(timing()) for check in column.checks)
    assert not all(check.passed for check in evidence.growth(timing(exponent=1.5))[0].checks)


@pytest.mark.parametrize("scale", TIMED)
def test_every_rival_is_timed_at_a_length_at_which_eavanet_is(scale):
    lengths = TIMED[scale][1]
    assert all(set(own) & set(lengths["eavanet"]) for own in lengths.values())


def test_without_timing_the_speed_claims_name_what_is_missing():
    assert evidence.speed(None, evidence.FACEFORMER, 7)[0].missing == evidence.NOT_TIMED
    apart = timing()[lambda t: (t.system == "EavaNet") != (t.audio_s == 4)]           # rivals at 4 s, EavaNet below
    assert "common length" in evidence.speed(apart, evidence.FACEFORMER, 7)[0].missing
    assert all(column.missing for column in evidence.growth(None))


def control(slope=0.8):
    return pd.DataFrame([{"seed": seed, "system": system, "part": "unseen", "clip": f"c{clip}", "speaker": clip,
                          "emotion": "sad", "id": speaker_id, "alpha": alpha, "achieved": 0.1 + slope * alpha,
                          "lips": 0.1 * alpha, "others": 0.0}
                         for seed in range(3) for clip in range(2) for speaker_id in (3, 5) for alpha in ALPHAS
                         for system in ("eavanet", "eavanet/full-intensity")])


FLOOR = pd.DataFrame({"seed": range(3), "step_error": [0.001, 0.002, 0.0]})


def test_a_rising_line_has_its_slope_a_perfect_fit_and_no_falling_step():
    table = evidence.curve_table(results(control=control(), steps=FLOOR), "eavanet")
    assert table.slope.tolist() == pytest.approx([0.8] * 6)
    assert table.linearity.tolist() == pytest.approx([1.0] * 6) and table.monotone.all()
    assert evidence.steps(results(control=control(), steps=FLOOR), (0.0, 0.3, 1.0)) == pytest.approx((0.24, 0.56))


@pytest.mark.parametrize("slope, verdict", [(0.8, claims.REPRODUCED), (0.0, claims.NOT), (-0.8, claims.REVERSED)])
def test_the_slider_claim_follows_the_slope(slope, verdict):
    noisy = control(slope).assign(achieved=lambda t: t.achieved + 0.001 * np.sin(7 * t.seed + 3 * t.alpha))
    column = evidence.intensity(results(control=noisy, steps=FLOOR))[0]
    claim = claims.by_id(claims.load(), "eavanet-10")
    assert claims.judge_column(claim, column).verdict == verdict


def test_a_condition_holds_only_when_the_whole_interval_does():
    d = pd.DataFrame({"seed": [0, 1, 2], "speaker": 0, "clip": 0, "value": [0.1, 0.2, 3.0]})
    assert evidence.above(d.assign(value=d.value.clip(upper=0.21)), 0.0)[0]
    assert not evidence.above(d, 0.0)[0]                                # mean 1.1, but three seeds that disagree


def leakage(emotion, speaker, unseen=0.9):
    found = {"emotion": emotion, "speaker": speaker, UNSEEN: unseen}
    return pd.DataFrame([{"seed": s, "system": "eavanet", "factor": f, "value": value + 0.01 * s}
                         for s in range(3) for f, value in found.items()])


def judged_clusters(**leaks):
    tokens = pd.DataFrame({"seed": range(3), "within": 0.1, "between": [0.3, 0.31, 0.32]})
    probe = evidence.clusters(results(leakage=leakage(**leaks), tokens=tokens, calibrated=True))[0]
    return claims.judge_column(claims.by_id(claims.load(), "eavanet-11"), probe).verdict


def test_the_emotion_probe_needs_speakers_unseen_by_the_encoder_and_reverses_when_the_speaker_is_clearer():
    assert judged_clusters(emotion=0.95, speaker=0.05, unseen=0.9) == claims.REPRODUCED
    assert judged_clusters(emotion=0.95, speaker=0.05, unseen=0.5) == claims.WEAKER
    assert judged_clusters(emotion=0.3, speaker=0.9, unseen=0.5) == claims.REVERSED


def test_leakage_that_cannot_be_measured_is_missing_not_zero():
    rows = leakage(emotion=1.3, speaker=np.nan)
    tokens = pd.DataFrame({"seed": range(3), "within": 0.1, "between": [0.3, 0.31, 0.32]})
    emotion, speaker, _ = evidence.clusters(results(leakage=rows, tokens=tokens, calibrated=True))
    assert "no better than chance" in speaker.missing and (emotion.d.value == 1.0).all()


def test_crosstalk_is_a_share_of_what_the_intensity_has_changed():
    share = evidence.crosstalk_table(results(control=control(slope=0.5)), "eavanet", "lips")
    assert share.value.tolist() == pytest.approx([0.1 / 0.5] * 6)


def test_sync_margin_is_a_share_of_truth_minus_shuffled_truth():
    table = scores({**ERRORS, "control/shuffled-truth": 8.0})                  # 4 - error / 2: truth 3.5, shuffled 0
    d = evidence.sync_advantage(table, "eavanet", "faceformer", "unseen")
    assert np.allclose(d.value, (3.0 - 2.5) / 3.5)
    assert np.allclose(evidence.judge_gain(table, "eavanet", "faceformer", "unseen").value, 0.1)


def carried(low=1.0):
    """Errors to an expressive face: template 4, EavaNet 1, rivals 2; EavaNet's intensity on reserved speakers `low`."""
    rows = [{"seed": seed, "system": system, "id": i, "clip": f"c{clip}", "speaker": clip, "expressive": clip % 2,
             "achieved": 0.9 * (low if clip % 2 == 0 else 1) + 0.01 * seed if system == "eavanet" else 0.2,
             "own_mm": 1.0, "expressive_mm": error + 0.01 * seed}
            for seed in range(3) for system, error in {"eavanet": 1.0, "faceformer": 2.0, "codetalker": 2.5,
                                                       "control/static-template": 4.0}.items()
            for clip in range(4) for i in (3, 5)]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("low, verdict", [(1.0, claims.REPRODUCED), (0.0, claims.WEAKER)])
def test_expressiveness_carries_over_only_if_it_does_to_reserved_speakers_too(low, verdict):
    claim, (skill, own, slope) = claims.by_id(claims.load(), "eavanet-16"), evidence.carries_over(
        results(carried=carried(low)))
    assert claims.judge_column(claim, slope).verdict == verdict
    assert claims.judge_column(claim, skill).verdict != claims.REVERSED and np.allclose(own.d.value, 0)
    assert skill.d.value.iloc[0] == pytest.approx(1 / 4)


def test_speed_is_also_compared_without_the_speech_encoder():
    half = timing().assign(without_speech_s=lambda t: t.without_speech_s * np.where(t.system == "EavaNet", 0.5, 1.0))
    beside = evidence.speed(half, evidence.FACEFORMER, 7)[1]
    assert np.allclose(beside.d.value, np.log(2 * 16 / 0.4)) and beside.role == "extra"
