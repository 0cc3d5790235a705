#include "app/options.h"

#include "base/check.h"

#include <stdlib.h>
#include <unistd.h>

const char options_help[] =
    "hitless serve: the engine; runs services on this machine and speaks the AWS APIs\n"
    "\n"
    "  --state DIR            where everything is kept\n"
    "                         (default: $XDG_STATE_HOME/hitless, /var/lib/hitless for root)\n"
    "  --api ADDR:PORT        where the API listens (default: " OPTIONS_API_DEFAULT ")\n"
    "  --time-scale N         divides every configured duration by N, for rehearsals (default: 1)\n"
    "  --runtime auto|docker|process\n"
    "                         what runs the containers (default: auto: docker where it answers)\n"
    "  --docker-socket PATH   (default: /var/run/docker.sock)\n"
    "  --account NUMBER       12 digits (default: " OPTIONS_ACCOUNT_DEFAULT ")\n"
    "  --lb-address ADDR      where internet-facing load balancers listen\n"
    "                         (default: an address of 127.77.0.0/16 for each)\n"
    "  --certificate-dir DIR  certificates to import, and again when they change: NAME.pem with\n"
    "                         NAME.key in DIR/REGION\n"
    "  --acme-directory URL   where requested certificates come from (RFC 8555); they are proved\n"
    "                         over port 80 of the load balancers ($HITLESS_ACME_DIRECTORY)\n"
    "  --acme-contact MAIL    for that authority ($HITLESS_ACME_CONTACT)\n"
    "  --acme-ca-file FILE    whom to trust there instead of the system's authorities\n"
    "                         ($HITLESS_ACME_CA_FILE)\n"
    "  --idp-ca-file FILE     whom to trust, instead of the system's authorities, when key sets "
    "of\n"
    "                         jwt-validation actions are fetched and users sign in\n"
    "                         ($HITLESS_IDP_CA_FILE)\n"
    "  --workers N            threads of the data plane (default: one a processor)\n"
    "  --keep-tasks           tasks go on when the engine stops\n"
    "  --test-mode            takes any credentials and answers POST /moto-api/reset\n"
    "  --verbose              says more\n"
    "\n"
    "Example:\n"
    "  hitless serve --state /tmp/hitless --time-scale 60\n"
    "  AWS_SHARED_CREDENTIALS_FILE=/tmp/hitless/credentials AWS_REGION=eu-west-1 \\\n"
    "    aws --endpoint-url http://127.0.0.1:4566 ecs list-clusters\n";

enum value_kind { VALUE_NONE, VALUE_TEXT };

struct flag {
    const char *name;
    enum value_kind value;
    enum err (*take)(struct op *op, struct options *o, struct str value);
};

static enum err fail_value(struct op *op, const char *flag, struct str value, const char *expected)
{
    return op_fail(op, ERR_INPUT, "%s \"%.*s\": expected %s", flag, STR_ARG(value), expected);
}

static enum err take_state(struct op *op, struct options *o, struct str value)
{
    if (value.len == 0) {
        return fail_value(op, "--state", value, "a folder");
    }
    o->state = value;
    return ERR_OK;
}

static enum err take_api(struct op *op, struct options *o, struct str value)
{
    if (!net_addr_parse(value, &o->api) || net_addr_is_unix(&o->api)) {
        return fail_value(op, "--api", value, "an address and a port, as 127.0.0.1:4566");
    }
    return ERR_OK;
}

static enum err take_time_scale(struct op *op, struct options *o, struct str value)
{
    if (!str_parse_i64(value, 1, CLOCK_SCALE_MAX, &o->time_scale)) {
        return fail_value(op, "--time-scale", value, "a whole number from 1 to 100000");
    }
    return ERR_OK;
}

static enum err take_runtime(struct op *op, struct options *o, struct str value)
{
    static const char *const names[] = {"auto", "docker", "process"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_equal(value, str_of(names[i]))) {
            o->runtime = (enum options_runtime)i;
            return ERR_OK;
        }
    }
    return fail_value(op, "--runtime", value, "auto, docker or process");
}

static enum err take_docker_socket(struct op *op, struct options *o, struct str value)
{
    (void)op;
    o->docker_socket = value;
    return ERR_OK;
}

