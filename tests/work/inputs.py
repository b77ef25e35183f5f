# SPDX-License-Identifier: MIT
"""The parsers that work.py measures: what ordinary input is, of what a search makes up worse one, and the bounds.

A generator is an input whose units differ, because they are numbered, or one with a head of which each unit makes something new: such
inputs are not found by putting words together. All are templates (template.h): (head, unit, tail).
"""
import zlib


def escape(data):
	"""The template of the bytes."""
	return "".join(chr(b) if 32 <= b < 127 and chr(b) not in "\\}" else f"\\x{b:02x}" for b in data)


class Bound:
	"""So many bytes for each byte of the input, and some more."""

	def __init__(self, factor, base):
		self.factor, self.base = factor, base

	def allows(self, n, n_input):
		return n <= self.factor * n_input + self.base

	def __str__(self):
		return f"at most {self.factor} a byte and {self.base}"


class Parser:
	"""@size: of the inputs; is_bounded: the parser takes no more than about so many bytes."""

	def __init__(self, size, plain, words, seeds=(), pieces=(0,), time=40, out=Bound(1, 0), memory=Bound(2, 4096), is_bounded=False):
		self.size, self.plain, self.words, self.seeds, self.pieces = size, plain, words, list(seeds), pieces
		self.time, self.out, self.memory, self.is_bounded = time, out, memory, is_bounded


def around(head, tail, *units):
	return [(head, unit, tail) for unit in units]


CUT = (0, 1, 10, 1400)
KB = 1024
# XML_COMPLETION_FACTOR and XML_COMPLETION_BASE.
COMPLETED = Bound(7, 16 * KB)
# What expat holds, and up to 1,024 items with 150 bytes each.
XML_MEMORY = Bound(24, 512 * KB)

HEADER = "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' version='1.0'"
BODY = "<body xmlns='http://jabber.org/protocol/httpbind' rid='5' sid='s'"
MESSAGE = "<message xmlns='jabber:client' to='a@b.example'><body>Wherefore art thou, Romeo?</body></message>"
XML_WORDS = ["<a>", "</a>", "<a/>", "<", ">", "/>", "'", '"', "<a b='", " a='b'", "=", "x", " ", "&lt;", "&#9;", "&", "<![CDATA[", "]]>", "]]",
             "xmlns:a='b'", " xmlns='c'", "a:b", "\\xc3\\xa4", "\\xf0\\x9f\\x98\\x80", "\\r\\n", "<?", "<!--", "<m><n><o>", "</o></n></m>",
             "<iq type='get'/>", "'>", "\\n", " a\\#4='b'", " xmlns:a\\#3='u'", "<a\\#4/>", "<p:a/>", " p:\\#4='b'", "\\#3", "\\{100*x}",
             "<a xmlns:p\\#3='u' p\\#3:b='c'/>", "\\{60*<\\#2>}\\{60*</\\~2>}", "<a xmlns=''/>"]
# Within an element.
XML_UNITS = ["<a\\#4/>", "<a a\\#4=''/>", "<a a\\#4='' b\\#4=''/>", "<a xmlns:a\\#4='u'/>", "<a xmlns:a\\#4='u' a\\#4:b=''/>", "<a xmlns='u\\#4'/>",
             "<\\{100*x}\\#4/>", "<a \\{500*x}\\#4=''/>", "<a \\{60*\\#2='' }/>", "<a a='\\{1000*&lt;}'/>", "\\{100*<\\#2>}\\{100*</\\~2>}",
             "\\{100*<a xmlns:\\#2='u'>}\\{100*</a>}", "&#x0000000\\{20*0}41;", "&lt;", "<![CDATA[]]>", "]]", "]", "x", "<p:a/>", "<p:a p:\\#4=''/>",
             "<p:a p:\\#4='' \\#4=''/>", "<a>\\{130*x}</a>", "\\xc3\\xa4", "\\r", "\\n"]
ATTRIBUTES = [" a\\#4=''", " a\\#4='\\{30*x}'", " a\\{100*x}\\#4=''", " xmlns:a\\#4='u'", " xmlns:a\\#4='u\\#4'", " p:a\\#4=''", " \\#4 = '&lt;'"]


