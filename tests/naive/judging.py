"""Naive twin of curation.language.label_decisions: one text and one label at a time, by `regex` alone."""

import regex

from tests.naive.text_kinds import naive_kinds

KINDS = ["file_name", "address", "html", "no_letters"]  # of several the first is the reason


SCRIPTS = {"de": {"Latn"}, "en": {"Latn"}, "fr": {"Latn"}, "ru": {"Cyrl"}}


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


def naive_witness(name, text, language, score, page, pool):
    """Return the language that a witness gives a text, or None."""
    if name == "han":
        found = {bits for bits in map(naive_han, text) if bits}
        latin, own = (len(regex.findall(of, text)) for of in (r"\p{Latin}", r"[\p{Han}\p{Hiragana}\p{Katakana}]"))
        if language not in ("ja", "zh") and (latin > 3 * own or score >= 0.75):
            return None
        return ("zh" if found == {"Chinese"} else "ja" if found == {"Japanese"} else None) if found else None
    return (page if score < 0.5 else None) if name == "page" else pool


def naive_weighed(rows):
    """Return the answers, of almost equal ones all, for rows of text, scores, page, host and stated language.

    `scores` are those of the text and those of its words in lower case.
    """
    best = [max(scores.items(), key=lambda each: each[1], default=("other", 0)) for (_, (scores, _), *_) in rows]
    sure = {
        (text, code, page, host)
        for (text, _, page, host, _), (code, score) in zip(rows, best, strict=True)
        if text and score >= 0.75 and code != "other" and not naive_is_foreign(text, SCRIPTS[code])
    }
    codes = {code for _, code, _, _ in sure} | {stated for *_, stated in rows if stated}

    def counts(at=slice(0), place=()):
        found = {each[:2] for each in sure if each[at] == place and None not in place}
        return {code: sum(own == code for _, own in found) for code in codes}

    answers = []
    for (_, views, page, host, stated), (own, score) in zip(rows, best, strict=True):
        pool, of_host, of_page = counts(), counts(slice(3, 4), (host,)), counts(slice(2, 3), (page,))
        if stated:
            of_page[stated] += 3
        weights, scores = {}, {}
        for code in codes | {own}:
            weight = 20 * (pool.get(code, 0) / (sum(pool.values()) + 20)) ** 2
            for near in (of_host, of_page):
                weight = (100 * near.get(code, 0) + 3 * weight) / (sum(near.values()) + 3)
            weights[code] = max(weight, 1)
            scores[code] = sum(view.get(code, 0) for view in views) / 2
        most = max(weights.values())
        if score == 0 or most == 1:
            answers.append({None})
        elif weights[own] > most - 1e-5:
            answers.append({own} if score < 0.75 else {None})
        else:
            answers.append(naive_highest(own, weights, scores))
    return answers


def naive_highest(own, weights, scores):
    """Return the answers for a text whose label means `own`, where another language has a higher weight."""
    total = 1 + sum((weights[code] - 1) * scores[code] for code in weights)
    values = {code: weights[code] * scores[code] for code in weights if weights[code] > 1}
    most, mine = max(values.values()), weights[own] * scores[own]
    answers = {code for code, value in values.items() if value > max(most, mine) - 1e-5}
    if most < mine + 1e-5:
        answers |= {"other"} if mine < 0.3 * total + 1e-5 else set()
        answers |= {None} if mine > 0.3 * total - 1e-5 else set()
    return answers


def naive_words(text):
    """Return the words of a text in lower case, without digits and signs of ASCII but apostrophes."""
    return "".join(each if each in "'" or each.isalpha() or ord(each) > 127 else " " for each in text.lower())


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


def naive_judge_with_witnesses(text, language, score, written, page, pool, witnesses, scripts, **rules):
    """Return the same where witnesses are asked in their order; `scripts` gives those of a language's code."""
    if text is not None and not (rules.get("check_kinds") and naive_kinds(text)):
        for name in witnesses:
            said = naive_witness(name, text, language, score, page, pool)
            if (score < 0.75 or said != language) and said is not None and naive_can_write(text, scripts(said)):
                return said, name
    return naive_judge(text, language, score, written, **rules)
