"""Stored cases of ECM: the network and its blocks, control formulas, losses, learning rate and lip error."""

import re
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from lib import losses, metrics
from lib.errors import InputError
from lib.models import ecm
from lib.parity import Case, built


def runner(case: Case) -> "WholeNetwork | AudioBlocks | EmotionBlocks | Losses | LipError | LearningRate":
    kinds: Mapping[str, Callable] = {
        "local": AudioBlocks, "params_neutral": EmotionBlocks, "mouth_shape": Losses, "lip_distance_0": LipError,
        "learning_rate": LearningRate, "train_params": WholeNetwork,
    }  # fmt: skip
    for name, kind in kinds.items():
        if name in case.outputs:
            return kind(case)
    raise InputError(f"{case.path}: none of the outputs {', '.join(kinds)} that tell the kind of case")


def blocks(case: Case, config: ecm.Config) -> ecm.ECM:
    """The model with those parts alone whose weights the case has."""
    model = ecm.ECM(config)
    present = {key.split(".")[0] for key in case.weights()}
    for name in [name for name, _ in model.named_children() if name not in present]:
        delattr(model, name)
    return built(model, case)


def padded(frames: Tensor, lengths: Tensor) -> Tensor:
    """Frames of all clips (sum T, C) as a batch (B, T, C) with zeros at the ends."""
    return torch.nn.utils.rnn.pad_sequence(list(frames.split(lengths.tolist())), batch_first=True)


class AudioBlocks:
    """Local audio layer and style encoder at reduced widths."""

    def __init__(self, case: Case):
        c = case.config
        self.model = blocks(case, ecm.Config(
            audio_width=3 * c["feature_width"], width=c["hidden"], style_width=c["style"], heads=c["heads"],
            style_blocks=c["blocks"], max_distance=c["max_relative_position"], audio_hidden=c["local_hidden"],
        ))  # fmt: skip
        self.local = self.model.wav_layer(case.inputs["features"].flatten(2))
        self.style = self.model.style_layer(self.local)


class EmotionBlocks:
    """Predictor, Audio2FLAME, embedding and augment net after given local features."""

    def __init__(self, case: Case):
        model = blocks(case, ecm.Config())
        inputs, lengths = case.inputs, case.inputs["seqs_len"]
        prior = padded(inputs["logits"], lengths)
        valid = ecm.within(lengths, inputs["local"].shape[1])
        self.predicted_logits = model.pred_layer(inputs["local"])[valid]
        self.emotion_embedding = model.emo_ebd_layer(prior)
        self.params_neutral = model.speak(inputs["local"], inputs["style"])
        self.params_augmented = model.express(self.params_neutral, prior)


class WholeNetwork:
    """The published network from audio: a training batch of two clips, and the first clip alone under control."""

    def __init__(self, case: Case):
        self.case, self.inputs, self.lengths = case, case.inputs, case.inputs["seqs_len"]
        extremes = tuple(tuple(self.inputs[name].tolist()) for name in ("norm_min", "norm_max"))
        config = ecm.Config(params_range=extremes, extractor=case.config["wav2vec2_feature_extractor"])
        self.model = built(ecm.ECM(config), case)
        self.formula = "head" if case.description["case"].endswith("head") else "first-commit"
        self.mask = ecm.within(self.lengths, self.features.shape[1])[..., None].expand(-1, -1, config.params)

    @cached_property
    def features(self) -> Tensor:
        return self.model.audio_features(self.inputs["wav"], self.lengths.max().item())

    @cached_property
    def trained(self) -> ecm.Prediction:
        prior = padded(self.inputs["logits"], self.lengths)
        return self.model(self.features, prior, lengths=self.lengths, use=torch.tensor([True, False]))

    @property
    def train_params(self) -> Tensor:
        return self.trained.params

    @property
    def train_params_ori(self) -> Tensor:
        return self.trained.neutral

    @property
    def train_predicted_logits(self) -> Tensor:
        return self.trained.heard[self.mask[..., 0]]

    def tested(self, emotion: str | None, intensity: float, smooth: bool) -> ecm.Prediction:
        """The first clip alone, steered to an emotion or (None) left with the one heard."""
        features = self.model.audio_features(self.inputs["wav"][:1, : self.inputs["samples_first"]])
        order = self.case.config["label_order"]
        command = None if emotion is None else ecm.command(order.index(emotion), intensity)
        return self.model.predict(features, command, formula=self.formula, smooth=smooth)

    def __getattr__(self, name: str) -> Tensor:
        found = re.fullmatch(r"test_(?:label_([A-Z]{3})_([\d.]+)|speech_emotion|(no_emotion))"
                             r"(_ori)?(_logits)?(_smoothed)?", name)
        if not found:
            raise InputError(f"no rule for output {name!r}")
        emotion, intensity, off, neutral, prior, smooth = found.groups()
        prediction = self.tested(emotion, float(intensity or 0), bool(smooth))
        if prior:
            return prediction.prior[0]
        return prediction.neutral if off or neutral else prediction.params


