"""EmoFace recordings (IEEE VR 2024): one actor, Mandarin, with 174 MetaHuman controllers per frame at 60 fps.

Published layout: <split>/WAV/*.wav beside <split>/VALID_CTR/*.txt, in both splits; the shipped sample: wav/ beside
ctr/. A controller file has one frame per line, 174 comma-separated numbers, no header. The first three letters of a
name are the emotion. As in the released program, controllers are cut to int(60 x duration) frames. A recording without
controllers is read as sound alone: of the corpus one clip is public, with more sounds.
"""

import ast
from pathlib import Path
from typing import Any

import numpy as np

from lib import audio
from lib.data import tracks
from lib.data.clip import Clip, frame_count
from lib.data.sequence import Clips, folder_of, sounds
from lib.errors import InputError, explain
from lib.face.rig import METAHUMAN
from lib.paths import asset, write_aside

FPS = 60.0
WIDTH = len(METAHUMAN)
EMOTIONS = {"ang": "angry", "dis": "disgusted", "fea": "fearful", "hap": "happy", "neu": "neutral", "sad": "sad",
            "sur": "surprised"}                                            # in the order of the published ids, 0 to 6
COLUMNS = tuple(f"{i} {name}" for i, name in enumerate(METAHUMAN))         # two names of the tongue occur twice
SOUND_FOLDERS = {"wav": "ctr", "WAV": "VALID_CTR"}                         # beside each: the controllers
SPLITS = ("train", "training", "validation", "valid", "val")


def clips(folder: Path | str | None = None) -> Clips:
    """Recordings below `folder` (default: the asset "emoface_sample"), ordered by name.

    Labels: id, emotion, take, split (None outside a split's folder), controllers (path, None where there are none).
    `motion` is (T, 174). Raises InputError naming a file whose name begins with no emotion.
    """
    folder = folder_of("emoface_sample", folder)
    found = [p for p in sounds(folder, "EmoFace recordings") if p.parent.name in SOUND_FOLDERS]
    if not found:
        raise InputError(f"{folder}: no folder wav or WAV with sound; expected EmoFace recordings")
    return Clips([_labels(path, folder) for path in found], _read)


def emotion(stem: str) -> str:
    """Emotion of a file stem such as angry_gd04_001_021, by its first three letters; InputError for another name."""
    if stem[:3].lower() not in EMOTIONS:
        raise InputError(f"{stem!r}: expected a name that begins with one of {', '.join(EMOTIONS)}")
    return EMOTIONS[stem[:3].lower()]


def controllers(path: Path | str) -> np.ndarray:
    """Controllers (T, 174) float32 of a file; InputError naming the row that is ragged or holds no finite number."""
    return tracks.read_table(path, COLUMNS, header=COLUMNS)


def save_controllers(path: Path | str, curves: np.ndarray) -> None:
    """Write controllers (T, 174) in the published format, six decimals."""
    curves = np.asarray(curves)
    if curves.ndim != 2 or curves.shape[1] != WIDTH or not np.isfinite(curves).all():
        raise InputError(f"{path}: controllers {curves.shape}; expected finite (frames, {WIDTH})")
    with write_aside(path) as aside:
        np.savetxt(aside, curves, fmt="%.6f", delimiter=",")


def blink_windows(folder: Path | str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Published training windows of seven eye aspect ratios, 30 fps: open (453, 7) and shut (150, 7)."""
    folder = asset("emoface_sample/blink") if folder is None else Path(folder)
    return _windows(folder / "train_open.txt"), _windows(folder / "train_close.txt")


def blink_intervals(folder: Path | str | None = None) -> np.ndarray:
    """Published intervals between blinks in MEAD videos, (445,) frames at 30 fps."""
    path = (asset("emoface_sample/blink") if folder is None else Path(folder)) / "interval_svm.npy"
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: expected an array of intervals ({explain(error)})") from error
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer) or not (found > 0).all():
        raise InputError(f"{path}: {found.dtype} {found.shape}; expected whole numbers of frames above 0")
    return found


def _windows(path: Path) -> np.ndarray:
    """One list of seven numbers per line."""
    try:
        rows = [ast.literal_eval(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        windows = np.array(rows, float)
    except (OSError, ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InputError(f"{path}: expected a list of seven numbers per line ({explain(error)})") from error
    if windows.ndim != 2 or windows.shape[1] != 7 or not np.isfinite(windows).all():
        raise InputError(f"{path}: windows {windows.shape}; expected finite (N, 7)")
    return windows


def _labels(path: Path, folder: Path) -> dict[str, Any]:
    try:
        label = emotion(path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    table = path.parent.with_name(SOUND_FOLDERS[path.parent.name]) / f"{path.stem}.txt"
    split = path.parent.parent.name.lower()
    return {"id": f"emoface-{path.stem}", "emotion": label, "take": path.stem.partition("_")[2],
            "split": split if split in SPLITS else None, "path": path, "controllers": table if table.exists() else None}


def _read(row: dict[str, Any]) -> Clip:
    sound = audio.load(row["path"])
    motion = {}
    if row["controllers"] is not None:
        frames = frame_count(len(sound) / audio.SAMPLE_RATE, FPS)
        motion = {"fps": FPS, "motion": controllers(row["controllers"])[:frames], "motion_kind": "metahuman174"}
    return Clip(id=row["id"], audio=sound, speaker="emoface-actor", emotion=row["emotion"], source="emoface",
                extra={"names": METAHUMAN, "language": "zh", "take": row["take"]}, **motion)
