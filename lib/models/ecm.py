"""Speech to FLAME parameters with an emotion one can steer (ECM, ICMEW 2023, paper 001).

paper   here       shape          meaning
x_t     features   (B, T, F)      audio around frame t, 30 fps
w_t     local      (B, T, d)      content vector of a frame (Eq. 1)
psi     style      (B, S)         speaking style of the clip (Eq. 1); one vector, although the paper writes psi_t
F       neutral    (B, T, P)      Audio2FLAME: 50 expression and 6 pose parameters, jaw pitch at 53 (Eq. 1)
g_a     prior      (B, T, E)      emotion prior heard in the speech by the bi-LSTM
g_u     command    (B, T, E)      emotion the user asks for
g       prior      (B, T, E)      what the augment net is given (`control`)
A       augment    (B, T, P)      added to F (Eq. 3)

Paper and released program disagree (specs/discrepancies.md); each reading is a field of `Config`, `CODE` and `PAPER`
are the two sets. Attribute names are the key names of the released checkpoints, which load (`parts.load_official`).

- E3. The paper prints a 64-d style and a 256-wide input of Audio2FLAME, but no width of w_t: PAPER takes 192, the only
  width that agrees with both. `replace(CODE, style_width=128)` is the other way to 256.
- E4. The paper's middle convolution has kernel 1 and stride 3, which would lose frames: both profiles use 3 and 1.
- Without `masked` the style, the backward LSTM and its ramp see the padding: the output of a clip then depends on the
  longest clip of its batch, as in the released program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import parts

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

EMOTIONS = ("NEU", "HAP", "SAD", "SUR", "FEA", "DIS", "ANG")        # order of the released priors (AffectNet-7)
JAW_PITCH = 53
SAMPLE_RATE = 16000
Range = tuple[float | tuple[float, ...], float | tuple[float, ...]]  # lowest and highest, common or one per channel


@dataclass(frozen=True)
class Config:
    """Sizes and readings; the defaults are the released program, variant tf_emo_4 (profile CODE)."""

    params: int = 56                  # 50 expression, 3 global rotation, 3 jaw
    emotions: int = 7
    audio_width: int = 1536           # features of one frame: 3 vectors of 512
    neighbours: tuple[int, int] = (0, 0)  # frames before and after whose features are stacked on those of a frame
    window: tuple[int, int] = (1, 0)  # frames of audio before and after the frame itself that the features see (E6)
    fps: float = 30.0
    audio_hidden: int = 256
    width: int = 128                  # d, of w_t
    style_width: int = 64
    style_blocks: int = 4
    heads: int = 1
    max_distance: int = 16            # frames; relative positions are clipped there
    style_token: str = "first"        # "first": prepended frozen random token; "last": the last frame (E5)
    norm: str = "pre"                 # "pre"; "post": add, then normalise (E5)
    conv_width: int = 128
    groups: int = 8                   # of the middle convolution; the paper names none
    lstm_width: int = 128             # per direction
    recurrent: str = "lstm"           # "gru": the variant Sec. 3.1 tried
    embedding_width: int = 128
    prior_range: Range = (-2.0, 2.0)  # of the predictor; the paper: extremes of the training logits (E9)
    params_range: Range = (-1.0, 1.0)  # extremes of the training parameters; (-1, 1) leaves the output as it is
    masked: bool = False              # True: a clip is processed as if it were alone in its batch
    style: bool = True                # False: the ablation of Table 2
    residual: bool = True             # False: the augment net replaces its input (claim ecm-11)
    dropout: float = 0.15
    formula: str = "first-commit"     # of `control`; the state of the program closest to publication
    extractor: Mapping[str, Any] | None = field(default=None, hash=False)  # Wav2Vec2Config; None: features from a cache


CODE = Config(extractor={})
PAPER = Config(
    audio_width=2048, neighbours=(1, 1), window=(1, 1), width=192, style_token="last", norm="post", groups=1,
    masked=True, formula="paper", extractor={},
)  # fmt: skip


@dataclass(frozen=True)
class Speech:
    """What the audio alone says: `neutral` (B, T, P) before scaling, `heard` (B, T, E), `style` (B, S).

    `valid` (B, T) marks the frames of each clip, `seen` those the network may look at (None: all, padding too).
    """

    neutral: Tensor
    heard: Tensor
    style: Tensor | None
    valid: Tensor
    seen: Tensor | None


@dataclass(frozen=True)
class Prediction:
    """Parameters (B, T, P) in data units, augmented and neutral; priors (B, T, E) heard and used; style (B, S)."""

    params: Tensor
    neutral: Tensor
    heard: Tensor
    prior: Tensor | None
    style: Tensor | None


# Parts ----------------------------------------------------------------------------------------------------------------


class LocalLayer(nn.Module):
    """Features of a frame, its neighbours stacked, to w_t: linear, ReLU, layer norm, linear."""

    def __init__(self, c: Config):
        super().__init__()
        self.neighbours, self.dropout = c.neighbours, c.dropout
        self.den1 = nn.Linear(c.audio_width * (1 + sum(c.neighbours)), c.audio_hidden)
        self.norm = nn.LayerNorm(c.audio_hidden)
        self.den2 = nn.Linear(c.audio_hidden, c.width)

    def forward(self, features: Float[Tensor, "b t f"]) -> Float[Tensor, "b t d"]:
        stacked = stack_neighbours(features, *self.neighbours)
        return self.den2(self.norm(F.relu(F.dropout(self.den1(stacked), self.dropout, self.training))))


class UnbiasedNorm(nn.Module):
    """a (x - mean) / (std + 1e-6) + b with the n - 1 standard deviation, as in the released blocks."""

    def __init__(self, width: int):
        super().__init__()
        self.a_2, self.b_2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.a_2 * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6) + self.b_2


class DistanceTable(nn.Module):
    """One vector for every clipped distance, (2 R + 1, head width)."""

    def __init__(self, reach: int, width: int):
        super().__init__()
        self.embeddings_table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * reach + 1, width)))


class RelativeAttention(nn.Module):
    """Self-attention with learned relative positions in keys and values (Shaw et al. 2018).

        e_ij = q_i . (k_j + r^K_ij) / sqrt(d_h),   z_i = sum_j softmax(e)_ij (v_j + r^V_ij),   r clipped at +-R
    """

    def __init__(self, c: Config):
        super().__init__()
        self.heads, self.reach = c.heads, c.max_distance
        self.fc_q, self.fc_k, self.fc_v, self.fc_o = (nn.Linear(c.width, c.width) for _ in range(4))
        self.relative_position_k = DistanceTable(c.max_distance, c.width // c.heads)
        self.relative_position_v = DistanceTable(c.max_distance, c.width // c.heads)

    def forward(self, x: Float[Tensor, "b t d"], valid: Bool[Tensor, "b t"] | None) -> Float[Tensor, "b t d"]:
        q, k, v = (fc(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for fc in (self.fc_q, self.fc_k, self.fc_v))
        place = torch.arange(x.shape[1], device=x.device)
        bucket = (place - place[:, None]).clamp(-self.reach, self.reach) + self.reach              # (T, T)
        bucket = bucket.expand(*q.shape[:2], -1, -1)                                               # (B, H, T, T)
        positional = (q @ self.relative_position_k.embeddings_table.T).gather(-1, bucket)
        scores = (q @ k.mT + positional) * q.shape[-1] ** -0.5
        if valid is not None:
            scores = scores.masked_fill(~valid[:, None, None], float("-inf"))
        weights = scores.softmax(-1)
        per_bucket = weights.new_zeros(*weights.shape[:3], 2 * self.reach + 1).scatter_add(-1, bucket, weights)
        mixed = weights @ v + per_bucket @ self.relative_position_v.embeddings_table
        return self.fc_o(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.w_2(F.gelu(self.w_1(x), approximate="tanh"))


class Sublayer(nn.Module):
    """Residual connection with the norm before ("pre") or after ("post") the sum."""

    def __init__(self, c: Config):
        super().__init__()
        self.norm, self.before, self.dropout = UnbiasedNorm(c.width), c.norm == "pre", c.dropout

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        inner = F.dropout(sublayer(self.norm(x) if self.before else x), self.dropout, self.training)
        return x + inner if self.before else self.norm(x + inner)


class StyleBlock(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.attention, self.feed_forward = RelativeAttention(c), FeedForward(c.width)
        self.input_sublayer, self.output_sublayer = Sublayer(c), Sublayer(c)
        self.dropout = c.dropout

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        x = self.input_sublayer(x, lambda y: self.attention(y, valid))
        return F.dropout(self.output_sublayer(x, self.feed_forward), self.dropout, self.training)


class StyleEncoder(nn.Module):
    """S: four transformer blocks over the clip, one of their outputs projected to the style (Sec. 7.3)."""

    def __init__(self, c: Config):
        super().__init__()
        self.mask_ebd = None
        if c.style_token == "first":
            token = nn.init.xavier_uniform_(torch.empty(1, 1, c.width))
            self.mask_ebd = nn.Parameter(token, requires_grad=False)          # random and never trained, as released
        self.blocks = nn.ModuleList(StyleBlock(c) for _ in range(c.style_blocks))
        self.den = nn.Linear(c.width, c.style_width)

    def forward(
        self, local: Float[Tensor, "b t d"], valid: Bool[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b s"]:
        """Style of every clip; frames that are not `valid` are not looked at."""
        x = local
        if self.mask_ebd is not None:
            x = torch.cat([self.mask_ebd.expand(len(x), -1, -1), x], dim=1)
            valid = None if valid is None else F.pad(valid, (1, 0), value=True)
        for block in self.blocks:
            x = block(x, valid)
        if self.mask_ebd is not None:
            return self.den(x[:, 0])
        last = torch.full((len(x),), x.shape[1] - 1) if valid is None else valid.sum(1) - 1
        return self.den(x[torch.arange(len(x)), last])


def convolutions(width: int, c: Config) -> nn.Sequential:
    """Three convolutions in time, kernels 1, 3 and 1, ReLU between (Sec. 7.3)."""
    return nn.Sequential(
        nn.Conv1d(width, c.conv_width, 1), nn.ReLU(),
        nn.Conv1d(c.conv_width, c.conv_width, 3, padding=1, groups=c.groups), nn.ReLU(),
        nn.Conv1d(c.conv_width, c.params, 1),
    )  # fmt: skip


class FrameNetwork(nn.Module):
    """Audio2FLAME, or with a leading layer norm the augment net: (B, T, in) to (B, T, P)."""

    def __init__(self, width: int, c: Config, *, normalised: bool):
        super().__init__()
        self.norm = nn.LayerNorm(width) if normalised else None
        self.convs = convolutions(width, c)

    def forward(self, x: Tensor, valid: Bool[Tensor, "b t"] | None = None) -> Tensor:
        x = (x if self.norm is None else self.norm(x)).mT
        first = F.relu(self.convs[0](x))
        if valid is not None:
            first = first * valid[:, None]          # zeros beyond the end, as where the clip is alone
        return self.convs[2:](first).mT


class _Recurrence(torch.autograd.Function):
    """Both directions of a projected LSTM in one loop; see `ProjectedLSTM`. First derivatives only."""

    @staticmethod
    def forward(ctx, entering: Tensor, recurrent: Tensor, project: Tensor) -> Tensor:
        """entering (T, 2, B, 4H), recurrent (2, P, 4H), project (2, H, P) -> (T, 2, B, P)."""
        frames, _, clips, gates = entering.shape
        hidden = gates // 4
        out = entering.new_empty(frames, 2, clips, project.shape[2])
        opened, cells = torch.empty_like(entering), entering.new_empty(frames, 2, clips, hidden)
        state, cell = torch.zeros_like(out[0]), torch.zeros_like(cells[0])
        for t in range(frames):
            now = torch.baddbmm(entering[t], state, recurrent, out=opened[t])
            now[..., : 2 * hidden].sigmoid_()
            now[..., 2 * hidden : 3 * hidden].tanh_()
            now[..., 3 * hidden :].sigmoid_()
            admit, keep, value, show = now.split(hidden, dim=-1)
            cell = torch.addcmul(keep * cell, admit, value, out=cells[t])
            state = torch.bmm(show * cell.tanh(), project, out=out[t])
        ctx.save_for_backward(opened, cells, out, recurrent, project)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        opened, cells, out, recurrent, project = ctx.saved_tensors
        admit, keep, value, show = opened.chunk(4, dim=-1)
        bent = cells.tanh()
        before = torch.cat([torch.zeros_like(cells[:1]), cells[:-1]])
        # what one unit of the cell's, or of the shown cell's, gradient adds to the gates: of all frames at once
        to_gates = torch.stack([value * admit * (1 - admit), before * keep * (1 - keep), admit * (1 - value**2)], 3)
        to_show, to_cell = bent * show * (1 - show), show * (1 - bent**2)
        entering = torch.empty_like(opened).unflatten(-1, (4, -1))
        total, back, forth = torch.empty_like(grad), recurrent.mT, project.mT
        state, cell = torch.zeros_like(grad[0]), torch.zeros_like(cells[0])
        for t in range(len(grad) - 1, -1, -1):
            shown = torch.add(grad[t], state, out=total[t]) @ forth
            cell = torch.addcmul(cell, shown, to_cell[t])
            torch.mul(to_gates[t], cell[:, :, None], out=entering[t, :, :, :3])
            torch.mul(shown, to_show[t], out=entering[t, :, :, 3])
            state = entering[t].flatten(2) @ back
            cell = cell * keep[t]
        entering = entering.flatten(3)
        return entering, _summed(out[:-1], entering[1:]), _summed(show * bent, total)


def _summed(left: Tensor, right: Tensor) -> Tensor:
    """(T, 2, B, L) and (T, 2, B, R) -> (2, L, R), summed over frames and clips."""
    a, b = (x.transpose(0, 1).flatten(1, 2) for x in (left, right))
    return a.mT @ b


class ProjectedLSTM(nn.LSTM):
    """torch's bidirectional LSTM of one layer with projection: its weights, names and values, in half the time.

    torch has no fused kernel for the projection; it walks through both directions one after the other, gate by gate.
    Here they walk together. Packed sequences are left to torch; a second derivative is an error.
    """

    def __init__(self, inputs: int, hidden: int, projected: int):
        super().__init__(inputs, hidden, batch_first=True, bidirectional=True, proj_size=projected)

    def forward(self, x, hx=None):
        """(B, T, in) -> (B, T, 2 P); of a packed sequence, or from a state `hx`, what torch gives. The state: None."""
        if hx is not None or not isinstance(x, Tensor) or x.ndim != 3:
            return super().forward(x, hx)
        ways = [[getattr(self, f"{name}_l0{way}") for way in ("", "_reverse")]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")]
        weights, recurrent, bias, other, project = (torch.stack(pair) for pair in ways)
        both = torch.stack([x.transpose(0, 1), x.transpose(0, 1).flip(0)])                  # (2, T, B, in)
        entering = torch.baddbmm((bias + other)[:, None], both.flatten(1, 2), weights.mT)
        entering = entering.unflatten(1, both.shape[1:3]).transpose(0, 1).contiguous()
        out = _Recurrence.apply(entering, recurrent.mT.contiguous(), project.mT.contiguous())
        return torch.cat([out[:, 0], out[:, 1].flip(0)], dim=-1).transpose(0, 1), None


class Predictor(nn.Module):
    """Emotion prior from speech: a bi-LSTM whose directions are mixed by a linear ramp, scaled to `prior_range`."""

    def __init__(self, c: Config):
        super().__init__()
        kinds = {"lstm": lambda: ProjectedLSTM(c.width, c.lstm_width, c.emotions),
                 "gru": lambda: nn.GRU(c.width, c.lstm_width, batch_first=True, bidirectional=True)}
        self.lstm = kinds[c.recurrent]()
        # torch projects inside an LSTM only; the GRU is projected after it
        project = nn.ModuleList(nn.Linear(c.lstm_width, c.emotions, bias=False) for _ in range(2))
        self.project = project if c.recurrent == "gru" else None
        self.dropout = c.dropout
        register_range(self, c.prior_range, c.emotions, "prior_range")

    def forward(
        self, local: Float[Tensor, "b t d"], lengths: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b t e"]:
        """Prior of every frame; with `lengths` each clip is read, and its ramp drawn, to its own end."""
        x, frames = F.dropout(local, self.dropout, self.training), local.shape[1]
        if lengths is None or bool((lengths == frames).all()):                  # nothing to pack, which is slow
            y, ends = self.lstm(x)[0], torch.full((len(x), 1, 1), frames, device=x.device)
        else:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            y, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=frames)
            ends = lengths[:, None, None]
        forward, backward = y.chunk(2, dim=-1)
        if self.project is not None:
            forward, backward = self.project[0](forward), self.project[1](backward)
        ramp = torch.arange(frames, device=x.device)[:, None] / (ends - 1).clamp(min=1)           # 0 to 1, (B, T, 1)
        return rescale(ramp * forward + (1 - ramp) * backward, self.low, self.high)


class EmotionEmbedding(nn.Module):
    """Prior times a learned matrix: (B, T, E) to (B, T, 128) (Sec. 3.2)."""

    def __init__(self, c: Config):
        super().__init__()
        matrix = torch.empty(1, c.emotions, c.embedding_width)
        self.style_embedding, self.dropout = nn.Parameter(nn.init.xavier_normal_(matrix)), c.dropout

    def forward(self, prior: Tensor) -> Tensor:
        return F.dropout(prior, self.dropout, self.training) @ self.style_embedding[0]


# The network ----------------------------------------------------------------------------------------------------------


class ECM(nn.Module):
    """Audio2FLAME with the emotion control module; `forward` for training, `predict` for use."""

    def __init__(self, config: Config | None = None):
        super().__init__()
        c = self.config = config or Config()
        check_choices(c)
        self.fea_extractor = None if c.extractor is None else feature_extractor(c.extractor)
        self.wav_layer = LocalLayer(c)
        self.pred_layer = Predictor(c)
        self.style_layer = StyleEncoder(c) if c.style else None
        self.param_predictor = FrameNetwork(c.width + c.style_width * c.style, c, normalised=False)
        self.param_fixer = FrameNetwork(c.params + c.embedding_width, c, normalised=True)
        self.emo_ebd_layer = EmotionEmbedding(c)
        register_range(self, c.params_range, c.params, "params_range")

    @torch.no_grad()
    def audio_features(self, audio: Float[Tensor, "b n"], frames: int | None = None) -> Float[Tensor, "b t f"]:
        """Features (B, T, F) of 16 kHz audio, not normalised; T as asked for or as many whole frames as there are.

        Every frame is seen through a window of its own, so nothing outside it counts. The released program rounds the
        frame to 533 samples: it is 10 samples per second early. Raises InputError without extractor or without audio.
        """
        if self.fea_extractor is None:
            raise InputError("this ECM has no feature extractor (config.extractor is None); pass cached features")
        if audio.ndim != 2 or not torch.isfinite(audio).all():
            raise InputError(f"audio has shape {tuple(audio.shape)}; expected finite (clips, samples) at 16 kHz")
        windows = frame_windows(audio, self.config, frames)                                        # (B, T, n)
        vectors = self.fea_extractor(windows.flatten(0, 1)).mT                                     # (B T, k, 512)
        return vectors.flatten(1).unflatten(0, windows.shape[:2])

    def listen(self, features: Float[Tensor, "b t f"], lengths: Int[Tensor, " b"] | None = None) -> Speech:
        """Neutral face, emotion and style of the speech; `lengths` in frames, None: all clips are of full length.

        Unless the configuration is `masked` the padding is processed like speech. The predictor sends no gradient into
        the audio layer. Raises InputError that names features or lengths that do not fit.
        """
        c = self.config
        parts.check_sequence(features, c.audio_width, "features")
        lengths = check_lengths(lengths, features)
        valid = within(lengths, features.shape[1])
        seen, ends = (valid, lengths) if c.masked else (None, None)
        local = self.wav_layer(features if seen is None else features * seen[..., None])
        style = None if self.style_layer is None else self.style_layer(local, seen)
        heard = self.pred_layer(local.detach(), ends) * valid[..., None]
        return Speech(self.speak(local, style, seen), heard, style, valid, seen)

    def forward(
        self, features: Float[Tensor, "b t f"], prior: Float[Tensor, "b t e"] | None = None, *,
        lengths: Int[Tensor, " b"] | None = None, use: Bool[Tensor, " b"] | None = None,
    ) -> Prediction:
        """Parameters augmented by the given priors (training: those of the video); None leaves them neutral.

        Parameters are 0 beyond the end of a clip. Clips where `use` is false stay neutral, as VOCASET's in training.
        """
        return self.finish(self.listen(features, lengths), prior, use=use)

    def predict(
        self, features: Float[Tensor, "b t f"], command: Command | None = None, *, formula: str | None = None,
        lengths: Int[Tensor, " b"] | None = None, smooth: bool = True,
    ) -> Prediction:
        """Parameters with the emotion heard in the speech, or steered by a command through `control`.

        `formula` None takes that of the configuration. Smoothing is the released mean of three frames. With the emotion
        module off the result is `neutral`.
        """
        speech = self.listen(features, lengths)
        prior = speech.heard
        if command is not None:
            prior = control(prior, command, formula or self.config.formula, speech.seen)
        return self.finish(speech, prior, smooth=smooth)

    def finish(
        self, speech: Speech, prior: Float[Tensor, "b t e"] | None, *, use: Bool[Tensor, " b"] | None = None,
        smooth: bool = False,
    ) -> Prediction:
        """Augment, smooth and scale, in this order, with zeros beyond the end of each clip."""
        params = speech.neutral if prior is None else self.express(speech.neutral, prior, use, speech.seen)
        done = []
        for x in (params, speech.neutral):
            x = x if speech.seen is None else x * speech.seen[..., None]
            x = moving_average(x, 3) if smooth else x
            done.append(rescale(x, self.low, self.high) * speech.valid[..., None])
        return Prediction(*done, speech.heard, prior, speech.style)

    def speak(self, local: Tensor, style: Tensor | None, valid: Tensor | None = None) -> Tensor:
        """Audio2FLAME (Eq. 1): (B, T, P) before scaling."""
        if style is not None:
            local = torch.cat([local, style[:, None].expand(-1, local.shape[1], -1)], dim=-1)
        return self.param_predictor(local, valid)

    def express(self, neutral: Tensor, prior: Tensor, use: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        """Augmented parameters (Eq. 3), before scaling; clips where `use` is false are handed through."""
        parts.check_sequence(prior, self.config.emotions, "prior")
        if prior.shape[:2] != neutral.shape[:2]:
            frames, clips = (prior.shape[1], neutral.shape[1]), (len(prior), len(neutral))
            raise InputError(f"prior has {frames[0]} frames, the speech {frames[1]} (clips: {clips[0]}, {clips[1]})")
        augment = self.param_fixer(torch.cat([neutral, self.emo_ebd_layer(prior)], dim=-1), valid)
        augmented = neutral + augment if self.config.residual else augment
        return augmented if use is None else torch.where(use[:, None, None], augmented, neutral)

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        return {}


def check_choices(c: Config) -> None:
    """Raise InputError for a reading that does not exist or widths that cannot be divided."""
    choices = {"style_token": ("first", "last"), "norm": ("pre", "post"), "recurrent": ("lstm", "gru")}
    for name, known in choices.items():
        if getattr(c, name) not in known:
            raise InputError(f"{name} {getattr(c, name)!r} is none of {', '.join(known)}")
    if c.width % c.heads or c.conv_width % c.groups:
        raise InputError(f"width {c.width} must divide by {c.heads} heads, conv_width {c.conv_width} by {c.groups}")


def feature_extractor(sizes: Mapping[str, Any]) -> nn.Module:
    """Untrained, frozen convolutions of wav2vec 2.0; its transformer is not part of ECM (E7)."""
    from transformers import Wav2Vec2Config
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2FeatureEncoder

    return Wav2Vec2FeatureEncoder(Wav2Vec2Config(**sizes)).requires_grad_(False)


def frame_windows(audio: Float[Tensor, "b n"], c: Config, frames: int | None = None) -> Float[Tensor, "b t n"]:
    """Audio of every frame with `window` frames before and after it, silence beyond both ends."""
    samples = round(SAMPLE_RATE / c.fps)
    frames = audio.shape[1] // samples if frames is None else frames
    if frames < 1:
        raise InputError(f"audio of {audio.shape[1]} samples holds no frame of {samples}")
    before, after = c.window
    audio = audio[:, : (frames + after) * samples]
    missing = (frames + after) * samples - audio.shape[1]
    return F.pad(audio, (before * samples, missing)).unfold(1, (before + 1 + after) * samples, samples)


def stack_neighbours(x: Float[Tensor, "b t f"], before: int, after: int) -> Float[Tensor, "b t g"]:
    """Features of frames t - before .. t + after side by side, zeros beyond both ends."""
    if not before and not after:
        return x
    return F.pad(x, (0, 0, before, after)).unfold(1, before + 1 + after, 1).mT.flatten(2)


def moving_average(x: Float[Tensor, "b t c"], frames: int) -> Float[Tensor, "b t c"]:
    """Centred mean over an odd number of frames, with zeros beyond both ends."""
    return F.avg_pool1d(x.mT, frames, stride=1, padding=frames // 2).mT


def rescale(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """[-1, 1] to [low, high]; values outside stay outside, there is no tanh."""
    return low + (x + 1) / 2 * (high - low)


def register_range(module: nn.Module, bounds: Range, channels: int, what: str) -> None:
    """Buffers `low` and `high`; belonging to the configuration, they are in no checkpoint."""
    for name, bound in zip(("low", "high"), bounds, strict=True):
        value = torch.as_tensor(bound, dtype=torch.float32)
        if value.ndim and value.shape != (channels,):
            raise InputError(f"{what} has {len(value)} numbers; expected one or {channels}")
        module.register_buffer(name, value, persistent=False)


def check_lengths(lengths: Tensor | None, features: Tensor) -> Tensor:
    """Frames of every clip on the device of the features; all of them where none are given."""
    clips, frames, _ = features.shape
    if lengths is None:
        return torch.full((clips,), frames, device=features.device)
    if tuple(lengths.shape) != (clips,) or lengths.min() < 1 or lengths.max() > frames:
        raise InputError(f"lengths {lengths.tolist()} do not fit {clips} clips of at most {frames} frames")
    return lengths.to(features.device)


def within(lengths: Int[Tensor, " b"], frames: int) -> Bool[Tensor, "b t"]:
    """True for the frames of a clip, False for its padding."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def parameter_count(model: nn.Module) -> dict[str, int]:
    """Trained scalars of every part, and their "total"; the frozen extractor and token count nothing."""
    counts = {name: sum(p.numel() for p in part.parameters() if p.requires_grad) for name, part in
              model.named_children()}
    return counts | {"total": sum(counts.values())}


