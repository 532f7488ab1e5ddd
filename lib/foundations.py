"""Stand-ins for weights that cannot be shipped, trained once on the puppet corpus and cached.

speech_encoder   a small wav2vec 2.0 taught phonemes by CTC, or facebook/wav2vec2-base-960h where its files are found;
                 as this corpus knows when each phoneme sounds, the class of every frame is a second, faster teacher
judges           two emotion judges on landmarks; they never train, select or weigh a method

Nothing here shares actors with the corpus: voices are actors 200 and up, the judges' faces actors 100 and up.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib import paths, training
from lib.errors import InputError
from lib.models import speech
from lib.models.judges import (
    FPS,
    CourseJudge,
    CourseNetwork,
    Discriminants,
    Judge,
    StatisticsJudge,
    displacement,
    statistics,
)
from lib.models.speech import SpeechEncoder, SpeechFeatures
from lib.study import cached_arrays, code_digest, digest

RELEASED_ENCODER = "wav2vec2-base-960h"
SPEECH_VERSION = 1                  # raised when a change of this code changes the trained encoder


@dataclass(frozen=True)
class SpeechRecipe:
    """What the small encoder hears and how long it learns."""

    model: speech.Config = speech.LAPTOP
    utterances: int = 1024
    actors: tuple[int, ...] = tuple(range(200, 224))
    test_actors: tuple[int, ...] = tuple(range(224, 232))
    test_utterances: int = 64
    crop_s: float = 2.4
    batch: int = 8                  # many small steps: the number of updates is what a few minutes are short of
    epochs: int = 5
    learning_rate: float = 3e-3     # annealed to zero
    # fewer phone errors on unheard actors after 5 epochs than after 7 with the usual ones: 13 and 21 %, not 14 and 25 %
    betas: tuple[float, float] = training.SHORT_MEMORY
    frame_weight: float = 1.0
    ctc_weight: float = 0.2
    seed: int = 0


SPEECH = {
    "smoke": SpeechRecipe(speech.SMOKE, utterances=64, test_utterances=8, epochs=20),
    "laptop": SpeechRecipe(),
    "paper": SpeechRecipe(),
}
TEST_EVERY = 5                      # every fifth sentence of en-ctc is heard in no training


@dataclass(frozen=True)
class Utterance:
    """Normalised audio (N,) float32, class of every frame (Ta,) and the phonemes with their centre times."""

    audio: np.ndarray
    frames: np.ndarray
    phones: np.ndarray              # (P,) classes
    centres_s: np.ndarray           # (P,)


def label_frames(audio: np.ndarray, phonemes) -> Utterance:
    """Utterance of a Speech: a phoneme of several classes is split into equal parts of its time."""
    from lib.puppet.voice import bare

    phones, centres = [], []
    frames = np.zeros(speech.frame_count(len(audio)), np.int64)
    middle_s = (np.arange(len(frames)) * speech.FRAME_SAMPLES + speech.FIELD_SAMPLES / 2) / speech.SAMPLE_RATE
    for phoneme in phonemes:
        parts = speech.classes(bare(phoneme.label))
        edges = np.linspace(phoneme.start_s, phoneme.end_s, len(parts) + 1)
        for part, start, end in zip(parts, edges, edges[1:], strict=False):
            frames[(middle_s >= start) & (middle_s < end)] = part
            phones.append(part)
            centres.append((start + end) / 2)
    return Utterance(speech.normalise(audio), frames, np.array(phones), np.array(centres))


def _speak(sentences: list[str], actors: tuple[int, ...], count: int, seed: int, label: str) -> list[Utterance]:
    """Utterances with actors, emotions and intensities drawn at random."""
    from tqdm.auto import tqdm

    from lib.puppet import voice
    from lib.puppet.sentences import text

    rng, out = np.random.default_rng([seed, count]), []
    for i in tqdm(range(count), desc=label, leave=False):
        emotion = list(voice.SHIFTS)[rng.integers(len(voice.SHIFTS))]
        settings = voice.voice_settings(int(rng.choice(actors)), emotion, float(rng.uniform()), rng)
        said = voice.speak(text(sentences[i % len(sentences)]), settings)
        out.append(label_frames(said.audio, said.phonemes))
    return out


def _crop(utterance: Utterance, rng: np.random.Generator, crop_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Audio (N,), frame classes (Ta,) and phonemes of a random crop; exact times make crops of CTC targets possible."""
    frames = int(crop_s * speech.RATE_HZ)
    samples = (frames - 1) * speech.FRAME_SAMPLES + speech.FIELD_SAMPLES
    audio = np.pad(utterance.audio, (0, max(0, samples - len(utterance.audio))))
    labels = np.pad(utterance.frames, (0, max(0, frames - len(utterance.frames))))
    first = int(rng.integers(0, speech.frame_count(len(audio)) - frames + 1))
    start_s, end_s = first / speech.RATE_HZ, (first + frames) / speech.RATE_HZ
    inside = (utterance.centres_s >= start_s) & (utterance.centres_s < end_s)
    start = first * speech.FRAME_SAMPLES
    return audio[start : start + samples], labels[first : first + frames], utterance.phones[inside]


