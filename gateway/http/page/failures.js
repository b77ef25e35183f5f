/* SPDX-License-Identifier: MIT */
/* ---- What failures mean ----
 * The gateway says in a sentence what went wrong. The page has a list of these sentences with their names (gateway/failure.h). Here is
 * what it shows for each name: a headline, who can fix it, and where an operator finds more.
 *
 * turn   who can fix it, shown after the facts; may be empty
 * look   where `doab --probe DOMAIN` shows it, shown after "Look at "; empty: a probe cannot show it
 */

const TURN = {
	domain: 'Check the spelling of the domain.',
	gateway: 'The operator of this gateway decides about that.',
	here: 'The operator of this gateway can fix this.',
	later: 'Try again later.',
	network: 'The operator of the XMPP server or its network can fix this.',
	server: 'The operator of the XMPP server can fix this.',
};
const SERVICES = 'the lines \u201c_xmpp-client._tcp\u201d and \u201c_xmpps-client._tcp\u201d under \u201cDNS\u201d';
const ADDRESSES = 'the addresses under \u201cConnecting\u201d';
const inTls = (...labels) => `the line${labels.length > 1 ? 's' : ''} ${labels.map((label) => `\u201c${label}\u201d`).join(' and ')} under \u201cTLS\u201d`;
const inStream = (label) => `the line \u201c${label}\u201d under \u201cStream\u201d`;
const KEPT_RULE = 'the line \u201cconfiguration\u201d, which names the section for this domain';

