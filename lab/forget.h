/*
 * forget.h - what a student that learns one thing after the other has lost in the end.
 *
 * R[i][j] is the loss in language j after stage i, in nats a token.  After D. Lopez-Paz and M.
 * Ranzato, "Gradient episodic memory for continual learning", 2017, and A. Chaudhry et al.,
 * "Riemannian walk for incremental learning", 2018, with losses, where low is good, for accuracies.
 */
#ifndef AT_FORGET_H
#define AT_FORGET_H

enum { AT_FORGET_MAX = 8 };

typedef struct at_forget_matrix {
    int stages, n;                          /* n languages                            */
    int learnt[AT_FORGET_MAX];              /* by stage: the language learnt there; -1: all */
    double r[AT_FORGET_MAX][AT_FORGET_MAX]; /* [stage, language]                      */
} at_forget_matrix;

typedef struct at_forget {
    double forgetting[AT_FORGET_MAX]; /* F_j = R[last][j] - min over stages i of R[i][j], >= 0 */
    double mean;     /* of F over the languages but the one learnt last, which had no time to go */
    double worst;    /* largest F                                                         */
    double backward; /* mean over the same languages of R[stage of j][j] - R[last][j]: below 0
                        where later languages did harm; 0 where all are learnt at once */
    double end;      /* mean over all languages of R[last][j] */
} at_forget;

at_forget at_forget_of(const at_forget_matrix *m);

#endif
