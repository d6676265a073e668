"""The batching engine: sequences, their slots and cache, the schedule of a step."""
