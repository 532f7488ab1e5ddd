"""Where things are: every folder of the project, seen from the repository root.

Assets (corpora, face models, checkpoints) are searched in `data/`, then in each folder of the environment variable
`STUDY_DATA` (several folders are separated as in `PATH`). Nothing else in the project builds a path to an asset.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import AssetMissing, OutputError, StudyError, explain

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "cache"
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
REFUSED_BY_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR}


def results(scale: str) -> Path:
    """Folder of the results of a scale ("smoke", "laptop", "paper"); `STUDY_RESULTS` moves it, for trial runs."""
    return Path(os.environ.get("STUDY_RESULTS") or ROOT / "results") / scale


def results_are_aside() -> bool:
    """Whether results go to the folder of STUDY_RESULTS: one seed of several that share the machine."""
    return bool(os.environ.get("STUDY_RESULTS"))


def asset_folders() -> list[Path]:
    """Folders searched for assets, in order."""
    extra = [Path(p) for p in os.environ.get("STUDY_DATA", "").split(os.pathsep) if p]
    return [DATA, *extra]


def find_asset(name: str) -> Path | None:
    """Path of an asset given relative to the asset folders, or None where it is absent."""
    return next((folder / name for folder in asset_folders() if (folder / name).exists()), None)


def asset(name: str, remedy: str = "`python -m lib.manifest` says how to get it") -> Path:
    """Path of an asset; raises AssetMissing with the folders searched and the remedy."""
    found = find_asset(name)
    if found is None:
        searched = ", ".join(str(folder) for folder in asset_folders())
        raise AssetMissing(f"{name}: not found in {searched}; {remedy}")
    return found


@contextmanager
def write_aside(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    A reader therefore sees the old file or the complete new one, never a half-written one, also after a kill or a full
    disk. Raises OutputError when the system refuses the writing; other errors of the caller pass through.
    """
    path = Path(path)
    try:
        aside = _temporary_beside(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created ({explain(error)}); choose another folder") from error
    try:
        yield aside
        os.replace(aside, path)
    except OSError as error:
        if isinstance(error, StudyError) or error.errno not in REFUSED_BY_SYSTEM:
            raise
        message = f"{path}: not written ({explain(error)}); an earlier file is unharmed; free space"
        raise OutputError(message) from error
    finally:
        aside.unlink(missing_ok=True)


def _temporary_beside(path: Path) -> Path:
    """A new empty hidden file in the folder of `path`, with the permissions an ordinary new file would have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:100]}-", suffix=path.suffix)
    os.close(handle)
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(name, 0o666 & ~umask)                # mkstemp makes files that only their owner can read
    return Path(name)
