"""The notebooks run without errors or warnings, are kept without outputs, and their pages show what they show.

The run is the demo's, or as large, of metadata of another kind: starter metadata, and lists of entries.
"""

import re
import sys
from collections import Counter
from hashlib import md5
from io import BytesIO
from itertools import combinations
from pathlib import Path
from random import Random

import matplotlib.font_manager  # noqa: F401  # its first import on a machine lists the fonts, and says so on stderr
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation import Results
from metadata import Entries, InputError, MetadataConfig, Sources, build_metadata
from metadata.languages import LANGUAGES as ALL
from tests.sample.texts import LANGUAGES, sentence
from tests.sample.texts import entries as words_of
from tests.support.cluster_tables import cluster_rows, write_folder
from tests.support.notebook_pages import NOTEBOOKS, PAGES, execute, make_folders, page_of
from tests.support.written_run import write_run

PLOTS = {
    "explore_metadata": 2,
    "inspect_distributions": 2,
    "head_and_tail": 2,
    "choose_threshold": 2,
    "look_into_entry": 1,
    "compare_runs": 4,
    "look_at_clusters": 3,
}
IMAGES = 6_000
MOST_BYTES = 1 << 20  # of all pages and their pictures, which the repository keeps
AGAIN = "write the pages again: python -m tests.support.notebook_pages"


pytestmark = pytest.mark.slow


KINDS = ["demo", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("starter", "lists"))]


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folders(kind, tmp_path_factory) -> dict[str, str]:
    """Metadata, a run, another with other seed and threshold, and clusters, under the names that notebooks look for."""
    if kind == "demo":
        return make_folders(tmp_path_factory.mktemp("demo"))
    metadata, run, other, clusters = (
        str(tmp_path_factory.mktemp(name)) for name in ("metadata", "run", "other", "clusters")
    )
    write_metadata_of(kind, Path(metadata))
    entries = Entries.open(metadata)
    images = images_of(entries)
    write_run(run, entries, images, t=20)
    write_run(other, entries, images, t=10, seed=1)
    write_folder(Path(clusters), clusters_of(images))
    return {"METADATA": metadata, "CURATED": run, "CURATED_OTHER": other, "CLUSTERS": clusters}


def write_metadata_of(kind: str, folder: Path) -> None:
    """Write the metadata of a kind; those of Wikipedia are made up, as no dump is counted here."""
    words = {one.code: words_of(one.code) for one in ALL if one.code in LANGUAGES}
    if kind == "lists":
        build_metadata(None, MetadataConfig(), Sources.find(lists=words), folder)
    else:
        frequencies = folder / "downloads"
        frequencies.mkdir()
        for code, entries in words.items():
            lines = [f"{entry}\t{1000 - rank}\n" for rank, entry in enumerate(entries)]
            (frequencies / f"{code}.tsv").write_text("".join(lines), "utf-8")
        build_metadata(None, MetadataConfig(), Sources.find(frequencies=[str(frequencies)]), folder)


def clusters_of(images: list) -> list[dict]:
    """Return clusters of most images, those of other languages than English nearly all in one coarse cluster."""
    languages = {md5(str(number).encode()).hexdigest(): texts[0][1] for number, texts in enumerate(images)}
    rows = cluster_rows(languages, fine=16)
    for row in rows:
        if languages[row["uid"]] != "en" and row["distance"] < 0.9:
            row |= {"coarse": 3, "fine": 48 + row["fine"] % 16}
    return rows


def images_of(entries: Entries) -> list:
    """Return images with one or two texts; of the languages, each has a third more than the next."""
    random = Random("notebooks")
    weights = [0.75**rank for rank, _ in enumerate(entries.languages)]
    strings = {code: entries.of(code).to_pylist() for code in entries.languages}

    def text():
        code = random.choices(list(strings), weights)[0]
        sample = sentence(code, random)
        first = entries.ids(code).start
        return sample, code, [first + place for place, entry in enumerate(strings[code]) if entry in sample]

    images = [[text() for _ in range(random.choice([1, 1, 2]))] for _ in range(IMAGES)]
    with_match = ([each for each in texts if each[2]] for texts in images)
    return [texts for texts in with_match if texts]


