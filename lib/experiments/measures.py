"""What the experiment of any paper measures on a draw: scores per clip, trivial rivals, intensity, cross-talk, judges.

Functions take a `Draw` and motion as coefficients (T, K) of its basis. Which systems there are, which emotions a paper
has and what its networks are told stays in the paper's own module, which hands over predictions or a function that
makes them. Distances are millimetres unless a name says otherwise; projections are computed on coefficients, without a
mesh.

Achieved intensity of motion y for emotion e on a clip: projection of y - n on the true axis x_e - n,

    achieved = sum_t <y_t - n_t, x_e,t - n_t>_r / sum_t <x_e,t - n_t, x_e,t - n_t>_r

with n the exact neutral face and x_e the exact face of full intensity for the same sound; 1 = full true intensity. The
region is the upper face: around the mouth an emotion also changes how far speech moves the lips, so that a face which
does not move at all would seem to express something.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lib.experiments.draw import Draw, corpus
from lib.face.basis import MotionBasis
from lib.metrics import evaluate
from lib.probes import PROBES, SHUFFLES, achieved_intensity, corrected, leakage, least_room, pool, probe_score
from lib.study import cached_table, code_digest, run_folder

NEUTRAL = "neutral"
LANDMARKS = 68
SYNC_REACH_S = 0.3               # shifts that the sync margin compares with no shift
TOGETHER = 16                    # clips that are decoded frame by frame at the same time
LEVELS = (0.0, 0.15, 0.3, 0.5, 0.7, 1.0)         # true intensities at which the error of a step is measured
CODE = ("lib.experiments.measures", "lib.metrics", "lib.probes", "lib.models.judges", "lib.foundations",
        "lib.puppet.recast")

Drive = Callable[[np.ndarray, int], np.ndarray]      # speech features (A, C) and clip -> coefficients (T, K)


def cached(paper: str, data: Draw, name: str, compute: Callable[[], pd.DataFrame], *settings: Any,
           modules: Sequence[str] = ()) -> pd.DataFrame:
    """Table `name` of a paper, kept under the draw, the settings and the code of this module and of `modules`."""
    folder = run_folder(paper, data.key, settings, code_digest(*CODE, *modules))
    return cached_table(folder / f"{name.replace('/', '-')}.csv", compute)


def test_rows(data: Draw, known: Sequence[int]) -> pd.DataFrame:
    """Test clips: unseen speakers with unseen sentences, and the `known` speakers with unseen sentences (seen)."""
    rows = data.rows("seen", "unseen")
    return rows[(rows.part == "unseen") | rows.actor.isin(known)]


# Frame by frame -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def together(hidden: Sequence[np.ndarray], given: np.ndarray, decode: Callable[[Tensor, Tensor, int], Tensor],
             finish: Callable[[Tensor], Tensor] = lambda motion: motion, *, per_frame: int = 2) -> list[np.ndarray]:
    """Motion (T, K) of many clips from features (per_frame T, C) and what is told about them (N, S).

    A step of an autoregressive decoder costs about as much for `TOGETHER` clips as for one, so clips of similar length
    are padded with zeros and decoded at once. That changes none of them as long as `decode` (features (B, S, C), told
    (B, S), frames) sees no later frame; what does see the whole clip has to be in `finish`, which gets each clip cut to
    its length, (1, T, K).
    """
    found, order = {}, np.argsort([len(x) for x in hidden], kind="stable")
    for rows in np.array_split(order, -(-len(order) // TOGETHER)):
        heard = pad_sequence([torch.from_numpy(hidden[i]) for i in rows], batch_first=True)
        decoded = decode(heard, torch.from_numpy(given[rows]), heard.shape[1] // per_frame)
        found |= {i: finish(one[None, : len(hidden[i]) // per_frame])[0].numpy()
                  for i, one in zip(rows, decoded, strict=True)}
    return [found[i] for i in range(len(hidden))]


# Trivial rivals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Controls:
    """Rivals that must lose (protocol, section 2), around a paper's main system.

    `trained` and `untrained` drive the main system and its random initialisation; `known` are its training speakers,
    `rows` the test clips, whose sounds are exchanged.
    """

    data: Draw
    rows: pd.DataFrame
    known: tuple[int, ...]
    trained: Drive
    untrained: Drive

    names = ("control/static-template", "control/mean-motion", "control/shuffled-audio", "control/random-init",
             "control/oracle", "control/shuffled-truth")

    def predict(self, name: str, clip: int) -> np.ndarray:
        """Coefficients (T, K) that the control `name` gives for a test clip."""
        data, frames = self.data, len(self.data.motion[clip])
        ways = {
            "control/static-template": lambda: np.zeros_like(data.motion[clip]),
            "control/mean-motion": lambda: np.broadcast_to(self.mean_motion, (frames, len(self.mean_motion))),
            "control/shuffled-audio": lambda: self.trained(self.other_audio(clip), clip),
            "control/random-init": lambda: self.untrained(data.hidden[clip], clip),
            "control/oracle": lambda: data.floor[clip],
            "control/shuffled-truth": lambda: np.resize(data.motion[self.other(clip)], data.motion[clip].shape),
        }
        return ways[name]()

    @cached_property
    def mean_motion(self) -> np.ndarray:
        """Mean coefficients (K,) of the training frames."""
        rows = self.data.rows("train")
        return np.concatenate([self.data.motion[i] for i in rows[rows.actor.isin(self.known)].index]).mean(0)

    def other(self, clip: int) -> int:
        """The next test clip with another sentence."""
        rows, sentence = self.rows.index.to_numpy(), self.data.table.sentence
        later = np.roll(rows, -1 - int(np.flatnonzero(rows == clip)[0]))
        return next(int(i) for i in later if sentence[i] != sentence[clip])

    def other_audio(self, clip: int) -> np.ndarray:
        """Speech features of the next test clip with another sentence, repeated from the start where it is shorter."""
        return np.resize(self.data.hidden[self.other(clip)], self.data.hidden[clip].shape)


# Scores ---------------------------------------------------------------------------------------------------------------


def scores(data: Draw, name: str, rows: pd.DataFrame, predict: Callable[[int], np.ndarray],
           emotions: tuple[str, ...], *, whole: bool = True) -> pd.DataFrame:
    """`score` of every clip of `rows` under the system's name; `predict` gives coefficients (T, K) for a clip."""
    from tqdm.auto import tqdm

    bar = tqdm(rows.index, desc=f"measuring {name}, seed {data.seed}", unit="clip", leave=False)
    return pd.DataFrame([{"seed": data.seed, "system": name, **factors(data, i),
                          **score(data, i, predict(i), emotions, whole=whole)} for i in bar])


