/* disk.c - see disk.h. */
#include "base/disk.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

double at_file_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_size : 0;
}

at_status at_disk_free(at_ctx *c, const char *path, double *bytes) {
    struct statvfs v;
    if (statvfs(path, &v) != 0)
        return at_error(c, AT_IO, "%s: cannot ask for its free space: %s", path, strerror(errno));
    *bytes = (double)v.f_bavail * (double)v.f_frsize;
    return AT_OK;
}
