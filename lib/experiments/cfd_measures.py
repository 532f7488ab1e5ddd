"""What is measured on the trained systems of paper 000: one table per question, one row per clip (or clip and step).

All tables are functions of (scale, seed), cached by name. What both landmark papers measure is in
lib/experiments/track_measures.py; here is what concerns the codes of CFD, its rivals and its ablations.

Names beside those of `cfd.SYSTEMS`: `cfd~identity=mean` has the mean identity code of the training clips in the place
of its own, `cfd~identity=other` that of another speaker, `cfd~identity=0` zeros, which no network has met in training.
`makeittalk~finished` has the hand-tuned steps of its released inference, `makeittalk` none; `makeittalk/template` has
learned displacements from the neutral face, where all are tested, `makeittalk` as released from the clip's frame of the
most closed mouth. PC-AVS hears windows of a fifth of a second and was trained on other material by everybody who
printed its numbers, so on one-word clips it is the same network as on whole ones; so is `makeittalk/template`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.data.clip import SAMPLE_RATE, resample
from lib.experiments import cfd, measures, pcavs, track_measures
from lib.experiments.cfd import MANNER, READINGS, REAL, SIZES, SYSTEMS, WORDS, Trained, material, train, untrained
from lib.experiments.cfd_material import Excerpts
from lib.experiments.track_measures import FEW, KINDS, TrackControls
from lib.experiments.tracks import GROUPS, Tracks
from lib.metrics import EYES, landmark_distance, lip_opening
from lib.models.cfd import Prediction
from lib.probes import leakage, pool, swap_skill
from lib.study import cached_arrays, code_digest, run_folder

MODULES = (*cfd.CODE, *pcavs.CODE, "lib.models.makeittalk", "lib.experiments.cfd_measures")
FULL = ("cfd", "makeittalk", "pcavs", "control/static-template", "control/shuffled-audio", "control/oracle")
FORMS = ("cfd/no-emotion-loss", "cfd/no-style")      # compared in every form of landmark distance, beside FULL
BRIEF = (FEW, "similarity", "judge")                 # what Table 2 needs
VARIED = ("cfd~identity=mean", "cfd~identity=0", "cfd~identity=other", "makeittalk~finished", "makeittalk/template")
ONE_WORD = (*WORDS, "one-word: makeittalk", "one-word: makeittalk/template", "one-word: pcavs")
CONTROLS = (*TrackControls.names, "control/truth")
DEAF = ("control/static-template", "control/mean-motion", "control/shuffled-audio")    # hear nothing of the clip
DETECTED = "control/detected-truth"                  # what the landmark detector makes of the true faces
STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)                  # standard deviations of PC1 scores
AROUSED, CALM = ("happy", "angry", "surprised", "fearful"), ("sad", "neutral")
SOUNDS = ("clean", "noise 20 dB", "noise 10 dB", "room", "telephone")
HEARD = ("clean", "noise 10 dB", "room", "telephone")                # of the nuisance that probes look for
TELEPHONE_HZ = (300, 3400)
CODES = ("content", "emotion", "identity")
TOGETHER = 32                                        # clips that a network hears at a time
EVERY = 2                                            # unseen clips where exact faces or sounds are made anew
RENDERED = 4                                         # unseen clips that are rendered, one in so many,
RENDERED_FRAMES = 8                                  # and of their frames one in so many: rendering is slow


def _cached(scale: str, seed: int, name: str, compute: Callable[[], pd.DataFrame], *settings) -> pd.DataFrame:
    return track_measures.cached("cfd", material(scale, seed), name, compute, SIZES[scale], settings, modules=MODULES)


def emotions_of(data: Tracks) -> tuple[str, ...]:
    """Emotions of the corpus, among which judges and recognisers choose."""
    return tuple(sorted(data.table.emotion.unique()))


# Predictions ----------------------------------------------------------------------------------------------------------


def tracks_of(scale: str, seed: int, name: str) -> Tracks:
    """The tracks that a system is trained and measured on."""
    return material(scale, seed, name.split(": ")[0] if ": " in name else "corpus")


def predictor(scale: str, seed: int, name: str) -> Callable[[int], np.ndarray]:
    """Landmarks (T, 68, 2) in pixels that a system or control gives for a clip."""
    data, plain = tracks_of(scale, seed, name), name.split(": ")[-1]
    if plain.startswith("control/"):
        return lambda i: controls(scale, seed, name.split(": ")[0] if ": " in name else "corpus").predict(plain, i)
    if plain.startswith("makeittalk"):
        return lambda i: _makeittalk_landmarks(scale, seed, plain, data, i)
    if plain == "pcavs":
        return lambda i: _pcavs_landmarks(scale, seed, data, i)
    if "~identity" in name:
        system, _, which = name.partition("~identity=")
        return lambda i: other_identity(scale, seed, system, i, which)
    return train(scale, seed, name).predict


@lru_cache(maxsize=8)
def controls(scale: str, seed: int, kind: str = "corpus") -> TrackControls:
    """The trivial rivals around CFD (on one-word clips, around the version without contrastive losses)."""
    data, name = material(scale, seed, kind), {"corpus": "cfd", "one-manner": "one-manner: cfd", "real":
                                                  "real: cfd"}.get(kind, "one-word: cfd/no-emotion-loss")
    known = tuple(int(a) for a in data.rows("train").actor.unique())
    return TrackControls(data, data.rows("unseen"), known, lambda x, i: train(scale, seed, name).drive(x, i),
                         lambda x, i: untrained(scale, seed, name).drive(x, i))


@lru_cache(maxsize=8)
def makeittalk(scale: str, seed: int, data: Tracks, reference: str = "closed"):
    """MakeItTalk trained on the clips of a seed from a reference face (`landmark_systems.MakeItTalkSize`); for one-word
    clips with windows that fit them."""
    from lib.experiments.landmark_systems import MAKEITTALK_SIZES, train_makeittalk

    size, shortest = MAKEITTALK_SIZES[scale], min(len(x) for x in data.landmarks)
    fitted = {part: replace(getattr(size, part), window=min(getattr(size, part).window, shortest))
              for part in ("content", "speaker")}
    return train_makeittalk(data, replace(size, reference=reference, **fitted),
                            label=f"makeittalk from {reference}, seed {seed}")


def _makeittalk_landmarks(scale: str, seed: int, name: str, data: Tracks, clip: int) -> np.ndarray:
    if name == "makeittalk/template" and isinstance(data, Excerpts):
        return data.cut(_makeittalk_landmarks(scale, seed, name, data.whole, clip), clip)
    rival = makeittalk(scale, seed, data, "template" if name.endswith("template") else "closed")
    return rival.predict(data.converted[clip], data.template(clip), data.speaker[clip], name.endswith("finished"))


def _pcavs_landmarks(scale: str, seed: int, data: Tracks, clip: int) -> np.ndarray:
    whole = pcavs.unseen(scale, seed)[data.table.position[clip]]
    return data.cut(whole, clip) if isinstance(data, Excerpts) else whole


def detected_truth(scale: str, seed: int, clip: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames (K,) of a clip, one in RENDERED_FRAMES, and the landmarks (K, 68, 2) in pixels that PC-AVS's detector
    finds in true pictures of them, taken and calibrated as PC-AVS's own are."""
    from lib.experiments.draw import corpus
    from lib.models.detector import calibrated
    from lib.models.translation import to_tensor
    from lib.picture_foundations import face_window

    data = material(scale, seed)
    rival = replace(pcavs.of_seed(scale, seed), data=data)
    at = np.arange(0, len(data.landmarks[clip]), RENDERED_FRAMES)
    images, _ = rival.camera.frames(corpus(scale)[data.table.position[clip]], at, pose=False)
    picture, rest = rival.reference(clip)
    found = rival.detector.detect(to_tensor(np.concatenate([picture[None], face_window(images)])))
    return at, calibrated(found[1:], found[0], rest)


