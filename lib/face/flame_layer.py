"""FLAME as a differentiable layer (Li, Bolkart, Black, Li and Romero, SIGGRAPH Asia 2017): parameters to vertices.

    rest(b, p, q)  = template + sum_k b_k shape_k + sum_k p_k expression_k + corrective (R(q) - I)
    joints(b, p)   = joint_regressor (template + sum_k b_k shape_k + sum_k p_k expression_k)
    vertices       = linear blend skinning of rest about the joints along the kinematic tree

    params (B, T, 56) = expression p (50), head rotation (3), jaw rotation (3), as ECM's F_t; axis times angle; neck and
    eyes stay at zero, as in ECM

One layer, two sources. `read` opens the official generic_model.pkl (metres, 5 joints, 5023 vertices) without running
what is in it; `from_puppet` takes the basis learned from the puppet (mm, joints head and jaw that no shape moves, no
correctives). `flame_layer` takes the official model where it is found. Released programs regress the joints from shape
and expression, the paper from shape alone; the layer follows the programs.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.data import safe_pickle
from lib.errors import AssetMissing, InputError, explain
from lib.face.flame import FlameLike
from lib.face.landmarks import COUNT
from lib.paths import find_asset

MODEL, TOPOLOGY = "flame_model/generic_model.pkl", "flame_topology"      # assets
SHAPES, EXPRESSIONS = 300, 100                   # columns of the official shapedirs: identity first, then expression
OFFICIAL_JOINTS = ("head", "neck", "jaw", "left_eye", "right_eye")
CONTOUR = 17                                     # landmarks of the face outline, the first of the 68
YAWS = 39                                        # the contour table ends at 39 degrees of yaw on either side


# Geometry -------------------------------------------------------------------------------------------------------------


def rotation_matrices(vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis times angle (..., 3): Rodrigues' formula, smooth at zero."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    angle = torch.linalg.vector_norm(vector, dim=-1)[..., None, None]
    sine, versine = torch.sinc(angle / math.pi), torch.sinc(angle / (2 * math.pi)) ** 2 / 2      # both over the angle
    return torch.eye(3).to(vector) + sine * k + versine * (k @ k)


def linear_blend_skinning(rest: Tensor, joints: Tensor, turns: Tensor, parents: tuple[int, ...],
                          weights: Tensor) -> Tensor:
    """Vertices (..., V, 3) of a resting mesh (..., V, 3) whose joints (..., J, 3) turn by `turns` (..., J, 3, 3).

    parents: joint each one hangs on, before it in order; -1 is the root. weights (V, J) sum to one over J. Every vertex
    goes with the weighted mean of the rigid motions of its joints.
    """
    rotations, places = [turns[..., 0, :, :]], [joints[..., 0, :]]
    for joint, parent in list(enumerate(parents))[1:]:
        arm = joints[..., joint, :] - joints[..., parent, :]
        places.append(places[parent] + (rotations[parent] @ arm[..., None])[..., 0])
        rotations.append(rotations[parent] @ turns[..., joint, :, :])
    rotation, place = torch.stack(rotations, -3), torch.stack(places, -2)
    shift = place - (rotation @ joints[..., None])[..., 0]                                         # (..., J, 3)
    rotation = torch.einsum("vj,...jkl->...vkl", weights, rotation)
    return (rotation @ rest[..., None])[..., 0] + weights @ shift


# Data -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Landmarks:
    """68 points on triangles: vertices (68, 3) of each triangle and their shares (68, 3).

    `contour`, `contour_shares` (79, 17, 3): the 17 outline points at every degree of yaw, 0 to 39 and then -1 to -39
    and beyond; `inner`, `inner_shares` (51, 3): the others. All four None where only static points are known.
    """

    corners: np.ndarray
    shares: np.ndarray
    contour: np.ndarray | None = None
    contour_shares: np.ndarray | None = None
    inner: np.ndarray | None = None
    inner_shares: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Basis:
    """What a layer is made from; V vertices, J joints (joint 0 turns the head), distances in `unit` ("m" or "mm")."""

    template: np.ndarray                # (V, 3)
    shape: np.ndarray                   # (V, 3, S)
    expression: np.ndarray              # (V, 3, E)
    correctives: np.ndarray             # (V, 3, 9 (J - 1)), or (V, 3, 0) for none
    joints: np.ndarray                  # (J, 3) of the template
    regressor: np.ndarray               # (J, V): how joints follow the resting face; zeros for fixed joints
    weights: np.ndarray                 # (V, J)
    parents: tuple[int, ...]
    jaw: int
    faces: np.ndarray                   # (F, 3)
    unit: str
    landmarks: Landmarks | None = None


# Layer ----------------------------------------------------------------------------------------------------------------


class FlameLayer(nn.Module):
    """Parameters to vertices and landmarks; nothing in it is trained. `unit` is that of its vertices, "m" or "mm"."""

    def __init__(self, basis: Basis):
        super().__init__()
        self.basis, self.unit, self.parents, self.jaw = basis, basis.unit, basis.parents, basis.jaw
        for name in ("template", "shape", "expression", "correctives", "joints", "regressor", "weights"):
            values = torch.tensor(np.asarray(getattr(basis, name)), dtype=torch.float32)
            self.register_buffer(name, values, persistent=False)
        for name in ("shape", "expression"):
            moved = torch.einsum("jv,vkn->jkn", self.regressor, getattr(self, name))
            self.register_buffer(f"joint_{name}", moved, persistent=False)

    @property
    def n_expression(self) -> int:
        return self.expression.shape[-1]

    @property
    def n_shape(self) -> int:
        return self.shape.shape[-1]

    @property
    def width(self) -> int:
        """Parameters of a frame: expression, head rotation, jaw rotation."""
        return self.n_expression + 6

    @property
    def metres(self) -> float:
        """Length of the layer's unit in metres."""
        return {"m": 1.0, "mm": 1e-3}[self.unit]

    def decode(self, params: Tensor, shape: Tensor | None = None, template: Tensor | None = None,
               only: Tensor | None = None) -> Tensor:
        """Vertices (B, T, V, 3) in `unit` of params (B, T, 56).

        shape (B, S) or (B, T, S): identity in standard deviations; template (V, 3) or (B, V, 3): resting face instead
        of the mean; `only` (K,): just those vertices, at their share of the cost. Raises InputError for other widths
        and values that are not finite.
        """
        self._check(params, shape, template)
        expression, turned = params[..., : self.n_expression], params[..., self.n_expression :]
        if shape is not None:
            shape = shape if shape.ndim == 3 else shape[:, None]
        pose = params.new_zeros(*params.shape[:2], len(self.parents), 3)
        pose[..., 0, :], pose[..., self.jaw, :] = turned[..., :3], turned[..., 3:]
        turns = rotation_matrices(pose)
        rest = self._rest(expression, shape, template, turns, slice(None) if only is None else only)
        joints = self._joints(expression, shape, template)
        weights = self.weights if only is None else self.weights[only]
        return linear_blend_skinning(rest, joints, turns, self.parents, weights)

    def forward(self, params: Tensor, shape: Tensor | None = None, template: Tensor | None = None) -> Tensor:
        return self.decode(params, shape, template)

    def landmarks(self, vertices: Tensor, rotation: Tensor | None = None) -> Tensor:
        """68 landmarks (..., 68, 3) on vertices (..., V, 3), iBUG order.

        rotation (..., 3): head rotation of params; the 17 outline points then move with its yaw to the visible edge of
        the face, where the mesh has a table for it (FLAME has, the puppet has fixed ones). Raises InputError for
        another mesh, AssetMissing where no landmarks of this mesh are known.
        """
        points = self._embedding()
        if vertices.shape[-2:] != self.template.shape:
            raise InputError(f"vertices {tuple(vertices.shape)}: expected (..., {len(self.template)}, 3)")
        if rotation is None or points.contour is None:
            return _on_triangles(vertices, points.corners, points.shares)
        row = contour_row(rotation_matrices(rotation)).flatten().cpu().numpy()
        flat = vertices.reshape(-1, *vertices.shape[-2:])
        outline = _on_triangles(flat, points.contour[row], points.contour_shares[row])
        inner = _on_triangles(flat, points.inner, points.inner_shares)
        return torch.cat([outline, inner], -2).unflatten(0, vertices.shape[:-2])

    def _rest(self, expression: Tensor, shape: Tensor | None, template: Tensor | None, turns: Tensor, only) -> Tensor:
        rest = (self.template if template is None else _per_clip(template))[..., only, :]
        rest = rest + torch.einsum("vke,bte->btvk", self.expression[only], expression)
        if shape is not None:
            rest = rest + torch.einsum("vks,bts->btvk", self.shape[only], shape)
        if self.correctives.shape[-1]:
            feature = (turns[..., 1:, :, :] - torch.eye(3).to(turns)).flatten(-3)
            rest = rest + torch.einsum("vkp,btp->btvk", self.correctives[only], feature)
        return rest

    def _joints(self, expression: Tensor, shape: Tensor | None, template: Tensor | None) -> Tensor:
        joints = self.joints + torch.einsum("jke,bte->btjk", self.joint_expression, expression)
        if shape is not None:
            joints = joints + torch.einsum("jks,bts->btjk", self.joint_shape, shape)
        if template is not None:
            joints = joints + self.regressor @ (_per_clip(template) - self.template)
        return joints

    def _embedding(self) -> Landmarks:
        if self.basis.landmarks is None:
            raise AssetMissing(f"{TOPOLOGY}: landmarks of the FLAME mesh not found; `python -m lib.manifest` says how "
                               "to get the folder")
        return self.basis.landmarks

    def _check(self, params: Tensor, shape: Tensor | None, template: Tensor | None) -> None:
        (clips, frames), mesh = (*params.shape, 0, 0)[:2], tuple(self.template.shape)
        _require("params", params, [(clips, frames, self.width)], f"(clips, frames, {self.width})")
        if shape is not None:
            fitting = [(clips, self.n_shape), (clips, frames, self.n_shape)]
            _require("shape", shape, fitting, f"(clips, {self.n_shape}) or one per frame")
        if template is not None:
            _require("template", template, [mesh, (clips, *mesh)], f"({mesh[0]}, 3) or one per clip")


