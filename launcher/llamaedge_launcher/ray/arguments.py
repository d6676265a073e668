"""What an application is told: by ``serve run ... KEY=VALUE``, or by ``args`` of a Serve config."""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from ray.serve.config import AutoscalingConfig

from . import options

ROUTER = "llamaedge_launcher.ray.router:PrefixRouter"
FRONT = "front"
_DECODED = (
    "autoscaling_config",
    "front_resources",
    "models",
    "request_router_kwargs",
    "resources",
    "servers",
)
_NAME = re.compile(r"[^\w.-]+")


class _Told(BaseModel):
    """Fields, and beside them options of ``llamaedge run`` by their keys in its file."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _decoded(cls, given: Any) -> Any:
        """Lists and objects may be JSON: that is how they come from a command line."""
        if not isinstance(given, dict):
            return given
        return {
            key: json.loads(value) if key in _DECODED and isinstance(value, str) else value
            for key, value in given.items()
        }

    @property
    def options(self) -> dict[str, Any]:
        """Those of ``llamaedge run``."""
        return dict(self.model_extra or {})


class Server(_Told):
    """Models that one deployment of Ray Serve has, and its replicas.

    It has ``model``, or those of ``models`` that are asked for, of which each replica has
    ``models-max`` at a time (1 unless it is said). Names of Ray Serve's mean what they mean there.
    """

    name: str = ""
    model: str | None = None
    models: list[str] = []
    num_replicas: int = Field(default=1, ge=0)
    autoscaling_config: dict[str, Any] | None = None
    num_cpus: float = Field(default=1, ge=0)
    num_gpus: float = Field(default=0, ge=0)
    memory: float | None = Field(default=None, gt=0)
    resources: dict[str, float] = {}
    max_replicas_per_node: int | None = Field(default=None, ge=1)
    max_surge_percent: int = Field(default=0, ge=0, le=100)
    request_router_class: str = ROUTER
    request_router_kwargs: dict[str, Any] = {}

    @field_validator("autoscaling_config")
    @classmethod
    def _scales(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        if given is not None:
            AutoscalingConfig(**given)
        return given

    @model_validator(mode="after")
    def _one_kind(self) -> "Server":
        if self.model is not None and self.models:
            raise ValueError("'model' and 'models' exclude each other")
        if self.autoscaling_config is not None and "num_replicas" in self.model_fields_set:
            raise ValueError("'num_replicas' and 'autoscaling_config' exclude each other")
        options.check(self.options, of_server=True)
        return self

    @property
    def title(self) -> str:
        """What the deployment is called."""
        named = self.name or self.model or (self.models[0] if self.models else "default")
        return _NAME.sub("-", named.rpartition("/")[2]).strip("-") or "default"


class Arguments(_Told):
    """The whole application: ``servers``, or one whose fields stand here.

    There are ``fronts`` public servers, which share ``data-dir`` and so are on one machine, unless
    ``store-files`` and ``store-records`` say otherwise. Options that stand here are for all
    servers.
    """

    fronts: int = Field(default=1, ge=1)
    front_cpus: float = Field(default=0.1, ge=0)
    front_resources: dict[str, float] = {}
    servers: list[Server] = []

    @model_validator(mode="before")
    @classmethod
    def _one_server(cls, given: Any) -> Any:
        """A server's fields that stand beside ``fronts`` are those of the only one."""
        if not isinstance(given, dict):
            return given
        own = {key: value for key, value in given.items() if key in Server.model_fields}
        if own and "servers" in given:
            raise ValueError(f"'{next(iter(own))}' belongs into one of 'servers'")
        if "servers" in given:
            return given
        rest = {key: value for key, value in given.items() if key not in own}
        return {**rest, "servers": [own]}

    @model_validator(mode="after")
    def _checked(self) -> "Arguments":
        options.check(self.options, of_server=False)
        titles = [each.title for each in self.servers]
        for title in titles:
            if titles.count(title) > 1 or title == FRONT:
                raise ValueError(f"two deployments would be called {title!r}; give each a 'name'")
        if not titles:
            raise ValueError("'servers' is empty")
        return self

    def options_of(self, server: Server) -> dict[str, Any]:
        """Those of the application and of ``server``, which go before them."""
        found = {**self.options, **server.options}
        if "threads" not in found and server.num_cpus >= 1:
            found["threads"] = int(server.num_cpus)
        return found
