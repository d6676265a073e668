"""What the application may be told, and what the router knows; without a cluster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import tomli_w
import yaml

OF_REPLICAS = {
    *("drain-timeout", "cache-ram", "cache-dir", "cache-dir-size", "max-queue", "models-max"),
    *("keep-alive", "hang-timeout"),
}
"""Options of the public server that are each replica's here."""


def test_without_ray_one_sentence_says_what_to_install() -> None:
    code = "import sys; sys.modules['ray'] = None; import llamaedge_launcher.ray"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = ran.stderr.strip().splitlines()[-1]
    expected = "Ray Serve is not installed: pip install 'llamaedge-host[ray]' brings it"
    assert last == f"ImportError: {expected}"


@pytest.fixture
def told() -> Any:
    """Makes Arguments; skips where Ray Serve is not installed."""
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    from llamaedge_launcher.ray import Arguments

    return Arguments.model_validate


def test_a_line_tells_of_one_server(told: Any) -> None:
    found = told(
        {"model": "a/b:Q4", "num_replicas": "2", "num_cpus": "4", "parallel": "4",
         "no-web-ui": "true", "autoscaling_config": None}
    )  # fmt: skip
    (server,) = found.servers
    assert (server.title, server.num_replicas, server.num_cpus) == ("b-Q4", 2, 4)
    assert found.options_of(server) == {"parallel": "4", "no-web-ui": "true", "threads": 4}


def test_servers_have_options_of_their_own(told: Any) -> None:
    found = told(
        {"ctx-size": 2048, "servers": [{"model": "a.gguf", "threads": 1},
                                       {"name": "two", "models": ["b", "c"], "ctx-size": 512}]}
    )  # fmt: skip
    one, two = found.servers
    assert [one.title, two.title] == ["a.gguf", "two"]
    assert found.options_of(one) == {"ctx-size": 2048, "threads": 1}
    assert found.options_of(two)["ctx-size"] == 512


def test_json_stands_for_what_a_line_cannot_say(told: Any) -> None:
    found = told({"autoscaling_config": '{"min_replicas": 1, "max_replicas": 3}'})
    assert found.servers[0].autoscaling_config == {"min_replicas": 1, "max_replicas": 3}


def test_the_deployed_file_is_one(told: Any) -> None:
    from ray.serve.schema import ServeDeploySchema

    text = Path(__file__).parents[2].joinpath("docs", "deploy", "ray.yaml").read_text()
    (part,) = ServeDeploySchema.model_validate(yaml.safe_load(text)).applications
    assert part.import_path == "llamaedge_launcher.ray:application"
    assert [each.title for each in told(part.args).servers] == ["chat", "others"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ctx-sise": 1}, "there is no option 'ctx-sise'; is it ctx-size?"),
        ({"port": 80}, "port: http_options of Serve's configuration says where it listens"),
        ({"parallel": "many"}, "Invalid value for '--parallel'"),
        ({"num_replicas": -1}, "greater than or equal to 0"),
        ({"servers": []}, "'servers' is empty"),
        ({"servers": [{"api-key": "k"}]}, "api-key is for all servers; it stands beside 'servers'"),
        ({"servers": [{"image-urls": "any"}]}, "image-urls is for all servers"),
        ({"servers": [{"no-slots": True}]}, "no-slots is for all servers"),
        ({"servers": [{"no-metrics": True}]}, "no-metrics is for all servers"),
        ({"servers": [{"media-path": "/a"}]}, "media-path is for all servers"),
        ({"servers": [{"env": ["API_KEY=k"]}]}, "env: API_KEY is for all servers"),
        ({"servers": [{"guest": "a.wasm"}]}, "guest is for all servers"),
        ({"servers": [{"strict-model": True}]}, "strict-model is for all servers"),
        ({"host": "0.0.0.0"}, "host: http_options of Serve's configuration"),
        ({"socket-addr": "a:1,b:2"}, "socket-addr: http_options of Serve's configuration"),
        ({"slot-save-path": "slots"}, "slot-save-path: any replica may get a request"),
        ({"max-queue": 0}, "max-queue: Ray Serve lets one request wait at least"),
        ({"servers": [{}], "model": "m"}, "'model' belongs into one of 'servers'"),
        ({"model": "a", "models": ["b"]}, "'model' and 'models' exclude each other"),
        ({"servers": [{"model": "a"}, {"model": "x/a"}]}, "two deployments would be called 'a'"),
        ({"autoscaling_config": {"min_replicas": 3, "max_replicas": 1}}, "max_replicas"),
        ({"autoscaling_config": {}, "num_replicas": 2}, "exclude each other"),
    ],
)
def test_what_is_wrong_is_told(told: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as failure:
        told(given)
    assert said in str(failure.value)


@pytest.mark.parametrize(
    ("line", "of_server", "said"),
    [
        ("port = 80", False, "port: http_options"),
        ("max-queue = 0", False, "max-queue: "),
        ('cors-origin = ["*"]', True, "cors-origin is for all servers"),
    ],
)
def test_a_file_of_options_is_judged_as_they_are(
    told: Any, tmp_path: Path, line: str, of_server: bool, said: str
) -> None:
    file = tmp_path / "options.toml"
    file.write_text(line)
    given = {"config": str(file)}
    with pytest.raises(ValueError, match=said):
        told({"servers": [given]} if of_server else given)


def test_every_option_has_its_place(told: Any) -> None:
    """One that is new is a server's, unless this says otherwise."""
    from llamaedge_launcher.cli.config import parameters
    from llamaedge_launcher.cli.public import public_options
    from llamaedge_launcher.cli.run import run
    from llamaedge_launcher.ray.options import OF_ALL, OF_FRONTS, OF_SERVE

    placed = [*OF_ALL, *OF_FRONTS, *OF_SERVE]
    assert len(placed) == len(set(placed))
    assert set(placed) <= parameters(run).keys()
    public = click.command()(public_options(lambda: None))
    assert parameters(public).keys() - set(placed) == OF_REPLICAS


@pytest.mark.parametrize("named", [True, False], ids=["in a file", "here"])
def test_servers_do_not_look_for_what_only_fronts_have(
    told: Any, tmp_path: Path, smollm2: Path, *, named: bool
) -> None:
    from llamaedge_launcher.ray.options import for_server

    given = {"model": str(smollm2), "media-path": str(tmp_path / "none"), "strict-model": True}
    if named:
        file = tmp_path / "options.toml"
        file.write_text(tomli_w.dumps(given))
        given = {"config": str(file)}
    plan, settings = for_server(given)
    assert settings.media_path is None
    assert plan.options["--strict-model"] is True


def test_requests_under_way_are_counted_in_any_order() -> None:
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    from llamaedge_launcher.ray.router import Running

    running = Running()
    running.begin("1", "a")
    running.begin("2", "a")
    running.end("3")
    running.begin("3", "a")
    assert running.count("a") == 2
    running.end("1")
    running.end("1")
    assert (running.count("a"), running.count("b")) == (1, 0)
    running.keep({"b"})
    running.end("2")
    assert running.count("a") == 0