def _require(name: str, values: Tensor, shapes: list[tuple[int, ...]], expected: str) -> None:
    if tuple(values.shape) not in shapes or not values.numel():
        raise InputError(f"FLAME {name} {tuple(values.shape)}: expected {expected}")
    if not torch.isfinite(values).all():
        raise InputError(f"FLAME {name} contains NaN or infinite values; repair or drop the clip")


def contour_row(turn: Tensor) -> Tensor:
    """Row (...,) of the contour table for head rotations (..., 3, 3): whole degrees of yaw, the nose to +x positive.

    Rows 0 to 39 are the degrees from 0 to 39 and all beyond, rows 40 to 78 those from -1 to -39 and all beyond. The
    sign is that of the mesh (y up, z forward); programs in the picture's frame have the opposite one.
    """
    yaw = torch.atan2(-turn[..., 2, 0], torch.hypot(turn[..., 0, 0], turn[..., 1, 0]))
    degrees = torch.rad2deg(yaw).round().long().clamp(-YAWS, YAWS)
    return torch.where(degrees < 0, YAWS - degrees, degrees)


def _per_clip(template: Tensor) -> Tensor:
    """(V, 3) as it is, (B, V, 3) with an axis for time."""
    return template if template.ndim == 2 else template[:, None]


def _on_triangles(vertices: Tensor, corners: np.ndarray, shares: np.ndarray) -> Tensor:
    """Points (..., L, 3) on vertices (..., V, 3); corners (L, 3), or (N, L, 3) with other triangles in every frame."""
    index = torch.as_tensor(corners, device=vertices.device).long()
    shares = torch.as_tensor(shares, device=vertices.device).to(vertices)[..., None]
    if index.ndim == 2:
        return (vertices[..., index, :] * shares).sum(-2)
    frame = torch.arange(len(vertices), device=vertices.device)[:, None, None]
    return (vertices[frame, index] * shares).sum(-2)


