"""Pickles: the published kinds load, and nothing in a file can run."""

import collections
import io
import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse
import torch

from lib.data import checkpoint, safe_pickle
from lib.errors import InputError


class Runs:
    """An object whose pickle calls a function when it is opened."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_and_arrays_survive_every_protocol(protocol):
    data = {"vertices": np.arange(6, dtype=np.float32).reshape(2, 3), "names": ["a", "ü"], "n": 3, "x": np.float64(0.5),
            "nested": collections.OrderedDict(t=(1, 2.5, None, True)), "bytes": b"\x00\xff", "set": {1, 2},
            "order": np.asfortranarray(np.arange(6).reshape(2, 3)), "text": np.array(["ab", "c"])}
    found = safe_pickle.loads(pickle.dumps(data, protocol))
    for name in ("vertices", "order", "text"):
        assert np.array_equal(found[name], data[name]) and found[name].dtype == data[name].dtype
    assert {k: v for k, v in found.items() if not isinstance(v, np.ndarray)} == {
        k: v for k, v in data.items() if not isinstance(v, np.ndarray)}


def test_arrays_can_be_written_to_after_loading():
    found = safe_pickle.loads(pickle.dumps(np.zeros(3), 5))
    found[0] = 1
    assert found.tolist() == [1, 0, 0]


def test_text_of_python_2_is_read_as_latin_1():
    assert safe_pickle.loads(b"\x80\x02U\x04J\xfcrgq\x00.") == "J\xfcrg"


def test_an_array_pickled_by_python_2_is_read():
    stream = (b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\ntp4\nRp5\n"
              b"(I1\n(I2\ntp6\ncnumpy\ndtype\np7\n(S'f4'\np8\nI0\nI1\ntp9\nRp10\n(I3\nS'<'\np11\nNNNI-1\nI-1\nI0\ntp12\nb"
              b"I00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00@'\np13\ntp14\nb.")
    assert safe_pickle.loads(stream).tolist() == [1.0, 2.0]


@pytest.fixture
def chumpy(monkeypatch):
    """A module named chumpy.ch whose class pickles as the real one does."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return module.Ch


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpy_arrays_of_flame_are_read_without_chumpy(chumpy, protocol):
    value = chumpy()
    value.x = np.arange(3.0)
    found = safe_pickle.loads(pickle.dumps({"v_template": value}, protocol))
    assert np.asarray(found["v_template"]).tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix])
def test_sparse_joint_regressors_of_flame_are_read(kind):
    dense = np.array([[0.0, 0.5, 0.0], [1.0, 0.0, 0.25]])
    assert np.array_equal(safe_pickle.loads(pickle.dumps(kind(dense), 2)).dense(), dense)


def test_a_pickle_that_would_run_a_command_is_refused_and_does_not_run(tmp_path):
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps({"v": Runs(os.system, f"touch {tmp_path / 'ran'}")}))
    with pytest.raises(InputError, match=r"flame.pkl: refused: it names 'posix.system'"):
        safe_pickle.load(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", [
    Runs(eval, "1"), Runs(getattr, "a", "upper"), Runs(__import__, "os"), Runs(open, "/dev/null"), Runs(np.load, "x"),
    Runs(np.fromfile, "x"), Runs(bytearray, 10), types.SimpleNamespace()])
def test_other_callables_and_classes_are_refused_by_name(value):
    with pytest.raises(InputError, match="refused: it names"):
        safe_pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("stream", [
    b"cnumpy\ndtype\n}S'__doc__'\nS'x'\nsb.",                   # sets an attribute of one of our own functions
    b"ccollections\nOrderedDict\n}S'clear'\nNsb.",              # ... of a class of the standard library
    b"cnumpy\nndarray\n.", b"cbuiltins\nset\n.",                # is itself a class
    b"ccopyreg\n_reconstructor\n(cbuiltins\nset\ncbuiltins\nobject\nNtR.",
])
def test_a_pickle_cannot_change_this_program(stream):
    with pytest.raises(InputError):
        safe_pickle.loads(stream)
    assert safe_pickle.Type.__doc__ != 'x' and collections.OrderedDict.clear is not None


