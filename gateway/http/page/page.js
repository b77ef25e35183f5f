/* SPDX-License-Identifier: MIT */
/* ---- The page ---- */

const stepNodes = [...$('steps').children];
const medians = {}; /* of the last run by each transport: { domain, value } */
let test = null; /* what runs: { plan, runs, current }, of one or of both transports */
let shown = null; /* the test on the page, also after its end */

const nameOf = (choice) => (choice === 'both' ? 'BOSH and WebSocket' : TRANSPORTS[choice].name);
const describe = ({ transport, domain, anonymous, user }) =>
	`${nameOf(transport)} to ${domain}, ${anonymous ? 'anonymous' : `as ${user}`}`;

/* While it runs, the page has the colour of the transport that is tried. */
function showState(state) {
	const busy = state === 'running' || state === 'online';
	root.dataset.state = state;
	root.dataset.transport = busy ? test.current.kind : $('form').elements.transport.value;
	$('fields').disabled = busy;
	$('status').hidden = !busy;
	$('status-word').textContent = { running: 'Connecting', online: 'Online' }[state] ?? '';
	$('status-plan').textContent = busy ? describe({ ...test.plan, transport: test.current.kind }) : '';
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

function showPings(run) {
	const rival = run.kind === 'bosh' ? 'websocket' : 'bosh';
	const other = medians[rival];
	medians[run.kind] = { domain: run.plan.domain, value: run.median };
	$('live').hidden = false;
	$('pings').replaceChildren(...run.summary().map(([label, value]) => {
		const pair = make('div');
		pair.append(make('dt', label), ' ', make('dd', value), ' ');
		return pair;
	}));
	$('chart').setAttribute('aria-label', `Ping round trips over time, median ${showMs(run.median)}`);
	drawChart($('chart'), run.pings);
	$('compared').hidden = !other || other.domain !== run.plan.domain;
	if (!$('compared').hidden) {
		$('compared').textContent = `Before, over ${TRANSPORTS[rival].name}: median ${showMs(other.value)}.`;
	}
}

const VIEW = {
	step: showStep,
	mechanism: markMechanism,
	ping: (run) => {
		if (run.count === 1) {
			showState('online');
		}
		showPings(run);
	},
};

function foldedText(title, text, className) {
	const details = make('details', '', className);
	details.append(make('summary', title), make('pre', text));
	return details;
}

/* The failure of @run; @label says over what, where that is not clear. */
function failureNode(run, label) {
	const { failure } = run;
	const node = make('div', '', 'failure');
	const list = make('dl');
	failure.facts.forEach(([name, value]) => list.append(make('dt', name), make('dd', value)));
	if (label) {
		node.append(make('span', label, 'over'));
	}
	node.append(make('strong', failure.message));
	if (failure.hint) {
		node.append(make('p', failure.hint, 'hint'));
	}
	if (failure.facts.length) {
		node.append(list);
	}
	if (failure.raw) {
		node.append(foldedText('As received', failure.raw, 'received'));
	}
	const tell = foldedText('Tell the operator', run.letter(), 'tell');
	tell.append(copyActions('Copy text', () => run.letter()));
	node.append(tell);
	return node;
}

/* Both may have failed for one reason, which is then told once. */
function showFailures(runs) {
	const failed = runs.filter((run) => run.failure);
	const isSame = failed.length === 2 && failed[0].failure.message === failed[1].failure.message;
	const told = isSame ? [failed[0]] : failed;
	$('error').replaceChildren(...told.map((run) => failureNode(run,
		runs.length > 1 && (isSame ? 'Over both' : `Over ${run.transport.name}`))));
	$('error').hidden = !told.length;
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

function clearResult(both) {
	stepNodes.forEach((node) => showStep(node.dataset.step, { state: 'pending', text: '' }, []));
	['error', 'live', 'compared'].forEach((id) => { $(id).hidden = true; });
	$('steps').hidden = both;
	$('stop').textContent = both ? 'Stop' : 'Disconnect';
	$('both').hidden = !both;
	$('verdict').hidden = true;
	$('report').className = 'unseen';
	$('copied').textContent = '';
	$('result').hidden = false;
}

/* One run of @mine to its end. Returns false if the user ended the test meanwhile. */
async function runOne(mine, kind, view, pings) {
	const run = new Run({ ...mine.plan }, kind, view);
	mine.runs.push(run);
	mine.current = run;
	showState('running');
	try {
		await run.go(pings);
	} catch (error) {
		if (test !== mine) {
			return false;
		}
		run.fail(error);
	}
	return test === mine;
}

async function compare(mine) {
	const comparison = new Comparison($('both'));
	for (const kind of KINDS) {
		if (!await runOne(mine, kind, comparison.view(kind), { count: COMPARED_PINGS, interval: COMPARED_INTERVAL })) {
			return;
		}
		mine.current.end();
	}
	comparison.runs = mine.runs;
	mine.verdict = comparison.verdict();
	finish(mine.runs.some((run) => run.failure) ? 'failed' : 'done');
	$('verdict').textContent = mine.verdict;
	$('verdict').hidden = false;
	showFailures(mine.runs);
	comeIntoView($('verdict'));
}

async function start() {
	const plan = readPlan();
	if (!plan || test) {
		return;
	}
	const both = plan.transport === 'both';
	const mine = { plan, runs: [], began: new Date() };
	test = mine;
	shown = mine;
	clearResult(both);
	const ended = both ? compare(mine) : runOne(mine, plan.transport, VIEW);
	$('stop').focus({ preventScroll: true });
	comeIntoView($('status'));
	if (!both && await ended) {
		finish('failed');
		showFailures(mine.runs);
		comeIntoView($('error'));
	}
}

function finish(state) {
	const hadFocus = document.activeElement === $('stop');
	test.current.end();
	delete test.plan.password;
	test = null;
	showState(state);
	if (hadFocus) {
		$('start').focus({ preventScroll: true });
	}
}

function stop() {
	if (test) {
		finish('idle');
	}
}

function report({ plan, runs, began, verdict }) {
	const lines = [['Gateway', `Doab ${version}`], ['Time', began.toISOString()], ['Page', location.origin + location.pathname],
		['Test', describe(plan)], ['State', root.dataset.state], ...(verdict ? [['Verdict', verdict]] : []),
		['Browser', navigator.userAgent], ...runs.flatMap((run) => [['', ''], ...run.report()])];
	return lines.map(([label, value]) => (label ? `${label}: `.padEnd(16) + value : '')).join('\n') + '\n';
}

async function copyReport() {
	$('report').value = report(shown);
	const copied = await copyText($('report').value);
	$('report').className = copied ? 'unseen' : 'shown';
	$('report').setAttribute('aria-hidden', String(copied));
	$('report').tabIndex = copied ? -1 : 0;
	$('copied').textContent = copied ? 'Copied.' : 'This browser does not let the page copy; here it is.';
}

function showForm() {
	const form = $('form').elements;
	const anonymous = form.login.value === 'anonymous';
	root.dataset.transport = form.transport.value;
	document.querySelectorAll('.account').forEach((node) => { node.hidden = anonymous; });
	$('plain-http').hidden = anonymous || isSafePage();
	$('start').textContent = form.transport.value === 'both' ? 'Try both' : 'Connect';
	hint();
}

/* A password is never taken from the address: addresses are kept and sent about. */
function prefill(kind) {
	const query = new URLSearchParams(location.search);
	const form = $('form').elements;
	const transport = query.get('transport');
	form.transport.value = KINDS.includes(transport) || transport === 'both' ? transport : kind ?? 'bosh';
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
KINDS.forEach((kind) => { $(`${kind}-url`).textContent = TRANSPORTS[kind].url; });
const safer = KINDS.map((kind) => TRANSPORTS[kind].publicUrl).find((url) => url.startsWith('https:'));
if (safer) {
	$('plain-http').append(' Open ', Object.assign(make('a', safer), { href: safer }), ' instead.');
}
prefill(place);
prepareSettings();

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
	showSettings();
});
$('stop').addEventListener('click', stop);
$('copy').addEventListener('click', copyReport);
addEventListener('pagehide', stop);
addEventListener('resize', () => drawChart($('chart'), shown?.current.pings ?? []));