def xml_seeds(root, first, end):
	"""@root: the start tag of a root without its end; @first: what has to follow it."""
	declared = f"{root} xmlns:p='u'>{first}"
	return (around(f"{declared}<p:a>", f"</p:a>{end}", *XML_UNITS)
	        + around(declared, end, *XML_UNITS[:12])
	        + around(f"{declared}<p:a", f"/>{end}", *ATTRIBUTES)
	        + around(root, f">{first}{end}", *ATTRIBUTES)
	        # Each element inherits what the root declares.
	        + around(f"{root} xmlns:p='urn:\\{{7800*x}}'>{first}", end, "<p:a/>")
	        + around(f"{root} xmlns:p='urn:\\{{2600*x}}'>{first}", end, "<p:a/>", f"<p:a/>{MESSAGE * 4}")
	        + around(f"{root} xmlns:p='u:\\{{30*x}}'>{first}", end, "<p:a/>")
	        + around(f"{root} xmlns:p='urn:\\{{1200*&amp;}}'>{first}", end, "<p:a/>")
	        + around(f"{root}\\{{13* xmlns:\\#1='u'}}>{first}", end, "\\{12*<\\#1:a>}\\{12*</\\~1:a>}", "<a:a \\{12*\\#1:b='' }/>")
	        + around(f"{root}\\{{13* xmlns:\\{{60*x}}\\#1='u'}}>{first}", end, "<\\{60*x}m:a/>")
	        # What is of no namespace, or of the root's.
	        + around(f"{root}>{first}", end, "<a/>", "<a xmlns=''/>", "<a\\{60* \\#2=''}  xmlns=''/>", " "))


HTTP = "GET /ws HTTP/1.1\\r\\nHost: a\\r\\n"
HEAD_WORDS = ["\\r\\n", "a: b\\r\\n", ": ", ",", " ", "X-A", "Connection: close\\r\\n", "Origin: ", "GET ", "HTTP/1.1", "/", "%41", "?",
              "Content-Length: 0\\r\\n", "Cookie: a=b; ", "\\t", "Host: a\\r\\n", "a\\#3: b\\r\\n", "\\#3,", "Transfer-Encoding: ", "chunked", ";"]
LONG_LINE = "X-Header: some ordinary value, which is of no special interest to anybody, and is \\{10*very }long\\r\\n"
UPGRADE_WORDS = [*HEAD_WORDS, "Sec-WebSocket-Extensions: ", "permessage-deflate", "client_max_window_bits=15", "Sec-WebSocket-Protocol: ", "xmpp",
                 "Upgrade: websocket\\r\\n", "Connection: upgrade\\r\\n", "Sec-WebSocket-Version: 13\\r\\n", "Sec-WebSocket-Key: \\{22*a}==\\r\\n"]
WEBSOCKET = (f"{HTTP}Connection: upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n"
             "Sec-WebSocket-Key: \\{22*a}==\\r\\n")

DNS = "\\x12\\x34\\x81\\x80\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x0c_xmpp-client\\x04_tcp\\x01a\\x07example\\x00\\x00\\x21\\x00\\x01"
SELF = "\\xc0\\x0c"  # the name that was asked for
SRV, CNAME, TXT = (f"\\x00\\x{kind}\\x00\\x01\\x00\\x00\\x0e\\x10" for kind in ("21", "05", "10"))
RING = f"{SELF}{CNAME}\\x00\\x02{SELF}"  # an alias for itself
SRV_RECORD = f"{SELF}{SRV}\\x00\\x0a\\x00\\x01\\x00\\x01\\x14\\x66\\x01b\\xc0\\x1e"

# otherName with the OID of XmppAddr, and a text.
XMPP_NAME = "\\xa0\\x13\\x06\\x08\\x2b\\x06\\x01\\x05\\x05\\x07\\x08\\x05\\xa0\\x07\\x0c\\x05"

# With the length of all that follows, which is the address and 1,968 bytes.
PROXY_V2 = "\\r\\n\\r\\n\\x00\\r\\nQUIT\\n\\x21\\x11\\x07\\xbc\\{12*a}"


def deflated(text):
	"""A part of a compressed stream that may stand in it again and again."""
	coder = zlib.compressobj(wbits=-15)
	return escape(coder.compress(text.encode()) + coder.flush(zlib.Z_FULL_FLUSH))


def gzipped(text):
	"""A whole member of a gzip file."""
	coder = zlib.compressobj(wbits=31)
	return escape(coder.compress(text.encode()) + coder.flush())


# What a message of a WebSocket ends with: a block without text, but for the last four of its bytes (RFC 7692, 7.2.1).
END = "\\x00"

