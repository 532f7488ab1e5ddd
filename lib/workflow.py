"""Run the whole study through Snakemake: `python -m lib.workflow laptop` (or `make study`).

The graph is in the Snakefile; this is the door to it. One run per scale at a time: the lock is the operating system's
and ends with the run, so that a killed run leaves nothing to unlock and the next one goes on where it stopped. What is
written after `--` goes to Snakemake unchanged, for instance `-- --profile profiles/slurm` on a cluster.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from lib.errors import StudyError, command_line
from lib.paths import CACHE, ROOT, results


def take_lock(path: Path):
    """An open file that holds the lock until this process and its children end; raises StudyError if it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StudyError(f"{path}: another run of the study is under way; wait for it or stop it first") from None
    return handle


def command(scale: str, seeds: list[int] | None, cores: int, extra: list[str]) -> list[str]:
    """Snakemake's command line."""
    config = [f"scale={scale}", *([f"seeds={seeds}"] if seeds else [])]
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(ROOT)]
    how = ["--cores", str(cores), "--nolock", "--rerun-incomplete", "--quiet", "rules", "host"]
    # what is added comes first: several options would take what follows them for another value of theirs
    return [sys.executable, "-m", "snakemake", *extra, *where, *how, "--config", *config]


def run(scale: str, seeds: list[int] | None = None, cores: int = 2, extra: list[str] | None = None) -> int:
    """Run what is missing or out of date; returns Snakemake's exit status. Raises StudyError if a run is under way."""
    started = time.monotonic()
    with take_lock(CACHE / "workflow" / f"{scale}.lock") as lock:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        line = command(scale, seeds, cores, extra or [])
        status = subprocess.run(line, env=environment, pass_fds=[lock.fileno()], check=False).returncode
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    outcome = f"results: {results(scale)}" if status == 0 else "the study stopped; run it again to go on from here"
    print(f"\n{outcome}   ({minutes} min {seconds} s)", file=sys.stderr)
    return status


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lib.workflow", description=__doc__.partition("\n")[0])
    parser.add_argument("scale", nargs="?", default="laptop", choices=["smoke", "laptop", "paper"])
    parser.add_argument("--seeds", type=int, nargs="+", help="replications (default: those of the Snakefile)")
    parser.add_argument("--cores", type=int, default=2)
    given = sys.argv[1:] if arguments is None else arguments
    cut = given.index("--") if "--" in given else len(given)
    chosen = parser.parse_args(given[:cut])
    return run(chosen.scale, chosen.seeds, chosen.cores, given[cut + 1 :])


if __name__ == "__main__":
    sys.exit(main())