# Sources --------------------------------------------------------------------------------------------------------------


def flame_layer(fallback: FlameLike) -> FlameLayer:
    """The official FLAME where its file is found (asset flame_model), else the puppet's basis; same interface."""
    found = find_asset(MODEL)
    return from_puppet(fallback) if found is None else FlameLayer(read(found))


def from_puppet(like: FlameLike) -> FlameLayer:
    """Layer of the puppet's FLAME-like basis, in mm; its shape parameters are the puppet's identity modes."""
    from lib.puppet import proportions as P
    from lib.puppet.head import N_IDENTITY, NECK_PIVOT, head

    topology, count = head().topology, len(like.template)
    shape = np.stack([head().neutral(row) - head().mean for row in np.eye(N_IDENTITY)], -1)
    corners = np.repeat(topology.landmarks[:, None], 3, 1)
    points = Landmarks(corners, np.tile([1.0, 0.0, 0.0], (len(corners), 1)))
    return FlameLayer(Basis(
        template=like.template, shape=shape, expression=np.moveaxis(like.components, 0, -1),
        correctives=np.zeros((count, 3, 0)), joints=np.stack([NECK_PIVOT, P.JAW_JOINT]),
        regressor=np.zeros((2, count)), weights=np.stack([1 - like.jaw, like.jaw], 1), parents=(-1, 0), jaw=1,
        faces=topology.faces, unit="mm", landmarks=points,
    ))  # fmt: skip


