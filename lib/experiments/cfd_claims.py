"""From the tables of cfd_measures to the evidence of every claim of paper 000 (claims.yaml, cfd-01 to -17).

Scales of d (protocol, section 5). LMD: skill from landmark distances of 68 points, each face on its own mean, in a
256-px crop. ES: share of what lies between the truth and the truth of another sentence, seen by a recogniser of frames
that trained nothing here; the one whose softmax weighs Eq. 5 is shown beside it. Leakage: one value per seed, the
largest of three probe families. Everything a condition of a claim's text adds is a `Check` beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from lib.claims import DELTAS, Check, Claim, Evidence, by_id
from lib.errors import InputError
from lib.experiments import cfd_measures as measures
from lib.experiments.cfd import RIVALS
from lib.experiments.eavanet_claims import probes_calibrated
from lib.experiments.evidence import (
    above,
    advantage,
    interval,
    is_above,
    mean_skill,
    negative,
    room,
    rows_of,
    values,
)
from lib.models.cfd import CFD, PAPER, table_weights
from lib.probes import block_dci

PART, LMD, LIPS = "unseen", "lmd_face_px", "lmd_mouth_px"
CFD_, PLAIN, BARE, SINGLE = "cfd", "cfd/no-style", "cfd/no-emotion-loss", "cfd/single-encoder"
OWN = {"content": "content", "emotion": "emotion", "identity": "identity"}
COLLAPSED = 0.1                  # of the variance without losses on codes: less counts as a code that has collapsed
FINISHED = {"makeittalk~finished": "with its finished inference"}
TEMPLATE = {"makeittalk/template": "trained from the template"}
TOO_FEW = "equal training error cannot tell 'no information in the codes' from 'too few steps'"
CROSS = 0.1                      # leakage of a cell that should be empty


@dataclass(frozen=True)
class Results:
    """All tables of all seeds; what notebook 01 shows and the claims are judged on."""

    scale: str
    seeds: tuple[int, ...]
    scores: pd.DataFrame
    words: pd.DataFrame
    manner: pd.DataFrame
    collapse: pd.DataFrame
    leakage: pd.DataFrame
    speakers: pd.DataFrame
    walk: pd.DataFrame
    shares: pd.DataFrame
    swaps: pd.DataFrame
    disturbed: pd.DataFrame
    videos: pd.DataFrame
    identity: pd.DataFrame
    calibrated: bool = True          # the probes passed the gate of protocol section 8


TABLES = {"scores": measures.scores, "words": measures.word_scores, "manner": measures.manner_scores,
          "collapse": measures.collapse, "leakage": measures.leaks, "speakers": measures.speakers,
          "walk": measures.walk, "shares": measures.shares, "swaps": measures.swaps,
          "disturbed": measures.disturbances, "videos": measures.video_distances, "identity": measures.identity_shares}


def gather(scale: str, seeds: Sequence[int]) -> Results:
    """Train and measure whatever is not in the cache yet, seed by seed."""
    tables = {name: pd.concat([table(scale, seed) for seed in seeds], ignore_index=True)
              for name, table in TABLES.items()}
    tables |= {name: unprefixed(tables[name]) for name in ("words", "manner")}
    return Results(scale, tuple(seeds), **tables, calibrated=probes_calibrated())


def unprefixed(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores on other material under the names of the systems alone."""
    return scores.assign(system=scores.system.str.split(": ").str[-1])


# Table 2 --------------------------------------------------------------------------------------------------------------


def es_room(scores: pd.DataFrame) -> pd.Series:
    """1 minus the ES of another sentence's truth, per seed: what there is to gain above a face that moves anyhow."""
    return 1 - rows_of(scores, "control/shuffled-truth", PART).es.groupby("seed").mean()


def es_advantage(scores: pd.DataFrame, a: str, b: str, column: str = "es") -> pd.DataFrame:
    """Paired advantage of a over b in emotion similarity, as a share of that room."""
    return values((rows_of(scores, a, PART)[column] - rows_of(scores, b, PART)[column]) / es_room(scores))


def ahead(scores: pd.DataFrame, metric: str, a: str, b: str) -> pd.DataFrame:
    """Paired advantage of a over b on the scale of a metric, "lmd" or "es"."""
    return advantage(scores, a, b, LMD, PART) if metric == "lmd" else es_advantage(scores, a, b)


