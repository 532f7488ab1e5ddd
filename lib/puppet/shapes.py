"""Expression shapes and identity modes of the puppet, as smooth fields on its mesh.

An expression shape is written down as a few handles: named spots and how far they move at full strength, in mm. The
rest of the skin follows by the smoothest field through the handles that vanishes outside a radius,

    minimise  integral |laplace(u)|^2   subject to  u = handle displacement at handles, u = 0 beyond the radius,

solved on the surface, so that motion does not leak from one lip or lid to the other. Typical magnitudes were read off
the ICT Face Model (MIT licence) at a few spots; see `lib.puppet.proportions`.
"""

import numpy as np

from lib.face.rig import ARKIT
from lib.puppet import proportions as P
from lib.puppet.mesh import LID_INNER_RADIUS, LID_RADIUS, LIP_ROWS, Mesh, on_eyeball

# parts of one connected surface
SHEET = ("skin", "lips", "brows", "lashes", "lid_edge", "lip_inside", "mouth", "throat", "nostrils")
SPOTS = {
    "brow_inner": (12, 58, 107), "brow_mid": (36, 62, 98), "brow_outer": (55, 54, 82), "glabella": (0, 50, 107),
    "forehead": (16, 82, 101), "forehead_outer": (45, 78, 88), "brow_above": (30, 72, 101),
    "upper_cheek": (46, 8, 91), "cheek": (48, -14, 87), "cheek_low": (46, -36, 80), "under_eye": (31, 20, 94),
    "eye_outer": (52, 33, 82), "nasolabial": (27, -14, 102), "ala": (16, -5, 111), "nose_tip": (0, 3, 131),
    "nose_side": (10, 16, 113), "subnasal": (0, -13, 115.5), "philtrum_side": (13, -18, 112),
    "groove": (0, -52, 109.3), "groove_side": (16, -52, 105), "chin": (0, -65, 110.5), "chin_side": (18, -66, 105),
    "chin_low": (0, -78, 100), "jaw_side": (57, -45, 62), "marionette": (31, -46, 96),
}
LIP_COLUMN = {"mid": 0, "quarter": 2, "side": 4, "corner": 9}      # x about 0, 8, 16 and 23 mm

