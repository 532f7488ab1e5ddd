"""Measures of any paper's systems on a face of two vertices, one of the lips and one of the upper face."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.experiments import eavanet_measures, ecm, ecm_measures, emoface_measures, measures
from lib.experiments.draw import Draw
from lib.face.basis import MotionBasis
from lib.models import codetalker, emoface, faceformer

LIPS, UPPER = slice(0, 3), slice(3, 6)                # coefficients of the two vertices: the basis is the identity


@pytest.fixture
def draw():
    topology = SimpleNamespace(regions={"lips": np.array([0]), "upper_face": np.array([1])})
    table = pd.DataFrame({"position": range(4), "clip": list("abcd"), "actor": [1, 1, 2, 3],
                          "sentence": ["s0", "s1", "s1", "s1"], "emotion": "sad", "intensity": 1.0,
                          "part": ["train", "seen", "seen", "unseen"]})
    motion = [np.full((4, 6), i, np.float32) for i in range(4)]
    hidden = [np.full((8, 2), i, np.float32) for i in range(4)]
    return Draw("smoke", 0, table, (), hidden, motion, motion, MotionBasis(np.eye(6, dtype=np.float32), 1.0), topology,
                "none", 30, "key")


def test_distance_of_the_upper_face_ignores_the_lips(draw):
    other = np.zeros((4, 6))
    other[:, LIPS], other[:, UPPER] = 9, (0, 3, 4)
    assert measures.upper_distance(draw, other, np.zeros((4, 6))) == pytest.approx(5)


def test_achieved_is_the_share_of_the_axis_on_the_upper_face(draw):
    full = np.zeros((4, 6))
    full[:, UPPER] = 2
    half = full / 2
    half[:, LIPS] = 7
    assert measures.achieved(draw, half, np.zeros((4, 6)), full) == pytest.approx(0.5)


def wave(late: int, frames: int = 90) -> np.ndarray:
    motion = np.zeros((frames, 6))
    motion[:, 0] = np.sin(2 * np.pi * (np.arange(frames) - late) / 30)
    return motion


def test_lip_sync_finds_the_lag_in_seconds_and_a_resting_face_has_no_margin(draw):
    assert measures.lip_sync(draw, wave(3), wave(0))["lag_s"] == pytest.approx(3 / 30)
    assert measures.lip_sync(draw, np.zeros((90, 6)), wave(0))["sync_mm"] == pytest.approx(0)


def test_the_sync_margin_falls_with_the_lag_and_does_not_see_a_lasting_expression(draw):
    margins = [measures.lip_sync(draw, wave(late), wave(0))["sync_mm"] for late in (0, 2, 4, 8)]
    assert margins[0] > 0.5 and margins == sorted(margins, reverse=True) and margins[-1] < 0
    assert measures.lip_sync(draw, wave(0) + 5, wave(0))["sync_mm"] == pytest.approx(margins[0])


def test_lip_crosstalk_counts_what_lies_beside_the_true_emotion_in_shares_of_speech(draw):
    axis, speech = np.zeros((4, 6)), np.zeros((4, 6))
    axis[:, 0], speech[:, 2] = 1, 10
    change = 3 * axis
    assert measures.lip_crosstalk(draw, change, axis, speech) == pytest.approx(0)
    change[:, 1] = 4
    assert measures.lip_crosstalk(draw, change, axis, speech) == pytest.approx(0.4)


def test_controls_exchange_sound_and_truth_with_a_clip_of_another_sentence(draw):
    rows = measures.test_rows(draw, (1,))
    assert rows["clip"].tolist() == ["b", "d"]                   # actor 2 is seen, but not known to the system
    draw.table.loc[3, "sentence"] = "s2"
    controls = measures.Controls(draw, rows, (1,), lambda hidden, clip: hidden[::2, :1].repeat(6, 1), None)
    assert (controls.predict("control/shuffled-audio", 1) == 3).all()
    assert (controls.predict("control/shuffled-truth", 3) == 1).all()
    assert (controls.predict("control/mean-motion", 3) == 0).all()
    assert (controls.predict("control/oracle", 3) == 3).all()


def test_a_transferred_probe_is_right_where_the_code_holds_the_factor_and_chance_where_it_does_not():
    rng = np.random.default_rng(0)
    labels, noise = np.array(["a", "b"] * 60), rng.standard_normal((120, 4))
    code = np.where(labels == "a", 1.0, -1.0)[:, None] + 0.1 * noise
    train, test = np.arange(80), np.arange(80, 120)
    assert measures.transfer(code, labels, train, test, noise, 0).value.max() > 0.9
    assert measures.transfer(noise, labels, train, test, code, 0).value.max() < 0.4


STAGE1 = codetalker.VQConfig(motion_width=6, width=16, layers=2, heads=2, ffn=16, codes_per_frame=4, code_width=4,
                             codebook=8)
AUTOREGRESSIVE = {
    "faceformer": lambda: faceformer.FaceFormer(
        faceformer.Config(motion_width=6, width=16, subjects=7, audio_width=5, audio_per_frame=1)),
    "codetalker": lambda: codetalker.CodeTalker(
        codetalker.Config(stage1=STAGE1, width=16, subjects=7, audio_width=5, audio_per_frame=1, layers=2)),
    **{f"emoface, past {past}": lambda past=past: emoface.EmoFace(
        emoface.Config(outputs=6, audio_width=5, width=16, layers=2, heads=2, ffn=64, decoder="autoregressive",
                       past=past)) for past in (None, 5)},
}


@torch.no_grad()
@pytest.mark.parametrize("family", AUTOREGRESSIVE)
def test_clips_of_unlike_length_decoded_together_are_those_one_by_one(family, monkeypatch):
    """Five clips in batches of three: the shortest is padded to more than twice its length."""
    torch.manual_seed(0)
    model = AUTOREGRESSIVE[family]().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    hidden = [torch.randn(frames, 5).numpy() for frames in (23, 9, 40, 9, 17)]
    told = np.eye(7, dtype=np.float32)[[0, 3, 3, 6, 1]]
    apart = [model.decode(torch.from_numpy(x)[None], torch.from_numpy(row)[None], len(x))[0].numpy()
             for x, row in zip(hidden, told, strict=True)]
    way = (model.codes, model.autoencoder.decode) if family == "codetalker" else (model.decode,)
    monkeypatch.setattr(measures, "TOGETHER", 3)
    found = measures.together(hidden, told, *way, per_frame=1)
    assert [len(x) for x in found] == [23, 9, 40, 9, 17]
    assert all(np.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(found, apart, strict=True))
    if family == "codetalker":                                   # its stage 1 sees the padding of what is not cut first
        leaked = measures.together(hidden, told, model.decode, per_frame=1)
        assert not np.allclose(leaked[1], apart[1], atol=1e-2)


@pytest.mark.parametrize("name", ["faceformer", "faceformer/label", "codetalker", "codetalker/label", "eavanet"])
def test_rivals_of_eavanet_predict_all_test_clips_as_one(name):
    data, trained = eavanet_measures.material("smoke", 0), eavanet_measures.train("smoke", 0, name, progress=False)
    for clip in eavanet_measures.test_rows(data).index:
        alone = trained.predict(data.hidden[clip], eavanet_measures.speaker_id(data, clip), data.table.emotion[clip])
        assert np.allclose(eavanet_measures.predict(name, data, clip), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["faceformer", "emoface/ar-decoder", "emoface/ar-decoder,past=5"])
def test_autoregressive_controllers_of_all_test_clips_are_those_of_one(name):
    trained = emoface_measures.train("smoke", 0, name, progress=False)
    found = emoface_measures._frame_by_frame("smoke", 0, name)
    assert {clip for clip, _ in found} == set(emoface_measures.test_rows(trained.data).index)
    for (clip, label), rig in found.items():
        assert np.allclose(rig, trained.curves(trained.data.hidden[clip], label), rtol=1e-5, atol=1e-5)


def test_faceformer_animates_all_tested_clips_as_one():
    made, trained = ecm.material("smoke", 0), ecm.train("smoke", 0, "faceformer", progress=False)
    for clip in ecm_measures.tested(made.data).index:
        alone = trained.animate(trained.hears(clip), clip)
        assert np.allclose(ecm_measures.predict("faceformer", made, clip), alone, rtol=1e-5, atol=1e-5)
