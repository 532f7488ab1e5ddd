"""What one seed draws: clips of train, validation and test, the motion basis, speech features; shared by all systems.

A seed is a whole replication (protocol, section 1): it draws the unseen speakers and sentences and, elsewhere, weights,
data order and noise. Every system compared trains and is tested on the same draw. Motion is the offset from the
speaker's own neutral face without head pose, at the frame rate of the paper, as coefficients of a basis fitted on the
training clips only.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.clip import SAMPLE_RATE
from lib.face.basis import MotionBasis
from lib.face.topology import Topology
from lib.paths import CACHE
from lib.puppet.spec import LAPTOP, SMOKE, ClipSpec, draw_split
from lib.study import cached_arrays, check_scale, code_digest, digest, weights_digest

FPS = 25                     # EavaNet, FaceFormer and CodeTalker on BIWI
FEATURE_RATE = 50            # Hz, wav2vec 2.0
BASIS_FRAMES = 3000          # frames the basis is fitted on: 40 times its size
SOURCES = ("spec", "head", "mesh", "shapes", "proportions")     # what decides split and vertices beside the corpus
CORPORA = {"smoke": SMOKE, "laptop": LAPTOP, "paper": LAPTOP}


@dataclass(frozen=True, eq=False)        # compared and hashed by identity: what is computed from a draw can be kept
class Draw:
    """The material of one seed. `table` has one row per clip: position, clip, factors, part.

    hidden[i] (2T, C) speech features, two per frame; motion[i] (T, K) coefficients, floor[i] (T, K) the same of the
    part of the motion that a listener could know, empty for training clips; `part` is train, val, seen (speaker known,
    sentence not) or unseen.
    """

    scale: str
    seed: int
    table: pd.DataFrame
    specs: tuple[ClipSpec, ...]
    hidden: list[np.ndarray]
    motion: list[np.ndarray]
    floor: list[np.ndarray]
    basis: MotionBasis
    topology: Topology
    foundation: str
    fps: int                     # of the motion
    key: str                     # names clips, split, basis and speech features: all that results depend on

    def rows(self, *parts: str) -> pd.DataFrame:
        """Rows of the named parts."""
        return self.table[self.table.part.isin(parts)]

    @cached_property
    def audio_width(self) -> int:
        """C, the width of the speech features."""
        return self.hidden[0].shape[1]

    def truth(self, index: int) -> np.ndarray:
        """Exact vertices (T, V, 3) in millimetres, blinks and all; not the projection on the basis."""
        return corpus(self.scale)[self.table.position[index]].vertices(self.fps)

    def template(self, index: int) -> np.ndarray:
        """Neutral face (V, 3) in millimetres of the clip's speaker."""
        return template(self.specs[index].actor)

    def vertices(self, index: int, coefficients: np.ndarray) -> np.ndarray:
        """Predicted vertices (T, V, 3) in millimetres on the clip's own template."""
        return self.basis.decode(coefficients) + self.template(index)


@cache
def corpus(scale: str):
    """The puppet corpus of a scale, generated when it is not in the cache yet."""
    from lib.puppet.corpus import generate

    return generate(CORPORA[check_scale(scale)])


@cache
def template(actor: int) -> np.ndarray:
    """Neutral face (V, 3) of a puppet actor, millimetres."""
    from lib.puppet.actors import actor as traits
    from lib.puppet.head import head

    return head().neutral(traits(actor).identity)


@cache
def foundation(scale: str):
    """The speech encoder of a scale: released weights where they are present, else the one taught on the corpus."""
    from lib.foundations import speech_encoder

    return speech_encoder(scale)


def to_video_rate(features: np.ndarray, frames: int, fps: int = FPS) -> np.ndarray:
    """Speech features (Ta, C) at 50 Hz as exactly two rows per video frame, interpolated where fps is not 25.

    wav2vec 2.0 drops up to one row at the end of a clip; the last one is repeated, surplus rows are left out, so that
    every system predicts every frame of the truth.
    """
    at = np.minimum(np.arange(2 * frames) * (FEATURE_RATE / (2 * fps)), len(features) - 1)
    before, share = at.astype(int), (at % 1)[:, None].astype(np.float32)
    after = np.minimum(before + 1, len(features) - 1)
    return np.asarray(features[before] * (1 - share) + features[after] * share, np.float32)


def frames_of(audio: np.ndarray, fps: int = FPS) -> int:
    """Number of video frames of a waveform at 16 kHz."""
    return int(len(audio) / SAMPLE_RATE * fps + 1e-6)


