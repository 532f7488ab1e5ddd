"""What is measured on the trained systems of paper 004: one table per question, one row per clip (or clip and level).

All tables are functions of (scale, seed), cached by name; they never touch training clips except where a column says
so. What any paper measures is in lib/experiments/measures.py; here is what concerns EavaNet, its rivals and ablations.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from lib.experiments import measures
from lib.experiments.draw import Draw, foundation, frames_of, to_video_rate
from lib.experiments.eavanet import CODE, EMOTIONS, SIZES, SYSTEMS, Trained, config, material, train, training_speakers
from lib.experiments.measures import Controls, target
from lib.models.eavanet import EavaNet
from lib.probes import silhouettes, swap_skill
from lib.study import cached_table, code_digest, run_folder
from lib.training import seed_everything

ALPHAS = (0.0, 0.15, 0.3, 0.5, 0.7, 1.0, 1.3)
FLOOR_STEP = 0.01                # falling steps of achieved intensity below this are rounding of the basis
CONTROLS = Controls.names
MODELS = ("lib.models.eavanet", "lib.models.faceformer", "lib.models.codetalker")


def _cached(scale: str, seed: int, name: str, compute, *settings) -> pd.DataFrame:
    return measures.cached("eavanet", material(scale, seed), name, compute, SIZES[scale], SYSTEMS, settings,
                           modules=(*CODE, *MODELS, "lib.experiments.eavanet_measures"))


def test_rows(data: Draw) -> pd.DataFrame:
    """Test clips: seen (BIWI-A: selected speakers, new sentences) and unseen (BIWI-B: new speakers and sentences)."""
    return measures.test_rows(data, selected(data))


def selected(data: Draw) -> tuple[int, ...]:
    """The expressive training speakers that EavaNet keeps."""
    return training_speakers(data, SYSTEMS["eavanet"])


# Predictions ----------------------------------------------------------------------------------------------------------


def predict(name: str, data: Draw, clip: int) -> np.ndarray:
    """Coefficients (T, K) that a system or control gives for a test clip and its own emotion label."""
    if name.startswith("control/"):
        return controls(data).predict(name, clip)
    return _drive(train(data.scale, data.seed, name), data.hidden[clip], clip)


def _drive(trained: Trained, hidden: np.ndarray, clip: int) -> np.ndarray:
    return trained.predict(hidden, trained.id_for(clip), trained.data.table.emotion[clip])


@lru_cache(maxsize=8)
def controls(data: Draw) -> Controls:
    """The trivial rivals around EavaNet."""
    return Controls(data, test_rows(data), selected(data),
                    lambda hidden, clip: _drive(train(data.scale, data.seed, "eavanet"), hidden, clip),
                    lambda hidden, clip: _drive(_untrained(data), hidden, clip))


def _untrained(data: Draw) -> Trained:
    seed_everything(data.seed, 1)
    system = SYSTEMS["eavanet"]
    return Trained(data, system, EavaNet(config(data, system, SIZES[data.scale])).eval(), [])


# Table II and everything per clip -------------------------------------------------------------------------------------


def scores(scale: str, seed: int, names: tuple[str, ...] = (*SYSTEMS, *CONTROLS)) -> pd.DataFrame:
    """Vertex metrics of every system on every test clip, with the achieved intensity of prediction and truth."""
    def measure(name: str) -> pd.DataFrame:
        data = material(scale, seed)
        return measures.scores(data, name, test_rows(data), lambda clip: predict(name, data, clip))

    return pd.concat([_cached(scale, seed, f"scores-{name}", lambda n=name: measure(n)) for name in names],
                     ignore_index=True)


# Intensity ------------------------------------------------------------------------------------------------------------


def control_curves(
    scale: str, seed: int, names: tuple[str, ...] = ("eavanet", "eavanet/full-intensity")
) -> pd.DataFrame:
    """Achieved intensity for every alpha of `ALPHAS`, emotion and test clip; cross-talk on lips and other emotions.

    lips    share of the change from alpha 0 that moves the lips in another way than the true emotion does
    others  largest share of the change that lies along the axis of another emotion, beyond what true faces share
    """
    return _cached(scale, seed, "control", lambda: pd.DataFrame(
        [row for name in names for clip in test_rows(material(scale, seed)).index
         for emotion in EMOTIONS[1:] for row in _curve(material(scale, seed), name, clip, emotion)]), names)


def _curve(data: Draw, name: str, clip: int, emotion: str) -> list[dict]:
    trained = train(data.scale, data.seed, name)
    faces = [trained.predict(data.hidden[clip], trained.id_for(clip), emotion, alpha) for alpha in ALPHAS]
    neutral, full = target(data, clip, "neutral"), target(data, clip, emotion)
    row = data.table.loc[clip]
    return [{"seed": data.seed, "system": name, "part": row.part, "clip": row["clip"], "speaker": row.actor,
             "emotion": emotion, "alpha": alpha, "achieved": measures.achieved(data, face, neutral, full),
             "lips": measures.lip_crosstalk(data, face - faces[0], full - neutral),
             "others": measures.emotion_crosstalk(data, clip, emotion, EMOTIONS, face - faces[0])}
            for alpha, face in zip(ALPHAS, faces, strict=True)]


# Style embeddings -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def styles(scale: str, seed: int, name: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows, style embeddings (N, d), token weights (N, heads, tokens) of all clips of the draw, training included."""
    data, trained = material(scale, seed), train(scale, seed, name)
    pairs = [trained.style(clip) for clip in data.table.index]
    known = data.table.actor.isin(trained.speakers)
    table = data.table.assign(known=known)
    return table, np.stack([style for style, _ in pairs]), np.stack([weights for _, weights in pairs])


