"""Ventriloquist-Net on human recordings: its speech network on acted speech, its generator on tracked faces.

Sp2Emo alone is trained and tested on RAVDESS and on EmoDB, split by actor: two folds, each the test of the other. The
generator is trained on the StyleTalk and MEAD tracks, split by clip, with the emotion networks of the puppets frozen,
since these clips carry no label: the paper's way to unlabelled data. Their landmarks are registered, without head
motion.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib import metrics
from lib.errors import AssetMissing
from lib.experiments import track_measures, vnet
from lib.experiments.real_tracks import RealTrack, real_tracks
from lib.experiments.vnet import EMOTIONS, SIZES, Material, off_face, on_face
from lib.face.landmarks import LIPS
from lib.models import vnet as models
from lib.paths import CACHE
from lib.study import cached_arrays, cached_table, code_digest, digest, run_folder
from lib.training import seed_everything

CORPORA = ("ravdess", "emodb")
FOLDS = 2
EPOCHS = {"smoke": 1, "laptop": 30, "paper": 100}
CLIPS = {"smoke": 48, "laptop": 10_000, "paper": 10_000}         # of a corpus; all of them but at smoke scale
CODE = (*vnet.CODE, "lib.experiments.vnet_real", "lib.experiments.real_tracks")


# Emotion in real speech -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Speech:
    """Clips of an acted corpus: MFCC rows (A, 30) per clip, actor and emotion of each; only the paper's emotions."""

    mfcc: list[np.ndarray]
    actor: np.ndarray
    emotion: np.ndarray


def acted_speech(corpus: str, most: int) -> Speech:
    """RAVDESS (calm counts as neutral, as no other corpus has it) or EmoDB; `most` clips, spread over all actors.

    Raises AssetMissing where the corpus is not found.
    """
    from lib.data import emodb, ravdess

    clips = {"ravdess": ravdess, "emodb": emodb}[corpus].clips()
    rows = pd.DataFrame(clips.rows)
    rows["emotion"] = rows.emotion.where(rows.label != "calm", "neutral")
    kept = rows[rows.emotion.isin(EMOTIONS)]
    kept = kept.iloc[np.unique(np.linspace(0, len(kept) - 1, min(most, len(kept))).astype(int))]
    path = CACHE / "features" / f"vnet-{corpus}-{digest(list(kept.id), vnet.WINDOW_S, code_digest('lib.audio'))}.npz"

    def compute() -> dict[str, np.ndarray]:
        from tqdm.auto import tqdm

        bar = tqdm(kept.index, desc=f"MFCC of {corpus}", unit="clip", leave=False)
        return {str(i): vnet.features(clips[int(i)].audio)["mfcc"].astype(np.float16) for i in bar}

    stored = cached_arrays(path, compute)
    actor = kept["actor" if "actor" in kept else "speaker"].to_numpy(str)
    return Speech([stored[str(i)].astype(np.float32) for i in kept.index], actor, kept.emotion.to_numpy(str))


def heard_in_speech(scale: str, corpus: str) -> pd.DataFrame:
    """One row per clip: corpus, actor, emotion and what a Sp2Emo hears that was never taught its actor."""
    settings = (scale, corpus, SIZES[scale].config, EPOCHS[scale], CLIPS[scale], code_digest(*CODE))
    return cached_table(run_folder("vnet", "speech", *settings) / "heard.csv", lambda: _folds(scale, corpus))


def _folds(scale: str, corpus: str) -> pd.DataFrame:
    speech = acted_speech(corpus, CLIPS[scale])
    actors = np.random.default_rng(31).permutation(np.unique(speech.actor))
    tables = []
    for fold in range(FOLDS):
        test = np.isin(speech.actor, actors[fold::FOLDS])
        heard = _taught_and_tested(scale, speech, ~test, test)
        tables.append(pd.DataFrame({"corpus": corpus, "actor": speech.actor[test], "emotion": speech.emotion[test],
                                    "heard": heard}))
    return pd.concat(tables, ignore_index=True)


