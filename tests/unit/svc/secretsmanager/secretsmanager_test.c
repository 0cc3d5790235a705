/* Secrets Manager on a store in memory: docs/aws-semantics.md, section 6.1. */
#include "svc/secretsmanager/secretsmanager.h"

#include "base/cleanup.h"
#include "store/store.h"
#include "svc/secretsmanager/limits.h"
#include "test.h"

struct fixture {
    struct op op;
    struct store *store;
    struct secretsmanager sm;
    struct str arn; /* of the secret "db" */
};

#define CALL(f, name_, in_, out_) secretsmanager_handlers.name_(&(f)->op, &(f)->sm, (in_), (out_))

/* Values are handed over afresh each time, because the service clears what it is given. */
static struct str text(struct fixture *f, const char *value)
{
    return arena_printf(&f->op.arena, "%s", value);
}

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){0};
    op_init(&f->op);
    f->op.account = STR("123456789012");
    f->op.region = STR("eu-west-1");
    REQUIRE_OK(store_open(&f->op, ":memory:", &f->store), &f->op);
    f->sm = (struct secretsmanager){.store = f->store, .key = {.bytes = {7}}};
    struct secretsmanager_create_secret_in in = {
        .name = STR("db"),
        .secret_string = text(f, "{\"password\": \"p\\u0041\", \"port\": 5432}"),
        .client_request_token = STR("11111111111111111111111111111111")};
    struct secretsmanager_create_secret_out out = {0};
    REQUIRE_OK(CALL(f, create_secret, &in, &out), &f->op);
    EXPECT_EQ(in.secret_string.ptr[0], 0);
    f->arn = out.arn;
}

static void close_fixture(struct fixture *f)
{
    store_close(f->store);
    op_fini(&f->op);
}

#define FIXTURE                           \
    AUTO(close_fixture) struct fixture f; \
    open_fixture(&f)

#define EXPECT_CODE(f, call, want)                                \
    do {                                                          \
        EXPECT((call) != ERR_OK);                                 \
        REQUIRE((f).op.note.public_error != NULL);                \
        EXPECT_STR(str_of((f).op.note.public_error->code), want); \
        op_note_clear(&(f).op);                                   \
    } while (0)

static enum err put(struct fixture *f, const char *value, const char *token)
{
    struct secretsmanager_put_secret_value_in in = {.secret_id = STR("db"),
                                                    .secret_string = text(f, value),
                                                    .client_request_token = str_of(token)};
    struct secretsmanager_put_secret_value_out out = {0};
    return CALL(f, put_secret_value, &in, &out);
}

static enum err read_from(struct fixture *f, const char *tail, struct str *ret)
{
    struct str from = arena_printf(&f->op.arena, "%.*s%s", STR_ARG(f->arn), tail);
    return secrets_read(&f->op, &f->sm, from, ret);
}

static void expect_read(struct fixture *f, const char *tail, const char *want)
{
    struct str value = STR_NONE;
    REQUIRE_OK(read_from(f, tail, &value), &f->op);
    EXPECT_STR(value, want);
}

TEST(a_task_asks_by_arn_json_key_stage_and_version)
{
    FIXTURE;
    expect_read(&f, ":password::", "pA");
    expect_read(&f, ":port::", "5432");
    REQUIRE_OK(put(&f, "{\"password\":\"new\"}", "22222222222222222222222222222222"), &f.op);
    expect_read(&f, "", "{\"password\":\"new\"}");
    expect_read(&f, ":password::", "new");
    expect_read(&f, ":password:AWSPREVIOUS:", "pA");
    expect_read(&f, ":password::11111111111111111111111111111111", "pA");
    struct str value = STR_NONE;
    EXPECT_EQ(read_from(&f, ":none::", &value), ERR_INPUT);
    EXPECT(strstr(f.op.note.text, "did not contain json key none") != NULL);
    EXPECT_CODE(f, read_from(&f, "::OTHER:", &value), "ResourceNotFoundException");
}

