"""Stand-ins of the landmark papers, trained once on puppets that no test uses, and cached.

voices          AutoVC in MakeItTalk's version and a speaker encoder, both of reduced width, or the released pair of the
                paper where its files are found; features of every clip of the corpus are kept per scale, for all seeds
planar_judges   two emotion judges of a clip on landmarks in a picture; they never train, select or weigh a method
recognisers     emotion of every frame: one that methods may be trained with, and an independent one that measures
proxy_sync      whether lips and voice belong together, trained on true faces alone; never comparable with SyncNet's
                published numbers

Actors: judges and independent recogniser 100 to 131 (as `lib.foundations`), the recogniser for training from 140,
voices from 240, proxy-Sync from 300; sentences: the banks en-judge and en-ctc. The corpus has actors below 100 and the
bank en-main.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib import foundations, paths, training
from lib.foundations import Faces, JudgeRecipe
from lib.models import autovc, syncnet
from lib.models import planar_judges as planar
from lib.models.judges import FPS, Discriminants, displacement, statistics
from lib.models.planar_judges import FrameRecogniser, PlanarCourse, PlanarStatistics, ProxySync
from lib.study import cached_arrays, check_scale, code_digest, digest, weights_digest

VOICES_VERSION, PLANAR_VERSION, SYNC_VERSION = 1, 1, 1     # raised when a change of this code changes what it trains
JUDGE_CODE = ("lib.models.judges", "lib.models.planar_judges", "lib.puppet.head", "lib.training")


def _path(kind: str, recipe, version: int, *code: str) -> Path:
    from lib.puppet.corpus import fingerprint

    return paths.CACHE / "foundations" / f"{kind}-{digest(recipe, version, fingerprint(), code_digest(*code))}.pt"


# Voices ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class VoicesRecipe:
    """Whose voices AutoVC hears and how it learns; widths and weights of the paper scale are the published ones.

    In a short training the published weight of 1 makes all codes equal: constant codes have no content loss, and pitch
    and speaker alone explain half of a mel. The neck has a quarter of the published width, since the puppets' few
    voices fit through 16 numbers per direction, speaker and all; but a code is taken every 4 mel frames (64 ms) instead
    of every 16. Codes of so few numbers four times a second lose the words: the opening of unseen actors' lips then
    follows from converted mels by a line little more than half as well as from plain ones; from codes sixteen times a
    second nearly as well, and speakers are told apart less, not more.
    """

    generator: autovc.Config = autovc.Config(8, 4, 64, 64, version="makeittalk")
    speakers: autovc.SpeakerConfig = autovc.SpeakerConfig(hidden=64, embedding=64)
    actors: tuple[int, ...] = tuple(range(240, 264))
    test_actors: tuple[int, ...] = tuple(range(264, 272))
    utterances: int = 8             # of each actor
    crop: int = 32                  # mel frames, about 0.5 s
    batch: int = 16
    epochs: int = 60
    learning_rate: float = 4e-3
    speaker_crop: int = 64
    speaker_epochs: int = 100
    speaker_rate: float = 1e-3      # from twice that on all voices get one embedding, the loss stays at ln 8
    content: float = 0.01           # weight of the content loss
    seed: int = 4


VOICES = {
    "smoke": VoicesRecipe(autovc.Config(8, 4, 32, 32, version="makeittalk"),
                          autovc.SpeakerConfig(hidden=32, embedding=32), tuple(range(240, 248)),
                          tuple(range(264, 268)), utterances=4, epochs=150, speaker_epochs=150),
    "laptop": VoicesRecipe(),
    "paper": VoicesRecipe(autovc.RELEASED_CONFIG["makeittalk"], autovc.SpeakerConfig(), utterances=40, crop=128,
                          batch=2, epochs=2000, learning_rate=1e-4, speaker_crop=128, speaker_epochs=2000,
                          speaker_rate=1e-4, content=1.0),
}  # fmt: skip
STANDARD_CLIPS = 64                  # converted clips that the standardisation is taken from
SPEAKERS_AT_A_TIME, VIEWS = 8, 4     # of the loss of the speaker encoder


@dataclass(frozen=True, eq=False)
class Voices:
    """A voice converter and a speaker encoder that belong together.

    `mel`, `convert` and `embedding` take a waveform (N,) at 16 kHz and give the plain mel (T, 80), the standardised
    converted mel (T, 80), both at 62.5 fps, and the speaker embedding (E,), a mean of unit vectors.
    """

    name: str
    released: bool
    converter: autovc.Converter
    speakers: autovc.SpeakerEncoder

    def mel(self, samples: np.ndarray) -> np.ndarray:
        return self.converter.heard(samples)[0]

    def embedding(self, samples: np.ndarray) -> np.ndarray:
        return self._embed(self.mel(samples))

    def convert(self, samples: np.ndarray) -> np.ndarray:
        return self.features(samples)[1]

    def features(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Plain mel, converted mel and embedding at once."""
        mel, pitch = self.converter.heard(samples)
        embedding = self._embed(mel)
        converted = self.converter.convert_mel(mel, embedding, pitch)
        return mel, self.converter.standardise(converted), embedding

    def _embed(self, mel: np.ndarray) -> np.ndarray:
        return self.speakers.embed([mel], np.random.default_rng(0))


