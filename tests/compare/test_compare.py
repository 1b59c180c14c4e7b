"""Two manifests are compared as sets in pandas are, on either engine, at a path or a URL."""

import json
import shutil
from hashlib import md5
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation import Results
from curation.plugins.compare import comparing
from curation.plugins.compare.clip_compare import main
from curation.plugins.compare.comparing import compare
from curation.plugins.compare.differences import differing_settings, facts_of, funnels
from curation.plugins.compare.manifests import Manifest
from curation.plugins.compare.shown import comparison_text
from runtime.draws import draws
from runtime.engine.local import Local
from tests.naive.comparisons import naive_entries, naive_images, naive_languages, naive_other_texts
from tests.support.checkout import ROOT
from tests.support.in_turn import in_turn
from tests.support.refusals import refusal


def manifest(run: Path) -> pd.DataFrame:
    return pq.read_table(run / "curated").to_pandas()


def facts(one: Path, other: Path, engine=None) -> dict:
    return facts_of(compare(Manifest.open(one), Manifest.open(other), engine or in_turn()))


OTHER_RUNS = ["seed", "t", "images", "metadata", "unlike", "nothing"]


@pytest.mark.parametrize("name", OTHER_RUNS)
def test_images_of_runs_are_compared_as_sets(runs, name):
    found = facts(runs["one"], runs[name])
    one, other = manifest(runs["one"]), manifest(runs[name])
    texts = {"other_text": naive_other_texts(one, other)}
    assert found["images"] == naive_images(one, other) | texts
    groups = ("both", "only_one", "only_other")
    by_language = {code: {group: row[group] for group in groups} for code, row in found["languages"].items()}
    assert {code: row for code, row in by_language.items() if any(row.values())} == naive_languages(one, other)
    assert (found["one"]["rows"], found["other"]["rows"]) == (len(one), len(other))
    assert found["one"]["by_chance"] == pytest.approx(one["probability"].mean())


@pytest.mark.parametrize("name", OTHER_RUNS)
def test_entries_are_counted_and_those_that_changed_most_are_listed(runs, name):
    comparison = compare(Manifest.open(runs["one"]), Manifest.open(runs[name]), in_turn())
    sides = []
    for run in (runs["one"], runs[name]):
        sides.append((pq.read_table(run / "counts.parquet").to_pandas(), manifest(run)))
    expected = naive_entries(sides)
    found = facts_of(comparison)
    columns = ("count_one", "count_other", "kept_one", "kept_other", "change")
    rows = {(row["language"], row["entry"]): [row[name] for name in columns] for row in comparison.entries.to_pylist()}
    assert rows == expected
    ascending = sorted(expected, key=lambda key: (expected[key][-1], *key))
    descending = sorted(expected, key=lambda key: (-expected[key][-1], *key))
    gained = [key for key in descending if expected[key][-1] > 0][:20]
    lost = [key for key in ascending if expected[key][-1] < 0][:20]
    assert [(row["language"], row["entry"]) for row in found["gained"]] == gained
    assert [(row["language"], row["entry"]) for row in found["lost"]] == lost


def test_head_and_tail_are_those_of_one(runs):
    found = facts(runs["one"], runs["metadata"])
    thresholds = {code: row["t"] for code, row in Results.open(runs["one"]).facts["languages"].items()}
    sides = []
    for run in (runs["one"], runs["metadata"]):
        sides.append((pq.read_table(run / "counts.parquet").to_pandas(), manifest(run)))
    sums = {"head": [0] * 5, "tail": [0] * 5}
    for (language, _), figures in naive_entries(sides).items():
        part = sums["head" if figures[0] >= thresholds.get(language, 1) else "tail"]
        for index, value in enumerate([1, *figures[:4]]):
            part[index] += value
    columns = ("entries", "count_one", "count_other", "kept_one", "kept_other")
    assert {part: [row[name] for name in columns] for part, row in found["head_and_tail"].items()} == sums
    assert sum(row["count_one"] for row in found["by_frequency"]) == sums["head"][1] + sums["tail"][1]


def table(folder: Path, name: str, frame: pd.DataFrame, files: int = 1) -> Path:
    (folder / name).mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), files)):
        pq.write_table(pa.Table.from_pandas(frame.iloc[rows]), folder / name / f"{number}.parquet", row_group_size=9)
    return folder / name


