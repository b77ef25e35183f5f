// libpurple (Pidgin, Finch), whose program is C: purple.c.
import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder } from '../../support/util.mjs';
import { ProgramClient, buildProgram } from './program.mjs';

const SOURCE = fileURLToPath(new URL('purple.c', import.meta.url));

// Its users may write to the folder.
export const buildPurple = () => buildProgram('purple', ['cc', '-std=gnu17'], SOURCE);

export class PurpleClient extends ProgramClient {
	// @folder: from buildPurple().
	static async connect({ url, domain, user, password, folder }) {
		const client = new PurpleClient();
		client.folder = mkdtempSync(path.join(folder, `${user}-`));
		await client.start('purple', folder, [url, `${user}@${domain}/purple`, client.folder], password);
		return client;
	}

	sendPresence({ to } = {}) {
		this.say('raw', `<presence${to ? ` to='${to}'` : ''}/>`);
	}

	async disconnect() {
		await super.disconnect();
		removeFolder(this.folder);
	}
}
