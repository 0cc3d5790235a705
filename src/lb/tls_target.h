#pragma once
/* TLS to targets. As ALB does it: no certificate is verified (the network between the two is the
 * trust), no server name is sent (a connection serves requests for any host), and versions and
 * ciphers are those of the policy for backend connections. */

#include "lb/tls.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_session_st SSL_SESSION;

/* One for a process; immutable once made, shared by all threads. */
SSL_CTX *lb_tls_target_context(void);
/* A client's side of a connection over fd. alpn: "h2", or absent for none. *keep: the
 * newest session of that target, NULL before the first; it is used and replaced, and outlives the
 * connection. keep may be NULL. */
struct lb_tls *lb_tls_dial(SSL_CTX *context, struct lb_tls_room *room, struct ev_fd *fd,
                           struct str alpn, SSL_SESSION **keep);
/* Forgets it. */
void lb_tls_session_drop(SSL_SESSION **keep);
