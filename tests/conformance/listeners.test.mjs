// The `listener` sections, each key on a running gateway: where it listens, who may connect, PROXY, TLS of its own.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Authority } from '../support/certificates.mjs';
import { Doab, configText } from '../support/doab.mjs';
import { Stage } from '../support/stage.mjs';
import { freePort, patiently, removeFolder, run, stopAll, temporaryFolder, until, within } from '../support/util.mjs';
import { NS } from '../support/xml.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const OWN = 'localhost';
let folder;
let authority;
let front;
let ca;

before(() => {
	folder = temporaryFolder('listeners');
	authority = new Authority(folder);
	front = authority.issue('front', [OWN], { more: ['IP:127.0.0.1'] });
	ca = readFileSync(authority.certificate);
});
after(() => removeFolder(folder));

const tlsSection = (more = {}) => ({ certificate: front.certificate, key: front.key, ...more });
const withTls = async (more = {}, config = {}) => {
	const port = await freePort();
	const doab = await Doab.start({ listeners: { [`127.0.0.1:${port}`]: { tls: tlsSection(more) } }, ...config });
	return Object.assign(doab, { tlsPort: port });
};

// One request; @how: host, port, socketPath, ca, ... as http.request() and https.request() take them.
function request(library, how, { method = 'GET', target = '/', headers = {}, body = '' } = {}) {
	const answered = new Promise((resolve, reject) => {
		const one = library.request({ path: target, method, headers: { ...headers }, agent: false, ...how }, (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk)).once('error', reject).once('end', () =>
				resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }));
		});
		one.once('error', reject).end(body);
	});
	return within(answered, 15000, 'an answer');
}

const overTls = (port, how = {}, what = {}) => request(https, { host: '127.0.0.1', port, ca, ...how }, what);

function shake(port, options = {}) {
	return within(new Promise((resolve, reject) => {
		const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: OWN, ...options }, () => resolve(socket)).once('error', reject);
	}), 15000, 'a handshake');
}

const creation = (domain, more = '') => `<body xmlns='${NS.httpbind}' rid='7' to='${domain}' ver='1.11' wait='5' hold='1'${more}/>`;

function openSocket(port, options = {}) {
	const socket = new WebSocket(`wss://127.0.0.1:${port}/xmpp-websocket`, 'xmpp', { ca, servername: OWN, ...options });
	return within(new Promise((resolve, reject) => socket.once('open', () => resolve(socket)).once('error', reject)), 15000, 'a WebSocket');
}

const said = (socket, text) => within(new Promise((resolve) => {
	socket.once('message', (data) => resolve(data.toString()));
	socket.send(text);
}), 15000, 'an answer on the WebSocket');

test('a file with nothing but sections listens on them', TIMEOUT, async () => {
	const port = await freePort();
	const file = path.join(folder, 'sections.conf');
	const socket = path.join(folder, 'only.sock');
	writeFileSync(file, `workers = 2\nlistener "127.0.0.1:${port}" { backlog = 5 nodelay = false receive_buffer = 65536 send_buffer = 65536 }\n` +
		`listener "unix:${socket}" { }\n`);
	const doab = new Doab();
	doab.launch(['--config', file]);
	try {
		await doab.logged('ready');
		assert.deepEqual(doab.events.filter(({ event }) => event === 'listening').map(({ address }) => address), [`127.0.0.1:${port}`, `unix:${socket}`]);
		assert.equal((await request(http, { host: '127.0.0.1', port })).status, 200);
		assert.equal((await request(http, { socketPath: socket })).status, 200);
		const { stdout } = await run('ss', ['-ltnH', 'sport', '=', `:${port}`]);
		assert.ok(stdout.trim().split('\n').every((line) => / 5 /.test(line.replace(/\s+/g, ' '))), stdout);
	} finally {
		doab.child.kill('SIGTERM');
		await within(doab.exited, 15000, 'the end');
	}
});

test('IPv6', TIMEOUT, async () => {
	const port = await freePort();
	const doab = await Doab.start({ listeners: { [`[::1]:${port}`]: { tls: tlsSection() } } });
	try {
		assert.equal((await overTls(port, { host: '::1', servername: OWN })).status, 200);
	} finally {
		await doab.stop();
	}
});

