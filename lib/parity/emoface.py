"""Stored cases of EmoFace: the network in both profiles, smoothing, and the blinks and gaze it adds."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain, repeat

from torch import Tensor, from_numpy

from lib.errors import InputError
from lib.face import eyes
from lib.models import emoface
from lib.parity import Case, built


def runner(case: Case) -> "Network | Smoothing | Eyes":
    if case.description["weights"] is not None:
        return Network(case)
    return Smoothing(case) if "raw" in case.inputs else Eyes(case)


class Network:
    """Outputs of the network; `rig_time_first` are the same weights attending over time, as the paper says."""

    def __init__(self, case: Case):
        self.case, self.inputs = case, case.inputs
        self.config = emoface_config(case)
        self.model = built(emoface.EmoFace(self.config), case)

    @cached_property
    def audio_hidden(self) -> Tensor:
        if "audio_hidden" in self.inputs:
            return self.inputs["audio_hidden"]
        return self.model.encode_audio(self.inputs["audio"], int(self.inputs["frames"]))

    @property
    def rig(self) -> Tensor:
        return self.model.decode(self.audio_hidden, self.inputs["emotion"])

    @property
    def rig_time_first(self) -> Tensor:
        model = built(emoface.EmoFace(replace(self.config, attention="time")), self.case)
        return model.decode(self.audio_hidden, self.inputs["emotion"])


def emoface_config(case: Case) -> emoface.Config:
    c = case.config
    whole = "audio" in case.inputs
    if not whole and "audio_hidden" not in case.inputs:
        raise InputError(f"{case.path}: neither audio nor audio_hidden is among the inputs")
    return emoface.Config(
        outputs=c["out_dim"], emotions=c["emo_dim"], width=c["d_model"], heads=c["nhead"], layers=c["num_layers"],
        ffn=c["dim_feedforward"], attention="frame", wav2vec2=c["wav2vec2"] if whole else None,
        audio_width=c["wav2vec2"]["hidden_size"] if whole else case.inputs["audio_hidden"].shape[-1],
    )  # fmt: skip


class Smoothing:
    def __init__(self, case: Case):
        self.smoothed = from_numpy(eyes.smooth(case.inputs["raw"].numpy()))


class Eyes:
    """Blinks, then gaze, from the random draws the official program made; columns: gaze x and y, left and right lid."""

    def __init__(self, case: Case):
        columns = case.inputs["columns"].numpy()
        draws = list(case.description["random_stream"])
        rates = [d["value"] for d in draws if d["draw"] == "lognormvariate"]
        blinked = eyes.add_blinks(columns, eyes.blink_onsets(iter(rates), len(columns), eyes.CODE.blink), (2, 3))
        others = [d["value"] for d in draws if d["draw"] != "lognormvariate"]
        # no target was drawn for the wait that the clip's end cuts off; ours is drawn with its wait and not used
        others = chain(others, repeat(0.0))
        path = eyes.gaze_path(recorded_moves(others), len(columns), eyes.CODE.gaze)
        self.after_blink = from_numpy(blinked)
        self.after_blink_and_gaze = from_numpy(eyes.add_gaze(blinked, path, (0, 1)))


def recorded_moves(values: Iterator[float]) -> Iterator[tuple[int, tuple[float, float]]]:
    """Waits and targets from the stream of draws: wait, return decision, and unless it returns radius and angle."""
    for wait in values:
        yield int(wait), eyes.gaze_target(next(values), lambda: (next(values), next(values)), eyes.CODE.gaze)