def random_frame(seed: int, rows: int, of: int) -> pd.DataFrame:
    """Return rows with uids: some come twice, some are null or no hexadecimal digits, and some differ only in case."""
    random = np.random.default_rng(seed)
    uids = [md5(b"%d" % number).hexdigest() for number in range(of)] + ["é", "", "É", "ab" * 16, "AB" * 16, None, None]
    return pd.DataFrame({"uid": random.choice(np.array(uids, object), rows), "number": np.arange(rows)})


@pytest.mark.parametrize(("rows", "others"), [(300, 200), (0, 50), (50, 0), (0, 0), (5, 5)])
def test_tables_are_compared_as_sets(tmp_path, rows, others):
    one = random_frame(rows, rows, 150)
    other = random_frame(7, others, 250)
    schema = {"uid": object, "number": int}
    paths = [table(tmp_path, name, frame.astype(schema), 3) for name, frame in (("one", one), ("other", other))]
    if not (rows and others):
        for path, frame in zip(paths, (one, other), strict=True):
            if frame.empty:
                for file in path.iterdir():
                    pq.write_table(pa.table({"uid": pa.array([], pa.string())}), file)
    found = facts(*paths)
    assert found["images"] == naive_images(one, other)
    for side, frame in (("one", one), ("other", other)):
        figures = found[side]
        assert (figures["rows"], figures["unnamed"]) == (len(frame), int(frame["uid"].isna().sum()))
        assert figures["images"] == frame["uid"].nunique()
        assert figures["repeated"] == int(frame["uid"].dropna().duplicated().sum())
    assert "languages" not in found


def test_a_part_of_a_manifest_has_nothing_of_its_own(runs, tmp_path):
    rows = manifest(runs["one"])
    part = table(tmp_path, "part", rows[["uid"]][::3])
    found = facts(part, runs["one"])
    assert found["images"] == {"both": len(rows[::3]), "only_one": 0, "only_other": len(rows) - len(rows[::3])}
    assert found["one"]["shared"] == 1


def test_urls_stand_for_uids_where_a_table_has_no_others(runs, tmp_path):
    urls = [f"http://a.example/{number}" for number in range(20)]
    of_urls = table(tmp_path, "urls", pd.DataFrame({"URL": urls}))
    of_uids = table(
        tmp_path, "uids", pd.DataFrame({"uid": [md5(url.encode()).hexdigest() for url in urls[5:]] + ["x"]})
    )
    found = facts(of_urls, of_uids)
    assert found["images"] == {"both": 15, "only_one": 5, "only_other": 1}
    assert sorted(each["one"]["url"] for each in found["examples"]["only_one"]) == urls[:5]
    assert found["examples"]["only_other"] == [{"other": {"uid": "x"}}]


def test_examples_are_those_with_the_smallest_draws(runs):
    found = facts(runs["one"], runs["seed"])
    one, other = manifest(runs["one"]), manifest(runs["seed"])
    only = one[~one["uid"].isin(other["uid"])].reset_index(drop=True)
    order = np.argsort(draws(0, "compare", only["uid"].tolist()))[: comparing.EXAMPLES]
    assert [each["one"]["uid"] for each in found["examples"]["only_one"]] == only["uid"][order].tolist()
    assert [each["one"]["text"] for each in found["examples"]["only_one"]] == only["text"][order].tolist()
    for each in found["examples"]["other_text"]:
        assert each["one"]["uid"] == each["other"]["uid"]
        assert each["one"]["text"] != each["other"]["text"]


def test_settings_that_differ_are_named(runs):
    found = facts(runs["one"], runs["seed"])
    assert found["settings"] == [{"setting": "seed", "one": "0", "other": "1"}]
    others = {row["setting"] for row in facts(runs["one"], runs["metadata"])["settings"]}
    assert others == {"english threshold", "metadata"}
    assert [row["step"] for row in found["funnel"]][0] == "files"
    assert found["funnel"][-1] == {"step": "kept images", "one": found["one"]["rows"], "other": found["other"]["rows"]}


def test_rules_of_gates_are_compared_by_what_they_do(runs):
    one, other = (Results.open(runs[name]) for name in ("one", "seed"))
    removed = {"address": (3, None), "html": (0, 0), "junk:70": (0, 5), "credit": (None, 2)}
    for run, number in ((one, 0), (other, 1)):
        texts = [{"text": rule, "removed": counts[number]} for rule, counts in removed.items()]
        run.facts["gate"] = {"policy": f"words {number}", "texts": [row for row in texts if row["removed"] is not None]}
    steps = {row["step"]: (row["one"], row["other"]) for row in funnels(one, other)}
    assert {step: counts for step, counts in steps.items() if step.startswith("texts removed by")} == {
        "texts removed by address": (3, None),
        "texts removed by junk:70": (0, 5),
        "texts removed by credit": (None, 2),
    }
    found = {row["setting"]: (row["one"], row["other"]) for row in differing_settings(one, other)}
    assert found["gate"] == ("address AND html AND junk:70", "html AND junk:70 AND credit")
    assert "gate: policy" not in found


