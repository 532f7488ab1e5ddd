"""What a puppet clip is made from, and which clips make a corpus.

A clip is a pure function of a `ClipSpec`. A `CorpusSpec` lays clips out so that any two factors of
(actor, emotion, intensity, sentence, session) are exactly independent: every pair of values occurs equally often, hence
all ten mutual informations are zero. With a, e the positions of actor and emotion, k = 0..n-1 the clip within the cell:

    sentence  = 4 k + (a + e) mod 4            so a corpus with n clips per cell uses 4 n sentences
    intensity = levels[(a div 4 + e + k) mod L]
    session   = (2 e div E + k + a) mod S

The emotion "neutral" has a nominal intensity like every other, which moves nothing; leaving it out would tie intensity
to emotion. Clips of one actor and session share the emotional state (nuisance.py), whatever they express.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from lib.errors import InputError

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "contempt")
FACTORS = ("actor", "emotion", "intensity", "sentence", "session")
SENTENCES_PER_BLOCK = 4          # a cell (actor, emotion) speaks one sentence of every block
FORMAT = 1                       # raise when the same spec would give another clip: the name of every corpus changes


@dataclass(frozen=True)
class ClipSpec:
    """Everything a clip depends on.

    `intensity` runs from 0 (no trace of the emotion) to 1. `session` numbers the recordings of an actor and `seed`
    draws the noise; both fix blinks, gaze, drift and head motion, and neither depends on emotion or intensity.
    `voice_emotion` and `voice_intensity` set the prosody apart from the face (None = as the face).
    """

    actor: int
    emotion: str
    intensity: float
    sentence: str
    session: int = 0
    seed: int = 0
    voice_emotion: str | None = None
    voice_intensity: float | None = None

    def __post_init__(self) -> None:
        for emotion in (self.emotion, self.voice[0]):
            if emotion not in EMOTIONS:
                raise InputError(f"emotion {emotion!r} is unknown; choose one of {', '.join(EMOTIONS)}")
        for intensity in (self.intensity, self.voice[1]):
            if not 0 <= intensity <= 1:
                raise InputError(f"intensity must lie between 0 and 1, got {intensity}")
        if min(self.actor, self.session, self.seed) < 0:
            raise InputError(f"actor, session and seed must not be negative, got {self}")

    @property
    def voice(self) -> tuple[str, float]:
        """Emotion and intensity of the voice."""
        emotion = self.emotion if self.voice_emotion is None else self.voice_emotion
        return emotion, self.intensity if self.voice_intensity is None else self.voice_intensity

    @property
    def id(self) -> str:
        """Readable and unique: a03-happy-0.6-en-main-004-s1-r0, with the voice appended where it is set apart."""
        name = f"a{self.actor:02d}-{self.emotion}-{self.intensity:g}-{self.sentence}-s{self.session}-r{self.seed}"
        emotion, intensity = self.voice
        together = (emotion, intensity) == (self.emotion, self.intensity)
        return name if together else f"{name}-voice-{emotion}-{intensity:g}"

    def changed(self, *, face_only: bool = False, voice_only: bool = False, **changes) -> "ClipSpec":
        """The same clip with only the named factors changed.

        `face_only` keeps the sound, and with it all timing, and changes `emotion` or `intensity` of the face;
        `voice_only` keeps the face's and changes the voice's. Raises InputError for both at once.
        """
        if face_only and voice_only:
            raise InputError("face_only and voice_only exclude each other; leave both out to change face and voice")
        if face_only:
            changes |= {"voice_emotion": self.voice[0], "voice_intensity": self.voice[1]}
        if voice_only:
            changes = {f"voice_{key}" if key in ("emotion", "intensity") else key: v for key, v in changes.items()}
        try:
            return replace(self, **changes)
        except TypeError as error:
            known = ", ".join(self.__annotations__)
            raise InputError(f"unknown factor in {sorted(changes)}; factors are {known}") from error


@dataclass(frozen=True)
class CorpusSpec:
    """A balanced corpus, or, with `listed`, exactly the clips given.

    Raises InputError when the counts do not allow independent factors (say, five intensity levels for eight emotions).
    """

    name: str
    actors: tuple[int, ...] = ()
    emotions: tuple[str, ...] = EMOTIONS
    intensities: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    bank: str = "en-main"
    clips_per_cell: int = 1
    sessions: int = 2
    seed: int = 0
    listed: tuple[ClipSpec, ...] = ()

    def __post_init__(self) -> None:
        if not self.listed:
            self._require_balance()

    def _require_balance(self) -> None:
        clips = self.clips()
        tied = [pair for pair in combinations(FACTORS, 2) if mutual_information(clips, *pair) > 1e-12]
        if tied or not clips:
            raise InputError(f"corpus {self.name!r}: {len(clips)} clips cannot balance {tied or 'anything'}; use "
                             "multiples of four actors and emotions and a number of intensity levels that divides them")

    def clips(self) -> list[ClipSpec]:
        """All clips, in a fixed order."""
        if self.listed:
            return list(self.listed)
        return [self._cell_clip(a, e, k) for a in range(len(self.actors)) for e in range(len(self.emotions))
                for k in range(self.clips_per_cell)]

    def _cell_clip(self, a: int, e: int, k: int) -> ClipSpec:
        sentence = SENTENCES_PER_BLOCK * k + (a + e) % SENTENCES_PER_BLOCK
        level = (a // SENTENCES_PER_BLOCK + e + k) % len(self.intensities)
        session = (2 * e // len(self.emotions) + k + a) % self.sessions
        return ClipSpec(self.actors[a], self.emotions[e], self.intensities[level], f"{self.bank}-{sentence:03d}",
                        session, self.seed)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal specs give equal text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "CorpusSpec":
        """Inverse of `to_json`; raises InputError for text of another kind or format."""
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                raise InputError(f"corpus spec is not of format {FORMAT}; write it again with this version")
            values["listed"] = [ClipSpec(**clip) for clip in values["listed"]]
            return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise InputError(f"not a corpus spec: {error}; expected the text that CorpusSpec.to_json gives") from error

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits: the name of the corpus."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def mutual_information(clips: Iterable[ClipSpec], one: str, other: str) -> float:
    """Mutual information of two factors over the clips, in nats; 0 = independent."""
    pairs = [(getattr(clip, one), getattr(clip, other)) for clip in clips]
    if not pairs:
        return 0.0
    joint = _joint(pairs)
    expected = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())


def _joint(pairs: list[tuple]) -> np.ndarray:
    rows, columns = (list(dict.fromkeys(values)) for values in zip(*pairs, strict=True))
    joint = np.zeros((len(rows), len(columns)))
    for one, other in pairs:
        joint[rows.index(one), columns.index(other)] += 1
    return joint / len(pairs)


Part = Literal["train", "val", "test", "test_seen", "unused"]


@dataclass(frozen=True)
class Split:
    """Actors and sentences of one replication. Sentences are split within every cell: two for test, one for validation.

    train      train actors, train sentences          val    train actors, validation sentences
    test       test actors, test sentences: both unseen (the headline set of the protocol)
    test_seen  train actors, test sentences: only the sentence is unseen
    unused     test actors speaking sentences of training or validation
    """

    seed: int
    train_actors: tuple[int, ...]
    test_actors: tuple[int, ...]
    train_sentences: tuple[str, ...]
    val_sentences: tuple[str, ...]
    test_sentences: tuple[str, ...]

    def part(self, clip: ClipSpec) -> Part:
        """Which part a clip belongs to."""
        if clip.actor in self.test_actors:
            return "test" if clip.sentence in self.test_sentences else "unused"
        if clip.sentence in self.test_sentences:
            return "test_seen"
        return "val" if clip.sentence in self.val_sentences else "train"

    def indices(self, clips: Iterable[ClipSpec], part: Part) -> list[int]:
        """Positions of the clips of one part."""
        return [index for index, clip in enumerate(clips) if self.part(clip) == part]


def draw_split(spec: CorpusSpec, seed: int) -> Split:
    """Draw unseen actors and sentences; a pure function of `spec` and `seed`.

    Six of sixteen actors are held out (in proportion for other counts), as many of the less as of the more expressive
    half. Of every cell's sentences two are for test and one for validation (small corpora: one and none).
    """
    rng = np.random.default_rng([0x5B117, seed])
    test_actors = _draw_actors(spec, rng)
    train, val, test = _draw_sentences(spec, rng)
    return Split(seed, tuple(a for a in spec.actors if a not in test_actors), test_actors, train, val, test)


def _draw_actors(spec: CorpusSpec, rng: np.random.Generator) -> tuple[int, ...]:
    from lib.puppet.actors import actor

    ranked = sorted(spec.actors, key=lambda number: actor(number).expressivity)
    half = len(ranked) // 2
    held_out = max(1, round(len(ranked) * 3 / 16))
    drawn = [rng.permutation(part)[:held_out] for part in (ranked[:half], ranked[half:])]
    return tuple(sorted(int(number) for number in np.concatenate(drawn)))


def _draw_sentences(spec: CorpusSpec, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    blocks = spec.clips_per_cell
    n_test, n_val = (2, 1) if blocks >= 4 else (1, 0)
    parts: tuple[list[int], ...] = ([], [], [])
    for residue in range(SENTENCES_PER_BLOCK):
        shuffled = rng.permutation(blocks) * SENTENCES_PER_BLOCK + residue
        for part, chosen in zip(parts, np.split(shuffled, [blocks - n_test - n_val, blocks - n_test]), strict=True):
            part.extend(int(number) for number in chosen)
    return tuple(tuple(f"{spec.bank}-{number:03d}" for number in sorted(part)) for part in parts)


SMOKE = CorpusSpec("smoke", actors=(0, 3, 4, 6), emotions=("neutral", "happy", "sad", "angry"), intensities=(0.6, 1.0),
                   clips_per_cell=2)                                   # 32 clips, 8 sentences
LAPTOP = CorpusSpec("laptop", actors=tuple(range(16)), clips_per_cell=7)     # 896 clips, 28 sentences
