"""ECM's experiment at smoke scale: what the systems learn from, what they are asked for, what the tables hold."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("pandas")

from lib.experiments import ecm as experiment
from lib.experiments import ecm_measures as measures
from lib.experiments import measures as common
from lib.labels import COMMON
from lib.metrics import evaluate
from lib.models import ecm

SYSTEM = experiment.System


@pytest.fixture(scope="module")
def made():
    return experiment.material("smoke", 0)


@pytest.fixture(scope="module")
def trained():
    return experiment.train("smoke", 0, "ecm", progress=False)


@pytest.fixture(scope="module")
def clip(made):
    return int(measures.emotional(made.data)[0])


def test_parameters_reach_the_basis_as_through_the_mesh(made, clip):
    template = made.data.template(clip)
    params = made.face.encode(made.data.truth(clip)[::9], template)
    through_mesh = made.data.basis.encode(made.face.decode(params, template) - template)
    assert np.allclose(made.to_basis(params, template), through_mesh, atol=1e-4)


def test_neutral_clips_have_no_fitting_noise_and_bypass_the_augment_net(made):
    tracks = experiment.prior_tracks(made, SYSTEM(), made.clips)
    for i in made.clips:
        neutral = made.data.table.emotion[i] == experiment.NEUTRAL
        assert bool(tracks["use"][i].all()) == (not neutral)
        assert (not tracks["prior"][i].any()) == neutral


def test_one_part_alone_is_trained_for_as_many_steps_as_both_and_the_short_one_for_as_many_epochs(made):
    size = replace(experiment.SIZES["smoke"], steps=16)
    courses = {clips: experiment.course(made, SYSTEM(clips=clips), size) for clips in ("both", "neutral",
                                                                                      "neutral-short")}
    epochs = {name: one.size.recipe(len(one.clips)).epochs for name, one in courses.items()}
    batches = {name: len(list(one.batches(np.random.default_rng(0)))) for name, one in courses.items()}
    assert epochs["both"] * batches["both"] == epochs["neutral"] * batches["neutral"] == 16
    assert epochs["neutral-short"] * batches["neutral-short"] == 16 * len(courses["neutral"].clips) / len(made.clips)
    assert set(made.data.table.emotion[courses["neutral"].clips]) == {experiment.NEUTRAL}


@pytest.mark.parametrize("system", [SYSTEM(), SYSTEM(prior="audio"), SYSTEM(wrong=0.3)])
def test_priors_lie_between_0_and_1_on_the_scale_of_what_the_system_is_given(made, system):
    scale = experiment.normaliser(made, system)
    felt = [i for i in made.clips if made.data.table.emotion[i] != experiment.NEUTRAL]
    rows = np.concatenate([scale.normalise(experiment.given_logits(made, system, i)) for i in felt])
    assert np.allclose(rows.min(0), 0, atol=1e-5) and np.allclose(rows.max(0), 1, atol=1e-5)


def test_without_smoothing_neither_priors_nor_targets_are_smoothed(made):
    rough = SYSTEM(smoothing=False)
    tracks, clip = experiment.prior_tracks(made, rough, made.clips), next(
        i for i in made.clips if made.data.table.emotion[i] != experiment.NEUTRAL)
    plain = experiment.normaliser(made, rough).normalise(experiment.given_logits(made, rough, clip))
    assert np.array_equal(tracks["prior"][clip], plain) and np.array_equal(tracks["target"][clip], plain)


def test_many_commands_at_once_are_those_one_by_one(trained, made, clip):
    said, rest = trained.speech(trained.hears(clip)), made.data.template(clip)
    commands = [experiment.asked("angry", level) for level in (0.0, 0.5, 1.0)]
    alone = np.stack([trained.face(said, rest, command) for command in commands])
    assert np.allclose(trained.faces(said, rest, commands), alone, atol=1e-5)


def test_the_mean_face_of_an_emotion_is_of_the_training_clips_nearest_in_intensity(made):
    rows = made.data.table.loc[made.clips]
    angry = rows[(rows.emotion == "angry") & (rows.intensity == rows[rows.emotion == "angry"].intensity.max())]
    expected = np.concatenate([made.taught.motion[i] for i in angry.index]).mean(0)
    assert np.allclose(experiment.mean_face(made, "angry", 1.0), expected)


def test_rivals_answer_under_each_of_the_speakers_they_know(made):
    rival = experiment.train("smoke", 0, "faceformer", progress=False)
    clip = int(measures.neutral_clips(made.data)[0])
    faces = rival.under_every_id(clip)
    assert len(faces) == rival.known
    assert np.allclose(faces[clip % rival.known], rival.animate(rival.hears(clip), clip), atol=1e-5)


def test_a_neutral_and_an_emotional_clip_of_every_speaker_are_steered(made):
    rows = made.data.table.loc[measures.steered(made.data)]
    assert (rows.groupby("actor").emotion.nunique() == 2).all()
    assert set(rows.groupby("actor").emotion.first()) == {experiment.NEUTRAL}
    assert rows[rows.emotion != experiment.NEUTRAL].emotion.is_unique


def test_exact_priors_are_the_label_times_the_intensity(made, clip):
    i = next(i for i in made.clips if made.data.table.emotion[i] != experiment.NEUTRAL)
    given = experiment.prior_tracks(made, SYSTEM(prior="exact"), made.clips)["prior"][i]
    expected = np.zeros(7)
    expected[COMMON.index(made.data.table.emotion[i])] = made.data.table.intensity[i]
    assert np.allclose(given, expected)


def test_a_share_of_wrong_frames_changes_the_class_that_wins(made):
    logits = np.tile(np.eye(7, dtype=np.float32)[2] * 50, (4000, 1))
    wrong = experiment._corrupted(logits, 0.3, np.random.default_rng(0)).argmax(1) != 2
    assert wrong.mean() == pytest.approx(0.3, abs=0.03)


def test_training_is_blind_to_the_test_speakers(made):
    learned = experiment.training_clips(made, SYSTEM(clips="wild"))
    assert not set(made.taught.table.actor[learned]) & set(made.data.rows("unseen").actor)


@pytest.mark.parametrize("profile", ["paper", "code"])
def test_losses_of_the_truth_are_zero_but_for_silence_and_priors(made, profile):
    system = SYSTEM(profile=profile)
    batch = next(experiment.course(made, system, experiment.SIZES["smoke"]).batches(np.random.default_rng(0)))
    model = ecm.ECM(experiment.config(made, system, experiment.SIZES["smoke"]))
    model.forward = lambda *_, **__: ecm.Prediction(batch.tracks["params"], None, batch.tracks["target"], None, None)
    losses, weights = experiment.ecm_losses(model, made, system)
    found = losses(batch)
    assert {name for name, value in found.items() if value > 1e-6} <= {"jaw_silence"}
    assert set(found) == set(weights)


def test_the_module_switched_off_ignores_the_request(trained, made, clip):
    sound, template = trained.hears(clip), made.data.template(clip)
    off = trained.animate(sound, clip, on=False)
    assert np.allclose(off, trained.face(trained.speech(sound), template))
    assert not np.allclose(off, trained.animate(sound, clip))


def test_an_own_style_vector_changes_nothing_and_a_foreign_one_does(trained, clip, made):
    sound = trained.hears(clip)
    own = trained.speech(sound)
    assert torch.allclose(trained.speech(sound, own.style).neutral, own.neutral, atol=1e-5)
    assert not torch.allclose(trained.speech(sound, own.style + 1).neutral, own.neutral)


@pytest.mark.parametrize("name", ["ecm", "ecm~module=off", "ecm~command=heard", "ecm/code", "ecm/no-style", "voca",
                                  "faceformer", "pham17", "chun21", *measures.CONTROLS])
def test_every_system_animates_every_frame(made, clip, name):
    motion = measures.predict(name, made, clip)
    assert motion.shape == made.data.motion[clip].shape and np.isfinite(motion).all()


def test_the_truth_has_no_lip_error_in_any_form(made, clip):
    true = measures.exact_points(made.data, clip)
    found = measures.lip_scores(made.data, clip, true, true)
    assert max(found[name] for name in measures.LIP) < 1e-6
    assert found["sync"] == pytest.approx(found["sync_truth"])


def test_a_mouth_shifted_as_a_whole_is_seen_without_alignment_alone(made, clip):
    true = measures.exact_points(made.data, clip)
    found = measures.lip_scores(made.data, clip, true + np.float32([3, 0, 0]), true)
    assert found["lip_b_mean"] == pytest.approx(3, abs=1e-3) and found["lip_content"] < 1e-3
    assert found["lip_c_mean"] < 1e-3 and found["lip_d_mean"] < 1e-3


def test_scores_have_one_row_per_clip_and_the_oracle_is_best(made):
    names = ("control/oracle", "control/static-template")
    table = measures.scores("smoke", 0, names)
    assert table.groupby("system").size().tolist() == 2 * [len(measures.tested(made.data))]
    means = table.groupby("system")[["lip_b_mean", "vertex_error_mm", "upper_mm"]].mean()
    assert (means.loc[names[0]] < means.loc[names[1]]).all()


def test_a_change_inside_the_span_alone_does_not_leak(made):
    inside = np.zeros(90, bool)
    inside[30:60] = True
    axis = np.ones((90, 4))
    found = measures._locality(made.data, 0 * axis, axis * inside[:, None], axis, inside)
    assert found == {"leak_outside": 0, "delay_frames": 0, "irreversibility": 0}


def test_released_rule_never_finds_surprise_and_takes_the_median_class():
    among = ("neutral", "happy", "sad", "angry")
    logits = np.eye(7)[[0, 0, 2, 6, 6]] * 9
    found = measures.by_rules(logits, logits, among)
    assert found["median"] == "sad" and found["majority"] in ("neutral", "angry")
    assert measures.by_rules(np.eye(7)[[3] * 5] * 9, np.eye(7)[[3] * 5] * 9, among)["released"] != "surprised"


def test_log_odds_are_a_line_for_equal_variances_alone():
    table = measures.unequal_variances().set_index("ratio").r2_line
    assert table[1.0] == pytest.approx(1) and table[4.0] < 0.99


def test_printed_widths_contradict_the_networks():
    table = measures.architecture().set_index(["profile", "part"])
    assert table.inputs["code", "param_fixer"] == 184 and table.weights["code", "total"] == 1480736
    assert table.inputs["paper", "param_predictor"] == table.printed["paper", "param_predictor"] == 256


def test_the_cut_face_gives_the_scores_of_the_whole_one(made, clip):
    data, motion = made.data, made.data.floor[clip]
    whole = evaluate(data.vertices(clip, motion), data.truth(clip), data.template(clip), data.topology.regions,
                     data.topology.mm_per_unit)
    shown = common.cut(data).vertices(clip, motion)
    parts = common.region_scores(data, clip, shown, common.exact_points(data, clip))
    parts |= common.whole_face(data, clip, motion)
    assert parts.keys() == whole.keys()
    assert parts == pytest.approx(whole, rel=1e-3, abs=1e-7)
