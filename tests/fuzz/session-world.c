/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

#include <stdarg.h>

static unsigned next_byte(struct world *world)
{
	struct choices *choices = &world->choices;
	unsigned byte = 0;

	if (choices->random && choices->n_left) {
		choices->n_left--;
		choices->random ^= choices->random << 13;
		choices->random ^= choices->random >> 7;
		choices->random ^= choices->random << 17;
		return choices->random >> 32 & 0xff;
	}
	if (choices->random || choices->input.n == 0) {
		world->is_settled = true;
		return 0;
	}
	byte = (unsigned char)choices->input.data[0];
	choices->input = sv_skip(choices->input, 1);
	return byte;
}

unsigned choose(struct world *world, unsigned n)
{
	return next_byte(world) % n;
}

bool choose_likely(struct world *world, unsigned percent)
{
	return next_byte(world) * 100 >= (100 - percent) * 256;
}

int64_t choose_small(struct world *world, unsigned max)
{
	unsigned byte = next_byte(world);

	return (int64_t)max * byte * byte * byte / (256 * 256 * 256);
}

void world_plan(struct world *world, int64_t ms, enum event_kind kind, uint64_t number)
{
	WORLD_CHECK(world, world->n_events < EVENTS_MAX);
	world->events[world->n_events++] = (struct event){
		.at = mono_add_ms(world->now, ms),
		.order = world->n_ordered++,
		.kind = kind,
		.number = number,
	};
}

/* The next event. There is always one: the client acts. */
static size_t find_next(const struct world *world)
{
	size_t next = 0;

	for (size_t i = 1; i < world->n_events; i++) {
		const struct event *event = &world->events[i], *best = &world->events[next];

		if (event->at.ms < best->at.ms ||
		    (event->at.ms == best->at.ms && event->order < best->order)) {
			next = i;
		}
	}
	return next;
}

struct mono world_next_at(const struct world *world)
{
	return world->events[find_next(world)].at;
}

struct event world_next(struct world *world)
{
	size_t next = find_next(world);
	struct event event = world->events[next];

	world->events[next] = world->events[--world->n_events];
	return event;
}

void world_tell(struct world *world, const char *format, ...)
{
	char line[3000];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (buffer_printf(&world->story, "%8" PRId64 " %s\n", world->now.ms, line) < 0) {
		abort();
	}
}

void world_fail(struct world *world, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%.*s%s: at %" PRId64 ": ", (int)world->story.n,
		world->story.data ? world->story.data + world->story.offset : "", world->label,
		world->now.ms);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

struct sv attribute_of(const char *text, const char *name)
{
	struct sv tag = sv_first(sv_from(text), sv_find(sv_from(text), '>'));
	char begin[40];

	snprintf(begin, sizeof(begin), " %s='", name);
	size_t at = sv_find_sv(tag, sv_from(begin));

	if (at == tag.n) {
		return SV_EMPTY;
	}
	tag = sv_skip(tag, at + strlen(begin));
	return sv_first(tag, sv_find(tag, '\''));
}

uint64_t number_of(struct world *world, const char *text, const char *name)
{
	struct sv value = attribute_of(text, name);
	uint64_t number = 0;

	WORLD_CHECK(world, !value.data || sv_to_u64(value, UINT64_MAX, &number) == 0);
	return number;
}

bool take_marker(const char **text, char letter, size_t *ret_number)
{
	const char begin[] = {'<', letter, ' ', 'n', '=', '\'', '\0'};
	const char *at = strstr(*text, begin);

	if (!at) {
		return false;
	}
	*text = at + strlen(begin);
	*ret_number = strtoul(*text, NULL, 10);
	return true;
}
