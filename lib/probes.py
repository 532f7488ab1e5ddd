"""What a code knows, and what a control does (protocol sections 8 and 9).

Leakage       codes x factors: probes of three families guess each factor from each code on unseen groups.
              value = (score - random-label score) / (ceiling - random-label score), at least 0; score = accuracy, or R2
              (at least 0) for continuous factors; ceiling = the same probe on all codes joined.
DCI           disentanglement, completeness and informativeness of whole codes, from the matrix of values.
Calibration   toy codes whose answer is known; a metric that fails them is not used.
Control       curves of achieved over requested intensity: slope, line, knee, steps, cross-talk, return to 0.

Codes are (clips, dims), factors (clips,) labels or numbers, groups (clips,) speakers and sentences. Codes over time are
pooled by `pool` (mean and standard deviation). Randomness comes from `seed` alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

PROBES = ("linear", "knn", "mlp")
# three settings each, chosen on held-out groups of the training part: equal tuning for all families
SETTINGS = {"linear": (0.01, 1.0, 100.0), "knn": (1, 5, 15), "mlp": (1e-3, 1e-1, 10.0)}
SHUFFLES = 3                    # random labellings averaged: one alone adds as much noise as the score itself
LARGEST_INPUT = 32              # principal components that the MLP sees, so that its cost does not depend on the code
TIED = {"identity": "speaker", "speaker": "speaker", "content": "sentence", "sentence": "sentence"}
LEAK_DELTA = 0.05               # protocol 5, key leakage


def pool(sequence) -> np.ndarray:
    """(2 C,) mean and standard deviation over time of a (T, C) code."""
    sequence = np.asarray(sequence, float)
    return np.concatenate([sequence.mean(0), sequence.std(0)])


# Leakage matrix -------------------------------------------------------------------------------------------------------

def leakage(codes: Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray], groups: Mapping[str, np.ndarray], *,
            seed: int = 0, probes: Sequence[str] = PROBES, folds: int = 3, reference: np.ndarray | None = None,
            tied: Mapping[str, str] = TIED) -> "DataFrame":
    """Every probe of every code for every factor: columns code, factor, probe, score, random, ceiling, value.

    groups     "speaker" and "sentence" of each clip; test clips share neither with training clips, except that the
               group a factor is tied to (`tied`: identity to speaker, content to sentence) is not held out for it.
    reference  extra code joined for the ceiling only; give one when there is a single code, whose value would be 1.
    Continuous factors are float arrays; everything else is a class. NaN value: the ceiling is no better than chance, so
    that nothing can be said; a `reference` that surely holds the factor (true motion, audio features) prevents it.
    """
    import pandas as pd
    codes = {name: _checked(code, name, groups) for name, code in codes.items()}
    joined = np.concatenate([*codes.values()] + ([] if reference is None else [np.asarray(reference, float)]), axis=1)
    rows = []
    for f, (factor, labels) in enumerate(factors.items()):
        labels, rng = _checked(labels, factor, groups), np.random.default_rng([seed, f])
        splits = group_splits([g for name, g in groups.items() if tied.get(factor) != name], folds, rng)
        shuffled = [labels[rng.permutation(len(labels))] for _ in range(SHUFFLES)]
        for probe in probes:
            if probe not in PROBES:
                raise InputError(f"probes: family {probe!r} is unknown, choose from {', '.join(PROBES)}")
            ceiling = probe_score(joined, labels, splits, probe, seed)[0]
            for code, values in codes.items():
                score, setting = probe_score(values, labels, splits, probe, seed)
                chance = np.mean([probe_score(values, y, splits, probe, seed, setting)[0] for y in shuffled])
                room = least_room(labels, chance, sum(len(test) for _, test in splits))
                rows.append((code, factor, probe, score, chance, ceiling, corrected(score, chance, ceiling, room)))
    return pd.DataFrame(rows, columns=["code", "factor", "probe", "score", "random", "ceiling", "value"])


def leakage_matrix(table) -> "DataFrame":
    """Codes x factors: the largest value of the probe families, which is the one that counts."""
    return table.groupby(["code", "factor"], sort=False)["value"].max().unstack(sort=False)


def corrected(score: float, chance: float, ceiling: float, room: float = 0.05) -> float:
    """(score - chance) / (ceiling - chance), at least 0; NaN when the ceiling is not more than `room` above chance."""
    return max(0.0, (score - chance) / (ceiling - chance)) if ceiling - chance > room else float("nan")


def least_room(labels: np.ndarray, chance: float, tested: int) -> float:
    """Room between chance and ceiling below which a ratio means nothing: .05, or four binomial errors of chance."""
    return 0.05 if _continuous(labels) else max(0.05, 4 * float(np.sqrt(chance * (1 - chance) / tested)))


def probe_score(code: np.ndarray, labels: np.ndarray, splits: "Splits", probe: str,
                seed: int = 0, setting: float | None = None) -> tuple[float, float]:
    """Score of one probe family over the pooled test clips of all splits, and its setting (tuned unless given).

    Accuracy for labels, R2 (at least 0) for float labels.
    """
    setting = _tuned(code, labels, splits[0][0], probe, seed) if setting is None else setting
    guesses = [_fit_predict(code, labels, train, test, probe, setting, seed) for train, test in splits]
    truth = labels[np.concatenate([test for _, test in splits])]
    return _score(truth, np.concatenate(guesses)), setting


Splits = list[tuple[np.ndarray, np.ndarray]]       # train and test indices of every fold


def group_splits(groups: Sequence[np.ndarray], folds: int, rng: np.random.Generator) -> Splits:
    """Train and test indices per fold: test clips are in fold k of every group, training clips in fold k of none."""
    assigned = [_folds_of(np.asarray(group), folds, rng) for group in groups]
    splits = [(np.flatnonzero(np.all([a != k for a in assigned], axis=0)),
               np.flatnonzero(np.all([a == k for a in assigned], axis=0))) for k in range(folds)]
    if any(len(train) < 2 or len(test) < 1 for train, test in splits):
        raise InputError(f"probes: {folds} folds leave a training or test part empty; need clips of more speakers and "
                         "sentences, or fewer folds")
    return splits


def _folds_of(group: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    names, place = np.unique(group, return_inverse=True)
    if len(names) < folds:
        raise InputError(f"probes: {len(names)} groups cannot be held out in {folds} folds")
    return (rng.permutation(len(names)) % folds)[place]


def _tuned(code, labels, train, probe: str, seed: int):
    """The setting that does best on a quarter of the training clips."""
    order = np.random.default_rng([seed, 7]).permutation(train)
    held, rest = order[: max(1, len(order) // 4)], order[max(1, len(order) // 4):]
    scores = [_score(labels[held], _fit_predict(code, labels, rest, held, probe, s, seed)) for s in SETTINGS[probe]]
    return SETTINGS[probe][int(np.argmax(scores))]


def _fit_predict(code, labels, train, test, probe: str, setting, seed: int) -> np.ndarray:
    centre, spread = code[train].mean(0), code[train].std(0)
    x, y = (code - centre) / np.where(spread > 1e-9, spread, 1.0), labels[train]
    if len(np.unique(y)) == 1:
        return np.full(len(test), y[0])
    if probe == "knn":
        return _nearest(x[train], y, x[test], setting)
    if probe == "mlp":
        x = _principal(x, x[train])
    return _quiet_fit(_model(probe, setting, seed, _continuous(labels)), x[train], y).predict(x[test])


def _nearest(x: np.ndarray, y: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Majority label, or mean, of the k nearest rows (Euclidean)."""
    k = min(k, len(x))
    distance = np.square(x).sum(1) - 2 * queries @ x.T                     # up to a constant per query
    near = y[np.argpartition(distance, k - 1, axis=1)[:, :k]]              # (queries, k)
    if _continuous(y):
        return near.mean(1)
    names = np.unique(y)
    return names[(near[..., None] == names).sum(1).argmax(1)]


