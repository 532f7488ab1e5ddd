"""MakeItTalk (Zhou et al., SIGGRAPH Asia 2020): 68 landmarks from converted speech, one content and one speaker branch.

- `ContentBranch` (Sec. 3.2): lips and jaw from what is said; every frame hears a window of the *future* only.
- `SpeakerBranch` (Sec. 3.3): brows, eyes and head from how and by whom it is said; a transformer over all frames.
- `Discriminator` (Sec. 3.3): says of every frame whether its surroundings look real.
- registration, normalised faces, most closed mouth: the frame of reference of the landmarks.
- `assemble`: what the released program does between networks and landmarks, each step a switch of `Assembly`.

Landmarks are faces of width 1.6 with both picture axes negated (`NormalisedFace`), 68 points in `axes` dimensions: 3
in the released weights, 2 for landmarks seen in a picture. Shapes: B clips, R mel rows, T = R - window frames,
P = 68 axes coordinates as (x, y, z) of each point in turn. Attribute names are the key names of the released
checkpoints. Sources: the paper, and the behaviour of yzhou359/MakeItTalk.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data import checkpoint
from lib.errors import InputError
from lib.face.alignment import Similarity, rigid
from lib.face.landmarks import COUNT, LIPS, STABLE, validate
from lib.models.autovc import MELS, RATE, load_released
from lib.models.parts import check_row, check_sequence
from lib.paths import asset

JAW_WIDTH = 1.6
WINDOW = 18                         # mel rows a frame hears, 0.288 s at 62.5 per second: its own and 17 later ones
SEGMENT, SHORTEST_SEGMENT = 512, 10                     # frames the released program works on at a time
POSITIONS = 512                     # length of the table of positions, and so of the longest sequence
EMBEDDING_SCALE = 3.0               # literal in the released program, whose option for it is not read
INNER = np.arange(60, 68)
# upper and lower points that face each other, right to left of the subject, corners left out
OUTER_PAIRS = (np.arange(49, 54), np.arange(59, 54, -1))
INNER_PAIRS = (np.arange(61, 64), np.arange(67, 64, -1))
EYELID_PAIRS = (np.array([37, 38, 43, 44]), np.array([41, 40, 47, 46]))


# Frame of reference ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NormalisedFace:
    """Between pixels and faces of width 1.6: normalised = -(pixels + shift) * scale, in x and y."""

    scale: float
    shift: np.ndarray                    # (2,)

    @classmethod
    def of(cls, face: np.ndarray) -> "NormalisedFace":
        """From the ends of the jaw line of a face (68, 2 or 3) in pixels; raises InputError if they coincide."""
        ends = validate(face)[[0, 16], :2].astype(np.float64)
        width = abs(ends[1, 0] - ends[0, 0])
        if width < 1e-9:
            raise InputError("face: both ends of the jaw line lie above each other; expected a frontal face")
        return cls(float(JAW_WIDTH / width), -ends.mean(0))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Normalised landmarks (..., 68, 2) of landmarks (..., 68, 2 or 3) in pixels."""
        return -(np.asarray(pixels)[..., :2] + self.shift) * self.scale

    def pixels(self, normalised: np.ndarray) -> np.ndarray:
        """Landmarks (..., 68, 2) in pixels of normalised ones (..., 68, 2 or 3)."""
        return -np.asarray(normalised)[..., :2] / self.scale - self.shift


def registration(faces: np.ndarray, anchor: np.ndarray) -> Similarity:
    """Rigid motion of each face (T, 68, D) onto the anchor face (68, D), fitted on nine points of nose and eyes.

    The released program calls it ICP, but points correspond by index.
    """
    return rigid(validate(faces)[:, STABLE], validate(anchor)[STABLE])


def mouth_area(landmarks: np.ndarray) -> np.ndarray:
    """Signed area (...,) of the inner mouth of normalised faces (..., 68, D): positive while the lips are in order."""
    x, y = landmarks[..., INNER, 0], landmarks[..., INNER, 1]
    return (x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1) / 2


def most_closed(landmarks: np.ndarray, every: int = 10) -> int:
    """Frame of a clip (T, 68, D) with the smallest mouth, among every tenth: displacements are relative to it."""
    return int(np.abs(mouth_area(landmarks[::every])).argmin()) * every


