"""Naive twin of curation.plugins.gate.policies.personal_data: every part of a text, by templates; same word lists."""

import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files
from itertools import product

from publicsuffixlist import PublicSuffixList

from curation.plugins.gate.policies.personal_data import CARD_WORDS, PHONE_WORDS

LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
NAMES = f"{LETTERS}{DIGITS}_"
# Of each country of SWIFT's registry, which stdnum has: the kind of each character behind the check digits.
REGISTRY = re.findall('^([A-Z]{2}) .*bban="(.*?)"', files("stdnum").joinpath("iban.dat").read_text(), re.MULTILINE)
IBANS = {
    country.lower(): "".join(int(size) * kind for size, kind in re.findall("([0-9]+)!([nac])", form))
    for country, form in REGISTRY
}
IBAN_SIGNS = {"n": DIGITS, "a": LETTERS, "c": LETTERS + DIGITS}
LEAST = {"email_address": 0, "phone_number": 7, "card_number": 14, "iban": 10}  # digits
SUFFIXES = PublicSuffixList()
# In templates A is 1 to 9, B 2 to 9, C 0 to 8, D a digit, R 3, 4, 8 or 9.
CLASSES = {"A": "123456789", "B": "23456789", "C": "012345678", "D": DIGITS, "R": "3489"}
CODES = {
    *"7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58".split(),
    *"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98".split(),
    *(
        begin + last
        for begin in "21 22 23 24 25 26 28 29 35 37 38 42 50 59 67 68 69 80 83 85 87 88 96 97 99".split()
        for last in DIGITS
    ),
}


def written(*parts: str) -> list[str]:
    """All templates of these parts; the variants of a part are apart by |."""
    return ["".join(each) for each in product(*(part.split("|") for part in parts))]


TEMPLATES = {
    *written("|1|+1|1 |+1 |1.|+1.|1-|+1-", "(BCD)", "| |.|-", "BDD", " |.|-", "DDDD"),
    *written("|1 |1-|+1 |+1-", "BCD-BDD-DDDD"),
    *written("|1 |1.|+1 |+1.", "BCD.BDD.DDDD"),
    *written("+1", "| ", "BCD", "| ", "BDD", "| ", "DDDD"),
    *written("0A DD DD DD DD|0A.DD.DD.DD.DD|0A-DD-DD-DD-DD"),
    *written("0A-DDDD-DDDD|0AD-DDD-DDDD|0AD-DDDD-DDDD|0ADD-DD-DDDD|0ADD-DDD-DDDD|0ADD-DDDD-DDDD|0ADDD-DD-DDDD"),
    *written("0ADD-DDDD-DDD|0ADD DDD DD DD|06 DDDDDDDD|6DD DD DD DD|7DD DD DD DD|1300 DDD DDD|1800 DDD DDD"),
    *written("|(", "0A|0AD", "|)", " DDDD DDDD"),
    *written("|(", "0AD", "|)", " DDD DDDD"),
    *written("|(", "0ADD", "|)", " DDD ", "DDD|DDDD"),
    *written("|(", "0ADDD", "|)", " DDD DDD"),
    *written("0A|0AD|0ADD", "-", "DD|DDD", " ", "DD|DDD", " DD"),
    *written("(AA)", "| ", "9", "| ", "DDDD", " |-", "DDDD"),
    *written("1", "3|4|5|6|7|8|9", "D-DDDD-DDDD|D DDDD DDDD"),
    *written("|8|8 |8-", "(RDD)", "| ", "DDD-DD", "|-", "DD"),
    *written("8", " |-", "RDD", " |-", "DDD-DD", "|-", "DD"),
}
BY_LENGTH = {length: [each for each in TEMPLATES if len(each) == length] for length in map(len, TEMPLATES)}
CARDS = [
    (["DDDD"] * 4, lambda n: n[0] == "4" or 51 <= int(n[:2]) <= 55 or 22 <= int(n[:2]) <= 27 or is_other(n)),
    (["DDDD", "DDDDDD", "DDDDD"], lambda n: n[:2] in ("34", "37")),
    (["DDDD", "DDDDDD", "DDDD"], lambda n: 300 <= int(n[:3]) <= 305 or n[:2] in ("36", "38", "39")),
]


def is_other(number: str) -> bool:
    four = int(number[:4])
    return 3520 <= four <= 3589 or four == 6011 or 6200 <= four <= 6299 or 6440 <= four <= 6599


