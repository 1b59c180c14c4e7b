"""Whatever of a wrong type a program gives to a public name is refused in one sentence, before anything is done."""

import inspect
import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

import curation
import metadata
from curation import CurationConfig, EntryCounts, GateOptions, Matcher, Matching, Options, Results, Thresholds
from curation.dataframes import Balance, MatchOptions
from curation.inputs.tables.columns import TableOptions
from curation.plugins.online.batches import ByEntries
from metadata import Entries, InputError, MetadataConfig, Sources
from tests.support.written_run import write_run

ENTRIES = Entries.build({"en": ["dog", "cat"]})
COUNTS = EntryCounts.zeros(2, ENTRIES.digest)
THRESHOLDS = Thresholds.of({"en": [1, 2]}, 1)
WHERE_CHOSEN = ("engine",)  # refused where it is needed, as a session may be any object that has its methods


def frame() -> DataFrame:
    """A DataFrame of which nothing but the type is asked."""
    return object.__new__(DataFrame)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Results:
    return Results.open(write_run(tmp_path_factory.mktemp("run") / "out", ENTRIES, [[("dog", "en", [0])]] * 3, t=5))


def curate(**given: object) -> None:
    """Call curate with what is given, and all else of the right types."""
    right = {"inputs": ["a"], "metadata": ENTRIES, "output": "nowhere/out"}
    curation.curate(**(right | given))


