# SPDX-License-Identifier: MIT
"""What an attacker sends, and how his connections go on.

step    what a connection does next: sends bytes, or waits until some have arrived (Until)
opening the steps of a new connection
flood   what it sends again and again then. Without it, it is broken off at once, and a new one
        takes its place
server, server_flood  the same of the attacker's own XMPP server; without a flood it stays open
"""
import os
import ssl
import struct
import sys
import zlib
from dataclasses import dataclass

WORK = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../work')
sys.path.insert(0, WORK)
import template
import work

N_CONNECTIONS = 200  # sessions_per_address
N_LARGE = 60  # of 256 KB before the login: login_bytes_per_address
N_NEW = 50  # at a time
N_DRIPPED = 1000
BODY_BYTES = 256 * 1024
STANZA_BYTES = 1024 * 1024
N_ATTRIBUTES = 250  # of a tag: nearly XML_ATTRIBUTES_MAX
N_HUGE = 24000  # in BODY_BYTES
BOMB_BYTES = 50_000_000
HEAD_BYTES = 15 * 1024
LOGIN_BYTES = 8 * 1024
DEFLATE_BIT = 0x40

UPGRADE = (b'GET /xmpp-websocket HTTP/1.1\r\nHost: a\r\n'
           b'Upgrade: websocket\r\nConnection: Upgrade\r\n'
           b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n'
           b'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n')
DEFLATE = b'Sec-WebSocket-Extensions: permessage-deflate\r\n'
OPEN = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='%s' version='1.0'/>"
AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>"
SUCCESS = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
HEADER = (b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
          b"id='a' from='attack.test' version='1.0'><stream:features/>")
BODY = b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='%s'>"
CREATE = (b"<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1' "
          b"ver='1.11' wait='60' hold='1' xmpp:version='1.0' to='%s'/>")
CHUNKED = b'POST /http-bind HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
MESSAGE = b"<message xmlns='jabber:client'>"
CLOSE = b'\x88'  # a frame
DOMAIN, OWN_DOMAIN, OWN_DOMAIN_TLS = b'bench.test', b'attack.test', b'tls.attack.test'


class Until:
    """Waits until these bytes have arrived."""
    def __init__(self, words):
        self.words = words


@dataclass
class Attack:
    opening: tuple = ()
    flood: bytes = b''
    server: tuple = ()
    server_flood: bytes = b''
    n: int = N_CONNECTIONS
    port: str = 'port'  # of the gateway: which member of the program
    is_rated: bool = False  # a limit of the gateway's slows the flood down

    @property
    def is_limited(self):
        return self.is_rated or not self.flood


def frame(payload, first=0x81):
    """A masked frame; the mask is all zeros."""
    n = len(payload)
    if n < 126:
        length = bytes([0x80 | n])
    elif n < 65536:
        length = b'\xfe' + struct.pack('>H', n)
    else:
        length = b'\xff' + struct.pack('>Q', n)
    return bytes([first]) + length + bytes(4) + payload


def deflated(payload):
    coder = zlib.compressobj(9, wbits=-15)
    data = coder.compress(payload) + coder.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], 0x81 | DEFLATE_BIT)


def post(body):
    return b'POST /http-bind HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s' % (
        len(body), body)


def fill(head, unit, tail, size):
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def worst(parser, size):
    """The input that tests/work has found to cost this parser most for each byte."""
    for name, piece, what, parts in work.read(os.path.join(WORK, 'worst.txt')):
        if (name, piece, what) == (parser, 0, 'time'):
            return template.expand(parts, size)
    raise SystemExit(f'{WORK}/worst.txt has no input of {parser}')


def numbered(text, n):
    return b''.join(text % i for i in range(n))