def close_mouth(face: np.ndarray, inner: float = 0.7, next_to_corners: float = 0.5) -> np.ndarray:
    """The face (..., 68, D) with its lips drawn together, an option of the released program for portraits that smile.

    The inner lips move by `inner` of the way to the middle between them, and the outer lips by as much as the inner
    lip before them; the outer points next to the corners follow by `next_to_corners` only.
    """
    out = np.array(face)
    middle = 0.5 * (face[..., INNER_PAIRS[0], :] + face[..., INNER_PAIRS[1], :])
    for lip, outer in zip(INNER_PAIRS, OUTER_PAIRS, strict=True):
        apart = face[..., lip, :] - middle
        out[..., lip, :] -= inner * apart
        out[..., outer[1:4], :] -= inner * apart
        out[..., outer[[0, 4]], :] -= next_to_corners * apart[..., [0, 2], :]
    return out


# Windows, transformer -------------------------------------------------------------------------------------------------


def windows(rows: Tensor, length: int) -> Tensor:
    """Windows (B, R - length, length, C) of rows (B, R, C): window i covers rows i to i + length - 1.

    The last full window is left out, as in the released program. Raises InputError when there is none before it.
    """
    if rows.shape[1] <= length:
        raise InputError(f"mel has {rows.shape[1]} rows; MakeItTalk needs more than its window of {length} "
                         f"(the released window lasts {1000 * WINDOW / 62.5:g} ms); take a longer clip")
    return rows.unfold(1, length, 1)[:, :-1].transpose(2, 3)


def last_step(lstm: nn.LSTM, rows: Tensor, length: int) -> Tensor:
    """Last output (B, R - length, H) of an LSTM run over every window of rows (B, R, C)."""
    cut = windows(rows, length)
    return lstm(cut.flatten(0, 1))[0][:, -1].unflatten(0, cut.shape[:2])


def position_table(positions: int, width: int) -> Tensor:
    """Table (positions, width) of the released transformer, whose frequencies fall twice as fast as the usual ones.

    Column c holds the sine (c even) or cosine (c odd) of position / 10000^(2c / width): the usual formula has c / width
    and gives sine and cosine of a pair one frequency.
    """
    column = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] / 10000 ** (2 * column / width)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


class Norm(nn.Module):
    """Layer norm that divides by the unbiased standard deviation plus 1e-6."""

    def __init__(self, width: int):
        super().__init__()
        self.alpha, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + self.bias