def factors(data: Draw, clip: int) -> dict:
    """What a row of any table says about its clip."""
    row = data.table.loc[clip]
    return {"part": row.part, "clip": row["clip"], "speaker": row.actor, "emotion": row.emotion,
            "intensity": row.intensity}


def score(data: Draw, clip: int, coefficients: np.ndarray, emotions: tuple[str, ...], *,
          whole: bool = True) -> dict[str, float]:
    """Metrics of one clip against its exact vertices: errors (lib/metrics.py), lip sync, judges, achieved intensity.

    `judge` is the share of judges that choose the clip's own emotion among `emotions`. Without `whole` the errors of
    all vertices are left out: they take longer than everything else together.
    """
    emotion, shown = data.table.emotion[clip], cut(data).vertices(clip, coefficients)
    numbers = region_scores(data, clip, shown, exact_points(data, clip))
    if whole:
        numbers |= whole_face(data, clip, coefficients)
    numbers |= lip_sync(data, coefficients, data.motion[clip])
    numbers["judge"] = recognised(data, clip, shown[:, :LANDMARKS], emotion, emotions)
    if emotion != NEUTRAL:
        neutral, full = target(data, clip, NEUTRAL), target(data, clip, emotion)
        numbers["achieved"] = achieved(data, coefficients, neutral, full)
        numbers["achieved_truth"] = achieved(data, data.floor[clip], neutral, full)
    return numbers


