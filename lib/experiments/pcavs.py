"""PC-AVS as a rival on landmarks: reference picture and sound in, frames out, landmarks found in the frames.

CFD and Ventriloquist-Net compare with the released model, trained on VoxCeleb2. Its stand-in here has the picture half
of `lib.picture_foundations.pcavs`, trained once on puppets that no experiment uses; per seed only the voice learns, on
sound and frames of the training clips, by the paper's contrastive and cross-modal losses against the mouth features of
frames. Those features are standardised over the training frames first: the paper's contrastive loss spreads them while
they are learned, ours come from pictures alone and may differ by little beside their mean. The pose is fixed to that
of the reference picture. Landmarks come from the stand-in detector, calibrated on the reference picture: its error is
part of every score, so read it beside `picture_foundations.scores("detector", scale)`.

A seed has one such rival for both papers (`of_seed`), taught on the clips of all emotions: neither paper chose what the
released model had learned from.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib import picture_foundations as pictures
from lib import training
from lib.experiments.draw import corpus
from lib.experiments.tracks import Tracks, tracks
from lib.labels import ORDERS
from lib.models import pcavs as avs
from lib.models.detector import Detector, calibrated
from lib.models.translation import to_pictures, to_tensor
from lib.paths import CACHE
from lib.study import cached_arrays, check_scale, code_digest, digest, run_folder

CODE = ("lib.models.pcavs", "lib.models.detector", "lib.experiments.pcavs", "lib.training")
SIDE = pictures.FACE * pictures.CROP // pictures.WINDOW[2]      # whole frame whose face window needs no shrinking
WEIGHTS = {"contrastive": avs.WEIGHTS["contrastive"], "cross_modal": avs.WEIGHTS["cross_modal"]}


@dataclass(frozen=True)
class Size:
    """How long the voice learns: `frames` of every training clip, in batches of `batch`."""

    frames: int
    batch: int
    epochs: int
    learning_rate: float = 1e-3


SIZES = {"smoke": Size(4, 16, 4), "laptop": Size(3, 32, 5, 2e-3), "paper": Size(24, 64, 40)}


@dataclass(frozen=True, eq=False)
class Trained:
    """Picture half, voice of a seed and detector. Frames show the face window of the crop at 48 x 48 pixels."""

    model: avs.PCAVS
    detector: Detector
    data: Tracks
    camera: "pictures.Camera"
    mean: Tensor                 # (code,) of the mouth features of training frames, and their
    spread: Tensor

    @torch.inference_mode()
    def frames(self, index: int, audio: np.ndarray | None = None) -> np.ndarray:
        """Frames (T, 48, 48, 3) uint8 of a clip's speaker saying the clip's sound, or other `audio` (N,) at 16 kHz."""
        sound = self.data.audio(index) if audio is None else audio
        count = len(self.data.landmarks[index]) if audio is None else int(len(sound) / 16_000 * self.data.fps)
        heard = torch.from_numpy(pictures.sound_windows(sound, np.arange(count)))[:, None]
        who, out = self.model.looks(to_tensor(self.reference(index)[0][None])), []
        for part in heard.split(32):
            mouth = self.mean + avs.MOUTH_GAIN * self.spread * self.model.audio(part)
            out.append(to_pictures(self.model.saying(who, self.model.speech(mouth), len(part))))
        return np.concatenate(out)

    def predict(self, index: int, audio: np.ndarray | None = None) -> np.ndarray:
        """Landmarks (T, 68, 2) in pixels of the crop, found in `frames`."""
        picture, rest = self.reference(index)
        found = self.detector.detect(to_tensor(np.concatenate([picture[None], self.frames(index, audio)])))
        return calibrated(found[1:], found[0], rest)

    def reference(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Face window (48, 48, 3) uint8 and landmarks (68, 2) of the clip's speaker at rest."""
        picture, rest = self.camera.neutral(int(self.data.table.actor[index]))
        return pictures.face_window(picture[None])[0], rest


@lru_cache(maxsize=4)
def of_seed(scale: str, seed: int) -> Trained:
    """The rival of a seed, trained or taken from the cache, with the tracks of all emotions."""
    return train_pcavs(tracks(scale, seed, ORDERS["mead"]), _folder(scale, seed))


