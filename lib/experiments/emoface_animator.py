"""EmoFace as the player and the pictures want it: sound and an emotion in, vertices of the puppet out."""

from functools import lru_cache

import numpy as np

from lib.errors import InputError
from lib.experiments import emoface
from lib.experiments.draw import corpus, foundation, frames_of, to_video_rate
from lib.face import eyes
from lib.face.rig import from_metahuman


class EmoFaceAnimator:
    """The trained EmoFace of a seed; `eyes_added` finishes its curves as published: smoothed, with blinks and gaze.

    An intensity mixes the labels of neutral and of the emotion, alpha of the latter: the paper knows labels alone.
    """

    emotions = emoface.EMOTIONS

    def __init__(self, scale: str, seed: int, name: str = "emoface", *, eyes_added: bool = True):
        self.trained, self.data = emoface.train(scale, seed, name), emoface.material(scale, seed)
        self.fps, self.topology, self.eyes_added = self.data.fps, self.data.topology, eyes_added
        self.actors = {f"actor {number}": int(number) for number in sorted(self.data.rows("unseen").actor.unique())}
        self.speakers = tuple(self.actors)

    @property
    def clips(self) -> list[tuple[str, np.ndarray]]:
        """Name and sound (N,) of one unseen clip of every emotion."""
        rows = self.data.rows("unseen").drop_duplicates("emotion")
        return [(row.clip, corpus(self.data.scale)[row.position].audio) for row in rows.itertuples(index=False)]

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        Raises InputError for an unknown emotion or speaker.
        """
        from lib.puppet.actors import actor
        from lib.puppet.head import head

        if speaker not in (None, *self.speakers) or emotion not in self.emotions:
            raise InputError(f"speaker {speaker!r} or emotion {emotion!r} is unknown; speakers are "
                             f"{', '.join(self.speakers)}, emotions {', '.join(self.emotions)}")
        rig = np.clip(from_metahuman(self.curves(audio, emotion, alpha)), 0, 1)
        return head().vertices(rig, actor(self.actors[speaker or self.speakers[0]]).identity)

    def curves(self, audio: np.ndarray, emotion: str, alpha: float = 1.0) -> np.ndarray:
        """The 174 controllers (T, 174) behind `animate`, in the order of lib.face.rig.METAHUMAN."""
        found = self.trained.curves(self._features(audio), mixture(emotion, alpha))
        if self.eyes_added:
            found = eyes.finish(found, np.random.default_rng(self.data.seed), eyes.PAPER, self.fps)
        return found

    def _features(self, audio: np.ndarray) -> np.ndarray:
        return _heard(self.data.scale, np.asarray(audio, np.float32).tobytes(), self.fps)


def mixture(emotion: str, alpha: float) -> np.ndarray:
    """Weights (7,) of the labels: alpha of the emotion, the rest neutral."""
    weights = np.zeros(len(emoface.EMOTIONS), np.float32)
    weights[emoface.EMOTIONS.index("neutral")] += 1 - alpha
    weights[emoface.EMOTIONS.index(emotion)] += alpha
    return weights


@lru_cache(maxsize=32)
def _heard(scale: str, audio: bytes, fps: int) -> np.ndarray:
    waveform = np.frombuffer(audio, np.float32)
    return to_video_rate(foundation(scale).features(waveform), frames_of(waveform, fps), fps)


def animator(scale: str, seed: int) -> EmoFaceAnimator:
    """EmoFace ready for the playground; trains it first when it is not in the cache."""
    return EmoFaceAnimator(scale, seed)
