"""CFD: the sizes of Table 1, every reading of what it leaves open, and the three steps of its training."""

from dataclasses import replace

import pytest
import torch

from lib.errors import InputError
from lib.models.cfd import CFD, PAPER, Config, FrameNorm, direct, mlp, table_weights, weights

SMALL = Config(audio_width=6, content_hidden=(8,), content_width=5, lstm_width=8, lstm_layers=2, code_hidden=(8, 4),
               code_width=4, out_hidden=(12, 8), heads=2, attention_inner=8)
READINGS = [
    {}, {"style_input": "project"}, {"style_input": "sum"}, {"style_input": "style"}, {"attention": "time"},
    {"token_types": False}, {"identity": False}, {"second_branch": "content"}, {"content_hidden": (8, 8)},
    {"shape_seen": True},
]


def run(c=SMALL, frames=9, clips=2):
    torch.manual_seed(0)
    model = CFD(c).eval()
    return model, torch.randn(clips, frames, c.audio_width), torch.randn(clips, 68, 2)


def test_table_1_counted_by_hand():
    counted = table_weights(CFD(PAPER))
    assert counted["mlp_c"] == 80 * 256 + 256 + 256 * 161 + 161 == 62113
    assert counted["lstm"] == 4 * 256 * (161 + 256 + 2) + 2 * 4 * 256 * (256 + 256 + 2) == 1481728
    assert counted["mlp_t"] == 256 * 512 + 512 + 512 * 256 + 256 + 256 * 136 + 136 == 297864
    assert counted["content_branch"] == 1841705
    assert counted["mlp_e"] == counted["mlp_i"] == 80 * 256 + 256 + 256 * 128 + 128 + 128 * 128 + 128 == 70144


@pytest.mark.parametrize("reading, expected", [
    ("concat", 428936), ("sum", 297864), ("style", 297864), ("project", 297864 + 512 * 256 + 256),
])
def test_style_decoder_of_eq_8_has_131072_weights_more_than_table_1_allows(reading, expected):
    assert table_weights(CFD(replace(PAPER, style_input=reading)))["mlp_s"] == expected
    assert 428936 - 297864 == 131072


@pytest.mark.parametrize("reading", READINGS)
def test_every_reading_moves_68_points_in_every_frame(reading):
    model, audio, shape = run(replace(SMALL, **reading))
    p = model(audio, shape)
    assert p.displacement.shape == (2, 9, 68, 2)
    assert torch.allclose(p.landmarks(shape), shape[:, None] + p.said + p.styled, atol=1e-5)     # Eq. 9
    if model.style is not None:
        assert p.emotion.shape == p.identity.shape == (2, 9, 4) and p.style.shape == (2, 9, 8)


def test_published_sizes_run_on_one_clip():
    model = CFD(PAPER).eval()
    p = model(torch.randn(1, 50, 80))
    assert p.content.shape == p.style.shape == (1, 50, 256)
    assert p.emotion.shape == p.identity.shape == (1, 50, 128)


def test_without_style_branch_only_the_words_move_the_face():
    model, audio, shape = run(replace(SMALL, style=False))
    p = model(audio)
    assert p.styled is None and torch.equal(p.displacement, p.said)
    assert "mlp_s" not in table_weights(model)


def test_a_frame_never_depends_on_later_ones_unless_attention_runs_over_time():
    for reading, causal in (("tokens", True), ("time", False)):
        model, audio, _ = run(replace(SMALL, attention=reading))
        changed = audio.clone()
        changed[:, 6:] += 1
        same = torch.allclose(model(audio).displacement[:, :6], model(changed).displacement[:, :6], atol=1e-6)
        assert same is causal


def test_emotion_and_identity_codes_know_one_frame_and_the_content_code_the_past():
    model, audio, _ = run()
    changed = audio.clone()
    changed[:, 3] += 1
    before, after = model(audio), model(changed)
    for name in ("emotion", "identity"):
        moved = (getattr(before, name) != getattr(after, name)).any(-1)
        assert moved[:, 3].all() and moved.sum() == 2
    moved = (before.content - after.content).abs().amax(-1) > 0
    assert moved[:, 3:].all() and not moved[:, :3].any()


def test_unmarked_tokens_can_be_exchanged_and_marked_ones_cannot():
    for types, exchangeable in ((False, True), (True, False)):
        model, audio, _ = run(replace(SMALL, token_types=types))
        one, other = (torch.randn(2, 9, 4) for _ in range(2))
        there, back = model.style.join(one, other), model.style.join(other, one)
        assert torch.allclose(there, torch.cat([back[..., 4:], back[..., :4]], -1), atol=1e-5) is exchangeable


def test_batch_norm_counts_every_frame_once():
    norm = FrameNorm(1)
    frames = torch.tensor([[[0.0], [2.0]], [[4.0], [6.0]]])                        # mean 3, variance 5
    assert norm(frames)[0, 0, 0].item() == pytest.approx(-3 / 5**0.5, abs=1e-4)


def test_an_mlp_has_norm_and_activation_after_hidden_layers_only():
    kinds = [type(layer).__name__ for layer in mlp(80, 256, 161)]
    assert kinds == ["Linear", "FrameNorm", "LeakyReLU", "Linear"]


def test_a_face_shape_changes_the_output_only_where_it_is_seen():
    for seen in (False, True):
        model, audio, shape = run(replace(SMALL, shape_seen=seen))
        changed = model(audio, shape + 1).displacement
        assert torch.allclose(model(audio, shape).displacement, changed) is not seen


def test_step_2_leaves_the_content_branch_and_its_statistics_alone():
    model, audio, _ = run(replace(SMALL, dropout=0.5))
    model.freeze_content()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    first = model(audio)
    first.displacement.abs().mean().backward()
    optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and all(name.startswith(("style", "decode_style")) for name in moved)
    assert torch.equal(first.content, model(audio).content)                        # no dropout either


def test_zeroing_or_exchanging_a_code_leaves_the_words_as_they_are():
    model, audio, _ = run()
    p = model(audio)
    swapped = model.speak(p, p.emotion.flip(0), p.identity)
    assert torch.equal(swapped.said, p.said) and not torch.equal(swapped.styled, p.styled)
    assert torch.allclose(model.speak(p, p.emotion, p.identity).styled, p.styled)


def test_the_direct_map_has_the_weights_of_both_branches_within_a_percent():
    for c in (PAPER, SMALL):
        both, one = weights(CFD(c)), weights(CFD(direct(c)))
        assert not direct(c).style
        assert one == pytest.approx(both, rel=0.01 if c is PAPER else 0.1)


@pytest.mark.parametrize("wrong, message", [
    ({"style_input": "add"}, "style_input='add' is unknown; choose one of concat, project, sum, style"),
    ({"attention": "none"}, "attention='none'"), ({"style_input": "sum", "lstm_width": 10}, "cannot be summed"),
])
def test_a_reading_that_does_not_exist_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **wrong)


def test_other_features_and_a_missing_shape_are_refused():
    model, audio, _ = run()
    with pytest.raises(InputError, match="speech features"):
        model(torch.zeros(1, 4, 7))
    seeing, audio, _ = run(replace(SMALL, shape_seen=True))
    with pytest.raises(InputError, match="needs L_0 of"):
        seeing(audio)
