"""PC-AVS: released sizes, what each code may carry, losses, and what is refused."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lib.errors import InputError
from lib.models import pcavs

KEYS = json.loads((Path(__file__).parent / "parity" / "pcavs" / "state_dict_keys.json").read_text())
PARTS = {"audio_sync_encoder": pcavs.AudioEncoder, "non_identity_encoder": pcavs.NonIdentityEncoder,
         "identity_encoder": pcavs.IdentityEncoder, "generator_224": pcavs.Generator}  # fmt: skip


@pytest.fixture(scope="module")
def reduced() -> pcavs.PCAVS:
    torch.manual_seed(0)
    return pcavs.PCAVS(pcavs.Config(classes=5)).eval()


@pytest.mark.parametrize("name", PARTS)
def test_published_sizes_have_the_released_keys_and_shapes(name):
    with torch.device("meta"):
        state = PARTS[name](pcavs.PUBLISHED).state_dict()
    assert {key: list(value.shape) for key, value in state.items()} == {k: v[0] for k, v in KEYS[name]["keys"].items()}


def test_the_reduced_network_keeps_the_bottleneck_of_the_pose_and_one_space_for_mouth_and_voice(reduced):
    frame, mel = torch.randn(2, 3, 48, 48), torch.randn(2, 1, pcavs.MELS, pcavs.MEL_STEPS)
    with torch.no_grad():
        code = reduced.frame(frame)
        seen, heard = reduced.speech(reduced.frame.mouth(code)), reduced.speech(reduced.audio(mel))
        picture = reduced.render(reduced.identity(frame), heard, reduced.frame.pose(code))
    assert reduced.frame.pose(code).shape == (2, 12) and seen.shape == heard.shape == (2, reduced.config.speech)
    assert picture.shape == (2, 3, 48, 48) and picture.abs().max() <= 1


def test_equal_codes_give_equal_pictures_and_each_code_matters(reduced):
    image = torch.randn(1, 3, 48, 48)
    with torch.no_grad():
        vector, start = reduced.identity(image)
        speech, pose = torch.randn(1, reduced.config.speech), torch.randn(1, 12)
        first = reduced.render((vector, start), speech, pose)
        assert torch.equal(first, reduced.render((vector, start), speech, pose))
        others = (((vector, start), speech + 1, pose), ((vector, start), speech, pose + 1),
                  ((vector, start + 1), speech, pose), ((vector + 1, start), speech, pose))
        for other in others:
            assert not torch.allclose(first, reduced.render(*other), atol=1e-4)


def test_faces_at_their_own_pose_are_rendered_in_the_order_of_their_speech(reduced):
    images, speech = torch.randn(2, 3, 48, 48), torch.randn(4, reduced.config.speech)
    with torch.no_grad():
        together = reduced.at_rest(images, speech, 2)
        for k in range(4):
            alone = reduced.at_rest(images[k // 2 : k // 2 + 1], speech[k : k + 1])
            assert torch.allclose(together[k : k + 1], alone, atol=1e-5)


def test_haste_changes_the_rate_and_not_the_function():
    torch.manual_seed(3)
    plain = pcavs.EqualLinear(5, 4, bias=1.0)
    fast = pcavs.EqualLinear(5, 4, bias=1.0, rate=8.0)
    fast.load_state_dict({key: value / 8 for key, value in plain.state_dict().items()})
    x = torch.randn(3, 5)
    assert torch.allclose(plain(x), fast(x), atol=1e-6)


def test_modulation_equals_one_convolution_per_clip():
    torch.manual_seed(1)
    layer, x, style = pcavs.ModulatedConv(4, 6, 3, 5), torch.randn(3, 4, 7, 7), torch.randn(3, 5)
    with torch.no_grad():
        ours = layer(x, style)
        for k in range(3):
            weight = layer.weight[0] * layer.scale * layer.modulation(style)[k][:, None, None]
            weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
            expected = torch.nn.functional.conv2d(x[k : k + 1], weight, padding=1)
            assert torch.allclose(ours[k : k + 1], expected, atol=1e-5)


def test_the_contrastive_loss_starts_at_chance_and_falls_as_pairs_meet():
    torch.manual_seed(2)
    a, b = torch.randn(8, 64), torch.randn(8, 64)
    apart, near = pcavs.contrastive_loss(a, b), pcavs.contrastive_loss(a, a + 1e-3 * b)
    assert apart.item() == pytest.approx(math.log(8), abs=0.05) and near < 0.01


def test_disentangling_is_least_where_nobody_can_be_told():
    assert pcavs.disentangling_loss(torch.zeros(4, 50)) == 0
    assert pcavs.disentangling_loss(10 * torch.eye(4, 50)) > 0


def test_adversarial_losses_have_their_signs():
    sure = torch.tensor([2.0])
    assert pcavs.hinge_loss(sure, -sure) == 0 and pcavs.hinge_loss(-sure, sure) == 6
    assert pcavs.hinge_loss(None, sure) == -2
    assert pcavs.matching_loss([torch.ones(2), torch.zeros(2)], [torch.zeros(2), torch.zeros(2)]) == 0.5


def test_sizes_that_do_not_meet_are_refused():
    with pytest.raises(InputError, match="expected equal ones"):
        pcavs.PCAVS(replace(pcavs.Config(), channels=(64, 32, 16, 8)))


def test_weights_of_another_network_are_refused(reduced):
    with pytest.raises(InputError, match="another network"):
        pcavs.load(reduced.generator, reduced.audio.state_dict())
    own = {k: v for k, v in reduced.generator.state_dict().items() if not k.endswith("kernel")}
    pcavs.load(reduced.generator, own)
    with pytest.raises(InputError, match="missing"):
        pcavs.load(reduced.generator, {k: v for k, v in own.items() if k != "to_rgb1.bias"})
