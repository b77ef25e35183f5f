// Every allocation of the program and of its libraries fails in turn, and every system call that can: fault-sweep.mjs says what
// must hold then. By default some of them fail, with DOAB_LONG=1 one of each call stack while the program runs, and many at its
// start. With DOAB_EVERY=1, which takes hours for some scenarios, every single allocation fails, and nothing else.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BINARY, Doab } from '../support/doab.mjs';
import { Sweep, canStartWithoutMemory, lifetimes } from '../support/fault-sweep.mjs';
import { ROLES, UpgradeSweep } from '../support/fault-upgrade.mjs';
import { RUNNING } from '../support/fault-scenarios.mjs';
import { Faults, NEXT_SERVER, SUPERVISOR, server } from '../support/faults.mjs';
import { patiently, until } from '../support/util.mjs';

const IS_LONG = process.env.DOAB_LONG === '1';
const IS_EVERY = process.env.DOAB_EVERY === '1';
const TIMEOUT = { timeout: patiently(IS_EVERY ? 14400000 : IS_LONG ? 1200000 : 120000) };

// What each call may fail with, as its manual page says, or do less than it was asked for.
const EFFECTS = {
	accept4: ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'ECONNABORTED', 'EINTR', 'EPROTO'],
	bind: ['EACCES', 'EADDRINUSE'],
	chmod: ['EPERM'],
	close: ['LATE'],
	connect: ['EADDRNOTAVAIL', 'ENETUNREACH', 'ENOBUFS', 'ECONNREFUSED', 'EINTR'],
	epoll_create: ['EMFILE', 'ENOMEM'],
	epoll_ctl: ['ENOMEM', 'ENOSPC'],
	epoll_wait: ['EINTR'],
	eventfd: ['EMFILE', 'ENOMEM'],
	fcntl: ['EMFILE'],
	fgets: ['EIO'],
	fopen: ['EMFILE', 'ENOMEM'],
	fstat: ['ENOMEM'],
	getentropy: ['ENOSYS'],
	getpeername: ['ENOBUFS', 'ENOTCONN'],
	getrandom: ['EINTR', 'ENOSYS', 'SHORT'],
	getrlimit: ['EPERM'],
	getsockname: ['ENOBUFS'],
	getsockopt: ['ENOBUFS'],
	glob: ['ENOMEM'],
	ioctl: ['ENOMEM'],
	listen: ['EADDRINUSE'],
	mmap: ['ENOMEM'],
	open: ['EMFILE', 'ENOMEM', 'EINTR'],
	opendir: ['EMFILE'],
	pipe2: ['EMFILE'],
	poll: ['EINTR', 'ENOMEM'],
	posix_spawn: ['EAGAIN', 'ENOMEM'],
	prctl: ['EPERM'],
	pread: ['EIO', 'EINTR'],
	pthread_create: ['EAGAIN'],
	read: ['EINTR', 'EAGAIN', 'EIO', 'SHORT'],
	recv: ['EINTR', 'ECONNRESET', 'EAGAIN', 'SHORT'],
	recvmsg: ['EINTR', 'ENOMEM'],
	rename: ['ENOSPC'],
	send: ['EINTR', 'EPIPE', 'ECONNRESET', 'ENOBUFS', 'EAGAIN', 'SHORT'],
	sendfile: ['EINTR', 'EAGAIN'],
	sendmsg: ['EINTR', 'EPIPE', 'ECONNRESET', 'ENOBUFS', 'EAGAIN', 'SHORT'],
	setrlimit: ['EPERM'],
	setsockopt: ['ENOBUFS', 'ENOMEM'],
	shutdown: ['ENOTCONN'],
	signalfd: ['EMFILE'],
	socket: ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
	socketpair: ['EMFILE'],
	stat: ['ENOMEM'],
	syscall: ['ENOSYS', 'EPERM'],
	unlink: ['EPERM'],
	waitpid: ['EINTR'],
	write: ['EINTR', 'EAGAIN', 'EPIPE', 'ENOSPC', 'SHORT'],
};

const PAIRS = Object.entries(EFFECTS).flatMap(([call, effects]) => effects.map((effect) => [call, effect]));
// By default each scenario has its part of the calls (the supervisor, which makes few, all), and of the allocations about so
// many fail.
const PARTS = 8;
const ALLOCATIONS = 16;
// The program has 10,000 allocations from its start to its end, and starts in a third of a second; of each other call all fail.
const STARTS = IS_LONG ? 500 : 2;
// At so many places of an upgrade, which takes a tenth of a second.
const UPGRADES = IS_LONG ? 40 : 3;
// With --long so many allocations of a scenario fail that has thousands of call stacks, and makes 50,000 of them in a run. Of its other
// calls, each call stack fails once, and not once with each effect: a run takes half a second.
const VAST = 500;
const OF_LISTENING = 7; // the part with bind(2), listen(2) and socket(2)
const FEW = 4; // calls in a run, all of which fail by default, too