def calls(package: ModuleType, run: Results | None = None) -> dict:
    """Return the public names of a package, each with the functions of it and values that they take."""
    out = Path("nowhere", "out")
    config = {"metadata": ENTRIES, "config": None}
    build = {"tables": ["none.parquet"], "run": run, "path": out}
    return {
        "curation": {
            "BalancedDataset": [],  # tests/online/test_dataset.py
            "InputError": [],
            "dataframes": [],
            "online": [],
            "CurationConfig": [(CurationConfig, {})],
            "EntryCounts": [
                (EntryCounts.zeros, {"size": 2, "digest": ""}),
                (COUNTS.count, {"entries": [[0]]}),
                (COUNTS.add_seen, {"batch": COUNTS.seen()}),
                (COUNTS.by_language, {"languages": {}}),
                (COUNTS.save, {"path": out, "entries": ENTRIES, "rates": None}),
                (EntryCounts.open, {"path": out, "digest": None}),
            ],
            "GateOptions": [(GateOptions, {})],
            "Matcher": [
                (Matcher.build, {"entries": ["dog"], "rules": "unicode"}),
                (Matcher.build(["dog"]).find, {"texts": ["dog"]}),
            ],
            "Matching": [
                (Matching.of, {"entries": ENTRIES, "rules": "unicode", "model": None}),
                (Matching.of(ENTRIES).find, {"texts": ["dog"], "languages": None}),
            ],
            "Options": [(Options, {})],
            "Results": [
                (Results.open, {"path": out}),
                *(
                    (getattr(run, name), given)
                    for name, given in {
                        "entries": {"code": "en"},
                        "examples": {"ids": [0], "images": None},
                        "thresholds": {"english_threshold": 1, "tail_share": None},
                        "expected": {"thresholds": [THRESHOLDS], "images": None},
                        "threshold_for": {"size": 1, "images": None},
                        "kept": {"share": 1.0},
                    }.items()
                    if run
                ),
            ],
            "Thresholds": [
                (Thresholds.of, {"counts": {}, "english_threshold": 1, "tail_share": None}),
                (Thresholds.same, {"counts": {}, "t": 1}),
                (Thresholds.unlimited, {"counts": {}}),
            ],
            "captions": [(curation.captions.build, {**build, "source": None, "part_bytes": 1 << 20})],
            "clusters": [(curation.clusters.build, build)],
            "weights": [(curation.weights.build, build)],
            "curate": [
                (
                    curation.curate,
                    {
                        "engine": None,
                        "inputs": ["none.parquet"],
                        "output": out,
                        "options": None,
                        "progress": None,
                        **config,
                        "config": CurationConfig(),
                    },
                )
            ],
            "draws": [(curation.draws, {"seed": 0, "purpose": "keep", "uids": ["a"], "numbers": None})],
            "hash_images": [
                (
                    curation.hash_images,
                    {
                        "engine": None,
                        "inputs": ["none"],
                        "output": out,
                        "pdq": False,
                        "overwrite": False,
                        "progress": None,
                    },
                )
            ],
            "keep_probability": [(curation.keep_probability, {"entries": [[0]], "rates": [0.5]})],
            "rates": [(curation.rates, {"counts": [1], "t": 1})],
            "rates_of": [(curation.rates_of, {"counts": [1, 2], "languages": {}, "thresholds": THRESHOLDS})],
            "tail_share": [(curation.tail_share, {"counts": [1], "t": 1})],
            "threshold": [(curation.threshold, {"counts": [1], "p": 0.1})],
            "uids": [(curation.uids, {"urls": ["a"], "stated_uids": None})],
        },
        "metadata": {
            "InputError": [],
            "Entries": [
                (Entries.build, {"lists": {"en": ["a"]}, "source": "list"}),
                (Entries.of_table, {"table": ENTRIES.table}),
                (Entries.open, {"directory": out}),
                (ENTRIES.save, {"directory": out, "facts": None}),
                *((function, {"id": 0}) for function in (ENTRIES.entry, ENTRIES.language)),
                *((function, {"code": "en"}) for function in (ENTRIES.of, ENTRIES.only, ENTRIES.ids)),
            ],
            "MetadataConfig": [(MetadataConfig, {})],
            "Sources": [
                (
                    Sources.find,
                    {
                        **dict.fromkeys(["wordnet", "wikipedia", "pageviews", "frequencies"], ()),
                        **dict.fromkeys(["lists", "languages", "wikipedia_code"]),
                    },
                )
            ],
            "build_metadata": [
                (
                    metadata.build_metadata,
                    {
                        "engine": None,
                        "config": MetadataConfig(),
                        "sources": Sources(),
                        "output": out,
                        "progress": None,
                        "overwrite": False,
                    },
                )
            ],
        },
        "curation.dataframes": {
            "DIGEST": [],
            "FolderPath": [],
            "Balance": [],
            "MatchOptions": [(MatchOptions, {}), (TableOptions, {})],
            "match": [(curation.dataframes.match, {"pairs": frame(), "options": None, **config})],
            "dropped": [(curation.dataframes.dropped, {"pairs": frame(), "options": None, **config})],
            "count": [(curation.dataframes.count, {"matched": frame(), "artefacts": None, **config})],
            "thresholds": [(curation.dataframes.thresholds, {"counts": frame(), "config": None})],
            "sample": [
                (
                    curation.dataframes.sample,
                    {
                        "matched": frame(),
                        "balance": Balance(THRESHOLDS, np.ones(2), None),
                        "seed": None,
                        "artefacts": None,
                    },
                )
            ],
        },
    }[package.__name__]


