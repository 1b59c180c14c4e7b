"""Forms of e-mail addresses, phone numbers, card numbers and IBANs, as patterns of RE2.

Precision comes before recall: most numbers in texts are ids, dates and names of files, and one id in ten has Luhn's
digit. So a number needs the form in which people write it, or a word before it, and nothing around it that makes it a
part of something else.

A text is matched in lower case of ASCII, and as `personal_data.plain` reads it. Of CARD, IBAN and EMAIL a group is
still to be judged: its check digits or its host.
"""

from __future__ import annotations

from collections.abc import Iterable

# Words before a phone number, in lower case.
PHONE_WORDS = (
    "tel tlf tél telefon telefono teléfono telefone telefoon telephone téléphone telefonnummer phone fon fone fax faks "
    "call mobile mobil mob cell handy gsm hotline helpline toll-free whatsapp viber sms celular móvil infoline тел "
    "телефон моб факс звоните вайбер 电话 電話 手机 手機 热线 熱線 微信 전화 연락처 โทร هاتف جوال تلفن موبایل واتساب "
    "טלפון נייד τηλ τηλέφωνο फोन मोबाइल đt sđt zalo ☎ 📞 📱 ✆"
).split()


def _any(forms: Iterable[str]) -> str:
    return f"(?:{'|'.join(forms)})"


# Country codes of the ITU's E.164, except 1, whose numbers have a form of their own.
_CODE = (
    "(?:7|2(?:[07]|[1-689][0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[0-9])|5(?:[1-8]|[09][0-9])|"
    "6(?:[0-6]|[789][0-9])|8(?:[1246]|[03578][0-9])|9(?:[0-58]|[679][0-9]))"
)
_AREA = "[2-9][0-8][0-9]"  # of North America
_SUBSCRIBER = "[2-9][0-9]{2}"
PHONES = {  # forms of numbers; digits are apart as they are written in such countries
    "world": rf"\+{_CODE}[ ()/-]{{0,2}}(?:\(0\)|0)?[ ()/-]{{0,2}}[1-9](?:[ ()/-]{{0,3}}[0-9]){{6,12}}",
    "world, dots": rf"\+{_CODE}\.(?:\(0\)\.?)?[1-9][0-9]{{0,3}}(?:\.[0-9]{{2,4}}){{2,5}}",
    "world, 00": rf"00 ?{_CODE}[ ()/-]{{1,3}}[1-9](?:[ ()/-]{{0,2}}[0-9]){{6,12}}",
    "North America": rf"(?:\+?1[ .-]?)?\({_AREA}\)[ .-]?{_SUBSCRIBER}[ .-][0-9]{{4}}",
    "North America, hyphens": rf"(?:\+?1[ -])?{_AREA}-{_SUBSCRIBER}-[0-9]{{4}}",
    "North America, dots": rf"(?:\+?1[ .])?{_AREA}\.{_SUBSCRIBER}\.[0-9]{{4}}",
    "North America, +1": rf"\+1 ?{_AREA} ?{_SUBSCRIBER} ?[0-9]{{4}}",
    "pairs": "0[1-9](?: [0-9]{2}){4}|0[1-9](?:[.][0-9]{2}){4}|0[1-9](?:-[0-9]{2}){4}",
    "hyphens": (
        "0[1-9](?:-[0-9]{4}|[0-9]-[0-9]{3,4}|[0-9]{2}-[0-9]{2,4}|[0-9]{3}-[0-9]{2})-[0-9]{4}|"
        "0[1-9][0-9]{2}-[0-9]{4}-[0-9]{3}"
    ),
    "spaces": (
        r"\(?0[1-9][0-9]?\)? [0-9]{4} [0-9]{4}|\(?0[1-9][0-9]\)? [0-9]{3} [0-9]{4}|"
        r"\(?0[1-9][0-9]{2}\)? [0-9]{3} [0-9]{3,4}|\(?0[1-9][0-9]{3}\)? [0-9]{3} [0-9]{3}|"
        "0[1-9][0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}|06 [0-9]{8}|[67][0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}"
    ),
    "free of charge": "0800(?: ?[/-] ?| )[0-9](?:[ -]?[0-9]){5,7}|1[38]00 [0-9]{3} [0-9]{3}",
    "Sweden": "0[1-9][0-9]{0,2}-[0-9]{2,3} [0-9]{2,3} [0-9]{2}",
    "slash": r"\(?0[1-9][0-9]{1,4}\)? ?/ ?[1-9](?:[ -]?[0-9]){5,8}",
    "Brazil": r"\([1-9]{2}\) ?9 ?[0-9]{4}[ -][0-9]{4}",
    "China": "1[3-9][0-9](?:-[0-9]{4}-| [0-9]{4} )[0-9]{4}",
    "Russia": (
        r"(?:8[ -]?)?\([3489][0-9]{2}\) ?[0-9]{3}-[0-9]{2}-?[0-9]{2}|"
        "8[ -][3489][0-9]{2}[ -][0-9]{3}-[0-9]{2}-?[0-9]{2}"
    ),
}
_NUMBER = r"[+(]{0,2}[0-9](?:[ ./()-]{0,3}[0-9])"
_ANNOUNCED = rf"(?:^|[^a-z]){_any(PHONE_WORDS)}(?:(?:\.?: ?|\. ){_NUMBER}{{6,13}}|[ #-]{{0,3}}{_NUMBER}{{8,13}})"
# A number does not go on before or behind these: no part of a code, a decimal, a date, a time, a name.
_BEFORE, _BEHIND = "(?:^|[^0-9a-z_+./#-])", "(?:$|[^0-9a-z_./:-]|-(?:$|[^0-9a-z])|[./:](?:$|[^0-9]))"
PHONE = f"(?:{_BEFORE}{_any(PHONES.values())}|{_ANNOUNCED}){_BEHIND}"

