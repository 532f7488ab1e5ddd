"""Landmarks as pictures: what image translation and renderers see instead of a face, in three conventions.

    lsp         white on black, one channel (Live Speech Portraits; its shoulders need points the 68 do not have)
    makeittalk  on white: jaw, nose and eyes green, brows red, outer lips yellow, inner lips cyan
    bilayer     on a canvas of 1 (of 255), every part in a colour of its own; the colours are ours, evenly spaced hues

All draw lines of thickness 2 at 256 pixels; eyes and lips are closed curves. Coordinates run from the upper left
corner of the picture, y down: the middle of the first pixel is (0.5, 0.5).
"""

import colorsys
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.face.landmarks import COUNT

FRAME = 256                         # pixels of the frame that coordinates refer to unless said otherwise
WIDTH = 2
SUBPIXEL_BITS = 4                   # antialiased lines start at sixteenths of a pixel

# name: (first, last landmark, closed)
PARTS: dict[str, tuple[int, int, bool]] = {
    "jaw": (0, 16, False), "right_brow": (17, 21, False), "left_brow": (22, 26, False), "nose_bridge": (27, 30, False),
    "nose_base": (31, 35, False), "right_eye": (36, 41, True), "left_eye": (42, 47, True),
    "outer_lips": (48, 59, True), "inner_lips": (60, 67, True),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """Colour of the background and of every part, RGB or grey; `links` are further lines (from, to, part)."""

    background: tuple[int, ...]
    colours: dict[str, tuple[int, ...]]
    links: tuple[tuple[int, int, str], ...] = ()

    @property
    def channels(self) -> int:
        return len(self.background)


def _hues() -> dict[str, tuple[int, ...]]:
    return {name: tuple(round(255 * c) for c in colorsys.hsv_to_rgb(i / len(PARTS), 1, 1))
            for i, name in enumerate(PARTS)}


_GREEN, _RED, _YELLOW, _CYAN = (0, 255, 0), (255, 0, 0), (255, 255, 0), (0, 255, 255)
_CODE = {"right_brow": _RED, "left_brow": _RED, "outer_lips": _YELLOW, "inner_lips": _CYAN}
STYLES = {
    "lsp": Style((0,), dict.fromkeys(PARTS, (255,))),
    "makeittalk": Style((255, 255, 255), {name: _CODE.get(name, _GREEN) for name in PARTS}),
    "bilayer": Style((1, 1, 1), _hues(), ((30, 33, "nose_bridge"),)),
}


def draw(points: np.ndarray, style: str = "lsp", size: int = FRAME, *, width: int = WIDTH, frame: float = FRAME,
         smooth: bool = True) -> np.ndarray:
    """Pictures (T, size, size, 1 or 3) uint8 of landmarks (T, 68, 2) in pixels of a square frame `frame` wide.

    `smooth` lines are antialiased and keep shifts below a pixel, which matter in small pictures; the released programs
    draw hard lines between whole pixels. Points outside the picture are clipped. Raises InputError for other shapes,
    values that are not finite, an unknown style, and sizes or widths below 1.
    """
    points, look = _checked(points), _style(style)
    if size < 1 or width < 1 or frame <= 0:
        raise InputError(f"landmark picture: size {size}, width {width}, frame {frame}; expected positive numbers")
    at = np.clip(points.astype(np.float64) * (size / frame) - 0.5, -8 * size, 8 * size)
    pictures = np.empty((len(points), size, size, look.channels), np.uint8)
    pictures[:] = look.background
    for picture, face in zip(pictures, at, strict=True):
        _draw_face(picture, face, look, width, smooth)
    return pictures


def _checked(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points)
    if points.ndim != 3 or points.shape[1:] != (COUNT, 2):
        raise InputError(f"landmark picture: points {points.shape}; expected (T, {COUNT}, 2); drop z first")
    if not np.isfinite(points).all():
        raise InputError("landmark picture: points hold NaN or infinity; interpolate the missing frames first")
    return points


def _style(name: str) -> Style:
    if name not in STYLES:
        raise InputError(f"landmark picture: style {name!r}; expected one of {', '.join(STYLES)}")
    return STYLES[name]


def _draw_face(picture: np.ndarray, face: np.ndarray, look: Style, width: int, smooth: bool) -> None:
    """Lines of one face (68, 2), in pixel centres, into a picture (H, W, C), in place."""
    import cv2

    bits, kind = (SUBPIXEL_BITS, cv2.LINE_AA) if smooth else (0, cv2.LINE_8)
    whole = np.round(face * (1 << bits)).astype(np.int32)
    for name, (first, last, closed) in PARTS.items():
        cv2.polylines(picture, [whole[first : last + 1]], closed, look.colours[name], width, kind, bits)
    for start, end, name in look.links:
        cv2.polylines(picture, [whole[[start, end]]], False, look.colours[name], width, kind, bits)
