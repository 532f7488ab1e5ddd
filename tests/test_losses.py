"""Losses against numbers one can check by hand."""

import math

import pytest
import torch

from lib import losses
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


# ECM ------------------------------------------------------------------------------------------------------------------

MOUTH = losses.Mouth(top=0, bottom=1, left=2, right=3, height_m=0.5, width_m=2.0)


def mouth_frames(frames=2):
    """A mouth 1 high and 4 wide in the x-y plane, (1, T, 4, 3), and a copy to change."""
    truth = torch.tensor([[0.0, 1, 0], [0, 0, 0], [-2, 0, 0], [2, 0, 0]]).expand(1, frames, 4, 3)
    return truth.clone(), truth


def test_smooth_l1_is_a_square_below_ten_millimetres_and_a_line_above():
    truth = torch.zeros(1, 1, 1, 3)
    for error, expected in ((0.001, 0.001**2 / 0.02), (0.1, 0.1 - 0.005)):
        assert losses.vertex_smooth_l1(truth + error, truth).item() == pytest.approx(expected, rel=1e-4)


def test_mouth_losses_of_a_mouth_opened_by_a_half_in_one_of_two_frames():
    pred, truth = mouth_frames()
    pred[:, 0, 0, 1] += 0.5                                                  # a half, one height_m
    assert losses.mouth_vector(pred, truth, MOUTH).item() == 1.0             # summed over frames
    assert losses.mouth_size(pred, truth, MOUTH).item() == 0.5               # averaged


def test_a_turned_mouth_costs_in_the_vector_form_only():
    pred, truth = mouth_frames()
    pred = pred[..., [1, 0, 2]]                                              # x and y exchanged
    assert losses.mouth_size(pred, truth, MOUTH).item() == 0
    assert losses.mouth_vector(pred, truth, MOUTH).item() == 2 * (2 / 0.5 + 8 / 2.0)


def test_padding_counts_in_no_mouth_or_vertex_loss():
    pred, truth = mouth_frames()
    pred[:, 1] += torch.randn(4, 3)
    valid = torch.tensor([[True, False]])
    named = [losses.vertex_smooth_l1(pred, truth, valid), losses.mouth_vector(pred, truth, MOUTH, valid),
             losses.mouth_size(pred, truth, MOUTH, valid)]
    assert [loss.item() for loss in named] == [0, 0, 0]


def test_two_quiet_frames_are_silence_and_one_is_not_nor_are_two_around_a_loud_one():
    audio = torch.tensor([[1.0, 0, 1, 0, 0, 1], [1, 0, 1, 0, 1, 1]]).repeat_interleave(10, 1)
    # from left to right: frame 1 of the second clip is loud again before frame 2 is looked at
    assert losses.silent_frames(audio, 6, 10).int().tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]


def test_padding_can_turn_a_silent_frame_into_speech():
    audio = torch.tensor([[1.0, 0.3, 0.3, 1.0]]).repeat_interleave(10, 1)    # mean 0.65, threshold 0.2275
    louder = torch.tensor([[1.0, 0.2, 0.2, 1.0]]).repeat_interleave(10, 1)   # mean 0.6, threshold 0.21
    assert not losses.silent_frames(audio, 4, 10).any()
    padded = torch.nn.functional.pad(louder, (0, 40))                        # mean 0.3, threshold 0.105
    assert losses.silent_frames(louder, 4, 10)[0, 2] and not losses.silent_frames(padded, 8, 10)[0, :4].any()


def test_jaw_silence_is_a_mean_over_all_frames_not_over_the_silent_ones():
    pitch, silent = torch.tensor([[0.75, 1.5, 3.0, 0.0]]), torch.tensor([[False, True, False, False]])
    assert losses.jaw_silence(pitch, silent).item() == 2 / 4
    assert losses.jaw_silence(pitch, silent, ~silent).item() == 0


def test_jaw_velocity_does_not_see_an_error_that_changes_its_sign():
    truth = torch.zeros(1, 4)
    assert losses.jaw_velocity(torch.tensor([[0.75, -0.75, 0.75, -0.75]]), truth).item() == 0
    assert losses.jaw_velocity(torch.tensor([[0.0, 0.75, 0.75, 0.75]]), truth).item() == pytest.approx(4 / 3)
    valid = torch.tensor([[True, True, False, False]])                       # a constant error ends where the clip does
    assert losses.jaw_velocity(torch.full((1, 4), 0.75), truth, valid).item() == pytest.approx(4 / 3)


def test_mouth_parameters_count_the_others_as_zero():
    pred, truth = torch.zeros(1, 1, 56), torch.zeros(1, 1, 56)
    pred[..., 53], pred[..., 2] = 0.75, 100.0                                # jaw by its range; 2 has no range
    assert losses.mouth_parameters(pred, truth).item() == pytest.approx(1 / 56)


def test_prior_error_is_a_mean_over_valid_frames():
    pred = torch.tensor([[[1.0, 3.0], [100.0, 100.0]]])
    assert losses.prior_l1(pred, torch.zeros_like(pred), torch.tensor([[True, False]])).item() == 2
