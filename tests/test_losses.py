"""Losses against numbers one can check by hand."""

import math

import pytest
import torch

from lib.losses import motion_l1, style_cross_entropy, supervised_contrastive, vertex_mse, vertex_norm

PRED, TRUTH = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), torch.zeros(1, 2, 2)


def test_vertex_losses_of_a_3_4_5_error_in_one_of_two_frames():
    assert vertex_mse(PRED, TRUTH).item() == 25 / 4
    assert vertex_norm(PRED, TRUTH).item() == pytest.approx(5 / 2, abs=1e-5)
    assert motion_l1(PRED, TRUTH).item() == 7 / 4


def test_cross_entropy_of_undecided_logits_is_log_of_the_classes():
    assert style_cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 3])).item() == pytest.approx(math.log(4))


def test_contrastive_loss_of_two_equal_pairs_at_right_angles():
    style = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    hand = -math.log(math.e / (math.e + 2))                  # temperature 1: partner at 1, two others at 0
    assert supervised_contrastive(style, torch.tensor([0, 0, 1, 1]), 1.0).item() == pytest.approx(hand, rel=1e-6)


def test_contrastive_loss_without_partners_is_zero_and_differentiable():
    style = torch.randn(3, 5, requires_grad=True)
    loss = supervised_contrastive(style, torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
