"""What is measured on the systems of paper 001: one table per question, one row per clip unless a line says otherwise.

Tables are functions of (scale, seed), cached by name. Systems hand over coefficients of the draw's basis at 30 fps
(lib/experiments/ecm.py); distances are millimetres, on clips of unseen speakers with unseen sentences. Every table has
`seed`; those per clip have system, part ("unseen"), clip, speaker, emotion, intensity (of the clip).

A system's name may end in `~module=off` (same weights, Audio2FLAME alone, no emotion). Without it the system is asked
for the clip's own emotion and intensity; controls around ECM are driven in the same way.

    scores           the columns of every paper's score file, then NATIVE columns:
                     lip_<form>_mean, lip_<form>_max   lip movement error, mean and largest of the points, mean over
                                        frames; forms LIP_FORMS: a released (frame 0 moved to the template, for ECM's own
                                        systems alone; every frame aligned on landmarks), b no alignment, c aligned on
                                        landmarks with the subject's template for all, d rigid on the upper face
                     lip_content        form b after the clip mean of every point is taken from both sides
                     mouth_height, mouth_width   mean |difference| of lip-to-lip and corner-to-corner distance
                     sync               correlation of lip opening with the truth less that with another clip's truth
                     sync_truth         the same of the truth (1 less its correlation with the other clip)
    wild             sound ("clean", "noise", "reverb"), LIP columns; systems WILD, speech-only
    style_sources    style ("own", "shuffled" frames of the clip, "other clip" of the speaker, "foreign" speaker), LIP
                     columns; systems STYLED, speech-only
    control          formula ("paper", "first-commit", "head"), asked (emotion), level (0, .125 ... 1), achieved (1 =
                     full true intensity), lips, others (cross-talk, shares of the change from level 0): every
                     non-neutral emotion, systems CONTROLLED
    lip_cost         level (0, 1), lip_b_mean, lip_content, sync, sync_truth against the exact face of that level of the
                     clip's own emotion; systems COSTED, non-neutral clips
    facial_measures  asked ("fearful", "happy"), level (.5, .75, 1), opening, corner, cheek: mean over frames in shares
                     of the face height, corner and cheek upwards; systems "ecm", "ecm/code", "control/oracle"
    frame_control    formula, asked, leak_outside (change beyond 10 frames outside the edited span over that inside),
                     delay_frames (to half of the step), irreversibility; systems CONTROLLED, "control/oracle"
    recognition      asked, judge ("statistics", "course": independent; "prior": the recogniser that supplied the
                     priors), rule ("clip" for the independent; "majority", "median", "released" for the other),
                     predicted, right (0 or 1): six emotions of CREMA-D at intensity 1, systems RECOGNISED, "gt" (exact
                     face of full intensity). "ecm/code~sad=4" asks sadness at 4, as released
    priors           prior_correlation (prior heard in the sound and prior of the true image, over frames and classes),
                     system each of PRIORED
    residual         region ("whole", "lips", "upper_face"), factor ("emotion", "content", "identity", "nuisance";
                     "random-label": emotion share under another label), share of the residual of ecm~module=off;
                     shares of the first four sum to 1; emotional clips
    transfer         receiver (actor), case ("separable", "interacting"), error_mm, static_mm, mean_motion_mm,
                     transfer_skill: expression parameters of the clip's truth on another head
    linearity        value ("logit", "probability", "difference"), emotion, speaker, slope, r2_line, r2_quadratic,
                     spearman: one row per unseen actor of the recogniser; seed is that of the recogniser

Without seed: `unequal_variances` (ratio, r2_line, spearman), `crowd` (CREMA-D: actor, emotion, level, share, log_odds,
rated), `architecture` (profile, part, weights, inputs, printed).
"""

import pandas as pd

from lib.experiments.measures import Controls

