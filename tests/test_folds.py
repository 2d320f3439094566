"""Folds: everyone is held out once, nobody is on both sides, and the division depends on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from app.errors import DataError
from model.folds import PROTOCOLS, lone_classes, make_folds, set_aside

SUBJECT = np.array(["b/1", "a/1", "a/2", "a/1", "b/1", "b/2", "a/2", "c/7"])
DATASET = np.array([name[0] for name in SUBJECT])


def folds(protocol: str, subject=SUBJECT, dataset=DATASET, **options):
    return make_folds(PROTOCOLS[protocol], np.asarray(subject), np.asarray(dataset), **options)


@pytest.mark.parametrize("protocol", ["loso", "loso-early-stopping", "paper"])
def test_leave_one_subject_out(protocol):
    made = folds(protocol)
    assert [fold.name for fold in made] == ["a_1", "a_2", "b_1", "b_2", "c_7"]
    assert made[0].test.tolist() == [1, 3]
    assert made[0].train.tolist() == [0, 2, 4, 5, 6, 7]


def test_leave_one_data_set_out():
    made = folds("lodo")
    assert [(fold.name, fold.test.tolist()) for fold in made] == [("a", [1, 2, 3, 6]), ("b", [0, 4, 5]), ("c", [7])]


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_every_sample_is_tested_once_by_a_network_that_has_not_seen_the_person(protocol):
    rng = np.random.default_rng(0)
    subject = np.array([f"{'ab'[n % 2]}/{n}" for n in rng.integers(0, 12, 100)])
    made = folds(protocol, subject, [name[0] for name in subject])
    assert sorted(np.concatenate([fold.test for fold in made]).tolist()) == list(range(100))
    for fold in made:
        assert not set(subject[fold.train]) & set(subject[fold.test])
        assert len(fold.train) + len(fold.test) == 100


def test_kfold_deals_subjects_out_evenly():
    subject = np.repeat([f"a/{i}" for i in range(7)], [30, 12, 10, 9, 9, 8, 2])
    made = folds("kfold", subject, np.full(80, "a"), folds=3)
    assert [fold.name for fold in made] == ["fold01", "fold02", "fold03"]
    assert sorted(len(fold.test) for fold in made) == [23, 27, 30]


def test_a_subject_in_two_data_sets_is_refused():
    with pytest.raises(DataError, match=r"p1.*by person"):
        folds("lodo", ["p1", "p2", "p1"], ["a", "a", "b"])


@pytest.mark.parametrize(
    ("protocol", "options", "message"),
    [
        ("loso", {"subject": ["a/1", "a/1"], "dataset": ["a", "a"]}, "at least two subjects.*only a/1"),
        ("lodo", {"subject": ["a/1", "a/2"], "dataset": ["a", "a"]}, "at least two data sets.*only a"),
        ("kfold", {"folds": 1}, "at least two folds"),
        ("kfold", {"folds": 6}, "5 subjects do not make 6 folds: use --folds 5"),
        ("loso", {"subject": ["a 1", "a/1"], "dataset": ["a", "a"]}, "folder called a_1"),
    ],
)
def test_divisions_that_cannot_be_made_are_refused(protocol, options, message):
    with pytest.raises(DataError, match=message):
        folds(protocol, **options)


def test_subjects_are_set_aside_as_a_whole():
    train = np.array([0, 1, 2, 3, 4, 5, 6])
    learn, aside = set_aside(train, SUBJECT, np.random.default_rng(1))
    assert sorted([*learn, *aside]) == train.tolist()
    assert len(set(SUBJECT[aside])) == 1
    assert not set(SUBJECT[learn]) & set(SUBJECT[aside])
    again = set_aside(train, SUBJECT, np.random.default_rng(1))[1]
    assert again.tolist() == aside.tolist()
    drawn = {set_aside(train, SUBJECT, np.random.default_rng(seed))[1].tolist()[0] for seed in range(10)}
    assert len(drawn) > 1


def test_one_training_subject_cannot_be_set_aside():
    with pytest.raises(DataError, match="one subject only"):
        set_aside(np.array([1, 3]), SUBJECT, np.random.default_rng(0))


def test_classes_of_one_subject_are_named():
    label = np.array([0, 0, 1, 1, 2, 2, 0, 0])
    assert lone_classes(label, SUBJECT, ("x", "y", "z", "empty")) == []
    label[0:2] = 3
    label[4:6] = 0
    label[0] = 2
    assert lone_classes(label, SUBJECT, ("x", "y", "z", "w")) == ["z", "w"]
