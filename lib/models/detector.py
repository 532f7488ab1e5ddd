"""A small landmark detector for pictures of puppets: it stands in for FAN and dlib, whose weights cannot be shipped.

PC-AVS returns frames, not landmarks; a distance of landmarks then measures detector and method together. This one is a
plain convolutional regression that is right only for the pictures it learned. Its error on actors it has not seen is
the floor below which no difference between methods can be told; `calibrated` removes the part of it that is constant
for a face, by the reference picture whose landmarks every method is given anyway.
"""

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.face.landmarks import COUNT


class Detector(nn.Module):
    """Pictures (B, 3, S, S) in -1..1 to landmarks (B, 68, 2) in pixels of the frame the mean face is given in."""

    def __init__(self, size: int, mean: np.ndarray, channels: int = 16, spread: float = 10.0):
        """`mean` (68, 2): where landmarks are on average; `spread`: how far, in pixels, they usually are from there."""
        super().__init__()
        self.size, self.spread = size, spread
        widths = [3, channels, 2 * channels, 4 * channels, 4 * channels]
        layers = []
        for k, (source, out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [nn.Conv2d(source, out, 3, 2 if k else 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        side = -(-size // 8)
        self.head = nn.Linear(widths[-1] * side**2, 2 * COUNT)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))

    def forward(self, pictures: Tensor) -> Tensor:
        if tuple(pictures.shape[1:]) != (3, self.size, self.size):
            raise InputError(f"detector: pictures {tuple(pictures.shape)}; expected (B, 3, {self.size}, {self.size})")
        return self.mean + self.spread * self.head(self.layers(pictures).flatten(1)).view(-1, COUNT, 2)

    @torch.inference_mode()
    def detect(self, pictures: Tensor, batch: int = 64) -> np.ndarray:
        """Landmarks (T, 68, 2) float32 of pictures (T, 3, S, S) in -1..1."""
        return torch.cat([self(part) for part in pictures.split(batch)]).numpy()


def calibrated(found: np.ndarray, found_in_reference: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Landmarks found (T, 68, 2), less what the detector is wrong by (68, 2) on the reference picture of the face."""
    return found - (found_in_reference - reference)
