"""One function per named loss, unweighted; weights belong to the configuration of an experiment.

Conventions: `pred` and `truth` are motion, offsets from the template, (B, T, D), D coordinates of vertices
(or coefficients of an orthonormal basis of them: distances are the same). All losses return a scalar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def vertex_mse(pred: Float[Tensor, "b t d"], truth: Float[Tensor, "b t d"]) -> Float[Tensor, ""]:
    """Mean squared error over all coordinates, in the squared unit of the input.

        L_vert = mean_{t,i} (V_ti - V'_ti)^2

    What EavaNet (Sec. III.B) calls "mean square errors" and what FaceFormer and CodeTalker train with.
    """
    return F.mse_loss(pred, truth)


def vertex_norm(pred: Float[Tensor, "b t d"], truth: Float[Tensor, "b t d"]) -> Float[Tensor, ""]:
    """Mean over frames of the norm of the whole error vector, in the unit of the input.

        L_vert = 1/T sum_t || V_t - V'_t ||_2

    EavaNet, Eq. 6 as printed (without the square its text announces; discrepancy 3d:V2).
    """
    return (pred - truth).square().sum(-1).clamp_min(1e-12).sqrt().mean()


def motion_l1(pred: Float[Tensor, "b t d"], truth: Float[Tensor, "b t d"]) -> Float[Tensor, ""]:
    """Mean absolute error over all coordinates, in the unit of the input (CodeTalker, stage 1, reconstruction)."""
    return F.l1_loss(pred, truth)


def style_cross_entropy(logits: Float[Tensor, "b e"], emotion: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Cross-entropy between the classified style embedding and the emotion label, in nats (EavaNet, Eq. 7, L_CE)."""
    return F.cross_entropy(logits, emotion)


def supervised_contrastive(
    style: Float[Tensor, "b d"], emotion: Int[Tensor, " b"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Supervised contrastive loss on normalised embeddings, in nats (Khosla et al. 2020, "out" form).

        L = - mean_i mean_{p in P(i)} log softmax_{j != i} (z_i . z_j / tau)_p,   P(i) = others of the same emotion

    The alternative that EavaNet (Sec. III.B) rejects without printing the comparison. Clips without a partner in the
    batch do not count; a batch without any pair gives 0.
    """
    z = F.normalize(style, dim=-1)
    other = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (emotion[:, None] == emotion[None, :]) & other
    similarity = (z @ z.T / temperature).masked_fill(~other, float("-inf"))
    log_share = similarity.log_softmax(-1).masked_fill(~positive, 0.0)          # -inf of the diagonal never counts
    per_clip = -log_share.sum(-1) / positive.sum(-1).clamp_min(1)
    has_pair = positive.any(-1)
    return per_clip[has_pair].mean() if has_pair.any() else style.sum() * 0.0


# ECM (paper 001): the terms of its released trainer and the two of its paper ------------------------------------------
#
# Vertices (B, T, V, 3) in metres, `valid` (B, T) marks the frames that are no padding (None: all). Its paper has L_vx,
# which is `motion_l1` of the face's vertices, and L_lm, `mouth_size`; weights are not given (discrepancy 3d:E11).

ECM_WEIGHTS: Mapping[str, float] = {
    "vertex": 50_000.0, "mouth": 0.5, "jaw_silence": 250.0, "jaw_velocity": 1.0, "mouth_params": 10.0, "prior": 1.0,
}  # fmt: skip
JAW_RANGE = 0.75                                                                    # rad
FLAME_MOUTH_RANGES: Mapping[int, float] = {0: 2, 1: 10, 3: 6, 5: 7.3, 6: 10.4, 7: 7, 53: JAW_RANGE}


@dataclass(frozen=True)
class Mouth:
    """Four vertices of a mesh, and the height and width in metres that the differences are measured by."""

    top: int
    bottom: int
    left: int
    right: int
    height_m: float = 0.017                                                         # 1 / d_2
    width_m: float = 0.0476                                                         # 1 / d_1


FLAME_MOUTH = Mouth(top=3547, bottom=3513, left=2845, right=1730)


def vertex_smooth_l1(
    pred: Float[Tensor, "b t v 3"], truth: Float[Tensor, "b t v 3"], valid: Bool[Tensor, "b t"] | None = None, *,
    beta: float = 0.01,
) -> Float[Tensor, ""]:
    """Huber-like mean over valid frames and coordinates, in metres (ECM, released; the paper says L1).

        l(x) = x^2 / (2 beta)  where |x| < beta,  |x| - beta / 2  elsewhere

    beta is 10 mm: nearly all errors of a trained network lie in the square zone.
    """
    return _valid_mean(F.smooth_l1_loss(pred, truth, beta=beta, reduction="none").mean((-2, -1)), valid)


def mouth_vector(
    pred: Float[Tensor, "b t v 3"], truth: Float[Tensor, "b t v 3"], mouth: Mouth,
    valid: Bool[Tensor, "b t"] | None = None,
) -> Float[Tensor, ""]:
    """Difference of the lip-to-lip and corner-to-corner vectors, summed over the frames of a clip (ECM, released).

        L = 1/B sum_{b,t,xyz} |h_t - h'_t| / 0.017 + |w_t - w'_t| / 0.0476,   h = v_top - v_bottom, w = v_right - v_left

    No unit. Unlike `mouth_size` it also sees a mouth that is turned or shifted sideways.
    """
    error = pred - truth
    height, width = _mouth_vectors(error, mouth)                                    # (B, T, 3)
    per_frame = (height.abs() / mouth.height_m + width.abs() / mouth.width_m).sum(-1)
    return (per_frame if valid is None else per_frame * valid).sum() / len(pred)


def mouth_size(
    pred: Float[Tensor, "b t v 3"], truth: Float[Tensor, "b t v 3"], mouth: Mouth,
    valid: Bool[Tensor, "b t"] | None = None,
) -> Float[Tensor, ""]:
    """Difference of height and width of the mouth, mean over frames, no unit (ECM, Eq. 5).

        L_lm = d_1 |H_p - H_g| + d_2 |V_p - V_g|,   V = |v_t - v_b|, H = |v_l - v_r|

    Needs vertices, not offsets.
    """
    sizes = [[vector.square().sum(-1).clamp_min(1e-16).sqrt() for vector in _mouth_vectors(x, mouth)]
             for x in (pred, truth)]                                                # height and width, (B, T) each
    (height_p, width_p), (height_t, width_t) = sizes
    error = (height_p - height_t).abs() / mouth.height_m + (width_p - width_t).abs() / mouth.width_m
    return _valid_mean(error, valid)


def silent_frames(audio: Float[Tensor, "b n"], frames: int, samples_per_frame: int = 533) -> Bool[Tensor, "b t"]:
    """Frames the released trainer of ECM takes for silence, (B, T), in a zero-padded batch of 16 kHz audio.

    A frame is quiet where its mean |x| is below 0.35 times that of the padded clip. From left to right, each frame is
    then set to what at least two of the three around it say, earlier frames as already set; the ends stay as they are.
    The padding lowers the threshold: whether a frame is silent depends on the longest clip of the batch.
    """
    loudness = audio.abs()
    padding = max(0, frames * samples_per_frame - audio.shape[1])
    per_frame = F.pad(loudness, (0, padding))[:, : frames * samples_per_frame].unflatten(1, (frames, -1)).mean(-1)
    silent = (per_frame < 0.35 * loudness.mean(1, keepdim=True)).int()
    for t in range(1, frames - 1):
        silent[:, t] = silent[:, t - 1 : t + 2].sum(1) >= 2
    return silent.bool()


def jaw_silence(
    pitch: Float[Tensor, "b t"], silent: Bool[Tensor, "b t"], valid: Bool[Tensor, "b t"] | None = None
) -> Float[Tensor, ""]:
    """Jaw opening where the speech pauses, in multiples of 0.75 rad, mean over all frames, padding too (ECM, released).

        L = 1/(B T) sum_{silent and valid} |theta| / 0.75
    """
    silent = silent if valid is None else silent & valid
    return (pitch.abs() / JAW_RANGE * silent).mean()


def jaw_velocity(
    pred: Float[Tensor, "b t"], truth: Float[Tensor, "b t"], valid: Bool[Tensor, "b t"] | None = None
) -> Float[Tensor, ""]:
    """Change of the jaw error from frame to frame (ECM, released).

        L = T mean_t | e_t - e_{t-1} |,   e = |theta - theta'| / 0.75

    The error is taken as 0 in the padding, so a step counts where a clip ends. An error that changes its sign counts
    as none: this is not a difference of velocities.
    """
    error = (pred - truth).abs() / JAW_RANGE
    error = error if valid is None else error * valid
    return error.diff(dim=1).abs().mean() * error.shape[1]


def mouth_parameters(
    pred: Float[Tensor, "b t p"], truth: Float[Tensor, "b t p"], valid: Bool[Tensor, "b t"] | None = None,
    ranges: Mapping[int, float] = FLAME_MOUTH_RANGES,
) -> Float[Tensor, ""]:
    """Absolute error of the parameters that move the mouth, each by its range (ECM, released).

    Mean over all P parameters and all frames: those without a range, and the padding, count as 0.
    """
    error = (pred - truth)[..., list(ranges)].abs() / pred.new_tensor(list(ranges.values()))
    return (error if valid is None else error * valid[..., None]).sum() / pred.numel()


def prior_l1(
    pred: Float[Tensor, "b t e"], truth: Float[Tensor, "b t e"], valid: Bool[Tensor, "b t"] | None = None
) -> Float[Tensor, ""]:
    """Mean absolute error of the emotion prior heard in the speech (ECM, released; the paper: mutual information).

    The released target is the z-scored prior of the video after a moving average of 31 frames.
    """
    return _valid_mean((pred - truth).abs().mean(-1), valid)


def _mouth_vectors(vertices: Tensor, mouth: Mouth) -> tuple[Tensor, Tensor]:
    height = vertices[..., mouth.top, :] - vertices[..., mouth.bottom, :]
    return height, vertices[..., mouth.right, :] - vertices[..., mouth.left, :]


def _valid_mean(per_frame: Float[Tensor, "b t"], valid: Bool[Tensor, "b t"] | None) -> Float[Tensor, ""]:
    return per_frame.mean() if valid is None else per_frame[valid].mean()
