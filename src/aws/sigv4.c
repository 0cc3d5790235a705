#include "aws/sigv4.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "codec/urlenc.h"

#include <stdlib.h>

#define PATH_PARTS_MAX      64        /* a path with more is none of ours and fails to match */
#define CANONICAL_BYTES_MAX (1 << 20) /* heads are far below it */

/* ---- keys ----------------------------------------------------------------------------------- */

static struct str bytes_of(const struct sha256 *hash)
{
    return str_make((const char *)hash->bytes, SHA256_BYTES);
}

static struct sha256 chain(struct sha256 key, struct str text)
{
    return hmac_sha256_of(bytes_of(&key), text);
}

static struct sha256 make_key(struct str secret, const struct sigv4_scope *scope)
{
    size_t bytes = secret.len + 4;
    char *first = mem_alloc(bytes);
    memcpy(first, "AWS4", 4); // NOLINT(bugprone-not-null-terminated-result): a str, no C text
    memcpy(first + 4, secret.ptr, secret.len);
    struct sha256 key = hmac_sha256_of(str_make(first, bytes), scope->date);
    mem_wipe(first, bytes);
    mem_free(first);
    key = chain(key, scope->region);
    key = chain(key, scope->service);
    return chain(key, STR("aws4_request"));
}

/* Recognises a secret and scope without keeping them. */
static struct sha256 cache_id(struct str secret, const struct sigv4_scope *scope)
{
    struct sha256_stream *s = sha256_stream_new();
    const struct str parts[] = {secret, scope->date, scope->region, scope->service};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        sha256_stream_add(s, str_make((const char *)&parts[i].len, sizeof(parts[i].len)));
        sha256_stream_add(s, parts[i]);
    }
    return sha256_stream_end(s);
}

struct sha256 sigv4_signing_key(struct sigv4_cache *cache, struct str secret,
                                const struct sigv4_scope *scope)
{
    if (cache == NULL) {
        return make_key(secret, scope);
    }
    struct sha256 id = cache_id(secret, scope);
    for (size_t i = 0; i < SIGV4_CACHE_ENTRIES; i++) {
        const struct sigv4_cache_entry *e = &cache->entries[i];
        if (e->is_used && secret_equal(bytes_of(&e->id), bytes_of(&id))) {
            return e->key;
        }
    }
    struct sigv4_cache_entry *e = &cache->entries[cache->next];
    cache->next = (cache->next + 1) % SIGV4_CACHE_ENTRIES;
    *e = (struct sigv4_cache_entry){.id = id, .key = make_key(secret, scope), .is_used = true};
    return e->key;
}

void sigv4_cache_wipe(struct sigv4_cache *cache)
{
    explicit_bzero(cache, sizeof(*cache));
}

/* ---- the canonical request ------------------------------------------------------------------ */

/* RFC 3986 section 5.2.4 without empty segments, then coded once more (all services but S3). */
static void add_path(struct buf *out, struct str path)
{
    struct str parts[PATH_PARTS_MAX];
    size_t count = 0;
    struct str rest = path;
    struct str part;
    bool ends_in_slash = true;
    while (str_next(&rest, '/', &part)) {
        bool is_dot = part.len == 0 || STR_IS(part, ".");
        bool is_up = STR_IS(part, "..");
        ends_in_slash = is_dot || is_up;
        if (is_up) {
            count -= count > 0;
        } else if (!is_dot && count < ARRAY_COUNT(parts)) {
            parts[count++] = part;
        }
    }
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, '/');
        url_encode(out, parts[i], false);
    }
    if (count == 0 || ends_in_slash) {
        buf_add_char(out, '/');
    }
}

static int compare_pairs(const void *left, const void *right)
{
    const struct url_pair *a = left;
    const struct url_pair *b = right;
    int order = str_compare(a->name, b->name);
    return order != 0 ? order : str_compare(a->value, b->value);
}

static struct str encoded(struct arena *a, struct str text)
{
    auto_buf struct buf out;
    buf_init(&out, CANONICAL_BYTES_MAX);
    struct str plain;
    /* what is no percent coding is coded as it stands */
    url_encode(&out, url_decode(a, text, false, &plain) ? plain : text, false);
    return arena_str(a, buf_str(&out));
}

static void add_query(struct buf *out, struct arena *a, struct str query, struct str without)
{
    struct url_form form = {0};
    struct str rest = query;
    struct str piece;
    while (str_next(&rest, '&', &piece) && form.count < SIGV4_QUERY_PARTS_MAX) {
        struct str name = piece;
        struct str value = STR("");
        (void)str_cut(piece, '=', &name, &value); /* "a" alone means "a=" */
        if (piece.len == 0 || (str_is_set(without) && str_equal(name, without))) {
            continue;
        }
        struct url_pair *pair = ARENA_PUSH(a, &form);
        *pair = (struct url_pair){.name = encoded(a, name), .value = encoded(a, value)};
    }
    if (form.count > 0) {
        qsort(form.items, form.count, sizeof(form.items[0]), compare_pairs);
    }
    for (size_t i = 0; i < form.count; i++) {
        buf_add(out, i == 0 ? STR("") : STR("&"));
        buf_add(out, form.items[i].name);
        buf_add_char(out, '=');
        buf_add(out, form.items[i].value);
    }
}

