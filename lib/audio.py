"""Sound: the only place that opens a sound file, and the features that need no learned weights.

Everywhere else audio is mono float32 in [-1, 1] at SAMPLE_RATE. What is done to an input, and what is refused:

    several channels            averaged to one
    another rate                resampled (band-limited); below 16 kHz with a warning: the missing band stays empty
    integer samples             divided by their type's full scale
    clipped, or peak up to 1.5  kept, or scaled to peak 1, with a warning
    missing, empty, not audio, cut off, silent (peak below -60 dBFS), NaN, shorter than 0.1 s, longer than 10 min
                                InputError naming the file, the expectation and the remedy
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np

from lib.data import clip
from lib.errors import InputError, InputWarning, explain
from lib.paths import write_aside

SAMPLE_RATE = 16000
MIN_DURATION_S = 0.1            # two video frames at 25 fps; wav2vec 2.0 itself needs 25 ms
MAX_DURATION_S = 600.0          # quadratic attention over more would exhaust a laptop's memory
SILENCE_PEAK = 1e-3             # -60 dBFS
MAX_OVERSHOOT = 1.5             # lossy decoders overshoot by a few per cent; more is not audio in [-1, 1]
CLIPPED_RUN = 3                 # equal neighbouring samples at full scale that count as clipping
RATES = (4000, 384000)
FORMATS = "wav, flac, ogg or mp3"


def load(path: Path | str, *, sample_rate: int = SAMPLE_RATE, max_duration_s: float = MAX_DURATION_S) -> np.ndarray:
    """Sound file as mono float32 (N,) at `sample_rate` (Hz), checked as the module text says."""
    path = Path(path)
    if not os.path.isfile(path):                     # False, not an error, for a name no file can have
        raise InputError(f"{path}: no such sound file; expected {FORMATS}; check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); expected {FORMATS}; copy or download it again")
    return _decode(path, str(path), sample_rate, max_duration_s)


def load_bytes(data: bytes, name: str = "upload", *, sample_rate: int = SAMPLE_RATE,
               max_duration_s: float = MAX_DURATION_S) -> np.ndarray:
    """As `load`, for the content of a sound file held in memory; `name` stands in messages."""
    if len(data) == 0:
        raise InputError(f"{name}: the file is empty (0 bytes); expected {FORMATS}; choose another file")
    return _decode(io.BytesIO(data), name, sample_rate, max_duration_s)


def load_array(samples: np.ndarray, rate: float, name: str = "audio", *, sample_rate: int = SAMPLE_RATE,
               max_duration_s: float = MAX_DURATION_S) -> np.ndarray:
    """As `load`, for samples in memory: (N,), (N, channels) or (channels, N), floats in [-1, 1] or integers."""
    _check_rate(rate, name)
    samples = _mono(_as_float(samples, name), name)
    _check_duration(samples.size / rate, name, max_duration_s)
    samples = _check_level(samples, name)
    return resample(samples, rate, sample_rate, name=name)


def save(path: Path | str, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write mono samples (N,) in [-1, 1] as 16-bit wav or flac, chosen by the suffix; never leaves half a file."""
    import soundfile
    path, samples = Path(path), np.asarray(samples, np.float32)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("wav", "flac"):
        raise InputError(f"{path}: sound is written as .wav or .flac; change the suffix")
    if samples.ndim != 1 or samples.size == 0 or not np.isfinite(samples).all() or np.abs(samples).max() > 1:
        raise InputError(f"{path}: not written; expected finite mono samples (N,) in [-1, 1], got {samples.shape}")
    with write_aside(path) as aside:
        soundfile.write(aside, samples, sample_rate, format=kind.upper(), subtype="PCM_16")


def resample(samples: np.ndarray, rate_from: float, rate_to: float, *, name: str = "audio") -> np.ndarray:
    """Band-limited resampling of (N,) float32; the number of samples is N * rate_to / rate_from, rounded."""
    if rate_from == rate_to:
        return samples
    if rate_from < SAMPLE_RATE <= rate_to:
        warnings.warn(f"{name}: recorded at {rate_from:g} Hz; the band above {rate_from / 2:g} Hz stays empty",
                      InputWarning, stacklevel=3)
    import soxr
    return np.clip(soxr.resample(samples, rate_from, rate_to), -1, 1).astype(np.float32)


def normalise_peak(samples: np.ndarray, dB: float = -3.0) -> np.ndarray:
    """Samples (N,) scaled so that the largest magnitude lies `dB` decibels relative to full scale."""
    peak = float(np.abs(samples).max(initial=0))
    if peak < SILENCE_PEAK:
        raise InputError(f"audio is silent (peak {_dbfs(peak):.0f} dBFS): its level cannot be normalised")
    return (samples * (10 ** (dB / 20) / peak)).astype(np.float32)


