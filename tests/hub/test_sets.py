"""The commands of the page on the Hub read the columns that each set of pairs has, by the sets' cards."""

import io
import json
import re
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands.clip_curate import called, parse_curate
from curation.inputs.files import read
from curation.run.request import FoundInputs
from runtime.errors import InputError
from tests.support.checkout import ROOT

ROWS = 10
INTEGERS = "width height original_width original_height WIDTH HEIGHT hash id text_length word_count num_faces photoid"
SCORES = (
    "similarity punsafe pwatermark clip_b32_similarity_score clip_l14_similarity_score re_clip_score org_clip_score"
)
OF_COYO = "clip_similarity_vitb32 clip_similarity_vitl14 nsfw_score_opennsfw2 watermark_score aesthetic_score_laion_v2"
NUMBERS = {*SCORES.split(), *OF_COYO.split()}
WIT = "language page_url page_title caption_reference_description caption_attribution_description"
COLUMNS = {  # by the sets' cards and previews; those of URL and text come first
    "mlfoundations/datacomp_1b": f"url text uid sha256 original_width original_height {' '.join(SCORES.split()[3:5])}",
    "UCSC-VLAA/Recap-DataComp-1B": "url org_caption re_caption sha256 key re_clip_score org_clip_score re_length",
    "laion/relaion2B-en-research-safe": "url caption similarity width height",
    "laion/laion-coco": "URL TEXT top_caption all_captions WIDTH HEIGHT similarity hash pwatermark punsafe",
    "laion/laion2B-en-joined": "URL TEXT WIDTH HEIGHT similarity hash punsafe pwatermark",
    "laion/laion2B-multi-joined": "URL TEXT LANGUAGE WIDTH HEIGHT similarity hash punsafe pwatermark",
    "laion/laion400m": "URL TEXT NSFW similarity LICENSE",
    "laion/relaion400m": "url caption NSFW similarity LICENSE",
    "kakaobrain/coyo-700m": f"url text id width height image_phash text_length word_count num_faces {OF_COYO}",
    "zzliang/GRIT": "url caption key id clip_similarity_vitb32 width height noun_chunks ref_exps",
    "google-research-datasets/conceptual_12m": "image_url caption",
    "google-research-datasets/conceptual_captions": "image_url caption labels MIDs confidence_scores",
    "vicenteor/sbu_captions": "image_url caption user_id",
    "kdexd/red_caps": "image_url caption raw_caption image_id author subreddit score created_utc permalink",
    "google/wit": f"image_url caption_reference_description {WIT} caption_alt_text_description original_width",
    "wikimedia/wit_base": "image_url caption_attribution_description image embedding metadata_url wit_features",
    "Spawning/PD12M": "url caption id s3_key hash width height mime_type license source",
    "dalle-mini/YFCC100M_OpenAI_subset": "downloadurl description_clean title_clean photoid pageurl licenseurl",
    "speed/WAON": "url caption similarity page_title page_url punsafe width height sha256 phash",
    "bethgelab/dataconcept_128M": "url caption boxes classes scores tags",
    "o/alt-texts": "image_url alt_text hash page_url",
}
LISTS = {"all_captions", "noun_chunks", "ref_exps", "labels", "MIDs", "boxes", "classes", "scores", "tags", "embedding"}
PAGE = (ROOT / "docs" / "how-to" / "hub.md").read_text("utf-8")
LINES = re.findall(r"^(clip-curate --input hf://.*--output out)$", PAGE, re.MULTILINE)
OF_PAGE = {re.search(r"hf://datasets/(\S+)", line)[1]: line for line in LINES}


def table(name: str) -> bytes:
    columns = {}
    for number, column in enumerate(dict.fromkeys(COLUMNS[name].split())):
        values: list = [f"{column} {row}" for row in range(ROWS)]
        if column in ("uid", "sha256"):
            values = [f"{row:032x}" for row in range(ROWS)]
        elif number == 0:
            values = [f"https://e.example/{row}.jpg" for row in range(ROWS)]
        elif column in NUMBERS:
            values = [row / ROWS for row in range(ROWS)]
        elif column in INTEGERS.split() and name != "Spawning/PD12M":
            values = [row * 100 for row in range(ROWS)]
        elif column in ("width", "height"):
            values = [row * 100 for row in range(ROWS)]
        elif column in LISTS:
            values = [[f"{row}"] for row in range(ROWS)]
        elif column == "wit_features":
            values = [[{"language": "en", "caption_alt_text_description": f"a dog {row}"}] for row in range(ROWS)]
        elif name == "Spawning/PD12M" and column == "hash":
            values = [f"{row:032x}" for row in range(ROWS)]
        columns[column] = values
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_the_page_has_a_command_for_every_set_that_is_open():
    of_copies = {"laion/laion2B-en-joined", "laion/laion2B-multi-joined", "laion/laion400m", "laion/relaion400m"}
    assert {*OF_PAGE} == {*COLUMNS} - of_copies - {"o/alt-texts"}


