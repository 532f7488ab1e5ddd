"""Topologies: the puppet always, the others where their assets are."""

import numpy as np
import pytest

from lib.errors import AssetMissing
from lib.face import topology
from lib.face.rig import curves
from lib.paths import find_asset


def needs(name: str) -> None:
    if find_asset(name) is None:
        pytest.skip(f"asset {name} is absent")


def test_a_right_triangle_of_sides_three_and_four_has_area_six():
    assert topology.surface_area(np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0.0]]), np.array([[0, 1, 2]])) == 6


def test_regions_of_the_puppet_are_disjoint_where_they_must_be():
    regions = topology.puppet().regions
    assert not set(regions["mouth"]) & set(regions["upper_face"])
    assert set(regions["lips"]) <= set(regions["mouth"])


def test_biwi_has_the_published_counts_and_unit():
    needs("biwi_topology")
    biwi = topology.biwi()
    assert (biwi.n_vertices, len(biwi.faces), len(biwi.regions["lve"]), len(biwi.regions["fdd"])) == (23370, 46068,
                                                                                                      4996, 7784)
    assert biwi.mm_per_unit == 185.6


def test_on_biwi_the_jaw_moves_the_lips_region_and_the_brows_the_upper_face():
    needs("biwi_topology")
    from lib.face.biwi import biwi_face

    face = biwi_face()
    lve, fdd = face.topology.regions["lve"], face.topology.regions["fdd"]
    jaw, brow = (np.linalg.norm(face.vertices(curves(1, **{name: 1.0}))[0] - face.mean, axis=1)
                 for name in ("jawOpen", "browInnerUp"))
    assert jaw[lve].mean() > 50 * jaw[fdd].mean()
    assert brow[fdd].mean() > 50 * brow[lve].mean()
    assert np.allclose(face.vertices(curves(1))[0], face.mean)


def test_flame_has_the_published_counts():
    needs("flame_topology")
    flame = topology.flame()
    assert (flame.n_vertices, len(flame.faces), len(flame.regions["lve"]), len(flame.regions["fdd"])) == (5023, 9976,
                                                                                                          428, 1501)


def test_ict_follows_the_same_curves():
    needs("ict_face_model")
    from lib.face.ict import ict_face, ict_names
    from lib.face.landmarks import eye_aspect_ratio, lip_opening

    face = ict_face()
    rig = curves(3, jawOpen=np.array([0, 1, 0]), eyeBlinkLeft=np.array([0, 0, 1]), eyeBlinkRight=np.array([0, 0, 1]))
    points = face.vertices(rig)[:, face.topology.landmarks]
    assert face.mean.shape == (26719, 3)
    assert lip_opening(points)[1] > lip_opening(points)[0] + 25
    assert eye_aspect_ratio(points)[2] < 0.1 < 0.2 < eye_aspect_ratio(points)[0]
    assert ict_names("browInnerUp") == ("browInnerUp_L", "browInnerUp_R") and ict_names("jawLeft") == ("jawLeft",)


def test_a_missing_asset_is_named_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr("lib.paths.DATA", tmp_path)
    monkeypatch.delenv("STUDY_DATA", raising=False)
    from lib.face.ict import IctFace

    with pytest.raises(AssetMissing, match="ict_face_model.*STUDY_DATA"):
        IctFace()


def test_ict_has_brows_and_lips_painted_on_its_skin_and_only_the_roots_of_its_upper_lashes():
    needs("ict_face_model")
    from lib.face.ict import ict_face

    face = ict_face()
    brows, lips = face.topology.tints["brows"], face.topology.tints["lips"]
    landmarks = face.mean[face.topology.landmarks]
    assert 0.4 * brows.sum() < brows[face.mean[:, 0] > 0].sum() < 0.6 * brows.sum()
    assert face.mean[brows > 0.5, 1].min() > landmarks[36:48, 1].max() and lips[face.topology.landmarks[51]] >= 0.4
    lashes = face.topology.parts["lashes"]
    seen = np.intersect1d(face.topology.faces, lashes)
    assert 50 < len(seen) < 0.5 * len(lashes) and np.ptp(face.mean[seen, 2]) < np.ptp(face.mean[lashes, 2])
