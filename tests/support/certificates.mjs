// Certificates made with openssl for one test run: an authority and what it signs.
import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const ecKey = (curve) => ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-nodes'];
const EC_KEY = ecKey('P-256');
const newKey = (rsaBits) => (rsaBits ? ['-newkey', `rsa:${rsaBits}`, '-nodes'] : EC_KEY);

const EXPIRED = ['20200101000000Z', '20200201000000Z'];
const EARLY = ['20900101000000Z', '20900201000000Z'];

const asn1Time = (ms) => `${new Date(ms).toISOString().replace(/[-T:]|\..*/g, '')}Z`;

// The same as `own`, with the certificates of @issuers behind it, the topmost of which comes first.
export const withChain = (own, issuers) => ({ ...own, cert: [own.cert, ...[...issuers].reverse().map(({ certificate }) => readFileSync(certificate))].join('\n') });

// What a test gives a server ({ cert, key } as node:tls takes them) and a client ({ certificate }: a file to trust).
function material(certificate, key) {
	return { certificate, key, cert: readFileSync(certificate), keyText: readFileSync(key) };
}

export const tlsOf = ({ cert, keyText }) => ({ cert, key: keyText });

// The pin of a key, as the configuration has it.
export function pinOf({ keyText }) {
	const spki = createPublicKey(createPrivateKey(keyText)).export({ type: 'spki', format: 'der' });
	return `sha256//${createHash('sha256').update(spki).digest('base64')}`;
}

export class Authority {
	// @issuer: another Authority, whose intermediate one this is to be. @curve: of its key.
	constructor(folder, name = 'authority', issuer = undefined, curve = 'P-256') {
		this.folder = folder;
		this.certificate = path.join(folder, `${name}.pem`);
		this.key = path.join(folder, `${name}.key`);
		openssl('req', '-x509', ...ecKey(curve), '-days', '2', '-subj', `/CN=doab tests ${name}`,
			...issuer ? ['-CA', issuer.certificate, '-CAkey', issuer.key] : [], '-keyout', this.key, '-out', this.certificate);
	}

	// Signs a certificate for @names: those of kind dNSName, and @more in openssl's words ("otherName:OID;UTF8:..."). @days may be
	// negative, one that has expired already, or Infinity, one of the far future. @seconds is how long it is still valid, instead.
	// @rsaBits makes an RSA key, @purposes an extendedKeyUsage.
	issue(name, names, { days = 2, seconds, more = [], rsaBits = 0, digest = 'sha256', purposes = '' } = {}) {
		const at = (extension) => path.join(this.folder, `${name}.${extension}`);
		openssl('req', ...newKey(rsaBits), '-subj', `/CN=${name}`, '-keyout', at('key'), '-out', at('csr'));
		const alternatives = [...names.map((host) => `DNS:${host}`), ...more].join(',');
		writeFileSync(at('ext'), (alternatives && `subjectAltName=${alternatives}\n`) + (purposes && `extendedKeyUsage=${purposes}\n`));
		if (seconds) {
			this.issueWithDates(at, [EXPIRED[0], asn1Time(Date.now() + seconds * 1000)]);
		} else if (days > 0 && days < Infinity) {
			openssl('x509', '-req', '-in', at('csr'), '-CA', this.certificate, '-CAkey', this.key, `-${digest}`,
				'-CAcreateserial', '-extfile', at('ext'), '-out', at('pem'), '-days', String(days));
		} else {
			this.issueWithDates(at, days < 0 ? EXPIRED : EARLY);
		}
		return material(at('pem'), at('key'));
	}

	// `openssl x509 -req` of OpenSSL 3.0 cannot set dates; `openssl ca` can.
	issueWithDates(at, [start, end]) {
		writeFileSync(at('index'), '');
		writeFileSync(at('serial'), '1000\n');
		writeFileSync(at('cnf'), `[ca]\ndefault_ca=own\n[own]\ndatabase=${at('index')}\nserial=${at('serial')}\n` +
			`new_certs_dir=${this.folder}\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`);
		openssl('ca', '-batch', '-notext', '-config', at('cnf'), '-cert', this.certificate, '-keyfile', this.key,
			'-in', at('csr'), '-extfile', at('ext'), '-out', at('pem'), '-startdate', start, '-enddate', end);
	}
}

// A certificate that vouches for itself, for @names.
export function selfSigned(folder, name, names) {
	const at = (extension) => path.join(folder, `${name}.${extension}`);
	openssl('req', '-x509', ...EC_KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', at('key'), '-out', at('pem'),
		'-addext', `subjectAltName=${names.map((host) => `DNS:${host}`).join(',')}`);
	return material(at('pem'), at('key'));
}
