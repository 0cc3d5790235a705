/* Which protocol versions of clients and targets fit, and what differs between them. */

#include "lb/control.h"

bool lb_is_grpc(const struct h1_head *h)
{
    static const struct str grpc = STR_INIT("application/grpc");
    struct str type = h1_has(h, H1_CONTENT_TYPE) ? h1_find(h, H1_CONTENT_TYPE) : STR("");
    if (type.len < grpc.len || !str_equal_nocase(str_slice(type, 0, grpc.len), grpc)) {
        return false;
    }
    char behind = type.len == grpc.len ? ';' : type.ptr[grpc.len];
    return behind == ';' || behind == '+' || behind == ' '; /* not application/grpc-web */
}

bool lb_asks_for_trailers(const struct h1_head *h)
{
    struct str rest = h1_has(h, H1_TE) ? h1_find(h, H1_TE) : STR("");
    struct str member;
    while (h1_list_next(&rest, &member)) {
        if (str_equal_nocase(member, STR("trailers"))) {
            return true;
        }
    }
    return false;
}

bool lb_version_fits(const struct lb_client *c, const struct h1_head *h, const struct lb_group *g)
{
    if (c->stream == NULL) {
        return g->version == LB_HTTP1;
    }
    if (g->version == LB_HTTP1) {
        return !lb_is_grpc(h);
    }
    return g->version == LB_HTTP2 || str_equal(h1_str(h, h->method), STR("POST"));
}

enum h1_framing lb_request_framing(const struct lb_client *c, const struct h1_head *h,
                                   const struct lb_group *g)
{
    bool is_raw = c->stream != NULL && (h->framing == H1_CHUNKED || g->version != LB_HTTP1);
    return is_raw && h->framing != H1_NO_BODY ? H1_UNTIL_CLOSE : h->framing;
}