def trim_silence(samples: np.ndarray, *, below_dB: float = 40.0, margin_s: float = 0.05,
                 sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Samples from first to last frame within `below_dB` of the loudest frame, `margin_s` kept at both ends."""
    level = loudness(samples, fps=100, sample_rate=sample_rate)
    if level.size == 0:
        return samples
    loud = np.flatnonzero(level > level.max() - below_dB)
    first, last = loud[0] / 100 - margin_s, loud[-1] / 100 + margin_s
    return samples[max(0, round(first * sample_rate)):round(last * sample_rate)]


def frame_count(samples: np.ndarray, fps: float, sample_rate: int = SAMPLE_RATE) -> int:
    """Number of frames of a clip: floor(duration * fps); frame i stands at i / fps seconds."""
    return clip.frame_count(len(samples) / sample_rate, fps)


def windows(samples: np.ndarray, fps: float, window_s: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Frames (T, W) of `window_s` seconds centred at i / fps, zeros beyond both ends."""
    width = round(window_s * sample_rate)
    padded = np.pad(np.asarray(samples, np.float32), (width // 2, width))
    starts = np.round(np.arange(frame_count(samples, fps, sample_rate)) * sample_rate / fps).astype(int)
    return np.lib.stride_tricks.sliding_window_view(padded, width)[starts]


def loudness(samples: np.ndarray, *, fps: float = 100, window_s: float = 0.025,
             sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Root mean square of each frame in dBFS, (T,), floor -100; a full-scale sine has -3.01 dB."""
    power = np.square(windows(samples, fps, window_s, sample_rate), dtype=np.float32).mean(-1)
    return (10 * np.log10(np.maximum(power, 1e-10))).astype(np.float32)


def mel(samples: np.ndarray, *, fps: float = 100, n_mels: int = 80, window_s: float = 0.025,
        f_max: float | None = None, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Natural logarithm of the mel-band power, (T, n_mels), Hann window, Slaney bands, floor log(1e-10).

    A generic front end; AutoVC's own (its filter, its scaling) belongs to that model.
    """
    frames = windows(samples, fps, window_s, sample_rate)
    n_fft = 1 << (frames.shape[1] - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1] + 1)[:-1], n_fft)) ** 2
    bands = mel_bands(n_fft, n_mels, f_max or sample_rate / 2, sample_rate)
    return np.log(np.maximum(power @ bands.T, 1e-10)).astype(np.float32)


def mel_bands(n_fft: int, n_mels: int, f_max: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Triangular bands (n_mels, n_fft // 2 + 1) of unit area on Slaney's mel scale (logarithmic above 1 kHz)."""
    top = f_max * 3 / 200 if f_max < 1000 else 15 + 27 * np.log(f_max / 1000) / np.log(6.4)
    mels = np.linspace(0, top, n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])[:, None]


def mfcc(samples: np.ndarray, *, fps: float = 100, n_mfcc: int = 13, n_mels: int = 26, window_s: float = 0.025,
         sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Mel-frequency cepstral coefficients, (T, n_mfcc): orthonormal DCT-II of the log mel bands."""
    from scipy.fft import dct
    bands = mel(samples, fps=fps, n_mels=n_mels, window_s=window_s, sample_rate=sample_rate)
    return dct(bands, type=2, norm="ortho", axis=-1)[:, :n_mfcc].astype(np.float32)


def pitch(samples: np.ndarray, *, fps: float = 100, f_min: float = 60.0, f_max: float = 600.0,
          voiced_above: float = 0.5, window_s: float = 0.05, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Fundamental frequency of each frame in Hz, (T,), NaN where unvoiced.

    Normalised autocorrelation (Boersma 1993): the autocorrelation of the windowed frame divided by that of the window;
    among its peaks the shortest lag within 0.9 of the highest wins, which avoids octave errors downwards.
    `window_s` must hold three periods of `f_min`, or the lowest pitches are missed.
    """
    frames = windows(samples, fps, window_s, sample_rate)
    voiced = frames.std(-1) > 10 ** (-35 / 20) * max(frames.std(-1).max(initial=0), SILENCE_PEAK)
    f0 = np.full(len(frames), np.nan, np.float32)
    if voiced.any():
        lags = sample_rate / f_max, sample_rate / f_min
        f0[voiced] = _first_strong_peak(_autocorrelation(frames[voiced]), *lags, voiced_above, sample_rate)
    return f0


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Autocorrelation (T, W) of each frame by lag, 1 at lag 0, corrected for the taper of the window."""
    width = frames.shape[1]
    window = np.hanning(width + 2)[1:-1]
    tapered = (frames - frames.mean(-1, keepdims=True)) * window
    spectrum = np.abs(np.fft.rfft(np.stack([*tapered, window]), 2 * width)) ** 2
    lags = np.fft.irfft(spectrum)[:, :width]
    lags = lags / np.maximum(lags[:, :1], 1e-12)
    return lags[:-1] / np.maximum(lags[-1], 1e-3)


def _first_strong_peak(correlation: np.ndarray, lag_min: float, lag_max: float, voiced_above: float,
                       sample_rate: int) -> np.ndarray:
    """Frequency (T,) of the first autocorrelation peak within 0.9 of the highest; NaN below `voiced_above`."""
    low, high = int(lag_min), min(int(np.ceil(lag_max)), correlation.shape[1] * 2 // 3)
    before, here, after = correlation[:, low - 1:high - 1], correlation[:, low:high], correlation[:, low + 1:high + 1]
    peaks = np.where((here >= before) & (here > after), here, -np.inf)
    best = peaks.max(-1, keepdims=True)
    rows, first = np.arange(len(peaks)), (peaks >= 0.9 * best).argmax(-1)
    a, b, c = before[rows, first], here[rows, first], after[rows, first]
    vertex = 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9)          # parabola through the three samples of the peak
    return np.where(best[:, 0] > voiced_above, sample_rate / (low + first + vertex), np.nan)


def _decode(source: Path | io.BytesIO, name: str, sample_rate: int, max_duration_s: float) -> np.ndarray:
    import soundfile
    try:
        with soundfile.SoundFile(source) as file:
            _check_rate(file.samplerate, name)
            _check_duration(file.frames / file.samplerate, name, max_duration_s)
            expected, rate = file.frames, file.samplerate
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError, TypeError, OverflowError, MemoryError) as error:
        raise InputError(f"{name}: cannot be read as sound; expected {FORMATS} ({explain(error)})") from error
    if len(samples) != expected or _wav_is_cut(source):
        raise InputError(f"{name}: the file is cut off ({len(samples)} samples are left); copy or download it again")
    return load_array(samples, rate, name, sample_rate=sample_rate, max_duration_s=max_duration_s)


def _wav_is_cut(source: Path | io.BytesIO) -> bool:
    """True where a RIFF header announces more bytes than the file holds (the decoder would silently stop early)."""
    if isinstance(source, Path):
        size = source.stat().st_size
        with source.open("rb") as file:
            head = file.read(12)
    else:
        size, head = source.getbuffer().nbytes, source.getvalue()[:12]
    announced = int.from_bytes(head[4:8], "little")
    is_stream = announced in (0, 0xFFFFFFFF)           # written by a program that could not seek back
    return head[:4] == b"RIFF" and head[8:] == b"WAVE" and not is_stream and announced + 8 > size + 1


def _check_rate(rate: float, name: str) -> None:
    if not np.isscalar(rate) or not np.isreal(rate) or not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{name}: sample rate {rate!r} Hz; expected {RATES[0]} to {RATES[1]} Hz")


def _check_duration(duration_s: float, name: str, longest_s: float) -> None:
    if duration_s < MIN_DURATION_S - 1e-9:
        raise InputError(f"{name}: {duration_s:.3f} s long; expected at least {MIN_DURATION_S} s of speech")
    if duration_s > longest_s:
        raise InputError(f"{name}: {duration_s / 60:.1f} min long; expected at most {longest_s / 60:g} min; "
                         "cut it into sentences first")


def _as_float(samples: np.ndarray, name: str) -> np.ndarray:
    """Floats as they are, integers divided by full scale (unsigned 8 bit is centred at 128)."""
    try:
        samples = np.asarray(samples)
    except ValueError as error:
        raise InputError(f"{name}: expected an array of samples ({explain(error)})") from error
    if samples.dtype.kind == "f":
        return samples
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind != "i":
        raise InputError(f"{name}: samples of type {samples.dtype}; expected floats in [-1, 1] or signed integers")
    return samples / np.float32(-float(np.iinfo(samples.dtype).min))


def _mono(samples: np.ndarray, name: str) -> np.ndarray:
    """(N,) from (N,), (N, channels) or (channels, N): the shorter axis holds the channels, at most 8."""
    if samples.ndim == 2 and min(samples.shape) <= 8:
        channels_first = samples.shape[0] < samples.shape[1]
        samples = samples.mean(0 if channels_first else 1)
    if samples.ndim != 1:
        raise InputError(f"{name}: shape {samples.shape}; expected (samples,) or (samples, channels), channels <= 8")
    return samples


def _check_level(samples: np.ndarray, name: str) -> np.ndarray:
    """Finite, audible float32 samples in [-1, 1]; warns where the recording is clipped or overshoots."""
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise InputError(f"{name}: {bad} of {samples.size} samples are NaN or infinite; export the sound again")
    peak = float(np.abs(samples).max())
    if peak < SILENCE_PEAK:
        raise InputError(f"{name}: silent (peak {_dbfs(peak):.0f} dBFS, expected above -60); record it louder")
    if peak > MAX_OVERSHOOT:
        raise InputError(f"{name}: peak {peak:.4g}; expected floats in [-1, 1]; divide 16-bit samples by 32768")
    if peak > 1:
        warnings.warn(f"{name}: peak {peak:.3f} above full scale; scaled to 1", InputWarning, stacklevel=5)
        samples = samples / peak
    elif _is_clipped(samples):
        warnings.warn(f"{name}: clipped (flat at full scale); used as it is", InputWarning, stacklevel=5)
    return samples.astype(np.float32)


def _is_clipped(samples: np.ndarray) -> bool:
    """True where CLIPPED_RUN neighbours stand at full scale with one sign."""
    sides = samples > 0.9995, samples < -0.9995
    return any(np.lib.stride_tricks.sliding_window_view(side, CLIPPED_RUN).all(-1).any() for side in sides)


def _dbfs(amplitude: float) -> float:
    return 20 * np.log10(max(amplitude, 1e-10))
