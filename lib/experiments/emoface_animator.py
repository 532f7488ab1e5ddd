"""EmoFace as the player and the pictures want it: sound and an emotion in, vertices of the puppet out."""

import numpy as np

from lib.errors import InputError
from lib.experiments import emoface
from lib.experiments.animator import PuppetAnimator, speech_features
from lib.face import eyes
from lib.face.rig import from_metahuman


class EmoFaceAnimator(PuppetAnimator):
    """The trained EmoFace of a seed; `eyes_added` finishes its curves as published: smoothed, with blinks and gaze.

    An intensity mixes the labels of neutral and of the emotion, alpha of the latter: the paper knows labels alone.
    """

    def __init__(self, scale: str, seed: int, name: str = "emoface", *, eyes_added: bool = True):
        if emoface.SYSTEMS[name].features != "taught":
            raise InputError(f"{name} hears other features than those of the speech encoder; it is not animated here")
        self.trained, self.eyes_added = emoface.train(scale, seed, name), eyes_added
        super().__init__(emoface.material(scale, seed), emoface.EMOTIONS)

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        Raises InputError for an unknown emotion or speaker.
        """
        from lib.puppet.actors import actor
        from lib.puppet.head import head

        identity = actor(self.actor_for(emotion, speaker)).identity
        rig = np.clip(from_metahuman(self.curves(audio, emotion, alpha)), 0, 1)
        return head().vertices(rig, identity)

    def curves(self, audio: np.ndarray, emotion: str, alpha: float = 1.0) -> np.ndarray:
        """The 174 controllers (T, 174) behind `animate`, in the order of lib.face.rig.METAHUMAN."""
        heard = speech_features(self.data.scale, audio, self.fps)
        found = self.trained.curves(heard, mixture(emotion, alpha))
        if self.eyes_added:
            found = eyes.finish(found, np.random.default_rng(self.data.seed), eyes.PAPER, self.fps)
        return found


def mixture(emotion: str, alpha: float) -> np.ndarray:
    """Weights (7,) of the labels: alpha of the emotion, the rest neutral."""
    weights = np.zeros(len(emoface.EMOTIONS), np.float32)
    weights[emoface.EMOTIONS.index("neutral")] += 1 - alpha
    weights[emoface.EMOTIONS.index(emotion)] += alpha
    return weights


def animator(scale: str, seed: int) -> EmoFaceAnimator:
    """EmoFace ready for the playground; trains it first when it is not in the cache."""
    return EmoFaceAnimator(scale, seed)
