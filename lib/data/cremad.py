"""CREMA-D (Cao et al. 2014): 91 actors, 12 sentences, 6 emotions, and what 2443 people heard and saw in every clip.

File stem: actor_sentence_emotion_level, e.g. 1001_IEO_ANG_HI. Levels low, middle, high exist for one sentence (IEO) and
not for neutral; elsewhere the level is XX, unspecified. `intensity` is 1/3, 2/3, 1 for these levels, 0 for neutral,
None for XX: acted on request, not measured. What people perceived stands in `ratings`: each clip was rated from the
voice alone, from the face alone, and from both.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib import audio
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of, labelled
from lib.errors import InputError, explain
from lib.paths import find_asset

LABELS = {"ANG": "angry", "DIS": "disgusted", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LEVELS = {"LO": 1 / 3, "MD": 2 / 3, "HI": 1.0, "XX": None}
SENTENCES = {
    "IEO": "It's eleven o'clock", "TIE": "That is exactly what happened", "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about", "TAI": "The airplane is almost full", "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock", "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket", "ITS": "I think I've seen this before", "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}  # fmt: skip
ACTORS = range(1001, 1092)
STEM = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX)")
CHANNELS = {1: "voice", 2: "face", 3: "both"}                     # first digit of a row's number in tabulatedVotes
VOTES = {name[0]: name for name in ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad")}
STUDY_NAMES = {letter: LABELS[name[:3].upper()] for letter, name in VOTES.items()}
REMOVED = frozenset({                                             # broken clips that ECM's released program leaves out
    "1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD", "1004_DFA_FEA_XX", "1047_IEO_SAD_LO",
    "1047_IEO_FEA_LO",
})  # fmt: skip


# Clips ----------------------------------------------------------------------------------------------------------------


def clips(folder: Path | str | None = None) -> Clips:
    """Clips with sound below `folder`, ordered by name; default is the asset "cremad", else the four clips that stand
    beside the ratings ("cremad_ratings").

    Labels: id, stem, actor, sentence, label (published), emotion, level, intensity. Raises InputError naming a file
    whose name does not follow the scheme.
    """
    whole = "cremad" if find_asset("cremad") else "cremad_ratings"
    folder = folder_of(whole, folder)
    return Clips(labelled(folder, "CREMA-D", parse), _read)


def parse(stem: str) -> dict[str, Any]:
    """Labels from a file stem such as 1001_IEO_ANG_HI; raises InputError for any other."""
    found = STEM.fullmatch(stem)
    fits = found and int(found[1]) in ACTORS and found[2] in SENTENCES and found[3] in LABELS
    if not fits:
        raise InputError(f"{stem!r}: expected actor 1001 to 1091, sentence, emotion and level, e.g. 1001_IEO_ANG_HI")
    actor, sentence, label, level = found.groups()
    return {"id": f"cremad-{stem}", "stem": stem, "actor": int(actor), "sentence": sentence, "label": label,
            "emotion": LABELS[label], "level": level, "intensity": 0.0 if label == "NEU" else LEVELS[level]}


def _read(row: dict[str, Any]) -> Clip:
    extra = {key: row[key] for key in ("stem", "label", "level")} | {"text": SENTENCES[row["sentence"]]}
    return Clip(id=row["id"], audio=audio.load(row["path"]), speaker=f"cremad-{row['actor']}", emotion=row["emotion"],
                intensity=row["intensity"], sentence=f"cremad-{row['sentence']}", source="cremad", extra=extra)


# Ratings --------------------------------------------------------------------------------------------------------------


def names(folder: Path | str | None = None) -> tuple[str, ...]:
    """Stems of all 7442 clips, sorted, from SentenceFilenames.csv (asset "cremad_ratings")."""
    path, table = _table("SentenceFilenames.csv", ("Filename",), folder)
    _parsed(path, table.Filename)
    return tuple(sorted(table.Filename))


def ratings(folder: Path | str | None = None):
    """DataFrame of perceived emotion, one row per clip and channel, from tabulatedVotes.csv.

    stem, actor, emotion, level (what was asked of the actor); channel "voice", "face" or "both"; responses (people);
    share_<emotion> (of the people, together 1) and mean intensity 0..1: `intensity` of all answers, `acted_intensity`
    of those who named the acted emotion (NaN where nobody did). Raises InputError naming file and row when a column
    misses, a vote is no count, or the votes do not add up.
    """
    import pandas as pd

    columns = {letter: f"mean{name}Resp" for letter, name in VOTES.items()}
    path, table = _table("tabulatedVotes.csv", (*VOTES, "fileName", "numResponses", "meanEmoResp", *columns.values()),
                         folder)
    votes = _counts(path, table[[*VOTES, "numResponses"]])
    _require(path, votes[list(VOTES)].sum(axis=1) == votes.numResponses, "the votes do not add up to numResponses")
    clip = _parsed(path, table.fileName)
    out = clip[["stem", "actor", "emotion", "level"]].copy()
    out["channel"], out["responses"] = _channels(path, table.iloc[:, 0]), votes.numResponses
    for letter, emotion in STUDY_NAMES.items():
        out[f"share_{emotion}"] = votes[letter] / votes.numResponses
    levels = {STUDY_NAMES[letter]: _percent(path, table[column]) for letter, column in columns.items()}
    out["intensity"] = _percent(path, table.meanEmoResp)
    out["acted_intensity"] = pd.DataFrame(levels).to_numpy()[range(len(out)), [list(levels).index(e) for e in
                                                                                out.emotion]]
    return out


def summary(folder: Path | str | None = None):
    """DataFrame of the winning emotion, one row per clip and channel, from summaryTable.csv.

    stem, actor, emotion, level, channel; `winners` and `intensities` (0..1): tuples, with several entries at a tie.
    """
    import pandas as pd

    kinds = {"voice": "Voice", "face": "Face", "both": "MultiModal"}
    path, table = _table("summaryTable.csv", ("FileName", *(f"{k}{c}" for k in kinds.values()
                                                            for c in ("Vote", "Level"))), folder)
    clip = _parsed(path, table.FileName)[["stem", "actor", "emotion", "level"]]
    parts = []
    for channel, kind in kinds.items():
        won = [_winners(path, *pair) for pair in zip(table[f"{kind}Vote"], table[f"{kind}Level"], strict=True)]
        parts.append(clip.assign(channel=channel, winners=[w for w, _ in won], intensities=[i for _, i in won]))
    return pd.concat(parts, ignore_index=True)


def released_split(stems: Sequence[str] | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training and test stems of ECM's released program: names sorted, seven removed, the first 80 % for training.

    Of the full 7442 names (default: `names`) it gives 5948 and 1487, the counts of ECM's Table 3. Speaker 1073 is in
    both parts: a test clip may come from a face and voice seen in training.
    """
    chosen = sorted(stem for stem in (names() if stems is None else stems) if stem not in REMOVED)
    for stem in chosen:
        parse(stem)
    first = int(len(chosen) * 0.8)
    return tuple(chosen[:first]), tuple(chosen[first:])


