// What a page in a browser shows, and what it and its servers have said to each other: for the one who reads why a test failed.
const TRAFFIC_MAX = 40;
const PROBLEMS_MAX = 10;
const LINE_MAX = 400;
const TEXT_LINES_MAX = 40;

const shorten = (text) => (text.length > LINE_MAX ? `${text.slice(0, LINE_MAX)}\u2026 (${text.length})` : text);

// page.exceptions: those of its scripts; page.problems: they, and what it wrote to the console as an error; page.traffic: its POST
// requests and WebSocket messages, the latest.
export function watchPage(page) {
	page.exceptions = [];
	page.problems = [];
	page.traffic = [];
	const note = (text) => {
		page.traffic.push(`${new Date().toISOString().slice(11, 23)} ${shorten(text)}`);
		page.traffic.splice(0, page.traffic.length - TRAFFIC_MAX);
	};
	page.on('pageerror', (error) => {
		page.exceptions.push(String(error));
		page.problems.push(String(error));
	});
	page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
	const isPost = (request) => request.method() === 'POST';
	page.on('request', (request) => isPost(request) && note(`> ${request.postData()}`));
	page.on('response', async (response) => isPost(response.request()) &&
		note(`< ${response.status()} ${await response.text().catch(({ message }) => message.split('\n')[0])}`));
	page.on('requestfailed', (request) => note(`x ${request.method()} ${request.url()}: ${request.failure().errorText}`));
	page.on('websocket', (socket) => {
		note(`o ${socket.url()}`);
		socket.on('framesent', ({ payload }) => note(`> ${payload}`));
		socket.on('framereceived', ({ payload }) => note(`< ${payload}`));
		socket.on('close', () => note(`x ${socket.url()}`));
	});
}

// Runs in the page.
function look() {
	const nameOf = (element) => element && [element.localName, element.id && `#${element.id}`, element.name && `[name=${element.name}]`,
		...[...element.classList].map((name) => `.${name}`)].filter(Boolean).join('');
	const valueOf = ({ type, value }) => (type === 'password' ? `${value.length} characters` : JSON.stringify(value));
	const fields = [...document.querySelectorAll('input, textarea')].filter((each) => each.getClientRects().length);
	return {
		url: location.href,
		state: document.documentElement.dataset.state,
		text: document.body.innerText,
		focus: nameOf(document.activeElement),
		fields: fields.map((each) => `${nameOf(each)}: ${valueOf(each)}${each.disabled ? ', disabled' : ''}`),
	};
}

const section = (title, lines) => (lines.length ? [`${title}:`, ...lines.map((line) => `  ${line}`)] : []);

export async function describePage(page) {
	const { url, state, text, focus, fields } = await page.evaluate(look);
	const shown = text.split('\n').filter((line) => line.trim()).slice(-TEXT_LINES_MAX).map(shorten);
	return [`${url}${state ? `, state ${state}` : ''}, focus on ${focus}`, ...section('It shows', shown), ...section('Its fields', fields),
		...section('Its errors', page.problems.slice(-PROBLEMS_MAX).map(shorten)), ...section('It and its servers said', page.traffic)].join('\n');
}
