/* SPDX-License-Identifier: MIT */
/* ---- A run: one attempt over one transport, from Connect to its end ---- */

const STEPS = { session: 'Session', features: 'Features', login: 'Login', bind: 'Bind', ping: 'First ping' };

/* The view shows it: step(name, step, chips), mechanism(name), ping(run). */
class Run {
	constructor(plan, kind, view) {
		Object.assign(this, { plan, kind, view, transport: TRANSPORTS[kind] });
		this.began = new Date();
		this.steps = Object.fromEntries(Object.keys(STEPS).map((name) => [name, { state: 'pending', text: '' }]));
		this.pings = [];
		this.count = 0;
		this.min = Infinity;
		this.refused = 0;
		this.connection = new Connection(this.transport.make, this.transport.url, plan.domain);
	}

	step(name, state, text = '', { chips = [], ms = performance.now() - this.since } = {}) {
		if (state === 'running') {
			this.now = name;
			this.since = performance.now();
		}
		Object.assign(this.steps[name], { state, text, ms: state === 'done' || state === 'failed' ? ms : null });
		this.view.step(name, this.steps[name], chips);
	}

	ping(ms, refused) {
		if (!this.count) {
			const text = refused ? 'answered with an error, which is a round trip too' : `answered by ${this.plan.domain}`;
			this.step('ping', 'done', text, { ms });
		}
		this.count++;
		this.refused += refused;
		this.min = Math.min(this.min, ms);
		this.pings.push(ms);
		this.pings.splice(0, this.pings.length - PINGS_KEPT);
		this.view.ping(this);
	}

	/* Up to the end of the connection, or of the pings that @pings limits (Connection.stay). */
	async go(pings) {
		const { connection, plan } = this;
		this.step('session', 'running');
		this.step('session', 'done', await connection.open());
		this.step('features', 'running');
		const mechanismsOf = (features) => [...child(features, NS.sasl, 'mechanisms')?.children ?? []]
			.map((each) => each.textContent.trim());
		const offered = mechanismsOf(await connection.features());
		this.step('features', 'done', offered.join(', ') || 'no login mechanism', { chips: offered });
		this.step('login', 'running');
		const mechanism = chooseMechanism(offered, plan);
		this.view.mechanism(mechanism.name);
		this.step('login', 'done', `${mechanism.name}: ${await connection.login(mechanism)}`);
		delete plan.password;
		this.step('bind', 'running');
		this.step('bind', 'done', await connection.bind());
		this.step('ping', 'running');
		await connection.stay((ms, refused) => this.ping(ms, refused), pings);
	}

	fail(error) {
		this.failure = error instanceof Failure ? error : new Failure('An error occurred in this page itself.', [['Error', String(error)]]);
		if (this.count) {
			this.step(this.now, 'failed', `the connection ended after ${this.count} ping${this.count === 1 ? '' : 's'}`, { ms: null });
		} else {
			this.step(this.now, 'failed');
		}
	}

	end() {
		this.connection.close();
		delete this.plan.password;
		for (const [name, step] of Object.entries(this.steps)) {
			if (step.state === 'running') {
				this.step(name, 'pending', 'stopped');
			}
		}
	}

	get median() {
		return median(this.pings);
	}

	/* From the start to the first answered ping; NaN where it did not come so far. */
	get total() {
		return Object.values(this.steps).reduce((sum, { ms }) => sum + (ms ?? NaN), 0);
	}

	summary() {
		return [['Last', showMs(this.pings[this.pings.length - 1])], ['Median', showMs(this.median)], ['Min', showMs(this.min)],
			['Count', String(this.count)]];
	}

	report() {
		const lines = [['Transport', this.transport.name], ['Endpoint', this.transport.url], ['Time', this.began.toISOString()],
			...Object.entries(this.steps).map(([name, { state, ms, text }]) => [name,
				[state, typeof ms === 'number' ? showMs(ms) : '', text].filter(Boolean).join(', ')])];
		if (this.count) {
			lines.push(['pings', `${this.count}: ${this.summary().map(([label, value]) => `${label.toLowerCase()} ${value}`).join(', ')}`]);
		}
		if (this.failure) {
			lines.push(['', ''], ['Failure', this.failure.message], ...this.failure.facts);
			if (this.failure.raw) {
				lines.push(['As received', this.failure.raw.trim()]);
			}
		}
		return lines;
	}

	/* What a user may send to the operator. It names the domain but nobody's account. */
	letter() {
		const { failure, plan, steps, transport } = this;
		const { ms } = steps[this.now];
		const text = failure.facts.find(([label]) => label === 'Text')?.[1];
		const [day, time] = this.began.toISOString().split(/[T.]/);
		const lines = [`On ${day} at ${time} UTC I tried to reach the XMPP domain ${plan.domain} over ${transport.name} ` +
			`(${transport.url}), ${plan.anonymous ? 'with an anonymous login' : 'with an account'}.`,
		`It failed at the step \u201c${STEPS[this.now]}\u201d${typeof ms === 'number' ? ` after ${showMs(ms)}` : ''}: ${failure.message}`];
		if (text && !(text in SENTENCES)) { /* else the headline says the same */
			lines.push(`The reason that came with it: ${text}.`);
		}
		return [...lines, '', ...this.advice()].join('\n');
	}

	/* Where an operator finds it. A domain that is none could be anything on a command line. */
	advice() {
		const { name, look } = this.failure;
		const { domain } = this.plan;
		const lines = [];
		if (look !== '' && /^[\p{L}\p{N}][\p{L}\p{N}.-]*$/u.test(domain)) {
			lines.push('To see why, run this on the machine of the gateway, with its --config FILE:', '', `    doab --probe ${domain}`, '',
				`Look at ${look ?? 'the steps that failed'}, and at the verdict in the last line.`);
		}
		if (name) {
			lines.push(`The gateway\u2019s log has it with ${name === 'login-failed' ? 'event=auth-failed' : `failure=${name}`}.`);
		}
		return lines.length ? lines : ['See whether the gateway runs (doab --status), and what its log and that of a proxy say about this time.'];
	}
}
