"""The neutral mesh of the puppet head, built from its proportions: skin, lids, lips, mouth, teeth, tongue, eyes, ears.

Only the subject's left half (x >= 0) is built; the other half is its exact mirror. The skin is one sheet seen from a
point inside the mouth: a smooth distance field through the measured probes gives its shape, rings of vertices follow
the lips and the lids, graded points fill the rest, and a Delaunay triangulation in a stereographic chart joins them.
"""

import functools
from dataclasses import dataclass, field

import numpy as np

from lib.puppet import proportions as P

NECK_CUT_Y = -118.0
LID_RADIUS, LID_INNER_RADIUS = 15.7, 14.9      # lid margin and its inner edge; a straight blink path stays clear
LID_ROWS_MM = (1.4, 3.2, 5.6)                  # rows of vertices around the eye, outwards from the margin
BAG_PARTS = ("lip_inside", "mouth", "mouth", "throat")
LIP_COLUMNS, LIP_ROWS = 10, (0.0, 0.2, 0.45, 0.72, 1.0)
NECK_AXIS_XZ, NECK_HALF_AXES = np.array([0.0, -14.0]), np.array([56.0, 62.0])
NOSTRIL = np.array([6.6, -10.2, 114.0])
AROUND_LIPS_MM = (2.2, 4.8)
FORWARD = np.array([0.0, 0.0, 1.0])
CHART_AXIS = np.array([0.0, 0.848, 0.53])      # its antipode leaves the head through the cut of the neck


@dataclass
class Half:
    """Growing half mesh: positions, part and tag of each vertex, triangles."""

    points: list = field(default_factory=list)
    part: list = field(default_factory=list)
    faces: list = field(default_factory=list)
    tags: dict = field(default_factory=dict)

    def add(self, points: np.ndarray, part: str, tag: str | None = None) -> np.ndarray:
        """Append vertices (N, 3); returns their indices, remembered under `tag`."""
        ids = np.arange(len(self.points), len(self.points) + len(points))
        self.points.extend(np.asarray(points, float))
        self.part.extend([part] * len(points))
        if tag:
            self.tags[tag] = ids
        return ids

    def grid(self, ids: np.ndarray, towards: np.ndarray, closed: bool = False) -> None:
        """Triangles of a grid of vertices (R, C), their front on the side of the direction `towards`."""
        cols = np.concatenate([ids, ids[:, :1]], 1) if closed else ids
        a, b, c, d = cols[:-1, :-1], cols[:-1, 1:], cols[1:, :-1], cols[1:, 1:]
        self.triangles(np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))]), towards)

    def triangles(self, faces: np.ndarray, towards: np.ndarray) -> None:
        """Append triangles, wound so that most of their area looks along `towards`; degenerate ones are dropped."""
        faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])]
        p = np.array(self.points)
        normal = np.cross(p[faces[:, 1]] - p[faces[:, 0]], p[faces[:, 2]] - p[faces[:, 0]])
        out = np.broadcast_to(towards, normal.shape) if np.ndim(towards) == 1 else towards(p[faces].mean(1))
        self.faces.extend(faces if (normal * out).sum() > 0 else faces[:, ::-1])


@dataclass(frozen=True, eq=False)
class Mesh:
    """Whole neutral head: vertices (V, 3) mm, faces (F, 3), part name -> indices, mirror (V,), tags name -> indices.

    Tags hold left-half indices of construction rows (lid margins, lip seams); `mirror[i]` is the mirrored vertex.
    """

    vertices: np.ndarray
    faces: np.ndarray
    parts: dict[str, np.ndarray]
    mirror: np.ndarray
    tags: dict[str, np.ndarray]


def directions(points: np.ndarray) -> np.ndarray:
    """Unit vectors from the origin of the measurements to points (N, 3)."""
    d = points - P.ORIGIN
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


def from_angles(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 3) of latitude and longitude in degrees."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], -1)


