"""What notebook 03 shows of the results of paper 002: tables and rows for figures; nothing here is judged."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib import metrics, printed
from lib.claims import DELTAS, SCALES, Claim, Evidence, by_id
from lib.experiments import vnet, vnet_claims, vnet_measures
from lib.experiments.evidence import mean_skill, rows_of, skill, values
from lib.experiments.vnet_claims import MEAN_FACE, PUBLISHED, VNET, WON, Results, information, match_rates, sync_room
from lib.experiments.vnet_measures import PART
from lib.models import vnet as models
from lib.stats import nested, shown

SYSTEMS = (*vnet.SYSTEMS, *vnet.RIVALS)
OFFSETS = {"own": "own neutral face, head still", "mean": "mean face, head still",
           "published": "mean face, head moving"}
RATES = {"critic": "heard = seen by the critic", "judge": "heard = seen by judges", "true": "judges see the true one"}


def measured(results: Results, systems: Sequence[str]) -> list[str]:
    """Those of the named systems that were trained and measured at this scale."""
    there = set(results.scores.system)
    return [name for name in systems if name in there]


def material_table(data) -> pd.DataFrame:
    """Clips, speakers, sentences and minutes of every part of the draw."""
    rows = []
    for part, mine in data.table.groupby("part", sort=False):
        minutes = sum(len(data.posed[i]) for i in mine.index) / data.fps / 60
        rows.append({"part": part, "clips": len(mine), "speakers": mine.actor.nunique(),
                     "sentences": mine.sentence.nunique(), "minutes": minutes})
    return pd.DataFrame(rows)


def size_table(scale: str) -> pd.DataFrame:
    """Parameters of every network at the published sizes and at a scale."""
    here = vnet.SIZES[scale].config
    built: dict[str, Callable] = {
        "Sp2Emo": models.Sp2Emo, "Exp2Emo": models.exp2emo, "discriminator": models.discriminator,
        "generator, two branches (paper)": models.Generator,
        "generator, one branch (released)": lambda c: models.Generator(c, models.REPO)}
    return pd.DataFrame([{"network": name, "published": models.parameter_count(make(models.Config())),
                          "here": models.parameter_count(make(here))} for name, make in built.items()])


def score_table(results: Results, systems: Sequence[str] = (*SYSTEMS, *vnet_measures.CONTROLS)) -> pd.DataFrame:
    """Means over seeds of those over unseen clips, per system and control; the units stand in the heads."""
    columns = {"lips_px": "lips (px)", "content_px": "moving lips (px)", "upper_px": "upper face (px)",
               "closure": "closure error (of true range)", "achieved": "intensity (1 = full)"}
    mine = results.scores[results.scores.part == PART]
    means = mine.groupby(["system", "seed"])[list(columns)].mean().groupby("system").mean()
    return means.loc[measured(results, systems)].rename(columns=columns).reset_index()


def sync_share(results: Results, system: str) -> pd.DataFrame:
    """Sharpness of the lips in time (sync_px) per clip, in shares of the truth's mean of the seed; 0 = no sync."""
    truth = rows_of(results.scores, "control/truth", PART).sync_px.groupby("seed").mean()
    return values(rows_of(results.scores, system, PART).sync_px / truth)


def learned_table(results: Results, systems: Sequence[str] = SYSTEMS) -> pd.DataFrame:
    """What each system has learned: lips in time, lip and upper-face skill, intensity; means with 95 % intervals.

    A matched energy forbids a small distance: an unpredictable part of the right size, but wrong, doubles the error
    that a timid prediction leaves. Lips in time do not suffer from that.
    """
    rows = []
    for name in measured(results, systems):
        achieved = values(rows_of(results.scores, name, PART).achieved.dropna())
        columns = {"lips in time": sync_share(results, name), "intensity": achieved,
                   "lip skill": skill(results.scores, name, "content_px", PART),
                   "upper skill": skill(results.scores, name, "upper_px", PART)}
        rows.append({"system": name} | {key: value for label, d in columns.items()
                                        for key, value in shown(d, label).items()})
    return pd.DataFrame(rows)