# name -> ({spot: (dx, dy, dz) mm}, radius mm); one-sided shapes describe the subject's left, x > 0
HANDLES: dict[str, tuple[dict[str, tuple[float, float, float]], float]] = {
    "browDownLeft": ({"brow_inner": (-2.0, -3.6, 1.6), "brow_mid": (-3.2, -4.2, 2.4), "brow_outer": (-1.5, -0.8, 1.6),
                      "glabella": (0.0, -1.6, 1.3), "brow_above": (-1.5, -2.4, 0.8)}, 26),
    "browInnerUp": ({"brow_inner": (0.6, 7.0, -0.8), "brow_mid": (0.2, 3.2, -0.6), "brow_outer": (0, 0.4, 0),
                     "glabella": (0, 3.2, -0.3), "forehead": (0, 3.4, 0.6)}, 34),
    "browOuterUpLeft": ({"brow_inner": (0.3, 1.6, 0), "brow_mid": (1.0, 7.4, -1.8), "brow_outer": (0.8, 6.2, -2.2),
                         "forehead_outer": (0, 3.2, -0.6)}, 32),
    "cheekSquintLeft": ({"upper_cheek": (-0.4, 5.2, 2.2), "under_eye": (-0.4, 2.6, 1.0), "cheek": (0.5, 3.0, 1.6),
                         "nasolabial": (0.6, 0.8, -0.4), "eye_outer": (-0.4, 0.8, 0.8)}, 26),
    "noseSneerLeft": ({"ala": (1.0, 6.2, -0.4), "nose_side": (0.6, 2.2, 0.9), "nasolabial": (0.4, 5.4, 0.8),
                       "upper_side": (0.2, 4.6, 0), "upper_mid": (0.0, 2.6, 0.0), "nose_tip": (0.0, 1.9, 0.0),
                       "brow_inner": (-0.4, -2.4, 0.6), "under_eye": (-0.2, 1.0, 0.4), "philtrum_side": (0.2, 4.0, 0),
                       "upper_corner": (0, 1.2, 0), "lower_mid": (0.0, 0.0, 0.0)}, 24),
    "cheekPuff": ({"cheek_low": (7.0, 0.5, 6.0), "cheek": (5.5, 0.5, 4.5), "marionette": (4.0, 0, 7.0),
                   "upper_corner": (-1.0, 0.4, 5.0), "upper_side": (-0.5, 0.3, 4.2), "upper_mid": (0, 0.2, 2.6),
                   "lower_side": (-0.5, 0, 4.6), "lower_mid": (0, 0, 2.8), "jaw_side": (3.0, 0, 2.0),
                   "philtrum_side": (0, 0.4, 3.6), "groove_side": (0, 0, 4.0)}, 30),
    "jawForward": ({}, 0), "jawLeft": ({}, 0), "jawRight": ({}, 0), "jawOpen": ({}, 0), "mouthClose": ({}, 0),
    "mouthFunnel": ({"upper_mid": (0, 4.6, 6.6), "upper_quarter": (-1.4, 4.0, 7.2), "upper_side": (-3.0, 2.6, 7.6),
                     "upper_corner": (-5.4, 0, 7.6), "lower_mid": (0, -6.4, 5.4), "lower_quarter": (-1.2, -5.6, 6.0),
                     "lower_side": (-2.8, -3.6, 6.8), "philtrum_side": (-0.4, 1.8, 2.6), "subnasal": (0, 0.4, 0.4),
                     "groove": (0, -4.2, 1.2), "chin": (0, -2.6, -0.6), "cheek_low": (-1.6, 0, 0.6),
                     "marionette": (-3.0, -1.0, 3.0)}, 24),
    "mouthPucker": ({"upper_mid": ((0, 0, 7.8), (0, 2.2, 8.4)), "upper_quarter": ((-1.9, 0, 8.0), (-1.8, 1.9, 8.6)),
                     "upper_side": ((-4.2, 0, 8.2), (-3.9, 1.2, 8.6)), "upper_corner": (-7.6, 0.2, 7.4),
                     "lower_mid": ((0, 0, 7.6), (0, -1.4, 7.2)), "lower_quarter": ((-1.9, 0, 7.8), (-1.8, -1.2, 7.6)),
                     "lower_side": ((-4.2, 0, 8.0), (-3.9, -0.8, 8.2)), "philtrum_side": (-1.8, 0.2, 3.4),
                     "subnasal": (0, -0.6, 0.8), "groove": (0, 0, 2.4), "groove_side": (-2.2, 0, 3.0),
                     "marionette": (-4.6, 0.4, 3.6), "cheek_low": (-1.8, 0.2, 0.4),
                     "nasolabial": (-1.6, -0.4, 1.2)}, 26),
    "mouthLeft": ({"upper_mid": (9.5, 0.4, -1.6), "upper_side": (8.0, 1.4, -4.0), "upper_corner": (7.0, 2.2, -5.0),
                   "lower_mid": (9.0, 0.4, -1.6), "lower_side": (8.0, 1.4, -3.8), "subnasal": (2.6, 0.4, -0.3),
                   "groove": (5.4, 0, -0.6), "chin": (1.4, 0, 0), "cheek_low": (1.0, 1.0, 2.0),
                   "upper_side_right": (9.5, -0.2, 2.4), "lower_side_right": (9.5, 0, 2.4),
                   "upper_corner_right": (9.0, 0, 4.4), "nasolabial_right": (3.5, 0, 1.0),
                   "marionette_right": (6.0, 0, 2.2)}, 28),
    "mouthRight": ({}, 0),
    "mouthSmileLeft": ({"upper_corner": (8.2, 9.6, -8.4), "upper_side": (5.4, 5.0, -4.8),
                        "upper_quarter": (2.4, 2.6, -2.4),
                        "upper_mid": (0.0, 1.6, -1.6), "lower_side": (5.0, 4.6, -4.4),
                        "lower_quarter": (2.2, 2.0, -1.6),
                        "lower_mid": (0.0, 1.3, -1.0), "nasolabial": (4.0, 4.2, -0.6), "cheek": (3.0, 6.4, 3.2),
                        "upper_cheek": (0.6, 4.0, 2.4), "cheek_low": (3.6, 4.2, -1.4), "marionette": (5.2, 5.4, -4.4),
                        "ala": (1.8, 1.2, -0.8), "jaw_side": (1.6, 1.4, 0), "groove": (0.0, 0.6, -0.3),
                        "under_eye": (0, 0.8, 0.6)}, 30),
    "mouthFrownLeft": ({"upper_corner": (1.6, -6.0, -2.2), "upper_side": (0.8, -2.2, -1.0),
                        "upper_mid": (0.0, -0.3, 0.0),
                        "lower_side": (1.0, -2.2, -0.6), "lower_mid": (0.0, 0.5, 0.3), "marionette": (1.6, -4.4, 0.8),
                        "nasolabial": (0.4, -1.6, -0.6), "groove_side": (0.3, 0.2, 0.8), "chin": (0.0, 1.3, 1.3),
                        "cheek_low": (0.6, -1.6, 0)}, 26),
    "mouthDimpleLeft": ({"upper_corner": (2.2, 1.4, -5.6), "upper_side": (1.8, 0, -1.8), "upper_mid": (0, 0, 0),
                         "lower_side": (1.8, 0.6, -1.8), "lower_mid": (0, 0, 0), "cheek_low": (1.2, 0.4, 0.8),
                         "marionette": (1.8, 0.8, -3.4), "nasolabial": (0.8, 0, 0.2)}, 22),
    "mouthStretchLeft": ({"upper_corner": (7.4, -3.4, -7.0), "upper_side": (3.8, -1.4, -3.0),
                          "upper_mid": (0.0, -0.3, -0.8),
                          "lower_side": (4.2, -2.0, -3.2), "lower_mid": (0.0, -1.0, -1.0),
                          "marionette": (5.0, -3.2, -3.0),
                          "cheek_low": (3.2, -1.0, 0.8), "groove_side": (1.6, -1.6, -0.6),
                          "nasolabial": (1.2, -0.8, -0.8),
                          "jaw_side": (1.6, -0.6, 0)}, 28),
    "mouthRollLower": ({}, 18), "mouthRollUpper": ({}, 18),
    "mouthShrugLower": ({"lower_mid": (0, 4.6, 3.4), "lower_quarter": (0, 4.2, 3.2), "lower_side": (0.2, 2.6, 2.4),
                         "upper_mid": (0, 3.2, 1.4), "upper_quarter": (0, 2.8, 1.2), "upper_side": (0.1, 1.6, 0.8),
                         "upper_corner": (0.4, -0.6, 0.4), "groove": (0, 5.2, 2.6), "chin": (0, 6.6, 2.6),
                         "chin_side": (0, 4.6, 2.0), "chin_low": (0, 4.0, 1.0), "subnasal": (0, 0.4, 0)}, 24),
    "mouthShrugUpper": ({"upper_mid": (0, 4.6, 0.8), "upper_quarter": (0, 4.0, 0.8), "upper_side": (0.2, 2.4, 0.4),
                         "upper_corner": (0, 0.2, 0), "subnasal": (0, 1.4, 0.2), "philtrum_side": (0, 2.4, 0.4),
                         "lower_mid": (0, 0, 0), "ala": (0, 0.8, 0)}, 18),
    "mouthPressLeft": ({}, 20),
    "mouthLowerDownLeft": ({"lower_mid": (0.0, -4.8, -1.3), "lower_quarter": (0.5, -4.6, -1.0),
                            "lower_side": (1.0, -4.2, -1.0),
                            "upper_corner": (0.2, -0.8, -0.2), "groove": (0.0, -2.9, -1.0),
                            "groove_side": (0.6, -3.4, -0.6),
                            "upper_mid": (0.0, 0.0, 0.0), "upper_side": (0, 0, 0), "chin": (0.0, -1.0, -0.3)}, 20),
    "mouthUpperUpLeft": ({"upper_mid": (0.0, 4.8, -0.3), "upper_quarter": (0.6, 5.0, 0), "upper_side": (1.0, 5.2, -0.2),
                          "upper_corner": (0.4, 2.0, 0), "philtrum_side": (0.6, 4.6, 0.4),
                          "nasolabial": (1.2, 5.0, 1.0),
                          "ala": (1.0, 3.0, -0.6), "subnasal": (0.0, 1.3, -0.3), "lower_mid": (0.0, 0.0, 0.0),
                          "lower_side": (0.1, 0.3, 0), "cheek": (0.4, 1.8, 1.2)}, 22),
}
# shift of the lid margin in mm: (upper lid y, lower lid y, both x), full in the middle of the lid, none in the corners
LIDS = {"eyeLookDownLeft": (-5.6, -1.6, 0.0), "eyeLookInLeft": (0.0, 0.0, -0.7), "eyeLookOutLeft": (0.0, 0.0, 0.7),
        "eyeLookUpLeft": (2.4, 0.9, 0.0), "eyeSquintLeft": (-1.4, 2.6, 0.0), "eyeWideLeft": (2.8, -0.5, 0.0),
        "cheekSquintLeft": (-0.3, 1.5, 0.0)}
