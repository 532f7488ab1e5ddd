"""How long synthesis takes, from waveform to vertices: `python -m lib.bench` prints the table of paper 004's Table IV.

Published sizes (23,370 vertices, wav2vec 2.0 base), random weights, batch 1, float32, a fixed number of threads. Every
autoregressive system is timed twice: as released (the whole prefix again for every frame; reference implementations
below) and with our cache (`lib.models`); both must give the same vertices, and their difference is printed.

Stages: features (convolutions of wav2vec 2.0), encoder (its transformer), decoder (all between), vertices (the layer
that is 3V wide, wherever it is called). A row is repeated as often as its time allows; its median and quartiles are
given. The exponent is the slope of log time on log length from 2 s up; a length whose predicted time exceeds the limit
is left out and says so. `cpu_s` is the processor time of all threads: far below threads x time, it says that the
machine was busy with something else.

Fairness. Systems are timed in turn (A B C, A B C, ...), so that a busy minute slows all of them alike. Each has run
once on a short clip before the first length, and once at each length before it is timed (a run of many seconds counts
itself): what a loaded model computes only once does not count, and the memory allocator, which gives large buffers back
to the system until it has seen a few, has settled; the first system used to pay 30,000 page faults per run for it.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import codetalker, eavanet, faceformer, parts
from lib.paths import write_aside

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_RATE = 16_000
LENGTHS = (1, 2, 4, 8, 16)  # seconds
WARM_UP_S = 0.2  # seconds
STAGES = ("features", "encoder", "decoder", "vertices")
OURS, RELEASED = "cached (ours)", "as released"
# how many times faster EavaNet is in Table IV of paper 004 (real-time factors .1356 and 1.5684 over .0097)
PAPER_RATIOS = {f"FaceFormer, {RELEASED}": 13.98, f"CodeTalker, {RELEASED}": 161.69}

Synthesis = Callable[[Tensor], Tensor]  # audio (1, N) -> vertices (1, T, D)
Decode = Callable[[Tensor, Tensor, int], Tensor]  # features (1, S, C), style, T -> offsets (1, T, D)


@dataclass(frozen=True)
class Sizes:
    """One configuration of each model and of the speech encoder they share."""

    faceformer: faceformer.Config
    codetalker: codetalker.Config
    eavanet: eavanet.Config
    wav2vec2: dict


PUBLISHED = Sizes(faceformer.Config(), codetalker.Config(), eavanet.Config(), {})
TINY = Sizes(
    faceformer.Config(motion_width=60, width=16, audio_width=32),
    codetalker.Config(
        stage1=codetalker.VQConfig(
            motion_width=60, width=32, layers=2, heads=4, ffn=48, codes_per_frame=4, code_width=8, codebook=16
        ),
        width=32,
        layers=2,
        audio_width=32,
    ),
    eavanet.Config(motion_width=60, audio_width=32, width=32, gate_width=32, lstm_width=16),
    dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, conv_dim=[32] * 7),
)


@dataclass(frozen=True)
class System:
    """A way to synthesise, with the modules whose time is reported apart, by stage."""

    name: str
    synthesis: Synthesis
    modules: dict[str, list[nn.Module]]
    family: str = ""


# Released procedures --------------------------------------------------------------------------------------------------


def released_faceformer(model: faceformer.FaceFormer, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
    """`FaceFormer.decode` as released: decoder and 3V-wide layer over the whole prefix for every new frame."""
    return released_loop(model, hidden, model.obj_vector(style), frames, motion_of=model.vertice_map_r)


def released_codetalker(model: codetalker.CodeTalker, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
    """`CodeTalker.decode` as released: decoder, codes and the stage-1 decoder over the whole prefix at every frame."""
    return released_loop(
        model, hidden, model.style_of(style), frames, motion_of=lambda states: model.motion_of(model.feat_map(states))
    )


def released_loop(model: nn.Module, hidden: Tensor, style: Tensor, frames: int, *, motion_of: Callable) -> Tensor:
    """Offsets (1, T, D): every step decodes all tokens so far and appends one token made of the last offset."""
    config, memory, style = model.config, model.audio_feature_map(hidden), style[:, None]
    positions, tokens = model.positions(frames, hidden), style
    masks = {"period": config.period, "per_frame": config.audio_per_frame}
    for t in range(1, frames + 1):
        motion = motion_of(parts.decode(model.transformer_decoder, tokens + positions[:t], memory, **masks))
        tokens = torch.cat([tokens, model.vertice_map(motion[:, -1:]) + style], 1)
    return motion


# Systems --------------------------------------------------------------------------------------------------------------


def random_model(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """A model in evaluation mode whose matrices keep the variance of their input; vectors are 1 (norms) or 0.

    Uniform weights: normal ones take five times as long to draw, and the time of a run depends on neither.
    """
    with torch.device("meta"):
        model = build()
    model = model.to_empty(device="cpu").eval().requires_grad_(False)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.ndim >= 2:
            bound = (3 / tensor[0].numel()) ** 0.5
            tensor.uniform_(-bound, bound, generator=generator)
        else:
            tensor.fill_(1.0 if name.endswith("weight") else 0.0)
    return model


def faceformer_systems(sizes: Sizes, speech: nn.Module, generator: torch.Generator) -> list[System]:
    model = random_model(lambda: faceformer.FaceFormer(sizes.faceformer), generator)
    released = partial(released_faceformer, model)
    return both_ways("FaceFormer", model, speech, released, model.vertice_map_r)


def codetalker_systems(sizes: Sizes, speech: nn.Module, generator: torch.Generator) -> list[System]:
    model = random_model(lambda: codetalker.CodeTalker(sizes.codetalker), generator)
    released = partial(released_codetalker, model)
    return both_ways("CodeTalker", model, speech, released, model.autoencoder.decoder.vertice_map_reverse)


def both_ways(name: str, model: nn.Module, speech: nn.Module, released: Decode, wide: nn.Linear) -> list[System]:
    """An autoregressive model with our decoding and with the released one; `wide` is its 3V-wide layer."""
    model.audio_encoder = speech
    template, style = one_clip(wide.out_features, model.config.subjects)

    def synthesis(decode: Decode) -> Synthesis:
        def run(audio: Tensor) -> Tensor:
            hidden = model.encode_audio(audio)
            return template[:, None] + decode(hidden, style, hidden.shape[1] // model.config.audio_per_frame)

        return run

    ways = {OURS: model.decode, RELEASED: released}
    return [System(f"{name}, {way}", synthesis(decode), {"vertices": [wide]}) for way, decode in ways.items()]


def eavanet_systems(sizes: Sizes, speech: nn.Module, generator: torch.Generator) -> list[System]:
    """EavaNet, its autoregressive twin, and EavaNet without the BLSTM."""
    variants = {
        "EavaNet": sizes.eavanet,
        "EavaNet, autoregressive twin": replace(sizes.eavanet, decoder="autoregressive"),
        "EavaNet, no BLSTM": replace(sizes.eavanet, lstm_layers=0),
    }
    return [eavanet_system(name, config, speech, generator) for name, config in variants.items()]


def eavanet_system(name: str, config: eavanet.Config, speech: nn.Module, generator: torch.Generator) -> System:
    model = random_model(lambda: eavanet.EavaNet(config), generator)
    template, speaker = one_clip(config.motion_width, config.speakers)
    style = model.blend(1, 0.5)[None]

    def synthesis(audio: Tensor) -> Tensor:
        hidden = parts.encode_speech(speech, audio, frames=None, per_frame=2, fps=25.0)
        return template[:, None] + model.decode(hidden, speaker, style)

    lstm = [] if model.decoder.lstm is None else [model.decoder.lstm]
    return System(name, synthesis, {"vertices": [model.decoder.project], "lstm": lstm})


FAMILIES = {"faceformer": faceformer_systems, "codetalker": codetalker_systems, "eavanet": eavanet_systems}


def one_clip(width: int, subjects: int) -> tuple[Tensor, Tensor]:
    """Template (1, D) of zeros and the first subject's one-hot style (1, subjects)."""
    return torch.zeros(1, width), torch.eye(subjects)[:1]


