"""Policies are parsed from names of rules, in any order, and refuse texts that are not rules."""

import pickle
import random
import re

import pytest

from curation.plugins.gate.filters import IMAGE, TEXT
from curation.plugins.gate.policies.image_rules import OF_HOSTS
from curation.plugins.gate.policies.policies import RULES, Policy
from runtime.errors import InputError
from tests.support.checkout import ROOT


def test_the_order_and_the_repetition_of_names_make_no_difference():
    names = ["min_words:3", "noai", "max_images_per_text:10", "html", "url_words", "noai", "min_words:3"]
    expected = ("noai", "url_words", "min_words:3", "html", "max_images_per_text:10")
    for seed in range(20):
        shuffled = random.Random(seed).sample(names, len(names))
        assert Policy.parse(shuffled).names == expected


def test_a_policy_is_read_back_from_its_names_and_travels_to_workers():
    policy = Policy.parse(["recommended", "max_images_per_domain:5"])
    assert Policy.parse(policy.names).names == policy.names
    assert pickle.loads(pickle.dumps(policy)).names == policy.names
    assert not Policy.parse([])


def test_the_recommended_rules_are_those_of_the_table_and_a_given_number_counts():
    expected = [f"{rule.name}:{rule.recommended}" if rule.numbers else rule.name for rule in RULES.values()]
    recommended = tuple(name for name, rule in zip(expected, RULES.values(), strict=True) if rule.recommended)
    assert Policy.parse(["recommended"]).names == recommended
    assert "junk:70" in recommended
    for names in (["recommended", "junk:50"], ["junk:50", "recommended"]):
        assert Policy.parse(names).names == tuple(name.replace("junk:70", "junk:50") for name in recommended)


def test_every_rule_is_of_one_scope_and_says_in_a_line_what_it_removes():
    others = [
        "cut_credits",
        "file_name",
        "headline:50",
        "license:cc0",
        "min_stated_size:100",
        "min_words:3",
        "max_images_per_text:10",
        "max_images_per_domain:10",
        *OF_HOSTS,
    ]
    policy = Policy.parse(["recommended", *others])
    assert policy.numbers.keys() == RULES.keys()
    assert len(policy.filters(IMAGE)) + len(policy.filters(TEXT)) == len(RULES) - 2
    for rule in RULES.values():
        assert rule.removes.startswith("texts " if rule.scope == TEXT or rule.name.endswith("text") else "images ")
        assert (" N " in rule.removes) == bool(rule.numbers) or rule.name == "max_images_per_domain"
        assert ("NAMES" in rule.removes) == bool(rule.names)


def test_the_page_about_policies_has_the_table_of_rules():
    page = (ROOT / "docs" / "how-to" / "policies.md").read_text("utf-8")
    for rule in RULES.values():
        number = f"`{rule.name}:{rule.recommended}`" if rule.numbers else "yes"
        assert f"| `{rule.form}` | {rule.removes} | {number if rule.recommended else ''} |" in page


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["spam"],
            "'spam' is not a rule; the rules are recommended, personal_data, noai, noimageai, noml, tdm_reservation,",
        ),
        (["NOAI"], "'NOAI' is not a rule; did you mean noai.$"),
        (["none"], "is not a rule; .* min_stated_size:N, junk:N, headline:N, min_words:N, file_name,"),
        (["recommended:2"], "'recommended:2' is not a rule"),
        ([""], "'' is not a rule"),
        (["noai:1"], "'noai:1': the rule noai takes no number; write noai"),
        (["noai:"], "takes no number"),
        (["license"], "'license': the rule license takes one or more of cc-by,cc-by-sa,.*,rsl; got ''"),
        (["license:cc-by,by"], "takes one or more of .*; got 'by'"),
        (["license:cc0", "license:other"], "the rule license is passed twice, with different numbers; pass one"),
        (["min_words"], "'min_words': the rule min_words takes a number from 2 to 1000, such as min_words:100"),
        (["min_words:"], "takes a number"),
        (["min_words:1"], "takes a number from 2"),
        (["min_words:1001"], "takes a number from 2"),
        (["min_words:-3"], "takes a number from 2"),
        (["min_words:2.5"], "takes a number from 2"),
        (["min_words:٣"], "takes a number from 2"),
        (["max_images_per_text:0"], "such as max_images_per_text:100"),
        (["max_images_per_text:" + "9" * 5000], "takes a number from 1"),
        (["min_words:2", "min_words:3"], "the rule min_words is passed twice, with different numbers; pass one"),
    ],
)
def test_what_is_no_rule_is_refused_in_a_sentence_that_says_what_there_is(names, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        Policy.parse(names)
    assert not re.search("\n", str(refused.value))


def test_names_of_a_rule_come_in_their_order_once_and_are_in_its_sentence():
    [chosen] = Policy.parse(["license:cc0,cc-by,cc0", "license:cc-by,cc0"]).filters(IMAGE)
    assert chosen.title == "license:cc-by,cc0"
    assert chosen.removes == (
        "images unless their pages state cc-by,cc0 and no other licence (stated of pages, not of pictures)"
    )


def test_a_rule_about_the_whole_run_has_no_filter_of_a_batch():
    policy = Policy.parse(["max_images_per_text:10"])
    assert policy.number_of("max_images_per_text") == 10
    assert not policy.filters(IMAGE) + policy.filters(TEXT)
    with pytest.raises(TypeError, match="all images of a run"):
        RULES["max_images_per_text"].filter(10)
