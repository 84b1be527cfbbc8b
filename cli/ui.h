/*
 * ui.h - what every verb needs: the library's context, Ctrl-C, the log, the exit code.
 *
 *   ui u = {0};
 *   ... opt table with UI_OPTIONS(&u), opt_parse ...
 *   if (!ui_open(&u, "train")) return 1;
 *   artel_status s = artel_train(u.a, ..., u.json ? ui_json : draw, &u);
 *   return ui_close(&u, s);              prints artel_error, frees, gives 0, 1, 2 or 130
 */
#ifndef CLI_UI_H
#define CLI_UI_H
#include "artel.h"
#include "opt.h"

typedef struct ui {
    artel *a;
    const char *verb;
    int64_t threads; /* 0: the cores this process may use */
    int64_t seed;    /* -1: not given, the recipe's or 0  */
    bool quiet, json;
    bool terminal, colour; /* of stderr                   */
    bool line_open;        /* a progress line waits to be overwritten */
    double last_progress;  /* seconds                     */
} ui;

/* Rows for the verb's table. */
#define UI_OPTIONS(u)                                                                                \
    {                                                                                                \
        "threads",                                                                                   \
        0,                                                                                           \
        OPT_INT,                                                                                     \
        &(u)->threads,                                                                               \
        "0",                                                                                         \
        "N",                                                                                         \
        "threads; 0: the cores this process may use",                                                \
        0,                                                                                           \
        4096},                                                                                       \
        {"seed", 0,   OPT_INT, &(u)->seed, "-1", "N", "of all random numbers; same seed, same bits", \
         -1,     9e15},                                                                              \
        {"quiet", 'q', OPT_FLAG, &(u)->quiet, NULL, NULL, "no progress on stderr", 0, 0}, {          \
        "json", 0, OPT_FLAG, &(u)->json, NULL, NULL, "one JSON object a line on stdout", 0, 0        \
    }

/** Opens u->a with the options given; from here on Ctrl-C, SIGTERM and SIGHUP (unless it was
    ignored before) ask the library to stop, and a second Ctrl-C or SIGTERM ends the process.
    False: the reason is on stderr, return 1. */
bool ui_open(ui *u, const char *verb);
/** Prints what went wrong, closes u->a and returns the exit code. */
int ui_close(ui *u, artel_status s);

/** artel_emit for --json: the object as a line on stdout; user is not used. */
void ui_json(void *user, const char *json);

/** Prints a message about wrong usage to stderr; returns 2. */
int ui_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Prints a message about a failure to stderr; returns 1. */
int ui_fail(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "12.3 MB", "1.5 k".  In one of a few static buffers that are used in turn. */
const char *ui_bytes(double bytes);
const char *ui_count(double n);

#endif
