// The program as `meson install` puts it into a folder.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BINARY } from './doab.mjs';
import { removeFolder, run, temporaryFolder } from './util.mjs';

// Why the tests that need the program @command are skipped; undefined where it is installed.
export async function without(command) {
	const { code } = await run('sh', ['-c', `command -v ${command}`]);
	return code === 0 ? undefined : `no ${command} here`;
}

export class Installed {
	// Installs what BINARY was built with.
	static async make() {
		const installed = new Installed();
		installed.build = path.resolve(BINARY, '../..');
		installed.folder = temporaryFolder('installed');
		const options = await run('meson', ['introspect', '--buildoptions', installed.build]);
		installed.options = Object.fromEntries(JSON.parse(options.stdout).map(({ name, value }) => [name, value]));
		await installed.install();
		return installed;
	}

	// Installs, once more for the second call.
	async install() {
		const { code, stdout, stderr } = await run('meson', ['install', '-C', this.build, '--no-rebuild', '--quiet', '--destdir', this.folder]);
		if (code !== 0) {
			throw new Error(`meson install: ${code}\n${stdout}${stderr}`);
		}
	}

	// The path of a file, from the prefix on.
	path(name) {
		return path.join(this.folder, this.options.prefix, name);
	}

	text(name) {
		return readFileSync(this.path(name), 'utf8');
	}

	// All files, from the prefix on.
	files() {
		const prefix = this.path('.');
		return readdirSync(this.folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
			.map((entry) => path.relative(prefix, path.join(entry.parentPath ?? entry.path, entry.name))).sort();
	}

	stop() {
		removeFolder(this.folder);
		return Promise.resolve();
	}
}
