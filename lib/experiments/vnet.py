"""Ventriloquist-Net (paper 002): which systems are trained, on what, and what they predict.

Two things are trained. The emotion networks Sp2Emo and Exp2Emo learn jointly from labelled windows; then they are
frozen and a generator learns against a discriminator, one step of each in turn. Every system takes as many generator
steps as every other, on windows of 30 frames with random starts.

Departures from the paper at every scale: 25 frames per second, so that a window of 30 frames lasts 1.2 s; landmarks of
the puppet instead of a detector's; sound at 16 kHz. At smoke and laptop scale also narrower layers, fewer steps and
faster rates. The `paper` scale has the published widths, weights, rates and epochs on the laptop corpus.

What is learned are offsets of landmarks, and from what they are taken decides whether anything is learned. As published
they are from the mean face of the training speakers, and the motion of the head stays in the window; the energy loss
then asks for faces as far from the mean as those of other people are, in a direction that nothing names. The study's
systems therefore learn offsets from the speaker's own neutral face, head held still (`offsets`, a departure at every
scale); `vnet/published-offsets` and `vnet/mean-face` are the published form and half of it. All are shown and measured
on the neutral face n of the clip's own speaker, in pixels,

    landmarks = n + std(n) offsets.

Names: `vnet/x` is another training of the paper's reading, `vnet@code` the released reading (one branch, other losses),
`control/x` a trivial rival.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib import landmark_losses as losses
from lib.errors import InputError
from lib.experiments.draw import corpus
from lib.experiments.tracks import FPS, Tracks, tracks
from lib.models import vnet
from lib.models.vnet import (
    AUDIO_FRAMES,
    EMOTIONS,
    FRAMES,
    PAPER,
    PER_FRAME,
    REPO,
    Config,
    Generator,
    Profile,
    Schedule,
    Sp2Emo,
    standardised,
)
from lib.paths import CACHE
from lib.study import cached_arrays, code_digest, digest, run_folder
from lib.training import device, load, save, seed_everything

CODE = ("lib.experiments.vnet", "lib.experiments.tracks", "lib.models.vnet", "lib.landmark_losses", "lib.training")
AUDIO_RATE = FPS * PER_FRAME             # audio frames per second
WINDOW_S = 0.05                          # of the spectral analysis: 800 samples
PRE_EMPHASIS, F_MAX = 0.97, 7600.0
WATCHED = 8                              # how often the error on validation windows is noted
WATCHED_WINDOWS = 96


@dataclass(frozen=True)
class Size:
    """Widths and lengths of a scale.

    speech_rate, face_rate, rate   what the published rates of Sp2Emo, Exp2Emo, and generator and discriminator are
                                   multiplied by; fewer steps ask for longer ones
    batch                          0: the profile's own
    annealed                       rates fall to zero along a line instead of the published steps; along half a cosine,
                                   which stays fast for longer, a generator is as good on unseen speakers after 160
                                   steps as it is here after 128 (draws outside the study)
    betas                          Adam's, of the generator, shorter still than `lib.training.SHORT_MEMORY`; with them
                                   the discriminator would give one answer to everything
    steps                          of the generator; 0: the profile's own epochs
    """

    config: Config = Config()
    batch: int = 0
    pretraining_epochs: int = 100
    speech_rate: float = 1.0
    face_rate: float = 1.0
    steps: int = 0
    rate: float = 1.0
    annealed: bool = False
    betas: tuple[float, float] = (0.9, 0.999)

    def fade(self, done: float) -> float:
        """Factor of the rates after a share `done` of the training."""
        return 1.0 - done if self.annealed else 1.0


def reduced(divisor: int, **widths) -> Config:
    """Narrow convolutions on 16 mel bands; what reads landmarks keeps its published size, which costs little.

    A discriminator of a few units gives one answer to everything within fifteen steps, as its ReLUs close.
    """
    full = Config()
    kept = {name: getattr(full, name) for name in ("heads", "face_lstm", "critic_lstm", "critic_head")}
    return replace(vnet.narrowed(divisor, mel_bins=16), dropout=0.0, output_gain=0.1, **kept, **widths)


SIZES = {
    "smoke": Size(reduced(32), batch=4, pretraining_epochs=4, speech_rate=5.0, face_rate=50.0, steps=4, rate=30.0,
                  annealed=True),
    "laptop": Size(reduced(8, speech=(4, 4, 8, 16), residual=(4, 8, 16, 32)), batch=16, pretraining_epochs=18,
                   speech_rate=5.0, face_rate=60.0, steps=128, rate=24.0, annealed=True, betas=(0.6, 0.95)),
    "paper": Size(),
}


@dataclass(frozen=True)
class System:
    """One training.

    labels      what the emotion networks are taught: "true", "permuted" (every class gets another's name), or the
                share of labels that are drawn at random
    domain      "all" training speakers; "labelled": the more expressive half alone; "semi": emotion networks from that
                half, the generator from all
    agreement   how Exp2Emo is taught to agree: "cosine" with the distribution, "argmax" with the likeliest class
    pretrained  False: everything is trained at once from scratch, gradients going everywhere
    emotional   "content": no emotion networks, see `vnet.Generator`
    target      "offsets", "landmarks", or "landmarks from mean": with the output bias set to the mean face
    offsets     "own": from the speaker's neutral face, head still; "mean": from the mean face of the training speakers,
                head still; "published": the same with the motion of the head in them. The last two in standardised
                windows, which a target of landmarks needs
    """

    profile: Profile = PAPER
    labels: str | float = "true"
    domain: str = "all"
    agreement: str = "cosine"
    pretrained: bool = True
    emotional: str = "quality"
    target: str = "offsets"
    kind: str = "convolutional"
    offsets: str = "own"


def without(profile: Profile, *terms: str) -> Profile:
    """The profile with the named losses off."""
    return replace(profile, weights={name: 0.0 if name in terms else w for name, w in profile.weights.items()})


SYSTEMS = {
    "vnet": System(),
    "vnet@code": System(REPO),
    "vnet/no-emotion": System(without(PAPER, "emotion"), emotional="content"),
    "vnet@code/no-emotion": System(without(REPO, "emotion"), emotional="content"),
    "vnet/no-energy": System(without(PAPER, "energy")),
    "vnet/no-pretrain": System(pretrained=False),
    "vnet/published-offsets": System(offsets="published"),
    "vnet/published-offsets,no-discriminator": System(without(PAPER, "adversarial"), offsets="published"),
    "vnet/mean-face": System(offsets="mean"),
    "vnet/absolute-target": System(target="landmarks", offsets="mean"),
    "vnet/absolute-target-bias": System(target="landmarks from mean", offsets="mean"),
    "vnet/mouth-on-sum": System(replace(PAPER, mouth_on="sum")),
    "vnet/l2-mouth": System(replace(PAPER, mouth_norm="l2")),
    "vnet/no-discriminator": System(without(PAPER, "adversarial")),
    "vnet/no-masks": System(replace(PAPER, masked=False)),
    "vnet/permuted-labels": System(labels="permuted"),
    "vnet/random-labels-30": System(labels=0.3),
    "vnet/random-labels-60": System(labels=0.6),
    "vnet/random-labels": System(labels=1.0),
    "vnet/semi-supervised": System(domain="semi"),
    "vnet/labelled-only": System(domain="labelled"),
    "vnet/rnn": System(kind="recurrent"),
    "vnet/argmax-agreement": System(replace(PAPER, emotion_loss="argmax"), agreement="argmax"),
}
RIVALS = ("makeittalk", "pcavs")
# at `paper` scale alone: no column that decides a claim rests on them
THOROUGH = ("vnet@code/no-emotion", "vnet/mouth-on-sum", "vnet/no-masks", "vnet/random-labels-60")


def systems_at(scale: str) -> tuple[str, ...]:
    """Names of the systems that are trained at a scale."""
    return tuple(name for name in SYSTEMS if scale == "paper" or name not in THOROUGH)


# Material -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Material:
    """The draw of a seed as the networks want it.

    mel, mfcc   per clip (3 T + 2, bins), z-scored with the training clips; row 3 t + 1 is at the time of frame t
    mel_bins    bands of `mel`; the 80 of the paper are averaged at reduced scales
    offsets     from what they are taken, see `System`
    """

    data: Tracks
    mel: list[np.ndarray]
    mfcc: list[np.ndarray]
    norms: dict[str, tuple[np.ndarray, np.ndarray]]
    mel_bins: int
    offsets: str = "own"

    @property
    def faces(self) -> list[np.ndarray]:
        """Landmarks (T, 68, 2) in pixels that are learned, per clip."""
        return self.data.posed if self.offsets == "published" else self.data.landmarks

    @cached_property
    def mean_face(self) -> Tensor:
        """k-bar (68, 2): mean over the standardised windows of all training clips (Sec. 2.2)."""
        clips = [cut(torch.from_numpy(self.faces[i]), vnet.window_starts(len(self.faces[i])))
                 for i in self.data.rows("train").index]
        return standardised(torch.cat(clips)).mean((0, 1))

    @cached_property
    def _sound(self) -> list[Tensor]:
        """Mel and MFCC of all clips (N, A, bins), zero beyond the end of a clip, also of one shorter than a window."""
        return [nn.utils.rnn.pad_sequence([torch.from_numpy(np.pad(x, ((0, AUDIO_FRAMES), (0, 0)))) for x in found],
                                          batch_first=True) for found in (self.mel, self.mfcc)]

    @cached_property
    def _moved(self) -> Tensor:
        """What windows of all clips are cut from (N, T, 68, 2): offsets from the own face, or landmarks in pixels."""
        own = self.offsets == "own"
        tracks = [torch.from_numpy(off_face(x, self.data.template(i)).astype(np.float32) if own else x)
                  for i, x in enumerate(self.faces)]
        return nn.utils.rnn.pad_sequence(tracks, batch_first=True)

    def windows(self, clips: np.ndarray, starts: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Mel (B, bins, 92), MFCC (B, 30, 92) and true offsets (B, 30, 68, 2) of one window of each clip, beginning
        with frame `starts`: offsets in standard deviations of a face, the last frame repeated beyond the end."""
        rows, frames = PER_FRAME * starts[:, None] + np.arange(AUDIO_FRAMES), starts[:, None] + np.arange(FRAMES)
        last = np.array([len(self.faces[i]) - 1 for i in clips])[:, None]
        mel, mfcc = (sound[clips[:, None], rows].mT.contiguous() for sound in self._sound)
        moved = self._moved[clips[:, None], np.minimum(frames, last)]
        return mel, mfcc, moved if self.offsets == "own" else standardised(moved) - self.mean_face

    @cached_property
    def labels(self) -> np.ndarray:
        """Emotion of every clip as an index into `EMOTIONS`."""
        return self.data.table.emotion.map(EMOTIONS.index).to_numpy()

    def heard(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mel and MFCC rows of any sound (N,) at 16 kHz, z-scored as those of the clips."""
        raw = features(audio)
        mel, mfcc = ((raw[name] - self.norms[name][0]) / self.norms[name][1] for name in ("mel", "mfcc"))
        return pooled(mel, self.mel_bins), mfcc


@lru_cache(maxsize=8)
def material(scale: str, seed: int, offsets: str = "own") -> Material:
    """The draw of a seed for the eight emotions of the paper, with its own sound features."""
    if offsets != "own":
        return replace(material(scale, seed), offsets=offsets)
    data = tracks(scale, seed, EMOTIONS)
    stored = sound_features(scale)
    train = data.rows("train").position
    norms, rows = {}, {}
    for name in ("mel", "mfcc"):
        seen = np.concatenate([stored[f"{name}{i}"] for i in train]).astype(np.float32)
        norms[name] = seen.mean(0), seen.std(0) + 1e-6
        rows[name] = [((stored[f"{name}{i}"] - norms[name][0]) / norms[name][1]).astype(np.float32)
                      for i in data.table["position"]]
    bins = SIZES[scale].config.mel_bins
    return Material(data, [pooled(x, bins) for x in rows["mel"]], rows["mfcc"], norms, bins)


def pooled(mel: np.ndarray, bins: int) -> np.ndarray:
    """Mel rows (A, 80) as (A, bins): means of neighbouring bands, for encoders narrower than the published ones."""
    return mel.reshape(len(mel), bins, -1).mean(-1)


def cut(track: Tensor, starts: list[int]) -> Tensor:
    """Windows (N, 30, ...) of a track (T, ...) at first frames `starts`; the last frame is repeated beyond the end."""
    frames = (torch.tensor(starts)[:, None] + torch.arange(FRAMES)).clamp_max(len(track) - 1)
    return track[frames]


def features(audio: np.ndarray) -> dict[str, np.ndarray]:
    """Mel (3 T + 2, 80) and MFCC (3 T + 2, 30) of a sound (N,) at 16 kHz, T frames at 25 per second.

    The first row lies one audio frame before the first video frame; `WINDOW_S` seconds around each row are analysed.
    The released mel has pre-emphasis, its MFCC has not. Its mel starts at 55 Hz, this one at 0.
    """
    from lib import audio as sound

    count = PER_FRAME * sound.frame_count(audio, FPS) + 2
    shifted = np.pad(audio, (round(sound.SAMPLE_RATE / AUDIO_RATE), round(sound.SAMPLE_RATE / FPS)))
    emphasised = np.append(shifted[:1], shifted[1:] - PRE_EMPHASIS * shifted[:-1])
    return {"mel": sound.mel(emphasised, fps=AUDIO_RATE, window_s=WINDOW_S, f_max=F_MAX)[:count],
            "mfcc": sound.mfcc(shifted, fps=AUDIO_RATE, n_mfcc=vnet.COEFFICIENTS, n_mels=128,
                               window_s=WINDOW_S)[:count]}


def sound_features(scale: str) -> dict[str, np.ndarray]:
    """`features` of every clip of the corpus of a scale, under "mel0", "mfcc0" and so on; kept on disk."""
    path = CACHE / "features" / f"vnet-{digest(corpus(scale).key, FPS, code_digest('lib.audio'), WINDOW_S)}.npz"

    def compute() -> dict[str, np.ndarray]:
        from tqdm.auto import tqdm

        bar = tqdm(enumerate(corpus(scale)), total=len(corpus(scale)), desc="mel and MFCC", unit="clip", leave=False)
        return {f"{name}{i}": rows.astype(np.float16) for i, clip in bar for name, rows in features(clip.audio).items()}

    return cached_arrays(path, compute)


def sound_windows(rows: np.ndarray, starts: list[int]) -> Tensor:
    """Windows (N, bins, 92) of feature rows (3 T + 2, bins) at first video frames `starts`, zero beyond the end."""
    missing = PER_FRAME * max(starts) + AUDIO_FRAMES - len(rows)
    padded = np.pad(rows, ((0, missing), (0, 0))) if missing > 0 else rows
    return torch.from_numpy(np.stack([padded[PER_FRAME * s :][:AUDIO_FRAMES].T for s in starts]))


@dataclass(frozen=True)
class Batch:
    """Windows: mel (B, 80, 92), mfcc (B, 30, 92), true offsets (B, 30, 68, 2), emotion label (B,)."""

    mel: Tensor
    mfcc: Tensor
    offsets: Tensor
    label: Tensor

    def to(self, where: torch.device) -> "Batch":
        return Batch(*(x.to(where) for x in (self.mel, self.mfcc, self.offsets, self.label)))


@dataclass(frozen=True, eq=False)
class Course:
    """What one network learns from: clips of a material, the label each carries, batches of one window per clip."""

    material: Material
    clips: np.ndarray
    labels: np.ndarray
    batch: int
    starts: str = "random"

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch: every clip once, in random order, last batch at least two windows (batch norm needs them)."""
        order = rng.permutation(len(self.clips))
        for rows in np.array_split(order, max(1, len(order) // self.batch)):
            yield self.windows(rows, rng)

    def windows(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        """A window of each of the named clips of the course."""
        clips = self.clips[rows]
        starts = np.array([self._start(int(i), rng) for i in clips])
        return Batch(*self.material.windows(clips, starts), torch.from_numpy(self.labels[rows]))

    def _start(self, clip: int, rng: np.random.Generator) -> int:
        late = max(0, len(self.material.faces[clip]) - FRAMES)
        return 0 if self.starts == "first" else int(rng.integers(0, late + 1))


# Who learns what ------------------------------------------------------------------------------------------------------


def labelled_speakers(data: Tracks) -> list[int]:
    """The more expressive half of the training speakers: the small labelled domain of claim vnet-13."""
    from lib.puppet.actors import actor

    ranked = sorted(data.rows("train").actor.unique(), key=lambda number: -actor(int(number)).expressivity)
    return [int(number) for number in ranked[: max(1, len(ranked) // 2)]]


def training_clips(data: Tracks, domain: str) -> np.ndarray:
    """Rows of the table: all training clips, or those of the labelled domain."""
    rows = data.rows("train")
    return (rows if domain == "all" else rows[rows.actor.isin(labelled_speakers(data))]).index.to_numpy()


def taught_labels(made: Material, clips: np.ndarray, labels: str | float) -> np.ndarray:
    """The labels of the clips as they are taught; corruption is drawn by the seed, the same for every system."""
    true, rng = made.labels[clips], np.random.default_rng([made.data.seed, 13])
    present = np.unique(made.labels)
    if labels == "permuted":
        order = rng.permutation(present)
        return np.roll(order, 1)[np.argsort(order)[np.searchsorted(present, true)]]
    wrong = rng.random(len(true)) < (0.0 if labels == "true" else float(labels))
    return np.where(wrong, rng.choice(present, len(true)), true)


def emotion_course(made: Material, system: System, size: Size) -> Course:
    """What the emotion networks of a system learn from."""
    clips = training_clips(made.data, "all" if system.domain == "all" else "labelled")
    return Course(made, clips, taught_labels(made, clips, system.labels), size.batch or PAPER.batch)


def generator_course(made: Material, system: System, size: Size) -> Course:
    """What the generator of a system learns from; the labels are only used where nothing is pre-trained."""
    domain = "labelled" if system.domain == "labelled" else "all"
    return _generator_course(made, domain, size.batch or system.profile.batch, system.profile.starts)


@lru_cache(maxsize=8)                    # one object for all systems that see the same windows
def _generator_course(made: Material, domain: str, batch: int, starts: str) -> Course:
    clips = training_clips(made.data, domain)
    return Course(made, clips, made.labels[clips], batch, starts)


# Emotion networks -----------------------------------------------------------------------------------------------------


class EmotionNetworks(nn.Module):
    """Sp2Emo and Exp2Emo."""

    def __init__(self, config: Config):
        super().__init__()
        self.speech, self.face = Sp2Emo(config), vnet.exp2emo(config)

    def losses(self, batch: Batch, agreement: str = "cosine") -> dict[str, Tensor]:
        """Cross-entropy of what is heard with the label; disagreement of what is seen with it, heard left as it is."""
        heard = self.speech(batch.mfcc)
        return {"label": nn.functional.cross_entropy(heard.logits, batch.label),
                "agreement": disagreement(self.face(batch.offsets), heard.probabilities.detach(), agreement)}


def disagreement(logits: Tensor, heard: Tensor, form: str) -> Tensor:
    """Loss of what is seen (logits) against the distribution that is heard."""
    if form == "argmax":
        return losses.likeliest_emotion(logits, heard)
    measure = {"cosine": losses.emotion_cosine, "mse": losses.emotion_square}[form]
    return measure(logits.softmax(-1), heard)


Taught = tuple[str, str]                 # how Exp2Emo is taught to agree, and from what offsets are taken
ALIKE: tuple[Taught, ...] = (("cosine", "own"), ("argmax", "own"), ("cosine", "mean"), ("cosine", "published"))


@lru_cache(maxsize=32)
def emotion_networks(scale: str, seed: int, labels: str | float = "true", domain: str = "all",
                     agreement: str = "cosine", offsets: str = "own") -> tuple[EmotionNetworks, list[dict[str, float]]]:
    """Jointly pre-trained emotion networks and their log, trained or taken from the cache; frozen, in evaluation.

    Sp2Emo learns from labels alone, so all that differ in Exp2Emo (`ALIKE`) share it and learn beside each other.
    """
    size, taught = SIZES[scale], (agreement, offsets)

    def path(kind: Taught) -> Path:
        return _folder(material(scale, seed), size, labels, domain, *kind) / "emotion.pt"

    if not path(taught).exists():
        kinds = ALIKE if (labels, domain) == ("true", "all") else (taught,)
        courses = [emotion_course(material(scale, seed, kind[1]), System(labels=labels, domain=domain), size)
                   for kind in kinds]
        pairs, logs = _pretrain(courses, [kind[0] for kind in kinds], size, f"emotion networks ({labels}), seed {seed}")
        for kind, pair, log in zip(kinds, pairs, logs, strict=True):
            save(path(kind), pair, None, log)
    model = EmotionNetworks(size.config)
    log = load(path(taught), model)
    return model.eval().requires_grad_(False), log


def _folder(made: Material, size: Size, *settings) -> Path:
    return run_folder("vnet", made.data.drawn, size, settings, code_digest(*CODE))


def rates(size: Size, epoch: int) -> tuple[float, float]:
    """Learning rates of Sp2Emo and Exp2Emo: the paper's steps, or as `Size.annealed` says; 0 before Exp2Emo's start."""
    published = Schedule().squeezed(size.pretraining_epochs)
    if not size.annealed:
        return tuple(rate * factor for rate, factor in
                     zip(published.rates(epoch), (size.speech_rate, size.face_rate), strict=True))
    started = epoch >= published.face_from
    fade = size.fade(epoch / size.pretraining_epochs)
    return fade * size.speech_rate * published.speech_rate, fade * size.face_rate * published.face_rate * started


def _pretrain(courses: list[Course], agreements: list[str], size: Size,
              label: str) -> tuple[list[EmotionNetworks], list[list[dict[str, float]]]]:
    """Joint pre-training (Sec. 2.1) of one Sp2Emo and of an Exp2Emo per course, with a log for each of these pairs.

    The courses differ in offsets only. One optimiser with two rates: no two losses share a parameter. Before its start
    Exp2Emo stands still and its loss is NaN.
    """
    from tqdm.auto import tqdm

    seed, pairs = courses[0].material.data.seed, []
    for _ in courses:
        seed_everything(seed, 1)
        pairs.append(EmotionNetworks(size.config).to(device()).train())
    speech, faces = pairs[0].speech, nn.ModuleList(pair.face for pair in pairs)
    optimiser = torch.optim.Adam([{"params": part.parameters()} for part in (speech, faces)], fused=True)
    logs: list[list[dict[str, float]]] = [[] for _ in courses]
    for epoch in tqdm(range(size.pretraining_epochs), desc=label, unit="epoch", leave=False):
        found = rates(size, epoch)
        for group, rate in zip(optimiser.param_groups, found, strict=True):
            group["lr"] = rate
        rows = []
        for batches in zip(*(course.batches(seed_everything(seed, 2, epoch)) for course in courses), strict=True):
            heard = speech(batches[0].mfcc.to(device()))
            told = nn.functional.cross_entropy(heard.logits, batches[0].label.to(device()))
            agreed = [disagreement(face(batch.offsets.to(device())), heard.probabilities.detach(), form)
                      for face, batch, form in zip(faces, batches, agreements, strict=True)] if found[1] else []
            optimiser.zero_grad(set_to_none=True)
            sum(agreed, told).backward()
            optimiser.step()
            rows.append([told.item(), *(x.item() for x in agreed or [told.new_tensor(math.nan)] * len(faces))])
        for log, agreement in zip(logs, np.mean(rows, 0)[1:], strict=True):
            log.append({"label": float(np.mean(rows, 0)[0]), "agreement": float(agreement)})
    for pair in pairs:
        pair.speech = speech
    return [pair.cpu() for pair in pairs], logs


# Generator ------------------------------------------------------------------------------------------------------------


class Networks(nn.Module):
    """All networks of one system: generator, discriminator, and the emotion networks it hears and is judged by."""

    def __init__(self, system: System, config: Config, emotion: EmotionNetworks, mean: Tensor):
        super().__init__()
        if system.kind == "recurrent":
            config = replace(config, recurrent=vnet.matched_units(config, system.profile))
        target = "offsets" if system.target == "offsets" else "landmarks"
        self.system, self.emotion, self.critic = system, emotion, vnet.discriminator(config)
        self.generator = Generator(config, system.profile, emotional=system.emotional, target=target, kind=system.kind)
        self.register_buffer("mean", mean)
        if system.target == "landmarks from mean":
            self.generator.start_from(mean)

    def forward(self, mel: Tensor, mfcc: Tensor, moved: tuple[float, Tensor] | None = None,
                heard: vnet.Heard | None = None) -> tuple[vnet.Motion, vnet.Heard]:
        """Offsets from the mean face and what was heard; frozen emotion networks give no gradient.

        moved   gain and centre (C, 1): emotion features are taken to centre + gain (features - centre)
        heard   what Sp2Emo hears in these windows, where it is known
        """
        heard = self.emotion.speech(mfcc) if heard is None else heard
        heard = heard.detached() if self.system.pretrained else heard
        if moved is not None:
            heard = vnet.Heard(moved[1] + moved[0] * (heard.quality - moved[1]), heard.logits)
        motion = self.generator(mel, heard.quality if self.system.emotional == "quality" else None)
        if self.generator.target == "landmarks":
            lingual = None if motion.lingual is None else motion.lingual - self.mean
            motion = vnet.Motion(motion.offsets - self.mean, lingual)
        return motion, heard

    def generator_losses(self, batch: Batch, motion: vnet.Motion, heard: vnet.Heard) -> dict[str, Tensor]:
        """The four losses of the generator, unweighted; where nothing is pre-trained those of the emotion networks."""
        p, truth = self.system.profile, batch.offsets
        named = {"mouth": losses.mouth_error(self.mouth_of(motion), truth, norm=p.mouth_norm, summed=p.mouth_summed,
                                             centred=p.mouth_centred, velocity=p.mouth_velocity),
                 "energy": self._energy(motion.offsets, truth)}
        if p.weights["adversarial"]:
            named["adversarial"] = losses.pass_for_real(self.critic(motion.offsets).sigmoid(), p.adversarial)
        if p.weights["emotion"]:
            named["emotion"] = disagreement(self.emotion.face(motion.offsets), heard.probabilities, p.emotion_loss)
        return named if self.system.pretrained else named | self.emotion.losses(batch)

    def mouth_of(self, motion: vnet.Motion) -> Tensor:
        """The offsets that the mouth loss looks at."""
        branch = self.system.profile.mouth_on == "branch" and motion.lingual is not None
        return motion.lingual if branch else motion.offsets

    def _energy(self, made: Tensor, truth: Tensor) -> Tensor:
        p = self.system.profile
        if p.energy == "paper":
            return losses.motion_energy(made, truth)
        return losses.net_drift_energy(made, truth, with_mouth=p.energy_mouth)

    def weight(self, term: str) -> float:
        """Weight of a loss; those of the emotion networks have 1."""
        return self.system.profile.weights.get(term, 1.0)


class Trained:
    """A trained system of one seed: offsets and landmarks of a clip or of any sound."""

    def __init__(self, made: Material, system: System, model: Networks, log: list[dict[str, float]],
                 curve: list[dict[str, float]]):
        self.material, self.system, self.model, self.log, self.curve = made, system, model.eval(), log, curve

    @torch.no_grad()
    def offsets(self, mel: np.ndarray, mfcc: np.ndarray, frames: int, gain: float = 1.0) -> np.ndarray:
        """Stitched offsets (T, 68, 2) from feature rows (3 T + 2, bins).

        `gain` moves what the emotion branch hears away from (above 1) or towards (below 1) the mean over the training
        clips: a slider that the paper does not have.
        """
        starts = vnet.window_starts(frames)
        motion, _ = self.model(sound_windows(mel, starts), sound_windows(mfcc, starts), self._moved(gain))
        return vnet.stitch(motion.offsets.numpy(), frames)

    def _moved(self, gain: float) -> tuple[float, Tensor] | None:
        return None if gain == 1.0 else (gain, self.mean_quality)

    @cached_property
    def mean_quality(self) -> Tensor:
        """Mean emotion features (C, 1) over the windows of the training clips."""
        rows = self.material.data.rows("train").index
        windows = torch.cat([sound_windows(self.material.mfcc[i], [0]) for i in rows])
        with torch.no_grad():
            return self.model.emotion.speech(windows).quality.mean((0, 2))[:, None]

    def of_clip(self, clip: int, sound_of: int | None = None) -> np.ndarray:
        """Offsets (T, 68, 2) of a clip of the draw, or with the sound of another one, repeated where it is shorter."""
        made, frames = self.material, len(self.material.faces[clip])
        source = clip if sound_of is None else sound_of
        rows = (np.resize(x[source], (PER_FRAME * frames + 2, x[source].shape[1])) for x in (made.mel, made.mfcc))
        return self.offsets(*rows, frames)

    def landmarks(self, clip: int, sound_of: int | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels on the clip's own neutral face, with whatever head motion was learned."""
        return on_face(self.of_clip(clip, sound_of), self.material.data.template(clip))

    @torch.no_grad()
    def heard(self, clip: int) -> np.ndarray:
        """Distribution over emotions (N, 8) that Sp2Emo hears in each window of a clip."""
        made, starts = self.material, vnet.window_starts(len(self.material.faces[clip]))
        return self.model.emotion.speech(sound_windows(made.mfcc[clip], starts)).probabilities.numpy()

    @torch.no_grad()
    def seen(self, offsets: np.ndarray) -> np.ndarray:
        """Distribution over emotions (N, 8) that Exp2Emo sees in each window of offsets (T, 68, 2)."""
        windows = cut(torch.from_numpy(np.asarray(offsets, np.float32)), vnet.window_starts(len(offsets)))
        return self.model.emotion.face(windows).softmax(-1).numpy()


def on_face(offsets: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Landmarks (T, 68, 2) in pixels: offsets in standard deviations put on neutral landmarks (68, 2)."""
    return template + template.std(0) * offsets


def off_face(landmarks: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Inverse of `on_face`."""
    return (landmarks - template) / template.std(0)


@lru_cache(maxsize=64)
def train(scale: str, seed: int, name: str) -> Trained:
    """The named system of a seed, trained or taken from the cache."""
    if name not in SYSTEMS:
        raise InputError(f"system {name!r} is unknown; there are {', '.join(SYSTEMS)}")
    system, size = SYSTEMS[name], SIZES[scale]
    made, domain = material(scale, seed, system.offsets), "all" if system.domain == "all" else "labelled"
    if system.pretrained:
        emotion = emotion_networks(scale, seed, system.labels, domain, system.agreement, system.offsets)[0]
    else:
        seed_everything(seed, 1)
        emotion = EmotionNetworks(size.config)
    seed_everything(seed, 3)
    model = Networks(system, size.config, emotion, made.mean_face)
    path = _folder(made, size, system) / "system.pt"
    rows = load(path, model) if path.exists() else fit_networks(model, made, size, path,
                                                                       f"{name}, seed {seed}")
    return Trained(made, system, model, [row for row in rows if "step" not in row],
                   [row for row in rows if "step" in row])


def fit_networks(model: Networks, made: Material, size: Size, path: Path, label: str) -> list[dict[str, float]]:
    """Adversarial training, one step of the discriminator per step of the generator; log rows, then watched rows.

    A run that is stopped begins again: two optimisers would have to be stored to go on as if nothing had happened.
    """
    from tqdm.auto import tqdm

    course, frozen = generator_course(made, model.system, size), model.system.pretrained
    per_epoch = max(1, len(course.clips) // course.batch)
    steps = size.steps or model.system.profile.epochs * per_epoch
    watched, rows, curve = watched_windows(made), [], []
    optimisers = _optimisers(model, size)
    published = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    model.to(device())
    known = _heard_in(model.emotion.speech.eval(), course) if frozen else None
    told = model.emotion.speech(watched.mfcc.to(device())) if frozen else None
    batches = _endless(course)
    for step in tqdm(range(steps), desc=label, unit="step", leave=False):
        if step % max(1, steps // WATCHED) == 0:
            curve.append({"step": step, **watch(model, watched, told)})
        for optimiser, lrs in zip(optimisers, published, strict=True):
            for group, lr in zip(optimiser.param_groups, lrs, strict=True):
                group["lr"] = lr * size.fade(step / steps)
        batch = next(batches).to(device())
        if frozen and step == len(known):
            known.append(model.emotion.speech(batch.mfcc))
        rows.append(_step(model, batch, *optimisers, known[step] if frozen else None))
    curve.append({"step": steps, **watch(model, watched, told)})
    log = _means(rows, per_epoch)
    save(path, model.cpu(), None, log + curve)
    return log + curve


def _endless(course: Course) -> Iterator[Batch]:
    """Epoch after epoch; a seed of its own for each, so that all systems see the same windows."""
    epoch = 0
    while True:
        yield from course.batches(seed_everything(course.material.data.seed, 4, epoch))
        epoch += 1


@lru_cache(maxsize=4)
def _heard_in(speech: Sp2Emo, course: Course) -> list[vnet.Heard]:
    """What a frozen Sp2Emo hears in the batches of a course, as far as a system has come: the next one that learns with
    both need not listen again."""
    return []


def _means(rows: list[dict[str, float]], length: int) -> list[dict[str, float]]:
    """Mean losses of every epoch of `length` steps; the last one may be shorter."""
    chunks = [rows[i : i + length] for i in range(0, len(rows), length)]
    return [{name: float(np.mean([row[name] for row in chunk])) for name in chunk[0]} for chunk in chunks]


def _optimisers(model: Networks, size: Size) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    profile, schedule = model.system.profile, Schedule()
    groups = [{"params": model.generator.parameters(), "lr": profile.generator_rate * size.rate}]
    if not model.system.pretrained:
        groups += [{"params": model.emotion.speech.parameters(), "lr": schedule.speech_rate * size.speech_rate},
                   {"params": model.emotion.face.parameters(), "lr": schedule.face_rate * size.face_rate}]
    critic = torch.optim.Adam(model.critic.parameters(), lr=profile.critic_rate * size.rate, fused=True)
    return torch.optim.Adam(groups, betas=size.betas, fused=True), critic


def _step(model: Networks, batch: Batch, made_by: torch.optim.Optimizer, judged_by: torch.optim.Optimizer,
          heard: vnet.Heard | None = None) -> dict[str, float]:
    model.train()
    if model.system.pretrained:
        model.emotion.eval()                                     # frozen: its batch norm must not drift (2d:V27)
    motion, heard = model(batch.mel, batch.mfcc, heard=heard)
    named = {}
    if model.weight("adversarial"):
        verdicts = model.critic(torch.cat([batch.offsets, motion.offsets.detach()])).sigmoid().chunk(2)
        named["critic"] = losses.judge_real_and_made(*verdicts, model.system.profile.adversarial)
        judged_by.zero_grad(set_to_none=True)
        named["critic"].backward()
        judged_by.step()
    terms = model.generator_losses(batch, motion, heard)
    made_by.zero_grad(set_to_none=True)
    sum(model.weight(term) * value for term, value in terms.items() if model.weight(term)).backward()
    made_by.step()
    return {name: value.item() for name, value in (named | terms).items()}


def watched_windows(made: Material) -> Batch:
    """Fixed windows of validation clips (where there are none, of test clips)."""
    part = next(part for part in ("val", "seen", "test") if len(made.data.rows(part)))
    rows = made.data.rows(part)
    rng = np.random.default_rng([made.data.seed, 5])
    clips = rng.permutation(rows.index.to_numpy())[:WATCHED_WINDOWS]
    course = Course(made, clips, made.labels[clips], len(clips))
    return course.windows(np.arange(len(clips)), rng)


@torch.no_grad()
def watch(model: Networks, batch: Batch, heard: vnet.Heard | None = None) -> dict[str, float]:
    """Mean absolute error of offsets on watched windows, in standard deviations of a face; `heard` as in `Networks`.

    mouth, upper   what is predicted, lips and jaw, and the rest
    heeded         lips and jaw as the mouth loss sees them: of the lingual branch alone where it looks there
    """
    model.eval()
    motion = model(batch.mel.to(device()), batch.mfcc.to(device()), heard=heard)[0]
    error, heeded = ((x.cpu() - batch.offsets).abs() for x in (motion.offsets, model.mouth_of(motion)))
    return {"mouth": float(error[:, :, vnet.MOUTH].mean()), "upper": float(error[:, :, vnet.REST].mean()),
            "heeded": float(heeded[:, :, vnet.MOUTH].mean())}
