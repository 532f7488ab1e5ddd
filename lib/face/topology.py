"""Topologies: triangles, named regions and landmarks of each face mesh the study uses."""

import functools
from dataclasses import dataclass

import numpy as np

from lib.paths import asset


@dataclass(frozen=True, eq=False)
class Topology:
    """Connectivity of a face mesh.

    faces (F, 3) int32; regions name -> vertex indices; landmarks (68,) vertex indices in iBUG order, empty when the
    mesh has none; mm_per_unit = sqrt(surface area of the mean face in mm^2), the unit in which BIWI's released meshes
    are scaled, so that a distance in units times mm_per_unit is in mm; parts name -> indices (skin, lips, eyeballs...).
    """

    name: str
    faces: np.ndarray
    regions: dict[str, np.ndarray]
    landmarks: np.ndarray
    mm_per_unit: float
    parts: dict[str, np.ndarray]

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return int(self.faces.max()) + 1


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
