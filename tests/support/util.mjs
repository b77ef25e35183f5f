// Small things every test needs: waiting with a bound, free ports, child processes that never outlive the test.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

// Below Linux' range for outgoing connections, so that no client socket sits on a port that was found free.
const PORT_FIRST = 12000;
const PORT_LAST = 32000;

// How many times slower than a usual machine one may be. What is bounded in time is bounded so that a test ends which waits
// for what never comes: where it does come, the limit costs nothing.
const SLOWNESS = 4;

export const patiently = (ms) => ms * SLOWNESS;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Stops process @pid, and returns when none of its threads runs. The signal alone takes effect when the thread that gets it has the
// processor, and on a busy machine the others may do much meanwhile. `process.kill(pid, 'SIGCONT')` lets it go on.
export function suspend(pid) {
	const isStopped = (thread) => {
		try {
			// "PID (NAME) STATE ..."
			return 'TtZX'.includes(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1').split(') ').at(-1)[0]);
		} catch (error) {
			return error.code === 'ENOENT' || error.code === 'ESRCH';
		}
	};
	process.kill(pid, 'SIGSTOP');
	while (!readdirSync(`/proc/${pid}/task`).every(isStopped));
}

// Rejects when @promise takes longer than @ms, patiently.
export function within(promise, ms, what) {
	let timer;
	const late = new Promise((resolve, reject) => {
		timer = setTimeout(() => reject(new Error(`nothing within ${patiently(ms)} ms: ${what}`)), patiently(ms));
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Resolves with what @condition makes of it as soon as that is true; rejects when it takes longer than @ms, patiently.
export async function until(condition, ms, what) {
	const end = Date.now() + patiently(ms);
	for (;;) {
		const value = await condition();
		if (value) {
			return value;
		}
		if (Date.now() > end) {
			throw new Error(`not within ${patiently(ms)} ms: ${what}`);
		}
		await sleep(10);
	}
}

// How long a thing has to be the same to be taken for one that does not change any more.
const STILL_MS = 1500;

// Resolves with what @measure returns, a number or a string, when that does not change any more.
export async function untilStill(measure, what) {
	let since;
	let last;
	await until(() => {
		const now = measure();
		if (now !== last) {
			[since, last] = [Date.now(), now];
		}
		return Date.now() - since >= STILL_MS;
	}, 15000, `that ${what} stays as it is`);
	return last;
}

// TCP_ESTABLISHED, TCP_CLOSE_WAIT: that end of a connection has not been closed.
const OPEN_STATES = ['01', '08'];

// What the kernel knows of the connection between the ports @localPort and @remotePort of this machine, over IPv4: a list of its ends.
// There may be ten thousand connections more, which are over; they are not looked at.
function endsOf({ localPort, remotePort }) {
	const [own, other] = [localPort, remotePort].map((port) => Number(port).toString(16).toUpperCase().padStart(4, '0'));
	// "  SL: ADDRESS:PORT ADDRESS:PORT STATE SENT:RECEIVED ...", of bytes that the peer has not got, and that have not been read
	const line = new RegExp(`:(?:(${own}) \\w+:${other}|${other} \\w+:${own}) (\\w\\w) (\\w{8}):(\\w{8}) `, 'g');
	return [...readFileSync('/proc/net/tcp', 'latin1').matchAll(line)].map(([, isLocal, state, ...bytes]) => {
		const [nSent, nReceived] = bytes.map((hex) => parseInt(hex, 16));
		return { isRemote: !isLocal, isOpen: OPEN_STATES.includes(state), nSent, nReceived };
	});
}

// How many bytes wait in the kernel between @socket, a TCP socket over IPv4, and its peer on this machine.
const bytesUnderWay = (socket) => endsOf(socket).reduce((n, { isRemote, nSent, nReceived }) => n + (isRemote ? nReceived : nSent), 0);

// What changes whenever bytes move between @socket, a TCP socket over IPv4, and its peer on this machine.
export const flowOf = (socket) => JSON.stringify([socket.bytesWritten, socket.bytesRead, socket.writableLength, endsOf(socket)]);

// Breaks the connection of @socket, a TCP socket over IPv4. Resolves when its peer, on this machine, has noticed, and closed its end.
export async function breakConnection(socket) {
	const { localPort, remotePort } = socket;
	socket.destroy();
	await until(() => !endsOf({ localPort, remotePort }).some(({ isRemote, isOpen }) => isRemote && isOpen), 15000, 'the end of a connection');
}

// Resolves when the peer of @socket, on this machine, has read all that was written to it. The gateway only looks at the beginning of
// a connection's first request, and reads it when it is whole.
export async function untilRead(socket) {
	await until(() => socket.writableLength === 0 && bytesUnderWay(socket) === 0, 15000, 'that all is read');
}

// For tests that run at the same time: what is passed to the returned function is done in turn, as where the latest connection of a
// server is to be that of one's own session.
export function turns() {
	let latest;
	return (act) => (latest = Promise.allSettled([latest]).then(act));
}

// Why the tests that need IPv6 are skipped; undefined where there is a ::1, so that it can be the `skip` of any test.
export const WITHOUT_IPV6 = (() => {
	try {
		return /^0{31}1 /m.test(readFileSync('/proc/net/if_inet6', 'utf8')) ? undefined : 'no IPv6 here';
	} catch {
		return 'no IPv6 here';
	}
})();

function portIsFree(port, host) {
	return new Promise((resolve, reject) => {
		const probe = net.createServer();
		probe.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
		probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)));
	});
}