def test_any_number_of_tasks_and_a_url_give_the_same_facts(runs, s3_folder, monkeypatch):
    expected = facts(runs["one"], runs["seed"])
    engine = Local(2)
    assert facts(runs["one"], runs["seed"], engine) == expected
    monkeypatch.setattr(comparing, "group_buckets", lambda rows: (64, 16))
    assert facts(runs["one"], runs["seed"], engine) == expected
    engine.close()
    for file in sorted(path for path in runs["seed"].rglob("*") if path.is_file()):
        target = s3_folder / file.relative_to(runs["seed"]).as_posix()
        target.write_bytes(file.read_bytes())
    at_url = facts(runs["one"], s3_folder)
    assert at_url["other"].pop("name") != expected["other"].pop("name")
    assert at_url == expected


def test_two_runs_with_nothing_in_common_are_said_to_have_nothing(runs):
    said = comparison_text(facts(runs["images"], runs["nothing"]))
    assert "ONE and OTHER have no image in common." in said
    assert "no image in common" not in comparison_text(facts(runs["one"], runs["seed"]))


def test_the_command_prints_text_or_json(runs, capsys):
    main([str(runs["one"]), str(runs["t"]), "--cores", "1"])
    shown = capsys.readouterr().out
    for words in ("in both", "only in OTHER", "kept images", "english threshold", "English (en)", "gained most"):
        assert words in shown
    main([str(runs["one"]), str(runs["t"]), "--json", "--cores", "1"])
    assert json.loads(capsys.readouterr().out) == facts(runs["one"], runs["t"])


def test_a_folder_gets_the_page_once(runs, tmp_path, capsys):
    output = tmp_path / "out"
    for _ in range(2):
        main([str(runs["one"]), str(runs["t"]), "--output", str(output), "--cores", "1"])
    assert "is already complete" in capsys.readouterr().err
    assert json.loads((output / "compare.json").read_text("utf-8")).keys() >= facts(runs["one"], runs["t"]).keys()
    assert "<h1>Comparison</h1>" in (output / "compare.html").read_text("utf-8")
    error = refusal(capsys, main, runs["one"], runs["seed"], "--output", output)
    assert "holds a comparison made differently" in error


def test_what_is_no_run_and_no_table_is_refused(runs, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"number": [1]}), tmp_path / "numbers.parquet")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "_folder.json").write_text(json.dumps({"kind": "an export", "command": "clip-export"}))
    shutil.copytree(runs["one"] / "matched", tmp_path / "unfinished" / "matched")
    sentences = {
        tmp_path / "nowhere": "does not exist; expected a finished run, or Parquet files with a column uid or url",
        tmp_path / "empty": "holds no file *.parquet; expected a finished run",
        tmp_path / "numbers.parquet": "has the columns number; expected a column `uid` or `url`",
        tmp_path / "export": "was written by clip-export; pass the run that it came from",
        tmp_path / "unfinished": "holds a run of clip-curate that is not finished",
        runs["one"]: "are the same; pass two different runs or manifests",
        f"{runs['one']}/": "are the same; pass two different runs or manifests",
    }
    for path, sentence in sentences.items():
        assert sentence in refusal(capsys, main, runs["one"], path)
    assert refusal(capsys, main, "https://me:word@a.invalid/b.parquet", runs["one"]).count("word") == 0


def test_a_damaged_file_of_a_run_is_refused(runs, tmp_path, capsys):
    shutil.copytree(runs["seed"], tmp_path / "run")
    file = next((tmp_path / "run" / "curated").glob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert "is damaged" in refusal(capsys, main, runs["one"], tmp_path / "run", "--cores", 1)


def test_the_example_of_compare_md_counts_the_images_of_a_language(runs, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "how-to" / "compare.md").read_text("utf-8")
    example = page.partition("```python\n")[2].partition("```")[0]
    shutil.copytree(runs["one"], tmp_path / "curated")
    shutil.copytree(runs["t"], tmp_path / "curated-40")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(example, names)
    expected = naive_languages(manifest(runs["one"]), manifest(runs["t"]))
    assert names["comparison"].languages == expected
