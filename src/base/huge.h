/* huge.h - large pages for large blocks, where the system has them. */
#ifndef AT_HUGE_H
#define AT_HUGE_H
#include <stddef.h>

/** Asks the system for large pages in [p, p + bytes), which has just been allocated.  Nothing
    happens when it is shorter than some megabytes, when the system has none, or when p is NULL. */
void at_huge_pages(void *p, size_t bytes);

#endif
