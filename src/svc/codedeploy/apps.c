/* Applications, and the tags of everything that has an ARN. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

static const struct tag_errors tag_errors = {
    .too_many = &codedeploy_error_invalid_tags_to_add_exception,
    .duplicate = &codedeploy_error_invalid_tags_to_add_exception,
    .invalid = &codedeploy_error_invalid_tags_to_add_exception,
};

/* Letters, digits and these. */
#define NAME_EXTRA STR("._+=,@-")

static enum err check_application_name(struct op *op, struct str name)
{
    if (name.len == 0) {
        return cd_fail(op, application_name_required_exception,
                       "Application name must be specified");
    }
    if (!name_is(name, 1, CODEDEPLOY_NAME_CHARS_MAX, NAME_EXTRA)) {
        return cd_fail(op, invalid_application_name_exception, "Invalid application name: %.*s",
                       STR_ARG(name));
    }
    return ERR_OK;
}

enum err cd_find_application(struct op *op, struct codedeploy *cd, struct str name,
                             struct engine_codedeploy_application *ret)
{
    TRY(check_application_name(op, name));
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_application, name, ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, application_does_not_exist_exception,
                       "No application found for name: %.*s", STR_ARG(name));
    }
    return e;
}

enum err cd_put_application(struct op *op, struct codedeploy *cd,
                            const struct engine_codedeploy_application *a)
{
    return store_put(op, cd->config.store, &codedeploy_kind_application,
                     a->application->application_name, STR(""), a);
}

static enum err refuse_existing(struct op *op, struct codedeploy *cd, struct str name)
{
    if (store_has(op, cd->config.store, &codedeploy_kind_application, name)) {
        return cd_fail(op, application_already_exists_exception, "Application already exists: %.*s",
                       STR_ARG(name));
    }
    return ERR_OK;
}

enum err cd_create_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_create_application_in *in,
                               struct codedeploy_create_application_out *ret)
{
    struct tags tags = TAGS_FROM(&op->arena, in->tags);
    size_t count = 0;
    TRY(check_application_name(op, in->application_name));
    TRY(tags_check(op, &tag_errors, &tags));
    if (in->compute_platform == CODEDEPLOY_COMPUTE_PLATFORM_LAMBDA ||
        in->compute_platform == CODEDEPLOY_COMPUTE_PLATFORM_SERVER) {
        return cd_fail(op, invalid_compute_platform_exception,
                       "Only applications of the compute platform ECS are supported here");
    }
    TRY(refuse_existing(op, cd, in->application_name));
    TRY(store_count(op, cd->config.store, &codedeploy_kind_application, &(struct store_range){0},
                    &count));
    if (count >= CODEDEPLOY_APPLICATIONS_MAX) {
        return cd_fail(op, application_limit_exceeded_exception,
                       "There are %d applications already", CODEDEPLOY_APPLICATIONS_MAX);
    }
    struct codedeploy_application_info info = {
        .application_id = rand_uuid(&op->arena),
        .application_name = in->application_name,
        .create_time = OPT_TIME(op->now),
        .linked_to_git_hub = OPT_BOOL(false),
        /* AWS's default is Server, which has no meaning here */
        .compute_platform = CODEDEPLOY_COMPUTE_PLATFORM_ECS,
    };
    struct engine_codedeploy_application row = {.application = &info};
    TAGS_INTO(&op->arena, tags, &row.tags);
    TRY(cd_put_application(op, cd, &row));
    ret->application_id = info.application_id;
    return ERR_OK;
}

enum err cd_get_application(struct op *op, struct codedeploy *cd,
                            const struct codedeploy_get_application_in *in,
                            struct codedeploy_get_application_out *ret)
{
    struct engine_codedeploy_application a = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    ret->application = a.application;
    return ERR_OK;
}

enum err cd_list_applications(struct op *op, struct codedeploy *cd,
                              const struct codedeploy_list_applications_in *in,
                              struct codedeploy_list_applications_out *ret)
{
    static const struct page_rules rules = {
        .list_name = "codedeploy.applications",
        .default_count = CODEDEPLOY_PAGE_COUNT,
        .max_count = CODEDEPLOY_PAGE_COUNT,
        .bad_token = &codedeploy_error_invalid_next_token_exception,
    };
    struct store_items items = {0};
    TRY(page_list(op, cd->config.store, &codedeploy_kind_application, &(struct store_range){0},
                  &rules, (struct page_ask){.token = in->next_token}, &items, &ret->next_token));
    ret->applications.is_set = true;
    for (size_t i = 0; i < items.count; i++) {
        *ARENA_PUSH(&op->arena, &ret->applications) = items.items[i].key;
    }
    return ERR_OK;
}

enum err cd_batch_get_applications(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_batch_get_applications_in *in,
                                   struct codedeploy_batch_get_applications_out *ret)
{
    if (in->application_names.count > CODEDEPLOY_BATCH_MAX) {
        return cd_fail(op, batch_limit_exceeded_exception,
                       "The batch has %zu applications, the limit is %d",
                       in->application_names.count, CODEDEPLOY_BATCH_MAX);
    }
    ret->applications_info.is_set = true;
    for (size_t i = 0; i < in->application_names.count; i++) {
        struct engine_codedeploy_application a = {0};
        TRY(cd_find_application(op, cd, in->application_names.items[i], &a));
        *ARENA_PUSH(&op->arena, &ret->applications_info) = *a.application;
    }
    return ERR_OK;
}

