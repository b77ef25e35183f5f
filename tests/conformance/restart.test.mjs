// A client that asks for a restart of its stream where none is due, over both transports. A server takes a second header in the same
// stream for the end of it, so none may go out; the client is told its features again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, sleep, stopAll } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';
import { BIND_FEATURES, FEATURES, ODD_FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const KEEPALIVE_S = 1;
const AUTH = `<auth xmlns='${NS.sasl}' mechanism='ANONYMOUS'/>`;
const SUCCESS2 = "<success xmlns='urn:xmpp:sasl:2'/>";
const SILENT = "<presence xmlns='jabber:client'/>"; // the scripted server answers it with nothing
const BIND = `<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='${NS.bind}'/></iq>`;
const OLD_HEADER = { send: `<stream:stream xmlns='jabber:client' xmlns:stream='${NS.streams}' id='old'>` }; // without a version: no features
const TLS_FEATURES = BIND_FEATURES.replace('<bind', `<starttls xmlns='${NS.tls}'/><bind`);
let stage;

// As real servers are: a second header ends all, unless the client has just logged in.
const header = (features) => [{ await: 'header' }, { header: true, features }];
const strict = [...header(FEATURES), { await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` }, ...header(BIND_FEATURES), { serve: true }];

before(async () => {
	stage = await Stage.open({
		strict,
		odd: [...header(ODD_FEATURES), { serve: true }],
		old: [{ await: 'header' }, OLD_HEADER, { serve: true }],
		'old-first': { section: { tls: 'opportunistic' }, script: [{ await: 'header' }, OLD_HEADER, { await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` },
			...header(`${TLS_FEATURES}<proceed xmlns='${NS.tls}'/>`), { serve: true }] },
		sasl2: [...header(FEATURES), { await: 'auth' }, { send: SUCCESS2 }, { send: BIND_FEATURES }, { serve: true }],
	}, { wait: 5, polling: 2, keepalive: KEEPALIVE_S, sessions_per_address: 1000 });
});
after(() => stopAll(stage));

