"""ECM against VOCA, FaceFormer, Pham17 and Chun21 (paper 001): which systems are trained, on what, what they predict.

The training set has two parts, as the paper's: neutral clips (the role of VOCASET), for which the augment net is
bypassed, and emotional clips with fitting noise (the role of CREMA-D, whose truth is fitted to video). ECM learns
FLAME-like parameters, the rivals coefficients of the draw's basis, from the same noisy faces in as many steps. When
tested ECM is told the true emotion and intensity, as the user of the paper tells it; the rivals have no such input.
`ecm` is the profile of the paper, `ecm/code` that of the released program: network, losses, priors, control formula.

Departures at every scale: the convolutions of the study's speech encoder in place of wav2vec 2.0's (each frame still
sees its own window only), a recogniser of landmarks in place of DAN, whose logits get the noise of single pictures
(`PICTURE_NOISE`), L1 in place of mutual information for the predictor, vertex losses on some vertices of the front
(`EVERY`) with head still and jaw turned by its pitch alone, the shared schedule; below `paper` scale one style block.
Windows have equal length: in the released program the output depends on the padding.
The paper gives no loss weights; at its own, vertex and mouth term weigh alike when training starts.

Names: `ecm/x` is another training, `ecm~x` the same weights used otherwise, `control/x` a trivial rival.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import losses as terms
from lib import priors as prior
from lib.experiments import systems
from lib.experiments.draw import CORPORA, Draw, corpus, draw, foundation
from lib.experiments.systems import Batch, Course, Size, fit_cached, train_faceformer
from lib.face.flame import FlameLike
from lib.labels import COMMON
from lib.models import chun21, ecm, pham17, voca
from lib.paths import CACHE
from lib.puppet import proportions
from lib.puppet.corpus import PuppetClip, synthesise
from lib.puppet.spec import ClipSpec, draw_split
from lib.study import cached_arrays, code_digest, digest, run_folder, weights_digest
from lib.training import HOLD, SHORT_MEMORY, seed_everything

FPS = 30
NEUTRAL = COMMON[0]
CODE = (*systems.CODE, "lib.experiments.ecm", "lib.priors", "lib.face.flame")
MODELS = tuple(f"lib.models.{name}" for name in ("ecm", "voca", "faceformer", "pham17", "chun21"))
FIT_NOISE = 0.15                 # of emotional training faces, standard deviations of a parameter, per frame and clip
PICTURE_NOISE = 0.5              # of the recogniser's logits from frame to frame, standard deviations
PAPER_WEIGHTS = {"vertex": 1000.0, "mouth": 10.0, "prior": 1.0}      # ours, per metre and per unit of Eq. 5
WILD_ACTORS = {"smoke": range(400, 404), "laptop": range(400, 440), "paper": range(400, 460)}
EVERY = 24                       # vertices of the front between those that the vertex loss sees
FACE_FRAMES = 800                # frames the FLAME-like components are fitted on

SIZES = {
    "smoke": Size(components=24, width=16, batch=4, window=24, epochs=2, learning_rate=2e-3, steps=4),
    "laptop": Size(components=64, width=48, batch=8, window=30, epochs=20, learning_rate=3e-3, steps=190,
                   betas=SHORT_MEMORY, hold=HOLD),
    "paper": Size(components=256, width=192, batch=16, window=120, epochs=100, learning_rate=1e-3, steps=1000),
}


@dataclass(frozen=True)
class System:
    """One training and what differs from ECM as its paper has it.

    profile   "paper" or "code": network, losses, normalisation and smoothing of priors, control formula
    clips     "both" parts, "neutral" alone for as many steps, "neutral-short" alone for as many epochs, "wild": both
              and noisy voices
    prior     whom the augment net learns from: "image", "audio", "exact" (label times intensity); `wrong`: share of
              frames whose logits are those of other classes; without `smoothing` neither priors nor their targets are
              smoothed
    """

    family: str = "ecm"
    profile: str = "paper"
    clips: str = "both"
    vertex: bool = True
    mouth: bool = True
    style: bool = True
    residual: bool = True
    recurrent: str = "lstm"
    prior: str = "image"
    wrong: float = 0.0
    smoothing: bool = True


SYSTEMS = {
    "ecm": System(),
    "ecm/code": System(profile="code"),
    "ecm/code/no-lvx": System(profile="code", vertex=False),
    "ecm/code/no-llm": System(profile="code", mouth=False),
    "ecm/no-lvx": System(vertex=False),
    "ecm/no-llm": System(mouth=False),
    "ecm/no-style": System(style=False),
    "ecm/no-residual": System(residual=False),
    "ecm/vocaset-only": System(clips="neutral"),
    "ecm/vocaset-only,short": System(clips="neutral-short"),
    "ecm/with-lrs2": System(clips="wild"),
    "ecm/exact-prior": System(prior="exact"),
    "ecm/audio-prior": System(prior="audio"),
    "ecm/noisy-prior=0.1": System(wrong=0.1),
    "ecm/noisy-prior": System(wrong=0.3),
    "ecm/noisy-prior=0.5": System(wrong=0.5),
    "ecm/gru": System(recurrent="gru"),
    "ecm/no-prior-smoothing": System(smoothing=False),
    "voca": System("voca"),
    "voca/neutral": System("voca", clips="neutral"),
    "faceformer": System("faceformer"),
    "faceformer/neutral": System("faceformer", clips="neutral"),
    "pham17": System("pham17"),
    "chun21": System("chun21"),
}


# Material -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Material:
    """A draw with what ECM learns from: `clips` are the rows of both parts, `wild` those of noisy voices.

    fitted[i] (T, 56) parameters with fitting noise, logits[i] (T, 7) of the recogniser, silent[i] (T,):
    lists with one entry per row of `data.table`, None for clips that nothing is learned from.
    """

    data: Draw                       # test and training clips of the corpus
    taught: Draw                     # the same and the wild clips, motion as fitted: what the rivals learn
    clips: np.ndarray
    wild: np.ndarray
    fitted: list[np.ndarray | None]
    logits: list[np.ndarray | None]
    silent: list[np.ndarray | None]
    wild_sounds: list[np.ndarray]
    face: FlameLike

    @cached_property
    def reader(self) -> "StillHead":
        """Parameters to coefficients of the draw's basis."""
        return basis_reader(self.face, self.data)

    def to_basis(self, params: np.ndarray, template: np.ndarray) -> np.ndarray:
        """Coefficients (T, K) of parameters (T, 56) on a neutral face (V, 3)."""
        return self.reader(torch.from_numpy(np.asarray(params, np.float32)), template).numpy()

    def features(self, window: tuple[int, int]) -> list[np.ndarray]:
        """What ECM hears (T, F), for every row of `taught`."""
        return _features(self, window)


