"""Notebooks: their form, the machinery that executes them, and one execution of all of them at smoke scale."""

import ast
import builtins
import re

import nbformat
import pytest

from lib import notebooks, workflow
from lib.errors import InputError
from lib.paths import NOTEBOOKS, ROOT, results

NAMES = notebooks.names()
each_notebook = pytest.mark.parametrize("name", NAMES)
markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell


def read(name: str):
    return notebooks.read(NOTEBOOKS / f"{name}.ipynb")


def parameters_cell(source: str):
    return code(source, metadata={"tags": ["parameters"]})


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a notebook of the given cells into an otherwise empty study."""
    for module, folder in ((notebooks, "NOTEBOOKS"), (notebooks, "CACHE")):
        monkeypatch.setattr(module, folder, tmp_path / folder.lower())
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def write(name, *cells):
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        book = nbformat.v4.new_notebook(cells=list(cells), metadata=kernel)
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")
        return tmp_path

    return write


# Form ----------------------------------------------------------------------------------------------------------------


@each_notebook
def test_a_notebook_is_committed_without_outputs_and_counts(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [cell.source[:40] for cell in cells if cell.outputs or cell.execution_count] == []


@each_notebook
def test_a_notebook_opens_with_its_title_and_ends_with_a_summary(name):
    cells = read(name).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    headings = re.findall(r"(?m)^#+ +(.+)$", "\n".join(c.source for c in cells if c.cell_type == "markdown"))
    assert headings[-1].startswith("Summary")


@each_notebook
def test_a_notebook_has_one_parameters_cell_of_literals_with_its_scale(name):
    declared = notebooks.parameters(read(name))
    assert declared["scale"] in ("smoke", "laptop", "paper")
    assert all(isinstance(seed, int) for seed in declared.get("seeds", []))


@each_notebook
def test_a_notebook_names_no_folder_of_somebodys_machine(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert re.findall(r"(?<![\w.~$<>/-])/(?:home|root|Users|work|tmp)/\w+", text) == []


@each_notebook
def test_a_notebook_defines_at_most_one_function_and_keeps_cells_short(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert sum(len(re.findall(r"(?m)^\s*(?:def|class) ", cell.source)) for cell in cells) <= 1
    assert [cell.source[:60] for cell in cells if len(cell.source.splitlines()) > 25] == []


@each_notebook
def test_the_readme_lists_a_notebook(name):
    assert f"(notebooks/{name}.ipynb)" in (ROOT / "README.md").read_text()


# Machinery -----------------------------------------------------------------------------------------------------------


def test_parameters_are_read_as_literals():
    book = nbformat.v4.new_notebook(cells=[parameters_cell('scale = "smoke"\nseeds = [0, 1]  # two')])
    assert notebooks.parameters(book) == {"scale": "smoke", "seeds": [0, 1]}


def test_a_derived_value_in_the_parameters_cell_is_refused():
    book = nbformat.v4.new_notebook(cells=[parameters_cell("n = 8\nhalf = n // 2")])
    with pytest.raises(InputError, match="expected `name = literal`, found `half = n // 2`"):
        notebooks.parameters(book)


def test_two_parameters_cells_are_refused():
    book = nbformat.v4.new_notebook(cells=[parameters_cell("a = 1"), parameters_cell("b = 2")])
    with pytest.raises(InputError, match="exactly one cell"):
        notebooks.parameters(book)


def test_a_missing_notebook_and_a_file_that_is_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such notebook"):
        notebooks.read(tmp_path / "08_none.ipynb")
    (tmp_path / "00_text.ipynb").write_text("not a notebook")
    with pytest.raises(InputError, match="expected a Jupyter notebook"):
        notebooks.read(tmp_path / "00_text.ipynb")


def test_a_notebook_depends_on_the_modules_it_reaches_through_others(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    cells = [code("%matplotlib inline\nfrom lib import workflow")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "00_a.ipynb")
    reached = {path.relative_to(ROOT).as_posix() for path in notebooks.sources("00_a")[1:]}
    assert reached >= {"lib/__init__.py", "lib/workflow.py", "lib/errors.py", "lib/paths.py"}
    assert "lib/readme.py" not in reached


def test_machine_folders_leave_the_text_and_pictures_stay(monkeypatch):
    monkeypatch.setenv("STUDY_DATA", "/elsewhere/data")
    seen = notebooks.public({"text/plain": [f"{ROOT}/lib/a.py", "/elsewhere/data/x"], "image/png": "/elsewhere/data"})
    assert seen == {"text/plain": ["./lib/a.py", "$STUDY_DATA/x"], "image/png": "/elsewhere/data"}


def test_execution_passes_parameters_and_publishes_a_clean_copy(write):
    root = write("00_a", markdown("# A"), parameters_cell("seeds = [0]"), code("import os\nprint(seeds, os.getcwd())"))
    copy = notebooks.execute("00_a", root / "out" / "00_a.ipynb", {"seeds": [3, 4], "unknown": 1})
    book = notebooks.read(copy)
    assert book.cells[-1].outputs[0].text == "[3, 4] ./notebooks\n"
    assert book.metadata.study.parameters == {"seeds": [3, 4]}
    assert "papermill" not in book.metadata
    assert list((root / "cache" / "notebooks").iterdir()) == []


def test_a_copy_says_what_it_cost_and_adds_the_runs_before_it(write):
    busy = "import time\nwhile time.process_time() < 1.5: pass"
    root = write("00_a", markdown("# A"), parameters_cell("seeds = [0]"), code(busy))
    first = notebooks.execute("00_a", root / "out" / "first.ipynb", {})
    both = notebooks.cost_of(notebooks.execute("00_a", root / "out" / "both.ipynb", {}, after=[first]))
    alone = notebooks.cost_of(first)
    assert alone.processor_s >= 1.5 and alone.seconds >= 1.0
    assert both.processor_s >= alone.processor_s + 1.5 and both.seconds > alone.seconds


def test_a_failing_cell_is_named_and_nothing_is_published(write):
    root = write("00_a", markdown("# A"), parameters_cell("n = 0"), markdown("## Claim 7"), code("1 / n"))
    with pytest.raises(notebooks.NotebookFailed) as caught:
        notebooks.execute("00_a", root / "out" / "00_a.ipynb", {"n": 0})
    message = str(caught.value)
    assert 'notebooks/00_a.ipynb, cell 4 (under "Claim 7"): ZeroDivisionError: division by zero' in message
    assert not (root / "out" / "00_a.ipynb").exists()


def test_a_dying_kernel_is_one_message_too(write):
    root = write("00_a", markdown("# A"), parameters_cell("n = 0"), code("import os\nos._exit(9)"))
    with pytest.raises(notebooks.NotebookFailed, match="the kernel died"):
        notebooks.execute("00_a", root / "out" / "00_a.ipynb", {})


def test_bars_of_a_kernel_are_told_on_the_terminal(write, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "PROGRESS_EVERY_S", 0.5)
    loop = "from tqdm.auto import tqdm\nimport time\nfor _ in tqdm(range(4), desc='fit'):\n    time.sleep(0.6)"
    root = write("00_a", markdown("# A"), parameters_cell("n = 0"), markdown("## Training"), code(loop))
    notebooks.execute("00_a", root / "out" / "00_a.ipynb", {})
    assert re.search(r"cell 4/4 · Training · fit: +\d+%", capsys.readouterr().err)


def test_a_run_of_one_seed_beside_others_executes_the_tagged_cells_alone(write, monkeypatch):
    shows = code("raise RuntimeError('only the run over all seeds draws')")
    measures = code("m = n + 1")
    measures.metadata["tags"] = [notebooks.EACH_SEED]
    root = write("00_a", markdown("# A"), parameters_cell("n = 0"), measures, shows)
    monkeypatch.setenv("STUDY_RESULTS", str(root))
    notebooks.execute("00_a", root / "out" / "00_a.ipynb", {})
    assert [cell.source for cell in notebooks.read(root / "out" / "00_a.ipynb").cells][-2:] == ["m = n + 1", ""]


@pytest.mark.parametrize("name", [name for name in notebooks.names() if "00" < name[:2] < "06"])
def test_the_tagged_cells_of_a_paper_need_no_others(name):
    """Names that they use are theirs, built in, or parameters."""
    found = notebooks.each_seed(read(name))
    tree = ast.parse("\n".join(cell.source for cell in found.cells if cell.cell_type == "code"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {alias.asname or alias.name.split(".")[0] for node in ast.walk(tree)
              if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    assert used <= bound | set(dir(builtins)), used - bound - set(dir(builtins))
    assert "gather" in ast.unparse(tree)


# All of them, once ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke_run() -> int:
    """The whole study at smoke scale through the Snakefile; what is up to date is not run again."""
    return workflow.run("smoke")


def test_the_study_runs_at_smoke_scale(smoke_run):
    assert smoke_run == 0


@each_notebook
def test_an_executed_notebook_holds_results_and_no_private_paths(name, smoke_run):
    executed = results("smoke") / "notebooks" / f"{name}.ipynb"
    assert executed.exists(), "the notebook did not run: see the messages of the smoke run"
    outputs = [output for cell in notebooks.read(executed).cells for output in cell.get("outputs", [])]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    assert [output for output in outputs if "image/png" in output.get("data", {})], "a copy without a figure"
    assert str(ROOT) not in executed.read_text()
