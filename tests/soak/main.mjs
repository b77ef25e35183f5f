// Runs a soak, tells how it went, and writes its page. See run.sh.
import { report } from './report.mjs';
import { soak } from './soak.mjs';

const [seconds = '60', folder = 'build-soak'] = process.argv.slice(2);
const seed = process.env.DOAB_SOAK_SEED ?? String(Math.floor(Math.random() * 1e9));
const nSessions = Number(process.env.DOAB_SOAK_SESSIONS ?? 1000);

console.log(`DOAB_SOAK_SEED=${seed}: ${nSessions} sessions, ${seconds} s`);
const result = await soak({ seconds: Number(seconds), nSessions, seed });
console.log(report(result, folder));
process.exit(result.failures.length ? 1 : 0);