@lru_cache(maxsize=4)
def _features(made: Material, window: tuple[int, int]) -> list[np.ndarray]:
    data, stored = made.data, convolved(made.data.scale, window)
    own = [np.asarray(stored[str(i)][: len(m)], np.float32) for i, m in
           zip(data.table["position"], data.motion, strict=True)]
    frames = [len(made.taught.motion[i]) for i in made.wild]
    return own + [heard(data.scale, sound, n, window) for sound, n in zip(made.wild_sounds, frames, strict=True)]


class StillHead:
    """FLAME-like parameters (..., 56) to a linear reading (..., M) of the motion in closed form; the jaw only pitches.

    With Q the generator of the jaw's pitch theta, s = sin theta, c = 1 - cos theta and w the weights of the jaw:

        motion = E p + w (s Q + c Q^2) (template + E p - joint)

    `read` takes points (N, V, 3) to (N, M): a basis, or some of the vertices.
    """

    def __init__(self, face: FlameLike, read: Callable[[np.ndarray], np.ndarray]):
        self.jaw, self.read = face.jaw[:, None], read
        self.moved = [self._read(x) for x in (face.components, *self._turned(face.components))]
        self.resting: dict[bytes, list[Tensor]] = {}     # of the templates seen so far: there are as many as actors

    def __call__(self, params: Tensor, template: np.ndarray) -> Tensor:
        """Motion from the neutral face `template` (V, 3)."""
        plain, sine, cosine = (x.to(params) for x in self.moved)
        at_sine, at_cosine = (x.to(params) for x in self._at_rest(template))
        p, pitch = params[..., : len(plain)], params[..., ecm.JAW_PITCH, None]
        return p @ plain + pitch.sin() * (at_sine + p @ sine) + (1 - pitch.cos()) * (at_cosine + p @ cosine)

    def _at_rest(self, template: np.ndarray) -> list[Tensor]:
        """What the turning jaw does to the face at rest."""
        key = template.tobytes()
        if key not in self.resting:
            self.resting[key] = [self._read(x[None]) for x in self._turned(template - proportions.JAW_JOINT)]
        return self.resting[key]

    def _turned(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """w Q x and w Q^2 x for points (..., V, 3)."""
        sine = np.stack([np.zeros_like(x[..., 0]), -x[..., 2], x[..., 1]], -1)
        return self.jaw * sine, self.jaw * x * np.array([0, -1, -1])

    def _read(self, x: np.ndarray) -> Tensor:
        return torch.as_tensor(np.asarray(self.read(x), np.float32))


def basis_reader(face: FlameLike, data: Draw) -> StillHead:
    """Parameters straight to coefficients (..., K) of the draw's basis."""
    directions = data.basis.directions.T / data.basis.scale
    return StillHead(face, lambda x: x.reshape(len(x), -1) @ directions)


@lru_cache(maxsize=8)
def material(scale: str, seed: int) -> Material:
    """What a seed draws for ECM; the slow part is cached."""
    data = draw(scale, seed, COMMON, SIZES[scale].components, FPS)
    clips = training_rows(data)
    stored = cached_arrays(CACHE / "draws" / f"ecm-{digest(data.key, clips.tolist(), code_digest(*CODE))}.npz",
                           lambda: _fitted(data, clips))
    face = replace(_empty_face(), components=stored["components"])
    specs, count = wild_specs(data), len(data.table)
    cuts = np.cumsum(stored["frames"])[:-1]
    fitted, logits, silent, motion = (np.split(stored[name], cuts) for name in ("fitted", "logits", "silent", "motion"))
    rows = [*clips, *range(count, count + len(specs))]
    table = pd.concat([data.table, pd.DataFrame([_row(spec) for spec in specs])], ignore_index=True)
    placed = dict(zip(rows, motion, strict=True))
    own = [placed.get(i, data.motion[i] if i < count else None) for i in range(len(table))]
    hidden = data.hidden + [np.zeros((2 * len(placed[i]), data.audio_width), np.float32) for i in rows[len(clips):]]
    taught = replace(data, table=table, motion=own, hidden=hidden, specs=data.specs + specs)
    sounds = np.split(stored["sounds"], np.cumsum(stored["samples"])[:-1])
    return Material(data, taught, clips, np.arange(count, len(table)), *(_at(rows, x, len(table)) for x in
                    (fitted, logits, silent)), sounds, face)


def _at(rows: list[int], arrays: list[np.ndarray], count: int) -> list[np.ndarray | None]:
    placed = dict(zip(rows, arrays, strict=True))
    return [placed.get(i) for i in range(count)]


def _row(spec: ClipSpec) -> dict:
    return {"clip": spec.id, "position": -1, "actor": spec.actor, "emotion": spec.emotion, "intensity": spec.intensity,
            "sentence": spec.sentence, "session": spec.session, "part": "wild"}


def training_rows(data: Draw) -> np.ndarray:
    """All neutral clips, and of every speaker and emotion the first half of the others."""
    rows = data.rows("train")
    emotional = rows[rows.emotion != NEUTRAL]
    place = emotional.groupby(["actor", "emotion"]).cumcount()
    most = emotional.groupby(["actor", "emotion"]).clip.transform("size")
    kept = emotional[place < (most + 1) // 2]
    return np.sort([*rows[rows.emotion == NEUTRAL].index, *kept.index])


def wild_specs(data: Draw) -> tuple[ClipSpec, ...]:
    """Clips of voices that nothing else in the study has, with sentences of the training part (the role of LRS2)."""
    sentences, levels = draw_split(CORPORA[data.scale], data.seed).train_sentences, (0.4, 0.6, 0.8, 1.0)
    emotions = [e for e in COMMON if e in set(data.table.emotion)]
    return tuple(ClipSpec(actor, emotions[i % len(emotions)], levels[i % 4], sentences[i % len(sentences)], seed=3)
                 for i, actor in enumerate(WILD_ACTORS[data.scale]))


def _empty_face() -> FlameLike:
    """The puppet's head with its joints, without components."""
    from lib.puppet.head import head

    two = np.stack([head().mean, head().mean + 1e-3 * head().jaw_weights[:, None]])
    return FlameLike.fit(two, n_components=1)


def _fitted(data: Draw, clips: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters, logits and silence of the training and wild clips, and the components they are given in."""
    own, rng = corpus(data.scale), np.random.default_rng([data.seed, 11])
    voices = [synthesise(spec) for spec in wild_specs(data)]
    recorded = [own[data.table["position"][i]] for i in clips] + voices
    faces = [clip.vertices(FPS) for clip in recorded]
    face = _fit_face(faces[: len(clips)], recorded)
    params = [face.encode(v, clip.neutral()) for v, clip in zip(faces, recorded, strict=True)]
    spread = np.concatenate(params).std(0)
    fitted = [p if clip.spec.emotion == NEUTRAL and n < len(clips) else with_fitting_noise(p, spread, rng)
              for n, (p, clip) in enumerate(zip(params, recorded, strict=True))]
    reader = basis_reader(face, data)
    sounds = [disturbed(clip.audio, rng) for clip in voices]
    quiet = [terms.silent_frames(torch.from_numpy(clip.audio)[None], len(p))[0].numpy() for clip, p in
             zip(recorded, params, strict=True)]
    return {
        "components": face.components, "frames": np.array([len(p) for p in params]), "fitted": np.concatenate(fitted),
        "motion": np.concatenate([reader(torch.from_numpy(p), clip.neutral()).numpy() for p, clip in
                                  zip(fitted, recorded, strict=True)]),
        "logits": np.concatenate([image_logits(data.scale, v, clip.neutral()) for v, clip in
                                  zip(faces, recorded, strict=True)]),
        "silent": np.concatenate(quiet), "sounds": np.concatenate(sounds),
        "samples": np.array([len(s) for s in sounds]),
    }


def _fit_face(faces: list[np.ndarray], recorded: list[PuppetClip]) -> FlameLike:
    """Components of some frames of the training clips of the corpus."""
    step = max(1, sum(map(len, faces)) // FACE_FRAMES)
    some = [v[::step] for v in faces]
    rest = [np.broadcast_to(clip.neutral(), v.shape) for v, clip in zip(some, recorded, strict=False)]
    return FlameLike.fit(np.concatenate(some), np.concatenate(rest))


def with_fitting_noise(params: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parameters (T, 56) as a fit to video gives them: an error of the clip and one of every frame."""
    noise = rng.standard_normal(params.shape) + rng.standard_normal((1, params.shape[1]))
    return np.asarray(params + FIT_NOISE * spread * noise, np.float32)


def image_logits(scale: str, vertices: np.ndarray, template: np.ndarray) -> np.ndarray:
    """What the recogniser of frames says (T, 7) of vertices (T, V, 3) of a person with the resting face (V, 3)."""
    from lib.puppet.head import head

    points = head().topology.landmarks
    return prior.frame_recogniser(scale).logits(vertices[:, points], template[points])


def disturbed(audio: np.ndarray, rng: np.random.Generator, kind: str = "both") -> np.ndarray:
    """Sound (N,) with noise 5 to 15 dB below the speech, in a room of 0.3 s ("noise", "reverb" or "both")."""
    if kind != "noise":
        decay = np.exp(-6.9 * np.arange(4800) / 4800) * rng.standard_normal(4800)
        decay[0] = np.linalg.norm(decay)                              # direct sound as strong as the room
        audio = np.convolve(audio, decay)[: len(audio)] / np.linalg.norm(decay)
    if kind != "reverb":
        level = audio.std() * 10 ** (-rng.uniform(5, 15) / 20)
        audio = audio + level * rng.standard_normal(len(audio))
    return np.asarray(audio, np.float32)


# What ECM hears -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def convolved(scale: str, window: tuple[int, int]) -> dict[str, np.ndarray]:
    """Features (T, F) of every clip of the corpus by position: convolutions of the speech encoder, window by window."""
    from tqdm.auto import tqdm

    made = corpus(scale)

    def compute() -> dict[str, np.ndarray]:
        bar = tqdm(range(len(made)), desc="features for ECM", unit="clip", leave=False)
        return {str(i): heard(scale, made[i].audio, made[i].frames(FPS), window).astype(np.float16) for i in bar}

    weights = weights_digest(foundation(scale).encoder)
    return cached_arrays(CACHE / "features" / f"ecm-{digest(made.key, weights, window, FPS)}.npz", compute)


@torch.inference_mode()
def heard(scale: str, audio: np.ndarray, frames: int, window: tuple[int, int]) -> np.ndarray:
    """Features (T, F) of a waveform (N,) at 16 kHz; every frame is seen through its own window."""
    cut = ecm.frame_windows(torch.from_numpy(audio)[None], replace(ecm.CODE, window=window), frames)[0]
    return foundation(scale).encoder.feature_extractor(cut).mT.flatten(1).numpy()


@lru_cache(maxsize=2048)
def mel(scale: str, position: int, frames: int) -> np.ndarray:
    """Mel bands (2T, 64) of a clip of the corpus, which Pham17 hears."""
    bands = pham17.acoustic_features(corpus(scale)[position].audio, fps=2 * FPS)[:, :64]
    return bands[np.minimum(np.arange(2 * frames), len(bands) - 1)]


# Priors ---------------------------------------------------------------------------------------------------------------


def profile_of(system: System) -> prior.Profile:
    """How logits become priors."""
    own = {"paper": prior.PAPER, "code": prior.CODE}[system.profile]
    return own if system.smoothing else replace(own, smoothing="none")


def given_logits(made: Material, system: System, clip: int) -> np.ndarray:
    """Logits (T, 7) of a training clip as the system is given them: of pictures with their noise, or of the sound."""
    if system.prior == "audio":
        return audio_logits(made)[clip]
    return _corrupted(made.logits[clip], system.wrong, np.random.default_rng([made.data.seed, 13, clip]))


@lru_cache(maxsize=16)
def normaliser(made: Material, system: System) -> prior.Priors:
    """Statistics of what the system is given of emotional clips; the released program also counts zeros for every
    neutral one."""
    neutral = made.data.table.emotion[made.clips] == NEUTRAL
    logits = [given_logits(made, system, i) for i in made.clips[~neutral]]
    zeros = [np.zeros_like(made.logits[i]) for i in made.clips[neutral]]
    return prior.Priors.fit(profile_of(system), logits + (zeros if system.profile == "code" else []))


def prior_tracks(made: Material, system: System, clips: np.ndarray) -> dict[str, list[np.ndarray | None]]:
    """Tracks "prior" (T, 7) for the augment net, "target" (T, 7) for the predictor and "use" (T,)."""
    table, scale = made.taught.table, normaliser(made, system)
    tracks = {name: [None] * len(table) for name in ("prior", "target", "use")}
    for i in sorted(set(clips.tolist())):
        neutral = table.emotion[i] == NEUTRAL and table.part[i] != "wild"
        zero = np.zeros_like(made.logits[i])
        tracks["prior"][i], tracks["target"][i] = (zero, zero) if neutral else _priors(made, system, scale, i)
        tracks["use"][i] = np.full(len(zero), not neutral)
    return tracks


def _priors(made: Material, system: System, scale: prior.Priors, clip: int) -> tuple[np.ndarray, np.ndarray]:
    """Prior and target (T, 7) of a clip."""
    if system.prior == "exact":
        row = made.taught.table.loc[clip]
        exact = np.broadcast_to(_one_hot(row.emotion, row.intensity), made.logits[clip].shape)
        return exact, exact
    logits = given_logits(made, system, clip)
    return scale.inputs(logits), scale.targets(logits)


def _one_hot(emotion: str, intensity: float) -> np.ndarray:
    return np.float32(intensity) * np.eye(len(COMMON), dtype=np.float32)[[COMMON.index(emotion)]]


def _corrupted(logits: np.ndarray, wrong: float, rng: np.random.Generator) -> np.ndarray:
    """Logits with the noise of single pictures, and in a share of the frames those of other classes."""
    noisy = logits + PICTURE_NOISE * logits.std(1, keepdims=True) * rng.standard_normal(logits.shape)
    shift = np.where(rng.random(len(logits)) < wrong, rng.integers(1, len(COMMON), len(logits)), 0)
    columns = (np.arange(len(COMMON)) + shift[:, None]) % len(COMMON)
    return np.take_along_axis(noisy, columns, 1).astype(np.float32)


@lru_cache(maxsize=2)
def audio_logits(made: Material) -> dict[int, np.ndarray]:
    """Logits (T, 7) by row from the sound alone, each by a classifier that has not heard the speaker.

    Emotions that the draw does not have are as unlikely as the least likely one.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = made.data.table.loc[made.clips]
    sound = [prior.moving_average(made.data.hidden[i][::2]) for i in made.clips]
    pooled = np.stack([s.mean(0) for s in sound])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    folds = GroupKFold(min(5, table.actor.nunique())).split(pooled, groups=table.actor)
    out = {}
    for train, test in folds:
        fitted = model.fit(pooled[train], table.emotion.iloc[train])
        columns = [COMMON.index(e) for e in fitted.classes_]
        for n in test:
            found = fitted.decision_function(sound[n]).astype(np.float32)
            logits = np.repeat(found.min(1, keepdims=True), len(COMMON), 1)
            logits[:, columns] = found
            out[int(made.clips[n])] = logits
    return out


# Training -------------------------------------------------------------------------------------------------------------


def training_clips(made: Material, system: System) -> np.ndarray:
    """Rows a system learns from."""
    neutral = made.clips[made.data.table.emotion[made.clips] == NEUTRAL]
    return {"both": made.clips, "neutral": neutral, "neutral-short": neutral,
            "wild": np.concatenate([made.clips, made.wild])}[system.clips]


def course(made: Material, system: System, size: Size) -> Course:
    """What a system learns from; no system is told the emotion, rivals are told the speaker."""
    clips = training_clips(made, system)
    table = made.taught.table
    labels = table.emotion[clips].map(COMMON.index).to_numpy()
    speakers = tuple(sorted({int(a) for a in table.actor[clips]}))
    if system.clips == "neutral-short":
        size = replace(size, steps=max(1, round(size.steps * len(clips) / len(made.clips))))
    tracks = {"ecm": lambda: _ecm_tracks(made, system, clips), "pham17": lambda: {"mel": _mel_track(made, clips)}}
    return Course(made.taught, size, speakers, COMMON, clips, labels, reference="own",
                  tracks=tracks.get(system.family, dict)())


def _ecm_tracks(made: Material, system: System, clips: np.ndarray) -> dict[str, list]:
    return {"features": made.features(window_of(system)), "params": made.fitted, "silent": made.silent,
            **prior_tracks(made, system, clips)}


def _mel_track(made: Material, clips: np.ndarray) -> list[np.ndarray | None]:
    """Mel bands (T, 128) of the clips, two frames of sound side by side."""
    track: list[np.ndarray | None] = [None] * len(made.taught.table)
    for i in set(clips.tolist()):
        frames = len(made.data.motion[i])
        track[i] = mel(made.data.scale, int(made.data.table.position[i]), frames).reshape(frames, -1)
    return track


def window_of(system: System) -> tuple[int, int]:
    """Frames of sound that a frame's features see before and after it."""
    return {"paper": ecm.PAPER, "code": ecm.CODE}[system.profile].window


def config(made: Material, system: System, size: Size) -> ecm.Config:
    """ECM's sizes for a scale, in the proportions of the profile, and an ablation."""
    base = {"paper": ecm.PAPER, "code": ecm.CODE}[system.profile]
    blocks = base.style_blocks if made.data.scale == "paper" else 1
    width, known = size.width, np.concatenate([made.fitted[i] for i in made.clips])
    return replace(
        base, extractor=None, audio_width=made.features(base.window)[0].shape[1], audio_hidden=width, width=width,
        style_width=width * base.style_width // base.width, style_blocks=blocks, masked=False, conv_width=2 * width,
        lstm_width=width, embedding_width=width, prior_range=normaliser(made, system).predictor_range,
        params_range=(tuple(known.min(0).tolist()), tuple(known.max(0).tolist())), style=system.style,
        residual=system.residual, recurrent=system.recurrent,
    )  # fmt: skip


def ecm_losses(
    model: ecm.ECM, made: Material, system: System
) -> tuple[Callable[[Batch], dict[str, Tensor]], dict[str, float]]:
    """Losses of a profile and their weights; a switched-off term keeps being logged."""
    sizes = {"paper": _paper_terms, "code": _code_terms}[system.profile]
    weights = dict({"paper": PAPER_WEIGHTS, "code": terms.ECM_WEIGHTS}[system.profile])
    weights["vertex"] *= system.vertex
    weights["mouth"] *= system.mouth
    shown, mouth, ranges = shown_vertices(made.data), mouth_of(made.data), mouth_ranges(made)
    reader = StillHead(made.face, lambda x: x[:, shown].reshape(len(x), -1))

    def metres(params: Tensor) -> Tensor:
        motion = reader(params, made.face.template).unflatten(-1, (-1, 3))
        return 1e-3 * (motion + torch.as_tensor(made.face.template[shown]).to(motion))

    def losses(batch: Batch) -> dict[str, Tensor]:
        t = batch.tracks
        out = model(t["features"], t["prior"], use=t["use"][:, 0])
        pred, truth = metres(out.params), metres(t["params"])
        return {**sizes(out.params, t, pred, truth, mouth, ranges), "prior": terms.prior_l1(out.heard, t["target"])}

    return losses, weights


def _paper_terms(params: Tensor, tracks: dict, pred: Tensor, truth: Tensor, mouth, ranges) -> dict[str, Tensor]:
    return {"vertex": terms.motion_l1(pred, truth), "mouth": terms.mouth_size(pred, truth, mouth)}


def _code_terms(params: Tensor, tracks: dict, pred: Tensor, truth: Tensor, mouth, ranges) -> dict[str, Tensor]:
    jaw, true_jaw = params[..., ecm.JAW_PITCH], tracks["params"][..., ecm.JAW_PITCH]
    return {
        "vertex": terms.vertex_smooth_l1(pred, truth), "mouth": terms.mouth_vector(pred, truth, mouth),
        "jaw_silence": terms.jaw_silence(jaw, tracks["silent"]), "jaw_velocity": terms.jaw_velocity(jaw, true_jaw),
        "mouth_params": terms.mouth_parameters(params, tracks["params"], ranges=ranges),
    }


def shown_vertices(data: Draw) -> np.ndarray:
    """Vertices of the vertex loss, the four of the mouth last."""
    lips = data.topology.landmarks[[51, 57, 48, 54]]
    return np.concatenate([data.topology.regions["front"][::EVERY], lips])


def mouth_of(data: Draw) -> terms.Mouth:
    """The four mouth vertices among `shown_vertices`: middle of the lips, corners."""
    first = len(shown_vertices(data)) - 4
    return terms.Mouth(top=first, bottom=first + 1, left=first + 2, right=first + 3)


def mouth_ranges(made: Material) -> dict[int, float]:
    """The six components that move the lips most, and the jaw's pitch, with their extent in training (FLAME: 7)."""
    lips = np.linalg.norm(made.face.components[:, made.data.topology.regions["lips"]], axis=-1).mean(1)
    known = np.concatenate([made.fitted[i] for i in made.clips])
    chosen = [*np.argsort(lips)[::-1][:6].tolist(), ecm.JAW_PITCH]
    return {int(k): float(np.abs(known[:, k]).max()) for k in chosen}


class Trained:
    """A trained system of one seed: coefficients (T, K) of a clip, or of sound that is handed over."""

    def __init__(self, made: Material, system: System, model: nn.Module, log: list[dict[str, float]]):
        self.made, self.system, self.model, self.log = made, system, model, log

    @property
    def is_ecm(self) -> bool:
        return self.system.family == "ecm"

    def hears(self, clip: int) -> np.ndarray:
        """What the system is given of a test clip: features (T, F) of ECM, (2T, C) or mel bands of a rival."""
        data = self.made.data
        if self.is_ecm:
            return self.made.features(window_of(self.system))[clip]
        if self.system.family == "pham17":
            return mel(data.scale, int(data.table.position[clip]), len(data.motion[clip]))
        return data.hidden[clip]

    @torch.no_grad()
    def speech(self, features: np.ndarray, style: Tensor | None = None) -> ecm.Speech:
        """What ECM takes from features (T, F) alone; `style` (1, S) replaces the clip's own."""
        x = torch.from_numpy(features)[None]
        said = self.model.listen(x)
        if style is None:
            return said
        return replace(said, neutral=self.model.speak(self.model.wav_layer(x), style, said.seen), style=style)

    def face(self, said: ecm.Speech, template: np.ndarray, command: ecm.Command | None = None,
             formula: str | None = None) -> np.ndarray:
        """Coefficients (T, K) of a command, None: of the module switched off."""
        if command is None:
            return self._finished(said, None, template)[0]
        return self.faces(said, template, [command], formula)[0]

    def faces(self, said: ecm.Speech, template: np.ndarray, commands: list[ecm.Command],
              formula: str | None = None) -> np.ndarray:
        """Coefficients (N, T, K) of several commands for one speech."""
        formula = formula or self.model.config.formula
        given = torch.cat([ecm.control(said.heard, command, formula, said.seen) for command in commands])
        return self._finished(said, given, template)

    def as_heard(self, said: ecm.Speech, template: np.ndarray) -> np.ndarray:
        """Coefficients (T, K) of the emotion that the predictor hears in the speech: nobody asks for any."""
        return self._finished(said, said.heard, template)[0]

    @torch.no_grad()
    def _finished(self, said: ecm.Speech, priors: Tensor | None, template: np.ndarray) -> np.ndarray:
        """Coefficients (N, T, K) of one speech under priors (N, T, 7)."""
        count = 1 if priors is None else len(priors)
        many = replace(said, neutral=said.neutral.expand(count, -1, -1), valid=said.valid.expand(count, -1))
        params = self.model.finish(many, priors, smooth=self.system.profile == "code").params
        return self.made.to_basis(params.numpy(), template)

    def animate(self, heard: np.ndarray, clip: int, *, on: bool = True) -> np.ndarray:
        """Coefficients (T, K) for sound as `hears` gives it; ECM is asked for the clip's emotion and intensity."""
        row = self.made.data.table.loc[clip]
        if self.is_ecm:
            command = asked(row.emotion, row.intensity) if on else None
            return self.face(self.speech(heard), self.made.data.template(clip), command)
        if self.system.family in ("pham17", "chun21"):
            return self._rival(heard, clip, None)[0]
        ids = torch.eye(self.known)
        return self._rival(heard, clip, ids[clip % len(ids)][None])[0]          # ids in turn: no test speaker is known

    @property
    def known(self) -> int:
        """Number of speakers that a rival knows by id."""
        return self.made.taught.table.actor[training_clips(self.made, self.system)].nunique()

    def under_every_id(self, clip: int) -> np.ndarray:
        """Coefficients (N, T, K) of VOCA or FaceFormer under each of its speaker ids."""
        return self._rival(self.hears(clip), clip, torch.eye(self.known))

    @torch.no_grad()
    def _rival(self, heard: np.ndarray, clip: int, condition: Tensor | None) -> np.ndarray:
        """Coefficients (N, T, K) under conditions (N, S)."""
        x = torch.from_numpy(np.asarray(heard, np.float32))[None]
        x = x if condition is None else x.expand(len(condition), -1, -1)
        return self.model.decode(x, condition, len(self.made.data.motion[clip])).numpy()


def asked(emotion: str, intensity: float) -> ecm.Command:
    """Command for an emotion of a whole clip; neutral is always asked for in full."""
    return ecm.command(COMMON.index(emotion), 1.0 if emotion == NEUTRAL else float(intensity))


def asked_per_frame(emotion: str, intensity: np.ndarray) -> ecm.Command:
    """Command for one emotion whose intensity (T,) changes from frame to frame."""
    given = torch.as_tensor(np.asarray(intensity), dtype=torch.float32)[None]
    return ecm.command(torch.full(given.shape, COMMON.index(emotion)), given)


@lru_cache(maxsize=64)
def mean_face(made: Material, emotion: str, intensity: float) -> np.ndarray:
    """Mean coefficients (K,) of the training clips of an emotion, those nearest in intensity: no sound is heard."""
    rows = made.data.table.loc[made.clips]
    rows = rows[rows.emotion == emotion]
    away = (rows.intensity - intensity).abs() * (emotion != NEUTRAL)           # neutral has no intensity
    return np.concatenate([made.taught.motion[i] for i in rows.index[away <= away.min() + 1e-6]]).mean(0)


@lru_cache(maxsize=64)
def train(scale: str, seed: int, name: str, progress: bool = True) -> Trained:
    """The named system of a seed, trained or taken from the cache."""
    system, size, made = SYSTEMS[name], SIZES[scale], material(scale, seed)
    label, learned = f"{name}, seed {seed}", course(made, SYSTEMS[name], SIZES[scale])
    folder = run_folder("ecm", made.data.key, system, size, code_digest(*CODE, f"lib.models.{system.family}"))
    build = {"ecm": _train_ecm, "voca": _train_voca, "pham17": _train_pham17, "chun21": _train_chun21,
             "faceformer": lambda made, system, *rest: train_faceformer(*rest)}[system.family]
    return Trained(made, system, *build(made, system, learned, folder, label, progress))


def untrained(made: Material, name: str) -> Trained:
    """A system of ECM's family before its first step."""
    seed_everything(made.data.seed, 1)
    system = SYSTEMS[name]
    return Trained(made, system, ecm.ECM(config(made, system, SIZES[made.data.scale])).eval(), [])


def _train_ecm(made: Material, system: System, learned: Course, folder, label: str, progress: bool):
    seed_everything(made.data.seed, 1)
    model = ecm.ECM(config(made, system, learned.size))
    losses, weights = ecm_losses(model, made, system)
    return model, fit_cached(model, learned, losses, weights, folder / "model.pt", label, progress)


def _train_voca(made: Material, system: System, learned: Course, folder, label: str, progress: bool):
    """VOCA-CTC: published network and losses on the study's speech features, half of VOCA's window at half its rate."""
    seed_everything(made.data.seed, 1)
    data, width = made.data, learned.size.width
    model = voca.Voca(voca.Config(
        motion_width=learned.size.components, features=data.audio_width, window=8, subjects=len(learned.speakers),
        channels=(width, width, 2 * width, 2 * width), hidden=2 * width, expression=min(50, learned.size.components),
        fps=FPS, speech_rate=2 * FPS))

    def losses(batch: Batch) -> dict[str, Tensor]:
        pred = model.decode(batch.hidden, batch.condition, batch.motion.shape[1])
        return {"position": voca.reconstruction_loss(pred, batch.motion, 1),
                "velocity": voca.velocity_loss(pred, batch.motion, 1)}

    weights = {"position": 1.0, "velocity": voca.VELOCITY_WEIGHT}
    return model, fit_cached(model, learned, losses, weights, folder / "model.pt", label, progress)


def _train_pham17(made: Material, system: System, learned: Course, folder, label: str, progress: bool):
    seed_everything(made.data.seed, 1)
    model = pham17.Pham17(replace(pham17.CNN_RNN, motion_width=learned.size.components, width=2 * learned.size.width,
                                  layers=1))

    def losses(batch: Batch) -> dict[str, Tensor]:
        bands = batch.tracks["mel"].unflatten(2, (2, -1)).flatten(1, 2)
        return {"vertex": terms.vertex_mse(model.decode(bands, None, batch.motion.shape[1]), batch.motion)}

    return model, fit_cached(model, learned, losses, {"vertex": 1.0}, folder / "model.pt", label, progress)


def _train_chun21(made: Material, system: System, learned: Course, folder, label: str, progress: bool):
    """Templates are those of the training clips; a corpus with fewer emotions has fewer of them."""
    seed_everything(made.data.seed, 1)
    present = sorted(set(learned.labels.tolist()))
    classes = torch.tensor([present.index(k) if k in present else 0 for k in range(len(COMMON))])
    model = chun21.Chun21(chun21.Config(
        motion_width=learned.size.components, audio_width=made.data.audio_width, emotions=len(present),
        width=learned.size.width))
    means = np.stack([made.taught.motion[i].mean(0) for i in learned.clips])
    model.store_templates(torch.from_numpy(means.copy()), classes[torch.from_numpy(learned.labels.copy())])

    def losses(batch: Batch) -> dict[str, Tensor]:
        result = model(batch.hidden, None, batch.motion.shape[1])
        return chun21.losses(result, batch.motion, classes.to(batch.emotion.device)[batch.emotion])

    return model, fit_cached(model, learned, losses, {"motion": 1.0, "emotion": 0.1}, folder / "model.pt", label,
                             progress)
