/* hitless schema and hitless version. */
#include "base/buf.h"
#include "cli/cli.h"
#include "deployer/config.h"

#include <stdio.h>

#define TEXT_BYTES_MAX (1u << 20)

static int run_schema(struct op *op, const struct cli_args *args)
{
    struct cli_option reference = {.name = "--reference"};
    struct cli_parsed parsed = {0};
    if (cli_parse(op, args, &reference, 1, &parsed) != ERR_OK) {
        return cli_fail_op(CLI_USAGE, op, NULL);
    }
    auto_buf struct buf text;
    buf_init(&text, TEXT_BYTES_MAX);
    if (str_is_set(reference.value)) {
        config_write_reference(&text);
    } else {
        config_write_schema(&text);
    }
    (void)fwrite(text.ptr, 1, text.len, stdout);
    return CLI_OK;
}

const struct cli_command cli_schema = {
    .name = "schema",
    .arguments = "",
    .summary = "the JSON Schema of hitless.yaml",
    .help = "  --reference      the page docs/configuration.md instead\n"
            "\n"
            "Example:\n"
            "  hitless schema > .vscode/hitless.schema.json\n",
    .run = run_schema,
};

static int run_version(struct op *op, const struct cli_args *args)
{
    (void)op;
    (void)args;
    (void)printf("hitless %s\n", HITLESS_VERSION);
    return CLI_OK;
}

const struct cli_command cli_version = {
    .name = "version",
    .arguments = "",
    .summary = "which hitless this is",
    .help = "Example:\n  hitless version\n",
    .run = run_version,
};
