"""Pictures of paper 002: what the masks let through, and faces as drawn landmarks and translated pictures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from lib.experiments import vnet
from lib.experiments.tracks import CROP, Tracks
from lib.face.drawing import draw
from lib.face.registration import register
from lib.models.vnet import RELEASED, branch_masks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOMENTS = 6


def mask_figure(trained: "vnet.Trained") -> "Figure":
    """The frozen weights of both branches, and how far each input moves each point of the trained network."""
    import matplotlib.pyplot as plt

    template = trained.material.data.template(0)
    weights = {f"{name} branch, frozen weight": mask[:, 0].numpy()
               for name, mask in zip(("lingual", "emotion"), branch_masks(), strict=True)}
    shown = weights | {f"moved by the {name}": x / max(x.max(), 1e-12) for name, x in point_gradients(trained).items()}
    figure, panels = plt.subplots(1, len(shown), figsize=(13, 3.4), constrained_layout=True)
    for axes, (title, value) in zip(panels, shown.items(), strict=True):
        dots = axes.scatter(*template.T, c=value, cmap="viridis", vmin=0, vmax=1, s=22)
        axes.set(title=title, aspect="equal", xticks=[], yticks=[])
        axes.invert_yaxis()
    figure.colorbar(dots, ax=panels, label="weight, or share of the largest", fraction=0.02)
    return figure


def point_gradients(trained: "vnet.Trained") -> dict[str, np.ndarray]:
    """Sum of absolute gradients (68,) of every point's offsets in the mel spectrogram and in the emotion features."""
    batch, generator = vnet.watched_windows(trained.material), trained.model.generator
    quality = trained.model.emotion.speech(batch.mfcc).quality.detach().requires_grad_()
    mel = batch.mel.clone().requires_grad_()
    offsets = generator(mel, quality).offsets
    felt = [torch.autograd.grad(offsets[:, :, p].sum(), (mel, quality), retain_graph=True) for p in range(68)]
    return {name: np.array([float(both[i].abs().sum()) for both in felt])
            for i, name in enumerate(("mel spectrogram", "emotion features"))}


def faces_figure(data: Tracks, clip: int, systems: Mapping[str, np.ndarray]) -> "Figure":
    """Moments of a clip: true and predicted landmarks drawn, pictures below them, post-processing last.

    systems: title -> landmarks (T, 68, 2) in pixels of the crop. The true picture is rendered, all others are
    translated from registered landmarks, as the network was taught; what the translation itself does to a face shows in
    that of the true landmarks.
    """
    import matplotlib.pyplot as plt

    from lib import figures
    from lib.experiments.landmark_videos import puppet_panels

    at = np.linspace(0, len(data.landmarks[clip]) - 1, MOMENTS + 2).astype(int)[1:-1]
    drawn = {"truth": data.landmarks[clip], **systems}
    rows = {f"{name}, drawn": draw(points[at], "makeittalk", CROP) for name, points in drawn.items()}
    translated = {f"{name}, translated": points for name, points in still_faces(data, clip, drawn).items()}
    panels = puppet_panels(data, clip, translated)
    rows |= {"truth, rendered": panels["truth"][at], **{name: panels[name][at] for name in translated}}
    first = next(iter(systems))
    rows[f"{first}, post-processed"] = draw(RELEASED(systems[first])[at], "makeittalk", CROP)
    figure, axes = plt.subplots(len(rows), MOMENTS, figsize=(1.6 * MOMENTS, 1.6 * len(rows)), constrained_layout=True)
    figures.pictures(axes, list(rows.values()), [f"{frame / data.fps:.2f} s" for frame in at], list(rows))
    for left, name in zip(axes[:, 0], rows, strict=True):
        left.set_ylabel(name.replace(", ", "\n"), fontsize=8)
    return figure


def still_faces(data: Tracks, clip: int, systems: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same landmarks without head motion, which image translation was taught to draw."""
    return {name: register(points, data.template(clip)) for name, points in systems.items()}
