"""The stand-ins of the landmark papers: voices, planar judges, recognisers of frames, and lips against voice."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import foundations, paths
from lib import landmark_foundations as stand_ins
from lib.errors import InputError
from lib.experiments.draw import corpus
from lib.experiments.tracks import FPS, neutral, to_pixels, tracks
from lib.models import autovc, planar_judges
from lib.models.judges import displacement
from lib.puppet import sentences, spec, voice
from lib.puppet.head import head

FAST = replace(stand_ins.VOICES["smoke"], utterances=4, actors=(240, 241), test_actors=(264, 265), epochs=1,
               speaker_epochs=1)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """The smoke scale with a recipe of seconds, a cache of its own and no assets."""
    monkeypatch.setattr(paths, "CACHE", tmp_path)
    monkeypatch.setenv("STUDY_DATA", "")
    monkeypatch.setitem(stand_ins.VOICES, "smoke", FAST)
    stand_ins.converter.cache_clear()
    yield tmp_path
    stand_ins.converter.cache_clear()


def said(actor: int = 3) -> np.ndarray:
    return voice.speak("Five warm apples.", voice.actor_voice(actor)).audio


# Voices ---------------------------------------------------------------------------------------------------------------


def test_voices_are_trained_once_kept_and_named_by_what_they_are(bare):
    first = stand_ins.converter("smoke")
    key = stand_ins.converter_key("smoke")
    stand_ins.converter.cache_clear()
    again, sound = stand_ins.converter("smoke"), said()
    mel, converted, embedding = first.features(sound)
    assert mel.shape == converted.shape == (1 + len(sound) // autovc.HOP, 80) and embedding.shape == (32,)
    assert np.array_equal(again.convert(sound), converted) and stand_ins.converter_key("smoke") == key
    assert np.array_equal(again.mel(sound), mel) and np.array_equal(again.embedding(sound), embedding)
    assert not first.released and set(stand_ins.voices_scores("smoke")) >= {"reconstruction", "chance"}


def test_an_interrupted_training_ends_like_one_that_was_not(bare, monkeypatch):
    whole = stand_ins.converter("smoke").convert(said())
    for file in (bare / "foundations").iterdir():
        if not file.name.startswith("speakers"):
            file.unlink()
    stand_ins.converter.cache_clear()
    assert np.array_equal(stand_ins.converter("smoke").convert(said()), whole)


def test_released_files_are_used_where_both_are_found(bare, monkeypatch):
    kept = autovc.RELEASED | {"paper": ("pair/a.ckpt", "model"), "speaker": ("pair/b.ckpt", "model_b")}
    monkeypatch.setattr(autovc, "RELEASED", kept)
    monkeypatch.setattr(autovc, "RELEASED_CONFIG", {"paper": autovc.Config(8, 8, 16, 32, 32)})
    generator = autovc.Generator(autovc.RELEASED_CONFIG["paper"])
    speakers = autovc.SpeakerEncoder(autovc.SpeakerConfig(hidden=16, embedding=16))
    monkeypatch.setattr(autovc, "released_speaker_encoder", lambda: speakers.eval())
    monkeypatch.setattr(autovc, "released", lambda version: generator.eval())
    monkeypatch.setenv("STUDY_DATA", str(bare / "assets"))
    (bare / "assets" / "pair").mkdir(parents=True)
    torch.save({"model": generator.state_dict()}, bare / "assets" / "pair" / "a.ckpt")
    assert not stand_ins.converter("smoke").released                       # one file of two is no pair
    stand_ins.converter.cache_clear()
    torch.save({"model_b": speakers.state_dict()}, bare / "assets" / "pair" / "b.ckpt")
    found = stand_ins.converter("smoke")
    assert found.released and found.converter.generator is generator
    assert found.convert(said()).shape[1] == 80 and stand_ins.voices_scores("smoke") == {}


def test_conversion_hears_the_sound_and_not_only_the_length():
    voices = stand_ins.converter("smoke")
    one, two = (voice.speak(text, voice.actor_voice(0)).audio for text in ("Mama mows.", "She sees six seas."))
    frames = min(len(one), len(two)) // autovc.HOP
    assert np.abs(voices.convert(one)[:frames] - voices.convert(two)[:frames]).mean() > 0.2
    scores = stand_ins.voices_scores("smoke")
    assert scores["reconstruction"] < 0.9 * scores["variance"]
    assert scores["speaker from embedding"] > scores["chance"]


def test_features_of_the_corpus_are_the_voices_own_and_lie_in_time_with_the_faces():
    data = tracks("smoke", 0)
    voices, position = stand_ins.converter("smoke"), int(data.table.position[5])
    mel, converted, embedding = voices.features(corpus("smoke")[position].audio)
    assert stand_ins.converted_mels("smoke")[position] == pytest.approx(converted, abs=5e-3)
    assert stand_ins.plain_mels("smoke")[position] == pytest.approx(mel, abs=2e-3)
    assert data.speaker[5] == pytest.approx(embedding, abs=1e-6)       # stored by a run with other threads, perhaps
    assert [len(x) for x in data.converted] == [len(x) for x in data.landmarks] == [len(x) for x in data.mel]
    time_s = np.arange(len(data.mel[5])) / FPS
    expected = np.stack([np.interp(time_s, np.arange(len(mel)) / autovc.RATE, band) for band in mel.T], 1)
    assert data.mel[5] == pytest.approx(expected, abs=2e-3)
    assert data.key != tracks("smoke", 1).key and data.foundation == voices.name


def test_the_paper_scale_has_the_published_widths():
    recipe = stand_ins.VOICES["paper"]
    assert recipe.generator == autovc.RELEASED_CONFIG["makeittalk"] and recipe.speakers == autovc.SpeakerConfig()
    assert recipe.content == 1.0 and recipe.crop == autovc.CROP and recipe.batch == 2


def test_nearest_means_name_speakers_and_leave_the_row_itself_out():
    rows = np.array([[0.0], [0.2], [5.0], [5.1]])
    assert stand_ins._named(rows, np.array([0, 0, 1, 1])) == 1
    assert stand_ins._named(rows, np.array([0, 1, 0, 1])) == 0         # in its own mean a row would win by chance


# Emotion --------------------------------------------------------------------------------------------------------------


def test_planar_judges_see_pictures_and_the_unit_of_the_solid_ones():
    faces = corpus("smoke")[20]
    points = head().topology.landmarks
    solid = displacement(faces.landmarks(FPS), faces.neutral()[points]).reshape(-1, 68, 3)
    seen = displacement(planar_judges.lifted(to_pixels(faces.landmarks(FPS))),
                        planar_judges.lifted(to_pixels(faces.neutral()[points]))).reshape(-1, 68, 3)
    assert seen[..., :2] == pytest.approx(solid[..., :2], abs=1e-5) and not seen[..., 2].any()
    with pytest.raises(InputError, match="68, 2"):
        planar_judges.lifted(np.zeros((5, 68, 3)))


def test_planar_judges_know_emotions_of_unseen_actors_with_and_without_noise():
    scores = stand_ins.planar_scores("smoke")
    for name in ("statistics", "course"):
        assert scores[name]["truth"]["intensity >= 0.7"] > 0.9
        assert scores[name]["truth plus noise"]["intensity >= 0.7"] > 0.8
    for role in stand_ins.ROLES:
        kinds = scores[f"{role} recogniser"]
        assert kinds["truth"]["intensity >= 0.7"] > 0.7 and kinds["truth plus noise"]["intensity >= 0.7"] > 0.6
        assert 0 < kinds["truth"]["confidence"] <= 1


def test_judges_and_recognisers_decide_on_a_clip_of_the_corpus_among_the_emotions_that_can_occur():
    data = tracks("smoke", 0)
    clip = int(data.table.index[(data.table.emotion == "angry") & (data.table.intensity == 1.0)][0])
    chosen = ("neutral", "happy", "sad", "angry")
    for judge in stand_ins.planar_judges("smoke"):
        odds = judge.predict_proba(data.landmarks[clip], data.template(clip), emotions=chosen)
        assert odds.sum() == pytest.approx(1) and chosen[odds.argmax()] == "angry"
    for recogniser in stand_ins.recognisers("smoke"):
        odds = recogniser.softmax(data.landmarks[clip], data.template(clip), chosen)
        assert odds.shape == (len(data.landmarks[clip]), 4) and odds.sum(1) == pytest.approx(1)
        assert chosen[odds.mean(0).argmax()] == "angry"
        with pytest.raises(InputError, match="calm"):
            recogniser.softmax(data.landmarks[clip], data.template(clip), ("calm",))


def test_depth_tells_planar_networks_nothing():
    moved = torch.randn(2, 10, 204)
    other = moved + torch.randn_like(moved) * torch.from_numpy(1 - planar_judges.SEEN)
    for network in (planar_judges.PlanarNetwork(8).eval(), planar_judges.FrameNetwork(8).eval()):
        assert torch.equal(network(moved), network(other))


# Lips and voice -------------------------------------------------------------------------------------------------------


def test_proxy_sync_finds_shifts_and_is_sure_of_truth_alone():
    scores = stand_ins.sync_scores("smoke")
    assert scores["found true"] > 0.9 and scores["found shifted"] > 0.9 and scores["ranked"] > 0.9
    assert scores["confidence shuffled"] < 0.5 * scores["confidence true"]
    assert scores["confidence static"] < 0.5 * scores["confidence true"]


@pytest.mark.parametrize("shift", [-5, 0, 4])
def test_the_offset_of_a_corpus_clip_is_positive_where_its_sound_comes_early(shift):
    data, judge = tracks("smoke", 0), stand_ins.proxy_sync("smoke")
    clip = stand_ins.Spoken(data.landmarks[2], data.template(2), data.audio(2))
    assert stand_ins._moved(judge, clip, shift).offset == pytest.approx(shift, abs=1)


def test_windows_of_lips_and_sound_begin_at_the_same_time():
    moved = np.zeros((30, 204), np.float32)
    moved[12, 48 * 3] = 1                                               # one lip point at frame 12, 0.48 s
    sound = np.zeros(30 * 640, np.float32)
    sound[round(0.48 * 16000) : round(0.52 * 16000)] = np.sin(np.arange(640))
    lips, heard = planar_judges.lip_windows(moved), planar_judges.sound_windows(sound)
    assert lips.shape == (26, 5, 40) and heard.shape == (26, 20, 80)
    assert np.flatnonzero(lips.any((1, 2))).tolist() == list(range(8, 13))
    loud = heard.max((1, 2)) > heard.min() + 1
    assert np.flatnonzero(loud)[0] in (7, 8) and np.flatnonzero(loud)[-1] in (12, 13)       # 25 ms windows reach out


def test_the_contrast_is_that_of_chance_for_equal_windows_and_low_for_partners():
    network = planar_judges.SyncNetwork(planar_judges.SyncSizes(8, 4)).eval()
    lips, sounds = torch.randn(1, 1, 5, 40).expand(2, 6, 5, 40), torch.randn(1, 1, 20, 80).expand(2, 6, 20, 80)
    assert stand_ins.contrast(network, lips, sounds).item() == pytest.approx(np.log(6), abs=1e-4)


def test_too_short_a_clip_is_refused():
    judge, face = stand_ins.proxy_sync("smoke"), neutral(0)
    with pytest.raises(InputError, match="more than 5 frames"):
        judge.score(np.repeat(face[None], 5, 0), face, judge.hear(np.ones(16000, np.float32)))
    with pytest.raises(InputError, match="SyncNet"):
        judge.hear(np.ones(3000, np.float32))


# Who is heard and seen ------------------------------------------------------------------------------------------------


def test_no_stand_in_shares_actors_or_sentences_with_the_corpus():
    for scale in stand_ins.VOICES:
        voices, sync = stand_ins.VOICES[scale], stand_ins.SYNC[scale]
        measuring, learning = (stand_ins._recogniser_recipe(scale, role) for role in ("independent", "training"))
        groups = (spec.LAPTOP.actors, foundations.SPEECH[scale].actors, foundations.SPEECH[scale].test_actors,
                  measuring.actors, measuring.test_actors, learning.actors, voices.actors, voices.test_actors,
                  sync.actors, sync.test_actors)
        assert len(set().union(*groups)) == sum(map(len, groups))
    assert all(not s.startswith("en-main") for s in foundations._training_sentences())
    assert not {spec.LAPTOP.bank} & {"en-ctc", "en-judge"} and len(sentences.ids("en-main")) == 28


@pytest.mark.parametrize("name", ["converter", "planar_judges", "recognisers", "proxy_sync"])
def test_unknown_scales_are_refused(name):
    with pytest.raises(InputError, match="poster"):
        getattr(stand_ins, name)("poster")
