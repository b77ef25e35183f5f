# SPDX-License-Identifier: MIT
"""The programs that are compared: each is started on the loopback, with a server behind it.

place  the cores of a program that is measured. Its server and the load have the others, or the last
"""
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time

PORTS = (10000, 32768)
STOP_SECONDS = 5

DOAB = '''{listen}
workers = {workers}
wait = 60
ping_interval = 0
log_level = "error"
limits {{
{limits}}}
domain "bench.test" {{
    connect = {{"127.0.0.1:{server}"}}
    {tls}
}}
{more}'''
DOAB_ATTACKED = '''websocket_compression = true
domain "attack.test" {{
    connect = {{"127.0.0.1:{attacker}"}}
    tls = "off"
}}
domain "tls.attack.test" {{
    connect = {{"127.0.0.1:{attacker_tls}"}}
    tls = "direct"
    ca_file = "{authority}"
}}
'''
NO_LIMITS = '''    max_sessions = 10000
    sessions_per_address = 10000
    connections_per_address = 100000
    connection_rate = 0
    session_rate = 0
    domain_session_rate = 0
    request_rate = 0
    body_bytes = 1048576
    stanza_bytes = 2097152
    pending_bytes = 2097152
'''
LISTEN = 'listen = {{"127.0.0.1:{port}"}}'
LISTEN_TLS = '''listener "127.0.0.1:{port}" {{
    backlog = 4096
    tls {{
        certificate = "{certificate}"
        key = "{key}"
    }}
}}'''

HAPROXY = '''global
    maxconn 9000
    nbthread 1
    # Idle connections to the server are not closed while there are descriptors.
    tune.pool-high-fd-ratio 90
    tune.pool-low-fd-ratio 80
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
    http-reuse always
frontend all
    bind 127.0.0.1:{port}
    default_backend all
backend all
    server one 127.0.0.1:{server}
'''

NGINX = '''daemon off;
master_process off;
error_log stderr crit;
pid {folder}/nginx-{port}.pid;
events {{ worker_connections 19000; }}
http {{
    access_log off;
    client_max_body_size 2m;
    client_body_buffer_size 512k;
    keepalive_requests 100000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    upstream server {{ server 127.0.0.1:{server}; keepalive 9000; keepalive_requests 100000000; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{tls}
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffers 64 16k;
        }}
    }}
}}
'''
NGINX_TLS = ''' ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};'''

PROSODY = '''run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ error = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ }}
c2s_direct_tls_ports = {{ }}
http_ports = {{ {port} }}
http_interfaces = {{ "127.0.0.1" }}
https_ports = {{ }}
modules_enabled = {{ "saslauth", "bosh", "websocket", "message", "iq", "presence" }}
modules_disabled = {{ "s2s", "offline" }}
storage = "memory"
c2s_require_encryption = false
consider_bosh_secure = true
consider_websocket_secure = true
http_host = "bench.test"
VirtualHost "bench.test"
    authentication = "anonymous"
'''


