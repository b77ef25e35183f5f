// The gateway with a log that the test reads by itself: standard error as a pipe or a file, a file of its own, a syslog daemon.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { BINARY, configText } from './doab.mjs';
import { httpRequest } from './http.mjs';
import { freePort, startChild, stopChild, until, within } from './util.mjs';

export const linesOf = (file) => (existsSync(file) ? readFileSync(file, 'latin1').split('\n').slice(0, -1) : []);

// Runs the gateway with @config while @use({ port, child, stderr }) does; the configuration is written to @folder. Resolves with the
// lines of standard error, if @stdio is 'pipe', when the gateway has ended.
export async function runLogging(folder, config, use, { stdio = 'pipe', env = {} } = {}) {
	const port = await freePort();
	const file = path.join(folder, `${port}.conf`);
	writeFileSync(file, configText({ listen: [`127.0.0.1:${port}`], workers: 1, ...config }));
	const child = startChild(BINARY, ['--config', file], { stdio: ['ignore', 'ignore', stdio], env: { ...process.env, ...env } });
	const closed = new Promise((resolve) => child.once('close', resolve));
	const stderr = [];
	if (stdio === 'pipe') {
		createInterface({ input: child.stderr }).on('line', (line) => stderr.push(line));
	}
	await until(() => httpRequest(port, 'GET', '/').then(({ status }) => status === 200, () => false), 15000, 'the start');
	try {
		await use({ port, child, stderr });
	} finally {
		assert.equal(await stopChild(child, { patience: 20000 }), 0);
		await within(closed, 15000, 'the last lines'); // not at 'exit', behind which they may still come
	}
	return stderr;
}

// A syslog daemon at @socket that appends each message to @file as a line. In Python, because Node has no datagrams on Unix sockets.
export async function startSyslog(socket, file) {
	const code = `import os, socket, sys
if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
daemon.bind(sys.argv[1])
print("bound", flush=True)
with open(sys.argv[2], "ab", 0) as out:
    while True:
        out.write(daemon.recv(65536) + b"\\n")
`;
	const child = spawn('python3', ['-c', code, socket, file], { stdio: ['ignore', 'pipe', 'inherit'] });
	await within(new Promise((resolve) => child.stdout.once('data', resolve)), 15000, 'the syslog daemon');
	return {
		async stop() {
			const ended = new Promise((resolve) => child.once('exit', resolve));
			child.kill('SIGKILL');
			await ended;
		},
	};
}