# Control --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """What the user asks for, (B or 1, T or 1, E) each.

    share    which emotion: one-hot, or a mixture that sums to 1 on the way from one keyframe to the next
    amount   share times intensity; intensities lie in 0..1, the released demonstrations also use up to 4
    """

    share: Tensor
    amount: Tensor


def command(emotion: int | Tensor, intensity: float | Tensor = 1.0, *, emotions: int = 7) -> Command:
    """Command from an emotion index and an intensity, for the clip (numbers) or per frame (tensors (B, T)).

    Raises InputError for an unknown emotion, and for an intensity that is negative or not finite.
    """
    emotion, intensity = torch.as_tensor(emotion), torch.as_tensor(intensity, dtype=torch.float32)
    emotion, intensity = torch.broadcast_tensors(emotion, intensity)
    if emotion.ndim not in (0, 2):
        raise InputError(f"emotion and intensity of shape {tuple(emotion.shape)}; expected numbers or (clips, frames)")
    if emotion.min() < 0 or emotion.max() >= emotions:
        raise InputError(f"emotion {emotion.min().item()}..{emotion.max().item()} outside 0..{emotions - 1}")
    if not torch.isfinite(intensity).all() or intensity.min() < 0:
        raise InputError("intensity must be finite and not negative; 0 asks for nothing, 1 for the full emotion")
    share = F.one_hot(emotion.long(), emotions).float()
    share, intensity = (share[None, None], intensity[None, None]) if emotion.ndim == 0 else (share, intensity)
    return Command(share, share * intensity[..., None])


def keyframes(
    keys: Sequence[tuple[float, int, float]], frames: int, *, fps: float = 30.0, emotions: int = 7
) -> Command:
    """Command (1, T, E) from (time in s, emotion, intensity), linear between keyframes and constant outside them.

    All formulas of `control` are linear in a command: interpolating commands is interpolating priors. Raises InputError
    for no keyframes, or two at one time.
    """
    keys = sorted(keys)
    if not keys or any(a[0] == b[0] for a, b in zip(keys, keys[1:], strict=False)):
        raise InputError(f"{len(keys)} keyframes; expected at least one, each at a time of its own")
    time, emotion, intensity = (torch.tensor(column) for column in zip(*keys, strict=True))
    stops = command(emotion[None], intensity[None], emotions=emotions)                             # (1, K, E)
    now = torch.arange(frames) / fps
    right = torch.searchsorted(time.float(), now).clamp(1, max(len(keys) - 1, 1))
    left, right = right - 1, right.clamp(max=len(keys) - 1)
    weight = ((now - time[left]) / (time[right] - time[left]).clamp(min=1e-9)).clamp(0, 1)[:, None]
    return Command(*(x[:, left] * (1 - weight) + x[:, right] * weight for x in (stops.share, stops.amount)))


FORMULAS: Mapping[str, Callable[[Tensor, Command], Tensor]] = {
    # Sec. 3.2: g = g_u + (g_a - mean g_a)
    "paper": lambda centred, c: c.amount + centred,
    # released until 2023-07-01: all emotions lowered by the intensity i, the target raised by 4 i
    "first-commit": lambda centred, c: centred - c.amount.sum(-1, keepdim=True) + 4 * c.amount,
    # released since 2023-07-08: -1 everywhere, 4 i at the target; what the speech says is discarded, and at intensity 0
    # the target still stands out by 1
    "head": lambda centred, c: (4 * c.amount - (1 - c.share)).expand_as(centred),
}


def control(
    prior: Float[Tensor, "b t e"], command: Command, formula: str = "first-commit",
    valid: Bool[Tensor, "b t"] | None = None,
) -> Float[Tensor, "b t e"]:
    """Prior for the augment net from the one heard in the speech and a command (E22); `FORMULAS` by name.

    The mean that is taken away is that of the `valid` frames of a clip, None: of all. Raises InputError for an unknown
    formula or a command that does not fit the prior.
    """
    if formula not in FORMULAS:
        raise InputError(f"control formula {formula!r} is none of {', '.join(FORMULAS)}")
    clips, frames, emotions = prior.shape
    fits = all(have in (1, want) for have, want in zip(command.share.shape[:2], (clips, frames), strict=True))
    if not fits or command.share.shape[-1] != emotions:
        raise InputError(f"command of shape {tuple(command.share.shape)} for priors {tuple(prior.shape)}")
    counted = prior.new_ones(clips, frames, 1) if valid is None else valid[..., None]
    centred = prior - (prior * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
    return FORMULAS[formula](centred, Command(command.share.to(prior), command.amount.to(prior)))


# Learning rate --------------------------------------------------------------------------------------------------------


def learning_rate(step: int, *, warm_up: int = 200, peak: float = 1e-3, floor: float = 1e-4) -> float:
    """Rate of an optimiser step, from 0, in the released program (E23).

        step / warm_up * peak                                  while step < warm_up: the first step changes nothing
        (warm_up * peak + step * floor) / (step + warm_up)     afterwards: it falls from 9.95e-4 to 5.5e-4 at once
    """
    return step / warm_up * peak if step < warm_up else (warm_up * peak + step * floor) / (step + warm_up)


def paper_learning_rate(epoch: int) -> float:
    """1e-4 for ten epochs, then 1e-5: our reading of "decays from 1e-4 to 1e-5 for every ten epochs" (Sec. 7.3)."""
    return 1e-4 if epoch < 10 else 1e-5
