"""The labels of models that people use lead to languages of the table.

The lists in `cases/labels` are NLLB's of 205 language and script pairs, which lid218e and OpenLID share, and what
later OpenLIDs and FLORES+ added or renamed.
"""

import pytest

from metadata.languages import OTHER, is_label, of_label
from tests.support.checkout import ROOT

LISTS = ("lid218e", "openlid")
# Of the lists, labels of languages without a Wikipedia that has a row here, and of no language.
NONE = set(
    "bem_Latn brx_Deva cjk_Latn dgo_Deva dyu_Latn hne_Deva kac_Latn kam_Latn kea_Latn kmb_Latn knc_Arab knc_Latn "
    "lua_Latn luo_Latn lus_Latn mag_Deva mos_Latn nus_Latn taq_Latn taq_Tfng umb_Latn "
    "und_Latn vmw_Latn zxx_Zxxx".split()
)


def labels(name):
    return (ROOT / "tests" / "cases" / "labels" / f"{name}.txt").read_text("utf-8").split()


@pytest.mark.parametrize("name", LISTS)
def test_every_label_of_a_well_known_model_is_in_the_table(name):
    assert [label for label in labels(name) if not is_label(f"__label__{label}")] == []


def test_exactly_these_labels_of_well_known_models_mean_other():
    assert {label for name in LISTS for label in labels(name) if of_label(label) is OTHER} == NONE


@pytest.mark.parametrize(
    ("together", "code"),
    [
        ("arb_Arab arb_Latn ars_Arab acm_Arab acq_Arab aeb_Arab ajp_Arab apc_Arab ary_Arab shu_Arab", "ar"),
        ("arz_Arab", "arz"),
        ("zho_Hans zho_Hant cmn_Hans cmn_Hant yue_Hant wuu_Hans", "zh"),
        ("nan_Latn", "zh_min_nan"),
        ("srp_Cyrl srp_Latn", "sr"),
        ("hrv_Latn", "hr"),
        ("bos_Latn", "bs"),
        ("hbs_Latn", "sh"),
        ("nob_Latn nor_Latn", "no"),
        ("nno_Latn", "nn"),
        ("fas_Arab pes_Arab prs_Arab", "fa"),
        ("tgk_Cyrl", "tg"),
        ("zsm_Latn msa_Latn", "ms"),
        ("ind_Latn", "id"),
        ("azj_Latn azj_Cyrl aze_Latn", "az"),
        ("azb_Arab", "azb"),
        ("als_Latn sqi_Latn", "sq"),
        ("gsw_Latn", "als"),
        ("tgl_Latn fil_Latn", "tl"),
        ("grn_Latn gug_Latn", "gn"),
        ("twi_Latn aka_Latn", "tw"),
        ("tzm_Tfng zgh_Tfng", "zgh"),
    ],
)
def test_labels_of_one_language_mean_it_and_no_other(together, code):
    assert {of_label(f"__label__{label}").code for label in together.split()} == {code}


@pytest.mark.parametrize("label", ["und_Latn", "und_Zzzz", "zxx_Zxxx", "zxx_Latn", "mis_Latn", "und", "other"])
def test_labels_of_no_language_are_known_and_mean_other(label):
    assert (is_label(f"__label__{label}"), of_label(f"__label__{label}")) == (True, OTHER)


@pytest.mark.parametrize("label", ["tlh_Latn", "", "noise", "undefined_Latn", "xxx_und"])
def test_any_other_label_means_other_and_is_told_apart(label):
    assert (is_label(f"__label__{label}"), of_label(f"__label__{label}")) == (False, OTHER)
