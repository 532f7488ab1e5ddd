"""Tracks that paper 000 asks for beside the corpus as it is: one-word excerpts, and everybody in one actor's manner.

one_word     clips of 1.16 s, as LRW has, cut from the middle of every sentence; no system is told who speaks
one_manner   the same sentences, voices and heads, but all faces move in the manner of one actor: who speaks then has
             no influence on displacement, except through the geometry of the head (claim cfd-14)
real         StyleTalk's recordings, a third of the clips for testing; no recording has a label
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from lib.data.clip import SAMPLE_RATE, resample
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
        return self.cut(self.whole.truth_of(index, emotion, intensity), index)

    @cached_property
    def converted(self) -> list[np.ndarray]:
        """As of the whole clips, cut."""
        return [self.cut(x, i) for i, x in enumerate(self.whole.converted)]

    @cached_property
    def mel(self) -> list[np.ndarray]:
        """As of the whole clips, cut."""
        return [self.cut(x, i) for i, x in enumerate(self.whole.mel)]

    @cached_property
    def key(self) -> str:
        """Names the tracks and the cut."""
        return digest(self.whole.key, "one-word", WORD_FRAMES)

    def cut(self, rows: np.ndarray, index: int) -> np.ndarray:
        """The rows of an excerpt out of those (T, ...) of the whole clip."""
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


@dataclass(frozen=True, eq=False)
class Recorded(Tracks):
    """Recordings in the place of puppets: `sounds` (N,) at 16 kHz and `rest`, the template (68, 2) of every clip.

    `floor` is the track itself: what a listener could know of it nobody can say.
    """

    sounds: tuple[np.ndarray, ...] = ()
    rest: tuple[np.ndarray, ...] = ()
    jitter_px: tuple[float, ...] = ()

    def template(self, index: int) -> np.ndarray:
        """The mean of the clip's frames with the most closed mouth (68, 2), pixels."""
        return self.rest[index]

    def audio(self, index: int) -> np.ndarray:
        """Sound (N,) of a clip at 16 kHz."""
        return self.sounds[index]

    @cached_property
    def _heard(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        from lib.landmark_foundations import converter

        return [converter(self.scale).features(sound) for sound in self.sounds]

    @cached_property
    def mel(self) -> list[np.ndarray]:
        """AutoVC's mel (T, 80), one row per frame."""
        return [self._rows(heard[0], i) for i, heard in enumerate(self._heard)]

    @cached_property
    def converted(self) -> list[np.ndarray]:
        """The same after conversion, standardised."""
        return [self._rows(heard[1], i) for i, heard in enumerate(self._heard)]

    @cached_property
    def speaker(self) -> np.ndarray:
        """Embedding (N, E) of every voice."""
        return np.stack([heard[2] for heard in self._heard])

    def _rows(self, mel: np.ndarray, index: int) -> np.ndarray:
        from lib.models.autovc import RATE

        return resample(mel, RATE, self.fps, len(self.landmarks[index])).astype(np.float32)


def real(data: Tracks) -> Recorded:
    """StyleTalk's clips for the scale and seed of `data`, whose part is train or unseen. Raises AssetMissing where the
    recordings are not found."""
    from lib.experiments.real_tracks import real_tracks

    found = [track for track in real_tracks(data.seed) if track.source == "styletalk"]
    people = sorted({track.speaker for track in found})
    table = pd.DataFrame([{"clip": t.id, "actor": people.index(t.speaker), "emotion": "neutral", "intensity": 1.0,
                           "sentence": t.id, "session": i, "part": "train" if t.part == "train" else "unseen"}
                          for i, t in enumerate(found)])
    faces = [track.landmarks for track in found]
    return Recorded(data.scale, data.seed, table, (), faces, faces, faces, FPS,
                    digest("styletalk", data.seed, [t.id for t in found], [float(t.landmarks.sum()) for t in found]),
                    sounds=tuple(t.audio for t in found), rest=tuple(t.template for t in found),
                    jitter_px=tuple(t.jitter_px for t in found))
