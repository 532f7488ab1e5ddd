"""What is measured on the trained systems of paper 004: one table per question, one row per clip (or clip and level).

All tables are functions of (scale, seed), cached by name; they never touch training clips except where a column says
so. What any paper measures is in lib/experiments/measures.py; here is what concerns EavaNet, its rivals and ablations.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from lib.experiments import measures
from lib.experiments.draw import Draw, foundation, frames_of, to_video_rate
from lib.experiments.eavanet import CODE, EMOTIONS, SIZES, SYSTEMS, Trained, config, material, train, training_speakers
from lib.experiments.measures import Controls, target
from lib.metrics import vertex_error
from lib.models.eavanet import EavaNet
from lib.probes import swap_skill
from lib.study import cached_table, code_digest, run_folder
from lib.training import seed_everything

ALPHAS = (0.0, 0.15, 0.3, 0.5, 0.7, 1.0, 1.3)
ARMS = ("eavanet", "eavanet/full-intensity", "eavanet/all-speakers", "eavanet/all-speakers-equal",
        "eavanet/noisy-labels")         # whose intensity is steered
CARRIED = ("eavanet", "faceformer", "codetalker")
CONTROLS = Controls.names
WHOLE = ("eavanet", "faceformer", "faceformer/label", "codetalker", "codetalker/label", *CONTROLS)
MODELS = ("lib.models.eavanet", "lib.models.faceformer", "lib.models.codetalker")


def _cached(scale: str, seed: int, name: str, compute, *settings) -> pd.DataFrame:
    return measures.cached("eavanet", material(scale, seed), name, compute, SIZES[scale], SYSTEMS, settings,
                           modules=(*CODE, *MODELS, "lib.experiments.eavanet_measures"))


def test_rows(data: Draw) -> pd.DataFrame:
    """Test clips: seen (BIWI-A: selected speakers, new sentences) and unseen (BIWI-B: new speakers and sentences)."""
    return measures.test_rows(data, selected(data))


def speaker_id(data: Draw, clip: int) -> int:
    """Id that every system is given for a clip: the speaker's own, or EavaNet's five in turn, even if it knows more.

    Two arms that differ in their training speakers would else be asked for different speakers' ways.
    """
    ids, actor = selected(data), int(data.table.actor[clip])
    return actor if actor in ids else ids[clip % len(ids)]


def selected(data: Draw) -> tuple[int, ...]:
    """The expressive training speakers that EavaNet keeps."""
    return training_speakers(data, SYSTEMS["eavanet"])


# Predictions ----------------------------------------------------------------------------------------------------------


def predict(name: str, data: Draw, clip: int) -> np.ndarray:
    """Coefficients (T, K) that a system or control gives for a test clip and its own emotion label."""
    if name.startswith("control/"):
        return controls(data).predict(name, clip)
    return _predictions(name, data)[clip]


@lru_cache(maxsize=8)
def _predictions(name: str, data: Draw) -> dict[int, np.ndarray]:
    """Coefficients (T, K) that a system gives for every test clip."""
    clips = test_rows(data).index
    found = drive_all(train(data.scale, data.seed, name), [data.hidden[clip] for clip in clips], clips)
    return dict(zip(clips, found, strict=True))


def drive_all(trained: Trained, hidden: Sequence[np.ndarray], clips: Sequence[int]) -> list[np.ndarray]:
    """Coefficients (T, K) that a system gives for features (2T, C) and the emotion labels of as many clips.

    Rivals are autoregressive and take several clips at a time.
    """
    if trained.system.family == "eavanet":
        return [_drive(trained, heard, clip) for heard, clip in zip(hidden, clips, strict=True)]
    model, data = trained.model, trained.data
    told = [trained.course.condition(speaker_id(data, i), EMOTIONS.index(data.table.emotion[i])) for i in clips]
    way = (model.codes, model.autoencoder.decode) if trained.system.family == "codetalker" else (model.decode,)
    return measures.together(hidden, np.stack(told), *way)


def _drive(trained: Trained, hidden: np.ndarray, clip: int) -> np.ndarray:
    return trained.predict(hidden, speaker_id(trained.data, clip), trained.data.table.emotion[clip])


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
    """Errors, lip sync, judges and achieved intensity of every system on every test clip (`measures.score`).

    Errors of all vertices are those of `WHOLE` alone: what Table II compares, and the controls.
    """
    def measure(name: str) -> pd.DataFrame:
        data = material(scale, seed)
        return measures.scores(data, name, test_rows(data), lambda clip: predict(name, data, clip), EMOTIONS,
                               whole=name in WHOLE)

    return pd.concat([_cached(scale, seed, f"scores-{name}", lambda n=name: measure(n)) for name in names],
                     ignore_index=True)


# Intensity ------------------------------------------------------------------------------------------------------------


def control_curves(scale: str, seed: int, names: tuple[str, ...] = ARMS) -> pd.DataFrame:
    """Achieved intensity for every alpha of `ALPHAS`, emotion, unseen clip and each of EavaNet's speaker ids.

    lips, others: off-target change from alpha 0, of the lips and towards another emotion (lib/experiments/measures.py).
    """
    def measure(name: str) -> pd.DataFrame:
        from tqdm.auto import tqdm

        data = material(scale, seed)
        bar = tqdm(data.rows("unseen").index, desc=f"steering {name}, seed {seed}", unit="clip", leave=False)
        return pd.DataFrame([row for clip in bar for row in _curves(train(scale, seed, name), clip)])

    return pd.concat([_cached(scale, seed, f"control-{name}", lambda n=name: measure(n)).assign(system=name)
                      for name in names], ignore_index=True)


def _curves(trained: Trained, clip: int) -> list[dict]:
    data, ids = trained.data, selected(trained.data)
    row, neutral = data.table.loc[clip], target(data, clip, "neutral")
    known = {"seed": data.seed, "part": row.part, "clip": row["clip"], "speaker": row.actor}
    rows = []
    for emotion, faces in zip(EMOTIONS[1:], steered(trained, clip, EMOTIONS[1:], ALPHAS, ids), strict=True):
        full, change = target(data, clip, emotion), faces - faces[0]                                  # (A, I, T, K)
        found = {"achieved": measures.achieved(data, faces, neutral, full),
                 "lips": measures.lip_crosstalk(data, change, full - neutral, neutral),
                 "others": measures.emotion_crosstalk(data, clip, emotion, EMOTIONS, change)}
        rows += [{**known, "id": speaker, "emotion": emotion, "alpha": alpha,
                  **{name: float(values[a, i]) for name, values in found.items()}}
                 for a, alpha in enumerate(ALPHAS) for i, speaker in enumerate(ids)]
    return rows


@torch.no_grad()
def steered(trained: Trained, clip: int, emotions: tuple[str, ...], alphas: tuple[float, ...],
            ids: tuple[int, ...]) -> np.ndarray:
    """Coefficients (emotions, alphas, ids, T, K) of EavaNet for one clip's sound, decoded together.

    As `EavaNet.decode`, but the features, by far the widest input, are aligned once and not once per face.
    """
    model, frames = trained.model, len(trained.data.motion[clip])
    styles = torch.stack([model.blend(EMOTIONS.index(e), alpha) for e in emotions for alpha in alphas])
    speakers = model.speaker(torch.from_numpy(np.stack([trained.course.condition(i, 0) for i in ids])))
    heard = model.align(torch.from_numpy(trained.data.hidden[clip])[None], frames)                    # (1, T, d)
    told = (styles[:, None] + speakers[None]).flatten(0, 1)                                           # (E A I, d)
    motion = model.decoder(heard + told[:, None])
    return motion.reshape(len(emotions), len(alphas), len(ids), frames, -1).numpy()


def step_errors(scale: str, seed: int) -> pd.DataFrame:
    """What the basis makes of steps of true intensity, on one unseen clip of every speaker (`measures.step_errors`)."""
    data = material(scale, seed)
    clips = data.rows("unseen").drop_duplicates("actor").index
    return _cached(scale, seed, "steps", lambda: measures.step_errors(data, clips, EMOTIONS))


# Expressiveness carried over to other speakers ------------------------------------------------------------------------


def carried_over(scale: str, seed: int, names: tuple[str, ...] = CARRIED) -> pd.DataFrame:
    """Unseen emotional clips under each of EavaNet's speaker ids: achieved intensity, upper-face errors (mm).

    own_mm          to the exact face of the clip's own speaker
    expressive_mm   to the exact face of the same clip with the expressive ways of the speaker whose id was given
    expressive      whether the clip's own speaker is in the more expressive half of all speakers
    """
    return _cached(scale, seed, "carried", lambda: _carried_over(scale, seed, names), names)


def _carried_over(scale: str, seed: int, names: tuple[str, ...]) -> pd.DataFrame:
    from tqdm.auto import tqdm

    data = material(scale, seed)
    rows = data.rows("unseen")
    bar = tqdm(rows[rows.emotion != "neutral"].index, desc=f"other speakers, seed {seed}", unit="clip", leave=False)
    return pd.DataFrame([row for clip in bar for name in (*names, "control/static-template")
                         for row in _carried(data, name, clip)])


def _carried(data: Draw, name: str, clip: int) -> list[dict]:
    from lib.puppet.actors import actor

    factors, ids = measures.factors(data, clip), selected(data)
    neutral, full = target(data, clip, "neutral"), target(data, clip, factors["emotion"])
    usual = np.median([actor(int(number)).expressivity for number in data.table.actor.unique()])
    return [{"seed": data.seed, "system": name, "id": i, **factors,
             "expressive": float(actor(int(factors["speaker"])).expressivity > usual),
             "achieved": measures.achieved(data, face, neutral, full),
             "own_mm": measures.upper_distance(data, face, data.floor[clip]),
             "expressive_mm": measures.upper_distance(data, face, _lent(data, clip, i))}
            for i, face in zip(ids, _with_ids(data, name, clip, ids), strict=True)]


def _lent(data: Draw, clip: int, speaker: int) -> np.ndarray:
    row = data.table.loc[clip]
    return measures.exact_face(data, clip, row.emotion, float(row.intensity), speaker)


@torch.no_grad()
def _with_ids(data: Draw, name: str, clip: int, ids: tuple[int, ...]) -> np.ndarray:
    """Coefficients (ids, T, K) of a system for a clip's sound and emotion under several speaker ids."""
    if name.startswith("control/"):
        return np.stack([controls(data).predict(name, clip)] * len(ids))
    trained, emotion = train(data.scale, data.seed, name), data.table.emotion[clip]
    if trained.system.family == "eavanet":
        return steered(trained, clip, (emotion,), (1.0,), ids)[0, 0]
    given = np.stack([trained.course.condition(i, EMOTIONS.index(emotion)) for i in ids])
    hidden = torch.from_numpy(data.hidden[clip]).expand(len(ids), -1, -1)
    return trained.model.decode(hidden, torch.from_numpy(given), len(data.motion[clip])).numpy()


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
    data, trained, out = material(scale, seed), train(scale, seed, name), []
    for a in data.rows("unseen").index:
        b = _unlike(data, a)
        truth = measures.exact_face(data, a, data.table.emotion[b], float(data.table.intensity[b]))
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
    speaker = torch.eye(len(trained.speakers))[trained.speakers.index(speaker_id(data, clip))][None]
    hidden = torch.from_numpy(data.hidden[clip])[None]
    return trained.model.decode(hidden, speaker, style, len(data.motion[clip]))[0].numpy()


