"""A trained system as the player and the pictures want it: sound, an emotion and an intensity in, vertices out."""

from collections.abc import Sequence

import numpy as np

from lib.errors import InputError
from lib.experiments.draw import Draw, corpus


class PuppetAnimator:
    """What the animators of all systems share that know no speaker by id: unseen clips, and faces to show them on."""

    def __init__(self, data: Draw, emotions: Sequence[str]):
        self.data, self.emotions = data, tuple(emotions)
        self.fps, self.topology = data.fps, data.topology
        self.actors = {f"actor {number}": int(number) for number in sorted(data.rows("unseen").actor.unique())}
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