def build_systems(families: Sequence[str], sizes: Sizes, seed: int) -> list[System]:
    """All variants of the named families, sharing one speech encoder."""
    unknown = set(families) - set(FAMILIES)
    if unknown:
        raise InputError(f"no such system: {', '.join(sorted(unknown))}; choose from {', '.join(FAMILIES)}")
    generator = torch.Generator().manual_seed(seed)
    speech = random_model(lambda: parts.speech_model(sizes.wav2vec2), generator)
    shared = {"features": [speech.feature_extractor], "encoder": [speech.feature_projection, speech.encoder]}
    systems = [(family, system) for family in families for system in FAMILIES[family](sizes, speech, generator)]
    return [replace(system, family=family, modules=shared | system.modules) for family, system in systems]


# Timing ---------------------------------------------------------------------------------------------------------------


@contextmanager
def stopwatch(modules: dict[str, list[nn.Module]]):
    """Yield a dict that collects the seconds spent inside the given modules, by stage."""
    seconds, started, hooks = dict.fromkeys(modules, 0.0), {}, []

    def start(stage):
        return lambda *_: started.__setitem__(stage, time.perf_counter())

    def stop(stage):
        return lambda *_: seconds.__setitem__(stage, seconds[stage] + time.perf_counter() - started[stage])

    for stage, members in modules.items():
        for module in members:
            hooks += [module.register_forward_pre_hook(start(stage)), module.register_forward_hook(stop(stage))]
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def timed_run(system: System, audio: Tensor) -> tuple[dict[str, float], Tensor]:
    """Seconds in total and by stage of one synthesis, and its vertices."""
    with stopwatch(system.modules) as stages:
        start, start_cpu = time.perf_counter(), time.process_time()
        vertices = system.synthesis(audio)
        total, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    apart = sum(stages[stage] for stage in ("features", "encoder", "vertices"))
    return {**stages, "decoder": total - apart, "total": total, "cpu": cpu}, vertices


