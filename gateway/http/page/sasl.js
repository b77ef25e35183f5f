/* SPDX-License-Identifier: MIT */
/* ---- Bytes and hashes: crypto.subtle is missing where the page came over plain HTTP ---- */

const utf8 = (text) => new TextEncoder().encode(text);
const fromUtf8 = (bytes) => new TextDecoder().decode(bytes);
const toBase64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
const fromBase64 = (text) => Uint8Array.from(atob(text.replace(/\s/g, '')), (char) => char.charCodeAt(0));
const random = (n_bytes) => crypto.getRandomValues(new Uint8Array(n_bytes));
const concat = (...parts) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
const xor = (a, b) => a.map((value, i) => value ^ b[i]);
const equal = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/* A hash is its initial state and the compression of one block of 16 words into a state (FIPS 180-4). */
const sha1 = {
	name: 'SHA-1',
	initial: [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0],
	schedule: new Uint32Array(80),
	compress(state, block) {
		const w = this.schedule;
		w.set(block);
		for (let i = 16; i < 80; i++) {
			const x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
			w[i] = x << 1 | x >>> 31;
		}
		let [a, b, c, d, e] = state;
		for (let i = 0; i < 80; i++) {
			let f;
			if (i < 20) {
				f = (b & c | ~b & d) + 0x5a827999;
			} else if (i < 40) {
				f = (b ^ c ^ d) + 0x6ed9eba1;
			} else if (i < 60) {
				f = (b & c | b & d | c & d) + 0x8f1bbcdc;
			} else {
				f = (b ^ c ^ d) + 0xca62c1d6;
			}
			const next = (a << 5 | a >>> 27) + f + e + w[i] | 0;
			e = d;
			d = c;
			c = b << 30 | b >>> 2;
			b = a;
			a = next;
		}
		state[0] += a;
		state[1] += b;
		state[2] += c;
		state[3] += d;
		state[4] += e;
	},
};

const SHA256_K = Uint32Array.of(
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2);

const sha256 = {
	name: 'SHA-256',
	initial: [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
	schedule: new Uint32Array(64),
	compress(state, block) {
		const w = this.schedule;
		const turn = (x, n) => x >>> n | x << 32 - n;
		w.set(block);
		for (let i = 16; i < 64; i++) {
			const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >>> 3;
			const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >>> 10;
			w[i] = w[i - 16] + s0 + w[i - 7] + s1;
		}
		let [a, b, c, d, e, f, g, h] = state;
		for (let i = 0; i < 64; i++) {
			const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
			const t1 = h + s1 + (e & f ^ ~e & g) + SHA256_K[i] + w[i] | 0;
			const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
			const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
			h = g;
			g = f;
			f = e;
			e = d + t1 | 0;
			d = c;
			c = b;
			b = a;
			a = t1 + t2 | 0;
		}
		[a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] += value; });
	},
};

function wordsToBytes(words) {
	const view = new DataView(new ArrayBuffer(4 * words.length));
	words.forEach((word, i) => view.setUint32(4 * i, word));
	return new Uint8Array(view.buffer);
}

function bytesToWords(bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i));
}

function digest(hash, bytes) {
	const padded = new Uint8Array((bytes.length + 8 >> 6) + 1 << 6);
	padded.set(bytes);
	padded[bytes.length] = 0x80;
	const words = bytesToWords(padded);
	words[words.length - 1] = bytes.length << 3;
	const state = Uint32Array.from(hash.initial);
	for (let i = 0; i < words.length; i += 16) {
		hash.compress(state, words.subarray(i, i + 16));
	}
	return wordsToBytes(state);
}

/* The key of an HMAC (RFC 2104) as one block, XORed with a pad. */
function keyBlock(hash, key, pad) {
	const block = new Uint8Array(64);
	block.set(key.length > 64 ? digest(hash, key) : key);
	return block.map((byte) => byte ^ pad);
}

function hmac(hash, key, bytes) {
	const inner = digest(hash, concat(keyBlock(hash, key, 0x36), bytes));
	return digest(hash, concat(keyBlock(hash, key, 0x5c), inner));
}

/*
 * PBKDF2 (RFC 8018) for one block. Both key blocks are compressed once and not in each round, which
 * halves the work; long computations let the page breathe.
 */
