/* SPDX-License-Identifier: ISC */
/* Page tables: every address is its own physical address. Code can be run and not written, data
 * written and not run, constants neither; the first megabyte is not there (nor a null pointer with
 * it), and neither are the pages between the stacks. Memory behind the image appears when it is
 * touched, zeroed: what a firmware left there is never seen, and what is not used costs nothing. */
#include "cpu.h"
#include "machine.h"

enum { PRESENT = 1, WRITABLE = 2, UNCACHED = 0x18 };
#define FORBIDDEN 0x200u /* in an entry that is not present: the processor looks at none of it */
#define NO_EXEC (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull
#define DATA (PRESENT | WRITABLE | NO_EXEC)
#define LEVELS 4u
#define TABLE_SPAN (512u * PAGE)

extern uint8_t tarn_text[], tarn_data[], tarn_sealed[], tarn_sealed_end[], tarn_guard0[],
    tarn_guard1[], tarn_guard2[], tarn_guard3[], tarn_guard4[], tarn_guard5[], tarn_guard6[];

static uint64_t *root SEALED;
static struct { uint64_t from, to; } heap SEALED;
static bool is_zeroed SEALED; /* memory is, before its first use */
/* Tables are taken from the front of the heap, from a piece that is mapped from the start. */
static uint64_t tables_end SEALED;
static uint64_t next_table;

static uint64_t address(const void *ptr) {
    return (uintptr_t)ptr;
}

static void zero_page(uint64_t addr) {
    if (is_zeroed)
        return;
    uint64_t n = PAGE / 8;
    __asm__ volatile("rep stosq" : "+D"(addr), "+c"(n) : "a"(0) : "memory");
}

/* The entry for the page of `addr`; NULL: there are no tables for it, or, where they were to be
 * made, no room for more. */
static uint64_t *entry_of(uint64_t addr, bool make) {
    uint64_t *table = root;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[addr >> shift & 511];
        if (!(*entry & PRESENT)) {
            if (!make || next_table == tables_end)
                return NULL;
            zero_page(next_table);
            *entry = next_table | PRESENT | WRITABLE;
            next_table += PAGE;
        }
        table = (uint64_t *)(uintptr_t)(*entry & ADDRESS);
    }
    return &table[addr >> 12 & 511];
}

static bool map(uint64_t from, uint64_t to, uint64_t rights) {
    uint64_t *entry = NULL;
    for (uint64_t at = from & ~(uint64_t)(PAGE - 1); at < to; at += PAGE) {
        /* The entries of one table's pages lie side by side. */
        entry = entry && at % TABLE_SPAN ? entry + 1 : entry_of(at, true);
        if (!entry)
            return false;
        *entry = at | rights;
    }
    return true;
}

static void forbid(const uint8_t *const *pages, size_t n) {
    for (size_t i = 0; i < n; i++)
        *entry_of(address(TARN_AT_N(pages, n, i)), true) = 0;
}

static uint8_t *const guards[] = {tarn_guard0, tarn_guard1, tarn_guard2, tarn_guard3,
                                  tarn_guard4, tarn_guard5, tarn_guard6};

void guest_mmu_init(uint64_t from, uint64_t to, bool zeroed, uint64_t tables) {
    uint64_t pages = tables + LEVELS + (to >> 30) + (to >> 21) - (address(tarn_image) >> 21);
    is_zeroed = zeroed;
    heap.from = (from + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    heap.to = to & ~(uint64_t)(PAGE - 1);
    if (heap.to <= heap.from || (heap.to - heap.from) / PAGE <= pages)
        guest_die("not enough memory to start: give the machine more");
    next_table = heap.from;
    heap.from = tables_end = heap.from + pages * PAGE;
    root = (uint64_t *)(uintptr_t)next_table;
    zero_page(next_table);
    next_table += PAGE;
    if (!map(address(tarn_image), address(tarn_text), PRESENT | NO_EXEC)
        || !map(address(tarn_text), address(tarn_data), PRESENT)
        || !map(address(tarn_data), heap.from, DATA))
        guest_die("not enough memory for page tables");
    forbid((const uint8_t *const *)guards, TARN_COUNT_OF(guards));
    cr3_write(address(root));
}

void guest_mmu_seal(void) {
    for (uint64_t at = address(tarn_sealed) & ~(uint64_t)(PAGE - 1); at < address(tarn_sealed_end);
         at += PAGE) {
        *entry_of(at, true) &= ~(uint64_t)WRITABLE;
        tlb_drop(at);
    }
}

/* Neither registers nor tables are where our memory is. */
static bool is_ours(uint64_t addr, size_t len) {
    return addr + len < addr || (addr < heap.to && addr + len > address(tarn_image));
}

void *guest_mmu_device(uint64_t addr, size_t len) {
    if (addr == 0 || is_ours(addr, len) || !map(addr, addr + len, DATA | UNCACHED))
        return NULL;
    return (void *)(uintptr_t)addr;
}

struct tarn_span guest_mmu_read(uint64_t addr, size_t len) {
    if (addr < PAGE || is_ours(addr, len) || !map(addr, addr + len, PRESENT | NO_EXEC))
        return TARN_SPAN_EMPTY;
    return tarn_span_of((const void *)(uintptr_t)addr, len);
}

bool guest_mmu_touch(uint64_t addr) {
    uint64_t page = addr & ~(uint64_t)(PAGE - 1);
    if (addr < heap.from || addr >= heap.to)
        return false;
    uint64_t *entry = entry_of(page, true);
    if (!entry || (*entry & (PRESENT | FORBIDDEN)))
        return false;
    *entry = page | DATA;
    zero_page(page);
    return true;
}

bool tarn_platform_guard(uint8_t *page) {
    uint64_t *entry = entry_of(address(page), true);
    if (!entry)
        return false;
    *entry = FORBIDDEN;
    tlb_drop(address(page));
    return true;
}

enum guest_page guest_mmu_page(uint64_t addr) {
    for (size_t i = 0; i < TARN_COUNT_OF(guards); i++)
        if (addr - address(TARN_AT(guards, i)) < PAGE)
            return PAGE_GUARD;
    const uint64_t *entry = entry_of(addr, false);
    if (addr < PAGE)
        return PAGE_NULL;
    if (entry && !(*entry & PRESENT) && (*entry & FORBIDDEN))
        return PAGE_BETWEEN;
    if (!entry || !(*entry & PRESENT))
        return PAGE_NONE;
    return *entry & WRITABLE ? PAGE_WRITE : *entry & NO_EXEC ? PAGE_READ : PAGE_CODE;
}

uint64_t guest_dma(const void *ptr, size_t len) {
    uint64_t addr = address(ptr);
    for (uint64_t at = addr & ~(uint64_t)(PAGE - 1); at < addr + len; at += PAGE)
        (void)*(const volatile uint8_t *)(uintptr_t)TARN_MAX(at, addr);
    return addr;
}

struct tarn_bytes guest_mmu_heap(void) {
    return tarn_bytes_of((void *)(uintptr_t)heap.from, heap.to - heap.from);
}
