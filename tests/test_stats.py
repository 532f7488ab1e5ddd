"""Statistics: hand-computed values, then known truths by simulation. Simulations use fixed generators."""

import numpy as np
import pandas as pd
import pytest

from lib import stats
from lib.errors import InputError


@pytest.fixture
def rng():
    return np.random.default_rng(2026)


def balanced(values: np.ndarray) -> stats.Nested:
    n, speakers, clips = values.shape
    return stats.Nested(values, np.full((n, speakers), clips), tuple(range(n)), tuple([tuple(range(speakers))] * n))


def simulated(rng, n=12, speakers=3, clips=4, spreads=(1.0, 0.5, 1.0), mean=0.0) -> stats.Nested:
    seed, speaker, clip = spreads
    return balanced(mean + rng.normal(0, seed, (n, 1, 1)) + rng.normal(0, speaker, (n, speakers, 1))
                    + rng.normal(0, clip, (n, speakers, clips)))


def test_nested_averages_clips_to_speakers_to_seeds_with_equal_weight():
    table = pd.DataFrame([("s", "anna", 0, 1.0), ("s", "anna", 1, 3.0), ("s", "bert", 0, 6.0)],
                         columns=["seed", "speaker", "clip", "value"])
    data = stats.nested(table)
    assert data.seed_means.tolist() == [4.0]           # (mean(1, 3) + 6) / 2, not the clip mean 10 / 3
    assert data.n_speakers.tolist() == [2]


def test_repeated_rows_of_a_clip_count_once():
    rows = [(0, 0, 0, 0.0), (0, 0, 0, 2.0), (0, 0, 1, 5.0)]
    data = stats.nested(pd.DataFrame(rows, columns=["seed", "speaker", "clip", "value"]))
    assert data.seed_means.tolist() == [3.0]


@pytest.mark.parametrize(("frame", "message"), [
    (pd.DataFrame({"seed": [0], "value": [1.0]}), "speaker"),
    (pd.DataFrame({"seed": [0], "speaker": [0], "clip": [0], "value": [np.nan]}), "not finite"),
    (pd.DataFrame({"seed": [], "speaker": [], "clip": [], "value": []}), "rows"),
])
def test_tables_that_cannot_be_used_are_named(frame, message):
    with pytest.raises(InputError, match=message):
        stats.nested(frame)


def test_bootstrap_of_unequal_groups_is_unbiased_and_never_draws_the_padding(rng):
    rows = [(s, p, c, 10.0) for s in range(4) for p in range(1 + s) for c in range(1 + p)]
    data = stats.nested(pd.DataFrame(rows, columns=["seed", "speaker", "clip", "value"]))
    assert stats.hierarchical_means(data, rng, 500).tolist() == [10.0] * 500


def test_bootstrap_spread_is_the_standard_error_of_the_seed_means(rng):
    values = np.repeat(rng.normal(size=(20, 1, 1)), 3, axis=1)
    means = stats.hierarchical_means(balanced(values), rng, 20_000)
    assert means.std() == pytest.approx(values[:, 0, 0].std() / np.sqrt(20), rel=0.03)


def test_expanded_level_is_wider_than_the_percentile_and_approaches_it():
    assert stats.expanded_level(12) == pytest.approx(0.0108, abs=1e-4)
    assert stats.expanded_level(12, 0.90) == pytest.approx(0.0303, abs=1e-4)
    assert stats.expanded_level(10_000) == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize("n", [12, 20])
def test_interval_of_paired_differences_covers_the_truth_in_93_to_97_percent(n):
    """1,000 simulations with truth 0.3; protocol 4.2 computed 94 % for this case."""
    rng = np.random.default_rng([81, n])
    d = rng.normal(0.3, 1.0, (1000, n))
    low, high = stats.expanded_percentile(stats.bootstrap_means(d, rng, 2000), n)
    assert 0.93 <= np.mean((low < 0.3) & (high > 0.3)) <= 0.97


def covered(rng, spreads: tuple, runs: int) -> float:
    hits = 0
    for _ in range(runs):
        data = simulated(rng, spreads=spreads)
        low, high = stats.expanded_percentile(stats.hierarchical_means(data, rng, 500), 12)
        hits += low < 0 < high
    return hits / runs


def test_nested_interval_covers_at_least_as_often_as_it_says():
    """Protocol 4.2: 94 to 96 % when seeds dominate, up to 99 % when clip noise does; 500 runs, error 1 %."""
    rng = np.random.default_rng(83)
    assert 0.935 <= covered(rng, (1.0, 0.5, 1.0), 500) <= 0.985
    assert covered(rng, (0.1, 0.1, 1.0), 200) >= 0.97


def test_crossed_resampling_covers_shared_speakers_where_the_nested_one_does_not():
    """All seeds hear the same six speakers: their luck is shared and does not average out over seeds."""
    rng, hits = np.random.default_rng(84), {"crossed": 0, "nested": 0}
    runs = 100
    for _ in range(runs):
        data = balanced(rng.normal(0, 0.3, (12, 1, 1)) + rng.normal(0, 1, (1, 6, 1)) + rng.normal(0, 0.3, (12, 6, 2)))
        draws = {"crossed": stats.crossed_means(data, rng, 300), "nested": stats.hierarchical_means(data, rng, 300)}
        for name, means in draws.items():
            low, high = stats.expanded_percentile(means, 6)
            hits[name] += low < 0 < high
    assert hits["crossed"] / runs >= 0.90
    assert hits["nested"] / runs <= 0.75


def test_bca_agrees_with_the_percentile_on_symmetric_data_and_has_no_value_for_constants(rng):
    d = rng.normal(1, 1, 20)
    means = stats.bootstrap_means(d, rng, 20_000)
    low, high = stats.bca(means, d)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.06)
    assert np.isnan(stats.bca(np.ones(100), np.ones(12))).all()


