"""From the tables of vnet_measures to the evidence of every claim of paper 002 (claims.yaml, vnet-01 to -19).

Scales of d (protocol, section 5). Skill: errors per seed in units of the room between static template and oracle floor.
Proxy-Sync: confidence in shares of truth minus shuffled truth. Ratios to the truth (energy, jerk, range) are compared
as logarithms, deviations as their absolute values. Test clips are those of unseen speakers with unseen sentences.

Gates. What independent judges say counts only where they see the true emotion in nine of ten true faces; what a
distance says, only where the system beats a still face; what proxy-Sync says, only where both systems' lips fit their
sound better than lips or sound of another clip do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib import printed, stats
from lib.claims import DELTAS, Check, Claim, Evidence, by_id, equivalent
from lib.experiments import vnet, vnet_measures
from lib.experiments.evidence import advantage, interval, is_above, negative, rows_of, skill, skill_interval, values
from lib.experiments.vnet_measures import PART, PUBLISHED
from lib.stats import Interval

VNET, PLAIN, MEAN_FACE = "vnet", "vnet/no-emotion", "vnet/mean-face"
# What is compared, and on which scale, where that is not what the entry of a claim says
OWN_SIDES = {("vnet-15", "head_energy_deviation"): (PUBLISHED, f"{PUBLISHED},no-discriminator"),
             ("vnet-16", "upper_energy"): (VNET, "the livelier rival"),
             ("vnet-16", "upper_skill"): (VNET, "the better rival")}
OWN_SCALES = {("vnet-14", "closure"): "share of the true range of the opening"}
CEILING = 0.9                    # least accuracy of judges on truth (protocol, section 3)
WON = 0.01                       # loss of a discriminator below which it tells real from made without fail
NOTHING = "nothing was to be learned: the target error is reached before the first step"
COLLAPSED = 0.2                  # of the true motion energy (entry vnet-09)
VOTES = (774, 387, 43)           # 43 viewers x 18 clips; half; one effective vote per viewer
INDEX = ["seed", "speaker", "clip"]
LEAST = 0.02                     # least ratio whose logarithm is taken: a fiftieth of the true motion


@dataclass(frozen=True)
class Results:
    """All tables of all seeds; what notebook 03 shows and the claims are judged on."""

    scale: str
    seeds: tuple[int, ...]
    scores: pd.DataFrame
    matches: pd.DataFrame
    networks: pd.DataFrame
    switches: pd.DataFrame
    blends: pd.DataFrame
    reach: pd.DataFrame
    gradients: pd.DataFrame
    convergence: pd.DataFrame
    endings: pd.DataFrame
    calibrated: bool = True      # proxy-Sync passed its calibration


def gather(scale: str, seeds: Sequence[int]) -> Results:
    """Train and measure whatever is not in the cache yet, seed by seed."""
    tables = [_measured(scale, seed) for seed in seeds]
    joined = {name: pd.concat([table[name] for table in tables], ignore_index=True) for name in tables[0]}
    return Results(scale, tuple(seeds), **joined, calibrated=proxy_calibrated(joined["scores"]))


def _measured(scale: str, seed: int) -> dict[str, pd.DataFrame]:
    names = (*vnet_measures.CONTROLS, *vnet.systems_at(scale), *vnet.RIVALS)
    return {
        "convergence": vnet_measures.convergence(scale, seed), "scores": vnet_measures.scores(scale, seed, names),
        "matches": vnet_measures.matches(scale, seed), "networks": vnet_measures.networks(scale, seed),
        "switches": vnet_measures.switches(scale, seed), "blends": vnet_measures.blends(scale, seed),
        "reach": vnet_measures.gradient_reach(scale, seed).assign(seed=seed),
        "gradients": vnet_measures.time_gradients(scale, seed), "endings": vnet_measures.endings(scale, seed),
    }


def proxy_calibrated(scores: pd.DataFrame) -> bool:
    """Whether proxy-Sync tells truth from the lips of another clip in every seed: confidence at least double."""
    means = scores.groupby(["seed", "system"]).proxy_confidence.mean().unstack()
    return bool((means["control/truth"] > 2 * means["control/shuffled-truth"]).all())


# Differences ----------------------------------------------------------------------------------------------------------


def difference(results: Results, a: str, b: str, metric: str, transform=lambda x: x) -> pd.DataFrame:
    """Per clip, transform(metric of a) - transform(metric of b); clips where either is undefined are left out."""
    one, two = (transform(rows_of(results.scores, name, PART)[metric]) for name in (a, b))
    return values((one - two).dropna())


def logarithm(ratio: pd.Series) -> pd.Series:
    """Natural logarithm of ratios to the truth, at least that of `LEAST`."""
    return np.log(ratio.clip(lower=LEAST))


def deviation(ratio: pd.Series) -> pd.Series:
    """|log| of ratios to the truth: 0 where as much as the truth."""
    return logarithm(ratio).abs()


def sync_gain(results: Results, a: str, b: str) -> pd.DataFrame:
    """Paired advantage of a over b in proxy confidence, in shares of truth minus shuffled truth of the seed."""
    return values(rows_of(results.scores, a, PART).proxy_confidence.sub(
        rows_of(results.scores, b, PART).proxy_confidence) / sync_room(results))


def sync_room(results: Results) -> pd.Series:
    """Proxy confidence of the truth minus that of the lips of another clip, per seed."""
    means = results.scores.groupby(["system", "seed"]).proxy_confidence.mean()
    return means["control/truth"] - means["control/shuffled-truth"]


def _position(results: Results, column: str, a: str, b: str, metric: str, **options) -> Evidence:
    """Evidence from a distance in skill; undecidable where a is no better than the static template."""
    return Evidence(column, advantage(results.scores, a, b, metric, PART),
                    skill_interval=skill_interval(results.scores, a, metric, PART), **options)


def match_rates(results: Results, system: str, by: str) -> pd.DataFrame:
    """Per clip, share of windows: `heard` is `seen` (critic), `heard` is `judged` (judge), `judged` is true (true)."""
    mine = results.matches[results.matches.system == system]
    hits = {"critic": mine.heard == mine.seen, "judge": mine.heard == mine.judged, "true": mine.judged == mine.emotion}
    return mine.assign(value=hits[by].astype(float)).groupby(INDEX).value.mean().reset_index()


def match_gain(results: Results, a: str, b: str, by: str) -> pd.DataFrame:
    """Paired difference per clip of a match rate."""
    one, two = (match_rates(results, name, by).set_index(INDEX).value for name in (a, b))
    return values(one - two)


def ceilings(results: Results) -> dict[str, float]:
    """Share of true faces in which the independent judges see the true emotion: of windows, and of whole clips."""
    return {"windows": float(match_rates(results, "control/truth", "true").value.mean()),
            "clips": float(rows_of(results.scores, "control/truth", PART).hit.mean())}


def judged_well(results: Results, what: str) -> bool:
    """Whether the judges reach the ceiling that the protocol asks for on true "windows" or "clips"."""
    return ceilings(results)[what] >= CEILING


def in_time(results: Results, *systems: str) -> tuple[float, float] | None:
    """The weakest of the systems' intervals of synchrony above chance; None below two seeds.

    Chance is for `vnet` what it makes of another clip's sound, for others the true lips of another clip.
    """
    found = [interval(sync_gain(results, name, f"control/shuffled-{'audio' if name == VNET else 'truth'}"))
             for name in systems]
    return None if None in found else min(found)


# Sec. 3.3: synchrony and viewers --------------------------------------------------------------------------------------


def less_in_sync(results: Results, claim: Claim, rival: str) -> list[Evidence]:
    """vnet-01 and -02: proxy confidence; the printed gap is taken as a share of the rival's own confidence here."""
    better = rows_of(results.scores, rival, PART).proxy_confidence.groupby("seed").mean() / sync_room(results)
    lips = is_above(f"{rival} also has the smaller lip error",
                    negative(advantage(results.scores, VNET, rival, "content_px", PART)))
    return [Evidence("sync", sync_gain(results, rival, VNET), calibrated=results.calibrated, checks=(lips,),
                     skill_interval=in_time(results, VNET, rival),
                     printed=max(0.0, claim.printed_margin("sync") * float(better.mean())),
                     note="proxy-Sync on landmarks; its values are not comparable with SyncNet's")]


