"""What is measured on the systems of paper 003: one table per question, one row per clip unless a line says otherwise.

Tables are functions of (scale, seed), cached by name. Predictions and truth are 174 MetaHuman controllers at the
draw's frame rate (lib/experiments/emoface.py); distances on the puppet are millimetres. Every table has `seed`; those
per clip have system, part ("unseen": speaker and sentence new, "seen": only the sentence), clip, speaker, emotion.

    scores           the columns of every paper's score file, then NATIVE columns:
                     mae_<area><form>   mean |difference| of controllers; areas AREA_COLUMNS, forms FORMS:
                                        "" raw, "_active" controllers that move in the truth, "_sd" in training
                                        standard deviations, "_smooth" after the Savitzky-Golay filter (controller units)
                     fast_mouth         raw mae_mouth in the tenth of frames with the fastest true mouth
                     jerk, jerk_smooth  ratio to the truth's jerk, raw and filtered
                     lip_amplitude      p95 - p5 of lip opening over the truth's
                     closure_mm, closure_smooth_mm   lip opening at known closures (p b m), less the truth's
                     sync               correlation of lip opening with the truth less that with another clip's truth
    judged           judge: share of independent judges that see the clip's emotion in its landmarks
    labels           requested, conflict (differs from the voice), swap_skill (1 = exact face of the requested label,
                     0 = as with the clip's own), judge (share that see the requested one), achieved, achieved_truth
                     (intensity along the requested axis), amplitude (upper face over the exact one's)
    frame_labels     requested, delay_s, leak: a change of label in the middle of a clip
    label_sources    source ("true", "audio", "10% wrong", "40% wrong", "wrong"), given, right, mae_full/mouth/eyes
    quiet            mae_quiet, mae_loud (mouth, the same words with and without a dip of level), amplitude_quiet,
                     amplitude_loud (over the truth's): unseen clips, systems QUIET
    long_clips       two clips of a speaker and emotion in one run: frames, mae_full, mae_mouth, mae_eyes, and
                     mae_full_apart: the same clips one by one
    past             past (visible own frames, -1 = all), mae_full, mae_mouth, mae_eyes, jerk: unseen clips
    axis             one row per system: weights ("trained", "random"), parameters, other_frames (largest change of
                     other frames when one changes), permutation, positions, queries: largest changes of the output
    blinks           system, blinks, minutes, one row per clip; systems "truth", trained ones, "emoface~blink=paper" and
                     "emoface~blink=code" (sampled)
    blink_intervals  system, interval_s: one row per wait between two blinks of a clip; censored: cut off by its end
    gaze             sd_ratio, between_clips (mean correlation with other clips), saccades_per_minute, longest_hold_s;
                     "truth", trained ones, "emoface~gaze=paper", "emoface~gaze=code", "regressor",
                     "regressor/tied" (gaze made to follow loudness)
    blink_detection  detector ("svm", "threshold", "threshold/tuned"), hits, misses, false, minutes
    symmetry         lr_correlation: mean over the left and right twins that move in the truth; "truth" and systems
    coverage         emotion, phonemes (seen in training), known (in the whole bank), share: one row per emotion
    mandarin         as scores, native columns only, on Mandarin sentences of unseen speakers; part "mandarin"

Without seed: `timings` (system, stage, length_s, run, seconds), `blink_laws` (fit, mu, sigma, mean_rate, per_minute,
dropped), `censoring` (run, true_per_minute, clip_s, fit, per_minute), `published_clip` (area, columns, rig ("zero",
"mean", "smoothed"), mae), `facegood` (seed, system, take, block, mae_full, mae_active, mae_mouth, mae_eyes, jerk).
"""

import pandas as pd

from lib.experiments.measures import Controls

AREA_COLUMNS = {                 # column of a table: area of lib.face.metahuman.AREAS
    "mae_full": "full", "mae_mouth": "mouth", "mae_mouth_jaw": "mouth and jaw",
    "mae_mouth_teeth": "mouth, jaw, teeth and tongue", "mae_eyes": "eyes", "mae_eyes_no_lashes": "eyes without lashes",
    "mae_eyes_brows": "eyes and brows",
}
FORMS = ("", "_active", "_sd", "_smooth")
NATIVE = (*(area + form for area in AREA_COLUMNS for form in FORMS), "fast_mouth", "jerk", "jerk_smooth",
          "lip_amplitude", "closure_mm", "closure_smooth_mm", "sync")
