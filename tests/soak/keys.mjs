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

	// K(1) to K(n), the last of which is shown at once. Case does not matter where keys are compared, but it does where they
	// are hashed: a sequence keeps to one.
	renew() {
		const isUpper = this.chance.is(0.3);
		let key = `seed ${this.chance.real()}`;
		for (let n = this.chance.integer(KEYS_LEAST, KEYS_MOST); n > 0; n--) {
			key = isUpper ? sha1(key).toUpperCase() : sha1(key);
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
		return this.keys.length === 0 ? { key, newkey: this.renew() } : { key };
	}
}
