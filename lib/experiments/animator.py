"""A trained system as the player and the pictures want it: sound, an emotion and an intensity in, vertices out."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import InputError
from lib.experiments.draw import Draw, corpus, foundation, frames_of, to_video_rate
from lib.face.topology import Topology

if TYPE_CHECKING:
    from lib.experiments.tracks import Tracks


class PuppetAnimator:
    """What the animators of all systems share: unseen clips, and faces to show them on.

    `actors` are the speakers a system knows by id, in its order; one that knows none shows the unseen ones. `topology`
    is that of the faces it makes, by default that of its material.
    """

    def __init__(self, data: "Draw | Tracks", emotions: Sequence[str], actors: Sequence[int] | None = None,
                 topology: Topology | None = None):
        self.data, self.emotions = data, tuple(emotions)
        self.fps, self.topology = data.fps, data.topology if topology is None else topology
        shown = sorted(data.rows("unseen").actor.unique()) if actors is None else actors
        self.actors = {f"actor {number}": int(number) for number in shown}
        self.speakers = tuple(self.actors)

    @property
    def clips(self) -> list[tuple[str, np.ndarray]]:
        """Name and sound (N,) of one unseen clip of every emotion."""
        rows = self.data.rows("unseen").drop_duplicates("emotion")
        return [(row.clip, corpus(self.data.scale)[row.position].audio) for row in rows.itertuples(index=False)]

    def actor_for(self, emotion: str, speaker: str | None) -> int:
        """Number of the actor whose face to show, by default the first; InputError for unknown names."""
        if speaker not in (None, *self.speakers) or emotion not in self.emotions:
            raise InputError(f"speaker {speaker!r} or emotion {emotion!r} is unknown; speakers are "
                             f"{', '.join(self.speakers)}, emotions {', '.join(self.emotions)}")
        return self.actors[speaker or self.speakers[0]]


def speech_features(scale: str, audio: np.ndarray, fps: int) -> np.ndarray:
    """Speech features (2T, C) of a waveform (N,) at 16 kHz; the slow part of a face, so the last ones are kept."""
    return _speech_features(scale, np.asarray(audio, np.float32).tobytes(), fps)


@lru_cache(maxsize=32)
def _speech_features(scale: str, audio: bytes, fps: int) -> np.ndarray:
    waveform = np.frombuffer(audio, np.float32)
    return to_video_rate(foundation(scale).features(waveform), frames_of(waveform, fps), fps)