def offsets_table(results: Results) -> pd.DataFrame:
    """The same system with offsets taken from another face: skill, lips in time (truth 1), losses at the end."""
    rows = []
    for name in (VNET, MEAN_FACE, PUBLISHED, f"{PUBLISHED},no-discriminator"):
        ended = results.endings[results.endings.system == name]
        skills = {f"skill, {label}": mean_skill(results.scores, name, metric, PART) for label, metric in
                  {"lips": "lips_px", "moving lips": "content_px", "upper": "upper_px", "face": "face_px"}.items()}
        rows.append({"system": name, "offsets from": OFFSETS[vnet.SYSTEMS[name].offsets], **skills,
                     "lips in time": sync_share(results, name).value.mean(),
                     "critic": ended.critic.mean(), "adversarial": ended.adversarial.mean()})
    return pd.DataFrame(rows)


def size_of_offsets(results: Results) -> str:
    """How large the true offsets from each face are and what error the networks end with, in a sentence."""
    ended = results.convergence.sort_values("step").groupby(["system", "seed"]).last().groupby("system").mean()
    parts = [f"{OFFSETS[vnet.SYSTEMS[name].offsets]} {ended.unmoved[name]:.3f}, error at the end "
             f"{ended.mouth[name]:.3f}" for name in (VNET, MEAN_FACE, PUBLISHED)]
    return f"Mean size of true mouth offsets, in standard deviations of a face: {'; '.join(parts)}."


def discriminators_that_won(results: Results) -> str:
    """Which systems end with a discriminator that never errs, in a sentence."""
    ended = results.endings.dropna(subset=["critic"])
    lost = (ended.critic < WON).groupby(ended.system, sort=False).mean()
    names = [f"`{name}` ({share:.0%} of the seeds)" for name, share in lost[lost > 0].items()]
    return (f"The discriminator has won, its loss below {WON:g}, in {', '.join(names)}." if names else
            f"In no system has the discriminator won: its loss stays above {WON:g} everywhere.")


def masks_sentence(results: Results) -> str:
    """What reaches what in the paper's reading, in words."""
    reach = results.reach[results.reach.reading == next(iter(vnet_measures.READINGS))].mean(numeric_only=True)
    return (f"The emotion features move a point off the mouth {reach.emotion_to_upper / reach.emotion_to_mouth:.1f} "
            f"times as much as one of the mouth. The mouth loss leaves {reach.mouthloss_in_emotion_branch:.3g} in the "
            f"emotion branch; the expression loss leaves {reach.emotionloss_in_lingual_branch:.3g} in the lingual one: "
            "0 would mean that their errors are kept apart.")


def match_table(results: Results) -> pd.DataFrame:
    """Match rates three ways per system, with Cohen's kappa under the critic."""
    rows = []
    for system, mine in results.matches.groupby("system", sort=False):
        rates = {RATES[by]: match_rates(results, system, by).value.mean() for by in RATES}
        rows.append({"system": system, **rates, "kappa, critic": kappa(mine.heard, mine.seen),
                     "kappa, judges": kappa(mine.heard, mine.judged),
                     "classes seen by critic": mine.seen.nunique()})
    return pd.DataFrame(rows)


def ceiling_sentence(results: Results) -> str:
    """How often the independent judges see the true emotion in true faces, of a still and of a moving head."""
    seen, moving = (match_rates(results, f"control/{name}", "true").value.mean() for name in ("truth", "posed-truth"))
    return (f"**Ceiling:** the judges see the true emotion in {seen:.0%} of true windows and in "
            f"{vnet_claims.ceilings(results)['clips']:.0%} of whole clips; where the head moves and is registered, in "
            f"{moving:.0%} of the windows. Below {vnet_claims.CEILING:.0%} they decide nothing.")


def fading_sentence(results: Results) -> str:
    """What the first frame of sound gets of the last frame's mouth loss, per kind of generator."""
    shares = results.gradients.groupby("system").first_over_last.mean()
    return ("Gradient of the last frame's mouth loss in the first frame of sound over that in the last: "
            + ", ".join(f"`{name}` {share:.2g}" for name, share in shares.items()) + ".")


def kappa(one: pd.Series, other: pd.Series) -> float:
    """Cohen's kappa: agreement beyond what the two frequencies of classes give; NaN where both name one class alone."""
    expected = float((one.value_counts(normalize=True) * other.value_counts(normalize=True)).sum())
    return (float((one == other).mean()) - expected) / (1 - expected) if expected < 1 else float("nan")


