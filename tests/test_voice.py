"""The voice: the same samples every time, phoneme times that tile the audio, prosody that follows acted speech."""

import multiprocessing
import time
from dataclasses import replace

import numpy as np
import pytest

from lib import paths
from lib.errors import InputError
from lib.puppet import prosody, voice
from lib.puppet.sentences import BANKS, ids, language, text

BREATHY = replace(voice.actor_voice(0), variant="f5")     # f5 holds noise that eSpeak seeds with the clock


def _spoken(actor: int) -> bytes:
    settings = voice.voice_settings(actor, "angry", 0.7, np.random.default_rng(actor))
    return voice.speak("Five warm apples.", settings).audio.tobytes()


def test_a_sentence_sounds_the_same_to_the_bit_on_every_call():
    assert len({voice.speak("Move the lamp a bit.", BREATHY).audio.tobytes() for _ in range(3)}) == 1


def test_a_server_started_a_second_later_speaks_the_same_samples():
    first = voice.speak("Move the lamp a bit.", BREATHY).audio
    voice._close()
    time.sleep(1.1)                                        # eSpeak's own seed would change with the clock's second
    assert np.array_equal(voice.speak("Move the lamp a bit.", BREATHY).audio, first)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_speak_the_same_samples_as_this_one(method):
    here = [_spoken(actor) for actor in range(4)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_spoken, range(4)) == here


def test_a_server_that_was_killed_is_replaced():
    before = _spoken(0)
    server = voice._server()
    server.process.kill()
    server.process.wait()
    assert _spoken(0) == before
    assert voice._server() is not server


@pytest.mark.parametrize("sentence", ["en-main-000", "zh-main-000"])
def test_phonemes_tile_the_audio_from_start_to_end(sentence):
    settings = voice.voice_settings(3, "sad", 1.0, language=language(sentence))
    speech = voice.speak(text(sentence), settings)
    starts = [p.start_s for p in speech.phonemes]
    ends = [p.end_s for p in speech.phonemes]
    assert starts[0] == 0.0 and ends[-1] == pytest.approx(len(speech.audio) / 16000)
    assert starts[1:] == pytest.approx(ends[:-1]) and all(e > s for s, e in zip(starts, ends, strict=True))
    assert speech.phonemes[0].label == speech.phonemes[-1].label == voice.SILENCE


def test_phoneme_times_hold_what_they_name():
    speech = voice.speak("Papa saw a pea.", voice.actor_voice(1))
    spans = {p.label: slice(int(p.start_s * 16000), int(p.end_s * 16000)) for p in speech.phonemes}
    level = {label: np.abs(speech.audio[span]).mean() for label, span in spans.items()}
    assert [voice.bare(p.label) for p in speech.phonemes][1:5] == ["p", "ɑː", "p", "ə"]
    assert level["ˈɑː"] > 3 * level["p"]                  # an open vowel is louder than closed lips
    assert np.all(speech.audio[: int(0.14 * 16000)] == 0)


def test_intensity_zero_is_the_neutral_voice_whatever_the_emotion():
    neutral = [voice.voice_settings(2, "neutral", x, np.random.default_rng(1)) for x in (0.0, 1.0)]
    others = [voice.voice_settings(2, emotion, 0.0, np.random.default_rng(1)) for emotion in voice.SHIFTS]
    assert set(neutral + others) == {neutral[0]}


def test_half_the_intensity_is_half_the_shift_in_pitch_and_loudness():
    zero, half, full = (voice.voice_settings(5, "angry", x) for x in (0.0, 0.5, 1.0))
    assert half.pitch - zero.pitch == pytest.approx((full.pitch - zero.pitch) / 2)
    assert half.gain_db - zero.gain_db == pytest.approx((full.gain_db - zero.gain_db) / 2)


def test_actors_differ_and_are_pure_functions_of_their_number():
    voices = [voice.actor_voice(actor) for actor in range(16)]
    assert len(set(voices)) == 16 and voices == [voice.actor_voice(actor) for actor in range(16)]
    assert {v.variant[0] for v in voices[::2]} == {"f"} and {v.variant[0] for v in voices[1::2]} == {"m"}


