"""Is the generated corpus fit to carry the study? One function per property, each a table of what is measured.

`LIMITS` names every property with its tolerance; a run measures, `verdict` compares and never moves a limit. Distances
are in millimetres on the embedded head. A "share of the motion" is relative to the error of a face that never moves, so
that a tolerance means the same for lips and brows.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from lib.data.clip import Phoneme, resample
from lib.errors import InputError
from lib.puppet import mouth
from lib.puppet.corpus import MASTER_FPS, PuppetClip, PuppetCorpus, counterfactual, synthesise
from lib.puppet.spec import FACTORS, ClipSpec, draw_split, mutual_information

if TYPE_CHECKING:
    import pandas as pd

FPS = 25                                # rate at which views are compared, that of EavaNet and BIWI
OPEN_VOWELS = frozenset("aɑæ")
FLAME_FRAMES = 600                      # frames the FLAME-like basis is learned from, twelve per component


@dataclass(frozen=True)
class Limit:
    """A property and its tolerance; `needs` names the asset without which it cannot be measured."""

    text: str
    relation: Literal["at most", "at least"]
    value: float
    unit: str
    needs: str = ""

    def holds(self, measured: float) -> bool:
        """Whether a measured value lies within the tolerance."""
        return measured <= self.value if self.relation == "at most" else measured >= self.value


LIMITS = {
    "spec": Limit("size of the spec that the whole corpus is made from", "at most", 1.0, "MB"),
    "time": Limit("time of one core to make 700 clips", "at most", 10.0, "min"),
    "repeats": Limit("clips that are the same to the bit when made again", "at least", 1.0, "share"),
    "balance": Limit("largest mutual information of two factors", "at most", 1e-12, "nats"),
    "actors": Limit("mean distance of the two most similar faces at rest", "at least", 1.0, "mm"),
    "closures": Limit("widest gap of the lips at any p, b or m", "at most", 0.5, "mm"),
    "vowels": Limit("median opening of the lips in open vowels", "at least", 5.0, "mm"),
    "sound": Limit("audio samples that differ when only the face changes emotion", "at most", 0.0, "samples"),
    "intensity": Limit("steps of intensity that move the face further", "at least", 1.0, "share"),
    "floor": Limit("motion of the lips that no listener can know", "at most", 0.25, "share of the motion"),
    "metahuman": Limit("lost at the lips: rig, MetaHuman columns, rig", "at most", 0.1, "share of the motion"),
    "flame-like": Limit("lost at the lips: vertices, 56 FLAME-like numbers, vertices", "at most", 0.1,
                        "share of the motion"),
    "resampled": Limit("lost at the lips: 100 fps, 25 fps, 100 fps", "at most", 0.1, "share of the motion"),
    "landmarks": Limit("landmarks against the vertices they stand on", "at most", 1e-4, "mm"),
    "biwi": Limit("jaw and brows outside their own BIWI regions (lve, fdd)", "at most", 0.1, "share of the movement",
                  "biwi_topology"),
    "ict": Limit("lip opening on the ICT face follows the puppet's", "at least", 0.9, "correlation", "ict_face_model"),
    "prosody": Limit("significant effects of acted emotion with the same sign in the puppet", "at least", 1.0, "share"),
    "phones": Limit("phone error rate of the speech encoder, unheard actors and written sentences", "at most", 1 / 3,
                    "share"),
    "judges": Limit("accuracy of the weaker emotion judge on unseen actors, true motion", "at least", 0.9, "share"),
    "shared": Limit("actors that the corpus shares with its judges or the encoder", "at most", 0.0, "actors"),
}


def tolerances() -> "pd.DataFrame":
    """What is claimed of the corpus, and how far it may be missed: a row per property."""
    import pandas as pd

    return pd.DataFrame([{"property": limit.text, "tolerance": _tolerance(limit)} for limit in LIMITS.values()])


def verdict(measured: Mapping[str, float], *only: str) -> "pd.DataFrame":
    """DataFrame property, tolerance, measured, unit, fit ("yes", "no", or why it is not known), in the order of LIMITS.

    `measured` holds numbers by key of LIMITS; a missing one or NaN is "not measured". `only` keeps the rows of those
    keys. InputError for an unknown key.
    """
    import pandas as pd

    unknown = (measured.keys() | set(only)) - LIMITS.keys()
    if unknown:
        raise InputError(f"no tolerance for {', '.join(sorted(unknown))}; known: {', '.join(LIMITS)}")
    rows = [{"property": limit.text, "tolerance": _tolerance(limit), "measured": measured.get(key, np.nan),
             "unit": limit.unit, "fit": _fit(limit, measured.get(key, np.nan))}
            for key, limit in LIMITS.items() if not only or key in only]
    return pd.DataFrame(rows)


def _tolerance(limit: Limit) -> str:
    return f"{limit.relation} {limit.value:.4g} {limit.unit}"


def _fit(limit: Limit, measured: float) -> str:
    if np.isnan(measured):
        return f"undecidable here: needs {limit.needs}" if limit.needs else "not measured"
    return "yes" if limit.holds(measured) else "no"


def sample(corpus: PuppetCorpus, at_most: int, seed: int = 0) -> list[PuppetClip]:
    """Clips drawn without replacement, in the order of the corpus; all of them where it is small."""
    drawn = np.random.default_rng(seed).permutation(len(corpus))[:at_most]
    return [corpus[int(position)] for position in np.sort(drawn)]


# The corpus as a whole -----------------------------------------------------------------------------------------------


def overview(corpus: PuppetCorpus) -> "pd.DataFrame":
    """DataFrame of one row: name, hash, size of the spec, clips, minutes, and the number of values of each factor."""
    import pandas as pd

    table, text = corpus.table, corpus.spec.to_json()
    plurals = ("actors", "emotions", "intensities", "sentences", "sessions")
    row = {"corpus": corpus.spec.name, "hash": corpus.spec.hash[:16], "spec_kB": len(text) / 1e3, "clips": len(corpus),
           "minutes": table.duration_s.sum() / 60,
           **{plural: table[name].nunique() for plural, name in zip(plurals, FACTORS, strict=True)}}
    return pd.DataFrame([row])


def pairwise_information(clips: Sequence[ClipSpec]) -> "pd.DataFrame":
    """Mutual information in nats of any two factors, a symmetric table; the diagonal holds each factor's entropy."""
    import pandas as pd

    values = [[mutual_information(clips, one, other) for other in FACTORS] for one in FACTORS]
    return pd.DataFrame(values, index=pd.Index(FACTORS, name="nats"), columns=FACTORS)


