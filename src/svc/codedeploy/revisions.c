/* Application revisions: what was deployed or registered, by the hash of its location. */
#include "svc/codedeploy/handlers.h"
#include "svc/codedeploy/priv.h"

#include "crypt/hash.h"
#include "shape/walk.h"

#include <stdlib.h>

#define LOCATION_BYTES_MAX (512u * 1024)

struct str cd_revision_content(const struct codedeploy_revision_location *location)
{
    if (location->app_spec_content != NULL) {
        return location->app_spec_content->content;
    }
    return location->string == NULL ? STR_NONE : location->string->content;
}

struct codedeploy_revision_location *cd_revision_of_content(struct arena *a, struct str content)
{
    struct codedeploy_revision_location *r = ARENA_NEW(a, struct codedeploy_revision_location);
    r->revision_type = CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT;
    r->app_spec_content = ARENA_NEW(a, struct codedeploy_app_spec_content);
    r->app_spec_content->content = content;
    r->app_spec_content->sha256 = sha256_hex(a, content);
    return r;
}

static enum err check_content(struct op *op, struct str content, struct str sha256)
{
    if (content.len == 0) {
        return cd_fail(op, invalid_revision_exception, "The revision has no content");
    }
    if (content.len > APPSPEC_BYTES_MAX) {
        return cd_fail(op, invalid_revision_exception,
                       "The revision has %zu bytes, the limit is %d", content.len,
                       APPSPEC_BYTES_MAX);
    }
    if (sha256.len > 0 && !str_equal_nocase(sha256, sha256_hex(&op->arena, content))) {
        return cd_fail(op, invalid_revision_exception,
                       "The sha256 of the revision is not that of its content");
    }
    return ERR_OK;
}

enum err cd_check_revision(struct op *op, const struct codedeploy_revision_location *location)
{
    const struct codedeploy_app_spec_content *a = location->app_spec_content;
    const struct codedeploy_raw_string *s = location->string;
    switch (location->revision_type) {
    case CODEDEPLOY_REVISION_LOCATION_TYPE_APPSPECCONTENT:
        return check_content(op, a == NULL ? STR_NONE : a->content,
                             a == NULL ? STR_NONE : a->sha256);
    case CODEDEPLOY_REVISION_LOCATION_TYPE_STRING:
        return check_content(op, s == NULL ? STR_NONE : s->content,
                             s == NULL ? STR_NONE : s->sha256);
    case CODEDEPLOY_REVISION_LOCATION_TYPE_S3:
    case CODEDEPLOY_REVISION_LOCATION_TYPE_GITHUB:
        return cd_fail(op, invalid_revision_exception,
                       "Revisions in S3 or GitHub are not supported here; give the AppSpec as "
                       "AppSpecContent");
    case CODEDEPLOY_REVISION_LOCATION_TYPE_UNSET:
    default:
        return cd_fail(op, invalid_revision_exception, "The revision has no revisionType");
    }
}

static struct str revision_key(struct op *op, struct str application_id,
                               const struct codedeploy_revision_location *location)
{
    auto_buf struct buf b;
    buf_init(&b, LOCATION_BYTES_MAX);
    struct codedeploy_revision_location plain = {.revision_type = location->revision_type};
    struct str content = cd_revision_content(location);
    if (str_is_set(content)) {
        buf_addf(&b, "%d ", (int)location->revision_type);
        buf_add(&b, content); /* with or without its sha256 it is the same revision */
    } else {
        plain = *location;
        shape_json_encode(&b, &shape_codedeploy_revision_location, &plain);
    }
    return cd_key(op, application_id, sha256_hex(&op->arena, buf_str(&b)));
}

static void add_group(struct op *op, struct codedeploy_deployment_groups_list *list,
                      struct str name)
{
    list->is_set = true;
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(list->items[i], name)) {
            return;
        }
    }
    *ARENA_PUSH(&op->arena, list) = name;
}

