"""From measured differences to verdicts: claims.yaml, equivalence margins, decision tables (protocol sections 5 and 6).

    claims = load()                                            # all 102 claims of the five papers, validated
    evidence = {"eavanet-01": [Evidence("lve", d=table, skill_b=0.7, skill_interval=(0.6, 0.8)), ...]}
    verdicts = judge_all(claims, evidence)                     # Holm over each paper; no evidence = "not run yet"
    to_csv(verdicts, results("laptop"))                        # claims.csv and claims_columns.csv

A table of evidence holds d per clip: the advantage of a over b in the claimed direction, on the scale of DELTAS
(skill units, absolute log ratio, share, ...), columns seed, speaker, clip, value. Positive = as claimed.

Rules are pure functions of an Interval: decide_difference, decide_approx, decide_monotone, decide_threshold,
decide_checks. Gates, margins, Holm and sensitivity are in judge_column, the entry's verdict in combine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from lib import stats
from lib.errors import InputError
from lib.paths import ROOT, write_aside
from lib.stats import Interval

PAPERS = ("cfd", "ecm", "vnet", "emoface", "eavanet")
REPRODUCED, WEAKER, NOT, REVERSED, OPEN = "reproduced", "weaker", "not reproduced", "reversed", "undecidable"
READER = {REPRODUCED: "reproduced", WEAKER: "partly", NOT: "not reproduced", REVERSED: "reversed", OPEN: "not testable"}
# how much a verdict asserts; of two verdicts from two intervals the one that asserts less counts (protocol 4.2)
ASSERTS = {OPEN: 0, NOT: 1, WEAKER: 2, REPRODUCED: 3, REVERSED: 3}

# Protocol 5: the largest difference that still counts as none, per metric key, and the scale of d
DELTAS: Mapping[str, float] = {
    "lmd": .02, "lip_error": .02, "lve": .02, "vertex_error": .02, "rig_mae": .02,      # skill, un-squared distances
    "skill": .03, "swap_error": .03, "fdd_abs": .05, "es": .05, "sync_margin": .05,     # skill; shares
    "emotion_accuracy": .03, "match_rate": .03, "vote_share": .05, "rating": .04,       # absolute; share of the scale
    "leakage": .05, "control_slope": .10, "linearity": .05, "monotone_rate": .05, "crosstalk": .05,
    "correlation": .05, "ks": .05, "time_exponent": .15, "count": 0.0,
    "amplitude_ratio": .10, "energy_ratio": .10, "jerk_ratio": .10, "blink_rate": .10,  # absolute log ratios
    "epochs": .10, "log_time": .10,
}
SQUARED_DELTA = .04             # the skill deltas of .02 when the errors are squared
SCALES: Mapping[str, str] = {
    **dict.fromkeys(("lmd", "lip_error", "lve", "vertex_error", "rig_mae", "skill", "swap_error"), "skill"),
    **dict.fromkeys(("amplitude_ratio", "energy_ratio", "jerk_ratio", "blink_rate", "epochs", "log_time"), "log ratio"),
    "fdd_abs": "share of the static template's FDD", "es": "share of truth - shuffled truth",
    "sync_margin": "share of truth - shuffled truth", "rating": "share of the scale's range",
    "leakage": "chance-corrected 0..1", "control_slope": "slope", "linearity": "R2", "monotone_rate": "rate",
    "crosstalk": "share of on-target change",
}
RULES = ("diff", "approx", "monotone", "exact", "arithmetic", "probe", "speed", "share", "spread")
DIRECTIONS = ("a<b", "a>b", "approx", "monotone", "holds")
REQUIRED = ("id", "paper", "where", "statement", "kind", "conditions", "metric", "paper_values", "direction", "margin",
            "test", "how_to_test_on_known_factor_corpus", "needs_for_original", "testable_on_generated", "caveat")
NOT_RUN = "not run yet"


# The claims -----------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Claim:
    """One entry of claims.yaml; per column the direction, the metric key of its delta and the printed margin."""

    id: str
    paper: str
    where: str
    statement: str
    kind: str
    rule: str
    better: dict[str, str]                 # column: lower | higher | none
    direction: dict[str, str]              # column: one of DIRECTIONS
    delta_key: dict[str, str]              # column: key of DELTAS
    margin: dict[str, float]               # printed relative advantage of a, only where printed
    seeds: int                             # planned
    headline: bool
    testable: str                          # yes | partly | no
    entry: dict = field(repr=False, compare=False)      # the whole entry as read

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.better)

    def printed_margin(self, column: str) -> float | None:
        """Printed relative size in the claimed direction (r of protocol 6); None where none is printed."""
        margin = self.margin.get(column)
        if margin is None or self.direction[column] not in ("a<b", "a>b"):
            return None
        lower_is_claimed = self.direction[column] == "a<b"
        along = (self.better[column] == "lower") == lower_is_claimed
        size = margin if along else -margin
        return size if size > 0 else None

    def printed_log_ratio(self, column: str) -> float | None:
        """log(b / a) of the printed numbers, the printed size of a column on the log ratio scale."""
        a, b = (_printed_number(self.entry["paper_values"].get(side), column) for side in ("a", "b"))
        if not a or not b or self.direction[column] not in ("a<b", "a>b"):
            return None
        size = float(np.log(b / a)) * (1 if self.direction[column] == "a<b" else -1)
        return size if size > 0 else None


def load(path: Path = ROOT / "claims.yaml") -> list[Claim]:
    """All claims, validated; InputError names the file, the entry and what is wrong with it."""
    import yaml
    try:
        entries = yaml.load(Path(path).read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: expected a list of claims")
    problems = [f"{_name(entry, i)}: {problem}" for i, entry in enumerate(entries) for problem in _problems(entry)]
    names = [_name(entry, i) for i, entry in enumerate(entries)]
    problems += [f"{name}: id occurs twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise InputError(f"{path}: " + "; ".join(problems))
    return [_claim(entry) for entry in entries]


def by_id(claims: Iterable[Claim], claim_id: str) -> Claim:
    """The claim of that id; InputError when there is none."""
    found = next((claim for claim in claims if claim.id == claim_id), None)
    if found is None:
        raise InputError(f"claims: no claim {claim_id!r} in claims.yaml")
    return found


def _claim(entry: dict) -> Claim:
    test, better = entry["test"], entry["metric"]["better"]
    return Claim(entry["id"], entry["paper"], entry["where"], entry["statement"].strip(), entry["kind"], test["rule"],
                 better, _per_column(entry["direction"], better), dict(test["delta"]),
                 {k: v for k, v in (entry["margin"] or {}).items() if v is not None and k in better},
                 test["seeds"], bool(entry.get("headline")), entry["testable_on_generated"]["answer"], entry)


def _problems(entry) -> list[str]:
    if not isinstance(entry, dict):
        return ["not a mapping"]
    missing = [name for name in REQUIRED if name not in entry]
    if missing:
        return [f"field {name} is missing" for name in missing]
    test, better = entry["test"], entry["metric"].get("better")
    if not isinstance(better, dict) or not isinstance(test, dict) or not isinstance(test.get("delta"), dict):
        return ["metric.better and test.delta must be mappings of columns"]
    direction = _per_column(entry["direction"], better)
    found = [f"paper {entry['paper']!r} is unknown"] * (entry["paper"] not in PAPERS)
    found += [f"rule {test.get('rule')!r} is unknown"] * (test.get("rule") not in RULES)
    found += [f"test.seeds {test.get('seeds')!r} is not a positive integer"] * (
        not isinstance(test.get("seeds"), int) or test["seeds"] < 1)
    found += [f"columns of direction, better and delta differ: {sorted(set(direction) ^ set(better))}, "
              f"{sorted(set(test['delta']) ^ set(better))}"] * (set(direction) != set(better)
                                                               or set(test["delta"]) != set(better))
    found += [f"direction {d!r} is unknown" for d in direction.values() if d not in DIRECTIONS]
    found += [f"delta key {k!r} is unknown" for k in test["delta"].values() if k not in DELTAS]
    return found


def _per_column(value, columns: Mapping) -> dict:
    return dict(value) if isinstance(value, dict) else dict.fromkeys(columns, value)


def _name(entry, i: int) -> str:
    return str(entry["id"]) if isinstance(entry, dict) and "id" in entry else f"entry {i + 1}"


def _printed_number(values, column: str) -> float | None:
    number = values.get(column) if isinstance(values, dict) else None
    return float(number) if isinstance(number, (int, float)) else None


# Evidence and verdicts ------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Check:
    """One yes-or-no condition. passed None = could not be run; corrected = true only after the stated correction."""

    name: str
    passed: bool | None
    corrected: bool = False
    opposite: bool = False
    detail: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was measured for one column of a claim.

    column          a column of the claim, or a new name (then give `direction` and `delta_key`, role "extra").
    d               table [seed, speaker, clip, value], advantage in the claimed direction; or `interval` directly.
    kind            "diff", "approx", "monotone", "threshold", "checks"; None = from the claim's rule and direction.
    role            "claim" decides; "proxy" and "printed" get verdicts of their own; "extra" is only shown.
    skill_b         skill of b: turns the printed relative margin into our scale, r (1 - skill of b).
    printed         printed size on our scale, where it is not that product.
    skill_interval  95 % interval of the skill of a; including 0 = the task was not learned.
    floor           oracle floor on the scale of d; above delta = undecidable.
    calibrated      False = the metric failed its calibration gate.
    checks          conditions: decide for kind "checks", else added conditions for "reproduced".
    threshold       for kind "threshold": the value d must exceed.
    steps, rate     for kind "monotone": means of the adjacent steps and the monotone rate; d is the overall slope.
    lower_only      for kind "approx" where only a loss matters (ecm-11).
    squared         the errors behind a skill were squared: delta .04 instead of .02.
    crossed         the same test speakers in every seed (real test sets).
    missing         names the piece without which there is no evidence.
    """

    column: str
    d: object | None = None
    kind: str | None = None
    role: str = "claim"
    interval: Interval | None = None
    skill_b: float | None = None
    printed: float | None = None
    skill_interval: tuple[float, float] | None = None
    floor: float | None = None
    calibrated: bool = True
    checks: tuple[Check, ...] = ()
    threshold: float | None = None
    steps: tuple[float, ...] = ()
    rate: float | None = None
    lower_only: bool = False
    squared: bool = False
    crossed: bool = False
    direction: str | None = None
    delta_key: str | None = None
    missing: str = ""
    note: str = ""


