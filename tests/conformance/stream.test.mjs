// The stream to the server, for both transports: its header, the stanzas byte for byte, the features, and servers
// that behave in odd ways.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated, parseInStream } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { ODD_FEATURES, SCENARIOS } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(30000) };
const STARTED = ['plain', 'odd-features', 'odd-prefixes', 'split-bytes', 'whitespace', 'flood', 'huge-stanza', 'error-before-features',
	'error-before-header', 'error-after-bind', 'close-at-once', 'reset-at-once', 'close-after-header', 'close-stream-after-bind',
	'close-mid-stanza', 'reset-after-bind', 'dtd', 'comment', 'processing-instruction', 'entity', 'never-reading'];
let stage;

before(async () => {
	for (const name of STARTED) {
		assert.ok(SCENARIOS[name], name);
	}
	stage = await Stage.open(Object.fromEntries(STARTED.map((name) => [name, name])), { sessions_per_address: 1000, wait: 20 });
});
after(() => stopAll(stage));

// The two transports behind one face: open(), send(), next() an element, nextText() with the raw text it came in.
class OverBosh {
	async open(domain, attributes = {}) {
		this.client = new BoshClient(stage.port);
		const answer = await this.client.create(domain, attributes);
		this.texts = [answer.text];
		return this;
	}

	async send(text, attributes) {
		const answer = await this.client.request(text, attributes);
		this.texts.push(answer.text);
		this.client.keep(answer);
	}

	async next() {
		while (!this.client.received.length) {
			await this.send('');
		}
		return this.client.received.shift();
	}

	async nextText() {
		await this.next();
		return this.texts.at(-1);
	}

	login(domain) {
		this.client = new BoshClient(stage.port);
		this.texts = [];
		return this.client.login(domain, { wait: 20 }).then(() => this);
	}

	end() {
		return this.client.terminate();
	}
}

class OverWebSocket {
	async open(domain, attributes = {}) {
		this.socket = await openWebSocket(stage.port);
		this.socket.open(domain, attributes);
		assert.equal((await this.socket.next()).name, 'open');
		return this;
	}

	async send(text) {
		this.socket.send(text);
	}

	next() {
		return this.socket.next();
	}

	nextText() {
		return this.socket.nextMessage();
	}

	async login(domain) {
		this.socket = await openWebSocket(stage.port);
		await this.socket.login(domain);
		return this;
	}

	end() {
		return this.socket.finish();
	}
}

