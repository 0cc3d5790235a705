/* hitless status and hitless history: what runs, and what was deployed. */
#include "base/check.h"
#include "cli/session.h"
#include "codec/json.h"
#include "deployer/deploy.h"
#include "deployer/history.h"

#include <stdio.h>

#define JSON_BYTES_MAX 262144
#define EVENTS_SHOWN   3

enum { OPTION_FILE, OPTION_SERVICE, OPTION_JSON, OPTION_COUNT };

static void set_options(struct cli_option *o)
{
    o[OPTION_FILE] = (struct cli_option){.name = "--file", .has_value = true};
    o[OPTION_SERVICE] = (struct cli_option){.name = "--service", .has_value = true};
    o[OPTION_JSON] = (struct cli_option){.name = "--json"};
}

static int begin(struct op *op, const struct cli_args *args, struct cli_option *o,
                 struct session *s)
{
    struct cli_parsed parsed = {0};
    set_options(o);
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    return session_begin(op, o[OPTION_FILE].value, parsed.words[0], false, s);
}

/* ---- status ---- */

struct status {
    struct place place;
    const struct ecs_service *service; /* NULL: not deployed */
    struct resources resources;
    struct str version;
    bool is_moving;
    struct handle moving;
};

static enum err read_status(struct op *op, const struct session *s, struct status *st)
{
    TRY(resources_find(op, &s->cloud, &st->place, &st->resources));
    st->service = st->resources.service;
    if (st->service == NULL) {
        return ERR_OK;
    }
    st->version = deploy_version_of(op, &s->cloud, st->service->task_definition);
    st->is_moving =
        shift_find_current(op, &s->cloud, &st->place, st->service, &st->moving) == ERR_OK;
    op_note_clear(op);
    return ERR_OK;
}

static void print_status(struct op *op, const struct status *st)
{
    (void)printf("%.*s (%.*s/%.*s): ", STR_ARG(st->place.service->name), STR_ARG(st->place.cluster),
                 STR_ARG(st->place.service_name));
    if (st->service == NULL) {
        (void)printf("not deployed\n");
        return;
    }
    (void)printf("version %.*s, %lld of %lld tasks run, %s\n", STR_ARG(st->version),
                 (long long)OPT_OR(st->service->running_count, 0),
                 (long long)OPT_OR(st->service->desired_count, 0),
                 st->is_moving ? "a deployment is under way" : "stable");
    (void)printf("  %.*s\n", STR_ARG(sight_revision(st->service->task_definition)));
    if (st->is_moving) {
        (void)printf("  deployment %.*s\n", STR_ARG(st->moving.id));
    }
    if (str_is_set(st->resources.dns_name)) {
        (void)printf("  %.*s\n", STR_ARG(resources_url(&op->arena, &st->resources, STR("/"))));
    }
    for (size_t i = 0; i < st->service->events.count && i < EVENTS_SHOWN; i++) {
        const struct ecs_service_event *e = &st->service->events.items[i];
        struct str at = wall_iso8601(&op->arena, e->created_at.value);
        (void)printf("  %.*sZ %.*s\n", STR_ARG(str_slice(at, 0, 19)), STR_ARG(e->message));
    }
}

static void add(struct json_writer *w, const char *key, struct str text)
{
    if (str_is_set(text)) {
        json_key(w, str_of(key));
        json_add_string(w, text);
    }
}

static void print_status_json(struct op *op, const struct status *st)
{
    auto_buf struct buf out;
    buf_init(&out, JSON_BYTES_MAX);
    struct json_writer w;
    json_writer_init(&w, &out);
    json_begin_object(&w);
    add(&w, "type", STR("status"));
    add(&w, "service", st->place.service_name);
    add(&w, "cluster", st->place.cluster);
    json_key(&w, STR("deployed"));
    json_add_bool(&w, st->service != NULL);
    if (st->service != NULL) {
        add(&w, "version", st->version);
        add(&w, "taskDefinition", sight_revision(st->service->task_definition));
        json_key(&w, STR("running"));
        json_add_i64(&w, OPT_OR(st->service->running_count, 0));
        json_key(&w, STR("desired"));
        json_add_i64(&w, OPT_OR(st->service->desired_count, 0));
        json_key(&w, STR("stable"));
        json_add_bool(&w, !st->is_moving);
        add(&w, "deployment", st->is_moving ? st->moving.id : STR_NONE);
        if (str_is_set(st->resources.dns_name)) {
            add(&w, "url", resources_url(&op->arena, &st->resources, STR("/")));
        }
    }
    json_end_object(&w);
    (void)printf("%.*s\n", STR_ARG(buf_str(&out)));
}

