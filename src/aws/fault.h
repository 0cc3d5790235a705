#pragma once
/* What a client is told when an operation fails: code, status and sentence, as the service itself
 * would say it.
 *
 * A handler names its errors with op_fail_as(). What has no public name (op_fail() with a kind)
 * gets the service's general error of that kind; what is our own fault or the world's is an
 * internal error whose cause goes to the log and not to the client. */

#include "base/op.h"
#include "shape/findings.h"
#include "shape/shape.h"

struct aws_fault {
    struct err_public error;
    struct str message; /* in the op's arena */
};

/* From the op's note. service may be NULL. */
struct aws_fault aws_fault_of_note(struct op *op, const struct shape_service *service);
/* From what a strict decoder found (count > 0). */
struct aws_fault aws_fault_of_findings(struct op *op, const struct shape_service *service,
                                       bool is_form, const struct shape_findings *findings);
/* Input that has no form at all: broken JSON, CBOR, percent coding, or past a limit; the note says
 * what. */
struct aws_fault aws_fault_of_input(struct op *op, const struct shape_service *service,
                                    bool is_form);
/* A failed signature, with AWS's sentence. enum sigv4_fault from aws/sigv4.h. */
struct aws_fault aws_fault_of_signature(int sigv4_fault, const struct shape_service *service,
                                        bool is_form, struct str text);
/* No such operation. */
struct aws_fault aws_fault_unknown_operation(struct op *op, const struct shape_service *service,
                                             bool is_form, bool is_cbor, struct str name);
