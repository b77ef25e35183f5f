// What came from the gateway, as a plain tree for assertions: { name, ns, attributes, children, text, at(path) }.
import { DOMParser } from '@xmldom/xmldom';

export const NS = {
	httpbind: 'http://jabber.org/protocol/httpbind',
	xbosh: 'urn:xmpp:xbosh',
	streams: 'http://etherx.jabber.org/streams',
	framing: 'urn:ietf:params:xml:ns:xmpp-framing',
	client: 'jabber:client',
	sasl: 'urn:ietf:params:xml:ns:xmpp-sasl',
	bind: 'urn:ietf:params:xml:ns:xmpp-bind',
	errors: 'urn:ietf:params:xml:ns:xmpp-streams',
	tls: 'urn:ietf:params:xml:ns:xmpp-tls',
	sm: 'urn:xmpp:sm:3',
};

const parser = new DOMParser({
	locator: false,
	onError: (level, message) => {
		throw new Error(`XML ${level}: ${message}`);
	},
});

class Element {
	constructor(node) {
		this.name = node.localName;
		this.ns = node.namespaceURI ?? '';
		this.prefix = node.prefix ?? '';
		this.attributes = Object.fromEntries([...node.attributes].map((a) => [a.name, a.value]));
		this.children = [...node.childNodes].filter((n) => n.nodeType === 1).map((n) => new Element(n));
		this.text = node.textContent;
	}

	// at('features', 'mechanisms'): the first child of that name, and so on down; undefined where there is none.
	at(...names) {
		return names.reduce((element, name) => element?.children.find((child) => child.name === name), this);
	}

	all(name) {
		return this.children.filter((child) => child.name === name);
	}
}

// Throws on whatever is not namespace-well-formed XML.
export function parse(text) {
	return new Element(parser.parseFromString(text, 'text/xml').documentElement);
}

export const escape = (text) => text.replace(/[&<>'"]/g, (c) => `&#${c.charCodeAt(0)};`);