def off_diagonal(table: "pd.DataFrame") -> np.ndarray:
    """Values above the diagonal of a square table, as one row (N,)."""
    return table.to_numpy()[np.triu_indices(len(table), 1)]


def made_again(clips: Iterable[PuppetClip]) -> "pd.DataFrame":
    """Make clips a second time: DataFrame clip, same (bit-identical by SHA-256), seconds."""
    import pandas as pd

    rows = []
    for clip in clips:
        start = time.perf_counter()
        again = synthesise(clip.spec)
        seconds = time.perf_counter() - start
        rows.append({"clip": clip.id, "same": again.digest == clip.digest, "seconds": seconds})
    return pd.DataFrame(rows)


def face_distances(actors: Sequence[int]) -> "pd.DataFrame":
    """Mean distance in mm over the front of the face between resting faces of any two actors, a symmetric table."""
    import pandas as pd

    from lib.puppet.actors import actor
    from lib.puppet.head import head

    front = head().topology.regions["front"]
    faces = np.stack([head().neutral(actor(number).identity)[front] for number in actors])
    gaps = np.linalg.norm(faces[:, None] - faces[None], axis=-1).mean(-1)
    return pd.DataFrame(gaps, index=pd.Index(actors, name="mm"), columns=actors)


# Lips ----------------------------------------------------------------------------------------------------------------


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """Largest height (T,) between the inner lips, at the middle and both sides, of landmarks (T, 68, 3)."""
    height = landmarks[..., 1]
    return (height[:, [61, 62, 63]] - height[:, [67, 66, 65]]).max(1)