def free_port():
    """Not one of those that the kernel gives to connections, of which thousands come and go."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as one:
            try:
                one.bind(('127.0.0.1', port))
                return port
            except OSError:
                pass


def read_log(child):
    child.log.seek(0)
    return child.log.read() + child.stdout.read().decode()


class StartFailed(SystemExit):
    """A program ended at once, or does not listen."""


def wait_for(port, child):
    for _ in range(1000):
        if child.poll() is not None:
            raise StartFailed(
                f'{child.args[0]} has ended, with {child.returncode}:\n{read_log(child)}')
        with socket.socket() as one:
            if one.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.02)
    child.kill()
    child.wait()
    raise StartFailed(f'{child.args[0]} does not listen:\n{read_log(child)}')


def first_child(pid):
    for _ in range(1000):
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as children:
            words = children.read().split()
        if words:
            return int(words[0])
        time.sleep(0.02)
    raise SystemExit(f'process {pid} has no child')


def end(child):
    """Waits for a process that was told to end. Prosody does not always."""
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def resident_kb(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as maps:
            return int(re.search(r'^Rss: +(\d+)', maps.read(), re.M)[1])
    except PermissionError:
        # The gateway keeps its memory from others than root. This is less exact.
        with open(f'/proc/{pid}/status', encoding='ascii') as status:
            return int(re.search(r'^VmRSS:\s+(\d+)', status.read(), re.M)[1])


class Program:
    """`pids` are the processes whose time counts, `others` those that work for them.

    `switches` are for the load.
    """
    switches = ()

    def __init__(self, bench, name):
        self.bench, self.name, self.children, self.pids, self.others = bench, name, [], [], []
        self.place = bench.cores[:1]

    def start(self, cores, *words):
        log = open(os.path.join(self.bench.folder, f'{self.name}.log'), 'a+', encoding='utf-8')
        child = self.bench.popen(cores, words, stderr=log)
        child.log = log
        self.children.append(child)
        return child

    def peer(self, *words):
        """Starts a peer. Returns its port."""
        child = self.start(self.bench.cores_beside(self.place), self.bench.peer, *words)
        self.others.append(child.pid)
        return int(child.stdout.readline())

    def configure(self, template, port, **values):
        file = os.path.join(self.bench.folder,
                            f'{self.name}-{port}.cfg.lua')  # by which Prosody knows its language
        with open(file, 'w', encoding='ascii') as out:
            out.write(template.format(folder=self.bench.folder, port=port, **values))
        return file

    def serve(self, port, *words, place=None):
        child = self.start(place or self.place, *words)
        self.port = port
        wait_for(port, child)
        self.pids.append(child.pid)

    def begin(self):
        """Like run(), but another program may fail once to start. It gets another port then."""
        try:
            self.run()
            return
        except StartFailed as failure:
            if isinstance(self, Doab):
                raise
            print(f'{failure}; once more', file=sys.stderr)
        self.stop()
        self.run()

    def resident_kb(self):
        return sum(resident_kb(pid) for pid in self.pids)

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            end(child)
            child.stdin.close()
            child.stdout.close()
            child.log.close()
        self.children, self.pids, self.others = [], [], []


class Yardstick(Program):
    """A peer that is measured itself."""
    def serve_peer(self, *words):
        child = self.start(self.place, self.bench.peer, *words)
        self.port = int(child.stdout.readline())
        self.pids = [child.pid]


class Echo(Yardstick):
    def run(self):
        self.serve_peer('echo')


class Relay(Yardstick):
    def run(self):
        self.serve_peer('relay', self.peer('echo'))


class HAProxy(Program):
    def __init__(self, bench, name, role):
        super().__init__(bench, name)
        self.role = role

    def run(self):
        port = free_port()
        file = self.configure(HAPROXY, port, server=self.peer(self.role))
        self.serve(port, find('haproxy'), '-db', '-q', '-f', file)


class Nginx(Program):
    def run(self):
        port = free_port()
        file = self.configure(NGINX, port, server=self.peer('http'), tls=';')
        self.serve(port, find('nginx'), '-c', file)


class Prosody(Program):
    """Its own BOSH and WebSocket: no gateway, no other server."""
    switches = ('-b', )

    def run(self):
        port = free_port()
        self.serve(port, find('prosody'), '--config', self.configure(PROSODY, port))


class Doab(Program):
    """@server: the role of the peer behind it.

    Each worker has a core of its own, if the load and the server have two more. Otherwise the
    workers share one: a worker beside the load does not cost what one alone does.
    """
    def __init__(self, bench, name, workers=1, server='xmpp', tls=False, binary=None):
        super().__init__(bench, name)
        self.workers, self.server, self.tls = workers, server, tls
        self.binary = binary or bench.doab
        self.switches = ('-t', ) if tls else ()
        self.place = bench.cores[:workers if len(bench.cores) >= workers + 2 else 1]

    def run(self):
        self.serve_doab()
        if self.workers > 1:
            self.pin_workers()

    def pin_workers(self):
        """They are the threads that are started last, after the main one and the log's."""
        folder = f'/proc/{self.pids[0]}/task'
        for _ in range(1000):
            threads = sorted(int(name) for name in os.listdir(folder))
            if len(threads) >= 2 + self.workers:
                break
            time.sleep(0.02)
        for i, thread in enumerate(threads[-self.workers:]):
            os.sched_setaffinity(thread, {self.place[i % len(self.place)]})

    def listen(self, port):
        return (LISTEN_TLS if self.tls else LISTEN).format(port=port, **self.bench.certificates)

    def limits(self):
        return NO_LIMITS

    def more(self):
        return ''

    def serve_doab(self, place=None):
        port = free_port()
        names = self.bench.certificates
        is_plain = self.server == 'xmpp'
        file = self.configure(DOAB,
                              port,
                              workers=self.workers,
                              listen=self.listen(port),
                              limits=self.limits(),
                              more=self.more(),
                              server=self.peer(
                                  self.server,
                                  *(() if is_plain else (names['certificate'], names['key']))),
                              tls='tls = "off"' if is_plain else
                              f'tls = "required"\n\tca_file = "{names["authority"]}"')
        self.serve(port, self.binary, '--config', file, place=place)
        # The child of the supervisor is the one that serves.
        supervisor = self.pids.pop()
        self.pids.append(first_child(supervisor))
        self.others.append(supervisor)


