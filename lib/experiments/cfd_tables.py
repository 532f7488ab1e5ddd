"""What notebook 01 shows of the results of paper 000: tables and rows for figures; nothing here is judged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.claims import DELTAS, Claim, by_id
from lib.experiments import cfd_measures as measures
from lib.experiments.cfd import SIZES, SYSTEMS, config, material, named, train
from lib.experiments.cfd_claims import BARE, CFD_, COLLAPSED, LMD, PART, Results, ahead, shrinking
from lib.experiments.eavanet_tables import drawn
from lib.experiments.evidence import above, advantage, negative, room, rows_of, skill, values
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
    return pd.DataFrame([drawn(name, ahead(scores, metric, "cfd", name).set_index(["seed", "speaker", "clip"]).value)
                         for name in variants])


def heard_something(scores: pd.DataFrame, systems: Sequence[str]) -> str:
    """What the table says about listening: MakeItTalk against the mean face, and whose ES exceeds shuffled sound."""
    gains = {name: advantage(scores, name, "control/mean-motion", LMD, PART)
             for name in ("makeittalk", "makeittalk/template")}
    reached = {name: "better than" if above(gain, 0)[0] else "worse than" if above(negative(gain), 0)[0] else
               "not surely better than" for name, gain in gains.items()}
    rivals = "; ".join(f"{name} is {reached[name]} the mean face, which hears nothing (skill minus its skill: "
                       f"{above(gain, 0)[1]})" for name, gain in gains.items())
    better = [name for name in systems if above(ahead(scores, "es", name, "control/shuffled-audio"), 0)[0]]
    emotion = (f"ES above that of shuffled sound: {', '.join(better)}." if better else
               "No system's ES exceeds that of shuffled sound: emotion was not learned here.")
    if scores.seed.nunique() < 2:
        emotion = "One seed has no interval, so nothing is said about ES."
    return f"{rivals}. {emotion}"


def over_mean_face(scores: pd.DataFrame, systems: Sequence[str]) -> str:
    """Skill in LMD of systems minus that of the mean face, means with 95 % intervals in brackets."""
    gains = {name: above(advantage(scores, name, "control/mean-motion", LMD, PART), 0)[1] for name in systems}
    return ", ".join(f"{name} {size}" for name, size in gains.items())


def judges_table(scale: str) -> pd.DataFrame:
    """Accuracy of judges and recognisers on unseen actors, on truth and on truth plus noise, and of strong emotions."""
    from lib.landmark_foundations import planar_scores

    return pd.DataFrame({name: {f"{kind}, {group}": value for kind, groups in found.items()
                                for group, value in groups.items() if group != "confusion"}
                         for name, found in planar_scores(scale).items()}).T


def where_step_2_goes(results: Results, first: Sequence[float]) -> str:
    """Eq. 10 (px) at the end of step 1 (per seed) and at both ends of step 2; whether the style branch explains what
    words do not, measured against a branch that hears the content code again."""
    rows = results.collapse.sort_values("epoch").groupby(["system", "seed"]).landmark
    start, end = (getattr(rows, which)().groupby("system").mean() for which in ("first", "last"))
    apart = abs(end[CFD_] - end["cfd/width-matched"]) / end[CFD_]
    reading = ("here the branch explains nothing the words do not" if apart < DELTAS["lmd"] else
               f"here its end differs from that of a branch of content alone by {apart:.0%}")
    return (f"Step 1 ends at {np.mean(first):.3f} px; step 2 of CFD starts at {start[CFD_]:.3f} and ends at "
            f"{end[CFD_]:.3f} px ({end['cfd/width-matched']:.3f} with content alone): {reading}.")


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


def variances(results: Results, code: str) -> str:
    """Variance of a code of CFD at the end of training, over that without losses on codes."""
    last = results.collapse.sort_values("epoch").groupby(["system", "seed"])[f"{code}_variance"].last()
    mine, bare = (last[name].mean() for name in (CFD_, BARE))
    return (f"{code}: variance at the end of training {mine:.2e} against {bare:.2e} without losses on codes, "
            f"{np.exp(shrinking(results, code).value.mean()):.1e} of it")


def leak_matrix(results: Results) -> pd.DataFrame:
    """Codes x factors, mean over seeds of the largest probe; NaN where the ceiling is no better than chance.

    Codes whose variance in training says that they have collapsed are named so.
    """
    largest = results.leakage.groupby(["seed", "code", "factor"], sort=False).value.max().clip(upper=1.0)
    return _named(results, largest.groupby(["code", "factor"], sort=False).mean().unstack(sort=False))


def leak_labels(results: Results) -> pd.DataFrame:
    """The text of every cell of `leak_matrix`: its value; below it the score of the best probe and what that probe gets
    from shuffled labels (accuracy; R2 for intensity), means over seeds."""
    rows = results.leakage.assign(lead=results.leakage.score - results.leakage.random)
    best = rows.loc[rows.groupby(["seed", "code", "factor"]).lead.idxmax()]
    means = best.groupby(["code", "factor"])[["score", "random"]].mean()
    raw = _named(results, (means.score.map("{:.2f}".format) + " / " + means.random.map("{:.2f}".format)).unstack())
    values_ = leak_matrix(results)
    return values_.map(lambda x: "n/a" if np.isnan(x) else f"{x:.2f}") + "\n" + raw.loc[values_.index, values_.columns]


def _named(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    gone = [f"{CFD_}: {code}" for code in ("emotion", "identity")
            if np.exp(shrinking(results, code).value.mean()) < COLLAPSED]
    return table.rename(index={name: f"{name} (collapsed)" for name in gone})


def walk_summary(results: Results) -> pd.DataFrame:
    """Amplitude in shares of the unshifted one, correlation and movement by step along PC1, means over clips."""
    middle = results.walk[results.walk.sds == 0].set_index(["seed", "clip"]).amplitude
    places = pd.MultiIndex.from_frame(results.walk[["seed", "clip"]])
    table = results.walk.assign(ratio=results.walk.amplitude.to_numpy() / middle.reindex(places).to_numpy())
    return table.groupby("sds")[["ratio", "correlation", "moved_px", "upper_px"]].mean()


def what_moves(results: Results) -> str:
    """How far two standard deviations along PC1 move the landmarks and the upper face, beside the margin of LMD."""
    ends = walk_summary(results).loc[[-2.0, 2.0]].mean()
    margin = DELTAS["lmd"] * room(results.scores, LMD, PART).mean()
    reading = "nothing moves" if ends.moved_px < margin else "the face moves"
    return (f"Two standard deviations along PC1 move a landmark by {ends.moved_px:.3f} px on average, brows and eyes "
            f"by {ends.upper_px:.3f} px; {margin:.3f} px of landmark distance count as none: {reading}.")


def what_swaps_do(results: Results) -> str:
    """What a swap of CFD's emotion code takes away from the error, beside the margin of swaps."""
    mine = results.swaps[results.swaps.system == CFD_]
    reading = "nothing changes" if abs(mine.swap_skill.mean()) < DELTAS["swap_error"] else "the face changes"
    return (f"Swapping CFD's emotion code takes away {mine.swap_skill.mean():.2%} of the distance to the exact face "
            f"and brings the lips {-mine.lip_content.mean():+.4f} px closer to exact ones; less than "
            f"{DELTAS['swap_error']:.0%} counts as none: {reading}.")


