"""What the experiments of all papers share: how a system is trained on a draw, and the rivals that several papers have.

A `Course` says what one system learns from: clips, the speakers it knows by id, the label each clip carries, and
whether it is told the label. Its batches are windows of equal length. `train_faceformer` and `train_codetalker` train
the two rivals that see nothing but speech, speaker and (where told) label.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.experiments.draw import Draw
from lib.losses import motion_l1, vertex_mse
from lib.models import codetalker, faceformer
from lib.training import Recipe, fit, load, seed_everything

CODE = ("lib.training", "lib.losses", "lib.models.parts", "lib.experiments.systems")


@dataclass(frozen=True)
class Size:
    """Widths and schedule of a scale; all systems share `width`.

    With `steps` every system takes about as many steps, however many clips it learns from, and `epochs` does not count:
    otherwise an arm with half of the clips would also be trained half as long. `betas` are Adam's; `hold` is the share
    of a run before its rate falls, see `lib.training.HOLD` (0: it falls from the first, to zero).
    """

    components: int              # K of the motion basis
    width: int
    batch: int
    window: int                  # frames
    epochs: int
    learning_rate: float
    steps: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    hold: float = 0.0

    def recipe(self, clips: int) -> Recipe:
        """The schedule for a number of training clips.

        The rate falls smoothly or late: a style path that is still learning when it is halved away never finishes.
        """
        return recipe_of(self, clips, self.epochs)


def recipe_of(size, clips: int, epochs: int = 1) -> Recipe:
    """The schedule of a Size of any family (steps, batch, learning_rate, betas, hold) for a number of training clips;
    `epochs` where it has no steps."""
    batches = -(-clips // size.batch)
    epochs = max(round(size.steps / batches), 1) if size.steps else epochs
    return Recipe(epochs, size.learning_rate, anneal=not size.hold, hold=size.hold, batches=batches, clip_norm=1.0,
                  clip_parts=True, betas=size.betas)


@dataclass(frozen=True)
class Batch:
    """Windows of equal length: hidden (B, 2W, C), motion and reference (B, W, K), condition (B, S), emotion (B,).

    `tracks` holds further curves (B, W, ...) of the same windows by name.
    """

    hidden: Tensor
    motion: Tensor
    reference: Tensor
    condition: Tensor
    emotion: Tensor
    tracks: Mapping[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        own = (self.hidden, self.motion, self.reference, self.condition, self.emotion)
        return Batch(*(x.to(device) for x in own), {name: track.to(device) for name, track in self.tracks.items()})


@dataclass(frozen=True, eq=False)
class Course:
    """What one system learns from.

    clips, labels    rows of the draw's table and the index of the emotion each is labelled with
    speakers         actors known by id; emotions: the names the labels stand for
    told             whether the label is part of the condition
    reference        "crossed": style from the same label by another speaker and sentence; "own": from the window itself
    tracks           further per-frame curves (T, ...) by name, one array per row of the table
    """

    data: Draw
    size: Size
    speakers: tuple[int, ...]
    emotions: tuple[str, ...]
    clips: np.ndarray
    labels: np.ndarray
    told: bool = False
    reference: str = "crossed"
    tracks: Mapping[str, list[np.ndarray]] = field(default_factory=dict)

    @property
    def condition_width(self) -> int:
        """S, the width of a condition."""
        return len(self.speakers) + (len(self.emotions) if self.told else 0)

    def condition(self, speaker: int, emotion: int) -> np.ndarray:
        """One-hot speaker (S,); where the system is told the label, followed by the one-hot emotion."""
        one_hot = np.eye(len(self.speakers), dtype=np.float32)[self.speakers.index(speaker)]
        label = np.eye(len(self.emotions), dtype=np.float32)[emotion]
        return np.concatenate([one_hot, label]) if self.told else one_hot

    def id_for(self, clip: int) -> int:
        """Speaker id to condition on: the clip's own when it is known, else the ids in turn (3d:V16), one per clip."""
        actor = int(self.data.table.actor[clip])
        return actor if actor in self.speakers else self.speakers[clip % len(self.speakers)]

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch of shuffled windows; references are drawn anew for each (EavaNet, Sec. III.B: "intercross")."""
        order = rng.permutation(len(self.clips))
        conditions = np.stack([self.condition(self.data.table.actor[i], e)
                               for i, e in zip(self.clips, self.labels, strict=True)])
        partners = self.partners()
        for start in range(0, len(order), self.size.batch):
            rows = order[start : start + self.size.batch]
            cuts = [self._cut(self.clips[r], rng) for r in rows]
            references = [self._reference(partners[r], cut, rng) for r, cut in zip(rows, cuts, strict=True)]
            windows = [self._window(clip, start, stop) for clip, start, stop in cuts]
            yield Batch(_stack([w["hidden"] for w in windows]), _stack([w["motion"] for w in windows]),
                        _stack(references), torch.tensor(conditions[rows]), torch.tensor(self.labels[rows]),
                        {name: _stack([w[name] for w in windows]) for name in self.tracks})

    def _cut(self, clip: int, rng: np.random.Generator) -> tuple[int, int, int]:
        """Clip, first frame and end of a window."""
        frames = len(self.data.motion[clip])
        length = min(self.size.window, frames)
        start = int(rng.integers(0, frames - length + 1))
        return int(clip), start, start + length

    def _window(self, clip: int, start: int, stop: int) -> dict[str, np.ndarray]:
        return {"hidden": self.data.hidden[clip][2 * start : 2 * stop], "motion": self.data.motion[clip][start:stop],
                **{name: track[clip][start:stop] for name, track in self.tracks.items()}}

    def _reference(self, partners: np.ndarray | None, cut: tuple, rng: np.random.Generator) -> np.ndarray:
        clip, start, stop = cut if partners is None else self._cut(rng.choice(partners), rng)
        return self.data.motion[clip][start:stop]

    def partners(self) -> list[np.ndarray | None]:
        """For every clip those it may take its style from; None stands for the window itself.

        A clip without partner (smoke scale only, where a label may have one speaker) is its own reference.
        """
        if self.reference == "own":
            return [None] * len(self.clips)
        table = self.data.table.loc[self.clips]
        actor, sentence = table.actor.to_numpy(), table.sentence.to_numpy()
        crossed = [self.clips[(self.labels == label) & (actor != a) & (sentence != s)]
                   for label, a, s in zip(self.labels, actor, sentence, strict=True)]
        return [partners if len(partners) else None for partners in crossed]


def _stack(arrays: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def fit_cached(
    model: nn.Module, course: Course, losses: Callable[[Batch], dict[str, Tensor]], weights: Mapping[str, float],
    checkpoint: Path, label: str, progress: bool = True,
) -> list[dict[str, float]]:
    """Train a model on a course, or take it from a finished checkpoint; return its log."""
    recipe = course.size.recipe(len(course.clips))
    done = load(checkpoint, model) if checkpoint.exists() else []
    if len(done) >= recipe.epochs:
        return done
    return fit(model, course.batches, losses, recipe, seed=course.data.seed, checkpoint=checkpoint,
               weights=dict(weights), label=label, progress=progress)


def train_faceformer(
    course: Course, folder: Path, label: str, progress: bool = True
) -> tuple[faceformer.FaceFormer, list[dict[str, float]]]:
    """FaceFormer as released: autoregressive, without teacher forcing."""
    seed_everything(course.data.seed, 1)
    model = faceformer.FaceFormer(faceformer.Config(
        motion_width=course.size.components, width=course.size.width, subjects=course.condition_width,
        period=round(course.data.fps), audio_width=course.data.audio_width))

    def losses(batch: Batch) -> dict[str, Tensor]:
        return {"vertex": vertex_mse(model.decode(batch.hidden, batch.condition, batch.motion.shape[1]), batch.motion)}

    return model, fit_cached(model, course, losses, {"vertex": 1.0}, folder / "model.pt", label, progress)


def train_codetalker(
    course: Course, folder: Path, label: str, progress: bool = True
) -> tuple[codetalker.CodeTalker, list[dict[str, float]]]:
    """CodeTalker, both stages as released: stage 1 on motion alone, stage 2 teacher-forced with stage 1 frozen.

    Stage 1 takes twice as many steps, as published (200 and 100 epochs): what its code book cannot say, stage 2 never
    will.
    """
    width = course.size.width
    sizes = codetalker.VQConfig(motion_width=course.size.components, width=width, layers=2, heads=4, ffn=2 * width,
                                codes_per_frame=8, code_width=width // 8, codebook=64)
    seed_everything(course.data.seed, 1)
    motion = codetalker.MotionVQ(sizes)
    twice = replace(course.size, steps=2 * course.size.steps, epochs=2 * course.size.epochs)
    fit_cached(motion, replace(course, size=twice), lambda batch: _vq_losses(motion, batch),
               {"reconstruction": 1.0, "quantiser": 1.0}, folder / "stage1.pt", f"{label}, stage 1", progress)
    seed_everything(course.data.seed, 2)       # so that a run killed between the stages ends like one that was not
    model = codetalker.CodeTalker(codetalker.Config(
        stage1=sizes, width=width, subjects=course.condition_width, period=round(course.data.fps),
        audio_width=course.data.audio_width, layers=2))
    model.autoencoder.load_state_dict(motion.state_dict())

    def losses(batch: Batch) -> dict[str, Tensor]:
        features = model.teacher_forced_features(batch.hidden, batch.condition, batch.motion)
        return {"vertex": vertex_mse(model.motion_of(features), batch.motion),
                "feature": vertex_mse(features, model.true_features(batch.motion))}

    return model, fit_cached(model, course, losses, {"vertex": 1.0, "feature": 1.0}, folder / "stage2.pt", label,
                             progress)


def _vq_losses(model: codetalker.MotionVQ, batch: Batch) -> dict[str, Tensor]:
    motion, features, quantised = model(batch.motion)
    return {"reconstruction": motion_l1(motion, batch.motion),
            "quantiser": codetalker.quantiser_loss(features, quantised.values)}
