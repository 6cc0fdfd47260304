"""The four dashboards: the city, a station, the gateways, the service."""

from __future__ import annotations

from grafana_frame import annotations, board, influx_variable, station_variable
from grafana_panels import Place, chart, chart_map, stat, table
from grafana_queries import Column, Json, lines, select, series

# QARTOD flags: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing.
GOOD = '"q" <= 2'
DOUBTFUL = '"q" >= 3'
HERE = '"station" = \'$station\' AND "channel" =~ /^$channel$/'
LEVEL = Column("level", "level")
RANK = Column("rank", "rank", "number")
WARNINGS = [
    LEVEL,
    Column("state", "state"),
    Column("station_name", "station"),
    Column("subject", "subject"),
    Column("hazard", "hazard"),
    Column("condition", "condition"),
    Column("phase", "phase"),
    Column("basis", "basis"),
    Column("retrospective", "of the past", "boolean"),
    Column("onset", "since", "timestamp"),
    Column("age_s", "age", "number", "s"),
    Column("acknowledged_by", "acknowledged by"),
]
LATEST = [
    Column("channel", "channel"),
    Column("quantity", "quantity"),
    Column("value", "value", "number"),
    Column("unit", "unit"),
    Column("datum", "datum"),
    Column("flag_name", "quality"),
    Column("time", "time", "timestamp"),
    Column("age_s", "age", "number", "s"),
]
STANDINGS = [
    Column("standing_ok", "judging", "number"),
    Column("standing_warming_up", "warming up", "number"),
    Column("standing_inputs_missing", "inputs missing", "number"),
    Column("standing_not_applicable", "not applicable", "number"),
    Column("standing_invalid", "invalid", "number"),
]
THRESHOLDS = [
    Column("channel", "channel"),
    LEVEL,
    Column("raise", "raised at", "number"),
    Column("clear", "clear below", "number"),
    Column("unit", "unit"),
    Column("datum", "datum"),
    Column("window_h", "window", "number", "h"),
    Column("rule", "rule"),
]


def boards() -> list[Json]:
    """Return every dashboard."""
    return [overview(), station(), gateways(), service()]


def overview() -> Json:
    """The city at a glance."""
    stations = [
        LEVEL,
        Column("name", "station"),
        Column("id", "id"),
        Column("warnings", "warnings", "number"),
        Column("channels_heard", "heard", "number"),
        Column("channels", "channels", "number"),
        Column("newest_age_s", "newest value", "number", "s"),
    ]
    panels = [
        *_headline(),
        table("Rules by standing", Place(0, 4, 24, 4), "service", STANDINGS),
        chart_map("Stations by level", Place(0, 8, 12, 14)),
        table("Warnings that stand", Place(12, 8, 12, 14), "warnings", WARNINGS),
        table("Stations", Place(0, 22, 12, 10), "stations", stations),
        chart(
            "Rain",
            Place(12, 22, 12, 10),
            [series("A", _rain('"station", "channel"'), "$tag_station $tag_channel")],
            "lengthmm",
            "bars",
        ),
    ]
    return board("egret-overview", "Egret: the city", panels, notes=annotations())


def _headline() -> list[Json]:
    """What stands, and whether that may be believed: beside every list of warnings."""
    return [
        stat("Highest level on record", Place(0, 0, 5, 4), "service", LEVEL),
        stat("Warnings", Place(5, 0, 3, 4), "service", Column("warnings", "warnings", "number")),
        stat(
            "Not acknowledged",
            Place(8, 0, 4, 4),
            "service",
            Column("unacknowledged", "not acknowledged", "number"),
        ),
        stat("Judgement", Place(12, 0, 4, 4), "service", Column("judgement", "judgement")),
        stat(
            "Judged",
            Place(16, 0, 4, 4),
            "service",
            Column("judgement_age_s", "age", "number", "s"),
        ),
        stat(
            "Readings come in", Place(20, 0, 4, 4), "service", Column("ready", "ready", "boolean")
        ),
    ]


