// What befalls one transmission of a request: chosen by chance, before it begins.
//
//     delayMs      it is sent that much later: what was made after it may overtake it
//     isFresh      it has a connection of its own, else one that served before
//     nPieces      writes it is sent in
//     cut          where the client breaks the connection, if it does: in the 'request', at this part of its bytes; in
//                  the 'wait' for the answer, after so many ms; in the 'answer'; in 'silence': it gives the connection up after
//                  so many ms without closing or reading it, as one whose network is gone
//     isReset      it breaks with RST, else with FIN
//     coding       the content coding of its body: undefined, or one that the gateway takes
//     accepts      those that its answer may come in, as Accept-Encoding
//     repeatMs     an identical request is sent that much later on another connection, if no answer has come

// After so many tries a request meets no harm any more: the gateway bounds the repeats of one rid.
const HARMED_TRIES = 2;

const CUTS = [
	[0.035, (chance) => ({ where: 'request', part: chance.real() })],
	[0.035, (chance) => ({ where: 'wait', ms: chance.of([0, chance.integer(0, 50), chance.integer(50, 1500)]) })],
	[0.035, () => ({ where: 'answer' })],
	[0.01, (chance) => ({ where: 'silence', ms: chance.integer(500, 4000) })],
];

function chooseCut(chance) {
	let at = chance.real();
	for (const [probability, make] of CUTS) {
		if (at < probability) {
			return make(chance);
		}
		at -= probability;
	}
	return undefined;
}

const plain = (chance) => ({ delayMs: 0, isFresh: chance.is(0.3), nPieces: 1, cut: undefined, isReset: false,
	coding: undefined, accepts: undefined, repeatMs: undefined });

// @isPause: whether its answer came cannot be asked again (an answer to a pause need not be kept), so it may only break
// while nobody can have read it whole. @nth: 0 for the first transmission. @codings: those that the client may use for
// its requests, undefined for a client that knows of none. @isSteady: of a client whose round trips are measured.
export function chooseFate(chance, { nth, codings, isPause = false, isCalm = false, isSteady = false }) {
	const fate = plain(chance);
	if (isSteady) {
		return { ...fate, isFresh: false };
	}
	if (codings) {
		fate.coding = codings.length && chance.is(0.5) ? chance.of(codings) : undefined;
		fate.accepts = chance.of([undefined, 'gzip', 'deflate', 'gzip, deflate']);
	}
	if (isCalm || nth >= HARMED_TRIES) {
		return fate;
	}
	fate.delayMs = chance.is(0.1) ? chance.integer(5, 250) : 0;
	fate.nPieces = chance.is(0.1) ? chance.integer(2, 5) : 1;
	fate.cut = chooseCut(chance);
	fate.isReset = chance.is(0.5);
	fate.repeatMs = chance.is(0.04) ? chance.integer(0, 800) : undefined;
	if (isPause && fate.cut?.where !== 'request') {
		fate.cut = undefined;
	}
	if (isPause || fate.cut) {
		fate.repeatMs = undefined;
	}
	return fate;
}