def lip_events(phonemes: Sequence[Phoneme]) -> list[tuple[str, str, float, float]]:
    """(kind, sound, start_s, end_s) of what lips owe their speech: every "closure" (p b m) and every "open vowel"."""
    cut = mouth.segments(phonemes)
    closing = [s.sound for s in cut if s.sound in mouth.BILABIALS]
    closures = [("closure", sound, *hold) for sound, hold in zip(closing, mouth.holds(phonemes), strict=True)]
    return closures + [("open vowel", s.sound, s.start_s, s.end_s) for s in cut if s.sound in OPEN_VOWELS]


def lip_gaps(clips: Iterable[PuppetClip]) -> "pd.DataFrame":
    """DataFrame clip, emotion, kind, sound, start_s, gap_mm: the widest gap within each event, at 100 fps."""
    import pandas as pd

    rows = []
    for clip in clips:
        gap = lip_gap(clip.landmarks(MASTER_FPS))
        times_s = np.arange(len(gap)) / MASTER_FPS
        for kind, sound, start_s, end_s in lip_events(clip.phonemes):
            inside = (times_s >= start_s) & (times_s <= end_s)
            if inside.any():
                rows.append((clip.id, clip.spec.emotion, kind, sound, start_s, float(gap[inside].max())))
    return pd.DataFrame(rows, columns=["clip", "emotion", "kind", "sound", "start_s", "gap_mm"])


# Counterfactuals and what nobody can know ----------------------------------------------------------------------------


def intensity_response(spec: ClipSpec, emotions: Sequence[str], levels: Sequence[float]) -> "pd.DataFrame":
    """DataFrame emotion, intensity, moved_mm (mean over front and frames from intensity 0), samples_changed.

    Only the face changes: sound, timing, blinks, gaze and drift stay those of `spec`.
    """
    import pandas as pd

    from lib.puppet.head import head

    front, sound, rows = head().topology.regions["front"], synthesise(spec).audio, []
    for emotion in emotions:
        clips = [counterfactual(spec, face_only=True, emotion=emotion, intensity=float(level)) for level in levels]
        still = clips[0].vertices(FPS)[:, front]
        for level, clip in zip(levels, clips, strict=True):
            moved = np.linalg.norm(clip.vertices(FPS)[:, front] - still, axis=-1).mean()
            rows.append((emotion, float(level), float(moved), int((clip.audio != sound).sum())))
    return pd.DataFrame(rows, columns=["emotion", "intensity", "moved_mm", "samples_changed"])


def growing_steps(response: "pd.DataFrame") -> float:
    """Share of the steps from one intensity to the next that move the face further."""
    steps = response.sort_values("intensity").groupby("emotion").moved_mm.diff().dropna()
    return float((steps > 0).mean())


def region_floors(clips: Iterable[PuppetClip]) -> "pd.DataFrame":
    """DataFrame region, oracle_mm, static_mm, share: mean vertex error of two predictions that bound every model.

    The oracle knows all that speech and labels tell, and misses blinks, gaze and drift; the static face never moves.
    """
    import pandas as pd

    from lib.puppet.head import head

    rows = []
    for clip in clips:
        truth = clip.vertices(FPS)
        guesses = clip.oracle_vertices(FPS), clip.neutral()
        errors = [np.linalg.norm(truth - guess, axis=-1).mean(0) for guess in guesses]
        for region, ids in head().topology.regions.items():
            rows.append((region, *(float(error[ids].mean()) for error in errors)))
    table = pd.DataFrame(rows, columns=["region", "oracle_mm", "static_mm"])
    table = table.groupby("region", sort=False).mean().reset_index()
    return table.assign(share=table.oracle_mm / table.static_mm)


# Views ---------------------------------------------------------------------------------------------------------------


