/* versionConsistency: the first started task of a deployment or task set resolves its images' tags
 * to digests, and all later ones run just these, also after the tag moved: a replaced task, one
 * more task, and a rollback get what was tested. */
#include "svc/ecs/ecs_priv.h"

/* Where the digests of a task's owner are kept: in its revision, or in the task set itself. */
struct owner {
    struct service_ref ref;
    struct ecs_service_revision revision;
    struct engine_ecs_task_set set;
    bool is_set;   /* a task set */
    bool is_there; /* false: a task of its own, or the owner is gone */
};

static enum err find_deployment(struct op *op, struct ecs *ecs, struct str key, struct owner *o)
{
    struct engine_ecs_deployment row = {0};
    enum err e = store_get(op, ecs->config.store, &ecs_kind_deployment, key, &row);
    if (e == ERR_OK) {
        e = ecs_revision_find(op, ecs, &o->ref, row.revision_arn, &o->revision);
    }
    if (e == ERR_NOT_FOUND) {
        op_note_clear(op);
        return ERR_OK;
    }
    o->is_there = e == ERR_OK;
    return e;
}

static enum err find_owner(struct op *op, struct ecs *ecs, const struct engine_ecs_task *task,
                           struct owner *ret)
{
    struct owner o = {0};
    if (task->service.len > 0) {
        o.ref = ecs_make_ref(op, ecs_task_cluster(task->task), task->service);
        struct str key = ecs_key(op, o.ref.key, ecs_last_part(task->owner_id));
        enum err e = store_get(op, ecs->config.store, &ecs_kind_task_set, key, &o.set);
        o.is_set = e == ERR_OK;
        o.is_there = o.is_set;
        if (e == ERR_NOT_FOUND) {
            op_note_clear(op);
            e = find_deployment(op, ecs, key, &o);
        }
        TRY(e);
    }
    *ret = o;
    return ERR_OK;
}

static struct ecs_container_images *images_of(struct owner *o)
{
    return o->is_set ? &o->set.images : &o->revision.container_images;
}

static struct ecs_container_image *find_image(struct ecs_container_images *images, struct str name)
{
    for (size_t i = 0; i < images->count; i++) {
        if (str_equal(images->items[i].container_name, name)) {
            return &images->items[i];
        }
    }
    return NULL;
}

static bool may_pin(const struct ecs_task_definition *td, struct str container)
{
    const struct ecs_container_definition *c = ecs_container_find(td, container);
    return c != NULL && c->version_consistency != ECS_VERSION_CONSISTENCY_DISABLED;
}

/* True when the owner learned a digest that it had not. */
static bool learn(struct op *op, struct ecs_container_images *images,
                  const struct ecs_task_definition *td, const struct ecs_container *c)
{
    if (c->image_digest.len == 0 || !may_pin(td, c->name)) {
        return false;
    }
    struct ecs_container_image *image = find_image(images, c->name);
    if (image == NULL) {
        image = ARENA_PUSH(&op->arena, images);
        *image = (struct ecs_container_image){.container_name = c->name, .image = c->image};
        images->is_set = true;
    }
    if (image->image_digest.len > 0) {
        return false;
    }
    image->image_digest = c->image_digest;
    return true;
}

enum err ecs_images_learn(struct op *op, struct ecs *ecs, const struct engine_ecs_task *task)
{
    struct owner o = {0};
    TRY(find_owner(op, ecs, task, &o));
    if (!o.is_there) {
        return ERR_OK;
    }
    struct ecs_task_definition td = {0};
    TRY(ecs_task_definition_of(op, ecs, task->task->task_definition_arn, &td));
    bool is_changed = false;
    for (size_t i = 0; i < task->task->containers.count; i++) {
        is_changed |= learn(op, images_of(&o), &td, &task->task->containers.items[i]);
    }
    if (!is_changed) {
        return ERR_OK;
    }
    if (o.is_set) {
        return ecs_task_set_put(op, ecs, &o.ref, &o.set);
    }
    struct str key = ecs_key(op, o.ref.key, ecs_last_part(o.revision.service_revision_arn));
    return store_put(op, ecs->config.store, &ecs_kind_revision, key, o.ref.key, &o.revision);
}

/* "registry/name:tag" with a digest is "registry/name@sha256:...". */
static struct str pinned(struct op *op, struct str image, struct str digest)
{
    bool is_plain = str_find_char(image, '@', 0) == STR_NOT_FOUND &&
                    str_find(image, STR("://"), 0) == STR_NOT_FOUND;
    if (!is_plain) {
        return image;
    }
    struct str name = image;
    size_t colon = str_find_last_char(name, ':');
    if (colon != STR_NOT_FOUND && str_find_char(name, '/', colon) == STR_NOT_FOUND) {
        name = str_slice(name, 0, colon);
    }
    return arena_printf(&op->arena, "%.*s@%.*s", STR_ARG(name), STR_ARG(digest));
}

enum err ecs_images_pin(struct op *op, struct ecs *ecs, const struct engine_ecs_task *task,
                        const struct ecs_task_definition *td,
                        struct runtime_container_spec *containers, size_t count)
{
    struct owner o = {0};
    TRY(find_owner(op, ecs, task, &o));
    for (size_t i = 0; o.is_there && i < count; i++) {
        const struct ecs_container_image *image = find_image(images_of(&o), containers[i].name);
        if (image == NULL || image->image_digest.len == 0 || !may_pin(td, containers[i].name)) {
            continue;
        }
        containers[i].image = pinned(op, containers[i].image, image->image_digest);
    }
    return ERR_OK;
}
