/*
 * test_picture.c - pictures: PNG of every kind and JPEG, what is damaged, cut short or too large; other sizes
 * and channels; folders of them as tables.
 */
#include "base/file.h"
#include "check.h"
#include "data/picture.h"
#include "data/table_read.h"
#include "in_folder.h"
#include <stdio.h>
#include <stdlib.h>
/* after stdio.h, which they need */
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

typedef struct {
    unsigned char *data;
    unsigned long bytes;
} bytes;

/* A PNG of this format of libpng's; 16 bits for the linear ones. */
static bytes png_of(unsigned format, int height, int width, const void *pixels, const void *colours,
                    unsigned n_colours) {
    png_image im = {.version = PNG_IMAGE_VERSION,
                    .width = (unsigned)width,
                    .height = (unsigned)height,
                    .format = format,
                    .colormap_entries = n_colours};
    png_alloc_size_t n = 1 << 16;
    bytes out = {malloc(n), 0};
    if (!png_image_write_to_memory(&im, out.data, &n, 0, pixels, 0, colours))
        fail_msg("%s", im.message);
    out.bytes = n;
    return out;
}

static bytes jpeg_of(int height, int width, int channels, const unsigned char *pixels) {
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr e;
    bytes out = {NULL, 0};
    j.err = jpeg_std_error(&e);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &out.data, &out.bytes);
    j.image_height = (unsigned)height;
    j.image_width = (unsigned)width;
    j.input_components = channels;
    j.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&j);
    jpeg_set_quality(&j, 95, TRUE);
    jpeg_start_compress(&j, TRUE);
    for (int i = 0; i < height; i++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)pixels + i * width * channels;
        (void)jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    return out;
}

static void reads(bytes file, int64_t h, int64_t w, int64_t c, const unsigned char *pixels,
                  int off) {
    at_picture p;
    OK(at_picture_parse(&ctx, "NAME", file.data, file.bytes, &p));
    assert_true(p.size.height == h && p.size.width == w && p.size.channels == c);
    for (int i = 0; i < h * w * c; i++)
        if (abs(p.pixel[i] - pixels[i]) > off)
            fail_msg("value %d: expected %d, found %d", i, pixels[i], p.pixel[i]);
    at_picture_close(&p);
}

static const unsigned char GREY[6] = {0, 50, 100, 150, 200, 255};
static const unsigned char COLOUR[12] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30};

static void kinds(void **state) {
    (void)state;
    static const unsigned char clear[4] = {100, 255, 100, 51},
                               laid[2] = {100, 224}; /* 100 * .2 + 255 * .8 */
    static const unsigned char rgba[8] = {255, 0, 0, 255, 0, 0, 0, 0},
                               white[6] = {255, 0, 0, 255, 255, 255};
    static const unsigned short deep[3] = {0, 32896, 65535};
    static const unsigned char flat[3] = {0, 128, 255}, index[4] = {1, 0, 1, 1};
    static const unsigned char twice[12] = {0, 255, 0, 255, 0, 0, 0, 255, 0, 0, 255, 0};
    const bytes all[] = {png_of(PNG_FORMAT_GRAY, 2, 3, GREY, NULL, 0),
                         png_of(PNG_FORMAT_RGB, 2, 2, COLOUR, NULL, 0),
                         png_of(PNG_FORMAT_GA, 1, 2, clear, NULL, 0),
                         png_of(PNG_FORMAT_RGBA, 1, 2, rgba, NULL, 0),
                         png_of(PNG_FORMAT_LINEAR_Y, 3, 1, deep, NULL, 0),
                         png_of(PNG_FORMAT_RGB_COLORMAP, 2, 2, index, COLOUR, 2)};
    reads(all[0], 2, 3, 1, GREY, 0);
    reads(all[1], 2, 2, 3, COLOUR, 0);
    reads(all[2], 1, 2, 1, laid, 0);
    reads(all[3], 1, 2, 3, white, 0);
    reads(all[4], 3, 1, 1, flat, 0);
    reads(all[5], 2, 2, 3, twice, 0);
    unsigned char even[64 * 3];
    for (int i = 0; i < 64; i++) memcpy(even + 3 * i, (unsigned char[]){40, 80, 160}, 3);
    const bytes j[] = {jpeg_of(2, 3, 1, GREY), jpeg_of(8, 8, 3, even), jpeg_of(2, 1, 4, even)};
    reads(j[0], 2, 3, 1, GREY, 6);
    reads(j[1], 8, 8, 3, even, 3);
    at_picture p;
    assert_int_equal(at_picture_parse(&ctx, "NAME", j[2].data, j[2].bytes, &p), AT_UNSUPPORTED);
    expect_says(&ctx, "NAME: a JPEG of four inks");
    assert_int_equal(at_picture_parse(&ctx, "NAME", "GIF89a", 6, &p), AT_FORMAT);
    expect_says(&ctx, "NAME: neither PNG nor JPEG");
    for (size_t i = 0; i < 6; i++) free(all[i].data);
    for (size_t i = 0; i < 3; i++) free(j[i].data);
}

