"""The graph of the study: notebook x seed -> results.

    shared parts -> 00, and a paper's notebook once per seed -> the same one over all seeds -> 06, 07 -> README

Shared parts (lib/prepare.py) are corpus, foundations, features and times that no seed changes. A run with one seed
fills the cache, in parallel with its siblings; the run over all seeds finds everything there and writes tables, figures
and verdicts to results/<scale>/. Each has one thread, on which small networks run faster than on two. Notebooks and the
modules they import are the inputs, so that a change runs again exactly what it can affect. The outputs are stamps in
cache/, because results/laptop is part of the repository: a fresh clone has results, yet has run nothing.

    python -m lib.workflow laptop            snakemake --config scale=laptop seeds=[0,1,2] --cores 2
"""
import sys

sys.path.insert(0, workflow.basedir)
from lib import notebooks, paths, prepare

SCALE = config.get("scale", "laptop")
SEEDS = config.get("seeds") or {"smoke": [0], "laptop": [0, 1, 2, 3], "paper": list(range(20))}[SCALE]
STAMPS = paths.CACHE / "workflow" / SCALE
FIRST, LAST = "00", "06"                # shows corpus and foundations; from here on notebooks read results
LENDS = "01_cfd"                        # what it trains in a seed, PC-AVS,
BORROWS = "03_vnet"                     # this one then finds
SHORTEST = "04_emoface"                 # its run over all seeds: little waits for its seeds, which come last
NAMES = notebooks.names()
PAPERS = [name for name in NAMES if FIRST < name[:2] < LAST]
RUN = f"{sys.executable} -m lib.notebooks {{wildcards.name}} --scale {SCALE} --threads 1"


def stamp(name):
    return str(STAMPS / f"{name}.done")


def part_stamp(part):
    return str(STAMPS / f"part.{part}.done")


def published(name):
    return paths.results(SCALE) / "notebooks" / f"{name}.ipynb"


def inputs(wildcards):
    """The notebook, the modules it imports, and the stamps of what must have run before it."""
    name = wildcards.name
    before = [n for n in NAMES if n[:2] < name[:2]] if name[:2] >= LAST else []
    return [*map(str, notebooks.sources(name)), *map(stamp, before), *map(part_stamp, prepare.PARTS)]


def seeds_apart(name):
    """The seeds that a notebook runs one by one before it runs over all of them."""
    if len(SEEDS) == 1 or name not in PAPERS:
        return []
    declared = notebooks.parameters(notebooks.read(paths.NOTEBOOKS / f"{name}.ipynb"))
    return SEEDS if "seeds" in declared else []


def seed_copy(name, seed):
    return STAMPS / f"seed{seed}" / SCALE / "notebooks" / f"{name}.ipynb"


def lent(wildcards):
    return [stamp(f"{LENDS}.seed{wildcards.seed}")] if wildcards.name == BORROWS else []


def seed_stamps(wildcards):
    return [stamp(f"{wildcards.name}.seed{seed}") for seed in seeds_apart(wildcards.name)]


for name in NAMES:                      # a result that somebody deleted is made again
    if not published(name).exists():
        (STAMPS / f"{name}.done").unlink(missing_ok=True)


wildcard_constraints:
    name=r"\d\d_\w+",
    seed=r"\d+",


rule study:
    default_target: True
    input:
        STAMPS / "readme.done" if SCALE == "laptop" else list(map(stamp, NAMES)),


rule part:
    wildcard_constraints:
        part=rf"(?!(speech|pictures|corpus|voices|tracks|{prepare.ALONE})\b)[a-z]+",
    input:
        list(map(str, notebooks.reached({"lib.prepare"}))),
        lambda wildcards: list(map(part_stamp, prepare.PARTS[wildcards.part].after)),
    output:
        touch(STAMPS / "part.{part}.done"),
    shell:
        f"{sys.executable} -m lib.prepare {{wildcards.part}} --scale {SCALE} >&2"


use rule part as long_part with:      # the longest ones begin first, then the longest chain: nothing waits for them
    wildcard_constraints:
        part="speech|pictures",
    priority: 2


use rule part as part_of_chain with:
    wildcard_constraints:
        part="corpus|voices|tracks",
    priority: 1


use rule part as part_alone with:
    wildcard_constraints:
        part=prepare.ALONE,
    priority: 9                         # more than others together, or it would wait until all have ended
    threads: workflow.cores


rule one_seed:
    wildcard_constraints:
        name=rf"(?!({LENDS}|{SHORTEST})\b)\d\d_\w+",
    input:
        inputs,
        lent,
    output:
        touch(STAMPS / "{name}.seed{seed}.done"),
    threads: 1
    priority: 1
    params:
        aside=lambda wildcards: STAMPS / f"seed{wildcards.seed}",
    shell:
        "STUDY_RESULTS={params.aside} " + RUN + " --seeds {wildcards.seed} >&2"


use rule one_seed as lending_seed with:   # begins first, so that nobody waits
    wildcard_constraints:
        name=LENDS,
    priority: 2


use rule one_seed as shortest_seed with:
    wildcard_constraints:
        name=SHORTEST,
    priority: 0


rule notebook:
    input:
        inputs,
        seed_stamps,
    output:
        touch(STAMPS / "{name}.done"),
    threads: 1
    priority: 3                         # as soon as its seeds are there, or all of these would be left at the end
    params:
        seeds=SEEDS,
        after=lambda wildcards, input: [seed_copy(wildcards.name, seed) for seed in seeds_apart(wildcards.name)],
    shell:
        RUN + " --seeds {params.seeds} --after {params.after} >&2"


rule readme:
    input:
        list(map(stamp, NAMES)),
        "lib/readme.py",
        "claims.yaml",
        "data_manifest.yaml",
    output:
        touch(STAMPS / "readme.done"),
    shell:
        f"{sys.executable} -m lib.readme >&2"