def other_identity(scale: str, seed: int, name: str, clip: int, which: str) -> np.ndarray:
    """Landmarks (T, 68, 2) in pixels of a system with another identity code: "mean", "0" or "other", see the module."""
    trained = train(scale, seed, name)
    p = trained.codes(trained.course.feature[clip])
    code = {"0": lambda: torch.zeros(p.identity.shape[-1]), "mean": lambda: mean_identity(scale, seed, name),
            "other": lambda: lent_identity(trained, clip)}[which]()
    return trained.pixels(trained.spoken_with(p, p.emotion, code.expand_as(p.identity)), clip)


@lru_cache(maxsize=4)
def mean_identity(scale: str, seed: int, name: str) -> Tensor:
    """Mean identity code (C,) over the frames of the training clips, each clip counting alike."""
    rows = train(scale, seed, name).data.rows("train")
    return torch.from_numpy(clip_means([codes(scale, seed, name)["identity"][i] for i in rows.index]).mean(0))


def lent_identity(trained: Trained, clip: int) -> Tensor:
    """Identity code (C,) of an unseen speaker other than the clip's, mean over one of their clips."""
    rows = trained.data.rows("unseen")
    strangers = rows.index[rows.actor != trained.data.table.actor[clip]]
    return trained.codes(trained.course.feature[int(strangers[clip % len(strangers)])]).identity[0].mean(0)


