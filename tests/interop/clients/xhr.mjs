// As much of XMLHttpRequest over node:http as strophe.js uses for BOSH.
import http from 'node:http';
import https from 'node:https';

const UNSENT = 0;
const OPENED = 1;
const DONE = 4;

export class XMLHttpRequest {
	static agent = new http.Agent({ keepAlive: true, noDelay: true });

	constructor() {
		this.headers = {};
		this.reset();
	}

	reset() {
		Object.assign(this, { readyState: UNSENT, status: 0, responseText: '', responseXML: null, response: null });
	}

	open(method, url) {
		this.method = method;
		this.url = url;
		this.readyState = OPENED;
	}

	setRequestHeader(name, value) {
		this.headers[name] = value;
	}

	getAllResponseHeaders() {
		return Object.entries(this.response?.headers ?? {}).map(([name, value]) => `${name}: ${value}`).join('\r\n');
	}

	send(data) {
		const body = Buffer.from(data);
		const isSecure = this.url.startsWith('https:');
		this.request = (isSecure ? https : http).request(this.url, { method: this.method, agent: isSecure ? https.globalAgent : XMLHttpRequest.agent,
			headers: { ...this.headers, 'Content-Length': body.length } });
		this.request.once('error', () => this.done());
		this.request.once('response', (response) => {
			const chunks = [];
			response.on('data', (chunk) => chunks.push(chunk)).once('error', () => this.done());
			response.once('end', () => {
				this.response = response;
				this.status = response.statusCode;
				this.responseText = Buffer.concat(chunks).toString('utf8');
				this.responseXML = this.responseText ? new DOMParser().parseFromString(this.responseText, 'text/xml') : null;
				this.done();
			});
		});
		this.request.end(body);
	}

	done() {
		if (this.readyState === OPENED) {
			this.readyState = DONE;
			this.onreadystatechange?.();
		}
	}

	abort() {
		this.readyState = UNSENT;
		this.request?.destroy();
	}
}
