"""Stored outputs of the official programs; what the command does with cases that differ or are broken."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib import parity
from lib.errors import InputError

STORED = Path(__file__).parent / "parity"
FURTHER = [Path(p) for p in os.environ.get("STUDY_PARITY", "").split(os.pathsep) if p]


@pytest.mark.parametrize("path", sorted(STORED.rglob("*.safetensors")), ids=lambda path: path.stem)
def test_our_outputs_equal_the_official_ones(path):
    result = parity.run_file(path.with_suffix(".json"))
    assert result.status == "equal", result.detail


@pytest.mark.skipif(not FURTHER, reason="STUDY_PARITY names no folder with further parity/1 cases")
def test_every_further_case_is_equal(capsys):
    status = parity.main([str(folder) for folder in FURTHER])
    assert status == 0, capsys.readouterr().out


@pytest.fixture
def case(tmp_path):
    """A copy of a small case to break."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(STORED / "faceformer" / f"biwi_small_short_audio{suffix}", tmp_path / f"case{suffix}")
    return tmp_path / "case.json"


def rewrite(path: Path, change) -> None:
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def change_output(path: Path, name: str, change) -> None:
    tensors = load_file(path.with_suffix(".safetensors"))
    tensors[f"output.{name}"] = change(tensors[f"output.{name}"])
    save_file(tensors, path.with_suffix(".safetensors"))


def test_equal_cases_exit_with_zero_and_one_line_each(capsys):
    assert parity.main([str(STORED / "codetalker")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [
        ["equal", "codetalker/stage1_biwi_small"],
        ["equal", "codetalker/stage2_vocaset_small"],
    ]
    assert "largest difference" in lines[0] and "state_dict_keys.json" in lines[2]


def test_one_wrong_number_makes_the_case_differ_and_the_command_fail(case, capsys):
    change_output(case, "predict", lambda t: t + 0.001 * (torch.arange(t.numel()).view(t.shape) == 5))
    assert parity.main([str(case.parent)]) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_one_wrong_checksum_stops_the_case(case):
    rewrite(case, lambda d: d["weight_spec"][3].__setitem__(5, d["weight_spec"][3][5] + 0.01))
    assert "checksum" in parity.run_file(case).detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="parity/9"), "parity/9"),
        (lambda d: d.pop("config"), "'config' is missing"),
        (lambda d: d["checks"].pop("suggested_atol"), "suggested_atol"),
        (lambda d: d.update(weights="guessed"), "guessed"),
        (lambda d: d.pop("weight_spec"), "weight_spec"),
        (lambda d: d["weight_spec"][0].__setitem__(2, "uniform"), "row 0"),
        (lambda d: d["weight_spec"][0].pop(), "6 columns"),
        (lambda d: d["weight_spec"].pop(3), "checksum"),
        (lambda d: d["outputs"].pop("predict"), "announced and stored outputs differ: predict"),
        (lambda d: d["outputs"]["predict"].update(shape=[1, 2, 3]), "is announced as"),
        (lambda d: d["config"].update(dataset="other"), "expected 'BIWI' or 'vocaset'"),
        (lambda d: d["config"].update(feature_dim=32), "has shape"),
        (lambda d: d["config"].pop("wav2vec2"), "does not fit the model: KeyError"),
    ],
)
def test_a_malformed_case_is_an_error_that_names_the_reason(case, change, message):
    rewrite(case, change)
    result = parity.run_file(case)
    assert result.status == "ERROR" and message in result.detail


def test_broken_and_missing_files_are_errors(case):
    content = case.with_suffix(".safetensors").read_bytes()
    case.with_suffix(".safetensors").write_bytes(content[:1000])
    assert "not a readable safetensors file" in parity.run_file(case).detail
    case.with_suffix(".safetensors").unlink()
    assert "missing; every case needs its tensors" in parity.run_file(case).detail
    case.write_text("{")
    assert "not readable as JSON" in parity.run_file(case).detail


def test_an_output_nobody_knows_is_an_error(case):
    rewrite(case, lambda d: d["outputs"].update(smile={"shape": [1]}))
    tensors = load_file(case.with_suffix(".safetensors")) | {"output.smile": torch.zeros(1)}
    save_file(tensors, case.with_suffix(".safetensors"))
    assert "no rule for output 'smile'" in parity.run_file(case).detail


@pytest.mark.parametrize("system", ["hologram", "../faceformer", ""])
def test_a_system_without_a_module_is_skipped(case, capsys, system):
    rewrite(case, lambda d: d.update(system=system))
    assert parity.main([str(case.parent)]) == 0
    assert f"no runner yet for system {system!r}" in capsys.readouterr().out


def test_every_module_of_a_system_has_a_runner():
    systems = [path.stem for path in Path(parity.__file__).parent.glob("[!_]*.py")]
    assert {"faceformer", "codetalker"} <= set(systems) and all(map(parity.find_runner, systems))


def test_a_folder_without_cases_and_no_folder_at_all_are_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    assert parity.main([str(tmp_path / "empty")]) == 2
    assert parity.main([str(tmp_path / "absent")]) == 2


def test_tolerance_covers_rounding_but_neither_integers_nor_infinities():
    inf = float("inf")
    assert parity.difference(torch.tensor([1.0, -inf]), torch.tensor([1.5, -inf]), 1.0, 0.0) == (0.5, 0.5)
    assert parity.difference(torch.tensor([1.0, 0.0]), torch.tensor([1.0, -inf]), 1.0, 0.0)[1] == inf
    assert parity.difference(torch.tensor([float("nan")]), torch.tensor([1.0]), 1.0, 0.0)[1] == inf
    assert parity.difference(torch.tensor([3]), torch.tensor([4]), 10.0, 0.0) == (1.0, inf)
    assert parity.difference(torch.tensor([10.0]), torch.tensor([11.0]), 0.0, 0.5)[1] == pytest.approx(1 / 5.5)
    with pytest.raises(InputError, match="shape"):
        parity.difference(torch.zeros(2), torch.zeros(3), 1.0, 0.0)


def test_seeded_weights_follow_the_written_rules():
    spec = [
        ["a", [2], "const", 1.5, 0.0, 3.0, [1.5, 1.5]],
        ["b", [4], "keep"],
        ["c", [3], "abs_normal", 1.0, 2.0, 0.0, []],
    ]
    values = parity.np.random.default_rng([7, 2]).standard_normal(3)
    expected = parity.np.float32(1 + 2 * abs(values))
    spec[2][5:] = [float(expected.astype("float64").sum()), expected.tolist()]
    weights = dict(parity.seeded_weights(spec, 7, "test"))
    assert list(weights) == ["a", "c"] and weights["c"].tolist() == expected.tolist()
