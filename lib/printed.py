"""Arithmetic on numbers that papers print: what votes, ratings, ratios and layer settings can and cannot mean.

Nothing here is measured; every function takes printed numbers and returns what follows from them, so that a notebook
can show the step. Protocol section 7 and specs/discrepancies.md V1, V5, V9, V17 hold the hand computations tested here.
"""

from collections.abc import Sequence
from math import floor, sqrt

from lib.claims import Check, Claim, Decision, Evidence, decide_approx, decide_difference
from lib.errors import InputError
from lib.stats import Interval

VOTES = (690, 230, 23)          # 30 pairs x 23 viewers if independent; 10 effective per viewer; one per viewer


# Shares of votes ------------------------------------------------------------------------------------------------------

def share_z(percent: float, votes: int, parity: float = 50.0) -> float:
    """Distance of a share from parity in binomial standard errors at parity."""
    share, even = percent / 100, parity / 100
    return (share - even) / sqrt(even * (1 - even) / votes)


def share_interval(percent: float, votes: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson interval of a share of independent votes, in percent."""
    from scipy.stats import norm
    z, share = float(norm.ppf((1 + level) / 2)), percent / 100
    centre = (share + z**2 / (2 * votes)) / (1 + z**2 / votes)
    half = z / (1 + z**2 / votes) * sqrt(share * (1 - share) / votes + z**2 / (4 * votes**2))
    return 100 * (centre - half), 100 * (centre + half)


def share_advantage(percent: float, votes: int, parity: float = 50.0, sign: int = 1) -> Interval:
    """The share minus parity as an Interval in 0..1 (sign -1 turns it round), ready for the decision rules."""
    from scipy.stats import norm
    ends = {level: [sign * (x - parity) / 100 for x in share_interval(percent, votes, level)] for level in (0.95, 0.90)}
    (low, high), (low90, high90) = sorted(ends[0.95]), sorted(ends[0.90])
    p = float(2 * norm.sf(abs(share_z(percent, votes, parity))))
    return Interval(sign * (percent - parity) / 100, low, high, low90, high90, p, votes, True, "binomial (Wilson)")


def reanalyse_share(percent: float, direction: str, votes: Sequence[int] = VOTES, parity: float = 50.0,
                    delta: float = 0.05) -> dict[int, Decision]:
    """Verdict of a printed share for each number of effective votes; direction a>b, a<b or approx."""
    if direction == "approx":
        return {n: decide_approx(share_advantage(percent, n, parity), delta) for n in votes}
    found = {n: share_advantage(percent, n, parity, 1 if direction == "a>b" else -1) for n in votes}
    return {n: decide_difference(e, e.p, delta) for n, e in found.items()}


def share_evidence(claim: Claim, votes: int = VOTES[0]) -> list[Evidence]:
    """Evidence of role "printed" for every share a user-study claim prints, read as `votes` independent votes."""
    parity, shares = claim.entry["paper_values"].get("parity"), claim.entry["paper_values"].get("a")
    if parity is None or not isinstance(shares, dict):
        raise InputError(f"claims: {claim.id} prints no shares with a parity")
    signs = {name: -1 if claim.direction[name] == "a<b" else 1 for name in claim.columns}
    return [Evidence(name, role="printed", interval=share_advantage(shares[name], votes, parity, signs[name]),
                     note=f"printed share read as {votes} independent votes") for name in claim.columns]


def counts_for_share(percent: float, votes: int, decimals: int = 2, *, truncated: bool = False) -> list[int]:
    """Vote counts k with 100 k / votes printed as `percent` (rounded, or cut off after `decimals`); [] = impossible."""
    near = round(percent * votes / 100)
    return [k for k in (near - 1, near, near + 1)
            if 0 <= k <= votes and _prints(100 * k / votes, percent, decimals, truncated)]


def attainable_votes(percents: Sequence[float], most: int, decimals: int = 2, *, truncated: bool = False) -> list[int]:
    """Numbers of votes up to `most` of which every printed share is a share."""
    return [n for n in range(1, most + 1)
            if all(counts_for_share(p, n, decimals, truncated=truncated) for p in percents)]


def _prints(value: float, printed: float, decimals: int, truncated: bool) -> bool:
    unit = 10**decimals
    shown = floor(value * unit + 1e-9) if truncated else floor(value * unit + 0.5 + 1e-9)
    return shown == round(printed * unit)


# Ratings --------------------------------------------------------------------------------------------------------------

def rating_sd(half_width: float, ratings: int, z: float = 1.96) -> float:
    """Standard deviation that a 95 % interval of +-half_width implies for independent ratings."""
    return half_width * sqrt(ratings) / z


def largest_rating_sd(low: float = 1.0, high: float = 5.0, mean: float | None = None) -> float:
    """Largest standard deviation on a rating scale: sqrt((mean - low)(high - mean)), 2 on a 1-5 scale at its middle."""
    mean = (low + high) / 2 if mean is None else mean
    return sqrt((mean - low) * (high - mean))


def mos_evidence(claim: Claim, levels: Sequence[str] = ("a", "b", "c"), span: float = 4.0) -> Evidence:
    """Rising ratings from printed means and intervals: last minus first and all steps, as shares of the scale's range.

    The half widths are taken as printed; steps combine as roots of summed squares (unpaired, the cautious reading).
    """
    from scipy.stats import norm
    values, (column,) = claim.entry["paper_values"], claim.columns
    means = [values[level][column] / span for level in levels]
    errors = [values["ci95"][level] / span / 1.96 for level in levels]
    gap, error = means[-1] - means[0], sqrt(errors[-1] ** 2 + errors[0] ** 2)
    found = Interval(gap, gap - 1.96 * error, gap + 1.96 * error, gap - 1.645 * error, gap + 1.645 * error,
                     float(2 * norm.sf(abs(gap) / error)), 25, True, "normal, printed half widths of 25 viewers")
    steps = tuple(later - earlier for earlier, later in zip(means, means[1:], strict=False))
    return Evidence(column, role="printed", kind="monotone", interval=found, steps=steps, rate=1.0,
                    note="printed means and 95 % half widths; curves of single viewers are not printed")


def achieved_share(low: float, middle: float, high: float) -> float:
    """How far `middle` lies on the way from low to high: 0.41 for the printed ratings at alpha 0.3."""
    return (middle - low) / (high - low)


# Recognition rates ----------------------------------------------------------------------------------------------------

def recognition_evidence(claim: Claim, chance: float) -> list[Evidence]:
    """Evidence of role "printed" for rates whose counts are printed (ecm-14): each against `chance`, clips as votes.

    Clips of one actor are not independent votes: the intervals are the kindest reading.
    """
    values = claim.entry["paper_values"]
    counts = {**values["counts"], "accuracy": (values["computed"]["correct"], values["computed"]["total"])}
    return [Evidence(name, role="printed", interval=share_advantage(100 * counts[name][0] / counts[name][1],
                                                                    counts[name][1], 100 * chance),
                     note=f"printed {counts[name][0]} of {counts[name][1]} clips against chance")
            for name in claim.columns]


def confusion_checks(claims: Sequence[Claim]) -> tuple[Check, ...]:
    """What ECM's printed confusion matrix (Table 3) says: do its rows add up, and are its text's confusions in it?"""
    table = {claim.id: claim.entry["paper_values"] for claim in claims if claim.id in ("ecm-14", "ecm-15")}
    rows, counts, sums = table["ecm-15"]["confusion"], table["ecm-14"]["counts"], table["ecm-14"]["computed"]
    order = list(rows)
    apart = [f"{name} {sum(rows[name])} of {counts[name][1]}" for name in order if sum(rows[name]) != counts[name][1]]
    hits = sum(rows[name][i] for i, name in enumerate(order))
    shares = {(a, b): rows[a][j] / counts[a][1] for a in order for j, b in enumerate(order) if a != b}
    named = [("sad", "neu"), ("neu", "sad"), ("fea", "ang"), ("ang", "fea")]
    beside = max((pair for pair in shares if pair not in named), key=shares.get)
    largest, total = max(shares[pair] for pair in named), sum(total for _, total in counts.values())
    return (
        Check("every row adds up to its clips", not apart, detail=", ".join(apart) or "all six"),
        Check("the diagonal is the printed number of hits", hits == sums["correct"] and total == sums["total"],
              detail=f"{hits} of {total}, {hits / total:.1%}"),
        Check("sadness and neutral are taken for each other", min(shares[pair] for pair in named[:2]) > 0,
              detail=f"{shares['sad', 'neu']:.0%} and {shares['neu', 'sad']:.0%}"),
        Check("fear and anger are taken for each other", min(shares[pair] for pair in named[2:]) > 0,
              detail=f"anger for fear {shares['ang', 'fea']:.0%}, fear for anger {shares['fea', 'ang']:.0%}"),
        Check("what the text leaves out is below half of the largest", shares[beside] < largest / 2,
              detail=f"{beside[0]} for {beside[1]} {shares[beside]:.0%}, largest {largest:.0%}"),
    )


# EmoFace's user study -------------------------------------------------------------------------------------------------

TRIALS = 210                    # of each of EmoFace's four methods: 15 viewers, 7 emotions, 2 sentences
SPANS = {"recognition": 1.0, "naturalness": 6.0, "lip_sync": 6.0}          # ranges of its scales


def sums_for_mean(mean: float, trials: int, decimals: int = 3) -> list[int]:
    """Sums k of whole ratings with k / trials printed as `mean`, rounded or cut off; [] = impossible."""
    near = round(mean * trials)
    return [k for k in (near - 1, near, near + 1)
            if any(_prints(k / trials, mean, decimals, truncated) for truncated in (False, True))]


def rated_means(claims: Sequence[Claim]) -> dict[tuple[str, str], tuple[float, float, float | None]]:
    """(method, scale) -> printed mean and half width of Table 3, and the mean its text gives (None: gives none)."""
    found = {}
    for claim, side in (("emoface-11", "a"), ("emoface-11", "b"), ("emoface-12", "b"), ("emoface-13", "b")):
        entry = next(c.entry for c in claims if c.id == claim)
        values, text = entry["paper_values"], entry["paper_values"].get(f"text_values_{side}", {})
        for scale, mean in values[side].items():
            found[entry["conditions"][side], scale] = (mean, values[f"ci95_{side}"][scale], text.get(scale))
    return found


def compared_means(claim: Claim, trials: int = TRIALS) -> list[Evidence]:
    """Evidence of role "printed" from two printed means with half widths, as shares of the range of each scale.

    Trials are read as independent and the methods as unpaired, as the printed p values do (3d:F18); with the dependence
    of a viewer's ratings, which is not printed, the intervals would differ.
    """
    values = claim.entry["paper_values"]
    return [Evidence(name, role="printed", interval=_mean_gap(values, name, claim.direction[name], trials),
                     note=f"printed means of {trials} trials read as independent") for name in claim.columns]


def _mean_gap(values: dict, name: str, direction: str, trials: int) -> Interval:
    from scipy.stats import norm
    sign = -1 if direction == "a<b" else 1
    gap = sign * (values["a"][name] - values["b"][name]) / SPANS[name]
    error = sqrt(values["ci95_a"][name] ** 2 + values["ci95_b"][name] ** 2) / SPANS[name] / norm.ppf(0.975)
    ends = [gap + z * error for z in norm.ppf([0.025, 0.975, 0.05, 0.95])]
    return Interval(gap, *map(float, ends), float(2 * norm.sf(abs(gap) / error)), trials, True,
                    "normal, printed half widths")


def tukey_p(claims: Sequence[Claim], scale: str, one: str, other: str, *, text: bool = False) -> float:
    """Tukey's p between two methods from the means and half widths of all four, trials read as independent.

    `text` takes the means of the text where it gives some.
    """
    from scipy.stats import studentized_range
    table = {method: row for (method, name), row in rated_means(claims).items() if name == scale}
    means = {method: row[2] if text and row[2] is not None else row[0] for method, row in table.items()}
    if scale == "recognition" and not text:                        # hits can be counted, so nothing is lost to rounding
        means = {method: sums_for_mean(mean, TRIALS)[0] / TRIALS for method, mean in means.items()}
    variance = sum(_squared_error(means[method], row[1], scale) for method, row in table.items()) / len(table)
    reached = abs(means[one] - means[other]) / sqrt(variance)
    return float(studentized_range.sf(reached, len(table), len(table) * (TRIALS - 1)))


def _squared_error(mean: float, half_width: float, scale: str) -> float:
    from scipy.stats import t
    if scale == "recognition":
        return mean * (1 - mean) / (TRIALS - 1)
    return (half_width / t.ppf(0.975, TRIALS - 1)) ** 2


def emoface_checks(claims: Sequence[Claim]) -> dict[str, tuple[Check, ...]]:
    """The checks of emoface-22 by column: can the means of table and text come from whole ratings; are they equal?"""
    table = rated_means(claims)
    quoted = {key: row[2] for key, row in table.items() if row[2] is not None}
    impossible = [row[0] for row in table.values() if not sums_for_mean(row[0], TRIALS)]
    impossible_text = [mean for mean in quoted.values() if not sums_for_mean(mean, TRIALS)]
    apart = [key for key, mean in quoted.items() if mean != table[key][0]]
    rounded = [key for key in apart if abs(quoted[key] - table[key][0]) < 0.0011]
    return {
        "table_not_attainable": (
            Check(f"all means of Table 3 are means of {TRIALS} whole ratings", not impossible,
                  detail=f"not attainable: {impossible} of {len(table)}"),),
        "text_not_attainable": (
            Check(f"all means of the text are means of {TRIALS} whole ratings", not impossible_text,
                  detail=f"not attainable: {impossible_text} of {len(quoted)}"),
            Check("the text gives the means of the table", not apart, detail=f"{len(apart)} of {len(quoted)} differ"),
            Check("what differs is rounding", len(rounded) == len(apart),
                  detail=f"rounding explains {len(rounded)} of {len(apart)}")),
    }


# Ratios, units, layers ------------------------------------------------------------------------------------------------

def ratio_range(slow: float, fast: float, decimals: int = 4) -> tuple[float, float]:
    """Smallest and largest slow / fast that the rounding of two printed numbers allows."""
    half = 0.5 * 10**-decimals
    return (slow - half) / (fast + half), (slow + half) / (fast - half)


def conv_frames(frames: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Frames after a one-dimensional convolution: floor((frames + 2 padding - kernel) / stride) + 1."""
    return (frames + 2 * padding - kernel) // stride + 1


def eavanet_checks(claims: Sequence[Claim]) -> tuple[Check, ...]:
    """The checks of eavanet-19: layer settings, shares, speed ratios, unit and form of the printed losses."""
    printed = {claim.id: claim.entry["paper_values"] for claim in claims if claim.paper == "eavanet"}
    shares = [printed[f"eavanet-0{i}"]["a"][name] for i in (3, 4, 5) for name in ("lip", "expression")]
    apart = [p for p in shares if not (counts_for_share(p, 690) or counts_for_share(p, 690, truncated=True))]
    times = printed["eavanet-07"]
    low, high = ratio_range(times["b"]["rtf"], times["a"]["rtf"])
    frames = conv_frames(200, 4, 1, 2)
    return (
        Check("the convolution halves 200 frames", conv_frames(200, 4, 2, 1) == 100, corrected=frames != 100,
              detail=f"as printed (kernel 4, padding 2, stride 1) {frames}; stride 2 and padding 1 give 100"),
        Check("all six shares are shares of 690 votes", not apart, detail=f"not attainable: {apart}"),
        Check("the ratio to CodeTalker follows from the printed factors",
              low <= times["computed"]["ratio_printed_a"] <= high, detail=f"possible {low:.1f} to {high:.1f}"),
        Check("the loss called mean squared error is printed as one", False,
              detail="equation 6 prints a norm without its square"),
        Check("errors printed in mm are in mm", False,
              detail="squared distances on meshes of unit area; the root times 185.6 mm gives 4.68 mm for 6.36e-4"),
    )


def ecm_checks(claims: Sequence[Claim]) -> dict[str, tuple[Check, ...]]:
    """The checks of ecm-24 by column: do the printed widths run? The entry allows one correction, several refute it."""
    values = next(claim.entry["paper_values"] for claim in claims if claim.id == "ecm-24")
    printed, runs = values["a"], values["b"]
    augment, first = printed["augment_input"], printed["audio2flame_input"]
    style = runs["audio2flame_input"] - 128
    return {
        "augment_input": (
            Check(f"{augment} inputs of the augment net are the sum of its parts", augment == runs["augment_input"],
                  detail=f"128 emotion features and 56 parameters are {runs['augment_input']}"),),
        "audio2flame_input": (
            Check("Audio2FLAME runs as printed", first == runs["audio2flame_input"] and conv_frames(120, 1, 3) == 120,
                  detail=f"{first} inputs ask for {first - style} content features, a width not printed (released: "
                         f"128 + {style} = {runs['audio2flame_input']}); kernel 1 at stride 3 leaves "
                         f"{conv_frames(120, 1, 3)} of 120 frames"),),
    }