def what_readings_do(table: pd.DataFrame) -> str:
    """Which readings of `reading_table` differ from the default by more than the margin of LMD."""
    skills = table[~table.system.str.startswith("control/")].set_index("system").skill
    apart = (skills.drop(CFD_) - skills[CFD_])[lambda d: d.abs() > DELTAS["lmd"]]
    if apart.empty:
        return f"No reading differs from the default by more than {DELTAS['lmd']:.0%} of what there is to learn."
    named_ = ", ".join(f"{name} ({gain:+.3f})" for name, gain in apart.items())
    return f"Apart from the default by more than {DELTAS['lmd']:.0%} of what there is to learn: {named_}."


def what_conversion_does(results: Results) -> str:
    """In which sounds plain mel makes a smaller error than converted mel, and whose error grows less."""
    means = results.disturbed.groupby(["system", "sound"], sort=False).lmd_face_px.mean().unstack(sort=False)
    converted, plain = means.loc[CFD_], means.loc["cfd/plain-mel"]
    better, worse = (", ".join(means.columns[mask]) or "none" for mask in (plain < converted, plain >= converted))
    steadier = (converted - converted["clean"]).mean() < (plain - plain["clean"]).mean()
    larger = converted["clean"] - plain["clean"] > DELTAS["lmd"] * room(results.scores, LMD, PART).mean()
    reading = " Conversion makes the error steadier by making it larger." if steadier and larger else ""
    return f"Plain mel makes the smaller error in: {better}; converted mel in: {worse}.{reading}"


def real_table(real: pd.DataFrame) -> pd.DataFrame:
    """LMD (px) of every system on recordings, and what it is above the mean face of the training clips, with 95 %
    intervals over clips.

    Every seed splits the same few clips anew, so seeds are no independent replications: a clip's value is its mean over
    the seeds in which it was tested, and the interval is over clips. Clips share speakers, which makes it too short if
    anything.
    """
    plain = real.assign(system=real.system.str.split(": ").str[-1])
    by_clip = plain.groupby(["system", "clip"], sort=False)[LMD].mean().unstack("system", sort=False)
    return pd.DataFrame([{"system": name, "clips": len(by_clip), **_over_clips(by_clip[name], "LMD px"),
                          **_over_clips(by_clip[name] - by_clip["control/mean-motion"], "above mean face px")}
                         for name in by_clip])


def _over_clips(by_clip: pd.Series, name: str) -> dict[str, float]:
    return shown(pd.DataFrame({"seed": by_clip.index, "speaker": 0, "clip": 0, "value": by_clip.to_numpy()}), name)


def closer_than_all(table: pd.DataFrame) -> str:
    """Whether the mean face of the training recordings beats every trained system, of `real_table`."""
    trained = table[~table.system.str.startswith("control/")]
    gap = trained["above mean face px"]
    if (gap > 0).all():
        return (f"The mean face of the training clips is closer to the truth than every system, by {gap.min():.2f} to "
                f"{gap.max():.2f} px: nothing was learned from these recordings.")
    return f"Closer to the truth than the mean face of the training clips: {', '.join(trained.system[gap <= 0])}."


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
