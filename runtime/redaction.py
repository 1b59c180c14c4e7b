"""Remove secrets from the URLs that are shown or stored (user, password, secret query values), and keep them in memory.

`redacted` drops secrets without a mark: an object under a new signature is shown, and recognised, as the same URL.
`hidden` removes the secrets of a URL when the driver receives it, and remembers them in the process. `with_secrets`
puts them back when the URL is opened. The driver sends its secrets to workers (`known`, then `learn`). Another URL on a
server that was given with a user, such as the index beside a dump, is opened as that user.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

# Whoever is named before the @ here is a container, or a repository, and decides what is read.
NAMED_BEFORE_AT = ("abfs", "abfss", "wasb", "wasbs", "github", "git")
# Names of parameters that are dropped wherever they are. `key` and `code` are not: they name objects as often.
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
# And the values that show what they are, whatever their names: keys of Google and AWS, tokens of others, JWTs.
SECRET_VALUE = re.compile(
    r"AIza[\w-]{30,} | (AKIA|ASIA)[A-Z0-9]{12,} | (hf|gh[opsur]|github_pat)_\w{20,} | eyJ[\w-]+\.[\w-]+.*", re.VERBOSE
)
# Dropped beside one of these only: times, rights and versions of a signature, of which a new one has others.
OF_SIGNATURE = re.compile(
    r"(?i)expir(es|y|ation)|exp|policy|hash-algorithm|s[a-z]|s(rt|pr|ip|dd|es|kt|ke|ks|kv)|sk[ot]id|s[au]oid|scid"
)

_USER = re.compile(
    r"""(?x)
    (?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)(?P<slashes>:/+)         # one slash, where a URL was taken for a local path
    ( [^\s/?\#'"<>]*@                                           # user:password@
    | [^\s/?\#@:\['"<>]*:(?!:|\d*([/?\#\s]|$))[^\s@'"<>]*@ )      # a password with a slash; no port, nor a chain
    """
)
_QUERY = re.compile(r"""[?#][^\s'"<>]*=[^\s'"<>]*""")
_PARAMETER = re.compile(r"([?&;#])([^?&;#]*)")
_CHAIN = "::"  # between the links of a chain of fsspec, as in simplecache::https://a.org/b
_addresses: dict[str, str] = {}  # URLs without secrets → with them; likewise of servers, for their users


def redacted(text: str) -> str:
    """Return a text with user, password and secret query values removed from its URLs.

    >>> redacted("https://me:word@a.org/b.csv?part=1&X-Amz-Signature=0f&X-Amz-Date=2026")
    'https://a.org/b.csv?part=1'
    >>> redacted("abfs://box@a.dfs.core.windows.net/b.csv?sv=2024&sp=r&sig=0f : 403")
    'abfs://box@a.dfs.core.windows.net/b.csv : 403'
    """
    if ":/" in text:
        text = _USER.sub(_without_user, text)
    return _QUERY.sub(_without_secrets, text) if "=" in text else text


def _without_user(found: re.Match) -> str:
    is_name = found["scheme"].lower() in NAMED_BEFORE_AT
    return found[0] if is_name else found["scheme"] + found["slashes"]


def _without_secrets(found: re.Match) -> str:
    parameters = [(mark, *each.partition("=")) for mark, each in _PARAMETER.findall(found[0])]
    if not any(_is_secret(name, value) for _, name, _, value in parameters):
        return found[0]
    kept = [
        (mark, name + sign + value)
        for mark, name, sign, value in parameters
        if not (_is_secret(name, value) or OF_SIGNATURE.fullmatch(unquote(name)))
    ]
    return "".join(("?" if number == 0 and mark in "&;" else mark) + each for number, (mark, each) in enumerate(kept))


def _is_secret(name: str, value: str) -> bool:
    return value != "" and bool(SECRET.fullmatch(unquote(name)) or SECRET_VALUE.fullmatch(unquote(value)))


def hidden(path: str) -> str:
    """Return a path without its secrets, as it is stored and shown, and remember them; a local path is unchanged."""
    return _CHAIN.join(map(_hidden, path.split(_CHAIN))) if "://" in path else path


def with_secrets(path: str) -> str:
    """Return the URL with the secrets that `hidden` removed; any other path is returned unchanged."""
    return _CHAIN.join(map(_address, path.split(_CHAIN))) if _addresses and "://" in path else path


def known() -> dict[str, str]:
    """Return what `learn` takes, in another process."""
    return dict(_addresses)


def learn(addresses: dict[str, str]) -> None:
    """Remember what another process knows."""
    _addresses.update(addresses)


def _hidden(link: str) -> str:
    shown = redacted(link)
    if shown != link:
        _addresses[shown] = link
        if _server(shown) != _server(link):
            _addresses[_server(shown)] = _server(link)
    return shown


def _address(link: str) -> str:
    if link in _addresses:
        return _addresses[link]
    server = _server(link)
    return _addresses.get(server, server) + link[len(server) :]


def _server(link: str) -> str:
    """Return the beginning of a URL up to its path.

    >>> _server("https://me:word@a.org/b.csv"), _server("https://a.org")
    ('https://me:word@a.org', 'https://a.org')
    """
    end = link.find("/", link.find("://") + len("://"))
    return link if end < 0 else link[:end]
