"""Stored cases of SyncNet: offset search on given features, and everything from frames and samples to the score."""

import numpy as np
import torch
from torch import Tensor

from lib.errors import InputError
from lib.models import resnet, syncnet, voca
from lib.parity import Case


def runner(case: Case) -> "OffsetSearch | Pipeline":
    kinds = {"offset_search": OffsetSearch, "pipeline": Pipeline}
    kind = case.description["case"]
    if kind not in kinds:
        raise InputError(f"{case.path}: case {kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind](case)


class Score:
    """The numbers of a match by their names in the cases."""

    def __init__(self, match: syncnet.Match):
        self.offset = torch.tensor([match.offset])
        self.confidence, self.min_distance = torch.tensor([match.confidence]), torch.tensor([match.min_distance])
        self.mean_distance, self.distances = match.mean_distance, match.distances


class OffsetSearch(Score):
    """Features are given."""

    def __init__(self, case: Case):
        super().__init__(syncnet.offset_search(case.inputs["lip"], case.inputs["audio"], case.config["vshift"]))


class Pipeline(Score):
    """Frames are regenerated as the case describes."""

    def __init__(self, case: Case):
        model, samples = syncnet.SyncNet(), case.inputs["audio"].numpy()
        resnet.load_weights(model, case.weights(), source=str(case.path))
        self.lip_features, self.audio_features = syncnet.features(model, frames(case), samples)
        self.mfcc = torch.from_numpy(voca.mel_cepstra(samples, syncnet.CEPSTRA))
        super().__init__(syncnet.offset_search(self.lip_features, self.audio_features, case.config["vshift"]))


def frames(case: Case) -> Tensor:
    """Coarse random blocks with fine noise, (T, 3, 224, 224) uint8."""
    rng, count, size = np.random.default_rng(case.seed), case.config["frames"], syncnet.SIZE
    coarse = rng.integers(0, 256, (count, 3, 15, 15)).repeat(16, 2).repeat(16, 3)[..., :size, :size]
    fine = rng.integers(0, 52, (count, 3, size, size))
    return torch.from_numpy(np.clip(0.8 * coarse + fine, 0, 255).astype(np.uint8))
