// The clients of the field behind one face, so that each test runs with each of them, over each transport.
//
//     connect({ url, domain, user, password })   logs in (SCRAM; anonymous without @user); resolves with:
//     .jid, .sendMessage(to, body), .sendPresence(attributes), .disconnect(), and the events
//     'message' { from, body } (of strophe.js also type), 'presence' { from, type }, 'closed'
import { StanzaClient } from './stanza.mjs';
import { StropheClient } from './strophe.mjs';
import { XmppJsClient } from './xmppjs.mjs';

export const CLIENTS = [
	{ name: 'strophe.js over BOSH', transport: 'bosh', connect: StropheClient.connect },
	{ name: 'strophe.js over WebSocket', transport: 'websocket', connect: StropheClient.connect },
	{ name: '@xmpp/client over WebSocket', transport: 'websocket', connect: XmppJsClient.connect },
	{ name: 'stanza over BOSH', transport: 'bosh', connect: StanzaClient.connect },
	{ name: 'stanza over WebSocket', transport: 'websocket', connect: StanzaClient.connect },
];

export const clientNamed = (name) => CLIENTS.find((client) => client.name === name);

// Where that client finds the gateway.
export const urlFor = (client, doab) => (client.transport === 'bosh' ? doab.boshUrl : doab.websocketUrl);
