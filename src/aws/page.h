#pragma once
/* Pages of a listing: the opaque nextToken is the key of the last item given. It needs no state
 * and stays right while items come and go. */

#include "base/op.h"
#include "shape/shape.h"

#define AWS_PAGE_KEY_BYTES_MAX 2048

/* The token behind which the next page begins. */
struct str aws_page_token(struct arena *a, struct str last_key);
/* The key in a token. An absent or empty token gives an absent key: the first page. A token that is
 * none of ours fails with `error` and its AWS text. */
enum err aws_page_key(struct op *op, struct str token, const struct err_public *error,
                      struct str *ret_key);
/* How many items to give: `asked` or otherwise, never more than the most. */
size_t aws_page_size(struct opt_i32 asked, size_t otherwise, size_t most);
