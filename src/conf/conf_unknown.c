/* conf_unknown.c - finds unknown keys and suggests known ones. */
#include "base/nearest.h"
#include "conf/conf_internal.h"
#include <string.h>

static const char *leaf(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* The most similar known path: one of similar spelling in the same section, or else the same name
   in another section. */
static const char *suggestion(const at_conf *f, const char *path) {
    const char *best = NULL, *name = leaf(path);
    const size_t parent = (size_t)(name - path);
    int least = 1000;
    for (int64_t i = 0; i < f->known.n; i++) {
        const char *known = f->known.item[i], *end = leaf(known);
        if ((size_t)(end - known) != parent || memcmp(known, path, parent) != 0) continue;
        const int d = at_nearest(name, &end, 1) ? at_edit_distance(name, end) : 1000;
        if (d < least) {
            least = d;
            best = known;
        }
    }
    for (int64_t i = 0; !best && i < f->known.n; i++)
        if (!strcmp(leaf(f->known.item[i]), name)) best = f->known.item[i];
    return best;
}

static at_status refuse(at_ctx *c, const at_conf *f, const at_node *n, const char *path) {
    char place[AT_PLACE_MAX];
    at_node_place(f, n, true, place);
    if (n->wants_list) return at_error(c, AT_CONFIG, "%s: `%.200s`: expected a list", place, path);
    const char *near = suggestion(f, path);
    if (near)
        return at_error(c, AT_CONFIG, "%s: unknown key `%.200s`, did you mean `%.200s`?", place,
                        path, near);
    return at_error(c, AT_CONFIG, "%s: unknown key `%.200s`", place, path);
}

static at_status check(at_ctx *c, const at_conf *f, const at_node *parent, char *path, size_t n) {
    int64_t index = 0;
    at_status s = AT_OK;
    for (const at_node *k = parent->child; k && !s; k = k->next, index++) {
        int more;
        if (k->key)
            more = snprintf(path + n, AT_CONF_PATH_MAX - n, "%s%s", n ? "." : "", k->key);
        else
            more =
                snprintf(path + n, AT_CONF_PATH_MAX - n, "%s%lld", n ? "." : "", (long long)index);
        if (!k->used)
            s = refuse(c, f, k, path);
        else if (k->kind != AT_NODE_SCALAR && n + (size_t)more < AT_CONF_PATH_MAX)
            s = check(c, f, k, path, n + (size_t)more);
        path[n] = 0;
    }
    return s;
}

at_status at_conf_finish(at_ctx *c, at_conf *f) {
    char path[AT_CONF_PATH_MAX] = "";
    return check(c, f, f->root, path, 0);
}
