"""What is measured on the systems of paper 001: one table per question, one row per clip unless a line says otherwise.

Tables are functions of (scale, seed), cached by name. Systems hand over coefficients of the draw's basis at 30 fps
(lib/experiments/ecm.py); distances are millimetres, on clips of unseen speakers with unseen sentences (`tested`). Every
table has `seed`; those per clip have system, part ("unseen"), clip, speaker, emotion, intensity (of the clip).

A system's name may end in `~module=off` (same weights, Audio2FLAME alone, no emotion) or `~command=heard` (nobody asks:
the emotion is the one that the predictor hears). Without it the system is asked for the clip's own emotion and
intensity; controls around ECM are driven in the same way. `control/mean-face` is told both too and answers with the
mean face of such training clips.

    scores           the columns of every paper's score file for systems WHOLE, without those of every vertex for
                     DYNAMIC, intensity, upper_mm and upper_jerk_ratio for the rest, which are measured on the clips
                     they are compared on (`clips_for`); then NATIVE columns:
                     lip_<form>_mean, lip_<form>_max   lip movement error, mean and largest of 20 lip landmarks, mean
                                        over frames; forms LIP_FORMS: a released (frame 0 moved to the template, for
                                        ECM's own meshes alone; every frame aligned on landmarks), b no alignment,
                                        c as a without that move, d rigid on the upper face
                     lip_content        form b after the clip mean of every point is taken from both sides
                     mouth_height, mouth_width   mean |difference| of lip-to-lip and corner-to-corner distance
                     sync               correlation of lip opening with the truth less that with another clip's truth
                     sync_truth         the same of the truth (1 less its correlation with the other clip)
    speaker_ids      id (of a training speaker), LIP columns: FaceFormer on neutral clips under every id
    wild             sound ("clean", "noise", "reverb"), LIP columns; systems WILD, speech-only
    style_sources    style ("own", "shuffled" frames of the clip, "other clip" of the speaker, "foreign" speaker), LIP
                     columns; systems STYLED, speech-only
    control          formula ("paper", "first-commit", "head"), asked (emotion), level (0, .125 ... 1), achieved (1 =
                     full true intensity), lips, others (cross-talk, shares of the change from level 0): every
                     non-neutral emotion, systems CONTROLLED
    steps            emotion, step_error: what the motion basis makes of a step of achieved intensity on exact faces
    lip_cost         level (0, .5, 1), lip_b_mean, lip_content, sync, sync_truth against the exact face of that level
                     of the clip's own emotion; systems COSTED, non-neutral clips
    facial_measures  asked ("fearful", "happy"), level (.5, .75, 1), opening, corner, cheek: mean over frames in shares
                     of the face height, corner and cheek upwards; systems "ecm", "ecm/code", "control/oracle"
    frame_control    formula, asked, leak_outside (change beyond 10 frames outside the edited span over that inside),
                     delay_frames (to half of the step), irreversibility; systems CONTROLLED, "control/oracle",
                     "control/random-init"
    recognition      asked, judge ("statistics", "course": independent; "prior": the recogniser that supplied the
                     priors), rule ("clip" for the independent; "majority", "median", "released" for the other),
                     predicted, right (0 or 1): six emotions of CREMA-D at intensity 1, systems RECOGNISED, "gt" (exact
                     face of full intensity). "ecm/code~sad=4" asks sadness at 4, as released
    priors           prior_correlation (prior heard in the sound and prior of the true image, over frames and classes,
                     each less the training mean of its class), prior_raw (without taking the means away: a prior that
                     never changes correlates too), system each of PRIORED, "control/mean-prior" (never changes)
    residual         region ("whole", "lips", "upper_face"), factor ("emotion", "content", "identity", "nuisance";
                     "random-label": emotion share under another label), share of the residual of ecm~module=off;
                     shares of the first four sum to 1; emotional clips
    transfer         receiver (actor), case ("separable", "interacting"), error_mm, static_mm, mean_motion_mm (of the
                     receiver's other clips), transfer_skill: expression parameters of the clip's truth on another head
    linearity        value ("logit", "probability", "difference"), emotion, speaker, slope, r2_line, r2_quadratic,
                     spearman: one row per unseen actor of the recogniser; seed is that of the recogniser

Without seed: `unequal_variances` (ratio, r2_line, spearman), `crowd` (CREMA-D: actor, emotion, level, share, log_odds,
rated), `architecture` (profile, part, weights, inputs, printed).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from lib import claims
from lib.data import cremad
from lib.experiments import measures
from lib.experiments.draw import Draw, corpus
from lib.experiments.ecm import (
    CODE,
    FPS,
    MODELS,
    NEUTRAL,
    SIZES,
    SYSTEMS,
    Material,
    System,
    Trained,
    asked,
    disturbed,
    given_logits,
    heard,
    image_logits,
    material,
    mean_face,
    normaliser,
    train,
    untrained,
    window_of,
)
from lib.experiments.measures import LANDMARKS, Controls, cut, exact_points, region_scores, truth, whole_face
from lib.labels import COMMON
from lib.metrics import LipPoints, jerk_ratio, lip_movement_error, lip_opening, lip_width, moved_to_template
from lib.models import ecm
from lib.priors import frame_recogniser, intensity_sweep, logit_linearity, sweep_specs
from lib.probes import irreversibility
from lib.study import cached_table, code_digest, run_folder

LIP_FORMS = ("a", "b", "c", "d")
LIP = tuple(f"lip_{form}_{how}" for form in LIP_FORMS for how in ("mean", "max"))
NATIVE = (*LIP, "lip_content", "mouth_height", "mouth_width", "sync", "sync_truth")
VARIANTS = ("ecm", "ecm/code", "ecm/no-lvx", "ecm/no-llm", "ecm/no-style", "ecm/no-residual", "ecm/vocaset-only",
            "ecm/vocaset-only,short", "ecm/with-lrs2", "ecm/exact-prior", "ecm/audio-prior", "ecm/noisy-prior=0.1",
            "ecm/noisy-prior", "ecm/noisy-prior=0.5", "ecm/gru", "ecm/no-prior-smoothing")
SPOKEN = (*VARIANTS[:9], "ecm/code/no-lvx", "ecm/code/no-llm")       # the others differ in the module alone
OFF = "~module=off"
HEARD = "~command=heard"
SPEECH_ONLY = tuple(name + OFF for name in SPOKEN)
RIVALS = ("voca", "voca/neutral", "faceformer", "faceformer/neutral", "pham17", "chun21")
SYSTEM_NAMES = (*VARIANTS, "ecm" + HEARD, *SPEECH_ONLY, *RIVALS)
CONTROLS = (*Controls.names, "control/mean-face", "control/shuffled-audio" + OFF, "control/random-init" + OFF)
WILD = tuple(name + OFF for name in ("ecm", "ecm/with-lrs2"))
STYLED = tuple(name + OFF for name in ("ecm", "ecm/code"))
CONTROLLED = ("ecm", "ecm/code")
COSTED = ("ecm" + OFF, "ecm", "ecm/no-residual" + OFF, "ecm/no-residual", "ecm/code" + OFF, "ecm/code")
RECOGNISED = ("ecm", "ecm/code", "ecm/code~sad=4", "ecm" + OFF, "control/static-template", "control/shuffled-audio")
PRIORED = ("ecm", "ecm/gru", "ecm/code", "ecm/no-prior-smoothing", "control/random-init")

DOSES = ("ecm/exact-prior", "ecm/noisy-prior=0.1", "ecm/noisy-prior=0.5")      # measured at `paper` scale alone
WHOLE = ("ecm", "ecm/code", "voca", "faceformer", "pham17", "chun21", *Controls.names[:-1])    # on every vertex
DYNAMIC = (*WHOLE, "ecm" + OFF, "ecm" + HEARD, "ecm/no-residual", "control/shuffled-truth", "control/mean-face")
LEVELS = tuple(np.linspace(0, 1, 9).tolist())
COST_LEVELS = (0.0, 0.5, 1.0)
CREMAD = ("neutral", "happy", "angry", "sad", "disgusted", "fearful")
CLASS_WEIGHTS = {"neutral": 1, "happy": 1, "sad": 10, "surprised": 0, "fearful": 12, "disgusted": 8, "angry": 10}
PICTURES = 10                    # frames that the paper's protocol classifies
SHIFTED = ("ecm", "control/random-init", "control/shuffled-audio")   # ECM's network made the mesh, trained or not
EDGE = 10                        # frames around an edited span that do not count as outside
MOUTH_POINTS = LipPoints(lips=tuple(range(48, 68)), corners=(48, 54), brows=(17, 26), inner_brows=(21, 22),
                         nose_base=33)


def _cached(scale: str, seed: int, name: str, compute: Callable[[], pd.DataFrame], *settings) -> pd.DataFrame:
    return measures.cached("ecm", material(scale, seed).data, name, compute, SIZES[scale], SYSTEMS, settings,
                           modules=(*CODE, *MODELS, "lib.experiments.ecm_measures", "lib.experiments.measures"))


def _table(scale: str, seed: int, name: str, rows: Callable[[Material, int], list[dict]], clips=None) -> pd.DataFrame:
    """Rows of all tested clips (or `clips` of them), with the seed and the clip's factors."""
    def compute() -> pd.DataFrame:
        made = material(scale, seed)
        chosen = tested(made.data).index if clips is None else clips(made.data)
        return pd.DataFrame([{"seed": seed, **measures.factors(made.data, i), **row}
                             for i in chosen for row in rows(made, int(i))])

    return _cached(scale, seed, name, compute)


