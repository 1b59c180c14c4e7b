"""Columns are found by their usual names or by those given; rows are dropped as by the naive reader."""

import io
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.tables.columns import TableOptions, named_columns
from curation.inputs.tables.parquet_tables import string_columns
from curation.inputs.tables.text import check_delimited as check_csv
from curation.inputs.tables.text import check_json
from runtime.errors import InputError
from tests.naive.inputs import naive_pair
from tests.support.tables import URL, dropped, json_lines, of_csv, of_json, of_parquet, texts

# The columns of tables of pairs on the Hub, as their cards name them: those of the URL and of the text come first.
KNOWN_TABLES = {
    "DataComp": "url text uid original_width original_height clip_b32_similarity_score face_bboxes sha256",
    "Recap-DataComp-1B": "url org_caption sha256 key re_caption re_clip_score org_clip_score re_length org_length",
    "LAION-400M": "URL TEXT SAMPLE_ID HEIGHT WIDTH LICENSE NSFW similarity",
    "LAION-2B-en": "URL TEXT WIDTH HEIGHT similarity hash punsafe pwatermark",
    "LAION-2B-multi": "URL TEXT LANGUAGE similarity WIDTH HEIGHT hash pwatermark punsafe",
    "Re-LAION-2B": "url caption similarity width height",
    "LAION-COCO": "URL TEXT top_caption all_captions all_similarities WIDTH HEIGHT similarity hash pwatermark punsafe",
    "COYO-700M": "url text id width height image_phash text_length word_count num_faces nsfw_score_gantman",
    "GRIT": "url caption key id clip_similarity_vitb32 width height noun_chunks ref_exps",
    "Conceptual 12M": "image_url caption",
    "Conceptual Captions": "image_url caption labels MIDs confidence_scores",
    "SBU": "image_url caption user_id",
    "RedCaps": "image_url caption raw_caption image_id author subreddit score created_utc permalink crosspost_parents",
    "WIT": "image_url caption_reference_description page_url page_title caption_attribution_description "
    "caption_alt_text_description language original_height original_width is_main_image",
    "WIT base": "image_url caption_attribution_description image embedding metadata_url mime_type",
    "PD12M": "url caption id s3_key hash width height mime_type license source",
    "YFCC100M of OpenAI": "downloadurl description_clean title_clean photoid pageurl licenseurl licensename",
    "WAON": "url caption similarity page_title page_url punsafe width height sha256 phash",
    "DataConcept-128M": "url caption boxes classes scores tags",
}


@pytest.mark.parametrize("known", KNOWN_TABLES)
@pytest.mark.parametrize("order", [1, -1])
def test_the_columns_of_known_tables_are_recognised(known, order):
    names = KNOWN_TABLES[known].split()
    found = named_columns(names[::order], TableOptions(), known)
    assert (found["url"], found["text"]) == (*names[:2],)
    assert found.get("page_url") == ("page_url" if "page_url" in names else None)


@pytest.mark.parametrize(
    "name", ["page_url", "pageurl", "metadata_url", "licenseurl", "license", "permalink", "s3_key"]
)
def test_an_address_that_is_no_image_is_no_url(name):
    with pytest.raises(InputError, match=f"has no column url .*; it has {name}, text"):
        named_columns([name, "text"], TableOptions(), "a table")


@pytest.mark.parametrize("url", ["url", "URL", "image_url", "downloadurl"])
@pytest.mark.parametrize("text", ["text", "TEXT", "caption", "alt"])
def test_the_usual_names_of_columns_are_recognised(url, text):
    expected = [{"url": URL, "text": "犬", "kind": "text"}]
    assert of_parquet({"other": [1], text: ["犬"], url: [URL]})[0] == expected
    assert of_json(json_lines({"other": 1, text: "犬", url: URL}))[0] == expected
    assert of_csv(f"other,{text},{url}\n1,犬,{URL}\n")[0] == expected


def test_the_usual_names_are_recognised_in_any_case():
    row = {"Image_Url": URL, "Caption": "x", "UID": "1", "Language": "ja", "PAGE_URL": "p"}
    expected = [{"url": URL, "text": "x", "kind": "text", "uid": "1", "language": "ja", "page_url": "p"}]
    assert of_parquet({name: [value] for name, value in row.items()})[0] == expected
    assert of_json(json_lines(row))[0] == expected
    assert of_csv(f"{','.join(row)}\n{','.join(row.values())}\n")[0] == expected


def test_a_column_whose_name_has_an_equals_sign():
    table, options = {"url": [URL], "Bild=Text": ["x"]}, TableOptions(text_column="Bild=Text")
    with pytest.raises(InputError, match=r"has a column Bild=Text, but .* PATTERN=NAME; write \*=Bild=Text$"):
        of_parquet(table, options)
    assert of_parquet(table, TableOptions(text_column="*=Bild=Text"))[0] == [{"url": URL, "text": "x", "kind": "text"}]


