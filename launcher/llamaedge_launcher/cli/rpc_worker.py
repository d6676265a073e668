"""The command ``llamaedge rpc-worker``."""

import signal
import socket
from contextlib import closing

import click

from ..address import Address
from ..errors import LauncherError
from .values import SocketAddress, Whole

PORT = 50052
"""As llama.cpp's own rpc-server has it."""


@click.command(short_help="Lend this machine to a server on another one.")
@click.option(
    "--listen",
    type=SocketAddress(),
    default=f"127.0.0.1:{PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen",
)
@click.option(
    "--threads",
    type=Whole(1, 1024),
    metavar="NUMBER",
    help="Threads to compute with, where there is no GPU  [default: one a CPU]",
)
def rpc_worker(listen: Address, threads: int | None) -> int:
    """Compute parts of a model for `llamaedge run --rpc HOST:PORT` on another machine.

    It lends its GPUs, or where there is none its CPU, to one server at a time, until it is ended.
    There is no authentication and no encryption: whoever reaches the address may use it, and more.
    It needs a llama.cpp that is built with GGML_RPC.
    """
    host = _check(listen)
    from llamaedge_host.ggml.errors import GgmlError
    from llamaedge_host.ggml.llama import rpc

    try:
        rpc.require()
    except GgmlError as error:
        raise LauncherError(str(error)) from error
    if not listen.is_loopback:
        click.echo(
            f"warning: {listen} has no authentication and no encryption: whoever reaches it may use"
            " this machine; let only the server's machine do so",
            err=True,
        )
    click.echo(f"lending this machine at {listen}; Ctrl-C ends it", err=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python is not asked while llama.cpp serves
    rpc.serve(host, listen.port, threads=threads)
    raise LauncherError(f"llama.cpp does not serve at {listen}; what it said stands above")


def _check(listen: Address) -> str:
    """The IPv4 address of the host to listen at, which llama.cpp wants. Raises LauncherError."""
    if not listen.port:
        raise LauncherError(f"--listen {listen}: a port from 1 to 65535 must be named")
    try:
        host = str(socket.getaddrinfo(listen.host, listen.port, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise LauncherError(
            f"--listen {listen}: llama.cpp needs an IPv4 address here: {error.strerror}"
        ) from error
    with closing(Address(host, listen.port).listen()):
        return host