PACKAGES = [curation, metadata, curation.dataframes]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_and_each_of_its_parameters_is_looked_at(package):
    called = calls(package)
    assert called.keys() == {*package.__all__}
    for function, given in (each for name in called for each in called[name] if each[1]):
        assert given.keys() == inspect.signature(function).parameters.keys(), function


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_is_of_no_type_that_is_asked_for_is_refused(package, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = []
    for function, given in (each for several in calls(package, run).values() for each in several):
        names = [field.name for field in fields(function)] if is_dataclass(function) else [*given]
        for name in (name for name in names if name not in WHERE_CHOSEN):
            try:
                function(**given | {name: object()})
                taken.append((function.__qualname__, name))
            except InputError:
                continue
            except Exception as error:
                taken.append((function.__qualname__, name, error))
    assert taken == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda: Matching.of(["dog"]), "entries is of type list; pass Entries"),
        (lambda: Thresholds.of([1, 2], 1), "counts is of type list; pass the counts of each language, as {'en': [30"),
        (lambda: Thresholds.of({}, "1"), "the threshold is '1'; it must be an integer"),
        (lambda: curation.curate(["a"], "o", config={}), "config is of type dict; pass CurationConfig or None"),
        (
            lambda: curation.curate(pa.array(["a"]), "o"),
            "inputs is of type StringArray; pass a string or a path or a list",
        ),
        (lambda: curation.dataframes.match(frame(), ENTRIES, {"seed": 1}), "dict; pass CurationConfig or None"),
        (lambda: curation.dataframes.match([], ENTRIES), "pairs is of type list; pass DataFrame"),
        (
            lambda: curation.curate(pd.DataFrame({"url": []}), "o"),
            "inputs is of type DataFrame; pass a string or a path or a list; write the table to a Parquet file, and",
        ),
        (
            lambda: curation.captions.build("nothere.parquet", "run", "o"),
            "run is of type str; pass a run (of Results.open)",
        ),
        (lambda: Entries.build({"en": []}), "there are no entries; pass the entries of at least one language"),
        (lambda: curation.curate("xx://a/b.csv", "o"), "no installed package opens URLs that begin with xx://; check"),
        (lambda: curation.curate("a", "o", CurationConfig()), "curate takes 2 arguments by position, and 3 came; give"),
        (lambda: Matching.of(ENTRIES).find([1]), "texts must be strings; one is of type int: 1"),
        (lambda: curation.keep_probability([0], [0.5]), "for each text, such as [[0, 5], []]; got [0]"),
        (
            lambda: curation.keep_probability([0.5], [[0]]),
            "entries must be a list of ids (integers of 32 bits) for each",
        ),
        (
            lambda: curation.keep_probability([[0]], [[0, 1], [1]]),
            "rates must be one number for each entry; got [[0, 1]",
        ),
        (lambda: curation.keep_probability([[0]], [30, 2]), "rates contain integers, such as counts; pass one rate"),
        (lambda: curation.rates([3.0, float("nan")], 5), "counts contain nan at position 1; pass integers"),
        (
            lambda: curation.keep_probability([[7]], [0.5]),
            "id 7 is not among the 1 entries that have a count or rate; pass",
        ),
        (
            lambda: curation.tail_share(pd.DataFrame({"count": [2]}), 5),
            "counts must be numbers; got a table (DataFrame): pass one of its columns",
        ),
        (lambda: curation.draws(0, "keep", ["a", None]), "1 of 2 uids are null, the first at position 1; every image"),
        (lambda: Matching.of(ENTRIES).find(["a", "b"], "en"), "got the string 'en': pass ['en'] * len(texts)"),
        (lambda: CurationConfig(english_threshold=20.0), "is 20.0; it must be an integer, such as 20"),
        (lambda: CurationConfig(english_threshold=20.5), "is 20.5; it must be an integer"),
        (lambda: CurationConfig(english_treshold=20), "of CurationConfig; did you mean english_threshold?"),
        (lambda: Options(policy=["recommended"]), "policy is not a parameter of Options; it takes columns, unique"),
        (lambda: Options(policy=["recommended"]), "as in Options(gate=GateOptions(policy=['recommended']))"),
        (lambda: curate(confg=CurationConfig()), "confg is not a parameter of curate; did you mean config?"),
        (lambda: Options(gate="x"), "gate is of type str; pass GateOptions or None"),
        (lambda: Options(columns="url"), "columns is of type str; pass TableOptions"),
        (lambda: GateOptions(images=["a"]), "each table of images must be a sequence of strings; got one, 'a'"),
        (lambda: CurationConfig(balance="x"), "balance is of type str; pass True or False"),
        (
            lambda: CurationConfig(rules=np.array(["meta", "meta"])),
            "rules is array(['meta', 'meta'], dtype='<U4'); it mu",
        ),
        (lambda: CurationConfig(witnesses=[np.array([1])]), "witnesses is array([1]); it must be one of han, pool"),
        (lambda: MetadataConfig(title_share=np.arange(500.0)), "…; it must be a number from 0 to 1"),
        (lambda: MetadataConfig(title_limit=10**400), "…; it must be at most 1,000,000,000"),
        (lambda: ByEntries(2, most="x"), "most is of type str; pass True or False"),
        (lambda: ByEntries(2, target=[1e308] * 2), "the target has a negative or infinite number or sum"),
        (lambda: ByEntries(2, target=np.full(2, "1e4000", np.longdouble)), "the target has a negative or infinite"),
        (
            lambda: curation.keep_probability([[0]], [float("nan")]),
            "the rates contain NaN, or a number below 0 or above 1",
        ),
        (lambda: CurationConfig(min_language_scores=[0.5]), "min_language_scores is of type list; pass a mapping"),
        (lambda: curation.draws(0, 3, ["a"]), "purpose is of type int; pass a string"),
        (
            lambda: Matching.of(ENTRIES).find(["a", "b"], ["en"]),
            "1 languages were passed with 2 texts; pass one for each",
        ),
        (
            lambda: Matching.of(ENTRIES).find(pd.DataFrame({"text": ["a"]})),
            "got a table (DataFrame): pass one of its columns",
        ),
        (lambda: Matcher.build(["dog"]).find(pa.table({"text": ["a"]})), "Table; pass a list or an Arrow array"),
        (
            lambda: Entries.build(["dog"]),
            "lists is of type list; pass the entries of each language, as {'en': ['photo'",
        ),
        (lambda: Sources.find(lists=["dog"]), "lists is of type list; pass a mapping or None"),
        (lambda: curate(inputs=[]), "inputs is an empty list; pass files, folders, globs or URLs"),
        (
            lambda: curate(inputs=["a", pd.DataFrame({"url": ["x"]})]),
            "inputs[1] is of type DataFrame; pass a string or",
        ),
        (lambda: curate(inputs=["a", ""]), "inputs[1] is empty; pass a path"),
        (lambda: curate(inputs=[Path("")]), "inputs[0] is empty; pass a path"),
        (lambda: curate(output=""), "output is empty; pass a path"),
        (lambda: curate(output=Path("")), "output is empty; pass a path"),
        (lambda: curate(metadata=" "), "metadata is empty; pass a path"),
        (lambda: Results.open(""), "path is empty; pass a path"),
    ],
)
def test_the_sentence_says_what_to_give(mistake, sentence):
    with pytest.raises(InputError) as refusal:
        mistake()
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"english_threshold": np.int64(5), "seed": np.uint32(3)}, {"english_threshold": 5, "seed": 3}),
        (
            {"tail_share": np.float32(0.5), "max_bad_files": np.longdouble(0.25)},
            {"tail_share": 0.5, "max_bad_files": 0.25},
        ),
        ({"target_size": np.array(7), "merge_languages": np.bool_(True)}, {"target_size": 7, "merge_languages": True}),
        ({"min_language_scores": {"da": np.float32(0.5)}}, {"min_language_scores": {"da": 0.5}}),
        ({"witnesses": np.array(["han", "page"])}, {"witnesses": ["han", "page"]}),
        ({"witnesses": pd.Series(["han"], index=[7])}, {"witnesses": ["han"]}),
    ],
)
def test_a_config_takes_numbers_and_lists_of_numpy_and_pandas_as_those_of_python(given, plain):
    assert json.dumps(asdict(CurationConfig(**given))) == json.dumps(asdict(CurationConfig(**plain)))


def test_a_constructor_with_too_many_values_is_refused():
    with pytest.raises(TypeError, match="positional arguments"):
        ByEntries(*[2] * 20)
