"""Evidence for paper 004 from small tables whose answers can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from lib import claims
from lib.experiments import eavanet_claims as evidence
from lib.experiments.eavanet_measures import ALPHAS

ERRORS = {"control/static-template": 6.0, "control/oracle": 1.0, "eavanet": 2.0, "faceformer": 3.0}


def scores(errors=ERRORS, seeds=(0, 1, 2)):
    rows = [{"seed": seed, "system": system, "part": part, "clip": f"c{clip}", "speaker": clip % 2, "emotion": "sad",
             "intensity": 1.0, "lve_mm": error + 0.01 * seed, "upper_mm": error, "vertex_error_mm": error,
             "fdd_abs": error, "fdd": -error, "fdd_vertex": error, "fdd_static": 8.0, "achieved": 0.9,
             "achieved_truth": 0.6}
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


def test_without_timing_the_speed_claims_name_what_is_missing():
    assert evidence.speed(None, evidence.FACEFORMER, 7)[0].missing == evidence.NOT_TIMED
    assert all(column.missing for column in evidence.growth(None))


def control(slope=0.8):
    return pd.DataFrame([{"seed": seed, "system": system, "part": "unseen", "clip": f"c{clip}", "speaker": clip,
                          "emotion": "sad", "alpha": alpha, "achieved": 0.1 + slope * alpha, "lips": 0.05,
                          "others": 0.0} for seed in range(3) for clip in range(2) for alpha in ALPHAS
                         for system in ("eavanet", "eavanet/full-intensity")])


def test_a_rising_line_has_its_slope_a_perfect_fit_and_no_falling_step():
    table = evidence.curve_table(results(control=control()), "eavanet")
    assert table.slope.tolist() == pytest.approx([0.8] * 6)
    assert table.linearity.tolist() == pytest.approx([1.0] * 6) and table.monotone.all()
    assert evidence.steps(results(control=control()), (0.0, 0.3, 1.0)) == pytest.approx((0.24, 0.56))


@pytest.mark.parametrize("slope, verdict", [(0.8, claims.WEAKER), (0.0, claims.NOT), (-0.8, claims.REVERSED)])
def test_the_slider_claim_follows_the_slope(slope, verdict):
    noisy = control(slope).assign(achieved=lambda t: t.achieved + 0.001 * np.sin(7 * t.seed + 3 * t.alpha))
    column = evidence.intensity(results(control=noisy))[0]
    claim = claims.by_id(claims.load(), "eavanet-10")
    assert claims.judge_column(claim, column).verdict == verdict        # weaker: speaker ids are not all tried


def test_a_condition_holds_only_when_the_whole_interval_does():
    d = pd.DataFrame({"seed": [0, 1, 2], "speaker": 0, "clip": 0, "value": [0.1, 0.2, 3.0]})
    assert evidence.above(d.assign(value=d.value.clip(upper=0.21)), 0.0)[0]
    assert not evidence.above(d, 0.0)[0]                                # mean 1.1, but three seeds that disagree


def test_leakage_that_cannot_be_measured_is_missing_not_zero():
    rows = pd.DataFrame([{"seed": s, "system": name, "factor": f, "value": np.nan if f == "speaker" else 1.3}
                         for s in range(3) for name in ("eavanet",) for f in ("emotion", "speaker")])
    tokens = pd.DataFrame({"seed": range(3), "within": 0.1, "between": [0.3, 0.31, 0.32]})
    emotion, speaker, _ = evidence.clusters(results(leakage=rows, tokens=tokens, calibrated=True))
    assert "no better than chance" in speaker.missing and (emotion.d.value == 1.0).all()
