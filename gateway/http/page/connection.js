/* SPDX-License-Identifier: MIT */
/* ---- The connection: the XMPP that both transports carry ---- */

class Connection {
	constructor(Transport, url, domain) {
		this.domain = domain;
		this.events = [];
		this.transport = new Transport(url, domain, {
			opened: (text) => this.give({ opened: text }),
			element: (element) => this.give({ element }),
			ended: (failure) => this.give({ failure }),
		});
	}

	give(event) {
		this.events.push(event);
		this.wake?.();
	}

	/* The next event; a failure stays the last one and is thrown. */
	async next(seconds = ANSWER_LIMIT) {
		if (!this.events.length) {
			let timer;
			await new Promise((resolve) => {
				this.wake = resolve;
				if (seconds) {
					timer = setTimeout(resolve, 1000 * seconds);
				}
			});
			clearTimeout(timer);
		}
		if (!this.events.length) {
			throw new Failure(`No answer came within ${seconds} seconds.`);
		}
		const event = this.events.shift();
		if (event.failure) {
			throw event.failure;
		}
		return event;
	}

	async open() {
		this.transport.open();
		return (await this.next()).opened;
	}

	async element(wanted) {
		for (;;) {
			const { element } = await this.next();
			if (element && wanted(element)) {
				return element;
			}
		}
	}

	features() {
		return this.element((element) => is(element, NS.stream, 'features'));
	}

	async login({ name, exchange }) {
		const say = (tag, bytes, attributes = '') => this.transport.send(
			`<${tag} xmlns='${NS.sasl}'${attributes}>${bytes && (toBase64(bytes) || '=')}</${tag}>`);
		say('auth', exchange.start() ?? '', ` mechanism='${name}'`);
		for (;;) {
			const answer = await this.element((element) => element.namespaceURI === NS.sasl);
			const data = answer.localName === 'failure' || answer.textContent.trim() === '=' ? '' : answer.textContent;
			if (answer.localName === 'failure') {
				throw new Failure(LOGIN_CONDITIONS[conditionOf(answer, NS.sasl)] ?? 'The server refused the login.',
					[...errorFacts('SASL failure', answer, NS.sasl), ['Mechanism', name]],
					{ name: 'login-failed', look: FAILURES['login-failed'][2] });
			} else if (answer.localName === 'success') {
				return exchange.finish(fromBase64(data));
			}
			const response = await exchange.respond(fromBase64(data));
			this.transport.send(`<response xmlns='${NS.sasl}'>${toBase64(response)}</response>`);
		}
	}

	/* An IQ's result; its error is a Failure. */
	async iq(type, payload, to = '') {
		const id = `doab-${toBase64(random(6))}`;
		this.transport.send(`<iq ${xml`type='${type}' id='${id}'`}${to && xml` to='${to}'`} xmlns='${NS.client}'>${payload}</iq>`);
		const answer = await this.element((element) => is(element, NS.client, 'iq') && element.getAttribute('id') === id);
		if (answer.getAttribute('type') !== 'result') {
			throw new Failure('The server refused a request.',
				errorFacts('Stanza error', child(answer, NS.client, 'error') ?? answer, NS.stanzas));
		}
		return answer;
	}

	async bind() {
		this.transport.restart();
		const features = await this.features();
		if (!child(features, NS.bind, 'bind')) {
			throw new Failure('The server offers no resource binding after the login.');
		}
		const bound = child(await this.iq('set', `<bind xmlns='${NS.bind}'/>`), NS.bind, 'bind');
		const session = child(features, NS.session, 'session');
		if (session && !child(session, NS.session, 'optional')) {
			await this.iq('set', `<session xmlns='${NS.session}'/>`);
		}
		return bound?.textContent.trim() ?? '';
	}

	/* Pings @count times, or for as long as the connection lives; tell(milliseconds) hears of each answer. */
	async stay(tell, { count = Infinity, interval = PING_INTERVAL } = {}) {
		let ping = null;
		const beat = () => {
			if (ping && performance.now() - ping.sent > PING_LIMIT) {
				this.give({ failure: new Failure(`A ping had no answer within ${PING_LIMIT / 1000} seconds.`) });
			} else if (!ping && (document.visibilityState === 'visible' || count < Infinity)) {
				ping = { id: `ping-${toBase64(random(6))}`, sent: performance.now() };
				this.transport.send(xml`<iq type='get' id='${ping.id}' to='${this.domain}' xmlns='${NS.client}'>` +
					`<ping xmlns='${NS.ping}'/></iq>`);
			}
		};
		const timer = setInterval(beat, interval);
		try {
			for (beat(); count > 0;) {
				const { element } = await this.next(0);
				if (!element || !is(element, NS.client, 'iq')) {
					continue;
				}
				if (['get', 'set'].includes(element.getAttribute('type'))) {
					this.refuse(element);
				} else if (ping && element.getAttribute('id') === ping.id) {
					const { sent } = ping;
					ping = null;
					count--;
					tell(performance.now() - sent, element.getAttribute('type') === 'error');
				}
			}
		} finally {
			clearInterval(timer);
		}
	}

	/* A server may ping its clients too, and ends those that stay silent; an error is an answer. */
	refuse(request) {
		const to = request.getAttribute('from');
		const head = `<iq ${xml`id='${request.getAttribute('id') ?? ''}'`}${to ? xml` to='${to}'` : ''} xmlns='${NS.client}'`;
		this.transport.send(child(request, NS.ping, 'ping') ? `${head} type='result'/>` :
			`${head} type='error'><error type='cancel'><service-unavailable xmlns='${NS.stanzas}'/></error></iq>`);
	}

	/* Whoever waits for an event must come to an end too. */
	close() {
		this.transport.close();
		this.give({ failure: new Failure('The connection was closed here.') });
	}
}