def _model(probe: str, setting: float, seed: int, continuous: bool):
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    if probe == "linear":
        return Ridge(alpha=1 / setting) if continuous else LogisticRegression(C=setting, tol=1e-2, max_iter=50)
    kind = MLPRegressor if continuous else MLPClassifier
    return kind(hidden_layer_sizes=(16,), solver="lbfgs", alpha=setting, max_iter=50, random_state=seed)


def _quiet_fit(model, x: np.ndarray, y: np.ndarray):
    """Fit; a probe stopped at its iteration budget is what equal budgets mean, not a fault to report."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


def _principal(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    if x.shape[1] <= LARGEST_INPUT:
        return x
    axes = np.linalg.svd(train, full_matrices=False)[2][:LARGEST_INPUT].T
    scale = (train @ axes).std(0)
    return (x @ axes) / np.where(scale > 1e-9, scale, 1.0)


def _score(truth: np.ndarray, guess: np.ndarray) -> float:
    if not _continuous(truth):
        return float(np.mean(truth == guess))
    spread = np.square(truth - truth.mean()).sum()
    return max(0.0, 1 - float(np.square(truth - guess).sum() / spread)) if spread > 0 else 0.0


def _continuous(labels: np.ndarray) -> bool:
    return np.issubdtype(labels.dtype, np.floating)


def _checked(values, name: str, groups: Mapping[str, np.ndarray]) -> np.ndarray:
    values, n = np.asarray(values), len(next(iter(groups.values())))
    if len(values) != n:
        raise InputError(f"probes: {name} has {len(values)} clips, the groups {n}")
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise InputError(f"probes: {name} contains NaN or infinite values")
    return values


# Blocks, clusters, swaps ----------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class BlockDCI:
    """Disentanglement per code, completeness per factor, informativeness (own factor) per code; collapsed codes."""

    disentanglement: dict[str, float]
    completeness: dict[str, float]
    informativeness: dict[str, float]
    collapsed: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Mean disentanglement over codes; collapsed codes count as 0, never as disentangled."""
        return float(np.mean([self.disentanglement[code] for code in self.disentanglement]))


