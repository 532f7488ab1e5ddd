"""Paths: assets are found in order, and files appear complete or not at all."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from lib import paths
from lib.errors import AssetMissing, OutputError


def test_an_asset_is_searched_in_each_folder_of_study_data(tmp_path, monkeypatch):
    (tmp_path / "second" / "face").mkdir(parents=True)
    monkeypatch.setenv("STUDY_DATA", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    assert paths.asset("face") == tmp_path / "second" / "face"


def test_a_missing_asset_names_itself_the_folders_and_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    with pytest.raises(AssetMissing, match=rf"no-such.*{tmp_path}.*lib\.manifest"):
        paths.asset("no-such")


def test_a_file_written_aside_appears_under_its_name_and_leaves_nothing_beside(tmp_path):
    with paths.write_aside(tmp_path / "deep" / "table.csv") as aside:
        aside.write_text("a\n1\n")
    assert (tmp_path / "deep" / "table.csv").read_text() == "a\n1\n"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["table.csv"]


def test_a_new_file_is_readable_by_others_as_the_umask_allows(tmp_path):
    with paths.write_aside(tmp_path / "a.txt") as aside:
        aside.write_text("a")
    (tmp_path / "b.txt").write_text("b")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_a_full_disk_is_one_clear_error_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(OutputError, match="result.csv.*No space left"), paths.write_aside(target) as aside:
        aside.write_text("half of the ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["result.csv"]


def test_an_error_of_the_writer_passes_through_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "result.csv"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), paths.write_aside(target) as aside:
        aside.write_text("new")
        1 / 0  # noqa: B018
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="cannot be created"), paths.write_aside(tmp_path / "file" / "x.csv"):
        pass


def test_a_writer_killed_in_the_middle_leaves_no_half_file(tmp_path):
    target = tmp_path / "weights.bin"
    program = ("import sys, time; from lib.paths import write_aside\n"
               f"with write_aside({str(target)!r}) as aside:\n"
               "    file = aside.open('wb'); file.write(b'x' * 100000); file.flush(); print('half', flush=True)\n"
               "    time.sleep(60)\n")
    writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=paths.ROOT)
    assert writer.stdout.readline() == b"half\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert not target.exists()
