// A scripted DNS server (RFC 1035, RFC 2782) on UDP with an encoder and decoder of its own; it counts what it is asked.
//
//     const dns = await DnsServer.start({
//         '_xmpp-client._tcp.example.test': { SRV: [[10, 0, 5222, 'one.example.test']] },
//         'one.example.test': { A: ['127.0.0.1'], AAAA: ['::1'] },
//         'broken.test': 'SERVFAIL',       // or 'REFUSED', 'SILENT' (no answer at all)
//     });
//     dns.count('one.example.test', 'A');
//
// A name that is not there is NXDOMAIN; a type that is not there has no records.
import dgram from 'node:dgram';
import net from 'node:net';

const TYPES = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33 };
const TYPE_NAMES = Object.fromEntries(Object.entries(TYPES).map(([name, number]) => [number, name]));
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 };
const CLASS_IN = 1;
const TTL_S = 60;
const FLAGS_ANSWER = 0x8580; // response, authoritative, recursion desired and available

function encodeName(name) {
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
		bytes: message.subarray(12, at + 5) };
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

function encodeData(type, value) {
	if (type === 'SRV') {
		const [priority, weight, port, target] = value;
		const numbers = Buffer.alloc(6);
		[priority, weight, port].forEach((number, i) => numbers.writeUInt16BE(number, 2 * i));
		return Buffer.concat([numbers, encodeName(target)]);
	}
	return type === 'CNAME' ? encodeName(value) : encodeAddress(value);
}

function encodeRecord(name, type, value) {
	const data = encodeData(type, value);
	const fixed = Buffer.alloc(10);
	fixed.writeUInt16BE(TYPES[type], 0);
	fixed.writeUInt16BE(CLASS_IN, 2);
	fixed.writeUInt32BE(TTL_S, 4);
	fixed.writeUInt16BE(data.length, 8);
	return Buffer.concat([encodeName(name), fixed, data]);
}

export class DnsServer {
	static async start(zone) {
		const server = new DnsServer();
		server.zone = Object.fromEntries(Object.entries(zone).map(([name, entry]) => [name.toLowerCase(), entry]));
		server.queries = [];
		server.socket = dgram.createSocket('udp4');
		server.socket.on('message', (message, peer) => server.answer(message, peer));
		await new Promise((resolve) => server.socket.bind(0, '127.0.0.1', resolve));
		server.port = server.socket.address().port;
		return server;
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	// Follows CNAMEs inside the zone, as a resolver does.
	records(name, type, depth = 0) {
		const entry = this.zone[name.toLowerCase()];
		if (entry === undefined || typeof entry === 'string' || depth > 8) {
			return [];
		}
		if (entry.CNAME) {
			return [encodeRecord(name, 'CNAME', entry.CNAME), ...this.records(entry.CNAME, type, depth + 1)];
		}
		return (entry[type] ?? []).map((value) => encodeRecord(name, type, value));
	}

	answer(message, peer) {
		const question = decodeQuestion(message);
		this.queries.push({ name: question.name.toLowerCase(), type: question.type });
		const entry = this.zone[question.name.toLowerCase()];
		if (entry === 'SILENT') {
			return;
		}
		const code = entry === undefined ? 'NXDOMAIN' : typeof entry === 'string' ? entry : 'NOERROR';
		const records = this.records(question.name, question.type);
		const head = Buffer.alloc(12);
		message.copy(head, 0, 0, 2);
		head.writeUInt16BE(FLAGS_ANSWER | RCODES[code], 2);
		head.writeUInt16BE(1, 4);
		head.writeUInt16BE(records.length, 6);
		this.socket.send(Buffer.concat([head, question.bytes, ...records]), peer.port, peer.address);
	}

	count(name, type) {
		return this.queries.filter((query) => query.name === name.toLowerCase() && query.type === type).length;
	}

	stop() {
		return new Promise((resolve) => this.socket.close(resolve));
	}
}
