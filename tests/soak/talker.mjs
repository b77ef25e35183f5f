// Says something at random moments, several things at once now and then, until it is hushed.
const BURST_MAX = 6;

export class Talker {
	constructor(chance, meanMs, say) {
		Object.assign(this, { chance, meanMs, say });
		this.schedule();
	}

	schedule() {
		this.timer = setTimeout(() => {
			for (let n = this.chance.is(0.1) ? this.chance.integer(2, BURST_MAX) : 1; n > 0; n--) {
				this.say();
			}
			this.schedule();
		}, this.chance.interval(this.meanMs));
	}

	hush() {
		clearTimeout(this.timer);
	}
}
