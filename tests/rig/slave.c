/* A Modbus slave on libmodbus: a foreign program that serves registers.
 *
 * usage: slave DEVICE UNIT BAUD LOG SAMPLES LATE_EVERY LATE_MS
 *
 * DEVICE "tcp:PORT": Modbus TCP on loopback, one connection after another; else RTU on a tty.
 * SAMPLES "-": holding register i is 1000 + i, input register i is 20000 + i, 200 of each; coil
 * and discrete input i are on where 3 divides i, 64 of each.
 * SAMPLES "@FILE": lines of function code, address and number; nothing else is served, and a
 * request that runs over anything else is refused (exception 2).
 * Else a file of whole numbers, one a line: holding and input register 0 serve the first; each
 * whole reply written steps to the next; the last one is held.
 * Every LATE_EVERY-th reply is written LATE_MS late (0: none).
 * LOG gets one line per reply: index, value, 1 if late. Wrong requests get exceptions and no line.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGISTERS 200
#define BITS 64
#define SAMPLES_MAX 1000000
#define ADDRESSES 65536
#define READS 4 /* function codes 1 to 4 */

static int samples[SAMPLES_MAX];
static unsigned char known[READS + 1][ADDRESSES]; /* of an image: what is served */

static int load(const char *path) {
    int count = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        return -1;
    }
    while (count < SAMPLES_MAX && fscanf(file, "%d", &samples[count]) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

static int load_image(const char *path, modbus_mapping_t *map) {
    int fc, address, number, count = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        return -1;
    }
    while (fscanf(file, "%d %d %d", &fc, &address, &number) == 3) {
        if (fc < 1 || fc > READS || address < 0 || address >= ADDRESSES) {
            break;
        }
        known[fc][address] = 1;
        switch (fc) {
        case 1: map->tab_bits[address] = number != 0; break;
        case 2: map->tab_input_bits[address] = number != 0; break;
        case 3: map->tab_registers[address] = (uint16_t)number; break;
        default: map->tab_input_registers[address] = (uint16_t)number;
        }
        count++;
    }
    fclose(file);
    return count;
}

/* Whether a request asks for what an image has, and for nothing else. */
static int in_image(const uint8_t *pdu) {
    int fc = pdu[0], address = pdu[1] << 8 | pdu[2], words = pdu[3] << 8 | pdu[4];
    if (fc < 1 || fc > READS || words < 1 || address + words > ADDRESSES) {
        return 0;
    }
    for (int i = 0; i < words; i++) {
        if (!known[fc][address + i]) {
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: slave DEVICE UNIT BAUD LOG SAMPLES LATE_EVERY LATE_MS\n");
        return 2;
    }
    int image = argv[5][0] == '@';
    int count = image || !strcmp(argv[5], "-") ? 0 : load(argv[5]);
    int late_every = atoi(argv[6]), late_ms = atoi(argv[7]);
    FILE *log = fopen(argv[4], "a");
    int tcp = strncmp(argv[1], "tcp:", 4) ? 0 : atoi(argv[1] + 4);
    modbus_t *bus = tcp ? modbus_new_tcp("127.0.0.1", tcp)
                        : modbus_new_rtu(argv[1], atoi(argv[3]), 'N', 8, 1);
    modbus_mapping_t *map =
        image ? modbus_mapping_new(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES)
              : modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    if (count < 0 || !log || !bus || !map || (image && load_image(argv[5] + 1, map) < 1)) {
        fprintf(stderr, "slave: cannot start: %s\n", strerror(errno));
        return 3;
    }
    setvbuf(log, NULL, _IOLBF, 0);
    for (int i = 0; !image && i < REGISTERS; i++) {
        map->tab_registers[i] = 1000 + i;
        map->tab_input_registers[i] = 20000 + i;
    }
    for (int i = 0; !image && i < BITS; i++) {
        map->tab_bits[i] = map->tab_input_bits[i] = i % 3 == 0;
    }
    modbus_set_slave(bus, atoi(argv[2]));
    modbus_set_indication_timeout(bus, 0, 0);
    int listening = tcp ? modbus_tcp_listen(bus, 1) : -1;
    if (tcp ? listening == -1 : modbus_connect(bus) == -1) {
        fprintf(stderr, "slave: %s: %s\n", argv[1], modbus_strerror(errno));
        return 3;
    }
    puts("ready");
    fflush(stdout);
    if (tcp) {
        modbus_tcp_accept(bus, &listening);
    }

    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    int index = 0;
    long asked = 0;
    for (;;) {
        int length = modbus_receive(bus, query);
        if (length == -1) {
            if (tcp) {
                modbus_close(bus);
                modbus_tcp_accept(bus, &listening);
            } else if (errno == EIO || errno == ENXIO || errno == EBADF) {
                break;
            }
            continue;
        }
        if (length == 0) {
            continue; /* for another unit */
        }
        if (count > 0) {
            map->tab_registers[0] = map->tab_input_registers[0] = (uint16_t)samples[index];
        }
        int served = map->tab_registers[0];
        int late = late_every > 0 && ++asked % late_every == 0;
        if (late) {
            usleep(late_ms * 1000);
        }
        int refused = image && !in_image(query + modbus_get_header_length(bus));
        int sent = refused ? modbus_reply_exception(bus, query, MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS)
                           : modbus_reply(bus, query, length, map);
        /* 5 characters are an exception; only a whole reply counts as served. */
        if (sent > 5) {
            fprintf(log, "%d %d %d\n", index, served, late);
            if (index + 1 < count) {
                index++;
            }
        }
    }
    modbus_close(bus);
    return 0;
}
