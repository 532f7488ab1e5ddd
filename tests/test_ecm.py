"""ECM: published size and keys, residual and neutral paths, padding, windows, control formulas, keyframes, rates."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.models import ecm
from lib.models.ecm import CODE, ECM, PAPER, Config, control

KEYS = Path(__file__).parent / "parity" / "ecm" / "state_dict_keys.json"
SMALL = Config(params=6, emotions=4, audio_width=10, audio_hidden=16, width=12, style_width=4, style_blocks=2,
               max_distance=3, conv_width=8, groups=4, lstm_width=8, embedding_width=6)
READ = replace(SMALL, neighbours=(1, 1), style_token="last", norm="post", groups=1, masked=True, formula="paper")


def made(config: Config) -> ECM:
    torch.manual_seed(0)
    model = ECM(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture
def model():
    return made(SMALL)


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 15, 10, generator=generator), torch.randn(2, 15, 4, generator=generator)


# The published network ------------------------------------------------------------------------------------------------


def test_the_code_profile_has_the_published_number_of_parameters():
    assert ecm.parameter_count(ECM(replace(CODE, extractor=None))) == {
        "wav_layer": 426_880, "pred_layer": 142_080, "style_layer": 835_136, "param_predictor": 38_200,
        "param_fixer": 37_544, "emo_ebd_layer": 896, "total": 1_480_736,
    }  # fmt: skip


def test_keys_and_shapes_are_those_of_the_released_model():
    official = json.loads(KEYS.read_text())["tf_emo_4"]["keys"]
    with torch.device("meta"):
        model = ECM(CODE)
    assert {key: list(t.shape) for key, t in model.state_dict().items()} == {k: s[0] for k, s in official.items()}


def test_the_paper_profile_has_every_width_the_paper_prints():
    model = ECM(replace(PAPER, extractor=None))
    first, middle, last = (model.param_predictor.convs[i] for i in (0, 2, 4))
    assert [(c.in_channels, c.out_channels) for c in (first, middle, last)] == [(256, 128), (128, 128), (128, 56)]
    assert model.style_layer.den.out_features == 64 and len(model.style_layer.blocks) == 4
    assert model.pred_layer.lstm.hidden_size == 128
    assert model.param_fixer.norm.normalized_shape == (184,)          # the paper adds 128 and 56 up to 186 (E2)


@pytest.mark.parametrize("packed", [False, True])
def test_the_projected_lstm_is_that_of_torch_in_values_and_gradients(packed):
    torch.manual_seed(3)
    reference = nn.LSTM(5, 6, batch_first=True, bidirectional=True, proj_size=3).double()
    ours = ecm.ProjectedLSTM(5, 6, 3).double()
    ours.load_state_dict(reference.state_dict())
    x, weigh = torch.randn(4, 9, 5).double().requires_grad_(), torch.randn(4, 9, 6).double()

    def values_and_gradients(model):
        if packed:
            read = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([9, 7, 4, 1]), batch_first=True)
            out = nn.utils.rnn.pad_packed_sequence(model(read)[0], batch_first=True)[0]
        else:
            out = model(x)[0]
        return out, *torch.autograd.grad((out * weigh).sum(), [x, *model.parameters()])

    for theirs, own in zip(values_and_gradients(reference), values_and_gradients(ours), strict=True):
        torch.testing.assert_close(own, theirs)


@pytest.mark.parametrize("switch", [dict(style=False), dict(residual=False), dict(recurrent="gru"), dict(heads=3),
                                    dict(style_token="last"), dict(norm="post")])
@pytest.mark.parametrize("base", [SMALL, READ])
def test_every_reading_trains_all_its_weights(base, switch, clip):
    model = ECM(replace(base, **switch)).train()
    features, prior = clip
    done = model(features, prior, lengths=torch.tensor([15, 9]))
    (done.params.square().sum() + done.heard.square().sum()).backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_the_random_style_token_is_never_trained(model):
    assert [name for name, p in ECM(SMALL).named_parameters() if not p.requires_grad] == ["style_layer.mask_ebd"]


# Paths ----------------------------------------------------------------------------------------------------------------


def test_without_priors_the_face_is_neutral(model, clip):
    done = model(clip[0])
    assert torch.equal(done.params, done.neutral) and done.prior is None


def test_an_augment_net_of_zero_changes_nothing_if_residual_and_everything_if_not(model, clip):
    blunt = made(replace(SMALL, residual=False))
    for network in (model, blunt):
        nn.init.zeros_(network.param_fixer.convs[4].weight)
        nn.init.zeros_(network.param_fixer.convs[4].bias)
    done = model(*clip)
    assert torch.equal(done.params, done.neutral)
    assert blunt(*clip).params.abs().max() == 0


def test_clips_that_do_not_use_the_augment_net_stay_neutral(model, clip):
    done = model(*clip, use=torch.tensor([True, False]))
    assert torch.equal(done.params[1], done.neutral[1]) and not torch.allclose(done.params[0], done.neutral[0])


def test_the_predictor_sends_no_gradient_into_the_audio_layer(model, clip):
    model(clip[0]).heard.sum().backward()
    assert model.wav_layer.den1.weight.grad is None and model.pred_layer.lstm.weight_ih_l0.grad.any()


def test_the_style_is_one_vector_that_every_frame_gets(clip):
    without = made(replace(SMALL, style=False))
    assert without(clip[0]).style is None
    assert made(SMALL)(clip[0]).style.shape == (2, 4)


def test_the_ramp_takes_the_first_frame_from_the_backward_direction_and_the_last_from_the_forward(model, clip):
    local = model.wav_layer(clip[0])
    forward, backward = model.pred_layer.lstm(local)[0].chunk(2, -1)
    heard = model.pred_layer(local)
    assert torch.allclose(heard[:, 0], 2 * backward[:, 0]) and torch.allclose(heard[:, -1], 2 * forward[:, -1])
    assert torch.allclose(heard[:, 7], forward[:, 7] + backward[:, 7], atol=1e-6)          # the middle of 15 frames


def test_outputs_are_scaled_to_the_range_of_the_training_data():
    low, high = torch.tensor([0.0, 10.0]), torch.tensor([1.0, 30.0])
    assert ecm.rescale(torch.tensor([[-1.0, -1], [1, 1], [0, 2]]), low, high).tolist() == [[0, 10], [1, 30], [0.5, 40]]


def test_a_parameter_that_never_moves_in_training_is_constant(clip):
    model = made(replace(SMALL, params_range=((0.0,) * 6, (0.0, *(1.0,) * 5))))
    params = model.predict(clip[0]).params
    assert params[..., 0].abs().max() == 0 and params.isfinite().all()


def test_a_moving_average_of_an_impulse_is_a_box_and_shrinks_at_the_ends():
    impulse = torch.tensor([0.0, 0, 3, 0, 0])[None, :, None]
    assert ecm.moving_average(impulse, 3).flatten().tolist() == [0, 1, 1, 1, 0]
    assert torch.allclose(ecm.moving_average(torch.full((1, 4, 1), 3.0), 3).flatten(), torch.tensor([2.0, 3, 3, 2]))


def test_with_relative_positions_the_style_depends_on_the_order_of_the_frames(model, clip):
    local = model.wav_layer(clip[0])
    assert not torch.allclose(model.style_layer(local), model.style_layer(local.flip(1)), atol=1e-3)


# Padding --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "alone"), [(SMALL, False), (READ, True), (replace(SMALL, masked=True), True)])
def test_a_padded_clip_equals_the_clip_alone_only_where_padding_is_masked(config, alone, clip):
    model, (features, prior) = made(config), clip
    one = model(features[1:, :9], prior[1:, :9])
    lengths = torch.tensor([15, 9])
    both = model(features, prior, lengths=lengths)
    for name in ("params", "neutral", "heard"):
        same = torch.allclose(getattr(both, name)[1, :9], getattr(one, name)[0], atol=1e-5)
        assert same is alone, name
    assert both.params[1, 9:].abs().max() == 0 and both.heard[1, 9:].abs().max() == 0


def test_masked_control_and_smoothing_see_the_clip_alone_too(clip):
    model, features = made(READ), clip[0]
    asked = ecm.command(2, 0.5, emotions=4)
    one = model.predict(features[1:, :9], asked).params
    both = model.predict(features, asked, lengths=torch.tensor([15, 9])).params
    assert torch.allclose(both[1, :9], one[0], atol=1e-5)


# Audio ----------------------------------------------------------------------------------------------------------------


def test_a_frame_sees_itself_and_the_frame_before_in_the_code_and_one_more_in_the_paper():
    audio = torch.arange(1, 4).repeat_interleave(533).float()[None]          # frame t has the value t + 1
    code, paper = ecm.frame_windows(audio, CODE), ecm.frame_windows(audio, PAPER)
    assert code.shape == (1, 3, 1066) and paper.shape == (1, 3, 1599)
    assert code[0, :, ::533].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert paper[0, :, ::533].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]


def test_released_frames_are_ten_samples_short_in_a_second():
    assert ecm.frame_windows(torch.zeros(1, 16000), CODE).shape[1] == 30
    assert 16000 - 30 * 533 == 10


def test_windows_of_the_profiles_yield_three_and_four_feature_vectors():
    extractor = dict(conv_dim=[4] * 7)
    for config, vectors in ((CODE, 3), (PAPER, 4)):
        model = ECM(replace(config, audio_width=vectors * 4, extractor=extractor)).eval()
        features = model.audio_features(torch.randn(1, 2000))
        assert features.shape == (1, 3, vectors * 4) and model(features).params.shape == (1, 3, 56)


def test_neighbouring_features_stand_side_by_side_with_zeros_outside():
    x = torch.tensor([[[1.0, 10], [2, 20], [3, 30]]])
    rows = [[0, 0, 1, 10, 2, 20], [1, 10, 2, 20, 3, 30], [2, 20, 3, 30, 0, 0]]
    assert ecm.stack_neighbours(x, 1, 1).tolist() == [rows]
    assert ecm.stack_neighbours(x, 0, 0) is x


# Control --------------------------------------------------------------------------------------------------------------

HEARD = torch.tensor([[[1.0, 0, 0, 0], [3, 0, 0, 0]]])                       # mean 2 in emotion 0


@pytest.mark.parametrize(("formula", "first"), [
    ("paper", [-1, 0.5, 0, 0]),                     # amount + heard - mean
    ("first-commit", [-1.5, 1.5, -0.5, -0.5]),      # all - 0.5, target + 2
    ("head", [-1, 2, -1, -1]),                      # nothing heard is left
])  # fmt: skip
def test_control_by_hand_for_emotion_1_at_one_half(formula, first):
    assert control(HEARD, ecm.command(1, 0.5, emotions=4), formula)[0, 0].tolist() == first


@pytest.mark.parametrize("formula", ecm.FORMULAS)
def test_more_intensity_raises_the_target_above_the_other_emotions(formula):
    gaps = []
    for intensity in (0.0, 0.5, 1.0):
        prior = control(HEARD, ecm.command(2, intensity, emotions=4), formula)
        gaps.append((prior[..., 2] - prior[..., 3]).min().item())
    assert gaps[0] < gaps[1] < gaps[2]


def test_only_the_head_discards_what_the_speech_says():
    asked = ecm.command(1, 1.0, emotions=4)
    keeps = {name: not torch.equal(control(HEARD, asked, name), control(-HEARD, asked, name)) for name in ecm.FORMULAS}
    assert keeps == {"paper": True, "first-commit": True, "head": False}


def test_intensity_lifts_the_target_four_times_as_far_in_the_program_as_in_the_paper():
    def lift(formula, intensity):
        prior = control(torch.zeros(1, 1, 4), ecm.command(1, intensity, emotions=4), formula)[0, 0]
        return (prior[1] - prior[2]).item()

    lifts = {formula: [lift(formula, intensity) for intensity in (0.0, 1.0)] for formula in ecm.FORMULAS}
    assert lifts == {"paper": [0, 1], "first-commit": [0, 4], "head": [1, 5]}      # at 0 the head is not neutral


def test_emotion_and_intensity_may_change_from_frame_to_frame():
    asked = ecm.command(torch.tensor([[1, 3]]), torch.tensor([[0.25, 1.0]]), emotions=4)
    assert control(HEARD, asked, "head").tolist() == [[[-1, 1, -1, -1], [-1, -1, -1, 4]]]


def test_keyframes_are_joined_by_straight_lines_and_held_outside():
    asked = ecm.keyframes([(0.3, 2, 0.0), (0.1, 1, 1.0)], frames=5, fps=10, emotions=4)
    assert torch.allclose(asked.amount[0, :, 1], torch.tensor([1, 1, 0.5, 0, 0]))
    assert torch.allclose(asked.share[0, :, 2], torch.tensor([0, 0, 0.5, 1, 1]))
    assert torch.allclose(asked.share.sum(-1), torch.ones(1, 5))


@pytest.mark.parametrize("formula", ecm.FORMULAS)
def test_between_keyframes_the_prior_is_between_those_of_the_keyframes(formula):
    heard = torch.zeros(1, 3, 4)
    asked = ecm.keyframes([(0.0, 1, 1.0), (2.0, 3, 0.5)], frames=3, fps=1, emotions=4)
    first, middle, last = control(heard, asked, formula)[0]
    assert torch.allclose(middle, (first + last) / 2)


def test_one_keyframe_holds_for_the_whole_clip():
    asked, whole = ecm.keyframes([(0.5, 1, 0.7)], 4, emotions=4), ecm.command(1, 0.7, emotions=4)
    assert torch.equal(asked.amount, whole.amount.expand(1, 4, 4))


def test_predict_uses_the_formula_of_its_configuration(model, clip):
    asked = ecm.command(1, 1.0, emotions=4)
    default = model.predict(clip[0], asked)
    assert torch.equal(default.prior, control(default.heard, asked, "first-commit"))
    assert torch.equal(model.predict(clip[0], asked, formula="head").prior, control(default.heard, asked, "head"))
    assert torch.equal(model.predict(clip[0]).prior, default.heard)


# Rates and messages ---------------------------------------------------------------------------------------------------


def test_the_released_rate_climbs_falls_by_half_at_once_and_approaches_the_floor():
    rates = [ecm.learning_rate(step) for step in (0, 100, 199, 200, 10**9)]
    assert rates == pytest.approx([0, 5e-4, 9.95e-4, 5.5e-4, 1e-4], rel=1e-5)
    assert [ecm.paper_learning_rate(epoch) for epoch in (0, 9, 10, 30)] == [1e-4, 1e-4, 1e-5, 1e-5]


@pytest.mark.parametrize(("call", "message"), [
    (lambda m: m(torch.zeros(2, 5, 9)), r"features has shape \(2, 5, 9\)"),
    (lambda m: m(torch.full((1, 5, 10), float("nan"))), "features contains NaN"),
    (lambda m: m(torch.zeros(1, 5, 10), torch.zeros(1, 5, 7)), r"prior has shape \(1, 5, 7\)"),
    (lambda m: m(torch.zeros(1, 5, 10), torch.zeros(1, 4, 4)), "prior has 4 frames, the speech 5"),
    (lambda m: m(torch.zeros(2, 5, 10), lengths=torch.tensor([5, 6])), r"lengths \[5, 6\] do not fit 2 clips"),
    (lambda m: m.audio_features(torch.zeros(1, 2000)), "no feature extractor"),
    (lambda m: m.predict(torch.zeros(1, 5, 10), ecm.command(6)), r"command of shape \(1, 1, 7\)"),
    (lambda m: control(HEARD, ecm.command(0, emotions=4), "tail"), "paper, first-commit, head"),
    (lambda m: ecm.command(7), "emotion 7..7 outside 0..6"),
    (lambda m: ecm.command(1, -0.1), "not negative"),
    (lambda m: ecm.command(torch.tensor([1, 2])), r"shape \(2,\)"),
    (lambda m: ecm.keyframes([], 5), "0 keyframes"),
    (lambda m: ecm.keyframes([(1.0, 1, 1.0), (1.0, 2, 1.0)], 5), "a time of its own"),
    (lambda m: ecm.frame_windows(torch.zeros(1, 100), CODE), "no frame of 533"),
    (lambda m: ECM(replace(SMALL, norm="none")), "norm 'none' is none of pre, post"),
    (lambda m: ECM(replace(SMALL, groups=3)), "conv_width 8 by 3"),
    (lambda m: ECM(replace(SMALL, params_range=((0.0,) * 5, 1.0))), "params_range has 5 numbers; expected one or 6"),
])  # fmt: skip
def test_what_does_not_fit_is_named(model, call, message):
    with pytest.raises(InputError, match=message):
        call(model)
