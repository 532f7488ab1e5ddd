"""The rig and its MetaHuman view."""

import numpy as np
import pytest

from lib.errors import InputError
from lib.face.rig import (
    ARKIT,
    METAHUMAN,
    curves,
    from_metahuman,
    index,
    metahuman_index,
    mirror,
    round_trip_error,
    to_metahuman,
)
from lib.paths import find_asset


def test_there_are_52_controls_and_174_columns_two_of_them_twins():
    assert len(set(ARKIT)) == 52
    assert (len(METAHUMAN), len(set(METAHUMAN))) == (174, 172)
    assert metahuman_index("CTRL_L_eye_blink-translateY") == 36
    assert metahuman_index("CTRL_R_eye_blink-translateY") == 105
    assert all(r == l.replace("_L_", "_R_") for l, r in zip(METAHUMAN[29:98], METAHUMAN[98:167], strict=True))  # noqa: E741


def test_the_columns_are_those_published_with_emoface():
    path = find_asset("emoface_sample/metahuman_attr_names.txt")
    if path is None:
        pytest.skip("asset emoface_sample is absent")
    assert path.read_text().split() == list(METAHUMAN)


def test_curves_come_back_from_metahuman_unless_opposites_act_at_once():
    rig = np.random.default_rng(0).uniform(0, 1, (20, 52)).astype(np.float32)
    for name in ("jawRight", "mouthRight", "eyeLookInLeft", "eyeLookOutRight", "eyeLookDownLeft", "eyeLookDownRight"):
        rig[:, index(name)] = 0
    assert round_trip_error(rig).max() < 1e-6
    clash = curves(1, jawLeft=0.5, jawRight=0.3)
    assert from_metahuman(to_metahuman(clash))[0, index("jawLeft")] == pytest.approx(0.2)


def test_a_shared_gaze_lands_in_the_first_two_columns_only():
    columns = to_metahuman(curves(1, eyeLookOutLeft=0.4, eyeLookInRight=0.4))
    assert columns[0, 0] == pytest.approx(0.4) and np.count_nonzero(columns) == 1


def test_mirroring_twice_changes_nothing_and_keeps_the_middle():
    rig = np.random.default_rng(1).uniform(0, 1, (3, 52))
    assert np.array_equal(mirror(mirror(rig)), rig)
    assert mirror(rig)[0, index("jawLeft")] == rig[0, index("jawRight")]
    assert mirror(rig)[0, index("jawOpen")] == rig[0, index("jawOpen")]


def test_unknown_names_and_wrong_widths_are_refused():
    with pytest.raises(InputError, match="jawOpn"):
        index("jawOpn")
    with pytest.raises(InputError, match="174"):
        from_metahuman(np.zeros((2, 173)))
