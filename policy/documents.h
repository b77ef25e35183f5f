/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Documents that tell programs about the gateway. Those for plug-ins say which pages may use it,
 * and are made from the list of origins:
 *
 * crossdomain         crossdomain.xml, for Adobe Flash (Cross Domain Policy File Specification 2.0)
 * clientaccesspolicy  clientaccesspolicy.xml, for Microsoft Silverlight (Network Security Access
 *                     Restrictions in Silverlight)
 * socket policy       the same for sockets, which a plug-in asks for by a request of its own
 *                     (socket-policy.h)
 *
 * They cannot say all that a list of origins says. Flash knows no ports of pages, and takes
 * "*.example.org" for example.org, too. Silverlight knows no "any port": a pattern with ":*" is
 * reduced to the default port.
 *
 * host-meta  says at which URLs BOSH and WebSocket are found (XEP-0156), in the XML and in the JSON
 *            form of RFC 6415
 */
#include "common/buffer.h"
#include "policy/origin.h"
#include "policy/ports.h"

/* All of them append the document, and return 0 or -ENOMEM. */
_must_check_ int documents_crossdomain(const struct origin_list *origins,
				       struct buffer *ret_document);
/* @bosh_path without a final slash; what is below it is granted, too, as "/http-bind/" is the same
 * place as "/http-bind". */
_must_check_ int documents_clientaccesspolicy(const struct origin_list *origins,
					      struct sv bosh_path, struct buffer *ret_document);

/* For sockets to @ports. Without a port nobody gets access. */
_must_check_ int documents_flash_sockets(const struct origin_list *origins,
					 const struct ports *ports, struct buffer *ret_document);
_must_check_ int documents_silverlight_sockets(const struct origin_list *origins,
					       const struct ports *ports,
					       struct buffer *ret_document);

/* Either URL may be empty: then there is no link to it. They consist of printable ASCII without
 * quotes and backslashes. */
_must_check_ int documents_host_meta(const char *bosh_url, const char *websocket_url,
				     struct buffer *ret_document);
_must_check_ int documents_host_meta_json(const char *bosh_url, const char *websocket_url,
					  struct buffer *ret_document);
