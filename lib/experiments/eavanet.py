"""EavaNet against FaceFormer and CodeTalker (paper 004): which systems are trained, on what, and what they predict.

Every system of `SYSTEMS` is trained on the draw of a seed (lib/experiments/draw.py) with the same batches, the same
number of steps and one tried setting, not selected on validation clips. Departures from the papers at every scale:
features of a frozen speech encoder, motion as coefficients of a basis (lib/face/basis.py), windows of at most two
seconds instead of whole clips, one layer width for all systems. At laptop scale also narrow layers, batches of 8 and a
learning rate to match; one width for all shrinks CodeTalker most (published 1024), FaceFormer least (128). The `paper`
scale has EavaNet's published widths and schedule on the laptop corpus; it is not a run at the rivals' published sizes,
and its batch of one leaves the contrastive arm without pairs. Published sizes are built, checked and timed elsewhere
(lib/models, lib/parity, lib/bench).

Names: `eavanet/x` is another training, `eavanet~x` the same weights used otherwise, `control/x` a trivial rival.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from lib.experiments import systems
from lib.experiments.draw import Draw, draw
from lib.experiments.systems import Batch, Course, Size, fit_cached, train_codetalker, train_faceformer
from lib.losses import style_cross_entropy, supervised_contrastive, vertex_mse, vertex_norm
from lib.models import eavanet
from lib.study import code_digest, run_folder
from lib.training import HOLD, SHORT_MEMORY, seed_everything

EMOTIONS = ("neutral", "happy", "sad", "angry")
SPEAKERS = 5                     # of the training speakers, the most expressive are kept (Sec. III.A)
LABEL_NOISE = 0.3                # share of wrong labels in the arm "noisy-labels"
CODE = (*systems.CODE, "lib.experiments.eavanet")


SIZES = {
    "smoke": Size(components=24, width=16, batch=4, window=24, epochs=3, learning_rate=2e-3),
    "laptop": Size(components=64, width=48, batch=8, window=40, epochs=30, learning_rate=4e-3, steps=180,
                   betas=SHORT_MEMORY, hold=HOLD),
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
    ce_weight: float = 0.001             # lambda_CE of Eq. 7, for vertices in the unit of `loss_unit`
    contrastive_weight: float = 0.0      # likewise
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
         for loss in ("mse", "norm") for weight in (0.0, 1e-6, 0.001) if loss == "norm" or weight == 1e-6}


@lru_cache(maxsize=8)
def material(scale: str, seed: int) -> Draw:
    """The draw of a seed for the four emotions of the paper."""
    return draw(scale, seed, EMOTIONS, SIZES[scale].components)


def training_speakers(data: Draw, system: System) -> tuple[int, ...]:
    """Speakers that a system knows by id, most expressive first (Algorithm 1 keeps those rated above 3 of 5)."""
    from lib.puppet.actors import actor

    ranked = sorted(data.rows("train").actor.unique(), key=lambda number: -actor(int(number)).expressivity)
    return tuple(int(a) for a in (ranked[:SPEAKERS] if system.speakers == "selected" else ranked))


def loss_unit(data: Draw, vertex_loss: str) -> float:
    """What a vertex loss of 1 on coefficients is in the paper's unit, in which lambda_CE = 0.001 is printed.

    That unit is the square root of the face's area (BIWI as CodeTalker released it); errors are means over coordinates
    ("mse") or norms of all of them ("norm"). A weight means nothing without its unit: on coefficients of order one,
    0.001 is tens of thousands of times weaker than on the paper's vertices.
    """
    per_unit = data.basis.scale / data.topology.mm_per_unit
    components, coordinates = data.basis.directions.shape
    return {"mse": per_unit**2 * components / coordinates, "norm": per_unit}[vertex_loss]


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


def course(data: Draw, system: System, size: Size) -> Course:
    """What a system learns from; EavaNet gets the label through its style, a rival through its condition if at all."""
    clips, labels = training_clips(data, system)
    told = system.family != "eavanet" and system.labels != "none"
    return Course(data, size, training_speakers(data, system), EMOTIONS, clips, labels, told, system.reference)


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
        self.course = course(data, system, SIZES[data.scale])
        self.speakers = self.course.speakers

    @torch.no_grad()
    def predict(self, hidden: np.ndarray, speaker: int, emotion: str, alpha: float = 1.0) -> np.ndarray:
        """Coefficients (T, K) from features (2T, C), the id of a training speaker, and emotion and intensity (Eq. 8).

        Systems without label ignore the emotion; those with a label but no style embedding know no intensity.
        """
        e = EMOTIONS.index(emotion)
        given = torch.from_numpy(self.course.condition(speaker, e))[None]
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
        """Speaker id to condition on for a clip, see Course.id_for."""
        return self.course.id_for(clip)


@lru_cache(maxsize=64)
def train(scale: str, seed: int, name: str, progress: bool = True) -> Trained:
    """The named system of a seed, trained or taken from the cache."""
    system, size, data = (SYSTEMS | SWEEP)[name], SIZES[scale], material(scale, seed)
    label = f"{name}, seed {seed}"
    if system.family == "eavanet":
        return _eavanet(data, system, size, label, progress)
    build = {"faceformer": train_faceformer, "codetalker": train_codetalker}[system.family]
    folder = _folder(data, system, size, f"lib.models.{system.family}")
    return Trained(data, system, *build(course(data, system, size), folder, label, progress))


def _folder(data: Draw, system: System, size: Size, model_file: str):
    return run_folder("eavanet", data.key, system, size, code_digest(*CODE, model_file))


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

    unit = loss_unit(data, system.vertex_loss)
    weights = {"vertex": 1.0, "ce": system.ce_weight / unit, "contrastive": system.contrastive_weight / unit}
    log = fit_cached(model, course(data, system, size), losses, weights,
                     _folder(data, system, size, "lib.models.eavanet") / "model.pt", label, progress)
    trained = Trained(data, system, model, log)
    if system.style:
        clips, labels = training_clips(data, system)
        styles = torch.from_numpy(np.stack([trained.style(clip)[0] for clip in clips]))
        model.store_centroids(styles, torch.tensor(labels))
    return trained
