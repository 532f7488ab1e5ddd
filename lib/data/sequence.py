"""A corpus as a sequence of clips that are read when asked for, with labels that are known before.

    clips = ravdess.clips()
    len(clips), clips[0].audio, clips.table            # labels need no sound
    for clip in clips.where(emotion="angry", intensity=1.0): ...
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lib.data.clip import Clip
from lib.errors import InputError
from lib.paths import asset

SOUNDS = (".flac", ".wav")


class Clips(Sequence[Clip]):
    """Clips of one corpus; `rows` holds the labels of each (with at least "id"), `read` makes the clip of a row."""

    def __init__(self, rows: Sequence[dict[str, Any]], read: Callable[[dict[str, Any]], Clip]):
        self.rows, self._read = tuple(rows), read

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice) -> "Clip | Clips":
        if isinstance(index, slice):
            return Clips(self.rows[index], self._read)
        return self._read(self.rows[index])

    def __iter__(self) -> Iterator[Clip]:
        return map(self._read, self.rows)

    @property
    def ids(self) -> tuple[str, ...]:
        """Clip ids in order."""
        return tuple(row["id"] for row in self.rows)

    @property
    def table(self) -> Any:
        """Labels as a pandas DataFrame, one row per clip."""
        import pandas
        return pandas.DataFrame(list(self.rows))

    def where(self, **labels: Any) -> "Clips":
        """Clips whose labels equal the given ones; a tuple, list or set means any of them."""
        wanted = {k: set(v) if isinstance(v, tuple | list | set) else {v} for k, v in labels.items()}
        unknown = [key for key in wanted if self.rows and key not in self.rows[0]]
        if unknown:
            raise InputError(f"no label {unknown[0]!r}; this corpus has {', '.join(self.rows[0])}")
        return Clips([row for row in self.rows if all(row.get(k) in v for k, v in wanted.items())], self._read)


def folder_of(name: str, folder: Path | str | None) -> Path:
    """The given folder, or that of the asset `name`. Raises AssetMissing, or InputError for a folder that is none."""
    folder = asset(name) if folder is None else Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of the corpus; check the path")
    return folder


def sounds(folder: Path, corpus: str, pattern: str = "**/*") -> list[Path]:
    """Sound files below `folder`, sorted by name; InputError where there is none."""
    found = sorted((p for p in folder.glob(pattern) if p.suffix.lower() in SOUNDS), key=lambda p: (p.stem, p.suffix))
    if not found:
        raise InputError(f"{folder}: no {' or '.join(SOUNDS)} files; expected {corpus} (layout: data_manifest.yaml)")
    return found


def labelled(folder: Path, corpus: str, parse: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    """What `parse` reads from the stem of every sound file below `folder`, and its "path"; errors name the file."""
    rows = []
    for path in sounds(folder, corpus):
        try:
            rows.append({**parse(path.stem), "path": path})
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    return rows
