"""The URL of a PostgreSQL database as the settings give it: what is wrong with it. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit, urlunsplit

OPTIONS = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey")  # of libpq, taken after `?`
EXAMPLE = "postgresql://egret@db.example.org/egret?sslmode=verify-full"


def remedy(url: str) -> str:
    """Return what to write instead of a URL that cannot be used; "" for a good one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return f"write it like {EXAMPLE}"
    if parts.scheme != "postgresql":
        return f"write it like {EXAMPLE}, or leave it out for a file in [centre] data"
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.password is not None or "password" in options:
        return "put the password into a file and name it in password_file"
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        return f"unknown option {unknown[0]!r}; known here: {', '.join(OPTIONS)}"
    name = parts.path.removeprefix("/")
    if not name or "/" in name or not parts.username:
        return f"name a user and a database, as in {EXAMPLE}"
    if not (parts.hostname or options.get("host")):
        return "name a host, or a socket's folder as ?host=/run/postgresql"
    return ""


def shown(url: str) -> str:
    """Return a URL without the passwords that do not belong into it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a URL that cannot be read"
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    query = parts.query.partition("password=")
    return urlunsplit(
        parts._replace(
            netloc=f"{user}:...{at}{host}" if colon else parts.netloc,
            query=f"{query[0]}password=..." if query[1] else parts.query,
        )
    )
