"""The table of languages, and the codes by which a language is found."""

import re
from collections import Counter

import pytest

from curation.language.engines import default_model
from metadata.languages import LANGUAGES, OTHER, is_wikipedia, language, of_label, of_stated, of_wikipedia, of_wordnet
from runtime.errors import InputError
from tests.support.checkout import CASES, ROOT
from tests.support.cldr_names import names_csv

WIKIPEDIAS = (CASES / "wikipedia_codes.txt").read_text("utf-8").split()
LID_176 = [label.decode() for label in re.findall(rb"__label__([a-z]+)\0", default_model().read_bytes())]
WORDNETS = """
    als=sq arb=ar bul=bg cat=ca cmn=zh dan=da deu=de ell=el eng=en eus=eu fas=fa fin=fi fra=fr glg=gl heb=he hin=hi
    hrv=hr ind=id isl=is ita=it jpn=ja lit=lt nld=nl nno=nn nob=no pol=pl por=pt qcn=zh ron=ro slk=sk slv=sl spa=es
    swe=sv tha=th vie=vi zsm=ms
""".split()
MERGED = {"cbk": "cbk_zam", "lrc": "other", "wuu": "zh", "yue": "zh"}  # what lid.176 calls otherwise than we do


def codes():
    return [each.code for each in LANGUAGES]


def test_languages_are_english_then_the_others_by_code_then_other():
    assert codes() == ["en", *sorted(set(codes()) - {"en", "other"}), "other"]
    assert OTHER.code == "other"


@pytest.mark.parametrize("column", ["wikipedia", "wordnet", "labels"])
def test_no_name_is_claimed_by_two_languages(column):
    names = Counter(name for each in LANGUAGES for name in getattr(each, column))
    assert [name for name, times in names.items() if times > 1] == []


def test_no_two_languages_share_a_name():
    assert len({each.name for each in LANGUAGES}) == len(LANGUAGES)


def test_every_wikipedia_belongs_to_one_language():
    assert len(WIKIPEDIAS) == 330
    assert Counter(code for each in LANGUAGES for code in each.wikipedia) == Counter([*WIKIPEDIAS, "be_x_old"])


def test_every_language_has_a_wikipedia_and_is_named_after_one_of_them():
    assert [each.code for each in LANGUAGES[:-1] if each.code not in each.wikipedia] == []


def test_every_label_of_lid_176_means_the_language_of_its_code():
    assert len(LID_176) == 176
    meant = {label: of_label(f"__label__{label}").code for label in LID_176}
    assert meant == {label: label for label in LID_176} | MERGED


def test_only_the_two_wikipedias_that_no_model_reaches_lack_a_label():
    assert [each.code for each in LANGUAGES if not each.labels] == ["map_bms", "roa_tara"]


