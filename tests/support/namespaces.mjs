// A network of several hosts for one test file: network namespaces joined by veth pairs (iproute2). They have no names and
// belong to the processes in them, so nothing is left when the file ends, however it does. An ordinary user is root in a
// user namespace of their own, where the kernel allows that.
//
//     const { isInside, reason } = await enterNamespace(import.meta.url);   // runs the file again, inside
//     const network = await Network.open();
//     const b = await network.addHost(1);         // has 11.0.21.0/24 and 2a0f:21::/64; an XMPP server on port 5222
//     network.route('blackhole', '11.0.9.0/24');  // or unreachable; network.unroute('11.0.9.0/24') undoes it
//
// Hosts hang on a router: what is to be lost is lost there, in silence or with an ICMP message. The addresses are such as
// the gateway takes for public; no packet leaves the namespaces.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startChild, stopChild, until, within } from './util.mjs';

const MARK = 'DOAB_TEST_NAMESPACE';
// What unshare(1) is given for a network namespace.
export const UNSHARE = ['--net', ...(process.getuid() === 0 ? [] : ['--user', '--map-root-user'])];
const TRIAL = 'ip link add name here type veth peer name there && echo 0 >/proc/sys/net/ipv4/icmp_ratelimit';
const HOST = fileURLToPath(new URL('./namespace-host.mjs', import.meta.url));

// Why there can be no network namespaces here, or undefined.
export function whyNoNamespaces() {
	try {
		execFileSync('unshare', [...UNSHARE, 'sh', '-c', TRIAL], { stdio: 'pipe' });
	} catch (error) {
		return `no network namespaces with veth here: ${String(error.stderr ?? error.message).trim().replaceAll('\n', ' ')}`;
	}
	return existsSync('/proc/net/if_inet6') ? undefined : 'no IPv6 here';
}

// Inside: { isInside: true }. Outside: runs this file in a namespace of its own, with the same reporter, and resolves when
// it has ended; or says why it cannot be.
export async function enterNamespace(url) {
	if (process.env[MARK]) {
		execFileSync('ip', ['link', 'set', 'lo', 'up']);
		return { isInside: true };
	}
	const reason = whyNoNamespaces();
	if (!reason) {
		const child = spawn('unshare', [...UNSHARE, process.execPath, ...process.execArgv, fileURLToPath(url)],
			{ stdio: 'inherit', env: { ...process.env, [MARK]: '1' } });
		process.once('SIGTERM', () => child.kill('SIGTERM'));
		process.exitCode = await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
	}
	return { isInside: false, reason };
}

const ip = (pid, ...args) => execFileSync('nsenter', ['--net', '--target', String(pid), 'ip', ...args], { stdio: ['ignore', 'ignore', 'pipe'] });

function set(pid, settings) {
	const text = Object.entries(settings).map(([name, value]) => `echo ${value} >/proc/sys/net/${name}`).join(' && ');
	execFileSync('nsenter', ['--net', '--target', String(pid), 'sh', '-c', text]);
}

// An address of a new link has to be usable at once, without the search for duplicates.
const prepare = (pid) => set(pid, { 'ipv6/conf/all/accept_dad': 0, 'ipv6/conf/default/accept_dad': 0 });

// Whether a connection is made before the kernel has to repeat a packet.
function connects(host) {
	return new Promise((resolve) => {
		const socket = net.connect({ host, port: 5222, timeout: 500 });
		const end = (isThere) => {
			socket.destroy();
			resolve(isThere);
		};
		socket.once('connect', () => end(true)).once('timeout', () => end(false)).once('error', () => end(false));
	});
}

const family = (address) => (address.includes(':') ? '-6' : '-4');

export class Network {
	static async open() {
		const network = new Network();
		network.hosts = [];
		network.router = await network.start(['sleep', 'infinity']);
		prepare(process.pid);
		set(network.router.pid, { 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1,
			// Each refused packet gets its ICMP message, however many there were before.
			'ipv4/icmp_ratelimit': 0, 'ipv6/icmp/ratelimit': 0 });
		network.join(process.pid, 0);
		return network;
	}

	// A process in a namespace of its own.
	async start(command) {
		const child = startChild('unshare', [...UNSHARE, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
		await within(new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject)), 5000, 'unshare');
		const own = readNamespace(process.pid);
		while (readNamespace(child.pid) === own) {
			await new Promise(setImmediate);
		}
		prepare(child.pid);
		return child;
	}

	// Network @n: the router has the address 1 in it, @pid the address 2.
	join(pid, n) {
		const name = `n${n}`;
		ip(this.router.pid, 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', String(pid));
		for (const [end, device, host] of [[this.router.pid, name, 1], [pid, 'uplink', 2]]) {
			ip(end, 'link', 'set', device, 'up');
			ip(end, 'addr', 'add', `11.0.${n}.${host}/24`, 'dev', device);
			ip(end, 'addr', 'add', `2a0f:${n}::${host}/64`, 'dev', device, 'nodad');
		}
		ip(pid, 'link', 'set', 'lo', 'up');
		ip(pid, 'route', 'add', 'default', 'via', `11.0.${n}.1`);
		ip(pid, '-6', 'route', 'add', 'default', 'via', `2a0f:${n}::1`);
	}

	// A host behind network @n that has all addresses of two networks more: 11.0.2n.0/24 and 2a0f:2n::/64. It serves XMPP on
	// port 5222 of each of them; .connections has the address that each connection was made to.
	async addHost(n) {
		const child = await this.start([process.execPath, HOST]);
		const host = { child, connections: [] };
		const lines = createInterface(child.stdout);
		const ready = new Promise((resolve) => lines.once('line', resolve));
		this.join(child.pid, n);
		for (const [own, via] of [[`11.0.2${n}.0/24`, `11.0.${n}.2`], [`2a0f:2${n}::/64`, `2a0f:${n}::2`]]) {
			ip(child.pid, 'route', 'add', 'local', own, 'dev', 'lo');
			ip(this.router.pid, 'route', 'add', own, 'via', via);
		}
		await within(ready, 10000, 'a host in its namespace');
		lines.on('line', (line) => host.connections.push(line));
		for (const address of [`11.0.2${n}.254`, `2a0f:2${n}::fe`]) {
			await until(() => connects(address), 10000, `the way to ${address}`);
		}
		this.hosts.push(host);
		return host;
	}

	// Switches IPv6 off for this process, for good.
	endIpv6() {
		set(process.pid, { 'ipv6/conf/all/disable_ipv6': 1 });
	}

	// @kind: 'blackhole' drops in silence, 'unreachable' answers with ICMP.
	route(kind, network) {
		ip(this.router.pid, family(network), 'route', 'add', kind, network);
	}

	unroute(network) {
		ip(this.router.pid, family(network), 'route', 'del', network);
	}

	async stop() {
		for (const child of [...this.hosts.map((host) => host.child), this.router]) {
			await stopChild(child);
		}
	}
}

function readNamespace(pid) {
	return execFileSync('readlink', [`/proc/${pid}/ns/net`]).toString();
}

// How many connections this namespace has begun since it was made.
export function connectionsBegun() {
	const [names, values] = readFileSync('/proc/net/snmp', 'utf8').split('\n').filter((line) => line.startsWith('Tcp:'));
	return Number(values.split(' ')[names.split(' ').indexOf('ActiveOpens')]);
}
