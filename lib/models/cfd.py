"""Speech to landmark displacement by codes of content, emotion and identity (CFD, Interspeech 2023, paper 000).

paper        here        shape            meaning
F_a          audio       (B, T, 80)       AutoVC feature, one frame per 20 ms in the paper
E_content    content     (B, T, 256)      MLP_c and an LSTM over it (Eq. 1)
E_emotion    emotion     (B, T, 128)      MLP_e, frame by frame (Eq. 2)
E_identity   identity    (B, T, 128)      MLP_i, frame by frame (Eq. 3)
E_style      style       (B, T, 256)      self-attention over the two (Eq. 4)
D_content    said        (B, T, 68, 2)    displacement that the words bring about (Eq. 7)
D_style      styled      (B, T, 68, 2)    and the manner of speaking them (Eq. 8)
L_0          shape       (B, 68, 2)       landmarks of the reference picture, registered
L_p          landmarks   (B, T, 68, 2)    L_0 + D_content + D_style (Eq. 9)

No code was published. Where the paper admits several readings all can be built (specs: cfd, discrepancies C1 to C20):

- C4. Table 1 gives MLP_s 256 inputs, Eq. 8 concatenates 512: `style_input` "concat" (512, the equation), "project" (a
  linear map to 256 before it), "sum", "style" (E_style alone; the table, not the equation).
- C5. "Three-layer MLP" against three sizes in Table 1: `content_hidden` (256,) is the table, (256, 256) the text.
- C6. Self-attention without tokens, heads or positions: `attention` "tokens" (two tokens per frame, which meet each
  other only) or "time" (the joined codes of all frames meet, with positions). `token_types` marks which token is which.
- C20. Identity is called nearly irrelevant and feeds the style: `identity` False takes it out in training and after;
  `CFD.speak` takes whatever code it is given, so a trained one can be zeroed or exchanged.
- `shape_seen` joins L_0 to the input of MLP_t; as printed the content path cannot know whose face it moves.
- `second_branch` "content" is the control for capacity: the style branch gets the content code where E_style was.

Elsewhere: C1 and C2 the features (lib.models.autovc), C3 the frame rate and C18 the registration (experiments.tracks),
C7, C8 and the pooling of codes the losses (lib.landmark_losses), steps 1 to 3 the experiment, Eq. 11 lib.models.
translation. Batch norm comes after the linear map and before the LeakyReLU, over all frames of a batch; slope 0.2 and
the head count are not stated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lib.errors import InputError
from lib.models import parts

if TYPE_CHECKING:
    from jaxtyping import Float

POINTS = 68
STYLE_INPUTS = ("concat", "project", "sum", "style")
SLOPE = 0.2                          # MakeItTalk's, whose content branch this is


@dataclass(frozen=True)
class Config:
    """Sizes of Table 1 and readings of what it leaves open."""

    audio_width: int = 80            # D, never stated; forced by Table 1
    content_hidden: tuple[int, ...] = (256,)
    content_width: int = 161         # a spectrogram size left over in MakeItTalk
    lstm_width: int = 256            # E_content
    lstm_layers: int = 3
    dropout: float = 0.2             # between layers of the LSTM
    code_hidden: tuple[int, ...] = (256, 128)
    code_width: int = 128            # E_emotion and E_identity
    out_hidden: tuple[int, ...] = (512, 256)
    heads: int = 4
    attention_inner: int = 256       # feed-forward width of the self-attention encoder
    attention_layers: int = 1
    style: bool = True               # False: "Ours (w/o D_style)" of Table 2
    style_input: str = "concat"
    attention: str = "tokens"
    token_types: bool = True
    identity: bool = True
    shape_seen: bool = False
    second_branch: str = "style"

    def __post_init__(self) -> None:
        known = {"style_input": STYLE_INPUTS, "attention": ("tokens", "time"), "second_branch": ("style", "content")}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise InputError(f"CFD: {name}={getattr(self, name)!r} is unknown; choose one of {', '.join(values)}")
        if self.style_input == "sum" and self.style_width != self.lstm_width:
            raise InputError(f"CFD: codes of {self.lstm_width} and {self.style_width} columns cannot be summed")

    @property
    def style_width(self) -> int:
        """Columns of E_style."""
        return 2 * self.code_width

    @property
    def style_decoder_inputs(self) -> int:
        """Columns that MLP_s takes: 512 by Eq. 8, 256 by Table 1."""
        return self.lstm_width + self.style_width if self.style_input == "concat" else self.style_width


PAPER = Config()


@dataclass(frozen=True)
class Prediction:
    """Codes and displacements of a batch; those of the style branch are None where there is none."""

    content: Tensor
    said: Tensor
    emotion: Tensor | None = None
    identity: Tensor | None = None
    style: Tensor | None = None
    styled: Tensor | None = None

    @property
    def displacement(self) -> Tensor:
        """D_content + D_style (B, T, 68, 2)."""
        return self.said if self.styled is None else self.said + self.styled

    def landmarks(self, shape: Float[Tensor, "b 68 2"]) -> Float[Tensor, "b t 68 2"]:
        """L_p of Eq. 9."""
        return shape[:, None] + self.displacement


class FrameNorm(nn.BatchNorm1d):
    """Batch norm of (B, T, C) over all frames of all clips."""

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def mlp(*sizes: int) -> nn.Sequential:
    """Linear maps between the sizes of a row of Table 1; batch norm and LeakyReLU after all but the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1], strict=True):
        layers += [nn.Linear(inputs, outputs), FrameNorm(outputs), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


class ContentEncoder(nn.Module):
    """MLP_c and the LSTM, causal over the whole clip (Eq. 1)."""

    def __init__(self, c: Config):
        super().__init__()
        self.mlp = mlp(c.audio_width, *c.content_hidden, c.content_width)
        dropout = c.dropout if c.lstm_layers > 1 else 0.0
        self.lstm = nn.LSTM(c.content_width, c.lstm_width, c.lstm_layers, batch_first=True, dropout=dropout)

    def forward(self, audio: Float[Tensor, "b t f"]) -> Float[Tensor, "b t d"]:
        return self.lstm(self.mlp(audio))[0]


class StyleEncoder(nn.Module):
    """MLP_e, MLP_i and the self-attention over their codes (Eq. 2 to 4)."""

    def __init__(self, c: Config):
        super().__init__()
        self.config = c
        self.emotion = mlp(c.audio_width, *c.code_hidden, c.code_width)
        self.identity = mlp(c.audio_width, *c.code_hidden, c.code_width)
        width = c.code_width if c.attention == "tokens" else c.style_width
        layer = nn.TransformerEncoderLayer(width, c.heads, c.attention_inner, dropout=0.0, batch_first=True)
        self.attention = nn.TransformerEncoder(layer, c.attention_layers, enable_nested_tensor=False)
        marked = c.attention == "tokens" and c.token_types
        self.types = nn.Parameter(0.02 * torch.randn(2, width)) if marked else None

    def codes(self, audio: Float[Tensor, "b t f"]) -> tuple[Float[Tensor, "b t c"], Float[Tensor, "b t c"]]:
        """E_emotion and E_identity; the latter zeros where the configuration has none."""
        emotion, identity = self.emotion(audio), self.identity(audio)
        return emotion, identity if self.config.identity else torch.zeros_like(identity)

    def join(self, emotion: Float[Tensor, "b t c"], identity: Float[Tensor, "b t c"]) -> Float[Tensor, "b t s"]:
        """E_style."""
        if self.config.attention == "time":
            x = torch.cat([emotion, identity], -1)
            return self.attention(x + parts.sinusoids(x.shape[1], x.shape[2]).to(x))
        tokens = torch.stack([emotion, identity], 2)                                     # (B, T, 2, C)
        tokens = tokens if self.types is None else tokens + self.types
        with sdpa_kernel(SDPBackend.MATH):            # the fused kernel takes far longer for two tokens
            return self.attention(tokens.flatten(0, 1)).flatten(1).unflatten(0, emotion.shape[:2])


class StyleDecoder(nn.Module):
    """MLP_s on the content code and E_style (Eq. 8), in the readings of C4."""

    def __init__(self, c: Config):
        super().__init__()
        self.reading = c.style_input
        self.project = nn.Linear(c.lstm_width + c.style_width, c.style_width) if c.style_input == "project" else None
        self.mlp = mlp(c.style_decoder_inputs, *c.out_hidden, 2 * POINTS)

    def forward(self, content: Float[Tensor, "b t d"], style: Float[Tensor, "b t s"]) -> Float[Tensor, "b t 68 2"]:
        if self.reading in ("concat", "project"):
            x = torch.cat([content, style], -1)
            x = x if self.project is None else self.project(x)
        else:
            x = content + style if self.reading == "sum" else style
        return self.mlp(x).unflatten(-1, (POINTS, 2))


class CFD(nn.Module):
    """Both branches. `content_only` runs step 1 of the training, `freeze_content` begins step 2 (Sec. 4.2)."""

    def __init__(self, c: Config = PAPER):
        super().__init__()
        self.config, self.frozen = c, False
        self.content = ContentEncoder(c)
        self.decode_content = mlp(c.lstm_width + (2 * POINTS if c.shape_seen else 0), *c.out_hidden, 2 * POINTS)
        self.style = StyleEncoder(c) if c.style and c.second_branch == "style" else None
        self.widen = nn.Linear(c.lstm_width, c.style_width) if c.style and c.second_branch == "content" else None
        self.decode_style = StyleDecoder(c) if c.style else None

    def freeze_content(self) -> None:
        """Train the style branch alone from here on: content weights, batch statistics and dropout stand still.

        The paper does not say what becomes of the content branch in step 2; a list of what is trained leaves it out.
        """
        self.frozen = True
        for module in (self.content, self.decode_content):
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> CFD:
        """As always, but a frozen content branch stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.content.eval(), self.decode_content.eval()
        return self

    def content_only(
        self, audio: Float[Tensor, "b t f"], shape: Float[Tensor, "b 68 2"] | None = None
    ) -> Prediction:
        """E_content and D_content (Eq. 1, 7). Raises InputError for other widths or where L_0 is needed but missing."""
        parts.check_sequence(audio, self.config.audio_width, "speech features")
        content = self.content(audio)
        x = torch.cat([content, self._shape_rows(audio, shape)], -1) if self.config.shape_seen else content
        return Prediction(content, self.decode_content(x).unflatten(-1, (POINTS, 2)))

    def forward(
        self, audio: Float[Tensor, "b t f"], shape: Float[Tensor, "b 68 2"] | None = None
    ) -> Prediction:
        """Codes and displacements; `shape` is needed only where the configuration sees it."""
        said = self.content_only(audio, shape)
        if self.style is None:
            return self._plain(said)
        return self.speak(said, *self.style.codes(audio))

    def speak(
        self, said: Prediction, emotion: Float[Tensor, "b t c"], identity: Float[Tensor, "b t c"]
    ) -> Prediction:
        """The words of one prediction in the manner of given codes: what swapping, shifting and zeroing a code is."""
        style = self.style.join(emotion, identity)
        return replace(said, emotion=emotion, identity=identity, style=style,
                       styled=self.decode_style(said.content, style))

    def _plain(self, said: Prediction) -> Prediction:
        if self.decode_style is None:
            return said
        return replace(said, styled=self.decode_style(said.content, self.widen(said.content)))

    def _shape_rows(self, audio: Tensor, shape: Tensor | None) -> Tensor:
        if shape is None or shape.shape != (len(audio), POINTS, 2):
            found = None if shape is None else tuple(shape.shape)
            raise InputError(f"CFD that sees the face shape needs L_0 of ({len(audio)}, {POINTS}, 2), got {found}")
        return shape.flatten(1)[:, None].expand(-1, audio.shape[1], -1)


# Sizes ----------------------------------------------------------------------------------------------------------------


def weights(module: nn.Module) -> int:
    """Weights and biases of a part, batch norm left out: what the rows of Table 1 fix."""
    norms = {id(p) for m in module.modules() if isinstance(m, nn.BatchNorm1d) for p in m.parameters()}
    return sum(p.numel() for p in module.parameters() if id(p) not in norms)


def table_weights(model: CFD) -> dict[str, int]:
    """Weights of every row of Table 1, and of the content branch as a whole."""
    rows = {"mlp_c": model.content.mlp, "lstm": model.content.lstm, "mlp_t": model.decode_content}
    if model.style is not None:
        rows |= {"mlp_e": model.style.emotion, "mlp_i": model.style.identity}
    if model.decode_style is not None:
        rows["mlp_s"] = model.decode_style
    counted = {name: weights(part) for name, part in rows.items()}
    return counted | {"content_branch": sum(counted[name] for name in ("mlp_c", "lstm", "mlp_t"))}


def direct(c: Config) -> Config:
    """One encoder from the same features to the same landmarks, without codes, of nearest size (claim cfd-15).

    The content branch with a wider LSTM; "directly modelling the relationship" (Sec. 1) names no network.
    """
    wanted, plain = weights(CFD(replace(c, style=True))), replace(c, style=False)
    widths = range(c.lstm_width, 4 * c.lstm_width)
    return min((replace(plain, lstm_width=w) for w in widths), key=lambda d: abs(_size(d) - wanted))


def _size(c: Config) -> int:
    """Weights of a network without style branch, by its formula: building hundreds to find one would take minutes."""
    sizes = (c.audio_width, *c.content_hidden, c.content_width)
    last = (c.lstm_width + (2 * POINTS if c.shape_seen else 0), *c.out_hidden, 2 * POINTS)
    maps = sum((a + 1) * b for row in (sizes, last) for a, b in zip(row[:-1], row[1:], strict=True))
    inputs = (c.content_width, *[c.lstm_width] * (c.lstm_layers - 1))
    return maps + sum(4 * c.lstm_width * (i + c.lstm_width + 2) for i in inputs)
