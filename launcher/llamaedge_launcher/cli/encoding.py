"""How text goes out where a name does not fit the encoding."""

import codecs
import io
import sys


def take_any_text() -> None:
    """Let stdout and stderr take every name of a file.

    In UTF-8 its bytes go out as they are; what another encoding lacks is escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
