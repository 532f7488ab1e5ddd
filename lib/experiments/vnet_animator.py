"""Ventriloquist-Net as the player wants it: sound in, moving landmarks out, the emotion inferred from the voice.

The method is told no emotion, so there is one setting, "heard"; the slider is a gain on what the emotion branch hears:
0 is the mean over the training clips, 1 what was heard, beyond 1 is extrapolation. The player shows landmarks as lines
in a plane (lib/face/landmark_mesh.py). Load it by `player.load("lib.experiments.vnet_animator:animator", scale, seed)`.
"""

from functools import lru_cache

import numpy as np

from lib.experiments import vnet
from lib.experiments.draw import frames_of
from lib.experiments.landmark_animator import LandmarkAnimator
from lib.experiments.tracks import neutral
from lib.face.registration import register

HEARD = "heard"


class VnetAnimator(LandmarkAnimator):
    """A trained system of a seed; its faces are those of unseen speakers, in the plane of the picture."""

    def __init__(self, scale: str, seed: int, name: str = "vnet"):
        self.trained = vnet.train(scale, seed, name)
        super().__init__(self.trained.material.data, (HEARD,))

    def landmarks(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels of the crop for a waveform (N,) at 16 kHz, with whatever head motion was
        learned.

        `alpha` is the gain on what is heard. Raises InputError for an unknown setting or speaker.
        """
        rest = neutral(self.actor_for(emotion, speaker))
        sound = np.ascontiguousarray(audio, np.float32)
        mel, mfcc = _heard(self.trained.material, sound.tobytes())
        return vnet.on_face(self.trained.offsets(mel, mfcc, frames_of(sound, self.fps), alpha), rest)

    def pictures(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Pictures (T, S, S, 3) uint8 that image translation makes of `landmarks`, registered, and the face at rest."""
        actor = self.actor_for(emotion, speaker)
        still = register(self.landmarks(audio, emotion, alpha, speaker), neutral(actor))
        return self.painted(actor, still)


@lru_cache(maxsize=32)
def _heard(made: "vnet.Material", audio: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Feature rows of a waveform: the slow part, kept while the slider moves."""
    mel, mfcc = made.heard(np.frombuffer(audio, np.float32))
    return mel.astype(np.float32), mfcc.astype(np.float32)


def animator(scale: str, seed: int) -> VnetAnimator:
    """Ventriloquist-Net ready for the playground; trains it first when it is not in the cache."""
    return VnetAnimator(scale, seed)
