"""Verdicts: every row of the decision tables, the gates, the ledger of all claims and its files."""

import numpy as np
import pandas as pd
import pytest

from lib import claims as c
from lib import stats
from lib.errors import InputError
from lib.stats import Interval

ALL = c.load()
LVE = c.by_id(ALL, "eavanet-01")


def span(low, high, *, wide=1.0, p=0.001, n=20, agree=True, method="hierarchical bootstrap"):
    """Interval [low, high] with its 90 % interval shrunk towards the middle by `wide`."""
    middle, half = (low + high) / 2, (high - low) / 2 * wide
    return Interval(middle, low, high, middle - half, middle + half, p, n, agree, method)


def clips(means, speakers=3, per_speaker=4, noise=0.01, seed=0):
    """Table of paired differences with the given seed means."""
    rng = np.random.default_rng(seed)
    rows = [(s, p, k, mean + noise * rng.standard_normal()) for s, mean in enumerate(means)
            for p in range(speakers) for k in range(per_speaker)]
    return pd.DataFrame(rows, columns=["seed", "speaker", "clip", "value"])


def judged(means, column="lve", claim=LVE, **options):
    return c.judge_column(claim, c.Evidence(column, d=clips(means), **options), draws=500)


# The table of differences, delta = .02 --------------------------------------------------------------------------------

@pytest.mark.parametrize(("low", "high", "p", "printed", "verdict"), [
    (+.10, +.20, .001, None, "reproduced"),             # S+, not EQ, no printed size
    (+.10, +.20, .001, .30, "reproduced"),              # S+, not EQ, half of .30 allowed
    (+.10, +.20, .001, .50, "weaker"),                  # S+, not EQ, W: .20 < .25
    (+.005, +.015, .001, .01, "reproduced"),            # S+, EQ, N: the printed size is below delta
    (+.005, +.015, .001, .025, "weaker"),               # S+, EQ, printed size above delta
    (+.005, +.015, .001, .20, "weaker"),                # S+, EQ, W
    (+.005, +.015, .001, None, "weaker"),               # S+, EQ, no printed size: N is false
    (-.20, -.10, .001, None, "reversed"),               # S-, not EQ
    (-.20, -.10, .001, .30, "reversed"),                # S-, not EQ, any W
    (-.015, -.005, .001, None, "not reproduced"),       # S-, EQ
    (-.015, +.015, .9, None, "not reproduced"),         # neither, EQ
    (-.05, +.10, .5, .30, "not reproduced"),            # neither, W: half of the printed size is excluded
    (-.05, +.10, .5, .15, "undecidable"),               # neither, not W
    (-.05, +.10, .5, None, "undecidable"),              # neither, no printed size
    (+.10, +.20, .06, None, "undecidable"),             # L > 0 but p_Holm above .05 is no S+
    (-.20, -.10, .06, None, "undecidable"),             # likewise S-
])
def test_every_row_of_the_difference_table(low, high, p, printed, verdict):
    assert c.decide_difference(span(low, high), p, 0.02, printed).verdict == verdict


def test_a_printed_size_below_delta_is_flagged_negligible():
    assert c.decide_difference(span(.005, .015), 0.001, 0.02, 0.01).negligible
    assert not c.decide_difference(span(.10, .20), 0.001, 0.02, 0.30).negligible


def test_an_open_column_says_what_the_seeds_could_show():
    reason = c.decide_difference(span(-.05, .10, n=12), 0.5, 0.02).reason
    assert "12 seeds show effects from" in reason and "needs about" in reason


def test_an_interval_without_0_that_shows_no_sign_says_why():
    tested = c.decide_difference(span(.10, .20), 0.06, 0.02)
    assert "the interval excludes 0 but p after Holm is 0.06" in tested.reason
    mixed = span(.10, .20, n=3, agree=False, method="Student t on seed means")
    assert "excludes 0 but the seeds differ in sign" in c.decide_monotone(mixed, 0.01, 0.02, (.1, .2), 1.0).reason
    assert "excludes 0" not in c.decide_difference(span(-.05, .10), 0.5, 0.02).reason


def test_checks_that_were_never_run_rest_on_no_seed():
    missing = c.judge_column(LVE, c.Evidence("lve", kind="checks", missing="the network"))
    assert (missing.verdict, missing.reason, missing.n_seeds) == (c.OPEN, "the network", 0)
    run = c.judge_column(LVE, c.Evidence("lve", kind="checks", checks=(c.Check("count", True),)))
    assert (run.verdict, run.n_seeds) == (c.REPRODUCED, 1)