def trade_off(results: Results) -> list[Evidence]:
    """vnet-03: synchrony, lip content and intensity with and without emotion networks."""
    truth = rows_of(results.scores, "control/truth", PART)
    loud, calm = (truth[truth.emotion.eq("neutral") == neutral].proxy_confidence.groupby("seed").mean()
                  for neutral in (False, True))
    lost = (calm - loud) / sync_room(results)
    blames = Check("true emotional lips do not lose score themselves", bool(lost.mean() < DELTAS["sync_margin"]),
                   detail=f"loss {lost.mean():.3f} of truth minus shuffled truth")
    return [
        Evidence("sync", sync_gain(results, PLAIN, VNET), calibrated=results.calibrated, checks=(blames,)),
        Evidence("lip_content", advantage(results.scores, PLAIN, VNET, "content_px", PART),
                 note="lips, each around its own mean over the clip: a lasting expression counts for nothing"),
        Evidence("intensity", difference(results, VNET, PLAIN, "achieved"),
                 note="achieved intensity of the upper face, with minus without emotion networks"),
        *(Evidence("sync, released reading", sync_gain(results, name, "vnet@code"), role="extra",
                   kind="diff", direction="a>b", delta_key="sync_margin", calibrated=results.calibrated)
          for name in released(results)),
    ]