def learned(scores: pd.DataFrame, system: str, metric: str = "lmd") -> tuple[float, float] | None:
    """95 % interval of what a system gains by listening; one that holds 0 has not learned the task of a metric.

    The least certain of its gains over the controls that do not hear the clip: static face, mean face of the training
    clips, another sentence's sound. Half of the way from the static face needs no ear in landmark distance, and a face
    that shows no emotion has an emotion similarity all the same. None below two seeds.
    """
    gains = [interval(ahead(scores, metric, system, name)) for name in measures.DEAF]
    return None if None in gains else min(gains)


def lmd_of(scores: pd.DataFrame, a: str, b: str, column: str = "lmd", **options) -> Evidence:
    """Evidence on landmark distance: a has to have learned the task, the printed gain is scaled by what b leaves."""
    return Evidence(column, advantage(scores, a, b, LMD, PART), skill_b=mean_skill(scores, b, LMD, PART),
                    skill_interval=learned(scores, a), **options)


def es_of(scores: pd.DataFrame, claim: Claim, a: str, b: str, column: str = "es", **options) -> Evidence:
    """Evidence on emotion similarity; the printed relative gain is taken of our b and divided by our room."""
    margin, level = claim.printed_margin(column), rows_of(scores, b, PART).es.groupby("seed").mean()
    size = None if margin is None else margin * float((level / es_room(scores)).mean())
    return Evidence(column, es_advantage(scores, a, b), printed=size, skill_interval=learned(scores, a, "es"),
                    **options)


def detector_px(results: Results) -> float:
    """Mean distance in pixels between the truth and what the detector of PC-AVS's landmarks finds in true pictures."""
    return float(rows_of(results.scores, measures.DETECTED, PART)[LMD].groupby("seed").mean().mean())


def detector_floor(results: Results, scores: pd.DataFrame, metric: str = "lmd") -> float:
    """What re-detecting the landmarks of the truth itself costs, in shares of the room of LMD or ES of a table."""
    if metric == "lmd":
        return detector_px(results) / float(room(scores, LMD, PART).mean())
    lost = 1 - rows_of(results.scores, measures.DETECTED, PART).es.groupby("seed").mean()
    return float(lost.mean() / es_room(scores).mean())


def against_makeittalk(scores: pd.DataFrame, claim: Claim, a: str, others: dict[str, str]) -> list[Evidence]:
    """cfd-01 and -03: raw landmarks on both sides; also against other ways to train or use MakeItTalk, by name."""
    checks = {metric: tuple(is_above(f"also against MakeItTalk {how}", ahead(scores, metric, a, other))
                            for other, how in others.items()) for metric in ("lmd", "es")}
    return [lmd_of(scores, a, "makeittalk", checks=checks["lmd"]),
            es_of(scores, claim, a, "makeittalk", checks=checks["es"])]


def against_pcavs(results: Results, claim: Claim, scores: pd.DataFrame, a: str) -> list[Evidence]:
    """cfd-02 and -04: undecidable where the detector's own error exceeds what would count as a difference."""
    floors = {metric: detector_floor(results, scores, metric) for metric in ("lmd", "es")}
    notes = {metric: f"landmarks of PC-AVS are re-detected; that costs the truth itself {floor:.2f} of the room"
             for metric, floor in floors.items()}
    found = [lmd_of(scores, a, "pcavs", floor=floors["lmd"], note=notes["lmd"])]
    if "es" in claim.columns:
        found.append(es_of(scores, claim, a, "pcavs", floor=floors["es"], note=notes["es"]))
    return found


def share_of_lead(results: Results) -> list[Evidence]:
    """cfd-05: share of the lead over the best baseline of a column that remains without style branch,
    (b - a) / (b - c) per seed.

    Surely below 0.5 reproduces the credit to style, to 0.8 is weaker; surely above 1 means that the branch costs.
    """
    found = []
    for column in ("lmd", "es"):
        best = strongest_rival(results.scores, column)
        found.append(_share(column, *(ahead(results.scores, column, name, best) for name in (CFD_, PLAIN)), best))
    return found


def strongest_rival(scores: pd.DataFrame, metric: str) -> str:
    """The baseline with the best mean of a metric: MakeItTalk as released or from the template, or PC-AVS."""
    rivals = (*RIVALS, *TEMPLATE)
    if metric == "lmd":
        return min(rivals, key=lambda name: rows_of(scores, name, PART)[LMD].mean())
    return max(rivals, key=lambda name: rows_of(scores, name, PART).es.mean())


