// TLS to the server: which certificates are believed, and what happens when TLS is not there.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertStreamError, assertTerminated } from '../support/assertions.mjs';
import { BoshClient } from '../support/bosh.mjs';
import { Authority } from '../support/certificates.mjs';
import { openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { removeFolder, stopAll, temporaryFolder } from '../support/util.mjs';

const TIMEOUT = { timeout: 30000 };
let folder;
let stage;

before(async () => {
	folder = temporaryFolder('tls');
	const trusted = new Authority(folder);
	const stranger = new Authority(folder, 'stranger');
	const material = ({ cert, keyText }) => ({ cert, key: keyText });
	const ca = { ca_file: trusted.certificate };
	const own = (name) => material(trusted.issue(name, [`${name}.test`]));
	stage = await Stage.open({
		good: { script: 'starttls', tls: own('good'), section: ca },
		odd: { script: 'starttls-odd-features', tls: own('odd'), section: ca },
		direct: { script: 'direct-tls', tls: own('direct'), section: { ...ca, tls: 'direct' } },
		injection: { script: 'starttls-injection', tls: own('injection'), section: ca },
		refused: { script: 'starttls-refused', tls: own('refused'), section: ca },
		none: { script: 'plain', section: ca },
		'other-name': { script: 'starttls', tls: material(trusted.issue('other-name', ['another.test'])), section: ca },
		'wildcard.sub': { script: 'starttls', tls: material(trusted.issue('wildcard', ['*.sub.test'])), section: ca },
		'too.deep.sub': { script: 'starttls', tls: material(trusted.issue('too-deep', ['*.sub.test'])), section: ca },
		expired: { script: 'starttls', tls: material(trusted.issue('expired', ['expired.test'], { days: -1 })), section: ca },
		untrusted: { script: 'starttls', tls: material(stranger.issue('untrusted', ['untrusted.test'])), section: ca },
		system: { script: 'starttls', tls: own('system'), section: {} },
		'opportunistic-plain': { script: 'plain', section: { tls: 'opportunistic' } },
		'opportunistic-any': { script: 'starttls', tls: material(stranger.issue('any', ['whatever.test'])), section: { tls: 'opportunistic' } },
		old: { script: 'starttls', tls: { ...own('old'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, section: ca },
		garbage: { script: [{ await: 'header' }, { header: true, features: '<stream:features><starttls xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/></stream:features>' },
			{ await: 'starttls' }, { send: '<proceed xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/>' }, { pause: 200 },
			{ send: 'this is no TLS at all, only some text' }], section: ca },
		'wrong-proceed': { script: [{ await: 'header' }, { header: true, features: '<stream:features><starttls xmlns=\'urn:ietf:params:xml:ns:xmpp-tls\'/></stream:features>' },
			{ await: 'starttls' }, { send: '<proceed xmlns=\'urn:other\'/>' }], section: ca },
	}, { open_timeout: 4 });
});
after(async () => {
	await stopAll(stage);
	removeFolder(folder);
});

test('STARTTLS: required, verified, and out of the client\'s sight', TIMEOUT, async () => {
	const client = new BoshClient(stage.port);
	const answer = await client.create('good.test', { from: 'alice@good.test' });
	assert.ok(answer.element.at('features', 'mechanisms'), answer.text);
	assert.doesNotMatch(answer.text, /starttls|proceed/);
	const connection = await stage.connectionOf('good');
	assert.ok(connection.isSecure);
	assert.equal(connection.socket.servername, 'good.test', 'SNI is the domain');
	assert.equal(connection.headers.length, 2);
	assert.equal(connection.headers[0].attributes.from, undefined, 'who the client is goes out under TLS only');
	assert.equal(connection.headers[1].attributes.from, 'alice@good.test');
});

test('STARTTLS: a WebSocket client sees one <open/>, that of the stream under TLS', TIMEOUT, async () => {
	const socket = await openWebSocket(stage.port);
	const { open, features } = await socket.start('good.test');
	assert.equal(open.attributes.id, 'scripted-2');
	assert.equal(features.name, 'features');
	socket.drop();
});

test('STARTTLS: what is offered after it is the gateway\'s business too', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('odd.test');
	assert.doesNotMatch(answer.text, /starttls|features\/compress/);
});

test('direct TLS, with SNI', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('direct.test');
	assert.ok(answer.element.at('features'), answer.text);
	const connection = await stage.connectionOf('direct');
	assert.equal(connection.socket.servername, 'direct.test');
});

test('a wildcard stands for one label', TIMEOUT, async () => {
	assert.ok((await new BoshClient(stage.port).create('wildcard.sub.test')).element.at('features'));
});

test('what a server sends in clear behind <proceed/> is not taken for its words', TIMEOUT, async () => {
	const answer = await new BoshClient(stage.port).create('injection.test');
	assert.doesNotMatch(answer.text, /injected|evil/);
	const socket = await openWebSocket(stage.port);
	socket.open('injection.test');
	for (let text = ''; !/features|error/.test(text);) {
		text = await socket.nextMessage();
		assert.doesNotMatch(text, /injected|evil/);
	}
	socket.drop();
});

test('opportunistic TLS takes what there is', TIMEOUT, async () => {
	for (const domain of ['opportunistic-plain.test', 'opportunistic-any.test']) {
		const answer = await new BoshClient(stage.port).create(domain);
		assert.ok(answer.element.at('features'), `${domain}: ${answer.text}`);
	}
	assert.ok((await stage.connectionOf('opportunistic-any')).isSecure);
});

// Domain and what the text says.
const FAILURES = [
	['none.test', /offers no TLS/, 'tls-not-offered'],
	['refused.test', /TLS/, 'tls-'],
	['other-name.test', /another name.*another\.test/s, 'certificate-name'],
	['too.deep.sub.test', /another name/, 'certificate-name'],
	['expired.test', /not valid at this time/, 'certificate-expired'],
	['untrusted.test', /not signed by a trusted authority/, 'certificate-untrusted'],
	['system.test', /not signed by a trusted authority/, 'certificate-untrusted'],
	['old.test', /handshake/, 'tls-handshake'],
	['garbage.test', /handshake/, 'tls-handshake'],
	['wrong-proceed.test', /TLS|XMPP stream|in time/, ''],
];

for (const [domain, text, name] of FAILURES) {
	test(`${domain}: refused, and why reaches both clients and the log`, TIMEOUT, async () => {
		const answer = await new BoshClient(stage.port).create(domain);
		assertTerminated(answer, 'remote-connection-failed');
		assert.match(answer.element.text, text);
		const socket = await openWebSocket(stage.port);
		socket.open(domain);
		const error = await assertStreamError(socket, 'remote-connection-failed', { open: true });
		assert.match(error.at('text').text, text);
		assert.ok(stage.doab.lines.some((line) => line.includes(name) && line.includes(domain)), `${name} in the log`);
		for (const connection of stage.servers[domain.replace(/\.test$/, '')].connections) {
			assert.doesNotMatch(connection.text, /<auth/);
		}
	});
}
