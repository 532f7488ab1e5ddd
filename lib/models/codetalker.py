"""CodeTalker: speech to discrete motion codes to vertices (Xing et al., CVPR 2023).

symbol  here           shape            meaning
M       motion         (B, T, D)        offsets from the template, D = 3 x vertices
Z       features       (B, T, H * C)    continuous motion features, H codes of width C for each frame
Z_q     quantised      (B, T, H * C)    each code replaced by the nearest of N codebook entries
A       hidden         (B, S, C_a)      wav2vec 2.0 features, `audio_per_frame` for each motion frame
s       style          (B, subjects)    weights of the learned subject vectors: one-hot, or a mix of two subjects

Stage 1 is `MotionVQ`, stage 2 is `CodeTalker`, which holds a frozen stage 1. Attribute names are the key names of the
released checkpoints, which therefore load (`parts.load_official`; `load_checkpoints` for the two released files).

Departures, each a value of `VQConfig.positions` (specs: discrepancy B1):
- "code": the released program indexes the positional table of stage 1 by the clip's place in the batch, hence adds the
  vector of position 0 to every frame of its batch of one. Here every clip of a batch is treated so.
- "paper": frame t gets the vector of position t.
The instance norm over time and the attention of stage 1 make its decoder non-causal: a decoded frame changes when later
codes are appended. That is the published design and is kept in both.

Speed. Each step of `decode` needs the last decoded frame alone, and only through the motion embedding. So the
3V-wide output layer and the embedding are folded into one d x d map, the last transformer layer runs for one query, the
convolution is updated for the three frames it can change, and stage 2 keeps its keys and values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import parts

NORM_EPS = 1e-5
TABLE_POSITIONS = 5000  # rows of the stage-1 tables in the released files


@dataclass(frozen=True)
class VQConfig:
    """Sizes of stage 1; the defaults are the published BIWI model."""

    motion_width: int = 70110
    width: int = 1024
    layers: int = 6
    heads: int = 8
    ffn: int = 1536
    codes_per_frame: int = 8
    code_width: int = 128
    codebook: int = 256
    slope: float = 0.2  # LeakyReLU
    affine: bool = False  # learned scale and shift after the instance norm
    code_projection: bool = True  # linear layers between width and codes; BIWI only
    output_bias: bool = False  # VOCASET has one
    dropout: float = 0.1
    positions: str = "code"  # or "paper"

    def __post_init__(self):
        if self.positions not in ("code", "paper"):
            raise InputError(f"positions is {self.positions!r}; expected 'code' (released) or 'paper' (intended)")
        if not self.code_projection and self.codes_per_frame * self.code_width != self.width:
            raise InputError("codes_per_frame * code_width must equal width where there is no code_projection")


@dataclass(frozen=True)
class Config:
    """Sizes of stage 2; the defaults are the published BIWI model. `wav2vec2` None: features come from a cache."""

    stage1: VQConfig = field(default_factory=VQConfig)
    width: int = 1024
    period: int = 25  # frames
    fps: float = 25.0
    subjects: int = 6
    audio_per_frame: int = 2  # 2: features stay at 50 Hz; 1: resampled to fps before the speech transformer
    audio_width: int = 768
    layers: int = 12
    heads: int = 4
    ffn: int | None = None  # 2 x width
    dropout: float = 0.1
    wav2vec2: Mapping[str, Any] | None = None  # fields of transformers.Wav2Vec2Config; {} is the base size

    @property
    def motion_width(self) -> int:
        """D, as stage 1 has it."""
        return self.stage1.motion_width


BIWI_VQ = VQConfig()
VOCASET_VQ = VQConfig(motion_width=15069, codes_per_frame=16, code_width=64, code_projection=False, output_bias=True)
BIWI = Config(stage1=BIWI_VQ, wav2vec2={})
VOCASET = Config(stage1=VOCASET_VQ, period=30, fps=30.0, subjects=8, audio_per_frame=1, layers=6, wav2vec2={})


@dataclass(frozen=True)
class Quantised:
    """`values` (B, T, H*C) codebook entries, `index` (B, T, H) their numbers."""

    values: Tensor
    index: Tensor

    def straight_through(self, features: Tensor) -> Tensor:
        """The quantised values with the gradient of the continuous features."""
        return features + (self.values - features).detach()


def quantiser_loss(features: Tensor, quantised: Tensor, beta: float = 0.25) -> Tensor:
    """Codebook and commitment term of VQ-VAE: ||sg[Z] - Z_q||^2 + beta ||Z - sg[Z_q]||^2, means; CodeTalker Eq. 3."""
    return F.mse_loss(quantised, features.detach()) + beta * F.mse_loss(features, quantised.detach())


def perplexity(index: Tensor, codebook: int) -> Tensor:
    """Effective number of codebook entries in use, exp of the entropy of their frequencies: 1 to `codebook`."""
    share = torch.bincount(index.flatten(), minlength=codebook).float() / index.numel()
    return torch.exp(-(share * torch.log(share + 1e-10)).sum())


class InstanceNorm(nn.Module):
    """Every clip and channel of (B, T, C) to zero mean and unit variance over time; weights only where affine."""

    def __init__(self, width: int, affine: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width)) if affine else None
        self.bias = nn.Parameter(torch.zeros(width)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        # one frame has no variance and gives zeros, which equals the released trick of doubling the first frame
        x = (x - x.mean(1, keepdim=True)) * (x.var(1, correction=0, keepdim=True) + NORM_EPS).rsqrt()
        return x if self.weight is None else x * self.weight + self.bias


class Attention(nn.Module):
    """Self-attention over time; scores are scaled by the full width, not by the width of a head, as released."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, width**-0.5
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.to_out(mixed.transpose(1, 2).flatten(2))

    def last(self, x: Tensor) -> Tensor:
        """Output of the last frame alone, (B, T, d) -> (B, d): keys and values are folded, none is computed."""
        query_weight, key_weight, value_weight = (w.unflatten(0, (self.heads, -1)) for w in self.to_qkv.weight.chunk(3))
        query = torch.einsum("hed,bd->bhe", query_weight, x[:, -1])
        weights = (torch.einsum("bhe,hed->bhd", query, key_weight) @ x.mT * self.scale).softmax(-1)  # (B, heads, T)
        return self.to_out(torch.einsum("bhd,hed->bhe", weights @ x, value_weight).flatten(1))


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.l1, self.l2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.l2(F.gelu(self.l1(x), approximate="tanh"))


