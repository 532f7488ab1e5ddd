"""Networks on pictures, trained once per scale on rendered puppets that no experiment uses, and cached.

translation   image translation (CFD's step 3): reference picture and drawn landmarks to the picture
detector      68 landmarks in a picture, for frames whose landmarks nobody gave (PC-AVS)
pcavs         the picture half of the reduced PC-AVS: identity and mouth codes and the generator, at a fixed pose

The papers download all three trained on VoxCeleb2, with thousands of faces. Here actors 400 to 431 move and speak, and
every clip is given a head and a complexion of its own, so that 24 actors make 192 faces. Scores are on motion of actors
424 to 431 with further heads, beside a trivial rival: the reference picture repeated, the face at rest.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import paths, training
from lib.face import drawing
from lib.face.alignment import similarity as similarity_fit
from lib.face.landmarks import STABLE
from lib.models import pcavs as avs
from lib.models import translation as image_translation
from lib.models.detector import Detector, calibrated
from lib.models.translation import to_pictures, to_tensor
from lib.study import cached_arrays, check_scale, code_digest, digest

KINDS = ("translation", "detector", "pcavs")
VERSION = 2                         # raised when a change of this code changes what is trained
FPS = 25
CROP = 256                          # pixels of the frame landmarks are given in
WINDOW = (32, 56, 192)              # left, top and side of the face within it: what detector and PC-AVS see
FACE = 48                           # pixels they see it with
HEADS, UNSEEN_HEADS = 1000, 5000    # numbers of the heads that training and testing put the motion on
RENDERING = ("lib.face.orthographic", "lib.face.render", "lib.puppet.head", "lib.experiments.tracks")


@dataclass(frozen=True)
class Recipe:
    """Which pictures a scale has and how long each network learns."""

    size: int = 128                                 # pixels of translated pictures
    actors: tuple[int, ...] = tuple(range(400, 424))        # who moves, one clip of every emotion
    test_actors: tuple[int, ...] = tuple(range(424, 432))
    frames: int = 8                                 # of every clip
    translation: image_translation.Config = image_translation.Config(size=128, channels=16)
    translation_steps: int = 450
    translation_betas: tuple[float, float] = training.SHORT_MEMORY       # PC-AVS, given these, loses its mouth codes
    translation_batch: int = 4
    detector_steps: int = 1200
    detector_batch: int = 32
    pcavs_steps: int = 800
    pcavs_heads: int = 4                            # of a batch, with
    pcavs_frames: int = 4                           # frames each
    learning_rate: float = 2e-3
    seed: int = 7


RECIPES = {
    "smoke": Recipe(64, actors=tuple(range(400, 408)), test_actors=tuple(range(424, 428)), frames=6,
                    translation=image_translation.Config(size=64, channels=8), translation_steps=60,
                    detector_steps=120, pcavs_steps=40),
    "laptop": Recipe(),
    "paper": Recipe(256, frames=24, translation=image_translation.Config(), translation_steps=40_000,
                    translation_betas=(0.9, 0.999), detector_steps=20_000, pcavs_steps=40_000, learning_rate=2e-4),
}  # fmt: skip


# Pictures -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pictures:
    """Rendered frames: images (N, S, S, 3) uint8, landmarks (N, 68, 2) in pixels of a 256-pixel frame, sound windows
    (N, 80, 20) of PC-AVS centred at each frame. `heads` (N,) says which of `neutral_images` (C, S, S, 3) and
    `neutral_points` (C, 68, 2) is the same face at rest; there are as many heads as clips."""

    images: np.ndarray
    points: np.ndarray
    sounds: np.ndarray
    heads: np.ndarray
    neutral_images: np.ndarray
    neutral_points: np.ndarray

    def faces(self) -> np.ndarray:
        """The face window at FACE pixels, (N, 48, 48, 3) uint8."""
        return face_window(self.images)


def face_window(images: np.ndarray) -> np.ndarray:
    """The part of square pictures (N, S, S, 3) uint8 that detector and PC-AVS see, (N, 48, 48, 3)."""
    size = images.shape[1]
    left, top, side = (round(size * part / CROP) for part in WINDOW)
    pool = side // FACE
    cut = images[:, top : top + side, left : left + side].astype(np.float32)
    blocks = cut.reshape(len(images), FACE, pool, FACE, pool, -1)
    return np.round(blocks.mean((2, 4))).astype(np.uint8)


def pictures(scale: str, *, unseen: bool = False) -> Pictures:
    """Frames of the training actors of a scale, or of those never seen; rendered at the first call and cached."""
    recipe = RECIPES[check_scale(scale)]
    actors = recipe.test_actors if unseen else recipe.actors
    code = code_digest(*RENDERING)
    settings = _corpus_spec(actors, recipe), recipe.frames, recipe.size, HEADS, UNSEEN_HEADS
    path = paths.CACHE / "pictures" / f"{digest(settings, code)}.npz"
    return Pictures(**cached_arrays(path, lambda: _render(actors, recipe)))


def _corpus_spec(actors: tuple[int, ...], recipe: Recipe):
    """One clip of each emotion by each actor; intensities and sentences take turns."""
    from lib.puppet.spec import EMOTIONS, ClipSpec, CorpusSpec

    levels, sentences = (0.4, 0.7, 0.85, 1.0), 16
    cells = [(a, actor, e, emotion) for a, actor in enumerate(actors) for e, emotion in enumerate(EMOTIONS)]
    listed = tuple(
        ClipSpec(actor, emotion, levels[(a + e) % 4], f"en-judge-{(5 * a + e) % sentences:03d}", seed=recipe.seed)
        for a, actor, e, emotion in cells
    )
    return CorpusSpec(f"pictures-{actors[0]}", listed=listed)


def _render(actors: tuple[int, ...], recipe: Recipe) -> dict[str, np.ndarray]:
    """Frames drawn at random from every clip, on head number HEADS + clip for training and further ones for testing."""
    from tqdm.auto import tqdm

    from lib.puppet.corpus import generate

    rng, camera, parts = np.random.default_rng([recipe.seed, actors[0]]), Camera(recipe.size), []
    first = HEADS + (0 if actors == recipe.actors else UNSEEN_HEADS)
    for number, clip in enumerate(tqdm(generate(_corpus_spec(actors, recipe)), desc="pictures", leave=False)):
        at = np.sort(rng.choice(clip.frames(FPS), recipe.frames, replace=False))
        images, points = camera.frames(clip, at, pose=True, head=first + number)
        rest = camera.neutral(first + number)
        known = sound_windows(clip.audio, at), np.full(len(at), number)
        parts.append((images, points, *known, rest[0][None], rest[1][None]))
    camera.close()
    names = "images", "points", "sounds", "heads", "neutral_images", "neutral_points"
    return {name: np.concatenate(part) for name, part in zip(names, zip(*parts, strict=True), strict=True)}


def registered(seen: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, S, S, 3) uint8 and landmarks (N, 68, 2) without head motion in the plane: the stable points fitted to
    those of the face at rest.

    CFD works on registered landmarks, and PC-AVS's crops are registered by the centres of eyes and mouth (once per
    clip). What head turns leave in a picture stays.
    """
    import cv2

    size, rest = seen.images.shape[1], seen.neutral_points[seen.heads]
    fit = similarity_fit(seen.points[:, STABLE].astype(float), rest[:, STABLE])
    turned = fit.scale[:, None, None] * fit.rotation
    centres = (turned.sum(-1) - 1) / 2                  # OpenCV's pixels have their centres at whole numbers
    matrices = np.concatenate([turned, (fit.shift * (size / CROP) + centres)[..., None]], -1)
    moved = [cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
             for image, matrix in zip(seen.images, matrices, strict=True)]
    return np.stack(moved), fit(seen.points)