def swaps(scale: str, seed: int, name: str) -> pd.DataFrame:
    """Skill of taking the style from another clip, protocol section 8: 0 = no better than the clip's own style.

    For every unseen clip A and a clip B of another emotion, speaker and sentence: content of A, style of B, compared
    with the exact face of A's sound under B's emotion and intensity.
    """
    return _cached(scale, seed, f"swap-{name.replace('/', '-')}", lambda: _swaps(scale, seed, name))


def _swaps(scale: str, seed: int, name: str) -> pd.DataFrame:
    from lib.puppet.corpus import counterfactual

    data, trained, out = material(scale, seed), train(scale, seed, name), []
    for a in data.rows("unseen").index:
        b = _unlike(data, a)
        exact = counterfactual(data.specs[a], face_only=True, emotion=data.table.emotion[b],
                               intensity=float(data.table.intensity[b]))
        truth = data.basis.encode(exact.oracle_vertices(data.fps) - data.template(a))
        swapped, kept = (_decode_with(trained, a, style) for style in (b, a))
        out.append({"seed": seed, "system": name, "clip": data.table["clip"][a], "speaker": data.table.actor[a],
                    "swap_skill": swap_skill([swapped], [truth], [kept])[0]})
    return pd.DataFrame(out)


def _unlike(data: Draw, clip: int) -> int:
    """An unseen clip of another emotion, speaker and sentence; which one depends on the clip alone."""
    rows = data.rows("unseen")
    differs = [rows[factor] != rows[factor][clip] for factor in ("emotion", "actor", "sentence")]
    others = rows.index[np.logical_and.reduce(differs)]
    return int(others[clip % len(others)])


@torch.no_grad()
def _decode_with(trained: Trained, clip: int, reference: int) -> np.ndarray:
    data = trained.data
    style = torch.from_numpy(trained.style(reference)[0])[None]
    speaker = torch.eye(len(trained.speakers))[trained.speakers.index(trained.id_for(clip))][None]
    hidden = torch.from_numpy(data.hidden[clip])[None]
    return trained.model.decode(hidden, speaker, style, len(data.motion[clip]))[0].numpy()


