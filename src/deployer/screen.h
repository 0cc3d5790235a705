#pragma once
/* The live view of a shift, as text for a terminal. Pure: into a buffer. */

#include "base/buf.h"
#include "deployer/deploy.h"

#define SCREEN_WIDTH_MIN 24

struct screen {
    size_t width;
    bool has_color;
    double elapsed_s;
};

/* Lines that end in a line feed, none wider than the screen. */
void screen_render(struct buf *to, const struct screen *screen, const struct sight *s);
/* A line that stays: a step, what was done, a warning. */
void screen_line(struct buf *to, const struct tell *tell, bool has_color);
