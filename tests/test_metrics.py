"""Metrics: numbers one can check by hand, then invariances, then the official implementations."""

import json

import numpy as np
import pytest

from lib import metrics
from lib.errors import InputError
from lib.paths import find_asset


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def one_frame(n_points=3, axes=3):
    return np.zeros((1, n_points, axes)), np.zeros((1, n_points, axes))


def moving(rng, frames=12, points=68, axes=3):
    return rng.standard_normal((frames, points, axes)) * 5 + np.linspace(0, 100, points)[:, None]


def test_lve_is_the_largest_lip_distance_and_ignores_other_vertices():
    pred, truth = one_frame()
    pred[0, 0] = [3, 4, 0]                             # lip vertex, distance 5
    pred[0, 2] = 100                                   # not a lip vertex
    assert metrics.lip_vertex_error(pred, truth, [0, 1]).tolist() == [5.0]
    assert metrics.lip_vertex_error(pred, truth, [0, 1], squared=True).tolist() == [25.0]


def test_centred_lve_forgives_a_shift_of_the_whole_mouth():
    pred, truth = one_frame()
    pred[:, :2] = [0, 7, 0]
    assert metrics.centred_lip_vertex_error(pred, truth, [0, 1]).tolist() == [0.0]
    assert metrics.lip_vertex_error(pred, truth, [0, 1]).tolist() == [7.0]


def test_vertex_error_has_three_readings():
    pred, truth = one_frame(n_points=2)
    pred[0, 0] = [3, 4, 0]                             # one of two vertices is 5 away
    readings = {form: metrics.vertex_error(pred, truth, form=form)[0] for form in ("squared", "coordinate", "distance")}
    assert readings == pytest.approx({"squared": 12.5, "coordinate": 12.5 / 3, "distance": 2.5})


def test_fdd_of_a_still_face_is_the_spread_of_the_true_motion():
    truth = np.zeros((2, 1, 3))
    truth[1, 0, 0] = 2.0                               # squared distance 0, 4: standard deviation 2; un-squared 1
    still, template = np.zeros_like(truth), np.zeros((1, 3))
    assert metrics.upper_face_dynamics(still, truth, template, [0]) == 2.0
    assert metrics.upper_face_dynamics(still, truth, template, [0], squared=False) == 1.0
    assert metrics.upper_face_dynamics(truth, still, template, [0]) == -2.0
    assert metrics.upper_face_dynamics(truth, still, template, [0], form="absolute") == 2.0


def test_signed_fdd_cancels_between_vertices_but_the_vertex_form_does_not():
    truth, pred = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    truth[1, 0, 0], pred[1, 1, 0] = 2.0, 2.0           # the wrong vertex moves by the right amount
    template = np.zeros((2, 3))
    assert metrics.upper_face_dynamics(pred, truth, template, [0, 1]) == 0.0
    assert metrics.upper_face_dynamics(pred, truth, template, [0, 1], form="vertex") == 2.0


def test_rig_error_counts_active_controllers_and_scales():
    truth = np.array([[0.0, 0.0], [1.0, 0.0]])         # the second controller never moves
    pred = np.zeros_like(truth)
    assert metrics.rig_error(pred, truth).tolist() == [0.0, 0.5]
    assert metrics.rig_error(pred, truth, active_above=0.01).tolist() == [0.0, 1.0]
    assert metrics.rig_error(pred, truth, scale=[0.5, 0.0]).tolist() == [0.0, 2.0]
    assert metrics.rig_error(pred, truth, controllers=[1]).tolist() == [0.0, 0.0]
    assert np.isnan(metrics.rig_error(pred, truth, controllers=[1], active_above=0.01)).all()


# Lip movement error ---------------------------------------------------------------------------------------------------

LIPS = metrics.LipPoints(lips=(0, 1, 2), corners=(0, 1), brows=(3, 4), inner_brows=(5, 6), nose_base=7)


def faces(rng, frames=5):
    """A face whose landmarks move a little from frame to frame, (T, 9, 3); the last point is on the forehead."""
    rest = np.array([[-2, -3, 0], [2, -3, 0], [0, -2.5, 0.5], [-4, 3, -1], [4, 3, -1], [-1, 2, 0], [1, 2, 0],
                     [0, 0, 1.5], [0, 5, 0]], float)
    return rest + 0.1 * rng.standard_normal((frames, 9, 3))


