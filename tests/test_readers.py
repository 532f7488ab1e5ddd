"""Corpora: tiny copies in the exact published layout, and the published counts where the real ones are present."""

import json
import pickle
from collections import Counter

import numpy as np
import pytest
import scipy.io
import soundfile

from lib import paths
from lib.data import biwi, emodb, facegood, matlab, ravdess, styletalk, vocaset
from lib.errors import AssetMissing, InputError


def needs(name):
    return pytest.mark.skipif(paths.find_asset(name) is None, reason=f"needs the asset {name}")


def write_sound(path, seconds=1.0, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 200 * time), rate)


def corrupt(path):
    path.write_bytes(path.read_bytes()[:40])


# RAVDESS and EmoDB: everything is in the file name

def test_ravdess_names_carry_the_published_factors():
    labels = ravdess.parse("03-01-06-01-02-01-12")
    assert labels == {"id": "ravdess-03-01-06-01-02-01-12", "actor": 12, "sex": "female", "label": "fearful",
                      "emotion": "fearful", "intensity": 0.5, "statement": 2, "repetition": 1}
    assert ravdess.parse("03-01-07-02-01-01-01")["emotion"] == "disgusted"
    assert ravdess.parse("03-01-02-02-01-01-01")["emotion"] is None            # calm
    assert ravdess.parse("03-01-01-01-01-01-01")["intensity"] == 0.0           # neutral


def test_ravdess_clips_are_read_when_asked_for_and_brought_to_16_khz(tmp_path):
    write_sound(tmp_path / "Actor_12" / "03-01-05-02-02-01-12.wav", rate=48000)
    (tmp_path / "Actor_12" / "03-01-05-01-02-01-12.wav").touch()               # broken, and never opened below
    clips = ravdess.clips(tmp_path).where(intensity=1.0)
    clip = clips[0]
    assert len(clips) == 1 and clip.audio.shape == (16000,)
    assert clip.emotion == "angry" and clip.sentence == "ravdess-02"
    assert clip.extra == {"label": "angry", "sex": "female", "repetition": 1, "text": "Dogs are sitting by the door"}


@pytest.mark.parametrize("stem", ["03-01-09-01-01-01-01", "03-02-05-01-01-01-01", "03-01-05-01-01-01-25", "hello",
                                  "03-01-01-02-01-01-01", "02-01-05-01-01-01-01", "03-01-05-01-01-01-01-copy"])
def test_ravdess_files_outside_the_scheme_are_refused_by_name(tmp_path, stem):
    write_sound(tmp_path / f"{stem}.wav")
    with pytest.raises(InputError, match=f"{stem}.wav"):
        ravdess.clips(tmp_path)


@needs("ravdess_speech")
def test_the_ravdess_copy_has_its_published_counts():
    rows = ravdess.clips().rows
    actors = {row["actor"] for row in rows}
    assert len(rows) == 60 * len(actors) and actors >= set(range(1, 17))
    assert set(Counter((row["actor"], row["label"]) for row in rows if row["label"] != "neutral").values()) == {8}
    assert set(Counter((row["actor"], row["intensity"]) for row in rows).values()) == {4, 28}     # neutral, each level


@needs("ravdess_speech")
def test_ravdess_clips_last_three_to_five_and_a_half_seconds():
    durations = [clip.duration_s for clip in ravdess.clips()[::40]]
    assert min(durations) > 2.9 and max(durations) < 5.5


def test_emodb_names_carry_the_published_factors(tmp_path):
    write_sound(tmp_path / "Angry" / "03a01Wa.wav")
    clip = emodb.clips(tmp_path)[0]
    assert (clip.id, clip.speaker, clip.emotion, clip.sentence) == ("emodb-03a01Wa", "emodb-03", "angry", "emodb-a01")
    assert clip.extra == {"label": "anger", "sex": "male", "take": "a", "language": "de"}
    with pytest.raises(InputError, match="99a01Wa"):
        emodb.parse("99a01Wa")


@needs("emodb_4emotions")
def test_the_emodb_copy_has_its_published_counts():
    rows = emodb.clips().rows
    assert len(rows) == 264 or len(rows) == 535
    assert all(n == 1 for n in Counter(row["id"] for row in rows).values())
    assert emodb.clips()[0].audio.dtype == np.float32


