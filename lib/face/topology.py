"""Topologies: triangles, named regions and landmarks of each face mesh the study uses."""

import functools
from dataclasses import dataclass, field

import numpy as np

from lib.paths import asset


@dataclass(frozen=True, eq=False)
class Topology:
    """Connectivity of a face mesh.

    faces (F, 3) int32; regions name -> vertex indices; landmarks (68,) vertex indices in iBUG order, empty when the
    mesh has none; mm_per_unit = sqrt(surface area of the mean face in mm^2), the unit in which BIWI's released meshes
    are scaled, so that a distance in units times mm_per_unit is in mm; parts name -> indices (skin, lips, eyeballs...);
    tints name -> weight 0..1 of every vertex, for parts that fade into the skin (brows painted on, lips).
    """

    name: str
    faces: np.ndarray
    regions: dict[str, np.ndarray]
    landmarks: np.ndarray
    mm_per_unit: float
    parts: dict[str, np.ndarray]
    tints: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_vertices(self) -> int:
        """Number of vertices; some of a named part may belong to no triangle (the ends of the ICT face's lashes)."""
        return 1 + max([int(self.faces.max()), *(int(np.max(ids)) for ids in self.parts.values() if len(ids))])


def surface_area(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Area of a triangle mesh, (V, 3) and (F, 3), in the squared unit of the vertices."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2)


@functools.cache
def puppet() -> Topology:
    """The embedded head."""
    from lib.puppet.head import head

    return head().topology


@functools.cache
def ict() -> Topology:
    """The ICT face (asset `ict_face_model`)."""
    from lib.face.ict import ict_face

    return ict_face().topology


@functools.cache
def biwi() -> Topology:
    """The BIWI mesh with CodeTalker's regions (asset `biwi_topology`)."""
    from lib.face.biwi import biwi_face

    return biwi_face().topology


@functools.cache
def flame() -> Topology:
    """The FLAME mesh with ProbTalk3D's regions (asset `flame_topology`); its vertices are in metres."""
    from lib.data import mesh as meshes
    from lib.face.biwi import read_indices

    folder = asset("flame_topology", "get the folder `flame_topology` (see data_manifest.yaml) and set STUDY_DATA")
    mesh = meshes.read(folder / "FLAME_sample.ply")
    faces, vertices = np.asarray(mesh.faces, np.int32), np.asarray(mesh.vertices)
    lve, fdd = (read_indices(folder / "regions" / f"{name}.txt") for name in ("lve", "fdd"))
    unit = float(np.sqrt(surface_area(vertices * 1000.0, faces)))
    regions = {"lips": lve, "mouth": lve, "upper_face": fdd, "lve": lve, "fdd": fdd}
    return Topology("flame", faces, regions, np.zeros(0, np.int32), unit, {})