def read(path: Path | str, *, n_shape: int = 100, n_expression: int = 50) -> Basis:
    """Basis of an official FLAME file (generic_model.pkl of FLAME 2017 to 2020), in metres; no code in it can run.

    Landmarks come from the asset flame_topology where that is found. Raises InputError, naming the file and the entry,
    when one is missing or of another shape, when the tree is none, or when numbers are not finite.
    """
    content = safe_pickle.load(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}; expected FLAME's arrays by name")
    template = _numbers(content, "v_template", (None, 3), path)
    count, joints = len(template), len(OFFICIAL_JOINTS)
    directions = _numbers(content, "shapedirs", (count, 3, SHAPES + EXPRESSIONS), path)
    regressor = _numbers(content, "J_regressor", (joints, count), path)
    if not (0 <= n_shape <= SHAPES and 0 < n_expression <= EXPRESSIONS):
        raise InputError(f"FLAME has {SHAPES} shapes and {EXPRESSIONS} expressions, not {n_shape} and {n_expression}")
    return Basis(
        template=template, shape=directions[..., :n_shape],
        expression=directions[..., SHAPES : SHAPES + n_expression],
        correctives=_numbers(content, "posedirs", (count, 3, 9 * (joints - 1)), path), joints=regressor @ template,
        regressor=regressor, weights=_numbers(content, "weights", (count, joints), path),
        parents=_tree(_numbers(content, "kintree_table", (2, joints), path), path),
        jaw=OFFICIAL_JOINTS.index("jaw"), faces=(faces := _faces(content, count, path)), unit="m",
        landmarks=read_landmarks(faces),
    )  # fmt: skip


