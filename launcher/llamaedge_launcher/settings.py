"""What the public server is told on the command line."""

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from .control import HANG_TIMEOUT
from .storage.places import Places
from .tls import Tls

DATA_DIR = platformdirs.user_data_path("llamaedge")
MAX_FILE_SIZE = 512 * 1024 * 1024
DRAIN_TIMEOUT = 30
MAX_QUEUE = 128
REQUEST_TIMEOUT = 3600
MAX_BODY_SIZE = 64 * 1024 * 1024
MAX_BODY_MEMORY = 512 * 1024 * 1024
MAX_CONNECTIONS = 4096
FOR_EVER = -1
PAGE = Path(__file__).with_name("ui")  # the web page that comes with this package


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``keys`` are what clients may show, none lets everyone in.

    ``origins`` are the web pages' that may ask from a browser, ``*`` any. Files of at most
    ``max_file_size`` bytes are kept in ``data_dir``, and so is all else that clients leave, unless
    ``store_files`` and ``store_records`` are URLs of stores that other servers have too. Requests
    under way have ``drain_timeout`` seconds to finish when the server is told to stop.

    ``max_queue`` requests may wait for a guest, and a request has ``request_timeout`` seconds to
    wait and to be answered, 0 for any number. What shows no sign of life for ``hang_timeout``
    seconds is replaced.

    At most ``models_max`` models are loaded, 0 for any number; one that has been idle for
    ``keep_alive`` seconds is unloaded, unless that is FOR_EVER.

    ``web_ui`` is the folder of the web page, which a browser is asked to open if ``opens_page``.

    ``official`` says that the guest is one of LlamaEdge's own, whose answers are made right; with
    ``strict_model`` requests for models that are not served are refused in its place.

    A request's body other than a file's has at most ``max_body_size`` bytes, and all that are
    held at once ``max_body_memory``. At most ``max_connections`` are open. ``tls`` is what the
    server speaks TLS with. ``root_path`` is what a reverse proxy puts before every path, and
    ``forwarded`` the addresses whose forwarding headers are believed, separated by commas, ``*``
    any. Pictures may be fetched from the hosts of ``image_urls`` (remote.hosts.Hosts), and read
    below the folder ``media_path``.
    ``slots`` says whether clients may see what the places of sequences are doing, ``metrics`` the
    same of what the server has done; they may save and restore slots in ``slot_save_path``.
    """

    keys: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    data_dir: Path = DATA_DIR
    store_files: str | None = field(default=None, repr=False)
    store_records: str | None = field(default=None, repr=False)
    max_file_size: int = MAX_FILE_SIZE
    drain_timeout: float = DRAIN_TIMEOUT
    max_queue: int = MAX_QUEUE
    models_max: int = 0
    keep_alive: float = FOR_EVER
    request_timeout: float = REQUEST_TIMEOUT
    hang_timeout: float = HANG_TIMEOUT
    web_ui: Path | None = None
    opens_page: bool = False
    official: bool = False
    strict_model: bool = False
    max_body_size: int = MAX_BODY_SIZE
    max_body_memory: int = MAX_BODY_MEMORY
    max_connections: int = MAX_CONNECTIONS
    tls: Tls | None = None
    root_path: str = ""
    forwarded: str = ""
    image_urls: tuple[str, ...] = ()
    media_path: Path | None = None
    slots: bool = True
    metrics: bool = True
    slot_save_path: Path | None = None

    @property
    def places(self) -> Places:
        """Where what clients leave is kept."""
        return Places(data_dir=self.data_dir, files=self.store_files, records=self.store_records)
