// Logins that fail, as the gateway sees them pass: the log line, the limits on guesses, and the time for a login.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, sleep, stopAll, until } from '../support/util.mjs';
import { plainResponse } from '../support/ws.mjs';
import { NS } from '../support/xml.mjs';
import { FEATURES } from '../support/xmpp-server.mjs';

const TIMEOUT = { timeout: patiently(60000) };
// For all that the client of a test says before it has logged in, on a busy machine.
const LOGIN_TIMEOUT_S = 10;
const SLOW = '3600'; // seconds in which a bucket fills: within a test it does not
const stages = [];

async function open(config = {}, scenarios = { plain: 'plain', other: 'plain' }) {
	const stage = await Stage.open(scenarios, { trusted_proxies: ['127.0.0.1'], ...config });
	stages.push(stage);
	return stage;
}

after(() => stopAll(...stages));

const headersOf = (client) => ({ 'X-Forwarded-For': client });
const auth = (password) => `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>${plainResponse('juliet', password)}</auth>`;
const isOutcome = (element) => ['success', 'failure'].includes(element.name);

// A session before its login, over either transport. open() resolves with { refused: words } if there is none. send() resolves
// with 'success', 'failure', or 'ended' when the gateway has ended the session; `words` are what it said then.
class BoshSession {
	static async open(stage, client, domain = 'plain.test') {
		const session = new BoshSession();
		session.bosh = new BoshClient(stage.port, { headers: headersOf(client) });
		const answer = await session.bosh.create(domain);
		if (answer.element.attributes.type === 'terminate') {
			assertTerminated(answer, 'policy-violation');
			return { refused: answer.element.text };
		}
		await session.bosh.features();
		return session;
	}

	async send(payload) {
		let { element } = await this.bosh.request(payload);
		for (let i = 0; i < 20; i++) {
			const outcome = element.children.find(isOutcome)?.name;
			if (element.attributes.type === 'terminate') {
				assert.equal(element.attributes.condition, 'policy-violation');
				this.words = element.text;
				return outcome === 'failure' || outcome === undefined ? 'ended' : outcome;
			}
			if (outcome) {
				// What ends the session may come an answer later.
				return outcome;
			}
			({ element } = await this.bosh.request());
		}
		throw new Error('no outcome');
	}

	// Sends without waiting for an answer.
	start(payload) {
		this.bosh.request(payload);
	}

	async isOver() {
		const answer = await this.bosh.request('', {}, {});
		return answer.element.attributes.type === 'terminate';
	}

	close() {
		return this.bosh.terminate().catch(() => {});
	}
}

class WebSocketSession {
	static async open(stage, client, domain = 'plain.test') {
		const session = new WebSocketSession();
		session.socket = await openWebSocket(stage.port, { headers: headersOf(client) });
		session.socket.open(domain);
		let element = await session.socket.next();
		assert.equal(element.name, 'open');
		element = await session.socket.next();
		if (element.name === 'error') {
			assert.ok(element.at('policy-violation'));
			return { refused: element.at('text').text };
		}
		return session;
	}

	async send(payload) {
		for (const element of payload.match(/<auth.*?(<\/auth>|\/>)/g) ?? [payload]) {
			this.socket.send(element);
		}
		const element = await this.socket.next();
		if (element.name === 'error') {
			return this.ended(element);
		}
		return element.name;
	}

	start(payload) {
		this.socket.send(payload);
	}

	ended(error) {
		assert.ok(error.at('policy-violation'));
		this.words = error.at('text').text;
		return 'ended';
	}

	async isOver() {
		this.ended(await this.socket.next());
		assert.equal((await this.socket.next()).name, 'close');
		return true;
	}

	close() {
		this.socket.drop();
	}
}

const TRANSPORTS = { bosh: BoshSession, websocket: WebSocketSession };

async function login(Session, stage, client, domain) {
	const session = await Session.open(stage, client, domain);
	assert.equal(session.refused, undefined);
	assert.equal(await session.send(auth('right')), 'success');
	return session;
}

