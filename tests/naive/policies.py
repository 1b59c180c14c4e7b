"""The rules of policies from their definitions: one image or text at a time."""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from curation.plugins.gate.policies.image_rules import ARCHIVES, RATIOS
from tests.naive.judge import is_alone, naive_judge, naive_probabilities
from tests.naive.tables import has_spaces, rows_of
from tests.naive.text_kinds import naive_kinds

BITS = {"noai": 1, "noimageai": 2, "noml": 64, "tdm_reservation": 16, "data_noai": 32}
BITS |= {"robots": 128, "content_signal": 256, "content_usage": 512, "ai_txt": 1024}


def naive_fails_image(rule: str, number: int | None, image: dict) -> bool:
    if rule in BITS:
        return (image["signals"] or 0) & BITS[rule] != 0
    if rule == "url_words":
        return naive_has_url_words(image["url"] or "") and not is_archived(image["url"])
    if (image["stated_width"], image["stated_height"]) in RATIOS:
        return False
    sides = [side for side in (image["stated_width"], image["stated_height"]) if side is not None]
    return bool(sides) and min(sides) < number


def naive_fails_text(rule: str, number: int | None, text: dict, image: dict) -> bool:
    if rule == "min_words":
        code = text["language"]
        return naive_words(text["text"] or "", has_spaces(code) and code != "ko") < number
    if rule in ("junk", "headline"):
        return naive_probabilities(naive_judge(), text, image)[rule == "headline"] >= number / 100
    if rule in PHRASES:
        is_exempt = rule == "logo_text" and is_archived(image["url"])
        return naive_has_phrase(text["text"] or "", rule) and not is_exempt
    return rule in naive_kinds(text["text"])


def is_archived(url: str | None) -> bool:
    host = re.sub("^[^:]*://|[:/?#].*", "", url or "", flags=re.S).lower()
    return "://" in (url or "") and any(host == name or host.endswith("." + name) for name in ARCHIVES)


def naive_has_url_words(url: str) -> bool:
    path = path_of(url)
    labels = re.sub("^[^:]*:..|[/?#].*", "", url, flags=re.S).lower().split(".")
    if any(".".join(labels[-number:]) in url_words() for number in range(2, len(labels) + 1)):
        return True
    begin, dot, end = path.rpartition(".")
    if not dot or "/" in end:
        begin, end = path, ""
    if "/" in unescaped(end):  # what looks like an ending is a folder
        begin, end = path, ""
    *folders, name = unescaped(begin).split("/") if begin else [""]
    return any(map(is_folder_of_page, folders)) or is_file_of_page(name)


def is_folder_of_page(name: str) -> bool:
    words = naive_url_words(name)
    places = [places_of(word) for word in words]
    return bool(words) and ("folders" in places[-1] or (all(places) and any("folder" in each for each in places)))


def is_file_of_page(name: str) -> bool:
    places = [places_of(word) for word in naive_url_words(name)]
    if any("no" in one and "picture" in other for one, other in zip(places, places[1:], strict=False)):
        return True
    if any("any" in each for each in places) or (all(places) and any("only" in each for each in places)):
        return True
    others = [each for each in places if each & {"any", "edge", "only"} or not each & {"beside", "picture", "no"}]
    return 0 < len(others) <= 5 and ("edge" in others[0] or "edge" in others[-1])


def places_of(word: str) -> set[str]:
    return url_words().get(word, set())


@lru_cache
def url_words() -> dict[str, set[str]]:
    return {row["word"]: {*row["places"].split()} for row in rows_of("curation/plugins/gate/policies/url_words.csv")}


PHRASES = {
    "generic_text": {"generic": "whole", "control": "whole", "network": "whole"},
    "logo_text": {
        "logo": "whole first last",
        "icon": "whole last",
        "icon of": "first",
        "avatar": "whole last",
        "avatar of": "first",
        "share": "first",
        "share last": "last",
        "attachment": "head",
    },
}


def naive_has_phrase(text: str, rule: str) -> bool:
    words = naive_folded(text)
    whole, first, last, head = (phrases_of(rule, place) for place in ("whole", "first", "last", "head"))
    halves = [1 if is_alone(word[0]) else 2 for word in words]
    cuts = range(1, len(words) + 1)
    return (
        tuple(words) in whole
        or any(tuple(words[:cut]) in first and sum(halves[cut:]) <= 8 for cut in cuts)
        or (any(tuple(words[:cut]) in head for cut in cuts) and sum(halves) <= 40)
        or any(tuple(words[-cut:]) in last and sum(halves[:-cut]) <= 8 for cut in cuts)
    )


@lru_cache
def phrases_of(rule: str, place: str) -> set[tuple[str, ...]]:
    kinds = {kind for kind, places in PHRASES[rule].items() if place in places}
    return {
        tuple(naive_folded(row["phrase"]))
        for row in rows_of("curation/plugins/gate/policies/template_phrases.csv")
        if row["kind"] in kinds
    }


def naive_folded(text: str) -> list[str]:
    """Words of letters without marks, in lower case; characters of scripts without spaces are words."""
    words = [[]]
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me") and ord(character) < 0x10000:
            continue
        base = unicodedata.normalize("NFKD", character)
        if len(base) > 1 and all(unicodedata.category(mark) == "Mn" for mark in base[1:]):
            base = base[0]
        base = base if len(base) == 1 and ord(base) < 0x10000 else character
        base = base.lower()[0] if unicodedata.category(base)[0] in "LM" and ord(character) < 0x10000 else None
        if base is None or is_alone(base):
            words += [[base], []] if base else [[]]
        else:
            words[-1].append(base)
    return ["".join(word) for word in words if word]


def path_of(url: str) -> str:
    return re.sub("[?#].*", "", url.partition("://")[2], flags=re.S).partition("/")[2]


def unescaped(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def naive_url_words(name: str) -> list[str]:
    plain = "".join("q" if ord(each) > 127 else each for each in name)
    parts = re.findall("[A-Za-z]+", plain)
    return [word.lower() for part in parts for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part)]


def naive_words(text: str, spaced: bool) -> int:
    if spaced:
        return len(text.split())
    foreign = [each for each in text if ord(each) > 127 and not each.isspace()]
    plain = "".join(each if ord(each) < 128 else " " for each in text)
    return len(plain.split()) + (len(foreign) // 2 + 1 if foreign else 0)
