"""EmoFace recordings: both layouts, emotions by name, malformed controller files, the published clip."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import paths
from lib.data import emoface
from lib.errors import InputError
from lib.face import metahuman

needs_sample = pytest.mark.skipif(paths.find_asset("emoface_sample") is None, reason="needs the asset emoface_sample")


def write_sound(path, seconds=0.2, rate=48000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * rate)) / rate), rate)


def write_controllers(path, frames=13):
    path.parent.mkdir(parents=True, exist_ok=True)
    emoface.save_controllers(path, np.arange(frames * 174).reshape(frames, 174) / 1000)


@pytest.fixture
def folder(tmp_path):
    write_sound(tmp_path / "wav" / "angry_gd04_001_021.wav")
    write_controllers(tmp_path / "ctr" / "angry_gd04_001_021.txt")
    write_sound(tmp_path / "wav" / "surp_sp01_001_002.wav")
    return tmp_path


def controllers_file(folder):
    return folder / "ctr" / "angry_gd04_001_021.txt"


def test_a_clip_has_sound_at_16_khz_and_controllers_cut_to_its_length(folder):
    clip = emoface.clips(folder)[0]
    assert (clip.id, clip.emotion) == ("emoface-angry_gd04_001_021", "angry")
    assert (clip.fps, clip.motion_kind) == (60, "metahuman174")
    assert len(clip.audio) == 3200 and clip.motion.shape == (12, 174)          # int(60 x 0.2), of 13 lines
    assert clip.motion[1, 173] == np.float32(0.347) and clip.extra["take"] == "gd04_001_021"


def test_the_second_column_of_a_name_that_occurs_twice_is_kept(folder):
    names = metahuman.METAHUMAN
    assert names[25] == names[27]
    assert emoface.clips(folder)[0].motion[0, [25, 27]].tolist() == pytest.approx([0.025, 0.027])


def test_a_recording_without_controllers_is_sound_alone(folder):
    clip = emoface.clips(folder).where(emotion="surprised")[0]
    assert clip.motion is None and clip.fps is None and len(clip.audio) == 3200


def test_the_published_layout_tells_the_split(tmp_path):
    for split, stem in (("train", "sad_gd01_001_001"), ("validation", "neu_gd01_001_002")):
        write_sound(tmp_path / split / "WAV" / f"{stem}.wav")
        write_controllers(tmp_path / split / "VALID_CTR" / f"{stem}.txt")
    clips = emoface.clips(tmp_path)
    assert {row["emotion"]: row["split"] for row in clips.rows} == {"neutral": "validation", "sad": "train"}
    assert all(clip.motion is not None for clip in clips)


def test_the_seven_emotions_are_found_by_three_letters():
    assert [emoface.emotion(f"{code}x_gd01") for code in emoface.EMOTIONS] == list(emoface.EMOTIONS.values())
    with pytest.raises(InputError, match="'calm_gd01': expected a name that begins with one of ang, dis"):
        emoface.emotion("calm_gd01")


def test_a_file_of_no_known_emotion_is_named(folder):
    write_sound(folder / "wav" / "bored_gd01.wav")
    with pytest.raises(InputError, match=r"bored_gd01.wav: 'bored_gd01': expected a name"):
        emoface.clips(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()), "row 1 has 173 values"),
        (lambda text: text.rstrip().rpartition(",")[0], "row 13 has 173 values; expected 174"),
        (lambda text: text.replace("0.003000", "nan", 1), "row 1, column 3 CTRL_C_jaw-translateX: 'nan' is no finite"),
        (lambda text: text.replace("0.003000", "open", 1), "'open' is no finite number"),
        (lambda text: text.replace("0.003000", "inf", 1), "'inf' is no finite number"),
        (lambda text: "", "no rows"),
        (lambda text: "\n\n", "no rows"),
        (lambda text: text.replace(",", " "), "row 1 has 1 values"),
    ],
)
def test_a_malformed_controller_file_is_named_with_its_row(folder, damage, message):
    path = controllers_file(folder)
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=f"angry_gd04_001_021.txt: .*{message}"):
        emoface.clips(folder)[0]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "angry_gd01.txt"
    write_controllers(path, 2)
    return path, path.read_bytes()


@settings(max_examples=100)
@given(place=st.integers(0, 3000), new=st.binary(max_size=8), cut=st.booleans())
def test_a_damaged_controller_file_is_refused_by_name_or_read_as_finite_numbers(damaged, place, new, cut):
    path, valid = damaged
    path.write_bytes(valid[:place] + new + (b"" if cut else valid[place + len(new) :]))
    try:
        values = emoface.controllers(path)
    except InputError as error:
        assert path.name in str(error) and "\n" not in str(error)
    else:
        assert values.shape[1] == 174 and np.isfinite(values).all()


def test_a_controller_file_that_is_no_text_is_named(folder):
    controllers_file(folder).write_bytes(b"\xff\xfe\x00\x9f" * 40)
    with pytest.raises(InputError, match=r"angry_gd04_001_021.txt: expected a comma-separated text table"):
        emoface.clips(folder)[0]


def test_a_folder_without_recordings_is_named(tmp_path):
    with pytest.raises(InputError, match="expected EmoFace recordings"):
        emoface.clips(tmp_path)
    write_sound(tmp_path / "other" / "sad_1.wav")
    with pytest.raises(InputError, match="no folder wav or WAV with sound"):
        emoface.clips(tmp_path)


def test_controllers_survive_writing_with_six_decimals_and_bad_ones_are_not_written(tmp_path):
    curves = np.random.default_rng(0).uniform(-1, 1, (5, 174))
    emoface.save_controllers(tmp_path / "a.txt", curves)
    assert np.abs(emoface.controllers(tmp_path / "a.txt") - curves).max() < 6e-7
    for bad in (curves[:, 1:], np.full((2, 174), np.nan)):
        with pytest.raises(InputError, match=r"b.txt: controllers"):
            emoface.save_controllers(tmp_path / "b.txt", bad)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("text", ["[0.1, 0.2]", "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 'x']", "[0.1,", "__import__('os')", ""])
def test_malformed_blink_windows_are_named(tmp_path, text):
    (tmp_path / "train_open.txt").write_text(text)
    with pytest.raises(InputError, match=r"train_open.txt: "):
        emoface.blink_windows(tmp_path)


def test_malformed_blink_intervals_are_named(tmp_path):
    for bad in (np.array([0.5]), np.array([[3]]), np.array([3, -1])):
        np.save(tmp_path / "interval_svm.npy", bad)
        with pytest.raises(InputError, match=r"interval_svm.npy: "):
            emoface.blink_intervals(tmp_path)
    (tmp_path / "interval_svm.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"interval_svm.npy: expected an array"):
        emoface.blink_intervals(tmp_path)


@needs_sample
def test_the_published_clip_is_read_with_its_published_facts():
    clips = emoface.clips()
    assert len(clips) == 4 and sum(row["controllers"] is not None for row in clips.rows) == 1
    clip = clips.where(take="gd04_001_021")[0]
    assert clip.motion.shape == (201, 174) and clip.duration_s == pytest.approx(3.36) and clip.emotion == "angry"
    whole = emoface.controllers(clips.where(take="gd04_001_021").rows[0]["controllers"])
    assert whole.shape == (202, 174) and (whole.min(), whole.max()) == pytest.approx((-0.629, 1.0), abs=1e-3)
    assert np.abs(whole).mean() == pytest.approx(0.0868, abs=1e-4) and (whole == 0).all(0).sum() == 5
    areas = {area: np.abs(whole[:, metahuman.columns(area)]).mean() for area in ("brow", "eyes", "mouth", "jaw")}
    assert areas == pytest.approx({"brow": 0.321, "eyes": 0.131, "mouth": 0.079, "jaw": 0.036}, abs=6e-4)