def test_the_loudest_voice_does_not_clip():
    loudest = max(np.abs(voice.speak(text("en-main-000"), voice.voice_settings(a, "angry", 1.0)).audio).max()
                  for a in range(8))
    assert 0.3 < loudest < 1.0


@pytest.mark.parametrize(("call", "message"), [
    (lambda: voice.speak("  ", voice.VoiceSettings()), "empty"),
    (lambda: voice.speak("...", voice.VoiceSettings()), "no pronounceable word"),
    (lambda: voice.speak("hello", voice.VoiceSettings(language="klingon")), "klingon"),
    (lambda: voice.speak("hello", voice.VoiceSettings(variant="tenor")), "tenor"),
    (lambda: voice.voice_settings(0, "bored", 1.0), "bored"),
    (lambda: voice.voice_settings(0, "happy", 1.5), "from 0"),
])  # fmt: skip
def test_impossible_requests_say_what_is_wrong(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_prosody_of_a_gliding_tone_can_be_checked_by_hand():
    t = np.arange(16000) / 16000                           # one second, 100 to 200 Hz in 12 semitones
    phase = 2 * np.pi * 100 * (2**t - 1) / np.log(2)
    glide = sum(np.sin(k * phase) / k for k in range(1, 6)).astype(np.float32) * 0.3
    m = prosody.measure(np.pad(glide, 8000))
    assert m.pitch == pytest.approx(12 * np.log2(100 * 2**0.5), abs=0.3)
    assert 2**m.range == pytest.approx(9.6, abs=0.6)       # 10th to 90th percentile of 12 semitones
    assert m.rate == pytest.approx(0.0, abs=0.1)         # one second, to a window of 50 ms


def test_half_the_amplitude_lowers_loudness_by_six_decibels_and_nothing_else():
    speech = voice.speak(text("en-main-004"), voice.actor_voice(4)).audio
    loud, quiet = prosody.measure(speech), prosody.measure(speech / 2)
    assert loud.loudness - quiet.loudness == pytest.approx(6.02, abs=0.01)
    assert (loud.pitch, loud.rate) == pytest.approx((quiet.pitch, quiet.rate))


def test_every_significant_effect_of_acted_emotion_has_the_same_sign_in_the_puppet():
    puppet = prosody.puppet_effects()
    significant = [(e, m) for e, row in prosody.RAVDESS.items() for m, x in row.items() if x.p <= 0.05]
    wrong = [(e, m) for e, m in significant if puppet[e][m].mean * prosody.RAVDESS[e][m].mean <= 0]
    assert len(significant) == 18 and not wrong


@pytest.mark.skipif(paths.find_asset(prosody.ASSET) is None, reason="RAVDESS clips absent: set STUDY_DATA")
def test_the_stored_table_is_what_the_clips_measure():
    measured = prosody.ravdess_effects()
    for emotion, row in prosody.RAVDESS.items():
        assert [measured[emotion][m].mean for m in prosody.MEASURES] == pytest.approx(
            [row[m].mean for m in prosody.MEASURES], abs=0.02)


def test_sentence_banks_have_the_promised_sizes_and_share_no_sentence():
    assert [len(BANKS[b]) for b in ("en-main", "en-judge", "en-ctc", "zh-main")] == [28, 16, 1280, 8]
    everything = [s for bank in BANKS.values() for s in bank]
    assert len(set(everything)) == len(everything)
    assert all(8 <= len(s.split()) <= 13 for s in BANKS["en-main"])
    assert text(ids("en-main")[3]) == BANKS["en-main"][3] and language("zh-main-001") == "cmn"


@pytest.mark.parametrize("sentence", ["en-main-028", "en-main", "xx-000", "en-main--1", "en-main-one"])
def test_an_unknown_sentence_is_refused_by_name(sentence):
    with pytest.raises(InputError, match="sentence"):
        text(sentence)
