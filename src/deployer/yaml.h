#pragma once
/* YAML text as a tree of nodes that know where they stand, so that every complaint can name line
 * and column. Plain data only: no tags, no anchors, no aliases, no second document; a key stands
 * once. */

#include "base/op.h"

#define YAML_TEXT_BYTES_MAX (1u << 20)
#define YAML_DEPTH_MAX      32
#define YAML_NODES_MAX      50000

enum yaml_type { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    bool is_quoted; /* a text in quotes or a block: "8080" is no number */
    struct str text;
    int line; /* from 1 */
    int column;
    struct yaml_node *items; /* of a list, or the values of a map */
    struct yaml_node *keys;  /* of a map: texts, as many as items */
    size_t count;
};

/* Fails with ERR_INPUT and "FILE:LINE:COLUMN: what was expected". Everything lives in the op's
 * arena. An empty text is YAML_NULL. */
enum err yaml_parse(struct op *op, struct str file_name, struct str text,
                    struct yaml_node *ret_root);

/* The value of a key, or NULL. */
const struct yaml_node *yaml_find(const struct yaml_node *map, struct str key);
/* "a list", "a map", "a text", "nothing". */
const char *yaml_type_text(enum yaml_type type);
