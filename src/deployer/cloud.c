#include "deployer/cloud.h"

#include "base/file.h"
#include "gen/sts.h"

#include <poll.h>

#define CREDENTIALS_BYTES_MAX 65536
#define POLL_LOCAL_MS         250
#define POLL_CLOUD_MS         5000

enum err cloud_open(struct op *op, const struct config_environment *e,
                    const struct cloud_door *door, struct cloud *ret_cloud)
{
    bool is_local = e->target == CONFIG_TARGET_LOCAL;
    struct aws_client_options options = {
        .profile = e->profile,
        .region = str_is_set(e->region) ? e->region : STR_NONE,
        .endpoint = door->endpoint,
        .access_key_id = door->access_key_id,
        .secret_access_key = door->secret_access_key,
        .is_cancelled = door->is_cancelled,
        .cancel_self = door->cancel_self,
    };
    struct cloud c = {.is_local = is_local,
                      .poll = is_local ? DUR_MS(POLL_LOCAL_MS) : DUR_MS(POLL_CLOUD_MS)};
    enum err opened = aws_client_open(op, &options, &c.client);
    if (opened != ERR_OK && is_local && !str_is_set(options.region)) {
        op_note_clear(op);
        options.region = STR(CLOUD_REGION_DEFAULT);
        opened = aws_client_open(op, &options, &c.client);
    }
    TRY(opened);
    struct sts_get_caller_identity_in in = {0};
    struct sts_get_caller_identity_out who = {0};
    enum err asked = sts_call_get_caller_identity(op, c.client, &in, &who);
    if (asked != ERR_OK) {
        aws_client_close(c.client);
        return asked;
    }
    c.region = arena_str(&op->arena, aws_client_region(c.client));
    c.account = arena_str(&op->arena, who.account);
    c.caller_arn = arena_str(&op->arena, who.arn);
    op->region = c.region;
    op->account = c.account;
    *ret_cloud = c;
    return ERR_OK;
}

void cloud_close(struct cloud *cloud)
{
    aws_client_close(cloud->client);
    cloud->client = NULL;
}

enum err cloud_read_keys(struct op *op, const char *path, struct cloud_door *ret_door)
{
    struct str rest = STR_NONE;
    TRY(file_read(op, path, CREDENTIALS_BYTES_MAX, &rest));
    struct str id = STR_NONE;
    struct str secret = STR_NONE;
    struct str line = STR_NONE;
    while (str_next(&rest, '\n', &line)) {
        struct str key = STR_NONE;
        struct str value = STR_NONE;
        if (!str_cut(line, '=', &key, &value)) {
            continue;
        }
        id = STR_IS(str_trim(key), "aws_access_key_id") ? str_trim(value) : id;
        secret = STR_IS(str_trim(key), "aws_secret_access_key") ? str_trim(value) : secret;
    }
    if (!str_is_set(id) || !str_is_set(secret)) {
        return op_fail(op, ERR_NOT_FOUND, "\"%s\" holds no access key", path);
    }
    ret_door->access_key_id = id;
    ret_door->secret_access_key = secret;
    return ERR_OK;
}

void cloud_op_init(struct op *op, const struct cloud *cloud)
{
    op_init(op);
    op->region = cloud->region;
    op->account = cloud->account;
}

enum err cloud_op_fail(struct op *op, const struct op *look, enum err e)
{
    return op_fail_as(op, e, look->note.public_error, "%s", look->note.text);
}

bool cloud_failed_as(const struct op *op, const struct err_public *error)
{
    return op->note.public_error == error;
}

void cloud_wait(dur_t span)
{
    (void)poll(NULL, 0, (int)dur_ms(span));
}
