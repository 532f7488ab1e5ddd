"""MEAD clips with sound (Wang et al. 2020): video, its soundtrack, and landmarks that a detector found in it.

File name: actor_level_<1-3>_emotion_sentence, or actor_emotion_<1-3>_sentence. `motion` is the stored track
(T, 68, 2) in pixels of the picture, y down: detector output with 1 to 2 pixels of jitter, not truth. Where the video
lies beside it, rate and length are compared. `intensity` is the level over 3, 0 for neutral (recorded at one level
only). Research use only.
"""

import re
from pathlib import Path
from typing import Any

from lib import audio, labels
from lib.data import tracks
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of, labelled
from lib.data.video import check_together, check_track
from lib.errors import InputError

NAME = re.compile(r"(?P<actor>[MW]\d{3})_(?:level_(?P<a>[123])_(?P<b>[a-z]+)|(?P<c>[a-z]+)_(?P<d>[123]))_(?P<s>\d{3})")


def clips(folder: Path | str | None = None) -> Clips:
    """Clips with sound below `folder` (default: the asset "mead_av"), ordered by file name.

    Labels: id, actor, emotion, level, intensity, sentence. Raises InputError naming a file whose name does not follow
    the scheme.
    """
    folder = folder_of("mead_av", folder)
    return Clips(labelled(folder / "audio", "MEAD clips", parse), _read)


def parse(stem: str) -> dict[str, Any]:
    """Labels from a file stem such as M030_level_3_angry_016."""
    found = NAME.fullmatch(stem)
    if found is None:
        raise InputError(f"{stem!r}: expected actor_level_<1-3>_emotion_sentence, e.g. M030_level_3_angry_016")
    level, emotion = int(found["a"] or found["d"]), labels.canonical(found["b"] or found["c"])
    return {"id": f"mead-{stem}", "actor": found["actor"], "emotion": emotion, "level": level,
            "intensity": 0.0 if emotion == "neutral" else level / 3, "sentence": f"mead-{found['s']}"}


def _read(row: dict[str, Any]) -> Clip:
    path = row["path"].parent.parent / "landmarks" / f"{row['path'].stem}.npz"
    points, fps = tracks.read_landmarks(path)
    film, sound = row["path"].parent.parent / "video" / f"{row['path'].stem}.mp4", audio.load(row["path"])
    if film.exists():
        check_track(film, len(points), fps)
    check_together(str(path), len(points), fps, len(sound))
    return Clip(id=row["id"], audio=sound, speaker=f"mead-{row['actor']}", emotion=row["emotion"],
                intensity=row["intensity"], sentence=row["sentence"], source="mead", fps=fps,
                motion=tracks.fill_gaps(points, name=str(path)), motion_kind="landmarks68",
                extra={"level": row["level"]})
