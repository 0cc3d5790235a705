#pragma once
/* Descriptors of every structure that crosses a wire or goes to the store. tools/apigen.py makes
 * them from model/<service>.api, next to the C structs that they describe (gen/<service>.h); the
 * walkers of this module decode, encode and validate any of them. Nothing here knows a service.
 *
 * How a shape lies in memory (the "slot"):
 *   string, blob   struct str            absent: ptr == NULL
 *   boolean        struct opt_bool       absent: !is_set
 *   integer        struct opt_i32
 *   long           struct opt_i64
 *   float, double  struct opt_f64
 *   timestamp      struct opt_time
 *   enum           enum <name>, as int   absent: 0 (<NAME>_UNSET); names in shape.enum_names[value]
 *   list           struct <name> {T *items; size_t count; bool is_set;}
 *   map            struct <name> {struct <name>_entry {K key; V value;} *items; ...}
 *   structure      as a member: a pointer, absent: NULL; as item of a list or value of a map: in
 * line Everything that a decoder fills lives in the arena that it was given. */

#include "base/op.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct opt_bool {
    bool value;
    bool is_set;
};
struct opt_i32 {
    int32_t value;
    bool is_set;
};
struct opt_i64 {
    int64_t value;
    bool is_set;
};
struct opt_f64 {
    double value;
    bool is_set;
};
struct opt_time {
    wall_t value;
    bool is_set;
};

#define OPT_BOOL(v) ((struct opt_bool){.value = (v), .is_set = true})
#define OPT_I32(v)  ((struct opt_i32){.value = (v), .is_set = true})
#define OPT_I64(v)  ((struct opt_i64){.value = (v), .is_set = true})
#define OPT_F64(v)  ((struct opt_f64){.value = (v), .is_set = true})
#define OPT_TIME(v) ((struct opt_time){.value = (v), .is_set = true})
/* The value, or `otherwise` when absent. */
#define OPT_OR(opt, otherwise) ((opt).is_set ? (opt).value : (otherwise))

enum shape_type {
    SHAPE_STRING,
    SHAPE_BLOB,
    SHAPE_BOOLEAN,
    SHAPE_INTEGER,
    SHAPE_LONG,
    SHAPE_FLOAT,
    SHAPE_DOUBLE,
    SHAPE_TIMESTAMP,
    SHAPE_ENUM,
    SHAPE_LIST,
    SHAPE_MAP,
    SHAPE_STRUCT,
};

#define SHAPE_REQUIRED  1u /* the client must send it */
#define SHAPE_TOKEN     2u /* idempotency token: the client fills it in when absent */
#define SHAPE_SENSITIVE 4u /* never shown */

enum shape_time_format { SHAPE_TIME_DEFAULT, SHAPE_TIME_ISO8601, SHAPE_TIME_EPOCH };

struct shape;

struct shape_member {
    const char *name; /* in JSON and CBOR */
    const char
        *query_name; /* in a query request; the same pointer as name where they do not differ */
    const char *xml_name; /* in an XML answer; likewise */
    const struct shape *shape;
    uint32_t offset; /* of the slot in the C struct, bytes */
    uint32_t flags;  /* SHAPE_* */
};

struct shape {
    enum shape_type type;
    const char *name; /* AWS's name of the shape */
    size_t bytes;     /* size of the slot when in line: sizeof the struct, list, map, opt or str */

    const struct shape_member *members; /* SHAPE_STRUCT */
    size_t member_count;

    const struct shape *item; /* SHAPE_LIST; SHAPE_MAP: the value */
    const struct shape *key;  /* SHAPE_MAP */
    const char
        *item_name;     /* SHAPE_LIST in XML and query: "member", "item", ...; SHAPE_MAP: "entry" */
    size_t entry_bytes; /* SHAPE_MAP: size of an entry; the key lies at 0 */
    size_t value_offset; /* SHAPE_MAP: of the value in an entry */
    bool is_flattened;   /* SHAPE_LIST, SHAPE_MAP: no .member / .entry level in query and XML */

    const char *const *enum_names; /* SHAPE_ENUM: [0] is NULL, [1..enum_count] */
    size_t enum_count;

    bool has_min; /* length of strings, blobs, lists, maps; value of numbers */
    bool has_max;
    double min;
    double max;
    const char
        *pattern; /* AWS's regular expression, or NULL; for messages, not evaluated in general */
    enum shape_time_format time_format;
};

enum shape_protocol {
    SHAPE_PROTOCOL_JSON = 1,
    SHAPE_PROTOCOL_QUERY = 2,
    SHAPE_PROTOCOL_EC2 = 4,
    SHAPE_PROTOCOL_CBOR = 8,
};

/* Calls the typed member of the service's handler table; ERR_UNSUPPORTED when that is NULL. */
typedef enum err (*shape_call_fn)(const void *handlers, void *service, struct op *op,
                                  const void *in, void *ret);

struct shape_operation {
    const char *name; /* "CreateService" */
    const struct shape *in;
    const struct shape *out;
    const char *result_wrapper; /* XML element around the result, or NULL */
    shape_call_fn call;
};

struct shape_service {
    const char *name;         /* "ecs": file and module name */
    const char *sdk_id;       /* "ECS", "Elastic Load Balancing v2" */
    const char *full_name;    /* "Amazon EC2 Container Service" */
    unsigned protocols;       /* of enum shape_protocol */
    const char *json_version; /* "1.1", "1.0" or NULL */
    const char *
        target_prefix; /* X-Amz-Target before the dot, or NULL; also the rpc-v2-cbor service name */
    const char *api_version;     /* "2014-11-13" */
    const char *xmlns;           /* or NULL */
    const char *signing_name;    /* in the credential scope */
    const char *endpoint_prefix; /* host name before the region */
    bool is_global;              /* one endpoint, signed for us-east-1 */
    bool is_query_compatible;    /* x-amzn-query-error on JSON and CBOR errors */
    const struct shape_operation *const *operations;
    size_t operation_count;
    const struct err_public *const *errors;
    size_t error_count;
};

/* The zero-based table of names of an enum, NULL for 0 and values out of range. */
const char *shape_enum_name(const struct shape *shape, int value);
/* 0 when there is no such name. */
int shape_enum_value(const struct shape *shape, struct str name);

/* Copies a whole structure (deep) into another arena. */
void shape_copy(struct arena *to, const struct shape *shape, const void *from, void *ret);
