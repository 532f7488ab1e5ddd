"""ECM's emotion priors: what a recogniser says of every frame, made fit for training, and whether it grows linearly.

    logits (T, 7)  of a recogniser, in the order of `labels.COMMON`  ->  `Priors.inputs`  for the augment network
                                                                     ->  `Priors.targets` for the emotion predictor

Text and released program disagree, and both are profiles of `Priors`:

            normalisation (per class, over the training set)   smoothing
    PAPER   max-min: (x - min) / (max - min)                   low-pass over neighbouring frames, of everything
    CODE    z-score: (x - mean) / deviation                    mean of 31 frames, zeros beyond the ends, of targets only

`logit_linearity` measures the paper's assumption that a logit grows linearly with the intensity of its emotion.
`frame_recogniser` stands in for DAN where its weights are absent: trained on labels alone, on single frames, from
actors and sentences that neither the corpus nor the judges have. It errs far less than DAN (65.7 % on AffectNet), for
the faces are cleaner; an experiment on errors of the prior has to dose them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib import labels, paths, stats, training
from lib.errors import InputError
from lib.face.flame_layer import FlameLayer
from lib.foundations import kept_displacements
from lib.models import ecm
from lib.models.judges import CourseNetwork, displacement
from lib.study import code_digest, digest

CLASSES = len(labels.COMMON)


# From logits to priors ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """How logits become priors. The paper names no filter: the cut-off defaults to that of the mean of 31 frames."""

    normalisation: Literal["z-score", "max-min"]
    smoothing: Literal["mean", "low-pass", "none"]
    smooth_inputs: bool             # False: only the targets of the predictor are smoothed
    frames: int = 31                # of the mean, centred, odd
    fps: float = 30.0
    cut_off_hz: float = 0.43        # where the mean of 31 frames at 30 fps halves the power: 0.443 fps / frames


CODE = Profile("z-score", "mean", smooth_inputs=False)
PAPER = Profile("max-min", "low-pass", smooth_inputs=True)


@dataclass(frozen=True, eq=False)
class Priors:
    """Normalisation with the statistics of a training set, and smoothing; centre and width are (7,)."""

    profile: Profile
    centre: np.ndarray
    width: np.ndarray

    @classmethod
    def fit(cls, profile: Profile, training_logits: Iterable[np.ndarray]) -> "Priors":
        """Statistics over all frames of the training clips, each (T, 7).

        The released program also counts an all-zero clip for every clip without emotion; pass zeros to do the same.
        Raises InputError when there is no clip, or when a class never changes.
        """
        clips = [_checked(logits) for logits in training_logits]
        if not clips:
            raise InputError("priors: no training clip; statistics need at least one")
        rows = np.concatenate(clips).astype(np.float64)
        z_score = profile.normalisation == "z-score"
        centre, width = (rows.mean(0), rows.std(0)) if z_score else (rows.min(0), np.ptp(rows, axis=0))
        if (width <= 0).any():
            still = labels.COMMON[int(np.argmin(width))]
            raise InputError(f"priors: the logit of {still!r} never changes in training; nothing to scale it by")
        return cls(profile, centre, width)

    def normalise(self, logits: np.ndarray) -> np.ndarray:
        """Logits (T, 7) in deviations from the mean, or between the extremes as 0..1 (beyond them: outside)."""
        return ((_checked(logits) - self.centre) / self.width).astype(np.float32)

    @property
    def predictor_range(self) -> tuple[float, float]:
        """What the predictor's output is scaled to: +-2 deviations (released), or from least to most (paper)."""
        return (-2.0, 2.0) if self.profile.normalisation == "z-score" else (0.0, 1.0)

    def restore(self, priors: np.ndarray) -> np.ndarray:
        """Inverse of `normalise`."""
        return (_checked(priors) * self.width + self.centre).astype(np.float32)

    def targets(self, logits: np.ndarray) -> np.ndarray:
        """What the predictor learns to hear: normalised and, unless the profile smooths nothing, smoothed (T, 7)."""
        smooth = {"mean": lambda x: moving_average(x, self.profile.frames),
                  "low-pass": lambda x: low_pass(x, self.profile.fps, self.profile.cut_off_hz), "none": lambda x: x}
        return smooth[self.profile.smoothing](self.normalise(logits))

    def inputs(self, logits: np.ndarray) -> np.ndarray:
        """What the augment network is given in training: normalised, smoothed in the profile of the paper, (T, 7)."""
        return self.targets(logits) if self.profile.smooth_inputs else self.normalise(logits)


