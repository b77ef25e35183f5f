// The requests of a session that are under way, and what may be sent beside them: the rules of XEP-0124 for a client
// ("Overactivity", "Request IDs", "Acknowledgements").
export class RequestWindow {
	constructor(firstRid) {
		this.nextRid = firstRid;
		this.items = []; // oldest first: deliveries that are unanswered, unread, or have strays
		this.size = 1;
		this.hasAcks = false;
		this.read = firstRid - 1; // up to this rid all answers have been processed
	}

	add(delivery) {
		this.items.push(delivery);
		this.nextRid = delivery.rid + 1;
	}

	// Whether one more new request may be made; one that pauses or terminates may be @nExtra more than the others.
	// The gateway keeps as many answers as the window is wide, and with acknowledgements those that no later request has
	// acknowledged: what may still be asked for must not be pushed out.
	isOpen(nExtra = 0) {
		return this.items.every((item) => {
			const isDone = item.answer !== undefined && !item.hasStrays;
			const wouldAcknowledge = this.hasAcks && item.answer !== undefined;
			return isDone || (!wouldAcknowledge && this.nextRid < item.rid + this.size + nExtra);
		});
	}

	// An empty request must not be the last that is allowed.
	isOpenForEmpty() {
		return this.isOpen() && this.unanswered.every((item) => this.nextRid + 1 < item.rid + this.size);
	}

	get unanswered() {
		return this.items.filter((item) => item.answer === undefined);
	}

	get isQuiet() {
		return this.items.every((item) => item.isQuiet);
	}

	// The next answer in the order of the requests, or undefined.
	takeAnswered() {
		const next = this.items.find((item) => item.rid === this.read + 1);
		if (next?.answer === undefined) {
			return undefined;
		}
		this.read++;
		return next;
	}

	forgetDone() {
		this.items = this.items.filter((item) => item.rid > this.read || item.hasStrays);
	}

	// "Response Acknowledgements": nothing to say when all are answered.
	get ack() {
		const missing = this.items.find((item) => item.answer === undefined);
		const highest = (missing?.rid ?? this.nextRid) - 1;
		return this.hasAcks && highest < this.nextRid - 1 ? highest : undefined;
	}
}
