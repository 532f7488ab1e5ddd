"""Printed numbers: each hand computation of the specification sheets."""

import pytest

from lib import claims, printed
from lib.errors import InputError

ALL = claims.load()


def test_z_of_the_six_printed_shares_at_690_votes():
    shares = [40.86, 45.21, 51.73, 66.23, 53.52, 60.41]
    assert [round(printed.share_z(s, 690), 2) for s in shares] == [-4.80, -2.52, 0.91, 8.53, 1.85, 5.47]


def test_interval_of_a_share_is_about_3_7_points_at_690_votes():
    low, high = printed.share_interval(51.73, 690)
    assert (high - low) / 2 == pytest.approx(3.7, abs=0.05)
    assert low < 50 < high
    assert printed.share_interval(100 * 137 / 200, 200) == pytest.approx((61.8, 74.5), abs=0.05)      # Wilson, by hand


@pytest.mark.parametrize(("percent", "direction", "verdicts"), [
    (66.23, "a>b", ["reproduced", "reproduced", "undecidable"]),
    (51.73, "a>b", ["not reproduced", "undecidable", "undecidable"]),      # 690 votes: within 5 points of parity
    (40.86, "a<b", ["reproduced", "reproduced", "undecidable"]),
    (45.21, "approx", ["weaker", "undecidable", "undecidable"]),
])
def test_verdicts_of_shares_depend_on_the_votes(percent, direction, verdicts):
    found = printed.reanalyse_share(percent, direction)
    assert [decision.verdict for decision in found.values()] == verdicts


def test_two_shares_are_no_share_of_690_votes_but_of_667():
    for percent in (53.52, 60.41):
        assert not printed.counts_for_share(percent, 690) and not printed.counts_for_share(percent, 690, truncated=True)
    assert printed.counts_for_share(53.52, 667, truncated=True) == [357]
    assert printed.counts_for_share(60.41, 667, truncated=True) == [403]
    assert 667 in printed.attainable_votes([53.52, 60.41], 700, truncated=True) and 667 == 29 * 23


def test_a_share_that_can_be_counted():
    assert printed.counts_for_share(33.33, 3) == [1]
    assert printed.counts_for_share(33.34, 3) == []
    assert printed.attainable_votes([50.0], 5) == [2, 4]


def test_rating_intervals_need_more_spread_than_the_scale_has():
    assert [round(printed.rating_sd(h, 375), 2) for h in (0.29, 0.21, 0.19)] == [2.87, 2.07, 1.88]
    assert printed.largest_rating_sd() == 2.0
    assert printed.largest_rating_sd(mean=2.44) == pytest.approx(1.92, abs=0.01)
    assert printed.achieved_share(2.44, 3.13, 4.11) == pytest.approx(0.4132, abs=1e-4)


def test_printed_ratings_rise():
    found = printed.mos_evidence(claims.by_id(ALL, "eavanet-09"))
    verdict = claims.judge(claims.by_id(ALL, "eavanet-09"), [found])
    assert verdict.printed == "reproduced" and verdict.verdict == "undecidable"


def test_printed_speed_ratios_lie_within_rounding():
    low, high = printed.ratio_range(1.5684, 0.0097)
    assert (round(low, 1), round(high, 1)) == (160.9, 162.5)
    assert low < 161.55 < high
    assert printed.ratio_range(0.1356, 0.0097)[0] < 13.98 < printed.ratio_range(0.1356, 0.0097)[1]


def test_frames_after_the_convolution():
    assert [printed.conv_frames(200, 4, s, p) for s, p in ((1, 2), (2, 2), (2, 1))] == [201, 101, 100]


def test_checks_of_eavanet_19_hold_only_in_part():
    checks = printed.eavanet_checks(ALL)
    assert claims.decide_checks(checks).verdict == "weaker"
    assert "[53.52, 60.41]" in next(check.detail for check in checks if "690" in check.name)


def test_a_claim_without_shares_is_refused():
    with pytest.raises(InputError, match="prints no shares"):
        printed.share_evidence(claims.by_id(ALL, "eavanet-01"))


def test_ecms_confusion_matrix_has_1213_hits_in_1487_clips_and_one_row_short_of_one():
    sums, hits, *confusions = printed.confusion_checks(ALL)
    assert not sums.passed and sums.detail == "hap 253 of 254"
    assert hits.passed and hits.detail == "1213 of 1487, 81.6%"
    assert [check.passed for check in confusions] == [True, False, False]          # fear is never taken for anger
    assert confusions[-1].detail == "dis for fea 16%, largest 26%"


def test_printed_recognition_is_far_above_chance_for_every_emotion():
    claim = claims.by_id(ALL, "ecm-14")
    found = {e.column: e.interval for e in printed.recognition_evidence(claim, 1 / 6)}
    assert set(found) == set(claim.columns)
    assert found["accuracy"].mean == pytest.approx(1213 / 1487 - 1 / 6) and found["ang"].low > 0.4
    wilson_low = claim.entry["paper_values"]["computed"]["wilson_low"]
    assert found["accuracy"].low + 1 / 6 == pytest.approx(wilson_low, abs=1e-4)


def test_ecms_printed_widths_need_several_corrections():
    (augment,), (first,) = printed.ecm_checks(ALL).values()
    assert not augment.passed and "184" in augment.detail
    assert not first.passed and "192 content features" in first.detail and "40 of 120 frames" in first.detail


def test_a_mean_of_whole_ratings_is_a_multiple_of_one_over_their_number():
    assert printed.sums_for_mean(5.514, 210) == [1158]                         # 5.51429
    assert printed.sums_for_mean(0.809, 210) == [170]                       # 0.80952, cut off
    assert printed.sums_for_mean(4.601, 210) == []                          # 966 and 967 give 4.600 and 4.604


def test_the_printed_p_values_of_emoface_follow_from_its_counts_as_independent_trials():
    p = {rival: printed.tukey_p(ALL, "recognition", "emoface", rival) for rival in ("faceformer", "emotalk")}
    assert p == pytest.approx({"faceformer": 0.8959, "emotalk": 0.0059}, abs=5e-5)
    computed = claims.by_id(ALL, "emoface-12").entry["paper_values"]["computed"]
    lips = printed.tukey_p(ALL, "lip_sync", "emoface", "emotalk")           # printed: below .001
    assert lips == pytest.approx(computed["p_lip_sync_tukey"], abs=5e-4)


def test_emofaces_text_and_table_give_different_ratings_that_rounding_does_not_explain():
    found = printed.emoface_checks(ALL)
    computed = claims.by_id(ALL, "emoface-22").entry["paper_values"]["computed"]
    assert "4.601" in found["table_not_attainable"][0].detail and computed["table_not_attainable"] == 1
    assert found["text_not_attainable"][0].detail.count(".") == computed["text_not_attainable"]
    assert not any(check.passed for checks in found.values() for check in checks)


def test_emofaces_printed_ratings_beat_its_rivals_but_stay_below_the_truth():
    def naturalness(number):
        found = printed.compared_means(claims.by_id(ALL, f"emoface-{number}"))
        return next(e.interval for e in found if e.column == "naturalness")

    assert naturalness(11).mean == pytest.approx((5.514 - 4.081) / 6)
    assert naturalness(12).low > 0 and naturalness(13).high < 0
