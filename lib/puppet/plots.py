"""Pictures and plots of the corpus: faces of given curves, a clip looked at closely, prosody beside recorded speech."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lib import audio
from lib.data.clip import Phoneme
from lib.face.rig import index
from lib.puppet import mouth
from lib.puppet.corpus import MASTER_FPS, PuppetClip, counterfactual
from lib.puppet.report import FPS, lip_events, lip_gap
from lib.puppet.spec import ClipSpec

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CLOSE_MM, CLOSE_CENTRE = 262.0, (0.0, 14.0, 20.0)         # the part of space seen: crown to neck
SOUNDS = ("", "m", "f", "θ", "ɑ", "i", "u", "ʃ")          # one of each kind of mouth, silence first


def held_sound(label: str) -> np.ndarray:
    """Rig (1, 52) in the middle of a sound spoken alone for 0.4 s between pauses ("" is silence)."""
    phonemes = (Phoneme("", 0.0, 0.3), Phoneme(label, 0.3, 0.7), Phoneme("", 0.7, 1.0))
    times_s = np.arange(100) / MASTER_FPS
    spoken = np.clip(mouth.speech_curves(phonemes, times_s), 0, 1)
    touching = mouth.touch_teeth(spoken, mouth.contact_curve(phonemes, times_s, mouth.LABIODENTALS))
    closed = mouth.close_lips(touching, mouth.contact_curve(phonemes, times_s, mouth.BILABIALS))
    return closed[[50]].astype(np.float32)


def telling_frame(clip: PuppetClip) -> int:
    """Frame at 25 fps with open eyes, straight gaze and the mouth half as far open as it gets in this clip."""
    rig, opening = clip.rig_at(FPS), lip_gap(clip.landmarks(FPS))
    looking = [index(f"eyeLook{way}{side}") for way in ("In", "Out", "Up", "Down") for side in ("Left", "Right")]
    restless = rig[:, index("eyeBlinkLeft")] + rig[:, looking].max(1)
    return int((np.abs(opening / opening.max() - 0.5) + 2 * restless).argmin())


def faces_of(spec: ClipSpec, faces: Sequence[tuple[str, float]]) -> np.ndarray:
    """Rig curves (N, 52) of one moment of a clip under other (emotion, intensity) of the face; the sound stays."""
    frame = telling_frame(counterfactual(spec, face_only=True, emotion="neutral"))
    clips = [counterfactual(spec, face_only=True, emotion=emotion, intensity=level) for emotion, level in faces]
    return np.stack([clip.rig_at(FPS)[frame] for clip in clips])


def same_words(spec: ClipSpec, emotions: Sequence[str]) -> dict[str, np.ndarray]:
    """Gap between the lips (T,) in mm at 100 fps of one sound under full emotions of the face, neutral first."""
    clips = {emotion: counterfactual(spec, face_only=True, emotion=emotion, intensity=1.0)
             for emotion in ("neutral", *emotions)}
    return {emotion: lip_gap(clip.landmarks(MASTER_FPS)) for emotion, clip in clips.items()}


def words(clip: PuppetClip) -> str:
    """What a clip says."""
    from lib.puppet.sentences import text

    return text(clip.spec.sentence)


def face_row(face, rigs: np.ndarray, size: int = 320) -> list[np.ndarray]:
    """Close pictures for rig curves (N, 52) of a face with `vertices(rig)` and `topology`: the puppet, the ICT face."""
    from lib.face.render import Renderer

    renderer = Renderer(face.topology, size=size, height_mm=CLOSE_MM, centre=CLOSE_CENTRE)
    pictures = list(renderer.frames(face.vertices(rigs)))
    renderer.close()
    return pictures


def actor_row(actors: Sequence[int], size: int = 320) -> list[np.ndarray]:
    """Pictures of the resting faces of actors."""
    from lib.face.render import Renderer
    from lib.puppet.actors import actor
    from lib.puppet.head import head

    renderer = Renderer(head().topology, size=size)
    pictures = list(renderer.frames(head().neutral(actor(number).identity) for number in actors))
    renderer.close()
    return pictures


def sound(axes: "Axes", clip: PuppetClip) -> "Axes":
    """Waveform, and loudness on a second axis."""
    seconds = np.arange(len(clip.audio)) / audio.SAMPLE_RATE
    axes.plot(seconds, clip.audio, color="0.7", lw=0.4)
    axes.set(ylabel="waveform (full scale 1)")
    second, level = axes.twinx(), audio.loudness(clip.audio, fps=MASTER_FPS, window_s=0.04)
    second.plot(np.arange(len(level)) / MASTER_FPS, level, color="#D55E00", lw=1.2)
    second.set(ylabel="loudness (dB full scale)", ylim=(-70, 0))
    second.yaxis.label.set_color("#D55E00")
    return axes


def lips(axes: "Axes", clip: PuppetClip) -> "Axes":
    """Gap between the lips in mm with the phonemes above and every closure (p b m) marked."""
    gap = lip_gap(clip.landmarks(MASTER_FPS))
    axes.plot(np.arange(len(gap)) / MASTER_FPS, gap, color="black", lw=1.4)
    closures = [event for event in lip_events(clip.phonemes) if event[0] == "closure"]
    for _, _, start_s, end_s in closures:
        axes.axvspan(start_s, end_s, color="#0072B2", alpha=0.25, lw=0)
    top = 1.12 * gap.max()
    for i, phoneme in enumerate(p for p in clip.phonemes if p.label.strip("_ ")):
        middle_s = (phoneme.start_s + phoneme.end_s) / 2
        axes.text(middle_s, top * (1 + 0.09 * (i % 2)), phoneme.label, ha="center", fontsize=8)
    axes.set(xlabel="time (s)", ylabel="gap between the lips (mm)", ylim=(gap.min() - 0.5, 1.22 * top))
    axes.grid(alpha=0.25)
    return axes


def response(axes: "Axes", table: "pd.DataFrame") -> "Axes":
    """Mean movement of the face over intensity, a line per emotion."""
    from lib.figures import EMOTION_COLOURS

    for emotion, rows in table.groupby("emotion", sort=False):
        axes.plot(rows.intensity, rows.moved_mm, "o-", ms=4, color=EMOTION_COLOURS[emotion], label=emotion)
    axes.set(xlabel="intensity (0 = neutral, 1 = full)", ylabel="mean distance from intensity 0 (mm)")
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25)
    return axes


UNITS = {"pitch": "semitones", "range": "factor, log2", "loudness": "dB", "rate": "factor, log2"}


def prosody(axes: "Axes", table: "pd.DataFrame", measure: str) -> "Axes":
    """Effect of each emotion on one measure: recorded actors against the puppet; hollow where not significant."""
    from lib.figures import EMOTION_COLOURS

    rows = table[(table.measure == measure) & table.ravdess.notna()]
    for row in rows.itertuples():
        shade = EMOTION_COLOURS[row.emotion]
        axes.plot(row.ravdess, row.puppet, "o", ms=7, color=shade, mfc="white" if row.p > 0.05 else shade,
                  label=row.emotion)
    axes.axhline(0, color="0.6", lw=0.8)
    axes.axvline(0, color="0.6", lw=0.8)
    axes.set(xlabel=f"actors ({UNITS[measure]})", ylabel=f"puppet ({UNITS[measure]})", title=measure)
    return axes


def openings(axes: "Axes", gaps: Mapping[str, np.ndarray]) -> "Axes":
    """Gap between the lips over time on several faces that show the same curves."""
    for name, gap in gaps.items():
        axes.plot(np.arange(len(gap)) / FPS, gap, label=name, lw=1.4, color="black" if name == "puppet" else "#009E73")
    axes.set(xlabel="time (s)", ylabel="gap between the lips (mm)")
    axes.legend(fontsize=8, frameon=False)
    return axes
