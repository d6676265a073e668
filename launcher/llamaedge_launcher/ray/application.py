"""The application: fronts before deployments of servers."""

from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from . import options
from .arguments import FRONT, Arguments, Server
from .front import Front
from .replica import Replica

_AT_ONCE = 4096  # requests that a front has under way; those beyond wait before it
_HEALTH = 5.0  # seconds between two looks at a replica


def application(arguments: Arguments) -> serve.Application:
    """What ``serve run llamaedge_launcher.ray:application KEY=VALUE ...`` runs.

    Raises pydantic's ValidationError for what is wrong with ``arguments``.
    """
    servers = {
        each.title: (_server(arguments, each), bool(each.models)) for each in arguments.servers
    }
    _, drain = options.waiting(arguments.options)
    front = serve.deployment(
        serve.ingress()(Front),
        name=FRONT,
        num_replicas=arguments.fronts,
        max_ongoing_requests=_AT_ONCE,
        graceful_shutdown_timeout_s=drain,
        ray_actor_options={
            "num_cpus": arguments.front_cpus,
            "resources": arguments.front_resources,
        },
    )
    return front.bind(arguments.options, servers)


def _server(arguments: Arguments, server: Server) -> "serve.Application | DeploymentHandle":
    given = arguments.options_of(server)
    queue, drain = options.waiting(given)
    scaled: dict[str, Any] = {"num_replicas": server.num_replicas}
    if server.autoscaling_config is not None:
        scaled = {"autoscaling_config": server.autoscaling_config}
    if server.max_replicas_per_node is not None:
        scaled["max_replicas_per_node"] = server.max_replicas_per_node
    resources: dict[str, Any] = {
        "num_cpus": server.num_cpus,
        "num_gpus": server.num_gpus,
        "resources": server.resources,
    }
    if server.memory is not None:
        resources["memory"] = server.memory
    deployment = serve.deployment(
        Replica,
        name=server.title,
        max_ongoing_requests=options.at_once(given),
        max_queued_requests=queue,
        graceful_shutdown_timeout_s=drain,
        health_check_period_s=_HEALTH,
        max_surge_percent=server.max_surge_percent,
        ray_actor_options=resources,
        request_router_config=RequestRouterConfig(
            request_router_class=server.request_router_class,
            request_router_kwargs=server.request_router_kwargs,
        ),
        **scaled,
    )
    if server.model is not None:
        given = {**given, "model": server.model}
    return deployment.bind(given, server.models)
