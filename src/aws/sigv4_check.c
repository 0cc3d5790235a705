#include "aws/sigv4.h"

#include "base/check.h"
#include "codec/urlenc.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* ---- reading the claim ---------------------------------------------------------------------- */

/* keyid/date/region/service/aws4_request; a key id may hold no slash. */
static bool read_credential(struct str credential, struct sigv4_claim *claim)
{
    struct str parts[5];
    struct str rest = credential;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (!str_next(&rest, '/', &parts[i])) {
            return false;
        }
    }
    if (str_is_set(rest)) {
        return false;
    }
    claim->access_key_id = parts[0];
    claim->scope = (struct sigv4_scope){.date = parts[1], .region = parts[2], .service = parts[3]};
    return STR_IS(parts[4], "aws4_request") && parts[0].len > 0 && parts[1].len > 0 &&
           parts[2].len > 0 && parts[3].len > 0;
}

static enum sigv4_fault incomplete_credential(struct arena *a, struct str credential,
                                              struct str *ret_text)
{
    *ret_text = arena_printf(a,
                             "Credential must have exactly 5 slash-delimited elements, e.g. "
                             "keyid/date/region/service/term, got '%.*s'",
                             STR_ARG(credential));
    return SIGV4_INCOMPLETE;
}

/* The parts of "Credential=..., SignedHeaders=..., Signature=...". */
static bool read_parts(struct str header, struct str *ret_credential, struct sigv4_claim *claim,
                       struct str *ret_bad)
{
    struct str rest = str_from(header, sizeof(ALGORITHM) - 1);
    struct str part;
    while (str_next(&rest, ',', &part)) {
        struct str name;
        struct str value;
        part = str_trim(part);
        if (!str_cut(part, '=', &name, &value)) {
            *ret_bad = part;
            return part.len == 0;
        }
        if (STR_IS(name, "Credential")) {
            *ret_credential = value;
        } else if (STR_IS(name, "SignedHeaders")) {
            claim->signed_names = value;
        } else if (STR_IS(name, "Signature")) {
            claim->signature = value;
        }
    }
    return true;
}

static bool is_given(struct str s)
{
    return s.len > 0;
}

static enum sigv4_fault read_header_claim(struct arena *a, const struct aws_request *r,
                                          struct str header, struct sigv4_claim *claim,
                                          struct str *ret_text)
{
    struct str credential = STR_NONE;
    struct str bad = STR_NONE;
    if (!str_starts_with(header, STR(ALGORITHM " "))) {
        struct str scheme = header;
        struct str rest;
        (void)str_cut(header, ' ', &scheme, &rest); /* all of it when there is no space */
        *ret_text = arena_printf(a, "Unsupported AWS 'algorithm': '%.*s'.", STR_ARG(scheme));
        return SIGV4_INCOMPLETE;
    }
    if (!read_parts(header, &credential, claim, &bad)) {
        *ret_text = arena_printf(a,
                                 "'%.*s' not a valid key=value pair (missing equal-sign) in "
                                 "Authorization header.",
                                 STR_ARG(bad));
        return SIGV4_INCOMPLETE;
    }
    claim->amz_date = aws_header_find(r, STR("X-Amz-Date"));
    bool has_date = str_is_set(claim->amz_date);
    if (!is_given(credential) || !is_given(claim->signed_names) || !is_given(claim->signature) ||
        !has_date) {
        *ret_text = arena_printf(
            a, "%s%s%s%s",
            is_given(credential) ? "" : "Authorization header requires 'Credential' parameter. ",
            is_given(claim->signature) ? ""
                                       : "Authorization header requires 'Signature' parameter. ",
            is_given(claim->signed_names)
                ? ""
                : "Authorization header requires 'SignedHeaders' parameter. ",
            has_date ? ""
                     : "Authorization header requires existence of either a 'X-Amz-Date' or a "
                       "'Date' header. ");
        *ret_text = str_trim(*ret_text);
        return SIGV4_INCOMPLETE;
    }
    if (!read_credential(credential, claim)) {
        return incomplete_credential(a, credential, ret_text);
    }
    claim->session_token = aws_header_find(r, STR("X-Amz-Security-Token"));
    return SIGV4_OK;
}

/* The decoded value of a query parameter; absent when there is none or it cannot be decoded. */
static struct str query_value(struct arena *a, const struct aws_request *r, struct str wanted)
{
    struct str rest = r->query;
    struct str piece;
    while (str_next(&rest, '&', &piece)) {
        struct str name;
        struct str value;
        if (str_cut(piece, '=', &name, &value) && str_equal(name, wanted)) {
            struct str plain;
            return url_decode(a, value, false, &plain) ? plain : STR_NONE;
        }
    }
    return STR_NONE;
}

