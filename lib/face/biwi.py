"""Puppet motion on the BIWI topology (asset `biwi_topology`): 23,370 vertices, the regions of CodeTalker's metrics.

No landmarks of that mesh are published here, so feature points are found by geometry: the mesh is open at the mouth
and at both eyes, which gives the corners of eyes and mouth, the middles of all lids and of the seam of the lips;
the tip of the nose is the point nearest to the viewer. A similarity and a thin-plate warp through them lay the puppet
on the mesh; each vertex then takes the displacement of the nearest puppet skin, upper and lower lip kept apart.
The puppet's identity does not enter: the template stays the subject, only motion is carried over.
"""

import functools
from pathlib import Path

import numpy as np

from lib.data import mesh as meshes
from lib.face.alignment import similarity
from lib.face.topology import Topology
from lib.paths import asset
from lib.puppet.head import Head, head

ASSET = "biwi_topology"
REMEDY = "get the folder `biwi_topology` (see data_manifest.yaml) and name its parent in STUDY_DATA"
MM_PER_UNIT = 185.6                       # mean of the 14 subjects; meshes are scaled to surface area 1
NEIGHBOURS = 8
SMOOTHING = 15                            # rounds over mesh neighbours; the open mouth keeps the lips apart
# landmarks of the puppet that have a geometric counterpart, in the order of `feature_points`
FEATURES = (36, 39, 37, 41, 42, 45, 44, 46, 60, 64, 62, 30)


def read_indices(path: Path) -> np.ndarray:
    """Vertex indices of a region file: 0-based, separated by commas and white space."""
    return np.array(path.read_text().replace(",", " ").split(), np.int64)


def open_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Vertices of each open border of a triangle mesh, longest border first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges, count = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1), axis=0, return_counts=True)
    i, j = edges[count == 1].T
    _, label = connected_components(coo_matrix((np.ones(len(i)), (i, j)), shape=(faces.max() + 1,) * 2), False)
    border = np.unique(np.r_[i, j])
    loops = [border[label[border] == k] for k in np.unique(label[border])]
    return sorted(loops, key=len, reverse=True)


def _slit(p: np.ndarray) -> list[np.ndarray]:
    """Left and right end (in the picture) of an open border, and its upper and lower middle."""
    left, right = p[p[:, 0].argmin()], p[p[:, 0].argmax()]
    along = (p - left) @ (right - left) / ((right - left) ** 2).sum()
    height = p[:, 1] - (left[1] + along * (right - left)[1])
    middle = np.abs(along - 0.5) < 0.2
    return [left, right, p[np.where(middle, height, -np.inf).argmax()], p[np.where(middle, height, np.inf).argmin()]]


