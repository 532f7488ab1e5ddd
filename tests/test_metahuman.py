"""Areas of the 174 columns: sizes, disjoint parts, twins."""

import pytest

from lib import paths
from lib.errors import InputError
from lib.face import metahuman
from lib.face.metahuman import METAHUMAN


def test_parts_have_the_counted_sizes_and_cover_all_columns():
    sizes = {part: metahuman.PARTS.count(part) for part in set(metahuman.PARTS)}
    assert sizes == {"mouth": 90, "eye": 23, "eyelashes": 4, "jaw": 12, "tongue": 9, "teeth": 6, "brow": 8, "nose": 8,
                     "neck": 11, "ear": 2, "look": 1}  # fmt: skip


def test_areas_have_the_sizes_of_the_sensitivity_sets():
    assert {area: len(metahuman.columns(area)) for area in metahuman.AREAS} == {
        "mouth": 90, "mouth and jaw": 102, "mouth, jaw, teeth and tongue": 117, "eyes": 27, "eyes without lashes": 23,
        "eyes and brows": 35, "full": 174}  # fmt: skip


def test_every_left_column_has_its_twin_69_columns_later():
    assert len(metahuman.LEFT) == 69
    for left, right in zip(metahuman.LEFT, metahuman.RIGHT, strict=True):
        assert METAHUMAN[right] == METAHUMAN[left].replace("CTRL_L_", "CTRL_R_")


def test_lids_and_gaze_are_the_columns_the_released_program_writes():
    assert metahuman.BLINK == (36, 105) and metahuman.GAZE == (0, 1)


def test_an_unknown_area_is_named_with_the_known_ones():
    with pytest.raises(InputError, match="no area 'cheek'; there are mouth; .*eyelashes"):
        metahuman.columns("cheek")


@pytest.mark.skipif(paths.find_asset("emoface_sample") is None, reason="needs the asset emoface_sample")
def test_the_names_are_the_published_ones_in_their_order():
    published = paths.asset("emoface_sample/metahuman_attr_names.txt").read_text().split()
    assert tuple(published) == METAHUMAN and len(set(published)) == 172
