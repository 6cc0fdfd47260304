/* A Modbus slave on libmodbus: a foreign program that serves registers.
 *
 * usage: slave DEVICE UNIT BAUD LOG SAMPLES LATE_EVERY LATE_MS
 *
 * DEVICE "tcp:PORT": Modbus TCP on loopback, one connection after another; else RTU on a tty.
 * SAMPLES "-": holding register i is 1000 + i, input register i is 20000 + i, 200 of each; coil
 * and discrete input i are on where 3 divides i, 64 of each.
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

static int samples[SAMPLES_MAX];

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

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: slave DEVICE UNIT BAUD LOG SAMPLES LATE_EVERY LATE_MS\n");
        return 2;
    }
    int count = strcmp(argv[5], "-") ? load(argv[5]) : 0;
    int late_every = atoi(argv[6]), late_ms = atoi(argv[7]);
    FILE *log = fopen(argv[4], "a");
    int tcp = strncmp(argv[1], "tcp:", 4) ? 0 : atoi(argv[1] + 4);
    modbus_t *bus = tcp ? modbus_new_tcp("127.0.0.1", tcp)
                        : modbus_new_rtu(argv[1], atoi(argv[3]), 'N', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(BITS, BITS, REGISTERS, REGISTERS);
    if (count < 0 || !log || !bus || !map) {
        fprintf(stderr, "slave: cannot start: %s\n", strerror(errno));
        return 3;
    }
    setvbuf(log, NULL, _IOLBF, 0);
    for (int i = 0; i < REGISTERS; i++) {
        map->tab_registers[i] = 1000 + i;
        map->tab_input_registers[i] = 20000 + i;
    }
    for (int i = 0; i < BITS; i++) {
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
        int sent = modbus_reply(bus, query, length, map);
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
