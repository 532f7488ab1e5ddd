"""Landmarks from a video file: frames, a detector whose weights are never downloaded, and tracks as stored ones are.

The detector is the package face-alignment (Bulat and Tzimiropoulos 2017; 2DFAN-4, or 3DFAN-4 with depth) behind the
S3FD face detector. It runs only where the weight files are found among the assets; otherwise AssetMissing names them.
Any object with `get_landmarks_from_image(frame) -> list of (68, D) or None` can stand in for it.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lib.data.clip import SAMPLE_RATE
from lib.data.tracks import MAX_GAP, check_landmarks, fill_gaps
from lib.errors import InputError, explain
from lib.paths import asset, write_aside

WEIGHTS = {
    "2d": ("fan/2DFAN4-11f355bf06.pth.tar",),
    "3d": ("fan/3DFAN4-7835d9f11d.pth.tar", "fan/depth-2a464da4ea.pth.tar"),
}
FACE_WEIGHTS = "sfd_detector/s3fd-619a316812.pth"
REMEDY = ("run the package face-alignment once where there is network and copy its file there; nothing is downloaded "
          "here. Stored tracks need no detector (lib.data.tracks.read_landmarks)")
FORMATS = "mp4, avi, mov or webm"
RATE_SHARE = 0.01                    # by which two frame rates may differ: 29.97 passes for 30
TOGETHER_S = 0.25                    # by which picture and sound of a recording may differ in length


class Video:
    """Frames of a video file, (H, W, 3) uint8 RGB, in order; `fps` and `seconds` as its header says.

    Raises InputError naming a file that is missing, empty, no video, without frame rate or cut off before its first
    frame.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path}: no such video file; expected {FORMATS}; check the path")
        if not self.path.stat().st_size:
            raise InputError(f"{path}: the file is empty (0 bytes); copy it again")
        self._reader = self._open()
        header = self._reader.get_meta_data()
        self.fps, self.seconds = (float(header.get(name) or 0) for name in ("fps", "duration"))
        if not 1 <= self.fps <= 1000:
            raise InputError(f"{path}: frame rate {self.fps:g}; expected 1 to 1000 frames per second")

    def _open(self) -> Any:
        """The decoder; asked twice, as it gives up on a header after ten seconds, which a busy machine may need."""
        import imageio.v2 as imageio

        for last in (False, True):
            try:
                return imageio.get_reader(self.path, format="FFMPEG")
            except (OSError, RuntimeError, ValueError, IndexError, SyntaxError) as error:
                if last:
                    message = f"{self.path}: cannot be read as video; expected {FORMATS} ({explain(error)})"
                    raise InputError(message) from error

    def __iter__(self) -> Iterator[np.ndarray]:
        try:
            yield from self._reader.iter_data()
        except (OSError, RuntimeError, IndexError) as error:
            raise InputError(f"{self.path}: video cut off or damaged ({explain(error)}); copy it again") from error

    def close(self) -> None:
        """End the decoder."""
        self._reader.close()

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def detector(kind: str = "2d", device: str = "cpu") -> Any:
    """The landmark detector, "2d" (visible contour) or "3d", from local weights alone.

    Raises AssetMissing naming the weight file that is absent and what to do, InputError for an unknown kind or a file
    that holds other weights. Not compiled: that would write to the user's home and change numbers between machines.
    """
    if kind not in WEIGHTS:
        raise InputError(f"landmarks {kind!r}: expected one of {', '.join(WEIGHTS)}")
    files = [asset(name, REMEDY) for name in WEIGHTS[kind]]
    faces = asset(FACE_WEIGHTS, REMEDY)
    try:
        return _offline(kind, files, faces, device)
    except (RuntimeError, KeyError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        names = ", ".join(map(str, [*files, faces]))
        raise InputError(f"{names}: not the weights of face-alignment ({explain(error)}); copy them again") from error


def _offline(kind: str, files: list[Path], faces: Path, device: str) -> Any:
    import torch
    from face_alignment import FaceAlignment, LandmarksType
    from face_alignment.models import FAN, ResNetDepth

    class Offline(FaceAlignment):
        """The package's class, its networks filled from the given files: its own loader would download them."""

        def _load_native(self, network_name, network_size, device, dtype):
            return _filled(FAN(network_size), torch.load(files[0], map_location=device, weights_only=True))

        def _load_native_depth(self, device, dtype):
            state = torch.load(files[1], map_location=device, weights_only=True)["state_dict"]
            return _filled(ResNetDepth(), {key.removeprefix("module."): value for key, value in state.items()})

    def _filled(network: Any, state: dict) -> Any:
        network.load_state_dict(state)
        return network.to(device).eval()

    which = LandmarksType.TWO_D if kind == "2d" else LandmarksType.THREE_D
    return Offline(which, device=device, flip_input=False, face_detector_kwargs={"path_to_detector": str(faces)},
                   compile=False)


def landmarks(path: Path | str, finder: Any = None, *, max_gap: int = MAX_GAP) -> tuple[np.ndarray, float]:
    """Landmark track (T, 68, D) in pixels of the picture, y down, and its fps, as `lib.data.tracks.read_landmarks`.

    finder: a detector, by default `detector()`. Of several faces the one nearest to the face before is followed, at
    first the largest. Gaps of at most `max_gap` frames are bridged by straight lines. Raises InputError naming the
    file: no video, no face, a longer gap or a face that is lost at an end.
    """
    finder = detector() if finder is None else finder
    with Video(path) as video:
        points, fps = _followed(video, finder), video.fps
    if not points:
        raise InputError(f"{path}: holds no frame; the video is cut off, copy it again")
    found = [p for p in points if p is not None]
    if not found:
        raise InputError(f"{path}: no face in any of {len(points)} frames; expected one face, frontal, larger than 60 "
                         "pixels")
    lost = np.full(found[0].shape, np.nan)
    track = check_landmarks(np.stack([lost if p is None else p for p in points]), name=str(path))
    return fill_gaps(track, max_gap, str(path)), fps


def _followed(video: Video, finder: Any) -> list[np.ndarray | None]:
    last, points = None, []
    for frame in video:
        faces = finder.get_landmarks_from_image(frame)
        chosen = _same_face(faces, last) if faces is not None and len(faces) else None
        last = last if chosen is None else chosen
        points.append(chosen)
    return points


def _same_face(faces: list[np.ndarray], last: np.ndarray | None) -> np.ndarray:
    """The face nearest to the last one, or the largest where there is none yet."""
    faces = [np.asarray(face) for face in faces]
    if last is None:
        return max(faces, key=lambda face: np.ptp(face[:, 0]) * np.ptp(face[:, 1]))
    return min(faces, key=lambda face: np.linalg.norm(face.mean(0) - last.mean(0)))


def save_landmarks(path: Path | str, track: np.ndarray, fps: float) -> None:
    """Write a track (T, 68, D) so that `lib.data.tracks.read_landmarks` reads it."""
    track = check_landmarks(track, name=str(path))
    with write_aside(path) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, landmarks=track, fps=np.float32(fps))


