"""Which law a family of joint packs names; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egret_core.rules import area, chain, fusion, logic, vote
from egret_core.rules.joint import Input
from egret_core.rules.model import Family, JointLaw
from egret_core.rules.rungs import At

Binder = Callable[[At, Mapping[str, Any], Sequence[Input]], JointLaw]

JOINTS: Mapping[Family, Binder] = {
    Family.VOTE: vote.law,
    Family.FUSION: fusion.law,
    Family.LOGIC: logic.law,
    Family.CHAIN: chain.law,
    Family.AREA: area.law,
}
