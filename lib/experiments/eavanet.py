"""EavaNet against FaceFormer and CodeTalker (paper 004): which systems are trained, on what, and what they predict.

Every system of `SYSTEMS` is trained on the draw of a seed (lib/experiments/draw.py) with the same batches, the same
number of clips seen and one tried setting, not selected on validation clips. Departures from the papers at every scale:
features of a frozen speech encoder, motion as coefficients of a basis (lib/face/basis.py), windows of two seconds
instead of whole clips, one layer width for all systems. At laptop scale also narrow layers, batches of 16 and a
learning rate to match; one width for all shrinks CodeTalker most (published 1024), FaceFormer least (128). The `paper`
scale has EavaNet's published widths and schedule on the laptop corpus; it is not a run at the rivals' published sizes,
and its batch of one leaves the contrastive arm without pairs. Published sizes are built, checked and timed elsewhere
(lib/models, lib/parity, lib/bench).

Names: `eavanet/x` is another training, `eavanet~x` the same weights used otherwise, `control/x` a trivial rival.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.experiments.draw import FPS, Draw, corpus, draw, foundation, frames_of, template, to_video_rate
from lib.losses import motion_l1, style_cross_entropy, supervised_contrastive, vertex_mse, vertex_norm
from lib.models import codetalker, eavanet, faceformer
from lib.study import code_digest, run_folder
from lib.training import Recipe, fit, load, seed_everything

EMOTIONS = ("neutral", "happy", "sad", "angry")
SPEAKERS = 5                     # of the training speakers, the most expressive are kept (Sec. III.A)
LABEL_NOISE = 0.3                # share of wrong labels in the arm "noisy-labels"
CODE = ("lib.training", "lib.losses", "lib.models.parts", "lib.experiments.eavanet")


@dataclass(frozen=True)
class Size:
    """Widths and schedule of a scale; all systems share `width`."""

    components: int              # K of the motion basis
    width: int
    batch: int
    window: int                  # frames
    epochs: int
    learning_rate: float


SIZES = {
    "smoke": Size(components=24, width=16, batch=4, window=24, epochs=3, learning_rate=2e-3),
    "laptop": Size(components=64, width=64, batch=16, window=50, epochs=80, learning_rate=1.5e-3),
    "paper": Size(components=256, width=256, batch=1, window=50, epochs=200, learning_rate=1e-4),
}


@dataclass(frozen=True)
class System:
    """One training: its family and what differs from the family's default.

    `speakers`: "selected" (the most expressive), "all", or "all-equal" (all, but as few clips as "selected" has).
    `reference`: "crossed" (another speaker and sentence of the same emotion) or "own" (the target clip itself).
    `labels`: "true", "noisy" or "none" (FaceFormer and CodeTalker know no emotion unless "true").
    """

    family: str = "eavanet"
    speakers: str = "selected"
    reference: str = "crossed"
    labels: str = "true"
    intensities: str = "graded"          # "full": clips of full intensity only
    vertex_loss: str = "mse"             # "norm": Eq. 6 as printed
    ce_weight: float = 0.001             # lambda_CE of Eq. 7
    contrastive_weight: float = 0.0
    decoder: str = "full"                # "no-gau", "no-blstm", "autoregressive"
    style: bool = True


SYSTEMS = {
    "eavanet": System(),
    "faceformer": System("faceformer", labels="none"),
    "faceformer/label": System("faceformer"),
    "codetalker": System("codetalker", labels="none"),
    "codetalker/label": System("codetalker"),
    "eavanet/no-style": System(style=False, labels="none"),
    "eavanet/no-ce": System(ce_weight=0.0),
    "eavanet/contrastive": System(ce_weight=0.0, contrastive_weight=0.001),
    "eavanet/no-intercross": System(reference="own"),
    "eavanet/no-gau": System(decoder="no-gau"),
    "eavanet/no-blstm": System(decoder="no-blstm"),
    "eavanet/all-speakers": System(speakers="all"),
    "eavanet/all-speakers-equal": System(speakers="all-equal"),
    "eavanet/noisy-labels": System(labels="noisy"),
    "eavanet/full-intensity": System(intensities="full"),
}
SWEEP = {f"eavanet/ce={weight:g},{loss}": System(ce_weight=weight, vertex_loss=loss)
         for loss in ("mse", "norm") for weight in (0.0001, 0.001, 0.01, 0.1) if (loss, weight) != ("mse", 0.001)}


@lru_cache(maxsize=8)
def material(scale: str, seed: int) -> Draw:
    """The draw of a seed for the four emotions of the paper."""
    return draw(scale, seed, EMOTIONS, SIZES[scale].components)


def training_speakers(data: Draw, system: System) -> tuple[int, ...]:
    """Speakers that a system knows by id, most expressive first (Algorithm 1 keeps those rated above 3 of 5)."""
    from lib.puppet.actors import actor

    ranked = sorted(data.rows("train").actor.unique(), key=lambda number: -actor(int(number)).expressivity)
    return tuple(int(a) for a in (ranked[:SPEAKERS] if system.speakers == "selected" else ranked))


def training_clips(data: Draw, system: System) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the table a system trains on, and the emotion index each is labelled with."""
    rows = data.rows("train")
    chosen = rows[rows.actor.isin(training_speakers(data, system))]
    if system.intensities == "full":
        chosen = chosen[chosen.intensity == 1.0]
    rng = np.random.default_rng([data.seed, 7])
    if system.speakers == "all-equal":
        share = len(training_speakers(data, SYSTEMS["eavanet"])) / len(training_speakers(data, system))
        chosen = chosen.iloc[np.sort(rng.permutation(len(chosen))[: round(share * len(chosen))])]
    labels = chosen.emotion.map(EMOTIONS.index).to_numpy()
    if system.labels == "noisy":
        wrong = rng.random(len(labels)) < LABEL_NOISE
        labels = np.where(wrong, (labels + rng.integers(1, len(EMOTIONS), len(labels))) % len(EMOTIONS), labels)
    return chosen.index.to_numpy(), labels