LEAKS = ("eavanet", "eavanet/no-intercross", "eavanet/no-ce", "eavanet/contrastive", "eavanet/noisy-labels")


UNSEEN = "emotion, speakers unseen by the encoder"


def style_leakage(scale: str, seed: int) -> pd.DataFrame:
    """What probes read from the style embeddings of held-out clips (parts val, seen, unseen): one row per probe.

    Factors emotion, speaker, sentence and speaking rate; the ceiling is a probe on embedding and mean motion joined.
    For EavaNet also `UNSEEN`: taught on clips of training speakers, asked on unseen speakers with other sentences.
    """
    def measure() -> pd.DataFrame:
        pooled = [leaks(scale, seed, name).assign(system=name) for name in LEAKS]
        return pd.concat([*pooled, _unseen_leak(scale, seed).assign(system="eavanet")], ignore_index=True)

    return _cached(scale, seed, "leakage", lambda: measure().assign(seed=seed))


def _unseen_leak(scale: str, seed: int) -> pd.DataFrame:
    table, style, _ = styles(scale, seed, "eavanet")
    taught, asked = (np.flatnonzero(table.part.isin(parts)) for parts in (("train", "val"), ("unseen",)))
    reference = measures.motion_statistics(material(scale, seed), table)
    found = measures.transfer(style, table.emotion.to_numpy(str), taught, asked, reference, seed)
    return found.assign(code="style", factor=UNSEEN)


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
    asked = [(clip, voice) for clip in rows[rows.emotion != "neutral"].index
             for voice in ("neutral", _contradiction(rows.emotion[clip]))]
    spoken = [counterfactual(data.specs[clip], voice_only=True, emotion=voice,
                             intensity=0.0 if voice == "neutral" else 1.0) for clip, voice in asked]
    hidden = [to_video_rate(foundation(scale).features(said.audio), frames_of(said.audio))[: 2 * said.frames(data.fps)]
              for said in spoken]
    faces = {name: _said(data, name, hidden, [clip for clip, _ in asked]) for name in names}
    for n, (clip, voice) in enumerate(asked):
        truth = spoken[n].oracle_vertices(data.fps)[:, measures.cut(data).points]
        out += [_conveyed(data, name, clip, voice, faces[name][n], truth) for name in names]
    return pd.DataFrame(out)


