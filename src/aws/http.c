#include "aws/http.h"

#include "aws/client.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"

#include <curl/curl.h>

#define HEADER_LINE_BYTES_MAX 16384

struct aws_http {
    CURL *curl;
    char *ca_file; /* or NULL */
    char error[CURL_ERROR_SIZE];
};

/* What curl hands over while it works. */
struct receiver {
    struct op *op;
    struct buf body;
    struct aws_http_answer *answer;
};

enum err aws_http_open(struct op *op, struct str ca_file, struct aws_http **ret_http)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return op_fail(op, ERR_INTERNAL, "libcurl could not be initialised");
    }
    struct aws_http *http = MEM_NEW(struct aws_http);
    http->curl = curl_easy_init();
    CHECK(http->curl != NULL);
    if (ca_file.len > 0) {
        http->ca_file = mem_alloc(ca_file.len + 1);
        memcpy(http->ca_file, ca_file.ptr, ca_file.len);
    }
    *ret_http = http;
    return ERR_OK;
}

void aws_http_close(struct aws_http *http)
{
    if (http != NULL) {
        curl_easy_cleanup(http->curl);
        mem_free(http->ca_file);
        mem_free(http);
    }
}

static size_t receive_body(char *bytes, size_t size, size_t count, void *self)
{
    struct receiver *r = self;
    buf_add_bytes(&r->body, bytes, size * count);
    return r->body.is_overflown ? 0 : size * count;
}

static size_t receive_header(char *bytes, size_t size, size_t count, void *self)
{
    struct receiver *r = self;
    struct str line = str_make(bytes, size * count);
    struct aws_header h;
    if (str_starts_with(line, STR("HTTP/"))) {
        r->answer->header_count = 0; /* a 100 Continue came before */
    }
    if (r->answer->header_count < AWS_HTTP_HEADERS_MAX && line.len <= HEADER_LINE_BYTES_MAX &&
        str_cut(line, ':', &h.name, &h.value)) {
        h.name = arena_str(&r->op->arena, h.name);
        h.value = arena_str(&r->op->arena, str_trim(h.value));
        r->answer->headers[r->answer->header_count++] = h;
    }
    return size * count;
}

static struct curl_slist *make_headers(struct arena *a, const struct aws_http_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no 100 Continue */
    CHECK(list != NULL);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct aws_header *h = &request->headers[i];
        struct str line = arena_printf(a, "%.*s: %.*s", STR_ARG(h->name), STR_ARG(h->value));
        struct curl_slist *longer = curl_slist_append(list, line.ptr);
        CHECK(longer != NULL);
        list = longer;
    }
    return list;
}

static void set_options(struct aws_http *http, struct arena *a,
                        const struct aws_http_request *request, struct receiver *receiver,
                        struct curl_slist *headers)
{
    CURL *c = http->curl;
    curl_easy_reset(c); /* keeps the connections */
    http->error[0] = '\0';
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->error);
    (void)curl_easy_setopt(c, CURLOPT_URL, arena_c_str(a, request->url));
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)dur_ms(request->connect_timeout));
    (void)curl_easy_setopt(
        c, CURLOPT_TIMEOUT_MS,
        (long)(dur_ms(request->connect_timeout) + dur_ms(request->answer_timeout)));
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, arena_c_str(a, request->method));
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, receiver);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, receive_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, receiver);
    if (request->has_no_proxy) {
        (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    }
    if (http->ca_file != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, http->ca_file);
    }
    if (!STR_IS(request->method, "GET")) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                               request->body.len == 0 ? "" : request->body.ptr);
    }
}

/* Queries may carry signatures. */
static struct str shown_url(struct str url)
{
    size_t query = str_find_char(url, '?', 0);
    return query == STR_NOT_FOUND ? url : str_slice(url, 0, query);
}

static enum err explain(struct op *op, const struct aws_http *http, CURLcode code, struct str url)
{
    struct str shown = shown_url(url);
    const char *why = http->error[0] != '\0' ? http->error : curl_easy_strerror(code);
    switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT:
        return op_fail(op, ERR_TIMEOUT, "no answer from %.*s in time: %s", STR_ARG(shown), why);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return op_fail(op, ERR_INPUT, "\"%.*s\" is no URL that can be called: %s", STR_ARG(shown),
                       why);
    case CURLE_WRITE_ERROR:
        return op_fail(op, ERR_LIMIT, "the answer of %.*s has more than %d bytes", STR_ARG(shown),
                       AWS_RESPONSE_BYTES_MAX);
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
        return op_fail(op, ERR_PROTOCOL, "%.*s answered with something else than HTTP: %s",
                       STR_ARG(shown), why);
    default:
        return op_fail(op, ERR_NET, "could not reach %.*s: %s", STR_ARG(shown), why);
    }
}

/* Whether the failure came before a byte of the request could arrive. */
static bool was_never_sent(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_COULDNT_CONNECT || code == CURLE_URL_MALFORMAT ||
           code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_PEER_FAILED_VERIFICATION;
}

enum err aws_http_do(struct op *op, struct aws_http *http, const struct aws_http_request *request,
                     struct aws_http_answer *ret_answer, bool *ret_may_have_arrived)
{
    AUTO(arena_fini) struct arena scratch;
    struct receiver receiver = {.op = op, .answer = ret_answer};
    arena_init(&scratch);
    buf_init(&receiver.body, AWS_RESPONSE_BYTES_MAX);
    ret_answer->header_count = 0;
    struct curl_slist *headers = make_headers(&scratch, request);
    set_options(http, &scratch, request, &receiver, headers);
    CURLcode code = curl_easy_perform(http->curl);
    long status = 0;
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    ret_answer->status = (int)status;
    ret_answer->body = arena_str(&op->arena, buf_str(&receiver.body));
    buf_fini(&receiver.body);
    if (code != CURLE_OK) {
        *ret_may_have_arrived = !was_never_sent(code);
        return explain(op, http, code, request->url);
    }
    *ret_may_have_arrived = true;
    return ERR_OK;
}

bool aws_http_date(struct str text, wall_t *ret_time)
{
    char c_text[64];
    if (!str_is_set(text) || !str_to_c(text, c_text, sizeof(c_text))) {
        return false;
    }
    time_t seconds = curl_getdate(c_text, NULL);
    if (seconds < 0) {
        return false;
    }
    *ret_time = (wall_t){.us = (int64_t)seconds * 1000000};
    return true;
}
