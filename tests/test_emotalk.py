"""EmoTalk: whose emotion is heard where, the parts of the query, finishing of the motion, official key names."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.models import emotalk
from lib.models.emotalk import Config, EmoTalk, LossWeights, Reconstruction, Speech

KEYS = Path(__file__).parent / "parity" / "emotalk" / "state_dict_keys.json"
SMALL = Config(
    motion_width=7, content_width=12, emotion_width=8, levels=2, persons=3, condition_width=2, audio_width=10,
    emotions=4, period=5,
)  # fmt: skip
TINY_ENCODER = dict(
    hidden_size=10, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
    num_conv_pos_embedding_groups=5,
)  # fmt: skip


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = EmoTalk(SMALL).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def condition():
    return torch.tensor([[1.0, 0, 0, 1, 0], [0, 1.0, 1, 0, 0]])


def test_the_query_is_as_wide_as_its_parts():
    assert Config().width == 512 + 256 + 32 + 32 == 832
    assert emotalk.EMOFACE.width == 512 + 320 == 832 and emotalk.EMOFACE.motion_width == 174


def test_untrained_it_returns_no_motion(condition):
    motion = EmoTalk(SMALL).eval().decode(noise(2, 20, 10), condition, 12)
    assert motion.shape == (2, 12, 7) and motion.count_nonzero() == 0


def test_the_donor_changes_the_cross_output_and_not_the_own_one(model, condition):
    recipient, donors = Speech.of(noise(2, 20, 10)), [Speech.of(noise(2, 24, 10, seed=s)) for s in (2, 3)]
    one, other = (model(recipient, donor, condition, (11, 12)) for donor in donors)
    assert one.cross.shape == (2, 11, 7) and one.own.shape == (2, 12, 7) and one.logits.shape == (2, 4)
    assert torch.equal(one.own, other.own) and not torch.allclose(one.cross, other.cross)
    assert not torch.allclose(one.logits, other.logits)


def test_the_own_output_is_what_inference_returns(model, condition):
    recipient = Speech(noise(2, 20, 10), noise(2, 20, 10, seed=4))
    own = model(recipient, recipient, condition, (12, 12)).own
    assert torch.equal(own, model.decode(recipient, condition, 12))


def test_both_features_reach_the_motion(model, condition):
    a, b = noise(2, 12, 10), noise(2, 12, 10, seed=2)
    before = model.fuse(a, a, condition)
    assert not torch.allclose(before, model.fuse(b, a, condition))
    assert not torch.allclose(before, model.fuse(a, b, condition))


def test_frames_do_not_depend_on_later_features(model, condition):
    before = noise(2, 12, 10)
    after = before.clone()
    after[:, 6:] += 1
    motion = [model.decode(hidden, condition, 12) for hidden in (before, after)]
    assert torch.allclose(motion[0][:, :6], motion[1][:, :6], atol=1e-6)
    assert not torch.allclose(motion[0][:, 6], motion[1][:, 6])


def test_a_clip_does_not_depend_on_its_neighbours_in_the_batch(model, condition):
    hidden = noise(2, 12, 10)
    both, second = model.decode(hidden, condition, 12), model.decode(hidden[1:], condition[1:], 12)
    assert torch.allclose(both[1:], second, atol=1e-6)


def test_what_the_classifier_learns_reaches_the_motion():
    """With acoustic features the emotion branch has a layer of its own, taught by the cross-entropy alone here."""
    torch.manual_seed(0)
    model = EmoTalk(replace(SMALL, levels=0, persons=0, emotion_width=12, acoustic_width=3))
    nn.init.normal_(model.bs_map_r.weight)
    content, acoustic = noise(2, 20, 10), noise(2, 20, 3, seed=2)
    before = model.eval().decode(Speech(content, acoustic), None, 20)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    nn.functional.cross_entropy(model.classify(model.encode_emotion(acoustic, 20)), torch.tensor([0, 1])).backward()
    optimiser.step()
    assert not torch.allclose(model.decode(Speech(content, acoustic), None, 20), before)
    with pytest.raises(InputError, match=r"acoustic features has shape \(2, 20, 10\)"):
        model.decode(content, None, 20)


def test_a_blink_is_shut_where_it_says_and_opens_slower_than_it_closes():
    shape = emotalk.blink_shape(2)
    assert shape.argmax() == 1 and shape.max() == pytest.approx(0.95) and shape[0] == pytest.approx(0.475)
    assert emotalk.BLINKS.shape == (4, 7) and (emotalk.BLINKS > 0).all()


def test_without_level_and_person_no_condition_is_needed_and_none_is_taken():
    model = EmoTalk(replace(SMALL, levels=0, persons=0, emotion_width=12)).eval()
    assert model.decode(noise(2, 20, 10), None, 10).shape == (2, 10, 7)
    assert model.decode(noise(2, 20, 10), torch.zeros(2, 0), 10).shape == (2, 10, 7)
    with pytest.raises(InputError, match="condition has shape"):
        model.decode(noise(2, 20, 10), torch.zeros(2, 5), 10)


def test_the_losses_of_a_perfect_result_are_zero_but_for_the_emotion():
    motion, logits = noise(2, 9, 7), torch.zeros(2, 4)
    found = emotalk.losses(Reconstruction(motion, motion, logits), motion, motion, torch.tensor([0, 3]))
    assert [found[name].item() for name in ("cross", "own", "velocity")] == [0, 0, 0]
    assert found["emotion"].item() == pytest.approx(np.log(4))
    assert emotalk.total(found, LossWeights()).item() == pytest.approx(0.1 * np.log(4))


def test_a_constant_error_has_no_velocity_and_a_ramp_has():
    truth, ramp = torch.zeros(1, 5, 7), torch.arange(5.0)[None, :, None].expand(1, 5, 7)
    result = Reconstruction(truth + 2, ramp, torch.zeros(1, 4))
    found = emotalk.losses(result, truth, truth, torch.tensor([0]))
    assert found["cross"].item() == 4 and found["own"].item() == 6  # (0 + 1 + 4 + 9 + 16) / 5
    assert found["velocity"].item() == 0.5  # 0 and 1, averaged


def test_training_gives_every_weight_a_gradient(condition):
    torch.manual_seed(0)
    model = EmoTalk(SMALL).train()
    nn.init.normal_(model.bs_map_r.weight)
    result = model(Speech.of(noise(2, 20, 10)), Speech.of(noise(2, 22, 10, seed=2)), condition, (11, 12))
    found = emotalk.losses(result, noise(2, 11, 7), noise(2, 12, 7), torch.tensor([0, 1]))
    emotalk.total(found, LossWeights()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_a_waveform_gives_thirty_frames_a_second_rounded_up():
    encoders = dict(wav2vec2_content=TINY_ENCODER, wav2vec2_emotion=TINY_ENCODER)
    model = EmoTalk(replace(SMALL, levels=0, persons=0, emotion_width=12, **encoders)).eval()
    assert model.predict(noise(1, 8100)).shape == (1, 16, 7)  # 15.19 frames


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 20, 9), torch.zeros(2, 5), 10), r"features has shape \(2, 20, 9\)"),
        ((torch.full((2, 20, 10), float("nan")), torch.zeros(2, 5), 10), "features contains NaN"),
        ((torch.zeros(2, 20, 10), None, 10), "needs a condition"),
        ((torch.zeros(2, 20, 10), torch.zeros(2, 4), 10), r"expected \(2 clips, 5\)"),
        ((torch.zeros(2, 20, 10), torch.zeros(2, 5), 0), "at least 1 is needed"),
        ((torch.zeros(2, 16000), torch.zeros(2, 5), 10), "no content encoder"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, arguments, message):
    with pytest.raises(InputError, match=message):
        model.decode(*arguments)


def test_keys_and_shapes_are_those_of_the_released_model():
    official = json.loads(KEYS.read_text())["EmoTalk"]["keys"]
    with torch.device("meta"):
        model = EmoTalk(emotalk.RELEASED)
    ours = {key: list(t.shape) for key, t in model.state_dict().items()}
    assert ours == {key: shape[0] for key, shape in official.items() if ".lm_head." not in key}


def test_released_weights_load_without_their_letter_heads(model):
    state = {key: torch.ones_like(value) for key, value in model.state_dict().items()}
    emotalk.load_released(model, state | {"audio_encoder_cont.lm_head.bias": torch.zeros(32)})
    assert all(p.eq(1).all() for p in model.parameters())
    with pytest.raises(InputError, match="unexpected extra"):
        emotalk.load_released(model, state | {"extra": torch.zeros(1)})


# Finishing ------------------------------------------------------------------------------------------------------------


def test_smoothing_leaves_a_parabola_as_it_is_to_its_very_ends():
    parabola = (np.arange(20.0)[:, None] - 7) ** 2
    assert np.allclose(emotalk.smooth(parabola), parabola)
    with pytest.raises(InputError, match="at least 5"):
        emotalk.smooth(parabola[:4])


def test_blinks_change_the_eyelids_alone_and_both_alike():
    motion = np.random.default_rng(0).random((300, 52))
    blinks = emotalk.draw_blinks(300, Random(1))
    finished = emotalk.insert_blinks(motion, blinks)
    others = np.delete(np.arange(52), emotalk.BLINK_COLUMNS)
    assert np.array_equal(finished[:, others], motion[:, others]) and np.array_equal(finished[:, 8], finished[:, 9])
    assert np.count_nonzero(finished[:, 8]) == 7 * len(blinks) and finished[:, 8].max() == pytest.approx(0.95, abs=0.01)


def test_blinks_are_2_to_6_seconds_apart_and_complete():
    for seed in range(20):
        starts = [start for start, _ in emotalk.draw_blinks(900, Random(seed))]
        assert 0 <= starts[0] <= 60 and starts[-1] + 7 <= 900
        assert all(60 <= gap <= 180 for gap in np.diff(starts))


def test_a_clip_shorter_than_a_blink_has_none():
    assert emotalk.draw_blinks(7, Random(0)) == []
