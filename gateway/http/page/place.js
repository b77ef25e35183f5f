/* SPDX-License-Identifier: MIT */
/* ---- Where the page stands, and the addresses of the gateway ---- */

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const make = (name, text = '', className = '') => Object.assign(document.createElement(name), { textContent: text, className });
const version = root.dataset.version;

/* url: what this page connects to; publicUrl: what clients are to use, which the operator may have set. */
const TRANSPORTS = {
	bosh: { name: 'BOSH', make: BoshTransport, scheme: location.protocol, path: root.dataset.bosh, publicUrl: root.dataset.publicBosh },
	websocket: { name: 'WebSocket', make: WebSocketTransport, scheme: location.protocol.replace('http', 'ws'),
		path: root.dataset.websocket, publicUrl: root.dataset.publicWebsocket },
};
const KINDS = Object.keys(TRANSPORTS);

/* The page stands at each of its paths, and a proxy may have put all of them below a prefix. */
function findPlace() {
	const bare = (path) => path.replace(/\/+$/, '');
	const here = bare(location.pathname);
	const pathOf = (kind) => TRANSPORTS[kind].path;
	const kind = [...KINDS].sort((a, b) => pathOf(b).length - pathOf(a).length)
		.find((each) => bare(pathOf(each)) && here.endsWith(bare(pathOf(each))));
	const prefix = kind ? here.slice(0, here.length - bare(pathOf(kind)).length) : here;
	for (const each of Object.values(TRANSPORTS)) {
		each.url = `${each.scheme}//${location.host}${prefix}${each.path}`;
		each.publicUrl ||= each.url;
	}
	return kind;
}

/* navigator.clipboard is missing where the page came over plain HTTP. Returns whether @text was copied. */
async function copyText(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const area = make('textarea', '', 'unseen');
		const before = document.activeElement;
		area.value = text;
		document.body.append(area);
		area.select();
		const copied = document.execCommand('copy');
		area.remove();
		before?.focus();
		return copied;
	}
}

/* A button that copies what @read returns, beside the place where it says so. */
function copyActions(label, read) {
	const actions = make('p', '', 'actions');
	const button = Object.assign(make('button', label, 'button quiet'), { type: 'button' });
	const told = make('span', '', 'told');
	told.setAttribute('role', 'status');
	button.addEventListener('click', async () => {
		told.textContent = await copyText(read()) ? 'Copied.' : 'This browser does not let the page copy: select the text.';
	});
	actions.append(button, told);
	return actions;
}