@dataclass(frozen=True)
class ColumnVerdict:
    """One column: the numbers of its interval, the margin and the verdict, also at half and twice delta."""

    claim_id: str
    column: str
    verdict: str
    reason: str
    role: str = "claim"
    kind: str = ""
    direction: str = ""
    delta_key: str = ""
    scale: str = ""
    delta: float = float("nan")
    estimate: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    low90: float = float("nan")
    high90: float = float("nan")
    p: float = float("nan")
    p_holm: float = float("nan")
    printed: float = float("nan")
    d_z: float = float("nan")
    dominance: float = float("nan")
    superiority: float = float("nan")
    iqm: float = float("nan")
    share_seed: float = float("nan")
    share_speaker: float = float("nan")
    share_clip: float = float("nan")
    bca_low: float = float("nan")
    bca_high: float = float("nan")
    n_seeds: int = 0
    planned_seeds: int = 0
    method: str = ""
    provisional: bool = False
    negligible: bool = False
    half_delta: str = ""
    twice_delta: str = ""
    sensitive: bool = False
    note: str = ""


@dataclass(frozen=True)
class ClaimVerdict:
    """One claim: the verdict, its word for readers, why, what is missing, and its columns."""

    claim_id: str
    paper: str
    verdict: str
    reader_word: str
    reason: str
    missing: str = ""
    provisional: bool = False
    headline: bool = False
    n_seeds: int = 0
    proxy: str = ""                 # verdict of the proxy columns of a claim that needs viewers
    printed: str = ""               # verdict of the re-analysis of printed numbers
    sensitive: bool = False
    statement: str = ""
    where: str = ""
    columns: tuple[ColumnVerdict, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Verdict of one rule with the reason in words."""

    verdict: str
    reason: str
    negligible: bool = False


# Rules: pure functions ------------------------------------------------------------------------------------------------

def sign(e: Interval, p_holm: float) -> int:
    """+1 for S+ (L > 0, p_Holm <= .05), -1 for S-, else 0; a Student interval also needs seeds of one sign."""
    certain = p_holm <= 0.05 and (e.signs_agree or not e.method.startswith("Student"))
    return int(certain and e.low > 0) - int(certain and e.high < 0)


def equivalent(e: Interval, delta: float) -> bool:
    """EQ: the 90 % interval lies inside (-delta, delta)."""
    return -delta < e.low90 and e.high90 < delta


def decide_difference(e: Interval, p_holm: float, delta: float, printed: float | None = None) -> Decision:
    """Verdict of a<b or a>b (rules diff, probe, speed, share, spread); `printed` is the printed size on our scale.

    W: printed known and U < printed / 2.   N: printed known, printed < delta and not W.
    """
    s, eq = sign(e, p_holm), equivalent(e, delta)
    half = printed is not None and e.high < printed / 2
    negligible = printed is not None and printed < delta and not half
    if s > 0:
        return _present(eq, half, negligible, printed is not None)
    if s < 0 and not eq:
        return Decision(REVERSED, "the opposite is certain")
    if s < 0:
        return Decision(NOT, "the opposite sign, but smaller than delta")
    if eq:
        return Decision(NOT, "equivalent: the 90 % interval lies inside delta")
    if half:
        return Decision(NOT, "half the printed size is excluded")
    return Decision(OPEN, "neither a difference nor equivalence is certain; " + reach(e) + _apart(e, p_holm))


def _present(eq: bool, half: bool, negligible: bool, size_known: bool) -> Decision:
    if eq and negligible:
        return Decision(REPRODUCED, "present; the printed size is itself below delta", True)
    if eq:
        return Decision(WEAKER, "present, but smaller than delta")
    if half:
        return Decision(WEAKER, "present, but less than half the printed size")
    return Decision(REPRODUCED, "the advantage excludes 0" + " and allows half the printed size" * size_known)


def decide_approx(e: Interval, delta: float, lower_only: bool = False) -> Decision:
    """Verdict of "as good as": equivalent, inside twice delta, or apart; `lower_only` looks at losses alone."""
    inside = [e.low90 > -m and (lower_only or e.high90 < m) for m in (delta, 2 * delta)]
    if inside[0]:
        return Decision(REPRODUCED, "no loss beyond delta" if lower_only else "equivalent within delta")
    if inside[1]:
        return Decision(WEAKER, "only within twice delta")
    if e.high < -delta or (e.low > delta and not lower_only):
        return Decision(NOT, f"a differs by more than delta, {'upwards' if e.mean > 0 else 'downwards'}")
    return Decision(OPEN, "neither equivalence nor a difference beyond delta is certain; " + reach(e))


def decide_monotone(e: Interval, p_holm: float, delta: float, steps: Sequence[float], rate: float | None) -> Decision:
    """Verdict of a rising series: overall slope, every adjacent step positive, monotone rate of at least .9."""
    s, eq = sign(e, p_holm), equivalent(e, delta)
    rising = len(steps) > 0 and min(steps) > 0
    if s > 0 and rising and rate is not None and rate >= 0.9:
        return Decision(REPRODUCED, f"rises, every step positive, {rate:.0%} of the curves monotone")
    if s > 0:
        share = "unknown" if rate is None else f"{rate:.0%}"
        why = f"the monotone rate is {share}" if rising else "not every step is positive"
        return Decision(WEAKER, f"rises overall, but {why}")
    if s < 0 and not eq:
        return Decision(REVERSED, "falls")
    if eq:
        return Decision(NOT, "flat within delta")
    return Decision(OPEN, "the slope is not certain; " + reach(e) + _apart(e, p_holm))


def decide_threshold(e: Interval, threshold: float) -> Decision:
    """Verdict of a value that must exceed `threshold`: interval beyond passes, across is weaker, short of it fails."""
    if e.low > threshold:
        return Decision(REPRODUCED, f"beyond the threshold {threshold:g}")
    if e.high < threshold:
        return Decision(NOT, f"short of the threshold {threshold:g}")
    return Decision(WEAKER, f"the interval crosses the threshold {threshold:g}")


def decide_checks(checks: Sequence[Check]) -> Decision:
    """Verdict of exact, holds and arithmetic: all pass; pass after correction or some; none; opposite; cannot run."""
    if not checks or any(check.passed is None for check in checks):
        names = ", ".join(check.name for check in checks if check.passed is None) or "no check"
        return Decision(OPEN, f"could not be run: {names}")
    passed = [check for check in checks if check.passed]
    failed = ", ".join(check.name for check in checks if not check.passed)
    if any(check.opposite for check in checks):
        return Decision(REVERSED, "the opposite is shown: " + ", ".join(c.name for c in checks if c.opposite))
    if len(passed) == len(checks):
        corrected = ", ".join(check.name for check in passed if check.corrected)
        return Decision(WEAKER, f"after correction: {corrected}") if corrected else Decision(REPRODUCED, "all pass")
    return Decision(WEAKER, f"some pass; not: {failed}") if passed else Decision(NOT, f"no check passes: {failed}")


def reach(e: Interval) -> str:
    """What these seeds could have shown, and how many this effect would need."""
    if e.n_seeds < 2:
        return "one seed shows nothing"
    spread = _spread(e)
    smallest = stats.smallest_effect(e.n_seeds) * spread
    needed = stats.seeds_needed(e.mean / spread) if spread > 0 else e.n_seeds
    unit = "votes" if e.method.startswith("binomial") else "seeds"
    more = f"about {needed}" if needed < 10_000 else "more than 10,000"
    return f"{e.n_seeds} {unit} show effects from {smallest:.3g}, this size needs {more}"


def _apart(e: Interval, p_holm: float) -> str:
    """Why an interval that excludes 0 shows no sign all the same; "" where it includes 0."""
    if e.low <= 0 <= e.high:
        return ""
    why = "the seeds differ in sign" if p_holm <= 0.05 else f"p after Holm is {p_holm:.2g}"
    return f"; the interval excludes 0 but {why}"


def _spread(e: Interval) -> float:
    """Standard deviation of seed means implied by the 95 % interval."""
    from scipy.stats import t
    return (e.high - e.low) / 2 / t.ppf(0.975, e.n_seeds - 1) * np.sqrt(e.n_seeds)


# From evidence to a column --------------------------------------------------------------------------------------------

def planned_seeds(claim: Claim, evidence: Evidence) -> int:
    """Seeds the protocol asks for: the claim's own; 12 where measurements stand beside a claim of one seed."""
    return claim.seeds if claim.seeds > 1 or evidence.d is None else 12


def evidence_interval(claim: Claim, evidence: Evidence, *, draws: int = stats.DRAWS, seed: int = 0) -> Interval | None:
    """Interval of the evidence: as given, or from its table (None without a table or with fewer than two seeds)."""
    if evidence.interval is not None or evidence.d is None:
        return evidence.interval
    data = stats.nested(evidence.d)
    if len(data.seeds) < 2:
        return None
    rng = np.random.default_rng([seed, 471])
    planned = planned_seeds(claim, evidence)
    return stats.interval(data, planned=planned, rng=rng, draws=draws, crossed=evidence.crossed)


def judge_column(claim: Claim, evidence: Evidence, *, interval: Interval | None = None, p_holm: float | None = None,
                 draws: int = stats.DRAWS, seed: int = 0) -> ColumnVerdict:
    """Verdict of one column: gate, rule, added conditions, and the same again at half and twice delta.

    p_holm None = the family is this column alone.
    """
    kind, delta_key, direction = _kind(claim, evidence), _delta_key(claim, evidence), _direction(claim, evidence)
    delta = SQUARED_DELTA if evidence.squared and DELTAS[delta_key] == .02 else DELTAS[delta_key]
    base = ColumnVerdict(claim.id, evidence.column, OPEN, "", evidence.role, kind, direction, delta_key,
                         SCALES.get(delta_key, "absolute"), delta, planned_seeds=planned_seeds(claim, evidence),
                         note=evidence.note)
    if kind == "checks":
        decision = decide_checks(evidence.checks) if not evidence.missing else Decision(OPEN, evidence.missing)
        return replace(base, verdict=decision.verdict, reason=decision.reason, n_seeds=0 if evidence.missing else 1)
    interval = interval or evidence_interval(claim, evidence, draws=draws, seed=seed)
    base = _with_numbers(base, claim, evidence, interval, p_holm)
    closed = gate(evidence, base.n_seeds, delta)
    if closed:
        return replace(base, reason=closed)
    rule = _rule(claim, evidence, kind, interval, base.p_holm)
    half, decision, twice = (_with_conditions(_weaker_of_bca(rule, interval, base, delta * factor), evidence.checks)
                             for factor in (0.5, 1.0, 2.0))
    return replace(base, verdict=decision.verdict, reason=decision.reason, negligible=decision.negligible,
                   half_delta=half.verdict, twice_delta=twice.verdict,
                   sensitive=len({half.verdict, twice.verdict, decision.verdict}) > 1)


def gate(evidence: Evidence, n_seeds: int, delta: float) -> str:
    """Reason why a column cannot be decided, or "" (protocol 6)."""
    if evidence.missing:
        return evidence.missing
    if evidence.d is None and evidence.interval is None:
        return "no measurement given"
    if n_seeds < 3:
        return f"only {n_seeds} seed{'s' * (n_seeds != 1)}; at least 3 are needed"
    if not evidence.calibrated:
        return "the metric failed its calibration"
    if evidence.floor is not None and evidence.floor > delta > 0:
        return f"the oracle floor {evidence.floor:.3g} is above delta {delta:g}"
    if evidence.skill_interval is not None and not evidence.skill_interval[0] > 0:
        low, high = evidence.skill_interval
        return f"the task was not learned: the skill interval [{low:.2f}, {high:.2f}] does not lie above 0"
    return ""


def _rule(claim: Claim, evidence: Evidence, kind: str, interval: Interval,
          p_holm: float) -> Callable[[Interval, float], Decision]:
    if kind == "approx":
        return lambda e, delta: decide_approx(e, delta, evidence.lower_only)
    if kind == "monotone":
        return lambda e, delta: decide_monotone(e, p_holm, delta, evidence.steps, evidence.rate)
    if kind == "threshold":
        return lambda e, delta: decide_threshold(e, evidence.threshold)
    printed = printed_size(claim, evidence)
    return lambda e, delta: decide_difference(e, p_holm, delta, printed)


def printed_size(claim: Claim, evidence: Evidence) -> float | None:
    """Printed advantage on the scale of d: as given, log ratio for log scales, else r (1 - skill of b); or None."""
    if evidence.printed is not None or evidence.column not in claim.better:
        return evidence.printed
    if SCALES.get(_delta_key(claim, evidence)) == "log ratio":
        return claim.printed_log_ratio(evidence.column)
    margin = claim.printed_margin(evidence.column)
    return None if margin is None or evidence.skill_b is None else margin * (1 - evidence.skill_b)


def _weaker_of_bca(rule, interval: Interval, base: ColumnVerdict, delta: float) -> Decision:
    """The rule's decision; if the BCa interval leads to another verdict, the one that asserts less (protocol 4.2)."""
    first = rule(interval, delta)
    if np.isnan(base.bca_low):
        return first
    second = rule(replace(interval, low=base.bca_low, high=base.bca_high), delta)
    if ASSERTS[second.verdict] < ASSERTS[first.verdict]:
        return replace(second, reason=second.reason + " (BCa interval; the percentile one says " + first.verdict + ")")
    return first


def _with_conditions(decision: Decision, conditions: Sequence[Check]) -> Decision:
    """Added conditions of the entry's text: missing one lowers reproduced to weaker."""
    unmet = [c.name + (" (not checked)" if c.passed is None else "") for c in conditions if not c.passed]
    if decision.verdict != REPRODUCED or not unmet:
        return decision
    return Decision(WEAKER, decision.reason + "; condition not met: " + ", ".join(unmet))


def _with_numbers(base: ColumnVerdict, claim: Claim, evidence: Evidence, interval: Interval | None,
                  p_holm: float | None) -> ColumnVerdict:
    printed = printed_size(claim, evidence)
    base = replace(base, printed=float("nan") if printed is None else printed)
    if evidence.d is not None:
        data = stats.nested(evidence.d)
        base = replace(base, n_seeds=len(data.seeds), provisional=len(data.seeds) < base.planned_seeds,
                       estimate=float(data.seed_means.mean()), **_effect_sizes(data))
    if interval is None:
        return base
    numbers = {f.name: getattr(interval, f.name) for f in fields(Interval) if f.name not in ("mean", "signs_agree")}
    base = replace(base, **numbers, estimate=interval.mean, p_holm=interval.p if p_holm is None else p_holm)
    if evidence.d is None or interval.method.startswith("Student"):
        return base
    means = stats.hierarchical_means(data, np.random.default_rng(472), 2000) if not evidence.crossed else None
    low, high = stats.bca(means, data.seed_means) if means is not None else (float("nan"),) * 2
    return replace(base, bca_low=low, bca_high=high)


def _effect_sizes(data: stats.Nested) -> dict[str, float]:
    real = np.arange(data.values.shape[2]) < data.clips[..., None]
    clips, shares = data.values[real], stats.variance_shares(data)
    return {"d_z": stats.d_z(data.seed_means), "dominance": stats.paired_dominance(clips),
            "superiority": stats.probability_of_superiority(clips), "iqm": stats.interquartile_mean(data.seed_means),
            **{f"share_{level}": share for level, share in shares.items()}}


def _kind(claim: Claim, evidence: Evidence) -> str:
    if evidence.kind is not None:
        if evidence.kind not in ("diff", "approx", "monotone", "threshold", "checks"):
            raise InputError(f"claims: {claim.id}, {evidence.column}: kind {evidence.kind!r} is unknown")
        if evidence.kind == "threshold" and evidence.threshold is None:
            raise InputError(f"claims: {claim.id}, {evidence.column}: kind threshold needs a threshold")
        return evidence.kind
    direction = _direction(claim, evidence)
    if claim.rule in ("exact", "arithmetic") or direction == "holds":
        return "threshold" if evidence.threshold is not None else "checks"
    return {"approx": "approx", "monotone": "monotone"}.get(direction, "diff")


def _direction(claim: Claim, evidence: Evidence) -> str:
    direction = evidence.direction or claim.direction.get(evidence.column)
    if direction is None:
        raise InputError(f"claims: {claim.id} has no column {evidence.column!r}, only {', '.join(claim.columns)}; give "
                         "direction, delta_key and role='extra' for an additional one")
    return direction


def _delta_key(claim: Claim, evidence: Evidence) -> str:
    key = evidence.delta_key or claim.delta_key.get(evidence.column)
    if key not in DELTAS:
        raise InputError(f"claims: {claim.id}, {evidence.column}: delta_key {key!r} is not in the table of margins")
    return key


# From columns to an entry ---------------------------------------------------------------------------------------------

def combine(verdicts: Sequence[str]) -> str:
    """Entry from columns: undecidable ones dropped unless all are; all equal; else weaker if any holds in part."""
    decided = {verdict for verdict in verdicts if verdict != OPEN}
    if not decided:
        return OPEN
    if len(decided) == 1:
        return decided.pop()
    return WEAKER if decided & {REPRODUCED, WEAKER} else REVERSED


def judge(claim: Claim, evidence: Sequence[Evidence], *, p_holm: Mapping[int, float] | None = None,
          intervals: Mapping[int, Interval] | None = None, conditions: Sequence[Check] = (),
          draws: int = stats.DRAWS, seed: int = 0) -> ClaimVerdict:
    """Verdict of one claim from its evidence; columns without evidence are undecidable and named as missing.

    p_holm and intervals (by position in `evidence`) come from judge_all, which corrects over a whole paper; alone, the
    family is this claim. conditions: what the entry's text adds, including "removing the cause removes the effect".
    """
    if p_holm is None:
        intervals = {i: evidence_interval(claim, e, draws=draws, seed=seed) for i, e in enumerate(evidence)}
        p_holm = _holm({i: (claim, e, intervals[i]) for i, e in enumerate(evidence)})
    intervals = intervals or {}
    columns = [judge_column(claim, e, interval=intervals.get(i), p_holm=p_holm.get(i), draws=draws, seed=seed)
               for i, e in enumerate(evidence)]
    given = {e.column for e in evidence if e.role == "claim"}
    if claim.testable != "no":
        columns += [_absent(claim, name, evidence) for name in claim.columns if name not in given]
    return _entry(claim, columns, evidence, conditions)


def judge_all(claims: Iterable[Claim], evidence: Mapping[str, Sequence[Evidence]], *,
              conditions: Mapping[str, Sequence[Check]] | None = None, draws: int = stats.DRAWS,
              seed: int = 0) -> list[ClaimVerdict]:
    """Verdicts of all claims, in their order; Holm over all sign-tested columns of one paper."""
    claims = list(claims)
    unknown = set(evidence) - {claim.id for claim in claims}
    if unknown:
        raise InputError(f"claims: evidence for unknown claims {', '.join(sorted(unknown))}")
    tested = {(claim.id, i): (claim, e, evidence_interval(claim, e, draws=draws, seed=seed))
              for claim in claims for i, e in enumerate(evidence.get(claim.id, ()))}
    adjusted = {}
    for paper in {claim.paper for claim in claims}:
        adjusted |= _holm({key: value for key, value in tested.items() if value[0].paper == paper})
    return [judge(claim, evidence.get(claim.id, ()), draws=draws, seed=seed,
                  p_holm={i: p for (name, i), p in adjusted.items() if name == claim.id},
                  intervals={i: value[2] for (name, i), value in tested.items() if name == claim.id},
                  conditions=(conditions or {}).get(claim.id, ())) for claim in claims]


def _holm(tested: Mapping) -> dict:
    """Holm-adjusted p by key, over columns that are tested for a sign and decide or stand for a claim."""
    family = [key for key, (claim, e, found) in tested.items()
              if found is not None and e.role in ("claim", "proxy") and _kind(claim, e) in ("diff", "monotone")]
    return dict(zip(family, stats.holm([tested[key][2].p for key in family]).tolist(), strict=True))


def _absent(claim: Claim, column: str, evidence: Sequence[Evidence]) -> ColumnVerdict:
    return ColumnVerdict(claim.id, column, OPEN, "no measurement given" if evidence else NOT_RUN, "claim",
                         direction=claim.direction[column], delta_key=claim.delta_key[column],
                         delta=DELTAS[claim.delta_key[column]], planned_seeds=claim.seeds)


def _entry(claim: Claim, columns: Sequence[ColumnVerdict], evidence: Sequence[Evidence],
           conditions: Sequence[Check]) -> ClaimVerdict:
    deciding = [c for c in columns if c.role == "claim"]
    decision = _with_conditions(Decision(combine([c.verdict for c in deciding]), _reasons(deciding)), conditions)
    proxy, printed = (_beside(columns, role) for role in ("proxy", "printed"))
    if claim.testable == "no":
        decision = Decision(OPEN, _viewers(bool(evidence), proxy, printed))
    elif not evidence:
        decision = Decision(OPEN, NOT_RUN)
    missing = "; ".join(f"{c.column}: {c.reason}" for c in deciding if c.verdict == OPEN)
    measured = [c for c in columns if c.role in ("claim", "proxy")]
    return ClaimVerdict(claim.id, claim.paper, decision.verdict, READER[decision.verdict], decision.reason,
                        "viewers" if claim.testable == "no" else missing, any(c.provisional for c in measured),
                        claim.headline, min((c.n_seeds for c in measured if c.n_seeds), default=0), proxy, printed,
                        any(c.sensitive for c in deciding), claim.statement, claim.where, tuple(columns))


def _beside(columns: Sequence[ColumnVerdict], role: str) -> str:
    verdicts = [c.verdict for c in columns if c.role == role]
    return combine(verdicts) if verdicts else ""


def _viewers(run: bool, proxy: str, printed: str) -> str:
    beside = [f"{name}: {verdict}" for name, verdict in (("proxy", proxy), ("printed numbers", printed)) if verdict]
    return "; ".join(["needs viewers", *beside]) if run else f"needs viewers; re-analysis and proxy {NOT_RUN}"


def _reasons(columns: Sequence[ColumnVerdict]) -> str:
    decided = [f"{c.column} {c.verdict} ({c.reason})" for c in columns if c.verdict != OPEN]
    dropped = sum(c.verdict == OPEN for c in columns)
    if not decided:
        return "; ".join(f"{c.column}: {c.reason}" for c in columns)
    return "; ".join(decided) + (f"; {dropped} of {len(columns)} columns undecidable" if dropped else "")


# Tables ---------------------------------------------------------------------------------------------------------------

def ledger(claims: Iterable[Claim], evidence: Mapping[str, Sequence[Evidence]], **options) -> "DataFrame":
    """One row per claim of every paper, also those not run yet; options as in judge_all."""
    return claims_table(judge_all(claims, evidence, **options))


def claims_table(verdicts: Iterable[ClaimVerdict]) -> "DataFrame":
    """One row per claim: verdict, reader's word, reason, missing piece, flags."""
    import pandas as pd
    names = [f.name for f in fields(ClaimVerdict) if f.name != "columns"]
    return pd.DataFrame([{name: getattr(v, name) for name in names} for v in verdicts], columns=names)


def columns_table(verdicts: Iterable[ClaimVerdict]) -> "DataFrame":
    """One row per column that was judged: interval, p, margin, effect sizes, verdicts at three deltas."""
    import pandas as pd
    names = [f.name for f in fields(ColumnVerdict)]
    return pd.DataFrame([asdict(column) for v in verdicts for column in v.columns], columns=names)


def to_csv(verdicts: Sequence[ClaimVerdict], folder: Path) -> None:
    """Write claims.csv and claims_columns.csv into the folder, each aside and then renamed."""
    for name, table in (("claims.csv", claims_table(verdicts)), ("claims_columns.csv", columns_table(verdicts))):
        with write_aside(Path(folder) / name) as aside:
            table.to_csv(aside, index=False, float_format="%.6g")


def from_csv(folder: Path) -> list[ClaimVerdict]:
    """The verdicts that `to_csv` wrote, numbers to six digits."""
    import pandas as pd
    try:
        entries, columns = (pd.read_csv(Path(folder) / name) for name in ("claims.csv", "claims_columns.csv"))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no readable claims.csv and claims_columns.csv; run the study: {error}") from error
    by_claim: dict[str, list] = {}
    for row in _rows(columns, ColumnVerdict):
        by_claim.setdefault(row["claim_id"], []).append(ColumnVerdict(**row))
    return [ClaimVerdict(**row, columns=tuple(by_claim.get(row["claim_id"], ())))
            for row in _rows(entries, ClaimVerdict)]


def collect(claims: Iterable[Claim], folder: Path) -> list[ClaimVerdict]:
    """Verdicts that each paper's notebook wrote to <folder>/<paper>/; claims of papers without any are not run yet."""
    stored = {v.claim_id: v for paper in PAPERS if (Path(folder) / paper / "claims.csv").exists()
              for v in from_csv(Path(folder) / paper)}
    return [stored.get(claim.id) or judge(claim, ()) for claim in claims]


def _rows(table, kind) -> list[dict]:
    words = [f.name for f in fields(kind) if f.type in (str, "str") and f.name in table]
    table = table.astype({name: object for name in words}).fillna(dict.fromkeys(words, ""))
    return table.to_dict("records")