const pairs = (part) => (IS_LONG || part === undefined ? PAIRS : PAIRS.filter((_, i) => i % PARTS === part));

async function sweepAll(t, open, role, part) {
	const sweep = await Sweep.start(open, role);
	try {
		const { memory = 0, ...calls } = await sweep.count();
		const { spares = [], wholly = [], isShort, isVast } = sweep.stage;
		const failWholly = async () => {
			for (const [call, effect] of PAIRS.filter(([name]) => calls[name] && wholly.includes(name))) {
				await sweep.each(call, effect);
			}
		};
		const failAll = async (isEach) => {
			const byStack = isEach && !isVast;
			const nPlaces = byStack || isShort ? memory : isEach ? VAST : ALLOCATIONS;
			await sweep.each('memory', 'ENOMEM', { share: nPlaces / memory, byStack });
			const failing = pairs(part).filter(([name]) => calls[name] && !spares.includes(name) && !wholly.includes(name));
			if (isEach && isVast) {
				for (const call of new Set(failing.map(([name]) => name))) {
					await sweep.eachStack(call, EFFECTS[call]);
				}
				return failWholly();
			}
			for (const [call, effect] of failing) {
				await sweep.each(call, effect, { share: isEach || calls[call] <= FEW ? 1 : 1 / FEW, byStack: isEach });
			}
			return failWholly();
		};
		if (IS_EVERY) {
			t.diagnostic(`${memory} allocations in a run`);
			await sweep.each('memory', 'ENOMEM');
		} else {
			await failAll(IS_LONG);
		}
		await sweep.assertNoMemoryLost(() => failAll(false));
	} finally {
		await sweep.stop();
	}
	t.diagnostic(`${sweep.nPoints} failures, ${sweep.nTold} of which a client was told: ${JSON.stringify(sweep.points)}`);
	assert.equal(sweep.problems.length, 0, sweep.problems.join('\n'));
}

async function sweepUpgrades(t, name, role, part) {
	const sweep = await UpgradeSweep.start();
	try {
		const { [name]: calls } = await sweep.calls();
		if (role !== NEXT_SERVER || canStartWithoutMemory) {
			await sweep.each(role, 'memory', 'ENOMEM', calls.memory, 8 * UPGRADES);
		}
		for (const [call, effect] of pairs(part).filter(([called]) => calls[called])) {
			await sweep.each(role, call, effect, calls[call], UPGRADES);
		}
		await sweep.assertNothingLeft();
	} finally {
		await sweep.stop();
	}
	t.diagnostic(`${sweep.nPoints} failures, of ${sweep.nTold} of which somebody was told: ${JSON.stringify(sweep.points)}`);
	assert.equal(sweep.problems.length, 0, sweep.problems.join('\n'));
}

const SKIP = readFileSync(BINARY).includes('__tsan_init') && 'ThreadSanitizer has to be the first library';

describe('one failure at a time', { concurrency: 8, skip: SKIP }, () => {
	Object.entries(RUNNING).forEach(([name, open], i) => {
		test(`${name}, in the server`, TIMEOUT, (t) => sweepAll(t, open, server(0), i % PARTS));
	});
	test('reload, in the supervisor', TIMEOUT, (t) => sweepAll(t, RUNNING.reload, SUPERVISOR));
	test('reload of listeners, in the supervisor', TIMEOUT, (t) =>
		sweepAll(t, RUNNING['reload of listeners'], SUPERVISOR, OF_LISTENING));

	test('no message of a start is lost: the server is reloaded and stopped in order', TIMEOUT, async () => {
		const faults = Faults.open();
		const start = () => Doab.start({ sandbox: false }, { env: faults.env });
		const count = (doab, event) => doab.events.filter((line) => line.event === event).length;
		await (await start()).stop();
		const { sendmsg } = faults.calls(server(0));
		for (let nth = 1; nth <= sendmsg; nth++) {
			faults.arm({ role: server(0), call: 'sendmsg', effect: 'ENOBUFS', nth });
			const doab = await start();
			try {
				doab.child.kill('SIGHUP');
				await until(() => count(doab, 'reloaded'), 15000, `a reload after message ${nth}`);
			} finally {
				await doab.stop();
			}
			assert.equal(count(doab, 'stopped'), 1, doab.log);
			assert.equal(faults.disarm().strikes, 1, `message ${nth}`);
		}
		faults.close();
	});

	Object.entries(ROLES).forEach(([name, role], i) => {
		test(`upgrade, in the ${name}`, TIMEOUT, (t) => sweepUpgrades(t, name, role, role === SUPERVISOR ? undefined : i));
	});

	for (const [name, role] of Object.entries({ server: server(0), supervisor: SUPERVISOR })) {
		test(`start and stop, in the ${name}`, TIMEOUT, async (t) => {
			const { problems, nPoints, nRefused } = await lifetimes(role, pairs(role), STARTS);
			t.diagnostic(`${nPoints} failures, ${nRefused} of which ended the start with a message`);
			assert.equal(problems.length, 0, problems.join('\n'));
		});
	}
});
