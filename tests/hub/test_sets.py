"""The commands of the page on the Hub read the columns that each set of pairs has, by the sets' cards."""

import io
import re
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.commands.clip_curate import called, parse_curate
from curation.inputs.files import read
from curation.run.request import FoundInputs
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
    "wikimedia/wit_base": "image_url caption_attribution_description image embedding metadata_url mime_type",
    "Spawning/PD12M": "url caption id s3_key hash width height mime_type license source",
    "dalle-mini/YFCC100M_OpenAI_subset": "downloadurl description_clean title_clean photoid pageurl licenseurl",
    "speed/WAON": "url caption similarity page_title page_url punsafe width height sha256 phash",
    "bethgelab/dataconcept_128M": "url caption boxes classes scores tags",
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
        columns[column] = values
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_the_page_has_a_command_for_every_set_that_is_open():
    of_copies = {"laion/laion2B-en-joined", "laion/laion2B-multi-joined", "laion/laion400m", "laion/relaion400m"}
    assert {*OF_PAGE} == {*COLUMNS} - of_copies


@pytest.mark.parametrize("name", COLUMNS)
def test_urls_and_texts_are_recognised_and_conditions_find_their_columns(hub, name):
    hub.dataset(name, {"data/train-00000.parquet": table(name), "README.md": b"# A set"})
    line = OF_PAGE.get(name, f"clip-curate --input hf://datasets/{name} --output out")
    arguments = called(parse_curate(shlex.split(line)[1:]))
    columns = arguments["options"].columns
    (source,) = FoundInputs.find(arguments["config"], arguments["inputs"], columns).files
    rows = [row for batch in read(source, columns) for row in batch.to_pylist()]
    _, text = COLUMNS[name].split()[:2]
    assert [row["url"] for row in rows] == [f"https://e.example/{row}.jpg" for row in range(ROWS)]
    assert [row["text"] for row in rows] == [f"{text} {row}" for row in range(ROWS)]
    if "--keep" in line:
        assert arguments["options"].gate.find()