def naive_holds(rule: str, text: str | None) -> bool:
    if text is None or sum(each.isdecimal() for each in text) < LEAST[rule]:
        return False
    finders = {"email_address": hosts, "phone_number": phones, "card_number": cards, "iban": ibans}
    return any(finders[rule]("".join(map(plain, text))))


def plain(each: str) -> str:
    code, kind = ord(each), unicodedata.category(each)
    if code < 128:
        return each.lower()
    if code in (0xAD, 0xFE0F, 0xFEFF) or any(a <= code <= b for a, b in ((0x200B, 0x200F), (0x202A, 0x202E))):
        return ""
    if 0x2060 <= code <= 0x2069:
        return ""
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0).lower()
    if kind in ("Pd", "Zs") or each == "−":
        return " " if kind == "Zs" else "-"
    return str(unicodedata.decimal(each)) if kind == "Nd" else each


def is_label(name: str) -> bool:
    ends = [name[:1], name[-1:]]
    return all(each in LETTERS + DIGITS or each >= "\xa1" for each in name.replace("-", "")) and "-" not in ends


def hosts(text: str) -> Iterator[bool]:
    for at, each in enumerate(text):
        local = text[:at]
        begin = local.rstrip(f"{LETTERS}{DIGITS}._%+-")
        if each == "@" and len(begin) < at and local[-1] != ".":
            labels = []
            for label in text[at + 1 :].split("."):
                whole = "".join(c if c in f"{LETTERS}{DIGITS}-" or c >= "\xa1" else " " for c in label).split(" ")[0]
                if whole[:1] in ("", "-"):
                    break
                labels.append(whole.rstrip("-"))
                if labels[-1] != label:
                    break
            known = [label for whole in labels[1:] for label in (whole, whole[: begin_of_ascii(whole)])]
            yield any(SUFFIXES.publicsuffix(idna(label), accept_unknown=False) for label in known)


def begin_of_ascii(label: str) -> int:
    return next((place for place, each in enumerate(label) if each not in LETTERS), len(label))


def idna(label: str) -> str:
    label = unicodedata.normalize("NFKC", "".join(map(str.lower, unicodedata.normalize("NFKC", label))))
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def is_apart(text: str, begin: int, end: int) -> bool:
    """Whether nothing before and behind a part makes it a part of something else."""
    return text[:begin][-1:] not in tuple(f"{NAMES}+./#-") and ends(text, end)


def ends(text: str, end: int) -> bool:
    behind = text[end : end + 2]
    joined = {"-": LETTERS + DIGITS, ".": DIGITS, "/": DIGITS, ":": DIGITS}.get(behind[:1], "")
    return behind[:1] not in tuple(NAMES) and behind[1:] not in tuple(joined)


def gaps(part: str, least: int, most: int, between: str, longest: int) -> bool:
    """Whether a part is digits, that many, with not more between any two than so many of these characters."""
    if not part or part[0] not in DIGITS or part[-1] not in DIGITS:
        return False
    run = 0
    for each in part:
        run = 0 if each in DIGITS else run + 1
        if run > longest or each not in DIGITS + between:
            return False
    return least <= sum(each in DIGITS for each in part) <= most


def is_template(part: str, template: str) -> bool:
    return all(each in CLASSES.get(wanted, wanted) for each, wanted in zip(part, template, strict=True))


def is_phone(part: str) -> bool:
    return (
        any(is_template(part, each) for each in BY_LENGTH.get(len(part), ()))
        or (part[0] == "+" and any(is_abroad(part[1 + len(code) :]) for code in CODES if part[1:].startswith(code)))
        or (part[:2] == "00" and any(is_dialled(part[2:].removeprefix(" "), code) for code in CODES))
        or is_slashed(part)
        or any(part.startswith(f"0800{gap}") and gaps(part[4 + len(gap) :], 6, 8, " -", 1) for gap in FREE)
    )


FREE = [" ", *written("| ", "/|-", "| ")]


def is_abroad(rest: str) -> bool:
    """What follows + and the code of a country."""
    for zero, first, second in product(("(0)", "0", ""), range(3), range(3)):
        left = rest[first:]
        if set(rest[:first]) <= set(" ()/-") and left.startswith(zero):
            left = left[len(zero) :]
            if set(left[:second]) <= set(" ()/-") and left[second : second + 1] in tuple(CLASSES["A"]):
                if gaps(left[second:], 7, 13, " ()/-", 3):
                    return True
    for zero in (".", ".(0)", ".(0)."):
        groups = rest[len(zero) :].split(".")
        if rest.startswith(zero) and 3 <= len(groups) <= 6 and all(set(each) <= set(DIGITS) for each in groups):
            if groups[0][:1] in tuple(CLASSES["A"]) and len(groups[0]) <= 4:
                if all(2 <= len(each) <= 4 for each in groups[1:]):
                    return True
    return False