class Attention(nn.Module):
    """Self-attention over all frames (B, T, d)."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q_linear, self.v_linear = nn.Linear(width, width), nn.Linear(width, width)
        self.k_linear, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for layer in (self.q_linear, self.k_linear, self.v_linear))
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out(seen.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two layers with a rectifier between them."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(self.dropout(F.relu(self.linear_1(x))))


class Layer(nn.Module):
    """Transformer layer that normalises before attention and before its feed-forward part."""

    def __init__(self, config: "TransformerConfig"):
        super().__init__()
        self.norm_1, self.norm_2 = Norm(config.width), Norm(config.width)
        self.attn = Attention(config.width, config.heads, config.dropout)
        self.ff = FeedForward(config.width, config.hidden, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attn(self.norm_1(x)))
        return x + self.dropout(self.ff(self.norm_2(x)))


class Embedding(nn.Module):
    """Linear embedding under the released name."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.embed = nn.Linear(inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x)


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the transformer in speaker branch and discriminator; the defaults are the released ones."""

    width: int = 64
    heads: int = 2
    layers: int = 2
    hidden: int = 2048
    dropout: float = 0.1


class Transformer(nn.Module):
    """Encoder (B, T, inputs) -> (B, T, width), at most 512 frames at a time."""

    def __init__(self, inputs: int, config: TransformerConfig):
        super().__init__()
        self.embed = Embedding(inputs, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = Norm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("positions", position_table(POSITIONS, config.width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] > POSITIONS:
            raise InputError(f"{x.shape[1]} frames; MakeItTalk's transformer knows {POSITIONS} positions; cut the clip "
                             "into segments (`assemble` does)")
        x = self.embed(x)
        x = self.dropout(x * math.sqrt(x.shape[-1]) + self.positions[: x.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


def _head(inputs: int, hidden: tuple[int, int], outputs: int) -> nn.Sequential:
    first, second = hidden
    return nn.Sequential(nn.Linear(inputs, first), nn.LeakyReLU(0.02), nn.Linear(first, second), nn.LeakyReLU(0.02),
                         nn.Linear(second, outputs))


# Networks -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """Sizes of MakeItTalk; the defaults are those of the released weights.

    window          rows each frame hears: 18 at 62.5 per second; 7 at 25 per second last about as long
    lstm, layers    of both recurrent networks; prior, head: layers before and after that of the content branch
    speaker         widths of the speaker code's layers; noise: width of z; style_head: layers after the transformer
    seen            frames the discriminator sees at a time
    unit            displacement, in faces of width 1.6, that an output of 1 stands for
    """

    window: int = WINDOW
    mels: int = MELS
    axes: int = 3
    lstm: int = 256
    layers: int = 3
    dropout: float = 0.5
    prior: tuple[int, int] = (256, 161)
    head: tuple[int, int] = (512, 256)
    embedding: int = 256
    speaker: tuple[int, int] = (256, 128)
    noise: int = 128
    style_head: tuple[int, int] = (512, 256)
    transformer: TransformerConfig = TransformerConfig()
    seen: int = 24
    unit: float = 1.0

    @property
    def coordinates(self) -> int:
        """P, numbers of a face."""
        return COUNT * self.axes


class ContentBranch(nn.Module):
    """Standardised converted mel (B, R, 80) and closed face (B, P) to displacements (B, T, P); T = R - window."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config, c = config, config
        self.fc_prior = nn.Sequential(nn.Linear(c.mels, c.prior[0]), nn.BatchNorm1d(c.prior[0]), nn.LeakyReLU(0.2),
                                      nn.Linear(*c.prior))
        # one direction only, whatever its released name says
        self.bilstm = nn.LSTM(c.prior[1], c.lstm, c.layers, batch_first=True, dropout=c.dropout)
        first, second = c.head
        self.fc = nn.Sequential(
            nn.Linear(c.lstm + c.coordinates, first), nn.BatchNorm1d(first), nn.LeakyReLU(0.2),
            nn.Linear(first, second), nn.BatchNorm1d(second), nn.LeakyReLU(0.2), nn.Linear(second, c.coordinates),
        )  # fmt: skip

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """The first layers see every row once, not once per window: the same function, but while training the batch
        norm counts the rows at both ends as much as the others."""
        c = self.config
        check_sequence(mel, c.mels, "mel")
        check_row(face, len(mel), c.coordinates, "face")
        rows = self.fc_prior(mel.flatten(0, 1)).unflatten(0, mel.shape[:2])
        heard = last_step(self.bilstm, rows, c.window)
        joined = torch.cat([heard, face[:, None].expand(-1, heard.shape[1], -1)], -1)
        return c.unit * self.fc(joined.flatten(0, 1)).unflatten(0, heard.shape[:2])


class SpeakerBranch(nn.Module):
    """Mel (B, R, 80) and voice embedding (B, E) to displacements (B, T, P) in the manner of the speaker."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config, c = config, config
        self.audio_content_encoder = nn.LSTM(c.mels, c.lstm, c.layers, batch_first=True)
        first, code = c.speaker
        self.spk_emb_encoder = nn.Sequential(nn.Linear(c.embedding, first), nn.LeakyReLU(0.02), nn.Linear(first, code),
                                             nn.LeakyReLU(0.02), nn.Linear(code, code))
        self.encoder = Transformer(c.lstm + code + c.noise, c.transformer)
        self.out = _head(c.transformer.width + c.noise, c.style_head, c.coordinates)

    def code(self, embedding: Tensor) -> Tensor:
        """Speaker code (B, 128) of a voice embedding (B, E), which is multiplied by three first."""
        check_row(embedding, len(embedding), self.config.embedding, "speaker embedding")
        return self.spk_emb_encoder(EMBEDDING_SCALE * embedding)

    def forward(self, mel: Tensor, embedding: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise` (B, T, z); zeros, as at inference, where it is left out."""
        check_sequence(mel, self.config.mels, "mel")
        heard = last_step(self.audio_content_encoder, mel, self.config.window)
        speaker = self.code(embedding)[:, None].expand(-1, heard.shape[1], -1)
        z = heard.new_zeros(*heard.shape[:2], self.config.noise) if noise is None else noise
        moved = self.encoder(torch.cat([heard, speaker, z], -1))
        return self.config.unit * self.out(torch.cat([moved, z], -1))

    def fixed_tables(self) -> dict[str, Tensor]:
        """Tables of the released file that are computed here."""
        return {"encoder.pe.pe": self.encoder.positions[None]}


