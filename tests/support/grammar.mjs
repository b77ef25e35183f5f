// Judges documents by their published grammars, which stand in grammar/, with xmllint.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(`grammar/${name}`, import.meta.url));

// What xmllint says against @text by the grammar @name, a DTD or an XML Schema; '' if it is valid.
export function complaintsOf(text, name) {
	const by = name.endsWith('.dtd') ? '--dtdvalid' : '--schema';
	const { status, stderr, error } = spawnSync('xmllint', ['--nonet', '--noout', by, file(name), '-'], { input: text, encoding: 'utf8' });
	assert.ok(!error, `${error}: xmllint is in libxml2-utils`);
	return status === 0 ? '' : stderr || `status ${status}`;
}

export const assertValid = (text, name) => assert.equal(complaintsOf(text, name), '', text);
