"""Names of runs, caches and result files."""

import numpy as np
import pandas as pd
import pytest

from lib import study
from lib.errors import AssetMissing, InputError
from lib.training import Recipe


def test_equal_settings_share_a_name_and_any_change_breaks_it():
    assert study.digest(Recipe(1, 0.1), {"b": 1, "a": 2}) == study.digest(Recipe(1, 0.1), {"a": 2, "b": 1})
    assert study.digest(Recipe(1, 0.1)) != study.digest(Recipe(2, 0.1))


def test_comments_and_docstrings_do_not_rename_runs_but_code_does():
    plain = study._meaning("def f(x):\n    return x + 1\n")
    assert study._meaning('def f(x):\n    """Add one."""\n    return x + 1  # why\n') == plain
    assert study._meaning("def f(x):\n    return x + 2\n") != plain


def test_arrays_are_computed_once_and_again_when_the_file_is_damaged(tmp_path, capsys):
    calls = []

    def compute():
        calls.append(1)
        return {"a": np.arange(3)}

    path = tmp_path / "x.npz"
    for _ in range(2):
        assert study.cached_arrays(path, compute)["a"].tolist() == [0, 1, 2]
    assert len(calls) == 1
    path.write_bytes(b"half a fi")
    study.cached_arrays(path, compute)
    assert len(calls) == 2 and "x.npz" in capsys.readouterr().out


def test_tables_are_written_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "results", lambda scale: tmp_path / scale)
    study.write_table(pd.DataFrame({"system": ["a"], "value": [1 / 3]}), "smoke", "t")
    assert study.read_table("smoke", "t").value[0] == pytest.approx(0.333333)
    study.summarise("smoke", "05", answer=42)
    study.summarise("smoke", "06", answer=np.float32(1.5))
    assert '"answer": 42' in (tmp_path / "smoke" / "summary.json").read_text()


def test_a_result_that_was_not_computed_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "results", lambda scale: tmp_path / scale)
    with pytest.raises(AssetMissing, match="make study"):
        study.read_table("smoke", "absent")


def test_an_unknown_scale_lists_the_known_ones():
    with pytest.raises(InputError, match="smoke, laptop, paper"):
        study.check_scale("huge")
