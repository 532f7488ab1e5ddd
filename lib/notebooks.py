"""Notebooks as programs: read their parameters, find what they depend on, execute them, publish clean copies.

    python -m lib.notebooks 05_eavanet --scale laptop --seeds 0 1 2 --threads 2

executes `notebooks/05_eavanet.ipynb` through papermill with those parameters, shows progress on the terminal, and
writes `results/laptop/notebooks/05_eavanet.ipynb` once every cell has run. A failing cell is named with its heading
and error, and the copy as far as it got is kept in `cache/notebooks/`: nothing half-written reaches the results.
"""

import argparse
import ast
import os
import re
import resource
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lib.errors import InputError, StudyError, command_line
from lib.paths import CACHE, NOTEBOOKS, ROOT, asset_folders, results, results_are_aside, write_aside

PROGRESS_EVERY_S = 10.0
EACH_SEED = "each-seed"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class NotebookFailed(StudyError):
    """A cell raised: the message names notebook, cell, heading, error and where the partial copy lies."""


def names() -> list[str]:
    """Names of all notebooks, in reading order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path):
    """A notebook file as a tree; raises InputError where it is absent or no notebook."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise InputError(f"{path}: no such notebook; there are {', '.join(names()) or 'none'}") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as problem:
        raise InputError(f"{path}: expected a Jupyter notebook of format 4 ({problem}); restore it with git") from None


def parameters(notebook) -> dict[str, object]:
    """Names and default values in the one cell tagged "parameters"; raises InputError if they are no literals."""
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise InputError(f'expected exactly one cell tagged "parameters", found {len(tagged)}')
    values = {}
    for line in ast.parse(tagged[0].source).body:
        try:
            values[line.targets[0].id] = ast.literal_eval(line.value)
        except (AttributeError, ValueError):
            raise InputError(f'"parameters" cell: expected `name = literal`, found `{ast.unparse(line)}`') from None
    return values


def index_in_source(cells, index: int, injected: bool) -> int:
    """Place in the committed notebook of a cell of the executed one, which has one more after "parameters"."""
    tagged = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    return index - (injected and index > tagged[0])


