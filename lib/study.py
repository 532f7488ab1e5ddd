"""From a run to result files: what a run is called, where its numbers go, and what they were made with.

A run is a pure function of its settings and of the code that computes it. Its name is a digest of both, so an unchanged
run is found again and a changed one never mistaken for it; comments, docstrings and layout do not count as changes.
Everything a reader needs is written below `results/<scale>/`: tables/*.csv, figures/*.png, claims/<paper>/*.csv and one
summary.json with parameters, seeds and versions.
"""

import ast
import hashlib
import importlib
import inspect
import json
import platform
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lib.errors import AssetMissing, InputError
from lib.paths import CACHE, results, write_aside

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCALES = ("smoke", "laptop", "paper")
PACKAGES = ("torch", "transformers", "numpy", "scipy", "scikit-learn", "espeakng-loader", "pyvista")


def check_scale(scale: str) -> str:
    """Return `scale`; raises InputError naming the scales there are."""
    if scale not in SCALES:
        raise InputError(f"scale {scale!r} is none of {', '.join(SCALES)}")
    return scale


def digest(*things: Any) -> str:
    """Twelve hexadecimal digits that name the given dataclasses, numbers, texts, lists and dicts."""
    def plain(thing: Any) -> Any:
        return asdict(thing) if is_dataclass(thing) else str(thing)

    text = json.dumps(things, default=plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def code_digest(*modules: str) -> str:
    """Digest of what the named modules compute: their syntax trees without docstrings."""
    return digest([_meaning(inspect.getsource(importlib.import_module(name))) for name in modules])


def weights_digest(model: torch.nn.Module) -> str:
    """Digest of the weights of a network: what is computed with them is stale when they change."""
    content = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        content.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return content.hexdigest()[:12]


@cache                                  # a notebook asks for the same twenty modules dozens of times
def _meaning(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            node.body = body[1:]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def run_folder(paper: str, *settings: Any) -> Path:
    """Folder in the cache that belongs to a run with these settings."""
    return CACHE / "runs" / paper / digest(*settings)


def cached_arrays(path: Path, compute) -> dict[str, np.ndarray]:
    """Arrays of an .npz file, computed and written aside when it is absent or cannot be read."""
    if path.exists():
        try:
            with np.load(path) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError) as error:
            print(f"{path.name}: unreadable ({error}), computing it again")
    arrays = compute()
    with write_aside(path) as aside, open(aside, "wb") as file:
        np.savez(file, **arrays)
    return arrays


def cached_table(path: Path, compute) -> "pd.DataFrame":
    """Table of a CSV file in the cache, computed and written aside when it is absent."""
    import pandas as pd

    if not path.exists():
        with write_aside(path) as aside:
            compute().to_csv(aside, index=False)
    return pd.read_csv(path, keep_default_na=False, na_values=["nan", ""])


def write_table(table: "pd.DataFrame", scale: str, name: str) -> Path:
    """Write results/<scale>/tables/<name>.csv with six significant digits; return its path."""
    path = results(scale) / "tables" / f"{name}.csv"
    with write_aside(path) as aside:
        table.to_csv(aside, index=False, float_format="%.6g")
    return path


def read_table(scale: str, name: str) -> "pd.DataFrame":
    """Read results/<scale>/tables/<name>.csv; raises AssetMissing naming the notebook run that writes it."""
    import pandas as pd

    path = results(scale) / "tables" / f"{name}.csv"
    if not path.exists():
        raise AssetMissing(f"{path}: no such result yet; run `make study` or the notebook that writes it")
    return pd.read_csv(path, keep_default_na=False, na_values=["nan", ""])


def save_figure(figure: "Figure", scale: str, name: str) -> Path:
    """Write results/<scale>/figures/<name>.png; return its path."""
    path = results(scale) / "figures" / f"{name}.png"
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=120, bbox_inches="tight", metadata={"Software": None})
    return path


def provenance() -> dict[str, Any]:
    """Versions, processor threads and device that the numbers were computed with."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "versions": {name: version(name) for name in PACKAGES},
    }


def summarise(scale: str, notebook: str, **content: Any) -> Path:
    """Put what a notebook found under its name into results/<scale>/summary.json, with its provenance."""
    path = results(scale) / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {}
    summary[notebook] = {**content, "provenance": provenance()}
    with write_aside(path) as aside:
        aside.write_text(json.dumps(summary, indent=1, sort_keys=True, default=_number) + "\n")
    return path


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
