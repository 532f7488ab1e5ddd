"""Every system as the player drives it, at smoke scale."""

import numpy as np
import pytest

from lib import player
from lib.errors import InputError


@pytest.fixture(scope="module", params=["eavanet", "ecm", "emoface", "cfd", "vnet"])
def animator(request):
    return player.load(request.param, "smoke")


def test_the_player_gets_every_frame_of_every_vertex(animator):
    sound = animator.clips[0][1][:16000]
    face = animator.animate(sound, animator.emotions[-1], 1.0)
    assert face.shape == (int(animator.fps), animator.topology.n_vertices, 3) and np.isfinite(face).all()


def test_unknown_emotions_and_speakers_are_refused_by_name(animator):
    with pytest.raises(InputError, match="joyful"):
        animator.animate(animator.clips[0][1], "joyful", 1.0)
    with pytest.raises(InputError, match="actor 999"):
        animator.animate(animator.clips[0][1], animator.emotions[0], 1.0, "actor 999")


def test_a_constant_intensity_per_frame_is_the_intensity_of_the_clip():
    ecm = player.load("ecm", "smoke")
    sound = ecm.clips[0][1][:16000]
    emotion = next(e for e in ecm.emotions if e != "neutral")
    whole = ecm.animate(sound, emotion, 0.7)
    assert np.allclose(ecm.animate(sound, emotion, np.full(len(whole), 0.7)), whole, atol=1e-4)
    rising = ecm.animate(sound, emotion, np.linspace(0, 1, len(whole)))
    assert np.abs(rising[-3] - whole[-3]).max() > 0


def test_an_unknown_system_is_answered_with_those_known():
    with pytest.raises(InputError, match="eavanet, ecm, emoface"):
        player.load("voca", "smoke")
