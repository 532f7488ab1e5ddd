"""What notebook 04 shows of the results of paper 003: tables and rows for figures; nothing here is judged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib import printed
from lib.claims import Claim, by_id
from lib.experiments import emoface_measures as measures
from lib.experiments.draw import Draw
from lib.experiments.eavanet_tables import drawn
from lib.experiments.emoface import SYSTEMS, train
from lib.experiments.emoface_claims import COLUMNS, Results, blink_ks, totals
from lib.experiments.evidence import advantage, rows_of, values
from lib.face import eyes, metahuman
from lib.stats import shown

PRINTED = {                      # system of this study: claim and side that print its errors (Tables 2 and 4)
    "emoface": ("emoface-01", "a"), "faceformer": ("emoface-01", "b"), "emotalk/paired-only": ("emoface-02", "b"),
    "emoface/no-pretrain": ("emoface-03", "b"), "emoface/fc-decoder": ("emoface-04", "b"),
    "emoface/lstm-decoder": ("emoface-05", "b"), "emoface/no-pe": ("emoface-07", "b"),
}


def material_table(data: Draw) -> pd.DataFrame:
    """Clips, speakers, sentences and minutes of every part of a draw."""
    parts = {part: data.rows(part).index for part in ("train", "seen", "unseen")}
    return pd.DataFrame([{"part": part, "clips": len(index), "speakers": data.table.actor[index].nunique(),
                          "sentences": data.table.sentence[index].nunique(),
                          "minutes": sum(len(data.motion[i]) for i in index) / data.fps / 60}
                         for part, index in parts.items()])


def system_sizes(scale: str, seed: int) -> pd.DataFrame:
    """Trained parameters of the systems at this scale: none is bigger by accident without the reader seeing it."""
    return pd.DataFrame([(name, sum(p.numel() for p in train(scale, seed, name).model.parameters()))
                         for name in SYSTEMS], columns=["system", "parameters"])


def area_table() -> pd.DataFrame:
    """Every reading of the areas that the paper leaves undefined (3d:F15): controllers in it, and in the rig."""
    from lib.face.rig import ARKIT, to_metahuman

    moving = np.abs(to_metahuman(np.eye(len(ARKIT), dtype=np.float32))).max(0) > 0
    return pd.DataFrame([{"area": area, "column": column, "controllers": len(metahuman.columns(area)),
                          "reached by the rig": int(moving[metahuman.columns(area)].sum())}
                         for column, area in measures.AREA_COLUMNS.items()])


def error_table(results: Results, part: str, systems: Sequence[str], form: str = "") -> pd.DataFrame:
    """Table 2 for every system: errors of all areas, mean over seeds, with 95 % intervals of the default ones."""
    rows = []
    for system in systems:
        mine, row = rows_of(results.scores, system, part), {"system": system}
        for metric in measures.AREA_COLUMNS:
            found = shown(values(mine[metric + form]), metric + form)
            row |= found if metric in COLUMNS.values() else {metric + form: found[metric + form]}
        rows.append(row | {name: mine[name].groupby("seed").mean().mean()
                           for name in ("jerk", "lip_amplitude", "closure_mm", "sync", "lve_mm", "upper_mm")})
    return pd.DataFrame(rows)


def printed_errors(claims: Sequence[Claim]) -> pd.DataFrame:
    """Tables 2 and 4 as printed: errors of the three areas by system of this study."""
    rows = {name: by_id(claims, claim).entry["paper_values"][side] for name, (claim, side) in PRINTED.items()}
    return pd.DataFrame([{"system": name, **{COLUMNS[column]: row[column] for column in COLUMNS}}
                         for name, row in rows.items()])


def printed_advantages(claims: Sequence[Claim]) -> pd.DataFrame:
    """How much worse than EmoFace every system is in print, in per cent of EmoFace."""
    table = printed_errors(claims).set_index("system")
    return (100 * (table / table.loc["emoface"] - 1)).drop("emoface").reset_index()


def advantage_rows(results: Results, systems: Sequence[str], metric: str, part: str = "unseen",
                   base: str = "emoface") -> pd.DataFrame:
    """Advantage of `base` over each system in skill: what figures.dots_with_intervals draws."""
    tables = {name: advantage(results.scores, base, name, metric, part) for name in systems}
    return pd.DataFrame([drawn(name, d.set_index(["seed", "speaker", "clip"]).value) for name, d in tables.items()])


def ablation_table(results: Results, systems: Sequence[str], base: str = "emoface") -> pd.DataFrame:
    """Advantage of `base` over each system in skill with 95 % intervals, unseen clips, the three default areas."""
    rows = {name: {"system": name} for name in systems}
    for column, metric in COLUMNS.items():
        for row in advantage_rows(results, systems, metric, base=base).itertuples():
            rows[row.system] |= {column: row.mean, f"{column} low": row.low, f"{column} high": row.high}
    return pd.DataFrame(rows.values())


def ratings(claims: Sequence[Claim]) -> pd.DataFrame:
    """Table 3 against its text: means, half widths, and whether 210 whole ratings can have such a mean."""
    rows = []
    for (method, scale), (mean, half_width, text) in printed.rated_means(claims).items():
        rows.append({"method": method, "scale": scale, "table": mean, "+-": half_width,
                     "possible": bool(printed.sums_for_mean(mean, printed.TRIALS)), "text": text,
                     "text possible": bool(printed.sums_for_mean(text, printed.TRIALS)) if text else None,
                     "p from table": np.nan if method == "emoface" else printed.tukey_p(claims, scale, "emoface",
                                                                                        method)})
    return pd.DataFrame(rows)


def speed_table(results: Results, claims: Sequence[Claim]) -> pd.DataFrame:
    """Milliseconds per clip at the longest short length, and how many times slower than the parallel model."""
    seconds, length = totals(results.timings)
    printed_ms = by_id(claims, "emoface-08").entry["paper_values"]
    in_print = {"emoface": printed_ms["a"]["cpu_ms"], "emoface/ar-decoder": printed_ms["b"]["cpu_ms"]}
    median = seconds.median()
    return pd.DataFrame([{"system": name, "seconds of sound": length, "ms": 1000 * median[name],
                          "times slower": median[name] / median["emoface"], "printed ms": in_print.get(name)}
                         for name in median.index])


def blink_table(results: Results) -> pd.DataFrame:
    """Blinks per minute, how many were counted, and the distance of waits from the truth's, all seeds together."""
    sums = results.blinks.groupby("system", sort=False)[["blinks", "minutes"]].sum()
    ks = blink_ks(results.blink_intervals, [name for name in sums.index if name != "truth"]).mean()
    return sums.assign(per_minute=sums.blinks / sums.minutes, ks=ks.reindex(sums.index)).reset_index()


