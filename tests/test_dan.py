"""DAN and SCN: official key names and sizes, fusion across heads, loading that cannot fail in silence."""

import json
from pathlib import Path

import pytest
import torch

from lib.errors import AssetMissing, InputError
from lib.models import dan as dan_module
from lib.models import resnet
from lib.models.dan import DAN
from lib.models.scn import SCN

KEYS = json.loads((Path(__file__).parent / "parity" / "fer" / "state_dict_keys.json").read_text())


@pytest.fixture(scope="module")
def dan():
    torch.manual_seed(0)
    return DAN().eval()


@pytest.fixture(scope="module")
def scn():
    torch.manual_seed(0)
    return SCN().eval()


@pytest.fixture(scope="module")
def faces():
    return torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("name", "build"), [("dan_7_classes", DAN), ("dan_8_classes", lambda: DAN(8)), ("scn", SCN)])
def test_keys_and_shapes_are_those_of_the_released_model(name, build):
    with torch.device("meta"):
        model = build()
    official = {key: entry[0] for key, entry in KEYS[name]["keys"].items()}
    assert {key: list(value.shape) for key, value in model.state_dict().items()} == official


def test_scn_has_a_backbone_of_11176512_weights_3591_for_classes_and_513_for_importance(scn):
    counts = [sum(p.numel() for p in part.parameters()) for part in (scn.features, scn.fc, scn.alpha)]
    assert counts == [11_176_512, 3_591, 513]


def test_the_heads_share_every_feature_among_them(dan, faces):
    with torch.no_grad():
        seen = dan(resnet.images(faces))
    assert seen.feature_map.shape == (2, 512, 7, 7) and seen.heads.shape == (2, 4, 512)
    assert torch.allclose(seen.heads.exp().sum(1), torch.ones(2, 512), atol=1e-5)


def test_logits_have_the_scale_of_the_batch_norm(dan, faces):
    before = dan.logits(faces)
    dan.bn.running_var.fill_(4.0)                                     # twice the deviation halves the logits
    after = dan.logits(faces)
    dan.bn.running_var.fill_(1.0)
    assert torch.allclose(after, before / 2, rtol=1e-4, atol=1e-5)


def test_a_face_does_not_depend_on_its_neighbours_in_the_batch(dan, scn, faces):
    for model in (dan, scn):
        assert torch.allclose(model.logits(faces)[:1], model.logits(faces[:1]), atol=1e-4)


def test_a_recogniser_in_training_mode_gives_no_logits(faces):
    with pytest.raises(InputError, match="training mode"):
        DAN().logits(faces)


def test_a_black_picture_becomes_minus_mean_over_deviation():
    black = resnet.images(torch.zeros(1, 3, 224, 224))
    assert black[0, :, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])


@pytest.mark.parametrize(("pixels", "message"), [
    (torch.zeros(1, 3, 100, 100), "224"),
    (torch.zeros(3, 224, 224), "224"),
    (torch.full((1, 3, 224, 224), float("nan")), "finite"),
    (torch.full((1, 3, 224, 224), -1.0), "0 to 255"),
])  # fmt: skip
def test_other_pictures_are_refused(scn, pixels, message):
    with pytest.raises(InputError, match=message):
        scn.logits(pixels)


@pytest.mark.parametrize("wrap", [
    lambda state: state,
    lambda state: {"state_dict": state},
    lambda state: {"iter": 3, "model_state_dict": state, "optimizer_state_dict": {}},
    lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    lambda state: {key: value for key, value in state.items() if "num_batches" not in key},
])
def test_weights_load_from_every_known_wrapping(tmp_path, scn, wrap):
    torch.save(wrap(scn.state_dict()), tmp_path / "scn.pth")
    fresh = SCN()
    resnet.load(fresh, tmp_path / "scn.pth")
    assert torch.equal(fresh.features[7][1].conv2.weight, scn.features[7][1].conv2.weight) and not fresh.training


def test_a_file_without_a_tenth_of_the_weights_is_refused_and_changes_nothing(tmp_path, scn):
    state = scn.state_dict()
    keys = list(state)
    torch.save({key: state[key] for key in keys[len(keys) // 10 :]}, tmp_path / "part.pth")
    fresh = SCN()
    before = fresh.fc.weight.clone()
    with pytest.raises(InputError, match=r"part.pth: only \d+% of the 104 weights of SCN"):
        resnet.load(fresh, tmp_path / "part.pth")
    assert torch.equal(before, fresh.fc.weight)


def test_a_single_weight_of_another_shape_is_named(tmp_path, scn):
    torch.save(scn.state_dict() | {"fc.weight": torch.zeros(8, 512)}, tmp_path / "eight.pth")
    with pytest.raises(InputError, match=r"fc.weight \(8, 512\) instead of \(7, 512\)"):
        resnet.load(SCN(), tmp_path / "eight.pth")


def test_released_weights_are_found_by_name_and_their_absence_is_one_clear_error(tmp_path, dan, faces, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    with pytest.raises(AssetMissing, match="affecnet7_epoch6_acc0.6569.pth: not found"):
        dan_module.released()
    (tmp_path / "dan_affectnet7").mkdir()
    torch.save({"iter": 6, "model_state_dict": dan.state_dict()}, tmp_path / dan_module.RELEASED[7])
    assert torch.equal(dan_module.released().logits(faces), dan.logits(faces))
    with pytest.raises(InputError, match="9 classes was not released"):
        dan_module.released(9)


@pytest.fixture
def start_weight(tmp_path, scn):
    """A face-recognition file: torchvision's names with "module." before them, and layers the recognisers lack."""
    back = {new: old for old, new in resnet.TORCHVISION.items()}
    named = {".".join(key.split(".")[:2]): key for key in scn.state_dict()}
    assert set(back) <= set(named)
    state = {}
    for key, value in scn.state_dict().items():
        first, rest = ".".join(key.split(".")[:2]), ".".join(key.split(".")[2:])
        if first in back:
            state[f"module.{back[first]}.{rest}"] = value
    torch.save({"state_dict": state | {"module.feature.weight": torch.zeros(256, 512)}}, tmp_path / "faces.pth.tar")
    return tmp_path / "faces.pth.tar"


def test_a_start_weight_under_torchvisions_names_reaches_the_backbone(start_weight, scn):
    for fresh in (SCN(), DAN()):
        resnet.load_backbone(fresh, start_weight)
        assert torch.equal(fresh.features[4][0].conv1.weight, scn.features[4][0].conv1.weight)


def test_the_same_file_taken_for_a_recogniser_is_refused_instead_of_loading_nothing(start_weight):
    with pytest.raises(InputError, match="only 0% .* load_backbone"):
        resnet.load(SCN(), start_weight)