enum err cd_note_revision(struct op *op, struct codedeploy *cd, struct str application_id,
                          struct str group_name,
                          const struct codedeploy_revision_location *location,
                          struct str description, bool is_used)
{
    struct str key = revision_key(op, application_id, location);
    struct engine_codedeploy_revision had = {0};
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_revision, key, &had);
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        return e;
    }
    op_note_clear(op);
    struct codedeploy_generic_revision_info info = {.register_time = OPT_TIME(op->now)};
    if (e == ERR_OK) {
        info = *had.info;
        /* a list that grows needs room of its own */
        struct codedeploy_deployment_groups_list groups = {.is_set = true};
        for (size_t i = 0; i < had.info->deployment_groups.count; i++) {
            add_group(op, &groups, had.info->deployment_groups.items[i]);
        }
        info.deployment_groups = groups;
    }
    if (str_is_set(description)) {
        info.description = description;
    }
    if (is_used) {
        info.first_used_time =
            info.first_used_time.is_set ? info.first_used_time : OPT_TIME(op->now);
        info.last_used_time = OPT_TIME(op->now);
        add_group(op, &info.deployment_groups, group_name);
    }
    struct codedeploy_revision_location copy = *location;
    struct engine_codedeploy_revision row = {.location = &copy, .info = &info};
    return store_put(op, cd->config.store, &codedeploy_kind_revision, key, application_id, &row);
}

enum err cd_register_application_revision(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_register_application_revision_in *in,
    struct codedeploy_register_application_revision_out *ret)
{
    struct engine_codedeploy_application a = {0};
    (void)ret;
    TRY(cd_find_application(op, cd, in->application_name, &a));
    if (in->revision == NULL) {
        return cd_fail(op, revision_required_exception, "Revision must be specified");
    }
    if (in->description.len > CODEDEPLOY_DESCRIPTION_CHARS_MAX) {
        return cd_fail(op, description_too_long_exception,
                       "The description has %zu characters, the limit is %d", in->description.len,
                       CODEDEPLOY_DESCRIPTION_CHARS_MAX);
    }
    TRY(cd_check_revision(op, in->revision));
    return cd_note_revision(op, cd, a.application->application_id, STR_NONE, in->revision,
                            in->description, false);
}

static enum err find_revision(struct op *op, struct codedeploy *cd, struct str application_id,
                              const struct codedeploy_revision_location *location,
                              struct engine_codedeploy_revision *ret)
{
    if (location == NULL) {
        return cd_fail(op, revision_required_exception, "Revision must be specified");
    }
    enum err e = store_get(op, cd->config.store, &codedeploy_kind_revision,
                           revision_key(op, application_id, location), ret);
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return cd_fail(op, revision_does_not_exist_exception, "The revision does not exist");
    }
    return e;
}

enum err cd_get_application_revision(struct op *op, struct codedeploy *cd,
                                     const struct codedeploy_get_application_revision_in *in,
                                     struct codedeploy_get_application_revision_out *ret)
{
    struct engine_codedeploy_application a = {0};
    struct engine_codedeploy_revision r = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    TRY(find_revision(op, cd, a.application->application_id, in->revision, &r));
    ret->application_name = in->application_name;
    ret->revision = r.location;
    ret->revision_info = r.info;
    return ERR_OK;
}

enum err cd_batch_get_application_revisions(
    struct op *op, struct codedeploy *cd,
    const struct codedeploy_batch_get_application_revisions_in *in,
    struct codedeploy_batch_get_application_revisions_out *ret)
{
    struct engine_codedeploy_application a = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    if (in->revisions.count > CODEDEPLOY_BATCH_SMALL_MAX) {
        return cd_fail(op, batch_limit_exceeded_exception,
                       "The batch has %zu revisions, the limit is %d", in->revisions.count,
                       CODEDEPLOY_BATCH_SMALL_MAX);
    }
    ret->application_name = in->application_name;
    ret->revisions.is_set = true;
    for (size_t i = 0; i < in->revisions.count; i++) {
        struct engine_codedeploy_revision r = {0};
        TRY(find_revision(op, cd, a.application->application_id, &in->revisions.items[i], &r));
        *ARENA_PUSH(&op->arena, &ret->revisions) = (struct codedeploy_revision_info){
            .revision_location = r.location, .generic_revision_info = r.info};
    }
    return ERR_OK;
}

