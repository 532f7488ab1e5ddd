"""Emotion classes are converted by name, never by position."""

from itertools import product

import numpy as np
import pytest
import torch

from lib import labels
from lib.data import ravdess
from lib.errors import InputError
from lib.puppet.spec import EMOTIONS


@pytest.mark.parametrize(("one", "other"), list(product(labels.ORDERS, repeat=2)))
def test_the_common_seven_survive_the_way_to_any_order_and_back(one, other):
    there = labels.translate(np.arange(len(labels.ORDERS[one])), one, other)
    for name in labels.COMMON:
        index = labels.ORDERS[one].index(name)
        assert labels.ORDERS[other][there[index]] == name
        assert labels.translate(there[index], other, one) == index


def test_orders_use_the_names_of_the_study_and_of_the_readers():
    for names in labels.ORDERS.values():
        assert set(labels.COMMON) <= set(names) <= {*EMOTIONS, "calm"}
    assert labels.order(ravdess.LABELS) == labels.ORDERS["ravdess"]
    assert labels.ORDERS["affectnet-8"].index("contempt") == 7


def test_published_spellings_are_understood():
    assert [labels.canonical(x) for x in ("ANG", "fear", "Happiness", "surprise", "D")] == [
        "angry", "fearful", "happy", "surprised", "disgusted"]


def test_scores_move_with_their_names_and_surplus_ones_drop_out():
    mead = np.arange(8.0)                              # angry 0, contempt 1, disgusted 2 ...
    assert labels.reorder(mead, "mead", "affectnet-7").tolist() == [5, 4, 6, 7, 3, 2, 0]
    assert labels.reorder(torch.arange(7.0)[None], "affectnet-7", ("ANG", "NEU")).tolist() == [[6, 0]]


@pytest.mark.parametrize(("call", "message"), [
    (lambda: labels.canonical("bored"), "bored"),
    (lambda: labels.order("fer2013"), "fer2013"),
    (lambda: labels.order(("ang", "anger")), "each emotion once"),
    (lambda: labels.reorder(np.zeros(8), "affectnet-7", "mead"), "expected 7"),
    (lambda: labels.reorder(np.zeros(7), "affectnet-7", "mead"), "contempt"),
    (lambda: labels.translate([7], "affectnet-7", "mead"), "0 to 6"),
    (lambda: labels.translate([0.5], "affectnet-7", "mead"), "whole numbers"),
])  # fmt: skip
def test_what_cannot_be_converted_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
