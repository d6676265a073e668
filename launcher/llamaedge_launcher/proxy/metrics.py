"""/metrics, for Prometheus: ``llamaedge_`` with labels, and llama.cpp's names without."""

import time
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from ..health import Figures, Source, Watched
from . import llama_metrics
from .describe import STRING, Described, operation
from .questions import unsupported
from .record import OVER_WEBSOCKET, Record
from .routing import routes_of

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OVER_WEBSOCKET))
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds
_SHORT = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # seconds

_FRONT = (
    ("requests_processing", "llamaedge_requests_processing", "Requests that guests answer"),
    ("requests_deferred", "llamaedge_requests_deferred", "Requests that wait for a guest"),
    ("guests", "llamaedge_guests", "Guests that take requests"),
)
_RESTARTS = (
    ("guest_restarts", "llamaedge_guest_restarts", "Guests that ended and were replaced"),
    ("worker_restarts", "llamaedge_worker_restarts", "Workers that ended and were replaced"),
)
_COUNTERS = (
    ("prompt_tokens_evaluated", "llamaedge_prompt_tokens", "Prompt tokens read"),
    ("prompt_seconds", "llamaedge_prompt_seconds", "Seconds spent on reading prompts"),
    ("generated_tokens", "llamaedge_tokens_predicted", "Tokens generated"),
    ("decode_seconds", "llamaedge_tokens_predicted_seconds", "Seconds spent on generating"),
    ("prompt_tokens_reused", "llamaedge_prompt_tokens_reused", "Prompt tokens read before"),
    ("draft_tokens", "llamaedge_draft_tokens", "Tokens that were drafted"),
    ("draft_tokens_accepted", "llamaedge_draft_tokens_accepted", "Of these, those that were made"),
    ("draft_model_tokens", "llamaedge_draft_model_tokens", "Of drafted tokens, the draft model's"),
    (
        "draft_model_tokens_accepted",
        "llamaedge_draft_model_tokens_accepted",
        "Of these, those that were made",
    ),
    ("draft_model_steps", "llamaedge_draft_model_steps", "Steps of the draft model"),
    ("sequences_ended", "llamaedge_sequences_ended", "Sequences that ended"),
    (
        "cancellations",
        "llamaedge_cancellations",
        "Sequences that their guest gave up: a stop text came, or the client left",
    ),
    ("preemptions", "llamaedge_preemptions", "Sequences that left their slot to another"),
    ("evictions", "llamaedge_evictions", "Prefixes given up for others"),
    ("moves", "llamaedge_moves", "Sequences moved between slots"),
    ("swapped_out", "llamaedge_swapped_out", "States copied out of the KV cache"),
    ("swapped_in", "llamaedge_swapped_in", "States copied back into the KV cache"),
    ("restored", "llamaedge_restored", "States read from files of --cache-dir"),
    ("failed_steps", "llamaedge_failed_steps", "Steps in which llama.cpp failed"),
)
_GAUGES = (
    ("sequences_running", "llamaedge_sequences_running", "Sequences with a slot"),
    ("sequences_waiting", "llamaedge_sequences_waiting", "Sequences that wait for a slot"),
    ("swap_bytes", "llamaedge_swap_bytes", "Bytes of the states that are swapped out"),
)
_HISTOGRAMS = (
    ("batch_tokens", "llamaedge_batch_tokens", "Tokens of a step"),
    ("step_seconds", "llamaedge_step_seconds", "Seconds of a step"),
)
_REPLICA = "replica"
Rows = dict[tuple[str, ...], Mapping[str, Any]]
"""Numbers by their names, of models or of their engines: labels' values first."""

disable_created_metrics()  # type: ignore[no-untyped-call]

DESCRIBED: Described = {
    ("/metrics", "GET"): operation(
        "Numbers for Prometheus",
        tag="server",
        answers={CONTENT_TYPE_LATEST: STRING},
        errors=(501,),
    ),
}


