-- A Prosody for trying Doab on one machine, started by conf/quickstart.sh, which fills in what stands between
-- at-signs. Loopback only, with data, log and certificate of its own; not a configuration for a real server.

run_as_root = true -- where the demonstration itself is run by root
daemonize = false
pidfile = "@FOLDER@/prosody.pid"
data_path = "@FOLDER@/data"
log = { info = "@FOLDER@/prosody.log" }

interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
-- Doab is what serves BOSH and WebSocket here.
http_ports = { }
https_ports = { }
plugin_paths = { }
modules_enabled = { "roster", "saslauth", "tls", "disco", "ping", "smacks", "carbons", "presence", "message", "iq" }
modules_disabled = { "s2s" }
c2s_require_encryption = true
ssl = { certificate = "@FOLDER@/certificate.pem", key = "@FOLDER@/certificate.key" }

VirtualHost "@DOMAIN@"
	authentication = "internal_hashed"

VirtualHost "@GUESTS@"
	authentication = "anonymous"
