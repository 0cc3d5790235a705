#pragma once
/* One operation: an API call, a step of a deployment, a command. It carries the memory that dies
 * with it, the time it happens at, who asked, and the sentence for people if it fails. */

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

#define OP_NOTE_TEXT_BYTES 1024

/* A failure's public name, from a service's table; NULL where the service's general error serves.
 */
struct err_public {
    const char *code;       /* "ServiceNotFoundException" */
    const char *shape_name; /* of the error's shape, in JSON and CBOR; NULL: the same as code */
    int http_status;        /* 400..599 */
    bool is_server_fault;
};

struct op_note {
    enum err kind; /* ERR_OK while nothing failed */
    int errno_value;
    const char *file;
    int line;
    const struct err_public *public_error; /* static table entry or NULL */
    char text[OP_NOTE_TEXT_BYTES];
};

struct op {
    struct arena arena;
    wall_t now;
    mono_t now_mono;
    struct str account;    /* "123456789012"; lives as long as the op */
    struct str region;     /* "eu-west-1" */
    struct str caller_arn; /* who asked; absent for the engine itself */
    struct str caller_id;
    struct str access_key_id;
    struct str request_id; /* uuid */
    struct op_note note;
};

/* Reads the clock once. */
void op_init(struct op *op);
void op_fini(struct op *op);
#define auto_op __attribute__((cleanup(op_fini)))

/* Record the sentence where the failure is known, once, and return its kind. Lower case, no full
 * stop: could not open the state file "x": No space left on device. Never a secret. */
#define op_fail(op, kind, ...) op_fail_at((op), (kind), NULL, __FILE__, __LINE__, __VA_ARGS__)
#define op_fail_as(op, kind, public_error, ...) \
    op_fail_at((op), (kind), (public_error), __FILE__, __LINE__, __VA_ARGS__)
/* Adds ": strerror(errno)"; the kind follows from errno. */
#define op_fail_errno(op, ...) op_fail_errno_at((op), __FILE__, __LINE__, __VA_ARGS__)

enum err op_fail_at(struct op *op, enum err kind, const struct err_public *public_error,
                    const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
enum err op_fail_errno_at(struct op *op, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts text before the note that stands: op_note_prefix(op, "service \"%.*s\": ", ...). */
void op_note_prefix(struct op *op, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Forgets the failure; for callers that go on. */
void op_note_clear(struct op *op);
