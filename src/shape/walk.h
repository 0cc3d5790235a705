#pragma once
/* Bytes to structure and back, for any shape. Pure: no system call; everything decoded lives in the
 * op's arena. A decoder that fails leaves its sentence in the op, naming the member by its path
 * ("containerDefinitions[0].image"), with kind ERR_INPUT (or ERR_LIMIT), and has written nothing
 * that the caller may use.
 *
 * strictness  SHAPE_STRICT: requests from clients: unknown members, missing required ones, lengths,
 *             ranges and enumerations are refused. SHAPE_LENIENT: answers of a server and rows of
 * the store, which may be newer than we are: unknown members and enum values are passed over (the
 * enum slot stays unset), nothing is required. */

#include "base/buf.h"
#include "base/op.h"
#include "shape/shape.h"

enum shape_strictness { SHAPE_STRICT, SHAPE_LENIENT };

/* awsJson: members in the order of the model, absent ones left out, timestamps as epoch seconds
 * with up to millisecond fraction, blobs as base64. */
void shape_json_encode(struct buf *to, const struct shape *shape, const void *value);
enum err shape_json_decode(struct op *op, const struct shape *shape, struct str text,
                           enum shape_strictness strictness, void *ret);

/* rpc-v2-cbor; also our own messages between processes. */
void shape_cbor_encode(struct buf *to, const struct shape *shape, const void *value);
enum err shape_cbor_decode(struct op *op, const struct shape *shape, struct str bytes,
                           enum shape_strictness strictness, void *ret);
