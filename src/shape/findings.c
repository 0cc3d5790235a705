#include "shape/findings.h"

#include "base/check.h"

static struct str enum_constraint(struct arena *a, const struct shape *shape)
{
    struct str text = STR("Member must satisfy enum value set: [");
    for (size_t i = 1; i <= shape->enum_count; i++) {
        text = arena_printf(a, "%.*s%s%s", STR_ARG(text), i == 1 ? "" : ", ", shape->enum_names[i]);
    }
    return arena_printf(a, "%.*s]", STR_ARG(text));
}

struct str shape_finding_constraint(struct arena *a, const struct shape_finding *f)
{
    switch (f->fault) {
    case SHAPE_FAULT_MISSING:
        return STR("Member must not be null");
    case SHAPE_FAULT_TOO_SHORT:
        return arena_printf(a, "Member must have length greater than or equal to %.0f",
                            f->shape->min);
    case SHAPE_FAULT_TOO_LONG:
        return arena_printf(a, "Member must have length less than or equal to %.0f", f->shape->max);
    case SHAPE_FAULT_TOO_SMALL:
        return arena_printf(a, "Member must have value greater than or equal to %.15g",
                            f->shape->min);
    case SHAPE_FAULT_TOO_LARGE:
        return arena_printf(a, "Member must have value less than or equal to %.15g", f->shape->max);
    case SHAPE_FAULT_ENUM:
        return enum_constraint(a, f->shape);
    case SHAPE_FAULT_UNKNOWN:
        return STR("Member is not known to this operation");
    case SHAPE_FAULT_MISTYPED:
        return arena_printf(a, "Member must be %s, not %s", f->wanted, f->found);
    }
    UNREACHABLE("every fault has its constraint");
}

struct str shape_findings_coral_text(struct arena *a, const struct shape_findings *f)
{
    CHECK(f->count > 0);
    struct str text = arena_printf(a, "%zu validation error%s detected: ", f->total_count,
                                   f->total_count == 1 ? "" : "s");
    for (size_t i = 0; i < f->count; i++) {
        const struct shape_finding *one = &f->items[i];
        struct str value =
            str_is_set(one->value) ? arena_printf(a, "'%.*s'", STR_ARG(one->value)) : STR("null");
        struct str constraint = shape_finding_constraint(a, one);
        text = arena_printf(a, "%.*s%sValue %.*s at '%.*s' failed to satisfy constraint: %.*s",
                            STR_ARG(text), i == 0 ? "" : "; ", STR_ARG(value),
                            STR_ARG(one->coral_path), STR_ARG(constraint));
    }
    return text;
}

struct str shape_finding_text(struct arena *a, const struct shape_finding *f)
{
    switch (f->fault) {
    case SHAPE_FAULT_UNKNOWN:
        return arena_printf(a, "unknown member \"%.*s\"", STR_ARG(f->path));
    case SHAPE_FAULT_MISTYPED:
        return arena_printf(a, "\"%.*s\" must be %s, not %s", STR_ARG(f->path), f->wanted,
                            f->found);
    case SHAPE_FAULT_MISSING:
        return arena_printf(a, "\"%.*s\" is missing", STR_ARG(f->path));
    case SHAPE_FAULT_TOO_SHORT:
    case SHAPE_FAULT_TOO_LONG:
    case SHAPE_FAULT_TOO_SMALL:
    case SHAPE_FAULT_TOO_LARGE:
    case SHAPE_FAULT_ENUM:
        break;
    }
    struct str constraint = shape_finding_constraint(a, f);
    return arena_printf(a, "\"%.*s\": %.*s", STR_ARG(f->path), STR_ARG(constraint));
}