class PreNorm(nn.Module):
    def __init__(self, width: int, fn: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), fn


class Residual(nn.Module):
    """x + fn(norm(x)), under the key names of the released files (fn.norm, fn.fn)."""

    def __init__(self, width: int, fn: nn.Module):
        super().__init__()
        self.fn = PreNorm(width, fn)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fn.fn(self.fn.norm(x))


class Transformer(nn.Module):
    """Pre-norm layers: attention, feed-forward, attention, ..."""

    def __init__(self, config: VQConfig):
        super().__init__()
        kinds = (lambda: Attention(config.width, config.heads), lambda: FeedForward(config.width, config.ffn))
        self.net = nn.Sequential(*(Residual(config.width, kind()) for _ in range(config.layers) for kind in kinds))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def last(self, x: Tensor) -> Tensor:
        """Output of the last frame alone, (B, T, d) -> (B, d): the last layer has one query."""
        *body, attention, feed_forward = self.net
        for layer in body:
            x = layer(x)
        return feed_forward(x[:, -1] + attention.fn.fn.last(attention.fn.norm(x)))


class LinearEmbedding(nn.Module):
    """A linear layer under the key name of the released files (net)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.net = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Convolution(nn.Sequential):
    """(B, T, d) -> (B, T, d): five frames wide, the ends repeated, then instance norm; key names as released."""

    def __init__(self, config: VQConfig):
        conv = nn.Conv1d(config.width, config.width, 5, padding=2, padding_mode="replicate")
        norm = InstanceNorm(config.width, config.affine)
        super().__init__(nn.ModuleList([conv, nn.LeakyReLU(config.slope), norm]))

    def forward(self, x: Tensor) -> Tensor:
        conv, activation, norm = self[0]
        return norm(activation(conv(x.mT).mT))


def with_positions(x: Tensor, config: VQConfig, training: bool) -> Tensor:
    """Add the positional encoding to (B, T, d): row 0 everywhere ("code") or row t ("paper"); then dropout."""
    rows = 1 if config.positions == "code" else x.shape[1]
    return F.dropout(x + parts.sinusoids(rows, config.width).to(x), config.dropout, training)


class MotionEncoder(nn.Module):
    """Motion (B, T, D) to continuous features (B, T, H*C)."""

    def __init__(self, config: VQConfig):
        super().__init__()
        self.config = config
        self.vertice_mapping = nn.Sequential(nn.Linear(config.motion_width, config.width), nn.LeakyReLU(config.slope))
        self.squasher = Convolution(config)
        self.encoder_linear_embedding = LinearEmbedding(config.width, config.width)
        self.encoder_transformer = Transformer(config)
        codes = config.codes_per_frame * config.code_width
        self.encoder_linear_embedding_post = LinearEmbedding(config.width, codes) if config.code_projection else None

    def forward(self, motion: Tensor) -> Tensor:
        x = self.encoder_linear_embedding(self.squasher(self.vertice_mapping(motion)))
        x = with_positions(x, self.config, self.training)
        x = self.encoder_transformer(x)
        return self.encoder_linear_embedding_post(x) if self.encoder_linear_embedding_post else x


class MotionDecoder(nn.Module):
    """Codes (B, T, H*C) to motion (B, T, D); every frame depends on all codes."""

    def __init__(self, config: VQConfig):
        super().__init__()
        self.config = config
        codes = config.codes_per_frame * config.code_width
        self.decoder_linear_embedding_pre = LinearEmbedding(codes, config.width) if config.code_projection else None
        self.expander = Convolution(config)
        self.decoder_linear_embedding = LinearEmbedding(config.width, config.width)
        self.decoder_transformer = Transformer(config)
        self.vertice_map_reverse = nn.Linear(config.width, config.motion_width, bias=config.output_bias)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.embed(self.expander(self.pre(codes)))
        return self.vertice_map_reverse(self.decoder_transformer(x))

    def pre(self, codes: Tensor) -> Tensor:
        return self.decoder_linear_embedding_pre(codes) if self.decoder_linear_embedding_pre else codes

    def embed(self, x: Tensor) -> Tensor:
        return with_positions(self.decoder_linear_embedding(x), self.config, self.training)


class GrowingDecoder:
    """State before the output layer of the last frame of `MotionDecoder`, for codes that arrive one by one.

    Equal to running the decoder on the whole prefix at every step and keeping its last frame.
    """

    def __init__(self, decoder: MotionDecoder):
        self.decoder = decoder
        self.conv, self.activation, self.norm = decoder.expander[0]
        self.inputs: list[Tensor] = []  # (B, d) each, before the convolution
        self.outputs: list[Tensor] = []  # (B, d) each, after the convolution, before the norm over time

    def append(self, codes: Tensor) -> Tensor:
        """Codes of one more frame (B, H*C) -> state of that frame (B, d)."""
        self.inputs.append(self.decoder.pre(codes))
        self.outputs.append(None)
        fresh = self.convolve_end()
        # the end is padded by repeating the last frame, so the two frames before it change as well
        self.outputs[-len(fresh) :] = fresh
        x = self.decoder.embed(self.norm(torch.stack(self.outputs, 1)))
        return self.decoder.decoder_transformer.last(x)

    def convolve_end(self) -> list[Tensor]:
        """Convolution outputs of the last three frames, or of all where there are fewer."""
        last = len(self.inputs) - 1
        window = torch.stack([self.inputs[min(max(i, 0), last)] for i in range(last - 4, last + 3)], 2)  # (B, d, 7)
        patches = window.unfold(2, 5, 1).transpose(1, 2).flatten(2)  # (B, 3, 5 d): as a product, far faster than conv1d
        result = self.activation(F.linear(patches, self.conv.weight.flatten(1), self.conv.bias))
        return list(result.unbind(1))[-min(3, last + 1) :]


class MotionVQ(nn.Module):
    """Stage 1: vector-quantised auto-encoder of motion offsets."""

    def __init__(self, config: VQConfig):
        super().__init__()
        self.config = config
        self.encoder = MotionEncoder(config)
        self.decoder = MotionDecoder(config)
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(config.codebook, config.code_width)})
        nn.init.uniform_(self.codebook, -1 / config.codebook, 1 / config.codebook)

    @property
    def codebook(self) -> Tensor:
        """(N, C)."""
        return self.quantize["embedding"].weight

    def encode(self, motion: Tensor) -> Tensor:
        """Offsets (B, T, D) to continuous features (B, T, H*C)."""
        parts.check_sequence(motion, self.config.motion_width, "motion")
        return self.encoder(motion)

    def quantise(self, features: Tensor) -> Quantised:
        """Nearest codebook entry (Euclidean) of every code of (B, T, H*C)."""
        codes = features.unflatten(-1, (self.config.codes_per_frame, self.config.code_width))
        # the squared norm of the feature itself is the same for every entry
        distance = self.codebook.square().sum(1) - 2 * codes @ self.codebook.T
        index = distance.argmin(-1)
        return Quantised(F.embedding(index, self.codebook).flatten(2), index)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, T, H*C) to offsets (B, T, D)."""
        parts.check_sequence(codes, self.config.codes_per_frame * self.config.code_width, "codes")
        return self.decoder(codes)

    def forward(self, motion: Tensor) -> tuple[Tensor, Tensor, Quantised]:
        """Reconstructed offsets (B, T, D), continuous features and their quantisation (for `quantiser_loss`)."""
        features = self.encode(motion)
        quantised = self.quantise(features)
        return self.decode(quantised.straight_through(features)), features, quantised

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        """Positional tables of the released files, by key; built when called."""
        keys = ("encoder.encoder_pos_embedding.pe", "decoder.decoder_pos_embedding.pe")
        return dict.fromkeys(keys, lambda: parts.sinusoids(TABLE_POSITIONS, self.config.width)[:, None])


