// SPDX-License-Identifier: GPL-2.0-only
// Keyhole.Core's sanitiser in C, step for step, to measure the one beside the other: bench/sanitiser-vs-c. Reads lines of ADDRESS SIZE TYPE in
// decimal from standard input; prints the fastest of 2000 runs in nanoseconds, and how many entries came out.
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { MAX = 384, PRAM = 12 };

struct entry { uint64_t address, size; uint32_t type; };

static struct entry source[MAX], made[MAX];
static int points[2 * MAX], heap[MAX], live[MAX];

static uint64_t address_of(int point)
{
    const struct entry *entry = &source[point >> 1];
    return point & 1 ? entry->address + entry->size : entry->address;
}

static int precedes(int left, int right)
{
    uint64_t l = address_of(left), r = address_of(right);
    return l != r ? l < r : (left & 1) < (right & 1);
}

static void swap(int *a, int *b)
{
    int kept = *a;
    *a = *b;
    *b = kept;
}

static void sift(int count, int root)
{
    for (int child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && precedes(points[child], points[child + 1]))
            child++;
        if (!precedes(points[root], points[child]))
            return;
        swap(&points[root], &points[child]);
    }
}

static void push(int count, int index)
{
    heap[count] = index;
    for (int child = count, parent; child > 0; child = parent) {
        parent = (child - 1) / 2;
        if (source[heap[parent]].type >= source[heap[child]].type)
            return;
        swap(&heap[parent], &heap[child]);
    }
}

static void pop(int count)
{
    heap[0] = heap[count];
    for (int root = 0, child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && source[heap[child]].type < source[heap[child + 1]].type)
            child++;
        if (source[heap[root]].type >= source[heap[child]].type)
            return;
        swap(&heap[root], &heap[child]);
    }
}

static int sanitise(int count)
{
    int point_count = 0, heap_count = 0, result = 0;
    uint32_t last_type = 0;
    uint64_t last_address = 0;
    if (count < 2)
        return -1;
    for (int i = 0; i < count; i++)
        if (source[i].address + source[i].size < source[i].address)
            return -1;
    for (int i = 0; i < count; i++) {
        if (source[i].size == 0)
            continue;
        points[point_count++] = 2 * i;
        points[point_count++] = 2 * i + 1;
    }
    for (int root = point_count / 2 - 1; root >= 0; root--)
        sift(point_count, root);
    for (int last = point_count - 1; last > 0; last--) {
        swap(&points[0], &points[last]);
        sift(last, 0);
    }
    for (int i = 0; i < point_count; i++) {
        int index = points[i] >> 1;
        live[index] = !(points[i] & 1);
        if (live[index])
            push(heap_count++, index);
        while (heap_count > 0 && !live[heap[0]])
            pop(--heap_count);
        uint32_t type = heap_count == 0 ? 0 : source[heap[0]].type;
        if (type == last_type && type != PRAM)
            continue;
        uint64_t address = address_of(points[i]);
        if (last_type != 0 && address != last_address) {
            if (result == MAX)
                return result;
            made[result++] = (struct entry){ last_address, address - last_address, last_type };
        }
        last_address = address;
        last_type = type;
    }
    return result;
}

int main(void)
{
    int count = 0, result = 0;
    long long fastest = INT64_MAX;
    unsigned long long address, size;
    unsigned type;
    while (count < MAX && scanf("%llu %llu %u", &address, &size, &type) == 3)
        source[count++] = (struct entry){ address, size, type };
    for (int run = 0; run < 2000; run++) {
        struct timespec begun, ended;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        result = sanitise(count);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        long long took = (ended.tv_sec - begun.tv_sec) * 1000000000LL + ended.tv_nsec - begun.tv_nsec;
        fastest = took < fastest ? took : fastest;
    }
    printf("%lld %d\n", fastest, result);
    return 0;
}
