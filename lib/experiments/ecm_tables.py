"""What notebook 02 shows of the results of paper 001: tables and rows for figures; nothing here is judged."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib import labels
from lib.claims import Claim, by_id
from lib.experiments import ecm
from lib.experiments import ecm_claims as evidence
from lib.experiments import ecm_measures as measures
from lib.experiments.eavanet_tables import drawn
from lib.experiments.ecm_claims import ECM, OFF, PART, SPEECH, Results
from lib.experiments.evidence import advantage, rows_of, skill, values
from lib.stats import shown

BINS = 9                         # of perceived intensity, as many as the puppet's levels
PRINTED_LIPS = {                 # system of this study: claim and side that print its lip errors
    SPEECH: ("ecm-01", "a"), "voca": ("ecm-01", "b"), "faceformer": ("ecm-02", "b"),
    "control/random-init" + OFF: ("ecm-03", "b"), "ecm/no-lvx" + OFF: ("ecm-05", "b"),
    "ecm/no-llm" + OFF: ("ecm-06", "b"), "ecm/no-style" + OFF: ("ecm-07", "b"),
    "ecm/vocaset-only" + OFF: ("ecm-08", "b"), "ecm/with-lrs2" + OFF: ("ecm-09", "a"),
}
ABLATIONS = ("ecm/no-lvx", "ecm/no-llm", "ecm/no-style", "ecm/vocaset-only", "ecm/vocaset-only,short", "ecm/with-lrs2",
             "ecm/code")
PRIOR_VARIANTS = ("ecm/exact-prior", "ecm/audio-prior", "ecm/noisy-prior=0.1", "ecm/noisy-prior", "ecm/noisy-prior=0.5",
                  "ecm/gru", "ecm/no-residual", "ecm/no-prior-smoothing", "ecm/code")


# What is compared -----------------------------------------------------------------------------------------------------


def material_table(made: ecm.Material) -> pd.DataFrame:
    """Clips, speakers, sentences and minutes of every part, and whose role in the paper it plays."""
    table, test = made.taught.table, made.data.rows(PART).index
    neutral = table.emotion == ecm.NEUTRAL
    parts = {"neutral (VOCASET)": made.clips[neutral[made.clips]],
             "emotional, fitted (CREMA-D)": made.clips[~neutral[made.clips]], "many voices, noise (LRS2)": made.wild,
             "test, neutral": test[neutral[test]], "test, emotional": test[~neutral[test]]}
    return pd.DataFrame([{"part": part, "clips": len(index), "speakers": table.actor[index].nunique(),
                          "sentences": table.sentence[index].nunique(),
                          "minutes": sum(len(made.taught.motion[i]) for i in index) / ecm.FPS / 60}
                         for part, index in parts.items()])


def system_sizes(scale: str, seed: int, names: Sequence[str] = ("ecm", "ecm/code", "voca", "faceformer", "pham17",
                                                                "chun21")) -> pd.DataFrame:
    """Trained parameters of the systems at this scale: none is bigger by accident without the reader seeing it."""
    rows = [(name, sum(p.numel() for p in ecm.train(scale, seed, name).model.parameters() if p.requires_grad))
            for name in names]
    return pd.DataFrame(rows, columns=["system", "parameters"])


# Tables 1 and 2 -------------------------------------------------------------------------------------------------------


def printed_lips(claims: Sequence[Claim]) -> pd.DataFrame:
    """Tables 1 and 2 as printed: mean and maximal lip error in mm by system of this study."""
    rows = {name: by_id(claims, claim).entry["paper_values"][side] for name, (claim, side) in PRINTED_LIPS.items()}
    return pd.DataFrame([{"system": name, "printed mean": values["mean"], "printed max": values["max"]}
                         for name, values in rows.items()])


def lip_table(results: Results, claims: Sequence[Claim]) -> pd.DataFrame:
    """Table 1 for every system on neutral clips, FaceFormer also under its mean and its best speaker id: printed
    errors, ours in four forms (mm, mean over seeds, 95 %)."""
    scores, rows = evidence.every_id(results), []
    for system in dict.fromkeys(scores.system):
        mine, row = rows_of(scores, system, PART), {"system": system}
        for form in measures.LIP_FORMS:
            row |= shown(values(mine[f"lip_{form}_mean"]), f"{form} mean")
            row[f"{form} max"] = mine[f"lip_{form}_max"].groupby("seed").mean().mean()
        rows.append(row)
    return pd.DataFrame(rows).merge(printed_lips(claims), on="system", how="left")


def error_rows(scores: pd.DataFrame, systems: Sequence[str], metric: str) -> pd.DataFrame:
    """system, mean, low, high and the seeds' means of a metric: what figures.dots_with_intervals draws."""
    return pd.DataFrame([drawn(name, rows_of(scores, name, PART)[metric]) for name in systems])


