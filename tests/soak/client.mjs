// A BOSH client of the soak: it keeps every rule of XEP-0124 and has every misfortune that the specification provides for.
// It sends numbered stanzas at random moments, and keeps a book of those it gets.
import { Splitter } from '../support/splitter.mjs';
import { escape, NS } from '../support/xml.mjs';
import { Chance } from './chance.mjs';
import { bodyAttributes, Delivery } from './delivery.mjs';
import { KeySequence } from './keys.mjs';
import { inBody, Ledger, stanzaText } from './stanzas.mjs';
import { Talker } from './talker.mjs';
import { Connections } from './transmission.mjs';
import { RequestWindow } from './window.mjs';

const RID_MOST = 1e9;
const BATCH_BYTES = 100000;
const BATCH_STANZAS = 8;
const POLLING_MARGIN_MS = 300;
const LATE_MS = 15000; // on top of `wait`; the machine may be busy
const PAUSE_MEAN_MS = 12000;
const PAUSE_LONGER_S = 8; // than the inactivity
const RETURN_MS = 5000; // to get a request through, mishaps included, before a pause is over
const N_NOTES = 60;

// A moment without a request between two polls, seldom a long one.
function rest(chance) {
	const kind = chance.real();
	if (kind < 0.85) {
		return chance.integer(0, 50);
	}
	return kind < 0.97 ? chance.integer(200, 1000) : chance.integer(1000, 2500);
}

export class SoakClient {
	// @traits: { hold, wait, acks, keys, pauses, codings }. @stats: counted up, shared by all.
	constructor({ port, session, seed, domain, meanMs, traits, stats }) {
		Object.assign(this, { session, seed, domain, meanMs, traits, stats });
		this.chance = new Chance(seed, 'client', session);
		this.connections = new Connections(port);
		this.window = new RequestWindow(this.chance.integer(1, RID_MOST));
		this.keys = traits.keys ? new KeySequence(new Chance(seed, 'keys', session)) : undefined;
		this.ledger = new Ledger('down', session);
		Object.assign(this, { nSent: 0, outbox: [], isCalm: false, isOver: false, resumeAt: 0, nextEmptyAt: 0 });
		Object.assign(this, { errors: [], notes: [], born: Date.now() });
	}

	note(text) {
		this.notes.push(`+${((Date.now() - this.born) / 1000).toFixed(3)} ${text}`);
		if (this.notes.length > N_NOTES) {
			this.notes.shift();
		}
	}

	fail(text) {
		this.errors.push(`session ${this.session} (${JSON.stringify(this.traits)}): ${text}`);
		this.note(`FAILED ${text.slice(0, 200)}`);
	}