def timed_turns(
    systems: Sequence[System], audio: Tensor, repeats: int, row_s: float
) -> tuple[list[dict], dict[str, Tensor]]:
    """Timing of each system, run in turn with the others after one warm-up each, and the vertices of each by name."""
    warm_ups, outputs = [], {}
    for system in systems:
        seconds, outputs[system.name] = timed_run(system, audio)
        warm_ups.append(seconds)
    counts = [runs_that_fit(seconds["total"], repeats, row_s) for seconds in warm_ups]
    runs = [[] for _ in systems]
    for turn in range(max(counts, default=0)):
        for system, count, own in zip(systems, counts, runs, strict=True):
            if turn < count:
                own.append(timed_run(system, audio)[0])
    return [timing(own or [warm_up]) for own, warm_up in zip(runs, warm_ups, strict=True)], outputs


def runs_that_fit(seconds: float, repeats: int, row_s: float) -> int:
    """As many of `repeats` runs as fit into `row_s` after the warm-up, at least one; none where that is long itself.

    A run that takes seconds has warmed up long before it ends, so it counts itself.
    """
    return 0 if seconds * 2 > row_s else max(1, min(repeats, int(row_s / seconds) - 1))


def timing(runs: list[dict[str, float]]) -> dict:
    """Quartiles of the total and medians of the stages."""
    totals = [run["total"] for run in runs]
    low, middle, high = statistics.quantiles(totals, n=4, method="inclusive") if len(runs) > 1 else [totals[0]] * 3
    stages = {f"{stage}_s": statistics.median(run[stage] for run in runs) for stage in runs[0] if stage != "total"}
    return {"runs": len(runs), "median_s": middle, "q1_s": low, "q3_s": high} | stages


