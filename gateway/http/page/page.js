/* SPDX-License-Identifier: MIT */
/* ---- The page ---- */

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const TRANSPORTS = {
	bosh: { name: 'BOSH', make: BoshTransport, scheme: location.protocol },
	websocket: { name: 'WebSocket', make: WebSocketTransport, scheme: location.protocol.replace('http', 'ws') },
};
const paths = { bosh: root.dataset.bosh, websocket: root.dataset.websocket };
const version = root.dataset.version;

/* The page stands at each of its paths, and a proxy may have put all of them below a prefix. */
function findPlace() {
	const bare = (path) => path.replace(/\/+$/, '');
	const here = bare(location.pathname);
	const kind = ['bosh', 'websocket'].sort((a, b) => paths[b].length - paths[a].length)
		.find((each) => bare(paths[each]) && here.endsWith(bare(paths[each])));
	const prefix = kind ? here.slice(0, here.length - bare(paths[kind]).length) : here;
	for (const each of ['bosh', 'websocket']) {
		TRANSPORTS[each].url = `${TRANSPORTS[each].scheme}//${location.host}${prefix}${paths[each]}`;
	}
	return kind;
}

/* One attempt, from Connect to its end: what the page shows and what the report says. */
class Run {
	constructor(plan) {
		this.plan = plan;
		this.began = new Date();
		this.steps = Object.fromEntries(stepNodes.map((node) => [node.dataset.step, { state: 'pending', text: '' }]));
		this.pings = [];
		this.count = 0;
		this.min = Infinity;
		this.refused = 0;
		const transport = TRANSPORTS[plan.transport];
		this.connection = new Connection(transport.make, transport.url, plan.domain);
	}

	step(name, state, text = '', { chips = [], ms = performance.now() - this.since } = {}) {
		if (state === 'running') {
			this.now = name;
			this.since = performance.now();
		}
		Object.assign(this.steps[name], { state, text, ms: state === 'done' || state === 'failed' ? ms : null });
		showStep(name, this.steps[name], chips);
	}

	ping(ms, refused) {
		if (!this.count) {
			const text = refused ? 'answered with an error, which is a round trip too' : `answered by ${this.plan.domain}`;
			this.step('ping', 'done', text, { ms });
			showState('online');
		}
		this.count++;
		this.refused += refused;
		this.min = Math.min(this.min, ms);
		this.pings.push(ms);
		this.pings.splice(0, this.pings.length - PINGS_KEPT);
		showPings(this);
	}

	async go() {
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
		markMechanism(mechanism.name);
		this.step('login', 'done', `${mechanism.name}: ${await connection.login(mechanism)}`);
		delete plan.password;
		this.step('bind', 'running');
		this.step('bind', 'done', await connection.bind());
		this.step('ping', 'running');
		await connection.stay((ms, refused) => this.ping(ms, refused));
	}

