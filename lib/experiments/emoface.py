"""EmoFace against FaceFormer and EmoTalk (paper 003): which systems are trained, on what, and what they predict.

All systems answer with rig curves: the 174 MetaHuman controllers of the puppet's rig (lib/face/rig.py), 49 of which
move. Those are turned into coefficients of the draw's motion basis, on the clip's own face, where vertices are to be
measured. The label is told to EmoFace, its variants and FaceFormer; EmoTalk hears the emotion in the voice (Sec. 5.1).

Departures from the paper at every scale: features of a frozen speech encoder (the paper trains its transformer), one
row per frame for all systems; ten speakers of a generated corpus without a speaker code instead of one actor; one
setting per scale, not selected on validation clips. At smoke and laptop scale also 30 frames per second instead of 60,
narrow layers without dropout, batches, and a learning rate to match. All take as many steps on whole clips.

EmoTalk's emotion branch hears acoustic features (mel bands, pitch, voicing) through a small trained encoder that
classifier and decoder share: a frozen encoder of phonemes would leave its cross-entropy nothing to teach.

Choices where the paper is silent: FaceFormer's label takes the place of its one-hot speaker, EmoTalk pairs clips of one
actor and sentence in two emotions ("paired-only" trains on nothing else, as the paper says, but for emotions that no
pair has, whose clips are their own partners; the default also uses the other clips without partner), FaceFormer and
the autoregressive decoder are fed their own predictions of a first pass (see `_own_past`).

`facegood` holds real recordings in the same form: Mandarin speech of one speaker with 116 rig weights, no emotion.
Names: `emoface/x` is another training, `emoface~x` the same weights used otherwise, `control/x` a trivial rival.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import audio as sound
from lib.data.clip import SAMPLE_RATE
from lib.errors import InputError
from lib.experiments import systems
from lib.experiments.draw import FEATURE_RATE, Draw, corpus, draw, foundation, to_video_rate
from lib.experiments.systems import Batch, Course, Size, fit_cached
from lib.face.rig import METAHUMAN, from_metahuman, to_metahuman
from lib.losses import vertex_mse
from lib.models import emoface, emotalk, faceformer
from lib.models.emoface import EMOTIONS
from lib.paths import CACHE
from lib.study import cached_arrays, code_digest, digest, run_folder, weights_digest
from lib.training import HOLD, SHORT_MEMORY, seed_everything

CONTROLLERS = len(METAHUMAN)
CODE = (*systems.CODE, "lib.experiments.draw", "lib.experiments.emoface", "lib.face.rig")
MODELS = ("lib.models.emoface", "lib.models.emotalk", "lib.models.faceformer")
FPS = {"smoke": 30, "laptop": 30, "paper": 60}          # the paper has 60
COMPONENTS = {"smoke": 24, "laptop": 64, "paper": 256}  # of the basis that vertices are measured through
LAYERS = {"smoke": 2, "laptop": 3, "paper": 10}         # of Audio2Rig
DROPOUT = {"smoke": 0.0, "laptop": 0.0, "paper": 0.1}   # it would double the time of small networks
STRIDE = {"smoke": 3, "laptop": 3, "paper": 1}          # vertices are measured at every such frame
BLOCK_S = 5.0                                           # real takes are cut into clips of this length
TAKES = {"smoke": 1, "laptop": 2, "paper": 5}           # how many real takes are left out in turn
ACOUSTIC_BANDS = 26
ACOUSTIC_WIDTH = ACOUSTIC_BANDS + 2                     # with pitch and voicing
REAL_EPOCHS = {"smoke": 1, "laptop": 3, "paper": 3}     # times as many epochs: there are a third as many clips

# `components` is the width of what is predicted. Whole clips, as published, so that every position is trained.
WHOLE = 10**6                                           # frames
SIZES = {
    "smoke": Size(CONTROLLERS, width=16, batch=4, window=WHOLE, epochs=2, learning_rate=2e-3),
    "laptop": Size(CONTROLLERS, width=40, batch=6, window=WHOLE, epochs=4, learning_rate=2e-3,
                   betas=SHORT_MEMORY, hold=HOLD),
    "paper": Size(CONTROLLERS, width=512, batch=1, window=WHOLE, epochs=1000, learning_rate=1e-5),
}


@dataclass(frozen=True)
class System:
    """One training: its family and what differs from the family's default.

    `attention`, `positions`, `decoder`, `past`: see lib/models/emoface.py. `features`: of the "taught" speech encoder,
    of the same encoder with "random" weights, or taught ones with "acoustic" ones beside them. `told`: the label is an
    input. `clips`: "all" or "paired".
    """

    family: str = "emoface"
    attention: str = "time"
    positions: bool = True
    decoder: str = "transformer"
    past: int | None = None
    features: str = "taught"
    told: bool = True
    clips: str = "all"


SYSTEMS = {
    "emoface": System(),
    "emoface/code": System(attention="frame"),
    "emoface/no-pretrain": System(features="random"),
    "emoface/fc-decoder": System(decoder="fc"),
    "emoface/lstm-decoder": System(decoder="lstm"),
    "emoface/no-pe": System(positions=False),
    "emoface/ar-decoder": System(decoder="autoregressive"),
    "faceformer": System("faceformer"),
    "emotalk": System("emotalk", features="acoustic", told=False),
    "emotalk/paired-only": System("emotalk", features="acoustic", told=False, clips="paired"),
}
PAST = {"emoface/ar-decoder,past=5": System(decoder="autoregressive", past=5)}
REAL = ("emoface", "emoface/code", "emoface/fc-decoder", "emoface/lstm-decoder", "emoface/no-pe", "faceformer")


# Material -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def material(scale: str, seed: int) -> Draw:
    """The draw of a seed for the seven emotions of the paper, as coefficients: what vertices are measured with."""
    return draw(scale, seed, EMOTIONS, COMPONENTS[scale], FPS[scale])


@lru_cache(maxsize=8)
def rigged(scale: str, seed: int, features: str = "taught") -> Draw:
    """The same draw with controllers (T, 174) as motion and floor: what systems learn from.

    Its `basis` still is the one of vertices; use `coefficients` to get there.
    """
    data = material(scale, seed)
    path = CACHE / "controllers" / f"{digest(data.key, code_digest('lib.face.rig', 'lib.experiments.emoface'))}.npz"
    stored = cached_arrays(path, lambda: _controllers(data))
    cuts = np.cumsum([len(motion) for motion in data.motion])[:-1]
    hidden = {"taught": lambda: data.hidden, "random": lambda: _untaught(data), "acoustic": lambda: _acoustic(data)}
    return replace(data, hidden=hidden[features](), motion=np.split(stored["motion"], cuts),
                   floor=np.split(stored["floor"], cuts), key=digest(data.key, "controllers", features))


def _controllers(data: Draw) -> dict[str, np.ndarray]:
    clips = [corpus(data.scale)[i] for i in data.table.position]
    return {"motion": np.concatenate([to_metahuman(clip.rig_at(data.fps)) for clip in clips]),
            "floor": np.concatenate([to_metahuman(clip.rig_at(data.fps, audible=True)) for clip in clips])}


@lru_cache(maxsize=4)
def untaught(scale: str, seed: int):
    """A speech encoder built like that of the scale, with random weights of the seed."""
    from lib.models.speech import SpeechFeatures

    taught = foundation(scale).encoder
    seed_everything(seed, 2)
    return SpeechFeatures("random weights", type(taught)(taught.config), released=False)


def _untaught(data: Draw) -> list[np.ndarray]:
    encoder = untaught(data.scale, data.seed)
    return _at_video_rate(data, "untaught speech features", encoder.features, weights_digest(encoder.encoder))


def _acoustic(data: Draw) -> list[np.ndarray]:
    """Speech features with acoustic ones to their right, these standardised over the training frames."""
    heard = _at_video_rate(data, "acoustic features", acoustic, code_digest("lib.audio"), ACOUSTIC_BANDS)
    known = np.concatenate([heard[i] for i in data.rows("train").index])
    mean, deviation = known.mean(0), known.std(0) + 1e-6
    return [np.concatenate([hidden, (own - mean) / deviation], axis=1)
            for hidden, own in zip(data.hidden, heard, strict=True)]


def acoustic(audio: np.ndarray) -> np.ndarray:
    """What a voice says beside its words, (Ta, ACOUSTIC_WIDTH) at 50 Hz: mel bands, log pitch over 150 Hz, voicing."""
    pitch = sound.pitch(audio, fps=FEATURE_RATE)
    voiced = np.isfinite(pitch)
    bands = sound.mel(audio, fps=FEATURE_RATE, n_mels=ACOUSTIC_BANDS)
    return np.column_stack([bands, np.log(np.where(voiced, pitch, 150) / 150), voiced]).astype(np.float32)


def _at_video_rate(data: Draw, label: str, features: Callable[[np.ndarray], np.ndarray], *key) -> list[np.ndarray]:
    """Features (2T, C) of every clip of a draw that is trained on or tested, cached under its clips and `key`."""
    from tqdm.auto import tqdm

    made, wanted = corpus(data.scale), data.rows("train", "seen", "unseen").position
    path = CACHE / "features" / f"{digest(made.key, wanted.tolist(), *key)}.npz"
    stored = cached_arrays(path, lambda: {str(i): features(made[i].audio).astype(np.float16)
                                          for i in tqdm(wanted, desc=label, unit="clip", leave=False)})
    empty = np.zeros_like(next(iter(stored.values())))
    return [to_video_rate(stored.get(str(i), empty), len(motion), data.fps)
            for i, motion in zip(data.table.position, data.motion, strict=True)]


@lru_cache(maxsize=8)
def measured(scale: str, seed: int) -> Draw:
    """The material at every third frame (paper scale: every frame): measuring a mesh costs more than predicting it."""
    data, stride = material(scale, seed), STRIDE[scale]
    fps = data.fps // stride
    counts = [corpus(scale)[i].frames(fps) for i in data.table.position]
    motion, floor = ([m[::stride][:t] for m, t in zip(curves, counts, strict=True)]
                     for curves in (data.motion, data.floor))
    return replace(data, motion=motion, floor=floor, fps=fps, key=digest(data.key, stride))


def coefficients(data: Draw, clip: int, curves: np.ndarray) -> np.ndarray:
    """Coefficients (T, K) of controllers (T, 174) shown on the face of a clip's speaker."""
    from lib.puppet.actors import actor
    from lib.puppet.head import head

    rig = np.clip(from_metahuman(curves), 0, 1)
    return data.basis.encode(head().vertices(rig, actor(data.specs[clip].actor).identity) - data.template(clip))