def test_a_folder_without_sound_and_an_absent_corpus_are_clear(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no .flac or .wav files; expected RAVDESS"):
        ravdess.clips(tmp_path)
    with pytest.raises(InputError, match="expected the folder of the corpus"):
        ravdess.clips(tmp_path / "none")
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    monkeypatch.setattr(paths, "DATA", tmp_path)
    with pytest.raises(AssetMissing, match="vocaset"):
        vocaset.clips()


def test_clips_are_chosen_by_label_and_unknown_labels_are_named(tmp_path):
    for stem in ("03a01Wa", "03a01Nc", "08a02Wb"):
        write_sound(tmp_path / f"{stem}.wav")
    clips = emodb.clips(tmp_path)
    assert clips.where(emotion=("angry", "sad"), speaker="03").ids == ("emodb-03a01Wa",)
    assert clips[1:].ids == clips.ids[1:] and list(clips.table.columns[:3]) == ["id", "speaker", "sex"]
    with pytest.raises(InputError, match="no label 'age'"):
        clips.where(age=3)


# StyleTalk and FACEGOOD: sound with motion

@pytest.fixture
def styletalk_folder(tmp_path):
    write_sound(tmp_path / "audio" / "Ada_clip1.flac", 0.2)
    for name in ("coeff", "phoneme", "landmarks"):
        (tmp_path / name).mkdir()
    coeff = np.arange(6 * 257, dtype=np.float32).reshape(6, 257)
    scipy.io.savemat(tmp_path / "coeff" / "Ada_clip1.mat", {"coeff": coeff, "transform_params": np.zeros((6, 5))})
    (tmp_path / "phoneme" / "Ada_clip1_seq.json").write_text("[31, 31, 0, 0, 0, 6]")
    (tmp_path / "phindex.json").write_text(json.dumps({"AA": 0, "B": 6, "SIL": 31}))
    np.savez(tmp_path / "landmarks" / "Ada_clip1.npz", landmarks=np.zeros((8, 68, 2), np.float32), fps=np.float32(30))
    return tmp_path


def test_styletalk_gives_expression_coefficients_and_phoneme_times(styletalk_folder):
    clip = styletalk.clips(styletalk_folder)[0]
    assert clip.motion.shape == (6, 64) and clip.motion[0, 0] == 80 and clip.motion[0, -1] == 143
    times = [(p.label, p.start_s, p.end_s) for p in clip.phonemes]
    assert times == [("", 0.0, 2 / 30), ("ɑ", 2 / 30, 5 / 30), ("b", 5 / 30, 0.2)]
    assert clip.speaker == "styletalk-Ada" and clip.extra["landmarks"].shape == (6, 68, 2)


def test_styletalk_files_that_disagree_are_refused(styletalk_folder):
    np.savez(styletalk_folder / "landmarks" / "Ada_clip1.npz", landmarks=np.zeros((9, 68, 2)), fps=30)
    with pytest.raises(InputError, match="Ada_clip1.npz: 9 frames; expected 6"):
        styletalk.clips(styletalk_folder)[0]
    (styletalk_folder / "phoneme" / "Ada_clip1_seq.json").write_text("[31]")
    with pytest.raises(InputError, match="Ada_clip1_seq.json has 1 ids; expected 6"):
        styletalk.clips(styletalk_folder)[0]
    corrupt(styletalk_folder / "coeff" / "Ada_clip1.mat")
    with pytest.raises(InputError, match="Ada_clip1.mat: not a readable MATLAB 5 file"):
        styletalk.clips(styletalk_folder)[0]


@pytest.mark.parametrize("packed", [False, True])
def test_matrices_equal_those_scipy_writes_in_every_number_type(tmp_path, packed):
    content = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in ("f4", "f8", "u1", "i2", "i8")}
    scipy.io.savemat(tmp_path / "a.mat", content | {"text": "skipped", "ab": np.ones((1, 1))}, do_compression=packed)
    found = matlab.load(tmp_path / "a.mat")
    assert found.keys() == content.keys() | {"ab"}
    assert all(np.array_equal(found[name], content[name]) for name in content)


@needs("mead_3dmm")
def test_published_coefficient_files_equal_scipys_reading():
    for path in sorted(paths.asset("mead_3dmm").glob("coeff/*.mat"))[:4]:
        theirs = scipy.io.loadmat(path)
        assert all(np.array_equal(values, theirs[name]) for name, values in matlab.load(path).items())


@needs("styletalk_av")
def test_the_styletalk_copy_has_seven_clips_at_thirty_frames_a_second():
    clips = list(styletalk.clips())
    assert len(clips) == 7
    assert all(29.9 < len(clip.motion) / clip.duration_s <= 30.0 for clip in clips)
    assert all(clip.phonemes[-1].end_s == pytest.approx(len(clip.motion) / 30) for clip in clips)


