"""Protocols: bytes in, values out; nothing here awaits, opens, logs or reads a clock."""
