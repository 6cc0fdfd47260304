"""Device profiles: register maps as data, checked wholly.

A profile is a TOML file named after its family. It is looked for in `/etc/egret/devices`, then
in the packaged copy, then in the repository's `firmware-config/devices`.

| key | meaning |
|---|---|
| `[profile] name, version, title, tier, tier_date, evidence, caveats, sources` | what it is |
| `[line] unit, baud, parity, stop_bits` | factory settings, for people |
| `[modbus] address_base, max_block, single_read, min_gap_ms, timeout_min_ms, timeout_max_ms, late_window_ms` | how it may be asked |
| `[[modbus.readable]] fc, first, last, step` | registers that may be read without harm |
| `[item.NAME] fc, address, type, order, quantity, unit, scale, offset, min, max, sentinels` | one value |
| `[item.NAME.counter] bits, max_step` | it counts up, wraps and may start again |
"""  # noqa: E501  (a table row cannot be broken)

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_core.screening.range import ANY, Span
from egret_core.units import CANONICAL, UnitError, convert, factor
from egret_gateway.protocols.modbus_rtu import COUNT_MAX, FUNCTION_CODES, UNIT_MAX
from egret_gateway.protocols.registers import ORDERS, WORDS
from egret_gateway.table import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

TIERS = ("drafted", "simulated", "bench", "field")
ETC = Path("/etc/egret/devices")
REPOSITORY = Path(__file__).resolve().parents[2] / "firmware-config" / "devices"
_REGISTER_MAX = 0xFFFF
_HUGE = 1e300  # no bound of ours: the value's own type is


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter: `bits` wide, and `max_step` the most counts believable between two reads."""

    bits: int
    max_step: int


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a device.

    Attributes:
        name: its key; fc, address (0-based, on the wire), kind and order: where and how it lies.
        quantity: what it measures; unit: what the device counts in.
        scale, offset: number in `unit` = raw * scale + offset.
        sensor: what the sensor can measure, canonical unit; sentinels: raw "no value" numbers.
        counter: for values that only count up.
    """

    name: str
    fc: int
    address: int
    kind: str
    order: str
    quantity: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    sensor: Span = ANY
    sentinels: tuple[float, ...] = ()
    counter: Counter | None = None

    @property
    def words(self) -> int:
        """Registers it takes."""
        return WORDS[self.kind]

    @property
    def last(self) -> int:
        """Its last register."""
        return self.address + self.words - 1


@dataclass(frozen=True, slots=True)
class Readable:
    """Registers first to last that may be read without harm, in blocks of a multiple of step."""

    fc: int
    first: int
    last: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A device family.

    Attributes:
        name, version: identity, e.g. ``vega-vegapuls-c`` 1; title: for people.
        tier: how far it is proven (`TIERS`); items: by name.
        unit, baud, parity, stop_bits: factory settings.
        max_block: registers in one read; single_read: every item needs a read of its own.
        min_gap_ms, timeout_min_ms, timeout_max_ms, late_window_ms: its patience on the line.
        readable: what may be read beside the items, e.g. to bridge a hole.
        file: where it was read from.
    """

    name: str
    version: int
    title: str
    tier: str
    items: tuple[Item, ...]
    unit: int = 1
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    max_block: int = COUNT_MAX
    single_read: bool = False
    min_gap_ms: float = 0.0
    timeout_min_ms: float = 50.0
    timeout_max_ms: float = 1000.0
    late_window_ms: float = 0.0
    readable: tuple[Readable, ...] = ()
    file: str = ""

    @property
    def ref(self) -> str:
        """Name and version as meta carries them: ``name@version``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One wanted item of a device; key `[bus.device.channels.ITEM]`.

    Attributes:
        station, channel: whose it is; item: what is read.
        datum: vertical datum of a level; datum_offset_m: staff-gauge zero, added to the value.
        watch_at: canonical value at which it travels at once, None for never.
        operator: canonical bounds beyond which the value is suspect.
    """

    station: str
    channel: str
    item: Item
    datum: str = ""
    datum_offset_m: float = 0.0
    watch_at: float | None = None
    operator: Span = ANY

    @property
    def key(self) -> str:
        """``station/channel``."""
        return f"{self.station}/{self.channel}"


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device on a bus; key `[[bus.device]]`.

    Attributes:
        unit: its Modbus address; profile: its family; station: the place it measures.
        period_s: how often it is read, scaled seconds; channels: the items wanted.
    """

    unit: int
    profile: Profile
    station: str
    period_s: float
    channels: tuple[ChannelSettings, ...]


def folders() -> tuple[Path, ...]:
    """Return the folders that exist, in the order in which they are looked through."""
    packaged = Path(str(files("egret_gateway"))) / "devices"
    return tuple(folder for folder in (ETC, packaged, REPOSITORY) if folder.is_dir())


def find(name: str, where: Sequence[Path] | None = None) -> Path | None:
    """Return the file of the profile `name`, None where no folder has it."""
    for folder in folders() if where is None else where:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    return None


def names(where: Sequence[Path] | None = None) -> list[str]:
    """Return the names of all profiles there are."""
    looked = folders() if where is None else where
    return sorted({path.stem for folder in looked for path in folder.glob("*.toml")})


