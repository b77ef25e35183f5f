// What the clients of both transports have in common: the session's numbers, its book of what it received, when it speaks.
//
// calm      from here on it says nothing new, and nothing befalls what it sends
// asleep    it reads nothing and sends nothing, as a laptop with its lid closed; it wakes before the gateway gives it up
// steady    nothing ever befalls it; each stanza of its own is answered at once, which measures round trips
// settled   said of a stanza of ours that the gateway has taken: over BOSH its request was answered, over WebSocket it was written
// vanished  the client is gone without a goodbye
import { NS } from '../support/xml.mjs';
import { Chance } from './chance.mjs';
import { Ledger, numberOf, stanzaText } from './stanzas.mjs';
import { Talker } from './talker.mjs';

const SLEEP_LEAST_MS = 500;
const N_NOTES = 60;

export const AUTH = `<auth xmlns='${NS.sasl}' mechanism='PLAIN'>AHNvYWsAd2F0ZXI=</auth>`;

export class SoakSession {
	// @server: the SoakServer whose domain it is of. @secure: { context, servername } for a port that speaks TLS. @stats: counted
	// up, shared by all. @mishapMs: from one pause to the next; there are half as many sleeps, for up to @sleepMs.
	// @trips: told of each round trip of a steady session, in milliseconds.
	constructor({ port, secure, session, seed, server, meanMs, mishapMs, sleepMs, traits, stats, trips }) {
		Object.assign(this, { port, secure, session, seed, server, domain: server.domain, meanMs, mishapMs, sleepMs, traits, stats, trips });
		this.isSteady = traits.steady ?? false;
		this.chance = new Chance(seed, 'client', session);
		this.ledger = new Ledger('down', session);
		Object.assign(this, { nSent: 0, saidAt: new Map(), settledAt: [], ridOf: [], isCalm: false, isOver: false, isAsleep: false });
		Object.assign(this, { errors: [], notes: [], born: Date.now(), condition: undefined, vanishedAt: undefined });
		this.over = new Promise((resolve) => (this.setOver = resolve));
	}

	note(text) {
		this.notes.push(`+${((Date.now() - this.born) / 1000).toFixed(3)} ${text}`);
		if (this.notes.length > N_NOTES) {
			this.notes.shift();
		}
	}

	fail(text) {
		this.errors.push(text);
		this.note(`FAILED ${text.slice(0, 200)}`);
	}

	get from() {
		return `s${this.session}@${this.domain}`;
	}

	// The text of the next stanza of its own.
	nextStanza() {
		this.nSent++;
		if (this.isSteady) {
			this.saidAt.set(this.nSent, performance.now());
		}
		return stanzaText('up', this.session, this.nSent);
	}

	settle(n) {
		this.settledAt[n] ??= Date.now();
	}

	take({ text, attributes }) {
		this.ledger.take(text);
		const n = numberOf(attributes.id ?? '', 'down', this.session);
		if (this.saidAt.has(n)) {
			this.trips(performance.now() - this.saidAt.get(n));
			this.saidAt.delete(n);
		}
	}

	// The client has logged in: before that, nothing of its own would be heard.
	start() {
		this.hasStarted = true;
		if (this.isCalm || this.isOver) {
			return;
		}
		this.talker = new Talker(this.chance, this.meanMs, () => this.say());
		if (!this.isSteady) {
			this.sleeper = new Talker(new Chance(this.seed, 'sleep', this.session), 2 * this.mishapMs, () => this.fallAsleep());
		}
	}

	fallAsleep() {
		if (this.isAsleep || this.isCalm || this.isOver || !this.maySleep) {
			return;
		}
		this.isAsleep = true;
		this.asleepAt = Date.now();
		this.stats.sleeps++;
		this.note('falls asleep');
		this.freeze();
		this.alarm = setTimeout(() => this.wake(), this.chance.integer(SLEEP_LEAST_MS, this.sleepMs));
	}

	wake() {
		clearTimeout(this.alarm);
		if (this.isAsleep) {
			this.isAsleep = false;
			this.note('wakes up');
			this.thaw();
		}
	}

	hush() {
		this.talker?.hush();
		this.sleeper?.hush();
	}

	calm() {
		this.isCalm = true;
		this.hush();
		this.wake();
	}

	end() {
		if (!this.isOver) {
			this.isOver = true;
			this.hush();
			clearTimeout(this.alarm);
			this.setOver();
		}
	}
}
