// A BOSH client of the soak: it keeps every rule of XEP-0124 and has every misfortune that the specification provides for.
import { Splitter } from '../support/splitter.mjs';
import { escape, NS } from '../support/xml.mjs';
import { Chance } from './chance.mjs';
import { bodyAttributes, Delivery } from './delivery.mjs';
import { KeySequence } from './keys.mjs';
import { AUTH, SoakSession } from './session.mjs';
import { inBody } from './stanzas.mjs';
import { Talker } from './talker.mjs';
import { Connections } from './transmission.mjs';
import { RequestWindow } from './window.mjs';

const RID_MOST = 1e9;
const BATCH_BYTES = 100000;
const BATCH_STANZAS = 8;
const POLLING_MARGIN_MS = 300;
const LATE_MS = 30000; // on top of `wait`; the machine may be busy
const PAUSE_LONGER_S = 8; // than the inactivity
const RETURN_PART = 0.3; // of a pause, to get a request through, mishaps included, before it is over
const RETURNED_MS = 5000; // after a pause, it has got one through

// A moment without a request between two polls, seldom a long one.
function rest(chance) {
	const kind = chance.real();
	if (kind < 0.85) {
		return chance.integer(0, 50);
	}
	return kind < 0.97 ? chance.integer(200, 1000) : chance.integer(1000, 2500);
}

// Whether it says why the session ended, which is no payload.
const isReason = ({ name }, { type }) => type === 'terminate' && (name === 'error' || name === 'text');

export class SoakClient extends SoakSession {
	// Its traits: { hold, wait, acks, keys, pauses, codings, steady }.
	constructor(options) {
		super(options);
		this.connections = new Connections(this.port, this.secure);
		this.window = new RequestWindow(this.chance.integer(1, RID_MOST));
		this.keys = this.traits.keys ? new KeySequence(new Chance(this.seed, 'keys', this.session)) : undefined;
		Object.assign(this, { outbox: [], resumeAt: 0, nextEmptyAt: 0 });
	}

	// Its first request. The answer cannot be asked for again, so nothing befalls it.
	open() {
		const { hold, wait, acks } = this.traits;
		this.isCalm = true;
		this.request('creation', '', { to: this.domain, from: this.from, ver: '1.11', wait, hold,
			'xml:lang': 'en', 'xmlns:xmpp': NS.xbosh, 'xmpp:version': '1.0', ack: acks ? 1 : undefined });
		this.isCalm = false;
		return new Promise((resolve, reject) => {
			this.opened = resolve;
			this.openFailed = reject;
		});
	}

	// @numbers: of the stanzas in @payload.
	request(kind, payload, attributes, numbers = []) {
		const { window } = this;
		const all = { xmlns: NS.httpbind, rid: window.nextRid, sid: this.sid, ack: window.ack, ...this.keys?.next(),
			...attributes };
		const text = Object.entries(all).filter(([, value]) => value !== undefined)
			.map(([name, value]) => ` ${name}='${escape(String(value))}'`).join('');
		const body = payload ? `<body${text}>${payload}</body>` : `<body${text}/>`;
		this.stats.requests++;
		numbers.forEach((n) => (this.ridOf[n] = window.nextRid));
		window.add(new Delivery(this, { rid: window.nextRid, kind, body, numbers }));
		return window.items.at(-1);
	}

	// A stanza wants to go.
	say() {
		const text = inBody(this.nextStanza());
		this.outbox.push({ text, n: this.nSent });
		this.pump();
	}

	// Does what the rules allow now. Called after all that happens, and now and then for the time that goes by.
	pump() {
		if (!this.sid || this.isOver || this.isPausing || this.isAsleep) {
			return;
		}
		this.window.forgetDone();
		const now = Date.now();
		if (this.pauseLeft() > 0) {
			return;
		}
		if (this.wantsRestart && this.window.isOpen()) {
			this.wantsRestart = false;
			this.request('restart', '', { to: this.domain, 'xml:lang': 'en', 'xmlns:xmpp': NS.xbosh, 'xmpp:restart': 'true' });
		}
		while (this.outbox.length && this.window.isOpen()) {
			const stanzas = this.batch();
			this.request('payload', stanzas.map(({ text }) => text).join(''), {}, stanzas.flatMap(({ n }) => n ?? []));
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
			n += Buffer.byteLength(this.outbox[0].text);
			if (n > BATCH_BYTES && stanzas.length) {
				break;
			}
			stanzas.push(this.outbox.shift());
		}
		return stanzas;
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
		this.pauseMs = seconds * 1000 * (1 - RETURN_PART * (1 + this.chance.real()));
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
		const mayRepeat = ['payload', 'empty'].includes(delivery.kind) && !this.isCalm && !this.isSteady && !this.isPausing &&
			!this.pauseLeft();
		delivery.numbers.forEach((n) => this.settle(n));
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
		elements.forEach((element) => this.element(element));
		this.plan(kind, elements.length);
		if (kind === 'pause' && elements.some((element) => !isReason(element, attributes))) {
			this.fail(`the answer to a pause has payloads: ${answer.slice(0, 300)}`);
		}
		if (attributes.type === 'terminate') {
			this.ended(attributes, answer);
		}
	}

