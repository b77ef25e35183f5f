// Reporter for node:test: one line of JSON for each test, for run.mjs to read.
export default async function* reporter(source) {
	const names = []; // of the suites and the test under way
	for await (const { type, data } of source) {
		if (type === 'test:start') {
			names.splice(data.nesting, names.length, data.name);
		}
		if (type === 'test:diagnostic' && data.file !== undefined) {
			yield `${JSON.stringify({ note: data.message })}\n`;
		}
		if (type !== 'test:pass' && type !== 'test:fail') {
			continue;
		}
		// A suite fails by itself only when its hooks do; its tests are counted one by one, unless it is skipped: then they are not there.
		if (data.details?.type === 'suite' && data.skip === undefined) {
			const error = data.details.error;
			if (type === 'test:fail' && error?.failureType !== 'subtestsFailed') {
				yield `${JSON.stringify({ outcome: 'failed', name: data.name, error: describe(error) })}\n`;
			}
			continue;
		}
		const outcome = data.skip !== undefined ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
		const name = [...names.slice(0, data.nesting), data.name].join(': ');
		const reason = typeof data.skip === 'string' ? data.skip : 'no reason was given';
		yield `${JSON.stringify({ outcome, name, reason, ms: Math.round(data.details.duration_ms), error: describe(data.details.error) })}\n`;
	}
}

function describe(error) {
	if (!error) {
		return undefined;
	}
	const cause = error.cause ?? error;
	return String(cause.stack ?? cause.message ?? cause);
}
