"""Thresholds and rates follow from counts as the definitions say."""

import random
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.balancing.thresholds import (
    Distribution,
    Thresholds,
    rates,
    rates_at,
    rates_of,
    tail_share,
    threshold,
    threshold_for_size,
    unlimited_threshold,
)
from curation.config import ASSUMED_TAIL_SHARE, CurationConfig
from runtime.errors import InputError
from tests.naive.sampling import naive_rate, naive_tail_share, naive_threshold

COUNTS = st.lists(st.integers(0, 30), max_size=12)


def test_hand_values_of_the_paper_come_out():
    assert tail_share([1, 2, 7, 10], 5) == 0.15
    assert threshold([1, 3, 6, 10], 0.15) == 3


def test_an_entry_counted_exactly_t_is_no_tail():
    assert tail_share([4, 5, 6], 5) == 4 / 15


def test_the_tail_share_of_no_counts_is_zero():
    assert tail_share([], 5) == tail_share([0, 0], 5) == 0.0


@given(COUNTS, st.integers(1, 31))
def test_tail_shares_are_those_of_the_definition(counts, t):
    assert tail_share(counts, t) == float(naive_tail_share(counts, t))


@given(COUNTS, st.integers(0, 60), st.integers(1, 60))
def test_thresholds_are_those_of_exact_fractions_ties_included(counts, part, whole):
    p = Fraction(min(part, whole), whole)
    assert threshold(counts, float(p)) == naive_threshold(counts, p)


def test_of_two_shares_as_near_the_first_is_taken():
    assert threshold([1, 9], 0.55) == 1  # in floats |1 - 0.55| is the smaller by 6e-17
    assert threshold([1, 9], np.nextafter(0.55, 1)) == 9


def test_the_order_of_counts_is_of_no_matter():
    counts = [random.Random(0).randrange(1000) for _ in range(200)]
    assert threshold(counts, 0.3) == threshold(sorted(counts), 0.3) == threshold(counts[::-1], 0.3)


def test_shares_are_exact_where_floats_are_not():
    counts = [2**53 + 1, 2**53 + 3]
    assert threshold(counts, tail_share(counts, 2**53 + 3)) == 2**53 + 1
    assert tail_share(counts, 2**53 + 2) == float(Fraction(2**53 + 1, 2**54 + 4))
    assert tail_share([2**62, 2**61], 2**62) == 1 / 3


def test_counts_beyond_32_bits_have_the_shares_thresholds_and_rates_of_the_definition():
    counts = [3, 2**31, 2**32 + 1, 2**40]
    for t in (1, 5, 20_000, 2**32 + 1):
        assert tail_share(counts, t) == float(naive_tail_share(counts, t))
        assert rates(counts, t).tolist() == [float(np.float32(naive_rate(count, t))) for count in counts]
    for p in (0.0, 0.25, 1.0):
        assert threshold(counts, p) == naive_threshold(counts, Fraction(p))


@pytest.mark.parametrize("counts", [[0, 0, 5], [0] * 98 + [3, 9]])
def test_a_language_with_few_counts_does_not_vanish(counts):
    t = threshold(counts, ASSUMED_TAIL_SHARE)
    assert t == min(count for count in counts if count)
    assert rates(counts, t).min() > 0.3


def test_a_language_without_counts_has_threshold_one():
    assert threshold([], 0.06) == threshold([0, 0, 0], 0.06) == 1


@given(COUNTS, st.integers(1, 31))
def test_rates_are_those_of_the_definition_in_32_bits(counts, t):
    assert rates(counts, t).dtype == np.float32
    assert rates(counts, t).tolist() == [float(np.float32(naive_rate(count, t))) for count in counts]


def test_counts_may_be_arrow_or_unsigned_or_whole_floats():
    for counts in (pa.array([0, 2, 8]), np.array([0, 2, 8], np.uint32), np.array([0.0, 2.0, 8.0])):
        assert rates(counts, 4).tolist() == [1, 1, 0.5]


def test_counts_are_left_as_they_were():
    counts = np.array([5, 0, 3])
    threshold(counts, 0.5)
    rates(counts, 2)
    assert counts.tolist() == [5, 0, 3]


@pytest.mark.parametrize("counts", [[-1, 2], [1.5], [float("nan")], [float("inf")], ["a"], [[1]], 3, [2**62, 2**62]])
def test_counts_that_are_no_numbers_of_texts_are_refused(counts):
    for refuses in (lambda: tail_share(counts, 2), lambda: threshold(counts, 0.5), lambda: rates(counts, 2)):
        with pytest.raises(InputError, match="counts"):
            refuses()


@pytest.mark.parametrize("t", [0, -1, float("nan"), "20000", None])
def test_a_threshold_below_one_is_refused(t):
    for refuses in (lambda: tail_share([1], t), lambda: rates([1], t), lambda: Thresholds.of({"en": [1]}, t)):
        with pytest.raises(InputError, match="threshold"):
            refuses()


@pytest.mark.parametrize("p", [-0.01, 1.01, float("nan"), "0.06"])
def test_a_share_outside_zero_to_one_is_refused(p):
    with pytest.raises(InputError, match="tail share"):
        threshold([1, 2], p)
    with pytest.raises(InputError, match="tail share"):
        Thresholds.of({"en": [1]}, 5, tail_share=p)


def test_every_language_takes_the_tail_share_of_english():
    found = Thresholds.of({"ja": [1, 3, 6, 10], "en": [1, 2, 7, 10], "rare": [0, 4], "none": [0]}, 5)
    assert found == Thresholds(0.15, {"ja": 3, "en": 5, "rare": 4, "none": 1}, assumed=False)


