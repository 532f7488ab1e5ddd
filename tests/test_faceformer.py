"""FaceFormer: zero start, causality, equal paths, the folded feedback, official key names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.bench import released_faceformer
from lib.errors import InputError
from lib.models import faceformer, parts
from lib.models.faceformer import Config, FaceFormer

KEYS = Path(__file__).parent / "parity" / "faceformer" / "state_dict_keys.json"
SMALL = Config(motion_width=30, width=16, period=5, subjects=3, audio_width=12)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = FaceFormer(SMALL).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 40, 12, generator=generator), torch.eye(3)[[0, 2]]


def test_untrained_it_returns_no_motion_hence_the_template():
    hidden, style = torch.randn(2, 40, 12), torch.eye(3)[:2]
    assert FaceFormer(SMALL).eval().decode(hidden, style, 20).count_nonzero() == 0


def test_teacher_forced_on_its_own_output_it_repeats_it_up_to_the_first_token(model, clip):
    model.vertice_map.bias.data.zero_()  # the bias is in the first token only when teacher-forced
    motion = model.decode(*clip, frames=20)
    assert torch.allclose(model.teacher_forced(*clip, motion), motion, atol=1e-5)


def test_cached_decoding_equals_the_released_loop(model, clip):
    with torch.no_grad():
        assert torch.allclose(model.decode(*clip, frames=20), released_faceformer(model, *clip, 20), atol=1e-5)


def test_the_first_teacher_forced_frame_differs_by_the_bias_of_the_motion_encoder(model, clip):
    motion = torch.zeros(2, 20, 30)
    assert not torch.allclose(model.teacher_forced(*clip, motion)[:, 0], model.decode(*clip, frames=20)[:, 0])


def test_frames_do_not_depend_on_later_features(model, clip):
    hidden, style = clip
    changed = hidden.clone()
    changed[:, 20:] += 1  # features of frames 10 and later
    before, after = model.decode(hidden, style, 20), model.decode(changed, style, 20)
    assert torch.equal(before[:, :10], after[:, :10]) and not torch.allclose(before[:, 10], after[:, 10])


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch(model, clip):
    hidden, style = clip
    assert torch.allclose(model.decode(hidden, style, 20)[1:], model.decode(hidden[1:], style[1:], 20), atol=1e-6)


def test_training_without_teacher_forcing_gives_every_weight_a_gradient(model, clip):
    model.train()
    model.decode(*clip, frames=12).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] in (
        [],
        ["transformer_decoder.layers.0.multihead_attn.in_proj_bias"],
    )


def test_feedback_is_the_motion_encoder_after_the_motion_decoder(model):
    weight, bias = model.feedback()
    x = torch.randn(4, 16)
    assert torch.allclose(x @ weight.T + bias, model.vertice_map(model.vertice_map_r(x)), atol=1e-5)


def test_more_than_600_frames_are_decoded(model):
    assert model.decode(torch.randn(1, 1210, 12), torch.eye(3)[:1], 605).shape == (1, 605, 30)


def test_too_few_features_and_a_missing_speech_encoder_are_named(model, clip):
    with pytest.raises(InputError, match="ask for at most 20 frames"):
        model.decode(*clip, frames=21)
    with pytest.raises(InputError, match="no speech encoder"):
        model.encode_audio(torch.zeros(1, 16000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 40, 11), torch.eye(3)[:2], 20), r"features has shape \(2, 40, 11\)"),
        ((torch.full((2, 40, 12), float("nan")), torch.eye(3)[:2], 20), "features contains NaN"),
        ((torch.zeros(2, 40, 12), torch.eye(3)[:1], 20), r"style has shape \(1, 3\); expected \(2 clips, 3\)"),
        ((torch.zeros(2, 40, 12), torch.eye(3)[:2], 0), "at least 1 is needed"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, arguments, message):
    with pytest.raises(InputError, match=message):
        model.decode(*arguments)


@pytest.mark.parametrize(("name", "config"), [("vocaset", faceformer.VOCASET), ("BIWI", faceformer.BIWI)])
def test_keys_and_shapes_are_those_of_the_released_model(name, config):
    official = json.loads(KEYS.read_text())[name]["keys"]
    with torch.device("meta"):
        model = FaceFormer(config)
    ours = {key: list(t.shape) for key, t in model.state_dict().items()}
    tables = {key: list(build().shape) for key, build in model.fixed_tables().items()}
    assert ours | tables == {key: shape[0] for key, shape in official.items()}


def test_a_checkpoint_loads_with_either_spelling_of_weight_norm():
    config = replace(
        SMALL,
        wav2vec2=dict(
            hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
            num_conv_pos_embedding_groups=4,
        ),
    )  # fmt: skip
    source, target = FaceFormer(config), FaceFormer(config)
    conv = "audio_encoder.encoder.pos_conv_embed.conv."
    state = source.state_dict() | {"PPE.pe": parts.table_600(5, 16)}
    state[conv + "weight_g"] = state.pop(conv + "parametrizations.weight.original0")
    state[conv + "weight_v"] = state.pop(conv + "parametrizations.weight.original1")
    parts.load_official(target, {"state_dict": {f"module.{key}": value for key, value in state.items()}})
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("vertice_map.weight"), "missing vertice_map.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda s: s.update({"obj_vector.weight": torch.zeros(16, 8)}), r"\(16, 8\), expected \(16, 3\)"),
        (lambda s: s.update({"PPE.pe": parts.table_600(30, 16)}), "table PPE.pe differs"),
        (lambda s: s.update(epoch=3), "expected a state dict of tensors"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_changes_nothing(model, change, message):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {key: torch.zeros_like(value) for key, value in before.items()}
    change(state)
    with pytest.raises(InputError, match=message):
        parts.load_official(model, state)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