def station() -> Json:
    """One station: its values with their doubt, the lines they are held against, its warnings."""
    here = {"station": "$station"}
    panels = [
        stat("Level", Place(0, 0, 4, 6), "stations", LEVEL, **here),
        stat(
            "Newest value",
            Place(4, 0, 4, 6),
            "stations",
            Column("newest_age_s", "age", "number", "s"),
            **here,
        ),
        table("Latest values", Place(8, 0, 16, 6), "latest", LATEST, **here),
        _quantities("Water", Place(0, 6, 24, 10), ("water_level", "water_depth"), "lengthm"),
        chart(
            "Rain",
            Place(0, 16, 12, 8),
            [series("A", _rain('"channel"', HERE), "$tag_channel")],
            "lengthmm",
            "bars",
        ),
        _quantities("Pressure", Place(12, 16, 12, 8), ("pore_pressure", "pressure"), "pressurekpa"),
        _quantities(
            "Movement",
            Place(0, 24, 12, 8),
            ("displacement", "settlement", "crack_width"),
            "lengthmm",
        ),
        _others(Place(12, 24, 12, 8)),
        _quality(Place(0, 32, 12, 8)),
        chart(
            "From reading to centre, the slowest",
            Place(12, 32, 12, 8),
            [
                series(
                    "A",
                    select('max("lag")', HERE, by='"channel"'),
                    "$tag_channel",
                )
            ],
            "ms",
        ),
        table("Thresholds", Place(0, 40, 12, 10), "thresholds", THRESHOLDS, **here),
        table("Warnings that stand", Place(12, 40, 12, 10), "warnings", WARNINGS, **here),
    ]
    channel = influx_variable(
        "channel",
        "Channel",
        'SHOW TAG VALUES FROM "reading" WITH KEY = "channel" WHERE "station" = \'$station\'',
    )
    return board(
        "egret-station",
        "Egret: a station",
        panels,
        notes=annotations(**here),
        variables=[station_variable(), channel],
    )


def _quantities(title: str, place: Place, quantities: tuple[str, ...], unit: str) -> Json:
    """Good values by their extremes, doubtful ones as points, and the thresholds as lines."""
    what = f'{HERE} AND "quantity" =~ /^({"|".join(quantities)})$/'
    threshold = [
        Column("time", "time", "timestamp"),
        Column("line", "line"),
        Column("value", "value", "number"),
    ]
    return chart(
        title,
        place,
        [
            series(
                "A",
                select('min("value"), mean("value"), max("value")', what, GOOD, by='"channel"'),
                "$tag_channel $col",
            ),
            series(
                "B",
                select('mean("value")', what, DOUBTFUL, by='"channel"'),
                "$tag_channel doubtful",
            ),
            lines(
                "L",
                "threshold-lines",
                threshold,
                from_="${__from}",
                to="${__to}",
                station="$station",
                channel="${channel:csv}",
                quantity=",".join(quantities),
            ),
        ],
        unit,
    )


def _others(place: Place) -> Json:
    shown = "water_level|water_depth|rain_total|pore_pressure|pressure|displacement|settlement"
    return chart(
        "Other quantities, each in its own unit",
        place,
        [
            series(
                "A",
                select(
                    'mean("value")',
                    HERE,
                    f'"quantity" !~ /^({shown}|crack_width)$/',
                    GOOD,
                    by='"channel", "quantity"',
                ),
                "$tag_channel $tag_quantity",
            )
        ],
    )


def _rain(by: str, *where: str) -> str:
    """Rain per interval: the total is persisted and never decreases, so its steps are the rain."""
    steps = 'non_negative_difference(last("value"))'
    return select(steps, *where, "\"quantity\" = 'rain_total'", GOOD, by=by)


def _quality(place: Place) -> Json:
    flags = (("good", 1), ("not evaluated", 2), ("suspect", 3), ("fail", 4), ("missing", 9))
    return chart(
        "Readings by quality",
        place,
        [
            series(
                chr(ord("A") + at),
                select('count("q")', HERE, f'"q" = {flag}'),
                name,
            )
            for at, (name, flag) in enumerate(flags)
        ],
        "short",
        "bars",
    )


