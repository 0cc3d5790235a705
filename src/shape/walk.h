#pragma once
/* Bytes to structure and back, for any shape. Pure: no system call; everything decoded lives in the
 * op's arena. A decoder that fails leaves its sentence in the op, naming the member by its path
 * ("containerDefinitions[0].image"), with kind ERR_INPUT (or ERR_LIMIT), and has written nothing
 * that the caller may use.
 *
 * strictness  SHAPE_STRICT: requests: unknown members, missing required ones, lengths, ranges
 *             and enumerations are refused. SHAPE_LENIENT: answers of a server and rows of
 *             the store, which may be newer than we are: unknown members and enum values are passed
 *             over (the enum slot stays unset), nothing is required.
 * findings    NULL, or receives what a strict decoder found wrong, for a service's own words; its
 *             count is 0 when the failure is the input's form (broken JSON) or a limit. */

#include "base/buf.h"
#include "base/op.h"
#include "codec/urlenc.h"
#include "shape/findings.h"
#include "shape/shape.h"

#define SHAPE_DEPTH_MAX        64
#define SHAPE_ITEMS_MAX        100000     /* of one list */
#define SHAPE_ENTRIES_MAX      2000       /* of one map */
#define SHAPE_DECODE_BYTES_MAX (64 << 20) /* memory that one decoded value may take */

enum shape_strictness { SHAPE_STRICT, SHAPE_LENIENT };

/* awsJson: members in the order of the model, absent ones left out, timestamps as epoch seconds
 * with up to millisecond fraction, blobs as base64. */
void shape_json_encode(struct buf *to, const struct shape *shape, const void *value);
enum err shape_json_decode(struct op *op, const struct shape *shape, struct str text,
                           enum shape_strictness strictness, void *ret);
enum err shape_json_decode_find(struct op *op, const struct shape *shape, struct str text,
                                enum shape_strictness strictness, struct shape_findings *findings,
                                void *ret);

/* rpc-v2-cbor; also our own messages between processes. An empty input decodes as an empty
 * structure. */
void shape_cbor_encode(struct buf *to, const struct shape *shape, const void *value);
enum err shape_cbor_decode(struct op *op, const struct shape *shape, struct str bytes,
                           enum shape_strictness strictness, void *ret);
enum err shape_cbor_decode_find(struct op *op, const struct shape *shape, struct str bytes,
                                enum shape_strictness strictness, struct shape_findings *findings,
                                void *ret);

enum shape_query_dialect {
    SHAPE_QUERY_AWS, /* Name.member.N */
    SHAPE_QUERY_EC2, /* Name.N */
};

/* awsQuery and ec2Query requests. Decoding passes over Action and Version; encoding adds them not.
 */
void shape_query_encode(struct buf *to, const struct shape *shape, enum shape_query_dialect dialect,
                        const void *value);
enum err shape_query_decode(struct op *op, const struct shape *shape, const struct url_form *form,
                            enum shape_query_dialect dialect, enum shape_strictness strictness,
                            struct shape_findings *findings, void *ret);

/* The members of a structure as XML elements, as the answers of query and ec2 have them; the caller
 * writes what stands around them. Decoding stands inside the element that holds the members and
 * leaves it. */
struct xml_reader;
void shape_xml_encode(struct buf *to, const struct shape *shape, const void *value);
enum err shape_xml_decode(struct op *op, const struct shape *shape, struct xml_reader *reader,
                          enum shape_strictness strictness, void *ret);

/* The member of that wire name; NULL when there is none. */
const struct shape_member *shape_member_find(const struct shape *shape, struct str name);
/* Whether the member is present in the structure at value. */
bool shape_member_is_set(const struct shape_member *member, const void *value);
