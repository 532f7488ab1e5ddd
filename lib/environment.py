"""The environment as three files that cannot drift apart: pyproject.toml, requirements.lock, environment.yml.

pyproject.toml names what the project imports, each with an exact version. `python -m lib.environment` (or `make lock`)
resolves the rest with uv and writes requirements.lock, every package with version and hashes and without the name of an
index or host, and environment.yml, the same set for conda. `tests/test_house.py` checks that the three agree.

NVIDIA's runtime libraries are left out of the lock: torch's CPU build does not need them, and where pip finds a CUDA
build instead, the Makefile lets torch ask for the libraries of exactly that build.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from lib.paths import ROOT, write_aside

PYPROJECT, LOCK, CONDA = ROOT / "pyproject.toml", ROOT / "requirements.lock", ROOT / "environment.yml"
OLDEST_PYTHON = "3.11"
CUDA_ONLY = re.compile(r"nvidia-|cuda-|triton$")
# torch 2.13.0+cpu for Python 3.11 on Linux, published apart from the registry; taken where pip is told of a copy
TORCH_CPU_HASH = "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
HEAD = "# Written by `make lock` from pyproject.toml; do not edit.\n"


def direct_dependencies() -> dict[str, str]:
    """Packages named in pyproject.toml, with their versions."""
    table = tomllib.loads(PYPROJECT.read_text())
    lines = table["project"]["dependencies"] + table["dependency-groups"]["dev"]
    return dict(line.split("==") for line in lines)


def locked(path: Path = LOCK) -> dict[str, list[str]]:
    """Blocks of a lock file: requirement line ("name==version ; marker") to its hashes."""
    blocks: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        text = line.strip().removesuffix("\\").strip()
        if line[:1].isalnum():
            blocks[text] = hashes = []
        elif text.startswith("--hash="):
            hashes.append(text.removeprefix("--hash="))
    return blocks


def name_of(requirement: str) -> str:
    """Normalised package name of a requirement line."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def resolve(destination: Path) -> dict[str, list[str]]:
    """Let uv choose versions for every platform, staying with those locked before where they still fit."""
    destination.write_text(LOCK.read_text() if LOCK.exists() else "")
    options = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"]
    command = [sys.executable, "-m", "uv", "pip", "compile", str(PYPROJECT), "--group", "dev", *options]
    subprocess.run([*command, "--python-version", OLDEST_PYTHON, "-o", str(destination)], check=True)
    return locked(destination)


def lock_text(blocks: dict[str, list[str]]) -> str:
    """The lock as pip reads it in hash-checking mode."""
    joint = " \\\n    --hash="
    return HEAD + "".join(joint.join([requirement, *hashes]) + "\n" for requirement, hashes in blocks.items())


def conda_text(requirements: list[str]) -> str:
    """The same set for conda: Python and make from conda, every package through pip."""
    packages = "".join(f'      - "{requirement}"\n' for requirement in requirements)
    head = f"name: emotional-face-study\nchannels:\n  - conda-forge\ndependencies:\n  - python={OLDEST_PYTHON}\n"
    return HEAD + head + "  - pip\n  - make\n  - git\n  - pip:\n" + packages


def main() -> None:
    """Rewrite requirements.lock and environment.yml."""
    with write_aside(LOCK) as aside:
        blocks = {line: hashes for line, hashes in resolve(aside).items() if not CUDA_ONLY.match(name_of(line))}
        torch = next(line for line in blocks if name_of(line) == "torch")
        blocks[torch] = sorted({*blocks[torch], TORCH_CPU_HASH})
        aside.write_text(lock_text(blocks))
    with write_aside(CONDA) as aside:
        aside.write_text(conda_text(list(blocks)))


if __name__ == "__main__":
    main()
