/* The service on a store in memory: keys at rest, what listeners get, requests, renewals. */
#include "svc/acm/acm.h"

#include "base/cleanup.h"
#include "crypt/cert.h"
#include "ev/loop.h"
#include "store/store.h"
#include "test.h"

struct fixture {
    struct op op;
    struct store *store;
    struct ev_loop loop;
    struct acm *acm;
    struct port_certificates port;
    struct str user; /* absent: nobody uses any certificate */
    size_t changed_count;
    const char *folder;
};

static enum err list_users(void *self, struct op *op, struct str arn, struct port_arns *ret)
{
    struct fixture *f = self;
    (void)op;
    (void)arn;
    *ret = (struct port_arns){.items = &f->user, .count = str_is_set(f->user) ? 1 : 0};
    return ERR_OK;
}

static enum err list_used(void *self, struct op *op, struct port_arns *ret)
{
    (void)self;
    (void)op;
    *ret = (struct port_arns){0};
    return ERR_OK;
}

static bool is_published(void *self)
{
    (void)self;
    return true;
}

static void certificate_changed(void *self, struct str region, struct str arn)
{
    struct fixture *f = self;
    (void)arn;
    EXPECT_STR(region, "eu-west-1");
    f->changed_count++;
}

static void challenges_changed(void *self)
{
    (void)self;
}

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.folder = test_folder()};
    op_init(&f->op);
    f->op.account = STR("123456789012");
    f->op.region = STR("eu-west-1");
    REQUIRE_OK(store_open(&f->op, ":memory:", &f->store), &f->op);
    REQUIRE_OK(ev_loop_open(&f->op, &f->loop), &f->op);
    struct acm_config config = {
        .store = f->store,
        .loop = &f->loop,
        .key = {.bytes = {7}},
        .account = f->op.account,
        .state = str_of(f->folder),
        .is_test_mode = true,
        .users = {.self = f,
                  .list_users = list_users,
                  .list_used = list_used,
                  .is_published = is_published},
        .wakes = {.self = f,
                  .certificate_changed = certificate_changed,
                  .challenges_changed = challenges_changed},
    };
    REQUIRE_OK(acm_open(&f->op, &config, &f->acm), &f->op);
    f->port = acm_port_certificates(f->acm);
    acm_start(f->acm);
}

static void close_fixture(struct fixture *f)
{
    acm_close(f->acm);
    ev_loop_close(&f->loop);
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
    } while (0)

static struct cert_dates dates(int64_t from_days, int64_t to_days)
{
    int64_t day = (int64_t)86400 * 1000000;
    int64_t now = clock_wall().us;
    return (struct cert_dates){{now + from_days * day}, {now + to_days * day}};
}

/* The key is handed over afresh each time, because the service clears what it is given. */
static struct acm_import_certificate_in import_in(struct fixture *f, struct str name,
                                                  enum cert_key kind)
{
    struct arena *a = &f->op.arena;
    struct str root_key = cert_make_key(a, CERT_KEY_EC_P256);
    struct str key = cert_make_key(a, kind);
    struct str root = cert_make_authority(a, root_key, STR("Unit Root"), dates(-1, 9));
    return (struct acm_import_certificate_in){
        .certificate = cert_make_leaf(a, root, root_key, key, &name, 1, dates(-1, 8)),
        .private_key = key,
        .certificate_chain = root};
}

static struct str import(struct fixture *f, struct str name, enum cert_key kind)
{
    struct acm_import_certificate_in in = import_in(f, name, kind);
    struct acm_import_certificate_out out = {0};
    REQUIRE_OK(acm_handlers.import_certificate(&f->op, f->acm, &in, &out), &f->op);
    return out.certificate_arn;
}

