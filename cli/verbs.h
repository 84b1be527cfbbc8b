/*
 * verbs.h - the table of all verbs of artel.
 *
 * To add one: a row here, and cli/cmd_<name>.c with `int cmd_<name>(int argc, char **argv)`, which
 * fills an option table (opt.h), opens the context (ui.h) and calls one function of artel.h.  A
 * verb with sub-verbs ("data build") passes its arguments on to opt_dispatch.
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

/* name, one line of help; in the order of `artel help`. */
#define VERBS(X)                                                        \
    X(data, "text -> a balanced, tokenised data set")                   \
    X(tokenizer, "train a tokenizer, text to ids and back")             \
    X(train, "a model from scratch, or from another one")               \
    X(capture, "a teacher's logits of a text, for many students")       \
    X(distill, "a teacher into a student")                              \
    X(router, "train, measure and question a sequence router")          \
    X(plan, "what a training run would cost, before it runs")           \
    X(compose, "experts and a router into one model")                   \
    X(extend, "one more expert or module for a model, and a proof")     \
    X(prune, "a mixture for some domains, without other experts")       \
    X(module, "modules of a mixture: listed, added, dropped, shipped")  \
    X(eval, "loss and perplexity on each domain of a data set")         \
    X(predict, "what a model of tables says of rows")                   \
    X(probe, "what each expert of a classifier knows")                  \
    X(atlas, "which experts of a mixture read what")                    \
    X(doctor, "what is silently wrong with a mixture")                  \
    X(translate, "lines of text into another language")                 \
    X(score, "BLEU and chrF of a text against a reference")             \
    X(generate, "text from a model")                                    \
    X(logits, "raw logits of given token ids")                          \
    X(convert, "a model folder in another shape, proved by its logits") \
    X(inspect, "what a model, data set, run or tensor file holds")      \
    X(report, "a self-contained HTML page from a description or a run") \
    X(lab, "a paper's claims, tried on real data")                      \
    X(bench, "speed against the limit of this machine")

#define X(name, about) int cmd_##name(int argc, char **argv);
VERBS(X)
#undef X

#endif
