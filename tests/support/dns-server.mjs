// A scripted DNS server (RFC 1035, RFC 2782, RFC 6698) on UDP and TCP with an encoder and decoder of its own; it counts what it is asked.
//
//     const dns = await DnsServer.start({
//         '_xmpp-client._tcp.example.test': { SRV: [[10, 0, 5222, 'one.example.test']], TTL: 5 },
//         'one.example.test': { A: ['127.0.0.1'], AAAA: ['::1'] },
//         '_5222._tcp.one.example.test': { TLSA: [[3, 1, 1, 'c0ffee...']], AD: true },
//         'alias.test': { CNAME: 'one.example.test' },
//         'broken.test': 'SERVFAIL',       // or 'REFUSED', 'SILENT' (no answer at all), a function (below)
//         'half.test': { A: ['127.0.0.1'], AAAA: 'SILENT' },   // a kind by itself
//     });
//     dns.count('one.example.test', 'A');
//     dns.set('new.test', { A: ['127.0.0.1'] });
//
// TTL     of the records, in seconds; 60 unless said
// AD      the records were found to be signed: the answer says so to whoever asked for it, with the AD bit (RFC 6840, 5.7)
// TRUNCATE  over UDP the answer is cut to nothing and says so; as one of more than 512 bytes always does
// TCP     what is done with a question that comes over TCP, instead of answering it: 'CLOSE',
//         'RESET', 'SILENT', or a buffer that is sent
// AFTER   a function that is called for each answer and returns a promise: the answer goes out
//         when that is fulfilled
// a function gets the query and returns the whole answer, to be garbage of any sort, or several of them, or nothing
//
// With { tcp: false } nobody listens on TCP; with { tcp: 'hole' } nobody ever accepts a connection
// there.
//
// A name that is not there is NXDOMAIN; a type that is not there has no records. Both come with an SOA whose MINIMUM is `negativeTtl`.
import dgram from 'node:dgram';
import net from 'node:net';
import { BlackHole } from './black-hole.mjs';

const TYPES = { A: 1, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, SRV: 33, TLSA: 52 };
const TYPE_NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, number]) => [number, name]));
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };
const CLASS_IN = 1;
const TTL_S = 60;
const FLAGS_ANSWER = 0x8580; // response, authoritative, recursion desired and available
const FLAG_TRUNCATED = 0x0200;
const FLAG_AUTHENTIC = 0x0020;
const UDP_MAX = 512;
const PORT_TRIES = 20;

export function encodeName(name) {
	const labels = name.split('.').filter(Boolean).map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
	return Buffer.concat([...labels, Buffer.from([0])]);
}

function decodeQuestion(message) {
	const labels = [];
	let at = 12;
	while (message[at] !== 0) {
		labels.push(message.subarray(at + 1, at + 1 + message[at]).toString());
		at += 1 + message[at];
	}
	return { name: labels.join('.'), type: TYPE_NAMES[message.readUInt16BE(at + 1)] ?? String(message.readUInt16BE(at + 1)),
		bytes: message.subarray(12, at + 5), id: message.readUInt16BE(0), wantsAuthentic: (message[3] & FLAG_AUTHENTIC) !== 0 };
}

function encodeAddress(text) {
	if (net.isIPv4(text)) {
		return Buffer.from(text.split('.').map(Number));
	}
	const [head, tail = ''] = text.split('::');
	const groups = (part) => part.split(':').filter(Boolean);
	const missing = 8 - groups(head).length - groups(tail).length;
	const all = text.includes('::') ? [...groups(head), ...Array(missing).fill('0'), ...groups(tail)] : groups(text);
	return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function encodeNumbers(numbers, bytes) {
	const data = Buffer.alloc(numbers.length * bytes);
	numbers.forEach((number, i) => data.writeUIntBE(number, i * bytes, bytes));
	return data;
}

function encodeData(type, value) {
	switch (type) {
		case 'SRV':
			return Buffer.concat([encodeNumbers(value.slice(0, 3), 2), encodeName(value[3])]);
		case 'TLSA':
			return Buffer.concat([Buffer.from(value.slice(0, 3)), Buffer.from(value[3], 'hex')]);
		case 'SOA':
			return Buffer.concat([encodeName('ns.test'), encodeName('master.test'), encodeNumbers([1, 3600, 600, 86400, value], 4)]);
		case 'TXT':
			return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
		case 'CNAME':
			return encodeName(value);
		default:
			return encodeAddress(value);
	}
}

export function encodeRecord(name, type, value, ttl = TTL_S) {
	const data = encodeData(type, value);
	const fixed = Buffer.alloc(10);
	fixed.writeUInt16BE(TYPES[type], 0);
	fixed.writeUInt16BE(CLASS_IN, 2);
	fixed.writeUInt32BE(ttl, 4);
	fixed.writeUInt16BE(data.length, 8);
	return Buffer.concat([encodeName(name), fixed, data]);
}

// A message: what was asked, and encoded records.
export function encodeMessage(question, flags, records = [], authority = []) {
	const head = encodeNumbers([question.id, flags, 1, records.length, authority.length, 0], 2);
	return Buffer.concat([head, question.bytes, ...records, ...authority]);
}

function bind(socket, port, host) {
	return new Promise((resolve, reject) => {
		socket.once('error', reject);
		socket.bind(port, host, () => resolve(socket.off('error', reject)));
	});
}

function listen(server, port, host) {
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen(port, host, () => resolve(server.off('error', reject)));
	});
}

