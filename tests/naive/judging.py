"""Naive twin of curation.language.judging: one text and one label at a time, by `regex` alone."""

import regex

from tests.naive.text_kinds import naive_kinds

KINDS = ["file_name", "address", "html", "no_letters"]  # of several the first is the reason


def naive_scripts(text: str, scripts: set[str]) -> list[str | None]:
    """Return the script of each letter that belongs to one: None for a script that is not among `scripts`."""
    letters = regex.findall(r"(?=\p{L})[^\p{Script=Common}\p{Script=Inherited}]", text)
    return [next((name for name in scripts if regex.match(rf"\p{{Script={name}}}", c)), None) for c in letters]


def naive_is_foreign(text: str | None, written: set[str]) -> bool:
    """Return whether a text has letters, and none is of a script that its language is written in."""
    found = naive_scripts(text or "", written)
    return bool(written and found) and not any(found)


def naive_judge(text, language, score, written, min_score=0.0, min_scores=(), check_scripts=True, check_kinds=False):
    """Return the language of a text, given that of its label, and the reason if it is undetermined."""
    if text is None:
        return None, None
    reason = None
    if check_kinds and naive_kinds(text):
        reason = min(naive_kinds(text), key=KINDS.index)
    elif check_scripts and naive_is_foreign(text, written):
        reason = "script"
    elif score < dict(min_scores).get(language, min_score):
        reason = "score"
    return ("other", reason) if reason and language != "other" else (language, None)


def naive_witness(name, text, language, score, page, host):
    """Return the language that a witness gives a text, or None."""
    if name == "han":
        found = {bits for bits in map(naive_han, text) if bits}
        latin, own = (len(regex.findall(of, text)) for of in (r"\p{Latin}", r"[\p{Han}\p{Hiragana}\p{Katakana}]"))
        if language not in ("ja", "zh") and latin > 3 * own:
            return None
        return ("zh" if found == {"Chinese"} else "ja" if found == {"Japanese"} else None) if found else None
    return (page if score < 0.5 else None) if name == "page" else host if score < 0.75 else None


def naive_can_write(text, written):
    """Return whether a text has a letter of these scripts, if it has letters, and of others only Latin ones."""
    letters = naive_scripts(text, {*written, "Latn"})
    return not written or not letters or ({*letters} & written and {*letters} <= {*written, "Latn"})


def naive_han(character):
    """Return who alone writes a character of Han or kana."""
    if regex.match(r"[\p{Hiragana}\p{Katakana}]", character) and ord(character) < 0x10000:
        in_blocks = 0x3000 <= ord(character) < 0x3200 or 0xFF00 <= ord(character) < 0xFFA0
        return "Japanese" if in_blocks and character not in "のノ" else None
    if not 0x4E00 <= ord(character) < 0xA000:
        return None
    first = {}
    for name in ("gb2312", "big5", "euc_jp"):
        try:
            encoded = character.encode(name)
            first[name] = encoded[0] if len(encoded) == 2 else None
        except UnicodeEncodeError:
            first[name] = None
    if first["euc_jp"] is None:
        return "Chinese" if (first["gb2312"] or 999) <= 0xD7 or (first["big5"] or 999) <= 0xC6 else None
    return "Japanese" if first["euc_jp"] <= 0xCF and not first["gb2312"] and not first["big5"] else None


def naive_judge_with_witnesses(text, language, score, written, page, host, witnesses, scripts, **rules):
    """Return the same where witnesses are asked in their order; `scripts` gives those of a language's code."""
    if text is not None and not (rules.get("check_kinds") and naive_kinds(text)):
        for name in witnesses:
            said = naive_witness(name, text, language, score, page, host)
            asked = score < 0.75 or (language in ("ja", "zh") and said != language)
            if asked and said is not None and naive_can_write(text, scripts(said)):
                return said, name
    return naive_judge(text, language, score, written, **rules)
