"""Traits of an actor, each a pure function of the actor's number.

Traits that a claim depends on (expressivity above all) come from a low-discrepancy sequence, not from a random draw:
any run of eight or more consecutive actors then covers the whole range evenly and no two traits go together.
Identity coefficients are random, since many of them average out. Voice traits live in voice.py.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from lib.face.rig import ARKIT

# trait -> lowest and highest value, in the order of the sequence's dimensions
TRAITS = {
    "expressivity": (0.5, 1.3),       # size of every emotional movement
    "articulation": (0.8, 1.2),       # size of jaw movement in speech
    "rounding": (0.8, 1.2),           # size of lip protrusion in speech
    "asymmetry": (-0.2, 0.2),         # positive: emotion stronger on the actor's left side
    "head_motion": (0.5, 1.5),        # size of nods and sway
}


ACCENT = 0.25


@dataclass(frozen=True)
class Actor:
    """One actor: scalar traits within the ranges of TRAITS, shape of the head, way of emoting."""

    number: int
    expressivity: float
    articulation: float
    rounding: float
    asymmetry: float
    head_motion: float

    @cached_property
    def identity(self) -> np.ndarray:
        """Coefficients (N_IDENTITY,) of the head, standard normal cut at 2."""
        from lib.puppet.head import N_IDENTITY

        drawn = np.random.default_rng([0xFACE, self.number]).standard_normal(N_IDENTITY)
        drawn = np.clip(drawn, -2, 2).astype(np.float32)
        drawn.setflags(write=False)
        return drawn

    @cached_property
    def accent(self) -> np.ndarray:
        """Factors (52,) on the controls of an emotion, within 1 +- ACCENT, both sides alike: a way of emoting."""
        stems = [name.removesuffix("Left").removesuffix("Right") for name in ARKIT]
        drawn = np.random.default_rng([0xACCE, self.number]).uniform(1 - ACCENT, 1 + ACCENT, len(ARKIT))
        return drawn[[stems.index(stem) for stem in stems]]


@cache
def actor(number: int) -> Actor:
    """The actor of a number (0 and up): main corpus below 100, judges from 100, foundation voices from 200."""
    position = low_discrepancy(number, len(TRAITS))
    ranges = zip(TRAITS.items(), position, strict=True)
    traits = {name: float(low + (high - low) * x) for (name, (low, high)), x in ranges}
    return Actor(number, **traits)


def low_discrepancy(index: int, dimensions: int) -> np.ndarray:
    """Point `index` of the additive-recurrence sequence R_d (Roberts 2018), in [0, 1)^d."""
    ratio = 1.5
    for _ in range(60):                                  # fixed point of phi^(d+1) = phi + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    return (0.5 + (index + 1) * ratio ** -np.arange(1, dimensions + 1)) % 1
