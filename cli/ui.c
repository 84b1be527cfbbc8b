/* ui.c - stderr for people, signals, exit codes. */
#include "ui.h"
#include "printable.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_SECONDS = 5 };

/* ---- signals ------------------------------------------------------------------------------ */

/* The one context signals go to; set before the handler is installed. */
static artel *volatile running;

static void on_signal(int number) {
    (void)number;
    if (running) artel_interrupt(running);
}

/* With SA_RESETHAND a second Ctrl-C, or SIGTERM, has the default action and ends the process.  Not
   so SIGHUP: a terminal that is closed may send it more than once.  A program that was told to
   ignore SIGHUP (nohup) goes on ignoring it. */
static void catch_signals(void) {
    struct sigaction act = {.sa_handler = on_signal}, was;
    act.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    (void)sigemptyset(&act.sa_mask);
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    act.sa_flags = SA_RESTART;
    if (sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler != SIG_IGN)
        (void)sigaction(SIGHUP, &act, NULL);
}

/* ---- the log ------------------------------------------------------------------------------ */

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Width of a progress line: one that the terminal wraps cannot be overwritten. */
static int columns(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1 : 79;
}

static void end_line(ui *u) {
    if (u->line_open) fputs("\r\033[K", stderr);
    u->line_open = false;
}

static void log_line(void *user, artel_log_level level, const char *line) {
    ui *u = user;
    if (level == ARTEL_PROGRESS) {
        if (u->quiet) return;
        if (u->terminal) {
            fprintf(stderr, "\r\033[K%.*s", columns(), line);
            u->line_open = true;
        } else {
            const double t = now();
            if (t - u->last_progress < EVERY_SECONDS) return;
            u->last_progress = t;
            fprintf(stderr, "%s\n", line);
        }
        (void)fflush(stderr);
        return;
    }
    if (level == ARTEL_INFO && u->quiet) return;
    end_line(u);
    if (level == ARTEL_WARN)
        fprintf(stderr, u->colour ? "\033[33mwarning:\033[0m %s\n" : "warning: %s\n", line);
    else
        fprintf(stderr, "%s\n", line);
}

/* ---- open, close -------------------------------------------------------------------------- */

bool ui_open(ui *u, const char *verb) {
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    u->verb = verb;
    u->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    u->colour = u->terminal && !(plain && *plain);
    u->last_progress = now();
    u->a = artel_open((int)u->threads, log_line, u);
    if (!u->a) {
        (void)ui_fail(verb, "out of memory");
        return false;
    }
    running = u->a;
    catch_signals();
    return true;
}

static int exit_code(artel_status s) {
    switch (s) {
    case ARTEL_OK: return 0;
    case ARTEL_ARG: return 2;
    case ARTEL_INTERRUPTED: return 130;
    default: return 1;
    }
}

int ui_close(ui *u, artel_status s) {
    end_line(u);
    (void)fflush(stdout); /* results before the error message */
    if (s == ARTEL_INTERRUPTED) {
        const char *why = artel_error(u->a);
        fprintf(stderr, "artel %s: %s\n", u->verb, *why ? why : "interrupted");
    } else if (s) {
        const char *why = artel_error(u->a);
        (void)ui_fail(u->verb, "%s", *why ? why : artel_status_text(s));
    }
    running = NULL;
    artel_close(u->a);
    u->a = NULL;
    return exit_code(s);
}

void ui_json(void *user, const char *json) {
    (void)user;
    (void)puts(json);
    (void)fflush(stdout); /* so that the reader of a pipe sees each result at once */
}

/* ---- messages ----------------------------------------------------------------------------- */

static void say(const char *verb, const char *fmt, va_list ap) {
    char text[4096];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    printable_print(stderr, "artel %s: %s\n", verb, text);
}

int ui_usage(const char *verb, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    say(verb, fmt, ap);
    va_end(ap);
    if (*verb != '-') fprintf(stderr, "Try `artel %s --help`.\n", verb);
    return 2;
}

int ui_fail(const char *verb, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    say(verb, fmt, ap);
    va_end(ap);
    return 1;
}

static const char *scaled(double v, double base, const char *const *unit, int n) {
    static char ring[4][32];
    static int next;
    char *out = ring[next++ & 3];
    int i = 0;
    for (; v >= base && i + 1 < n; i++) v /= base;
    (void)snprintf(out, sizeof ring[0], i == 0 ? "%.0f%s" : "%.3g%s", v, unit[i]);
    return out;
}

const char *ui_bytes(double bytes) {
    static const char *const unit[] = {" B", " kB", " MB", " GB", " TB"};
    return scaled(bytes, 1000, unit, 5);
}

const char *ui_count(double n) {
    static const char *const unit[] = {"", " k", " M", " G", " T"};
    return scaled(n, 1000, unit, 5);
}
