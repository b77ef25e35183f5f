// Key sequences of XEP-0124, "Protecting Insecure Sessions": short ones, so that they are switched often.
import { createHash } from 'node:crypto';

const KEYS_LEAST = 2;
const KEYS_MOST = 25;

const sha1 = (text) => createHash('sha1').update(text).digest('hex');

export class KeySequence {
	constructor(chance) {
		this.chance = chance;
		this.keys = [];
	}

	// K(1) to K(n), the last of which is shown at once.
	renew() {
		let key = `seed ${this.chance.real()}`;
		for (let n = this.chance.integer(KEYS_LEAST, KEYS_MOST); n > 0; n--) {
			key = sha1(key);
			this.keys.push(key);
		}
		return this.keys.pop();
	}

	// The attributes of the next request.
	next() {
		if (this.keys.length === 0) {
			return { newkey: this.renew() };
		}
		const key = this.keys.pop();
		// Case is not significant.
		const shown = this.chance.is(0.2) ? key.toUpperCase() : key;
		return this.keys.length === 0 ? { key: shown, newkey: this.renew() } : { key: shown };
	}
}