def block_dci(matrix, own: Mapping[str, str], delta: float = LEAK_DELTA,
              merged: tuple[str, str] = ("emotion", "intensity")) -> BlockDCI:
    """DCI of whole codes from a leakage matrix; `own` names the factor that each code should hold.

        disentanglement = 1 - entropy of the row / log factors, completeness = the same of the column / log codes

    Emotion and intensity count as one factor (the larger), cells below delta as 0: else a perfect code gets .89.
    """
    table = matrix.fillna(0.0)
    if set(merged) <= set(table.columns):
        table = table.assign(**{merged[0]: table[list(merged)].max(axis=1)}).drop(columns=merged[1])
    cut = table.where(table >= delta, 0.0)
    return BlockDCI({code: _one_sided(cut.loc[code].to_numpy()) for code in cut.index},
                    {factor: _one_sided(cut[factor].to_numpy()) for factor in cut.columns},
                    {code: float(matrix.loc[code, factor]) for code, factor in own.items()},
                    tuple(code for code in cut.index if not cut.loc[code].any()))


def _one_sided(weights: np.ndarray) -> float:
    """1 - entropy / log n of non-negative weights: 1 when one holds all, 0 when all are equal or zero."""
    if weights.sum() <= 0 or len(weights) < 2:
        return 0.0
    share = weights[weights > 0] / weights.sum()
    return float(1 + (share * np.log(share)).sum() / np.log(len(weights)))


