"""Pictures of a head through the camera of the landmark papers: parallel light, one crop, a complexion per actor.

A landmark drawn at its projected place then lies exactly on the rendered face, whatever its depth.
"""

import numpy as np

from lib.face.render import Renderer, part_colours
from lib.face.topology import Topology

INSIDE = ("sclera", "pupil", "mouth", "throat", "gums", "teeth", "tongue")      # no complexion there
PALE, DARK = np.array([1.06, 1.06, 1.04]), np.array([0.42, 0.36, 0.34])         # factors on the colours of `render`
IRISES = ((92, 120, 128), (96, 66, 40), (70, 104, 60), (120, 96, 58))
HAIRS = ((46, 34, 28), (96, 66, 50), (150, 110, 66), (120, 60, 36))


class Orthographic(Renderer):
    """A `Renderer` without perspective: `height_mm` is the height of the picture at every depth."""

    def _aim(self, centre: np.ndarray, height: float, yaw: float, pitch: float) -> None:
        super()._aim(centre, height, yaw, pitch)
        camera = self._plotter.camera
        camera.enable_parallel_projection()
        camera.parallel_scale = height / 2


def complexion(topology: Topology, actor: int) -> np.ndarray:
    """Colours (V, 3) uint8 of an actor's vertices: skin from pale to dark, brows and lashes, iris.

    A function of the actor's number. The puppet itself has one skin; without this every face would have one colour and
    a reference picture would tell nothing but shape.
    """
    rng = np.random.default_rng([0xC0105, actor])
    colours, parts = part_colours(topology).astype(float), topology.parts
    skin = np.ones(len(colours), bool)
    skin[np.concatenate([parts[name] for name in (*INSIDE, "iris") if name in parts])] = False
    share = rng.uniform() ** 1.5
    colours[skin] *= PALE + share * (DARK - PALE)
    colours[parts["iris"]] = IRISES[rng.integers(len(IRISES))]
    hair = np.array(HAIRS[rng.integers(len(HAIRS))]) * (1 - 0.6 * share)
    for name in ("brows", "lashes"):
        weight = topology.tints.get(name, np.isin(np.arange(len(colours)), parts.get(name, ())))
        colours += np.asarray(weight, float)[:, None] * (hair - colours)
    return np.clip(np.round(colours), 0, 255).astype(np.uint8)