# Of clients.
PARSERS = {
	"message": Parser(65536, ("<iq xmlns='jabber:client'>", "<item jid='a@b.example' name='x'/>", "</iq>"), XML_WORDS,
	                  around("<iq xmlns='jabber:client' xmlns:p='u'>", "</iq>", *XML_UNITS)
	                  + around("<iq xmlns='jabber:client' xmlns:p='u'", "/>", *ATTRIBUTES), CUT, memory=XML_MEMORY),
	"body": Parser(65536, (f"{BODY}>", MESSAGE, "</body>"), XML_WORDS, xml_seeds(BODY, "", "</body>"), (0, 4096), out=COMPLETED, memory=XML_MEMORY),
	"hello": Parser(12000, ("", "\\x16\\x03\\x01\\x00\\x40\\x01\\x00\\x00\\x3c\\{60*x}", ""),
	                ["\\x16\\x03\\x01\\x00\\x01x", "\\x16\\x03\\x01\\x00\\x00", "\\x17\\x03\\x03\\x00\\x00", "\\x01\\x00\\x00\\x00", "x", "\\x00"],
	                around("", "", "\\x16\\x03\\x01\\x00\\x01\\x01", "\\x16\\x03\\x01\\x00\\x00", "\\x16\\x03\\x01\\x00\\x04\\x01\\x00\\x00\\x00",
	                       "\\x17\\x03\\x03\\x00\\x00"), (0, 1)),
	"frames": Parser(65536, ("", "\\x81\\xe4abcd\\{100* }", ""),
	                 ["\\x81\\x80abcd", "\\x89\\x80abcd", "\\x00\\x80abcd", "\\x01\\x80abcd", "\\x81\\x81abcdx", "\\x00\\x81abcdx", "\\xc1\\x80abcd",
	                  "\\x80\\x80abcd", "\\x8a\\x80abcd", "\\x81\\xfe\\x7f\\xffabcd", "\\xa2", "x", "\\x89\\xfdabcd\\{125*x}"],
	                 around("", "", "\\x81\\x80abcd", "\\x89\\x80abcd", "\\x8a\\xfdabcd\\{125*x}", "\\x81\\xfeabcd\\{24930*x}"), (0, 1, 10)),
	"head": Parser(15000, (HTTP, LONG_LINE, "\\r\\n"), HEAD_WORDS,
	               around(HTTP, "\\r\\n", "X\\#2: \\{120*,}\\r\\n", "Connection: \\{100*a,}\\r\\n", "Cookie: \\{30*a\\#3=b; }\\r\\n")
	               + around("GET /", " HTTP/1.1\\r\\nHost: a\\r\\n\\{90*a\\#2: b\\r\\n}\\r\\n", "%41", "?", "a/", ";")
	               + around(f"{HTTP}\\{{100*a\\#3: b\\r\\n}}Transfer-Encoding: ", "chunked\\r\\n\\r\\n", "a\\#3, ", ",")
	               + around("GET / HTTP/1.1\\r\\nHost: ", "\\r\\n\\r\\n", "a.", "%41"), (0, 1, 10), time=80),
	"upgrade": Parser(15000, (WEBSOCKET, LONG_LINE, "\\r\\n"), UPGRADE_WORDS,
	                  around(f"{WEBSOCKET}Sec-WebSocket-Extensions: ", "\\r\\n\\r\\n", ",", ";", "a\\#3,", "permessage-deflate; a\\#2, ", "permessage-deflate;;,",
	                         "permessage-deflate;client_max_window_bits;,", "permessage-deflate;\\{20*a\\#1=\"1\";},")
	                  + around(f"{WEBSOCKET}Sec-WebSocket-Protocol: ", "\\r\\n\\r\\n", ",", "a\\#3,", "xmp,")
	                  + around(f"{HTTP}Connection: ", "\\r\\n\\r\\n", ",", "a\\#3,", "upgrad, ")
	                  + around(WEBSOCKET, "\\r\\n", "Sec-WebSocket-Protocol: \\{60*a,}\\r\\n", "Connection: \\{60*a,}\\r\\n"), memory=Bound(4, 4096)),
	"chunks": Parser(65536, ("", "40\\r\\n\\{64*x}\\r\\n", ""), ["1\\r\\nx\\r\\n", "\\r\\n", "0", "1", ";", "a=b", "\\x22", "x", "ff", " "],
	                 around("", "", "1\\r\\nx\\r\\n", "2\\r\\nxx\\r\\n", "01\\r\\nx\\r\\n"), (0, 1, 10)),
	"gzip": Parser(8192, ("", gzipped("\n".join(f"{i} {MESSAGE}" for i in range(40))), ""), [gzipped(""), gzipped("x"), gzipped("x" * 500), gzipped(MESSAGE)],
	               around("", "", gzipped(""), gzipped("x" * 60), gzipped("x" * 1000)), out=Bound(0, 256 * KB + 1), memory=Bound(3, 800 * KB)),
	"deflate": Parser(8192, ("", deflated("\n".join(f"{i} {MESSAGE}" for i in range(40))), END),
	                  ["\\x01\\x00\\x00\\xff\\xff", "\\x00\\x00\\x00\\xff\\xff", "\\xed\\xc1", "\\x03\\x00", "\\{8*\\xff}", "\\{8*\\x00}", "\\x4b\\x4c",
	                   deflated("x"), deflated("x" * 60), deflated(MESSAGE), deflated("".join(map(chr, range(32, 127))))],
	                  around("", END, "\\x00\\x00\\x00\\xff\\xff", "\\x00\\x01\\x00\\xfe\\xffx", "\\x00\\x40\\x00\\xbf\\xff\\{64*x}", deflated("x" * 64),
	                         deflated("".join(map(chr, range(32, 127))))), out=Bound(0, 256 * KB + 1), memory=Bound(3, 800 * KB)),
	"login": Parser(65536, ("", MESSAGE, ""), [*XML_WORDS, "<auth ", "mechanism='PLAIN'", "<password", "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"],
	                around("", "", "<auth ", "<a\\#3:auth mechanism='PLAIN'/>", "<auth a\\#3=", "<password>", "<![CDATA[", "<auth \\{20*a\\#1='' }", "<")),
	"cors": Parser(1000, ("content-type", ", x-header-of-a-page", ""), [",", " ", "a", "\\t", "(", ", ", "a,", "\\#3,"],
	               around("", "", ",", ", ", "a\\#3,") + around("\\{64*a\\#2,}", "", ",", "\\t"), out=Bound(0, KB)),
	"origin": Parser(300, ("https://", "chat.", "example.org"), ["http://", ".", "a", "[", "]", ":", "-", "xn--", "\\#1.", "example.org"],
	                 around("http://", "a.example:1", "a.", "a-", "\\#1.") + around("http://[", "]", "1:", "0"), out=Bound(1, 0), is_bounded=True),
	"domain": Parser(1000, ("", "chat.", "example.org"), [".", "a", "\\xc3\\xa4", "xn--", "\\xe4\\xb8\\x80", "\\xcc\\x88", "\\xd7\\x90", "-", "1", "\\xc3\\x9f", "\\#1."],
	                 around("", ".example", "a.", "\\xc3\\xa4.", "\\{5*\\xe4\\xb8\\x80}.", "\\xcc\\x88", "xn--a.", "\\xd7\\x90", "\\xef\\xb7\\xba", "xn--\\#2-kva."),
	                 time=100, out=Bound(4, 0), memory=Bound(40, 4096), is_bounded=True),
	"forwarded": Parser(15000, ("", "for=192.0.2.60;proto=http;by=203.0.113.43, ", "for=192.0.2.1"),
	                    ["for=", '"', "\\\\", ";", ",", "192.0.2.1", "[::1]", "proto=https", " ", "=", "10.0.0.1, ", "https, ", "[2001:db8::\\#1]"],
	                    around("", "for=192.0.2.1", ";", ",", "for=;", "for=\"[::1]\", ", "10.0.0.1, ", "for=\"\\\\1\\\\0.0.0.1\",", "a\\#3=b;", "=", "\"\\\\")),
	"proxy": Parser(1996, (PROXY_V2, "\\x04\\x00\\x26\\{38*x}", ""),
	                ["\\x04\\x00\\x00", "\\x20\\x00\\x05", "\\x01", "\\x00", "PROXY ", "TCP4 ", "1.2.3.4 ", "\\r\\n"],
	                around(PROXY_V2, "", "\\x04\\x00\\x00", "\\x20\\x00\\x05\\x00\\x00\\x00\\x00\\x00", "\\x20\\x00\\x00"),
	                (0, 1), is_bounded=True),
}

