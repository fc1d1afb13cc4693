"""Streams out: how each family writes deltas as server-sent events."""