def test_lip_movement_error_is_a_distance_and_reduces_by_mean_or_maximum():
    pred, truth = one_frame(9)
    pred[0, 0] = [3, 4, 0]                             # one of three lip points is 5 away
    scores = {r: metrics.lip_movement_error(pred, truth, points=LIPS, align="none", reduce=r) for r in ("mean", "max")}
    assert scores["mean"].tolist() == [5 / 3] and scores["max"].tolist() == [5]


def test_the_released_alignment_forgives_any_turn_shift_and_size_of_the_head(rng):
    truth = faces(rng)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    pred = 1.3 * truth @ turn.T + 7
    assert metrics.lip_movement_error(pred, truth, points=LIPS, align="none").mean() > 1
    # two alternating smallest rotations approach the turn; five rounds leave a remainder
    aligned = metrics.aligned_on_landmarks(pred, truth, LIPS, rounds=60)
    assert np.abs(aligned - truth).max() < 1e-6


def test_the_released_alignment_forgives_a_mouth_in_the_wrong_place_and_the_rigid_one_does_not(rng):
    truth = faces(rng)
    pred = truth.copy()
    pred[:, :3, 1] -= 0.5                              # jaw and lips too low by 0.5
    upper = [3, 4, 5, 6, 7, 8]
    errors = {align: metrics.lip_movement_error(pred, truth, points=LIPS, align=align, anchors=upper).mean()
              for align in ("landmarks", "none", "rigid")}
    assert errors == pytest.approx({"landmarks": 0.0, "none": 0.5, "rigid": 0.5}, abs=1e-9)


def test_the_smallest_rotation_turns_one_axis_into_the_other_and_leaves_their_normal():
    x, y, z = np.eye(3)[:, None]
    turn = metrics.smallest_rotation(2 * x, 3 * y)[0]
    assert np.allclose(turn @ x[0], y[0]) and np.allclose(turn @ z[0], z[0]) and np.isclose(np.linalg.det(turn), 1)


def test_moved_to_the_template_takes_the_first_expression_away():
    vertices = np.arange(12.0).reshape(2, 2, 3)
    moved = metrics.moved_to_template(vertices, np.ones((2, 3)))
    assert moved[0].tolist() == np.ones((2, 3)).tolist() and moved[1].tolist() == np.full((2, 3), 7.0).tolist()


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: metrics.lip_movement_error(x, x), "region index 3543 outside the 9 points"),
    (lambda x: metrics.lip_movement_error(x, x, points=LIPS, align="rigid"), "a region is a non-empty list"),
    (lambda x: metrics.lip_movement_error(x, x, points=LIPS, align="best"), "align='best' is unknown"),
    (lambda x: metrics.aligned_on_landmarks(x, 0 * x + 1, LIPS), "do two landmarks coincide"),
    (lambda x: metrics.smallest_rotation(x[:, 0], -x[:, 0]), "upside down"),
    (lambda x: metrics.moved_to_template(x, x[0, :4]), "template"),
])  # fmt: skip
def test_faces_that_cannot_be_compared_are_named(rng, call, message):
    with pytest.raises(InputError, match=message):
        call(faces(rng))


def test_lmd_of_chen_is_twenty_times_the_mouth_distance(rng):
    pred, truth = moving(rng), moving(rng)
    chen, mouth = (metrics.landmark_distance(pred, truth, **metrics.LMD_VARIANTS[v]) for v in ("chen", "mouth"))
    assert chen == pytest.approx(20 * mouth)


def test_lmd_centred_forgives_translation_and_scales_with_the_picture(rng):
    truth = moving(rng, axes=2)
    assert metrics.landmark_distance(truth + [3, 4], truth).tolist() == pytest.approx([5.0] * 12)
    assert metrics.landmark_distance(truth + [3, 4], truth, align="centred") == pytest.approx(np.zeros(12), abs=1e-12)
    pred = moving(rng, axes=2)
    assert metrics.landmark_distance(2 * pred, 2 * truth) == pytest.approx(2 * metrics.landmark_distance(pred, truth))
    shares = [metrics.landmark_distance(s * pred, s * truth, normalise="eyes") for s in (1, 2)]
    assert shares[0] == pytest.approx(shares[1])


