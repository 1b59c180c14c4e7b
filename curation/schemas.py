"""The Arrow schemas of the rows that pass from one stage of a run to the next, and the bits and names in them."""

from collections.abc import Sequence

import pyarrow as pa

ENTRY_IDS = pa.list_(pa.int32())

# The position of a page's record. `file` is the path from the name of the crawl on, or the file's name if the path has
# no crawl. `offset` is the byte at which the gzip member of the record begins.
RECORD = pa.struct([pa.field("file", pa.string()), pa.field("offset", pa.int64())])

ALT = "alt"
PAGE_KINDS = (ALT, "title", "data-image-title")  # the attributes that hold an image's texts
TDM_RESERVATION = "tdm-reservation"
DATA_NOAI = "data-noai"
CONTENT_USAGE = "content-usage"

# The bits of the column `signals`, beside those of LICENCES in licences.py. Files hold these numbers: none may change,
# new ones are added.
SIGNALS = {
    "noai": 1,
    "noimageai": 2,
    "noindex": 4,
    "noimageindex": 8,
    TDM_RESERVATION: 16,
    DATA_NOAI: 32,
    "noml": 64,
    CONTENT_USAGE: 512,
}
# Signals that only hosts state. `gate.hosts` adds these bits, and also bits of SIGNALS that a host states.
HOST_SIGNALS = {"robots": 128, "content-signal": 256, "ai.txt": 1024}
# Bits for the places of an image on a page: in a link to the root of a site, in a link to another site, in a <figure>.
# NAMES_OF_PLACES in `kernels.places` has the words of the other places: the image is, or is in, an element whose tag,
# id, class or role has such a word.
IMAGE_PLACES = {
    "in home link": 1 << 11,
    "in link away": 1 << 12,
    "in figure": 1 << 13,
    "in header": 1 << 24,
    "in footer": 1 << 25,
    "in menu": 1 << 26,
    "in advertisement": 1 << 27,
    "in interface": 1 << 28,
    "in contents": 1 << 29,
}

# Columns for what an image's page states. `signals` has bits for rights to use the image and for places on the page.
# A size that is not stated is null. `surroundings` describes what is around the image (see `kernels.surroundings`). It
# is null if it was not read, as in WAT files.
STATED = (
    pa.field("signals", pa.int32()),
    pa.field("stated_width", pa.int32()),
    pa.field("stated_height", pa.int32()),
    pa.field("surroundings", pa.int32()),
)

# One row per (image URL, text) as a page or table states it.
CANDIDATES = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),  # alt, title or data-image-title on pages; text in tables
        pa.field("page_url", pa.string()),
        *STATED,  # null in tables
        pa.field("uid", pa.string()),  # as the table states it; null: MD5 of the URL
        pa.field("language", pa.string()),  # as the table states it; null: to be identified
        pa.field("page_language", pa.string()),  # code that a WARC page states; null: none, or not asked for
        pa.field("pool_language", pa.string()),  # code that `weighed` returns for the text; null: none, or not asked
        pa.field("record", RECORD),  # the record of the page; null in tables, or if not asked for
    ]
)

# CANDIDATES on the way to the task that groups rows by image: `key`, a hash of the uid, decides on the bucket, and
# `hash`, of uid and text, on the order of the texts of an image.
KEYED = pa.schema(
    [
        pa.field("key", pa.uint64()),
        pa.field("hash", pa.int64()),
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("page_url", pa.string()),
        *STATED,  # `signals` is 0 if there is none; it is null only in CANDIDATES
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("given", pa.string()),  # the language as the input states it
        pa.field("page_language", pa.string()),
        pa.field("pool_language", pa.string()),
        pa.field("copies", pa.int32()),  # number of input rows that were combined into this row
        pa.field("shown", pa.int32()),  # number of rows with an alt; `combine` puts an image's sum into its first row
        pa.field("record", RECORD),  # the record of page_url
    ]
)

# Further columns of CANDIDATES and KEYED, if the language model is asked before rows are grouped by image: its label of
# the text, and the label's score.
LABELS = ("label", "label_score")  # types: dictionary of strings, float32

