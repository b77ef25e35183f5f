// A host of namespaces.mjs: the scripted XMPP server on port 5222 of all its addresses. Prints a line when it listens, and
// for each connection the address that it was made to.
import { XmppServer } from './xmpp-server.mjs';

const server = await XmppServer.start('plain', { host: '::', port: 5222 });
server.changes.on('connection', () => {
	console.log(server.connections.at(-1).socket.localAddress.replace(/^::ffff:/, ''));
});
console.log('ready');
