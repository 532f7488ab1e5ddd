"""The house itself: one environment in three files, a library that is light to import, nothing private in it."""

import ast
import importlib.metadata as metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lib import environment, prepare, readme, workflow
from lib.errors import InputError, StudyError
from lib.paths import ROOT, write_aside

MODULES = sorted(path for path in (ROOT / "lib").rglob("*.py"))
LIGHT = ("torch", "transformers", "numpy")
# modules whose very subject is a heavy package; everything else imports it where it is used
HEAVY = ("lib.figures", "lib.experiments", "lib.player_widget")    # matplotlib, pandas tables, an anywidget


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files belong to the repository")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def offenders(pattern: str) -> list[str]:
    """Lines of tracked text files that match a pattern, as file:line."""
    found = []
    for path in tracked():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if re.search(pattern, line)]
    return found


# The environment -----------------------------------------------------------------------------------------------------


def test_every_direct_dependency_has_its_version_in_the_lock_and_for_conda():
    locked = {environment.name_of(line): line for line in environment.locked()}
    conda = environment.CONDA.read_text()
    for name, version in environment.direct_dependencies().items():
        requirement = f"{name.lower()}=={version}"
        assert locked[environment.name_of(name)].startswith(requirement)
        assert f'"{requirement}' in conda


def test_conda_gets_exactly_the_locked_set():
    assert environment.CONDA.read_text() == environment.conda_text(list(environment.locked()))


def test_every_locked_package_has_a_hash_and_no_host_is_named():
    assert all(hashes and all(h.startswith("sha256:") for h in hashes) for hashes in environment.locked().values())
    assert "://" not in environment.LOCK.read_text() + environment.CONDA.read_text()


def test_torch_is_locked_for_its_cpu_build_too_and_without_nvidia_libraries():
    blocks = environment.locked()
    (torch,) = [hashes for line, hashes in blocks.items() if environment.name_of(line) == "torch"]
    assert environment.TORCH_CPU_HASH in torch
    assert not [line for line in blocks if environment.CUDA_ONLY.match(environment.name_of(line))]


def test_a_lock_survives_reading_and_writing(tmp_path):
    copy = tmp_path / "requirements.lock"
    copy.write_text(environment.lock_text({"a==1": ["sha256:0", "sha256:1"], "b==2 ; os_name == 'nt'": ["sha256:2"]}))
    assert environment.locked(copy) == {"a==1": ["sha256:0", "sha256:1"], "b==2 ; os_name == 'nt'": ["sha256:2"]}


# The repository ------------------------------------------------------------------------------------------------------


def test_no_file_names_a_package_registry():
    assert offenders(r"(?i)\b(pypi|pythonhosted|npmjs|yarnpkg|anaconda|debian)\.(org|com|net)") == []


def test_no_file_names_a_folder_of_somebodys_machine():
    assert offenders(r"(?<![\w.~$<>/-])/(home|root|Users|work)/\w") == []


def test_every_module_says_what_it_is():
    silent = [dotted(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert [dotted(path) for path in MODULES if re.search(r"(utils?|misc|helpers?|common|_?v\d+)$", path.stem)] == []


# The library on a bare machine ---------------------------------------------------------------------------------------


def closure(names) -> set[str]:
    """Distributions that the named ones need on this machine, themselves included."""
    from packaging.requirements import Requirement

    found, todo = set(), list(names)
    while todo:
        name = environment.name_of(todo.pop())
        if name not in found:
            found.add(name)
            needed = [Requirement(text) for text in metadata.requires(name) or []]
            todo += [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def bare_machine(folder: Path) -> Path:
    """A folder that holds links to torch, transformers, numpy and what they need, and nothing else."""
    for name in closure(LIGHT):
        files = metadata.files(name) or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            source = Path(metadata.distribution(name).locate_file(top))
            if source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
    return folder


def test_the_library_imports_with_torch_transformers_and_numpy_alone(tmp_path):
    light = [dotted(path) for path in MODULES if not dotted(path).startswith(HEAVY)]
    script = f"""
import importlib, sys
sys.path[:0] = [{str(ROOT)!r}, {str(bare_machine(tmp_path))!r}]
for name in {light!r}:
    try:
        importlib.import_module(name)
    except ImportError as problem:
        print(f"{{name}}: {{problem}}")
"""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, env=clean, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""


# README and workflow -------------------------------------------------------------------------------------------------


def test_the_readme_shows_the_numbers_of_the_results():
    assert readme.filled(readme.README.read_text()) == readme.README.read_text(), "run `python -m lib.readme`"


def test_verdicts_are_counted_in_reading_order_and_missing_ones_are_said():
    known = {"a": "weaker", "b": "reproduced", "c": "weaker"}
    assert readme.count_verdicts(["a", "b", "c", "d"], known) == "1 reproduced, 2 weaker, 1 not run yet"


def test_an_unknown_verdict_is_refused():
    with pytest.raises(InputError, match="unknown verdict proven"):
        readme.count_verdicts(["a"], {"a": "proven"})


def test_a_readme_without_its_markers_is_refused():
    with pytest.raises(InputError, match="expected the markers <!-- picture -->"):
        readme.filled("# no markers here\n")


def test_a_second_run_of_the_study_is_refused_while_the_first_holds_the_lock(tmp_path):
    with workflow.take_lock(tmp_path / "lock"), pytest.raises(StudyError, match="another run of the study"):
        workflow.take_lock(tmp_path / "lock")
    workflow.take_lock(tmp_path / "lock").close()


def test_what_stands_behind_two_dashes_goes_to_snakemake_unchanged(monkeypatch):
    seen = []
    monkeypatch.setattr(workflow, "run", lambda *given: seen.append(given) or 0)
    workflow.main(["laptop", "--cores", "1", "--", "--profile", "profiles/slurm"])
    workflow.main(["smoke"])
    assert seen == [("laptop", None, 1, ["--profile", "profiles/slurm"]), ("smoke", None, 2, [])]


def test_shared_parts_wait_only_for_parts_that_exist_and_for_none_that_waits_for_them():
    made = set()
    while ready := {name for name, part in prepare.PARTS.items() if name not in made and made.issuperset(part.after)}:
        made |= ready
    assert made == set(prepare.PARTS)


def test_an_unknown_shared_part_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match="speach.*speech"):
        prepare.prepare("speach", "smoke")


def test_a_file_written_aside_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "result.csv"
    with pytest.raises(RuntimeError), write_aside(target) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with write_aside(target) as aside:
        aside.write_text("whole")
    assert target.read_text() == "whole"
