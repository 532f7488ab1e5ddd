"""Which of the 174 MetaHuman columns move what: parts by name, the areas of EmoFace's tables, twins left and right.

EmoFace (IEEE VR 2024) reports errors of a "mouth area" and an "eye area" and defines neither, so an error over an area
is reported for every set of AREAS; the first of each is the default (discrepancy 3d:F15). Columns are found by position
because the tip of the tongue is named twice. The names themselves: `lib.face.rig.METAHUMAN`.
"""

import re

import numpy as np

from lib.errors import InputError
from lib.face.rig import METAHUMAN, metahuman_index

AREAS = {                                                # set -> parts
    "mouth": ("mouth",),                                                              # 90 columns
    "mouth and jaw": ("mouth", "jaw"),                                                # 102
    "mouth, jaw, teeth and tongue": ("mouth", "jaw", "teeth", "tongue"),              # 117
    "eyes": ("eye", "eyelashes"),                                                     # 27
    "eyes without lashes": ("eye",),                                                  # 23
    "eyes and brows": ("eye", "eyelashes", "brow"),                                   # 35
    "full": ("mouth", "jaw", "teeth", "tongue", "eye", "eyelashes", "brow", "nose", "neck", "ear", "look"),
}
LEFT = np.array([i for i, name in enumerate(METAHUMAN) if name.startswith("CTRL_L_")])
RIGHT = LEFT + len(LEFT)                                 # the twin of every left column stands 69 columns later
BLINK = (metahuman_index("CTRL_L_eye_blink-translateY"), metahuman_index("CTRL_R_eye_blink-translateY"))
GAZE = (metahuman_index("CTRL_C_eye-translateX"), metahuman_index("CTRL_C_eye-translateY"))


def part(name: str) -> str:
    """Part of the face a column belongs to, from its name: "CTRL_L_mouth_dimple-translateY" is of the mouth."""
    return re.match(r"CTRL_(?:[CLR]_)?([a-z]+)", name)[1]


PARTS = tuple(part(name) for name in METAHUMAN)


def columns(area: str) -> np.ndarray:
    """Columns of an area of AREAS, or of a single part such as "brow"; InputError for another name."""
    parts = AREAS.get(area, (area,))
    if not set(parts) <= set(PARTS):
        known = f"{'; '.join(AREAS)}, and the parts {', '.join(sorted(set(PARTS)))}"
        raise InputError(f"no area {area!r}; there are {known}")
    return np.array([i for i, own in enumerate(PARTS) if own in parts])