def moving_average(logits: np.ndarray, frames: int = 31) -> np.ndarray:
    """Centred mean over an odd number of frames with zeros beyond both ends, (T, C): a constant halves at its ends."""
    if frames < 1 or frames % 2 == 0:
        raise InputError(f"mean over {frames} frames: expected an odd number, so that it has a middle")
    return ecm.moving_average(torch.from_numpy(_checked(logits, None))[None].float(), frames)[0].numpy()


def low_pass(logits: np.ndarray, fps: float, cut_off_hz: float) -> np.ndarray:
    """Butterworth filter of second order run forwards and backwards, (T, C): no delay, a constant stays as it is."""
    from scipy.signal import butter, sosfiltfilt

    if not 0 < cut_off_hz < fps / 2:
        raise InputError(f"cut-off {cut_off_hz} Hz: expected between 0 and half the frame rate, {fps / 2:g} Hz")
    values = _checked(logits, None)
    # at half power once, hence a little wider for each of the two runs
    sections = butter(2, min(cut_off_hz * (2**0.5 - 1) ** -0.25, 0.499 * fps), fs=fps, output="sos")
    return sosfiltfilt(sections, values, axis=0, padlen=min(len(values) - 1, int(2 * fps))).astype(np.float32)


def _checked(values: np.ndarray, width: int | None = CLASSES) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2 or not len(values) or width not in (None, values.shape[-1]):
        raise InputError(f"logits {values.shape}: expected (frames, {width or 'classes'})")
    if not np.isfinite(values).all():
        raise InputError("logits contain NaN or infinite values; was a face lost?")
    return values


# Do logits grow linearly? ---------------------------------------------------------------------------------------------


def logit_linearity(table, value: str = "logit", unit: str = "actor"):
    """DataFrame, one row per emotion: how `value` depends on intensity, fitted within each unit, then averaged.

    table: columns emotion, intensity (0..1), `unit` and `value`, one row per clip. Result: slope with its 95 % interval
    over units (Student; low and high are NaN for one unit), r2_line, r2_quadratic, spearman, kendall (tau-b; both NaN
    where nothing changes), units, clips. Raises InputError for missing columns, and for a unit with fewer than four
    intensities, which a parabola would fit whatever they are.
    """
    import pandas as pd

    missing = {"emotion", "intensity", unit, value} - set(table.columns)
    if missing or not len(table):
        raise InputError(f"linearity: {', '.join(sorted(missing)) or 'every row'} missing; expected one row per clip")
    rows = [{"emotion": emotion, **_over_units(emotion, part, value, unit)} for emotion, part in
            table.groupby("emotion", sort=False)]
    return pd.DataFrame(rows)


def _over_units(emotion: str, part, value: str, unit: str) -> dict[str, float]:
    fits = [_fit(f"{emotion}, {unit} {name}", one.intensity.to_numpy(float), one[value].to_numpy(float))
            for name, one in part.groupby(unit)]
    slopes = [fit["slope"] for fit in fits]
    low, high = stats.student(slopes)[:2] if len(fits) > 1 else (np.nan, np.nan)
    means = {name: float(np.mean([fit[name] for fit in fits])) for name in fits[0]}
    return {"slope": means.pop("slope"), "low": low, "high": high, **means, "units": len(fits), "clips": len(part)}


