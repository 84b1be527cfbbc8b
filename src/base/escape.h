/* escape.h - text from elsewhere as a terminal may show it. */
#ifndef AT_ESCAPE_H
#define AT_ESCAPE_H
#include <stddef.h>

/** Text that is safe to print on a terminal: control characters but newline and tab, and bytes that
    are no UTF-8, are written as "\x1b".  out: at most `room` bytes with the NUL, 4 * bytes + 1 are
    always enough; what does not fit is left off.  Returns the bytes before the NUL. */
size_t at_printable(const char *text, size_t bytes, char *out, size_t room);

#endif