def _share(column: str, lead: pd.DataFrame, without: pd.DataFrame, best: str) -> Evidence:
    certain, size = above(lead, DELTAS[column])
    if not certain:
        why = f"no certain lead over {best} beyond {DELTAS[column]:g} that could be shared out ({size})"
        return Evidence(column, missing=why)
    means = [d.groupby("seed").value.mean() for d in (without, lead)]
    share = per_seed(means[0] / means[1])
    if above(share, 1.0)[0]:
        return Evidence(column, share.assign(value=1 - share.value), kind="diff", note="the style branch costs")
    below = negative(share)
    return Evidence(column, below, kind="threshold", threshold=-0.8, note=f"share of the lead over {best}, sign turned",
                    checks=(is_above("the share is surely below 0.5", below, -0.5),))


def per_seed(series: pd.Series) -> pd.DataFrame:
    """Table of one value per seed, for results that have no finer level."""
    return pd.DataFrame({"seed": series.index, "speaker": 0, "clip": 0, "value": series.to_numpy(float)})


def style_branch(results: Results, claim: Claim) -> list[Evidence]:
    """cfd-06: gain of the branch without contrastive losses, and over a branch as wide that repeats the content."""
    found = []
    for suffix, scores in (("vox", results.scores), ("lrw", results.words)):
        wide = "cfd/width-matched"
        found += [lmd_of(scores, BARE, PLAIN, f"lmd_{suffix}", note=TOO_FEW, checks=(
                      is_above("also over an equally wide branch", advantage(scores, BARE, wide, LMD, PART)),)),
                  es_of(scores, claim, BARE, PLAIN, f"es_{suffix}", note=TOO_FEW, checks=(
                      is_above("also over an equally wide branch", es_advantage(scores, BARE, wide)),))]
    return found


def contrast(results: Results, claim: Claim) -> list[Evidence]:
    """cfd-07: gain of both losses together, and whether it exceeds that of the branch; judges side by side."""
    scores = results.scores
    steps = {metric: [ahead(scores, metric, *pair) for pair in ((CFD_, BARE), (BARE, PLAIN))]
             for metric in ("lmd", "es")}
    larger = {name: is_above("more than the style branch brought", minus(*both)) for name, both in steps.items()}
    return [lmd_of(scores, CFD_, BARE, checks=(larger["lmd"],), note=TOO_FEW),
            es_of(scores, claim, CFD_, BARE, checks=(larger["es"],), note=TOO_FEW),
            Evidence("es, training recogniser", es_advantage(scores, CFD_, BARE, "es_training"), role="extra",
                     direction="a>b", delta_key="es", note="the recogniser whose softmax weighs Eq. 5"),
            Evidence("judge", difference(scores, CFD_, BARE, "judge"), role="extra", direction="a>b",
                     delta_key="emotion_accuracy", note="true label, by two judges of whole clips")]


def minus(one: pd.DataFrame, other: pd.DataFrame, share: float = 1.0) -> pd.DataFrame:
    """one - share x other, row by row of the same clips."""
    keys = ["seed", "speaker", "clip"]
    return values(one.set_index(keys).value - share * other.set_index(keys).value)


def difference(table: pd.DataFrame, a: str, b: str, column: str) -> pd.DataFrame:
    """Paired difference a - b of a column per clip."""
    return values((rows_of(table, a)[column] - rows_of(table, b)[column]).dropna())


def attribution(results: Results) -> list[Evidence]:
    """cfd-08: main effect of the emotion term in the 2 x 2 of both terms, whether it alone brings more than half of the
    joint gain, and whether the recogniser's weights do better than none; the other effects beside it."""
    scores, found = results.scores, []
    for column in ("lmd", "es"):
        gain = partial(ahead, scores, column)
        given, alone = gain(CFD_, "cfd/no-emotion-loss-only"), gain("cfd/no-identity-loss", BARE)
        joint, identity = gain(CFD_, BARE), gain(CFD_, "cfd/no-identity-loss")
        half = is_above("alone more than half of the joint gain", minus(alone, joint, 0.5))
        weighed = is_above("the recogniser's weights do better than none", gain(CFD_, "cfd/no-weights"))
        found.append(Evidence(column, minus(given, negative(alone)).assign(value=lambda d: d.value / 2),
                              skill_interval=learned(scores, CFD_, column), checks=(half, weighed),
                              note=f"main effect of the emotion term; {TOO_FEW}"))
        beside = {"identity term": identity, "interaction": minus(given, alone),
                  "recogniser against label weights": gain(CFD_, "cfd/fixed-weight")}
        found += [Evidence(f"{column}, {name}", d, role="extra", direction="a<b" if column == "lmd" else "a>b",
                           delta_key=column) for name, d in beside.items()]
    return found


