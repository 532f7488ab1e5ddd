"""EavaNet as the player and the pictures want it: sound, an emotion and an intensity in, vertices of the puppet out."""

import numpy as np

from lib.experiments import eavanet
from lib.experiments.animator import PuppetAnimator, speech_features
from lib.experiments.draw import template


class EavaNetAnimator(PuppetAnimator):
    """The trained EavaNet of a seed; its speakers are those it knows by id."""

    def __init__(self, scale: str, seed: int, name: str = "eavanet"):
        self.trained = eavanet.train(scale, seed, name)
        super().__init__(self.trained.data, eavanet.EMOTIONS, self.trained.speakers)

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres at 25 fps for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        Raises InputError for an unknown emotion or speaker.
        """
        chosen = self.actor_for(emotion, speaker)
        heard = speech_features(self.data.scale, audio, self.fps)
        return self.data.basis.decode(self.trained.predict(heard, chosen, emotion, alpha)) + template(chosen)


def animator(scale: str, seed: int) -> EavaNetAnimator:
    """EavaNet ready for the playground; trains it first when it is not in the cache."""
    return EavaNetAnimator(scale, seed)
