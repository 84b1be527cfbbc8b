/*
 * probe_lm.h - what the experts of a language model with mixtures are worth: of each bank how its experts
 * share the tokens, what is lost where each of them is the most probable, how much the outputs of the experts
 * of a token differ, and the loss of the model without each expert in turn.
 *
 *   at_lm_probe p = {.context = 128, .windows = 16};
 *   at_lm_probe_measure(cp, m, dataset, split, &p);
 *   at_lm_probe_close(&p);
 *
 * The domain of an expert is the tokens for which it is the most probable one of its bank.  No expert of such
 * a layer predicts a token by itself, so there is no accuracy of one, and no recall of the gate.
 */
#ifndef AT_PROBE_LM_H
#define AT_PROBE_LM_H
#include "arch/read.h"
#include "data/dataset.h"

typedef struct at_probed_slot {
    double share;   /* of the bank's choices                                            */
    int64_t tokens; /* of its domain                                                    */
    double loss;    /* nats a token there; NaN: there are none                          */
    double
        without; /* nats a token of all, where it is excluded; NaN: it is closed anyway, or no other
                       is open                                                           */
} at_probed_slot;

typedef struct at_probed_bank {
    at_router_id id;
    int64_t n, k;
    at_probed_slot *slot; /* [n] owned                                                  */
    double gate_entropy;  /* mean entropy of the probabilities / log n                   */
    double load_entropy;  /* entropy of the shares / log n: 1 for an even load           */
    double largest;       /* share of the tokens in the largest domain                  */
    double spread; /* sum |e_i - mean|^2 / sum |e_i|^2 over tokens and their experts; NaN: it has
                             none that are seen together                                */
    double mean_without, worst_without;
    double off, size; /* the two sums */
} at_probed_bank;

typedef struct at_lm_probe {
    int64_t context, windows; /* given: tokens of a window, most windows of each domain  */
    int64_t tokens;           /* that were predicted                                     */
    double loss;              /* nats a token                                            */
    int64_t domains;
    double *domain_loss;    /* [domains of the data] owned                               */
    int64_t *domain_tokens; /* [the same] owned                                          */
    at_probed_bank *bank;   /* [n] owned: banks with a choice                            */
    int64_t n;
} at_lm_probe;

/** AT_UNSUPPORTED: the model has no mixture; AT_ARG: the split has no tokens.  Slots of the model must not be
    used by others meanwhile. */
at_status at_lm_probe_measure(at_compute *cp, at_model *m, const at_dataset *d, at_split split,
                              at_lm_probe *p);
void at_lm_probe_write(const at_lm_probe *p, const at_dataset *d, at_json *j);
void at_lm_probe_close(at_lm_probe *p);

#endif
