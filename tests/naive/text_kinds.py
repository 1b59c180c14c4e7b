"""Naive twin of curation.language.text_kinds: rule after rule, by Python's own re and string methods; same words."""

import re
import unicodedata

from tests.naive.tables import rows_of

WORDS = {row["kind"]: row["words"].split("|") for row in rows_of("curation/language/text_words.csv")}
LATIN = "[0-9a-z\u00c0-\u024f]"
NAME = "[0-9a-z\u00c0-\u024f_.,()+~%!'$-]*"
LABEL_ENDS = "[0-9a-z\u00a1-\U0010ffff]"
LABEL = "[0-9a-z\u00a1-\U0010ffff-]*"


def naive_kinds(text: str | None) -> set[str]:
    if text is None:
        return set()
    lower = "".join(each.lower() if each.isascii() else each for each in text)
    found = {
        "file_name": len(text.encode()) <= 255 and any(is_name(each) for each in without_copy(lower)),
        "address": " " not in lower and any(is_address(each) for each in without_brackets(lower)),
        "html": has_tag(lower) or has_reference(lower) or has_attribute(lower),
        "no_letters": not any(unicodedata.category(each).startswith("L") for each in text),
    }
    return {name for name, is_found in found.items() if is_found}


def without_copy(text: str) -> list[str]:
    """The text, and the text without ` (1)` or ` copy` at its end."""
    found = [text]
    if text.endswith(("_copy", "-copy", " copy")):
        found.append(text[:-5])
    if number := re.search(r"\([0-9]{1,4}\)\Z", text):
        shorter = text[: number.start()]
        found += [shorter, shorter.removesuffix(" ")]
    return found


def is_name(text: str) -> bool:
    word, number = re.fullmatch(r"(.*?)((?:[_ -]?[(#]?[0-9]+\)?)?)", text, re.S).groups()
    if (word in WORDS["pictures"] and number) or has_ending(text) or is_shot(text):
        return True
    if is_camera(text) or re.fullmatch(f"{NAME}{LATIN}_{LATIN}{NAME}", text):
        return True
    parts = text.split("-")
    is_plain = all(re.fullmatch("[0-9a-z]+", part) for part in parts)
    is_uuid = [len(part) for part in parts] == [8, 4, 4, 4, 12] and re.fullmatch("[0-9a-f-]+", text)
    is_digest = re.fullmatch("[0-9a-f]{16,}", text) and re.search("[0-9]", text)
    return bool(is_plain and len(parts) >= 4 or is_uuid or is_digest)


def has_ending(text: str) -> bool:
    """With an ending; behind it may be the mark of a copy and the query of a URL."""
    begins = [place for place, each in enumerate(text) if each == "?" and " " not in text[place:]]
    for shorter in [text, *(text[:place] for place in begins)]:
        for each in without_copy(shorter):
            name, dot, ending = each.rpartition(".")
            if dot and ending in WORDS["endings"] and name and name[-1] != " ":
                return True
    return False


def is_camera(text: str) -> bool:
    for word in WORDS["cameras"]:
        for place in (match.start() for match in re.finditer(f"(?={word})", text)):
            number = re.match("[_ -]?[0-9]{3,}", text[place + len(word) :])
            if number and " " not in text[:place] + text[place + len(word) + number.end() :]:
                return True
    return False


def is_shot(text: str) -> bool:
    for word in WORDS["shots"]:
        shot = re.fullmatch("[ _-]+[0-9]{4}-?[0-9]{2}-?[0-9]{2}(.*)", text[len(word) :], re.S)
        if text.startswith(word.lower() if word.isascii() else word) and shot:
            rest = shot[1]
            while rest:
                step = next((each for each in WORDS["date_words"] if rest.startswith(each)), None)
                step = rest[0] if rest[0] in "0123456789 .:,_()-" else step
                if step is None:
                    break
                rest = rest.removeprefix(step)
            if not rest:
                return True
    return False


def without_brackets(text: str) -> list[str]:
    inner = text[1:] if text[:1] in ("(", "<", "[") else text
    return [each[:-1] if cut and each[-1:] in (")", ">", "]") else each for each in (text, inner) for cut in (0, 1)]


def is_address(text: str) -> bool:
    scheme, separator, rest = text.partition("://")
    if separator and rest and re.fullmatch("[a-z][a-z0-9+.-]*", scheme):
        return True
    if re.match("(?:mailto:|data:[a-z]+/).", text, re.S) or re.fullmatch(r"www\..+\..+", text, re.S):
        return True
    user, at, host = text.partition("@")
    if at and re.fullmatch("[0-9a-z._%+-]+", user) and is_host(host):
        return True
    host = re.split("[/?#]", text.removeprefix("//"), maxsplit=1)[0]
    return is_host(host) or is_host(re.sub(":[0-9]+\\Z", "", host))


def is_host(text: str) -> bool:
    *labels, last = text.split(".")
    if not labels or last not in WORDS["countries"] + WORDS["generic"]:
        return False
    return all(re.fullmatch(f"{LABEL_ENDS}|{LABEL_ENDS}{LABEL}{LABEL_ENDS}", label) for label in labels)


def has_tag(text: str) -> bool:
    for rest in text.split("<")[1:]:
        if rest.startswith(("!--", "![cdata[", "!doctype", "?php", "?xml")):
            return True
        is_last = "<" + rest == text[-len(rest) - 1 :]
        is_end = rest.startswith("/")
        name = re.match("[a-z0-9]*", rest.removeprefix("/"))[0]
        behind = rest.removeprefix("/")[len(name) :]
        is_cut = behind == "" and is_last
        if name in WORDS["elements"] and (is_cut or behind[:1] in tuple(" />")):
            return True
        if name in WORDS["word_elements"] and is_end and (is_cut or behind.lstrip(" ").startswith(">")):
            return True
        if name in WORDS["word_elements"] and not is_end:
            if behind.lstrip(" ").startswith((">", "/>")) or re.match(" +[a-z-]+ ?=", behind):
                return True
    return False


def has_reference(text: str) -> bool:
    names = re.findall("&(?=([^&;]*);)", text)
    forms = ("#[0-9]{1,7}", "#x[0-9a-f]{1,6}", "[a-z]{2,8}[0-9]{0,2}")
    return any(re.fullmatch(form, name) for name in names for form in forms)


def has_attribute(text: str) -> bool:
    before = re.findall(r"(?=[\"' ]([a-z]+) ?= ?[\"'])", text)
    return any(name in WORDS["attributes"] for name in before)
