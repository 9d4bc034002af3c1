"""Which networks no other beats in both speed and quality."""

from benchmarks._pareto import front


def test_a_point_is_on_the_front_unless_another_is_as_good_in_both() -> None:
    fast, slow_and_bad, good, equally_good_but_slower = (9.0, 30.0), (8.0, 29.0), (2.0, 33.0), (1.0, 33.0)
    assert front([fast, slow_and_bad, good, equally_good_but_slower]) == [True, False, True, False]


def test_equal_points_are_both_on_the_front() -> None:
    assert front([(1.0, 30.0), (1.0, 30.0)]) == [True, True]
