"""Masks, positional tables, audio alignment and cached decoding."""

import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.models import parts

SPEECH = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=[16] * 7)


def test_a_key_loses_a_quarter_per_period_of_age_in_the_first_of_four_heads():
    bias = parts.causal_bias(100, period=30, heads=4)
    assert bias[0, 95, 3] == -0.75  # 92 frames old: three whole periods
    assert bias[0, 95, 96] == float("-inf")  # the future
    assert parts.causal_bias(61, period=25, heads=4)[3, 60, 10] == -2 / 256


def test_slopes_of_six_heads_are_those_of_four_and_every_second_of_eight():
    assert parts.head_slopes(4) == [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    assert parts.head_slopes(6) == [1 / 4, 1 / 16, 1 / 64, 1 / 256, 1 / 2, 1 / 8]
    assert parts.head_slopes(8) == [2.0**-i for i in range(1, 9)]


def test_frame_7_sees_audio_frames_14_and_15_only():
    allowed = ~parts.alignment_mask(100, 200, per_frame=2)
    assert allowed[7].nonzero().flatten().tolist() == [14, 15]
    assert (~parts.alignment_mask(3, 9, per_frame=1)).int().argmax(1).tolist() == [0, 1, 2]


def test_a_frame_without_audio_is_an_error_and_not_a_nan():
    with pytest.raises(InputError, match="100 motion frames need 200 audio frames"):
        parts.alignment_mask(100, 199, per_frame=2)
    with pytest.raises(InputError, match="0 motion frames"):
        parts.alignment_mask(0, 199, per_frame=2)


def test_positions_repeat_with_the_period_and_do_not_end_at_600_frames():
    table = parts.periodic_encoding(700, period=25, width=8)
    assert torch.equal(table[3], table[28]) and torch.equal(table[3], table[678])
    assert table[0].tolist() == [0, 1] * 4


def test_resampling_a_ramp_keeps_its_ends():
    ramp = torch.arange(5.0)[None, :, None]
    assert torch.allclose(parts.resample_features(ramp, 3)[0, :, 0], torch.tensor([0.0, 2.0, 4.0]))


def test_normalised_audio_has_zero_mean_and_unit_variance_per_clip():
    audio = parts.normalise_audio(torch.tensor([[1.0, 3.0, 5.0, 7.0], [10.0, 10.0, 30.0, 30.0]]))
    assert torch.allclose(audio.mean(1), torch.zeros(2), atol=1e-6)
    assert audio[1].tolist() == pytest.approx([-1, -1, 1, 1])
    assert torch.isfinite(parts.normalise_audio(torch.zeros(1, 10))).all()  # silence


def test_one_second_gives_49_features_of_which_the_odd_one_is_dropped():
    model = parts.speech_model(SPEECH).eval()
    audio = torch.randn(2, 16000)
    assert parts.encode_speech(model, audio, frames=None, per_frame=2, fps=25).shape == (2, 48, 16)
    assert parts.encode_speech(model, audio, frames=20, per_frame=2, fps=25).shape == (2, 40, 16)
    assert parts.encode_speech(model, audio, frames=40, per_frame=2, fps=25).shape == (2, 48, 16)  # never stretched
    assert parts.encode_speech(model, audio, frames=None, per_frame=1, fps=30).shape == (2, 29, 16)
    assert parts.encode_speech(model, audio, frames=31, per_frame=1, fps=30).shape == (2, 31, 16)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(16000), "expected \\(clips, samples\\)"),
        (torch.full((1, 16000), float("nan")), "NaN"),
        (torch.zeros(1, 719), "at least 720"),
    ],
)
def test_unusable_audio_is_named(audio, message):
    with pytest.raises(InputError, match=message):
        parts.encode_speech(parts.speech_model(SPEECH), audio, frames=None, per_frame=2, fps=25)


def test_the_convolutions_are_frozen_and_masks_are_drawn_in_training_only():
    model = parts.speech_model(SPEECH)
    assert not any(p.requires_grad for p in model.feature_extractor.parameters())
    features = torch.zeros(1, 200, 16)
    assert torch.equal(parts.spec_augment(model.eval(), features), features)
    hidden = (parts.spec_augment(model.train(), features) != 0).any(-1)
    assert 10 <= hidden.sum() <= 30  # two spans of ten frames, possibly a third


@pytest.mark.parametrize(("heads", "layers", "per_frame"), [(4, 1, 2), (6, 2, 1), (8, 3, 2)])
def test_cached_decoding_equals_the_decoder_of_torch(heads, layers, per_frame):
    torch.manual_seed(0)
    decoder = parts.decoder_stack(48, heads, 96, layers, dropout=0.1).eval()
    for parameter in decoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens, memory = torch.randn(3, 23, 48), torch.randn(3, 50, 48)
    whole = parts.decode(decoder, tokens, memory, period=7, per_frame=per_frame)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            cached = parts.CachedDecoder(decoder, memory, 23, period=7, per_frame=per_frame)
            steps = torch.stack([cached.step(tokens[:, t]) for t in range(23)], 1)
        assert torch.allclose(steps, whole, atol=2e-5)


def test_gradients_flow_through_the_cache_as_through_the_whole_decoder():
    torch.manual_seed(0)
    decoder = parts.decoder_stack(16, 4, 32, 1, dropout=0.0)
    tokens, memory = torch.randn(2, 6, 16), torch.randn(2, 12, 16)
    parts.decode(decoder, tokens, memory, period=3, per_frame=2)[:, -1].square().sum().backward()
    whole = {name: p.grad.clone() for name, p in decoder.named_parameters()}
    decoder.zero_grad()
    cached = parts.CachedDecoder(decoder, memory, 6, period=3, per_frame=2)
    for t in range(6):
        last = cached.step(tokens[:, t])
    last.square().sum().backward()
    for name, parameter in decoder.named_parameters():
        assert torch.allclose(parameter.grad, whole[name], atol=1e-5), name