def test_columns_alike_but_for_case_are_refused_unless_one_is_named():
    table = {"URL": [URL], "url": ["y"], "text": ["x"]}
    sentence = r"x.parquet has the columns URL and url, which differ only in case; name the right one with url_column"
    with pytest.raises(InputError, match=sentence):
        of_parquet(table)
    assert texts(of_parquet(table, TableOptions("URL", "text"))) == ["x"]
    with pytest.raises(InputError, match="columns uid and UID, which differ only in case; leave out all but one"):
        of_csv("url,text,uid,UID\n")


def test_other_columns_are_used_as_given():
    row = {"url": URL, "text": "x", "uid": "00ff", "language": "ja", "page_url": "p"}
    expected = [{**row, "kind": "text"}]
    assert of_parquet({name: [value] for name, value in row.items()})[0] == expected
    assert of_json(json_lines(row))[0] == expected
    assert of_csv(f"{','.join(row)}\n{','.join(row.values())}\n")[0] == expected


def test_an_empty_uid_is_none():
    assert "uid" not in of_csv(f"url,text,uid\n{URL},x,\n")[0][0]


def test_columns_can_be_named():
    options = TableOptions(url_column="u", text_column="t")
    assert texts(of_parquet({"u": [URL], "t": ["x"], "url": ["y"], "text": ["z"]}, options)) == ["x"]
    assert texts(of_json(json_lines({"u": URL, "t": "x", "text": "z"}), options)) == ["x"]
    assert texts(of_csv(f"u,t,text\n{URL},x,z\n", options)) == ["x"]


def test_a_column_of_uids_can_be_named_or_left_out():
    columns = {"url": [URL], "text": ["x"], "uid": ["0"], "md5": ["1"]}
    for uid_column, expected in ((None, "0"), ("md5", "1"), ("none", None), (("none", "md5"), None)):
        assert of_parquet(columns, TableOptions(uid_column=uid_column))[0][0].get("uid") == expected
    with pytest.raises(InputError, match=r"no column key; it has url, text, uid, md5: .*uid_column"):
        of_parquet(columns, TableOptions(uid_column="key"))


def test_a_file_without_the_columns_is_refused_with_what_it_has():
    sentence = r"x\.\w+ has no column text or TEXT or caption or alt; it has url, words: .*text_column"
    with pytest.raises(InputError, match=sentence):
        of_parquet({"url": [URL], "words": ["x"]})
    with pytest.raises(InputError, match=sentence):
        of_json(json_lines({"url": URL, "words": "x"}))
    with pytest.raises(InputError, match=sentence):
        of_csv("url,words\n")
    with pytest.raises(InputError, match=r"no column src; .*url_column"):
        of_csv("url,text\n", TableOptions(url_column="src"))
    with pytest.raises(InputError, match="2 columns named text"):
        of_csv("url,text,text\n")


def test_numbers_are_for_files_without_header():
    options = TableOptions("1", "0")
    assert options == TableOptions(1, 0)
    assert texts(of_csv(f"x\t{URL}\ny\t{URL}", options, "x.tsv")) == ["x", "y"]
    assert texts(of_csv(f"x,{URL}\n", options)) == ["x"]
    with pytest.raises(InputError, match="pass names to url_column and text_column"):
        of_parquet({"url": [URL], "text": ["x"]}, options)
    with pytest.raises(InputError, match="has 2 columns, numbered from 0, so it has no column 2"):
        of_csv(f"x,{URL}\n", TableOptions(1, 2))
    with pytest.raises(InputError, match="pass one number for each"):
        TableOptions(1, None)


def of_each_format(columns, options, name="x"):
    """Return the URL and text of a row with these columns, as each format reads it."""
    each = (
        of_parquet({key: [value] for key, value in columns.items()}, options, path=f"{name}.parquet"),
        of_json(json_lines(columns), options, f"{name}.jsonl"),
        of_csv("\n".join(map(",".join, (columns, columns.values()))), options, f"{name}.csv"),
        of_csv("\n".join(map("\t".join, (columns, columns.values()))), options, f"{name}.tsv"),
    )
    found = [[(row["url"], row["text"], row.get("uid")) for row in rows] for rows, _ in each]
    assert all(rows == found[0] for rows in found)
    return found[0][0]


def test_of_several_names_the_first_that_a_file_has_is_taken():
    options = TableOptions(["src", "href"], ["words", "alt", "title"], ["key", "none"])
    assert of_each_format({"href": URL, "title": "a", "alt": "b", "uid": "1"}, options) == (URL, "b", None)
    assert of_each_format({"title": "a", "href": "y", "src": URL, "key": "1"}, options) == (URL, "a", "1")
    sentence = r"x\.\w+ has no column words or alt or title; it has url, href: .*PATTERN=NAME for some inputs"
    with pytest.raises(InputError, match=sentence):
        of_each_format({"url": "y", "href": URL}, options)
    assert TableOptions(["src"], ["words"]) == TableOptions("src", "words")


