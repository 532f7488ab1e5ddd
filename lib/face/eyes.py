"""Eyes beside speech, as EmoFace adds them to any rig: smoothing, blinks and gaze, and where their numbers come from.

Source: EmoFace (IEEE VR 2024, paper 003), Sec. 3.1.3 to 3.3, and its released program. The two differ in ways that can
be seen, so both exist as profiles (discrepancies 3d:F9, 3d:F10):

                    PAPER                     CODE (released program)
blink rate          log-normal                log-normal, clipped to 15..100 per minute
wait of N frames    N frames                  N + 1 frames
gaze wait           15 to 45 frames           25 to 45 frames
after a saccade     the eyes stay there       the eyes jump back to the centre (the last point is never stored)

Frames of the source are at 60 fps; other rates keep the times. Landmarks are 68 iBUG points.

    finish       the whole chain in the order of the paper: smooth, blink, gaze
    BlinkDetector, blinks, intervals, published_law, law_of_intervals, law_of_clips     from video to the law of blinks
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lib.errors import InputError
from lib.face import metahuman
from lib.face.rig import ARKIT, from_metahuman, index
from lib.puppet.nuisance import BLINKS_PER_MINUTE, CENTRE_PROBABILITY

FPS = 60.0
SMOOTHING_FRAMES, SMOOTHING_ORDER = 15, 3                                   # Sec. 3.1.3
OPENNESS = np.array([0.95, 0.75, 0.55, 0.3, 0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.6, 0.75, 0.9])    # of one blink, 60 fps
WINDOW = 7                                                                  # frames of a detector at 30 fps, Sec. 3.2
EAR_THRESHOLD, SHORTEST_BLINK = 0.21, 3                                     # baseline; frames of a blink; released code
HIGHEST_RATE = 100.0                                                        # rates above are dropped, Sec. 3.2
SMALLEST_FIT = 20                                                           # intervals below which no law is fitted


@dataclass(frozen=True)
class BlinkLaw:
    """ln of the blinks per minute is normal (mu, sigma); `clip` bounds the rate, `extra` frames lengthen every wait."""

    mu: float = BLINKS_PER_MINUTE[0]
    sigma: float = BLINKS_PER_MINUTE[1]
    clip: tuple[float, float] = (0.0, np.inf)
    extra: int = 0

    @property
    def mean_rate(self) -> float:
        """Mean of the drawn rates, exp(mu + sigma^2 / 2), per minute: every interval counts alike."""
        return float(np.exp(self.mu + self.sigma**2 / 2))

    @property
    def per_minute(self) -> float:
        """Blinks one counts in a minute, 60 s / mean interval = exp(mu - sigma^2 / 2): every second counts alike."""
        return float(np.exp(self.mu - self.sigma**2 / 2))


@dataclass(frozen=True)
class GazeLaw:
    """Waits in frames (both ends included), radius of targets, share of returns, frames of a saccade."""

    wait: tuple[int, int] = (15, 45)
    radius: tuple[float, float] = (0.1, 0.2)
    centre_probability: float = CENTRE_PROBABILITY
    saccade: int = 5
    snaps_back: bool = False
    extra: int = 0


@dataclass(frozen=True)
class Profile:
    blink: BlinkLaw = field(default_factory=BlinkLaw)
    gaze: GazeLaw = field(default_factory=GazeLaw)


PAPER = Profile()
CODE = Profile(BlinkLaw(clip=(15.0, 100.0), extra=1), GazeLaw(wait=(25, 45), snaps_back=True, extra=1))


# Post-processing ------------------------------------------------------------------------------------------------------


def finish(curves: np.ndarray, rng: np.random.Generator, profile: Profile = PAPER, fps: float = FPS) -> np.ndarray:
    """Curves smoothed, then with blinks, then with gaze: (T, 174) MetaHuman columns or (T, 52) rig controls.

    Raises InputError for other widths, for NaN, and for a frame rate that is not positive.
    """
    curves = _checked(curves, fps)
    columns = {len(metahuman.METAHUMAN): metahuman.BLINK, len(ARKIT): (index("eyeBlinkLeft"), index("eyeBlinkRight"))}
    if curves.shape[1] not in columns:
        raise InputError(f"curves {curves.shape}: expected {sorted(columns)} controls per frame")
    frames = len(curves)
    onsets = blink_onsets(rates(rng, profile.blink), frames, profile.blink, fps)
    path = gaze_path(gaze_moves(rng, profile.gaze), frames, profile.gaze, fps)
    blinked = add_blinks(smooth(curves, fps), onsets, columns[curves.shape[1]], fps)
    return add_gaze(blinked, path, metahuman.GAZE) if curves.shape[1] != len(ARKIT) else turn_eyes(blinked, path)


def smooth(curves: np.ndarray, fps: float = FPS) -> np.ndarray:
    """Savitzky-Golay filter of order 3 along time, edges repeated, (T, C); 15 frames at 60 fps (Sec. 3.1.3)."""
    from scipy.signal import savgol_filter
    half = round((SMOOTHING_FRAMES // 2) * fps / FPS)
    window = max(2 * half + 1, SMOOTHING_ORDER + 2)
    return savgol_filter(_checked(curves, fps), window, SMOOTHING_ORDER, axis=0, mode="nearest")


def rates(rng: np.random.Generator, law: BlinkLaw) -> Iterator[float]:
    """Blinks per minute, one draw per wait, without end."""
    while True:
        yield rng.lognormal(law.mu, law.sigma)


def blink_onsets(draws: Iterator[float], frames: int, law: BlinkLaw, fps: float = FPS) -> list[int]:
    """First frames of blinks: a wait of int(60 fps / rate) frames from the start, and from the end of each blink."""
    onsets, now, event = [], 0, len(_openness(fps))
    for rate in draws:
        start = now + int(60 * fps / np.clip(rate, *law.clip)) + law.extra
        if start >= frames:
            break
        onsets.append(start)
        now = start + event
    return onsets


def add_blinks(curves: np.ndarray, onsets: Sequence[int], lids: Sequence[int], fps: float = FPS) -> np.ndarray:
    """Curves with the columns `lids` closed at each onset: v' = 1 - (1 - v) k, k the openness during a blink."""
    curves, openness = _checked(curves, fps).copy(), _openness(fps)
    for onset in onsets:
        part = curves[onset : onset + len(openness), lids]
        curves[onset : onset + len(part), lids] = 1 - (1 - part) * openness[: len(part), None].astype(curves.dtype)
    return curves