def _said(data: Draw, name: str, hidden: list[np.ndarray], clips: list[int]) -> list[np.ndarray]:
    """Coefficients (T, K) of a system or of the face at rest for features (2T, C) and the clips they belong to."""
    if name == "control/static-template":
        return [np.zeros((len(heard) // 2, len(data.basis.directions)), np.float32) for heard in hidden]
    return drive_all(train(data.scale, data.seed, name), hidden, clips)


def _contradiction(emotion: str) -> str:
    return {"happy": "sad", "sad": "happy", "angry": "sad"}[emotion]


def _conveyed(data: Draw, name: str, clip: int, voice: str, coefficients: np.ndarray, truth: np.ndarray) -> dict:
    row = data.table.loc[clip]
    shown, upper = measures.cut(data).vertices(clip, coefficients), measures.cut(data).regions["upper_face"]
    return {"seed": data.seed, "system": name, "voice": "neutral" if voice == "neutral" else "contradicting",
            "clip": row["clip"], "speaker": row.actor, "emotion": row.emotion,
            "upper_mm": float(vertex_error(shown[:, upper], truth[:, upper], form="distance").mean()),
            "judge": measures.recognised(data, clip, shown[:, : measures.LANDMARKS], row.emotion, EMOTIONS)}


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
    speaker, emotion = speaker_id(data, clip), data.table.emotion[clip]
    change = np.abs(trained.predict(changed, speaker, emotion) - trained.predict(hidden, speaker, emotion)).mean(1)
    away = np.abs(np.arange(len(change)) - middle) / data.fps
    at = change[away <= 0.08].mean()
    return {"seed": data.seed, "system": name, "clip": data.table["clip"][clip], "speaker": data.table.actor[clip],
            "near": change[(away >= 0.1) & (away <= 0.3)].mean() / at, "far": change[away > 1].mean() / at}


# Time -----------------------------------------------------------------------------------------------------------------

TIMED = {  # rounds, and seconds of audio of each family; published sizes but for smoke
    "smoke": (2, {"faceformer": (0.5, 1.0, 2.0), "eavanet": (0.5, 1.0, 2.0), "codetalker": (0.5, 1.0)}),
    "laptop": (3, {"faceformer": (2.0, 4.0, 8.0), "eavanet": (1.0, 2.0, 4.0, 8.0), "codetalker": (1.0,)}),
    "paper": (12, dict.fromkeys(("faceformer", "eavanet", "codetalker"), (1.0, 2.0, 4.0, 8.0, 16.0))),
}


def timings(scale: str) -> pd.DataFrame:
    """Seconds per synthesis by system, length and round: the rows of lib.bench, and `run`, the number of the round.

    Every round is a process of its own, in which all systems take turns. Random weights of published size (toy sizes at
    smoke scale); two CPU threads, speech encoder included.
    """
    from lib import bench

    def measure() -> pd.DataFrame:
        from tqdm.auto import tqdm

        rounds, lengths = TIMED[scale]
        sizes = bench.TINY if scale == "smoke" else bench.PUBLISHED
        bar = tqdm(range(rounds), desc="timing", unit="round", leave=False)
        tables = [bench.in_fresh_process(tuple(lengths), lengths, 3, sizes=sizes, row_s=0.8, limit_s=90.0)
                  .assign(run=number) for number in bar]
        return pd.concat(tables, ignore_index=True).rename(columns={"median_s": "seconds"})

    key = code_digest("lib.bench", "lib.models.parts", *MODELS)
    return cached_table(run_folder("eavanet", "timing", scale, TIMED[scale], key) / "timing.csv", measure)
