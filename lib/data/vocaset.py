"""VOCASET (Cudeiro et al. 2019): 12 subjects, 40 sentences, FLAME topology (5,023 vertices), 60 fps, metres:

    data_verts.npy         (frames, 5023, 3), all sequences one after another, 13 GB: mapped, not loaded
    raw_audio_fixed.pkl    {subject: {sentence: {"audio": samples, "sample_rate": 22000}}}
    templates.pkl          {subject: (5023, 3)}
    subj_seq_to_idx.pkl    {subject: {sentence: {frame: row of data_verts}}}

The pickles come from Python 2 and are read by the restricted unpickler.
"""

from pathlib import Path
from typing import Any

import numpy as np

from lib import audio
from lib.data import mesh, safe_pickle
from lib.data.clip import Clip
from lib.data.sequence import Clips, folder_of
from lib.errors import InputError, explain

NATIVE_FPS = 60
N_VERTICES = 5023
SUBJECTS = {split: tuple(f"FaceTalk_{name}_TA" for name in names.split()) for split, names in {
    "train": "170728_03272 170904_00128 170725_00137 170915_00223 170811_03274 170913_03279 170904_03276 170912_03278",
    "val": "170811_03275 170908_03277", "test": "170809_00138 170731_00024"}.items()}      # train: order of the one-hot
SENTENCES = {"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}


def clips(folder: Path | str | None = None, *, fps: int = 30, n_vertices: int = N_VERTICES) -> Clips:
    """Sequences below `folder` (default: the asset "vocaset"); `motion` (T, V, 3) in metres, `extra["template"]`.

    `fps` divides 60: 30 keeps every second frame, as FaceFormer and CodeTalker do. Labels: id, subject, sentence
    (1..40), split (None for the sentences 1-20 of validation and test subjects, which the published split leaves out).
    Raises InputError where the four files disagree.
    """
    if fps <= 0 or NATIVE_FPS % fps:
        raise InputError(f"fps={fps}: expected a divisor of {NATIVE_FPS}, such as 60 or 30")
    corpus = _Corpus(folder_of("vocaset", folder), n_vertices)
    return Clips(corpus.rows(), lambda row: corpus.read(row, fps))


def split_of(subject: str, sentence: int) -> str | None:
    """Published split of a sequence, or None."""
    return next((s for s, who in SUBJECTS.items() if subject in who and sentence in SENTENCES[s]), None)


class _Corpus:
    """The four files, opened once."""

    def __init__(self, folder: Path, n_vertices: int):
        self.folder, self.n_vertices = folder, n_vertices
        self.index, self.sound, self.templates = (
            _dictionary(folder / name) for name in ("subj_seq_to_idx.pkl", "raw_audio_fixed.pkl", "templates.pkl"))
        self.vertices = _mapped(folder / "data_verts.npy", n_vertices)

    def rows(self) -> list[dict[str, Any]]:
        """Labels of every sequence that has sound, by subject and sentence."""
        keys = [(who, name) for who in sorted(self.index) for name in sorted(self.index[who])]
        return [self._labels(who, name) for who, name in keys if name in self.sound.get(who, {})]

    def _labels(self, subject: str, name: str) -> dict[str, Any]:
        number = name.removeprefix("sentence")
        if not number.isdigit() or subject not in self.templates:
            raise InputError(f"{self.folder}: {subject} {name}: expected sentence01..40 and a template of the subject")
        return {"id": f"vocaset-{subject}-{name}", "subject": subject, "name": name, "sentence": int(number),
                "split": split_of(subject, int(number))}

    def read(self, row: dict[str, Any], fps: int) -> Clip:
        subject, name = row["subject"], row["name"]
        frames = self.index[subject][name]
        order = [frames[i] for i in sorted(frames)][::NATIVE_FPS // fps]
        if not order or not 0 <= min(order) <= max(order) < len(self.vertices):
            raise InputError(f"{self.folder / 'data_verts.npy'}: {len(self.vertices)} frames; {row['id']} needs others")
        motion = mesh.check_topology(self.vertices[order], self.n_vertices, row["id"])
        template = mesh.check_topology(self.templates[subject], self.n_vertices, f"template of {subject}")[0]
        return Clip(id=row["id"], audio=self._audio(subject, name), speaker=f"vocaset-{subject}", source="vocaset",
                    sentence=f"vocaset-{subject}-{row['sentence']:02d}", fps=float(fps), motion=motion,
                    motion_kind="vertices", extra={"template": template, "split": row["split"]})

    def _audio(self, subject: str, name: str) -> np.ndarray:
        try:
            entry = self.sound[subject][name]
            samples, rate = entry["audio"], entry["sample_rate"]
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.folder / 'raw_audio_fixed.pkl'}: {subject} {name} lacks {error}") from error
        return audio.load_array(samples, rate, f"{subject} {name}")


def _dictionary(path: Path) -> dict:
    content = safe_pickle.load(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected a dictionary by subject; download it again")
    return content


def _mapped(path: Path, n_vertices: int) -> np.ndarray:
    try:
        vertices = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:                       # numpy raises many kinds on a missing or broken file
        raise InputError(f"{path}: expected a numpy array (frames, {n_vertices}, 3) ({explain(error)})") from error
    if vertices.ndim != 3 or vertices.shape[1:] != (n_vertices, 3):
        raise InputError(f"{path}: shape {vertices.shape}; expected (frames, {n_vertices}, 3)")
    return vertices