@lru_cache(maxsize=8)
def facegood(scale: str, seed: int, left_out: str) -> Draw:
    """Real recordings as a draw: blocks of five seconds, the take `left_out` as part "unseen", the others "train".

    Features are those of the puppets' speech encoder, which never heard Mandarin nor a human voice where the released
    weights are absent. Raises AssetMissing without the recordings, InputError for an unknown take.
    """
    takes = _takes(scale)
    if left_out not in takes:
        raise InputError(f"take {left_out!r} is none of {', '.join(takes)}")
    blocks = [(take, i, *block) for take, cut in takes.items() for i, block in enumerate(cut)]
    table = pd.DataFrame([{"clip": f"{take}-{i:02d}", "take": take, "block": i, "actor": 0, "emotion": "neutral",
                           "sentence": f"{take}-{i:02d}", "part": "unseen" if take == left_out else "train"}
                          for take, i, *_ in blocks])
    motion = [curves for *_, curves in blocks]
    return Draw(scale, seed, table, (), [hidden for *_, hidden, _ in blocks], motion, motion, None, None,
                foundation(scale).name, 30, digest("facegood", left_out, weights_digest(foundation(scale).encoder)))


def facegood_takes(scale: str) -> tuple[str, ...]:
    """Names of the real takes."""
    return tuple(_takes(scale))