def silhouettes(code, factors: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Silhouette (-1..1, Euclidean, standardised dims) of a code grouped by each factor; NaN for a single group."""
    from sklearn.metrics import silhouette_score
    code = np.asarray(code, float)
    code = (code - code.mean(0)) / np.where(code.std(0) > 1e-9, code.std(0), 1)
    sizes = {name: len(np.unique(np.asarray(labels))) for name, labels in factors.items()}
    return {name: float(silhouette_score(code, np.asarray(labels))) if 1 < sizes[name] < len(code) else float("nan")
            for name, labels in factors.items()}


def swap_skill(swapped, exact, unswapped) -> np.ndarray:
    """Skill of a swap per clip: 1 - |swapped - exact| / |unswapped - exact|, distances over (T, V, 3) or (T, C).

    1 = the exact clip with A's content and B's factor, 0 = no better than not swapping. Lists of clips in, (n,) out.
    """
    def distance(a, b) -> float:
        return float(np.linalg.norm(np.asarray(a, float) - np.asarray(b, float), axis=-1).mean())
    return np.array([1 - distance(s, e) / distance(u, e) for s, e, u in zip(swapped, exact, unswapped, strict=True)])


# Calibration gate -----------------------------------------------------------------------------------------------------

TOY_FACTORS = {"content": 8, "emotion": 8, "identity": 6}
TOYS = ("perfect", "rotated", "leaky", "collapsed", "random")


def toy_codes(kind: str, *, clips: int = 1000, seed: int = 0, noise: float = 0.1) -> tuple[dict, dict, dict]:
    """Codes, factors and groups of a toy whose answer is known; one code per factor, one-hot plus noise.

    rotated: each block turned; leaky: 20 % of emotion mixed into the content code; collapsed: the content code is
    constant; random: labels drawn anew. Speakers are the only groups, so that every clip is tested once.
    """
    rng = np.random.default_rng([seed, TOYS.index(kind)])
    factors = {name: rng.integers(size, size=clips) for name, size in TOY_FACTORS.items()}
    groups = {"speaker": np.arange(clips) % 12}
    hot = {name: np.eye(size)[factors[name]] for name, size in TOY_FACTORS.items()}
    clean = {name: block + noise * rng.standard_normal(block.shape) for name, block in hot.items()}
    if kind == "rotated":
        turns = {name: np.linalg.qr(rng.standard_normal((size, size)))[0] for name, size in TOY_FACTORS.items()}
        clean = {name: block @ turns[name] for name, block in clean.items()}
    if kind == "leaky":
        clean["content"] = 0.8 * clean["content"] + 0.2 * hot["emotion"]
    if kind == "collapsed":
        clean["content"] = np.ones_like(clean["content"])
    if kind == "random":
        factors = {name: rng.permutation(labels) for name, labels in factors.items()}
    return clean, factors, groups


@dataclass(frozen=True)
class Gate:
    """Result of the calibration: matrices by toy, the failed conditions, and whether the metric may be used."""

    matrices: dict
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def calibrate(probes: Sequence[str] = PROBES, *, clips: int = 1000, seed: int = 0) -> Gate:
    """Run the leakage matrix on all toy codes (`clips` test clips) and compare with what must come out.

    perfect: own >= .95, others <= .05, DCI >= .9; rotated: the same within .05; leaky: that cell >= .3, other cells <=
    .05; collapsed: its row <= .05 and flagged; random labels: all <= .05 (scored against a ceiling of 1).
    """
    matrices = {kind: _toy_matrix(kind, probes, clips, seed) for kind in TOYS}
    own, off = {name: name for name in TOY_FACTORS}, ~np.eye(len(TOY_FACTORS), dtype=bool)
    perfect, leaky = matrices["perfect"].to_numpy(), matrices["leaky"].to_numpy()[off]
    leak, rest = leaky[0], leaky[1:]                          # content x emotion is the first cell off the diagonal
    dci = {kind: block_dci(matrices[kind], own) for kind in ("perfect", "collapsed")}
    shift = np.abs(matrices["rotated"].to_numpy() - perfect).max()
    conditions = {
        "perfect: own factor at least .95": np.diag(perfect).min() >= 0.95,
        "perfect: others at most .05": perfect[off].max() <= 0.05,
        "perfect: DCI at least .9": dci["perfect"].mean >= 0.9,
        "rotated: same as perfect within .05": shift <= 0.05,
        "leaky: the leak at least .3": leak >= 0.3,
        "leaky: the rest at most .05": rest.max() <= 0.05,
        "collapsed: all at most .05": matrices["collapsed"].loc["content"].max() <= 0.05,
        "collapsed: flagged": dci["collapsed"].collapsed == ("content",),
        "random labels: all at most .05": matrices["random"].to_numpy().max() <= 0.05,
    }
    return Gate(matrices, tuple(name for name, held in conditions.items() if not held))


def _toy_matrix(kind: str, probes: Sequence[str], clips: int, seed: int) -> "DataFrame":
    codes, factors, groups = toy_codes(kind, clips=clips, seed=seed)
    table = leakage(codes, factors, groups, seed=seed, probes=probes, tied={})
    if kind == "random":           # nothing can be known, so the ceiling is that of a code that knows
        table["value"] = [corrected(s, r, 1.0) for s, r in zip(table["score"], table["random"], strict=True)]
    return leakage_matrix(table)


# Control curves -------------------------------------------------------------------------------------------------------

def achieved_intensity(outputs, neutral, full) -> np.ndarray:
    """Projection of outputs (..., D) on the true axis, <x - neutral, axis> / ||axis||^2, axis = full - neutral."""
    outputs, neutral, full = (np.asarray(x, float) for x in (outputs, neutral, full))
    axis = full - neutral
    length = np.square(axis).sum(-1)
    if np.any(length <= 0):
        raise InputError("probes: neutral and full intensity are the same; there is no axis to project on")
    return ((outputs - neutral) * axis).sum(-1) / length


@dataclass(frozen=True)
class ControlCurve:
    """Achieved over requested intensity: per clip (n,) slope, R2, monotone flag; of the mean curve knee, steps."""

    levels: np.ndarray
    mean: np.ndarray                       # (L,) mean achieved at each level
    slope: np.ndarray                      # (n,) least-squares slope of each clip, ideal 1
    linearity: np.ndarray                  # (n,) R2 of a line
    monotone: np.ndarray                   # (n,) bool, no falling step larger than the floor
    knee: float                            # level where a two-piece line bends
    knee_slopes: tuple[float, float]       # before and after the knee
    knee_gain: float                       # R2 of two pieces minus R2 of one

    @property
    def monotone_rate(self) -> float:
        return float(self.monotone.mean())

    @property
    def steps(self) -> tuple[float, ...]:
        """Adjacent steps of the mean curve."""
        return tuple(np.diff(self.mean).tolist())


def control_curve(levels, achieved, floor: float = 0.0) -> ControlCurve:
    """Curve statistics of achieved (n clips, L levels) over requested levels (L,), rising.

    `floor`: oracle floor of achieved intensity; smaller falling steps do not break monotony.
    """
    levels, achieved = np.asarray(levels, float), np.atleast_2d(np.asarray(achieved, float))
    if achieved.shape[1] != len(levels) or len(levels) < 3 or (np.diff(levels) <= 0).any():
        raise InputError(f"probes: need at least 3 rising levels and (clips, levels) achieved, got {levels.shape} and "
                         f"{achieved.shape}")
    x = levels - levels.mean()
    slope = achieved @ x / (x @ x)
    line = achieved.mean(1, keepdims=True) + slope[:, None] * x
    knee, slopes, gain = _knee(levels, achieved.mean(0))
    return ControlCurve(levels, achieved.mean(0), slope, _r2(achieved, line),
                        (np.diff(achieved, axis=1) >= -floor).all(1), knee, slopes, gain)


def _r2(values: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """R2 along the last axis; 0 for a flat curve, which follows no control."""
    spread = np.square(values - values.mean(-1, keepdims=True)).sum(-1)
    return np.where(spread > 1e-12, 1 - np.square(values - fit).sum(-1) / np.where(spread > 1e-12, spread, 1), 0.0)


def _knee(levels: np.ndarray, curve: np.ndarray) -> tuple[float, tuple[float, float], float]:
    """Best continuous two-piece line with the bend at an inner level: level, slopes, gain in R2 over one line."""
    def fit(*columns):
        basis = np.stack([np.ones_like(levels), levels, *columns], 1)
        weights = np.linalg.lstsq(basis, curve, rcond=None)[0]
        return float(_r2(curve, basis @ weights)), weights
    single = fit()[0]
    best, weights, knee = max(((*fit(np.maximum(levels - k, 0)), k) for k in levels[1:-1]), key=lambda found: found[0])
    return float(knee), (float(weights[1]), float(weights[1] + weights[2])), best - single


def crosstalk(off_target, on_target) -> np.ndarray:
    """Off-target change as a share of the on-target change, per clip: |x_end - x_start| / |y_end - y_start|, (n,).

    Both (n, L) on one scale (for example each in shares of its own full range). NaN where the target does not change.
    """
    off, on = (np.abs(x[:, -1] - x[:, 0]) for x in (np.asarray(off_target, float), np.asarray(on_target, float)))
    return np.where(on > 1e-12, off / np.where(on > 1e-12, on, 1), np.nan)


def irreversibility(start, back, full) -> np.ndarray:
    """|back at 0 - start at 0| / |full - start| per clip: 0 = returns completely."""
    start, back, full = (np.asarray(x, float) for x in (start, back, full))
    return np.abs(back - start) / np.abs(full - start)


def step_response(achieved, step_frame: int, fps: float) -> dict[str, float]:
    """A step of the control inside a clip: delay_s until half the change is reached, leak = its share before the step.

    achieved (T,): intensity per frame; plateaus are the means of the first and last quarter.
    """
    achieved = np.asarray(achieved, float)
    quarter = max(1, len(achieved) // 4)
    before, after = achieved[:quarter].mean(), achieved[-quarter:].mean()
    if not 0 < step_frame < len(achieved) or before == after:
        raise InputError("probes: the step must lie inside the clip and change the output")
    share = (achieved - before) / (after - before)
    reached = np.flatnonzero(share >= 0.5)
    return {"delay_s": float((reached[0] - step_frame) / fps), "leak": float(share[:step_frame].clip(0).max())}
