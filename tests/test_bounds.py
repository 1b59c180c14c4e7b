"""Each number of each public config is refused in a sentence, or can be used: none ends a run hours later."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import get_args, get_origin, get_type_hints

import numpy as np
import orjson
import pytest

from curation.config import CurationConfig
from curation.dataframes import MatchOptions
from curation.inputs.tables.columns import TableOptions
from curation.plugins.annotations.captions import CaptionDraw
from curation.plugins.annotations.clusters import Choice
from curation.plugins.clustering.training import ClusterConfig
from curation.plugins.gate.options import GateOptions
from curation.plugins.online.batches import ByEntries, OnlineConfig, World
from curation.plugins.scoring.scorer import ScoringConfig
from curation.report.charts import counts_by_rank, cumulative_share
from curation.run.request import Options
from metadata.config import MetadataConfig
from runtime.draws import draws
from runtime.errors import InputError

VALUES = (0, -1, 2**31, 2**63, 10**400, 1e30, math.inf, math.nan)
CONFIGS = {  # with what has no default
    CurationConfig: {},
    MetadataConfig: {},
    ClusterConfig: {},
    ScoringConfig: {},
    OnlineConfig: {},
    CaptionDraw: {},
    World: {},
    Options: {},
    GateOptions: {},
    TableOptions: {},
    MatchOptions: {},
    ByEntries: {"batch": 1},
    Choice: {"kept": {2: 5, 3: 5}, "coarse": (2,)},
}
# The kept images of a Choice are read from a file, with its clusters.
OF_NO_USER = {(Choice, "kept"), (Choice, "coarse")}


def numeric(config: type) -> list[tuple[str, bool]]:
    """Return the fields of a config that take numbers, and whether these are the values of a mapping."""
    found = []
    for name, hint in get_type_hints(config).items():
        kinds = [hint] if get_origin(hint) in (dict, Mapping) else [hint, *get_args(hint)]
        of_mappings = [value for kind in kinds if get_origin(kind) in (dict, Mapping) for value in get_args(kind)[1:]]
        if (config, name) not in OF_NO_USER:
            found += [(name, False)] * bool({int, float} & {*kinds}) + [(name, True)] * bool(
                {int, float} & {*of_mappings}
            )
    return found


CASES = [(config, *field, value) for config in CONFIGS for field in numeric(config) for value in VALUES]


def test_all_configs_with_numbers_are_looked_at():
    assert (CurationConfig, "min_language_scores", True) in {case[:3] for case in CASES}
    assert len({case[:3] for case in CASES}) > 40
    for config, given in CONFIGS.items():
        assert is_dataclass(config)
        required = {each.name for each in fields(config) if each.default is MISSING and each.default_factory is MISSING}
        assert required == {*given}


@pytest.mark.parametrize(("config", "name", "in_mapping", "value"), CASES)
def test_a_number_is_refused_in_a_sentence_or_can_be_used(config, name, in_mapping, value):
    given = {("en" if config is CurationConfig else "a"): value} if in_mapping else value
    try:
        made = config(**CONFIGS[config] | {name: given})
    except InputError:
        return
    held = getattr(made, name)
    number = next(iter(held.values())) if in_mapping else held
    assert abs(number) <= 1e12 or (name == "seed" and abs(number) < 2**64)
    orjson.dumps(number)
    assert np.isfinite(float(number))
    if name == "seed":
        assert 0 <= draws(number, "sample", ["a"])[0] < 1


@pytest.mark.parametrize("t", [1, 2**31, 10**12])
def test_the_charts_of_any_threshold_can_be_drawn(t):
    counts = np.array([700, 5, 1])
    CurationConfig(english_threshold=t)
    for chart in (counts_by_rank, cumulative_share):
        assert np.isfinite(np.array(chart(counts, counts // 2, t).border or [(0, 0)])).all()
