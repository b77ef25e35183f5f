/* SPDX-License-Identifier: MIT */
/*
 * A client made of libpurple, the library of Pidgin and Finch, over its BOSH:
 *
 *     purple BOSH-URL JID/RESOURCE FOLDER
 *
 * The first line on standard input is the password. Then a line is a command, and a line on
 * standard output an event; their arguments are percent-encoded:
 *
 *     message TO BODY                        online JID
 *     raw XML                                message FROM BODY
 *     quit                                   presence FROM TYPE
 *                                            closed REASON
 *
 * FOLDER is for what libpurple writes. With PURPLE_DEBUG in the environment it tells all it does on
 * standard error.
 */
#include <glib.h>
#include <purple.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GMainLoop *loop;
static PurpleAccount *account;

/* What libpurple asks of its event loop, from glib. */

struct watch {
	PurpleInputFunction function;
	gpointer data;
};

static gboolean on_ready(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	struct watch *watch = data;
	int mask = 0;

	if (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
		mask |= PURPLE_INPUT_READ;
	}
	if (condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL)) {
		mask |= PURPLE_INPUT_WRITE;
	}
	watch->function(watch->data, g_io_channel_unix_get_fd(channel), (PurpleInputCondition)mask);
	return TRUE;
}

static guint add_input(int fd, PurpleInputCondition condition, PurpleInputFunction function,
		       gpointer data)
{
	struct watch *watch = g_new0(struct watch, 1);
	GIOChannel *channel = g_io_channel_unix_new(fd);
	int mask = 0;

	*watch = (struct watch){function, data};
	if (condition & PURPLE_INPUT_READ) {
		mask |= G_IO_IN | G_IO_HUP | G_IO_ERR;
	}
	if (condition & PURPLE_INPUT_WRITE) {
		mask |= G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL;
	}
	guint id = g_io_add_watch_full(channel, G_PRIORITY_DEFAULT, (GIOCondition)mask, on_ready,
				       watch, g_free);

	g_io_channel_unref(channel);
	return id;
}

static PurpleEventLoopUiOps event_loop = {
	.timeout_add = g_timeout_add,
	.timeout_remove = g_source_remove,
	.input_add = add_input,
	.input_remove = g_source_remove,
	.timeout_add_seconds = g_timeout_add_seconds,
};

/* Events. */