class Camera:
    """Renders puppets as the landmark experiments see them, each head in a complexion of its own."""

    def __init__(self, size: int):
        from lib.experiments import tracks
        from lib.face.orthographic import Orthographic
        from lib.puppet.head import head

        self.head, self.size = head(), size
        mm = 1 / tracks.camera()
        x, y = ((CROP / 2 - c) * mm for c in tracks.CENTRE_PX)
        self._renderer = Orthographic(self.head.topology, size, height_mm=CROP * mm, centre=(x, -y, 20.0))

    def frames(self, clip, at: np.ndarray, *, pose: bool, head: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (K, S, S, 3) uint8 and landmarks (K, 68, 2) in pixels of a 256 frame, of frames `at` of a clip.

        `head` puts the motion on the head of another actor's number.
        """
        number = clip.spec.actor if head is None else head
        return self._seen(number, clip.rig_at(FPS)[at], clip.pose_at(FPS)[at] if pose else None)

    def neutral(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture (S, S, 3) uint8 and landmarks (68, 2) of an actor's face at rest: the reference of all systems."""
        images, points = self._seen(number, np.zeros((1, 52), np.float32), None)
        return images[0], points[0]

    def _seen(self, number: int, rig: np.ndarray, pose: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        from lib.experiments.tracks import to_pixels
        from lib.puppet.actors import actor

        vertices = self.head.vertices(rig, actor(number).identity, pose)
        points = to_pixels(vertices[:, self.head.topology.landmarks]).astype(np.float32)
        return np.stack([self._renderer.image(v, _colours(number)) for v in vertices]), points

    def close(self) -> None:
        """Free the off-screen window."""
        self._renderer.close()


@cache
def _colours(actor: int) -> np.ndarray:
    from lib.face.orthographic import complexion
    from lib.puppet.head import head

    return complexion(head().topology, actor)


def sound_windows(audio: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What PC-AVS hears of 0.2 s around frames `at` of a waveform at 16 kHz: (K, 80, 20) float32.

    The study's own log-mel (`lib.audio.mel`, 25 ms window, up to 7600 Hz) at PC-AVS's rate of four rows per frame,
    standardised over the clip, where the released program fixes the level of the sound instead.
    """
    from lib.audio import mel

    rows = mel(audio, fps=100, n_mels=avs.MELS, f_max=7600.0)
    rows = (rows - rows.mean()) / (rows.std() + 1e-3)
    first = 4 * np.asarray(at) - avs.MEL_STEPS // 2 + 2
    steps = np.clip(first[:, None] + np.arange(avs.MEL_STEPS), 0, len(rows) - 1)
    return rows[steps].transpose(0, 2, 1).astype(np.float32)


# Training -------------------------------------------------------------------------------------------------------------

Step = Callable[[np.random.Generator], object]


def _train(model: nn.Module, draw: Step, losses, steps: int, recipe: Recipe, path: Path, weights: dict[str, float],
           label: str, betas: tuple[float, float] = (0.9, 0.999)) -> None:
    """Steps of random batches in twenty equal epochs, at the end of which a killed training can be taken up."""
    epochs = min(20, steps)
    fit = training.Recipe(epochs, recipe.learning_rate, anneal=True, clip_norm=1.0, betas=betas)

    def batches(rng: np.random.Generator) -> Iterator[object]:
        return (draw(rng) for _ in range(steps // epochs))

    training.fit(model, batches, losses, fit, seed=recipe.seed, checkpoint=path, weights=weights, label=label)


def _trained(kind: str, scale: str, model: nn.Module, train, measure, *settings) -> nn.Module:
    """`model` with its weights: read where finished, else trained, measured and marked as finished by its scores."""
    path = _path(kind, scale, *settings)
    if not (path.exists() and path.with_suffix(".json").exists()):
        train(path)
        with paths.write_aside(path.with_suffix(".json")) as aside:
            aside.write_text(json.dumps(measure(), indent=1))
    training.load(path, model)
    return model


def _path(kind: str, scale: str, *settings) -> Path:
    """Where a network is kept: named by all that it depends on, so that a change of another one leaves it alone."""
    from lib.puppet.corpus import fingerprint

    others = tuple(name for name in KINDS if name != kind)
    recipe = {name: value for name, value in asdict(RECIPES[scale]).items() if not name.startswith(others)}
    code = code_digest(f"lib.models.{kind}", "lib.models.translation", "lib.face.drawing", "lib.training", *RENDERING)
    return paths.CACHE / "foundations" / f"{kind}-{digest(recipe, VERSION, settings, fingerprint(), code)}.pt"


def scores(kind: str, scale: str) -> dict:
    """What "translation", "detector" or "pcavs" reached on unseen actors, and its trivial rival beside it."""
    model = {"translation": translation, "detector": detector, "pcavs": pcavs}[kind](scale)
    settings = (model.config.profile,) if kind == "translation" else ()
    return json.loads(_path(kind, scale, *settings).with_suffix(".json").read_text())


# Image translation ----------------------------------------------------------------------------------------------------


@cache
def translation(scale: str, profile: str = "cfd") -> image_translation.Translation:
    """The image translation network of a scale, for registered landmarks: head motion in the plane is not its task."""
    recipe = RECIPES[check_scale(scale)]
    training.seed_everything(recipe.seed)
    model = image_translation.Translation(replace(recipe.translation, profile=profile))
    return _trained("translation", scale, model, lambda path: _train_translation(model, scale, path),
                    lambda: _translation_scores(model, scale), profile)


def landmark_pictures(points: np.ndarray, config: image_translation.Config) -> np.ndarray:
    """Landmarks (T, 68, 2), pixels of a 256 frame, drawn as a profile wants them, (T, S, S, 1 or 3) uint8."""
    width = max(1, round(drawing.WIDTH * config.size / CROP))
    return drawing.draw(points, image_translation.PROFILES[config.profile], config.size, width=width)


def _train_translation(model: image_translation.Translation, scale: str, path: Path) -> None:
    recipe, seen = RECIPES[scale], pictures(scale)
    images, points = registered(seen)
    drawn, partners = landmark_pictures(points, model.config), _partners(seen.heads)

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        target = rng.integers(len(images), size=recipe.translation_batch)
        return to_tensor(images[partners(target, rng)]), to_tensor(drawn[target]), to_tensor(images[target])

    def losses(batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        return {"image": image_translation.image_loss(model(batch[0], batch[1]), batch[2])}

    _train(model, draw, losses, recipe.translation_steps, recipe, path, {"image": 1.0}, "image translation",
           recipe.translation_betas)  # fmt: skip


def _partners(groups: np.ndarray):
    """A function that draws for each of some frames another one of its group (clip or actor)."""
    members = {group: np.flatnonzero(groups == group) for group in np.unique(groups)}

    def another(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out = []
        for frame in frames:
            others = members[groups[frame]]
            out.append(rng.choice(others[others != frame]))
        return np.array(out)

    return another


def translate(model: image_translation.Translation, reference: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pictures (T, S, S, 3) uint8 of a reference picture (S, S, 3), or one per frame, with landmarks (T, 68, 2)."""
    given = np.broadcast_to(reference, (len(points), *reference.shape[-3:]))
    drawn, out = landmark_pictures(points, model.config), []
    with torch.inference_mode():
        for first in range(0, len(points), 16):
            part = slice(first, first + 16)
            out.append(to_pictures(model(to_tensor(given[part]), to_tensor(drawn[part]))))
    return np.concatenate(out)


def similarity(pred: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean L1 (0..255) and structural similarity (Wang et al. 2004) of pictures (N, S, S, 3) uint8, and L1 of lips.

    `mouth` is the L1 within the lower middle of the face window, where speech is.
    """
    from skimage.metrics import structural_similarity

    gap = np.abs(pred.astype(np.float32) - truth)
    ssim = [structural_similarity(p, t, channel_axis=-1, data_range=255) for p, t in zip(pred, truth, strict=True)]
    return {"l1": float(gap.mean()), "ssim": float(np.mean(ssim)), "mouth_l1": float(_mouth(gap).mean())}


def _mouth(pictures):
    """Region (N, h, w, 3) around the mouth of pictures (N, S, S, 3), an array or a tensor.

    Pictures of FACE pixels show the face window, all others the whole frame.
    """
    size = pictures.shape[1]
    left, top, side = WINDOW if size == FACE else (0, 0, CROP)
    rows, columns = (slice(round((a - start) * size / side), round((b - start) * size / side))
                     for a, b, start in ((160, 225, top), (90, 166, left)))
    return pictures[:, rows, columns]


def _translation_scores(model: image_translation.Translation, scale: str) -> dict:
    """From the face at rest, which is every system's reference picture, to frames of heads and motion never seen."""
    held = pictures(scale, unseen=True)
    (images, points), reference = registered(held), held.neutral_images[held.heads]
    return {"translated": similarity(translate(model.eval(), reference, points), images),
            "reference repeated": similarity(reference, images)}  # fmt: skip


# Detector -------------------------------------------------------------------------------------------------------------


@cache
def detector(scale: str) -> Detector:
    """The landmark detector of a scale, for pictures of the face window."""
    training.seed_everything(RECIPES[check_scale(scale)].seed)
    model = Detector(FACE, pictures(scale).points.mean(0))
    return _trained("detector", scale, model, lambda path: _train_detector(model, scale, path),
                    lambda: _detector_scores(model, scale))


def _train_detector(model: Detector, scale: str, path: Path) -> None:
    recipe, seen = RECIPES[scale], pictures(scale)
    faces, points = to_tensor(seen.faces()), torch.from_numpy(seen.points)

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        some = torch.from_numpy(rng.integers(len(faces), size=recipe.detector_batch))
        return _disturbed(faces[some], points[some], rng)

    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"distance": (model(batch[0]) - batch[1]).norm(dim=-1).mean()}

    _train(model, draw, losses, recipe.detector_steps, recipe, path, {"distance": 1.0}, "landmark detector")


def _disturbed(faces: Tensor, points: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Shifted by whole pixels, darker or lighter, half of them blurred, with noise: as generated frames may be."""
    dx, dy = (int(d) for d in rng.integers(-2, 3, size=2))
    faces = F.pad(faces, (2, 2, 2, 2), mode="replicate")[..., 2 - dy : 2 - dy + FACE, 2 - dx : 2 - dx + FACE]
    pixel = WINDOW[2] / FACE
    points = points + torch.tensor([dx * pixel, dy * pixel])
    half = len(faces) // 2
    blurred = F.avg_pool2d(F.pad(faces[:half], (1, 1, 1, 1), mode="replicate"), 3, 1)
    gain = torch.from_numpy(rng.uniform(0.8, 1.2, (len(faces), 1, 1, 1)).astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(faces.shape, np.float32))
    return torch.cat([blurred, faces[half:]]) * gain + 0.03 * noise, points


def _detector_scores(model: Detector, scale: str) -> dict:
    """Mean distance in pixels of the 256 frame, all points and lips, raw and calibrated on the actor's face at rest."""
    held, model = pictures(scale, unseen=True), model.eval()
    found = model.detect(to_tensor(held.faces()))
    at_rest = model.detect(to_tensor(face_window(held.neutral_images)))[held.heads]
    rest = held.neutral_points[held.heads]
    rivals = {"found": found, "calibrated": calibrated(found, at_rest, rest), "face at rest": rest,
              "mean face": np.broadcast_to(model.mean.numpy(), found.shape)}  # fmt: skip
    return {name: _distances(points, held.points) for name, points in rivals.items()}


def _distances(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    gap = np.linalg.norm(found - truth, axis=-1)
    return {"all_px": float(gap.mean()), "lips_px": float(gap[:, 48:].mean())}


# PC-AVS ---------------------------------------------------------------------------------------------------------------

PCAVS_WEIGHTS = {"image": 1.0, "mouth": 2.0}     # the mouth is a tenth of the picture and moves least of its pixels


@cache
def pcavs(scale: str) -> avs.PCAVS:
    """The picture half of the reduced PC-AVS of a scale; its voice is untrained, `lib.experiments.pcavs` teaches it.

    Reduced against the paper beside its sizes. Frames are registered to the head's own stable points and the pose code
    is always that of the identity picture (the paper's fixed-pose variant): were both codes taken from the same frame
    and trained for minutes, mouths would travel in the twelve numbers of the pose and no voice could move them. Mean
    absolute difference of pixels, and once more over the mouth, stands for perceptual and adversarial losses, which
    need networks that cannot be shipped or many times the steps; frames are disturbed in colour only; no classifiers.
    """
    training.seed_everything(RECIPES[check_scale(scale)].seed)
    model = avs.PCAVS(avs.Config(classes=1))
    return _trained("pcavs", scale, model, lambda path: _train_pcavs(model, scale, path),
                    lambda: _pcavs_scores(model, scale))


def _train_pcavs(model: avs.PCAVS, scale: str, path: Path) -> None:
    recipe, seen = RECIPES[scale], pictures(scale)
    faces = to_tensor(face_window(registered(seen)[0]))
    rests = to_tensor(face_window(seen.neutral_images))
    members = [np.flatnonzero(seen.heads == head) for head in np.unique(seen.heads)]

    def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Per head its picture at rest and some frames to make."""
        some = rng.choice(len(members), recipe.pcavs_heads, replace=False)
        frames = np.stack([rng.choice(members[i], recipe.pcavs_frames, replace=False) for i in some])
        target = faces[torch.from_numpy(frames.ravel())]
        return rests[torch.from_numpy(some)], target, _recoloured(target, rng)

    def losses(batch: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        who, target, disturbed = batch
        mouth = model.frame.mouth(model.frame(disturbed))
        made = model.at_rest(who, model.speech(mouth), len(target) // len(who))
        mouths = (_mouth(pictures.permute(0, 2, 3, 1)) for pictures in (made, target))
        return {"image": F.l1_loss(made, target), "mouth": F.l1_loss(*mouths)}

    _train(model, draw, losses, recipe.pcavs_steps, recipe, path, PCAVS_WEIGHTS, "PC-AVS pictures")


def _recoloured(faces: Tensor, rng: np.random.Generator) -> Tensor:
    """Gain and offset per channel: what a face is coloured like tells nothing about its mouth."""
    gain, offset = rng.uniform(0.6, 1.4, (len(faces), 3, 1, 1)), rng.uniform(-0.3, 0.3, (len(faces), 3, 1, 1))
    return (faces * torch.from_numpy(gain).float() + torch.from_numpy(offset).float()).clamp(-1, 1)


@torch.inference_mode()
def _pcavs_scores(model: avs.PCAVS, scale: str) -> dict:
    """Heads and motion never seen: frames made from their own mouth codes and from others, and the picture repeated.

    A network whose mouth codes say nothing does equally well with any of them.
    """
    held, model = pictures(scale, unseen=True), model.eval()
    images, rests = face_window(registered(held)[0]), face_window(held.neutral_images)[held.heads]
    faces, who = to_tensor(images), to_tensor(rests)
    speech = torch.cat([model.speech(model.frame.mouth(model.frame(part))) for part in faces.split(32)])

    def driven(mouths: Tensor) -> dict[str, float]:
        pairs = zip(who.split(32), mouths.split(32), strict=True)
        return similarity(np.concatenate([to_pictures(model.at_rest(*pair)) for pair in pairs]), images)

    return {"driven by its own mouth": driven(speech), "driven by another mouth": driven(speech.roll(1, 0)),
            "driven by the mean mouth": driven(speech.mean(0).expand_as(speech)),
            "picture at rest repeated": similarity(rests, images)}  # fmt: skip
