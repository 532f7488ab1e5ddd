"""The experiment of paper 000 at smoke scale: triplets, steps, variants, material, measures and the slider."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib import player
from lib.errors import InputError
from lib.experiments import cfd, cfd_measures
from lib.experiments.cfd import READINGS, SIZES, SYSTEMS, System, course, material, named, train, weights_of
from lib.experiments.cfd_material import MANNER, WORD_FRAMES
from lib.face.landmark_mesh import landmark_topology, lines, ribbons
from lib.models.cfd import CFD, PAPER, weights

SCALE, SEED = "smoke", 0


@pytest.fixture(scope="module")
def data():
    return material(SCALE, SEED)


@pytest.fixture(scope="module")
def learned(data):
    return course(data, System(), SIZES[SCALE])


# Triplets -------------------------------------------------------------------------------------------------------------


def test_a_triplet_is_two_clips_of_a_video_and_one_of_another_session_of_the_person(data, learned):
    rng, table = np.random.default_rng(0), data.table
    for row in learned.clips:
        same, other = (learned._partner(view, row, rng) for view in ("same", "other"))
        assert learned.video[same] == learned.video[row]
        assert learned.video[other] != learned.video[row]
        assert table.actor[other] == table.actor[row] == table.actor[same]
        assert table.session[other] != table.session[row]
        assert table.part[same] == table.part[other] == "train"


def test_videos_that_are_sessions_hold_several_emotions(data):
    by_session = course(data, replace(System(), video="session"), SIZES[SCALE])
    videos = pd.Series(by_session.video[by_session.clips])
    assert videos.nunique() == data.rows("train").groupby(["actor", "session"]).ngroups
    assert videos.nunique() < pd.Series(course(data, System(), SIZES[SCALE]).video[by_session.clips]).nunique()


def test_step_1_has_as_many_windows_as_step_2_has_with_its_triplets(learned):
    one, two = learned.at(1), learned.at(2)
    assert one.size.batch == 3 * two.size.batch and one.views == () and two.views == ("same", "other")
    first = next(iter(two.batches(np.random.default_rng(0))))
    assert set(first.views) == {"same", "other"} and first.fixed["expression"].shape[1] == 4


def test_weights_of_eq_5_come_from_a_recogniser_from_labels_or_from_nowhere(data):
    def lam(kind):
        learned = course(data, System(weights=kind), SIZES[SCALE]).at(2)
        batch = next(iter(learned.batches(np.random.default_rng(0))))
        return cfd.similarities(learned.system, (batch, batch.views["same"], batch.views["other"]))

    assert all((x >= 0).all() and (x <= 1 + 1e-6).all() for x in lam("recogniser"))
    same, other = lam("labels")
    assert (same == 1).all() and set(other.tolist()) <= {0.0, 1.0}
    assert [x.unique().tolist() for x in lam("none")] == [[1.0], [0.0]]


def test_losses_are_in_pixels_and_only_weighted_ones_train(data, learned):
    second = learned.at(2)
    torch.manual_seed(0)
    model = CFD(cfd.config(System(), SIZES[SCALE]))
    batch = next(iter(second.batches(np.random.default_rng(0))))
    named_losses = cfd.losses_of(model, second)(batch)
    moved = batch.landmarks - batch.template[:, None]
    with torch.no_grad():
        assert 0.3 < named_losses["landmark"].item() / moved.abs().mean().item() < 3
    assert not named_losses["identity_variance"].requires_grad and named_losses["identity"].requires_grad
    assert weights_of(System()) == {"landmark": 1.0, "emotion": 1.0, "identity": 1.0}
    assert weights_of(SYSTEMS["cfd/no-emotion-loss"]) == {"landmark": 1.0, "emotion": 0.0, "identity": 0.0}
    assert weights_of(System(unit="face"))["landmark"] == pytest.approx(1.6 / 150)


def test_spread_of_a_constant_code_is_zero_and_of_speakers_apart_is_their_distance():
    speaker = torch.tensor([0, 1])
    constant = torch.ones(3, 2, 4, 5)
    assert all(value.item() == 0 for value in cfd.spread("x", constant, speaker).values())
    apart = torch.tensor([0.0, 1.0])[None, :, None, None].expand(3, 2, 4, 5)
    found = cfd.spread("x", apart, speaker)
    assert found["x_cross"].item() == 1 and found["x_rs"].item() == found["x_rp"].item() == 0


# Training -------------------------------------------------------------------------------------------------------------


def test_every_published_width_stands_at_paper_scale():
    assert cfd.config(SYSTEMS["cfd"], SIZES["paper"]) == PAPER
    assert cfd.config(READINGS["cfd/three-layer MLP_c (C5)"], SIZES["paper"]).content_hidden == (256, 256)
    assert weights(CFD(cfd.config(SYSTEMS["cfd/style-256"], SIZES["paper"]).__class__(style_input="sum"))) > 0


def test_variants_share_their_first_step_and_differ_in_the_second():
    full, bare, plain = (train(SCALE, SEED, name, progress=False)
                         for name in ("cfd", "cfd/no-emotion-loss", "cfd/no-style"))
    for name, value in plain.model.content.state_dict().items():
        assert torch.equal(full.model.content.state_dict()[name], value)
        assert torch.equal(bare.model.content.state_dict()[name], value)
    assert full.first == bare.first == plain.first
    assert any(not torch.equal(value, bare.model.style.state_dict()[name])
               for name, value in full.model.style.state_dict().items())


def test_training_lowers_the_landmark_loss_and_logs_the_codes_every_epoch():
    trained = train(SCALE, SEED, "cfd", progress=False)
    assert trained.first[-1]["landmark"] < trained.first[0]["landmark"]
    wanted = {f"{code}_{what}" for code in ("emotion", "identity") for what in ("rs", "rp", "variance")}
    assert all(wanted <= set(row) for row in trained.log)


def test_a_run_taken_from_the_cache_is_the_run(data):
    first = train(SCALE, SEED, "cfd", progress=False)
    train.cache_clear()
    again = train(SCALE, SEED, "cfd", progress=False)
    assert first is not again and first.log == again.log
    clip = data.rows("unseen").index[0]
    assert np.array_equal(first.predict(clip), again.predict(clip))


@pytest.mark.parametrize("name", ["cfd", "cfd/no-style", "cfd/single-encoder", "cfd/width-matched", "cfd/plain-mel"])
def test_every_network_answers_with_landmarks_in_pixels(data, name):
    clip = data.rows("unseen").index[0]
    pred = train(SCALE, SEED, name, progress=False).predict(clip)
    assert pred.shape == data.landmarks[clip].shape
    assert np.abs(pred - data.template(clip)).max() < 40


def test_unknown_systems_are_answered_with_those_known():
    with pytest.raises(InputError, match="'cfd/x' is unknown; there are cfd, cfd/no-style"):
        named("cfd/x")


# Material -------------------------------------------------------------------------------------------------------------


def test_one_word_clips_are_the_middle_of_the_whole_ones_in_sound_and_picture(data):
    words = material(SCALE, SEED, "one-word")
    for i in data.rows("unseen").index:
        start = words.starts[i]
        assert np.array_equal(words.landmarks[i], data.landmarks[i][start : start + WORD_FRAMES])
        assert np.array_equal(words.converted[i], data.converted[i][start : start + WORD_FRAMES])
        assert len(words.audio(i)) == round(1.16 * 16000)
    assert words.key != data.key


def test_in_one_manner_the_same_sentence_moves_all_speakers_alike_and_the_own_face_stays(data):
    alike = material(SCALE, SEED, "one-manner")
    for i in data.rows("train").index:
        assert alike.landmarks[i].shape == data.landmarks[i].shape
        same = np.allclose(alike.landmarks[i], data.floor[i], atol=1e-3)
        assert same == (data.table.actor[i] == MANNER)
        assert np.array_equal(alike.template(i), data.template(i))


# Measures -------------------------------------------------------------------------------------------------------------


def test_equal_error_rate_of_separated_mixed_and_reversed_distances():
    low, high = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    assert cfd_measures.equal_error_rate(low, high) == 0
    assert cfd_measures.equal_error_rate(high, low) == 1
    ramp = np.arange(100.0)
    assert cfd_measures.equal_error_rate(ramp, ramp) == pytest.approx(0.5, abs=0.01)


def test_verification_by_hand():
    tracks = [np.full((4, 1), value) for value in (0.0, 0.2, 1.0, 1.2)]
    found = cfd_measures.verification(tracks, pd.Series([0, 0, 1, 1]), pd.Series([0, 1, 0, 1]))
    assert found["within"] == pytest.approx(0.2) and found["between"] == pytest.approx(1.0)
    assert found["within_over_between"] == pytest.approx(0.2) and found["speaker_eer"] == 0


def test_explained_variance_is_one_for_a_factor_that_decides_and_about_zero_for_one_that_does_not():
    labels = np.repeat(np.arange(4), 50)
    assert cfd_measures.explained(labels.astype(float), labels) == pytest.approx(1)
    noise = np.random.default_rng(0).standard_normal(200)
    assert abs(cfd_measures.explained(noise, labels)) < 0.05
    assert np.isnan(cfd_measures.explained(noise, np.arange(200)))


def test_components_keep_what_varies_together_whatever_its_unit():
    shared = np.random.default_rng(0).standard_normal(50)
    values = np.stack([shared, 1000 * shared, -0.01 * shared, np.full(50, 7.0)], 1)
    found = cfd_measures.components(values, 2)
    assert abs(np.corrcoef(found[:, 0], shared)[0, 1]) == pytest.approx(1)
    assert np.abs(found[:, 1]).max() < 1e-9


def test_lip_opening_is_measured_in_eye_distances():
    face = np.zeros((1, 68, 2))
    face[0, 45, 0], face[0, 66, 1] = 80.0, 20.0
    assert cfd_measures.lips_over_eyes(face).tolist() == [0.25]
    assert cfd_measures.lips_over_eyes(3 * face).tolist() == [0.25]


def test_the_walk_starts_at_the_prediction_and_goes_both_ways(data):
    trained, axis = train(SCALE, SEED, "cfd", progress=False), cfd_measures.principal_axis(SCALE, SEED)
    clip = data.rows("unseen").index[0]
    there, here, back = (cfd_measures.walked(trained, trained.course.feature[clip], clip, sds, axis)
                         for sds in (-2.0, 0.0, 2.0))
    assert np.allclose(here, trained.predict(clip), atol=1e-4)
    assert np.linalg.norm(axis[1]) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(there, back, atol=1e-4)


def test_a_swap_with_the_own_code_is_no_swap(data):
    trained = train(SCALE, SEED, "cfd", progress=False)
    clip = int(data.rows("unseen").index[0])
    assert np.allclose(cfd_measures.swapped_face(trained, clip, clip), trained.predict(clip), atol=1e-4)
    other = cfd_measures.unlike(data, clip)
    assert data.table.emotion[other] != data.table.emotion[clip] and data.table.actor[other] != data.table.actor[clip]


def test_codes_within_and_across_videos_by_hand():
    tracks = [np.full((4, 1), value) for value in (0.0, 0.2, 1.0, 5.0)]     # two clips of a video, another, a stranger
    found = cfd_measures.within_and_across(tracks, pd.Series([0, 0, 0, 1]), pd.Series([0, 0, 1, 2]))
    assert found["within"] == pytest.approx(0.2) and found["across"] == pytest.approx(0.9)
    alone = [np.array([[0.0], [0.2]]), np.array([[1.0], [1.2]])]            # one clip per video: halves stand for two
    found = cfd_measures.within_and_across(alone, pd.Series([0, 0]), pd.Series([0, 1]))
    assert found["within"] == pytest.approx(0.2) and found["across"] == pytest.approx(1.0, abs=0.01)


def test_the_style_branch_owes_nothing_to_an_identity_code_that_it_does_not_have():
    assert cfd_measures.identity_share(train(SCALE, SEED, "cfd/no-identity", progress=False)) == 0
    assert cfd_measures.identity_share(train(SCALE, SEED, "cfd", progress=False)) > 0


def test_the_mean_identity_code_is_that_of_the_training_clips_and_any_code_can_be_given(data):
    mean = cfd_measures.mean_identity(SCALE, SEED, "cfd").numpy()
    codes = cfd_measures.codes(SCALE, SEED, "cfd")["identity"]
    assert np.allclose(mean, np.mean([codes[i].mean(0) for i in data.rows("train").index], axis=0), atol=1e-6)
    clip = int(data.rows("unseen").index[0])
    faces = [cfd_measures.other_identity(SCALE, SEED, "cfd", clip, which) for which in ("mean", "0", "other")]
    assert all(face.shape == data.landmarks[clip].shape for face in faces)
    assert not np.allclose(faces[0], faces[1], atol=1e-6)


def test_makeittalk_from_the_template_is_one_network_for_whole_and_cut_clips(data):
    words = material(SCALE, SEED, "one-word")
    clip = int(data.rows("unseen").index[0])
    whole, cut = (cfd_measures.predictor(SCALE, SEED, f"{kind}makeittalk/template")(clip)
                  for kind in ("", "one-word: "))
    assert np.array_equal(cut, words.cut(whole, clip))
    assert not np.allclose(whole, cfd_measures.predictor(SCALE, SEED, "makeittalk")(clip))


def test_the_detector_looks_at_true_frames_as_it_looks_at_those_of_pcavs(data):
    clip = int(data.rows("unseen").index[0])
    at, found = cfd_measures.detected_truth(SCALE, SEED, clip)
    assert at.tolist() == list(range(0, len(data.landmarks[clip]), cfd_measures.RENDERED_FRAMES))
    assert found.shape == (len(at), 68, 2)
    assert np.linalg.norm(found - data.landmarks[clip][at], axis=-1).mean() < 10


def test_disturbed_sound_has_the_noise_it_is_named_after():
    rng, tone = np.random.default_rng(0), np.sin(np.arange(16000) / 10).astype(np.float32)
    for kind, ratio in (("noise 20 dB", 0.1), ("noise 10 dB", 10**-0.5)):
        noise = cfd_measures.disturbed(tone, kind, rng) - tone
        assert noise.std() / tone.std() == pytest.approx(ratio, rel=0.02)
    at = np.arange(16000) / 16000
    low, middle, high = (np.sin(2 * np.pi * hz * at).astype(np.float32) for hz in (100, 1000, 5000))
    assert cfd_measures.disturbed(low + middle + high, "telephone", rng) == pytest.approx(middle, abs=1e-4)
    assert np.array_equal(cfd_measures.disturbed(tone, "clean", rng), tone)


# The slider -----------------------------------------------------------------------------------------------------------


def test_landmarks_drawn_as_ribbons_keep_their_places_and_the_width_of_the_lines():
    points = np.random.default_rng(0).uniform(-50, 50, (2, 68, 2)).astype(np.float32)
    vertices = ribbons(points, width=2.0)
    assert vertices.shape == (2, landmark_topology().n_vertices, 3) and (vertices[..., 2] == 0).all()
    assert np.array_equal(vertices[:, :68, :2], points)
    corners = vertices[:, 68:].reshape(2, len(lines()), 4, 3)
    assert np.allclose(np.linalg.norm(corners[:, :, 0] - corners[:, :, 1], axis=-1), 2, atol=1e-4)
    assert landmark_topology().faces.max() < vertices.shape[1]
    with pytest.raises(InputError, match="expected"):
        ribbons(points[0])


def test_the_player_drives_the_slider_and_zero_is_the_same_at_both_ends():
    animator = player.load("cfd", SCALE)
    sound = animator.clips[0][1][:16000]
    excited, solemn = (animator.animate(sound, end, 0.0) for end in ("excited", "solemn"))
    assert excited.shape == (25, animator.topology.n_vertices, 3) and np.array_equal(excited, solemn)
    moved = [animator.animate(sound, end, 1.0) for end in ("excited", "solemn")]
    assert not np.allclose(*moved, atol=1e-5)
    assert (player.lip_opening(excited, animator.topology) > 0).all()
    scene = player.Playground({"cfd": animator}).scene()
    assert np.isfinite(scene.vertices).all() and scene.face.paint.shape == (animator.topology.n_vertices, 4)
    with pytest.raises(InputError, match="joyful"):
        animator.landmarks(sound, "joyful", 1.0)


def test_codes_of_many_clips_are_those_of_each(data):
    trained = cfd.train(SCALE, SEED, "cfd")
    features = [trained.course.feature[i] for i in (0, 5, 9)]
    together = cfd_measures.codes_of(trained, features)
    for k, x in enumerate(features):
        alone = trained.codes(x)
        for code, tracks in together.items():
            assert np.allclose(tracks[k], getattr(alone, code)[0].numpy(), atol=1e-5) and len(tracks[k]) == len(x)
    bare = cfd_measures.codes_of(cfd.train(SCALE, SEED, "cfd/no-style"), features)
    assert set(bare) == {"content"} and set(together) == set(cfd_measures.CODES)
