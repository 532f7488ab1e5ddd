"""Pictures and videos of face meshes, off screen: one persistent scene, points exchanged per frame.

Needs OpenGL through EGL or OSMesa (Debian packages `libegl1` or `libosmesa6`); no display.
"""

import functools
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from lib.errors import InputError, StudyError
from lib.face.topology import Topology
from lib.paths import write_aside

SKIN = (226, 178, 150)
PART_COLOURS = {
    "skin": SKIN, "ears": (222, 168, 142), "lips": (190, 106, 100), "lip_inside": (150, 70, 70),
    "mouth": (70, 22, 24), "throat": (16, 5, 6), "gums": (176, 92, 92), "teeth": (240, 234, 220),
    "tongue": (186, 98, 98),
    "lashes": (70, 48, 42), "lid_edge": (200, 132, 120), "sclera": (244, 242, 238), "iris": (92, 120, 128),
    "pupil": (14, 12, 14), "brows": (96, 66, 50), "nostrils": (110, 62, 54),
}
BACKGROUND = (1.0, 1.0, 1.0)


def part_colours(topology: Topology) -> np.ndarray:
    """Colour (V, 3) uint8 of every vertex from the parts and tints of the topology; one skin tone where it has none."""
    colours = np.empty((topology.n_vertices, 3), np.float32)
    colours[:] = SKIN
    for part, ids in topology.parts.items():
        if part not in topology.tints:
            colours[ids] = PART_COLOURS.get(part, SKIN)
    for part, weight in topology.tints.items():
        colours += weight[:, None] * (np.float32(PART_COLOURS.get(part, SKIN)) - colours)
    return np.round(colours).astype(np.uint8)


@functools.cache
def _pyvista():
    """pyvista with an off-screen window class, or a StudyError that says what to install."""
    os.environ.pop("DISPLAY", None)                     # an unreachable X server only makes VTK complain
    try:
        import pyvista as pv
        import vtk
    except ImportError as error:
        raise StudyError(f"pictures need pyvista and OpenGL ({error}); install `libegl1` or `libosmesa6` (Debian) and "
                         "the packages of requirements.lock") from error
    vtk.vtkObject.GlobalWarningDisplayOff()
    pv.OFF_SCREEN = True
    return pv


