"""From a spec to a clip, and from many specs to a corpus on disk.

`synthesise` is a pure function: sound and phonemes from the voice, then rig curves in layers,

    audible = contact(limit(speech + emotion))               what a listener could know
    rig     = eyes(contact(limit(speech + emotion + drift))) what is seen; everything beyond `audible` is nuisance

and the same for the head pose. Sound is kept with 16 bits, curves as float32 at 100 frames per second; every other view
(vertices, landmarks) is computed on demand. Stored clips carry a SHA-256 of their content and are verified when read.
"""

import hashlib
import json
import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np

from lib import paths
from lib.data.clip import SAMPLE_RATE, Clip, Phoneme, frame_count, resample
from lib.errors import InputError, StudyError
from lib.puppet import emotion, mouth, nuisance
from lib.puppet.actors import actor
from lib.puppet.spec import ClipSpec, CorpusSpec

MASTER_FPS = 100
ACTIVITY_RANGE_DB = 30.0             # speech activity: 0 this far below the loud parts of the clip, 1 at their level
PCM_SCALE = 32767
ARRAYS = ("pcm", "rig", "audible", "pose", "audible_pose", "gaze", "blinks", "phoneme_labels", "phoneme_times")
SOURCES = ("audio.py", "data/clip.py", "face/rig.py", "puppet/actors.py", "puppet/corpus.py", "puppet/emotion.py",
           "puppet/espeak.py", "puppet/mouth.py", "puppet/nuisance.py", "puppet/sentences.py", "puppet/voice.py")
CLIPS_IN_MEMORY = 1024              # a third of a megabyte each; experiments go through a whole corpus again and again