for (const [transport, Client] of [['BOSH', OverBosh], ['WebSocket', OverWebSocket]]) {
	test(`${transport}: the stream header carries to, from, version and language`, TIMEOUT, async () => {
		const client = await new Client().open('plain.test', { from: 'o\'bri<en"&@plain.test', 'xml:lang': 'de-AT' });
		const connection = await stage.connectionOf('plain');
		const { attributes } = await connection.header();
		assert.equal(attributes.to, 'plain.test');
		assert.equal(attributes.from, 'o\'bri<en"&@plain.test');
		assert.equal(attributes.version, '1.0');
		assert.equal(attributes['xml:lang'], 'de-AT');
		assert.equal(attributes.xmlns, 'jabber:client');
		assert.equal(attributes['xmlns:stream'], NS.streams);
		assert.match(connection.text, /^(<\?xml [^>]*\?>)?<stream:stream /);
		await client.next();
		await client.end();
	});

	test(`${transport}: a stanza reaches the server as it was written, byte for byte`, TIMEOUT, async () => {
		const client = await new Client().login('plain.test');
		const connection = await stage.connectionOf('plain');
		const stanzas = [
			'<message xmlns=\'jabber:client\'  to = "a@b"\n\tid=\'1\' ><body>  a\n b </body ></message\n>',
			'<message xmlns="jabber:client" id="2"><body><![CDATA[<not> & ]]]]><![CDATA[> a tag]]></body></message>',
			'<message xmlns="jabber:client" id="3"><x xmlns="urn:x" y:z=\'&lt;&#x41;&#66;&apos;&quot;&gt;\' xmlns:y="urn:y"/><body>ä漢😀&amp;</body></message>',
			'<iq xmlns="jabber:client" type="get" id="4" />',
			'<message xmlns="jabber:client" id="5"><body a=">" b=\'/>\'>></body></message>',
		];
		for (const [i, stanza] of stanzas.entries()) {
			await client.send(stanza);
			const received = await connection.element(/^<(\w+)/.exec(stanza)[1], (e) => e.attributes.id === String(i + 1));
			assert.equal(received.text, stanza);
		}
		await client.end();
	});

	test(`${transport}: a stanza reaches the client as it was written, with the namespaces it needs`, TIMEOUT, async () => {
		const client = await new Client().login('plain.test');
		const connection = await stage.connectionOf('plain');
		const inner = '<body>  a\n b ä漢😀 &lt;&#x41; <![CDATA[<not> & a tag]]></body ><x xmlns=\'urn:x\' y="&apos;\'"/>';
		connection.send(`<message id='in'\n to="x">${inner}</message>`);
		const text = await client.nextText();
		assert.ok(text.includes(`${inner}</message>`), text);
		connection.send('<message id=\'next\'/>');
		const element = await client.next();
		assert.equal(`${element.ns} ${element.name} ${element.attributes.id}`, 'jabber:client message next');
		await client.end();
	});

	test(`${transport}: starttls and compression leave the features, all else stays byte for byte`, TIMEOUT, async () => {
		const client = await new Client().open('odd-features.test');
		const text = await client.nextText();
		const start = ODD_FEATURES.indexOf('>') + 1;
		const expected = ODD_FEATURES.slice(start)
			.replace(/<starttls xmlns='[^']*'><\/starttls>/, '')
			.replace(/<compression xmlns='http:[^']*'>.*?<\/compression>/, '');
		assert.ok(text.includes(expected), text);
		assert.doesNotMatch(text, /starttls|protocol\/compress|features\/compress/);
		assert.match(text, /<stream:features /);
		await client.end();
	});

	test(`${transport}: a server that writes byte by byte`, TIMEOUT, async () => {
		const client = await new Client().login('split-bytes.test');
		await client.send('<message xmlns="jabber:client" id="s"><body>ä漢😀 &amp; <![CDATA[]]></body></message>');
		const element = await client.next();
		assert.equal(element.at('body').text, 'ä漢😀 & ');
		await client.end();
	});

	test(`${transport}: prefixes of the server's own stream header come declared`, TIMEOUT, async () => {
		const client = await new Client().login('odd-prefixes.test');
		const first = await client.next();
		assert.equal(`${first.ns} ${first.name} ${first.attributes.id}`, 'jabber:client message o1');
		assert.equal(first.at('body').text, 'ä');
		const second = await client.next();
		assert.equal(second.children[0].ns, 'urn:e');
		await client.end();
	});

	test(`${transport}: the server's whitespace ends at the gateway`, TIMEOUT, async () => {
		const client = await new Client().login('whitespace.test');
		assert.equal((await client.next()).attributes.id, 'w1');
		const text = await client.nextText();
		assert.match(text, /id=['"]w2['"]/);
		if (transport === 'WebSocket') {
			assert.match(text, /^<.*>$/s);
		}
		await client.send('<message xmlns="jabber:client" id="w3"/>');
		assert.equal((await client.next()).attributes.id, 'w3');
		await client.end();
	});

	test(`${transport}: two thousand stanzas at once arrive in order`, TIMEOUT, async () => {
		const client = await new Client().login('flood.test');
		for (let i = 0; i < 2000; i++) {
			assert.equal((await client.next()).attributes.id, `f${i}`);
		}
		await client.end();
	});

	test(`${transport}: a stanza larger than stanza_bytes ends the session, and says why`, TIMEOUT, async () => {
		const client = await new Client().login('huge-stanza.test');
		if (transport === 'BOSH') {
			const answer = await client.client.request();
			assertTerminated(answer, 'remote-connection-failed');
			assert.match(answer.text, /larger/);
		} else {
			const error = await assertStreamError(client.socket, 'remote-connection-failed');
			assert.match(error.text, /larger/);
		}
	});

	test(`${transport}: whitespace and prefixes of the client`, TIMEOUT, async () => {
		const client = await new Client().login('plain.test');
		const connection = await stage.connectionOf('plain');
		if (transport === 'BOSH') {
			await client.send('  <message to="a@b" id="n1"><body/></message>\n  <foo:x foo:a="1"/>', { 'xmlns:foo': 'urn:foo' });
			const message = parseInStream(connection.headers[1], (await connection.element('message')).text);
			assert.equal(message.ns, 'jabber:client');
			assert.equal(message.at('body').ns, 'jabber:client');
			const x = parseInStream(connection.headers[1], (await connection.element('x')).text);
			assert.equal(x.ns, 'urn:foo');
			await client.send('<message xmlns="jabber:client" id="n2"><y foo:a="2"/></message>', { 'xmlns:foo': 'urn:foo' });
			const second = await connection.element('message', (e) => e.attributes.id === 'n2');
			parseInStream(connection.headers[1], second.text);
		} else {
			await client.send('<foo:x xmlns:foo="urn:foo" foo:a="1"/>');
			assert.equal((await connection.element('x')).text, '<foo:x xmlns:foo="urn:foo" foo:a="1"/>');
		}
		assert.doesNotMatch(connection.text, /httpbind/, 'the namespace of the wrapper does not reach the server');
	});
}

// How the end of the server's stream reaches the client: [scenario, BOSH condition, stream error, text].
const ENDS = [
	['error-before-features', 'remote-stream-error', 'host-unknown', /Diesen Rechner führen wir nicht: ☂ 漢字/, false],
	['error-after-bind', 'remote-stream-error', 'conflict', /Größer als ☂ 漢字 😀/, true],
	['error-before-header', 'remote-connection-failed', 'remote-connection-failed', /not an XMPP stream/, false],
	['close-at-once', 'remote-connection-failed', 'remote-connection-failed', /closed|broke/, false],
	['reset-at-once', 'remote-connection-failed', 'remote-connection-failed', /closed|broke/, false],
	['close-after-header', 'remote-connection-failed', 'remote-connection-failed', /closed|broke/, false],
	['close-mid-stanza', 'remote-connection-failed', 'remote-connection-failed', /closed|broke/, true],
	['reset-after-bind', 'remote-connection-failed', 'remote-connection-failed', /closed|broke/, true],
	['dtd', 'remote-connection-failed', 'remote-connection-failed', /not an XMPP stream/, false],
	['comment', 'remote-connection-failed', 'remote-connection-failed', /not an XMPP stream/, true],
	['processing-instruction', 'remote-connection-failed', 'remote-connection-failed', /not an XMPP stream/, true],
	['entity', 'remote-connection-failed', 'remote-connection-failed', /not an XMPP stream/, true],
];

// Authenticates and asks to bind, which sets off what the scenario has in store.
async function bindOverBosh(domain) {
	const client = new BoshClient(stage.port);
	await client.create(domain, { wait: 20 });
	await client.features();
	await client.exchange(`<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`, ({ name }) => name === 'success');
	await client.restart(domain);
	const answer = await client.request(`<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${NS.bind}'/></iq>`);
	return answer.element.attributes.type === 'terminate' ? answer : client.request();
}

for (const [scenario, condition, streamCondition, text, isBound] of ENDS) {
	test(`BOSH: the server ends with ${scenario}`, TIMEOUT, async () => {
		const domain = `${scenario}.test`;
		const answer = isBound ? await bindOverBosh(domain)
			: await new BoshClient(stage.port).create(domain, { wait: 20 });
		assertTerminated(answer, condition);
		assert.match(answer.element.text, text);
		if (condition === 'remote-stream-error') {
			const error = answer.element.at('error');
			assert.equal(`${error.ns} ${error.prefix}`, `${NS.streams} stream`);
			assert.ok(error.at(streamCondition));
			assert.equal(error.at('text').attributes['xml:lang'], 'de');
		}
	});

	test(`WebSocket: the server ends with ${scenario}`, TIMEOUT, async () => {
		const socket = await openWebSocket(stage.port);
		if (isBound) {
			await socket.login(`${scenario}.test`);
		} else {
			socket.open(`${scenario}.test`);
		}
		const error = await assertStreamError(socket, streamCondition, { open: !isBound });
		assert.match(error.text, text);
		socket.drop();
	});
}

test('BOSH: an orderly end of the server\'s stream ends the session', TIMEOUT, async () => {
	const answer = await bindOverBosh('close-stream-after-bind.test');
	assert.equal(answer.element.attributes.type, 'terminate');
});

test('WebSocket: an orderly end of the server\'s stream is <close/>', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('close-stream-after-bind.test');
	let element = await socket.next();
	if (element.name === 'error') {
		element = await socket.next();
	}
	assert.equal(`${element.ns} ${element.name}`, `${NS.framing} close`);
	assert.ok(await socket.nextClose());
});

test('WebSocket: a server that does not read stops the reading of its client', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('never-reading.test');
	const text = `<message xmlns='jabber:client'><body>${'x'.repeat(100000)}</body></message>`;
	let isBlocked = false;
	for (let i = 0; i < 500 && !isBlocked; i++) {
		socket.send(text);
		if (socket.socket.writableLength > 4 * 1024 * 1024) {
			await sleep(500);
			isBlocked = socket.socket.writableLength > 4 * 1024 * 1024 || !socket.isOpen;
		}
	}
	assert.ok(isBlocked, 'fifty megabytes went somewhere');
	socket.drop();
});