TEST(a_secret_that_is_no_object_has_no_keys_and_is_not_quoted)
{
    FIXTURE;
    REQUIRE_OK(put(&f, "{\"password\": hidden}", "22222222222222222222222222222222"), &f.op);
    struct str value = STR_NONE;
    EXPECT_EQ(read_from(&f, ":password::", &value), ERR_INPUT);
    EXPECT(strstr(f.op.note.text, "hidden") == NULL);
}

TEST(the_same_token_twice_is_one_version)
{
    FIXTURE;
    const char *token = "22222222222222222222222222222222";
    REQUIRE_OK(put(&f, "two", token), &f.op);
    REQUIRE_OK(put(&f, "two", token), &f.op);
    expect_read(&f, "", "two");
    EXPECT_CODE(f, put(&f, "three", token), "ResourceExistsException");
    expect_read(&f, "", "two");
}

TEST(versions_without_a_stage_make_room)
{
    FIXTURE;
    for (int i = 0; i < SECRETS_VERSIONS_MAX + 5; i++) {
        f.op.now.us += 1000000;
        REQUIRE_OK(put(&f, "x", arena_printf(&f.op.arena, "%032d", i).ptr), &f.op);
    }
    struct secretsmanager_list_secret_version_ids_in in = {.secret_id = STR("db"),
                                                           .include_deprecated = OPT_BOOL(true)};
    struct secretsmanager_list_secret_version_ids_out out = {0};
    REQUIRE_OK(CALL(&f, list_secret_version_ids, &in, &out), &f.op);
    EXPECT_EQ(out.versions.count, SECRETS_VERSIONS_MAX);
    struct str value = STR_NONE;
    EXPECT_CODE(f, read_from(&f, ":::11111111111111111111111111111111", &value),
                "ResourceNotFoundException");
    expect_read(&f, "::AWSPREVIOUS:", "x");
}

TEST(a_deleted_secret_is_gone_when_its_window_is_over)
{
    FIXTURE;
    struct secretsmanager_delete_secret_in in = {.secret_id = f.arn,
                                                 .recovery_window_in_days = OPT_I64(7)};
    struct secretsmanager_delete_secret_out out = {0};
    struct str value = STR_NONE;
    REQUIRE_OK(CALL(&f, delete_secret, &in, &out), &f.op);
    EXPECT_EQ(out.deletion_date.value.us, f.op.now.us + 7 * SECRETS_DAY.us);
    EXPECT_CODE(f, read_from(&f, "", &value), "InvalidRequestException");
    f.op.now = out.deletion_date.value;
    EXPECT_CODE(f, read_from(&f, "", &value), "ResourceNotFoundException");
    struct secretsmanager_restore_secret_in restore = {.secret_id = f.arn};
    struct secretsmanager_restore_secret_out restored = {0};
    EXPECT_CODE(f, CALL(&f, restore_secret, &restore, &restored), "ResourceNotFoundException");
}

TEST(another_region_has_no_such_secret)
{
    FIXTURE;
    struct str value = STR_NONE;
    f.op.region = STR("us-east-1");
    EXPECT_CODE(f, read_from(&f, "", &value), "ResourceNotFoundException");
}

TEST(passwords_have_each_kind_and_nothing_excluded)
{
    FIXTURE;
    struct secretsmanager_get_random_password_in in = {.password_length = OPT_I64(4),
                                                       .exclude_characters = STR("abc0")};
    struct secretsmanager_get_random_password_out out = {0};
    for (int i = 0; i < 50; i++) {
        REQUIRE_OK(CALL(&f, get_random_password, &in, &out), &f.op);
        EXPECT_EQ(out.random_password.len, 4);
        EXPECT(strpbrk(out.random_password.ptr, "abc0") == NULL);
        EXPECT(strpbrk(out.random_password.ptr, "123456789") != NULL);
    }
    in.password_length = OPT_I64(3);
    EXPECT_CODE(f, CALL(&f, get_random_password, &in, &out), "InvalidParameterException");
}
