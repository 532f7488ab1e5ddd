"""Real speakers beside the puppets: StyleTalk and MEAD clips as registered landmark tracks at 25 fps.

Landmarks are what a detector found in the footage, not truth. Every track is registered to one template, the mean shape
of the training clips on the fixed crop of `lib.experiments.tracks`, with Procrustes on the nine stable points: pixels
then mean what they mean there, head motion in the plane is gone, that out of the plane is not. The detector's noise
from frame to frame is measured per clip on all points (`jitter_px`); `noise_distance` of it is a floor of every
landmark distance. What a detector does wrong in every frame alike no track can tell.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from lib.data.clip import SAMPLE_RATE, Clip, resample
from lib.data.video import check_together
from lib.errors import AssetMissing
from lib.experiments.tracks import FPS, to_pixels
from lib.face import registration
from lib.face.alignment import similarity
from lib.face.landmarks import lip_opening

TEST_SHARE = 1 / 3
CLOSED_SHARE = 0.1               # of the frames of a clip, those with the least open lips, make its reference face


@dataclass(frozen=True, eq=False)
class RealTrack:
    """One real clip: landmarks (T, 68, 2) and template (68, 2) in pixels of the crop, y down; audio (N,) at 16 kHz.

    `template` is the mean of the clip's frames with the most closed mouth: nobody recorded a neutral face, and papers
    take a frame of the clip itself. `part` is train or test, drawn by clip; a person may be in both.
    """

    id: str
    source: str
    speaker: str
    emotion: str | None
    part: str
    landmarks: np.ndarray
    template: np.ndarray
    audio: np.ndarray
    jitter_px: float
    fps: int = FPS


@cache
def real_tracks(seed: int = 0) -> tuple[RealTrack, ...]:
    """Every StyleTalk and MEAD clip that is found, a third of each corpus for testing.

    Raises AssetMissing where neither corpus is found, InputError naming a file that cannot be used.
    """
    rng, clips, parts = np.random.default_rng([0x9EA1, seed]), [], []
    for some in _corpora():
        test = rng.permutation(len(some))[: max(1, round(len(some) * TEST_SHARE))]
        clips += some
        parts += ["test" if i in test else "train" for i in range(len(some))]
    if not clips:
        raise AssetMissing("styletalk_av and mead_av: neither is found among the assets; `python -m lib.manifest` says "
                           "how to get them")
    template = common_template([_points(c) for c, part in zip(clips, parts, strict=True) if part == "train"])
    return tuple(replace(prepared(clip, template), part=part) for clip, part in zip(clips, parts, strict=True))


def _corpora() -> Iterable[list[Clip]]:
    """Clips with landmarks of every corpus that is found."""
    from lib.data import mead_av, styletalk

    for reader in (styletalk, mead_av):
        try:
            found = list(reader.clips())
        except AssetMissing:
            continue
        yield [clip for clip in found if _points(clip) is not None]


def _points(clip: Clip) -> np.ndarray | None:
    """Landmarks (T, 68, 2) of a clip as its corpus stores them."""
    return clip.motion if clip.motion_kind == "landmarks68" else clip.extra.get("landmarks")


def common_template(tracks: list[np.ndarray]) -> np.ndarray:
    """Mean shape (68, 2) of tracks (T, 68, 2) in the place and size of the puppets' mean face on the crop."""
    from lib.puppet.head import head

    mean = registration.mean_shape(tracks)
    home = to_pixels(head().mean[head().topology.landmarks])
    return similarity(mean[None], home)(mean[None])[0]


def prepared(clip: Clip, template: np.ndarray) -> RealTrack:
    """A clip registered to the template (68, 2) at 25 fps, cut to the shorter of picture and sound.

    Raises InputError where the two differ by more than 0.25 s. Jitter is measured at the rate of the footage: mixing
    neighbouring frames would hide it.
    """
    points = _points(clip)
    check_together(clip.id, len(points), clip.fps, len(clip.audio))
    still = registration.register(points, template)
    frames = min(int(len(still) / clip.fps * FPS), int(len(clip.audio) / SAMPLE_RATE * FPS))
    track = resample(still.astype(np.float32), clip.fps, FPS, frames)
    sound = clip.audio[: round(frames / FPS * SAMPLE_RATE)]
    return RealTrack(clip.id, clip.source, clip.speaker, clip.emotion, "train", track, reference_face(track), sound,
                     registration.jitter(still, "all"))


def reference_face(track: np.ndarray) -> np.ndarray:
    """Mean (68, 2) of the tenth of the frames of (T, 68, 2) whose lips are the least open."""
    order = np.argsort(lip_opening(track), kind="stable")
    return track[order[: max(1, round(len(track) * CLOSED_SHARE))]].mean(0)


def jitter_table(tracks: Iterable[RealTrack]):
    """DataFrame of every clip: id, source, speaker, part, seconds, jitter_px, and the landmark distance it causes."""
    import pandas as pd

    return pd.DataFrame([{"clip": t.id, "source": t.source, "speaker": t.speaker, "part": t.part,
                          "seconds": len(t.landmarks) / t.fps, "jitter_px": t.jitter_px,
                          "floor_px": registration.noise_distance(t.jitter_px)} for t in tracks])