@lru_cache(maxsize=2)
def _takes(scale: str) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Blocks (features (2T, C), weights (T, 116)) of every take, in the order of the takes' names."""
    from lib.data import facegood as recordings

    def blocks(take) -> list[tuple[np.ndarray, np.ndarray]]:
        frames, samples = round(BLOCK_S * take.fps), round(BLOCK_S * SAMPLE_RATE)
        count = min(len(take.motion) // frames, len(take.audio) // samples)
        sounds = (take.audio[i * samples : (i + 1) * samples] for i in range(count))
        return [(to_video_rate(foundation(scale).features(sound), frames, 30),
                 take.motion[i * frames : (i + 1) * frames]) for i, sound in enumerate(sounds)]

    found = recordings.clips()
    return {take.id.removeprefix("facegood-"): blocks(take) for take in found}


# Training -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LabelCourse(Course):
    """A course without speakers: the condition is the one-hot label, or a constant for a system that is not told.

    The clips of a batch are about equally long and are cut to the shortest of them, or to the window.
    """

    @property
    def condition_width(self) -> int:
        return len(self.emotions) if self.told else 1

    def condition(self, speaker: int, emotion: int) -> np.ndarray:
        return np.eye(len(self.emotions), dtype=np.float32)[emotion] if self.told else np.ones(1, np.float32)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        for rows in self.alike(rng):
            windows = [self._window(*cut) for cut in self.cuts(rows, rng)]
            hidden, motion = (torch.from_numpy(np.stack([w[part] for w in windows])) for part in ("hidden", "motion"))
            conditions = np.stack([self.condition(0, label) for label in self.labels[rows]])
            yield Batch(hidden, motion, motion, torch.from_numpy(conditions), torch.tensor(self.labels[rows]))

    def alike(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Places in `clips` of the batches of an epoch, in random order; lengths within a batch differ little."""
        lengths = self.lengths * rng.uniform(0.95, 1.05, len(self.clips))
        groups = np.array_split(np.argsort(lengths), -(-len(lengths) // self.size.batch))
        return [groups[i] for i in rng.permutation(len(groups))]

    def cuts(self, rows: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int, int]]:
        """Clip, first frame and end of windows of equal length."""
        frames = int(min(self.size.window, self.lengths[rows].min()))
        starts = rng.integers(0, self.lengths[rows] - frames, endpoint=True)
        return [(int(clip), int(start), int(start) + frames)
                for clip, start in zip(self.clips[rows], starts, strict=True)]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each clip."""
        return np.array([len(self.data.motion[clip]) for clip in self.clips])


@dataclass(frozen=True, eq=False)
class PairCourse(LabelCourse):
    """Clips for EmoTalk: speech of a clip, the same sentence and actor in another emotion, and a voice in that one.

    A clip without partner is its own, and its donor another sentence in its own emotion.
    """

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
        """(recipient, donor) features (B, 2W, C), (cross, own) motion (B, W, D), emotion of the donor (B,)."""
        targets, donors = self.targets(), self.donors()
        for rows in self.alike(rng):
            picked = [int(rng.choice(targets[row])) for row in rows]
            voices = [int(rng.choice(donors[target])) for target in picked]
            windows = [self._pair(cut, self.clips[target], self.clips[voice]) for cut, target, voice in
                       zip(self.cuts(rows, rng), picked, voices, strict=True)]
            stacked = [torch.from_numpy(np.stack(part)) for part in zip(*windows, strict=True)]
            yield (*stacked, torch.tensor(self.labels[picked]))

    def _pair(self, cut: tuple[int, int, int], target: int, voice: int) -> tuple[np.ndarray, ...]:
        """The target's window is stretched to the recipient's pace: the sentence takes longer in some emotions."""
        clip, start, stop = cut
        own, other, donor = self._window(*cut), self.data.motion[target], self.data.hidden[voice]
        at = np.arange(start, stop) * (len(other) - 1) / max(len(self.data.motion[clip]) - 1, 1)
        return own["hidden"], np.resize(donor, own["hidden"].shape), between(other, at), own["motion"]

    def targets(self) -> list[np.ndarray]:
        """For each clip (by its place in `clips`) the clips of its actor and sentence in another emotion, or itself."""
        table = self.data.table.loc[self.clips]
        actor, sentence = table.actor.to_numpy(), table.sentence.to_numpy()
        found = [np.flatnonzero((actor == a) & (sentence == s) & (self.labels != label))
                 for a, s, label in zip(actor, sentence, self.labels, strict=True)]
        return [others if len(others) else np.array([i]) for i, others in enumerate(found)]

    def donors(self) -> list[np.ndarray]:
        """For each clip those of its emotion with another sentence, of its own actor where there are any."""
        table = self.data.table.loc[self.clips]
        actor, sentence = table.actor.to_numpy(), table.sentence.to_numpy()
        found = []
        for i, (a, s, label) in enumerate(zip(actor, sentence, self.labels, strict=True)):
            anyone = (self.labels == label) & (sentence != s)
            masks = (anyone & (actor == a), anyone, np.arange(len(actor)) == i)
            found.append(np.flatnonzero(next(mask for mask in masks if mask.any())))
        return found


def between(curves: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows of (T, C) at fractional frames (W,), interpolated."""
    before = np.minimum(at.astype(int), len(curves) - 1)
    share = (at - before)[:, None].astype(np.float32)
    return curves[before] * (1 - share) + curves[np.minimum(before + 1, len(curves) - 1)] * share


def course(data: Draw, system: System, size: Size) -> Course:
    """What a system learns from: all training clips, or those with a partner in another emotion.

    Clips of emotions that no pair has stay in: a system that never saw an emotion shows nothing about its training.
    """
    rows = data.rows("train")
    labels = rows.emotion.map(EMOTIONS.index).to_numpy()
    kind = PairCourse if system.family == "emotalk" else LabelCourse
    made = kind(data, size, (), EMOTIONS, rows.index.to_numpy(), labels, system.told, "own")
    if system.clips == "all":
        return made
    paired = np.array([others[0] != i for i, others in enumerate(made.targets())])
    kept = paired | ~np.isin(labels, labels[paired])
    return replace(made, clips=made.clips[kept], labels=labels[kept])


def config(data: Draw, system: System, size: Size) -> emoface.Config:
    """EmoFace's sizes for a scale and a variant; the inner width is four times the layer's, as published."""
    return emoface.Config(
        outputs=data.motion[0].shape[1], audio_width=data.audio_width, width=size.width, layers=LAYERS[data.scale],
        heads=8 if size.width >= 512 else 4, ffn=4 * size.width, fps=data.fps, attention=system.attention,
        positions=system.positions,
        decoder=system.decoder, past=system.past, dropout=DROPOUT[data.scale])


def emotalk_config(data: Draw, size: Size) -> emotalk.Config:
    """EmoTalk without level and person; emotion part of the query as wide as in `emotalk.EMOFACE`, in proportion."""
    published = emotalk.EMOFACE
    emotion = 4 * round(size.width * published.emotion_width / published.content_width / 4)
    return replace(published, motion_width=data.motion[0].shape[1], content_width=size.width, emotion_width=emotion,
                   audio_width=data.audio_width - ACOUSTIC_WIDTH, acoustic_width=ACOUSTIC_WIDTH,
                   emotions=len(EMOTIONS), period=round(data.fps), fps=data.fps, dropout=DROPOUT[data.scale],
                   wav2vec2_content=None, wav2vec2_emotion=None)


class Trained:
    """A trained system of one seed: speech features and a label to controllers, and to coefficients of a face."""

    def __init__(self, data: Draw, system: System, model: nn.Module, log: list[dict[str, float]]):
        self.data, self.system, self.model, self.log = data, system, model, log

    @torch.no_grad()
    def curves(self, hidden: np.ndarray, emotion: str | np.ndarray) -> np.ndarray:
        """Rig curves (T, D) from features (2T, C) and an emotion, or weights of the emotions (7,).

        EmoFace also takes weights per frame (T, 7). Systems that are not told the label ignore it.
        """
        weights = np.eye(len(EMOTIONS))[EMOTIONS.index(emotion)] if isinstance(emotion, str) else emotion
        given = torch.as_tensor(weights, dtype=torch.float32)[None]
        heard, frames = torch.from_numpy(hidden[::2])[None], len(hidden) // 2
        if self.system.family == "faceformer":
            given = given if self.system.told else torch.ones(1, 1)
            return self.model.decode(heard, given, frames)[0].numpy()
        if self.system.family == "emotalk":
            return self.model.decode(speech_of(heard), None, frames)[0].numpy()
        return self.model.decode(heard, given)[0].numpy()

    @torch.no_grad()
    def recognise(self, hidden: np.ndarray) -> str:
        """Emotion that EmoTalk's own classifier hears in features (2T, C)."""
        heard = speech_of(torch.from_numpy(hidden[::2])[None]).emotion
        return EMOTIONS[int(self.model.classify(self.model.encode_emotion(heard, heard.shape[1])).argmax())]

    def predict(self, hidden: np.ndarray, clip: int, emotion: str | np.ndarray | None = None) -> np.ndarray:
        """Coefficients (T, K) on the face of a clip's speaker; the label is the clip's own unless another is given."""
        curves = self.curves(hidden, self.data.table.emotion[clip] if emotion is None else emotion)
        return coefficients(self.data, clip, curves)


def speech_of(hidden: Tensor) -> emotalk.Speech:
    """What EmoTalk's two branches hear in features (B, S, C + ACOUSTIC_WIDTH)."""
    return emotalk.Speech(hidden[..., :-ACOUSTIC_WIDTH], hidden[..., -ACOUSTIC_WIDTH:])


@lru_cache(maxsize=32)
def train(scale: str, seed: int, name: str, progress: bool = True) -> Trained:
    """The named system of a seed on the puppet corpus, trained or taken from the cache."""
    return fitted(rigged(scale, seed, (SYSTEMS | PAST)[name].features), name, SIZES[scale], progress)


@lru_cache(maxsize=64)
def train_real(scale: str, seed: int, name: str, left_out: str, progress: bool = True) -> Trained:
    """The named system on the real takes but one; the same network and steps, with a single label."""
    return fitted(facegood(scale, seed, left_out), name, SIZES[scale], progress, times=REAL_EPOCHS[scale])


def fitted(data: Draw, name: str, size: Size, progress: bool = True, times: int = 1) -> Trained:
    """A system trained on any draw of rig curves, `times` the epochs of its size over all training clips.

    As many steps for a system that learns from fewer clips.
    """
    system, batches = (SYSTEMS | PAST)[name], -(-len(data.rows("train")) // size.batch)
    size = replace(size, components=data.motion[0].shape[1], steps=times * size.epochs * batches)
    folder = run_folder("emoface", data.key, data.seed, system, size, LAYERS[data.scale], DROPOUT[data.scale],
                        code_digest(*CODE, *MODELS))
    build = {"emoface": _emoface, "faceformer": _faceformer, "emotalk": _emotalk}[system.family]
    return Trained(data, system, *build(data, system, size, folder / "model.pt", f"{name}, seed {data.seed}", progress))


def _emoface(data: Draw, system: System, size: Size, checkpoint: Path, label: str, progress: bool):
    seed_everything(data.seed, 1)
    model = emoface.EmoFace(config(data, system, size))
    answer = _own_past if system.decoder == "autoregressive" else _at_once

    def losses(batch: Batch) -> dict[str, Tensor]:
        return {"rig": vertex_mse(answer(model, batch), batch.motion)}

    return model, fit_cached(model, course(data, system, size), losses, {"rig": 1.0}, checkpoint, label, progress)


def _at_once(model: emoface.EmoFace, batch: Batch) -> Tensor:
    return model.decode(batch.hidden[:, ::2], batch.emotion)


def _own_past(model: emoface.EmoFace | faceformer.FaceFormer, batch: Batch) -> Tensor:
    """Frames fed what the decoder itself makes of the true past: one pass instead of a loop over frames.

    With the true past alone the decoder would meet its own errors only when tested.
    """
    told = batch.condition if isinstance(model, faceformer.FaceFormer) else batch.emotion
    with torch.no_grad():
        guessed = model.teacher_forced(batch.hidden[:, ::2], told, batch.motion)
    return model.teacher_forced(batch.hidden[:, ::2], told, guessed)


def _faceformer(data: Draw, system: System, size: Size, checkpoint: Path, label: str, progress: bool):
    seed_everything(data.seed, 1)
    taught = course(data, system, size)
    model = faceformer.FaceFormer(faceformer.Config(
        motion_width=data.motion[0].shape[1], width=size.width, period=round(data.fps), fps=data.fps,
        subjects=taught.condition_width, audio_per_frame=1, audio_width=data.audio_width, dropout=DROPOUT[data.scale]))

    def losses(batch: Batch) -> dict[str, Tensor]:
        return {"rig": vertex_mse(_own_past(model, batch), batch.motion)}

    return model, fit_cached(model, taught, losses, {"rig": 1.0}, checkpoint, label, progress)


def _emotalk(data: Draw, system: System, size: Size, checkpoint: Path, label: str, progress: bool):
    seed_everything(data.seed, 1)
    model, weights = emotalk.EmoTalk(emotalk_config(data, size)), emotalk.LossWeights()

    def losses(batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        recipient, donor, cross, own, emotion = batch
        speech = (speech_of(hidden[:, ::2]) for hidden in (recipient, donor))
        return emotalk.losses(model(*speech, None, (cross.shape[1], own.shape[1])), cross, own, emotion)

    return model, fit_cached(model, course(data, system, size), losses, vars(weights), checkpoint, label, progress)
