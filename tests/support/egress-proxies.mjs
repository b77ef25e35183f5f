// Proxies that the gateway goes out through: microsocks (SOCKS5) and tinyproxy (HTTP CONNECT), and a scripted one that looks up names
// by itself.
//
//     const proxy = await EgressProxy.socks({ login: ['user', 'secret'] });
//     proxy.url; await proxy.said(/text/); await proxy.stop();
//     const scripted = await ScriptedSocks.start({ 'abc.onion:5222': server.port });
//     scripted.asked;     // ['abc.onion:5222']
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { freePort, onceMore, removeFolder, startChild, stopChild, tellWhenFailed, temporaryFolder, until } from './util.mjs';

function listens(port) {
	return new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
		socket.once('connect', () => socket.destroy());
	});
}

export class EgressProxy {
	static start(scheme, login, command) {
		return onceMore(async () => {
			const proxy = new EgressProxy();
			try {
				await proxy.launch(scheme, login, command);
				return proxy;
			} catch (error) {
				await proxy.stop();
				throw error;
			}
		});
	}

	async launch(scheme, login, command) {
		this.folder = temporaryFolder('egress');
		this.port = await freePort();
		this.output = '';
		this.url = `${scheme}://${login ? `${login.map(encodeURIComponent).join(':')}@` : ''}127.0.0.1:${this.port}`;
		const [program, ...args] = command(this);
		this.child = startChild(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
		for (const pipe of [this.child.stdout, this.child.stderr]) {
			pipe.setEncoding('utf8').on('data', (more) => (this.output += more));
		}
		tellWhenFailed(() => `What ${program} said:\n${this.output}`);
		await until(() => {
			assert.equal(this.child.exitCode, null, `${program}: ${this.output}`);
			return listens(this.port);
		}, 10000, `${program} listens`);
	}

	static socks({ login } = {}) {
		return this.start('socks5', login, ({ port }) => ['microsocks', '-i', '127.0.0.1', '-p', String(port),
			...(login ? ['-u', login[0], '-P', login[1]] : [])]);
	}

	static http({ login } = {}) {
		return this.start('http', login, ({ folder, port }) => {
			const file = path.join(folder, 'tinyproxy.conf');
			writeFileSync(file, [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.0/8', 'LogLevel Connect', 'MaxClients 50', 'Timeout 600',
				...(login ? [`BasicAuth ${login.join(' ')}`] : []), ''].join('\n'));
			return ['tinyproxy', '-d', '-c', file];
		});
	}

	said(words) {
		return until(() => words.test(this.output), 10000, `${words} in what the proxy prints:\n${this.output}`);
	}

	async stop() {
		await stopChild(this.child, { patience: 5000 });
		removeFolder(this.folder);
	}
}

// Knows its names: "host:port" to a port of this machine, or to the number of a SOCKS reply as { reply }. With @speech it says only that.
export class ScriptedSocks {
	static async start(names = {}, { speech } = {}) {
		const proxy = new ScriptedSocks();
		Object.assign(proxy, { names, speech, asked: [], sockets: new Set() });
		proxy.listener = net.createServer((socket) => proxy.serve(socket));
		await new Promise((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
		proxy.port = proxy.listener.address().port;
		proxy.url = `socks5://127.0.0.1:${proxy.port}`;
		return proxy;
	}

	serve(socket) {
		this.sockets.add(socket);
		socket.on('error', () => {}).once('close', () => this.sockets.delete(socket));
		if (this.speech !== undefined) {
			socket.on('data', () => {});
			socket.write(this.speech);
			return;
		}
		socket.once('data', () => {
			socket.write(Buffer.from([5, 0]));
			socket.once('data', (request) => this.connect(socket, request));
		});
	}

	connect(socket, request) {
		const [, , , kind, n] = request;
		const host = kind === 3 ? request.subarray(5, 5 + n).toString() : [...request.subarray(4, 8)].join('.');
		const name = `${host}:${request.readUInt16BE(request.length - 2)}`;
		const found = this.names[name] ?? { reply: 4 };
		this.asked.push(name);
		if (found.reply) {
			socket.end(Buffer.from([5, found.reply]));
			return;
		}
		const server = net.connect(found, '127.0.0.1', () => {
			socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
			socket.pipe(server).pipe(socket);
		}).on('error', () => socket.destroy());
		socket.once('close', () => server.destroy());
	}

	async stop() {
		this.sockets.forEach((socket) => socket.destroy());
		await new Promise((resolve) => this.listener.close(resolve));
	}
}

// Connects to this machine whatever it is asked for, as long as that has a port.
export class ScriptedConnect {
	static async start() {
		const proxy = new ScriptedConnect();
		proxy.sockets = new Set();
		proxy.listener = http.createServer().on('connect', (request, socket) => proxy.connect(request, socket));
		await new Promise((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
		proxy.url = `http://127.0.0.1:${proxy.listener.address().port}`;
		return proxy;
	}

	connect({ url }, socket) {
		this.sockets.add(socket);
		const server = net.connect(Number(url.split(':').at(-1)), '127.0.0.1', () => {
			socket.write('HTTP/1.1 200 Connected\r\n\r\n');
			socket.pipe(server).pipe(socket);
		}).on('error', () => socket.destroy());
		socket.on('error', () => {}).once('close', () => {
			this.sockets.delete(socket);
			server.destroy();
		});
	}

	async stop() {
		this.sockets.forEach((socket) => socket.destroy());
		await new Promise((resolve) => this.listener.close(resolve));
	}
}
