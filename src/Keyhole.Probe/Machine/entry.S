/* SPDX-License-Identifier: GPL-2.0-only */
/* What C# cannot say: ELF notes for Xen's domain builder, the entry, hypercalls, traps. */

#define ELFNOTE(type, ...)              \
        .pushsection .note.Xen, "a", @note;  \
        .align 4;                       \
        .long 2f - 1f, 4f - 3f, type;   \
1:      .asciz "Xen";                   \
2:      .align 4;                       \
3:      __VA_ARGS__;                    \
4:      .align 4;                       \
        .popsection

#define XEN_ELFNOTE_ENTRY          1
#define XEN_ELFNOTE_HYPERCALL_PAGE 2
#define XEN_ELFNOTE_VIRT_BASE      3
#define XEN_ELFNOTE_PADDR_OFFSET   4
#define XEN_ELFNOTE_XEN_VERSION    5
#define XEN_ELFNOTE_GUEST_OS       6
#define XEN_ELFNOTE_GUEST_VERSION  7
#define XEN_ELFNOTE_LOADER         8
#define XEN_ELFNOTE_PAE_MODE       9
#define XEN_ELFNOTE_FEATURES       10
#define XEN_ELFNOTE_HV_START_LOW   12

        ELFNOTE(XEN_ELFNOTE_GUEST_OS,       .asciz "Keyhole")
        ELFNOTE(XEN_ELFNOTE_GUEST_VERSION,  .asciz "1")
        ELFNOTE(XEN_ELFNOTE_XEN_VERSION,    .asciz "xen-3.0")
        ELFNOTE(XEN_ELFNOTE_VIRT_BASE,      .quad 0xffffffff80000000)
        ELFNOTE(XEN_ELFNOTE_PADDR_OFFSET,   .quad 0)
        ELFNOTE(XEN_ELFNOTE_ENTRY,          .quad probe_entry)
        ELFNOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page)
        ELFNOTE(XEN_ELFNOTE_FEATURES,       .asciz "!writable_page_tables|pae_pgdir_above_4gb")
        ELFNOTE(XEN_ELFNOTE_PAE_MODE,       .asciz "yes")
        ELFNOTE(XEN_ELFNOTE_LOADER,         .asciz "generic")
        ELFNOTE(XEN_ELFNOTE_HV_START_LOW,   .quad 0xffff800000000000)

        .section .text.entry, "ax", @progbits
        .globl probe_entry
probe_entry:
        cld
        lea     stack_top(%rip), %rsp
        mov     %rsi, %rdi
        xor     %ebp, %ebp
        call    probe_main
1:      hlt
        jmp     1b

        .text
/* long probe_hypercall(number, a0, a1, a2, a3, a4) */
        .globl probe_hypercall
probe_hypercall:
        mov     %rdi, %rax
        shl     $5, %eax
        lea     hypercall_page(%rip), %r11
        add     %r11, %rax
        mov     %rsi, %rdi
        mov     %rdx, %rsi
        mov     %rcx, %rdx
        mov     %r8, %r10
        mov     %r9, %r8
        jmp     *%rax

        .globl probe_rdtsc
probe_rdtsc:
        rdtsc
        shl     $32, %rdx
        or      %rdx, %rax
        ret

        .globl probe_address_of
probe_address_of:
        mov     %rdi, %rax
        ret

/* Memory helpers that compiled code calls. */
        .globl memmove, memcpy
memmove:
memcpy:
        mov     %rdi, %rax
        mov     %rdx, %rcx
        cmp     %rsi, %rdi
        jbe     1f
        lea     (%rsi, %rdx), %r8
        cmp     %r8, %rdi
        jae     1f
        lea     -1(%rsi, %rdx), %rsi
        lea     -1(%rdi, %rdx), %rdi
        std
        rep movsb
        cld
        ret
1:      rep movsb
        ret

        .globl memset
memset:
        mov     %rdi, %r8
        mov     %esi, %eax
        mov     %rdx, %rcx
        rep stosb
        mov     %r8, %rax
        ret

/* The library start-up that the compiler adds and nobody calls. */
        .globl RhpReversePInvoke, RhpReversePInvokeReturn, RhpFallbackFailFast
RhpReversePInvoke:
RhpReversePInvokeReturn:
RhpFallbackFailFast:
        ud2

        .section .hypercall_page, "ax", @progbits
        .align 4096
        .globl hypercall_page
hypercall_page:
        .skip 4096

        .bss
        .align 4096
        .skip 65536
stack_top:
        .section .note.GNU-stack, "", @progbits
