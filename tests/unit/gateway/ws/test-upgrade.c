/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/ws/upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static void test_upgrade(void **state)
{
	static const struct upgrade good = {
		.connection = {"Upgrade", 7},
		.upgrade = {"WebSocket", 9},
		.version = {"13", 2},
		.key = {KEY, 24},
		.protocol = {"foo, xmpp", 9},
		.origin_is_allowed = true,
	};
	struct upgrade bad;

	(void)state;
	assert_int_equal(upgrade_check(&good), UPGRADE_OK);
#define BAD(field, value, result) \
	bad = good;               \
	bad.field = value;        \
	assert_int_equal(upgrade_check(&bad), result)
	BAD(connection, SV("close"), UPGRADE_E_NO_WEBSOCKET);
	BAD(upgrade, SV("h2c"), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV("short"), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV("dGhlIHNhbXBsZSBub25jZ\r\n=="), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV_EMPTY, UPGRADE_E_NO_WEBSOCKET);
	BAD(version, SV("8"), UPGRADE_E_VERSION);
	BAD(protocol, SV("XMPP"), UPGRADE_E_PROTOCOL);
	BAD(protocol, SV("xmpp2"), UPGRADE_E_PROTOCOL);
	BAD(protocol, SV_EMPTY, UPGRADE_E_PROTOCOL);
	BAD(origin_is_allowed, false, UPGRADE_E_ORIGIN);
#undef BAD
	assert_int_equal(upgrade_status(UPGRADE_E_VERSION), 426);
	assert_int_equal(upgrade_status(UPGRADE_E_PROTOCOL), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upgrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
