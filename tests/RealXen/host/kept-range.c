// SPDX-License-Identifier: GPL-2.0-only
//
// Does on a host what a virtual machine does with RAM kept aside: maps ranges of /dev/mem, writes a pattern of each page's own address into them, puts
// the kernel under memory pressure, and reads the pattern back. With "try ADDRESS" it only says whether one page may be mapped; with "spoil ADDRESS" it writes
// there without end, so that another one can be seen to notice.
//
//   kept-range START-END…    hex, END exclusive; whole pages. Every 16th page of a range, and its first and last; of small ranges every page.
//   kept-range try ADDRESS
//   kept-range spoil ADDRESS

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define WORDS (PAGE / sizeof(uint64_t))
#define STRIDE 16
#define SMALL_RANGE (1024 * PAGE)
#define MAX_RANGES 16
#define KEPT_FREE_KIB (32UL << 10)

struct range {
    uint64_t start;
    uint64_t end;
    volatile uint64_t *at;
};

static int memory = -1;

static volatile uint64_t *map(uint64_t start, uint64_t end)
{
    return mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, memory, (off_t)start);
}

static uint64_t pattern(uint64_t address)
{
    return address * 0x9e3779b97f4a7c15UL ^ 0x6b6579686f6c6531UL;
}

static uint64_t step(const struct range *range, uint64_t address)
{
    uint64_t wide = range->end - range->start <= SMALL_RANGE ? PAGE : STRIDE * PAGE;
    uint64_t last = range->end - PAGE;

    return address < last && address + wide > last ? last : address + wide;
}

static void fill(const struct range *range)
{
    unsigned long pages = 0;

    for (uint64_t address = range->start; address < range->end; address = step(range, address), pages++) {
        volatile uint64_t *page = range->at + (address - range->start) / sizeof(uint64_t);
        for (unsigned i = 0; i < WORDS; i++)
            page[i] = pattern(address + i * sizeof(uint64_t));
    }
    printf("filled %lx-%lx: %lu pages\n", range->start, range->end, pages);
}

static void check(const struct range *range, const char *when)
{
    unsigned long pages = 0, changed = 0;

    for (uint64_t address = range->start; address < range->end; address = step(range, address), pages++) {
        volatile uint64_t *page = range->at + (address - range->start) / sizeof(uint64_t);
        int same = 1;
        for (unsigned i = 0; i < WORDS; i++)
            same &= page[i] == pattern(address + i * sizeof(uint64_t));
        if (!same && changed++ < 8)
            printf("changed %lx\n", address);
    }
    printf("%s %lx-%lx: %lu pages, %lu changed\n", when, range->start, range->end, pages, changed);
}

// Takes nearly all memory that the kernel has, writes to every page of it, and gives it back.
static void press(void)
{
    char line[128];
    unsigned long available = 0;
    FILE *info = fopen("/proc/meminfo", "r");

    while (info && fgets(line, sizeof line, info)) {
        if (sscanf(line, "MemAvailable: %lu kB", &available) == 1)
            break;
    }
    if (info)
        fclose(info);
    if (available <= KEPT_FREE_KIB) {
        printf("pressure: only %lu KiB available\n", available);
        exit(1);
    }
    size_t size = (available - KEPT_FREE_KIB) << 10;
    char *taken = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (taken == MAP_FAILED) {
        printf("pressure: %s\n", strerror(errno));
        exit(1);
    }
    for (size_t i = 0; i < size; i += PAGE)
        taken[i] = 0x5a;
    munmap(taken, size);
    printf("pressure: %zu MiB of %lu MiB written\n", size >> 20, available >> 10);
}

int main(int argc, char **argv)
{
    struct range ranges[MAX_RANGES];
    int count = argc - 1;

    memory = open("/dev/mem", O_RDWR);
    if (memory < 0) {
        printf("/dev/mem: %s\n", strerror(errno));
        return 1;
    }
    if (argc == 3 && strcmp(argv[1], "try") == 0) {
        uint64_t address = strtoul(argv[2], NULL, 16);
        volatile uint64_t *page = map(address, address + PAGE);
        printf("try %lx: %s\n", address, page == MAP_FAILED ? "refused" : "mapped");
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "spoil") == 0) {
        uint64_t address = strtoul(argv[2], NULL, 16);
        volatile uint64_t *page = map(address, address + PAGE);
        for (uint64_t n = 0; page != MAP_FAILED; n++) {
            page[WORDS - 1] = n;
            usleep(1000);
        }
        return 1;
    }
    if (count < 1 || count > MAX_RANGES)
        return 2;
    for (int i = 0; i < count; i++) {
        char *dash;
        ranges[i].start = strtoul(argv[i + 1], &dash, 16);
        ranges[i].end = *dash == '-' ? strtoul(dash + 1, NULL, 16) : 0;
        if (ranges[i].end <= ranges[i].start || (ranges[i].start | ranges[i].end) % PAGE != 0)
            return 2;
        ranges[i].at = map(ranges[i].start, ranges[i].end);
        if (ranges[i].at == MAP_FAILED) {
            printf("map %s: %s\n", argv[i + 1], strerror(errno));
            return 1;
        }
    }
    for (int i = 0; i < count; i++)
        fill(&ranges[i]);
    for (int i = 0; i < count; i++)
        check(&ranges[i], "read back");
    press();
    for (int i = 0; i < count; i++)
        check(&ranges[i], "after pressure");
    return 0;
}
