/*
 * picture.h - pictures in PNG and JPEG files, read by libpng and libjpeg.
 *
 * A picture is bytes, [height, width, channels]: one channel where the file is grey, else red, green, blue.
 * 16 bits become 8; what is transparent is laid over white; colour profiles, gamma and the orientation that
 * a camera notes are not applied.  Same file, same bytes, on every processor.
 */
#ifndef AT_PICTURE_H
#define AT_PICTURE_H
#include "data/tabular.h"

typedef struct at_picture {
    at_image_size size;
    uint8_t *pixel; /* owned */
} at_picture;

/** Whether a file is one, by its first bytes. */
bool at_is_picture(const void *data, size_t bytes);
/** AT_FORMAT, with `name`: damaged, cut short, or no picture; AT_UNSUPPORTED: too large, or four inks. */
at_status at_picture_parse(at_ctx *c, const char *name, const void *data, size_t bytes,
                           at_picture *out);
void at_picture_close(at_picture *p);

/** Another height and width, by bilinear interpolation; where it becomes smaller the weights widen with
    it, so that every pixel counts (as Pillow's BILINEAR). */
at_status at_picture_resize(at_ctx *c, at_picture *p, int64_t height, int64_t width);
/** 3: a grey picture as red, green and blue; 1: a colour one as its luma, 0.299 R + 0.587 G + 0.114 B. */
at_status at_picture_channels(at_ctx *c, at_picture *p, int64_t channels);

/* The files, one function each. */
at_status at_picture_png(at_ctx *c, const char *name, const void *data, size_t bytes,
                         at_picture *out);
at_status at_picture_jpeg(at_ctx *c, const char *name, const void *data, size_t bytes,
                          at_picture *out);
/** Before there is memory for it.  AT_UNSUPPORTED: too large. */
at_status at_picture_check(at_ctx *c, const char *name, at_image_size size);

#endif