/* No beginning of a file is one, and no changed byte changes more than what is said. */
static void damaged(void **state) {
    (void)state;
    unsigned char noise[16 * 16];
    for (int i = 0; i < 256; i++) noise[i] = (unsigned char)(i * i * 31 % 251);
    bytes file[2] = {png_of(PNG_FORMAT_GRAY, 16, 16, noise, NULL, 0), jpeg_of(16, 16, 1, noise)};
    at_picture p;
    for (int k = 0; k < 2; k++) {
        for (unsigned long n = 8; n < file[k].bytes; n++) {
            assert_int_equal(at_picture_parse(&ctx, "NAME", file[k].data, n, &p), AT_FORMAT);
            expect_says(&ctx, "NAME: ");
            assert_null(p.pixel);
        }
        expect_says(&ctx, "file is cut short");
        for (unsigned long i = 0; i < file[k].bytes; i++) {
            file[k].data[i] ^= 0x55;
            const at_status s = at_picture_parse(&ctx, "NAME", file[k].data, file[k].bytes, &p);
            assert_true(s == AT_OK || strstr(ctx.message, "NAME: "));
            at_picture_close(&p);
            file[k].data[i] ^= 0x55;
        }
    }
    file[0].data[file[0].bytes / 2] ^= 1;
    assert_int_equal(at_picture_parse(&ctx, "NAME", file[0].data, file[0].bytes, &p), AT_FORMAT);
    expect_says(&ctx, "NAME: damaged PNG: ");
    free(file[0].data);
    free(file[1].data);
}

static void put32(unsigned char *p, unsigned long x) {
    for (int i = 0; i < 4; i++) p[i] = (unsigned char)(x >> (24 - 8 * i));
}

/* A small file that says it is large is refused before there is memory for it. */
static void bombs(void **state) {
    (void)state;
    bytes png = png_of(PNG_FORMAT_GRAY, 2, 3, GREY, NULL, 0), jpeg = jpeg_of(2, 3, 1, GREY);
    at_picture p;
    put32(png.data + 16, 30000);
    put32(png.data + 20, 30000);
    put32(png.data + 29, crc32(crc32(0, NULL, 0), png.data + 12, 17));
    assert_int_equal(at_picture_parse(&ctx, "NAME", png.data, png.bytes, &p), AT_UNSUPPORTED);
    expect_says(&ctx, "NAME: 30000 x 30000 pixels: at most 32768 in a side and 67108864 in all");
    for (unsigned long i = 0; i + 8 < jpeg.bytes; i++) /* the frame */
        if (jpeg.data[i] == 0xff && jpeg.data[i + 1] == 0xc0)
            memcpy(jpeg.data + i + 5, (unsigned char[]){0xff, 0, 0xff, 0}, 4);
    assert_int_equal(at_picture_parse(&ctx, "NAME", jpeg.data, jpeg.bytes, &p), AT_UNSUPPORTED);
    expect_says(&ctx, "NAME: 65280 x 65280 pixels");
    free(png.data);
    free(jpeg.data);
}

static at_picture picture(int64_t h, int64_t w, int64_t c, const unsigned char *pixels) {
    at_picture p = {{h, w, c}, at_malloc(&ctx, (size_t)(h * w * c))};
    memcpy(p.pixel, pixels, (size_t)(h * w * c));
    return p;
}

static void sizes(void **state) {
    (void)state;
    static const struct {
        int64_t h, w, c, to_h, to_w;
        unsigned char from[16], to[16];
    } how[] = {
        {1, 2, 1, 1, 4, {0, 255}, {0, 64, 191, 255}}, /* 1/4 and 3/4 between */
        {2, 1, 1, 4, 1, {0, 255}, {0, 64, 191, 255}},
        {2, 2, 1, 1, 1, {0, 100, 200, 60}, {90}},
        {1, 4, 1, 1, 2, {0, 0, 240, 240}, {34, 206}}, /* weights 3 3 1 of 7 at an edge */
        {1, 2, 3, 1, 1, {0, 30, 60, 100, 50, 70}, {50, 40, 65}},
        {2, 2, 1, 2, 2, {1, 2, 3, 4}, {1, 2, 3, 4}},
        {2, 1, 1, 1, 2, {7, 7}, {7, 7}},
    };
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        at_picture p = picture(how[i].h, how[i].w, how[i].c, how[i].from);
        OK(at_picture_resize(&ctx, &p, how[i].to_h, how[i].to_w));
        assert_true(p.size.height == how[i].to_h && p.size.width == how[i].to_w &&
                    p.size.channels == how[i].c);
        for (int64_t k = 0; k < at_image_numel(p.size); k++)
            if (p.pixel[k] != how[i].to[k])
                fail_msg("%d, value %d: expected %d, found %d", (int)i, (int)k, how[i].to[k],
                         p.pixel[k]);
        at_picture_close(&p);
    }
    at_picture p = picture(2, 2, 3, COLOUR);
    OK(at_picture_channels(&ctx, &p, 1));
    assert_memory_equal(p.pixel, ((unsigned char[]){76, 150, 29, 18}), 4);
    OK(at_picture_channels(&ctx, &p, 3));
    assert_memory_equal(p.pixel, ((unsigned char[]){76, 76, 76, 150, 150, 150}), 6);
    at_picture_close(&p);
}

