"""Videos of landmarks, and PC-AVS as a rival at smoke scale: written, readable, of the right length, with sound."""

import subprocess

import numpy as np
import pytest
import torch

from lib import picture_foundations as foundations
from lib.errors import InputError
from lib.experiments import landmark_videos as videos
from lib.experiments import pcavs
from lib.experiments.tracks import tracks
from lib.models.translation import to_tensor


@pytest.fixture(scope="module")
def data():
    return tracks("smoke", 0)


@pytest.fixture(scope="module")
def rival(data, tmp_path_factory):
    return pcavs.train_pcavs(data, tmp_path_factory.mktemp("pcavs"), progress=False)


def shown(path) -> str:
    """What ffmpeg says of a video after decoding all of it: streams, sizes, frames."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def short(data, index: int, frames: int = 6) -> np.ndarray:
    return data.landmarks[index][:frames]


def test_a_puppet_video_has_truth_landmarks_and_every_system(data, tmp_path):
    index = int(data.rows("unseen").index[0])
    panels = videos.puppet_panels(data, index, {"ours": short(data, index), "still": short(data, index)})
    assert list(panels) == ["truth", "landmarks: ours", "ours", "still"]
    assert {len(panel) for panel in panels.values()} == {6}
    path = videos.puppet_video(tmp_path / "puppet.mp4", data, index, {"ours": short(data, index)})
    said = shown(path)
    assert "768x256" in said and "frame=    6" in said and "Audio: aac" in said


def test_translated_puppets_follow_the_landmarks(data):
    """The picture of true landmarks is nearer to the truth around the mouth than that of another frame's landmarks."""
    network, held = foundations.translation("smoke"), foundations.pictures("smoke", unseen=True)
    some = np.arange(0, len(held.images), 4)
    reference, (images, points) = held.neutral_images[held.heads[some]], foundations.registered(held)
    right = foundations.translate(network, reference, points[some])
    wrong = foundations.translate(network, reference, np.roll(points[some], 1, 0))
    truth = images[some]
    assert foundations.similarity(right, truth)["l1"] < foundations.similarity(wrong, truth)["l1"]


def test_a_portrait_video_has_sound_and_says_whose_picture_it_is(data, tmp_path):
    index = int(data.rows("unseen").index[0])
    path = videos.portrait_video(tmp_path / "portrait.mp4", {"truth": short(data, index)}, data.template(index),
                                 data.audio(index)[:3840], data.fps)  # fmt: skip
    said = shown(path)
    assert "256x256" in said and "frame=    6" in said and "Audio: aac" in said
    assert "Eileen Collins" in said and "eSpeak NG" in said


@pytest.mark.parametrize("systems", [{}, {"a": np.zeros((3, 68, 2)), "b": np.zeros((4, 68, 2))},
                                     {"a": np.full((3, 68, 2), np.nan)}])
def test_videos_of_nothing_or_of_odd_lengths_are_refused(data, tmp_path, systems):
    with pytest.raises(InputError, match="finite landmarks"):
        videos.portrait_video(tmp_path / "x.mp4", systems, np.zeros((68, 2)), np.zeros(1600), 25)


def test_pcavs_returns_frames_and_landmarks_for_every_frame_of_the_clip(data, rival):
    index = int(data.rows("unseen").index[0])
    frames, found = rival.frames(index), rival.predict(index)
    assert frames.shape == (len(data.landmarks[index]), 48, 48, 3) and frames.dtype == np.uint8
    assert found.shape == data.landmarks[index].shape and np.isfinite(found).all()
    assert np.abs(found.mean(0) - data.template(index)).max() < 60               # a face in the frame of the tracks


def test_a_second_training_reads_the_first(data, tmp_path):
    first = pcavs.train_pcavs(data, tmp_path, progress=False)
    again = pcavs.train_pcavs(data, tmp_path, progress=False)
    weights = first.model.audio.state_dict()
    assert all((again.model.audio.state_dict()[key] == value).all() for key, value in weights.items())
    assert len(list(tmp_path.iterdir())) == 1


def test_mouth_codes_differ_between_frames(data, rival):
    """A dead bottleneck gives every frame one code, and its pictures the mean mouth: they look fine and say nothing."""
    held, shared = foundations.pictures("smoke", unseen=True), foundations.pcavs("smoke")
    with torch.no_grad():
        codes = shared.frame(to_tensor(held.faces()[:32]))
    assert codes.std(0).mean() > 1e-2 * codes.abs().mean() > 0
    assert rival.spread.mean() > 1e-4


def test_only_the_voice_learns_per_seed(data, rival):
    shared = foundations.pcavs("smoke")
    for part in ("identity", "frame", "generator"):
        own, common = (getattr(m, part).state_dict() for m in (rival.model, shared))
        assert all((own[key] == value).all() for key, value in common.items())
    voice = rival.model.audio.model.fc.weight
    assert not (voice == shared.audio.model.fc.weight).all()
