// Lets calls of the gateway fail, one at a time: the driver of tests/faults/shim.c, whose head explains the words.
//
//     const faults = Faults.open();
//     const doab = await Doab.start({ sandbox: false }, { env: faults.env });
//     faults.arm({ role: 1, call: 'send', effect: 'EPIPE', nth: 3 });     // the third send(2) of the first server from now on
//     ...
//     faults.disarm();    // { strikes: 1, stack: ['/usr/lib/libuv.so.1+0x1234', ...] }
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Authority } from './certificates.mjs';
import { removeFolder, run, temporaryFolder } from './util.mjs';

const SOURCE = fileURLToPath(new URL('../faults/shim.c', import.meta.url));
export const SUPERVISOR = 0;
export const server = (generation) => 1 + generation;
export const NEXT_SERVER = 65;

// The layout of struct control.
const CALLS_MAX = 64;
const NAME_SIZE = 16;
const STACK_SIZE = 4096;
const ROLES = 65;
const AT = { armed: 4, role: 8, strikes: 28, names: 32 };
AT.stack = AT.names + CALLS_MAX * NAME_SIZE;
AT.slots = AT.stack + STACK_SIZE;
const SLOT = { blocks: 0, bytes: 8, calls: 16 };
const SLOT_SIZE = SLOT.calls + 8 * CALLS_MAX;
AT.round = AT.slots + ROLES * SLOT_SIZE;
const SIZE = AT.round + 8;

const EFFECTS = { SHORT: -1, LATE: -2, LEAK: -3, STOP: -4 };
const effectNumber = (name) => EFFECTS[name] ?? os.constants.errno[name];

const text = (bytes) => bytes.subarray(0, bytes.indexOf(0)).toString();

// Made once in a process, before any session: it waits for the compiler, on a busy machine for seconds, and nothing else goes on
// meanwhile. The sessions of other sweeps would time out.
let tools;

function makeTools() {
	const folder = temporaryFolder('faults-tools');
	const library = path.join(folder, 'shim.so');
	const control = path.join(folder, 'control');
	execFileSync('cc', ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-O1', '-g', '-fPIC', '-shared', '-ftls-model=initial-exec',
		'-o', library, SOURCE], { stdio: ['ignore', 'ignore', 'inherit'] });
	writeFileSync(control, Buffer.alloc(SIZE));
	// Any program names the calls.
	execFileSync('true', { env: { ...process.env, LD_PRELOAD: library, FAULTS_CONTROL: control } });
	const bytes = readFileSync(control);
	const names = Array.from({ length: bytes.readUInt32LE(0) }, (_, i) => text(bytes.subarray(AT.names + i * NAME_SIZE)));
	// With the system's authorities, each reading of them would take 200,000 allocations.
	return { folder, library, names, certificate: new Authority(folder).certificate };
}

export class Faults {
	static open() {
		tools ??= makeTools();
		const faults = Object.assign(new Faults(), { folder: temporaryFolder('faults'), names: tools.names });
		const file = path.join(faults.folder, 'control');
		faults.file = openSync(file, 'w+');
		writeSync(faults.file, Buffer.alloc(SIZE), 0, SIZE, 0);
		faults.env = { LD_PRELOAD: tools.library, FAULTS_CONTROL: file, SSL_CERT_FILE: tools.certificate, SSL_CERT_DIR: tools.folder,
			ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:detect_stack_use_after_return=1:verify_asan_link_order=0' };
		return faults;
	}

	bytes(at, n) {
		const bytes = Buffer.alloc(n);
		readSync(this.file, bytes, 0, n, at);
		return bytes;
	}

	number(at) {
		return this.bytes(at, 4).readUInt32LE();
	}

	long(at) {
		return Number(this.bytes(at, 8).readBigInt64LE());
	}

	write(at, ...numbers) {
		const bytes = Buffer.alloc(4 * numbers.length);
		numbers.forEach((number, i) => bytes.writeInt32LE(number, 4 * i));
		writeSync(this.file, bytes, 0, bytes.length, at);
	}

	// @round: the first call whose stack has not been struck in the round of this number fails, instead of the @nth.
	arm({ role, call, effect, nth, times = 1, round = 0 }) {
		const index = this.names.indexOf(call);
		assert.ok(index >= 0 && effectNumber(effect), `${call} ${effect}`);
		this.write(AT.armed, 0);
		this.write(AT.round, round);
		this.write(AT.role, role, index, effectNumber(effect), times, nth, 0);
		this.write(AT.armed, 1);
	}

	// How often the fault has struck so far.
	get strikes() {
		return this.number(AT.strikes);
	}

	disarm() {
		this.write(AT.armed, 0);
		const { strikes } = this;
		return { strikes, stack: strikes ? text(this.bytes(AT.stack, STACK_SIZE)).trim().split('\n') : [] };
	}

	// How often each call was made.
	calls(role) {
		const at = AT.slots + role * SLOT_SIZE + SLOT.calls;
		return Object.fromEntries(this.names.map((name, i) => [name, this.long(at + 8 * i)]).filter(([, n]) => n));
	}

	// What is allocated.
	live(role) {
		const at = AT.slots + role * SLOT_SIZE;
		return { blocks: this.long(at + SLOT.blocks), bytes: this.long(at + SLOT.bytes) };
	}

	close() {
		closeSync(this.file);
		removeFolder(this.folder);
	}
}

const frameTexts = new Map();

// Asks for the words of the frames FILE+0xOFFSET of one file.
async function nameFrames(file, offsets) {
	const { stdout } = await run('addr2line', ['-Cfe', file, ...offsets]);
	const lines = stdout.split('\n');
	offsets.forEach((offset, i) => {
		const [name, where] = lines.slice(2 * i);
		const isKnown = name && name !== '??';
		frameTexts.set(`${file}+${offset}`, isKnown ? `${name} (${path.relative(process.cwd(), where)})` : `${path.basename(file)}+${offset}`);
	});
}

// Resolves with a stack in words, where the program has them. Other sweeps go on meanwhile.
export async function stackText(stack) {
	const unknown = stack.filter((frame) => !frameTexts.has(frame)).map((frame) => frame.split('+'));
	for (const file of new Set(unknown.map(([name]) => name))) {
		await nameFrames(file, unknown.filter(([name]) => name === file).map(([, offset]) => offset));
	}
	return stack.map((frame) => `    ${frameTexts.get(frame)}\n`).join('');
}

export const countDescriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;
