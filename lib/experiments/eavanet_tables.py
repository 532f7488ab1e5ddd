"""What notebook 05 shows of the results of paper 004: tables and rows for figures; nothing here is judged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib import printed
from lib.claims import Claim, by_id
from lib.experiments import eavanet_measures as measures
from lib.experiments.draw import Draw
from lib.experiments.eavanet import SWEEP, SYSTEMS, train, training_clips
from lib.experiments.eavanet_claims import Results, curve_table
from lib.experiments.evidence import advantage, rows_of, skill, values
from lib.stats import nested, shown


def summary_table(results: Results, part: str, systems: Sequence[str] = (*SYSTEMS, *measures.CONTROLS)) -> pd.DataFrame:
    """Table II for every system: raw in the paper's convention, millimetres and skill, means with 95 % intervals."""
    rows = []
    for system in systems:
        mine = rows_of(results.scores, system, part)
        row = {"system": system, "clips": len(mine) // len(results.seeds)}
        for column, scaled in {"vertex_error": 1e5, "lve": 1e4, "fdd": 1e5, "fdd_abs": 1e5}.items():
            row[f"{column} x{scaled:.0e}".replace("e+0", "e-")] = scaled * mine[column].groupby("seed").mean().mean()
        for column in ("vertex_error_mm", "lve_mm", "fdd_mm", "fdd_abs_mm", "upper_mm"):
            row |= shown(values(mine[column]), column) if mine[column].notna().all() else {}      # not measured
        for column, metric in {"lip skill": "lve_mm", "upper skill": "upper_mm"}.items():
            row |= shown(skill(results.scores, system, metric, part), column)
        rows.append(row | mine[["sync_mm", "judge", "achieved"]].groupby("seed").mean().mean().to_dict())
    return pd.DataFrame(rows)


def interval_rows(results: Results, part: str, systems: Sequence[str], metric: str) -> pd.DataFrame:
    """system, mean, low, high and the seeds' means of a metric: what figures.dots_with_intervals draws."""
    return pd.DataFrame([drawn(name, rows_of(results.scores, name, part)[metric]) for name in systems])


def advantage_rows(results: Results, variants: Sequence[str], metric: str, part: str) -> pd.DataFrame:
    """The same for the advantage of the full model over variants, in skill."""
    tables = {name: advantage(results.scores, "eavanet", name, metric, part) for name in variants}
    return pd.DataFrame([drawn(name, d.set_index(["seed", "speaker", "clip"]).value) for name, d in tables.items()])


def drawn(system: str, measured: pd.Series) -> dict:
    """system, mean, low, high and the seeds' means of a series indexed by seed, speaker and clip."""
    table = values(measured)
    found = shown(table)
    low, high = (found["mean"] if np.isnan(found[f"mean {end}"]) else found[f"mean {end}"] for end in ("low", "high"))
    return {"system": system, "mean": found["mean"], "low": low, "high": high,
            "seeds": nested(table).seed_means.tolist()}


def ablation_table(results: Results, variants: Sequence[str]) -> pd.DataFrame:
    """Advantage of the full model over each variant, in skill, with 95 % intervals: lips seen, upper face unseen."""
    places = {"lips, seen": ("lve_mm", "seen"), "lips, unseen": ("lve_mm", "unseen"),
              "upper, unseen": ("upper_mm", "unseen")}
    rows = {name: {"variant": name} for name in variants}
    for label, (metric, part) in places.items():
        for row in advantage_rows(results, variants, metric, part).itertuples():
            rows[row.system] |= {label: row.mean, f"{label} low": row.low, f"{label} high": row.high}
    return pd.DataFrame(rows.values())


def sweep_table(scale: str, seed: int) -> pd.DataFrame:
    """Weight of the cross-entropy term in both loss scales, one seed: errors and emotion read from the embedding."""
    names = {"eavanet/no-ce": (0.0, "mse"), "eavanet": (SYSTEMS["eavanet"].ce_weight, "mse")}
    names |= {name: (system.ce_weight, system.vertex_loss) for name, system in SWEEP.items()}
    rows = []
    for name, (weight, loss) in names.items():
        scored = measures.scores(scale, seed, (name,)).query("part == 'unseen'")
        emotion = measures.leaks(scale, seed, name).query("factor == 'emotion'").value.max()
        rows.append({"vertex loss": loss, "weight": weight, "emotion_probe": emotion, "lve_mm": scored.lve_mm.mean(),
                     "upper_mm": scored.upper_mm.mean(), "achieved": scored.achieved.mean()})
    return pd.DataFrame(rows).sort_values(["vertex loss", "weight"])


def material_table(data: Draw) -> pd.DataFrame:
    """Clips, speakers, sentences and minutes that the main system trains and is tested on."""
    tested = measures.test_rows(data)
    parts = {"train": training_clips(data, SYSTEMS["eavanet"])[0], "seen": tested[tested.part == "seen"].index,
             "unseen": tested[tested.part == "unseen"].index}
    return pd.DataFrame([{"part": part, "clips": len(index), "speakers": data.table.actor[index].nunique(),
                          "sentences": data.table.sentence[index].nunique(),
                          "minutes": sum(len(data.motion[i]) for i in index) / data.fps / 60}
                         for part, index in parts.items()])


def printed_shares(claims: Sequence[Claim]) -> pd.DataFrame:
    """Printed shares of votes re-read as 690, 230 and 23 independent votes (Table III)."""
    rows = []
    for claim in (by_id(claims, f"eavanet-{number:02d}") for number in (3, 4, 5)):
        for column in claim.columns:
            share = claim.entry["paper_values"]["a"][column]
            for votes, decision in printed.reanalyse_share(share, claim.direction[column]).items():
                rows.append((claim.id, column, share, votes, printed.share_z(share, votes), decision.verdict))
    return pd.DataFrame(rows, columns=["claim", "column", "printed %", "votes", "z from 50 %", "verdict"])


def system_sizes(scale: str, seed: int) -> pd.DataFrame:
    """Trained parameters of the systems at this scale: none is bigger by accident without the reader seeing it."""
    names = [name for name in SYSTEMS if "/" not in name or name.endswith(("no-gau", "no-blstm", "no-style"))]
    rows = [(name, sum(p.numel() for p in train(scale, seed, name).model.parameters())) for name in names]
    return pd.DataFrame(rows, columns=["system", "parameters"])


def share_at(results: Results, alpha: float = 0.3) -> float:
    """How far achieved intensity at `alpha` lies between alpha 0 and 1, unseen speakers; the ratings give 0.41."""
    rows = results.control[(results.control.system == "eavanet") & (results.control.part == "unseen")]
    means = rows.groupby("alpha").achieved.mean()
    return printed.achieved_share(means[0.0], means[alpha], means[1.0])


def steering_table(results: Results, systems: Sequence[str]) -> pd.DataFrame:
    """Slope, linearity and monotone rate of the steered systems by emotion, unseen speakers, mean over ids."""
    tables = [curve_table(results, name).assign(system=name) for name in systems]
    return pd.concat(tables).groupby(["system", "emotion"], sort=False)[["slope", "linearity", "monotone"]].mean()


def carried_table(results: Results) -> pd.DataFrame:
    """Unseen speakers of little and of much expression, mean over ids: intensity, errors to two exact faces (mm)."""
    own = results.carried.expressive.map({0.0: "little", 1.0: "much"})
    named = results.carried.assign(own_expression=own)
    return named.groupby(["system", "own_expression"])[["achieved", "own_mm", "expressive_mm"]].mean().unstack()