def _fit(what: str, intensity: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Line and parabola of one unit."""
    from scipy.stats import spearmanr

    if not (np.isfinite(intensity).all() and np.isfinite(values).all()):
        raise InputError(f"linearity: {what} has NaN or infinite numbers")
    if len(np.unique(intensity)) < 4:
        raise InputError(f"linearity: {what} has {len(np.unique(intensity))} intensities; at least 4 are needed")
    flat = np.ptp(values) == 0
    return {"slope": float(np.polyfit(intensity, values, 1)[0]), "r2_line": _r2(intensity, values, 1),
            "r2_quadratic": _r2(intensity, values, 2),
            "spearman": np.nan if flat else float(spearmanr(intensity, values).statistic),
            "kendall": stats.kendall_tau(intensity, values)}


def _r2(x: np.ndarray, y: np.ndarray, degree: int) -> float:
    """Share of the variance that a polynomial explains; 0 for constant values, which follow nothing."""
    spread = np.square(y - y.mean()).sum()
    return float(1 - np.square(y - np.polyval(np.polyfit(x, y, degree), x)).sum() / spread) if spread > 1e-12 else 0.0


# A recogniser of single frames ----------------------------------------------------------------------------------------

VERSION = 2                         # raised when a change of this code changes the trained recogniser
STRONG = 0.7                        # intensity from which an emotion should be recognised
LEVELS = tuple(np.linspace(0, 1, 9).tolist())


@dataclass(frozen=True)
class Recipe:
    """Whose faces the recogniser sees and how it learns."""

    actors: tuple[int, ...] = tuple(range(300, 316))
    test_actors: tuple[int, ...] = tuple(range(324, 332))
    intensities: tuple[float, ...] = (0.4, 0.7, 0.85, 1.0)
    clips_per_cell: int = 4
    noise: float = 0.004            # on landmarks in training, eye distances
    batch: int = 256                # frames
    epochs: int = 5
    learning_rate: float = 2e-3
    halve_every: int = 2
    seed: int = 2


RECIPES = {"smoke": Recipe(tuple(range(300, 304)), tuple(range(324, 328)), clips_per_cell=2),
           "laptop": Recipe(), "paper": Recipe()}


class FrameRecogniser:
    """Logits of the seven emotions of `labels.COMMON` for every frame by itself, as DAN gives them for a picture."""

    emotions = labels.COMMON

    def __init__(self, network: CourseNetwork):
        self.network = network.eval().requires_grad_(False)

    def logits(self, landmarks: np.ndarray, template: np.ndarray) -> np.ndarray:
        """(T, 7) of landmarks (T, 68, 3) without head motion and the person's template (68, 3), one unit, any rate."""
        return self.logits_of_displacement(displacement(landmarks, template))

    def logits_of_params(self, params: np.ndarray, layer: FlameLayer, template: np.ndarray | None = None) -> np.ndarray:
        """(T, 7) of FLAME-like parameters (T, 56): their landmarks on `layer`, with the head turned back.

        template (V, 3): the person's resting face, None for the mean; in the unit of the layer.
        """
        still = torch.as_tensor(np.asarray(params, np.float32))[None].clone()
        still[..., layer.n_expression : layer.n_expression + 3] = 0
        resting = None if template is None else torch.as_tensor(np.asarray(template, np.float32))
        moved, rest = (layer.landmarks(layer.decode(p, template=resting))[0].numpy()
                       for p in (still, torch.zeros_like(still[:, :1])))
        return self.logits(moved, rest[0])

    @torch.inference_mode()
    def logits_of_displacement(self, moved: np.ndarray) -> np.ndarray:
        """(T, 7) of landmarks relative to the person's template (T, 204), in eye distances."""
        return self.network(torch.from_numpy(moved)[:, None]).numpy()


@cache
def frame_recogniser(scale: str, seed: int = 0) -> FrameRecogniser:
    """The recogniser of a scale ("smoke", "laptop", "paper"), trained at the first call and cached by what it is.

    Another `seed` draws other weights and noise; the clips stay.
    """
    recipe = _recipe(scale, seed)
    checkpoint = _path(recipe)
    training.seed_everything(recipe.seed)
    network = CourseNetwork(CLASSES)
    if not (checkpoint.exists() and _scores_path(recipe).exists()):
        _train(network, recipe, checkpoint)
        scores = _measure(FrameRecogniser(network), recipe)
        with paths.write_aside(_scores_path(recipe)) as aside:      # its presence marks the checkpoint as complete
            aside.write_text(json.dumps(scores, indent=1))
    training.load(checkpoint, network)
    return FrameRecogniser(network)


def recogniser_scores(scale: str, seed: int = 0) -> dict:
    """Accuracy on unseen actors and sentences: of frames and of clips (mean of logits), all and strong; confusion.

    confusion: clips of intensity 0.7 and more, true emotion by row, order of `labels.COMMON`.
    """
    frame_recogniser(scale, seed)
    return json.loads(_scores_path(_recipe(scale, seed)).read_text())


def intensity_sweep(recogniser: FrameRecogniser, specs: Sequence, levels: Sequence[float] = LEVELS):
    """DataFrame for `logit_linearity`: clips whose face alone is set to every intensity, sound and nuisance unchanged.

    specs: ClipSpecs of non-neutral emotions. Values are means over the frames of a clip: `logit` and `probability` of
    the clip's emotion, and `difference` of its logit from that of neutral (ECM eq. 12, two classes).
    """
    import pandas as pd

    for spec in specs:
        if spec.emotion not in labels.COMMON[1:]:
            raise InputError(f"emotion {spec.emotion!r}: a sweep needs one of {', '.join(labels.COMMON[1:])}")
    asked = [(spec, level) for spec in specs for level in levels]
    return pd.DataFrame([
        {"emotion": spec.emotion, "actor": spec.actor, "clip": spec.id, "intensity": level,
         **_target_values(recogniser.logits_of_displacement(moved), labels.COMMON.index(spec.emotion))}
        for (spec, level), moved in zip(asked, _faces(specs, levels), strict=True)])


def sweep_specs(scale: str) -> list:
    """One clip of every non-neutral emotion for each actor the recogniser has not seen."""
    from lib.puppet.spec import ClipSpec

    bank, actors = _sentences(test=True), _recipe(scale).test_actors
    return [ClipSpec(actor, emotion, 1.0, bank[(a + e) % len(bank)]) for a, actor in enumerate(actors)
            for e, emotion in enumerate(labels.COMMON[1:])]


def _target_values(logits: np.ndarray, target: int) -> dict[str, float]:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    neutral = labels.COMMON.index("neutral")
    return {"logit": float(logits[:, target].mean()), "probability": float((odds[:, target] / odds.sum(1)).mean()),
            "difference": float((logits[:, target] - logits[:, neutral]).mean())}


def _recipe(scale: str, seed: int = 0) -> Recipe:
    from lib.puppet.spec import LAPTOP

    if scale not in RECIPES:
        raise InputError(f"scale {scale!r}: unknown; expected one of {', '.join(RECIPES)}")
    recipe = replace(RECIPES[scale], seed=RECIPES[scale].seed + seed)
    assert not {*recipe.actors} & {*recipe.test_actors} and not {*recipe.actors, *recipe.test_actors} & {*LAPTOP.actors}
    return recipe


def _path(recipe: Recipe) -> Path:
    from lib.puppet.corpus import fingerprint

    code = code_digest("lib.models.judges", "lib.puppet.head")
    return paths.CACHE / "foundations" / f"priors-{digest(recipe, VERSION, fingerprint(), code)}.pt"


def _scores_path(recipe: Recipe) -> Path:
    return _path(recipe).with_suffix(".json")


def _sentences(test: bool) -> tuple[str, ...]:
    """Sentences of the grammar of en-ctc, which no face of corpus or judges speaks; every fifth one for testing."""
    from lib.puppet.sentences import N_GRAMMAR, ids

    return tuple(s for i, s in enumerate(ids("en-ctc")[:N_GRAMMAR]) if (i % 5 == 0) == test)


def _specs(recipe: Recipe, test: bool) -> list:
    """Clips of the seven emotions in equal number; sentences and intensities go round."""
    from lib.puppet.spec import ClipSpec

    bank, actors = _sentences(test), recipe.test_actors if test else recipe.actors
    cells = [(a, e, k) for a in range(len(actors)) for e in range(CLASSES) for k in range(recipe.clips_per_cell)]
    # not the seed of the recogniser: those of all seeds see the same clips
    return [ClipSpec(actors[a], labels.COMMON[e], recipe.intensities[(a + e + k) % len(recipe.intensities)],
                     bank[i % len(bank)], session=k % 2, seed=Recipe.seed) for i, (a, e, k) in enumerate(cells)]


def _faces(specs: Sequence, levels: Sequence[float] | None = None) -> list[np.ndarray]:
    """Displacements (T, 204) of clips, or of each with its face alone at every one of `levels` of intensity.

    Kept on disk: the recognisers of all seeds look at the same ones.
    """
    from lib.puppet.corpus import fingerprint, synthesise
    from lib.puppet.recast import recast

    def clips() -> Iterable:
        spoken = map(synthesise, specs)
        return spoken if levels is None else (recast(one, intensity=level) for one in spoken for level in levels)

    count = len(specs) * (1 if levels is None else len(levels))
    return kept_displacements(clips, count, list(specs), levels, fingerprint())


def _train(network: CourseNetwork, recipe: Recipe, checkpoint: Path) -> None:
    fit = training.Recipe(recipe.epochs, recipe.learning_rate, recipe.halve_every, weight_decay=1e-4)
    training.fit(network, _batches(recipe), _losses(network), fit, seed=recipe.seed, checkpoint=checkpoint,
                 weights={"emotion": 1.0}, label="frame recogniser")  # fmt: skip


def _batches(recipe: Recipe) -> Callable:
    """Single frames (B, 1, 204) with noise, and their class; every frame once per epoch."""
    specs = _specs(recipe, test=False)
    moved = _faces(specs)
    classes = np.repeat([labels.COMMON.index(spec.emotion) for spec in specs], [len(m) for m in moved])
    frames = np.concatenate(moved)

    def batches(rng: np.random.Generator):
        order = rng.permutation(len(frames))
        for some in np.array_split(order, max(1, len(order) // recipe.batch)):
            noise = recipe.noise * rng.standard_normal((len(some), frames.shape[1]), np.float32)
            yield torch.from_numpy(frames[some] + noise)[:, None], torch.from_numpy(classes[some])

    return batches


def _losses(network: CourseNetwork) -> Callable:
    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"emotion": functional.cross_entropy(network(batch[0]), batch[1])}

    return losses


def _measure(recogniser: FrameRecogniser, recipe: Recipe) -> dict:
    from sklearn.metrics import confusion_matrix

    specs = _specs(recipe, test=True)
    found = [recogniser.logits_of_displacement(moved) for moved in _faces(specs)]
    truth = np.array([labels.COMMON.index(spec.emotion) for spec in specs])
    strong = np.array([spec.intensity >= STRONG or spec.emotion == "neutral" for spec in specs])
    frames = np.array([(logits.argmax(1) == k).mean() for logits, k in zip(found, truth, strict=True)])
    clips = np.array([logits.mean(0).argmax() for logits in found])
    named = {"frames": frames, "clips": clips == truth}
    scores = {f"{name}, {kind}": float(right[which].mean()) for name, right in named.items()
              for kind, which in (("all", slice(None)), (f"intensity >= {STRONG}", strong))}
    return scores | {"confusion": confusion_matrix(truth[strong], clips[strong], labels=range(CLASSES)).tolist()}
