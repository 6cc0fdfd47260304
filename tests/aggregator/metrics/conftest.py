from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.api_centre import ApiCentre, api_centre

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[ApiCentre]:
    async with api_centre(tmp_path) as running:
        yield running
