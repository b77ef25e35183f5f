// What TLS costs: in clear text, with TLS of the gateway's own, and with nginx in front that speaks TLS. CPU (user and system) of all
// server processes per POST on connections that are kept, and their memory per idle WebSocket. Medians of alternating rounds; the
// ratios say more than the microseconds.
//
//     DOAB=build/gateway/doab node tests/bench/tls.mjs
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { Authority } from '../support/certificates.mjs';
import { Doab } from '../support/doab.mjs';
import { freePort, removeFolder, startChild, stopChild, temporaryFolder } from '../support/util.mjs';

const N_CONNECTIONS = 20;
const N_IDLE = 1000;
const N_WARM = 200;
const ROUNDS = 5;
const ROUND_MS = 2000;
const BODY = "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='nobody'/>";

const childrenOf = (pid) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((name) => {
	try {
		return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ')[1]) === pid;
	} catch {
		return false;
	}
}).map(Number);
const all = (pid) => [pid, ...childrenOf(pid)];

const TICK_US = 1e6 / Number(execFileSync('getconf', ['CLK_TCK']));
function cpuUs(pids) {
	return pids.reduce((sum, pid) => {
		const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
		return sum + (Number(fields[11]) + Number(fields[12])) * TICK_US;
	}, 0);
}
const residentKb = (pids) => pids.reduce((sum, pid) =>
	sum + Number(/^Pss_Anon: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]), 0);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const folder = temporaryFolder('bench-tls');
const front = new Authority(folder).issue('front', ['localhost']);
const [own, plain, at] = [await freePort(), await freePort(), await freePort()];
const doab = new Doab();
const config = path.join(folder, 'doab.conf');
writeFileSync(config, `workers = 1\nlog_level = "info"\nlimits { connections_per_address = 100000 connection_rate = "0" }\n` +
	`listener "127.0.0.1:${own}" { tls { certificate = "${front.certificate}" key = "${front.key}" } }\nlisten = {"127.0.0.1:${plain}"}\n`);
doab.launch(['--config', config]);
await doab.logged('ready');
const file = path.join(folder, 'nginx.conf');
writeFileSync(file, `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr; events { worker_connections 8000; }
http {
	access_log off; keepalive_requests 10000000; keepalive_timeout 300s;
	${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
	map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
	upstream doab { server 127.0.0.1:${plain}; keepalive 64; keepalive_requests 10000000; }
	server {
		listen 127.0.0.1:${at} ssl; ssl_certificate ${front.certificate}; ssl_certificate_key ${front.key};
		location / { proxy_pass http://doab; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 300s;
			proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }
	}
}
`);
const nginx = startChild('/usr/sbin/nginx', ['-e', 'stderr', '-p', folder, '-c', file], { stdio: 'inherit' });
await sleep(1000);

const doabPids = () => all(doab.child.pid);
const WAYS = {
	clear: { library: http, port: plain, pids: doabPids },
	own: { library: https, port: own, pids: doabPids },
	nginx: { library: https, port: at, pids: () => [...doabPids(), ...all(nginx.pid)] },
};

// POSTs on N_CONNECTIONS connections for a while; returns microseconds of CPU per request.
async function round({ library, port, pids }) {
	const agent = new library.Agent({ keepAlive: true, maxSockets: N_CONNECTIONS, rejectUnauthorized: false });
	const post = () => new Promise((resolve, reject) => {
		library.request({ host: '127.0.0.1', port, path: '/http-bind', method: 'POST', agent, rejectUnauthorized: false,
			headers: { 'Content-Length': BODY.length } }, (response) => response.resume().once('end', resolve)).once('error', reject).end(BODY);
	});
	await Promise.all(Array.from({ length: N_CONNECTIONS }, post));
	const [before, end] = [cpuUs(pids()), Date.now() + ROUND_MS];
	let n = 0;
	await Promise.all(Array.from({ length: N_CONNECTIONS }, async () => {
		while (Date.now() < end) {
			await post();
			n++;
		}
	}));
	const us = (cpuUs(pids()) - before) / n;
	agent.destroy();
	return us;
}

const figures = Object.fromEntries(Object.keys(WAYS).map((name) => [name, []]));
for (let i = 0; i < ROUNDS; i++) {
	for (const [name, way] of Object.entries(WAYS)) {
		figures[name].push(await round(way));
	}
}

// Opens @n WebSockets, of which nothing comes.
async function open({ library, port }, n) {
	const scheme = library === https ? 'wss' : 'ws';
	for (let i = 0; i < n; i += 50) {
		await Promise.all(Array.from({ length: 50 }, () => new Promise((resolve, reject) => {
			new WebSocket(`${scheme}://127.0.0.1:${port}/xmpp-websocket`, 'xmpp', { rejectUnauthorized: false, perMessageDeflate: false })
				.once('open', resolve).once('error', reject);
		})));
	}
	await sleep(500);
}

const memory = {};
for (const [name, way] of Object.entries(WAYS)) {
	await open(way, N_WARM);
	const before = residentKb(way.pids());
	await open(way, N_IDLE);
	memory[name] = (residentKb(way.pids()) - before) / N_IDLE;
}
for (const name of Object.keys(WAYS)) {
	const cpu = median(figures[name]);
	const ratio = median(figures[name].map((us, i) => us / figures.clear[i]));
	console.log(`${name.padEnd(8)} ${cpu.toFixed(1)} us per request, ${ratio.toFixed(2)} x clear text; ${memory[name].toFixed(1)} KB per idle WebSocket`);
}
doab.child.kill('SIGTERM');
await Promise.all([doab.exited, stopChild(nginx)]);
removeFolder(folder);
process.exit(0);
