"""VOCA: number of weights, windows and their edges, the two entries of the style, losses on pairs, cepstra."""

import numpy as np
import pytest
import torch

from lib.errors import InputError
from lib.models import voca
from lib.models.voca import Config, Voca

SMALL = Config(motion_width=6, features=5, window=8, subjects=3, expression=4, hidden=16, fps=25.0)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Voca(SMALL).eval()


def test_it_has_the_published_number_of_weights():
    layers = [3584, 3104, 6208, 12352, 9344, 6450, 768519]  # four convolutions, two dense layers, the offsets
    model = Voca()
    found = [sum(p.numel() for p in layer.parameters()) for layer in model.convolutions]
    found += [sum(p.numel() for p in layer.parameters()) for layer in (model.hidden, model.expression, model.offsets)]
    assert found == layers and sum(found) == 809561


def test_a_given_basis_is_the_last_layer_at_the_start(model):
    basis = noise(6, 4)
    started = Voca(SMALL, basis)
    assert torch.equal(started.offsets.weight, basis) and not started.offsets.bias.any()
    with pytest.raises(InputError, match=r"shape \(4, 6\); expected \(6, 4\)"):
        Voca(SMALL, basis.T)


def test_four_convolutions_halve_16_frames_to_one():
    x, lengths = torch.zeros(1, 37, 16), []
    for convolution in Voca().convolutions:
        x = convolution(voca.pad_to_half(x))
        lengths.append(x.shape[-1])
    assert lengths == [8, 4, 2, 1]


@pytest.mark.parametrize("window", [1, 5, 8, 16, 20, 33])
def test_any_window_gives_one_motion_frame(window):
    model = Voca(Config(motion_width=6, features=5, window=window, subjects=3))
    assert model(noise(2, window, 5), torch.eye(3)[:2]).shape == (2, 6)


def test_there_is_one_window_for_each_frame_and_the_first_starts_with_eight_empty_frames():
    features = torch.arange(1.0, 31)[None, :, None]
    windows = voca.cut_windows(features, 16)[0, ..., 0]
    assert windows.shape == (30, 16)
    assert windows[0].tolist() == [0] * 8 + [1, 2, 3, 4, 5, 6, 7, 8]
    assert windows[-1].tolist() == [*range(22, 31), 0, 0, 0, 0, 0, 0, 0]


def test_a_frame_sees_its_window_and_nothing_else(model):
    before, style = noise(1, 40, 5), torch.eye(3)[:1]
    after = before.clone()
    after[:, 20] += 1  # feature 20 at 50 Hz is motion frame 10 at 25 Hz, seen by frames 7 to 14
    moved = (model.decode(before, style, 20) - model.decode(after, style, 20)).abs().amax((0, 2)) > 0
    assert moved.nonzero().flatten().tolist() == list(range(7, 15))


def test_features_are_interpolated_by_time_and_the_last_one_holds():
    ramp = torch.arange(6.0)[None, :, None]  # 50 Hz
    assert voca.at_rate(ramp, 50, 25, 4)[0, :, 0].tolist() == [0, 2, 4, 5]
    assert voca.at_rate(ramp, 50, 100, 4)[0, :, 0].tolist() == [0, 0.5, 1, 1.5]


def test_the_style_enters_with_the_features_and_before_the_dense_layers(model):
    windows, styles = noise(1, 8, 5), torch.eye(3)
    for entry in (model.hidden.weight.data[:, -3:], model.convolutions[0].weight.data[:, -3:]):
        assert not torch.equal(model(windows, styles[:1]), model(windows, styles[1:2]))
        entry.zero_()
    assert torch.equal(model(windows, styles[:1]), model(windows, styles[1:2]))


def test_losses_sum_the_three_coordinates_and_velocity_sees_changes_alone():
    truth = torch.zeros(4, 2, 6)  # pairs of frames, two vertices
    moved = truth + torch.tensor([1.0, 2, 2, 0, 0, 0])  # one of two vertices off by 3
    assert voca.reconstruction_loss(moved, truth).item() == 4.5
    assert voca.velocity_loss(moved, truth).item() == 0
    moved[:, 0] = 0
    assert voca.velocity_loss(moved, truth).item() == 4.5
    assert voca.reconstruction_loss(moved, truth, coordinates=1).item() == 0.75


def test_the_first_pair_repeats_frame_zero():
    assert voca.pairs(3).tolist() == [[0, 0], [0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 20, 4), torch.eye(3)[:2], 10), r"features has shape \(2, 20, 4\)"),
        ((torch.full((2, 20, 5), float("nan")), torch.eye(3)[:2], 10), "features contains NaN"),
        ((torch.zeros(2, 20, 5), torch.eye(3)[:1], 10), r"condition has shape \(1, 3\)"),
        ((torch.zeros(2, 20, 5), torch.eye(3)[:2], 0), "at least 1 is needed"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, arguments, message):
    with pytest.raises(InputError, match=message):
        model.decode(*arguments)
    with pytest.raises(InputError, match="windows have 7 frames; expected 8"):
        model(torch.zeros(2, 7, 5), torch.eye(3)[:2])


# Speech features ------------------------------------------------------------------------------------------------------


def tone(hertz: float, samples: int = 16000) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(samples) / 16000)).astype(np.int16)


def test_one_second_gives_99_frames_of_cepstra_and_50_of_network_input():
    assert voca.mel_cepstra(tone(440)).shape == (99, 26)
    network_input = voca.network_input(tone(440))
    assert network_input.shape == (50, 494)
    assert network_input.mean() == pytest.approx(0, abs=1e-12) and network_input.std() == pytest.approx(1)


def test_the_energy_of_a_tone_ten_times_as_loud_is_a_hundredfold():
    quiet, loud = (voca.mel_cepstra(tone(440) // factor)[10, 0] for factor in (10, 1))
    assert loud - quiet == pytest.approx(np.log(100), abs=0.01)


def test_a_tone_excites_the_band_around_it():
    power = np.abs(np.fft.rfft(voca.frames_of(tone(1000).astype(float))[10], 512)) ** 2
    bands = voca.htk_bands()
    centre = bands[(bands @ power).argmax()].argmax() * 16000 / 512
    assert abs(centre - 1000) < 120


def test_frames_cover_the_audio_to_its_last_sample():
    assert [len(voca.frames_of(np.ones(n))) for n in (100, 400, 401, 560, 561)] == [1, 1, 2, 2, 3]


def test_silence_is_finite_and_floats_are_refused():
    assert np.isfinite(voca.network_input(np.zeros(4000, np.int16))).all()
    with pytest.raises(InputError, match="audio is float64"):
        voca.network_input(np.zeros(4000))


def test_a_second_has_sixty_frames():
    assert [voca.frame_count(n) for n in (16000, 17000, 8000)] == [60, 64, 30]