/* Groups and deployments hang on the application's id, so only names change. */
enum err cd_update_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_update_application_in *in,
                               struct codedeploy_update_application_out *ret)
{
    struct engine_codedeploy_application a = {0};
    struct store_items groups = {0};
    (void)ret;
    TRY(cd_find_application(op, cd, in->application_name, &a));
    if (in->new_application_name.len == 0 ||
        str_equal(in->application_name, in->new_application_name)) {
        return ERR_OK;
    }
    TRY(check_application_name(op, in->new_application_name));
    TRY(refuse_existing(op, cd, in->new_application_name));
    TRY(cd_list_groups(op, cd, a.application->application_id, &groups));

    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    TRY(store_remove(op, cd->config.store, &codedeploy_kind_application, in->application_name));
    a.application->application_name = in->new_application_name;
    TRY(cd_put_application(op, cd, &a));
    for (size_t i = 0; i < groups.count; i++) {
        struct engine_codedeploy_group *g = groups.items[i].value;
        g->group->application_name = in->new_application_name;
        TRY(cd_put_group(op, cd, a.application->application_id, g));
    }
    return store_tx_commit(op, &tx);
}

/* Its deployments go on and stay readable by their ids. */
enum err cd_delete_application(struct op *op, struct codedeploy *cd,
                               const struct codedeploy_delete_application_in *in,
                               struct codedeploy_delete_application_out *ret)
{
    struct engine_codedeploy_application a = {0};
    (void)ret;
    TRY(check_application_name(op, in->application_name));
    enum err e =
        store_get(op, cd->config.store, &codedeploy_kind_application, in->application_name, &a);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op); /* AWS does not mind */
        return ERR_OK;
    }
    TRY(e);
    const struct store_range of_application = {.parent = a.application->application_id};
    AUTO(store_tx_fini) struct store_tx tx = {0};
    TRY(store_tx_begin(op, cd->config.store, &tx));
    TRY(store_remove_all(op, cd->config.store, &codedeploy_kind_group, &of_application));
    TRY(store_remove_all(op, cd->config.store, &codedeploy_kind_revision, &of_application));
    TRY(store_remove(op, cd->config.store, &codedeploy_kind_application, in->application_name));
    return store_tx_commit(op, &tx);
}

/* ---- tags ----------------------------------------------------------------------------------- */

/* What an ARN names, with its tags in our form. */
struct tagged {
    struct engine_codedeploy_application application;
    struct engine_codedeploy_group group;
    bool is_group;
    struct tags tags;
};

static enum err find_tagged(struct op *op, struct codedeploy *cd, struct str text,
                            struct tagged *ret)
{
    struct arn arn;
    struct str name;
    struct str group_name = STR_NONE;
    *ret = (struct tagged){0};
    if (text.len == 0) {
        return cd_fail(op, resource_arn_required_exception, "Resource ARN must be specified");
    }
    if (!arn_parse(text, &arn) || !arn_is_here(op, &arn, STR("codedeploy"))) {
        return cd_fail(op, invalid_arn_exception, "Invalid ARN: %.*s", STR_ARG(text));
    }
    if (arn_tail(&arn, STR("application:"), &name)) {
        TRY(cd_find_application(op, cd, name, &ret->application));
        ret->tags = TAGS_FROM(&op->arena, ret->application.tags);
        return ERR_OK;
    }
    if (!arn_tail(&arn, STR("deploymentgroup:"), &name) ||
        !str_cut(name, '/', &name, &group_name)) {
        return cd_fail(op, arn_not_supported_exception, "The ARN is not supported: %.*s",
                       STR_ARG(text));
    }
    ret->is_group = true;
    TRY(cd_find_application(op, cd, name, &ret->application));
    TRY(cd_find_group(op, cd, &ret->application, group_name, &ret->group));
    ret->tags = TAGS_FROM(&op->arena, ret->group.tags);
    return ERR_OK;
}

static enum err put_tagged(struct op *op, struct codedeploy *cd, struct tagged *t,
                           const struct tags *tags)
{
    if (t->is_group) {
        TAGS_INTO(&op->arena, *tags, &t->group.tags);
        return cd_put_group(op, cd, t->application.application->application_id, &t->group);
    }
    TAGS_INTO(&op->arena, *tags, &t->application.tags);
    return cd_put_application(op, cd, &t->application);
}

enum err cd_tag_resource(struct op *op, struct codedeploy *cd,
                         const struct codedeploy_tag_resource_in *in,
                         struct codedeploy_tag_resource_out *ret)
{
    struct tagged t;
    struct tags all;
    struct tags add = TAGS_FROM(&op->arena, in->tags);
    (void)ret;
    TRY(find_tagged(op, cd, in->resource_arn, &t));
    if (add.count == 0) {
        return cd_fail(op, tag_required_exception, "Tags must be specified");
    }
    TRY(tags_check(op, &tag_errors, &add));
    TRY(tags_merge(op, &tag_errors, &t.tags, &add, &all));
    return put_tagged(op, cd, &t, &all);
}

enum err cd_untag_resource(struct op *op, struct codedeploy *cd,
                           const struct codedeploy_untag_resource_in *in,
                           struct codedeploy_untag_resource_out *ret)
{
    struct tagged t;
    (void)ret;
    TRY(find_tagged(op, cd, in->resource_arn, &t));
    struct tags rest = tags_without(&op->arena, &t.tags, in->tag_keys.items, in->tag_keys.count);
    return put_tagged(op, cd, &t, &rest);
}

enum err cd_list_tags_for_resource(struct op *op, struct codedeploy *cd,
                                   const struct codedeploy_list_tags_for_resource_in *in,
                                   struct codedeploy_list_tags_for_resource_out *ret)
{
    struct tagged t;
    TRY(find_tagged(op, cd, in->resource_arn, &t));
    TAGS_INTO(&op->arena, t.tags, &ret->tags);
    return ERR_OK;
}
