"""Evidence for paper 001 from small tables whose answers can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from lib import claims
from lib.experiments import ecm_claims as evidence
from lib.experiments import ecm_measures as measures
from lib.experiments import ecm_tables as tables

ENTRIES = claims.load()
SEEDS, EMOTIONS = (0, 1, 2), ("neutral", "happy", "sad", "angry", "disgusted", "fearful")
ERRORS = {"control/static-template": 6.0, "control/oracle": 1.0, "ecm": 3.0, "ecm~module=off": 2.0, "voca": 2.5,
          "faceformer": 3.0, "ecm/no-style~module=off": 2.05}
KEYS = [{"seed": seed, "part": "unseen", "clip": f"c{clip}", "speaker": clip % 2,
         "emotion": "neutral" if clip < 2 else "angry", "intensity": 1.0} for seed in SEEDS for clip in range(4)]


def table(columns, systems=("ecm",), **more):
    """One row per clip and system; a column is a number, or a function of (system, row)."""
    rows = [{**row, "system": system, **more} for row in KEYS for system in systems]
    return pd.DataFrame([{**row, **{name: value(row["system"], row) if callable(value) else value
                                    for name, value in columns.items()}} for row in rows])


def wobble(row):
    """A spread between seeds, so that intervals have a width."""
    return 0.001 * row["seed"]


def scores(errors=None, **more):
    every = dict.fromkeys((*measures.SYSTEM_NAMES, *measures.CONTROLS), 4.0) | ERRORS | (errors or {})
    metrics = (*measures.LIP, "lip_content", "mouth_height", "mouth_width", "upper_mm", "fdd_abs_mm", "fdd_abs")
    numbers = {metric: lambda system, row: every[system] + wobble(row) for metric in metrics}
    rest = {"fdd_static_mm": 8.0, "fdd_static": 8.0, "achieved": 0.1, "achieved_truth": 1.0,
            "upper_amplitude_ratio": 1.0, "upper_jerk_ratio": 1.0} | more
    return table(numbers | rest, every)


def recognition(right):
    rows = [{**row, "system": system, "asked": asked, "judge": judge, "rule": rule,
             "predicted": asked if right(asked, system) else "neutral", "right": float(right(asked, system))}
            for row in KEYS for system in ("ecm", "ecm/code~sad=4", "gt") for asked in EMOTIONS
            for judge, rule in (("statistics", "clip"), ("course", "clip"), ("prior", "majority"),
                                ("prior", "released"))]
    return pd.DataFrame(rows)


def control(slope, system="ecm", formula="paper"):
    return pd.concat([table({"achieved": slope * level + 0.05, "lips": 0.1, "others": 0.0}, (system,), formula=formula,
                            asked="happy", level=level) for level in np.linspace(0, 1, 5)], ignore_index=True)


STEPS = pd.DataFrame({"step_error": [0.004, 0.01]})


def speaker_ids(errors):
    return pd.concat([evidence.neutral(table({metric: lambda _, row, e=error: e + wobble(row) for metric in
                                              measures.LIP}, ("faceformer",), id=name))
                      for name, error in errors.items()])


def results(**given):
    empty = dict.fromkeys(evidence.Results.__dataclass_fields__)
    return evidence.Results(**{**empty, "scale": "smoke", "seeds": SEEDS, **given})


def everything():
    """A table of every kind, so that each claim finds what it is judged on."""
    lip = dict.fromkeys(measures.LIP, 2.0)
    formulas = ("paper", "first-commit", "head")
    return results(
        scores=scores(), speaker_ids=speaker_ids({0: 3.0, 1: 2.5}), steps=STEPS,
        wild=pd.concat([table(lip, measures.WILD, sound=sound) for sound in ("clean", "noise", "reverb")]),
        style_sources=pd.concat([table(lip, measures.STYLED, style=style)
                                 for style in ("own", "shuffled", "other clip", "foreign")]),
        control=pd.concat([control(0.5, system, formula) for system in measures.CONTROLLED for formula in formulas]),
        lip_cost=pd.concat([table({"lip_b_mean": 2.0, "lip_content": 2.0, "sync": 0.5, "sync_truth": 0.8},
                                  measures.COSTED, level=level) for level in measures.COST_LEVELS]),
        facial_measures=pd.concat([table({"opening": level, "corner": level, "cheek": level}, asked=asked, level=level)
                                   for asked in ("fearful", "happy") for level in (0.5, 0.75, 1.0)]),
        frame_control=table({"leak_outside": 0.1, "delay_frames": 3.0}, formula="paper", asked="sad"),
        recognition=recognition(lambda asked, system: True),
        priors=table({"prior_correlation": 0.5}, measures.PRIORED),
        residual=pd.concat([table({"share": 0.25}, factor=factor, region=region) for region in ("whole", "lips")
                            for factor in ("emotion", "content", "identity", "nuisance", "random-label")]),
        transfer=pd.concat([table({"transfer_skill": 0.5}, case=case) for case in ("separable", "interacting")]),
        linearity=pd.DataFrame([{"seed": seed, "value": value, "emotion": emotion, "speaker": 324, "r2_line": 0.9,
                                 "spearman": 0.9} for seed in SEEDS for emotion in EMOTIONS[1:]
                                for value in ("logit", "probability", "difference")]))


def columns(found):
    return {e.column: e for e in found}


def test_lip_error_is_compared_on_neutral_clips_in_shares_of_the_room():
    found = columns(evidence.lips(results(scores=scores()), "ecm~module=off", "voca"))
    assert np.allclose(found["mean"].d.value, (2.5 - 2) / (6 - 1)) and set(found["mean"].d["clip"]) == {"c0", "c1"}
    assert set(found["mean, emotional clips"].d["clip"]) == {"c2", "c3"}
    assert found["max"].skill_b == pytest.approx(0.7) and found["max"].checks[-1].passed


def test_a_lip_lead_that_alignment_alone_brings_is_only_weaker():
    table = scores().assign(lip_b_mean=lambda t: np.where(t.system == "voca", 1.0, t.lip_b_mean))
    mean = columns(evidence.lips(results(scores=table), "ecm~module=off", "voca"))["mean"]
    verdict = claims.judge_column(claims.by_id(ENTRIES, "ecm-01"), mean)
    assert verdict.verdict == claims.WEAKER and "also without alignment" in verdict.reason


def test_losing_to_the_untrained_network_reverses_and_beating_it_alone_is_weaker():
    claim = claims.by_id(ENTRIES, "ecm-03")
    base = {name: 4.0 for name in ("control/mean-motion", "control/random-init~module=off")}
    for error, expected in {2.0: claims.REPRODUCED, 4.5: claims.REVERSED}.items():
        made = results(scores=scores(base | {"ecm~module=off": error}))
        assert claims.judge(claim, evidence.untrained(made)).verdict == expected
    close = results(scores=scores(base | {"control/mean-motion": 1.5}))
    assert claims.judge(claim, evidence.untrained(close)).verdict == claims.WEAKER


def test_the_style_vectors_cause_needs_a_foreign_one_to_hurt():
    for loss, passed in {0.5: True, 0.0: False}.items():
        styled = pd.concat([table({"lip_c_mean": 2.0 + (loss if style == "other clip" else 0.0)}, ("ecm~module=off",),
                                  style=style) for style in ("own", "other clip")])
        mean = columns(evidence.style_vector(results(scores=scores(), style_sources=styled)))["mean"]
        assert {check.name: check.passed for check in mean.checks}[
            "worse with the style of another clip of the speaker"] is passed


def test_more_voices_may_cost_on_clean_sound_but_must_help_in_noise():
    wild = pd.concat([table({"lip_c_mean": lambda system, row: (3.0 if "lrs2" in system else 3.5) + wobble(row)},
                            measures.WILD, sound=sound) for sound in ("clean", "noise", "reverb")])
    found = evidence.wild_data(results(scores=scores({"ecm/with-lrs2~module=off": 2.4}), wild=wild))
    judged = claims.judge(claims.by_id(ENTRIES, "ecm-09"), found)
    assert judged.verdict == claims.REPRODUCED and np.allclose(columns(found)["wild"].d.value, 0.5 / 5)


def test_the_module_must_not_cost_the_lips_more_than_the_margin():
    claim = claims.by_id(ENTRIES, "ecm-11")

    def judged(loss):
        bare = {"ecm/no-residual": 3.0 + loss}
        metrics = {name: lambda system, row: {"ecm": 2.0 + loss, **bare}.get(system, 2.0) + wobble(row)
                   for name in ("lip_b_mean", "lip_content")}
        cost = pd.concat([table(metrics | {"sync": 0.5, "sync_truth": 0.8}, measures.COSTED, level=level)
                          for level in (0.0, 1.0)])
        return claims.judge(claim, evidence.lip_cost(results(scores=scores(), lip_cost=cost))).columns[0]

    assert judged(0.0).verdict == claims.REPRODUCED
    assert judged(1.0).verdict == claims.NOT and judged(1.0).estimate == pytest.approx(-1 / 5)


def test_the_mouth_moves_as_stated_only_where_the_measure_rises_step_by_step():
    rows = pd.concat([table({"opening": 0.1 * level, "corner": 0.1 * level + 1e-3, "cheek": 0.0}, asked="fearful",
                            level=level) for level in (0.5, 0.75, 1.0)])
    found = columns(evidence.moves(results(facial_measures=rows)))
    assert found["fear_opening"].steps == pytest.approx((0.025, 0.025)) and found["fear_opening"].rate == 1.0
    assert (found["fear_opening"].d.value == 1).all() and (found["fear_corner"].d.value == -1).all()
    assert "happy" in found["happy_cheek"].missing


@pytest.mark.parametrize("slope, verdict", [(0.8, claims.REPRODUCED), (0.3, claims.WEAKER), (0.0, claims.NOT),
                                            (-0.8, claims.REVERSED)])
def test_the_control_claim_follows_the_slope(slope, verdict):
    curves = pd.concat([control(slope), control(0.9, "ecm/code", "first-commit")])
    curves = curves.assign(achieved=lambda t: t.achieved + 0.001 * np.sin(7 * t.seed + 3 * t.level))
    column = columns(evidence.control(results(control=curves, steps=STEPS)))["slope"]
    assert claims.judge_column(claims.by_id(ENTRIES, "ecm-13"), column).verdict == verdict


def test_a_flat_curve_is_not_monotone_though_it_never_falls():
    curves = pd.concat([control(slope).assign(asked=name) for slope, name in ((0.0, "sad"), (0.5, "happy"))])
    found = evidence.curves(results(control=curves, steps=STEPS), "ecm", "paper")
    assert found.groupby("asked").monotone.mean().to_dict() == {"happy": 1.0, "sad": 0.0}


def test_faceformer_is_taken_under_the_mean_of_its_ids_and_must_be_beaten_under_the_best():
    made = results(scores=scores(), speaker_ids=speaker_ids({0: 4.0, 1: 1.0}))
    mean = columns(evidence.against_faceformer(made))["mean"]
    assert np.allclose(mean.d.value, (2.5 - 2) / 5)
    assert {check.name: check.passed for check in mean.checks} == {
        "also without alignment": True, "also against faceformer~id=best": False}


def test_the_released_alignment_is_shown_beside_and_decides_nothing():
    table = scores().assign(lip_a_mean=lambda t: np.where(t.system == "voca", 1.0, t.lip_a_mean))
    found = columns(evidence.lips(results(scores=table), "ecm~module=off", "voca"))
    assert (found["mean"].d.value > 0).all() and (found["mean, as released"].d.value < 0).all()
    assert found["mean, as released"].role == "extra"


def test_expressing_little_is_measured_in_shares_of_the_true_intensity():
    weak = scores(achieved=0.15, achieved_truth=0.4)                  # below 0.2, but more than 0.2 of the truth
    assert not any(check.passed for check in evidence.module(results(scores=weak))[0].checks)
    assert all(check.passed for check in evidence.module(results(scores=scores(achieved=0.05)))[0].checks)


def test_the_residual_helps_the_lips_where_the_variant_without_it_errs_more():
    for bare, passed in {3.0: True, 1.5: False}.items():
        cost = pd.concat([table({name: lambda system, row, e=bare: (e if system == "ecm/no-residual" else 2.0)
                                 + wobble(row) for name in ("lip_b_mean", "lip_content")} | {"sync": 0.5,
                                 "sync_truth": 0.8}, measures.COSTED, level=level) for level in measures.COST_LEVELS])
        checks = evidence.lip_cost(results(scores=scores(), lip_cost=cost))[0].checks
        assert {c.name: c.passed for c in checks}["lips better than without the residual"] is passed


def test_an_emotion_with_many_clips_weighs_no_more_than_one_with_few():
    rows = pd.DataFrame([{"seed": 0, "speaker": 1, "clip": f"c{n}", "asked": asked, "right": float(asked == "sad")}
                         for asked, clips in (("neutral", 3), ("sad", 1)) for n in range(clips)])
    assert evidence.balanced(rows).value.mean() == 0.5 and evidence.hits(rows).value.mean() == 0.25
    shown = tables.accuracy_table(results(recognition=rows.assign(system="ecm", judge="course", rule="clip")), ENTRIES)
    assert shown.accuracy["ecm", "course", "clip"] == 0.5


def test_recognition_counts_independent_judges_and_asks_for_one_half_of_every_emotion():
    made = results(recognition=recognition(lambda asked, system: asked != "sad"))
    found = columns(evidence.recognition(made, claims.by_id(ENTRIES, "ecm-14")))
    assert np.allclose(columns(evidence.recognition(made, claims.by_id(ENTRIES, "ecm-14"))[:1])["accuracy"].d.groupby(
        "seed").value.mean(), 5 / 6 - 1 / 6)
    assert [check.passed for check in evidence.recognition(made, claims.by_id(ENTRIES, "ecm-14"))[0].checks].count(
        False) == 1
    assert (found["prior's recogniser"].d.value == 0).all()


def test_a_confusion_is_the_models_only_beyond_that_of_the_true_face():
    made = results(recognition=recognition(lambda asked, system: asked != "sad" or system == "gt"))
    found = columns([e for e in evidence.confusions(made, ENTRIES) if e.role == "claim"])
    assert (found["sad_as_neu"].d.value == 1).all() and (found["ang_as_fea"].d.value == 0).all()


def test_a_residual_where_content_outweighs_emotion_does_not_reproduce():
    def judged(emotion, content):
        shares = {"emotion": emotion, "content": content, "identity": 0.05, "nuisance": 0.05, "random-label": 0.1}
        rows = pd.concat([table({"share": lambda _, row, s=share: s * (1 + wobble(row))}, factor=factor, region=region)
                          for region in ("whole", "lips", "upper_face") for factor, share in shares.items()])
        return claims.judge(claims.by_id(ENTRIES, "ecm-23"), evidence.residual(results(residual=rows))).verdict

    assert judged(0.7, 0.2) == claims.REPRODUCED
    assert judged(0.45, 0.35) == claims.WEAKER
    assert judged(0.3, 0.6) == claims.NOT


def test_a_request_that_leaks_a_tenth_holds_in_part_and_a_delay_of_three_frames_holds():
    rows = table({"leak_outside": lambda _, row: 0.1 + wobble(row), "delay_frames": 3.0}, formula="paper", asked="sad")
    judged = claims.judge(claims.by_id(ENTRIES, "ecm-22"), evidence.keyframed(results(frame_control=rows)))
    assert {c.column: c.verdict for c in judged.columns} == {"leak_outside": claims.WEAKER,
                                                             "delay_frames": claims.REPRODUCED}


def test_an_edit_that_acts_early_is_as_wrong_as_one_that_acts_late():
    rows = table({"leak_outside": 0.01, "delay_frames": -9.0}, formula="paper", asked="sad")
    early = columns(evidence.keyframed(results(frame_control=rows)))["delay_frames"]
    assert (early.d.value == -9).all()


def test_a_predictor_that_hears_nothing_has_not_learned_whatever_the_other_cell_does():
    deaf = table({"prior_correlation": lambda _, row: 0.01 * (row["seed"] - 1)}, measures.PRIORED)
    found = evidence.other_cell(results(scores=scores(), priors=deaf))
    judged = claims.judge(claims.by_id(ENTRIES, "ecm-19"), found)
    assert {c.column: c.verdict for c in judged.columns}["prior_correlation"] == claims.OPEN


def test_printed_lip_errors_and_confusions_come_from_the_entries():
    lips = tables.printed_lips(ENTRIES).set_index("system")
    assert lips.loc["ecm~module=off"].tolist() == [1.92, 3.24]
    assert lips.loc["control/random-init~module=off"].tolist() == [2.31, 3.87]
    assert tables.printed_confusion(ENTRIES).loc["angry", "fearful"] == 65


def test_binned_values_of_a_line_are_straight():
    people = pd.DataFrame({"emotion": "sad", "intensity": np.linspace(0, 1, 90), "log_odds": np.linspace(-1, 3, 90)})
    line = tables.straightness(tables.binned(people, ("log_odds",)), ("log_odds",)).iloc[0]
    assert line.slope == pytest.approx(4.0) and line.r2_line == pytest.approx(1.0)


def test_every_column_of_every_claim_has_evidence_or_says_what_is_missing():
    found = evidence.evidence(everything(), ENTRIES)
    mine = {claim.id: claim for claim in ENTRIES if claim.paper == "ecm"}
    assert set(found) == set(mine)
    assert {name: set(claim.columns) - {e.column for e in found[name]} for name, claim in mine.items()
            if set(claim.columns) - {e.column for e in found[name]}} == {}
    judged = {verdict.claim_id: verdict for verdict in claims.judge_all(list(mine.values()), found)}
    assert judged["ecm-24"].verdict == claims.NOT and judged["ecm-14"].printed == claims.REPRODUCED


def test_the_ablation_table_holds_lips_with_the_module_off_and_the_upper_face_with_it_on():
    made = everything()
    made.scores.loc[made.scores.system == "ecm/gru", "upper_mm"] += 1.0
    found = tables.ablation_table(made).set_index("variant")
    assert found.loc["ecm/no-style", "lips mean"] == pytest.approx(0.05 / 5)
    assert found.loc["ecm/gru", "upper face"] == pytest.approx((5 - 3) / 5) and np.isnan(found["lips mean"]["ecm/gru"])
    assert found.loc["ecm~style=foreign", "lips max"] == 0


def test_a_confusion_table_has_all_clips_in_the_printed_order():
    rows = pd.DataFrame({"asked": ["sad", "sad", "neutral"], "predicted": ["neutral", "sad", "surprised"]})
    found = tables.confusion(rows)
    assert found.columns.tolist() == ["neutral", "sad", "surprised"] and found.index.tolist() == ["neutral", "sad"]
    assert found.loc["sad"].tolist() == [1, 1, 0]