@lru_cache(maxsize=4)
def unseen(scale: str, seed: int) -> dict[int, np.ndarray]:
    """What the rival of a seed predicts for every unseen clip, by position in the corpus; kept on disk, since both
    papers ask for it and a clip takes as long as all other systems together."""
    data = tracks(scale, seed, ORDERS["mead"])
    rows = data.rows("unseen")

    def compute() -> dict[str, np.ndarray]:
        from tqdm.auto import tqdm

        bar = tqdm(rows.index, desc=f"pcavs speaks, seed {seed}", unit="clip", leave=False)
        return {str(rows.position[i]): of_seed(scale, seed).predict(i).astype(np.float32) for i in bar}

    stored = cached_arrays(_folder(scale, seed) / f"unseen-{_name(data, SIZES[scale])}.npz", compute)
    return {int(position): landmarks for position, landmarks in stored.items()}


def _folder(scale: str, seed: int) -> Path:
    return run_folder("pcavs", scale, seed)


def _name(data: Tracks, size: Size) -> str:
    """Names a training and all that it depends on."""
    return digest(size, data.drawn, data.seed, pictures.VERSION, code_digest(*CODE))


def train_pcavs(data: Tracks, folder: Path, *, size: Size | None = None, progress: bool = True) -> Trained:
    """The rival taught on the training clips of some tracks; the voice's checkpoint is kept in `folder`. Resumes and
    reads as all trainings do."""
    size = size or SIZES[check_scale(data.scale)]
    model = copy.deepcopy(pictures.pcavs(data.scale))
    faces, sounds = _lessons(data, size)
    seen = _mouths(model, faces)
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    seen = (seen - mean) / spread
    for part in (model.identity, model.frame, model.generator):
        part.requires_grad_(False)

    def batches(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.from_numpy(rng.permutation(len(seen)))
        return ((seen[some], sounds[some]) for some in order.split(size.batch) if len(some) > 1)

    recipe = training.Recipe(size.epochs, size.learning_rate, anneal=True, clip_norm=1.0)
    path = folder / f"pcavs-{_name(data, size)}.pt"
    training.fit(model.audio, batches, _losses(model), recipe, seed=data.seed, checkpoint=path, weights=WEIGHTS,
                 label=f"pcavs, seed {data.seed}", progress=progress)  # fmt: skip
    return Trained(model.eval(), pictures.detector(data.scale), data, pictures.Camera(SIDE), mean, spread)


def _losses(model: avs.PCAVS):
    def losses(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        seen, heard = batch[0], model.audio(batch[1])
        contrast = avs.contrastive_loss(heard, seen) + avs.contrastive_loss(seen, heard)
        return {"contrastive": contrast, "cross_modal": F.l1_loss(heard, seen)}

    return losses


@torch.inference_mode()
def _mouths(model: avs.PCAVS, faces: np.ndarray) -> Tensor:
    """Mouth features (N, code) of face windows."""
    parts = [model.frame.mouth(model.frame(part)) for part in to_tensor(faces).split(64)]
    return torch.cat(parts).clone()


def _lessons(data: Tracks, size: Size) -> tuple[np.ndarray, Tensor]:
    """Face windows (N, 48, 48, 3) uint8 and sound windows (N, 1, 80, 20) of frames of the training clips."""
    code = code_digest(*pictures.RENDERING)
    path = CACHE / "pictures" / f"lessons-{digest(data.drawn, data.seed, size.frames, SIDE, code)}.npz"
    stored = cached_arrays(path, lambda: _render(data, size))
    return stored["faces"], torch.from_numpy(stored["sounds"])[:, None]


def _render(data: Tracks, size: Size) -> dict[str, np.ndarray]:
    from tqdm.auto import tqdm

    rng, camera, faces, sounds = np.random.default_rng(data.seed), pictures.Camera(SIDE), [], []
    for row in tqdm(data.rows("train").itertuples(), total=len(data.rows("train")), desc="faces", leave=False):
        clip = corpus(data.scale)[row.position]
        at = np.sort(rng.choice(clip.frames(data.fps), size.frames, replace=False))
        faces.append(pictures.face_window(camera.frames(clip, at, pose=False)[0]))
        sounds.append(pictures.sound_windows(clip.audio, at))
    camera.close()
    return {"faces": np.concatenate(faces), "sounds": np.concatenate(sounds)}
