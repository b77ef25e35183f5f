// gloox, whose program is C++: gloox.cpp.
import { fileURLToPath } from 'node:url';
import { ProgramClient, buildProgram } from './program.mjs';

const SOURCE = fileURLToPath(new URL('gloox.cpp', import.meta.url));

export const buildGloox = () => buildProgram('gloox', ['c++', '-std=c++17'], SOURCE);

export class GlooxClient extends ProgramClient {
	// @mode: legacy, persistent, pipelining. @folder: from buildGloox().
	static async connect(mode, { url, domain, user, password, folder }) {
		const client = new GlooxClient();
		const { hostname, port, pathname } = new URL(url);
		await client.start('gloox', folder, [hostname, port, pathname, `${user}@${domain}/gloox-${mode}`, mode], password);
		return client;
	}

	sendPresence({ to }) {
		this.say('presence', to);
	}
}
