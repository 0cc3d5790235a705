/* Parameter Store on a store in memory: docs/aws-semantics.md, section 6.1. */
#include "svc/ssm/ssm.h"

#include "base/cleanup.h"
#include "store/store.h"
#include "svc/ssm/limits.h"
#include "test.h"

struct fixture {
    struct op op;
    struct store *store;
    struct ssm ssm;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){0};
    op_init(&f->op);
    f->op.account = STR("123456789012");
    f->op.region = STR("eu-west-1");
    REQUIRE_OK(store_open(&f->op, ":memory:", &f->store), &f->op);
    f->ssm = (struct ssm){.store = f->store, .key = {.bytes = {7}}};
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

static struct str text(struct op *op, const char *value)
{
    return arena_printf(&op->arena, "%s", value);
}

/* The value is handed over afresh each time, because the service clears what it is given. */
static enum err put(struct fixture *f, struct str name, const char *value)
{
    struct ssm_put_parameter_in in = {
        .name = name,
        .value = text(&f->op, value),
        .type = SSM_PARAMETER_TYPE_SECURESTRING,
        .overwrite = OPT_BOOL(true),
    };
    struct ssm_put_parameter_out out = {0};
    enum err result = ssm_handlers.put_parameter(&f->op, &f->ssm, &in, &out);
    EXPECT_EQ(in.value.ptr[0], 0);
    return result;
}

static enum err label(struct fixture *f, struct str name, int64_t version, struct str text)
{
    struct ssm_label_parameter_version_in in = {
        .name = name,
        .parameter_version = OPT_I64(version),
        .labels = {.items = &text, .count = 1, .is_set = true}};
    struct ssm_label_parameter_version_out out = {0};
    return ssm_handlers.label_parameter_version(&f->op, &f->ssm, &in, &out);
}

TEST(a_parameter_is_read_by_name_version_label_and_arn)
{
    FIXTURE;
    REQUIRE_OK(put(&f, STR("/a/b"), "one"), &f.op);
    REQUIRE_OK(put(&f, STR("/a/b"), "two"), &f.op);
    REQUIRE_OK(label(&f, STR("/a/b"), 1, STR("prod")), &f.op);
    static const struct {
        struct str asked;
        const char *want;
    } cases[] = {
        {STR_INIT("/a/b"), "two"},
        {STR_INIT("/a/b:1"), "one"},
        {STR_INIT("/a/b:prod"), "one"},
        {STR_INIT("arn:aws:ssm:eu-west-1:123456789012:parameter/a/b"), "two"},
        {STR_INIT("arn:aws:ssm:eu-west-1:123456789012:parameter/a/b:1"), "one"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str value = STR_NONE;
        REQUIRE_OK(ssm_read(&f.op, &f.ssm, cases[i].asked, &value), &f.op);
        EXPECT_STR(value, cases[i].want);
    }
    struct str value = STR_NONE;
    EXPECT_CODE(f, ssm_read(&f.op, &f.ssm, STR("/a/b:3"), &value), "ParameterVersionNotFound");
    EXPECT_CODE(f, ssm_read(&f.op, &f.ssm, STR("/a/b:test"), &value), "ParameterVersionNotFound");
    EXPECT_CODE(f, ssm_read(&f.op, &f.ssm, STR("/a"), &value), "ParameterNotFound");
}

TEST(a_name_of_one_level_is_found_by_arn_with_and_without_its_slash)
{
    FIXTURE;
    struct str value = STR_NONE;
    REQUIRE_OK(put(&f, STR("plain"), "p"), &f.op);
    REQUIRE_OK(put(&f, STR("/slash"), "s"), &f.op);
    struct str plain = STR("arn:aws:ssm:eu-west-1:123456789012:parameter/plain");
    struct str slash = STR("arn:aws:ssm:eu-west-1:123456789012:parameter/slash");
    REQUIRE_OK(ssm_read(&f.op, &f.ssm, plain, &value), &f.op);
    EXPECT_STR(value, "p");
    REQUIRE_OK(ssm_read(&f.op, &f.ssm, slash, &value), &f.op);
    EXPECT_STR(value, "s");
}

TEST(the_oldest_of_100_versions_goes_unless_it_has_a_label)
{
    FIXTURE;
    struct str name = STR("/many");
    for (int i = 0; i < SSM_VERSIONS_MAX + 1; i++) {
        REQUIRE_OK(put(&f, name, "x"), &f.op);
    }
    struct str value = STR_NONE;
    EXPECT_CODE(f, ssm_read(&f.op, &f.ssm, STR("/many:1"), &value), "ParameterVersionNotFound");
    REQUIRE_OK(label(&f, name, 2, STR("kept")), &f.op);
    EXPECT_CODE(f, put(&f, name, "x"), "ParameterMaxVersionLimitExceeded");
}

TEST(another_key_does_not_open_what_is_there_and_says_so)
{
    FIXTURE;
    REQUIRE_OK(put(&f, STR("/a"), "one"), &f.op);
    struct str value = STR_NONE;
    f.ssm.key.bytes[0] = 8;
    EXPECT_EQ(ssm_read(&f.op, &f.ssm, STR("/a"), &value), ERR_INTERNAL);
    EXPECT(strstr(f.op.note.text, "secret.key") != NULL);
    EXPECT(!str_is_set(value));
}

TEST(an_arena_that_held_a_value_is_overwritten_when_it_is_freed)
{
    FIXTURE;
    struct op writer;
    op_init(&writer);
    writer.region = f.op.region;
    struct ssm_put_parameter_in in = {
        .name = STR("/a"), .value = text(&writer, "one"), .type = SSM_PARAMETER_TYPE_STRING};
    struct ssm_put_parameter_out out = {0};
    REQUIRE_OK(ssm_handlers.put_parameter(&writer, &f.ssm, &in, &out), &writer);
    EXPECT(writer.arena.holds_secrets);
    op_fini(&writer);
    struct str value = STR_NONE;
    EXPECT(!f.op.arena.holds_secrets);
    REQUIRE_OK(ssm_read(&f.op, &f.ssm, STR("/a"), &value), &f.op);
    EXPECT(f.op.arena.holds_secrets);
}
