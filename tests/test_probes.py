"""Probes and control curves: toy codes and curves whose answer is known."""

import numpy as np
import pytest

from lib import probes
from lib.errors import InputError

FAST = ("linear", "knn")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def gate():
    return probes.calibrate(FAST, clips=1000)


def test_calibration_gate_passes_on_toy_codes_with_1000_test_clips(gate):
    assert gate.passed, gate.failures
    assert gate.matrices["leaky"].loc["content", "emotion"] >= 0.3


def test_a_metric_without_chance_correction_fails_the_gate(monkeypatch):
    monkeypatch.setattr(probes, "corrected", lambda score, chance, ceiling, room=0.05: score)
    found = probes.calibrate(("knn",), clips=600)
    assert "random labels: all at most .05" in found.failures and not found.passed


def small(rng, n=240):
    emotion, speaker, sentence = rng.integers(4, size=n), np.arange(n) % 6, np.arange(n) // 6 % 8
    style = np.eye(4)[emotion] @ rng.normal(size=(4, 12)) + 0.3 * rng.normal(size=(n, 12))
    content = np.eye(8)[sentence] @ rng.normal(size=(8, 12)) + 0.3 * rng.normal(size=(n, 12))
    return ({"style": style, "content": content}, {"emotion": emotion, "content": sentence},
            {"speaker": speaker, "sentence": sentence})


def test_all_probe_families_are_returned_and_the_largest_counts(rng):
    table = probes.leakage(*small(rng))
    assert set(table["probe"]) == set(probes.PROBES) and len(table) == 2 * 2 * 3
    matrix = probes.leakage_matrix(table)
    own = table.query("code == 'style' and factor == 'emotion'")
    assert matrix.loc["style", "emotion"] == own["value"].max() > 0.9
    assert matrix.loc["style", "content"] < 0.2


def test_leakage_repeats_with_its_seed(rng):
    data = small(rng)
    first, second = (probes.leakage(*data, probes=FAST, seed=3) for _ in range(2))
    assert first.equals(second)


def test_intensity_is_probed_by_explained_variance(rng):
    codes, _, groups = small(rng)
    level = rng.random(240)
    codes["level"] = np.stack([level, rng.normal(size=240)], 1)
    matrix = probes.leakage_matrix(probes.leakage(codes, {"intensity": level}, groups, probes=FAST))
    assert matrix.loc["level", "intensity"] > 0.9 and matrix.loc["style", "intensity"] < 0.1


def test_value_is_undefined_where_no_code_knows_the_factor(rng):
    codes, _, groups = small(rng)
    table = probes.leakage(codes, {"coin": rng.integers(2, size=240)}, groups, probes=("linear",))
    assert table["value"].isna().all()


def test_test_clips_share_no_group_with_training_clips(rng):
    speaker, sentence = np.repeat(np.arange(6), 10), np.tile(np.arange(10), 6)
    splits = probes.group_splits([speaker, sentence], 3, rng)
    for train, test in splits:
        assert not set(speaker[train]) & set(speaker[test]) and not set(sentence[train]) & set(sentence[test])
    assert set(np.concatenate([speaker[test] for _, test in splits])) == set(range(6))


def test_impossible_probes_are_refused(rng):
    codes, factors, groups = small(rng)
    with pytest.raises(InputError, match="held out in 7 folds"):
        probes.leakage(codes, factors, groups, folds=7)
    with pytest.raises(InputError, match="style has 10 clips"):
        probes.leakage({"style": np.ones((10, 2))}, factors, groups)
    with pytest.raises(InputError, match="family 'oracle'"):
        probes.leakage(codes, factors, groups, probes=("oracle",))
    with pytest.raises(InputError, match="NaN"):
        probes.leakage({"style": np.full((240, 2), np.nan)}, factors, groups)


def test_dci_of_a_perfect_matrix_is_one_and_a_collapsed_code_is_flagged():
    import pandas as pd
    names = ["content", "emotion", "intensity"]
    matrix = pd.DataFrame([[1, 0.03, 0], [0, 1, 0.9]], index=["c", "e"], columns=names)
    perfect = probes.block_dci(matrix, {"c": "content", "e": "emotion"})
    assert perfect.mean == 1.0 and perfect.completeness == {"content": 1.0, "emotion": 1.0}
    collapsed = probes.block_dci(matrix.mul([0, 1], axis=0), {"c": "content", "e": "emotion"})
    assert collapsed.collapsed == ("c",) and collapsed.disentanglement["c"] == 0.0


