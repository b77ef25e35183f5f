// What became of each stanza of a session that is over. Each must have arrived, once, in order and unchanged, or have been returned
// to its sender as an error (XEP-0206), or be in doubt: it was under way when a connection broke that nobody could repeat it on.
//
//     broke      the server went down
//     vanished   the client went away without a goodbye
//     doubt      ends so long before the break: what is older had time to arrive
import { patiently } from '../support/util.mjs';
import { inBody, stanzaText } from './stanzas.mjs';

const DOUBT_MS = patiently(5000);
// Of a last answer that can be asked for again whatever the other sessions do; and what it has beside payloads.
const LAST_ANSWER_MAX = 16 * 1024;
const LAST_ANSWER_ROOM = 1024;
// Stanzas that may be in answers nobody read: of each held request, and of the one just answered, a burst.
const ANSWERS_UNREAD_MAX = 18;
// What a client is told when its server goes down.
const SERVER_CONDITIONS = ['remote-connection-failed', 'remote-stream-error', 'system-shutdown'];
const NUMBERS_TOLD = 5;
// The gateway's `pending_bytes`.
export const PENDING_BYTES = 65536;

const some = (list) => `${list.slice(0, NUMBERS_TOLD).join(', ')}${list.length > NUMBERS_TOLD ? ', ...' : ''}`;

function judgeUp({ client, peer, ending }, report) {
	const { brokeAt } = peer;
	const { vanishedAt } = client;
	const all = peer.ledger.close(client.nSent);
	// What a client had said while it could not send, when its session ended.
	const isUnsent = (n) => client.ridOf[n] === undefined && (brokeAt !== undefined || vanishedAt !== undefined);
	const lost = all.filter((n) => !isUnsent(n));
	const nSent = client.nSent - (all.length - lost.length);
	const mustHave = (n) => {
		const at = client.settledAt[n];
		if (brokeAt !== undefined) {
			return at < brokeAt - DOUBT_MS;
		}
		if (vanishedAt !== undefined) {
			// A request that was answered has been taken; what was only written to a connection has not.
			return at < vanishedAt - (client.traits.transport === 'bosh' ? 0 : DOUBT_MS);
		}
		return true;
	};
	const wrong = lost.filter(mustHave);
	if (wrong.length) {
		report.fail(`${ending}: ${wrong.length} of ${nSent} stanzas lost on the way up: ` +
			some(wrong.map((n) => `stanza ${n} of rid ${client.ridOf[n]}`)));
	}
	report.add('up', { sent: nSent, arrived: nSent - lost.length, returned: 0, doubt: lost.length - wrong.length });
}

// What a client that is gone has not got is returned, up to the end of the stream. The exceptions come before the first that is
// returned: over BOSH, answers that were written to connections which were dead already; over WebSocket, what the kernel had.
function mustBeReturned(client, missing, returned) {
	const first = Math.min(...returned);
	const nExcused = client.traits.transport === 'bosh' ? ANSWERS_UNREAD_MAX : Infinity;
	return (n) => n > first || missing.indexOf(n) >= nExcused;
}

// Whether an answer with all of @numbers may have been too large to be kept. Their session ended when its server went down, and the
// answer that told its client was lost.
function mayBeForgotten({ session, traits }, numbers) {
	const nBytes = numbers.reduce((sum, n) => sum + Buffer.byteLength(inBody(stanzaText('down', session, n))), LAST_ANSWER_ROOM);
	return traits.transport === 'bosh' && nBytes > LAST_ANSWER_MAX;
}

function judgeDown({ client, peer, ending }, report) {
	const { brokeAt, endedAt, returned } = peer;
	const lost = client.ledger.close(peer.nSent);
	const isLost = new Set(lost);
	const twice = [...returned].filter((n) => !isLost.has(n));
	const missing = lost.filter((n) => !returned.has(n));
	const isOwed = mustBeReturned(client, missing, returned);
	const heardUntil = client.isAsleep ? client.asleepAt : client.vanishedAt;
	const isHeard = (at) => client.traits.transport === 'websocket' && at < heardUntil - DOUBT_MS;
	const mustHave = (n) => {
		const at = peer.sentAt[n];
		if (brokeAt !== undefined && client.vanishedAt === undefined) {
			return at < brokeAt - DOUBT_MS && !mayBeForgotten(client, missing);
		}
		if (client.vanishedAt !== undefined) {
			return brokeAt === undefined && at < endedAt - DOUBT_MS && (isOwed(n) || isHeard(at));
		}
		return ending === 'close' || at < endedAt - DOUBT_MS;
	};
	const wrong = missing.filter(mustHave);
	if (wrong.length) {
		report.fail(`${ending}: ${wrong.length} of ${peer.nSent} stanzas lost on the way down: ${some(wrong.map((n) => `stanza ${n}`))}; ` +
			`the last that came was ${client.ledger.next - 1}`);
	}
	// Nobody can know which answer a client that is gone has still read.
	if (twice.length && client.vanishedAt === undefined) {
		report.fail(`${ending}: returned as errors, though they came: ${some(twice.map((n) => `stanza ${n}`))}`);
	}
	report.add('down', { sent: peer.nSent, arrived: peer.nSent - lost.length, returned: returned.size - twice.length,
		doubt: missing.length - wrong.length });
}

// @life: { client, peer, ending }; @peer is undefined when the session never reached its server. @report: told by fail(text), by
// wrong(text) of what no delay excuses, and by add(direction, counts).
export function judge(life, report) {
	const { client, peer } = life;
	client.errors.forEach((text) => report.fail(text));
	client.ledger.errors.forEach((text) => report.wrong(text));
	const hasBroken = peer ? peer.brokeAt !== undefined : client.server.wasDown(client.born);
	if (client.condition && !(hasBroken && SERVER_CONDITIONS.includes(client.condition))) {
		report.fail(`the gateway ended the session: ${client.condition}`);
	}
	if (!peer) {
		return;
	}
	peer.errors.forEach((text) => report.fail(`at the server: ${text}`));
	peer.ledger?.errors.forEach((text) => report.wrong(text));
	if (!peer.hasSaidGoodbye && !hasBroken) {
		report.fail(`${life.ending}: the gateway did not close its stream`);
	}
	if (!peer.hasEnded && !hasBroken) {
		report.fail(`${life.ending}: the gateway did not close its connection to the server`);
	}
	if (peer.ledger) {
		judgeUp(life, report);
		judgeDown(life, report);
	}
}
