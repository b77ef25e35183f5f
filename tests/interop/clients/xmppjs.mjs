// @xmpp/client behind the common face of the clients: see all.mjs.
import './globals.mjs';
import { EventEmitter } from 'node:events';
import { client, xml } from '@xmpp/client';
import { patiently, sleep, until } from '../../support/util.mjs';

export class XmppJsClient extends EventEmitter {
	static async connect({ url, domain, user, password, resume = false }) {
		const face = new XmppJsClient();
		// By itself it gives up a step of its connection after 2 seconds.
		const entity = client({ service: url, domain, timeout: patiently(10000), ...(user === undefined ? {} : { username: user, password }) });
		face.entity = entity;
		if (!resume) {
			entity.reconnect.stop();
		}
		entity.on('error', (error) => (face.failure = error));
		entity.on('stanza', (stanza) => face.stanza(stanza));
		entity.on('offline', () => face.emit('closed'));
		entity.on('disconnect', () => face.emit('closed'));
		face.jid = String(await entity.start());
		// Its count of stanzas is wrong when some come in one piece with <enabled/>. Then the server ends the stream. It sends
		// <enable/> right after it has told that it is online.
		await sleep(0);
		await until(() => entity.streamManagement.enabled || !entity.streamManagement.enableSent, 10000, '<enabled/>');
		return face;
	}

	stanza(stanza) {
		const from = stanza.attrs.from;
		if (stanza.is('message') && stanza.getChild('body')) {
			this.emit('message', { from, body: stanza.getChildText('body') });
		} else if (stanza.is('presence')) {
			this.emit('presence', { from, type: stanza.attrs.type ?? 'available' });
		}
	}

	sendMessage(to, body) {
		return this.entity.send(xml('message', { to, type: 'chat' }, xml('body', {}, body)));
	}

	sendPresence(attributes = {}) {
		return this.entity.send(xml('presence', attributes));
	}

	disconnect() {
		return this.entity.stop();
	}
}
