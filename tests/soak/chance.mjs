// Randomness that a seed fixes: the same parts give the same numbers, so that what befalls the third try of a request
// does not depend on what happened before it.
//
//     const chance = new Chance(seed, 'session', 17, 'request', 3);
//     chance.integer(1, 6); chance.is(0.1); chance.of(['fin', 'reset']);

// FNV-1a over the parts, with a last stir: neighbouring numbers have to give unlike states.
function hash(text) {
	let h = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) {
		h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
	}
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	return (h ^ (h >>> 16)) >>> 0;
}

export class Chance {
	constructor(...parts) {
		this.state = hash(parts.join('/'));
	}

	// From 0 to less than 1 (mulberry32).
	real() {
		this.state = (this.state + 0x6d2b79f5) >>> 0;
		let t = this.state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	}

	integer(least, most) {
		return least + Math.floor(this.real() * (most - least + 1));
	}

	is(probability) {
		return this.real() < probability;
	}

	of(list) {
		return list[this.integer(0, list.length - 1)];
	}

	// The time to the next of events that come on average every @mean ms, independently.
	interval(mean) {
		return -Math.log(1 - this.real()) * mean;
	}
}