def difference_rows(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The same for tables of differences [seed, speaker, clip, value] by name."""
    return pd.DataFrame([drawn(name, d.set_index(["seed", "speaker", "clip"]).value) for name, d in tables.items()])


def lip_ablations(results: Results, metric: str, names: Sequence[str] = ABLATIONS) -> pd.DataFrame:
    """Advantage of speech-only ECM over variants in skill, neutral clips, and over style vectors from elsewhere."""
    tables = {f"ecm~style={style}": evidence.foreign_style(results, style, metric=metric)
              for style in ("shuffled", "other clip", "foreign")}
    return pd.concat([mouth_ablations(results, metric, names), difference_rows(tables)], ignore_index=True)


def mouth_ablations(results: Results, metric: str, names: Sequence[str] = ABLATIONS) -> pd.DataFrame:
    """Advantage of speech-only ECM over variants in skill, neutral clips."""
    scores = evidence.neutral(results.scores)
    return difference_rows({name: advantage(scores, SPEECH, name + OFF, metric, PART) for name in names})


def upper_ablations(results: Results, metric: str, names: Sequence[str] = PRIOR_VARIANTS) -> pd.DataFrame:
    """Advantage of ECM over those variants that were measured, in skill, emotional clips, module on."""
    scores = evidence.emotional(results.scores)
    known = [name for name in names if name in set(scores.system)]
    return difference_rows({name: advantage(scores, ECM, name, metric, PART) for name in known})


def ablation_table(results: Results) -> pd.DataFrame:
    """Advantage of the full model over every variant in skill with 95 % intervals: lips in three forms, mouth height
    and width, upper face."""
    columns = {"lips mean": lip_ablations(results, "lip_c_mean"), "lips max": lip_ablations(results, "lip_c_max"),
               "lips mean, unaligned": lip_ablations(results, "lip_b_mean"),
               "lips mean, as released": lip_ablations(results, "lip_a_mean"),
               "mouth height": mouth_ablations(results, "mouth_height"),
               "mouth width": mouth_ablations(results, "mouth_width"),
               "upper face": upper_ablations(results, "upper_mm", (*ABLATIONS, *PRIOR_VARIANTS[:-1]))}
    rows: dict[str, dict] = {}
    for column, table in columns.items():
        for row in table.itertuples():
            rows.setdefault(row.system, {"variant": row.system}).update(
                {column: row.mean, f"{column} low": row.low, f"{column} high": row.high})
    return pd.DataFrame(rows.values())


# Table 3 --------------------------------------------------------------------------------------------------------------


def printed_confusion(claims: Sequence[Claim]) -> pd.DataFrame:
    """Table 3 as printed: clips of a true emotion (row) by the emotion recognised (column)."""
    rows = by_id(claims, "ecm-15").entry["paper_values"]["confusion"]
    names = [labels.canonical(name) for name in rows]
    return pd.DataFrame(list(rows.values()), index=names, columns=names)


def confusion(rows: pd.DataFrame) -> pd.DataFrame:
    """Clips asked for an emotion (row) by the emotion recognised (column), printed order."""
    wanted = ("neutral", "happy", "angry", "sad", "disgusted", "fearful", "surprised")
    seen = [e for e in wanted if e in {*rows.asked, *rows.predicted}]
    return pd.crosstab(rows.asked, rows.predicted).reindex(index=[e for e in seen if e in set(rows.asked)],
                                                           columns=seen, fill_value=0)


def accuracy_table(results: Results, claims: Sequence[Claim]) -> pd.DataFrame:
    """Share recognised by emotion: printed, and here by system, judge and rule, every emotion of a speaker weighing
    alike, then every speaker, then every seed."""
    printed = by_id(claims, "ecm-14").entry["paper_values"]["a"]
    head = {"accuracy" if name == "accuracy" else labels.canonical(name): rate for name, rate in printed.items()}
    nested = ["system", "judge", "rule", "seed", "speaker"]
    table = results.recognition.groupby([*nested, "asked"]).right.mean().unstack("asked")
    table.insert(0, "accuracy", table.mean(axis=1))
    table = table.groupby(nested[:4]).mean().groupby(nested[:3]).mean()
    first = pd.DataFrame([head], index=pd.MultiIndex.from_tuples([("printed", "DAN", "released")]))
    return pd.concat([first, table])[[name for name in head if name in table]]


# The rest of the face, control, linearity -----------------------------------------------------------------------------


def upper_table(results: Results, systems: Sequence[str]) -> pd.DataFrame:
    """Emotional clips: skill and expressed intensity of the upper face, dynamics, and what the lips pay."""
    scores, rows = evidence.emotional(results.scores), []
    for system in systems:
        mine = rows_of(scores, system, PART)
        row = {"system": system, **shown(skill(scores, system, "upper_mm", PART), "upper skill")}
        row |= shown(values(mine.achieved.dropna()), "achieved")
        rows.append(row | {name: mine[name].groupby("seed").mean().mean() for name in (
            "fdd_abs_mm", "upper_amplitude_ratio", "upper_jerk_ratio", "lip_b_mean", "lip_content", "sync")})
    return pd.DataFrame(rows)


def control_table(results: Results) -> pd.DataFrame:
    """Slope, straightness, monotone rate and cross-talk of the control curves, by system and formula."""
    pairs = results.control[["system", "formula"]].drop_duplicates().itertuples(index=False)
    tables = [evidence.curves(results, *pair).assign(system=pair.system, formula=pair.formula) for pair in pairs]
    columns = ["slope", "linearity", "monotone", "lips", "others"]
    return pd.concat(tables).groupby(["system", "formula"], sort=False)[columns].mean().reset_index()


def binned(table: pd.DataFrame, columns: Sequence[str], bins: int = BINS) -> pd.DataFrame:
    """Means of columns over equally filled bins of intensity, per emotion: emotion, intensity, columns."""
    parts = []
    for emotion, rows in table.groupby("emotion"):
        steps = pd.qcut(rows.intensity, bins, duplicates="drop")
        means = rows.groupby(steps, observed=True)[["intensity", *columns]].mean()
        parts.append(means.reset_index(drop=True).assign(emotion=emotion))
    return pd.concat(parts, ignore_index=True)


def straightness(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """How straight binned values are over intensity, per emotion: R2 of a line and of a parabola, rank correlation."""
    from lib.priors import logit_linearity

    parts = [logit_linearity(table.assign(unit=0), value, unit="unit").assign(value=value) for value in columns]
    return pd.concat(parts, ignore_index=True)[["emotion", "value", "slope", "r2_line", "r2_quadratic", "spearman"]]