@pytest.mark.parametrize("axes", [2, 3])
def test_similarity_alignment_undoes_rotation_scale_and_shift_and_rigid_keeps_scale(rng, axes):
    truth = moving(rng, axes=axes)
    turn = np.linalg.qr(rng.standard_normal((axes, axes)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn))
    assert metrics.landmark_distance(3 * truth @ turn + 7, truth, align="similarity").max() < 1e-9
    assert metrics.landmark_distance(truth @ turn + 7, truth, align="rigid").max() < 1e-9
    assert metrics.landmark_distance(truth @ turn + 7, truth, align="stable").max() < 1e-9
    assert metrics.landmark_distance(3 * truth, truth, align="rigid").min() > 1


def test_rigid_alignment_never_mirrors(rng):
    truth = moving(rng)
    assert metrics.landmark_distance(truth * [-1, 1, 1], truth, align="rigid").min() > 0.1


def test_shifted_lmd_finds_a_lag_of_two_frames(rng):
    track = moving(rng, frames=30)
    late, truth = track[:-2], track[2:]                # the prediction shows frame t - 2
    value, shift = metrics.shifted_landmark_distance(late, truth)
    assert (value, shift) == (0.0, 2)


def test_lip_opening_and_width_errors_are_differences_of_distances():
    truth = np.zeros((1, 68, 2))
    truth[0, 66], truth[0, 64], truth[0, 45] = [0, -10], [40, 0], [80, 0]
    pred = truth.copy()
    pred[0, 66] = [0, -4]
    assert metrics.lip_opening_error(pred, truth).tolist() == [6.0]
    assert metrics.lip_width_error(pred, truth).tolist() == [0.0]
    assert metrics.lip_opening_error(pred, truth, normalise="eyes").tolist() == [6 / 80]


def test_dynamics_of_a_doubled_motion_are_twice_the_truth(rng):
    truth = rng.standard_normal((40, 5, 3))
    forms = metrics.amplitude_ratio, metrics.energy_ratio, metrics.jerk_ratio
    assert [form(2 * truth + 9, truth) for form in forms] == pytest.approx([2, 2, 2])
    assert np.isnan(metrics.amplitude_ratio(truth, np.zeros_like(truth)))


def test_jerk_of_a_parabola_is_zero_and_of_a_cubic_six():
    t = np.arange(10.0)
    assert metrics.jerk(t**2) == pytest.approx(0)
    assert metrics.jerk(t**3) == pytest.approx(6)
    assert metrics.jerk(t**3, fps=10) == pytest.approx(6000)


def test_cancellation_ratio_is_one_for_a_constant_and_zero_for_any_oscillation():
    wave = np.sin(np.arange(100) * 2 * np.pi / 10)
    assert metrics.cancellation_ratio(np.ones(100)) == 1.0
    assert metrics.cancellation_ratio(wave) == pytest.approx(0, abs=1e-12)
    opposite = np.stack([np.ones(100), -np.ones(100)], 1)        # x and y cancel in the released form only
    assert metrics.cancellation_ratio(opposite) == 0.0
    assert metrics.cancellation_ratio(opposite, per_coordinate=True) == 1.0


def test_skill_is_zero_for_the_static_template_and_one_at_the_floor():
    assert metrics.skill([5.0, 1.0, 3.0], 5.0, floor=1.0).tolist() == [0.0, 1.0, 0.5]
    assert np.isnan(metrics.skill(1.0, 1.0, floor=1.0))


def test_roots_of_the_printed_lip_errors_in_millimetres():
    printed = [6.3628e-4, 7.5916e-4, 8.2971e-4]                  # EavaNet, FaceFormer, CodeTalker
    assert [round(metrics.root_mm(e, 185.6), 2) for e in printed] == [4.68, 5.11, 5.35]


def test_evaluate_gives_raw_units_and_millimetres(rng):
    truth = rng.standard_normal((6, 80, 3))
    pred = truth.copy()
    pred[:, 0] += [3, 4, 0]                                       # one lip vertex is 5 mm away in every frame
    regions = {"lips": np.arange(10), "upper_face": np.arange(40, 60)}
    scores = metrics.evaluate(pred, truth, np.zeros((80, 3)), regions, mm_per_unit=100.0, landmarks=np.arange(68))
    assert scores["lve_mm"] == pytest.approx(5.0)
    assert scores["lve"] == pytest.approx(25 / 100**2)
    assert scores["vertex_error_mm"] == pytest.approx(5 / 80)
    assert scores["fdd"] == scores["fdd_abs_mm"] == 0.0
    assert scores["lmd_raw_mm"] == pytest.approx(5 / 68)
    assert all(np.isfinite(list(scores.values())))