test('a unix socket has its mode, replaces a stale one, is refused while it lives, and is gone at the end', TIMEOUT, async () => {
	const socket = path.join(folder, 'http.sock');
	const start = () => Doab.start({ workers: 2, listeners: { [`unix:${socket}`]: { mode: '0620' } } });
	const killed = await start();
	assert.equal(statSync(socket).mode & 0o777, 0o620);
	killed.child.kill('SIGKILL');
	await within(killed.exited, 15000, 'the end');
	assert.ok(existsSync(socket));
	const doab = await start();
	try {
		assert.equal((await request(http, { socketPath: socket })).status, 200);
		await assert.rejects(start(), /event=listen-failed.*http\.sock.*in use/);
		assert.equal((await request(http, { socketPath: socket })).status, 200);
		// The next configuration gives it other permissions, and the one after that no longer has it.
		const reload = async (config) => {
			const since = doab.events.length;
			writeFileSync(path.join(doab.folder, 'doab.conf'), configText({ ...doab.config, ...config }));
			doab.child.kill('SIGHUP');
			await until(() => doab.events.slice(since).some(({ event }) => event === 'reloaded'), 15000, 'reload');
		};
		await reload({ listeners: { [`unix:${socket}`]: { mode: '0600' } } });
		assert.equal(statSync(socket).mode & 0o777, 0o600);
		assert.equal((await request(http, { socketPath: socket })).status, 200);
		await reload({ listeners: {} });
		// The supervisor removes it, when the server has told it that the new configuration is in force.
		await until(() => !existsSync(socket), 15000, 'removal');
	} finally {
		await doab.stop();
	}
});

test('a file that is no socket is left alone', TIMEOUT, async () => {
	const file = path.join(folder, 'no-socket');
	writeFileSync(file, 'mine');
	await assert.rejects(Doab.start({ listeners: { [`unix:${file}`]: {} } }), /event=listen-failed.*no socket has the name/);
	assert.equal(readFileSync(file, 'utf8'), 'mine');
});

test('sockets that are passed by name go to the listener of that name', TIMEOUT, async () => {
	const port = await freePort();
	const conf = path.join(folder, 'named.conf');
	writeFileSync(conf, `workers = 2\nlistener "fd:web" { tls { certificate = "${front.certificate}" key = "${front.key}" } }\n`);
	const passer = `import os, socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", ${port})); s.listen(16)
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])`;
	const start = (name) => {
		const doab = new Doab();
		doab.launch(['--config', conf], {}, ['python3', '-c', passer, name]);
		return doab;
	};
	const doab = start('web');
	try {
		await doab.logged('ready');
		await doab.logged('listening', { address: 'fd:web' });
		assert.equal((await overTls(port)).status, 200);
	} finally {
		doab.child.kill('SIGTERM');
		await within(doab.exited, 15000, 'the end');
	}
	const other = start('other');
	await within(other.exited, 15000, 'the end');
	assert.match(other.log, /event=listen-failed address=fd:web .*FileDescriptorName/);
});

test('peers that may connect', TIMEOUT, async () => {
	const [open, shut] = [await freePort(), await freePort()];
	const doab = await Doab.start({ listeners: {
		[`127.0.0.1:${open}`]: { allow: ['127.0.0.1'], deny: ['127.0.0.0/8'] },
		[`127.0.0.1:${shut}`]: { allow: ['192.0.2.0/24'] },
	} });
	try {
		assert.equal((await request(http, { host: '127.0.0.1', port: open })).status, 200);
		await assert.rejects(request(http, { host: '127.0.0.1', port: shut }), { code: 'ECONNRESET' });
		await doab.logged('connection-refused', { limit: 'listener', client: '127.0.0.1' });
	} finally {
		await doab.stop();
	}
});

test('idle_timeout', TIMEOUT, async () => {
	const port = await freePort();
	const doab = await Doab.start({ listeners: { [`127.0.0.1:${port}`]: { idle_timeout: 1 } } });
	try {
		const agent = new http.Agent({ keepAlive: true });
		const closed = new Promise((resolve) => agent.once('free', (socket) => socket.once('close', resolve)));
		assert.equal((await request(http, { host: '127.0.0.1', port, agent })).status, 200);
		await within(closed, 20000, 'the end of an idle connection');
		agent.destroy();
	} finally {
		await doab.stop();
	}
});

const V2_HEAD = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

// A v2 header for a client at 203.0.113.9, with TLS at the proxy if @secure.
function proxyHeader(secure) {
	const tlv = secure ? Buffer.from('20000501' + '00000000', 'hex') : Buffer.alloc(0);
	const addresses = Buffer.from('cb007109' + '7f000001' + '1234' + '0050', 'hex');
	const n = Buffer.alloc(2);
	n.writeUInt16BE(addresses.length + tlv.length);
	return Buffer.concat([V2_HEAD, Buffer.from('2111', 'hex'), n, addresses, tlv]);
}