def tested(data: Draw) -> pd.DataFrame:
    """Unseen speakers with unseen sentences: all neutral clips, and one of each other emotion per speaker."""
    rows = data.rows("unseen")
    first = ~rows.duplicated(["actor", "emotion"])
    return rows[first | (rows.emotion == NEUTRAL)]


def emotional(data: Draw) -> pd.Index:
    """Tested clips with an emotion."""
    rows = tested(data)
    return rows.index[rows.emotion != NEUTRAL]


def neutral_clips(data: Draw) -> pd.Index:
    """Tested clips without emotion."""
    rows = tested(data)
    return rows.index[rows.emotion == NEUTRAL]


def steered(data: Draw) -> pd.Index:
    """The clips that are steered through all emotions and levels: of each speaker a neutral and an emotional one, whose
    emotion goes round from speaker to speaker."""
    chosen = []
    for n, (_, rows) in enumerate(tested(data).groupby("actor")):
        felt = rows.index[rows.emotion != NEUTRAL]
        chosen += [rows.index[rows.emotion == NEUTRAL][0], felt[n % len(felt)]]
    return pd.Index(chosen)


def clips_for(name: str, data: Draw) -> pd.Index:
    """The tested clips a system is compared on: variants of the speech-only face on neutral ones, as Tables 1 and 2
    are; variants of the module on emotional ones."""
    if name in DYNAMIC and name not in ("ecm" + HEARD, "ecm/no-residual", "control/mean-face"):
        return tested(data).index
    return neutral_clips(data) if name.endswith((OFF, "/neutral")) else emotional(data)