@dataclass(frozen=True)
class Heard:
    """One training utterance: number of the actor, mel (T, 80) and pitch bins (T,), None for a version without."""

    actor: int
    mel: np.ndarray
    pitch: np.ndarray | None


@cache
def converter(scale: str) -> Voices:
    """The voices of a scale, trained at the first call and cached.

    Where both files of the paper's release are found (asset autovc_weights), these instead: generator and speaker
    encoder of one make. MakeItTalk's released generator wants the embeddings of another encoder (Resemblyzer), whose
    weights no asset holds; on other embeddings it would be another model, so it is not used here.
    """
    recipe = VOICES[check_scale(scale)]
    if all(paths.find_asset(autovc.RELEASED[part][0]) for part in ("paper", "speaker")):
        pair = autovc.released("paper"), autovc.released_speaker_encoder()
        return _calibrated("AutoVC, released", True, *pair, recipe)
    generator, speakers = _fresh_voices(recipe)
    checkpoint = _path("voices", recipe, VOICES_VERSION, "lib.models.autovc", "lib.training")
    finished = foundations._finished(checkpoint)
    if not finished:
        _train_voices(generator, speakers, recipe, checkpoint)
    training.load(checkpoint, generator)
    training.load(_speakers_path(checkpoint), speakers)
    found = _calibrated(f"AutoVC of MakeItTalk on voices of puppets ({scale})", False, generator, speakers, recipe)
    if not finished:
        foundations._finish(checkpoint, _voices_measured(found, recipe))
    return found


def converter_key(scale: str) -> str:
    """Names the voices that a scale has now: weights, recipe and code."""
    found = converter(scale)
    return digest(weights_digest(found.converter.generator), weights_digest(found.speakers), VOICES[scale],
                  VOICES_VERSION, code_digest("lib.models.autovc"))


def voices_scores(scale: str) -> dict[str, float]:
    """What conversion keeps and removes, on unseen actors and sentences; see `_voices_measured`."""
    found = converter(scale)
    if found.released:
        return {}
    path = _path("voices", VOICES[scale], VOICES_VERSION, "lib.models.autovc", "lib.training")
    return json.loads(path.with_suffix(".json").read_text())


def _fresh_voices(recipe: VoicesRecipe) -> tuple[autovc.Generator, autovc.SpeakerEncoder]:
    """Networks with fresh weights; the post-net starts by correcting nothing, which saves thousands of short steps.

    Its last layer is normed to unit spread, 5 times that of a mel; released training takes a million steps from there.
    """
    training.seed_everything(recipe.seed)
    generator = autovc.Generator(recipe.generator)
    torch.nn.init.zeros_(generator.postnet.convolutions[-1][1].weight)
    return generator, autovc.SpeakerEncoder(recipe.speakers)


def _speakers_path(checkpoint: Path) -> Path:
    return checkpoint.with_name(f"speakers-{checkpoint.name}")


