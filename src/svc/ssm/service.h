#pragma once
/* What the files of this module share; private to it. */

#include "base/op.h"
#include "gen/engine.h"
#include "store/store.h"
#include "svc/common/tags.h"
#include "svc/ssm/ssm.h"

extern const struct store_kind ssm_kind_parameter;
extern const struct store_kind ssm_kind_version;
extern const struct tag_errors ssm_tag_errors;

/* ---- names.c --------------------------------------------------------------------------------- */

/* "name", "name:3", "name:label" or an ARN of one, taken apart. */
struct ssm_name {
    struct str name;
    struct str selector; /* ":3"; absent: none */
};

/* What PutParameter asks of a name; AWS's sentences. */
enum err ssm_check_name(struct op *op, struct str name);
/* ERR_INPUT when it is neither a name nor an ARN of this region. */
enum err ssm_split_name(struct op *op, struct str text, struct ssm_name *ret);
struct str ssm_arn_of(struct op *op, struct str name);

/* ---- rows.c ---------------------------------------------------------------------------------- */

struct ssm_versions {
    struct engine_ssm_version *items; /* oldest first */
    size_t count;
};

enum err ssm_not_found(struct op *op, struct str name);
/* ERR_NOT_FOUND: ParameterNotFound. */
enum err ssm_get(struct op *op, struct ssm *ssm, struct str name, struct engine_ssm_parameter *ret);
enum err ssm_put(struct op *op, struct ssm *ssm, const struct engine_ssm_parameter *row);
/* The parameter and all of its versions. */
enum err ssm_remove(struct op *op, struct ssm *ssm, struct str name);
enum err ssm_get_version(struct op *op, struct ssm *ssm, struct str name, int64_t version,
                         struct engine_ssm_version *ret);
enum err ssm_list_versions(struct op *op, struct ssm *ssm, struct str name,
                           struct ssm_versions *ret);
enum err ssm_put_version(struct op *op, struct ssm *ssm, const struct engine_ssm_version *row);
enum err ssm_remove_version(struct op *op, struct ssm *ssm, struct str name, int64_t version);
/* The newest, or what the selector says. */
enum err ssm_find(struct op *op, struct ssm *ssm, const struct ssm_name *name,
                  struct engine_ssm_version *ret);
struct str ssm_seal(struct op *op, struct ssm *ssm, struct str name, int64_t version,
                    struct str value);
/* A SecureString that is not to be decrypted gives its ciphertext. */
enum err ssm_open_value(struct op *op, struct ssm *ssm, const struct engine_ssm_version *row,
                        bool with_decryption, struct str *ret_value);

/* ---- filters.c ------------------------------------------------------------------------------- */

struct ssm_candidate {
    const struct engine_ssm_parameter *parameter;
    const struct engine_ssm_version *newest;
};

enum err ssm_check_filters(struct op *op, const struct ssm_parameter_string_filter_list *filters,
                           bool is_by_path);
bool ssm_passes(const struct ssm_parameter_string_filter_list *filters,
                const struct ssm_candidate *candidate);

/* ---- operations ------------------------------------------------------------------------------ */

#define SSM_OPERATION(name_)                                                                   \
    enum err ssm_do_##name_(struct op *op, struct ssm *ssm, const struct ssm_##name_##_in *in, \
                            struct ssm_##name_##_out *ret)

SSM_OPERATION(put_parameter);
SSM_OPERATION(get_parameter);
SSM_OPERATION(get_parameters);
SSM_OPERATION(get_parameters_by_path);
SSM_OPERATION(get_parameter_history);
SSM_OPERATION(describe_parameters);
SSM_OPERATION(delete_parameter);
SSM_OPERATION(delete_parameters);
SSM_OPERATION(label_parameter_version);
SSM_OPERATION(unlabel_parameter_version);
SSM_OPERATION(add_tags_to_resource);
SSM_OPERATION(remove_tags_from_resource);
SSM_OPERATION(list_tags_for_resource);
