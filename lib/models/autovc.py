"""AutoVC (Qian et al., ICML 2019): voice conversion by an auto-encoder whose bottleneck lets only the content through.

CFD and MakeItTalk hear the *converted* mel spectrogram: what was said, in the voice of one fixed target speaker.

- `mel_spectrogram`, `pitch_bins`: the two front ends, at 16 kHz with a hop of 256 samples (62.5 frames per second).
- `SpeakerEncoder`: who speaks, from a mel spectrogram.
- `Generator`: in the version of the paper (batch norm, convolutions in the decoder) and in MakeItTalk's (group norm,
  the pitch of the source goes to the decoder, so that prosody survives the conversion).
- `Converter`: from a waveform to the standardised converted mel spectrogram that the landmark networks hear.

Shapes: B clips, T mel frames, M = 80 mel bands, E speaker embedding, N neck. Attribute names are the key names of the
released checkpoints. Sources: the paper, and the behaviour of auspicious3000/autovc and yzhou359/MakeItTalk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import audio
from lib.data import checkpoint
from lib.errors import AssetMissing, InputError
from lib.models.parts import check_row, check_sequence, same_table
from lib.paths import asset

SAMPLE_RATE = 16000
HOP = 256                                        # samples
RATE = SAMPLE_RATE / HOP                         # 62.5 mel frames per second
N_FFT = 1024
MELS = 80
PITCH_BINS = 257                                 # 0 stands for unvoiced
SEARCH_RANGES = {"M": (50.0, 250.0), "F": (100.0, 600.0)}    # Hz
CROP = 128                                       # mel frames of a training crop, and of one view of a speaker
CHUNK = 4096                                     # mel frames converted at a time
LOUDNESS = -20.0                                 # dBFS, of the whole clip
UNVOICED = -1e10                                 # what the released tracker writes for the logarithm of no pitch
RELEASED = {
    "paper": ("autovc_weights/autovc.ckpt", "model"),
    "makeittalk": ("makeittalk_autovc/ckpt_autovc.pth", "model"),
    "speaker": ("autovc_weights/3000000-BL.ckpt", "model_b"),
}


# Front ends -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FrontEnd:
    """What differs between the two front ends: gain before the spectrogram, and whether its values end at 0 and 1."""

    gain: float = 0.96
    clipped: bool = True


PAPER = FrontEnd()
MAKEITTALK = FrontEnd(gain=0.95, clipped=False)


def prepare(samples: np.ndarray, front_end: FrontEnd = PAPER, seed: int = 0) -> np.ndarray:
    """Waveform (N,) float64 at 16 kHz without what lies below 30 Hz, scaled, with uniform noise of 1e-6 added.

    High-pass: Butterworth of order 5, forwards and backwards. The noise is that of NumPy's old generator, so that a
    seed gives the released numbers. Raises InputError for anything but a waveform longer than half a window.
    """
    from scipy.signal import butter, filtfilt

    samples = np.asarray(samples)
    if samples.ndim != 1 or len(samples) <= N_FFT // 2 or not np.isfinite(samples).all():
        raise InputError(f"audio {samples.shape}: AutoVC needs finite mono samples, more than {N_FFT // 2} of them "
                         f"({1000 * N_FFT / 2 / SAMPLE_RATE:g} ms at 16 kHz)")
    high = filtfilt(*butter(5, 30 / (SAMPLE_RATE / 2), btype="high"), samples)
    noise = np.random.RandomState(seed).rand(len(samples)) - 0.5
    return high * front_end.gain + noise * 1e-6


def mel_spectrogram(samples: np.ndarray, front_end: FrontEnd = PAPER, seed: int = 0) -> np.ndarray:
    """Mel spectrogram (1 + N // 256, 80) float32 of a waveform (N,): decibels from -100 to 0 on a scale of 0 to 1.

    Magnitudes of a Hann window of 1024 samples, mirrored ends, 80 Slaney bands from 90 to 7600 Hz, floor 1e-5, 16 dB
    subtracted. `seed` is that of the noise in `prepare`.
    """
    import librosa

    prepared = np.pad(prepare(samples, front_end, seed), N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(prepared, N_FFT)[::HOP]
    window = np.hanning(N_FFT + 1)[:-1]
    bands = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=MELS, fmin=90, fmax=7600)
    magnitude = np.abs(np.fft.rfft(frames * window)) @ bands.T
    scaled = (20 * np.log10(np.maximum(1e-5, magnitude)) - 16 + 100) / 100
    return (np.clip(scaled, 0, 1) if front_end.clipped else scaled).astype(np.float32)


def log_pitch(samples: np.ndarray, search_range: str = "F", tracker: str = "autocorrelation") -> np.ndarray:
    """Natural logarithm of the pitch of every mel frame (1 + N // 256,), UNVOICED where there is none.

    `samples` are prepared by `prepare`. `search_range` is a switch of the released programs: their inference always
    searches as for a woman ("F"), their builder of training data always as for a man ("M"). `tracker`: our own
    ("autocorrelation"), or the released one ("rapt", Talkin 1995), which needs the optional package pysptk.
    """
    if search_range not in SEARCH_RANGES:
        raise InputError(f"search range {search_range!r} is none of {', '.join(SEARCH_RANGES)}")
    trackers = {"autocorrelation": _autocorrelation, "rapt": _rapt}
    if tracker not in trackers:
        raise InputError(f"pitch tracker {tracker!r} is none of {', '.join(trackers)}")
    return trackers[tracker](samples, *SEARCH_RANGES[search_range])


def _autocorrelation(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    pitch = audio.pitch(samples, fps=RATE, f_min=low, f_max=high, window_s=3 / low)
    # the last mel frame is centred on the end of the clip, where no whole frame of video begins
    padded = np.append(pitch, np.full(1 + len(samples) // HOP - len(pitch), np.nan))
    return np.where(np.isnan(padded), UNVOICED, np.log(np.nan_to_num(padded, nan=1.0)))


def _rapt(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    try:
        import pysptk
    except ImportError as error:
        raise AssetMissing("pysptk: not installed; the pitch tracker RAPT comes from it; `pip install pysptk`, "
                           "or take the tracker 'autocorrelation'") from error
    scaled = (samples * 32768).astype(np.float32)
    return pysptk.sptk.rapt(scaled, SAMPLE_RATE, HOP, min=low, max=high, otype=2).astype(np.float64)   # 2: logarithm


def normalised_pitch(log_f0: np.ndarray) -> np.ndarray:
    """Log pitch (T,) with the mean and spread of its voiced frames taken out, 4 spreads to each side on 0 to 1.

    Unvoiced frames keep UNVOICED. A clip without voice stays as it is.
    """
    voiced = log_f0 > UNVOICED
    if not voiced.any():
        return log_f0
    own = log_f0[voiced]
    steps = (own - own.mean()) / max(own.std(), 1e-8)
    out = log_f0.astype(np.float64).copy()
    out[voiced] = (np.clip(steps / 4, -1, 1) + 1) / 2
    return out


def pitch_bins(normalised: np.ndarray) -> np.ndarray:
    """Index (T,) of the pitch in the one-hot code of 257: 0 for unvoiced (negative), else 1 to 257 in equal steps."""
    return np.where(normalised < 0, 0, np.round(np.maximum(normalised, 0) * (PITCH_BINS - 2)) + 1).astype(np.int64)


def one_hot_pitch(bins: Tensor) -> Tensor:
    """Code (..., 257) of pitch bins (...)."""
    return F.one_hot(bins, PITCH_BINS).float()


# Who speaks -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpeakerConfig:
    """Sizes of the speaker encoder; the defaults are those of the released weights."""

    mels: int = MELS
    hidden: int = 768
    layers: int = 3
    embedding: int = 256


class SpeakerEncoder(nn.Module):
    """Mel spectrogram (B, T, M) to a speaker embedding (B, E) of length 1: last step of an LSTM, one linear layer."""

    def __init__(self, config: SpeakerConfig = SpeakerConfig()):
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(config.mels, config.hidden, config.layers, batch_first=True)
        self.embedding = nn.Linear(config.hidden, config.embedding)

    def forward(self, mel: Tensor) -> Tensor:
        check_sequence(mel, self.config.mels, "mel")
        return F.normalize(self.embedding(self.lstm(mel)[0][:, -1]), dim=-1)

    @torch.no_grad()
    def embed(self, mels: Sequence[np.ndarray], rng: np.random.Generator, views: int = 10) -> np.ndarray:
        """Embedding (E,) of a speaker: mean of those of `views` random crops of 128 frames of the clips (T, M)."""
        if not len(mels):
            raise InputError("speaker embedding: no clip of the speaker is given; expected at least one")
        crops = [crop(mels[i], rng) for i in rng.choice(len(mels), views, replace=len(mels) < views)]
        return self(torch.from_numpy(np.stack(crops))).mean(0).numpy()


def crop(mel: np.ndarray, rng: np.random.Generator, frames: int = CROP) -> np.ndarray:
    """Random stretch (frames, M) of a mel spectrogram (T, M); a shorter one is filled up with zeros at its end."""
    start = int(rng.integers(0, max(len(mel) - frames, 0) + 1))
    part = mel[start : start + frames]
    return np.pad(part, ((0, frames - len(part)), (0, 0)))


def ge2e_loss(embeddings: Tensor, scale: float = 10.0, offset: float = -5.0) -> Tensor:
    """Generalised end-to-end loss, softmax form, of embeddings (S speakers, U clips, E) of length 1 (Wan et al. 2018).

    Every clip is to be nearest to the centre of its own speaker, which is computed without it (their Eq. 8).
    """
    speakers, clips, _ = embeddings.shape
    centres = F.normalize(embeddings.mean(1), dim=-1)
    without = F.normalize((embeddings.sum(1, keepdim=True) - embeddings) / (clips - 1), dim=-1)
    similarity = torch.einsum("sue,ke->suk", embeddings, centres)
    own = torch.eye(speakers, dtype=torch.bool, device=embeddings.device)[:, None]
    similarity = torch.where(own, (embeddings * without).sum(-1, keepdim=True), similarity)
    labels = torch.arange(speakers, device=embeddings.device).repeat_interleave(clips)
    return F.cross_entropy((scale * similarity + offset).flatten(0, 1), labels)


# Generator ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """Sizes of the generator and which of its two versions it is.

    neck            N, width of the code per direction; `every`: mel frames per code ("freq" in the released program)
    width           of the convolutions and of MakeItTalk's decoder; `lstm_width`: of the second LSTM of the paper's
    version         "paper" or "makeittalk"
    """

    neck: int = 32
    every: int = 32
    embedding: int = 256
    width: int = 512
    lstm_width: int = 1024
    version: str = "paper"
    mels: int = MELS

    def __post_init__(self):
        if self.version not in ("paper", "makeittalk"):
            raise InputError(f"AutoVC version {self.version!r} is none of paper, makeittalk")


RELEASED_CONFIG = {
    "paper": Config(),
    "paper-16": Config(neck=16, every=16),             # default of the released training program
    "makeittalk": Config(neck=16, every=16, version="makeittalk"),
}


@dataclass(frozen=True)
class Converted:
    """Mel spectrogram (B, T, M) before and after the post-net, and codes (B, T / every, 2 N)."""

    before: Tensor
    after: Tensor
    codes: Tensor


class Convolution(nn.Module):
    """1-D convolution over 5 frames, Xavier weights for the non-linearity that follows."""

    def __init__(self, inputs: int, outputs: int, gain: str):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 5, padding=2)
        nn.init.xavier_uniform_(self.conv.weight, nn.init.calculate_gain(gain))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Linear(nn.Module):
    """Linear layer with Xavier weights."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear_layer = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.linear_layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_layer(x)


def normed(inputs: int, outputs: int, gain: str, version: str) -> nn.Sequential:
    """Convolution and norm: batch norm in the paper; in MakeItTalk, which trains on two clips at a time, group norm."""
    # 16 channels to a group: the released 32 groups of 512 channels and 5 of 80
    norm = nn.BatchNorm1d(outputs) if version == "paper" else nn.GroupNorm(max(outputs // 16, 1), outputs)
    return nn.Sequential(Convolution(inputs, outputs, gain), norm)


class Encoder(nn.Module):
    """Mel and speaker (B, M + E, T) to the code before its thinning, both directions: (B, T, 2 N)."""

    def __init__(self, config: Config):
        super().__init__()
        widths = [config.mels + config.embedding, *[config.width] * 3]
        self.convolutions = nn.ModuleList(
            normed(i, o, "relu", config.version) for i, o in zip(widths, widths[1:], strict=False))
        self.lstm = nn.LSTM(config.width, config.neck, 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.convolutions:
            x = F.relu(layer(x))
        return self.lstm(x.transpose(1, 2))[0]


class Decoder(nn.Module):
    """The paper's: code and target speaker (B, T, 2 N + E) to a mel spectrogram (B, T, M)."""

    def __init__(self, config: Config):
        super().__init__()
        self.lstm1 = nn.LSTM(2 * config.neck + config.embedding, config.width, 1, batch_first=True)
        self.convolutions = nn.ModuleList(
            normed(config.width, config.width, "relu", config.version) for _ in range(3))
        self.lstm2 = nn.LSTM(config.width, config.lstm_width, 2, batch_first=True)
        self.linear_projection = Linear(config.lstm_width, config.mels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lstm1(x)[0].transpose(1, 2)
        for layer in self.convolutions:
            x = F.relu(layer(x))
        return self.linear_projection(self.lstm2(x.transpose(1, 2))[0])


class PitchDecoder(nn.Module):
    """MakeItTalk's: code, target speaker and one-hot pitch (B, T, 2 N + E + 257) to a mel spectrogram (B, T, M)."""

    def __init__(self, config: Config):
        super().__init__()
        inputs = 2 * config.neck + config.embedding + PITCH_BINS
        self.lstm = nn.LSTM(inputs, config.width, 3, batch_first=True)
        self.linear_projection = Linear(config.width, config.mels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_projection(self.lstm(x)[0])


class PostNet(nn.Module):
    """Correction (B, M, T) of a mel spectrogram (B, M, T): five convolutions, tanh after the first four."""

    def __init__(self, config: Config):
        super().__init__()
        widths = [config.mels, *[config.width] * 4, config.mels]
        gains = ["tanh"] * 4 + ["linear"]
        self.convolutions = nn.ModuleList(
            normed(i, o, gain, config.version) for i, o, gain in zip(widths, widths[1:], gains, strict=False))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.convolutions[:-1]:
            x = torch.tanh(layer(x))
        return self.convolutions[-1](x)


class Generator(nn.Module):
    """Bottleneck auto-encoder; with another speaker than the source's behind the bottleneck it converts the voice."""

    def __init__(self, config: Config = RELEASED_CONFIG["paper"]):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = (Decoder if config.version == "paper" else PitchDecoder)(config)
        self.postnet = PostNet(config)

    def encode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Codes (B, T / every, 2 N) of mel spectrograms (B, T, M) and the embedding (B, E) of who speaks.

        Each joins the last forward and the first backward state of its `every` frames. Raises InputError unless T is
        a multiple of `every` (the converter pads).
        """
        c = self.config
        check_sequence(mel, c.mels, "mel")
        check_row(source, len(mel), c.embedding, "source embedding")
        if mel.shape[1] % c.every:
            raise InputError(f"mel: {mel.shape[1]} frames; AutoVC needs a multiple of {c.every}; pad with zeros")
        speaker = source[:, :, None].expand(-1, -1, mel.shape[1])
        states = self.encoder(torch.cat([mel.transpose(1, 2), speaker], 1))
        return torch.cat([states[:, c.every - 1 :: c.every, : c.neck], states[:, :: c.every, c.neck :]], -1)

    def decode(self, codes: Tensor, target: Tensor, pitch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mel spectrograms (B, T, M) before and after the post-net; `pitch` (B, T) bins, in MakeItTalk's version."""
        frames = codes.repeat_interleave(self.config.every, 1)
        check_row(target, len(codes), self.config.embedding, "target embedding")
        inputs = [frames, target[:, None].expand(-1, frames.shape[1], -1)]
        if (pitch is None) != (self.config.version == "paper"):
            raise InputError("AutoVC's decoder takes pitch bins in version 'makeittalk' and none in version 'paper'")
        if pitch is not None:
            inputs.append(one_hot_pitch(pitch))
        before = self.decoder(torch.cat(inputs, -1))
        return before, before + self.postnet(before.transpose(1, 2)).transpose(1, 2)

    def forward(self, mel: Tensor, source: Tensor, target: Tensor, pitch: Tensor | None = None) -> Converted:
        codes = self.encode(mel, source)
        return Converted(*self.decode(codes, target, pitch), codes)


def training_losses(model: Generator, mel: Tensor, speaker: Tensor, pitch: Tensor | None = None) -> dict[str, Tensor]:
    """Reconstruction before and after the post-net, and content: the paper's Eq. 6 to 8, weights 1, 1 and lambda = 1.

    mel (B, T, M), speaker (B, E), pitch (B, T) bins. The released program compares outputs of shape (B, 1, T, M) with
    targets (B, T, M): from two clips on, each is also compared with the others. Here each has its own target.
    """
    seen = model(mel, speaker, speaker, pitch)
    again = model.encode(seen.after, speaker)
    return {"before": F.mse_loss(seen.before, mel), "after": F.mse_loss(seen.after, mel),
            "content": F.l1_loss(again, seen.codes)}


# Conversion -----------------------------------------------------------------------------------------------------------


def at_loudness(samples: np.ndarray, level_dBFS: float = LOUDNESS) -> np.ndarray:
    """Samples (N,) whose root mean square lies at `level_dBFS`, cut at full scale."""
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if power < audio.SILENCE_PEAK / 100:
        raise InputError("audio is silent: its loudness cannot be set; record it louder")
    return np.clip(samples * (10 ** (level_dBFS / 20) / power), -1, 1).astype(np.float32)


def standardisation(mels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (M,) and standard deviation (M,) of every band over all frames of mel spectrograms (T, M)."""
    frames = np.concatenate(list(mels))
    return frames.mean(0), np.maximum(frames.std(0), 1e-4)


@dataclass(frozen=True, eq=False)
class Converter:
    """From a waveform to what the landmark networks hear: its mel spectrogram in the voice of one target speaker.

    target (E,); mean and std (M,) of converted spectrograms of the training clips. `search_range` and `tracker` as in
    `log_pitch`; they play no part in the paper's version.
    """

    generator: Generator
    target: np.ndarray
    mean: np.ndarray = field(default_factory=lambda: np.zeros(MELS, np.float32))
    std: np.ndarray = field(default_factory=lambda: np.ones(MELS, np.float32))
    search_range: str = "F"
    tracker: str = "autocorrelation"

    @property
    def front_end(self) -> FrontEnd:
        """The front end that belongs to the version of the generator."""
        return PAPER if self.generator.config.version == "paper" else MAKEITTALK

    def heard(self, samples: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Plain mel spectrogram (T, M) and, in MakeItTalk's version, pitch bins (T,) of a waveform (N,) at 16 kHz."""
        if self.generator.config.version == "paper":
            return mel_spectrogram(samples, PAPER, seed), None
        level = at_loudness(samples)
        pitch = log_pitch(prepare(level, MAKEITTALK, seed), self.search_range, self.tracker)
        return mel_spectrogram(level, MAKEITTALK, seed), pitch_bins(normalised_pitch(pitch))

    @torch.no_grad()
    def convert_mel(self, mel: np.ndarray, source: np.ndarray, pitch: np.ndarray | None = None) -> np.ndarray:
        """Converted mel spectrogram (T, M), not standardised; chunks of 4096 frames, padded with zeros at the end."""
        parts = []
        for start in range(0, len(mel), CHUNK):
            part = slice(start, start + CHUNK)
            rows, bins, frames = self._padded(mel[part], None if pitch is None else pitch[part])
            out = self.generator(rows, *self._speakers(source), bins).after
            parts.append(out[0, :frames].numpy())
        return np.concatenate(parts)

    def convert(self, samples: np.ndarray, source: np.ndarray, seed: int = 0) -> np.ndarray:
        """Standardised converted mel spectrogram (1 + N // 256, M) of a waveform (N,) spoken by `source` (E,)."""
        mel, pitch = self.heard(samples, seed)
        return self.standardise(self.convert_mel(mel, source, pitch))

    def standardise(self, mel: np.ndarray) -> np.ndarray:
        """Mel spectrogram (T, M) in deviations from the mean of each band."""
        return ((mel - self.mean) / self.std).astype(np.float32)

    def standardised_on(self, converted: Sequence[np.ndarray]) -> "Converter":
        """The same converter with mean and deviation of the given converted spectrograms (T, M)."""
        mean, std = standardisation(converted)
        return replace(self, mean=mean, std=std)

    @torch.no_grad()
    def content(self, samples: np.ndarray, source: np.ndarray, seed: int = 0) -> np.ndarray:
        """Content codes (T, 2 N), each repeated for its frames: the mel's bottleneck instead of the mel."""
        rows, _, frames = self._padded(self.heard(samples, seed)[0], None)
        codes = self.generator.encode(rows, self._speakers(source)[0])
        return codes[0].repeat_interleave(self.generator.config.every, 0)[:frames].numpy()

    def _speakers(self, source: np.ndarray) -> tuple[Tensor, Tensor]:
        return tuple(torch.from_numpy(np.asarray(x, np.float32))[None] for x in (source, self.target))

    def _padded(self, mel: np.ndarray, bins: np.ndarray | None) -> tuple[Tensor, Tensor | None, int]:
        """Mel (1, T', M) and bins (1, T') filled up with zeros to a multiple of 32 frames; number of true frames."""
        more = -len(mel) % max(32, self.generator.config.every)
        rows = torch.from_numpy(np.pad(mel, ((0, more), (0, 0))))[None]
        return rows, None if bins is None else torch.from_numpy(np.pad(bins, (0, more)))[None], len(mel)


# Released weights -----------------------------------------------------------------------------------------------------


def load_released(model: nn.Module, tensors: Mapping[str, Tensor], source: str = "checkpoint") -> None:
    """Load released weights by their key names, strictly, and set the model to evaluation.

    Counters of batch norms may be absent; tables that the model computes itself (`model.fixed_tables()`) are compared.
    Raises InputError that lists what is missing, surplus or of another shape; the model is then unchanged.
    """
    tables = model.fixed_tables() if hasattr(model, "fixed_tables") else {}
    wrong = [key for key, table in tables.items() if key in tensors and not same_table(tensors[key], table)]
    if wrong:
        raise InputError(f"{source}: the fixed tables {', '.join(wrong)} are not those of this {type(model).__name__}")
    found = {key: value for key, value in tensors.items() if key not in tables}
    own = model.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    checkpoint.check({k: v for k, v in found.items() if k not in counters},
                     {k: v for k, v in own.items() if k not in counters}, source)
    model.load_state_dict(own | found)
    model.eval()


def released(version: str = "makeittalk") -> Generator:
    """Generator with its released weights ("paper" or "makeittalk"); raises AssetMissing where the file is absent."""
    if version not in ("paper", "makeittalk"):
        raise InputError(f"AutoVC version {version!r} was not released; choose paper or makeittalk")
    return _from_file(Generator(RELEASED_CONFIG[version]), *RELEASED[version])


def released_speaker_encoder() -> SpeakerEncoder:
    """Speaker encoder with its released weights; raises AssetMissing where the file is absent."""
    return _from_file(SpeakerEncoder(), *RELEASED["speaker"])


def _from_file(model: nn.Module, name: str, key: str) -> nn.Module:
    path = asset(name)
    load_released(model, checkpoint.load(path, key=key), str(path))
    return model
