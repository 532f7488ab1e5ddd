"""Landmarks of an emotional talking head from speech alone (Ventriloquist-Net, ICIP 2022, paper 002).

paper       here         shape             meaning
m(t)        mfcc         (B, 30, 92)       cepstral coefficients of a window
s(t)        mel          (B, 80, 92)       mel spectrogram of the same window
q_emo       quality      (B, 128, 30)      emotion features per frame, from Sp2Emo
l_emo       heard        (B, 8)            distribution over emotions that Sp2Emo hears
p_emo       seen         (B, 8)            distribution that Exp2Emo sees in landmarks
q_ling      content      (B, 2560, 30)     lingual features per frame, from the mel spectrogram
delta-k     offsets      (B, 30, 68, 2)    landmarks minus the mean face, in standard deviations of the window
k-bar       mean_face    (68, 2)           mean of the standardised windows of the training speakers

Paper and released program (dipnds/VentriloquistNet, two of its training scripts) disagree in many places; each reading
is a field of `Profile`, and PAPER, REPO and REPO_MASKED are the three sets. The paper's generator and the paper's
weights occur together in none of the released scripts.

Times of audio: the released program has 92 audio frames to 30 video frames. The convolutions lose one frame at each
end and pool by three, so 92 frames at exactly three per video frame, the first one before the window, keep sound and
picture together (released: 91.95 Hz against 30 fps, which drifts by two thirds of a video frame). One rate, 16 kHz,
everywhere: the released features are made for 48 kHz and tested on sound that has nothing above 8 kHz (2d:V22).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.face.landmarks import COUNT, GROUPS, LIPS
from lib.labels import ORDERS

if TYPE_CHECKING:
    from jaxtyping import Float

EMOTIONS = ORDERS["mead"]        # order of the released label: alphabetical folders of MEAD
FRAMES = 30                      # video frames of a window
PER_FRAME = 3                    # audio frames per video frame
AUDIO_FRAMES = FRAMES * PER_FRAME + 2
STRIDE = 20                      # frames from window to window: two thirds
KEPT = slice(5, 25)              # frames of each window that survive stitching
COEFFICIENTS, MEL_BINS = 30, 80
MOUTH = np.concatenate([GROUPS["jaw"], LIPS])        # what the lingual branch may move
REST = np.setdiff1d(np.arange(COUNT), MOUTH)
SHARE_ON_MOUTH = 0.2             # weight of the emotion branch on lips and jaw
SLOPE = 0.1                      # of every leaky ReLU of the generator


@dataclass(frozen=True)
class Config:
    """Sizes; the defaults are the published ones. Reduced scales narrow the layers and keep their number.

    The encoders halve the mel bands four times, so `mel_bins` is a multiple of 16.
    """

    mel_bins: int = MEL_BINS
    speech: tuple[int, ...] = (32, 32, 64, 128)          # convolutions of Sp2Emo
    heads: tuple[int, int] = (128, 32)                   # hidden layers of both emotion heads
    face_lstm: tuple[int, int] = (32, 8)                 # per direction, of Exp2Emo
    mel: tuple[int, ...] = (32, 64, 128, 256, 512, 512)  # convolutions of the mel encoder
    residual: tuple[int, ...] = (64, 128, 256, 512)      # of the residual encoder (single branch)
    branch: tuple[int, int, int] = (512, 272, 272)       # lingual branch; the emotion branch has the last two
    critic_lstm: tuple[int, int] = (32, 8)
    critic_head: tuple[int, int] = (64, 8)
    dropout: float = 0.2                                 # of Sp2Emo; far too much for a narrow one (see the experiment)
    output_gain: float = 1.0                             # of the initial weights that make offsets; below 1: closer to
                                                         # the mean face, for runs too short to come back from afar
    recurrent: int = 0                                   # units per direction of the recurrent variant; 0: as matched

    def __post_init__(self) -> None:
        if self.mel_bins % 16 or self.mel_bins < 16:
            raise InputError(f"{self.mel_bins} mel bands: expected a multiple of 16")

    @property
    def quality(self) -> int:
        """Channels of q_emo."""
        return self.speech[-1]


def narrowed(divisor: int, mel_bins: int = MEL_BINS, config: Config = Config()) -> Config:
    """The same structure with layers `divisor` times narrower, at least four units each, on `mel_bins` bands."""
    def less(widths: Sequence[int]) -> tuple[int, ...]:
        return tuple(max(4, width // divisor) for width in widths)

    fields = ("speech", "heads", "face_lstm", "mel", "residual", "branch", "critic_lstm", "critic_head")
    return replace(config, mel_bins=mel_bins, **{name: less(getattr(config, name)) for name in fields})


@dataclass(frozen=True)
class Schedule:
    """Joint pre-training as published: rates and their decay in epochs, and the epoch at which Exp2Emo begins to learn.

    Two released scripts let Exp2Emo begin at epoch 41 and its rate fall every 30 epochs.
    """

    epochs: int = 100
    speech_rate: float = 1e-3
    speech_factor: float = 0.5
    speech_every: int = 20
    face_rate: float = 1e-4
    face_factor: float = 0.1
    face_every: int = 20
    face_from: int = 40

    def rates(self, epoch: int) -> tuple[float, float]:
        """Learning rates of Sp2Emo and Exp2Emo in an epoch counted from 0; 0 before Exp2Emo's first."""
        late = epoch - self.face_from
        face = self.face_rate * self.face_factor ** (late // self.face_every) if late >= 0 else 0.0
        return self.speech_rate * self.speech_factor ** (epoch // self.speech_every), face

    def squeezed(self, epochs: int) -> Schedule:
        """The same course in another number of epochs."""
        def share(of: int) -> int:
            return max(1, round(of * epochs / self.epochs))

        return replace(self, epochs=epochs, speech_every=share(self.speech_every), face_every=share(self.face_every),
                       face_from=share(self.face_from))


@dataclass(frozen=True)
class Profile:
    """One reading of the method: architecture, losses and their weights, rates.

    branches       "two" with frozen masks (Fig. 3), "one" (what the released ablations ran on)
    emotion_loss   "cosine", "mse" of softmaxes, or "argmax": cross-entropy with the likeliest class (claim vnet-19)
    mouth_on       "branch": the lingual branch's own output (Sec. 2.3); "sum": what is predicted
    mouth_summed   norms as printed; False: means over coordinates, as the released program takes them
    mouth_centred  the mean of lips and jaw is subtracted per frame, so that moving the whole mouth costs nothing
    mouth_velocity the first difference is compared as well
    energy         "paper": norm of the difference, motion energy; "repo": mean square, net drift; see landmark_losses
    energy_mouth   whether the first energy term sees lips and jaw
    adversarial    "least-squares" or "margin"; the paper names no form
    """

    branches: str = "two"
    masked: bool = True
    emotion_loss: str = "cosine"
    mouth_norm: str = "l1"
    mouth_summed: bool = True
    mouth_on: str = "branch"
    mouth_centred: bool = False
    mouth_velocity: bool = False
    energy: str = "paper"
    energy_mouth: bool = True
    adversarial: str = "least-squares"
    starts: str = "random"               # of the training windows; "first": only the first second (released, 2d:V23)
    weights: dict[str, float] = field(
        default_factory=lambda: {"adversarial": 0.5, "emotion": 0.5, "mouth": 10.0, "energy": 10.0}, hash=False)
    generator_rate: float = 1e-4
    critic_rate: float = 4e-5
    epochs: int = 100
    batch: int = 32


PAPER = Profile()
REPO = Profile(
    branches="one", masked=False, mouth_on="sum", mouth_summed=False, mouth_centred=True, mouth_velocity=True,
    energy="repo", adversarial="margin", starts="first", batch=8,
)  # fmt: skip
REPO_MASKED = replace(
    REPO, branches="two", masked=True, emotion_loss="mse", mouth_velocity=False, energy_mouth=False, batch=32,
    weights={"adversarial": 0.5, "emotion": 2.0, "mouth": 20.0, "energy": 10.0},
)  # fmt: skip


# Emotion networks -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """What Sp2Emo says: `quality` (B, C, 30) per frame, `logits` (B, 8), and `probabilities` (B, 8) over emotions."""

    quality: Tensor
    logits: Tensor

    @property
    def probabilities(self) -> Tensor:
        return self.logits.softmax(-1)

    def detached(self) -> Heard:
        """The same without a path for gradients."""
        return Heard(self.quality.detach(), self.logits.detach())


class MeanOverRows(nn.Module):
    """Average pooling (B, C, H, W) -> (B, C, H // n, W); torch's own takes five times as long on a processor."""

    def __init__(self, n: int, padding: int = 0):
        super().__init__()
        self.n, self.padding = n, padding

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (0, 0, self.padding, self.padding)) if self.padding else x
        return x[..., : x.shape[-2] // self.n * self.n, :].unflatten(-2, (-1, self.n)).mean(-2)


class MeanOverColumns(MeanOverRows):
    """Average pooling (B, C, H, W) -> (B, C, H, W // n)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mT).mT


class Sp2Emo(nn.Module):
    """Speech to emotion: four convolutions over coefficients and time, then three dense layers (Fig. 2)."""

    def __init__(self, c: Config = Config()):
        super().__init__()
        kernels = ((3, 7), (3, 5), (3, 3), (3, 3))
        pools = (MeanOverRows(2), MeanOverRows(2, padding=1), MeanOverRows(2),
                 nn.Sequential(MeanOverRows(4), nn.MaxPool2d((1, PER_FRAME))))
        widths = (1, *c.speech)
        self.blocks = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(i, o, k, padding="same"), nn.Dropout(c.dropout), nn.BatchNorm2d(o), nn.ReLU(), pool)
            for i, o, k, pool in zip(widths, c.speech, kernels, pools, strict=False)))
        self.head = nn.Sequential(nn.Flatten(), *dense(c.quality * FRAMES, c.heads, len(EMOTIONS), dropout=c.dropout))

    def forward(self, mfcc: Float[Tensor, "b 30 92"]) -> Heard:
        """Raises InputError for another number of coefficients or frames."""
        check_window(mfcc, COEFFICIENTS, "cepstral coefficients")
        quality = self.blocks(mfcc[:, None])[:, :, 0]                                    # (B, C, 30)
        return Heard(quality, self.head(quality))


class LandmarkReader(nn.Module):
    """Two bidirectional LSTMs over landmark offsets (B, 30, 68, 2), then dense layers on all frames: (B, n).

    Exp2Emo and the discriminator are both of this kind.
    """

    def __init__(self, lstm: tuple[int, int], hidden: tuple[int, int], out: int, normalised: bool):
        super().__init__()
        first, second = lstm
        self.first = nn.LSTM(2 * COUNT, first, batch_first=True, bidirectional=True)
        self.second = nn.LSTM(2 * first, second, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Flatten(), *dense(FRAMES * 2 * second, hidden, out, normalised=normalised))

    def forward(self, offsets: Float[Tensor, "b 30 68 2"]) -> Float[Tensor, "b n"]:
        """Logits. Raises InputError for another number of frames or points."""
        if offsets.ndim != 4 or tuple(offsets.shape[1:]) != (FRAMES, COUNT, 2):
            raise InputError(f"landmark offsets {tuple(offsets.shape)}: expected (windows, {FRAMES}, {COUNT}, 2)")
        return self.head(self.second(self.first(offsets.flatten(2))[0])[0])


def exp2emo(c: Config = Config()) -> LandmarkReader:
    """Expression to emotion (Fig. 2): logits of the 8 emotions."""
    return LandmarkReader(c.face_lstm, c.heads, len(EMOTIONS), normalised=True)


def discriminator(c: Config = Config()) -> LandmarkReader:
    """Sequence discriminator D (Sec. 2.3): the logit of "real"; its sigmoid is what the losses see."""
    return LandmarkReader(c.critic_lstm, c.critic_head, 1, normalised=False)


def dense(width: int, hidden: tuple[int, ...], out: int, *, dropout: float = 0.0, normalised: bool = True) -> list:
    """Layers from `width` over `hidden` to `out`, with dropout, batch norm and ReLU between them."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), *([nn.Dropout(dropout)] if dropout else []),
                   *([nn.BatchNorm1d(units)] if normalised else []), nn.ReLU()]
        width = units
    return [*layers, nn.Linear(width, out)]


# Generator ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Motion:
    """Offsets (B, 30, 68, 2) that are predicted, and the share of the lingual branch alone (None: one branch)."""

    offsets: Tensor
    lingual: Tensor | None


class MelEncoder(nn.Module):
    """Mel spectrogram (B, 80, 92) to q_ling (B, 5 C, 30): six convolutions; the third has no padding in time."""

    def __init__(self, widths: Sequence[int], bins: int = MEL_BINS):
        super().__init__()
        self.bins, self.width = bins, bins // 16 * widths[-1]
        kernels = ((3, 5), *[(3, 3)] * 5)
        padding = ((1, 2), (1, 1), (1, 0), (1, 1), (1, 1), (1, 1))
        pools = (*[MeanOverRows(2)] * 3, MeanOverColumns(PER_FRAME), MeanOverRows(2), nn.Identity())
        self.blocks = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(i, o, k, padding=p), nn.BatchNorm2d(o), nn.LeakyReLU(SLOPE), pool)
            for i, o, k, p, pool in zip((1, *widths), widths, kernels, padding, pools, strict=False)))

    def forward(self, mel: Float[Tensor, "b 80 92"]) -> Float[Tensor, "b c 30"]:
        check_window(mel, self.bins, "mel spectrogram")
        return self.blocks(mel[:, None]).flatten(1, 2)


