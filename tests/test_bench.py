"""The speed table at toy size: its form and its arithmetic, never its times."""

import pandas as pd
import pytest
import torch

from lib import bench
from lib.errors import InputError

OURS, RELEASED = "X, " + bench.OURS, "X, " + bench.RELEASED


@pytest.fixture
def table():
    """Ours linear, released quadratic in length, EavaNet a tenth of ours."""
    rows = [(name, s, f(s)) for s in (1.0, 2.0, 4.0, 8.0) for name, f in
            ((OURS, lambda s: s), (RELEASED, lambda s: s * s), ("EavaNet", lambda s: s / 10))]  # fmt: skip
    return pd.DataFrame(rows, columns=["system", "audio_s", "median_s"])


def test_every_system_gets_a_row_and_the_released_ones_agree_with_ours():
    seen = []
    table = bench.bench(lengths=(0.2, 0.4), repeats=1, sizes=bench.TINY, threads=1, on_row=seen.append)
    assert len(table) == len(seen) == 14
    assert table.median_s.notna().all() and table[["features_s", "decoder_s", "vertices_s"]].gt(0).all().all()
    released = table[table.system.str.endswith(bench.RELEASED)]
    assert len(released) == 4 and (released.difference < 1e-4).all()
    assert torch.is_grad_enabled()


def test_each_family_is_timed_at_its_own_lengths_in_a_process_of_its_own():
    lengths = {"eavanet": (0.2, 0.4), "faceformer": (0.2,)}
    table = bench.in_fresh_process(tuple(lengths), lengths, 1, sizes=bench.TINY, threads=1)
    timed = table.groupby(table.system.str[:4]).audio_s.unique()
    assert timed["Eava"].tolist() == [0.2, 0.4] and timed["Face"].tolist() == [0.2]


def test_exponent_is_the_slope_of_log_time_on_log_length(table):
    assert bench.exponents(table).round(6).to_dict() == {OURS: 1.0, RELEASED: 2.0, "EavaNet": 1.0}


def test_ratios_are_to_eavanet_and_speedups_to_the_released_procedure(table):
    assert bench.ratios(table).loc[OURS, [1.0, 8.0]].tolist() == [10.0, 10.0]
    assert bench.speedups(table).loc["X"].tolist() == [1.0, 2.0, 4.0, 8.0]


def test_a_length_over_the_limit_is_left_out_with_its_reason():
    table = bench.bench(("eavanet",), (0.2, 40), 1, sizes=bench.TINY, threads=1, limit_s=0.0001)
    left_out = table[table.audio_s == 40]
    assert left_out.median_s.isna().all() and left_out.note.str.contains("left out").all()


def test_the_prediction_continues_the_last_slope_and_is_never_below_linear():
    assert bench.predicted_seconds([], 4) == 0
    assert bench.predicted_seconds([(1, 1.0), (2, 4.0)], 4) == pytest.approx(16)
    assert bench.predicted_seconds([(1, 3.0), (2, 3.0)], 4) == pytest.approx(6)


def test_unknown_systems_are_named():
    with pytest.raises(InputError, match="hologram"):
        bench.bench(("hologram",), sizes=bench.TINY)


def test_the_command_writes_the_rows(tmp_path, capsys):
    files = ["--csv", str(tmp_path / "t.csv"), "--json", str(tmp_path / "t.json")]
    bench.main(
        ["--tiny", "--systems", "eavanet", "--lengths", "0.2", "0.4", "--repeats", "1", "--threads", "1", *files]
    )
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(pd.read_json(tmp_path / "t.json")) == 6
    assert "exponent" in capsys.readouterr().out
