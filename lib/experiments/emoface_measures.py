"""What is measured on the systems of paper 003: one table per question, one row per clip unless a line says otherwise.

Tables are functions of (scale, seed), cached by name. Predictions and truth are 174 MetaHuman controllers at the
draw's frame rate (lib/experiments/emoface.py); distances on the puppet are millimetres. Every table has `seed`; those
per clip have system, part ("unseen": speaker and sentence new, "seen": only the sentence), clip, speaker, emotion.

    scores           the columns of every paper's score file, which need whole faces (systems FACED, NaN for others),
                     then NATIVE columns:
                     mae_<area><form>   mean |difference| in controller units; areas AREA_COLUMNS, forms FORMS:
                                        "" raw, "_active" controllers that move in the truth, "_sd" in training
                                        standard deviations, "_smooth" after the Savitzky-Golay filter
                     fast_mouth         raw mae_mouth in the tenth of frames with the fastest true mouth
                     jerk, jerk_smooth  ratio to the truth's jerk around mouth and jaw, raw and filtered
                     lip_amplitude      p95 - p5 of lip opening over the truth's
                     closure_mm, closure_smooth_mm   lip opening at known closures (p b m), less the truth's
                     sync               correlation of lip opening with the truth less that with another clip's truth
    judged           judge: share of independent judges that see the clip's emotion in its landmarks; FACED and "truth"
    labels           requested, conflict (differs from the voice), swap_skill (1 = exact face of the requested label,
                     0 = as with the clip's own), judge (share that see the requested one), achieved, achieved_truth
                     (intensity along the requested axis), size, size_truth (of the upper face's movement, output
                     and exact face; none of the four for neutral)
    frame_labels     requested, delay_s, leak: a change of label in the middle of a clip; NaN where nothing reacts
    label_sources    source ("true", "audio", "10% wrong", "40% wrong", "wrong"), given, right, mae_full/mouth/eyes
    quiet            mae_quiet, mae_loud (mouth, the same words with and without a dip of level), amplitude_quiet,
                     amplitude_loud (over the truth's): unseen clips, systems QUIET
    long_clips       clips of a speaker and emotion in one run, LONGER times as long as the median training clip:
                     frames, mae_full, mae_mouth, mae_eyes, and mae_full_apart: the same clips one by one
    past             past (visible own frames, -1 = all), mae_full, mae_mouth, mae_eyes, jerk: unseen clips
    axis             one row per system: weights ("trained", "random"), parameters, other_frames (largest change of
                     other frames when one changes), permutation, positions, queries: largest changes of the output
    blinks           system, blinks, minutes, one row per clip; systems "truth", trained ones, "emoface~blink=paper" and
                     "emoface~blink=code" (sampled), "faceformer~blink=paper", and LAW: the sampler of the paper after
                     it has run for LAW_RUN_UP_S, so without the whole wait that every clip begins with
    blink_intervals  system, interval_s: one row per wait between two blinks of a clip; censored: cut off by its end
    gaze             sd_ratio, between_clips (mean correlation with other clips), saccades_per_minute, longest_hold_s;
                     "truth", trained ones, "emoface~gaze=paper", "emoface~gaze=code", "regressor",
                     "regressor/tied" (gaze made to follow loudness)
    blink_detection  noise_mm (of the landmarks, LANDMARK_NOISE_MM), detector ("svm", "threshold", "threshold/tuned"),
                     hits, misses, false, minutes
    symmetry         lr_correlation: mean over the left and right twins that move in the truth; "truth" and systems
    coverage         emotion, phonemes (seen in training), known (in the whole bank), share: one row per emotion
    mandarin         as scores, native columns only, on Mandarin sentences of unseen speakers; part "mandarin"

Without seed:

    timings          system, stage, length_s, run, seconds
    blink_laws       fit, mu, sigma, mean_rate, per_minute, dropped
    censoring        run, true_per_minute, clip_s, fit, per_minute, mean_rate
    published_clip   area, columns, rig ("zero", "median", "smoothed"), frames, mae
    facegood         seed, system, take, block, mae_full, mae_active, mae_mouth, mae_eyes, jerk
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from time import perf_counter

import numpy as np
import pandas as pd
import torch

from lib.claims import by_id, load
from lib.experiments import emoface as trials
from lib.experiments import measures
from lib.experiments.draw import Draw, corpus, foundation, to_video_rate
from lib.experiments.emoface import SYSTEMS, Trained, material, measured, rigged, train
from lib.experiments.measures import Controls
from lib.face import eyes, metahuman
from lib.face.rig import from_metahuman, to_metahuman
from lib.metrics import amplitude_ratio, jerk_ratio, rig_error
from lib.models import emoface as network
from lib.models.emoface import EMOTIONS
from lib.probes import step_response, swap_skill
from lib.puppet.corpus import PuppetClip, synthesise
from lib.study import cached_table, code_digest, run_folder
from lib.training import seed_everything

AREA_COLUMNS = {                 # column of a table: area of lib.face.metahuman.AREAS
    "mae_full": "full", "mae_mouth": "mouth", "mae_mouth_jaw": "mouth and jaw",
    "mae_mouth_teeth": "mouth, jaw, teeth and tongue", "mae_eyes": "eyes", "mae_eyes_no_lashes": "eyes without lashes",
    "mae_eyes_brows": "eyes and brows",
}
FORMS = ("", "_active", "_sd", "_smooth")
NATIVE = (*(area + form for area in AREA_COLUMNS for form in FORMS), "fast_mouth", "jerk", "jerk_smooth",
          "lip_amplitude", "closure_mm", "closure_smooth_mm", "sync")
ZERO, MEAN = "control/static-template", "control/mean-motion"        # the zero rig and the mean rig
RANDOM_LABEL = "control/random-label"
CONTROLS = Controls.names                                            # with shuffled-audio, random-init, oracle
SYSTEM_NAMES = tuple(SYSTEMS)
PAST = (*trials.PAST, "emoface/ar-decoder")
QUIET = ("emoface", "emoface/code", "emoface/fc-decoder", "emoface/lstm-decoder", ZERO)
FACED = ("emoface", "faceformer", "emotalk", ZERO, "control/oracle")   # that claims compare on whole faces
LONGER = 3                       # times the median training clip (emoface-07)
EYED = ("emoface", "faceformer", "emotalk")          # whose blinks and gaze are looked at
SEEN_SPEAKERS = 1                # training speakers whose new sentences are measured; the paper has one actor
ACTIVE_ABOVE = 1e-3              # standard deviation from which a controller moves
MAIN_AREAS = ("mae_full", "mae_mouth", "mae_eyes")
OWN = (*trials.CODE, *trials.MODELS, "lib.experiments.emoface_measures", "lib.face.eyes")


def _cached(scale: str, seed: int, name: str, compute: Callable[[], pd.DataFrame], *settings) -> pd.DataFrame:
    return measures.cached("emoface", material(scale, seed), name, compute, settings, modules=OWN)


def test_rows(data: Draw) -> pd.DataFrame:
    """All clips of unseen speakers, and the new sentences of one training speaker."""
    return measures.test_rows(data, data.rows("train").actor.unique()[:SEEN_SPEAKERS])


def emotions_of(data: Draw) -> tuple[str, ...]:
    """The paper's emotions that the corpus of this scale has, in their order."""
    present = set(data.table.emotion.unique())
    return tuple(e for e in EMOTIONS if e in present)


