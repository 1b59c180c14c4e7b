"""Presidio's recognizers find what the rules of personal data find, in made-up texts and in the cases.

`pip install presidio-analyzer` installs it; its language models are not needed.
"""

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from curation.plugins.gate.policies.personal_data import holds

REASON = "presidio-analyzer is not installed; pip installs it"
presidio = pytest.importorskip("presidio_analyzer.predefined_recognizers", reason=REASON)
tldextract = pytest.importorskip("tldextract", reason=REASON)
phonenumbers = pytest.importorskip("phonenumbers", reason=REASON)

CASES = json.loads((Path(__file__).parents[1] / "cases" / "personal_data.json").read_text("utf-8"))
TEXTS = [case["text"] for case in CASES]


@pytest.fixture(autouse=True)
def _without_network(monkeypatch):
    monkeypatch.setattr(tldextract, "extract", tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None))


def theirs(recognizer, entity: str, texts: list[str]) -> list[bool]:
    return [any(found.score > 0 for found in recognizer.analyze(text, [entity], None)) for text in texts]


def test_ibans_are_those_of_presidio():
    chance, texts = random.Random(1), list(TEXTS)
    for country, length in (("DE", 22), ("NO", 15), ("GB", 22), ("MT", 31), ("FR", 27), ("ES", 24)):
        for _ in range(100):
            bank = "WEST" if country in ("GB", "MT") else ""
            rest = bank + "".join(chance.choices("0123456789", k=length - 4 - len(bank)))
            check = 98 - int("".join(str(int(each, 36)) for each in f"{rest}{country}00")) % 97
            whole = f"{country}{(check + chance.randrange(2)) % 98:02}{rest}"
            groups = " ".join(whole[begin : begin + 4] for begin in range(0, length, 4))
            texts.append(chance.choice(["IBAN %s", "%s.", "donate: %s"]) % chance.choice([whole, groups]))
    assert holds("iban", pa.array(texts)).tolist() == theirs(presidio.IbanRecognizer(), "IBAN_CODE", texts)


def test_cards_in_groups_are_those_of_presidio():
    chance, texts = random.Random(2), []
    for _ in range(1000):
        begin = chance.choice(["4111", "5100", "5599", "6011", "3528", "3589"])
        groups = [begin, *("".join(chance.choices("0123456789", k=4)) for _ in range(3))]
        texts.append(f"pay by {chance.choice(' -').join(groups)} now")
    found = holds("card_number", pa.array(texts)).tolist()
    assert found == theirs(presidio.CreditCardRecognizer(), "CREDIT_CARD", texts)
    assert 50 < sum(found) < 150


def test_addresses_are_those_of_presidio():
    texts = [text.replace("ａｎｎ＠example．com", "ann@example.com") for text in TEXTS]
    texts += [f"mail {name}@{host}, please" for name in ("a", "a.b", "a_b+c", "9") for host in ("b.co.uk", "b.zz", "b")]
    found, expected = (
        holds("email_address", pa.array(texts)),
        theirs(presidio.EmailRecognizer(), "EMAIL_ADDRESS", texts),
    )
    differ = {text for text, one, other in zip(texts, found.tolist(), expected, strict=True) if one != other}
    assert differ == {"Рейтинг@Mail.ru", "김혜진 기자ann@example.kr에"}


def test_phone_numbers_are_found_as_google_formats_them_for_the_world():
    example, types = phonenumbers.example_number_for_type, phonenumbers.PhoneNumberType
    given = [
        example(region, each) for region in phonenumbers.SUPPORTED_REGIONS for each in (types.MOBILE, types.FIXED_LINE)
    ]
    form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    numbers = [phonenumbers.format_number(each, form) for each in given if each]
    found = holds("phone_number", pa.array([f"Ann, {number}" for number in numbers]))
    long = [sum(map(str.isdigit, number)) > 9 for number in numbers]  # shorter ones are of small countries
    assert found[long].mean() > 0.99
    assert found.mean() > 0.9
    assert holds("phone_number", pa.array([f"Tel.: {number}" for number in numbers])).all()


def test_presidio_calls_what_is_found_a_phone_number_too():
    some = [text for text, found in zip(TEXTS, holds("phone_number", pa.array(TEXTS)), strict=True) if found]
    recognizer = presidio.PhoneRecognizer(supported_regions=phonenumbers.SUPPORTED_REGIONS)
    assert theirs(recognizer, "PHONE_NUMBER", some) == [True] * len(some)