def match_baselines(results: Results) -> dict[str, float]:
    """Chance, and what always naming the likeliest heard emotion would reach."""
    heard = results.matches[results.matches.system == "vnet"].heard
    return {"chance": 1 / results.matches.emotion.nunique(), "majority": heard.value_counts(normalize=True).max()}


def match_rows(results: Results, by: str) -> pd.DataFrame:
    """system, mean, low, high, seeds of a match rate: what figures.dots_with_intervals draws."""
    return pd.DataFrame([drawn(name, match_rates(results, name, by)) for name in results.matches.system.unique()])


def drawn(system: str, table: pd.DataFrame) -> dict:
    """system, mean, low, high and the seeds' means of a table [seed, speaker, clip, value]."""
    found = shown(table)
    low, high = (found["mean"] if np.isnan(found[f"mean {end}"]) else found[f"mean {end}"] for end in ("low", "high"))
    return {"system": system, "mean": found["mean"], "low": low, "high": high,
            "seeds": nested(table).seed_means.tolist()}


def interval_rows(results: Results, metric: str, systems: Sequence[str]) -> pd.DataFrame:
    """The same for a column of the scores."""
    return pd.DataFrame([drawn(name, values(rows_of(results.scores, name, PART)[metric].dropna()))
                         for name in systems])


def energy_table(results: Results, systems: Sequence[str]) -> pd.DataFrame:
    """The paper's ratio in both readings beside real measures of motion: energy and jerk relative to the truth."""
    columns = ["ratio", "ratio_per_coordinate", "energy", "lips_energy", "upper_energy", "head_energy", "jerk"]
    means = results.scores.groupby(["system", "seed"])[columns].mean().groupby("system").mean()
    return means.loc[list(systems)].reset_index()


def toy_ratios(fps: float = 25.0, seconds: float = 4.0) -> pd.DataFrame:
    """The paper's ratio and the jerk of signals whose jitter is known: the ratio does not follow it."""
    times, rng = np.arange(int(fps * seconds)) / fps, np.random.default_rng(0)
    waves = {"constant": np.ones_like(times), "slow sway, 0.5 Hz": np.sin(np.pi * times),
             "speech, 3 Hz": np.sin(6 * np.pi * times), "constant + jitter": 1 + 0.1 * rng.normal(size=len(times)),
             "slow sway + jitter": np.sin(np.pi * times) + 0.1 * rng.normal(size=len(times))}
    rows = [{"signal": name, "ratio": metrics.cancellation_ratio(wave[:, None]), "jerk": metrics.jerk(wave[:, None])}
            for name, wave in waves.items()]
    return pd.DataFrame(rows)


def corruption_table(results: Results) -> pd.DataFrame:
    """What the networks were taught (`random`: per cent of labels drawn at random), how they agree, what comes out."""
    rows = []
    nets = results.networks.groupby("system").mean(numeric_only=True).drop(columns="seed")
    for name in measured(results, ("vnet", "vnet/permuted-labels", "vnet/random-labels-30", "vnet/random-labels-60",
                                   "vnet/random-labels")):
        mine, labels = rows_of(results.scores, name, PART), vnet.SYSTEMS[name].labels
        rows.append({"system": name, "random": 0.0 if isinstance(labels, str) else 100 * labels,
                     **nets.loc[name].to_dict(), "information": information(results, name).value.mean(),
                     "intensity": mine.achieved.groupby("seed").mean().mean(),
                     "upper skill": skill(results.scores, name, "upper_px", PART).value.mean()})
    return pd.DataFrame(rows)


def convergence_rows(results: Results, systems: Sequence[str], column: str) -> dict[str, pd.Series]:
    """Mean error on validation windows over steps per system."""
    table = results.convergence
    return {name: table[table.system == name].groupby("step")[column].mean() for name in measured(results, systems)}


def steps_table(results: Results) -> pd.DataFrame:
    """Steps until 110 % of the smaller final error, per pair that a claim compares; one row per pair and seed."""
    pairs = {f"{MEAN_FACE} against positions": (MEAN_FACE, "vnet/absolute-target", False),
             f"{MEAN_FACE} against positions from the mean face": (MEAN_FACE, "vnet/absolute-target-bias", False),
             "vnet against joint training": (VNET, "vnet/no-pretrain", True),
             "vnet against joint training, generator alone": (VNET, "vnet/no-pretrain", False)}
    return pd.concat([vnet_claims.steps_to_target(results, a, b, before=before).assign(pair=name)[
        ["pair", "seed", "value"]].rename(columns={"value": "log ratio of steps"})
        for name, (a, b, before) in pairs.items()])