class Metrics:
    """Counts requests, and asks ``watched`` for the rest when it is asked itself.

    With a ``replica``, which this server is then called by, all numbers say whose they are. Nobody
    learns them unless they are ``told``.
    """

    def __init__(self, watched: Watched, *, replica: str | None = None, told: bool = True) -> None:
        self._watched = watched
        self._told = told
        self._own = {} if replica is None else {_REPLICA: replica}
        self._began = int(time.time())
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "llamaedge_requests",
            "Requests by route, method and status",
            ("route", "method", "status", *self._own),
            registry=self._registry,
        )
        self._seconds = self._histogram("request_seconds", "Seconds of a request", _LONG)
        self._first = self._histogram(
            "first_token_seconds", "Seconds to the first token of a stream", _LONG
        )
        self._gaps = self._histogram(
            "token_gap_seconds", "Seconds between two tokens of a stream", _SHORT
        )

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(
            f"llamaedge_{name}",
            meaning,
            ("route", *self._own),
            buckets=buckets,
            registry=self._registry,
        )

    def observe(self, record: Record) -> None:
        """Count a request that has ended."""
        method = record.method if record.method in _METHODS else "other"
        status = "none" if record.status is None else str(record.status)
        route = (record.route, *self._own.values())
        self._requests.labels(record.route, method, status, *self._own.values()).inc()
        self._seconds.labels(*route).observe(record.seconds)
        if record.first is not None:
            self._first.labels(*route).observe(record.first)
        for gap in record.gaps:
            self._gaps.labels(*route).observe(gap)

    async def answer(self, request: Request) -> Response:
        """GET /metrics."""
        if not self._told:
            raise unsupported("this server was started with --no-metrics")
        inside, figures = CollectorRegistry(), await self._watched.figures()
        inside.register(_Inside(figures, replicas=bool(self._own)))
        body = generate_latest(self._registry) + generate_latest(inside)
        body += llama_metrics.written(figures.values())
        headers = {"Process-Start-Time-Unix": str(self._began)}
        return Response(body, headers=headers, media_type=CONTENT_TYPE_LATEST)


def routes(metrics: Metrics) -> list[Route]:
    """Tell the numbers."""
    return routes_of({"/metrics": {"GET": request_response(metrics.answer)}}, DESCRIBED)


class _Inside(Collector):
    """Figures as metrics, labelled by their source, those of engines by their names too."""

    def __init__(self, figures: Mapping[Source, Figures], *, replicas: bool) -> None:
        self._labels = ("model", _REPLICA) if replicas else ("model",)
        self._figures: Rows = {
            source[: len(self._labels)]: vars(found) for source, found in figures.items()
        }
        self._engines: Rows = {
            (*source[: len(self._labels)], engine): numbers
            for source, found in figures.items()
            for engine, numbers in found.engines.items()
        }

    def collect(self) -> Iterator[Metric]:
        """Each metric once."""
        for field, name, meaning in _FRONT:
            yield _filled(
                GaugeMetricFamily(name, meaning, labels=self._labels), self._figures, field
            )
        for field, name, meaning in _RESTARTS:
            yield _filled(
                CounterMetricFamily(name, meaning, labels=self._labels), self._figures, field
            )
        for field, name, meaning in _COUNTERS:
            counter = CounterMetricFamily(name, meaning, labels=(*self._labels, "engine"))
            yield _filled(counter, self._engines, field)
        for field, name, meaning in _GAUGES:
            gauge = GaugeMetricFamily(name, meaning, labels=(*self._labels, "engine"))
            yield _filled(gauge, self._engines, field)
        yield from self._steps()

    def _steps(self) -> Iterator[Metric]:
        for field, name, meaning in _HISTOGRAMS:
            histogram = HistogramMetricFamily(name, meaning, labels=(*self._labels, "engine"))
            for labels, numbers in self._engines.items():
                counted = numbers[field]
                bounds = [*map(str, map(float, counted["bounds"])), "+Inf"]
                buckets = list(zip(bounds, accumulate(counted["counts"]), strict=True))
                histogram.add_metric(labels, buckets, counted["sum"])
            yield histogram


def _filled(
    metric: CounterMetricFamily | GaugeMetricFamily,
    rows: Rows,
    field: str,
) -> Metric:
    for labels, numbers in rows.items():
        metric.add_metric(labels, numbers[field])
    return metric
