#include "webcall/webcall.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "ev/loop.h"

#include <curl/curl.h>

#define CONNECT_TIMEOUT_MS 15000L

struct webcall_client {
    struct ev_loop *loop;
    CURLM *multi;
    struct ev_timer timer;
    struct list calls;
    struct list sockets; /* of struct watched */
    char *ca_file;
};

struct webcall {
    struct list node;
    struct webcall_client *client;
    CURL *curl;
    struct curl_slist *fields;
    struct arena arena; /* of the request */
    struct buf headers;
    struct buf body;
    webcall_fn *on_answer;
    void *self;
    char error[CURL_ERROR_SIZE];
};

/* A descriptor of libcurl's that the loop watches; libcurl closes it. */
struct watched {
    struct list node;
    struct webcall_client *client;
    struct ev_fd fd;
};

/* ---- ends ------------------------------------------------------------------------------------ */

static void free_call(struct webcall *call)
{
    list_remove(&call->node);
    (void)curl_multi_remove_handle(call->client->multi, call->curl);
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->fields);
    buf_fini(&call->headers);
    buf_fini(&call->body);
    arena_fini(&call->arena);
    mem_free(call);
}

static void tell(struct webcall *call, CURLcode result)
{
    long status = 0;
    (void)curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    struct webcall_answer answer = {
        .has_come = result == CURLE_OK,
        .problem = result == CURLE_OK       ? NULL
                   : call->error[0] != '\0' ? call->error
                                            : curl_easy_strerror(result),
        .status = (int)status,
        .headers = buf_str(&call->headers),
        .body = buf_str(&call->body),
    };
    call->on_answer(call->self, &answer);
    free_call(call);
}

/* Each answer may start and cancel calls, so the list is asked anew. */
static void tell_all(struct webcall_client *client)
{
    int left = 0;
    CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct webcall *call = NULL;
        CHECK(message->msg == CURLMSG_DONE);
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        tell(call, message->data.result);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void act(struct webcall_client *client, curl_socket_t fd, int what)
{
    int running = 0;
    (void)curl_multi_socket_action(client->multi, fd, what, &running);
    tell_all(client);
}

static void on_ready(struct ev_fd *fd, unsigned ready)
{
    struct watched *w = CONTAINER_OF(fd, struct watched, fd);
    int what = 0;
    what |= (ready & (EV_READ | EV_PEER_CLOSED)) != 0 ? CURL_CSELECT_IN : 0;
    what |= (ready & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0;
    what |= (ready & EV_BROKEN) != 0 ? CURL_CSELECT_ERR : 0;
    act(w->client, fd->fd, what);
}

static void on_due(struct ev_timer *timer)
{
    act(CONTAINER_OF(timer, struct webcall_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long within_ms, void *self)
{
    (void)multi;
    struct webcall_client *client = self;
    if (within_ms < 0) {
        ev_timer_stop(&client->timer);
    } else {
        ev_timer_set(client->loop, &client->timer, DUR_MS(within_ms), on_due);
    }
    return 0;
}

static void unwatch(struct watched *w)
{
    if (ev_fd_is_open(&w->fd)) {
        int fd = ev_fd_release(&w->fd);
        (void)fd; /* libcurl closes it */
    }
    list_remove(&w->node);
    mem_free(w);
}

static struct watched *watch(struct webcall_client *client, curl_socket_t fd, unsigned wanted)
{
    struct watched *w = MEM_NEW(struct watched);
    w->client = client;
    list_add_tail(&client->sockets, &w->node);
    if (ev_fd_open(client->loop, &w->fd, fd, wanted, on_ready) != ERR_OK) {
        w->fd = (struct ev_fd){0}; /* out of descriptors: the call's timeout ends it */
    }
    (void)curl_multi_assign(client->multi, fd, w);
    return w;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *socket_data)
{
    (void)easy;
    struct webcall_client *client = self;
    struct watched *w = socket_data;
    unsigned wanted =
        ((what & CURL_POLL_IN) != 0 ? EV_READ : 0u) | ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0u);
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            unwatch(w);
            (void)curl_multi_assign(client->multi, fd, NULL);
        }
        return 0;
    }
    if (w == NULL) {
        (void)watch(client, fd, wanted);
    } else if (ev_fd_is_open(&w->fd)) {
        ev_fd_want(&w->fd, wanted);
    }
    return 0;
}

/* ---- the client ------------------------------------------------------------------------------ */

enum err webcall_open(struct op *op, struct ev_loop *loop, const char *ca_file,
                      struct webcall_client **ret)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return op_fail(op, ERR_INTERNAL, "libcurl could not be initialised");
    }
    struct webcall_client *client = MEM_NEW(struct webcall_client);
    client->loop = loop;
    client->multi = curl_multi_init();
    CHECK(client->multi != NULL);
    list_init(&client->calls);
    list_init(&client->sockets);
    client->ca_file = ca_file == NULL ? NULL : mem_dup(ca_file, strlen(ca_file) + 1);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    *ret = client;
    return ERR_OK;
}

