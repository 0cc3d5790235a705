#pragma once
/* Certificate Manager: imported certificates, and requested ones that the engine's own authority or
 * an ACME authority (RFC 8555) issues and that are renewed in time. Private keys lie in the store
 * sealed (crypt/envelope.h), are opened when the data plane is told of them, and are overwritten
 * after use. Everything happens on the control loop. */

#include "base/op.h"
#include "crypt/seal.h"
#include "gen/acm.h"
#include "svc/common/ports.h"

struct acm;
struct ev_loop;
struct store;

/* The authority outside. */
struct acm_acme {
    struct str directory; /* "https://..."; absent: none */
    struct str contact;   /* mail address; absent: none is given */
    struct str ca_file;   /* PEM of whom to trust there; absent: the system's authorities */
};

struct acm_config {
    struct store *store;
    struct ev_loop *loop;
    struct seal_key key;
    struct str account;
    struct str state;  /* folder; the local authority's certificate is written there */
    struct str folder; /* of certificates to import, see folder.c; absent: none */
    struct acm_acme acme;
    bool is_test_mode; /* requested certificates come from the engine's own authority at once */
    struct port_certificate_users users;
    struct port_wakes wakes; /* certificate_changed and challenges_changed are called */
};

enum err acm_open(struct op *op, const struct acm_config *config, struct acm **ret_acm);
/* Machines begin to run: call it when the users of certificates are there. */
void acm_start(struct acm *acm);
void acm_close(struct acm *acm);
/* The data plane routes by the newest configuration: challenges may be answered now. */
void acm_published(struct acm *acm);

/* Valid until acm_close. */
struct port_certificates acm_port_certificates(struct acm *acm);

extern const struct acm_handlers acm_handlers;