# Predictions ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def curves(scale: str, seed: int, name: str, clip: int) -> np.ndarray:
    """Controllers (T, 174) that a system, a control or "truth" gives for a test clip and its own label."""
    data = rigged(scale, seed)
    if name == "truth":
        return data.motion[clip]
    if name.startswith("control/"):
        return np.asarray(controls(data).predict(name, clip), np.float32)
    return _labelled_curves(scale, seed, name, clip, data.table.emotion[clip])


def _labelled_curves(scale: str, seed: int, name: str, clip: int, label: str) -> np.ndarray:
    """Controllers (T, 174) of a trained system that is given a label for a test clip."""
    trained = train(scale, seed, name)
    if trained.system.family == "faceformer" or trained.system.decoder == "autoregressive":
        return _frame_by_frame(scale, seed, name)[clip, label]
    return trained.curves(trained.data.hidden[clip], label)


@lru_cache(maxsize=8)
def _frame_by_frame(scale: str, seed: int, name: str) -> dict[tuple[int, str], np.ndarray]:
    """Controllers (T, 174) of an autoregressive system for all test clips and the labels that tables ask for."""
    data, trained = rigged(scale, seed), train(scale, seed, name)
    asked = [(int(clip), label) for clip in test_rows(data).index
             for label in (_requests(data, clip) if name in LABELLED else [data.table.emotion[clip]])]
    told = np.eye(len(EMOTIONS), dtype=np.float32)[[EMOTIONS.index(label) for _, label in asked]]
    hidden = [trained.data.hidden[clip][::2] for clip, _ in asked]
    return dict(zip(asked, measures.together(hidden, told, trained.model.decode, per_frame=1), strict=True))


@lru_cache(maxsize=4)
def controls(data: Draw) -> Controls:
    """The trivial rivals around EmoFace; `static-template` is the zero rig, `mean-motion` the mean rig."""
    def drive(trained: Trained) -> measures.Drive:
        return lambda hidden, clip: trained.curves(hidden, data.table.emotion[clip])

    known = tuple(data.rows("train").actor.unique())
    return Controls(data, data.rows("seen", "unseen"), known, drive(train(data.scale, data.seed, "emoface")),
                    drive(_untrained(data)))


def _untrained(data: Draw) -> Trained:
    seed_everything(data.seed, 1)
    system = SYSTEMS["emoface"]
    return Trained(data, system, network.EmoFace(trials.config(data, system, trials.SIZES[data.scale])).eval(), [])


def vertices(scale: str, seed: int, clip: int, rig: np.ndarray) -> tuple[Draw, np.ndarray]:
    """The draw that vertices are measured on, and the coefficients (T', K) of controllers (T, 174) at its rate."""
    data = measured(scale, seed)
    return data, trials.coefficients(data, clip, rig[:: trials.STRIDE[scale]][: len(data.motion[clip])])


# Controllers of one clip ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Heard:
    """One clip to be measured: its truth (T, 174), who speaks what, and a truth of another clip to compare with."""

    truth: np.ndarray
    other: np.ndarray
    made: PuppetClip
    deviation: np.ndarray            # (174,) of each controller in training
    fps: int

    def opening(self, rig: np.ndarray) -> np.ndarray:
        """Opening of the lips (T,) in mm, shown on the clip's own face."""
        return lip_opening(rig, self.made.spec.actor)

    @cached_property
    def true_opening(self) -> np.ndarray:
        return self.opening(self.truth)

    @cached_property
    def other_opening(self) -> np.ndarray:
        return self.opening(np.resize(self.other, self.truth.shape))

    @cached_property
    def closed(self) -> np.ndarray:
        """Frames (T,) at which p, b or m close the lips."""
        from lib.puppet.mouth import contact_curve

        return contact_curve(self.made.phonemes, np.arange(len(self.truth)) / self.fps) > 0.5

    @cached_property
    def fast(self) -> np.ndarray:
        """The tenth of frames (T,) in which the true mouth is fastest."""
        speed = np.abs(np.gradient(self.truth[:, metahuman.columns("mouth")], axis=0)).mean(1)
        return speed >= np.quantile(speed, 0.9)


def lip_opening(rig: np.ndarray, actor: int) -> np.ndarray:
    """Distance (T,) in mm of the inner lips' mid points for controllers (T, 174) on the face of an actor."""
    from lib.puppet.actors import actor as traits
    from lib.puppet.head import head

    points = head().topology.landmarks[[62, 66]]
    lips = head().vertices(np.clip(from_metahuman(rig), 0, 1), traits(actor).identity, only=points)      # (T, 2, 3)
    return np.linalg.norm(lips[:, 0] - lips[:, 1], axis=-1)


@lru_cache(maxsize=512)
def heard(scale: str, seed: int, clip: int) -> Heard:
    """A test clip of the draw, with the next clip's truth beside it."""
    data = rigged(scale, seed)
    other = data.motion[controls(data).other(clip)]
    return Heard(data.motion[clip], other, corpus(scale)[data.table.position[clip]], deviation(scale, seed), data.fps)


@lru_cache(maxsize=4)
def deviation(scale: str, seed: int) -> np.ndarray:
    """Standard deviation (174,) of each controller over the training frames; 0 where it does not move."""
    data = rigged(scale, seed)
    spread = np.concatenate([data.motion[i] for i in data.rows("train").index]).std(0)
    return np.where(spread > ACTIVE_ABOVE, spread, 0)


def native(case: Heard, rig: np.ndarray) -> dict[str, float]:
    """The columns NATIVE of controllers (T, 174)."""
    smooth = eyes.smooth(rig, case.fps)
    row = {area + form: value for area in AREA_COLUMNS for form, value in _forms(case, rig, smooth, area).items()}
    row["fast_mouth"] = float(rig_error(rig, case.truth, controllers=metahuman.columns("mouth"))[case.fast].mean())
    opening, moving = case.opening(rig), metahuman.columns("mouth and jaw")
    for form, curve in (("", rig), ("_smooth", smooth)):
        row[f"jerk{form}"] = jerk_ratio(curve[:, moving], case.truth[:, moving])
        row[f"closure{form}_mm"] = _mean((case.opening(curve) - case.true_opening)[case.closed])
    row["lip_amplitude"] = float(_reach(opening) / _reach(case.true_opening))
    row["sync"] = correlation(opening, case.true_opening) - correlation(opening, case.other_opening)
    return {name: row[name] for name in NATIVE}


def _forms(case: Heard, rig: np.ndarray, smooth: np.ndarray, area: str) -> dict[str, float]:
    chosen = {"controllers": metahuman.columns(AREA_COLUMNS[area])}
    errors = {"": rig_error(rig, case.truth, **chosen), "_smooth": rig_error(smooth, case.truth, **chosen),
              "_active": rig_error(rig, case.truth, active_above=ACTIVE_ABOVE, **chosen),
              "_sd": rig_error(rig, case.truth, scale=case.deviation, **chosen)}
    return {form: float(error.mean()) for form, error in errors.items()}


