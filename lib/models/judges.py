"""Two emotion judges on facial landmarks, of different families (protocol: independent judges).

judge        sees                                               decides by
statistics   mean, spread, 10th and 90th percentile over time   linear discriminants with shared, shrunk covariance
course       the landmarks over time                            a small convolutional network

Both see only shape: displacement from the person's own neutral landmarks, divided by the distance of the outer eye
corners, so neither unit nor identity matters. Head motion must be removed before. They measure and never train, select
or weigh a method: nothing they return carries a gradient, and their actors, sentences and seeds are their own.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.face.landmarks import COUNT

FPS = 25
EYE_CORNERS = (36, 45)              # outer corners of the eyes in the 68-point scheme


def displacement(landmarks: np.ndarray, template: np.ndarray, fps: float = FPS) -> np.ndarray:
    """Displacement (T', 204) at 25 fps in eye distances, from landmarks (T, 68, 3) and the neutral template (68, 3).

    Raises InputError for other shapes, fewer than five frames, or values that are not finite.
    """
    landmarks, template = np.asarray(landmarks, np.float64), np.asarray(template, np.float64)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (COUNT, 3) or template.shape != (COUNT, 3):
        raise InputError(f"landmarks {landmarks.shape}, template {template.shape}: expected (T, 68, 3) and (68, 3)")
    if len(landmarks) < 5 or not (np.isfinite(landmarks).all() and np.isfinite(template).all()):
        raise InputError(f"landmarks: expected at least 5 frames of finite numbers, got {len(landmarks)} frames")
    right, left = (template[i] for i in EYE_CORNERS)
    shape = (landmarks - template) / np.linalg.norm(left - right)
    return _at_25_fps(shape.reshape(len(shape), -1), fps).astype(np.float32)


def _at_25_fps(values: np.ndarray, fps: float) -> np.ndarray:
    """Values (T, D) at `fps`, linear in time, at 25 fps."""
    if fps == FPS:
        return values
    at = np.arange(int(len(values) * FPS / fps + 1e-6)) * fps / FPS
    low = np.minimum(at.astype(int), len(values) - 1)
    high, part = np.minimum(low + 1, len(values) - 1), (at - low)[:, None]
    return (1 - part) * values[low] + part * values[high]


class Judge:
    """What both judges share: `predict_proba` over all emotions they know or over a subset."""

    name: str

    def __init__(self, emotions: tuple[str, ...]):
        self.emotions = emotions

    def log_odds(self, moved: np.ndarray) -> np.ndarray:
        """Unnormalised log probabilities (K,) of displacement (T, 204)."""
        raise NotImplementedError

    def predict_proba(
        self, landmarks: np.ndarray, template: np.ndarray, *, emotions: tuple[str, ...] | None = None, fps: float = FPS
    ) -> np.ndarray:
        """Probabilities (K,) of `emotions` (all the judge knows, or the ones that can occur), in that order.

        landmarks (T, 68, 3) without head motion and template (68, 3) of the same person's neutral face, in one unit.
        """
        log_odds = self.log_odds(displacement(landmarks, template, fps)).astype(np.float64)
        log_odds = log_odds[self._columns(self.emotions if emotions is None else emotions)]
        odds = np.exp(log_odds - log_odds.max())
        return odds / odds.sum()

    def predict(self, landmarks: np.ndarray, template: np.ndarray, **options) -> str:
        """Most probable emotion; options as in `predict_proba`."""
        known = options.get("emotions") or self.emotions
        return known[int(self.predict_proba(landmarks, template, **options).argmax())]

    def _columns(self, emotions: tuple[str, ...]) -> list[int]:
        unknown = set(emotions) - set(self.emotions)
        if unknown or not emotions:
            raise InputError(f"emotions {sorted(unknown)}: judge {self.name!r} knows {', '.join(self.emotions)}")
        return [self.emotions.index(e) for e in emotions]


def statistics(moved: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, 10th and 90th percentile over time of (T, 204), in one row (816,)."""
    low, high = np.percentile(moved, [10, 90], axis=0)
    return np.concatenate([moved.mean(0), moved.std(0), low, high])


@dataclass
class Discriminants:
    """Linear discriminant analysis: log p(k | x) = w_k . x + b_k + constant, after standardising x."""

    centre: np.ndarray              # (D,)
    scale: np.ndarray               # (D,)
    weights: np.ndarray             # (D, K)
    bias: np.ndarray                # (K,)

    @classmethod
    def fit(cls, rows: np.ndarray, labels: np.ndarray, classes: int, shrinkage: float) -> "Discriminants":
        """From rows (N, D) and labels (N,) in 0..K-1, equal priors, covariance (1 - s) S + s I of standardised rows."""
        centre, scale = rows.mean(0), rows.std(0) + 1e-6
        x = (rows - centre) / scale
        means = np.stack([x[labels == k].mean(0) for k in range(classes)])              # (K, D)
        within = x - means[labels]
        covariance = (1 - shrinkage) * within.T @ within / len(x) + shrinkage * np.eye(x.shape[1])
        weights = np.linalg.solve(covariance, means.T)                                  # (D, K)
        return cls(centre, scale, weights, -0.5 * (means.T * weights).sum(0))

    def __call__(self, row: np.ndarray) -> np.ndarray:
        return (row - self.centre) / self.scale @ self.weights + self.bias


class StatisticsJudge(Judge):
    """Linear discriminants on statistics over time."""

    name = "statistics"

    def __init__(self, emotions: tuple[str, ...], discriminants: Discriminants):
        super().__init__(emotions)
        self.discriminants = discriminants

    def log_odds(self, moved: np.ndarray) -> np.ndarray:
        return self.discriminants(statistics(moved))


class CourseNetwork(nn.Module):
    """Displacement (B, T, 204) to emotion logits (B, K): two strided convolutions, then mean and maximum over time."""

    def __init__(self, classes: int, width: int = 48):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))          # displacements are a few hundredths of the eye distance
        self.layers = nn.Sequential(
            nn.Conv1d(3 * COUNT, width, 5, stride=2, padding=2), nn.GELU(), nn.Dropout(0.2),
            nn.Conv1d(width, width, 5, stride=2, padding=2), nn.GELU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.out = nn.Linear(2 * width, classes)

    def forward(self, moved: Tensor) -> Tensor:
        seen = self.layers(self.scale * moved.transpose(1, 2))                           # (B, width, T / 4)
        return self.out(torch.cat([seen.mean(-1), seen.amax(-1)], -1))


class CourseJudge(Judge):
    """The convolutional network on landmarks over time."""

    name = "course"

    def __init__(self, emotions: tuple[str, ...], network: CourseNetwork):
        super().__init__(emotions)
        self.network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def log_odds(self, moved: np.ndarray) -> np.ndarray:
        return self.network(torch.from_numpy(moved)[None])[0].numpy()
