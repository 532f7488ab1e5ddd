"""Scores of landmark tracks: what they must say of truth, of trivial rivals, of delay and of another emotion."""

import numpy as np
import pandas as pd
import pytest

from lib.errors import InputError
from lib.experiments import track_measures as measures
from lib.experiments.evidence import advantage, room, skill
from lib.experiments.tracks import GROUPS, tracks

EMOTIONS = ("neutral", "happy", "sad", "angry")
CHEAP = ("distance", "dynamics", "sync", "achieved")


@pytest.fixture(scope="module")
def data():
    return tracks("smoke", 0)


@pytest.fixture(scope="module")
def controls(data):
    known = tuple(data.rows("train").actor.unique())
    rows = data.rows("unseen", "seen")
    feature = [np.full((len(track), 2), i, np.float32) for i, track in enumerate(data.landmarks)]

    def driven(heard, clip):
        return np.repeat(data.template(clip)[None] + heard[0, 0], len(heard), 0)

    return measures.TrackControls(data, rows, known, driven, driven, feature)


@pytest.fixture(scope="module")
def table(data, controls):
    names = ("control/static-template", "control/oracle", "control/shuffled-truth", "control/truth")
    return pd.concat([measures.scores(data, name, controls.rows, lambda i, n=name: controls.predict(n, i), EMOTIONS)
                      for name in names])


def emotional(data) -> int:
    return int(data.table.index[data.table.emotion == "happy"][0])


def test_truth_scores_perfectly(table):
    truth = table[table.system == "control/truth"]
    zero = [c for c in truth if c.startswith(("lmd", "lip_", "upper_px", "es_jsd", "lag_s"))]
    one = [c for c in truth if c.endswith("_ratio")] + ["es", "es_clip", "es_agreement", "es_training"]
    assert np.abs(truth[zero].to_numpy()).max() < 1e-5 and len(zero) > 12
    assert truth[one].to_numpy() == pytest.approx(1.0) and len(one) == 3 * len(GROUPS) + 4
    assert truth.judge.mean() > 0.9 and (truth.sync_px > 0.5).all()


def test_trivial_rivals_lose_where_they_must(table):
    mean = table.groupby("system").mean(numeric_only=True)
    static, oracle, other = (mean.loc[f"control/{name}"] for name in ("static-template", "oracle", "shuffled-truth"))
    for metric in ("lmd_face_px", "lmd_mouth_px", "lmd_makeittalk", "lip_opening_error_px"):
        assert oracle[metric] < 0.25 * min(static[metric], other[metric])
    assert static.proxy_confidence < other.proxy_confidence < 0.6 * oracle.proxy_confidence
    assert static.es < oracle.es and other.es < oracle.es and static.achieved == pytest.approx(0, abs=0.05)
    assert static.all_energy_ratio == 0 and other.all_energy_ratio > 0.5


def test_tables_are_evidence(table):
    static = skill(table, "control/static-template", "lmd_face_px", "unseen")
    assert skill(table, "control/oracle", "lmd_face_px", "unseen").value.mean() == pytest.approx(1)
    assert static.value.mean() == pytest.approx(0) and (room(table, "lmd_face_px", "unseen") > 0).all()
    gain = advantage(table, "control/oracle", "control/static-template", "lmd_face_px", "unseen")
    assert list(gain) == ["seed", "speaker", "clip", "value"] and (gain.value > 0).all()


def test_lips_that_lag_are_found_late_and_lose_their_margin(data):
    truth = data.landmarks[0]
    late = np.concatenate([np.repeat(truth[:1], 3, 0), truth[:-3]])
    found = measures.lip_sync(late, truth, data.fps)
    assert found["lag_s"] == pytest.approx(3 / 25)
    assert found["sync_px"] < measures.lip_sync(truth, truth, data.fps)["sync_px"]
    assert measures.proxy_sync(data, 0, late)["proxy_offset"] == pytest.approx(3, abs=1)   # the sound comes early