// A file for each port that was given to a test file, with the id of its process. Several of them run at a time, and a port stays free
// until the program that it is for has started; some give it up and take it again.
const PORTS_FOLDER = path.join(os.tmpdir(), `doab-ports-${process.getuid()}`);
const reserved = new Set();

// Whether nobody else has it. What a process that has gone left behind counts for nothing.
function reserve(port) {
	const file = path.join(PORTS_FOLDER, String(port));
	for (let isSecond = false; ; isSecond = true) {
		try {
			writeFileSync(file, String(process.pid), { flag: 'wx' });
			reserved.add(file);
			return true;
		} catch (error) {
			if (error.code !== 'EEXIST') {
				return true; // the folder is not ours to write to
			}
		}
		if (isSecond || hasOwner(file)) {
			return false;
		}
		try {
			rmSync(file, { force: true });
		} catch {
			return true; // nor is the file: root's, seen from a user namespace
		}
	}
}

function hasOwner(file) {
	try {
		const pid = readFileSync(file, 'utf8');
		return pid === '' || existsSync(`/proc/${pid}`); // it writes its id a moment later
	} catch {
		return true;
	}
}

export async function freePort(host = '127.0.0.1') {
	mkdirSync(PORTS_FOLDER, { recursive: true });
	for (;;) {
		const port = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST));
		if (reserve(port) && await portIsFree(port, host)) {
			return port;
		}
	}
}

const folders = new Set();
const children = new Set();

export function temporaryFolder(name) {
	const folder = mkdtempSync(path.join(os.tmpdir(), `doab-${name}-`));
	folders.add(folder);
	return folder;
}

export function removeFolder(folder) {
	folders.delete(folder);
	rmSync(folder, { recursive: true, force: true });
}

// A child does not keep the test file alive by itself: one that a failed test forgot is ended with the file.
export function startChild(command, args, options) {
	const child = spawn(command, args, options);
	child.unref();
	for (const pipe of [child.stdout, child.stderr]) {
		pipe?.unref?.();
	}
	children.add(child);
	child.once('exit', () => children.delete(child));
	return child;
}

// Resolves with the exit code (or the signal's name) after asking, then forcing, the child to end.
export async function stopChild(child, { signal = 'SIGTERM', patience = 10000 } = {}) {
	if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
		const gone = new Promise((resolve) => child.once('exit', resolve));
		const force = setTimeout(() => child.kill('SIGKILL'), patiently(patience));
		child.kill(signal);
		await gone;
		clearTimeout(force);
	}
	return child.exitCode ?? child.signalCode;
}

// Stops each of @things that was started, whatever befalls the others; throws the first error afterwards.
export async function stopAll(...things) {
	const errors = [];
	for (const thing of things) {
		await thing?.stop().catch((error) => errors.push(error));
	}
	if (errors.length) {
		throw errors[0];
	}
}

// For programs that are not what is tested: one that does not start, which @start rejects with, is replaced once by another.
export async function onceMore(start) {
	try {
		return await start();
	} catch (error) {
		process.stderr.write(`${error.message}\nIt is started once more.\n`);
		return start();
	}
}

// Runs a program to its end: { code, stdout, stderr }.
export function run(command, args, options = {}) {
	return new Promise((resolve, reject) => {
		const child = startChild(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
		const output = { stdout: '', stderr: '' };
		for (const name of ['stdout', 'stderr']) {
			child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
		}
		// An interval, because nothing else keeps this file running until the end of the child is known. What the child started may
		// have its output, and live on: at the second time nobody waits for that.
		const timer = setInterval(() => {
			if (!child.kill('SIGKILL')) {
				child.stdout?.destroy();
				child.stderr?.destroy();
			}
		}, patiently(options.patience ?? 20000));
		child.once('error', (error) => {
			clearInterval(timer);
			reject(error);
		});
		child.once('close', (code, signal) => {
			clearInterval(timer);
			resolve({ code: code ?? signal, ...output });
		});
	});
}

// What else there is to read when a test has failed, such as the log of a server: @tell returns it. When this file ends with a failure,
// it is printed.
const witnesses = new Set();

export function tellWhenFailed(tell) {
	witnesses.add(tell);
}

process.once('exit', (code) => {
	if (code !== 0) {
		witnesses.forEach((tell) => process.stderr.write(`${tell()}\n`));
	}
	for (const child of children) {
		child.kill('SIGKILL');
	}
	for (const file of reserved) {
		rmSync(file, { force: true });
	}
	for (const folder of folders) {
		rmSync(folder, { recursive: true, force: true });
	}
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
	process.once(signal, () => process.exit(1));
}
