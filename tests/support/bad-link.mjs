// A bad network link between two sides of one test: bad-link.py beside a namespace of the test's own.
//
//     const { isInside, reason } = await enterNamespace(import.meta.url);   // namespaces.mjs
//     const link = await BadLink.open(1);
//     net.connect(5222, link.far);             // reaches what listens on link.near, port 5222
//     await link.set({ loss: 0.1, delay: 20, jitter: 20 });                 // in both directions
//     await link.set({}, { cut: true });       // up: nothing befalls the packets; down: none arrives
//     await link.heal();
//
// "Up" is away from the side that connects. The keys are those of bad-link.py. DOAB_LINK_SEED brings the dice of an earlier run
// back, though not its timing.
import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startChild, stopChild, within } from './util.mjs';

const PROGRAM = fileURLToPath(new URL('./bad-link.py', import.meta.url));
// Beside those of namespaces.mjs.
const FIRST_NET = 60;
export const LINK_SEED = process.env.DOAB_LINK_SEED ?? '1';

// Why there can be no such link here, or undefined.
export function whyNoLinks() {
	try {
		closeSync(openSync('/dev/net/tun', 'r+'));
		return undefined;
	} catch (error) {
		return `no TUN device here: ${error.message}`;
	}
}

export class BadLink {
	static async open(n) {
		const link = new BadLink();
		const device = `link${n}`;
		Object.assign(link, { near: `11.0.${FIRST_NET + n}.1`, far: `11.0.${FIRST_NET + n}.2`, waiting: [] });
		link.child = startChild('python3', [PROGRAM, device, `${LINK_SEED}-${n}`], { stdio: ['pipe', 'pipe', 'inherit'] });
		link.child.stdin.unref?.();
		createInterface(link.child.stdout).on('line', (line) => link.waiting.shift()(JSON.parse(line)));
		await link.heal();
		execFileSync('ip', ['addr', 'add', `${link.near}/24`, 'dev', device]);
		execFileSync('ip', ['link', 'set', device, 'up']);
		return link;
	}

	command(way, faults) {
		const answered = new Promise((resolve) => this.waiting.push(resolve));
		this.child.stdin.write(`${JSON.stringify({ way, ...faults })}\n`);
		return within(answered, 10000, 'an answer of the link');
	}

	// Resolves with the packets of each direction so far, by what became of them.
	async set(up, down = up) {
		return { up: await this.command('up', up), down: await this.command('down', down) };
	}

	heal() {
		return this.set({});
	}

	async stop() {
		await stopChild(this.child);
	}
}