# Of servers, and of what tells about them.
PARSERS |= {
	"stream": Parser(65536, (f"{HEADER}><s:features/>", MESSAGE, ""), XML_WORDS,
	                 around(f"{HEADER} xmlns:p='u'><s:features>", "</s:features>", *XML_UNITS) + xml_seeds(HEADER, "<s:features/>", ""),
	                 CUT, out=COMPLETED, memory=XML_MEMORY),
	"reply": Parser(60000, (DNS, SRV_RECORD, ""), [SELF, "\\xc0\\x1e", f"{CNAME}\\x00\\x02", f"{SRV}\\x00\\x0a", "\\x01a", "\\x00", "\\x3f\\{63*a}", "\\@", RING,
	                                              f"{TXT}\\x00\\x00"],
	                around(DNS, "", RING, f"\\x00{TXT}\\x00\\x00", f"\\x01\\#1{SELF}{SRV}\\x00\\x00", f"\\{{120*\\x01a}}\\x00{TXT}\\x00\\x00")
	                + [
		# Long names in front of an alias.
		(f"{DNS}\\{{200*\\{{120*\\x01a}}\\x00{TXT}\\x00\\x00}}{RING}", f"\\x00{TXT}\\x00\\x00", ""),
		(f"{DNS}\\{{200*\\{{3*\\x3f\\{{63*a}}}}\\x00{TXT}\\x00\\x00}}{RING}", f"\\x00{TXT}\\x00\\x00", ""),
		# Names that are the end of a chain of pointers, which another record has; of 6,885, and of 45.
		(f"{DNS}\\x00{TXT}\\x36\\xb0\\x00\\x00\\{{6999*\\@}}\\{{254*\\xf6\\x00{TXT}\\x00\\x00}}{RING}", f"\\x00{TXT}\\x00\\x00", ""),
		(f"{DNS}\\x00{TXT}\\x00\\x5a\\x00\\x00\\{{44*\\@}}\\{{254*\\xc0\\x90{TXT}\\x00\\x00}}{RING}", f"\\x00{TXT}\\x00\\x00", ""),
	], out=Bound(0, 16 * KB), memory=Bound(0, 16 * KB)),
	# "\\!": names that uthash's own function puts into one bucket.
	"cache": Parser(60000, ("", "_xmpp-client._tcp.\\#5.example.org\\n", ""), ["\\#4", "\\#5\\n", "\\!5\\n", "\\n", "a", "\\{100*x}", ".example"],
	                around("", "", "\\#5\\n", "\\!5\\n", "\\!8\\n", "\\#5\\{200*x}\\n", "\\{200*x}\\#5\\n", "a\\n"), out=Bound(60, 0), memory=Bound(60, 64 * KB)),
	"certificate": Parser(30000, ("", "\\x82\\x0fa\\#3.example.or", ""),
	                      ["\\x82\\x03\\#3", "\\x82\\x00", "\\x87\\x04\\#4", "\\x81\\x03a@b", f"{XMPP_NAME}a\\#3.", f"{XMPP_NAME}\\xc3\\xa4.\\#2", "\\x88\\x01\\x2a",
	                       "\\xa4\\x02\\x30\\x00", "\\x82\\x7f\\{127*a}"],
	                      around("", "", "\\x82\\x03\\#3", "\\x82\\x00", "\\x88\\x01\\x2a", "\\xa4\\x02\\x30\\x00", f"{XMPP_NAME}a\\#3.", f"{XMPP_NAME}\\xc3\\xa4.\\#2",
	                             "\\x82\\x03*.\\#1"), out=Bound(0, 256), memory=Bound(64, 16 * KB)),
	"socks": Parser(250, ("\\x05\\x02\\x01\\x00\\x05\\x00\\x00\\x03\\xff", "a", ""), ["\\x05", "\\x00", "\\x02", "\\x01", "\\x03", "\\xff", "a"],
	                around("", "", "\\x05\\x02", "\\x05\\x00"), (0, 1), out=Bound(0, 256), is_bounded=True),
	"connect": Parser(8000, ("HTTP/1.1 200 a\\r\\n", LONG_LINE, ""), ["HTTP/1.1 100 a\\r\\n\\r\\n", "\\r\\n", "a: b\\r\\n", "\\n", " ", "1", "HTTP/1.1 "],
	                  around("", "", "HTTP/1.1 100 a\\r\\n\\r\\n", "HTTP/1.1 100\\n\\n") + around("HTTP/1.1 200 a\\r\\n", "", "a: b\\r\\n", "\\r"), (0, 1),
	                  out=Bound(0, 512), is_bounded=True),
}
