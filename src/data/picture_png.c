/* picture_png.c - PNG by libpng.  What is wrong with a file comes back by longjmp into at_picture_png; all
   that is to be freed then is in `reader`. */
#include "data/picture.h"
#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct {
    at_ctx *c;
    const char *name;
    const unsigned char *data;
    size_t bytes, at;
    png_structp png;
    png_infop info;
    png_bytep pixel, *row; /* as the file has them: 1 to 4 channels */
    at_image_size size;    /* of these                              */
    jmp_buf out;
} reader;

static void failed(png_structp png, png_const_charp what) {
    reader *r = png_get_error_ptr(png);
    if (r->c->status == AT_OK)
        (void)at_error(r->c, AT_FORMAT, "%s: damaged PNG: %s", r->name, what);
    longjmp(r->out, 1);
}
static void warned(png_structp png, png_const_charp what) {
    (void)png;
    (void)what;
}
static png_voidp take(png_structp png, png_alloc_size_t n) {
    return at_malloc(((reader *)png_get_mem_ptr(png))->c, n);
}
static void give(png_structp png, png_voidp p) {
    (void)png;
    at_free(p);
}

static void feed(png_structp png, png_bytep to, size_t n) {
    reader *r = png_get_io_ptr(png);
    if (n > r->bytes - r->at) {
        (void)at_error(r->c, AT_FORMAT, "%s: the PNG file is cut short, after %lld bytes", r->name,
                       (long long)r->bytes);
        longjmp(r->out, 1);
    }
    memcpy(to, r->data + r->at, n);
    r->at += n;
}

static void read_all(reader *r) {
    png_structp png = r->png;
    png_set_read_fn(png, r, feed);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); /* at_picture_check says it better */
    png_set_chunk_malloc_max(png, 1 << 23);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_read_info(png, r->info);
    r->size.height = png_get_image_height(png, r->info);
    r->size.width = png_get_image_width(png, r->info);
    if (at_picture_check(r->c, r->name, r->size) != AT_OK) longjmp(r->out, 1);
    png_set_expand(png);
    png_set_scale_16(png);
    (void)png_set_interlace_handling(png);
    png_read_update_info(png, r->info);
    r->size.channels = png_get_channels(png, r->info);
    const size_t line = (size_t)(r->size.width * r->size.channels);
    if (png_get_rowbytes(png, r->info) != line) png_error(png, "rows of an unexpected length");
    r->pixel = at_malloc(r->c, (size_t)at_image_numel(r->size));
    r->row = at_calloc(r->c, (size_t)r->size.height, sizeof *r->row);
    if (!r->pixel || !r->row) longjmp(r->out, 1);
    for (int64_t i = 0; i < r->size.height; i++) r->row[i] = r->pixel + (size_t)i * line;
    png_read_image(png, r->row);
    png_read_end(png, NULL);
}

/* Without alpha, over white. */
static at_status deliver(const reader *r, at_picture *out) {
    const int64_t n = r->size.height * r->size.width, from = r->size.channels;
    const int64_t to = from < 3 ? 1 : 3;
    out->size = (at_image_size){r->size.height, r->size.width, to};
    if (!(out->pixel = at_malloc(r->c, (size_t)(n * to)))) return AT_OOM;
    for (int64_t i = 0; i < n; i++) {
        const png_byte *v = r->pixel + i * from;
        const int alpha = from == to ? 255 : v[to];
        for (int64_t d = 0; d < to; d++)
            out->pixel[i * to + d] = (uint8_t)((v[d] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    return AT_OK;
}

/* What changes before a longjmp is not of this function. */
static void attempt(reader *r) {
    if (setjmp(r->out)) return;
    r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, failed, warned, r, take, give);
    r->info = r->png ? png_create_info_struct(r->png) : NULL;
    if (r->info) read_all(r);
}

at_status at_picture_png(at_ctx *c, const char *name, const void *data, size_t bytes,
                         at_picture *out) {
    reader r = {.c = c, .name = name, .data = data, .bytes = bytes};
    at_status s = AT_OOM;
    at_error_clear(c);
    attempt(&r);
    if (c->status == AT_OK && r.row)
        s = deliver(&r, out);
    else if (c->status != AT_OK)
        s = c->status;
    png_destroy_read_struct(&r.png, &r.info, NULL);
    at_free(r.pixel);
    at_free(r.row);
    return s;
}
