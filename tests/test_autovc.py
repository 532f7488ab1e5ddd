"""AutoVC: sizes of the released networks, what each front end hears, what passes the bottleneck, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.errors import AssetMissing, InputError
from lib.models import autovc

KEYS = json.loads((Path(__file__).parent / "parity" / "autovc" / "state_dict_keys.json").read_text())
SMALL = autovc.Config(neck=4, every=8, embedding=6, width=32, lstm_width=24, version="makeittalk")


def tone(seconds: float = 1.0, hertz: float = 150.0) -> np.ndarray:
    at = np.arange(int(seconds * 16000)) / 16000
    return sum(np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 9)).astype(np.float32) / 6


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return autovc.Generator(SMALL).eval()


@pytest.fixture
def heard():
    torch.manual_seed(1)
    return torch.rand(2, 32, 80), torch.randn(2, 6), torch.randn(2, 6), torch.randint(0, 257, (2, 32))


@pytest.mark.parametrize("name", sorted(KEYS))
def test_keys_shapes_and_number_of_weights_are_those_of_the_released_networks(name):
    configs = {"generator_32_32": "paper", "generator_16_16": "paper-16", "makeittalk_generator": "makeittalk"}
    with torch.device("meta"):
        known = name in configs
        model = autovc.Generator(autovc.RELEASED_CONFIG[configs[name]]) if known else autovc.SpeakerEncoder()
    own = model.state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == {k: v[0] for k, v in KEYS[name]["keys"].items()}
    assert sum(value.numel() for value in own.values()) == KEYS[name]["numbers"]


def test_a_clip_has_one_mel_frame_per_256_samples_and_one_more():
    assert autovc.mel_spectrogram(tone()).shape == (1 + 16000 // 256, 80)


def test_only_the_papers_front_end_ends_at_zero():
    quiet = tone() * 1e-5
    quiet[::700] += 1e-7
    assert autovc.mel_spectrogram(quiet).min() == 0
    assert autovc.mel_spectrogram(quiet, autovc.MAKEITTALK).min() < 0


def test_half_the_amplitude_is_six_decibels_less_in_every_loud_band():
    loud, soft = (autovc.mel_spectrogram(tone() * gain) for gain in (1.0, 0.5))
    strong = loud > 0.6
    assert strong.any() and np.allclose((loud - soft)[strong] * 100, 20 * np.log10(2), atol=0.05)


@pytest.mark.parametrize(("samples", "message"), [
    (np.zeros(512), "more than 512"), (np.zeros((2, 4000)), "mono"), (np.full(4000, np.nan), "finite"),
])  # fmt: skip
def test_sound_that_is_too_short_or_no_waveform_is_refused(samples, message):
    with pytest.raises(InputError, match=message):
        autovc.mel_spectrogram(samples)


def test_a_deep_voice_is_heard_in_the_mans_range_and_missed_in_the_womans():
    samples = autovc.prepare(tone(hertz=75.0), autovc.MAKEITTALK)
    man, woman = (autovc.log_pitch(samples, name)[10:-10] for name in "MF")
    assert np.allclose(np.exp(man), 75, rtol=0.01)
    assert not np.isclose(np.exp(np.maximum(woman, 0)), 75, rtol=0.05).any()


def test_pitch_bins_tell_voiced_from_unvoiced_and_stand_in_the_middle_at_the_mean():
    normalised = autovc.normalised_pitch(np.array([autovc.UNVOICED, 5.0, 5.2, 5.1]))
    assert autovc.pitch_bins(normalised)[0] == 0
    assert autovc.pitch_bins(normalised)[3] == round(0.5 * 255) + 1
    assert autovc.pitch_bins(np.array([0.0, 1.0])).tolist() == [1, 256]
    assert autovc.one_hot_pitch(torch.tensor([256])).argmax() == 256


def test_pitch_is_normalised_by_the_clip_itself_so_that_no_voice_is_deeper_than_another():
    rise = np.array([4.8, 4.9, 5.0])
    assert np.allclose(autovc.normalised_pitch(rise), autovc.normalised_pitch(rise + 0.7))
    silent = np.full(3, autovc.UNVOICED)
    assert (autovc.pitch_bins(autovc.normalised_pitch(silent)) == 0).all()


def test_unknown_ranges_and_trackers_are_named():
    for arguments, message in ((("X",), "search range 'X'"), (("F", "crepe"), "tracker 'crepe'")):
        with pytest.raises(InputError, match=message):
            autovc.log_pitch(tone(), *arguments)


def test_the_released_tracker_is_used_where_it_is_installed_and_else_named():
    try:
        import pysptk  # noqa: F401
    except ImportError:
        with pytest.raises(AssetMissing, match="pip install pysptk"):
            autovc.log_pitch(tone(), "F", "rapt")
    else:
        assert np.allclose(np.exp(autovc.log_pitch(tone(), "F", "rapt")[10:-10]), 150, rtol=0.01)


def test_speaker_embeddings_have_length_one_and_the_loss_prefers_clips_beside_their_own_centre():
    encoder = autovc.SpeakerEncoder(autovc.SpeakerConfig(hidden=8, embedding=6))
    assert torch.allclose(encoder(torch.rand(3, 20, 80)).norm(dim=-1), torch.ones(3))
    grouped = torch.nn.functional.one_hot(torch.arange(3).repeat_interleave(4), 6).float().view(3, 4, 6)
    mixed = grouped.transpose(0, 1).reshape(3, 4, 6)
    assert autovc.ge2e_loss(grouped) < 1e-3 < autovc.ge2e_loss(mixed)
    assert encoder.embed([np.zeros((5, 80), np.float32)], np.random.default_rng(0)).shape == (6,)
    with pytest.raises(InputError, match="no clip"):
        encoder.embed([], np.random.default_rng(0))


def test_the_content_of_a_block_is_all_that_the_decoder_learns_of_it(generator, heard):
    mel, source, target, pitch = heard
    codes = generator.encode(mel, source)
    assert codes.shape == (2, 4, 8)
    assert torch.equal(generator(mel, source, target, pitch).after, generator.decode(codes, target, pitch)[1])


def test_target_speaker_and_pitch_reach_the_output_but_not_the_codes(generator, heard):
    mel, source, target, pitch = heard
    seen = generator(mel, source, target, pitch)
    for changed in (generator(mel, source, -target, pitch), generator(mel, source, target, 256 - pitch)):
        assert torch.equal(changed.codes, seen.codes) and not torch.allclose(changed.after, seen.after, atol=1e-3)


def test_losses_compare_every_clip_with_itself_alone(generator, heard):
    mel, source, _, pitch = heard
    both = autovc.training_losses(generator, mel, source, pitch)
    alone = [autovc.training_losses(generator, mel[i:i + 1], source[i:i + 1], pitch[i:i + 1]) for i in range(2)]
    for name, value in both.items():
        assert torch.isclose(value, (alone[0][name] + alone[1][name]) / 2, rtol=1e-4)


def test_the_generator_refuses_lengths_and_inputs_that_it_cannot_take(generator, heard):
    mel, source, target, pitch = heard
    with pytest.raises(InputError, match="30 frames; AutoVC needs a multiple of 8"):
        generator(mel[:, :30], source, target, pitch[:, :30])
    with pytest.raises(InputError, match="takes pitch bins in version 'makeittalk'"):
        generator(mel, source, target)
    with pytest.raises(InputError, match="source embedding"):
        generator(mel, source[:, :3], target, pitch)
    with pytest.raises(InputError, match="version 'other'"):
        autovc.Config(version="other")


def test_conversion_keeps_the_length_and_is_standardised(generator):
    rng = np.random.default_rng(0)
    voice, target = rng.standard_normal((2, 6)).astype(np.float32)
    plain = autovc.Converter(generator, target)
    raw = plain.convert(tone(), voice)
    assert raw.shape == (63, 80) and plain.content(tone(), voice).shape == (63, 8)
    scaled = plain.standardised_on([raw]).convert(tone(), voice)
    assert np.allclose(scaled.mean(0), 0, atol=1e-4)
    assert np.allclose(plain.convert(tone() * 0.3, voice), raw, atol=0.05)          # loudness is set first


def test_long_sound_is_converted_in_chunks_that_begin_anew(generator, monkeypatch):
    mel, pitch = np.random.default_rng(0).random((80, 80), np.float32), np.zeros(80, np.int64)
    voice = np.ones(6, np.float32)
    plain = autovc.Converter(generator, voice)
    first = plain.convert_mel(mel[:64], voice, pitch[:64])
    monkeypatch.setattr(autovc, "CHUNK", 64)
    assert np.allclose(plain.convert_mel(mel, voice, pitch)[:64], first, atol=1e-6)


def test_a_checkpoint_of_another_width_is_refused_and_changes_nothing(generator):
    other = autovc.Generator(autovc.Config(neck=4, every=8, embedding=6, width=48, version="makeittalk"))
    before = generator.encoder.lstm.weight_ih_l0.clone()
    with pytest.raises(InputError, match=r"other.ckpt does not fit this model: .* of another shape"):
        autovc.load_released(generator, other.state_dict(), "other.ckpt")
    assert torch.equal(before, generator.encoder.lstm.weight_ih_l0)


def test_absent_weights_are_one_clear_error_and_unknown_versions_too(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    for load in (autovc.released, autovc.released_speaker_encoder):
        with pytest.raises(AssetMissing, match="not found in"):
            load()
    with pytest.raises(InputError, match="'other' was not released"):
        autovc.released("other")


def test_released_weights_load_under_the_entry_of_their_file(tmp_path, monkeypatch):
    encoder = autovc.SpeakerEncoder()
    (tmp_path / "autovc_weights").mkdir()
    state = {f"module.{key}": value for key, value in encoder.state_dict().items()}
    torch.save({"model_b": state}, tmp_path / autovc.RELEASED["speaker"][0])
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    assert torch.equal(autovc.released_speaker_encoder().embedding.weight, encoder.embedding.weight)
