// The settings of this site. What else there is: https://conversejs.org/docs/html/configuration.html
//
// Everybody with an XMPP account can log in, whatever the server: the gateway finds it by DNS. To serve one domain only,
// set `locked_domain` here, and `domain` sections in doab.conf.

// "?transport=bosh" is for networks that block WebSockets.
const wanted = new URLSearchParams(location.search).get('transport');
const webSocketUrl = `${location.origin.replace(/^http/, 'ws')}/xmpp-websocket`;

// Converse.js' own footer loads pictures from other sites, which would learn who visits this one.
customElements.define('converse-footer', class extends HTMLElement {
	connectedCallback() {
		this.innerHTML = '<p style="text-align: center; opacity: 0.6">Made with <a href="https://conversejs.org" rel="noopener">Converse.js</a></p>';
	}
});

converse.initialize({
	view_mode: 'fullscreen',
	theme: 'default',
	assets_path: 'converse/',
	// Always use the gateway of this site, not the endpoints that a user's own domain may publish.
	discover_connection_methods: false,
	...(wanted === 'websocket' ? {} : { bosh_service_url: '/http-bind' }),
	...(wanted === 'bosh' ? {} : { websocket_url: webSocketUrl }),
	// Passwords stay with the browser; a session survives a reload of the page.
	authentication: 'login',
	reuse_scram_keys: true,
	auto_reconnect: true,
	// More often than the 60 seconds after which many networks forget a quiet connection.
	ping_interval: 50,
	allow_registration: false,
	// People who are no contacts yet may write.
	allow_non_roster_messaging: true,
	notify_all_room_messages: false,
});