def test_a_student_interval_needs_seeds_of_one_sign():
    mixed = span(.1, .2, n=3, agree=False, method="Student t on seed means")
    assert c.sign(mixed, 0.01) == 0
    assert c.sign(span(.1, .2, n=3, method="Student t on seed means"), 0.01) == 1


@pytest.mark.parametrize(("low", "high", "lower_only", "verdict"), [
    (-.01, +.01, False, "reproduced"),
    (-.03, +.03, False, "weaker"),
    (+.03, +.09, False, "not reproduced"),
    (-.09, -.03, False, "not reproduced"),
    (-.03, +.09, False, "undecidable"),
    (-.01, +.90, True, "reproduced"),                   # a gain is no loss
    (-.03, +.90, True, "weaker"),
    (-.09, -.03, True, "not reproduced"),
    (-.09, +.90, True, "undecidable"),
])
def test_every_row_of_approx(low, high, lower_only, verdict):
    assert c.decide_approx(span(low, high), 0.02, lower_only).verdict == verdict


@pytest.mark.parametrize(("low", "high", "steps", "rate", "verdict"), [
    (.4, .6, (.2, .1), .95, "reproduced"),
    (.4, .6, (.2, -.1), .95, "weaker"),
    (.4, .6, (.2, .1), .80, "weaker"),
    (.4, .6, (.2, .1), None, "weaker"),
    (-.6, -.4, (-.2, -.1), .0, "reversed"),
    (-.09, -.01, (), None, "not reproduced"),           # S-, but EQ with delta .1
    (-.05, .05, (.1, -.1), .5, "not reproduced"),
    (-.3, .4, (.1, .1), .5, "undecidable"),
])
def test_every_row_of_monotone(low, high, steps, rate, verdict):
    p = 0.001 if low * high > 0 else 0.5
    assert c.decide_monotone(span(low, high), p, 0.10, steps, rate).verdict == verdict


@pytest.mark.parametrize(("low", "high", "verdict"), [
    (.92, .97, "reproduced"), (.85, .95, "weaker"), (.5, .8, "not reproduced")])
def test_threshold_columns(low, high, verdict):
    assert c.decide_threshold(span(low, high), 0.9).verdict == verdict


@pytest.mark.parametrize(("checks", "verdict"), [
    ([c.Check("a", True), c.Check("b", True)], "reproduced"),
    ([c.Check("a", True), c.Check("b", True, corrected=True)], "weaker"),
    ([c.Check("a", True), c.Check("b", False)], "weaker"),
    ([c.Check("a", False), c.Check("b", False)], "not reproduced"),
    ([c.Check("a", False, opposite=True)], "reversed"),
    ([c.Check("a", True), c.Check("b", None)], "undecidable"),
    ([], "undecidable"),
])
def test_exact_holds_and_arithmetic(checks, verdict):
    assert c.decide_checks(checks).verdict == verdict


@pytest.mark.parametrize(("columns", "verdict"), [
    (["undecidable", "undecidable"], "undecidable"),
    (["undecidable", "reproduced"], "reproduced"),
    (["reproduced", "not reproduced"], "weaker"),
    (["weaker", "reversed"], "weaker"),
    (["reproduced", "weaker"], "weaker"),
    (["not reproduced", "reversed"], "reversed"),
    (["not reproduced", "not reproduced"], "not reproduced"),
    ([], "undecidable"),
])
def test_entry_from_columns(columns, verdict):
    assert c.combine(columns) == verdict


# From tables to columns -----------------------------------------------------------------------------------------------

def test_a_clear_advantage_over_twenty_seeds_is_reproduced_and_not_provisional():
    column = judged(np.linspace(.10, .14, 20), skill_b=0.5)
    assert (column.verdict, column.provisional, column.n_seeds) == ("reproduced", False, 20)
    assert column.printed == pytest.approx(0.1619 * 0.5)             # r (1 - skill of b)
    assert column.p == 2 / 2**20
    assert column.low < column.low90 < column.estimate < column.high90 < column.high


def test_three_seeds_are_provisional_and_use_student_t():
    column = judged([.12, .13, .14])
    assert column.provisional and column.method.startswith("Student")
    assert column.verdict == "reproduced"
    assert judged([.30, .13, -.02]).verdict == "undecidable"


