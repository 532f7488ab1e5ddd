"""What one seed draws for the papers that move 68 landmarks (CFD, Ventriloquist-Net): tracks, sound features, parts.

Clips, speakers and parts are those of `lib.experiments.draw` for the same scale and seed. Landmarks are the puppet's,
projected orthographically by one fixed camera onto a face crop of 256 pixels:

    x_px = 128 + c x_mm     y_px = 140 - c y_mm     c = 150 px / jaw width of the mean face (about 1.04 px per mm)

`landmarks` are seen without head motion, which the puppet leaves out exactly; `posed` have it; `floor` is what a
listener could know: the same without blinks, gaze and drift. Real tracks are registered instead
(`lib.face.registration`). Sound features that need the trained voice converter are made when first asked for.
"""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
import pandas as pd

from lib import labels
from lib.data.clip import resample
from lib.errors import InputError
from lib.experiments.draw import corpus, split_table, template
from lib.face import landmarks as ibug
from lib.paths import CACHE
from lib.puppet.spec import ClipSpec
from lib.study import cached_arrays, code_digest, digest

FPS = 25                     # papers: 50 or 62.5 (CFD), 30 (Ventriloquist-Net); see the notebooks for what it changes
CROP = 256                   # pixels, width and height
JAW_PX = 150.0               # jaw width |p0 - p16| of the mean face
CENTRE_PX = (128.0, 140.0)   # where the origin of the head lies; brows to chin are then in the middle of the crop
GROUPS: dict[str, np.ndarray] = {
    "jaw": ibug.GROUPS["jaw"],
    "brows": np.concatenate([ibug.GROUPS["right_brow"], ibug.GROUPS["left_brow"]]),
    "nose": np.concatenate([ibug.GROUPS["nose_bridge"], ibug.GROUPS["nose_base"]]),
    "eyes": np.concatenate([ibug.GROUPS["right_eye"], ibug.GROUPS["left_eye"]]),
    "lips": ibug.LIPS,
    "upper": np.concatenate([ibug.GROUPS[name] for name in ("right_brow", "left_brow", "right_eye", "left_eye")]),
    "all": np.arange(ibug.COUNT),
}
GEOMETRY = ("lib.experiments.tracks", "lib.puppet.head", "lib.puppet.mesh", "lib.puppet.shapes",
            "lib.puppet.proportions", "lib.puppet.spec")


@dataclass(frozen=True, eq=False)        # compared and hashed by identity: what is computed from tracks can be kept
class Tracks:
    """The material of one seed. `table` has one row per clip: position, clip, factors, part; lists follow its rows.

    landmarks[i], posed[i], floor[i] (T, 68, 2) float32 in pixels of the crop, y down; `part` is train, val, seen
    (speaker known, sentence not) or unseen.
    """

    scale: str
    seed: int
    table: pd.DataFrame
    specs: tuple[ClipSpec, ...]
    landmarks: list[np.ndarray]
    posed: list[np.ndarray]
    floor: list[np.ndarray]
    fps: int
    drawn: str                   # names corpus, split and camera: all that depends on no trained network

    def rows(self, *parts: str) -> pd.DataFrame:
        """Rows of the named parts."""
        return self.table[self.table.part.isin(parts)]

    def template(self, index: int) -> np.ndarray:
        """Neutral landmarks (68, 2) in pixels of the clip's speaker, without head motion."""
        return neutral(self._actors[index])

    @cached_property
    def _actors(self) -> list[int]:
        """Actor of every clip; asked for too often, by every window that is cut, to look it up in the table."""
        return self.table.actor.tolist()

    def audio(self, index: int) -> np.ndarray:
        """Sound (N,) of a clip at 16 kHz."""
        return corpus(self.scale)[self.table.position[index]].audio

    def truth_of(self, index: int, emotion: str, intensity: float) -> np.ndarray:
        """Exact landmarks (T, 68, 2) in pixels of another emotion for the clip's own sound, nuisance left out."""
        from lib.puppet.recast import recast

        spoken = corpus(self.scale)[self.table.position[index]]
        exact = recast(spoken, emotion=emotion, intensity=intensity).landmarks(self.fps, audible=True)
        return to_pixels(exact).astype(np.float32)

    @cached_property
    def converted(self) -> list[np.ndarray]:
        """Mel (T, 80) after AutoVC's conversion to one voice, standardised: the feature of CFD and MakeItTalk."""
        from lib.landmark_foundations import converted_mels

        return self._at_fps(converted_mels(self.scale))

    @cached_property
    def mel(self) -> list[np.ndarray]:
        """AutoVC's mel (T, 80) as it hears it, in 0..1."""
        from lib.landmark_foundations import plain_mels

        return self._at_fps(plain_mels(self.scale))

    @cached_property
    def speaker(self) -> np.ndarray:
        """Embedding (N, E) of the voice of every clip, each from that clip alone."""
        from lib.landmark_foundations import speaker_embeddings

        return speaker_embeddings(self.scale)[self.table["position"].to_numpy()]

    @cached_property
    def foundation(self) -> str:
        """Which voice converter made `converted`."""
        from lib.landmark_foundations import converter

        return converter(self.scale).name

    @cached_property
    def key(self) -> str:
        """Names everything that results depend on: corpus, split, camera and the trained voice converter."""
        from lib.landmark_foundations import converter_key

        return digest(self.drawn, converter_key(self.scale))

    def _at_fps(self, mels: list[np.ndarray]) -> list[np.ndarray]:
        """Mels of the corpus at 62.5 fps as features of the table's clips, one row per frame, linear in time."""
        from lib.models.autovc import RATE

        return [resample(mels[i], RATE, self.fps, len(track))
                for i, track in zip(self.table["position"], self.landmarks, strict=True)]


