"""Image translation: a reference picture and drawn landmarks in, the picture of that face with those landmarks out.

    I_t = U(concat(I_s, M_t))        CFD Sec. 3.4; loss |I_t - target|, mean absolute difference (eq. 11)

Two profiles of one task, both with 6 channels in and tanh:

    cfd          U-Net of 4x4 convolutions with stride 2 down to one pixel (8 levels at 256 pixels), 64 channels at
                 first, batch norm, leaky ReLU down and ReLU up, skip connections; landmarks white on black
    makeittalk   ResUNet, 6 levels of a 3x3 convolution with stride 2 and two residual blocks, nearest-neighbour
                 enlargement on the way up; landmarks in MakeItTalk's colours

The paper gives CFD's layers no sizes beyond the six channels; they are those of the image translation it builds on
(pix2pix, Isola et al., CVPR 2017). Smaller pictures have as many levels fewer, smaller scales fewer channels.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError

PROFILES = {"cfd": "lsp", "makeittalk": "makeittalk"}       # and how each wants landmarks drawn
LEVELS = 6                                                  # of MakeItTalk's network, whatever the size


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are the published ones."""

    profile: str = "cfd"
    size: int = 256
    channels: int = 64          # of the first level, at most eight times as many further down

    def widths(self) -> list[int]:
        """Channels of every level from the largest picture down; InputError for an unknown profile or size."""
        if self.profile not in PROFILES:
            raise InputError(f"image translation: profile {self.profile!r}; expected one of {', '.join(PROFILES)}")
        levels = self.size.bit_length() - 1
        if self.size != 1 << levels or levels < LEVELS:
            raise InputError(f"image translation: size {self.size}; expected a power of two from {1 << LEVELS}")
        return [self.channels * min(2**k, 8) for k in range(levels if self.profile == "cfd" else LEVELS)]


class Down(nn.Sequential):
    """Half the size: leaky ReLU, convolution, batch norm (the first level has neither of the two, the last no norm)."""

    def __init__(self, channels: int, out: int, first: bool, last: bool):
        norm = [] if first or last else [nn.BatchNorm2d(out)]
        super().__init__(*([] if first else [nn.LeakyReLU(0.2)]), nn.Conv2d(channels, out, 4, 2, 1), *norm)


class Up(nn.Sequential):
    """Twice the size: ReLU, transposed convolution, batch norm (not at the last)."""

    def __init__(self, channels: int, out: int, last: bool):
        norm = [] if last else [nn.BatchNorm2d(out)]
        super().__init__(nn.ReLU(), nn.ConvTranspose2d(channels, out, 4, 2, 1), *norm)


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, and the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.second(self.first(x))).relu()


def _convolved(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU(), Residual(out),
                         Residual(out))  # fmt: skip


class Translation(nn.Module):
    """Pictures (B, 3, S, S) in -1..1 of references and landmark pictures (B, 3, S, S) each, in -1..1."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config, widths = config, config.widths()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        (self._plain if config.profile == "cfd" else self._residual)(widths)

    def _plain(self, widths: list[int]) -> None:
        deepest = len(widths) - 1
        for k, width in enumerate(widths):
            self.down.append(Down(widths[k - 1] if k else 6, width, not k, k == deepest))
            self.up.append(Up(width * (1 if k == deepest else 2), widths[k - 1] if k else 3, not k))

    def _residual(self, widths: list[int]) -> None:
        deepest = len(widths) - 1
        for k, width in enumerate(widths):
            self.down.append(_convolved(widths[k - 1] if k else 6, width, 2))
            joined, out = width * (1 if k == deepest else 2), widths[k - 1] if k else self.config.channels
            enlarge = nn.Upsample(scale_factor=2)
            last = [nn.Conv2d(out, 3, 3, 1, 1)] if not k else []
            self.up.append(nn.Sequential(enlarge, _convolved(joined, out, 1), *last))

    def forward(self, reference: Tensor, landmarks: Tensor) -> Tensor:
        self._check(reference, landmarks)
        x, kept = torch.cat([reference, landmarks], 1), []
        for down in self.down:
            x = down(x)
            kept.append(x)
        x = self.up[-1](kept.pop())
        for up in list(self.up)[-2::-1]:
            x = up(torch.cat([x, kept.pop()], 1))
        return x.tanh()

    def _check(self, reference: Tensor, landmarks: Tensor) -> None:
        expected = (len(reference), 3, self.config.size, self.config.size)
        for name, given in (("reference", reference), ("landmark picture", landmarks)):
            if tuple(given.shape) != expected:
                raise InputError(f"image translation: {name} {tuple(given.shape)}; expected {expected}")


def to_tensor(pictures: np.ndarray) -> Tensor:
    """Pictures (B, H, W, 1 or 3) uint8 as (B, 3, H, W) in -1..1; one channel is repeated. InputError otherwise."""
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.shape[-1] not in (1, 3) or pictures.dtype != np.uint8:
        raise InputError(f"pictures {pictures.shape} {pictures.dtype}; expected (B, H, W, 1 or 3) uint8")
    values = torch.tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    return values.expand(-1, 3, -1, -1)


def to_pictures(values: Tensor) -> np.ndarray:
    """Inverse of `to_tensor`: (B, 3, H, W) in -1..1 as (B, H, W, 3) uint8."""
    return ((values.detach().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def image_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference (CFD eq. 11)."""
    return F.l1_loss(pred, target)