def released(results: Results) -> list[str]:
    """The released reading without emotion networks, where it was trained."""
    return [name for name in ("vnet@code/no-emotion",) if name in set(results.scores.system)]


def ranked(results: Results, metric: str, system: str, place: str, higher: bool) -> pd.DataFrame:
    """Per clip, whether `system` is "first" or "last" of the three compared, minus the chance of a third.

    Clips for which the metric says nothing (achieved intensity of neutral ones) do not count.
    """
    table = pd.concat({name: rows_of(results.scores, name, PART)[metric] for name in (VNET, *vnet.RIVALS)},
                      axis=1).dropna()
    best, worst = (table.idxmax(axis=1), table.idxmin(axis=1))
    chosen = best if (place == "first") == higher else worst
    return values((chosen == system).astype(float) - 1 / 3)


def _proxy(column: str, d: pd.DataFrame, note: str) -> Evidence:
    return Evidence(column, d, kind="diff", role="proxy", direction="a>b", delta_key="vote_share",
                    note=f"proxy: {note}")


def expressive(results: Results, claim: Claim) -> list[Evidence]:
    """vnet-04: printed shares as 774 votes; ranks of upper-face error and achieved intensity."""
    shares, parity = claim.entry["paper_values"], claim.entry["paper_values"]["parity"]
    said = [Evidence(name, role="printed", kind="diff", direction="a>b",
                     interval=printed.share_advantage(shares[side][name], VOTES[0], parity),
                     note=f"printed share read as {VOTES[0]} independent votes")
            for name, side in (("most", "a"), ("least", "b"))]
    return [*said,
            _proxy("most", ranked(results, "achieved", VNET, "first", True), "V-Net has most achieved intensity"),
            _proxy("least", ranked(results, "achieved", "pcavs", "last", True), "PC-AVS has least achieved intensity"),
            _proxy("most, upper face", ranked(results, "upper_px", VNET, "first", False),
                   "V-Net has the smallest upper-face error")]


def best_synchronised(results: Results, claim: Claim) -> list[Evidence]:
    """vnet-05: printed share as 774 votes; ranks of proxy confidence and lip content."""
    values_ = claim.entry["paper_values"]
    return [Evidence("best_sync", role="printed", kind="diff",
                     interval=printed.share_advantage(values_["a"]["best_sync"], VOTES[0], values_["parity"]),
                     note=f"printed share read as {VOTES[0]} independent votes"),
            _proxy("best_sync", ranked(results, "proxy_confidence", "pcavs", "first", True),
                   "PC-AVS has the highest proxy confidence"),
            _proxy("best_sync, lips", ranked(results, "content_px", "pcavs", "first", False),
                   "PC-AVS has the smallest lip error")]


