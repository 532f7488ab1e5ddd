"""The draw of the landmark papers: what is on it, where it lies, and that a seed is a whole replication."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.experiments import tracks as module
from lib.experiments.draw import corpus, draw_split
from lib.experiments.tracks import CROP, FPS, GROUPS, neutral, to_millimetres, to_pixels, tracks
from lib.puppet.spec import SMOKE


@pytest.fixture(scope="module")
def data():
    return tracks("smoke", 0)


def test_groups_are_the_parts_of_the_68_points():
    parts = [GROUPS[name] for name in ("jaw", "brows", "nose", "eyes", "lips")]
    assert sorted(np.concatenate(parts)) == list(range(68)) == GROUPS["all"].tolist()
    assert set(GROUPS["upper"]) == {*GROUPS["brows"], *GROUPS["eyes"]}


def test_every_clip_has_a_track_of_its_length_inside_the_crop(data):
    for row, *kinds in zip(data.table.itertuples(), data.landmarks, data.posed, data.floor, strict=True):
        frames = corpus("smoke")[row.position].frames(FPS)
        for points in kinds:
            assert points.shape == (frames, 68, 2) and points.dtype == np.float32
            assert points.min() > 0 and points.max() < CROP
    assert data.fps == FPS and len(data.specs) == len(data.table)


def test_up_is_up_and_the_crop_has_the_agreed_size(data):
    faces = np.stack([neutral(actor) for actor in SMOKE.actors])
    assert (faces[:, GROUPS["brows"], 1].max(1) < faces[:, GROUPS["lips"], 1].min(1)).all()       # y grows downwards
    assert (faces[:, 36, 0] < faces[:, 45, 0]).all()     # the subject's right eye is left in the picture
    jaw = np.linalg.norm(faces[:, 0] - faces[:, 16], axis=-1)
    assert abs(jaw.mean() - 150) < 10


def test_the_camera_is_one_similarity_and_can_be_undone():
    rng = np.random.default_rng(0)
    points = rng.normal(scale=50, size=(7, 68, 3))
    seen = to_pixels(points)
    assert to_millimetres(seen) == pytest.approx(points[..., :2])
    a, b = np.linalg.norm(np.diff(points[..., :2], axis=1), axis=-1), np.linalg.norm(np.diff(seen, axis=1), axis=-1)
    assert b / a == pytest.approx(module.camera())


def test_head_motion_is_only_in_posed_and_nuisance_not_in_the_floor(data):
    nose = GROUPS["nose"][:3]                    # the bridge: no muscle of the puppet moves it far
    for still, posed, floor in zip(data.landmarks, data.posed, data.floor, strict=True):
        assert still[:, nose].std(0).max() < 1.0
        assert posed[:, nose].std(0).max() > still[:, nose].std(0).max()
        assert not np.array_equal(still, floor)


def test_the_exact_face_of_the_own_emotion_is_the_floor_and_intensity_zero_is_neutral(data):
    for index in (0, len(data.table) - 1):
        row = data.table.loc[index]
        assert data.truth_of(index, row.emotion, row.intensity) == pytest.approx(data.floor[index], abs=1e-4)
        assert np.array_equal(data.truth_of(index, "happy", 0.0), data.truth_of(index, "sad", 0.0))
        other = data.truth_of(index, "surprised", 1.0)
        assert np.abs(other - data.truth_of(index, "neutral", 1.0))[:, GROUPS["brows"]].max() > 2.0


def test_parts_are_those_of_the_split_and_seeds_differ(data):
    split, names = draw_split(SMOKE, 0), {"test": "unseen", "test_seen": "seen", "train": "train", "val": "val"}
    assert [names[split.part(spec)] for spec in data.specs] == data.table.part.tolist()
    train, unseen = data.rows("train"), data.rows("unseen")
    assert not set(train.actor) & set(unseen.actor) and not set(train.sentence) & set(unseen.sentence)
    other = tracks("smoke", 1)
    assert other.drawn != data.drawn and set(other.rows("unseen")["clip"]) != set(unseen["clip"])


def test_emotions_restrict_the_clips():
    assert set(tracks("smoke", 0, ("neutral", "happy")).table.emotion) == {"neutral", "happy"}
    with pytest.raises(InputError, match="none is in the corpus"):
        tracks("smoke", 0, ("contempt",))
    with pytest.raises(InputError, match="poster"):
        tracks("poster", 0)
