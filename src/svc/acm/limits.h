#pragma once
/* Quotas of an account and other bounds; ACM's where AWS names one. */

#include "base/time.h"

#define ACM_CERTIFICATES_MAX     2500 /* of a region */
#define ACM_NAMES_MAX            100  /* of a requested certificate */
#define ACM_LIST_DEFAULT         100
#define ACM_LIST_MAX             1000
#define ACM_EXPIRY_DAYS_DEFAULT  45
#define ACM_REQUEST_TOKEN_TIME   DUR_MIN(60) /* the same request gives the same certificate */
#define ACM_AUTHORIZATIONS_MAX   ACM_NAMES_MAX
#define ACM_POLL_MIN             DUR_MS(500)
#define ACM_POLL_MAX             DUR_S(15)
#define ACM_RETRY_FIRST          DUR_MIN(1) /* after a failure; twice as long after each further one */
#define ACM_RETRY_MAX            DUR_MIN(6 * 60)
#define ACM_PATIENCE_MAX         DUR_MIN(24 * 60) /* that an authority may ask for */
#define ACM_CALL_TIMEOUT         DUR_S(60)
#define ACM_NONCES_BAD_MAX       3           /* in a row, until it counts as a failure */
#define ACM_RENEWALS_EVERY_MAX   DUR_MIN(60) /* looks for what has to be renewed */
#define ACM_FOLDER_EVERY         DUR_S(2)    /* looks at the files of --certificate-dir */
#define ACM_LOCAL_DAYS           198         /* as AWS's own certificates */
#define ACM_LOCAL_AUTHORITY_DAYS 3650
#define ACM_VALIDATION_TIME      DUR_MIN(72 * 60) /* then VALIDATION_TIMED_OUT */
