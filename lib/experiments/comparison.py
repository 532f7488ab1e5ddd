"""All systems of all papers on one table, read from result files; later papers only add rows.

A paper's notebook writes `tables/<NN>_scores.csv` with one row per seed, system and test clip. Nothing is trained here.

Papers ask for different emotions, frame rates and rivals, so each trains its own rivals: a system is named by paper and
name ("eavanet: faceformer"). All draw the same unseen speakers and sentences from a seed; `score_files` keeps the clips
that every paper was tested on, so that two rows of the board stand for the same clips.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from lib.errors import AssetMissing, InputError
from lib.paths import NOTEBOOKS, results
from lib.stats import flipped_pairs, kendall_tau, ranking_stability, shown

METRICS = {  # of meshes and of landmark tracks: column of the score files, what a reader calls it, unit; best first
    "mesh": {
        "lve_mm": ("lip vertex error", "mm"), "vertex_error_mm": ("vertex error", "mm"),
        "lve_centred_mm": ("lip vertex error, lips centred", "mm"), "upper_mm": ("upper-face error", "mm"),
        "fdd_abs_mm": ("FDD, absolute", "mm"), "lve": ("lip vertex error, squared", "mesh units"),
    },
    "landmarks": {
        "lmd_face_px": ("LMD, face", "px of a 256-px crop"), "lmd_mouth_px": ("LMD, mouth", "px of a 256-px crop"),
        "upper_px": ("upper-face error", "px of a 256-px crop"), "es": ("emotion similarity (ES)", "cosine"),
        "proxy_confidence": ("proxy-Sync confidence", "distance"),
    },
}
HIGHER = ("es", "proxy_confidence")          # of all of them, those that should be large
UNTRAINED = ("control/static-template", "control/oracle")
STABLE = 0.8                     # lower bound of Kendall's tau from which an order counts as stable (protocol 11)


def score_files(scale: str, kind: str = "mesh") -> pd.DataFrame:
    """Rows of the score files of a kind on the clips that all of them share, with the paper's name before each system.

    Systems that a paper measured in some of the metrics alone, most ablations, are not ranked beside the others.

    Raises AssetMissing when no paper of that kind has run at this scale, InputError when two papers share no clip.
    """
    found = sorted((results(scale) / "tables").glob("[0-9][0-9]_scores.csv"))
    tables = [pd.read_csv(path, keep_default_na=False, na_values=["", "nan"]).assign(paper=paper_of(path.stem[:2]))
              for path in found]
    tables = [table for table in tables if set(METRICS[kind]) <= set(table)]
    if not tables:
        raise AssetMissing(f"{results(scale) / 'tables'}: no score file of {kind}; run a paper's notebook or "
                           "`make study` first")
    return named(on_common_clips(pd.concat(tables, ignore_index=True).dropna(subset=[*METRICS[kind]])))


def paper_of(number: str) -> str:
    """Name of the paper whose notebook has a number: "05" is eavanet."""
    return next(path.stem[3:] for path in NOTEBOOKS.glob(f"{number}_*.ipynb"))


def on_common_clips(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows whose seed and clip occur for every paper; raises InputError when there is none."""
    papers = scores.groupby(["seed", "clip"]).paper.transform("nunique")
    kept = scores[papers == scores.paper.nunique()]
    if kept.empty:
        raise InputError("the score files have no seed and clip in common; run all notebooks at the same scale again")
    return kept


def named(scores: pd.DataFrame) -> pd.DataFrame:
    """Systems as "paper: system"; controls that need no training are the same for all and kept once."""
    untrained = scores.system.isin(UNTRAINED)
    once = scores[untrained].drop_duplicates(["seed", "clip", "system"])
    trained = scores[~untrained]
    return pd.concat([trained.assign(system=trained.paper + ": " + trained.system), once], ignore_index=True)


def board(scores: pd.DataFrame, part: str, kind: str = "mesh") -> pd.DataFrame:
    """One row per system: mean over seeds and 95 % interval of every metric, best first by the first of them."""
    rows = []
    for system, mine in scores[scores.part == part].groupby("system", sort=False):
        row = {"system": system, "seeds": mine.seed.nunique(), "clips": len(mine)}
        for metric in METRICS[kind]:
            row |= shown(mine.assign(value=mine[metric]), metric)
        rows.append(row)
    return pd.DataFrame(rows).sort_values(next(iter(METRICS[kind]))).reset_index(drop=True)


def agreement(scores: pd.DataFrame, part: str, kind: str = "mesh", seed: int = 0) -> pd.DataFrame:
    """Kendall's tau-b between the orders of trained systems, best first, under every pair of metrics; pairs that flip.

    The interval resamples seeds. `stable`: its lower end is at least 0.8; else the order depends on the metric.
    """
    trained = scores[(scores.part == part) & ~scores.system.str.contains("control/")]
    trained = trained.assign(**{metric: -trained[metric] for metric in HIGHER if metric in METRICS[kind]})
    rows, names = [], {metric: label for metric, (label, _) in METRICS[kind].items()}
    for one, other in combinations(METRICS[kind], 2):
        table = trained.groupby(["seed", "system"])[[one, other]].mean().unstack("system")
        values = np.stack([table[one].to_numpy(), table[other].to_numpy()], axis=1)            # (seeds, 2, systems)
        tau, low, high = ranking_stability(values, np.random.default_rng(seed))
        flipped = flipped_pairs(*values.mean(0), table[one].columns.tolist())
        rows.append({"one": names[one], "other": names[other], "tau": tau, "low": low, "high": high,
                     "stable": low >= STABLE, "flipped pairs": len(flipped)})
    return pd.DataFrame(rows)


def seed_agreement(scores: pd.DataFrame, part: str, metric: str) -> float:
    """Mean Kendall tau-b between the orders that two seeds give; NaN for one seed."""
    trained = scores[(scores.part == part) & ~scores.system.str.contains("control/")]
    orders = trained.groupby(["seed", "system"])[metric].mean().unstack("system").to_numpy()
    taus = [kendall_tau(a, b) for a, b in combinations(orders, 2)]
    return float(np.mean(taus)) if taus else float("nan")
