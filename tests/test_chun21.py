"""Templates blended by the recognised emotion: what moves, what is constant, what learns from what."""

import math

import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.models import chun21
from lib.models.chun21 import Chun21, Config, Prediction

SMALL = Config(motion_width=5, audio_width=6, emotions=3, subjects=2, width=8, dropout=0.0)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Chun21(SMALL).eval()
    nn.init.normal_(model.mouth_out.weight)
    model.templates.copy_(noise(3, 5, seed=2))
    return model


@pytest.fixture
def clip():
    return noise(2, 40, 6), torch.eye(2)


def test_untrained_it_returns_no_motion(clip):
    motion = Chun21(SMALL).eval().decode(*clip, 20)
    assert motion.shape == (2, 20, 5) and motion.count_nonzero() == 0


def test_the_emotion_adds_one_and_the_same_expression_to_every_frame(model, clip):
    added = model.decode(*clip, 20) - model.mouth(*clip, 20)
    weights = model.recognise(clip[0]).softmax(-1)
    assert torch.allclose(added, (weights @ model.templates)[:, None].expand(-1, 20, -1), atol=1e-6)


def test_weights_by_hand_choose_a_template_and_its_strength(model, clip):
    mouth = model.mouth(*clip, 20)
    chosen = model.decode(*clip, 20, weights=2 * torch.eye(3)[[1, 1]])
    assert torch.allclose(chosen - mouth, 2 * model.templates[1].expand(2, 20, 5), atol=1e-5)


def test_a_frame_of_the_mouth_sees_six_frames_on_both_sides(model, clip):
    changed = clip[0].clone()
    changed[:, 20] += 1  # motion frame 10; three kernels of 5
    moved = (model.mouth(*clip, 20) - model.mouth(changed, clip[1], 20)).abs().amax((0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == list(range(4, 17))


def test_templates_are_the_mean_motions_less_that_of_neutral(model):
    motion = torch.tensor([[1.0], [3], [10], [5]]).expand(4, 5)
    model.store_templates(motion, torch.tensor([0, 0, 1, 2]))
    assert model.templates[:, 0].tolist() == [0, 8, 3]
    with pytest.raises(InputError, match="no training clip of emotion 2"):
        model.store_templates(motion, torch.tensor([0, 0, 1, 1]))


def test_the_classifier_learns_from_the_label_alone(model, clip):
    result = model(*clip, 20)
    found = chun21.losses(result, noise(2, 20, 5), torch.tensor([0, 2]))
    found["motion"].backward(retain_graph=True)
    assert all(p.grad is None for p in model.classifier.parameters())
    found["emotion"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_losses_of_a_perfect_motion_and_an_undecided_classifier():
    motion = noise(2, 9, 5)
    found = chun21.losses(Prediction(motion, torch.zeros(2, 3)), motion, torch.tensor([0, 1]))
    assert found["motion"].item() == 0 and found["emotion"].item() == pytest.approx(math.log(3))


def test_training_and_inference_return_the_same_motion(model, clip):
    assert torch.equal(model(*clip, 20).motion, model.decode(*clip, 20))


def test_templates_are_stored_with_the_weights(model):
    copy = Chun21(SMALL)
    copy.load_state_dict(model.state_dict())
    assert torch.equal(copy.templates, model.templates)
    assert "templates" not in dict(model.named_parameters())


def test_without_subjects_no_condition_is_needed():
    model = Chun21(Config(motion_width=5, audio_width=6, emotions=3, per_frame=1))
    assert model.decode(noise(2, 20, 6), None, 20).shape == (2, 20, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 40, 5), torch.eye(2), 20), r"features has shape \(2, 40, 5\)"),
        ((torch.full((2, 40, 6), float("inf")), torch.eye(2), 20), "features contains NaN or infinite"),
        ((torch.zeros(2, 40, 6), torch.eye(3)[:2], 20), r"condition has shape \(2, 3\)"),
        ((torch.zeros(2, 40, 6), torch.eye(2), 21), "ask for at most 20 frames"),
        ((torch.zeros(2, 40, 6), torch.eye(2), 20, torch.eye(2)), "emotion weights has shape"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, arguments, message):
    with pytest.raises(InputError, match=message):
        model.decode(*arguments)