def test_dci_of_an_even_row_is_zero():
    import pandas as pd
    matrix = pd.DataFrame([[0.5, 0.5], [0, 1]], index=["a", "b"], columns=["x", "y"])
    assert probes.block_dci(matrix, {}).disentanglement == {"a": pytest.approx(0), "b": 1.0}


def test_silhouette_separates_the_factor_that_forms_clusters(rng):
    codes, factors, groups = small(rng)
    found = probes.silhouettes(codes["style"], {"emotion": factors["emotion"], "speaker": groups["speaker"]})
    assert found["emotion"] > 0.3 > found["speaker"] + 0.2


def test_swap_skill_is_one_for_the_exact_clip_and_zero_without_a_swap():
    exact, unswapped = np.ones((4, 2, 3)), np.zeros((4, 2, 3))
    halfway = [exact, unswapped, (exact + unswapped) / 2]
    assert probes.swap_skill(halfway, [exact] * 3, [unswapped] * 3).tolist() == pytest.approx([1, 0, 0.5])


def test_pooling_gives_mean_and_spread_over_time():
    assert probes.pool([[0.0, 1.0], [2.0, 1.0]]).tolist() == [1.0, 1.0, 1.0, 0.0]


# Control --------------------------------------------------------------------------------------------------------------

LEVELS = np.linspace(0, 1, 9)


def test_achieved_intensity_is_the_projection_on_the_true_axis():
    neutral, full = np.zeros(3), np.array([2.0, 0, 0])
    assert probes.achieved_intensity([[1.0, 5, 5], [3.0, 0, 0]], neutral, full).tolist() == [0.5, 1.5]
    with pytest.raises(InputError, match="no axis"):
        probes.achieved_intensity(neutral, neutral, neutral)


def test_an_ideal_control_has_slope_one_and_a_line():
    curve = probes.control_curve(LEVELS, np.stack([LEVELS, 2 * LEVELS]))
    assert curve.slope.tolist() == pytest.approx([1, 2])
    assert curve.linearity.tolist() == pytest.approx([1, 1])
    assert curve.monotone_rate == 1.0 and min(curve.steps) > 0
    assert curve.knee_gain == pytest.approx(0, abs=1e-9)


def test_a_saturating_control_has_a_knee_where_it_bends():
    curve = probes.control_curve(LEVELS, np.minimum(LEVELS, 0.5)[None])
    assert curve.knee == 0.5 and curve.knee_slopes == pytest.approx((1, 0), abs=1e-9)


def test_falling_steps_within_the_floor_do_not_break_monotony():
    wobbly = LEVELS + 0.05 * (np.arange(9) % 2) * -3
    assert probes.control_curve(LEVELS, wobbly[None], floor=0.1).monotone_rate == 1.0
    assert probes.control_curve(LEVELS, wobbly[None]).monotone_rate == 0.0
    flat = probes.control_curve(LEVELS, np.ones((1, 9)))
    assert flat.slope[0] == pytest.approx(0) and flat.linearity[0] == 0.0


def test_crosstalk_and_irreversibility_are_shares_of_the_wanted_change():
    on, off = np.array([[0.0, 2.0]]), np.array([[1.0, 1.5]])
    assert probes.crosstalk(off, on).tolist() == [0.25]
    assert np.isnan(probes.crosstalk(off, off * 0)).all()
    assert probes.irreversibility([0.0], [0.1], [1.0]).tolist() == [0.1]


def test_a_delayed_step_shows_its_delay_and_an_early_one_its_leak():
    late, early = np.zeros(40), np.zeros(40)
    late[25:], early[15:] = 1, 1
    assert probes.step_response(late, 20, fps=25) == {"delay_s": 0.2, "leak": 0.0}
    assert probes.step_response(early, 20, fps=25) == {"delay_s": -0.2, "leak": 1.0}


def test_levels_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match="rising levels"):
        probes.control_curve([0, 1, 1], np.zeros((1, 3)))
