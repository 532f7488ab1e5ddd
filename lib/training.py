"""One fit loop for every model: seed, progress bar, checkpoint, resume.

A run that is killed and started again gives the numbers it would have given without the interruption: batches and
dropout of an epoch depend on (seed, epoch) alone, and a checkpoint holds the state at the end of an epoch.
"""

import math
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.paths import write_aside

# Adam's betas for a run of a few hundred steps, which has no time for a memory of a thousand. In 300 steps EavaNet's
# error on unseen clips was 0.74 mm with the usual ones and 0.58 mm with these, CodeTalker's 0.83 and 0.69; other
# systems gain less, and a discriminator dies of them. Tried on a draw outside the study.
SHORT_MEMORY = (0.7, 0.95)
# Share of a short run before its rate falls, and what is left of the rate at the end: what is far from its end must not
# slow down. On two draws outside the study, 180 steps of EavaNet like this end about where 230 end whose rate falls to
# zero from the first, 190 of ECM where 240 do, 160 and 80 of CFD where 240 and 120 do, 4 epochs of EmoFace where 5 do.
HOLD, HELD_END = 0.7, 0.1
SAVE_EVERY_S = 20.0  # writing a checkpoint costs less than a tenth of a second at laptop scale


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train.

    The rate is halved every `halve_every` epochs (0: constant), and with `anneal` also falls to zero along half a
    cosine over the whole run. With `hold` it stays as it is for this share of the run and then falls in a straight line
    to HELD_END, from batch to batch, of which an epoch has `batches`. Gradients longer than `clip_norm` are shortened:
    of the whole network, or with `clip_parts` of each of its parts on its own, so that a heavily weighted loss of one
    path does not slow the others. `betas` are Adam's.
    """

    epochs: int
    learning_rate: float
    halve_every: int = 0
    anneal: bool = False
    hold: float = 0.0
    batches: int = 1
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    clip_parts: bool = False
    betas: tuple[float, float] = (0.9, 0.999)

    def rate(self, epoch: int, batch: int = 0) -> float:
        """Learning rate of a batch of an epoch, both counted from 0."""
        halved = 0.5 ** (epoch // self.halve_every) if self.halve_every else 1.0
        annealed = 0.5 * (1 + math.cos(math.pi * epoch / self.epochs)) if self.anneal else 1.0
        late = (epoch + batch / self.batches) / self.epochs - self.hold
        held = 1 - (1 - HELD_END) * max(0.0, late) / (1 - self.hold) if self.hold else 1.0
        return self.learning_rate * halved * annealed * held


Batches = Callable[[np.random.Generator], Iterator[object]]
Losses = Callable[[object], dict[str, Tensor]]


def seed_everything(*seed: int) -> np.random.Generator:
    """Seed torch (weights, dropout) and return a NumPy generator; several integers make one seed."""
    sequence = np.random.SeedSequence(seed)
    torch.manual_seed(int(sequence.generate_state(1)[0]))
    return np.random.default_rng(sequence)


def fit(
    model: nn.Module, batches: Batches, losses: Losses, recipe: Recipe, *, seed: int, checkpoint: Path,
    weights: dict[str, float], label: str = "training", progress: bool = True,
) -> list[dict[str, float]]:
    """Train `model` in place; return one row of mean losses per epoch.

    `batches(rng)` yields the batches of one epoch; `losses(batch)` returns named, unweighted losses; `weights` says how
    they add up (a loss without weight is logged only). The checkpoint makes the run resumable and is the result.
    Raises InputError when a loss stops being finite or the checkpoint belongs to another network.
    """
    from tqdm.auto import tqdm

    model.to(device())
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay,
                                 fused=True)
    log = _resume(checkpoint, model, optimiser)
    saved = time.monotonic()
    bar = tqdm(range(len(log), recipe.epochs), initial=len(log), total=recipe.epochs, desc=label, unit="epoch",
               leave=False, disable=not progress, mininterval=1.0)
    for epoch in bar:
        log.append(_epoch(model, batches, losses, optimiser, recipe, weights, (seed, epoch), label))
        bar.set_postfix({name: f"{value:.4g}" for name, value in log[-1].items()})
        if epoch + 1 == recipe.epochs or time.monotonic() - saved > SAVE_EVERY_S:
            save(checkpoint, model, optimiser, log)
            saved = time.monotonic()
    model.cpu().eval()
    return log


def device() -> torch.device:
    """Where networks are trained: the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _moved(batch: object, where: torch.device) -> object:
    """The batch (tensor, something with a method `to`, or a tuple of these) on the device of training."""
    if isinstance(batch, tuple):
        return tuple(_moved(part, where) for part in batch)
    return batch.to(where) if hasattr(batch, "to") else batch


def _epoch(model, batches, losses, optimiser, recipe, weights, seed, label) -> dict[str, float]:
    model.train()
    rng = seed_everything(*seed)
    sums: dict[str, list[float]] = {}
    for number, batch in enumerate(batches(rng)):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate(seed[-1], number)
        named = losses(_moved(batch, device()))
        total = sum(weights[name] * value for name, value in named.items() if weights.get(name))
        if not torch.isfinite(total):
            raise InputError(f"{label}: the loss is {total.item()} in epoch {seed[-1]}; lower the learning rate")
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        if recipe.clip_norm:
            for part in model.children() if recipe.clip_parts else (model,):
                nn.utils.clip_grad_norm_(part.parameters(), recipe.clip_norm)
        optimiser.step()
        for name, value in named.items():
            sums.setdefault(name, []).append(value.item())
    return {name: float(np.mean(values)) for name, values in sums.items()}


def save(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None, log: list[dict[str, float]]) -> None:
    """Write model, optimiser and log aside, then rename."""
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict() if optimiser else None, "log": log}
    with write_aside(path) as aside:
        torch.save(state, aside)


def load(path: Path, model: nn.Module) -> list[dict[str, float]]:
    """Load the weights of a finished run into `model`, set it to evaluation, return the log."""
    log = _resume(path, model, None)
    model.eval()
    return log


def _resume(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer | None) -> list[dict[str, float]]:
    if not path.exists():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        why = str(error).strip().splitlines()[0]
        message = f"{path}: no checkpoint of this {type(model).__name__} ({why}); delete it to train anew"
        raise InputError(message) from error
    if optimiser is not None:
        optimiser.load_state_dict(state["optimiser"])
    return state["log"]
