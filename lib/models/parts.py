"""What FaceFormer and CodeTalker share: audio features per video frame, biased causal attention, cached decoding.

Sources: FaceFormer (Fan et al., CVPR 2022) and CodeTalker (Xing et al., CVPR 2023), and the behaviour of their
released programs. Shapes: B clips, T motion frames, S audio frames, d model width, k = S / T audio frames per frame.

- `periodic_encoding`, `causal_bias`, `alignment_mask`: what a frame may see, and how its age is marked.
- `encode_speech`: wav2vec 2.0 of the transformers library, its convolutional features cut or resampled to the frames.
- `SpeechDecoder`: the base class of both, with teacher-forced path and checks.
- `CachedDecoder`: the same function as `torch.nn.TransformerDecoder` under those two masks, one frame at a time.
- `load_official`: weights of a released checkpoint by their own key names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError

if TYPE_CHECKING:                       # two seconds that a process without speech encoder saves
    from transformers import Wav2Vec2Config, Wav2Vec2Model

SPEECH_RATE = 50  # frames per second of wav2vec 2.0, as the released programs round it
TABLE_FRAMES = 600  # length of the tables in the released files; here they extend as far as needed


def sinusoids(positions: int, width: int) -> Tensor:
    """Sine and cosine of every position in alternating columns, (positions, width); "Attention is all you need" 3.5."""
    position = torch.arange(positions, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-torch.log(torch.tensor(10000.0)) / width))
    table = torch.zeros(positions, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)[:, : width // 2]
    return table


def periodic_encoding(frames: int, period: int, width: int) -> Tensor:
    """Positional encoding that repeats after `period` frames, (frames, width); FaceFormer Sec. 3.2.

    The released tables end at 600 frames; a periodic table has no natural end, so any length is allowed here.
    """
    return sinusoids(period, width)[torch.arange(frames) % period]


def head_slopes(heads: int) -> list[float]:
    """Slope of the linear attention bias of each head (ALiBi, Press et al. 2022).

    A power of two gives a geometric series from 2^(-8/heads); other counts take the series of the next smaller
    power of two and fill up with every second slope of the doubled count.
    """
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8.0 * (i + 1) / power) for i in range(power)]
    return slopes if power == heads else slopes + head_slopes(2 * power)[0::2][: heads - power]


def age_bias(frames: int, period: int, heads: int) -> Tensor:
    """Attention bias by age of the key in frames, (heads, frames): -slope_h * floor(age / period)."""
    age = torch.div(torch.arange(frames), period, rounding_mode="floor").float()
    return -torch.tensor(head_slopes(heads))[:, None] * age


def causal_bias(frames: int, period: int, heads: int) -> Tensor:
    """Biased causal mask (heads, query, key): `age_bias` of the past, -inf for the future; FaceFormer Sec. 3.2."""
    age = torch.arange(frames)[:, None] - torch.arange(frames)
    return age_bias(frames, period, heads)[:, age.clamp(min=0)].masked_fill(age < 0, float("-inf"))


def alignment_mask(frames: int, audio_frames: int, per_frame: int) -> Tensor:
    """True where motion frame i may not look: all but the audio frames per_frame*i ... per_frame*(i+1)-1, (T, S).

    Raises InputError if a frame would see no audio at all (attention would return NaN).
    """
    check_audio_frames(frames, audio_frames, per_frame)
    return torch.arange(frames)[:, None] != torch.div(torch.arange(audio_frames), per_frame, rounding_mode="floor")


def check_audio_frames(frames: int, audio_frames: int, per_frame: int) -> None:
    """Raise InputError unless every motion frame has its audio frames."""
    if frames < 1:
        raise InputError(f"{frames} motion frames asked for; at least 1 is needed (is the audio shorter than a frame?)")
    if audio_frames < frames * per_frame:
        raise InputError(
            f"{frames} motion frames need {frames * per_frame} audio frames ({per_frame} each), got {audio_frames}; "
            f"ask for at most {audio_frames // per_frame} frames"
        )


def check_sequence(x: Tensor, width: int, what: str) -> None:
    """Raise InputError unless `x` is a finite batch of sequences (B, T, width) of at least one frame."""
    if x.ndim != 3 or x.shape[-1] != width or 0 in x.shape:
        raise InputError(f"{what} has shape {tuple(x.shape)}; expected (clips, frames, {width})")
    if x.is_floating_point() and not torch.isfinite(x).all():
        raise InputError(f"{what} contains NaN or infinite values; repair or drop the clip")


def check_row(x: Tensor, clips: int, width: int, what: str) -> None:
    """Raise InputError unless `x` has one finite row of `width` numbers for every clip."""
    if tuple(x.shape) != (clips, width):
        raise InputError(f"{what} has shape {tuple(x.shape)}; expected ({clips} clips, {width})")
    if not torch.isfinite(x).all():
        raise InputError(f"{what} contains NaN or infinite values")


def normalise_audio(audio: Tensor) -> Tensor:
    """Zero mean and unit variance per clip (B, N), as the wav2vec 2.0 processor does before the model sees audio."""
    return (audio - audio.mean(-1, keepdim=True)) / (audio.var(-1, correction=0, keepdim=True) + 1e-7).sqrt()


def resample_features(features: Tensor, frames: int) -> Tensor:
    """Linear interpolation in time to `frames` frames, first and last frame kept in place: (B, S, C) -> (B, T, C)."""
    return F.interpolate(features.mT, size=frames, mode="linear", align_corners=True).mT


def speech_model(sizes: Mapping[str, Any]) -> Wav2Vec2Model:
    """Untrained wav2vec 2.0; `sizes` are fields of transformers.Wav2Vec2Config, empty for the published base size.

    Its convolutional feature extractor is frozen, as in all systems here.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    model = Wav2Vec2Model(Wav2Vec2Config(**sizes))
    model.freeze_feature_encoder()
    return model


