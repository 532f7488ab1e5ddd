"""Losses of the landmark papers, one function per named loss, unweighted; weights belong to an experiment.

Conventions: landmarks (B, T, 68, 2), `pred` and `truth` in one unit and registration; codes (B, T, C) per frame. All
losses return a scalar. What the unit of the landmarks is matters where losses of codes are added to them, since no
paper names it: pixels of a 256-px crop make a landmark loss two orders of magnitude larger than faces of width 1.6 do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.face.landmarks import GROUPS, LIPS

if TYPE_CHECKING:
    from jaxtyping import Float

MARGIN = 0.1                     # of Eq. 5 of CFD: codes farther apart than this on average repel no more


def landmark_l1(pred: Float[Tensor, "b t 68 2"], truth: Float[Tensor, "b t 68 2"]) -> Float[Tensor, ""]:
    """Mean absolute coordinate difference, in the unit of the input (CFD, Eq. 10; the paper prints no reduction).

        L_landmark = mean_{t,p,xy} | L_v - L_p |
    """
    return F.l1_loss(pred, truth)


def image_l1(pred: Float[Tensor, "b 3 h w"], truth: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute pixel difference (CFD, Eq. 11). The paper swaps its symbols: I_t is the synthesised frame in Sec.
    3.4 and the true one in the equation, which an absolute difference cannot tell apart."""
    return F.l1_loss(pred, truth)


# Codes of CFD (paper 000) ---------------------------------------------------------------------------------------------


def code_distance(
    one: Float[Tensor, "b t c"], other: Float[Tensor, "b t c"], *, pooled: bool = False
) -> Float[Tensor, " b"]:
    """d of Eq. 5, the mean absolute difference of two codes, one value per pair of clips.

    The literal reading compares frame t of one clip with frame t of another that says something else, so that codes can
    only agree by standing still. `pooled` takes the mean over time first and leaves them free to move.
    """
    if pooled:
        one, other = one.mean(1, keepdim=True), other.mean(1, keepdim=True)
    return (one - other).abs().mean((1, 2))


