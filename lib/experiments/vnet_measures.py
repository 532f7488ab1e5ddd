"""What is measured on the trained systems of paper 002: one table per question, one row per clip (or window).

All tables are functions of (scale, seed), cached by name. The truth is the face with the head held still, which is what
the study's systems learn. Those that learn offsets as published (`PUBLISHED`) keep the motion of the head: before lips
and brows are compared, every prediction is registered to the speaker's neutral face on nine still points. What this
alone leaves of a face shows in `control/posed-truth`, the truth with the head moving. Scores common to the landmark
papers are in lib/experiments/track_measures.py.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from lib import metrics
from lib.experiments import pcavs, track_measures, vnet
from lib.experiments.draw import corpus
from lib.experiments.measures import NEUTRAL, factors
from lib.experiments.tracks import FPS, GROUPS, Tracks, to_pixels
from lib.experiments.vnet import (
    EMOTIONS,
    SIZES,
    SYSTEMS,
    Material,
    Trained,
    material,
    off_face,
    on_face,
    systems_at,
    train,
)
from lib.face.landmarks import LIPS, STABLE, eye_aspect_ratio
from lib.face.registration import register
from lib.landmark_losses import mouth_error
from lib.models import vnet as models

PART = "unseen"
CONTROLS = ("control/static-template", "control/mean-motion", "control/shuffled-audio", "control/oracle",
            "control/shuffled-truth", "control/truth", "control/posed-truth")
PUBLISHED = "vnet/published-offsets"                # how the names of systems with head motion begin
HEARD = ("vnet", "vnet@code", "vnet/no-emotion", "vnet@code/no-emotion", "control/shuffled-audio", "control/truth",
         "control/posed-truth", "makeittalk", "pcavs")       # whose match of heard and seen emotion is taken
PROXIED = (*(name for name in HEARD if name != "control/posed-truth"), "control/oracle", "control/shuffled-truth",
           "control/static-template")
BILABIAL = {"p", "b", "m"}
LEAST_FRAMES = 5                                    # of a window that is judged: the last one of a clip may be shorter
CLOSED_EYES = 0.7                                   # of the own median eye opening: below, the eye is shut; ours
BLENDS, SWITCHES = 24, 24                           # clips per seed
CODE = (*vnet.CODE, *pcavs.CODE, "lib.experiments.vnet_measures", "lib.face.registration", "lib.face.landmarks")


def cached(scale: str, seed: int, name: str, compute: Callable[[], pd.DataFrame], *settings) -> pd.DataFrame:
    """Table `name` of a seed under everything it depends on."""
    return track_measures.cached("vnet", material(scale, seed).data, name, compute, SIZES[scale], settings,
                                 modules=CODE)


# Predictions ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def makeittalk(scale: str, seed: int):
    """MakeItTalk, trained on the same draw."""
    from lib.experiments.landmark_systems import MAKEITTALK_SIZES, train_makeittalk

    return train_makeittalk(material(scale, seed).data, MAKEITTALK_SIZES[scale], label=f"makeittalk, seed {seed}")


def posed(scale: str, seed: int, name: str, clip: int) -> np.ndarray:
    """Landmarks (T, 68, 2) in pixels that a system or control gives for a clip, head motion included if it has any."""
    made = material(scale, seed)
    if name in SYSTEMS:
        return train(scale, seed, name).landmarks(clip)
    if name == "makeittalk":
        data = made.data
        return makeittalk(scale, seed).predict(data.converted[clip], data.template(clip), data.speaker[clip])
    if name == "pcavs":
        return pcavs.unseen(scale, seed)[made.data.table.position[clip]]
    if name == "control/shuffled-audio":
        return train(scale, seed, "vnet").landmarks(clip, other(scale, seed, clip))
    if name == "control/posed-truth":
        return made.data.posed[clip]
    return controls(scale, seed).predict(name, clip)


@lru_cache(maxsize=8)
def controls(scale: str, seed: int) -> track_measures.TrackControls:
    """Trivial rivals around the main system; those that are driven by sound are driven here by its own windows."""
    data = material(scale, seed).data
    known = tuple(int(a) for a in data.rows("train").actor.unique())
    return track_measures.TrackControls(data, data.rows(PART), known, trained=lambda *_: None)


def other(scale: str, seed: int, clip: int) -> int:
    """The next test clip with another sentence and emotion."""
    data = material(scale, seed).data
    rows = np.roll(data.rows(PART).index.to_numpy(), -1 - int(np.flatnonzero(data.rows(PART).index == clip)[0]))
    return next(int(i) for i in rows if data.table.sentence[i] != data.table.sentence[clip]
                and data.table.emotion[i] != data.table.emotion[clip])


def registered(data: Tracks, clip: int, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (T, 68, 2) without head motion, on the clip's own neutral face."""
    return register(landmarks, data.template(clip))