@dataclass(frozen=True)
class PuppetClip:
    """One clip and every view of it. Curves run at MASTER_FPS: `rig`, `audible` (T, 52) in 0..1; `pose`, `audible_pose`
    (T, 3) pitch, yaw, roll in radians; `gaze` (T, 2). `audio` (N,) at 16 kHz; `blinks` (n,) onset times in seconds."""

    spec: ClipSpec
    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]
    rig: np.ndarray
    audible: np.ndarray
    pose: np.ndarray
    audible_pose: np.ndarray
    gaze: np.ndarray
    blinks: np.ndarray

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def duration_s(self) -> float:
        return len(self.audio) / SAMPLE_RATE

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        return _digest(_arrays(self))

    @property
    def clip(self) -> Clip:
        """The record shared with other corpora, with the rig at MASTER_FPS as motion."""
        s = self.spec
        return Clip(s.id, self.audio, f"puppet-{s.actor:02d}", s.emotion, s.intensity, s.sentence, str(s.session),
                    "puppet", MASTER_FPS, self.rig, "rig52", self.phonemes, {"pose": self.pose})

    def frames(self, fps: float) -> int:
        """Frames at a rate: floor(duration x fps)."""
        return frame_count(self.duration_s, fps)

    def _at(self, curves: np.ndarray, fps: float) -> np.ndarray:
        return resample(curves, MASTER_FPS, fps, self.frames(fps))

    def rig_at(self, fps: float, *, audible: bool = False) -> np.ndarray:
        """Rig curves (T, 52) at a rate; `audible` leaves out blinks, gaze and drift."""
        return self._at(self.audible if audible else self.rig, fps)

    def pose_at(self, fps: float, *, audible: bool = False) -> np.ndarray:
        """Head pose (T, 3) at a rate, radians; `audible` leaves out the free sway."""
        return self._at(self.audible_pose if audible else self.pose, fps)

    def vertices(self, fps: float = 25, pose: bool = False, *, audible: bool = False,
                 only: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Vertices (T, V, 3) in mm of this actor's head, of frames `only`; without head motion unless `pose`."""
        from lib.puppet.head import head

        moved = self.pose_at(fps, audible=audible)[only] if pose else None
        return head().vertices(self.rig_at(fps, audible=audible)[only], actor(self.spec.actor).identity, moved)

    def oracle_vertices(self, fps: float = 25, pose: bool = False) -> np.ndarray:
        """The best prediction from speech and labels: the same clip without nuisance, (T, V, 3) in mm."""
        return self.vertices(fps, pose, audible=True)

    def neutral(self) -> np.ndarray:
        """Vertices (V, 3) in mm of this actor's face at rest."""
        from lib.puppet.head import head

        return head().neutral(actor(self.spec.actor).identity)

    def landmarks(self, fps: float = 25, pose: bool = False, *, audible: bool = False) -> np.ndarray:
        """68 landmarks (T, 68, 3) in mm; drop z for the orthographic view."""
        from lib.puppet.head import head

        moved = self.pose_at(fps, audible=audible) if pose else None
        return head().landmarks(self.rig_at(fps, audible=audible), actor(self.spec.actor).identity, moved)


def synthesise(spec: ClipSpec) -> PuppetClip:
    """The clip of a spec. Raises InputError for a sentence that no bank holds."""
    speech = _speak(spec)
    pcm = np.round(speech.audio.astype(np.float64) * PCM_SCALE).astype(np.int16)
    audio = _from_pcm(pcm)
    times_s = np.arange(frame_count(len(audio) / SAMPLE_RATE, MASTER_FPS)) / MASTER_FPS
    return PuppetClip(spec, audio, speech.phonemes, **_curves(spec, speech.phonemes, speech_activity(audio), times_s))


def counterfactual(spec: ClipSpec, *, face_only: bool = False, voice_only: bool = False, **changes) -> PuppetClip:
    """The same clip with only the named factors changed: same blinks, gaze, drift and sway at equal times.

    An emotion changes the rate of speech and so the timing. `face_only` keeps sound and timing and changes the face;
    `voice_only` keeps the face's emotion and changes the voice's.
    """
    return synthesise(spec.changed(face_only=face_only, voice_only=voice_only, **changes))


def _speak(spec: ClipSpec):
    from lib.puppet import sentences, voice

    label, intensity = spec.voice
    rng = nuisance.stream("voice", spec.actor, spec.session, spec.seed)
    language = sentences.language(spec.sentence)
    settings = voice.voice_settings(spec.actor, label, intensity, rng, language=language)
    return voice.speak(sentences.text(spec.sentence), settings)


def _from_pcm(pcm: np.ndarray) -> np.ndarray:
    return pcm.astype(np.float32) / np.float32(PCM_SCALE)


def speech_activity(audio: np.ndarray) -> np.ndarray:
    """Activity (T,) in 0..1 at MASTER_FPS: loudness relative to the clip's own, so that level alone moves no face."""
    from lib.audio import loudness

    level = loudness(audio, fps=MASTER_FPS, window_s=0.04).astype(np.float64)
    return np.clip((level - np.percentile(level, 95)) / ACTIVITY_RANGE_DB + 1, 0, 1)


def _curves(spec: ClipSpec, phonemes: tuple[Phoneme, ...], activity: np.ndarray, times_s: np.ndarray) -> dict:
    person, mood = actor(spec.actor), nuisance.stream("state", spec.actor, spec.session, spec.seed)
    state = emotion.session_state(mood)
    course = emotion.envelope(activity, times_s, state)
    noise = nuisance.draw(spec.actor, spec.session, spec.seed, spec.sentence, times_s)
    known = _known(spec, phonemes, times_s, course, state)
    nods = noise.nod * person.head_motion * nuisance.nods(_stress(activity, times_s))
    audible_pose = nods + emotion.carriage(spec.emotion, spec.intensity, person, course)
    layers = {
        "rig": nuisance.move_eyes(_in_contact(known + noise.drift, phonemes, times_s), noise),
        "audible": _in_contact(known, phonemes, times_s),
        "pose": audible_pose + person.head_motion * noise.sway,
        "audible_pose": audible_pose,
        "gaze": noise.gaze,
        "blinks": np.array(noise.blinks),
    }
    return {name: layer.astype(np.float32) for name, layer in layers.items()}


def _known(spec: ClipSpec, phonemes, times_s: np.ndarray, course: np.ndarray, state: emotion.State) -> np.ndarray:
    """Speech plus emotion (T, 52), before limits and contact."""
    person = actor(spec.actor)
    manner = emotion.manner(spec.emotion, spec.intensity, person)
    speech = mouth.speech_curves(phonemes, times_s, manner)
    emotional = emotion.emotion_curves(spec.emotion, spec.intensity, person, course, state)
    return speech + emotion.room_for_speech(emotional, speech)


def _in_contact(rig: np.ndarray, phonemes: tuple[Phoneme, ...], times_s: np.ndarray) -> np.ndarray:
    """The rig limited to 0..1, with lips closed at p b m and the lower lip at the teeth for f v."""
    limited = np.clip(rig, 0, 1)
    touching = mouth.touch_teeth(limited, mouth.contact_curve(phonemes, times_s, mouth.LABIODENTALS))
    return mouth.close_lips(touching, mouth.contact_curve(phonemes, times_s, mouth.BILABIALS))


def _stress(activity: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Activity of syllables above that of the phrase (T,)."""
    fast, slow = (mouth.smooth(activity[:, None], times_s, width)[:, 0] for width in (0.07, 0.40))
    return fast - slow


def _arrays(clip: PuppetClip) -> dict[str, np.ndarray]:
    """What is stored of a clip."""
    pcm = np.round(clip.audio.astype(np.float64) * PCM_SCALE).astype(np.int16)
    labels = np.array([p.label for p in clip.phonemes], dtype=np.str_)
    times = np.array([(p.start_s, p.end_s) for p in clip.phonemes], dtype=np.float64)
    kept = {name: getattr(clip, name) for name in ("rig", "audible", "pose", "audible_pose", "gaze", "blinks")}
    return {"pcm": pcm, **kept, "phoneme_labels": labels, "phoneme_times": times}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    content = hashlib.sha256()
    for name in ARRAYS:
        array = arrays[name]
        content.update(f"{name} {array.shape}".encode())
        content.update(" ".join(array).encode() if array.dtype.kind == "U" else np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def save(clip: PuppetClip, path: Path) -> str:
    """Write a clip with its digest, aside and then renamed; returns the digest."""
    arrays = _arrays(clip)
    with paths.write_aside(path) as aside:
        np.savez_compressed(aside, digest=np.array(clip.digest), **arrays)
    return clip.digest


def load(spec: ClipSpec, path: Path) -> PuppetClip:
    """Read a stored clip. Raises InputError where the file is damaged or its content does not match its digest."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays, digest = {name: stored[name] for name in ARRAYS}, str(stored["digest"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a stored clip ({error}); delete it and it is generated again") from error
    if _digest(arrays) != digest:
        raise InputError(f"{path}: content does not match its stored hash; delete it and it is generated again")
    labels, times = arrays.pop("phoneme_labels"), arrays.pop("phoneme_times")
    phonemes = tuple(Phoneme(str(label), float(a), float(b)) for label, (a, b) in zip(labels, times, strict=True))
    clip = PuppetClip(spec, _from_pcm(arrays.pop("pcm")), phonemes, **arrays)
    vars(clip)["digest"] = digest                       # just computed: not again when it is asked for
    return clip


@cache
def fingerprint() -> str:
    """Eight digits that change with the source that makes clips, so that no cache outlives its code."""
    content = hashlib.sha256()
    for name in SOURCES:
        content.update((paths.ROOT / "lib" / name).read_bytes())
    return content.hexdigest()[:8]


class PuppetCorpus:
    """Clips of a corpus, read from disk on access; damaged files are generated again with a warning that names them."""

    def __init__(self, spec: CorpusSpec, folder: Path, index: dict[str, dict]):
        self.spec, self.folder, self.index = spec, folder, index
        self.specs = spec.clips()
        self._read = lru_cache(maxsize=CLIPS_IN_MEMORY)(self._read_clip)

    @property
    def key(self) -> str:
        """Name for caches of what is computed from this corpus: spec and code."""
        return self.folder.name

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, position: int) -> PuppetClip:
        return self._read(range(len(self))[position])

    def __iter__(self) -> Iterator[PuppetClip]:
        return (self[position] for position in range(len(self)))

    @cached_property
    def table(self):
        """DataFrame, one row per clip: id, factors, duration_s, digest; the row number is the clip's position."""
        import pandas as pd

        fields = ("actor", "emotion", "intensity", "sentence", "session", "seed")
        rows = [{"id": spec.id, **{name: getattr(spec, name) for name in fields}, **self.index[spec.id]}
                for spec in self.specs]
        return pd.DataFrame(rows)

    def _read_clip(self, position: int) -> PuppetClip:
        spec = self.specs[position]
        path = clip_path(self.folder, spec)
        try:
            clip = load(spec, path)
            if clip.digest != self.index[spec.id]["digest"]:
                raise InputError(f"{path}: content does not match the hash in index.json")
        except InputError as error:
            warnings.warn(f"{error}; generating {path} again", stacklevel=3)
            clip = synthesise(spec)
            save(clip, path)
        return clip


