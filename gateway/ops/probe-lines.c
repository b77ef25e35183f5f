/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "gateway/ops/probe-state.h"

int64_t probe_now_us(void)
{
	return (int64_t)(uv_hrtime() / 1000);
}

struct sheet_times probe_times(const struct probe *probe, int64_t since_us)
{
	int64_t now_us = probe_now_us();

	return (struct sheet_times){now_us - since_us, now_us - probe->start_us};
}

struct sheet_times probe_next_times(struct probe *probe)
{
	struct sheet_times times = probe_times(probe, probe->step_us);

	probe->step_us += times.step_us;
	return times;
}

void probe_section(struct probe *probe, enum probe_section section, const char *title)
{
	if (probe->section != section) {
		probe->section = section;
		sheet_section(&probe->sheet, title);
	}
}

void probe_section_dial(struct probe *probe)
{
	const char *title = probe->is_retry ? "Connecting to another server" : "Connecting";

	probe_section(probe, PROBE_SECTION_DIAL, title);
}

void probe_flush(struct probe *probe)
{
	struct sv out = buffer_sv(&probe->sheet.out);

	if (probe->sheet.form == SHEET_JSON) {
		return;
	}
	(void)fwrite(out.data, 1, out.n, probe->out);
	(void)fflush(probe->out);
	sheet_deinit(&probe->sheet);
}

bool probe_has_proxy(const struct probe *probe)
{
	return probe->rule && probe->rule->egress.kind != EGRESS_NONE;
}

void probe_forget_server(struct probe *probe)
{
	probe->section = PROBE_SECTION_NONE;
	probe->tlsa = (struct probe_tlsa){.has_reply = false};
	probe->facts.has_tls = false;
	probe->awaited = NULL;
	probe->is_dialling = true;
	probe->is_slow = false;
}

void probe_show_failure(struct probe *probe, const char *label, const struct sheet_times *times,
			const struct failure *failure)
{
	sheet_line(&probe->sheet, label, SHEET_BAD, times, "%s%s%s",
		   failure_sentence(failure->kind), failure->detail[0] ? ": " : "",
		   failure->detail);
}

void probe_note_trouble(struct probe *probe, const char *server, const char *words)
{
	struct probe_facts *facts = &probe->facts;

	if (facts->n_troubles < PROBE_TROUBLES_MAX) {
		struct probe_trouble *trouble = &facts->troubles[facts->n_troubles++];

		(void)snprintf(trouble->server, sizeof(trouble->server), "%s", server);
		trouble->words = words;
	}
}

const char *probe_date(int64_t seconds, char text[static PROBE_DATE_MAX])
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (!gmtime_r(&time, &utc) || strftime(text, PROBE_DATE_MAX, "%Y-%m-%d", &utc) == 0) {
		(void)snprintf(text, PROBE_DATE_MAX, "an unknown date");
	}
	return text;
}
