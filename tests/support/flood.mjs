// Somebody with an XMPP server of his own, in a process of his own: his clients open sessions to it and read, and then the server
// sends as many stanzas as it can to all of them.
//
//     const flood = await Flood.start();
//     flood.section                                    // a `domain` section that leads the gateway to the server
//     await flood.begin({ port, domain, from, n });    // @n sessions at the gateway on @port, of clients at the address @from
//     await flood.full();                              // nobody reads what it sends, and the queues are full
//     await flood.stop();
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sleep, startChild, stopChild, within } from './util.mjs';
import { OPCODE, WebSocketClient, encodeFrame } from './ws.mjs';
import { NS } from './xml.mjs';

const PROGRAM = fileURLToPath(import.meta.url);
const HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='flood' version='1.0'>" +
	'<stream:features/>';
const STILL_MS = 200;
const STANZAS = Buffer.from('<message/>'.repeat(6000));

export class Flood {
	static async start() {
		const flood = new Flood();
		flood.child = startChild(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
		flood.lines = createInterface(flood.child.stdout)[Symbol.asyncIterator]();
		flood.port = await flood.next('the port of the server');
		return flood;
	}

	async next(what, ms = 10000) {
		return (await within(this.lines.next(), ms, what)).value;
	}

	get section() {
		return { connect: [`127.0.0.1:${this.port}`], tls: 'off' };
	}

	async order(order, what) {
		this.child.stdin.write(`${JSON.stringify(order)}\n`);
		await this.next(what, 30000);
	}

	begin(sessions) {
		return this.order({ sessions }, 'the sessions');
	}

	full() {
		return this.order({}, 'the end of the flood');
	}

	stop() {
		return stopChild(this.child, { signal: 'SIGKILL' });
	}
}

// Resolves when @socket has sent @words.
function receive(socket, words) {
	return new Promise((resolve, reject) => {
		let text = '';
		const onData = (data) => {
			text += data;
			if (text.includes(words)) {
				socket.off('data', onData);
				resolve();
			}
		};
		socket.on('data', onData);
		socket.once('close', () => reject(new Error(`closed before ${words}: ${text}`)));
	});
}

async function openSession({ port, domain, from }) {
	const socket = net.connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
	socket.write(WebSocketClient.handshake('/xmpp-websocket', 'xmpp').request);
	await receive(socket, '\r\n\r\n');
	socket.write(encodeFrame(OPCODE.text, `<open xmlns='${NS.framing}' to='${domain}' version='1.0'/>`));
	await receive(socket, 'features');
	socket.on('data', () => {});
}

function sendFor(socket) {
	const sendOn = () => socket.write(STANZAS) && setImmediate(sendOn);
	socket.on('drain', sendOn);
	sendOn();
}

async function waitUntilFull(streams) {
	const count = () => streams.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
	for (let before = -1; count() > before; await sleep(STILL_MS)) {
		before = count();
	}
}

async function main() {
	const streams = [];
	const server = net.createServer(async (socket) => {
		socket.on('error', () => {});
		streams.push(socket);
		await receive(socket, '<stream:stream');
		socket.resume().write(HEADER);
	});
	server.listen(0, '127.0.0.1', () => console.log(server.address().port));
	for await (const line of createInterface(process.stdin)) {
		const { sessions } = JSON.parse(line);
		if (sessions) {
			for (let i = 0; i < sessions.n; i++) {
				await openSession(sessions);
			}
			streams.forEach(sendFor);
		} else {
			await waitUntilFull(streams);
		}
		console.log('done');
	}
}

if (process.argv[1] === PROGRAM) {
	await main();
}
