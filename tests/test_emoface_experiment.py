"""The experiment of paper 003 at smoke scale: what systems learn from, what they answer, what is measured on them."""

import numpy as np
import pytest
import torch

from lib.errors import InputError
from lib.experiments import emoface as trials
from lib.experiments import emoface_measures as measures
from lib.experiments.emoface import SIZES, SYSTEMS, PairCourse, between, course, material, measured, rigged, train
from lib.face import metahuman
from lib.models.emoface import EMOTIONS
from lib.paths import find_asset

needs_facegood = pytest.mark.skipif(find_asset("facegood_blendshapes") is None, reason="FACEGOOD is not on the machine")
needs_emoface = pytest.mark.skipif(find_asset("emoface_sample") is None, reason="EmoFace's sample is not here")


@pytest.fixture(scope="module")
def data():
    return rigged("smoke", 0)


# What systems learn from ----------------------------------------------------------------------------------------------


def test_controllers_shown_on_the_speakers_face_are_the_motion_of_the_draw(data):
    shown, clip = material("smoke", 0), 3
    found = trials.coefficients(shown, clip, data.motion[clip])
    assert np.abs(found - shown.motion[clip]).mean() < 0.02 * np.abs(shown.motion[clip]).mean()


def test_measured_frames_are_every_third_of_the_thirty_per_second(data):
    coarse, clip = measured("smoke", 0), 0
    assert coarse.fps == 10 and coarse.truth(clip).shape[0] == len(coarse.motion[clip])
    assert coarse.motion[clip][1] == pytest.approx(material("smoke", 0).motion[clip][3])


def test_batches_hold_whole_clips_cut_to_the_shortest_and_every_clip_once(data):
    taught = course(data, SYSTEMS["emoface"], SIZES["smoke"])
    batches = list(taught.batches(np.random.default_rng(0)))
    shortest = min(len(data.motion[clip]) for clip in taught.clips)
    assert sum(len(batch.motion) for batch in batches) == len(taught.clips)
    assert all(batch.motion.shape[1] >= shortest and batch.motion.shape[2] == 174 for batch in batches)
    assert all(batch.hidden.shape[1] == 2 * batch.motion.shape[1] for batch in batches)


def test_the_condition_is_the_label_and_a_constant_for_a_system_that_is_not_told(data):
    told, untold = (course(data, SYSTEMS[name], SIZES["smoke"]) for name in ("faceformer", "emotalk"))
    assert told.condition(0, 3).tolist() == [0, 0, 0, 1, 0, 0, 0] and told.condition_width == 7
    assert untold.condition(0, 3).tolist() == [1] and untold.condition_width == 1


def test_emotalk_pairs_a_sentence_of_one_actor_with_the_same_in_another_emotion():
    """Three clips: one sentence, happy (label 3) and sad (label 5), and another sentence, sad."""
    pairs = _pairs(sentences=["a", "a", "b"], labels=[3, 5, 5])
    assert [t.tolist() for t in pairs.targets()] == [[1], [0], [2]]            # the last one has no partner
    assert [d.tolist() for d in pairs.donors()] == [[0], [2], [1]]             # another sentence in that emotion


def test_an_emotion_without_any_pair_is_still_learned_from_its_own_clips(data):
    kept = course(data, SYSTEMS["emotalk/paired-only"], SIZES["smoke"])
    assert set(kept.labels) == set(course(data, SYSTEMS["emotalk"], SIZES["smoke"]).labels)


def test_emotalk_hears_standardised_acoustic_features_beside_those_of_speech(data):
    heard, width = rigged("smoke", 0, "acoustic"), trials.ACOUSTIC_WIDTH
    assert heard.audio_width == data.audio_width + width
    known = np.concatenate([heard.hidden[i][:, -width:] for i in data.rows("train").index])
    assert known.mean(0) == pytest.approx(np.zeros(width), abs=1e-3)


def test_random_features_are_drawn_with_the_seed_and_as_wide_as_taught_ones():
    one, other = (trials.untaught("smoke", seed).features(np.sin(np.arange(8000.0))) for seed in (0, 1))
    assert one.shape[1] == trials.foundation("smoke").width and not np.allclose(one, other)


def test_the_partners_window_is_stretched_to_the_pace_of_the_speech():
    pairs = _pairs(sentences=["a", "a", "b"], labels=[3, 5, 5])
    _, _, cross, own = pairs._pair((0, 0, 4), 1, 2)
    assert own[:, 0].tolist() == [0, 1, 2, 3] and cross[:, 0].tolist() == [0, 2, 4, 6]       # 7 frames for 4


