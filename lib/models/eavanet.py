"""Emotional speech to mesh vertices without autoregression (EavaNet, APSIPA 2024, paper 004).

paper     here       shape          meaning
S         audio      (B, N)         waveform, 16 kHz
A         hidden     (B, 2T, C)     wav2vec 2.0 features at about 50 Hz
V*        reference  (B, R, D)      motion of another speaker and sentence, same emotion
e         style      (B, d)         style embedding (Eq. 1, 2)
e_spk     speaker    (B, d)         F_theta of the one-hot speaker (Eq. 3)
H         aligned    (B, T, d)      features at 25 fps
X         x          (B, T, d)      e + H + e_spk (Eq. 3)
Y         y          (B, T, d)      after the gated activation units (Eq. 4)
V'        motion     (B, T, D)      offset from the subject's template (Eq. 5, 6)

No code was published, so every size the paper leaves open is a field of `Config` with its reading beside it. Where the
paper admits two readings both can be built (specs: eavanet, discrepancies V1, V2, V12):
alignment "k4s2p1" (2T to T) | "k4s2p2" (T + 1, last one dropped) | "printed" (k4 s1 p2: 2T + 1, no alignment at all);
gate "separate" (filter and gate 256 to 512 each) | "split" (one 256 to 512 convolution, halves as in WaveNet);
lstm_width per direction 256 | 128; keys "tokens" (projected tokens, GST-Tacotron) | "free" (a trained matrix K).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import parts

if TYPE_CHECKING:
    from jaxtyping import Float, Int

NEUTRAL = 0
ALIGNMENTS = {"k4s2p1": (2, 1), "k4s2p2": (2, 2), "printed": (1, 2)}  # stride, padding of the kernel-4 convolution


@dataclass(frozen=True)
class Config:
    """Sizes and readings; the defaults are the published model on BIWI."""

    motion_width: int = 70110        # 23,370 vertices x 3 (Sec. IV.A)
    audio_width: int = 768           # wav2vec 2.0 base; the variant is not stated
    width: int = 256                 # d, implied by the 256-d style embedding
    speakers: int = 5                # F1 F3 F4 F5 F7 (Sec. IV.A)
    emotions: int = 4                # neutral, happy, sad, angry (Sec. III.A)
    tokens: int = 10                 # not given; GST-Tacotron's default
    heads: int = 4                   # Sec. III.B
    alignment: str = "k4s2p1"        # V1: the printed stride 1 cannot halve the frames
    gate: str = "separate"           # V12: "channel sizes of (256, 512)"
    gate_width: int = 512
    kernels: tuple[int, ...] = (5, 3, 5)
    lstm_width: int = 256            # per direction; "channel size of 256"
    lstm_layers: int = 2
    keys: str = "tokens"
    style: bool = True               # False: the ablation without style encoder
    decoder: str = "parallel"        # "autoregressive": the twin that waits for earlier frames (claim eavanet-08)


@dataclass(frozen=True)
class Prediction:
    """Motion (B, T, D); with a reference also style (B, d), logits (B, E) and token weights (B, heads, tokens)."""

    motion: Tensor
    style: Tensor | None = None
    logits: Tensor | None = None
    token_weights: Tensor | None = None


class StyleTokens(nn.Module):
    """Multi-head attention of one query over trained tokens (Eq. 2; Wang et al. 2018).

        e = concat_h softmax(Q_h K_h^T / sqrt(d_k)) V_h
    """

    def __init__(self, c: Config):
        super().__init__()
        self.heads, size = c.heads, c.width // c.heads
        self.tokens = nn.Parameter(torch.randn(c.tokens, size) * 0.5)
        self.query = nn.Linear(c.width, c.width, bias=False)
        self.value = nn.Linear(size, c.width, bias=False)
        self.key = nn.Linear(size, c.width, bias=False) if c.keys == "tokens" else None
        self.free_key = None if c.keys == "tokens" else nn.Parameter(torch.randn(c.tokens, c.width) * size**-0.5)

    def forward(self, query: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b h n"]]:
        """Style embedding (B, d) and the weight of every token per head (B, heads, tokens), rows summing to 1."""
        tokens = torch.tanh(self.tokens)
        keys = self.key(tokens) if self.free_key is None else self.free_key                # (N, d)
        q = self.query(query).unflatten(-1, (self.heads, -1))                              # (B, h, d_k)
        k = keys.unflatten(-1, (self.heads, -1))                                           # (N, h, d_k)
        v = self.value(tokens).unflatten(-1, (self.heads, -1))
        weights = (torch.einsum("bhd,nhd->bhn", q, k) * q.shape[-1] ** -0.5).softmax(-1)
        return torch.einsum("bhn,nhd->bhd", weights, v).flatten(1), weights


class StyleEncoder(nn.Module):
    """Reference motion to style embedding: projection, three strided convolutions, GRU, style tokens (Sec. III.B)."""

    def __init__(self, c: Config):
        super().__init__()
        self.project = nn.Linear(c.motion_width, c.width)
        self.convolutions = nn.ModuleList(nn.Conv1d(c.width, c.width, 4, stride=2, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(c.width) for _ in range(3))
        self.gru = nn.GRU(c.width, c.width // 2, batch_first=True, bidirectional=True)
        self.tokens = StyleTokens(c)
        self.classify = nn.Linear(c.width, c.emotions)

    def forward(self, reference: Float[Tensor, "b r d"]) -> tuple[Tensor, Tensor, Tensor]:
        """Style (B, d), emotion logits (B, E), token weights (B, heads, tokens); needs at least 8 reference frames."""
        parts.check_sequence(reference, self.project.in_features, "reference motion")
        if reference.shape[1] < 8:
            raise InputError(f"the style reference has {reference.shape[1]} frames, three halvings need at least 8")
        x = self.project(reference)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = nn.functional.leaky_relu(norm(convolution(x.mT).mT), 0.2)                  # (B, R/2, d) each time
        _, last = self.gru(x)                                                              # (2, B, d/2)
        style, weights = self.tokens(torch.cat([last[0], last[1]], dim=-1))
        return style, self.classify(style), weights


class GatedUnit(nn.Module):
    """One gated residual block (Eq. 4): z = tanh(W_f * x) sigma(W_g * x); x_next = W_o * z + x."""

    def __init__(self, c: Config, kernel: int):
        super().__init__()
        inner = c.gate_width if c.gate == "separate" else c.gate_width // 2
        self.filter_and_gate = nn.Conv1d(c.width, 2 * inner, kernel)
        self.out = nn.Conv1d(inner, c.width, 1)
        self.kernel = kernel

    def forward(self, x: Float[Tensor, "b d t"], *, causal: bool = False) -> Float[Tensor, "b d u"]:
        """Zero-padded to the same length (paddings 2, 1, 2); `causal` without padding: kernel - 1 frames shorter."""
        reach = self.kernel - 1
        padded = x if causal else nn.functional.pad(x, (reach // 2, reach // 2))
        f, g = self.filter_and_gate(padded).chunk(2, dim=1)
        return self.out(torch.tanh(f) * torch.sigmoid(g)) + (x[..., reach:] if causal else x)


class Decoder(nn.Module):
    """All frames at once: gated units, bidirectional LSTM, projection to motion (Eq. 4, 5)."""

    def __init__(self, c: Config):
        super().__init__()
        self.units = nn.ModuleList(GatedUnit(c, kernel) for kernel in c.kernels)
        self.lstm = (
            nn.LSTM(c.width, c.lstm_width, c.lstm_layers, batch_first=True, bidirectional=True)
            if c.lstm_layers
            else None
        )
        self.project = nn.Linear(2 * c.lstm_width if c.lstm_layers else c.width, c.motion_width)

    def local(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """Y: short-term context, frame count kept (kernels 5, 3, 5 with paddings 2, 1, 2)."""
        y = x.mT
        for unit in self.units:
            y = unit(y)
        return y.mT

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t m"]:
        y = self.local(x)
        if self.lstm is not None:
            y, _ = self.lstm(y)
        return self.project(y)


class AutoregressiveDecoder(nn.Module):
    """Twin of `Decoder` that waits for its own last frame: same convolutions looking back only, one-way LSTM.

    Built to answer claim eavanet-08 (is it the parallel generation that saves the time?); not in the paper. The
    LSTM has twice the width of one direction, so that sizes are close. The last frame is fed back as the LSTM output
    that produced it, projected: the wide motion layer stays outside the loop, as in our cached FaceFormer.
    """

    def __init__(self, c: Config):
        super().__init__()
        self.units = nn.ModuleList(GatedUnit(c, kernel) for kernel in c.kernels)
        self.reach = sum(kernel - 1 for kernel in c.kernels)
        self.lstm = nn.LSTM(c.width, 2 * c.lstm_width, c.lstm_layers, batch_first=True)
        self.feedback = nn.Linear(2 * c.lstm_width, c.width)
        self.project = nn.Linear(2 * c.lstm_width, c.motion_width)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t m"]:
        window = x.new_zeros(len(x), self.reach, x.shape[-1])
        state, last, outputs = None, None, []
        for t in range(x.shape[1]):
            now = x[:, t : t + 1] if last is None else x[:, t : t + 1] + self.feedback(last)
            window = torch.cat([window, now], dim=1)
            y = window.mT
            for unit in self.units:
                y = unit(y, causal=True)                                                  # one frame is left at the end
            last, state = self.lstm(y.mT, state)
            outputs.append(last)
            window = window[:, 1:]
        return self.project(torch.cat(outputs, dim=1))


class EavaNet(nn.Module):
    """Speech, speaker and style to motion; `centroids` is the lookup table of Sec. III.B, used at inference."""

    def __init__(self, config: Config | None = None, audio_encoder: nn.Module | None = None):
        super().__init__()
        c = self.config = config or Config()
        if c.alignment not in ALIGNMENTS:
            raise InputError(f"alignment {c.alignment!r} is none of {', '.join(ALIGNMENTS)}")
        stride, padding = ALIGNMENTS[c.alignment]
        self.audio_encoder = audio_encoder
        self.align_conv = nn.Conv1d(c.audio_width, c.width, 4, stride=stride, padding=padding)
        self.speaker = nn.Linear(c.speakers, c.width)
        self.style_encoder = StyleEncoder(c) if c.style else None
        self.decoder = {"parallel": Decoder, "autoregressive": AutoregressiveDecoder}[c.decoder](c)
        self.register_buffer("centroids", torch.zeros(c.emotions, c.width))

    def align(self, hidden: Float[Tensor, "b a c"], frames: int | None = None) -> Float[Tensor, "b t d"]:
        """H (B, T, d): features brought to video rate and cut to `frames` (Eq. 3)."""
        aligned = self.align_conv(hidden.mT).mT
        if self.config.alignment == "k4s2p2":
            aligned = aligned[:, :-1]
        return aligned if frames is None else aligned[:, :frames]

    def decode(
        self, hidden: Float[Tensor, "b a c"], speaker: Float[Tensor, "b s"], style: Float[Tensor, "b d"] | None,
        frames: int | None = None,
    ) -> Float[Tensor, "b t m"]:
        """Motion (B, T, D) from features, one-hot (or mixed) speaker and style embedding (Eq. 3 to 5).

        Raises InputError naming features, speaker or style that do not fit or are not finite.
        """
        parts.check_sequence(hidden, self.config.audio_width, "features")
        parts.check_row(speaker, len(hidden), self.config.speakers, "speaker")
        if style is not None:
            parts.check_row(style, len(hidden), self.config.width, "style")
        x = self.align(hidden, frames) + self.speaker(speaker)[:, None]
        return self.decoder(x if style is None or not self.config.style else x + style[:, None])

    def forward(
        self, hidden: Float[Tensor, "b a c"], speaker: Float[Tensor, "b s"], reference: Float[Tensor, "b r m"],
        frames: int | None = None,
    ) -> Prediction:
        """Training path: the style comes from reference motion of the same emotion."""
        if self.style_encoder is None:
            return Prediction(self.decode(hidden, speaker, None, frames))
        style, logits, weights = self.style_encoder(reference)
        return Prediction(self.decode(hidden, speaker, style, frames), style, logits, weights)

    @torch.no_grad()
    def store_centroids(self, style: Float[Tensor, "n d"], emotion: Int[Tensor, " n"]) -> None:
        """Fill the lookup table with the mean style of every emotion over the training clips (Sec. III.B).

        Raises InputError naming an emotion without any clip.
        """
        for e in range(self.config.emotions):
            if not (emotion == e).any():
                raise InputError(f"no training clip of emotion {e}: its centroid cannot be computed")
            self.centroids[e] = style[emotion == e].mean(0)

    def blend(self, emotion: int, alpha: float) -> Float[Tensor, " d"]:
        """e_alpha = alpha e_emotion + (1 - alpha) e_neutral (Eq. 8); alpha above 1 extrapolates."""
        return alpha * self.centroids[emotion] + (1 - alpha) * self.centroids[NEUTRAL]


def parameter_count(model: nn.Module) -> int:
    """Number of trained scalars, the speech encoder left out."""
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("audio_encoder."))


def without_lstm(c: Config) -> Config:
    """Ablation no-blstm with the parameters given back to wider gated units (claim eavanet-18)."""
    return _matched(c, replace(c, lstm_layers=0), "gate_width")


def without_gates(c: Config) -> Config:
    """Ablation no-gau with the parameters given back to a wider LSTM (claim eavanet-18)."""
    return _matched(c, replace(c, kernels=()), "lstm_width")


def _matched(full: Config, reduced: Config, field: str) -> Config:
    """Widen `field` of the reduced network until it has as many decoder parameters as the full one (8-wide steps)."""
    target = parameter_count(Decoder(full))
    sizes = range(getattr(full, field), 40 * getattr(full, field), 8)
    return next(c for c in (replace(reduced, **{field: s}) for s in sizes) if parameter_count(Decoder(c)) >= target)
