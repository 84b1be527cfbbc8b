/*
 * licence.h - the licence that lies in a folder of texts: LICENCE, LICENSE or COPYING, in capitals
 * or not, also .txt and .md.
 *
 * When the file is one line, that line is the SPDX expression ("CC-BY-SA-4.0"); so is the rest of a
 * first line that begins with "SPDX-License-Identifier:".  Of any other file it is known that it is
 * there, and its digest.  The file is not read as text.
 */
#ifndef AT_LICENCE_H
#define AT_LICENCE_H
#include "base/sha256.h"

typedef struct at_licence {
    char *file;    /* its name in the folder, or NULL: there is none; from the heap */
    char spdx[80]; /* "" when it does not say */
    char sha256[AT_SHA256_TEXT];
} at_licence;

/** Whether a file of that name, without folders, is a licence. */
bool at_licence_is(const char *name);
/** Looks into a folder; a path that is none has no licence. */
at_status at_licence_find(at_ctx *c, const char *folder, at_licence *out);
void at_licence_free(at_licence *l);

#endif
