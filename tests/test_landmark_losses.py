"""Losses of the landmark papers against numbers one can check by hand, and what Eq. 5 and 6 of CFD cannot prevent."""

import pytest
import torch

from lib.landmark_losses import (
    MARGIN,
    code_distance,
    emotion_contrast,
    expression_similarity,
    identity_agreement,
    image_l1,
    landmark_l1,
    laplacian,
    laplacian_l1,
    lip_weighted_l1,
)


def codes(*frames: float) -> torch.Tensor:
    """One clip of one-dimensional codes, (1, T, 1)."""
    return torch.tensor(frames)[None, :, None]


def test_landmark_loss_of_one_point_off_by_3_and_4_is_7_over_136_coordinates():
    truth = torch.zeros(1, 1, 68, 2)
    pred = truth.clone()
    pred[0, 0, 5] = torch.tensor([3.0, -4.0])
    assert landmark_l1(pred, truth).item() == pytest.approx(7 / 136)


def test_image_loss_does_not_care_which_picture_is_called_true():
    one, other = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), -0.5)
    assert image_l1(one, other).item() == image_l1(other, one).item() == 0.5


# CFD ------------------------------------------------------------------------------------------------------------------


def test_emotion_loss_by_hand():
    r, s, p = codes(0.0, 0.2), codes(0.1, 0.2), codes(0.04, 0.24)
    loss = emotion_contrast(r, s, p, torch.tensor([0.9]), torch.tensor([0.6]))
    assert loss.item() == pytest.approx(0.9 * 0.05 + 0.4 * (0.1 - 0.04))         # d_rs = 0.05, d_rp = 0.04


def test_the_corrected_equation_repels_the_other_video_and_not_the_same_one():
    r, far, near = codes(0.0, 0.0), codes(1.0, 1.0), codes(0.0, 0.0)
    alike = torch.tensor([1.0]), torch.tensor([0.0])
    assert emotion_contrast(r, near, far, *alike).item() == 0                    # as it should be
    assert emotion_contrast(r, far, near, *alike).item() == pytest.approx(1.1)   # apart, and the other video at 0


def test_only_codes_that_stand_still_agree_frame_by_frame_with_other_words():
    word, other_word = codes(0.0, 1.0), codes(1.0, 0.0)
    assert code_distance(word, other_word).item() == 1
    assert code_distance(word, other_word, pooled=True).item() == 0


def test_similarity_of_flat_probabilities_is_one_and_of_disjoint_ones_zero():
    flat, first, last = torch.full((1, 4), 0.25), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 1]])
    assert expression_similarity(flat, flat).item() == pytest.approx(1)
    assert expression_similarity(first, last).item() == 0
    assert expression_similarity(flat, first).item() == pytest.approx(0.5)


def test_a_constant_is_a_global_minimum_of_the_identity_loss():
    torch.manual_seed(0)
    constant, learned = torch.full((4, 6, 8), 3.0), torch.randn(4, 6, 8)
    assert identity_agreement(constant, constant).item() == 0
    assert identity_agreement(learned, torch.randn(4, 6, 8)).item() > 0


def test_a_constant_identity_code_stays_the_minimum_whoever_is_paired():
    speakers = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(3, 5, 2)      # told apart perfectly
    assert identity_agreement(speakers, speakers).item() == identity_agreement(speakers * 0, speakers * 0).item() == 0


@pytest.mark.parametrize("similarity", [0.0, 0.5, 0.9, 1.0])
def test_repulsion_is_bounded_by_the_margin_times_one_minus_lambda(similarity):
    torch.manual_seed(1)
    lam, same = torch.tensor([similarity]), torch.zeros(1, 3, 4)
    worst = emotion_contrast(same, same, same, lam, lam).item()                  # everything in one place
    assert worst == pytest.approx(MARGIN * (1 - similarity))
    for size in (0.01, 0.1, 1.0, 100.0):
        p = size * torch.randn(1, 3, 4)
        assert emotion_contrast(same, same, p, lam, lam).item() <= worst + 1e-7


def test_collapsed_codes_cost_a_hundredth_where_the_recogniser_sees_little_difference():
    lam = torch.tensor([0.9])                                                    # as in Table 2 of the paper
    collapsed = emotion_contrast(*[torch.zeros(1, 5, 128)] * 3, lam, lam)
    apart = emotion_contrast(torch.zeros(1, 5, 128), torch.full((1, 5, 128), 0.02), torch.full((1, 5, 128), 0.2),
                             lam, lam)
    assert collapsed.item() == pytest.approx(0.01)
    assert apart.item() > collapsed.item()          # a spread of 0.02 within a video costs more than collapse does


def test_repulsion_has_no_gradient_beyond_the_margin():
    p = torch.full((1, 2, 3), 0.5, requires_grad=True)
    zero = torch.zeros(1, 2, 3)
    emotion_contrast(zero, zero, p, torch.tensor([0.5]), torch.tensor([0.5])).backward()
    assert p.grad.abs().max().item() == 0


def test_no_gradient_reaches_the_recogniser():
    e = torch.rand(2, 7, requires_grad=True)
    assert not expression_similarity(e, e.flip(0)).requires_grad


# MakeItTalk -----------------------------------------------------------------------------------------------------------


def test_closed_lips_count_ten_times_as_much_as_the_jaw():
    truth = torch.zeros(1, 1, 68, 3)
    jaw, lip = truth.clone(), truth.clone()
    jaw[..., 8, 0], lip[..., 57, 0] = 1.0, 1.0
    assert lip_weighted_l1(lip, truth).item() == pytest.approx(10 * lip_weighted_l1(jaw, truth).item())


def test_lips_a_fifth_open_count_about_as_much_as_the_rest():
    truth = torch.zeros(1, 1, 68, 3)
    truth[..., 66, 1] = 0.225                                                    # 1 / (4 * 0.225 + 0.1) = 1
    pred = truth.clone()
    pred[..., 50, 2] = 2.0
    assert lip_weighted_l1(pred, truth).item() == pytest.approx(2 / (68 * 3))


def test_laplacian_by_hand_on_an_open_contour_and_a_ring():
    points = torch.zeros(1, 1, 68, 1)
    points[0, 0, :, 0] = torch.arange(68.0)
    found = laplacian(points)[0, 0, :, 0]
    assert found[5].item() == 0                                  # on a straight line
    assert found[0].item() == -1 and found[16].item() == 1       # ends: the one neighbour counts twice
    assert found[36].item() == 36 - (41 + 37) / 2                # first point of a ring: its neighbour is the last


def test_laplacian_loss_ignores_a_shift_and_sees_a_kink():
    truth = torch.rand(1, 2, 68, 2)
    assert laplacian_l1(truth + 5, truth).item() == pytest.approx(0, abs=1e-6)
    kink = truth.clone()
    kink[..., 8, :] += 1
    assert laplacian_l1(kink, truth).item() == pytest.approx(2 / 68)             # itself 1, two neighbours 1/2 each