static int run_status(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {0};
    struct session s = {0};
    int code = begin(op, args, o, &s);
    for (size_t i = 0; code == CLI_OK && i < s.config.service_count; i++) {
        struct status st = {0};
        const struct config_service *service = &s.config.services[i];
        if (str_is_set(o[OPTION_SERVICE].value) &&
            !str_equal(o[OPTION_SERVICE].value, service->name)) {
            continue;
        }
        place_name(&op->arena, &s.config, s.environment, service, &st.place);
        if (read_status(op, &s, &st) != ERR_OK) {
            code = cli_fail_op(CLI_CANNOT_TELL, op, NULL);
        } else if (str_is_set(o[OPTION_JSON].value)) {
            print_status_json(op, &st);
        } else {
            print_status(op, &st);
        }
    }
    session_close(&s);
    return code;
}

const struct cli_command cli_status = {
    .name = "status",
    .arguments = "[ENV]",
    .summary = "what runs there, and whether a deployment is under way",
    .help = "  --service NAME   only this one\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "  --json           one object a service\n"
            "\n"
            "Example:\n"
            "  hitless status production\n",
    .run = run_status,
};

/* ---- history ---- */

static void print_row(struct op *op, const struct history_row *row)
{
    struct str at =
        row->started.us == 0 ? STR("-") : str_slice(wall_iso8601(&op->arena, row->started), 0, 19);
    (void)printf("%-19.*s  %-14.*s %-28.*s %s%s%.*s\n", STR_ARG(at), STR_ARG(row->version),
                 STR_ARG(sight_revision(row->task_definition)), row->status,
                 str_is_set(row->reason) ? ": " : "", STR_ARG(row->reason));
}

static void print_row_json(struct op *op, const struct history_row *row)
{
    auto_buf struct buf out;
    buf_init(&out, JSON_BYTES_MAX);
    struct json_writer w;
    json_writer_init(&w, &out);
    json_begin_object(&w);
    add(&w, "type", STR("deployment"));
    add(&w, "version", row->version);
    add(&w, "taskDefinition", sight_revision(row->task_definition));
    add(&w, "status", str_of(row->status));
    add(&w, "reason", row->reason);
    if (row->started.us != 0) {
        add(&w, "started", wall_iso8601(&op->arena, row->started));
    }
    if (row->finished.us != 0) {
        add(&w, "finished", wall_iso8601(&op->arena, row->finished));
    }
    json_end_object(&w);
    (void)printf("%.*s\n", STR_ARG(buf_str(&out)));
}

static int show_history(struct op *op, const struct session *s, const struct cli_option *o)
{
    struct place place = {0};
    struct history h = {0};
    const struct ecs_service *service = NULL;
    if (!session_place(op, s, o[OPTION_SERVICE].value, &place)) {
        return CLI_USAGE;
    }
    if (resources_find_service(op, &s->cloud, &place, &service) != ERR_OK) {
        return cli_fail_op(CLI_CANNOT_TELL, op, NULL);
    }
    if (service == NULL) {
        (void)printf("%.*s: not deployed\n", STR_ARG(place.service_name));
        return CLI_OK;
    }
    if (history_read(op, &s->cloud, &place, &h) != ERR_OK) {
        return cli_fail_op(CLI_CANNOT_TELL, op, NULL);
    }
    for (size_t i = 0; i < h.count; i++) {
        if (str_is_set(o[OPTION_JSON].value)) {
            print_row_json(op, &h.items[i]);
        } else {
            print_row(op, &h.items[i]);
        }
    }
    return CLI_OK;
}

static int run_history(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {0};
    struct session s = {0};
    int code = begin(op, args, o, &s);
    code = code != CLI_OK ? code : show_history(op, &s, o);
    session_close(&s);
    return code;
}

const struct cli_command cli_history = {
    .name = "history",
    .arguments = "[ENV]",
    .summary = "what was deployed there, newest first",
    .help = "  --service NAME   (default: the first of the file)\n"
            "  --file FILE      (default: hitless.yaml here or above)\n"
            "  --json           one object a deployment\n"
            "\n"
            "Example:\n"
            "  hitless history production\n",
    .run = run_history,
};