@pytest.mark.parametrize(("means", "options", "reason"), [
    ([.1, .1], {}, "only 2 seeds"),
    ([.1], {}, "only 1 seed;"),
    ([.1] * 20, {"skill_interval": (-.1, .2)}, "not learned"),
    ([.1] * 20, {"skill_interval": (-.3, -.2)}, "not learned"),
    ([.1] * 20, {"floor": 0.03}, "oracle floor"),
    ([.1] * 20, {"calibrated": False}, "calibration"),
    ([.1] * 20, {"missing": "no checkpoint of CodeTalker"}, "no checkpoint of CodeTalker"),
])
def test_gates_close_a_column_and_name_the_piece(means, options, reason):
    column = judged(means, **options)
    assert column.verdict == "undecidable" and reason in column.reason


def test_squared_errors_use_the_wider_margin_and_sensitivity_is_marked():
    narrow, wide = judged(np.linspace(.024, .032, 20)), judged(np.linspace(.024, .032, 20), squared=True)
    assert (narrow.delta, narrow.verdict) == (0.02, "reproduced")
    assert (wide.delta, wide.verdict) == (0.04, "weaker")
    assert narrow.sensitive and narrow.twice_delta == "weaker"


def test_an_unmet_condition_lowers_reproduced_to_weaker():
    means = np.linspace(.10, .14, 20)
    assert judged(means, checks=(c.Check("holds in mm", True),)).verdict == "reproduced"
    for passed in (False, None):
        column = judged(means, checks=(c.Check("holds in mm", passed),))
        assert column.verdict == "weaker" and "holds in mm" in column.reason


def test_a_printed_disadvantage_counts_along_the_claimed_direction():
    codetalker = c.by_id(ALL, "eavanet-02")      # says that its own FDD is worse: a>b, lower is better
    assert codetalker.printed_margin("fdd") == pytest.approx(0.0887)
    assert codetalker.printed_margin("lve") == pytest.approx(0.2331)


def test_speed_uses_the_log_of_the_printed_ratio():
    speed = c.by_id(ALL, "eavanet-06")
    column = judged(np.full(12, np.log(9.0)) + np.linspace(-.01, .01, 12), "rtf", speed)
    assert column.printed == pytest.approx(np.log(0.1356 / 0.0097))
    assert column.verdict == "reproduced"
    assert judged(np.full(12, np.log(2.0)) + np.linspace(-.01, .01, 12), "rtf", speed).verdict == "weaker"


def test_constant_columns_have_no_bca_and_still_a_verdict():
    table = stats.seed_table(np.ones(12) * 0.2)
    column = c.judge_column(c.by_id(ALL, "eavanet-12"), c.Evidence("swap_skill", d=table), draws=200)
    assert np.isnan(column.bca_low) and column.verdict == "reproduced"


def test_nothing_is_found_where_nothing_is():
    """Of 300 null claims at most 5 % (plus 2.6 binomial errors) come out as reproduced or reversed."""
    rng, claim, found = np.random.default_rng(88), c.by_id(ALL, "eavanet-18"), 0
    for _ in range(300):
        evidence = c.Evidence("lve", d=stats.seed_table(rng.normal(0, 0.2, 12)))
        found += c.judge_column(claim, evidence, draws=300).verdict in ("reproduced", "reversed", "weaker")
    assert found / 300 <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 300)


# Entries and the ledger -----------------------------------------------------------------------------------------------

def test_columns_without_evidence_are_named_as_missing():
    verdict = c.judge(LVE, [c.Evidence("lve", d=clips(np.linspace(.10, .14, 20)))], draws=300)
    assert verdict.verdict == "reproduced"
    assert "vertex: no measurement given" in verdict.missing and "2 of 3 columns undecidable" in verdict.reason


def test_extra_columns_are_shown_but_never_decide():
    signed = c.Evidence("fdd_signed", d=clips(-np.linspace(.3, .4, 20)), direction="a<b", delta_key="fdd_abs",
                        role="extra")
    verdict = c.judge(LVE, [c.Evidence("lve", d=clips(np.linspace(.10, .14, 20))), signed], draws=300)
    assert verdict.verdict == "reproduced"
    assert {column.column: column.verdict for column in verdict.columns}["fdd_signed"] == "reversed"


def test_a_cause_that_does_not_remove_the_effect_makes_the_claim_weaker():
    evidence = [c.Evidence("lve", d=clips(np.linspace(.10, .14, 20)))]
    cause = c.Check("without the style encoder the advantage is gone", False)
    assert c.judge(LVE, evidence, conditions=[cause], draws=300).verdict == "weaker"