def read_landmarks(faces: np.ndarray, folder: Path | str | None = None) -> Landmarks | None:
    """Landmarks of the FLAME mesh (asset flame_topology), or None where it is absent or the mesh is another.

    Raises InputError for broken files.
    """
    folder = find_asset(TOPOLOGY) if folder is None else Path(folder)
    if folder is None or not (folder / "flame_landmark_embedding.npz").exists():
        return None
    static = _static(folder / "flame_landmark_embedding.npz")
    if static["static68_face_idx"].max() >= len(faces):
        return None
    points = {"corners": faces[static["static68_face_idx"]], "shares": static["static68_bary"],
              "inner": faces[static["static51_face_idx"]], "inner_shares": static["static51_bary"]}
    dynamic = folder / "flame_dynamic_embedding.npy"
    if not dynamic.exists():
        return Landmarks(points["corners"], points["shares"])
    triangles, shares = _dynamic(dynamic, len(faces))
    return Landmarks(**points, contour=faces[triangles], contour_shares=shares)


def _static(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        shapes = {f"static{n}_{part}": (n, *rest) for n in (COUNT - CONTOUR, COUNT)
                  for part, rest in (("face_idx", ()), ("bary", (3,)))}
        wrong = [name for name, shape in shapes.items() if found[name].shape != shape]
    except Exception as error:                                  # numpy, zipfile and zlib each raise their own kinds
        raise InputError(f"{path}: no landmark table of FLAME ({explain(error)}); get it again") from error
    if wrong:
        raise InputError(f"{path}: {wrong[0]} has shape {found[wrong[0]].shape}, expected {shapes[wrong[0]]}")
    return {name: found[name].astype(int if name.endswith("idx") else float) for name in shapes}


def _dynamic(path: Path, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (79, 17) and shares (79, 17, 3) of the released table, a pickle inside an .npy file."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            content = safe_pickle.loads(file.read(), name=str(path))[()]
        triangles, shares = np.array(content["lmk_face_idx"], int), np.array(content["lmk_b_coords"], float)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: no contour table of FLAME ({explain(error)}); get it again") from error
    rows = 2 * YAWS + 1
    if triangles.shape != (rows, CONTOUR) or shares.shape != (rows, CONTOUR, 3) or triangles.max() >= faces:
        raise InputError(f"{path}: contour table {triangles.shape}; expected ({rows}, {CONTOUR}) triangles of the mesh")
    return triangles, shares


def _numbers(content: dict, name: str, shape: tuple[int | None, ...], path: Path | str) -> np.ndarray:
    """Entry `name` as float64 of the given shape; chumpy arrays and sparse matrices are unwrapped."""
    if name not in content:
        raise InputError(f"{path}: no entry {name!r}; it has {', '.join(map(str, list(content)[:8]))}; is this FLAME?")
    try:
        value = content[name].dense() if isinstance(content[name], safe_pickle.Sparse) else content[name]
        values = np.asarray(value).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {name} is no array of numbers ({explain(error)}); get the file again") from error
    fits = values.ndim == len(shape) and all(w in (None, n) for w, n in zip(shape, values.shape, strict=True))
    if not fits or not values.size:
        wanted = ", ".join("vertices" if size is None else str(size) for size in shape)
        raise InputError(f"{path}: {name} has shape {values.shape}; expected ({wanted})")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds NaN or infinity; get the file again")
    return values


def _tree(table: np.ndarray, path: Path | str) -> tuple[int, ...]:
    """Parents of the joints; the root's is stored as 2^32 - 1."""
    parents = (-1, *(int(parent) for parent in table[0, 1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise InputError(f"{path}: kintree_table {parents} is no tree; each joint must hang on one before it")
    return parents


def _faces(content: dict, count: int, path: Path | str) -> np.ndarray:
    faces = _numbers(content, "f", (None, 3), path).astype(np.int64)
    if faces.min() < 0 or faces.max() >= count:
        raise InputError(f"{path}: triangles name vertices 0 to {faces.max()}; the template has {count}")
    return faces
