// Runs `doab --probe`.
//
//     const { code, text, line } = await probe('example.test', { resolvers: [dns.address] });
//     line('handshake');      // the text beside that label, its continuation lines joined
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { configText, runDoab } from './doab.mjs';
import { removeFolder, temporaryFolder } from './util.mjs';

const WIDTH = 100;
const TIMES = / +[\d.]+ ms(?: +[\d.]+ ms)?$/;

// The text beside each label; a label's lines may come several times.
function readLines(stdout) {
	const found = [];
	for (const whole of stdout.split('\n')) {
		const text = whole.replace(TIMES, '');
		if (/^ {26} *\S/.test(text)) {
			found.at(-1)?.texts.push(text.trim());
		} else if (/^ {2}\S/.test(text)) {
			const label = text.slice(2).split(/ {2,}/)[0];
			found.push({ label, texts: [text.slice(2 + label.length).trim()] });
		}
	}
	return found.map(({ label, texts }) => ({ label, text: texts.join(' ').trim() }));
}

// Whatever was found: plain ASCII but for the heading, no wider than the sheet, and the verdict last.
function assertShape(stdout) {
	const [heading, ...lines] = stdout.split('\n');
	assert.equal(lines.pop(), '');
	for (const line of lines) {
		assert.match(line, /^[ -~]*$/, line);
		assert.ok(line.length <= WIDTH, line);
		assert.doesNotMatch(line, / $/, `${line}|`);
	}
	assert.doesNotMatch(heading, /[\x00-\x1f\x7f-\x9f]/);
}

export async function probe(domain, config = {}) {
	const folder = temporaryFolder('probe');
	const file = path.join(folder, 'doab.conf');
	writeFileSync(file, configText(config));
	const { code, stdout, stderr } = await runDoab('--config', file, '--probe', domain);
	removeFolder(folder);
	assert.equal(stderr, '');
	assertShape(stdout);
	const found = readLines(stdout);
	const blocks = stdout.trimEnd().split('\n\n');
	const advice = blocks.at(-2)?.startsWith('! ') ? blocks.at(-2).split(/\n(?=! )/) : [];
	const join = (block) => block.replaceAll(/\n */g, ' ');
	return {
		code,
		stdout,
		verdict: join(blocks.at(-1)),
		advice: advice.map(join).join('\n'),
		lines: (label) => found.filter((line) => line.label === label).map(({ text }) => text),
		line: (label) => found.find((line) => line.label === label)?.text,
	};
}
