"""EmoFace: who sees whom in either profile, dead weights, decoders of the ablation, official key names."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import nn

from lib.data import emoface as recordings
from lib.errors import InputError
from lib.models import emoface, parts
from lib.models.emoface import Config, EmoFace

STORED = Path(__file__).parent / "parity" / "emoface"
SMALL = Config(outputs=12, emotions=3, audio_width=10, width=16, layers=2, heads=4, ffn=32)
FRAMES = 9


def built(**changes):
    torch.manual_seed(0)
    model = EmoFace(replace(SMALL, **changes)).eval()
    nn.init.normal_(model.out_fn.weight)              # starts at zero
    return model


@pytest.fixture
def hidden():
    return torch.randn(2, FRAMES, 10, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([2, 0])


@torch.no_grad()
def effect_of_one_frame(model, hidden, frame=4):
    """Largest change of the output, per frame, when one frame of the features changes."""
    changed = hidden.clone()
    changed[:, frame] += torch.randn(10, generator=torch.Generator().manual_seed(3))
    return (model.decode(changed, LABELS) - model.decode(hidden, LABELS)).abs().amax((0, 2))


# The axis ------------------------------------------------------------------------------------------------------------


def test_in_the_paper_a_changed_frame_changes_all_frames_in_the_code_none_but_itself(hidden):
    assert (effect_of_one_frame(built(), hidden) > 1e-4).all()
    alone = effect_of_one_frame(built(attention="frame"), hidden)
    assert alone[4] > 0.1 and alone.count_nonzero() == 1


@torch.no_grad()
@pytest.mark.parametrize(("changes", "commutes"), [
    ({}, False), ({"attention": "frame"}, True), ({"positions": False}, True),
    ({"attention": "frame", "positions": False}, True),
])  # fmt: skip
def test_permuted_frames_permute_the_output_unless_attention_knows_positions(hidden, changes, commutes):
    model, order = built(**changes), torch.randperm(FRAMES, generator=torch.Generator().manual_seed(2))
    permuted = model.decode(hidden[:, order], LABELS)
    assert torch.allclose(permuted, model.decode(hidden, LABELS)[:, order], atol=1e-5) == commutes


def test_without_positions_only_the_one_frame_test_tells_the_profiles_apart(hidden):
    assert effect_of_one_frame(built(positions=False), hidden).count_nonzero() == FRAMES
    assert effect_of_one_frame(built(positions=False, attention="frame"), hidden).count_nonzero() == 1


@torch.no_grad()
def test_frame_by_frame_evaluation_equals_the_whole_clip_in_the_code_profile_only(hidden):
    for attention, equal in (("frame", True), ("time", False)):
        model = built(attention=attention)
        single = torch.cat([model.decode(hidden[:, t : t + 1], LABELS) for t in range(FRAMES)], 1)
        assert torch.allclose(single, model.decode(hidden, LABELS), atol=1e-5) == equal


@torch.no_grad()
def test_queries_and_keys_are_dead_weights_in_the_code_profile(hidden):
    model, live = built(attention="frame"), built()
    before = model.decode(hidden, LABELS), live.decode(hidden, LABELS)
    for layer in [*model.encoder.layers, *live.encoder.layers]:
        layer.self_attn.in_proj_weight[: 2 * SMALL.width] = 5.0
    assert torch.equal(model.decode(hidden, LABELS), before[0])
    assert not torch.allclose(live.decode(hidden, LABELS), before[1], atol=1e-3)


def test_queries_and_keys_get_no_gradient_in_the_code_profile(hidden):
    for attention, dead in (("frame", True), ("time", False)):
        model = built(attention=attention)
        model.decode(hidden, LABELS).square().sum().backward()
        for layer in model.encoder.layers:
            query, key, value = (part.abs().max() for part in layer.self_attn.in_proj_weight.grad.chunk(3))
            assert (max(query, key) < 1e-5 * value) == dead           # what is left is rounding of the softmax


def test_dead_weights_are_as_many_as_measured_on_the_released_program():
    measured = json.loads((STORED / "axis_experiment.json").read_text())["published_size"]["released"]
    c = Config()
    assert measured["numbers_in_query_and_key_projections"] == 5_253_120 == c.layers * 2 * (c.width**2 + c.width)


@torch.no_grad()
def test_every_frame_of_the_code_profile_gets_the_encoding_of_position_0(hidden):
    constant = hidden[:, :1].expand(-1, FRAMES, -1)
    still = built(attention="frame").decode(constant, LABELS)
    assert torch.allclose(still, still[:, :1].expand_as(still), atol=1e-6)
    assert built(attention="frame").positions(hidden)[0].tolist() == [0.0, 1.0] * 8
    moving = built().decode(constant, LABELS)
    assert moving.std(1).max() > 1e-3


# The network ----------------------------------------------------------------------------------------------------------


def test_untrained_it_returns_zero_controllers(hidden):
    for decoder in emoface.DECODERS:
        model = EmoFace(replace(SMALL, decoder=decoder)).eval()
        assert model.decode(hidden, LABELS).count_nonzero() == 0


def test_the_published_size_without_the_speech_model_is_32_402_862():
    for config in (Config(), Config(attention="frame")):
        with torch.device("meta"):
            model = EmoFace(config)
        assert sum(p.numel() for p in model.parameters()) == 32_402_862
    assert emoface.layer_weights(Config()) == 3_152_384


@pytest.mark.parametrize(("decoder", "share"), [("fc", 1e-6), ("lstm", 2e-3), ("autoregressive", 1e-3)])
def test_other_decoders_have_the_weights_of_the_transformer(decoder, share):
    with torch.device("meta"):
        model = EmoFace(Config(decoder=decoder))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(32_402_862, rel=share)


@pytest.mark.parametrize("config", [emoface.PAPER, emoface.CODE])
def test_keys_and_shapes_are_those_of_the_released_model(config):
    official = json.loads((STORED / "state_dict_keys.json").read_text())["EmoFace"]["keys"]
    with torch.device("meta"):
        model = EmoFace(config)
    ours = {key: list(t.shape) for key, t in model.state_dict().items()}
    tables = {key: list(build().shape) for key, build in model.fixed_tables().items()}
    assert ours | tables == {parts.current_key(key): shape[0] for key, shape in official.items()}


def test_a_checkpoint_loads_into_either_profile_and_a_wrong_table_is_refused():
    state = built().state_dict() | {"pos_encoder.pe": parts.sinusoids(5000, 16)[:, None]}
    target = EmoFace(replace(SMALL, attention="frame"))
    parts.load_official(target, state)
    assert torch.equal(target.in_fn.weight, state["in_fn.weight"])
    with pytest.raises(InputError, match=r"table pos_encoder.pe differs"):
        parts.load_official(target, state | {"pos_encoder.pe": torch.zeros(5000, 1, 16)})


@torch.no_grad()
@pytest.mark.parametrize("decoder", emoface.DECODERS)
@pytest.mark.parametrize("attention", ["time", "frame"])
def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch(hidden, decoder, attention):
    model = built(decoder=decoder, attention=attention)
    assert torch.allclose(model.decode(hidden, LABELS)[1:], model.decode(hidden[1:], LABELS[1:]), atol=1e-5)


@torch.no_grad()
def test_emotion_enters_as_id_one_hot_or_course_alike(hidden):
    for decoder in ("transformer", "autoregressive"):
        model = built(decoder=decoder)
        by_id, one_hot = model.decode(hidden, LABELS), torch.eye(3)[LABELS]
        for same in (LABELS[:, None], LABELS[:, None].expand(2, FRAMES), one_hot, one_hot[:, None]):
            assert torch.allclose(model.decode(hidden, same), by_id, atol=1e-5)
        assert not torch.allclose(model.decode(hidden, 2 - LABELS), by_id, atol=1e-3)


@torch.no_grad()
def test_an_emotion_that_changes_on_the_way_changes_only_its_frames_in_the_code_profile(hidden):
    model, course = built(attention="frame"), LABELS[:, None].repeat(1, FRAMES)
    course[:, 5:] = 1
    change = (model.decode(hidden, course) - model.decode(hidden, LABELS)).abs().amax((0, 2))
    assert (change[:5] < 1e-5).all() and (change[5:] > 1e-2).all()


@torch.no_grad()
def test_features_of_another_rate_are_interpolated_with_both_ends_kept(hidden):
    model = built(attention="frame")
    stretched = model.decode(hidden, LABELS, 2 * FRAMES - 1)
    assert stretched.shape == (2, 17, 12)
    assert torch.allclose(stretched[:, ::2], model.decode(hidden, LABELS), atol=1e-5)


def test_sound_gives_60_frames_per_second():
    sizes = dict(hidden_size=10, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
                 num_conv_pos_embedding_groups=2)  # fmt: skip
    model = EmoFace(replace(SMALL, wav2vec2=sizes)).eval()
    assert model.predict(torch.randn(1, 8000), torch.tensor([0])).shape == (1, 30, 12)
    assert model.predict(torch.randn(1, 8000), torch.tensor([0]), frames=11).shape == (1, 11, 12)
    with pytest.raises(InputError, match="no speech encoder"):
        built().encode_audio(torch.zeros(1, 16000))


def test_ids_count_the_emotions_as_the_recordings_do():
    assert tuple(recordings.EMOTIONS.values()) == emoface.EMOTIONS and len(emoface.EMOTIONS) == Config().emotions


# Autoregressive decoder -----------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("past", [None, 0, 1, 3])
def test_forced_with_its_own_output_the_autoregressive_decoder_repeats_it(hidden, past):
    model = built(decoder="autoregressive", past=past)
    for labels in (LABELS, torch.randint(3, (2, FRAMES))):
        motion = model.decode(hidden, labels)
        assert torch.allclose(model.teacher_forced(hidden, labels, motion), motion, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("past", "layers", "last"), [(0, 2, 0), (1, 1, 1), (2, 1, 2), (3, 3, 3), (None, 1, FRAMES)])
def test_a_true_frame_reaches_as_many_later_frames_as_the_past_says(hidden, past, layers, last):
    model, motion = built(decoder="autoregressive", past=past, layers=layers), torch.zeros(2, FRAMES, 12)
    before = model.teacher_forced(hidden, LABELS, motion)
    motion[:, 3] += 1
    change = (model.teacher_forced(hidden, LABELS, motion) - before).abs().amax((0, 2))
    assert change.nonzero().flatten().tolist() == list(range(4, min(4 + last, FRAMES)))


def test_the_autoregressive_decoder_learns_through_its_own_frames(hidden):
    model = built(decoder="autoregressive").train()
    model.decode(hidden, LABELS).square().mean().backward()
    assert model.encoder.rig_fn.weight.grad.abs().max() > 0


def test_only_the_autoregressive_decoder_is_teacher_forced(hidden):
    with pytest.raises(InputError, match="no feedback to force"):
        built().teacher_forced(hidden, LABELS, torch.zeros(2, FRAMES, 12))


# Inputs that do not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "emotion", "frames", "message"),
    [
        (torch.zeros(2, 9, 11), LABELS, None, r"features has shape \(2, 9, 11\)"),
        (torch.full((2, 9, 10), float("nan")), LABELS, None, "features contains NaN"),
        (torch.zeros(2, 9, 10), torch.tensor([0, 3]), None, "run from 0 to 2; got 0 to 3"),
        (torch.zeros(2, 9, 10), LABELS[:1], None, "for each of 2 clips"),
        (torch.zeros(2, 9, 10), LABELS[:, None].repeat(1, 8), None, "or for each of their 9 frames"),
        (torch.zeros(2, 9, 10), torch.full((2, 3), float("nan")), None, "emotion contains NaN"),
        (torch.zeros(2, 9, 10), LABELS, 0, "at least 1 is needed"),
    ],
)
def test_inputs_that_do_not_fit_are_named(features, emotion, frames, message):
    with pytest.raises(InputError, match=message):
        built().decode(features, emotion, frames)


NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
ANY_ARRAY = arrays.arrays(np.float32, SHAPES, elements=NUMBERS)
ANY_LABEL = ANY_ARRAY | arrays.arrays(np.int64, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9))
MODELS = [built(decoder=decoder).requires_grad_(False) for decoder in emoface.DECODERS]


@settings(max_examples=150)
@given(features=ANY_ARRAY, label=ANY_LABEL, frames=st.none() | st.integers(-1, 12), model=st.sampled_from(MODELS),
       fits=st.booleans())
def test_any_features_and_labels_give_an_input_error_or_controllers(features, label, frames, model, fits):
    features = torch.zeros(1, 9, 10) if fits else torch.from_numpy(features)
    try:
        motion = model.decode(features, torch.from_numpy(label), frames)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert motion.shape == (len(features), frames or features.shape[1], 12)


@pytest.mark.parametrize("changes", [{"attention": "clip"}, {"decoder": "gru"}, {"decoder": "lstm", "lstm_layers": 0},
                                     {"decoder": "autoregressive", "past": -1}])
def test_unknown_readings_are_refused(changes):
    with pytest.raises(InputError, match="expected|at least 1"):
        EmoFace(replace(SMALL, **changes))