def predicted_seconds(past: list[tuple[float, float]], length: float) -> float:
    """Time expected at `length` from the (length, seconds) measured so far: the slope of the last two, at least 1."""
    if not past:
        return 0.0
    (last, seconds), slope = past[-1], 1.0
    if len(past) > 1:
        before, earlier = past[-2]
        slope = max(1.0, math.log(seconds / earlier) / math.log(last / before))
    return seconds * (length / last) ** slope


@contextmanager
def fixed_threads(threads: int):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bench(
    systems: Sequence[str] = tuple(FAMILIES),
    lengths: Sequence[float] | Mapping[str, Sequence[float]] = LENGTHS,
    repeats: int = 5,
    *,
    sizes: Sizes = PUBLISHED,
    threads: int = 2,
    row_s: float = 10.0,
    limit_s: float = 60.0,
    seed: int = 0,
    on_row: Callable[[dict], None] = lambda row: None,
) -> "pd.DataFrame":
    """One row per system and length: times in seconds, real-time factor, stages, difference from the released output.

    systems   families: "faceformer", "codetalker", "eavanet" (each brings its variants)
    lengths   seconds of audio; a mapping gives each family its own
    repeats   timed runs of a row after one warm-up, in turn with the other systems; fewer where they would take more
              than `row_s` seconds
    limit_s   a length is left out (NaN, with a note) where one run is predicted to take longer
    on_row    called with every row once its length is finished, for progress
    """
    import pandas as pd

    rows = []
    with fixed_threads(threads), torch.no_grad():
        built = build_systems(systems, sizes, seed)
        past = {system.name: [] for system in built}
        for system in built:
            system.synthesis(parts.normalise_audio(noise(WARM_UP_S, seed)))
        wanted = lengths if isinstance(lengths, Mapping) else dict.fromkeys(systems, lengths)
        for length in sorted({length for own in wanted.values() for length in own}):
            audio = parts.normalise_audio(noise(length, seed))
            due = [system for system in built if length in wanted[system.family]]
            expected = {system.name: predicted_seconds(past[system.name], length) for system in due}
            timed = [system for system in due if expected[system.name] <= limit_s]
            timings, outputs = timed_turns(timed, audio, repeats, row_s)
            found = dict(zip(outputs, timings, strict=True))
            for name, seconds in expected.items():
                row = {"system": name, "audio_s": length}
                if name in found:
                    past[name].append((length, found[name]["median_s"]))
                    row |= found[name] | summary(found[name], length) | agreement(name, outputs)
                else:
                    row |= {"note": f"left out: about {seconds:.0f} s, limit {limit_s:.0f} s"}
                rows.append(row)
                on_row(row)
    return pd.DataFrame(rows)