def _openness(fps: float) -> np.ndarray:
    """Factors of one blink at another frame rate, linear between those at 60 fps."""
    steps = np.arange(max(1, round(len(OPENNESS) * fps / FPS))) * FPS / fps
    return np.interp(steps, np.arange(len(OPENNESS)), OPENNESS, right=1.0)


def gaze_moves(rng: np.random.Generator, law: GazeLaw) -> Iterator[tuple[int, tuple[float, float]]]:
    """Waits in frames at 60 fps and the targets (x, y) that follow them, without end."""
    while True:
        wait = int(rng.integers(*law.wait, endpoint=True))
        yield wait, gaze_target(rng.random(), lambda: (rng.uniform(*law.radius), rng.uniform(0, 2 * np.pi)), law)


def gaze_target(chance: float, polar: Callable[[], tuple[float, float]], law: GazeLaw) -> tuple[float, float]:
    """The centre with the law's probability, else a point at the radius and angle that `polar` draws (Sec. 3.3)."""
    if chance < law.centre_probability:
        return 0.0, 0.0
    radius, angle = polar()
    return radius * np.cos(angle), radius * np.sin(angle)


def gaze_path(
    moves: Iterator[tuple[int, tuple[float, float]]], frames: int, law: GazeLaw, fps: float = FPS
) -> np.ndarray:
    """Gaze (T, 2), x to the viewer's right and y up: waits joined by straight saccades, from the centre."""
    path, point, now, steps = np.zeros((frames, 2), np.float32), np.zeros(2), 0, max(1, round(law.saccade * fps / FPS))
    share = np.arange(1, steps + 1)[:, None] / steps
    for wait, target in moves:
        start = now + round(wait * fps / FPS) + law.extra
        path[now:start] = point
        if start >= frames:
            break
        path[start : start + steps] = (point + share * (np.array(target) - point))[: frames - start]
        point, now = (point if law.snaps_back else np.array(target)), start + steps
    return path