/* ---- list ----------------------------------------------------------------------------------- */

static wall_t sort_time(const struct codedeploy_generic_revision_info *info,
                        enum codedeploy_application_revision_sort_by by)
{
    switch (by) {
    case CODEDEPLOY_APPLICATION_REVISION_SORT_BY_FIRSTUSEDTIME:
        return OPT_OR(info->first_used_time, (wall_t){0});
    case CODEDEPLOY_APPLICATION_REVISION_SORT_BY_LASTUSEDTIME:
        return OPT_OR(info->last_used_time, (wall_t){0});
    case CODEDEPLOY_APPLICATION_REVISION_SORT_BY_UNSET:
    case CODEDEPLOY_APPLICATION_REVISION_SORT_BY_REGISTERTIME:
    default:
        return OPT_OR(info->register_time, (wall_t){0});
    }
}

struct sorted_revision {
    struct str key;
    struct codedeploy_revision_location *location;
};

static int compare_revisions(const void *left, const void *right)
{
    const struct sorted_revision *a = left;
    const struct sorted_revision *b = right;
    return str_compare(a->key, b->key);
}

static bool passes_state(const struct codedeploy_generic_revision_info *info,
                         enum codedeploy_list_state_filter_action deployed)
{
    bool is_deployed = info->deployment_groups.count > 0;
    return !(deployed == CODEDEPLOY_LIST_STATE_FILTER_ACTION_INCLUDE && !is_deployed) &&
           !(deployed == CODEDEPLOY_LIST_STATE_FILTER_ACTION_EXCLUDE && is_deployed);
}

enum err cd_list_application_revisions(struct op *op, struct codedeploy *cd,
                                       const struct codedeploy_list_application_revisions_in *in,
                                       struct codedeploy_list_application_revisions_out *ret)
{
    static const struct page_rules rules = {
        .list_name = "codedeploy.revisions",
        .default_count = CODEDEPLOY_PAGE_COUNT,
        .max_count = CODEDEPLOY_PAGE_COUNT,
        .bad_token = &codedeploy_error_invalid_next_token_exception,
    };
    struct engine_codedeploy_application a = {0};
    struct store_items items = {0};
    TRY(cd_find_application(op, cd, in->application_name, &a));
    TRY(store_list(op, cd->config.store, &codedeploy_kind_revision,
                   &(struct store_range){.parent = a.application->application_id}, &items));
    struct sorted_revision *found =
        ARENA_ARRAY(&op->arena, struct sorted_revision, items.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < items.count; i++) {
        const struct engine_codedeploy_revision *r = items.items[i].value;
        /* what lies in S3 is refused, so a filter by bucket finds nothing */
        if (in->s3_bucket.len > 0 || !passes_state(r->info, in->deployed)) {
            continue;
        }
        int64_t us = sort_time(r->info, in->sort_by).us;
        bool is_falling = in->sort_order == CODEDEPLOY_SORT_ORDER_DESCENDING;
        found[count++] = (struct sorted_revision){
            .key = arena_printf(&op->arena, "%019lld %.*s",
                                (long long)(is_falling ? INT64_MAX - us : us),
                                STR_ARG(items.items[i].key)),
            .location = r->location};
    }
    qsort(found, count, sizeof(*found), compare_revisions);
    struct str *keys = ARENA_ARRAY(&op->arena, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        keys[i] = found[i].key;
    }
    size_t from = 0;
    size_t to = 0;
    TRY(page_cut(op, &rules, (struct page_ask){.token = in->next_token}, keys, count, &from, &to,
                 &ret->next_token));
    ret->revisions.is_set = true;
    for (size_t i = from; i < to; i++) {
        *ARENA_PUSH(&op->arena, &ret->revisions) = *found[i].location;
    }
    return ERR_OK;
}
