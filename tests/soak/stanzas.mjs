// Numbered stanzas, and the book that the receiver keeps of them. The text of a stanza follows from its direction, its
// session and its number: who receives it knows every byte of it.
//
//     stanzaText('up', 17, 3)                    the third from the client of session 17 to the server ('down': back)
//     const ledger = new Ledger('up', 17);
//     ledger.take(text);                         ledger.errors: what came twice, out of order or changed
//     ledger.close(nSent)                        the numbers of those that never came
import { Chance } from './chance.mjs';

// Of the same length, so that the filling can be cut between any two of them.
const TOKENS = ['abcdefgh', ' ijk lm ', '&amp;äöü', '&lt;wxyz', '漢字かな交じり文', '😀😀😀😀', '&#x41;zz', '"quote\' '];
const N_TOKEN = 8;
const N_FILLING = 8192;

const chance = new Chance('filling');
const filling = Array.from({ length: N_FILLING }, () => chance.of(TOKENS)).join('');

// Tokens, of about 11 bytes each: mostly short, some of 1 to 5 KB, a few of 10 to 50 KB.
function fillingLength(size) {
	const kind = size.real();
	if (kind < 0.9) {
		return size.integer(0, 40);
	}
	return kind < 0.98 ? size.integer(90, 450) : size.integer(900, 4400);
}

export function stanzaText(direction, session, n) {
	const size = new Chance('stanza', direction, session, n);
	const nTokens = fillingLength(size);
	const first = size.integer(0, N_FILLING - nTokens - 1) * N_TOKEN;
	const text = filling.slice(first, first + nTokens * N_TOKEN);
	// What has no sender is not returned as an error, when it cannot be delivered.
	const from = direction === 'down' ? ' from="peer@soak.test/x"' : '';
	return `<message id='${direction}-${session}-${n}' type="chat"${from}><body>${text}</body></message>`;
}

// The number of the stanza with this id; undefined for one of another session or direction.
export function numberOf(id, direction, session) {
	const [, n] = new RegExp(`^${direction}-${session}-(\\d+)$`).exec(id) ?? [];
	return n === undefined ? undefined : Number(n);
}

// A client has to say in its <body/> of which namespace the stanza is; the gateway says so in its own.
export const inBody = (text) => text.replace('<message', '<message xmlns=\'jabber:client\'');
const withoutNamespace = (text) => text.replace(/ xmlns=(['"])jabber:client\1/, '');

export class Ledger {
	constructor(direction, session) {
		Object.assign(this, { direction, session, next: 1, missing: new Set(), errors: [] });
	}

	error(text) {
		this.errors.push(`session ${this.session}, ${this.direction}: ${text}`);
	}

	take(received) {
		const text = withoutNamespace(received);
		const n = Number(new RegExp(`^<message id='${this.direction}-${this.session}-(\\d+)'`).exec(text)?.[1]);
		if (!n) {
			this.error(`not of this session: ${received.slice(0, 200)}`);
			return;
		}
		if (text !== stanzaText(this.direction, this.session, n)) {
			this.error(`${n} was changed on its way: ${received.slice(0, 200)}`);
		}
		if (n >= this.next) {
			for (let lost = this.next; lost < n; lost++) {
				this.missing.add(lost);
			}
			this.next = n + 1;
		} else if (this.missing.delete(n)) {
			this.error(`${n} came after ${this.next - 1}`);
		} else {
			this.error(`${n} came twice`);
		}
	}

	get nTaken() {
		return this.next - 1 - this.missing.size;
	}

	// No more will come; the sender had sent @nSent. Those that never came, in order.
	close(nSent) {
		if (this.next - 1 > nSent) {
			this.error(`${this.next - 1} came, and only ${nSent} were sent`);
		}
		for (let lost = this.next; lost <= nSent; lost++) {
			this.missing.add(lost);
		}
		return [...this.missing];
	}
}