def round_trips(corpus: PuppetCorpus, at_most: int = 12) -> "pd.DataFrame":
    """DataFrame view, face_mm, lips_mm, worst_mm, share: what a conversion there and back changes, by key of LIMITS.

    Measured on clips of unseen actors; the FLAME-like basis is learned from training clips. `share` is the mean error
    at the lips over that of a static face.
    """
    import pandas as pd

    from lib.puppet.head import head

    split, lips = draw_split(corpus.spec, 0), head().topology.regions["lips"]
    clips = [corpus[i] for i in split.indices(corpus.specs, "test")[:at_most]]
    static = np.mean([np.linalg.norm(c.vertices(FPS) - c.neutral(), axis=-1)[:, lips].mean() for c in clips])
    basis = flame_like(corpus, split.indices(corpus.specs, "train"))
    conversions = {"metahuman": _through_metahuman, "flame-like": lambda clip: _through_flame(clip, basis),
                   "resampled": _through_25_fps}
    rows = []
    for view, convert in conversions.items():
        errors = [np.linalg.norm(back - truth, axis=-1) for truth, back in map(convert, clips)]
        at_lips = np.mean([error[:, lips].mean() for error in errors])
        worst = max(error.max() for error in errors)
        rows.append((view, np.mean([error.mean() for error in errors]), at_lips, worst, at_lips / static))
    apart = max(_landmark_error(clip) for clip in clips)
    rows.append(("landmarks", apart, apart, apart, apart / static))
    return pd.DataFrame(rows, columns=["view", "face_mm", "lips_mm", "worst_mm", "share"])


