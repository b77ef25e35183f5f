/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Texts that peers send or could send, valid and invalid, and parser pools that have read all of
 * them. Unit tests use such a pool instead of a new one, because earlier input must make no
 * difference. Included after cmocka.h.
 */
#include <stdlib.h>

#include "common/buffer.h"
#include "common/xml.h"
#include "tests/unit/pieces.h"

#define CORPUS_STREAM \
	"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
#define CORPUS_BODY "<body xmlns='http://jabber.org/protocol/httpbind' rid='5' sid='s'>"
#define CORPUS_OPEN "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a' version='1.0'/>"
/* An initializer of a struct sv; the text may hold zeros. */
#define CORPUS(literal)                         \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}
/* Two kinds of root, with @text where elements belong. */
#define CORPUS_INSIDE(text) CORPUS(CORPUS_STREAM text), CORPUS(CORPUS_BODY text)
/* @text alone, where elements belong, behind a root, and in an element. */
#define CORPUS_EVERYWHERE(text)                                                       \
	CORPUS(text), CORPUS_INSIDE(text), CORPUS("<m/>" text),                       \
		CORPUS(CORPUS_BODY "</body>" text), CORPUS(CORPUS_STREAM "<m>" text), \
		CORPUS("<m xmlns='a'>" text "</m>")

