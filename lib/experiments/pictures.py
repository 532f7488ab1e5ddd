"""What a method that moves a mesh looks like: videos with sound, strips of faces, faces beside the truth.

Every function takes an animator (lib.player.Animator) or plain vertices (T, V, 3) in mm, so that any method of the
study can be shown alike. `real_speech` writes files; `strip` and `compare` return figures for the caller to save.

Licences. A video carries the licence of its sound. Pictures of the embedded head and of the ICT face (MIT) with the
puppet's own voice are free and belong to the committed results. RAVDESS is CC BY-NC-SA 4.0: a video with its sound is
an adaptation that may be passed on only without profit, with the authors named and under the same licence, which is not
the licence of this repository. Such videos are written beside the others for whoever runs the study, carry origin and
licence inside the file, and are ignored by git (`*ravdess*`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lib.errors import AssetMissing, InputError
from lib.face.topology import Topology
from lib.player import Animator, lip_opening

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from lib.face.render import Renderer

SIZE = 384                       # pixels of one face in a video
WIDTH = 1536                     # of a whole video at most: what a screen shows, and drawing more costs
STRIP_SIZE = 320                 # and in a figure
WITH_TITLE = {"height_mm": 302.0, "centre": (0.0, 22.0, 20.0)}            # room for a title above the head
CLOSE = {"height_mm": 258.0, "centre": (0.0, 22.0, 20.0)}
SIDES = 0.14                     # share of a figure's picture cut off left and right
ALPHAS = (0.0, 0.3, 0.7, 1.0, 1.3)
RAVDESS_CLIPS = ("03-01-05-02-01-01-01", "03-01-03-02-01-01-02",         # man angry, woman happy, both strong
                 "03-01-03-02-01-01-01", "03-01-05-02-01-01-02")         # and the other way round; first statement
RAVDESS_CREDIT = "RAVDESS, Livingstone & Russo (2018), doi 10.5281/zenodo.1188976"
OWN_CREDIT = ("voice of the embedded puppet corpus (eSpeak NG)", "free")


@dataclass(frozen=True, eq=False)
class Sound:
    """A waveform (N,) at 16 kHz with the name, origin and licence that a video of it must carry."""

    name: str
    audio: np.ndarray
    origin: str
    licence: str


def sounds(animator: Animator, real: int = 2, own: int = 1) -> list[Sound]:
    """The first `own` clips of the animator and `real` (0 to 4) of RAVDESS: two speakers, two emotions, one sentence.

    Without RAVDESS (asset "ravdess_speech") only the animator's own.
    """
    mine = [Sound(_file_name(name), audio, *OWN_CREDIT) for name, audio in list(animator.clips)[:own]]
    return mine + _ravdess(real)


def _ravdess(count: int) -> list[Sound]:
    from lib import manifest
    from lib.data import ravdess

    try:
        clips = ravdess.clips(manifest.require("ravdess_speech", use="research"))
    except AssetMissing:
        return []
    licence = manifest.get("ravdess_speech").licence
    places = {name: i for i, name in enumerate(clips.ids)}
    wanted = [f"ravdess-{name}" for name in RAVDESS_CLIPS if f"ravdess-{name}" in places][:count]
    return [Sound(name, clips[places[name]].audio, RAVDESS_CREDIT, licence) for name in wanted]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=-]+", "-", name).strip("-")


# Faces ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Face:
    """A face that motion is shown on. `carry` takes an animator's motions (title -> (T, V, 3)) to this face's vertices
    and says in mm what it could not follow (mean over frames and front vertices)."""

    name: str
    topology: Topology
    carry: Callable[[Mapping[str, np.ndarray]], tuple[dict[str, np.ndarray], float]]


def faces(topology: Topology) -> list[Face]:
    """The animator's own face and, for motion of the puppet where the asset is present, the ICT face."""
    own = Face(topology.name, topology, lambda motions: (dict(motions), 0.0))
    try:
        return [own, ict()] if topology.name == "puppet" else [own]
    except AssetMissing:
        return [own]


def ict() -> Face:
    """The ICT face following the puppet through its rig curves. Raises AssetMissing without `ict_face_model`."""
    from lib.face.ict import ict_face

    return Face("ict", ict_face().topology, _to_ict)


