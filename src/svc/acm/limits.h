#pragma once
/* Quotas of an account and other bounds; ACM's where AWS names one. */

#include "base/time.h"

#define ACM_CERTIFICATES_MAX    2500 /* of a region */
#define ACM_NAMES_MAX           100  /* of a requested certificate */
#define ACM_LIST_DEFAULT        100
#define ACM_LIST_MAX            1000
#define ACM_EXPIRY_DAYS_DEFAULT 45
#define ACM_REQUEST_TOKEN_TIME  DUR_MIN(60)      /* the same request gives the same certificate */
#define ACM_VALIDATION_TIME     DUR_MIN(72 * 60) /* then VALIDATION_TIMED_OUT */
