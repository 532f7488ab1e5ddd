"""The stand-ins for released weights: a small speech encoder and two emotion judges."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import foundations, paths
from lib.data.clip import Phoneme
from lib.errors import InputError
from lib.models import speech
from lib.puppet import sentences, spec, voice

TINY = replace(foundations.SPEECH["smoke"], utterances=4, test_utterances=2, epochs=1)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The smoke scale with a recipe of seconds, and a cache of its own."""
    monkeypatch.setattr(paths, "CACHE", tmp_path)
    monkeypatch.setenv("STUDY_DATA", "")
    monkeypatch.setitem(foundations.SPEECH, "smoke", TINY)
    foundations._trained.cache_clear()
    yield tmp_path
    foundations._trained.cache_clear()


def test_an_r_coloured_vowel_is_two_phonemes_and_silence_is_none():
    assert [speech.PHONEMES[c - 1] for c in speech.classes("ɔːɹ")] == ["ɔː", "ɹ"]
    assert speech.classes("") == [] and speech.classes("i") == speech.classes("iː")
    with pytest.raises(KeyError, match="tɕh"):
        speech.classes("tɕh")


@pytest.mark.parametrize("bank", ["en-main", "en-judge", "en-ctc"])
def test_every_label_of_the_english_banks_is_known(bank):
    some = sentences.ids(bank)[:: len(sentences.ids(bank)) // 14]
    said = (voice.speak(sentences.text(s), voice.actor_voice(200)) for s in some)
    assert all(speech.classes(voice.bare(p.label)) is not None for one in said for p in one.phonemes)


def test_merging_repeats_and_dropping_blanks_decodes_a_path():
    path = torch.nn.functional.one_hot(torch.tensor([0, 3, 3, 0, 3, 5, 5, 0]), 8)
    assert speech.greedy_decode(path) == [3, 3, 5]


def test_phone_error_rate_counts_edits_per_true_phoneme():
    assert speech.edit_distance([1, 2, 3], [1, 3, 3, 4]) == 2          # one substituted, one inserted
    assert speech.phone_error_rate([[1, 2], []], [[1, 2], [3, 4]]) == 0.5


def test_frames_lie_where_those_of_the_released_encoder_lie():
    model = speech.SpeechEncoder(speech.SMOKE).eval()
    for samples in (400, 719, 720, 16000, 33333):
        assert model(torch.zeros(1, samples)).shape == (1, speech.frame_count(samples), len(speech.PHONEMES) + 1)
    assert [speech.frame_count(n) for n in (399, 400, 720, 16000)] == [0, 1, 2, 49]


def test_frames_are_labelled_by_what_sounds_in_their_middle():
    phonemes = (Phoneme("", 0.0, 0.1), Phoneme("m", 0.1, 0.2), Phoneme("ˈɔːɹ", 0.2, 0.4))
    said = foundations.label_frames(np.random.default_rng(0).normal(size=6400), phonemes)
    names = ["", *speech.PHONEMES]
    assert [names[c] for c in said.phones] == ["m", "ɔː", "ɹ"]
    assert said.centres_s == pytest.approx([0.15, 0.25, 0.35])
    assert [names[c] for c in said.frames] == [""] * 5 + ["m"] * 5 + ["ɔː"] * 5 + ["ɹ"] * 4


def test_a_crop_keeps_audio_frames_and_phonemes_in_step():
    said = foundations._speak(["en-ctc-001"], (200,), 1, 0, "")[0]
    audio, frames, phones = foundations._crop(said, np.random.default_rng(0), 1.0)
    assert len(frames) == 50 == speech.frame_count(len(audio))
    heard = [int(c) for c in torch.unique_consecutive(torch.from_numpy(frames)) if c != speech.BLANK]
    assert speech.edit_distance(heard, phones.tolist()) <= 2           # the ends may cut a phoneme


def test_training_is_cached_and_reported_and_a_twin_has_random_weights(tiny):
    first = foundations.speech_encoder("smoke")
    foundations._trained.cache_clear()
    again, twin = foundations.speech_encoder("smoke"), foundations.speech_encoder("smoke", pretrained=False)
    audio = voice.speak("Five warm apples.", voice.actor_voice(0)).audio
    features = first.features(audio)
    assert features.shape == (speech.frame_count(len(audio)), first.width) and features.dtype == np.float32
    assert np.array_equal(features, again.features(audio))
    assert twin.width == first.width and not np.allclose(twin.features(audio), features)
    assert np.array_equal(first.batch([audio, audio[:8000]], progress=False)[0], features)
    assert "phone" in foundations._speech_rows("smoke")[0][1] and not first.released


def test_features_do_not_depend_on_loudness():
    encoder = foundations.speech_encoder("smoke", pretrained=False)
    audio = voice.speak("Move the lamp.", voice.actor_voice(1)).audio
    assert encoder.features(audio / 4) == pytest.approx(encoder.features(audio), abs=2e-3)


def test_released_weights_are_used_where_their_files_are_found(tiny, monkeypatch):
    released = speech.SpeechEncoder(speech.SMOKE).encoder
    released.save_pretrained(tiny / "data" / foundations.RELEASED_ENCODER)
    monkeypatch.setenv("STUDY_DATA", str(tiny / "data"))
    encoder = foundations.speech_encoder("laptop")
    assert encoder.released and encoder.name == "facebook/wav2vec2-base-960h" and encoder.rate_hz == 50
    audio = np.sin(np.arange(8000) / 10).astype(np.float32)
    expected = released.eval()(torch.from_numpy(speech.normalise(audio))[None]).last_hidden_state[0]
    assert encoder.features(audio) == pytest.approx(expected.detach().numpy(), abs=1e-5)


def test_a_folder_without_weights_is_named_in_the_error(tiny, monkeypatch):
    (tiny / "empty" / foundations.RELEASED_ENCODER).mkdir(parents=True)
    monkeypatch.setenv("STUDY_DATA", str(tiny / "empty"))
    with pytest.raises(InputError, match="config.json"):
        foundations.speech_encoder("laptop")


def test_foundations_share_no_actor_with_the_corpus_nor_with_each_other():
    for scale in foundations.SPEECH:
        heard, faces = foundations.SPEECH[scale], foundations.JUDGES[scale]
        groups = (heard.actors, heard.test_actors, faces.actors, faces.test_actors, spec.LAPTOP.actors)
        assert len(set().union(*groups)) == sum(len(g) for g in groups)
    with pytest.raises(InputError, match="poster"):
        foundations.speech_encoder("poster")
    with pytest.raises(InputError, match="poster"):
        foundations.judges("poster")
