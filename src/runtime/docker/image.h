#pragma once
/* Image references. Pure.
 * Source  github.com/distribution/reference: [host[:port]/]path[:tag][@digest]; without a tag and a
 *         digest "latest" is meant; docs/sources.md#image-reference */

#include "base/arena.h"
#include "base/str.h"

#define DOCKER_IMAGE_BYTES_MAX 512

struct docker_image {
    struct str name;     /* "registry:5000/team/app", as written */
    struct str tag;      /* "1.2", or "latest"; absent with a digest */
    struct str digest;   /* "sha256:..." or absent */
    struct str registry; /* "registry:5000"; absent: Docker Hub */
};

/* False when it is no reference. Views into text. */
bool docker_image_parse(struct str text, struct docker_image *ret);

/* An image that is on this machine already need not be asked for again when its registry could not
 * say anything else (digest), or is none that it names (built here). */
bool docker_image_is_settled(const struct docker_image *image);
