"""Remove secrets (user, password, secret query values) from URLs that are shown or stored, and keep them in memory.

Secrets are dropped from URLs without a mark: an object under a new signature is shown, and recognised, as the same URL.
`hidden` removes the secrets of a URL when the driver receives the URL, and remembers them in the process.
`with_secrets` restores them when the URL is opened. The driver sends its secrets to workers (`secret_addresses`, then
`learn`). If a URL on a server was given with a user, other URLs on that server, such as the index beside a dump, are
opened as that user.

Libraries split URLs, and escape or quote the parts. So `redacted` also hides the secrets of all URLs that the process
was given, wherever they occur in a text. Secrets of one to three characters are hidden only beside their user or name:
hidden everywhere, they would remove letters from words. A secret that could be a word (`data`) is hidden after a sign,
such as = or :, but not in a sentence.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from urllib.parse import quote, unquote

# In these schemes, the name before the @ is no user, but a container or repository, which is part of the address.
NAMED_BEFORE_AT = ("abfs", "abfss", "wasb", "wasbs", "github")
# Names of parameters that are always dropped. `key` and `code` are not among them, as they often name objects.
SECRET = re.compile(
    r"""(?xi)
    (x-amz|x-goog|x-oss|x-obs)-.*                               # S3, Google, Alibaba, Huawei: all but the object
    | q-(sign|ak|key|header|url).*                              # Tencent
    | (aws|oss|google)accesskeyid | googleaccessid | key-pair-id
    | sig | sign | .*signature | .*hmac | hdn(ts|ea|tl) | __gda__
    | (?!(page|next|continuation|sync)[-_]?token).*token_*
    | .*secret.* | .*passw(or)?d | passphrase | pass | pwd | pw
    | .*(api|access|auth|account|private|shared|subscription)[-_]?key | .*credentials?
    | (.*[-_.])?auth | o?auth[-_].* | (.*[-_])?authorization | jwt | bearer | sas
    | (.*[-_])?session([-_]?id)? | .*sessid
    """
)
# Values that are secret under any name, as their form shows: keys of Google and AWS, tokens of others, JWTs.
SECRET_VALUE = re.compile(
    r"AIza[\w-]{30,} | (AKIA|ASIA)[A-Z0-9]{12,} | (hf|gh[opsur]|github_pat)_\w{20,} | eyJ[\w-]+\.[\w-]+.*", re.VERBOSE
)
# Names dropped only beside a secret: times, rights and versions of a signature, which differ in a new signature.
OF_SIGNATURE = re.compile(
    r"(?i)expir(es|y|ation)|exp|policy|hash-algorithm|s[a-z]|s(rt|pr|ip|dd|es|kt|ke|ks|kv)|sk[ot]id|s[au]oid|scid"
)

# These parameters are removed from URLs, but their values (words, numbers, regions) are not hidden elsewhere in a text.
HARMLESS = re.compile(r"(?i)x-\w+-(algorithm|date|expires|signed-?headers|content-.*|meta-.*)|q-(?!ak|signature).*")

_USER = r"""(?x)
    (?P<scheme>(?P<no_port>\b(?:s3[an]?|gc?s|oss|obs|cosn?)(?=:))?(?(no_port)|[A-Za-z][A-Za-z0-9+.-]*))
    (?P<slashes>:/+)                                           # one slash, where a URL was taken for a local path
    (?P<user> [^/?\#{end}]*                                    # user:password@
    | [^/?\#@:\[{end}]*:(?(no_port)|(?!:|\d*([/?\#\s]|$)))[^@{end}]* )@      # a password with a slash; nor a chain
    | (?<![\w:/\[.@-])(?P<bare>[A-Za-z][A-Za-z0-9+.-]*:)       # without slashes: s3:key:secret@bucket
      (?P<pair>[^/?\#@:{end}]+:[^\]\[@{end}]+)@
"""
_USER_IN_TEXT, _USER_OF_ADDRESS = (re.compile(_USER.format(end=end)) for end in (r"""\s'"<>""", ""))
_QUERY = re.compile(r"""[?#][^\s'"<>]*=[^\s'"<>]*""")
_WHOLE_QUERY = re.compile(r"[?#].*=.*", re.DOTALL)  # for a whole address: its query may hold any character
_PARAMETER = re.compile(r"([?&;#])([^?&;#]*)")
_ESCAPED = re.compile(r"""[^\s'"<>]*%[0-9A-Fa-f]{2}[^\s'"<>]*""")
_CHAIN = "::"  # between the links of a chain of fsspec, as in simplecache::https://a.org/b
_FEWEST, _MANY = 4, 8  # least characters of a secret to be hidden between signs, and to be hidden inside words, too
_WORD = re.compile(r"[A-Za-z]?[a-z]{,11}")
_ROUNDS = 5  # of decoding escapes that were escaped again
_ESCAPE = "%(?:25)*"  # the beginning of an escape, even if it was escaped again
_BLANK = f"[ +]|{_ESCAPE}2[0b]"
_OTHER_FORMS = {" ": _BLANK, "+": _BLANK, "'": r"\\*'", '"': r'\\*"', "\\": r"\\*", "&": "&(?:amp;)?"}
_addresses: dict[str, str] = {}  # URL without secrets → with secrets; server without user → with user
_unread: list[str] = []  # addresses whose secrets `_values` lacks
_values: dict[str, str] = {}  # secret in the form of `_plain` → secret without escapes


def redacted(text: str) -> str:
    """Return a text without the users, passwords and secret query values of its URLs.

    The times, rights and versions of a signature are removed with their secret; other parameters stay.

    >>> redacted("https://me:word@a.org/b.csv?part=1&X-Amz-Signature=0f&X-Amz-Date=2026")
    'https://a.org/b.csv?part=1'
    >>> redacted("abfs://box@a.dfs.core.windows.net/b.csv?sv=2024&sp=r&sig=0f : 403")
    'abfs://box@a.dfs.core.windows.net/b.csv : 403'
    """
    return _without_known(_in_escapes(_without(text)))


def _without(text: str, is_address: bool = False) -> str:
    """Return a text without the secrets that the syntax of URLs shows; `is_address`: the whole text is one URL."""
    user, query = (_USER_OF_ADDRESS, _WHOLE_QUERY) if is_address else (_USER_IN_TEXT, _QUERY)
    if ":" in text and "@" in text:
        text = user.sub(_without_user, text)
    return query.sub(_without_secrets, text) if "=" in text else text


def _in_escapes(text: str) -> str:
    """Return a text without the secrets of URLs that are %-escaped in it."""
    return _ESCAPED.sub(lambda match: _of_escapes(match[0]), text) if "%" in text else text


def _of_escapes(url: str) -> str:
    shown = url
    is_changed = False
    for _ in range(_ROUNDS):
        if (plain := _unquoted(shown)) == shown:
            break
        shown = _without(plain, is_address=True)
        is_changed |= shown != plain
    return quote(shown, safe="!#$%&'()*+,/:;=?@[]~", errors="surrogateescape") if is_changed else url


def _unquoted(text: str) -> str:
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _levels(text: str) -> list[str]:
    """Return the text, the text with %-escapes decoded, that text decoded again, and so on; equal texts only once."""
    return [*dict.fromkeys(accumulate([text] * _ROUNDS, lambda last, _: _unquoted(last)))]


def _without_user(match: re.Match) -> str:
    if match["bare"]:
        return match["bare"]
    is_name = match["scheme"].lower() in NAMED_BEFORE_AT
    return match[0] if is_name else match["scheme"] + match["slashes"]


def _without_secrets(match: re.Match) -> str:
    parameters = _parameters(match[0])
    if not any(_is_secret(name, value) for _, name, _, value in parameters):
        return match[0]
    kept = [
        (mark, name + sign + value)
        for mark, name, sign, value in parameters
        if not (_is_secret(name, value) or OF_SIGNATURE.fullmatch(unquote(name)))
    ]
    if kept and kept[0][0] in "&;":
        kept[0] = ("?", kept[0][1])
    return "".join(mark + parameter for mark, parameter in kept)


def _parameters(query: str) -> list[tuple[str, str, str, str]]:
    return [(mark, *parameter.partition("=")) for mark, parameter in _PARAMETER.findall(query)]


def _is_secret(name: str, value: str) -> bool:
    return value != "" and bool(SECRET.fullmatch(unquote(name)) or SECRET_VALUE.fullmatch(unquote(value)))


def hidden(path: str) -> str:
    """Return a path without its secrets, to store and show, and remember the secrets; a local path is unchanged."""
    return _CHAIN.join(map(_hidden, path.split(_CHAIN))) if "://" in path else path


def with_secrets(path: str) -> str:
    """Return a URL with the secrets that `hidden` removed; a local path is returned unchanged."""
    if "://" not in path:
        return path
    note(path)
    return _CHAIN.join(map(_address, path.split(_CHAIN))) if _addresses else path


def note(address: str) -> None:
    """Remember the secrets of `address`, if it is a URL with secrets, so that no text shows them."""
    if _shown(address) != address:
        _unread.append(address)


def secret_addresses() -> dict[str, str]:
    """Return the URLs with secrets that this process knows, for `learn` in another process."""
    return dict(_addresses)


def learn(addresses: dict[str, str]) -> None:
    """Remember the URLs with secrets that `secret_addresses` returned in another process."""
    _unread.extend(link for shown, link in addresses.items() if _addresses.get(shown) != link)
    _addresses.update(addresses)


def _shown(link: str) -> str:
    return _of_escapes(_without(link, is_address=True))


def _hidden(link: str) -> str:
    shown = _shown(link)
    if shown != link:
        learn({shown: link})
        if _server(shown) != _server(link):
            _addresses[_server(shown)] = _server(link)
    return shown


def _address(link: str) -> str:
    if link in _addresses:
        return _addresses[link]
    server = _server(link)
    return _addresses.get(server, server) + link[len(server) :]


def _server(link: str) -> str:
    """Return the part of a URL before the path.

    >>> _server("https://me:word@a.org/b.csv"), _server("https://a.org")
    ('https://me:word@a.org', 'https://a.org')
    """
    end = link.find("/", link.find("://") + len("://"))
    return link if end < 0 else link[:end]


def _without_known(text: str) -> str:
    """Return a text in which *** replaces the secrets of the URLs that this process was given."""
    while _unread:
        _values.update((_plain(value), _levels(value)[-1]) for value in _secrets_of(_unread.pop()))
    if not _values:
        return text
    plain = _plain(text)  # Forms are compared first, because few of a hundred thousand secrets occur.
    for value in sorted((value for key, value in _values.items() if key in plain), key=len, reverse=True):
        text = _pattern(value).sub(r"\1***" + "@" * value.endswith("@"), text)
    return text


def _secrets_of(address: str) -> Iterator[str]:
    """Yield the secrets of a URL, and the parts of these secrets that a library may show by themselves."""
    for text in _levels(address):
        for match in _USER_OF_ADDRESS.finditer(text):
            if (match["scheme"] or "").lower() not in NAMED_BEFORE_AT:
                yield from _of_user(match["user"] or match["pair"])
        for query in _WHOLE_QUERY.findall(text):
            for _, name, _, value in _parameters(query):
                if _is_secret(name, value) and not HARMLESS.fullmatch(unquote(name)):
                    yield from _of_parameter(name, value)


def _of_user(user: str) -> Iterator[str]:
    name, _, word = user.partition(":")
    yield user + "@"
    # The header of a request has this form.
    yield b64encode(user.encode("utf-8", "surrogateescape")).decode().rstrip("=")
    # A library may take a part of the user for a host.
    yield from _of_length(_FEWEST, [name, word, *re.split(r"[/?#]", user), *re.split(r"[/?#@:]", user)])


def _of_parameter(name: str, value: str) -> Iterator[str]:
    yield f"{name}={value}"
    yield from _of_length(_FEWEST, [value])
    parts = value.split("/")  # In a credential, a date and a region follow the key.
    yield from _of_length(_MANY, parts[:1] if "credential" in name.lower() else parts)


def _of_length(fewest: int, secrets: list[str]) -> Iterator[str]:
    return (secret for secret in secrets if len(_levels(secret)[-1]) >= fewest)


def _plain(text: str) -> str:
    """Return a text in the form in which secrets are compared: lower case, without escapes and backslashes."""
    return _levels(text)[-1].replace("\\", "").replace("&amp;", "&").replace("+", " ").lower()


@lru_cache
def _pattern(value: str) -> re.Pattern:
    """Return a pattern that finds the secret `value` in any spelling.

    The first group of a match is text before the secret, not a part of it.
    """
    spelled = "".join(map(_spelled, value))
    end = "(?![a-z0-9])"
    before = f"({_ESCAPE}[0-9a-f]{{2}})"
    if _WORD.fullmatch(value):
        pattern = f"(?:(?<=[:=@'\"`])|{before}|(?<![a-z0-9])(?={spelled}(?:@|{_ESCAPE}40))){spelled}{end}"
    elif len(value) >= _MANY:
        pattern = f"(){spelled}"
    else:
        pattern = f"(?:(?<![a-z0-9])|{before}){spelled}" + end * (not value.endswith("@"))
    return re.compile(pattern, re.IGNORECASE)


def _spelled(character: str) -> str:
    escapes = "".join(f"{_ESCAPE}{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    return f"(?:{_OTHER_FORMS.get(character) or re.escape(character)}|{escapes})"