LID_FOLLOW = (0.96, 0.82, 0.5)                 # how much the rows around the lid margin go with it
LID_MEETING = 0.14                             # closed lids meet at this fraction of the opening, from below

IDENTITY_MODES = ("face width", "face length", "jaw width", "chin length", "nose size", "nose width", "lip thickness",
                  "mouth width", "eye size", "eye distance", "brow ridge", "cheek fullness", "forehead height",
                  "head depth")


class Sheet:
    """The connected skin surface with its bilaplacian, for smooth fields through handles."""

    def __init__(self, mesh: Mesh):
        import scipy.sparse as sp

        self.mesh = mesh
        member = np.isin(np.arange(len(mesh.vertices)),
                                       np.concatenate([mesh.parts[p] for p in SHEET if p in mesh.parts]))
        faces = mesh.faces[member[mesh.faces].all(1)]
        n = len(mesh.vertices)
        stiffness, mass = cotangent_laplacian(mesh.vertices, faces)
        self.used = np.unique(faces)
        lumped = sp.diags(np.where(mass > 0, 1 / np.maximum(mass, 1e-9), 0))
        self.bilaplacian = (stiffness @ lumped @ stiffness).tocsr()
        self.n = n

    def field(self, handles: np.ndarray, values: np.ndarray, radius: float | None = None) -> np.ndarray:
        """Smoothest field (V, D) with given values (H, D) at vertices `handles` (H,), zero beyond the radius in mm."""
        from scipy.sparse.linalg import splu

        handles, first = np.unique(handles, return_index=True)
        values = np.asarray(values, float)[first]
        free = self.used[~np.isin(self.used, handles)]
        if radius is not None:
            p, anchors = self.mesh.vertices, self.mesh.vertices[handles[np.linalg.norm(values, axis=1) > 0.02]]
            square = (p[free] ** 2).sum(1)[:, None] - 2 * p[free] @ anchors.T + (anchors**2).sum(1)
            free = free[square.min(1) < radius**2]
        result = np.zeros((self.n, values.shape[1]))
        result[handles] = values
        system = self.bilaplacian[free]
        right = -(system[:, handles] @ values)
        result[free] = splu(system[:, free].tocsc()).solve(right)
        return result


