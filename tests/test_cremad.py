"""CREMA-D: file names, the crowd's votes, and the split behind ECM's Table 3."""

import numpy as np
import pytest
import soundfile

from lib.data import cremad
from lib.errors import InputError
from lib.paths import find_asset


@pytest.fixture(scope="module")
def published():
    folder = find_asset("cremad_ratings")
    if folder is None:
        pytest.skip("asset cremad_ratings not found: STUDY_DATA names no folder with it")
    return folder


@pytest.fixture(scope="module")
def ratings(published):
    return cremad.ratings(published)


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stem", "emotion", "intensity"), [
    ("1001_IEO_ANG_LO", "angry", 1 / 3), ("1091_IEO_DIS_HI", "disgusted", 1.0), ("1015_DFA_SAD_XX", "sad", None),
    ("1001_IEO_NEU_XX", "neutral", 0.0),
])  # fmt: skip
def test_names_say_actor_sentence_emotion_and_intensity(stem, emotion, intensity):
    labels = cremad.parse(stem)
    assert (labels["actor"], labels["sentence"]) == (int(stem[:4]), stem[5:8])
    assert (labels["emotion"], labels["intensity"]) == (emotion, intensity)


@pytest.mark.parametrize("stem", ["1001_IEO_ANG", "1000_IEO_ANG_HI", "1092_IEO_ANG_HI", "1001_XXX_ANG_HI",
                                  "1001_IEO_SUR_HI", "1001_IEO_ANG_AA", "1001_ieo_ang_hi", "03-01-06-01-02-01-12"])
def test_other_names_are_refused(stem):
    with pytest.raises(InputError, match="e.g. 1001_IEO_ANG_HI"):
        cremad.parse(stem)


# Clips ----------------------------------------------------------------------------------------------------------------


def test_clips_with_sound_are_read_with_their_labels(tmp_path):
    for stem in ("1002_IEO_HAP_MD", "1001_TSI_NEU_XX"):
        soundfile.write(tmp_path / f"{stem}.wav", np.sin(np.arange(8000) / 20), 16000)
    clips = cremad.clips(tmp_path)
    assert clips.ids == ("cremad-1001_TSI_NEU_XX", "cremad-1002_IEO_HAP_MD")
    clip = clips[1]
    assert (clip.speaker, clip.emotion, clip.sentence) == ("cremad-1002", "happy", "cremad-IEO")
    assert clip.intensity == pytest.approx(2 / 3) and clip.extra["text"] == "It's eleven o'clock"
    assert clip.duration_s == pytest.approx(0.5)


def test_a_file_of_another_corpus_is_named(tmp_path):
    soundfile.write(tmp_path / "hello.wav", np.zeros(1600), 16000)
    with pytest.raises(InputError, match="hello.wav"):
        cremad.clips(tmp_path)
    with pytest.raises(InputError, match="expected CREMA-D"):
        (tmp_path / "hello.wav").unlink()
        cremad.clips(tmp_path)


def test_the_four_published_clips_are_read(published):
    clips = cremad.clips(published)
    assert [clip.emotion for clip in clips] == ["angry", "fearful", "angry", "angry"]
    assert all(1 < clip.duration_s < 5 for clip in clips)


# Ratings --------------------------------------------------------------------------------------------------------------


def test_every_clip_is_rated_in_three_channels_and_shares_add_to_one(ratings):
    assert len(ratings) == 3 * 7442 and ratings.groupby("channel").stem.nunique().tolist() == [7442] * 3
    shares = ratings.filter(like="share_")
    assert shares.shape[1] == 6 and np.allclose(shares.sum(axis=1), 1)
    assert ratings.intensity.between(0, 1).all()


def test_the_share_of_right_answers_is_40_percent_by_voice_57_by_face_and_63_by_both(ratings):
    share = sum(ratings[f"share_{e}"].where(ratings.emotion == e, 0) for e in cremad.LABELS.values())
    right = share * ratings.responses
    rate = right.groupby(ratings.channel).sum() / ratings.responses.groupby(ratings.channel).sum()
    assert rate[["voice", "face", "both"]].round(3).tolist() == [0.400, 0.574, 0.631]       # published .409 .582 .636


def test_one_row_is_as_printed_in_the_table(ratings):
    row = ratings[(ratings.stem == "1001_IEO_ANG_MD") & (ratings.channel == "voice")].iloc[0]
    assert row.responses == 12 and row.share_angry == pytest.approx(5 / 12) and row.share_sad == pytest.approx(1 / 12)
    assert row.acted_intensity == pytest.approx(0.372) and row.intensity == pytest.approx(0.5058333)


