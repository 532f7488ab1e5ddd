"""Rig curves found again in the puppet's vertices."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.rig import curves, index
from lib.puppet.head import N_IDENTITY, head
from lib.puppet.retarget import rig_curves


def test_a_resting_face_has_all_controls_at_zero():
    assert rig_curves(head().neutral()[None]).max() < 0.02


@pytest.mark.parametrize("name, value", [("jawOpen", 0.8), ("browInnerUp", 0.6), ("mouthSmileLeft", 0.7)])
def test_a_single_control_is_found_again(name, value):
    rest = np.zeros((6, 52), np.float32)
    moved = rest + np.linspace(0, 1, 6)[:, None].astype(np.float32) * curves(1, **{name: value})
    assert rig_curves(head().vertices(moved))[-1, index(name)] == pytest.approx(value, abs=0.1)


def test_the_vertices_survive_the_way_there_and_back_for_another_identity():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 20)
    rig = curves(20, jawOpen=0.5 * np.sin(np.pi * t) ** 2, mouthSmileLeft=0.5 * t, mouthSmileRight=0.5 * t,
                 mouthFunnel=0.3 * (1 - t), browDownLeft=0.4 * t**2)
    identity = rng.normal(size=N_IDENTITY).astype(np.float32)
    before = head().vertices(rig, identity) - head().neutral(identity)
    found = rig_curves(head().vertices(rig, identity))
    after = head().vertices(found, identity) - head().neutral(identity)
    front = head().topology.regions["front"]
    assert np.linalg.norm(after - before, axis=-1)[:, front].mean() < 0.5                        # mm


def test_another_mesh_is_refused():
    with pytest.raises(InputError, match="of the puppet"):
        rig_curves(np.zeros((2, 10, 3)))