def feature_points(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The 12 feature points (12, 3) of the BIWI mesh in the order of FEATURES.

    The border of the mouth lies inside the lips, so the middle of the seam is taken between its upper and lower
    middle, on the foremost vertex within 2 mm in front of them.
    """
    _, mouth, *eyes = open_loops(faces)[:4]
    right_eye, left_eye = sorted(eyes, key=lambda loop: vertices[loop, 0].mean())
    left, right, upper, lower = _slit(vertices[mouth])
    gap = np.linalg.norm(vertices[:, :2] - ((upper + lower) / 2)[:2], axis=1)
    seam = vertices[np.where(gap < gap.min() + 0.01 * np.ptp(vertices[:, 0]), vertices[:, 2], -np.inf).argmax()]
    found = [*_slit(vertices[right_eye]), *_slit(vertices[left_eye]), left, right, seam]
    return np.array([*found, vertices[vertices[:, 2].argmax()]])


def thin_plate(source: np.ndarray, target: np.ndarray, smoothing: float = 1.0):
    """Smooth warp of space that carries points (N, 3) to points (N, 3); returns a function of points (M, 3)."""
    from scipy.interpolate import RBFInterpolator

    return RBFInterpolator(source, target, kernel="linear", degree=1, smoothing=smoothing)


class BiwiFace:
    """BIWI mesh driven by the rig; `biwi_face()` returns the shared one. Unit: sqrt(area), see MM_PER_UNIT."""

    def __init__(self):
        folder = asset(ASSET, REMEDY)
        mesh = meshes.read(folder / "BIWI.ply")
        self.mean, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
        lve, fdd = (read_indices(folder / "regions" / f"{name}.txt") for name in ("lve", "fdd"))
        shared = head()
        self._source, self._turn, self._blend = _correspond(self.mean, faces, shared)
        regions = {"mouth": lve, "upper_face": fdd, "lve": lve, "fdd": fdd, "front": np.arange(len(self.mean))}
        self.topology = Topology("biwi", faces, regions, np.zeros(0, np.int32), MM_PER_UNIT, {})
        self._head = shared

    def vertices(self, rig: np.ndarray, template: np.ndarray | None = None) -> np.ndarray:
        """Vertices (T, 23370, 3) in units for rig curves (T, 52) on a subject's template (23370, 3)."""
        motion = self._head.vertices(rig, only=self._source) - self._head.mean[self._source]
        motion = motion @ self._turn.T.astype(np.float32) / MM_PER_UNIT
        flat = self._blend @ np.ascontiguousarray(motion.transpose(1, 0, 2)).reshape(len(self._source), -1)
        still = self.mean if template is None else np.asarray(template, np.float32)
        return still + flat.reshape(len(still), len(rig), 3).transpose(1, 0, 2)


def _correspond(mean: np.ndarray, faces: np.ndarray, shared: Head):
    """Puppet skin vertices used (S,), rotation of motion (3, 3), sparse weights (V, S) of their motion."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    target = mean.astype(float) * MM_PER_UNIT
    features = feature_points(target, faces)
    own = shared.mean[shared.topology.landmarks[list(FEATURES)]].astype(float)
    fit = similarity(own[None], features)
    source = np.concatenate([shared.topology.parts[part] for part in ("skin", "lips", "brows", "lashes", "nostrils")])
    source = np.sort(source[shared.mean[source, 2] > 0])
    placed = fit(shared.mean[source].astype(float)[None])[0]
    placed = thin_plate(fit(own[None])[0], features)(placed)
    left, right = features[8], features[9]
    free_lip = np.where(shared.jaw_weights[source] > 0.41, -1, 1)          # corners take 0.40 of the jaw
    puppet_side = np.abs(_lip_side(placed, left, right, features[10])) * free_lip
    side = np.abs(_lip_side(target, left, right, features[10])) * _lip_by_mesh(target, faces)
    near, distance = np.empty((len(target), NEIGHBOURS), int), np.empty((len(target), NEIGHBOURS))
    for s in (-1, 0, 1):
        wanted, allowed = np.where(side == s)[0], np.where((puppet_side == s) | (puppet_side * s == 0))[0]
        distance[wanted], found = cKDTree(placed[allowed]).query(target[wanted], NEIGHBOURS)
        near[wanted] = allowed[found]
    weight = np.exp(-((distance / (distance[:, [3]] + 1.0)) ** 2))
    weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    rows = np.repeat(np.arange(len(target)), NEIGHBOURS)
    blend = csr_matrix((weight.ravel(), (rows, near.ravel())), shape=(len(target), len(source)))
    average = _neighbour_average(faces, len(target))
    for _ in range(SMOOTHING):
        blend = average @ blend
    return source, fit.rotation[0], blend.tocsr()


def _neighbour_average(faces: np.ndarray, n: int):
    """Sparse matrix (V, V) that replaces each vertex by the mean of itself and its neighbours on the mesh."""
    from scipy.sparse import coo_matrix, diags, eye

    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    linked = coo_matrix((np.ones(2 * len(i), np.float32), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    linked.data[:] = 1.0
    linked = linked + eye(n, dtype=np.float32, format="csr")
    return diags((1 / np.asarray(linked.sum(1)).ravel()).astype(np.float32)) @ linked


def _lip_side(p: np.ndarray, left: np.ndarray, right: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """+1 above and -1 below the line of the mouth, within its width and 14 mm of it; 0 elsewhere, (N,)."""
    line = np.interp(p[:, 0], [left[0], middle[0], right[0]], [left[1], middle[1], right[1]])
    height = p[:, 1] - line
    within = (p[:, 0] > left[0]) & (p[:, 0] < right[0]) & (np.abs(height) < 14) & (p[:, 2] > left[2] - 15)
    return np.where(within, np.where(height > 0, 1, -1), 0)


def _lip_by_mesh(p: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """+1 where the way over the mesh to the upper half of the mouth's border is shorter, -1 for the lower, (N,)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    loop = open_loops(faces)[1]
    left, right = _slit(p[loop])[:2]
    upper = p[loop, 1] > np.interp(p[loop, 0], [left[0], right[0]], [left[1], right[1]])
    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    graph = coo_matrix((np.linalg.norm(p[i] - p[j], axis=1), (i, j)), shape=(len(p),) * 2)
    graph = graph.tocsr().maximum(graph.T.tocsr())
    up, down = (dijkstra(graph, indices=loop[half], min_only=True, limit=60.0) for half in (upper, ~upper))
    return np.where(up < down, 1, -1)


@functools.cache
def biwi_face() -> BiwiFace:
    """The shared BIWI face; raises AssetMissing when the asset is absent."""
    return BiwiFace()
