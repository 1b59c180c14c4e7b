"""Pages are decoded as browsers decode them, wherever they state their encoding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.inputs.crawl import html_pages
from curation.inputs.crawl.html_pages import GUESSED_BYTES
from tests.support.crawl_records import dropped, of_warc, warc

FILLER = "<meta name=x content='" + "y" * 3000 + "'>"


def texts(page, headers="Content-Type: text/html"):
    return [text for _, text, _, _ in of_warc(warc(page, headers))[0]]


@pytest.mark.parametrize(
    ("headers", "start", "codec"),
    [
        ("Content-Type: text/html; charset=Shift_JIS", "", "shift_jis"),
        ("content-type: TEXT/HTML;Charset='EUC-KR'", "", "euc-kr"),
        ("Content-Type: text/html", '<meta charset="gb2312">', "gb18030"),
        ("Content-Type: text/html", '<meta content="text/html; charset=euc-jp" http-equiv=Content-Type>', "euc-jp"),
        ("Content-Type: text/html", FILLER + "<meta charset=big5>", "big5"),
        ("Content-Type: text/html", "<meta charset=no-such><meta charset=' EUC-JP '>", "euc-jp"),
        ("Content-Type: text/html", "<!--<meta charset=big5>--><script>'<meta charset=gbk>'</script>", "utf-8"),
        ("Content-Type: text/html", "<meta charset=euc-kr content='charset=big5' http-equiv=content-type>", "euc-kr"),
        ("Content-Type: text/html; charset=no-such", "", "utf-8"),
        ("Content-Type: text/html; charset=no-such", "<meta charset=sjis>", "shift_jis"),
        ("Content-Type: text/html; charset=hex", "", "utf-8"),
        ("Content-Type: text/html; charset=utf-7", "", "utf-8"),
        ("Content-Type: application/xhtml+xml", "", "utf-8"),
        ("Content-Type: application/xhtml+xml", "<?xml version='1.0' encoding='GBK'?>", "gbk"),
        ("Content-Type: text/html", "<?xml version='1.0'?>", "utf-16-le"),
        ("Content-Type: text/html", "<?xml version='1.0'?>", "utf-16-be"),
        ("Content-Type: text/html; charset=utf-8", "<meta charset=big5>", "utf-8"),
        ("Content-Type: text/html; charset=latin1", "", "utf-16"),
        ("Content-Type: text/html; charset=latin1", "", "utf-8-sig"),
        ("Content-Type: text/html", "<meta charset=utf-16>", "utf-8"),
        ("Content-Type: text/html", "<meta charset=iso-2022-jp>", "iso-2022-jp"),
    ],
)
def test_the_page_is_read_in_its_charset(headers, start, codec):
    assert texts(f"{start}<img src=a.jpg alt=東京>".encode(codec), headers) == ["東京"]


@pytest.mark.parametrize("label", ["ISO-8859-1", "latin1", "us-ascii", "windows-1252"])
def test_latin1_means_windows_1252_as_in_browsers(label):
    page = b"<img src=a.jpg alt='\x93caf\xe9\x94'>"
    assert texts(page, f"Content-Type: text/html; charset={label}") == ["“café”"]


@pytest.mark.parametrize("label", ["x-user-defined", "windows-1252"])
def test_a_meta_that_names_the_encoding_of_users_means_windows_1252(label):
    assert texts(f"<meta charset={label}>".encode() + b"<img src=a.jpg alt=caf\xe9>") == ["café"]


@pytest.mark.parametrize("label", ["iso-2022-kr", "hz-gb-2312", "replacement"])
def test_a_page_in_an_encoding_that_the_standard_forbids_is_counted(label):
    pairs, tally = of_warc(warc("<img src=a.jpg alt=x>", f"Content-Type: text/html; charset={label}"))
    assert (pairs, dropped(tally)) == ([], {"bad_encoding": 1})


def test_a_page_that_was_cut_within_a_character_is_utf8():
    assert texts("<img src=a.jpg alt='Köln und Åre'>ü".encode()[:-1]) == ["Köln und Åre"]


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "Größe und Höhe der Brücke über die Mosel, früher wie heute"),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy"),
        ("iso8859-2", "Zażółć gęślą jaźń, a potem idź do domu, żeby odpocząć"),
        ("cp1251", "Съешь ещё этих мягких французских булок, да выпей чаю"),
        ("koi8-r", "Съешь ещё этих мягких французских булок, да выпей чаю"),
        ("cp1253", "Η Αθήνα είναι η πρωτεύουσα και η μεγαλύτερη πόλη της Ελλάδας"),
        ("cp932", "東京都は日本の首都であり、人口が最も多い都市です"),
        ("euc-jp", "東京都は日本の首都であり、人口が最も多い都市です"),
        ("gbk", "北京是中华人民共和国的首都，是全国的政治中心和文化中心"),
        ("big5", "臺北市是中華民國的首都，也是政治、文化的中心"),
        ("cp949", "서울은 대한민국의 수도이자 최대 도시이다"),
    ],
)
def test_a_page_that_states_no_encoding_is_read_by_its_looks(codec, text):
    page = f"<title>x</title><p>{text}.<p><img src=a.jpg alt='{text}'>"
    assert texts(page.encode(codec)) == [text]
    assert texts(page.encode(codec) + b" " * GUESSED_BYTES + b"<p>x") == [text]


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", "<meta charset=%s>", "<?xml encoding='%s'?>"]), st.text(max_size=9))
def test_any_bytes_under_any_label_are_read(noise, start, label):
    page = (start.replace("%s", label)).encode("utf-8", "replace") + noise + b"<img src=a>"
    name = html_pages.stated_outside(page, f"text/html; charset={label}") or html_pages.guessed(page)
    if name != html_pages.REPLACEMENT:
        assert isinstance(html_pages.page_text(page, name), str)
