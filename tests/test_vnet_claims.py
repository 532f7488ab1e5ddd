"""From tables to evidence of Ventriloquist-Net's claims: planted effects must come out as planted."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import claims, metrics
from lib.experiments import vnet, vnet_claims, vnet_measures, vnet_tables
from lib.experiments.vnet_claims import Results

ENTRIES = [claim for claim in claims.load() if claim.paper == "vnet"]
SEEDS, SPEAKERS, CLIPS = (0, 1, 2, 3), (4, 9), 8
EMOTIONS = ("happy", "sad", "angry", "neutral")
BASE = {"control/static-template": 4.0, "control/oracle": 0.5, "control/truth": 0.5, "control/shuffled-truth": 6.0,
        "control/mean-motion": 3.5, "control/shuffled-audio": 3.8, "control/posed-truth": 1.0}
LAPTOP = vnet.systems_at("laptop")


def rows(value_of):
    """One row per seed, speaker, clip and system; value_of(system, rng) gives the columns."""
    rng, out = np.random.default_rng(0), []
    for system in (*vnet_measures.CONTROLS, *LAPTOP, *vnet.RIVALS):
        for seed in SEEDS:
            for speaker in SPEAKERS:
                for clip in range(CLIPS):
                    emotion = EMOTIONS[clip % len(EMOTIONS)]
                    out.append({"seed": seed, "system": system, "part": "unseen", "clip": clip, "speaker": speaker,
                                "emotion": emotion, "intensity": 1.0, **value_of(system, rng)})
    return pd.DataFrame(out)


def columns(system, rng):
    error = BASE.get(system, 2.0) + 0.05 * rng.normal()
    lively = 0.05 if system == "vnet/no-pretrain" else 0.0 if "static" in system else 1.0
    known = {"lips_px": error, "face_px": error, "upper_px": error, "content_px": error, "sync_px": 4 - error,
             "closure": error / 20, "lip_range": 0.0, "ratio": 0.1, "ratio_per_coordinate": 0.1, "blinks": 10.0,
             "blinks_truth": 12.0, "judge": 0.5, "hit": 1.0 if system == "control/truth" else 0.5, "achieved": 0.5,
             "expressed": str(rng.choice(EMOTIONS)), "proxy_confidence": (6 - error) / 6}
    return known | {f"{name}energy": max(lively * (1 + 0.05 * rng.normal()), 0) for name in
                    ("", "lips_", "upper_", "eyes_", "head_")} | {"jerk": lively}


def matches():
    """The critic sees what is heard in `vnet` always, else never; judges are right half the time, on truth always."""
    out = []
    for system in vnet_measures.HEARD:
        for seed in SEEDS:
            for speaker in SPEAKERS:
                for clip in range(CLIPS):
                    heard = EMOTIONS[clip % 4]
                    other = EMOTIONS[(clip + 1) % 4]
                    right = system in ("vnet", "control/truth")
                    out.append({"seed": seed, "system": system, "part": "unseen", "clip": clip, "speaker": speaker,
                                "emotion": heard, "window": 0, "heard": heard, "seen": heard if right else other,
                                "judged": heard if system == "control/truth" or right and (clip + seed) % 2 else other})
    return pd.DataFrame(out)


@pytest.fixture(scope="module")
def results():
    names = [name for name in vnet_measures.TAUGHT if name in LAPTOP]
    networks = pd.DataFrame([{"seed": s, "system": n, "hearing": 0.3, "seeing": 0.5, "same class": 0.6,
                              "cosine": 0.8 if n != "vnet/random-labels-30" else 0.6, "entropy heard": 1.5,
                              "entropy seen": 1.5} for s in SEEDS for n in names])
    index = [(seed, speaker, clip) for seed in SEEDS for speaker in SPEAKERS for clip in range(CLIPS)]
    rng = np.random.default_rng(1)
    switches = pd.DataFrame([{"seed": s, "speaker": a, "clip": c, "tracking": 0.8 + 0.05 * rng.normal(),
                              "tracking_shuffled": 0.05 * rng.normal(), "tracking_truth": 0.95} for s, a, c in index])
    blends = pd.DataFrame([{"seed": s, "speaker": a, "clip": c, "system": name, "static_px": 4.0,
                            "upper_px": (2.0 if name == "vnet" else 3.0) + 0.05 * rng.normal()}
                           for s, a, c in index for name in ("vnet", "vnet/argmax-agreement")])
    reach = pd.DataFrame([{"seed": s, "reading": r, "speech_to_upper": float(r == "vnet@code"),
                           "emotion_to_mouth": 1.0, "emotion_to_upper": 5.0 if r != "vnet@code" else 1.0,
                           "mouthloss_in_emotion_branch": float("sum" in r or "code" in r),
                           "emotionloss_in_lingual_branch": 0.0}
                          for s in SEEDS for r in vnet_measures.READINGS if r != "vnet/no-masks"])
    gradients = pd.DataFrame([{"seed": s, "system": n, "first_over_last": v} for s in SEEDS
                              for n, v in (("vnet", 0.0), ("vnet/rnn", 0.1))])
    convergence = pd.DataFrame([{"seed": s, "system": n, "step": t, "upper": 1.0, "mouth": 1.0, "unmoved": 0.8,
                                 "heeded": 1.0 if t < (100 if n in ("vnet", "vnet/mean-face") else 400) else 0.1,
                                 "before": 0 if n == "vnet/no-pretrain" else 1000}
                                for s in SEEDS for n in LAPTOP for t in range(0, 501, 100)])
    endings = pd.DataFrame([{"seed": s, "system": n, "critic": np.nan if "no-disc" in n else 0.1, "adversarial": 0.5}
                            for s in SEEDS for n in LAPTOP])
    return Results("laptop", SEEDS, rows(columns), matches(), networks, switches, blends, reach, gradients, convergence,
                   endings)


def judged(results, number):
    claim = claims.by_id(ENTRIES, f"vnet-{number:02d}")
    return claims.judge(claim, vnet_claims.evidence(results, ENTRIES)[claim.id])


def test_every_claim_has_evidence_for_exactly_its_columns(results):
    found = vnet_claims.evidence(results, ENTRIES)
    assert set(found) == {claim.id for claim in ENTRIES}
    for claim in ENTRIES:
        decided = [e.column for e in found[claim.id] if e.role == "claim"]
        assert claim.testable == "no" and not decided or sorted(decided) == sorted(claim.columns), claim.id
    assert len(claims.judge_all(ENTRIES, found)) == 19


def test_a_rival_that_is_better_in_sync_reproduces_the_first_claim(results):
    table = results.scores.copy()
    ahead = table.system == "makeittalk"
    table.loc[ahead, "proxy_confidence"] += 0.2
    table.loc[ahead, "content_px"] -= 1.0
    assert judged(replace(results, scores=table), 1).verdict == claims.REPRODUCED
    table.loc[ahead, "proxy_confidence"] -= 0.4
    assert judged(replace(results, scores=table), 1).verdict == claims.REVERSED


def test_a_gain_under_the_critic_alone_is_no_match(results):
    table = results.matches.copy()
    table["judged"] = np.where(table.system == "control/truth", table.judged, "neutral")
    found = judged(replace(results, matches=table), 7)
    assert found.verdict == claims.NOT
    critic = next(c for c in found.columns if c.column == "match, critic")
    assert critic.estimate == 1 and critic.low > 0


def test_judges_that_are_blind_on_the_truth_decide_nothing(results):
    table = results.matches.copy()
    table.loc[(table.system == "control/truth") & (table["clip"] == 0), "judged"] = "sad"      # one clip in eight
    blind = replace(results, matches=table)
    assert vnet_claims.ceilings(blind) == {"windows": 0.875, "clips": 1.0}
    match = next(c for c in judged(blind, 7).columns if c.column == "match")
    assert match.verdict == claims.OPEN and "calibration" in match.reason
    critic = next(c for c in judged(blind, 7).columns if c.column == "match, critic")
    assert critic.verdict == claims.REPRODUCED                     # the training loss needs no independent judge


def test_a_rival_whose_lips_fit_no_better_than_those_of_another_clip_decides_nothing(results):
    table = results.scores.copy()
    table.loc[table.system == "makeittalk", "proxy_confidence"] = table.loc[
        table.system == "control/shuffled-truth", "proxy_confidence"].to_numpy()
    found = judged(replace(results, scores=table), 1)
    assert found.verdict == claims.OPEN and "not learned" in found.reason
    low, high = vnet_claims.in_time(results, "vnet", "pcavs")
    assert 0 < low < high


def test_match_rates_are_shares_of_windows(results):
    assert vnet_claims.match_rates(results, "vnet", "critic").value.mean() == 1
    assert vnet_claims.match_rates(results, "vnet", "judge").value.mean() == 0.5
    assert vnet_claims.match_rates(results, "vnet/no-emotion", "critic").value.mean() == 0
    assert vnet_tables.match_baselines(results)["chance"] == 0.25


def test_a_collapse_of_joint_training_is_found_in_the_energy(results):
    lips = next(c for c in judged(results, 9).columns if c.column == "lip_energy")
    assert lips.verdict == claims.REPRODUCED and lips.estimate == pytest.approx(np.log(1 / 0.05), abs=0.1)


def test_steps_are_counted_to_a_tenth_above_the_better_final_error(results):
    steps = vnet_claims.steps_to_target(results, "vnet", "vnet/absolute-target")
    on_line = (1 - 0.11) / (1 - 0.1) * 100                         # of 100 steps from 1 to 0.1, until 0.11
    assert steps.value.tolist() == pytest.approx([np.log((300 + on_line) / on_line)] * 4)
    never = pd.DataFrame({"step": [0, 10], "heeded": [1.0, 0.9]})
    assert vnet_claims._first_below(never, 0.5) == 10 and vnet_claims._first_below(never, 1.0) == 0
    assert vnet_claims.learned_share(results, "vnet").value.tolist() == pytest.approx([1 - 0.1 / 0.8] * 4)


def test_steps_of_pre_training_count_against_joint_training(results):
    alone, total = (vnet_claims.steps_to_target(results, "vnet", "vnet/no-pretrain", before=b).value[0]
                    for b in (False, True))
    assert alone > 0 > total
    steps = {c.column: c.verdict for c in judged(results, 9).columns if c.column.startswith("steps")}
    assert steps == {"steps": claims.REVERSED, "steps, generator alone": claims.REPRODUCED}


def test_a_target_that_is_reached_before_the_first_step_decides_nothing(results):
    table = results.convergence.copy()
    table.loc[table.system == "vnet/absolute-target-bias", "heeded"] = 0.1
    steps = {c.column: c for c in judged(replace(results, convergence=table), 10).columns}
    assert steps["steps, mean face as bias"].reason == vnet_claims.NOTHING
    assert steps["steps"].verdict == claims.WEAKER and "not checked" in steps["steps"].reason
    rows = vnet_tables.steps_table(replace(results, convergence=table)).set_index("pair")["log ratio of steps"]
    assert rows["vnet/mean-face against positions from the mean face"].isna().all()


def test_masks_hold_in_the_papers_reading_and_fail_beside_it(results):
    found = judged(results, 11)
    assert found.verdict == claims.REPRODUCED
    beside = {c.column: c.verdict for c in found.columns if c.role == "extra"}
    assert beside["speech_to_upper, vnet@code"] == claims.NOT
    assert beside["mouthloss_in_emotion_branch, vnet@paper, mouth loss on the sum"] == claims.WEAKER


def test_an_expression_loss_in_the_lingual_branch_is_the_half_that_fails(results):
    found = judged(replace(results, reach=results.reach.assign(emotionloss_in_lingual_branch=0.1)), 11)
    kept = {c.column: c.verdict for c in found.columns if c.role == "claim"}
    assert kept == {"speech_to_upper": claims.REPRODUCED, "mouthloss_in_emotion_branch": claims.WEAKER}


def test_motion_without_skill_is_no_expression(results):
    table = results.scores.copy()
    table.loc[table.system == "vnet", "upper_energy"] = 3.0
    energy = next(c for c in judged(replace(results, scores=table), 16).columns if c.column == "upper_energy")
    assert energy.verdict == claims.WEAKER and "with more skill" in energy.reason
    table.loc[table.system == "vnet", "upper_px"] -= 1.0
    energy = next(c for c in judged(replace(results, scores=table), 16).columns if c.column == "upper_energy")
    assert energy.verdict == claims.REPRODUCED


def test_a_discriminator_that_has_won_teaches_nothing(results):
    won = replace(results, endings=results.endings.assign(critic=results.endings.critic * 0.01))
    assert not vnet_claims._teaches(won, "vnet").passed and vnet_claims._teaches(results, "vnet").passed
    assert "`vnet` (100% of the seeds)" in vnet_tables.discriminators_that_won(won)
    assert "no system" in vnet_tables.discriminators_that_won(results)


def test_equivalence_is_asked_for_at_a_third_of_random_labels_too(results):
    same = pd.DataFrame([{"seed": s, "speaker": 0, "clip": 0, "value": 0.001 * (s - 1.5)} for s in SEEDS])
    assert vnet_claims.no_loss(same, "skill").passed
    assert not vnet_claims.no_loss(same.assign(value=same.value + 0.03), "skill").passed
    assert vnet_claims.no_loss(same[:1], "skill").passed is None


def test_unequal_agreement_is_a_condition_of_the_label_claim(results):
    check = vnet_claims.equally_agreed(results, ("vnet", "vnet/random-labels-30"))
    assert not check.passed and vnet_claims.equally_agreed(results, ("vnet", "vnet/permuted-labels")).passed


def test_information_is_one_for_faces_that_tell_and_none_for_random_ones(results):
    assert abs(vnet_claims.information(results, "vnet").value.mean()) < 0.3
    table = results.scores.copy()
    table["expressed"] = table.emotion.map({"happy": "sad", "sad": "happy", "angry": "neutral", "neutral": "angry"})
    told = vnet_claims.information(replace(results, scores=table), "vnet").value
    assert told.tolist() == pytest.approx([1.0] * 4)                      # consistent, though never right


def test_a_system_that_is_worse_than_a_still_face_decides_nothing(results):
    table = results.scores.copy()
    table.loc[table.system == "vnet", "upper_px"] = 5.0
    upper = next(c for c in judged(replace(results, scores=table), 16).columns if c.column == "upper_skill")
    assert upper.verdict == claims.OPEN and "not learned" in upper.reason


def test_tracking_and_blends_are_reproduced_as_planted(results):
    assert judged(results, 17).verdict == claims.REPRODUCED
    mixed = next(c for c in judged(results, 19).columns if c.column == "mixed_skill")
    assert mixed.verdict == claims.REPRODUCED and mixed.estimate == pytest.approx(0.25, abs=0.02)


def test_the_printed_gap_of_least_synchronised_votes_is_three_and_a_half_standard_errors():
    gap = vnet_claims.gap_of_shares(0.529, 0.407, 774)
    assert gap.mean == pytest.approx(0.122) and 3.4 < gap.mean / ((gap.high - gap.low) / 3.92) < 3.6
    table = vnet_tables.gap_table(ENTRIES).set_index("votes")
    assert not table.loc[774, "52.9 % attainable"] and table.loc[774, "40.7 % attainable"]


def test_the_printed_ratio_does_not_follow_jitter():
    toys = vnet_tables.toy_ratios().set_index("signal")
    assert toys.ratio["constant"] - toys.ratio["constant + jitter"] < 0.01
    assert toys.jerk["constant + jitter"] > 100 * toys.jerk["constant"]
    assert toys.ratio["slow sway, 0.5 Hz"] < 0.05


def test_the_printed_ratio_of_a_still_face_is_undefined_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metrics.cancellation_ratio(np.zeros((4, 68, 2)), per_coordinate=True))
        assert np.isnan(metrics.cancellation_ratio(np.zeros((4, 68, 2))))


def test_tables_have_a_row_per_system(results):
    trained = (*LAPTOP, *vnet.RIVALS)
    assert len(vnet_tables.score_table(results)) == len(trained) + len(vnet_measures.CONTROLS)
    assert vnet_tables.learned_table(results).system.tolist() == list(trained)
    learned = vnet_tables.learned_table(results).set_index("system")
    assert learned["lip skill"]["vnet"] == pytest.approx((4 - 2) / (4 - 0.5), abs=0.05)
    assert vnet_tables.corruption_table(results).random.tolist() == [0, 0, 30, 100]
    offsets = vnet_tables.offsets_table(results).set_index("system")
    assert offsets["offsets from"]["vnet/mean-face"] == "mean face, head still" and len(offsets) == 4


def test_a_claim_stands_beside_its_sides_and_its_margin(results):
    found = vnet_claims.evidence(results, ENTRIES)
    table = vnet_tables.advantage_table(ENTRIES, found, (14, 19)).set_index("measure")
    assert table.b["closure"] == "vnet/l2-mouth" and table.scale["closure"].startswith("share of the true range")
    assert table.margin["mixed_skill"] == 0.03 and table.advantage["mixed_skill"] == pytest.approx(0.25, abs=0.02)
    moved = vnet_tables.advantage_table(ENTRIES, found, (15,)).set_index("measure").loc["head_energy_deviation"]
    assert moved.a == "vnet/published-offsets" and "as published" in moved.note
    assert vnet_tables.claimed(ENTRIES, (14, 19)).count("> **vnet-") == 2


def test_kappa_is_agreement_beyond_chance():
    one = pd.Series(list("aabb"))
    assert vnet_tables.kappa(one, one) == 1 and vnet_tables.kappa(one, pd.Series(list("abab"))) == 0
    assert np.isnan(vnet_tables.kappa(pd.Series(list("aa")), pd.Series(list("aa"))))
