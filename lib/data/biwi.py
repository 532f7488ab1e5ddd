"""BIWI B3D(AC)^2 (Fanelli et al. 2010): 14 subjects, 40 sentences, 23,370 vertices, 25 fps, in the layout of FaceFormer
and CodeTalker:

    wav/<subject>_<sentence>.wav    vertices_npy/<subject>_<sentence>.npy (T x 70110)    templates.pkl {subject: V x 3}

Names are F2_e01 (subject, e = spoken with emotion, 01..40). Positions have no metric unit: 1 = the root of the surface
area of that frame, 185.6 mm on average. Which emotion is felt in a sentence is not published, so `emotion` is None.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib import audio
from lib.data import mesh, safe_pickle
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of
from lib.errors import InputError, explain

FPS = 25.0
N_VERTICES = 23370
MM_PER_UNIT = 185.6                                # mean over subjects; F1 has 173.6
SEEN = ("F2", "F3", "F4", "M3", "M4", "M5")
UNSEEN = ("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6")
SUBJECTS = tuple(sorted(SEEN + UNSEEN))
EAVANET_SEEN = ("F1", "F3", "F4", "F5", "F7")      # its 183 of 200 sentences are not listed: same ranges here
TRAIN, VAL, TEST = range(1, 33), range(33, 37), range(37, 41)


def clips(folder: Path | str | None = None, *, seen: Sequence[str] = SEEN, n_vertices: int = N_VERTICES) -> Clips:
    """Clips below `folder` (default: the asset "biwi"); `motion` is (T, V, 3), `extra["template"]` (V, 3).

    Labels: id, subject, sentence (1..40), emotional, split ("train", "val", "test_A" for seen subjects, "test_B" for
    others, None for those an unseen subject does not use). `seen=EAVANET_SEEN` gives that paper's subjects.
    Raises InputError where sound or template of a sequence is missing, or the topology differs.
    """
    folder = folder_of("biwi", folder)
    templates = _templates(folder / "templates.pkl", n_vertices)
    paths = sorted((folder / "vertices_npy").glob("*.npy"))
    if not paths:
        raise InputError(f"{folder / 'vertices_npy'}: no .npy sequences; expected F2_e01.npy ...")
    rows = [{**parse(path.stem, seen), "path": path, "sound": folder / "wav" / f"{path.stem}.wav"} for path in paths]
    absent = [row["subject"] for row in rows if row["subject"] not in templates]
    if absent:
        raise InputError(f"{folder / 'templates.pkl'}: no template of {absent[0]}; expected one for every subject")
    return Clips(rows, lambda row: _read(row, templates[row["subject"]], n_vertices))


def parse(stem: str, seen: Sequence[str] = SEEN) -> dict[str, Any]:
    """Labels from a file stem such as F2_e01."""
    subject, _, sentence = stem.partition("_")
    number = sentence.removeprefix("e")
    if subject not in SUBJECTS or not (number.isdigit() and 1 <= int(number) <= 40):
        raise InputError(f"{stem!r}: expected subject and sentence of BIWI, e.g. F2_e01")
    return {"id": f"biwi-{stem}", "subject": subject, "sentence": int(number), "emotional": sentence.startswith("e"),
            "split": split_of(int(number), subject in seen)}


def split_of(sentence: int, is_seen: bool) -> str | None:
    """Published split of a sentence (1..40): 1-32, 33-36 and 37-40; unseen subjects are used for test B alone."""
    if sentence in TEST:
        return "test_A" if is_seen else "test_B"
    return ("train" if sentence in TRAIN else "val") if is_seen else None


def normalise(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """CodeTalker's preprocessing of raw frames: (T, V, 3) mm -> (T, V, 3) without unit, float32.

    Half a turn about x, the mean of the frame subtracted, divided by the root of the frame's own surface area. So
    global translation is gone, and the upper face shifts a little whenever the jaw opens.
    """
    turned = np.asarray(vertices, np.float64) * (1, -1, -1)
    centred = turned - turned.mean(-2, keepdims=True)
    return (centred / np.sqrt(mesh.surface_area(centred, faces))[..., None, None]).astype(np.float32)


def read_vl(path: Path | str, n_vertices: int = N_VERTICES) -> np.ndarray:
    """Vertices (V, 3) in mm of one raw frame (.vl): a little-endian uint32 count, then float32 x y z."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({explain(error)}); expected a raw BIWI frame") from error
    count = int.from_bytes(data[:4], "little")
    if count != n_vertices or len(data) != 4 + 12 * n_vertices:
        raise InputError(f"{path}: announces {count} vertices in {len(data)} bytes; expected {n_vertices} vertices")
    return mesh.check_topology(np.frombuffer(data, "<f4", offset=4).reshape(-1, 3), n_vertices, str(path))[0]


def read_raw(folder: Path | str, faces: np.ndarray, n_vertices: int = N_VERTICES) -> np.ndarray:
    """Normalised sequence (T, V, 3) of a folder of raw frames, frame_001.vl ... in order of name."""
    frames = sorted(Path(folder).glob("*.vl"))
    if not frames:
        raise InputError(f"{folder}: no .vl frames; expected faces/<subject>/<sentence>/frame_NNN.vl")
    return np.concatenate([normalise(read_vl(path, n_vertices)[None], faces) for path in frames])


def _templates(path: Path, n_vertices: int) -> dict[str, np.ndarray]:
    content = safe_pickle.load(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}; expected templates by subject")
    return {str(k): mesh.check_topology(v, n_vertices, f"{path} [{k}]")[0] for k, v in content.items()}


def _read(row: dict[str, Any], template: np.ndarray, n_vertices: int) -> Clip:
    try:
        vertices = np.load(row["path"], allow_pickle=False)
    except Exception as error:                       # numpy raises many kinds on a broken file
        raise InputError(f"{row['path']}: expected a numpy array (T, {3 * n_vertices}) ({explain(error)})") from error
    return Clip(id=row["id"], audio=audio.load(row["sound"]), speaker=f"biwi-{row['subject']}",
                sentence=f"biwi-{row['sentence']:02d}", source="biwi", fps=FPS, motion_kind="vertices",
                motion=mesh.check_topology(vertices, n_vertices, str(row["path"])),
                extra={"template": template, "emotional": row["emotional"], "split": row["split"]})