class Losses:
    """Every loss with its released weight, on frames of two clips."""

    def __init__(self, case: Case):
        self.inputs, lengths = case.inputs, case.inputs["seqs_len"]
        self.valid = self.inputs["mask"][..., 0].bool()
        self.lengths, self.weights = lengths, losses.ECM_WEIGHTS
        self.target = ecm.moving_average(padded(self.inputs["logits_true"], lengths), 31)
        self.place = {vertex: row for row, vertex in enumerate(self.inputs["vertex_index"].tolist())}
        self.logits_true_smoothed = self.target[self.valid]

    def vertices(self, name: str) -> Tensor:
        frames = self.inputs[f"vertices_{name}"]
        return padded(frames.flatten(1), self.lengths).unflatten(-1, (-1, 3))

    @property
    def vertex_x1000(self) -> Tensor:
        face = [self.place[vertex] for vertex in self.inputs["front_face_index"].tolist()]
        pred, truth = (self.vertices(name)[:, :, face] for name in ("predicted", "true"))
        return self.weights["vertex"] * losses.vertex_smooth_l1(pred, truth, self.valid)[None]

    @property
    def mouth_shape(self) -> Tensor:
        flame = losses.FLAME_MOUTH
        mouth = losses.Mouth(*(self.place[v] for v in (flame.top, flame.bottom, flame.left, flame.right)))
        pred, truth = self.vertices("predicted"), self.vertices("true")
        return self.weights["mouth"] * losses.mouth_vector(pred, truth, mouth, self.valid)[None]

    @property
    def jaw_silence(self) -> Tensor:
        pitch = self.inputs["params_predicted"][..., ecm.JAW_PITCH]
        silent = losses.silent_frames(self.inputs["wav"], pitch.shape[1])
        return self.weights["jaw_silence"] * losses.jaw_silence(pitch, silent, self.valid)[None]

    @property
    def jaw_velocity(self) -> Tensor:
        pred, truth = (self.inputs[f"params_{name}"][..., ecm.JAW_PITCH] for name in ("predicted", "true"))
        return self.weights["jaw_velocity"] * losses.jaw_velocity(pred, truth, self.valid)[None]

    @property
    def mouth_params(self) -> Tensor:
        pred, truth = self.inputs["params_predicted"], self.inputs["params_true"]
        return self.weights["mouth_params"] * losses.mouth_parameters(pred, truth, self.valid)[None]

    @property
    def emotion_predictor(self) -> Tensor:
        heard = padded(self.inputs["logits_predicted"], self.lengths)
        return self.weights["prior"] * losses.prior_l1(heard, self.target, self.valid)[None]

    @property
    def total(self) -> Tensor:
        return (self.vertex_x1000 + self.mouth_shape + self.jaw_silence + self.jaw_velocity + self.mouth_params
                + self.emotion_predictor)  # fmt: skip


class LipError:
    """Lip movement error with the released alignment: clip by clip, and as the two evaluation loops average it."""

    def __init__(self, case: Case):
        self.inputs, self.clips = case.inputs, range(sum(name.startswith("true_") for name in case.inputs))
        place = {vertex: row for row, vertex in enumerate(self.inputs["vertex_index"].tolist())}
        flame = metrics.FLAME_LIPS
        self.points = metrics.LipPoints(
            *(tuple(place[v] for v in group) for group in (flame.lips, flame.corners, flame.brows, flame.inner_brows)),
            place[flame.nose_base],
        )

    def pair(self, clip: int) -> tuple[Tensor, Tensor]:
        """Prediction and truth, cut to the shorter as the official loop does."""
        pred, truth = self.inputs[f"predicted_{clip}"], self.inputs[f"true_{clip}"]
        frames = min(len(pred), len(truth))
        return pred[:frames], truth[:frames]

    def score(self, reduce: str, shifted: bool) -> Tensor:
        """Mean over clips of the mean over frames."""
        pairs = [self.pair(clip) for clip in self.clips]
        if shifted:
            pairs = [(metrics.moved_to_template(pred, self.inputs["template"]), truth) for pred, truth in pairs]
        errors = [metrics.lip_movement_error(*pair, points=self.points, reduce=reduce).mean() for pair in pairs]
        return torch.tensor(errors, dtype=torch.float64).mean()[None]

    def __getattr__(self, name: str) -> Tensor:
        if found := re.fullmatch(r"aligned_lips_(\d)", name):
            moved = metrics.aligned_on_landmarks(*self.pair(int(found[1])), self.points)
            return torch.from_numpy(moved[:, self.points.lips])
        if found := re.fullmatch(r"official_(baseline|ecm_with_template_shift)_(max|mean)", name):
            return self.score(found[2], shifted=found[1] != "baseline")
        if found := re.fullmatch(r"(lip_distance|max|mean)_(\d)", name):
            reduce = "points" if found[1] == "lip_distance" else found[1]
            error = metrics.lip_movement_error(*self.pair(int(found[2])), points=self.points, reduce=reduce)
            return torch.from_numpy(error if reduce == "points" else error.mean(keepdims=True))
        raise InputError(f"no rule for output {name!r}")


class LearningRate:
    def __init__(self, case: Case):
        c, calls = case.config, range(len(case.outputs["learning_rate"]) - 1)
        rates = [ecm.learning_rate(n, warm_up=c["warmup_steps"], peak=c["warmup_lr"], floor=c["min_lr"]) for n in calls]
        # the optimiser's own rate before the first call
        self.learning_rate = torch.tensor([c["init_lr"], *rates], dtype=torch.float64)