def encode_speech(model: Wav2Vec2Model, audio: Tensor, *, frames: int | None, per_frame: int, fps: float) -> Tensor:
    """wav2vec 2.0 features of normalised 16 kHz audio (B, N), `per_frame` of them for each motion frame: (B, S, C).

    The released programs change the rate between the convolutions and the transformer:
    one per frame: linear interpolation to `frames`, or to int(length / 50 * fps) where `frames` is None;
    two per frame: an odd last feature is dropped and the rest cut to 2 * frames, never stretched.
    """
    features = model.feature_extractor(check_audio(model, audio)).mT
    if per_frame == 1:
        features = resample_features(features, frames or int(features.shape[1] / SPEECH_RATE * fps))
    else:
        whole = features.shape[1] - features.shape[1] % per_frame
        features = features[:, : min(whole, frames * per_frame if frames else whole)]
    features, _ = model.feature_projection(features)
    return model.encoder(spec_augment(model, features)).last_hidden_state


def check_audio(model: Wav2Vec2Model, audio: Tensor) -> Tensor:
    """The audio, if it is a finite (B, N) batch that yields at least two features; InputError otherwise."""
    if audio.ndim != 2:
        raise InputError(f"audio has shape {tuple(audio.shape)}; expected (clips, samples) at 16 kHz")
    if not torch.isfinite(audio).all():
        raise InputError("audio contains NaN or infinite samples; repair or drop the clip")
    shortest = shortest_audio(model.config, features=2)
    if audio.shape[1] < shortest:
        raise InputError(f"audio has {audio.shape[1]} samples; at least {shortest} (at 16 kHz) are needed")
    return audio


def shortest_audio(config: Wav2Vec2Config, features: int) -> int:
    """Samples that yield the given number of convolutional features."""
    length = features
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        length = (length - 1) * stride + kernel
    return length


def spec_augment(model: Wav2Vec2Model, features: Tensor) -> Tensor:
    """Random time spans replaced by the learned mask vector in training mode (SpecAugment)."""
    config = model.config
    if not (model.training and config.apply_spec_augment and config.mask_time_prob > 0):
        return features
    span, (batch, length, _) = min(config.mask_time_length, features.shape[1]), features.shape
    spans = max(config.mask_time_min_masks, int(config.mask_time_prob * length / span + torch.rand(()).item()))
    starts = torch.randint(length - span + 1, (batch, spans, 1), device=features.device)
    frame = torch.arange(length, device=features.device)
    hidden = ((frame >= starts) & (frame < starts + span)).any(1)
    return torch.where(hidden[..., None], model.masked_spec_embed.to(features.dtype), features)