def _utterances(recipe: VoicesRecipe, actors: tuple[int, ...], sentences: list[str]) -> list[tuple[int, np.ndarray]]:
    """Actor and waveform of every utterance, emotion and intensity drawn at random."""
    from tqdm.auto import tqdm

    from lib.puppet import voice
    from lib.puppet.sentences import text

    rng, said = np.random.default_rng([recipe.seed, actors[0]]), []
    for number in tqdm(np.repeat(actors, recipe.utterances), desc="speaking for AutoVC", leave=False):
        emotion, sentence = (str(rng.choice(some)) for some in (list(voice.SHIFTS), sentences))
        settings = voice.voice_settings(int(number), emotion, float(rng.uniform()), rng)
        said.append((int(number), voice.speak(text(sentence), settings).audio))
    return said


def _calibrated(name: str, released: bool, generator, speakers, recipe: VoicesRecipe) -> Voices:
    """Voices with the first actor as target and converted mels standardised over training voices; kept on disk.

    Not over the corpus: whatever a test clip sounds like must not change what another system hears.
    """
    path = _path("voices-standard", (recipe, weights_digest(generator)), VOICES_VERSION, "lib.models.autovc")
    stored = cached_arrays(path.with_suffix(".npz"), lambda: _target_and_standard(generator, speakers, recipe))
    return Voices(name, released, autovc.Converter(generator, **stored), speakers)