LIP_FORMS = ("a", "b", "c", "d")
LIP = tuple(f"lip_{form}_{how}" for form in LIP_FORMS for how in ("mean", "max"))
NATIVE = (*LIP, "lip_content", "mouth_height", "mouth_width", "sync", "sync_truth")
VARIANTS = ("ecm", "ecm/code", "ecm/no-lvx", "ecm/no-llm", "ecm/no-style", "ecm/no-residual", "ecm/vocaset-only",
            "ecm/vocaset-only,short", "ecm/with-lrs2", "ecm/exact-prior", "ecm/audio-prior", "ecm/noisy-prior=0.1",
            "ecm/noisy-prior", "ecm/noisy-prior=0.5", "ecm/gru", "ecm/no-prior-smoothing")
OFF = "~module=off"
RIVALS = ("voca", "voca/neutral", "faceformer", "faceformer/neutral", "pham17", "chun21")
SYSTEM_NAMES = (*VARIANTS, *(name + OFF for name in VARIANTS), *RIVALS)
CONTROLS = (*Controls.names, "control/shuffled-audio" + OFF, "control/random-init" + OFF)
WILD = tuple(name + OFF for name in ("ecm", "ecm/with-lrs2"))
STYLED = tuple(name + OFF for name in ("ecm", "ecm/code"))
CONTROLLED = ("ecm", "ecm/code")
COSTED = ("ecm" + OFF, "ecm", "ecm/no-residual" + OFF, "ecm/no-residual", "ecm/code" + OFF, "ecm/code")
RECOGNISED = ("ecm", "ecm/code", "ecm/code~sad=4", "ecm" + OFF, "control/static-template", "control/shuffled-audio")
PRIORED = ("ecm", "ecm/gru", "ecm/code", "ecm/no-prior-smoothing", "control/random-init")


def scores(scale: str, seed: int, names: tuple[str, ...] = (*SYSTEM_NAMES, *CONTROLS)) -> pd.DataFrame:
    """Vertex metrics and lip movement errors of every system on every test clip."""
    raise NotImplementedError


def wild(scale: str, seed: int) -> pd.DataFrame:
    """Lip errors where the sound is noisy or reverberant."""
    raise NotImplementedError


def style_sources(scale: str, seed: int) -> pd.DataFrame:
    """Lip errors where the style vector comes from elsewhere."""
    raise NotImplementedError


def control(scale: str, seed: int) -> pd.DataFrame:
    """Requested against achieved intensity for the three published formulas."""
    raise NotImplementedError


def lip_cost(scale: str, seed: int) -> pd.DataFrame:
    """What emotion costs the lips."""
    raise NotImplementedError


def facial_measures(scale: str, seed: int) -> pd.DataFrame:
    """Mouth opening, corner and cheek height at three intensities."""
    raise NotImplementedError


def frame_control(scale: str, seed: int) -> pd.DataFrame:
    """An emotion asked for in the middle third of a clip."""
    raise NotImplementedError


def recognition(scale: str, seed: int) -> pd.DataFrame:
    """Which emotion is seen in a clip, by whom and by which rule."""
    raise NotImplementedError


def priors(scale: str, seed: int) -> pd.DataFrame:
    """How well the emotion predictor hears what the image recogniser sees."""
    raise NotImplementedError


def residual(scale: str, seed: int) -> pd.DataFrame:
    """What is left between the speech-only face and the truth, by its exactly known causes."""
    raise NotImplementedError


def transfer(scale: str, seed: int) -> pd.DataFrame:
    """Emotion moved from one head to another by its expression parameters."""
    raise NotImplementedError


def linearity(scale: str, seed: int) -> pd.DataFrame:
    """How linearly the recogniser's output grows with the known intensity of a face."""
    raise NotImplementedError


def unequal_variances() -> pd.DataFrame:
    """The printed proof with unequal variances: log odds of two normal classes along the line between their means."""
    raise NotImplementedError


def crowd() -> pd.DataFrame:
    """Votes on the one sentence that CREMA-D has at three levels; raises AssetMissing without the labels."""
    raise NotImplementedError


def architecture() -> pd.DataFrame:
    """Weights and input widths of every part in both profiles beside the printed widths."""
    raise NotImplementedError
