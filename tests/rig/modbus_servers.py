"""Modbus servers that nobody here wrote, each as a process of its own.

usage: python modbus_servers.py NAME PLACE

NAME: pymodbus, modbus-tk, umodbus (PLACE: a TCP port of loopback), modbus-tk-rtu, umodbus-rtu
(PLACE: a tty). Unit 1: holding register i is 1000 + i and input register i is 20000 + i, 200 of
each; coil and discrete input i are on where 3 divides i, 64 of each. "ready" is printed at start.
"""

# ruff: noqa: PLC0415  (each server's library is imported by its own process only)
from __future__ import annotations

import asyncio
import sys
from typing import Any

HOST = "127.0.0.1"
UNIT = 1
HOLDING = [1000 + i for i in range(200)]
INPUT = [20000 + i for i in range(200)]
BITS = [int(i % 3 == 0) for i in range(64)]
BAUD = 115200


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def pymodbus(place: str) -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def bits() -> list[SimData]:
        return [SimData(0, values=[bool(b) for b in BITS], datatype=DataType.BITS)]

    device = SimDevice(
        UNIT,
        (
            bits(),
            bits(),
            [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)],
            [SimData(0, values=INPUT, datatype=DataType.REGISTERS)],
        ),
    )

    async def serve() -> None:
        server = ModbusTcpServer(device, address=(HOST, int(place)))
        await server.serve_forever(background=True)
        ready()
        await asyncio.Event().wait()

    asyncio.run(serve())


def filled(server: Any) -> Any:
    from modbus_tk import defines

    slave = server.add_slave(UNIT)
    for name, kind, values in (
        ("c", defines.COILS, BITS),
        ("d", defines.DISCRETE_INPUTS, BITS),
        ("h", defines.HOLDING_REGISTERS, HOLDING),
        ("i", defines.ANALOG_INPUTS, INPUT),
    ):
        slave.add_block(name, kind, 0, len(values))
        slave.set_values(name, 0, values)
    return server


def modbus_tk(place: str) -> None:
    from modbus_tk.modbus_tcp import TcpServer

    server = filled(TcpServer(int(place), HOST))
    server.start()
    ready()


def modbus_tk_rtu(place: str) -> None:
    import serial
    from modbus_tk.modbus_rtu import RtuServer

    server = filled(RtuServer(serial.Serial(place, BAUD)))
    server.start()
    ready()


def routed(app: Any) -> Any:
    from umodbus import conf

    conf.SIGNED_VALUES = False

    @app.route(slave_ids=[UNIT], function_codes=[3, 6, 16], addresses=list(range(len(HOLDING))))
    def holding(address: int, value: int | None = None, **_: int) -> int | None:
        if value is None:
            return HOLDING[address]
        HOLDING[address] = value
        return None

    @app.route(slave_ids=[UNIT], function_codes=[4], addresses=list(range(len(INPUT))))
    def inputs(address: int, **_: int) -> int:
        return INPUT[address]

    @app.route(slave_ids=[UNIT], function_codes=[1, 2, 5, 15], addresses=list(range(len(BITS))))
    def coils(address: int, value: int | None = None, **_: int) -> int | None:
        if value is None:
            return BITS[address]
        BITS[address] = int(bool(value))
        return None

    return app


def umodbus(place: str) -> None:
    from socketserver import ThreadingTCPServer

    from umodbus.server.tcp import RequestHandler, get_server

    app = routed(get_server(ThreadingTCPServer, (HOST, int(place)), RequestHandler))
    ready()
    app.serve_forever()


def umodbus_rtu(place: str) -> None:
    import serial
    from umodbus.server.serial import get_server
    from umodbus.server.serial.rtu import RTUServer

    app = routed(get_server(RTUServer, serial.Serial(place, BAUD, timeout=0.01)))
    ready()
    app.serve_forever()


SERVERS = {
    "pymodbus": pymodbus,
    "modbus-tk": modbus_tk,
    "modbus-tk-rtu": modbus_tk_rtu,
    "umodbus": umodbus,
    "umodbus-rtu": umodbus_rtu,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](sys.argv[2])
