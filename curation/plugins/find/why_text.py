"""Write the facts that `why` finds as text for a terminal, and as HTML for a notebook.

Texts come from the web: characters that act on a terminal are escaped in text, and all markup is escaped in HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from runtime.messages import listed
from runtime.terminal import in_one_line
from runtime.wording import counted, number

ANSWERS = {
    "kept": "It is in the manifest.",
    "not drawn": "It is not in the manifest: it passed every step, but the random draw did not keep it.",
    "removed by the gate": "It is not in the manifest: the gate removed it.",
    "no entry": "It is not in the manifest: none of its texts has an entry of its language.",
    "excluded": "It is not in the manifest: an exclusion list names it.",
    "dropped": "It is not in the manifest: its rows were dropped while the inputs were read.",
    "not in the inputs": "It is not in the manifest: no input of the run has it.",
    "unknown": "It is not in the manifest. Its row was never seen, or it was dropped before matching; "
    "the run cannot tell which.",
}
_PASSED = {True: "the image passed", False: "the image was removed", None: "whether the image passed is not known"}
MAX_SHOWN_ENTRIES = 12
MAX_TEXT_CHARACTERS = 200


def as_text(facts: dict[str, Any]) -> str:
    """Return the facts as lines of text; no line holds a character that acts on a terminal."""
    lines = [_heading(facts), ANSWERS[facts["result"]]]
    for title, of_section in sections(facts):
        lines += ["", title, *(f"  {line}" for line in of_section)]
    return "\n".join(map(in_one_line, lines))


def as_html(facts: dict[str, Any]) -> str:
    """Return the facts as HTML in which nothing from the facts is markup."""
    parts = [f"<p><b>{escape(_heading(facts))}</b><br>{escape(ANSWERS[facts['result']])}</p>"]
    for title, lines in sections(facts):
        items = "".join(f"<li>{escape(in_one_line(line.strip()))}</li>" for line in lines)
        parts.append(f"<details open><summary>{escape(title)}</summary><ul>{items}</ul></details>")
    return "".join(parts)


def _heading(facts: dict[str, Any]) -> str:
    return f"{facts['url'] or 'an image'} (uid {facts['uid']})"


def sections(facts: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the title and the lines of each step of the path, in the order of a run, and of notes."""
    makers = {
        "found in": _found,
        "inputs": _inputs,
        "spelled nearly like this, and in the run": _near,
        "exclusion lists": _lists,
        "dropped": _dropped,
        "texts": _texts,
        "gate": _gate,
        "draw": _draw,
        "manifest": _manifest,
        "notes": _notes,
    }
    for title, make in makers.items():
        lines = [*make(facts)]
        if lines:
            yield title, lines


def _found(facts: dict[str, Any]) -> Iterator[str]:
    for row in facts["found"]:
        yield _place(row)


def _place(row: dict[str, Any]) -> str:
    return f"{row['part']}/{row['file']}, row {number(row['row'])}, where the first row is 0"


def _inputs(facts: dict[str, Any]) -> Iterator[str]:
    inputs = facts.get("inputs", {})
    if "paths" in inputs:
        paths = inputs["paths"]
        source = f"one or more of {counted(len(paths), 'input')}: " if len(paths) > 1 else ""
        yield f"{counted(inputs['pairs'], 'pair')} in pairs/, from {source}{listed(paths, 3)}"
    rows = inputs.get("rows", [])
    for row in rows:
        where = ", ".join(filter(None, [row["input"], row["place"]]))
        what = f"dropped: {row['dropped']}" if row["dropped"] else _quoted(row["text"])
        yield f"{where}: {what}"
    if inputs.get("number", 0) > len(rows):
        yield f"{number(inputs['number'] - len(rows))} more rows"
    if inputs.get("number") == 0:
        yield f"{counted(inputs['read'], 'input')} read again: no row is about the image"
    for path, reason in inputs.get("unread", {}).items():
        yield f"{path} was not read again: {reason}"
    for path, reasons in inputs.get("damaged", {}).items():
        counts = ", ".join(f"{number(value)} {name}" for name, value in reasons.items())
        yield f"{path} has records that cannot be read ({counts}); the image may be in one of these"


def _near(facts: dict[str, Any]) -> Iterator[str]:
    yield from facts.get("near", [])


def _lists(facts: dict[str, Any]) -> Iterator[str]:
    for row in facts.get("lists", []):
        yield f"{row['list']} names it: {row['reason']} ({row['meaning']})"


def _dropped(facts: dict[str, Any]) -> Iterator[str]:
    for row in facts.get("dropped", []):
        yield f"{number(row['number'])} {row['reason']}: {row['meaning']}"


def _texts(facts: dict[str, Any]) -> Iterator[str]:
    for text in facts.get("texts", []):
        yield from _lines_of_text(text)


def _lines_of_text(text: dict[str, Any]) -> Iterator[str]:
    kind = f" ({text['kind']})" if text["kind"] else ""
    yield f"{_quoted(text['text'])}{kind}"
    score = "" if text["lid_score"] is None else f", score {text['lid_score']:.2f}"
    yield f"  language {text['language']}{score}: {text['evidence']}"
    entries = text["entries"]
    if not entries:
        yield "  it has no entry of this language"
    for entry in entries[:MAX_SHOWN_ENTRIES]:
        name = _quoted(entry["entry"]) if entry["entry"] is not None else f"entry {entry['id']} of {entry['language']}"
        t = "" if entry["t"] is None else f", t {number(entry['t'])}"
        yield f"  {name}: count {number(entry['count'])}, rate {entry['rate']:.4g}{t}"
    if len(entries) > MAX_SHOWN_ENTRIES:
        yield f"  and {number(len(entries) - MAX_SHOWN_ENTRIES)} more"


def _gate(facts: dict[str, Any]) -> Iterator[str]:
    gate = facts.get("gate")
    if not gate:
        return
    yield _PASSED[gate["passed"]]
    for row in gate["removed"]:
        yield f"{_quoted(row['text'])}: removed by {row['rule']}, of the step {row['step']}"
        if row["removes"]:
            yield f"  this rule removes {row['removes']}"
        if row["why"]:
            yield f"  {row['why']}"
    if gate.get("rules"):
        yield f"one of these removed it: {', '.join(gate['rules'])}"
    if gate["source"]:
        yield f"source: {gate['source']}"
    before = [text["text"] for text in facts["texts"] if text["entries"]]
    for text in gate.get("texts", []):
        if text["text"] not in before:
            yield "a text after the gate:"
            yield from (f"  {line}" for line in _lines_of_text(text))


def _draw(facts: dict[str, Any]) -> Iterator[str]:
    draw = facts.get("draw")
    if not draw:
        return
    if draw["texts"] > 1:
        yield f"of {number(draw['texts'])} texts, the draw {draw['text_draw']:.6f} chose {_quoted(draw['text'])}"
    relation = "below" if draw["kept"] else "not below"
    yield f"its probability is {draw['probability']:.6f}; the draw {draw['draw']:.6f} is {relation} it"
    yield "kept" if draw["kept"] else "not kept"


def _manifest(facts: dict[str, Any]) -> Iterator[str]:
    if place := facts.get("manifest"):
        yield _place(place)


def _notes(facts: dict[str, Any]) -> Iterator[str]:
    yield from facts["notes"]


def _quoted(text: str | None) -> str:
    if text is None:
        return "no text"
    cut = text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}…"
    return f"“{cut}”"
