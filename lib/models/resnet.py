"""ResNet-18 (He et al., CVPR 2016) as the released expression recognisers DAN and SCN carry it, and their loading.

Both keep torchvision's network up to its last layer as one Sequential, hence the keys features.0 (conv1), features.1
(bn1), features.4 to features.7 (layer1 to layer4). A face-recognition start weight has torchvision's own names;
`load_backbone` maps them. SCN's released loader does not: it copies no weight, and reports success.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.data import checkpoint
from lib.errors import InputError

WIDTHS = (64, 128, 256, 512)
FEATURES = WIDTHS[-1]
SHARE = 0.95  # of the weights must fit before a file counts as one of this network at all
IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, red green blue
IMAGE_SIZE = 224
TORCHVISION = {"conv1": "features.0", "bn1": "features.1"} | {f"layer{i}": f"features.{i + 3}" for i in (1, 2, 3, 4)}


class Block(nn.Module):
    """Two 3x3 convolutions and the identity, or a 1x1 convolution where the size changes: (B, C, H, W)."""

    def __init__(self, width_in: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        new = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (new + (x if self.downsample is None else self.downsample(x))).relu()


def backbone() -> nn.Sequential:
    """Images (B, 3, H, W) to feature maps (B, 512, H / 32, W / 32), entries numbered as in the released files."""
    start = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    stages, width_in = [], 64
    for width in WIDTHS:
        stages.append(nn.Sequential(Block(width_in, width, 1 if width == 64 else 2), Block(width, width, 1)))
        width_in = width
    return nn.Sequential(*start, *stages)


def images(pixels: Tensor) -> Tensor:
    """Network input from RGB pixels 0..255 (B, 3, 224, 224): divided by 255, then ImageNet's mean and deviation.

    Raises InputError for another shape or size (resize the face crop first) and for values that are not finite.
    """
    if pixels.ndim != 4 or tuple(pixels.shape[1:]) != (3, IMAGE_SIZE, IMAGE_SIZE) or not len(pixels):
        raise InputError(f"pixels {tuple(pixels.shape)}: expected (faces, 3, {IMAGE_SIZE}, {IMAGE_SIZE}), RGB 0 to 255")
    values = pixels.float()
    if not torch.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise InputError("pixels: expected finite numbers from 0 to 255")
    mean, std = (torch.tensor(x, device=values.device)[:, None, None] for x in (IMAGE_MEAN, IMAGE_STD))
    return (values / 255 - mean) / std


# Loading --------------------------------------------------------------------------------------------------------------


def load(model: nn.Module, path: Path | str) -> None:
    """Load a released or trained recogniser into `model` and set it to evaluation.

    The file may hold the tensors as they are, under state_dict or model_state_dict, with "module." before each name.
    Raises InputError unless every weight is there; below 95 % it is said to be another network. The model is then
    unchanged. Only the counters of batch normalisation may be absent.
    """
    load_weights(model, checkpoint.load(path), source=str(path))


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], *, source: str = "checkpoint") -> None:
    """As `load`, from tensors by name."""
    own = model.state_dict()
    needed = {key: value for key, value in own.items() if not key.endswith("num_batches_tracked")}
    found = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
    _require_share(found, needed, type(model).__name__, source)
    checkpoint.check(found, needed, source)
    model.load_state_dict(own | {key: value for key, value in tensors.items() if key in own})
    model.eval()


def load_backbone(model: nn.Module, path: Path | str) -> None:
    """Load only `model.features` from a ResNet-18 with torchvision's names (a start weight); other entries are left.

    Raises InputError, and changes nothing, unless every weight of the backbone is found.
    """
    renamed = {_released_name(key): value for key, value in checkpoint.load(path).items()}
    inner = {key.removeprefix("features."): value for key, value in renamed.items() if key.startswith("features.")}
    load_weights(model.features, inner, source=str(path))


def _released_name(key: str) -> str:
    first, _, rest = key.partition(".")
    return f"{TORCHVISION[first]}.{rest}" if first in TORCHVISION else key


def _require_share(found: Mapping[str, Tensor], needed: Mapping[str, Tensor], name: str, source: str) -> None:
    same = [key for key, value in needed.items() if key in found and found[key].shape == value.shape]
    share = len(same) / len(needed)
    if share < SHARE:
        some = ", ".join(list(found)[:3]) or "nothing"
        raise InputError(
            f"{source}: only {share:.0%} of the {len(needed)} weights of {name} are in it (it has {some} ...); this is "
            "another network; a ResNet-18 with names such as layer1.0.conv1.weight goes through load_backbone"
        )
