/* lab_self.c - asked of Linux's /proc; elsewhere the build answers. */
#include "lab/lab_self.h"
#include "artel_version.h"
#include "base/cpu.h"
#include "base/file.h"
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

at_status at_self_program(at_ctx *c, char text[AT_SHA256_TEXT]) {
    static const char file[] = "/proc/self/exe"; /* also of a program replaced while it runs */
    static const char build[] = ARTEL_VERSION_TEXT " " ARTEL_COMMIT_TEXT;
    if (at_exists(file)) return at_sha256_file(c, file, text);
    at_sha256_text(build, sizeof build - 1, text);
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
