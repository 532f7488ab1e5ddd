"""Videos with sound of predicted landmarks: a puppet drawn by image translation, and a real portrait that is warped.

`puppet_video` shows what CFD's whole chain returns, beside the rendered truth and the landmarks it was drawn from.
`portrait_video` moves a photograph by the displacement of the landmarks from the speaker's neutral face
(`lib.face.warp`): the translation network has seen puppets only and would turn the photograph into one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from lib import picture_foundations as pictures
from lib.errors import InputError
from lib.experiments.draw import corpus
from lib.experiments.tracks import Tracks
from lib.face.drawing import draw
from lib.face.render import contact_sheet, write_video
from lib.face.warp import Portrait, astronaut

PANEL = 256                         # pixels of one picture in a video
BAND = 28                           # white rows above it, for a title that would be lost on a dark head
OWN_VOICE = "voice of the embedded puppet corpus (eSpeak NG), free"


def puppet_video(path: Path | str, data: Tracks, index: int, systems: Mapping[str, np.ndarray]) -> Path:
    """One mp4 of a clip: rendered truth, landmarks of the first system, and every system's translated pictures.

    systems: title -> landmarks (T, 68, 2) in pixels of the crop. InputError where lengths differ or nothing is given.
    """
    motions = _checked(path, systems)
    panels = puppet_panels(data, index, motions)
    return _write(path, panels, data.fps, data.audio(index), f"Sound: {OWN_VOICE}.")


def puppet_panels(data: Tracks, index: int, systems: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The panels (T, S, S, 3) uint8 of `puppet_video` by title."""
    network = pictures.translation(data.scale)
    camera = pictures.Camera(network.config.size)
    try:
        reference, _ = camera.neutral(int(data.table.actor[index]))
        frames = len(next(iter(systems.values())))
        truth, _ = camera.frames(corpus(data.scale)[data.table.position[index]], np.arange(frames), pose=False)
    finally:
        camera.close()
    first = next(iter(systems))
    shown = {"truth": truth, f"landmarks: {first}": draw(systems[first], "makeittalk", PANEL)}
    return shown | {title: pictures.translate(network, reference, points) for title, points in systems.items()}


def portrait_video(path: Path | str, systems: Mapping[str, np.ndarray], template: np.ndarray, audio: np.ndarray,
                   fps: float, *, portrait: Portrait | None = None, voice: str = OWN_VOICE) -> Path:
    """One mp4 of a photograph that moves as each system says, side by side.

    systems: title -> landmarks (T, 68, 2) of a speaker whose neutral face is `template` (68, 2), any unit; `voice` says
    whose sound it is and under which licence. Default portrait: NASA's photograph of Eileen Collins.
    """
    motions, face = _checked(path, systems), portrait or astronaut(PANEL)
    panels = {title: face.frames(face.moved(points, template)) for title, points in motions.items()}
    return _write(path, panels, fps, audio, f"Picture: {face.credit}. Sound: {voice}.")


def _checked(path: Path | str, systems: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    shapes = {title: np.shape(points) for title, points in systems.items()}
    if not shapes or len(set(shapes.values())) > 1 or not all(np.isfinite(points).all() for points in systems.values()):
        raise InputError(f"{path}: a video needs finite landmarks (T, 68, 2) of one length from every system, got "
                         f"{shapes}")
    return dict(systems)


def _write(path: Path | str, panels: Mapping[str, np.ndarray], fps: float, audio: np.ndarray, comment: str) -> Path:
    return write_video(Path(path), sheets(panels, len(panels)), fps, audio, comment=comment)


def sheets(panels: Mapping[str, np.ndarray], columns: int, band: int = 0) -> Iterator[np.ndarray]:
    """Each frame of all panels (T, H, W, 3), row by row, with their titles: in them, or above them in a white band of
    so many pixels."""
    import cv2

    for together in zip(*panels.values(), strict=True):
        large = [cv2.resize(picture, (PANEL, PANEL), interpolation=cv2.INTER_CUBIC) for picture in together]
        yield contact_sheet([np.pad(picture, ((band, 0), (0, 0), (0, 0)), constant_values=255) for picture in large],
                            panels, columns=columns)
