/* hitless certificate: certificates of this machine's files into the certificate manager. */
#include "base/check.h"
#include "base/file.h"
#include "cli/local.h"
#include "cli/session.h"
#include "crypt/cert.h"
#include "gen/acm.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPTION_KEY, OPTION_CHAIN, OPTION_ARN, OPTION_REGION, OPTION_PROFILE, OPTION_COUNT };

/* ---- the way to the API ---------------------------------------------------------------------- */

static bool is_given(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

/* The engine of this machine, unless the environment or the profile says another place. */
static enum err open_client(struct op *op, const struct cli_option *o, struct aws_client **ret)
{
    bool is_elsewhere = is_given("AWS_ENDPOINT_URL") || is_given("AWS_ENDPOINT_URL_ACM") ||
                        str_is_set(o[OPTION_PROFILE].value);
    struct cloud_door door = {0};
    struct str keys =
        arena_printf(&op->arena, "%.*s/credentials", STR_ARG(local_state(&op->arena)));
    bool has_keys = is_given("AWS_ACCESS_KEY_ID") || str_is_set(o[OPTION_PROFILE].value);
    if (!has_keys && access(keys.ptr, R_OK) == 0) {
        TRY(cloud_read_keys(op, keys.ptr, &door));
    }
    struct aws_client_options options = {
        .profile = o[OPTION_PROFILE].value,
        .region = o[OPTION_REGION].value,
        .endpoint = is_elsewhere ? STR_NONE : STR("http://" LOCAL_API_DEFAULT),
        .access_key_id = door.access_key_id,
        .secret_access_key = door.secret_access_key,
    };
    enum err result = aws_client_open(op, &options, ret);
    if (result != ERR_OK && !str_is_set(options.region) && !is_elsewhere) {
        op_note_clear(op);
        options.region = STR(CLOUD_REGION_DEFAULT);
        result = aws_client_open(op, &options, ret);
    }
    return result;
}

/* ---- import ---------------------------------------------------------------------------------- */

/* shop.pem: shop.key */
static struct str key_path(struct op *op, struct str path)
{
    size_t dot = str_find_last_char(path, '.');
    struct str stem = dot == STR_NOT_FOUND ? path : str_slice(path, 0, dot);
    return arena_printf(&op->arena, "%.*s.key", STR_ARG(stem));
}

static enum err read_certificate(struct op *op, struct str path, const struct cli_option *o,
                                 struct acm_import_certificate_in *in)
{
    struct str text = STR_NONE;
    TRY(file_read(op, arena_c_str(&op->arena, path), CERT_CHAIN_BYTES_MAX, &text));
    enum cert_fault fault = cert_split(&op->arena, text, &in->certificate, &in->certificate_chain);
    if (fault != CERT_FINE) {
        return op_fail(op, ERR_INPUT, "\"%.*s\" holds no certificate: %s", STR_ARG(path),
                       cert_fault_text(fault));
    }
    if (str_is_set(o[OPTION_CHAIN].value)) {
        TRY(file_read(op, arena_c_str(&op->arena, o[OPTION_CHAIN].value), CERT_CHAIN_BYTES_MAX,
                      &in->certificate_chain));
    }
    return ERR_OK;
}

static enum err import_file(struct op *op, struct aws_client *client, struct str path,
                            const struct cli_option *o)
{
    struct acm_import_certificate_in in = {.certificate_arn = o[OPTION_ARN].value};
    struct acm_import_certificate_out out = {0};
    struct str key = str_is_set(o[OPTION_KEY].value) ? o[OPTION_KEY].value : key_path(op, path);
    TRY(read_certificate(op, path, o, &in));
    TRY(file_read(op, arena_c_str(&op->arena, key), CERT_PEM_BYTES_MAX, &in.private_key));
    enum err result = acm_call_import_certificate(op, client, &in, &out);
    cert_clear(in.private_key);
    TRY(result);
    (void)printf("%.*s\n", STR_ARG(out.certificate_arn));
    return ERR_OK;
}

static int import_all(struct op *op, struct aws_client *client, const struct cli_parsed *parsed,
                      const struct cli_option *o)
{
    bool is_for_one = str_is_set(o[OPTION_KEY].value) || str_is_set(o[OPTION_ARN].value) ||
                      str_is_set(o[OPTION_CHAIN].value);
    if (parsed->word_count < 2 || (is_for_one && parsed->word_count > 2)) {
        return cli_fail(CLI_USAGE, "hitless certificate --help shows an example", "%s",
                        is_for_one ? "--key, --chain and --arn go with exactly one file"
                                   : "import wants a file");
    }
    for (size_t i = 1; i < parsed->word_count; i++) {
        if (import_file(op, client, parsed->words[i], o) != ERR_OK) {
            return cli_fail_op(CLI_PREFLIGHT, op, NULL);
        }
    }
    return CLI_OK;
}

/* ---- list ------------------------------------------------------------------------------------ */

static const enum acm_key_algorithm every_key[] = {
    ACM_KEY_ALGORITHM_RSA_1024,    ACM_KEY_ALGORITHM_RSA_2048,      ACM_KEY_ALGORITHM_RSA_3072,
    ACM_KEY_ALGORITHM_RSA_4096,    ACM_KEY_ALGORITHM_EC_PRIME256V1, ACM_KEY_ALGORITHM_EC_SECP384R1,
    ACM_KEY_ALGORITHM_EC_SECP521R1};

static void show_one(struct op *op, const struct acm_certificate_summary *c)
{
    struct str until = c->not_after.is_set
                           ? str_slice(wall_iso8601(&op->arena, c->not_after.value), 0, 10)
                           : STR("-");
    const char *status = shape_enum_name(&shape_acm_certificate_status, (int)c->status);
    (void)printf("%-32.*s %-18s %-10.*s %-8s %.*s\n", STR_ARG(c->domain_name),
                 status == NULL ? "-" : status, STR_ARG(until),
                 OPT_OR(c->in_use, false) ? "in use" : "unused", STR_ARG(c->certificate_arn));
}

static int list_all(struct op *op, struct aws_client *client)
{
    struct acm_filters filters = {0};
    for (size_t i = 0; i < ARRAY_COUNT(every_key); i++) {
        *ARENA_PUSH(&op->arena, &filters.key_types) = every_key[i];
    }
    filters.key_types.is_set = true;
    struct acm_list_certificates_in in = {.includes = &filters};
    bool has_more = true;
    while (has_more) {
        struct acm_list_certificates_out out = {0};
        if (aws_call_page(op, client, &acm_service, &acm_op_list_certificates, &in, &out,
                          &has_more) != ERR_OK) {
            return cli_fail_op(CLI_PREFLIGHT, op, NULL);
        }
        for (size_t i = 0; i < out.certificate_summary_list.count; i++) {
            show_one(op, &out.certificate_summary_list.items[i]);
        }
    }
    return CLI_OK;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int run(struct op *op, const struct cli_args *args)
{
    struct cli_option o[OPTION_COUNT] = {
        [OPTION_KEY] = {.name = "--key", .has_value = true},
        [OPTION_CHAIN] = {.name = "--chain", .has_value = true},
        [OPTION_ARN] = {.name = "--arn", .has_value = true},
        [OPTION_REGION] = {.name = "--region", .has_value = true},
        [OPTION_PROFILE] = {.name = "--profile", .has_value = true},
    };
    struct cli_parsed parsed = {0};
    struct aws_client *client = NULL;
    if (cli_parse(op, args, o, OPTION_COUNT, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    bool is_import = STR_IS(parsed.words[0], "import");
    if (!is_import && !STR_IS(parsed.words[0], "list")) {
        return cli_fail(CLI_USAGE, "hitless certificate --help shows an example",
                        "certificate wants import or list");
    }
    if (open_client(op, o, &client) != ERR_OK) {
        return cli_fail_op(CLI_PREFLIGHT, op, NULL);
    }
    int code = is_import ? import_all(op, client, &parsed, o) : list_all(op, client);
    aws_client_close(client);
    return code;
}

const struct cli_command cli_certificate = {
    .name = "certificate",
    .arguments = "import FILE... | list",
    .summary = "certificates for HTTPS listeners",
    .help =
        "  FILE             PEM: the certificate, and its chain behind it; the key is in FILE's\n"
        "                   name with .key; prints the ARN\n"
        "  --key FILE       the private key\n"
        "  --chain FILE     the chain\n"
        "  --arn ARN        the certificate that is replaced\n"
        "  --region REGION  (default: the environment's or the profile's)\n"
        "  --profile NAME   of the AWS configuration (default: this machine's engine)\n"
        "\n"
        "Example:\n"
        "  hitless certificate import shop.example.com.pem\n",
    .run = run,
};