def in_fresh_process(*arguments, **options) -> "pd.DataFrame":
    """`bench` in a process of its own: nothing that ran before has filled its caches or its memory allocator."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(bench, *arguments, **options).result()


def noise(seconds: float, seed: int) -> Tensor:
    """White noise (1, N) at 16 kHz; the time does not depend on what is said."""
    return torch.randn(1, int(seconds * SAMPLE_RATE), generator=torch.Generator().manual_seed(seed))


def summary(timing: dict, length: float) -> dict:
    """Real-time factor, time without the speech encoder, share of the (B)LSTM."""
    rest = timing["decoder_s"] + timing["vertices_s"]
    share = timing["lstm_s"] / timing["median_s"] if timing.get("lstm_s") else float("nan")
    return {"rtf": timing["median_s"] / length, "without_speech_s": rest, "lstm_share": share}


def agreement(name: str, outputs: dict[str, Tensor]) -> dict:
    """Largest difference of the vertices between the released procedure and ours, where both have run."""
    ours = name.replace(RELEASED, OURS)
    if ours == name or ours not in outputs:
        return {}
    return {"difference": (outputs[name] - outputs[ours]).abs().max().item()}


# Tables ---------------------------------------------------------------------------------------------------------------


def exponents(table: "pd.DataFrame", from_s: float = 2.0) -> "pd.Series":
    """Slope of log time on log length per system over the lengths measured from `from_s` up; NaN below two of them."""
    import numpy as np

    measured = table[(table.audio_s >= from_s) & table.median_s.notna()]
    return measured.groupby("system", sort=False)[["audio_s", "median_s"]].apply(
        lambda g: np.polyfit(np.log(g.audio_s), np.log(g.median_s), 1)[0] if len(g) > 1 else float("nan")
    )


def ratios(table: "pd.DataFrame") -> "pd.DataFrame":
    """How many times longer each system takes than EavaNet, by length; with the ratio printed in paper 004."""
    times = table.pivot(index="system", columns="audio_s", values="median_s").reindex(table.system.unique())
    if "EavaNet" not in times.index:
        raise InputError("ratios are taken to EavaNet, which is not among the systems of this table")
    relative = times / times.loc["EavaNet"]
    return relative.assign(paper=[PAPER_RATIOS.get(name, float("nan")) for name in relative.index])


def speedups(table: "pd.DataFrame") -> "pd.DataFrame":
    """How many times faster our cached decoding is than the released procedure, by length."""
    times = table.pivot(index="system", columns="audio_s", values="median_s")
    released = [name for name in times.index if name.endswith(RELEASED)]
    gains = {name.split(",")[0]: times.loc[name] / times.loc[name.replace(RELEASED, OURS)] for name in released}
    return type(table)(gains).T


def line(row: dict) -> str:
    """A row for the terminal."""
    head = f"{row['system']:30} {row['audio_s']:5g} s"
    if "median_s" not in row:
        return f"{head}   {row['note']}"
    stages = "  ".join(f"{stage} {row[f'{stage}_s']:.3f}" for stage in STAGES)
    text = f"{head}  {row['median_s']:8.3f} s [{row['q1_s']:.3f}, {row['q3_s']:.3f}] n={row['runs']}"
    text += f"  cpu {row['cpu_s']:.3f}  RTF {row['rtf']:.4f}  {stages}"
    if row["lstm_share"] == row["lstm_share"]:
        text += f"  LSTM {row['lstm_share']:.0%}"
    return text + (f"  difference from ours {row['difference']:.1e}" if "difference" in row else "")


def print_tables(table: "pd.DataFrame") -> None:
    print("\nexponent of time in length, from 2 s up")
    print(exponents(table).round(2).to_string())
    gains = speedups(table)
    if len(gains):
        print("\ntimes faster than the released procedure, by seconds of audio")
        print(gains.round(2).to_string())
    if (table.system == "EavaNet").any():
        print("\ntimes slower than EavaNet, by seconds of audio, and as printed in the paper (RTX 3090, 4 s)")
        print(ratios(table).round(2).to_string(na_rep="-"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m lib.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--lengths", nargs="+", type=float, default=list(LENGTHS), help="seconds of audio")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs per row, after one warm-up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--row-s", type=float, default=10.0, help="fewer runs where a row would take longer")
    parser.add_argument("--budget-s", type=float, default=60.0, help="leave a length out where one run takes longer")
    parser.add_argument("--tiny", action="store_true", help="toy sizes: checks the program, measures nothing")
    parser.add_argument("--csv", type=Path, help="write the rows to this file")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    options = parser.parse_args(arguments)
    size = "toy" if options.tiny else "published"
    print(f"{size} sizes, {options.threads} threads, torch {torch.__version__}, float32, batch 1; median [quartiles]")
    table = bench(
        options.systems, options.lengths, options.repeats, sizes=TINY if options.tiny else PUBLISHED,
        threads=options.threads, row_s=options.row_s, limit_s=options.budget_s,
        on_row=lambda row: print(line(row), flush=True),
    )  # fmt: skip
    print_tables(table)
    write(table, options.csv, options.json)


def write(table: "pd.DataFrame", csv: Path | None, json: Path | None) -> None:
    """Write the rows to the files asked for."""
    if csv:
        with write_aside(csv) as aside:
            table.to_csv(aside, index=False)
    if json:
        with write_aside(json) as aside:
            table.to_json(aside, orient="records", indent=1)


if __name__ == "__main__":
    main()
