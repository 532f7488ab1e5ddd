"""Registration of landmark tracks: head motion out, one frame of reference in, and what the estimate does wrong.

    register      every frame onto a template: Procrustes on points that correspond by index, or true ICP
    icp           iterative closest points (Besl and McKay 1992): correspondences are nearest neighbours, found anew in
                  every round. Where they are right it equals Procrustes; MakeItTalk calls Procrustes "icp", and CFD
                  cites the true one
    mean_shape    generalised Procrustes analysis: the template of a set of tracks
    leak          what a mouth that opens does to the pose estimate of a head that does not move
    jitter        noise of a detector, from a track alone, and the landmark distance it causes (`noise_distance`)

Tracks are (T, 68, D) with D = 2 or 3; units are those of the input. Alignment itself is `lib.face.alignment`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError
from lib.face.alignment import Similarity, similarity
from lib.face.landmarks import STABLE, lip_opening, validate

POINTS = {"stable": STABLE, "all": np.arange(68)}
ROUNDS = 40                          # of ICP at most
TOLERANCE = 1e-7                     # ICP ends when no point moves by more than this share of the template's size
MAD = 0.6745                         # median of |x| of the normal distribution with spread 1
THIRD_DIFFERENCE = 20                # variance of the third difference of white noise: 1 + 9 + 9 + 1


def inverse(moved: Similarity) -> Similarity:
    """The similarity that undoes another: predicted landmarks back into the picture they came from."""
    turn, scale = np.swapaxes(moved.rotation, 1, 2), 1 / moved.scale
    return Similarity(scale, turn, -scale[:, None] * np.einsum("tij,tj->ti", turn, moved.shift))


def pose(track: np.ndarray, template: np.ndarray, on: str = "stable", *, scaled: bool = True,
         method: str = "procrustes") -> Similarity:
    """Similarity of every frame of (T, 68, D) onto the template (68, D), estimated on the points `on`.

    on       "stable": nine points that speech hardly moves; "all": 68, as CFD's text has it
    scaled   False: rigid, as MakeItTalk; True: speakers stand at different distances
    method   "procrustes" or "icp"
    """
    track, template = validate(track), validate(template)
    if track.ndim != 3 or template.shape != track.shape[1:]:
        raise InputError(f"registration: track {track.shape} and template {template.shape}; expected (T, 68, D) and "
                         "(68, D) in one dimension")
    if on not in POINTS:
        raise InputError(f"registration: points {on!r} are none of {', '.join(POINTS)}")
    chosen = POINTS[on]
    ways = {"procrustes": lambda: similarity(track[:, chosen], template[chosen], scaled),
            "icp": lambda: icp(track[:, chosen], template[chosen], scaled=scaled).moved}
    if method not in ways:
        raise InputError(f"registration: method {method!r} is none of {', '.join(ways)}")
    return ways[method]()


def register(track: np.ndarray, template: np.ndarray, on: str = "stable", *, scaled: bool = True,
             method: str = "procrustes") -> np.ndarray:
    """Track (T, 68, D) with head motion taken out, in the place and size of the template; options as of `pose`."""
    return pose(track, template, on, scaled=scaled, method=method)(np.asarray(track))


@dataclass(frozen=True)
class Matched:
    """Outcome of ICP: the similarity, and the index (T, P) of the target point that each point found."""

    moved: Similarity
    partners: np.ndarray


def icp(source: np.ndarray, target: np.ndarray, *, scaled: bool = False, rounds: int = ROUNDS) -> Matched:
    """Iterative closest points of every frame of source (T, P, D) onto target (Q, D), started on equal centres.

    Unlike Procrustes it does not know which point is which. It finds a local optimum; several points may take the same
    partner, which pulls a scaled fit together. Raises InputError for other shapes or values that are not finite.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.ndim != 3 or target.ndim != 2 or source.shape[2] != target.shape[1]:
        raise InputError(f"ICP: source {source.shape}, target {target.shape}; expected (T, P, D) and (Q, D)")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise InputError("ICP: points hold NaN or infinity; interpolate missing frames first")
    found = [_icp(frame, target, scaled, rounds) for frame in source]
    fits, partners = zip(*found, strict=True)
    parts = (np.concatenate([getattr(fit, name) for fit in fits]) for name in ("scale", "rotation", "shift"))
    return Matched(Similarity(*parts), np.stack(partners))


def _icp(points: np.ndarray, target: np.ndarray, scaled: bool, rounds: int) -> tuple[Similarity, np.ndarray]:
    from scipy.spatial import cKDTree

    tree, size = cKDTree(target), np.ptp(target, axis=0).max()
    placed = points + (target.mean(0) - points.mean(0))
    for _ in range(rounds):
        partners = tree.query(placed)[1]
        fit = similarity(points[None], target[partners][None], scaled)
        before, placed = placed, fit(points[None])[0]
        if np.abs(placed - before).max() <= TOLERANCE * size:
            break
    return fit, partners


