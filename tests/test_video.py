"""Landmarks from video files and real corpora: what is read, what is refused, and that nothing is downloaded."""

import numpy as np
import pytest

from lib.data import mead_av, video
from lib.data.clip import Clip
from lib.data.tracks import read_landmarks
from lib.errors import AssetMissing, InputError
from lib.experiments import real_tracks as real
from lib.experiments.tracks import CROP, FPS, neutral, tracks
from lib.face import registration
from lib.paths import find_asset


class Finder:
    """A stand-in for the detector: one answer per frame, in order."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def get_landmarks_from_image(self, frame):
        assert frame.dtype == np.uint8 and frame.shape[2] == 3
        return next(self.answers)


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory):
    """A video of 8 frames at 20 fps whose brightness rises from frame to frame."""
    import imageio.v2 as imageio

    path = tmp_path_factory.mktemp("video") / "rising.mp4"
    with imageio.get_writer(path, fps=20, macro_block_size=16) as writer:
        for level in range(8):
            writer.append_data(np.full((64, 64, 3), 20 * level, np.uint8))
    return path


def face(shift: float = 0.0, size: float = 1.0) -> np.ndarray:
    return neutral(0) * size + shift


def test_frames_come_in_order_with_their_rate(clip_file):
    with video.Video(clip_file) as seen:
        levels = [frame.mean() for frame in seen]
    assert seen.fps == pytest.approx(20) and len(levels) == 8 and levels == sorted(levels)


def test_a_track_from_video_is_what_the_reader_of_stored_tracks_gives(clip_file, tmp_path):
    points, fps = video.landmarks(clip_file, Finder([[face(t)] for t in range(8)]))
    assert points.shape == (8, 68, 2) and points.dtype == np.float32 and fps == pytest.approx(20)
    assert points[:, 0, 0] - points[0, 0, 0] == pytest.approx(np.arange(8), abs=1e-4)
    video.save_landmarks(tmp_path / "track.npz", points, fps)
    again, rate = read_landmarks(tmp_path / "track.npz")
    assert np.array_equal(again, points) and rate == fps


def test_the_same_face_is_followed_and_the_first_is_the_largest(clip_file):
    answers = [[face(200, 0.3), face(0)], *([[face(201, 0.3), face(t)], [face(t)]][t % 2] for t in range(1, 8))]
    points, _ = video.landmarks(clip_file, Finder(answers))
    assert points[:, 0, 0] - points[0, 0, 0] == pytest.approx(np.arange(8), abs=1e-4)


def test_short_gaps_are_bridged_and_long_ones_or_no_face_name_the_file(clip_file):
    lost = [[face(t)] if t not in (3, 4) else None for t in range(8)]
    points, _ = video.landmarks(clip_file, Finder(lost))
    assert points[3:5, 0, 0] - points[0, 0, 0] == pytest.approx([3, 4], abs=1e-4)
    with pytest.raises(InputError, match=r"rising\.mp4.*gaps longer than 1"):
        video.landmarks(clip_file, Finder(lost), max_gap=1)
    with pytest.raises(InputError, match=r"rising\.mp4.*at an end"):
        video.landmarks(clip_file, Finder([[]] + [[face()]] * 7))
    with pytest.raises(InputError, match=r"rising\.mp4: no face in any of 8 frames"):
        video.landmarks(clip_file, Finder([None] * 8))


def test_what_is_no_video_is_named(clip_file, tmp_path):
    with pytest.raises(InputError, match=r"absent\.mp4: no such video"):
        video.landmarks(tmp_path / "absent.mp4", Finder([]))
    for name, content, message in (("empty.mp4", b"", "empty"), ("text.mp4", b"not a film" * 99, "cannot be read"),
                                   ("cut.mp4", clip_file.read_bytes()[:400], "cannot be read|cut off")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*({message})"):
            video.landmarks(tmp_path / name, Finder([[face()]] * 8))


def test_weights_are_never_downloaded_and_their_absence_is_explained(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("tried to download")

    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    if find_asset("fan") is None:
        with pytest.raises(AssetMissing, match=r"2DFAN4.*nothing is downloaded"):
            video.detector()
        for name in video.WEIGHTS["2d"]:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"other weights")
        with pytest.raises(AssetMissing, match="s3fd"):
            video.detector()
        (tmp_path / video.FACE_WEIGHTS).parent.mkdir()
        (tmp_path / video.FACE_WEIGHTS).write_bytes(b"other weights")
        with pytest.raises(InputError, match=r"2DFAN4.*not the weights of face-alignment"):
            video.detector()
    with pytest.raises(InputError, match="4d"):
        video.detector("4d")


def blank(network):
    """A network, built without drawing 20 million weights, all of them zero."""
    import torch

    with torch.device("meta"):
        made = network()
    return {key: torch.zeros_like(value, device="cpu") for key, value in made.state_dict().items()}


def test_the_detector_of_the_package_runs_from_local_files(tmp_path, monkeypatch):
    import torch
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    for name, network in ((video.WEIGHTS["2d"][0], lambda: FAN(4)), (video.FACE_WEIGHTS, s3fd)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(blank(network), tmp_path / name)
    finder = video.detector()
    box = [np.array([20.0, 20.0, 100.0, 100.0, 1.0])]
    found = finder.get_landmarks_from_image(np.zeros((128, 128, 3), np.uint8), detected_faces=box)
    assert found[0].shape == (68, 2) and np.isfinite(found[0]).all()


def test_picture_and_sound_of_other_rates_are_refused_with_the_rate_that_fits():
    video.check_together("fine", 100, 25, 64000)
    with pytest.raises(InputError, match=r"film.*100 frames at 30 fps.*25\.0 fps would fit"):
        video.check_together("film", 100, 30, 64000)


def test_a_track_of_another_rate_or_length_than_its_video_is_refused(clip_file):
    video.check_track(clip_file, 8, 20)
    with pytest.raises(InputError, match=r"rising\.mp4: 20 frames per second.*says 25"):
        video.check_track(clip_file, 10, 25)
    with pytest.raises(InputError, match=r"rising\.mp4: lasts 0\.40 s.*1\.00 s"):
        video.check_track(clip_file, 20, 20)


@pytest.mark.parametrize(
    "stem, level", [("M030_level_3_angry_016", 3), ("M030_sad_3_001", 3), ("W009_neutral_1_002", 1)]
)
def test_both_spellings_of_mead_names_are_read(stem, level):
    row = mead_av.parse(stem)
    assert row["actor"] in ("M030", "W009") and row["level"] == level
    assert row["intensity"] == (0.0 if row["emotion"] == "neutral" else level / 3)


def test_other_names_and_tracks_of_another_rate_are_refused(tmp_path):
    import soundfile

    for folder in ("audio", "landmarks"):
        (tmp_path / folder).mkdir()
    sound = np.sin(np.arange(32000) / 20).astype(np.float32)
    soundfile.write(tmp_path / "audio" / "M003_happy_2_007.flac", sound, 16000)
    video.save_landmarks(tmp_path / "landmarks" / "M003_happy_2_007.npz", np.repeat(neutral(0)[None], 50, 0), 30)
    with pytest.raises(InputError, match=r"M003_happy_2_007\.npz.*25\.0 fps would fit"):
        mead_av.clips(tmp_path)[0]
    soundfile.write(tmp_path / "audio" / "somebody.flac", sound, 16000)
    with pytest.raises(InputError, match=r"somebody\.flac.*expected actor"):
        mead_av.clips(tmp_path)


def filmed(number: int, noise: float = 0.0, fps: float = 30.0) -> Clip:
    """A puppet as a detector might see it in somebody's footage: larger, shifted, at another rate, with noise."""
    from lib.data.clip import frame_count, resample

    data = tracks("smoke", 0)
    sound = data.audio(number)
    points = resample(data.landmarks[number], FPS, fps, frame_count(len(sound) / 16000, fps)) * 2.5 + 40
    points = points + np.random.default_rng(number).normal(scale=noise, size=points.shape)
    return Clip(f"film-{number}", sound, f"person-{number}", source="film", fps=fps, motion=points.astype(np.float32),
                motion_kind="landmarks68")