# Emotion codes --------------------------------------------------------------------------------------------------------


def walk_table(results: Results) -> pd.DataFrame:
    """One row per clip: slope of amplitude over steps in shares of the unshifted one, whether it never falls, smallest
    correlation with the unshifted curve."""
    def one(clip: pd.DataFrame) -> pd.Series:
        clip = clip.sort_values("sds")
        size = clip.amplitude / max(float(clip.amplitude[clip.sds == 0].iloc[0]), 1e-9)
        return pd.Series({"slope": np.polyfit(clip.sds, size, 1)[0], "monotone": float((np.diff(size) > 0).all()),
                          "correlation": clip.correlation.min(),
                          **{f"step {i}": step for i, step in enumerate(np.diff(size))}})

    return results.walk.groupby(["seed", "speaker", "clip"])[["sds", "amplitude", "correlation"]].apply(
        one).reset_index()


def progressive(results: Results) -> list[Evidence]:
    """cfd-09: amplitude rises with every step along PC1, the curve's course stays (r at least 0.8, weaker from 0.6)."""
    table = walk_table(results)
    slope, r = (values(table.set_index(["seed", "speaker", "clip"])[name]) for name in ("slope", "correlation"))
    steps = [column for column in table if column.startswith("step ")]
    amplitude = Evidence("amplitude", slope, kind="monotone", steps=tuple(table[steps].mean()),
                         rate=float(table.monotone.mean()), note="shares of the unshifted amplitude per SD")
    if not above(slope, DELTAS["monotone_rate"])[0]:
        why = "the walk hardly changes the opening of the lips, so that an unchanged course says nothing"
        return [amplitude, Evidence("correlation", missing=why)]
    return [amplitude, Evidence("correlation", r, kind="threshold", threshold=0.6,
                                checks=(is_above("r at least 0.8", r, 0.8),))]


def axis_of_emotion(results: Results) -> list[Evidence]:
    """cfd-10: PC1 scores of held-out clips explained by emotion and intensity, above labels drawn anew."""
    table = results.shares.set_index(["seed", "factor", "system"]).share.unstack()
    share = {factor: per_seed(rows.droplevel("factor")) for factor, rows in table["cfd"].groupby("factor")}
    drawn = table["control/random-label"].xs("emotion", level="factor")
    others = [name for name in share if name != "emotion"]
    for name in others:
        if above(share[name], 0.5)[0]:
            return [Evidence("emotion_share", minus(share["emotion"], share[name]), kind="diff",
                             note=f"emotion minus {name}, which explains more than half")]
    largest = [is_above(f"more than {name}", minus(share["emotion"], share[name])) for name in others]
    return [Evidence("emotion_share", minus(share["emotion"], per_seed(drawn)), note="omega squared",
                     checks=(is_above("above 0.5", share["emotion"], 0.5), *largest))]


def shrinking(results: Results, code: str) -> pd.DataFrame:
    """Logarithm of a code's variance over that of the version without losses on codes at the end of both, per seed.

    The same moment without the losses is the measure: in the mean of the first steps the losses have acted already.
    """
    last = results.collapse.sort_values("epoch").groupby(["system", "seed"])[f"{code}_variance"].last()
    return per_seed(np.log(last[CFD_].clip(lower=1e-12) / last[BARE]))


def one_person(results: Results) -> list[Evidence]:
    """cfd-11: spread within and between unseen persons against the untrained code; a collapse in training reverses."""
    table = results.speakers.set_index(["seed", "system"])

    def gap(column: str, b: str) -> pd.DataFrame:
        return per_seed(table[column].xs(b, level="system") - table[column].xs(CFD_, level="system"))

    shrunk = shrinking(results, "identity")
    collapse = shrunk.assign(value=shrunk.value - np.log(COLLAPSED))
    error = Evidence("speaker_eer", gap("speaker_eer", "control/random-init"), checks=(
        is_above("below that of the features it hears", gap("speaker_eer", "converted mel")),))
    gone = above(negative(collapse), 0.0)[0]
    variance = Evidence("variance in training", collapse, role="claim" if gone else "extra", kind="diff",
                        direction="a>b", delta_key="energy_ratio",
                        note=f"log of its share of the variance without losses on codes, above log {COLLAPSED:g}; "
                             "surely below: the code has collapsed")
    return [Evidence("within_over_between", gap("within_over_between", "control/random-init")), error, variance]


