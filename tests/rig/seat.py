"""A duty officer's seat: what the API says of warnings, and the acts on them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx2
from rig.line import until

if TYPE_CHECKING:
    from rig.line import Centre

PATIENCE_S = 30.0


class Seat:
    """One officer at one centre."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre

    async def warnings(self, rule: str, subject: str = "") -> list[dict[str, Any]]:
        """Return a rule's warnings, the newest first."""
        page = await self._centre.get("/warnings")
        return [
            one for one in page["items"] if one["rule"] == rule and subject in ("", one["subject"])
        ]

    async def warning(self, rule: str, subject: str = "", **facts: str) -> dict[str, Any]:
        """Wait for a rule's newest warning to be as `facts` say, and return it."""

        async def look() -> dict[str, Any] | None:
            found = await self.warnings(rule, subject)
            right = found and all(found[0][key] == value for key, value in facts.items())
            return found[0] if right else None

        found = await until(look, f"a warning of {rule!r} {subject} with {facts}")
        assert found is not None
        return found

    async def latest(self, station: str, channel: str) -> dict[str, Any]:
        """Return a channel's newest reading, {} before the first."""
        page = await self._centre.get("/latest", station=station)
        (item,) = [one for one in page["items"] if one["channel"] == channel]
        return item["reading"] or {}

    async def history(self, warning: str) -> list[dict[str, Any]]:
        """Return the ledger's lines of a warning."""
        lines: list[dict[str, Any]] = (await self._centre.get(f"/warnings/{warning}"))["history"]
        return lines

    async def act(self, warning: str, act: str, **body: Any) -> httpx2.Response:
        """Acknowledge, lower or close."""
        async with httpx2.AsyncClient() as client:
            return await client.post(
                f"{self._centre.url}/api/v1/warnings/{warning}/{act}",
                json=body,
                headers={"Authorization": f"Bearer {self._centre.token}"},
                timeout=PATIENCE_S,
            )


def ms(text: str) -> int:
    """Return an RFC 3339 time of the API in ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