# Scores ---------------------------------------------------------------------------------------------------------------


def scores(scale: str, seed: int, names: tuple[str, ...]) -> pd.DataFrame:
    """`score` of every unseen clip under every named system and control; one cached table per name."""
    def measure(name: str) -> pd.DataFrame:
        from tqdm.auto import tqdm

        data = material(scale, seed).data
        bar = tqdm(data.rows(PART).index, desc=f"measuring {name}, seed {seed}", unit="clip", leave=False)
        return pd.DataFrame([{"seed": seed, "system": name, **factors(data, i),
                              **score(data, i, posed(scale, seed, name, i), proxied=name in PROXIED,
                                      moves=moves(name))} for i in bar])

    return pd.concat([cached(scale, seed, f"scores-{name}", lambda name=name: measure(name), SYSTEMS.get(name))
                      for name in names], ignore_index=True)


def moves(name: str) -> bool:
    """Whether a system or control has head motion."""
    return name.startswith(PUBLISHED) or name == "control/posed-truth"


def score(data: Tracks, clip: int, pred: np.ndarray, *, proxied: bool = False,
          moves: bool = False) -> dict[str, float]:
    """All columns of one clip for landmarks (T, 68, 2), whose head `moves` or stands still; with proxy-Sync if asked.

    Registered, in pixels: lips_px, upper_px (mean distance), face_px (variant C), content_px (lips, each around its own
    mean over the clip, so that a lasting expression counts for nothing), sync_px. Of the lips' opening: closure (error
    at p b m), lip_range (log ratio), see `mouth_shape`. Of motion: energy and jerk relative to the truth by region, see
    `motion`; ratio and ratio_per_coordinate, the paper's "stability" (lib.metrics). Of emotion: judge (share of the
    judges that see the true one), expressed (what they see together), hit (whether that is the true one).
    """
    still, truth = registered(data, clip, pred), data.landmarks[clip]
    odds, emotion = track_measures.opinions(data, clip, still, EMOTIONS), data.table.emotion[clip]
    expressed = together(data, odds)
    numbers = {
        "lips_px": metrics.landmark_distance(still, truth, points=LIPS, align="centred").mean(),
        "face_px": metrics.landmark_distance(still, truth, align="centred").mean(),
        "upper_px": np.linalg.norm(still - truth, axis=-1)[:, GROUPS["upper"]].mean(),
        "content_px": np.linalg.norm(_moving(still) - _moving(truth), axis=-1).mean(),
        **track_measures.lip_sync(still, truth, data.fps), **mouth_shape(data, clip, still, truth),
        **motion(data, clip, pred, still if moves else None), **blinks(still, truth, data.fps),
        "judge": track_measures.share_seeing(odds, emotion, EMOTIONS),
        "expressed": expressed, "hit": float(expressed == emotion),
        **track_measures.intensities(data, clip, still),
    }
    return numbers | (track_measures.proxy_sync(data, clip, still) if proxied else {})


def _moving(landmarks: np.ndarray) -> np.ndarray:
    lips = landmarks[:, LIPS] - landmarks[:, LIPS].mean(1, keepdims=True)
    return lips - lips.mean(0)