def on_a_par(results: Results, claim: Claim) -> list[Evidence]:
    """vnet-06: two printed shares compared, for three numbers of effective votes; proxy confidence beside."""
    found = claim.entry["paper_values"]
    a, b = found["a"]["least_sync"] / 100, found["b"]["least_sync"] / 100
    read = [Evidence("least_sync" if votes == VOTES[0] else f"least_sync, {votes} votes", role="printed", kind="approx",
                     direction="approx", delta_key="vote_share", interval=gap_of_shares(a, b, votes),
                     note=f"printed shares of one choice, read as {votes} independent votes") for votes in VOTES]
    return [*read, Evidence("sync", sync_gain(results, VNET, "makeittalk"), kind="approx", role="proxy",
                            calibrated=results.calibrated, skill_interval=in_time(results, VNET, "makeittalk"),
                            note="proxy: equivalence of proxy confidence")]


def gap_of_shares(a: float, b: float, votes: int) -> Interval:
    """Interval of a - b, two shares of the same `votes` (one vote goes to one system, so they exclude each other)."""
    error = np.sqrt((a + b - (a - b) ** 2) / votes)
    ends = [float(a - b + z * error) for z in norm.ppf([0.025, 0.975, 0.05, 0.95])]
    return Interval(a - b, *ends, float(2 * norm.sf(abs(a - b) / error)), votes, True, "multinomial, normal")


# Sec. 3.4: ablations --------------------------------------------------------------------------------------------------


def matching(results: Results) -> list[Evidence]:
    """vnet-07: gain of the emotion networks in the match of heard and seen emotion, by an independent judge.

    The size to be reached is the gain under the paper's own critic, measured here: less than half of it is weaker.
    """
    critic = match_gain(results, VNET, PLAIN, "critic")
    own, shuffled = (match_rates(results, name, "judge") for name in (VNET, "control/shuffled-audio"))
    chance, seen = 1 / results.matches.emotion.nunique(), judged_well(results, "windows")
    checks = (is_above("above chance", own.assign(value=own.value - chance)),
              is_above("above the sound of another clip", match_gain(results, VNET, "control/shuffled-audio", "judge")))
    note = f"chance {chance:.3f}, shuffled sound {shuffled.value.mean():.3f}"
    extra = dict(role="extra", kind="diff", direction="a>b", delta_key="match_rate")
    return [Evidence("match", match_gain(results, VNET, PLAIN, "judge"), printed=max(0.0, float(critic.value.mean())),
                     calibrated=seen, checks=checks, note=f"heard by Sp2Emo, seen by independent judges; {note}"),
            Evidence("match, critic", critic, note="seen by Exp2Emo, the training loss", **extra),
            Evidence("match, true label", match_gain(results, VNET, PLAIN, "true"), calibrated=seen,
                     note="independent judges see the true emotion", **extra),
            *(Evidence("match, released reading", match_gain(results, "vnet@code", name, "judge"), calibrated=seen,
                       note="single branch, independent judges", **extra) for name in released(results))]


def energy_loss(results: Results, claim: Claim) -> list[Evidence]:
    """vnet-08: the printed ratio, and deviations of motion energy and jerk from the truth."""
    rival = "vnet/no-energy"
    size = claim.entry["paper_values"]["a"]["ratio"] - claim.entry["paper_values"]["b"]["ratio"]
    columns = [Evidence("ratio", difference(results, VNET, rival, "ratio"), printed=size,
                        note="|mean| / mean | | over all entries; any oscillation lowers it, jitter or not")]
    for column, metric in (("energy_deviation", "energy"), ("jerk_deviation", "jerk")):
        d = difference(results, rival, VNET, metric, deviation)
        columns.append(Evidence(column, d, checks=(_steadier(results, metric, rival),)))
    return columns


def _steadier(results: Results, metric: str, rival: str) -> Check:
    spreads = [float(logarithm(rows_of(results.scores, name, PART)[metric]).groupby("seed").mean().std())
               for name in (VNET, rival)]
    known = len(results.seeds) > 2
    return Check(f"{metric} spreads less over seeds with the loss", bool(spreads[0] < spreads[1]) if known else None,
                 detail=f"{spreads[0]:.3f} against {spreads[1]:.3f}")


