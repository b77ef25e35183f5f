// Certificates made with openssl for one test run: an authority and what it signs.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export class Authority {
	constructor(folder, name = 'authority') {
		this.folder = folder;
		this.certificate = path.join(folder, `${name}.pem`);
		this.key = path.join(folder, `${name}.key`);
		openssl('req', '-x509', ...NEW_KEY, '-days', '2', '-subj', `/CN=doab tests ${name}`,
			'-keyout', this.key, '-out', this.certificate);
	}

	// Signs a certificate for @names (dNSName). @days may be negative: one that has expired already.
	issue(name, names, { days = 2 } = {}) {
		const at = (extension) => path.join(this.folder, `${name}.${extension}`);
		openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', at('key'), '-out', at('csr'));
		writeFileSync(at('ext'), `subjectAltName=${names.map((host) => `DNS:${host}`).join(',')}\n`);
		const validity = days > 0 ? ['-days', String(days)] : expired();
		if (days > 0) {
			openssl('x509', '-req', '-in', at('csr'), '-CA', this.certificate, '-CAkey', this.key,
				'-CAcreateserial', '-extfile', at('ext'), '-out', at('pem'), ...validity);
		} else {
			this.issueWithDates(at, validity);
		}
		return { certificate: at('pem'), key: at('key'),
			cert: readFileSync(at('pem')), keyText: readFileSync(at('key')) };
	}

	// `openssl x509 -req` of OpenSSL 3.0 cannot set dates in the past; `openssl ca` can.
	issueWithDates(at, validity) {
		writeFileSync(at('index'), '');
		writeFileSync(at('serial'), '1000\n');
		writeFileSync(at('cnf'), `[ca]\ndefault_ca=own\n[own]\ndatabase=${at('index')}\nserial=${at('serial')}\n` +
			`new_certs_dir=${this.folder}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`);
		openssl('ca', '-batch', '-notext', '-config', at('cnf'), '-cert', this.certificate, '-keyfile', this.key,
			'-in', at('csr'), '-extfile', at('ext'), '-out', at('pem'), ...validity);
	}
}

const expired = () => ['-startdate', '20200101000000Z', '-enddate', '20200201000000Z'];