class DoabTwice(Doab):
    """Two gateways with a worker each, in the places that two workers of one would have.

    They cost what those would if they had nothing to do with each other.
    """
    def __init__(self, bench, name, **options):
        super().__init__(bench, name, workers=2, **options)

    def run(self):
        self.workers, ports = 1, []
        for i in range(2):
            self.serve_doab([self.place[i % len(self.place)]])
            ports.append(str(self.port))
        self.port = ','.join(ports)


class Attacked(Doab):
    """With what an attacker of others makes use of: TLS of a listener, also with a key whose
    signatures take long, compression, and a server of his own, which is reached with TLS and
    without. @has_limits: those of the default configuration.
    """
    def __init__(self, bench, name, has_limits):
        super().__init__(bench, name)
        self.has_limits = has_limits
        self.tls_port, self.long_port, self.attacker_port = free_port(), free_port(), free_port()

    def listen(self, port):
        names = self.bench.certificates
        long = {'certificate': names['long_certificate'], 'key': names['long_key']}
        return '\n'.join((super().listen(port), LISTEN_TLS.format(port=self.tls_port, **names),
                          LISTEN_TLS.format(port=self.long_port, **long)))

    def limits(self):
        return '' if self.has_limits else NO_LIMITS

    def more(self):
        names = self.bench.certificates
        child = self.start(self.bench.cores_beside(self.place), self.bench.tls_peer, 'serve',
                           self.attacker_port, f'cert={names["certificate"]}',
                           f'key={names["key"]}')
        return DOAB_ATTACKED.format(attacker=self.attacker_port,
                                    attacker_tls=int(child.stdout.readline()),
                                    authority=names['authority'])


class NginxTls(Doab):
    """The gateway with nginx in front that terminates TLS. Both count."""
    def run(self):
        super().run()
        port = free_port()
        tls = NGINX_TLS.format(**self.bench.certificates)
        self.serve(port, find('nginx'), '-c', self.configure(NGINX, port, server=self.port,
                                                             tls=tls))
        self.switches = ('-t', )


def find(name):
    return shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin:/sbin')


def version(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    match = re.search(r'\d+\.\d+[\w.-]*', done.stdout + done.stderr)
    return match[0] if match else '?'


def versions(doab):
    found = {'doab': version(doab, '--version')}
    for name, program, option in (('HAProxy', 'haproxy', '-v'), ('nginx', 'nginx', '-v')):
        found[name] = version(find(program), option) if find(program) else 'not installed'
    found['Prosody'] = prosody_version()
    found['OpenSSL'] = version('openssl', 'version')
    found['Linux'] = os.uname().release
    return found


def prosody_version():
    done = subprocess.run(['dpkg-query', '-W', '-f', '${Version}', 'prosody'],
                          capture_output=True,
                          text=True,
                          check=False)
    return done.stdout.split('-')[0] or 'not installed'


def make_certificates(folder):
    """An authority, and a server's certificate with its key: files by what they are."""
    def openssl(*words):
        subprocess.run(['openssl', *words], check=True, capture_output=True, cwd=folder)

    new_key = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
    openssl('req', '-x509', *new_key, '-days', '2', '-subj', '/CN=bench', '-keyout', 'ca.key',
            '-out', 'ca.pem')
    openssl('req', *new_key, '-subj', '/CN=server', '-keyout', 'server.key', '-out', 'server.csr')
    with open(os.path.join(folder, 'server.ext'), 'w', encoding='ascii') as out:
        out.write('subjectAltName=DNS:bench.test,DNS:*.attack.test\n')
    openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key',
            '-CAcreateserial', '-extfile', 'server.ext', '-days', '2', '-out', 'server.pem')
    openssl('req', '-x509', '-newkey', 'rsa:4096', '-nodes', '-days', '2', '-subj', '/CN=long',
            '-keyout', 'long.key', '-out', 'long.pem')
    files = {
        'authority': 'ca.pem',
        'certificate': 'server.pem',
        'key': 'server.key',
        'long_certificate': 'long.pem',
        'long_key': 'long.key'
    }
    return {what: os.path.join(folder, file) for what, file in files.items()}