async function pbkdf2(hash, password, salt, rounds) {
	const keyed = (pad) => {
		const state = Uint32Array.from(hash.initial);
		hash.compress(state, bytesToWords(keyBlock(hash, password, pad)));
		return state;
	};
	const inner = keyed(0x36);
	const outer = keyed(0x5c);
	let u = bytesToWords(hmac(hash, password, concat(salt, [0, 0, 0, 1])));
	const result = Uint32Array.from(u);
	const block = new Uint32Array(16);
	block[u.length] = 0x80000000;
	block[15] = 8 * (64 + 4 * u.length);
	let breath = performance.now();
	for (let round = 1; round < rounds; round++) {
		for (const key of [inner, outer]) {
			block.set(u);
			u = key.slice();
			hash.compress(u, block);
		}
		for (let i = 0; i < u.length; i++) {
			result[i] ^= u[i];
		}
		if (round % 1000 === 0 && performance.now() - breath > 30) {
			await pause(0);
			breath = performance.now();
		}
	}
	return wordsToBytes(result);
}

/* ---- SASL: each mechanism answers start(), respond(challenge) and finish(additional data) with bytes ---- */

/* RFC 4013 in short: odd spaces become spaces, what it maps to nothing goes, the rest is NFKC. */
function prepare(text) {
	return text
		.replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g, ' ')
		.replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g, '')
		.normalize('NFKC');
}

class Anonymous {
	start() {
		return null;
	}

	respond() {
		return new Uint8Array(0);
	}

	finish() {
		return 'a new identity from the server';
	}
}

class Plain {
	constructor(user, password) {
		this.message = utf8(`\0${user}\0${prepare(password)}`);
	}

	start() {
		return this.message;
	}

	respond() {
		return this.message;
	}

	finish() {
		return 'the password went to the server as it is';
	}
}

/* RFC 5802 without channel binding: what a gateway's client cannot see it cannot bind to. */
class Scram {
	constructor(hash, user, password) {
		this.hash = hash;
		this.password = utf8(prepare(password));
		this.nonce = toBase64(random(18));
		this.bare = `n=${prepare(user).replace(/=/g, '=3D').replace(/,/g, '=2C')},r=${this.nonce}`;
	}

	start() {
		return utf8(`n,,${this.bare}`);
	}

	attributes(message) {
		return new Map(message.split(',').map((part) => [part[0], part.slice(2)]));
	}

	async respond(challenge) {
		const text = fromUtf8(challenge);
		if (this.expected) {
			this.verify(text); /* the server's signature in a last challenge instead of the success */
			return new Uint8Array(0);
		}
		const given = this.attributes(text);
		const rounds = Number(given.get('i'));
		if (given.has('m') || !given.get('r')?.startsWith(this.nonce) || given.get('r') === this.nonce ||
			!given.get('s') || !Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
			throw new Failure('The server\u2019s SCRAM challenge is not acceptable.');
		}
		const began = performance.now();
		const salted = await pbkdf2(this.hash, this.password, fromBase64(given.get('s')), rounds);
		const key = hmac(this.hash, salted, utf8('Client Key'));
		const final = `c=biws,r=${given.get('r')}`;
		const exchange = utf8(`${this.bare},${text},${final}`);
		const proof = xor(key, hmac(this.hash, digest(this.hash, key), exchange));
		this.expected = hmac(this.hash, hmac(this.hash, salted, utf8('Server Key')), exchange);
		this.work = `${rounds} rounds (${showMs(performance.now() - began)} here)`;
		return utf8(`${final},p=${toBase64(proof)}`);
	}

	verify(text) {
		const given = this.attributes(text);
		if (!this.expected || !given.get('v') || !equal(fromBase64(given.get('v')), this.expected)) {
			throw new Failure('The server could not prove that it knows this account.',
				[['SCRAM', given.has('e') ? given.get('e') : 'the server signature is wrong or missing']]);
		}
		this.verified = true;
	}

	finish(data) {
		if (!this.verified) {
			this.verify(fromUtf8(data));
		}
		return `${this.work}, server signature verified`;
	}
}

/* Over plain HTTP a password in the clear could be read on the way; a local page has no way. */
const isSafePage = () => location.protocol === 'https:' || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

function chooseMechanism(offered, plan) {
	const known = plan.anonymous ? [['ANONYMOUS', () => new Anonymous()]] : [
		['SCRAM-SHA-256', () => new Scram(sha256, plan.user, plan.password)],
		['SCRAM-SHA-1', () => new Scram(sha1, plan.user, plan.password)],
		['PLAIN', () => new Plain(plan.user, plan.password)],
	];
	const usable = known.find(([name]) => offered.includes(name));
	const facts = [['Offered', offered.join(', ') || 'no mechanism']];
	if (!usable) {
		throw new Failure(plan.anonymous ? 'The server offers no anonymous login.' :
			'The server offers no login mechanism that this page knows.', facts);
	}
	if (usable[0] === 'PLAIN' && !isSafePage()) {
		throw new Failure('The server takes only PLAIN, and this page came over plain HTTP: the password was not sent.',
			facts, { hint: 'Open this page over https.' });
	}
	return { name: usable[0], exchange: usable[1]() };
}
