/*
 * huge.c - packing a matrix touches a page for every row; with pages of 2 MiB there are fewer
 * misses of the TLB and products are up to a tenth faster.  Linux gives large pages only when asked
 * (madvise).
 */
#define _DEFAULT_SOURCE /* madvise */
#include "base/huge.h"
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 2 << 20, LEAST = 2 * PAGE };

void at_huge_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
    if (!p || bytes < LEAST) return;
    const uintptr_t begin = ((uintptr_t)p + PAGE - 1) / PAGE * PAGE;
    const uintptr_t end = ((uintptr_t)p + bytes) / PAGE * PAGE;
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)p;
    (void)bytes;
#endif
}
