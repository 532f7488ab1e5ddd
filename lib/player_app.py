"""Notebook 07 as an app without code, served to this machine alone: python -m lib.player_app [--port N]."""

import argparse
import os
import sys
from pathlib import Path

from lib.paths import NOTEBOOKS, ROOT
from lib.player import ASSETS

LARGEST_UPLOAD = 100 * 2**20     # bytes; ten minutes of studio-quality stereo. tornado's default cuts the line at 10 MB


def command(notebook: Path, port: int, *, open_browser: bool = True) -> list[str]:
    """Command line that serves `notebook` on 127.0.0.1."""
    return [sys.executable, "-m", "voila", str(notebook), f"--port={port}", "--Voila.ip=127.0.0.1", "--template=study",
            f"--Voila.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}", "--show_tracebacks=True",
            *([] if open_browser else ["--no-browser"])]


def environment() -> dict[str, str]:
    """Environment in which the kernel finds `lib` and the server its template, which loads nothing from elsewhere."""
    def joined(first: Path, name: str) -> str:
        return os.pathsep.join(filter(None, [str(first), os.environ.get(name)]))

    return os.environ | {"PYTHONPATH": joined(ROOT, "PYTHONPATH"),
                         "JUPYTER_PATH": joined(ASSETS / "jupyter", "JUPYTER_PATH"),
                         "PYVISTA_OFF_SCREEN": "true", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def main(arguments: list[str] | None = None) -> None:
    """Serve the playground until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lib.player_app", description=__doc__)
    parser.add_argument("--port", type=int, default=8866)
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    chosen = parser.parse_args(arguments)
    notebook = NOTEBOOKS / "07_playground.ipynb"
    call = command(notebook, chosen.port, open_browser=not chosen.no_browser)
    os.execve(call[0], call, environment())


if __name__ == "__main__":
    main()
