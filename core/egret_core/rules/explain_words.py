"""The words of `egret_core.rules.explain`: why an event is, by cause, in English and in Chinese.

A cause may name: what (an index), value, relation, threshold, datum, window, also, since, held,
dry, last, silent, limit, reason; each stands with its unit. A cause without words of its own is
told by `GENERIC`. Whoever adds a cause to `egret_core.rules.model.Cause` adds its words here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Both = tuple[str, str]  # English, Chinese

FRAME: Both = (
    "{subject} at {time}: {why}; rule {rule} {act}",
    "{subject} {time}：{why}；规则 {rule} {act}",
)
COMPARED: Both = (
    "{what}{value} {relation} {threshold}{datum}",
    "{what}{value} {relation} {threshold}{datum}",
)
GENERIC: Both = ("{reason}", "{reason}")
GENERIC_COMPARED: Both = (f"{COMPARED[0]} ({{reason}})", f"{COMPARED[1]}（{{reason}}）")

WHY: Mapping[str, Both] = MappingProxyType(
    {
        "at_or_above": COMPARED,
        "held_at_or_above": (
            f"{COMPARED[0]} since {{since}}, for {{held}}",
            f"{COMPARED[1]}，自 {{since}} 起持续 {{held}}",
        ),
        "below_clear": COMPARED,
        "sum_over_window": (
            "{value} of rain in {window} {relation} {threshold}{also}",
            "{window} 雨量 {value} {relation} {threshold}{also}",
        ),
        "sum_below_and_dry": (
            "{value} of rain in {window} {relation} {threshold}{also}, and dry for {dry}",
            "{window} 雨量 {value} {relation} {threshold}{also}，已 {dry} 无雨",
        ),
        "no_good_reading": (
            "no good reading for {limit}, the last one at {last}",
            "{limit} 内无有效数据，最后一次为 {last}",
        ),
        "never_seen": (
            "no good reading for {limit}, and none since the rule took effect",
            "{limit} 内无有效数据，自规则生效以来从未收到",
        ),
        "good_reading_again": (
            "a good reading again after {silent} of silence (limit {limit})",
            "中断 {silent} 后恢复有效数据（限值 {limit}）",
        ),
        "inputs_hold": (
            "enough of its inputs hold the level",
            "足够的依据达到该级别",
        ),
        "inputs_eased": (
            "not enough of its inputs hold the level any more",
            "达到该级别的依据已不足",
        ),
        "not_confirmed": (
            "readings that came later do not confirm it",
            "后到数据未予证实",
        ),
        "rule_withdrawn": (
            "the rule or its channel is gone, nobody can settle it",
            "规则或其通道已撤销，无从确认",
        ),
        "no_ticks": (
            "it was not listening for {limit}, the last time at {last}",
            "停止接收已 {limit}，最后一次为 {last}",
        ),
        "ticks_again": (
            "it listens again after {silent} (limit {limit})",
            "停止 {silent} 后恢复接收（限值 {limit}）",
        ),
    }
)

# What the rule does with its level, by change; `refuted` is a phase.
ACTS: Mapping[str, Both] = MappingProxyType(
    {
        "raised": ("raises {level}", "触发{level}"),
        "upgraded": ("rises to {level}", "升至{level}"),
        "eased": ("proposes to lower to {level}", "建议降至{level}"),
        "returned": ("proposes an end", "建议解除"),
        "refuted": ("takes back its provisional {level}", "撤回暂定的{level}"),
    }
)

LEVELS_ZH: Mapping[str, str] = MappingProxyType(
    {
        "blue": "蓝色",
        "yellow": "黄色",
        "orange": "橙色",
        "red": "红色",
        "fault": "故障",
        "prepare": "准备转移",
        "move now": "立即转移",
    }
)

# Why a level ends with its rule: nothing was measured, and the sentence must not sound as if.
WITHDRAWN: Both = (
    (
        "the rule or its channel was withdrawn while {held_level} held, "
        "and no value was judged to be below it"
    ),
    "{held_level}尚在持续时规则或其通道已撤销，并未判定数值已回落",
)
SUCCEEDED: Both = (
    (
        "the rule was changed while {held_level} held, which {successor} does not hold, "
        "and no value was judged to be below it"
    ),
    "{held_level}尚在持续时规则已更改，{successor} 不认定该级别，并未判定数值已回落",
)
GIVES_UP: Mapping[str, Both] = MappingProxyType(
    {
        "eased": (
            "gives way to {level}; this is no all-clear, a person lowers",
            "让位于{level}；这不是解除，须由人员降级",
        ),
        "returned": (
            "holds nothing any more; this is no all-clear, a person closes",
            "不再认定任何级别；这不是解除，须由人员关闭",
        ),
    }
)

# What an index is called; one that is not here goes by its own word.
INDICES: Mapping[str, Both] = MappingProxyType(
    {
        "soil_water": ("soil water index", "土壤雨量指数"),
        "intensity_duration": ("intensity over its threshold", "雨强与阈值之比"),
        "antecedent_rain": ("antecedent rain", "前期雨量"),
        "recent_antecedent": ("recent over antecedent rain", "近期雨量与前期雨量"),
        "wetness": ("wetness index", "前期湿度指数"),
        "day_sum": ("rain of the day", "日雨量"),
        "rate_of_rise": ("rate of rise", "水位涨率"),
        "surge_residual": ("level over the tide", "增水"),
        "nowcast": ("forecast level", "预报水位"),
        "routed_flow": ("routed flow", "演算流量"),
        "discharge": ("discharge", "流量"),
        # What is judged is on the safe side of the estimate that the evidence tells beside it.
        "velocity": ("velocity beyond noise", "超出噪声的位移速率"),
        "tangent_angle": ("lowest improved tangent angle held", "持续的最低改进切线角"),
        "slope": ("stage of the slope", "边坡变形阶段"),
        "reach": ("level by its trend", "趋势外推水位"),
        "rain_forecast": ("rain forecast", "预报雨量"),
    }
)

ALSO: Both = (
    ", and {value} in {window} {relation} {threshold}",
    "，且 {window} 雨量 {value} {relation} {threshold}",
)
INPUT: Both = ("{subject} {level} by {rule} since {at}", "{subject} {level}（{rule}，自 {at}）")
MISSING: Both = ("{subject} is missing (last good: {at})", "{subject} 缺测（最后有效：{at}）")
NO_LEVEL: Both = ("none", "无")
CENTRE: Both = ("the centre", "中心")
PROVISIONAL: Both = (
    "; provisional: readings still on their way may change it",
    "；暂定：尚在途中的数据可能改变此结论",
)
IN_FORCE: Both = ("; it held before the rule took effect at {at}", "；规则 {at} 生效前已满足")
REBASED: Both = ("; the gauge began anew at {at}", "；雨量计于 {at} 重新起算")
MORE: Both = ("; {list}", "；{list}")
BETWEEN: Both = (", ", "、")
STOP: Both = (".", "。")
NO_TIME: Both = ("no time", "无")