def rows_of(line: str) -> tuple[list[dict], dict]:
    """Return the rows that a command reads, and its arguments."""
    arguments = called(parse_curate(shlex.split(line)[1:]))
    columns = arguments["options"].columns
    sources = FoundInputs.find(arguments["config"], arguments["inputs"], columns).files
    return [row for source in sources for batch in read(source, columns) for row in batch.to_pylist()], arguments


@pytest.mark.parametrize("name", COLUMNS)
def test_urls_and_texts_are_recognised_and_conditions_find_their_columns(hub, name):
    hub.dataset(name, {"data/train-00000.parquet": table(name), "README.md": b"# A set"})
    line = OF_PAGE.get(name, f"clip-curate --input hf://datasets/{name} --output out")
    rows, arguments = rows_of(line)
    _, text = COLUMNS[name].split()[:2]
    assert [row["url"] for row in rows] == [f"https://e.example/{row}.jpg" for row in range(ROWS)]
    assert [row["text"] for row in rows] == [f"{text} {row}" for row in range(ROWS)]
    if "--keep" in line:
        assert arguments["options"].gate.find()


def test_files_of_both_spellings_are_read_by_one_command(hub):
    hub.dataset(
        "laion/relaion400m", {f"{name}.parquet": table(name) for name in ("laion/laion400m", "laion/relaion400m")}
    )
    rows, _ = rows_of("clip-curate --input hf://datasets/laion/relaion400m --output out")
    assert [row["text"] for row in rows] == [f"{text} {row}" for text in ("TEXT", "caption") for row in range(ROWS)]


@pytest.mark.parametrize(
    ("name", "flag", "kind"),
    [
        ("laion/laion-coco", "--text-column all_captions", "column all_captions of .* has the type list<"),
        ("wikimedia/wit_base", "--text-column wit_features", "column wit_features of .* has the type list<"),
        ("wikimedia/wit_base", "--text-column wit_features.caption", "has no column wit_features.caption; it has "),
    ],
)
def test_lists_are_no_texts_and_are_refused_by_what_they_hold(hub, name, flag, kind):
    hub.dataset(name, {"a.parquet": table(name)})
    with pytest.raises(InputError, match=kind):
        rows_of(f"clip-curate --input hf://datasets/{name} {flag} --output out")


def test_the_md5_of_pd12m_is_a_uid_by_a_flag(hub):
    hub.dataset("Spawning/PD12M", {"a.parquet": table("Spawning/PD12M")})
    rows, _ = rows_of("clip-curate --input hf://datasets/Spawning/PD12M --uid-column hash --output out")
    assert [row["uid"] for row in rows] == [f"{row:032x}" for row in range(ROWS)]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_members_are_named_by_their_paths(hub, ending):
    objects = [
        {"image": {"url": f"https://e.example/{row}.jpg"}, "meta": row and {"caption": {"en": f"a dog {row}"}} or None}
        for row in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(objects), sink := io.BytesIO())
    lines = "".join(f"{json.dumps(row)}\n" for row in objects)
    hub.dataset("o/deep", {f"a.{ending}": sink.getvalue() if ending == "parquet" else lines.encode()})
    flags = "--url-column image.url --text-column meta.caption.en"
    rows, _ = rows_of(f"clip-curate --input hf://datasets/o/deep {flags} --output out")
    expected = [(f"https://e.example/{row}.jpg", f"a dog {row}") for row in range(1, ROWS)]
    assert [(row["url"], row["text"]) for row in rows] == expected
    with pytest.raises(InputError, match=r"did you mean image.url\?"):
        rows_of("clip-curate --input hf://datasets/o/deep --output out")
