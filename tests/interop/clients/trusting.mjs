// TLS for libraries that take no options for it.
import https from 'node:https';
import WebSocket from 'ws';

// Makes what is behind the global WebSocket and behind XMLHttpRequest trust what @ca has signed for @servername. Call it after the
// libraries are loaded: some set the global WebSocket then.
export function trust({ ca, servername }) {
	globalThis.WebSocket = class extends WebSocket {
		constructor(url, protocols) {
			super(url, protocols, { ca, servername });
		}
	};
	Object.assign(https.globalAgent.options, { ca, servername });
}
