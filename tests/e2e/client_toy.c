/* client_toy SERVICE OPERATION JSON [JSON...]: makes the calls one after the other with one client
 * and prints each output as a line of JSON; a failure as "error KIND CODE NOTE". With "pages" in
 * front of SERVICE the first call is repeated while there are pages. */

#include "aws/client.h"
#include "aws/services.h"
#include "base/check.h"
#include "shape/walk.h"

#include <stdio.h>
#include <string.h>

static const struct shape_service *service_named(const char *name)
{
    for (size_t i = 0; aws_services[i] != NULL; i++) {
        if (strcmp(aws_services[i]->name, name) == 0) {
            return aws_services[i];
        }
    }
    return NULL;
}

static int fail(const struct op *op, const struct aws_client *client)
{
    struct str code = client == NULL ? STR("") : aws_client_error_code(client);
    (void)printf("error %s|%.*s|%s|%s\n", err_text(op->note.kind), STR_ARG(code),
                 op->note.public_error == NULL ? "" : op->note.public_error->code, op->note.text);
    return 1;
}

static int call(struct op *op, struct aws_client *client, const struct shape_service *service,
                const struct shape_operation *operation, const char *json, bool is_paged)
{
    void *in = arena_alloc(&op->arena, operation->in->bytes);
    void *out = arena_alloc(&op->arena, operation->out->bytes);
    bool has_more = true;
    if (shape_json_decode(op, operation->in, str_of(json), SHAPE_STRICT, in) != ERR_OK) {
        return fail(op, client);
    }
    while (has_more) {
        enum err e = is_paged ? aws_call_page(op, client, service, operation, in, out, &has_more)
                              : aws_call(op, client, service, operation, in, out);
        if (e != ERR_OK) {
            return fail(op, client);
        }
        auto_buf struct buf text;
        buf_init(&text, 1 << 20);
        shape_json_encode(&text, operation->out, out);
        (void)printf("%.*s\n", STR_ARG(buf_str(&text)));
        has_more = has_more && is_paged;
    }
    return 0;
}

int main(int argc, char **argv)
{
    auto_op struct op op;
    op_init(&op);
    bool is_paged = argc > 1 && strcmp(argv[1], "pages") == 0;
    char **args = argv + (is_paged ? 2 : 1);
    CHECK(argc >= (is_paged ? 5 : 4));
    const struct shape_service *service = service_named(args[0]);
    CHECK(service != NULL);
    const struct shape_operation *operation = aws_operation_find(service, str_of(args[1]));
    CHECK(operation != NULL);
    struct aws_client *client = NULL;
    const struct aws_client_options options = {.answer_timeout = DUR_MS(3000)};
    if (aws_client_open(&op, &options, &client) != ERR_OK) {
        return fail(&op, NULL);
    }
    int failed = 0;
    for (size_t i = 2; args[i] != NULL && failed == 0; i++) {
        failed = call(&op, client, service, operation, args[i], is_paged);
    }
    aws_client_close(client);
    return failed;
}