def load(path: Path) -> Profile:
    """Read and check one profile; ConfigError names file, key, value seen and remedy."""
    table = read_table(path)
    about = _about(table.table("profile"), path.stem)
    modbus = table.table("modbus")
    modbus.integer("address_base", 0, 0, 0)  # says that addresses are those on the wire
    readable = tuple(_readable(entry) for entry in modbus.tables("readable"))
    items = tuple(_item(name, entry) for name, entry in table.table("item").named().items())
    if not items:
        table.fail("item", "write at least one [item.NAME]")
    _no_overlap(table, items)
    line = table.table("line")
    profile = Profile(
        name=about[0],
        version=about[1],
        title=about[2],
        tier=about[3],
        items=items,
        readable=readable,
        file=str(path),
        unit=line.integer("unit", 1, UNIT_MAX, 1),
        baud=line.integer("baud", 300, 1_000_000, 9600),
        parity=line.text("parity", "N", ("N", "E", "O")),
        stop_bits=line.integer("stop_bits", 1, 2, 1),
        max_block=modbus.integer("max_block", 1, COUNT_MAX, COUNT_MAX),
        single_read=modbus.flag("single_read", default=False),
        min_gap_ms=modbus.number("min_gap_ms", 0, 5000, 0),
        timeout_min_ms=modbus.number("timeout_min_ms", 1, 60_000, 50),
        timeout_max_ms=modbus.number("timeout_max_ms", 1, 60_000, 1000),
        late_window_ms=modbus.number("late_window_ms", 0, 600_000, 0),
    )
    if profile.timeout_min_ms > profile.timeout_max_ms:
        modbus.fail("timeout_min_ms", "write no more than timeout_max_ms")
    for part in (line, modbus, table):
        part.done()
    return profile


def _about(table: Table, stem: str) -> tuple[str, int, str, str]:
    name = table.text("name")
    if name != stem:
        table.fail("name", f"write the file's own name, {stem!r}")
    version = table.integer("version", 1, 10_000)
    title = table.text("title")
    tier = table.text("tier", one_of=TIERS)
    try:
        date.fromisoformat(table.text("tier_date"))
    except ValueError:
        table.fail("tier_date", 'write a date as "2026-11-22"')
    if not table.text("evidence", ""):
        table.fail("evidence", "say what the tier rests on")
    table.array("caveats", str)
    if not table.array("sources", str):
        table.fail("sources", "name at least one public page of the register map")
    table.done()
    return name, version, title, tier


def _readable(table: Table) -> Readable:
    fc = _fc(table)
    first = table.integer("first", 0, _REGISTER_MAX)
    last = table.integer("last", first, _REGISTER_MAX)
    step = table.integer("step", 1, COUNT_MAX, 1)
    table.done()
    return Readable(fc, first, last, step)


def _fc(table: Table) -> int:
    fc = table.integer("fc", 1, 127)
    if fc not in FUNCTION_CODES:
        table.fail("fc", "write 3 (holding registers) or 4 (input registers)")
    return fc


def _item(name: str, table: Table) -> Item:
    kind = table.text("type", one_of=tuple(WORDS))
    order = table.text("order", "ABCD", ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC"))
    quantity = table.text("quantity", one_of=tuple(CANONICAL))
    unit = table.text("unit")
    try:
        factor(quantity, unit)
    except UnitError as error:
        table.fail("unit", str(error))
    item = Item(
        name=name,
        fc=_fc(table),
        address=table.integer("address", 0, _REGISTER_MAX + 1 - WORDS[kind]),
        kind=kind,
        order=order,
        quantity=quantity,
        unit=unit,
        scale=table.number("scale", -1e9, 1e9, 1.0),
        offset=table.number("offset", -1e9, 1e9, 0.0),
        sensor=span(table, quantity, unit),
        sentinels=tuple(float(raw) for raw in table.array("sentinels", float)),
        counter=_counter(table, kind) if table.has("counter") else None,
    )
    if item.scale == 0:
        table.fail("scale", "write a number other than 0")
    if (quantity == "rain_total") != (item.counter is not None):
        table.fail("counter", "a rain_total, and only a rain_total, has [item.NAME.counter]")
    table.done()
    return item


def span(table: Table, quantity: str, unit: str) -> Span:
    """Return the bounds `min` and `max` of a table, given in `unit`, in the canonical unit."""
    low = table.number("min", -_HUGE, _HUGE, -_HUGE)
    high = table.number("max", -_HUGE, _HUGE, _HUGE)
    if low >= high:
        table.fail("min", "write min below max")
    return Span(
        ANY.low if low == -_HUGE else convert(quantity, low, unit),
        ANY.high if high == _HUGE else convert(quantity, high, unit),
    )


def _counter(table: Table, kind: str) -> Counter:
    own = table.table("counter")
    if kind not in ("u16", "u32"):
        table.fail("type", "a counter is u16 or u32")
    bits = own.integer("bits", 1, 16 * WORDS[kind], 16 * WORDS[kind])
    counter = Counter(bits, own.integer("max_step", 1, 2**bits // 2))
    own.done()
    return counter


def _no_overlap(table: Table, items: Sequence[Item]) -> None:
    ordered = sorted(items, key=lambda item: (item.fc, item.address))
    for one, two in pairwise(ordered):
        if one.fc == two.fc and two.address <= one.last:
            raise ConfigError(
                table.file,
                f"item.{two.name}.address",
                two.address,
                f"item {one.name!r} takes registers {one.address} to {one.last}: move one of them",
            )