TEST(listeners_get_chain_and_key_and_the_request_keeps_neither)
{
    FIXTURE;
    struct acm_import_certificate_in in = import_in(&f, STR("a.example.com"), CERT_KEY_EC_P256);
    struct acm_import_certificate_out out = {0};
    struct str key = arena_str(&f.op.arena, in.private_key);
    REQUIRE_OK(acm_handlers.import_certificate(&f.op, f.acm, &in, &out), &f.op);
    EXPECT_EQ(f.changed_count, 1);
    EXPECT_EQ(in.private_key.ptr[0], 0);
    struct port_certificate got = {0};
    EXPECT_OK(f.port.check(f.port.self, &f.op, out.certificate_arn), &f.op);
    REQUIRE_OK(f.port.find(f.port.self, &f.op, out.certificate_arn, &got), &f.op);
    EXPECT_STR_EQ(got.key_pem, key);
    EXPECT(str_starts_with(got.chain_pem, in.certificate));
    EXPECT(str_ends_with(got.chain_pem, in.certificate_chain));
    struct str gone = STR("arn:aws:acm:eu-west-1:123456789012:certificate/none");
    EXPECT_EQ(f.port.find(f.port.self, &f.op, gone, &got), ERR_NOT_FOUND);
    struct str iam = STR("arn:aws:iam::123456789012:server-certificate/none");
    EXPECT_EQ(f.port.check(f.port.self, &f.op, iam), ERR_NOT_FOUND);
    f.op.region = STR("us-east-1"); /* another region has it not */
    EXPECT_EQ(f.port.check(f.port.self, &f.op, out.certificate_arn), ERR_NOT_FOUND);
}

TEST(a_weak_key_is_imported_but_not_for_listeners)
{
    FIXTURE;
    struct str arn = import(&f, STR("weak.example.com"), CERT_KEY_RSA_1024);
    EXPECT_EQ(f.port.check(f.port.self, &f.op, arn), ERR_STATE);
}

TEST(a_certificate_in_use_stays)
{
    FIXTURE;
    struct str arn = import(&f, STR("used.example.com"), CERT_KEY_RSA_2048);
    struct acm_delete_certificate_in in = {.certificate_arn = arn};
    struct acm_delete_certificate_out out = {0};
    f.user = STR("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1");
    EXPECT_CODE(f, acm_handlers.delete_certificate(&f.op, f.acm, &in, &out),
                "ResourceInUseException");
    struct acm_describe_certificate_in ask = {.certificate_arn = arn};
    struct acm_describe_certificate_out told = {0};
    REQUIRE_OK(acm_handlers.describe_certificate(&f.op, f.acm, &ask, &told), &f.op);
    REQUIRE_EQ(told.certificate->in_use_by.count, 1);
    EXPECT_STR_EQ(told.certificate->in_use_by.items[0], f.user);
    f.user = STR_NONE;
    EXPECT_OK(acm_handlers.delete_certificate(&f.op, f.acm, &in, &out), &f.op);
    EXPECT_CODE(f, acm_handlers.delete_certificate(&f.op, f.acm, &in, &out),
                "ResourceNotFoundException");
}

TEST(an_expired_certificate_is_shown_as_such)
{
    FIXTURE;
    struct str arn = import(&f, STR("old.example.com"), CERT_KEY_EC_P256);
    struct acm_describe_certificate_in ask = {.certificate_arn = arn};
    struct acm_describe_certificate_out told = {0};
    REQUIRE_OK(acm_handlers.describe_certificate(&f.op, f.acm, &ask, &told), &f.op);
    EXPECT_EQ(told.certificate->status, ACM_CERTIFICATE_STATUS_ISSUED);
    f.op.now = wall_add(f.op.now, DUR_MIN(9 * 24 * 60));
    REQUIRE_OK(acm_handlers.describe_certificate(&f.op, f.acm, &ask, &told), &f.op);
    EXPECT_EQ(told.certificate->status, ACM_CERTIFICATE_STATUS_EXPIRED);
}

