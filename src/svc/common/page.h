#pragma once
/* Lists in pages. A token is the last key of the page before, marked with the list that it belongs
 * to, as base64url: it stays good while rows come and go, and survives a restart. */

#include "base/op.h"
#include "shape/shape.h"
#include "store/store.h"

/* One static const per list operation. */
struct page_rules {
    const char *list_name;              /* "ecs.services": a token of another list is refused */
    size_t default_count;               /* entries of a page when the client says nothing; 0: all */
    size_t max_count;                   /* more is asked for: this many */
    const struct err_public *bad_token; /* NULL: the service's general error */
    const char *bad_token_text;         /* NULL: a plain sentence */
};

struct page_ask {
    struct str token; /* absent or "": from the first */
    struct opt_i32 max_results;
};

struct page {
    struct str after; /* entries with keys bytewise behind this one; absent: from the first */
    size_t count;     /* at most so many; 0: no limit */
};

/* Reads what the client asked for. Bounds of max_results that are the model's were checked before;
 * below 1 fails with ERR_INPUT. */
enum err page_open(struct op *op, const struct page_rules *rules, struct page_ask ask,
                   struct page *ret);
/* The token for the page behind last_key, in the op's arena. */
struct str page_token(struct op *op, const struct page_rules *rules, struct str last_key);

/* A page of rows straight from the store. range->after and range->limit are set here. *ret_next is
 * absent when nothing follows. */
enum err page_list(struct op *op, struct store *st, const struct store_kind *kind,
                   const struct store_range *range, const struct page_rules *rules,
                   struct page_ask ask, struct store_items *ret_items, struct str *ret_next);

/* A page of keys that are in memory, sorted bytewise: gives the half-open span to show. For lists
 * that are filtered before they are cut. */
enum err page_cut(struct op *op, const struct page_rules *rules, struct page_ask ask,
                  const struct str *sorted_keys, size_t key_count, size_t *ret_from, size_t *ret_to,
                  struct str *ret_next);

/* base64url without padding. */
struct str page_encode(struct arena *a, struct str bytes);
bool page_decode(struct arena *a, struct str text, struct str *ret_bytes);
