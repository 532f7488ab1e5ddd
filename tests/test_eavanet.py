"""EavaNet: shapes, both readings of the paper, the style path and the lookup table."""

import pytest
import torch

from lib.errors import InputError
from lib.models.eavanet import (
    NEUTRAL,
    Config,
    Decoder,
    EavaNet,
    StyleTokens,
    parameter_count,
    without_gates,
    without_lstm,
)

SMALL = Config(motion_width=30, audio_width=12, width=16, gate_width=32, lstm_width=16)


def run(config, frames=25, clips=2):
    torch.manual_seed(0)
    model = EavaNet(config).eval()
    hidden, speaker = torch.randn(clips, 2 * frames, 12), torch.eye(5)[:clips]
    return model, hidden, speaker, model(hidden, speaker, torch.randn(clips, 40, 30), frames)


def test_published_size_has_the_parameters_counted_by_hand():
    c = Config()
    d, gate, lstm, out = 256, 512, 256, 70110
    convolutions = sum(d * 2 * gate * k + 2 * gate + gate * d + d for k in (5, 3, 5))
    recurrence = 2 * 4 * lstm * (d + lstm + 2) + 2 * 4 * lstm * (2 * lstm + lstm + 2)
    assert parameter_count(Decoder(c)) == convolutions + recurrence + (2 * lstm + 1) * out


@pytest.mark.parametrize("alignment, frames", [("k4s2p1", 100), ("k4s2p2", 100), ("printed", 201)])
def test_of_200_feature_rows_only_stride_two_leaves_100(alignment, frames):
    model = EavaNet(Config(motion_width=3, audio_width=4, width=16, gate_width=8, lstm_width=4, alignment=alignment))
    assert model.align(torch.zeros(1, 200, 4)).shape == (1, frames, 16)


@pytest.mark.parametrize("variant", [
    {}, {"gate": "split"}, {"keys": "free"}, {"lstm_width": 8}, {"lstm_layers": 0}, {"kernels": ()},
    {"decoder": "autoregressive"},
])
def test_every_reading_predicts_one_motion_vector_per_frame(variant):
    _, _, _, p = run(Config(**{**SMALL.__dict__, **variant}))
    assert p.motion.shape == (2, 25, 30)
    assert p.style.shape == (2, 16) and p.logits.shape == (2, 4)
    assert torch.allclose(p.token_weights.sum(-1), torch.ones(2, 4))


def test_token_attention_by_hand_with_equal_scores_gives_the_mean_value():
    tokens = StyleTokens(SMALL)
    torch.nn.init.zeros_(tokens.query.weight)
    style, weights = tokens(torch.randn(1, 16))
    assert torch.allclose(weights, torch.full((1, 4, 10), 0.1))
    assert torch.allclose(style[0], tokens.value(torch.tanh(tokens.tokens)).mean(0), atol=1e-6)


def test_gated_unit_is_tanh_times_sigmoid_plus_input():
    model, *_ = run(SMALL)
    unit, x = model.decoder.units[0], torch.randn(1, 16, 9)
    f, g = torch.nn.functional.conv1d(
        x, unit.filter_and_gate.weight, unit.filter_and_gate.bias, padding=2).chunk(2, dim=1)
    assert torch.allclose(unit(x), unit.out(torch.tanh(f) * torch.sigmoid(g)) + x, atol=1e-6)


def test_autoregressive_twin_knows_no_future_and_the_parallel_decoder_does():
    for decoder, knows in (("autoregressive", False), ("parallel", True)):
        model, hidden, speaker, p = run(Config(**{**SMALL.__dict__, "decoder": decoder}))
        changed = hidden.clone()
        changed[:, 40:] += 1.0           # features of frames 20 and later; kernel 4 reaches frame 19
        again = model.decode(changed, speaker, p.style, 25)
        assert bool((again[:, :19] - p.motion[:, :19]).abs().max() > 1e-6) is knows


def test_blend_is_equation_8_and_extrapolates():
    model = EavaNet(SMALL)
    model.store_centroids(torch.eye(16)[:8] * 2, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]))
    assert torch.equal(model.blend(1, 0.0), model.centroids[NEUTRAL])
    assert torch.allclose(model.blend(1, 1.3), 1.3 * model.centroids[1] - 0.3 * model.centroids[NEUTRAL])
    assert model.centroids[0].tolist()[:3] == [1.0, 1.0, 0.0]


def test_an_emotion_without_clips_has_no_centroid():
    with pytest.raises(InputError, match="emotion 3"):
        EavaNet(SMALL).store_centroids(torch.zeros(3, 16), torch.tensor([0, 1, 2]))


def test_a_reference_too_short_for_three_halvings_is_refused():
    model, hidden, speaker, _ = run(SMALL)
    with pytest.raises(InputError, match="at least 8"):
        model(hidden, speaker, torch.zeros(2, 7, 30))


def test_without_style_encoder_the_reference_is_ignored():
    model, hidden, speaker, p = run(Config(**{**SMALL.__dict__, "style": False}))
    assert p.style is None
    assert torch.equal(model(hidden, speaker, torch.randn(2, 40, 30), 25).motion, p.motion)


@pytest.mark.parametrize("ablation", [without_lstm, without_gates])
def test_ablations_give_the_removed_parameters_back(ablation):
    c = Config(motion_width=64, width=64, gate_width=128, lstm_width=64)
    full = parameter_count(Decoder(c))
    assert full <= parameter_count(Decoder(ablation(c))) < 1.1 * full
