// The header of the PROXY protocol, v1 or v2, as a server reads it: strictly, and independent of the gateway's writer.
import { isIP } from 'node:net';

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V1_MAX = 107;
const V2_HEAD = 16;

function parseV1(line) {
	if (line === 'PROXY UNKNOWN\r\n') {
		return { version: 1, family: 'UNKNOWN' };
	}
	const [, family, client, gateway, clientPort, gatewayPort] =
		/^PROXY TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/.exec(line) ?? [];
	if (!family || isIP(client) !== Number(family) || isIP(gateway) !== Number(family)) {
		throw new Error(`no PROXY header of version 1: ${JSON.stringify(line)}`);
	}
	return { version: 1, family: `TCP${family}`, client, gateway, clientPort: Number(clientPort), gatewayPort: Number(gatewayPort) };
}

function hostText(bytes) {
	return bytes.length === 4 ? [...bytes].join('.') : bytes.toString('hex').match(/.{4}/g).join(':');
}

function parseV2(bytes) {
	const [command, family] = [bytes[12], bytes[13]];
	const n = { 0x00: 0, 0x11: 4, 0x21: 16 }[family];
	if ((command !== 0x20 && command !== 0x21) || n === undefined || bytes.length !== V2_HEAD + (n ? 2 * n + 4 : 0)) {
		throw new Error(`no PROXY header of version 2: ${bytes.toString('hex')}`);
	}
	if (command === 0x20) {
		return { version: 2, family: 'LOCAL' };
	}
	const hosts = bytes.subarray(V2_HEAD);
	return { version: 2, family: n === 4 ? 'TCP4' : 'TCP6', client: hostText(hosts.subarray(0, n)), gateway: hostText(hosts.subarray(n, 2 * n)),
		clientPort: hosts.readUInt16BE(2 * n), gatewayPort: hosts.readUInt16BE(2 * n + 2) };
}

// The length of the header at the beginning of @bytes, or 0 while it is not whole.
function headerLength(bytes) {
	const start = bytes.subarray(0, V2_SIGNATURE.length);
	let n = 0;
	if (start.equals(V2_SIGNATURE.subarray(0, start.length))) {
		n = bytes.length < V2_HEAD ? V2_HEAD : V2_HEAD + bytes.readUInt16BE(14);
	} else if ('PROXY '.startsWith(bytes.subarray(0, 6).toString('latin1'))) {
		n = bytes.indexOf('\r\n') + 2;
		if (n === 1 && bytes.length < V1_MAX) {
			return 0;
		}
	}
	if (n < 2 || (bytes[0] === 'P'.charCodeAt() && n > V1_MAX)) {
		throw new Error(`no PROXY header: ${JSON.stringify(bytes.toString('latin1'))}`);
	}
	return n <= bytes.length ? n : 0;
}

// Takes the header off @socket, to which nobody listens, and leaves it paused, with what comes behind it still to be read.
export async function readProxyHeader(socket) {
	let bytes = Buffer.alloc(0);
	let n = 0;
	await new Promise((resolve, reject) => {
		const closed = () => reject(new Error('closed within the PROXY header'));
		socket.once('close', closed);
		socket.on('data', function take(data) {
			try {
				bytes = Buffer.concat([bytes, data]);
				n = headerLength(bytes);
				if (n) {
					socket.off('data', take).off('close', closed).pause();
					socket.unshift(bytes.subarray(n));
					resolve();
				}
			} catch (error) {
				reject(error);
			}
		});
	});
	return bytes[0] === V2_SIGNATURE[0] ? parseV2(bytes.subarray(0, n)) : parseV1(bytes.subarray(0, n).toString('latin1'));
}
