"""Videos with sound and grids of faces, with a system that needs no training."""

import subprocess

import numpy as np
import pytest
from player_stand_in import FPS, PuppetStandIn, StandIn, murmur

from lib.errors import InputError, StudyError
from lib.experiments import pictures
from lib.face.render import Renderer
from lib.paths import ROOT, find_asset
from lib.puppet.head import head


@pytest.fixture(scope="module", autouse=True)
def opengl():
    try:
        Renderer(head().topology, size=16).close()
    except StudyError as error:
        pytest.skip(str(error))


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """No assets at all."""
    from lib.face.ict import ict_face

    ict_face.cache_clear()
    monkeypatch.setattr("lib.paths.DATA", tmp_path / "data")
    monkeypatch.delenv("STUDY_DATA", raising=False)


def probe(path) -> str:
    import imageio_ffmpeg

    return subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True).stderr


def first_frame(path) -> np.ndarray:
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return np.frombuffer(next(reader), np.uint8).reshape(height, width, 3)


def test_two_faces_side_by_side_are_twice_as_wide_and_have_titles_and_sound(tmp_path):
    puppet, sound = PuppetStandIn(), murmur(0.6)
    motions = {name: puppet.animate(sound, name, 1.0) for name in ("happy", "sad")}
    path = pictures.side_by_side(tmp_path / "two.mp4", motions, puppet.topology, sound, FPS, size=128, progress=False,
                                 comment="Licence: free.")
    picture, said = first_frame(path), probe(path)
    assert picture.shape == (128, 256, 3) and "aac" in said and "00:00:00.6" in said and "Licence: free." in said
    left, right = picture[:14, :128], picture[:14, 128:]                             # above the heads: titles alone
    assert (left.min(-1) < 120).sum() > 20 and not np.array_equal(left, right)


def test_motions_of_different_length_are_refused_before_anything_is_written(tmp_path):
    rest = head().mean
    with pytest.raises(InputError, match="one length"):
        pictures.side_by_side(tmp_path / "x.mp4", {"a": rest[None], "b": np.stack([rest, rest])}, head().topology,
                              None, FPS)
    assert not list(tmp_path.iterdir())


def test_without_assets_the_animators_own_voice_speaks_on_its_own_face(bare, tmp_path):
    ball = StandIn()
    table = pictures.real_speech(ball, tmp_path, "05", progress=False)
    assert table[["clip", "face", "licence", "seconds", "residual_mm"]].values.tolist() == [
        ["murmur", "ball", "free", 2.0, 0.0]]
    assert [face.name for face in pictures.faces(head().topology)] == ["puppet"]
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["05_murmur_ball.mp4"]


def test_ravdess_clips_carry_their_licence_and_their_videos_are_not_committed():
    if find_asset("ravdess_speech") is None:
        pytest.skip("asset ravdess_speech is absent")
    heard = pictures.sounds(StandIn(), real=2, own=0)
    assert all(sound.licence == "CC BY-NC-SA 4.0" and "Livingstone" in sound.origin for sound in heard)
    name = f"results/laptop/videos/05_{heard[0].name}_puppet.mp4"
    ignored = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", name])
    assert len(heard) == 2 and ignored.returncode == 0


def test_the_ict_face_opens_its_mouth_when_the_puppet_does():
    if find_asset("ict_face_model") is None:
        pytest.skip("asset ict_face_model is absent")
    from lib.face.landmarks import lip_opening
    from lib.face.rig import curves

    face = pictures.ict()
    talking = head().vertices(curves(3, jawOpen=np.array([0.0, 0.6, 0.0])))
    moved, residual = face.carry({"a": talking, "b": talking[:2]})
    opening = lip_opening(moved["a"][:, face.topology.landmarks])
    assert opening[1] > opening[0] + 10 and len(moved["b"]) == 2 and residual < 0.5                      # mm


def test_a_strip_has_a_row_per_emotion_and_a_column_per_intensity():
    figure = pictures.strip(PuppetStandIn(), murmur(0.4), emotions=("happy", "sad"), alphas=(0.0, 1.0), size=64)
    panels = [axes.images[0].get_array() for axes in figure.axes]
    assert len(panels) == 4
    assert np.array_equal(panels[0], panels[2]) and not np.array_equal(panels[1], panels[3])       # alpha 0 is nobody's
    assert [axes.get_ylabel() for axes in figure.axes] == ["happy", "", "sad", ""]


def test_a_moment_outside_the_sentence_is_refused():
    with pytest.raises(InputError, match="0.40 s"):
        pictures.strip(PuppetStandIn(), murmur(0.4), second=0.5)


def test_moments_are_the_widest_openings_of_equal_parts():
    assert pictures.moments(np.array([0, 3, 1, 0, 0, 2.0]), 2) == [1, 5]


def test_a_comparison_shows_every_system_twice_and_no_displacement_pale():
    rest = head().mean
    still, moved = np.stack([rest, rest]), np.stack([rest, rest + np.float32([0, 0, 5.0])])
    figure = pictures.compare({"static": still}, moved, rest, head().topology, FPS, times=(0.0, 0.04), size=64)
    *panels, bar = figure.axes
    assert len(panels) == 8 and bar.get_ylabel() == "displacement (mm)" and bar.get_ylim()[1] == pytest.approx(5)
    middle = [axes.images[0].get_array()[30:34, 20:26].mean((0, 1)) for axes in panels[4:]]         # truth, then static
    assert middle[1][2] < 60 < 120 < middle[0][2] and np.allclose(middle[2], middle[3])