def steps_to_target(results: Results, a: str, b: str, *, before: bool = False) -> pd.DataFrame:
    """log(steps of b / steps of a) per seed until 110 % of the smaller final mouth error of the two.

    The error is that of the offsets that the mouth loss looks at, on validation windows. A run that never gets there
    counts with all its steps, the kindest reading for it; `before`: steps of pre-training count too. NaN where a run
    is there before its first step: nothing was to be learned.
    """
    rows = []
    for seed in results.seeds:
        mine = results.convergence[results.convergence.seed == seed].sort_values("step")
        curves = [mine[mine.system == name] for name in (a, b)]
        target = 1.1 * min(curve.heeded.iloc[-1] for curve in curves)
        first = [_first_below(curve, target) for curve in curves]
        taken = [steps + before * curve.before.iloc[0] for steps, curve in zip(first, curves, strict=True)]
        rows.append({"seed": seed, "speaker": 0, "clip": 0,
                     "value": float(np.log(taken[1] / taken[0])) if min(first) > 0 else np.nan})
    return pd.DataFrame(rows)


def _first_below(curve: pd.DataFrame, target: float) -> float:
    """Step at which the error reaches the target, on straight lines between watched steps; the last one if never."""
    below = np.flatnonzero(curve.heeded <= target)
    if not len(below) or below[0] == 0:
        return float(curve.step.iloc[0 if len(below) else -1])
    (step, error), (later, less) = curve[["step", "heeded"]].iloc[[below[0] - 1, below[0]]].to_numpy()
    return float(step + (later - step) * (error - target) / (error - less))


def learned_share(results: Results, system: str) -> pd.DataFrame:
    """Per seed, which share of the watched mouth error of a still face a system has unlearned in the end."""
    mine = results.convergence[results.convergence.system == system].sort_values("step").groupby("seed").last()
    share = (1 - mine.heeded / mine.unmoved).rename("value").reset_index()
    return share[["seed", "value"]].assign(speaker=0, clip=0)


def _steps(results: Results, column: str, a: str, b: str, *, before: bool = False, **options) -> Evidence:
    """Evidence from steps to the target; undecidable where nothing was to be learned or `a` did not learn."""
    d = steps_to_target(results, a, b, before=before)
    if d.value.isna().any():
        return Evidence(column, missing=NOTHING, **options)
    return Evidence(column, d, skill_interval=interval(learned_share(results, a)), **options)


def pre_training(results: Results) -> list[Evidence]:
    """vnet-09: motion energy of lips and upper face, and steps to the target error, against joint training."""
    rival = "vnet/no-pretrain"
    extra = dict(role="extra", kind="diff", direction="a<b", delta_key="epochs")
    return [
        Evidence("lip_energy", difference(results, VNET, rival, "lips_energy", logarithm),
                 checks=(_collapses(results, "lips_energy"),)),
        Evidence("upper_energy", difference(results, VNET, rival, "upper_energy", logarithm),
                 checks=(_collapses(results, "upper_energy"),)),
        _steps(results, "steps", VNET, rival, before=True, note="steps of pre-training and of the generator"),
        _steps(results, "steps, generator alone", VNET, rival, note="without those of pre-training", **extra),
    ]


def _collapses(results: Results, metric: str) -> Check:
    """Joint training ends below a fifth of the true energy in most seeds and the pre-trained system in none."""
    means = results.scores[results.scores.part == PART].groupby(["system", "seed"])[metric].mean()
    joint, own = means["vnet/no-pretrain"] < COLLAPSED, means[VNET] < COLLAPSED
    return Check(f"{metric}: joint training collapses in most seeds, pre-trained in none",
                 bool(joint.mean() > 0.5 and not own.any()),
                 detail=f"joint {joint.sum()} of {len(joint)}, pre-trained {own.sum()} of {len(own)}")


def displacement(results: Results) -> list[Evidence]:
    """vnet-10: steps to the target error against positions, naive and with the mean face as output bias."""
    rival = "vnet/absolute-target-bias"
    biased = steps_to_target(results, MEAN_FACE, rival)
    checks = (is_above("also against positions that start at the mean face",
                       biased[:0] if biased.value.isna().any() else biased),
              Check("at the best learning rate of each", None, detail="one rate for all"))
    extra = dict(role="extra", kind="diff", direction="a<b", delta_key="epochs")
    return [_steps(results, "steps", MEAN_FACE, "vnet/absolute-target", checks=checks),
            _steps(results, "steps, mean face as bias", MEAN_FACE, rival, **extra)]


