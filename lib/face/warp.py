"""A still portrait that moves: triangles between its landmarks follow the landmarks, and a mouth opens in it.

An image translation network that has only seen puppets cannot draw a real face. A piecewise affine warp can: the plane
is cut into triangles between 68 landmarks and fixed points around them (Delaunay), each target triangle is filled from
its source triangle, and between the lips, which have no triangles, lies what a mouth shows: the teeth of the portrait
where it has any, darkness elsewhere. The upper teeth do not move, since the skull does not.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lib.errors import InputError
from lib.face.alignment import similarity
from lib.face.landmarks import COUNT, GROUPS, STABLE, validate

CAVITY = (58, 26, 26)               # colour between the lips where there are no teeth
INNER = GROUPS["inner_lips"]
FOREHEAD = 0.45                     # height of a fixed arc above the brows, in jaw widths
RING = 1.5                          # of a fixed arc round the jaw, relative to the jaw's distance from the middle
SUBPIXEL_BITS = 4


@dataclass(frozen=True, eq=False)
class Portrait:
    """A picture (H, W, 3) uint8 with its landmarks (68, 2) in its pixels, y down, and where it comes from.

    Raises InputError for another shape or type, or landmarks outside the picture.
    """

    picture: np.ndarray
    points: np.ndarray
    credit: str

    def __post_init__(self) -> None:
        if self.picture.ndim != 3 or self.picture.shape[2] != 3 or self.picture.dtype != np.uint8:
            raise InputError(f"portrait: picture {self.picture.shape} {self.picture.dtype}; expected (H, W, 3) uint8")
        inside = (validate(self.points) >= 0) & (self.points < self.picture.shape[1::-1])
        if self.points.shape != (COUNT, 2) or not inside.all():
            raise InputError(f"portrait: landmarks {self.points.shape}; expected ({COUNT}, 2) within the picture")

    @cached_property
    def anchors(self) -> np.ndarray:
        """Points (P, 2) that stay where they are: the border of the picture, arcs over forehead and round the jaw."""
        height, width = self.picture.shape[:2]
        x, y = np.linspace(0, width, 5), np.linspace(0, height, 5)[1:-1]
        border = [(a, b) for a in x for b in (0, height)] + [(a, b) for a in (0, width) for b in y]
        brows = self.points[17:27]
        up = FOREHEAD * np.linalg.norm(self.points[16] - self.points[0])
        arc = brows[[0, 3, 6, 9]] - [0, up]
        middle = self.points.mean(0)
        ring = middle + RING * (self.points[0:17:2] - middle)
        return np.concatenate([border, np.clip(np.concatenate([arc, ring]), 1, [width - 1, height - 1])])

    @cached_property
    def triangles(self) -> np.ndarray:
        """Vertex numbers (K, 3) of the triangles; none between the lips."""
        from scipy.spatial import Delaunay

        corners = Delaunay(np.concatenate([self.points, self.anchors])).simplices
        return corners[~np.isin(corners, INNER).all(1)]

    @cached_property
    def mouth(self) -> np.ndarray:
        """The picture behind the lips (H, W, 3): the portrait's own teeth within its lips, darkness around them."""
        own = self._polygon(self.points[INNER])[..., None]
        return (own * self.picture + (1 - own) * np.array(CAVITY)).astype(np.uint8)

    def moved(self, motion: np.ndarray, template: np.ndarray) -> np.ndarray:
        """Landmarks (T, 68, 2) of this face that move like `motion` (T, 68, 2) does from `template` (68, 2).

        Displacements are turned and scaled as this face's stable points lie to the template's. Where the portrait's
        lips are open at rest they are first closed, so that it can say "m": its inner lips meet half way.
        """
        motion, template = validate(motion), validate(template)
        fit = similarity(template[None, STABLE].astype(float), self.points[STABLE].astype(float))
        turn = fit.scale[0] * fit.rotation[0]
        return self.closed + (motion - template) @ turn.T

    @cached_property
    def closed(self) -> np.ndarray:
        """The landmarks with the lips shut: inner lips on their middle line, outer lips following."""
        points = self.points.astype(float).copy()
        pairs = [(61, 67, 50, 58), (62, 66, 51, 57), (63, 65, 52, 56)]
        for upper, lower, above, below in pairs:
            middle = 0.35 * points[upper] + 0.65 * points[lower]        # the lower lip rises less than the upper falls
            points[above] += middle - points[upper]
            points[below] += middle - points[lower]
            points[upper] = points[lower] = middle
        points[[49, 53]] += 0.5 * (points[[50, 52]] - self.points[[50, 52]])
        points[[59, 55]] += 0.5 * (points[[58, 56]] - self.points[[58, 56]])
        return points

    def frames(self, points: np.ndarray) -> np.ndarray:
        """Pictures (T, H, W, 3) uint8 of the portrait with landmarks (T, 68, 2) in its pixels."""
        return np.stack([self.frame(face) for face in validate(points)])

    def frame(self, points: np.ndarray) -> np.ndarray:
        """One picture (H, W, 3) uint8 with landmarks (68, 2)."""
        import cv2

        sources = np.concatenate([self.points, self.anchors])
        targets = np.concatenate([points, self.anchors])
        maps = self._inverse(sources[self.triangles], targets[self.triangles])
        skin = cv2.remap(self.picture, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        between = self._polygon(points[INNER])[..., None]
        return np.round(between * self._behind(points) + (1 - between) * skin).astype(np.uint8)

    def _behind(self, points: np.ndarray) -> np.ndarray:
        """The mouth's inside, moved with the head as far as the stable points tell."""
        import cv2

        shift = (points[STABLE] - self.points[STABLE]).mean(0)
        matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
        return cv2.warpAffine(self.mouth, matrix, self.mouth.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)

    def _inverse(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Where every pixel comes from (H, W, 2) float32, for triangles (K, 3, 2): affine within each target."""
        import cv2

        height, width = self.picture.shape[:2]
        owner = np.full((height, width), -1, np.int32)
        for k, corners in enumerate(np.round((targets - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)):
            cv2.fillConvexPoly(owner, corners, k, cv2.LINE_8, SUBPIXEL_BITS)
        affine = _affine(targets, sources)
        centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5, indexing="xy"), -1)
        here = affine[np.maximum(owner, 0)]
        at = (here[..., :2] @ centres[..., None])[..., 0] + here[..., 2]
        return (np.where(owner[..., None] < 0, centres, at) - 0.5).astype(np.float32)

    def _polygon(self, corners: np.ndarray) -> np.ndarray:
        """Share (H, W) of each pixel within a polygon (P, 2), with soft edges."""
        import cv2

        mask = np.zeros(self.picture.shape[:2], np.uint8)
        whole = np.round((corners - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(mask, [whole], 255, cv2.LINE_AA, SUBPIXEL_BITS)
        return cv2.GaussianBlur(mask, (3, 3), 0).astype(np.float32) / 255


def _affine(targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Affine maps (K, 2, 3) of triangles (K, 3, 2) onto others; a triangle without area gets a nearby solution."""
    corners = np.concatenate([targets, np.ones((*targets.shape[:2], 1))], -1)
    return (np.linalg.pinv(corners, rcond=1e-6) @ sources).transpose(0, 2, 1)


# An example -----------------------------------------------------------------------------------------------------------

# Measured by hand for this study, in the picture's 512 x 512 pixels, as zoomed pixels of 1/8 from (165, 60).
_ASTRONAUT = (
    (128, 350), (130, 430), (135, 515), (146, 600), (165, 690), (205, 780), (262, 855), (345, 915), (455, 948),
    (565, 928), (655, 872), (730, 805), (780, 722), (813, 635), (832, 555), (842, 470), (848, 390),
    (203, 246), (240, 228), (285, 227), (335, 240), (388, 262), (590, 268), (640, 260), (690, 258), (740, 266),
    (788, 288),
    (478, 335), (475, 400), (471, 465), (468, 528), (398, 563), (432, 574), (475, 583), (515, 577), (558, 565),
    (230, 330), (272, 300), (325, 303), (370, 345), (320, 358), (270, 350),
    (578, 358), (615, 326), (670, 318), (738, 350), (695, 372), (630, 372),
    (303, 634), (360, 640), (415, 644), (468, 650), (525, 645), (590, 646), (645, 645), (595, 698), (535, 738),
    (465, 756), (400, 744), (350, 702),
    (322, 645), (395, 660), (465, 669), (540, 663), (625, 652), (545, 712), (465, 719), (390, 706),
)  # fmt: skip


def astronaut(size: int = 256) -> Portrait:
    """Portrait of Eileen Collins (NASA, public domain) from scikit-image's bundled pictures, cut to face and hair."""
    import cv2
    from skimage import data

    left, top, side = 116, 20, 230
    cut = data.astronaut()[top : top + side, left : left + side]
    picture = cv2.resize(cut, (size, size), interpolation=cv2.INTER_CUBIC)
    points = np.array(_ASTRONAUT, float) / 8 + [165 - left, 60 - top]
    return Portrait(picture, points * size / side, "Eileen Collins, photograph by NASA, public domain; scikit-image")
