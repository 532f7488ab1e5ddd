"""Malformed input at the public entry points: a clear error or a documented correction, never a foreign traceback.

Each property takes a valid input of one kind and damages it: cut, bytes changed or inserted, values replaced. What
comes back must be a StudyError that names the input in one line, or a usable result; no file may be left behind.
"""

import io
import json
import pickle
import struct
import warnings

import numpy as np
import pytest
import scipy.io
import soundfile
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lib import audio, manifest, metrics
from lib.data import biwi, checkpoint, clip, facegood, mesh, ravdess, safe_pickle, styletalk, tracks
from lib.errors import InputError, StudyError
from lib.models import codetalker, eavanet, faceformer


def outcome(call, *arguments, names=""):
    """Result of a call, or None after a StudyError; anything else that is raised fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(*arguments)
        except StudyError as error:
            assert len(str(error)) > 20 and names in str(error) and "\n" not in str(error)
            return None


@st.composite
def damaged(draw, valid):
    """Bytes of a valid file, cut, changed in up to eight places, with bytes put in between, or replaced altogether."""
    data = bytearray(draw(st.sampled_from(valid)))
    way = draw(st.sampled_from(["cut", "change", "insert", "replace"]))
    if way == "replace":
        return draw(st.binary(max_size=200))
    place = draw(st.integers(0, len(data) - 1))
    if way == "cut":
        return bytes(data[:place])
    if way == "insert":
        return bytes(data[:place] + draw(st.binary(min_size=1, max_size=8)) + data[place:])
    for _ in range(draw(st.integers(1, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def encoded(write, *arguments, **options):
    stream = io.BytesIO()
    write(stream, *arguments, **options)
    return stream.getvalue()


TONE = (0.4 * np.sin(np.arange(3200) / 10)).astype(np.float32)
SOUNDS = [encoded(soundfile.write, TONE, 16000, format=kind) for kind in ("WAV", "FLAC", "OGG", "AIFF")]
WEIGHTS = {"state_dict": {"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(2)}}
CHECKPOINTS = [encoded(lambda s: torch.save(WEIGHTS, s)),
               encoded(lambda s: torch.save(WEIGHTS, s, _use_new_zipfile_serialization=False))]
PLAIN = {"a": np.arange(6.0).reshape(2, 3), "b": [1, "x", (2.5, None)]}
PICKLES = [pickle.dumps(PLAIN, protocol) for protocol in range(6)]
PLY = (b"ply\nformat %s 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
       b"element face 1\nproperty list uchar int vertex_indices\nend_header\n")
MESHES = [PLY % b"ascii" + b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
          PLY % b"binary_little_endian" + np.eye(3, dtype="<f4").tobytes() + struct.pack("<B3i", 3, 0, 1, 2)]
OBJECTS = [b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1/1 2/2/2 3/3/3\n"]
TABLES = [b"jawOpen,eyeBlinkLeft\n0.5,1\n0.25,0\n"]
TRACKS = [encoded(np.savez, landmarks=np.zeros((4, 68, 2), np.float32), fps=np.float32(25)),
          encoded(np.savez_compressed, landmarks=np.zeros((4, 68, 2), np.float32), fps=np.float32(25))]
TAKES = [encoded(np.savez, weights=np.zeros((2, 116), np.float32), names=np.array(facegood.NAMES), fps=np.float32(30))]
MATRICES = {"coeff": np.zeros((2, 257)), "transform_params": np.zeros((2, 5))}
COEFFICIENTS = [encoded(scipy.io.savemat, MATRICES, do_compression=packed) for packed in (False, True)]
FRAMES = [np.uint32(3).tobytes() + np.eye(3, dtype="<f4").tobytes()]
ENTRY = {
    "id": "tiny", "title": "Tiny", "kind": "corpus", "papers": ["cfd"], "page": "https://example.org", "licence": "MIT",
    "terms": {"redistribution": True, "commercial": False}, "gate": "open", "layout": {"path": "tiny", "files": ["*"]},
    "how_to_get": "fetch", "substitute": "puppet", "downloads": [{"to": "a", "url": "https://example.org/a"}]}
ENTRIES = [yaml.safe_dump({"assets": [ENTRY]}).encode()]

FILES = {
    "sound.wav": (audio.load, SOUNDS), "face.ply": (mesh.read, MESHES), "face.obj": (mesh.read, OBJECTS),
    "flame.pkl": (safe_pickle.load, PICKLES), "model.pth": (checkpoint.load, CHECKPOINTS),
    "track.npz": (tracks.read_landmarks, TRACKS), "take.npz": (facegood.weights, TAKES),
    "clip.mat": (styletalk.coefficients, COEFFICIENTS), "manifest.yaml": (manifest.load, ENTRIES),
    "rig.csv": (lambda path: tracks.read_table(path, ["jawOpen", "eyeBlinkLeft"]), TABLES),
    "frame.vl": (lambda path: biwi.read_vl(path, 3), FRAMES),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bad")


@pytest.mark.parametrize("name", FILES)
def test_the_undamaged_files_are_read(folder, name):
    read, valid = FILES[name]
    for data in valid:
        (folder / name).write_bytes(data)
        assert read(folder / name) is not None


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_refused_by_name_or_read(folder, name):
    read, valid = FILES[name]

    @settings(max_examples=60)
    @given(damaged(valid))
    @example(b"")
    @example(b"\x00" * 64)
    @example(b"\xff" * 64)
    def property_holds(data):
        (folder / name).write_bytes(data)
        before = set(folder.iterdir())
        outcome(read, folder / name, names=name)
        assert set(folder.iterdir()) == before
    property_holds()


@settings(max_examples=60)
@given(damaged(SOUNDS))
def test_a_damaged_upload_gives_an_error_or_sound_that_a_model_can_take(data):
    samples = outcome(audio.load_bytes, data, "upload.wav", names="upload.wav")
    if samples is not None:
        assert samples.ndim == 1 and samples.dtype == np.float32 and len(samples) >= 1600
        assert np.isfinite(samples).all() and np.abs(samples).max() <= 1


ANY_ARRAY = arrays.arrays(st.sampled_from([np.float32, np.float64, np.int16, np.uint8, np.int64, np.bool_]),
                          arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12))
RATES = st.one_of(st.sampled_from([0, -1, 8000, 16000, 48000, 10**9]), st.floats(), st.none())


@settings(max_examples=100)
@given(ANY_ARRAY, st.integers(1, 1000), RATES)
@example(np.ones(5000, np.float32), 1, np.nan)
@example(np.full(5000, np.iinfo(np.int64).min), 1, 16000)
def test_any_array_at_any_rate_gives_an_error_or_sound(samples, repeats, rate):
    samples = np.concatenate([samples] * repeats) if samples.ndim else samples
    sound = outcome(audio.load_array, samples, rate, "array", names="array")
    if sound is not None:
        assert sound.ndim == 1 and np.isfinite(sound).all() and np.abs(sound).max() <= 1


@settings(max_examples=60)
@given(ANY_ARRAY)
def test_any_array_as_mesh_or_landmarks_gives_an_error_or_a_checked_track(values):
    vertices = outcome(mesh.check_topology, values, 4)
    assert vertices is None or (vertices.shape[1:] == (4, 3) and np.isfinite(vertices).all())
    points = outcome(tracks.check_landmarks, values)
    assert points is None or points.shape[1] == 68


@settings(max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_any_pattern_of_lost_faces_is_filled_or_refused_and_stretches_hold_no_long_gap(lost):
    points = np.ones((len(lost), 68, 2), np.float32)
    points[lost] = np.nan
    filled = outcome(tracks.fill_gaps, points)
    assert filled is None or np.isfinite(filled).all()
    for stretch in tracks.split_at_gaps(points):
        assert np.isfinite(tracks.fill_gaps(points[stretch])).all()


@settings(max_examples=60)
@given(ANY_ARRAY, st.floats(), st.sampled_from(["rig52", "vertices", "landmarks68", "dance", None]))
def test_any_motion_makes_a_clip_or_an_error(motion, fps, kind):
    outcome(lambda: clip.Clip("c", TONE, "s", fps=fps, motion=motion, motion_kind=kind))
    outcome(clip.Clip, "c", motion, "s")


@settings(max_examples=60)
@given(st.text(st.characters(max_codepoint=0x2fff), max_size=25))
@example("03-01-06-01-02-01-1²")
def test_any_file_name_is_parsed_or_refused(stem):
    outcome(ravdess.parse, stem)


ANY_VALUE = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@settings(max_examples=60)
@given(st.sampled_from(sorted(ENTRY)), ANY_VALUE)
def test_any_value_in_a_manifest_entry_is_accepted_or_refused(folder, key, value):
    (folder / "entry.yaml").write_text(json.dumps({"assets": [ENTRY | {key: value}]}))
    outcome(manifest.load, folder / "entry.yaml", names="entry.yaml")


@settings(max_examples=30)
@given(ANY_VALUE)
def test_any_document_as_manifest_is_accepted_or_refused(folder, value):
    (folder / "any.yaml").write_text(json.dumps({"assets": value}))
    outcome(manifest.load, folder / "any.yaml", names="any.yaml")


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    audio.save(tmp_path / "speech.wav", TONE)
    before = (tmp_path / "speech.wav").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(soundfile, "write", full)
    with pytest.raises(StudyError, match="speech.wav: not written.*No space left"):
        audio.save(tmp_path / "speech.wav", TONE / 2)
    assert (tmp_path / "speech.wav").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("path", ["", "no\0where.wav", "/", "a" * 5000])
def test_an_impossible_path_is_one_clear_error(path):
    for read in (audio.load, safe_pickle.load, checkpoint.load):
        with pytest.raises(InputError):
            read(path)


NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
ANY_ARRAY = arrays.arrays(np.float32, SHAPES, elements=NUMBERS)
REGIONS = {"lips": np.array([0]), "upper_face": np.array([1])}
MEASURES = [lambda p, t: metrics.lip_vertex_error(p, t, [0, 1]), metrics.vertex_error,
            lambda p, t: metrics.landmark_distance(p, t), metrics.rig_error,
            lambda p, t: metrics.evaluate(p, t, np.zeros(t.shape[1:]), REGIONS, 100.0)]


@settings(max_examples=200, deadline=None)
@given(pred=ANY_ARRAY, truth=ANY_ARRAY, measure=st.sampled_from(MEASURES), equal=st.booleans())
def test_any_two_motions_give_an_error_or_scores(pred, truth, measure, equal):
    outcome(measure, truth if equal else pred, truth)


def small_models():
    torch.manual_seed(0)
    sizes = dict(motion_width=6, width=8)
    vq = codetalker.VQConfig(**sizes, layers=1, heads=2, ffn=8, codes_per_frame=2, code_width=4, codebook=4)
    return [eavanet.EavaNet(eavanet.Config(**sizes, audio_width=4, speakers=2, gate_width=8, lstm_width=4)),
            faceformer.FaceFormer(faceformer.Config(motion_width=6, width=8, subjects=2, audio_width=4)),
            codetalker.CodeTalker(codetalker.Config(stage1=vq, width=8, subjects=2, audio_width=4, layers=1))]


MODELS = [model.eval() for model in small_models()]


@settings(max_examples=200, deadline=None)
@given(hidden=ANY_ARRAY, row=ANY_ARRAY, model=st.sampled_from(MODELS), fits=st.booleans())
def test_any_features_and_speakers_give_a_model_error_or_finite_motion(hidden, row, model, fits):
    if fits and hidden.size:
        hidden = np.resize(np.nan_to_num(hidden, posinf=1, neginf=-1), (1, 8, 4))
    features, given_row = torch.from_numpy(np.asarray(hidden, np.float32)), torch.from_numpy(row)
    options = (None,) if isinstance(model, eavanet.EavaNet) else ()
    with torch.no_grad():
        motion = outcome(model.decode, features, given_row, *options, 4)
    assert motion is None or motion.shape[1:] == (4, 6)