def _taught_and_tested(scale: str, speech: Speech, taught: np.ndarray, tested: np.ndarray) -> list[str]:
    """Emotion heard in each tested clip: mean logits over its windows, among the emotions of the corpus."""
    train, seen = np.flatnonzero(taught), np.concatenate([speech.mfcc[i] for i in np.flatnonzero(taught)])
    mean, spread = seen.mean(0), seen.std(0) + 1e-6
    rows = [(x - mean) / spread for x in speech.mfcc]
    classes = [e for e in EMOTIONS if e in set(speech.emotion)]
    labels = torch.tensor([EMOTIONS.index(e) for e in speech.emotion])
    model = _train_speech(scale, rows, labels, train)
    columns = [EMOTIONS.index(e) for e in classes]
    with torch.no_grad():
        logits = [model(_windows(rows[i])).logits.mean(0)[columns] for i in np.flatnonzero(tested)]
    return [classes[int(x.argmax())] for x in logits]


def _train_speech(scale: str, rows: list[np.ndarray], labels: torch.Tensor, train: np.ndarray) -> models.Sp2Emo:
    size, rng = SIZES[scale], seed_everything(37)
    model = models.Sp2Emo(size.config)
    published = models.Schedule().speech_rate
    optimiser = torch.optim.Adam(model.parameters(), lr=size.speech_rate * published)
    for epoch in range(EPOCHS[scale]):
        for group in optimiser.param_groups:
            group["lr"] = size.speech_rate * published * size.fade(epoch / EPOCHS[scale])
        order = rng.permutation(train)
        for batch in np.array_split(order, max(1, len(order) // (size.batch or models.PAPER.batch))):
            windows = torch.cat([_random_window(rows[i], rng) for i in batch])
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(windows).logits, labels[batch]).backward()
            optimiser.step()
    return model.eval()


def _frames(rows: np.ndarray) -> int:
    return (len(rows) - 2) // models.PER_FRAME


def _random_window(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    return vnet.sound_windows(rows, [int(rng.integers(0, max(0, _frames(rows) - models.FRAMES) + 1))])


def _windows(rows: np.ndarray) -> torch.Tensor:
    return vnet.sound_windows(rows, models.window_starts(_frames(rows)))


def speech_table(scale: str) -> pd.DataFrame:
    """Accuracy per corpus, mean over actors with its 95 % interval, beside chance and the majority class.

    A corpus that is not found is left out.
    """
    rows = []
    for corpus in CORPORA:
        try:
            heard = heard_in_speech(scale, corpus)
        except AssetMissing:
            continue
        share = heard.emotion.value_counts(normalize=True)
        rows.append({"corpus": corpus, "clips": len(heard), **accuracy_over_actors(heard), "chance": 1 / len(share),
                     "majority": share.max()})
    return pd.DataFrame(rows)


def accuracy_over_actors(heard: pd.DataFrame) -> dict[str, float]:
    """Number of actors, mean accuracy over them and Student's 95 % interval: clips of one actor are no votes."""
    from lib.stats import student

    means = (heard.heard == heard.emotion).groupby(heard.actor).mean().to_numpy()
    low, high, _ = student(means)
    return {"actors": len(means), "accuracy": float(means.mean()), "low": low, "high": high}


def confusion(heard: pd.DataFrame) -> pd.DataFrame:
    """Counts of true (rows) by heard (columns) emotion."""
    there = [e for e in EMOTIONS if e in set(heard.emotion)]
    return pd.crosstab(heard.emotion, heard.heard).reindex(index=there, columns=there, fill_value=0)


# Real faces -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RealClips:
    """Real tracks in the form in which `vnet.Material` reads a draw, registered: no head motion is left."""

    tracks: tuple[RealTrack, ...]
    seed: int
    fps: int = vnet.FPS

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame([{"clip": t.id, "actor": t.speaker, "part": t.part, "emotion": t.emotion or "neutral"}
                             for t in self.tracks])

    @property
    def landmarks(self) -> list[np.ndarray]:
        """Landmarks (T, 68, 2) of every clip."""
        return [t.landmarks for t in self.tracks]

    def rows(self, *parts: str) -> pd.DataFrame:
        """Rows of the named parts."""
        return self.table[self.table.part.isin(parts)]

    def template(self, index: int) -> np.ndarray:
        """Landmarks (68, 2) of the clip's face at rest."""
        return self.tracks[index].template


def real_material(scale: str, seed: int) -> Material:
    """The real tracks as the networks want them; sound is z-scored with the real training clips.

    Raises AssetMissing where no corpus is found.
    """
    tracks = tuple(t for t in real_tracks(seed) if len(t.landmarks) >= models.FRAMES)
    data, raw = RealClips(tracks, seed), [vnet.features(t.audio) for t in tracks]
    rows, norms, bins = {}, {}, SIZES[scale].config.mel_bins
    for name in ("mel", "mfcc"):
        seen = np.concatenate([raw[i][name] for i in data.rows("train").index])
        norms[name] = seen.mean(0), seen.std(0) + 1e-6
        rows[name] = [((x[name] - norms[name][0]) / norms[name][1]).astype(np.float32) for x in raw]
    return Material(data, [vnet.pooled(x, bins) for x in rows["mel"]], rows["mfcc"], norms, bins)


def real_scores(scale: str, seed: int) -> pd.DataFrame:
    """Scores of real test clips for a generator trained on the others, and for controls; one row per system and clip.

    face_px is the paper-neutral primary (variant C of the landmark distance); energy against the truth holds the
    detector's jitter too, so 1 is not right there.
    """
    settings = (scale, seed, SIZES[scale], code_digest(*CODE, *track_measures.CODE))
    return cached_table(run_folder("vnet", "real", *settings) / "scores.csv", lambda: _real_scores(scale, seed))


def _real_scores(scale: str, seed: int) -> pd.DataFrame:
    made = real_material(scale, seed)
    trained = _train_on(made, scale, seed)
    test = made.data.rows("test").index.to_numpy()
    mean = np.mean([off_face(made.faces[i], made.data.template(i)).mean(0)
                    for i in made.data.rows("train").index], axis=0)
    rows = []
    for clip, later in zip(test, np.roll(test, -1), strict=True):
        face, frames = made.data.template(clip), len(made.faces[clip])
        made_of = {"vnet": trained.landmarks(clip), "control/shuffled-audio": trained.landmarks(clip, int(later)),
                   "control/static-template": np.repeat(face[None], frames, 0),
                   "control/mean-motion": np.repeat(on_face(mean, face)[None], frames, 0)}
        track = made.data.tracks[clip]
        rows += [{"seed": seed, "system": name, "clip": track.id, "speaker": track.speaker, "source": track.source,
                  **_real_score(pred, track)} for name, pred in made_of.items()]
    return pd.DataFrame(rows)


def _real_score(pred: np.ndarray, track: RealTrack) -> dict[str, float]:
    truth = track.landmarks
    return {"face_px": float(metrics.landmark_distance(pred, truth, align="centred").mean()),
            "lips_px": float(metrics.landmark_distance(pred, truth, points=LIPS, align="centred").mean()),
            "opening_px": float(metrics.lip_opening_error(pred, truth).mean()),
            **track_measures.lip_sync(pred, truth, track.fps), "energy": metrics.energy_ratio(pred, truth)}


def _train_on(made: Material, scale: str, seed: int) -> vnet.Trained:
    """The paper's reading trained on the real training clips, emotion networks of the puppets frozen."""
    system, size = vnet.SYSTEMS["vnet"], SIZES[scale]
    emotion = vnet.emotion_networks(scale, seed)[0]
    seed_everything(seed, 3)
    model = vnet.Networks(system, size.config, emotion, made.mean_face)
    path = run_folder("vnet", "real", scale, seed, size, code_digest(*CODE)) / "system.pt"
    rows = vnet.load(path, model) if path.exists() else vnet.fit_networks(model, made, size, path, f"real, seed {seed}")
    return vnet.Trained(made, system, model, [r for r in rows if "step" not in r], [r for r in rows if "step" in r])


def real_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over test clips with Student's 95 % interval, per system: the one table on human recordings.

    A clip counts once, with its mean over the seeds that drew it for testing; `seeds per clip` are the fewest and the
    most of those.
    """
    from lib.stats import student

    by_clip = scores.groupby(["system", "clip"], sort=False)
    per_clip = by_clip.mean(numeric_only=True).assign(drawn=by_clip.size()).reset_index()
    rows = []
    for system, mine in per_clip.groupby("system", sort=False):
        row = {"system": system, "clips": len(mine), "seeds per clip": f"{mine.drawn.min()} to {mine.drawn.max()}"}
        for column in ("face_px", "lips_px", "opening_px", "sync_px", "energy"):
            low, high, _ = student(mine[column]) if len(mine) > 1 else (np.nan, np.nan, np.nan)
            row |= {column: mine[column].mean(), f"{column} low": low, f"{column} high": high}
        rows.append(row)
    return pd.DataFrame(rows)
