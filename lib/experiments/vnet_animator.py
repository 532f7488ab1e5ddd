"""Ventriloquist-Net as the player wants it: sound in, a mask of 68 landmarks out, emotion inferred from the voice.

The method is told no emotion, so there is one setting, "heard"; the slider is a gain on what the emotion branch hears:
0 is the mean over the training clips, 1 what was heard, beyond 1 is extrapolation. Load it by
`player.load("lib.experiments.vnet_animator:animator", scale, seed)`.
"""

from functools import cache, lru_cache

import numpy as np

from lib.errors import InputError
from lib.experiments import vnet
from lib.experiments.draw import frames_of, template
from lib.experiments.tracks import FPS, neutral, to_millimetres
from lib.face.landmarks import COUNT, GROUPS, LIPS
from lib.face.topology import Topology, surface_area

HEARD = "heard"


class VnetAnimator:
    """A trained system of a seed on the faces of unseen speakers."""

    emotions = (HEARD,)
    fps = FPS

    def __init__(self, scale: str, seed: int, name: str = "vnet"):
        self.trained = vnet.train(scale, seed, name)
        self.data = self.trained.material.data
        self.topology = landmark_mask()
        self.actors = {f"actor {number}": int(number) for number in sorted(self.data.rows("unseen").actor.unique())}
        self.speakers = tuple(self.actors)

    @property
    def clips(self) -> list[tuple[str, np.ndarray]]:
        """Name and sound (N,) of one unseen clip of every emotion."""
        rows = self.data.rows("unseen").drop_duplicates("emotion")
        return [(str(self.data.table["clip"][i]), self.data.audio(int(i))) for i in rows.index]

    def landmarks(self, audio: np.ndarray, gain: float, speaker: str | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels of the crop for a waveform (N,) at 16 kHz, head motion included.

        Raises InputError for an unknown speaker.
        """
        if speaker not in (None, *self.speakers):
            raise InputError(f"speaker {speaker!r} is unknown; speakers are {', '.join(self.speakers)}")
        actor = self.actors[speaker or self.speakers[0]]
        sound = np.ascontiguousarray(audio, np.float32)
        mel, mfcc = _heard(self.trained.material, sound.tobytes())
        return vnet.on_face(self.trained.offsets(mel, mfcc, frames_of(sound, FPS), gain), neutral(actor))

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, 68, 3) in millimetres: landmarks in the plane, depth from the speaker's neutral face."""
        if emotion != HEARD:
            raise InputError(f"emotion {emotion!r}: this system hears the emotion itself; expected {HEARD!r}")
        flat = to_millimetres(self.landmarks(audio, alpha, speaker))
        depth = _depth(self.actors[speaker or self.speakers[0]])
        return np.concatenate([flat, np.broadcast_to(depth, (len(flat), COUNT))[..., None]], -1).astype(np.float32)


@lru_cache(maxsize=32)
def _heard(made: "vnet.Material", audio: bytes) -> tuple[np.ndarray, np.ndarray]:
    mel, mfcc = made.heard(np.frombuffer(audio, np.float32))
    return mel.astype(np.float32), mfcc.astype(np.float32)


def _depth(actor: int) -> np.ndarray:
    """Depth (68,) in millimetres of an actor's neutral landmarks."""
    from lib.puppet.head import head

    return template(actor)[head().topology.landmarks][:, 2]


@cache
def landmark_mask() -> Topology:
    """Triangles between the 68 landmarks of the mean face, none between lips or lids."""
    from scipy.spatial import Delaunay

    from lib.puppet.head import head

    points = head().mean[head().topology.landmarks]
    holes = [set(map(int, GROUPS[name])) for name in ("inner_lips", "right_eye", "left_eye")]
    found = Delaunay(points[:, :2]).simplices
    faces = np.array([t for t in found if not any(set(map(int, t)) <= hole for hole in holes)], np.int32)
    upper = np.concatenate([GROUPS[name] for name in ("right_brow", "left_brow", "right_eye", "left_eye")])
    regions = {"lips": LIPS, "mouth": LIPS, "upper_face": upper}
    return Topology("landmarks", faces, regions, np.arange(COUNT), float(np.sqrt(surface_area(points, faces))),
                    {"lips": LIPS})


def animator(scale: str, seed: int) -> VnetAnimator:
    """Ventriloquist-Net ready for the playground; trains it first when it is not in the cache."""
    return VnetAnimator(scale, seed)