def add_gaze(curves: np.ndarray, path: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Curves whose two gaze columns are those of the path; what they held is lost, as in the released program."""
    curves = np.array(curves)
    curves[:, columns] = path
    return curves


def turn_eyes(rig: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Rig curves (T, 52) whose eight look controls follow the path (T, 2)."""
    columns = np.zeros((len(path), len(metahuman.METAHUMAN)), np.float32)
    looks = [i for i, name in enumerate(ARKIT) if name.startswith("eyeLook")]
    return add_gaze(rig, from_metahuman(add_gaze(columns, path, metahuman.GAZE))[:, looks], looks)


def _checked(curves: np.ndarray, fps: float) -> np.ndarray:
    curves = np.asarray(curves)
    if curves.ndim != 2 or not len(curves) or not np.issubdtype(curves.dtype, np.floating):
        raise InputError(f"curves {curves.shape} of {curves.dtype}: expected numbers (frames, controls)")
    if not np.isfinite(curves).all():
        raise InputError("curves hold NaN or infinite values; fill the gaps before use")
    if not 1 <= fps <= 1000:
        raise InputError(f"fps {fps}; expected 1 to 1000")
    return curves


# Detection ------------------------------------------------------------------------------------------------------------


def eye_aspect_ratio(landmarks: np.ndarray) -> np.ndarray:
    """Height over width of the eyes, mean of both, (T,), from 68 landmarks (T, 68, 2 or 3); NaN where an eye is lost.

        EAR = (|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|)                                                    (Eq. 3)
    """
    landmarks = np.asarray(landmarks, float)
    if landmarks.ndim != 3 or landmarks.shape[1] != 68:
        raise InputError(f"landmarks {landmarks.shape}: expected (frames, 68, 2 or 3)")
    eyes = landmarks[:, 36:48].reshape(len(landmarks), 2, 6, -1)

    def distance(i: int, j: int) -> np.ndarray:
        return np.linalg.norm(eyes[:, :, i] - eyes[:, :, j], axis=-1)

    width = distance(0, 3)
    ratio = (distance(1, 5) + distance(2, 4)) / np.where(width > 0, 2 * width, np.nan)
    return ratio.mean(1)


@dataclass(frozen=True)
class BlinkDetector:
    """A linear rule on seven eye aspect ratios: shut where weights . window + offset > 0 (Sec. 3.2)."""

    weights: np.ndarray
    offset: float

    def score(self, windows: np.ndarray) -> np.ndarray:
        """Signed score of windows (N, 7)."""
        return np.asarray(windows) @ self.weights + self.offset

    def closed(self, ratios: np.ndarray) -> np.ndarray:
        """Whether each frame of a course (T,) at 30 fps is shut; the first and last three have no window: open."""
        ratios = np.asarray(ratios, float)
        shut = np.zeros(len(ratios), bool)
        if len(ratios) >= WINDOW:
            windows = np.lib.stride_tricks.sliding_window_view(ratios, WINDOW)
            shut[WINDOW // 2 : len(ratios) - WINDOW // 2] = self.score(windows) > 0          # NaN is never above 0
        return shut


def train_detector(opened: np.ndarray, shut: np.ndarray, penalty: float = 0.8) -> BlinkDetector:
    """Support vector machine with a linear kernel and C = 0.8 on windows (N, 7) of open and shut eyes."""
    from sklearn.svm import SVC
    for name, windows in (("open", opened), ("shut", shut)):
        if np.shape(windows)[1:] != (WINDOW,) or not len(windows) or not np.isfinite(windows).all():
            raise InputError(f"{name} windows {np.shape(windows)}: expected finite (N, {WINDOW}) eye aspect ratios")
    labels = np.repeat([0, 1], [len(opened), len(shut)])
    machine = SVC(kernel="linear", C=penalty).fit(np.concatenate([opened, shut]), labels)
    return BlinkDetector(machine.coef_[0], float(machine.intercept_[0]))


def below_threshold(ratios: np.ndarray, threshold: float = EAR_THRESHOLD) -> np.ndarray:
    """The baseline: shut where the ratio (T,) lies below a threshold."""
    return np.asarray(ratios) < threshold


def blinks(closed: np.ndarray, shortest: int = SHORTEST_BLINK) -> list[tuple[int, int]]:
    """Blinks as (first frame, frame after the last): runs of at least `shortest` shut frames."""
    edges = np.flatnonzero(np.diff(np.r_[False, np.asarray(closed, bool), False]))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= shortest]


def intervals(found: Sequence[tuple[int, int]]) -> np.ndarray:
    """Frames from the end of each blink to the onset of the next; the first counts from the start of the video.

    So the released program counts: the first is cut at its start, and the one after the last blink is lost.
    """
    ends = [0, *(stop for _, stop in found)]
    return np.array([start - end for (start, _), end in zip(found, ends, strict=False)], int)


# The law of blinks ----------------------------------------------------------------------------------------------------


def published_law(frames: np.ndarray, fps: float = 30.0, highest: float = HIGHEST_RATE) -> BlinkLaw:
    """Mean and standard deviation of ln(60 fps / interval), rates above `highest` dropped: the published recipe."""
    per_minute = 60 * fps / _interval_array(frames)
    kept = np.log(per_minute[per_minute <= highest])
    if len(kept) < SMALLEST_FIT:
        raise InputError(f"{len(kept)} intervals at up to {highest:g} per minute; at least {SMALLEST_FIT} are needed")
    return BlinkLaw(float(kept.mean()), float(kept.std()))


def law_of_intervals(complete: np.ndarray, unfinished: np.ndarray = (), fps: float = 30.0) -> BlinkLaw:
    """Maximum likelihood from whole intervals and from such as a video cut off, in frames (right-censored)."""
    from scipy.stats import CensoredData, lognorm
    complete = _interval_array(complete)
    if len(complete) < SMALLEST_FIT:
        raise InputError(f"{len(complete)} whole intervals; at least {SMALLEST_FIT} are needed")
    data = CensoredData(uncensored=complete, right=np.asarray(unfinished, float))
    sigma, _, scale = lognorm.fit(data, floc=0)
    return BlinkLaw(float(np.log(60 * fps / scale)), float(sigma))


def law_of_clips(
    frames: np.ndarray, clip_frames: np.ndarray, fps: float = 30.0, highest: float = HIGHEST_RATE
) -> BlinkLaw:
    """Maximum likelihood from pooled intervals of short videos, of which only the lengths are known (3d:F11).

    A video of L frames that starts at any moment of a stationary renewal process with interval density f records one
    interval per blink (see `intervals`), of length x with density

        g(x) = ( 1 - F(x) + (L - x) f(x) ) / L     for x <= L

    (from the video's start; between two blinks, both inside). Rates above `highest` are left out, that is x < a, so g
    is divided by its share beyond a, which is (L - a)(1 - F(a)) / L. Several lengths enter by their mean of numerator
    and denominator. Assumes that blinks of one video are independent and ignores the frames a blink itself lasts.
    """
    from scipy.optimize import minimize
    frames, lengths, least = _interval_array(frames), np.asarray(clip_frames, float), 60 * fps / highest
    kept = frames[frames >= least]
    if len(kept) < SMALLEST_FIT or lengths.size == 0 or lengths.max() < kept.max():
        raise InputError(f"{len(kept)} intervals up to {frames.max():g} frames in clips of up to "
                         f"{lengths.max(initial=0):g}: at least {SMALLEST_FIT} are needed, none longer than every clip")
    start = published_law(kept, fps, np.inf)
    found = minimize(_negative_log_likelihood, [np.log(60 * fps) - start.mu, np.log(start.sigma)],
                     args=(kept, lengths, least), method="Nelder-Mead")
    return BlinkLaw(float(np.log(60 * fps) - found.x[0]), float(np.exp(found.x[1])))


def _negative_log_likelihood(at: np.ndarray, x: np.ndarray, lengths: np.ndarray, least: float) -> float:
    from scipy.stats import norm
    mean, sigma = at[0], np.exp(at[1])
    z = (np.log(x) - mean) / sigma
    room = np.clip(lengths[:, None] - x, 0, None)
    inside = np.where(lengths[:, None] >= x, norm.sf(z) + room * norm.pdf(z) / (sigma * x), 0).mean(0)
    beyond = np.clip(lengths - least, 0, None).mean() * norm.sf((np.log(least) - mean) / sigma)
    return float(len(x) * np.log(beyond + 1e-300) - np.log(inside + 1e-300).sum())


def _interval_array(frames: np.ndarray) -> np.ndarray:
    frames = np.asarray(frames, float)
    if frames.ndim != 1 or not len(frames) or not (np.isfinite(frames) & (frames > 0)).all():
        raise InputError(f"blink intervals {frames.shape}: expected positive numbers of frames")
    return frames
