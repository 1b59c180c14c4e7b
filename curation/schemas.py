"""The Arrow schemas of the rows that pass from one stage of a run to the next."""

import pyarrow as pa

ENTRY_IDS = pa.list_(pa.int32())

# What the page of an image says of its use and its size: `signals` has a bit for each of `SIGNALS` in
# inputs/crawl/page_signals.py; sizes are null where none is stated.
STATED = (
    pa.field("signals", pa.int32()),
    pa.field("stated_width", pa.int32()),
    pa.field("stated_height", pa.int32()),
)

# One row per (image URL, text) as a page or table states it. A row whose url is null is a tally: `text` names what was
# counted (see inputs/candidates.py) and `tally` says how many: they come with the data of one input, and are kept
# with it, so that an input that is read twice is not counted twice.
CANDIDATES = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),  # alt, title or data-image-title on pages; text in tables
        pa.field("page_url", pa.string()),
        *STATED,  # null in tables
        pa.field("uid", pa.string()),  # the table's own; null: MD5 of the URL
        pa.field("language", pa.string()),  # the table's own; null: to be identified
        pa.field("page_language", pa.string()),  # that a WARC page states, as a code; null where it is to be ignored
        pa.field("host_language", pa.string()),  # of most texts of the host in this input, likewise
        pa.field("tally", pa.int64()),
    ]
)

# The same on the way to where an image's rows come together: `key`, a hash of the uid, says where that is, and by
# `hash`, one of uid and text, the texts of an image are ordered.
KEYED = pa.schema(
    [
        pa.field("key", pa.uint64()),
        pa.field("hash", pa.int64()),
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("page_url", pa.string()),
        *STATED,  # from here on 0 where there is no signal
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("given", pa.string()),  # the language as the input states it
        pa.field("page_language", pa.string()),
        pa.field("host_language", pa.string()),
        pa.field("copies", pa.int32()),  # rows of the input that this one stands for
    ]
)

# What a model says of the text, where it is asked before rows come together: more columns of CANDIDATES and KEYED.
LABELS = ("label", "label_score")  # a dictionary of strings, float32

FOUND = (
    pa.field("language", pa.string()),
    pa.field("lid_score", pa.float32()),  # null where the input brought the language
    pa.field("entries", ENTRY_IDS),
)
# `judged` is the reason for which a text belongs to `other` whatever its label means, or the witness whose language it
# has; else null.
PAIRS = pa.schema([*KEYED, *FOUND, pa.field("judged", pa.string())])

CANDIDATE = pa.struct(
    [
        pa.field("text", pa.string()),
        pa.field("kind", pa.string()),
        *FOUND,
        pa.field("page_url", pa.string()),  # the smallest page that has the text; null where it is that of the image
    ]
)

# One row per image that has a text with a match. `page_url` is the smallest page of its texts, null where one of them
# has none: a text without a page of its own has that of the image.
# The version is part of what a run's images were made from: a run whose images mean something else is not gone on with.
MATCHED_VERSION = 2  # 1 had no signal `noml`, and left the references in texts that a site had escaped twice
MATCHED = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("url", pa.string()),
        pa.field("page_url", pa.string()),
        *STATED,
        pa.field("candidates", pa.list_(CANDIDATE)),
    ]
)

# The texts of an image as training reads them, which needs no pages.
TRAINED_TEXTS = pa.field("candidates", pa.list_(pa.struct([field for field in CANDIDATE if field.name != "page_url"])))

# What sampling needs of it.
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

# One row per text of an image in the sample of what a gate removed, with the step and the rule that removed it.
GATE_REMOVED = pa.schema(
    [
        *(CURATED.field(name) for name in ("uid", "url", "text", "language", "page_url")),
        pa.field("step", pa.string()),
        pa.field("rule", pa.string()),
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

COSINE = b"cosine"  # in the metadata of SEMANTIC_COPIES, once they are written: from which cosine on images are copies

# One row per image that is a semantic copy of another one, as `clip-cluster` writes them.
SEMANTIC_COPIES = pa.schema(
    [
        pa.field("uid", pa.string()),
        pa.field("copy_of", pa.string()),  # the uid of the image that stays for it
        pa.field("cosine", pa.float64()),  # of the embeddings of both
    ]
)