/* name: [headline, turn, look] */
const FAILURES = {
	'domain-refused': ['This gateway does not serve that domain.', TURN.gateway, KEPT_RULE],
	'domain-missing': ['No XMPP domain was given.', TURN.domain, ''],
	'domain-malformed': ['That is not the name of a domain.', TURN.domain, ''],
	'domain-gone': ['That domain is no longer served.', TURN.gateway, KEPT_RULE],
	'dns-no-name': ['There is no such domain in the DNS.', TURN.domain, SERVICES],
	'dns-not-offered': ['That domain offers no XMPP.', 'Its DNS says so (an SRV record with the target \u201c.\u201d).', SERVICES],
	'dns-timeout': ['The DNS did not answer in time.', TURN.later, SERVICES],
	'dns-failed': ['The DNS lookup failed.', 'The domain\u2019s DNS, or the DNS server of the gateway, has a problem.', SERVICES],
	'address-refused': ['The server\u2019s address is not a public one.',
		'The operator of this gateway can allow it for this domain (allow_private).', ADDRESSES],
	'port-refused': ['The gateway does not connect to the server\u2019s port.',
		'The operator of this gateway can allow it (allowed_ports).', ADDRESSES],
	'source-address': ['The gateway does not have the address that it should connect from.', TURN.here, ADDRESSES],
	'proxy-unreachable': ['The gateway cannot reach the proxy on the way to the server.', TURN.here, ADDRESSES],
	'proxy-refused': ['The proxy on the way to the server refused the connection.', TURN.here, ADDRESSES],
	'proxy-failed': ['The proxy on the way to the server did not answer as a proxy does.', TURN.here, ADDRESSES],
	'connect-refused': ['The server refused the connection.', TURN.network, ADDRESSES],
	'connect-unreachable': ['The server cannot be reached.', TURN.network, ADDRESSES],
	'connect-timeout': ['The server did not answer in time.', TURN.network, ADDRESSES],
	'tls-not-offered': ['The server offers no encryption.', TURN.server, 'the line \u201cSTARTTLS\u201d under \u201cStream, in clear\u201d'],
	'tls-handshake': ['The encryption of the connection to the server failed.', TURN.server, inTls('handshake')],
	'tls-protocol': ['The server\u2019s encryption is too old for this gateway.', TURN.server, inTls('handshake')],
	'tls-flood': ['The server sends too many TLS messages without data.', TURN.server, ''],
	'certificate-expired': ['The server\u2019s certificate has expired.', TURN.server, inTls('valid', 'chain')],
	'certificate-not-yet-valid': ['The server\u2019s certificate is not valid yet.', TURN.server, inTls('valid', 'chain')],
	'certificate-name': ['The server\u2019s certificate is for another name.', TURN.server, inTls('names', 'name')],
	'certificate-untrusted': ['The server\u2019s certificate is not from a trusted authority.', TURN.server, inTls('issuer', 'chain')],
	'certificate-self-signed': ['The server\u2019s certificate is signed by itself.', TURN.server, inTls('issuer', 'chain')],
	'certificate-weak': ['The server\u2019s certificate is too weak.', TURN.server, inTls('key', 'chain')],
	'certificate-pin': ['The server\u2019s key is not the expected one.', TURN.gateway, inTls('pin', 'pinned')],
	'certificate-dane': ['The server\u2019s certificate is not the one in the DNS.', TURN.server, inTls('DANE')],
	'certificate-invalid': ['The server\u2019s certificate is not acceptable.', TURN.server, inTls('chain', 'accepted')],
	'stream-timeout': ['The server did not open its stream in time.', TURN.server, inStream('header')],
	'stream-malformed': ['What answered is not an XMPP server.', TURN.server, inStream('header')],
	'stream-too-large': ['The server sent an element that is too large for the gateway.', TURN.gateway, ''],
	'stream-error': ['The XMPP server ended the stream with an error.', TURN.server, inStream('stream error')],
	'stream-closed': ['The XMPP server closed the stream.', TURN.later, inStream('header')],
	'connection-lost': ['The connection to the XMPP server broke.', TURN.later, ADDRESSES],
	'server-stalled': ['The XMPP server does not read what is sent to it.', TURN.server, ''],
	'client-error': ['The gateway did not accept what this page sent.', 'This is a mistake of the page or of something in between.', ''],
	'too-early': ['This page sent something too early.', 'This is a mistake of the page or of something in between.', ''],
	'too-many-sessions': ['There are too many sessions.', TURN.later, ''],
	'too-many-bytes': ['The gateway holds too much data.', TURN.later, ''],
	kicked: ['The operator of this gateway has ended the session.', '', ''],
	'too-fast': ['Too many sessions were opened within a short time.', TURN.later, ''],
	'too-many-requests': ['There were too many requests within a short time.', TURN.later, ''],
	'login-failed': ['The server refused the login.', '', inStream('SASL')],
	'failed-logins': ['Too many logins have failed.', TURN.later, ''],
	'login-timeout': ['The login took too long.', '', inStream('SASL')],
	'client-refused': ['This gateway does not serve your network address.', TURN.gateway, ''],
	'route-refused': ['The gateway finds the server by itself and takes no route.', '', ''],
	'route-malformed': ['The route to the server is malformed.', '', ''],
	'see-other-uri': ['Sessions are opened at another address.', 'Open the other address instead.', ''],
	'system-shutdown': ['The gateway is being shut down.', TURN.later, ''],
	internal: ['The gateway ran out of a resource.', TURN.here, ''],
};

/* The conditions of BOSH (XEP-0124), where the gateway's sentence is none of a failure: the page broke a rule of the transport. */
const BOSH_CONDITIONS = {
	'bad-request': 'The gateway did not accept a request of this page.',
	'host-gone': 'The server no longer serves this domain.',
	'host-unknown': 'The gateway cannot reach that domain.',
	'improper-addressing': 'The gateway got no domain that it can use.',
	'internal-server-error': 'The gateway had an internal error.',
	'item-not-found': 'The gateway does not know this session (any more).',
	'not-authorized': 'The server refused the login.',
	'other-request': 'Another request ended the session.',
	'policy-violation': 'A rule of the gateway was broken.',
	'remote-connection-failed': 'The gateway could not connect to the XMPP server.',
	'remote-stream-error': 'The XMPP server ended the stream with an error.',
	'see-other-uri': 'The gateway points to another address.',
	'system-shutdown': 'The gateway is being shut down.',
	'undefined-condition': 'The gateway ended the session and gave no reason.',
};

