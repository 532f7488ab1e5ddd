"""Statistics of the study (protocol sections 1, 4, 7 and 11): intervals, tests, effect sizes, power, rankings.

Conventions
    d          advantage of a over b in the claimed direction, on the scale of the protocol; positive = as claimed.
    table      pandas DataFrame with the columns seed, speaker, clip, value: one row per clip (frames already averaged).
    unit       only seed means are independent. Clips are averaged to speakers, speakers to seeds, seeds to the result.
    rng        numpy Generator, always an argument.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

DRAWS = 10_000
EXACT_SIGN_FLIPS = 20          # seeds up to which all 2^n sign patterns are counted


@dataclass(frozen=True)
class Nested:
    """Values of seeds > speakers > clips as a padded array (n, S, C) with the counts that say what is real."""

    values: np.ndarray         # (n, S, C) float64, 0 where padded
    clips: np.ndarray          # (n, S) int, clips of each speaker; 0 = no such speaker
    seeds: tuple               # labels of the n seeds
    speakers: tuple            # labels of the speakers in each seed

    @property
    def n_speakers(self) -> np.ndarray:
        """(n,) speakers of each seed."""
        return (self.clips > 0).sum(1)

    @property
    def speaker_means(self) -> np.ndarray:
        """(n, S), NaN where a seed has no such speaker."""
        with np.errstate(invalid="ignore"):
            return self.values.sum(2) / self.clips

    @property
    def seed_means(self) -> np.ndarray:
        """(n,) means over speakers of the means over clips."""
        return np.nanmean(self.speaker_means, axis=1)


@dataclass(frozen=True)
class Interval:
    """Mean over seeds with its 95 and 90 % intervals and a two-sided p; what a verdict is made of."""

    mean: float
    low: float
    high: float
    low90: float
    high90: float
    p: float
    n_seeds: int
    signs_agree: bool = True
    method: str = "hierarchical bootstrap"


# From a table to arrays -----------------------------------------------------------------------------------------------

def nested(table) -> Nested:
    """Nested arrays of a table [seed, speaker, clip, value]; several rows of one clip are averaged first.

    InputError names missing columns and values that are not finite.
    """
    missing = {"seed", "speaker", "clip", "value"} - set(table.columns)
    if missing or len(table) == 0:
        raise InputError("statistics: table needs rows and the columns seed, speaker, clip, value; "
                         f"missing {sorted(missing) or 'rows'}")
    if not np.isfinite(table["value"].to_numpy(float)).all():
        raise InputError("statistics: table has values that are not finite; drop or explain them before testing")
    clips = table.groupby(["seed", "speaker", "clip"], sort=True)["value"].mean()
    groups = clips.groupby(level=["seed", "speaker"], sort=True)
    by_seed: dict = {}
    for (seed, speaker), group in groups:
        by_seed.setdefault(seed, {})[speaker] = group.to_numpy(float)
    return _padded(by_seed)


def seed_table(values) -> "DataFrame":
    """Table of one value per seed (one speaker, one clip each), for results that have no finer level."""
    import pandas as pd
    values = np.asarray(values, float)
    return pd.DataFrame({"seed": np.arange(len(values)), "speaker": 0, "clip": 0, "value": values})


def _padded(by_seed: Mapping) -> Nested:
    n, most = len(by_seed), max(len(speakers) for speakers in by_seed.values())
    longest = max(len(v) for speakers in by_seed.values() for v in speakers.values())
    values, clips = np.zeros((n, most, longest)), np.zeros((n, most), int)
    for i, speakers in enumerate(by_seed.values()):
        for j, v in enumerate(speakers.values()):
            values[i, j, :len(v)], clips[i, j] = v, len(v)
    return Nested(values, clips, tuple(by_seed), tuple(tuple(s) for s in by_seed.values()))


# Bootstrap ------------------------------------------------------------------------------------------------------------

def hierarchical_means(data: Nested, rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """(draws,) means of a bootstrap that draws seeds, then speakers within seeds, then clips within speakers."""
    per_draw = len(data.seeds) * data.values.shape[1] * data.values.shape[2]
    chunk = max(1, min(draws, 2_000_000 // per_draw))
    sizes = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    return np.concatenate([_hierarchical_chunk(data, rng, size) for size in sizes])


def _hierarchical_chunk(data: Nested, rng: np.random.Generator, draws: int) -> np.ndarray:
    n, most, longest = data.values.shape
    seeds = rng.integers(n, size=(draws, n))                                              # (B, n)
    counts = data.n_speakers[seeds][..., None].astype(np.float32)                         # (B, n, 1)
    speakers = (rng.random((draws, n, most), np.float32) * counts).astype(np.int32)       # (B, n, S)
    flat = seeds[..., None] * most + speakers                                             # row of the chosen speaker
    lengths = data.clips.reshape(-1)[flat][..., None].astype(np.float32)                  # (B, n, S, 1)
    clips = (rng.random((draws, n, most, longest), np.float32) * lengths).astype(np.int32)
    values = data.values.reshape(-1)[flat[..., None] * longest + clips]                   # (B, n, S, C)
    by_speaker = _mean_of_first(values, lengths[..., 0])
    return _mean_of_first(by_speaker, counts[..., 0]).mean(1)


def _mean_of_first(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean over the last axis of its first `counts` entries."""
    if (counts == values.shape[-1]).all():
        return values.mean(-1)
    used = np.arange(values.shape[-1]) < counts[..., None]
    return np.where(used, values, 0).sum(-1) / counts