def test_claims_for_viewers_stay_undecidable_with_proxy_and_reanalysis_beside():
    from lib.printed import share_evidence
    votes = c.by_id(ALL, "eavanet-04")
    proxy = c.Evidence("expression", d=clips(np.linspace(.2, .3, 12)), role="proxy", delta_key="skill")
    verdict = c.judge(votes, [proxy, *share_evidence(votes)], draws=300)
    assert (verdict.verdict, verdict.reader_word) == ("undecidable", "not testable")
    assert verdict.proxy == "reproduced" and not verdict.provisional
    assert verdict.printed == "weaker"                               # expression yes; lip is equivalent to 50 %


def test_ledger_has_every_claim_once_and_says_not_run_yet():
    table = c.ledger(ALL, {})
    assert len(table) == 102 and table.claim_id.is_unique
    assert set(table.verdict) == {"undecidable"} and table.reason.str.contains("not run yet").all()


def test_holm_runs_over_one_paper():
    weak = np.linspace(-.1, .5, 12)
    evidence = {f"eavanet-{i}": [c.Evidence("upper_skill", d=clips(weak))] for i in (13, 14, 16)}
    together = c.judge_all(ALL, evidence, draws=300)
    columns = c.columns_table(together).query("p == p")
    assert columns.p_holm.min() == pytest.approx(3 * columns.p.min())
    elsewhere = {"eavanet-13": evidence["eavanet-13"], "cfd-01": [c.Evidence("lmd", d=clips(weak))]}
    columns = c.columns_table(c.judge_all(ALL, elsewhere, draws=300)).query("p == p")
    assert columns.p_holm.tolist() == columns.p.tolist()


def test_tables_survive_the_files(tmp_path):
    evidence = {"eavanet-01": [c.Evidence("lve", d=clips([.12, .13, .14]))]}
    verdicts = c.judge_all(ALL, evidence, draws=200)
    c.to_csv(verdicts, tmp_path)
    again = c.from_csv(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["claims.csv", "claims_columns.csv"]
    assert [(v.claim_id, v.verdict, v.missing, len(v.columns)) for v in again] == [
        (v.claim_id, v.verdict, v.missing, len(v.columns)) for v in verdicts]
    with pytest.raises(InputError, match="run the study"):
        c.from_csv(tmp_path / "elsewhere")


# The file of claims ---------------------------------------------------------------------------------------------------

def test_claims_of_five_papers_and_their_headlines():
    counts = {paper: sum(claim.paper == paper for claim in ALL) for paper in c.PAPERS}
    assert counts == {"cfd": 17, "ecm": 24, "vnet": 19, "emoface": 23, "eavanet": 19}
    assert all(claim.seeds == 20 for claim in ALL if claim.headline)


@pytest.mark.parametrize(("change", "message"), [
    (lambda e: e.pop("statement"), "field statement is missing"),
    (lambda e: e["test"].update(rule="guess"), "rule 'guess' is unknown"),
    (lambda e: e["test"]["delta"].update(vertex="magic"), "delta key 'magic'"),
    (lambda e: e.update(direction="a=b"), "direction 'a=b'"),
    (lambda e: e["test"]["delta"].pop("fdd"), "columns of direction, better and delta differ"),
    (lambda e: e["test"].update(seeds=0), "positive integer"),
    (lambda e: e.update(paper="unheard"), "paper 'unheard'"),
])
def test_a_broken_claims_file_is_refused_with_the_entry_named(tmp_path, change, message):
    import copy

    import yaml
    entry = copy.deepcopy(LVE.entry)
    change(entry)
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump([entry]))
    with pytest.raises(InputError, match=f"eavanet-01.*{message}"):
        c.load(tmp_path / "claims.yaml")


def test_unreadable_claims_and_unknown_names_are_refused(tmp_path):
    (tmp_path / "claims.yaml").write_text("a: [")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        c.load(tmp_path / "claims.yaml")
    with pytest.raises(InputError, match="no claim 'eavanet-99'"):
        c.by_id(ALL, "eavanet-99")
    with pytest.raises(InputError, match="unknown claims eavanet-99"):
        c.judge_all(ALL, {"eavanet-99": []})
    with pytest.raises(InputError, match="no column 'speed'"):
        judged([.1] * 3, "speed")
