"""Berlin EmoDB (Burkhardt et al. 2005): acted German, 10 speakers, 10 sentences, 7 emotions; sound only, 16 kHz.

File stem, e.g. 03a01Wa: speaker 03, sentence a01, emotion letter (first letter of the German word), take a. Intensity
is not labelled. `emotion` uses the study's names, None for boredom.
"""

import re
from pathlib import Path
from typing import Any

from lib import audio
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of, labelled
from lib.errors import InputError

LABELS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
STUDY_NAMES = {"anger": "angry", "boredom": None, "disgust": "disgusted", "fear": "fearful", "happiness": "happy",
               "sadness": "sad", "neutral": "neutral"}
MEN, WOMEN = ("03", "10", "11", "12", "15"), ("08", "09", "13", "14", "16")
STEM = re.compile(r"(\d{2})([ab]\d{2})([WLEAFTN])([a-z])")


def clips(folder: Path | str | None = None) -> Clips:
    """Clips below `folder` (default: the asset "emodb_4emotions"), ordered by file name.

    Labels: id, speaker ("03" ...), sex, label (published), emotion, sentence, take. Raises InputError naming a file
    whose name does not follow the scheme.
    """
    folder = folder_of("emodb_4emotions", folder)
    return Clips(labelled(folder, "Berlin EmoDB", parse), _read)


def parse(stem: str) -> dict[str, Any]:
    """Labels from a file stem such as 03a01Wa."""
    match = STEM.fullmatch(stem)
    if match is None or match[1] not in MEN + WOMEN:
        raise InputError(f"{stem!r}: expected speaker, sentence, emotion letter and take, e.g. 03a01Wa")
    label = LABELS[match[3]]
    return {"id": f"emodb-{stem}", "speaker": match[1], "sex": "male" if match[1] in MEN else "female", "label": label,
            "emotion": STUDY_NAMES[label], "sentence": match[2], "take": match[4]}


def _read(row: dict[str, Any]) -> Clip:
    extra = {key: row[key] for key in ("label", "sex", "take")} | {"language": "de"}
    return Clip(id=row["id"], audio=audio.load(row["path"]), speaker=f"emodb-{row['speaker']}", emotion=row["emotion"],
                sentence=f"emodb-{row['sentence']}", source="emodb", extra=extra)