def cotangent_laplacian(p: np.ndarray, faces: np.ndarray):
    """Cotangent stiffness matrix (V, V) and lumped vertex areas (V,) of a triangle mesh (Pinkall and Polthier 1993)."""
    import scipy.sparse as sp

    n = len(p)
    stiffness, mass = sp.csr_matrix((n, n)), np.zeros(n)
    for k in range(3):
        i, j, o = faces[:, k], faces[:, (k + 1) % 3], faces[:, (k + 2) % 3]
        a, b = p[i] - p[o], p[j] - p[o]
        double_area = np.maximum(np.linalg.norm(np.cross(a, b), axis=1), 1e-6)
        w = np.clip((a * b).sum(1) / double_area, 0.02, 20.0) / 2
        stiffness += sp.coo_matrix((np.r_[w, w, -w, -w], (np.r_[i, j, i, j], np.r_[i, j, j, i])), shape=(n, n)).tocsr()
        np.add.at(mass, o, double_area / 6)
    return stiffness, mass


class Spots:
    """Where handles sit: vertex indices of a named spot, on the left or the right half."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        self.skin = np.concatenate([mesh.parts["skin"], mesh.parts["brows"]])
        self.skin = self.skin[mesh.vertices[self.skin, 0] >= 0]

    def __call__(self, name: str) -> np.ndarray:
        """Vertices of a spot; `..._right` mirrors it."""
        if name.endswith("_right"):
            return self.mesh.mirror[self(name[:-6])]
        lip, _, column = name.partition("_")
        if lip in ("upper", "lower") and column in LIP_COLUMN:
            return self.lip(lip, LIP_COLUMN[column])
        gap = np.linalg.norm(self.mesh.vertices[self.skin] - SPOTS[name], axis=1)
        return self.skin[[gap.argmin()]]

    def row(self, lip: str, k: int) -> np.ndarray:
        """Ten vertices of one lip row from the middle to the corner, k = 0 at the seam, 4 at the border."""
        tags = self.mesh.tags
        return np.r_[tags[f"{lip}_lip_{k}"][:9], tags[f"upper_lip_{k}"][9]]

    def arch(self) -> np.ndarray:
        """Half ellipse (10,) over the seam: 1 in the middle, 0 at the corner."""
        x = self.mesh.vertices[self.row("upper", 0), 0]
        return np.sqrt(1 - (x / x[-1]) ** 2)

    def lip(self, lip: str, column: int) -> np.ndarray:
        """Lip vertices from the seam to the border in one column; the corner column belongs to both lips."""
        lip = "upper" if column == LIP_COLUMN["corner"] else lip
        return np.array([self.mesh.tags[f"{lip}_lip_{k}"][column] for k in range(5)])


def handle_shape(sheet: Sheet, spots: Spots, spec: tuple[dict, float], symmetric: bool = True) -> np.ndarray:
    """Displacement field (V, 3) of a shape written as handles; the lids stay where they are."""
    moves, radius = spec
    tags, mirror = sheet.mesh.tags, sheet.mesh.mirror
    lids = np.concatenate([tags[t] for t in ("lid_margin", "lid_inner", "lid_0")])
    ids, values = [lids, mirror[lids]], [np.zeros((len(lids), 3))] * 2
    for name, move in moves.items():
        for side in (("", "_right") if symmetric and not name.endswith("_right") else ("",)):
            at = spots(name + side)
            seam, border = np.broadcast_to(np.array(move, float), (2, 3)) * ([-1, 1, 1] if side else [1, 1, 1])
            t = np.array(LIP_ROWS)[: len(at), None]
            ids.append(at)
            values.append(seam + t * (border - seam))
    return sheet.field(np.concatenate(ids), np.concatenate(values), radius)


def lid_shape(sheet: Sheet, shift: np.ndarray) -> np.ndarray:
    """Field (V, 3) that slides the left lid margin by a shift (24, 2) in x, y over the eyeball."""
    mesh = sheet.mesh
    p, tags = mesh.vertices, mesh.tags
    ids, values = [tags["lid_margin"]], []
    target = on_eyeball(p[tags["lid_margin"], :2] + shift, LID_RADIUS)
    values.append(target - p[tags["lid_margin"]])
    direction = target - P.EYE_CENTRE
    inner = P.EYE_CENTRE + direction / np.linalg.norm(direction, axis=1, keepdims=True) * LID_INNER_RADIUS
    ids.append(tags["lid_inner"])
    values.append(inner - p[tags["lid_inner"]])
    for k, follow in enumerate(LID_FOLLOW):
        row = tags[f"lid_{k}"]
        start = p[row]
        moved = start + np.c_[shift * follow, np.zeros(len(row))]
        away = moved - P.EYE_CENTRE
        wanted = np.maximum(np.linalg.norm(start - P.EYE_CENTRE, axis=1), LID_RADIUS + 0.2 + 0.3 * k)
        wanted = np.minimum(wanted, LID_RADIUS + 1.0 + 1.6 * k)
        tight = P.EYE_CENTRE + away / np.linalg.norm(away, axis=1, keepdims=True) * wanted[:, None]
        amount = np.clip(np.linalg.norm(shift, axis=1) / 4.0, 0, 1)[:, None]
        ids.append(row)
        values.append((1 - amount) * (moved - start) + amount * (tight - start))
    return sheet.field(np.concatenate(ids), np.concatenate(values), 11.0)


def lid_shift(mesh: Mesh, name: str) -> np.ndarray:
    """Shift (24, 2) of the left lid margin for a lid shape; a blink brings both lids onto one line."""
    margin = mesh.vertices[mesh.tags["lid_margin"]]
    upper = np.arange(len(margin)) <= 12
    along = (margin[:, 0] - margin[:, 0].min()) / np.ptp(margin[:, 0])
    if name == "eyeBlinkLeft":
        order = np.argsort(margin[~upper][:, 0])
        low = np.interp(margin[:, 0], np.r_[18.6, margin[~upper][order, 0], 44.6],
                        np.r_[32.4, margin[~upper][order, 1], 34.2])
        high = np.interp(margin[:, 0], margin[upper][:, 0], margin[upper][:, 1])
        line = low + LID_MEETING * (high - low)
        return np.c_[np.zeros(len(margin)), line - margin[:, 1]]
    up, down, side = LIDS[name]
    bump = np.sqrt(np.maximum(np.sin(np.pi * np.clip(along, 0, 1)), 0))
    return np.c_[side * bump, np.where(upper, up, down) * bump]


def fullness(mesh: Mesh, lip: str) -> np.ndarray:
    """Height (10,) of a lip in each column from the middle to the corner, relative to the middle."""
    seam, border = (mesh.vertices[Spots(mesh).row(lip, k), 1] for k in (0, 4))
    return (border - seam) / (border - seam)[0]


def roll_shape(sheet: Sheet, lip: str) -> np.ndarray:
    """A lip rolled in over the teeth, its border further than its seam; the lower lip also rises to the teeth."""
    spots, mirror, ids, values = Spots(sheet.mesh), sheet.mesh.mirror, [], []
    rise = (4.0, 4.8, 6.0, 7.2, 8.0) if lip == "lower" else (2.6, 1.0, -1.0, -2.6, -3.6)
    back = (-6.2, -6.8, -6.2, -4.8, -3.2)
    amount = fullness(sheet.mesh, lip)[:, None]
    for k in range(5):
        row = spots.row(lip, k)
        ids += [row, mirror[row]]
        values += [np.array([[0, rise[k], back[k]]]) * amount] * 2
    other = spots.row("upper" if lip == "lower" else "lower", 0)[:-1]
    ids += [other, mirror[other]]
    values += [np.zeros((len(other), 3))] * 2
    return sheet.field(np.concatenate(ids), np.concatenate(values), 16.0)


def press_shape(sheet: Sheet) -> np.ndarray:
    """Both lips pressed together: the red thins while the seam itself stays shut."""
    spots, mirror = Spots(sheet.mesh), sheet.mesh.mirror
    ids, values = [spots("chin")], [np.array([[0, 1.2, 0.6]])]
    for lip, sign in (("upper", -1.0), ("lower", 1.0)):
        amount = fullness(sheet.mesh, lip)[:, None]
        for k, (squeeze, back) in enumerate(((0.0, -0.8), (0.3, -1.2), (0.9, -1.4), (1.8, -1.0), (2.4, -0.2))):
            row = spots.row(lip, k)
            lift = 0.3 * spots.arch()[:, None]
            ids += [row, mirror[row]]
            values += [np.array([[0, sign * squeeze, back]]) * amount + lift * [0, 1, 0]] * 2
    return sheet.field(np.concatenate(ids), np.concatenate(values), 20.0)


def jaw_weights(sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
    """Share (V,) of the jaw's rotation each vertex takes, with the lips free and with the lips held together."""
    mesh = sheet.mesh
    p, tags = mesh.vertices, mesh.tags
    arch = Spots(mesh).arch()                            # the mouth opens as an ellipse
    still = np.concatenate([mesh.parts["skin"][_static(p[mesh.parts["skin"]])], mesh.parts["lid_edge"],
                            mesh.parts["brows"], tags["neck"]])
    anchors = [((0, -66, 110), 1.0), ((20, -68, 102), 1.0), ((0, -78, 100), 1.0), ((38, -62, 82), 0.85),
               ((57, -45, 61), 0.42), ((66, -22, 52), 0.12), ((45, -30, 84), 0.38), ((0, -86, 62), 0.62),
               ((30, -78, 62), 0.5), ((0, -102, 52), 0.12), ((27, -14, 102), 0.03), ((30, -45, 95), 0.72),
               ((12, -18, 112), 0.02), ((47, -10, 87), 0.05)]
    lips = {"free": (0.40 - 0.36 * arch, 0.40 + 0.60 * arch), "shut": (0.30 - 0.18 * arch,) * 2}
    spots = Spots(mesh)
    weights = []
    for upper, lower in lips.values():
        ids, values = [still], [np.zeros(len(still))]
        for point, value in anchors:
            at = spots.skin[[np.linalg.norm(p[spots.skin] - point, axis=1).argmin()]]
            ids += [at, mesh.mirror[at]]
            values += [np.full(1, value)] * 2
        for lip, row_weight in (("upper", upper), ("lower", lower)):
            for tag in (f"{lip}_lip_0", f"{lip}_lip_2", f"{lip}_lip_4", f"bag_{lip}_0"):
                row = tags[tag]
                ids += [row, mesh.mirror[row]]
                values += [row_weight[: len(row)]] * 2
        for lip, value in (("upper", 0.0), ("lower", 1.0)):
            for k in (1, 2, 3):
                row = tags[f"bag_{lip}_{k}"]
                ids += [row, mesh.mirror[row]]
                values += [np.full(len(row), value)] * 2
        for k, value in enumerate((0.4, 0.45, 0.45, 0.45)):
            row = tags[f"bag_corner_{k}"]
            ids += [row, mesh.mirror[row]]
            values += [np.full(1, value if k else upper[-1])] * 2
        w = np.clip(sheet.field(np.concatenate(ids), np.concatenate(values)[:, None])[:, 0], 0, 1)
        w[mesh.parts["tongue"]] = 0.92
        teeth = np.concatenate([tags[t] for t in tags if t.startswith("lower_teeth")])
        w[teeth] = w[mesh.mirror[teeth]] = 1.0
        weights.append((w + w[mesh.mirror]) / 2)
    return weights[0], weights[1]


