"""Measures of any paper's systems on a face of two vertices, one of the lips and one of the upper face."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib.experiments import measures
from lib.experiments.draw import Draw
from lib.face.basis import MotionBasis

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
