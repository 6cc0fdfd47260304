"""What a device family, a device and a channel are, once read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egret_core.screening.range import ANY, Span
from egret_gateway.profiles.sdi12 import Measured, Sdi12
from egret_gateway.profiles.talk import Field, Group, Nmea, Text
from egret_gateway.protocols.modbus_pdu import COUNT_MAX
from egret_gateway.protocols.registers import WORDS

if TYPE_CHECKING:
    from egret_gateway.convert.formula import Calibration
    from egret_gateway.protocols.geodesy import Position

TIERS = ("drafted", "simulated", "bench", "field")


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter: `bits` wide, and `max_step` the most counts believable between two reads."""

    bits: int
    max_step: int


@dataclass(frozen=True, slots=True)
class Register:
    """Where a Modbus value lies.

    Attributes:
        fc: function code of the read; address: 0-based, on the wire.
        kind, order: as in `protocols.registers`.
        bits: lowest and highest bit of the register that make the value, None for all of it.
    """

    fc: int
    address: int
    kind: str
    order: str = "ABCD"
    bits: tuple[int, int] | None = None

    @property
    def words(self) -> int:
        """Registers it takes."""
        return WORDS[self.kind]

    @property
    def last(self) -> int:
        """Its last register."""
        return self.address + self.words - 1


@dataclass(frozen=True, slots=True)
class When:
    """Whether another item of the device holds one of some numbers."""

    item: str
    equals: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class UnitFrom:
    """Another item says in which unit a number is.

    Attributes:
        item: its name; units: pairs of its number and the unit; another number makes no value.
    """

    item: str
    units: tuple[tuple[float, str], ...]

    def unit(self, number: float) -> str | None:
        """Return the unit that a number tells."""
        return dict(self.units).get(number)


Place = Register | Measured | Field | Group


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a device.

    Attributes:
        name: its key; at: where it is found in what the device answers.
        quantity: what it measures; unit: what the device counts in.
        scale, offset: number in `unit` = raw * scale + offset.
        sensor: what the sensor can measure, canonical unit; sentinels: raw "no value" numbers.
        counter: for values that only count up.
        scale_from: another item whose number n makes this one x 10^-n, "" for none.
        unit_from: another item that tells the unit of this one's number.
        sign_from: the number is minus where this holds; ready: there is none where it does not.
        read_clears: reading it sets it back: what it shows was counted since the last read.
    """

    name: str
    at: Place
    quantity: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    sensor: Span = ANY
    sentinels: tuple[float, ...] = ()
    counter: Counter | None = None
    scale_from: str = ""
    unit_from: UnitFrom | None = None
    sign_from: When | None = None
    ready: When | None = None
    read_clears: bool = False

    @property
    def register(self) -> Register:
        """Where it lies on a Modbus device; TypeError elsewhere (see `Profile.modbus`)."""
        if not isinstance(self.at, Register):
            raise TypeError(f"{self.name} has no register")
        return self.at

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the items without which its number means nothing."""
        others = (self.unit_from, self.sign_from, self.ready)
        named = (self.scale_from, *(other.item for other in others if other is not None))
        return tuple(dict.fromkeys(name for name in named if name))


@dataclass(frozen=True, slots=True)
class Hole:
    """Registers first to last that no read may touch: refused, or never answered."""

    fc: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Readable:
    """Registers first to last that may be read without harm, in blocks of a multiple of step."""

    fc: int
    first: int
    last: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Modbus:
    """How a Modbus family may be asked.

    Attributes:
        max_block: registers in one read; single_read: every item needs a read of its own.
        min_gap_ms, timeout_min_ms, timeout_max_ms, late_window_ms: its patience on the line.
        readable: what may be read beside the items, e.g. to bridge a hole.
        holes: what may not, within `readable` too.
    """

    max_block: int = COUNT_MAX
    single_read: bool = False
    min_gap_ms: float = 0.0
    timeout_min_ms: float = 50.0
    timeout_max_ms: float = 1000.0
    late_window_ms: float = 0.0
    readable: tuple[Readable, ...] = ()
    holes: tuple[Hole, ...] = ()


Way = Modbus | Sdi12 | Nmea | Text


@dataclass(frozen=True, slots=True)
class Profile:
    """A device family.

    Attributes:
        name, version: identity, e.g. ``vega-vegapuls-c`` 1; title: for people.
        tier: how far it is proven (`TIERS`); items: by name.
        way: its protocol, and how it may be asked.
        unit, baud, parity, stop_bits: factory settings; address: on an SDI-12 line.
        file: where it was read from.
    """

    name: str
    version: int
    title: str
    tier: str
    items: tuple[Item, ...]
    way: Way = Modbus()
    unit: int = 1
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    file: str = ""
    address: str = "0"

    @property
    def ref(self) -> str:
        """Name and version as meta carries them: ``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def modbus(self) -> Modbus:
        """Its way where it speaks Modbus; TypeError elsewhere, which a checked file rules out."""
        if not isinstance(self.way, Modbus):
            raise TypeError(f"{self.name} speaks no Modbus")
        return self.way


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One wanted item of a device; key `[bus.device.channels.ITEM]`.

    Attributes:
        station, channel: whose it is; item: what is read.
        datum: vertical datum of a level; datum_offset_m: staff-gauge zero, added to the value.
        watch_at: canonical value at which it travels at once, None for never.
        operator: canonical bounds beyond which the value is suspect.
        calibration: the formula of its sheet, None where the item's number is the value.
    """

    station: str
    channel: str
    item: Item
    datum: str = ""
    datum_offset_m: float = 0.0
    watch_at: float | None = None
    operator: Span = ANY
    calibration: Calibration | None = None

    @property
    def key(self) -> str:
        """``station/channel``."""
        return f"{self.station}/{self.channel}"

    @property
    def register(self) -> Register:
        """Where its item lies on a Modbus device; TypeError elsewhere."""
        return self.item.register

    @property
    def quantity(self) -> str:
        """What the channel measures: what its calibration gives, else what its item is."""
        return self.item.quantity if self.calibration is None else self.calibration.quantity


@dataclass(frozen=True, slots=True)
class Supply:
    """A relay that feeds devices; key `supply`.

    Attributes:
        unit: the relay module's address on the same bus; coil: 0-based, on the wire.
    """

    unit: int
    coil: int


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One device on a bus; key `[[bus.device]]`.

    Attributes:
        unit: its Modbus address; profile: its family; station: the place it measures.
        period_s: how often it is read, scaled seconds; channels: the items wanted.
        address: on an SDI-12 line, 0-9 A-Z a-z; on a line of text its NMEA talker, or what its
            lines and commands call it; "" elsewhere.
        base: where a GNSS receiver stood when its displacement was nothing.
        watch_s, event_s: how often while its station is watched, None for no faster.
        supply: the relay that feeds it while it is read, None where it is always fed.
        warmup_s: real seconds from then until it may be asked.
    """

    unit: int
    profile: Profile
    station: str
    period_s: float
    channels: tuple[ChannelSettings, ...]
    address: str = ""
    base: Position | None = None
    watch_s: float | None = None
    event_s: float | None = None
    supply: Supply | None = None
    warmup_s: float = 0.0

    @property
    def name(self) -> str:
        """What people call it on its line: its address, else its family."""
        if isinstance(self.profile.way, Modbus):
            return str(self.unit)
        return self.address or self.profile.name

    @property
    def paced(self) -> bool:
        """Whether it is ever read faster."""
        return self.watch_s is not None or self.event_s is not None
