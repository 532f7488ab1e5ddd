"""What the evidence of every paper's claims is made of: rows of a score table, differences in skill, conditions.

Scores have one row per seed, speaker, clip and system; differences are tables [seed, speaker, clip, value]. Skill
(protocol, section 5) divides errors, per seed, by the room between static template and oracle floor on the same clips,
so that 0.1 is a tenth of what there is to learn.
"""

import numpy as np
import pandas as pd

from lib.claims import Check
from lib.stats import nested, shown


def rows_of(table: pd.DataFrame, system: str, part: str | None = None) -> pd.DataFrame:
    """Rows of one system (and part), indexed by seed, speaker and clip."""
    chosen = table[(table.system == system) & ((table.part == part) if part else True)]
    return chosen.set_index(["seed", "speaker", "clip"])


def room(scores: pd.DataFrame, metric: str, part: str) -> pd.Series:
    """Mean error of the static template minus that of the oracle floor, per seed."""
    means = scores[scores.part == part].groupby(["system", "seed"])[metric].mean()
    return means["control/static-template"] - means["control/oracle"]


def skill(scores: pd.DataFrame, system: str, metric: str, part: str) -> pd.DataFrame:
    """Skill per clip: distance from the static template's mean error in units of the room, one row per clip."""
    static = rows_of(scores, "control/static-template", part)[metric].groupby("seed").mean()
    error = rows_of(scores, system, part)[metric]
    return values((static - error) / room(scores, metric, part))


def advantage(scores: pd.DataFrame, a: str, b: str, metric: str, part: str) -> pd.DataFrame:
    """Paired advantage of a over b per clip in skill units (errors: lower is better)."""
    difference = rows_of(scores, b, part)[metric] - rows_of(scores, a, part)[metric]
    return values(difference / room(scores, metric, part))


def fdd_advantage(scores: pd.DataFrame, a: str, b: str, part: str, form: str = "fdd_abs") -> pd.DataFrame:
    """Paired advantage of a over b in FDD, as a share of the static template's mean FDD of the seed."""
    difference = rows_of(scores, b, part)[form] - rows_of(scores, a, part)[form]
    return values(difference / rows_of(scores, "control/static-template", part)["fdd_static"].groupby("seed").mean())


def fdd_floor(scores: pd.DataFrame, part: str) -> float:
    """FDD of the oracle floor as a share of the static template's: what blinks and gaze alone bring about."""
    oracle, static = (rows_of(scores, f"control/{name}", part) for name in ("oracle", "static-template"))
    return float(oracle.fdd_abs.mean() / static.fdd_static.mean())


def values(series: pd.Series) -> pd.DataFrame:
    """Table [seed, speaker, clip, value] of a series indexed by those, the form in which evidence is judged."""
    return series.rename("value").reset_index()


def negative(d: pd.DataFrame) -> pd.DataFrame:
    """The same differences for a claim in the other direction."""
    return d.assign(value=-d.value)


def mean_skill(scores: pd.DataFrame, system: str, metric: str, part: str) -> float:
    """Mean over seeds of the skill of a system."""
    return float(nested(skill(scores, system, metric, part)).seed_means.mean())


def interval(d: pd.DataFrame) -> tuple[float, float] | None:
    """95 % interval of the mean of d; None below two seeds."""
    found = shown(d)
    return None if np.isnan(found["mean low"]) else (found["mean low"], found["mean high"])


def skill_interval(scores: pd.DataFrame, system: str, metric: str, part: str) -> tuple[float, float] | None:
    """95 % interval of a system's skill: including 0 means that the task was not learned; None below two seeds."""
    return interval(skill(scores, system, metric, part))


def above(d: pd.DataFrame, bound: float) -> tuple[bool, str]:
    """Whether the lower end of the 95 % interval of d lies above `bound`; a point estimate would be a coin flip."""
    found = shown(d)
    low, high = found["mean low"], found["mean high"]
    return bool(low > bound), f"{found['mean']:.3f} [{low:.3f}, {high:.3f}]"


def is_above(name: str, d: pd.DataFrame, bound: float = 0.0) -> Check:
    """The condition that the whole 95 % interval of d lies above a bound; not checked where d has no clip."""
    if len(d) == 0:
        return Check(name, None, detail="no such clip")
    passed, detail = above(d, bound)
    return Check(name, passed, detail=detail)
