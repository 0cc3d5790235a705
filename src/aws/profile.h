#pragma once
/* The files of AWS's tools: ~/.aws/config and ~/.aws/credentials (INI), as one set of settings a
 * profile. Settings in the credentials file go before those in config. */

#include "aws/client.h"

#define AWS_PROFILE_FILE_BYTES_MAX (1 << 20)
#define AWS_PROFILE_SETTINGS_MAX   4096

/* [section] name = value; a nested line ("s3 =\n  max = 1") has the name "s3.max". */
struct aws_setting {
    struct str section; /* "profile dev", "default", "services local" */
    struct str name;
    struct str value;
    bool is_from_credentials;
};

struct aws_settings {
    struct aws_setting *items;
    size_t count;
};

/* Reads both files; one that does not exist is empty. ERR_INPUT with file and line for what cannot
 * be read as INI. Everything lives in arena `a`. */
enum err aws_settings_load(struct op *op, struct arena *a, const struct aws_env *env,
                           struct aws_settings *ret_settings);
/* One file's text; for tests and for the loader. */
enum err aws_settings_parse(struct op *op, struct arena *a, struct str text, const char *path,
                            bool is_credentials, struct aws_settings *settings);
bool aws_settings_has_profile(const struct aws_settings *s, struct str profile);
/* Absent when not set. */
struct str aws_settings_find(const struct aws_settings *s, struct str profile, const char *name);
/* The endpoint_url of a service: of its [services ...] section, else the profile's. */
struct str aws_settings_endpoint(struct arena *a, const struct aws_settings *s, struct str profile,
                                 const char *service_id);

/* Absent when not set or empty. */
struct str aws_env_find(const struct aws_env *env, const char *name);
extern const struct aws_env aws_process_env;
