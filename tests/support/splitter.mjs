// Cuts an XMPP stream into its header, its top-level elements and its end, as bytes: what the gateway sent can be
// compared byte for byte. It trusts its input to be well-formed, as far as angle brackets and quotes go.

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const QUOTES = [0x22, 0x27];
const STREAM_TAG = /^<([\w.-]+:)?stream[\s>]/;

export const attributesOf = (tag) => Object.fromEntries(
	[...tag.matchAll(/([^\s=<>'"/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)].map(([, name, a, b]) => [name, unescape(a ?? b)]));

const unescape = (text) => text
	.replace(/&#x([0-9a-f]+);/gi, (all, hex) => String.fromCodePoint(parseInt(hex, 16)))
	.replace(/&#(\d+);/g, (all, n) => String.fromCodePoint(Number(n)))
	.replace(/&(lt|gt|quot|apos|amp);/g, (all, name) => ({ lt: '<', gt: '>', quot: '"', apos: '\'', amp: '&' })[name]);

export class Splitter {
	constructor(emit) {
		this.emit = emit;
		this.restart();
	}

	// A new stream follows on the same connection.
	restart() {
		this.buffer = Buffer.alloc(0);
		this.scanned = 0;
		this.start = 0;
		this.depth = -1; // -1 before the stream header, 0 between elements
	}

	feed(data) {
		this.buffer = Buffer.concat([this.buffer, data]);
		for (let end = this.markupEnd(); end >= 0; end = this.markupEnd()) {
			const rest = this.markup(end);
			if (rest) {
				this.restart();
				this.buffer = rest;
			}
		}
	}

	// The end of the next piece of markup; -1 when it is not whole yet. Text before it at depth 0 is whitespace.
	markupEnd() {
		const { buffer } = this;
		const open = buffer.indexOf(LT, this.scanned);
		const textEnd = open < 0 ? buffer.length : open;
		if (this.depth <= 0 && textEnd > this.start) {
			this.emit('whitespace', buffer.subarray(this.start, textEnd));
			this.start = textEnd;
			this.scanned = textEnd;
		}
		if (open < 0) {
			return -1;
		}
		this.tag = open;
		if (buffer.subarray(open, open + 9).toString() === '<![CDATA[') {
			const end = buffer.indexOf(']]>', open);
			return end < 0 ? -1 : end + 3;
		}
		let quote = 0;
		for (let at = open + 1; at < buffer.length; at++) {
			const byte = buffer[at];
			if (quote) {
				quote = byte === quote ? 0 : quote;
			} else if (QUOTES.includes(byte)) {
				quote = byte;
			} else if (byte === GT) {
				return at + 1;
			}
		}
		return -1;
	}

	// Handles the markup from this.tag to @end; returns the bytes of a stream that begins anew.
	markup(end) {
		const { buffer } = this;
		const first = buffer[this.tag + 1];
		const isEmpty = buffer[end - 2] === SLASH;
		this.scanned = end;
		if (first === 0x21 || first === 0x3f) { // <! and <?
			if (this.depth <= 0) {
				this.cut(end);
			}
			return undefined;
		}
		if (this.depth === 0 && !isEmpty && STREAM_TAG.test(buffer.subarray(this.tag, end).toString())) {
			this.depth = -1;
			this.emit('restart');
		}
		if (this.depth < 0) {
			const raw = buffer.subarray(this.tag, end);
			this.depth = 0;
			this.emit('header', { raw, text: raw.toString(), attributes: attributesOf(raw.toString()) });
			this.cut(end);
			return undefined;
		}
		if (first === SLASH) {
			this.depth--;
		} else if (!isEmpty) {
			this.depth++;
		}
		if (this.depth < 0) {
			const rest = buffer.subarray(end);
			this.emit('end');
			return rest;
		}
		if (this.depth === 0) {
			const raw = buffer.subarray(this.start, end);
			const text = raw.toString();
			const tag = text.slice(0, text.search(/[\s/>]/));
			this.emit('element', { raw, text, name: tag.slice(1).replace(/^.*:/, ''), attributes: attributesOf(text.slice(0, text.indexOf('>') + 1)) });
			this.cut(end);
		}
		return undefined;
	}

	cut(end) {
		this.buffer = this.buffer.subarray(end);
		this.start = 0;
		this.scanned = 0;
	}
}
