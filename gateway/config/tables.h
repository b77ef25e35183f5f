/* SPDX-License-Identifier: MIT */
#pragma once
/* The tables of the themes, in the order of conf/doab.conf; schema.c puts them together. */
#include "gateway/config/listener.h"
#include "gateway/config/schema.h"
#include "policy/domain-rules.h"

extern const struct config_table config_table_listeners;
extern const struct config_table config_table_listener; /* listener "192.0.2.1:443" { ... } */
extern const struct config_table config_table_process;
extern const struct config_table config_table_log;
extern const struct config_table config_table_admin;
extern const struct config_table config_table_who;
extern const struct config_table config_table_web;
extern const struct config_table config_table_limits;
extern const struct config_table config_table_servers;
extern const struct config_table config_table_bosh;
extern const struct config_table config_table_websocket;
extern const struct config_table config_table_domain; /* domain "example.org" { ... } */

/* Frees the rules that config_table_domain has added. */
void config_domains_deinit(struct domain_rules *rules);

/* Frees the listeners that config_table_listener has added. */
void config_listeners_deinit(struct config_listeners *listeners);