def masks(results: Results) -> list[Evidence]:
    """vnet-11: what gradients pass the masks, exactly; the paper's reading decides, others stand beside it.

    The claim has two halves per column: the speech branch moves the mouth alone and the emotion branch mainly the rest;
    the mouth loss stays out of the emotion branch and the expression loss out of the lingual one.
    """
    reach = results.reach.groupby("reading").mean(numeric_only=True)

    def zero(reading: str, column: str) -> Check:
        return Check(f"{reading}: {column} is exactly 0", bool(reach.loc[reading, column] == 0),
                     detail=f"{reach.loc[reading, column]:.3g}")

    def mainly(reading: str) -> Check:
        rest, mouth = reach.loc[reading, ["emotion_to_upper", "emotion_to_mouth"]]
        return Check(f"{reading}: the emotion branch moves a point of the rest more than one of the mouth",
                     bool(rest > mouth), detail=f"{rest:.3g} against {mouth:.3g}")

    paper, *others = (reading for reading in vnet_measures.READINGS if reading in reach.index)
    halves = {"speech_to_upper": lambda reading: (zero(reading, "speech_to_upper"), mainly(reading)),
              "mouthloss_in_emotion_branch": lambda reading: (zero(reading, "mouthloss_in_emotion_branch"),
                                                              zero(reading, "emotionloss_in_lingual_branch"))}
    beside = [Evidence(f"{column}, {reading}", kind="checks", role="extra", direction="holds", delta_key="count",
                       checks=checks(reading)) for reading in others for column, checks in halves.items()]
    return [*(Evidence(column, kind="checks", checks=checks(paper)) for column, checks in halves.items()), *beside]


def information(results: Results, system: str) -> pd.DataFrame:
    """Per seed, mutual information of true and judged emotion, corrected for chance, in shares of its largest value."""
    from sklearn.metrics import adjusted_mutual_info_score

    mine = results.scores[(results.scores.system == system) & (results.scores.part == PART)]
    rows = [{"seed": seed, "speaker": 0, "clip": 0, "value": float(adjusted_mutual_info_score(x.emotion, x.expressed))}
            for seed, x in mine.groupby("seed")]
    return pd.DataFrame(rows)


def corrupted(results: Results) -> list[Evidence]:
    """vnet-12: networks taught permuted or random labels against true ones, at the agreement they reach."""
    def gap(system: str) -> pd.DataFrame:
        one, two = information(results, system), information(results, VNET)
        return one.assign(value=one.value - two.value)

    def upper(system: str) -> pd.DataFrame:
        return advantage(results.scores, system, VNET, "upper_px", PART)

    permuted, mild, random = "vnet/permuted-labels", "vnet/random-labels-30", "vnet/random-labels"
    equal = equally_agreed(results, (VNET, permuted, mild))
    own = information(results, VNET)
    told = dict(skill_interval=interval(own), calibrated=judged_well(results, "clips"))
    learned = dict(skill_interval=skill_interval(results.scores, VNET, "upper_px", PART))
    extra = dict(role="extra", kind="approx", direction="approx")
    expresses = is_above("the true-label system expresses the emotion at all", own)
    return [
        Evidence("mutual_information", gap(permuted), checks=(equal, expresses, no_loss(gap(mild), "leakage")), **told),
        Evidence("upper_skill", upper(permuted), checks=(equal, no_loss(upper(mild), "skill")), **learned),
        *(Evidence(f"mutual_information, {name.split('/')[1]}", gap(name), delta_key="leakage", **told, **extra)
          for name in (mild, "vnet/random-labels-60", random) if name in set(results.scores.system)),
        *(Evidence(f"upper_skill, {name.split('/')[1]}", upper(name), delta_key="skill", **learned, **extra)
          for name in (mild, random)),
    ]