def heading(cells, index: int) -> str:
    """The nearest Markdown heading at or above a cell."""
    lines = [line for cell in cells[: index + 1] if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return next((line.lstrip("# ") for line in reversed(lines) if line.startswith("#")), "untitled")


# What a notebook depends on ------------------------------------------------------------------------------------------


@cache                                  # the graph asks for the same modules once per job
def imported(source: str) -> frozenset[str]:
    """Dotted names of `lib` that a piece of Python imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] == "lib")


def module_file(name: str) -> Path | None:
    """File of a module of `lib`, None if the name is no module (a function, a class)."""
    stem = ROOT.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def sources(name: str) -> list[Path]:
    """The notebook and every module of `lib` it reaches through imports: a change in any of them asks for a new run."""
    path = NOTEBOOKS / f"{name}.ipynb"
    code = [re.sub(r"(?m)^\s*[%!].*$", "", cell.source) for cell in read(path).cells if cell.cell_type == "code"]
    return [path, *reached(imported("\n".join(code)))]


def reached(names: Iterable[str]) -> list[Path]:
    """Files of the named modules of `lib` and of all that they import, sorted."""
    open_names, files = set(names), set()
    while open_names:
        file = module_file(open_names.pop())
        if file and file not in files:
            files.add(file)
            open_names |= imported(file.read_text())
    return sorted(files)


# Progress ------------------------------------------------------------------------------------------------------------


def bars_to_file(path: str) -> None:
    """Let `tqdm.auto` bars of this kernel write plain text to a file: a widget would move on no screen."""
    import tqdm.auto
    from tqdm.std import tqdm as plain

    class Bar(plain):
        def __init__(self, *args, **options):
            super().__init__(*args, **{**options, "file": stream, "mininterval": 1.0, "ncols": 100})

    stream = open(path, "a", buffering=1)  # noqa: SIM115  (open for as long as the kernel lives)
    tqdm.auto.tqdm = Bar
    tqdm.auto.trange = lambda *args, **options: Bar(range(*args), **options)


@dataclass
class Progress:
    """Says every few seconds which cell of a notebook runs and how far its innermost progress bar is."""

    label: str
    cells: list
    bars: Path
    injected: bool
    started: float = field(default_factory=time.monotonic)
    current: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self.bars.parent.mkdir(parents=True, exist_ok=True)
        self.bars.write_text("")
        threading.Thread(target=self.report, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.done.set()
        self.say("done" if failure[0] is None else "failed")

    def cell(self, cell, cell_index, **_) -> None:
        """Hook of nbclient, called before each cell."""
        self.current = index_in_source(self.cells, cell_index, self.injected)
        self.bars.write_text("")

    def report(self) -> None:
        while not self.done.wait(PROGRESS_EVERY_S):
            bar = re.split(r"[\r\n]+", self.bars.read_text().strip("\r\n \x1b[A"))[-1].strip()
            place = f"cell {self.current + 1}/{len(self.cells)}"
            self.say(" · ".join(part for part in (place, heading(self.cells, self.current), bar) if part))

    def say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{self.label} · {minutes:d}:{seconds:02d} · {text}", file=sys.stderr, flush=True)


# Clean copies --------------------------------------------------------------------------------------------------------


def public_text(text: str) -> str:
    """Text without the folders of this machine, which are nobody's business and differ on every other one."""
    text = re.sub(r"/\S*/ipykernel_\d+/\d+\.py", "<cell>", text)
    places = [(str(folder), "$STUDY_DATA") for folder in asset_folders()[1:]]
    places += [(str(ROOT / ".venv"), ".venv"), (sys.prefix, ".venv"), (sys.base_prefix, "python"), (str(ROOT), ".")]
    for place, name in [*places, (str(Path.home()), "~")]:
        text = text.replace(place, name) if len(place) > 1 else text
    return text


def public(value):
    """The same tree of outputs with public text; pictures stay as they are."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, list):
        return [public(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key.startswith("image/png") else public(item) for key, item in value.items()}
    return value


def cleaned(notebook, record: dict):
    """An executed notebook fit to be committed: no machine paths, no widget state, how it was run in its metadata."""
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
            output.update(public(dict(output)))
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    notebook.metadata["study"] = public(record)
    return notebook


# Execution -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and seconds of processor time of the kernel and all it started: the latter do not grow
    when the machine has other work."""

    seconds: float
    processor_s: float

    @classmethod
    def so_far(cls) -> "Cost":
        """The clock, and what ended children of this process have used."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), used.ru_utime + used.ru_stime)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.seconds - other.seconds, self.processor_s - other.processor_s)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.seconds + other.seconds, self.processor_s + other.processor_s)

    def rounded(self) -> dict[str, float]:
        """Both to a tenth of a second."""
        return {"seconds": round(self.seconds, 1), "processor_s": round(self.processor_s, 1)}


def execute(name: str, destination: Path, given: dict[str, object], after: Sequence[Path] = ()) -> Path:
    """Run a notebook with those of the given parameters that it declares; write the executed copy to `destination`.

    The copy's metadata says what it cost, see `Cost`; that of the copies in `after` is added, whose runs it found
    finished.

    Raises NotebookFailed when a cell raises or the kernel dies; `destination` is then left as it was.
    """
    source = NOTEBOOKS / f"{name}.ipynb"
    notebook = each_seed(read(source)) if results_are_aside() else read(source)
    used = {key: value for key, value in given.items() if key in parameters(notebook)}
    partial = CACHE / "notebooks" / "-".join(destination.parts[-4:])      # seed0-laptop-notebooks-05_eavanet.ipynb
    label = " ".join([name, *(f"{key}={value}" for key, value in used.items())])
    before = Cost.so_far()
    with Progress(label, notebook.cells, partial.with_suffix(".progress"), bool(used)) as progress:
        run_cells(notebook, source, partial, used, progress)
    cost = sum(map(cost_of, after), Cost.so_far() - before)
    publish(partial, destination, {"parameters": used, **cost.rounded()})
    progress.bars.unlink()
    return destination


def each_seed(notebook):
    """A notebook in which only cells tagged "each-seed" do something: those that train and measure.

    A run of one seed beside others fills the cache for the run over all seeds, which draws the figures. Cells keep
    their places. A notebook without such tags is left as it is.
    """
    marked = [{"parameters", EACH_SEED} & set(cell.metadata.get("tags", [])) for cell in notebook.cells]
    if not any(EACH_SEED in tags for tags in marked):
        return notebook
    for cell, tags in zip(notebook.cells, marked, strict=True):
        if cell.cell_type == "code" and not tags:
            cell.source = ""
    return notebook


def run_cells(notebook, source: Path, partial: Path, used: dict[str, object], progress: Progress) -> None:
    """Let papermill execute every cell; the first that fails becomes one message with its place in `source`."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    bars = f"import lib.notebooks as _n; _n.bars_to_file({str(progress.bars)!r}); del _n"
    kernel = ["--log-level=40", f"--IPKernelApp.exec_lines={bars}"]
    quiet = {"progress_bar": False, "log_output": False}
    hooks = {"on_cell_start": progress.cell, "extra_arguments": kernel, "kernel_name": "python3"}
    try:
        papermill.execute_notebook(notebook, partial, used, cwd=NOTEBOOKS, **quiet, **hooks)
    except papermill.PapermillExecutionError as problem:
        raise failure(source, partial, progress, f"{problem.ename}: {problem.evalue}") from None
    except DeadKernelError:
        raise failure(source, partial, progress, "the kernel died, most often for want of memory") from None


def failure(source: Path, partial: Path, progress: Progress, what: str) -> NotebookFailed:
    """The message for the cell that was running, counted from 1 as in the committed notebook."""
    under = heading(progress.cells, progress.current)
    place = f'{source.relative_to(ROOT)}, cell {progress.current + 1} (under "{under}")'
    return NotebookFailed(f"{place}: {public_text(what)}\nas far as it got: {partial}")


def publish(partial: Path, destination: Path, record: dict) -> None:
    """Move a complete executed copy to its place, cleaned."""
    import nbformat

    with write_aside(destination) as aside:
        nbformat.write(cleaned(read(partial), record), aside)
    partial.unlink()


def cost_of(copy: Path) -> Cost:
    """What an earlier execution cost, read from its copy."""
    record = read(copy).metadata["study"]
    return Cost(record["seconds"], record["processor_s"])


def headless_environment(threads: int) -> None:
    """Settings that the kernel inherits; must come before any numerical library is loaded."""
    for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"   # with any other, copies hold no figure
    os.environ["PYVISTA_OFF_SCREEN"] = "true"
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    os.environ["LP_NUM_THREADS"] = "0"        # OpenGL without a GPU: its threads mostly wait for each other


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 1 with one message when a cell fails."""
    parser = argparse.ArgumentParser(prog="python -m lib.notebooks", description=__doc__.partition("\n")[0])
    parser.add_argument("name", help="notebook without folder and ending: 05_eavanet")
    parser.add_argument("--scale", default="laptop", choices=["smoke", "laptop", "paper"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--after", type=Path, nargs="*", default=[], help="copies of runs whose time counts as well")
    chosen = parser.parse_args(arguments)
    headless_environment(chosen.threads)
    out = results(chosen.scale) / "notebooks" / f"{chosen.name}.ipynb"
    execute(chosen.name, out, {"scale": chosen.scale, "seeds": chosen.seeds}, chosen.after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
