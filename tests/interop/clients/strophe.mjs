// strophe.js behind the common face of the clients: see all.mjs.
import './globals.mjs';
import { EventEmitter } from 'node:events';
import { $msg, $pres, Strophe } from 'strophe.js';
import { XMLHttpRequest } from './xhr.mjs';

globalThis.XMLHttpRequest ??= XMLHttpRequest;
Strophe.setLogLevel(Strophe.LogLevel.FATAL);

export class StropheClient extends EventEmitter {
	static connect({ url, domain, user, password }) {
		const client = new StropheClient();
		return client.connect(url, user === undefined ? domain : `${user}@${domain}`, password);
	}

	connect(url, jid, password) {
		this.connection = new Strophe.Connection(url);
		return new Promise((resolve, reject) => {
			this.connection.connect(jid, password, (status, reason) => {
				if (status === Strophe.Status.CONNECTED) {
					this.jid = this.connection.jid;
					this.connection.addHandler((stanza) => this.message(stanza), null, 'message');
					this.connection.addHandler((stanza) => this.presence(stanza), null, 'presence');
					resolve(this);
				} else if ([Strophe.Status.CONNFAIL, Strophe.Status.AUTHFAIL].includes(status)) {
					this.failure = reason;
					this.connection.disconnect();
					reject(new Error(`strophe.js: ${Object.keys(Strophe.Status)[status]} ${reason}`));
				} else if (status === Strophe.Status.DISCONNECTED) {
					this.connection.reset();
					this.emit('closed', reason);
				}
			});
		});
	}

	message(stanza) {
		const [body] = stanza.getElementsByTagName('body');
		if (body) {
			this.emit('message', { from: stanza.getAttribute('from'), type: stanza.getAttribute('type'), body: body.textContent });
		}
		return true;
	}

	presence(stanza) {
		this.emit('presence', { from: stanza.getAttribute('from'), type: stanza.getAttribute('type') ?? 'available' });
		return true;
	}

	sendMessage(to, body) {
		this.connection.send($msg({ to, type: 'chat' }).c('body').t(body));
	}

	sendPresence(attributes = {}) {
		this.connection.send($pres(attributes));
	}

	async disconnect() {
		const closed = new Promise((resolve) => this.once('closed', resolve));
		this.connection.flush();
		this.connection.disconnect('done');
		await closed;
	}
}