def test_requested_levels_are_perceived_as_more_the_higher_they_are(ratings):
    graded = ratings[(ratings.level != "XX") & (ratings.channel == "both")]
    means = graded.groupby("level").acted_intensity.mean()
    assert means["LO"] < means["MD"] < means["HI"]


def test_nobody_named_the_acted_emotion_gives_no_number(ratings):
    unnamed = sum(ratings[f"share_{e}"].where(ratings.emotion == e, 0) for e in cremad.LABELS.values()) == 0
    assert ratings.acted_intensity[unnamed].isna().all() and ratings.acted_intensity[~unnamed].notna().all()


def test_winners_of_the_summary_are_those_with_most_votes(published, ratings):
    summary = cremad.summary(published)
    assert len(summary) == 3 * 7442
    merged = summary.merge(ratings, on=["stem", "channel"])
    shares = merged[[f"share_{e}" for e in cremad.STUDY_NAMES.values()]]
    top = shares.eq(shares.max(axis=1), axis=0).to_numpy()
    emotions = np.array(list(cremad.STUDY_NAMES.values()))
    assert all(set(emotions[row]) == set(won) for row, won in zip(top, merged.winners, strict=True))


# Split ----------------------------------------------------------------------------------------------------------------


def test_the_released_split_has_5948_and_1487_clips_and_speaker_1073_on_both_sides(published):
    train, test = cremad.released_split(cremad.names(published))
    assert (len(train), len(test)) == (5948, 1487) and not set(train) & set(test)
    assert {stem[:4] for stem in train} & {stem[:4] for stem in test} == {"1073"}
    counts = [sum(f"_{label}_" in stem for stem in test) for label in ("NEU", "HAP", "ANG", "SAD", "DIS", "FEA")]
    assert counts == [217, 254, 254, 254, 254, 254]                                          # rows of ECM's Table 3


def test_a_split_of_a_few_clips_needs_no_asset():
    stems = [f"10{n:02d}_IEO_ANG_HI" for n in range(1, 11)] + ["1076_MTI_NEU_XX"]
    train, test = cremad.released_split(reversed(stems))
    assert train == tuple(stems[:8]) and test == tuple(stems[8:10])


# Malformed tables -----------------------------------------------------------------------------------------------------

HEADER = ('"","A","D","F","H","N","S","fileName","numResponses","meanEmoResp","meanAngerResp","meanDisgustResp",'
          '"meanFearResp","meanHappyResp","meanNeutralResp","meanSadResp"\n')
ROW = '"100001",0,0,0,1,10,0,"1001_IEO_NEU_XX",11,71.7,-1,-1,-1,98,69.1,-1\n'


@pytest.mark.parametrize(("text", "message"), [
    (HEADER.replace('"H"', '"J"') + ROW, "tabulatedVotes.csv: H missing"),
    (HEADER, "every row missing"),
    ("", "no readable table"),
    (HEADER + ROW.replace(",10,", ",9,"), "row 2: the votes do not add up"),
    (HEADER + ROW + ROW.replace(",10,", ",ten,"), "row 3: votes must be whole"),
    (HEADER + ROW.replace(",1,10,", ",1.5,9.5,"), "row 2: votes must be whole"),
    (HEADER + ROW.replace("71.7", "171"), "meanEmoResp must lie between 0 and 100"),
    (HEADER + ROW.replace("100001", "900001"), "1xxxxx"),
    (HEADER + ROW.replace("1001_IEO", "1001"), "e.g. 1001_IEO_ANG_HI"),
])  # fmt: skip
def test_a_malformed_table_is_one_error_with_file_and_row(tmp_path, text, message):
    (tmp_path / "tabulatedVotes.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        cremad.ratings(tmp_path)


def test_a_well_formed_table_of_one_row_is_read(tmp_path):
    (tmp_path / "tabulatedVotes.csv").write_text(HEADER + ROW)
    row = cremad.ratings(tmp_path).iloc[0]
    assert row.share_neutral == pytest.approx(10 / 11) and row.acted_intensity == pytest.approx(0.691)


@pytest.mark.parametrize(("vote", "level"), [("Q", "50"), ("A:D", "50"), ("A", "fifty"), ("A", "500")])
def test_a_vote_that_is_none_is_named(tmp_path, vote, level):
    header = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'
    (tmp_path / "summaryTable.csv").write_text(f'{header}"1","1001_IEO_NEU_XX","{vote}","{level}","N","1","N","1"\n')
    with pytest.raises(InputError, match="summaryTable.csv"):
        cremad.summary(tmp_path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match="SentenceFilenames.csv"):
        cremad.names(tmp_path)
