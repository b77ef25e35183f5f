/* SPDX-License-Identifier: MIT */
/*
 * A client made of gloox, over its BOSH:
 *
 *     gloox HOST PORT PATH JID/RESOURCE MODE
 *
 * MODE is how it uses HTTP: "legacy" (1.0, a connection for each request), "persistent" (1.1), "pipelining". The first line on
 * standard input is the password. Then a line is a command, and a line on standard output an event; their arguments are
 * percent-encoded:
 *
 *     message TO BODY                        online JID
 *     presence TO                            message FROM BODY
 *     quit                                   presence FROM TYPE
 *                                            closed REASON
 *
 * With GLOOX_DEBUG in the environment it tells all it does on standard error.
 */
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <poll.h>
#include <sstream>
#include <string>
#include <unistd.h>

#include <gloox/client.h>
#include <gloox/connectionbosh.h>
#include <gloox/connectionlistener.h>
#include <gloox/connectiontcpclient.h>
#include <gloox/loghandler.h>
#include <gloox/message.h>
#include <gloox/messagehandler.h>
#include <gloox/presence.h>
#include <gloox/presencehandler.h>

static const int turn_us = 10000; /* what gloox waits for each of its connections, before commands are looked for */

static const std::map<std::string, gloox::ConnectionBOSH::ConnMode> modes = {
	{"legacy", gloox::ConnectionBOSH::ModeLegacyHTTP},
	{"persistent", gloox::ConnectionBOSH::ModePersistentHTTP},
	{"pipelining", gloox::ConnectionBOSH::ModePipelining},
};

static std::string escaped(const std::string &text)
{
	static const char digits[] = "0123456789ABCDEF";
	std::string result;

	for (unsigned char c : text) {
		if (isalnum(c)) {
			result += static_cast<char>(c);
		} else {
			result += {'%', digits[c >> 4], digits[c & 15]};
		}
	}
	return result;
}

static std::string unescaped(const std::string &text)
{
	std::string result;

	for (size_t i = 0; i < text.size(); i++) {
		if (text[i] == '%' && i + 2 < text.size()) {
			result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
			i += 2;
		} else {
			result += text[i];
		}
	}
	return result;
}

static void tell(const std::string &event, const std::string &first, const std::string &second = "")
{
	std::cout << event << ' ' << escaped(first) << ' ' << escaped(second) << std::endl;
}

class TestClient : gloox::ConnectionListener,
		   gloox::MessageHandler,
		   gloox::PresenceHandler,
		   gloox::LogHandler
{
public:
	TestClient(const gloox::JID &jid, const std::string &password) : client(jid, password)
	{
		client.registerConnectionListener(this);
		client.registerMessageHandler(this);
		client.registerPresenceHandler(this);
		/* BOSH knows no TLS within, and no compression. */
		client.setTls(gloox::TLSDisabled);
		client.setCompression(false);
		if (getenv("GLOOX_DEBUG")) {
			client.logInstance().registerLogHandler(gloox::LogLevelDebug, gloox::LogAreaAll, this);
		}
	}

	/* Both are the client's own. */
	bool connect(const std::string &host, int port, const std::string &path,
		     gloox::ConnectionBOSH::ConnMode mode)
	{
		auto *tcp = new gloox::ConnectionTCPClient(client.logInstance(), host, port);
		auto *bosh = new gloox::ConnectionBOSH(&client, tcp, client.logInstance(), host,
						       client.jid().server());

		bosh->setPath(path);
		bosh->setMode(mode);
		client.setConnectionImpl(bosh);
		return client.connect(false);
	}

	void run()
	{
		while (!over) {
			/* Of an HTTP connection that is just being opened or closed it says an error: the
			 * session goes on, unless onDisconnect() was called. */
			bool ok = client.recv(turn_us) == gloox::ConnNoError;

			obey_all(ok ? 0 : turn_us / 1000);
		}
		client.disconnect();
	}

private:
	gloox::Client client;
	std::string input;
	bool over = false;

	/* All commands that have come, or come within @wait_ms. */
	void obey_all(int wait_ms)
	{
		struct pollfd poll_fd = {0, POLLIN, 0};
		char bytes[65536];

		for (; poll(&poll_fd, 1, wait_ms) > 0; wait_ms = 0) {
			ssize_t n = read(0, bytes, sizeof(bytes));

			if (n <= 0) {
				over = true;
				return;
			}
			input.append(bytes, static_cast<size_t>(n));
		}
		for (size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
			obey(input.substr(0, end));
		}
	}

	void obey(const std::string &line)
	{
		std::istringstream words(line);
		std::string command, first, second;

		words >> command >> first >> second;
		if (command == "message") {
			client.send(gloox::Message(gloox::Message::Chat, gloox::JID(unescaped(first)),
						   unescaped(second)));
		} else if (command == "presence") {
			client.send(gloox::Presence(gloox::Presence::Available, gloox::JID(unescaped(first))));
		} else {
			over = true;
		}
	}

	void onConnect() override
	{
		tell("online", client.jid().full());
	}

	void onDisconnect(gloox::ConnectionError error) override
	{
		over = true;
		tell("closed", std::to_string(error),
		     std::to_string(client.streamError()) + "/" + std::to_string(client.authError()));
	}

	bool onTLSConnect(const gloox::CertInfo &) override
	{
		return false;
	}

	void handleMessage(const gloox::Message &message, gloox::MessageSession *) override
	{
		tell("message", message.from().full(), message.body());
	}

	void handlePresence(const gloox::Presence &presence) override
	{
		tell("presence", presence.from().full(),
		     presence.presence() == gloox::Presence::Unavailable ? "unavailable" : "available");
	}

	void handleLog(gloox::LogLevel, gloox::LogArea area, const std::string &text) override
	{
		std::cerr << area << ": " << text << std::endl;
	}
};

int main(int argc, char **argv)
{
	std::string password;

	/* What is behind the password is read by descriptor. */
	setvbuf(stdin, nullptr, _IONBF, 0);
	if (argc != 6 || !modes.count(argv[5]) || !std::getline(std::cin, password)) {
		std::cerr << "usage: " << argv[0] << " HOST PORT PATH JID/RESOURCE MODE\n";
		return 2;
	}
	TestClient client(gloox::JID(argv[4]), password);

	if (client.connect(argv[1], std::stoi(argv[2]), argv[3], modes.at(argv[5]))) {
		client.run();
	}
	return 0;
}