/* Ends the list with NULL. */
static void tell(const char *event, ...)
{
	va_list arguments;
	const char *text;

	fputs(event, stdout);
	va_start(arguments, event);
	while ((text = va_arg(arguments, const char *))) {
		char *escaped = g_uri_escape_string(text, NULL, FALSE);

		printf(" %s", escaped);
		g_free(escaped);
	}
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static void on_signed_on(PurpleConnection *connection, gpointer data)
{
	(void)connection, (void)data;
	tell("online", purple_account_get_username(account), NULL);
}

static void on_signed_off(PurpleConnection *connection, gpointer data)
{
	(void)connection, (void)data;
	tell("closed", "signed off", NULL);
}

static void on_error(PurpleConnection *connection, PurpleConnectionError error,
		     const char *description, gpointer data)
{
	(void)connection, (void)error, (void)data;
	tell("closed", description, NULL);
}

static void on_message(PurpleAccount *to, char *from, char *markup,
		       PurpleConversation *conversation, PurpleMessageFlags flags, gpointer data)
{
	char *text = purple_unescape_html(markup);

	(void)to, (void)conversation, (void)flags, (void)data;
	tell("message", from, text, NULL);
	g_free(text);
}

static gboolean on_presence(PurpleConnection *connection, const char *type, const char *from,
			    gpointer node, gpointer data)
{
	(void)connection, (void)node, (void)data;
	tell("presence", from, type ? type : "available", NULL);
	return FALSE;
}

/* Commands. */

static void send_message(const char *to, const char *text)
{
	char *markup = g_markup_escape_text(text, -1);
	PurpleConversation *conversation =
		purple_find_conversation_with_account(PURPLE_CONV_TYPE_IM, to, account);

	if (!conversation) {
		conversation = purple_conversation_new(PURPLE_CONV_TYPE_IM, account, to);
	}
	purple_conv_im_send(PURPLE_CONV_IM(conversation), markup);
	g_free(markup);
}

static void send_raw(const char *xml)
{
	PurpleConnection *connection = purple_account_get_connection(account);
	PurplePlugin *plugin = purple_connection_get_prpl(connection);

	PURPLE_PLUGIN_PROTOCOL_INFO(plugin)->send_raw(connection, xml, (int)strlen(xml));
}

static void obey(char **words)
{
	guint n = g_strv_length(words);

	for (guint i = 1; i < n; i++) {
		char *text = g_uri_unescape_string(words[i], NULL);

		g_free(words[i]);
		words[i] = text;
	}
	if (n == 3 && strcmp(words[0], "message") == 0) {
		send_message(words[1], words[2]);
	} else if (n == 2 && strcmp(words[0], "raw") == 0) {
		send_raw(words[1]);
	} else {
		g_main_loop_quit(loop);
	}
}

static gboolean on_input(GIOChannel *channel, GIOCondition condition, gpointer data)
{
	char *line = NULL;
	gsize end = 0;

	(void)condition, (void)data;
	if (g_io_channel_read_line(channel, &line, NULL, &end, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	line[end] = '\0';
	char **words = g_strsplit(line, " ", 0);

	obey(words);
	g_strfreev(words);
	g_free(line);
	return TRUE;
}

/* From here to there. */

static void connect_signals(void)
{
	static int handle;
	PurplePlugin *jabber = purple_find_prpl("prpl-jabber");

	purple_signal_connect(purple_connections_get_handle(), "signed-on", &handle,
			      PURPLE_CALLBACK(on_signed_on), NULL);
	purple_signal_connect(purple_connections_get_handle(), "signed-off", &handle,
			      PURPLE_CALLBACK(on_signed_off), NULL);
	purple_signal_connect(purple_connections_get_handle(), "connection-error", &handle,
			      PURPLE_CALLBACK(on_error), NULL);
	purple_signal_connect(purple_conversations_get_handle(), "received-im-msg", &handle,
			      PURPLE_CALLBACK(on_message), NULL);
	purple_signal_connect(jabber, "jabber-receiving-presence", &handle,
			      PURPLE_CALLBACK(on_presence), NULL);
}

static void log_in(const char *url, const char *jid, const char *password)
{
	account = purple_account_new(jid, "prpl-jabber");
	purple_account_set_password(account, password);
	purple_account_set_string(account, "bosh_url", url);
	purple_accounts_add(account);
	purple_account_set_enabled(account, "doab-test", TRUE);
	purple_savedstatus_activate(purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE));
}

int main(int argc, char **argv)
{
	GIOChannel *input = g_io_channel_unix_new(0);
	char *password = NULL;
	gsize end = 0;

	if (argc != 4 ||
	    g_io_channel_read_line(input, &password, NULL, &end, NULL) != G_IO_STATUS_NORMAL) {
		fprintf(stderr, "usage: %s BOSH-URL JID/RESOURCE FOLDER\n", argv[0]);
		return 2;
	}
	password[end] = '\0';
	loop = g_main_loop_new(NULL, FALSE);
	purple_util_set_user_dir(argv[3]);
	purple_debug_set_enabled(getenv("PURPLE_DEBUG") != NULL);
	purple_eventloop_set_ui_ops(&event_loop);
	if (!purple_core_init("doab-test")) {
		return 1;
	}
	purple_set_blist(purple_blist_new());
	connect_signals();
	log_in(argv[1], argv[2], password);
	g_free(password);
	g_io_add_watch(input, G_IO_IN | G_IO_HUP, on_input, NULL);
	g_main_loop_run(loop);
	purple_core_quit();
	return 0;
}