def gateways() -> Json:
    """The fleet: who is heard, what waits in the outboxes, how late it arrives."""
    fleet = [
        Column("state", "state"),
        Column("id", "gateway"),
        Column("channels", "channels", "number"),
        Column("last_seen_age_s", "last heard", "number", "s"),
        Column("outbox_unsettled", "waiting", "number"),
        Column("outbox_oldest_s", "oldest waiting", "number", "s"),
        Column("outbox_bytes", "outbox", "number", "bytes"),
        Column("missing_batches", "missing at the centre", "number"),
        Column("clock_source", "clock"),
        Column("clock_offset_s", "clock offset", "number", "s"),
        Column("bus_faults", "bus faults"),
    ]
    figures = (
        ("Gateways", "egret_gateways"),
        ("Online", "egret_gateways_online"),
        ("Cloned", "egret_gateways_cloned"),
        ("Batches missing at the centre", "egret_gateways_missing_batches"),
    )
    panels = [
        *(
            stat(title, Place(6 * at, 0, 6, 4), "figures", _VALUE, name=name)
            for at, (title, name) in enumerate(figures)
        ),
        table("The fleet", Place(0, 4, 24, 14), "gateways", fleet),
        chart(
            "From reading to centre, the slowest by station",
            Place(0, 18, 12, 10),
            [
                series(
                    "A",
                    select('max("lag")', by='"station"'),
                    "$tag_station",
                )
            ],
            "ms",
        ),
        chart(
            "Readings by station",
            Place(12, 18, 12, 10),
            [
                series(
                    "A",
                    select('count("q")', by='"station"'),
                    "$tag_station",
                )
            ],
            "short",
            "bars",
        ),
    ]
    return board("egret-gateways", "Egret: the gateways", panels, notes=annotations())


_VALUE = Column("value", "value", "number")


def service() -> Json:
    """The centre itself: how far it judged and recorded, and what it refused."""
    figures = [Column("name", "figure"), _VALUE]
    journal = (
        ("Journal used", "egret_journal_used_bytes"),
        ("of at most", "egret_journal_max_bytes"),
    )
    used, most = (
        stat(title, Place(4 * at, 4, 4, 4), "figures", _VALUE._replace(unit="bytes"), name=name)
        for at, (title, name) in enumerate(journal)
    )
    panels = [
        *_headline(),
        used,
        most,
        stat("Recording", Place(8, 4, 4, 4), "service", Column("recording", "recording")),
        stat(
            "Recorded",
            Place(12, 4, 4, 4),
            "service",
            Column("recording_age_s", "age", "number", "s"),
        ),
        stat("Faults", Place(16, 4, 4, 4), "service", Column("faults", "faults")),
        stat(
            "Streams open",
            Place(20, 4, 4, 4),
            "service",
            Column("stream_clients", "streams", "number"),
        ),
        *_flow(),
        table("Rules by standing", Place(0, 18, 24, 4), "service", STANDINGS),
        table("Figures", Place(0, 22, 24, 14), "figures", figures),
    ]
    return board("egret-service", "Egret: the service", panels, notes=annotations())


def _flow() -> list[Json]:
    """How much comes in, how much of it is doubtful, and how late it is."""
    return [
        chart(
            "Readings stored",
            Place(0, 8, 12, 10),
            [
                series(
                    "A",
                    select('count("q")'),
                    "all",
                ),
                series(
                    "B",
                    select('count("q")', DOUBTFUL),
                    "not good",
                ),
                series(
                    "C",
                    select('count("q")', '"notes" > 0'),
                    "noted by the centre",
                ),
            ],
            "short",
        ),
        chart(
            "From reading to centre",
            Place(12, 8, 12, 10),
            [
                series(
                    "A",
                    select('mean("lag"), percentile("lag", 95), max("lag")'),
                    "$col",
                )
            ],
            "ms",
        ),
    ]
