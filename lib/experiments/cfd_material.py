"""Tracks that paper 000 asks for beside the corpus as it is: one-word excerpts, and everybody in one actor's manner.

one_word     clips of 1.16 s, as LRW has, cut from the middle of every sentence; no system is told who speaks
one_manner   the same sentences, voices and heads, but all faces move in the manner of one actor: who speaks then has
             no influence on displacement, except through the geometry of the head (claim cfd-14)
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lib.data.clip import SAMPLE_RATE
from lib.experiments.draw import corpus
from lib.experiments.tracks import FPS, GEOMETRY, Tracks, to_pixels
from lib.paths import CACHE
from lib.study import cached_arrays, code_digest, digest

WORD_FRAMES = round(1.16 * FPS)      # 29, the length of a clip of LRW
MANNER = 0                           # the actor in whose manner all move


@dataclass(frozen=True, eq=False)
class Excerpts(Tracks):
    """Tracks cut to WORD_FRAMES from the frames `starts` of the `whole` ones."""

    whole: Tracks = None
    starts: np.ndarray = None

    def audio(self, index: int) -> np.ndarray:
        """Sound (N,) of an excerpt at 16 kHz."""
        first = round(self.starts[index] / self.fps * SAMPLE_RATE)
        return self.whole.audio(index)[first : first + round(WORD_FRAMES / self.fps * SAMPLE_RATE)]

    def truth_of(self, index: int, emotion: str, intensity: float) -> np.ndarray:
        """As of the whole clip, cut."""
        return self._cut(self.whole.truth_of(index, emotion, intensity), index)

    @cached_property
    def converted(self) -> list[np.ndarray]:
        """As of the whole clips, cut."""
        return [self._cut(x, i) for i, x in enumerate(self.whole.converted)]

    @cached_property
    def mel(self) -> list[np.ndarray]:
        """As of the whole clips, cut."""
        return [self._cut(x, i) for i, x in enumerate(self.whole.mel)]

    @cached_property
    def key(self) -> str:
        """Names the tracks and the cut."""
        return digest(self.whole.key, "one-word", WORD_FRAMES)

    def _cut(self, rows: np.ndarray, index: int) -> np.ndarray:
        return rows[self.starts[index] : self.starts[index] + WORD_FRAMES]


def one_word(data: Tracks) -> Excerpts:
    """The middle 29 frames of every clip."""
    starts = np.array([(len(track) - WORD_FRAMES) // 2 for track in data.landmarks])
    named = {name: getattr(data, name) for name in Tracks.__dataclass_fields__}
    cut = {name: [track[s : s + WORD_FRAMES] for track, s in zip(named[name], starts, strict=True)]
           for name in ("landmarks", "posed", "floor")}
    return Excerpts(**{**named, **cut, "drawn": digest(data.drawn, "one-word", WORD_FRAMES)}, whole=data, starts=starts)


def one_manner(data: Tracks) -> Tracks:
    """The corpus with all faces in the manner of actor MANNER, without blinks, gaze and drift, which are the actor's
    own; there is no head motion in them and `posed` is the same."""
    stored = _in_manner(data.scale)
    faces = [stored[i] for i in data.table["position"]]
    return replace(data, landmarks=faces, posed=faces, floor=faces, drawn=digest(data.drawn, "one-manner", MANNER))


@lru_cache(maxsize=2)
def _in_manner(scale: str) -> list[np.ndarray]:
    """Landmarks (T, 68, 2) of every clip of a corpus; kept on disk, they depend on no seed."""
    path = CACHE / "tracks" / f"{digest(corpus(scale).key, 'one-manner', MANNER, FPS, code_digest(*GEOMETRY))}.npz"
    stored = cached_arrays(path, lambda: _recast(scale))
    return np.split(stored["points"], np.cumsum(stored["frames"])[:-1])


def _recast(scale: str) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    from lib.puppet.recast import recast

    bar = tqdm(corpus(scale), total=len(corpus(scale)), desc="one manner for all", unit="clip", leave=False)
    faces = [to_pixels(recast(clip, manner_of=MANNER).landmarks(FPS, audible=True)).astype(np.float32) for clip in bar]
    return {"points": np.concatenate(faces), "frames": np.array([len(face) for face in faces])}
