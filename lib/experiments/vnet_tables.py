"""What notebook 03 shows of the results of paper 002: tables and rows for figures; nothing here is judged."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib import metrics, printed
from lib.claims import Claim, by_id
from lib.experiments import vnet, vnet_claims, vnet_measures
from lib.experiments.evidence import rows_of, skill, values
from lib.experiments.vnet_claims import Results, information, match_rates, sync_room
from lib.experiments.vnet_measures import PART
from lib.models import vnet as models
from lib.stats import nested, shown

SYSTEMS = (*vnet.SYSTEMS, *vnet.RIVALS)
RATES = {"critic": "heard = seen by the critic", "judge": "heard = seen by judges", "true": "judges see the true one"}


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
    """Means over unseen clips per system: pixels, skill of lips and upper face, synchrony in shares of the truth's."""
    rows = []
    for system in systems:
        mine = rows_of(results.scores, system, PART)
        row = {"system": system}
        for column in ("face_px", "lips_px", "content_px", "upper_px", "judge", "achieved", "closure", "lip_range"):
            row[column] = mine[column].groupby("seed").mean().mean()
        row |= shown(skill(results.scores, system, "content_px", PART), "lip skill")
        row |= shown(skill(results.scores, system, "upper_px", PART), "upper skill")
        rows.append(row | {"sync": sync_share(results, system).value.mean()})
    return pd.DataFrame(rows)


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
    for name in systems:
        achieved = values(rows_of(results.scores, name, PART).achieved.dropna())
        columns = {"lips in time": sync_share(results, name), "intensity": achieved,
                   "lip skill": skill(results.scores, name, "content_px", PART),
                   "upper skill": skill(results.scores, name, "upper_px", PART)}
        rows.append({"system": name} | {key: value for label, d in columns.items()
                                        for key, value in shown(d, label).items()})
    return pd.DataFrame(rows)


def match_table(results: Results) -> pd.DataFrame:
    """Match rates three ways per system, with Cohen's kappa under the critic."""
    rows = []
    for system, mine in results.matches.groupby("system", sort=False):
        rates = {RATES[by]: match_rates(results, system, by).value.mean() for by in RATES}
        rows.append({"system": system, **rates, "kappa, critic": kappa(mine.heard, mine.seen),
                     "kappa, judges": kappa(mine.heard, mine.judged),
                     "classes seen by critic": mine.seen.nunique()})
    return pd.DataFrame(rows)


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
    return pd.DataFrame([drawn(name, match_rates(results, name, by)) for name in vnet_measures.HEARD])


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
    """What the networks were taught, how they agree, and what comes out: information, intensity."""
    rows = []
    nets = results.networks.groupby("system").mean(numeric_only=True).drop(columns="seed")
    for name in ("vnet", "vnet/permuted-labels", "vnet/random-labels-30", "vnet/random-labels-60",
                 "vnet/random-labels"):
        mine = rows_of(results.scores, name, PART)
        rows.append({"system": name, **nets.loc[name].to_dict(), "information": information(results, name).value.mean(),
                     "intensity": mine.achieved.groupby("seed").mean().mean(),
                     "upper skill": skill(results.scores, name, "upper_px", PART).value.mean()})
    return pd.DataFrame(rows)


def convergence_rows(results: Results, systems: Sequence[str], column: str) -> dict[str, pd.Series]:
    """Mean error on validation windows over steps per system."""
    table = results.convergence
    return {name: table[table.system == name].groupby("step")[column].mean() for name in systems}


def steps_table(results: Results) -> pd.DataFrame:
    """Steps until 110 % of the smaller final error, vnet against other ways to train it; one row per seed."""
    rivals = ("vnet/absolute-target", "vnet/absolute-target-bias", "vnet/no-pretrain")
    return pd.concat([vnet_claims.steps_to_target(results, "vnet", name).assign(against=name)[
        ["against", "seed", "value"]].rename(columns={"value": "log ratio of steps"}) for name in rivals])


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
