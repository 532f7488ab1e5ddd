"""Stored cases of MakeItTalk: front end, geometry, both branches, discriminator, content loss, whole inference."""

import numpy as np
import torch
from torch import Tensor

from lib import landmark_losses
from lib.errors import InputError
from lib.models import autovc, makeittalk
from lib.parity import Case


def runner(case: Case) -> object:
    kinds = {"content_network": ContentOutputs, "speaker_network": SpeakerOutputs, "discriminator": ScoreOutputs,
             "landmark_geometry": GeometryOutputs, "mel_and_f0": FrontEndOutputs, "content_loss": LossOutputs,
             "inference_assembly": AssemblyOutputs}
    kind = case.description["case"]
    if kind not in kinds:
        raise InputError(f"{case.path}: case {kind!r}; expected one of {', '.join(kinds)}")
    return kinds[kind](case)


def branch(model: torch.nn.Module, case: Case, prefix: str = "") -> torch.nn.Module:
    """The model with those weights of the case whose keys begin with `prefix`."""
    found = {key.removeprefix(prefix): value for key, value in case.weights().items() if key.startswith(prefix)}
    makeittalk.load_branch(model, found, str(case.path))
    return model


class ContentOutputs:
    def __init__(self, case: Case):
        model = branch(makeittalk.ContentBranch(), case)
        self.displacement = model(case.inputs["mel"][None], case.inputs["face"])[0]


class SpeakerOutputs:
    def __init__(self, case: Case):
        model, inputs = branch(makeittalk.SpeakerBranch(), case), case.inputs
        self.speaker_code = model.code(inputs["embedding"])
        self.displacement = model(inputs["mel"][None], inputs["embedding"], inputs["noise"][None])[0]


class ScoreOutputs:
    """Scores of windows; the stored code is that of one speaker, repeated for every frame."""

    def __init__(self, case: Case):
        model, inputs = branch(makeittalk.Discriminator(), case), case.inputs
        self.score = model(inputs["landmarks"][None], inputs["speaker_code"][:1])[0, :, None]


class GeometryOutputs:
    """Registration, normalised face and closed mouth."""

    def __init__(self, case: Case):
        inputs = {name: value.numpy() for name, value in case.inputs.items()}
        moved = makeittalk.registration(inputs["faces"], inputs["anchor_face"])
        self.registered = torch.from_numpy(moved(inputs["faces"]))
        self.transform = torch.eye(4, dtype=torch.float64).repeat(len(moved.scale), 1, 1)
        self.transform[:, :3, :3] = torch.from_numpy(moved.rotation)
        self.transform[:, :3, 3] = torch.from_numpy(moved.shift)
        frame = makeittalk.NormalisedFace.of(inputs["pixel_face"])
        self.normalised_xy = torch.from_numpy(frame(inputs["pixel_face"]))
        self.scale, self.shift = torch.tensor([frame.scale], dtype=torch.float64), torch.from_numpy(frame.shift)
        self.mouth_closed = torch.from_numpy(makeittalk.close_mouth(inputs["pixel_face"]))
        self.track_with_blinks = self.blinks(inputs["eye_track"], list(case.config["blink_interval_draws"]))

    @staticmethod
    def blinks(eyes: np.ndarray, waits: list[int]) -> Tensor:
        """Eye points (T, 12, 3) after the blink step, which works on whole faces."""
        faces = np.zeros((len(eyes), 68, 3))
        faces[:, 36:48] = eyes
        return torch.from_numpy(makeittalk.blinking(faces, waits)[:, 36:48])


class LossOutputs:
    """Terms of the content branch's loss in the four combinations that were stored, and its calibrated output."""

    def __init__(self, case: Case):
        self.inputs, model = case.inputs, branch(makeittalk.ContentBranch(), case)
        self.displacement = model(self.inputs["mel"][None], self.inputs["face"])
        shaped = (self.displacement + self.inputs["face"][:, None]), self.inputs["truth"][None]
        self.faces = [x.unflatten(-1, (68, 3)) for x in shaped]
        self.lips = landmark_losses.lip_weighted_l1(*self.faces)[None]
        self.laplacian = landmark_losses.laplacian_l1(*self.faces)[None]
        self.loss_no_lip_weight = landmark_losses.landmark_l1(*self.faces)[None]

    @property
    def loss_default(self) -> Tensor:
        return self.lips + self.laplacian

    @property
    def loss_laplacian_only_plus_l1(self) -> Tensor:
        return self.loss_no_lip_weight + self.laplacian

    @property
    def loss_motion(self) -> Tensor:
        return self.lips + landmark_losses.landmark_l1(*(x.diff(dim=1) for x in self.faces))

    @property
    def calibrated_displacement(self) -> Tensor:
        return torch.from_numpy(makeittalk.calibrated(self.displacement[0].numpy()))


class AssemblyOutputs:
    """Landmarks of the whole inference in one row per frame; both networks stand in one file under C. and G."""

    def __init__(self, case: Case):
        content, speaker = (branch(model, case, prefix) for model, prefix in
                            ((makeittalk.ContentBranch(), "C."), (makeittalk.SpeakerBranch(), "G.")))
        mel, face, voice = (case.inputs[name].numpy() for name in ("mel", "face", "embedding"))
        outputs = makeittalk.branch_outputs(content, speaker, mel, face, voice)
        self.landmarks = torch.from_numpy(makeittalk.assemble(outputs, face)).flatten(1)


class FrontEndOutputs:
    """Mel and pitch; the pitch is that of the released tracker, which is an optional package."""

    def __init__(self, case: Case):
        audio = case.inputs["audio"].numpy()
        self.mel = torch.from_numpy(autovc.mel_spectrogram(audio, autovc.MAKEITTALK)).double()
        self.prepared = autovc.prepare(audio, autovc.MAKEITTALK)

    def __getattr__(self, name: str) -> Tensor:
        kind, _, search_range = name.rpartition("_")
        if kind not in ("f0_normalised", "f0_index"):
            raise InputError(f"no rule for output {name!r}")
        pitch = autovc.normalised_pitch(autovc.log_pitch(self.prepared, search_range, "rapt"))
        return torch.from_numpy(pitch if kind == "f0_normalised" else autovc.pitch_bins(pitch))
