"""Traits of actors."""

import numpy as np

from lib.face.rig import mirror
from lib.puppet.actors import TRAITS, actor, low_discrepancy


def test_the_sequence_in_one_dimension_steps_by_the_golden_ratio():
    assert low_discrepancy(0, 1)[0] == np.float64((0.5 + 0.6180339887498949) % 1)


def test_an_actor_is_a_pure_function_of_its_number():
    first = actor(5)
    actor.cache_clear()
    assert actor(5) == first


def test_sixteen_actors_span_every_trait_evenly_and_no_trait_follows_expressivity():
    table = np.array([[getattr(actor(a), name) for name in TRAITS] for a in range(16)])
    low, high = np.array(list(TRAITS.values())).T
    share = (table - low) / (high - low)
    assert share.min(0).max() < 0.15 and share.max(0).min() > 0.85
    assert abs(np.corrcoef(share.T)[0, 1:]).max() < 0.2


def test_the_most_expressive_actor_shows_at_least_twice_the_least():
    expressivity = [actor(a).expressivity for a in range(16)]
    assert max(expressivity) / min(expressivity) > 2


def test_an_accent_is_the_same_on_both_sides_and_stays_within_a_quarter():
    accent = actor(3).accent
    np.testing.assert_array_equal(accent, mirror(accent))
    assert 0.75 <= accent.min() < 0.85 and 1.15 < accent.max() <= 1.25
    assert (accent != actor(4).accent).all()
