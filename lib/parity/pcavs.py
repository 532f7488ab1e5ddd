"""Stored cases of PC-AVS: its three encoders, its generator and two losses."""

from dataclasses import replace
from functools import cached_property

from torch import Tensor, nn

from lib.errors import InputError
from lib.models import pcavs
from lib.parity import Case


def runner(case: Case) -> "Losses | Voice | Frame | Identity | Picture":
    kinds = {"losses": Losses, "audio_sync_encoder": Voice, "non_identity_encoder": Frame,
             "identity_encoder": Identity, "generator_56_pixels": Picture}  # fmt: skip
    kind = case.description["case"]
    if kind not in kinds:
        raise InputError(f"{case.path}: case {kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind](case)


def loaded(model: nn.Module, case: Case) -> nn.Module:
    pcavs.load(model, case.weights(), source=str(case.path))
    return model


def image(case: Case) -> Tensor:
    """Pixels 0..255 as -1..1."""
    return case.inputs["image"].float() / 255 * 2 - 1


class Losses:
    """Unweighted."""

    def __init__(self, case: Case):
        self.contrastive = pcavs.contrastive_loss(case.inputs["a"], case.inputs["b"])[None]
        self.disentangling_l2_softmax = pcavs.disentangling_loss(case.inputs["scores"])[None]


class Voice:
    """Mouth features from mel windows."""

    def __init__(self, case: Case):
        self.mouth_feature = loaded(pcavs.AudioEncoder(pcavs.PUBLISHED), case)(case.inputs["mel"])


class Frame:
    """Codes of a frame."""

    def __init__(self, case: Case):
        model = loaded(pcavs.NonIdentityEncoder(pcavs.PUBLISHED), case)
        self.feature = model(image(case))
        self.mouth, self.headpose = model.mouth(self.feature), model.to_headpose(self.feature)
        self.mouth_embed, self.headpose_embed = model.mouth_embed(self.mouth), model.pose(self.feature)


class Identity:
    """Vector and map of a picture."""

    def __init__(self, case: Case):
        self.identity, seen = loaded(pcavs.IdentityEncoder(pcavs.PUBLISHED), case)(image(case))
        self.map_mean, self.map_corner = seen.mean((2, 3)), seen[..., :2, :2]


class Picture:
    """The generator at a quarter of its size: as many resolutions fewer."""

    def __init__(self, case: Case):
        size, width = case.config["crop_size"], case.config["channels"]
        config = replace(pcavs.PUBLISHED, size=size, channels=(width,) * (size // 7).bit_length())
        self.model, self.inputs = loaded(pcavs.Generator(config), case), case.inputs

    @cached_property
    def image(self) -> Tensor:
        return self.model(self.inputs["style"], self.inputs["map"])

    @property
    def style_rgb_last(self) -> Tensor:
        return self.model.to_rgbs[-1].conv.modulation(self.inputs["style"])