@pytest.fixture
def facegood_folder(tmp_path):
    write_sound(tmp_path / "wav" / "1114_2_01.flac", 0.1)
    values = np.arange(3 * 116, dtype=np.float32).reshape(3, 116)
    np.savez(tmp_path / "bs_value_1114_2_01.npz", weights=values, names=np.array(facegood.NAMES), fps=np.float32(30))
    return tmp_path


def test_facegood_columns_are_found_by_name_whatever_their_order(facegood_folder):
    values = facegood.clips(facegood_folder)[0].motion
    turned = {"weights": values[:, ::-1], "names": np.array(facegood.NAMES[::-1]), "fps": 30}
    np.savez(facegood_folder / "bs_value_1114_2_01.npz", **turned)
    assert np.array_equal(facegood.clips(facegood_folder)[0].motion, values)


def test_facegood_reads_the_released_bare_array(facegood_folder):
    values = facegood.clips(facegood_folder)[0].motion
    (facegood_folder / "bs_value_1114_2_01.npz").unlink()
    np.save(facegood_folder / "bs_value_1114_2_01.npy", values.astype(np.float64))
    assert np.array_equal(facegood.clips(facegood_folder)[0].motion, values)


def test_a_missing_facegood_column_is_named(facegood_folder):
    names = [name for name in facegood.NAMES if name != "mouth_stretch_c"]
    np.savez(facegood_folder / "bs_value_1114_2_01.npz", weights=np.zeros((3, 115)), names=np.array(names), fps=30)
    with pytest.raises(InputError, match=r"bs_value_1114_2_01.npz: column\(s\) mouth_stretch_c missing"):
        facegood.clips(facegood_folder)[0]


@needs("facegood_blendshapes")
def test_the_facegood_copy_has_five_takes_whose_jaw_follows_the_sound():
    from lib import audio
    clips = list(facegood.clips())
    assert len(clips) == 5 and all(29.97 < len(clip.motion) / clip.duration_s <= 30.0 for clip in clips)
    take = clips[-1]
    jaw = take.motion[:, facegood.NAMES.index("mouth_stretch_c")]
    energy = audio.loudness(take.audio, fps=30, window_s=0.1)
    assert np.corrcoef(jaw[:len(energy)], energy)[0, 1] > 0.4


# BIWI: published layout at four vertices

FACES = np.array([[0, 1, 2], [0, 2, 3]])
SQUARE = np.array([[0, 0, 0], [200, 0, 0], [200, 200, 0], [0, 200, 0]], np.float32)       # millimetres


@pytest.fixture
def biwi_folder(tmp_path):
    (tmp_path / "vertices_npy").mkdir()
    for stem in ("F2_e01", "F2_e37", "F1_e37", "F1_02", "M3_e33"):
        write_sound(tmp_path / "wav" / f"{stem}.wav", 0.2, 44100)
        np.save(tmp_path / "vertices_npy" / f"{stem}.npy", np.arange(60, dtype=np.float64).reshape(5, 12))
    templates = {subject: np.ones((4, 3)) for subject in biwi.SUBJECTS}
    (tmp_path / "templates.pkl").write_bytes(pickle.dumps(templates, 2))
    return tmp_path


def test_biwi_sequences_have_the_published_splits(biwi_folder):
    clips = biwi.clips(biwi_folder, n_vertices=4)
    splits = dict(zip(clips.ids, [row["split"] for row in clips.rows], strict=True))
    assert splits == {"biwi-F1_02": None, "biwi-F1_e37": "test_B", "biwi-F2_e01": "train", "biwi-F2_e37": "test_A",
                      "biwi-M3_e33": "val"}
    assert biwi.parse("F1_e37", biwi.EAVANET_SEEN)["split"] == "test_A"


def test_biwi_motion_is_vertices_at_25_frames_a_second(biwi_folder):
    clip = biwi.clips(biwi_folder, n_vertices=4).where(split="train")[0]
    assert clip.motion.shape == (5, 4, 3) and clip.motion[0, 1].tolist() == [3, 4, 5] and clip.fps == 25
    assert clip.audio.shape == (3200,) and clip.extra["template"].shape == (4, 3) and clip.extra["emotional"]


def test_the_published_split_holds_24_test_sentences_of_six_subjects():
    seen = [biwi.parse(f"{subject}_e{n:02d}")["split"] for subject in biwi.SEEN for n in range(1, 41)]
    assert Counter(seen) == {"train": 192, "val": 24, "test_A": 24}


