/* licence.c - see licence.h. */
#include "data/licence.h"
#include "base/file.h"
#include <string.h>
#include <strings.h>

enum { LICENCE_BYTES = 1 << 20 };

bool at_licence_is(const char *name) {
    static const char *const stems[] = {"licence", "license", "copying"};
    static const char *const ends[] = {"", ".txt", ".md"};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        const size_t n = strlen(stems[i]);
        if (strncasecmp(name, stems[i], n) != 0) continue;
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            if (strcasecmp(name + n, ends[k]) == 0) return true;
    }
    return false;
}

void at_licence_free(at_licence *l) {
    at_free(l->file);
    *l = (at_licence){0};
}

/* The SPDX expression of the text, if it has one. */
static void expression(const char *text, char *spdx, size_t room) {
    static const char tag[] = "SPDX-License-Identifier:";
    static const char *const blanks = " \t\r\n";
    static const char *const letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-() ";
    text += strspn(text, blanks);
    const bool tagged = strncmp(text, tag, sizeof tag - 1) == 0;
    if (tagged) text += sizeof tag - 1;
    text += strspn(text, " \t");
    size_t n = strcspn(text, "\r\n");
    const bool alone = text[n + strspn(text + n, blanks)] == 0;
    while (n > 0 && strchr(" \t", text[n - 1])) n--;
    if (n == 0 || n >= room || strspn(text, letters) < n || (!tagged && !alone)) return;
    memcpy(spdx, text, n);
    spdx[n] = 0;
}

static at_status read_licence(at_ctx *c, const char *folder, at_licence *out) {
    char *path = at_join(c, folder, out->file);
    size_t bytes;
    char *text = path ? at_read_file(c, path, LICENCE_BYTES, &bytes) : NULL;
    if (text) expression(text, out->spdx, sizeof out->spdx);
    const at_status s = text ? at_sha256_file(c, path, out->sha256) : c->status;
    at_free(text);
    at_free(path);
    return s;
}

at_status at_licence_find(at_ctx *c, const char *folder, at_licence *out) {
    *out = (at_licence){0};
    if (!at_is_dir(folder)) return AT_OK;
    at_list l = {0};
    at_status s = at_list_names(c, folder, &l);
    if (!s) at_list_sort(&l);
    for (int64_t i = 0; !s && i < l.n && !out->file; i++)
        if (at_licence_is(l.item[i]) && !(out->file = at_strdup(c, l.item[i]))) s = c->status;
    at_list_free(&l);
    if (!s && out->file) s = read_licence(c, folder, out);
    if (s) at_licence_free(out);
    return s;
}
