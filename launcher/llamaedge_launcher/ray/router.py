"""Which replica gets a request: Ray Serve's request-router interface."""

from collections import OrderedDict
from typing import Any

from ray.serve.request_router import (
    MultiplexMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from ..affinity import Placement
from ..affinity.placement import CAPACITY, SLACK
from .messages import Ask, Question

_FIRST = 3  # replicas that are asked one after another before all others
_MOST_SENT = 10_000  # requests of which it is known where they went
_MOST_EARLY = 1_000  # requests that ended before they were known


class PrefixRouter(MultiplexMixin, RequestRouter):
    """Sends a request to a replica that has read its beginning, within bounds of the load.

    One that is sent again goes to a replica that it was not at, if there is one. ``slack`` and
    ``capacity`` are Placement's.
    """

    def initialize_state(self, slack: float = SLACK, capacity: int = CAPACITY) -> None:
        """Serve's call, with ``request_router_kwargs``."""
        self._placement = Placement(slack=slack, capacity=capacity)
        self._sent: OrderedDict[str, set[ReplicaID]] = OrderedDict()
        self._running = Running()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Serve's call: the best one first."""
        ask = _ask(pending_request)
        if pending_request is not None and pending_request.metadata.multiplexed_model_id:
            having = self.apply_multiplex_routing(pending_request)
            candidate_replicas = [each for each in candidate_replicas if each.replica_id in having]
        elif pending_request is not None:
            pending_request.routing_context.should_backoff = True
        been = self._sent.get(ask.id, set()) if ask else set()
        fresh = [each for each in candidate_replicas if each.replica_id not in been]
        by_name = {each.replica_id.unique_id: each for each in fresh or candidate_replicas}
        loads = {name: self._load(each) for name, each in by_name.items()}
        order = [
            by_name[name] for name in self._placement.order(ask.prefix if ask else None, loads)
        ]
        return [[each] for each in order[:_FIRST]] + [order[_FIRST:]]

    def _load(self, replica: RunningReplica) -> int:
        """Requests under way in ``replica``: as it told lately, or else those from here."""
        told = self.replica_queue_len_cache.get(replica.replica_id)
        return self._running.count(replica.replica_id) if told is None else told

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any
    ) -> None:
        """Serve's call: ``replica_id`` has taken the request."""
        self._running.begin(pending_request.metadata.internal_request_id, replica_id)
        ask = _ask(pending_request)
        if ask is None:
            return
        self._sent.setdefault(ask.id, set()).add(replica_id)
        while len(self._sent) > _MOST_SENT:
            self._sent.popitem(last=False)
        if ask.prefix is not None:
            self._placement.sent(ask.prefix, replica_id.unique_id)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Serve's call: a request has ended, however."""
        self._running.end(internal_request_id)

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """Serve's call: ``replica_id`` is gone."""
        super().on_replica_actor_died(replica_id)
        self._forget()

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Serve's call: these are all there are."""
        super().update_replicas(replicas)
        self._forget()

    def _forget(self) -> None:
        """What is known of replicas that are gone."""
        there = set(self.curr_replicas)
        self._running.keep(there)
        for gone in self._placement.places - {each.unique_id for each in there}:
            self._placement.forget(gone)


class Running:
    """Requests under way, by the replicas that have them.

    Serve may tell the end of a request before its beginning, and of one that was turned away the
    end alone.
    """

    def __init__(self) -> None:
        self._at: dict[str, ReplicaID] = {}
        self._counts: dict[ReplicaID, int] = {}
        self._early: OrderedDict[str, None] = OrderedDict()

    def count(self, replica: ReplicaID) -> int:
        """Those that ``replica`` has."""
        return self._counts.get(replica, 0)

    def begin(self, request: str, replica: ReplicaID) -> None:
        """``replica`` has taken ``request``."""
        if request in self._early:
            del self._early[request]
            return
        self._at[request] = replica
        self._counts[replica] = self._counts.get(replica, 0) + 1

    def end(self, request: str) -> None:
        """``request`` has ended."""
        replica = self._at.pop(request, None)
        if replica in self._counts:
            self._counts[replica] -= 1
        elif replica is None:
            self._early[request] = None
            while len(self._early) > _MOST_EARLY:
                self._early.popitem(last=False)

    def keep(self, replicas: set[ReplicaID]) -> None:
        """There are no others than ``replicas``."""
        self._counts = {each: count for each, count in self._counts.items() if each in replicas}
        self._at = {request: each for request, each in self._at.items() if each in replicas}


def _ask(request: PendingRequest | None) -> Ask | Question | None:
    found = request.args[0] if request is not None and request.args else None
    return found if isinstance(found, Ask | Question) else None