static enum sigv4_fault read_query_claim(struct arena *a, const struct aws_request *r,
                                         struct sigv4_claim *claim, struct str *ret_text)
{
    struct str algorithm = query_value(a, r, STR("X-Amz-Algorithm"));
    struct str credential = query_value(a, r, STR("X-Amz-Credential"));
    struct str expires = query_value(a, r, STR("X-Amz-Expires"));
    uint64_t expires_s = 0;
    claim->is_presigned = true;
    claim->amz_date = query_value(a, r, STR("X-Amz-Date"));
    claim->signed_names = query_value(a, r, STR("X-Amz-SignedHeaders"));
    claim->signature = query_value(a, r, STR("X-Amz-Signature"));
    claim->session_token = query_value(a, r, STR("X-Amz-Security-Token"));
    if (!STR_IS(algorithm, ALGORITHM)) {
        *ret_text = arena_printf(a, "Unsupported AWS 'algorithm': '%.*s'.", STR_ARG(algorithm));
        return SIGV4_INCOMPLETE;
    }
    if (!is_given(credential) || !is_given(claim->amz_date) || !is_given(claim->signed_names) ||
        !is_given(claim->signature)) {
        *ret_text = STR("AWS query-string parameters must include 'X-Amz-Algorithm', "
                        "'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders' and "
                        "'X-Amz-Date'.");
        return SIGV4_INCOMPLETE;
    }
    if (!read_credential(credential, claim)) {
        return incomplete_credential(a, credential, ret_text);
    }
    bool is_right = str_is_set(expires)
                        ? str_parse_u64(expires, SIGV4_EXPIRES_S_MAX, &expires_s) && expires_s > 0
                        : true; /* left out, AWS grants as long as for a header */
    if (!is_right) {
        *ret_text =
            arena_printf(a, "X-Amz-Expires must be between 1 and %d seconds", SIGV4_EXPIRES_S_MAX);
        return SIGV4_INCOMPLETE;
    }
    claim->expires_s = expires_s > 0 ? (int64_t)expires_s : SIGV4_SKEW_S;
    return SIGV4_OK;
}

enum sigv4_fault sigv4_claim_read(struct arena *a, const struct aws_request *r,
                                  struct sigv4_claim *ret_claim, struct str *ret_text)
{
    struct sigv4_claim claim = {0};
    struct str header = str_trim(aws_header_find(r, STR("Authorization")));
    enum sigv4_fault fault;
    if (header.len > 0) {
        fault = read_header_claim(a, r, header, &claim, ret_text);
    } else if (str_find(r->query, STR("X-Amz-Algorithm="), 0) != STR_NOT_FOUND) {
        fault = read_query_claim(a, r, &claim, ret_text);
    } else {
        *ret_text = STR(SIGV4_TEXT_MISSING);
        return SIGV4_MISSING;
    }
    if (fault != SIGV4_OK) {
        return fault;
    }
    /* exactly YYYYMMDDTHHMMSSZ */
    if (claim.amz_date.len != 16 || claim.amz_date.ptr[8] != 'T' ||
        !wall_parse(claim.amz_date, &claim.date)) {
        *ret_text = arena_printf(a,
                                 "Date must be in ISO-8601 'basic format'. Got '%.*s'. See "
                                 "http://en.wikipedia.org/wiki/ISO_8601",
                                 STR_ARG(claim.amz_date));
        return SIGV4_INCOMPLETE;
    }
    *ret_claim = claim;
    return SIGV4_OK;
}

/* ---- checking it ---------------------------------------------------------------------------- */

static struct str basic(struct arena *a, wall_t now, int64_t shift_s)
{
    return wall_basic(a, wall_add(now, DUR_S(shift_s)));
}

static bool is_timely(struct arena *a, const struct sigv4_claim *claim, wall_t now,
                      struct str *ret_text)
{
    int64_t age_s = wall_since(now, claim->date).us / 1000000;
    int64_t age_s_max = claim->is_presigned ? claim->expires_s : SIGV4_SKEW_S;
    if (age_s > age_s_max) {
        struct str limit = basic(a, now, -age_s_max);
        struct str ours = basic(a, now, 0);
        *ret_text =
            arena_printf(a, "Signature expired: %.*s is now earlier than %.*s (%.*s - %lld %s.)",
                         STR_ARG(claim->amz_date), STR_ARG(limit), STR_ARG(ours),
                         (long long)(age_s_max % 60 == 0 ? age_s_max / 60 : age_s_max),
                         age_s_max % 60 == 0 ? "min" : "sec");
        return false;
    }
    if (age_s < -SIGV4_SKEW_S) {
        struct str limit = basic(a, now, SIGV4_SKEW_S);
        struct str ours = basic(a, now, 0);
        *ret_text = arena_printf(
            a, "Signature not yet current: %.*s is still later than %.*s (%.*s + %d min.)",
            STR_ARG(claim->amz_date), STR_ARG(limit), STR_ARG(ours), SIGV4_SKEW_S / 60);
        return false;
    }
    return true;
}

