"""PC-AVS (Zhou et al., CVPR 2021): a face with the identity of one picture, the mouth of a voice, the pose of a video.

    identity picture  -> ResNeXt-50 -> 2048 numbers and a map of 512 x 7 x 7
    augmented frame   -> hourglass  -> 512 -> mouth 512 -> 500      what is said, shared with the voice
                                           -> pose  512 -> 12       head pose, nothing else fits through
    mel 80 x 20       -> ResNet-SE  -> 512 -> (same) 500
    style (identity 2048, speech 500, pose 12) modulates a StyleGAN2 generator that starts from the identity map

Layers, key names and losses are those of the released program Hangz-nju-cuhk/Talking-Face_PC-AVS (CC-BY-4.0; code
without training), taken as facts from its stored outputs. Every width is a field of `Config`; `PUBLISHED` is the
released size and `Config()` a reduced one of the same structure, whose reductions its docstring lists.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import resnet

MELS, MEL_STEPS = 80, 20            # 5 video frames, 4 steps of 10 ms each
MOUTH_GAIN = 1.2                    # on the speech code at inference, set by hand in the released program
IDENTITIES = 5830                   # speakers of VoxCeleb2 that its classifiers tell apart


@dataclass(frozen=True)
class Config:
    """Sizes. Defaults are the reduced network of this study: 48 pixels instead of 224, and fewer, narrower layers.

    Reduced against `PUBLISHED`: identity network of two stages with one block instead of 3-4-6-3, plain convolutions
    instead of 32 groups, a stem that halves once instead of twice: its map has 12 x 12 places of 4 x 4 pixels where the
    published 7 x 7 places of 32 x 32 pixels need far longer training to become a face again; hourglass of depth 2 with
    32 channels inside instead of depth 4 with 256, and a leak behind its one last channel, whose 36 pixels otherwise
    fall silent for good in the first steps; voice network of one block per stage at a quarter of the width;
    generator of 64 to 16 channels and three resolutions instead of 512 to 128 and six, without the mapping layers that
    take no part, learning `haste` times as fast.
    """

    size: int = 48
    stem: int = 16                      # channels of the first convolution of the identity network
    stem_pool: bool = False
    identity_blocks: tuple[int, ...] = (1, 1)
    identity_planes: int = 16           # of the first stage, doubled by every further one
    identity_base: int = 64             # width of a 3x3 convolution per 64 planes and group
    groups: int = 1
    identity_map: int = 64
    hourglass: int = 8                  # channels of its first convolution, four times as many inside
    hourglass_depth: int = 2
    leak: float = 0.1                   # slope of the ReLU behind its single last channel
    code: int = 128                     # of an augmented frame, of mouth and of pose
    speech: int = 64                    # the space shared by mouth and voice
    pose: int = 12
    voice_blocks: tuple[int, ...] = (1, 1, 1, 1)
    voice_filters: tuple[int, ...] = (8, 16, 32, 64)
    classes: int = IDENTITIES
    channels: tuple[int, ...] = (64, 32, 16)        # of the generator, from the start to full size
    style_layers: int = 0               # in the file, without influence
    haste: float = 8.0                  # factor on the rate at which the generator learns, see `EqualLinear`

    @property
    def identity(self) -> int:
        """Width of the identity vector."""
        return 4 * self.identity_planes * 2 ** (len(self.identity_blocks) - 1)

    @property
    def style(self) -> int:
        """Width of the style that modulates the generator."""
        return self.identity + self.speech + self.pose

    @property
    def start(self) -> int:
        """Pixels of the map the generator starts from: each further entry of `channels` doubles it."""
        return self.size // 2 ** (len(self.channels) - 1)

    @property
    def seen(self) -> int:
        """Pixels of the identity map, which must be those of the start."""
        return self.size // 2 ** (len(self.identity_blocks) + self.stem_pool)


PUBLISHED = Config(
    size=224, stem=64, stem_pool=True, identity_blocks=(3, 4, 6, 3), identity_planes=64, identity_base=4, groups=32,
    identity_map=512, hourglass=64, hourglass_depth=4, code=512, speech=500, voice_blocks=(3, 4, 6, 3),
    voice_filters=(32, 64, 128, 256), channels=(512, 512, 512, 512, 256, 128), style_layers=8, haste=1.0, leak=0.0,
)  # fmt: skip


# Identity -------------------------------------------------------------------------------------------------------------


class Bottleneck(nn.Module):
    """1x1, grouped 3x3 and 1x1 convolution and the identity (ResNeXt, Xie et al., CVPR 2017)."""

    def __init__(self, channels: int, planes: int, stride: int, groups: int, base: int):
        super().__init__()
        width, out = planes * base // 64 * groups, 4 * planes
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = _shortcut(channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        new = self.bn1(self.conv1(x)).relu()
        new = self.bn2(self.conv2(new)).relu()
        return (self.bn3(self.conv3(new)) + (x if self.downsample is None else self.downsample(x))).relu()


def _shortcut(channels: int, out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels == out:
        return None
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class ResNeXt(nn.Module):
    """Pictures (B, 3, H, W) to maps (B, identity, s, s), s = H / 32 at published size; `fc` is ImageNet's, unused."""

    def __init__(self, c: Config):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, c.stem, 7, 2, 3, bias=False), nn.BatchNorm2d(c.stem)
        channels, self.pool = c.stem, c.stem_pool
        for k, blocks in enumerate(c.identity_blocks):
            planes, stage = c.identity_planes * 2**k, []
            for i in range(blocks):
                stage.append(Bottleneck(channels, planes, 2 if k and not i else 1, c.groups, c.identity_base))
                channels = 4 * planes
            self.add_module(f"layer{k + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(channels, 1000)
        self.stages = len(c.identity_blocks)

    def forward(self, image: Tensor) -> Tensor:
        x = self.bn1(self.conv1(image)).relu()
        x = F.max_pool2d(x, 3, 2, 1) if self.pool else x
        for k in range(self.stages):
            x = self.get_submodule(f"layer{k + 1}")(x)
        return x


class IdentityEncoder(nn.Module):
    """Who: vector (B, identity) and map (B, identity_map, s, s) of pictures (B, 3, H, W) in -1..1."""

    def __init__(self, c: Config):
        super().__init__()
        self.model = ResNeXt(c)
        self.conv1x1 = nn.Conv2d(c.identity, c.identity_map, 1)
        self.fc = nn.Linear(c.identity, c.classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.model(image)
        return seen.mean((2, 3)), self.conv1x1(seen)


# Mouth and pose of a frame --------------------------------------------------------------------------------------------


class Pyramid(nn.Module):
    """Three 3x3 convolutions whose outputs are joined, half, quarter and quarter of the width (Bulat, ICCV 2017)."""

    def __init__(self, channels: int, out: int):
        super().__init__()
        widths = (channels, out // 2, out // 4)
        for k, (source, target) in enumerate(zip(widths, (out // 2, out // 4, out // 4), strict=True), 1):
            self.add_module(f"bn{k}", nn.BatchNorm2d(source))
            self.add_module(f"conv{k}", nn.Conv2d(source, target, 3, 1, 1, bias=False))
        self.downsample = None
        if channels != out:
            convolution = nn.Conv2d(channels, out, 1, bias=False)
            self.downsample = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), convolution)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(self.bn1(x).relu())
        second = self.conv2(self.bn2(first).relu())
        third = self.conv3(self.bn3(second).relu())
        return torch.cat([first, second, third], 1) + (x if self.downsample is None else self.downsample(x))


class HourGlass(nn.Module):
    """Nested halving and doubling (Newell et al., ECCV 2016) at constant width."""

    def __init__(self, depth: int, width: int):
        super().__init__()
        self.depth = depth
        for level in range(depth, 0, -1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", Pyramid(width, width))
        self.b2_plus_1 = Pyramid(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self._level(self.depth, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        part = self.get_submodule
        low = part(f"b2_{level}")(F.max_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = part(f"b3_{level}")(low)
        enlarged = F.interpolate(low, size=x.shape[2:], mode="bilinear", align_corners=False)
        return part(f"b1_{level}")(x) + enlarged


class HourGlassEncoder(nn.Module):
    """Frames (B, 3, H, H) in -1..1 to codes (B, code) through the 68 channels of a landmark detector."""

    def __init__(self, c: Config):
        super().__init__()
        w = c.hourglass
        self.conv1, self.bn1 = nn.Conv2d(3, w, 7, 2, 3), nn.BatchNorm2d(w)
        self.conv2, self.conv3, self.conv4 = Pyramid(w, 2 * w), Pyramid(2 * w, 2 * w), Pyramid(2 * w, 4 * w)
        self.m0, self.top_m_0 = HourGlass(c.hourglass_depth, 4 * w), Pyramid(4 * w, 4 * w)
        self.conv_last0, self.bn_end0 = nn.Conv2d(4 * w, 4 * w, 1), nn.BatchNorm2d(4 * w)
        self.l0, self.bn5 = nn.Conv2d(4 * w, 68, 1), nn.BatchNorm2d(68)
        self.conv6, self.leak = nn.Conv2d(68, 1, 3, 2, 1), c.leak
        self.fc = nn.Linear((c.size // 8) ** 2, c.code)

    def forward(self, frame: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv2(self.bn1(self.conv1(frame)).relu()), 2)
        x = self.top_m_0(self.m0(self.conv4(self.conv3(x))))
        x = self.l0(self.bn_end0(self.conv_last0(x)).relu())
        return self.fc(F.leaky_relu(self.conv6(self.bn5(x).relu()), self.leak).flatten(1))


def _mapper(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def _embed(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Linear(width, out))


class NonIdentityEncoder(nn.Module):
    """What an augmented frame shows beside who it is."""

    def __init__(self, c: Config):
        super().__init__()
        self.model = HourGlassEncoder(c)
        self.classifier = nn.Sequential(nn.Linear(c.code, c.code), nn.ReLU(), nn.Linear(c.code, c.classes))
        self.to_mouth, self.mouth_embed = _mapper(c.code), _embed(c.code, c.speech)
        self.mouth_fc = _embed(c.code, c.classes)
        self.to_headpose, self.headpose_embed = _mapper(c.code), _embed(c.code, c.pose)
        self.headpose_fc = _embed(c.pose, c.classes)

    def forward(self, frame: Tensor) -> Tensor:
        """Codes (B, code) of frames (B, 3, H, H)."""
        return self.model(frame)

    def mouth(self, code: Tensor) -> Tensor:
        """Mouth features (B, code) in the space of `AudioEncoder`; `mouth_embed` brings both to the style."""
        return self.to_mouth(code)

    def pose(self, code: Tensor) -> Tensor:
        """Pose code (B, pose)."""
        return self.headpose_embed(self.to_headpose(code))


# Voice ----------------------------------------------------------------------------------------------------------------


class Excitation(nn.Module):
    """Weights of the channels from their means (Hu et al., CVPR 2018), 8-fold bottleneck."""

    def __init__(self, channels: int):
        super().__init__()
        narrow = channels // 8
        self.fc = nn.Sequential(nn.Linear(channels, narrow), nn.ReLU(), nn.Linear(narrow, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[..., None, None]


class VoiceBlock(nn.Module):
    """Two convolutions, squeeze and excitation, identity; here ReLU comes before the first normalisation."""

    def __init__(self, channels: int, out: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.se, self.downsample = Excitation(out), _shortcut(channels, out, stride)

    def forward(self, x: Tensor) -> Tensor:
        new = self.se(self.bn2(self.conv2(self.bn1(self.conv1(x).relu()))))
        return (new + (x if self.downsample is None else self.downsample(x))).relu()


class VoiceNetwork(nn.Module):
    """Mel (B, 1, 80, T) to (B, code): ResNet-SE with attentive pooling over time."""

    def __init__(self, c: Config):
        super().__init__()
        first, *_ = c.voice_filters
        self.conv1, self.bn1 = nn.Conv2d(1, first, 3, 1, 1), nn.BatchNorm2d(first)
        channels = first
        for k, (blocks, out) in enumerate(zip(c.voice_blocks, c.voice_filters, strict=True)):
            strides = [2 if k else 1, *[1] * (blocks - 1)]
            stage = [VoiceBlock(channels if not i else out, out, stride) for i, stride in enumerate(strides)]
            self.add_module(f"layer{k + 1}", nn.Sequential(*stage))
            channels = out
        pooled = channels * MELS // 2 ** (len(c.voice_filters) - 1)
        self.attention = nn.Sequential(nn.Conv1d(pooled, 128, 1), nn.ReLU(), nn.BatchNorm1d(128),
                                       nn.Conv1d(128, pooled, 1), nn.Softmax(2))  # fmt: skip
        self.fc, self.stages = nn.Linear(pooled, c.code), len(c.voice_filters)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.bn1(self.conv1(mel).relu())
        for k in range(self.stages):
            x = self.get_submodule(f"layer{k + 1}")(x)
        x = x.flatten(1, 2)
        return self.fc((x * self.attention(x)).sum(2))


class AudioEncoder(nn.Module):
    """What is heard: mouth features (B, code) of mel windows (B, 1, 80, 20)."""

    def __init__(self, c: Config):
        super().__init__()
        self.model, self.fc = VoiceNetwork(c), nn.Linear(c.code, c.classes)

    def forward(self, mel: Tensor) -> Tensor:
        return self.model(mel)


# Generator (StyleGAN2, Karras et al., CVPR 2020) ----------------------------------------------------------------------

SLOPE, GAIN, SLOW = 0.2, math.sqrt(2), 0.01


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance of a normal input."""
    return F.leaky_relu(x, SLOPE) * GAIN


def _blur_kernel(gain: float) -> Tensor:
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(line, line) / line.sum() ** 2 * gain


class EqualLinear(nn.Module):
    """Linear layer with weights of unit variance, scaled when used.

    `rate` divides the stored weights and multiplies them back when used: the function is the same, Adam moves it that
    many times as fast. The mapping layers learn at a hundredth (SLOW); the generator of a reduced network, which has
    hundreds of steps instead of hundreds of thousands, at `Config.haste`.
    """

    def __init__(self, width: int, out: int, bias: float = 0.0, rate: float = 1.0, active: bool = False):
        super().__init__()
        self.rate, self.active = rate, active
        self.weight = nn.Parameter(torch.randn(out, width) / rate)
        self.bias = nn.Parameter(torch.full((out,), bias / rate))
        self.scale = rate / math.sqrt(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, self.bias * self.rate)
        return leaky(y) if self.active else y


class UnitLength(nn.Module):
    """Each row divided by its root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Blur(nn.Module):
    """Smoothing by (1, 3, 3, 1) in both directions; `up` first puts zeros between the pixels."""

    def __init__(self, pad: tuple[int, int], up: int = 1):
        super().__init__()
        self.register_buffer("kernel", _blur_kernel(4.0))
        self.pad, self.up = pad, up

    def forward(self, x: Tensor) -> Tensor:
        if self.up == 2:
            spread = x.new_zeros(*x.shape[:2], x.shape[2], 2, x.shape[3], 2)
            spread[:, :, :, 0, :, 0] = x
            x = spread.flatten(4, 5).flatten(2, 3)
        channels = x.shape[1]
        x = F.pad(x, self.pad * 2)
        return F.conv2d(x, self.kernel.expand(channels, 1, 4, 4), groups=channels)


class ModulatedConv(nn.Module):
    """Convolution whose weights a style scales per input channel, and whose outputs are brought back to unit size."""

    def __init__(self, channels: int, out: int, kernel: int, style: int, *, up: bool = False, demodulate: bool = True,
                 haste: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out, channels, kernel, kernel) / haste)
        self.modulation = EqualLinear(style, channels, bias=1.0, rate=haste)
        self.scale, self.up, self.demodulate = haste / math.sqrt(channels * kernel**2), up, demodulate
        if up:
            self.blur = Blur((1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """As one convolution of scaled inputs, not one per clip: equal and faster on a processor."""
        weight, scales = self.weight[0] * self.scale, self.modulation(style)
        x = x * scales[..., None, None]
        if self.up:
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            size = scales.square() @ weight.square().sum((2, 3)).T                       # (B, out)
            x = x * torch.rsqrt(size + 1e-8)[..., None, None]
        return x


class Noise(nn.Module):
    """Adds a picture of noise, with one learned weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Bias(nn.Module):
    """One bias per channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU."""

    def __init__(self, channels: int, out: int, style: int, haste: float, up: bool = False):
        super().__init__()
        self.conv = ModulatedConv(channels, out, 3, style, up=up, haste=haste)
        self.noise, self.activate = Noise(), Bias(out)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        return leaky(self.conv(x, style) + self.noise.weight * noise + self.activate.bias)


class ToRGB(nn.Module):
    """A picture at this resolution, added to the enlarged one of the resolution below."""

    def __init__(self, channels: int, style: int, haste: float, up: bool):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(channels, 3, 1, style, demodulate=False, haste=haste)
        if up:
            self.upsample = Blur((2, 1), up=2)

    def forward(self, x: Tensor, style: Tensor, below: Tensor | None = None) -> Tensor:
        picture = self.conv(x, style) + self.bias
        return picture if below is None else picture + self.upsample(below)


class Constant(nn.Module):
    """The learned start of StyleGAN2, unused where a map of the identity is given."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, size, size))


class Generator(nn.Module):
    """Pictures (B, 3, size, size) in -1..1 from styles (B, style) and identity maps (B, channels[0], start, start).

    The mapping network of StyleGAN2 (`style`) and its constant start (`input`) are in the released files but take no
    part: the stored outputs follow from the styles and the map as given.
    """

    def __init__(self, c: Config):
        super().__init__()
        layers = [EqualLinear(c.style, c.style, rate=SLOW, active=True) for _ in range(c.style_layers)]
        self.style = nn.Sequential(UnitLength(), *layers)
        first, *rest = c.channels
        self.input, self.conv1 = Constant(first, c.start), StyledConv(first, first, c.style, c.haste)
        self.to_rgb1 = ToRGB(first, c.style, c.haste, up=False)
        self.convs, self.to_rgbs, below = nn.ModuleList(), nn.ModuleList(), first
        for width in rest:
            self.convs.append(StyledConv(below, width, c.style, c.haste, up=True))
            self.convs.append(StyledConv(width, width, c.style, c.haste))
            self.to_rgbs.append(ToRGB(width, c.style, c.haste, up=True))
            below = width
        self.noises = nn.Module()
        for i in range(2 * len(rest) + 1):
            side = c.start * 2 ** ((i + 1) // 2)
            self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))

    def forward(self, style: Tensor, start: Tensor) -> Tensor:
        """With the stored noise, so that equal styles give equal pictures; `style` modulates without a mapping."""
        noise = list(self.noises.buffers())
        x = self.conv1(start, style, noise[0])
        picture = self.to_rgb1(x, style)
        for k, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * k](x, style, noise[2 * k + 1])
            x = self.convs[2 * k + 1](x, style, noise[2 * k + 2])
            picture = to_rgb(x, style, picture)
        return picture.tanh()

    def kernels(self) -> dict[str, Tensor]:
        """Fixed tables, which a file of weights need not hold."""
        return {key: value for key, value in self.state_dict().items() if key.endswith(".kernel")}


def load(model: nn.Module, tensors: Mapping[str, Tensor], *, source: str = "checkpoint") -> None:
    """Load released weights into an encoder or the generator, in evaluation mode; InputError where they do not fit."""
    tables = model.kernels() if isinstance(model, Generator) else {}
    resnet.load_weights(model, tables | dict(tensors), source=source)


# The whole ------------------------------------------------------------------------------------------------------------


class PCAVS(nn.Module):
    """The three encoders and the generator."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        seen, start = (config.identity_map, config.seen), (config.channels[0], config.start)
        if seen != start:
            raise InputError(f"PC-AVS: identity map (channels, pixels) {seen}, start of the generator {start}; "
                             "expected equal ones: change identity_blocks or channels")
        self.config = config
        self.identity, self.frame = IdentityEncoder(config), NonIdentityEncoder(config)
        self.audio, self.generator = AudioEncoder(config), Generator(config)

    def speech(self, mouth: Tensor) -> Tensor:
        """Speech codes (B, speech) of mouth features (B, code), whether seen or heard."""
        return self.frame.mouth_embed(mouth)

    def render(self, who: tuple[Tensor, Tensor], speech: Tensor, pose: Tensor) -> Tensor:
        """Pictures (B, 3, size, size) of `identity(...)`, speech (B, speech) and pose (B, pose) codes."""
        vector, start = who
        return self.generator(torch.cat([vector, speech, pose], 1), start)

    def at_rest(self, image: Tensor, speech: Tensor, each: int = 1) -> Tensor:
        """Pictures of the faces in `image` (B, 3, S, S) at their pose, `each` per face, saying `speech` (B each, C)."""
        return self.saying(self.looks(image), speech, each)

    def looks(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Identity vector, identity map and pose code of the faces in `image` (B, 3, S, S)."""
        return *self.identity(image), self.frame.pose(self.frame(image))

    def saying(self, looks: tuple[Tensor, Tensor, Tensor], speech: Tensor, each: int = 1) -> Tensor:
        """As `at_rest`, for callers that let the same faces say one thing after another."""
        vector, start, pose = (code.repeat_interleave(each, 0) for code in looks)
        return self.render((vector, start), speech, pose)


# Losses ---------------------------------------------------------------------------------------------------------------


def contrastive_loss(a: Tensor, b: Tensor) -> Tensor:
    """Row k of a (B, D) belongs to row k of b: softmax over inverse distances of unit vectors, no temperature.

    Two unit vectors are at most 2 apart, so the softmax stays nearly flat until pairs are very close: the loss starts
    at log B and falls slowly, which the published weight of 100 makes up for.
    """
    similarity = 1 / torch.cdist(F.normalize(a), F.normalize(b), compute_mode="donot_use_mm_for_euclid_dist")
    return F.cross_entropy(similarity, torch.arange(len(a), device=a.device))


def disentangling_loss(scores: Tensor) -> Tensor:
    """Mean squared distance of the softmax of scores (B, classes) from uniform: who it is must not be told."""
    return (scores.softmax(1) - 1 / scores.shape[1]).square().mean()


def hinge_loss(real: Tensor | None, fake: Tensor) -> Tensor:
    """Adversarial hinge: of the discriminator where `real` is given, of the generator where it is None."""
    if real is None:
        return -fake.mean()
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def matching_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean absolute difference of a discriminator's features, averaged over its layers."""
    return torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real, fake, strict=True)]).mean()


WEIGHTS = {"contrastive": 100.0, "cross_modal": 1.0, "adversarial": 1.0, "matching": 10.0, "vgg": 10.0,
           "vggface": 5.0, "identity": 1.0, "disentangling": 1e6}  # fmt: skip
