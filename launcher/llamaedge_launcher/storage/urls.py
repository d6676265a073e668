"""URLs of stores. One may have a password, which nobody is to read."""

import re

from ..variables import STORES

FILES, RECORDS = OPTIONS = ("--store-files", "--store-records")
"""The options that name them."""
VARIABLES = dict(zip(OPTIONS, STORES, strict=True))
"""The variables of the environment that may do so too."""
_HIDDEN = r"\1***"
_USER = re.compile(r"(://[^:@/?#]*:).*@")
_FIELD = re.compile(r"([?&][^=&]*(?:key|token|secret|passw|credential)[^=&]*=)[^&]*", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def shown(url: str) -> str:
    """``url`` with stars in the place of its passwords."""
    if not scheme(url) and "@" in url:
        return f"***@{url.rpartition('@')[2]}"
    return _FIELD.sub(_HIDDEN, _USER.sub(_HIDDEN + "@", url))


def is_secret(url: str) -> bool:
    """Whether it has a password."""
    return shown(url) != url


def scheme(url: str) -> str:
    """What stands before ``://``, in lower case; "" where there is none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def is_split(url: str) -> bool:
    """Whether user and host are told apart by one ``@``: one in a password is written ``%40``."""
    return url.partition("://")[2].partition("/")[0].count("@") <= 1
