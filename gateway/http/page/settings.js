/* SPDX-License-Identifier: MIT */
/* ---- The settings of web clients, to copy ---- */

/* A JavaScript string. */
const quote = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;

const SETTINGS = {
	strophe: ({ bosh, websocket }) => `// The scheme of the URL chooses the transport.
const url = ${quote(websocket)};
// or over BOSH:
// const url = ${quote(bosh)};

const connection = new Strophe.Connection(url);
connection.connect(jid, password, onStatus);`,
	converse: ({ bosh, websocket }) => `converse.initialize({
	websocket_url: ${quote(websocket)},
	bosh_service_url: ${quote(bosh)}, // used where WebSocket does not work
	discover_connection_methods: false, // always this gateway, whatever the domain names
});`,
	stanza: ({ bosh, websocket }) => `const client = createClient({
	jid,
	password,
	transports: { websocket: ${quote(websocket)} },
	// or over BOSH:
	// transports: { bosh: ${quote(bosh)} },
});
// It would choose channel binding where the server offers it, which browsers cannot do.
client.sasl.disable('SCRAM-SHA-256-PLUS');
client.sasl.disable('SCRAM-SHA-1-PLUS');
client.connect();`,
	xmpp: ({ websocket, domain }) => `// @xmpp/client speaks WebSocket; it has no BOSH.
const xmpp = client({
	service: ${quote(websocket)},
	domain: ${quote(domain)},
	username,
	password,
});
await xmpp.start();`,
};

const tabs = [...document.querySelectorAll('[role=tab]')];

function showSettings(chosen = tabs.find((tab) => tab.getAttribute('aria-selected') === 'true')) {
	for (const tab of tabs) {
		tab.setAttribute('aria-selected', String(tab === chosen));
		tab.tabIndex = tab === chosen ? 0 : -1;
	}
	$('snippet-panel').setAttribute('aria-labelledby', chosen.id);
	$('snippet').textContent = SETTINGS[chosen.dataset.client]({ bosh: TRANSPORTS.bosh.publicUrl,
		websocket: TRANSPORTS.websocket.publicUrl, domain: $('domain').value.trim() || 'example.org' });
	$('settings').querySelector('.told').textContent = '';
}

/* The keys of a list of tabs (WAI-ARIA Authoring Practices). */
function moveTab(event) {
	const at = tabs.indexOf(event.target);
	const next = { ArrowRight: at + 1, ArrowLeft: at + tabs.length - 1, Home: 0, End: tabs.length - 1 }[event.key];
	if (at >= 0 && next !== undefined) {
		event.preventDefault();
		tabs[next % tabs.length].focus();
		showSettings(tabs[next % tabs.length]);
	}
}

function prepareSettings() {
	$('settings-source').hidden = KINDS.every((kind) => TRANSPORTS[kind].publicUrl === TRANSPORTS[kind].url);
	tabs.forEach((tab) => tab.addEventListener('click', () => showSettings(tab)));
	$('tabs').addEventListener('keydown', moveTab);
	$('settings').append(copyActions('Copy settings', () => $('snippet').textContent));
	showSettings();
}