async function connectWith(port, bytes) {
	const socket = net.connect(port, '127.0.0.1');
	await within(new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject)), 5000, 'connect');
	socket.write(bytes);
	return socket;
}

test('PROXY ahead of TLS, and what it says about the client', TIMEOUT, async () => {
	const port = await freePort();
	const stage = await Stage.open({ plain: 'plain' }, { connections_per_address: 2, listeners: {
		[`127.0.0.1:${port}`]: { proxy_protocol: 'v2', proxy_peers: ['127.0.0.1'], tls: tlsSection() },
	} });
	const clients = [];
	try {
		// The limits are those of the client, and the proxy has none.
		for (let i = 0; i < 4; i++) {
			clients.push(await connectWith(port, proxyHeader(false)));
		}
		await stage.doab.logged('connection-refused', { client: '203.0.113.9', limit: 'connections_per_address' });
		const socket = clients.find((one) => !one.destroyed);
		const answer = await request(http, { createConnection: () => tls.connect({ socket, ca, servername: OWN }), agent: undefined },
			{ method: 'POST', target: '/http-bind', body: creation(stage.domain.plain) });
		assert.match(answer.text, / sid='/);
		await stage.doab.logged('session-open', { client: '203.0.113.9' });
		const nobody = await connectWith(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
		await stage.doab.logged('proxy-header-failed', { client: '127.0.0.1' });
		nobody.destroy();
	} finally {
		clients.forEach((one) => one.destroy());
		await stage.stop();
	}
});

test('HTTPS and WSS: the page, BOSH, a chunked body, a WebSocket', TIMEOUT, async () => {
	const port = await freePort();
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, listeners: { [`127.0.0.1:${port}`]: { tls: tlsSection() } } });
	const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
	try {
		const page = await overTls(port, { agent }, { target: '/http-bind', headers: { Accept: 'text/html' } });
		assert.equal(page.status, 200);
		const created = await overTls(port, { agent }, { method: 'POST', target: '/http-bind', body: creation(stage.domain.plain) });
		const [, sid] = created.text.match(/ sid='([^']+)'/);
		const chunked = await overTls(port, { agent }, { method: 'POST', target: '/http-bind', headers: { 'Transfer-Encoding': 'chunked' },
			body: `<body xmlns='${NS.httpbind}' rid='8' sid='${sid}' type='terminate'/>` });
		assert.match(chunked.text, /type='terminate'/);
		assert.equal((await overTls(port, { agent })).status, 200);
		const socket = await openSocket(port);
		assert.match(await said(socket, `<open xmlns='${NS.framing}' to='${stage.domain.plain}' version='1.0'/>`), /^<open/);
		socket.close();
		await stage.doab.logged('session-open', { transport: 'websocket' });
	} finally {
		agent.destroy();
		await stage.stop();
	}
});

test('a session that was created over TLS is not continued without', TIMEOUT, async () => {
	const port = await freePort();
	const stage = await Stage.open({ plain: 'plain' }, { listeners: { [`127.0.0.1:${port}`]: { tls: tlsSection() } } });
	try {
		const created = await overTls(port, {}, { method: 'POST', target: '/http-bind', body: creation(stage.domain.plain) });
		const [, sid] = created.text.match(/ sid='([^']+)'/);
		const poll = { method: 'POST', target: '/http-bind', body: `<body xmlns='${NS.httpbind}' rid='8' sid='${sid}'/>` };
		assert.match((await request(http, { host: '127.0.0.1', port: stage.port }, poll)).text, /item-not-found/);
		assert.doesNotMatch((await overTls(port, {}, { ...poll, body: poll.body.replace('/>', " type='terminate'/>") })).text, /item-not-found/);
	} finally {
		await stage.stop();
	}
});

test('HTTP without TLS gets an answer, other things and silence a line', TIMEOUT, async () => {
	const doab = await withTls({}, { header_timeout: 5 });
	try {
		const answer = await request(http, { host: '127.0.0.1', port: doab.tlsPort });
		assert.equal(answer.status, 400);
		assert.match(answer.text, /https:/);
		await doab.logged('handshake-failed', { reason: 'HTTP without TLS' });
		const other = await connectWith(doab.tlsPort, '<stream:stream>');
		await doab.logged('handshake-failed', { reason: 'neither TLS nor HTTP' });
		const silent = await connectWith(doab.tlsPort, '');
		await doab.logged('handshake-failed', { reason: 'no complete handshake in time' });
		[other, silent].forEach((socket) => socket.destroy());
		await assert.rejects(shake(doab.tlsPort, { ca: undefined }));
		await doab.logged('handshake-failed', { reason: 'the client closed the connection within the handshake' });
	} finally {
		await doab.stop();
	}
});

