"""The puppet's head: what a face must do to be believed, in millimetres."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face import landmarks
from lib.face.rig import ARKIT, curves, mirror
from lib.puppet import proportions as P
from lib.puppet.head import N_IDENTITY, Head, head

RNG = np.random.default_rng(3)


def both(name: str, value: float) -> dict[str, float]:
    return {f"{name}Left": value, f"{name}Right": value}


def test_the_head_has_a_few_thousand_finite_vertices_and_every_triangle_names_one():
    h = head()
    assert 3000 <= h.n_vertices <= 5000
    assert np.isfinite(h.mean).all()
    assert h.topology.faces.min() == 0 and h.topology.faces.max() == h.n_vertices - 1


def test_building_twice_gives_the_same_bits():
    again = Head()
    assert np.array_equal(again.mean, head().mean)
    assert np.array_equal(again.vertices(curves(1, jawOpen=1.0)), head().vertices(curves(1, jawOpen=1.0)))


def test_all_curves_at_zero_give_the_neutral_face():
    identity = RNG.normal(size=N_IDENTITY)
    assert np.array_equal(head().vertices(curves(2), identity)[1], head().neutral(identity))


def test_the_neutral_head_is_as_wide_and_as_long_as_a_head():
    h = head()
    skin = h.mean[h.topology.parts["skin"]]
    assert 140 < np.ptp(skin[:, 0]) < 180                                    # adult head breadth
    points = h.mean[h.topology.landmarks]
    assert 105 < points[27, 1] - points[8, 1] < 125                          # bridge of the nose to the chin


@pytest.mark.parametrize("open_, press, roll", [(0.0, 1.0, 0.0), (0.1, 0.6, 0.2), (0.2, 1.0, 0.0)])
def test_lips_are_shut_on_p_b_m(open_, press, roll):
    rig = curves(1, jawOpen=open_, mouthClose=open_, mouthRollLower=roll, mouthRollUpper=roll, **both("mouthPress",
                                                                                                      press))
    assert landmarks.lip_opening(head().landmarks(rig))[0] < 0.5


def test_an_open_jaw_opens_the_lips_by_centimetres_and_in_an_arc():
    h = head()
    opening = landmarks.lip_opening(h.landmarks(curves(1, jawOpen=1.0)))[0]
    assert 25 < opening < 45
    chin = h.topology.landmarks[8]
    arm = np.linalg.norm((h.vertices(curves(3, jawOpen=np.array([0, 0.5, 1.0])))[:, chin] - P.JAW_JOINT)[:, 1:], axis=1)
    assert np.ptp(arm) < 0.5                                                 # the chin keeps its distance to the joint


def test_a_blink_closes_the_lids_and_keeps_them_off_the_eyeball():
    h = head()
    blink = np.linspace(0, 1, 11)
    rig = curves(11, **both("eyeBlink", blink))
    ratio = landmarks.eye_aspect_ratio(h.landmarks(rig))
    assert 0.25 < ratio[0] < 0.35 and ratio[-1] < 0.1 and (np.diff(ratio) < 0).all()
    x = h.vertices(rig)
    for part in ("lashes", "lid_edge"):
        ids = h.topology.parts[part]
        left = ids[h.mean[ids, 0] > 0]
        assert np.linalg.norm(x[:, left] - P.EYE_CENTRE, axis=-1).min() > P.EYE_RADIUS


def test_a_blink_does_not_cross_the_lids_whatever_the_gaze():
    rig = curves(1, **both("eyeBlink", 1.0), **both("eyeLookDown", 1.0), **both("eyeSquint", 1.0))
    assert np.allclose(head().landmarks(rig), head().landmarks(curves(1, **both("eyeBlink", 1.0))), atol=1e-4)


def test_left_and_right_controls_mirror_each_other_exactly():
    h = head()
    rig = np.eye(52, dtype=np.float32)
    there = h.vertices(rig)[:, h.mirror] * np.float32([-1, 1, 1])
    assert np.abs(there - h.vertices(mirror(rig))).max() < 1e-3
    identity = RNG.normal(size=N_IDENTITY)
    face = h.neutral(identity)
    assert np.abs(face[h.mirror] * [-1, 1, 1] - face).max() < 1e-3


def test_shapes_add_up_except_jaw_and_eyes():
    h = head()
    still = h.mean
    a, b = curves(1, mouthSmileLeft=0.6, browInnerUp=0.3), curves(1, mouthFunnel=0.5, cheekPuff=0.4)
    both_ = h.vertices(a + b)[0] - still
    assert np.allclose(both_, h.vertices(a)[0] + h.vertices(b)[0] - 2 * still, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in ARKIT if name != "mouthClose"])
def test_every_control_moves_something_by_millimetres(name):
    h = head()
    moved = np.linalg.norm(h.vertices(curves(1, **{name: 1.0}))[0] - h.mean, axis=1).max()
    assert 0.5 < moved < 60


def test_mouth_shapes_leave_the_upper_face_still_and_brows_leave_the_mouth_still():
    h = head()
    upper, mouth = h.topology.regions["upper_face"], h.topology.regions["mouth"]
    assert np.abs(h.vertices(curves(1, jawOpen=1.0))[0] - h.mean)[upper].max() < 0.5
    assert np.abs(h.vertices(curves(1, browInnerUp=1.0))[0] - h.mean)[mouth].max() == 0


def test_identities_are_distinct_yet_keep_the_lips_shut_and_the_eyes_open():
    h = head()
    for mode in np.eye(N_IDENTITY) * 2.0:
        for sign in (-1, 1):
            face = h.neutral(sign * mode)
            points = face[h.topology.landmarks][None]
            assert np.linalg.norm(face - h.mean, axis=1).max() > 1.0
            assert landmarks.lip_opening(points)[0] < 0.1
            assert 0.22 < landmarks.eye_aspect_ratio(points)[0] < 0.42


def test_eyes_turn_towards_the_named_side_and_keep_their_size():
    h = head()
    pupil = h.topology.parts["pupil"]
    left = pupil[h.mean[pupil, 0] > 0]
    x = h.vertices(curves(1, eyeLookOutLeft=1.0))[0]
    assert (x[left, 0] > h.mean[left, 0] + 4).all()                          # subject's left is to the image right
    assert np.allclose(np.linalg.norm(x[left] - P.EYE_CENTRE, axis=1), P.EYE_RADIUS, atol=0.01)


def test_a_subset_of_vertices_equals_the_same_rows_of_all():
    h = head()
    rig, pose = RNG.uniform(0, 1, (4, 52)).astype(np.float32), RNG.normal(0, 0.2, (4, 3))
    only = np.r_[h.topology.landmarks, h.topology.parts["iris"][:5]]
    assert np.allclose(h.vertices(rig, None, pose)[:, only], h.vertices(rig, None, pose, only=only), atol=1e-3)


def test_pose_turns_the_head_without_changing_distances():
    h = head()
    rig = curves(1, jawOpen=0.3)
    a, b = h.vertices(rig)[0], h.vertices(rig, None, np.array([[0.1, 0.4, -0.2]]))[0]
    assert np.allclose(np.linalg.norm(a[:-1] - a[1:], axis=1), np.linalg.norm(b[:-1] - b[1:], axis=1), atol=1e-2)
    assert b[h.topology.landmarks[30], 0] > 20                               # yaw to the image right


def test_wrong_identity_and_wrong_curves_are_named():
    with pytest.raises(InputError, match="identity"):
        head().neutral(np.zeros(3))
    with pytest.raises(InputError, match="52"):
        head().vertices(np.zeros((4, 51)))
    with pytest.raises(InputError, match="NaN"):
        head().vertices(np.full((1, 52), np.nan))


def test_the_unit_is_the_root_of_the_skin_area():
    h = head()
    assert 300 < h.topology.mm_per_unit < 420                                # a whole head, not a face mask
    assert set(h.topology.regions) >= {"lips", "mouth", "upper_face", "eyes", "front"}
    assert np.isin(h.topology.landmarks[48:60], h.topology.regions["lips"]).all()
