"""What no seed changes, made once before any notebook, each part in a process of its own.

    python -m lib.prepare speech --scale laptop

Networks that judge, hear or draw (the foundations), what they say of every clip of the corpus, and times, which need
the machine for themselves. Everything is kept in the cache and would be made at its first use as well; made here, two
runs never do the same work side by side, and nothing disturbs what is timed.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from lib.errors import InputError, command_line
from lib.notebooks import headless_environment


@dataclass(frozen=True)
class Part:
    """One thing to make, and the parts it is made from."""

    make: Callable[[str], None]
    after: tuple[str, ...] = ()


def _corpus(scale: str) -> None:
    from lib.experiments.draw import corpus

    corpus(scale)


def _speech(scale: str) -> None:
    from lib.foundations import speech_encoder

    speech_encoder(scale)


def _judges(scale: str) -> None:
    from lib import foundations, priors

    foundations.judges(scale)
    priors.frame_recogniser(scale)


def _voices(scale: str) -> None:
    from lib.landmark_foundations import converter

    converter(scale)


def _planar(scale: str) -> None:                     # after the judges, whose faces it looks at again
    from lib import landmark_foundations as planar

    planar.planar_judges(scale)
    planar.recognisers(scale)
    planar.proxy_sync(scale)


def _pictures(scale: str) -> None:
    from lib import picture_foundations as seen

    seen.translation(scale)
    seen.detector(scale)
    seen.pcavs(scale)


def _heard(scale: str) -> None:
    from lib.experiments import draw, ecm

    draw.speech_features(scale)
    for profile in (ecm.ecm.PAPER, ecm.ecm.CODE):
        ecm.convolved(scale, profile.window)


def _tracks(scale: str) -> None:
    from lib.experiments import cfd, track_measures, vnet
    from lib.experiments.cfd_material import one_manner
    from lib.landmark_foundations import converted_mels

    converted_mels(scale)
    vnet.sound_features(scale)
    data = cfd.material(scale, 0)
    one_manner(data)
    track_measures.exact_face(data, 0, track_measures.NEUTRAL)


def _timing(scale: str) -> None:
    from lib.experiments import eavanet_measures, emoface_measures

    eavanet_measures.timings(scale)
    emoface_measures.timings(scale)


ALONE = "timing"                        # the part that has the machine for itself
PARTS = {
    "speech": Part(_speech), "corpus": Part(_corpus), "judges": Part(_judges), "voices": Part(_voices),
    "planar": Part(_planar, ("judges",)), "pictures": Part(_pictures), "heard": Part(_heard, ("corpus", "speech")),
    "tracks": Part(_tracks, ("corpus", "voices")), ALONE: Part(_timing),
}  # fmt: skip


def prepare(name: str, scale: str) -> None:
    """Make a part that is not in the cache yet. Raises InputError for an unknown name."""
    if name not in PARTS:
        raise InputError(f"part {name!r} is unknown; there are {', '.join(PARTS)}")
    PARTS[name].make(scale)


@command_line
def main(arguments: list[str] | None = None) -> int:
    """Command line; exit status 1 with one message when something is missing."""
    parser = argparse.ArgumentParser(prog="python -m lib.prepare", description=__doc__.partition("\n")[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--scale", default="laptop", choices=["smoke", "laptop", "paper"])
    chosen = parser.parse_args(arguments)
    headless_environment(threads=1)
    prepare(chosen.part, chosen.scale)
    return 0


if __name__ == "__main__":
    sys.exit(main())