static bool is_scope_right(struct arena *a, const struct sigv4_claim *claim, struct str service,
                           struct str *ret_text)
{
    struct str day = str_slice(claim->amz_date, 0, 8);
    if (!str_equal(claim->scope.date, day)) {
        *ret_text =
            arena_printf(a,
                         "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                         "version of date from HTTP: '%.*s' != '%.*s', from '%.*s'.",
                         STR_ARG(claim->scope.date), STR_ARG(day), STR_ARG(claim->amz_date));
        return false;
    }
    if (!str_equal(claim->scope.service, service)) {
        *ret_text = arena_printf(a, "Credential should be scoped to correct service: '%.*s'. ",
                                 STR_ARG(service));
        return false;
    }
    return true;
}

static bool is_among(struct str names, struct str wanted)
{
    struct str name;
    while (str_next(&names, ';', &name)) {
        if (str_equal(name, wanted)) {
            return true;
        }
    }
    return false;
}

/* Headers that change what a request means: an unsigned one could have been put in on the way. */
static const struct str must_be_signed[] = {STR_INIT("x-amz-target"), STR_INIT("x-amz-date"),
                                            STR_INIT("x-amz-security-token"),
                                            STR_INIT("x-amz-content-sha256")};

static bool are_names_right(struct arena *a, const struct aws_request *r,
                            const struct sigv4_claim *claim, struct str *ret_text)
{
    size_t count = 1;
    for (size_t i = 0; i < claim->signed_names.len; i++) {
        count += claim->signed_names.ptr[i] == ';';
    }
    if (count > SIGV4_SIGNED_NAMES_MAX) {
        *ret_text = arena_printf(a, "More than %d signed headers", SIGV4_SIGNED_NAMES_MAX);
        return false;
    }
    if (!is_among(claim->signed_names, STR("host")) &&
        !is_among(claim->signed_names, STR(":authority"))) {
        *ret_text =
            STR("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(must_be_signed); i++) {
        if (str_is_set(aws_header_find(r, must_be_signed[i])) &&
            !is_among(claim->signed_names, must_be_signed[i])) {
            *ret_text = arena_printf(a, "'%.*s' must be a 'SignedHeader' in the AWS Authorization.",
                                     STR_ARG(must_be_signed[i]));
            return false;
        }
    }
    return true;
}

/* None of our services takes unsigned or chunk-signed bodies: that is S3's. */
static bool is_payload_right(struct arena *a, const struct aws_request *r, struct str *ret_hash,
                             struct str *ret_text)
{
    struct str body = str_is_set(r->sent_body) ? r->sent_body : r->body;
    struct str given = aws_header_find(r, STR("X-Amz-Content-Sha256"));
    struct str hash = body.len == 0 ? STR(SHA256_EMPTY_HEX) : sha256_hex(a, body);
    if (STR_IS(given, SIGV4_UNSIGNED_PAYLOAD) ||
        str_starts_with(given, STR(SIGV4_STREAMING_PAYLOAD))) {
        *ret_text = arena_printf(a,
                                 "The request's x-amz-content-sha256 is '%.*s'; this service needs "
                                 "the SHA-256 of the body.",
                                 STR_ARG(given));
        return false;
    }
    if (str_is_set(given) && !str_equal_nocase(given, hash)) {
        *ret_text = STR("The provided 'x-amz-content-sha256' header does not match what was "
                        "computed.");
        return false;
    }
    *ret_hash = str_is_set(given) ? given : hash;
    return true;
}

enum sigv4_fault sigv4_claim_check(struct arena *a, struct sigv4_cache *cache,
                                   const struct aws_request *r, const struct sigv4_claim *claim,
                                   struct str service, struct str secret, wall_t now,
                                   struct str *ret_text)
{
    struct str hash;
    if (!is_timely(a, claim, now, ret_text) || !is_scope_right(a, claim, service, ret_text) ||
        !are_names_right(a, r, claim, ret_text) || !is_payload_right(a, r, &hash, ret_text)) {
        return SIGV4_MISMATCH;
    }
    struct str without = claim->is_presigned ? STR("X-Amz-Signature") : STR_NONE;
    struct str canonical = sigv4_canonical_request(a, r, claim->signed_names, hash, without);
    struct str text = sigv4_string_to_sign(a, claim->amz_date, &claim->scope, canonical);
    struct sha256 key = sigv4_signing_key(cache, secret, &claim->scope);
    struct str want = sigv4_signature(a, &key, text);
    explicit_bzero(&key, sizeof(key));
    if (!secret_equal(want, claim->signature)) {
        *ret_text = STR(SIGV4_TEXT_MISMATCH);
        return SIGV4_MISMATCH;
    }
    return SIGV4_OK;
}
