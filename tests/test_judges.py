"""The emotion judges see shape alone: no unit, no identity, no frame rate."""

import numpy as np
import pytest
import torch

from lib.errors import InputError
from lib.models.judges import (
    CourseJudge,
    CourseNetwork,
    Discriminants,
    StatisticsJudge,
    displacement,
    statistics,
)

EMOTIONS = ("neutral", "happy", "sad")


@pytest.fixture
def template():
    points = np.random.default_rng(0).normal(size=(68, 3)) * 30
    points[36], points[45] = (-45, 0, 0), (45, 0, 0)                      # eye corners 90 mm apart
    return points


@pytest.fixture
def faces(template):
    """Three expressions, 20 clips each: every emotion moves all points by its own pattern, plus noise."""
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(3, 68, 3)) * 2
    labels = np.repeat(np.arange(3), 20)
    return [template + patterns[k] + rng.normal(size=(30, 68, 3)) for k in labels], labels


@pytest.fixture
def pair(faces, template):
    clips, labels = faces
    rows = np.stack([statistics(displacement(clip, template)) for clip in clips])
    torch.manual_seed(0)
    network = CourseNetwork(3)
    return StatisticsJudge(EMOTIONS, Discriminants.fit(rows, labels, 3, 0.3)), CourseJudge(EMOTIONS, network)


def test_displacement_is_measured_in_eye_distances(template):
    moved = np.repeat(template[None], 6, 0)
    moved[:, 8, 1] -= 9.0                                                  # the chin, 9 mm down, eyes 90 mm apart
    expected = np.zeros((6, 68, 3))
    expected[:, 8, 1] = -0.1
    assert displacement(moved, template) == pytest.approx(expected.reshape(6, 204), abs=1e-6)


def test_the_unit_of_the_landmarks_does_not_matter(pair, faces, template):
    for judge in pair:
        in_mm, in_m = judge.predict_proba(faces[0][5], template), judge.predict_proba(faces[0][5] / 1e3, template / 1e3)
        assert in_mm == pytest.approx(in_m, abs=1e-4)


def test_a_slow_motion_looks_the_same_at_twice_the_frame_rate(template):
    t = np.linspace(0, 1, 51)[:, None, None]
    slow = template + 5 * np.sin(2 * np.pi * t)
    assert displacement(slow, template, fps=50) == pytest.approx(displacement(slow[:50:2], template), abs=1e-6)


def test_discriminants_of_two_equal_clouds_split_them_in_the_middle():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 2))
    rows = np.concatenate([cloud - [2, 0], cloud + [2, 0]])
    judge = Discriminants.fit(rows, np.repeat([0, 1], 500), 2, shrinkage=0.0)
    middle = judge(rows.mean(0))
    assert middle[0] == pytest.approx(middle[1], abs=1e-9)
    assert judge(np.array([1.0, 5.0])).argmax() == 1
    posterior = np.diff(judge(rows.mean(0) + [0.5, 0.0]))[0]
    assert posterior == pytest.approx(4 * 0.5, rel=0.15)                   # log odds of N(2, 1) against N(-2, 1) is 4 x


def test_the_linear_judge_recognises_what_it_was_shown(pair, faces, template):
    clips, labels = faces
    assert [EMOTIONS.index(pair[0].predict(clip, template)) for clip in clips] == labels.tolist()


def test_a_subset_of_emotions_shares_the_probability(pair, faces, template):
    judge = pair[1]
    everything = judge.predict_proba(faces[0][0], template)
    some = judge.predict_proba(faces[0][0], template, emotions=("sad", "happy"))
    assert everything.sum() == pytest.approx(1) and some.sum() == pytest.approx(1)
    assert some[0] / some[1] == pytest.approx(everything[2] / everything[1], rel=1e-6)
    for judge in pair:
        assert judge.predict(faces[0][0], template, emotions=("sad", "happy")) in ("sad", "happy")


def test_a_judge_gives_numbers_without_gradient(pair):
    assert not any(p.requires_grad for p in pair[1].network.parameters()) and not pair[1].network.training


@pytest.mark.parametrize(("landmarks", "message"), [
    (np.zeros((10, 67, 3)), "68, 3"),
    (np.zeros((10, 68, 2)), "68, 3"),
    (np.full((10, 68, 3), np.nan), "finite"),
    (np.zeros((3, 68, 3)), "5 frames"),
])  # fmt: skip
def test_unusable_landmarks_are_refused(pair, template, landmarks, message):
    with pytest.raises(InputError, match=message):
        pair[0].predict_proba(landmarks, template)


def test_an_emotion_the_judge_does_not_know_is_named(pair, faces, template):
    with pytest.raises(InputError, match="bored"):
        pair[0].predict_proba(faces[0][0], template, emotions=("happy", "bored"))
