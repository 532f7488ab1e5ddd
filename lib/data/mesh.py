"""Meshes on disk (PLY, OBJ) and the check that vertices belong to the topology a method was built for.

Own readers, because they need numpy alone and because a mesh library reports a broken file on the console and carries
on with what it could read. Polygons are split into triangles; normals, colours and texture coordinates are left aside.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import InputError, explain

PLY_TYPES = {"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
             "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
             "double": "f8", "float64": "f8"}
PLY_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
MALFORMED = (ValueError, IndexError, KeyError, TypeError, StopIteration, OverflowError, MemoryError, UnicodeDecodeError)


@dataclass(frozen=True)
class Mesh:
    """Vertices (V, 3) float32 in the unit of the file and triangles (F, 3) int32, counted from 0."""

    vertices: np.ndarray
    faces: np.ndarray


def read(path: Path | str) -> Mesh:
    """Mesh of a .ply or .obj file. Raises InputError when the file is missing, empty, broken or of another kind."""
    path = Path(path)
    readers = {".ply": _read_ply, ".obj": _read_obj}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: expected a .ply or .obj mesh; convert it first")
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such mesh; check the path")
    try:
        vertices, faces = readers[path.suffix.lower()](path.read_bytes())
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except MALFORMED as error:
        raise InputError(f"{path}: broken mesh file ({explain(error)}); copy or download it again") from error
    return _checked(vertices, faces, str(path))


def check_topology(vertices: np.ndarray, n_vertices: int, name: str = "vertices") -> np.ndarray:
    """Vertices as finite float32 (T, V, 3); accepts (V, 3), (T, V, 3) and the flat (T, 3V) of the released corpora.

    Raises InputError with both counts where V is not `n_vertices`: positions do not carry over to another topology.
    """
    try:
        vertices = np.asarray(vertices, np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: expected numbers of shape (T, {n_vertices}, 3) ({explain(error)})") from error
    if vertices.ndim == 2 and vertices.shape[1] == 3 * n_vertices:
        vertices = vertices.reshape(-1, n_vertices, 3)
    if vertices.shape == (n_vertices, 3):
        vertices = vertices[None]
    if vertices.ndim != 3 or vertices.shape[1:] != (n_vertices, 3) or len(vertices) == 0:
        raise InputError(f"{name}: shape {vertices.shape}; expected (frames, {n_vertices}, 3); choose its own topology")
    if not np.isfinite(vertices).all():
        raise InputError(f"{name}: NaN or infinite positions; expected finite ones; drop or interpolate those frames")
    return vertices


def surface_area(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area of each mesh (...,) from vertices (..., V, 3) and triangles (F, 3), in the square of their unit."""
    a, b, c = (vertices[..., faces[:, i], :] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum(-1) / 2


def _checked(vertices: np.ndarray, faces: np.ndarray, name: str) -> Mesh:
    vertices, faces = np.asarray(vertices, np.float32), np.asarray(faces, np.int64).reshape(-1, 3)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or len(vertices) == 0 or not np.isfinite(vertices).all():
        raise InputError(f"{name}: expected finite vertices (V, 3), got shape {vertices.shape}")
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise InputError(f"{name}: a face names vertex {faces.max()} of {len(vertices)}; the file is cut off")
    return Mesh(vertices, faces.astype(np.int32))


def _triangles(polygon: list[int]) -> list[list[int]]:
    """Fan of triangles around the first corner."""
    return [[polygon[0], polygon[i], polygon[i + 1]] for i in range(1, len(polygon) - 1)]


def _read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = [], []
    for line in data.decode("utf-8", errors="replace").splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in fields[:3]])
        elif kind == "f":                                        # "f 1/1/1 2/2/2": position / texture / normal, from 1
            corners = [int(field.split("/")[0]) for field in fields]
            faces += _triangles([c - 1 if c > 0 else len(vertices) + c for c in corners])
    return np.array(vertices), np.array(faces, np.int64)


def _read_ply(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    header, body = _split_header(data)
    order, elements = _parse_header(header)
    if order == "":
        return _ply_ascii(body, elements)
    return _ply_binary(body, elements, order)


def _split_header(data: bytes) -> tuple[list[str], bytes]:
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise InputError("not a PLY file: 'ply' ... 'end_header' is missing")
    return data[:end].decode("ascii").splitlines(), data[data.index(b"\n", end) + 1:]


def _parse_header(lines: list[str]) -> tuple[str, list[tuple[str, int, list[list[str]]]]]:
    """Byte order and (element, count, [property words]) in file order."""
    order, elements = "", []
    for words in (line.split() for line in lines[1:] if line.strip()):
        if words[0] == "format":
            order = PLY_FORMATS[words[1]]
        elif words[0] == "element":
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property":
            elements[-1][2].append(words[1:])
    if any(count < 0 for _, count, _ in elements) or "vertex" not in [name for name, _, _ in elements]:
        raise InputError("PLY header without a valid vertex element")
    return order, elements


def _ply_ascii(body: bytes, elements: list) -> tuple[np.ndarray, np.ndarray]:
    lines = iter(line for line in body.decode("ascii").splitlines() if line.strip())
    vertices, faces = None, []
    for name, count, properties in elements:
        rows = [next(lines).split() for _ in range(count)]
        if name == "vertex":
            columns = [[words[-1] for words in properties].index(axis) for axis in "xyz"]
            vertices = np.array([[float(row[c]) for c in columns] for row in rows])
        elif name == "face":
            for row in rows:
                size = int(row[0])
                faces += _triangles([int(v) for v in row[1:size + 1]])
    return vertices, np.array(faces, np.int64)


def _ply_binary(body: bytes, elements: list, order: str) -> tuple[np.ndarray, np.ndarray]:
    stream, vertices, faces = io.BytesIO(body), None, []
    for name, count, properties in elements:
        if all(words[0] != "list" for words in properties):
            fields = np.dtype([(words[1], order + PLY_TYPES[words[0]]) for words in properties])
            rows = np.frombuffer(stream.read(fields.itemsize * count), fields)
            if len(rows) != count:
                raise InputError(f"cut off: {len(rows)} of {count} '{name}' rows")
            if name == "vertex":
                vertices = np.stack([rows[axis] for axis in "xyz"], -1)
        elif name == "vertex":
            raise InputError("a vertex element with list properties is not supported")
        else:
            polygons = _binary_lists(stream, count, properties, order)
            faces += [t for polygon in polygons for t in _triangles(polygon)] if name == "face" else []
    return vertices, np.array(faces, np.int64)


def _binary_lists(stream: io.BytesIO, count: int, properties: list, order: str) -> list[list[int]]:
    """First list of each of `count` rows whose properties may mix lists and scalars."""
    rows = []
    for _ in range(count):
        lists = []
        for words in properties:
            if words[0] == "list":
                size = int(_take(stream, order + PLY_TYPES[words[1]], 1)[0])
                lists.append(_take(stream, order + PLY_TYPES[words[2]], size).tolist())
            else:
                _take(stream, PLY_TYPES[words[0]], 1)
        rows.append(lists[0])
    return rows


def _take(stream: io.BytesIO, kind: str, count: int) -> np.ndarray:
    kind = np.dtype(kind)
    data = stream.read(kind.itemsize * count)
    if count < 0 or len(data) != kind.itemsize * count:
        raise InputError("cut off inside the faces")
    return np.frombuffer(data, kind)