def mean_shape(tracks: Sequence[np.ndarray], on: str = "stable", *, scaled: bool = True, rounds: int = 3) -> np.ndarray:
    """Template (68, D): mean over the frames of all tracks (T, 68, D), each frame registered to the mean before it.

    Every track counts alike, however long. Starts at the mean of the first track's frames; after each round the mean is
    put back on that start, so that it neither shrinks nor wanders (Gower 1975).
    """
    if not len(tracks):
        raise InputError("template: no track is given; expected at least one (T, 68, D)")
    start = template = validate(tracks[0]).astype(float).mean(0)
    for _ in range(rounds):
        mean = np.mean([register(track, template, on, scaled=scaled).mean(0) for track in tracks], axis=0)
        template = similarity(mean[None], start, scaled)(mean[None])[0]
    return template


# What the estimate does wrong -----------------------------------------------------------------------------------------


def leak(track: np.ndarray, template: np.ndarray, on: str = "stable", *, scaled: bool = True,
         method: str = "procrustes") -> dict[str, float]:
    """What speech alone does to the pose estimate: landmarks (T, 68, 2) of a head that stands still in place.

    rotation_deg, scale_percent, shift    spread over time (standard deviation) of a pose that is constant; shift in the
                                          unit of the input, at the centre of the template
    opening_r                             Pearson correlation of the vertical shift with the opening of the lips
    opening_lost                          share of the lips' opening amplitude that registration takes away
    """
    track = validate(track)
    if track.ndim != 3 or track.shape[2] != 2:
        raise InputError(f"leak: track {track.shape}; expected (T, 68, 2)")
    fit = pose(track, template, on, scaled=scaled, method=method)
    centre = np.repeat(template.mean(0)[None, None], len(track), 0)
    shift = (fit(centre) - centre)[:, 0]
    opening, left = lip_opening(track), lip_opening(fit(track))
    angle = np.degrees(np.arctan2(fit.rotation[:, 1, 0], fit.rotation[:, 0, 0]))
    return {"rotation_deg": float(angle.std()), "scale_percent": float(100 * fit.scale.std()),
            "shift": float(np.linalg.norm(shift.std(0))), "opening_r": _correlation(shift[:, 1], opening),
            "opening_lost": float(1 - left.std() / opening.std()) if opening.std() > 0 else float("nan")}


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    moving = one.std() > 1e-9 and other.std() > 1e-9
    return float(np.corrcoef(one, other)[0, 1]) if moving else float("nan")


def leaks(tracks: Sequence[np.ndarray], templates: Sequence[np.ndarray]):
    """DataFrame of `leak`, mean over the tracks, for points stable and all, rigid and scaled, and for ICP on all 68."""
    import pandas as pd

    ways = [("procrustes", on, scaled) for on in POINTS for scaled in (False, True)] + [("icp", "all", False)]
    rows = []
    for method, on, scaled in ways:
        found = pd.DataFrame([leak(track, template, on, scaled=scaled, method=method)
                              for track, template in zip(tracks, templates, strict=True)])
        rows.append({"method": method, "points": on, "scaled": scaled, **found.mean().to_dict()})
    return pd.DataFrame(rows)


# Noise of detectors ---------------------------------------------------------------------------------------------------


def jitter(track: np.ndarray, on: str = "stable") -> float:
    """Spread (standard deviation per coordinate) of the noise of a detector, in the unit of the track (T, 68, D).

        sigma = median | third difference over time | / (0.6745 sqrt(20))

    of the points `on`. White noise assumed; fast true motion adds to it, so the still points are the default, and a
    detector that smooths over time looks better than it is. Raises InputError below four frames.
    """
    track = validate(track)
    if track.ndim != 3 or len(track) < 4:
        raise InputError(f"jitter: track {track.shape}; expected (T, 68, D) of at least 4 frames")
    third = np.abs(np.diff(np.asarray(track, float)[:, POINTS[on]], n=3, axis=0))
    return float(np.median(third) / (MAD * np.sqrt(THIRD_DIFFERENCE)))


def noise_distance(sigma: float) -> float:
    """Mean distance of a point found twice with independent noise `sigma` per coordinate in the plane: sqrt(pi) sigma.

    No landmark distance of pixels can fall below it when truth and prediction are both detected; where only the truth
    is, it is smaller by sqrt(2).
    """
    return float(np.sqrt(np.pi) * sigma)