def _batches(utterances: list[Utterance], recipe: SpeechRecipe):
    """One epoch: every utterance once, cropped anew, with noise 20 to 40 dB below the speech."""

    def batches(rng: np.random.Generator):
        order = rng.permutation(len(utterances))
        for some in np.array_split(order, max(1, len(order) // recipe.batch)):
            audio, frames, phones = zip(*(_crop(utterances[i], rng, recipe.crop_s) for i in some), strict=True)
            audio = np.stack(audio)
            noise = rng.standard_normal(audio.shape, np.float32) * 10 ** (-rng.uniform(20, 40, (len(audio), 1)) / 20)
            yield (
                torch.from_numpy((audio + noise).astype(np.float32)),
                torch.from_numpy(np.stack(frames)),
                torch.from_numpy(np.concatenate(phones)),
                torch.tensor([len(p) for p in phones]),
            )

    return batches


def _phoneme_losses(model: SpeechEncoder):
    """CTC (Graves et al. 2006) and the class of each frame; both have the same solution, the second is found sooner."""

    def losses(batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        audio, frames, phones, counts = batch
        log_p = model(audio).log_softmax(-1)                                     # (B, Ta, 1 + P)
        lengths = torch.full((len(audio),), log_p.shape[1])
        ctc = functional.ctc_loss(log_p.transpose(0, 1), phones, lengths, counts, zero_infinity=True)
        return {"frame": functional.nll_loss(log_p.flatten(0, 1), frames.flatten()), "ctc": ctc}

    return losses


def speech_encoder(scale: str, *, pretrained: bool = True) -> SpeechFeatures:
    """Speech features of a scale ("smoke", "laptop", "paper").

    The released wav2vec2-base-960h where the asset of that name is found (never downloaded here), else the small
    encoder, trained at the first call and cached. `pretrained=False`: the same encoder with random weights.
    """
    if scale not in SPEECH:
        raise InputError(f"scale {scale!r}: unknown; expected one of {', '.join(SPEECH)}")
    folder = paths.find_asset(RELEASED_ENCODER)
    if pretrained and folder is not None:
        return _released(str(folder))
    if not pretrained:
        model = _fresh(SPEECH[scale])
        return SpeechFeatures("small wav2vec 2.0, random weights", model.encoder, released=False)
    trained = _trained(scale)
    return SpeechFeatures(f"small wav2vec 2.0, phonemes of puppets ({scale})", trained.encoder, released=False)


@cache
def _released(folder: str) -> SpeechFeatures:
    """facebook/wav2vec2-base-960h from local files alone."""
    from transformers import Wav2Vec2Model

    try:
        model = Wav2Vec2Model.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        expected = "expected config.json and model.safetensors or pytorch_model.bin of facebook/wav2vec2-base-960h"
        raise InputError(f"{folder}: no speech encoder ({error}); {expected}") from error
    return SpeechFeatures("facebook/wav2vec2-base-960h", model, released=True)


def _fresh(recipe: SpeechRecipe) -> SpeechEncoder:
    training.seed_everything(recipe.seed)
    return SpeechEncoder(recipe.model)


@cache
def _trained(scale: str) -> SpeechEncoder:
    """The small encoder of a scale; resumes a killed training, reads a finished one."""
    recipe = SPEECH[scale]
    model, checkpoint = _fresh(recipe), _speech_path(recipe)
    if not _finished(checkpoint):
        _train_speech(model, recipe, checkpoint)
        _finish(checkpoint, phone_errors(model, recipe))
    training.load(checkpoint, model)
    return model


def _train_speech(model: SpeechEncoder, recipe: SpeechRecipe, checkpoint: Path) -> None:
    heard = _speak(_training_sentences(), recipe.actors, recipe.utterances, recipe.seed, "speaking for the encoder")
    fit = training.Recipe(recipe.epochs, recipe.learning_rate, anneal=True, clip_norm=1.0, betas=recipe.betas)
    training.fit(
        model, _batches(heard, recipe), _phoneme_losses(model), fit, seed=recipe.seed, checkpoint=checkpoint,
        weights={"frame": recipe.frame_weight, "ctc": recipe.ctc_weight}, label="speech encoder",
    )  # fmt: skip


def _training_sentences() -> list[str]:
    from lib.puppet.sentences import ids

    return [s for i, s in enumerate(ids("en-ctc")) if i % TEST_EVERY != 0]


def _test_sentences() -> dict[str, list[str]]:
    """Sentences never heard: of the same grammar (known words), and written ones of another bank."""
    from lib.puppet.sentences import N_GRAMMAR, ids

    return {"grammar": list(ids("en-ctc"))[:N_GRAMMAR:TEST_EVERY], "written": list(ids("en-judge"))}


@torch.inference_mode()
def phone_errors(model: SpeechEncoder, recipe: SpeechRecipe) -> dict[str, float]:
    """Phone error rate on actors and sentences never heard, by kind of sentence."""
    assert not set(recipe.actors) & set(recipe.test_actors)
    model.eval()
    rates = {}
    for kind, sentences in _test_sentences().items():
        said = _speak(sentences, recipe.test_actors, recipe.test_utterances, recipe.seed + 1, f"testing: {kind}")
        guesses = [speech.greedy_decode(model(torch.from_numpy(u.audio)[None])[0]) for u in said]
        rates[kind] = speech.phone_error_rate(guesses, [u.phones.tolist() for u in said])
    return rates


def _speech_path(recipe: SpeechRecipe) -> Path:
    from lib.puppet import sentences, voice

    heard = sentences.BANKS["en-ctc"], voice.SHIFTS, code_digest("lib.models.speech", "lib.training")
    return paths.CACHE / "foundations" / f"speech-{digest(recipe, SPEECH_VERSION, heard)}.pt"


def _finished(checkpoint: Path) -> bool:
    return checkpoint.exists() and checkpoint.with_suffix(".json").exists()


def _finish(checkpoint: Path, scores: dict) -> None:
    """Scores beside the checkpoint: they mark it as complete."""
    with paths.write_aside(checkpoint.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(scores, indent=1))


# Judges ---------------------------------------------------------------------------------------------------------------

JUDGE_ACTORS, JUDGE_TEST_ACTORS = tuple(range(100, 120)), tuple(range(124, 132))
STRONG = 0.7                        # intensity from which a judge must recognise the emotion
NOISE = 0.01                        # standard deviation of "truth plus noise" in eye distances, about 0.9 mm
JUDGES_VERSION = 1                  # raised when a change of this code changes the trained judges


@dataclass(frozen=True)
class JudgeRecipe:
    """Whose faces the judges see and how they learn."""

    actors: tuple[int, ...] = JUDGE_ACTORS
    test_actors: tuple[int, ...] = JUDGE_TEST_ACTORS
    clips_per_cell: int = 4         # each cell speaks sentences of four, at each intensity once
    intensities: tuple[float, ...] = (0.4, 0.7, 0.85, 1.0)
    shrinkage: float = 0.3
    noise: float = 0.004            # training noise on landmarks, eye distances
    crop: int = 50                  # frames, 2 s
    batch: int = 32
    epochs: int = 24
    learning_rate: float = 2e-3
    halve_every: int = 8
    seed: int = 1


JUDGES = {
    "smoke": JudgeRecipe(actors=JUDGE_ACTORS[:4], test_actors=JUDGE_TEST_ACTORS[:4], epochs=30),
    "laptop": JudgeRecipe(),
    "paper": JudgeRecipe(),
}


@dataclass(frozen=True)
class Faces:
    """Displacements [(T, 204)] of clips with their emotions (N,) as numbers and intensities (N,)."""

    moved: list[np.ndarray]
    labels: np.ndarray
    intensities: np.ndarray


@cache
def judges(scale: str) -> tuple[Judge, Judge]:
    """The two judges of a scale, "statistics" and "course", trained at the first call and cached."""
    from lib.puppet.spec import EMOTIONS

    recipe = _judge_recipe(scale)
    checkpoint, network = _judges_path(recipe), _fresh_network(recipe, len(EMOTIONS))
    seen = None if _finished(checkpoint) else _faces(recipe, recipe.actors)
    if seen is not None:
        _train_course(network, seen, recipe, checkpoint)
    training.load(checkpoint, network)
    pair = StatisticsJudge(EMOTIONS, _discriminants(recipe, seen)), CourseJudge(EMOTIONS, network)
    if seen is not None:
        unseen = _faces(recipe, recipe.test_actors)
        _finish(checkpoint, {judge.name: _accuracies(judge, unseen, recipe.seed + 1) for judge in pair})
    return pair


def _judge_recipe(scale: str) -> JudgeRecipe:
    from lib.puppet.spec import LAPTOP

    if scale not in JUDGES:
        raise InputError(f"scale {scale!r}: unknown; expected one of {', '.join(JUDGES)}")
    recipe = JUDGES[scale]
    assert not set(recipe.actors) & set(recipe.test_actors)
    assert not {*recipe.actors, *recipe.test_actors} & {*LAPTOP.actors, *SPEECH[scale].actors}
    return recipe


def _fresh_network(recipe: JudgeRecipe, classes: int) -> CourseNetwork:
    training.seed_everything(recipe.seed)
    return CourseNetwork(classes)


def _faces(recipe: JudgeRecipe, actors: tuple[int, ...]) -> Faces:
    """Landmarks of the puppet, nuisance included, without head motion, for some of the judges' actors.

    Kept on disk: judges of landmarks in space and in a picture, and a recogniser, learn from the same faces.
    """
    from lib.puppet.corpus import corpus_folder, generate
    from lib.puppet.spec import EMOTIONS, CorpusSpec

    spec = CorpusSpec(f"judges-{actors[0]}", actors, intensities=recipe.intensities, bank="en-judge",
                      clips_per_cell=recipe.clips_per_cell, seed=recipe.seed)  # fmt: skip
    clips = spec.clips()
    labels = np.array([EMOTIONS.index(clip.emotion) for clip in clips])
    moved = kept_displacements(lambda: generate(spec), len(clips), corpus_folder(spec).name)
    return Faces(moved, labels, np.array([clip.intensity for clip in clips]))


def kept_displacements(clips: Callable[[], Iterable], count: int, *name) -> list[np.ndarray]:
    """Displacements (T, 204) at 25 fps of `count` puppet clips, which `clips()` makes, kept on disk under `name`."""
    from tqdm.auto import tqdm

    from lib.puppet.head import head

    def compute() -> dict[str, np.ndarray]:
        points = head().topology.landmarks
        moved = [displacement(clip.landmarks(FPS), clip.neutral()[points])
                 for clip in tqdm(clips(), total=count, desc="landmarks for the judges", leave=False)]
        return {"moved": np.concatenate(moved), "frames": np.array([len(part) for part in moved])}

    made = digest(*name, code_digest("lib.models.judges", "lib.puppet.head"), FPS)
    stored = cached_arrays(paths.CACHE / "foundations" / f"faces-{made}.npz", compute)
    return np.split(stored["moved"], np.cumsum(stored["frames"])[:-1])


def _discriminants(recipe: JudgeRecipe, seen: Faces | None) -> Discriminants:
    """The linear judge, from its cache or from the faces seen."""
    path = _judges_path(recipe).with_suffix(".npz")
    if seen is not None:
        rng = np.random.default_rng(recipe.seed)
        noisy = [m + recipe.noise * rng.standard_normal(m.shape) for m in seen.moved]
        rows = np.stack([statistics(m) for m in [*seen.moved, *noisy]])
        labels = np.concatenate([seen.labels, seen.labels])
        fitted = Discriminants.fit(rows, labels, int(labels.max()) + 1, recipe.shrinkage)
        with paths.write_aside(path) as aside:
            np.savez(aside, **vars(fitted))
    with np.load(path) as stored:
        return Discriminants(**stored)


def _train_course(network: CourseNetwork, seen: Faces, recipe: JudgeRecipe, checkpoint: Path) -> None:
    def batches(rng: np.random.Generator):
        order = rng.permutation(len(seen.moved))
        for some in np.array_split(order, max(1, len(order) // recipe.batch)):
            crops = np.stack([_face_crop(seen.moved[i], rng, recipe.crop) for i in some])
            noise = recipe.noise * rng.uniform(0, 2) * rng.standard_normal(crops.shape)
            yield torch.from_numpy((crops + noise).astype(np.float32)), torch.from_numpy(seen.labels[some])

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"emotion": functional.cross_entropy(network(batch[0]), batch[1])}

    fit = training.Recipe(recipe.epochs, recipe.learning_rate, recipe.halve_every, weight_decay=1e-4)
    training.fit(network, batches, losses, fit, seed=recipe.seed, checkpoint=checkpoint, weights={"emotion": 1.0},
                 label="emotion judge")  # fmt: skip


def _face_crop(moved: np.ndarray, rng: np.random.Generator, frames: int) -> np.ndarray:
    """Random part of (T, 204), repeated at the end where the clip is shorter."""
    first = int(rng.integers(0, max(1, len(moved) - frames + 1)))
    return moved[np.minimum(np.arange(first, first + frames), len(moved) - 1)]


def _accuracies(judge: Judge, unseen: Faces, seed: int) -> dict:
    """Accuracy on actors never seen, on truth and with noise, and the confusion matrix of strong emotions."""
    rng = np.random.default_rng(seed)
    strong = (unseen.intensities >= STRONG) | (unseen.labels == 0)
    scores = {}
    for kind, noise in (("truth", 0.0), ("truth plus noise", NOISE)):
        seen = [(m + noise * rng.standard_normal(m.shape)).astype(np.float32) for m in unseen.moved]
        guesses = np.array([judge.log_odds(m).argmax() for m in seen])
        right = guesses == unseen.labels
        scores[kind] = {"all": float(right.mean()), f"intensity >= {STRONG}": float(right[strong].mean())}
        scores[kind]["confusion"] = _confusion(unseen.labels[strong], guesses[strong], len(judge.emotions))
    return scores


def _confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> list[list[int]]:
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, guess), 1)
    return counts.tolist()


def _judges_path(recipe: JudgeRecipe) -> Path:
    from lib.puppet.corpus import fingerprint

    code = code_digest("lib.models.judges", "lib.puppet.head", "lib.training")
    return paths.CACHE / "foundations" / f"judges-{digest(recipe, JUDGES_VERSION, fingerprint(), code)}.pt"


def judge_scores(scale: str) -> dict:
    """Scores by judge: truth or truth plus noise, accuracies and confusion counts (true emotion by row)."""
    judges(scale)
    return json.loads(_judges_path(JUDGES[scale]).with_suffix(".json").read_text())


def confusion(scale: str, judge: str):
    """DataFrame of counts on truth of intensity >= 0.7: true emotion by row, judged emotion by column."""
    import pandas as pd

    from lib.puppet.spec import EMOTIONS

    counts = judge_scores(scale)[judge]["truth"]["confusion"]
    return pd.DataFrame(counts, index=pd.Index(EMOTIONS, name="true"), columns=EMOTIONS)


# Report ---------------------------------------------------------------------------------------------------------------


def report(scale: str):
    """DataFrame of every foundation in use at a scale: foundation, measure, on what, value."""
    import pandas as pd

    rows = [*_speech_rows(scale), *_judge_rows(scale)]
    return pd.DataFrame(rows, columns=["foundation", "measure", "on", "value"])


def _judge_rows(scale: str) -> list[tuple[str, str, str, float]]:
    return [(f"judge {name}", "accuracy", f"unseen actors, {kind}, {which}", value)
            for name, kinds in judge_scores(scale).items() for kind, values in kinds.items()
            for which, value in values.items() if which != "confusion"]


def _speech_rows(scale: str) -> list[tuple[str, str, str, float]]:
    features = speech_encoder(scale)
    if features.released:
        return [(features.name, "released weights", "not measured here", float("nan"))]
    scores = json.loads(_speech_path(SPEECH[scale]).with_suffix(".json").read_text())
    return [(features.name, "phone error rate", f"unheard actors, unheard {kind} sentences", rate)
            for kind, rate in scores.items()]