TEST(lists_are_filtered_sorted_and_cut)
{
    FIXTURE;
    for (int i = 0; i < 5; i++) {
        (void)import(&f, arena_printf(&f.op.arena, "c%d.example.com", i), CERT_KEY_EC_P256);
        f.op.now = wall_add(f.op.now, DUR_S(1));
    }
    (void)import(&f, STR("rsa.example.com"), CERT_KEY_RSA_2048);
    struct acm_list_certificates_in in = {0};
    struct acm_list_certificates_out out = {0};
    REQUIRE_OK(acm_handlers.list_certificates(&f.op, f.acm, &in, &out), &f.op);
    EXPECT_EQ(out.certificate_summary_list.count, 1); /* as AWS: RSA of 1024 and 2048 bits */
    enum acm_key_algorithm kind = ACM_KEY_ALGORITHM_EC_PRIME256V1;
    struct acm_filters filters = {.key_types = {.items = (void *)&kind, .count = 1}};
    in = (struct acm_list_certificates_in){.includes = &filters,
                                           .sort_by = ACM_SORT_BY_CREATED_AT,
                                           .sort_order = ACM_SORT_ORDER_DESCENDING,
                                           .max_items = OPT_I32(2)};
    const char *names[] = {"c4.example.com", "c3.example.com", "c2.example.com", "c1.example.com",
                           "c0.example.com"};
    size_t seen = 0;
    for (int page = 0; page < 3; page++) {
        out = (struct acm_list_certificates_out){0};
        REQUIRE_OK(acm_handlers.list_certificates(&f.op, f.acm, &in, &out), &f.op);
        for (size_t i = 0; i < out.certificate_summary_list.count; i++) {
            REQUIRE(seen < 5);
            EXPECT_STR(out.certificate_summary_list.items[i].domain_name, names[seen++]);
        }
        in.next_token = out.next_token;
    }
    EXPECT_EQ(seen, 5);
    EXPECT(!str_is_set(out.next_token));
    in.sort_order = ACM_SORT_ORDER_UNSET;
    EXPECT_CODE(f, acm_handlers.list_certificates(&f.op, f.acm, &in, &out), "ValidationException");
}

static enum acm_certificate_status status_of(struct fixture *f, struct str arn)
{
    struct acm_describe_certificate_in ask = {.certificate_arn = arn};
    struct acm_describe_certificate_out told = {0};
    REQUIRE_OK(acm_handlers.describe_certificate(&f->op, f->acm, &ask, &told), &f->op);
    return told.certificate->status;
}

TEST(in_test_mode_a_request_is_issued_by_the_local_authority_in_the_next_turn)
{
    FIXTURE;
    struct acm_request_certificate_in in = {.domain_name = STR("*.unit.example.com"),
                                            .key_algorithm = ACM_KEY_ALGORITHM_EC_PRIME256V1,
                                            .idempotency_token = STR("t1")};
    struct acm_request_certificate_out out = {0};
    struct acm_request_certificate_out again = {0};
    struct port_certificate got = {0};
    REQUIRE_OK(acm_handlers.request_certificate(&f.op, f.acm, &in, &out), &f.op);
    EXPECT_EQ(status_of(&f, out.certificate_arn), ACM_CERTIFICATE_STATUS_PENDING_VALIDATION);
    EXPECT_EQ(f.port.check(f.port.self, &f.op, out.certificate_arn), ERR_STATE);
    REQUIRE_OK(acm_handlers.request_certificate(&f.op, f.acm, &in, &again), &f.op);
    EXPECT_STR_EQ(again.certificate_arn, out.certificate_arn);
    EXPECT(ev_loop_settle(&f.loop, 50));
    EXPECT_EQ(status_of(&f, out.certificate_arn), ACM_CERTIFICATE_STATUS_ISSUED);
    REQUIRE_OK(f.port.find(f.port.self, &f.op, out.certificate_arn, &got), &f.op);
    struct str first = STR_NONE;
    struct str rest = STR_NONE;
    struct str chain = STR_NONE;
    REQUIRE_EQ(cert_split(&f.op.arena, got.chain_pem, &first, &rest), CERT_FINE);
    EXPECT_EQ(cert_read_chain(&f.op.arena, first, rest, &chain), CERT_FINE);
    EXPECT_EQ(cert_read_key(&f.op.arena, got.key_pem, first, &chain), CERT_FINE);
}

TEST(what_cannot_be_requested_is_refused)
{
    FIXTURE;
    static const struct str names[] = {STR_INIT("example"),        STR_INIT("-a.example.com"),
                                       STR_INIT("a..example.com"), STR_INIT("a.*.example.com"),
                                       STR_INIT("a_b.com"),        STR_INIT("*"),
                                       STR_INIT("*.com"),          STR_INIT("a.example.com.")};
    struct acm_request_certificate_out out = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct acm_request_certificate_in in = {.domain_name = names[i]};
        EXPECT_CODE(f, acm_handlers.request_certificate(&f.op, f.acm, &in, &out),
                    "ValidationException");
    }
    struct acm_request_certificate_in in = {.domain_name = STR("a.example.com"),
                                            .key_algorithm = ACM_KEY_ALGORITHM_RSA_4096};
    EXPECT_CODE(f, acm_handlers.request_certificate(&f.op, f.acm, &in, &out),
                "ValidationException");
}
