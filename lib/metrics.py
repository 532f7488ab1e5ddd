"""Errors of moving faces: one function per metric, `validate` for what is a legal input, `evaluate` for one clip.

Conventions
    vertices   (T, V, 3), landmarks (T, P, 2 or 3), rig curves (T, C); numpy arrays or torch tensors in, float64 out.
    units      the unit of the input; "squared" metrics return its square. `evaluate` takes millimetres.
    reduction  one value per frame, (T,), or one per clip where a metric is defined over time. Averages come later.
    lengths    prediction and truth must have the same number of frames; `cut_to_truth` is the one named exception.
    pose       rigid head motion is removed by the caller, or by `align` for landmarks.

Metrics
    lip_vertex_error, centred_lip_vertex_error, vertex_error, upper_face_dynamics     vertices
    lip_movement_error                                                                24 lip points (ECM)
    landmark_distance (LMD_VARIANTS), lip_opening_error, lip_width_error              68 landmarks (iBUG order)
    rig_error                                                                         blendshape controllers
    amplitude_ratio, energy_ratio, jerk_ratio, cancellation_ratio                     dynamics of any curves
    codetalker_scores                                                                 the released script's convention
    skill                                                                             error to 0 (static) .. 1 (floor)

One name hides several numbers: LVE is the largest lip distance in FaceFormer's words (issue 14), its square in
CodeTalker's main/cal_metric.py, and MeshTalk centres the lips of each frame first (issue 32).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.errors import InputError

MOUTH = np.arange(48, 68)                       # 20 lip points of the 68 (iBUG)
STABLE = np.array([27, 28, 29, 30, 33, 36, 39, 42, 45])      # nose bridge, eye corners: still in speech
EYES, JAW, LIP_CORNERS = (36, 45), (0, 16), (48, 54)         # outer eye corners, jaw ends, outer mouth corners
OPENING, WIDTH = (62, 66), (60, 64)             # inner lip: upper and lower mid point, the two corners


def as_array(values) -> np.ndarray:
    """float64 array of a numpy array, list or torch tensor (any device)."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def validate(pred, truth, axes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays as float64; InputError unless shapes are equal, `axes`-dimensional, non-empty and finite."""
    return check(as_array(pred), as_array(truth), axes)


