"""Stored cases of CodeTalker: motion auto-encoder, speech to codes, and the metrics of its script."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import InputError
from lib.models import codetalker
from lib.parity import Case, built
from lib.parity.faceformer import is_biwi
from lib.paths import asset


def runner(case: Case) -> "Stage1Outputs | Stage2Outputs | MetricOutputs":
    if "dtype_of_arrays" in case.config:
        return MetricOutputs(case)
    return Stage2Outputs(case) if "wav2vec2" in case.config else Stage1Outputs(case)


class Stage1Outputs:
    """Outputs of the motion auto-encoder of CodeTalker by their names in the cases."""

    def __init__(self, case: Case):
        self.case, self.inputs = case, case.inputs
        self.model = built(codetalker.MotionVQ(vq_config(case)), case)
        self.template = self.inputs["template"][:, None]
        motion = stage1_vertices(case) - self.template
        self.reconstructed, self.features, self.codes = self.model(motion)

    @property
    def encoder_output(self) -> Tensor:
        return self.features

    @property
    def code_index(self) -> Tensor:
        return self.codes.index.flatten()

    @property
    def quantised(self) -> Tensor:
        config = self.model.config
        return self.codes.values.unflatten(-1, (config.codes_per_frame, config.code_width)).flatten(1, 2).mT

    @property
    def quantiser_loss(self) -> Tensor:
        return codetalker.quantiser_loss(self.features, self.codes.values)[None]

    @property
    def perplexity(self) -> Tensor:
        return codetalker.perplexity(self.codes.index, self.model.config.codebook)[None]

    @property
    def reconstruction(self) -> Tensor:
        return self.template + self.reconstructed

    @property
    def decoded_random_codes(self) -> Tensor:
        features = self.inputs["random_features"]
        return self.model.decode(features.reshape(len(features), -1, self.features.shape[-1]))

    @property
    def decoded_prefix(self) -> Tensor:
        return self.model.decode(self.codes.values[:, : self.codes.values.shape[1] // 2])


def stage1_vertices(case: Case) -> Tensor:
    """Stored vertices, or template + scale * noise of the generator seed + 1 as the case's config writes it."""
    if "vertices" in case.inputs:
        return case.inputs["vertices"]
    found = re.match(r"template \+ ([\d.]+) \* default_rng\(seed\+1\)", str(case.config.get("vertices")))
    if not found or "frames" not in case.config:
        raise InputError(f"{case.path}: vertices are neither stored nor described by a known rule")
    shape = (1, case.config["frames"], case.config["in_dim"])
    noise = float(found[1]) * np.random.default_rng(case.seed + 1).standard_normal(shape)
    return case.inputs["template"][:, None] + torch.from_numpy(noise.astype(np.float32))


def vq_config(case: Case) -> codetalker.VQConfig:
    c, biwi = case.config, is_biwi(case.config, case.path)
    if c.get("quant_factor", 0):
        raise InputError(
            f"{case.path}: quant_factor above 0 (fewer codes than frames) is in no published model; not built"
        )
    return codetalker.VQConfig(
        motion_width=c["in_dim"], width=c["hidden_size"], layers=c["num_hidden_layers"], heads=c["num_attention_heads"],
        ffn=c["intermediate_size"], codes_per_frame=c["face_quan_num"], code_width=c["zquant_dim"],
        codebook=c["n_embed"], slope=c["neg"], affine=c.get("INaffine", False),
        code_projection=biwi, output_bias=not biwi,
    )  # fmt: skip