def test_numpys_own_types_stay_as_they_are_after_a_forged_state():
    stream = b"cnumpy\ndtype\n(S'f4'\nI0\nI0\ntR(I3\nS'>'\nNNNI-1\nI-1\nI0\ntb."
    safe_pickle.loads(stream)
    assert np.dtype("f4").byteorder == "="


def test_arrays_of_the_other_byte_order_and_of_objects_are_read():
    data = [np.arange(3, dtype=">f8"), np.array(["a", [1]], dtype=object)]
    found = safe_pickle.loads(pickle.dumps(data))
    assert np.array_equal(found[0], data[0]) and found[1].tolist() == ["a", [1]]


def test_arrays_of_records_are_refused():
    with pytest.raises(InputError, match="unusual type|records"):
        safe_pickle.loads(pickle.dumps(np.zeros(2, dtype=[("x", "f4")])))


@pytest.mark.parametrize("data", [
    b"", b"\x80", b"no pickle", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"." * 50, b"r\xff\xff\xff\x7f.",
    b"(" * 5000 + b"."])
def test_broken_pickles_are_one_clear_error(data):
    with pytest.raises(InputError, match="pickle"):
        safe_pickle.loads(data)


def test_a_missing_and_an_oversized_file_are_named(tmp_path):
    with pytest.raises(InputError, match="none.pkl: no such pickle"):
        safe_pickle.load(tmp_path / "none.pkl")
    (tmp_path / "big.pkl").write_bytes(pickle.dumps(list(range(100))))
    with pytest.raises(InputError, match="big.pkl: .* at most 10 expected"):
        safe_pickle.load(tmp_path / "big.pkl", max_bytes=10)


def weights():
    return {"encoder.weight": torch.ones(2, 3), "encoder.bias": torch.zeros(2)}


@pytest.mark.parametrize("wrap", [
    lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model_state_dict": s},
    lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}])
def test_checkpoints_of_the_known_releases_give_tensors_by_name(tmp_path, wrap):
    torch.save(wrap(weights()), tmp_path / "model.pth")
    found = checkpoint.load(tmp_path / "model.pth")
    assert found.keys() == weights().keys() and torch.equal(found["encoder.weight"], torch.ones(2, 3))


def test_a_checkpoint_written_here_is_read_back(tmp_path):
    checkpoint.save(tmp_path / "model.safetensors", weights())
    assert torch.equal(checkpoint.load(tmp_path / "model.safetensors")["encoder.weight"], torch.ones(2, 3))
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_checkpoint_of_another_model_is_one_error_that_lists_the_differences():
    found = {"encoder.weight": torch.ones(2, 4), "head.bias": torch.zeros(1)}
    message = (r"1 missing \(encoder.bias\); 1 not expected \(head.bias\); "
               r"1 of another shape \(encoder.weight \(2, 4\) instead of \(2, 3\)\)")
    with pytest.raises(InputError, match=message):
        checkpoint.check(found, weights(), "biwi.pth")
    checkpoint.check(weights(), weights())


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    torch.save({"state_dict": Runs(os.system, f"touch {tmp_path / 'ran'}")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="evil.pth: not a checkpoint of plain tensors"):
        checkpoint.load(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("content", "message"), [
    ({"a": 1}, "no tensors"), ([1, 2], "holds a list"), (None, "no such")])
def test_a_checkpoint_without_weights_is_refused(tmp_path, content, message):
    if content is not None:
        torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=f"odd.pth: .*{message}"):
        checkpoint.load(tmp_path / "odd.pth")


def test_a_cut_off_checkpoint_is_refused(tmp_path):
    stream = io.BytesIO()
    torch.save(weights(), stream)
    for name, data in {"a.pth": stream.getvalue()[:300], "b.safetensors": b"\xff" * 64}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: not a checkpoint"):
            checkpoint.load(tmp_path / name)
