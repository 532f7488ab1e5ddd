"""Registration: Procrustes and true ICP, templates, the leak of the mouth into the pose, noise of detectors."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.experiments.tracks import neutral, tracks
from lib.face import registration
from lib.face.alignment import Similarity
from lib.face.landmarks import STABLE


@pytest.fixture(scope="module")
def data():
    return tracks("smoke", 0)


def nodding(track: np.ndarray, seed: int = 0) -> tuple[np.ndarray, Similarity]:
    """A track with a head motion in the plane of its own: small turns, sizes and shifts."""
    rng, frames = np.random.default_rng(seed), len(track)
    angle = rng.uniform(-0.15, 0.15, frames)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    moved = Similarity(rng.uniform(0.8, 1.2, frames), turn, rng.uniform(-20, 20, (frames, 2)))
    return moved(track), moved


def test_a_still_face_is_recovered_exactly_whatever_the_head_does():
    face = neutral(3)
    seen, _ = nodding(np.repeat(face[None], 9, 0))
    for on in ("stable", "all"):
        assert registration.register(seen, face, on) == pytest.approx(np.repeat(face[None], 9, 0), abs=1e-3)


def test_head_motion_in_the_plane_changes_nothing_after_registration(data):
    track, template = data.landmarks[0], data.template(0)
    seen, _ = nodding(track)
    assert registration.register(seen, template) == pytest.approx(registration.register(track, template), abs=1e-3)


def test_predictions_go_back_into_the_picture(data):
    track, template = data.posed[0], data.template(0)
    fit = registration.pose(track, template)
    assert registration.inverse(fit)(fit(track)) == pytest.approx(track, abs=1e-3)


def test_icp_equals_procrustes_where_the_correspondences_are_right(data):
    face = neutral(0).astype(float)
    small = Similarity(np.array([1.0]), np.array([[[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]]]),
                       np.array([[2.0, -1.0]]))
    seen = small(face[None])
    found = registration.icp(seen, face)
    assert face[found.partners[0]] == pytest.approx(face)          # upper and lower inner lip are one place when closed
    truth = registration.pose(seen, face, "all", scaled=False)
    assert found.moved.rotation == pytest.approx(truth.rotation, abs=1e-9)
    assert found.moved.shift == pytest.approx(truth.shift, abs=1e-6)


def test_icp_ignores_the_order_of_points_and_procrustes_does_not():
    face = neutral(0).astype(float)
    order = np.random.default_rng(0).permutation(68)
    found = registration.icp(face[None, order] + 1.5, face)
    assert face[found.partners[0]] == pytest.approx(face[order])
    assert found.moved(face[None, order] + 1.5)[0] == pytest.approx(face[order])
    wrong = registration.pose(face[None, order] + 1.5, face, "all", scaled=False)(face[None, order] + 1.5)[0]
    assert np.abs(wrong - face[order]).max() > 5


def test_an_open_mouth_makes_icp_mismatch_points(data):
    clip = int(np.argmax([registration.lip_opening(track).max() for track in data.landmarks]))
    track, template = data.landmarks[clip], data.template(clip)
    widest = track[[registration.lip_opening(track).argmax()]]
    partners = registration.icp(widest, template).partners[0]
    assert (partners != np.arange(68)).any() and len(set(partners)) < 68


def test_a_template_is_the_face_itself_for_one_face_and_the_middle_for_two():
    one, two = (neutral(a).astype(float) for a in (0, 3))
    seen, _ = nodding(np.repeat(one[None], 5, 0))
    mean = registration.mean_shape([seen])
    assert registration.register(mean[None], one)[0] == pytest.approx(one, abs=1e-6)
    both = registration.mean_shape([one[None], two[None]], "all")
    distances = [np.abs(registration.register(both[None], face, "all")[0] - face).mean() for face in (one, two)]
    apart = np.abs(registration.register(two[None], one, "all")[0] - one).mean()
    assert max(distances) < 0.75 * apart
    with pytest.raises(InputError, match="no track"):
        registration.mean_shape([])


def test_speech_moves_the_pose_estimate_of_all_points_and_hardly_that_of_the_stable_ones(data):
    templates = [data.template(i) for i in range(len(data.landmarks))]
    table = registration.leaks(data.landmarks, templates).set_index(["method", "points", "scaled"])
    stable, everything = table.loc[("procrustes", "stable", True)], table.loc[("procrustes", "all", True)]
    assert everything["shift"] > 3 * stable["shift"] and everything.scale_percent > 2 * stable.scale_percent
    assert abs(everything.opening_r) > 0.8                      # the jaw is what moves it
    assert everything.opening_lost > abs(stable.opening_lost)


def test_a_head_that_neither_moves_nor_speaks_leaks_nothing():
    face = neutral(1)
    found = registration.leak(np.repeat(face[None], 6, 0), face)
    assert max(found["rotation_deg"], found["scale_percent"], found["shift"]) < 1e-3 and np.isnan(found["opening_lost"])


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_jitter_recovers_added_noise_and_its_distance(data, sigma):
    rng = np.random.default_rng(0)
    track = np.concatenate(data.landmarks[:8])
    noisy, again = (track + rng.normal(scale=sigma, size=track.shape) for _ in range(2))
    assert registration.jitter(noisy) == pytest.approx(sigma, rel=0.1)
    assert registration.jitter(track) < 0.2 * sigma
    found = np.linalg.norm(noisy - again, axis=-1)[:, STABLE].mean()
    assert registration.noise_distance(sigma) == pytest.approx(found, rel=0.02)


def test_wrong_input_is_refused(data):
    track, template = data.landmarks[0], data.template(0)
    for call, message in (
        (lambda: registration.pose(track, template[:, :1]), "landmarks"),
        (lambda: registration.pose(track, template, "nose"), "nose"),
        (lambda: registration.pose(track, template, method="magic"), "magic"),
        (lambda: registration.pose(track * np.nan, template), "NaN"),
        (lambda: registration.icp(track, np.zeros((5, 3))), "ICP"),
        (lambda: registration.jitter(track[:3]), "4 frames"),
        (lambda: registration.leak(np.zeros((5, 68, 3)), np.zeros((68, 3))), r"\(T, 68, 2\)"),
    ):
        with pytest.raises(InputError, match=message):
            call()
