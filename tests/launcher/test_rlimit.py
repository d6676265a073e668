"""The limit of open descriptors."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

PROGRAM = """
import resource
from llamaedge_launcher import rlimit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
rlimit.raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_rises_and_the_hard_one_stays() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    soft, hard = map(int, done.stdout.split())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard == before
    assert soft == (65536 if hard == resource.RLIM_INFINITY else min(65536, hard))