@pytest.mark.parametrize(
    ("wikipedia", "code"),
    [
        ("en", "en"),
        ("simple", "en"),
        ("zh", "zh"),
        ("zh_classical", "zh"),
        ("zh-yue", "zh"),
        ("zh_min_nan", "zh_min_nan"),
        ("no", "no"),
        ("nn", "nn"),
        ("sh", "sh"),
        ("als", "als"),
        ("ary", "ar"),
        ("arz", "arz"),
        ("nds-nl", "nds"),
        ("be_tarask", "be"),
        ("be-tarask", "be"),
        ("be_x_old", "be"),
        ("be-x-old", "be"),
        ("bat_smg", "bat_smg"),
        ("cbk_zam", "cbk_zam"),
        ("fiu_vro", "fiu_vro"),
        ("map_bms", "map_bms"),
        ("roa_rup", "roa_rup"),
        ("roa-tara", "roa_tara"),
        ("tay", "other"),
    ],
)
def test_a_wikipedia_is_merged_into_its_language(wikipedia, code):
    assert of_wikipedia(wikipedia).code == code


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("__label__ja", "ja"),
        ("ja", "ja"),
        ("jpn_Jpan", "ja"),
        ("__label__eng_Latn", "en"),
        ("zho_Hans", "zh"),
        ("zho_Hant", "zh"),
        ("cmn_Hani", "zh"),
        ("yue_Hant", "zh"),
        ("acm_Arab", "ar"),
        ("arb_Latn", "ar"),
        ("arz_Arab", "arz"),
        ("als", "als"),
        ("gsw_Latn", "als"),
        ("als_Latn", "sq"),
        ("nob_Latn", "no"),
        ("nno_Latn", "nn"),
        ("prs_Arab", "fa"),
        ("hau_Latn", "ha"),
        ("map_bms", "map_bms"),
        ("zh-yue", "zh"),
        ("other", "other"),
        ("tlh_Latn", "other"),
        ("und", "other"),
        ("__label__", "other"),
        ("日本語", "other"),
    ],
)
def test_a_label_means_a_language_and_any_unknown_one_means_other(label, code):
    assert of_label(label).code == code


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        ("English", "en"),
        (" ENGLISH", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("en-x-simple", "en"),
        ("English (United Kingdom)", "en"),
        ("zh-Hant-TW", "zh"),
        ("ZH-CMN-HANS-CN", "zh"),
        ("Chinese (Simplified)", "zh"),
        ("Traditional Chinese", "zh"),
        ("Mandarin", "zh"),
        ("zh-min-nan", "zh_min_nan"),
        ("es-419", "es"),
        ("Castilian", "es"),
        ("de-DE-1996", "de"),
        ("ca-valencia", "ca"),
        ("sr-Latn-RS", "sr"),
        ("nb-NO", "no"),
        ("Norwegian Bokmal", "no"),
        ("iw", "he"),
        ("in", "id"),
        ("deu", "de"),
        ("ger", "de"),
        ("mon", "mn"),
        ("Mon", "mnw"),
        ("ENG_LATN", "en"),
        ("__label__EN", "en"),
        ("als", "als"),
        ("ALS", "als"),
        ("als-latn", "sq"),
        ("Tosk Albanian", "sq"),
        ("und", "other"),
        ("Bemba", "other"),
        ("Unknown", "other"),
    ],
)
def test_a_table_may_state_a_language_by_tag_or_name(stated, code):
    assert of_stated(stated).code == code


@pytest.mark.parametrize(
    "stated", ["zz", "tlh", "Klingon", "", " ", "(", "no text", "no_data", "en,fr", "en or fr", "日本語", "en" * 100]
)
def test_what_states_no_language_of_the_table_is_told_apart(stated):
    assert of_stated(stated) is None


def test_every_label_and_name_of_the_table_may_be_stated():
    labels = [(label, each) for each in LANGUAGES for label in (*each.labels, *each.wikipedia, each.name)]
    assert [label for label, each in labels if of_stated(label) is not each] == []
    assert [label for label, _ in labels[:-1] if of_stated(label.upper()) is None] == []


def test_names_of_languages_are_those_of_cldr():
    assert (ROOT / "metadata" / "language_names.csv").read_text("utf-8") == names_csv()


def test_every_code_is_a_label_of_its_own_language():
    assert [of_label(code).code for code in codes()] == codes()


@pytest.mark.parametrize("pair", WORDNETS)
def test_a_wordnet_code_means_a_language(pair):
    wordnet, code = pair.split("=")
    assert of_wordnet(wordnet).code == code


def test_exactly_the_languages_written_without_spaces_say_so():
    assert {each.code for each in LANGUAGES if not each.spaced} == set("bo dz ja km lo mnw my shn th zh".split())


def test_a_language_is_looked_up_by_its_code():
    assert language("sw").name == "Swahili"


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("Japanese", "mean ja?"),
        ("jpn", "mean ja?"),
        ("zh-yue", "mean zh?"),
        ("EN", "mean en?"),
        ("swahilli", "mean sw"),
        ("ger", "mean de?"),
        ("klingon", "use a code such as en; the nearest are kg (Kongo), lad (Ladino), ln (Lingala)"),
        ("", "such as en"),
    ],
)
def test_an_unknown_code_is_refused_with_advice(wrong, advice):
    with pytest.raises(InputError, match="not the code of a metadata language") as refusal:
        language(wrong)
    assert advice in str(refusal.value)


def test_what_is_no_wikipedia_is_told_apart_and_refused():
    assert is_wikipedia("zh-classical")
    assert not is_wikipedia("commons")
    with pytest.raises(InputError, match="'commons' is not the code of a Wikipedia"):
        of_wikipedia("commons")


def test_an_unknown_wordnet_is_refused():
    with pytest.raises(InputError, match="'xyz' is not the code of a wordnet language"):
        of_wordnet("xyz")
