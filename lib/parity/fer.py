"""Stored cases of the expression recognisers DAN and SCN."""

from functools import cached_property

from torch import Tensor

from lib.errors import InputError
from lib.models import dan, resnet, scn
from lib.parity import Case


def runner(case: Case) -> "DanOutputs | ScnOutputs":
    kinds = {"dan": DanOutputs, "scn": ScnOutputs}
    kind = case.description["case"]
    if kind not in kinds:
        raise InputError(f"{case.path}: case {kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind](case)


class DanOutputs:
    """Outputs of DAN by their names in the case."""

    def __init__(self, case: Case):
        self.model = dan.DAN(case.config["classes"], case.config["heads"])
        resnet.load_weights(self.model, case.weights(), source=str(case.path))
        self.image = resnet.images(case.inputs["image"])

    @cached_property
    def seen(self) -> dan.Outputs:
        return self.model(self.image)

    @property
    def logits(self) -> Tensor:
        return self.seen.logits

    @property
    def heads(self) -> Tensor:
        return self.seen.heads

    @property
    def feature_map_mean(self) -> Tensor:
        return self.seen.feature_map.mean((2, 3))


class ScnOutputs:
    """Outputs of SCN by their names in the case."""

    def __init__(self, case: Case):
        model = scn.SCN(case.config["classes"])
        resnet.load_weights(model, case.weights(), source=str(case.path))
        seen = model(resnet.images(case.inputs["image"]))
        self.importance, self.scaled_logits = seen.importance, seen.scaled_logits