def no_loss(d: pd.DataFrame, delta_key: str) -> Check:
    """Whether 30 % of random labels make no difference either: the 90 % interval of d inside delta."""
    name, data = "equivalent at 30 % random labels too", stats.nested(d)
    if len(data.seeds) < 2:
        return Check(name, None, detail="one seed has no interval")
    found = stats.interval(data, planned=20, rng=np.random.default_rng(0))
    return Check(name, equivalent(found, DELTAS[delta_key]), detail=f"90 % [{found.low90:.3f}, {found.high90:.3f}]")


def equally_agreed(results: Results, names: Sequence[str]) -> Check:
    """Whether the networks agree equally well whatever they were taught: mean cosine within 0.05."""
    agreed = results.networks.groupby("system").cosine.mean()[list(names)]
    return Check("the two networks agree equally", bool(np.ptp(agreed) < 0.05),
                 detail=", ".join(f"{name} {value:.2f}" for name, value in agreed.items()))


def semi_supervised(results: Results) -> list[Evidence]:
    """vnet-13: on less expressive unseen speakers, against the labelled half alone; ceiling: all labels (vnet)."""
    from lib.puppet.actors import actor

    speakers = results.scores[results.scores.part == PART].speaker.unique()
    middle = np.median([actor(int(s)).expressivity for s in speakers])
    reserved = [s for s in speakers if actor(int(s)).expressivity <= middle]
    there = Results(**{**vars(results), "scores": results.scores[results.scores.speaker.isin(reserved)]})
    a, b = "vnet/semi-supervised", "vnet/labelled-only"
    gain, gap = (advantage(there.scores, x, b, "upper_px", PART).value.mean() for x in (a, VNET))
    half = Check("closes half of the gap to all labels", bool(gain >= gap / 2) if gap > 0 else None,
                 detail=f"gain {gain:.3f}, gap {gap:.3f}")
    return [Evidence("match", difference(there, a, b, "hit"), calibrated=judged_well(results, "clips"),
                     note="independent judges see the true emotion"),
            _position(there, "upper_skill", a, b, "upper_px", checks=(half,))]


def mouth_loss(results: Results) -> list[Evidence]:
    """vnet-14: error at known closures in shares of the true range of the opening, and the range itself."""
    rival, static = "vnet/l2-mouth", "control/static-template"
    closer = is_above("closer to the truth at p b m than a still face",
                      difference(results, static, VNET, "closure"))
    return [Evidence("closure", difference(results, rival, VNET, "closure"), checks=(closer,),
                     note=f"scale: {OWN_SCALES['vnet-14', 'closure']} (p95 - p5), not skill; no post-processing"),
            Evidence("lip_range", difference(results, VNET, rival, "lip_range"))]


def discriminator(results: Results) -> list[Evidence]:
    """vnet-15: blink rate and head motion, deviation from the truth without minus with the discriminator."""
    rival = "vnet/no-discriminator"
    moving, bare = OWN_SIDES["vnet-15", "head_energy_deviation"]

    def blink_error(name: str) -> pd.Series:
        mine = rows_of(results.scores, name, PART).groupby(["seed", "speaker"])[["blinks", "blinks_truth"]].mean()
        return np.log((mine.blinks + 1) / (mine.blinks_truth + 1)).abs()

    d = (blink_error(rival) - blink_error(VNET)).rename("value").reset_index().assign(clip=0)
    mine = rows_of(results.scores, VNET, PART)
    some = Check("some blinks are made", bool(mine.blinks.mean() > 0.1 * mine.blinks_truth.mean()),
                 detail=f"{mine.blinks.mean():.1f} per minute, true {mine.blinks_truth.mean():.1f}")
    return [Evidence("blink_error", d, checks=(some, _teaches(results, VNET)),
                     note="per speaker; rates plus one per minute"),
            Evidence("head_energy_deviation", difference(results, bare, moving, "head_energy", deviation),
                     checks=(_teaches(results, moving),),
                     note="offsets as published: in others the head stands still"),
            Evidence("eyes_energy_deviation", difference(results, rival, VNET, "eyes_energy", deviation), role="extra",
                     kind="diff", direction="a<b", delta_key="energy_ratio", note="eyelids and gaze beside blinks")]


def _teaches(results: Results, system: str) -> Check:
    """Whether a discriminator still errs at the end in every seed: one that never does leaves no gradient."""
    left = results.endings[results.endings.system == system].critic
    return Check("the discriminator leaves a gradient", bool((left > WON).all()),
                 detail=f"its loss at the end {left.mean():.3g}")


