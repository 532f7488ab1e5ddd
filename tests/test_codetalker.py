"""CodeTalker: codes, the non-causal motion decoder and its incremental form, both readings of the positions."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.bench import released_codetalker
from lib.errors import InputError
from lib.models import codetalker, parts
from lib.models.codetalker import CodeTalker, Config, GrowingDecoder, MotionVQ, VQConfig

KEYS = Path(__file__).parent / "parity" / "codetalker" / "state_dict_keys.json"
VQ = VQConfig(
    motion_width=30, width=32, layers=3, heads=4, ffn=48, codes_per_frame=4, code_width=8, codebook=16, output_bias=True
)
SMALL = Config(stage1=VQ, width=24, period=5, subjects=3, audio_width=12, layers=2)


def randomised(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 40, 12, generator=generator), torch.eye(3)[[0, 2]]


def test_published_codes_are_16_by_64_and_8_by_128():
    for config, codes in ((codetalker.VOCASET_VQ, (16, 64)), (codetalker.BIWI_VQ, (8, 128))):
        assert (config.codes_per_frame, config.code_width) == codes and math.prod(codes) == config.width


def test_the_nearest_entry_is_chosen_per_code():
    model = randomised(MotionVQ(VQ))
    features = torch.randn(2, 5, 32)
    distance = (features.view(2, 5, 4, 1, 8) - model.codebook).square().sum(-1)
    quantised = model.quantise(features)
    assert torch.equal(quantised.index, distance.argmin(-1))
    assert torch.equal(quantised.values.view(2, 5, 4, 8), model.codebook[quantised.index])


def test_perplexity_counts_the_entries_in_use():
    assert codetalker.perplexity(torch.zeros(10, dtype=torch.long), 16).item() == pytest.approx(1)
    assert codetalker.perplexity(torch.arange(16), 16).item() == pytest.approx(16)


def test_quantiser_loss_is_squared_distance_with_a_quarter_on_the_encoder_side():
    features, values = torch.zeros(1, requires_grad=True), torch.full((1,), 2.0, requires_grad=True)
    loss = codetalker.quantiser_loss(features, values)
    loss.backward()
    assert loss.item() == 5.0  # 4 + 0.25 * 4
    assert (features.grad.item(), values.grad.item()) == (-1.0, 4.0)


def test_constant_motion_decodes_to_constant_motion_from_one_frame_up():
    model = randomised(MotionVQ(VQ))
    for frames in (1, 2, 9):
        decoded, _, _ = model(torch.ones(1, frames, 30))
        # the norm divides the rounding of a constant by sqrt(1e-5)
        assert torch.allclose(decoded, decoded[:, :1].expand_as(decoded), atol=1e-2)


def test_appending_codes_changes_earlier_frames():
    model = randomised(MotionVQ(VQ))
    codes = torch.randn(1, 12, 32)
    assert not torch.allclose(model.decode(codes)[:, 0], model.decode(codes[:, :9])[:, 0], atol=1e-3)


@pytest.mark.parametrize("positions", ["code", "paper"])
@pytest.mark.parametrize("affine", [False, True])
def test_the_growing_decoder_gives_the_last_frame_of_every_prefix(positions, affine):
    model = randomised(MotionVQ(replace(VQ, positions=positions, affine=affine)))
    codes, growing = torch.randn(2, 9, 32), GrowingDecoder(model.decoder)
    for t in range(9):
        last = model.decoder.vertice_map_reverse(growing.append(codes[:, t]))
        assert torch.allclose(last, model.decode(codes[:, : t + 1])[:, -1], atol=1e-4), t


def test_released_positions_are_constant_so_only_the_intended_ones_see_order():
    still, ordered = (randomised(MotionVQ(replace(VQ, positions=p))) for p in ("code", "paper"))
    x = torch.randn(1, 6, 32)
    for model, equal in ((still, True), (ordered, False)):
        flipped = model.decoder.decoder_transformer(model.decoder.embed(x.flip(1))).flip(1)
        assert torch.allclose(model.decoder.decoder_transformer(model.decoder.embed(x)), flipped, atol=1e-4) is equal


def test_two_identical_clips_in_a_batch_stay_identical():
    encoded = randomised(MotionVQ(VQ)).encode(torch.randn(1, 6, 30).repeat(2, 1, 1))
    assert torch.allclose(encoded[0], encoded[1])


def test_untrained_it_uses_one_code_everywhere(clip):
    model = CodeTalker(SMALL).eval()
    features = model.teacher_forced_features(*clip, torch.randn(2, 20, 30))
    assert model.autoencoder.quantise(features).index.unique().numel() == 1


def test_cached_decoding_equals_the_released_loop(clip):
    model = randomised(CodeTalker(SMALL))
    with torch.no_grad():
        assert torch.allclose(model.decode(*clip, frames=20), released_codetalker(model, *clip, 20), atol=1e-4)


def test_a_batch_decodes_as_its_clips_do(clip):
    hidden, style = clip
    model = randomised(CodeTalker(SMALL))
    with torch.no_grad():
        both, second = model.decode(hidden, style, 12), model.decode(hidden[1:], style[1:], 12)
    assert torch.allclose(both[1:], second, atol=1e-4)


def test_feedback_is_renewed_when_weights_change():
    model = randomised(CodeTalker(SMALL))
    x = torch.randn(4, 32)
    with torch.no_grad():
        for _ in range(2):
            weight, bias = model.feedback()
            expected = model.vertice_map(model.autoencoder.decoder.vertice_map_reverse(x))
            assert torch.allclose(x @ weight.T + bias, expected, atol=1e-4)
            model.vertice_map.weight.mul_(2)


def test_style_may_be_a_mix_of_two_subjects(clip):
    model = randomised(CodeTalker(SMALL))
    first, third = model.style_of(torch.eye(3)[:1]), model.style_of(torch.eye(3)[2:])
    assert torch.allclose(model.style_of(torch.tensor([[0.3, 0.0, 0.7]])), 0.3 * first + 0.7 * third)


def test_stage_2_training_reaches_all_but_stage_1_and_leaves_it_in_evaluation_mode(clip):
    model = randomised(CodeTalker(SMALL)).train()
    motion = torch.randn(2, 20, 30)
    features = model.teacher_forced_features(*clip, motion)
    loss = nn.functional.mse_loss(model.motion_of(features), motion)
    (loss + nn.functional.mse_loss(features, model.true_features(motion))).backward()
    assert not model.autoencoder.training and all(p.grad is None for p in model.autoencoder.parameters())
    assert all(p.grad is not None for n, p in model.named_parameters() if not n.startswith("autoencoder"))


@pytest.mark.parametrize("name", ["stage1_vocaset", "stage1_BIWI", "stage2_vocaset", "stage2_BIWI"])
def test_keys_and_shapes_are_those_of_the_released_models(name):
    official = json.loads(KEYS.read_text())[name]["keys"]
    stage, dataset = name.split("_")
    config = getattr(codetalker, dataset.upper() + ("_VQ" if stage == "stage1" else ""))
    with torch.device("meta"):
        model = MotionVQ(config) if stage == "stage1" else CodeTalker(config)
    ours = {key: list(t.shape) for key, t in model.state_dict().items()}
    tables = {key: list(build().shape) for key, build in model.fixed_tables().items()}
    assert ours | tables == {key: shape[0] for key, shape in official.items()}


def test_the_two_released_files_load_together():
    source, target = CodeTalker(SMALL), CodeTalker(SMALL)
    stage2 = {f"module.{k}": v for k, v in source.state_dict().items() if not k.startswith("autoencoder.")}
    codetalker.load_checkpoints(target, {"state_dict": stage2}, {"state_dict": source.autoencoder.state_dict()})
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    with pytest.raises(InputError, match="missing autoencoder"):
        parts.load_official(target, stage2)


def test_inputs_that_do_not_fit_are_named(clip):
    model, (hidden, style) = CodeTalker(SMALL).eval(), clip
    for call, message in (
        (lambda: model.decode(hidden[..., :5], style, 20), "features has shape"),
        (lambda: model.decode(hidden, style[:1], 20), "style has shape"),
        (lambda: model.teacher_forced(hidden, style, torch.zeros(2, 20, 29)), "motion has shape"),
        (lambda: model.autoencoder(torch.full((1, 4, 30), float("inf"))), "motion contains NaN or infinite"),
        (lambda: model.autoencoder.decode(torch.zeros(1, 0, 32)), "codes has shape"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_impossible_configurations_are_named():
    with pytest.raises(InputError, match="positions is 'none'"):
        VQConfig(positions="none")
    with pytest.raises(InputError, match="must equal width"):
        VQConfig(code_projection=False, codes_per_frame=3)
