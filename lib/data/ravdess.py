"""RAVDESS speech (Livingstone & Russo 2018): 24 actors, 8 emotions, 2 intensities, 2 sentences; sound only.

File name: modality-channel-emotion-intensity-statement-repetition-actor, two digits each. Published labels stay in
`extra`; `emotion` uses the study's names, None for "calm", which no other corpus has. `intensity` is 1.0 for strong,
0.5 for normal, 0.0 for neutral (recorded at one level only). Native rate 48 kHz.
"""

from pathlib import Path
from typing import Any

from lib import audio
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of, labelled
from lib.errors import InputError

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")          # codes 01..08
STUDY_NAMES = {"disgust": "disgusted", "calm": None}
STATEMENTS = ("Kids are talking by the door", "Dogs are sitting by the door")                     # codes 01, 02
SPLIT = {"train": tuple(range(1, 21)), "val": (21, 22), "test": (23, 24)}     # ours; none is published; no shared actor


def clips(folder: Path | str | None = None) -> Clips:
    """Speech clips below `folder` (default: the asset "ravdess_speech"), ordered by file name.

    Labels: id, actor (1..24), sex, label (published), emotion, intensity, statement, repetition. Raises InputError
    naming a file whose name does not follow the scheme.
    """
    folder = folder_of("ravdess_speech", folder)
    return Clips(labelled(folder, "RAVDESS speech", parse), _read)


def parse(stem: str) -> dict[str, Any]:
    """Labels from a file stem such as 03-01-06-01-02-01-12 (fearful, normal, "Dogs ...", first take, actor 12)."""
    parts = stem.split("-")
    if len(parts) != 7 or not all(part.isascii() and part.isdigit() and len(part) == 2 for part in parts):
        raise InputError(f"{stem!r}: expected seven two-digit numbers, e.g. 03-01-06-01-02-01-12")
    modality, channel, emotion, strength, statement, repetition, actor = map(int, parts)
    in_range = 1 <= emotion <= 8 and strength in (1, 2) and statement in (1, 2) and repetition in (1, 2)
    if not (in_range and 1 <= actor <= 24 and modality in (1, 3)) or channel != 1 or (emotion == 1 and strength == 2):
        raise InputError(f"{stem!r}: not a RAVDESS speech clip with sound; song and silent video are not read")
    label = LABELS[emotion - 1]
    return {"id": f"ravdess-{stem}", "actor": actor, "sex": "male" if actor % 2 else "female", "label": label,
            "emotion": STUDY_NAMES.get(label, label), "intensity": 0.0 if emotion == 1 else strength / 2,
            "statement": statement, "repetition": repetition}


def _read(row: dict[str, Any]) -> Clip:
    extra = {key: row[key] for key in ("label", "sex", "repetition")} | {"text": STATEMENTS[row["statement"] - 1]}
    return Clip(id=row["id"], audio=audio.load(row["path"]), speaker=f"ravdess-{row['actor']:02d}",
                emotion=row["emotion"], intensity=row["intensity"], sentence=f"ravdess-{row['statement']:02d}",
                source="ravdess", extra=extra)