def test_a_pattern_names_the_column_of_the_inputs_that_it_matches():
    options = TableOptions(["src", "wit/*=image_url", "cc3m*=1"], ["wit/*=alt=", "cc3m*=0"], ["wit/*=none"])
    assert of_each_format({"src": URL, "text": "a", "uid": "1"}, options) == (URL, "a", "1")
    assert of_each_format({"src": "y", "image_url": URL, "alt=": "a", "uid": "1"}, options, "/data/wit/en/a") == (
        (URL, "a", None)
    )
    assert texts(of_csv(f"x\t{URL}\ny\t{URL}", options, "/data/cc3m_val.tsv")) == ["x", "y"]
    with pytest.raises(InputError, match=r"wit/a\.\w+ has no column image_url; it has src, alt="):
        of_each_format({"src": URL, "alt=": "a"}, options, "/data/wit/a")
    with pytest.raises(InputError, match=r"cc3m\.parquet has named columns \(src, text\)"):
        of_each_format({"src": URL, "text": "a"}, options, "cc3m")


def test_names_and_numbers_for_the_same_files_are_refused():
    for url, text in ((["1", "src"], "0"), (1, ["0", "2"]), (["a*=1"], ["a*=text"]), (["a*=1"], None)):
        with pytest.raises(InputError, match=r"url_column is .* and text_column is .*; pass one number for each"):
            TableOptions(url, text).numbers("a.tsv")
    for column in ("=src", "cc3m*=", ["src", ""]):
        with pytest.raises(InputError, match="url_column does not name a column; expected NAME or PATTERN=NAME"):
            TableOptions(column)


def test_a_pattern_that_no_input_is_like_is_refused():
    options = TableOptions(["cc3m*=1"], ["cc3m*=0", "table:web.*=alt"])
    options.require_use(["/data/cc3m/a.tsv", "table:web.pairs"])
    with pytest.raises(InputError, match=r"text_column is table:web\.\*=alt, but no input matches table:web\.\*"):
        options.require_use(["/data/cc3m/a.tsv"])


NASTY = [
    None,
    "",
    " ",
    "x",
    " ein\r\nHund ",
    "犬\u2028",
    "http:",
    "https://a",
    "HTTP://b/ c",
    "ftp://a/b",
    "http:///x",
    "//a/b",
]
nasty = st.lists(st.tuples(st.sampled_from(NASTY), st.sampled_from(NASTY)), max_size=30)


@settings(deadline=None)
@given(nasty)
def test_rows_are_dropped_as_by_the_naive_reader(rows):
    outcomes = [naive_pair(url, text) for url, text in rows]
    pairs = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    reasons = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    column = {"url": pa.array([u for u, _ in rows], pa.string()), "text": pa.array([t for _, t in rows], pa.string())}
    lines = json_lines({"url": "", "text": ""}, *({"url": u, "text": t} for u, t in rows))
    for found, extra in ((of_parquet(column), 0), (of_json(lines), 1)):
        assert [(row["url"], row["text"]) for row in found[0]] == pairs
        assert dropped(found) == reasons + Counter(empty_url=extra)


def test_a_json_array_is_refused():
    with pytest.raises(InputError, match="no line that is a JSON object; expected JSON lines"):
        check_json(io.BytesIO(b'[\n{"url": 1},\n]'), "x.json", TableOptions())
    check_json(io.BytesIO(b""), "x.json", TableOptions())


def test_a_first_line_without_a_key_passes_if_another_has_it():
    check_json(io.BytesIO(json_lines({"url": URL}, {"text": "x"}).encode()), "x.json", TableOptions())
    with pytest.raises(InputError, match="no column url"):
        check_json(io.BytesIO(json_lines({"text": "x"}).encode()), "x.json", TableOptions())


def test_a_csv_without_header_is_refused_with_its_first_row():
    with pytest.raises(
        InputError,
        match="begins with 'a caption', 'https://.*: --url-column 1 --text|begins with .*url_column 1 text_column 0",
    ):
        check_csv(io.BytesIO(f"a caption,{URL}\n".encode()), "x.csv", TableOptions())
    with pytest.raises(InputError, match="x.csv is empty; expected a line that names the columns"):
        check_csv(io.BytesIO(b"\n"), "x.csv", TableOptions())
    check_csv(io.BytesIO(b""), "x.csv", TableOptions(0, 1))


def test_a_column_of_numbers_is_refused_as_texts():
    table = pa.schema([("url", pa.string()), ("text", pa.int64())])
    with pytest.raises(
        InputError, match="column text of a has the type int64; expected strings: name another column for the"
    ):
        string_columns(table, TableOptions(), "a")
    string_columns(
        pa.schema([("url", pa.null()), ("text", pa.dictionary(pa.int8(), pa.string()))]), TableOptions(), "a"
    )


def test_a_column_of_another_meaning_is_not_suggested():
    with pytest.raises(InputError, match="name the column of the url") as error:
        named_columns(["page_url", "text"], TableOptions(), "a.csv")
    assert "did you mean" not in str(error.value)
