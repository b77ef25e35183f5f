// node-xmpp-client 3 behind the common face of the clients: see all.mjs. It asks for a restart of its stream before it logs in, and
// knows no SCRAM.
import './globals.mjs';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';

const Client = createRequire(import.meta.url)('node-xmpp-client');
const { Stanza } = Client;

export class NodeXmppClient extends EventEmitter {
	static connect({ url, domain, user, password }) {
		const face = new NodeXmppClient();
		face.client = new Client({ jid: `${user}@${domain}`, password, preferred: 'PLAIN', bosh: { url, wait: 60 } });
		return face.start();
	}

	start() {
		const { client } = this;
		client.on('stanza', (stanza) => this.stanza(stanza));
		client.on('close', () => this.emit('closed'));
		return new Promise((resolve, reject) => {
			client.once('online', ({ jid }) => {
				this.jid = String(jid);
				resolve(this);
			});
			client.on('error', (error) => reject(new Error(`node-xmpp-client: ${error.message ?? error}`)));
		});
	}

	stanza(stanza) {
		const { from, type } = stanza.attrs;
		if (stanza.is('message') && stanza.getChild('body')) {
			this.emit('message', { from, body: stanza.getChildText('body') });
		} else if (stanza.is('presence')) {
			this.emit('presence', { from, type: type ?? 'available' });
		}
	}

	sendMessage(to, body) {
		this.client.send(new Stanza('message', { to, type: 'chat' }).c('body').t(body));
	}

	sendPresence(attributes = {}) {
		this.client.send(new Stanza('presence', attributes));
	}

	async disconnect() {
		const closed = new Promise((resolve) => this.once('closed', resolve));
		this.client.end();
		await closed;
	}
}
