"""The puppet's voice: text to speech and exact phoneme times, with emotion as prosody of continuous strength.

An actor has a voice of its own (eSpeak variant, base pitch, range, rate); an emotion shifts five measures of it:

measure      unit                    effect of intensity x in 0..1
pitch        semitones               + x * effect
range        octaves (log2 ratio)    * 2 ** (x * effect)       (of its width in semitones)
loudness     dB                      + x * effect
rate         octaves (log2 ratio)    * 2 ** (x * effect)
pauses       ms between words        + x * effect

Intensity 0 is exactly the neutral voice. Directions and sizes are those of acted speech (`lib.puppet.prosody`).
"""

import atexit
import io
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np

from lib import paths
from lib.data.clip import Phoneme
from lib.errors import InputError, StudyError
from lib.puppet import prosody

SAMPLE_RATE = 16000
SILENCE = ""                      # label of every pause
LANGUAGES = ("en-us", "cmn")
VARIANTS = (*(f"f{i}" for i in range(1, 6)), *(f"m{i}" for i in range(1, 9)))
STRESS_MARKS = "ˈˌ"               # primary and secondary stress, first character of a vowel's label
LEAD_S, TAIL_S = 0.15, 0.25       # silence before the first and after the last phoneme
VOICE_STREAM = 0x701CE            # seed word of the actors' voices
SEMITONES_PER_PITCH_STEP = 0.24   # eSpeak's pitch 0..100 spans two octaves


@dataclass(frozen=True)
class VoiceSettings:
    """Everything eSpeak needs for one utterance; continuous values are rounded to its integers only when speaking."""

    language: str = "en-us"           # "en-us" or "cmn"
    variant: str = "m1"               # eSpeak voice variant: m1..m8, f1..f5
    pitch: float = 50.0               # 0..100, 50 is the variant's own pitch, 0.24 semitones per step
    pitch_range: float = 50.0         # 0..100, 50 is the variant's own range
    rate_wpm: float = 165.0           # words per minute, 80..450
    gain_db: float = 0.0              # loudness, applied to the samples
    word_gap_ms: float = 0.0          # extra pause between words, in steps of 10 ms


@dataclass(frozen=True)
class Speech:
    """Audio (N,) float32 at 16 kHz in [-1, 1], and phonemes that cover it from 0 to N / 16000 s without gaps."""

    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]

    @property
    def duration_s(self) -> float:
        return len(self.audio) / SAMPLE_RATE


@dataclass(frozen=True)
class Shift:
    """What an emotion of full intensity adds to the neutral voice."""

    pitch_st: float = 0.0
    range_oct: float = 0.0
    loudness_db: float = 0.0
    rate_oct: float = 0.0
    word_gap_ms: float = 0.0


LOUDNESS_SHARE = 0.5       # actors shout up to 17 dB above neutral; half of it leaves the neutral voice audible
WORD_GAP_MS = {"sad": 20.0, "disgusted": 10.0}   # RAVDESS' six-word statements have no pauses to measure: our choice


def _as_acted(emotion: str) -> Shift:
    """Shift with the sizes measured on RAVDESS."""
    acted, gap = prosody.RAVDESS[emotion], WORD_GAP_MS.get(emotion, 0.0)
    slower_by_pauses = 0.008 * gap      # measured; the acted rate holds words and pauses together
    return Shift(
        pitch_st=acted["pitch"].mean,
        range_oct=acted["range"].mean,
        loudness_db=LOUDNESS_SHARE * acted["loudness"].mean,
        rate_oct=acted["rate"].mean + slower_by_pauses,
        word_gap_ms=gap,
    )


SHIFTS = {
    "neutral": Shift(),
    **{emotion: _as_acted(emotion) for emotion in prosody.RAVDESS},
    "contempt": Shift(-1.0, -0.3, -1.0, -0.15, 10.0),    # no acted counterpart: low, flat and slow by our choice
}
HEADROOM_DB = -8.0         # gain of the neutral voice, so that the loudest emotion does not clip


