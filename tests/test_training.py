"""The fit loop: learning, resuming to the same numbers, errors."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.errors import InputError
from lib.training import HELD_END, Recipe, fit, load, seed_everything

TARGET = torch.tensor([[1.0, -2.0]])


def batches(rng: np.random.Generator):
    for _ in range(4):
        yield torch.tensor(rng.standard_normal((8, 2)), dtype=torch.float32)


def train(path, epochs, model=None):
    seed_everything(3)
    model = model or nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 1, bias=False))
    log = fit(model, batches, lambda x: {"fit": (model(x) - x @ TARGET.T).square().mean(), "seen": x.sum()},
              Recipe(epochs, 0.05), seed=3, checkpoint=path, weights={"fit": 1.0}, progress=False)
    return model, log


def test_a_linear_map_is_learned_and_unweighted_losses_are_only_logged(tmp_path):
    model, log = train(tmp_path / "a.pt", 60)
    assert torch.allclose(model[1].weight, TARGET, atol=0.4)
    assert log[-1]["fit"] < 0.3 * log[0]["fit"] and "seen" in log[0]


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(tmp_path):
    whole, _ = train(tmp_path / "whole.pt", 6)
    train(tmp_path / "cut.pt", 3)
    cut, log = train(tmp_path / "cut.pt", 6)
    assert len(log) == 6
    assert torch.equal(whole[1].weight, cut[1].weight)


def test_a_held_rate_falls_late_in_a_straight_line_from_batch_to_batch():
    recipe = Recipe(4, 0.5, hold=0.5, batches=4)
    rates = np.array([recipe.rate(epoch, batch) for epoch in range(4) for batch in range(4)])
    assert np.all(rates[:9] == 0.5)
    falls = np.diff(rates[8:])
    assert np.allclose(falls, falls[0]) and rates[-1] + falls[0] == pytest.approx(HELD_END * 0.5)


def test_a_cosine_is_the_same_for_all_batches_of_an_epoch():
    recipe = Recipe(4, 1.0, anneal=True, batches=3)
    assert recipe.rate(2, 0) == recipe.rate(2, 2) == pytest.approx(0.5)


def test_a_finished_run_is_loaded_not_trained(tmp_path):
    model, log = train(tmp_path / "a.pt", 2)
    fresh = nn.Sequential(nn.Dropout(0.1), nn.Linear(2, 1, bias=False))
    assert load(tmp_path / "a.pt", fresh) == log
    assert torch.equal(fresh[1].weight, model[1].weight)


def test_a_checkpoint_of_another_network_names_the_file_and_the_remedy(tmp_path):
    train(tmp_path / "a.pt", 1)
    with pytest.raises(InputError, match=r"a\.pt.*delete it"):
        load(tmp_path / "a.pt", nn.Linear(5, 5))


def test_a_damaged_checkpoint_is_an_input_error(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"a\.pt"):
        load(tmp_path / "a.pt", nn.Linear(2, 1))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    model = nn.Linear(2, 1)
    with pytest.raises(InputError, match="learning rate"):
        fit(model, batches, lambda x: {"fit": model(x).mean() * float("nan")}, Recipe(1, 0.1), seed=0,
            checkpoint=tmp_path / "a.pt", weights={"fit": 1.0}, progress=False)
