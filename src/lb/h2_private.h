#pragma once
/* Between the files of HTTP/2. */

#include "lb/h2.h"

void lb_h2_front_callbacks(nghttp2_session_callbacks *to);
void lb_h2_back_callbacks(nghttp2_session_callbacks *to);

static inline struct str lb_h2_str(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return str_make((const char *)v.base, v.len);
}
