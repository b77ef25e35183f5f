// libpurple (Pidgin, Finch) behind the common face of the clients: see all.mjs. It is C, in a process of its own: purple.c tells
// what they say to each other.
import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { removeFolder, startChild, stopChild, temporaryFolder, within } from '../../support/util.mjs';

const SOURCE = fileURLToPath(new URL('purple.c', import.meta.url));

// Builds the program. Returns the folder that it is in, which its users may write to.
export function buildPurple() {
	const folder = temporaryFolder('purple');
	const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'purple'], { encoding: 'utf8' }).trim().split(/\s+/);
	execFileSync('cc', ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-O1', '-g', '-o', path.join(folder, 'purple'), SOURCE, ...flags],
		{ stdio: ['ignore', 'inherit', 'inherit'] });
	return folder;
}

export class PurpleClient extends EventEmitter {
	// @folder: from buildPurple().
	static async connect({ url, domain, user, password, folder }) {
		const client = new PurpleClient();
		client.folder = mkdtempSync(path.join(folder, `${user}-`));
		client.child = startChild(path.join(folder, 'purple'), [url, `${user}@${domain}/purple`, client.folder],
			{ stdio: ['pipe', 'pipe', 'inherit'] });
		client.child.stdin.on('error', () => {});
		createInterface({ input: client.child.stdout }).on('line', (line) => client.told(line.split(' ')));
		client.child.once('exit', () => client.emit('closed', 'the program ended'));
		client.child.stdin.write(`${password}\n`);
		await new Promise((resolve, reject) => {
			client.once('online', resolve);
			client.once('closed', (reason) => reject(new Error(`libpurple: ${reason}`)));
		}).catch(async (error) => {
			await stopChild(client.child);
			throw error;
		});
		return client;
	}

	told([event, ...texts]) {
		const [first, second] = texts.map(decodeURIComponent);
		if (event === 'online') {
			this.jid = first;
			this.emit('online');
		} else if (event === 'message') {
			this.emit('message', { from: first, body: second });
		} else if (event === 'presence') {
			this.emit('presence', { from: first, type: second });
		} else if (event === 'closed') {
			this.emit('closed', first);
		}
	}

	say(command, ...texts) {
		this.child.stdin.write(`${[command, ...texts.map(encodeURIComponent)].join(' ')}\n`);
	}

	sendMessage(to, body) {
		this.say('message', to, body);
	}

	sendPresence({ to } = {}) {
		this.say('raw', `<presence${to ? ` to='${to}'` : ''}/>`);
	}

	async disconnect() {
		const gone = once(this.child, 'exit');
		this.say('quit');
		await within(gone, 10000, 'the end of the program');
		removeFolder(this.folder);
	}
}
