"""Strings that act where they are not escaped: on pages, in Markdown, YAML and JSON, and on a terminal."""

import re

TAKEN = "taken"  # becomes the title of a page on which a script of these runs
ACT = f"document.title='{TAKEN}'"
ELSEWHERE = "http://elsewhere.example/"  # no page may ask anything of it

HTML = {
    "script": f"</script><script>{ACT}</script>",
    "comment": f"--><script>{ACT}</script><!-- ${{script}} $digest &lt;b&gt; ]]>",
    "attribute": f'"\'><img src=x onerror="{ACT}">',
    "handler": f"' onmouseover={ACT} x='",
    "ends": f'</li></td></code></title></style></p><svg onload="{ACT}">',
    "style": f"<style>@import '{ELSEWHERE}a.css'</style><link rel=stylesheet href={ELSEWHERE}b.css>",
    "frame": f"<iframe src={ELSEWHERE}></iframe><base href={ELSEWHERE}><meta http-equiv=refresh content=0>",
    "scheme": f"javascript:{ACT}",
    "reference": "&amp;&#60;b&#62; &lt",
}
MARKDOWN = {
    "link": f"[a]({ELSEWHERE}) ![b]({ELSEWHERE}c.png) <{ELSEWHERE}>",
    "reference": f"[d]: {ELSEWHERE} 'e'",
    "table": "f | g |\n| --- | --- |",
    "backticks": "`h` ``` i ``j",
    "block": "\n```\nk\n\n# l\n\n- m\n\n> n\n\n---\n\n    o\n",
    "emphasis": "*p* __q__ ~~r~~ $s$ \\",
}
YAML = {
    "document": "\n---\nt: u\n...\n",
    "tag": "!!python/object/apply:os.system ['false']",
    "pair": "v: w # x",
    **{f"begins with {sign}": f"{sign}y: z" for sign in "*&?|>%@!-,[]{}'\""},
}
TEMPLATES = {"jinja": "{{ 7 * 7 }} {% raw %} {# a #}", "shell": "$HOME $(false) ${b} %s %(c)s {0} {d}"}
TERMINAL = {
    "escapes": "\x1b[2J\x1b[31m\x1b]0;e\x07\x1b[8m",
    "controls": "\x08\x08\r\t\v\f\x00\x7f\x85\x9b2J",
    "lines": "f\r\ng\nh\u2028i\u2029j",
    "bidi": "\u202ek\u202c \u2066l\u2069 \u200em\u061cn",
    "unseen": "\ufeff\u200b\u00ad\ufffe\uffff\U000e0041",
}
OTHERS = {"space": " ", "long": "o" * 5000, "quotes": "\"'`\\"}
EVERY = [text for kind in (HTML, MARKDOWN, YAML, TEMPLATES, TERMINAL, OTHERS) for text in kind.values()]
ONE = f"\"'><script>{ACT}</script><img src=x onerror={ACT}>&amp;\u202e"  # where one is enough
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # on a terminal


def in_a_name(text: str) -> str:
    """Return a string as the name of a file can have it."""
    return text.replace("/", "\u2044").replace("\0", "")[:60]
