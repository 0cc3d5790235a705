#pragma once
/* Certificates from files, see folder.c. Private to the module. */

#include "svc/acm/service.h"

/* Imports what is new or changed. */
void acm_folder_scan(struct acm *acm);
void acm_folder_fini(struct acm *acm);