def check_together(name: str, frames: int, fps: float, samples: int) -> None:
    """Raise InputError unless `frames` at `fps` and `samples` at 16 kHz last as long as each other within 0.25 s.

    The message names the rate that would fit: a track read at 25 fps that was filmed at 30 drifts by a sixth.
    """
    pictures_s, sound_s = frames / fps, samples / SAMPLE_RATE
    if abs(pictures_s - sound_s) > TOGETHER_S:
        fitting = frames / sound_s if sound_s > 0 else float("nan")
        raise InputError(f"{name}: {frames} frames at {fps:g} fps last {pictures_s:.2f} s, its sound {sound_s:.2f} s; "
                         f"expected equal lengths; {fitting:.1f} fps would fit, or one of the two is cut")


def check_track(path: Path | str, frames: int, fps: float) -> None:
    """Raise InputError unless a stored track of `frames` at `fps` has the rate of the video it was found in.

    Its length too, within 0.25 s. Only the header of the video is read.
    """
    with Video(path) as video:
        if abs(video.fps - fps) > RATE_SHARE * fps:
            raise InputError(f"{path}: {video.fps:g} frames per second, its landmark track says {fps:g}; track the "
                             "video again, or take the one the track was made from")
        if abs(video.seconds - frames / fps) > TOGETHER_S:
            raise InputError(f"{path}: lasts {video.seconds:.2f} s, its landmark track {frames / fps:.2f} s; expected "
                             "equal lengths; track the video again")
