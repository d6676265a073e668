"""What affinity is measured against: replicas by chance."""

import random
from typing import Any

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica


class RandomRouter(RequestRouter):
    def initialize_state(self, **kwargs: Any) -> None:
        self._chance = random.Random(1)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True
        order = self._chance.sample(candidate_replicas, len(candidate_replicas))
        return [[each] for each in order]
