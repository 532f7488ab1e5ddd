"""Plots of the study: functions take axes, draw on them, return them; a method has one colour in all notebooks."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers as well
COLOURS = {
    "eavanet": "#0072B2", "faceformer": "#E69F00", "codetalker": "#009E73", "ecm": "#CC79A7", "emoface": "#D55E00",
    "cfd": "#56B4E9", "vnet": "#8C6D31", "emotalk": "#7B3294", "gt": "#000000", "control": "#999999",
    "voca": "#882255", "pham17": "#332288", "chun21": "#999933",                           # rivals of one paper alone
    "makeittalk": "#CC6677", "pcavs": "#44AA99",                                           # rivals of both 2D papers
}
EMOTION_COLOURS = {
    "neutral": "#7F7F7F", "happy": "#E69F00", "sad": "#0072B2", "angry": "#D55E00", "fearful": "#CC79A7",
    "disgusted": "#009E73", "surprised": "#56B4E9", "contempt": "#8C6D31",
}


def colour(system: str) -> str:
    """Colour of a system ("ecm/code", "eavanet: faceformer"): that of its method; controls are grey."""
    method = re.split("[/~@]", system.split(": ")[-1])[0]
    return COLOURS.get(method, COLOURS["control"])


def dots_with_intervals(axes: Axes, table: pd.DataFrame, value: str, unit: str) -> Axes:
    """One row per system: mean, 95 % interval and the seeds as small dots.

    `table` has the columns system, mean, low, high and, where seeds are to be shown, seeds (list of numbers).
    """
    for y, row in enumerate(table.itertuples()):
        axes.plot([row.low, row.high], [y, y], color=colour(row.system), lw=2, solid_capstyle="round")
        axes.plot(row.mean, y, "o", color=colour(row.system), ms=6)
        seeds = getattr(row, "seeds", [])
        axes.plot(seeds, np.full(len(seeds), y), "|", color="black", ms=7, mew=0.8, alpha=0.6)
    axes.set_yticks(range(len(table)), table.system)
    axes.invert_yaxis()
    axes.set_xlabel(f"{value} ({unit})" if unit else value)
    axes.grid(axis="x", alpha=0.3)
    return axes


def scatter_by(axes: Axes, points: np.ndarray, labels: Sequence, title: str, colours: Mapping | None = None) -> Axes:
    """Two-dimensional points (N, 2) coloured by label, up to twenty of them, words by letter and numbers by size; the
    axes of an embedding have no unit and no ticks."""
    names = sorted(dict.fromkeys(labels), key=lambda name: (len(str(name)) * str(name).isdigit(), str(name)))
    shades = [f"C{i}" for i in range(10)] if len(names) <= 10 else list(colormaps["tab20"].colors)
    for i, name in enumerate(names):
        chosen = np.array([label == name for label in labels])
        axes.scatter(*points[chosen].T, s=16, label=str(name), color=(colours or {}).get(name, shades[i % len(shades)]),
                     alpha=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return axes


def intensity_curves(axes: Axes, table: pd.DataFrame, title: str) -> Axes:
    """Achieved intensity over requested alpha per emotion: mean over clips, band from quartile to quartile."""
    for emotion, rows in table.groupby("emotion"):
        spread = rows.groupby("alpha").achieved.quantile([0.25, 0.5, 0.75]).unstack()
        axes.plot(spread.index, spread[0.5], "o-", ms=4, color=EMOTION_COLOURS[emotion], label=emotion)
        axes.fill_between(spread.index, spread[0.25], spread[0.75], color=EMOTION_COLOURS[emotion], alpha=0.15, lw=0)
    limits = np.array([table.alpha.min(), table.alpha.max()])
    axes.plot(limits, limits, "--", color="black", lw=1, label="requested = achieved")
    axes.set(xlabel="requested intensity alpha", ylabel="achieved intensity (1 = full, true)", title=title)
    axes.legend(fontsize=8, frameon=False)
    return axes


def curves(axes: Axes, seconds: np.ndarray, tracks: Mapping[str, np.ndarray], ylabel: str, title: str = "") -> Axes:
    """Curves over time, one per system or emotion, in its colour; the truth is black."""
    for name, track in tracks.items():
        shade = COLOURS.get(name, EMOTION_COLOURS.get(name))                 # None: the next of matplotlib's cycle
        axes.plot(seconds[: len(track)], track, label=name, color=shade, lw=2.0 if name == "gt" else 1.3)
    axes.set(xlabel="time (s)", ylabel=ylabel, title=title)
    axes.label_outer()
    axes.legend(fontsize=8, frameon=False, ncols=2)
    return axes


def token_weights(axes: Axes, weights: np.ndarray, emotions: Sequence[str], title: str) -> Axes:
    """Heat map of mean token weight: rows are emotions, columns are heads x tokens (EavaNet, Fig. 3)."""
    flat = weights.reshape(len(emotions), -1)
    image = axes.imshow(flat, aspect="auto", cmap="magma", vmin=0)
    tokens = weights.shape[-1]
    for head in range(1, weights.shape[1]):
        axes.axvline(head * tokens - 0.5, color="white", lw=1)
    axes.set(yticks=range(len(emotions)), yticklabels=emotions, title=title, xticks=[],
             xlabel=f"{weights.shape[1]} heads x {tokens} tokens")
    axes.figure.colorbar(image, ax=axes, label="attention weight", fraction=0.04, pad=0.02)
    return axes


def pictures(axes_grid: np.ndarray, images: Sequence[Sequence[np.ndarray]], columns: Sequence[str],
             rows: Sequence[str]) -> np.ndarray:
    """Grid of rendered faces (rows x columns of (H, W, 3) images) with row and column titles."""
    for axes, image in zip(axes_grid.flat, [image for row in images for image in row], strict=True):
        axes.imshow(image)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for axes, name in zip(axes_grid[0], columns, strict=True):
        axes.set_title(name, fontsize=9)
    for axes, name in zip(axes_grid[:, 0], rows, strict=True):
        axes.set_ylabel(name, fontsize=9)
    return axes_grid


def confusion(axes: Axes, table: pd.DataFrame, title: str) -> Axes:
    """Row-normalised confusion matrix (rows: truth), per cent."""
    import seaborn

    share = 100 * table.div(table.sum(axis=1), axis=0)
    seaborn.heatmap(share, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar_kws={"label": "%"}, ax=axes)
    axes.set(xlabel="recognised", ylabel="true", title=title)
    axes.tick_params(axis="x", rotation=60)
    axes.tick_params(axis="y", rotation=0)
    return axes
