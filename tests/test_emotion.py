"""Recipes, intensity and envelope of emotions."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.rig import ARKIT, index, mirror
from lib.puppet import emotion
from lib.puppet.actors import actor
from lib.puppet.spec import EMOTIONS

COURSE = np.ones(3)


def test_half_intensity_shows_nine_sixteenths():
    assert emotion.response(0.5) == pytest.approx(0.5 * (1 + 0.25 * 0.5))
    assert (emotion.response(0.0), emotion.response(1.0)) == (0.0, 1.0)
    assert (np.diff([emotion.response(x) for x in np.linspace(0, 1, 101)]) > 0).all()


def test_every_emotion_of_the_corpus_has_a_recipe_within_the_rig():
    assert set(emotion.RECIPES) == set(emotion.ARTICULATION) == set(emotion.CARRIAGE) == set(EMOTIONS)
    for name in EMOTIONS:
        assert emotion.recipe(name).min() >= 0 and emotion.recipe(name).max() <= 1


def test_intensity_zero_is_exactly_neutral_for_every_emotion():
    for name in EMOTIONS:
        assert not emotion.emotion_curves(name, 0.0, actor(3), COURSE).any()
        assert emotion.manner(name, 0.0, actor(3)) == emotion.manner("neutral", 1.0, actor(3))
        assert not emotion.carriage(name, 0.0, actor(3), COURSE).any()


def test_expressions_grow_with_expressivity_and_lean_to_the_side_of_the_asymmetry():
    for number in range(8):
        shown = emotion.emotion_curves("happy", 1.0, actor(number), COURSE)[0]
        left, right = shown[index("mouthSmileLeft")], shown[index("mouthSmileRight")]
        size = 0.72 * actor(number).expressivity * actor(number).accent[index("mouthSmileLeft")]
        assert (left + right) / 2 == pytest.approx(size)
        assert np.sign(left - right) == np.sign(actor(number).asymmetry)


def test_upper_faces_of_the_seven_emotions_differ_by_at_least_a_quarter_of_a_control():
    upper = [i for i, name in enumerate(ARKIT) if name.startswith(("brow", "eye", "cheek", "nose"))]
    faces = [emotion.recipe(name)[upper] for name in EMOTIONS]
    gaps = [abs(a - b).max() for i, a in enumerate(faces) for b in faces[:i]]
    assert min(gaps) > 0.25


def test_only_contempt_is_one_sided():
    for name in EMOTIONS:
        one_sided = abs(emotion.recipe(name) - mirror(emotion.recipe(name))).max()
        assert (one_sided > 0.5) == (name == "contempt")


def test_an_emotion_multiplies_the_size_of_speech_rather_than_adding_to_it():
    calm, angry = (emotion.manner(name, 1.0, actor(4)) for name in ("neutral", "angry"))
    assert angry.jaw / calm.jaw == pytest.approx(1 + actor(4).expressivity * 0.25)


def test_rounded_lips_leave_less_room_for_a_smile_and_none_is_taken_from_the_brow():
    smile, speech = np.full((1, 52), 0.5), np.zeros((1, 52))
    speech[0, index("mouthPucker")] = 1.0
    reduced = emotion.room_for_speech(smile, speech)[0]
    assert reduced[index("mouthSmileLeft")] == pytest.approx(0.2)
    assert reduced[index("browInnerUp")] == 0.5


def test_the_envelope_rises_with_speech_and_stays_between_zero_and_one():
    times = np.arange(300) / 100
    activity = (abs(times - 1.5) < 0.5).astype(float)
    course = emotion.envelope(activity, times)
    assert course[150] > course[60] + 0.2
    assert course.min() >= 0 and course.max() <= 1


@pytest.mark.parametrize("intensity", [-0.1, 1.1, float("nan")])
def test_intensity_outside_its_range_is_refused(intensity):
    with pytest.raises(InputError, match="between 0 and 1"):
        emotion.response(intensity)