def printed_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Printed shares of votes for three numbers of effective votes: distance from a third, and its verdict."""
    rows = []
    for number, column, side in ((4, "most", "a"), (4, "least", "b"), (5, "best_sync", "a")):
        found = by_id(claims, f"vnet-{number:02d}").entry["paper_values"]
        share, parity = found[side][column], found["parity"]
        for votes, decision in printed.reanalyse_share(share, "a>b", vnet_claims.VOTES, parity).items():
            rows.append((f"vnet-{number:02d}", column, share, votes, printed.share_z(share, votes, parity),
                         decision.verdict))
    return pd.DataFrame(rows, columns=["claim", "column", "printed %", "votes", "z from a third", "verdict"])


def gap_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """vnet-06: the two printed shares of "least synchronised" compared, and whether they can be shares of the votes."""
    found = by_id(claims, "vnet-06").entry["paper_values"]
    shares = [found[side]["least_sync"] for side in ("a", "b")]
    rows = []
    for votes in vnet_claims.VOTES:
        gap = vnet_claims.gap_of_shares(shares[0] / 100, shares[1] / 100, votes)
        rows.append({"votes": votes, "difference": gap.mean, "low": gap.low, "high": gap.high, "p": gap.p,
                     **{f"{s} % attainable": bool(printed.counts_for_share(s, votes, 1)) for s in shares}})
    return pd.DataFrame(rows)


def room_table(results: Results) -> pd.DataFrame:
    """Proxy-Sync on truth, shuffled truth and the still face, per seed, and the room for differences."""
    means = results.scores.groupby(["seed", "system"]).proxy_confidence.mean().unstack()
    wanted = ["control/truth", "control/oracle", "control/shuffled-truth", "control/static-template"]
    return means[wanted].assign(room=sync_room(results)).reset_index()


def clip_table(results: Results, seed: int, clip: str, systems: Sequence[str]) -> pd.DataFrame:
    """Scores of one clip in words that can be checked by eye: what is too small, too large or absent in a picture."""
    scores = results.scores[(results.scores.seed == seed) & (results.scores["clip"] == clip)].set_index("system")
    mine = scores.loc[measured(results, systems)].reset_index()
    return pd.DataFrame({"system": mine.system, "range of the lips (truth 1)": np.exp(mine.lip_range),
                         "motion of the upper face (truth 1)": mine.upper_energy, "jerk (truth 1)": mine.jerk,
                         "intensity (1 = full)": mine.achieved, "upper face (px)": mine.upper_px})


# Claims beside what is measured for them ------------------------------------------------------------------------------


def claimed(claims: Sequence[Claim], numbers: Sequence[int]) -> str:
    """The claims of those numbers as a quotation: where the paper makes them, and what it says in our words."""
    chosen = [by_id(claims, f"vnet-{number:02d}") for number in numbers]
    return "\n>\n".join(f"> **{claim.id}** ({claim.where}): {claim.statement}" for claim in chosen)


def advantage_table(claims: Sequence[Claim], found: dict[str, list[Evidence]], numbers: Sequence[int]) -> pd.DataFrame:
    """What is compared for the claims of those numbers: a and b, advantage in the claimed direction, margin, scale.

    The ends are those of the 95 % interval. A measure without a table, as one that is missing, has no numbers.
    """
    rows = []
    for claim in (by_id(claims, f"vnet-{number:02d}") for number in numbers):
        entry = claim.entry["conditions"]
        for evidence in (e for e in found[claim.id] if e.role == "claim"):
            key = evidence.delta_key or claim.delta_key[evidence.column]
            ours = {} if evidence.d is None else shown(evidence.d, "advantage")
            scale = vnet_claims.OWN_SCALES.get((claim.id, evidence.column), SCALES.get(key, "absolute"))
            a, b = vnet_claims.OWN_SIDES.get((claim.id, evidence.column), (entry["a"], entry["b"]))
            rows.append({"claim": claim.id, "measure": evidence.column, "a": a, "b": b,
                         "advantage": ours.get("advantage"), "low": ours.get("advantage low"),
                         "high": ours.get("advantage high"), "margin": DELTAS[key], "scale": scale,
                         "note": evidence.note})
    return pd.DataFrame(rows)
