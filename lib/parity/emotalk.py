"""Stored cases of EmoTalk: the model and the finishing of its motion."""

from functools import cached_property
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.models import emotalk, parts
from lib.models.emotalk import Speech
from lib.parity import Case


def runner(case: Case) -> "Finishing | EmoTalkOutputs":
    return Finishing(case) if case.description["weights"] is None else EmoTalkOutputs(case)


class Finishing:
    """Smoothing and blinks of the inference script; the shapes of its blinks are those of the stored output.

    So the case shows that blinks stand where they should, in the right variant, and nothing else in these columns.
    """

    def __init__(self, case: Case):
        motion, columns = case.inputs["prediction"].numpy(), case.config["blink_columns"]
        blinks = emotalk.draw_blinks(len(motion), Random(case.config["python_random_seed"]))
        shapes = recorded_shapes(case.outputs["post_processed"][:, columns[0]].numpy(), blinks)
        self.post_processed = torch.from_numpy(
            emotalk.insert_blinks(emotalk.smooth(motion), blinks, columns, shapes))


def recorded_shapes(lids: np.ndarray, blinks: list[tuple[int, int]]) -> np.ndarray:
    """Shapes (variants, frames) of blinks in stored lid weights (T,), each as it stands where it occurs first."""
    shapes = np.zeros_like(emotalk.BLINKS)
    for start, variant in reversed(blinks):
        shapes[variant] = lids[start : start + shapes.shape[1]]
    return shapes


class EmoTalkOutputs:
    """Outputs of the model by their names in the cases."""

    def __init__(self, case: Case):
        self.case, self.inputs = case, case.inputs
        config = emotalk_config(case)
        self.model = emotalk.EmoTalk(config).eval()
        emotalk.load_released(self.model, case.weights(), source=str(case.path))
        codes = (self.inputs["level"], config.levels), (self.inputs["person"], config.persons)
        self.condition = torch.cat([F.one_hot(index, count) for index, count in codes], -1).float()

    @cached_property
    def normalised_audio_12(self) -> Tensor:
        return parts.normalise_audio(self.inputs["audio_12"])

    @cached_property
    def trained(self) -> emotalk.Reconstruction:
        donor = parts.normalise_audio(self.inputs["audio_21"])
        frames = self.inputs["frames_11"].item(), self.inputs["frames_12"].item()
        return self.model(Speech.of(self.normalised_audio_12), Speech.of(donor), self.condition, frames)

    @property
    def content_hidden(self) -> Tensor:
        return self.model.encode_content(self.normalised_audio_12, self.inputs["frames_12"].item())

    @property
    def emotion_hidden(self) -> Tensor:
        return self.model.encode_emotion(self.normalised_audio_12, self.inputs["frames_12"].item())

    @property
    def output_11(self) -> Tensor:
        return self.trained.cross

    @property
    def output_12(self) -> Tensor:
        return self.trained.own

    @property
    def emotion_logits(self) -> Tensor:
        return self.trained.logits

    @property
    def predict(self) -> Tensor:
        return self.model.predict(self.normalised_audio_12, self.condition)


def emotalk_config(case: Case) -> emotalk.Config:
    c = case.config
    return emotalk.Config(
        motion_width=c["bs_dim"], content_width=c["content"], emotion_width=c["emotion"],
        condition_width=c["level_and_person"][0], audio_width=c["wav2vec2_content"]["hidden_size"], heads=c["heads"],
        ffn=c["ffn"], period=c["period"], wav2vec2_content=c["wav2vec2_content"],
        wav2vec2_emotion=c["wav2vec2_emotion"], emotions=c["wav2vec2_emotion"]["num_labels"],
    )  # fmt: skip