def test_footage_lands_on_the_crop_of_the_puppets_with_its_own_time_and_noise():
    data = tracks("smoke", 0)
    template = real.common_template([filmed(i).motion for i in range(3)])
    jaw = np.linalg.norm(template[0] - template[16])
    assert 130 < jaw < 160 and template.min() > 0 and template.max() < CROP
    track = real.prepared(filmed(0), template)
    assert abs(len(track.landmarks) - len(data.landmarks[0])) <= 1 and track.fps == FPS
    assert len(track.audio) == len(track.landmarks) * 640
    opening = [registration.lip_opening(x[: len(track.landmarks)]) for x in (track.landmarks, data.landmarks[0])]
    assert np.corrcoef(*opening)[0, 1] > 0.98
    assert registration.lip_opening(track.template) < 0.2 * opening[0].max() + 1
    scale = 1 / 2.5 * np.linalg.norm(track.template[36] - track.template[45]) / np.linalg.norm(
        data.template(0)[36] - data.template(0)[45])
    assert real.prepared(filmed(0, noise=2.5), template).jitter_px == pytest.approx(2.5 * scale, rel=0.25)


def test_footage_without_its_sound_is_refused_and_no_corpus_is_explained(monkeypatch, tmp_path):
    clip = filmed(0)
    template = real.common_template([clip.motion])
    broken = Clip("cut", clip.audio[:16000], "p", source="film", fps=30, motion=clip.motion, motion_kind="landmarks68")
    with pytest.raises(InputError, match="cut: .* frames at 30 fps"):
        real.prepared(broken, template)
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    real.real_tracks.cache_clear()
    if find_asset("mead_av") is None and find_asset("styletalk_av") is None:
        with pytest.raises(AssetMissing, match="styletalk_av and mead_av"):
            real.real_tracks(0)


@pytest.mark.skipif(find_asset("mead_av") is None or find_asset("styletalk_av") is None, reason="corpora not found")
def test_real_clips_are_split_by_clip_and_their_jitter_is_below_two_pixels():
    real.real_tracks.cache_clear()
    found = real.real_tracks(0)
    assert {t.source for t in found if t.part == "test"} == {"styletalk", "mead"} == {t.source for t in found}
    assert all(0.01 < t.jitter_px < 2 and t.landmarks.shape[1:] == (68, 2) for t in found)
    assert [t.part for t in real.real_tracks(1)] != [t.part for t in found]
    table = real.jitter_table(found)
    assert table.floor_px.to_numpy() == pytest.approx(np.sqrt(np.pi) * table.jitter_px)