// Either transport in the same words: restart() resolves with the features that come of it, or with undefined where there are none.
const transports = {
	BOSH: async (domain) => {
		const client = new BoshClient(stage.port);
		const created = await client.create(domain);
		const featuresOf = (element) => element.at('features');
		return {
			features: featuresOf(created.element),
			restart: async () => featuresOf((await client.request('', { to: domain, 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' })).element),
			exchange: async (payload, n = 1) => {
				let { element } = await client.request(payload);
				const elements = [...element.children];
				while (elements.length < n) {
					assert.equal(element.attributes.type, undefined);
					({ element } = await client.request());
					elements.push(...element.children);
				}
				return elements;
			},
			say: (payload) => client.request(payload),
			close: () => client.close(),
		};
	},
	WebSocket: async (domain) => {
		const socket = await openWebSocket(stage.port);
		const start = async () => {
			socket.open(domain);
			const open = await socket.next();
			assert.equal(`${open.ns} ${open.name}`, `${NS.framing} open`);
			assert.equal(open.attributes.from, domain);
		};
		const restart = async () => {
			await start();
			return socket.next();
		};
		return {
			features: domain.startsWith('old') ? await start() : await restart(),
			restart: domain === 'old.test' ? start : restart,
			exchange: async (payload, n = 1) => {
				socket.send(payload);
				const elements = [];
				for (let i = 0; i < n; i++) {
					elements.push(await socket.next());
				}
				return elements;
			},
			say: (payload) => socket.send(payload),
			close: () => socket.drop(),
		};
	},
};

const isEmpty = (features) => features.children.length === 0;
const mechanismsOf = (features) => features.at('mechanisms').children.map(({ text }) => text);

for (const [name, open] of Object.entries(transports)) {
	test(`${name}: before login the features come again, and the server hears nothing`, TIMEOUT, async () => {
		const client = await open('strict.test');
		const connection = await stage.connectionOf('strict');
		for (let i = 0; i < 3; i++) {
			const features = await client.restart();
			assert.deepEqual(mechanismsOf(features), ['ANONYMOUS', 'PLAIN']);
			assert.equal(`${features.ns} ${features.prefix}:${features.name}`, `${NS.streams} stream:features`);
		}
		assert.equal(connection.headers.length, 1);
		// During a login there may be no white space, however often features came.
		await sleep((KEEPALIVE_S + 2) * 1000);
		assert.equal(connection.whitespace, '');
		// And then it logs in.
		assert.equal((await client.exchange(AUTH))[0].name, 'success');
		assert.ok((await client.restart()).at('bind'));
		assert.equal(connection.headers.length, 2);
		// Where it is now it can ask again.
		assert.ok((await client.restart()).at('bind'));
		assert.equal((await client.exchange(BIND))[0].attributes.id, 'bind');
		// From here on there is nothing left to negotiate.
		assert.ok(isEmpty(await client.restart()));
		assert.equal(connection.headers.length, 2);
		assert.ok(!connection.hasEnded);
		client.close();
	});

	test(`${name}: what is not for the client is not in them the second time, either`, TIMEOUT, async () => {
		const client = await open('odd.test');
		const again = await client.restart();
		assert.deepEqual(again.children.map((child) => `${child.ns} ${child.name}`), client.features.children.map((child) => `${child.ns} ${child.name}`));
		assert.equal(again.children.find((child) => child.name === 'starttls'), undefined);
		client.close();
	});

	test(`${name}: a login by SASL2 goes on without a restart; who asks for one gets the features`, TIMEOUT, async () => {
		const client = await open('sasl2.test');
		const told = (await client.exchange("<auth xmlns='urn:xmpp:sasl:2' mechanism='ANONYMOUS'/>", 2)).map((element) => element.name);
		assert.deepEqual(told, ['success', 'features']);
		assert.ok((await client.restart()).at('bind'));
		assert.equal((await client.exchange(BIND))[0].attributes.id, 'bind');
		assert.equal((await stage.connectionOf('sasl2')).headers.length, 1);
		client.close();
	});

	test(`${name}: a server that has no features`, TIMEOUT, async () => {
		const client = await open('old.test');
		assert.equal(await client.restart(), undefined);
		client.say(SILENT);
		const connection = await stage.connectionOf('old');
		await connection.element('presence');
		assert.equal(connection.headers.length, 1);
		client.close();
	});

	test(`${name}: a server that offers TLS when its stream has long been the client's`, TIMEOUT, async () => {
		const client = await open('old-first.test');
		assert.equal((await client.exchange(AUTH))[0].name, 'success');
		const features = await client.restart();
		assert.deepEqual(features.children.map((child) => child.name), ['bind']);
		client.say(SILENT);
		const connection = await stage.connectionOf('old-first');
		await connection.element('presence');
		assert.ok(!connection.elements.some((element) => element.name === 'starttls'));
		assert.ok(!connection.hasEnded);
		client.close();
	});
}

test('a server that says nothing after the restart', TIMEOUT, async () => {
	const silent = await Stage.open({
		mute: [...header(FEATURES), { await: 'auth' }, { send: `<success xmlns='${NS.sasl}'/>` }, { await: 'header' }, { pause: 60000 }],
	}, { open_timeout: 5, ping_interval: 0, wait: 20 });
	try {
		const socket = await openWebSocket(silent.port);
		await socket.start('mute.test');
		socket.send(AUTH);
		assert.equal((await socket.next()).name, 'success');
		socket.open('mute.test');
		assert.equal((await socket.next()).name, 'open');
		const error = await socket.next();
		assert.ok(error.at('remote-connection-failed'), `${error.name}`);
		assert.equal((await socket.next()).name, 'close');
		const client = new BoshClient(silent.port);
		await client.create('mute.test');
		await client.request(AUTH);
		let { element } = await client.request('', { to: 'mute.test', 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
		if (!element.attributes.type) {
			({ element } = await client.request());
		}
		assert.equal(element.attributes.condition, 'remote-connection-failed');
		client.close();
	} finally {
		await stopAll(silent);
	}
});
