// What the build needs is said in several places. They agree.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const read = (name) => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
// The libraries that a text names, without libc and what only the tests need.
const libraries = (text) => [...new Set(text.match(/[a-z][\w.+-]*-dev\b/g))]
	.filter((name) => !['libc6-dev', 'libcmocka-dev', 'libpurple-dev', 'libgloox-dev'].includes(name)).sort();

test('quickstart, the tests, the Debian package and the container take the same libraries', () => {
	const expected = libraries(/^BUILD_PACKAGES='([^']*)'/m.exec(read('conf/quickstart.sh'))[1]);
	assert.ok(expected.length > 5);
	assert.deepEqual(libraries(/^PACKAGES='([^']*)'/m.exec(read('tests/run.sh'))[1]), expected);
	assert.deepEqual(libraries(/^Build-Depends:\n((?: .*\n)*)/m.exec(read('conf/debian/control'))[1]), expected);
	assert.deepEqual(libraries(/^RUN apt-get .*$/m.exec(read('conf/Containerfile'))[0]), expected);
	assert.deepEqual(libraries(/^const PACKAGES = \[([^\]]*)\]/m.exec(read('tests/long/trixie.test.mjs'))[1]), expected);
});