def crossed_means(data: Nested, rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """(draws,) means when every seed sees the same test speakers and clips: seeds and speakers drawn independently.

    For fixed real test sets, where the nested bootstrap covers 53 % instead of 95 % (protocol 1).
    """
    if len(set(data.speakers)) > 1 or (data.clips != data.clips[0]).any():
        raise InputError("statistics: crossed resampling needs the same speakers and clips in every seed")
    n, most, longest = data.values.shape
    means = np.empty(draws)
    for b in range(draws):
        speakers = rng.integers(most, size=most)
        clips = (rng.random((most, longest)) * data.clips[0][speakers][:, None]).astype(int)
        seeds = rng.integers(n, size=n)
        drawn = data.values[seeds[:, None, None], speakers[:, None], clips]               # (n, S, C)
        means[b] = _mean_of_first(drawn, np.broadcast_to(data.clips[0][speakers], drawn.shape[:2])).mean()
    return means


def bootstrap_means(seed_means, rng: np.random.Generator, draws: int = DRAWS) -> np.ndarray:
    """(..., draws) bootstrap means of the last axis: the hierarchical bootstrap where only seeds vary."""
    seed_means = np.asarray(seed_means, float)
    n = seed_means.shape[-1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n                       # (draws, n)
    return seed_means @ weights.T


def expanded_level(n: int, level: float = 0.95) -> float:
    """Lower tail of the expanded percentile interval: Phi(sqrt(n / (n-1)) t_{(1-level)/2, n-1}).

    Wider than the plain percentile, which is too short by sqrt((n-1)/n) and by the t quantile (protocol 4.2).
    """
    from scipy.stats import norm, t
    return float(norm.cdf(np.sqrt(n / (n - 1)) * t.ppf((1 - level) / 2, n - 1)))


def expanded_percentile(means, n: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the expanded percentile interval of bootstrap `means` (..., draws) over n seeds."""
    tail = expanded_level(n, level)
    low, high = np.quantile(means, [tail, 1 - tail], axis=-1)
    return low, high


def bca(means, seed_means, level: float = 0.95) -> tuple[float, float]:
    """Bias-corrected and accelerated interval (Efron 1987), a check only; NaN for a constant column.

        z0 = Phi^-1(share of draws below the estimate), a = sum u^3 / (6 (sum u^2)^1.5), u = jackknife over seeds
    """
    from scipy.stats import norm
    seed_means = np.asarray(seed_means, float)
    centred = seed_means - seed_means.mean()                 # u of a mean is proportional to the centred value
    below = np.mean(means < seed_means.mean())
    if not centred.any() or not 0 < below < 1:
        return float("nan"), float("nan")
    z0 = norm.ppf(below)
    a = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    z = z0 + norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(means, norm.cdf(z0 + z / (1 - a * z)))
    return float(low), float(high)


# Tests ----------------------------------------------------------------------------------------------------------------

def sign_flip_p(d, rng: np.random.Generator | None = None, draws: int = 100_000) -> np.ndarray | float:
    """Two-sided sign-flip p of the last axis: share of sign patterns whose |sum| reaches the observed one.

    All 2^n patterns up to n = 20 (the smallest p is 2 / 2^n); beyond, `draws` random ones from `rng`.
    """
    d = np.asarray(d, float)
    sums = _all_flips(d) if d.shape[-1] <= EXACT_SIGN_FLIPS else _random_flips(d, rng, draws)
    reach = np.abs(d.sum(-1, keepdims=True)) * (1 - 1e-12)
    return np.mean(np.abs(sums) >= reach, axis=-1)[()]


def _all_flips(d: np.ndarray) -> np.ndarray:
    sums = d[..., :1]                                        # |sum| is symmetric, so the first sign can stay fixed
    for i in range(1, d.shape[-1]):
        sums = np.concatenate([sums + d[..., i:i + 1], sums - d[..., i:i + 1]], axis=-1)
    return sums


def _random_flips(d: np.ndarray, rng: np.random.Generator | None, draws: int) -> np.ndarray:
    if rng is None:
        raise InputError(f"statistics: more than {EXACT_SIGN_FLIPS} seeds need a generator for random sign patterns")
    signs = rng.choice([-1.0, 1.0], size=(draws - 1, d.shape[-1]))
    return d @ np.concatenate([np.ones((1, d.shape[-1])), signs]).T      # the observed pattern counts, so p > 0


def student(d, level: float = 0.95) -> tuple[float, float, float]:
    """Student t interval of the mean of d and its two-sided p against 0: (low, high, p); constant d: p 0 or 1."""
    from scipy.stats import t
    d = np.asarray(d, float)
    mean, error = d.mean(), d.std(ddof=1) / np.sqrt(len(d))
    if error == 0:
        return float(mean), float(mean), float(mean == 0)
    half = t.ppf((1 + level) / 2, len(d) - 1) * error
    return float(mean - half), float(mean + half), float(2 * t.sf(abs(mean) / error, len(d) - 1))


def holm(p) -> np.ndarray:
    """Holm-adjusted p values, in the order given: max over smaller ones of (m - rank) p, at most 1. NaN stay NaN."""
    p = np.asarray(p, float)
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted


def interval(data: Nested, *, planned: int, rng: np.random.Generator, draws: int = DRAWS,
             crossed: bool = False) -> Interval:
    """Mean, 95 and 90 % interval and p of d: bootstrap and sign-flip, or Student t where fewer seeds than planned.

    At least two seeds. Fewer than `planned` seeds make a verdict provisional (protocol 1): signs_agree then matters.
    """
    d = data.seed_means
    agree = bool((d > 0).all() or (d < 0).all())
    if len(d) < planned:
        (low, high, p), (low90, high90, _) = student(d), student(d, 0.90)
        return Interval(float(d.mean()), low, high, low90, high90, p, len(d), agree, "Student t on seed means")
    means = (crossed_means if crossed else hierarchical_means)(data, rng, draws)
    (low, high), (low90, high90) = (expanded_percentile(means, len(d), level) for level in (0.95, 0.90))
    p = float(sign_flip_p(d, rng))
    return Interval(float(d.mean()), float(low), float(high), float(low90), float(high90), p, len(d), agree)


def shown(table, name: str = "mean") -> dict[str, float]:
    """Mean over seeds and its 95 % interval for a table of results: {name, name low, name high}; NaN ends for one seed.

    `table` as for `nested`. Twelve seeds are planned, so fewer give Student's interval.
    """
    data = nested(table)
    if len(data.seeds) < 2:
        return {name: float(data.seed_means.mean()), f"{name} low": float("nan"), f"{name} high": float("nan")}
    found = interval(data, planned=12, rng=np.random.default_rng(0))
    return {name: found.mean, f"{name} low": found.low, f"{name} high": found.high}


# Effect sizes ---------------------------------------------------------------------------------------------------------

def d_z(d) -> float:
    """Mean over standard deviation of paired seed differences, times Hedges' small-sample factor.

        J = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)), m = n - 1; NaN for fewer than 3 seeds or no spread
    """
    from scipy.special import gammaln
    d = np.asarray(d, float)
    m = len(d) - 1
    if m < 2 or d.std(ddof=1) == 0:
        return float("nan")
    factor = np.exp(gammaln(m / 2) - gammaln((m - 1) / 2)) / np.sqrt(m / 2)
    return float(factor * d.mean() / d.std(ddof=1))


def cliffs_delta(a, b) -> float:
    """P(a > b) - P(a < b) over all pairs of two samples, -1..1."""
    a, b = np.asarray(a, float), np.sort(np.asarray(b, float))
    below, upto = np.searchsorted(b, a, "left"), np.searchsorted(b, a, "right")
    return float((below - (len(b) - upto)).sum() / (len(a) * len(b)))


def paired_dominance(d) -> float:
    """Cliff's delta of paired differences, mean sign(d): share of clips where a is better minus share where worse."""
    return float(np.sign(np.asarray(d, float)).mean())


def probability_of_superiority(d) -> float:
    """Probability that a beats b on a clip, ties counted half."""
    return (paired_dominance(d) + 1) / 2


def interquartile_mean(d) -> float:
    """Mean of the middle half of the seeds (Agarwal et al. 2021); the plain mean below 4 seeds."""
    from scipy.stats import trim_mean
    return float(trim_mean(np.asarray(d, float), 0.25))


def variance_shares(data: Nested) -> dict[str, float]:
    """Shares of seed, speaker and clip in the variance of one value, summing to 1 (method of moments, cut at 0).

        clip = pooled variance within speakers; speaker = variance of speaker means - clip / clips;
        seed = variance of seed means - (speaker + clip / clips) / speakers
    """
    real = np.arange(data.values.shape[2]) < data.clips[..., None]
    inside = np.where(real, data.values - np.nan_to_num(data.speaker_means)[..., None], 0)
    clip = _pooled(np.square(inside).sum(), (data.clips - 1).clip(0).sum())
    per_clip = clip * np.mean(1 / data.clips[data.clips > 0])
    between = np.nansum(np.square(data.speaker_means - data.seed_means[:, None]))
    speaker = max(_pooled(between, (data.n_speakers - 1).sum()) - per_clip, 0.0)
    spread = _pooled(np.square(data.seed_means - data.seed_means.mean()).sum(), len(data.seeds) - 1)
    seed = max(spread - (speaker + per_clip) * np.mean(1 / data.n_speakers), 0.0)
    total = seed + speaker + clip
    parts = {"seed": seed, "speaker": speaker, "clip": clip}
    return {name: float(part / total) if total > 0 else float("nan") for name, part in parts.items()}


def _pooled(squares: float, freedom: int) -> float:
    return float(squares / freedom) if freedom > 0 else 0.0


# Power ----------------------------------------------------------------------------------------------------------------

def power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Power of the two-sided paired t test for an effect d_z over n pairs.

    The noncentral t as an average of normal tails over quantiles of the sample deviation: SciPy's own fails on far
    tails.
    """
    from scipy.special import ndtr
    reach, centre = _reach(n, alpha), effect * np.sqrt(n)
    return float((ndtr(centre - reach) + ndtr(-reach - centre)).mean())


@functools.lru_cache(maxsize=1024)
def _reach(n: int, alpha: float, quantiles: int = 2000) -> np.ndarray:
    """t quantile times sqrt(chi2 / m), m = n - 1, at evenly spaced probabilities (Wilson-Hilferty above m = 60)."""
    from scipy.stats import chi2, norm, t
    m, at = n - 1, (np.arange(quantiles) + 0.5) / quantiles
    ratio = chi2.ppf(at, m) / m if m <= 60 else (1 - 2 / (9 * m) + norm.ppf(at) * np.sqrt(2 / (9 * m))) ** 3
    return t.ppf(1 - alpha / 2, m) * np.sqrt(ratio)


@functools.lru_cache(maxsize=1024)
def smallest_effect(n: int, target: float = 0.80, alpha: float = 0.05) -> float:
    """Smallest d_z that n pairs show with the target power: .45 at 40, .68 at 19, .66 at 20, .89 at 12, 3.3 at 3."""
    from scipy.optimize import brentq
    return float(brentq(lambda effect: power(effect, n, alpha) - target, 1e-6, 100.0))


def seeds_needed(effect: float, target: float = 0.80, alpha: float = 0.05, most: int = 10_000) -> int:
    """Fewest seeds that show a d_z of this size with the target power; `most` when it takes more."""
    effect = abs(effect)
    low, high = 2, most
    if not effect > 0 or power(effect, most, alpha) < target:
        return most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, alpha) >= target else (middle + 1, high)
    return low


def smallest_share_gap(votes: int, parity: float = 0.5, target: float = 0.80, alpha: float = 0.05) -> float:
    """Smallest distance from `parity` that a share of independent votes shows: 5.3 points at 690, 29 at 23 votes."""
    from scipy.stats import norm
    return float((norm.ppf(1 - alpha / 2) + norm.ppf(target)) * np.sqrt(parity * (1 - parity) / votes))


# Rankings -------------------------------------------------------------------------------------------------------------

def kendall_tau(a, b) -> float:
    """Kendall's tau-b of two score vectors over the same systems; NaN when one of them has only ties."""
    i, j = np.triu_indices(len(a), 1)
    x, y = np.sign(np.asarray(a)[i] - np.asarray(a)[j]), np.sign(np.asarray(b)[i] - np.asarray(b)[j])
    ties = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / ties) if ties > 0 else float("nan")


def flipped_pairs(a, b, systems) -> list[tuple[str, str]]:
    """Pairs of systems that the two score vectors put in opposite order."""
    i, j = np.triu_indices(len(a), 1)
    opposite = np.sign(np.asarray(a)[i] - np.asarray(a)[j]) * np.sign(np.asarray(b)[i] - np.asarray(b)[j]) < 0
    return [(systems[p], systems[q]) for p, q in zip(i[opposite], j[opposite], strict=True)]


def ranking_stability(scores, rng: np.random.Generator, draws: int = 1000) -> tuple[float, float, float]:
    """Kendall tau-b of two criteria over seeds: (tau of the seed means, low, high of its 95 % interval).

    scores (n seeds, 2 criteria, systems), both oriented alike (lower = better in both, or higher in both). Seeds are
    resampled. A lower end of at least .8 means that the order is stable (protocol 11).
    """
    scores = np.asarray(scores, float)
    n = len(scores)
    means = [scores[rng.integers(n, size=n)].mean(0) for _ in range(draws)]
    low, high = np.nanquantile([kendall_tau(*pair) for pair in means], [0.025, 0.975])
    return kendall_tau(*scores.mean(0)), float(low), float(high)
