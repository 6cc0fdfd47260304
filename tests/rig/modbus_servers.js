/* Modbus TCP servers of npm: node modbus_servers.js NAME PORT; the registers of modbus_servers.py.
 *
 * NAME: modbus-serial, or jsmodbus, which answers a read beyond its registers with an empty reply.
 */
"use strict";
const [name, port] = [process.argv[2], Number(process.argv[3])];
const HOST = "127.0.0.1";
const holding = Array.from({ length: 200 }, (_, i) => 1000 + i);
const input = Array.from({ length: 200 }, (_, i) => 20000 + i);
const bits = Array.from({ length: 64 }, (_, i) => i % 3 === 0);

function ready() {
    process.stdout.write("ready\n");
}

function modbusSerial() {
    const { ServerTCP } = require("modbus-serial");
    const unknown = { modbusErrorCode: 2 };
    const at = (list) => (address) => {
        if (address >= list.length) {
            throw unknown;
        }
        return list[address];
    };
    const server = new ServerTCP(
        {
            getHoldingRegister: at(holding),
            getInputRegister: at(input),
            getCoil: at(bits),
            getDiscreteInput: at(bits),
            setRegister: (address, value) => { holding[address] = value; },
            setCoil: (address, value) => { bits[address] = value; },
        },
        { host: HOST, port, unitID: 1 },
    );
    server.on("initialized", ready);
}

function jsModbus() {
    const { server } = require("jsmodbus");
    const words = (list) => {
        const buffer = Buffer.alloc(2 * list.length);
        list.forEach((value, i) => buffer.writeUInt16BE(value, 2 * i));
        return buffer;
    };
    const packed = Buffer.alloc(8);
    bits.forEach((bit, i) => { packed[i >> 3] |= (bit ? 1 : 0) << (i & 7); });
    const net = require("net").createServer();
    new server.TCP(net, {
        coils: Buffer.from(packed), discrete: packed, holding: words(holding), input: words(input),
    });
    net.listen(port, HOST, ready);
}

({ "modbus-serial": modbusSerial, jsmodbus: jsModbus })[name]();