@dataclass(frozen=True)
class Batch:
    """Windows of equal length: hidden (B, 2W, C), motion and reference (B, W, K), condition (B, S), emotion (B,)."""

    hidden: Tensor
    motion: Tensor
    reference: Tensor
    condition: Tensor
    emotion: Tensor


def batches(data: Draw, system: System, size: Size) -> Callable[[np.random.Generator], Iterator[Batch]]:
    """One epoch of shuffled windows; references are drawn anew for every window (Sec. III.B, "intercross")."""
    clips, labels = training_clips(data, system)
    partners = _partners(data, clips, labels, system.reference)
    conditions = np.stack([condition(data, system, data.table.actor[i], e) for i, e in zip(clips, labels, strict=True)])

    def epoch(rng: np.random.Generator) -> Iterator[Batch]:
        order = rng.permutation(len(clips))
        for start in range(0, len(order), size.batch):
            rows = order[start : start + size.batch]
            windows = [_window(data, clips[r], size.window, rng) for r in rows]
            references = [_window(data, rng.choice(partners[r]), size.window, rng)[1] for r in rows]
            yield Batch(_stack([w[0] for w in windows]), _stack([w[1] for w in windows]), _stack(references),
                        torch.tensor(conditions[rows]), torch.tensor(labels[rows]))

    return epoch