static enum err take_account(struct op *op, struct options *o, struct str value)
{
    uint64_t number = 0;
    if (value.len != 12 || !str_parse_u64(value, UINT64_MAX, &number)) {
        return fail_value(op, "--account", value, "12 digits");
    }
    o->account = value;
    return ERR_OK;
}

static enum err take_lb_address(struct op *op, struct options *o, struct str value)
{
    struct net_addr addr = {0};
    if (!net_addr_parse_host(value, 0, &addr) || net_addr_is_unix(&addr)) {
        return fail_value(op, "--lb-address", value, "an IP address");
    }
    o->lb_address = value;
    return ERR_OK;
}

static enum err take_acme_directory(struct op *op, struct options *o, struct str value)
{
    if (!str_starts_with(value, STR("https://")) || value.len > 2000) {
        return fail_value(op, "--acme-directory", value, "a URL that begins with https://");
    }
    o->acme_directory = value;
    return ERR_OK;
}

static bool is_mail_char(char c)
{
    return c > ' ' && c < 127 && c != '"' && c != '\\' && c != ',' && c != '?';
}

static enum err take_acme_contact(struct op *op, struct options *o, struct str value)
{
    bool is_fine =
        value.len > 2 && value.len <= 254 && str_find_char(value, '@', 1) != STR_NOT_FOUND;
    for (size_t i = 0; i < value.len; i++) {
        is_fine = is_fine && is_mail_char(value.ptr[i]);
    }
    if (!is_fine) {
        return fail_value(op, "--acme-contact", value, "a mail address");
    }
    o->acme_contact = value;
    return ERR_OK;
}

static enum err take_acme_ca_file(struct op *op, struct options *o, struct str value)
{
    (void)op;
    o->acme_ca_file = value;
    return ERR_OK;
}

static enum err take_idp_ca_file(struct op *op, struct options *o, struct str value)
{
    (void)op;
    o->idp_ca_file = value;
    return ERR_OK;
}

static enum err take_certificate_folder(struct op *op, struct options *o, struct str value)
{
    if (value.len == 0) {
        return fail_value(op, "--certificate-dir", value, "a folder");
    }
    o->certificate_folder = value;
    return ERR_OK;
}

static enum err take_workers(struct op *op, struct options *o, struct str value)
{
    uint64_t count = 0;
    if (!str_parse_u64(value, OPTIONS_WORKERS_MAX, &count) || count == 0) {
        return fail_value(op, "--workers", value, "a whole number from 1 to 64");
    }
    o->worker_count = (size_t)count;
    return ERR_OK;
}

static enum err take_keep_tasks(struct op *op, struct options *o, struct str value)
{
    (void)op;
    (void)value;
    o->keeps_tasks = true;
    return ERR_OK;
}

static enum err take_test_mode(struct op *op, struct options *o, struct str value)
{
    (void)op;
    (void)value;
    o->is_test_mode = true;
    return ERR_OK;
}

static enum err take_verbose(struct op *op, struct options *o, struct str value)
{
    (void)op;
    (void)value;
    o->is_verbose = true;
    return ERR_OK;
}

static enum err take_help(struct op *op, struct options *o, struct str value)
{
    (void)op;
    (void)value;
    o->wants_help = true;
    return ERR_OK;
}

static const struct flag flags[] = {
    {"--state", VALUE_TEXT, take_state},
    {"--api", VALUE_TEXT, take_api},
    {"--time-scale", VALUE_TEXT, take_time_scale},
    {"--runtime", VALUE_TEXT, take_runtime},
    {"--docker-socket", VALUE_TEXT, take_docker_socket},
    {"--account", VALUE_TEXT, take_account},
    {"--lb-address", VALUE_TEXT, take_lb_address},
    {"--workers", VALUE_TEXT, take_workers},
    {"--certificate-dir", VALUE_TEXT, take_certificate_folder},
    {"--acme-directory", VALUE_TEXT, take_acme_directory},
    {"--acme-contact", VALUE_TEXT, take_acme_contact},
    {"--acme-ca-file", VALUE_TEXT, take_acme_ca_file},
    {"--idp-ca-file", VALUE_TEXT, take_idp_ca_file},
    {"--keep-tasks", VALUE_NONE, take_keep_tasks},
    {"--test-mode", VALUE_NONE, take_test_mode},
    {"--verbose", VALUE_NONE, take_verbose},
    {"--help", VALUE_NONE, take_help},
    {"-h", VALUE_NONE, take_help},
};

