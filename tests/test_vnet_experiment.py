"""The experiment of Ventriloquist-Net at smoke scale: windows in time, who learns what, training, measures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.errors import InputError
from lib.experiments import vnet, vnet_measures
from lib.experiments.vnet import EMOTIONS, FRAMES, SIZES, SYSTEMS
from lib.models import vnet as models

SCALE, SEED = "smoke", 0


@pytest.fixture(scope="module")
def made():
    return vnet.material(SCALE, SEED)


def test_a_click_is_heard_at_the_frame_it_sounds_in():
    sound = np.full(32000, 1e-4, np.float32)
    sound[16000:16160] = 0.5                                       # at 1 s: frame 25, audio row 3 * 25 + 1
    rows = vnet.features(sound)
    assert rows["mel"].shape == (3 * 50 + 2, 80) and rows["mfcc"].shape == (3 * 50 + 2, 30)
    assert abs(int(rows["mel"].sum(1).argmax()) - (3 * 25 + 1)) <= 1


def test_sound_windows_line_up_with_frames_and_are_zero_beyond_the_end():
    rows = np.arange(3 * 40 + 2, dtype=np.float32)[:, None]
    windows = vnet.sound_windows(rows, [0, 20])
    assert windows.shape == (2, 1, models.AUDIO_FRAMES)
    assert windows[0, 0, 1] == 1 and windows[1, 0, 1] == 3 * 20 + 1
    assert windows[1, 0, 3 * 20 + 2 :].abs().max() == 0


@pytest.mark.parametrize("offsets", ["own", "published"])
def test_windows_of_many_clips_are_those_of_each_clip_and_end_with_its_last_frame(made, offsets):
    made = vnet.material(SCALE, SEED, offsets)
    clips = np.arange(6)
    starts = np.array([0, 3, 7, *(len(made.faces[i]) - 10 for i in clips[3:])])
    mel, mfcc, moved = made.windows(clips, starts)
    for k, (clip, start) in enumerate(zip(clips, starts, strict=True)):
        assert torch.equal(mel[k], vnet.sound_windows(made.mel[clip], [start])[0])
        assert torch.equal(mfcc[k], vnet.sound_windows(made.mfcc[clip], [start])[0])
        face = vnet.cut(torch.from_numpy(made.faces[clip]), [start])
        true = models.standardised(face) - made.mean_face if offsets == "published" else torch.from_numpy(
            vnet.off_face(face.numpy(), made.data.template(clip)))
        assert torch.allclose(moved[k], true[0], atol=1e-5)


def test_one_sp2emo_serves_every_exp2emo_that_learns_from_it(made):
    kinds = dict(zip(vnet.ALIKE, (vnet.emotion_networks(SCALE, SEED, "true", "all", *kind) for kind in vnet.ALIKE),
                     strict=True))
    plain, log = kinds["cosine", "own"]
    assert np.isnan(log[0]["agreement"]) and np.isfinite(log[-1]["agreement"])
    for other, other_log in kinds.values():
        assert [row["label"] for row in other_log] == [row["label"] for row in log]
        assert all(torch.equal(a, b) for a, b in zip(plain.speech.parameters(), other.speech.parameters(), strict=True))
    assert not torch.equal(plain.face.head[1].weight, kinds["argmax", "own"][0].face.head[1].weight)


def test_windows_of_a_course_are_offsets_from_the_own_neutral_face(made):
    batch = vnet.generator_course(made, SYSTEMS["vnet"], SIZES[SCALE]).windows(np.array([0]), np.random.default_rng(0))
    clip = int(vnet.training_clips(made.data, "all")[0])
    faces = vnet.on_face(batch.offsets[0].numpy(), made.data.template(clip))
    apart = [np.abs(faces - made.data.landmarks[clip][s : s + FRAMES]).max()
             for s in range(len(made.data.landmarks[clip]) - FRAMES + 1)]
    assert min(apart) < 1e-3


def test_published_windows_are_standardised_offsets_from_the_mean_face(made):
    made = vnet.material(SCALE, SEED, "published")
    batch = next(vnet.generator_course(made, SYSTEMS["vnet/published-offsets"], SIZES[SCALE]).batches(
        np.random.default_rng(0)))
    faces = batch.offsets + made.mean_face
    assert torch.allclose(faces.mean((1, 2)), torch.zeros(len(faces), 2), atol=1e-5)
    assert torch.allclose(faces.std((1, 2), correction=0), torch.ones(len(faces), 2), atol=1e-4)
    assert batch.mel.shape[1:] == (made.mel_bins, models.AUDIO_FRAMES) and batch.offsets.shape[1] == FRAMES


def test_the_released_reading_learns_from_the_first_window_alone(made):
    course = vnet.generator_course(made, SYSTEMS["vnet@code"], SIZES[SCALE])
    one, two = (course.windows(np.arange(3), np.random.default_rng(s)) for s in (0, 1))
    assert torch.equal(one.offsets, two.offsets)
    free = replace(course, starts="random")
    assert not torch.equal(free.windows(np.arange(3), np.random.default_rng(0)).offsets, one.offsets)


def test_labels_are_corrupted_as_named(made):
    clips = vnet.training_clips(made.data, "all")
    true = vnet.taught_labels(made, clips, "true")
    permuted = vnet.taught_labels(made, clips, "permuted")
    pairs = set(zip(true.tolist(), permuted.tolist(), strict=True))
    assert np.array_equal(true, made.labels[clips])
    assert len(pairs) == len(set(true.tolist())) and all(a != b for a, b in pairs)
    many = np.repeat(clips, 200)
    wrong = (vnet.taught_labels(made, many, 0.6) != made.labels[many]).mean()
    assert wrong == pytest.approx(0.6 * (1 - 1 / len(set(made.labels.tolist()))), abs=0.05)


def test_domains_differ_in_speakers(made):
    few = set(made.data.table.actor[vnet.training_clips(made.data, "labelled")])
    assert few < set(made.data.table.actor[vnet.training_clips(made.data, "all")])
    semi = SYSTEMS["vnet/semi-supervised"]
    assert len(vnet.emotion_course(made, semi, SIZES[SCALE]).clips) < len(
        vnet.generator_course(made, semi, SIZES[SCALE]).clips)


def test_offsets_go_onto_a_face_and_back(made):
    template, offsets = made.data.template(0), np.random.default_rng(0).normal(size=(4, 68, 2))
    assert np.allclose(vnet.off_face(vnet.on_face(offsets, template), template), offsets)
    assert np.array_equal(vnet.on_face(np.zeros((2, 68, 2)), template)[1], template)


def step_of(name, made, **changes):
    torch.manual_seed(0)
    system = replace(SYSTEMS[name], **changes)
    model = vnet.Networks(system, SIZES[SCALE].config, vnet.EmotionNetworks(SIZES[SCALE].config), made.mean_face)
    if system.pretrained:
        model.emotion.requires_grad_(False)
    batch = next(vnet.generator_course(made, system, SIZES[SCALE]).batches(np.random.default_rng(0)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    vnet._step(model, batch, *vnet._optimisers(model, SIZES[SCALE]))
    return {key.split(".")[0] + "." + key.split(".")[1] for key, value in model.state_dict().items()
            if not torch.equal(value, before[key]) and "num_batches" not in key}


def test_a_step_moves_generator_and_discriminator_and_nothing_that_is_frozen(made):
    moved = step_of("vnet", made)
    assert {"generator.encoder", "generator.branches", "critic.first"} <= moved
    assert not any(name.startswith("emotion") for name in moved)


def test_without_pre_training_everything_moves_at_once(made):
    moved = step_of("vnet/no-pretrain", made)
    assert {"emotion.speech", "emotion.face", "generator.encoder"} <= moved


def test_without_its_loss_the_discriminator_stays_as_it_is(made):
    assert not any(name.startswith("critic") for name in step_of("vnet/no-discriminator", made))


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_the_discriminator_stays_alive_while_it_learns(made, scale):
    """A narrow one answers alike to truth and prediction after fifteen steps, and no gradient comes back from it."""
    torch.manual_seed(0)
    config, size = SIZES[scale].config, SIZES["laptop"]
    model = vnet.Networks(SYSTEMS["vnet"], config, vnet.EmotionNetworks(config).requires_grad_(False), made.mean_face)
    optimisers, batches = vnet._optimisers(model, size), vnet._endless(
        vnet.generator_course(made, SYSTEMS["vnet"], SIZES[SCALE]))
    for _ in range(20):
        vnet._step(model, next(batches), *optimisers)
    truth = vnet.watched_windows(made)
    made_up = model(truth.mel, truth.mfcc)[0].offsets.detach().requires_grad_()
    verdicts = model.critic(made_up)
    verdicts.sum().backward()
    assert made_up.grad.abs().sum() > 0
    assert (model.critic(truth.offsets).mean() - verdicts.mean()).abs() > 1e-3


def test_exp2emo_learns_to_agree_and_never_teaches_sp2emo(made):
    networks = vnet.EmotionNetworks(SIZES[SCALE].config)
    batch = next(vnet.emotion_course(made, SYSTEMS["vnet"], SIZES[SCALE]).batches(np.random.default_rng(0)))
    networks.losses(batch)["agreement"].backward()
    assert all(p.grad is None for p in networks.speech.parameters())
    assert all(p.grad is not None for p in networks.face.parameters())


@pytest.mark.parametrize("name", ["vnet", "vnet@code", "vnet/no-emotion", "vnet/absolute-target-bias", "vnet/rnn"])
def test_trained_systems_predict_every_frame(made, name):
    trained = vnet.train(SCALE, SEED, name)
    clip = int(made.data.rows("unseen").index[0])
    landmarks = trained.landmarks(clip)
    assert landmarks.shape == made.data.posed[clip].shape and np.isfinite(landmarks).all()
    assert np.array_equal(landmarks, trained.landmarks(clip))
    assert trained.curve[0]["step"] == 0 and trained.curve[-1]["step"] == SIZES[SCALE].steps


def test_an_unknown_system_is_refused():
    with pytest.raises(InputError, match="vnet/no-masks"):
        vnet.train(SCALE, SEED, "vnet/nothing")


def test_gain_one_changes_nothing_and_gain_zero_forgets_the_voice(made):
    trained = vnet.train(SCALE, SEED, "vnet")
    clips = made.data.rows("unseen").index[:2]
    frames = min(len(made.data.posed[i]) for i in clips)
    rows = [(made.mel[clips[0]][: 3 * frames + 2], made.mfcc[i][: 3 * frames + 2]) for i in clips]
    assert np.array_equal(trained.offsets(*rows[0], frames), trained.offsets(*rows[0], frames, gain=1.0))
    one, two = (trained.offsets(*pair, frames, gain=0.0) for pair in rows)
    assert np.allclose(one, two, atol=1e-6)                        # same mel, other MFCC: no longer heard


def test_the_truth_scores_as_the_truth(made):
    clip = int(made.data.rows("unseen").index[0])
    found = vnet_measures.score(made.data, clip, made.data.landmarks[clip])
    assert found["energy"] == pytest.approx(1) and found["jerk"] == pytest.approx(1)
    assert found["head_energy"] < 0.1 and found["sync_px"] > 0 and found["lips_px"] < 0.1


def test_a_moving_head_is_compared_with_a_moving_head(made):
    clip = int(made.data.rows("unseen").index[0])
    found = vnet_measures.score(made.data, clip, made.data.posed[clip], moves=True)
    assert [found[name] for name in ("energy", "jerk", "head_energy", "upper_energy")] == pytest.approx([1] * 4)
    assert found["lips_px"] < 1.5                                  # what registration of posed landmarks leaves
    assert vnet_measures.moves("vnet/published-offsets,no-discriminator") and not vnet_measures.moves("vnet")


def test_a_window_too_short_to_judge_has_no_row(made, monkeypatch):
    clip = int(made.data.rows("unseen").index[0])
    rows = vnet_measures._windows(SCALE, SEED, "control/truth", clip)
    left = [len(made.data.landmarks[clip]) - s for s in models.window_starts(len(made.data.landmarks[clip]))]
    assert len(rows) == sum(n >= vnet_measures.LEAST_FRAMES for n in left)
    monkeypatch.setattr(vnet_measures, "LEAST_FRAMES", FRAMES)
    assert len(vnet_measures._windows(SCALE, SEED, "control/truth", clip)) == sum(n >= FRAMES for n in left)


def test_a_face_that_turns_from_one_emotion_to_another_is_tracked_at_any_size(made):
    rng, still = np.random.default_rng(0), np.zeros((100, 68, 2))
    axes = [rng.normal(size=(len(vnet_measures.GROUPS["upper"]), 2)) * size for size in (1.0, 5.0)]
    course = np.repeat([1.0, -1.0], 50)
    still[:50, vnet_measures.GROUPS["upper"]], still[50:, vnet_measures.GROUPS["upper"]] = axes
    assert vnet_measures._course_correlation(still, np.zeros((68, 2)), axes, course) == pytest.approx(1)


def test_blinks_are_counted(made):
    face = np.repeat(made.data.template(0)[None], 50, 0).astype(float)
    for start in (10, 30):
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            face[start : start + 3, upper] = face[start : start + 3, lower]
    assert vnet_measures.blink_count(face) == 2


def test_joined_clips_keep_their_order(made):
    pair = tuple(int(i) for i in made.data.rows("unseen").index[:2])
    frames = sum(len(made.data.posed[i]) for i in pair)
    mel, mfcc = vnet_measures.joined(made, pair, frames)
    first = len(made.data.posed[pair[0]])
    assert mel.shape[0] == mfcc.shape[0] == 3 * frames + 2
    assert np.array_equal(mfcc[3 * first + 1], made.mfcc[pair[1]][1])


def test_masks_are_exact_in_the_trained_networks():
    reach = vnet_measures.gradient_reach(SCALE, SEED).set_index("reading")
    assert reach.speech_to_upper["vnet@paper"] == 0 and reach.speech_to_upper["vnet@code"] > 0
    assert reach.mouthloss_in_emotion_branch["vnet@paper"] == 0
    assert reach.mouthloss_in_emotion_branch["vnet@paper, mouth loss on the sum"] > 0
    assert reach.emotion_to_upper["vnet@paper"] > reach.emotion_to_mouth["vnet@paper"] > 0
    assert reach.emotionloss_in_lingual_branch["vnet@paper"] > 0   # the critic sees the lips too


def test_gradients_per_point_are_those_of_single_points():
    source = torch.randn(3, requires_grad=True)
    weights = torch.tensor([[3.0, 0.0, 4.0], [0.0, 12.0, 0.0]])     # two points, gradients of length 5 and 12
    points = (weights @ source)[None, None, :, None]
    assert vnet_measures._per_point(points, source) == pytest.approx((13**2 / 2) ** 0.5)


def test_the_last_frame_is_out_of_reach_of_a_convolution_and_not_of_a_recurrence():
    found = vnet_measures.time_gradients(SCALE, SEED).set_index("system").first_over_last
    assert found["vnet"] == 0 < found["vnet/rnn"]


def test_a_real_clip_counts_once_however_many_seeds_drew_it():
    from lib.experiments.vnet_real import real_table

    columns = ("face_px", "lips_px", "opening_px", "sync_px", "energy")
    scores = pd.DataFrame([{"system": "vnet", "seed": s, "clip": c, **dict.fromkeys(columns, v)}
                           for s, c, v in ((0, "a", 1.0), (1, "a", 3.0), (0, "b", 6.0))])
    row = real_table(scores).iloc[0]
    assert row.face_px == 4 and row.clips == 2 and row["seeds per clip"] == "1 to 2"


def test_classes_keep_the_order_of_the_released_labels():
    assert EMOTIONS == ("angry", "contempt", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")


def test_the_player_gets_landmarks_that_follow_the_voice():
    from lib.experiments.vnet_animator import HEARD, animator

    shown = animator(SCALE, SEED)
    _, sound = shown.clips[0]
    points, faces = shown.landmarks(sound, HEARD, 1.0), shown.animate(sound, HEARD, 1.0)
    assert points.shape[1:] == (68, 2) and len(points) == len(faces) and np.isfinite(faces).all()
    assert faces.shape[1] == shown.topology.n_vertices
    assert not np.array_equal(faces, shown.animate(sound, HEARD, 3.0))
    with pytest.raises(InputError, match="emotions heard"):
        shown.animate(sound, "happy", 1.0)
    with pytest.raises(InputError, match="speakers are actor"):
        shown.animate(sound, HEARD, 1.0, "nobody")
