"""How emotion moves prosody: measured on acted speech, imposed on the puppet's voice, and the two compared.

Four measures of an utterance, over its voiced frames (20 ms apart):

pitch      semitones above 1 Hz   median of the fundamental frequency
range      log2 of semitones      10th to 90th percentile of the fundamental frequency
loudness   dB                     mean square of the voiced frames
rate       octaves                - log2 of the time from first to last sound (same words, so faster is larger)

The effect of an emotion is its mean minus the neutral mean of the same speaker (same sentences in both).
`RAVDESS` holds the effects measured on 960 clips of 16 actors of RAVDESS (Livingstone and Russo 2018, PLoS ONE 13(5);
speech, audio only; both intensities together), with the p value of a t test over the actors. `prosody_table` measures
them again where the clips are present. RAVDESS has no contempt: that voice is our choice and is tested by nothing.
"""

from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lib import audio, paths
from lib.errors import InputError

MEASURES = ("pitch", "range", "loudness", "rate")
SIGNIFICANT = 0.05
FRAMES_PER_S = 50
ASSET = "ravdess_speech"
RAVDESS_CODES = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgusted",
                 "08": "surprised"}  # fmt: skip


@dataclass(frozen=True)
class Prosody:
    """The four measures of one utterance, or differences of them."""

    pitch: float
    range: float
    loudness: float
    rate: float


@dataclass(frozen=True)
class Effect:
    """Mean effect of an emotion on one measure over speakers, with the p value of a two-sided t test."""

    mean: float
    p: float


def _row(*pairs: tuple[float, float]) -> dict[str, Effect]:
    return {name: Effect(*pair) for name, pair in zip(MEASURES, pairs, strict=True)}


RAVDESS = {
    # emotion          pitch           range           loudness          rate
    "happy": _row((6.248, 2e-07), (0.118, 0.1), (10.436, 3e-08), (-0.134, 0.003)),
    "sad": _row((3.180, 0.0003), (-0.319, 0.002), (1.625, 0.2), (-0.251, 8e-05)),
    "angry": _row((7.683, 5e-07), (0.158, 0.1), (16.676, 5e-11), (-0.287, 1e-05)),
    "fearful": _row((8.024, 7e-09), (-0.366, 0.006), (11.507, 2e-08), (-0.099, 0.1)),
    "disgusted": _row((1.806, 0.006), (0.095, 0.4), (4.331, 0.0002), (-0.386, 6e-07)),
    "surprised": _row((6.249, 3e-07), (0.545, 3e-05), (7.960, 8e-09), (0.018, 0.7)),
}


def measure(samples: np.ndarray) -> Prosody:
    """Prosody of an utterance (N,) at 16 kHz; InputError where it has no voiced sound."""
    f0 = audio.pitch(samples, fps=FRAMES_PER_S)
    energy = (audio.windows(samples, FRAMES_PER_S, 0.05) ** 2).mean(-1)
    semitones = 12.0 * np.log2(f0)
    steady = np.abs(np.diff(semitones, prepend=np.nan)) < 3.0            # NaN compares false: unvoiced frames drop out
    if steady.sum() < 5:
        raise InputError("no voiced sound found; expected speech of at least a word")
    low, middle, high = np.percentile(semitones[steady], [10, 50, 90])
    sounding = np.flatnonzero(energy > energy.max() * 1e-3)              # 30 dB below the loudest frame
    spoken_s = (sounding[-1] - sounding[0] + 1) / FRAMES_PER_S
    loudness = 10.0 * np.log10(energy[steady].mean())
    return Prosody(float(middle), float(np.log2(max(high - low, 0.1))), float(loudness), float(-np.log2(spoken_s)))


def effects(utterances: list[tuple[object, str, Prosody]]) -> dict[str, dict[str, Effect]]:
    """Effect of each emotion against neutral from (speaker, emotion, prosody); a speaker is the unit of the test."""
    from scipy.stats import ttest_1samp

    means = {}
    for speaker, emotion, prosody in utterances:
        means.setdefault(emotion, {}).setdefault(speaker, []).append(astuple(prosody))
    means = {e: {s: np.mean(rows, axis=0) for s, rows in by.items()} for e, by in means.items()}
    neutral, table = means.pop("neutral"), {}
    for emotion, by in means.items():
        shift = np.stack([by[s] - neutral[s] for s in sorted(by)])        # (speakers, 4)
        p = ttest_1samp(shift, 0.0).pvalue
        table[emotion] = {m: Effect(float(shift[:, i].mean()), float(p[i])) for i, m in enumerate(MEASURES)}
    return table


def ravdess_effects() -> dict[str, dict[str, Effect]]:
    """Effects measured now on the RAVDESS clips; AssetMissing where they are absent."""
    from tqdm.auto import tqdm

    files = sorted(paths.asset(ASSET).glob("Actor_*/*.flac"))
    clips = [f for f in files if f.stem.split("-")[2] in RAVDESS_CODES]
    return effects([_ravdess_utterance(f) for f in tqdm(clips, desc="RAVDESS prosody", leave=False)])


def _ravdess_utterance(path: Path) -> tuple[str, str, Prosody]:
    fields = path.stem.split("-")
    return fields[6], RAVDESS_CODES[fields[2]], measure(audio.load(path))


MEASURED_ACTORS = tuple(range(8))
MEASURED_SENTENCES = ("en-main-003", "en-main-006", "en-main-024")


@cache
def puppet_effects(
    actors: tuple[int, ...] = MEASURED_ACTORS, sentences: tuple[str, ...] = MEASURED_SENTENCES
) -> dict[str, dict[str, Effect]]:
    """Effects of full intensity measured on the puppet's voice, in the same way as on RAVDESS."""
    from lib.puppet import voice
    from lib.puppet.sentences import text

    return effects([
        (actor, emotion, measure(voice.speak(text(s), voice.voice_settings(actor, emotion, 1.0)).audio))
        for actor in actors for emotion in voice.SHIFTS for s in sentences
    ])  # fmt: skip


def prosody_table():
    """DataFrame, a row per emotion and measure: RAVDESS' effect and p, the puppet's effect, and whether signs agree.

    `agrees` is missing where RAVDESS' own effect is not significant (p > .05) and for contempt, which it lacks.
    `source` says whether RAVDESS was measured now or taken from the table in this module.
    """
    import pandas as pd

    present = paths.find_asset(ASSET) is not None
    real, ours = ravdess_effects() if present else RAVDESS, puppet_effects()
    rows = []
    for emotion, by in ours.items():
        for name in MEASURES:
            acted = real[emotion][name] if emotion in real else Effect(np.nan, np.nan)
            agrees = bool(acted.mean * by[name].mean > 0) if acted.p <= SIGNIFICANT else None
            rows.append((emotion, name, acted.mean, acted.p, by[name].mean, agrees))
    table = pd.DataFrame(rows, columns=["emotion", "measure", "ravdess", "p", "puppet", "agrees"])
    return table.assign(source="measured now" if present else "stored table")
