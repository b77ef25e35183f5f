/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The documents that tell browser plug-ins which pages may use the gateway, made from the list of
 * origins: crossdomain.xml (Adobe Flash) and clientaccesspolicy.xml (Microsoft Silverlight).
 */
#include "common/buffer.h"
#include "policy/origin.h"

/* Append the document. Return 0 or -ENOMEM. */
_must_check_ int documents_crossdomain(const struct origin_list *origins,
				       struct buffer *ret_document);
_must_check_ int documents_clientaccesspolicy(const struct origin_list *origins,
					      const char *bosh_path, struct buffer *ret_document);
