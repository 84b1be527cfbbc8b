/* threads.h - how many threads this process has, for tests that want to see them end. */
#ifndef THREADS_H
#define THREADS_H
#include <dirent.h>
#include <stddef.h>
#include <time.h>

/** -1 where the system does not tell. */
static inline int threads_now(void) {
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    if (!d) return -1;
    for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

/** Waits a second at most for `n` threads, since the system lists a joined thread for a moment; then
    the same. */
static inline int threads_settled(int n) {
    for (int k = 0; k < 1000 && threads_now() != n; k++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return threads_now();
}

#endif
