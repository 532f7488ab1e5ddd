"""What notebook 01 shows of the results of paper 000: tables and rows for figures; nothing here is judged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.claims import Claim, by_id
from lib.experiments import cfd_measures as measures
from lib.experiments.cfd import SIZES, SYSTEMS, config, material, named, train
from lib.experiments.cfd_claims import LMD, PART, Results, es_advantage
from lib.experiments.eavanet_tables import drawn
from lib.experiments.evidence import advantage, rows_of, skill, values
from lib.models.cfd import CFD, PAPER, table_weights, weights
from lib.stats import shown

PRINTED = {                      # row of Table 2: claim and side that print it
    "makeittalk": ("cfd-01", "b"), "pcavs": ("cfd-02", "b"), "cfd/no-style": ("cfd-05", "a"),
    "cfd/no-emotion-loss": ("cfd-07", "b"), "cfd": ("cfd-01", "a"),
}
VARIANTS = {"face_px": "C face", "mouth_px": "B lips", "chen_px": "A sum of lips", "raw_px": "D uncentred",
            "makeittalk": "E share of lip width", "eyes": "F share of eye distance"}


def summary_table(scores: pd.DataFrame, claims: Sequence[Claim] = ()) -> pd.DataFrame:
    """Table 2 for every system: printed numbers, LMD (px), ES, skill and share of ES, means with 95 % intervals."""
    rows = []
    for system in dict.fromkeys(scores.system):
        mine, row = rows_of(scores, system, PART), {"system": system}
        if claims and system in PRINTED:
            claim, side = PRINTED[system]
            row |= {f"printed {name.upper()}": value for name, value in
                    by_id(claims, claim).entry["paper_values"][side].items()}
        row |= shown(values(mine[LMD]), "LMD px") | shown(skill(scores, system, LMD, PART), "skill")
        if "es" in mine and mine.es.notna().all():
            row |= shown(values(mine.es), "ES")
        rows.append(row | {name: mine[name].mean() for name in ("es_training", "es_agreement", "judge")
                           if name in mine and mine[name].notna().all()})
    return pd.DataFrame(rows)


def variants_table(scores: pd.DataFrame, systems: Sequence[str]) -> pd.DataFrame:
    """The order of systems under every form of LMD: mean over seeds, and rank in brackets."""
    means = pd.DataFrame({label: {name: rows_of(scores, name, PART)[f"lmd_{form}"].mean() for name in systems}
                          for form, label in VARIANTS.items()})
    ranks = means.rank().astype(int)
    return pd.DataFrame({name: [f"{value:.3g} ({rank})" for value, rank in zip(means[name], ranks[name], strict=True)]
                         for name in means}, index=means.index)


BESIDE = ("sync_px", "lag_s", "proxy_confidence", "lips_energy_ratio", "lips_jerk_ratio", "upper_energy_ratio",
          "achieved")


def beside_table(scores: pd.DataFrame) -> pd.DataFrame:
    """What Table 2 does not ask, for the systems measured in full: timing, liveliness, achieved intensity; means."""
    chosen = scores[scores.system.isin(measures.FULL)]
    return chosen.groupby("system", sort=False)[list(BESIDE)].mean()


def interval_rows(scores: pd.DataFrame, systems: Sequence[str], metric: str) -> pd.DataFrame:
    """system, mean, low, high and the seeds' means of a metric: what figures.dots_with_intervals draws."""
    return pd.DataFrame([drawn(name, rows_of(scores, name, PART)[metric]) for name in systems])


def advantage_rows(scores: pd.DataFrame, variants: Sequence[str], metric: str = "lmd") -> pd.DataFrame:
    """The same for the advantage of the full model over variants: skill, or share of the room of ES."""
    ways = {"lmd": lambda name: advantage(scores, "cfd", name, LMD, PART),
            "es": lambda name: es_advantage(scores, "cfd", name)}
    return pd.DataFrame([drawn(name, ways[metric](name).set_index(["seed", "speaker", "clip"]).value)
                         for name in variants])


def sizes_table() -> pd.DataFrame:
    """Weights of every row of Table 1, of both readings of the style decoder, and of all of it."""
    rows = table_weights(CFD(PAPER)) | {"all, attention included": weights(CFD(PAPER))}
    return pd.DataFrame({"weights": rows}).rename_axis("part")


def material_table(scale: str, seed: int) -> pd.DataFrame:
    """Clips, speakers, sentences and minutes of every part that is used."""
    data = material(scale, seed)
    return pd.DataFrame([{"part": part, "clips": len(rows), "speakers": rows.actor.nunique(),
                          "sentences": rows.sentence.nunique(), "sessions": rows.session.nunique(),
                          "minutes": sum(len(data.landmarks[i]) for i in rows.index) / data.fps / 60}
                         for part in ("train", "val", "seen", "unseen") if len(rows := data.rows(part))])


def system_sizes(scale: str) -> pd.DataFrame:
    """Weights of the systems at this scale: none is bigger by accident without the reader seeing it."""
    return pd.DataFrame([{"system": name, "weights": weights(CFD(config(named(name), SIZES[scale])))}
                         for name in SYSTEMS])


def leak_matrix(results: Results) -> pd.DataFrame:
    """Codes x factors, mean over seeds of the largest probe; NaN where the ceiling is no better than chance."""
    largest = results.leakage.groupby(["seed", "code", "factor"], sort=False).value.max().clip(upper=1.0)
    return largest.groupby(["code", "factor"], sort=False).mean().unstack(sort=False)


def walk_summary(results: Results) -> pd.DataFrame:
    """Amplitude in shares of the unshifted one, correlation and movement by step along PC1, means over clips."""
    middle = results.walk[results.walk.sds == 0].set_index(["seed", "clip"]).amplitude
    places = pd.MultiIndex.from_frame(results.walk[["seed", "clip"]])
    table = results.walk.assign(ratio=results.walk.amplitude.to_numpy() / middle.reindex(places).to_numpy())
    return table.groupby("sds")[["ratio", "correlation", "moved_px", "upper_px"]].mean()


def reading_table(scale: str, seed: int) -> pd.DataFrame:
    """Every reading of what the paper leaves open, one seed: LMD (px), skill, ES and what became of the codes."""
    scores, rows = measures.readings(scale, seed), []
    for name in dict.fromkeys(scores.system):
        mine, row = rows_of(scores, name, PART), {"system": name}
        row |= {LMD: mine[LMD].mean(), "skill": skill(scores, name, LMD, PART).value.mean(), "es": mine.es.mean()}
        if not name.startswith("control/"):
            last = train(scale, seed, name).log[-1]
            row |= {f"{code} variance": last.get(f"{code}_variance", np.nan) for code in ("emotion", "identity")}
        rows.append(row)
    return pd.DataFrame(rows)


def moments(track: np.ndarray, count: int) -> list[int]:
    """The frame of the widest lips of a track (T, 68, 2) in each of `count` equal parts."""
    opening = measures.lips_over_eyes(track)
    return [int(part[np.argmax(opening[part])]) for part in np.array_split(np.arange(len(track)), count)]