# Predictions ----------------------------------------------------------------------------------------------------------


def predict(name: str, made: Material, clip: int) -> np.ndarray:
    """Coefficients (T, K) of a system or control for a tested clip, asked for the clip's own emotion and intensity."""
    base, on = name.removesuffix(OFF).removesuffix(HEARD), not name.endswith(OFF)
    if base == "control/mean-face":
        row = made.data.table.loc[clip]
        return np.broadcast_to(mean_face(made, row.emotion, row.intensity), made.data.motion[clip].shape)
    if base.startswith("control/"):
        return controls(made, on).predict(base, clip)
    trained = train(made.data.scale, made.data.seed, base)
    if name.endswith(HEARD):
        return trained.as_heard(trained.speech(trained.hears(clip)), made.data.template(clip))
    if trained.system.family == "faceformer":
        return _frame_by_frame(base, made)[clip]
    return trained.animate(trained.hears(clip), clip, on=on)


@lru_cache(maxsize=8)
def _frame_by_frame(name: str, made: Material) -> dict[int, np.ndarray]:
    """Coefficients (T, K) of FaceFormer for every tested clip, under the ids of `Trained.animate`."""
    trained, clips = train(made.data.scale, made.data.seed, name), tested(made.data).index
    ids = np.eye(trained.known, dtype=np.float32)[clips % trained.known]
    found = measures.together([trained.hears(clip) for clip in clips], ids, trained.model.decode)
    return dict(zip(clips, found, strict=True))


@lru_cache(maxsize=4)
def controls(made: Material, on: bool = True) -> Controls:
    """The trivial rivals around ECM; sounds are exchanged as ECM hears them."""
    data = made.data
    hearing = replace(data, hidden=made.features(window_of(SYSTEMS["ecm"]))[: len(data.table)])
    known = tuple(sorted({int(a) for a in data.table.actor[made.clips]}))
    return Controls(hearing, tested(data), known,
                    lambda hidden, clip: train(data.scale, data.seed, "ecm").animate(hidden, clip, on=on),
                    lambda hidden, clip: fresh(made).animate(hidden, clip, on=on))


# Scores ---------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def compared(data: Draw) -> np.ndarray:
    """Which points of the cut face lip errors look at: the landmarks, and some of the upper face to align on."""
    return np.concatenate([np.arange(LANDMARKS), cut(data).regions["upper_face"][::8]])


