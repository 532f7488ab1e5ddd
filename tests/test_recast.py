"""A face changed on a stored sound."""

import numpy as np
import pytest

from lib.face.rig import index
from lib.puppet.actors import actor
from lib.puppet.corpus import counterfactual, synthesise
from lib.puppet.recast import recast
from lib.puppet.spec import ClipSpec


@pytest.fixture(scope="module")
def clip():
    return synthesise(ClipSpec(3, "sad", 0.6, "en-main-001"))


def test_a_recast_clip_is_the_counterfactual_with_the_sound_kept(clip):
    changed = {"emotion": "happy", "intensity": 1.0}
    assert recast(clip, **changed).digest == counterfactual(clip.spec, face_only=True, **changed).digest


def test_without_changes_nothing_changes(clip):
    assert recast(clip).digest == clip.digest


def test_the_manner_of_a_more_expressive_actor_moves_the_brows_more_on_the_same_head(clip):
    most = max(range(16), key=lambda number: actor(number).expressivity)
    least = min(range(16), key=lambda number: actor(number).expressivity)
    brow = index("browInnerUp")
    raised = {number: recast(clip, manner_of=number).audible[:, brow].mean() for number in (most, least)}
    assert raised[most] > 1.2 * raised[least]                                 # expressivities differ by a factor of two
    assert np.array_equal(recast(clip, manner_of=most).neutral(), clip.neutral())
