"""Numeric matrices of MATLAB 5 files (.mat), read with numpy alone.

Own reader because scipy's crashes the interpreter on some damaged files (found by the property test). Layout: a header
of 128 bytes, then elements of type, byte count and data padded to 8 bytes; an element may be compressed, and one of at
most 4 bytes stands inside its own tag. Source: "MAT-File Format", MathWorks, level 5.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lib.errors import InputError, explain

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
NUMERIC_CLASSES = range(6, 16)                       # double ... uint64; cells, structures, text and sparse are skipped
MAX_BYTES = 1 << 28


def load(path: Path | str) -> dict[str, np.ndarray]:
    """Real numeric matrices of a .mat file by name, each as stored (columns first). Raises InputError otherwise."""
    path = Path(path)
    try:
        data = path.read_bytes()
        order = {b"IM": "<", b"MI": ">"}[data[126:128]]
        return dict(_matrices(data[128:], order))
    except (OSError, LookupError, ValueError, TypeError, zlib.error, MemoryError, OverflowError) as error:
        raise InputError(f"{path}: not a readable MATLAB 5 file ({explain(error)}); get it again") from error


def _matrices(data: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    for kind, content in _elements(data, order):
        if kind == COMPRESSED:
            yield from _matrices(zlib.decompressobj().decompress(content, MAX_BYTES), order)
        elif kind == MATRIX:
            yield from _matrix(content, order)


def _matrix(content: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of one matrix: flags, dimensions, name, real part."""
    parts = list(_elements(content, order))
    flags = int(np.frombuffer(parts[0][1], order + "u4")[0])
    if flags & 0xFF not in NUMERIC_CLASSES or flags & 0x800:                       # 0x800: complex
        return
    (_, shape), (_, name), (kind, values) = parts[1:4]
    numbers = np.frombuffer(values, order + NUMBERS[kind])
    yield name.decode("ascii"), numbers.reshape(np.frombuffer(shape, order + "i4"), order="F")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, data) of each element in turn; ValueError where one is cut off."""
    place = 0
    while place + 8 <= len(data):
        kind, size = (int(n) for n in np.frombuffer(data, order + "u4", 2, place))
        start = place + 8
        if kind >> 16:                               # small element: byte count in the upper half, data in the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(data) or (start == place + 4 and size > 4):
            raise ValueError(f"element of {size} bytes is cut off")
        yield kind, data[start:start + size]
        place = place + 8 if start == place + 4 else start + size + (-size % 8 if kind != COMPRESSED else 0)