	// Its first request. The answer cannot be asked for again, so nothing befalls it.
	open() {
		const { hold, wait, acks } = this.traits;
		this.isCalm = true;
		this.request('creation', '', { to: this.domain, from: `s${this.session}@${this.domain}`, ver: '1.11', wait, hold,
			'xml:lang': 'en', 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0', ack: acks ? 1 : undefined });
		this.isCalm = false;
		return new Promise((resolve, reject) => {
			this.opened = resolve;
			this.openFailed = reject;
		});
	}

	request(kind, payload, attributes) {
		const { window } = this;
		const all = { xmlns: NS.httpbind, rid: window.nextRid, sid: this.sid, ack: window.ack, ...this.keys?.next(),
			...attributes };
		const text = Object.entries(all).filter(([, value]) => value !== undefined)
			.map(([name, value]) => ` ${name}='${escape(String(value))}'`).join('');
		const body = payload ? `<body${text}>${payload}</body>` : `<body${text}/>`;
		this.stats.requests++;
		window.add(new Delivery(this, { rid: window.nextRid, kind, body }));
		return window.items.at(-1);
	}

	// A stanza wants to go.
	say() {
		this.outbox.push(stanzaText('up', this.session, ++this.nSent));
		this.pump();
	}

	// Does what the rules allow now. Called after all that happens, and now and then for the time that goes by.
	pump() {
		if (!this.sid || this.isOver || this.isPausing) {
			return;
		}
		this.window.forgetDone();
		const now = Date.now();
		if (this.pauseLeft() > 0) {
			return;
		}
		while (this.outbox.length && this.window.isOpen()) {
			this.request('payload', this.batch());
		}
		if (this.wantsPause && this.mayPause()) {
			this.pause();
			return;
		}
		while (now >= this.nextEmptyAt && this.mayAskEmpty()) {
			this.request('empty', '');
		}
	}

	batch() {
		const most = this.chance.integer(1, BATCH_STANZAS);
		const stanzas = [];
		for (let n = 0; this.outbox.length && stanzas.length < most; ) {
			n += Buffer.byteLength(this.outbox[0]);
			if (n > BATCH_BYTES && stanzas.length) {
				break;
			}
			stanzas.push(inBody(this.outbox.shift()));
		}
		return stanzas.join('');
	}

	mayAskEmpty() {
		const held = this.window.unanswered;
		return this.isPolling ? held.length === 0 && this.window.isOpen()
			: held.length < this.hold && this.window.isOpenForEmpty();
	}

	// A request that came after it, be it a repeat, would end the pause.
	mayPause() {
		return !this.isPolling && this.window.isQuiet && this.window.isOpen(1);
	}

	pause() {
		const seconds = Math.min(this.maxPause, this.inactivity + PAUSE_LONGER_S);
		this.wantsPause = false;
		this.isPausing = true;
		this.isPauseSpoiled = false;
		this.pauseMs = Math.max(0, seconds * 1000 - RETURN_MS - this.chance.integer(0, 2500));
		this.stats.pauses++;
		this.request('pause', '', { pause: seconds });
	}

	pauseLeft() {
		return this.isCalm ? 0 : Math.max(0, this.resumeAt - Date.now());
	}

	// A delivery is transmitted again.
	repeats(delivery) {
		this.stats.repeats++;
		if (this.isPausing && delivery.kind !== 'pause') {
			this.isPauseSpoiled = true;
		}
	}

	// "Recoverable Binding Conditions": that request and those before it.
	repeatUpTo(delivery) {
		for (const item of this.window.unanswered) {
			if (item.rid <= delivery.rid && (!item.current || item.current.isSent)) {
				item.retry(this.chance.integer(0, 50));
			}
		}
	}

	delivered(delivery) {
		const mayRepeat = ['payload', 'empty'].includes(delivery.kind) && !this.isCalm && !this.isPausing && !this.pauseLeft();
		if (mayRepeat && delivery.chance.is(0.05)) {
			delivery.repeatAnswered();
		}
		this.checkAcks(delivery, bodyAttributes(delivery.answer));
		for (let next = this.window.takeAnswered(); next && !this.isOver; next = this.window.takeAnswered()) {
			this.process(next);
		}
	}

	process({ kind, answer }) {
		const attributes = bodyAttributes(answer);
		const elements = [];
		const splitter = new Splitter((what, value) => what === 'element' && elements.push(value));
		splitter.feed(Buffer.from(answer));
		if (kind === 'creation') {
			this.created(attributes, answer);
		}
		for (const element of elements) {
			if (element.name !== 'features' || this.hasFeatures) {
				this.ledger.take(element.text);
			} else {
				this.hasFeatures = true;
				this.start();
			}
		}
		this.plan(kind, elements.length);
		if (kind === 'pause' && elements.length) {
			this.fail('the answer to a pause has payloads');
		}
		if (attributes.type === 'terminate') {
			this.ended(attributes, answer);
		}
	}

	created(attributes, answer) {
		if (!attributes.sid) {
			this.openFailed(new Error(`no session: ${answer}`));
			return;
		}
		this.sid = attributes.sid;
		this.window.size = Number(attributes.requests);
		this.window.hasAcks = this.traits.acks;
		this.hold = Number(attributes.hold);
		this.isPolling = this.hold === 0 || Number(attributes.wait) === 0;
		this.waitMs = Number(attributes.wait) * 1000;
		this.pollingMs = Number(attributes.polling) * 1000;
		this.inactivity = Number(attributes.inactivity);
		this.maxPause = Number(attributes.maxpause ?? 0);
		this.sendsAcks = attributes.ack !== undefined;
		this.codings = this.traits.codings ? attributes.accept?.split(/, */) ?? [] : undefined;
		this.opened();
	}

	// The server's features are here: before them it would not hear.
	start() {
		this.talker = new Talker(this.chance, this.meanMs, () => this.say());
		if (this.maxPause && this.traits.pauses && !this.isPolling) {
			const chance = new Chance(this.seed, 'pauses', this.session);
			this.pauser = new Talker(chance, PAUSE_MEAN_MS, () => {
				this.wantsPause = true;
				// Last words: the pause is then the one request more than the others that it may be.
				this.say();
			});
		}
	}

	// "Request Acknowledgements": a rid that was sent, and above that of the request answered; only when promised.
	checkAcks({ rid, kind }, { ack, report, time }) {
		if (kind === 'creation') {
			if (ack !== undefined && Number(ack) !== rid) {
				this.fail(`creation: ack='${ack}'`);
			}
		} else if (ack !== undefined && !(this.sendsAcks && Number(ack) > rid && Number(ack) < this.window.nextRid)) {
			this.fail(`rid ${rid}: ack='${ack}', the next rid is ${this.window.nextRid}`);
		}
		if (report !== undefined) {
			this.stats.reports++;
			if (!this.traits.acks || !(Number(report) < this.window.nextRid) || !/^\d+$/.test(time)) {
				this.fail(`rid ${rid}: report='${report}' time='${time}'`);
			}
			this.window.unanswered.find((item) => item.rid === Number(report))?.hurry();
		}
	}

	// When the next request without payload may, and will, be made.
	plan(kind, nElements) {
		const now = Date.now();
		const mustPoll = this.isPolling && kind !== 'payload' && nElements === 0;
		const pollMs = mustPoll ? this.pollingMs + POLLING_MARGIN_MS : 0;
		const restMs = this.isCalm ? 0 : this.isPolling ? this.chance.integer(0, 1500) : rest(this.chance);
		this.nextEmptyAt = now + pollMs + restMs;
		if (kind === 'pause') {
			this.isPausing = false;
			this.resumeAt = this.isPauseSpoiled || this.isCalm ? now : now + this.pauseMs;
			this.nextEmptyAt = this.resumeAt;
			this.stats.pausedSeconds += Math.round((this.resumeAt - now) / 1000);
		}
	}

	ended({ condition }, answer) {
		this.isOver = true;
		this.talker?.hush();
		this.pauser?.hush();
		if (!this.isTerminating || condition) {
			this.fail(`the gateway ended the session: ${answer.slice(-400)}`);
		}
		this.goodbye?.();
	}

	// Called now and then.
	tick(now) {
		const late = this.window.unanswered.find((item) => item.isLate(now, (this.waitMs ?? 0) + LATE_MS));
		if (late && !this.isOver) {
			this.fail(`rid ${late.rid} is not answered`);
			this.isOver = true;
			this.goodbye?.();
		}
		this.pump();
	}

	// From here on it says nothing more, and nothing befalls what it sends.
	calm() {
		this.isCalm = true;
		this.talker?.hush();
		this.pauser?.hush();
		this.wantsPause = false;
		this.window.items.forEach((item) => item.current?.spare());
		this.nextEmptyAt = Math.min(this.nextEmptyAt, Date.now() + this.pollingMs + POLLING_MARGIN_MS);
	}

	// Whether there is nothing left to send or to be repeated.
	get isSettled() {
		return this.isOver || (this.outbox.length === 0 && !this.isPausing && this.window.isQuiet && this.window.isOpen(1));
	}

	// Terminates the session, with a last stanza. Resolves when it is over.
	close() {
		if (this.isOver) {
			return Promise.resolve();
		}
		this.isTerminating = true;
		this.request('terminate', inBody(stanzaText('up', this.session, ++this.nSent)), { type: 'terminate' });
		return new Promise((resolve) => (this.goodbye = resolve));
	}

	stop() {
		this.isOver = true;
		this.talker?.hush();
		this.pauser?.hush();
		this.connections.close();
	}
}