def _to_ict(motions: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """One fit for all motions, which share their speaker; the residual is that of the puppet with the fitted curves."""
    from lib.face.ict import ict_face
    from lib.puppet.retarget import fit, residual_mm

    together = np.concatenate(list(motions.values()))
    rig, identity = fit(together)
    ends = np.cumsum([len(motion) for motion in motions.values()])[:-1]
    moved = {title: ict_face().vertices(part) for title, part in zip(motions, np.split(rig, ends), strict=True)}
    return moved, residual_mm(together, rig, identity)


# Videos --------------------------------------------------------------------------------------------------------------


def side_by_side(path: Path | str, motions: Mapping[str, np.ndarray], face: "Topology | Renderer",
                 audio: np.ndarray | None, fps: float, *, size: int = SIZE, comment: str = "",
                 progress: bool = True) -> Path:
    """One mp4 with sound: the faces of all motions (title -> vertices (T, V, 3) mm) beside each other, titled.

    `face` is the topology, or a Renderer to reuse (then its size counts). The frames are drawn without smoothed edges,
    half the time. Raises InputError when there is nothing to show or the motions differ in length or mesh.
    """
    from tqdm.auto import tqdm

    from lib.face.render import write_video

    frames = _frames(motions)
    renderer = _for_video(face, size) if isinstance(face, Topology) else face
    labels = [_label(title, renderer.size) for title in motions]

    def pictures():
        for together in tqdm(zip(*motions.values(), strict=True), total=frames, desc=Path(path).name, unit="frame",
                             leave=False, disable=not progress):
            yield np.concatenate([_titled(renderer.image(v), m) for v, m in zip(together, labels, strict=True)], 1)

    try:
        return write_video(Path(path), pictures(), fps, audio, comment=comment)
    finally:
        if renderer is not face:
            renderer.close()


def _for_video(topology: Topology, size: int) -> "Renderer":
    from lib.face.render import Renderer

    return Renderer(topology, size, smooth_edges=False, **WITH_TITLE)


def _frames(motions: Mapping[str, np.ndarray]) -> int:
    shapes = {title: np.shape(motion) for title, motion in motions.items()}
    if not shapes or len(set(shapes.values())) > 1 or not next(iter(shapes.values()))[0]:
        raise InputError(f"faces side by side need motions (T, V, 3) of one length and mesh, got {shapes}")
    return next(iter(shapes.values()))[0]


def _label(title: str, size: int) -> np.ndarray:
    """How much of a title covers each pixel of the upper edge, (h, size, 1) in 0..1; drawn once, not per frame."""
    from PIL import Image, ImageDraw

    height = max(16, size // 12)
    page = Image.new("L", (size, height + 6), 0)
    ImageDraw.Draw(page).text((size / 2, 5), title, fill=255, font_size=max(11, size // 18), anchor="ma")
    return np.asarray(page, np.float32)[..., None] / 255


def _titled(picture: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The picture with a dark title over its upper edge."""
    picture = picture.copy()
    picture[: len(label)] = (picture[: len(label)] * (1 - 0.85 * label)).astype(np.uint8)
    return picture


def real_speech(animator: Animator, folder: Path | str, prefix: str, *, real: int = 2, own: int = 1,
                show: Sequence[Face] = (), alpha: float = 1.0, progress: bool = True) -> "pd.DataFrame":
    """Speech in, face out: `folder`/<prefix>_<clip>_<face>.mp4 of every clip of `sounds`, the animator's own on every
    face of `show` (default: those of `faces`), recordings on the first one alone: it is drawn in a third of the time.

    Each video shows all emotions of the animator at intensity `alpha` side by side, with the clip's sound uncut.
    Returns clip | origin | licence | seconds | face | file | residual_mm; the last is the mean distance between the
    animated vertices and those the other face could be told about (0 on the animator's own face). Without OpenGL
    (StudyError) there is nothing to see: the error says what to install.
    """
    import pandas as pd

    stages, rows = show or faces(animator.topology), []
    size = min(SIZE, WIDTH // len(animator.emotions) // 2 * 2)                 # video wants even numbers
    with ExitStack() as opened:
        drawn_by = {stage.name: opened.enter_context(closing(_for_video(stage.topology, size))) for stage in stages}
        for sound in sounds(animator, real, own):
            motions = {emotion: animator.animate(sound.audio, emotion, alpha) for emotion in animator.emotions}
            for stage in stages if sound.origin == OWN_CREDIT[0] else stages[:1]:
                shown, residual = stage.carry(motions)
                path = Path(folder) / f"{prefix}_{sound.name}_{stage.name}.mp4"
                side_by_side(path, shown, drawn_by[stage.name], sound.audio, animator.fps, progress=progress,
                             comment=f"Sound: {sound.origin}. Licence: {sound.licence}.")
                rows.append((sound.name, sound.origin, sound.licence, len(sound.audio) / 16_000, stage.name, path.name,
                             residual))
    return pd.DataFrame(rows, columns=["clip", "origin", "licence", "seconds", "face", "file", "residual_mm"])


# Figures -------------------------------------------------------------------------------------------------------------


def strip(animator: Animator, audio: np.ndarray, *, emotions: Sequence[str] = (), alphas: Sequence[float] = ALPHAS,
          second: float | None = None, face: Face | None = None, size: int = STRIP_SIZE) -> "Figure":
    """Faces at one moment of a sentence: rows are emotions (default: all), columns intensities.

    The moment is `second`, or by default the frame where the mouth is widest open on average over the emotions.
    """
    from lib import figures

    names, stage = tuple(emotions) or animator.emotions, face or faces(animator.topology)[0]
    motions = {(name, alpha): animator.animate(audio, name, alpha) for name in names for alpha in alphas}
    frame = _chosen(animator, motions, second)
    shown, _ = stage.carry({key: motion[frame : frame + 1] for key, motion in motions.items()})
    images = _draw(stage.topology, {key: vertices[0] for key, vertices in shown.items()}, size)
    figure, grid = _grid(len(names), len(alphas))
    columns = [rf"$\alpha$ = {alpha:g}" for alpha in alphas]
    figures.pictures(grid, [[images[name, alpha] for alpha in alphas] for name in names], columns, names)
    figure.supxlabel(f"{frame / animator.fps:.2f} s into the sentence", fontsize=9)
    return figure


def _chosen(animator: Animator, motions: Mapping, second: float | None) -> int:
    frames = min(len(motion) for motion in motions.values())
    if second is None:
        return int(np.mean([lip_opening(m[:frames], animator.topology) for m in motions.values()], axis=0).argmax())
    if not 0 <= second * animator.fps < frames:
        raise InputError(f"second={second} lies outside the sentence of {frames / animator.fps:.2f} s")
    return int(second * animator.fps)


def compare(systems: Mapping[str, np.ndarray], truth: np.ndarray, neutral: np.ndarray, topology: Topology, fps: float,
            *, times: Sequence[float] = (), columns: int = 6, size: int = STRIP_SIZE) -> "Figure":
    """One sentence as each system says it, beside the truth: faces above, displacement from neutral below.

    systems title -> vertices (T, V, 3), truth (T, V, 3), neutral (V, 3), all in mm. Columns are `times` in seconds, by
    default the widest opening of the true mouth in each of `columns` equal parts of the sentence. The heat maps share
    one scale: pale is no displacement, the darkest the largest 99.5th percentile of all pictures.
    """
    from lib import figures

    rows = {"ground truth": truth, **systems}
    _frames(rows)
    frames = [int(t * fps) for t in times] or moments(lip_opening(truth, topology), columns)
    if not all(0 <= frame < len(truth) for frame in frames):
        raise InputError(f"times={list(times)} must lie within the sentence of {len(truth) / fps:.2f} s")
    shown = {(name, frame): np.asarray(motion[frame]) for name, motion in rows.items() for frame in frames}
    moved = {key: np.linalg.norm(vertices - neutral, axis=-1) for key, vertices in shown.items()}
    top = max(float(np.percentile(distance, 99.5)) for distance in moved.values()) or 1.0
    plain = _draw(topology, shown, size)
    heat = _draw(topology, shown, size, {key: _heat(distance / top) for key, distance in moved.items()})
    figure, grid = _grid(2 * len(rows), len(frames))
    figures.pictures(grid, [[part[name, f] for f in frames] for part in (plain, heat) for name in rows],
                     [f"{frame / fps:.2f} s" for frame in frames], [*rows, *(f"{name}\ndisplacement" for name in rows)])
    _colour_bar(figure, grid[len(rows):], top)
    return figure


def moments(opening: np.ndarray, columns: int) -> list[int]:
    """The frame of the largest opening (T,) in each of `columns` equal parts of a sentence."""
    parts = np.array_split(np.arange(len(opening)), min(columns, len(opening)))
    return [int(part[np.argmax(opening[part])]) for part in parts]


def _draw(topology: Topology, shapes: Mapping, size: int, colours: Mapping | None = None) -> dict:
    from lib.face.render import Renderer

    renderer, sides = Renderer(topology, size, **CLOSE), round(SIDES * size)
    try:
        return {key: renderer.image(v, None if colours is None else colours[key])[:, sides:-sides]
                for key, v in shapes.items()}
    finally:
        renderer.close()


def _heat(share: np.ndarray) -> np.ndarray:
    """Colours (V, 3) uint8 of displacements as a share (V,) of the largest."""
    import matplotlib

    return (255 * matplotlib.colormaps["YlOrRd"](np.clip(share, 0, 1))[:, :3]).astype(np.uint8)


def _colour_bar(figure: "Figure", axes: np.ndarray, top: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure.colorbar(ScalarMappable(Normalize(0, top), "YlOrRd"), ax=list(axes.flat), label="displacement (mm)",
                    fraction=0.03, pad=0.01)


def _grid(rows: int, columns: int) -> tuple["Figure", np.ndarray]:
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(rows, columns, figsize=(1.35 * columns + 0.5, 1.85 * rows + 0.3), squeeze=False,
                                layout="constrained")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0)
    return figure, grid
