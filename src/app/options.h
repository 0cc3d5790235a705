#pragma once
/* What `hitless serve` was told. The same words reach every role, so each reads the same options.
 */

#include "base/op.h"
#include "net/addr.h"

#define OPTIONS_API_DEFAULT     "127.0.0.1:4566"
#define OPTIONS_ACCOUNT_DEFAULT "123456789012"
#define OPTIONS_WORKERS_MAX     64

enum options_runtime { OPTIONS_RUNTIME_AUTO, OPTIONS_RUNTIME_DOCKER, OPTIONS_RUNTIME_PROCESS };

struct options {
    struct str state; /* folder, absolute */
    struct net_addr api;
    int64_t time_scale;
    enum options_runtime runtime;
    struct str docker_socket;
    struct str account; /* 12 digits */
    struct str
        lb_address; /* of internet-facing load balancers; absent: an address of their own each */
    struct str acme_directory;     /* "https://..."; absent: no authority outside */
    struct str acme_contact;       /* mail address or absent */
    struct str acme_ca_file;       /* absolute path or absent */
    struct str idp_ca_file;        /* likewise: of who hands out key sets for JSON Web Tokens */
    struct str certificate_folder; /* absolute path or absent */
    size_t worker_count;           /* of the data plane; 0: one a processor */
    bool is_test_mode;             /* any credentials; POST /moto-api/reset */
    bool keeps_tasks;              /* tasks and traffic outlive `serve` */
    bool is_verbose;
    bool wants_help;
};

/* words: behind "serve". ERR_INPUT with a sentence that names the word. */
enum err options_parse(struct op *op, int count, char *const *words, struct options *ret_options);
extern const char options_help[];