@pytest.fixture(scope="module")
def executed(folders) -> dict:
    """All notebooks with their outputs, executed side by side."""
    return execute(PLOTS, folders)


def read(name: str):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def outputs(book) -> list:
    return [output for cell in book.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("name", PLOTS)
def test_a_notebook_shows_its_plots_and_tables(executed, name):
    shown = [kind for output in outputs(executed[name]) for kind in output.get("data", {})]
    assert shown.count("image/png") == PLOTS[name]
    assert shown.count("text/html") >= 1


@pytest.mark.parametrize("name", PLOTS)
def test_no_cell_warns_or_leaves_the_name_of_an_object(executed, name):
    assert [output.text for output in outputs(executed[name]) if output.get("name") == "stderr"] == []
    plain = [output.data for output in outputs(executed[name]) if output.output_type == "execute_result"]
    assert [data["text/plain"] for data in plain if "text/html" not in data] == []


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_of_a_notebook_shows_what_it_shows(executed, kind, name):
    if kind != "demo":
        pytest.skip("pages show the demo's run")
    text, pictures = page_of(name, executed[name])
    written = (PAGES / f"{name}.md").read_text("utf-8")
    if name == "look_at_clusters":  # Another processor rounds otherwise, and some images get another cluster.
        assert without_figures(text) == without_figures(written), AGAIN
    else:
        assert text == written, AGAIN
    assert len(pictures) == PLOTS[name]
    for number, picture in enumerate(pictures, 1):
        there = (PAGES / f"{name}-{number}.png").read_bytes()
        assert np.abs(small(picture) - small(there)).mean() < 0.02, AGAIN


def without_figures(text: str) -> list[str]:
    """Return the lines of a page outside of tables, without digits."""
    return [re.sub(r"\d", "", line) for line in text.splitlines() if not line.startswith("|")]


def small(picture: bytes) -> np.ndarray:
    """Return the grey values of a picture of 80 by 40 pixels, from 0 to 1."""
    with Image.open(BytesIO(picture)) as image:
        return np.asarray(image.convert("L").resize((80, 40))) / 255


def test_there_is_a_page_for_each_notebook_and_they_stay_small():
    files = [path for path in PAGES.iterdir() if path.is_file()]
    pictures = {f"{name}-{number}.png" for name, plots in PLOTS.items() for number in range(1, plots + 1)}
    assert {path.name for path in files} == {f"{name}.md" for name in PLOTS} | pictures
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", PLOTS)
def test_the_title_of_a_page_is_the_question_that_it_answers(name):
    title = (PAGES / f"{name}.md").read_text("utf-8").partition("\n")[0]
    assert re.fullmatch(r"# (What|Which|How) .*\?", title)


def test_the_table_of_languages_gives_the_threshold_of_the_run(executed):
    table = next(table for table in tables(executed["inspect_distributions"]) if "tail share" in table)
    assert re.search(r">English</td>.*?>20</td>.*?</tr>", table, re.DOTALL)


def test_the_distributions_show_the_kept_counts_beside_the_ideal(executed, folders):
    book = executed["inspect_distributions"]
    kept = Results.open(folders["CURATED"]).kept_counts().sum()
    assert f" {kept:,} in the kept ones" in outputs(book)[0].text
    assert "after balancing" not in "".join(cell.source for cell in book.cells)


def test_the_runs_differ_in_seed_and_threshold_and_nothing_else(executed):
    settings = tables(executed["compare_runs"])[0]
    assert re.findall(r"col0[^>]*>([\w ]+)</td>", settings) == ["english threshold", "seed"]


def test_an_expert_has_the_share_of_outsiders_that_it_is_asked_for(executed):
    experts = tables(executed["look_at_clusters"])[-1]
    numbers = [[cell.replace(",", "") for cell in row.values()] for row in rows_of(experts)]
    assert len(numbers) == 4
    for _, own, others, chance, outsiders, images in numbers:
        assert abs(int(outsiders) - 0.05 * int(images)) < 1
        assert abs(int(outsiders) - float(chance.rstrip(" %")) / 100 * int(others)) < 0.002 * int(others)
        assert int(own) + int(outsiders) == int(images)


def rows_of(table: str) -> list[dict[str, str]]:
    """Return the cells of a table, a dictionary by the name of the column for each row."""
    names = [name.strip() for name in re.findall(r"<th[^>]*>([^<]*)</th>", table)]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [dict(zip(names, re.findall(r"<td[^>]*>([^<]*)<", row), strict=True)) for row in rows]


def test_the_table_of_all_languages_has_the_numbers_of_the_files(executed, folders):
    shown = {
        row["code"]: {name: cell for name, cell in row.items() if name not in ("language", "code") and cell != "0"}
        for row in rows_of(tables(executed["explore_metadata"])[-1])
    }
    owned: dict[str, Counter] = {}
    for row in pq.read_table(Path(folders["METADATA"]) / "entries.parquet").to_pylist():
        owned.setdefault(row["language"], Counter()).update([row["sources"][0], "all"])
    assert shown == {code: {name: f"{count:,}" for name, count in of.items()} for code, of in owned.items()}


@pytest.mark.parametrize(
    ("column", "folder", "file"), [("entries", "METADATA", "entries.parquet"), ("kept", "CURATED", "curated")]
)
def test_the_table_of_a_run_has_the_numbers_of_the_files(executed, folders, column, folder, file):
    table = next(table for table in tables(executed["inspect_distributions"]) if "tail share" in table)
    shown = Counter({row["code"]: int(row[column].replace(",", "")) for row in rows_of(table)})
    assert +shown == Counter(pq.read_table(Path(folders[folder]) / file)["language"].to_pylist())


def test_entries_of_any_script_stand_in_tables(executed):
    assert any("の" in table and "في" in table for table in tables(executed["explore_metadata"]))


def tables(book) -> list[str]:
    return [output.data["text/html"] for output in outputs(book) if "text/html" in output.get("data", {})]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path):
    book = read(path.stem)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert path.stem in PLOTS
    assert outputs(book) == []
    assert {cell.execution_count for cell in code} == {None}
    assert all(cell.metadata == {} for cell in book.cells)


