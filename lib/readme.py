"""The tables of README.md, generated from results, claims and the manifest: no number in it is typed.

`python -m lib.readme` rewrites what stands between `<!-- name -->` and `<!-- /name -->`; `--check` changes nothing and
exits with 1 where README.md is out of date.
"""

import argparse
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from lib.errors import InputError, command_line
from lib.paths import NOTEBOOKS, ROOT, results, write_aside

README, SCALE = ROOT / "README.md", "laptop"
PAPERS = {  # in reading order; title and venue as printed
    "cfd": "Contrastive Feature Disentanglement, Interspeech 2023",
    "ecm": "Controllable Emotions, ICMEW 2023",
    "vnet": "Ventriloquist-Net, ICIP 2022",
    "emoface": "EmoFace, IEEE VR 2024",
    "eavanet": "EavaNet, APSIPA 2024",
}
VERDICTS = ("reproduced", "weaker", "not reproduced", "reversed", "undecidable")
NOT_RUN = "not run yet"


def claims() -> list[dict]:
    """Entries of claims.yaml."""
    return yaml.load((ROOT / "claims.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def verdicts() -> dict[str, str]:
    """Verdict of every claim in results/laptop/claims.csv; empty before the first run."""
    path = results(SCALE) / "claims.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"claim_id", "verdict", "reason"} <= rows[0].keys():
        raise InputError(f"{path}: expected columns claim_id, verdict, reason; run notebook 06 again")
    return {row["claim_id"]: NOT_RUN if NOT_RUN in row["reason"] else row["verdict"] for row in rows}


def notebook_of(paper: str) -> Path | None:
    """The notebook that tests a paper's claims, None while it is not written."""
    return next(iter(NOTEBOOKS.glob(f"[0-9][0-9]_{paper}.ipynb")), None)


def run_time(name: str) -> str:
    """Processor time of the committed copy of a notebook, its seeds included."""
    executed = results(SCALE) / "notebooks" / f"{name}.ipynb"
    if not executed.exists():
        return NOT_RUN
    seconds = json.loads(executed.read_text())["metadata"]["study"]["processor_s"]
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def count_verdicts(ids: list[str], known: dict[str, str]) -> str:
    """"3 reproduced, 1 weaker, ..." over some claims."""
    counts = Counter(known.get(claim, NOT_RUN) for claim in ids)
    unknown = counts.keys() - {*VERDICTS, NOT_RUN}
    if unknown:
        raise InputError(f"claims.csv: unknown verdict {', '.join(sorted(unknown))}; expected {', '.join(VERDICTS)}")
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in (*VERDICTS, NOT_RUN) if counts[verdict])


def papers_table() -> str:
    """Paper, notebook, claims, verdicts, run time; then the notebooks that belong to no single paper."""
    known, entries, rows = verdicts(), claims(), []
    for paper, title in PAPERS.items():
        ids = [entry["id"] for entry in entries if entry["paper"] == paper]
        path = notebook_of(paper)
        link = f"[{path.stem}](notebooks/{path.name})" if path else "to come"
        rows.append([title, link, str(len(ids)), count_verdicts(ids, known), run_time(path.stem) if path else NOT_RUN])
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        if path.stem[3:] not in PAPERS:
            rows.append([title_of(path), f"[{path.stem}](notebooks/{path.name})", "", "", run_time(path.stem)])
    return table(["paper", "notebook", "claims", "verdicts", "processor time"], rows)


def title_of(path: Path) -> str:
    """First heading of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    text = "".join(cells[0]["source"]) if cells else ""
    return text.partition("\n")[0].lstrip("# ")


def face_picture() -> str:
    """The picture of the face, once there is one."""
    found = [path for path in sorted((results(SCALE) / "figures").glob("*.png")) if "strip" in path.stem]
    return f"![The same sentence in several emotions]({found[0].relative_to(ROOT)})" if found else ""


def licence_table() -> str:
    """What the manifest lists behind a registration form or a signed agreement."""
    assets = yaml.safe_load((ROOT / "data_manifest.yaml").read_text())["assets"]
    gated = [asset for asset in assets if asset["gate"] in ("form", "agreement")]
    rows = [
        [f"[{asset['title']}]({asset['page']})", asset["licence"], asset["gate"], ", ".join(asset["papers"])]
        for asset in gated
    ]
    return table(["what", "licence", "gate", "papers"], rows)


def unpublished() -> str:
    """What the manifest lists as never given out."""
    assets = yaml.safe_load((ROOT / "data_manifest.yaml").read_text())["assets"]
    return "; ".join(f"{asset['title']} ({asset['kind']})" for asset in assets if asset["gate"] == "unpublished") + "."


def untestable() -> str:
    """How many claims ask for what a generated corpus cannot give."""
    answers = Counter(str(entry["testable_on_generated"]["answer"]) for entry in claims())
    viewers = sum(entry["kind"] == "user-study" for entry in claims())
    return (
        f"Of the {sum(answers.values())} claims {answers['yes']} can be tested on a generated corpus, "
        f"{answers['partly']} in part, {answers['no']} not; {viewers} are votes of human viewers, for whom only "
        "proxies exist here."
    )


SECTIONS: dict[str, Callable[[], str]] = {
    "picture": face_picture,
    "papers": papers_table,
    "licence": licence_table,
    "unpublished": unpublished,
    "untestable": untestable,
}


def filled(text: str) -> str:
    """README text with every generated section renewed; raises InputError where a marker is missing."""
    for name, make in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise InputError(f"README.md: expected the markers <!-- {name} --> and <!-- /{name} -->; put them back")
        body = make()
        text = pattern.sub(lambda found, body=body: found[1] + (body + "\n" if body else "") + found[2], text)
    return text


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.readme", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if README.md is out of date")
    check, old = parser.parse_args(arguments).check, README.read_text()
    new = filled(old)
    if check:
        print("README.md is up to date" if new == old else "README.md is out of date: run `python -m lib.readme`")
        return int(new != old)
    with write_aside(README) as aside:
        aside.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
