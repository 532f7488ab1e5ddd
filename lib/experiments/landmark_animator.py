"""A system of landmarks as the player and the pictures want it: sound in, lines in a plane or pictures out."""

from collections.abc import Sequence

import numpy as np

from lib.experiments.animator import PuppetAnimator
from lib.experiments.tracks import Tracks, to_millimetres
from lib.face.landmark_mesh import landmark_topology, ribbons


class LandmarkAnimator(PuppetAnimator):
    """What the animators of the landmark papers share; its faces are those of unseen speakers, in the picture's plane.

    A subclass gives `landmarks` (T, 68, 2) in pixels of the crop for a waveform, a setting, an intensity and a speaker.
    """

    def __init__(self, data: Tracks, emotions: Sequence[str]):
        super().__init__(data, emotions, topology=landmark_topology())

    def landmarks(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels of the crop for a waveform (N,) at 16 kHz, on the face of a speaker."""
        raise NotImplementedError

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres of the drawn landmarks, see `landmarks`."""
        return ribbons(to_millimetres(self.landmarks(audio, emotion, alpha, speaker)))

    def painted(self, actor: int, landmarks: np.ndarray) -> np.ndarray:
        """Pictures (T, S, S, 3) uint8 that image translation makes of registered landmarks and a face at rest."""
        from lib import picture_foundations as foundations

        network = foundations.translation(self.data.scale)
        camera = foundations.Camera(network.config.size)
        try:
            reference, _ = camera.neutral(actor)
        finally:
            camera.close()
        return foundations.translate(network, reference, landmarks)
