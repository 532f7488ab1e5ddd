"""StyleTalk samples: public speeches with 3DMM coefficients and phonemes, 30 fps, 16 kHz.

`motion` is the 64 expression coefficients (columns 80:144 of 257; the face basis behind them is not free). All
257, the crop, the landmarks when present and the raw phoneme ids are in `extra`. Landmarks are detector output derived
from the footage, not truth; their last frames beyond the coefficients (two, in this set) are dropped.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from lib import audio
from lib.data import matlab, tracks
from lib.data.clip import Clip, Phoneme
from lib.data.sequence import Clips, folder_of, sounds
from lib.errors import InputError, explain

FPS = 30.0
WIDTH = 257
EXPRESSION = slice(80, 144)
MAX_EXTRA_LANDMARK_FRAMES = 2
ARPABET = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG NSN OW OY P R S SH SIL T TH UH UW V W Y Z ZH"
SYMBOLS = "ɑ æ ʌ ɔ aʊ aɪ b tʃ d ð ɛ ɝ eɪ f ɡ h ɪ i dʒ k l m n ŋ _ oʊ ɔɪ p ɹ s ʃ _ t θ ʊ u v w j z ʒ"
IPA = dict(zip(ARPABET.split(), SYMBOLS.split(), strict=True)) | {"SIL": "", "NSN": ""}     # silence, and other noise


def clips(folder: Path | str | None = None) -> Clips:
    """Clips with sound below `folder` (default: the asset "styletalk_av"); labels: id, name."""
    folder = folder_of("styletalk_av", folder)
    rows = [{"id": f"styletalk-{path.stem}", "name": path.stem, "folder": folder, "path": path}
            for path in sounds(folder / "audio", "StyleTalk clips", "*")]
    return Clips(rows, _read)


def coefficients(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """3DMM coefficients (T, 257) and crop parameters (T, 5) of a .mat file. Raises InputError on any other content."""
    path = Path(path)
    content = matlab.load(path)
    if not {"coeff", "transform_params"} <= content.keys():
        raise InputError(f"{path}: holds {', '.join(content) or 'nothing'}; expected coeff and transform_params")
    coeff, crop = (np.asarray(content[key], np.float32) for key in ("coeff", "transform_params"))
    if coeff.ndim != 2 or coeff.shape[1] != WIDTH or crop.shape != (len(coeff), 5) or not len(coeff):
        raise InputError(f"{path}: coeff {coeff.shape}, crop {crop.shape}; expected (T, {WIDTH}) and (T, 5)")
    if not np.isfinite(coeff).all():
        raise InputError(f"{path}: NaN or infinite coefficients; track the clip again")
    return coeff, crop


def phonemes(ids: list[int], table: dict[str, int], fps: float = FPS) -> tuple[Phoneme, ...]:
    """Runs of equal phoneme ids, one id per frame, as IPA phonemes with times in seconds ("" = silence or noise)."""
    names, spoken, start = {number: name for name, number in table.items()}, [], 0
    for number, run in itertools.groupby(ids):
        end = start + len(list(run))
        spoken.append(Phoneme(IPA[names[number]], start / fps, end / fps))
        start = end
    return tuple(spoken)


def _read(row: dict[str, Any]) -> Clip:
    folder, name = row["folder"], row["name"]
    coeff, crop = coefficients(folder / "coeff" / f"{name}.mat")
    ids, table = _json(folder / "phoneme" / f"{name}_seq.json"), _json(folder / "phindex.json")
    if len(ids) != len(coeff) or not set(ids) <= set(table.values()) or not table.keys() <= IPA.keys():
        raise InputError(f"{folder}: {name}_seq.json has {len(ids)} ids; expected {len(coeff)}, all in phindex.json")
    extra = {"coeff": coeff, "crop": crop, "phoneme_ids": np.array(ids), **_landmarks(folder, name, len(coeff))}
    return Clip(id=row["id"], audio=audio.load(row["path"]), speaker=f"styletalk-{_person(name)}", source="styletalk",
                fps=FPS, motion=coeff[:, EXPRESSION], motion_kind="3dmm64", phonemes=phonemes(ids, table), extra=extra)


def _landmarks(folder: Path, name: str, frames: int) -> dict[str, np.ndarray]:
    path = folder / "landmarks" / f"{name}.npz"
    if not path.exists():
        return {}
    points, _ = tracks.read_landmarks(path)
    if not frames <= len(points) <= frames + MAX_EXTRA_LANDMARK_FRAMES:
        raise InputError(f"{path}: {len(points)} frames; expected {frames} as the coefficients have, or two more")
    return {"landmarks": points[:frames]}


def _person(name: str) -> str:
    """Person of a clip: the name before "_clip"."""
    return name.split("_clip")[0]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON file of the StyleTalk samples ({explain(error)})") from error
