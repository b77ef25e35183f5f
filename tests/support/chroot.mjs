// A Debian of its own in a folder, made by debootstrap from the network: to run commands in, or to boot.
import { chmodSync, existsSync, readFileSync, readdirSync, rmdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder, run, startChild, stopChild, temporaryFolder, until } from './util.mjs';

const MIRROR = process.env.DEBIAN_MIRROR ?? 'http://deb.debian.org/debian';
const BOOT = fileURLToPath(new URL('./boot.sh', import.meta.url));
const ENVIRONMENT = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive'];
const ENTER = 'mount -t proc proc "$1/proc" && mount -t sysfs sysfs "$1/sys" && mount --rbind /dev "$1/dev" && ip link set lo up';
// Installing and building take their time.
const PATIENCE = 10 * 60 * 1000;

// Why there can be no such Debian; undefined where there can.
export async function withoutChroot() {
	if (process.getuid() !== 0) {
		return 'only root can enter another Debian';
	}
	const { code } = await run('sh', ['-c', 'command -v debootstrap && unshare --mount --pid --fork true']);
	return code === 0 && groups() ? undefined : 'no debootstrap, no namespaces or no control groups here';
}

function assertDone({ code, stdout, stderr }, what) {
	if (code !== 0) {
		throw new Error(`${what}: ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`);
	}
	return stdout;
}

// The folder of the control groups of version 2, which may stand beside those of version 1.
const groups = () => ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) => existsSync(path.join(folder, 'cgroup.procs')));

// A cgroup can be removed when it is empty, from the innermost on.
function removeGroup(folder) {
	for (const entry of readdirSync(folder, { withFileTypes: true })) {
		if (entry.isDirectory()) {
			removeGroup(path.join(folder, entry.name));
		}
	}
	rmdirSync(folder);
}

export class Chroot {
	// The release @suite with @packages beyond the smallest one.
	static async make(suite, packages) {
		const chroot = new Chroot();
		chroot.root = temporaryFolder(suite);
		chmodSync(chroot.root, 0o755); // its services run as other users
		const bootstrap = () => run('debootstrap', ['--variant=minbase', `--include=${packages.join(',')}`, suite, chroot.root, MIRROR],
			{ patience: PATIENCE });
		const first = await bootstrap();
		// A mirror may fail, or be changed meanwhile. It goes on with the packages that are there.
		assertDone(first.code === 0 ? first : await bootstrap(), `debootstrap ${suite}`);
		return chroot;
	}

	// Runs a shell command in it, as root, with loopback as its only network. Resolves with { code, stdout, stderr }.
	try(command) {
		return run('unshare', ['--mount', '--pid', '--net', '--fork', '--kill-child', 'sh', '-c', `${ENTER} && shift 2>/dev/null; exec chroot "$0" "$@"`,
			this.root, this.root, ...ENVIRONMENT, 'sh', '-c', command], { patience: PATIENCE });
	}

	// The same; what it prints. Fails with it.
	async run(command) {
		return assertDone(await this.try(command), command);
	}

	// Copies files into its folder @to.
	async copy(files, to) {
		assertDone(await run('cp', ['-r', ...files, path.join(this.root, to)]), 'cp');
	}

	// Starts its systemd, with loopback as its only network.
	async boot() {
		for (const unit of ['getty.target', 'console-getty.service', 'systemd-udevd.service']) {
			symlinkSync('/dev/null', path.join(this.root, 'etc/systemd/system', unit));
		}
		this.group = path.join(groups(), path.basename(this.root));
		this.system = startChild('sh', [BOOT, this.root, this.group], { stdio: ['ignore', 'ignore', 'inherit'] });
		const children = `/proc/${this.system.pid}/task/${this.system.pid}/children`;
		await until(async () => {
			[this.init] = existsSync(children) ? readFileSync(children, 'utf8').split(' ').filter(Boolean) : [];
			return this.init && /running|degraded/.test((await this.tryInside('systemctl is-system-running')).stdout);
		}, 60000, 'the start of systemd');
	}

	// Like try(), in the system that was booted.
	tryInside(command) {
		return run('nsenter', ['--target', this.init, '--all', '--root', ...ENVIRONMENT, 'sh', '-c', `cd / && ${command}`], { patience: 60000 });
	}

	async runInside(command) {
		return assertDone(await this.tryInside(command), command);
	}

	async stop() {
		if (this.system) {
			await stopChild(this.system, { signal: 'SIGKILL' });
			await until(() => {
				try {
					removeGroup(this.group);
				} catch (error) {
					return error.code !== 'EBUSY' && error.code !== 'ENOENT' ? Promise.reject(error) : !existsSync(this.group);
				}
				return true;
			}, 20000, 'the end of its processes');
		}
		removeFolder(this.root);
	}
}