LEAKS = ("eavanet", "eavanet/no-intercross", "eavanet/no-ce", "eavanet/contrastive", "eavanet/noisy-labels")


def style_leakage(scale: str, seed: int) -> pd.DataFrame:
    """What probes read from the style embeddings of held-out clips (parts val, seen, unseen): one row per probe.

    Factors emotion, speaker, sentence and speaking rate; the ceiling is a probe on embedding and mean motion joined.
    """
    return _cached(scale, seed, "leakage", lambda: pd.concat(
        [leaks(scale, seed, name).assign(seed=seed, system=name) for name in LEAKS], ignore_index=True))


def leaks(scale: str, seed: int, name: str) -> pd.DataFrame:
    """Every probe of every factor for one system's style embeddings."""
    table, style, _ = styles(scale, seed, name)
    held_out = (table.part != "train").to_numpy()
    return measures.embedding_leakage(material(scale, seed), table[held_out], {"style": style[held_out]})


def token_distances(scale: str, seed: int, name: str = "eavanet") -> pd.DataFrame:
    """Mean total variation distance (0..1) of token weights between unseen clips of other and of the same emotion."""
    table, _, weights = styles(scale, seed, name)
    unseen = (table.part == "unseen").to_numpy()
    shares, emotion = weights[unseen], table.emotion[unseen].to_numpy()
    distance = np.abs(shares[:, None] - shares[None]).sum(-1).mean(-1) / 2               # (N, N), mean over heads
    same = emotion[:, None] == emotion[None]
    others = ~np.eye(len(same), dtype=bool)
    return pd.DataFrame([{"seed": seed, "within": distance[same & others].mean(), "between": distance[~same].mean()}])


def style_silhouettes(scale: str, seed: int, name: str = "eavanet") -> dict[str, float]:
    """Silhouette of the style embeddings of unseen clips, grouped by emotion and by speaker."""
    table, style, _ = styles(scale, seed, name)
    unseen = (table.part == "unseen").to_numpy()
    return silhouettes(style[unseen], {"emotion": table.emotion[unseen], "speaker": table.actor[unseen]})


# Prosody apart from expression ----------------------------------------------------------------------------------------


def prosody_apart(scale: str, seed: int, names: tuple[str, ...]) -> pd.DataFrame:
    """Unseen clips spoken neutrally or with a contradicting emotion; every system is asked for the clip's own emotion.

    Errors are on the upper face, against the exact face of the requested emotion for that sound; `judge` is the share
    of judges that recognise it from 68 landmarks. Neutral clips are left out: there is nothing to convey.
    """
    return _cached(scale, seed, "prosody", lambda: _prosody(scale, seed, names), names)


def _prosody(scale: str, seed: int, names: tuple[str, ...]) -> pd.DataFrame:
    from lib.puppet.corpus import counterfactual

    data, out = material(scale, seed), []
    rows = data.rows("unseen")
    for clip in rows[rows.emotion != "neutral"].index:
        for voice in ("neutral", _contradiction(rows.emotion[clip])):
            spoken = counterfactual(data.specs[clip], voice_only=True, emotion=voice,
                                    intensity=0.0 if voice == "neutral" else 1.0)
            hidden = to_video_rate(foundation(scale).features(spoken.audio), frames_of(spoken.audio))
            truth = spoken.oracle_vertices(data.fps)
            out += [_conveyed(data, name, clip, voice, hidden[: 2 * len(truth)], truth) for name in names]
    return pd.DataFrame(out)


def _contradiction(emotion: str) -> str:
    return {"happy": "sad", "sad": "happy", "angry": "sad"}[emotion]