def actor_voice(actor: int) -> VoiceSettings:
    """Neutral voice of an actor, a pure function of its number; even numbers are female voices, odd ones male."""
    rng = np.random.default_rng([VOICE_STREAM, actor])
    female = actor % 2 == 0
    variant = f"f{rng.integers(1, 6)}" if female else f"m{rng.integers(1, 9)}"
    return VoiceSettings(
        variant=variant,
        pitch=float(rng.uniform(38, 52)),
        pitch_range=float(rng.uniform(38, 52)),
        rate_wpm=float(rng.uniform(150, 180)),
        gain_db=HEADROOM_DB + float(rng.uniform(-1.5, 1.5)),
    )


def voice_settings(
    actor: int, emotion: str, intensity: float, rng: np.random.Generator | None = None, *, language: str = "en-us"
) -> VoiceSettings:
    """Voice of an actor in an emotion of intensity 0..1; `rng` adds the small variation of one session (or none).

    The same number of draws is taken whatever the emotion, so a counterfactual with the same seed keeps its noise.
    Raises InputError for an unknown emotion or an intensity outside 0..1.
    """
    if emotion not in SHIFTS:
        raise InputError(f"emotion {emotion!r}: unknown; expected one of {', '.join(SHIFTS)}")
    if not 0.0 <= intensity <= 1.0:
        raise InputError(f"intensity {intensity}: expected a number from 0 (neutral) to 1")
    voice, shift, x = actor_voice(actor), SHIFTS[emotion], float(intensity)
    jitter = rng.normal(size=4) if rng is not None else np.zeros(4)
    range_oct = shift.range_oct + shift.pitch_st / 12.0     # eSpeak's range is in Hz: it must rise with the pitch
    return VoiceSettings(
        language=language,
        variant=voice.variant,
        pitch=voice.pitch + (x * shift.pitch_st + 0.3 * jitter[0]) / SEMITONES_PER_PITCH_STEP,
        pitch_range=voice.pitch_range * 2.0 ** (x * range_oct + 0.05 * jitter[1]),
        rate_wpm=voice.rate_wpm * 2.0 ** (x * shift.rate_oct + 0.03 * jitter[2]),
        gain_db=voice.gain_db + x * shift.loudness_db + 0.5 * jitter[3],
        word_gap_ms=x * shift.word_gap_ms,
    )


def speak(text: str, settings: VoiceSettings) -> Speech:
    """Speech of a text: a pure function of its arguments, bit-identical on every call and in every process.

    Phoneme labels are eSpeak's IPA; a stressed vowel begins with a stress mark (see `bare`), a pause is empty.
    Raises InputError where eSpeak refuses text or voice, StudyError where eSpeak cannot be started.
    """
    header, wave = _server().ask(_request(text, settings))
    gain = 10.0 ** (settings.gain_db / 20.0)
    audio = _to_16_khz(wave, header["rate"]) * np.float32(gain)
    return _frame(audio, header["events"], header["rate"])


def bare(label: str) -> str:
    """Phoneme label without its stress mark."""
    return label.lstrip(STRESS_MARKS)


def _request(text: str, settings: VoiceSettings) -> dict:
    """Request of the server, with eSpeak's integers in their legal ranges."""
    if not text.strip():
        raise InputError("text to speak is empty; expected at least one word")
    if settings.language not in LANGUAGES or settings.variant not in VARIANTS:     # eSpeak would fall back in silence
        raise InputError(
            f"voice {settings.language}+{settings.variant}: expected one of {LANGUAGES} with one of {VARIANTS}"
        )
    parameters = {
        "rate": round(float(np.clip(settings.rate_wpm, 80, 450))),
        "pitch": round(float(np.clip(settings.pitch, 0, 100))),
        "range": round(float(np.clip(settings.pitch_range, 0, 100))),
        "word_gap": max(0, round(settings.word_gap_ms / 10.0)),
    }
    return {"text": text, "language": settings.language, "variant": settings.variant, "parameters": parameters}


