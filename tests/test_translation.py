"""Image translation: published sizes of both profiles, pictures in and out, and what is refused."""

import numpy as np
import pytest
import torch

from lib.errors import InputError
from lib.models import translation


@pytest.mark.parametrize(("profile", "levels", "numbers"), [("cfd", 8, 54_422_531), ("makeittalk", 6, 70_099_587)])
def test_published_sizes(profile, levels, numbers):
    with torch.device("meta"):
        model = translation.Translation(translation.Config(profile))
    assert len(model.down) == levels and sum(p.numel() for p in model.parameters()) == numbers
    assert translation.Config(profile).widths() == [64, 128, 256, 512, 512, 512, 512, 512][:levels]


@pytest.mark.parametrize("profile", translation.PROFILES)
def test_every_output_pixel_may_depend_on_both_pictures(profile):
    torch.manual_seed(0)
    model = translation.Translation(translation.Config(profile, 64, 4)).eval()
    reference, drawn = (torch.randn(1, 3, 64, 64, requires_grad=True) for _ in range(2))
    made = model(reference, drawn)
    assert made.shape == (1, 3, 64, 64) and made.abs().max() <= 1
    made[0, 0, 5, 5].backward()
    for picture in (reference, drawn):
        assert picture.grad.abs().sum(1)[0, 60, 60] > 0             # the far corner, through the deepest level


@pytest.mark.parametrize("profile", translation.PROFILES)
def test_it_learns_one_picture(profile):
    torch.manual_seed(0)
    model = translation.Translation(translation.Config(profile, 64, 4))
    pair = [torch.rand(2, 3, 64, 64) * 2 - 1 for _ in range(2)]
    target = torch.linspace(-1, 1, 64).expand(2, 3, 64, 64)
    optimiser, losses = torch.optim.Adam(model.parameters(), 5e-3), []
    for _ in range(25):
        losses.append(translation.image_loss(model(*pair), target))
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.3 * losses[0]


def test_pictures_survive_the_way_to_tensors_and_back():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    values = translation.to_tensor(pictures)
    assert values.shape == (2, 3, 8, 8) and values.min() >= -1 and values.max() <= 1
    assert np.array_equal(translation.to_pictures(values), pictures)
    grey = translation.to_tensor(pictures[..., :1])
    assert grey.shape == (2, 3, 8, 8) and torch.equal(grey[:, 0], grey[:, 2])


@pytest.mark.parametrize("pictures", [
    np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8, 4), np.uint8),
])  # fmt: skip
def test_malformed_pictures_are_refused(pictures):
    with pytest.raises(InputError, match=r"expected \(B, H, W, 1 or 3\) uint8"):
        translation.to_tensor(pictures)


def test_unknown_profiles_sizes_and_shapes_are_refused():
    with pytest.raises(InputError, match="expected one of cfd, makeittalk"):
        translation.Translation(translation.Config("pix2pix"))
    with pytest.raises(InputError, match="expected a power of two from 64"):
        translation.Translation(translation.Config(size=96))
    model = translation.Translation(translation.Config(size=64, channels=4))
    with pytest.raises(InputError, match="landmark picture"):
        model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    with pytest.raises(InputError, match="reference"):
        model(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 64, 64))
