"""What the landmark papers measure on tracks: scores per clip, trivial rivals, judges, achieved intensity.

Functions take `Tracks` and landmarks (T, 68, 2) in pixels of its crop, y down, without head motion. Which systems there
are and what they are told stays in a paper's own module, which hands over predictions.

column                        meaning; lower is better unless said otherwise
lmd_<variant>[_px]            landmark distance in the variants of `lib.metrics.LMD_VARIANTS`, clip mean: chen_px A,
                              mouth_px B, face_px C (primary), raw_px and raw_mouth_px D, makeittalk E, eyes F ...
lip_opening_error_px, lip_width_error_px, upper_px      of the lips; mean distance of brows and eyes
<group>_energy_ratio, <group>_jerk_ratio, <group>_amplitude_ratio    against the truth: 1 is right
es, es_clip                   CFD's emotion similarity: cosine of the softmax vectors of true and predicted frames, mean
                              over frames; cosine of the clip means. Higher is better; never below 0, so its floor is
                              that of `control/shuffled-truth` and `control/static-template`
es_agreement, es_jsd          share of frames of equal class (higher); mean Jensen-Shannon divergence, 0 to ln 2
es_training                   `es` as the recogniser sees it that CFD is trained with: not independent of CFD
judge                         share of the two planar judges that see the clip's own emotion (higher)
sync_px, lag_s                how sharply the lips are in time with the true ones (higher), and their delay
proxy_confidence, proxy_offset, proxy_distance    proxy-Sync against the clip's own sound (confidence: higher)
achieved, achieved_truth      intensity on the true axis of the upper face: 1 is the full one; emotional clips only
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from lib import metrics
from lib.errors import InputError
from lib.experiments.draw import corpus
from lib.experiments.measures import NEUTRAL, SYNC_REACH_S, factors
from lib.experiments.tracks import GEOMETRY, GROUPS, Tracks, to_pixels
from lib.paths import CACHE
from lib.probes import achieved_intensity
from lib.study import cached_arrays, cached_table, code_digest, digest, run_folder

CODE = ("lib.experiments.track_measures", "lib.experiments.tracks", "lib.metrics", "lib.probes", "lib.models.judges",
        "lib.models.planar_judges", "lib.models.syncnet", "lib.landmark_foundations", "lib.puppet.recast")

KINDS = ("distance", "dynamics", "sync", "similarity", "proxy", "judge", "achieved")
FEW = "main distances"           # face, mouth and upper face alone, in the place of "distance"

Drive = Callable[[np.ndarray, int], np.ndarray]      # sound features (T, C) and clip -> landmarks (T, 68, 2)


def cached(paper: str, data: Tracks, name: str, compute: Callable[[], pd.DataFrame], *settings: Any,
           modules: Sequence[str] = ()) -> pd.DataFrame:
    """Table `name` of a paper, kept under the tracks, the settings and the code of this module and of `modules`."""
    folder = run_folder(paper, data.key, settings, code_digest(*CODE, *modules))
    return cached_table(folder / f"{name.replace('/', '-')}.csv", compute)


# Trivial rivals -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrackControls:
    """Rivals that must lose (protocol, section 2), around a paper's main system.

    `trained` and `untrained` drive the main system and its random initialisation from `feature` (default: converted
    mel); `known` are its training speakers, `rows` the test clips, whose sounds are exchanged. All but the driven ones
    move the clip's own neutral face.
    """

    data: Tracks
    rows: pd.DataFrame
    known: tuple[int, ...]
    trained: Drive
    untrained: Drive | None = None
    feature: list[np.ndarray] | None = None

    names = ("control/static-template", "control/mean-motion", "control/shuffled-audio", "control/random-init",
             "control/oracle", "control/shuffled-truth")

    def predict(self, name: str, clip: int) -> np.ndarray:
        """Landmarks (T, 68, 2) that the control `name` gives for a test clip; also "control/truth", the clip itself."""
        data, template = self.data, self.data.template(clip)
        frames = len(data.landmarks[clip])
        ways = {
            "control/static-template": lambda: np.repeat(template[None], frames, 0),
            "control/mean-motion": lambda: np.repeat((template + self.mean_motion)[None], frames, 0),
            "control/shuffled-audio": lambda: self.trained(self.other_feature(clip), clip),
            "control/random-init": lambda: self.untrained(self._feature[clip], clip),
            "control/oracle": lambda: data.floor[clip],
            "control/shuffled-truth": lambda: template + np.resize(self._moved(self.other(clip)), (frames, 68, 2)),
            "control/truth": lambda: data.landmarks[clip],
        }
        return ways[name]()

    @cached_property
    def mean_motion(self) -> np.ndarray:
        """Mean displacement (68, 2) from the own neutral face of the training frames."""
        rows = self.data.rows("train")
        return np.concatenate([self._moved(i) for i in rows[rows.actor.isin(self.known)].index]).mean(0)

    def other(self, clip: int) -> int:
        """The next test clip with another sentence."""
        rows, sentence = self.rows.index.to_numpy(), self.data.table.sentence
        later = np.roll(rows, -1 - int(np.flatnonzero(rows == clip)[0]))
        return next(int(i) for i in later if sentence[i] != sentence[clip])

    def other_feature(self, clip: int) -> np.ndarray:
        """Features of the next test clip with another sentence, repeated from the start where it is shorter."""
        return np.resize(self._feature[self.other(clip)], self._feature[clip].shape)

    def _moved(self, clip: int) -> np.ndarray:
        return self.data.landmarks[clip] - self.data.template(clip)

    @property
    def _feature(self) -> list[np.ndarray]:
        return self.data.converted if self.feature is None else self.feature


# Scores ---------------------------------------------------------------------------------------------------------------


def scores(data: Tracks, name: str, rows: pd.DataFrame, predict: Callable[[int], np.ndarray],
           emotions: tuple[str, ...], truth: list[np.ndarray] | None = None, *,
           kinds: Sequence[str] = KINDS) -> pd.DataFrame:
    """`score` of every clip of `rows` under the system's name; `predict` gives landmarks (T, 68, 2) for a clip.

    `truth` replaces `data.landmarks` where a paper's truth is another one (one track per row of the table).
    """
    from tqdm.auto import tqdm

    truth = data.landmarks if truth is None else truth
    bar = tqdm(rows.index, desc=f"measuring {name}, seed {data.seed}", unit="clip", leave=False)
    return pd.DataFrame([{"seed": data.seed, "system": name, **factors(data, i),
                          **score(data, i, predict(i), truth[i], emotions, kinds=kinds)} for i in bar])


def score(data: Tracks, clip: int, pred: np.ndarray, truth: np.ndarray, emotions: tuple[str, ...], *,
          kinds: Sequence[str] = KINDS) -> dict[str, float]:
    """Columns of the module text for one clip; emotions: among which judges and recognisers choose.

    `kinds` names the groups of columns wanted: some of `KINDS`, or `FEW` in the place of "distance". Raises InputError
    for an unknown kind, and where prediction and truth differ in shape or hold values that are not finite.
    """
    pred, truth = metrics.validate(pred, truth)
    unknown = set(kinds) - {*KINDS, FEW}
    if unknown:
        raise InputError(f"kinds {sorted(unknown)}: unknown; expected some of {', '.join((*KINDS, FEW))}")
    ways = {
        "distance": lambda: distances(pred, truth),
        FEW: lambda: main_distances(pred, truth),
        "dynamics": lambda: dynamics(pred, truth),
        "sync": lambda: lip_sync(pred, truth, data.fps),
        "similarity": lambda: similarity(data, clip, pred, truth, emotions),
        "proxy": lambda: proxy_sync(data, clip, pred),
        "judge": lambda: {"judge": recognised(data, clip, pred, data.table.emotion[clip], emotions)},
        "achieved": lambda: intensities(data, clip, pred),
    }
    return {name: value for kind in kinds for name, value in ways[kind]().items()}


def distances(pred: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Every variant of the landmark distance, errors of the lips' shape, mean distance of brows and eyes."""
    numbers = {name.replace("_mm", "_px"): value for name, value in metrics.evaluate_landmarks(pred, truth).items()}
    return {**numbers, "upper_px": _upper(pred, truth)}


