"""FLAME as a layer: skinning by hand, the puppet's numbers, official files without running what is in them."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse
import torch

from lib.errors import AssetMissing, InputError
from lib.face import flame_layer
from lib.face.flame import FlameLike, rotation_matrix
from lib.face.flame_layer import FlameLayer, contour_row, linear_blend_skinning, rotation_matrices
from lib.face.rig import curves
from lib.paths import find_asset
from lib.puppet.head import N_IDENTITY, head

QUARTER = np.pi / 2
V = 7                                                        # vertices of the small official file


# Geometry -------------------------------------------------------------------------------------------------------------


def test_a_bent_arm_of_two_joints_ends_where_the_hand_computed_it():
    # shoulder at 0, elbow at x = 1; each turns by 90 degrees about z; hand at x = 2, a point of both at x = 1.5
    rest, joints = torch.tensor([[2.0, 0, 0], [0.5, 0, 0], [1.5, 0, 0]]), torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    weights = torch.tensor([[0.0, 1], [1, 0], [0.5, 0.5]])
    turns = rotation_matrices(torch.tensor([[0, 0, QUARTER], [0, 0, QUARTER]]))
    moved = linear_blend_skinning(rest, joints, turns, (-1, 0), weights)
    # the elbow goes to (0, 1, 0) and the hand, turned by 180 degrees, to (-1, 1, 0); the shoulder's point goes to
    # (0, .5, 0); the shared one to the middle of (0, 1.5, 0), where the upper arm takes it, and (-.5, 1, 0), where the
    # lower arm does
    assert moved.numpy() == pytest.approx(np.array([[-1, 1, 0], [0, 0.5, 0], [-0.25, 1.25, 0]]), abs=1e-6)


def test_rotations_are_those_of_the_numpy_code_and_have_a_slope_at_zero():
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    assert rotation_matrices(torch.tensor(vectors)).numpy() == pytest.approx(rotation_matrix(vectors), abs=1e-12)
    zero = torch.zeros(3, requires_grad=True)
    slope = torch.autograd.functional.jacobian(rotation_matrices, zero)
    assert slope[2, 1].tolist() == [1, 0, 0] and slope[0, 2].tolist() == [0, 1, 0]       # R = I + [v]_x for small v


def test_turning_all_joints_by_nothing_changes_nothing():
    rest, joints = torch.randn(4, 9, 3), torch.randn(4, 3, 3)
    turns = torch.eye(3).expand(4, 3, 3, 3)
    weights = torch.softmax(torch.randn(9, 3), -1)
    assert torch.allclose(linear_blend_skinning(rest, joints, turns, (-1, 0, 1), weights), rest, atol=1e-5)


# Puppet ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def like() -> FlameLike:
    rng = np.random.default_rng(0)
    rig = (rng.uniform(0, 0.8, (80, 52)) * (rng.random((80, 52)) < 0.25)).astype(np.float32)
    return FlameLike.fit(head().vertices(rig, None, rng.normal(0, 0.1, (80, 3))))


@pytest.fixture(scope="module")
def puppet(like) -> FlameLayer:
    return flame_layer.from_puppet(like)


@pytest.fixture
def params():
    values = np.random.default_rng(1).normal(size=(6, 56)).astype(np.float32)
    values[:, 50:] *= 0.2
    return values


def test_the_puppets_layer_decodes_as_the_puppets_basis_to_a_hundredth_of_a_millimetre(like, puppet, params):
    ours = puppet.decode(torch.from_numpy(params)[None])
    assert ours.shape == (1, 6, head().n_vertices, 3) and puppet.unit == "mm" and puppet.metres == 1e-3
    assert np.abs(ours[0].numpy() - like.decode(params)).max() < 0.01


def test_an_actors_identity_is_a_shape_or_a_template(like, puppet, params):
    identity = np.random.default_rng(2).normal(size=N_IDENTITY).astype(np.float32)
    neutral, some = torch.from_numpy(head().neutral(identity)), torch.from_numpy(params)[None]
    by_template = puppet.decode(some, template=neutral)
    assert np.abs(by_template[0].numpy() - like.decode(params, neutral.numpy())).max() < 0.01
    assert torch.allclose(puppet.decode(some, shape=torch.from_numpy(identity)[None]), by_template, atol=1e-2)


def test_some_vertices_are_those_of_the_whole_face(puppet, params):
    some, only = torch.from_numpy(params)[None], torch.tensor([5, 3, 900])
    assert torch.allclose(puppet.decode(some, only=only), puppet.decode(some)[:, :, only], atol=1e-4)


def test_every_parameter_has_a_gradient_and_the_jaw_moves_the_lower_teeth_alone(puppet):
    params = torch.zeros(1, 1, 56, requires_grad=True)
    puppet.decode(params)[..., 1].square().sum().backward()
    assert params.grad.isfinite().all() and (params.grad[..., :50].abs() > 0).all()
    opened = torch.zeros(1, 1, 56)
    opened[..., 53] = 0.3
    fall = puppet.decode(opened)[0, 0, :, 1] - puppet.template[:, 1]
    assert fall[puppet.weights[:, 1] == 0].abs().max() < 1e-3 and fall.min() < -10


def test_landmarks_of_the_puppet_are_its_landmark_vertices(puppet):
    vertices = torch.from_numpy(head().vertices(curves(2, jawOpen=0.5)))
    points = puppet.landmarks(vertices[None], rotation=torch.zeros(1, 2, 3))
    assert torch.equal(points, vertices[None][:, :, torch.from_numpy(head().topology.landmarks).long()])


@pytest.mark.parametrize(("arguments", "message"), [
    ((torch.zeros(2, 3, 55),), "params .* 56"),
    ((torch.zeros(3, 56),), "params"),
    ((torch.full((1, 1, 56), float("nan")),), "params contains NaN"),
    ((torch.zeros(2, 3, 56), torch.zeros(2, 300)), "shape"),
    ((torch.zeros(2, 3, 56), torch.zeros(1, N_IDENTITY)), "shape"),
    ((torch.zeros(2, 3, 56), None, torch.zeros(10, 3)), "template"),
])  # fmt: skip
def test_parameters_that_do_not_fit_are_named(puppet, arguments, message):
    with pytest.raises(InputError, match=message):
        puppet.decode(*arguments)


# Official files -------------------------------------------------------------------------------------------------------


@pytest.fixture
def official(monkeypatch):
    """The content of generic_model.pkl in its exact layout, with seven vertices: chumpy arrays, a sparse regressor."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)

    def chumpy(values):
        wrapped = module.Ch()
        wrapped.x, wrapped._dirty_vars, wrapped._itr, wrapped._depends_on_deps = values, set(), None, {}
        return wrapped

    rng = np.random.default_rng(0)
    weights, regressor = rng.random((V, 5)), rng.random((5, V)) * (rng.random((5, V)) < 0.6)
    root = 2**32 - 1
    return {
        "v_template": chumpy(rng.normal(size=(V, 3))), "shapedirs": chumpy(rng.normal(size=(V, 3, 400))),
        "posedirs": chumpy(rng.normal(size=(V, 3, 36))), "weights": chumpy(weights / weights.sum(1, keepdims=True)),
        "J_regressor": scipy.sparse.csc_matrix(regressor / np.maximum(regressor.sum(1, keepdims=True), 1e-9)),
        "J": chumpy(np.zeros((5, 3))), "bs_style": "lbs", "bs_type": "lrotmin",
        "kintree_table": np.array([[root, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "f": np.array([[0, 1, 2], [2, 3, 4], [4, 5, 6]], np.uint32),
    }  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def written(content):
        (tmp_path / "generic_model.pkl").write_bytes(pickle.dumps(content, 2))
        return tmp_path / "generic_model.pkl"

    return written


def values(content, name):
    return content[name].x


def test_an_official_file_is_read_in_metres_with_its_five_joints(official, write):
    basis = flame_layer.read(write(official))
    assert basis.unit == "m" and basis.parents == (-1, 0, 1, 1, 1) and basis.jaw == 2
    assert np.array_equal(basis.template, values(official, "v_template"))
    assert np.array_equal(basis.shape, values(official, "shapedirs")[..., :100])
    assert np.array_equal(basis.expression, values(official, "shapedirs")[..., 300:350])
    assert basis.joints == pytest.approx(official["J_regressor"].toarray() @ basis.template)


def by_definition(official, shape, expression, head_turn, jaw_turn):
    """FLAME written down once more in float64 with homogeneous matrices, one vertex at a time."""
    regressor, weights = official["J_regressor"].toarray(), values(official, "weights")
    betas = np.concatenate([shape, np.zeros(200), expression, np.zeros(50)])
    rest = values(official, "v_template") + values(official, "shapedirs") @ betas
    joints = regressor @ rest
    turns = rotation_matrix(np.array([head_turn, [0] * 3, jaw_turn, [0] * 3, [0] * 3], float))
    rest = rest + values(official, "posedirs") @ (turns[1:] - np.eye(3)).ravel()
    chain = []
    for joint, parent in enumerate((-1, 0, 1, 1, 1)):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - turns[joint] @ joints[joint]
        chain.append(local if parent < 0 else chain[parent] @ local)
    return np.array([(sum(w * m for w, m in zip(row, chain, strict=True)) @ [*v, 1])[:3]
                     for row, v in zip(weights, rest, strict=True)])


def test_the_official_layer_is_flame_by_its_definition(official, write):
    layer = FlameLayer(flame_layer.read(write(official)))
    rng = np.random.default_rng(3)
    shape, params = rng.normal(size=100) * 0.1, np.r_[rng.normal(size=50) * 0.1, rng.normal(size=6)]
    ours = layer.decode(torch.tensor(params[None, None], dtype=torch.float32), torch.tensor(shape[None]).float())
    expected = by_definition(official, shape, params[:50], params[50:53], params[53:])
    assert ours[0, 0].numpy() == pytest.approx(expected, abs=2e-5)


def test_a_template_given_whole_is_the_same_face_as_its_shape_parameters(official, write):
    layer = FlameLayer(flame_layer.read(write(official)))
    shape, params = torch.randn(2, 100) * 0.1, torch.randn(2, 3, 56) * 0.3
    template = layer.template + torch.einsum("vks,bs->bvk", layer.shape, shape)
    assert torch.allclose(layer.decode(params, shape), layer.decode(params, template=template), atol=1e-4)


def test_the_official_file_is_preferred_where_it_is_found(official, write, like, monkeypatch):
    path = write(official)
    monkeypatch.setattr(flame_layer, "find_asset", lambda name: path if name == flame_layer.MODEL else None)
    assert flame_layer.flame_layer(like).unit == "m"
    monkeypatch.setattr(flame_layer, "find_asset", lambda name: None)
    assert flame_layer.flame_layer(like).unit == "mm"


@pytest.mark.parametrize(("change", "message"), [
    (lambda c: c.pop("posedirs"), "generic_model.pkl: no entry 'posedirs'"),
    (lambda c: setattr(c["shapedirs"], "x", np.zeros((V, 3, 150))), r"shapedirs has shape \(7, 3, 150\)"),
    (lambda c: setattr(c["weights"], "x", np.full((V, 5), np.nan)), "weights holds NaN"),
    (lambda c: c.update(weights="none"), "weights is no array of numbers"),
    (lambda c: c.update(J_regressor=scipy.sparse.csc_matrix(np.eye(5, V + 1))), "J_regressor has shape"),
    (lambda c: c.update(kintree_table=np.array([[0, 3, 1, 1, 1], [0, 1, 2, 3, 4]])), "is no tree"),
    (lambda c: c.update(f=np.array([[0, 1, V]])), "triangles name vertices 0 to 7; the template has 7"),
])  # fmt: skip
def test_a_broken_official_file_is_one_error_that_names_the_entry(official, write, change, message):
    change(official)
    with pytest.raises(InputError, match=message):
        flame_layer.read(write(official))


class Runs:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_a_file_that_would_run_a_command_is_refused(official, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="generic_model.pkl: refused"):
        flame_layer.read(write(official | {"f": Runs()}))
    assert not (tmp_path / "ran").exists()


def test_what_is_no_dictionary_is_refused(write):
    with pytest.raises(InputError, match="holds a list"):
        flame_layer.read(write([1, 2]))


# Landmarks of the FLAME mesh ------------------------------------------------------------------------------------------


@pytest.fixture
def mesh():
    if find_asset("flame_topology") is None:
        pytest.skip("asset flame_topology not found: STUDY_DATA names no folder with it")
    from lib.data import mesh as meshes

    sample = meshes.read(find_asset("flame_topology") / "FLAME_sample.ply")
    return np.asarray(sample.vertices), np.asarray(sample.faces)


def still(vertices, faces, points) -> FlameLayer:
    """A FLAME mesh that cannot move, with landmarks."""
    count = len(vertices)
    return FlameLayer(flame_layer.Basis(
        vertices, np.zeros((count, 3, 1)), np.zeros((count, 3, 50)), np.zeros((count, 3, 0)), np.zeros((1, 3)),
        np.zeros((1, count)), np.ones((count, 1)), (-1,), 0, faces, "m", points))  # fmt: skip


def test_the_landmarks_of_flame_lie_where_the_face_has_them(mesh):
    vertices, faces = mesh
    layer = still(vertices, faces, flame_layer.read_landmarks(faces))
    for rotation in (None, torch.zeros(1, 3)):
        points = layer.landmarks(torch.tensor(vertices, dtype=torch.float32)[None], rotation)[0].numpy()
        assert points.shape == (68, 3)
        assert points[36, 0] < points[39, 0] < 0 < points[42, 0] < points[45, 0]          # eye corners, right to left
        assert points[8, 1] < points[57, 1] < points[30, 1] < points[27, 1] < points[19, 1]  # chin to brow
        assert points[30, 2] == points[:, 2].max()                                        # the tip of the nose


@pytest.mark.parametrize("degrees", [30, -30])
def test_the_contour_of_a_turned_head_lies_on_its_visible_edge(mesh, degrees):
    vertices, faces = mesh
    layer = still(vertices, faces, flame_layer.read_landmarks(faces))
    turn = torch.tensor([[0.0, np.radians(degrees), 0.0]], dtype=torch.float32)
    turned = torch.tensor(vertices, dtype=torch.float32)[None] @ rotation_matrices(turn).mT
    far = [13, 14, 15] if degrees > 0 else [1, 2, 3]         # outline on the side that is turned away
    edges = {}
    for name, rotation in (("static", None), ("dynamic", turn), ("wrong way", -turn)):
        points, seen = layer.landmarks(turned, rotation)[0, far].numpy(), turned[0].numpy()
        level = [np.abs(seen[:, 1] - p[1]) < 0.003 for p in points]
        edge = [seen[at, 0].max() if degrees > 0 else seen[at, 0].min() for at in level]
        edges[name] = np.abs(points[:, 0] - edge).max()
    assert edges["dynamic"] < 0.002 and edges["static"] > 0.01 and edges["wrong way"] > 0.01


def test_contour_rows_count_degrees_to_one_side_and_then_to_the_other():
    degrees = torch.tensor([0.0, 0.4, 12.0, 39.0, 80.0, -1.0, -38.6, -80.0])
    turns = rotation_matrices(torch.stack([degrees * 0, torch.deg2rad(degrees), degrees * 0], -1))
    assert contour_row(turns).tolist() == [0, 0, 12, 39, 39, 40, 78, 78]


def test_a_mesh_without_landmarks_says_what_is_missing(official, write):
    layer = FlameLayer(flame_layer.read(write(official)))
    with pytest.raises(AssetMissing, match="flame_topology"):
        layer.landmarks(torch.zeros(1, V, 3))


@pytest.mark.parametrize("name", ["flame_landmark_embedding.npz", "flame_dynamic_embedding.npy"])
def test_broken_landmark_tables_are_named(mesh, tmp_path, name):
    for file in ("flame_landmark_embedding.npz", "flame_dynamic_embedding.npy"):
        (tmp_path / file).write_bytes((find_asset("flame_topology") / file).read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    with pytest.raises(InputError, match=name):
        flame_layer.read_landmarks(mesh[1], tmp_path)