def client_hello():
    """The first flight of a client, which costs the attacker nothing from then on."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def websocket(domain=OWN_DOMAIN, more=b''):
    return (UPGRADE % more, Until(b'\r\n\r\n'), frame(OPEN % domain), Until(b'features'))


ACCEPT = (Until(b'<stream:stream'), HEADER)


def by_client(flood, **options):
    """Over WebSockets to a server that only accepts."""
    return Attack(websocket(), flood, ACCEPT, **options)


def logged_in(flood, more=b''):
    """Likewise, after a login."""
    opening = (*websocket(more=more), frame(AUTH), Until(b'success'), frame(OPEN % OWN_DOMAIN),
               Until(b'features'))
    server = (*ACCEPT, Until(b'<auth'), SUCCESS, Until(b'<stream:stream'), HEADER)
    return Attack(opening, flood, server, is_rated=True)


def by_server(flood):
    return Attack(websocket(), server=ACCEPT, server_flood=flood)


def by_bodies(unit):
    """Large requests for no session."""
    return Attack(flood=post(fill(BODY % b'nobody', unit, b'</body>', BODY_BYTES)), n=N_LARGE)


def dripped(head):
    """Each of the last bytes is a reason to look at the head once more."""
    return (head, *[b'x'] * N_DRIPPED)


def of_heads():
    head = b'GET /x HTTP/1.1\r\nHost: a\r\n'
    return {
        'requests for the page': Attack(flood=b'GET / HTTP/1.1\r\nHost: a\r\n\r\n' * 500),
        'heads': Attack(flood=(head + b'a:b\r\n' * 100 + b'\r\n') * 30),
        'the worst heads': Attack(flood=worst('head', HEAD_BYTES) + b'\r\n\r\n'),
        'slow heads': Attack(dripped(head + b'a:b\r\n' * 120 + b'a:' + b'b' * 14000), n=500),
        'chunks of a byte': Attack(flood=CHUNKED + b'1\r\n<\r\n' * 20000 + b'0\r\n\r\n'),
    }


def of_bosh():
    none = post(BODY[:-1] % b'nobody' + b'/>')
    return {
        'requests for no session': Attack(flood=none * 200),
        'bodies of small elements': by_bodies(b'<a/>'),
        'bodies of many attributes': by_bodies(b'<a%s/>' % numbered(b" a%d=''", N_ATTRIBUTES)),
        'bodies of one tag': by_bodies(b'<a%s/>' % numbered(b" a%d=''", N_HUGE)),
        'bodies of declarations': by_bodies(b'<a%s/>' % numbered(b" xmlns:n%d='u'", 15)),
        'deep bodies': by_bodies(b'<a>' * 120 + b'</a>' * 120),
        'the worst bodies': Attack(flood=post(worst('body', BODY_BYTES)), n=N_LARGE),
    }


def of_frames():
    small = fill(MESSAGE, b'<a/>', b'</message>', LOGIN_BYTES - 100)
    large = fill(MESSAGE, b'<a/>', b'</message>', BODY_BYTES)
    cut = frame(b'<', 1) + frame(b'', 0) * 20 + frame(b'a', 0) + frame(b'/>', 0x80)
    nothing = b'\x00\x00\x00\xff\xff' * 5000
    return {
        'small elements': by_client(frame(small)),
        'small stanzas': by_client(frame(MESSAGE[:-1] + b'/>') * 200, is_rated=True),
        'pings': by_client(frame(b'', 0x89) * 4000, is_rated=True),
        'tiny frames': by_client(cut * 200, is_rated=True),
        'large messages': logged_in(frame(large)),
        'large messages, deflated': logged_in(deflated(large) * 4, DEFLATE),
        'deflated nothing': logged_in(frame(nothing, 0x81 | DEFLATE_BIT), DEFLATE),
        'deflate bombs': Attack(
            (*websocket(more=DEFLATE), deflated(b' ' * BOMB_BYTES), Until(CLOSE)), server=ACCEPT),
    }


def handshakes(port):
    return Attack((client_hello(), Until(b'\x16\x03\x03')), n=N_NEW, port=port)


def of_new_ones():
    """Connections and sessions that come and go."""
    return {
        'sessions': Attack(websocket(DOMAIN), n=N_NEW),
        'sessions with a server that is silent': Attack(
            (post(CREATE % OWN_DOMAIN), Until(b'sid=')), server=(Until(b'never'), ), n=N_NEW),
        'WebSocket upgrades': Attack((UPGRADE % b'', Until(b'\r\n\r\n')), n=N_NEW),
        'TLS handshakes': handshakes('tls_port'),
        'TLS handshakes with a long key': handshakes('long_port'),
        'connections that are broken off': Attack((post(b' ' * 5000)[:1000], ), n=N_NEW),
    }


def worst_stanzas():
    """What follows the header, which the server has sent already."""
    return worst('stream', LOGIN_BYTES * 8).split(b'<s:features/>', 1)[1]


def of_servers():
    """By an XMPP server of the attacker's own."""
    tag = b'<iq%s/>' % numbered(b" a%d=''", N_ATTRIBUTES)
    updates = (*ACCEPT, b'<?tls key-update-asked 5000?>')
    return {
        'stanzas of a server of its own': by_server(b'<message/>' * 6000),
        'attributes of a server of its own': by_server(tag * 8),
        'huge tags of a server of its own': by_server(
            b'<iq%s/>' % numbered(b" a%d=''", STANZA_BYTES // BODY_BYTES * N_HUGE)),
        'large elements of a server of its own': by_server(
            fill(MESSAGE, b'<a/>', b'</message>', STANZA_BYTES)),
        'the worst of a server of its own': by_server(worst_stanzas()),
        'key updates of a server of its own': Attack(
            (*websocket(OWN_DOMAIN_TLS), Until(CLOSE)), server=updates, n=N_NEW),
    }


ATTACKS = {**of_frames(), **of_heads(), **of_bosh(), **of_new_ones(), **of_servers()}
