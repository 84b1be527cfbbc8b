/* disk.h - how large a file is, and how much room there is for more. */
#ifndef AT_DISK_H
#define AT_DISK_H
#include "base/ctx.h"

/** 0 when there is none. */
double at_file_bytes(const char *path);
/** Bytes that this process may still write to the file system that `path`, which exists, is on. */
at_status at_disk_free(at_ctx *c, const char *path, double *bytes);

#endif
