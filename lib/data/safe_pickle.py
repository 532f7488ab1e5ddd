"""Pickles of FLAME, VOCASET and BIWI, read without the power to run code.

A pickle is a program: `pickle.load` calls whatever it names. Here only arrays, plain containers and stand-ins for the
two foreign classes FLAME uses (chumpy arrays, scipy sparse matrices) can be built; any other name is refused before it
is looked up. The pure-Python unpickler is used on purpose: its memory is a dictionary, so that a few forged bytes
cannot ask for gigabytes, and its instructions can be overridden one by one.
"""

import collections
import io
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import InputError, explain

MAX_BYTES = 4 << 30                                  # VOCASET's audio, the largest pickle in use, has below 1 GiB


class Chumpy:
    """Stand-in for chumpy.ch.Ch as FLAME stores it: an array that waits for its value `x`."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not isinstance(state.get("x"), np.ndarray):
            raise InputError("a chumpy array without its values 'x'")
        self.x = state["x"]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.x, dtype)


class Sparse:
    """Stand-in for scipy.sparse CSC and CSR matrices; `dense()` gives the array."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not {"data", "indices", "indptr", "_shape"} <= state.keys():
            raise InputError("a sparse matrix without data, indices, indptr and shape")
        self.parts = state["data"], state["indices"], state["indptr"]
        self.shape = state["_shape"]

    def dense(self) -> np.ndarray:
        """The matrix as an array (rows, columns)."""
        from scipy.sparse import csc_matrix, csr_matrix
        kind = csc_matrix if isinstance(self, SparseColumns) else csr_matrix
        return kind(self.parts, shape=self.shape).toarray()


class SparseColumns(Sparse):
    """Stored column by column (CSC)."""


def load(path: Path | str, *, max_bytes: int = MAX_BYTES) -> Any:
    """Content of a pickle file; text of Python 2 is read as latin-1.

    Raises InputError when the file is missing, larger than `max_bytes`, broken, or names anything but plain data (the
    message says what); nothing of it has run then.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such pickle; check the path")
    if path.stat().st_size > max_bytes:
        raise InputError(f"{path}: {path.stat().st_size} bytes; at most {max_bytes} expected; is this the right file?")
    return loads(path.read_bytes(), name=str(path))


def loads(data: bytes, *, name: str = "pickle") -> Any:
    """As `load`, for a pickle in memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")              # numpy 1 pickles meet renamed modules and 'align' defaults
            return _plain(_Unpickler(io.BytesIO(data), encoding="latin1").load())
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except Exception as error:                           # a broken pickle can raise anything at all
        raise InputError(f"{name}: no readable pickle of plain data ({explain(error)}); get it again") from error


class _Array:
    """Stand-in for the class numpy.ndarray, which pickles name but need not call."""


class _Object:
    """Stand-in for `object`, the base that Python 2 pickles name."""


def _empty_array(*_: Any) -> np.ndarray:
    """numpy's `_reconstruct`: an empty array that receives shape, type and bytes next."""
    return np.ndarray((0,), "u1")


class Type:
    """Stand-in for numpy.dtype: numpy's own trusts the flags and sizes a pickle sets and can be made to crash."""

    def __init__(self, spec: Any, *_: Any) -> None:
        if not isinstance(spec, str) or len(spec) > 32 or np.dtype(spec).kind not in "biufcSUO":
            raise InputError("an array of an unusual type")
        self.value = np.dtype(spec)

    def __setstate__(self, state: Any) -> None:
        _, order, part, names, *_ = state
        if part is not None or names is not None:
            raise InputError("an array of records; expected plain numbers or text")
        if order in ("<", ">"):
            self.value = self.value.newbyteorder(order)


def _scalar(kind: Type, data: Any) -> Any:
    return np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, kind.value)[0]


def _from_buffer(buffer: Any, kind: Type, shape: tuple, order: str) -> np.ndarray:
    return np.frombuffer(bytearray(buffer), kind.value).reshape(shape, order=order)


def _encode(text: str, encoding: str = "latin1", *_: Any) -> bytes:
    """How protocol 2 writes bytes."""
    return text.encode("latin1" if encoding != "utf-8" else "utf-8")


def _new(kind: type, *_: Any) -> Any:
    """copy_reg._reconstructor, for stand-ins only."""
    if kind not in STAND_INS:
        raise InputError("an object that is not plain data")
    return kind()


STAND_INS = {Chumpy, Sparse, SparseColumns}
BUILDABLE = {np.ndarray, Type, *STAND_INS}
ALLOWED = {
    "numpy": {"ndarray": _Array, "dtype": Type},
    "numpy.core.multiarray": {"_reconstruct": _empty_array, "scalar": _scalar},
    "numpy.core.numeric": {"_frombuffer": _from_buffer},
    "collections": {"OrderedDict": collections.OrderedDict},
    "_codecs": {"encode": _encode},
    "copyreg": {"_reconstructor": _new},
    "builtins": {"object": _Object, "set": set, "frozenset": frozenset, "complex": complex},
    "chumpy.ch": {"Ch": Chumpy},
    "scipy.sparse.csc": {"csc_matrix": SparseColumns},
    "scipy.sparse.csr": {"csr_matrix": Sparse},
}
MODERN = {"copy_reg": "copyreg", "__builtin__": "builtins", "chumpy": "chumpy.ch",
          "numpy._core.multiarray": "numpy.core.multiarray", "numpy._core.numeric": "numpy.core.numeric",
          "scipy.sparse._csc": "scipy.sparse.csc", "scipy.sparse._csr": "scipy.sparse.csr"}


class _Unpickler(pickle._Unpickler):
    dispatch = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        found = ALLOWED.get(MODERN.get(module, module), {}).get(name)
        if found is None:
            wanted = f"{module}.{name}"[:100]
            raise InputError(f"refused: it names {wanted!r}, which is not plain data and could run code; "
                             "do not open this file with pickle")
        return found

    def load_build(self) -> None:
        """Set a state only on objects made here: on a function or class it would change this program."""
        target, state = self.stack[-2:]
        if type(target) not in BUILDABLE:
            raise InputError(f"refused: it changes a {type(target).__name__}")
        if isinstance(target, np.ndarray):
            version, shape, kind, *rest = state
            state = (version, shape, kind.value, *rest)
        self.stack.pop()
        target.__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build


def _plain(value: Any) -> Any:
    """Refuse a result that is one of our own builders rather than data."""
    if callable(value):
        raise InputError("refused: it holds a class or function, not data")
    return value