ZERO, MEAN = "control/static-template", "control/mean-motion"        # the zero rig and the mean rig
CONTROLS = Controls.names                                            # with shuffled-audio, random-init, oracle
SYSTEM_NAMES = (
    "emoface", "emoface/code", "emoface/no-pretrain", "emoface/fc-decoder", "emoface/lstm-decoder", "emoface/no-pe",
    "emoface/ar-decoder", "faceformer", "faceformer/no-label", "emotalk", "emotalk/paired-only",
)
PAST = ("emoface/ar-decoder,past=0", "emoface/ar-decoder,past=1", "emoface/ar-decoder,past=5", "emoface/ar-decoder")
QUIET = ("emoface", "emoface/code", "emoface/fc-decoder", "emoface/lstm-decoder", "control/static-template")


def scores(scale: str, seed: int, names: tuple[str, ...] = (*SYSTEM_NAMES, *CONTROLS)) -> pd.DataFrame:
    """Vertex metrics and native controller errors of every system on every test clip."""
    raise NotImplementedError


def judged(scale: str, seed: int) -> pd.DataFrame:
    """What independent judges see: emoface, faceformer, emotalk and controls, unseen clips; "truth" is the ceiling."""
    raise NotImplementedError


def labels(scale: str, seed: int) -> pd.DataFrame:
    """Label asked for against the voice: own label and two others per unseen clip; emoface, emoface/code, faceformer,
    control/random-label."""
    raise NotImplementedError


def frame_labels(scale: str, seed: int) -> pd.DataFrame:
    """Label changed in the middle of unseen clips, emoface and emoface/code."""
    raise NotImplementedError


def label_sources(scale: str, seed: int) -> pd.DataFrame:
    """emoface with labels from several sources, and emotalk, which hears its own (source "voice"); unseen clips."""
    raise NotImplementedError


def quiet(scale: str, seed: int) -> pd.DataFrame:
    """Unseen clips with a dip of level over spoken words."""
    raise NotImplementedError


def long_clips(scale: str, seed: int) -> pd.DataFrame:
    """Clips longer than those trained on: emoface, emoface/no-pe, emoface/code."""
    raise NotImplementedError


def past(scale: str, seed: int) -> pd.DataFrame:
    """Autoregressive decoders that see fewer own frames, beside emoface."""
    raise NotImplementedError


def axis(scale: str, seed: int) -> pd.DataFrame:
    """What a frame of the output depends on: emoface and emoface/code, trained weights and published size."""
    raise NotImplementedError


def blinks(scale: str, seed: int) -> pd.DataFrame:
    """Blinks counted in the lid controllers."""
    raise NotImplementedError


def blink_intervals(scale: str, seed: int) -> pd.DataFrame:
    """Waits between blinks."""
    raise NotImplementedError


def gaze(scale: str, seed: int) -> pd.DataFrame:
    """How the eyes move."""
    raise NotImplementedError


def blink_detection(scale: str, seed: int) -> pd.DataFrame:
    """Blinks found in eye aspect ratios of noisy landmarks; trained on training speakers, tested on unseen ones."""
    raise NotImplementedError


def symmetry(scale: str, seed: int) -> pd.DataFrame:
    """Left and right controllers moving together."""
    raise NotImplementedError


def coverage(scale: str, seed: int) -> pd.DataFrame:
    """Phonemes of the training sentences per emotion."""
    raise NotImplementedError


def mandarin(scale: str, seed: int) -> pd.DataFrame:
    """Systems trained on English, tested on Mandarin."""
    raise NotImplementedError


def timings(scale: str) -> pd.DataFrame:
    """Seconds per synthesis on one CPU thread at published size: systems emoface, emoface/code, emoface/ar-decoder;
    stages "speech" (encoder of speech, shared) and "decoder"; one row per length and run."""
    raise NotImplementedError


def blink_laws() -> pd.DataFrame:
    """The published law of blinks, refitted from the published intervals in several ways; fits "printed",
    "published recipe", "whole intervals", "short clips"."""
    raise NotImplementedError


def censoring(scale: str) -> pd.DataFrame:
    """Known laws of blinks cut into short clips and refitted; fits "published recipe" and "short clips"."""
    raise NotImplementedError


def published_clip() -> pd.DataFrame:
    """Errors of trivial rigs on the one published recording; raises AssetMissing without it."""
    raise NotImplementedError


def facegood(scale: str) -> pd.DataFrame:
    """Real recordings: the same networks on FACEGOOD, each take left out in turn; `seed` is the seed of the weights."""
    raise NotImplementedError
