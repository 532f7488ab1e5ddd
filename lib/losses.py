"""One function per named loss, unweighted; weights belong to the configuration of an experiment.

Conventions: `pred` and `truth` are motion, offsets from the template, (B, T, D), D coordinates of vertices
(or coefficients of an orthonormal basis of them: distances are the same). All losses return a scalar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


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
