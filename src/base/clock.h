/* clock.h - seconds since some moment, monotonic. */
#ifndef AT_CLOCK_H
#define AT_CLOCK_H
double at_now(void);
#endif