test('versions, ciphers and ALPN', TIMEOUT, async () => {
	const doab = await withTls({ versions: ['1.2'], ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' });
	const newer = await withTls({ versions: ['1.3'], ciphersuites: 'TLS_AES_128_GCM_SHA256' });
	try {
		const old = await shake(doab.tlsPort, { ALPNProtocols: ['h2', 'http/1.1'] });
		assert.deepEqual([old.getProtocol(), old.getCipher().name, old.alpnProtocol], ['TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'http/1.1']);
		await assert.rejects(shake(doab.tlsPort, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }));
		await assert.rejects(shake(newer.tlsPort, { maxVersion: 'TLSv1.2' }));
		const recent = await shake(newer.tlsPort);
		assert.equal(recent.getCipher().name, 'TLS_AES_128_GCM_SHA256');
		[old, recent].forEach((socket) => socket.destroy());
	} finally {
		await stopAll(doab, newer);
	}
});

test('versions before TLS 1.2 are refused, where OpenSSL would take them, too', TIMEOUT, async () => {
	// Otherwise its security level refuses them, on both sides.
	const ciphers = 'ALL:@SECLEVEL=0';
	const doab = await withTls({ ciphers });
	try {
		for (const version of ['TLSv1', 'TLSv1.1']) {
			await assert.rejects(shake(doab.tlsPort, { ciphers, minVersion: version, maxVersion: version }), { code: /PROTOCOL_VERSION/ }, version);
		}
		(await shake(doab.tlsPort, { ciphers, minVersion: 'TLSv1', maxVersion: 'TLSv1.2' })).destroy();
	} finally {
		await doab.stop();
	}
});

test('certificates of clients: off, optional, required', TIMEOUT, async () => {
	const strangers = new Authority(folder, 'strangers');
	const [alice, mallory] = [authority.issue('alice', []), strangers.issue('mallory', [])];
	const shown = ({ cert, keyText }) => ({ cert, key: keyText });
	const verify = (mode) => withTls({ client_ca: authority.certificate, verify: mode });
	const [optional, required] = [await verify('optional'), await verify('required')];
	try {
		for (const { tlsPort } of [optional, required]) {
			assert.equal((await overTls(tlsPort, shown(alice))).status, 200);
			await assert.rejects(overTls(tlsPort, shown(mallory)));
		}
		await optional.logged('tls-accepted', { certificate: 'yes' });
		assert.equal((await overTls(optional.tlsPort)).status, 200);
		await assert.rejects(overTls(required.tlsPort));
		await required.logged('handshake-failed', { reason: 'peer did not return a certificate' });
		await required.logged('handshake-failed', { reason: 'unable to get local issuer certificate' });
	} finally {
		await stopAll(optional, required);
	}
});

// Two handshakes of openssl's client, which writes each session that it may resume to a file. Returns whether the second one resumed
// that of the first; undefined if the first one got none: then openssl would end before it connects.
async function resumes(port, ...more) {
	const file = path.join(folder, `session-${port}`);
	rmSync(file, { force: true });
	const client = async (...args) => {
		const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.certificate, ...more, '-ign_eof', ...args],
			{ stdio: ['pipe', 'pipe', 'ignore'] });
		let output = '';
		child.stdout.on('data', (text) => (output += text));
		const closed = new Promise((resolve) => child.once('close', resolve));
		// What it answers proves that its ticket has come. (If openssl ends before, its output is what tells why.)
		child.stdin.on('error', () => {}).write('GET / HTTP/1.0\r\n\r\n');
		await within(closed, 15000, 'openssl s_client');
		assert.match(output, /^HTTP\/1\.. 200/m);
		return output;
	};
	await client('-sess_out', file);
	return existsSync(file) ? /^Reused/m.test(await client('-sess_in', file)) : undefined;
}

test('tickets resume on any worker, where they are on', TIMEOUT, async () => {
	const doab = await withTls({}, { workers: 3 });
	const without = await withTls({ tickets: false });
	try {
		for (let i = 0; i < 4; i++) {
			assert.equal(await resumes(doab.tlsPort), true);
		}
		assert.equal(await resumes(doab.tlsPort, '-tls1_2'), true);
		await doab.logged('tls-accepted', { resumed: 'yes' });
		for (const version of ['-tls1_2', '-tls1_3']) {
			assert.equal(await resumes(without.tlsPort, version), undefined, version);
		}
	} finally {
		await stopAll(doab, without);
	}
});

test('the OCSP response is stapled', TIMEOUT, async () => {
	const at = (name) => path.join(folder, name);
	const openssl = (...args) => execFileSync('openssl', args, { stdio: 'pipe' });
	writeFileSync(at('ocsp.index'), '');
	openssl('ocsp', '-issuer', authority.certificate, '-cert', front.certificate, '-reqout', at('ocsp.req'));
	openssl('ocsp', '-index', at('ocsp.index'), '-rsigner', authority.certificate, '-rkey', authority.key, '-CA', authority.certificate,
		'-reqin', at('ocsp.req'), '-respout', at('ocsp.der'), '-ndays', '1');
	const doab = await withTls({ ocsp_file: at('ocsp.der') });
	try {
		const stapled = await within(new Promise((resolve, reject) => {
			const asking = tls.connect({ host: '127.0.0.1', port: doab.tlsPort, ca, servername: OWN, requestOCSP: true }).once('error', reject);
			asking.once('OCSPResponse', (response) => {
				resolve(response);
				asking.destroy();
			});
		}), 15000, 'a stapled response');
		assert.deepEqual(stapled, readFileSync(at('ocsp.der')));
	} finally {
		await doab.stop();
	}
});

test('a certificate is renewed by SIGHUP while a WebSocket lives on', TIMEOUT, async () => {
	const [certificate, key] = [path.join(folder, 'live.pem'), path.join(folder, 'live.key')];
	const use = (issued) => {
		copyFileSync(issued.certificate, certificate);
		copyFileSync(issued.key, key);
		chmodSync(key, 0o600);
	};
	const port = await freePort();
	use(authority.issue('first', [OWN]));
	const stage = await Stage.open({ plain: 'plain' }, { workers: 2, listeners: { [`127.0.0.1:${port}`]: { tls: { certificate, key } } } });
	const { doab } = stage;
	const nameShown = async () => {
		const socket = await shake(port);
		const { subject } = socket.getPeerCertificate();
		socket.destroy();
		return subject.CN;
	};
	try {
		const socket = await openSocket(port);
		const closed = new Promise((resolve) => socket.once('close', resolve));
		await said(socket, `<open xmlns='${NS.framing}' to='${stage.domain.plain}' version='1.0'/>`);
		assert.equal(await nameShown(), 'first');
		use(authority.issue('second', [OWN]));
		assert.equal(await nameShown(), 'first');
		doab.child.kill('SIGHUP');
		await doab.logged('reloaded');
		await until(async () => await nameShown() === 'second', 10000, 'the new certificate');
		// One that does not fit is a mistake, and the former one stays.
		copyFileSync(front.key, key);
		doab.child.kill('SIGHUP');
		await doab.logged('reload-failed');
		assert.equal(await nameShown(), 'second');
		assert.equal(socket.readyState, WebSocket.OPEN, `the WebSocket ended by itself:\n${doab.log.slice(-3000)}`);
		socket.send(`<close xmlns='${NS.framing}'/>`);
		assert.equal(await within(closed, 15000, `the close handshake:\n${doab.log.slice(-3000)}`), 1000);
	} finally {
		await stage.stop();
	}
});

test('renegotiation is refused, and key updates are bounded', TIMEOUT, async () => {
	const doab = await withTls();
	const client = (version, keys) => new Promise((resolve) => {
		const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${doab.tlsPort}`, version, '-CAfile', authority.certificate], { stdio: ['pipe', 'pipe', 'pipe'] });
		let output = '';
		let n = 0;
		[child.stdout, child.stderr].forEach((pipe) => pipe.on('data', (text) => (output += text)));
		child.stdin.on('error', () => {});
		const timer = setInterval(() => (n++ < 80 ? child.stdin.write(`${keys}\n`) : child.stdin.end()), 5);
		child.once('close', () => {
			clearInterval(timer);
			resolve({ output, n });
		});
	});
	try {
		const again = await within(client('-tls1_2', 'R'), 20000, 'renegotiation');
		assert.match(again.output, /no renegotiation/i);
		const updates = await within(client('-tls1_3', 'K'), 30000, 'key updates');
		assert.ok(updates.n < 80, `${updates.n} key updates`);
		assert.equal((await overTls(doab.tlsPort)).status, 200);
	} finally {
		await doab.stop();
	}
});
