"""Stored cases of AutoVC: mel front end, speaker encoder, generator in both versions."""

from torch import Tensor, from_numpy

from lib.errors import InputError
from lib.models import autovc
from lib.parity import Case


def runner(case: Case) -> "MelOutputs | SpeakerOutputs | GeneratorOutputs":
    kinds = {"mel": MelOutputs, "embedding": SpeakerOutputs, "mel_after_postnet": GeneratorOutputs}
    for name, kind in kinds.items():
        if name in case.outputs:
            return kind(case)
    raise InputError(f"{case.path}: none of the outputs {', '.join(kinds)} that tell the kind of case")


class MelOutputs:
    """Mel spectrogram; the released script seeds its noise with the number of the speaker's folder."""

    def __init__(self, case: Case):
        seed = int(case.config["speaker_folder"].removeprefix("p"))
        self.mel = from_numpy(autovc.mel_spectrogram(case.inputs["audio"].numpy(), autovc.PAPER, seed))


class SpeakerOutputs:
    def __init__(self, case: Case):
        c = case.config
        model = autovc.SpeakerEncoder(autovc.SpeakerConfig(c["input"], c["cell"], c["layers"], c["embedding"]))
        autovc.load_released(model, case.weights(), str(case.path))
        self.embedding = model(case.inputs["mel"])


class GeneratorOutputs:
    """Outputs of a generator; the original ones carry an axis of one channel, and codes stand in one row."""

    def __init__(self, case: Case):
        c, inputs = case.config, case.inputs
        version = "makeittalk" if c["normalisation"] == "GroupNorm" else "paper"
        model = autovc.Generator(autovc.Config(c["dim_neck"], c["freq"], c["dim_emb"], c["dim_pre"], version=version))
        autovc.load_released(model, case.weights(), str(case.path))
        voices = inputs["source_embedding"], inputs["target_embedding"]
        self.seen = model(inputs["mel"], *voices, inputs.get("f0_index"))
        self.codes = self.seen.codes.flatten(1)
        self.codes_only = model.encode(inputs["mel"], voices[0]).flatten(1)
        self.channel = version == "paper"

    def shaped(self, mel: Tensor) -> Tensor:
        return mel[:, None] if self.channel else mel

    @property
    def mel_before_postnet(self) -> Tensor:
        return self.shaped(self.seen.before)

    @property
    def mel_after_postnet(self) -> Tensor:
        return self.shaped(self.seen.after)
