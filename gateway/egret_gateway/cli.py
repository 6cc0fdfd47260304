"""Placeholder entry."""


def main() -> int:
    """Print nothing yet."""
    return 2