class Residual(nn.Module):
    """Two convolutions and a way past them, then maximum pooling."""

    def __init__(self, width: int, out: int, pool: tuple[int, int]):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.LeakyReLU(SLOPE),
                                  nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out))
        self.past = nn.Conv2d(width, out, 1)
        self.after = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(pool))

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.body(x) + self.past(x))


class ResidualEncoder(nn.Module):
    """The encoder of the single-branch generator: four residual stages to q_ling (B, 5 C, 30).

    The released widths; where the stages pool is our choice, the only one that ends at 5 x 30. The first and the last
    audio frame are cut, as the other encoder does.
    """

    def __init__(self, widths: Sequence[int], bins: int = MEL_BINS):
        super().__init__()
        self.bins, self.width = bins, bins // 16 * widths[-1]
        pools = ((2, 1), (2, 1), (2, PER_FRAME), (2, 1))
        self.stages = nn.Sequential(*(Residual(i, o, pool) for i, o, pool in
                                      zip((1, *widths), widths, pools, strict=False)))

    def forward(self, mel: Float[Tensor, "b 80 92"]) -> Float[Tensor, "b c 30"]:
        check_window(mel, self.bins, "mel spectrogram")
        return self.stages(mel[:, None, :, 1:-1]).flatten(1, 2)


