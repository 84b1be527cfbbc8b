/* picture_jpeg.c - JPEG by libjpeg.  What is wrong with a file comes back by longjmp into at_picture_jpeg.
   libjpeg fills what a cut file lacks with grey and warns: here that is an error. */
#include "data/picture.h"
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
/* after stdio.h, which they need */
#include <jerror.h>
#include <jpeglib.h>

enum { SCANS = 200 }; /* of a progressive file; each of them takes time */

typedef struct {
    struct jpeg_error_mgr errors; /* first: libjpeg has a pointer to it */
    struct jpeg_progress_mgr progress;
    at_ctx *c;
    const char *name;
    jmp_buf out;
} reader;

static void failed(j_common_ptr j) {
    reader *r = (reader *)(void *)j->err;
    char what[JMSG_LENGTH_MAX];
    j->err->format_message(j, what);
    if (r->c->status != AT_OK)
        ;
    else if (j->err->msg_code == JERR_OUT_OF_MEMORY)
        (void)at_error(r->c, AT_OOM, "%s: out of memory", r->name);
    else
        (void)at_error(r->c, AT_FORMAT, "%s: damaged JPEG: %s", r->name, what);
    longjmp(r->out, 1);
}

/* Warnings of level -1; those that do no harm to the picture are passed over. */
static void warned(j_common_ptr j, int level) {
    const int code = j->err->msg_code;
    if (level >= 0 || code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM ||
        code == JWRN_JFIF_MAJOR)
        return;
    reader *r = (reader *)(void *)j->err;
    if (code == JWRN_JPEG_EOF)
        (void)at_error(r->c, AT_FORMAT, "%s: the JPEG file is cut short", r->name);
    failed(j);
}

static void watch(j_common_ptr j) {
    const struct jpeg_decompress_struct *d = (struct jpeg_decompress_struct *)(void *)j;
    reader *r = (reader *)(void *)j->err;
    if (d->input_scan_number <= SCANS) return;
    (void)at_error(r->c, AT_UNSUPPORTED, "%s: more than %d scans", r->name, (int)SCANS);
    longjmp(r->out, 1);
}

static void read_all(reader *r, struct jpeg_decompress_struct *d, const void *data, size_t bytes,
                     at_picture *out) {
    jpeg_mem_src(d, (unsigned char *)(uintptr_t)data, (unsigned long)bytes);
    (void)jpeg_read_header(d, TRUE);
    const bool grey = d->jpeg_color_space == JCS_GRAYSCALE;
    out->size = (at_image_size){d->image_height, d->image_width, grey ? 1 : 3};
    if (at_picture_check(r->c, r->name, out->size) != AT_OK) longjmp(r->out, 1);
    if (d->jpeg_color_space == JCS_CMYK || d->jpeg_color_space == JCS_YCCK) {
        (void)at_error(r->c, AT_UNSUPPORTED, "%s: a JPEG of four inks (CMYK)", r->name);
        longjmp(r->out, 1);
    }
    d->out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    d->dct_method = JDCT_ISLOW; /* integers: the same with and without vector instructions */
    d->do_fancy_upsampling = TRUE;
    (void)jpeg_start_decompress(d);
    const size_t line = (size_t)(out->size.width * out->size.channels);
    if (!(out->pixel = at_malloc(r->c, (size_t)at_image_numel(out->size)))) longjmp(r->out, 1);
    while (d->output_scanline < d->output_height) {
        JSAMPROW row = out->pixel + d->output_scanline * line;
        (void)jpeg_read_scanlines(d, &row, 1);
    }
    (void)jpeg_finish_decompress(d);
}

/* What changes before a longjmp is not of this function. */
static void attempt(reader *r, struct jpeg_decompress_struct *d, const void *data, size_t bytes,
                    at_picture *out) {
    if (setjmp(r->out)) return;
    jpeg_create_decompress(d);
    d->progress = &r->progress;
    read_all(r, d, data, bytes, out);
}

at_status at_picture_jpeg(at_ctx *c, const char *name, const void *data, size_t bytes,
                          at_picture *out) {
    struct jpeg_decompress_struct d;
    reader r = {.c = c, .name = name, .progress = {.progress_monitor = watch}};
    at_error_clear(c);
    memset(&d, 0, sizeof d);
    d.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = failed;
    r.errors.emit_message = warned;
    attempt(&r, &d, data, bytes, out);
    jpeg_destroy_decompress(&d);
    return c->status;
}
