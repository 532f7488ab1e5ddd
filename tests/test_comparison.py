"""The board of all systems and the agreement of orders, on scores one can rank by eye."""

import pandas as pd
import pytest

from lib.errors import AssetMissing, InputError
from lib.experiments import comparison


def scores(flip=False):
    values = {"a": 1.0, "b": 2.0, "c": 3.0, "control/oracle": 0.1}
    rows = []
    for seed in (0, 1, 2):
        for system, value in values.items():
            row = {"seed": seed, "system": system, "part": "unseen", "speaker": 0, "clip": "x"}
            row |= dict.fromkeys(comparison.METRICS["mesh"], value + 0.01 * seed)
            rows.append(row | ({"upper_mm": -value} if flip else {}))
    return pd.DataFrame(rows)


def test_the_board_is_sorted_by_lips_and_has_intervals_over_seeds():
    board = comparison.board(scores(), "unseen")
    assert board.system.tolist() == ["control/oracle", "a", "b", "c"]
    assert board.lve_mm[1] == pytest.approx(1.01) and board["lve_mm low"][1] < 1.01 < board["lve_mm high"][1]


def test_equal_orders_have_tau_one_and_a_turned_metric_minus_one():
    assert (comparison.agreement(scores(), "unseen").tau == 1).all()
    turned = comparison.agreement(scores(flip=True), "unseen")
    pair = turned[(turned.one == "lip vertex error") & (turned.other == "upper-face error")].iloc[0]
    assert pair.tau == -1 and pair["flipped pairs"] == 3 and not pair.stable


def test_a_metric_that_should_be_large_agrees_with_one_that_should_be_small():
    rows = [{"seed": seed, "system": system, "part": "unseen", "speaker": 0, "clip": "x", "lmd_face_px": error,
             "lmd_mouth_px": error, "upper_px": error, "es": 1 - error / 10, "proxy_confidence": 5 - error}
            for seed in (0, 1, 2) for system, error in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    table = pd.DataFrame(rows)
    assert (comparison.agreement(table, "unseen", "landmarks").tau == 1).all()
    assert comparison.board(table, "unseen", "landmarks").system.tolist() == ["a", "b", "c"]


def test_seeds_that_agree_have_tau_one():
    assert comparison.seed_agreement(scores(), "unseen", "lve_mm") == 1


def test_without_score_files_the_error_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "results", lambda scale: tmp_path)
    with pytest.raises(AssetMissing, match="make study"):
        comparison.score_files("smoke")


def test_meshes_and_landmarks_are_ranked_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "results", lambda scale: tmp_path)
    (tmp_path / "tables").mkdir()
    scores().to_csv(tmp_path / "tables" / "05_scores.csv", index=False)
    assert "eavanet: a" in set(comparison.score_files("smoke").system)
    with pytest.raises(AssetMissing, match="no score file of landmarks"):
        comparison.score_files("smoke", "landmarks")


def test_papers_meet_on_the_clips_they_share_and_keep_their_own_rivals():
    table = pd.DataFrame(
        [{"paper": paper, "seed": 0, "clip": clip, "system": system, "value": 1.0}
         for paper, clips in {"ecm": "xy", "eavanet": "yz"}.items() for clip in clips
         for system in ("faceformer", "control/oracle")])
    found = comparison.named(comparison.on_common_clips(table))
    assert set(found["clip"]) == {"y"}
    assert sorted(found.system) == ["control/oracle", "eavanet: faceformer", "ecm: faceformer"]


def test_papers_without_a_common_clip_are_refused():
    table = pd.DataFrame([{"paper": "ecm", "seed": 0, "clip": "x"}, {"paper": "eavanet", "seed": 0, "clip": "y"}])
    with pytest.raises(InputError, match="same scale"):
        comparison.on_common_clips(table)
