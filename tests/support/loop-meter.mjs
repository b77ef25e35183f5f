// Measures how much CPU time each iteration of the gateway's loops takes. The gateway runs with tests/faults/loop-meter.c preloaded.
//
//     const meter = LoopMeter.open();
//     const doab = await Doab.start({}, { env: meter.env });
//     meter.reset();
//     ...
//     meter.read();       // { n: 4711, mostMs: 2.3, longest: [2.3, 1.9, ...] }
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder, temporaryFolder } from './util.mjs';

const SOURCE = fileURLToPath(new URL('../faults/loop-meter.c', import.meta.url));
// The layout of struct meter.
const STEPS = 2000;
const STEP_MS = 0.1;
const NUMBER_SIZE = 8;
const BURN_AT = STEPS * NUMBER_SIZE;
const SIZE = BURN_AT + NUMBER_SIZE;
const LONGEST = 20;

export class LoopMeter {
	static open() {
		const meter = new LoopMeter();
		meter.folder = temporaryFolder('loop-meter');
		const library = path.join(meter.folder, 'loop-meter.so');
		execFileSync('cc', ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-O2', '-fPIC', '-shared', '-ftls-model=initial-exec', '-o', library, SOURCE],
			{ stdio: ['ignore', 'ignore', 'inherit'] });
		const file = path.join(meter.folder, 'numbers');
		meter.file = openSync(file, 'w+');
		meter.reset();
		meter.env = { LD_PRELOAD: library, LOOP_METER: file, ASAN_OPTIONS: 'detect_leaks=1:exitcode=99:verify_asan_link_order=0' };
		return meter;
	}

	reset() {
		writeSync(this.file, Buffer.alloc(SIZE), 0, SIZE, 0);
	}

	// The number of iterations, the milliseconds of the longest one, and of those that follow it. What takes longer than 200 ms counts as that.
	read() {
		const bytes = Buffer.alloc(SIZE);
		readSync(this.file, bytes, 0, SIZE, 0);
		const counts = Array.from({ length: STEPS }, (_, i) => Number(bytes.readBigUInt64LE(i * NUMBER_SIZE)));
		const longest = [];
		for (let i = STEPS - 1; i >= 0 && longest.length < LONGEST; i--) {
			longest.push(...Array(Math.min(counts[i], LONGEST - longest.length)).fill(i * STEP_MS));
		}
		return { n: counts.reduce((sum, count) => sum + count), mostMs: longest[0] ?? 0, longest };
	}

	// Lets one iteration take so much longer, to see that this is noticed.
	burn(ms) {
		const bytes = Buffer.alloc(NUMBER_SIZE);
		bytes.writeBigUInt64LE(BigInt(ms * 1000));
		writeSync(this.file, bytes, 0, NUMBER_SIZE, BURN_AT);
	}

	close() {
		closeSync(this.file);
		removeFolder(this.folder);
	}
}
