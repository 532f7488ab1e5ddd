"""Stored case of VOCA: audio preparation before and after DeepSpeech, which a choice of input columns stands for."""

from functools import cached_property

import torch
from torch import Tensor

from lib.models import voca
from lib.parity import Case

STAND_IN = slice(234, 263)  # the 29 input columns in place of the speech network's output


def runner(case: Case) -> "AudioFeatures":
    return AudioFeatures(case)


class AudioFeatures:
    """Outputs of the case by name."""

    def __init__(self, case: Case):
        self.config, self.audio = case.config, case.inputs["audio"].numpy()

    @cached_property
    def whole_input(self) -> Tensor:
        return torch.from_numpy(voca.network_input(self.audio, self.config["mfcc"], self.config["context"]))

    @cached_property
    def whole_windows(self) -> Tensor:
        rates = self.config["input_rate"], self.config["output_rate"]
        frames = voca.frame_count(len(self.audio), rates[1])
        return voca.cut_windows(voca.at_rate(self.whole_input[None, :, STAND_IN], *rates, frames), 16)[0]

    @property
    def network_input(self) -> Tensor:
        return self.whole_input[:, ::3]  # the columns that are stored

    @property
    def windows(self) -> Tensor:
        return self.whole_windows[..., ::4]

    @property
    def windows_shape(self) -> Tensor:
        return torch.tensor(self.whole_windows.shape)