def spline(rows: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Smooth curve through rows (N, D), at fractions u of its length."""
    from scipy.interpolate import PchipInterpolator

    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(rows, axis=0), axis=1))]
    return PchipInterpolator(length / length[-1], rows)(u)


class SkinField:
    """Distance to the skin in every direction: cubic radial basis functions through probes, mirrored and smooth."""

    def __init__(self, points: np.ndarray, smoothing: float = 2e-4):
        self.centres = directions(points)
        a = self._basis(self.centres)
        n, distance = len(points), np.linalg.norm(points - P.ORIGIN, axis=1)
        a[:, :n] += smoothing * np.eye(n)
        tail = a[:, n:]
        system = np.block([[a[:, :n], tail], [tail.T, np.zeros((tail.shape[1],) * 2)]])
        self.weights = np.linalg.solve(system, np.r_[distance, np.zeros(tail.shape[1])])

    def _basis(self, d: np.ndarray) -> np.ndarray:
        chords = [np.maximum(2 - 2 * d @ c.T, 0) for c in (self.centres, self.centres * [-1, 1, 1])]   # squared
        return np.c_[chords[0] * np.sqrt(chords[0]) + chords[1] * np.sqrt(chords[1]), np.ones(len(d)), d[:, 1:]]

    def points(self, d: np.ndarray) -> np.ndarray:
        """Skin points (N, 3) in directions d (N, 3)."""
        return P.ORIGIN + d * (self._basis(d) @ self.weights)[:, None]


# --- feature rows ---------------------------------------------------------------------------------------------------

def lip_row(border: np.ndarray, t: float, u: np.ndarray) -> np.ndarray:
    """One row of lip vertices, t = 0 at the seam, 1 at the border; u = 0 in the middle, 1 at the corner."""
    seam, edge = spline(P.LIP_SEAM, u), spline(border, u)
    row = seam + t * (edge - seam)
    row[:, 2] += P.LIP_BULGE * 4 * t * (1 - t) * np.sqrt(np.maximum(1 - u**2, 0))
    return row


def on_eyeball(xy: np.ndarray, radius: float) -> np.ndarray:
    """Points in front of the eyeball at the given distance from its centre; the inner corner stands forward."""
    d = xy - P.EYE_CENTRE[:2]
    z = np.sqrt(np.maximum(radius**2 - (d**2).sum(-1), 20.0))
    corner = 3.2 * np.exp(-(((xy[:, 0] - 18.6) / 2.6) ** 2))
    return np.c_[xy, P.EYE_CENTRE[2] + z + corner]


def lid_loop(n: int = 13) -> np.ndarray:
    """Closed lid margin (2n - 2, 2) in x, y: upper lid from the inner to the outer corner, then the lower lid back."""
    u = (1 - np.cos(np.linspace(0, np.pi, n))) / 2 * 0.35 + np.linspace(0, 1, n) * 0.65
    upper, lower = spline(P.UPPER_LID, u), spline(P.LOWER_LID, u)
    return np.concatenate([upper, lower[-2:0:-1]])


def brow_rows(columns: int = 12) -> list[np.ndarray]:
    """Five rows of x, y along the brow, below to above; the outer two lie on bare skin."""
    line = np.array([P.LANDMARKS[k][:2] for k in range(22, 27)]) + [-0.5, -1.0]
    u = np.linspace(0, 1, columns)
    middle, slope = spline(line, u), np.gradient(spline(line, u), axis=0)
    normal = np.c_[-slope[:, 1], slope[:, 0]] / np.linalg.norm(slope, axis=1, keepdims=True)
    thick = (0.9 + 2.2 * np.sqrt(np.sin(np.pi * (0.12 + 0.8 * u) ** 0.7)))[:, None]
    return [middle + normal * (side * thick + np.sign(side) * extra)
            for side, extra in ((-1, 1.4), (-1, 0), (0, 0), (1, 0), (1, 1.4))]


def offset(loop: np.ndarray, distance: float) -> np.ndarray:
    """Closed clockwise or counter-clockwise loop (N, 2) moved outwards by a distance."""
    tangent = np.roll(loop, -1, 0) - np.roll(loop, 1, 0)
    normal = np.c_[tangent[:, 1], -tangent[:, 0]] / np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.sign(((loop - loop.mean(0)) * normal).sum())
    return loop + distance * side * normal


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points (N, 2) lie inside a polygon (M, 2): even-odd rule."""
    x, y = points[:, 0, None], points[:, 1, None]
    (x0, y0), (x1, y1) = polygon.T, np.roll(polygon, -1, 0).T
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return crosses.sum(1) % 2 == 1


def slim_neck(p: np.ndarray) -> np.ndarray:
    """Points (N, 3) with the neck drawn in to a column: the measured bust widens to shoulders, this head has none."""
    radial = p[:, [0, 2]] - NECK_AXIS_XZ
    r = np.linalg.norm(radial / NECK_HALF_AXES, axis=1)
    column = 1 + 0.08 * np.clip((-90 - p[:, 1]) / 30, 0, 1) ** 2
    below_chin = np.maximum(np.clip((-84 - p[:, 1]) / 6, 0, 1), np.clip((45 - p[:, 2]) / 20, 0, 1))
    amount = np.clip((-58 - p[:, 1]) / 25, 0, 1) * below_chin
    scale = np.where(r > column, 1 - amount * (1 - column / np.maximum(r, 1e-6)), 1.0)
    p = p.copy()
    p[:, [0, 2]] = NECK_AXIS_XZ + radial * scale[:, None]
    return p


# --- skin -----------------------------------------------------------------------------------------------------------

def spacing(p: np.ndarray) -> np.ndarray:
    """Wanted distance between skin vertices at points (N, 3), mm: fine at mouth, nose, eyes and brows."""
    anchors = np.array([[0, -34, 112, 16], [22, -34, 100, 6], [31, 36, 92, 15], [9, -9, 114, 7], [0, 0, 128, 9],
                        [25, 61, 104, 10], [42, 61, 95, 10], [0, 20, 118, 8], [20, -12, 104, 6]])
    gap = np.linalg.norm(p[:, None] - anchors[None, :, :3], axis=-1) - anchors[:, 3]
    grown = np.clip(gap.min(1), 0, None)
    nose = np.exp(-(np.linalg.norm(p - [8, -7, 116], axis=1) / 12) ** 2)
    return np.clip(3.1 + 0.085 * grown, 3.1, 13.0) - 1.0 * nose


def graded_points(skin: SkinField, features: np.ndarray, holes: list[np.ndarray],
                  rng: np.random.Generator) -> np.ndarray:
    """Skin points (N, 3) at the wanted spacing from each other and from the features, outside holes of the chart."""
    from scipy.spatial.distance import cdist

    many, middle = 14000, 700
    lat = np.r_[np.linspace(-89, 250, middle), rng.uniform(-35, 65, many), np.degrees(np.arcsin(rng.uniform(-1, 1,
                                                                                                            many)))]
    lon = np.r_[np.zeros(middle), rng.uniform(0, 50, many), rng.uniform(0, 180, many)]
    d = from_angles(lat, lon)                                # the first go over the top of the head to the nape
    p = skin.points(d)
    p[:middle, 0] = 0.0
    h, flat = spacing(p), chart(d)
    inner = np.arange(len(p)) >= middle
    ok = (p[:, 1] > NECK_CUT_Y + 6) & ~(inner & (p[:, 0] < 0.45 * h))
    ok &= ~np.any([inside(flat, ring) for ring in holes], axis=0)
    n = first = len(features)
    taken, reach = np.empty((6000, 3)), np.empty(6000)
    taken[:n], reach[:n] = features, spacing(features) * 0.72

    def clear(some: np.ndarray, those: slice) -> np.ndarray:
        """Which of the candidates `some` are far enough from all of `those` points taken."""
        least = np.minimum(h[some, None], reach[those] + 0.3 * h[some, None])
        return (cdist(p[some], taken[those], "sqeuclidean") > least**2).all(1)

    for some in np.array_split(np.flatnonzero(ok), 24):      # most are too near to what earlier batches have taken
        before = n
        for i in some[clear(some, slice(before))]:
            if clear([i], slice(before, n)).all():
                taken[n], reach[n] = p[i], h[i]
                n += 1
    return taken[first:n]


def chart(d: np.ndarray) -> np.ndarray:
    """Stereographic chart of unit directions (N, 3) -> (N, 2); keeps angles, so Delaunay stays nearly Delaunay."""
    up = np.array([0.0, CHART_AXIS[2], -CHART_AXIS[1]])
    along = d @ CHART_AXIS
    return np.c_[d[:, 0], d @ up] / (1 + along)[:, None]


def build_skin(half: Half) -> None:
    """Skin sheet of the half head: woven patches at mouth, eye and brow, graded points and Delaunay elsewhere."""
    probes = slim_neck(P.ORIGIN + P.PROBES[:, 2:] * from_angles(P.PROBES[:, 0], P.PROBES[:, 1]))
    u = np.sin(np.pi / 2 * np.linspace(0, 1, LIP_COLUMNS)) ** 0.95
    loop_xy = lid_loop()
    margin = on_eyeball(loop_xy, LID_RADIUS)
    upper, lower = ([lip_row(border, t, u) for t in LIP_ROWS] for border in (P.UPPER_LIP, P.LOWER_LIP))
    skin = SkinField(np.concatenate([probes, upper[-1], lower[-1][:-1], margin]))
    outlines = [weave_mouth(half, skin, upper, lower), weave_eye(half, skin, loop_xy, margin), weave_brow(half, skin)]
    neck = half.add(neck_ring(skin, np.linspace(0, 180, 19)), "skin", "neck")
    fill_skin(half, skin, outlines, neck)


def weave_mouth(half: Half, skin: SkinField, upper: list, lower: list) -> np.ndarray:
    """Lips and two rings around them, as grids; returns the outline, from the upper to the lower middle."""
    rows = {"upper": [], "lower": []}
    for k, (a, b) in enumerate(zip(upper, lower, strict=True)):       # the corner column is shared by both lips
        a_ids, b_ids = half.add(a, "lips", f"upper_lip_{k}"), half.add(b[:-1], "lips", f"lower_lip_{k}")
        rows["upper"].append(a_ids)
        rows["lower"].append(np.r_[b_ids, a_ids[-1]])
    for lip in rows.values():
        half.grid(np.stack(lip), FORWARD)
    border = np.concatenate([upper[-1], lower[-1][-2::-1]])[:, :2]
    full = np.concatenate([border, (border * [-1, 1])[-2:0:-1]])
    loops = [np.r_[rows["upper"][-1], rows["lower"][-1][-2::-1]]]
    for k, gap in enumerate(AROUND_LIPS_MM):
        ring = offset(full, gap)[: len(border)]
        ring[1:-1, 0] = np.maximum(ring[1:-1, 0], 0.8)
        ring[[0, -1], 0] = 0
        z = np.interp(ring[:, 0], P.UPPER_LIP[:, 0], P.UPPER_LIP[:, 2])
        loops.append(half.add(surface_below(skin, ring, z), "skin", f"around_lips_{k}"))
    half.grid(np.stack(loops), FORWARD)
    return loops[-1]


def weave_eye(half: Half, skin: SkinField, loop_xy: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Rings around the lid margin, as a closed grid; returns the outline."""
    loops = [half.add(margin, "lashes", "lid_margin")]
    for k, gap in enumerate(LID_ROWS_MM):
        ring = offset(loop_xy, gap)
        loops.append(half.add(surface_below(skin, ring, np.full(len(ring), 92.0)), "skin", f"lid_{k}"))
    half.grid(np.stack(loops), FORWARD, closed=True)
    return loops[-1]


def weave_brow(half: Half, skin: SkinField) -> np.ndarray:
    """The brow as a grid whose outermost rows and columns are bare skin; returns the outline."""
    rows = []
    for k, ring in enumerate(brow_rows()):
        p = surface_below(skin, ring, np.full(len(ring), 98.0))
        rows.append(half.add(p, "brows" if 0 < k < 4 else "skin", f"brow_{k}"))
        half.part[rows[-1][0]] = half.part[rows[-1][-1]] = "skin"
    grid = np.stack(rows)
    half.grid(grid, FORWARD)
    return np.r_[grid[0], grid[1:-1, -1], grid[-1, ::-1], grid[-2:0:-1, 0]]


def fill_skin(half: Half, skin: SkinField, outlines: list[np.ndarray], neck: np.ndarray) -> None:
    """Graded points between the woven patches and the neck, relaxed and triangulated."""
    from scipy.spatial import Delaunay

    p = np.array(half.points)
    edge = np.concatenate([*outlines, neck])
    rings = [chart(directions(p[outline])) for outline in outlines]
    rings[0] = np.concatenate([rings[0], rings[0][-2:0:-1] * [-1, 1]])                     # mouth: both halves
    free = half.add(graded_points(skin, p[edge], rings, np.random.default_rng(7)), "skin", "free")
    ids = np.r_[edge, free]
    moving = len(edge) + np.where(np.array(half.points)[free][:, 0] > 1e-9)[0]
    points = np.array(half.points)[ids]
    for step in range(6):
        flat = chart(directions(points))
        faces = Delaunay(flat).simplices
        centre = flat[faces].mean(1)
        hole = np.any([inside(centre, ring) for ring in rings], axis=0)
        faces = faces[~hole & ~np.isin(faces, np.where(np.isin(ids, neck))[0]).all(1)]
        if step < 5:
            points[moving] = skin.points(directions(relaxed(points, faces)[moving]))
    for i, q in zip(ids, points, strict=True):
        half.points[i] = q
    half.triangles(drop_flat(np.array(half.points), ids[faces]), directions)


def drop_flat(p: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles that are not flat on the plane of symmetry (their mirror images would close on them)."""
    return faces[(np.abs(p[faces][:, :, 0]) > 1e-9).any(1)]


def relaxed(p: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Every vertex moved to the mean of its neighbours."""
    n = len(p)
    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    total, count = np.zeros((n, 3)), np.zeros(n)
    for a, b in ((i, j), (j, i)):
        np.add.at(total, a, p[b])
        np.add.at(count, a, 1)
    return total / np.maximum(count, 1)[:, None]


def surface_below(skin: SkinField, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Skin points with given x, y: a few fixed-point steps on z, starting from a guess."""
    for _ in range(12):
        p = skin.points(directions(np.c_[xy, z]))
        z = p[:, 2]
    p[:, 0] = np.where(xy[:, 0] == 0, 0.0, p[:, 0])
    return p


def neck_ring(skin: SkinField, lon: np.ndarray) -> np.ndarray:
    """Skin points on the plane where the neck is cut, at given longitudes (bisection on latitude)."""
    low, high = np.full(len(lon), -85.0), np.full(len(lon), -20.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = skin.points(from_angles(middle, lon))[:, 1] < NECK_CUT_Y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    p = skin.points(from_angles(high, lon))
    p[[0, -1], 0] = 0.0
    return p


# --- the rest -------------------------------------------------------------------------------------------------------

def carve_nostrils(half: Half) -> None:
    """Nostrils as dark dents under the nose, and the crease behind each wing."""
    p = np.array(half.points)
    skin = np.array(half.part) == "skin"
    dent = np.exp(-((((p - NOSTRIL) / [3.6, 3.0, 4.8]) ** 2).sum(1))) * skin
    crease = np.exp(-((((p - [17.0, -6.5, 105.0]) / [2.6, 6.0, 4.0]) ** 2).sum(1))) * skin
    p += dent[:, None] * [0.0, 3.4, -1.5] + crease[:, None] * [-0.5, 0.0, -1.5]
    half.points = list(p)
    for i in np.where(dent > 0.45)[0]:
        half.part[i] = "nostrils"


def build_lid_edge(half: Half) -> None:
    """Thickness of the lids: a ring from the margin towards the eyeball."""
    outer = half.tags["lid_margin"]
    p = np.array(half.points)[outer]
    d = p - P.EYE_CENTRE
    inner = half.add(P.EYE_CENTRE + d / np.linalg.norm(d, axis=1, keepdims=True) * LID_INNER_RADIUS, "lid_edge",
                     "lid_inner")
    half.grid(np.stack([outer, inner]), np.array([0.0, 0.0, 1.0]), closed=True)


def build_mouth(half: Half) -> None:
    """Inside of the mouth: both lips roll in and widen to a bag, closed at the back."""
    u = np.linspace(0, 1, LIP_COLUMNS)
    back = None
    depth, rise, width = (2.6, 7.0, 18.0, 40.0), (1.3, 5.0, 9.0, 9.0), (1.0, 0.99, 0.97, 0.75)
    seam = {"upper": half.tags["upper_lip_0"], "lower": np.r_[half.tags["lower_lip_0"], half.tags["upper_lip_0"][-1]]}
    p = np.array(half.points)
    corner_ids = []
    for k, (dz, wx) in enumerate(zip(depth, width, strict=True)):
        corner = p[seam["upper"][-1]] * [wx, 1, 1] - [0, 0, dz * 0.9]
        corner_ids.append(half.add(corner[None], BAG_PARTS[k], f"bag_corner_{k}"))
    bent = np.sqrt(np.maximum(1 - u[:-1] ** 2, 0))
    for side, sign in (("upper", 1.0), ("lower", -1.15)):
        rows = [seam[side]]
        base = p[seam[side][:-1]]
        for k, (dz, dy, wx) in enumerate(zip(depth, rise, width, strict=True)):
            ring = base * [wx, 1, 1] + np.c_[np.zeros(len(base)), sign * dy * bent, np.full(len(base), -dz)]
            ids = half.add(ring, BAG_PARTS[k], f"bag_{side}_{k}")
            rows.append(np.r_[ids, corner_ids[k]])
        half.grid(np.stack(rows), np.array([0.0, -sign, 0.2]))
        back = rows[-1] if back is None else np.stack([back, rows[-1]])
    half.grid(back, np.array([0.0, 0.0, 1.0]))


def build_teeth(half: Half) -> None:
    """Two arches of seven teeth a side, with gums; grooves between the teeth."""
    widths = np.array([4.3, 3.5, 3.9, 3.6, 3.5, 4.6, 4.4])
    edges = np.r_[0, np.cumsum(widths)]
    arc = np.concatenate([np.linspace(a, b, 5)[:-1] for a, b in zip(edges[:-1], edges[1:], strict=True)])
    groove = np.tile([1.0, 0.15, 0.0, 0.15], len(widths))
    for jaw, front, top, edge, small in (("upper", 105.6, -21.0, -34.2, 1.0), ("lower", 102.8, -47.0, -34.9, 0.93)):
        angle = arc * small / 34.0
        x, z = 27.5 * small * np.sin(angle), front - 40.0 * (1 - np.cos(angle))
        normal = np.c_[x / 27.5**2, np.zeros_like(x), (z - front + 40) / 40.0**2]
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        rows = []
        for t, out, cut, part in ((0.0, 1.6, 0.2, "gums"), (0.36, 1.5, 0.3, "gums"), (0.42, 1.0, 1.0, "teeth"),
                                  (0.7, 0.9, 1.0, "teeth"), (0.97, 0.3, 0.9, "teeth"), (1.0, -0.9, 0.5, "teeth"),
                                  (0.9, -2.6, 0.3, "teeth")):
            level = top + t * (edge - top)
            ring = np.c_[x, np.full_like(x, level), z] + normal * (out - 0.9 * cut * groove)[:, None]
            ring[:, 1] += groove * (0.7 if t > 0.9 else 0.0) * np.sign(top - edge) * (1 if t != 0.9 else 0)
            ring[0, 0] = 0.0
            rows.append(half.add(ring, part, f"{jaw}_teeth_{len(rows)}"))
        half.grid(np.stack(rows), np.array([0.2, 0.0, 1.0]))


def build_tongue(half: Half) -> None:
    """Tongue: a flattened half ellipsoid behind the lower teeth."""
    s, a = np.linspace(0, 1, 9), np.linspace(-np.pi / 2, np.pi / 2, 9)
    rows = []
    for t in s:
        r = np.sqrt(max(1 - t**2.6, 0.0))
        ring = np.c_[19 * r * np.cos(a), -41.0 + 6.5 * r * np.sin(a), np.full(9, 52.0 + 46.0 * t)]
        ring[[0, -1], 0] = 0
        ring[:, 0] = np.maximum(ring[:, 0], 0)
        rows.append(half.add(ring if t < 1 else ring[:1].repeat(9, 0), "tongue", f"tongue_{len(rows)}"))
    half.grid(np.stack(rows), lambda p: p - np.array([0, -41.0, 70.0]))


def build_eye(half: Half) -> None:
    """Eyeball with iris and pupil as rings around its axis, and the shallow bulge of the cornea left out."""
    bands = [(0.0, "pupil"), (8.0, "pupil"), (9.2, "iris"), (17.0, "iris"), (24.4, "iris"), (25.6, "sclera"),
             (36.0, "sclera"), (50.0, "sclera"), (70.0, "sclera"), (90.0, "sclera")]
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    rows = []
    for angle, part in bands:
        a = np.radians(angle)
        ring = np.c_[np.sin(a) * np.cos(turn), np.sin(a) * np.sin(turn), np.full(24, np.cos(a))]
        if angle == 0.0:
            rows.append(np.repeat(half.add(P.EYE_CENTRE + P.EYE_RADIUS * ring[:1], part, "eye_0"), 24))
        else:
            rows.append(half.add(P.EYE_CENTRE + P.EYE_RADIUS * ring, part, f"eye_{len(rows)}"))
    half.grid(np.stack(rows), lambda p: p - P.EYE_CENTRE, closed=True)


def build_ear(half: Half) -> None:
    """Ear: an egg-shaped shell with helix, antihelix and concha, rooted in the side of the head."""
    turn = np.linspace(0, 2 * np.pi, 29)[:-1]
    profile = [(0.0, -2.0), (0.16, -2.2), (0.3, 0.0), (0.45, 4.8), (0.6, 6.2), (0.74, 5.6), (0.86, 8.2), (0.95, 10.2),
               (1.02, 9.0), (1.0, 5.0), (0.86, 0.0), (0.6, -5.0)]
    long, wide = 31.0, 17.5
    back = np.array([0.30, 0.0, -0.954])                      # the ear plane opens backwards
    up = np.array([0.0, 0.985, -0.17])
    out = np.cross(up, back)
    out = out / np.linalg.norm(out) * np.sign(out[0])
    centre = np.array([72.0, 12.0, 6.0])
    y, x = np.sin(turn), np.cos(turn)
    shape = wide * (1.0 + 0.18 * y) * x, long * y
    rows = []
    for r, height in profile:
        lobe = np.clip(-y - 0.55, 0, 1)                       # no helix at the lobe
        tragus = np.exp(-(((turn - np.pi) + np.pi) % (2 * np.pi) - np.pi) ** 2 / 0.5)
        lift = height * (1 - 0.9 * lobe) * (1 - 0.75 * tragus * (r > 0.5))
        offset_ = (shape[0] * r)[:, None] * back + (shape[1] * r)[:, None] * up + lift[:, None] * out
        ids = half.add((centre + offset_)[:1] if r == 0 else centre + offset_, "ears", f"ear_{len(rows)}")
        rows.append(np.repeat(ids, 28) if r == 0 else ids)
    half.grid(np.stack(rows), out, closed=True)


def mirrored(half: Half) -> Mesh:
    """The whole head from its left half: vertices on the plane x = 0 are shared."""
    p, part, faces = np.array(half.points), np.array(half.part), np.array(half.faces)
    on_plane = np.abs(p[:, 0]) < 1e-9
    p[on_plane, 0] = 0.0
    n = len(p)
    other = np.full(n, -1)
    other[on_plane] = np.where(on_plane)[0]
    other[~on_plane] = n + np.arange((~on_plane).sum())
    vertices = np.concatenate([p, p[~on_plane] * [-1, 1, 1]])
    mirror = np.r_[other, np.where(~on_plane)[0]]
    both = np.concatenate([faces, other[faces][:, ::-1]])
    names = np.concatenate([part, part[~on_plane]])
    parts = {name: np.where(names == name)[0] for name in dict.fromkeys(part)}
    return Mesh(vertices, both.astype(np.int32), parts, mirror, half.tags)


@functools.cache
def build() -> Mesh:
    """The neutral head; deterministic, about a second."""
    half = Half()
    build_skin(half)
    carve_nostrils(half)
    build_lid_edge(half)
    build_mouth(half)
    build_teeth(half)
    build_tongue(half)
    build_eye(half)
    build_ear(half)
    return mirrored(half)