// The kernel takes up to 32 MB for each socket before the server notices.
const STANZAS_MAX = 2000;

// Lets the server send what @stanza makes of 0, 1 and so on until nothing more is taken. Resolves with the number of those that
// are under way; `all` resolves when they are sent.
async function sendUntilBlocked(connection, stanza) {
	let n = 0;
	let isBlocked = false;
	const all = (async () => {
		while (!isBlocked && n < STANZAS_MAX) {
			await connection.send(stanza(n++));
		}
	})();
	for (let before = -1; before < n;) {
		before = n;
		await sleep(500);
	}
	isBlocked = true;
	assert.ok(n < STANZAS_MAX, 'a hundred megabytes went somewhere');
	return { n, all };
}

test('WebSocket: a client that does not read stops the reading of its server, and loses nothing', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	const connection = await stage.connectionOf('plain');
	socket.socket.pause();
	const { n, all } = await sendUntilBlocked(connection, (i) => `<message id='b${i}'><body>${'y'.repeat(50000)}</body></message>`);
	socket.socket.resume();
	for (let i = 0; i < n; i++) {
		assert.equal((await socket.next()).attributes.id, `b${i}`);
	}
	await all;
	await socket.finish();
});

test('BOSH: an absent client\'s server is no longer read above pending_bytes, and nothing is lost', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	await client.login('plain.test', { wait: 5 });
	const connection = await stage.connectionOf('plain');
	const { n, all } = await sendUntilBlocked(connection, (i) => `<message id='p${i}'><body>${'z'.repeat(50000)}</body></message>`);
	const ids = [];
	while (ids.length < n) {
		ids.push(...(await client.request()).element.children.map((child) => child.attributes.id));
	}
	assert.deepEqual(ids, Array.from({ length: n }, (_, i) => `p${i}`));
	await all;
	await client.terminate();
});
