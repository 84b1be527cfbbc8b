/* mome_text.c - written for a reader who does not know the paper. */
#include "lab/mome_text.h"

const char *const mome_text_intro =
    "The paper makes one multilingual language model out of small parts. A large model, the "
    "teacher, has read all languages. Small models, the students, learn from text and from the "
    "teacher: besides the next token of the text they are shown how probable the teacher holds "
    "every token. Several such students, one for each language, are put behind a router, which "
    "reads the beginning of a text and picks one; a part can then be trained, added or removed "
    "without touching the others. Programming (Python) counts as a language.\n\n"
    "The paper's own models have some hundred million parameters, and its tables are not repeated "
    "here. What its claims say was tried with small models.";

const char *const mome_text_reading =
    "Losses are nats a token: the mean of minus the natural logarithm of the probability that a "
    "model gave to the token that came next. Less is better; perplexity is e to the power of it. "
    "0.01 nats are 1 % of perplexity. All losses are those of the test split, from which nothing "
    "was chosen, unless the validation split is named.\n\n"
    "Everything was trained with several seeds. The runs of a comparison share them: the same "
    "initial values where the shapes are the same, and the same text in the same order. So "
    "differences are taken seed by seed; the effect is their mean, the interval Student's t, 95 %. "
    "It covers other seeds, not other text, and not another teacher. A claim holds when the effect "
    "lies on the claimed side of the bound and p, corrected by Holm's method for all claims of "
    "this page, is below 0.05. A claim that does not hold is not refuted: the interval says what "
    "is left. Where the paper says nothing there is a dash, and the claim is ours.";

const char *const mome_text_losses =
    "A student has two losses: the cross entropy with the text, and the divergence of its "
    "probabilities from the teacher's. Its loss is alpha times the first plus 1 - alpha times the "
    "second. The paper compares a fixed alpha of one half with one that adapts: a loss that rose "
    "over the last steps gives way to the other. It also compares the weighted sum with turns: a "
    "step by the text, a step by the teacher. And the divergence has two directions: forward asks "
    "the student to hold possible whatever the teacher holds possible, reverse to say nothing that "
    "the teacher would not say.\n\n"
    "Done here: students of all languages, equal in everything but what the table's first column "
    "says; temperature 1. (Losses in turns are cheaper, as the teacher "
    "is asked in every second step; tokens are equal, operations are not.) Two further rules for "
    "alpha and three further divergences are ours to "
    "compare. Steadiness is measured in the second half of each run: the standard deviation of the "
    "norm of the gradient, and of the changes of the loss from step to step. Losses in turns jump "
    "by their nature, as the logged loss is now the one, now the other; the cross entropy with the "
    "text, worked out in every step whatever was learnt from, does not have that excuse.";

const char *const mome_text_teacher =
    "That distillation helps goes without saying in the paper. But a step with a teacher costs "
    "more: the teacher reads every batch, too. So the student with a teacher is compared with two "
    "without: one that reads as many tokens, and one that goes on until its training has cost as "
    "many operations. What it cost to train the teacher is not counted; the table shows it.";

const char *const mome_text_compositions =
    "Three ways to put modules together. PLE (pre-trained language experts): complete students, "
    "each "
    "of one language, trained apart, and a router. JEET (joint expert embedding training): a "
    "trunk, "
    "which is all between embedding and head, for each language, over an embedding and a head that "
    "all share; trained together, each step in one language. MoE-CE (mixture of experts with a "
    "common expert): JEET with one more trunk that is always run and always trained; what the two "
    "trunks come to is averaged.\n\n"
    "They are compared with one student that read as many tokens of all languages as they did "
    "together: one that does as much for a token, and one with as many parameters as the experts "
    "of "
    "PLE. The router reads the first 32 tokens of a window; for JEET and MoE-CE the language is "
    "taken as known, and claims that compare PLE with JEET do so for both. MoE-CE does more for a "
    "token than the others: two trunks. The picture has the loss of each expert of PLE in each "
    "language: what a wrong choice costs.";

const char *const mome_text_router =
    "The router counts tokens (TF-IDF) and decides by logistic regression, which the paper found "
    "to "
    "be the best of several classifiers; which others, and by how much, is in a table that could "
    "not be read. Here it is compared with those in the first column, all linear, each with its "
    "usual strength of regularisation. Each was fitted anew with each seed, on other windows of "
    "the "
    "training split. To be the best, logistic regression has to beat each of them: the effect is "
    "its "
    "F1 on 32 tokens minus that of the best rival.";

const char *const mome_text_forgetting =
    "Who learns one thing after the other may lose the first. A student learns the languages one "
    "after the other, from the model of the stage before, with a fresh optimiser and learning rate "
    "schedule, in as many orders as there are languages: each begins with another one. After "
    "each stage it is measured in all languages: the rows of the pictures. It is compared with the "
    "same and "
    "replay (a twentieth of the sequences are of languages learnt before); with modules, where "
    "each stage trains a new student and the router picks among those there are; and with one "
    "session that reads all languages at once, evenly or with seven of ten sequences of one.\n\n"
    "What is forgotten of a language is its loss at the end minus its least loss after any stage; "
    "the mean leaves out the language learnt last. Backward transfer is the loss just after its "
    "own stage minus that at the end: below 0 where later languages did harm. Modules cannot "
    "forget "
    "what they hold; but as the router has more to choose from, it can err more. Sessions have no "
    "stages: their rows are parts of the session, and of the validation split.";

const char *const mome_text_texts = "A loss does not say how a text reads. Each student continued "
                                    "the beginnings of documents of the "
                                    "test split, at temperature 0.8. Counted are words that the "
                                    "training text of the language does not "
                                    "have, runs of four words that the same text had before, and "
                                    "texts that the router takes for the "
                                    "language of their beginning. The last row has the same of "
                                    "what the documents go on with: a good "
                                    "writer comes close to it.";