def test_curves_between_frames_are_interpolated():
    assert between(np.array([[0.0], [2.0], [6.0]]), np.array([0.5, 1.75, 2.0]))[:, 0].tolist() == [1, 5, 6]


def _pairs(sentences: list[str], labels: list[int]) -> PairCourse:
    from types import SimpleNamespace

    import pandas as pd

    table = pd.DataFrame({"actor": 0, "sentence": sentences})
    motion = [np.arange(frames, dtype=np.float32)[:, None] for frames in (4, 7, 4)]
    data = SimpleNamespace(table=table, motion=motion, hidden=[np.repeat(m, 2, 0) for m in motion])
    return PairCourse(data, SIZES["smoke"], (), EMOTIONS, np.arange(3), np.array(labels))


# What they answer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_gives_174_controllers_for_every_frame(data, name):
    trained = train("smoke", 0, name, progress=False)
    clip = measures.unseen("smoke", 0)[0]
    answer = trained.curves(trained.data.hidden[clip], "happy")
    assert answer.shape == data.motion[clip].shape and np.isfinite(answer).all()
    assert trained.predict(trained.data.hidden[clip], clip).shape == material("smoke", 0).motion[clip].shape


@pytest.mark.parametrize(("name", "told"), [("emoface", True), ("faceformer", True), ("emotalk", False)])
def test_the_label_moves_only_those_who_are_told(name, told):
    trained = train("smoke", 0, name, progress=False)
    hidden = trained.data.hidden[0]
    assert np.any(trained.curves(hidden, "happy") != trained.curves(hidden, "sad")) == told