/* The conditions of a stream error (RFC 6120, 4.9.3) that comes from the server itself. */
const STREAM_CONDITIONS = {
	'bad-format': 'The XMPP server did not understand what it was sent.',
	conflict: 'The XMPP server ended the stream because a newer one took its place.',
	'connection-timeout': 'The XMPP server saw nothing on the connection for too long.',
	'host-gone': 'The XMPP server no longer serves this domain.',
	'host-unknown': 'The XMPP server does not serve this domain.',
	'internal-server-error': 'The XMPP server had an internal error.',
	'not-authorized': 'The XMPP server wants a login first.',
	'policy-violation': 'A rule of the XMPP server was broken.',
	'remote-connection-failed': 'The XMPP server could not reach a server behind it.',
	reset: 'The XMPP server wants the stream to be opened again.',
	'resource-constraint': 'The XMPP server is too busy.',
	'see-other-host': 'The XMPP server points to another host.',
	'system-shutdown': 'The XMPP server is being shut down.',
	'unsupported-version': 'The XMPP server speaks another version of XMPP.',
};

/* The conditions of a failed login (RFC 6120, 6.5). */
const LOGIN_CONDITIONS = {
	'account-disabled': 'The account is disabled.',
	aborted: 'The login was aborted.',
	'credentials-expired': 'The password has expired.',
	'encryption-required': 'The server wants an encrypted connection for this login.',
	'incorrect-encoding': 'The server could not read the login.',
	'invalid-authzid': 'The server does not let this account use that address.',
	'invalid-mechanism': 'The server does not know this way to log in.',
	'malformed-request': 'The server could not read the login.',
	'mechanism-too-weak': 'The server wants a stronger way to log in.',
	'not-authorized': 'The server refused the login: the name or the password is wrong.',
	'temporary-auth-failure': 'The server cannot check logins at the moment.',
};

/* What stands between the page and the gateway, or the gateway itself, says so by HTTP. */
const HTTP_STATUSES = {
	403: ['The gateway does not let this page use it.', 'The operator of this gateway can allow it (allow_origins, own_hosts).'],
	404: ['There is no gateway at this address.', 'A proxy in front of it may not pass this path on.'],
	405: ['What answers at this address takes no BOSH requests.', 'A proxy in front of the gateway may not pass this path on.'],
	413: ['A proxy found the request too large.', ''],
	429: ['There were too many requests within a short time.', TURN.later],
	502: ['The proxy in front cannot reach the gateway.', TURN.here],
	503: ['The gateway, or a proxy in front of it, is not ready.', TURN.later],
	504: ['The gateway did not answer the proxy in front in time.', 'A proxy must wait longer than a BOSH request is held.'],
};

const SENTENCES = JSON.parse(document.getElementById('failures').textContent); /* sentence: name */

/* The name of the failure that the gateway tells of in @text: its sentence, and maybe a detail behind a colon. */
function nameOfFailure(text) {
	const sentence = Object.keys(SENTENCES).filter((each) => text === each || text.startsWith(`${each}: `))
		.sort((a, b) => b.length - a.length)[0];
	return SENTENCES[sentence];
}

/* The failure that the gateway, or through it the server, tells of with @text. Where that is no sentence of the gateway, it is the one
 * of the name @fallback, or a failure without a name, with the headline @otherwise. */
function toldFailure(text, fallback, otherwise, facts, raw) {
	const name = nameOfFailure(text) ?? fallback;
	const [title, hint, look] = FAILURES[name] ?? [otherwise, '', null];
	return new Failure(title, facts, { hint, raw, name, look });
}

/* What the status of an answer says, where its content says nothing. */
function statusFailure(status, facts, raw) {
	const [title, hint] = HTTP_STATUSES[status] ?? [`The gateway answered with HTTP status ${status}.`, ''];
	return new Failure(title, facts, { hint, raw, look: '' });
}