class Stage2Outputs:
    """Outputs of speech to codes of CodeTalker by their names in the cases."""

    def __init__(self, case: Case):
        self.case, self.inputs = case, case.inputs
        self.model = built(codetalker.CodeTalker(codetalker_config(case)), case)
        self.style, self.template = self.inputs["one_hot"], self.inputs["template"][:, None]

    @cached_property
    def hidden(self) -> Tensor:
        return self.model.encode_audio(self.inputs["audio"], self.inputs["vertices"].shape[1])

    @cached_property
    def motion(self) -> Tensor:
        frames = self.hidden.shape[1] // self.model.config.audio_per_frame
        return self.inputs["vertices"][:, :frames] - self.template

    @cached_property
    def features(self) -> Tensor:
        return self.model.teacher_forced_features(self.hidden, self.style, self.motion)

    @cached_property
    def true_features(self) -> Tensor:
        return self.model.true_features(self.motion)

    def by_code(self, features: Tensor) -> Tensor:
        """(B, T, H*C) as the official (B, T*H, C)."""
        return features.unflatten(-1, (-1, self.model.config.stage1.code_width)).flatten(1, 2)

    @property
    def teacher_forced_features(self) -> Tensor:
        return self.by_code(self.features)

    @property
    def true_quantised_features(self) -> Tensor:
        return self.by_code(self.true_features)

    @cached_property
    def teacher_forced(self) -> Tensor:
        return self.template + self.model.motion_of(self.features)

    @property
    def loss_motion(self) -> Tensor:
        return nn.functional.mse_loss(self.teacher_forced, self.motion + self.template)[None]

    @property
    def loss_feature(self) -> Tensor:
        return nn.functional.mse_loss(self.features, self.true_features)[None]

    @cached_property
    def predict(self) -> Tensor:
        return self.model.predict(self.inputs["audio"], self.inputs["template"], self.style)

    @property
    def predict_style_mix(self) -> Tensor:
        mix = 0.3 * self.style + 0.7 * self.inputs["one_hot2"]
        return self.model.predict(self.inputs["audio"], self.inputs["template"], mix)


def codetalker_config(case: Case) -> codetalker.Config:
    c, biwi = case.config, is_biwi(case.config, case.path)
    return codetalker.Config(
        stage1=vq_config(case), width=c["feature_dim"], period=c["period"], subjects=case.inputs["one_hot"].shape[1],
        layers=c["num_layers"], heads=c["n_head"], fps=25.0 if biwi else 30.0, audio_per_frame=2 if biwi else 1,
        audio_width=c["wav2vec2"]["hidden_size"], wav2vec2=c["wav2vec2"],
    )  # fmt: skip


class MetricOutputs:
    """LVE and FDD of CodeTalker's script on regenerated clips; needs the published regions of the BIWI mesh."""

    def __init__(self, case: Case):
        lips, upper = (read_indices(asset(f"biwi_topology/regions/{name}.txt")) for name in ("lve", "fdd"))
        from lib import metrics

        predicted, true, templates = zip(*regenerated_clips(case), strict=True)
        self.scores = metrics.codetalker_scores(predicted, true, templates, lips, upper)

    def __getattr__(self, name: str) -> Tensor:
        if name not in self.scores:
            raise InputError(f"no rule for output {name!r}")
        return torch.from_numpy(np.atleast_1d(self.scores[name]))


def read_indices(path: Path) -> np.ndarray:
    return np.array([int(word) for word in path.read_text().replace(",", " ").split()])


def regenerated_clips(case: Case) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Predicted and true vertices and template of each clip, by the rule that the config states in words."""
    config, dtype = case.config, np.dtype(case.config["dtype_of_arrays"])
    scales = [float(number) for number in re.findall(r"([\d.]+) \* default_rng", config["generation"])]
    if len(scales) != 3:
        raise InputError(f"{case.path}: config.generation does not name the three scales of its noise")
    for s, subject in enumerate(config["subjects"]):
        shape = (config["vertices"], 3)
        template = (scales[0] * np.random.default_rng([case.seed, s]).standard_normal(shape)).astype(dtype)
        for e, sentence in enumerate(config["sentences"]):
            frames = config["frames_true_and_predicted"][f"{subject}_{sentence}"]
            true, predicted = (
                (template + scale * np.random.default_rng([case.seed, s, e, i]).standard_normal((n, *shape))).astype(
                    dtype
                )
                for i, (n, scale) in enumerate(zip(frames, scales[1:], strict=True))
            )
            yield predicted, true, template
