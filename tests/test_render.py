"""Pictures and videos, where off-screen OpenGL is available."""

import subprocess

import numpy as np
import pytest

from lib.errors import InputError, StudyError
from lib.face.render import Renderer, contact_sheet, vertex_normals, write_video
from lib.face.rig import curves
from lib.puppet.head import head


@pytest.fixture(scope="module")
def renderer():
    try:
        made = Renderer(head().topology, size=128)
    except StudyError as error:
        pytest.skip(str(error))
    yield made
    made.close()


def test_the_face_is_centred_on_a_white_ground_and_pictures_repeat(renderer):
    picture = renderer.image(head().mean)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
    assert (picture[2, 2] > 250).all() and (picture[60:70, 60:70] < 250).any()
    assert np.array_equal(picture, renderer.image(head().mean))


def test_an_open_mouth_is_darker_than_a_closed_one(renderer):
    shut, wide = renderer.frames(head().vertices(curves(2, jawOpen=np.array([0.0, 0.9]))))
    dark = [(picture[78:98, 54:74].max(-1) < 50).sum() for picture in (shut, wide)]
    assert dark[1] > dark[0] + 15


def test_vertices_of_another_topology_are_refused(renderer):
    with pytest.raises(InputError, match="puppet"):
        renderer.image(np.zeros((10, 3)))


def test_normals_of_a_flat_square_point_at_the_viewer():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    assert np.allclose(vertex_normals(square, np.array([[0, 1, 2], [0, 2, 3]])), [0, 0, 1])


def test_a_sheet_places_pictures_row_by_row():
    sheet = contact_sheet([np.full((4, 6, 3), k, np.uint8) for k in (10, 20, 30)], columns=2)
    assert sheet.shape == (8, 12, 3) and sheet[0, 7, 0] == 20 and sheet[5, 0, 0] == 30 and sheet[5, 7, 0] == 255


def test_a_video_has_sound_and_the_asked_length(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = np.random.default_rng(0).integers(0, 255, (25, 33, 32, 3), np.uint8)
    path = write_video(tmp_path / "clip.mp4", frames, 25, np.sin(np.arange(16000) / 10) * 0.3)
    said = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr
    assert "h264" in said and "aac" in said and "00:00:01.0" in said
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_of_no_frames_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        write_video(tmp_path / "clip.mp4", [], 25)
    assert not list(tmp_path.iterdir())