@lru_cache(maxsize=8)
def tracks(scale: str, seed: int, emotions: tuple[str, ...] = labels.COMMON) -> Tracks:
    """Everything that seed `seed` draws from the corpus of `scale`, restricted to `emotions`.

    Raises InputError for an unknown scale or when no clip is left to learn from.
    """
    made, table = corpus(scale), split_table(scale, seed, emotions)
    if not len(table):
        raise InputError(f"emotions {emotions}: none is in the corpus of scale {scale!r}")
    faces = {kind: [_faces(scale)[kind][i] for i in table["position"]] for kind in ("landmarks", "posed", "floor")}
    return Tracks(scale, seed, table, tuple(made.specs[i] for i in table["position"]), **faces, fps=FPS,
                  drawn=digest(made.key, seed, emotions, code_digest(*GEOMETRY)))


@cache
def camera() -> float:
    """Pixels per millimetre of the fixed camera."""
    from lib.puppet.head import head

    jaw = head().mean[head().topology.landmarks][[0, 16], :2]
    return JAW_PX / float(np.linalg.norm(jaw[1] - jaw[0]))


def to_pixels(points: np.ndarray) -> np.ndarray:
    """Orthographic picture (..., 2) in pixels, y down, of points (..., 3) or (..., 2) in the puppet's millimetres."""
    return points[..., :2] * (camera() * np.array([1.0, -1.0])) + np.array(CENTRE_PX)


def to_millimetres(points: np.ndarray) -> np.ndarray:
    """Points (..., 2) of a picture in pixels as (..., 2) in the puppet's millimetres, y up; inverse of `to_pixels`."""
    return (points - np.array(CENTRE_PX)) / (camera() * np.array([1.0, -1.0]))


@cache
def neutral(actor: int) -> np.ndarray:
    """Neutral landmarks (68, 2) in pixels of a puppet actor."""
    from lib.puppet.head import head

    return to_pixels(template(actor)[head().topology.landmarks]).astype(np.float32)


@cache
def _faces(scale: str) -> dict[str, list[np.ndarray]]:
    """Landmarks of every clip of the corpus of a scale, kept on disk: they depend on no seed."""
    path = CACHE / "tracks" / f"{digest(corpus(scale).key, FPS, code_digest(*GEOMETRY))}.npz"
    stored = cached_arrays(path, lambda: _project(scale))
    cuts = np.cumsum(stored.pop("frames"))[:-1]
    return {kind: np.split(points, cuts) for kind, points in stored.items()}


def _project(scale: str) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    kinds = {"landmarks": {}, "posed": {"pose": True}, "floor": {"audible": True}}
    seen = {kind: [] for kind in kinds}
    for clip in tqdm(corpus(scale), total=len(corpus(scale)), desc="landmarks", unit="clip", leave=False):
        for kind, options in kinds.items():
            seen[kind].append(to_pixels(clip.landmarks(FPS, **options)).astype(np.float32))
    frames = np.array([len(points) for points in seen["landmarks"]])
    return {"frames": frames, **{kind: np.concatenate(points) for kind, points in seen.items()}}