def main_distances(pred: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of `distances` those of face, mouth, brows and eyes: a tenth of its time, for the many that need no other."""
    forms = {f"lmd_{name}_px": metrics.landmark_distance(pred, truth, **metrics.LMD_VARIANTS[name])
             for name in ("face", "mouth")}
    return {**{name: float(value.mean()) for name, value in forms.items()}, "upper_px": _upper(pred, truth)}


def _upper(pred: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(pred[:, GROUPS["upper"]] - truth[:, GROUPS["upper"]], axis=-1).mean())


def dynamics(pred: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Energy, jerk and amplitude of every group of landmarks, as ratios to the truth."""
    ratios = {"energy": metrics.energy_ratio, "jerk": metrics.jerk_ratio, "amplitude": metrics.amplitude_ratio}
    return {f"{group}_{name}_ratio": ratio(pred[:, points], truth[:, points])
            for group, points in GROUPS.items() for name, ratio in ratios.items()}


def lip_sync(pred: np.ndarray, truth: np.ndarray, fps: float) -> dict[str, float]:
    """How sharply the lips of landmarks (T, 68, 2) are in time with true ones, as `lib.experiments.measures.lip_sync`.

        D(s)     = mean_t rms_{p in lips} || pred_{t+s,p} - true_{t,p} ||, each around its own mean over the clip
        sync_px  = median_{0 < |s| <= 0.3 s} D(s) - D(0)      0: any other moment would do as well; below 0: worse
        lag_s    = argmin_s D(s)                              positive: late
    """
    lips, true = ((x - x.mean(0))[:, GROUPS["lips"]].astype(float) for x in (pred, truth))
    reach = min(round(SYNC_REACH_S * fps), (len(lips) - 1) // 2)
    shifts, end = np.arange(-reach, reach + 1), len(true) - reach
    distance = np.array([np.sqrt(np.square(lips[reach + s : end + s] - true[reach:end]).sum(-1).mean(-1)).mean()
                         for s in shifts])
    return {"sync_px": float(np.median(distance[shifts != 0]) - distance[reach]),
            "lag_s": float(shifts[np.argmin(distance)] / fps)}


# Emotion --------------------------------------------------------------------------------------------------------------


def similarity(data: Tracks, clip: int, pred: np.ndarray, truth: np.ndarray,
               emotions: tuple[str, ...]) -> dict[str, float]:
    """Emotion similarity of CFD and what it hides, see the module text.

        ES = mean_t cos(softmax(R(true_t)), softmax(R(pred_t)))       es_clip: cosine of the means over t
    """
    from lib.landmark_foundations import recognisers

    training, independent = recognisers(data.scale)
    template = data.template(clip)
    true, seen = (independent.softmax(x, template, emotions) for x in (truth, pred))
    own = (training.softmax(x, template, emotions) for x in (truth, pred))
    return {"es": float(cosine(true, seen).mean()), "es_clip": float(cosine(true.mean(0), seen.mean(0))),
            "es_agreement": float((true.argmax(-1) == seen.argmax(-1)).mean()),
            "es_jsd": float(divergence(true, seen).mean()), "es_training": float(cosine(*own).mean())}


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine (...) of vectors (..., K)."""
    return (one * other).sum(-1) / (np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1))


def divergence(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence (...) of distributions (..., K) in nats: 0 where equal, ln 2 where disjoint."""
    middle = (one + other) / 2

    def relative(p: np.ndarray) -> np.ndarray:
        return (p * np.log(np.where(p > 0, p / np.where(middle > 0, middle, 1), 1))).sum(-1)

    return (relative(one) + relative(other)) / 2


def intensities(data: Tracks, clip: int, pred: np.ndarray) -> dict[str, float]:
    """Achieved intensity of the clip's own emotion, and that of the floor; nothing for a neutral clip."""
    emotion = data.table.emotion[clip]
    if emotion == NEUTRAL:
        return {}
    return {"achieved": achieved(data, clip, pred, emotion),
            "achieved_truth": achieved(data, clip, data.floor[clip], emotion)}


def recognised(data: Tracks, clip: int, pred: np.ndarray, emotion: str, emotions: tuple[str, ...]) -> float:
    """Share of the two planar judges that see `emotion`, among `emotions`, in landmarks (T, 68, 2) of a clip."""
    return share_seeing(opinions(data, clip, pred, emotions), emotion, emotions)


def opinions(data: Tracks, clip: int, pred: np.ndarray, emotions: tuple[str, ...]) -> np.ndarray:
    """Probabilities (2, E) of `emotions` that each planar judge sees in landmarks (T, 68, 2) of a clip."""
    from lib.landmark_foundations import planar_judges

    return np.stack([judge.predict_proba(pred, data.template(clip), emotions=emotions)
                     for judge in planar_judges(data.scale)])


def share_seeing(odds: np.ndarray, emotion: str, emotions: tuple[str, ...]) -> float:
    """Share of the judges whose `opinions` (2, E) hold `emotion` for the likeliest."""
    return float(np.mean([emotions[i] == emotion for i in odds.argmax(-1)]))


def achieved(data: Tracks, clip: int, pred: np.ndarray, emotion: str) -> float:
    """Intensity of `emotion` in landmarks (T, 68, 2): projection on the true axis from neutral to full, upper face.

    0 = neutral, 1 = full true intensity of the clip's own speaker and sound; formula in lib.experiments.measures.
    """
    upper = GROUPS["upper"]
    faces = pred, exact_face(data, clip, NEUTRAL), exact_face(data, clip, emotion)
    return float(achieved_intensity(*(np.asarray(face, float)[:, upper].ravel() for face in faces)))


def exact_face(data: Tracks, clip: int, emotion: str, intensity: float = 1.0) -> np.ndarray:
    """`Tracks.truth_of`; the clip's own emotion and neutral, which every score asks for, come from the disk."""
    own = data.table.emotion[clip]
    if intensity == 1.0 and emotion in (own, NEUTRAL):
        return _axes(data.scale)["neutral" if emotion == NEUTRAL else "full"][data.table.position[clip]]
    return _recast(data, int(clip), emotion, intensity)



@lru_cache(maxsize=1024)                 # 60 kB each
def _recast(data: Tracks, clip: int, emotion: str, intensity: float) -> np.ndarray:
    return data.truth_of(clip, emotion, intensity)


@cache
def _axes(scale: str) -> dict[str, list[np.ndarray]]:
    """Exact faces (T, 68, 2) of every clip of a corpus: neutral, and its own emotion in full; for all seeds."""
    path = CACHE / "tracks" / f"axes-{digest(corpus(scale).key, code_digest(*GEOMETRY, 'lib.puppet.recast'))}.npz"
    stored = cached_arrays(path, lambda: _recast_corpus(scale))
    cuts = np.cumsum(stored["frames"])[:-1]
    return {name: np.split(stored[name], cuts) for name in ("neutral", "full")}


def _recast_corpus(scale: str) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    from lib.experiments.tracks import FPS
    from lib.puppet.recast import recast

    faces = {"neutral": [], "full": []}
    for clip in tqdm(corpus(scale), total=len(corpus(scale)), desc="exact faces", unit="clip", leave=False):
        for name, emotion in (("neutral", NEUTRAL), ("full", clip.spec.emotion)):
            exact = recast(clip, emotion=emotion, intensity=1.0).landmarks(FPS, audible=True)
            faces[name].append(to_pixels(exact).astype(np.float32))
    return {"frames": np.array([len(x) for x in faces["full"]]), **{k: np.concatenate(v) for k, v in faces.items()}}


# Lips and voice -------------------------------------------------------------------------------------------------------


def proxy_sync(data: Tracks, clip: int, pred: np.ndarray) -> dict[str, float]:
    """Proxy-Sync of landmarks (T, 68, 2) against the clip's own sound."""
    from lib.landmark_foundations import proxy_sync as judge

    match = judge(data.scale).score(pred, data.template(clip), _heard(data.scale, int(data.table.position[clip])))
    return {"proxy_confidence": match.confidence, "proxy_offset": float(match.offset),
            "proxy_distance": match.min_distance}


@lru_cache(maxsize=1024)                 # 20 kB each, asked for again by every system
def _heard(scale: str, position: int):
    from lib.landmark_foundations import proxy_sync as judge

    return judge(scale).hear(corpus(scale)[position].audio)