export class DnsServer {
	static async start(zone, { negativeTtl = TTL_S, tcp = true, host = '127.0.0.1', port = 0 } = {}) {
		const server = new DnsServer();
		Object.assign(server, { tcp, host, port });
		server.zone = {};
		Object.entries(zone).forEach(([name, entry]) => server.set(name, entry));
		server.negativeTtl = negativeTtl;
		server.queries = [];
		server.streams = new Set();
		await server.listen();
		return server;
	}

	// UDP and TCP on one port.
	async listen() {
		for (let tries = PORT_TRIES; ; tries--) {
			this.socket = await bind(dgram.createSocket('udp4'), this.port, this.host);
			this.port = this.socket.address().port;
			try {
				await this.listenTcp();
				break;
			} catch (error) {
				await new Promise((resolve) => this.socket.close(resolve));
				this.port = 0;
				if (tries === 0) {
					throw error;
				}
			}
		}
		this.socket.on('message', (message, peer) => {
			const send = (answer) => this.socket.send(answer, peer.port, peer.address);
			this.respond(message, 'udp', send);
		});
	}

	async listenTcp() {
		if (this.tcp === 'hole') {
			this.hole = await BlackHole.start(this.port);
		} else if (this.tcp) {
			this.server = await listen(net.createServer((stream) => this.serve(stream)), this.port, this.host);
		}
	}

	// Whether this was not a question to be answered.
	misbehave(stream, message) {
		const { TCP: behaviour } = this.zone[decodeQuestion(message).name.toLowerCase()] ?? {};
		if (behaviour === undefined) {
			return false;
		}
		this.answer(message, 'tcp');
		if (behaviour === 'CLOSE') {
			stream.end();
		} else if (behaviour === 'RESET') {
			stream.resetAndDestroy();
		} else if (behaviour !== 'SILENT') {
			stream.write(behaviour);
		}
		return true;
	}

	// Sends the answer, if there is one, now or when its time has come.
	async respond(message, transport, send) {
		const answer = this.answer(message, transport);
		const after = this.zone[decodeQuestion(message).name.toLowerCase()]?.AFTER;
		if (after) {
			await after();
		}
		if (answer && !this.isStopped) {
			[answer].flat().forEach(send);
		}
	}

	serve(stream) {
		const send = (answer) => stream.write(Buffer.concat([encodeNumbers([answer.length], 2), answer]));
		let bytes = Buffer.alloc(0);
		this.streams.add(stream.once('close', () => this.streams.delete(stream)));
		stream.on('error', () => {}).on('data', (chunk) => {
			bytes = Buffer.concat([bytes, chunk]);
			while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
				const end = 2 + bytes.readUInt16BE(0);
				const message = bytes.subarray(2, end);
				bytes = bytes.subarray(end);
				if (!this.misbehave(stream, message)) {
					this.respond(message, 'tcp', send);
				}
			}
		});
	}

	get address() {
		return `${this.host}:${this.port}`;
	}

	set(name, entry) {
		this.zone[name.toLowerCase()] = entry;
	}

	// Follows CNAMEs inside the zone, as a resolver does.
	records(name, type, depth = 0) {
		const entry = this.zone[name.toLowerCase()];
		if (entry === undefined || typeof entry !== 'object' || depth > 8) {
			return [];
		}
		if (entry.CNAME) {
			return [encodeRecord(name, 'CNAME', entry.CNAME, entry.TTL), ...this.records(entry.CNAME, type, depth + 1)];
		}
		return (entry[type] ?? []).map((value) => encodeRecord(name, type, value, entry.TTL));
	}

	// The bytes to be sent, or nothing.
	answer(message, transport) {
		const question = decodeQuestion(message);
		this.queries.push({ name: question.name.toLowerCase(), type: question.type, transport });
		const entry = this.zone[question.name.toLowerCase()];
		const behaviour = typeof entry?.[question.type] === 'string' ? entry[question.type] : entry;
		if (behaviour === 'SILENT') {
			return undefined;
		}
		if (typeof behaviour === 'function') {
			return behaviour(question);
		}
		if (typeof behaviour === 'string') {
			return encodeMessage(question, FLAGS_ANSWER | RCODES[behaviour]);
		}
		const flags = FLAGS_ANSWER | (entry === undefined ? RCODES.NXDOMAIN : 0) |
			(entry?.AD && question.wantsAuthentic ? FLAG_AUTHENTIC : 0);
		const records = this.records(question.name, question.type);
		const authority = records.length ? [] : [encodeRecord('test', 'SOA', this.negativeTtl, this.negativeTtl)];
		const answer = encodeMessage(question, flags, records, authority);
		if (transport === 'udp' && (entry?.TRUNCATE || answer.length > UDP_MAX)) {
			return encodeMessage(question, flags | FLAG_TRUNCATED);
		}
		return answer;
	}

	count(name, type, transport) {
		return this.queries.filter((query) => query.name === name.toLowerCase() && query.type === type &&
			(transport === undefined || query.transport === transport)).length;
	}

	async stop() {
		this.isStopped = true;
		this.streams.forEach((stream) => stream.destroy());
		await this.hole?.stop();
		if (this.server) {
			await new Promise((resolve) => this.server.close(resolve));
		}
		await new Promise((resolve) => this.socket.close(resolve));
	}
}