def test_sign_flip_counts_patterns():
    assert stats.sign_flip_p([1.0, 1.0, 1.0]) == 0.25                 # 2 of 8 patterns: +++ and ---
    assert stats.sign_flip_p(np.full(12, 0.1)) == 2 / 2**12
    assert stats.sign_flip_p([1.0, -1.0]) == 1.0
    assert stats.sign_flip_p([3.0, 1.0, -1.0]) == 0.75                # |sum| >= 3: five, three twice, and their mirrors


def test_sign_flip_of_more_than_twenty_seeds_is_random_and_agrees(rng):
    d = rng.normal(0.4, 1, 21)
    exact = float(np.mean(np.abs(stats._all_flips(d)) >= abs(d.sum()) - 1e-9))
    assert stats.sign_flip_p(d, rng, 20_000) == pytest.approx(exact, abs=0.01)
    with pytest.raises(InputError, match="generator"):
        stats.sign_flip_p(d)


@pytest.mark.parametrize("noise", ["normal", "uniform", "heavy"])
def test_sign_flip_test_finds_nothing_in_at_most_five_percent(noise):
    """2,000 nulls of 12 seeds; 5 % plus 2.6 binomial errors (0.5 %), so that a correct test fails 1 time in 200."""
    rng = np.random.default_rng([85, len(noise)])
    d = {"normal": rng.normal(size=(2000, 12)), "uniform": rng.uniform(-1, 1, (2000, 12)),
         "heavy": rng.standard_t(2, (2000, 12))}[noise]
    rejected = np.mean(stats.sign_flip_p(d) <= 0.05)
    assert rejected <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 2000)


def test_holm_keeps_the_family_below_five_percent():
    rng = np.random.default_rng(86)
    p = stats.sign_flip_p(rng.normal(size=(300, 10, 12)))
    assert np.mean([stats.holm(row).min() <= 0.05 for row in p]) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.01, np.nan])[0] == 0.01
    assert np.isnan(stats.holm([0.01, np.nan])[1])
    assert stats.holm([]).size == 0


def test_student_interval_by_hand():
    low, high, p = stats.student([1.0, 2.0, 3.0])                     # t = 4.303, error 1 / sqrt(3)
    assert (low, high) == pytest.approx((-0.484, 4.484), abs=1e-3)
    assert p == pytest.approx(0.0742, abs=1e-4)
    assert stats.student([2.0, 2.0]) == (2.0, 2.0, 0.0)


def test_few_seeds_use_student_t_and_say_so(rng):
    few = stats.interval(simulated(rng, n=3, mean=5), planned=12, rng=rng)
    full = stats.interval(simulated(rng, n=12, mean=5), planned=12, rng=rng, draws=500)
    assert few.method.startswith("Student") and full.method == "hierarchical bootstrap"
    assert few.signs_agree and full.p == 2 / 2**12
    assert full.low < full.low90 < full.mean < full.high90 < full.high


def test_effect_sizes_by_hand():
    assert stats.d_z([1.0, 2.0, 3.0]) == pytest.approx(2 * 0.5642, abs=1e-4)      # J(2) = 1 / sqrt(pi)
    assert np.isnan(stats.d_z([1.0, 1.0, 1.0]))
    assert stats.cliffs_delta([2, 3], [1, 2]) == 0.75                             # three wins, one tie
    assert stats.paired_dominance([1, 1, -1, 0]) == 0.25
    assert stats.probability_of_superiority([1, 1, -1, 0]) == 0.625
    assert stats.interquartile_mean([0, 1, 2, 100]) == 1.5


def test_variance_shares_recover_the_levels():
    data = simulated(np.random.default_rng(87), n=400, speakers=6, clips=8, spreads=(2.0, 1.0, 1.0))
    assert stats.variance_shares(data) == pytest.approx({"seed": 4 / 6, "speaker": 1 / 6, "clip": 1 / 6}, abs=0.06)


def test_smallest_effects_are_those_of_the_protocol():
    effects = [stats.smallest_effect(n) for n in (40, 19, 20, 12, 3, 2)]
    assert effects == pytest.approx([0.45, 0.68, 0.66, 0.89, 3.3, 11.6], rel=0.012)
    assert stats.seeds_needed(0.889) == 12
    assert [round(100 * stats.smallest_share_gap(n), 1) for n in (690, 23)] == [5.3, 29.2]
    assert [round(100 * stats.smallest_share_gap(n, 1 / 3), 1) for n in (774, 43)] == [4.7, 20.1]


def test_kendall_tau_and_the_pairs_that_flip():
    assert stats.kendall_tau([1, 2, 3], [1, 2, 3]) == 1.0
    assert stats.kendall_tau([1, 2, 3], [1, 3, 2]) == pytest.approx(1 / 3)
    assert stats.flipped_pairs([1, 2, 3], [1, 3, 2], "abc") == [("b", "c")]
    assert np.isnan(stats.kendall_tau([1, 1], [1, 2]))


def test_kendall_tau_equals_scipy(rng):
    from scipy.stats import kendalltau
    a, b = rng.integers(5, size=(2, 12))
    assert stats.kendall_tau(a, b) == pytest.approx(kendalltau(a, b).statistic)


def test_a_stable_ranking_has_a_high_lower_end(rng):
    order = np.arange(5.0)
    clear = np.stack([order + rng.normal(0, 0.05, (12, 5)), order + rng.normal(0, 0.05, (12, 5))], 1)
    noise = rng.normal(size=(12, 2, 5))
    assert stats.ranking_stability(clear, rng, 100)[1] >= 0.8
    assert stats.ranking_stability(noise, rng, 100)[1] < 0.8