@pytest.fixture
def plotting(monkeypatch):
    """What the notebooks share, imported as they do."""
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    import plotting

    yield plotting
    del sys.modules["plotting"]


def test_a_missing_folder_is_told_in_one_sentence(plotting, monkeypatch, tmp_path):
    monkeypatch.setenv("CURATED", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no folder .*nowhere: run `make demo` first, or set CURATED") as error:
        plotting.folder("CURATED", default="../.demo/curated")
    assert error.value._render_traceback_() == [str(error.value)]


def test_texts_of_the_crawl_stay_texts_in_a_table(plotting):
    html = plotting.table(pd.DataFrame({"text": ["<script>alert(1)</script>", "x" * 150 + "&", None]})).to_html()
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "xxx…<" in html


def test_numbers_in_a_table_are_separated_and_rounded(plotting):
    frame = pd.DataFrame({"n": [1234567, 3], "rate": [0.00402, np.nan], "p": [0.125, np.nan]})
    html = plotting.table(frame, shares=["p"]).to_html()
    assert all(f">{value}</td>" in html for value in ("1,234,567", "3", "0.00402", "–", "12.5 %"))


def test_names_of_dots_hide_neither_dots_nor_each_other(plotting):
    figure, axes = plt.subplots()
    x, y = np.random.default_rng(0).random((2, 60))
    axes.plot(x, y, "o", markersize=4)
    figure.draw_without_rendering()  # sets the limits
    plotting.name_dots(axes, [language.code for language in ALL if len(language.code) < 4][:60], x, y)
    boxes = [text.get_window_extent() for text in axes.texts]
    dots = axes.transData.transform(np.column_stack([x, y]))
    assert len(boxes) > 30
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.contains(*dot) for box in boxes for dot in dots)
    plt.close(figure)


def test_each_of_several_entries_keeps_its_own_direction(plotting):
    assert plotting.listed(["שלום", "a"]) == "\u2068שלום\u2069 · \u2068a\u2069"
    assert plotting.listed([]) is None


def test_where_there_is_nothing_to_see_a_notebook_says_so(plotting):
    plotting.need(["en"], "not said")
    with pytest.raises(InputError, match="^No text has a match.$"):
        plotting.need([], "No text has a match.")
