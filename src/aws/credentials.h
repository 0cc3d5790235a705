#pragma once
/* The chain that AWS's tools find credentials by. */

#include "aws/http.h"
#include "aws/profile.h"

#define AWS_PROCESS_OUTPUT_BYTES_MAX (64 << 10)
#define AWS_PROCESS_MS_MAX           60000
#define AWS_PROCESS_WORDS_MAX        64
#define AWS_METADATA_MS              1000 /* the metadata service is near or not there */
#define AWS_ROLE_SESSION_S           3600

/* In the op's arena. */
struct aws_credentials {
    struct str access_key_id;
    struct str secret_access_key;
    struct str session_token; /* absent for long-lived keys */
    struct opt_time expires;
    const char *source; /* "environment", "profile", ...: for people */
};

struct aws_credential_chain {
    const struct aws_env *env;
    const struct aws_settings *settings;
    struct str profile;
    bool is_profile_given; /* by the caller or AWS_PROFILE: it must exist */
    bool is_profile_asked; /* by the caller: it goes before keys in the environment */
    struct aws_http *http;
    /* Calls STS; with == NULL: not signed. */
    void *self;
    enum err (*call_sts)(void *self, struct op *op, const struct aws_credentials *with,
                         const struct shape_operation *operation, const void *in, void *ret);
};

/* ERR_NOT_FOUND with a sentence on where was looked when there are none. No sentence ever holds a
 * secret. */
enum err aws_credentials_find(struct op *op, const struct aws_credential_chain *chain,
                              struct aws_credentials *ret_credentials);

/* ---- the links that need a page of their own ------------------------------------------------ */

/* {"AccessKeyId":...,"SecretAccessKey":...,"Token" or "SessionToken":...,"Expiration":...}: what
 * processes, containers and instances give. `from` names them in the sentence. */
enum err aws_credentials_parse(struct op *op, struct str json, const char *from,
                               struct aws_credentials *ret_credentials);
enum err aws_credentials_of_process(struct op *op, struct str command,
                                    struct aws_credentials *ret_credentials);
/* ERR_NOT_FOUND when no such endpoint is announced. */
enum err aws_credentials_of_container(struct op *op, const struct aws_credential_chain *chain,
                                      struct aws_credentials *ret_credentials);
/* ERR_NOT_FOUND when there is no metadata service or no role. */
enum err aws_credentials_of_instance(struct op *op, const struct aws_credential_chain *chain,
                                     struct aws_credentials *ret_credentials);