# Separate codes -------------------------------------------------------------------------------------------------------


def matrix(results: Results, seed: int, system: str) -> pd.DataFrame:
    """Codes x factors of one seed: the largest value of three probe families, at most 1."""
    rows = results.leakage[(results.leakage.seed == seed) & results.leakage.code.str.startswith(f"{system}: ")]
    table = rows.groupby(["code", "factor"], sort=False).value.max().clip(upper=1.0).unstack(sort=False)
    return table.rename(index=lambda name: name.split(": ")[1])


def own_and_cross(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Cells of a matrix that should hold something, and all others."""
    own = np.array([[factor == OWN[code] or (code, factor) == ("emotion", "intensity") for factor in table.columns]
                    for code in table.index])
    diagonal = np.array([table.loc[code, OWN[code]] for code in table.index])
    return diagonal, table.to_numpy()[~own]


def disentangled(results: Results) -> list[Evidence]:
    """cfd-12: own factors up, cross-cells down, block DCI up, emotion closer within a video than across; all against
    the version without contrastive losses, and beside it against one encoder, whose only code answers for all."""
    tables = {name: {seed: matrix(results, seed, name) for seed in results.seeds} for name in (CFD_, BARE, SINGLE)}

    def of(name: str, read) -> pd.DataFrame:
        return per_seed(pd.Series({seed: read(table) for seed, table in tables[name].items()}))

    def gain(read) -> pd.DataFrame:
        return minus(of(CFD_, read), of(BARE, read))

    def own(table): return float(own_and_cross(table)[0].mean())
    def cross(table): return float(np.nanmean(own_and_cross(table)[1]))
    def worst(table): return float(np.nanmax(own_and_cross(table)[1]))
    def dci(table): return block_dci(table, OWN).mean
    def held(table): return float(table.loc["content", list(OWN.values())].mean())
    def mixed(table): return float(np.nanmean(table.loc["content"].drop("content")))

    options = {"calibrated": results.calibrated}
    unknown = "" if np.isfinite(gain(own).value).all() else "the probes' ceiling is no better than chance"
    empty = None if unknown else is_above(f"every cross-cell below {CROSS:g}", negative(of(CFD_, worst)), -CROSS)
    ratio = {name: video_ratio(results, name) for name in measures.LEAKS}
    beside = {"d_within_over_across": minus(ratio[SINGLE], ratio[CFD_])} | ({} if unknown else {
        "own_factor": minus(of(CFD_, own), of(SINGLE, held)), "leakage": minus(of(SINGLE, mixed), of(CFD_, cross))})
    cells = [Evidence(column, missing=unknown) for column in ("own_factor", "leakage", "dci")] if unknown else [
        Evidence("own_factor", gain(own), **options),
        Evidence("leakage", negative(gain(cross)), checks=(empty,), note="mean of the cross-cells", **options),
        Evidence("dci", gain(dci), **options)]
    return [*cells,
            Evidence("d_within_over_across", minus(ratio[BARE], ratio[CFD_]), note="emotion codes of unseen clips"),
            *(Evidence(f"{column}, against one encoder", d, role="extra", direction="a>b", delta_key="leakage",
                       calibrated=results.calibrated, note="advantage of separate codes")
              for column, d in beside.items() if np.isfinite(d.value).all())]


def video_ratio(results: Results, system: str) -> pd.DataFrame:
    """Distance of emotion codes within a video over that between videos of a person, unseen clips, per seed."""
    return per_seed(results.videos[results.videos.system == system].set_index("seed").within_over_across)


def swap(results: Results) -> list[Evidence]:
    """cfd-13: exchanging the emotion code alone, against the exact face of the same sentence in the other emotion."""
    table, lips = results.swaps, room(results.scores, LIPS, PART)
    skill = values(rows_of(table, CFD_).swap_skill)
    moved = {name: values(rows_of(table, name).lip_content / lips) for name in (CFD_, BARE)}
    still = is_above("the lips lose less than 2 %", negative(moved[CFD_]), -DELTAS["lmd"])
    kept = Evidence("lip_content_error", minus(moved[BARE], moved[CFD_]), checks=(still,), note=TOO_FEW)
    heard = learned(results.scores, CFD_, "es")
    if above(negative(skill), DELTAS["swap_error"])[0]:
        worse = "worse than no swap at all"
        return [Evidence("swap_skill", skill, kind="diff", skill_interval=heard, note=worse), kept]
    better = is_above("better than no swap", skill)
    return [Evidence("swap_skill", difference(table, CFD_, BARE, "swap_skill"), checks=(better,),
                     skill_interval=heard, note=TOO_FEW), kept,
            Evidence("swap_skill, brows and eyes", difference(table, CFD_, BARE, "upper_skill"), role="extra",
                     direction="a>b", delta_key="swap_error")]


def identity_matters_little(results: Results) -> list[Evidence]:
    """cfd-14: the mean identity code for everybody's own, where all move in one manner and where each has their own.

    The mean code is one that the network knows; zeros are a shift out of what it was trained on, so they stand beside.
    """
    own, one = results.scores, results.manner

    def lost(scores: pd.DataFrame, without: str) -> pd.DataFrame:
        return advantage(scores, CFD_, without, LMD, PART)

    costs = is_above("where manners differ, the mean code loses something", lost(own, "cfd~identity=mean"))
    beside = {"lmd, mean code, own manners": lost(own, "cfd~identity=mean"),
              "lmd, zeroed, one manner": lost(one, "cfd~identity=0"),
              "lmd, zeroed, own manners": lost(own, "cfd~identity=0"),
              "lmd, exchanged, own manners": lost(own, "cfd~identity=other"),
              "lmd, retrained without, own manners": lost(own, "cfd/no-identity"),
              "lmd, retrained without, one manner": lost(one, "cfd/no-identity")}
    shares = {label: per_seed(results.identity[results.identity.system == name].set_index("seed").share)
              for label, name in zip(("own manners", "one manner"), measures.STYLED, strict=True)}
    return [Evidence("lmd", lost(one, "cfd~identity=mean"), checks=(costs,), skill_interval=learned(one, CFD_),
                     note="all in one manner; the mean code of the training clips for the own one"),
            *(Evidence(name, d, role="extra", direction="approx", delta_key="lmd") for name, d in beside.items()),
            *(Evidence(f"share of the style branch's variance, {label}", d, role="extra", direction="approx",
                       delta_key="leakage") for label, d in shares.items())]


# Features and sizes ---------------------------------------------------------------------------------------------------


def increases(results: Results, system: str, sounds: Sequence[str] = measures.SOUNDS[1:]) -> pd.DataFrame:
    """Growth of a system's landmark distance from the clean sound to the mean of disturbed ones, in skill units."""
    table = results.disturbed[results.disturbed.system == system]
    by_sound = table.pivot_table(index=["seed", "speaker", "clip"], columns="sound", values="lmd_face_px")
    return values((by_sound[list(sounds)].mean(axis=1) - by_sound["clean"]) / room(results.scores, LMD, PART))


def direct_map(results: Results, claim: Claim) -> list[Evidence]:
    """cfd-15: against one encoder of the same size, and whether the advantage grows as the sound gets worse."""
    scores = results.scores
    grows = is_above("the advantage grows with noise", minus(increases(results, SINGLE, ("noise 10 dB",)),
                                                             increases(results, CFD_, ("noise 10 dB",))))
    return [lmd_of(scores, CFD_, SINGLE, checks=(grows,)), es_of(scores, claim, CFD_, SINGLE)]


def leak_of(results: Results, code: str, factor: str) -> pd.DataFrame:
    """Leakage of a factor in a code per seed, at most 1."""
    rows = results.leakage[(results.leakage.code == code) & (results.leakage.factor == factor)]
    return per_seed(rows.groupby("seed").value.max().clip(upper=1.0))


def features(results: Results) -> list[Evidence]:
    """cfd-16: converted against plain mel: growth of the error in bad sound, nuisance, emotion and speaker in them."""
    less = minus(increases(results, "cfd/plain-mel"), increases(results, CFD_))
    probes = {factor: minus(leak_of(results, "converted mel", factor), leak_of(results, "mel", factor))
              for factor in ("nuisance", "emotion", "identity", "content")}
    calibrated = {"calibrated": results.calibrated}

    def probed(column: str, d: pd.DataFrame, **options) -> Evidence:
        if d.value.isna().any():
            return Evidence(column, missing="the probes' ceiling is no better than chance", **options)
        return Evidence(column, d, **calibrated, **options)

    beside = {"role": "extra", "direction": "approx", "delta_key": "leakage"}
    return [Evidence("lmd_increase", less, skill_interval=learned(results.scores, CFD_)),
            probed("nuisance_probe", negative(probes["nuisance"])), probed("emotion_probe", probes["emotion"]),
            *(probed(f"{factor}_probe", probes[factor], **beside) for factor in ("identity", "content"))]


def sizes(results: Results, claim: Claim) -> list[Evidence]:
    """cfd-17: weights counted against what Table 1 gives, its readings run on one clip, and their errors."""
    printed = claim.entry["paper_values"]["computed"]
    counted = table_weights(CFD(PAPER))
    names = ("mlp_c", "lstm", "mlp_t", "mlp_e", "mlp_i", "content_branch")
    branch = tuple(Check(f"{name}: {printed[name]} weights", counted[name] == printed[name],
                         detail=str(counted[name])) for name in names if name in printed)
    readings = {"256 inputs take the concatenation of Eq. 8": ("concat", 256),
                "512 inputs (Eq. 8 against Table 1)": ("concat", 512),
                "256 inputs of a sum (Table 1 against Eq. 8)": ("sum", 256)}
    decoder = tuple(_runs(name, reading, inputs, printed[f"style_decoder_{inputs}"])
                    for name, (reading, inputs) in readings.items())
    return [Evidence("content_branch", kind="checks", checks=branch),
            Evidence("style_decoder", kind="checks", checks=decoder),
            Evidence("lmd, 512 against 256", advantage(results.scores, CFD_, "cfd/style-256", LMD, PART), role="extra",
                     kind="approx", direction="approx", delta_key="lmd")]


def _runs(name: str, reading: str, inputs: int, weights: int) -> Check:
    """Whether a style decoder of so many inputs and weights exists in a reading and turns a clip into landmarks."""
    try:
        model = CFD(replace(PAPER, style_input=reading)).eval()
        found = table_weights(model)["mlp_s"]
        fits = model.config.style_decoder_inputs == inputs and found == weights
        runs = model(torch.zeros(1, 5, PAPER.audio_width)).styled.shape == (1, 5, 68, 2)
    except (InputError, RuntimeError) as error:
        return Check(name, False, detail=str(error))
    return Check(name, bool(fits and runs), corrected=True, detail=f"{found} weights")


def evidence(results: Results, claims: Sequence[Claim]) -> dict[str, list[Evidence]]:
    """Evidence of all seventeen claims."""
    def claim(number: int) -> Claim:
        return by_id(claims, f"cfd-{number:02d}")

    words = results.words
    found = {
        1: against_makeittalk(results.scores, claim(1), CFD_, FINISHED | TEMPLATE),
        2: against_pcavs(results, claim(2), results.scores, CFD_),
        3: against_makeittalk(words, claim(3), BARE, TEMPLATE),
        4: against_pcavs(results, claim(4), words, BARE), 5: share_of_lead(results),
        6: style_branch(results, claim(6)), 7: contrast(results, claim(7)), 8: attribution(results),
        9: progressive(results), 10: axis_of_emotion(results), 11: one_person(results), 12: disentangled(results),
        13: swap(results), 14: identity_matters_little(results), 15: direct_map(results, claim(15)),
        16: features(results), 17: sizes(results, claim(17)),
    }
    return {f"cfd-{number:02d}": columns for number, columns in found.items()}


def conditions(results: Results) -> dict[str, list[Check]]:
    """What the texts of the entries ask of all their columns together, also where a column is undecidable."""
    emotion = minus(leak_of(results, "converted mel", "emotion"), leak_of(results, "mel", "emotion"))
    known = np.isfinite(emotion.value).all()
    kept = is_above("emotion is kept", emotion, -DELTAS["leakage"]) if known else Check("emotion is kept", None)
    shrunk = {code: is_above(f"the {code} code has not collapsed", shrinking(results, code), np.log(COLLAPSED))
              for code in ("emotion", "identity")}
    return {"cfd-16": [kept], "cfd-11": [shrunk["identity"]], "cfd-12": list(shrunk.values())}