/* ---- folders ---- */

static char warning[1000];
static void hear(void *user, at_log_level level, const char *line) {
    (void)user;
    if (level == AT_LOG_WARN) (void)snprintf(warning, sizeof warning, "%s", line);
}

static void put(const char *name, bytes b) {
    char *path = at_strdup(&ctx, in(name)), *slash = strrchr(path, '/');
    *slash = 0;
    OK(at_make_dir(&ctx, path));
    *slash = '/';
    OK(at_write_file(&ctx, path, b.data, b.bytes));
    at_free(path);
}

static void folders(void **state) {
    (void)state;
    const bytes grey = png_of(PNG_FORMAT_GRAY, 2, 3, GREY, NULL, 0),
                other = png_of(PNG_FORMAT_GRAY, 3, 2, GREY, NULL, 0),
                colour = png_of(PNG_FORMAT_RGB, 2, 2, COLOUR, NULL, 0),
                text = {(unsigned char *)(uintptr_t) "text", 4};
    at_table t;
    char sum[2][AT_SHA256_TEXT];
    ctx.log = hear;
    put("p/10/b.png", grey);
    put("p/9/deep/a.png", grey);
    put("p/9/c.png", grey);
    put("p/9/.hidden.png", text);
    OK(at_table_read(&ctx, in("p"), NULL, &t));
    assert_true(!*warning && t.rows == 3 && t.n == 2 && t.outputs == 1);
    assert_string_equal(t.column[1].name, "label");
    assert_string_equal(t.column[1].levels.name[0], "9"); /* by value */
    assert_memory_equal(t.column[1].level, ((int32_t[]){1, 0, 0}), 12);
    assert_true(strstr(t.file[2], "/p/9/deep/a.png") != NULL);
    assert_memory_equal(t.column[0].byte + 12, GREY, 6);
    char where[AT_WHERE];
    assert_true(strstr(at_table_where(&t, 1, where), "/p/9/c.png") != NULL);
    at_table_close(&t);
    OK(at_table_sum(&ctx, in("p"), sum[0]));
    put("p/10/d.png", other);
    OK(at_table_sum(&ctx, in("p"), sum[1]));
    assert_string_not_equal(sum[0], sum[1]);
    assert_int_equal(at_table_read(&ctx, in("p"), NULL, &t), AT_MISMATCH);
    expect_says(&ctx, "/p/10/b.png is 2 x 3 pixels, ");
    expect_says(&ctx, "/p/10/d.png is 3 x 2 (height x width): table.image_size says");
    put("p/9/notes.txt", text);
    put("p/out.png", grey);
    put("p/9/z.png", colour);
    const at_table_options size = {.image = {.height = 2, .width = 2}};
    OK(at_table_read(&ctx, in("p"), &size, &t));
    assert_true(t.rows == 5 && t.column[0].image.width == 2 && t.column[0].image.channels == 3);
    assert_memory_equal(t.column[0].byte + 48, COLOUR, 12);
    assert_true(t.column[0].byte[0] == t.column[0].byte[1]); /* grey ones, too */
    assert_true(strstr(warning, "2 files are left out, ") &&
                strstr(warning, "/p/9/notes.txt first"));
    at_table_close(&t);
    const at_table_options as_grey = {.image = {.height = 2, .width = 2, .channels = 1}};
    OK(at_table_read(&ctx, in("p"), &as_grey, &t));
    assert_true(t.column[0].image.channels == 1);
    assert_memory_equal(t.column[0].byte + 16, ((unsigned char[]){76, 150, 29, 18}), 4);
    at_table_close(&t);
    put("q/a.png", grey); /* without classes */
    OK(at_table_read(&ctx, in("q"), NULL, &t));
    assert_true(t.rows == 1 && t.n == 1 && t.outputs == 0);
    at_table_close(&t);
    OK(at_table_read(&ctx, in("q/a.png"), &size, &t));
    assert_true(t.rows == 1 && t.n == 1 && t.column[0].image.width == 2);
    at_table_close(&t);
    OK(at_table_read(&ctx, in("p/9/z.png"), &as_grey, &t));
    assert_true(t.column[0].image.channels == 1);
    at_table_close(&t);
    put("r/a/notes.txt", text);
    assert_int_equal(at_table_read(&ctx, in("r"), NULL, &t), AT_FORMAT);
    expect_says(&ctx, "expected PNG or JPEG files, in a folder for each class");
    put("r/a/cut.png", (bytes){grey.data, grey.bytes - 5});
    assert_int_equal(at_table_read(&ctx, in("r"), NULL, &t), AT_FORMAT);
    expect_says(&ctx, "/r/a/cut.png: the PNG file is cut short");
    free(grey.data);
    free(other.data);
    free(colour.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds), cmocka_unit_test(damaged), cmocka_unit_test(bombs),
        cmocka_unit_test(sizes), cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