# Table 2 --------------------------------------------------------------------------------------------------------------


def scores(scale: str, seed: int, names: Sequence[str] = ()) -> pd.DataFrame:
    """Scores of every system, rival and control on the unseen clips (`track_measures.score`); all kinds for FULL."""
    if names:
        return _scored(scale, seed, names)
    found = _scored(scale, seed, (*SYSTEMS, *VARIED, "makeittalk", "pcavs", *CONTROLS))
    return pd.concat([found, detected_scores(scale, seed)], ignore_index=True)


def detected_scores(scale: str, seed: int) -> pd.DataFrame:
    """Scores of the truth as the detector sees it: the floor of a rival in pictures. One unseen clip in RENDERED, drawn
    at random, because clips lie in the order of their emotions."""
    data = material(scale, seed)
    unseen = data.rows("unseen").index.to_numpy()
    chosen = np.random.default_rng([seed, 31]).permutation(unseen)[: -(-len(unseen) // RENDERED)]

    def compute() -> pd.DataFrame:
        rows = []
        for clip in np.sort(chosen):
            at, found = detected_truth(scale, seed, int(clip))
            rows.append({"seed": seed, "system": DETECTED, **measures.factors(data, clip), **track_measures.score(
                data, clip, found, data.landmarks[clip][at], emotions_of(data), kinds=BRIEF[:2])})
        return pd.DataFrame(rows)

    return _cached(scale, seed, f"scores-{DETECTED}", compute)


def manner_scores(scale: str, seed: int) -> pd.DataFrame:
    """The same where all speak in one actor's manner: does the identity code matter where identity does not?"""
    other = (f"one-manner: cfd~identity={which}" for which in ("mean", "0"))
    return _scored(scale, seed, (*MANNER, *other, *_beside("one-manner")))


def word_scores(scale: str, seed: int) -> pd.DataFrame:
    """The same on one-word clips, distances and similarity only."""
    return _scored(scale, seed, (*ONE_WORD, *_beside("one-word")))


def real_scores(scale: str, seed: int) -> pd.DataFrame:
    """The same on StyleTalk's recordings, distances only, and `floor_px`: what the detector's jitter alone costs there.

    No oracle stands beside them, because nobody knows what a listener could know of a recording; no rival either, so
    that every MakeItTalk that is trained answers a claim. Raises AssetMissing where the recordings are not found.
    """
    from lib.face.registration import noise_distance

    scored = _scored(scale, seed, (*REAL, *(f"real: {name}" for name in (*DEAF, "control/shuffled-truth"))))
    data = material(scale, seed, "real")
    floors = {data.table["clip"][i]: noise_distance(data.jitter_px[i]) for i in data.table.index}
    return scored.assign(floor_px=scored["clip"].map(floors))


def _beside(kind: str) -> tuple[str, ...]:
    """Controls that say what there is to learn on other material, and how much of it needs no ear."""
    return tuple(f"{kind}: {name}" for name in (*DEAF, "control/oracle", "control/shuffled-truth"))


def _scored(scale: str, seed: int, names: Sequence[str]) -> pd.DataFrame:
    def measure(name: str) -> pd.DataFrame:
        data = tracks_of(scale, seed, name)
        kinds = KINDS if name in FULL else ("distance", *BRIEF[1:]) if name in FORMS else BRIEF
        kinds = BRIEF[:2] if ": " in name else kinds
        kinds = BRIEF[:1] if name.startswith(("real: ", "one-manner: ")) else kinds
        return track_measures.scores(data, name, data.rows("unseen"), predictor(scale, seed, name), emotions_of(data),
                                     kinds=kinds)

    return pd.concat([_cached(scale, seed, f"scores-{name}", lambda n=name: measure(n)) for name in names],
                     ignore_index=True)


def readings(scale: str, seed: int) -> pd.DataFrame:
    """Errors of every reading of what the paper leaves open, beside the default: a look, not a verdict."""
    return _scored(scale, seed, ("cfd", *READINGS, *TrackControls.names[:1], "control/oracle"))


# Collapse -------------------------------------------------------------------------------------------------------------


def collapse(scale: str, seed: int) -> pd.DataFrame:
    """Training logs of step 2, a row per system and part of an epoch, under the epochs done by then: losses, distances
    and variance of both codes."""
    rows = [{"seed": seed, "system": name, "epoch": (number + 1) / cfd.PARTS, **row} for name, system in SYSTEMS.items()
            if not system.plain for number, row in enumerate(train(scale, seed, name).log)]
    return pd.DataFrame(rows)


# Codes ----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def codes(scale: str, seed: int, name: str) -> dict[str, list[np.ndarray]]:
    """Codes (T, C) by name of every clip of the draw as it is."""
    trained = untrained(scale, seed) if name == "control/random-init" else train(scale, seed, name)
    return codes_of(trained, trained.course.feature)


def codes_of(trained: Trained, features: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Codes (T, C) by name for features of clips; a network without style branch has its content code alone.

    Many clips at a time, zero beyond their ends: no frame of these networks hears a later one.
    """
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(features), TOGETHER):
        some = [torch.from_numpy(np.asarray(x, np.float32)) for x in features[start : start + TOGETHER]]
        p = trained.codes(torch.nn.utils.rnn.pad_sequence(some, batch_first=True))
        for code in CODES:
            rows = getattr(p, code)
            if rows is not None:
                found.setdefault(code, []).extend(row[: len(x)].numpy() for row, x in zip(rows, some, strict=True))
    return found


def clip_means(tracks: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over time (N, C) of codes (T, C)."""
    return np.stack([x.mean(0) for x in tracks])


def disturbed(audio: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Sound (N,) at 16 kHz as one of SOUNDS: white noise so far below the speech, a room of 0.3 s, or the band of a
    telephone. Its level is no disturbance: AutoVC sets every sound to -20 dBFS before it listens."""
    from lib.experiments import ecm

    if kind == "room":
        return ecm.disturbed(audio, rng, "reverb")
    if kind.startswith("noise"):
        level = audio.std() * 10 ** (-float(kind.split()[1]) / 20)
        return (audio + level * rng.standard_normal(len(audio))).astype(np.float32)
    return in_band(audio, *TELEPHONE_HZ) if kind == "telephone" else audio


def in_band(audio: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Sound (N,) at 16 kHz without all that lies outside a band."""
    spectrum, at_hz = np.fft.rfft(audio), np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    spectrum[(at_hz < low_hz) | (at_hz > high_hz)] = 0
    return np.fft.irfft(spectrum, len(audio)).astype(np.float32)


def heard(data: Tracks, clip: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Plain and converted mel (T, 80) of a clip whose sound is disturbed or "clean", one row per frame."""
    from lib.landmark_foundations import converter
    from lib.models.autovc import RATE

    if kind == "clean":
        return data.mel[clip], data.converted[clip]
    rng = np.random.default_rng([data.seed, clip, SOUNDS.index(kind)])
    plain, converted, _ = converter(data.scale).features(disturbed(data.audio(clip), kind, rng))
    frames = len(data.landmarks[clip])
    return tuple(resample(x, RATE, data.fps, frames).astype(np.float32) for x in (plain, converted))


@lru_cache(maxsize=4)
def held_out(scale: str, seed: int) -> tuple[pd.DataFrame, list[np.ndarray], list[np.ndarray]]:
    """Rows of all clips not trained on, each heard in one condition of HEARD (column `sound`, drawn at random), and
    their plain and converted mel."""
    data = material(scale, seed)
    rows = data.table[data.table.part != "train"]
    drawn = np.random.default_rng([seed, 23]).permutation(np.arange(len(rows)) % len(HEARD))
    rows = rows.assign(sound=[HEARD[k] for k in drawn])
    folder = run_folder("cfd", data.key, HEARD, EVERY, code_digest("lib.experiments.cfd_measures", "lib.models.autovc"))

    def compute() -> dict[str, np.ndarray]:
        pairs = [heard(data, int(i), kind) for i, kind in zip(rows.index, rows.sound, strict=True)]
        return {name: np.concatenate(part) for name, part in zip(("mel", "converted"), zip(*pairs, strict=True),
                                                                 strict=True)}

    stored = cached_arrays(folder / "held-out.npz", compute)
    cuts = np.cumsum([len(data.landmarks[i]) for i in rows.index])[:-1]
    return rows, np.split(stored["mel"], cuts), np.split(stored["converted"], cuts)


LEAKS = ("cfd", "cfd/no-emotion-loss", "cfd/single-encoder")


def leaks(scale: str, seed: int) -> pd.DataFrame:
    """What probes read from every code of `LEAKS` and from both mels, on disturbed held-out clips: one row per probe.

    Codes are pooled over time by mean and standard deviation. The ceiling is the same probe on a system's codes joined
    with a few components of the true motion and of the plain mel, which hold all five factors: codes alone may have
    lost one, and hundreds of columns would drown it.
    """
    return _cached(scale, seed, "leakage", lambda: _leaks(scale, seed).assign(seed=seed))


def _leaks(scale: str, seed: int) -> pd.DataFrame:
    rows, mel, converted = held_out(scale, seed)
    data = material(scale, seed)
    seen = {"": {"mel": mel, "converted mel": converted}}
    seen |= {f"{name}: ": codes_of(train(scale, seed, name), converted) for name in LEAKS}
    known = {"content": rows.sentence.to_numpy(str), "emotion": rows.emotion.to_numpy(str),
             "intensity": np.where(rows.emotion == "neutral", 0.0, rows.intensity).astype(float),
             "identity": rows.actor.to_numpy(str), "nuisance": rows.sound.to_numpy(str)}
    groups = {"speaker": known["identity"], "sentence": known["content"]}
    moved = [(data.landmarks[i] - data.template(i)).reshape(len(data.landmarks[i]), -1) for i in rows.index]
    reference = np.concatenate([components(pooled(moved)), components(pooled(mel))], 1)
    return pd.concat([leakage({prefix + code: pooled(track) for code, track in tracks.items()}, known, groups,
                              seed=seed, folds=2, reference=reference) for prefix, tracks in seen.items()])


def pooled(tracks: Sequence[np.ndarray]) -> np.ndarray:
    """Mean and standard deviation over time (N, 2C) of tracks (T, C)."""
    return np.stack([pool(x) for x in tracks])


def components(values: np.ndarray, count: int = 16) -> np.ndarray:
    """The first principal components (N, <= count) of standardised columns (N, D)."""
    scaled = (values - values.mean(0)) / np.where(values.std(0) > 1e-9, values.std(0), 1)
    left, size, _ = np.linalg.svd(scaled, full_matrices=False)
    return left[:, :count] * size[:count]


def speakers(scale: str, seed: int) -> pd.DataFrame:
    """Identity codes of unseen speakers, of CFD trained and untrained, and of the features they come from.

    within, between     mean absolute difference of clip means: same person in two sessions, two persons
    speaker_eer         equal-error rate of telling same from other by that distance, 0.5 = chance
    variance            of the code over clips and frames, mean over dimensions
    """
    data = material(scale, seed)
    unseen = data.rows("unseen")
    sources = {"cfd": codes(scale, seed, "cfd")["identity"], "cfd/no-emotion-loss":
               codes(scale, seed, "cfd/no-emotion-loss")["identity"], "control/random-init":
               codes(scale, seed, "control/random-init")["identity"], "converted mel": data.converted, "mel": data.mel}
    return pd.DataFrame([{"seed": seed, "system": name, **verification([track[i] for i in unseen.index],
                                                                       unseen.actor, unseen.session)}
                         for name, track in sources.items()])


def verification(tracks: Sequence[np.ndarray], actor: pd.Series, session: pd.Series) -> dict[str, float]:
    """See `speakers`; where nobody has two sessions, any two clips of a person count as within."""
    means, actor, session = clip_means(tracks), actor.to_numpy(), session.to_numpy()
    distance = np.abs(means[:, None] - means[None]).mean(-1)
    above = np.triu(np.ones(distance.shape, bool), 1)
    same = (actor[:, None] == actor[None]) & above
    apart = same & (session[:, None] != session[None])
    within, between = distance[apart if apart.any() else same], distance[above & ~same]
    return {"within": within.mean(), "between": between.mean(),
            "within_over_between": within.mean() / max(between.mean(), 1e-12),
            "speaker_eer": equal_error_rate(within, between), "variance": np.concatenate(tracks).var(0).mean()}


def equal_error_rate(same: np.ndarray, other: np.ndarray) -> float:
    """Rate at which as many pairs of one person are rejected as pairs of two are accepted, by distance (lower: alike).

    The mean of both rates at the threshold where they lie closest; 0.5 where distances tell nothing.
    """
    thresholds = np.unique(np.concatenate([same, other]))
    rejected = 1 - np.searchsorted(np.sort(same), thresholds, "right") / len(same)
    accepted = np.searchsorted(np.sort(other), thresholds, "right") / len(other)
    best = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[best] + accepted[best]) / 2)


def video_distances(scale: str, seed: int) -> pd.DataFrame:
    """Distance of emotion codes of unseen clips within a video over that to other videos of the person, for `LEAKS`; of
    one encoder without such a code, its only one."""
    data, found = material(scale, seed), []
    unseen = data.rows("unseen")
    video = unseen.groupby(["actor", "session", "emotion"]).ngroup()
    for name in LEAKS:
        own = codes(scale, seed, name)
        tracks = own.get("emotion", own["content"])
        found.append({"seed": seed, "system": name,
                      **within_and_across([tracks[i] for i in unseen.index], unseen.actor, video)})
    return pd.DataFrame(found)


def within_and_across(tracks: Sequence[np.ndarray], actor: pd.Series, video: pd.Series) -> dict[str, float]:
    """Mean absolute difference of clip means of codes (T, C): two clips of one video, two videos of one person, ratio.

    Where no video has two clips, both halves of a clip stand for them, as both windows of it do in training.
    """
    actor, video = actor.to_numpy(), video.to_numpy()
    if len(set(video)) == len(video):
        tracks = [half for track in tracks for half in np.array_split(track, 2)]
        actor, video = actor.repeat(2), video.repeat(2)
    means = clip_means(tracks)
    distance, once = np.abs(means[:, None] - means[None]).mean(-1), np.triu(np.ones((len(means),) * 2, bool), 1)
    same = video[:, None] == video[None]
    within = distance[same & once].mean()
    across = distance[(actor[:, None] == actor[None]) & ~same & once].mean()
    return {"within": within, "across": across, "within_over_across": within / max(across, 1e-12)}


STYLED = ("cfd", "one-manner: cfd")


def identity_shares(scale: str, seed: int) -> pd.DataFrame:
    """Share of the variance of the style branch's output that the identity code brings about, unseen clips, `STYLED`.

        share = E |D_style(e, i) - D_style(e, i')|^2 / (2 Var D_style)       i' of another speaker

    Jansen's estimate of the total effect of an input: 0 where it changes nothing, 1 where it decides all.
    """
    return pd.DataFrame([{"seed": seed, "system": name, "share": identity_share(train(scale, seed, name))}
                         for name in STYLED])


def identity_share(trained: Trained) -> float:
    """See `identity_shares`."""
    own, changes = [], []
    for clip in trained.data.rows("unseen").index:
        p = trained.codes(trained.course.feature[clip])
        other = trained.spoken_with(p, p.emotion, lent_identity(trained, int(clip)).expand_as(p.identity))
        own.append(p.styled[0].flatten(1).numpy())
        changes.append(np.square(own[-1] - other.styled[0].flatten(1).numpy()).sum(-1))
    return float(np.concatenate(changes).mean() / max(2 * np.concatenate(own).var(0).sum(), 1e-12))


# The walk along the first principal component -------------------------------------------------------------------------


@lru_cache(maxsize=16)
def principal_axis(scale: str, seed: int, name: str = "cfd") -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (C,), direction (C,) of length 1 and standard deviation along it of the emotion codes of training clips.

    One point per clip, its mean over time. The sign, which a component does not have, is that of arousal: excited
    clips lie higher than calm ones.
    """
    data = material(scale, seed)
    rows = data.rows("train")
    means = clip_means([codes(scale, seed, name)["emotion"][i] for i in rows.index])
    centre = means.mean(0)
    direction = np.linalg.svd(means - centre, full_matrices=False)[2][0]
    score = (means - centre) @ direction
    aroused, calm = (score[rows.emotion.isin(group).to_numpy()].mean() for group in (AROUSED, CALM))
    return centre, direction if aroused >= calm else -direction, float(score.std())


def walked(trained: Trained, features: np.ndarray, clip: int, sds: float, axis: tuple) -> np.ndarray:
    """Landmarks (T, 68, 2) in pixels with the emotion code of every frame shifted by `sds` along the axis."""
    return shifted(trained, trained.codes(features), sds, axis, trained.data.template(clip))


def shifted(trained: Trained, said: Prediction, sds: float, axis: tuple, template: np.ndarray) -> np.ndarray:
    """The same for codes already heard, on the face of a template (68, 2)."""
    _, direction, spread = axis
    shift = torch.from_numpy((sds * spread * direction).astype(np.float32))
    return trained.on_face(trained.spoken_with(said, said.emotion + shift, said.identity), template)


def walk(scale: str, seed: int) -> pd.DataFrame:
    """Lip-distance curves of every unseen clip at the five steps: amplitude and correlation with the unshifted curve.

    amplitude = p95 - p5 of the inner-lip distance over the outer-eye distance; upper_px: mean change of brows and eyes.
    """
    return _cached(scale, seed, "walk", lambda: _walk(scale, seed))


def _walk(scale: str, seed: int) -> pd.DataFrame:
    trained, axis, out = train(scale, seed, "cfd"), principal_axis(scale, seed), []
    for clip in trained.data.rows("unseen").index:
        faces = {sds: walked(trained, trained.course.feature[clip], clip, sds, axis) for sds in STEPS}
        middle = lips_over_eyes(faces[0.0])
        for sds, face in faces.items():
            curve = lips_over_eyes(face)
            moved = np.linalg.norm(face - faces[0.0], axis=-1)
            out.append({"seed": seed, **measures.factors(trained.data, clip), "sds": sds,
                        "amplitude": float(np.subtract(*np.percentile(curve, [95, 5]))), "mean": float(curve.mean()),
                        "correlation": float(np.corrcoef(curve, middle)[0, 1]),
                        "moved_px": float(moved.mean()), "upper_px": float(moved[:, GROUPS["upper"]].mean())})
    return pd.DataFrame(out)


def lips_over_eyes(landmarks: np.ndarray) -> np.ndarray:
    """Inner-lip distance in outer-eye distances, (T,)."""
    eyes = np.linalg.norm(landmarks[:, EYES[0]] - landmarks[:, EYES[1]], axis=-1)
    return lip_opening(landmarks) / eyes


def shares(scale: str, seed: int) -> pd.DataFrame:
    """Variance of PC1 scores of held-out clips that each known factor explains (eta squared, corrected for chance), and
    the same with labels drawn anew ("control/random-label").

    A session belongs to one speaker, so the nuisance is what sessions explain of the scores around each speaker's mean:
    else it would hold all that the speaker explains.
    """
    data, (centre, direction, _) = material(scale, seed), principal_axis(scale, seed)
    rows = data.table[data.table.part != "train"]
    score = (clip_means([codes(scale, seed, "cfd")["emotion"][i] for i in rows.index]) - centre) @ direction
    level = np.where(rows.emotion == "neutral", 0, rows.intensity).astype(str)
    factors = {"emotion": np.char.add(rows.emotion.to_numpy(str), level.astype(str)),
               "content": rows.sentence.to_numpy(str), "identity": rows.actor.to_numpy(str),
               "nuisance": np.char.add(rows.actor.to_numpy(str), np.char.add("s", rows.session.to_numpy(str)))}
    scores = dict.fromkeys(factors, score)
    scores["nuisance"] = score - pd.Series(score).groupby(factors["identity"]).transform("mean").to_numpy()
    rng = np.random.default_rng([seed, 29])
    return pd.DataFrame([{"seed": seed, "system": system, "factor": factor,
                          "share": explained(scores[factor], order(labels))}
                         for factor, labels in factors.items()
                         for system, order in (("cfd", lambda x: x), ("control/random-label", rng.permutation))])


def explained(score: np.ndarray, labels: np.ndarray) -> float:
    """Omega squared: the share of the variance of scores (N,) between groups, 0 where groups differ as chance makes
    them (eta squared grows with the number of groups).

        w^2 = (SS_between - (K - 1) MS_within) / (SS_total + MS_within)
    """
    names, place = np.unique(labels, return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, score) / counts
    total = np.square(score - score.mean()).sum()
    inside = total - (counts * np.square(means - score.mean())).sum()
    spare = len(score) - len(names)
    if spare < 1 or total <= 0:
        return float("nan")
    mean_square = inside / spare
    return float((total - inside - (len(names) - 1) * mean_square) / (total + mean_square))


# Swaps ----------------------------------------------------------------------------------------------------------------

SWAPPED = ("cfd", "cfd/no-emotion-loss", "cfd/no-identity-loss")


def swaps(scale: str, seed: int) -> pd.DataFrame:
    """Content of an unseen clip A with the emotion code of a clip B of another emotion, against the exact face.

    swap_skill          1 - |swapped - exact| / |unswapped - exact|: 1 = exact, 0 = no better than A's own code
    upper_skill, lip_skill   the same on brows and eyes, and on the lips
    lip_content         how much further from the exact lips the swap leaves the lips, each around its own mean (px):
                        0 where a swap does nothing, below 0 where it helps
    """
    return _cached(scale, seed, "swaps", lambda: pd.concat([_swaps(scale, seed, n) for n in SWAPPED]), SWAPPED)


def _swaps(scale: str, seed: int, name: str) -> pd.DataFrame:
    from tqdm.auto import tqdm

    trained, out = train(scale, seed, name), []
    data = trained.data
    for a in tqdm(data.rows("unseen").index[::EVERY], desc=f"swapping {name}, seed {seed}", leave=False):
        b = unlike(data, int(a))
        exact = track_measures.exact_face(data, int(a), data.table.emotion[b], float(data.table.intensity[b]))
        swapped, kept = swapped_face(trained, int(a), b), trained.predict(int(a))
        skills = {f"{region}_skill": swap_skill([swapped[:, points]], [exact[:, points]], [kept[:, points]])[0]
                  for region, points in (("swap", GROUPS["all"]), ("upper", GROUPS["upper"]), ("lip", GROUPS["lips"]))}
        out.append({"seed": seed, "system": name, **measures.factors(data, int(a)), "to": data.table.emotion[b],
                    **skills, "lip_content": _lips(swapped, exact) - _lips(kept, exact)})
    return pd.DataFrame(out)


def _lips(pred: np.ndarray, truth: np.ndarray) -> float:
    return float(landmark_distance(pred, truth, points=GROUPS["lips"], align="centred").mean())


def swapped_face(trained: Trained, a: int, b: int) -> np.ndarray:
    """Landmarks (T, 68, 2) with content and identity of clip a and the emotion code of clip b, repeated from its start
    where it is shorter."""
    said, lent = (trained.codes(trained.course.feature[i]) for i in (a, b))
    frames = np.resize(np.arange(lent.emotion.shape[1]), said.emotion.shape[1])
    code: Tensor = lent.emotion[:, frames]
    return trained.pixels(trained.spoken_with(said, code, said.identity), a)


def unlike(data: Tracks, clip: int) -> int:
    """An unseen clip of another emotion, speaker and sentence; which one depends on the clip alone."""
    rows = data.rows("unseen")
    differs = [rows[factor] != rows[factor][clip] for factor in ("emotion", "actor", "sentence")]
    others = rows.index[np.logical_and.reduce(differs)]
    return int(others[clip % len(others)])


# Disturbed sound ------------------------------------------------------------------------------------------------------

LISTENERS = ("cfd", "cfd/single-encoder", "cfd/plain-mel")


def disturbances(scale: str, seed: int) -> pd.DataFrame:
    """Landmark distance (C, px) of half of the unseen clips under every one of SOUNDS."""
    return _cached(scale, seed, "disturbed", lambda: _disturbances(scale, seed), LISTENERS, SOUNDS)


def _disturbances(scale: str, seed: int) -> pd.DataFrame:
    from tqdm.auto import tqdm

    data, out = material(scale, seed), []
    for clip in tqdm(data.rows("unseen").index[::EVERY], desc=f"disturbed sound, seed {seed}", leave=False):
        for kind in SOUNDS:
            mel, converted = heard(data, int(clip), kind)
            for name in LISTENERS:
                pred = train(scale, seed, name).drive(mel if name == "cfd/plain-mel" else converted, int(clip))
                error = landmark_distance(pred, data.landmarks[clip], align="centred").mean()
                out.append({"seed": seed, "system": name, **measures.factors(data, int(clip)), "sound": kind,
                            "lmd_face_px": float(error)})
    return pd.DataFrame(out)
