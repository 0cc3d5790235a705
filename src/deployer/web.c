#include "deployer/web.h"

#include "base/buf.h"

#include <curl/curl.h>

#define CONNECT_MS 5000

static size_t take_body(char *bytes, size_t size, size_t count, void *self)
{
    struct buf *body = self;
    size_t room = WEB_ANSWER_BYTES_MAX - body->len;
    size_t got = size * count;
    buf_add_bytes(body, bytes, got < room ? got : room);
    return got;
}

static void set_options(CURL *curl, struct op *op, const struct web_request *r, struct buf *body,
                        struct curl_slist *headers)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, arena_c_str(&op->arena, r->url));
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)dur_ms(r->timeout));
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "hitless");
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (str_is_set(r->json_body)) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)r->json_body.len);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->json_body.ptr);
    }
}

enum err web_send(struct op *op, const struct web_request *request, struct web_answer *ret)
{
    auto_buf struct buf body;
    buf_init(&body, WEB_ANSWER_BYTES_MAX);
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return op_fail(op, ERR_NO_SPACE, "could not start libcurl");
    }
    struct curl_slist *headers = str_is_set(request->json_body)
                                     ? curl_slist_append(NULL, "Content-Type: application/json")
                                     : NULL;
    set_options(curl, op, request, &body, headers);
    CURLcode code = curl_easy_perform(curl);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK) {
        return op_fail(op, ERR_NET, "no answer: %s", curl_easy_strerror(code));
    }
    *ret =
        (struct web_answer){.status = (int)status, .body = arena_str(&op->arena, buf_str(&body))};
    return ERR_OK;
}
