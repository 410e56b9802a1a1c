// SPDX-License-Identifier: GPL-2.0-only
//
// set-memory-map DOMID < entries: gives a domain a memory map (XENMEM_set_memory_map), read as packed entries of 20 bytes
// (u64 address, u64 size, u32 type). Exit status 0, or 1 with one line on standard error.

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HYPERVISOR_memory_op 12
#define XENMEM_set_memory_map 13
#define ENTRY_BYTES 20
#define MAX_ENTRIES 1024
// The map itself fills at most 20,480 bytes; the argument lies in front of it.
#define BUFFER_BYTES (6 * 4096)
#define ENTRIES_AT 64

struct privcmd_hypercall {
    uint64_t op, arg[5];
};

#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

// xen_foreign_memory_map: the domain, then a xen_memory_map. No domain id is wider than 16 bits.
struct argument {
    uint16_t domid;
    uint16_t pad[3];
    uint32_t nr_entries;
    uint32_t pad2;
    uint64_t buffer;
};

_Static_assert(sizeof(struct argument) == 24, "xen_foreign_memory_map has 24 bytes");

static int fail(const char *what)
{
    fprintf(stderr, "set-memory-map: %s: %s\n", what, strerror(errno));
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "set-memory-map: usage: set-memory-map DOMID < entries\n");
        return 1;
    }

    int privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    if (privcmd < 0)
        return fail("/dev/xen/privcmd");
    int buffers = open("/dev/xen/hypercall", O_RDWR | O_CLOEXEC);
    if (buffers < 0)
        return fail("/dev/xen/hypercall");
    uint8_t *buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, buffers, 0);
    if (buffer == MAP_FAILED)
        return fail("mmap of /dev/xen/hypercall");

    size_t length = 0;
    ssize_t got;
    while (length < MAX_ENTRIES * ENTRY_BYTES && (got = read(0, buffer + ENTRIES_AT + length, MAX_ENTRIES * ENTRY_BYTES - length)) > 0)
        length += (size_t)got;
    if (length == 0 || length % ENTRY_BYTES != 0) {
        fprintf(stderr, "set-memory-map: %zu bytes are no whole number of entries\n", length);
        return 1;
    }

    struct argument *argument = (struct argument *)buffer;
    argument->domid = (uint16_t)strtoul(argv[1], NULL, 10);
    argument->nr_entries = (uint32_t)(length / ENTRY_BYTES);
    argument->buffer = (uint64_t)(uintptr_t)(buffer + ENTRIES_AT);

    struct privcmd_hypercall call = { HYPERVISOR_memory_op, { XENMEM_set_memory_map, (uint64_t)(uintptr_t)argument } };
    if (ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call) != 0)
        return fail("XENMEM_set_memory_map");
    return 0;
}
