#pragma once
/* What the files of this module share; private to it. */

#include "base/op.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/common/tags.h"
#include "svc/secretsmanager/secretsmanager.h"

typedef struct secretsmanager_secret_version_stages_type secrets_stages;

extern const struct store_kind secrets_kind_secret;
extern const struct store_kind secrets_kind_version;
extern const struct tag_errors secrets_tag_errors;

#define SECRETS_CURRENT  STR("AWSCURRENT")
#define SECRETS_PREVIOUS STR("AWSPREVIOUS")

/* ---- rows.c ---------------------------------------------------------------------------------- */

struct secrets_versions {
    struct engine_secrets_version *items; /* by version id */
    size_t count;
};

/* By name, ARN, or ARN without its last six characters. A secret whose recovery window is over is
 * removed here and not found. ERR_NOT_FOUND. */
enum err secrets_get(struct op *op, struct secretsmanager *sm, struct str id,
                     struct engine_secrets_secret *ret);
/* The same, and not marked for deletion: ERR_STATE. */
enum err secrets_get_usable(struct op *op, struct secretsmanager *sm, struct str id,
                            struct engine_secrets_secret *ret);
enum err secrets_put(struct op *op, struct secretsmanager *sm,
                     const struct engine_secrets_secret *row);
enum err secrets_remove(struct op *op, struct secretsmanager *sm, struct str name);
/* All that are there, by name; those over their window are removed. */
struct secrets_all {
    struct engine_secrets_secret *items;
    size_t count;
};
enum err secrets_list(struct op *op, struct secretsmanager *sm, struct secrets_all *ret);

enum err secrets_list_versions(struct op *op, struct secretsmanager *sm, struct str name,
                               struct secrets_versions *ret);
/* NULL when there is none. */
struct engine_secrets_version *secrets_version_by_id(const struct secrets_versions *versions,
                                                     struct str id);
struct engine_secrets_version *secrets_version_by_stage(const struct secrets_versions *versions,
                                                        struct str stage);
enum err secrets_put_version(struct op *op, struct secretsmanager *sm, struct str name,
                             const struct engine_secrets_version *row);
enum err secrets_remove_version(struct op *op, struct secretsmanager *sm, struct str name,
                                struct str version_id);
bool secrets_has_stage(const struct engine_secrets_version *row, struct str stage);
struct str secrets_seal(struct op *op, struct secretsmanager *sm, struct str arn,
                        struct str version_id, struct str value);
enum err secrets_unseal(struct op *op, struct secretsmanager *sm, struct str arn,
                        const struct engine_secrets_version *row, struct str *ret_value);

/* ---- versions.c ------------------------------------------------------------------------------ */

struct secrets_value {
    struct str token; /* becomes the version's id */
    struct str text;
    struct str binary;
    const secrets_stages *stages; /* NULL or empty: AWSCURRENT */
};

/* Within the caller's transaction. The version that is left has its stages. */
enum err secrets_add_version(struct op *op, struct secretsmanager *sm,
                             struct engine_secrets_secret *secret,
                             const struct secrets_value *value, struct engine_secrets_version *ret);
/* Puts the stage on this version alone; what lost AWSCURRENT gets AWSPREVIOUS. */
enum err secrets_move_stage(struct op *op, struct secretsmanager *sm, struct str name,
                            struct str stage, struct str to_version_id);
/* AWSCURRENT where neither is asked for. */
enum err secrets_find_version(struct op *op, struct secretsmanager *sm, struct str name,
                              struct str version_id, struct str stage,
                              struct engine_secrets_version *ret);

/* ---- operations ------------------------------------------------------------------------------ */

#define SECRETS_OPERATION(name_)                                              \
    enum err secrets_do_##name_(struct op *op, struct secretsmanager *sm,     \
                                const struct secretsmanager_##name_##_in *in, \
                                struct secretsmanager_##name_##_out *ret)

SECRETS_OPERATION(create_secret);
SECRETS_OPERATION(put_secret_value);
SECRETS_OPERATION(get_secret_value);
SECRETS_OPERATION(update_secret);
SECRETS_OPERATION(update_secret_version_stage);
SECRETS_OPERATION(describe_secret);
SECRETS_OPERATION(list_secrets);
SECRETS_OPERATION(list_secret_version_ids);
SECRETS_OPERATION(delete_secret);
SECRETS_OPERATION(restore_secret);
SECRETS_OPERATION(batch_get_secret_value);
SECRETS_OPERATION(get_random_password);
SECRETS_OPERATION(tag_resource);
SECRETS_OPERATION(untag_resource);
SECRETS_OPERATION(put_resource_policy);
SECRETS_OPERATION(get_resource_policy);
SECRETS_OPERATION(delete_resource_policy);
SECRETS_OPERATION(validate_resource_policy);
