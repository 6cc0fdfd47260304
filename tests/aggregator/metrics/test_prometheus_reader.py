"""The reader of the rig refuses what breaks the format: else it would prove nothing."""

from __future__ import annotations

import pytest
from rig.prometheus import families, labels

GOOD = (
    "# HELP a_total What it counts\n# TYPE a_total counter\n"
    'a_total{x="1"} 2\na_total{x="\\"\\\\\\n"} 3\n'
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 4.5\nh_count 2\n'
)


def test_what_is_right_is_read() -> None:
    found = families(GOOD)
    assert found["a_total"].help == "What it counts"
    assert found["a_total"].samples == {'{x="1"}': 2.0, '{x="\\"\\\\\\n"}': 3.0}
    assert labels('{x="\\"\\\\\\n",y="2"}') == {"x": '"\\\n', "y": "2"}
    assert found["h"].samples["_sum"] == 4.5


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("h_count 2\n", "h_count 2"),  # no line break at the end
        ("h_count 2", "h_count 3"),
        ("h_count 2\n", ""),
        ('le="+Inf"', 'le="2"'),
        ('le="1"} 1', 'le="1"} 3'),  # not cumulated
        ('a_total{x="1"} 2', "a_total{x=1} 2"),
        ('a_total{x="1"} 2', 'a_total{x="1"} -2'),
        ('a_total{x="1"} 2', 'b_total{x="1"} 2'),
        ('a_total{x="1"} 2', 'a_total{x="\\"\\\\\\n"} 2'),  # twice
        ("# TYPE h histogram", "# TYPE a_total counter"),
        ("# TYPE h histogram", "# TYPE empty gauge\n# TYPE h histogram"),
        ("# TYPE h histogram", "# HELP a_total Again\n# TYPE h histogram"),
        ("# TYPE a_total counter", "# TYPE a_total summary"),
    ],
)
def test_what_is_wrong_is_refused(right: str, wrong: str) -> None:
    assert right in GOOD
    with pytest.raises((AssertionError, KeyError)):
        families(GOOD.replace(right, wrong, 1))
