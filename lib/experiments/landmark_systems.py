"""What the landmark papers share: how a system is trained on tracks, and the rival that both compare with, MakeItTalk.

A `Course` says what one system learns from: clips, sound features, target landmarks. Its batches are windows of equal
length, with further windows of the same or other clips beside them where a loss compares clips. Training itself is
`lib.experiments.systems.fit_cached`, which takes any course.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.experiments.systems import fit_cached, recipe_of
from lib.landmark_losses import landmark_l1, laplacian_l1, lip_weighted_l1
from lib.models import makeittalk
from lib.study import code_digest, run_folder
from lib.training import SHORT_MEMORY, Recipe, seed_everything

if TYPE_CHECKING:
    from lib.experiments.tracks import Tracks

CODE = ("lib.training", "lib.landmark_losses", "lib.experiments.systems", "lib.experiments.landmark_systems")
VIEWS = ("same", "other", "stranger")


@dataclass(frozen=True)
class Size:
    """Width and schedule of a scale: `steps` batches of `batch` windows of `window` frames; `betas` are Adam's, `hold`
    is the share of a run before its rate falls (0: it falls from the first, along half a cosine to zero)."""

    width: int
    batch: int
    window: int                  # frames
    steps: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    hold: float = 0.0

    def recipe(self, clips: int) -> Recipe:
        """The schedule for a number of training clips."""
        return recipe_of(self, clips)


@dataclass(frozen=True)
class Windows:
    """Windows of W frames of B clips.

    mel          (B, W, C)       sound feature
    landmarks    (B, W, 68, 2)   target
    template     (B, 68, 2)      neutral landmarks of the speaker, pixels
    speaker      (B, D)          voice embedding
    emotion      (B,)            index into the course's emotions
    clips        (B,)            rows of the table
    curves, fixed                further curves (B, W, ...) and vectors (B, ...) by name
    views                        further windows for the same rows, by name of the view
    """

    mel: Tensor
    landmarks: Tensor
    template: Tensor
    speaker: Tensor
    emotion: Tensor
    clips: Tensor
    curves: Mapping[str, Tensor] = field(default_factory=dict)
    fixed: Mapping[str, Tensor] = field(default_factory=dict)
    views: Mapping[str, "Windows"] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> "Windows":
        """The same windows on another device."""
        own = (self.mel, self.landmarks, self.template, self.speaker, self.emotion, self.clips)
        named = ({name: x.to(device) for name, x in group.items()} for group in (self.curves, self.fixed, self.views))
        return Windows(*(x.to(device) for x in own), *named)


@dataclass(frozen=True, eq=False)
class Course:
    """What one system learns from.

    clips            rows of the table of `data`; emotions: the names that the labels in a batch stand for
    feature, target  per row of the table (T, C) and (T, 68, 2); converted mel and registered landmarks where left out
    curves, fixed    further curves (T, ...) per row, and one vector (...) per row, by name
    views            further windows of every batch: "same" (another window of the clip), "other" (another clip of the
                     actor), "stranger" (a clip of another actor); a clip that has no partner is its own
    """

    data: "Tracks"
    size: Size
    emotions: tuple[str, ...]
    clips: np.ndarray
    feature: list[np.ndarray] | None = None
    target: list[np.ndarray] | None = None
    curves: Mapping[str, list[np.ndarray]] = field(default_factory=dict)
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)
    views: tuple[str, ...] = ()

    def __post_init__(self):
        unknown = set(self.views) - set(VIEWS)
        if unknown or not len(self.clips):
            raise InputError(f"course of {len(self.clips)} clips with views {self.views}: expected at least one clip, "
                             f"and views among {', '.join(VIEWS)}")
        shortest = min(len(self.data.landmarks[i]) for i in self.clips)
        if shortest < self.size.window:
            raise InputError(f"the shortest clip has {shortest} frames, windows have {self.size.window}; shorten them")

    def batches(self, rng: np.random.Generator) -> Iterator[Windows]:
        """One epoch: a window of every clip, in random order."""
        order = rng.permutation(self.clips)
        for start in range(0, len(order), self.size.batch):
            rows = order[start : start + self.size.batch]
            beside = {view: self.cut([self._partner(view, row, rng) for row in rows], rng) for view in self.views}
            yield self.cut(rows, rng, beside)

    def cut(self, rows, rng: np.random.Generator, views: Mapping[str, Windows] | None = None) -> Windows:
        """A random window of each of the named rows of the table."""
        data, length = self.data, self.size.window
        starts = [int(rng.integers(0, len(data.landmarks[i]) - length + 1)) for i in rows]

        def stacked(per_clip: list[np.ndarray]) -> Tensor:
            return torch.from_numpy(np.stack([per_clip[i][s : s + length] for i, s in zip(rows, starts, strict=True)]))

        rows = np.asarray(rows)
        return Windows(
            stacked(data.converted if self.feature is None else self.feature),
            stacked(data.landmarks if self.target is None else self.target),
            torch.from_numpy(np.stack([data.template(i) for i in rows])).float(),
            torch.from_numpy(data.speaker[rows]).float(),
            torch.tensor([self.emotions.index(e) for e in data.table.emotion.to_numpy()[rows]]), torch.from_numpy(rows),
            {name: stacked(curve) for name, curve in self.curves.items()},
            {name: torch.from_numpy(np.asarray(vectors)[rows]) for name, vectors in self.fixed.items()}, views or {},
        )  # fmt: skip

    def _partner(self, view: str, row: int, rng: np.random.Generator) -> int:
        if view == "same":
            return int(row)
        actor = self.data.table.actor.to_numpy()
        own = actor[self.clips] == actor[row]
        partners = self.clips[own & (self.clips != row) if view == "other" else ~own]
        return int(rng.choice(partners)) if len(partners) else int(row)


def course_of(data: "Tracks", size: Size, emotions: tuple[str, ...], part: str = "train", **options) -> Course:
    """A course on all clips of a part with one of the emotions; options are fields of `Course`."""
    rows = data.rows(part)
    return Course(data, size, emotions, rows.index[rows.emotion.isin(emotions)].to_numpy(), **options)


def frozen_call(module: nn.Module, *inputs: Tensor) -> Tensor:
    """What a network returns, with gradients to its inputs but not to its weights.

    So the loss of a generator does not train its discriminator, and both can stand under one optimiser.
    """
    state = {name: value.detach() for name, value in (*module.named_parameters(), *module.named_buffers())}
    return torch.func.functional_call(module, state, inputs)


# MakeItTalk -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MakeItTalkSize:
    """How MakeItTalk is built and trained: its content branch first, then the speaker branch beside the frozen content.

    model      sizes of both branches but for the voice embedding, which is that of the tracks
    reference  the face that displacements are relative to while training: "closed" (the frame of the clip with the
               most closed mouth, as released) or "template" (the speaker's neutral face, where inference starts from)
    realism    mu_s, weight of the discriminator (paper: 0.001; the released recipe is lost); 0: none is trained
    """

    model: makeittalk.Config
    content: Size
    speaker: Size
    reference: str = "closed"
    realism: float = 0.001


ROWS = 7                         # mel rows at 25 per second that last as long as 18 at 62.5
_SMOKE = Size(width=16, batch=4, window=40, steps=8, learning_rate=2e-3)
_PAPER = Size(width=256, batch=4, window=50, steps=40000, learning_rate=1e-4)
MAKEITTALK_SIZES = {
    "smoke": MakeItTalkSize(makeittalk.reduced(16, ROWS), _SMOKE, _SMOKE),
    # slower than this, the content branch stays at the mean mouth; at 2e-2 it does too
    "laptop": MakeItTalkSize(
        makeittalk.reduced(48, ROWS, dropout=0.0),
        Size(width=48, batch=8, window=32, steps=300, learning_rate=7e-3, betas=SHORT_MEMORY),
        Size(width=48, batch=8, window=32, steps=80, learning_rate=6e-3),
    ),
    "paper": MakeItTalkSize(makeittalk.Config(window=ROWS, axes=2, seen=9), _PAPER, _PAPER),
}  # fmt: skip


class Manner(nn.Module):
    """Speaker branch and the discriminator that judges it."""

    def __init__(self, config: makeittalk.Config):
        super().__init__()
        self.branch, self.discriminator = makeittalk.SpeakerBranch(config), makeittalk.Discriminator(config)


@dataclass(frozen=True, eq=False)
class MakeItTalkTrained:
    """Both trained branches and their logs."""

    content: makeittalk.ContentBranch
    speaker: makeittalk.SpeakerBranch
    logs: Mapping[str, list[dict[str, float]]]
    fps: int

    def predict(self, mel: np.ndarray, template: np.ndarray, speaker: np.ndarray, finished: bool = False) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels for converted mel (T, 80), neutral face (68, 2) and voice embedding (D,).

        `finished`: after all the hand-tuned steps of the released inference (lips x 2, manner x 0.5, smoothing, edits
        of the portrait); otherwise the plain sum of the face and both displacements.
        """
        how = makeittalk.Assembly().at(self.fps) if finished else makeittalk.RAW
        return makeittalk.animate(self.content, self.speaker, mel, template, speaker, how)

    def predict_content(self, mel: np.ndarray, template: np.ndarray) -> np.ndarray:
        """The same, of the content branch alone and without any step after it."""
        return makeittalk.animate(self.content, None, mel, template, np.zeros(1), makeittalk.RAW)


def train_makeittalk(
    data: "Tracks", size: MakeItTalkSize, folder: Path | None = None, *, label: str = "makeittalk",
    progress: bool = True, **options,
) -> MakeItTalkTrained:
    """MakeItTalk trained on the training clips of a seed, or taken from the cache, which all papers share.

    `options` are fields of `Course`: other clips, another feature.
    """
    folder = folder or run_folder("makeittalk", data.key, size, code_digest(*CODE, "lib.models.makeittalk"))
    config = replace(size.model, embedding=data.speaker.shape[1])
    given = _course(data, size, size.content, **options)
    seed_everything(data.seed, 1)
    content = makeittalk.ContentBranch(config)
    log = fit_cached(content, given, lambda batch: _content_losses(content, batch), {"landmark": 1.0, "shape": 1.0},
                     folder / "content.pt", f"{label}, content", progress)
    seed_everything(data.seed, 2)          # so that a run killed between the branches ends like one that was not
    manner = Manner(config)
    weights = {"landmark": 1.0, "shape": 1.0, "realism": size.realism, "discriminator": float(size.realism > 0)}
    given = _course(data, size, size.speaker, **options)
    later = fit_cached(manner, given, lambda batch: _manner_losses(content, manner, batch, size.realism), weights,
                       folder / "speaker.pt", f"{label}, speaker", progress)
    return MakeItTalkTrained(content.cpu(), manner.branch, {"content": log, "speaker": later}, data.fps)


def _course(data: "Tracks", size: MakeItTalkSize, schedule: Size, **options) -> Course:
    """Targets are normalised faces; the face that displacements are relative to goes with each clip."""
    if size.reference not in ("closed", "template"):
        raise InputError(f"reference {size.reference!r} is neither closed nor template")
    frames = [makeittalk.NormalisedFace.of(data.template(i)) for i in range(len(data.landmarks))]
    target = [frame(track).astype(np.float32) for frame, track in zip(frames, data.landmarks, strict=True)]
    if size.reference == "closed":
        faces = [track[makeittalk.most_closed(track)] for track in target]
    else:
        faces = [frame(data.template(i)) for i, frame in enumerate(frames)]
    fixed = {"face": np.stack(faces).reshape(len(faces), -1).astype(np.float32)}
    return course_of(data, schedule, tuple(sorted(data.table.emotion.unique())), target=target, fixed=fixed, **options)


def _content_losses(content: makeittalk.ContentBranch, batch: Windows) -> dict[str, Tensor]:
    face = batch.fixed["face"]
    shown = (face[:, None] + content(batch.mel, face)).unflatten(-1, (68, 2))
    truth = batch.landmarks[:, : shown.shape[1]]
    return {"landmark": lip_weighted_l1(shown, truth), "shape": laplacian_l1(shown, truth)}


def _manner_losses(content, manner: Manner, batch: Windows, realism: float) -> dict[str, Tensor]:
    """Paper, Sec. 3.3: landmarks and their shape, and least squares against a discriminator of whole faces."""
    face, branch = batch.fixed["face"], manner.branch
    with torch.no_grad():
        spoken = face[:, None] + content.to(face.device)(batch.mel, face)
    noise = torch.randn(*spoken.shape[:2], branch.config.noise, device=face.device)
    shown = spoken + branch(batch.mel, batch.speaker, noise)
    truth = batch.landmarks[:, : shown.shape[1]]
    named = {"landmark": landmark_l1(shown.unflatten(-1, (68, 2)), truth),
             "shape": laplacian_l1(shown.unflatten(-1, (68, 2)), truth)}
    return named | (_adversarial(manner, shown, truth.flatten(2), batch.speaker) if realism else {})


def _adversarial(manner: Manner, shown: Tensor, truth: Tensor, speaker: Tensor) -> dict[str, Tensor]:
    code = manner.branch.code(speaker).detach()
    judge = manner.discriminator
    wrong = judge(truth, code).sub(1).square().mean() + judge(shown.detach(), code).square().mean()
    return {"realism": frozen_call(judge, shown, code).sub(1).square().mean(), "discriminator": wrong}
