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