void webcall_close(struct webcall_client *client)
{
    if (client == NULL) {
        return;
    }
    LIST_FOR (call, &client->calls, struct webcall, node) {
        free_call(call);
    }
    (void)curl_multi_cleanup(client->multi); /* unwatches the idle connections */
    LIST_FOR (w, &client->sockets, struct watched, node) {
        unwatch(w);
    }
    ev_timer_stop(&client->timer);
    mem_free(client->ca_file);
    mem_free(client);
    curl_global_cleanup();
}

/* ---- a call ---------------------------------------------------------------------------------- */

static size_t take(char *bytes, size_t size, size_t count, void *self)
{
    struct buf *to = self;
    buf_add(to, str_make(bytes, size * count));
    return to->is_overflown ? 0 : size * count; /* less than came: libcurl gives up */
}

static void set_trust(struct webcall *call)
{
    CURL *c = call->curl;
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (call->client->ca_file != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, call->client->ca_file);
    }
}

static void set_request(struct webcall *call, const struct webcall_request *request)
{
    CURL *c = call->curl;
    struct arena *a = &call->arena;
    struct str body = arena_str(a, request->body);
    (void)curl_easy_setopt(c, CURLOPT_URL, arena_c_str(a, request->url));
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, arena_c_str(a, str_of(request->method)));
    (void)curl_easy_setopt(c, CURLOPT_NOBODY, STR_IS(str_of(request->method), "HEAD") ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "hitless");
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)dur_ms(request->timeout));
    call->fields = curl_slist_append(NULL, "Expect:"); /* no 100 Continue */
    CHECK(call->fields != NULL);
    if (str_is_set(body)) {
        struct str line = arena_printf(a, "Content-Type: %.*s", STR_ARG(request->content_type));
        call->fields = curl_slist_append(call->fields, line.ptr);
        CHECK(call->fields != NULL);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.ptr);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body.len);
    }
    if (str_is_set(request->bearer)) {
        struct str line = arena_printf(a, "Authorization: Bearer %.*s", STR_ARG(request->bearer));
        call->fields = curl_slist_append(call->fields, line.ptr);
        CHECK(call->fields != NULL);
    }
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, call->fields);
}

struct webcall *webcall_start(struct webcall_client *client, const struct webcall_request *request,
                              webcall_fn *on_answer, void *self)
{
    struct webcall *call = MEM_NEW(struct webcall);
    call->client = client;
    call->on_answer = on_answer;
    call->self = self;
    call->curl = curl_easy_init();
    CHECK(call->curl != NULL);
    arena_init(&call->arena);
    buf_init(&call->headers, WEBCALL_HEADER_BYTES_MAX);
    buf_init(&call->body, WEBCALL_BODY_BYTES_MAX);
    list_add_tail(&client->calls, &call->node);
    CURL *c = call->curl;
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, (char *)call);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, call->error);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &call->body);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, &call->headers);
    set_trust(call);
    set_request(call, request);
    CHECK(curl_multi_add_handle(client->multi, c) == CURLM_OK);
    return call;
}

void webcall_cancel(struct webcall *call)
{
    if (call != NULL) {
        free_call(call);
    }
}

struct str webcall_header(const struct webcall_answer *answer, struct str name)
{
    struct str rest = answer->headers;
    struct str line = STR_NONE;
    while (str_next(&rest, '\n', &line)) {
        struct str field = STR_NONE;
        struct str value = STR_NONE;
        if (str_cut(line, ':', &field, &value) && str_equal_nocase(field, name)) {
            return str_trim(value);
        }
    }
    return STR_NONE;
}