	fail(error) {
		this.failure = error instanceof Failure ? error : new Failure('This page met an error of its own.', [['Error', String(error)]]);
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

	describe() {
		const { plan } = this;
		return `${TRANSPORTS[plan.transport].name} to ${plan.domain}, ${plan.anonymous ? 'anonymous' : `as ${plan.user}`}`;
	}

	report() {
		const lines = [['Gateway', `Doab ${version}`], ['Time', this.began.toISOString()],
			['Page', location.origin + location.pathname],
			['Endpoint', TRANSPORTS[this.plan.transport].url],
			['Test', this.describe()], ['State', root.dataset.state],
			['Browser', navigator.userAgent], ['', ''],
			...Object.entries(this.steps).map(([name, { state, ms, text }]) => [name,
				[state, typeof ms === 'number' ? showMs(ms) : '', text].filter(Boolean).join(', ')])];
		if (this.count) {
			lines.push(['pings', `${this.count}: ${summary(this).map(([label, value]) => `${label.toLowerCase()} ${value}`).join(', ')}`]);
		}
		if (this.failure) {
			lines.push(['', ''], ['Failure', this.failure.message], ...this.failure.facts);
			if (this.failure.raw) {
				lines.push(['As received', this.failure.raw.trim()]);
			}
		}
		return lines.map(([label, value]) => (label ? `${label}: `.padEnd(16) + value : '')).join('\n') + '\n';
	}
}

const stepNodes = [...$('steps').children];
let run = null;
const medians = {}; /* of the last run by each transport: { domain, value } */

const make = (name, text = '', className = '') => Object.assign(document.createElement(name), { textContent: text, className });

function showState(state) {
	root.dataset.state = state;
	const busy = state === 'running' || state === 'online';
	$('fields').disabled = busy;
	$('status').hidden = !busy;
	$('status-word').textContent = { running: 'Connecting', online: 'Online' }[state] ?? '';
	$('status-plan').textContent = busy ? run.describe() : '';
}

function showStep(name, { state, ms, text }, chips) {
	const node = stepNodes.find((each) => each.dataset.step === name);
	node.dataset.state = state;
	node.querySelector('.state').textContent = { running: ': under way', done: ': done', failed: ': failed' }[state] ?? '';
	node.querySelector('.time').textContent = typeof ms === 'number' ? showMs(ms) : '';
	const detail = node.querySelector('.detail');
	if (chips.length) {
		detail.replaceChildren(make('div', '', 'chips'));
		chips.forEach((chip) => detail.firstChild.append(make('code', chip), ' '));
	} else {
		detail.replaceChildren(name === 'bind' ? make('code', text) : text);
	}
}

function markMechanism(name) {
	document.querySelectorAll('.chips code').forEach((chip) => chip.classList.toggle('used', chip.textContent === name));
}

function summary({ pings, count, min }) {
	return [['Last', showMs(pings[pings.length - 1])], ['Median', showMs(median(pings))], ['Min', showMs(min)],
		['Count', String(count)]];
}

function showPings(each) {
	const rival = each.plan.transport === 'bosh' ? 'websocket' : 'bosh';
	const other = medians[rival];
	const middle = median(each.pings);
	medians[each.plan.transport] = { domain: each.plan.domain, value: middle };
	$('live').hidden = false;
	$('pings').replaceChildren(...summary(each).map(([label, value]) => {
		const pair = make('div');
		pair.append(make('dt', label), ' ', make('dd', value), ' ');
		return pair;
	}));
	$('chart').setAttribute('aria-label', `Ping round trips over time, median ${showMs(middle)}`);
	drawChart($('chart'), each.pings);
	$('compared').hidden = !other || other.domain !== each.plan.domain;
	if (!$('compared').hidden) {
		$('compared').textContent = `Before, over ${TRANSPORTS[rival].name}: median ${showMs(other.value)}.`;
	}
}

function showFailure(failure) {
	const list = make('dl');
	failure.facts.forEach(([label, value]) => list.append(make('dt', label), make('dd', value)));
	$('error').replaceChildren(make('strong', failure.message));
	if (failure.facts.length) {
		$('error').append(list);
	}
	if (failure.hint) {
		$('error').append(make('p', failure.hint, 'hint'));
	}
	if (failure.raw) {
		const details = make('details');
		details.append(make('summary', 'As received'), make('pre', failure.raw));
		$('error').append(details);
	}
	$('error').hidden = false;
}

function comeIntoView(node) {
	const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
	node.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
}

/* What the form says, or null after pointing at what is missing. */
function readPlan() {
	const anonymous = $('form').elements.login.value === 'anonymous';
	const [, name, jidDomain] = /^(?:([^@/]*)@)?([^/]*)/.exec($('jid').value.trim());
	const local = name ?? jidDomain;
	const domain = $('domain').value.trim() || (anonymous || name === undefined ? '' : jidDomain);
	const missing = !domain && 'domain' || !anonymous && !local && 'jid' || !anonymous && !$('password').value && 'password';
	['domain', 'jid', 'password'].forEach((id) => $(id).setAttribute('aria-invalid', String(id === missing)));
	hint();
	if (missing) {
		$(missing).focus();
		return null;
	}
	const transport = $('form').elements.transport.value;
	const account = anonymous ? {} : { user: local, password: $('password').value };
	return { transport, domain, anonymous, ...account };
}

function hint() {
	const anonymous = $('form').elements.login.value === 'anonymous';
	const missing = $('domain').getAttribute('aria-invalid') === 'true';
	$('domain-hint').classList.toggle('bad', missing);
	$('domain-hint').textContent = missing ? 'Which XMPP domain is to be tested?' : anonymous ?
		'The server must offer anonymous login (SASL ANONYMOUS).' : 'Taken from the JID; change it to connect elsewhere.';
}

async function start() {
	const plan = readPlan();
	if (!plan || run) {
		return;
	}
	run = new Run(plan);
	const mine = run;
	stepNodes.forEach((node) => showStep(node.dataset.step, { state: 'pending', text: '' }, []));
	['error', 'live', 'compared'].forEach((id) => { $(id).hidden = true; });
	$('report').className = 'unseen';
	$('copied').textContent = '';
	$('result').hidden = false;
	showState('running');
	$('stop').focus({ preventScroll: true });
	comeIntoView($('status'));
	try {
		await mine.go();
	} catch (error) {
		if (run !== mine) {
			return;
		}
		mine.fail(error);
		finish('failed');
		showFailure(mine.failure);
		comeIntoView($('error'));
	}
}

let shown = null; /* the run on the page, also after its end */

function finish(state) {
	shown = run;
	run.end();
	run = null;
	showState(state);
}

function stop() {
	if (run) {
		finish('idle');
	}
}

/* navigator.clipboard is missing where the page came over plain HTTP. */
async function copyReport() {
	const area = $('report');
	area.value = (run ?? shown).report();
	try {
		await navigator.clipboard.writeText(area.value);
	} catch {
		area.select();
		const copied = document.execCommand('copy');
		$('copy').focus();
		if (!copied) {
			area.className = 'shown';
			area.removeAttribute('aria-hidden');
			$('copied').textContent = 'This browser does not let the page copy; here it is.';
			return;
		}
	}
	$('copied').textContent = 'Copied.';
}

function showForm() {
	const form = $('form').elements;
	root.dataset.transport = form.transport.value;
	document.querySelectorAll('.account').forEach((node) => { node.hidden = form.login.value === 'anonymous'; });
	hint();
}

/* A password is never taken from the address: addresses are kept and sent about. */
function prefill(kind) {
	const query = new URLSearchParams(location.search);
	const form = $('form').elements;
	const transport = query.get('transport');
	form.transport.value = transport in TRANSPORTS ? transport : kind ?? 'bosh';
	form.login.value = query.has('jid') && query.get('anonymous') !== '1' ? 'password' : 'anonymous';
	$('jid').value = query.get('jid') ?? '';
	$('domain').value = query.get('domain') ?? '';
	showForm();
	if (query.get('start') === '1') {
		start();
	}
}

$('version').textContent = version;
const place = findPlace();
$('bosh-url').textContent = TRANSPORTS.bosh.url;
$('websocket-url').textContent = TRANSPORTS.websocket.url;
prefill(place);

$('form').addEventListener('submit', (event) => {
	event.preventDefault();
	start();
});
$('form').addEventListener('change', showForm);
$('form').addEventListener('input', ({ target }) => {
	target.setAttribute('aria-invalid', 'false');
	const domain = /@([^/]+)/.exec($('jid').value.trim());
	if (target.id === 'jid' && domain) {
		$('domain').value = domain[1];
	}
	hint();
});
$('stop').addEventListener('click', () => {
	stop();
	$('start').focus();
});
$('copy').addEventListener('click', copyReport);
addEventListener('pagehide', stop);
addEventListener('resize', () => drawChart($('chart'), (run ?? shown)?.pings ?? []));
