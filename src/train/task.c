/* task.c - the table. */
#include "train/task.h"

#define X(name) &at_task_##name,
const at_task *const at_tasks[] = {AT_TASKS(X) NULL};
#undef X
