#pragma once
/* Secrets at rest: a text sealed under the engine's own key (crypt/seal.h: AES-256-GCM), as a text
 * that a row of the store can hold. The key is a file of its own beside the store, so that a copy
 * of the store alone gives nothing away.
 *
 *   purpose   names the row and the member ("acm key arn:aws:..."): a text that was moved to
 * another row does not open there */

#include "base/op.h"
#include "crypt/seal.h"

#define ENVELOPE_KEY_FILE "secret.key"

/* Reads STATE/secret.key; makes it (mode 0600) when it is not there. ERR_DENIED when others may
 * read it, ERR_INPUT when it is no key. */
enum err envelope_key_load(struct op *op, struct str state_folder, struct seal_key *ret_key);

/* "v1:" and base64. */
struct str envelope_close(struct arena *a, const struct seal_key *key, struct str purpose,
                          struct str text);
/* False when the text was changed, or sealed by another key or for another purpose. The caller
 * overwrites what it gets after use; the arena is marked, so that it overwrites what it frees. */
bool envelope_open(struct arena *a, const struct seal_key *key, struct str purpose,
                   struct str envelope, struct str *ret_text);
