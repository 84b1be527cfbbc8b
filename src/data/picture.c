/* picture.c - which kind a picture is. */
#include "data/picture.h"
#include <string.h>

static const unsigned char PNG[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
static const unsigned char JPEG[3] = {0xff, 0xd8, 0xff};

static bool begins(const void *data, size_t bytes, const void *with, size_t n) {
    return bytes >= n && !memcmp(data, with, n);
}

bool at_is_picture(const void *data, size_t bytes) {
    return begins(data, bytes, PNG, sizeof PNG) || begins(data, bytes, JPEG, sizeof JPEG);
}

at_status at_picture_parse(at_ctx *c, const char *name, const void *data, size_t bytes,
                           at_picture *out) {
    *out = (at_picture){0};
    at_status s = begins(data, bytes, PNG, sizeof PNG) ? at_picture_png(c, name, data, bytes, out)
                  : begins(data, bytes, JPEG, sizeof JPEG)
                      ? at_picture_jpeg(c, name, data, bytes, out)
                      : at_error(c, AT_FORMAT, "%s: neither PNG nor JPEG", name);
    if (s != AT_OK) at_picture_close(out);
    return s;
}

void at_picture_close(at_picture *p) {
    at_free(p->pixel);
    *p = (at_picture){0};
}
