#pragma once
/* The keys of hitless.yaml as rows. A section is a map of the file; a row says what a key is
 * called, what it may hold, where it goes, what it is without it, and what it means: one sentence
 * for the reference, the schema and the error. */

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
    FIELD_TEXT,
    FIELD_NAME,   /* letters, digits, - and _; at most 255 */
    FIELD_INT,    /* min..max */
    FIELD_SPAN,   /* seconds, or 90s, 5m, 1h; min..max seconds */
    FIELD_CHOICE, /* one of choices, stored as its index */
    FIELD_WORDS,  /* a list of texts, or one text split at spaces */
    FIELD_PAIRS,  /* a map of texts */
    FIELD_NODE,   /* a map or list that a function of its own reads */
};

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset; /* in the section's struct; unused for FIELD_NODE */
    int64_t min;
    int64_t max;
    const char *fallback;       /* as it would be written; NULL: absent */
    const char *const *choices; /* NULL-terminated */
    bool is_required;
    const char *doc;
    const char *example;
};

struct section {
    const char *name; /* "services.NAME" */
    const char *doc;
    size_t bytes;
    const struct field *fields;
    size_t field_count;
};

extern const struct section section_root;
extern const struct section section_image;
extern const struct section section_service;
extern const struct section section_health;
extern const struct section section_migrations;
extern const struct section section_verify;
extern const struct section section_environment;
extern const struct section section_notify;

/* All of them, in the order of the reference; NULL at the end. */
extern const struct section *const sections[];
