"""CFD as the player and the pictures want it: sound and a place on its principal axis in, moving landmarks out.

CFD moves 68 landmarks in a picture; they cannot move the surface of a head. The player shows them as what they are,
lines in a plane (lib/face/landmark_mesh.py); `pictures` shows what CFD's third step makes of them. The slider has no
label: "excited" and "solemn" are the two ends of the first principal component of the emotion codes (Sec. 4.4), and an
intensity of 1 is two standard deviations away from the code that the sound itself gives; 0 is the same for both.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from lib.data.clip import SAMPLE_RATE, frame_count, resample
from lib.experiments import cfd, cfd_measures
from lib.experiments.landmark_animator import LandmarkAnimator
from lib.experiments.tracks import neutral

REACH = {"excited": 2.0, "solemn": -2.0}     # standard deviations at an intensity of 1


class CfdAnimator(LandmarkAnimator):
    """The trained CFD of a seed; its faces are those of unseen speakers, in the plane of the picture."""

    def __init__(self, scale: str, seed: int, name: str = "cfd"):
        self.trained, self.axis = cfd.train(scale, seed, name), cfd_measures.principal_axis(scale, seed, name)
        super().__init__(self.trained.data, tuple(REACH))

    def landmarks(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels of the crop for a waveform (N,) at 16 kHz, on the face of one of `speakers`.

        Raises InputError for an unknown end of the axis or speaker.
        """
        rest = neutral(self.actor_for(emotion, speaker))
        said = _said(self.trained, np.asarray(audio, np.float32).tobytes())
        return cfd_measures.shifted(self.trained, said, alpha * REACH[emotion], self.axis, rest)

    def pictures(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Pictures (T, S, S, 3) uint8 that image translation (Eq. 11) makes of `landmarks` and the face at rest."""
        return self.painted(self.actor_for(emotion, speaker), self.landmarks(audio, emotion, alpha, speaker))


@lru_cache(maxsize=32)
def _said(trained: cfd.Trained, audio: bytes):
    """Codes of a waveform: the slow part, kept while the slider moves."""
    from lib.landmark_foundations import converter
    from lib.models.autovc import RATE

    waveform = np.frombuffer(audio, np.float32)
    frames = frame_count(len(waveform) / SAMPLE_RATE, trained.data.fps)
    heard = converter(trained.data.scale).convert(waveform)
    return trained.codes(resample(heard, RATE, trained.data.fps, frames).astype(np.float32))


def animator(scale: str, seed: int) -> CfdAnimator:
    """CFD ready for the playground; trains it first when it is not in the cache."""
    return CfdAnimator(scale, seed)


def slider_video(path: Path | str, shown: CfdAnimator, audio: np.ndarray) -> Path:
    """One mp4 with sound: both ends of the axis and the unshifted face between them, landmarks and pictures."""
    from lib.experiments.landmark_videos import BAND, OWN_VOICE, PANEL, sheets
    from lib.face.drawing import draw
    from lib.face.render import write_video

    places = {"solemn, -2 SD": ("solemn", 1.0), "as heard": ("excited", 0.0), "excited, +2 SD": ("excited", 1.0)}
    lines = {title: draw(shown.landmarks(audio, *place), "makeittalk", PANEL) for title, place in places.items()}
    faces = {f"{title}: picture": shown.pictures(audio, *place) for title, place in places.items()}
    frames = sheets(lines | faces, len(places), BAND)
    return write_video(Path(path), frames, shown.fps, audio, comment=f"Sound: {OWN_VOICE}.")
