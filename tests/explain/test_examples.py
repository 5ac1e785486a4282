"""Which answers are explained: by hand, of classes, several labels and numbers."""

import numpy as np
import pytest

from tasks.explain.examples import examples
from tasks.targets import Output

CLASSES = Output("classification", ("a", "b", "c"))


def test_the_surest_of_both_and_more_right_ones_where_few_are_wrong():
    answer = np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.3, 0.3, 0.4]])
    found = examples(answer, np.array([0, 1, 0, 2, 2]), CLASSES, 4)
    assert [(one.row, one.right, one.says, one.truth) for one in found] == [
        (0, True, "a", "a"),
        (1, True, "b", "b"),
        (2, False, "c", "a"),
        (3, False, "a", "c"),
    ]
    assert [one.sure for one in found] == pytest.approx([0.9, 0.7, 0.8, 0.6])
    assert [one.column for one in found] == [0, 1, 2, 0]
    mostly = examples(answer, np.array([0, 1, 2, 2, 2]), CLASSES, 4)
    assert [(one.row, one.right) for one in mostly] == [(0, True), (2, True), (1, True), (3, False)]
    assert examples(answer, np.array([0, 1, 2, 0, 2]), CLASSES, 4)[-1].right
    assert examples(answer, np.array([0, 1, 0, 2, 2]), CLASSES, 0) == []
    assert len(examples(answer[:1], np.array([0]), CLASSES, 6)) == 1


def test_of_a_number_the_nearest_and_the_farthest():
    found = examples(np.array([[1.0], [2.0], [9.0], [4.1]]), np.array([1.5, 2.0, 3.0, 4.0]), Output("regression"), 2)
    assert [(one.row, one.right, one.truth, one.says, one.sure) for one in found] == [
        (1, True, "2", "2", None),
        (2, False, "3", "9", None),
    ]


def test_of_several_labels_the_surest_that_is_wrong():
    output = Output("multilabel", ("cough", "fever"))
    answer = np.array([[0.9, 0.2], [0.7, 0.1], [0.3, 0.95]])
    truth = np.array([[1, 0], [1, 1], [0, 1]])
    found = examples(answer, truth, output, 2)
    assert [(one.row, one.right, one.says, one.truth) for one in found] == [
        (2, True, "fever", "fever"),
        (1, False, "not fever", "fever"),
    ]
    assert [one.sure for one in found] == pytest.approx([0.95, 0.9])
    assert [one.lacks for one in found] == [False, True]
