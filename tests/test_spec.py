"""Balance, names and splits of corpora."""

from itertools import combinations

import numpy as np
import pytest

from lib.errors import InputError
from lib.puppet.actors import actor
from lib.puppet.spec import FACTORS, LAPTOP, SMOKE, ClipSpec, CorpusSpec, draw_split, mutual_information

JUDGES = CorpusSpec("judges", actors=tuple(range(100, 108)), bank="en-judge", clips_per_cell=4)


def test_mutual_information_of_a_fair_coin_with_itself_is_ln_2():
    clips = [ClipSpec(0, "happy", 0.5, "s", session=0), ClipSpec(1, "sad", 0.5, "s", session=1)]
    assert mutual_information(clips, "actor", "emotion") == pytest.approx(np.log(2))
    assert mutual_information(clips, "actor", "intensity") == 0


@pytest.mark.parametrize("spec", [SMOKE, LAPTOP, JUDGES], ids=lambda spec: spec.name)
def test_any_two_factors_of_a_corpus_are_independent(spec):
    clips = spec.clips()
    worst = max(mutual_information(clips, *pair) for pair in combinations(FACTORS, 2))
    assert worst < 1e-12


def test_the_corpora_have_the_sizes_the_study_states():
    assert len(SMOKE.clips()) == 32
    assert len(LAPTOP.clips()) == 896
    assert len({clip.id for clip in LAPTOP.clips()}) == 896
    assert len({clip.sentence for clip in LAPTOP.clips()}) == 28


def test_counts_that_cannot_be_balanced_are_refused():
    with pytest.raises(InputError, match="cannot balance"):
        CorpusSpec("odd", actors=(0, 1, 2, 3), intensities=(0.2, 0.4, 0.6, 0.8, 1.0), clips_per_cell=2)


def test_a_corpus_keeps_its_name_through_json_and_changes_it_with_any_factor():
    again = CorpusSpec.from_json(LAPTOP.to_json())
    assert again == LAPTOP and again.hash == LAPTOP.hash
    assert len(LAPTOP.to_json()) < 1_000_000
    assert CorpusSpec("laptop", actors=LAPTOP.actors, clips_per_cell=7, seed=1).hash != LAPTOP.hash


def test_a_listed_corpus_survives_json_and_needs_no_balance():
    clips = ClipSpec(0, "happy", 1.0, "en-main-000"), ClipSpec(0, "sad", 0.1, "en-main-000")
    listed = CorpusSpec("two", listed=clips)
    assert CorpusSpec.from_json(listed.to_json()).clips() == list(listed.listed)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}'])
def test_text_that_is_no_spec_is_refused(text):
    with pytest.raises(InputError):
        CorpusSpec.from_json(text)


@pytest.mark.parametrize("change", [{"emotion": "joyful"}, {"intensity": 1.5}, {"intensity": float("nan")},
                                    {"actor": -1}, {"voice_emotion": "x"}, {"mood": 3}])
def test_an_impossible_clip_is_refused(change):
    with pytest.raises(InputError):
        ClipSpec(0, "happy", 1.0, "en-main-000").changed(**change)


def test_face_and_voice_can_be_set_apart():
    spec = ClipSpec(0, "happy", 0.8, "en-main-000")
    face = spec.changed(face_only=True, emotion="sad")
    assert (face.emotion, face.intensity, face.voice) == ("sad", 0.8, ("happy", 0.8))
    voice = spec.changed(voice_only=True, emotion="sad", intensity=0.4)
    assert (voice.emotion, voice.intensity, voice.voice) == ("happy", 0.8, ("sad", 0.4))
    assert len({spec.id, face.id, voice.id}) == 3


def test_a_split_holds_out_six_actors_and_two_test_and_one_validation_clip_per_cell():
    split, clips = draw_split(LAPTOP, seed=3), LAPTOP.clips()
    assert (len(split.train_actors), len(split.test_actors)) == (10, 6)
    assert [len(split.indices(clips, part)) for part in ("train", "val", "test", "test_seen", "unused")] == [
        10 * 8 * 4, 10 * 8, 6 * 8 * 2, 10 * 8 * 2, 6 * 8 * 5]
    for a, e in [(0, "happy"), (7, "sad")]:
        cell = [clip.sentence for clip in clips if (clip.actor, clip.emotion) == (a, e)]
        assert sum(sentence in split.test_sentences for sentence in cell) == 2
        assert sum(sentence in split.val_sentences for sentence in cell) == 1


def test_train_and_test_share_neither_actor_nor_sentence_and_a_seed_fixes_the_draw():
    for seed in range(20):
        split, clips = draw_split(LAPTOP, seed), LAPTOP.clips()
        train, test = ([clips[i] for i in split.indices(clips, part)] for part in ("train", "test"))
        assert not {c.actor for c in train} & {c.actor for c in test}
        assert not {c.sentence for c in train} & {c.sentence for c in test}
        assert split == draw_split(LAPTOP, seed)
    assert len({draw_split(LAPTOP, seed) for seed in range(20)}) == 20


def test_held_out_actors_are_half_less_and_half_more_expressive():
    median = np.median([actor(a).expressivity for a in LAPTOP.actors])
    for seed in range(5):
        assert sum(actor(a).expressivity > median for a in draw_split(LAPTOP, seed).test_actors) == 3