def errors(truth: np.ndarray, rig: np.ndarray, areas: Sequence[str] = MAIN_AREAS) -> dict[str, float]:
    """Raw MAE of controllers (T, 174) by area."""
    return {area: float(rig_error(rig, truth, controllers=metahuman.columns(AREA_COLUMNS[area])).mean())
            for area in areas}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson correlation of two curves (T,); 0 where one of them stands still."""
    one, other = one - one.mean(), other - other.mean()
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / size) if size > 1e-9 else 0.0


def _reach(curve: np.ndarray) -> float:
    return float(np.percentile(curve, 95) - np.percentile(curve, 5))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


# Scores and judges ----------------------------------------------------------------------------------------------------


def scores(scale: str, seed: int, names: tuple[str, ...] = (*SYSTEM_NAMES, *CONTROLS)) -> pd.DataFrame:
    """Vertex metrics and native controller errors of every system on every test clip."""
    return pd.concat([_cached(scale, seed, f"scores-{name}", lambda n=name: _scores(scale, seed, n)) for name in names],
                     ignore_index=True)


def _scores(scale: str, seed: int, name: str) -> pd.DataFrame:
    from tqdm.auto import tqdm

    rows = test_rows(material(scale, seed))
    bar = tqdm(rows.index, desc=f"measuring {name}, seed {seed}", unit="clip", leave=False)
    return pd.DataFrame([_score(scale, seed, name, int(clip)) for clip in bar])


def _score(scale: str, seed: int, name: str, clip: int) -> dict:
    rig, own = curves(scale, seed, name, clip), {}
    if name in FACED:
        data, shown = vertices(scale, seed, clip, rig)
        own = measures.score(data, clip, shown, emotions_of(data))
    return {**_about(rigged(scale, seed), name, clip), **own, **native(heard(scale, seed, clip), rig)}


def _about(data: Draw, name: str, clip: int) -> dict:
    return {"seed": data.seed, "system": name, **measures.factors(data, clip)}


def judged(scale: str, seed: int) -> pd.DataFrame:
    """What independent judges see of FACED in unseen clips, from `scores`; "truth" is the ceiling."""
    def seen(clip: int) -> dict:
        data, shown = vertices(scale, seed, clip, curves(scale, seed, "truth", clip))
        return {**_about(data, "truth", clip), "judge": _recognised(data, clip, shown, data.table.emotion[clip])}

    ceiling = _cached(scale, seed, "judged", lambda: pd.DataFrame([seen(clip) for clip in unseen(scale, seed)]))
    rows = scores(scale, seed, FACED)
    return pd.concat([rows[(rows.part == "unseen") & rows.judge.notna()][ceiling.columns], ceiling], ignore_index=True)


def _recognised(data: Draw, clip: int, shown: np.ndarray, emotion: str) -> float:
    landmarks = measures.cut(data).vertices(clip, shown)[:, : measures.LANDMARKS]
    return measures.recognised(data, clip, landmarks, emotion, emotions_of(data))


def unseen(scale: str, seed: int) -> list[int]:
    """Unseen clips among the test rows."""
    rows = test_rows(material(scale, seed))
    return [int(i) for i in rows[rows.part == "unseen"].index]


# Labels ---------------------------------------------------------------------------------------------------------------

LABELLED = ("emoface", "faceformer", RANDOM_LABEL)


def labels(scale: str, seed: int) -> pd.DataFrame:
    """Label asked for against the voice: own label and two others per unseen clip, systems LABELLED."""
    return _cached(scale, seed, "labels", lambda: pd.DataFrame(
        [row for clip in unseen(scale, seed) for requested in _requests(material(scale, seed), clip)
         for row in _asked(scale, seed, clip, requested)]))


def _requests(data: Draw, clip: int) -> list[str]:
    """The clip's own emotion and the two that follow in an order that depends on the clip."""
    others = [e for e in emotions_of(data) if e != data.table.emotion[clip]]
    return [data.table.emotion[clip], others[clip % len(others)], others[(clip + 1) % len(others)]]


def _asked(scale: str, seed: int, clip: int, requested: str) -> list[dict]:
    data = measured(scale, seed)
    exact = measures.exact_face(data, clip, requested, float(data.table.intensity[clip]))
    return [_obeyed(scale, seed, name, clip, requested, exact) for name in LABELLED]


def _obeyed(scale: str, seed: int, name: str, clip: int, requested: str, exact: np.ndarray) -> dict:
    """How far one system shows the requested emotion; a random label is one of all, drawn by clip and request."""
    data, system = measured(scale, seed), "emoface" if name == RANDOM_LABEL else name
    own, rng = data.table.emotion[clip], np.random.default_rng([seed, clip, EMOTIONS.index(requested)])
    given = str(rng.choice(emotions_of(data))) if name == RANDOM_LABEL else requested
    shown, kept = (_labelled(scale, seed, system, clip, label) for label in (given, own))
    row = {**_about(data, name, clip), "requested": requested, "conflict": requested != own,
           "swap_skill": swap_skill([shown], [exact], [kept])[0] if requested != own else np.nan,
           "judge": _recognised(data, clip, shown, requested)}
    if requested != measures.NEUTRAL:
        neutral, full = (measures.target(data, clip, e) for e in (measures.NEUTRAL, requested))
        row |= {"size": _size(data, shown), "size_truth": _size(data, exact)}
        row |= {"achieved": measures.achieved(data, shown, neutral, full),
                "achieved_truth": measures.achieved(data, exact, neutral, full)}
    return row


@lru_cache(maxsize=4096)
def _labelled(scale: str, seed: int, name: str, clip: int, label: str) -> np.ndarray:
    """Coefficients (T', K) of a system that is given a label for a clip."""
    return vertices(scale, seed, clip, _labelled_curves(scale, seed, name, clip, label))[1]


def _size(data: Draw, motion: np.ndarray) -> float:
    return float(np.linalg.norm(measures.within(data, "upper_face", motion)))


LEAST_CHANGE = 0.05              # of intensity, below which there is no reaction to time


def frame_labels(scale: str, seed: int) -> pd.DataFrame:
    """Label changed from neutral in the middle of unseen clips, emoface and emoface/code."""
    return _cached(scale, seed, "frame-labels", lambda: pd.DataFrame(
        [_switched(scale, seed, name, clip) for name in ("emoface", "emoface/code")
         for clip in unseen(scale, seed)]))


