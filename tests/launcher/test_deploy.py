"""docs/deploy: the service, the container and the proxies' files say what this program has."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml

from llamaedge_launcher.cli.config import parameters, read
from llamaedge_launcher.cli.run import run
from llamaedge_launcher.settings import DRAIN_TIMEOUT, MAX_FILE_SIZE, REQUEST_TIMEOUT

from .running import LLAMAEDGE, Server

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
UNIT = DEPLOY.joinpath("llamaedge.service").read_text()
CONTAINER = DEPLOY.joinpath("Containerfile").read_text().replace("\\\n", " ")
CONFIG = str(DEPLOY / "llamaedge.toml")


def unit(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def instruction(name: str) -> str:
    """The last one of this name in the container's file."""
    return re.findall(rf"^{name} (.*)$", CONTAINER, re.MULTILINE)[-1]


def container_command() -> list[str]:
    command: list[str] = json.loads(instruction("ENTRYPOINT"))
    return command


COMMANDS = {
    "service": shlex.split(unit("ExecStart")[0]),
    "container": container_command(),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_one(name: str) -> None:
    program, command, *words = COMMANDS[name]
    assert (Path(program).name, command) == ("llamaedge", "run")
    known = {each for param in run.params for each in param.opts}
    options = [word for word in words if word.startswith("--")]
    assert options
    assert set(options) <= known


def test_the_services_file_is_one() -> None:
    values = read(run, click.Context(run), CONFIG)
    assert len(values) == len(tomllib.loads(Path(CONFIG).read_text())) > 4
    assert set(tomllib.loads(Path(CONFIG).read_text())) <= set(parameters(run))


def test_every_option_of_the_page_is_one() -> None:
    text = DEPLOY.with_suffix(".md").read_text()
    known = {each for param in run.params for each in param.opts}
    for line in re.findall(r"llamaedge run .*?[`\n]", text):
        assert set(re.findall(r" (--[\w-]+)", line)) <= known, line


def test_the_service_waits_until_it_has_drained() -> None:
    drain = tomllib.loads(Path(CONFIG).read_text())["drain-timeout"]
    assert drain == DRAIN_TIMEOUT < int(unit("TimeoutStopSec")[0])


def test_proxies_let_through_what_the_server_takes() -> None:
    nginx = DEPLOY.joinpath("nginx.conf").read_text()
    assert int(re.findall(r"client_max_body_size (\d+)m;", nginx)[0]) << 20 > MAX_FILE_SIZE
    assert int(re.findall(r"proxy_read_timeout (\d+)s;", nginx)[0]) >= REQUEST_TIMEOUT
    caddy = DEPLOY.joinpath("Caddyfile").read_text()
    assert int(re.findall(r"max_size (\d+)MB", caddy)[0]) * 1_000_000 > MAX_FILE_SIZE


def test_kubernetes_takes_the_manifests() -> None:
    for each in yaml.safe_load_all(DEPLOY.joinpath("kubernetes.yaml").read_text()):
        kubernetes_validate.validate(each, "1.34", strict=True)


def test_the_pod_has_our_options_and_time_to_drain() -> None:
    parts = list(yaml.safe_load_all(DEPLOY.joinpath("kubernetes.yaml").read_text()))
    pod = next(each for each in parts if each["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    model, *words = container["args"]
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    assert "/" in model and set(given) <= set(parameters(run))
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > int(given["drain-timeout"]) + pause
    assert container["env"][0]["name"] == "API_KEY"
    assert container["volumeMounts"][0]["mountPath"] == instruction("VOLUME")
    (port,) = container["ports"]
    assert str(port["containerPort"]) == instruction("EXPOSE")
    for name in ("startupProbe", "readinessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": port["name"]}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_the_unit_is_one(tmp_path: Path) -> None:
    here = tmp_path / "llamaedge.service"
    here.write_text(UNIT.replace("/opt/llamaedge/bin/llamaedge", LLAMAEDGE))
    command = ["systemd-analyze", "verify", "--man=no", str(here)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_container_builds_this_project() -> None:
    """The stages' own commands are not run: they need another root folder."""
    copied, target = instruction("COPY").split()[-2:]
    assert copied == target == "/opt/llamaedge"
    assert "COPY . /src" in CONTAINER
    assert f"{target}/bin/pip install --no-cache-dir /src" in CONTAINER
    assert f"ENV PATH={target}/bin:" in CONTAINER
    assert signal.Signals[instruction("STOPSIGNAL")] is signal.SIGTERM


def here(words: list[str], folder: Path, smollm2: Path) -> list[str]:
    """The command's options, their folders below ``folder`` and their port any that is free."""
    places = {
        "/etc/llamaedge": str(folder),
        "%d": str(folder),
        "/var/lib/llamaedge": str(folder / "data"),
        "0.0.0.0:8080": "0.0.0.0:0",
    }
    text = Path(CONFIG).read_text().replace("/var/lib/llamaedge", str(folder / "data"))
    text = re.sub("model = .*", f'model = "{smollm2}"', text).replace("port = 8080", "port = 0")
    folder.joinpath("llamaedge.toml").write_text(text)
    folder.joinpath("keys").write_text("a-key\n")
    for each, found in places.items():
        words = [word.replace(each, found) for word in words]
    return words


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_serves_and_ends(name: str, smollm2: Path, tmp_path: Path) -> None:
    words = here(COMMANDS[name][2:], tmp_path, smollm2)
    model = [str(smollm2)] if name == "container" else []
    server = Server(tmp_path, *words, *model, threads=1, placed=True)
    try:
        url = server.wait_ready()
        check: list[str] = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
        asked = [word.replace("http://127.0.0.1:8080", url) for word in check]
        assert subprocess.run([sys.executable, *asked[1:]]).returncode == 0
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
        assert subprocess.run([sys.executable, *asked[1:]], stderr=subprocess.DEVNULL).returncode
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
