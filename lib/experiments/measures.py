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

from lib.experiments.draw import Draw, corpus
from lib.metrics import evaluate, vertex_error
from lib.probes import achieved_intensity, leakage
from lib.study import cached_table, code_digest, run_folder

NEUTRAL = "neutral"
CODE = ("lib.experiments.measures", "lib.metrics", "lib.probes", "lib.models.judges", "lib.foundations")

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
             "control/oracle")

    def predict(self, name: str, clip: int) -> np.ndarray:
        """Coefficients (T, K) that the control `name` gives for a test clip."""
        data, frames = self.data, len(self.data.motion[clip])
        ways = {
            "control/static-template": lambda: np.zeros_like(data.motion[clip]),
            "control/mean-motion": lambda: np.broadcast_to(self.mean_motion, (frames, len(self.mean_motion))),
            "control/shuffled-audio": lambda: self.trained(self.other_audio(clip), clip),
            "control/random-init": lambda: self.untrained(data.hidden[clip], clip),
            "control/oracle": lambda: data.floor[clip],
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


def scores(data: Draw, name: str, rows: pd.DataFrame, predict: Callable[[int], np.ndarray]) -> pd.DataFrame:
    """`score` of every clip of `rows` under the system's name; `predict` gives coefficients (T, K) for a clip."""
    from tqdm.auto import tqdm

    bar = tqdm(rows.index, desc=f"measuring {name}, seed {data.seed}", unit="clip", leave=False)
    return pd.DataFrame([{"seed": data.seed, "system": name, **factors(data, i), **score(data, i, predict(i))}
                         for i in bar])


def factors(data: Draw, clip: int) -> dict:
    """What a row of any table says about its clip."""
    row = data.table.loc[clip]
    return {"part": row.part, "clip": row["clip"], "speaker": row.actor, "emotion": row.emotion,
            "intensity": row.intensity}


def score(data: Draw, clip: int, coefficients: np.ndarray) -> dict[str, float]:
    """Vertex metrics of one clip against its exact vertices; for an emotional clip also the achieved intensity."""
    topology, emotion = data.topology, data.table.emotion[clip]
    pred, truth = data.vertices(clip, coefficients), data.truth(clip)
    numbers = evaluate(pred, truth, data.template(clip), topology.regions, topology.mm_per_unit)
    numbers["upper_mm"] = upper_error(data, pred, truth)
    if emotion != NEUTRAL:
        neutral, full = target(data, clip, NEUTRAL), target(data, clip, emotion)
        numbers["achieved"] = achieved(data, coefficients, neutral, full)
        numbers["achieved_truth"] = achieved(data, data.floor[clip], neutral, full)
    return numbers


def upper_error(data: Draw, pred: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance (mm) of the upper-face vertices of (T, V, 3) prediction and truth."""
    upper = data.topology.regions["upper_face"]
    return float(vertex_error(pred[:, upper], truth[:, upper], form="distance").mean())


# Intensity ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def target(data: Draw, clip: int, emotion: str) -> np.ndarray:
    """Coefficients (T, K) of the exact face of full intensity for the clip's own sound, nuisance left out."""
    from lib.puppet.corpus import counterfactual

    exact = counterfactual(data.specs[clip], face_only=True, emotion=emotion, intensity=1.0)
    return data.basis.encode(exact.oracle_vertices(data.fps) - data.template(clip))


def achieved(data: Draw, motion: np.ndarray, neutral: np.ndarray, full: np.ndarray) -> float:
    """Projection of (T, K) motion on the axis from neutral to full intensity, upper face; 0 = neutral, 1 = full."""
    return float(achieved_intensity(*(within(data, "upper_face", x) for x in (motion, neutral, full))))


def within(data: Draw, region: str, motion: np.ndarray) -> np.ndarray:
    """Motion (T, K) as a vector (T K,) whose inner products are those of the vertices of a region, without a mesh."""
    return (motion @ _root(data, region)).ravel()


@lru_cache(maxsize=32)
def _root(data: Draw, region: str) -> np.ndarray:
    """R (K, K) with R R^T = D_r D_r^T, D_r the rows of the basis that belong to the region."""
    vertices = data.basis.directions.reshape(len(data.basis.directions), -1, 3)[:, data.topology.regions[region]]
    flat = vertices.reshape(len(vertices), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    return vectors * np.sqrt(values.clip(0))


def lip_crosstalk(data: Draw, change: np.ndarray, axis: np.ndarray) -> float:
    """Share of a change (T, K) that moves the lips in another way than the true emotion, `axis` (T, K), does."""
    moved, wanted = within(data, "lips", change), within(data, "lips", axis)
    beside = moved - (moved @ wanted) / max(wanted @ wanted, 1e-12) * wanted
    return float(np.linalg.norm(beside) / max(np.linalg.norm(change), 1e-6))


def emotion_crosstalk(data: Draw, clip: int, emotion: str, emotions: Sequence[str], change: np.ndarray) -> float:
    """Largest share of a change (T, K) along the axis of another of `emotions`, beyond what true faces share."""
    neutral = target(data, clip, NEUTRAL)
    axes = {e: within(data, "upper_face", target(data, clip, e) - neutral) for e in emotions if e != NEUTRAL}
    moved, own = within(data, "upper_face", change), axes.pop(emotion)
    beside = [other - (other @ own) / (own @ own) * own for other in axes.values()]      # what only the other does
    sizes = [max(np.linalg.norm(x) * np.linalg.norm(moved), 1e-6) for x in beside]
    return float(max(abs(moved @ x) / size for x, size in zip(beside, sizes, strict=True)))


# Judges and embeddings ------------------------------------------------------------------------------------------------


def recognised(data: Draw, clip: int, vertices: np.ndarray, emotion: str, emotions: tuple[str, ...]) -> float:
    """Share of the independent judges that see `emotion`, among `emotions`, in 68 landmarks of (T, V, 3) vertices."""
    points = data.topology.landmarks
    landmarks, template = vertices[:, points], data.template(clip)[points]
    return float(np.mean([judge(landmarks, template) == emotion for judge in judges(data.scale, emotions)]))


@lru_cache(maxsize=8)
def judges(scale: str, emotions: tuple[str, ...]) -> tuple[Callable[[np.ndarray, np.ndarray], str], ...]:
    """Callables (landmarks, template) -> emotion, one per judge of lib/foundations.py, choosing among `emotions`."""
    from lib.foundations import judges as trained_judges

    def seen(judge):
        columns = [judge.emotions.index(e) for e in emotions]
        return lambda landmarks, template: emotions[int(np.argmax(judge.predict_proba(landmarks, template)[columns]))]

    return tuple(seen(judge) for judge in trained_judges(scale))


def embedding_leakage(data: Draw, rows: pd.DataFrame, codes: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Every probe of emotion, speaker, sentence and speaking rate from codes (N, d) of the N clips of `rows`.

    The ceiling is a probe on all codes and the clips' motion statistics joined.
    """
    motion = [data.motion[i] for i in rows.index]
    pooled = np.stack([np.concatenate([m.mean(0), m.std(0)]) for m in motion])
    seconds = np.array([len(m) for m in motion]) / data.fps
    phones = np.array([len(corpus(data.scale)[i].phonemes) for i in rows.position]) / seconds
    known = {"emotion": rows.emotion.to_numpy(str), "speaker": rows.actor.to_numpy(str),
             "sentence": rows.sentence.to_numpy(str), "rate": phones.astype(float)}
    groups = {name: known[name] for name in ("speaker", "sentence")}
    return leakage(codes, known, groups, seed=data.seed, reference=pooled, folds=2)


def flatten(points: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Two-dimensional maps (N, 2) of embeddings (N, d): PCA and t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    return {"PCA": PCA(2, random_state=seed).fit_transform(points),
            "t-SNE": TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points)}
