// What several test files assert in the same words.
import assert from 'node:assert/strict';
import { parse, NS } from './xml.mjs';

// A BOSH answer that ends the session with one of @conditions. @status: 200, or that of a legacy client.
export function assertTerminated(answer, conditions, status = 200) {
	assert.equal(answer.status, status, answer.text);
	assert.match(answer.headers['content-type'], /^text\/xml; charset=utf-8$/i);
	assert.equal(answer.element.ns, NS.httpbind, answer.text);
	assert.equal(answer.element.attributes.type, 'terminate', answer.text);
	const expected = [conditions].flat();
	assert.ok(expected.includes(answer.element.attributes.condition), `${expected.join(' or ')} expected: ${answer.text}`);
}

// The WebSocket ends: a stream error with one of @conditions, <close/>, the close frame. An <open/> may come first
// (it must when none came before). Resolves with the stream error.
export async function assertStreamError(socket, conditions, { open } = {}) {
	let element = await socket.next();
	if (element.name === 'open') {
		assert.notEqual(open, false, 'a second <open/>');
		element = await socket.next();
	} else {
		assert.notEqual(open, true, '<open/> has to come before the stream error');
	}
	assert.equal(`${element.ns} ${element.name}`, `${NS.streams} error`);
	const expected = [conditions].flat();
	assert.ok(element.children.some((child) => child.ns === NS.errors && expected.includes(child.name)),
		`${expected.join(' or ')} expected: ${element.children.map((child) => child.name)}`);
	const close = await socket.next();
	assert.equal(`${close.ns} ${close.name}`, `${NS.framing} close`);
	assert.ok(await socket.nextClose(), 'a close frame after <close/>');
	return element;
}

// An element that the scripted server received, in the context of the stream header it came after.
export function parseInStream(header, text) {
	return parse(`${header.text}${text}</${header.text.slice(1).split(/\s/)[0]}>`).children[0];
}

// RFC 9110, 6.6.1: an answer of now says when it was given, once. @now: the time of the gateway's clock.
export function assertDated({ status, headers }, now = Date.now()) {
	assert.match(headers.date ?? '', /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/, `status ${status}`);
	const error = Math.abs(Date.parse(headers.date) - now);
	assert.ok(error < 60 * 1000, `${headers.date} is off by ${error} ms`);
	assert.equal(new Date(headers.date).toUTCString(), headers.date);
}