def test_a_label_per_frame_equals_one_label_where_it_is_constant(data):
    trained, hidden = train("smoke", 0, "emoface", progress=False), data.hidden[0]
    course = np.tile(np.eye(7)[EMOTIONS.index("sad")], (len(hidden) // 2, 1))
    assert trained.curves(hidden, course) == pytest.approx(trained.curves(hidden, "sad"), abs=1e-6)


def test_the_released_profile_answers_each_frame_alone_and_the_paper_profile_does_not():
    rows = measures.axis("smoke", 0).set_index(["system", "weights"])
    for weights in ("trained", "random"):
        assert rows.loc[("emoface/code", weights), ["positions", "queries"]].tolist() == [0, 0]
        assert rows.other_frames["emoface/code", weights] < 1e-5 < rows.other_frames["emoface", weights]
    assert rows.parameters["emoface", "random"] == 32_402_862                      # the published size


# What is measured -----------------------------------------------------------------------------------------------------


def test_every_score_has_the_named_columns_and_the_oracle_wins():
    table = measures.scores("smoke", 0, ("emoface", measures.ZERO, "control/oracle"))
    assert set(table["clip"][table.part == "unseen"]) == set(material("smoke", 0).rows("unseen")["clip"])
    assert set(measures.NATIVE) <= set(table) and {"vertex_error_mm", "lve_mm", "upper_mm", "achieved"} <= set(table)
    mean = table.groupby("system")[["mae_full", "mae_mouth", "vertex_error_mm"]].mean()
    assert mean.idxmin().tolist() == ["control/oracle"] * 3


def test_errors_by_area_of_the_zero_rig_are_the_mean_sizes_of_its_columns(data):
    clip = measures.unseen("smoke", 0)[0]
    found = measures.native(measures.heard("smoke", 0, clip), np.zeros_like(data.motion[clip]))
    eye = np.abs(data.motion[clip][:, metahuman.columns("eyes")]).mean()
    assert found["mae_eyes"] == pytest.approx(eye) and found["sync"] == 0 and found["lip_amplitude"] == 0


def test_the_truth_has_no_error_its_own_jerk_and_full_amplitude(data):
    clip = measures.unseen("smoke", 0)[0]
    found = measures.native(measures.heard("smoke", 0, clip), data.motion[clip])
    assert (found["mae_full"], found["closure_mm"], found["fast_mouth"]) == (0, 0, 0)
    assert found["jerk"] == pytest.approx(1) and found["lip_amplitude"] == pytest.approx(1)
    assert found["jerk_smooth"] < 1 < found["sync"] + 1


def test_blinks_of_the_truth_are_found_where_the_corpus_put_them(data):
    rows, deviations = data.rows("unseen"), []
    for clip in rows.index:
        made = trials.corpus("smoke")[data.table.position[clip]]
        expected = [t for t in made.blinks if 0 <= t + 0.12 < len(data.motion[clip]) / 30 - 0.05]
        deviations.append(abs(len(measures.blink_frames(data.motion[clip])) - len(expected)))
    assert np.mean(deviations) < 0.3


def test_sampled_blinks_close_eyes_that_learned_not_to():
    table = measures.blinks("smoke", 0).groupby("system").blinks.sum()
    assert table["emoface"] == 0 < table["emoface~blink=paper"] and table["truth"] > 0


def test_a_gaze_that_follows_loudness_can_be_learned_and_a_free_one_cannot():
    table = measures.gaze("smoke", 0).groupby("system")
    assert table.sd_ratio.mean()["regressor/tied"] > 0.7 and table.saccades_per_minute.mean()["emoface"] == 0


def test_a_hold_lasts_from_one_movement_to_the_next():
    path = np.zeros((61, 2))
    path[20:] = 0.3                                         # one saccade within a frame, after 20 of 60
    found = measures._movement(path, 30)
    assert found["longest_hold_s"] == pytest.approx(41 / 30)
    assert found["saccades_per_minute"] == pytest.approx(1 / (61 / 30 / 60))


def test_short_clips_make_blinks_look_frequent():
    """The published recipe on a law of 21 or 26 blinks per minute; the likelihood that knows the clips finds it."""
    table = measures.censoring("smoke").groupby("fit")[["true_per_minute", "per_minute"]].mean()
    assert table.per_minute["published recipe"] > 1.2 * table.true_per_minute["published recipe"]
    assert table.per_minute["short clips"] == pytest.approx(table.true_per_minute["short clips"], rel=0.12)


@needs_emoface
def test_the_published_intervals_give_the_printed_law_and_a_fifth_of_them_is_dropped():
    laws = measures.blink_laws().set_index("fit")
    assert laws.mu["published recipe"] == pytest.approx(3.518, abs=5e-4)
    assert laws.dropped["printed"] == pytest.approx(87 / 445)


@needs_emoface
def test_a_rig_at_rest_misses_the_published_recording_by_what_is_known():
    table = measures.published_clip().set_index(["area", "rig"]).mae
    assert table["full", "zero"] == pytest.approx(0.0868, abs=2e-4)
    assert table["full", "median"] < table["full", "zero"]


def test_mandarin_clips_are_measured_like_the_others():
    table = measures.mandarin("smoke", 0)
    assert table.part.unique().tolist() == ["mandarin"] and table[list(measures.NATIVE)].notna().all(axis=None)
    mean = table.groupby("system").mae_full.mean()
    assert mean.idxmin() == "control/oracle"


@needs_facegood
def test_real_takes_are_left_out_whole_and_the_mean_rig_is_of_the_others():
    data = trials.facegood("smoke", 0, "1114_3_15")
    assert set(data.rows("unseen")["take"]) == {"1114_3_15"} and "1114_3_15" not in set(data.rows("train")["take"])
    assert all(len(h) == 2 * len(m) == 300 for h, m in zip(data.hidden, data.motion, strict=True))


@needs_facegood
def test_an_unknown_take_is_named_with_the_known_ones():
    with pytest.raises(InputError, match="1114_9_99.*1114_2_01"):
        trials.facegood("smoke", 0, "1114_9_99")


def test_long_runs_are_three_times_the_median_training_clip(data):
    wanted = measures.LONGER * np.median([len(data.motion[i]) for i in data.rows("train").index])
    assert measures.long_clips("smoke", 0).frames.min() >= wanted


def test_timings_cover_every_stage_and_length():
    table = measures.timings("smoke")
    assert set(table.stage) == {"speech", "decoder"} and table.length_s.unique().tolist() == [0.5, 1.0]
    assert set(table.system) == {"speech", "emoface", "emoface/code", "emoface/ar-decoder"}
    assert (table.seconds > 0).all()


def test_the_autoregressive_decoder_learns_from_its_own_past(data):
    """With the true past replaced by what it made of it, the second pass differs from plain teacher forcing."""
    model = train("smoke", 0, "emoface/ar-decoder", progress=False).model
    batch = next(course(data, SYSTEMS["emoface/ar-decoder"], SIZES["smoke"]).batches(np.random.default_rng(0)))
    with torch.no_grad():
        forced = model.teacher_forced(batch.hidden[:, ::2], batch.emotion, batch.motion)
        assert not torch.allclose(trials._own_past(model, batch), forced)
