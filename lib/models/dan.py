"""DAN, the recogniser behind ECM's emotion priors (Wen et al., "Distract Your Attention", Biomimetics 2023).

features   ResNet-18 without pooling: image (B, 3, 224, 224) -> map (B, 512, 7, 7)
cat_head   four heads; each multiplies the map by a spatial and then by a channel attention, (B, 512)
fusion     log-softmax ACROSS the four heads, sum over heads, fc to C classes, batch norm on the logits

Evaluation mode is therefore not optional: it is the batch norm's statistics that set the scale of the logits, and ECM
reads the logits. Attribute names are the key names of the released checkpoints. Class order: `lib.labels.ORDERS`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import resnet
from lib.paths import asset

RELEASED = {  # checkpoints by number of classes: the asset and its file, spelt as published
    7: "dan_affectnet7/affecnet7_epoch6_acc0.6569.pth",
    8: "dan_affectnet8/affecnet8_epoch5_acc0.6209.pth",
}
REDUCED, SQUEEZED = 256, 32  # width of the spatial attention, and of the bottleneck of the channel attention


def _normalised(width_in: int, width: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(width_in, width, kernel, padding=padding), nn.BatchNorm2d(width))


class SpatialAttention(nn.Module):
    """Map (B, 512, H, W) times one weight per place: three receptive fields, summed together and over channels."""

    def __init__(self):
        super().__init__()
        self.conv1x1 = _normalised(resnet.FEATURES, REDUCED, (1, 1))
        self.conv_3x3 = _normalised(REDUCED, resnet.FEATURES, (3, 3))
        self.conv_1x3 = _normalised(REDUCED, resnet.FEATURES, (1, 3))
        self.conv_3x1 = _normalised(REDUCED, resnet.FEATURES, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1x1(x)
        return x * (self.conv_3x3(y) + self.conv_1x3(y) + self.conv_3x1(y)).relu().sum(1, keepdim=True)


class ChannelAttention(nn.Module):
    """Mean over places, weighted per channel: (B, 512, H, W) -> (B, 512)."""

    def __init__(self):
        super().__init__()
        width = resnet.FEATURES
        self.attention = nn.Sequential(
            nn.Linear(width, SQUEEZED), nn.BatchNorm1d(SQUEEZED), nn.ReLU(), nn.Linear(SQUEEZED, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        return mean * self.attention(mean)


class CrossAttentionHead(nn.Module):
    """Spatial, then channel attention: (B, 512, H, W) -> (B, 512)."""

    def __init__(self):
        super().__init__()
        self.sa, self.ca = SpatialAttention(), ChannelAttention()

    def forward(self, x: Tensor) -> Tensor:
        return self.ca(self.sa(x))


@dataclass(frozen=True)
class Outputs:
    """logits (B, C) after the batch norm; feature_map (B, 512, 7, 7); heads (B, H, 512) after their log-softmax."""

    logits: Tensor
    feature_map: Tensor
    heads: Tensor


class DAN(nn.Module):
    """`forward` takes images as `resnet.images` makes them; `logits` takes pixels. 7 or 8 classes are released."""

    def __init__(self, classes: int = 7, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.features = resnet.backbone()
        for index in range(heads):
            self.add_module(f"cat_head{index}", CrossAttentionHead())
        self.fc = nn.Linear(resnet.FEATURES, classes)
        self.bn = nn.BatchNorm1d(classes)

    def forward(self, x: Tensor) -> Outputs:
        seen = self.features(x)
        heads = torch.stack([self.get_submodule(f"cat_head{i}")(seen) for i in range(self.heads)], 1)
        heads = heads.log_softmax(1)
        return Outputs(self.bn(self.fc(heads.sum(1))), seen, heads)

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """Logits (B, C) of RGB face crops 0..255 (B, 3, 224, 224). Raises InputError in training mode."""
        if self.training:
            raise InputError("DAN is in training mode, where its logits depend on the batch; call eval() first")
        return self(resnet.images(pixels)).logits


def released(classes: int = 7) -> DAN:
    """DAN with its AffectNet weights for 7 or 8 classes, in evaluation mode.

    Raises AssetMissing, with the remedy, where the file is not found; InputError when it does not fit.
    """
    if classes not in RELEASED:
        raise InputError(f"DAN for {classes} classes was not released; choose one of {', '.join(map(str, RELEASED))}")
    model = DAN(classes)
    resnet.load(model, asset(RELEASED[classes]))
    return model