static const struct sv corpus[] = {
	/* Valid texts. */
	CORPUS_EVERYWHERE(""),
	CORPUS_EVERYWHERE(" \r\n\t"),
	CORPUS_EVERYWHERE("<m xmlns='a' b='c'>d<e/></m>"),
	CORPUS("<?xml version='1.0'?>" CORPUS_STREAM
	       "<stream:features><a xmlns='b'/></stream:features><m>x</m>"),
	CORPUS("<?xml version='1.0' encoding='UTF-8'?>\n" CORPUS_BODY "<m/></body>\n"),
	CORPUS(CORPUS_BODY "<message xmlns='jabber:client'><body>x</body></message><iq/></body>"),
	CORPUS("<body xmlns='http://jabber.org/protocol/httpbind' rid='5' to='a' ver='1.6'/>"),
	CORPUS("<b:body xmlns:b='http://jabber.org/protocol/httpbind' "
	       "xmlns:c='jabber:client'><c:iq/></b:body>"),
	CORPUS(CORPUS_OPEN),
	CORPUS("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"),
	CORPUS("<s:f xmlns:s='urn:streams'><a/><b/></s:f><t xmlns='urn:told' id='1'/>"),
	CORPUS(CORPUS_STREAM "<stream:error><conflict "
			     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
	CORPUS(CORPUS_STREAM "</stream:stream>"),
	CORPUS("\xef\xbb\xbf" CORPUS_STREAM "<m/>"),
	CORPUS("<m xmlns='a'>\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80</m>"),
	/* CDATA sections, complete and not. */
	CORPUS_EVERYWHERE("<![CDATA["),
	CORPUS_EVERYWHERE("<![CDATA[ "),
	CORPUS_EVERYWHERE("<![CDATA[]]>"),
	CORPUS_EVERYWHERE("<![CDATA[<m/></m>"),
	CORPUS_EVERYWHERE("<![CDATA"),
	CORPUS_EVERYWHERE("]]>"),
	CORPUS_EVERYWHERE("]]"),
	/* Parts of tokens. */
	CORPUS_EVERYWHERE("<"),
	CORPUS_EVERYWHERE("</"),
	CORPUS_EVERYWHERE("<m"),
	CORPUS_EVERYWHERE("<m a='"),
	CORPUS_EVERYWHERE("<m xmlns:p='q"),
	CORPUS_EVERYWHERE("\r"),
	CORPUS_EVERYWHERE("&"),
	CORPUS_EVERYWHERE("&am"),
	CORPUS_EVERYWHERE("&#32"),
	CORPUS_EVERYWHERE("\xc3"),
	CORPUS_EVERYWHERE("\xf0\x9f\x98"),
	/* What XMPP forbids, complete and not. */
	CORPUS_EVERYWHERE("<!-- -->"),
	CORPUS_EVERYWHERE("<!-- "),
	CORPUS_EVERYWHERE("<?p i?>"),
	CORPUS_EVERYWHERE("<?p "),
	CORPUS_EVERYWHERE("<?xml version='1.0'?>"),
	CORPUS_EVERYWHERE("<!DOCTYPE m [<!ENTITY a 'b'><!ATTLIST m xmlns CDATA 'z'>"),
	CORPUS_EVERYWHERE("<!DOCTYPE m>"),
	CORPUS_EVERYWHERE("&a;"),
	CORPUS_EVERYWHERE("&#32;"),
	CORPUS("<!DOCTYPE m [<!ENTITY a 'b'>]><m>&a;</m>"),
	CORPUS("<!DOCTYPE m SYSTEM 'x'><m/>"),
	/* Encodings. */
	CORPUS("<?xml version='1.0' encoding='ISO-8859-1'?><m>\xe4</m>"),
	CORPUS("<?xml version='1.0' encoding='UTF-16'?><m/>"),
	CORPUS("<?xml version='1.1'?><m/>"),
	CORPUS("<?xml version='1.0' standalone='no'?><m>&a;</m>"),
	CORPUS("\xff\xfe<\0m\0/\0>\0"),
	CORPUS("\xfe\xff\0<\0m\0/\0>"),
	CORPUS("<\0m\0>\0"),
	CORPUS("\0<\0m"),
	CORPUS("\xff"),
	CORPUS("\xef\xbb"),
	CORPUS_EVERYWHERE("\xef\xbb\xbf"),
	CORPUS_EVERYWHERE("\xff"),
	CORPUS_EVERYWHERE("\xc0\xaf"),
	CORPUS_EVERYWHERE("\xed\xa0\x80"),
	CORPUS_EVERYWHERE("\x01"),
	CORPUS("<m>\0</m>"),
	/* Namespaces. */
	CORPUS_EVERYWHERE("<p:m/>"),
	CORPUS_EVERYWHERE("<m xmlns:p='a'><p:n/></m><p:n/>"),
	CORPUS_EVERYWHERE("<m p:a='1'/>"),
	CORPUS_EVERYWHERE("<p:m xmlns:p=''/>"),
	CORPUS_EVERYWHERE("<m xmlns:xml='a'/>"),
	CORPUS_EVERYWHERE("<m xmlns:xmlns='a'/>"),
	CORPUS_EVERYWHERE("<m xmlns:stream='other'><stream:n/></m>"),
	CORPUS("<m xmlns:a='1' xmlns:b='2' xmlns:c='3' xmlns:d='4' xmlns:e='5' xmlns:f='6' "
	       "xmlns:g='7' xmlns:h='8' "
	       "xmlns:i='9' xmlns:j='10' xmlns:k='11' xmlns:l='12' xmlns:m='13' xmlns:n='14' "
	       "xmlns:o='15' "
	       "xmlns:p='16'><a:x/><p:x/>"),
	CORPUS("<m xmlns:a='1' xmlns:b='2' xmlns:c='3' xmlns:d='4' xmlns:e='5' xmlns:f='6' "
	       "xmlns:g='7' xmlns:h='8' "
	       "xmlns:i='9' xmlns:j='10' xmlns:k='11' xmlns:l='12' xmlns:m='13' xmlns:n='14' "
	       "xmlns:o='15' "
	       "xmlns:p='16' xmlns:q='17'><a:x/>"),
	CORPUS("<m xmlns:p='a&#10;b'><p:n/>"),
	CORPUS("<stream:stream xmlns='urn:told' xmlns:stream='http://etherx.jabber.org/streams'><m "
	       "id='1'/>"),
	CORPUS("<stream:stream xmlns='jabber:client' xmlns:stream='urn:streams'><stream:m/>"),
	/* Second roots, and end tags without a start tag. */
	CORPUS_EVERYWHERE("</x>"),
	CORPUS_EVERYWHERE("</stream:stream>"),
	CORPUS_EVERYWHERE("</body>"),
	CORPUS_EVERYWHERE("</m></m>"),
	CORPUS_EVERYWHERE("<a></b>"),
	CORPUS(CORPUS_BODY "</body>" CORPUS_BODY "</body>"),
	CORPUS(CORPUS_BODY "</body></x>" CORPUS_BODY "<m/></body>"),
	CORPUS(CORPUS_STREAM "</stream:stream>" CORPUS_STREAM),
	CORPUS(CORPUS_STREAM CORPUS_STREAM "<m/>"),
	/* Errors in the middle. */
	CORPUS_EVERYWHERE("text"),
	CORPUS_EVERYWHERE("<m a='1' a='2'/>"),
	CORPUS_EVERYWHERE("<m a=1/>"),
	CORPUS_EVERYWHERE("<m a='<'/>"),
	CORPUS_EVERYWHERE("<1/>"),
	CORPUS("HTTP/1.1 400 Bad Request\r\n\r\n"),
	CORPUS("{\"a\": 1}"),
};

/* Texts that exceed a limit or outlive a parser: @open, @n times @piece, @close. */
static const struct {
	const char *open, *piece;
	size_t n;
	const char *close;
} corpus_long[] = {
	{CORPUS_STREAM, "<a>", XML_DEPTH_MAX, ""},
	{"", "<a>", XML_DEPTH_MAX - 2, ""},
	{CORPUS_BODY, "<a>", XML_DEPTH_MAX - 2, "<![CDATA["},
	{"<m a='", "xxxxxxxx", XML_ROOT_MAX / 8, "'/>"},
	{CORPUS_STREAM "<stream:features>", "<a/>", XML_CHILDREN_MAX, "</stream:features><m/>"},
	{CORPUS_STREAM "<stream:features>", "<a/>", XML_CHILDREN_MAX + 1, "</stream:features>"},
	{CORPUS_STREAM "<m>", "0123456789", 1000, "</m>"},
	{CORPUS_BODY "<m>", "0123456789", 1000, "</m></body>"},
	{"<m xmlns='a'>", "0123456789", 1000, "</m>"},
	{CORPUS_STREAM, "<m a='b'>0123456789</m>", 2000, ""},
	{CORPUS_STREAM, "<m>0123456789</m>", XML_WARM_BYTES_MAX / 17, "<![CDATA["},
	{CORPUS_STREAM, "<m>0123456789</m>", XML_PARSER_BYTES_MAX / 17 + 10, "<m>"},
	{CORPUS_BODY, "<m>0123456789</m>", XML_PARSER_BYTES_MAX / 17 + 10, "</body>"},
};

/* How a text is scanned: as a document, as a root that comes whole, without a root. */
enum corpus_kind {
	CORPUS_DOCUMENT,
	CORPUS_WHOLE,
	CORPUS_ROOTLESS,
	CORPUS_KINDS,
};

/* The caller frees it. */
static inline struct sv corpus_long_text(size_t i)
{
	struct buffer text = BUFFER_INIT;

	assert_int_equal(buffer_append_sv(&text, sv_from(corpus_long[i].open)), 0);
	for (size_t n = 0; n < corpus_long[i].n; n++) {
		assert_int_equal(buffer_append_sv(&text, sv_from(corpus_long[i].piece)), 0);
	}
	assert_int_equal(buffer_append_sv(&text, sv_from(corpus_long[i].close)), 0);
	return buffer_sv(&text);
}

static inline void corpus_begin(struct xml_scan *scan, struct xml_pool *pool, enum corpus_kind kind)
{
	static const struct xml_scan_options tell_all = {
		.n_element_max = 8 * 1024,
		.with_attributes = UINT32_MAX,
		.with_children = UINT32_MAX,
	};

	(kind == CORPUS_ROOTLESS ? xml_scan_init_rootless
	 : kind == CORPUS_WHOLE  ? xml_scan_init_whole
				 : xml_scan_init)(scan, pool, &tell_all);
}

/* Feeds one piece and takes at most @n_items_max items. Returns the result of the feed, or of the
 * call that found no more items. */
static inline int corpus_feed(struct xml_scan *scan, struct sv piece, size_t n_items_max)
{
	struct xml_item item;
	int r = xml_scan_feed(scan, piece.data, piece.n), next_r;

	for (size_t i = 0; i < n_items_max; i++) {
		if (!xml_scan_next(scan, &item, &next_r)) {
			return r ? r : next_r;
		}
	}
	return r;
}

/* Scans at most @n_pieces_max pieces over the pool, up to the first error, and ends the scan. */
static inline void corpus_use(struct xml_pool *pool, enum corpus_kind kind, struct pieces *pieces,
			      size_t n_pieces_max)
{
	struct xml_scan scan;
	struct sv piece;
	int r = 0;

	corpus_begin(&scan, pool, kind);
	for (size_t i = 0; r == 0 && i < n_pieces_max && pieces_next(pieces, &piece); i++) {
		r = corpus_feed(&scan, piece, SIZE_MAX);
	}
	xml_scan_deinit(&scan);
	pieces_end(pieces);
}

/* A pool that has read all of the short texts: each as one kind and cut in one way, which change
 * from pool to pool. */
static inline int corpus_pool_new(const char *const *ns_uris, size_t n_ns_uris,
				  struct xml_pool **ret_pool)
{
	static size_t n_pools;
	int r = xml_pool_new(ns_uris, n_ns_uris, ret_pool);

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(corpus); i++) {
		size_t n = i + n_pools;
		struct pieces pieces = {.rest = corpus[i],
					.way = (unsigned)(n / CORPUS_KINDS % 3),
					.random = (uint32_t)n};

		corpus_use(*ret_pool, n % CORPUS_KINDS, &pieces, SIZE_MAX);
	}
	n_pools++;
	return r;
}