static const struct flag *find_flag(struct str name)
{
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        if (str_equal(name, str_of(flags[i].name))) {
            return &flags[i];
        }
    }
    return NULL;
}

/* Takes one flag, and its value in the same word behind "=" or in the next; moves *at behind both.
 */
static enum err take_word(struct op *op, struct options *o, int count, char *const *words, int *at)
{
    struct str word = str_of(words[(*at)++]);
    struct str name = word;
    struct str value = STR_NONE;
    (void)str_cut(word, '=', &name, &value);
    const struct flag *f = find_flag(name);
    if (f == NULL) {
        return op_fail(op, ERR_INPUT, "unknown option \"%.*s\"; see: hitless serve --help",
                       STR_ARG(word));
    }
    if (f->value == VALUE_NONE && str_is_set(value)) {
        return op_fail(op, ERR_INPUT, "%s takes no value", f->name);
    }
    if (f->value == VALUE_TEXT && !str_is_set(value)) {
        if (*at == count) {
            return op_fail(op, ERR_INPUT, "%s wants a value; see: hitless serve --help", f->name);
        }
        value = str_of(words[(*at)++]);
    }
    return f->take(op, o, value);
}

static struct str default_state(struct op *op)
{
    if (geteuid() == 0) {
        return STR("/var/lib/hitless");
    }
    const char *xdg = getenv("XDG_STATE_HOME");
    if (xdg != NULL && xdg[0] == '/') {
        return arena_printf(&op->arena, "%s/hitless", xdg);
    }
    const char *home = getenv("HOME");
    return arena_printf(&op->arena, "%s/.local/state/hitless", home == NULL ? "/tmp" : home);
}

static enum err make_absolute(struct op *op, struct str *path)
{
    if (!str_is_set(*path) || str_starts_with(*path, STR("/"))) {
        return ERR_OK;
    }
    char here[4096];
    if (getcwd(here, sizeof(here)) == NULL) {
        return op_fail_errno(op, "could not tell the current folder");
    }
    *path = arena_printf(&op->arena, "%s/%.*s", here, STR_ARG(*path));
    return ERR_OK;
}

/* What a service manager's environment says; the words say more. */
static enum err take_environment(struct op *op, struct options *o)
{
    static const struct {
        const char *name;
        enum err (*take)(struct op *op, struct options *o, struct str value);
    } variables[] = {
        {"HITLESS_ACME_DIRECTORY", take_acme_directory},
        {"HITLESS_ACME_CONTACT", take_acme_contact},
        {"HITLESS_ACME_CA_FILE", take_acme_ca_file},
        {"HITLESS_IDP_CA_FILE", take_idp_ca_file},
    };
    for (size_t i = 0; i < ARRAY_COUNT(variables); i++) {
        const char *value = getenv(variables[i].name);
        if (value != NULL && value[0] != '\0') {
            TRY(variables[i].take(op, o, str_of(value)));
        }
    }
    return ERR_OK;
}

enum err options_parse(struct op *op, int count, char *const *words, struct options *ret_options)
{
    struct options o = {
        .time_scale = 1,
        .state = default_state(op),
        .docker_socket = STR("/var/run/docker.sock"),
        .account = STR(OPTIONS_ACCOUNT_DEFAULT),
    };
    CHECK(net_addr_parse(STR(OPTIONS_API_DEFAULT), &o.api));
    TRY(take_environment(op, &o));
    for (int at = 0; at < count;) {
        TRY(take_word(op, &o, count, words, &at));
    }
    TRY(make_absolute(op, &o.state));
    TRY(make_absolute(op, &o.acme_ca_file));
    TRY(make_absolute(op, &o.idp_ca_file));
    TRY(make_absolute(op, &o.certificate_folder));
    *ret_options = o;
    return ERR_OK;
}