class Discriminator(nn.Module):
    """Landmarks (B, T, P) and speaker code (B, 128) to a score (B, T - seen) of how real each stretch looks."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.encoder = Transformer(config.coordinates + config.speaker[1], config.transformer)
        self.out = _head(config.transformer.width, config.style_head, 1)

    def forward(self, landmarks: Tensor, code: Tensor) -> Tensor:
        check_sequence(landmarks, self.config.coordinates, "landmarks")
        joined = torch.cat([landmarks, code[:, None].expand(-1, landmarks.shape[1], -1)], -1)
        cut = windows(joined, self.config.seen)
        strongest = self.encoder(cut.flatten(0, 1)).amax(1)
        return self.out(strongest).unflatten(0, cut.shape[:2])[..., 0]

    def fixed_tables(self) -> dict[str, Tensor]:
        """Tables of the released file that are computed here."""
        return {"encoder.pe.pe": self.encoder.positions[None]}


# Released weights -----------------------------------------------------------------------------------------------------

RELEASED = {
    "content": ("makeittalk_weights/ckpt_content_branch.pth", "model_g_face_id"),
    "speaker": ("makeittalk_weights/ckpt_speaker_branch.pth", "G"),
}
NEVER_USED = ("decoder.", "comb_mlp")        # weights in the released file that no output depends on


def load_branch(model: nn.Module, tensors: dict[str, Tensor], source: str = "checkpoint") -> None:
    """Load released weights of a branch or the discriminator, strictly, but for those that the program never uses."""
    load_released(model, {k: v for k, v in tensors.items() if not k.startswith(NEVER_USED)}, source)


def released() -> tuple[ContentBranch, SpeakerBranch]:
    """Both branches with their released weights; raises AssetMissing where a file is absent."""
    branches = {"content": ContentBranch(), "speaker": SpeakerBranch()}
    for name, model in branches.items():
        path = asset(RELEASED[name][0])
        load_branch(model, checkpoint.load(path, key=RELEASED[name][1]), str(path))
    return branches["content"], branches["speaker"]


# From displacements to a face in motion -------------------------------------------------------------------------------

BLINK_EVERY = (30, 90)              # frames that are drawn between 60 frames after a blink and the next one
BLINK_CLOSING, BLINK_OPENING = 10, 15


@dataclass(frozen=True)
class Assembly:
    """Every step between networks and landmarks, with the settings of the released program.

    calibrate       share of the lowest values of a coordinate whose mean is taken to be rest; 0: off
    lips            factor on the content branch's lips, in both picture axes (amp_lip_x, amp_lip_y)
    manner          factor on the speaker branch (amp_pos)
    still_lips      how far facing lip points of the speaker branch are drawn together, so that it opens no mouth
    smooth_manner, smooth    windows of cubic Savitzky-Golay filters: of the speaker branch, and of the result; 0: off
    repair          uncross lips; revise_nose: put the top of the nose in line with the two points below it
    edit_portrait   slim the lips and widen the eyes of the portrait by hand-set pixels first (`edited_portrait`)
    render_face, render_lips    windows of two more such filters before rendering: of all but the lips, and of the lips
    """

    calibrate: float = 0.5
    lips: float = 2.0
    manner: float = 0.5
    still_lips: float = 0.99
    smooth_manner: int = 31
    smooth: int = 5
    repair: bool = True
    revise_nose: bool = True
    edit_portrait: bool = True
    render_face: int = 15
    render_lips: int = 5

    def at(self, fps: float) -> "Assembly":
        """The same with windows that last as long at `fps` frames per second as the released ones do at 62.5."""
        names = ("smooth_manner", "smooth", "render_face", "render_lips")
        odd = {name: 2 * round((getattr(self, name) * fps / RATE - 1) / 2) + 1 for name in names if getattr(self, name)}
        return replace(self, **odd)


RAW = Assembly(calibrate=0, lips=1, manner=1, still_lips=0, smooth_manner=0, smooth=0, repair=False, revise_nose=False,
               edit_portrait=False, render_face=0, render_lips=0)


def calibrated(displacement: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Displacements (T, ...) minus, per coordinate, the mean of its lowest `share` of values."""
    count = int(len(displacement) * share)
    return displacement - np.sort(displacement, 0)[:count].mean(0) if count else displacement