for (const [transport, Session] of Object.entries(TRANSPORTS)) {
	test(`${transport}: a failed login is logged and counted, without the user's name`, TIMEOUT, async () => {
		const stage = await open();
		const session = await Session.open(stage, '198.51.100.1');
		assert.equal(await session.send(auth('wrong')), 'failure');
		const line = await stage.doab.logged('auth-failed');
		const { time, session: name, ...fields } = line;
		assert.ok(name);
		assert.deepEqual(fields, { level: 'info', event: 'auth-failed', client: '198.51.100.1', transport, domain: 'plain.test',
			mechanism: 'PLAIN', condition: 'not-authorized' });
		await stage.doab.readLog();
		assert.doesNotMatch(stage.doab.log, /juliet/);
		assert.equal(stage.doab.events.filter(({ event }) => event === 'failures').at(-1)['login-failed'], '1');
		// Nothing else has happened: the client may try again.
		assert.equal(await session.send(auth('right')), 'success');
		await session.close();
	});

	test(`${transport}: failed_logins_per_address ends the session, and refuses new ones of that client to that domain`, TIMEOUT, async () => {
		const stage = await open({ failed_logins_per_address: `3/${SLOW}` });
		const guesser = await Session.open(stage, '198.51.100.1');
		assert.equal(await guesser.send(auth('wrong')), 'failure');
		assert.equal(await guesser.send(auth('wrong')), 'failure');
		const neighbour = await login(Session, stage, '198.51.100.2');
		// The third is the last; its failure still reaches the client.
		const last = await guesser.send(auth('wrong'));
		if (last === 'failure') {
			assert.ok(await guesser.isOver());
		}
		assert.match((await Session.open(stage, '198.51.100.1')).refused, /too many logins have failed; try again later: plain\.test$/);
		await stage.doab.logged('session-failed', { client: '198.51.100.1', failure: 'failed-logins' });
		await stage.doab.logged('session-refused', { client: '198.51.100.1', failure: 'failed-logins' });
		// Nobody else notices.
		await (await login(Session, stage, '198.51.100.3')).close();
		await (await login(Session, stage, '198.51.100.1', 'other.test')).close();
		await neighbour.close();
	});

	test(`${transport}: passwords that are sent at once reach no server`, TIMEOUT, async () => {
		const stage = await open();
		const session = await Session.open(stage, '198.51.100.1');
		assert.equal(await session.send(auth('wrong').repeat(3)), 'ended');
		const connection = await stage.connectionOf('plain');
		assert.ok(connection.elements.filter(({ name }) => name === 'auth').length <= 2);
		assert.match(session.words, /too many logins have failed/);
		const patient = await Session.open(stage, '198.51.100.1');
		assert.notEqual(await patient.send(auth('wrong').repeat(2)), 'ended');
		await patient.close();
	});

	test(`${transport}: logins that the client leaves before the answer count as failed`, TIMEOUT, async () => {
		const undecided = [{ await: 'header' }, { header: true, features: FEATURES }, { pause: 600000 }];
		const stage = await open({ failed_logins_per_address: `3/${SLOW}` }, { undecided });
		for (let i = 0; i < 3; i++) {
			const session = await Session.open(stage, '198.51.100.1', 'undecided.test');
			assert.equal(session.refused, undefined);
			session.start(auth('wrong'));
			const connection = await stage.connectionOf('undecided');
			await connection.element('auth');
			await session.close();
			await connection.end();
		}
		assert.match((await Session.open(stage, '198.51.100.1', 'undecided.test')).refused, /too many logins have failed/);
		// Who leaves without a try, has failed in nothing.
		for (let i = 0; i < 4; i++) {
			const session = await Session.open(stage, '198.51.100.2', 'undecided.test');
			assert.equal(session.refused, undefined);
			await session.close();
		}
	});

	test(`${transport}: guesses from many addresses lock out no user who was here before`, TIMEOUT, async () => {
		const stage = await open({ failed_logins_per_address: `3/${SLOW}`, failed_logins_per_domain: `6/${SLOW}` });
		await (await login(Session, stage, '198.51.100.1')).close();
		for (let i = 0; i < 3; i++) {
			const guesser = await Session.open(stage, `203.0.113.${i}`);
			assert.equal(await guesser.send(auth('wrong')), 'failure');
			const outcome = await guesser.send(auth('wrong'));
			assert.ok(i < 2 ? outcome === 'failure' : outcome === 'failure' || outcome === 'ended');
			await guesser.close();
		}
		assert.match((await Session.open(stage, '203.0.113.9')).refused, /too many logins have failed/);
		await (await login(Session, stage, '198.51.100.1')).close();
		await (await login(Session, stage, '203.0.113.9', 'other.test')).close();
	});

	test(`${transport}: exempt networks may guess`, TIMEOUT, async () => {
		const stage = await open({ failed_logins_per_address: `1/${SLOW}`, exempt: ['198.51.100.0/24'] });
		const session = await Session.open(stage, '198.51.100.1');
		for (let i = 0; i < 3; i++) {
			assert.equal(await session.send(auth('wrong')), 'failure');
		}
		assert.equal(stage.doab.events.filter(({ event }) => event === 'session-failed').length, 0);
		await session.close();
	});

	test(`${transport}: login_timeout ends a session that does not log in, and no other`, TIMEOUT, async () => {
		const admin = await freePort();
		const stage = await open({ login_timeout: LOGIN_TIMEOUT_S, admin: `127.0.0.1:${admin}` });
		const user = await login(Session, stage, '198.51.100.1');
		const idler = await Session.open(stage, '198.51.100.2');
		await stage.doab.logged('session-failed', { client: '198.51.100.2', failure: 'login-timeout' });
		assert.ok(await idler.isOver());
		assert.match((await httpRequest(admin, 'GET', '/metrics')).text, /^doab_refusals_total\{limit="login_timeout"\} 1$/m);
		await stage.doab.readLog();
		assert.doesNotMatch(stage.doab.log, /event=session-(failed|closed) client=198\.51\.100\.1 /);
		await user.close();
	});
}

