/* report.h - self-contained HTML reports: of a training run, and of whatever a spec lists. */
#ifndef AT_REPORT_H
#define AT_REPORT_H
#include "base/ctx.h"

/** run_dir/report.html from run_dir/metrics.jsonl and run_dir/recipe.yaml (may be missing). */
at_status at_report_run(at_ctx *c, const char *run_dir);

/**
 * A page from a JSON description.  File names in it are relative to the folder of the spec, or else
 * to the current one.
 *
 *     {"title": "...", "subtitle": "...", "sections": [SECTION, ...]}
 *
 * A section holds any of these, shown in this order:
 *     "heading": "...",  "text": "paragraphs\n\nseparated by empty lines"
 *     "figures": {"label": value, ...}                    large numbers in a row
 *     "chart":   {"title", "x", "y", "log_x": false, "log_y": false, "series": [SERIES, ...]}
 *        SERIES: {"name", "metrics": "run/metrics.jsonl", "x": "tokens", "y": "loss",
 *                 "domain": "fr", "smooth": false}   or   {"name", "points": [[x, y], ...]}
 *     "bars":    {"title", "label", GRID}
 *     "table":   {"title", "columns": ["..."], "rows": [["...", 1.5], ...]}   or   {"title", GRID}
 *        GRID: "key": "domain", "from": [{"title", "file": "eval.jsonl", "field": "ppl"}, ...]
 *              one group for each value of key in the first file, one series for each of "from"
 *     "confusion": {"title", "labels": ["..."], "counts": [[...]]}   or   {"title", "file": F}
 *        F: a file whose first line with a field "confusion" has "classes" as well
 *     "heat":    {"title", "rows": ["..."], "columns": ["..."], "values": [[...], ...]}, null: empty
 *     "samples": [{"label", "prompt", "text" or "file"}, ...]
 */
at_status at_report_spec(at_ctx *c, const char *spec_path, const char *out_path);

#endif