def smoothed(curves: np.ndarray, window: int) -> np.ndarray:
    """Curves (T, ...) through a cubic Savitzky-Golay filter; the largest odd window that fits a shorter clip."""
    from scipy.signal import savgol_filter

    window = min(window, (len(curves) - 1) // 2 * 2 + 1)
    return savgol_filter(curves, window, 3, axis=0) if window > 3 else curves


def stilled_lips(displacement: np.ndarray, share: float) -> np.ndarray:
    """Displacements (T, 68, D) whose facing lip points have moved by `share` of the way to the middle between them."""
    out = displacement.copy()
    for upper, lower in (OUTER_PAIRS, INNER_PAIRS):
        middle = 0.5 * (displacement[:, upper] + displacement[:, lower])
        for lip in (upper, lower):
            out[:, lip] = (1 - share) * displacement[:, lip] + share * middle
    return out


def uncrossed(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (T, 68, D) without crossed lips: where the area of the mouth is negative, facing points of the inner
    lips meet in their middle, and the outer lips keep the height above the inner ones that they had a frame before."""
    out = landmarks.copy()
    upper, lower = INNER_PAIRS
    for t in np.flatnonzero(mouth_area(landmarks) < 0):
        middle = 0.5 * (out[t, upper] + out[t, lower])
        out[t, upper] = out[t, lower] = middle
        for outer, inner in ((np.arange(55, 59), np.arange(64, 68)), (np.arange(59, 60), np.arange(60, 61)),
                             (np.arange(49, 54), np.arange(60, 65))):
            before = out[max(t - 1, 0)]
            out[t, outer, 1] = out[t, inner, 1] + before[outer, 1] - before[inner, 1]
    return out


def blinking(landmarks: np.ndarray, waits: "np.random.Generator | list[int]") -> np.ndarray:
    """Landmarks (T, 68, D) with blinks: the first at frame 30, each next one 60 frames and a random wait later.

    Lids first come 5 % closer. A blink closes in 10 frames and opens in 15; the lids meet a quarter of the opening
    above the lower one. `waits` draws from 30 to 89 frames, or lists them.
    """
    out = landmarks.copy()
    upper, lower = EYELID_PAIRS
    out[:, upper] = 0.95 * landmarks[:, upper] + 0.05 * landmarks[:, lower]
    out[:, lower] = 0.05 * landmarks[:, upper] + 0.95 * landmarks[:, lower]
    for t in blink_frames(len(landmarks), waits):
        closed = 0.25 * out[t, upper] + 0.75 * out[t, lower]
        for lid in (upper, lower):
            start, end = out[t - BLINK_CLOSING, lid].copy(), out[t + BLINK_OPENING, lid].copy()
            share = np.arange(BLINK_CLOSING + 1)[:, None, None] / BLINK_CLOSING
            out[t - BLINK_CLOSING : t + 1, lid] = (1 - share) * start + share * closed
            share = np.arange(2, BLINK_OPENING + 1)[:, None, None] / BLINK_OPENING
            out[t + 1 : t + BLINK_OPENING, lid] = (1 - share) * closed + share * end
    return out


def blink_frames(frames: int, waits: "np.random.Generator | list[int]") -> list[int]:
    """Frames in which the eyes are shut."""
    drawn = iter(waits) if isinstance(waits, list) else iter(lambda: int(waits.integers(*BLINK_EVERY)), None)
    at, found = 30, []
    while at < frames - 1 - BLINK_OPENING:
        found.append(at)
        at += 60 + next(drawn, frames)
    return found


def edited_portrait(pixels: np.ndarray) -> np.ndarray:
    """Portrait landmarks (68, D) in pixels, y down, with the released program's edits: slimmer lips, wider eyes.

    Outer upper lip 1 px down, lower lip 1 px up, upper lids 2 px up, lower lids 2 px down.
    """
    out = np.array(pixels, np.float64)
    out[OUTER_PAIRS[0], 1] += 1
    out[OUTER_PAIRS[1], 1] -= 1
    out[EYELID_PAIRS[0], 1] -= 2
    out[EYELID_PAIRS[1], 1] += 2
    return out


def segments(frames: int) -> list[slice]:
    """Stretches of at most 512 frames; a last one of fewer than 10 is dropped, as in the released program.

    Raises InputError when nothing is left.
    """
    cuts = [slice(start, min(start + SEGMENT, frames)) for start in range(0, frames, SEGMENT)]
    kept = [cut for cut in cuts if cut.stop - cut.start >= SHORTEST_SEGMENT]
    if not kept:
        raise InputError(f"{max(frames, 0)} frames; MakeItTalk needs at least {SHORTEST_SEGMENT} after its window; "
                         "take a longer clip")
    return kept


@torch.no_grad()
def branch_outputs(
    content: ContentBranch, speaker: SpeakerBranch | None, mel: np.ndarray, face: np.ndarray, embedding: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Displacements (T, 68, D) of content and speaker branch for every segment of mel rows (R, 80).

    face (68, D) normalised, embedding (E,). Without speaker branch its displacement is zero.
    """
    rows = torch.from_numpy(np.asarray(mel, np.float32))[None]
    flat = torch.from_numpy(np.asarray(face, np.float32)).reshape(1, -1)
    voice = torch.from_numpy(np.asarray(embedding, np.float32))[None]
    window = content.config.window
    found = []
    for cut in segments(rows.shape[1] - window):
        part = rows[:, cut.start : cut.stop + window]
        moved = content(part, flat)[0]
        manner = torch.zeros_like(moved) if speaker is None else speaker(part, voice)[0]
        found.append(tuple(x.unflatten(-1, (COUNT, -1)).numpy() for x in (moved, manner)))
    return found


def assemble(outputs: list[tuple[np.ndarray, np.ndarray]], face: np.ndarray, how: Assembly = Assembly()) -> np.ndarray:
    """Normalised landmarks (T, 68, D) of the displacements of both branches by segment, on the face (68, D)."""
    parts = []
    for moved, manner in outputs:
        if how.smooth_manner:
            manner = smoothed(manner, how.smooth_manner)
        moved = calibrated(moved, how.calibrate).copy()
        moved[:, LIPS, :2] *= how.lips
        shown = face + moved + how.manner * stilled_lips(manner, how.still_lips)
        parts.append(uncrossed(shown) if how.repair else shown)
    landmarks = np.concatenate(parts)
    if how.revise_nose:
        landmarks[:, 27] = 2 * landmarks[:, 28] - landmarks[:, 29]
    return smoothed(landmarks, how.smooth) if how.smooth else landmarks


def before_rendering(landmarks: np.ndarray, how: Assembly = Assembly()) -> np.ndarray:
    """Landmarks (T, 68, D), the lips smoothed over a shorter window than the rest of the face."""
    out = np.empty_like(landmarks)
    for part, window in ((np.arange(48), how.render_face), (LIPS, how.render_lips)):
        out[:, part] = smoothed(landmarks[:, part], window)
    return out


def animate(
    content: ContentBranch, speaker: SpeakerBranch | None, mel: np.ndarray, portrait: np.ndarray,
    embedding: np.ndarray, how: Assembly = Assembly(),
) -> np.ndarray:
    """Landmarks (R, 68, 2) in pixels for mel rows (R, 80), a portrait (68, 2) in pixels and a voice embedding (E,).

    The last row is repeated so that the last frames have a future to hear: the released program leaves them out. The
    networks have two axes here; with released weights, which have three, go through `branch_outputs` and `assemble`.
    """
    pixels = edited_portrait(portrait) if how.edit_portrait else np.asarray(portrait, np.float64)
    frame = NormalisedFace.of(pixels)
    face = frame(pixels).astype(np.float32)
    rows = np.pad(mel, ((0, content.config.window), (0, 0)), mode="edge")
    shown = assemble(branch_outputs(content, speaker, rows, face, embedding), face, how)
    return frame.pixels(before_rendering(shown, how)).astype(np.float32)


def reduced(width: int, window: int = WINDOW, axes: int = 2, dropout: float = 0.1) -> Config:
    """The same structure with layers in proportion to `width`, which is 256 in the released weights.

    Three things fit a training of minutes in place of days: less dropout, a narrower hidden layer in the transformer,
    and outputs in a unit about as large as displacements are, beside which a step of the optimiser is small.
    """
    wide, half = (2 * width, width), width // 2
    return Config(
        window=window, axes=axes, lstm=width, dropout=dropout, prior=(width, 5 * width // 8), head=wide,
        speaker=(width, half), noise=half, style_head=wide, unit=0.03,
        transformer=TransformerConfig(width // 4, hidden=2 * width, dropout=dropout), seen=round(24 * window / WINDOW),
    )  # fmt: skip