def law_curve(mu: float, sigma: float, per_minute: np.ndarray) -> np.ndarray:
    """Density of a log-normal law of blink rates, per unit of blinks per minute."""
    from scipy.stats import lognorm

    return lognorm.pdf(per_minute, sigma, scale=np.exp(mu))


def gaze_tracks(seconds: float = 20.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Gaze (T, 2) at 60 fps as the paper describes the sampler and as the released program runs it, same draws."""
    profiles = {"paper": eyes.PAPER.gaze, "released program": eyes.CODE.gaze}
    return {name: eyes.gaze_path(eyes.gaze_moves(np.random.default_rng(seed), law), round(seconds * eyes.FPS), law)
            for name, law in profiles.items()}


def returns_to_centre(shares: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8), minutes: float = 10.0,
                      seed: int = 0) -> pd.DataFrame:
    """The paper's sampler with other shares of returns: saccades per minute, longest hold, spread of the gaze."""
    from dataclasses import replace

    rows = []
    for share in shares:
        law = replace(eyes.PAPER.gaze, centre_probability=share)
        moves = eyes.gaze_moves(np.random.default_rng(seed), law)
        path = eyes.gaze_path(moves, round(60 * minutes * eyes.FPS), law)
        moving = np.abs(np.diff(path, axis=0)).max(1) > 1e-9
        starts = np.flatnonzero(np.diff(moving.astype(int)) == 1)
        rows.append({"share of returns": share, "saccades per minute": len(starts) / minutes,
                     "longest hold (s)": np.diff(starts).max() / eyes.FPS, "sd": path.std()})
    return pd.DataFrame(rows)
