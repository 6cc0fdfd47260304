"""Queries, actions and the live stream."""
