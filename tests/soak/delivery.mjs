// One request of a session until it is answered: transmitted, repeated with the same bytes after its connection broke or
// when the gateway asks for that, and sometimes for no reason at all ("Broken Connections", XEP-0124).
//
// current   the transmission that an answer is expected on
// stray     another one which the gateway may still see: while there is one, the session must not move on so far that the
//           gateway may have forgotten the request (RequestWindow)
import { attributesOf } from '../support/splitter.mjs';
import { Chance } from './chance.mjs';
import { chooseFate } from './fate.mjs';
import { Transmission } from './transmission.mjs';

// What a broken connection still holds is read, or thrown away, by then.
const STRAY_MS = 1000;
const BACKOFF_LEAST_MS = 30;
const BACKOFF_MOST_MS = 250;
// Some take their time: long enough for the gateway to find an acknowledgement missing, and to say so.
const BACKOFF_LONG_MS = 2000;

export const bodyAttributes = (text) => attributesOf(text.slice(0, text.indexOf('>') + 1));

export class Delivery {
	// @client: what it belongs to; told by its delivered() of the answer, and by its fail() of what must not be.
	constructor(client, request) {
		Object.assign(this, request, { client, nTries: 0, answer: undefined });
		Object.assign(this, { current: undefined, strays: new Set(), strayUntil: 0 });
		this.chance = new Chance(client.seed, 'request', client.session, request.rid);
		this.transmit();
	}

	transmit() {
		const { client, rid } = this;
		const fate = chooseFate(this.chance, {
			nth: this.nTries++, codings: client.codings, isPause: this.kind === 'pause', isCalm: client.isCalm,
			isSteady: client.isSteady });
		const transmission = new Transmission(client.connections, this.body, fate, {
			answered: (response) => this.answered(transmission, response),
			broken: () => this.broken(transmission),
		});
		client.note(`${rid} try ${this.nTries} ${this.kind} ${this.body.length} B ${JSON.stringify(fate)}`);
		client.stats.transmissions++;
		this.leaveBehind();
		this.current = transmission;
		this.sentAt = Date.now() + fate.delayMs;
		if (fate.repeatMs !== undefined) {
			this.repeatTimer = setTimeout(() => this.repeatUnasked(), fate.repeatMs);
		}
	}

	// Whoever is still under way is waited for no more.
	leaveBehind() {
		clearTimeout(this.repeatTimer);
		clearTimeout(this.retryTimer);
		this.repeatTimer = undefined;
		this.retryTimer = undefined;
		if (this.current) {
			this.strays.add(this.current);
			this.current = undefined;
		}
	}

	repeatUnasked() {
		this.repeatTimer = undefined;
		if (!this.answer && this.current?.isSent && !this.client.isOver) {
			this.client.stats.heldRepeats++;
			this.transmit();
		}
	}

	// Asks once more for an answer that has come.
	repeatAnswered() {
		this.client.stats.answeredRepeats++;
		this.client.note(`${this.rid} is repeated, though answered`);
		this.transmit();
	}

	retry(ms) {
		if (!this.retryTimer) {
			this.retryTimer = setTimeout(() => {
				this.retryTimer = undefined;
				this.retryNow();
			}, ms);
		}
	}

	// The gateway says that its answer is missing.
	hurry() {
		if (this.retryTimer) {
			clearTimeout(this.retryTimer);
			this.retryTimer = undefined;
			this.retryNow();
		}
	}

	// Not while the session pauses.
	retryNow() {
		if (this.client.isOver) {
			return;
		}
		const ms = this.client.pauseLeft();
		if (ms > 0) {
			this.retry(ms);
			return;
		}
		this.client.repeats(this);
		this.transmit();
	}

	remove(transmission) {
		this.strays.delete(transmission);
		if (transmission === this.current) {
			this.current = undefined;
			return true;
		}
		return false;
	}

	broken(transmission) {
		const wasCurrent = this.remove(transmission);
		if (this.client.isOver) {
			return;
		}
		this.client.note(`${this.rid} broke${transmission.mayArrive ? '' : ', unsent'}`);
		if (transmission.fate.cut) {
			this.client.stats.cuts[transmission.fate.cut.where]++;
		} else if (transmission.fate.isFresh) {
			this.client.fail(`rid ${this.rid}: the gateway closed the connection without an answer`);
		}
		if (transmission.mayArrive) {
			this.strayUntil = Math.max(this.strayUntil, Date.now() + STRAY_MS);
		}
		if (wasCurrent && !this.answer) {
			clearTimeout(this.repeatTimer);
			const ms = this.chance.integer(BACKOFF_LEAST_MS, BACKOFF_MOST_MS) * this.nTries;
			this.retry(this.chance.is(0.1) ? BACKOFF_LONG_MS : ms);
		}
		this.client.pump();
	}

	answered(transmission, { status, type, coding, text, nExcess }) {
		const wasCurrent = this.remove(transmission);
		const { client, rid } = this;
		client.stats.coded += coding !== undefined;
		client.note(`${rid} answered${wasCurrent ? '' : ' (stray)'}: ${text.slice(0, 160)}`);
		if (status !== 200 || !/^text\/xml; charset=utf-8$/i.test(type) || nExcess || !text.startsWith('<body')) {
			client.fail(`rid ${rid}: status ${status}, ${type}, ${nExcess} bytes too many: ${text.slice(0, 300)}`);
		} else if (bodyAttributes(text).type === 'error') {
			client.stats.displaced++;
			if (wasCurrent && !this.answer) {
				client.repeatUpTo(this);
			}
		} else if (this.answer === undefined) {
			this.answer = text;
			// A stray is a copy of the request only: its answer must be the same.
			this.leaveBehind();
			client.delivered(this);
		} else if (this.answer !== text && !client.mayDiffer(this.answer, text)) {
			client.fail(`rid ${rid}: another answer to its repeat:\n${this.answer.slice(0, 300)}\n${text.slice(0, 300)}`);
		} else {
			client.stats.identical++;
		}
		client.pump();
	}

	get hasStrays() {
		const isAskedAgain = this.answer !== undefined && this.current !== undefined;
		return this.strays.size > 0 || Date.now() < this.strayUntil || isAskedAgain;
	}

	// Nothing more of it will be sent without a cause.
	get isQuiet() {
		const isOnItsWay = this.current !== undefined && this.repeatTimer === undefined;
		return !this.hasStrays && (this.answer !== undefined || isOnItsWay);
	}

	// It had to be answered by then.
	isLate(now, waitMs) {
		return this.answer === undefined && now > this.sentAt + waitMs;
	}
}
