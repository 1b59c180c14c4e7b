"""Resolve character references of HTML: in the values of attributes, and in texts that were escaped twice."""

import re
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#[xX]([0-9A-Fa-f]+);?|#([0-9]+);?|([A-Za-z][A-Za-z0-9]{1,31})(;|(?![A-Za-z0-9=])))")
COMPLETE = r"&(?:#[xX]([0-9A-Fa-f]+);|#([0-9]+);|([A-Za-z][A-Za-z0-9]{1,31})(;))"  # also in RE2's spelling
_complete = re.compile(COMPLETE)
_MOST_DIGITS = 7  # of a reference by number
# Numbers that mean bytes of windows-1252; those without a character there mean themselves.
_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") or chr(code) for code in range(0x80, 0xA0)}


def unescape(value: str) -> str:
    """Return the value of an attribute with its character references resolved, as the HTML standard reads them.

    `html.unescape` is for text: it takes the `&copy` of `?a=1&copy=2` for a sign.

    >>> unescape("?a=1&copy=2&lt=3 &copy; &eacute &#8364; &#x80; &#0;")
    '?a=1&copy=2&lt=3 © é € € �'
    """
    return _REFERENCE.sub(_character, value)


def _character(found: re.Match[str]) -> str:
    hexadecimal, decimal, name, semicolon = found.groups()
    if name:
        return html5.get(name + semicolon, found[0])
    digits = (hexadecimal or decimal).lstrip("0")
    code = int(digits or "0", 16 if hexadecimal else 10) if len(digits) <= _MOST_DIGITS else 0
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return "\ufffd"
    return _WINDOWS.get(code) or chr(code)


def unescape_again(text: str) -> str:
    r"""Return a text, whose references are resolved, with those resolved that are left and end in a semicolon.

    What is left was escaped twice by its site. Signs that stand for themselves have no semicolon.

    >>> unescape_again("Joe&#039;s R&B &amp; &quot;AT&T&quot;, &copy 2020 &nosuch; &amp;lt;")
    'Joe\'s R&B & "AT&T", &copy 2020 &nosuch; &lt;'
    """
    return _complete.sub(_character, text)
