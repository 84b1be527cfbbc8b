/* huge.h - large pages for large blocks, where the system has them. */
#ifndef AT_HUGE_H
#define AT_HUGE_H
#include <stddef.h>

/** Asks for large pages inside [p, p + bytes), freshly allocated and at least some megabytes long;
    else, and where the system has none, nothing happens.  p may be NULL. */
void at_huge_pages(void *p, size_t bytes);

#endif
