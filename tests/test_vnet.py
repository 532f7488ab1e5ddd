"""Ventriloquist-Net: sizes, masks and what gradients pass them, losses by hand, windows, released post-processing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import landmark_losses as losses
from lib.errors import InputError
from lib.models import vnet
from lib.models.vnet import (
    AUDIO_FRAMES,
    FRAMES,
    MOUTH,
    PAPER,
    REPO,
    REPO_MASKED,
    REST,
    STRIDE,
    Config,
    Generator,
    PostProcessing,
    Schedule,
    Sp2Emo,
    discriminator,
    exp2emo,
    narrowed,
    parameter_count,
    stitch,
    window_starts,
)

SMALL = narrowed(16)


def inputs(clips=3, config=SMALL, grad=True):
    torch.manual_seed(0)
    mel = torch.randn(clips, 80, AUDIO_FRAMES, requires_grad=grad)
    quality = torch.randn(clips, config.quality, FRAMES, requires_grad=grad)
    return mel, quality


def generator(profile=PAPER, **options):
    torch.manual_seed(1)
    return Generator(SMALL, profile, **options).eval()


# Sizes ----------------------------------------------------------------------------------------------------------------


def conv(i, o, *kernel, norm=True):
    return (i * int(np.prod(kernel)) + 1) * o + 2 * o * norm


def lstm(i, units):
    return 2 * 4 * units * (i + units + 2)


def linear(*widths, norm):
    pairs = list(zip(widths, widths[1:], strict=False))
    return sum((i + 1) * o for i, o in pairs) + 2 * sum(o for _, o in pairs[:-1]) * norm


def test_published_sizes_have_the_parameters_counted_by_hand():
    speech = conv(1, 32, 3, 7) + conv(32, 32, 3, 5) + conv(32, 64, 3, 3) + conv(64, 128, 3, 3)
    assert parameter_count(Sp2Emo()) == speech + linear(3840, 128, 32, 8, norm=True)
    assert parameter_count(exp2emo()) == lstm(136, 32) + lstm(64, 8) + linear(480, 128, 32, 8, norm=True)
    assert parameter_count(discriminator()) == lstm(136, 32) + lstm(64, 8) + linear(480, 64, 8, 1, norm=False)


def test_both_generators_have_the_parameters_counted_by_hand():
    widths = (1, 32, 64, 128, 256, 512, 512)
    encoder = conv(1, 32, 3, 5) + sum(conv(i, o, 3, 3) for i, o in zip(widths[1:], widths[2:], strict=False))
    lingual = conv(2560, 512, 3) + conv(512, 272, 3) + conv(272, 272, 3) + conv(272, 136, 5, norm=False)
    emotional = conv(128, 272, 3) + conv(272, 272, 3) + conv(272, 136, 5, norm=False)
    assert parameter_count(Generator()) == encoder + lingual + emotional
    residual = sum(conv(i, o, 3, 3) + conv(o, o, 3, 3) + conv(i, o, 1, 1, norm=False)
                   for i, o in ((1, 64), (64, 128), (128, 256), (256, 512)))
    assert parameter_count(Generator(Config(), REPO)) == residual + lingual + 128 * 3 * 512


def test_the_recurrent_generator_is_matched_in_parameters():
    units = vnet.matched_units(SMALL)
    recurrent = Generator(replace(SMALL, recurrent=units), kind="recurrent")
    assert parameter_count(recurrent) == pytest.approx(parameter_count(Generator(SMALL)), rel=0.05)


@pytest.mark.parametrize("profile", [PAPER, REPO, REPO_MASKED])
def test_every_profile_predicts_offsets_below_one_standard_deviation(profile):
    motion = generator(profile)(*inputs())
    assert motion.offsets.shape == (3, FRAMES, 68, 2)
    assert motion.offsets.abs().max() < 1
    assert (motion.lingual is None) == (profile.branches == "one")


def test_emotion_networks_give_a_feature_per_frame_and_one_distribution():
    heard = Sp2Emo(SMALL).eval()(torch.randn(3, 30, AUDIO_FRAMES))
    assert heard.quality.shape == (3, SMALL.quality, FRAMES)
    assert torch.allclose(heard.probabilities.sum(-1), torch.ones(3))
    assert exp2emo(SMALL)(torch.randn(3, FRAMES, 68, 2)).shape == (3, 8)


def test_wrong_windows_are_refused_by_name():
    with pytest.raises(InputError, match=r"expected \(windows, 80, 92\)"):
        generator()(torch.zeros(1, 80, 90), inputs(1)[1])
    with pytest.raises(InputError, match="cepstral"):
        Sp2Emo(SMALL)(torch.zeros(1, 13, AUDIO_FRAMES))
    with pytest.raises(InputError, match="landmark offsets"):
        exp2emo(SMALL)(torch.zeros(1, 25, 68, 2))


def test_a_frame_of_content_is_heard_at_its_own_time():
    """The pooled content of frame t must come from audio frames around 3 t + 1 (one frame of border comes first)."""
    torch.manual_seed(0)
    encoder = vnet.MelEncoder(SMALL.mel).eval()
    mel = torch.randn(1, 80, AUDIO_FRAMES, requires_grad=True)
    encoder(mel)[0, :, 12].pow(2).sum().backward()
    felt = mel.grad[0].abs().sum(0)
    centre = float((felt * torch.arange(AUDIO_FRAMES)).sum() / felt.sum())
    assert centre == pytest.approx(3 * 12 + 2, abs=1.0)


# Masks ----------------------------------------------------------------------------------------------------------------


def test_masks_have_the_printed_shares():
    lingual, emotional = vnet.branch_masks()
    assert sorted(MOUTH.tolist() + REST.tolist()) == list(range(68)) and len(MOUTH) == 37
    assert lingual[MOUTH].unique().tolist() == [1.0] and lingual[REST].unique().tolist() == [0.0]
    assert emotional[MOUTH].unique().tolist() == pytest.approx([0.2]) and emotional[REST].unique().tolist() == [1.0]


def test_speech_reaches_no_point_of_the_upper_face_exactly():
    mel, quality = inputs()
    upper = generator()(mel, quality).offsets[:, :, REST].square().sum()
    by_mel, by_emotion = torch.autograd.grad(upper, (mel, quality))
    assert by_mel.abs().max() == 0.0
    assert by_emotion.abs().max() > 0


def test_emotion_reaches_the_mouth_with_a_fifth_of_the_weight():
    model, (mel, quality) = generator(), inputs()
    free = generator(replace(PAPER, masked=False))
    free.load_state_dict({name: value for name, value in model.state_dict().items() if "mask" not in name},
                         strict=False)
    model.target = free.target = "landmarks"                     # without tanh the sum is linear in both branches
    masked, unmasked = (torch.autograd.grad(m(mel, quality).offsets[:, :, MOUTH].sum(), quality)[0]
                        for m in (model, free))
    assert torch.allclose(masked, 0.2 * unmasked, atol=1e-6)


@pytest.mark.parametrize("options", [{"masked": False}, {"branches": "one"}])
def test_without_masks_or_with_one_branch_speech_moves_the_upper_face(options):
    mel, quality = inputs()
    upper = generator(replace(PAPER, **options))(mel, quality).offsets[:, :, REST].square().sum()
    assert torch.autograd.grad(upper, mel)[0].abs().max() > 0


@pytest.mark.parametrize("placed, reached", [("lingual", False), ("offsets", True)])
def test_the_mouth_loss_reaches_the_emotion_branch_only_when_it_looks_at_the_sum(placed, reached):
    model = generator()
    made = getattr(model(*inputs()), placed)
    losses.mouth_error(made, torch.zeros_like(made)).backward()
    gradients = [p.grad for p in model.branches["emotional"].parameters()]
    assert any(g is not None and bool(g.abs().max() > 0) for g in gradients) == reached
    assert all(p.grad is not None for p in model.branches["lingual"].parameters())


def test_an_emotion_loss_on_the_upper_face_leaves_the_lingual_branch_alone():
    model = generator()
    model(*inputs()).offsets[:, :, REST].square().sum().backward()
    assert all(p.grad is None or not p.grad.abs().any() for p in model.branches["lingual"].parameters())


@pytest.mark.parametrize("profile", [PAPER, replace(PAPER, masked=False), REPO])
def test_a_generator_of_positions_starts_from_the_mean_face(profile):
    model, mean = generator(profile, target="landmarks"), torch.randn(68, 2)
    for branch in model.branches.values():
        torch.nn.init.zeros_(branch[-1].weight)
    model.start_from(mean)
    assert torch.allclose(model(*inputs()).offsets, mean.expand(3, FRAMES, 68, 2), atol=1e-6)


def test_without_emotion_networks_the_emotion_branch_reads_the_content():
    model = generator(emotional="content")
    assert model(inputs()[0], None).offsets.shape == (3, FRAMES, 68, 2)


# Losses ---------------------------------------------------------------------------------------------------------------


def oscillation(hertz=5.0, fps=30.0, frames=31):
    """A whole number of periods of one coordinate of every point: it returns to where it began."""
    times = torch.arange(frames, dtype=torch.float64) / fps
    wave = torch.zeros(1, frames, 68, 2, dtype=torch.float64)
    wave[..., 1] = torch.sin(2 * torch.pi * hertz * times)[None, :, None]
    return wave


def test_an_oscillation_has_motion_energy_and_no_net_drift():
    wave = oscillation()
    still = torch.zeros_like(wave)
    assert wave.diff(dim=1).abs().mean() > 0.1
    assert losses.net_drift(wave).max() < 1e-12
    sizes_alone = torch.nn.functional.mse_loss(wave.abs().mean(1), still.abs().mean(1))
    assert losses.net_drift_energy(wave, still) == pytest.approx(float(sizes_alone), rel=1e-9)
    expected = [float(x.flatten(2).abs().mean(1).norm()) for x in (wave, wave.diff(dim=1))]
    assert losses.motion_energy(wave, still) == pytest.approx(sum(expected), rel=1e-9)


def test_a_drift_is_seen_by_both_forms_of_energy():
    drift = torch.linspace(0, 1, 31)[None, :, None, None].expand(1, 31, 68, 2)
    assert losses.net_drift(drift).mean() == pytest.approx(1 / 30)
    assert losses.motion_energy(drift, torch.zeros_like(drift)) > 0


def test_the_energy_loss_has_a_gradient_where_it_is_zero():
    wave = oscillation().requires_grad_()
    losses.motion_energy(wave, wave.detach().clone()).backward()
    assert torch.isfinite(wave.grad).all()


def test_energy_of_the_masked_script_does_not_see_the_mouth():
    moved = torch.zeros(1, 10, 68, 2)
    moved[:, :, 60] = 1.0
    still = torch.zeros_like(moved)
    assert losses.net_drift_energy(moved, still, with_mouth=False) == 0
    assert losses.net_drift_energy(moved, still) == pytest.approx(1 / 68)


def test_agreement_by_hand():
    uniform, certain = torch.full((1, 8), 1 / 8), torch.eye(8)[:1]
    assert losses.emotion_cosine(uniform, certain) == pytest.approx(1 - 8**-0.5)
    assert losses.emotion_cosine(certain, certain) == pytest.approx(0)
    assert losses.emotion_square(uniform, certain) == pytest.approx(((7 / 8) ** 2 + 7 / 64) / 8)
    assert losses.likeliest_emotion(torch.zeros(1, 8), certain) == pytest.approx(np.log(8))


def test_the_released_mouth_loss_lets_the_mouth_move_as_a_whole():
    truth = torch.randn(2, 5, 68, 2)
    shifted = truth + torch.tensor([0.5, -0.25])
    assert losses.mouth_error(shifted, truth) == pytest.approx(0.375)
    assert losses.mouth_error(shifted, truth, norm="l2") == pytest.approx((0.25 + 0.0625) / 2)
    assert losses.mouth_error(shifted, truth, centred=True, velocity=True) == pytest.approx(0, abs=1e-6)
    brows = truth.clone()
    brows[:, :, 17:27] += 1
    assert losses.mouth_error(brows, truth) == 0


def test_the_square_has_a_vanishing_gradient_near_zero_and_the_absolute_error_has_not():
    def slope(norm, size):
        error = torch.full((1, 2, 68, 2), size, requires_grad=True)
        losses.mouth_error(error, torch.zeros(1, 2, 68, 2), norm=norm).backward()
        return float(error.grad[0, 0, 60, 0])

    assert slope("l1", 1e-3) == pytest.approx(slope("l1", 1.0))
    assert slope("l2", 1e-3) == pytest.approx(1e-3 * slope("l2", 1.0), rel=1e-4)


@pytest.mark.parametrize("form, judged, passed", [("least-squares", 0.5 * 0.16 + 0.5 * 0.04, 0.64),
                                                 ("margin", 0.5 * 0.4 + 0.5 * 0.2, 0.8)])
def test_adversarial_losses_by_hand(form, judged, passed):
    real, made = torch.tensor([[0.5]]), torch.tensor([[0.2]])
    assert losses.judge_real_and_made(real, made, form) == pytest.approx(judged)
    assert losses.pass_for_real(made, form) == pytest.approx(passed)


# Schedule and windows -------------------------------------------------------------------------------------------------


def test_the_schedule_of_the_paper_in_full_and_squeezed():
    paper = [Schedule().rates(epoch) for epoch in (0, 19, 20, 39, 40, 60)]
    assert paper == [(1e-3, 0), (1e-3, 0), (5e-4, 0), (5e-4, 0), (2.5e-4, 1e-4), (1.25e-4, pytest.approx(1e-5))]
    short = Schedule().squeezed(10)
    assert (short.face_from, short.speech_every, short.speech_rate) == (4, 2, 1e-3)


@pytest.mark.parametrize("frames", [3, 30, 31, 50, 51, 77, 130])
def test_windows_cover_a_clip_and_stitch_to_its_length(frames):
    starts = window_starts(frames)
    assert starts[-1] + FRAMES >= frames and all(b - a == STRIDE for a, b in zip(starts, starts[1:], strict=False))
    assert len(starts) == 1 or starts[-2] + FRAMES < frames
    numbered = np.stack([np.arange(s, s + FRAMES) for s in starts]).astype(float)
    assert np.array_equal(stitch(numbered, frames), np.arange(frames))


def test_stitching_takes_the_centre_of_each_window():
    windows = np.stack([np.full((FRAMES, 1), i) for i in range(3)])
    assert stitch(windows, 70)[:, 0].tolist() == [0] * 25 + [1] * 20 + [2] * 25
    with pytest.raises(InputError, match="expected 3"):
        stitch(windows[:2], 70)


def test_standardised_windows_forget_place_and_size():
    window = torch.randn(2, FRAMES, 68, 2, dtype=torch.float64)
    moved = vnet.standardised(window)
    assert torch.allclose(moved, vnet.standardised(window * torch.tensor([3.0, 0.5]) + 7))
    assert torch.allclose(moved.std((1, 2), correction=0), torch.ones(2, 2, dtype=torch.float64))


# Post-processing ------------------------------------------------------------------------------------------------------


def talking(frames=60):
    """A face whose inner lips open by up to 10 px and whose closed moments drift down by 6 px; y grows down."""
    rng, times = np.random.default_rng(0), np.arange(frames)
    face = np.repeat(rng.uniform(50, 200, (1, 68, 2)), frames, axis=0)
    opening, drift = 5 * (1 - np.cos(2 * np.pi * times / 20)), 6 * times / frames
    for upper, lower in vnet.INNER_PAIRS:
        face[:, lower, 0] = face[:, upper, 0]
        face[:, upper, 1], face[:, lower, 1] = 120 + drift, 120 + drift + opening
    return face


def test_nothing_is_done_by_default():
    face = talking()
    assert PostProcessing()(face) is face


def test_the_mean_mouth_is_closed():
    closed = PostProcessing(close_mouth=True)(talking())
    gaps = [(closed[:, low, 1] - closed[:, up, 1]).mean() for up, low in vnet.INNER_PAIRS]
    assert gaps == pytest.approx([0, 0, 0], abs=1e-9)


def test_rebased_lips_lose_their_drift_and_keep_their_opening():
    face = talking()
    lower = vnet.rebased_lips(face)[:, 66, 1]
    ends = [lower[20], lower[40]]
    assert ends[0] == pytest.approx(ends[1], abs=1e-6)
    assert np.ptp(lower) == pytest.approx(10, rel=0.1)


def test_scaling_fills_the_frame_and_loses_the_aspect_ratio():
    fill = PostProcessing(scale_axes=True)
    out = fill(talking())
    assert out.min((0, 1)) == pytest.approx([16, 16]) and out.max((0, 1)) == pytest.approx([240, 240])
    assert np.allclose(fill(talking() * np.array([2.0, 1.0])), out)
