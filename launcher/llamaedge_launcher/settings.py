"""What the public server is told on the command line."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

DATA_DIR = platformdirs.user_data_path("llamaedge")
MAX_FILE_SIZE = 512 * 1024 * 1024
DRAIN_TIMEOUT = 30
PAGE = Path(__file__).with_name("ui")  # the web page that comes with this package


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``keys`` are what clients may show, none lets everyone in.

    ``origins`` are the web pages' that may ask from a browser, ``*`` any. Files of at most
    ``max_file_size`` bytes are kept in ``data_dir``. Requests under way have ``drain_timeout``
    seconds to finish when the server is told to stop. ``web_ui`` is the folder of the web page,
    which a browser is asked to open if ``opens_page``.
    """

    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    data_dir: Path = DATA_DIR
    max_file_size: int = MAX_FILE_SIZE
    drain_timeout: float = DRAIN_TIMEOUT
    web_ui: Path | None = None
    opens_page: bool = False