def mouth_shape(data: Tracks, clip: int, pred: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Opening of the lips: absolute error at known closures (p b m) in shares of the true range of the clip (p95 - p5),
    NaN without any; and the log ratio of its range to the true one."""
    opening, true = metrics.lip_opening(pred), metrics.lip_opening(truth)
    at = closures(data, clip)
    spans = [np.subtract(*np.percentile(x, [95, 5])) for x in (opening, true)]
    error = np.abs(opening - true)[at].mean() if len(at) else np.nan
    return {"closure": float(error / max(spans[1], 1e-3)), "lip_range": log_ratio(*spans)}


def closures(data: Tracks, clip: int) -> np.ndarray:
    """Frames in the middle of every p, b and m of a clip."""
    from lib.puppet.voice import bare

    spoken = corpus(data.scale)[data.table.position[clip]]
    middles = [(p.start_s + p.end_s) / 2 for p in spoken.phonemes if bare(p.label) in BILABIAL]
    return np.minimum(np.round(np.array(middles) * data.fps).astype(int), len(data.landmarks[clip]) - 1)


def motion(data: Tracks, clip: int, pred: np.ndarray, still: np.ndarray | None) -> dict[str, float]:
    """Energy and jerk as ratios to the truth, and the paper's ratio of offsets from the neutral face.

    Like is compared with like: a face whose head stands still with the truth of a still head, one whose head moves,
    registered (`still`), with the registered truth of a moving one. head_energy: stable points, against the moving
    head.
    """
    posed_truth, offsets = data.posed[clip], off_face(pred, data.template(clip))
    made, truth = (pred, data.landmarks[clip]) if still is None else (still, registered(data, clip, posed_truth))
    return {
        **{f"{name}_energy": metrics.energy_ratio(made[:, points], truth[:, points])
           for name, points in (("lips", LIPS), ("upper", GROUPS["upper"]), ("eyes", GROUPS["eyes"]))},
        "head_energy": metrics.energy_ratio(pred[:, STABLE], posed_truth[:, STABLE]),
        "energy": metrics.energy_ratio(made, truth), "jerk": metrics.jerk_ratio(made, truth),
        "ratio": metrics.cancellation_ratio(offsets),
        "ratio_per_coordinate": metrics.cancellation_ratio(offsets, per_coordinate=True),
    }


def blinks(pred: np.ndarray, truth: np.ndarray, fps: float) -> dict[str, float]:
    """Blinks per minute of prediction and truth: runs of frames in which the eyes are less than 70 % open."""
    minutes = len(truth) / fps / 60
    return {name: blink_count(landmarks) / minutes for name, landmarks in (("blinks", pred), ("blinks_truth", truth))}


def blink_count(landmarks: np.ndarray) -> int:
    """Runs of frames whose eye aspect ratio lies below 70 % of the clip's median."""
    opening = eye_aspect_ratio(landmarks)
    shut = opening < CLOSED_EYES * np.median(opening)
    return int((np.diff(shut.astype(int), prepend=0) == 1).sum())


def log_ratio(a: float, b: float, least: float = 1e-3) -> float:
    """Logarithm of a ratio of sizes; both at least a thousandth, so that a face that stands still has a number."""
    return float(np.log(max(a, least) / max(b, least)))


# Emotion heard and seen -----------------------------------------------------------------------------------------------


def together(data: Tracks, odds: np.ndarray) -> str:
    """Emotion of the draw that the judges see together, from the `track_measures.opinions` (2, 8) on `EMOTIONS`."""
    possible = odds[:, [EMOTIONS.index(e) for e in present(data)]]
    return present(data)[int((possible / possible.sum(-1, keepdims=True)).mean(0).argmax())]


@lru_cache(maxsize=8)                    # asked for every window that is judged
def present(data: Tracks) -> tuple[str, ...]:
    """The emotions of the draw, in the order of the paper."""
    there = set(data.table.emotion)
    return tuple(e for e in EMOTIONS if e in there)


def matches(scale: str, seed: int) -> pd.DataFrame:
    """Per window: emotion heard by Sp2Emo, seen by the critic Exp2Emo, seen by independent judges, and the true one.

    Both networks are those of `vnet`, for every system: as in the paper, which judges its ablation by its own critic.
    The rest of a clip after its last full window counts as a window from `LEAST_FRAMES` frames on.
    """
    def measure(name: str) -> pd.DataFrame:
        data = material(scale, seed).data
        return pd.DataFrame([row for clip in data.rows(PART).index for row in _windows(scale, seed, name, int(clip))])

    return pd.concat([cached(scale, seed, f"matches-{name}", lambda name=name: measure(name), SYSTEMS.get(name))
                      for name in HEARD if name not in SYSTEMS or name in systems_at(scale)], ignore_index=True)


def _windows(scale: str, seed: int, name: str, clip: int) -> list[dict]:
    data, main = material(scale, seed).data, train(scale, seed, "vnet")
    landmarks = posed(scale, seed, name, clip)
    still, heard = registered(data, clip, landmarks), _heard(scale, seed, clip)
    seen = main.seen(off_face(still, data.template(clip))).argmax(-1)
    starts = models.window_starts(len(landmarks))
    rows = []
    for i, start in enumerate(starts):
        piece = still[start : start + models.FRAMES]
        if len(piece) >= LEAST_FRAMES:
            rows.append({"seed": seed, "system": name, **factors(data, clip), "window": i,
                         "heard": EMOTIONS[heard[i]], "seen": EMOTIONS[seen[i]],
                         "judged": together(data, track_measures.opinions(data, clip, piece, EMOTIONS))})
    return rows


@lru_cache(maxsize=1024)                 # a clip is asked for by every system
def _heard(scale: str, seed: int, clip: int) -> np.ndarray:
    return train(scale, seed, "vnet").heard(clip).argmax(-1)


def networks(scale: str, seed: int) -> pd.DataFrame:
    """Accuracy, agreement and entropy of the emotion networks on windows of test clips, by what they were taught."""
    def measure() -> pd.DataFrame:
        made = material(scale, seed)
        rows = made.data.rows(PART).index.to_numpy()
        course = vnet.Course(made, rows, made.labels[rows], len(rows))
        windows = course.windows(np.arange(len(rows)), np.random.default_rng([seed, 17]))
        taught = {name: SYSTEMS[name] for name in systems_at(scale) if name in TAUGHT}
        return pd.DataFrame([{"seed": seed, "system": name, **_agreement(scale, seed, s, windows)}
                             for name, s in taught.items()])

    return cached(scale, seed, "networks", measure)


TAUGHT = ("vnet", "vnet/permuted-labels", "vnet/random-labels-30", "vnet/random-labels-60", "vnet/random-labels",
          "vnet/semi-supervised", "vnet/argmax-agreement")


def _agreement(scale: str, seed: int, system: vnet.System, windows: vnet.Batch) -> dict[str, float]:
    domain = "all" if system.domain == "all" else "labelled"
    model = vnet.emotion_networks(scale, seed, system.labels, domain, system.agreement)[0]
    with torch.no_grad():
        heard, seen = model.speech(windows.mfcc).probabilities, model.face(windows.offsets).softmax(-1)
    return {"hearing": float((heard.argmax(-1) == windows.label).float().mean()),
            "seeing": float((seen.argmax(-1) == windows.label).float().mean()),
            "same class": float((heard.argmax(-1) == seen.argmax(-1)).float().mean()),
            "cosine": float(torch.nn.functional.cosine_similarity(heard, seen, dim=-1).mean()),
            "entropy heard": entropy(heard), "entropy seen": entropy(seen)}


def entropy(p: torch.Tensor) -> float:
    """Mean entropy of distributions (N, K) in nats: ln 8 = 2.08 where they say nothing."""
    return float(-(p * p.clamp_min(1e-9).log()).sum(-1).mean())


# A course of emotion, and blends --------------------------------------------------------------------------------------


def switches(scale: str, seed: int) -> pd.DataFrame:
    """Two clips of one speaker in different emotions, one after the other: does the expression change with the sound?

    `tracking`: correlation over windows of what is expressed (projection of the upper face on the axis that leads from
    the second emotion to the first) with the true course (1, then -1). Also with the sound of other pairs, and `truth`.
    """
    return cached(scale, seed, "switches", lambda: pd.DataFrame(
        [_switch(scale, seed, *pair, sound) for pair, sound in _pairs(material(scale, seed).data)]))


def _pairs(data: Tracks) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of unseen clips of one actor, and the pair whose sound replaces theirs in the control."""
    rows = data.rows(PART)
    rng, pairs = np.random.default_rng([data.seed, 19]), []
    for _, mine in rows.groupby("actor"):
        order = rng.permutation(mine.index.to_numpy())
        pairs += [(int(a), int(b)) for a, b in zip(order, order[1:], strict=False)
                  if data.table.emotion[a] != data.table.emotion[b]]
    chosen = [pairs[i] for i in rng.permutation(len(pairs))[:SWITCHES]]
    return list(zip(chosen, chosen[1:] + chosen[:1], strict=True))


def _switch(scale: str, seed: int, first: int, second: int, sound: tuple[int, int]) -> dict:
    made, main = material(scale, seed), train(scale, seed, "vnet")
    frames = [len(made.data.posed[i]) for i in (first, second)]
    course = np.repeat([1.0, -1.0], frames)
    template = made.data.template(first)
    axes = [_axis(made.data, i) for i in (first, second)]
    row = {"seed": seed, "clip": f"{made.data.table['clip'][first]}+{made.data.table['clip'][second]}",
           "speaker": made.data.table.actor[first]}
    said = {"tracking": (first, second), "tracking_shuffled": sound}
    for name, pair in said.items():
        pred = on_face(main.offsets(*joined(made, pair, sum(frames)), sum(frames)), template)
        row[name] = _course_correlation(register(pred, template), template, axes, course)
    truth = np.concatenate([made.data.landmarks[i] for i in (first, second)])
    return row | {"tracking_truth": _course_correlation(truth, template, axes, course)}


def joined(made: Material, pair: tuple[int, int], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Feature rows (3 T + 2, bins) of two clips, one after the other, cut or repeated to T frames."""
    out = []
    for rows in (made.mel, made.mfcc):
        both = np.concatenate([rows[pair[0]][:-1], rows[pair[1]][1:]])
        out.append(np.resize(both, (3 * frames + 2, both.shape[1])))
    return out[0], out[1]


def _axis(data: Tracks, clip: int) -> np.ndarray:
    """Mean exact displacement (P, 2) of the upper face from neutral to full intensity of the clip's emotion."""
    emotion = data.table.emotion[clip]
    full, none = (track_measures.exact_face(data, clip, e)[:, GROUPS["upper"]] for e in (emotion, NEUTRAL))
    return (full - none).mean(0)


def _course_correlation(still: np.ndarray, template: np.ndarray, axes: list[np.ndarray], course: np.ndarray) -> float:
    towards_first = ((still - template)[:, GROUPS["upper"]] * (axes[0] - axes[1])).sum((1, 2))
    window = np.ones(FPS) / FPS                                                      # means over one second
    expressed, true = (np.convolve(x, window, "valid") for x in (towards_first, course))
    return float(np.corrcoef(expressed, true)[0, 1]) if expressed.std() > 1e-9 and true.std() > 1e-9 else 0.0


def blends(scale: str, seed: int, names: tuple[str, ...] = ("vnet", "vnet/argmax-agreement")) -> pd.DataFrame:
    """Unseen clips spoken anew in a blend of two emotions, half of each, and upper-face errors against the exact blend.

    The voice has the mean of the settings of both emotions; the face is the mean of the exact faces of both for that
    sound. `static_px` is the error of the neutral face.
    """
    def measure() -> pd.DataFrame:
        data = material(scale, seed).data
        rows = data.rows(PART)
        chosen = rows[rows.emotion != NEUTRAL].index.to_numpy()
        picked = np.random.default_rng([seed, 23]).permutation(chosen)[:BLENDS]
        return pd.DataFrame([row for clip in picked for row in _blend(scale, seed, int(clip), names)])

    return cached(scale, seed, "blends", measure, names)


def _blend(scale: str, seed: int, clip: int, names: tuple[str, ...]) -> list[dict]:
    made = material(scale, seed)
    emotions = [e for e in present(made.data) if e != NEUTRAL]
    own = made.data.table.emotion[clip]
    pair = own, emotions[(emotions.index(own) + 1) % len(emotions)]
    spoken = blended(corpus(scale)[made.data.table.position[clip]], pair)
    template, upper = made.data.template(clip), GROUPS["upper"]
    truth = exact_blend(spoken, pair)
    mel, mfcc = made.heard(spoken.audio)

    def error(landmarks: np.ndarray) -> float:
        return float(np.linalg.norm(landmarks - truth, axis=-1)[:, upper].mean())

    row = {"seed": seed, **factors(made.data, clip), "static_px": error(np.repeat(template[None], len(truth), 0))}
    return [{**row, "system": name, "upper_px": error(register(
        on_face(train(scale, seed, name).offsets(mel, mfcc, len(truth)), template), template))} for name in names]


def blended(clip, pair: tuple[str, str]):
    """The puppet clip spoken with the mean of the voice settings of two emotions at full intensity."""
    from dataclasses import fields

    from lib.puppet import sentences, voice

    language = sentences.language(clip.spec.sentence)
    one, two = (voice.voice_settings(clip.spec.actor, e, 1.0, language=language) for e in pair)
    mean = {f.name: (getattr(one, f.name) + getattr(two, f.name)) / 2 for f in fields(one)
            if isinstance(getattr(one, f.name), float)}
    speech = voice.speak(sentences.text(clip.spec.sentence), replace(one, **mean))
    return replace(clip, audio=speech.audio, phonemes=speech.phonemes)


def exact_blend(clip, pair: tuple[str, str]) -> np.ndarray:
    """Mean landmarks (T, 68, 2) in pixels of the exact faces of two emotions at full intensity for a clip's sound."""
    from lib.puppet.recast import recast

    faces = [recast(clip, emotion=e, intensity=1.0).landmarks(FPS, audible=True) for e in pair]
    return to_pixels(np.mean(faces, axis=0)).astype(np.float32)


# The networks themselves ----------------------------------------------------------------------------------------------


READINGS = {"vnet@paper": ("vnet", "branch"), "vnet@paper, mouth loss on the sum": ("vnet", "sum"),
            "vnet@code": ("vnet@code", "sum"), "vnet/no-masks": ("vnet/no-masks", "branch")}


def gradient_reach(scale: str, seed: int) -> pd.DataFrame:
    """What reaches what, by automatic differentiation in the trained networks; 0 means exactly zero.

    speech_to_upper                    sum of |d(points off the mouth) / d(mel)|
    emotion_to_mouth, _to_upper        d(points) / d(q_emo) of one point, root mean square over its group
    mouthloss_in_emotion_branch        sum of |gradient| of the mouth loss in the weights that only q_emo feeds, for
                                       both placements of that loss
    emotionloss_in_lingual_branch      the same of the emotion loss in the weights that only q_ling feeds

    A single branch has no weights of its own for either: the gradient of its input (q_emo, mel) is given instead.
    """
    return cached(scale, seed, "reach", lambda: pd.DataFrame(
        [{"reading": reading, **_reach(train(scale, seed, name), placed)}
         for reading, (name, placed) in READINGS.items() if name in systems_at(scale)]))


def _reach(trained: Trained, placed: str) -> dict[str, float]:
    made, generator = trained.material, trained.model.generator.eval()
    batch, face = vnet.watched_windows(made), trained.model.emotion.face
    heard = trained.model.emotion.speech(batch.mfcc)
    quality, mel = (x.detach().clone().requires_grad_() for x in (heard.quality, batch.mel))
    moved = generator(mel, quality)
    looked = moved.lingual if placed == "branch" and moved.lingual is not None else moved.offsets
    expression = vnet.disagreement(face(moved.offsets), heard.probabilities, trained.system.profile.emotion_loss)
    emotional, lingual = (list(generator.branches[name].parameters()) if generator.two else [fed]
                          for name, fed in (("emotional", quality), ("lingual", mel)))
    return {"speech_to_upper": _felt(moved.offsets[:, :, models.REST].abs().sum(), [mel]),
            "emotion_to_mouth": _per_point(moved.offsets[:, :, models.MOUTH], quality),
            "emotion_to_upper": _per_point(moved.offsets[:, :, models.REST], quality),
            "mouthloss_in_emotion_branch": _felt(mouth_error(looked, batch.offsets), emotional),
            "emotionloss_in_lingual_branch": _felt(expression, lingual)}


def _felt(value: torch.Tensor, sources: list[torch.Tensor]) -> float:
    """Sum of the absolute gradients of a number in its sources; 0 where it does not depend on them."""
    gradients = torch.autograd.grad(value, sources, retain_graph=True, allow_unused=True)
    return float(sum(g.abs().sum() for g in gradients if g is not None))


def _per_point(points: torch.Tensor, source: torch.Tensor) -> float:
    """Root mean square over points (N, T, P, 2) of the norm of a point's gradient in `source`.

    One pass for all: under random signs s the gradients of different points cancel in E |d(sum s x)|^2 but not in
    their squares.
    """
    signs = torch.randint(0, 2, points.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    gradient, = torch.autograd.grad((signs * points).sum(), source, retain_graph=True)
    return float(gradient.norm() / points.shape[2] ** 0.5)


def time_gradients(scale: str, seed: int, names: tuple[str, ...] = ("vnet", "vnet/rnn")) -> pd.DataFrame:
    """How much of the mouth loss of the last frame reaches the first frame of the sound, over what reaches the last.

    0: the generator never sees that far back, as a convolutional one with its limited reach.
    """
    return cached(scale, seed, "time-gradients", lambda: pd.DataFrame(
        [{"seed": seed, "system": name, "first_over_last": _over_time(train(scale, seed, name))} for name in names]))


def _over_time(trained: Trained) -> float:
    batch = vnet.watched_windows(trained.material)
    mel = batch.mel.clone().requires_grad_()
    moved = trained.model.generator.eval()(mel, trained.model.emotion.speech(batch.mfcc).quality)
    gradient, = torch.autograd.grad(mouth_error(moved.lingual[:, -1:], batch.offsets[:, -1:]), mel)
    norms = gradient.square().sum((0, 1)).sqrt()
    return float(norms[1:4].mean() / norms[-4:-1].mean())


def convergence(scale: str, seed: int) -> pd.DataFrame:
    """Error on watched validation windows over generator steps, per system: step, mouth, upper, heeded.

    unmoved   the error `heeded` of a face that never leaves rest, in standard deviations of a face
    before    steps of the emotion networks before the first one of the generator
    """
    names = systems_at(scale)
    size = {kind: vnet.watched_windows(material(scale, seed, kind)).offsets[:, :, models.MOUTH].abs().mean()
            for kind in {SYSTEMS[name].offsets for name in names}}
    return pd.concat([pd.DataFrame(train(scale, seed, name).curve).assign(
        seed=seed, system=name, unmoved=float(size[SYSTEMS[name].offsets]), before=steps_before(scale, seed, name))
        for name in names], ignore_index=True)


def steps_before(scale: str, seed: int, name: str) -> int:
    """Steps of pre-training of a system: batches of all its epochs."""
    system, size = SYSTEMS[name], SIZES[scale]
    course = vnet.emotion_course(material(scale, seed, system.offsets), system, size)
    return size.pretraining_epochs * max(1, len(course.clips) // course.batch) if system.pretrained else 0


def endings(scale: str, seed: int) -> pd.DataFrame:
    """Mean losses of the last epoch per system, unweighted; a loss that a system does not have is NaN."""
    return pd.DataFrame([{"seed": seed, "system": name, **train(scale, seed, name).log[-1]}
                         for name in systems_at(scale)])
