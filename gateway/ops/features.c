/* SPDX-License-Identifier: MIT */
#include "gateway/ops/features.h"

#include <errno.h>
#include <stdint.h>

#include "common/xml.h"

#define SASL_PLUS SV("-PLUS")

/* id URI name for display; NULL: shown in a line of its own */
#define FEATURE_NAMESPACES(X)                                                    \
	X(STREAMS, "http://etherx.jabber.org/streams", NULL)                     \
	X(SASL, "urn:ietf:params:xml:ns:xmpp-sasl", NULL)                        \
	X(SASL2, "urn:xmpp:sasl:2", NULL)                                        \
	X(IQ_AUTH, "http://jabber.org/features/iq-auth", "login without SASL")   \
	X(IQ_REGISTER, "http://jabber.org/features/iq-register", "registration") \
	X(BIND, "urn:ietf:params:xml:ns:xmpp-bind", "bind")                      \
	X(SESSION, "urn:ietf:params:xml:ns:xmpp-session", "session")             \
	X(SM2, "urn:xmpp:sm:2", "stream management 2")                           \
	X(SM3, "urn:xmpp:sm:3", "stream management")                             \
	X(CAPS, "http://jabber.org/protocol/caps", "capabilities")               \
	X(CSI, "urn:xmpp:csi:0", "client state")                                 \
	X(ROSTERVER, "urn:xmpp:features:rosterver", "roster versions")           \
	X(PRE_APPROVAL, "urn:xmpp:features:pre-approval", "pre-approval")        \
	X(CHANNEL_BINDING, "urn:xmpp:sasl-cb:0", "channel binding")              \
	X(LIMITS, "urn:xmpp:stream-limits:0", "stream limits")

enum {
#define X(id, uri, name) FEATURE_##id,
	FEATURE_NAMESPACES(X)
#undef X
		FEATURE_COUNT
};

static const char *const uris[] = {
#define X(id, uri, name) uri,
	FEATURE_NAMESPACES(X)
#undef X
};

static const char *const names[] = {
#define X(id, uri, name) name,
	FEATURE_NAMESPACES(X)
#undef X
};

/* Best first. Mechanisms that are not listed rank before those that reveal the password. */
static const char *const ranking[] = {"SCRAM-SHA3-512", "SCRAM-SHA-512",   "SCRAM-SHA-256",
				      "SCRAM-SHA-1",    "DIGEST-MD5",      "CRAM-MD5",
				      "GSSAPI",         NULL /* others */, "PLAIN",
				      "LOGIN",          "ANONYMOUS"};

enum {
	RANK_OTHER = 7,
};

static void list_add(struct features_list *list, struct sv name)
{
	name = sv_first(name, FEATURES_NAME_MAX);
	for (size_t i = 0; i < list->n; i++) {
		if (sv_eq(sv_from(list->names[i]), name)) {
			return;
		}
	}
	if (list->n == FEATURES_NAMES_MAX) {
		list->n_more++;
		return;
	}
	memcpy(list->names[list->n], name.data, name.n);
	list->names[list->n++][name.n] = '\0';
}

struct sv features_inner(struct sv element)
{
	size_t n_open = sv_find(element, '>') + 1;
	const char *close = element.n ? memrchr(element.data, '<', element.n) : NULL;

	/* An empty-element tag has no content. */
	if (!close || (size_t)(close - element.data) < n_open) {
		return SV("");
	}
	return sv_trim((struct sv){element.data + n_open, (size_t)(close - element.data) - n_open});
}

static void read_mechanisms(const struct xml_scan *scan, const struct xml_item *item,
			    struct features_list *list)
{
	for (size_t i = 0; i < item->n_children; i++) {
		struct xml_child child = xml_item_child(scan, item, i);
		struct sv mechanism = features_inner(child.text);

		if (child.ns == item->ns && sv_eq(child.name, SV("mechanism")) && mechanism.n) {
			list_add(list, mechanism);
		}
	}
}

static void read_feature(const struct xml_scan *scan, const struct xml_item *item,
			 struct features *features)
{
	if (item->ns == FEATURE_SASL && sv_eq(item->name, SV("mechanisms"))) {
		read_mechanisms(scan, item, &features->sasl);
	} else if (item->ns == FEATURE_SASL2 && sv_eq(item->name, SV("authentication"))) {
		read_mechanisms(scan, item, &features->sasl2);
	} else {
		const char *known = item->ns >= 0 ? names[item->ns] : NULL;

		features->has_legacy = features->has_legacy || item->ns == FEATURE_IQ_AUTH;
		list_add(&features->others, known ? sv_from(known) : item->name);
	}
}

static int read_all(struct xml_scan *scan, struct sv xml, struct features *features)
{
	struct xml_item item;
	int r = xml_scan_feed(scan, xml.data, xml.n);
	int fed = r;

	if (r < 0) {
		return r;
	}
	while (xml_scan_next(scan, &item, &r)) {
		if (item.kind == XML_ITEM_ELEMENT) {
			read_feature(scan, &item, features);
		}
	}
	if (r < 0) {
		return r;
	}
	return r == 0 && fed == 0 && xml_scan_is_complete(scan) ? 0 : -EINVAL;
}

DEFINE_CLEANUP(struct xml_pool *, xml_pool_free);

int features_read(struct sv xml, struct features *ret_features)
{
	const struct xml_scan_options options = {
		.n_element_max = xml.n,
		.with_children = UINT32_C(1) << FEATURE_SASL | UINT32_C(1) << FEATURE_SASL2,
	};
	_cleanup_(xml_pool_freep) struct xml_pool *pool = NULL;
	struct xml_scan scan;
	int r = xml_pool_new(uris, FEATURE_COUNT, &pool);

	*ret_features = (struct features){.has_legacy = false};
	if (r < 0) {
		return r;
	}
	xml_scan_init(&scan, pool, &options);
	r = read_all(&scan, xml, ret_features);
	xml_scan_deinit(&scan);
	return r;
}

static bool ends_with(struct sv text, struct sv end)
{
	return text.n >= end.n && sv_eq(sv_skip(text, text.n - end.n), end);
}

static bool is_usable(const char *mechanism)
{
	return !ends_with(sv_from(mechanism), SASL_PLUS) && strcmp(mechanism, "EXTERNAL") != 0;
}

static size_t rank_of(const char *mechanism)
{
	for (size_t i = 0; i < ARRAY_LENGTH(ranking); i++) {
		if (ranking[i] && strcmp(ranking[i], mechanism) == 0) {
			return i;
		}
	}
	return RANK_OTHER;
}

/* Returns the better of @best, which may be NULL, and the mechanisms in the list. */
static const char *list_best(const struct features_list *list, const char *best)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *name = list->names[i];

		if (is_usable(name) && (!best || rank_of(name) < rank_of(best))) {
			best = name;
		}
	}
	return best;
}

const char *features_best(const struct features *features)
{
	return list_best(&features->sasl2, list_best(&features->sasl, NULL));
}

static bool list_has(const struct features_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

size_t features_count_others(const struct features *features)
{
	size_t n = 0;

	for (size_t i = 0; i < features->sasl.n; i++) {
		n += is_usable(features->sasl.names[i]);
	}
	for (size_t i = 0; i < features->sasl2.n; i++) {
		const char *name = features->sasl2.names[i];

		n += is_usable(name) && !list_has(&features->sasl, name);
	}
	return n ? n - 1 : 0;
}

bool features_are_weak(const struct features *features)
{
	const char *best = features_best(features);

	return best && (strcmp(best, "PLAIN") == 0 || strcmp(best, "LOGIN") == 0);
}
