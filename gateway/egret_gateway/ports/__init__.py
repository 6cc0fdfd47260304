"""Ports: bytes in and out of one line."""
