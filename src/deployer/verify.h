#pragma once
/* The requests that prove a release. */

#include "deployer/resources.h"
#include "deployer/web.h"

/* Pure: whether an answer is what the file says; else the sentence that tells what was expected
 * and what came. Absent: all is well. */
struct str verify_judge(struct arena *a, const struct config_verify *v,
                        const struct web_answer *answer);

/* Pure: the value at ".items[0].name" of a JSON text, texts without their quotes. */
bool verify_json_value(struct arena *a, struct str body, struct str path, struct str *ret_value);

/* Tries each until it is met or its time is over. ERR_REMOTE with the sentence when one is not. */
enum err verify_run(struct op *op, const struct cloud *cloud, const struct place *place,
                    const struct resources *r, resources_tell_fn tell, void *self) MUST_USE;

/* One request to the health path: ERR_OK when the service answers below 500. */
enum err verify_serves(struct op *op, const struct place *place, const struct resources *r,
                       struct str *ret_told) MUST_USE;
