"""Phonemes to mouth curves."""

import numpy as np
import pytest

from lib.data.clip import Phoneme
from lib.face.rig import ARKIT, curves, index
from lib.puppet import mouth
from lib.puppet.mouth import HOLD_S, LABIODENTALS, Manner, close_lips, contact_curve, sounds, speech_curves, touch_teeth

TIMES = np.arange(100) / 100


def word(*labels: str, each_s: float = 0.1) -> list[Phoneme]:
    edges = 0.2 + each_s * np.arange(len(labels) + 1)
    spoken = [Phoneme(label, a, b) for label, a, b in zip(labels, edges, edges[1:], strict=False)]
    return [Phoneme("_", 0.0, 0.2), *spoken, Phoneme("_", edges[-1], 1.0)]


@pytest.mark.parametrize(("label", "wanted"), [
    ("oʊ", ("o", "ʊ")), ("tʃ", ("t", "ʃ")), ("ˈɑːɹ", ("ɑ", "ɹ")), ("əl", ("ə", "l")), ("_", ("_",)), ("ph", ("p",)),
    ("h", ("h",)), ("tɕh", ("t", "ɕ")), ("iɑu", ("i", "ɑ", "u")), ("s.", ("ʃ",)), ("o-", ("o",)), ("", ("_",)),
])
def test_labels_come_apart_into_sounds(label, wanted):
    assert sounds(label) == wanted


def test_every_target_names_a_known_control_and_lies_within_the_rig():
    for strengths, targets in mouth.VISEMES.values():
        assert set(targets) <= set(mouth.CONTROLS) and set(strengths) == set(mouth.GROUPS)
        assert all(0 <= value <= 1 for value in targets.values())


def test_silence_moves_nothing():
    assert abs(speech_curves([Phoneme("_", 0.0, 1.0)], TIMES)).max() == 0


def test_a_long_vowel_between_pauses_reaches_its_target():
    reached = speech_curves(word("ɑː", each_s=0.5), TIMES)[:, index("jawOpen")].max()
    assert reached == pytest.approx(0.62 * mouth.STRESS_GAIN[""], rel=0.03)


def test_rounding_begins_before_the_vowel_and_the_jaw_does_not():
    with_u, with_i = (speech_curves(word("s", "t", vowel), TIMES) for vowel in ("uː", "iː"))
    early = slice(27, 33)                                           # 100 ms before the vowel
    difference = with_u[early].mean(0) - with_i[early].mean(0)
    assert difference[index("mouthPucker")] > 0.08
    assert abs(difference[index("jawOpen")]) < 0.02


def test_a_larger_manner_opens_the_jaw_in_proportion():
    phonemes = word("b", "ɑː", "t")
    small, large = (speech_curves(phonemes, TIMES, Manner(jaw=size))[:, index("jawOpen")] for size in (0.5, 1.0))
    np.testing.assert_allclose(large, 2 * small, atol=1e-12)


def test_contact_is_complete_for_60_ms_even_where_the_label_is_short():
    short = [Phoneme("ə", 0.0, 0.4), Phoneme("p", 0.4, 0.41), Phoneme("ə", 0.41, 1.0)]
    contact = contact_curve(short, np.arange(1000) / 1000)
    assert (contact > 0.999).sum() / 1000 >= HOLD_S
    assert contact[:300].max() == 0


def test_every_frame_rate_from_25_fps_sees_each_closure():
    phonemes = word("ə", "b", "ə", "m", "ə", each_s=0.07)
    for fps in (25, 30, 60):
        frames = np.arange(fps) / fps
        contact = contact_curve(phonemes, frames)
        for start, end in mouth.holds(phonemes):
            assert contact[(frames >= start) & (frames <= end)].max() == 1


def test_closing_leaves_nothing_that_parts_the_lips_and_keeps_most_of_a_smile():
    rig = np.full((2, len(ARKIT)), 0.8)
    closed = close_lips(rig, np.array([0.0, 1.0]))
    np.testing.assert_array_equal(closed[0], rig[0])
    assert closed[1, mouth.STAYING == 0].max() == 0
    assert closed[1, index("jawOpen")] <= mouth.CLOSED_JAW
    assert closed[1, index("mouthClose")] >= closed[1, index("jawOpen")]
    assert closed[1, index("mouthSmileLeft")] > 0.5


def test_teeth_meet_the_lip_on_f_and_v_only():
    for label, wanted in (("f", 1), ("v", 1), ("s", 0)):
        contact = contact_curve(word("ɑ", label, "ɑ"), TIMES, LABIODENTALS)
        assert contact.max() == wanted
    touching = touch_teeth(curves(1, jawOpen=0.6).astype(float), np.ones(1))
    assert touching[0, index("mouthRollLower")] >= mouth.TEETH_ROLL and touching[0, index("jawOpen")] <= mouth.TEETH_JAW


def test_curves_do_not_depend_on_the_frames_asked_for():
    phonemes = word("m", "uː", "v")
    half = speech_curves(phonemes, TIMES[::2])
    assert abs(half - speech_curves(phonemes, TIMES)[::2]).max() < 0.02
