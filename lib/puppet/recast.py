"""Another face for a clip whose sound exists: sound, phonemes and timing stay, the expression changes.

`corpus.counterfactual` speaks the sentence again; where only the face changes, the stored sound gives the same curves
in a fraction of the time. It can also lend a clip the ways of another actor, which no spec of a clip can say.
"""

from dataclasses import replace

import numpy as np

from lib.data.clip import SAMPLE_RATE, frame_count
from lib.puppet.corpus import MASTER_FPS, PuppetClip, _curves, speech_activity


def recast(clip: PuppetClip, *, manner_of: int | None = None, **changes) -> PuppetClip:
    """The clip with only its face changed; equals `counterfactual(clip.spec, face_only=True, **changes)`.

    `changes` are `emotion` and `intensity`. `manner_of` is an actor whose expressivity, accent, asymmetry, articulation
    and session state move the face; the head stays that of the clip's own actor.
    """
    spec = clip.spec.changed(face_only=True, **changes)
    mover = spec if manner_of is None else replace(spec, actor=manner_of)
    times_s = np.arange(frame_count(len(clip.audio) / SAMPLE_RATE, MASTER_FPS)) / MASTER_FPS
    return PuppetClip(spec, clip.audio, clip.phonemes,
                      **_curves(mover, clip.phonemes, speech_activity(clip.audio), times_s))