def _conveyed(data: Draw, name: str, clip: int, voice: str, hidden: np.ndarray, truth: np.ndarray) -> dict:
    row = data.table.loc[clip]
    if name == "control/static-template":
        coefficients = np.zeros((len(truth), len(data.basis.directions)), np.float32)
    else:
        trained = train(data.scale, data.seed, name)
        coefficients = trained.predict(hidden, trained.id_for(clip), row.emotion)
    pred = data.vertices(clip, coefficients)
    return {"seed": data.seed, "system": name, "voice": "neutral" if voice == "neutral" else "contradicting",
            "clip": row["clip"], "speaker": row.actor, "emotion": row.emotion,
            "upper_mm": measures.upper_error(data, pred, truth),
            "judge": measures.recognised(data, clip, pred, row.emotion, EMOTIONS)}


# Reach in time --------------------------------------------------------------------------------------------------------


def reach(
    scale: str, seed: int, names: tuple[str, ...] = ("eavanet", "eavanet/no-gau", "eavanet/no-blstm")
) -> pd.DataFrame:
    """How far a change of one tenth of a second of speech features is felt: mean change of motion by distance in time.

    near: 0.1 to 0.3 s away, far: above 1 s, each relative to the change at the spot. Features are replaced after the
    speech encoder, so that only the decoder's own reach counts.
    """
    data = material(scale, seed)
    return _cached(scale, seed, "reach", lambda: pd.DataFrame(
        [_felt(data, name, clip) for name in names for clip in data.rows("unseen").index]), names)


def _felt(data: Draw, name: str, clip: int) -> dict:
    trained, hidden = train(data.scale, data.seed, name), data.hidden[clip]
    middle = len(hidden) // 4                                                        # in video frames
    changed = hidden.copy()
    changed[2 * middle - 2 : 2 * middle + 3] = hidden.mean(0)
    speaker, emotion = trained.id_for(clip), data.table.emotion[clip]
    change = np.abs(trained.predict(changed, speaker, emotion) - trained.predict(hidden, speaker, emotion)).mean(1)
    away = np.abs(np.arange(len(change)) - middle) / data.fps
    at = change[away <= 0.08].mean()
    return {"seed": data.seed, "system": name, "clip": data.table["clip"][clip], "speaker": data.table.actor[clip],
            "near": change[(away >= 0.1) & (away <= 0.3)].mean() / at, "far": change[away > 1].mean() / at}


# Time -----------------------------------------------------------------------------------------------------------------

TIMED = {  # runs, and per call families and seconds of audio; published sizes but for smoke
    "smoke": (2, ((("faceformer", "eavanet"), (0.5, 1.0, 2.0)), (("codetalker",), (0.5, 1.0)))),
    "laptop": (3, ((("faceformer", "eavanet"), (1.0, 2.0, 4.0, 8.0)), (("codetalker",), (2.0, 4.0)))),
    "paper": (12, ((("faceformer", "eavanet", "codetalker"), (1.0, 2.0, 4.0, 8.0, 16.0)),)),
}


def timings(scale: str) -> pd.DataFrame:
    """Seconds per synthesis by system, length and run (models rebuilt for every run): the rows of lib.bench, and `run`.

    Random weights of published size (toy sizes at smoke scale); two CPU threads, speech encoder included.
    """
    from lib import bench

    def measure() -> pd.DataFrame:
        from tqdm.auto import tqdm

        runs, calls = TIMED[scale]
        sizes = bench.TINY if scale == "smoke" else bench.PUBLISHED
        bar = tqdm([(run, *call) for run in range(runs) for call in calls], desc="timing", unit="call", leave=False)
        tables = [bench.bench(families, lengths, 3, sizes=sizes, row_s=2.0, limit_s=90.0).assign(run=run)
                  for run, families, lengths in bar]
        return pd.concat(tables, ignore_index=True).rename(columns={"median_s": "seconds"})

    key = code_digest("lib.bench", "lib.models.parts", *MODELS)
    return cached_table(run_folder("eavanet", "timing", scale, TIMED[scale], key) / "timing.csv", measure)
