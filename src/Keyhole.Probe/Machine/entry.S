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

        .globl probe_layout
probe_layout:
        lea     layout(%rip), %rax
        ret

/* bool probe_try_read(address, uint *value): a trap at try_read_here comes back through probe_try_read_failed. */
        .globl probe_try_read
probe_try_read:
        mov     %rbx, try_saved+0(%rip)
        mov     %rbp, try_saved+8(%rip)
        mov     %r12, try_saved+16(%rip)
        mov     %r13, try_saved+24(%rip)
        mov     %r14, try_saved+32(%rip)
        mov     %r15, try_saved+40(%rip)
        mov     %rsp, try_saved+48(%rip)
try_read_here:
        mov     (%rdi), %ecx
        mov     %ecx, (%rsi)
        mov     $1, %eax
        ret

        .globl probe_try_read_failed
probe_try_read_failed:
        mov     try_saved+0(%rip), %rbx
        mov     try_saved+8(%rip), %rbp
        mov     try_saved+16(%rip), %r12
        mov     try_saved+24(%rip), %r13
        mov     try_saved+32(%rip), %r14
        mov     try_saved+40(%rip), %r15
        mov     try_saved+48(%rip), %rsp
        xor     %eax, %eax
        ret

/* A fault with nowhere to put its frame: Xen crashes the domain, no trap comes. */
        .globl probe_fault_without_stack
probe_fault_without_stack:
        xor     %esp, %esp
        push    %rax
        ud2

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
1:      shr     $3, %rcx
        rep movsq
        mov     %edx, %ecx
        and     $7, %ecx
        rep movsb
        ret

        .globl memset
memset:
        mov     %rdi, %r8
        movzbl  %sil, %eax
        movabs  $0x0101010101010101, %rcx
        imul    %rcx, %rax
        mov     %rdx, %rcx
        shr     $3, %rcx
        rep stosq
        mov     %edx, %ecx
        and     $7, %ecx
        rep stosb
        mov     %r8, %rax
        ret

/* The library start-up that the compiler adds and nobody calls. */
        .globl RhpReversePInvoke, RhpReversePInvokeReturn
RhpReversePInvoke:
RhpReversePInvokeReturn:
        ud2

/* A method found its security cookie changed: it has written beyond its stack buffers. */
        .globl RhpFallbackFailFast
RhpFallbackFailFast:
        mov     $0x103, %edi
        jmp     probe_callback_trap

/*
 * Traps. Xen's frame, from the stack pointer up: rcx, r11, the error code where the processor gives one, rip, cs, rflags, rsp, ss.
 * What reaches probe_trap: the vector below a frame that always has an error code.
 */
        .macro TRAP number
trap_\number:
        pop     %rcx
        pop     %r11
        push    $0
        push    %r11
        push    %rcx
        push    $\number
        jmp     trap_common
        .endm
        .macro TRAP_WITH_CODE number
trap_\number:
        push    $\number
        jmp     trap_common
        .endm

        TRAP 0
        TRAP 3
        TRAP 4
        TRAP 5
        TRAP 6
        TRAP 7
        TRAP_WITH_CODE 8
        TRAP_WITH_CODE 10
        TRAP_WITH_CODE 11
        TRAP_WITH_CODE 12
        TRAP_WITH_CODE 13
        TRAP_WITH_CODE 14
        TRAP 16
        TRAP_WITH_CODE 17
        TRAP 18
        TRAP 19

trap_common:
        cld
        mov     %rsp, %rdi
        lea     try_read_here(%rip), %rax
        cmp     %rax, 32(%rsp)
        je      probe_try_read_failed
        and     $-16, %rsp
        call    probe_trap
        ud2

/* Frame of an event: rcx, r11, rip, cs, rflags, rsp, ss. Counted and left through the hypercall iret. */
event_entry:
        pop     %rcx
        pop     %r11
        movb    $0, shared_info_page(%rip)
        lock incq probe_events(%rip)
        push    $0
        jmp     hypercall_page + 23 * 32

/* Xen could not load a segment on the way back: ds, es, fs, gs follow r11. */
failsafe_entry:
        mov     $0x101, %edi
        jmp     probe_callback_trap

syscall_entry:
        mov     $0x102, %edi
probe_callback_trap:
        and     $-16, %rsp
        call    probe_unexpected
        ud2

        .section .hypercall_page, "ax", @progbits
        .align 4096
        .globl hypercall_page
hypercall_page:
        .skip 4096

/* struct trap_info: vector, flags (ring that may raise it; 4: with events masked), cs, address. Ends with an empty one. */
        .macro TRAP_INFO number, flags
        .byte   \number, \flags
        .word   0xe033
        .long   0
        .quad   trap_\number
        .endm
        .section .rodata
        .align 16
        .globl __security_cookie
__security_cookie:
        .quad   0x6b6579686f6c6500
trap_table:
        TRAP_INFO 0, 4
        TRAP_INFO 3, 7
        TRAP_INFO 4, 7
        TRAP_INFO 5, 4
        TRAP_INFO 6, 4
        TRAP_INFO 7, 4
        TRAP_INFO 8, 4
        TRAP_INFO 10, 4
        TRAP_INFO 11, 4
        TRAP_INFO 12, 4
        TRAP_INFO 13, 4
        TRAP_INFO 14, 4
        TRAP_INFO 16, 4
        TRAP_INFO 17, 4
        TRAP_INFO 18, 4
        TRAP_INFO 19, 4
        .quad   0, 0

/* What C# finds through probe_layout; the order is Layout's. */
        .align 8
layout:
        .quad   image_start
        .quad   image_end
        .quad   window
        .quad   console_page
        .quad   shared_info_page
        .quad   arena
        .quad   arena_end
        .quad   event_entry
        .quad   failsafe_entry
        .quad   syscall_entry
        .quad   trap_table
        .quad   probe_events
        .quad   stack_guard

        .bss
        .align 4096
/* Pages whose mappings the probe changes at will. */
window:
        .skip 128 * 4096
console_page:
        .skip 4096
shared_info_page:
        .skip 4096
arena:
        .skip 3 * 1024 * 1024
arena_end:
/* Taken out of the address space first thing: a stack that grows too far ends the domain instead of writing over the arena. */
stack_guard:
        .skip 4096
        .skip 128 * 1024
stack_top:
        .align 8
try_saved:
        .skip 7 * 8
probe_events:
        .skip 8
        .section .note.GNU-stack, "", @progbits