def draw(scale: str, seed: int, emotions: tuple[str, ...], components: int, fps: int = FPS) -> Draw:
    """Everything that seed `seed` draws from the corpus of `scale`, restricted to `emotions`, at `fps`."""
    made, table = corpus(scale), split_table(scale, seed, emotions)
    path = _path(scale, seed, emotions, components, fps)
    stored = cached_arrays(path, lambda: _motion(scale, seed, table, components, fps))
    basis = MotionBasis(stored["directions"], float(stored["scale"]))
    cuts, floor_cuts = (np.cumsum(stored[name])[:-1] for name in ("frames", "floors"))
    return Draw(
        scale, seed, table, tuple(made.specs[i] for i in table["position"]),
        _hidden(scale, table, stored["frames"], fps),
        np.split(stored["motion"], cuts), np.split(stored["floor"], floor_cuts), basis, _topology(),
        foundation(scale).name, fps, digest(path.stem, weights_digest(foundation(scale).encoder)),
    )


def split_table(scale: str, seed: int, emotions: tuple[str, ...]) -> pd.DataFrame:
    """One row per clip that a seed uses: clip, its factors, position in the corpus, and part as `Draw` has it."""
    made, split = corpus(scale), draw_split(CORPORA[scale], seed)
    table = made.table.rename(columns={"id": "clip"}).drop(columns="seed")
    table = table.assign(position=table.index, part=[split.part(spec) for spec in made.specs])
    table = table[table.emotion.isin(emotions) & (table.part != "unused")]
    return table.assign(part=table.part.replace({"test": "unseen", "test_seen": "seen"})).reset_index(drop=True)


def _topology() -> Topology:
    from lib.puppet.head import head

    return head().topology


def _path(scale: str, seed: int, emotions: tuple[str, ...], components: int, fps: int) -> Path:
    code = code_digest("lib.experiments.draw", "lib.face.basis", *(f"lib.puppet.{name}" for name in SOURCES))
    return CACHE / "draws" / f"{digest(corpus(scale).key, seed, emotions, components, fps, code)}.npz"


def _motion(scale: str, seed: int, table: pd.DataFrame, components: int, fps: int) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    basis = _fit_basis(scale, seed, table, components, fps)
    motion, floor = [], []
    for row in tqdm(table.itertuples(), total=len(table), desc=f"motion of seed {seed}", unit="clip", leave=False):
        clip, rest = corpus(scale)[row.position], template(row.actor)
        motion.append(basis.encode(clip.vertices(fps) - rest))
        floor.append(motion[-1][:0] if row.part == "train" else basis.encode(clip.oracle_vertices(fps) - rest))
    counts = {name: np.array([len(x) for x in tracks]) for name, tracks in (("frames", motion), ("floors", floor))}
    return {"directions": basis.directions, "scale": np.float32(basis.scale), **counts,
            "motion": np.concatenate(motion), "floor": np.concatenate(floor)}


def _fit_basis(scale: str, seed: int, table: pd.DataFrame, components: int, fps: int) -> MotionBasis:
    rows = table[table.part == "train"]
    rng = np.random.default_rng(seed)
    each = max(1, BASIS_FRAMES // len(rows))
    frames = []
    for row in rows.itertuples():
        clip = corpus(scale)[row.position]
        chosen = rng.choice(clip.frames(fps), min(each, clip.frames(fps)), replace=False)
        frames.append(clip.vertices(fps, only=chosen) - template(row.actor))
    sample = np.concatenate(frames)
    return MotionBasis.fit(sample.reshape(len(sample), -1), components, seed)


def _hidden(scale: str, table: pd.DataFrame, frames: np.ndarray, fps: int) -> list[np.ndarray]:
    stored = speech_features(scale)
    return [to_video_rate(stored[str(i)], t, fps) for i, t in zip(table["position"], frames, strict=True)]


def speech_features(scale: str) -> dict[str, np.ndarray]:
    """Features (Ta, C) at 50 Hz of every clip of the corpus of a scale, under its position; kept on disk."""
    path = CACHE / "features" / f"{digest(corpus(scale).key, weights_digest(foundation(scale).encoder))}.npz"
    return cached_arrays(path, lambda: _speech_features(scale))


def _speech_features(scale: str) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    made = corpus(scale)
    bar = tqdm(range(len(made)), desc="speech features", unit="clip", leave=False)
    return {str(i): foundation(scale).features(made[i].audio).astype(np.float16) for i in bar}
