"""Stored cases of FaceFormer: the model, its masks and its positional tables."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lib.errors import InputError
from lib.models import faceformer, parts
from lib.parity import Case, built


def runner(case: Case) -> "Masks | FaceFormerOutputs":
    return Masks(case) if case.description["weights"] is None else FaceFormerOutputs(case)


def is_biwi(config: Mapping[str, Any], source: Path) -> bool:
    """True for the BIWI form of a model, False for the VOCASET form; InputError otherwise."""
    dataset = str(config.get("dataset", "")).lower()
    if dataset not in ("biwi", "vocaset"):
        raise InputError(f"{source}: config.dataset is {config.get('dataset')!r}; expected 'BIWI' or 'vocaset'")
    return dataset == "biwi"


class Masks:
    """Attention masks and positional tables: outputs are asked for by names such as mask_6_heads_period_30."""

    def __init__(self, case: Case):
        self.case = case

    def __getattr__(self, name: str) -> Tensor:
        shape = self.case.outputs[name].shape if name in self.case.outputs else ()
        if found := re.fullmatch(r"encoding_period_(\d+)", name):
            return parts.periodic_encoding(shape[0], int(found[1]), shape[1])
        if found := re.fullmatch(r"mask_(?:(\d+)_heads_)?period_(\d+)(?:_row_(\d+))?", name):
            heads, period = int(found[1] or self.case.config["heads"]), int(found[2])
            whole = parts.causal_bias(shape[-1], period, heads)
            return whole if found[3] is None else whole[:, int(found[3])]
        if found := re.fullmatch(r"alignment_(biwi|vocaset)\w*", name):
            return parts.alignment_mask(*shape, per_frame=2 if found[1] == "biwi" else 1)
        raise InputError(f"no rule for output {name!r}")


class FaceFormerOutputs:
    """Outputs of FaceFormer by their names in the cases."""

    def __init__(self, case: Case):
        self.case, self.inputs = case, case.inputs
        self.model = built(faceformer.FaceFormer(faceformer_config(case)), case)
        self.style, self.template = self.inputs["one_hot"], self.inputs["template"][:, None]

    @cached_property
    def audio_hidden_free_length(self) -> Tensor:
        return self.model.encode_audio(self.inputs["audio"])

    @cached_property
    def audio_hidden_given_length(self) -> Tensor:
        return self.model.encode_audio(self.inputs["audio"], self.inputs["vertices"].shape[1])

    @cached_property
    def truth(self) -> Tensor:
        # the official program cuts the truth where the audio ends first
        return self.inputs["vertices"][
            :, : self.audio_hidden_given_length.shape[1] // self.model.config.audio_per_frame
        ]

    @cached_property
    def predict(self) -> Tensor:
        return self.model.predict(self.inputs["audio"], self.inputs["template"], self.style)

    @cached_property
    def teacher_forced(self) -> Tensor:
        motion = self.truth - self.template
        return self.template + self.model.teacher_forced(self.audio_hidden_given_length, self.style, motion)

    @cached_property
    def training_autoregressive(self) -> Tensor:
        return self.template + self.model.decode(self.audio_hidden_given_length, self.style, self.truth.shape[1])

    @property
    def teacher_forced_loss(self) -> Tensor:
        return nn.functional.mse_loss(self.teacher_forced, self.truth)[None]

    @property
    def training_autoregressive_loss(self) -> Tensor:
        return nn.functional.mse_loss(self.training_autoregressive, self.truth)[None]


def faceformer_config(case: Case) -> faceformer.Config:
    c, biwi = case.config, is_biwi(case.config, case.path)
    return faceformer.Config(
        motion_width=c["vertice_dim"], width=c["feature_dim"], period=c["period"], subjects=c["subjects"],
        heads=c.get("heads", 4), ffn=c.get("ffn"), layers=c.get("num_layers", 1), fps=25.0 if biwi else 30.0,
        audio_per_frame=2 if biwi else 1, audio_width=c["wav2vec2"]["hidden_size"], wav2vec2=c["wav2vec2"],
    )  # fmt: skip
