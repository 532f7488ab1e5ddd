"""Checkpoint files: reading their tensors without running code, and one clear error when they do not fit a model."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lib.errors import InputError, explain
from lib.paths import write_aside

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "model_b")    # where the releases keep tensors


def load(path: Path | str, *, key: str | None = None) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint by name, on the CPU: .safetensors, or a torch file read with `weights_only`.

    `key` names the entry that holds them; without it the wrappers of the known releases are opened. A common prefix
    "module." (training on several devices) is dropped. Raises InputError when the file is missing, broken, holds
    anything that would run code, or holds no tensors.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such checkpoint; `python -m lib.manifest` says how to get it")
    try:
        content = _read(path)
    except Exception as error:                              # torch and safetensors raise a dozen kinds
        raise InputError(f"{path}: not a checkpoint of plain tensors ({explain(error)}); download it again") from error
    return _without_prefix(_tensors(content, key, path))


def save(path: Path | str, state: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as .safetensors; the file appears complete or not at all."""
    from safetensors.torch import save_file
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    with write_aside(Path(path)) as aside:
        save_file(tensors, aside, dict(metadata or {}))


def check(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str = "checkpoint") -> None:
    """Raise one InputError that lists missing, surplus and differently shaped entries (at most three of each)."""
    problems = [
        _listing("missing", [k for k in expected if k not in found]),
        _listing("not expected", [k for k in found if k not in expected]),
        _listing("of another shape", [f"{k} {tuple(found[k].shape)} instead of {tuple(expected[k].shape)}"
                                      for k in expected if k in found and found[k].shape != expected[k].shape]),
    ]
    if any(problems):
        raise InputError(f"{name} does not fit this model: {'; '.join(p for p in problems if p)}; "
                         "choose the configuration it was trained with")


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: Any, key: str | None, path: Path) -> dict[str, torch.Tensor]:
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}; expected tensors by name")
    keys = [key] if key else [k for k in WRAPPERS if isinstance(content.get(k), Mapping)]
    if key and not isinstance(content.get(key), Mapping):
        raise InputError(f"{path}: no entry {key!r} with tensors; it has {', '.join(map(str, list(content)[:8]))}")
    inner = content[keys[0]] if keys else content
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise InputError(f"{path}: no tensors inside; expected a checkpoint of weights")
    return tensors


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not all(name.startswith("module.") for name in tensors):
        return tensors
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _listing(title: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} {title} ({', '.join(names[:3])}{more})" if names else ""
