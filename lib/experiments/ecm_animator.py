"""ECM as the player and the pictures want it: sound, an emotion and an intensity in, vertices of the puppet out."""

from functools import lru_cache

import numpy as np

from lib.experiments import ecm
from lib.experiments.animator import PuppetAnimator
from lib.experiments.draw import frames_of, template
from lib.labels import COMMON


class EcmAnimator(PuppetAnimator):
    """The trained ECM of a seed; `formula` turns a request into priors (lib/models/ecm.py), None: as its profile does.

    Intensities beyond 1 are allowed: the released demonstrations go up to 4.
    """

    def __init__(self, scale: str, seed: int, name: str = "ecm", formula: str | None = None):
        self.trained, self.formula = ecm.train(scale, seed, name), formula
        data = ecm.material(scale, seed).data
        super().__init__(data, [e for e in COMMON if e in set(data.table.emotion)])

    def animate(
        self, audio: np.ndarray, emotion: str, alpha: float | np.ndarray, speaker: str | None = None
    ) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        `alpha` is one intensity, or one per frame (T,). Raises InputError for an unknown emotion or speaker.
        """
        face = template(self.actor_for(emotion, speaker))
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