def test_torch_tensors_give_the_same_numbers(rng):
    torch = pytest.importorskip("torch")
    pred, truth = moving(rng), moving(rng)
    tensors = torch.tensor(pred, requires_grad=True), torch.tensor(truth)
    assert np.array_equal(metrics.lip_vertex_error(*tensors, [1, 2]), metrics.lip_vertex_error(pred, truth, [1, 2]))


@pytest.mark.parametrize(("pred", "truth", "message"), [
    (np.zeros((3, 4, 3)), np.zeros((2, 4, 3)), "3 predicted against 2 true frames"),
    (np.zeros((2, 5, 3)), np.zeros((2, 4, 3)), "one topology"),
    (np.zeros((2, 4)), np.zeros((2, 4)), "expected 3 axes"),
    (np.zeros((0, 4, 3)), np.zeros((0, 4, 3)), "empty"),
    (np.full((2, 4, 3), np.nan), np.zeros((2, 4, 3)), "NaN"),
])
def test_illegal_inputs_are_named(pred, truth, message):
    with pytest.raises(InputError, match=message):
        metrics.lip_vertex_error(pred, truth, [0])


def test_regions_of_another_mesh_are_refused():
    pred, truth = one_frame()
    for region in ([3], [], [0.5]):
        with pytest.raises(InputError, match="region"):
            metrics.lip_vertex_error(pred, truth, region)
    with pytest.raises(InputError, match="no region 'lips'"):
        metrics.evaluate(pred, truth, truth[0], {}, 1.0)
    with pytest.raises(InputError, match="align='icp' is unknown"):
        metrics.landmark_distance(np.zeros((1, 68, 2)), np.zeros((1, 68, 2)), align="icp")


def test_squared_lve_equals_torchmetrics(rng):
    functional = pytest.importorskip("torchmetrics.functional.multimodal")
    torch = pytest.importorskip("torch")
    pred, truth, lips = moving(rng, points=100), moving(rng, points=100), [3, 5, 8, 13]
    theirs = functional.lip_vertex_error(torch.tensor(pred), torch.tensor(truth), lips)
    assert metrics.lip_vertex_error(pred, truth, lips, squared=True).mean() == pytest.approx(float(theirs), rel=1e-6)


def official_case(name):
    """Inputs of a test vector of the released metric script, regenerated from its seed, and its outputs."""
    load_file = pytest.importorskip("safetensors.numpy").load_file
    folder = find_asset("parity/codetalker")
    regions = find_asset("biwi_topology/regions")
    if folder is None or regions is None:
        pytest.skip("needs biwi_topology/regions and parity/codetalker in STUDY_DATA")
    case = json.loads((folder / f"{name}.json").read_text())
    config, kind = case["config"], np.dtype(case["config"]["dtype_of_arrays"])
    def noise(*key, frames):
        return np.random.default_rng([case["seed"], *key]).standard_normal((*frames, config["vertices"], 3))
    clips = {"preds": [], "truths": [], "templates": []}
    for s, subject in enumerate(config["subjects"]):
        template = (0.2 * noise(s, frames=())).astype(kind)
        for e, sentence in enumerate(config["sentences"]):
            true, predicted = config["frames_true_and_predicted"][f"{subject}_{sentence}"]
            clips["truths"].append((template + 0.010 * noise(s, e, 0, frames=(true,))).astype(kind))
            clips["preds"].append((template + 0.008 * noise(s, e, 1, frames=(predicted,))).astype(kind))
            clips["templates"].append(template)
    lips, upper = (np.loadtxt(regions / f"{part}.txt", delimiter=",", dtype=int, ndmin=1) for part in ("lve", "fdd"))
    return clips, lips, upper, load_file(folder / f"{name}.safetensors")


@pytest.mark.parametrize(("name", "tolerance"), [("metrics_float64", 1e-10), ("metrics_float32", 1e-6)])
def test_lve_and_fdd_equal_the_released_script(name, tolerance):
    clips, lips, upper, official = official_case(name)
    ours = metrics.codetalker_scores(**clips, lips=lips, upper=upper)
    for key, value in ours.items():
        assert np.atleast_1d(value) == pytest.approx(official[f"output.{key}"], rel=tolerance), key
