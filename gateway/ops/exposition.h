/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes the metrics in the text format that Prometheus reads (version 0.0.4).
 *
 * No label holds what a client sent: a domain is named only where the configuration has a section
 * of that name, so that clients cannot make up series.
 */
#include "gateway/ops/status.h"

/* Appends all metrics of @status. Returns 0 or -ENOMEM. */
_must_check_ int exposition_write(const struct status *status, struct buffer *buffer);
