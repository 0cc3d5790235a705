#pragma once
/* The AppSpec of an ECS deployment, from JSON or YAML. Pure: text in, structure out.
 *
 * Accepted as AWS writes it and, beyond that, keys in any letter case and version 1 besides 0.0,
 * because clients pass such files through unchanged. Anchors, aliases and tags of YAML are refused,
 * and so is what is deeper or longer than limits.h allows.
 *
 * Source  aws-semantics 3.2. Owns nothing: everything lives in the op's arena. */

#include "base/op.h"
#include "gen/engine.h"

/* ERR_INPUT with a sentence for people that names the place. */
enum err appspec_parse(struct op *op, struct str text, struct engine_codedeploy_spec *ret) MUST_USE;
/* The same as JSON, for a revision of our own making. */
struct str appspec_write(struct op *op, const struct engine_codedeploy_spec *spec);

/* ---- the tree behind it (appspec_tree.c) --------------------------------------------------------
 */

enum appspec_kind { APPSPEC_SCALAR, APPSPEC_LIST, APPSPEC_MAP };

struct appspec_node {
    enum appspec_kind kind;
    struct str key;             /* in a map */
    struct str text;            /* SCALAR: as written, without quotes; null: absent */
    struct appspec_node *first; /* LIST, MAP */
    struct appspec_node *last;
    struct appspec_node *next; /* sibling */
    int line;
};

enum err appspec_tree(struct op *op, struct str text, struct appspec_node **ret_root) MUST_USE;