def _to_16_khz(wave: np.ndarray, rate: int) -> np.ndarray:
    """Samples (M,) int16 to (N,) float32 at 16 kHz."""
    from scipy.signal import resample_poly

    common = np.gcd(SAMPLE_RATE, rate)
    return resample_poly(wave / 32768.0, SAMPLE_RATE // common, rate // common).astype(np.float32)


def _frame(audio: np.ndarray, events: list, rate: int) -> Speech:
    """Speech with silence of fixed length at both ends and phonemes that tile it."""
    starts = [(label or SILENCE, sample / rate) for label, sample in events] + [(SILENCE, len(audio) / SAMPLE_RATE)]
    spans = [(a, s, e) for (a, s), (_, e) in zip(starts, starts[1:], strict=False) if e > s]
    spoken = [span for span in spans if span[0] != SILENCE]
    if not spoken:
        raise InputError("text to speak has no pronounceable word")
    first, last = spoken[0][1], spoken[-1][2]
    kept = audio[round(first * SAMPLE_RATE) : round((last + TAIL_S) * SAMPLE_RATE)]
    pad = round(LEAD_S * SAMPLE_RATE), max(0, round((last + TAIL_S - first) * SAMPLE_RATE) - len(kept))
    framed = np.clip(np.pad(kept, pad), -1.0, 1.0)
    shift = LEAD_S - first
    inner = [Phoneme(a, s + shift, e + shift) for a, s, e in spans if first <= s < last]
    end = len(framed) / SAMPLE_RATE
    return Speech(framed, (Phoneme(SILENCE, 0.0, LEAD_S), *inner, Phoneme(SILENCE, last + shift, end)))


class Server:
    """Client's end of the eSpeak server: a clean interpreter (`lib.puppet.espeak`), one question at a time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lib.puppet.espeak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=paths.ROOT,
            start_new_session=True,                    # an interrupt in a notebook must not end the voice
        )
        self.answers = io.BufferedReader(self.process.stdout)
        greeting = self._header()
        if "error" in greeting:
            raise StudyError(f"eSpeak NG cannot start ({greeting['error']}); is the package espeakng-loader installed?")

    def ask(self, request: dict) -> tuple[dict, np.ndarray]:
        """Header and samples (M,) int16 of one request."""
        with self.lock:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            header = self._header()
            if "error" in header:
                raise InputError(f"{header['error']}; voice {request['language']}+{request['variant']}")
            return header, np.frombuffer(self.answers.read(2 * header["samples"]), np.int16)

    def close(self) -> None:
        """End the server by ending its input, or by force where it does not follow."""
        self.hang_up()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.answers.close()

    def hang_up(self) -> None:
        """Close this process's end of the server's input."""
        self.process.stdin.close()

    def _header(self) -> dict:
        line = self.answers.readline()
        if not line:
            raise StudyError("the eSpeak server ended unexpectedly; call again to start a fresh one")
        return json.loads(line)


_running: dict[int, Server] = {}       # by process id: a forked child must not share its parent's pipes


def _server() -> Server:
    """The server of this process; a fresh one at the first call, and after an unexpected end."""
    with _starting:
        server = _running.get(os.getpid())
        if server is None or server.process.poll() is not None:
            server = _running[os.getpid()] = Server()
        return server


def _close() -> None:
    """End this process's server."""
    server = _running.pop(os.getpid(), None)
    if server is not None:
        server.close()


def _forget_parent() -> None:
    """In a forked child: let go of the parent's server, else the parent could never end it."""
    global _starting
    _starting = threading.Lock()
    for server in _running.values():
        server.hang_up()
    _running.clear()


_starting = threading.Lock()
atexit.register(_close)
os.register_at_fork(after_in_child=_forget_parent)