class Branch(nn.Sequential):
    """Convolutions over time (B, C, 30) -> (B, 136, 30), batch norm and leaky ReLU between them."""

    def __init__(self, width: int, hidden: Sequence[int], kernels: Sequence[int]):
        layers: list[nn.Module] = []
        for units, kernel in zip(hidden, kernels, strict=False):
            layers += [nn.Conv1d(width, units, kernel, padding=kernel // 2), nn.BatchNorm1d(units),
                       nn.LeakyReLU(SLOPE)]
            width = units
        super().__init__(*layers, nn.Conv1d(width, 2 * COUNT, kernels[-1], padding=kernels[-1] // 2))


class Recurrence(nn.Module):
    """A bidirectional LSTM over the frames: (B, C, 30) -> (B, 2 units, 30)."""

    def __init__(self, width: int, units: int):
        super().__init__()
        self.lstm = nn.LSTM(width, units, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.mT)[0].mT


class RecurrentBranch(nn.Sequential):
    """A recurrence in place of the convolutions: (B, C, 30) -> (B, 136, 30)."""

    def __init__(self, width: int, units: int):
        super().__init__(Recurrence(width, units), nn.Conv1d(2 * units, 2 * COUNT, 1))


class MelFrames(nn.Module):
    """Mel frames of a video frame side by side, (B, 240, 30): what the recurrent generator reads."""

    def __init__(self, bins: int = MEL_BINS):
        super().__init__()
        self.bins, self.width = bins, bins * PER_FRAME

    def forward(self, mel: Float[Tensor, "b 80 92"]) -> Float[Tensor, "b 240 30"]:
        check_window(mel, self.bins, "mel spectrogram")
        return mel[..., 1:-1].unflatten(-1, (FRAMES, PER_FRAME)).permute(0, 1, 3, 2).flatten(1, 2)


def branch_masks(masked: bool = True) -> tuple[Tensor, Tensor]:
    """Frozen weights (68, 1) of the lingual and of the emotion branch (Fig. 3).

    Lingual: 1 on jaw and lips, 0 elsewhere. Emotion: 0.2 on jaw and lips, 1 elsewhere. Unmasked: 1 everywhere.
    """
    lingual, emotional = torch.ones(COUNT, 1), torch.ones(COUNT, 1)
    if masked:
        lingual[REST] = 0.0
        emotional[MOUTH] = SHARE_ON_MOUTH
    return lingual, emotional


class Generator(nn.Module):
    """Emotive generator G (Fig. 3): lingual and emotion features to offsets of 68 landmarks.

    emotional  "quality": the emotion branch reads q_emo; "content": no emotion network, it reads q_ling
    target     "offsets": bounded by tanh as released; "landmarks": positions, unbounded, as the claim on convergence
               needs them
    kind       "convolutional" or "recurrent" (claim vnet-18)
    """

    def __init__(self, c: Config = Config(), profile: Profile = PAPER, *, emotional: str = "quality",
                 target: str = "offsets", kind: str = "convolutional"):
        super().__init__()
        self.emotional, self.target, self.two = emotional, target, profile.branches == "two"
        if kind == "recurrent":
            self.encoder = MelFrames(c.mel_bins)
        else:
            self.encoder = MelEncoder(c.mel, c.mel_bins) if self.two else ResidualEncoder(c.residual, c.mel_bins)
        self.branches = self._branches(c, kind)
        for name, mask in zip(("lingual_mask", "emotional_mask"), branch_masks(profile.masked), strict=True):
            self.register_buffer(name, mask)
        self.apply(initialise)
        with torch.no_grad():
            for branch in self.branches.values():
                branch[-1].weight.mul_(c.output_gain)

    def _branches(self, c: Config, kind: str) -> nn.ModuleDict:
        content = self.encoder.width
        heard = {"quality": c.quality, "content": content}[self.emotional]
        if kind == "recurrent":
            return nn.ModuleDict({"lingual": RecurrentBranch(content, c.recurrent),
                                  "emotional": RecurrentBranch(heard, c.recurrent)})
        if not self.two:
            return nn.ModuleDict({"joint": Branch(content + c.quality * (self.emotional == "quality"), c.branch,
                                                  (3, 3, 3, 5))})
        return nn.ModuleDict({"lingual": Branch(content, c.branch, (3, 3, 3, 5)),
                              "emotional": Branch(heard, c.branch[1:], (3, 3, 5))})

    def forward(self, mel: Float[Tensor, "b 80 92"], quality: Float[Tensor, "b c 30"] | None) -> Motion:
        """`quality` is needed unless the emotion branch reads the content."""
        content = self.encoder(mel)
        if not self.two:
            told = content if self.emotional == "content" else torch.cat([content, quality], 1)
            return Motion(self._bounded(as_points(self.branches["joint"](told))), None)
        heard = content if self.emotional == "content" else quality
        lingual = self.lingual_mask * as_points(self.branches["lingual"](content))
        emotional = self.emotional_mask * as_points(self.branches["emotional"](heard))
        return Motion(self._bounded(lingual + emotional), self._bounded(lingual))

    def _bounded(self, points: Tensor) -> Tensor:
        return points.tanh() if self.target == "offsets" else points

    @torch.no_grad()
    def start_from(self, mean_face: Float[Tensor, "68 2"]) -> None:
        """Let an untrained generator of positions put out the mean face through the biases of its last layers.

        The lingual branch carries all of the mouth, since a loss may look at it alone; the other one the rest.
        """
        shares = {"joint": 1.0, "lingual": 1.0, "emotional": 1.0 - self.lingual_mask}
        for name, branch in self.branches.items():
            branch[-1].bias.copy_((shares[name] * mean_face).flatten())


def as_points(channels: Float[Tensor, "b 136 t"]) -> Float[Tensor, "b t 68 2"]:
    """Channels x0, y0, x1, ... as points per frame."""
    return channels.mT.unflatten(-1, (COUNT, 2))


def initialise(module: nn.Module) -> None:
    """Released initial weights of the generator: small convolutions (half the leaky gain), orthogonal recurrence."""
    if isinstance(module, nn.Conv1d):
        nn.init.xavier_normal_(module.weight, 0.5 * nn.init.calculate_gain("leaky_relu", SLOPE))
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.008)
    elif isinstance(module, nn.LSTM):
        for name, weight in module.named_parameters():
            if "weight" in name:
                nn.init.orthogonal_(weight)


def matched_units(c: Config, profile: Profile = PAPER) -> int:
    """Units per direction with which the recurrent generator has about as many parameters as the convolutional one."""
    wanted = parameter_count(Generator(c, profile))
    sizes = range(4, 4096)
    return min(sizes, key=lambda units: abs(_recurrent_count(units, c) - wanted))


def _recurrent_count(units: int, c: Config) -> int:
    def branch(width: int) -> int:
        return 2 * 4 * units * (width + units + 2) + (2 * units + 1) * 2 * COUNT

    return branch(PER_FRAME * c.mel_bins) + branch(c.quality)


def parameter_count(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def check_window(features: Tensor, bins: int, what: str) -> None:
    """Raise InputError unless `features` are windows of the right size."""
    if features.ndim != 3 or tuple(features.shape[1:]) != (bins, AUDIO_FRAMES):
        raise InputError(f"{what} {tuple(features.shape)}: expected (windows, {bins}, {AUDIO_FRAMES})")


# Windows --------------------------------------------------------------------------------------------------------------


def window_starts(frames: int) -> list[int]:
    """First frames of the windows that cover a clip: every 20 frames, until one reaches its end."""
    if frames < 1:
        raise InputError(f"{frames} frames: a clip needs at least one")
    return list(range(0, max(frames - FRAMES, 0) + STRIDE, STRIDE)) if frames > FRAMES else [0]


def stitch(windows: np.ndarray, frames: int) -> np.ndarray:
    """Windows (N, 30, ...) at `window_starts(frames)` joined to (frames, ...): 20 centre frames of each, as released.

    The first window also gives the frames before its centre, the last one those after it. Nothing is blended: the
    value may jump where two windows meet.
    """
    starts = window_starts(frames)
    if len(windows) != len(starts) or windows.shape[1] != FRAMES:
        raise InputError(f"windows {windows.shape}: expected {len(starts)} of {FRAMES} frames for {frames} frames")
    last = len(starts) - 1
    parts = [window[0 if i == 0 else KEPT.start : FRAMES if i == last else KEPT.stop]
             for i, window in enumerate(windows)]
    return np.concatenate(parts)[:frames]


def standardised(landmarks: Float[Tensor, "... t 68 2"]) -> Float[Tensor, "... t 68 2"]:
    """Windows with zero mean and unit spread per axis, over time and points (released landmark normalisation).

    Removes where and how large a face is; keeps rotation and everything that moves within the window.
    """
    mean = landmarks.mean((-3, -2), keepdim=True)
    spread = landmarks.std((-3, -2), correction=0, keepdim=True)
    return (landmarks - mean) / spread.clamp_min(1e-8)


# Released post-processing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostProcessing:
    """What the released inference does to landmarks before it renders them; the paper mentions none of it (2d:V21)."""

    close_mouth: bool = False
    rebase_lips: bool = False
    scale_axes: bool = False

    def __call__(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks (T, 68, 2) after the steps that are switched on, in the released order."""
        steps = ((self.close_mouth, closed_on_average), (self.rebase_lips, rebased_lips), (self.scale_axes, scaled))
        for wanted, step in steps:
            landmarks = step(landmarks) if wanted else landmarks
        return landmarks


RELEASED = PostProcessing(True, True, True)
INNER_PAIRS = ((61, 67), (62, 66), (63, 65))             # upper and lower inner lip
OUTER_PAIRS = ((50, 58), (51, 57), (52, 56))             # the outer points above and below them
UPPER_LIP, LOWER_LIP = (*range(49, 54), *range(61, 64)), (*range(55, 60), *range(65, 68))
ORDER = 8                                                # frames on both sides that a local extremum must exceed


def closed_on_average(landmarks: np.ndarray) -> np.ndarray:
    """Inner and outer lip points moved by half the mean inner gap, so that the mean mouth is closed; y grows down."""
    out = np.array(landmarks, np.float64)
    for inner, outer in zip(INNER_PAIRS, OUTER_PAIRS, strict=True):
        half = (landmarks[:, inner[1], 1] - landmarks[:, inner[0], 1]).mean() / 2
        out[:, [inner[0], outer[0]], 1] += half
        out[:, [inner[1], outer[1]], 1] -= half
    return out


def rebased_lips(landmarks: np.ndarray) -> np.ndarray:
    """Lip heights relative to a course through their closed moments, so that the mouth returns to the same closure.

    A lip point is closed at its local extrema towards the other lip (order 8); between them the course is linear. The
    point keeps its distance from that course and gets its mean back. The facts name extrema and interpolation; that
    the mean is restored is our reading.
    """
    from scipy.signal import argrelextrema

    out, times = np.array(landmarks, np.float64), np.arange(len(landmarks))
    for points, comparator in ((UPPER_LIP, np.greater_equal), (LOWER_LIP, np.less_equal)):
        for p in points:
            y = out[:, p, 1].copy()
            (at,) = argrelextrema(y, comparator, order=ORDER, mode="clip")
            if len(at):
                course = np.interp(times, at, y[at])
                out[:, p, 1] = y - course + course.mean()
    return out


def scaled(landmarks: np.ndarray) -> np.ndarray:
    """The whole sequence stretched to 16 .. 240 of a 256-px frame, each axis on its own: the aspect ratio is lost."""
    low, high = landmarks.min((0, 1)), landmarks.max((0, 1))
    return (landmarks - low) / np.maximum(high - low, 1e-8) * 224 + 16