def is_dialled(rest: str, code: str) -> bool:
    left = rest[len(code) :]
    return rest.startswith(code) and any(
        set(left[:gap]) <= set(" ()/-")
        and left[gap : gap + 1] in tuple(CLASSES["A"])
        and gaps(left[gap:], 7, 13, " ()/-", 2)
        for gap in (1, 2, 3)
    )


def is_slashed(part: str) -> bool:
    area, slash, rest = part.partition("/")
    area = area.removesuffix(" ").removeprefix("(").removesuffix(")")
    is_area = 3 <= len(area) <= 6 and set(area) <= set(DIGITS) and area[0] == "0" and area[1] != "0"
    rest = rest.removeprefix(" ")
    return bool(slash) and is_area and rest[:1] in tuple(CLASSES["A"]) and gaps(rest, 6, 9, " -", 1)


def phones(text: str) -> Iterator[bool]:
    for begin in range(len(text)):
        for end in range(begin + 7, min(begin + 60, len(text)) + 1):
            part = text[begin:end]
            if part[0] in "+(0123456789" and part[-1] in DIGITS and set(part) <= set("0123456789+ ()./-"):
                yield is_apart(text, begin, end) and is_phone(part)
                yield ends(text, end) and is_announced(text[:begin], part)


def is_announced(before: str, number: str) -> bool:
    """Whether a number stands behind a word for phones."""
    number = number[sum(each in "+(" for each in number[:2]) :] if number[0] in "+(" else number
    for gap, least in (
        *((gap, 7) for gap in (":", ".:", ": ", ".: ", ". ")),
        *((gap, 9) for size in range(4) for gap in map("".join, product(" #-", repeat=size))),
    ):
        if before.endswith(gap):
            left = before[: len(before) - len(gap)]
            for word in PHONE_WORDS:
                if left.endswith(word) and left[: -len(word)][-1:] not in tuple(LETTERS):
                    if gaps(number, least, 14, " ./()-", 3):
                        return True
    return False


def luhn(number: str) -> bool:
    doubled = [int(each) * (1 + place % 2) for place, each in enumerate(reversed(number))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def cards(text: str) -> Iterator[bool]:
    for begin, (groups, is_issued), gap in product(range(len(text)), CARDS, ("", " ", "-")):
        template = gap.join(groups)
        part = text[begin : begin + len(template)]
        if len(part) == len(template) and is_template(part, template):
            number = part.replace(gap, "") if gap else part
            is_own = is_apart(text, begin, begin + len(part)) if gap else follows_word(text, begin, begin + len(part))
            yield is_own and is_issued(number) and luhn(number)


def follows_word(text: str, begin: int, end: int) -> bool:
    for word, gap in product(CARD_WORDS, range(32)):
        left, between = text[: begin - gap], text[begin - gap : begin]
        is_word = begin >= gap and left.endswith(word) and left[: -len(word)][-1:] not in tuple(LETTERS)
        if is_word and not set(between) & set(DIGITS) and between[-1:] not in tuple(f"{NAMES}./#-"):
            return ends(text, end)
    return False


def ibans(text: str) -> Iterator[bool]:
    for begin in range(len(text)):
        kinds = IBANS.get(text[begin : begin + 2])
        if kinds and text[:begin][-1:] not in tuple(LETTERS + DIGITS):
            found = ""
            for place in range(begin, len(text)):
                each, last = text[place], text[place - 1]
                if each in LETTERS + DIGITS:
                    found += each
                elif each not in " -" or last in " -" or len(found) < 4:
                    break
                if len(found) == len(kinds) + 4:
                    number = "".join(str(int(c, 36)) for c in found[4:] + found[:4])
                    is_whole = text[place + 1 : place + 2] not in tuple(LETTERS + DIGITS)
                    is_checked = set(found[2:4]) <= set(DIGITS) and found[2:4] not in ("00", "01", "99")
                    has_digits = sum(each in DIGITS for each in found) >= 10
                    is_formed = all(c in IBAN_SIGNS[kind] for c, kind in zip(found[4:], kinds, strict=True))
                    yield is_whole and is_checked and has_digits and is_formed and int(number) % 97 == 1
                    break