	// First the features, the server's yes, and the features again.
	element(element) {
		if (element.name === 'error' || element.name === 'text') {
			this.note(`why the session ended: ${element.text}`);
		} else if (this.hasStarted) {
			this.take(element);
		} else if (element.name === 'features' && !this.hasFeatures) {
			this.hasFeatures = true;
			this.outbox.push({ text: AUTH });
		} else if (element.name === 'success') {
			this.wantsRestart = true;
		} else if (element.name === 'features') {
			this.start();
		} else {
			this.fail(`<${element.name}/> before the login`);
		}
	}

	created(attributes, answer) {
		if (!attributes.sid) {
			this.openFailed(new Error(answer));
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

	start() {
		super.start();
		if (this.talker && this.maxPause && this.traits.pauses && !this.isPolling) {
			const chance = new Chance(this.seed, 'pauses', this.session);
			this.pauser = new Talker(chance, this.mishapMs, () => {
				this.wantsPause = true;
				// Last words: the pause is then the one request more than the others that it may be.
				this.say();
			});
		}
	}

	get maySleep() {
		// A pause must end in time.
		return !this.isPausing && !this.wantsPause && Date.now() > this.resumeAt + RETURNED_MS;
	}

	freeze() {
		this.connections.freeze();
	}

	thaw() {
		this.connections.thaw();
		this.pump();
	}

	hush() {
		super.hush();
		this.pauser?.hush();
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
		// After the last answer, those that were lost before are no longer kept.
		const isLate = condition === 'item-not-found' && (this.isTerminating || this.server.wasDown(this.born));
		this.condition = isLate ? undefined : condition;
		if (!this.isTerminating && condition === undefined) {
			this.fail(`the gateway ended the session: ${answer.slice(-400)}`);
		}
		this.end();
	}

	// Whether two transmissions of a request may have these answers: when its server went down, the session ended, and the first
	// request that was answered then was told why. So is the repeat of each that was still open; later nobody is. The two come on
	// different connections, in any order.
	mayDiffer(...answers) {
		return this.server.wasDown(this.born) && answers.some((answer) => bodyAttributes(answer).type === 'terminate');
	}

	// Called now and then.
	tick(now) {
		const late = this.window.unanswered.find((item) => item.isLate(now, (this.waitMs ?? 0) + LATE_MS));
		if (late && !this.isOver) {
			this.fail(`rid ${late.rid} is not answered`);
			this.end();
		}
		this.pump();
	}

	calm() {
		super.calm();
		this.wantsPause = false;
		this.window.items.forEach((item) => item.current?.spare());
		this.nextEmptyAt = Math.min(this.nextEmptyAt, Date.now() + this.pollingMs + POLLING_MARGIN_MS);
	}

	// Whether there is nothing left to send or to be repeated.
	get isSettled() {
		return this.isOver || (this.outbox.length === 0 && !this.isPausing && this.window.isQuiet && this.window.isOpen(1));
	}

	// Terminates the session, with a last stanza.
	close() {
		this.isTerminating = true;
		const text = inBody(this.nextStanza());
		this.request('terminate', text, { type: 'terminate' }, [this.nSent]);
	}

	// @isSilent: its connections stay open for a while, unread.
	vanish({ isSilent, isReset }) {
		this.vanishedAt = Date.now();
		this.end();
		if (isSilent) {
			this.connections.isClosed = true;
			this.connections.all.forEach((socket) => this.connections.abandon(socket));
		} else {
			this.connections.close(isReset);
		}
	}

	// Lets go of what is left, when the session is over.
	stop() {
		this.end();
		this.connections.close();
	}
}
