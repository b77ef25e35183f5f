// XEP-0124 wants a client to process the answers in the order of its requests. stanza takes them as they arrive on its two
// connections, and so turns messages round when a large answer is still under way as the next one comes. Here each
// answer waits for the one before; to be imported before stanza, which keeps the fetch it finds.
const original = globalThis.fetch;
const latest = new Map();

async function readWhole(url, options) {
	const response = await original(url, options);
	const text = await response.text();
	return { ok: response.ok, status: response.status, text: async () => text };
}

globalThis.fetch = (url, options) => {
	const [session = ''] = /\bsid="[^"]*"/.exec(options?.body) ?? [];
	const own = readWhole(url, options);
	const ordered = Promise.allSettled([latest.get(session), own]).then(() => own);
	if (session) {
		latest.set(session, ordered);
	}
	return ordered;
};