def scores(scale: str, seed: int, names: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Vertex metrics and lip movement errors of every system on every tested clip; doses of wrong priors and exact
    ones at `paper` scale alone."""
    names = names or tuple(name for name in (*SYSTEM_NAMES, *CONTROLS) if scale == "paper" or name not in DOSES)
    return pd.concat([_scored(scale, seed, name) for name in names], ignore_index=True)


def _scored(scale: str, seed: int, name: str) -> pd.DataFrame:
    return _table(scale, seed, f"scores-{name}",
                  lambda made, i: [{"system": name, **score(made.data, i, predict(name, made, i), name)}],
                  lambda data: clips_for(name, data))


def score(data: Draw, clip: int, coefficients: np.ndarray, name: str) -> dict[str, float]:
    """Columns of one clip: all of them for systems `WHOLE`, else those of upper face and lips."""
    pred, exact = cut(data).vertices(clip, coefficients), exact_points(data, clip)
    numbers = region_scores(data, clip, pred, exact) if name in DYNAMIC else _upper(data, pred, exact)
    if name in WHOLE:
        numbers |= whole_face(data, clip, coefficients)
    return (numbers | _intensity(data, clip, coefficients)
            | lip_scores(data, clip, pred, exact, shifted=name.startswith(SHIFTED)))


def _upper(data: Draw, pred: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    upper = cut(data).regions["upper_face"]
    return {"upper_mm": float(np.linalg.norm(pred[:, upper] - exact[:, upper], axis=-1).mean()),
            "upper_jerk_ratio": jerk_ratio(pred[:, upper], exact[:, upper])}


def _intensity(data: Draw, clip: int, coefficients: np.ndarray) -> dict[str, float]:
    emotion = data.table.emotion[clip]
    if emotion == NEUTRAL:
        return {"achieved": np.nan, "achieved_truth": np.nan}
    neutral, full = (measures.target(data, clip, e) for e in (NEUTRAL, emotion))
    return {"achieved": float(measures.achieved(data, coefficients, neutral, full)),
            "achieved_truth": float(measures.achieved(data, data.floor[clip], neutral, full))}


def lip_scores(data: Draw, clip: int, pred: np.ndarray, true: np.ndarray, *, shifted: bool = False) -> dict[str, float]:
    """NATIVE columns of (T, M, 3) vertices, the 68 landmarks first; `shifted`: frame 0 is moved in form a."""
    points = compared(data)
    pred, true = (x[:, points].astype(np.float64) for x in (pred, true))
    still = np.arange(LANDMARKS, len(points))
    start = moved_to_template(pred, cut(data).template(clip)[points]) if shifted else pred
    forms = {"b": (pred, "none"), "c": (pred[:, :LANDMARKS], "landmarks"), "d": (pred, "rigid")}
    if shifted:
        forms["a"] = start[:, :LANDMARKS], "landmarks"
    found = {}
    for form, (face, align) in forms.items():
        errors = lip_movement_error(face, true[:, : face.shape[1]], points=MOUTH_POINTS, align=align, anchors=still,
                                    reduce="points")
        found |= {f"lip_{form}_mean": float(errors.mean()), f"lip_{form}_max": float(errors.max(1).mean())}
    if not shifted:
        found |= {f"lip_a_{how}": found[f"lip_c_{how}"] for how in ("mean", "max")}
    return found | mouth_scores(data, clip, pred, true)


def mouth_scores(data: Draw, clip: int, pred: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The NATIVE columns beside the lip movement errors."""
    a, b = pred[:, :LANDMARKS], true[:, :LANDMARKS]
    lips = [x[:, 48:] - x[:, 48:].mean(0) for x in (a, b)]
    other = _other_opening(data, clip, len(b))
    mine, theirs = lip_opening(a), lip_opening(b)
    return {"lip_content": float(np.linalg.norm(lips[0] - lips[1], axis=-1).mean()),
            "mouth_height": float(np.abs(mine - theirs).mean()),
            "mouth_width": float(np.abs(lip_width(a) - lip_width(b)).mean()),
            "sync": _correlation(mine, theirs) - _correlation(mine, other),
            "sync_truth": 1 - _correlation(theirs, other)}


@lru_cache(maxsize=256)
def _other_opening(data: Draw, clip: int, frames: int) -> np.ndarray:
    """Lip opening (T,) of the next tested clip with another sentence, repeated where it is shorter."""
    rows = tested(data).index.to_numpy()
    later = np.roll(rows, -1 - int(np.flatnonzero(rows == clip)[0]))
    other = next(int(i) for i in later if data.table.sentence[i] != data.table.sentence[clip])
    return np.resize(lip_opening(truth(data, other)[:, data.topology.landmarks]), frames)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation; 0 where one does not change."""
    return float(np.corrcoef(a, b)[0, 1]) if min(np.std(a), np.std(b)) > 1e-9 else 0.0


def _lips_of(made: Material, clip: int, coefficients: np.ndarray) -> dict[str, float]:
    """LIP columns of one of ECM's own faces."""
    shown = cut(made.data).vertices(clip, coefficients)
    found = lip_scores(made.data, clip, shown, exact_points(made.data, clip), shifted=True)
    return {name: found[name] for name in LIP}


def speaker_ids(scale: str, seed: int) -> pd.DataFrame:
    """Lip errors of FaceFormer under each of its speaker ids, neutral clips."""
    return _table(scale, seed, "ids", _under_ids, neutral_clips)


def _under_ids(made: Material, clip: int) -> list[dict]:
    own, true = cut(made.data), exact_points(made.data, clip)
    faces = train(made.data.scale, made.data.seed, "faceformer").under_every_id(clip)
    scored = [lip_scores(made.data, clip, own.vertices(clip, face), true) for face in faces]
    return [{"system": "faceformer", "id": n, **{name: found[name] for name in LIP}} for n, found in enumerate(scored)]


# Sound and style ------------------------------------------------------------------------------------------------------


def wild(scale: str, seed: int) -> pd.DataFrame:
    """Lip errors where the sound is noisy or reverberant, every second tested clip."""
    return _table(scale, seed, "wild", _wild, lambda data: tested(data).index[::2])


def _wild(made: Material, clip: int) -> list[dict]:
    data, window = made.data, window_of(SYSTEMS["ecm"])
    audio = corpus(data.scale)[data.table.position[clip]].audio
    rng = np.random.default_rng([data.seed, 17, clip])
    sounds = {"clean": made.features(window)[clip]} | {
        kind: heard(data.scale, disturbed(audio, rng, kind), len(data.motion[clip]), window)
        for kind in ("noise", "reverb")}
    return [{"system": name, "sound": kind, **_lips_of(made, clip, train(
                data.scale, data.seed, name.removesuffix(OFF)).animate(sound, clip, on=False))}
            for name in WILD for kind, sound in sounds.items()]


def style_sources(scale: str, seed: int) -> pd.DataFrame:
    """Lip errors where the style vector comes from elsewhere, neutral clips."""
    return _table(scale, seed, "style", _styled, neutral_clips)


def _styled(made: Material, clip: int) -> list[dict]:
    data, rows = made.data, []
    unseen = data.rows("unseen")
    same, neutral = unseen.actor == unseen.actor[clip], unseen.emotion == NEUTRAL      # nothing else may change
    sources = {"own": clip, "other clip": _next(unseen.index[same & neutral], clip),
               "foreign": _next(unseen.index[~same & neutral], clip)}
    shuffle = np.random.default_rng([data.seed, 19, clip]).permutation(len(data.motion[clip]))
    for name in STYLED:
        trained = train(data.scale, data.seed, name.removesuffix(OFF))
        sounds = {style: trained.hears(i) for style, i in sources.items()}
        sounds["shuffled"] = sounds["own"][shuffle]
        for style, sound in sounds.items():
            said = trained.speech(sounds["own"], trained.speech(sound).style)
            face = trained.face(said, data.template(clip))
            rows.append({"system": name, "style": style, **_lips_of(made, clip, face)})
    return rows


def _next(rows: pd.Index, clip: int) -> int:
    """A clip of `rows` other than `clip`, which one depends on the clip alone; itself where there is none (smoke)."""
    others = rows[rows != clip]
    return int(others[clip % len(others)]) if len(others) else clip


# Intensity ------------------------------------------------------------------------------------------------------------


def control(scale: str, seed: int) -> pd.DataFrame:
    """Requested against achieved intensity for the three published formulas, clips `steered`."""
    return _table(scale, seed, "control", _steered, steered)


def _steered(made: Material, clip: int) -> list[dict]:
    rows = []
    for name in CONTROLLED:
        trained = train(made.data.scale, made.data.seed, name)
        said = trained.speech(trained.hears(clip))
        for formula in ecm.FORMULAS:
            for emotion in present(made.data)[1:]:
                rows += [{"system": name, "formula": formula, **row} for row in
                         _curve(trained, clip, said, formula, emotion)]
    return rows


def present(data: Draw) -> list[str]:
    """Emotions of the draw in the order of `COMMON`."""
    known = set(data.table.emotion.unique())
    return [e for e in COMMON if e in known]


def _curve(trained: Trained, clip: int, said: ecm.Speech, formula: str, emotion: str) -> list[dict]:
    data = trained.made.data
    faces = trained.faces(said, data.template(clip), [asked(emotion, level) for level in LEVELS], formula)
    neutral, full = measures.target(data, clip, NEUTRAL), measures.target(data, clip, emotion)
    achieved, change = measures.achieved(data, faces, neutral, full), faces - faces[:1]
    columns = (achieved, _beside(data, "lips", change, full - neutral), _along_others(data, clip, emotion, change))
    return [{"asked": emotion, "level": level, "achieved": float(a), "lips": float(b), "others": float(c)}
            for level, a, b, c in zip(LEVELS, *columns, strict=True)]


def _beside(data: Draw, region: str, change: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Shares (N,) of changes (N, T, K) that move a region in another way than the true axis (T, K) does."""
    moved, wanted = measures.within(data, region, change), measures.within(data, region, axis)
    beside = moved - (moved @ wanted / max(wanted @ wanted, 1e-12))[:, None] * wanted
    return np.linalg.norm(beside, axis=1) / np.linalg.norm(change, axis=(1, 2)).clip(1e-6)


def _along_others(data: Draw, clip: int, emotion: str, change: np.ndarray) -> np.ndarray:
    """Largest shares (N,) of changes (N, T, K) of the upper face along what only another emotion does."""
    axes = dict(_axes(data, clip))
    moved, own = measures.within(data, "upper_face", change), axes.pop(emotion)
    size = np.linalg.norm(moved, axis=1)
    beside = [x - (x @ own) / (own @ own) * own for x in axes.values()]
    return np.max([np.abs(moved @ x) / (np.linalg.norm(x) * size).clip(1e-6) for x in beside], axis=0)


@lru_cache(maxsize=8)
def _axes(data: Draw, clip: int) -> dict[str, np.ndarray]:
    """What every emotion does to the upper face for the clip's own sound."""
    neutral = measures.target(data, clip, NEUTRAL)
    return {e: measures.within(data, "upper_face", measures.target(data, clip, e) - neutral) for e in present(data)[1:]}


def steps(scale: str, seed: int) -> pd.DataFrame:
    """What the basis makes of steps of true intensity (`measures.step_errors`), a clip of every third speaker."""
    data = material(scale, seed).data
    clips = tested(data).groupby("actor").head(1).index[::3]
    return _cached(scale, seed, "steps", lambda: measures.step_errors(data, clips, present(data)))


def lip_cost(scale: str, seed: int) -> pd.DataFrame:
    """What emotion costs the lips."""
    return _table(scale, seed, "cost", _costs, emotional)


def _costs(made: Material, clip: int) -> list[dict]:
    data, own, rows = made.data, cut(made.data), []
    emotion = data.table.emotion[clip]
    for name in COSTED:
        trained, on = train(data.scale, data.seed, name.removesuffix(OFF)), not name.endswith(OFF)
        said = trained.speech(trained.hears(clip))
        for level in COST_LEVELS:
            face = trained.face(said, data.template(clip), asked(emotion, level) if on else None)
            exact = measures.exact_face(data, clip, emotion if level else NEUTRAL, level or 1.0)
            pred, true = (own.vertices(clip, x)[:, :LANDMARKS].astype(np.float64) for x in (face, exact))
            near = lip_movement_error(pred, true, points=MOUTH_POINTS, align="none").mean()
            found = mouth_scores(data, clip, pred, true)
            rows.append({"system": name, "level": level, "lip_b_mean": float(near),
                         **{key: found[key] for key in ("lip_content", "sync", "sync_truth")}})
    return rows


def facial_measures(scale: str, seed: int) -> pd.DataFrame:
    """Mouth opening, corner and cheek height at three intensities, clips `steered`."""
    return _table(scale, seed, "facial", _facial, steered)


def _facial(made: Material, clip: int) -> list[dict]:
    data, rows = made.data, []
    for emotion in (e for e in ("fearful", "happy") if e in present(data)):
        for level in (0.5, 0.75, 1.0):
            faces = {"control/oracle": measures.exact_face(data, clip, emotion, level)}
            for name in CONTROLLED:
                trained = train(data.scale, data.seed, name)
                said = trained.speech(trained.hears(clip))
                faces[name] = trained.face(said, data.template(clip), asked(emotion, level))
            rows += [{"system": name, "asked": emotion, "level": level, **signed_measures(data, clip, face)}
                     for name, face in faces.items()]
    return rows


def signed_measures(data: Draw, clip: int, coefficients: np.ndarray) -> dict[str, float]:
    """Mouth opening, corner and cheek height above rest, mean over frames in shares of the face height."""
    points, rest = data.topology.landmarks, data.template(clip)
    height = rest[points[27], 1] - rest[points[8], 1]
    moved = data.basis.decode(coefficients.mean(0, keepdims=True))[0, :, 1]            # decoding is linear
    corner = moved[points[[48, 54]]].mean() - moved[points[33]]
    shown = cut(data).vertices(clip, coefficients)[:, :LANDMARKS]
    opening = lip_opening(shown).mean() - lip_opening(rest[None, points])[0]
    return {"opening": float(opening / height), "corner": float(corner / height),
            "cheek": float(moved[_cheeks(data, rest)].mean() / height)}


def _cheeks(data: Draw, rest: np.ndarray) -> np.ndarray:
    """Vertices of the front below an eye and beside the nose."""
    points, front = data.topology.landmarks, data.topology.regions["front"]
    x, y = rest[front, 0], rest[front, 1]
    low, high = rest[points[33], 1], rest[points[[40, 41, 46, 47]], 1].min()
    return front[(y > low) & (y < high) & (np.abs(x) > np.abs(rest[points[[31, 35]], 0]).max())]


def frame_control(scale: str, seed: int) -> pd.DataFrame:
    """An emotion asked for in the middle third of a clip, clips `steered`."""
    return _table(scale, seed, "frames", _edited, steered)


def _edited(made: Material, clip: int) -> list[dict]:
    data, frames, rows = made.data, len(made.data.motion[clip]), []
    inside = np.zeros(frames, bool)
    inside[frames // 3 : 2 * frames // 3] = True
    for emotion in present(data)[1:]:
        neutral, full = measures.target(data, clip, NEUTRAL), measures.target(data, clip, emotion)
        exact = (neutral, np.where(inside[:, None], full, neutral))
        found = {("control/oracle", "exact"): exact} | _edits(made, clip, emotion, inside)
        rows += [{"system": name, "formula": formula, "asked": emotion,
                  **_locality(data, *pair, full - neutral, inside)} for (name, formula), pair in found.items()]
    return rows


def _edits(made: Material, clip: int, emotion: str, inside: np.ndarray) -> dict:
    """Faces (T, K) without and with the edit, by system and formula."""
    level, kind, found = torch.from_numpy(inside[None].astype(np.float32)), COMMON.index(emotion), {}
    for name in (*CONTROLLED, "control/random-init"):
        trained = train(made.data.scale, made.data.seed, name) if name in CONTROLLED else fresh(made)
        said, rest = trained.speech(trained.hears(clip)), made.data.template(clip)
        for formula in ecm.FORMULAS:
            found[name, formula] = tuple(trained.faces(said, rest, [ecm.command(kind, 0 * level),
                                                                    ecm.command(kind, level)], formula))
    return found


@lru_cache(maxsize=4)
def fresh(made: Material) -> Trained:
    """ECM before its first step."""
    return untrained(made, "ecm")


def _locality(data: Draw, still: np.ndarray, edited: np.ndarray, axis: np.ndarray, inside: np.ndarray) -> dict:
    """How far a change reaches beyond the edited span, and when it has half arrived."""
    size = np.linalg.norm(edited - still, axis=1)
    first, last = int(np.argmax(inside)), len(inside) - int(np.argmax(inside[::-1]))
    frame = np.arange(len(inside))
    outside = (frame < first - EDGE) | (frame >= last + EDGE)
    within, length = size[inside].mean(), np.square(axis).sum(1)
    course = ((edited - still) * axis).sum(1) / np.maximum(length, 1e-9)
    plateau = course[(first + last) // 2 : last].mean()
    reached = np.flatnonzero(course[: last] / plateau >= 0.5) if abs(plateau) > 1e-6 else np.array([])
    back = irreversibility(0.0, size[outside & (frame > last)].mean(), within) if within > 1e-9 else np.nan
    return {"leak_outside": float(size[outside].mean() / within) if within > 1e-9 else np.nan,
            "delay_frames": float(reached[0] - first) if len(reached) else np.nan, "irreversibility": float(back)}


# Recognition ----------------------------------------------------------------------------------------------------------


def recognition(scale: str, seed: int) -> pd.DataFrame:
    """Which emotion is seen in a clip, by whom and by which rule."""
    return _table(scale, seed, "recognition", _recognised,
                  lambda data: [i for i in tested(data).index if data.table.emotion[i] in CREMAD])


def _recognised(made: Material, clip: int) -> list[dict]:
    data, rows = made.data, []
    wanted, among = data.table.emotion[clip], tuple(e for e in CREMAD if e in present(data))
    own, rng = cut(data), np.random.default_rng([data.seed, 23, clip])
    rest = own.template(clip)[:LANDMARKS]
    recogniser, scaled = frame_recogniser(data.scale), normaliser(made, SYSTEMS["ecm/code"])
    for name in (*RECOGNISED, "gt"):
        points = own.vertices(clip, _expressed(made, name, clip, wanted))[:, :LANDMARKS]
        seen = [("statistics", "clip"), ("course", "clip")]
        judges = measures.judges(data.scale, among, data.fps)
        found = {key: judge(points, rest) for key, judge in zip(seen, judges, strict=True)}
        picked = recogniser.logits(points, rest)[rng.integers(0, len(points), PICTURES)]
        found |= {("prior", rule): label for rule, label in by_rules(picked, scaled.normalise(picked), among).items()}
        rows += [{"system": name, "asked": wanted, "judge": judge, "rule": rule, "predicted": label,
                  "right": int(label == wanted)} for (judge, rule), label in found.items()]
    return rows


def _expressed(made: Material, name: str, clip: int, emotion: str) -> np.ndarray:
    """Coefficients of a system asked for `emotion` at intensity 1 (sadness at 4 where the name says so)."""
    data = made.data
    if name == "gt":
        return measures.target(data, clip, emotion)
    if name.startswith("control/") or name.endswith(OFF):
        return predict(name, made, clip)
    trained = train(data.scale, data.seed, name.split("~")[0])
    level = 4.0 if name.endswith("~sad=4") and emotion == "sad" else 1.0
    return trained.face(trained.speech(trained.hears(clip)), data.template(clip), asked(emotion, level))


def by_rules(logits: np.ndarray, scaled: np.ndarray, among: tuple[str, ...]) -> dict[str, str]:
    """Label of a clip from logits (N, 7) of its frames: majority, median class, and the released weighting and median.

    Released: exp of the z-scored logits times `CLASS_WEIGHTS`, arg-max per frame, median of the class numbers.
    """
    columns = [COMMON.index(e) for e in among]
    best = np.array(columns)[logits[:, columns].argmax(1)]
    weights = np.array([CLASS_WEIGHTS[e] * (e in among) for e in COMMON])
    weighted = (np.exp(scaled) * weights).argmax(1)
    return {"majority": COMMON[np.bincount(best).argmax()], "median": COMMON[int(np.median(best))],
            "released": COMMON[int(np.median(weighted))]}


# Priors ---------------------------------------------------------------------------------------------------------------


def priors(scale: str, seed: int) -> pd.DataFrame:
    """How well the emotion predictor hears what the image recogniser sees."""
    return _table(scale, seed, "priors", _heard_priors, emotional)


def _heard_priors(made: Material, clip: int) -> list[dict]:
    data, rows = made.data, []
    logits = image_logits(data.scale, truth(data, clip), data.template(clip))
    for name in PRIORED:
        trained = train(data.scale, data.seed, name) if name.startswith("ecm") else fresh(made)
        said = trained.speech(trained.hears(clip)).heard[0].numpy()
        target = normaliser(made, trained.system).targets(logits)
        rows.append({"system": name, **_agreement(said, target, mean_prior(made, trained.system))})
    usual, target = (mean_prior(made, SYSTEMS["ecm"]), normaliser(made, SYSTEMS["ecm"]).targets(logits))
    constant = np.broadcast_to(usual, target.shape)
    return [*rows, {"system": "control/mean-prior", **_agreement(constant, target, usual)}]


def _agreement(said: np.ndarray, target: np.ndarray, usual: np.ndarray) -> dict[str, float]:
    """Correlation of priors (T, 7) over frames and classes, with and without the mean (7,) of every class."""
    return {"prior_correlation": _correlation((said - usual).ravel(), (target - usual).ravel()),
            "prior_raw": _correlation(said.ravel(), target.ravel())}


@lru_cache(maxsize=16)
def mean_prior(made: Material, system: System) -> np.ndarray:
    """Mean prior (7,) of the emotional training clips of a system."""
    scale, felt = normaliser(made, system), made.clips[made.data.table.emotion[made.clips] != NEUTRAL]
    return np.concatenate([scale.targets(given_logits(made, system, i)) for i in felt]).mean(0)


# Causes and transfer --------------------------------------------------------------------------------------------------


def residual(scale: str, seed: int) -> pd.DataFrame:
    """What is left between the speech-only face and the truth, by its exactly known causes.

    r = truth - prediction = (truth - truth without nuisance) + (that - neutral face) + (neutral face - prediction), the
    last in its mean over the clip (identity: resting habits) and the rest (content); a cause's share is <cause, r> /
    <r, r> over the region.
    """
    return _table(scale, seed, "residual", _causes, emotional)


def _causes(made: Material, clip: int) -> list[dict]:
    data = made.data
    emotion = data.table.emotion[clip]
    neutral, said = measures.target(data, clip, NEUTRAL), predict("ecm" + OFF, made, clip)
    spoken = neutral - said
    other = [e for e in present(data)[1:] if e != emotion][clip % (len(present(data)) - 2)]
    causes = {"nuisance": data.motion[clip] - data.floor[clip], "emotion": data.floor[clip] - neutral,
              "identity": np.broadcast_to(spoken.mean(0), spoken.shape), "content": spoken - spoken.mean(0)}
    whole = data.motion[clip] - said
    causes["random-label"] = data.table.intensity[clip] * (measures.target(data, clip, other) - neutral)
    rows = []
    for region in ("whole", "lips", "upper_face"):
        seen = {name: x.ravel() if region == "whole" else measures.within(data, region, x)
                for name, x in {**causes, "r": whole}.items()}
        rows += [{"system": "ecm" + OFF, "region": region, "factor": name,
                  "share": float(seen[name] @ seen["r"] / (seen["r"] @ seen["r"]))} for name in causes]
    return rows


def transfer(scale: str, seed: int) -> pd.DataFrame:
    """Emotion moved from one head to another by its expression parameters.

    "separable": the receiver makes the same movements on its own head; "interacting": it makes them in its own manner.
    """
    return _table(scale, seed, "transfer", _transferred, lambda data: emotional(data)[::3])


def _transferred(made: Material, clip: int) -> list[dict]:
    from lib.puppet.actors import actor
    from lib.puppet.head import head
    from lib.puppet.recast import recast

    data = made.data
    given = corpus(data.scale)[data.table.position[clip]]
    receivers = sorted({int(a) for a in data.rows("unseen").actor} - {given.spec.actor})
    receiver = receivers[clip % len(receivers)]
    identity = actor(receiver).identity
    rest = head().neutral(identity)
    moved = made.face.decode(made.face.encode(given.oracle_vertices(FPS), given.neutral()), rest)
    exact = {"separable": given, "interacting": recast(given, manner_of=receiver)}
    mean = data.basis.decode(usual_motion(data, receiver)[None]) + rest
    rows = []
    for case, face in exact.items():
        true = head().vertices(face.rig_at(FPS, audible=True), identity)
        error, still, usual = (float(np.linalg.norm(x - true, axis=-1).mean()) for x in (moved, rest[None], mean))
        rows.append({"system": "ecm", "receiver": receiver, "case": case, "error_mm": error, "static_mm": still,
                     "mean_motion_mm": usual, "transfer_skill": 1 - error / usual})
    return rows


def usual_motion(data: Draw, actor: int) -> np.ndarray:
    """Mean coefficients (K,) of an unseen actor's own clips."""
    rows = data.rows("unseen")
    return np.concatenate([data.motion[i] for i in rows.index[rows.actor == actor]]).mean(0)


# The recogniser and the crowd -----------------------------------------------------------------------------------------


def linearity(scale: str, seed: int) -> pd.DataFrame:
    """How linearly the recogniser's output grows with the known intensity of a face."""
    def compute() -> pd.DataFrame:
        table = intensity_sweep(frame_recogniser(scale, seed), sweep_specs(scale))
        fits = [logit_linearity(rows, value).assign(seed=seed, value=value, speaker=speaker)
                for value in ("logit", "probability", "difference") for speaker, rows in table.groupby("actor")]
        return pd.concat(fits, ignore_index=True)

    key = code_digest("lib.priors", "lib.models.judges", "lib.experiments.ecm_measures")
    return cached_table(run_folder("ecm", "linearity", scale, seed, key) / "linearity.csv", compute)


def unequal_variances() -> pd.DataFrame:
    """The printed proof with unequal variances: log odds of two normal classes along the line between their means.

    Class 0 has mean 0 and deviation 1, class 1 mean 2 and deviation `ratio`; intensity 0..1 is the way between them.
    """
    from scipy.stats import norm, spearmanr

    levels, rows = np.linspace(0, 1, 9), []
    for ratio in (1.0, 1.5, 2.0, 4.0):
        odds = norm.logpdf(2 * levels, 2, ratio) - norm.logpdf(2 * levels, 0, 1)
        fit = np.polyval(np.polyfit(levels, odds, 1), levels)
        rows.append({"ratio": ratio, "r2_line": 1 - np.square(odds - fit).sum() / np.square(odds - odds.mean()).sum(),
                     "spearman": float(spearmanr(levels, odds).statistic)})
    return pd.DataFrame(rows)


def crowd() -> pd.DataFrame:
    """Votes from the face alone on the one sentence that CREMA-D has at three levels; AssetMissing without the labels.

    share of the raters who name the acted emotion, log_odds of it with half a vote added to both sides, rated intensity
    (0..1) by those who do.
    """
    votes = cremad.ratings()
    votes = votes[(votes.channel == "face") & (votes.level != "XX")]
    share = np.array([row[f"share_{row['emotion']}"] for _, row in votes.iterrows()])
    named = share * votes.responses
    return pd.DataFrame({"actor": votes.actor, "emotion": votes.emotion, "level": votes.level.map(cremad.LEVELS),
                         "share": share, "log_odds": np.log((named + 0.5) / (votes.responses - named + 0.5)),
                         "rated": votes.acted_intensity}).reset_index(drop=True)


PRINTED = {"param_fixer": "augment_input", "param_predictor": "audio2flame_input"}      # part: column of ecm-24


def architecture() -> pd.DataFrame:
    """Weights and input widths of every part in both profiles beside the printed widths."""
    rows, printed = [], claims.by_id(claims.load(), "ecm-24").entry["paper_values"]["a"]
    for profile, sizes in (("paper", ecm.PAPER), ("code", ecm.CODE)):
        model = ecm.ECM(replace(sizes, extractor=None))
        first = {"param_fixer": model.param_fixer.convs[0].in_channels,
                 "param_predictor": model.param_predictor.convs[0].in_channels}
        rows += [{"profile": profile, "part": name, "weights": count, "inputs": first.get(name, np.nan),
                  "printed": printed.get(PRINTED.get(name), np.nan)}
                 for name, count in ecm.parameter_count(model).items()]
    return pd.DataFrame(rows)