class KeyValueCache:
    """Keys and values of the frames seen so far, (B, heads, t, width) each."""

    def __init__(self, frames: int):
        self.frames, self.length = frames, 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add key and value of one frame (B, heads, 1, width); return all keys and all values."""
        if torch.is_grad_enabled():
            # autograd needs every earlier version unchanged, so nothing is written in place
            self.keys = key if self.keys is None else torch.cat([self.keys, key], 2)
            self.values = value if self.values is None else torch.cat([self.values, value], 2)
            return self.keys, self.values
        if self.keys is None:
            batch, heads, _, width = key.shape
            self.keys, self.values = (key.new_empty(batch, heads, self.frames, width) for _ in range(2))
        self.keys[:, :, self.length : self.length + 1] = key
        self.values[:, :, self.length : self.length + 1] = value
        self.length += 1
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class AlignedAttention:
    """Attention of frame i to its own k audio frames, with both outer projections folded into the audio.

    For query x, head h and audio frame m the score is (Wq x + bq)_h . (Wk m + bk)_h / sqrt(d_h) = x . U + c and the
    result sum_m w_hm Wo_h (Wv m + bv)_h = sum_m w_hm Z: U, c and Z depend on the audio alone and are computed for the
    whole clip at once, so that a step multiplies by no weight matrix.
    """

    def __init__(self, attention: nn.MultiheadAttention, memory: Tensor):
        self.attention = attention
        heads, width = attention.num_heads, attention.embed_dim
        query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
        query_bias, key_bias, value_bias = attention.in_proj_bias.chunk(3)
        keys = F.linear(memory, key_weight, key_bias).unflatten(-1, (heads, -1)) * (width // heads) ** -0.5
        values = F.linear(memory, value_weight, value_bias).unflatten(-1, (heads, -1))  # (B, T, k, H, d/H)
        out_weight = attention.out_proj.weight.view(width, heads, -1)
        folded_query = torch.einsum("btkhe,hed->bthkd", keys, query_weight.view(heads, -1, width)).flatten(2, 3)
        constant = torch.einsum("btkhe,he->bthk", keys, query_bias.view(heads, -1))
        folded_value = torch.einsum("btkhe,dhe->bthkd", values, out_weight).flatten(2, 3)
        # cut into frames once: indexing frame by frame would make autograd fill a clip of zeros for every frame
        self.frames = list(zip(folded_query.unbind(1), constant.unbind(1), folded_value.unbind(1), strict=True))

    def step(self, x: Tensor, frame: int) -> Tensor:
        """(B, d) -> (B, d)."""
        folded_query, constant, folded_value = self.frames[frame]
        weights = ((folded_query @ x[..., None]).view_as(constant) + constant).softmax(-1).flatten(1)
        weights = F.dropout(weights, self.attention.dropout, self.attention.training)
        return (weights[:, None] @ folded_value)[:, 0] + self.attention.out_proj.bias


class CachedLayer:
    """One post-norm decoder layer that sees frames one by one."""

    def __init__(self, layer: nn.TransformerDecoderLayer, memory: Tensor):
        self.layer = layer
        self.past = KeyValueCache(memory.shape[1])
        self.audio = AlignedAttention(layer.multihead_attn, memory)

    def step(self, x: Tensor, frame: int, bias: Tensor) -> Tensor:
        """(B, d) -> (B, d); `bias` (1, H, 1, t) for the frames up to this one."""
        layer = self.layer
        x = layer.norm1(x + layer.dropout1(self.attend_past(x, bias)))
        x = layer.norm2(x + layer.dropout2(self.audio.step(x, frame)))
        inner = layer.dropout(layer.activation(layer.linear1(x)))
        return layer.norm3(x + layer.dropout3(layer.linear2(inner)))

    def attend_past(self, x: Tensor, bias: Tensor) -> Tensor:
        attention = self.layer.self_attn
        projected = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        query, key, value = projected.view(len(x), 3, attention.num_heads, 1, -1).unbind(1)
        keys, values = self.past.append(key, value)
        dropout = attention.dropout if attention.training else 0.0
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias, dropout_p=dropout)
        return attention.out_proj(mixed.reshape(len(x), -1))


class CachedDecoder:
    """`decode` one frame at a time: equal numbers, work per frame independent of the weights already applied.

    Nothing earlier is recomputed because the decoder is causal; gradients flow through the cache. In training mode
    dropout is drawn once per frame, where the released programs draw it again for the whole prefix at every step.
    """

    def __init__(self, decoder: nn.TransformerDecoder, memory: Tensor, frames: int, *, period: int, per_frame: int):
        check_audio_frames(frames, memory.shape[1], per_frame)
        blocks = memory[:, : frames * per_frame].unflatten(1, (frames, per_frame))  # (B, T, k, d)
        self.layers = [CachedLayer(layer, blocks) for layer in decoder.layers]
        heads = decoder.layers[0].self_attn.num_heads
        self.bias = age_bias(frames, period, heads).flip(-1).to(memory)[None, :, None]  # oldest first
        self.frame = 0

    def step(self, token: Tensor) -> Tensor:
        """Output of the next frame: (B, d) -> (B, d)."""
        bias = self.bias[..., self.bias.shape[-1] - self.frame - 1 :]
        for layer in self.layers:
            token = layer.step(token, self.frame, bias)
        self.frame += 1
        return token


def decode(decoder: nn.TransformerDecoder, tokens: Tensor, memory: Tensor, *, period: int, per_frame: int) -> Tensor:
    """All frames at once under the causal bias and the alignment mask: tokens (B, T, d), memory (B, S, d)."""
    batch, frames, _ = tokens.shape
    heads = decoder.layers[0].self_attn.num_heads
    bias = causal_bias(frames, period, heads).to(tokens).repeat(batch, 1, 1)
    mask = alignment_mask(frames, memory.shape[1], per_frame).to(tokens.device)
    return decoder(tokens, memory, tgt_mask=bias, memory_mask=mask)


def decoder_stack(width: int, heads: int, inner: int, layers: int, dropout: float) -> nn.TransformerDecoder:
    """Post-norm ReLU decoder of both systems, under the key names of torch and of the released files."""
    layer = nn.TransformerDecoderLayer(width, heads, inner, dropout=dropout, batch_first=True)
    return nn.TransformerDecoder(layer, layers)


class SpeechDecoder(nn.Module):
    """What FaceFormer and CodeTalker have in common: speech memory, motion embedding, masked transformer decoder.

    `config` needs width, heads, ffn, layers, dropout, period, fps, subjects, motion_width, audio_width,
    audio_per_frame and wav2vec2. Subclasses give `style_of`, which turns subject weights (B, subjects) into (B, d), and
    `decode`. Attribute names are the key names of the released checkpoints.
    """

    def __init__(self, config: Any):
        super().__init__()
        self.config = config
        d = config.width
        self.audio_encoder = None if config.wav2vec2 is None else speech_model(config.wav2vec2)
        self.audio_feature_map = nn.Linear(config.audio_width, d)
        self.vertice_map = nn.Linear(config.motion_width, d)
        self.transformer_decoder = decoder_stack(d, config.heads, config.ffn or 2 * d, config.layers, config.dropout)

    def style_of(self, weights: Tensor) -> Tensor:
        """Style vector (B, d) of subject weights (B, subjects): one-hot, or a mix such as 0.3 and 0.7."""
        raise NotImplementedError

    def decode(self, hidden: Tensor, style: Tensor, frames: int) -> Tensor:
        """Motion offsets (B, T, D) from features (B, >= kT, C) and subject weights (B, subjects)."""
        raise NotImplementedError

    def encode_audio(self, audio: Tensor, frames: int | None = None) -> Tensor:
        """Speech features (B, S, C) of normalised 16 kHz audio (B, N); fewer than asked for if the audio ends early."""
        if self.audio_encoder is None:
            name = type(self).__name__
            raise InputError(f"this {name} has no speech encoder (config.wav2vec2 is None); pass cached features")
        c = self.config
        return encode_speech(self.audio_encoder, audio, frames=frames, per_frame=c.audio_per_frame, fps=c.fps)

    def predict(self, audio: Tensor, template: Tensor, style: Tensor) -> Tensor:
        """Vertices (B, T, D) for normalised 16 kHz audio (B, N), template (B, D) and style (B, subjects)."""
        hidden = self.encode_audio(audio)
        check_row(template, len(hidden), self.config.motion_width, "template")
        return template[:, None] + self.decode(hidden, style, hidden.shape[1] // self.config.audio_per_frame)

    def check(self, hidden: Tensor, style: Tensor) -> None:
        """Raise InputError that names features or style of the wrong shape, or with NaN."""
        check_sequence(hidden, self.config.audio_width, "features")
        check_row(style, len(hidden), self.config.subjects, "style")

    def cached(self, hidden: Tensor, frames: int) -> CachedDecoder:
        """The decoder, ready to be fed frame by frame."""
        c = self.config
        memory = self.audio_feature_map(hidden)
        return CachedDecoder(self.transformer_decoder, memory, frames, period=c.period, per_frame=c.audio_per_frame)

    def forced(self, hidden: Tensor, style: Tensor, motion: Tensor) -> Tensor:
        """Decoder outputs (B, T, d) where each frame is fed by the true offsets `motion` (B, T, D) before it."""
        self.check(hidden, style)
        c, frames = self.config, motion.shape[1]
        check_sequence(motion, c.motion_width, "motion")
        past = torch.cat([torch.zeros_like(motion[:, :1]), motion[:, :-1]], 1)
        tokens = self.vertice_map(past) + self.style_of(style)[:, None] + self.positions(frames, hidden)
        memory = self.audio_feature_map(hidden)
        return decode(self.transformer_decoder, self.drop(tokens), memory, period=c.period, per_frame=c.audio_per_frame)

    def positions(self, frames: int, like: Tensor) -> Tensor:
        """Periodic encodings (T, d) in the type and on the device of `like`."""
        return periodic_encoding(frames, self.config.period, self.config.width).to(like)

    def drop(self, tokens: Tensor) -> Tensor:
        """Dropout of the tokens, in training mode only."""
        return F.dropout(tokens, self.config.dropout, self.training)


def table_600(period: int, width: int) -> Tensor:
    """The periodic table as the released files store it, (1, period * (600 // period + 1), width)."""
    return periodic_encoding(period * (TABLE_FRAMES // period + 1), period, width)[None]


WEIGHT_NORM = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def load_official(model: nn.Module, state: Mapping[str, Any], *, source: str = "checkpoint") -> None:
    """Load a released checkpoint into `model`, in place and strictly.

    Accepts a plain state dict or one under "state_dict", the prefix "module.", and both spellings of weight norm.
    Fixed tables (`model.fixed_tables()`: positional encodings) are compared, not loaded. Raises InputError that lists
    missing, unexpected and mis-shaped keys, or the table that differs from the model's; the model is then unchanged.
    """
    tensors = official_tensors(state, source)
    tables = model.fixed_tables()
    found = {key: tensors.pop(key) for key in list(tensors) if key in tables}
    own = model.state_dict()
    problems = [f"missing {key}" for key in own if key not in tensors]
    problems += [f"unexpected {key}" for key in tensors if key not in own]
    problems += [
        f"{key} has shape {tuple(tensors[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    problems += [f"table {key} differs from the model's" for key in found if not same_table(found[key], tables[key]())]
    if problems:
        more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise InputError(
            f"{source}: not a checkpoint of this {type(model).__name__}: {'; '.join(problems[:8])}{more}. "
            "Choose the configuration the checkpoint was trained with"
        )
    model.load_state_dict(tensors)


def official_tensors(state: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    """Tensors of a released checkpoint under the key names used here."""
    state = state.get("state_dict", state)
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{source}: expected a state dict of tensors, or one under the key 'state_dict'")
    return {current_key(key): value for key, value in state.items()}


def current_key(key: str) -> str:
    key = key.removeprefix("module.")
    head, _, tail = key.rpartition(".")
    return f"{head}.{WEIGHT_NORM[tail]}" if tail in WEIGHT_NORM else key


def same_table(found: Tensor, expected: Tensor) -> bool:
    # float32 exponents differ by platform; two different tables differ by about 1
    return found.shape == expected.shape and bool(torch.allclose(found, expected, atol=1e-3))
