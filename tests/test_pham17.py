"""Recurrent regression from sound: both published outlines, one direction of time, its acoustic features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.models import pham17
from lib.models.pham17 import CNN_RNN, LSTM, Pham17, acoustic_features, pitch_classes

SMALL = dict(motion_width=5, audio_width=12, width=16, layers=2, dropout=0.0)
OUTLINES = [replace(LSTM, **SMALL), replace(CNN_RNN, **SMALL)]


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=OUTLINES, ids=["LSTM", "CNN_RNN"])
def model(request):
    torch.manual_seed(0)
    model = Pham17(request.param).eval()
    nn.init.normal_(model.out.weight)
    return model


@pytest.mark.parametrize("config", OUTLINES, ids=["LSTM", "CNN_RNN"])
def test_untrained_it_returns_no_motion(config):
    motion = Pham17(config).eval().decode(noise(2, 20, 12), None, 10)
    assert motion.shape == (2, 10, 5) and motion.count_nonzero() == 0


def test_frames_do_not_depend_on_later_features_but_on_all_earlier_ones(model):
    before = noise(1, 20, 12)
    after = before.clone()
    after[:, 10:] += 1  # motion frame 5 and later
    motion = [model.decode(hidden, None, 10) for hidden in (before, after)]
    assert torch.equal(motion[0][:, :5], motion[1][:, :5])
    assert all((motion[0] - motion[1])[0, 5:].abs().amax(-1) > 1e-6)


def test_one_feature_or_two_for_each_frame(model):
    one = Pham17(replace(model.config, per_frame=1))
    assert one.decode(noise(1, 10, 12), None, 10).shape == model.decode(noise(1, 20, 12), None, 10).shape


def test_no_emotion_is_an_input_and_a_subject_only_where_asked_for(model):
    assert torch.equal(model.decode(noise(1, 20, 12), None, 10), model.decode(noise(1, 20, 12), torch.zeros(1, 0), 10))
    with pytest.raises(InputError, match="condition has shape"):
        model.decode(noise(1, 20, 12), torch.eye(3)[:1], 10)
    speaking = Pham17(replace(model.config, subjects=3))
    nn.init.normal_(speaking.out.weight)
    one, other = (speaking.decode(noise(1, 20, 12), torch.eye(3)[i : i + 1], 10) for i in (0, 1))
    assert not torch.allclose(one, other)


def test_training_gives_every_weight_a_gradient(model):
    model.train().decode(noise(2, 20, 12), None, 10).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_inputs_that_do_not_fit_are_named(model):
    with pytest.raises(InputError, match="ask for at most 10 frames"):
        model.decode(noise(1, 20, 12), None, 11)
    with pytest.raises(InputError, match=r"features has shape \(1, 20, 11\)"):
        model.decode(noise(1, 20, 11), None, 10)
    with pytest.raises(InputError, match="features contains NaN"):
        model.decode(torch.full((1, 20, 12), float("nan")), None, 10)


# Acoustic features ----------------------------------------------------------------------------------------------------


def tone(hertz: float, samples: int = 16000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / 16000)).astype(np.float32)


def test_the_features_are_as_many_as_the_model_expects_and_standardised():
    sweep = tone(200) * np.linspace(0.2, 1, 16000, dtype=np.float32)
    features = acoustic_features(sweep)
    assert features.shape == (50, LSTM.audio_width) and np.isfinite(features).all()
    assert np.abs(features.mean(0)).max() < 1e-4 and features.std(0).max() == pytest.approx(1, abs=1e-3)
    assert Pham17().decode(torch.from_numpy(features)[None], None, 25).shape == (1, 25, 46)
    assert Pham17(CNN_RNN).decode(torch.from_numpy(features[None, :, :64]), None, 25).shape == (1, 25, 46)


@pytest.mark.parametrize(("hertz", "note"), [(440, 9), (880, 9), (523.25, 0), (1174.66, 2)])
def test_a_tone_has_the_pitch_class_of_its_note_in_any_octave(hertz, note):
    shares = pitch_classes(tone(hertz), 50)[20]
    assert shares.argmax() == note and shares.sum() == pytest.approx(1)


def test_silence_has_finite_features_and_a_click_too_short_is_refused():
    assert np.isfinite(acoustic_features(np.zeros(8000, np.float32))).all()
    with pytest.raises(InputError, match="at least 640 are needed"):
        pham17.acoustic_features(np.zeros(400, np.float32))