def _static(p: np.ndarray) -> np.ndarray:
    """Which skin points never follow the jaw: everything above the mouth and behind the ears."""
    x, y, z = p.T
    return (y > 8) | (z < 8) | ((np.abs(x) < 22) & (y > -13) & (z > 90)) | (y < -112)


def tongue_shape(mesh: Mesh) -> np.ndarray:
    """Tongue put out: its front goes forward and a little down over the lower lip."""
    shape = np.zeros_like(mesh.vertices)
    ids = mesh.parts["tongue"]
    t = np.clip((mesh.vertices[ids, 2] - 52) / 46, 0, 1)
    shape[ids] = np.c_[-0.15 * mesh.vertices[ids, 0] * t, 4.0 * t - 3.0 * t**4, 36.0 * t**1.5]
    return shape


def expression_basis(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Displacements (52, V, 3) in ARKit order and the two jaw weights (V,); left and right are exact mirrors."""
    sheet, spots = Sheet(mesh), Spots(mesh)
    free, shut = jaw_weights(sheet)
    made: dict[str, np.ndarray] = {name: np.zeros_like(mesh.vertices) for name in ("jawOpen", "mouthClose")}
    made["jawForward"] = free[:, None] * np.array([0, -0.6, 8.0])
    made["jawLeft"] = free[:, None] * np.array([8.0, 0, 0])
    made["tongueOut"] = tongue_shape(mesh)
    made["mouthPressLeft"] = press_shape(sheet)
    for lip in ("Upper", "Lower"):
        made[f"mouthRoll{lip}"] = roll_shape(sheet, lip.lower())
    for name in ("eyeBlinkLeft", *LIDS):
        made[name] = lid_shape(sheet, lid_shift(mesh, name))
    for name, spec in HANDLES.items():
        if (name not in made or name == "cheekSquintLeft") and spec[0]:
            made[name] = handle_shape(sheet, spots, spec, symmetric=name != "mouthLeft")
            if name.endswith("Left") and name != "mouthLeft":
                made[name] *= left_half(mesh.vertices)
    made["cheekSquintLeft"] += lid_shape(sheet, lid_shift(mesh, "cheekSquintLeft"))
    made["mouthPressLeft"] *= left_half(mesh.vertices)
    for name in ARKIT:
        if name.endswith("Right"):
            made[name] = flipped(made[name[:-5] + "Left"], mesh)
        elif not name.endswith("Left"):
            made[name] = (made[name] + flipped(made[name], mesh)) / 2
    return np.stack([made[name] for name in ARKIT]), free, shut


def left_half(p: np.ndarray) -> np.ndarray:
    """Share (V, 1) of a symmetric shape that its left control takes; both shares add up to one."""
    return _ramp(p[:, 0], -9.0, 9.0)


def flipped(shape: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Mirror image (V, 3) of a displacement field."""
    return shape[mesh.mirror] * [-1, 1, 1]


def identity_basis(mesh: Mesh) -> np.ndarray:
    """Identity modes (N, V, 3) in mm per standard deviation; the eyes move as rigid, or purely scaled, bodies."""
    p = mesh.vertices
    left, right = P.EYE_CENTRE, P.EYE_CENTRE * [-1, 1, 1]
    modes = []
    for name in IDENTITY_MODES:
        warp = _WARPS[name]
        d = warp(p)
        for centre in (left, right):
            near = np.exp(-(np.linalg.norm(p - centre, axis=1) / 19.0) ** 6)[:, None]
            d = d * (1 - near) + near * (warp(centre[None]) + (_EYE_SCALE * (p - centre) if name == "eye size" else 0))
        modes.append((d + flipped(d, mesh)) / 2)
    return np.stack(modes)


_EYE_SCALE = 0.045


def _bump(p: np.ndarray, centre, width) -> np.ndarray:
    """Gaussian bump (N, 1) around a centre, symmetric in x."""
    both = [np.exp(-((((p - np.array(centre) * [s, 1, 1]) / width) ** 2).sum(1))) for s in (1, -1)]
    return np.maximum(*both)[:, None] if centre[0] else both[0][:, None]


def _ramp(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """Smooth step from 0 at start to 1 at end."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return (t * t * (3 - 2 * t))[:, None]


_WARPS = {
    "face width": lambda p: p * [0.045, 0, 0],
    "face length": lambda p: (p - [0, 34, 0]) * [0, 0.04, 0] * _ramp(p[:, 1], 60, 0),
    "jaw width": lambda p: p * [0.075, 0, 0] * _ramp(p[:, 1], 5, -50) * _ramp(p[:, 2], -20, 40),
    "chin length": lambda p: np.array([0, -3.6, 1.2]) * _ramp(p[:, 1], -46, -72) * _ramp(p[:, 2], 30, 80),
    "nose size": lambda p: np.array([0, -1.0, 3.2]) * _bump(p, (0, 2, 126), (16, 20, 30)),
    "nose width": lambda p: np.sign(p[:, :1]) * np.minimum(np.abs(p[:, :1]) / 12, 1) * [2.0, 0, 0]
    * _bump(p, (0, -4, 112), (24, 13, 24)),
    "lip thickness": lambda p: (np.c_[0 * p[:, 0], np.clip((p[:, 1] + 33.6) / 9, -1, 1) * 1.7,
                                      np.clip(np.abs(p[:, 1] + 33.6) / 6, 0, 1) * 0.9]
                                * _bump(p, (0, -34, 112), (24, 16, 16)) * _ramp(p[:, 2], 96, 106)),
    "mouth width": lambda p: p * [0.085, 0, 0] * _bump(p, (0, -34, 108), (44, 22, 30)),
    "eye size": lambda p: 0 * p,
    "eye distance": lambda p: np.sign(p[:, :1]) * [1.5, 0, 0] * _bump(p, (32, 36, 92), (24, 24, 40)),
    "brow ridge": lambda p: np.array([0, -0.9, 2.4]) * _bump(p, (24, 57, 102), (32, 12, 26)),
    "cheek fullness": lambda p: np.array([0.9, 0, 0.7]) * np.sign(p[:, :1]) ** [1, 2, 2] * 1.8
    * _bump(p, (52, -18, 78), (24, 28, 34)),
    "forehead height": lambda p: np.array([0, 5.0, 0.8]) * _ramp(p[:, 1], 58, 120),
    "head depth": lambda p: np.array([0, 0, -5.5]) * _ramp(p[:, 2], 30, -70) * _ramp(p[:, 1], -60, 20),
}