test('SASL2 and XEP-0078: their failures are seen, too', TIMEOUT, async () => {
	const script = [{ await: 'header' }, { header: true, features: '<stream:features/>' }, { await: 'authenticate' },
		{ send: `<failure xmlns='urn:xmpp:sasl:2'><not-authorized xmlns='${NS.sasl}'/></failure>` }, { await: 'iq' },
		{ send: '<iq type="error" id="a"><error code="401" type="auth"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>' },
		{ await: 'iq' }, { send: '<iq type="result" id="b"/>' }, { serve: true }];
	const stage = await open({ login_timeout: LOGIN_TIMEOUT_S }, { old: script });
	const socket = await openWebSocket(stage.port, { headers: headersOf('198.51.100.1') });
	await socket.start('old.test');
	socket.send(`<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'><initial-response>AA==</initial-response></authenticate>`);
	assert.equal((await socket.next()).name, 'failure');
	await stage.doab.logged('auth-failed', { mechanism: 'SCRAM-SHA-1', condition: 'not-authorized' });
	const query = (id) => `<iq xmlns='jabber:client' type='set' id='${id}'><query xmlns='jabber:iq:auth'><username>u</username><password>p</password></query></iq>`;
	socket.send(query('a'));
	assert.equal((await socket.next()).attributes.type, 'error');
	await stage.doab.logged('auth-failed', { mechanism: 'jabber:iq:auth', condition: 'not-authorized' });
	// A login by XEP-0078 is one: the session outlives the time for it.
	socket.send(query('b'));
	assert.equal((await socket.next()).attributes.type, 'result');
	await sleep((LOGIN_TIMEOUT_S + 1) * 1000);
	socket.send('<message xmlns="jabber:client" id="later"/>');
	assert.equal((await socket.next()).attributes.id, 'later');
	socket.drop();
});

test('one address guesses as fast as it can: few guesses reach the server, and another client logs in meanwhile', TIMEOUT, async () => {
	const stage = await open({ failed_logins_per_address: `10/${SLOW}`, workers: 2 });
	const began = performance.now();
	const lasted = () => performance.now() - began;
	const isRefused = () => stage.doab.events.some(({ event, failure }) => event === 'session-refused' && failure === 'failed-logins');
	const guesser = async () => {
		// Two seconds, or as long as a busy machine takes for ten guesses.
		while (lasted() < 2000 || (!isRefused() && lasted() < patiently(10000))) {
			const session = await WebSocketSession.open(stage, '198.51.100.1').catch(() => ({ refused: true }));
			for (let outcome = session.refused ? 'ended' : 'failure'; outcome === 'failure';) {
				outcome = await session.send(auth('wrong')).catch(() => 'ended');
			}
			session.socket?.drop();
		}
	};
	const guessers = Array.from({ length: 8 }, guesser);
	for (let i = 2; i < 7; i++) {
		await (await login(BoshSession, stage, `198.51.100.${i}`)).close();
	}
	await Promise.all(guessers);
	const guesses = stage.servers.plain.connections.flatMap(({ elements }) => elements)
		.filter(({ name, raw }) => name === 'auth' && raw.includes(plainResponse('juliet', 'wrong'))).length;
	// Ten, and those of the other sessions that were on their way when the tenth was answered.
	assert.ok(guesses >= 10 && guesses <= 18, `${guesses} guesses`);
	await until(isRefused, 5000, 'refusals');
});
