"""Compare our models with stored outputs of the official programs: `python -m lib.parity FOLDER ...`.

A case (format parity/1) is a pair NAME.json + NAME.safetensors: weights under the official key names (stored, or
regenerated from a seed), inputs, and the official outputs. Every case below the folders is run, one line each; it is
equal when |ours - official| <= atol + rtol * |official| everywhere, integers and truth values are equal, and infinities
stand in the same places. Other JSON files (tables of keys, measurements) are named and left out. A system without a
runner, or a case whose extra asset is absent, is skipped with the reason.

Exit status: 0 all cases run are equal, 1 a case differs or is malformed, 2 no case was found.

A system is added by a module lib/parity/SYSTEM.py with a function `runner(case)`. It returns an object that has an
attribute for every output by its name, or a `__getattr__` of its own that raises InputError for names it does not know.
"""

import argparse
import importlib
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.errors import AssetMissing, InputError
from lib.models import parts

FORMAT = "parity/1"
RULES = ("normal", "abs_normal", "const", "keep")


@dataclass(frozen=True)
class Case:
    """One stored case; tensors by name without their prefix."""

    path: Path
    description: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def system(self) -> str:
        return self.description["system"]

    @property
    def name(self) -> str:
        return f"{self.system}/{self.description['case']}"

    @property
    def config(self) -> Mapping[str, Any]:
        return self.description["config"]

    @property
    def seed(self) -> int:
        return self.description["seed"]

    @property
    def tolerance(self) -> tuple[float, float]:
        """Absolute and relative."""
        checks = self.description["checks"]
        return float(checks["suggested_atol"]), float(checks.get("suggested_rtol", 1e-5))

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Tensors called "prefix.name", by name."""
        return {key.removeprefix(prefix + "."): t for key, t in self.tensors.items() if key.startswith(prefix + ".")}

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        plain = {k: torch.tensor(v["value"]) for k, v in self.description["inputs"].items() if "value" in v}
        return plain | self.part("input")

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        return self.part("output")

    def weights(self) -> dict[str, Tensor]:
        """Official weights by official key; raises InputError if a checksum of regenerated ones is wrong."""
        if self.description["weights"] == "stored":
            return self.part("weight")
        return dict(seeded_weights(self.description["weight_spec"], self.seed, str(self.path)))


def read_case(path: Path) -> Case | None:
    """The case described by a JSON file, or None if the file is no test case; InputError if it is malformed."""
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); copy the file again") from error
    if not isinstance(description, dict) or "format" not in description:
        return None
    if description["format"] != FORMAT:
        raise InputError(f"{path}: format {description['format']!r}; this program reads {FORMAT!r}")
    check_description(path, description)
    case = Case(path, description, read_tensors(path.with_suffix(".safetensors")))
    check_outputs(case)
    return case


def check_description(path: Path, description: Mapping[str, Any]) -> None:
    """Raise InputError unless the fields every case needs are there, with the right kind of value."""
    kinds = {"system": str, "case": str, "config": dict, "inputs": dict, "outputs": dict, "checks": dict}
    for field, kind in kinds.items():
        if not isinstance(description.get(field), kind):
            raise InputError(f"{path}: field {field!r} is missing or no {kind.__name__}")
    if not isinstance(description["checks"].get("suggested_atol"), int | float):
        raise InputError(f"{path}: checks.suggested_atol (a number) is missing")
    if description.get("weights") not in (None, "stored", "seeded"):
        raise InputError(f"{path}: weights is {description['weights']!r}; expected 'stored', 'seeded' or null")
    if description.get("weights") == "seeded" and not isinstance(description.get("weight_spec"), list):
        raise InputError(f"{path}: weights are seeded but weight_spec (a list) is missing")


def read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise InputError(f"{path}: missing; every case needs its tensors beside its JSON file")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); copy it again") from error


def check_outputs(case: Case) -> None:
    """Raise InputError unless the stored outputs are those announced, in name and shape."""
    announced = case.description["outputs"]
    if not announced or set(announced) != set(case.outputs):
        different = sorted(set(announced) ^ set(case.outputs)) or ["there is none"]
        raise InputError(f"{case.path}: announced and stored outputs differ: {', '.join(different)}")
    for name, entry in announced.items():
        stored = list(case.outputs[name].shape)
        if stored != list(entry.get("shape", stored)):
            raise InputError(f"{case.path}: output {name} is announced as {entry['shape']}, stored as {stored}")


def seeded_weights(spec: list, seed: int, source: str) -> Iterator[tuple[str, Tensor]]:
    """Regenerate weights row by row: m + c * z, z standard normal of the generator [seed, row]; checksums verified."""
    for row, entry in enumerate(spec):
        if len(entry) < 3 or entry[2] not in RULES:
            raise InputError(f"{source}: row {row} of weight_spec has no key, shape and rule ({', '.join(RULES)})")
        if entry[2] == "keep":
            continue
        if len(entry) != 7:
            raise InputError(f"{source}: row {row} of weight_spec has {len(entry)} columns, expected 7")
        key, shape, rule, mean, scale, total, first = entry
        values = seeded_values(np.random.default_rng([seed, row]), shape, rule, mean, scale)
        check_sums(values, total, first, f"{source}: {key}")
        yield key, torch.from_numpy(values)


def seeded_values(generator: np.random.Generator, shape, rule: str, mean: float, scale: float) -> np.ndarray:
    if rule == "const":
        return np.full(shape, mean, dtype=np.float32)
    normal = generator.standard_normal(shape)
    return np.asarray(mean + scale * (np.abs(normal) if rule == "abs_normal" else normal), dtype=np.float32)


def check_sums(values: np.ndarray, total: float, first: list[float], what: str) -> None:
    """Raise InputError unless the float64 sum and the first three values are as written in the case."""
    wide = values.astype(np.float64)
    # summation order is free: allow the rounding of float64, far below the effect of one wrong float32
    slack = 1e-9 * (1 + np.abs(wide).sum())
    if abs(wide.sum() - total) > slack or not np.allclose(values.ravel()[: len(first)], first, rtol=1e-6, atol=1e-9):
        raise InputError(
            f"{what}: regenerated weights do not have the written checksum (sum {wide.sum()!r}, {total!r})"
        )


# Running and comparing ------------------------------------------------------------------------------------------------


def built(model: nn.Module, case: Case) -> nn.Module:
    """The model with the weights of the case, ready to be evaluated."""
    parts.load_official(model, case.weights(), source=str(case.path))
    return model.eval()


@dataclass(frozen=True)
class Result:
    """Outcome of one case: `status` is "equal", "DIFFERS", "ERROR" or "skipped"."""

    name: str
    status: str
    detail: str


def find_runner(system: str) -> Callable[[Case], Any] | None:
    """Function that runs a case of the named system, from the module of that name here; None if there is none."""
    module = f"{__name__}.{system}"
    if not system.isidentifier() or importlib.util.find_spec(module) is None:
        return None
    return importlib.import_module(module).runner


def output(runner: Any, name: str) -> Tensor:
    """Output of a runner by name; "..._every_61st" and "..._frame_mean" are made from the whole output."""
    if found := re.fullmatch(r"(\w+)_every_(\d+)(?:st|nd|rd|th)", name):
        return output(runner, found[1])[..., :: int(found[2])]
    if found := re.fullmatch(r"(\w+)_frame_mean", name):
        return output(runner, found[1]).mean(-1)
    if not any(hasattr(type(runner), known) for known in (name, "__getattr__")) and name not in vars(runner):
        raise InputError(f"no rule for output {name!r}")
    return getattr(runner, name)


def difference(ours: Tensor, official: Tensor, atol: float, rtol: float) -> tuple[float, float]:
    """Largest absolute difference, and the largest as a multiple of its tolerance (inf where none is allowed)."""
    if ours.shape != official.shape:
        raise InputError(f"shape {tuple(ours.shape)}, official {tuple(official.shape)}")
    if not official.is_floating_point():
        wrong = (ours != official).sum().item()
        return float(wrong), float("inf") if wrong else 0.0
    ours, official = ours.double(), official.double()
    odd = ~(torch.isfinite(ours) & torch.isfinite(official))
    if not torch.equal(ours[odd].nan_to_num(7.0), official[odd].nan_to_num(7.0)):
        return float("inf"), float("inf")
    gap = torch.where(odd, 0.0, (ours - official).abs()).nan_to_num(0.0)
    allowed = torch.where(odd, 1.0, atol + rtol * official.abs())
    share = torch.where(gap > 0, gap / allowed, 0.0)
    return gap.max().item(), share.max().item()


def compare(case: Case) -> Result:
    """Run a case and compare all its outputs."""
    atol, rtol = case.tolerance
    with torch.no_grad():
        runner = find_runner(case.system)(case)
        gaps = {name: difference(output(runner, name), case.outputs[name], atol, rtol) for name in case.outputs}
    largest, worst = max(gaps, key=lambda n: gaps[n][0]), max(gaps, key=lambda n: gaps[n][1])
    detail = f"{len(gaps)} outputs, largest difference {gaps[largest][0]:.1e} ({largest})"
    detail += f", tolerance {atol:.0e} + {rtol:.0e} |x|"
    if gaps[worst][1] > 1:
        return Result(case.name, "DIFFERS", f"{detail}; {worst} is {gaps[worst][1]:.3g} times over its tolerance")
    return Result(case.name, "equal", detail)


def run_file(path: Path) -> Result | None:
    """Result of one JSON file; None if it is no test case."""
    name = f"{path.parent.name}/{path.stem}"
    try:
        case = read_case(path)
        if case is None:
            return None
        if find_runner(case.system) is None:
            return Result(case.name, "skipped", f"no runner yet for system {case.system!r}")
        return compare(case)
    except AssetMissing as error:
        return Result(name, "skipped", str(error))
    except InputError as error:
        return Result(name, "ERROR", str(error))
    except (KeyError, TypeError, RuntimeError, IndexError, ValueError) as error:
        # a case nobody has seen may break any assumption; the other cases still run
        return Result(name, "ERROR", f"the case does not fit the model: {type(error).__name__}: {error}")


def json_files(places: list[Path]) -> list[Path]:
    """JSON files at or below the given places, in order; InputError if a place does not exist."""
    for place in places:
        if not place.exists():
            raise InputError(f"{place}: no such file or folder")
    return [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.json")))]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.parity", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="+", type=Path, help="folder with parity/1 cases, or one JSON file")
    try:
        files = json_files(parser.parse_args(arguments).folder)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    results, others = [], []
    for path in files:
        start = time.perf_counter()
        result = run_file(path)
        if result is None:
            others.append(f"{path.parent.name}/{path.name}")
            continue
        results.append(result)
        print(f"{result.status:8} {result.name:45} {result.detail}  [{time.perf_counter() - start:.1f} s]", flush=True)
    return report(results, others)


def report(results: list[Result], others: list[str]) -> int:
    """Print the summary; return the exit status."""
    if others:
        print(f"no test cases, left out: {', '.join(others)}")
    count = {status: sum(r.status == status for r in results) for status in ("equal", "DIFFERS", "ERROR", "skipped")}
    print(", ".join(f"{number} {status}" for status, number in count.items()))
    if not results:
        print(f"no case of format {FORMAT} found", file=sys.stderr)
        return 2
    return 1 if count["DIFFERS"] or count["ERROR"] else 0

