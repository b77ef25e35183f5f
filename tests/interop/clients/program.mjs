// A client of another language, which is a program of ours around its library, behind the common face of the clients: see all.mjs.
// The program reads commands and writes events, a line each, whose words are percent-encoded.
import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startChild, stopChild, temporaryFolder, within } from '../../support/util.mjs';

// Builds the program from @source for the library of pkg-config's @name. Returns the folder that it is in, under that name.
export function buildProgram(name, compiler, source) {
	const folder = temporaryFolder(name);
	const flags = execFileSync('pkg-config', ['--cflags', '--libs', name], { encoding: 'utf8' }).trim().split(/\s+/);
	execFileSync(compiler[0], [...compiler.slice(1), '-Wall', '-Wextra', '-Werror', '-O1', '-g', '-o', path.join(folder, name), source, ...flags],
		{ stdio: ['ignore', 'inherit', 'inherit'] });
	return folder;
}

export class ProgramClient extends EventEmitter {
	// Starts the program of @name and waits until it is online.
	async start(name, folder, args, password) {
		this.child = startChild(path.join(folder, name), args, { stdio: ['pipe', 'pipe', 'inherit'] });
		this.child.stdin.on('error', () => {});
		createInterface({ input: this.child.stdout }).on('line', (line) => this.told(line.split(' ')));
		this.child.once('exit', () => this.emit('closed', 'the program ended'));
		this.child.stdin.write(`${password}\n`);
		await new Promise((resolve, reject) => {
			this.once('online', resolve);
			this.once('closed', (reason) => reject(new Error(`${name}: ${reason}`)));
		}).catch(async (error) => {
			await stopChild(this.child);
			throw error;
		});
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
			this.emit('closed', second ? `${first} ${second}` : first);
		}
	}

	say(command, ...texts) {
		this.child.stdin.write(`${[command, ...texts.map(encodeURIComponent)].join(' ')}\n`);
	}

	sendMessage(to, body) {
		this.say('message', to, body);
	}

	async disconnect() {
		const gone = once(this.child, 'exit');
		this.say('quit');
		await within(gone, 10000, 'the end of the program');
	}
}