class Cut:
    """The basis cut to the 68 landmarks, the upper face and the lips, in this order: what regions and judges look at.

    A quarter of the vertices, and measuring is passes over vertices.
    """

    def __init__(self, data: Draw):
        topology = data.topology
        self.points = np.concatenate([topology.landmarks, topology.regions["upper_face"], topology.regions["lips"]])
        directions = data.basis.directions.reshape(len(data.basis.directions), -1, 3)[:, self.points]
        self.basis = MotionBasis(directions.reshape(len(directions), -1), data.basis.scale)
        ends = LANDMARKS + len(topology.regions["upper_face"])
        self.regions = {"upper_face": np.arange(LANDMARKS, ends), "lips": np.arange(ends, len(self.points))}
        self.data = data

    def template(self, clip: int) -> np.ndarray:
        """Neutral face (M, 3) in mm."""
        return self.data.template(clip)[self.points]

    def vertices(self, clip: int, coefficients: np.ndarray) -> np.ndarray:
        """(T, M, 3) in mm of coefficients (T, K)."""
        return self.basis.decode(coefficients) + self.template(clip)


@lru_cache(maxsize=8)
def cut(data: Draw) -> Cut:
    """The cut basis of a draw."""
    return Cut(data)


@lru_cache(maxsize=128)                 # about 5 MB each, asked for again by every system
def truth(data: Draw, clip: int) -> np.ndarray:
    """Exact vertices (T, V, 3) in mm of a clip."""
    return data.truth(clip).astype(np.float32)


@lru_cache(maxsize=256)
def exact_points(data: Draw, clip: int) -> np.ndarray:
    """The points (T, M, 3) of `cut` in the exact face of a clip."""
    return truth(data, clip)[:, cut(data).points]


