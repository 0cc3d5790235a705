#pragma once
/* OCSP stapling (RFC 6066 section 8): a response that control has fetched goes out with the
 * certificate, as long as it is not out of date. */

#include "lb/tls_site.h"

/* Takes the response of the snapshot, if there is one, to the context of its certificate. False
 * when it is no response, or not a good one. */
bool lb_tls_ocsp_use(struct lb_tls_site *site, struct lb_tls_certificate *c,
                     struct str base64) MUST_USE;
