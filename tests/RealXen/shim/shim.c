// SPDX-License-Identifier: GPL-2.0-only
//
// Gives Xen any firmware memory map we like. The boot loader (QEMU) starts this program with two extra modules in front of Xen's own:
// the wished map (20 bytes an entry: u64 address, u64 size, u32 type, as in E820) and Xen's ELF32 file. The program loads Xen's segments,
// puts the wished map where the loader's was, takes its two modules from the list and enters Xen as a multiboot-1 loader would.
// Xen believes the map when its command line has "no-real-mode"; else it asks the BIOS.

#include <stdint.h>

#define MULTIBOOT_HEADER_MAGIC 0x1BADB002u
#define MULTIBOOT_LOADER_MAGIC 0x2BADB002u
#define HEADER_PAGE_ALIGNED_MODULES_AND_MEMORY 3u
#define INFO_HAS_MEMORY_MAP (1u << 6)
#define INFO_HAS_MODULES (1u << 3)
// Xen copies the map to a few pages below 1 MiB; more than this it could not take.
#define MAX_ENTRIES 256

struct multiboot_header {
    uint32_t magic, flags, checksum;
};

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct module {
    uint32_t start, end, string, reserved;
};

struct wished_entry {
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));

struct multiboot_map_entry {
    uint32_t size_of_rest;
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum;
};

struct elf32_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz;
};

__attribute__((section(".multiboot"), used, aligned(4))) static const struct multiboot_header header = {
    MULTIBOOT_HEADER_MAGIC,
    HEADER_PAGE_ALIGNED_MODULES_AND_MEMORY,
    0u - MULTIBOOT_HEADER_MAGIC - HEADER_PAGE_ALIGNED_MODULES_AND_MEMORY,
};

static struct multiboot_map_entry map[MAX_ENTRIES];

static void out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static __attribute__((noreturn)) void die(const char *why)
{
    for (; *why; why++)
        out(0x3f8, (uint8_t)*why);
    for (;;)
        __asm__ volatile("cli; hlt");
}

__attribute__((noreturn, used)) void shim_main(uint32_t magic, struct multiboot_info *info)
{
    if (magic != MULTIBOOT_LOADER_MAGIC || !(info->flags & INFO_HAS_MODULES) || info->mods_count < 3)
        die("=== SHIM FAILED: it needs the map, Xen and a kernel as modules\n");

    struct module *modules = (struct module *)info->mods_addr;
    const struct wished_entry *wished = (const struct wished_entry *)modules[0].start;
    uint32_t count = (modules[0].end - modules[0].start) / sizeof *wished;
    if (count == 0 || count > MAX_ENTRIES)
        die("=== SHIM FAILED: the map has no entries or too many\n");
    for (uint32_t i = 0; i < count; i++) {
        map[i].size_of_rest = sizeof map[i] - sizeof map[i].size_of_rest;
        map[i].address = wished[i].address;
        map[i].size = wished[i].size;
        map[i].type = wished[i].type;
    }

    const uint8_t *file = (const uint8_t *)modules[1].start;
    const struct elf32_header *elf = (const struct elf32_header *)file;
    if (elf->ident[0] != 0x7f || elf->ident[1] != 'E' || elf->ident[2] != 'L' || elf->ident[3] != 'F' || elf->ident[4] != 1)
        die("=== SHIM FAILED: the second module is no ELF32 file\n");
    for (uint32_t i = 0; i < elf->phnum; i++) {
        const struct elf32_segment *segment = (const struct elf32_segment *)(file + elf->phoff + i * elf->phentsize);
        if (segment->type != 1)
            continue;
        // The segments lie far below this program and its modules, so nothing still needed is overwritten.
        uint8_t *to = (uint8_t *)segment->paddr;
        const uint8_t *from = file + segment->offset;
        uint32_t filled = segment->filesz, rest = segment->memsz - segment->filesz;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(filled) : : "memory");
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(0) : "memory");
    }

    info->mods_addr += 2 * sizeof *modules;
    info->mods_count -= 2;
    info->mmap_addr = (uint32_t)map;
    info->mmap_length = count * sizeof *map;
    info->flags |= INFO_HAS_MEMORY_MAP;

    __asm__ volatile("jmp *%2" : : "a"(MULTIBOOT_LOADER_MAGIC), "b"(info), "r"(elf->entry));
    __builtin_unreachable();
}

__asm__(
    ".section .text.start, \"ax\"\n"
    ".globl start\n"
    "start:\n"
    "    cli\n"
    "    movl $stack_top, %esp\n"
    "    pushl %ebx\n"
    "    pushl %eax\n"
    "    call shim_main\n"
    ".section .bss\n"
    "    .align 16\n"
    "    .skip 4096\n"
    "stack_top:\n"
    ".text\n");
