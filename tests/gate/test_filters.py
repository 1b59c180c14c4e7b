"""Filters read only the columns that they declare, and decide before anything is counted or written."""

import random

import numpy as np
import pyarrow as pa
import pytest

from curation.plugins.gate.filters import IMAGE, TEXT, Filter, ImageBatch, decide, facts_of_filters
from curation.plugins.gate.policies.policies import RULES
from curation.schemas import CANDIDATE, MATCHED
from runtime.tallies import TaskResult
from tests.gate.test_rules import random_images
from tests.support.finished_run import candidate, image


def only(images: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    """Return images of which all other columns, and fields of texts, are null."""
    candidates = images["candidates"]
    fields = []
    for field in CANDIDATE:
        values = candidates.values.field(field.name)
        fields.append(values if f"candidates.{field.name}" in columns else pa.nulls(len(values), field.type))
    texts = pa.StructArray.from_arrays(fields, fields=list(CANDIDATE))
    lists = pa.ListArray.from_arrays(candidates.offsets, texts)
    kept = [images[name] if name in columns else pa.nulls(len(images), images[name].type) for name in MATCHED.names]
    return pa.RecordBatch.from_arrays([*kept[:-1], lists], schema=MATCHED)


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if rule.function], ids=lambda rule: rule.name)
def test_a_rule_reads_no_other_columns_than_its_row_states(rule):
    images = pa.RecordBatch.from_pylist([row | {"candidates": row["candidates"] or []} for row in SOME], MATCHED)
    number = "cc0" if rule.names else rule.numbers and min(50, rule.numbers[1])
    own = rule.filter(number)
    expected = own.mask(ImageBatch.of(images))
    assert np.array_equal(own.mask(ImageBatch.of(only(images, own.columns))), expected)


SOME = random_images(random.Random(8), 60)


def test_a_filter_of_another_scope_or_of_unknown_columns_is_refused():
    with pytest.raises(ValueError, match="the filter 'x' has the scope 'page'; expected 'image' or 'text'"):
        Filter("x", "page", len)
    with pytest.raises(ValueError, match="the filter 'x' reads candidates.size, which matched images do not have"):
        Filter("x", TEXT, len, columns=["uid", "candidates.text", "candidates.size"])


def test_an_image_goes_by_its_first_filter_or_when_no_text_is_left():
    rows = [image(number) for number in range(3)]
    for row, texts in zip(rows, (["a", "b"], ["b"], ["a"]), strict=True):
        row["candidates"] = [candidate(text, "en") for text in texts]
    filters = [
        Filter("no b", TEXT, lambda batch: np.array([text == "b" for text in batch.texts.field("text").to_pylist()])),
        Filter("not the last", IMAGE, lambda batch: np.array([False, False, True])),
    ]
    decision = decide(ImageBatch.of(pa.RecordBatch.from_pylist(rows, MATCHED)), filters)
    assert decision.stays().to_pylist() == [rows[0] | {"candidates": rows[0]["candidates"][:1]}]
    result = TaskResult()
    decision.tally(result)
    facts = facts_of_filters(filters, result)
    removed = {fact["text"]: (fact["removed"], fact["removed_texts"]) for fact in facts["conditions"] + facts["texts"]}
    assert removed == {"not the last": (1, {"en": 1}), "a text is left": (1, {}), "no b": (2, {"en": 2})}