def alive(results: Results) -> list[Evidence]:
    """vnet-16: motion energy and error of the upper face, against the livelier and the better of the two rivals."""
    lively = max(vnet.RIVALS, key=lambda name: rows_of(results.scores, name, PART).upper_energy.mean())
    better = min(vnet.RIVALS, key=lambda name: rows_of(results.scores, name, PART).upper_px.mean())
    expression = (is_above("with more skill", advantage(results.scores, VNET, better, "upper_px", PART)),
                  is_above("better than a still face", skill(results.scores, VNET, "upper_px", PART)))
    return [Evidence("upper_energy", difference(results, VNET, lively, "upper_energy", logarithm), checks=expression,
                     note=f"against {lively}, the livelier rival"),
            _position(results, "upper_skill", VNET, better, "upper_px", note=f"against {better}, the better rival")]


def course(results: Results) -> list[Evidence]:
    """vnet-17: correlation of the expressed with the true course of emotion, minus that with the sound of others."""
    table = results.switches
    d = table[INDEX].assign(value=table.tracking - table.tracking_shuffled)
    strong = is_above("correlation above 0.5", table[INDEX].assign(value=table.tracking), 0.5)
    return [Evidence("tracking", d, checks=(strong,), calibrated=bool(table.tracking_truth.mean() >= CEILING),
                     note=f"tracking {table.tracking.mean():.2f}, truth {table.tracking_truth.mean():.2f}")]


def recurrent(results: Results) -> list[Evidence]:
    """vnet-18: against a recurrent generator with as many parameters; do its gradients fade towards the first frame?

    Whether the convolutional one sees that far back at all stands beside it: a limited reach fades most of all.
    """
    fading = results.gradients.groupby("system").first_over_last.mean()
    explains = Check("recurrent gradients fade", bool(fading["vnet/rnn"] < 0.5),
                     detail=f"{fading['vnet/rnn']:.2g} of the last frame's reaches the first")
    tuned = Check("at the best learning rate of each", None, detail="one rate for all")
    sees = Check("the convolutional generator sees the first frame at all", bool(fading[VNET] > 0),
                 detail=f"{fading[VNET]:.2g} of the last frame's reaches the first")
    return [*(_position(results, column, VNET, "vnet/rnn", metric, checks=(explains, tuned))
              for column, metric in (("lmd", "content_px"), ("upper_skill", "upper_px"))),
            Evidence("first_frame", kind="checks", role="extra", direction="holds", delta_key="count", checks=(sees,))]


def whole_distribution(results: Results) -> list[Evidence]:
    """vnet-19: upper face on blends of two emotions, against agreement on the likeliest class; pure clips beside."""
    table = results.blends.set_index(INDEX).pivot(columns="system", values="upper_px")
    static = results.blends.groupby("seed").static_px.mean()
    mixed = values((table["vnet/argmax-agreement"] - table[VNET]) / static)
    own = values((static - table[VNET]) / static)
    return [Evidence("mixed_skill", mixed, skill_interval=interval(own),
                     note="exact blends have no nuisance, so the floor is 0"),
            _position(results, "pure_skill", VNET, "vnet/argmax-agreement", "upper_px")]


def evidence(results: Results, claims: Sequence[Claim]) -> dict[str, list[Evidence]]:
    """Evidence of all nineteen claims."""
    def claim(number: int) -> Claim:
        return by_id(claims, f"vnet-{number:02d}")

    found = {
        1: less_in_sync(results, claim(1), "makeittalk"), 2: less_in_sync(results, claim(2), "pcavs"),
        3: trade_off(results), 4: expressive(results, claim(4)), 5: best_synchronised(results, claim(5)),
        6: on_a_par(results, claim(6)), 7: matching(results), 8: energy_loss(results, claim(8)),
        9: pre_training(results), 10: displacement(results), 11: masks(results), 12: corrupted(results),
        13: semi_supervised(results), 14: mouth_loss(results), 15: discriminator(results), 16: alive(results),
        17: course(results), 18: recurrent(results), 19: whole_distribution(results),
    }
    return {f"vnet-{number:02d}": columns for number, columns in found.items()}
