#include "base/cleanup.h"
#include "svc/elbv2/rows.h"
#include "svc/elbv2/state.h"

struct str elbv2_region_of(void *self, struct arena *a, struct str load_balancer)
{
    struct elbv2 *e = self;
    auto_op struct op op;
    op_init(&op);
    op.account = e->options.account;
    op.region = STR("");
    struct str kind = STR_NONE;
    struct str rest = STR_NONE;
    struct str name = STR_NONE;
    struct str id = STR_NONE;
    if (!str_cut(load_balancer, '/', &kind, &rest) || !str_cut(rest, '/', &name, &id)) {
        return STR_NONE;
    }
    struct store_range range = {.prefix = name, .is_every_region = true};
    struct store_items items = {0};
    if (store_list(&op, e->store, &elbv2_kind_load_balancer, &range, &items) != ERR_OK) {
        return STR_NONE;
    }
    for (size_t i = 0; i < items.count; i++) {
        const struct elbv2_load_balancer *lb = items.items[i].value;
        if (str_ends_with(lb->load_balancer_arn, load_balancer)) {
            return arena_str(a, items.items[i].region);
        }
    }
    return STR_NONE;
}
