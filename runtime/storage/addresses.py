"""Keep the secrets of URLs in the memory of processes: what is stored and shown is a URL without them.

`hidden` takes the secrets of a URL out where the driver gets it. `with_secrets` puts them back where the URL is opened.
Workers get them from the driver: its `known` is what they `learn`. Another URL on a server that was given with a user,
such as the index beside a dump, is opened as the same user.
"""

from __future__ import annotations

from runtime.redaction import redacted

_CHAIN = "::"  # between the links of a chain of fsspec, as in simplecache::https://a.org/b
_addresses: dict[str, str] = {}  # URLs without secrets → with them; likewise of servers, for their users


def hidden(path: str) -> str:
    """Return a path as it is stored and shown, and remember what is secret in it; a local one stays as it is."""
    return _CHAIN.join(map(_hidden, path.split(_CHAIN))) if "://" in path else path


def with_secrets(path: str) -> str:
    """Return the URL that opens what `hidden` made shown; any other path stays as it is."""
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
