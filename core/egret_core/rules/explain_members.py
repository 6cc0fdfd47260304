"""What the members of an event's evidence are called in Chinese; in English each goes by its key.

Whoever adds a member to an index's or a joint rule's evidence adds its name here. A member of
another version, which has none, goes by its key in both languages.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from egret_core.rules.chain import STAGES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Mapping[str, str] = MappingProxyType(
    {
        # rain and wet ground
        "antecedent_h": "前期时段",
        "antecedent_mm": "前期雨量",
        "at_least": "实际不低于此值（时段未全观测）",
        "at_most": "实际不超过此值",
        "begun_ms": "时段起点",
        "capacity_m": "田间持水量",
        "counting": "计时方式",
        "curve": "阈值曲线",
        "curve_mm_h": "临界雨强",
        "duration_h": "历时",
        "forecast_until_ms": "预报至",
        "half_life_h": "半衰期",
        "intensity_mm_h": "平均雨强",
        "period_h": "时段长",
        "recent_h": "近期时段",
        "recent_mm": "近期雨量",
        "source": "出处",
        "sum_mm": "累计雨量",
        "tank1_mm": "第一层水箱",
        "tank2_mm": "第二层水箱",
        "tank3_mm": "第三层水箱",
        "unplaced_mm": "未归入雨量",
        # water
        "band_high_m": "预报上限",
        "band_high_quantile": "上限分位数",
        "band_low_m": "预报下限",
        "band_low_quantile": "下限分位数",
        "basis": "依据",
        "forecast_for_ms": "预报时刻",
        "forecasts_scored": "已评预报数",
        "inflow_m3_s": "入流",
        "lead_s": "预见期",
        "level_m": "水位",
        "method": "方法",
        "minutes_to": "距各级别（分钟）",
        "model": "模型",
        "newest": "最新值",
        "outflow_m3_s": "出流",
        "over_s": "时段",
        "persistence_index": "持续性指数",
        "predicted_m": "天文潮位",
        "reach": "河段",
        "readings": "数据个数",
        "shift_m": "水位改正",
        "slope": "斜率",
        "slope_per_h": "斜率",
        "stage_m": "水位",
        "table_from_m": "水位流量关系曲线下限",
        "table_to_m": "水位流量关系曲线上限",
        "travel_h": "传播时间",
        "weight": "流量比重因素",
        # slopes
        "angle_deg": "改进切线角",
        "failure_alpha": "拟合指数",
        "failure_alpha_1_5_ms": "指数 1.5 时的失稳时刻",
        "failure_alpha_2_2_ms": "指数 2.2 时的失稳时刻",
        "failure_from_ms": "失稳时刻最早",
        "failure_ms": "预计失稳时刻",
        "failure_to_ms": "失稳时刻最晚",
        "inverse_velocity_lines": "收敛拟合数",
        "inverse_velocity_r2": "速度倒数拟合R²",
        "lines_of_evidence": "独立依据",
        "noise_mm_per_day": "噪声上限",
        "onset_ms": "加速起点",
        "v_eq_is": "等速变形速率来源",
        "v_eq_mm_per_day": "等速变形速率",
        "velocity_at_ms": "速率时刻",
        "velocity_mm_per_day": "速率",
        # rules over rules
        "confirmed_by": "证实方式",
        "holding": "达到数",
        "inputs_not_listed": "未列依据数",
        "lines": "独立依据数",
        "need": "需要",
        "of": "共",
        "sensors": "传感器数",
        "skew_s": "时差上限",
        "unconfirmed": "未经证实",
        **{f"stage{k}_since_ms": f"第{k}阶段始于" for k in range(1, STAGES_MAX + 1)},
        **{f"stage{k}_until_ms": f"第{k}阶段窗口止于" for k in range(1, STAGES_MAX + 1)},
        # what the centre adds
        "flapped": "反复起落",
        "gap_from_ms": "缺测始于",
        "gap_to_ms": "缺测止于",
        "reached": "曾达级别",
        "retrospective": "事后判定",
        "same_rise_until_ms": "同一过程至",
        "screening": "检验存疑",
        "stood_since_ms": "此前已持续自",
    }
)

# Words that stand as values, alone or in a list.
VALUES: Mapping[object, str] = MappingProxyType(
    {
        True: "",  # its name says it
        False: "否",
        "forecast": "预报",
        "trend": "趋势外推",
        "persistence": "持续性",
        "clock": "时钟",
        "readings": "数据个数",
        "learnt": "自学习",
        "given": "给定",
        "floor": "取下限值（本底噪声）",
        "angle": "切线角",
        "inverse_velocity": "速度倒数",
        "lines": "不同判据",
        "sensors": "不同传感器",
        "either": "判据或传感器",
        "range": "量程",
        "seasonal": "季节",
        "spike": "突跳",
        "rate": "变化率",
        "flat_line": "数值恒定",
        "neighbour": "邻站",
        "counter_reset": "计数复位",
    }
)
