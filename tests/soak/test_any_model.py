"""Thousands of fastText models with random numbers, of all layouts, are answered as fastText answers."""

import pytest
from hypothesis import given, settings

from tests.support.any_models import LAYOUTS, QUANTISED, answers, opened, same
from tests.support.language_models import model_bytes
from tests.support.odd_texts import TEXTS


@pytest.mark.soak
@settings(deadline=None, max_examples=1_000)
@given(LAYOUTS | QUANTISED, TEXTS)
def test_labels_and_scores_of_many_models_are_those_of_fasttext(tmp_path_factory, layout, texts):
    directory = tmp_path_factory.getbasetemp()
    engine, oracle = opened(model_bytes(layout), directory)
    same(answers(engine, texts), answers(oracle, texts))