def _target_and_standard(generator, speakers, recipe: VoicesRecipe) -> dict[str, np.ndarray]:
    said = _utterances(recipe, recipe.actors, foundations._training_sentences())
    plain = autovc.Converter(generator, np.zeros(generator.config.embedding, np.float32))
    own = [plain.heard(samples)[0] for actor, samples in said if actor == recipe.actors[0]]
    target = speakers.embed(own, np.random.default_rng(recipe.seed))
    voices = Voices("", False, autovc.Converter(generator, target), speakers)
    some = said[:: max(1, len(said) // STANDARD_CLIPS)]
    mean, std = autovc.standardisation([voices.convert(samples) for _, samples in some])
    return {"target": target, "mean": mean, "std": std}


def _train_voices(generator, speakers, recipe: VoicesRecipe, checkpoint: Path) -> None:
    """First the speaker encoder, then the generator on its embeddings, as published."""
    plain = autovc.Converter(generator, np.zeros(recipe.generator.embedding, np.float32))
    said = _utterances(recipe, recipe.actors, foundations._training_sentences())
    heard = [Heard(actor, *plain.heard(samples)) for actor, samples in said]
    _train_speakers(speakers, heard, recipe, _speakers_path(checkpoint))
    rng = np.random.default_rng(recipe.seed)
    embeddings = {a: speakers.embed([h.mel for h in heard if h.actor == a], rng) for a in recipe.actors}

    def batches(rng: np.random.Generator):
        order = rng.permutation(len(heard))
        for some in np.array_split(order, max(1, len(order) // recipe.batch)):
            crops = [_sound_crop(heard[i], rng, recipe.crop) for i in some]
            mel, pitch = (torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))
            yield mel, torch.from_numpy(np.stack([embeddings[heard[i].actor] for i in some])), pitch

    fit = training.Recipe(recipe.epochs, recipe.learning_rate, anneal=True, clip_norm=1.0)
    training.fit(generator, batches, lambda batch: autovc.training_losses(generator, *batch), fit, seed=recipe.seed,
                 checkpoint=checkpoint, weights={"before": 1.0, "after": 1.0, "content": recipe.content},
                 label="AutoVC")  # fmt: skip


def _sound_crop(heard: Heard, rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Mel (frames, 80) and pitch bins (frames,) of one random stretch, zeros at the end of a shorter clip."""
    first = int(rng.integers(0, max(0, len(heard.mel) - frames) + 1))
    mel, pitch = heard.mel[first : first + frames], heard.pitch[first : first + frames]
    more = frames - len(mel)
    return np.pad(mel, ((0, more), (0, 0))), np.pad(pitch, (0, more))


def _train_speakers(speakers, heard: list[Heard], recipe: VoicesRecipe, checkpoint: Path) -> None:
    mels = {a: [h.mel for h in heard if h.actor == a] for a in recipe.actors}

    def batches(rng: np.random.Generator):
        order = rng.permutation(recipe.actors)
        for some in np.array_split(order, max(1, len(order) // SPEAKERS_AT_A_TIME)):
            crops = [autovc.crop(mels[a][i], rng, recipe.speaker_crop)
                     for a in some for i in rng.choice(len(mels[a]), VIEWS, replace=False)]
            yield torch.from_numpy(np.stack(crops))

    def losses(crops: Tensor) -> dict[str, Tensor]:
        return {"ge2e": autovc.ge2e_loss(speakers(crops).unflatten(0, (-1, VIEWS)))}

    fit = training.Recipe(recipe.speaker_epochs, recipe.speaker_rate, anneal=True, clip_norm=3.0)
    training.fit(speakers, batches, losses, fit, seed=recipe.seed, checkpoint=checkpoint, weights={"ge2e": 1.0},
                 label="speaker encoder")  # fmt: skip


def _voices_measured(voices: Voices, recipe: VoicesRecipe) -> dict[str, float]:
    """On unseen actors and unheard sentences:

    reconstruction, variance       mean squared error of mels in their own voice (a mel runs from 0 to 1), and that of
                                   the mean mel, which it must be below
    speaker from mel, converted, embedding, chance
                                   share of clips whose speaker is the one with the nearest mean of features averaged
                                   over time, the clip itself left out; with enough taken away it is chance
    """
    said = _utterances(recipe, recipe.test_actors, foundations._test_sentences()["written"])
    actors = np.array([actor for actor, _ in said])
    heard = [voices.converter.heard(samples) for _, samples in said]
    features = [voices.features(samples) for _, samples in said]
    own = [replace(voices.converter, target=e).convert_mel(mel, e, pitch)
           for (mel, pitch), (_, _, e) in zip(heard, features, strict=True)]
    errors = [np.square(x - mel).mean() for x, (mel, _) in zip(own, heard, strict=True)]
    frames = np.concatenate([mel for mel, _ in heard])
    mels, converted, embeddings = (np.stack([part.mean(0) if part.ndim == 2 else part for part in some])
                                   for some in zip(*features, strict=True))
    return {"reconstruction": float(np.mean(errors)), "variance": float(frames.var(0).mean()),
            "speaker from mel": _named(mels, actors), "speaker from converted": _named(converted, actors),
            "speaker from embedding": _named(embeddings, actors), "chance": 1 / len(recipe.test_actors)}


def _named(rows: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows (N, D) that lie nearest to the mean of their own label, themselves left out."""
    right = []
    for i, row in enumerate(rows):
        others = np.arange(len(rows)) != i
        means = {label: rows[others & (labels == label)].mean(0) for label in np.unique(labels)}
        right.append(min(means, key=lambda label: np.linalg.norm(row - means[label])) == labels[i])
    return float(np.mean(right))


# Features of the corpus -----------------------------------------------------------------------------------------------


def converted_mels(scale: str) -> list[np.ndarray]:
    """Standardised converted mel (T, 80) at 62.5 fps of every clip of the corpus, by position."""
    return _sounds(scale)["converted"]


def plain_mels(scale: str) -> list[np.ndarray]:
    """AutoVC's mel (T, 80) at 62.5 fps of every clip of the corpus, by position."""
    return _sounds(scale)["mel"]


def speaker_embeddings(scale: str) -> np.ndarray:
    """Speaker embedding (clips, E) of every clip of the corpus, each from that clip alone."""
    return _sounds(scale)["speaker"]


@cache
def _sounds(scale: str) -> dict:
    from lib.experiments.draw import corpus

    path = paths.CACHE / "features" / f"voices-{digest(corpus(scale).key, converter_key(scale))}.npz"
    stored = cached_arrays(path, lambda: _hear_corpus(scale))
    cuts = np.cumsum(stored["frames"])[:-1]
    return {"speaker": stored["speaker"],
            **{kind: np.split(stored[kind].astype(np.float32), cuts) for kind in ("mel", "converted")}}


def _hear_corpus(scale: str) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    from lib.experiments.draw import corpus

    made, voices = corpus(scale), converter(scale)
    bar = tqdm(made, total=len(made), desc="converting voices", unit="clip", leave=False)
    mels, converted, speakers = zip(*(voices.features(clip.audio) for clip in bar), strict=True)
    return {"frames": np.array([len(mel) for mel in mels]), "speaker": np.stack(speakers),
            "mel": np.concatenate(mels).astype(np.float16), "converted": np.concatenate(converted).astype(np.float16)}


# Emotion of a clip ----------------------------------------------------------------------------------------------------


@cache
def planar_judges(scale: str) -> tuple[PlanarStatistics, PlanarCourse]:
    """The two judges of a scale, trained at the first call and cached: `predict_proba(landmarks, template)`."""
    from lib.puppet.spec import EMOTIONS

    recipe = foundations._judge_recipe(check_scale(scale))
    checkpoint = _path("planar-judges", recipe, PLANAR_VERSION, *JUDGE_CODE)
    training.seed_everything(recipe.seed)
    network = planar.PlanarNetwork(len(EMOTIONS))
    seen = None if foundations._finished(checkpoint) else _faces(recipe, recipe.actors)
    if seen is not None:
        foundations._train_course(network, seen, recipe, checkpoint)
    training.load(checkpoint, network)
    fitted = _kept_discriminants(checkpoint, seen and (lambda: _statistics_rows(seen, recipe)), recipe)
    pair = PlanarStatistics(EMOTIONS, fitted), PlanarCourse(EMOTIONS, network)
    if seen is not None:
        unseen = _faces(recipe, recipe.test_actors)
        foundations._finish(checkpoint, {judge.name: foundations._accuracies(judge, unseen, recipe.seed + 1)
                                         for judge in pair})
    return pair


def planar_scores(scale: str) -> dict:
    """Accuracies of the two judges and of the two recognisers on unseen actors, by name; see `lib.foundations`."""
    planar_judges(scale), recognisers(scale)
    stored = (_path("planar-judges", foundations._judge_recipe(scale), PLANAR_VERSION, *JUDGE_CODE),
              *(_recogniser_path(scale, role) for role in ROLES))
    read = [json.loads(path.with_suffix(".json").read_text()) for path in stored]
    return {name: scores for found in read for name, scores in found.items()}


def _faces(recipe: JudgeRecipe, actors: tuple[int, ...]) -> Faces:
    """Faces of `lib.foundations`, blind to depth: its eye corners lie at one depth, so the unit is the same."""
    faces = foundations._faces(recipe, actors)
    return replace(faces, moved=[moved * planar.SEEN for moved in faces.moved])


def _statistics_rows(seen: Faces, recipe: JudgeRecipe) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(recipe.seed)
    noisy = [m + recipe.noise * rng.standard_normal(m.shape) * planar.SEEN for m in seen.moved]
    return np.stack([statistics(m) for m in [*seen.moved, *noisy]]), np.concatenate([seen.labels, seen.labels])


def _kept_discriminants(checkpoint: Path, examples, recipe: JudgeRecipe) -> Discriminants:
    """Linear discriminants beside a checkpoint, fitted on `examples()` = rows, labels where these are given."""
    path = checkpoint.with_suffix(".npz")
    if examples:
        rows, labels = examples()
        fitted = Discriminants.fit(rows, labels, int(labels.max()) + 1, recipe.shrinkage)
        with paths.write_aside(path) as aside:
            np.savez(aside, **vars(fitted))
    with np.load(path) as stored:
        return Discriminants(**stored)


# Emotion of a frame ---------------------------------------------------------------------------------------------------

ROLES = ("training", "independent")
RECOGNISER_ACTORS = tuple(range(140, 148))
EVERY_FRAMES = 3                     # neighbouring frames are nearly equal
FRAME_EPOCHS = {"smoke": 10, "laptop": 20, "paper": 20}


@cache
def recognisers(scale: str) -> tuple[FrameRecogniser, FrameRecogniser]:
    """Recognisers of single frames: the one methods are trained with (network), and an independent one (linear).

    They share neither actors nor family. `softmax(landmarks, template, emotions)` gives (T, K).
    """
    return _recogniser(scale, "training"), _recogniser(scale, "independent")


def _recogniser(scale: str, role: str) -> FrameRecogniser:
    from lib.puppet.spec import EMOTIONS

    recipe, checkpoint = _recogniser_recipe(scale, role), _recogniser_path(scale, role)
    frames = None if foundations._finished(checkpoint) else _frames(_faces(recipe, recipe.actors))
    if role == "independent":
        fitted = _kept_discriminants(checkpoint, frames and (lambda: _noisy_too(*frames, recipe.seed)), recipe)
        found = FrameRecogniser.linear(EMOTIONS, fitted)
    else:
        found = FrameRecogniser.network(EMOTIONS, _frame_network(frames, recipe, checkpoint, FRAME_EPOCHS[scale]))
    if frames:
        unseen = _faces(recipe, recipe.test_actors)
        foundations._finish(checkpoint, {f"{role} recogniser": _frame_scores(found, unseen, recipe.seed + 1)})
    return found


def _recogniser_recipe(scale: str, role: str) -> JudgeRecipe:
    own = foundations._judge_recipe(check_scale(scale))
    if role == "independent":
        return own
    few = slice(0, 4) if scale == "smoke" else slice(None)
    return replace(own, actors=RECOGNISER_ACTORS[few], intensities=(0.6, 1.0), clips_per_cell=2, seed=2)


def _recogniser_path(scale: str, role: str) -> Path:
    path = _path(f"recogniser-{role}", (_recogniser_recipe(scale, role), FRAME_EPOCHS[scale]), PLANAR_VERSION,
                 *JUDGE_CODE)
    return path.with_suffix(".npz") if role == "independent" else path


def _frames(faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Every third frame (F, 204) of all clips, and its label (F,)."""
    some = [moved[::EVERY_FRAMES] for moved in faces.moved]
    return np.concatenate(some), np.repeat(faces.labels, [len(moved) for moved in some])


def _noisy_too(rows: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and the same with noise: over one frame nothing averages it out, and linear weights would amplify it."""
    noise = foundations.NOISE * np.random.default_rng(seed).standard_normal(rows.shape) * planar.SEEN
    return np.concatenate([rows, rows + noise]), np.concatenate([labels, labels])


def _frame_network(frames, recipe: JudgeRecipe, checkpoint: Path, epochs: int) -> planar.FrameNetwork:
    from lib.puppet.spec import EMOTIONS

    training.seed_everything(recipe.seed)
    network = planar.FrameNetwork(len(EMOTIONS))

    def batches(rng: np.random.Generator):
        rows, labels = frames
        for some in np.array_split(rng.permutation(len(rows)), max(1, len(rows) // 256)):
            noise = recipe.noise * rng.uniform(0, 2) * rng.standard_normal((len(some), rows.shape[1]))
            yield torch.from_numpy((rows[some] + noise).astype(np.float32)), torch.from_numpy(labels[some])

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"emotion": functional.cross_entropy(network(batch[0]), batch[1])}

    if frames is not None:
        fit = training.Recipe(epochs, 2e-3, anneal=True, weight_decay=1e-4)
        training.fit(network, batches, losses, fit, seed=recipe.seed, checkpoint=checkpoint, weights={"emotion": 1.0},
                     label="frame recogniser")  # fmt: skip
    training.load(checkpoint, network)
    return network


def _frame_scores(recogniser: FrameRecogniser, unseen: Faces, seed: int) -> dict:
    """Accuracy and mean confidence on frames of unseen actors, on truth and with noise.

    Equal accuracy and confidence mean that the softmax may be read as a probability; ES rises where it is flatter.
    """
    rng, scores = np.random.default_rng(seed), {}
    strong = (unseen.intensities >= foundations.STRONG) | (unseen.labels == 0)
    rows, labels = _frames(unseen)
    hard = np.repeat(strong, [len(moved[::EVERY_FRAMES]) for moved in unseen.moved])
    for kind, noise in (("truth", 0.0), ("truth plus noise", foundations.NOISE)):
        seen = (rows + noise * rng.standard_normal(rows.shape) * planar.SEEN).astype(np.float32)
        odds = torch.from_numpy(np.asarray(recogniser.log_odds(seen), np.float64)).softmax(-1).numpy()
        right = odds.argmax(-1) == labels
        scores[kind] = {"all": float(right.mean()), f"intensity >= {foundations.STRONG}": float(right[hard].mean()),
                        "confidence": float(odds.max(-1).mean())}
    return scores


# Proxy-Sync -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SyncRecipe:
    """Whom proxy-Sync watches and how it learns; clips draw actor, emotion, intensity and sentence at random."""

    sizes: planar.SyncSizes = planar.SyncSizes()
    actors: tuple[int, ...] = tuple(range(300, 316))
    test_actors: tuple[int, ...] = tuple(range(316, 320))
    clips: int = 160
    test_clips: int = 32
    batch: int = 8                  # clips
    windows: int = 24               # of each clip: the true one and 23 others of the same clip to tell it from
    epochs: int = 40
    learning_rate: float = 4e-3
    betas: tuple[float, float] = training.SHORT_MEMORY
    noise: float = 0.002            # on landmarks, eye distances
    gain: float = 1.0               # of the sound, standard deviation in units of the natural logarithm of power
    seed: int = 3


SYNC = {"smoke": SyncRecipe(clips=24, test_clips=8, epochs=40), "laptop": SyncRecipe(), "paper": SyncRecipe()}
SHIFTS = (-9, -6, -3, 3, 6, 9)       # frames by which the calibration moves the sound
SYNC_CODE = ("lib.models.planar_judges", "lib.models.syncnet", "lib.models.judges", "lib.audio", "lib.puppet.head",
             "lib.training")


@cache
def proxy_sync(scale: str) -> ProxySync:
    """Proxy-Sync of a scale, trained at the first call and cached: `score(landmarks, template, hear(audio))`."""
    recipe = SYNC[check_scale(scale)]
    checkpoint = _path("proxy-sync", recipe, SYNC_VERSION, *SYNC_CODE)
    training.seed_everything(recipe.seed)
    network = planar.SyncNetwork(recipe.sizes)
    finished = foundations._finished(checkpoint)
    if not finished:
        _train_sync(network, recipe, checkpoint)
    training.load(checkpoint, network)
    judge = ProxySync(network)
    if not finished:
        foundations._finish(checkpoint, calibration(judge, _spoken(recipe, recipe.test_actors, recipe.test_clips, 1)))
    return judge


def sync_scores(scale: str) -> dict[str, float]:
    """Calibration of proxy-Sync on unseen actors and unheard sentences, see `calibration`."""
    proxy_sync(scale)
    path = _path("proxy-sync", SYNC[scale], SYNC_VERSION, *SYNC_CODE)
    return json.loads(path.with_suffix(".json").read_text())


@dataclass(frozen=True)
class Spoken:
    """One clip of proxy-Sync: landmarks (T, 68, 2) and template (68, 2) with y down, and the sound (N,)."""

    landmarks: np.ndarray
    template: np.ndarray
    audio: np.ndarray


def _spoken(recipe: SyncRecipe, actors: tuple[int, ...], clips: int, draw: int) -> list[Spoken]:
    """True faces and voices; `draw` 0 is for training, 1 for the calibration, with every fifth sentence."""
    from lib.puppet.corpus import generate
    from lib.puppet.head import head
    from lib.puppet.spec import EMOTIONS, ClipSpec, CorpusSpec

    rng = np.random.default_rng([recipe.seed, draw])
    sentences = foundations._test_sentences()["grammar"] if draw else foundations._training_sentences()
    specs = tuple(ClipSpec(int(rng.choice(actors)), str(rng.choice(EMOTIONS)), float(rng.choice([0.4, 0.7, 1.0])),
                           str(sentences[int(rng.integers(len(sentences)))]), seed=i) for i in range(clips))
    flip, points = np.array([1, -1], np.float32), head().topology.landmarks
    made = generate(CorpusSpec(f"proxy-sync-{draw}", listed=specs))
    return [Spoken(c.landmarks(FPS)[..., :2] * flip, c.neutral()[points, :2] * flip, c.audio) for c in made]


def _train_sync(network: planar.SyncNetwork, recipe: SyncRecipe, checkpoint: Path) -> None:
    said = _spoken(recipe, recipe.actors, recipe.clips, 0)
    lips, sounds = zip(*(_windows(clip) for clip in said), strict=True)
    bands = np.concatenate([sound.reshape(-1, planar.MEL_BANDS) for sound in sounds])
    network.mel_mean.copy_(torch.from_numpy(bands.mean(0)))
    network.mel_spread.copy_(torch.from_numpy(bands.std(0)))

    def batches(rng: np.random.Generator):
        order = rng.permutation(len(said))
        for some in np.array_split(order, max(1, len(order) // recipe.batch)):
            at = [rng.choice(len(lips[i]), recipe.windows, replace=False) for i in some]
            seen = np.stack([lips[i][rows] for i, rows in zip(some, at, strict=True)])
            heard = np.stack([sounds[i][rows] for i, rows in zip(some, at, strict=True)])
            seen = seen + recipe.noise * rng.standard_normal(seen.shape)
            heard = heard + recipe.gain * rng.standard_normal((len(some), 1, 1, 1))
            yield torch.from_numpy(seen.astype(np.float32)), torch.from_numpy(heard.astype(np.float32))

    fit = training.Recipe(recipe.epochs, recipe.learning_rate, anneal=True, weight_decay=1e-4, clip_norm=1.0,
                          betas=recipe.betas)  # fmt: skip
    training.fit(network, batches, lambda batch: {"contrast": contrast(network, *batch)}, fit, seed=recipe.seed,
                 checkpoint=checkpoint, weights={"contrast": 1.0}, label="proxy-Sync")  # fmt: skip


def _windows(clip: Spoken) -> tuple[np.ndarray, np.ndarray]:
    moved = displacement(planar.lifted(clip.landmarks), planar.lifted(clip.template))
    count = syncnet.windows(len(moved), len(clip.audio))
    return planar.lip_windows(moved)[:count], planar.sound_windows(clip.audio)[:count]


def contrast(network: planar.SyncNetwork, lips: Tensor, sounds: Tensor, sharpness: float = 10.0) -> Tensor:
    """Contrastive loss of windows (B, K, 5, 40) and (B, K, 20, 80): each must find its partner among K of its clip.

    Cross-entropy of -sharpness d^2 over the K candidates, in both directions; d as the score measures it. The other
    clips of the batch are no candidates: voice and identity would tell them apart without any lip reading.
    """
    clips, windows = lips.shape[:2]
    lip = network.lip(lips.flatten(0, 1)).unflatten(0, (clips, windows))
    sound = network.sound(sounds.flatten(0, 1)).unflatten(0, (clips, windows))
    closeness = -sharpness * (2 - 2 * lip @ sound.transpose(1, 2))                          # (B, K, K)
    partner = torch.arange(windows, device=lips.device).expand(clips, windows)
    both = closeness, closeness.transpose(1, 2)
    return sum(functional.cross_entropy(x.flatten(0, 1), partner.flatten()) for x in both) / 2


def calibration(judge: ProxySync, said: list[Spoken]) -> dict[str, float]:
    """What the judge says of truth, of moved sound and of another clip's sound.

    confidence true, shuffled, static    medians; static = lips that do not move
    found true, shifted                  share of clips whose offset is right within one frame
    ranked                               share of pairs in which a true clip is more confident than a shuffled one
    """
    heard = [judge.hear(c.audio) for c in said]
    true = [judge.score(c.landmarks, c.template, sound) for c, sound in zip(said, heard, strict=True)]
    others = said[1:] + said[:1]
    shuffled = [judge.score(c.landmarks, c.template, judge.hear(np.resize(o.audio, len(c.audio))))
                for c, o in zip(said, others, strict=True)]
    static = [judge.score(np.broadcast_to(c.template, c.landmarks.shape), c.template, sound)
              for c, sound in zip(said, heard, strict=True)]
    moved = [abs(_moved(judge, clip, shift, sound).offset - shift) <= 1
             for clip, sound in zip(said, heard, strict=True) for shift in SHIFTS]
    sure, unsure = (np.array([match.confidence for match in matches]) for matches in (true, shuffled))
    return {"confidence true": float(np.median(sure)), "confidence shuffled": float(np.median(unsure)),
            "confidence static": float(np.median([match.confidence for match in static])),
            "found true": float(np.mean([abs(match.offset) <= 1 for match in true])),
            "found shifted": float(np.mean(moved)), "ranked": float((sure[:, None] > unsure).mean())}


def _moved(judge: ProxySync, clip: Spoken, shift: int, heard: Tensor | None = None) -> syncnet.Match:
    """Score where the sound is `shift` frames early (late: below 0); `heard` is the whole sound where it is known."""
    whole = shift <= 0 and heard is not None
    sound = heard if whole else judge.hear(clip.audio[max(shift, 0) * syncnet.SAMPLES_PER_FRAME :])
    return judge.score(clip.landmarks[max(-shift, 0) :], clip.template, sound)