# Words before a card number without groups: such numbers are mostly ids, and one in ten of any has the check digit.
CARD_WORDS = (
    "card credit debit visa mastercard amex discover diners jcb unionpay maestro karte kreditkarte carte tarjeta carta "
    "cartão kart kaart kort карта карты カード 卡 카드 thẻ بطاقة"
).split()
# By the first digits of their issuers: 16 in fours, 15 of American Express, 14 of Diners Club.
_SIXTEEN = "(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|35[2-8][0-9]|6(?:011|2[0-9]{2}|4[4-9][0-9]|5[0-9]{2}))"
_OTHERS = "(?:3[47][0-9]{2}%s[0-9]{6}%s[0-9]{5}|3(?:0[0-5]|[689][0-9])[0-9]%s[0-9]{6}%s[0-9]{4})"


def _cards(between: str) -> str:
    """Return the pattern of card numbers with this between groups."""
    sixteen = _SIXTEEN + f"{between}[0-9]{{4}}" * 3
    return f"(?:{sixteen}|{_OTHERS.replace('%s', between)})"


_GROUPED = f"{_BEFORE}({_cards(' ')}|{_cards('-')})"
_BEHIND_WORD = f"(?:^|[^a-z]){_any(CARD_WORDS)}(?:[^0-9]{{0,30}}[^0-9a-z_./#-])?({_cards('')})"
CARD = f"(?:{_GROUPED}|{_BEHIND_WORD}){_BEHIND}"


# Countries by the characters of their IBANs, of SWIFT's registry.
IBANS = {
    15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA", 30: "JO KW MU", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
LEAST_DIGITS = 10  # of an IBAN; all that are in use have more
LENGTHS = {country: length for length, countries in IBANS.items() for country in countries.lower().split()}
IBAN = rf"(?:^|[^0-9a-z])((?:{'|'.join(LENGTHS)})[0-9]{{2}}(?:[ -]?[0-9a-z]){{11,30}})"
_LABEL = r"[0-9a-z\x{A1}-\x{10FFFF}](?:[0-9a-z\x{A1}-\x{10FFFF}-]*[0-9a-z\x{A1}-\x{10FFFF}])?"
EMAIL = rf"(?:^|[^0-9a-z._%+-])[0-9a-z._%+-]*[0-9a-z_%+-]@({_LABEL}(?:\.{_LABEL})+)"
