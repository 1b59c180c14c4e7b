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


def naive_judge_on_page(text, language, score, written, page, page_written, **rules):
    """Return the same for a text whose page states the language `page`, or None, where pages are asked."""
    is_odd = text is None or (rules.get("check_kinds") and naive_kinds(text))
    if page is None or is_odd or score >= 0.5 or naive_is_foreign(text, page_written):
        return naive_judge(text, language, score, written, **rules)
    return page, None