def flame_like(corpus: PuppetCorpus, positions: Sequence[int], clips: int = 40):
    """FLAME-like basis learned from about FLAME_FRAMES frames of some clips, each against its actor's resting face."""
    from lib.face.flame import FlameLike

    chosen = [corpus[int(i)] for i in np.random.default_rng(0).permutation(positions)[:clips]]
    step = max(1, sum(clip.frames(FPS) for clip in chosen) // FLAME_FRAMES)
    moved = [clip.vertices(FPS)[::step] for clip in chosen]
    rest = [np.broadcast_to(clip.neutral(), part.shape) for clip, part in zip(chosen, moved, strict=True)]
    return FlameLike.fit(np.concatenate(moved), np.concatenate(rest))


def _through_metahuman(clip: PuppetClip) -> tuple[np.ndarray, np.ndarray]:
    from lib.face.rig import from_metahuman, to_metahuman

    rig = clip.rig_at(FPS)
    return _faces(clip, rig), _faces(clip, from_metahuman(to_metahuman(rig)))


def _through_flame(clip: PuppetClip, basis) -> tuple[np.ndarray, np.ndarray]:
    vertices, rest = clip.vertices(FPS, pose=True), clip.neutral()
    return vertices, basis.decode(basis.encode(vertices, rest), rest)


def _through_25_fps(clip: PuppetClip) -> tuple[np.ndarray, np.ndarray]:
    back = resample(clip.rig_at(FPS), FPS, MASTER_FPS, len(clip.rig))
    return _faces(clip, clip.rig), _faces(clip, back)


def _faces(clip: PuppetClip, rig: np.ndarray) -> np.ndarray:
    from lib.puppet.actors import actor
    from lib.puppet.head import head

    return head().vertices(rig, actor(clip.spec.actor).identity)


def _landmark_error(clip: PuppetClip) -> float:
    from lib.puppet.head import head

    picked = clip.vertices(FPS)[:, head().topology.landmarks]
    return float(np.linalg.norm(picked - clip.landmarks(FPS), axis=-1).max())


BIWI_MOVEMENTS = {
    "jaw": ("lve", {"jawOpen": 0.5}),
    "brows": ("fdd", {"browInnerUp": 0.7, "browOuterUpLeft": 0.7, "browOuterUpRight": 0.7}),
}


def biwi_motion() -> "pd.DataFrame":
    """DataFrame movement, lve_mm, fdd_mm, leak (other region over its own), means; AssetMissing without the mesh."""
    import pandas as pd

    from lib.face.biwi import MM_PER_UNIT, biwi_face
    from lib.face.rig import curves

    face, rows = biwi_face(), []
    for movement, (own, controls) in BIWI_MOVEMENTS.items():
        moved = MM_PER_UNIT * np.linalg.norm(face.vertices(curves(1, **controls))[0] - face.mean, axis=-1)
        mean = {region: float(moved[face.topology.regions[region]].mean()) for region in ("lve", "fdd")}
        other = "fdd" if own == "lve" else "lve"
        rows.append((movement, mean["lve"], mean["fdd"], mean[other] / mean[own]))
    return pd.DataFrame(rows, columns=["movement", "lve_mm", "fdd_mm", "leak"])


def lip_openings(clip: PuppetClip, ict: bool) -> dict[str, np.ndarray]:
    """Gap between the lips (T,) in mm at 25 fps on the puppet and, where asked for, on the ICT face."""
    gaps = {"puppet": lip_gap(clip.landmarks(FPS))}
    if ict:
        from lib.face.ict import ict_face

        face = ict_face()
        gaps["ICT face"] = lip_gap(face.vertices(clip.rig_at(FPS))[:, face.topology.landmarks])
    return gaps


# Foundations and real speech -----------------------------------------------------------------------------------------


def casts(corpus: PuppetCorpus, scale: str) -> "pd.DataFrame":
    """DataFrame role, actors, first, last, shared: who speaks for what, and how many of them the corpus knows."""
    import pandas as pd

    from lib import foundations

    speech, judge = foundations.SPEECH[scale], foundations.JUDGES[scale]
    roles = {"corpus": corpus.spec.actors, "speech encoder, training": speech.actors,
             "speech encoder, test": speech.test_actors, "judges, training": judge.actors,
             "judges, test": judge.test_actors}
    rows = [(role, len(who), min(who), max(who), 0 if role == "corpus" else len({*who} & {*corpus.spec.actors}))
            for role, who in roles.items()]
    return pd.DataFrame(rows, columns=["role", "actors", "first", "last", "shared"])


READERS = {"RAVDESS": ("ravdess_speech", "ravdess"), "EmoDB": ("emodb_4emotions", "emodb"),
           "StyleTalk": ("styletalk_av", "styletalk"), "FACEGOOD": ("facegood_blendshapes", "facegood")}


def real_recordings() -> "pd.DataFrame":
    """DataFrame corpus, clips, speakers, emotions, motion, fps, first_s, absent: recordings read through the readers.

    The first clip of each is read in full; where a corpus is absent the last column says why and the others are empty.
    """
    import pandas as pd

    from lib import manifest

    rows = []
    for name, (asset, module) in READERS.items():
        why = manifest.why_absent(manifest.get(asset))
        rows.append({"corpus": name, **({"clips": 0} if why else _recordings(module)), "absent": why})
    return pd.DataFrame(rows, columns=["corpus", "clips", "speakers", "emotions", "motion", "fps", "first_s", "absent"])


def _recordings(module: str) -> dict[str, object]:
    import importlib

    clips = importlib.import_module(f"lib.data.{module}").clips()
    table, first = clips.table, clips[0]
    who = next((table[column] for column in ("actor", "speaker") if column in table), None)
    return {"clips": len(clips), "speakers": len({clip.speaker for clip in clips}) if who is None else who.nunique(),
            "emotions": table.emotion.nunique() if "emotion" in table else 0, "motion": first.motion_kind or "none",
            "fps": first.fps, "first_s": round(first.duration_s, 2)}


def stand_ins(scale: str) -> "pd.DataFrame":
    """What the foundations of the landmark papers can do, each beside its trivial rival: [foundation, measure, value].

    Trains those that are not in the cache, so that no later run has to. Errors in pixels are of a 256-px crop of the
    face, l1 of pictures in grey levels of 255; accuracies, correlations and confidences have no unit.
    """
    import pandas as pd

    from lib import landmark_foundations as tracks
    from lib import picture_foundations as seen

    found = {"AutoVC and speaker encoder": tracks.voices_scores(scale), "planar": tracks.planar_scores(scale),
             "proxy-Sync": tracks.sync_scores(scale),
             **{kind: seen.scores(kind, scale) for kind in ("translation", "detector", "pcavs")}}
    rows = [{"foundation": name, "measure": measure, "value": value} for name, nested in found.items()
            for measure, value in _flat(nested)]
    return pd.DataFrame(rows)


def _flat(nested: Mapping, path: str = "") -> list[tuple[str, float]]:
    """Numbers of nested dictionaries under their joined names; tables of confusions are left out."""
    rows = []
    for name, value in nested.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{path}{name}, ")
        elif np.isscalar(value) and not isinstance(value, str):
            rows.append((path + name, float(value)))
    return rows