/* Without blanks around it, and runs of blanks as one space. */
static void add_header_value(struct buf *out, struct str value)
{
    bool is_gap = false;
    value = str_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!is_blank) {
            if (is_gap) {
                buf_add_char(out, ' ');
            }
            buf_add_char(out, c);
        }
        is_gap = is_blank;
    }
}

static void add_headers(struct buf *out, const struct aws_request *r, struct str signed_names)
{
    struct str rest = signed_names;
    struct str name;
    while (str_next(&rest, ';', &name)) {
        bool is_first = true;
        buf_add(out, name);
        buf_add_char(out, ':');
        for (size_t i = 0; i < r->header_count; i++) {
            if (str_equal_nocase(r->headers[i].name, name)) {
                buf_add(out, is_first ? STR("") : STR(","));
                add_header_value(out, r->headers[i].value);
                is_first = false;
            }
        }
        buf_add_char(out, '\n');
    }
}

struct str sigv4_canonical_request(struct arena *a, const struct aws_request *r,
                                   struct str signed_names, struct str payload_hash,
                                   struct str without)
{
    auto_buf struct buf out;
    buf_init(&out, CANONICAL_BYTES_MAX);
    buf_add(&out, r->method);
    buf_add_char(&out, '\n');
    add_path(&out, r->path);
    buf_add_char(&out, '\n');
    add_query(&out, a, r->query, without);
    buf_add_char(&out, '\n');
    add_headers(&out, r, signed_names);
    buf_add_char(&out, '\n');
    buf_add(&out, signed_names);
    buf_add_char(&out, '\n');
    buf_add(&out, payload_hash);
    return arena_str(a, buf_str(&out));
}

struct str sigv4_string_to_sign(struct arena *a, struct str amz_date,
                                const struct sigv4_scope *scope, struct str canonical_request)
{
    struct str hash = sha256_hex(a, canonical_request);
    return arena_printf(a, "AWS4-HMAC-SHA256\n%.*s\n%.*s/%.*s/%.*s/aws4_request\n%.*s",
                        STR_ARG(amz_date), STR_ARG(scope->date), STR_ARG(scope->region),
                        STR_ARG(scope->service), STR_ARG(hash));
}

struct str sigv4_signature(struct arena *a, const struct sha256 *key, struct str string_to_sign)
{
    struct sha256 hash = hmac_sha256_of(bytes_of(key), string_to_sign);
    return hex_encode(a, hash.bytes, SHA256_BYTES);
}

/* ---- signing -------------------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right)
{
    return str_compare(*(const struct str *)left, *(const struct str *)right);
}

static struct str lower_case(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++) {
        copy[i] = str_lower_char(s.ptr[i]);
    }
    return str_make(copy, s.len);
}

static struct str names_to_sign(struct arena *a, const struct aws_request *r)
{
    struct str names[AWS_HEADERS_MAX];
    size_t count = 0;
    CHECK(r->header_count <= AWS_HEADERS_MAX);
    for (size_t i = 0; i < r->header_count; i++) {
        struct str name = lower_case(a, r->headers[i].name);
        if (STR_IS(name, "host") || STR_IS(name, "content-type") ||
            str_starts_with(name, STR("x-amz-"))) {
            names[count++] = name;
        }
    }
    CHECK(count > 0);
    qsort(names, count, sizeof(names[0]), compare_names);
    struct str joined = names[0];
    for (size_t i = 1; i < count; i++) {
        if (!str_equal(names[i], names[i - 1])) {
            joined = arena_printf(a, "%.*s;%.*s", STR_ARG(joined), STR_ARG(names[i]));
        }
    }
    return joined;
}

struct str sigv4_authorization(struct arena *a, struct sigv4_cache *cache,
                               const struct aws_request *r, struct str access_key_id,
                               struct str secret, const struct sigv4_scope *scope,
                               struct str amz_date)
{
    struct str names = names_to_sign(a, r);
    struct str hash = aws_header_find(r, STR("X-Amz-Content-Sha256"));
    hash = str_is_set(hash) ? hash : sha256_hex(a, r->body);
    struct str canonical = sigv4_canonical_request(a, r, names, hash, STR_NONE);
    struct sha256 key = sigv4_signing_key(cache, secret, scope);
    struct str signature =
        sigv4_signature(a, &key, sigv4_string_to_sign(a, amz_date, scope, canonical));
    explicit_bzero(&key, sizeof(key));
    return arena_printf(a,
                        "AWS4-HMAC-SHA256 Credential=%.*s/%.*s/%.*s/%.*s/aws4_request, "
                        "SignedHeaders=%.*s, Signature=%.*s",
                        STR_ARG(access_key_id), STR_ARG(scope->date), STR_ARG(scope->region),
                        STR_ARG(scope->service), STR_ARG(names), STR_ARG(signature));
}