class Renderer:
    """Draws one topology many times: shaded, frontal, long lens.

    A frame of the puppet at 384 pixels takes about 38 ms without a GPU, 19 ms with `smooth_edges` off, of the ICT face
    50 ms. Triangles that turn their back are not drawn.

    centre (3,) and height in mm choose the part of space seen; yaw and pitch in degrees turn the camera.
    """

    def __init__(self, topology: Topology, size: int = 512, *, height_mm: float = 290.0,
                 centre: tuple[float, float, float] = (0.0, 14.0, 20.0), yaw: float = 0.0, pitch: float = 0.0,
                 background: tuple[float, float, float] = BACKGROUND, smooth_edges: bool = True):
        pv = _pyvista()
        self.topology, self.size = topology, size
        faces = np.c_[np.full(len(topology.faces), 3), topology.faces].ravel()
        self._mesh = pv.PolyData(np.zeros((topology.n_vertices, 3), np.float32), faces)
        self._mesh["colour"] = part_colours(topology)
        self._mesh["Normals"] = np.zeros((topology.n_vertices, 3), np.float32)
        self._mesh.GetPointData().SetActiveNormals("Normals")
        self._default = self._mesh["colour"].copy()
        self._plotter = pv.Plotter(off_screen=True, window_size=(size, size), lighting="none")
        self._plotter.set_background(background)
        self._plotter.add_mesh(self._mesh, scalars="colour", rgb=True, smooth_shading=False, ambient=0.30, diffuse=0.80,
                               specular=0.16, specular_power=18, interpolation="phong", copy_mesh=False,
                               culling="back")                # a third of the time; outward faces, as for normals
        self._light(pv)
        if smooth_edges:
            self._plotter.enable_anti_aliasing("msaa", multi_samples=8)
        self._aim(np.asarray(centre, float), height_mm, np.radians(yaw), np.radians(pitch))

    def _light(self, pv) -> None:
        """Key from the upper left, fill from the right, rim from behind: turned with the camera."""
        for position, intensity, colour in (((-0.55, 0.7, 1.0), 0.86, (1.0, 0.97, 0.93)),
                                            ((0.9, 0.1, 0.8), 0.36, (0.90, 0.95, 1.0)),
                                            ((0.3, 0.9, -0.8), 0.30, (1.0, 1.0, 1.0))):
            light = pv.Light(position=position, focal_point=(0, 0, 0), color=colour, intensity=intensity,
                             light_type="camera light")
            self._plotter.add_light(light)

    def _aim(self, centre: np.ndarray, height: float, yaw: float, pitch: float) -> None:
        direction = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        camera, angle = self._plotter.camera, 12.0                                        # a long lens
        distance = height / 2 / np.tan(np.radians(angle / 2))
        camera.view_angle = angle
        camera.focal_point, camera.position, camera.up = centre, centre + distance * direction, (0, 1, 0)
        camera.clipping_range = (max(1.0, distance - 400), distance + 400)

    def image(self, vertices: np.ndarray, colours: np.ndarray | None = None) -> np.ndarray:
        """Picture (size, size, 3) uint8 of vertices (V, 3) in mm, optionally with colours (V, 3) uint8."""
        vertices = np.ascontiguousarray(vertices, np.float32)
        if vertices.shape != (self.topology.n_vertices, 3):
            raise InputError(f"renderer of {self.topology.name}: expected vertices ({self.topology.n_vertices}, 3), "
                             f"got {vertices.shape}")
        self._mesh.points[:] = vertices
        self._mesh["Normals"][:] = vertex_normals(vertices, self.topology.faces)
        self._mesh["colour"][:] = self._default if colours is None else colours
        self._mesh.GetPointData().Modified()
        for name in ("Normals", "colour"):
            self._mesh.GetPointData().GetArray(name).Modified()
        self._mesh.GetPoints().Modified()
        self._mesh.Modified()
        self._plotter.render()
        return self._plotter.screenshot(None, return_img=True)

    def frames(self, vertices: Iterable[np.ndarray], colours: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """Pictures of a sequence of vertices (T, V, 3), one after the other."""
        return (self.image(v, colours) for v in vertices)

    def close(self) -> None:
        """Free the off-screen window."""
        self._plotter.close()


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3) of a triangle mesh."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(face[:, k], 3), len(vertices)) for k in range(3)], -1)
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def contact_sheet(images: Iterable[np.ndarray], titles: Iterable[str] = (), columns: int = 4) -> np.ndarray:
    """One picture of many of equal size, row by row, with optional titles in the upper left corners."""
    from PIL import Image, ImageDraw

    images, titles = list(images), list(titles)
    h, w = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (w * columns, h * rows), "white")
    draw = ImageDraw.Draw(sheet)
    for i, picture in enumerate(images):
        corner = (i % columns * w, i // columns * h)
        sheet.paste(Image.fromarray(picture), corner)
        if i < len(titles):
            draw.text((corner[0] + 8, corner[1] + 6), titles[i], fill="black", font_size=max(12, h // 18))
    return np.asarray(sheet)


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float, audio: np.ndarray | None = None,
                sample_rate: int = 16000, comment: str = "") -> Path:
    """Write frames (H, W, 3) uint8 as H.264 video, with sound (N,) in [-1, 1] where given; returns the path.

    `comment` travels inside the file: origin and licence of what can be seen and heard.

    Written aside and renamed, so that a killed run leaves no half video. Odd sizes lose one row or column.
    """
    import imageio_ffmpeg

    frames = iter(frames)
    try:
        first = next(frames)
    except StopIteration:
        raise InputError(f"{path}: a video needs at least one frame") from None
    height, width = (n - n % 2 for n in first.shape[:2])
    with tempfile.TemporaryDirectory() as folder, write_aside(Path(path)) as aside:
        sound = _sound_arguments(Path(folder) / "sound.wav", audio, sample_rate)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                   "-s", f"{width}x{height}", "-r", str(fps), "-i", "-", *sound[0], "-c:v", "libx264", "-pix_fmt",
                   "yuv420p", "-crf", "20", "-movflags", "+faststart", *sound[1], "-metadata", f"comment={comment}",
                   "-f", "mp4", str(aside)]
        _feed(command, first, frames, height, width, path)
    return Path(path)


def _feed(command: list[str], first: np.ndarray, frames: Iterator[np.ndarray], height: int, width: int,
          path: Path) -> None:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        try:
            for frame in itertools.chain([first], frames):
                process.stdin.write(np.ascontiguousarray(frame[:height, :width]).tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass                                                    # ffmpeg says why below
        if process.wait():
            log.seek(0)
            raise StudyError(f"{path}: ffmpeg could not write the video: {log.read().decode(errors='replace')[-400:]}")


def _sound_arguments(path: Path, audio: np.ndarray | None, sample_rate: int) -> tuple[list[str], list[str]]:
    """ffmpeg arguments that read and encode the sound, both empty without sound."""
    import wave

    if audio is None:
        return [], []
    samples = (np.clip(np.asarray(audio), -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.tobytes())
    return ["-i", str(path)], ["-c:a", "aac", "-b:a", "128k", "-shortest"]
