"""MakeItTalk: sizes of the released networks, who hears what, geometry, each step of the assembly, training."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.errors import AssetMissing, InputError
from lib.models import makeittalk
from lib.models.makeittalk import RAW, Assembly, ContentBranch, Discriminator, NormalisedFace, SpeakerBranch

KEYS = json.loads((Path(__file__).parent / "parity" / "makeittalk" / "state_dict_keys.json").read_text())
SMALL = replace(makeittalk.reduced(16, window=5), embedding=6)


@pytest.fixture(scope="module")
def face():
    """A neutral face (68, 2) in pixels."""
    from lib.experiments.tracks import neutral

    return neutral(0)


@pytest.fixture(scope="module")
def branches():
    torch.manual_seed(0)
    return ContentBranch(SMALL).eval(), SpeakerBranch(SMALL).eval()


@pytest.mark.parametrize(("name", "build"), [
    ("content", ContentBranch), ("speaker_aware", SpeakerBranch), ("discriminator_transformer", Discriminator),
])  # fmt: skip
def test_keys_and_shapes_are_those_of_the_released_networks(name, build):
    with torch.device("meta"):
        model = build()
    unused = makeittalk.NEVER_USED
    official = {k: v[0] for k, v in KEYS[name]["keys"].items() if not k.startswith(unused) and not k.endswith(".pe")}
    own = model.state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == official
    left_out = [entry[0] for key, entry in KEYS[name]["keys"].items() if key not in official]
    assert sum(value.numel() for value in own.values()) == KEYS[name]["numbers"] - sum(map(math.prod, left_out))


def test_the_mouth_has_an_area_whose_sign_tells_crossed_lips(face):
    shown = NormalisedFace.of(face)(face)
    open_mouth, crossed = shown.copy(), shown.copy()
    open_mouth[[61, 62, 63], 1] += 0.1                               # both axes are negated: upwards is positive
    crossed[[61, 62, 63], 1] -= 0.2
    assert makeittalk.mouth_area(open_mouth) > 0 > makeittalk.mouth_area(crossed)


def test_normalised_faces_are_as_wide_as_stated_and_come_back(face):
    frame = NormalisedFace.of(face)
    shown = frame(face)
    assert abs(shown[16, 0] - shown[0, 0]) == pytest.approx(1.6) and np.allclose(frame.pixels(shown), face, atol=1e-4)
    with pytest.raises(InputError, match="frontal"):
        NormalisedFace.of(np.zeros((68, 2)))


def test_registration_takes_out_rotation_and_shift_but_no_size(face):
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    moved = np.stack([face @ turn.T + 30, 1.1 * face])
    registered = makeittalk.registration(moved, face)(moved)
    assert np.allclose(registered[0], face, atol=1e-3) and not np.allclose(registered[1], face, atol=1.0)


def test_the_most_closed_mouth_is_looked_for_in_every_tenth_frame(face):
    clip = np.tile(NormalisedFace.of(face)(face), (41, 1, 1))
    clip[:, [65, 66, 67], 1] -= np.linspace(0.4, 0.1, 41)[:, None]
    clip[35, [65, 66, 67]] = clip[35, [63, 62, 61]]
    assert makeittalk.most_closed(clip) == 40


def test_a_frame_hears_its_window_and_nothing_before_or_after(branches):
    content, _ = branches
    mel = torch.randn(1, 30, 80, requires_grad=True)
    shown = content(mel, torch.zeros(1, 136))
    assert shown.shape == (1, 25, 136)
    heard = torch.autograd.grad(shown[0, 10].sum(), mel)[0][0].abs().sum(-1)
    assert torch.nonzero(heard)[:, 0].tolist() == list(range(10, 15))


def test_the_manner_of_a_frame_depends_on_all_frames_and_on_three_times_the_voice(branches):
    _, speaker = branches
    mel, voice = torch.randn(1, 30, 80, requires_grad=True), torch.randn(1, 6)
    heard = torch.autograd.grad(speaker(mel, voice)[0, 10].sum(), mel)[0][0].abs().sum(-1)
    assert (heard[:29] > 0).all() and heard[29] == 0                  # no window reaches the last row
    assert torch.equal(speaker.code(voice), speaker.spk_emb_encoder(3 * voice))


def test_positions_fall_twice_as_fast_as_usual():
    from lib.models.parts import sinusoids

    table, usual = makeittalk.position_table(9, 8), sinusoids(9, 8)
    assert torch.allclose(table[:, 0], usual[:, 0]) and torch.allclose(table[:, 2], usual[:, 4], atol=1e-6)
    assert not torch.allclose(table[:, 1], usual[:, 1], atol=0.1)


def test_norms_divide_by_the_unbiased_deviation():
    x = torch.tensor([[1.0, 2.0, 4.0]])
    assert torch.allclose(makeittalk.Norm(3)(x), (x - x.mean()) / (x.std(unbiased=True) + 1e-6))


def test_the_discriminator_scores_every_stretch_of_its_length():
    scores = Discriminator(SMALL)(torch.randn(2, 20, 136), torch.randn(2, 8))
    assert scores.shape == (2, 20 - SMALL.seen)


def test_too_short_and_too_long_inputs_are_refused(branches, face):
    content, speaker = branches
    with pytest.raises(InputError, match="5 rows; MakeItTalk needs more than its window of 5"):
        content(torch.randn(1, 5, 80), torch.zeros(1, 136))
    with pytest.raises(InputError, match="600 frames; MakeItTalk's transformer knows 512 positions"):
        speaker(torch.randn(1, 605, 80), torch.zeros(1, 6))
    with pytest.raises(InputError, match="4 frames; MakeItTalk needs at least 10"):
        makeittalk.animate(content, speaker, np.zeros((4, 80), np.float32), face, np.zeros(6), RAW)


def test_a_last_segment_of_fewer_than_ten_frames_is_dropped():
    assert [(s.start, s.stop) for s in makeittalk.segments(1030)] == [(0, 512), (512, 1024)]
    assert [(s.start, s.stop) for s in makeittalk.segments(522)] == [(0, 512), (512, 522)]


def test_calibration_makes_the_mean_of_the_lower_half_rest():
    assert makeittalk.calibrated(np.array([[4.0], [1.0], [3.0], [8.0]])).ravel().tolist() == [2, -1, 1, 6]


def test_every_step_of_the_assembly_can_be_taken_alone(face):
    frame = NormalisedFace.of(face)
    shown = frame(face)
    rng = np.random.default_rng(0)
    moved, manner = 0.01 * rng.standard_normal((2, 60, 68, 2))
    outputs = [(moved, manner)]
    assert np.allclose(makeittalk.assemble(outputs, shown, RAW), shown + moved + manner)
    louder = makeittalk.assemble(outputs, shown, replace(RAW, lips=2.0)) - shown - manner
    assert np.allclose(louder[:, 48:], 2 * moved[:, 48:]) and np.allclose(louder[:, :48], moved[:, :48])
    half = makeittalk.assemble(outputs, shown, replace(RAW, manner=0.5))
    assert np.allclose(half, shown + moved + manner / 2)
    nose = makeittalk.assemble(outputs, shown, replace(RAW, revise_nose=True))
    assert np.allclose(nose[:, 27] - nose[:, 28], nose[:, 28] - nose[:, 29])
    smooth = makeittalk.assemble(outputs, shown, replace(RAW, smooth=31))
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.5 * np.abs(np.diff(shown + moved + manner, axis=0)).mean()
    assert np.array_equal(moved, outputs[0][0])                       # what is given stays as it is


def test_lips_that_are_stilled_cannot_open_the_mouth(face):
    lowered = np.zeros((3, 68, 2))
    lowered[:, [55, 56, 57, 58, 59, 65, 66, 67], 1] = 1.0
    stilled = makeittalk.stilled_lips(lowered, 0.99)
    assert np.allclose(stilled[:, 66, 1] - stilled[:, 62, 1], 0.01)


def test_crossed_lips_meet_and_others_stay(face):
    shown = np.tile(NormalisedFace.of(face)(face), (3, 1, 1))
    shown[:, [61, 62, 63], 1] += 0.1
    shown[1, [61, 62, 63], 1] -= 0.4
    repaired = makeittalk.uncrossed(shown)
    assert np.array_equal(repaired[[0, 2]], shown[[0, 2]])
    assert np.allclose(repaired[1, [61, 62, 63]], repaired[1, [67, 66, 65]])


def test_a_blink_shuts_the_eyes_and_opens_them_again(face):
    clip = np.tile(NormalisedFace.of(face)(face), (100, 1, 1))
    seen = makeittalk.blinking(clip, [200])
    opening = np.linalg.norm(seen[:, 37] - seen[:, 41], axis=-1)
    assert opening.argmin() == 30 and opening[30] == pytest.approx(0) and opening[[0, 60]].min() > 0.8 * opening.max()
    assert makeittalk.blink_frames(400, np.random.default_rng(0))[1] in range(120, 180)


def test_the_portrait_is_edited_by_whole_pixels_in_the_stated_directions(face):
    edited = makeittalk.edited_portrait(face) - face
    assert np.allclose(edited[51], [0, 1], atol=1e-4) and np.allclose(edited[57], [0, -1], atol=1e-4)
    assert np.allclose(edited[37], [0, -2], atol=1e-4) and np.allclose(edited[41], [0, 2], atol=1e-4)


def test_a_prediction_has_one_frame_per_mel_row_and_windows_last_as_long_at_another_rate(branches, face):
    shown = makeittalk.animate(*branches, np.random.default_rng(0).standard_normal((40, 80)), face, np.ones(6))
    assert shown.shape == (40, 68, 2) and np.isfinite(shown).all()
    at_25 = Assembly().at(25)
    assert (at_25.smooth_manner, at_25.render_face) == (13, 5)
    assert Assembly().at(62.5) == Assembly() and RAW.at(25) == RAW


def test_a_checkpoint_with_another_table_or_shape_is_refused():
    model = SpeakerBranch(SMALL)
    state = model.state_dict()
    makeittalk.load_branch(model, state | {"encoder.pe.pe": model.encoder.positions[None], "decoder.x": torch.zeros(1)})
    with pytest.raises(InputError, match="fixed tables encoder.pe.pe"):
        makeittalk.load_branch(model, state | {"encoder.pe.pe": torch.zeros(1, 512, 4)})
    with pytest.raises(InputError, match="does not fit this model"):
        makeittalk.load_branch(ContentBranch(SMALL), state, "wrong.pth")


def test_absent_weights_are_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    with pytest.raises(AssetMissing, match="ckpt_content_branch.pth: not found"):
        makeittalk.released()
