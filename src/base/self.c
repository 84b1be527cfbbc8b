/* self.c - from /proc on Linux; elsewhere from what the build knows. */
#include "base/self.h"
#include "artel_version.h"
#include "base/cpu.h"
#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

/* An address in the file that is looked for. */
static const char here[] = ARTEL_VERSION_TEXT " " ARTEL_COMMIT_TEXT;

/* The mapped file around `here`: "55d0c2a00000-55d0c2a21000 r--p 00000000 08:01 42   /path". */
static bool mapped_file(char *path, size_t size) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[4352];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        char *end;
        const unsigned long long from = strtoull(line, &end, 16);
        const unsigned long long to = *end == '-' ? strtoull(end + 1, &end, 16) : 0;
        const unsigned long long at = (unsigned long long)(uintptr_t)here;
        const char *name = strchr(end, '/');
        if (at < from || at >= to || !name) continue;
        const size_t n = strcspn(name, "\n");
        found = n < size;
        (void)snprintf(path, size, "%.*s", (int)n, name);
    }
    if (f) (void)fclose(f);
    return found;
}

at_status at_self_program(at_ctx *c, char text[AT_SHA256_TEXT]) {
    char path[4352];
    /* still leads to the program's file when its name was given to another one meanwhile */
    static const char same[] = "/proc/self/exe";
    if (mapped_file(path, sizeof path) && at_exists(path)) return at_sha256_file(c, path, text);
    if (at_exists(same)) return at_sha256_file(c, same, text);
    at_sha256_text(here, sizeof here - 1, text);
    return AT_OK;
}

/* "model name	: AMD EPYC ..." of the first core. */
static bool model_name(char *out, size_t size) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value) continue;
        value += 1 + strspn(value + 1, " \t");
        (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        found = *out != 0;
    }
    if (f) (void)fclose(f);
    return found;
}

void at_self_processor(const at_ctx *c, char out[AT_PROCESSOR_MAX]) {
    char name[100];
    struct utsname u;
    if (!model_name(name, sizeof name))
        (void)snprintf(name, sizeof name, "%.99s", uname(&u) == 0 ? u.machine : "unknown");
    (void)snprintf(out, AT_PROCESSOR_MAX, "%s, %s", name, at_cpu_name(c->cpu));
}
