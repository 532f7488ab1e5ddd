"""Evidence for paper 003 from small tables whose answers can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import claims
from lib.errors import AssetMissing
from lib.experiments import emoface_claims as evidence
from lib.experiments import emoface_measures as measures

SEEDS, SPEAKERS, CLIPS = (0, 1, 2, 3), 2, 4
ALL = claims.load()
ERRORS = {"control/static-template": 0.10, "control/oracle": 0.02, "emoface": 0.04, "faceformer": 0.05}
SPOILT = {"true": 0, "audio": 2, "10% wrong": 1, "40% wrong": 2, "wrong": 4}            # clips with a wrong label
LAWS = {"printed": 38.8, "published recipe": 38.8, "whole intervals": 20.0, "short clips": 22.0}


def rows(systems, key="system", **columns):
    """One row per seed, speaker, clip and system; a callable column gets the system, the seed and the clip."""
    return pd.DataFrame([
        {"seed": seed, "speaker": clip % SPEAKERS, "clip": f"c{clip}", "part": "unseen", "emotion": "happy", key: name,
         **{column: value(name, seed, clip) if callable(value) else value for column, value in columns.items()}}
        for seed in SEEDS for clip in range(CLIPS) for name in systems])


def jitter(seed, clip):
    """A small error that differs between seeds, so that intervals are not points."""
    return 1e-4 * np.sin(7.0 * seed + clip)


def scores(errors=None):
    """All controller errors of a system alike; systems that are not named err like FaceFormer."""
    errors = {**dict.fromkeys((*measures.SYSTEM_NAMES, *measures.CONTROLS), 0.05), **ERRORS, **(errors or {})}

    def error(name, seed, clip):
        return errors[name] + jitter(seed, clip) * (name == "emoface")

    columns = dict.fromkeys((*measures.NATIVE, "upper_mm", "vertex_error_mm", "lve_mm"), error)
    table = rows(errors, **{**columns, "jerk": 2.0, "jerk_smooth": 0.9, "lip_amplitude": 0.5, "sync": 0.3})
    table.loc[table.system == "control/shuffled-truth", "closure_mm"] = 0.2
    return pd.concat([table, table.assign(part="seen")], ignore_index=True)


def results(**tables):
    """Tables of the right shape for every question; those given replace them."""
    flat, runs = {"mae_full": 0.05, "mae_mouth": 0.05, "mae_eyes": 0.05}, pd.DataFrame({"run": range(4)})
    blinks = rows(("truth", "emoface", "emoface~blink=paper", "emoface~blink=code", "faceformer~blink=paper", "law"),
                  blinks=lambda name, seed, clip: 0 if name == "emoface" else 3, minutes=0.1)
    waits = rows(("truth", "emoface~blink=paper"), interval_s=lambda name, seed, clip: 2.0 + clip, censored=False)
    found = {
        "scores": scores(), "judged": rows(("emoface", "faceformer", "emotalk", "truth"), judge=1.0, intensity=0.8),
        "labels": rows(("emoface", "control/random-label"), requested="sad", conflict=True, intensity=0.8,
                       size=lambda name, seed, clip: 0.5 + clip, size_truth=4.0, achieved=0.7, achieved_truth=0.8,
                       swap_skill=lambda name, *_: float(name == "emoface"), judge=0.5),
        "frame_labels": rows(("emoface",), requested="sad", delay_s=0.0, leak=0.0),
        "label_sources": rows(SPOILT, "source", system="emoface", given="sad",
                              right=lambda name, seed, clip: clip >= SPOILT[name],
                              mae_full=lambda name, seed, clip: 0.04 + (clip < SPOILT[name]) * (
                                  0.04 + jitter(seed, clip))),
        "quiet": rows(measures.QUIET, mae_quiet=0.05, mae_loud=0.05, amplitude_quiet=0.5, amplitude_loud=0.5),
        "long_clips": rows(("emoface", "emoface/no-pe", "emoface/code"), frames=150, mae_full_apart=0.05, **flat),
        "past": pd.concat([rows((name,), past=past, jerk=1.0, **flat) for name, past in
                           {"emoface": np.nan, "emoface/ar-decoder,past=5": 5, "emoface/ar-decoder": -1}.items()]),
        "axis": pd.DataFrame([{"seed": 0, "system": name, "weights": kind, "parameters": 32402862,
                               "other_frames": 0.1 * (name == "emoface")}
                              for name in ("emoface", "emoface/code") for kind in ("trained", "random")]),
        "blinks": blinks, "blink_intervals": waits,
        "gaze": rows(("emoface~gaze=paper", "emoface~gaze=code", "faceformer~gaze=paper", "regressor",
                      "regressor/tied"), sd_ratio=1.0, between_clips=0.1),
        "blink_detection": rows(("svm", "threshold", "threshold/tuned"), "detector", noise_mm=0.4, hits=3, misses=1,
                                false=lambda name, seed, clip: 0 if name == "svm" else 2 + clip, minutes=0.1),
        "symmetry": rows(("emoface", "truth"), lr_correlation=lambda name, seed, clip: 0.9 + jitter(seed, clip)),
        "coverage": pd.DataFrame([{"seed": s, "emotion": "sad", "phonemes": 39, "known": 40, "share": 39 / 40}
                                  for s in SEEDS]),
        "mandarin": rows(("emoface",), **flat),
        "timings": pd.concat([runs.assign(system=name, stage=stage, length_s=length, seconds=length * factor)
                              for name, stage, factor in (("speech", "speech", 0.1), ("emoface", "decoder", 0.1),
                                                          ("emoface/ar-decoder", "decoder", 0.7))
                              for length in (1.0, 4.0, 8.0)]),
        "blink_laws": pd.DataFrame({"fit": LAWS.keys(), "mean_rate": LAWS.values(), "per_minute": LAWS.values()}),
        "censoring": pd.DataFrame({"run": range(4), "true_per_minute": 20.0, "clip_s": 4.0, "fit": "published recipe",
                                   "per_minute": 30.0}),
    }
    empty = dict.fromkeys(evidence.Results.__dataclass_fields__)
    fixed = {"scale": "smoke", "seeds": SEEDS, "absent": {}, "train_frames": 50.0}
    return evidence.Results(**{**empty, **found, **fixed, **tables})


def column_of(found, name):
    return next(e for e in found if e.column == name and e.role == "claim")


def verdict(number, found):
    claim = claims.by_id(ALL, f"emoface-{number:02d}")
    return claims.judge(claim, evidence.evidence(found, ALL)[claim.id])


def test_every_claim_gets_evidence_for_every_column_and_is_judged():
    mine = [claim for claim in ALL if claim.paper == "emoface"]
    found = results()
    columns = evidence.evidence(found, ALL)
    assert [claim.id for claim in mine] == list(columns) and len(mine) == 23
    for claim in mine:
        assert set(claim.columns) <= {e.column for e in columns[claim.id]}, claim.id
    assert len(claims.judge_all(mine, columns, conditions=evidence.conditions(found))) == 23


def test_an_error_counts_in_the_room_between_zero_rig_and_floor_and_its_sign_follows_the_claim():
    full, _, eye = (column_of(evidence.against_faceformer(results(), claims.by_id(ALL, "emoface-01")), name)
                    for name in ("full", "mouth", "eye"))
    assert np.allclose(full.d.value, (0.05 - 0.04) / (0.10 - 0.02), atol=0.01)
    assert np.allclose(eye.d.value, -full.d.value)                          # the paper says that its eyes are worse
    assert full.skill_b == pytest.approx((0.10 - 0.05) / (0.10 - 0.02))


@pytest.mark.parametrize("equal_data, expected", [(0.05, claims.REPRODUCED), (0.04, claims.WEAKER)])
def test_a_gain_over_emotalk_that_needs_its_smaller_training_set_is_weaker(equal_data, expected):
    found = results(scores=scores({"emotalk": equal_data}))
    assert verdict(2, found).verdict == expected


def test_the_mouth_must_lose_more_than_the_eyes_without_pretraining():
    table = scores()
    worse = (table.system == "emoface/no-pretrain").to_numpy()
    table.loc[worse, "mae_mouth"] = 0.08
    assert evidence._contrast(results(scores=table), "emoface", "emoface/no-pretrain").value.mean() == pytest.approx(
        (0.08 - 0.05) / 0.04, abs=0.01)


def test_speed_is_the_log_ratio_at_the_longest_short_length():
    _, cpu = evidence.speed(results(), claims.by_id(ALL, "emoface-08"))
    assert np.allclose(cpu.d.value, np.log(4)) and all(check.passed for check in cpu.checks)
    assert "4 s" in cpu.note and "0.20" in cpu.checks[1].detail


def test_filtering_that_brings_jerk_nearer_to_the_truth_counts_on_the_log_scale():
    jerk = column_of(evidence.smoothing(results()), "jerk_deviation")
    assert np.allclose(jerk.d.value, np.log(2.0) - abs(np.log(0.9)))


def test_closures_cannot_be_judged_where_another_clips_truth_closes_the_lips_as_well():
    table = scores({"control/shuffled-truth": 0.02})
    table.loc[table.system == "control/shuffled-truth", "closure_mm"] = 0.02
    assert "as well" in column_of(evidence.lips(results(scores=table)), "closure").missing
    assert np.allclose(column_of(evidence.lips(results()), "closure").d.value, 0.01 / (0.2 - 0.02), atol=1e-3)


def test_one_wrong_label_in_ten_decides_and_four_in_ten_are_the_condition():
    full, wrong = evidence.told_or_heard(results())[:2]
    assert len(full.d) == len(SEEDS) * CLIPS and full.checks[0].passed
    assert full.d.value.mean() == pytest.approx(0.25 * 0.04 / 0.08, abs=0.01)           # a clip in four of this table
    assert np.allclose(wrong.d.value, 0.04 / 0.08, atol=0.01)


def test_strength_is_the_ratio_of_means_so_that_weak_clips_do_not_hide_weak_faces():
    amplitude = column_of(evidence.label_control(results()), "amplitude")
    assert np.allclose(amplitude.d.value, np.log(4.0 / 2.0))                # sizes 0.5 to 3.5 against 4


@pytest.mark.parametrize("number", [2, 12])
def test_a_win_over_a_rival_that_has_not_learned_is_evidence_of_nothing(number):
    never = scores({"emotalk": 0.10, "emotalk/paired-only": 0.10})
    found = verdict(number, results(scores=never))
    assert all("not learned" in c.reason for c in found.columns if c.role in ("claim", "proxy") and c.d_z == c.d_z)
    assert found.verdict == claims.OPEN


def test_what_the_sampler_loses_at_the_start_of_a_clip_is_shown_apart_from_its_convention():
    table = results().blinks
    table.loc[table.system == "law", "blinks"] = 6
    start, convention = evidence.blink_sampler(results(blinks=table))[2:]
    assert np.allclose(start.d.value, np.log(12.5 / 24.5)) and np.allclose(convention.d.value, np.log(24.5 / 12.5))


def test_blinks_are_counted_per_seed_and_a_face_that_never_blinks_has_a_finite_error():
    found = results()
    rate = evidence.log_rates(found.blinks)
    assert np.allclose(rate["truth"], np.log(12.5 / 0.4)) and np.isfinite(rate["emoface"]).all()
    error, waits = evidence.blink_sampler(found)[:2]
    assert np.allclose(error.d.value, np.log(12.5 / 0.5)) and all(check.passed for check in error.checks)
    assert np.allclose(waits.d.value, 1.0)                                  # no waits at all against the right ones


@pytest.mark.parametrize("rate, expected", [(20.5, claims.REPRODUCED), (23, claims.WEAKER), (30, claims.NOT)])
def test_the_published_law_holds_where_its_recipe_recovers_a_known_rate(rate, expected):
    table = results().censoring.assign(per_minute=float(rate))
    assert verdict(17, results(censoring=table)).verdict == expected


def test_without_the_published_intervals_the_reason_is_named():
    found = results(blink_laws=None, absent={"blink_laws": "asset emoface_sample is not here"})
    extra = next(e for e in evidence.blink_law(found, claims.by_id(ALL, "emoface-17"))
                 if e.column == "published intervals")
    assert "emoface_sample" in extra.missing


def test_a_detector_is_compared_by_speaker_on_f1_and_false_blinks():
    f1, false = evidence.detection(results())[:2]
    assert len(f1.d) == len(SEEDS) * SPEAKERS
    first = f1.d[f1.d.speaker == 0].value                                   # clips 0 and 2: 6 hits, 2 misses, 6 false
    assert np.allclose(first, 12 / 14 - 12 / 20) and np.allclose(false.d.value[0], np.log(6.5 / 0.5))


def test_the_released_axes_refute_that_frames_are_seen_together_while_the_weights_are_right():
    found = verdict(21, results())
    columns = {c.column: c.verdict for c in found.columns if c.role == "claim"}
    assert columns == {"cross_frame_effect": claims.NOT, "weights": claims.REPRODUCED}


def test_symmetry_is_kept_when_the_output_correlates_like_the_truth():
    assert verdict(23, results()).verdict == claims.REPRODUCED
    apart = results().symmetry
    apart.loc[apart.system == "emoface", "lr_correlation"] = 0.7 + 0.01 * apart.seed
    assert verdict(23, results(symmetry=apart)).verdict == claims.WEAKER    # coverage alone


def test_user_studies_stay_undecidable_with_proxies_and_printed_numbers_beside():
    found = verdict(12, results())
    assert found.verdict == claims.OPEN and found.printed == claims.REPRODUCED and found.proxy
    assert verdict(22, results()).verdict == claims.NOT


def test_gathering_joins_seeds_and_names_assets_that_are_not_here(monkeypatch):
    tables = results()
    for name in (*evidence.PER_SEED, *evidence.ONCE):
        monkeypatch.setattr(measures, name, lambda *_, name=name: getattr(tables, name))

    def absent(*_):
        raise AssetMissing("no recordings here")

    monkeypatch.setattr(measures, "facegood", absent)
    monkeypatch.setattr(evidence, "_train_frames", lambda *_: 50.0)
    found = evidence.gather("smoke", [0, 1], timed=False)
    assert len(found.scores) == 2 * len(tables.scores) and found.facegood is None and found.timings is None
    assert found.absent == {"facegood": "no recordings here", "timings": evidence.NOT_TIMED}
    untimed = evidence.speed(replace(found, timings=None), claims.by_id(ALL, "emoface-08"))
    assert untimed[1].missing == evidence.NOT_TIMED


def test_a_network_that_has_not_learned_is_evidence_of_nothing():
    still = results(scores=scores({"emoface": 0.10}))                        # as wrong as a face that never moves
    for number in (1, 10, 14, 20, 23):
        found = verdict(number, still)
        assert all("not learned" in c.reason for c in found.columns if c.role == "claim" and c.column != "coverage")