def region_scores(data: Draw, clip: int, shown: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """The columns of lib.metrics.evaluate that regions alone decide, of points (T, M, 3) of `cut`."""
    own = cut(data)
    numbers = evaluate(shown, exact, own.template(clip), own.regions, data.topology.mm_per_unit)
    return {name: value for name, value in numbers.items() if not name.startswith("vertex_error")}


def whole_face(data: Draw, clip: int, coefficients: np.ndarray) -> dict[str, float]:
    """The columns of lib.metrics.evaluate that need every vertex."""
    error = data.vertices(clip, coefficients).astype(np.float32, copy=False) - truth(data, clip)
    squared = np.einsum("tvi,tvi->tv", error, error)
    mean = float(squared.mean(dtype=np.float64)) / data.topology.mm_per_unit**2
    return {"vertex_error": mean, "vertex_error_coordinate": mean / 3,
            "vertex_error_mm": float(np.sqrt(squared).mean(dtype=np.float64))}


def upper_distance(data: Draw, motion: np.ndarray, other: np.ndarray) -> float:
    """Mean distance (mm) of the upper-face vertices between two motions (T, K) of the basis; 0 where they are equal."""
    return float(np.linalg.norm(_part(data, "upper_face").decode(motion - other), axis=-1).mean())


def lip_sync(data: Draw, motion: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """How sharply the lips of (T, K) motion are in time with those of `truth`.

        D(s)     = mean_t rms_{v in lips} || m_{t+s,v} - x_{t,v} ||, each around its own mean over the clip
        sync_mm  = median_{0 < |s| <= 0.3 s} D(s) - D(0)      0: any other moment would do as well; below 0: worse
        lag_s    = argmin_s D(s)                              positive: late

    t runs over the frames that every shift can reach. Around the mean, since a lasting expression is no matter of time.
    """
    root, reach = _root(data, "lips"), min(round(SYNC_REACH_S * data.fps), (len(motion) - 1) // 2)
    lips, true = ((x - x.mean(0)) @ root for x in (motion, truth))
    shifts, end = np.arange(-reach, reach + 1), len(true) - reach
    rms = data.basis.scale / np.sqrt(len(data.topology.regions["lips"]))
    distance = np.array([rms * np.linalg.norm(lips[reach + s : end + s] - true[reach:end], axis=1).mean()
                         for s in shifts])
    return {"sync_mm": float(np.median(distance[shifts != 0]) - distance[reach]),
            "lag_s": float(shifts[np.argmin(distance)] / data.fps)}


# Intensity ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def exact_face(data: Draw, clip: int, emotion: str, intensity: float, manner_of: int | None = None) -> np.ndarray:
    """Coefficients (T, K) of the exact face of an emotion for the clip's own sound, nuisance left out.

    `manner_of` lends the clip the expressive ways of another actor, on its own head.
    """
    from lib.puppet.recast import recast

    spoken = corpus(data.scale)[data.table.position[clip]]
    exact = recast(spoken, manner_of=manner_of, emotion=emotion, intensity=intensity)
    return data.basis.encode(exact.oracle_vertices(data.fps) - data.template(clip))


def target(data: Draw, clip: int, emotion: str) -> np.ndarray:
    """Coefficients (T, K) of the exact face of full intensity for the clip's own sound, nuisance left out."""
    return exact_face(data, int(clip), emotion, 1.0)


def achieved(data: Draw, motion: np.ndarray, neutral: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Projection of (..., T, K) motion on the axis from neutral to full intensity, upper face; 0 = neutral, 1 = full.

    neutral and full (T, K); one value (...) for every motion, a number for a single one.
    """
    return achieved_intensity(*(within(data, "upper_face", x) for x in (motion, neutral, full)))


def within(data: Draw, region: str, motion: np.ndarray) -> np.ndarray:
    """Motion (..., T, K) as vectors (..., T K) whose inner products are those of the vertices of a region."""
    projected = motion @ _root(data, region)
    return projected.reshape(*projected.shape[:-2], -1)


@lru_cache(maxsize=32)
def _root(data: Draw, region: str) -> np.ndarray:
    """R (K, K) with R R^T = D_r D_r^T, D_r the rows of the basis that belong to the region."""
    flat = _part(data, region).directions.astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    return vectors * np.sqrt(values.clip(0))


@lru_cache(maxsize=32)
def _part(data: Draw, region: str) -> MotionBasis:
    """The basis cut to the vertices of a region; its directions are no longer orthonormal, so it only decodes."""
    directions = data.basis.directions.reshape(len(data.basis.directions), -1, 3)[:, data.topology.regions[region]]
    return MotionBasis(directions.reshape(len(directions), -1), data.basis.scale)


def step_errors(data: Draw, clips: Sequence[int], emotions: Sequence[str]) -> pd.DataFrame:
    """Largest error of a step of achieved intensity that the basis brings about, per clip and emotion.

    Exact faces of rising true intensity (`LEVELS`), measured on the basis and on the vertices of the upper face: a
    falling step smaller than their difference may be no fall at all (protocol, section 9: the oracle floor).
    """
    return pd.DataFrame([{"seed": data.seed, "clip": data.table["clip"][clip], "emotion": emotion,
                          "step_error": _step_error(data, clip, emotion)}
                         for clip in clips for emotion in emotions if emotion != NEUTRAL])


def _step_error(data: Draw, clip: int, emotion: str) -> float:
    from lib.puppet.recast import recast

    spoken, upper = corpus(data.scale)[data.table.position[clip]], data.topology.regions["upper_face"]
    moved = [recast(spoken, emotion=emotion, intensity=level).oracle_vertices(data.fps) - data.template(clip)
             for level in LEVELS]
    direct = [x[:, upper].ravel() for x in moved]
    coded = [within(data, "upper_face", data.basis.encode(x)) for x in moved]
    curves = [np.array([achieved_intensity(x, faces[0], faces[-1]) for x in faces]) for faces in (direct, coded)]
    return float(np.abs(np.diff(curves[0]) - np.diff(curves[1])).max())


def lip_crosstalk(data: Draw, change: np.ndarray, axis: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Lip movement of changes (..., T, K) beside that of the true emotion, in shares of that of neutral speech.

    `axis` and `speech` (T, K) are the true change and the neutral face. Off-target change of the protocol's section 9;
    to be divided by the achieved change (lib.probes.crosstalk).
    """
    moved, wanted = within(data, "lips", change), within(data, "lips", axis)
    beside = moved - (moved @ wanted / max(wanted @ wanted, 1e-12))[..., None] * wanted
    return np.linalg.norm(beside, axis=-1) / np.linalg.norm(within(data, "lips", speech))


def emotion_crosstalk(data: Draw, clip: int, emotion: str, emotions: tuple[str, ...], change: np.ndarray) -> np.ndarray:
    """Largest achieved intensity, in absolute value, of another of `emotions` in changes (..., T, K).

    Measured along what only the other emotion does; also to be divided by the achieved change.
    """
    axes = dict(_axes(data, int(clip), emotions))
    moved, own = within(data, "upper_face", change), axes.pop(emotion)
    beside = [other - (other @ own) / (own @ own) * own for other in axes.values()]
    return np.max([np.abs(moved @ x) / (x @ x) for x in beside], axis=0)


@lru_cache(maxsize=256)
def _axes(data: Draw, clip: int, emotions: tuple[str, ...]) -> dict[str, np.ndarray]:
    neutral = target(data, clip, NEUTRAL)
    return {e: within(data, "upper_face", target(data, clip, e) - neutral) for e in emotions if e != NEUTRAL}


# Judges and embeddings ------------------------------------------------------------------------------------------------


def recognised(data: Draw, clip: int, landmarks: np.ndarray, emotion: str, emotions: tuple[str, ...]) -> float:
    """Share of the independent judges that see `emotion`, among `emotions`, in 68 landmarks (T, 68, 3) in mm."""
    template = data.template(clip)[data.topology.landmarks]
    seen = [judge(landmarks, template) for judge in judges(data.scale, emotions, data.fps)]
    return float(np.mean([name == emotion for name in seen]))


@lru_cache(maxsize=8)
def judges(scale: str, emotions: tuple[str, ...], fps: float) -> tuple[Callable[[np.ndarray, np.ndarray], str], ...]:
    """Callables (landmarks, template) -> emotion, one per judge of lib/foundations.py, choosing among `emotions`.

    fps: of the landmarks that they will be shown.
    """
    from lib.foundations import judges as trained_judges

    def seen(judge):
        columns = [judge.emotions.index(e) for e in emotions]
        return lambda landmarks, template: emotions[
            int(np.argmax(judge.predict_proba(landmarks, template, fps=fps)[columns]))]

    return tuple(seen(judge) for judge in trained_judges(scale))


def embedding_leakage(data: Draw, rows: pd.DataFrame, codes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Every probe of emotion, speaker, sentence and speaking rate from codes (N, d) of the N clips of `rows`.

    The ceiling is a probe on all codes and the clips' motion statistics joined.
    """
    seconds = np.array([len(data.motion[i]) for i in rows.index]) / data.fps
    phones = np.array([len(corpus(data.scale)[i].phonemes) for i in rows.position]) / seconds
    known = {"emotion": rows.emotion.to_numpy(str), "speaker": rows.actor.to_numpy(str),
             "sentence": rows.sentence.to_numpy(str), "rate": phones.astype(float)}
    groups = {name: known[name] for name in ("speaker", "sentence")}
    return leakage(codes, known, groups, seed=data.seed, reference=motion_statistics(data, rows),
                   folds=2)


def transfer(code: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, reference: np.ndarray,
             seed: int) -> pd.DataFrame:
    """Every probe of one factor from a code (N, d), taught on the rows `train` and asked on the rows `test`.

    Columns as of `lib.probes.leakage`; there the folds are drawn, here they are given.
    """
    rng, rows = np.random.default_rng([seed, 11]), []
    shuffled = [labels[rng.permutation(len(labels))] for _ in range(SHUFFLES)]
    joined, splits = np.concatenate([code, reference], axis=1), [(train, test)]
    for probe in PROBES:
        ceiling = probe_score(joined, labels, splits, probe, seed)[0]
        score, setting = probe_score(code, labels, splits, probe, seed)
        chance = float(np.mean([probe_score(code, y, splits, probe, seed, setting)[0] for y in shuffled]))
        room = least_room(labels, chance, len(test))
        rows.append({"probe": probe, "score": score, "random": chance, "ceiling": ceiling,
                     "value": corrected(score, chance, ceiling, room)})
    return pd.DataFrame(rows)


def motion_statistics(data: Draw, rows: pd.DataFrame) -> np.ndarray:
    """Mean and standard deviation over time of every clip's motion, (N, 2K)."""
    return np.stack([pool(data.motion[i]) for i in rows.index])


def flatten(points: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Two-dimensional maps (N, 2) of embeddings (N, d): PCA and t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    return {"PCA": PCA(2, random_state=seed).fit_transform(points),
            "t-SNE": TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)}
