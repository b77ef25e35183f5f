/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where clients connect: the `listener` sections, and the addresses of the short `listen` list with
 * the defaults of a section. conf/doab.conf documents each key.
 *
 *     listener "192.0.2.1:443" { tls { certificate = "/etc/doab/tls.pem" } }
 *     listener "unix:/run/doab/http.sock" { mode = "0660" group = "www-data" }
 *     listener "fd:web" { }
 *
 * peer   who connects: the client itself, or a proxy in front
 * proxy  the PROXY protocol, with which a proxy tells the client's address before the first byte
 */
#include <sys/types.h>

#include "common/address.h"
#include "policy/domain-rules.h"
#include "policy/networks.h"

#define CONFIG_VERIFIES(X)      \
	X(OFF, "off")           \
	X(OPTIONAL, "optional") \
	X(REQUIRED, "required")

/* Whether clients have to show a certificate. */
enum config_verify {
#define X(name, text) CONFIG_VERIFY_##name,
	CONFIG_VERIFIES(X)
#undef X
};

enum config_tls_version {
	CONFIG_TLS_1_2 = 1,
	CONFIG_TLS_1_3 = 2,
};

/* TLS of one's own. The files have been read and fit together when the configuration was checked
 * (tls-server.h); they may have changed since. */
struct config_listener_tls {
	bool is_on;         /* there is a `tls` section */
	char *certificate;  /* PEM: the certificate, then the intermediate ones */
	char *key;          /* PEM; NULL when it is in the file of the certificate */
	char *ciphers;      /* of TLS 1.2, for OpenSSL; "" for the library's default */
	char *ciphersuites; /* of TLS 1.3 */
	unsigned versions;  /* CONFIG_TLS_..., or-ed; never 0 */
	char *client_ca;    /* PEM: who signs the certificates of clients; NULL for nobody */
	enum config_verify verify;
	bool tickets;
	char *ocsp_file; /* DER: the response that is stapled; NULL for none */
};

enum config_listener_kind {
	CONFIG_LISTENER_ADDRESS,
	CONFIG_LISTENER_UNIX,
	CONFIG_LISTENER_FD, /* opened by who started the program: sd_listen_fds_with_names(3) */
};

struct config_listener {
	enum config_listener_kind kind;
	struct address address; /* CONFIG_LISTENER_ADDRESS */
	char *name;             /* the title of the section */
	const char *path;       /* CONFIG_LISTENER_UNIX: absolute; borrowed from name */
	const char *fd_name;    /* CONFIG_LISTENER_FD: of LISTEN_FDNAMES; borrowed from name */
	mode_t mode;            /* of the unix socket */
	char *group;            /* of the unix socket; NULL for the program's own */
	gid_t gid;              /* of `group` */
	unsigned backlog;
	unsigned receive_buffer, send_buffer; /* bytes (SO_RCVBUF, SO_SNDBUF); 0: the system's */
	bool nodelay;                         /* TCP_NODELAY */
	unsigned idle_s;                      /* after an answer, until the next request */
	struct networks allow, deny;          /* which peers may connect: networks_admit() */
	/* Not OFF: only peers in proxy_peers may connect, and have to send the header. On a unix
	 * socket everybody may who can open it. */
	enum domain_proxy proxy;
	struct networks proxy_peers;
	struct config_listener_tls tls;
};

struct config_listeners {
	struct config_listener *list; /* those of `listen` come last */
	size_t n;
};
