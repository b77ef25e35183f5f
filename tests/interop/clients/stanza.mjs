// stanza behind the common face of the clients: see all.mjs.
import './globals.mjs';
import './ordered-fetch.mjs';
import { EventEmitter } from 'node:events';
import { createClient } from 'stanza';

// It takes these when they are offered, though it has no channel to bind to (RFC 5802, 6), and so fails. ejabberd offers
// them over TLS, and the gateway passes on what is offered: whoever lets stanza meet such servers has to do likewise.
const WITH_CHANNEL_BINDING = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS'];

export class StanzaClient extends EventEmitter {
	static connect({ url, domain, user, password }) {
		const face = new StanzaClient();
		const transport = url.startsWith('ws') ? 'websocket' : 'bosh';
		face.client = createClient({
			autoReconnect: false,
			server: domain,
			transports: { [transport]: url },
			...(user === undefined ? { jid: domain, credentials: {} } : { jid: `${user}@${domain}`, password }),
		});
		WITH_CHANNEL_BINDING.forEach((mechanism) => face.client.sasl.disable(mechanism));
		return face.start();
	}

	start() {
		const { client } = this;
		client.on('message', ({ from, body }) => body !== undefined && this.emit('message', { from, body }));
		client.on('presence', ({ from, type }) => this.emit('presence', { from, type: type ?? 'available' }));
		// Its own 'disconnected' never comes when something was left in a queue at the end.
		client.on('--transport-disconnected', () => this.emit('closed'));
		return new Promise((resolve, reject) => {
			client.once('session:started', () => {
				this.jid = client.jid;
				// Over BOSH it stumbles over a stream error inside of the last answer (XEP-0206 wants it there).
				client.transport.on('error', () => this.emit('closed'));
				resolve(this);
			});
			client.once('auth:failed', () => {
				reject(new Error('stanza: authentication failed'));
				// Its BOSH transport would go on asking for ever, and keep the test alive.
				Object.assign(client.transport, { isEnded: true });
				client.transport.destroy();
			});
			client.once('disconnected', () => reject(new Error('stanza: disconnected')));
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