class CodeTalker(parts.SpeechDecoder):
    """Stage 2: speech to codes, decoded by a frozen stage 1."""

    def __init__(self, config: Config):
        super().__init__(config)
        d, stage1 = config.width, config.stage1
        self.feat_map = nn.Linear(d, stage1.codes_per_frame * stage1.code_width, bias=False)
        self.learnable_style_emb = nn.Embedding(config.subjects, d)
        self.autoencoder = MotionVQ(stage1).requires_grad_(False)
        self._feedback: tuple | None = None
        nn.init.zeros_(self.feat_map.weight)

    def train(self, mode: bool = True) -> "CodeTalker":
        """Training mode for all but the frozen auto-encoder."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def decode(self, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
        """Motion offsets (B, T, D) from features (B, >= kT, C), each frame fed by the one before."""
        return self.autoencoder.decode(self.codes(hidden, style, frames))

    def codes(self, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
        """Codes (B, T, H*C) of `decode`; no code depends on a later frame, although the motion does."""
        self.check(hidden, style)
        decoder, style = self.cached(hidden, frames), self.style_of(style)
        growing, codes = GrowingDecoder(self.autoencoder.decoder), []
        weight, bias = self.feedback()
        token = style
        for position in self.positions(frames, hidden):
            features = self.feat_map(decoder.step(self.drop(token + position)))
            codes.append(self.quantise(features[:, None])[:, 0])
            if len(codes) < frames:
                token = F.linear(growing.append(codes[-1]), weight, bias) + style
        return torch.stack(codes, 1)

    def teacher_forced_features(self, hidden: Tensor, style: Tensor, motion: Tensor) -> Tensor:
        """Continuous features (B, T, H*C) where each frame is fed by the true offsets `motion` (B, T, D) before it."""
        return self.feat_map(self.forced(hidden, style, motion))

    def teacher_forced(self, hidden: Tensor, style: Tensor, motion: Tensor) -> Tensor:
        """Motion offsets (B, T, D) where each frame is fed by the true offsets `motion` (B, T, D) before it."""
        return self.motion_of(self.teacher_forced_features(hidden, style, motion))

    def motion_of(self, features: Tensor) -> Tensor:
        """Offsets (B, T, D) of continuous features (B, T, H*C): quantised (straight-through), then stage 1."""
        return self.autoencoder.decode(self.quantise(features))

    def true_features(self, motion: Tensor) -> Tensor:
        """Quantised features (B, T, H*C) of true offsets: the target of the feature loss."""
        with torch.no_grad():
            return self.autoencoder.quantise(self.autoencoder.encode(motion)).values

    def quantise(self, features: Tensor) -> Tensor:
        return self.autoencoder.quantise(features).straight_through(features)

    def style_of(self, weights: Tensor) -> Tensor:
        """Style vector (B, d) of subject weights (B, subjects): one-hot, or a mix such as 0.3 and 0.7."""
        return weights @ self.learnable_style_emb.weight

    def feedback(self) -> tuple[Tensor, Tensor]:
        """Weight (d, d) and bias (d,) of the motion embedding after the output layer of stage 1.

        At published size the product takes longer than a second, so it is kept until one of its factors changes.
        """
        encoder, decoder = self.vertice_map, self.autoencoder.decoder.vertice_map_reverse
        factors = [p for p in (encoder.weight, encoder.bias, decoder.weight, decoder.bias) if p is not None]
        state = [(p.data_ptr(), p._version) for p in factors]
        if not torch.is_grad_enabled() and self._feedback is not None and self._feedback[0] == state:
            return self._feedback[1]
        bias = encoder.bias if decoder.bias is None else encoder.weight @ decoder.bias + encoder.bias
        folded = encoder.weight @ decoder.weight, bias
        self._feedback = None if torch.is_grad_enabled() else (state, folded)
        return folded

    def fixed_tables(self) -> dict[str, Callable[[], Tensor]]:
        """Positional tables of the released files, by key; built when called."""
        stage1 = {f"autoencoder.{key}": table for key, table in self.autoencoder.fixed_tables().items()}
        return {"PPE.pe": lambda: parts.table_600(self.config.period, self.config.width), **stage1}


def load_checkpoints(model: CodeTalker, stage2: Mapping[str, Any], stage1: Mapping[str, Any]) -> None:
    """Load the two released files: the stage-2 file leaves out the auto-encoder, which the stage-1 file holds."""
    speech = parts.official_tensors(stage2, "stage-2 checkpoint")
    motion = parts.official_tensors(stage1, "stage-1 checkpoint")
    whole = speech | {f"autoencoder.{key}": value for key, value in motion.items()}
    parts.load_official(model, whole, source="stage-1 and stage-2 checkpoints")