def _table(name: str, columns: tuple[str, ...], folder: Path | str | None):
    """Path and DataFrame of a published table; InputError for another file or missing columns."""
    import pandas as pd

    path = folder_of("cremad_ratings", folder) / name
    try:
        table = pd.read_csv(path, encoding="utf-8")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: no readable table ({explain(error)}); get the file again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing or not len(table):
        raise InputError(f"{path}: {', '.join(missing[:4]) or 'every row'} missing; expected CREMA-D's {name}")
    return path, table


def _require(path: Path, right, what: str) -> None:
    if not right.all():
        raise InputError(f"{path}: row {int((~right).to_numpy().argmax()) + 2}: {what}; get the file again")


def _parsed(path: Path, stems):
    """Labels of every stem of a table; InputError with the file for a name that is none."""
    import pandas as pd

    try:
        return pd.DataFrame([parse(str(stem)) for stem in stems])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _counts(path: Path, table):
    """The columns as whole numbers not below zero, at least one answer in every row."""
    import pandas as pd

    numbers = table.apply(pd.to_numeric, errors="coerce")
    _require(path, ((numbers >= 0) & (numbers % 1 == 0)).all(axis=1) & (numbers.numResponses > 0),
             "votes must be whole numbers, and somebody must have answered")
    return numbers.astype(int)


def _percent(path: Path, column):
    """Mean answer 0..100 as 0..1; -1, nobody answered so, as NaN."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    _require(path, numbers.between(0, 100) | (numbers == -1), f"{column.name} must lie between 0 and 100, or be -1")
    return numbers.where(numbers >= 0) / 100


def _channels(path: Path, numbers):
    """Channel of every row from the first digit of its number (six digits)."""
    import pandas as pd

    first = pd.to_numeric(numbers, errors="coerce") // 100_000
    _require(path, first.isin(list(CHANNELS)), "a row is numbered 1xxxxx (voice), 2xxxxx (face) or 3xxxxx (both)")
    return first.map(CHANNELS)


def _winners(path: Path, votes: Any, levels: Any) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Winning emotions and their intensities from entries such as "N" and "69.1", or "A:D" and "41:58.6"."""
    try:
        emotions = tuple(STUDY_NAMES[letter] for letter in str(votes).split(":"))
        intensities = tuple(float(level) / 100 for level in str(levels).split(":"))
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: {votes!r} with {levels!r} is no vote; expected e.g. 'A:D' and '41:58.6'") from error
    if len(emotions) != len(intensities) or not all(0 <= level <= 1 for level in intensities):
        raise InputError(f"{path}: {votes!r} with {levels!r}: expected one level from 0 to 100 for every vote")
    return emotions, intensities
