// The gateway in front of scripted servers: one domain for each scenario.
//
//     const stage = await Stage.open({ plain: 'plain', late: 'late-features' }, { wait: 5 });
//     stage.port; stage.domain.late === 'late.test'; await stage.connectionOf('late'); await stage.stop();
import { Doab } from './doab.mjs';
import { stopAll } from './util.mjs';
import { XmppServer } from './xmpp-server.mjs';

export class Stage {
	// @scenarios: name to scenario, list of steps, or { script, tls, section } where TLS is wanted.
	static async open(scenarios = { plain: 'plain' }, config = {}, options = {}) {
		const stage = new Stage();
		stage.servers = {};
		const domains = { ...config.domains };
		for (const [name, entry] of Object.entries(scenarios)) {
			const { script, tls, section } = entry.script ? entry : { script: entry };
			stage.servers[name] = await XmppServer.start(script, { tls });
			domains[`${name}.test`] = stage.servers[name].section(section);
		}
		stage.doab = await Doab.start({ ...config, domains }, options).catch(async (error) => {
			await stopAll(...Object.values(stage.servers));
			throw error;
		});
		stage.domain = Object.fromEntries(Object.keys(scenarios).map((name) => [name, `${name}.test`]));
		return stage;
	}

	get port() {
		return this.doab.port;
	}

	// The gateway's latest connection to that server.
	async connectionOf(name) {
		const server = this.servers[name];
		await server.connection();
		return server.connections.at(-1);
	}

	stop() {
		return stopAll(this.doab, ...Object.values(this.servers ?? {}));
	}
}
