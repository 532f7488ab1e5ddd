"""SCN, Self-Cure Network (Wang et al., CVPR 2020): a ResNet-18 that also rates how far each picture can be trusted.

    (alpha, alpha * fc(x)) with x the pooled features, alpha = sigmoid(w x + b) in (0, 1)

The released program scales the logits by the importance alpha, which is the paper's weighted cross-entropy. Attribute
names are the key names of the released program. Class order: `lib.labels.ORDERS["raf-db"]`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.models import resnet


@dataclass(frozen=True)
class Outputs:
    """importance (B, 1) in (0, 1); scaled_logits (B, C) = importance times the linear output."""

    importance: Tensor
    scaled_logits: Tensor


class SCN(nn.Module):
    """`forward` takes images as `resnet.images` makes them; `logits` takes pixels."""

    def __init__(self, classes: int = 7):
        super().__init__()
        self.features = nn.Sequential(*resnet.backbone(), nn.AdaptiveAvgPool2d(1))
        self.fc = nn.Linear(resnet.FEATURES, classes)
        self.alpha = nn.Sequential(nn.Linear(resnet.FEATURES, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Outputs:
        seen = self.features(x).flatten(1)
        importance = self.alpha(seen)
        return Outputs(importance, importance * self.fc(seen))

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """Scaled logits (B, C) of RGB face crops 0..255 (B, 3, 224, 224)."""
        return self(resnet.images(pixels)).scaled_logits
