"""CFD against MakeItTalk and PC-AVS (paper 000): which systems are trained, on what, and what they predict.

Training has the paper's three steps (Sec. 4.2): content branch with Eq. 10; style branch with Eq. 5 + 6 + 10 on
triplets, the content branch standing still; image translation with Eq. 11 (lib.picture_foundations, shared with the
other papers). Variants that share their first step share its weights.

A triplet is V_r and V_s from one video, V_p from another video of the person. A *video* is what one actor says in one
session and emotion, so that "emotion states in clips of the same video are more similar" (Sec. 3.2) holds; with the
reading `video="session"` it does not, and the recogniser's weights alone tell emotions apart. Networks predict
displacement in units of `Trained.unit` pixels, its root mean square in training; Eq. 10 is in pixels, as printed LMDs
seem to be, or in faces of width 1.6 (`unit="face"`): the paper adds Eq. 5 and 6 to it with weights of one and no unit.

Rivals are MakeItTalk (lib.experiments.landmark_systems), trained on the same clips, and PC-AVS (lib.experiments.pcavs).
Of the latter a seed has one for both landmark papers, taught on the same speakers and sentences and on contempt too.
Departures at every scale: 25 frames per second, AutoVC trained on the corpus, windows instead of whole clips, at laptop
scale narrow layers and a learning rate to match; the `paper` scale has Table 1. The printed rate of 1e-5 is an arm of
its own (`READINGS`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from lib.errors import InputError
from lib.experiments import landmark_systems
from lib.experiments.landmark_systems import Windows
from lib.experiments.systems import fit_cached
from lib.experiments.tracks import Tracks, tracks
from lib.landmark_losses import MARGIN, emotion_contrast, expression_similarity, identity_agreement, landmark_l1
from lib.models.cfd import CFD, PAPER, Config, Prediction, direct
from lib.study import code_digest, run_folder
from lib.training import HOLD, Recipe, seed_everything

CODE = (*landmark_systems.CODE, "lib.models.cfd", "lib.experiments.cfd", "lib.experiments.cfd_material")
FACE_PX = 150 / 1.6              # pixels per unit of a face of width 1.6, MakeItTalk's convention
CONTENT_FIELDS = ("audio_width", "content_hidden", "content_width", "lstm_width", "lstm_layers", "dropout",
                  "out_hidden", "shape_seen")                        # of Config: all that step 1 depends on


@dataclass(frozen=True)
class Size:
    """Widths and schedule of a scale: `width` is that of the LSTM, 256 in Table 1; the other sizes follow it."""

    width: int
    batch: int                   # triplets
    window: int                  # frames
    steps: tuple[int, int]       # optimiser steps of step 1 and step 2
    learning_rate: float
    hold: float = 0.0            # share of a step before its rate falls, see `landmark_systems.Size`

    @property
    def config(self) -> Config:
        """Table 1 with every width in proportion."""
        w = self.width
        if w == PAPER.lstm_width:
            return PAPER
        return Config(content_hidden=(w,), content_width=round(PAPER.content_width * w / 256), lstm_width=w,
                      code_hidden=(w, w // 2), code_width=w // 2, out_hidden=(2 * w, w), attention_inner=w)


SIZES = {
    "smoke": Size(width=16, batch=4, window=24, steps=(12, 12), learning_rate=3e-3),
    "laptop": Size(width=48, batch=6, window=48, steps=(160, 80), learning_rate=4e-3, hold=HOLD),
    "paper": Size(width=256, batch=32, window=64, steps=(20000, 20000), learning_rate=1e-4),
}


@dataclass(frozen=True)
class System:
    """One training of the family: what differs from the published full model.

    `weights`: "recogniser" (Eq. 5), "labels" (1 where the emotions agree, else 0), "none" (1 for attraction, 0 for the
    similarity of the other video). `feature`: "converted" (AutoVC's converted mel) or "mel". `network` "direct" is one
    encoder of the same size without codes. `rate`: "fast", or "paper" for 1e-5 without annealing. `changes` are fields
    of lib.models.cfd.Config.
    """

    changes: tuple[tuple[str, object], ...] = ()
    content_layers: int = 1          # hidden layers of MLP_c: 1 by Table 1, 2 by "three-layer MLP" (C5)
    network: str = "cfd"
    emotion_loss: bool = True
    identity_loss: bool = True
    weights: str = "recogniser"
    margin: float = MARGIN
    pooled: bool = False
    unit: str = "pixels"
    video: str = "emotion"
    feature: str = "converted"
    material: str = "corpus"         # "one-word", "one-manner", "real": see lib.experiments.cfd_material
    rate: str = "fast"

    @property
    def plain(self) -> bool:
        """Whether step 1 is all of the training."""
        return self.network == "direct" or dict(self.changes).get("style") is False


def _with(**changes) -> tuple[tuple[str, object], ...]:
    return tuple(sorted(changes.items()))


NO_LOSSES = {"emotion_loss": False, "identity_loss": False}      # what the paper calls "w/o L_emotion" (Sec. 4.3)
SYSTEMS: dict[str, System] = {
    "cfd": System(),
    "cfd/no-style": System(_with(style=False)),
    "cfd/no-emotion-loss": System(**NO_LOSSES),
    "cfd/no-emotion-loss-only": System(emotion_loss=False),
    "cfd/no-identity-loss": System(identity_loss=False),
    "cfd/fixed-weight": System(weights="labels"),
    "cfd/no-weights": System(weights="none"),
    "cfd/single-encoder": System(network="direct"),
    "cfd/width-matched": System(_with(second_branch="content"), **NO_LOSSES),
    "cfd/style-256": System(_with(style_input="sum")),
    "cfd/no-identity": System(_with(identity=False), identity_loss=False),
    "cfd/plain-mel": System(feature="mel"),
}
WORDS: dict[str, System] = {f"one-word: {name}": replace(SYSTEMS[name], material="one-word") for name in (
    "cfd/no-style", "cfd/no-emotion-loss", "cfd/width-matched")}
MANNER: dict[str, System] = {f"one-manner: {name}": replace(SYSTEMS[name], material="one-manner") for name in (
    "cfd", "cfd/no-identity")}
READINGS: dict[str, System] = {      # looked at with one seed; a reading is a row of a table, never a claim
    "cfd/three-layer MLP_c (C5)": System(content_layers=2),
    "cfd/MLP_s on style alone (C4)": System(_with(style_input="style")),
    "cfd/MLP_s behind a projection (C4)": System(_with(style_input="project")),
    "cfd/attention over time (C6)": System(_with(attention="time")),
    "cfd/unmarked tokens (C6)": System(_with(token_types=False)),
    "cfd/codes pooled in losses": System(pooled=True),
    "cfd/videos are sessions (C8)": System(video="session"),
    "cfd/losses in face widths": System(unit="face"),
    "cfd/face shape seen": System(_with(shape_seen=True)),
    "cfd/margin 0.02": System(margin=0.02),
    "cfd/margin 0.5": System(margin=0.5),
    "cfd/printed rate 1e-5 (C21)": System(rate="paper"),
}
REAL: dict[str, System] = {f"real: {name}": replace(SYSTEMS[name], material="real") for name in (
    "cfd", "cfd/no-style", "cfd/no-emotion-loss")}
RIVALS = ("makeittalk", "pcavs")


def named(name: str) -> System:
    """The system of a name; raises InputError listing those there are."""
    known = SYSTEMS | WORDS | MANNER | REAL | READINGS
    if name not in known:
        raise InputError(f"system {name!r} is unknown; there are {', '.join(known)}")
    return known[name]


def config(system: System, size: Size) -> Config:
    """Sizes and reading of a system."""
    content = size.config.content_hidden * system.content_layers
    chosen = replace(size.config, content_hidden=content, **dict(system.changes))
    return direct(chosen) if system.network == "direct" else chosen


# What is learned from -------------------------------------------------------------------------------------------------


PARTS = 4                        # of an epoch of step 2, see `Step`


@dataclass(frozen=True)
class Step(landmark_systems.Size):
    """Schedule of one step of training: Adam with weight decay 1e-5 as printed; the rate falls, or (`printed`) stays at
    1e-5.

    `parts` of an epoch are logged apart, each on clips drawn anew: a code can collapse within one epoch.
    """

    printed: bool = False
    parts: int = 1

    def recipe(self, clips: int) -> Recipe:
        """The schedule for a number of training clips; its epochs are the parts."""
        recipe = replace(super().recipe(-(-clips // self.parts)), weight_decay=1e-5)
        return replace(recipe, learning_rate=1e-5, anneal=False, hold=0.0, clip_norm=0.0) if self.printed else recipe


@dataclass(frozen=True, eq=False)
class Course(landmark_systems.Course):
    """What a system learns from: every training clip in turn as V_r, V_s and V_p drawn anew in every epoch as the views
    "same" and "other", with the vector "expression" of each. The networks' unit and L_0 are here too."""

    system: System = field(default_factory=lambda: System())
    count: tuple[int, int] = (1, 1)          # optimiser steps of step 1 and step 2

    step: int = 1

    def at(self, step: int) -> "Course":
        """The course of step 1, which needs no triplets and gets three times as many windows instead, or of step 2."""
        size = replace(self.size, steps=self.count[step - 1], batch=self.size.batch * (3 if step == 1 else 1),
                       parts=PARTS if step == 2 else 1)
        return replace(self, size=size, views=("same", "other") if step == 2 else (), step=step)

    def batches(self, rng: np.random.Generator) -> Iterator[Windows]:
        """One part of an epoch: a window of each of its clips, in random order."""
        return islice(super().batches(rng), self.size.recipe(len(self.clips)).batches)

    @cached_property
    def unit(self) -> float:
        """Root mean square in pixels of the displacement in the training clips: 1 for the network."""
        moved = np.concatenate([self.data.landmarks[i] - self.data.template(i) for i in self.clips])
        return float(np.sqrt(np.square(moved).mean()))

    @cached_property
    def centre(self) -> np.ndarray:
        """Mean template (68, 2) in pixels of the training speakers, around which L_0 is given to the network."""
        return np.mean([self.data.template(i) for i in self.clips], axis=0)

    def given_shape(self, template: np.ndarray | Tensor) -> np.ndarray | Tensor:
        """L_0 as the network may see it (..., 68, 2): a template around the mean one, in its units."""
        centre = self.centre.astype(np.float32)
        return (template - (torch.from_numpy(centre).to(template) if torch.is_tensor(template) else centre)) / self.unit

    @cached_property
    def video(self) -> np.ndarray:
        """Number of the video that every clip of the tracks belongs to."""
        columns = {"emotion": ["actor", "session", "emotion"], "session": ["actor", "session"]}[self.system.video]
        return self.data.table.groupby(columns).ngroup().to_numpy()

    def _partner(self, view: str, row: int, rng: np.random.Generator) -> int:
        """V_s: a clip of the same video (where there is no other, another window of the clip itself). V_p: of another
        video of the person, from another session where there is one."""
        others = self.clips[self.clips != row]
        if view == "same":
            partners = others[self.video[others] == self.video[row]]
        else:
            actor, session = (self.data.table[name].to_numpy() for name in ("actor", "session"))
            person = others[(actor[others] == actor[row]) & (self.video[others] != self.video[row])]
            elsewhere = person[session[person] != session[row]]
            partners = elsewhere if len(elsewhere) else person
        return int(rng.choice(partners)) if len(partners) else int(row)


def course(data: Tracks, system: System, size: Size) -> Course:
    """The course of a system; the recogniser looks at training clips only."""
    emotions, rows = tuple(sorted(data.table.emotion.unique())), data.rows("train").index
    seen = np.zeros((len(data.table), len(emotions)), np.float32)
    for i in rows:
        seen[i] = _expression(data, int(i), emotions, system.weights)
    step = Step(size.width, size.batch, min(size.window, min(len(x) for x in data.landmarks)), size.steps[0],
                size.learning_rate, hold=size.hold, printed=system.rate == "paper")
    feature = data.converted if system.feature == "converted" else data.mel
    fixed = {"expression": seen, "actor": data.table.actor.to_numpy()}
    return Course(data, step, emotions, rows.to_numpy(), feature, fixed=fixed, system=system, count=size.steps)


def _expression(data: Tracks, clip: int, emotions: tuple[str, ...], weights: str) -> np.ndarray:
    """Vector (K,) whose cosines weigh Eq. 5: what the recogniser sees, or the label."""
    if weights == "labels":
        return np.eye(len(emotions), dtype=np.float32)[emotions.index(data.table.emotion[clip])]
    return seen_expression(data, clip, emotions)


@lru_cache(maxsize=4096)
def seen_expression(data: Tracks, clip: int, emotions: tuple[str, ...]) -> np.ndarray:
    """Mean softmax (K,) that the recogniser for training gives for the true frames of a clip."""
    from lib.landmark_foundations import recognisers

    return recognisers(data.scale)[0].softmax(data.landmarks[clip], data.template(clip), emotions).mean(0)


# Losses ---------------------------------------------------------------------------------------------------------------


def losses_of(model: CFD, learned: Course):
    """Named losses of a batch: Eq. 10 in pixels; with views also Eq. 5, Eq. 6 and, never trained on, what shows a
    collapse: distances and variance of both codes."""
    def losses(batch: Windows) -> dict[str, Tensor]:
        triplet = (batch, *(batch.views[view] for view in learned.views))
        audio, truth, template = (torch.cat([getattr(x, name) for x in triplet]) for name in
                                  ("mel", "landmarks", "template"))
        shape = learned.given_shape(template)
        p = model(audio, shape) if learned.step == 2 else model.content_only(audio, shape)
        moved = (truth - template[:, None]) / learned.unit
        named = {"landmark": learned.unit * landmark_l1(p.displacement, moved)}
        if p.style is None or not learned.views:
            return named
        return named | code_losses(learned.system, p, triplet)

    return losses


def code_losses(system: System, p: Prediction, triplet: tuple[Windows, Windows, Windows]) -> dict[str, Tensor]:
    """Eq. 5 and 6 on the codes of V_r, V_s, V_p, which follow one another in the batch, and what becomes of them."""
    emotion, identity = (code.unflatten(0, (3, -1)) for code in (p.emotion, p.identity))                # (3, B, W, C)
    named = {"emotion": emotion_contrast(*emotion, *similarities(system, triplet), margin=system.margin,
                                         pooled=system.pooled),
             "identity": identity_agreement(identity[0], identity[2], pooled=system.pooled)}
    actor = triplet[0].fixed["actor"]
    with torch.no_grad():
        return named | spread("emotion", emotion, actor) | spread("identity", identity, actor)


def similarities(system: System, triplet: tuple[Windows, Windows, Windows]) -> tuple[Tensor, Tensor]:
    """lambda_rs and lambda_rp (B,) of Eq. 5; without weights 1 and 0."""
    seen = [windows.fixed["expression"] for windows in triplet]
    if system.weights == "none":
        return torch.ones(len(seen[0])).to(seen[0]), torch.zeros(len(seen[0])).to(seen[0])
    return expression_similarity(seen[0], seen[1]), expression_similarity(seen[0], seen[2])


def spread(name: str, code: Tensor, speaker: Tensor) -> dict[str, Tensor]:
    """What becomes of a code (3, B, W, C) of triplets: mean absolute differences within a video (rs), between videos of
    a person (rp) and between persons (cross), and its variance over clips and frames. Collapse takes all to 0."""
    r, s, p = code
    found = {"rs": (r - s).abs().mean(), "rp": (r - p).abs().mean(), "variance": code.flatten(0, 2).var(0).mean()}
    apart = speaker[:, None] != speaker[None]
    if apart.any():
        found["cross"] = (r[:, None] - r[None]).abs().mean((-2, -1))[apart].mean()
    return {f"{name}_{what}": value for what, value in found.items()}


def weights_of(system: System) -> dict[str, float]:
    """Weights of the named losses: one each (Sec. 4.2), Eq. 10 in the unit of the reading."""
    return {"landmark": 1.0 if system.unit == "pixels" else 1 / FACE_PX,
            "emotion": float(system.emotion_loss), "identity": float(system.identity_loss)}


# Training -------------------------------------------------------------------------------------------------------------


class Trained:
    """A trained system of one seed: landmarks in pixels from the features of a clip. `log` has a row per epoch of the
    last step, `first` per epoch of step 1."""

    def __init__(self, learned: Course, model: CFD, first: list[dict[str, float]], log: list[dict[str, float]]):
        self.course, self.model, self.first, self.log = learned, model, first, log
        self.data, self.system, self.unit = learned.data, learned.system, learned.unit

    @torch.no_grad()
    def codes(self, features: np.ndarray, shape: np.ndarray | None = None) -> Prediction:
        """Codes and displacements of features of one clip (T, F), or of several (B, T, F) by a network that sees no
        face, in the network's units; `shape` as given_shape."""
        seen = None if shape is None else torch.from_numpy(np.asarray(shape, np.float32))[None]
        heard = torch.from_numpy(np.asarray(features, np.float32))
        return self.model(heard if heard.ndim == 3 else heard[None], seen)

    def drive(self, features: np.ndarray, clip: int) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels that features (T, F) give on the face of a clip's speaker."""
        return self.pixels(self.codes(features, self.course.given_shape(self.data.template(clip))), clip)

    def predict(self, clip: int) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels for a clip's own sound."""
        return self.drive(self.course.feature[clip], clip)

    def pixels(self, p: Prediction, clip: int) -> np.ndarray:
        """A prediction on the face of a clip's speaker."""
        return self.on_face(p, self.data.template(clip))

    def on_face(self, p: Prediction, template: np.ndarray) -> np.ndarray:
        """A prediction on any face (68, 2) in pixels (Eq. 9)."""
        return self.unit * p.displacement[0].numpy() + template

    @torch.no_grad()
    def spoken_with(self, p: Prediction, emotion: Tensor, identity: Tensor) -> Prediction:
        """The words of a prediction with other codes (1, T, C)."""
        return self.model.speak(p, emotion, identity)


@lru_cache(maxsize=8)
def material(scale: str, seed: int, kind: str = "corpus") -> Tracks:
    """The tracks of a seed: the corpus, its one-word excerpts, all in the manner of one actor, or real recordings."""
    from lib.experiments import cfd_material

    whole = tracks(scale, seed)
    return {"corpus": lambda: whole, "one-word": lambda: cfd_material.one_word(whole),
            "one-manner": lambda: cfd_material.one_manner(whole), "real": lambda: cfd_material.real(whole)}[kind]()


@lru_cache(maxsize=64)
def train(scale: str, seed: int, name: str, progress: bool = True) -> Trained:
    """The named system of a seed, trained or taken from the cache."""
    system, size = named(name), SIZES[scale]
    learned = course(material(scale, seed, system.material), system, size)
    c, weights = config(system, size), weights_of(system)
    words, first = _first_step(learned, c, f"{name}, step 1, seed {seed}", progress)
    if system.plain:
        return Trained(learned, words, first, first)
    seed_everything(seed, 2)              # so that a run killed between the steps ends like one that was not
    model = CFD(c)
    model.content.load_state_dict(words.content.state_dict())
    model.decode_content.load_state_dict(words.decode_content.state_dict())
    model.freeze_content()
    second = learned.at(2)
    folder = run_folder("cfd", learned.data.key, system, size, code_digest(*CODE))
    log = fit_cached(model, second, losses_of(model, second), weights, folder / "step2.pt",
                     f"{name}, step 2, seed {seed}", progress)
    return Trained(learned, model, first, log)


def _first_step(learned: Course, c: Config, label: str, progress: bool) -> tuple[CFD, list[dict[str, float]]]:
    """Step 1, shared by all systems whose content branch, features, unit, rate and clips agree."""
    s, branch = learned.system, replace(PAPER, style=False, **{name: getattr(c, name) for name in CONTENT_FIELDS})
    shared = System(feature=s.feature, unit=s.unit, rate=s.rate, material=s.material)
    folder = run_folder("cfd", learned.data.key, branch, shared, learned.size, learned.count, code_digest(*CODE))
    seed_everything(learned.data.seed, 1)
    model, first = CFD(branch), learned.at(1)
    return model, fit_cached(model, first, losses_of(model, first), weights_of(s), folder / "step1.pt", label, progress)


def untrained(scale: str, seed: int, name: str = "cfd") -> Trained:
    """The system as it is before any step."""
    system, size = named(name), SIZES[scale]
    seed_everything(seed, 2)
    model = CFD(config(system, size)).eval()
    return Trained(course(material(scale, seed, system.material), system, size), model, [], [])
