"""Emotion recognised in the voice, one template for each emotion, added to the mouth; a rival in ECM.

Source: Chun et al., "Emotion guided speech-driven facial animation", SIGGRAPH Asia 2021 Posters, known here from what
ECM says of it: emotional blendshapes are strengthened by emotion recognition and fused with those of the mouth; each
template is prepared by hand and applied to all frames alike.

    V_t = M_t + sum_e p_e T_e,     p = softmax(classifier(mean over time of the features))

symbol  here        shape       meaning
        hidden      (B, S, C)   speech features, k = `per_frame` for each motion frame
        condition   (B, S')     one-hot subject, or empty
p       weights     (B, E)      probability of each emotion, one for the whole clip
T       templates   (E, K)      expression of each emotion; not trained
M       mouth       (B, T, K)   motion of speech
V       motion      (B, T, K)   their sum

Ours, because nothing above settles it: all sizes; three convolutions over 5 motion frames for the mouth (the precise
lips ECM sees ask for no long memory); a template is the mean motion of an emotion less that of neutral over the
training clips (`store_templates`), where the authors shape it by hand; templates move the whole face, mouth included;
the recognised probabilities are the blending weights and are learned from the label alone, so that the motion loss
cannot turn them into free style codes; losses are mean squared error and cross-entropy (`losses`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import losses as terms
from lib.errors import InputError
from lib.models import parts

NEUTRAL = 0


@dataclass(frozen=True)
class Config:
    """Sizes (ours)."""

    motion_width: int = 52
    audio_width: int = 768
    emotions: int = 7
    subjects: int = 0
    per_frame: int = 2
    width: int = 128
    kernel: int = 5  # motion frames
    layers: int = 3
    dropout: float = 0.1


class Prediction(NamedTuple):
    """Motion (B, T, K) and the logits of the recognised emotion (B, E)."""

    motion: Tensor
    logits: Tensor


class Chun21(nn.Module):
    def __init__(self, config: Config | None = None):
        super().__init__()
        c = self.config = config or Config()
        inputs = [c.per_frame * c.audio_width + c.subjects, *[c.width] * (c.layers - 1)]
        self.convolutions = nn.ModuleList(nn.Conv1d(n, c.width, c.kernel, padding="same") for n in inputs)
        self.mouth_out = nn.Linear(c.width, c.motion_width)
        self.classifier = nn.Sequential(
            nn.Linear(c.audio_width, c.width), nn.Tanh(), nn.Dropout(c.dropout), nn.Linear(c.width, c.emotions)
        )
        self.register_buffer("templates", torch.zeros(c.emotions, c.motion_width))
        nn.init.zeros_(self.mouth_out.weight)
        nn.init.zeros_(self.mouth_out.bias)

    def recognise(self, hidden: Tensor) -> Tensor:
        """Logits (B, E) of the emotion of a clip, from features (B, S, C)."""
        parts.check_sequence(hidden, self.config.audio_width, "features")
        return self.classifier(hidden.mean(1))

    def mouth(self, hidden: Tensor, condition: Tensor | None, frames: int) -> Tensor:
        """Motion of speech (B, T, K) without any template."""
        c = self.config
        parts.check_sequence(hidden, c.audio_width, "features")
        parts.check_audio_frames(frames, hidden.shape[1], c.per_frame)
        condition = hidden.new_zeros(len(hidden), 0) if condition is None else condition
        parts.check_row(condition, len(hidden), c.subjects, "condition")
        x = hidden[:, : frames * c.per_frame].unflatten(1, (frames, c.per_frame)).flatten(2)
        x = torch.cat([x, condition[:, None].expand(-1, frames, -1)], -1).mT
        for convolution in self.convolutions:
            x = F.dropout(F.relu(convolution(x)), c.dropout, self.training)
        return self.mouth_out(x.mT)

    def decode(self, hidden: Tensor, condition: Tensor | None, frames: int, weights: Tensor | None = None) -> Tensor:
        """Motion (B, T, K) from features (B, >= kT, C) and condition (B, subjects), or None where there is none.

        `weights` (B, E) replace the recognised probabilities: an emotion, or a strength of it, chosen by hand.
        Raises InputError naming the argument that does not fit or is not finite.
        """
        mouth = self.mouth(hidden, condition, frames)
        weights = self.recognise(hidden).softmax(-1).detach() if weights is None else weights
        parts.check_row(weights, len(hidden), self.config.emotions, "emotion weights")
        return mouth + (weights @ self.templates)[:, None]

    def forward(self, hidden: Tensor, condition: Tensor | None, frames: int) -> Prediction:
        """Training path: motion and the logits it was blended with."""
        logits = self.recognise(hidden)
        return Prediction(self.decode(hidden, condition, frames, logits.detach().softmax(-1)), logits)

    @torch.no_grad()
    def store_templates(self, motion: Tensor, emotion: Tensor) -> None:
        """Take the templates from mean motions (N, K) of the training clips and their emotions (N,), neutral first.

        Raises InputError naming an emotion without any clip.
        """
        parts.check_row(motion, len(emotion), self.config.motion_width, "mean motion")
        for e in range(self.config.emotions):
            if not (emotion == e).any():
                raise InputError(f"no training clip of emotion {e}: its template cannot be computed")
        means = torch.stack([motion[emotion == e].mean(0) for e in range(self.config.emotions)])
        self.templates.copy_(means - means[NEUTRAL])


def losses(result: Prediction, motion: Tensor, emotion: Tensor) -> dict[str, Tensor]:
    """Unweighted terms: motion, mean squared error to (B, T, K); emotion, cross-entropy with the label (B,) in nats."""
    return {
        "motion": terms.vertex_mse(result.motion, motion),
        "emotion": terms.style_cross_entropy(result.logits, emotion),
    }
