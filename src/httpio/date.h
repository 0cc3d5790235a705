#pragma once
/* The Date field. */

#include "base/time.h"

#define HTTPIO_DATE_BYTES 30 /* with the NUL */

/* "Tue, 15 Nov 1994 08:12:31 GMT" into buffer[HTTPIO_DATE_BYTES]; years 1970..9999. */
struct str httpio_date_write(wall_t t, char *buffer);
