#pragma once
/* The engine's own key: made on first start, kept as STATE/credentials in the format of AWS's
 * shared credentials file (profile default, mode 0600). */

#include "base/op.h"

#define CREDENTIALS_KEY_ID_CHARS 20
#define CREDENTIALS_SECRET_CHARS 40

struct credentials {
    struct str access_key_id;     /* "AKIA..." */
    struct str secret_access_key; /* never shown */
    struct str path;
};

/* Reads the file, or makes it. ERR_INPUT when it cannot be understood, ERR_DENIED when others may
 * read it. */
enum err credentials_load(struct op *op, struct str state_folder,
                          struct credentials *ret_credentials);
