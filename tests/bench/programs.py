# SPDX-License-Identifier: MIT
"""The programs that are compared: each is started on the loopback, with a server behind it."""
import os
import re
import shutil
import socket
import subprocess
import time

DOAB = '''listen = {{"127.0.0.1:{port}"}}
workers = {workers}
wait = 60
inactivity = 5
ping_interval = 0
log_level = "error"
limits {{
	max_sessions = 10000
	sessions_per_address = 10000
	connections_per_address = 100000
	connection_rate = 0
	session_rate = 0
	domain_session_rate = 0
	request_rate = 0
	body_bytes = 1048576
	stanza_bytes = 2097152
	pending_bytes = 2097152
}}
domain "bench.test" {{
	connect = {{"127.0.0.1:{server}"}}
	tls = "off"
}}
'''

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
	server {{
		listen 127.0.0.1:{port} backlog=4096;
		location / {{
			proxy_pass http://server;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_buffers 64 16k;
		}}
	}}
}}
'''


def free_port():
	with socket.socket() as one:
		one.bind(('127.0.0.1', 0))
		return one.getsockname()[1]


def wait_for(port, child):
	for _ in range(1000):
		if child.poll() is not None:
			raise SystemExit(f'{child.args[0]} has ended, with {child.returncode}:\n{child.log.read()}')
		with socket.socket() as one:
			if one.connect_ex(('127.0.0.1', port)) == 0:
				return
		time.sleep(0.02)
	raise SystemExit(f'{child.args[0]} does not listen')


class Program:
	"""`pids` are the processes whose time counts."""

	def __init__(self, bench, name):
		self.bench, self.name, self.children, self.pids = bench, name, [], []

	def start(self, *words):
		log = open(os.path.join(self.bench.folder, f'{self.name}.log'), 'w+', encoding='utf-8')
		child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
		child.log = log
		self.children.append(child)
		return child

	def peer(self, *words):
		"""Starts a peer. Returns its port and its process."""
		child = self.start(self.bench.peer, *map(str, words))
		return int(child.stdout.readline()), child

	def configure(self, template, **values):
		file = os.path.join(self.bench.folder, f'{self.name}-{values["port"]}.conf')
		with open(file, 'w', encoding='ascii') as out:
			out.write(template.format(folder=self.bench.folder, **values))
		return file

	def serve(self, port, *words):
		child = self.start(*words)
		self.port = port
		wait_for(port, child)
		self.pids = [child.pid]

	def stop(self):
		for child in reversed(self.children):
			child.terminate()
		for child in self.children:
			child.wait()
			child.stdin.close()
			child.stdout.close()
			child.log.close()


class Echo(Program):
	def run(self):
		self.port, child = self.peer('echo')
		self.pids = [child.pid]


class Relay(Program):
	def run(self):
		self.port, child = self.peer('relay', self.peer('echo')[0])
		self.pids = [child.pid]


class HAProxy(Program):
	def __init__(self, bench, name, role):
		super().__init__(bench, name)
		self.role = role

	def run(self):
		port = free_port()
		file = self.configure(HAPROXY, port=port, server=self.peer(self.role)[0])
		self.serve(port, find('haproxy'), '-db', '-q', '-f', file)


class Nginx(Program):
	def run(self):
		port = free_port()
		file = self.configure(NGINX, port=port, server=self.peer('http')[0])
		self.serve(port, find('nginx'), '-c', file)


class Doab(Program):
	def __init__(self, bench, name, workers):
		super().__init__(bench, name)
		self.workers = workers

	def run(self):
		port = free_port()
		file = self.configure(DOAB, port=port, server=self.peer('xmpp')[0], workers=self.workers)
		self.serve(port, self.bench.doab, '--config', file)
		# The child of the supervisor is the one that serves.
		with open(f'/proc/{self.pids[0]}/task/{self.pids[0]}/children', encoding='ascii') as children:
			self.pids = [int(children.read().split()[0])]

	def resident_kb(self):
		with open(f'/proc/{self.pids[0]}/smaps_rollup', encoding='ascii') as maps:
			return int(re.search(r'^Rss: +(\d+)', maps.read(), re.M)[1])


def find(name):
	return shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin:/sbin')


def version(*words):
	done = subprocess.run(words, capture_output=True, text=True, check=False)
	match = re.search(r'\d+\.\d+[\w.-]*', done.stdout + done.stderr)
	return match[0] if match else '?'


def versions(doab):
	return {
		'doab': version(doab, '--version'),
		'HAProxy': version(find('haproxy'), '-v') if find('haproxy') else 'not installed',
		'nginx': version(find('nginx'), '-v') if find('nginx') else 'not installed',
		'Linux': os.uname().release,
	}