def test_achieved_intensity_is_the_true_one_on_the_axis(data):
    clip = emotional(data)
    neutral, full = (measures.exact_face(data, clip, emotion) for emotion in ("neutral", "happy"))
    assert np.array_equal(full, data.truth_of(clip, "happy", 1.0))
    assert measures.achieved(data, clip, full, "happy") == pytest.approx(1)
    assert measures.achieved(data, clip, neutral, "happy") == pytest.approx(0)
    assert measures.achieved(data, clip, (neutral + full) / 2, "happy") == pytest.approx(0.5, abs=1e-3)
    low, high = (measures.exact_face(data, clip, "happy", level) for level in (0.3, 0.7))
    assert measures.achieved(data, clip, low, "happy") < measures.achieved(data, clip, high, "happy") < 1


def test_similarity_falls_with_another_emotion_and_sees_no_identity(data):
    clip = emotional(data)
    happy, sad = (data.truth_of(clip, emotion, 1.0) for emotion in ("happy", "sad"))
    same = measures.similarity(data, clip, happy, happy, EMOTIONS)
    other = measures.similarity(data, clip, sad, happy, EMOTIONS)
    assert other["es"] < 0.5 * same["es"] and other["es_jsd"] > 0.3 and other["es_training"] < same["es_training"]
    assert measures.recognised(data, clip, happy, "happy", EMOTIONS) == 1.0
    assert measures.recognised(data, clip, happy, "sad", EMOTIONS) == 0.0


def test_divergence_and_cosine_have_their_known_values():
    one_hot, uniform = np.eye(7)[0], np.full(7, 1 / 7)
    assert measures.cosine(uniform, one_hot) == pytest.approx(7**-0.5)            # .378: why flat judges raise ES
    assert measures.divergence(one_hot, np.eye(7)[1]) == pytest.approx(np.log(2))
    assert measures.divergence(uniform, uniform) == 0


def test_controls_take_sound_of_another_sentence_and_keep_the_own_face(data, controls):
    clip = int(controls.rows.index[0])
    other = controls.other(clip)
    assert data.table.sentence[other] != data.table.sentence[clip]
    shuffled = controls.predict("control/shuffled-audio", clip)
    assert shuffled == pytest.approx(controls.predict("control/static-template", clip) + other)
    assert controls.predict("control/random-init", clip)[0] == pytest.approx(data.template(clip) + clip)
    mean = controls.predict("control/mean-motion", clip) - data.template(clip)
    rows = data.rows("train").index
    moved = np.concatenate([data.landmarks[i] - data.template(i) for i in rows])
    assert mean[5] == pytest.approx(moved.mean(0), abs=1e-3)


def test_kinds_choose_columns_and_unknown_or_broken_input_is_refused(data):
    clip, truth = emotional(data), data.landmarks[emotional(data)]
    cheap = measures.score(data, clip, truth, truth, EMOTIONS, kinds=CHEAP)
    assert "achieved" in cheap and "es" not in cheap and "proxy_offset" not in cheap
    late = np.roll(truth, 2, 0)
    few, whole = (measures.score(data, clip, late, truth, EMOTIONS, kinds=(k,)) for k in (measures.FEW, "distance"))
    assert len(few) == 3 and few == {name: pytest.approx(whole[name]) for name in few}
    neutral = int(data.table.index[data.table.emotion == "neutral"][0])
    assert measures.score(data, neutral, data.landmarks[neutral], data.landmarks[neutral], EMOTIONS,
                          kinds=("achieved",)) == {}
    with pytest.raises(InputError, match="fancy"):
        measures.score(data, clip, truth, truth, EMOTIONS, kinds=("fancy",))
    with pytest.raises(InputError, match="frames"):
        measures.score(data, clip, truth[:-1], truth, EMOTIONS)
    with pytest.raises(InputError, match="NaN"):
        measures.score(data, clip, truth * np.nan, truth, EMOTIONS)
