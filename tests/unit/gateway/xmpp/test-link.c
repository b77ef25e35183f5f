/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "gateway/upstream/transport.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/link-state.h"

/* A link whose transport has no memory for what is written. */

static uv_loop_t loop;
static struct config config = {.n_references = 1};
static uv_timer_t alive; /* without it, the loop has nothing to wait for */
static struct link_env env;
static struct link *link_tested;
static int the_transport, the_opening;

static const struct opening_callbacks *opening_callbacks;
static void *opening_userdata;
static int write_result;
static unsigned n_writes, n_finished, n_over;
static enum failure_kind over_kind;
static char written[512];

static struct transport *transport(void)
{
	return (struct transport *)&the_transport;
}

/* These take the places of the program's. */

int opening_new(const struct opening_task *task, const struct stream_target *target,
		const struct opening_callbacks *callbacks, void *userdata,
		struct opening **ret_opening)
{
	(void)task;
	(void)target;
	opening_callbacks = callbacks;
	opening_userdata = userdata;
	*ret_opening = (struct opening *)&the_opening;
	return 0;
}

struct opening *opening_free(struct opening *opening)
{
	(void)opening;
	return NULL;
}

int transport_write(struct transport *of, const char *data, size_t n)
{
	assert_ptr_equal(of, transport());
	assert_true(strlen(written) + n < sizeof(written));
	n_writes++;
	if (write_result == 0) {
		strncat(written, data, n);
	}
	return write_result;
}

struct transport *transport_free(struct transport *of)
{
	(void)of;
	return NULL;
}

void transport_finish(struct transport *of, int64_t timeout_ms)
{
	assert_ptr_equal(of, transport());
	(void)timeout_ms;
	n_finished++;
}

void transport_will_finish(struct transport *of)
{
	assert_ptr_equal(of, transport());
}

size_t transport_waiting(const struct transport *of)
{
	assert_ptr_equal(of, transport());
	return 0;
}

bool transport_has_unread(const struct transport *of)
{
	assert_ptr_equal(of, transport());
	return false;
}

/* The owner. */

static void on_nothing(void *userdata)
{
	(void)userdata;
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	(void)userdata;
	(void)kind;
}

static void on_over(void *userdata, const struct failure *failure)
{
	(void)userdata;
	n_over++;
	over_kind = failure->kind;
}

static const struct link_callbacks callbacks = {
	.header = on_nothing,
	.element = on_element,
	.flush = on_nothing,
	.drained = on_nothing,
	.held = on_nothing,
	.over = on_over,
};

static void on_alive(uv_timer_t *timer)
{
	(void)timer;
}

/* Makes a link whose client has logged in. */
static int set_up(void **state)
{
	const struct stream_target target = {.to = SV("a.test")};

	(void)state;
	write_result = 0;
	n_writes = n_finished = n_over = 0;
	written[0] = '\0';
	assert_int_equal(uv_loop_init(&loop), 0);
	uv_timer_init(&loop, &alive);
	uv_timer_start(&alive, on_alive, 60000, 0);
	env = (struct link_env){
		.config = &config,
		.dialer.loop = &loop,
		.n_waiting_max = 100,
		.scan_options = stream_options(1000),
		.open_timeout_ms = 60000,
	};
	TAILQ_INIT(&env.returning);
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &env.pool), 0);
	keepalive_init(&env.keepalive, &loop, 0, link_keep_alive);
	outbox_init(&env.outbox, &loop, link_write_gathered);
	assert_int_equal(link_new(&env, &target, &(struct link_options){.callbacks = &callbacks},
				  &link_tested),
			 0);
	struct stream *stream = link_stream(link_tested);

	stream->state = STREAM_STATE_OPEN;
	stream->is_in_use = stream->is_logged_in = stream->has_succeeded = true;
	opening_callbacks->done(opening_userdata, transport(), STREAM_EVENT_FEATURES);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	link_tested = link_drop(link_tested);
	uv_close((uv_handle_t *)&alive, NULL);
	outbox_close(&env.outbox);
	keepalive_close(&env.keepalive);
	uv_run(&loop, UV_RUN_DEFAULT);
	xml_pool_free(env.pool);
	return uv_loop_close(&loop);
}

static void check_told(void)
{
	for (int i = 0; i < 3; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(n_over, 1);
	assert_int_equal(over_kind, FAILURE_INTERNAL);
	assert_int_equal(n_writes, 1);
}

static void gather(void)
{
	assert_int_equal(link_gather(link_tested, SV("<message/>")), LINK_OK);
	assert_int_equal(n_writes, 0);
	write_result = -ENOMEM;
}

static void test_gathered(void **state)
{
	(void)state;
	gather();
	check_told();
}

/* Nothing is written behind the gap. */
static void test_written_behind(void **state)
{
	static char large[OUTBOX_ONE_MAX + 1];

	(void)state;
	env.n_waiting_max = 2 * sizeof(large);
	gather();
	assert_int_equal(link_gather(link_tested, (struct sv){large, sizeof(large)}), LINK_OK);
	check_told();
}

/* The time for the restart does not take the place of what is to be told. */
static void test_restarted_behind(void **state)
{
	(void)state;
	gather();
	assert_int_equal(link_restart(link_tested, &(struct stream_target){.to = SV_EMPTY}), 0);
	check_told();
}

static const char stanza[] =
	"<message xmlns='jabber:client' from='b@a.test'><body>x</body></message>";

static void test_returned(void **state)
{
	(void)state;
	assert_int_equal(link_return(link_tested, sv_from(stanza)), 0);
	link_tested = link_close(link_tested);
	assert_non_null(strstr(written, "recipient-unavailable"));
	assert_non_null(strstr(written, "</message></stream:stream>"));
	assert_int_equal(n_finished, 1);
}

/* A connection with a gap is given up. */
static void test_returned_without_memory(void **state)
{
	(void)state;
	write_result = -ENOMEM;
	assert_int_equal(link_return(link_tested, sv_from(stanza)), -ENOMEM);
	link_tested = link_close(link_tested);
	assert_int_equal(n_writes, 1);
	assert_int_equal(n_finished, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gathered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_written_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restarted_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_returned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_returned_without_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
