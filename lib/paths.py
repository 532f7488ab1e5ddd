"""Where things are: every folder of the project, seen from the repository root.

Assets (corpora, face models, checkpoints) are searched in `data/`, then in each folder of the environment variable
`STUDY_DATA` (several folders are separated as in `PATH`). Nothing else in the project builds a path to an asset.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import AssetMissing

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "cache"
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def results(scale: str) -> Path:
    """Folder of the results of a scale ("smoke", "laptop", "paper")."""
    return ROOT / "results" / scale


def asset_folders() -> list[Path]:
    """Folders searched for assets, in order."""
    extra = [Path(p) for p in os.environ.get("STUDY_DATA", "").split(os.pathsep) if p]
    return [DATA, *extra]


def find_asset(name: str) -> Path | None:
    """Path of an asset given relative to the asset folders, or None where it is absent."""
    return next((folder / name for folder in asset_folders() if (folder / name).exists()), None)


def asset(name: str, remedy: str = "see data_manifest.yaml, or run `make fetch`") -> Path:
    """Path of an asset; raises AssetMissing with the folders searched and the remedy."""
    found = find_asset(name)
    if found is None:
        searched = ", ".join(str(folder) for folder in asset_folders())
        raise AssetMissing(f"{name}: not found in {searched}; {remedy}")
    return found


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