def test_english_keeps_its_threshold_where_a_tail_share_is_given():
    found = Thresholds.of({"en": [1, 2, 7, 10], "ja": [1, 3, 6, 10]}, 5, tail_share=0.5)
    assert found == Thresholds(0.5, {"en": 5, "ja": 6}, assumed=False)


@pytest.mark.parametrize("counts", [{"ja": [1, 3, 6, 10]}, {"en": [0, 0], "ja": [1, 3, 6, 10]}])
def test_without_an_english_match_the_share_is_assumed_and_said_to_be(counts):
    found = Thresholds.of(counts, 20_000)
    assert (found.tail_share, found.of_language["ja"], found.assumed) == (0.06, 1, True)


def test_a_given_share_is_not_called_assumed():
    assert not Thresholds.of({"ja": [1, 3]}, 20_000, tail_share=0.06).assumed
    assert not Thresholds.same({"ja": [1, 3]}, 20_000).assumed


def test_sorted_counts_give_the_same_thresholds():
    counts = {"en": [1, 2, 7, 10], "ja": [1, 3, 6, 10]}
    once = {language: Distribution.of(each) for language, each in counts.items()}
    assert Thresholds.of(once, 5) == Thresholds.of(counts, 5)


def test_rates_over_all_ids_use_the_threshold_of_each_language():
    counts, languages = np.array([4, 10, 0, 6, 9]), {"en": slice(0, 2), "none": slice(2, 2), "ja": slice(2, 5)}
    thresholds = Thresholds(0.1, {"en": 5, "ja": 3, "none": 1})
    expected = np.array([1, 0.5, 1, 0.5, 1 / 3], np.float32)
    assert rates_of(counts, languages, thresholds).tolist() == expected.tolist()
    table = rates_at(counts, languages, [thresholds, Thresholds(0.2, {"en": 10, "ja": 9, "none": 1})])
    assert table.T.tolist() == [expected.tolist(), [1] * 5]


def test_below_the_unlimited_threshold_lies_every_match():
    assert tail_share([3, 8, 0], unlimited_threshold([3, 8, 0])) == 1.0
    assert unlimited_threshold([]) == 1


@pytest.mark.parametrize("upper", [1, 2, 3, 16, 17, 18, 1000, 120_000_001])
@pytest.mark.parametrize("probes", [1, 2, 15])
def test_the_smallest_threshold_that_reaches_the_size_is_found(upper, probes):
    for smallest in {1, min(2, upper), upper // 3 + 1, max(upper - 1, 1), upper}:
        found = threshold_for_size(lambda ts: [float(t) for t in ts], smallest - 0.5, upper, probes)
        assert (found.threshold, found.size, found.reached) == (smallest, smallest, True)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300), st.integers(1, 50))
def test_steps_in_the_size_do_not_mislead_the_search(sizes, target):
    sizes = sorted(sizes)
    found = threshold_for_size(lambda ts: [sizes[t - 1] for t in ts], target, len(sizes))
    reaching = [t for t in range(1, len(sizes) + 1) if sizes[t - 1] >= target]
    assert (found.threshold, found.reached) == (reaching[0] if reaching else len(sizes), bool(reaching))


def test_a_size_out_of_reach_is_said_to_be():
    found = threshold_for_size(lambda ts: [100.0 for _ in ts], 101, 5000)
    assert (found.threshold, found.size, found.reached) == (5000, 100.0, False)


def test_few_passes_find_a_threshold_below_the_largest_count_of_the_web():
    passes = []

    def size_of(thresholds):
        assert len(thresholds) <= 15
        assert thresholds == sorted(set(thresholds))
        passes.append(thresholds)
        return thresholds

    assert threshold_for_size(size_of, 20_000, 120_000_000).threshold == 20_000
    assert len(passes) <= 6


@pytest.mark.parametrize(("target", "upper"), [(0, 5), (float("nan"), 5), (3, 0), (3, 2.5)])
def test_a_search_without_sense_is_refused(target, upper):
    with pytest.raises(InputError):
        threshold_for_size(lambda ts: ts, target, upper)


def test_defaults_of_a_curation_are_those_of_the_paper():
    config = CurationConfig()
    assert (config.english_threshold, config.seed, config.rules, config.max_texts) == (20_000, 0, "unicode", 64)
    assert CurationConfig.english_threshold == 20_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("english_threshold", 0),
        ("english_threshold", 2.5),
        ("english_threshold", None),
        ("target_size", 0),
        ("tail_share", 1.5),
        ("tail_share", float("nan")),
        ("seed", "0"),
        ("seed", True),
        ("rules", "ascii"),
        ("matcher", "regex"),
        ("no_language", "drop"),
        ("wrong_script", "drop"),
        ("witnesses", ["judge"]),
        ("witnesses", "pool"),
        ("max_texts", 0),
        ("min_language_score", -0.1),
        ("rows_per_file", 0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=name):
        CurationConfig(**{name: value})


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"da": 1.1}, "pool_shares is 1.1; it must"), ({"daa": 0.5}, "did you mean da"), ({"da": 0.5}, "add pool to")],
)
def test_shares_of_the_pool_are_checked_and_need_the_witness_that_weighs_them(shares, message):
    CurationConfig(witnesses=["pool"], pool_shares={"da": 0.5})
    with pytest.raises(InputError, match=message):
        CurationConfig(pool_shares=shares)


@pytest.mark.parametrize(
    ("scores", "message"),
    [({"da": 1.1}, "min_language_score is 1.1; it must be a number from 0 to 1"), ({"daa": 0.5}, "did you mean da")],
)
def test_a_score_of_one_language_is_checked_like_that_of_all(scores, message):
    with pytest.raises(InputError, match=message):
        CurationConfig(min_language_scores=scores)
