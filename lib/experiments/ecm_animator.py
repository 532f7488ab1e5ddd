"""ECM as the player and the pictures want it: sound, an emotion and an intensity in, vertices of the puppet out."""

from functools import lru_cache

import numpy as np

from lib.errors import InputError
from lib.experiments import ecm
from lib.experiments.draw import corpus, frames_of, template
from lib.labels import COMMON


class EcmAnimator:
    """The trained ECM of a seed; `formula` turns a request into priors (lib/models/ecm.py), None: as its profile does.

    Intensities beyond 1 are allowed: the released demonstrations go up to 4.
    """

    fps = ecm.FPS

    def __init__(self, scale: str, seed: int, name: str = "ecm", formula: str | None = None):
        self.trained, self.data, self.formula = ecm.train(scale, seed, name), ecm.material(scale, seed).data, formula
        self.topology = self.data.topology
        self.emotions = tuple(e for e in COMMON if e in set(self.data.table.emotion))
        self.actors = {f"actor {number}": int(number) for number in sorted(self.data.rows("unseen").actor.unique())}
        self.speakers = tuple(self.actors)

    @property
    def clips(self) -> list[tuple[str, np.ndarray]]:
        """Name and sound (N,) of one unseen clip of every emotion."""
        rows = self.data.rows("unseen").drop_duplicates("emotion")
        return [(row.clip, corpus(self.data.scale)[row.position].audio) for row in rows.itertuples(index=False)]

    def animate(
        self, audio: np.ndarray, emotion: str, alpha: float | np.ndarray, speaker: str | None = None
    ) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        `alpha` is one intensity, or one per frame (T,). Raises InputError for an unknown emotion or speaker.
        """
        if speaker not in (None, *self.speakers) or emotion not in self.emotions:
            raise InputError(f"speaker {speaker!r} or emotion {emotion!r} is unknown; speakers are "
                             f"{', '.join(self.speakers)}, emotions {', '.join(self.emotions)}")
        face = template(self.actors[speaker or self.speakers[0]])
        sound = np.asarray(audio, np.float32).tobytes()
        said = self.trained.speech(_heard(self.data.scale, sound, ecm.window_of(self.trained.system)))
        command = ecm.asked(emotion, alpha) if np.ndim(alpha) == 0 else ecm.asked_per_frame(emotion, alpha)
        motion = self.trained.face(said, face, command, self.formula)
        return self.data.basis.decode(motion) + face


@lru_cache(maxsize=32)
def _heard(scale: str, audio: bytes, window: tuple[int, int]) -> np.ndarray:
    waveform = np.frombuffer(audio, np.float32)
    return ecm.heard(scale, waveform.copy(), frames_of(waveform, ecm.FPS), window)


def animator(scale: str, seed: int) -> EcmAnimator:
    """ECM ready for the playground; trains it first when it is not in the cache."""
    return EcmAnimator(scale, seed)