FOUND = (
    pa.field("language", pa.string()),
    pa.field("lid_score", pa.float32()),  # null if the input states the language
    pa.field("entries", ENTRY_IDS),
)
# `judged` is the reason why a text counts as `other` whatever its label is, or the witness that decided on the language
# of the text; else null.
PAIRS = pa.schema([*KEYED, *FOUND, pa.field("judged", pa.string())])

CANDIDATE = pa.struct(
    [
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),
        *FOUND,
        pa.field("page_url", pa.string()),  # the smallest page that has the text; null if it is the page of the image
        pa.field("record", RECORD),  # of that page, also where page_url is null; null unless asked for
    ]
)

# One row per image that has a text with a match. `page_url` is the smallest page of the image's texts, null if one of
# these texts has no page. A candidate whose own `page_url` is null has the page of the image.
# The version is stored with a run, so that a run with images of another version is not continued. Version 1 had no
# signal `noml`, and left the references in texts that a site had escaped twice. Version 2 had neither IMAGE_PLACES nor
# `shown`. Version 3 had neither licences nor `record`. Version 4 had only the places of links and figures. Version 5
# had neither `content-usage` of pages nor licences of RSL and of headers, and read directives for one robot from
# headers only. Version 6 had no `surroundings`.
MATCHED_VERSION = 7
MATCHED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("page_url", pa.string()),
        *STATED,
        pa.field("shown", pa.int32()),  # how often pages show it with an alt
        pa.field("candidates", pa.list_(CANDIDATE)),
    ]
)

# The texts of an image as training reads them, which needs no pages.
_OF_PAGES = ("page_url", "record")
TRAINED_TEXTS = pa.field(
    "candidates", pa.list_(pa.struct([field for field in CANDIDATE if field.name not in _OF_PAGES]))
)

# The columns of MATCHED that sampling reads.
SAMPLED = pa.schema([MATCHED.field(name) for name in ("uid", "url", "page_url", "candidates")])

CURATED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("language", pa.string()),
        pa.field("lid_score", pa.float32()),
        pa.field("entries", ENTRY_IDS),
        pa.field("probability", pa.float64()),
        pa.field("page_url", pa.string()),
    ]
)

# Columns that CURATED has if they are asked for: the licence that pages of the image state, the record of
# page_url, and the probabilities of the judge.
JUDGEMENT = pa.struct([pa.field("junk", pa.float32()), pa.field("headline", pa.float32())])
EXTRA = pa.schema([pa.field("license", pa.string()), pa.field("record", RECORD), pa.field("judgement", JUDGEMENT)])

REMOVED_PART = "gate_removed"  # the part of a run with a sample of the images and texts that a gate removed
# One row per text of an image in the sample that a gate removed, with the step and the rule that removed it.
GATE_REMOVED = pa.schema(
    [
        *(CURATED.field(name) for name in ("uid", "url", "text", "language", "page_url")),
        pa.field("step", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("why", pa.string()),  # of a judged text: how probable the rule found it, and what weighed most
    ]
)

COUNTS = pa.schema(
    [
        pa.field("id", pa.int32()),
        pa.field("language", pa.string()),
        pa.field("entry", pa.string()),
        pa.field("count", pa.int64()),
        pa.field("rate", pa.float32()),
    ]
)

# One row per image that has an embedding, as `clip-cluster` writes them.
CLUSTERS = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("fine", pa.int32()),
        pa.field("coarse", pa.int32()),
        pa.field("distance", pa.float32()),  # Euclidean, to the centre of the fine cluster
    ]
)

COSINE = b"cosine"  # key in the metadata of files of SEMANTIC_COPIES: the least cosine of copies

# One row per image that is a semantic copy of another one, as `clip-cluster` writes them.
SEMANTIC_COPIES = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("copy_of", pa.string()),  # the uid of the image that stays
        pa.field("cosine", pa.float64()),  # of the embeddings of both images
    ]
)
MATCHED_ROW_GROUP = 50_000  # images; a worker holds so many at a time when it reads them again


def with_extra(extra: Sequence[str]) -> pa.Schema:
    """Return the schema CURATED and, after it, the columns `extra` as the schema EXTRA has them."""
    return pa.schema([*CURATED, *(EXTRA.field(name) for name in extra)])