def clip_path(folder: Path, spec: ClipSpec) -> Path:
    """File of a clip inside the folder of its corpus."""
    return folder / f"{spec.id}.npz"


def corpus_folder(spec: CorpusSpec) -> Path:
    """cache/puppet/<first 16 digits of the spec's hash>-<fingerprint of the code>."""
    return paths.CACHE / "puppet" / f"{spec.hash[:16]}-{fingerprint()}"


def generate(spec: CorpusSpec, *, workers: int = 2, progress: bool = True, folder: Path | None = None) -> PuppetCorpus:
    """The corpus of a spec: read from the cache, or generated by `workers` fresh processes.

    A killed run resumes where it stopped: every finished clip is kept once its hash is verified. Raises StudyError
    naming the clip where a worker fails.
    """
    folder = corpus_folder(spec) if folder is None else Path(folder)
    index_path = folder / "index.json"
    if not _is_complete(spec, folder, index_path):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "spec.json", spec.to_json())
        index = _run_workers(spec, folder, workers, progress)
        _write(index_path, json.dumps(index, indent=1, sort_keys=True))
    return PuppetCorpus(spec, folder, json.loads(index_path.read_text()))


def _is_complete(spec: CorpusSpec, folder: Path, index_path: Path) -> bool:
    try:
        index = json.loads(index_path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return all(clip.id in index and clip_path(folder, clip).exists() for clip in spec.clips())


def _write(path: Path, text: str) -> None:
    with paths.write_aside(path) as aside:
        aside.write_text(text)


def _run_workers(spec: CorpusSpec, folder: Path, workers: int, progress: bool) -> dict[str, dict]:
    """Index of all clips, from workers that share one pipe: a line per finished clip."""
    from tqdm.auto import tqdm

    reading, writing = os.pipe()
    command = [sys.executable, "-m", "lib.puppet.corpus", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [subprocess.Popen([*command, str(number), str(workers)], stdout=writing, cwd=paths.ROOT, env=environment)
               for number in range(workers)]
    os.close(writing)
    index = {}
    try:
        with os.fdopen(reading, encoding="utf-8") as lines, tqdm(total=len(spec.clips()), disable=not progress,
                                                                 desc=f"puppet corpus {spec.name}", unit="clip") as bar:
            for line in lines:
                answer = json.loads(line)
                if "error" in answer:
                    raise StudyError(answer["error"])
                index[answer.pop("id")] = answer
                bar.update()
        return _checked(spec, index, [worker.wait() for worker in running])
    finally:
        for worker in running:
            worker.terminate()
            worker.wait()


def _checked(spec: CorpusSpec, index: dict[str, dict], exits: list[int]) -> dict[str, dict]:
    missing = [clip.id for clip in spec.clips() if clip.id not in index]
    if missing:
        raise StudyError(f"{len(missing)} clips were not generated (first {missing[0]}; workers ended with {exits}); "
                         "run again to resume")
    return index


def work(folder: Path, number: int, workers: int) -> None:
    """One worker: clips number, number + workers, ... of the corpus in `folder`; a JSON line per clip on stdout."""
    for spec in CorpusSpec.from_json((folder / "spec.json").read_text()).clips()[number::workers]:
        try:
            clip = _stored_or_new(spec, clip_path(folder, spec))
        except (StudyError, OSError) as error:
            _tell({"error": f"{spec.id}: {error}"})
            sys.exit(1)
        _tell({"id": spec.id, "digest": clip.digest, "duration_s": clip.duration_s})


def _tell(answer: dict) -> None:
    """One line on stdout in a single write, so that lines of several workers never mix."""
    os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


def _stored_or_new(spec: ClipSpec, path: Path) -> PuppetClip:
    if path.exists():
        try:
            return load(spec, path)
        except InputError as error:
            warnings.warn(f"{error}; generating {path} again", stacklevel=2)
    clip = synthesise(spec)
    save(clip, path)
    return clip


if __name__ == "__main__":
    with suppress(BrokenPipeError):              # whoever asked is gone: stop quietly, finished clips stay
        work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
