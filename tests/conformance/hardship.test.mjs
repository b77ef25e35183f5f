// What a machine may do to the gateway: few descriptors, a clock that jumps.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BoshClient } from '../support/bosh.mjs';
import { BINARY } from '../support/doab.mjs';
import { HttpConnection, httpRequest, openWebSocket } from '../support/http.mjs';
import { Stage } from '../support/stage.mjs';
import { patiently, removeFolder, sleep, stopAll, temporaryFolder, until } from '../support/util.mjs';

const TIMEOUT = { timeout: patiently(60000) };
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';

const echo = (client, id) => client.exchange(`<message xmlns="jabber:client" id="${id}"/>`, ({ attributes }) => attributes.id === id);

test('with 64 descriptors the gateway serves, refuses what is too much, and goes on', TIMEOUT, async () => {
	const limited = { through: ['sh', '-c', 'ulimit -n 64; exec "$0" "$@"'] };
	const stage = await Stage.open({ plain: 'plain' }, { workers: 1, log_level: 'info' }, limited);
	const client = new BoshClient(stage.port);
	await client.login('plain.test');
	const held = [];
	for (let i = 0; i < 80; i++) {
		held.push(await HttpConnection.open(stage.port));
	}
	await stage.doab.logged('accept-failed');
	// Who is there already is served.
	await echo(client, 'during');
	// Not even an upgrade, of which the server cannot be told all, ends its session.
	stage.doab.child.kill('SIGUSR2');
	await Promise.race([stage.doab.logged('upgraded'), stage.doab.logged('upgrade-failed')]);
	await echo(client, 'untold');
	// An upgrade needs descriptors, too, and whatever becomes of it, no session is lost.
	held.forEach((connection) => connection.close());
	await until(() => httpRequest(stage.port, 'GET', '/').then(({ status }) => status === 200, () => false), 15000, 'service again');
	const outcomes = () => stage.doab.events.filter(({ event }) => event === 'upgraded').length;
	const before = outcomes();
	stage.doab.child.kill('SIGUSR2');
	await until(() => outcomes() > before, 30000, 'an upgrade');
	await echo(client, 'after');
	client.close();
	await stopAll(stage);
});

test('a clock that jumps ends no session', TIMEOUT, async (t) => {
	// It starts with libfaketime, too, but then misses how that library waits.
	const isTsan = readFileSync(BINARY).includes('__tsan_init');
	if (isTsan || !existsSync(FAKETIME)) {
		t.skip(isTsan ? 'ThreadSanitizer has to be the first library' : `${FAKETIME} is not installed`);
		return;
	}
	const folder = temporaryFolder('clock');
	const clock = path.join(folder, 'clock');
	const set = (offset) => writeFileSync(clock, `${offset}\n`);
	set('+0');
	const env = { LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: clock, FAKETIME_NO_CACHE: '1',
		FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
	const stage = await Stage.open({ plain: 'plain' }, { sandbox: false }, { env }).catch(() => undefined);
	if (!stage) {
		removeFolder(folder);
		t.skip('the program does not start with libfaketime: a sanitizer wants to be first');
		return;
	}
	const client = new BoshClient(stage.port);
	await client.login('plain.test');
	const socket = await openWebSocket(stage.port);
	await socket.login('plain.test');
	const year = () => Number(/time=(\d{4})/.exec(stage.doab.lines.at(-1))[1]);
	const before = year();
	for (const offset of ['+4000d', '-4000d']) {
		set(offset);
		await stage.doab.readLog();
		assert.notEqual(year(), before, `the clock has not jumped: ${stage.doab.lines.at(-1)}`);
		await sleep(1500);
		socket.send(`<message xmlns="jabber:client" id="${offset}"/>`);
		assert.equal((await socket.next(15000)).attributes.id, offset);
		await echo(client, `jump${offset}`);
		const fresh = new BoshClient(stage.port);
		await fresh.login('plain.test');
		fresh.close();
	}
	assert.ok(stage.doab.events.every(({ event }) => event !== 'session-failed'));
	socket.drop();
	client.close();
	await stopAll(stage);
	removeFolder(folder);
});