def _switched(scale: str, seed: int, name: str, clip: int) -> dict:
    """Intensity per frame on the axis of the clip's own emotion (of another one for neutral clips)."""
    trained, own = train(scale, seed, name), material(scale, seed).table.emotion[clip]
    others = [e for e in emotions_of(material(scale, seed)) if e != measures.NEUTRAL]
    wanted = own if own != measures.NEUTRAL else others[clip % len(others)]
    hidden = trained.data.hidden[clip]
    half = len(hidden) // 4
    course = np.repeat([EMOTIONS.index(measures.NEUTRAL), EMOTIONS.index(wanted)], [half, len(hidden) // 2 - half])
    data, shown = vertices(scale, seed, clip, trained.curves(hidden, np.eye(len(EMOTIONS))[course]))
    neutral, full = (measures.target(data, clip, e) for e in (measures.NEUTRAL, wanted))
    achieved = _intensity_per_frame(data, shown, neutral, full)
    quarter = len(achieved) // 4
    answered = abs(achieved[-quarter:].mean() - achieved[:quarter].mean()) > LEAST_CHANGE
    reaction = step_response(achieved, -(-half // trials.STRIDE[scale]), data.fps) if answered else {
        "delay_s": np.nan, "leak": np.nan}
    return {**_about(data, name, clip), "requested": wanted, **reaction}


def _intensity_per_frame(data: Draw, motion: np.ndarray, neutral: np.ndarray, full: np.ndarray) -> np.ndarray:
    """Projection (T,) of each frame on the true axis, in units of its mean squared length over the clip."""
    moved, axis = (measures.within(data, "upper_face", x).reshape(len(motion), -1)
                   for x in (motion - neutral, full - neutral))
    return (moved * axis).sum(1) / (axis**2).sum(1).mean()


SOURCES = {"true": 0.0, "10% wrong": 0.1, "40% wrong": 0.4, "wrong": 1.0}     # share of wrong labels


def label_sources(scale: str, seed: int) -> pd.DataFrame:
    """emoface with labels from several sources, and emotalk, which hears its own (source "voice"); all unseen clips.

    "audio": logistic regression on means and deviations of the acoustic features that EmoTalk also hears.
    """
    return _cached(scale, seed, "label-sources", lambda: _label_sources(scale, seed))


def _label_sources(scale: str, seed: int) -> pd.DataFrame:
    data = rigged(scale, seed)
    clips = data.rows("unseen").index
    recognised = dict(zip(clips, voice_emotions(rigged(scale, seed, "acoustic"), clips), strict=True))
    rows = []
    for clip in clips:
        own, chance = data.table.emotion[clip], np.random.default_rng([seed, clip]).random()
        others = [e for e in emotions_of(data) if e != own]
        given = {source: others[clip % len(others)] if chance < share else own for source, share in SOURCES.items()}
        given["audio"] = recognised[clip]
        rows += [_with_label(scale, seed, clip, source, label) for source, label in given.items()]
        rows.append(_with_own_ears(scale, seed, clip))
    return pd.DataFrame(rows)


def voice_emotions(data: Draw, clips: Sequence[int]) -> list[str]:
    """Emotions that a linear classifier hears in clips, from the acoustic features of a draw that has them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def pooled(rows: Sequence[int]) -> np.ndarray:
        heard = (data.hidden[i][:, -trials.ACOUSTIC_WIDTH :] for i in rows)
        return np.stack([np.concatenate([x.mean(0), x.std(0)]) for x in heard])

    train_rows = data.rows("train")
    listener = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
    return listener.fit(pooled(train_rows.index), train_rows.emotion).predict(pooled(clips)).tolist()


def _with_label(scale: str, seed: int, clip: int, source: str, given: str) -> dict:
    trained, data = train(scale, seed, "emoface"), rigged(scale, seed)
    return {**_about(data, "emoface", clip), "source": source, "given": given,
            "right": given == data.table.emotion[clip],
            **errors(data.motion[clip], trained.curves(data.hidden[clip], given))}


def _with_own_ears(scale: str, seed: int, clip: int) -> dict:
    trained, data = train(scale, seed, "emotalk"), rigged(scale, seed)
    heard_as = trained.recognise(trained.data.hidden[clip])
    return {**_about(data, "emotalk", clip), "source": "voice", "given": heard_as,
            "right": heard_as == data.table.emotion[clip],
            **errors(data.motion[clip], curves(scale, seed, "emotalk", clip))}


# Quiet, long, autoregressive ------------------------------------------------------------------------------------------

DIP_DB, DIP = 25.0, (0.35, 0.65)         # how far the level falls, and where in the clip


def quiet(scale: str, seed: int) -> pd.DataFrame:
    """Unseen clips with a dip of level over spoken words."""
    return _cached(scale, seed, "quiet", lambda: pd.DataFrame(
        [row for clip in unseen(scale, seed) for row in _hushed(scale, seed, clip)]), DIP_DB, DIP)


def _hushed(scale: str, seed: int, clip: int) -> list[dict]:
    data, made = rigged(scale, seed), heard(scale, seed, clip).made
    truth = data.motion[clip]
    features = foundation(scale).features(_dipped(made.audio))
    hidden = to_video_rate(features, len(truth), data.fps)
    within = slice(*(round(share * len(truth)) for share in DIP))
    out = []
    for name in QUIET:
        loud = curves(scale, seed, name, clip)
        soft = loud if name == ZERO else train(scale, seed, name).curves(hidden, data.table.emotion[clip])
        row = {f"mae_{level}": errors(truth[within], rig[within], ("mae_mouth",))["mae_mouth"]
               for level, rig in (("quiet", soft), ("loud", loud))}
        actor = made.spec.actor
        reach = _reach(lip_opening(truth[within], actor))
        row |= {f"amplitude_{level}": _reach(lip_opening(rig[within], actor)) / reach
                for level, rig in (("quiet", soft), ("loud", loud))}
        out.append({**_about(data, name, clip), **row})
    return out


def _dipped(audio: np.ndarray) -> np.ndarray:
    """The waveform (N,) with its middle DIP_DB lower, faded over 50 ms at 16 kHz."""
    at = np.arange(len(audio)) / len(audio)
    fade = 800 / len(audio)
    low = np.clip((at - DIP[0]) / fade, 0, 1) * np.clip((DIP[1] - at) / fade, 0, 1)
    return (audio * 10 ** (-DIP_DB / 20 * low)).astype(np.float32)


def long_clips(scale: str, seed: int) -> pd.DataFrame:
    """Clips of an unseen speaker and emotion in one run, over and over until it is long: emoface, no-pe and code."""
    data = rigged(scale, seed)
    wanted = LONGER * np.median([len(data.motion[i]) for i in data.rows("train").index])

    def joined(name: str, clips: list[int]) -> dict:
        trained, clips = train(scale, seed, name), _until(data, clips, wanted)
        hidden, truth = (np.concatenate([x[i] for i in clips]) for x in (data.hidden, data.motion))
        apart = np.concatenate([curves(scale, seed, name, i) for i in clips])
        return {**_about(data, name, clips[0]), "frames": len(truth),
                **errors(truth, trained.curves(hidden, data.table.emotion[clips[0]])),
                "mae_full_apart": errors(truth, apart)["mae_full"]}

    groups = data.rows("unseen").groupby(["actor", "emotion"]).groups.values()
    return _cached(scale, seed, "long", lambda: pd.DataFrame(
        [joined(name, list(clips)) for name in ("emoface", "emoface/no-pe", "emoface/code") for clips in groups]))


def _until(data: Draw, clips: list[int], frames: float) -> list[int]:
    """The clips again and again until they last a number of frames."""
    total = sum(len(data.motion[i]) for i in clips)
    lengths = np.cumsum([len(data.motion[i]) for i in clips * int(np.ceil(frames / total))])
    return (clips * int(np.ceil(frames / total)))[: int(np.searchsorted(lengths, frames)) + 1]


def past(scale: str, seed: int) -> pd.DataFrame:
    """Autoregressive decoders that see fewer own frames, beside emoface."""
    def measure(name: str, clip: int) -> dict:
        data, rig = rigged(scale, seed), curves(scale, seed, name, clip)
        moving, frames = metahuman.columns("mouth and jaw"), (SYSTEMS | trials.PAST)[name].past
        visible = -1 if frames is None else frames
        return {**_about(data, name, clip), "past": np.nan if name == "emoface" else visible,
                **errors(data.motion[clip], rig), "jerk": jerk_ratio(rig[:, moving], data.motion[clip][:, moving])}

    return _cached(scale, seed, "past", lambda: pd.DataFrame(
        [measure(name, clip) for name in ("emoface", *PAST) for clip in unseen(scale, seed)]))


# What a frame depends on ----------------------------------------------------------------------------------------------


def axis(scale: str, seed: int) -> pd.DataFrame:
    """What a frame of the output depends on: emoface and emoface/code, trained weights and published size."""
    return _cached(scale, seed, "axis", lambda: _axis(scale, seed))


def _axis(scale: str, seed: int) -> pd.DataFrame:
    from lib.bench import random_model

    data, out = rigged(scale, seed), []
    hidden = torch.from_numpy(data.hidden[unseen(scale, seed)[0]])[None, ::2]
    for name, published in (("emoface", network.PAPER), ("emoface/code", network.CODE)):
        generator = torch.Generator().manual_seed(seed)
        fresh = random_model(lambda sizes=published: network.EmoFace(replace(sizes, wav2vec2=None)), generator)
        noise = torch.randn(1, 60, fresh.config.audio_width, generator=generator)
        out += [{"seed": seed, "system": name, "weights": "trained",
                 **dependence(train(scale, seed, name).model, hidden, generator)},
                {"seed": seed, "system": name, "weights": "random", **dependence(fresh, noise, generator)}]
    return pd.DataFrame(out)


@torch.no_grad()
def dependence(model: network.EmoFace, hidden: torch.Tensor, generator: torch.Generator) -> dict[str, float]:
    """Number of weights, and largest changes of the output (1, T, D) when something else than its own frame changes.

    other_frames: of all frames but the one whose features changed. permutation: between the output of shuffled frames
    and the shuffled output. positions: all encodings but the first replaced by noise. queries: query and key weights
    of every layer drawn anew.
    """
    def answer(model: network.EmoFace, hidden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        label = model.emotion(model.embed.weight[:1])
        return model.out_fn(model.over_frames(model.in_fn(hidden) + positions + label))[0]

    frames, middle = hidden.shape[1], hidden.shape[1] // 2
    positions = model.positions(hidden)
    before = answer(model, hidden, positions)
    changed, order = hidden.clone(), torch.randperm(frames, generator=generator)
    changed[:, middle] += torch.randn(hidden.shape[-1], generator=generator) * hidden.std()
    elsewhere = torch.arange(frames) != middle
    noise = torch.cat([positions[:1], torch.randn(positions[1:].shape, generator=generator)])
    after = {"other_frames": (answer(model, changed, positions) - before)[elsewhere],
             "permutation": answer(model, hidden[:, order], positions) - before[order],
             "positions": answer(model, hidden, noise) - before,
             "queries": answer(_other_queries(model, generator), hidden, positions) - before}
    return {"parameters": sum(p.numel() for p in model.parameters())} | {
        name: float(change.abs().max()) for name, change in after.items()}


def _other_queries(model: network.EmoFace, generator: torch.Generator) -> network.EmoFace:
    model = deepcopy(model)
    for layer in model.encoder.layers:
        rows = layer.self_attn.in_proj_weight[: 2 * model.config.width]
        rows.copy_(torch.randn(rows.shape, generator=generator) * rows.std())
    return model


# Eyes -----------------------------------------------------------------------------------------------------------------

BLINK_DEPTH = 0.4                # prominence of a closing of the lids that counts as a blink
LAW, LAW_RUN_UP_S = "law", 20.0                            # the sampler at rest
BLINKING = ("truth", *EYED, "emoface~blink=paper", "emoface~blink=code", "faceformer~blink=paper", LAW)
SACCADE_SPEED, HOLD_SPEED = 1.0, 0.3                       # of the gaze columns, per second


def blinks(scale: str, seed: int) -> pd.DataFrame:
    """Blinks counted in the lid controllers of unseen clips."""
    def row(name: str, clip: int) -> dict:
        data, rig = rigged(scale, seed), _eyed(scale, seed, name, clip)
        return {**_about(data, name, clip), "blinks": len(blink_frames(rig)), "minutes": len(rig) / data.fps / 60}

    return _cached(scale, seed, "blinks", lambda: pd.DataFrame(
        [row(name, clip) for name in BLINKING for clip in material(scale, seed).rows("unseen").index]))


def blink_intervals(scale: str, seed: int) -> pd.DataFrame:
    """Waits between blinks, and from the last blink to the end of a clip (censored)."""
    def waits(name: str, clip: int) -> list[dict]:
        data, rig = rigged(scale, seed), _eyed(scale, seed, name, clip)
        found = blink_frames(rig)
        ends = np.r_[found, len(rig)][1:] if len(found) else found
        return [{**_about(data, name, clip), "interval_s": (end - start) / data.fps, "censored": end == len(rig)}
                for start, end in zip(found, ends, strict=True)]

    return _cached(scale, seed, "blink-intervals", lambda: pd.DataFrame(
        [row for name in BLINKING for clip in material(scale, seed).rows("unseen").index
         for row in waits(name, clip)]))


def _eyed(scale: str, seed: int, name: str, clip: int) -> np.ndarray:
    """Controllers of a system; "~...=profile" adds smoothing, blinks and gaze of that profile of lib/face/eyes."""
    if name == LAW:
        return _at_rest(rigged(scale, seed), clip)
    system, _, way = name.partition("~")
    rig = curves(scale, seed, system, clip)
    if not way:
        return rig
    profile = {"paper": eyes.PAPER, "code": eyes.CODE}[way.rpartition("=")[2]]
    return eyes.finish(rig, np.random.default_rng([seed, clip]), profile, rigged(scale, seed).fps)


def _at_rest(data: Draw, clip: int) -> np.ndarray:
    """A still face (T, 174) with the blinks of the paper's sampler, which began long before the clip."""
    frames, before = len(data.motion[clip]), round(LAW_RUN_UP_S * data.fps)
    still = np.zeros((before + frames, trials.CONTROLLERS), np.float32)
    draws = eyes.rates(np.random.default_rng([data.seed, clip, 1]), eyes.PAPER.blink)
    onsets = eyes.blink_onsets(draws, len(still), eyes.PAPER.blink, data.fps)
    return eyes.add_blinks(still, onsets, metahuman.BLINK, data.fps)[before:]


def blink_frames(rig: np.ndarray) -> np.ndarray:
    """Frames at which the lids are most closed in each blink of controllers (T, 174)."""
    from scipy.signal import find_peaks

    lids = rig[:, list(metahuman.BLINK)].mean(1)
    return find_peaks(np.r_[0, lids, 0], prominence=BLINK_DEPTH)[0] - 1


def gaze(scale: str, seed: int) -> pd.DataFrame:
    """How the eyes move in unseen clips: truth, trained systems, sampled gaze and a linear regressor.

    "regressor/tied" and "truth/tied" are of a gaze that follows loudness: what can be learned when there is a relation.
    """
    return _cached(scale, seed, "gaze", lambda: _gaze(scale, seed))


def _gaze(scale: str, seed: int) -> pd.DataFrame:
    data, clips = rigged(scale, seed), unseen(scale, seed)
    names = ("truth", *EYED, "emoface~gaze=paper", "emoface~gaze=code", "faceformer~gaze=paper")
    paths = {name: [_eyed(scale, seed, name, clip)[:, list(metahuman.GAZE)] for clip in clips] for name in names}
    paths |= _regressed(scale, seed, clips)
    out = []
    for name, found in paths.items():
        truths = paths["truth/tied" if name.endswith("tied") else "truth"]
        for i, (clip, path) in enumerate(zip(clips, found, strict=True)):
            others = [_path_correlation(path, other) for j, other in enumerate(found) if j != i]
            out.append({**_about(data, name, clip), "sd_ratio": amplitude_ratio(path, truths[i]),
                        "between_clips": float(np.mean(others)), **_movement(path, data.fps)})
    return pd.DataFrame(out)


def _path_correlation(one: np.ndarray, other: np.ndarray) -> float:
    frames = min(len(one), len(other))
    return float(np.mean([correlation(one[:frames, i], other[:frames, i]) for i in range(2)]))


def _movement(path: np.ndarray, fps: int) -> dict[str, float]:
    """Saccades per minute and the longest time without movement of a gaze path (T, 2)."""
    speed = np.linalg.norm(np.diff(path, axis=0), axis=1) * fps
    saccades = np.count_nonzero(np.diff(np.r_[False, speed > SACCADE_SPEED].astype(int)) == 1)
    still = np.flatnonzero(np.r_[True, speed > HOLD_SPEED, True])
    return {"saccades_per_minute": saccades / (len(path) / fps / 60), "longest_hold_s": np.diff(still).max() / fps}


REGRESSED_CLIPS, CONTEXT = 60, 5                            # training clips; frames to either side


def _regressed(scale: str, seed: int, clips: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """Gaze by ridge regression on speech features around each frame, free and tied to loudness."""
    from sklearn.linear_model import Ridge

    data = rigged(scale, seed)
    taught = data.rows("train").index.to_numpy()[:: max(1, len(data.rows("train")) // REGRESSED_CLIPS)]
    inputs = {clip: _around(data.hidden[clip][::2]) for clip in (*taught, *clips)}
    free = {clip: data.motion[clip][:, list(metahuman.GAZE)] for clip in inputs}
    tied = {clip: _tied_gaze(data, clip) for clip in inputs}
    out = {"truth/tied": [tied[clip] for clip in clips]}
    for name, target in (("regressor", free), ("regressor/tied", tied)):
        model = Ridge(alpha=100.0).fit(*(np.concatenate([x[clip] for clip in taught]) for x in (inputs, target)))
        out[name] = [model.predict(inputs[clip]) for clip in clips]
    return out


def _around(hidden: np.ndarray) -> np.ndarray:
    """Features (T, 3 C) of each frame and of those CONTEXT before and after it."""
    at = np.arange(len(hidden))[:, None] + np.array([-CONTEXT, 0, CONTEXT])
    return hidden[at.clip(0, len(hidden) - 1)].reshape(len(hidden), -1)


def _tied_gaze(data: Draw, clip: int) -> np.ndarray:
    """A gaze (T, 2) that looks up while the voice is loud and down in pauses."""
    from lib.puppet.corpus import MASTER_FPS, speech_activity

    activity = speech_activity(corpus(data.scale)[data.table.position[clip]].audio)
    at = np.arange(len(data.motion[clip])) / data.fps * MASTER_FPS
    level = np.interp(at, np.arange(len(activity)), activity)
    return np.stack([0.1 * (level - 0.5), 0.3 * (level - 0.5)], 1)


LANDMARK_NOISE_MM = (0.4, 0.9, 1.6)                         # per coordinate, of a good to a poor detector
DETECTED_WITHIN_S = 0.35         # of a blink's onset
THRESHOLDS = np.linspace(0.05, 0.4, 36)


def blink_detection(scale: str, seed: int) -> pd.DataFrame:
    """Blinks found in eye aspect ratios of noisy landmarks; trained on training speakers, tested on unseen ones."""
    return _cached(scale, seed, "blink-detection", lambda: _blink_detection(scale, seed))


def _blink_detection(scale: str, seed: int) -> pd.DataFrame:
    data = material(scale, seed)
    return pd.DataFrame([_found(data, name, detect, clip, noise_mm) for noise_mm in LANDMARK_NOISE_MM
                         for name, detect in _detectors(data, noise_mm).items() for clip in unseen(scale, seed)])


def _detectors(data: Draw, noise_mm: float) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions from eye aspect ratios (T,) to shut frames (T,), taught on training speakers at one level of noise."""
    rows = data.rows("train").index.to_numpy()
    taught = [_ratios(data, clip, noise_mm) for clip in rows[:: max(1, len(rows) // REGRESSED_CLIPS)]]
    windows = [np.lib.stride_tricks.sliding_window_view(ratios, eyes.WINDOW) for ratios, _, _ in taught]
    shut = [closed[eyes.WINDOW // 2 : -(eyes.WINDOW // 2)] for _, closed, _ in taught]
    joined, closed = np.concatenate(windows), np.concatenate(shut)
    machine = eyes.train_detector(joined[~closed][::10], joined[closed])
    tuned = max(THRESHOLDS, key=lambda at: _f1([_detected(eyes.below_threshold(ratios, at), onsets)
                                                for ratios, _, onsets in taught]))
    return {"svm": machine.closed, "threshold": eyes.below_threshold,
            "threshold/tuned": lambda ratios: eyes.below_threshold(ratios, tuned)}


def _found(data: Draw, name: str, detect: Callable[[np.ndarray], np.ndarray], clip: int, noise_mm: float) -> dict:
    ratios, _, onsets = _ratios(data, clip, noise_mm)
    hits, misses, false = _detected(detect(ratios), onsets)
    about = {key: value for key, value in _about(data, name, clip).items() if key != "system"}
    return {**about, "system": name, "noise_mm": noise_mm, "detector": name, "hits": hits, "misses": misses,
            "false": false, "minutes": len(ratios) / 30 / 60}


@lru_cache(maxsize=1024)
def _ratios(data: Draw, clip: int, noise_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eye aspect ratios (T,) of noisy landmarks at 30 fps, whether the lids are over half shut, onsets in frames."""
    from lib.puppet.nuisance import lid_closure

    made = corpus(data.scale)[data.table.position[clip]]
    points = made.landmarks(30)
    noise = np.random.default_rng([data.seed, clip]).normal(0, noise_mm, points.shape)
    closure = lid_closure(tuple(made.blinks), np.arange(len(points)) / 30)
    return eyes.eye_aspect_ratio((points + noise)[..., :2]), closure > 0.5, np.asarray(made.blinks) * 30


def _detected(closed: np.ndarray, onsets: np.ndarray) -> tuple[int, int, int]:
    """Blinks found, missed and invented; one that is under way at either end of the clip counts for nothing."""
    spans, reach = eyes.blinks(closed), DETECTED_WITHIN_S * 30
    inside = onsets[onsets < len(closed) - reach]
    matched = [any(start < onset + reach and stop > onset for start, stop in spans) for onset in inside]
    false = [not (np.abs((start + stop) / 2 - onsets) < reach).any() for start, stop in spans
             if start > 0 and stop < len(closed)]
    return sum(matched), len(matched) - sum(matched), sum(false)


def _f1(counts: list[tuple[int, int, int]]) -> float:
    hits, misses, false = np.sum(counts, 0)
    return 2 * hits / max(2 * hits + misses + false, 1)


# Corpus, language -----------------------------------------------------------------------------------------------------


def symmetry(scale: str, seed: int) -> pd.DataFrame:
    """Left and right controllers moving together, in the twins that both move in the truth of an unseen clip."""
    def together(name: str, clip: int) -> dict:
        data, rig = rigged(scale, seed), curves(scale, seed, name, clip)
        spread = data.motion[clip].std(0)
        moving = np.flatnonzero(np.minimum(spread[metahuman.LEFT], spread[metahuman.RIGHT]) > ACTIVE_ABOVE)
        pairs = [correlation(rig[:, metahuman.LEFT[i]], rig[:, metahuman.RIGHT[i]]) for i in moving]
        return {**_about(data, name, clip), "lr_correlation": float(np.mean(pairs))}

    return _cached(scale, seed, "symmetry", lambda: pd.DataFrame(
        [together(name, clip) for name in ("truth", "control/oracle", "emoface", "emoface/code", "faceformer")
         for clip in unseen(scale, seed)]))


def coverage(scale: str, seed: int) -> pd.DataFrame:
    """Phonemes of the training sentences per emotion, out of those of the whole bank."""
    def heard_in(rows: pd.DataFrame) -> set[str]:
        return {p.label.strip("ˈˌ") for i in rows.position for p in corpus(scale)[i].phonemes} - {""}

    def table() -> pd.DataFrame:
        data = material(scale, seed)
        known, rows = heard_in(data.table), data.rows("train")
        counts = {e: len(heard_in(rows[rows.emotion == e])) for e in emotions_of(data)}
        return pd.DataFrame([{"seed": seed, "emotion": e, "phonemes": n, "known": len(known), "share": n / len(known)}
                             for e, n in counts.items()])

    return _cached(scale, seed, "coverage", table)


MANDARIN = ("emoface", "emoface/code", "emoface/no-pretrain", "faceformer", ZERO, MEAN, "control/oracle")
MANDARIN_CLIPS = {"smoke": 2, "laptop": 14, "paper": 84}


def mandarin(scale: str, seed: int) -> pd.DataFrame:
    """Systems trained on English, tested on Mandarin sentences of unseen speakers."""
    return _cached(scale, seed, "mandarin", lambda: pd.DataFrame(
        [row for number in range(MANDARIN_CLIPS[scale]) for row in _in_mandarin(scale, seed, number)]))


def _in_mandarin(scale: str, seed: int, number: int) -> list[dict]:
    from lib.puppet.sentences import ids
    from lib.puppet.spec import ClipSpec

    data, bank = rigged(scale, seed), ids("zh-main")
    actors, emotions = sorted(data.rows("unseen").actor.unique()), emotions_of(data)
    spec = ClipSpec(int(actors[number % len(actors)]), emotions[number % len(emotions)], 0.8,
                    bank[(number + 3 * seed) % len(bank)], seed=seed)
    made = synthesise(spec)
    truth = to_metahuman(made.rig_at(data.fps))
    other = np.resize(data.motion[unseen(scale, seed)[0]], truth.shape)
    case = Heard(truth, other, made, deviation(scale, seed), data.fps)
    return [{"seed": seed, "system": name, "part": "mandarin", "clip": spec.id, "speaker": spec.actor,
             "emotion": spec.emotion, "intensity": spec.intensity, **native(case, _foreign(scale, seed, name, case))}
            for name in MANDARIN]


def _foreign(scale: str, seed: int, name: str, case: Heard) -> np.ndarray:
    """Controllers (T, 174) for a clip that is not in the draw."""
    frames, data = len(case.truth), rigged(scale, seed)
    if name == ZERO:
        return np.zeros_like(case.truth)
    if name == MEAN:
        return np.tile(controls(data).mean_motion, (frames, 1))
    if name == "control/oracle":
        return to_metahuman(case.made.rig_at(data.fps, audible=True))
    encoder = foundation(scale) if SYSTEMS[name].features == "taught" else trials.untaught(scale, seed)
    hidden = to_video_rate(encoder.features(case.made.audio), frames, data.fps)
    return train(scale, seed, name).curves(hidden, case.made.spec.emotion)


# Without seed ---------------------------------------------------------------------------------------------------------

TIMED = {"smoke": (2, (0.5, 1.0)), "laptop": (4, (2.0, 5.0)), "paper": (20, (1.0, 2.0, 4.0, 8.0, 16.0))}
TINY = replace(network.PAPER, audio_width=32, width=32, layers=2, heads=4, ffn=64,
               wav2vec2=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
                             conv_dim=[32] * 7))


def timings(scale: str) -> pd.DataFrame:
    """Seconds per synthesis on one CPU thread at published size: systems emoface, emoface/code, emoface/ar-decoder;
    stages "speech" (encoder of speech, shared) and "decoder"; one row per length and run.

    Random weights, which cost the same; the loop keeps keys and values, so it is faster than one that does not.
    """
    key = code_digest("lib.models.emoface", "lib.models.parts", "lib.experiments.emoface_measures")
    return cached_table(run_folder("emoface", "timing", scale, TIMED[scale], key) / "timing.csv",
                        lambda: _timings(scale))


@torch.no_grad()
def _timings(scale: str) -> pd.DataFrame:
    from lib.bench import fixed_threads, noise, random_model

    (runs, lengths), sizes, rows = TIMED[scale], TINY if scale == "smoke" else network.PAPER, []
    generator = torch.Generator().manual_seed(0)
    sizes_of = {"emoface": sizes, "emoface/code": replace(sizes, attention="frame"),
                "emoface/ar-decoder": replace(sizes, decoder="autoregressive")}
    models = {name: random_model(lambda c=c: network.EmoFace(replace(c, wav2vec2=None)), generator)
              for name, c in sizes_of.items()}
    speech = random_model(lambda: network.EmoFace(replace(sizes, layers=1)), generator)
    with fixed_threads(1):
        for length in lengths:
            audio = noise(length, 0)
            for run in range(-1, runs):                                            # the first one warms up
                hidden, seconds = _clocked(speech.encode_audio, audio)
                took = {("speech", "speech"): seconds} | {
                    (name, "decoder"): _clocked(model.decode, hidden, torch.tensor([3]))[1]
                    for name, model in models.items()}
                rows += [{"system": name, "stage": stage, "length_s": length, "run": run, "seconds": seconds}
                         for (name, stage), seconds in took.items() if run >= 0]
    return pd.DataFrame(rows)


def _clocked(work: Callable, *arguments) -> tuple:
    start = perf_counter()
    result = work(*arguments)
    return result, perf_counter() - start


SHORT_CLIPS = (90, 120, 150, 165)        # frames at 30 fps: lengths of MEAD sentences, the longest interval fits


def blink_laws() -> pd.DataFrame:
    """The published law of blinks and refits from the published intervals; fits "printed", "published recipe", "whole
    intervals" (nothing dropped), "short clips" (as cut by videos of SHORT_CLIPS frames, an assumption)."""
    from lib.data.emoface import blink_intervals as published

    frames = published()
    laws = {"printed": eyes.BlinkLaw(), "published recipe": eyes.published_law(frames),
            "whole intervals": eyes.law_of_intervals(frames),
            "short clips": eyes.law_of_clips(frames, np.array(SHORT_CLIPS))}
    dropped = float(np.mean(1800 / frames > eyes.HIGHEST_RATE))
    return pd.DataFrame([{"fit": name, "mu": law.mu, "sigma": law.sigma, "mean_rate": law.mean_rate,
                          "per_minute": law.per_minute, "dropped": dropped} for name, law in laws.items()])


def quoted_rates() -> tuple[float, float]:
    """Blinks per minute that the paper quotes from the literature (claims.yaml, emoface-17)."""
    values = by_id(load(), "emoface-17").entry["paper_values"]
    return values["computed"]["quoted_second_mean"], values["b"]["blinks_per_minute"]


CENSORED = {"smoke": (2, 300), "laptop": (8, 600), "paper": (50, 2000)}         # runs, clips


def censoring(scale: str) -> pd.DataFrame:
    """Known laws of blinks cut into clips of 3 to 5 s and refitted; fits "published recipe" and "short clips"."""
    runs, clips = CENSORED[scale]
    key = code_digest("lib.face.eyes", "lib.experiments.emoface_measures")
    path = run_folder("emoface", "censoring", scale, quoted_rates(), key) / "censoring.csv"
    return cached_table(path, lambda: pd.DataFrame(
        [row for run in range(runs) for rate in quoted_rates() for row in _refitted(run, rate, clips)]))


def _refitted(run: int, rate: float, clips: int) -> list[dict]:
    """A law whose blinks per minute, counted, are `rate`; intervals as the released program counts them."""
    rng, sigma = np.random.default_rng([run, round(10 * rate)]), eyes.BlinkLaw().sigma
    law = eyes.BlinkLaw(float(np.log(rate) + sigma**2 / 2), sigma)
    lengths = rng.integers(90, 151, clips)
    found = np.concatenate([_recorded(rng, law, frames) for frames in lengths])
    fits = {"published recipe": eyes.published_law(found), "short clips": eyes.law_of_clips(found, lengths)}
    return [{"run": run, "true_per_minute": law.per_minute, "clip_s": lengths.mean() / 30, "fit": name,
             "per_minute": fit.per_minute, "mean_rate": fit.mean_rate} for name, fit in fits.items()]


def _recorded(rng: np.random.Generator, law: eyes.BlinkLaw, frames: int) -> np.ndarray:
    """Intervals in frames that a clip records of a process that has run for long."""
    onsets = np.cumsum(1800 / rng.lognormal(law.mu, law.sigma, 60)) - rng.uniform(600, 1200)
    inside = onsets[(onsets >= 0) & (onsets < frames)]
    return np.diff(np.r_[0, inside]).round().clip(1)


def published_clip() -> pd.DataFrame:
    """Errors of trivial rigs on the one published recording; raises AssetMissing without it.

    "zero": all controllers at rest. "median": each at its median over the clip, the least error of a rig that stands
    still. "smoothed": the truth itself after the filter, the least error left by smoothing.
    """
    from lib.data.emoface import clips

    truth = next(clip.motion for clip in clips() if clip.motion is not None)
    rigs = {"zero": np.zeros_like(truth), "median": np.broadcast_to(np.median(truth, 0), truth.shape),
            "smoothed": eyes.smooth(truth)}
    return pd.DataFrame([{"area": area, "columns": len(metahuman.columns(area)), "rig": name, "frames": len(truth),
                          "mae": float(rig_error(rig, truth, controllers=metahuman.columns(area)).mean())}
                         for area in metahuman.AREAS for name, rig in rigs.items()])


def facegood(scale: str) -> pd.DataFrame:
    """Real recordings: the same networks on FACEGOOD, takes left out in turn (TAKES of them); blocks are clips.

    `seed` is that of the weights. Raises AssetMissing without the recordings.
    """
    takes = trials.facegood_takes(scale)[-trials.TAKES[scale] :]
    tables = [_real(scale, seed, take) for seed, take in enumerate(takes)]
    return pd.concat(tables, ignore_index=True)


def _real(scale: str, seed: int, take: str) -> pd.DataFrame:
    data = trials.facegood(scale, seed, take)
    return measures.cached("emoface", data, "facegood", lambda: pd.DataFrame(
        [_real_score(data, name, clip) for name in (*trials.REAL, ZERO, MEAN) for clip in data.rows("unseen").index]),
        seed, modules=OWN)


def _real_score(data: Draw, name: str, clip: int) -> dict:
    from lib.data.facegood import NAMES

    truth, row = data.motion[clip], data.table.loc[clip]
    rig = _real_curves(data, name, clip)
    areas = {area: [i for i, column in enumerate(NAMES) if column.startswith(part)]
             for area, part in (("mae_mouth", "mouth"), ("mae_eyes", "eye"))}
    still = not np.ptp(rig, axis=0).any()
    return {"seed": data.seed, "system": name, "take": row["take"], "block": row.block,
            "mae_full": float(rig_error(rig, truth).mean()),
            "mae_active": float(rig_error(rig, truth, active_above=ACTIVE_ABOVE).mean()),
            **{area: float(rig_error(rig, truth, controllers=chosen).mean()) for area, chosen in areas.items()},
            "jerk": 0.0 if still else jerk_ratio(rig, truth)}


def _real_curves(data: Draw, name: str, clip: int) -> np.ndarray:
    if name == ZERO:
        return np.zeros_like(data.motion[clip])
    if name == MEAN:
        known = np.concatenate([data.motion[i] for i in data.rows("train").index])
        return np.tile(known.mean(0), (len(data.motion[clip]), 1))
    trained = trials.train_real(data.scale, data.seed, name, data.table["take"][clip])
    return trained.curves(data.hidden[clip], "neutral")
