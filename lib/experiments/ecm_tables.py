"""What notebook 02 shows of the results of paper 001: tables and rows for figures; nothing here is judged."""

from collections.abc import Sequence

import pandas as pd

from lib import labels
from lib.claims import Claim, by_id

BINS = 9                         # of perceived intensity, as many as the puppet's levels
PRINTED_LIPS = {                 # system of this study: claim and side that print its lip errors
    "ecm~module=off": ("ecm-01", "a"), "voca": ("ecm-01", "b"), "faceformer": ("ecm-02", "b"),
    "control/random-init~module=off": ("ecm-03", "b"), "ecm/no-lvx": ("ecm-05", "b"), "ecm/no-llm": ("ecm-06", "b"),
    "ecm/no-style": ("ecm-07", "b"), "ecm/vocaset-only": ("ecm-08", "b"), "ecm/with-lrs2": ("ecm-09", "a"),
}


def printed_lips(claims: Sequence[Claim]) -> pd.DataFrame:
    """Tables 1 and 2 as printed: mean and maximal lip error in mm by system of this study."""
    rows = {name: by_id(claims, claim).entry["paper_values"][side] for name, (claim, side) in PRINTED_LIPS.items()}
    return pd.DataFrame([{"system": name, "printed mean": values["mean"], "printed max": values["max"]}
                         for name, values in rows.items()])


def printed_confusion(claims: Sequence[Claim]) -> pd.DataFrame:
    """Table 3 as printed: clips of a true emotion (row) by the emotion recognised (column)."""
    rows = by_id(claims, "ecm-15").entry["paper_values"]["confusion"]
    names = [labels.canonical(name) for name in rows]
    return pd.DataFrame(list(rows.values()), index=names, columns=names)


def binned(table: pd.DataFrame, values: Sequence[str], bins: int = BINS) -> pd.DataFrame:
    """Means of `values` over equally filled bins of intensity, per emotion: columns emotion, intensity, values."""
    parts = []
    for emotion, rows in table.groupby("emotion"):
        steps = pd.qcut(rows.intensity, bins, duplicates="drop")
        means = rows.groupby(steps, observed=True)[["intensity", *values]].mean()
        parts.append(means.reset_index(drop=True).assign(emotion=emotion))
    return pd.concat(parts, ignore_index=True)


def straightness(table: pd.DataFrame, values: Sequence[str]) -> pd.DataFrame:
    """How straight binned values are over intensity, per emotion: R2 of a line and of a parabola, rank correlation."""
    from lib.priors import logit_linearity

    parts = [logit_linearity(table.assign(unit=0), value, unit="unit").assign(value=value) for value in values]
    return pd.concat(parts, ignore_index=True)[["emotion", "value", "slope", "r2_line", "r2_quadratic", "spearman"]]
