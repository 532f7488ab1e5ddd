"""Tracks over time: landmark tracks with gaps, and tables whose columns are named controls.

A landmark detector loses faces. Gaps of at most MAX_GAP frames are bridged by straight lines; a longer one splits the
clip, because a made-up mouth would enter the metrics as truth.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.errors import InputError, explain

MAX_GAP = 5


def check_landmarks(points: np.ndarray, count: int = 68, name: str = "landmarks") -> np.ndarray:
    """Landmarks as float32 (T, count, 2 or 3); NaN marks a lost point. Raises InputError on another count."""
    try:
        points = np.asarray(points, np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: expected numbers (frames, {count}, 2 or 3) ({explain(error)})") from error
    if points.ndim != 3 or points.shape[1] != count or points.shape[2] not in (2, 3) or len(points) == 0:
        raise InputError(f"{name}: shape {points.shape}; expected (frames, {count}, 2 or 3); "
                         "98- and 106-point layouts do not map onto 68 points by index")
    if np.isinf(points).any():
        raise InputError(f"{name}: infinite coordinates; expected finite ones, or NaN for a lost point")
    return points


def fill_gaps(points: np.ndarray, max_gap: int = MAX_GAP, name: str = "landmarks") -> np.ndarray:
    """Landmarks (T, P, D) with NaN gaps of at most `max_gap` frames bridged linearly in time.

    A frame counts as lost where any of its points is NaN. Raises InputError where a gap is longer or touches an end:
    use `split_at_gaps`.
    """
    segments = split_at_gaps(points, max_gap)
    if len(segments) != 1 or segments[0] != slice(0, len(points)):
        raise InputError(f"{name}: gaps longer than {max_gap} frames or at an end; usable stretches: "
                         f"{[(s.start, s.stop) for s in segments]}; split the clip there (split_at_gaps)")
    return _interpolate(np.asarray(points))


def split_at_gaps(points: np.ndarray, max_gap: int = MAX_GAP) -> list[slice]:
    """Stretches (slices of frames) that begin and end with a detected frame and hold no gap beyond `max_gap`."""
    seen = np.flatnonzero(~_lost(np.asarray(points)))
    if seen.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(seen) > max_gap + 1)
    starts, ends = np.r_[seen[0], seen[breaks + 1]], np.r_[seen[breaks], seen[-1]]
    return [slice(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]


def read_landmarks(path: Path | str, count: int = 68) -> tuple[np.ndarray, float]:
    """Landmark track (T, count, D) and its fps from an .npz with `landmarks` and `fps`."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as data:
            points, fps = data["landmarks"], float(data["fps"])
    except Exception as error:                                   # zipfile, numpy and zlib each raise their own kinds
        raise InputError(f"{path}: expected an .npz with 'landmarks' and 'fps' ({explain(error)})") from error
    if not 1 <= fps <= 1000:
        raise InputError(f"{path}: fps {fps}; expected 1 to 1000")
    return check_landmarks(points, count, str(path)), fps


def read_table(path: Path | str, names: Sequence[str], *, header: Sequence[str] | None = None) -> np.ndarray:
    """Columns `names` of a comma-separated table of numbers, (T, len(names)) float32, found by name in any order.

    `header` gives the column names of a file that has none (EmoFace's controller files). Raises InputError naming the
    missing columns, or the first row and column that is no finite number.
    """
    path = Path(path)
    rows = _read_rows(path)
    if header is None:
        header, rows = (rows[0] if rows else []), rows[1:]
    names, header = list(names), [column.strip() for column in header]
    missing = [name for name in names if name not in header]
    if missing:
        raise InputError(f"{path}: column(s) {', '.join(missing[:5])} missing ({len(missing)} of {len(names)}); "
                         "expected every control by name; export the table with all of them")
    if not rows:
        raise InputError(f"{path}: no rows; expected one per frame")
    columns = [header.index(name) for name in names]
    return np.array([_numbers(row, columns, header, path, i) for i, row in enumerate(rows, 1)], np.float32)


def _read_rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [row for row in csv.reader(file) if any(field.strip() for field in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a comma-separated text table ({explain(error)})") from error


def _numbers(row: list[str], columns: list[int], header: list[str], path: Path, number: int) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"{path}: row {number} has {len(row)} values; expected {len(header)}, one per column")
    values = []
    for column in columns:
        try:
            values.append(float(row[column]))
        except ValueError:
            values.append(np.nan)
        if not abs(values[-1]) <= np.finfo(np.float32).max:
            raise InputError(f"{path}: row {number}, column {header[column]}: {row[column]!r} is no finite number")
    return values


def _lost(points: np.ndarray) -> np.ndarray:
    return np.isnan(points).reshape(len(points), -1).any(1)


def _interpolate(points: np.ndarray) -> np.ndarray:
    lost, time = _lost(points), np.arange(len(points))
    filled = points.reshape(len(points), -1).copy()
    for column in filled.T:
        column[lost] = np.interp(time[lost], time[~lost], column[~lost])
    return filled.reshape(points.shape)
