"""One make-believe valley: a storm, the hillside that answers it, and the river below.

Pure: a seed and seconds since the valley's beginning in, millimetres and metres out.
"""

from __future__ import annotations

from egret_demo.valley.weather import Valley

__all__ = ["Valley"]
