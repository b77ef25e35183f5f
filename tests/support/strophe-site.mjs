// A web site of its own, with strophe.js in it: an origin that is not the gateway's.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const STROPHE = path.join(path.dirname(createRequire(import.meta.url).resolve('strophe.js/package.json')), 'dist/strophe.umd.min.js');
const PAGE = '<!doctype html><meta charset="utf-8"><title>Another origin</title><script src="/strophe.js"></script><body>';

export async function startStropheSite() {
	const server = http.createServer((request, response) => {
		const isScript = request.url === '/strophe.js';
		response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
		response.end(isScript ? readFileSync(STROPHE) : PAGE);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		origin: `http://127.0.0.1:${server.address().port}`,
		stop: () => new Promise((resolve) => {
			server.close(resolve);
			server.closeAllConnections();
		}),
	};
}

// Runs in the page: logs in with strophe.js, sends itself a message, logs out, and resolves with what came back.
export function talkToItself({ url, jid, password }) {
	return new Promise((resolve, reject) => {
		const { Strophe, $msg } = window;
		const connection = new Strophe.Connection(url);
		let result;
		connection.connect(jid, password, (status, reason) => {
			if (status === Strophe.Status.CONNECTED) {
				connection.addHandler((stanza) => {
					result = { jid: connection.jid, body: stanza.querySelector('body').textContent };
					connection.disconnect();
				}, null, 'message');
				connection.send($msg({ to: connection.jid, type: 'chat' }).c('body').t('from afar ä漢😀'));
			} else if (status === Strophe.Status.CONNFAIL || status === Strophe.Status.AUTHFAIL) {
				reject(new Error(`status ${status}: ${reason}`));
			} else if (status === Strophe.Status.DISCONNECTED && result) {
				resolve(result);
			}
		});
	});
}