def _stack(arrays: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _window(data: Draw, clip: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    motion, hidden = data.motion[clip], data.hidden[clip]
    length = min(length, len(motion))
    start = rng.integers(0, len(motion) - length + 1)
    return hidden[2 * start : 2 * (start + length)], motion[start : start + length]


def _partners(data: Draw, clips: np.ndarray, labels: np.ndarray, reference: str) -> list[np.ndarray]:
    """For every clip those it may take its style from: itself, or the same label by another speaker and sentence.

    A clip without such a partner (smoke scale only, where a label may have one speaker) is its own reference.
    """
    own = [np.array([clip]) for clip in clips]
    if reference == "own":
        return own
    table = data.table.loc[clips]
    actor, sentence = table.actor.to_numpy(), table.sentence.to_numpy()
    crossed = [clips[(labels == label) & (actor != a) & (sentence != s)]
               for label, a, s in zip(labels, actor, sentence, strict=True)]
    return [partners if len(partners) else alone for partners, alone in zip(crossed, own, strict=True)]


def condition(data: Draw, system: System, speaker: int, emotion: int) -> np.ndarray:
    """One-hot speaker; for a rival that is given the label, followed by the one-hot emotion."""
    speakers = training_speakers(data, system)
    one_hot = np.eye(len(speakers), dtype=np.float32)[speakers.index(speaker)]
    if system.family == "eavanet" or system.labels == "none":
        return one_hot
    return np.concatenate([one_hot, np.eye(len(EMOTIONS), dtype=np.float32)[emotion]])


def config(data: Draw, system: System, size: Size) -> eavanet.Config:
    """EavaNet's sizes for a scale and an ablation."""
    full = eavanet.Config(
        motion_width=size.components, audio_width=data.audio_width, width=size.width, gate_width=2 * size.width,
        lstm_width=size.width, speakers=len(training_speakers(data, system)), style=system.style,
        decoder="autoregressive" if system.decoder == "autoregressive" else "parallel",
    )
    reduce = {"no-gau": eavanet.without_gates, "no-blstm": eavanet.without_lstm}.get(system.decoder, lambda c: c)
    return reduce(full)


class Trained:
    """A trained system of one seed: predicts coefficients of motion from speech features."""

    def __init__(self, data: Draw, system: System, model: nn.Module, log: list[dict[str, float]]):
        self.data, self.system, self.model, self.log = data, system, model, log
        self.speakers = training_speakers(data, system)

    @torch.no_grad()
    def predict(self, hidden: np.ndarray, speaker: int, emotion: str, alpha: float = 1.0) -> np.ndarray:
        """Coefficients (T, K) from features (2T, C), the id of a training speaker, and emotion and intensity (Eq. 8).

        Systems without label ignore the emotion; those with a label but no style embedding know no intensity.
        """
        e = EMOTIONS.index(emotion)
        given = torch.from_numpy(condition(self.data, self.system, speaker, e))[None]
        features, frames = torch.from_numpy(hidden)[None], len(hidden) // 2
        if self.system.family == "eavanet":
            style = self.model.blend(e, alpha)[None] if self.system.style else None
            return self.model.decode(features, given, style, frames)[0].numpy()
        return self.model.decode(features, given, frames)[0].numpy()

    @torch.no_grad()
    def style(self, clip: int) -> tuple[np.ndarray, np.ndarray]:
        """Style embedding (d,) and token weights (heads, tokens) of one clip's own motion."""
        style, _, weights = self.model.style_encoder(torch.from_numpy(self.data.motion[clip])[None])
        return style[0].numpy(), weights[0].numpy()

    def id_for(self, clip: int) -> int:
        """Speaker id to condition on: the clip's own when it is known, else the ids in turn (3d:V16), one per clip."""
        actor = int(self.data.table.actor[clip])
        return actor if actor in self.speakers else self.speakers[clip % len(self.speakers)]


@lru_cache(maxsize=64)
def train(scale: str, seed: int, name: str, progress: bool = True) -> Trained:
    """The named system of a seed, trained or taken from the cache."""
    system, size, data = (SYSTEMS | SWEEP)[name], SIZES[scale], material(scale, seed)
    build = {"eavanet": _eavanet, "faceformer": _faceformer, "codetalker": _codetalker}[system.family]
    return build(data, system, size, f"{name}, seed {seed}", progress)


def _folder(data: Draw, system: System, size: Size, model_file: str):
    return run_folder("eavanet", data.key, system, size, code_digest(*CODE, model_file))


def _recipe(size: Size) -> Recipe:
    return Recipe(size.epochs, size.learning_rate, halve_every=max(1, size.epochs // 5), clip_norm=1.0)


def _fit(model: nn.Module, data, system, size, losses, weights, checkpoint, label, progress) -> list[dict[str, float]]:
    done = load(checkpoint, model) if checkpoint.exists() else []
    if len(done) >= size.epochs:
        return done
    return fit(model, batches(data, system, size), losses, _recipe(size), seed=data.seed, checkpoint=checkpoint,
               weights=weights, label=label, progress=progress)


def _eavanet(data: Draw, system: System, size: Size, label: str, progress: bool) -> Trained:
    seed_everything(data.seed, 1)
    model = eavanet.EavaNet(config(data, system, size))
    vertex = {"mse": vertex_mse, "norm": vertex_norm}[system.vertex_loss]

    def losses(batch: Batch) -> dict[str, Tensor]:
        p = model(batch.hidden, batch.condition, batch.reference, batch.motion.shape[1])
        named = {"vertex": vertex(p.motion, batch.motion)}
        if p.style is not None:
            named["ce"] = style_cross_entropy(p.logits, batch.emotion)
            named["contrastive"] = supervised_contrastive(p.style, batch.emotion)
        return named

    weights = {"vertex": 1.0, "ce": system.ce_weight, "contrastive": system.contrastive_weight}
    log = _fit(model, data, system, size, losses, weights,
               _folder(data, system, size, "lib.models.eavanet") / "model.pt", label, progress)
    trained = Trained(data, system, model, log)
    if system.style:
        clips, labels = training_clips(data, system)
        styles = torch.from_numpy(np.stack([trained.style(clip)[0] for clip in clips]))
        model.store_centroids(styles, torch.tensor(labels))
    return trained


def _faceformer(data: Draw, system: System, size: Size, label: str, progress: bool) -> Trained:
    """Trained as released: autoregressive, without teacher forcing; the label, if given, is part of the style."""
    seed_everything(data.seed, 1)
    model = faceformer.FaceFormer(faceformer.Config(
        motion_width=size.components, width=size.width, subjects=_condition_width(data, system),
        audio_width=data.audio_width))

    def losses(batch: Batch) -> dict[str, Tensor]:
        return {"vertex": vertex_mse(model.decode(batch.hidden, batch.condition, batch.motion.shape[1]), batch.motion)}

    folder = _folder(data, system, size, "lib.models.faceformer")
    log = _fit(model, data, system, size, losses, {"vertex": 1.0}, folder / "model.pt", label, progress)
    return Trained(data, system, model, log)


def _codetalker(data: Draw, system: System, size: Size, label: str, progress: bool) -> Trained:
    """Both stages as released: stage 1 on motion alone, stage 2 teacher-forced with stage 1 frozen."""
    folder = _folder(data, system, size, "lib.models.codetalker")
    seed_everything(data.seed, 1)
    sizes = codetalker.VQConfig(motion_width=size.components, width=size.width, layers=2, heads=4, ffn=2 * size.width,
                                codes_per_frame=8, code_width=size.width // 8, codebook=64)
    motion = codetalker.MotionVQ(sizes)
    _fit(motion, data, system, size, lambda batch: _vq_losses(motion, batch), {"reconstruction": 1.0, "quantiser": 1.0},
         folder / "stage1.pt", f"{label}, stage 1", progress)
    model = codetalker.CodeTalker(codetalker.Config(
        stage1=sizes, width=size.width, subjects=_condition_width(data, system), audio_width=data.audio_width,
        layers=3))
    model.autoencoder.load_state_dict(motion.state_dict())

    def losses(batch: Batch) -> dict[str, Tensor]:
        features = model.teacher_forced_features(batch.hidden, batch.condition, batch.motion)
        return {"vertex": vertex_mse(model.motion_of(features), batch.motion),
                "feature": vertex_mse(features, model.true_features(batch.motion))}

    weights = {"vertex": 1.0, "feature": 1.0}
    log = _fit(model, data, system, size, losses, weights, folder / "stage2.pt", label, progress)
    return Trained(data, system, model, log)


def _vq_losses(model: codetalker.MotionVQ, batch: Batch) -> dict[str, Tensor]:
    motion, features, quantised = model(batch.motion)
    return {"reconstruction": motion_l1(motion, batch.motion),
            "quantiser": codetalker.quantiser_loss(features, quantised.values)}


def _condition_width(data: Draw, system: System) -> int:
    return len(training_speakers(data, system)) + (0 if system.labels == "none" else len(EMOTIONS))


class EavaNetAnimator:
    """The trained EavaNet of a seed as the player wants it: sound in, vertices of the puppet out."""

    emotions = EMOTIONS
    fps = FPS

    def __init__(self, scale: str, seed: int, name: str = "eavanet"):
        self.trained = train(scale, seed, name)
        self.data = self.trained.data
        self.topology = self.data.topology
        self.ids = {f"actor {number}": number for number in self.trained.speakers}
        self.speakers = tuple(self.ids)

    @property
    def clips(self) -> list[tuple[str, np.ndarray]]:
        """Name and sound (N,) of one unseen clip of every emotion."""
        rows = self.data.rows("unseen").drop_duplicates("emotion")
        return [(row.clip, corpus(self.data.scale)[row.position].audio) for row in rows.itertuples(index=False)]

    def features(self, audio: np.ndarray) -> np.ndarray:
        """Speech features (2T, C) of a waveform (N,) at 16 kHz; the slow part, so the last ones are kept."""
        return _features(self.data.scale, np.asarray(audio, np.float32).tobytes())

    def animate(self, audio: np.ndarray, emotion: str, alpha: float, speaker: str | None = None) -> np.ndarray:
        """Vertices (T, V, 3) in millimetres at 25 fps; `speaker` is one of `speakers`, by default the first.

        Raises InputError for an unknown emotion or speaker.
        """
        if speaker not in (None, *self.speakers) or emotion not in EMOTIONS:
            raise InputError(f"speaker {speaker!r} or emotion {emotion!r} is unknown; speakers are "
                             f"{', '.join(self.speakers)}, emotions {', '.join(EMOTIONS)}")
        chosen = self.ids[speaker or self.speakers[0]]
        motion = self.trained.predict(self.features(audio), chosen, emotion, alpha)
        return self.data.basis.decode(motion) + template(chosen)


@lru_cache(maxsize=32)
def _features(scale: str, audio: bytes) -> np.ndarray:
    waveform = np.frombuffer(audio, np.float32)
    return to_video_rate(foundation(scale).features(waveform), frames_of(waveform))


def animator(scale: str, seed: int) -> EavaNetAnimator:
    """EavaNet ready for the playground; trains it first when it is not in the cache."""
    return EavaNetAnimator(scale, seed)
