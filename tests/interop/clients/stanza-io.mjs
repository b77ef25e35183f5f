// stanza.io 8 and 10, which clients of that time still bring along, behind the common face of the clients: see all.mjs. Behind a
// stanza they often send an empty request at once, on a second connection.
import './globals.mjs';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export class StanzaIoClient extends EventEmitter {
	// @version: 8 or 10.
	static connect(version, { url, domain, user, password }) {
		const face = new StanzaIoClient();
		face.client = require(`stanza-io-${version}`).createClient({
			jid: `${user}@${domain}`, password, server: domain, transports: ['bosh'], boshURL: url, useStreamManagement: false,
			// What npm gives version 8 for SCRAM today is too new for it.
			sasl: ['plain'],
		});
		return face.start();
	}

	start() {
		const { client } = this;
		client.on('message', ({ from, body }) => body !== undefined && this.emit('message', { from: String(from), body }));
		client.on('presence', ({ from, type }) => this.emit('presence', { from: String(from), type: type || 'available' }));
		client.on('disconnected', () => this.emit('closed'));
		return new Promise((resolve, reject) => {
			client.once('session:started', () => {
				this.jid = String(client.jid);
				resolve(this);
			});
			client.once('auth:failed', () => reject(new Error('stanza.io: authentication failed')));
			client.once('bosh:terminate', ({ condition }) => reject(new Error(`stanza.io: terminated: ${condition}`)));
			client.connect();
		});
	}

	sendMessage(to, body) {
		this.client.sendMessage({ to, type: 'chat', body });
	}

	sendPresence(attributes = {}) {
		this.client.sendPresence(attributes);
	}

	async disconnect() {
		const closed = new Promise((resolve) => this.once('closed', resolve));
		this.client.disconnect();
		await closed;
	}
}
