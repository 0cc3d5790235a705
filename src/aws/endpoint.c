#include "aws/endpoint.h"

#include "base/check.h"

/* Partitions by the beginning of the region's name; the last one is the rest of the world. */
static const struct {
    struct str region_prefix;
    const char *suffix;
    const char *global_region; /* global services sign for it */
    const char *iam_host;
} partitions[] = {
    {STR_INIT("cn-"), "amazonaws.com.cn", "cn-north-1", "iam.cn-north-1.amazonaws.com.cn"},
    {STR_INIT("us-gov-"), "amazonaws.com", "us-gov-west-1", "iam.us-gov.amazonaws.com"},
    {STR_INIT("us-isob-"), "sc2s.sgov.gov", "us-isob-east-1", "iam.us-isob-east-1.sc2s.sgov.gov"},
    {STR_INIT("us-iso-"), "c2s.ic.gov", "us-iso-east-1", "iam.us-iso-east-1.c2s.ic.gov"},
    {STR_INIT("eusc-"), "amazonaws.eu", "eusc-de-east-1", "iam.eusc-de-east-1.amazonaws.eu"},
    {STR_INIT(""), "amazonaws.com", "us-east-1", "iam.amazonaws.com"},
};

static bool is_region(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!is_allowed) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 32;
}

/* AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2 */
static struct str from_environment(struct arena *a, const struct aws_env *env,
                                   const struct shape_service *service)
{
    struct str id = arena_printf(a, "AWS_ENDPOINT_URL_%s", service->sdk_id);
    char *name = arena_alloc(a, id.len + 1);
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        name[i] = c == ' ' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    struct str own = aws_env_find(env, name);
    return str_is_set(own) ? own : aws_env_find(env, "AWS_ENDPOINT_URL");
}

/* host may have a port. */
static bool is_loopback(struct str host)
{
    struct str name = host;
    struct str port;
    (void)str_cut(host, ':', &name, &port); /* no port: all of it is the name */
    return STR_IS(name, "localhost") || str_ends_with(name, STR(".localhost")) ||
           str_match(STR("127.*.*.*"), name, false) || str_starts_with(host, STR("[::1]"));
}

/* Cuts "http://host:port/base/" into its parts. */
static bool split_url(struct arena *a, struct str url, struct aws_endpoint *e)
{
    size_t scheme_bytes = str_starts_with(url, STR("http://"))    ? 7
                          : str_starts_with(url, STR("https://")) ? 8
                                                                  : 0;
    if (scheme_bytes == 0 || str_find_char(url, '?', 0) != STR_NOT_FOUND) {
        return false;
    }
    while (str_ends_with(url, STR("/"))) {
        url.len--;
    }
    if (url.len <= scheme_bytes) {
        return false;
    }
    struct str rest = str_from(url, scheme_bytes);
    struct str host = rest;
    struct str base = STR("");
    (void)str_cut(rest, '/', &host, &base); /* no path: all of it is the host */
    for (size_t i = 0; i < host.len; i++) {
        bool is_odd = host.ptr[i] <= ' ' || host.ptr[i] >= 127 || host.ptr[i] == '@';
        if (is_odd) {
            return false;
        }
    }
    struct str usual_port = scheme_bytes == 7 ? STR(":80") : STR(":443");
    e->url = url;
    e->path = base.len == 0 ? STR("/") : arena_printf(a, "/%.*s/", STR_ARG(base));
    e->host =
        str_ends_with(host, usual_port) ? str_slice(host, 0, host.len - usual_port.len) : host;
    e->is_loopback = is_loopback(host);
    return host.len > 0;
}

/* IAM is one for a partition. STS has a global host too, but its regional ones are what AWS
 * advises. */
static bool is_one_for_all_regions(const struct shape_service *service)
{
    return service->is_global && strcmp(service->signing_name, "sts") != 0;
}

enum err aws_endpoint_find(struct op *op, const struct shape_service *service, struct str region,
                           struct str given, const struct aws_env *env,
                           const struct aws_settings *settings, struct str profile,
                           struct aws_endpoint *ret_endpoint)
{
    struct arena *a = &op->arena;
    if (!is_region(region)) {
        return op_fail(op, ERR_INPUT, "\"%.*s\" is no region's name", STR_ARG(region));
    }
    size_t p = 0;
    while (!str_starts_with(region, partitions[p].region_prefix)) {
        p++;
    }
    bool is_single = is_one_for_all_regions(service);
    struct aws_endpoint e = {.signing_region =
                                 is_single ? str_of(partitions[p].global_region) : region};
    bool ignores =
        str_equal_nocase(aws_env_find(env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), STR("true"));
    struct str url = given;
    if (!str_is_set(url) && !ignores) {
        url = from_environment(a, env, service);
        url = str_is_set(url) ? url : aws_settings_endpoint(a, settings, profile, service->sdk_id);
    }
    e.is_custom = str_is_set(url);
    if (!e.is_custom) {
        url = is_single ? arena_printf(a, "https://%s", partitions[p].iam_host)
                        : arena_printf(a, "https://%s.%.*s.%s", service->endpoint_prefix,
                                       STR_ARG(region), partitions[p].suffix);
    }
    if (!split_url(a, url, &e)) {
        return op_fail(op, ERR_INPUT, "the endpoint \"%.*s\" is no http or https URL",
                       STR_ARG(url));
    }
    *ret_endpoint = e;
    return ERR_OK;
}
