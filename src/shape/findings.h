#pragma once
/* What is wrong with a request, member by member. A strict decoder collects findings; the service's
 * protocol turns them into its own words (aws/faults.h). */

#include "base/op.h"
#include "shape/shape.h"

#define SHAPE_FINDINGS_MAX 10 /* kept; later ones are only counted, as AWS's messages do */

enum shape_fault {
    SHAPE_FAULT_UNKNOWN,  /* the shape has no such member */
    SHAPE_FAULT_MISTYPED, /* the value is of another type; decoding ends with this one */
    SHAPE_FAULT_MISSING,  /* required and absent */
    SHAPE_FAULT_TOO_SHORT,
    SHAPE_FAULT_TOO_LONG,
    SHAPE_FAULT_TOO_SMALL,
    SHAPE_FAULT_TOO_LARGE,
    SHAPE_FAULT_ENUM,
};

struct shape_finding {
    enum shape_fault fault;
    struct str member;     /* the innermost name: "image" */
    struct str path;       /* "containerDefinitions[0].image" */
    struct str coral_path; /* "containerDefinitions.1.member.image", the form of AWS's messages */
    struct str value;      /* as text; absent: null, or a sensitive value */
    const struct shape *shape; /* of the member; NULL when unknown */
    const char *wanted;        /* MISTYPED: "a number" */
    const char *found;         /* MISTYPED: "a text" */
};

struct shape_findings {
    struct shape_finding items[SHAPE_FINDINGS_MAX];
    size_t count;
    size_t total_count;
};

/* "2 validation errors detected: Value null at 'a' failed to satisfy constraint: Member must not be
 * null; Value ..." as AWS's services write it. */
struct str shape_findings_coral_text(struct arena *a, const struct shape_findings *f);
/* "Member must have length less than or equal to 32" */
struct str shape_finding_constraint(struct arena *a, const struct shape_finding *f);
/* One finding in our own words: unknown member "a.b". */
struct str shape_finding_text(struct arena *a, const struct shape_finding *f);