def test_biwi_of_another_topology_is_refused(biwi_folder):
    (biwi_folder / "templates.pkl").write_bytes(pickle.dumps({s: np.ones((4, 3)) for s in biwi.SUBJECTS}))
    np.save(biwi_folder / "vertices_npy" / "F2_e01.npy", np.zeros((5, 15)))
    with pytest.raises(InputError, match=r"F2_e01.npy: shape \(5, 15\); expected \(frames, 4, 3\)"):
        biwi.clips(biwi_folder, n_vertices=4).where(split="train")[0]
    with pytest.raises(InputError, match=r"templates.pkl \[F1\]: shape .*23370"):
        biwi.clips(biwi_folder)


def test_normalised_frames_have_mean_zero_area_one_and_stand_upright():
    frames = biwi.normalise(np.stack([SQUARE, 2 * SQUARE + 7]), FACES)
    assert np.allclose(frames[0], frames[1], atol=1e-6)                   # neither size nor place of a frame survives
    assert np.allclose(frames[0, 0], [-0.5, 0.5, 0])                      # 200 mm -> 1, y turned down to up


def test_raw_frames_are_read_from_their_count_and_floats(tmp_path):
    for i in (2, 1):
        data = np.uint32(4).tobytes() + (SQUARE * i).astype("<f4").tobytes()
        (tmp_path / f"frame_00{i}.vl").write_bytes(data)
    assert np.array_equal(biwi.read_vl(tmp_path / "frame_001.vl", 4), SQUARE)
    assert biwi.read_raw(tmp_path, FACES, 4).shape == (2, 4, 3)
    corrupt(tmp_path / "frame_001.vl")
    with pytest.raises(InputError, match="frame_001.vl: announces 4 vertices in 40 bytes"):
        biwi.read_raw(tmp_path, FACES, 4)


# VOCASET: published layout at four vertices

@pytest.fixture
def vocaset_folder(tmp_path):
    train, test = vocaset.SUBJECTS["train"][0], vocaset.SUBJECTS["test"][0]
    sequences = [(train, "sentence01", 12), (test, "sentence01", 6), (test, "sentence21", 7)]
    index, sound, row = {train: {}, test: {}}, {train: {}, test: {}}, 0
    for subject, sentence, frames in sequences:
        index[subject][sentence] = {i: row + i for i in range(frames)}
        samples = (8000 * np.sin(np.arange(22000 * frames // 60) / 20)).astype(np.int16)
        sound[subject][sentence] = {"audio": samples, "sample_rate": 22000}
        row += frames
    np.save(tmp_path / "data_verts.npy", np.repeat(np.arange(row, dtype=np.float32), 12).reshape(row, 4, 3))
    files = {"subj_seq_to_idx": index, "raw_audio_fixed": sound, "templates": {s: np.zeros((4, 3)) for s in index}}
    for name, content in files.items():
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(content, 2))
    return tmp_path


def test_vocaset_keeps_every_second_frame_of_the_right_sequence(vocaset_folder):
    clips = vocaset.clips(vocaset_folder, n_vertices=4)
    assert [row["split"] for row in clips.rows] == ["train", None, "test"]
    assert clips[2].motion[:, 0, 0].tolist() == [18, 20, 22, 24] and clips[2].fps == 30
    assert vocaset.clips(vocaset_folder, fps=60, n_vertices=4)[2].motion[:, 0, 0].tolist() == list(range(18, 25))


def test_vocaset_sound_is_brought_from_22_to_16_khz(vocaset_folder):
    clip = vocaset.clips(vocaset_folder, n_vertices=4)[0]
    assert len(clip.audio) == 3200 and 0.2 < np.abs(clip.audio).max() < 0.3 and clip.extra["template"].shape == (4, 3)


def test_the_published_vocaset_split_has_320_40_and_40_sequences():
    everyone = [subject for group in vocaset.SUBJECTS.values() for subject in group]
    splits = Counter(vocaset.split_of(subject, n) for subject in everyone for n in range(1, 41))
    assert splits == {"train": 320, "val": 40, "test": 40, None: 80}


def test_vocaset_files_that_disagree_are_refused(vocaset_folder):
    with pytest.raises(InputError, match="data_verts.npy: shape .*5023"):
        vocaset.clips(vocaset_folder)
    with pytest.raises(InputError, match="fps=25: expected a divisor of 60"):
        vocaset.clips(vocaset_folder, fps=25)
    np.save(vocaset_folder / "data_verts.npy", np.zeros((20, 4, 3), np.float32))
    with pytest.raises(InputError, match="20 frames; .*sentence21 needs others"):
        vocaset.clips(vocaset_folder, n_vertices=4)[2]
    (vocaset_folder / "templates.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="templates.pkl: refused: it names 'os.system'"):
        vocaset.clips(vocaset_folder, n_vertices=4)