def check(pred: np.ndarray, truth: np.ndarray, axes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays as they are, if they fit together; InputError otherwise, as `validate`."""
    if truth.ndim != axes or pred.ndim != axes:
        raise InputError(f"metric: expected {axes} axes (frames first), got shapes {pred.shape} and {truth.shape}")
    if len(pred) != len(truth):
        raise InputError(f"metric: {len(pred)} predicted against {len(truth)} true frames; lengths are never cut to "
                         "fit, resample or call cut_to_truth first")
    if pred.shape != truth.shape:
        raise InputError(f"metric: shapes {pred.shape} and {truth.shape} differ; use one topology for both")
    if truth.size == 0:
        raise InputError(f"metric: empty input of shape {truth.shape}")
    if not (_finite(pred) and _finite(truth)):
        raise InputError("metric: input contains NaN or infinite values")
    return pred, truth


def _finite(values: np.ndarray) -> bool:
    # a sum needs no array of its own; only where it is not finite (also by overflow) every value is looked at
    return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def region_indices(region, n_points: int) -> np.ndarray:
    """`region` as an index array; InputError when it is empty or reaches beyond `n_points`."""
    region = np.asarray(region)
    if region.size == 0 or not np.issubdtype(region.dtype, np.integer):
        raise InputError(f"metric: a region is a non-empty list of indices, got {region.dtype} of shape {region.shape}")
    if region.min() < 0 or region.max() >= n_points:
        raise InputError(f"metric: region index {region.max()} outside the {n_points} points; region of another mesh?")
    return region


def cut_to_truth(pred, truth) -> np.ndarray:
    """The first len(truth) frames of `pred`, as CodeTalker's script does; InputError when `pred` is shorter."""
    if len(pred) < len(truth):
        raise InputError(f"metric: prediction has {len(pred)} frames, truth {len(truth)}: nothing to cut")
    return pred[: len(truth)]


# Vertices -------------------------------------------------------------------------------------------------------------

def _squared_length(vectors: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", vectors, vectors)             # several times faster than square().sum(-1)


def lip_vertex_error(pred, truth, lips, *, squared: bool = False) -> np.ndarray:
    """Largest lip-vertex distance of every frame (LVE), (T,), in the unit of the input.

        LVE_t = max_{i in lips} || pred_{t,i} - truth_{t,i} ||_2

    `squared` omits the root, as CodeTalker's script and torchmetrics do; the unit is squared too. `lips` decides the
    number as much as the model does: BIWI's released set is the whole lower face (4,996 vertices).
    """
    pred, truth = validate(pred, truth)
    lips = region_indices(lips, truth.shape[1])
    worst = _squared_length(pred[:, lips] - truth[:, lips]).max(-1)
    return worst if squared else np.sqrt(worst)


def centred_lip_vertex_error(pred, truth, lips) -> np.ndarray:
    """LVE after each lip set is centred on its own mean in every frame (MeshTalk, issue 32), (T,)."""
    pred, truth = validate(pred, truth)
    lips = region_indices(lips, truth.shape[1])
    return lip_vertex_error(_centred(pred[:, lips]), _centred(truth[:, lips]), np.arange(len(lips)))


def vertex_error(pred, truth, *, form: str = "squared") -> np.ndarray:
    """Mean error of all vertices per frame, (T,); the three readings of "L2 error" (specs: only squares fit Table II).

        squared      mean_v || pred - truth ||^2          distance   mean_v || pred - truth ||
        coordinate   squared / 3, the mean squared coordinate
    """
    pred, truth = validate(pred, truth)
    forms = {"squared": lambda x: x, "coordinate": lambda x: x / 3, "distance": np.sqrt}
    return _choose(forms, form, "form")(_squared_length(pred - truth)).mean(-1)


def motion_spread(vertices, template, region, *, squared: bool = True) -> np.ndarray:
    """Temporal standard deviation of each vertex's motion, (R,): std_t d_v(t), d = ||x - template||^2 or its root."""
    vertices, template = as_array(vertices), as_array(template)
    if vertices.ndim != 3 or template.shape != vertices.shape[1:]:
        raise InputError(f"metric: template {template.shape} does not fit vertices {vertices.shape}")
    region = region_indices(region, vertices.shape[1])
    return _spreads(vertices, template, region)[0 if squared else 1]


def upper_face_dynamics(pred, truth, template, upper, *, form: str = "signed", squared: bool = True) -> float:
    """Upper-face dynamics deviation (FDD) of one clip: how much less the upper face moves than it should.

        signed    mean_v s_v(truth) - mean_v s_v(pred)      s = motion_spread; the released CodeTalker form (issue 83)
        absolute  | signed |                                vertex    mean_v | s_v(truth) - s_v(pred) |

    Unit: that of the input, squared when `squared` (released script). Signed values cancel between clips.
    """
    pred, truth = validate(pred, truth)
    gap = motion_spread(truth, template, upper, squared=squared) - motion_spread(pred, template, upper, squared=squared)
    forms = {"signed": gap.mean(), "absolute": abs(gap.mean()), "vertex": np.abs(gap).mean()}
    return float(_choose(forms, form, "form"))


def codetalker_scores(preds: Sequence, truths: Sequence, templates: Sequence, lips, upper) -> dict[str, np.ndarray]:
    """LVE and FDD over a test set exactly as CodeTalker's main/cal_metric.py forms them.

    Predictions are cut to the true length; lve = mean over all frames of all clips (frame-weighted) of the squared
    LVE; fdd = mean over clips of the signed, squared-norm FDD. Also returned: `lip_max_squared_per_frame` (sum T,) and
    `mean_std_true_predicted_per_sequence` (clips, 2). Units: squared units of the input.
    """
    preds = [cut_to_truth(pred, truth) for pred, truth in zip(preds, truths, strict=True)]
    worst = [lip_vertex_error(pred, truth, lips, squared=True) for pred, truth in zip(preds, truths, strict=True)]
    spreads = [[motion_spread(clip, template, upper).mean() for clip in (truth, pred)]
               for pred, truth, template in zip(preds, truths, templates, strict=True)]
    per_frame, spreads = np.concatenate(worst), np.array(spreads)
    return {"lve": per_frame.mean(), "fdd": (spreads[:, 0] - spreads[:, 1]).mean(),
            "lip_max_squared_per_frame": per_frame, "mean_std_true_predicted_per_sequence": spreads}


# Rig ------------------------------------------------------------------------------------------------------------------

def rig_error(pred, truth, *, controllers=None, active_above: float | None = None, scale=None) -> np.ndarray:
    """Mean absolute error over controllers per frame (MAE), (T,), in rig units or in multiples of `scale`.

        MAE_t = mean_{c in set} | pred_{t,c} - truth_{t,c} | / scale_c

    `controllers` names the set (indices; None = all). `active_above` keeps controllers whose true standard deviation in
    this clip exceeds it, since constant ones dilute the mean; NaN when none is active. `scale` (C,): the standard
    deviation of each controller in the training set; controllers with scale 0 are left out.
    """
    pred, truth = validate(pred, truth, axes=2)
    chosen = np.zeros(truth.shape[1], bool)
    chosen[slice(None) if controllers is None else region_indices(controllers, truth.shape[1])] = True
    if active_above is not None:
        chosen &= truth.std(0) > active_above
    scale = np.ones(truth.shape[1]) if scale is None else as_array(scale)
    chosen &= scale > 0
    if not chosen.any():
        return np.full(len(truth), np.nan)
    return (np.abs(pred - truth)[:, chosen] / scale[chosen]).mean(-1)


# Lip movement error (ECM) ---------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class LipPoints:
    """Vertices of a mesh that ECM's lip movement error looks at; the defaults are those of FLAME (5,023 vertices)."""

    # left corner, upper lip, right corner, lower lip
    lips: tuple[int, ...] = (2827, 2833, 2850, 2813, 2811, 2774, 3543, 1657, 1694, 1696, 1735, 1716, 1710, 1773, 1774,
                             1795, 1802, 1865, 3503, 2948, 2905, 2898, 2881, 2880)
    corners: tuple[int, int] = (2827, 1710)
    brows: tuple[int, int] = (3763, 3892)                                               # outer ends
    inner_brows: tuple[int, int] = (3712, 3868)
    nose_base: int = 3507


FLAME_LIPS = LipPoints()


def lip_movement_error(pred, truth, *, points: LipPoints = FLAME_LIPS, align: str = "landmarks", anchors=None,
                       reduce: str = "mean") -> np.ndarray:
    """Distance of 24 lip points per frame, (T,), in the unit of the input (ECM, Eq. 6 with its squares put back).

        D_t = reduce_k || A_t(pred_{t,k}) - truth_{t,k} ||_2

    align    "landmarks"  A: released, every frame scaled, turned and put on the mouth corners (`aligned_on_landmarks`)
             "none"       B: as it is; VOCASET is already stable
             "rigid"      D: least squares over `anchors`, vertices that speech leaves alone (upper face)
             C is a choice of meshes, not of alignment: give every method the subject's template (`moved_to_template`).
    reduce   "mean"; "max" (the paper's "maximal distance" is the mean of it over frames and clips); "points": (T, 24)
    """
    pred, truth = validate(pred, truth)
    lips = region_indices(points.lips, truth.shape[1])
    still = [] if anchors is None else anchors
    moved = {"landmarks": lambda: aligned_on_landmarks(pred, truth, points), "none": lambda: pred,
             "rigid": lambda: procrustes(pred, truth, region_indices(still, truth.shape[1]), scaled=False)}
    distance = np.linalg.norm(_choose(moved, align, "align")()[:, lips] - truth[:, lips], axis=-1)
    return _choose({"mean": distance.mean(-1), "max": distance.max(-1), "points": distance}, reduce, "reduce")


def aligned_on_landmarks(pred, truth, points: LipPoints = FLAME_LIPS, rounds: int = 5) -> np.ndarray:
    """`pred` moved onto `truth` (T, V, 3) frame by frame as ECM's evaluation does; nothing is least squares.

    Scale by the distance of the outer brows; `rounds` times the smallest rotation that turns the mouth-corner axis to
    the true one, then the smallest that does so with the normal of inner brows and nose; last, the mid points of the
    mouth corners are put together. This takes away part of the error of jaw and mouth that it is to measure.
    """
    pred, truth = validate(pred, truth)
    ratio = _length_between(truth, points.brows) / _length_between(pred, points.brows)
    left, right = points.corners
    directions = [(direction(pred)[..., None], direction(truth)) for direction in
                  (lambda x: x[:, right] - x[:, left], lambda x: _brow_normal(x, points))]
    turn = np.broadcast_to(np.eye(3), (len(pred), 3, 3))        # directions turn with the face: points are moved once
    for _ in range(rounds):
        for source, target in directions:
            turn = smallest_rotation((turn @ source)[..., 0], target) @ turn
    moved = ratio[:, None, None] * (pred @ turn.mT)
    return moved + (truth[:, [left, right]].mean(1) - moved[:, [left, right]].mean(1))[:, None]


def smallest_rotation(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) by the smallest angle from the direction of `source` (T, 3) to that of `target` (T, 3).

        R = I + [a x b] + [a x b]^2 / (1 + a . b),   a and b of unit length

    Raises InputError for a direction of length 0, or two that are opposite: no smallest rotation exists.
    """
    lengths = [np.linalg.norm(x, axis=-1, keepdims=True) for x in (source, target)]
    if any((length == 0).any() for length in lengths):
        raise InputError("metric: a direction of length 0 cannot be turned; do two landmarks coincide?")
    a, b = source / lengths[0], target / lengths[1]
    cosine = np.einsum("ti,ti->t", a, b)
    if (cosine <= -1 + 1e-9).any():
        raise InputError("metric: opposite directions; is one face upside down or mirrored?")
    x, y, z = np.cross(a, b).T
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    return np.eye(3) + skew + skew @ skew / (1 + cosine)[:, None, None]


def moved_to_template(vertices, template) -> np.ndarray:
    """Vertices (T, V, 3) shifted so that frame 0 is the template (V, 3): what ECM's evaluation does to its own meshes.

    Whatever expression frame 0 has is thereby subtracted from all frames.
    """
    vertices, template = as_array(vertices), as_array(template)
    if vertices.ndim != 3 or template.shape != vertices.shape[1:]:
        raise InputError(f"metric: template {template.shape} does not fit vertices {vertices.shape}")
    return vertices + (template - vertices[0])


def _length_between(x: np.ndarray, ends: tuple[int, int]) -> np.ndarray:
    region_indices(ends, x.shape[1])
    return np.linalg.norm(x[:, ends[0]] - x[:, ends[1]], axis=-1)


def _brow_normal(x: np.ndarray, points: LipPoints) -> np.ndarray:
    first, second = (x[:, brow] - x[:, points.nose_base] for brow in points.inner_brows)
    return np.cross(first, second)


# Landmarks ------------------------------------------------------------------------------------------------------------

def landmark_distance(pred, truth, *, points=None, align: str = "none", normalise="none",
                      reduce: str = "mean") -> np.ndarray:
    """Landmark distance (LMD) per frame, (T,), between (T, 68, 2 or 3) tracks.

        LMD_t = reduce_{p in points} || A_t(pred_{t,p}) - truth_{t,p} || / n

    points      indices (None = all 68; MOUTH = the 20 lip points).
    align       A_t: "none"; "centred" (both on their own mean of `points`); "rigid" or "similarity" (pred onto truth,
                least squares over `points`); "stable" (rigid over the nine points that speech leaves alone).
    normalise   n: "none" (unit of the input); "eyes" (outer eye distance of the true frame); "face" (true jaw width);
                "lips" (largest true lip width of the clip); or a number, for example that width over a test set.
    reduce      "mean" or "sum" over points: Chen's variant sums 20 points and is 20 times larger.
    """
    pred, truth = validate(pred, truth)
    points = np.arange(truth.shape[1]) if points is None else region_indices(points, truth.shape[1])
    width = _width(truth, normalise)
    pred, truth = aligned(pred, truth, points, align)
    distance = np.linalg.norm(pred[:, points] - truth[:, points], axis=-1)
    return _choose({"mean": distance.mean(-1), "sum": distance.sum(-1)}, reduce, "reduce") / width


LMD_VARIANTS: Mapping[str, dict] = {
    "chen": dict(points=MOUTH, align="centred", reduce="sum"),              # A: ATVGnet's evaluation script
    "mouth": dict(points=MOUTH, align="centred"),                           # B: M-LMD
    "face": dict(align="centred"),                                          # C: F-LMD, our primary on 256-px crops
    "raw": dict(),                                                          # D: the naive reading of CFD
    "raw_mouth": dict(points=MOUTH),                                        # D on 20 points
    "makeittalk": dict(points=MOUTH, align="stable", normalise="lips"),     # E: D-LL, share of the largest lip width
    "eyes": dict(normalise="eyes"),                                         # F: NME-like
    "similarity": dict(align="similarity", normalise="eyes"),               # F with Procrustes
    "face_width": dict(align="stable", normalise="face"),                   # MakeItTalk's D-L
}


def landmark_velocity_distance(pred, truth, **variant) -> np.ndarray:
    """Landmark distance of first differences, (T - 1,), per frame; `variant` as in landmark_distance, unaligned."""
    pred, truth = validate(pred, truth)
    return landmark_distance(np.diff(pred, axis=0), np.diff(truth, axis=0), **variant)


def shifted_landmark_distance(pred, truth, *, max_shift: int = 3, **variant) -> tuple[float, int]:
    """Smallest clip mean of the landmark distance over shifts of +-max_shift frames, and the shift where it lies.

    A positive shift means that the prediction is late. Shows how much of an LMD is lag alone.
    """
    pred, truth = validate(pred, truth)
    def mean_at(s: int) -> float:
        late, early = max(s, 0), max(-s, 0)
        return landmark_distance(pred[late:len(pred) - early], truth[early:len(truth) - late], **variant).mean()
    shifts = [s for s in range(-max_shift, max_shift + 1) if abs(s) < len(truth)]
    means = [mean_at(s) for s in shifts]
    best = int(np.argmin(means))
    return float(means[best]), shifts[best]


def lip_opening(landmarks, *, normalise="none") -> np.ndarray:
    """Distance of the inner lip mid points 62 and 66 per frame, (T,); `normalise` as in landmark_distance."""
    return _span(as_array(landmarks), OPENING) / _width(as_array(landmarks), normalise)


def lip_width(landmarks, *, normalise="none") -> np.ndarray:
    """Distance of the inner mouth corners 60 and 64 per frame, (T,); `normalise` as in landmark_distance."""
    return _span(as_array(landmarks), WIDTH) / _width(as_array(landmarks), normalise)


def lip_opening_error(pred, truth, *, normalise="none") -> np.ndarray:
    """Absolute difference of lip opening per frame, (T,); needs no alignment, as a distance has no pose."""
    pred, truth = validate(pred, truth)
    return np.abs(lip_opening(pred, normalise=normalise) - lip_opening(truth, normalise=normalise))


def lip_width_error(pred, truth, *, normalise="none") -> np.ndarray:
    """Absolute difference of lip width per frame, (T,)."""
    pred, truth = validate(pred, truth)
    return np.abs(lip_width(pred, normalise=normalise) - lip_width(truth, normalise=normalise))


def aligned(pred: np.ndarray, truth: np.ndarray, points: np.ndarray, align: str) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, frame by frame, after the alignment `align` of landmark_distance."""
    if align == "none":
        return pred, truth
    if align == "centred":
        return tuple(x - x[:, points].mean(1, keepdims=True) for x in (pred, truth))
    kinds = {"rigid": (points, False), "similarity": (points, True), "stable": (STABLE, False)}
    anchors, scaled = _choose(kinds, align, "align")
    return procrustes(pred, truth, anchors, scaled=scaled), truth


def procrustes(pred: np.ndarray, truth: np.ndarray, anchors: np.ndarray, *, scaled: bool) -> np.ndarray:
    """`pred` (T, P, D) moved onto `truth` frame by frame, least squares over `anchors` (Kabsch; Umeyama if scaled).

        R, t, s = argmin sum_{p in anchors} || s R (pred_p - mean) + t - truth_p ||^2, det R = 1
    """
    centre_p, centre_t = pred[:, anchors].mean(1, keepdims=True), truth[:, anchors].mean(1, keepdims=True)
    a, b = pred[:, anchors] - centre_p, truth[:, anchors] - centre_t                     # (T, A, D)
    u, sigma, vt = np.linalg.svd(b.mT @ a)                                             # (T, D, D)
    sign = np.ones_like(sigma)
    sign[:, -1] = np.sign(np.linalg.det(u @ vt))                                         # no reflection
    rotation = (u * sign[:, None]) @ vt
    variance = np.square(a).sum((1, 2))
    scale = (sigma * sign).sum(-1) / np.where(variance > 0, variance, 1) if scaled else np.ones(len(pred))
    return scale[:, None, None] * ((pred - centre_p) @ rotation.mT) + centre_t


# Dynamics -------------------------------------------------------------------------------------------------------------

def amplitude_ratio(pred, truth) -> float:
    """Temporal standard deviation of the prediction over that of the truth, root mean square over curves; 1 is ideal.

    NaN where the truth does not move. Any (T, ...) curves: vertices of a region, landmarks, rig.
    """
    return _ratio(_rms(_flat(pred) - _flat(pred).mean(0)), _rms(_flat(truth) - _flat(truth).mean(0)))


def energy_ratio(pred, truth) -> float:
    """Mean absolute first difference of the prediction over the truth's (VNet's e2): < 1 static, > 1 jittery."""
    return _ratio(np.abs(np.diff(_flat(pred), axis=0)).mean(), np.abs(np.diff(_flat(truth), axis=0)).mean())


def jerk(curves, fps: float = 1.0) -> float:
    """Mean absolute third difference, mean_t |x_{t+3} - 3 x_{t+2} + 3 x_{t+1} - x_t| fps^3: unit / s^3."""
    curves = _flat(curves)
    if len(curves) < 4:
        raise InputError(f"metric: jerk needs at least 4 frames, got {len(curves)}")
    return float(np.abs(np.diff(curves, n=3, axis=0)).mean() * fps**3)


def jerk_ratio(pred, truth) -> float:
    """Jerk of the prediction over that of the truth; above 1 = trembles more than the truth."""
    pred, truth = validate(_flat(pred), _flat(truth), axes=2)
    return _ratio(jerk(pred), jerk(truth))


def cancellation_ratio(offsets, *, per_coordinate: bool = False) -> float:
    """VNet's "jitter ratio" of offsets from rest, |mean| / mean| |: 1 for a constant, 0 for zero-mean motion.

    Released code averages over time and coordinates before the absolute value (signs of x and y cancel);
    `per_coordinate` averages over time only. Neither measures jitter: any oscillation lowers it. See `jerk`. NaN where
    nothing ever leaves rest.
    """
    offsets = _flat(offsets)
    if per_coordinate:
        moving = np.abs(offsets).mean(0) > 0
        if not moving.any():
            return float("nan")
        return float((np.abs(offsets.mean(0))[moving] / np.abs(offsets).mean(0)[moving]).mean())
    return _ratio(abs(offsets.mean()), np.abs(offsets).mean())


# Scale and summary ----------------------------------------------------------------------------------------------------

def skill(error, static_error, floor=0.0):
    """1 - (error - floor) / (static_error - floor): 0 = static template, 1 = as good as can be measured (protocol 2).

    NaN where the static template is no worse than the floor: there is nothing to learn.
    """
    error, static_error, floor = np.asarray(error, float), np.asarray(static_error, float), np.asarray(floor, float)
    room = static_error - floor
    return np.where(room > 0, 1 - (error - floor) / np.where(room > 0, room, 1), np.nan)[()]


def root_mm(squared_error: float, mm_per_unit: float) -> float:
    """Millimetres of a squared error in mesh units (BIWI: 173.6 mm per unit for F1, 185.6 on average)."""
    return float(np.sqrt(squared_error) * mm_per_unit)


def evaluate(pred, truth, template, regions: Mapping[str, np.ndarray], mm_per_unit: float,
             landmarks=None) -> dict[str, float]:
    """All vertex metrics of one clip: vertices (T, V, 3) and template (V, 3) in millimetres, head pose removed.

    Keys without "_mm" are in the convention of the BIWI tables: mesh units (mm / mm_per_unit), squared. Keys with "_mm"
    are un-squared millimetres, means over frames. `regions` needs "lips" and "upper_face". `landmarks` (68,) vertex
    indices add LMD and lip shape. fdd_static is the FDD of the template that never moves, upper_mm the mean distance of
    the upper face.
    """
    pred, truth = check(np.asarray(pred), np.asarray(truth))
    template = np.asarray(template)
    if mm_per_unit <= 0:
        raise InputError(f"metric: mm_per_unit must be positive, got {mm_per_unit}")
    lips, upper = (_region(regions, name) for name in ("lips", "upper_face"))
    # Passes over (T, V, 3) are what measuring costs: differences are taken once, in the type of the input, distances
    # kept in float64. In float32 a difference of coordinates is exact to 1e-5 mm.
    error = _squared_length(pred - truth).astype(np.float64)
    lip_error, distance = error[:, lips].max(-1), np.sqrt(error)
    spreads = [_spreads(x, template, upper) for x in (pred, truth)]
    squared = {"vertex_error": error.mean(), "vertex_error_coordinate": error.mean() / 3, "lve": lip_error.mean(),
               **_dynamics_forms(*(spread[0] for spread in spreads))}
    millimetres = {"vertex_error": distance.mean(), "lve": np.sqrt(lip_error).mean(),
                   "lve_centred": centred_lip_vertex_error(pred, truth, lips).mean(),
                   **_dynamics_forms(*(spread[1] for spread in spreads)), "upper": distance[:, upper].mean()}
    scores = {name: value / mm_per_unit**2 for name, value in squared.items()}
    scores |= {f"{name}_mm": value for name, value in millimetres.items()}
    for name, region in (("lip", lips), ("upper", upper)):
        moved = [np.ascontiguousarray(x[:, region]).reshape(len(x), -1) for x in (pred, truth)]     # copied once
        scores[f"{name}_amplitude_ratio"] = amplitude_ratio(*moved)
        scores[f"{name}_energy_ratio"] = energy_ratio(*moved) if len(truth) > 1 else np.nan
        scores[f"{name}_jerk_ratio"] = jerk_ratio(*moved) if len(truth) > 3 else np.nan
    if landmarks is not None:
        points = region_indices(landmarks, truth.shape[1])
        scores |= evaluate_landmarks(pred[:, points], truth[:, points])
    return {name: float(value) for name, value in scores.items()}


def evaluate_landmarks(pred, truth) -> dict[str, float]:
    """Clip means of every LMD variant and of the lip shape errors; tracks (T, 68, 2 or 3) in mm (or px: then px)."""
    pred, truth = validate(pred, truth)
    unit = {name: "" if variant.get("normalise", "none") != "none" else "_mm" for name, variant in LMD_VARIANTS.items()}
    scores = {f"lmd_{name}{unit[name]}": landmark_distance(pred, truth, **variant).mean()
              for name, variant in LMD_VARIANTS.items()}
    scores["lip_opening_error_mm"] = lip_opening_error(pred, truth).mean()
    scores["lip_width_error_mm"] = lip_width_error(pred, truth).mean()
    return {name: float(value) for name, value in scores.items()}


def _spreads(vertices, template, region) -> tuple[np.ndarray, np.ndarray]:
    """`motion_spread` of a region, (R,) each: of squared lengths and of lengths."""
    motion = _squared_length(vertices[:, region] - template[region]).astype(np.float64)
    return motion.std(0), np.sqrt(motion).std(0)


def _dynamics_forms(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    gap = true - predicted
    return {"fdd": gap.mean(), "fdd_abs": abs(gap.mean()), "fdd_vertex": np.abs(gap).mean(), "fdd_static": true.mean()}


def _region(regions: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in regions:
        raise InputError(f"metric: topology has no region {name!r}, only {', '.join(sorted(regions))}")
    return regions[name]


def _choose(options: Mapping, name: str, what: str):
    if name not in options:
        raise InputError(f"metric: {what}={name!r} is unknown, choose from {', '.join(options)}")
    return options[name]


def _centred(points: np.ndarray) -> np.ndarray:
    return points - points.mean(1, keepdims=True)


def _span(landmarks: np.ndarray, ends: tuple[int, int]) -> np.ndarray:
    if landmarks.ndim != 3 or landmarks.shape[1] != 68:
        raise InputError(f"metric: expected 68 landmarks, (T, 68, 2 or 3), got shape {landmarks.shape}")
    return np.linalg.norm(landmarks[:, ends[0]] - landmarks[:, ends[1]], axis=-1)


def _width(truth: np.ndarray, normalise) -> np.ndarray | float:
    if not isinstance(normalise, str):
        return float(normalise)
    widths = {"none": lambda: 1.0, "eyes": lambda: _span(truth, EYES), "face": lambda: _span(truth, JAW),
              "lips": lambda: _span(truth, LIP_CORNERS).max()}
    width = _choose(widths, normalise, "normalise")()
    if np.any(np.asarray(width) <= 0):
        raise InputError(f"metric: normalise={normalise!r} has width 0; are these 68 landmarks in iBUG order?")
    return width


def _flat(curves) -> np.ndarray:
    curves = as_array(curves)
    return curves.reshape(len(curves), -1)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else float("nan")
