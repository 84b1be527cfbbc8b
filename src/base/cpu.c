/* cpu.c - detection.  Built without ISA flags and without LTO, so that nothing newer than the
   baseline can be inlined into the code that asks what the processor can do. */
#include "base/cpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned at_cpu_features(void) {
    unsigned f = 0;
#if defined(__x86_64__) && defined(AT_HAVE_X86_FMA)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) f |= AT_CPU_FMA;
#ifdef AT_HAVE_X86_KERNELS
    if (f) f |= AT_CPU_AVX2;
    if (f && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        f |= AT_CPU_AVX512;
#endif
#endif
    const char *e = getenv("ARTEL_CPU");
    if (e && !strcmp(e, "ref")) f &= AT_CPU_FMA;
    if (e && !strcmp(e, "avx2")) f &= AT_CPU_FMA | AT_CPU_AVX2;
    return f;
}

const char *at_cpu_name(unsigned f) {
    return f & AT_CPU_AVX512 ? "avx512" : f & AT_CPU_AVX2 ? "avx2" : "ref";
}

/* The first line of /sys/.../cache/index<index>/<fact>; empty when there is no such file. */
static void cache_fact(int index, const char *fact, char *line, int size) {
    char path[96];
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, fact);
    line[0] = 0;
    FILE *f = fopen(path, "r");
    if (!f) return;
    if (!fgets(line, size, f)) line[0] = 0;
    (void)fclose(f);
}

int64_t at_cpu_cache(int level) {
    for (int i = 0; i < 8; i++) {
        char line[32], *unit;
        cache_fact(i, "level", line, sizeof line);
        if (strtol(line, NULL, 10) != level) continue;
        cache_fact(i, "size", line, sizeof line); /* "512K" */
        const long n = strtol(line, &unit, 10);
        if (n > 0) return (int64_t)n * (*unit == 'M' ? 1 << 20 : *unit == 'K' ? 1 << 10 : 1);
    }
    return 0;
}

/* cgroup v2 writes "quota period" in microseconds, or "max period". */
static int cgroup_cores(void) {
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (!f) return 0;
    char text[64] = {0}, *end;
    const char *line = fgets(text, sizeof text, f);
    (void)fclose(f);
    if (!line) return 0;
    const long quota = strtol(text, &end, 10);
    if (end == text) return 0;
    const long period = strtol(end, NULL, 10);
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

/* The affinity mask as Linux writes it: "Cpus_allowed_list: 0-3,8".  0 when there is none. */
static long allowed_cores(void) {
    static const char key[] = "Cpus_allowed_list:";
    FILE *f = fopen("/proc/self/status", "r");
    char line[4096];
    long n = 0;
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, sizeof key - 1) != 0) continue;
        for (char *p = line + sizeof key - 1, *end; *p && *p != '\n'; p = end + (*end == ',')) {
            const long first = strtol(p, &end, 10);
            if (end == p) break;
            const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
            n += last - first + 1;
        }
        break;
    }
    if (f) (void)fclose(f);
    return n;
}

int at_cpu_count(void) {
    long n = allowed_cores();
    if (n < 1) n = sysconf(_SC_NPROCESSORS_ONLN);
    const int limit = cgroup_cores();
    if (limit > 0 && limit < n) n = limit;
    return n > 0 ? (int)n : 1;
}
