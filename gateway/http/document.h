/* SPDX-License-Identifier: MIT */
#pragma once
/* Puts the test page together: one document from its three files, and the policy under which a browser runs it. */
#include "common/blob.h"
#include "gateway/config.h"

/* *ret_document: the page; *ret_policy: the value of Content-Security-Policy, to be freed. Returns 0 or -ENOMEM. */
_must_check_ int document_page(const struct config *config, struct blob **ret_document, char **ret_policy);
