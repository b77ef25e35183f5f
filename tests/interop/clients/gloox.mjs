// gloox behind the common face of the clients: see all.mjs. It is C++, in a process of its own: gloox.cpp tells what they say to each
// other.
import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startChild, stopChild, temporaryFolder, within } from '../../support/util.mjs';

const SOURCE = fileURLToPath(new URL('gloox.cpp', import.meta.url));

// Builds the program. Returns the folder that it is in.
export function buildGloox() {
	const folder = temporaryFolder('gloox');
	const flags = execFileSync('pkg-config', ['--cflags', '--libs', 'gloox'], { encoding: 'utf8' }).trim().split(/\s+/);
	execFileSync('c++', ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-O1', '-g', '-o', path.join(folder, 'gloox'), SOURCE, ...flags],
		{ stdio: ['ignore', 'inherit', 'inherit'] });
	return folder;
}

export class GlooxClient extends EventEmitter {
	// @mode: legacy, persistent, pipelining. @folder: from buildGloox().
	static async connect(mode, { url, domain, user, password, folder }) {
		const client = new GlooxClient();
		const { hostname, port, pathname } = new URL(url);
		client.child = startChild(path.join(folder, 'gloox'), [hostname, port, pathname, `${user}@${domain}/gloox-${mode}`, mode],
			{ stdio: ['pipe', 'pipe', 'inherit'] });
		client.child.stdin.on('error', () => {});
		createInterface({ input: client.child.stdout }).on('line', (line) => client.told(line.split(' ')));
		client.child.once('exit', () => client.emit('closed', 'the program ended'));
		client.child.stdin.write(`${password}\n`);
		await new Promise((resolve, reject) => {
			client.once('online', resolve);
			client.once('closed', (reason) => reject(new Error(`gloox: ${reason}`)));
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
			this.emit('closed', `${first} ${second}`);
		}
	}

	say(command, ...texts) {
		this.child.stdin.write(`${[command, ...texts.map(encodeURIComponent)].join(' ')}\n`);
	}

	sendMessage(to, body) {
		this.say('message', to, body);
	}

	sendPresence({ to }) {
		this.say('presence', to);
	}

	async disconnect() {
		const gone = once(this.child, 'exit');
		this.say('quit');
		await within(gone, 10000, 'the end of the program');
	}
}