def expression_similarity(one: Float[Tensor, "b k"], other: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """lambda of Eq. 5: cosine of the softmax vectors that a recogniser gives for two clips; no gradient goes through.

    Probabilities have no negative coordinates, so it lies in 0..1, and rarely near 0.
    """
    return F.cosine_similarity(one, other, dim=-1).detach()


def emotion_contrast(
    reference: Float[Tensor, "b t c"], same: Float[Tensor, "b t c"], other: Float[Tensor, "b t c"],
    similarity_same: Float[Tensor, " b"], similarity_other: Float[Tensor, " b"], *,
    margin: float = MARGIN, pooled: bool = False,
) -> Float[Tensor, ""]:
    """Attraction within a video, repulsion between two videos of one person (CFD, Eq. 5).

        L_emotion = lambda_rs d_rs + (1 - lambda_rp) max(margin - d_rp, 0)

    reference, same, other: the emotion codes of V_r, V_s (same video), V_p (another video of the person). Two slips of
    the paper are put right: it writes the dissimilarity between E^r and E^s "for V_r and V_p" (read E^p), and says
    twice how lambda_rs is computed (read lambda_rp the second time). Repulsion is worth at most
    margin (1 - lambda_rp) and vanishes beyond the margin.
    """
    attraction = similarity_same * code_distance(reference, same, pooled=pooled)
    repulsion = (1 - similarity_other) * (margin - code_distance(reference, other, pooled=pooled)).clamp_min(0)
    return (attraction + repulsion).mean()


def identity_agreement(
    reference: Float[Tensor, "b t c"], other: Float[Tensor, "b t c"], *, pooled: bool = False
) -> Float[Tensor, ""]:
    """Mean absolute difference of the identity codes of two videos of one person (CFD, Eq. 6).

        L_identity = | E_id^r - E_id^p |

    There are positive pairs only: any constant code, the same for all people, is a global minimum.
    """
    return code_distance(reference, other, pooled=pooled).mean()


# MakeItTalk -----------------------------------------------------------------------------------------------------------

CONTOURS = (
    GROUPS["jaw"], GROUPS["right_brow"], GROUPS["left_brow"], [*GROUPS["nose_bridge"], *GROUPS["nose_base"]],
    GROUPS["right_eye"], GROUPS["left_eye"], GROUPS["outer_lips"], GROUPS["inner_lips"],
)
CLOSED = {36, 42, 48, 60}        # first points of the contours that are rings


def lip_weighted_l1(pred: Float[Tensor, "b t 68 d"], truth: Float[Tensor, "b t 68 d"]) -> Float[Tensor, ""]:
    """Mean absolute error in which lips count more the less the true mouth is open (MakeItTalk, released program).

        w = 1 / (4 |y_66 - y_62| + 0.1) for the 20 lip points, 1 elsewhere

    Landmarks in faces of width 1.6: the weight of closed lips is 10, that of lips 0.2 apart about 1.
    """
    opening = (truth[..., 66, 1] - truth[..., 62, 1]).abs()                              # (B, T)
    weight = torch.ones_like(truth[..., :1])                                             # (B, T, 68, 1)
    weight[..., LIPS, 0] = (1 / (4 * opening + 0.1))[..., None]
    return (weight * (pred - truth).abs()).mean()


def laplacian(landmarks: Float[Tensor, "b t 68 d"]) -> Float[Tensor, "b t 68 d"]:
    """Every point minus the middle of its two neighbours on its contour; the ends of open contours use one twice."""
    before, after = _neighbours()
    return landmarks - (landmarks[..., before, :] + landmarks[..., after, :]) / 2


def laplacian_l1(pred: Float[Tensor, "b t 68 d"], truth: Float[Tensor, "b t 68 d"]) -> Float[Tensor, ""]:
    """Mean absolute difference of Laplacian coordinates: the shape of contours, wherever they lie (MakeItTalk)."""
    return (laplacian(pred) - laplacian(truth)).abs().mean()


def _neighbours() -> tuple[list[int], list[int]]:
    before, after = list(range(68)), list(range(68))
    for contour in CONTOURS:
        first, last = int(contour[0]), int(contour[-1])
        ring = first in CLOSED
        for point in map(int, contour):
            before[point] = point - 1 if point > first else (last if ring else first + 1)
            after[point] = point + 1 if point < last else (first if ring else last - 1)
    return before, after


# Ventriloquist-Net (paper 002) ----------------------------------------------------------------------------------------
#
# Offsets (B, T, 68, 2) from the mean face in standard deviations of the window; distributions (B, K) over emotions.

MOUTH = (*range(0, 17), *range(48, 68))          # jaw and lips, 37 points
AWAY_FROM_MOUTH = tuple(range(17, 48))
REAL = 0.9                                       # what a discriminator is to say of true motion: smoothed label


def emotion_cosine(seen: Float[Tensor, "b k"], heard: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """Disagreement of two distributions over emotions, 0..1 (V-Net, Sec. 2.1 and 2.3: cosine embedding loss).

        L_emotion = mean_b 1 - cos(p_emo, l_emo)

    Flat where both are diffuse: a uniform p is at most 1 - 1 / sqrt(K) away from anything.
    """
    return (1 - F.cosine_similarity(seen, heard, dim=-1)).mean()


def emotion_square(seen: Float[Tensor, "b k"], heard: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """Mean squared difference of two distributions (V-Net, one of the released scripts, there with weight 2)."""
    return F.mse_loss(seen, heard)


def likeliest_emotion(logits: Float[Tensor, "b k"], heard: Float[Tensor, "b k"]) -> Float[Tensor, ""]:
    """Cross-entropy with the likeliest class alone, in nats: what V-Net, Sec. 2.1 calls insufficient."""
    return F.cross_entropy(logits, heard.argmax(-1))


def mouth_error(
    pred: Float[Tensor, "b t 68 2"], truth: Float[Tensor, "b t 68 2"], *, norm: str = "l1", summed: bool = False,
    centred: bool = False, velocity: bool = False,
) -> Float[Tensor, ""]:
    """Error of lips and jaw (V-Net, Sec. 2.3: L_mouth = || dk_mouth - dk'_mouth ||_1), mean over clips and frames.

    norm      "l1"; "l2": the square, whose gradient vanishes with the error
    summed    a norm as printed sums over the 74 coordinates; the released program takes their mean. Beside an energy
              loss that is a norm over 136 coordinates the mean is some seventy times weaker than the weights say.
    centred   the mean of the 37 points is taken from each frame first, so a rigid shift is free (released)
    velocity  the error of the first differences is added (released, all scripts but one)
    """
    pred, truth = (x[:, :, list(MOUTH)] for x in (pred, truth))
    if centred:
        pred, truth = (x - x.mean(2, keepdim=True) for x in (pred, truth))
    measure = {"l1": F.l1_loss, "l2": F.mse_loss}[norm]
    error = measure(pred, truth)
    error = error + measure(pred.diff(dim=1), truth.diff(dim=1)) if velocity else error
    return error * (2 * len(MOUTH) if summed else 1)


def motion_energy(pred: Float[Tensor, "b t 68 2"], truth: Float[Tensor, "b t 68 2"]) -> Float[Tensor, ""]:
    """Difference in how far and how fast every coordinate moves, mean over clips (V-Net, Sec. 2.3, L_energy).

        L = || E_t |dk| - E_t |dk'| ||_2 + || E_t |dk_t+1 - dk_t| - E_t |dk'_t+1 - dk'_t| ||_2      norms over 136

    The paper calls it a loss on "entropy"; it matches first absolute moments.
    """
    sizes = [(x.flatten(2).abs().mean(1), x.flatten(2).diff(dim=1).abs().mean(1)) for x in (pred, truth)]
    return sum(_norm(p - t).mean() for p, t in zip(*sizes, strict=True))


def net_drift_energy(
    pred: Float[Tensor, "b t 68 2"], truth: Float[Tensor, "b t 68 2"], *, with_mouth: bool = True
) -> Float[Tensor, ""]:
    """What the released program has for L_energy: mean squares in place of norms, and a second term of another meaning.

        L = mse(E_t |dk|, E_t |dk'|) + mse(|E_t (dk_t+1 - dk_t)|, |E_t (dk'_t+1 - dk'_t)|)

    The mean of differences is (last - first) / (T - 1): an oscillation that returns counts as no motion. The second
    term looks at points away from the mouth; so does the first without `with_mouth` (the script with two branches).
    """
    away = list(AWAY_FROM_MOUTH)
    sizes = [x.abs().mean(1) if with_mouth else x[:, :, away].abs().mean(1) for x in (pred, truth)]
    drifts = [net_drift(x[:, :, away]) for x in (pred, truth)]
    return F.mse_loss(*sizes) + F.mse_loss(*drifts)


def net_drift(offsets: Float[Tensor, "b t p 2"]) -> Float[Tensor, "b p 2"]:
    """|E_t (x_t+1 - x_t)| of every coordinate: |last - first| / (T - 1)."""
    return offsets.diff(dim=1).mean(1).abs()


def judge_real_and_made(real: Float[Tensor, "b 1"], made: Float[Tensor, "b 1"], form: str) -> Float[Tensor, ""]:
    """Loss of V-Net's discriminator on its verdicts in 0..1; the paper prints no form.

        least-squares  1/2 E (r - 0.9)^2 + 1/2 E f^2          margin (released)  1/2 E relu(0.9 - r) + 1/2 E relu(f)
    """
    if form == "least-squares":
        return 0.5 * (real - REAL).square().mean() + 0.5 * made.square().mean()
    return 0.5 * F.relu(REAL - real).mean() + 0.5 * F.relu(made).mean()


def pass_for_real(made: Float[Tensor, "b 1"], form: str) -> Float[Tensor, ""]:
    """Loss of V-Net's generator on the discriminator's verdicts in 0..1: (1 - f)^2, or relu(1 - f) as released."""
    return (1 - made).square().mean() if form == "least-squares" else F.relu(1 - made).mean()


def _norm(x: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
    return x.square().sum(-1).clamp_min(1e-16).sqrt()                        # the root has no gradient at 0
