/* SPDX-License-Identifier: MIT */
#include "gateway/http/date.h"

static void tell(struct http_date *date, time_t now)
{
	struct tm utc;

	date->second = now;
	/* RFC 9110, 5.6.7. The names are English because the program sets no locale. Nothing is
	 * written of a year with five digits: it does not fit. */
	date->n = gmtime_r(&now, &utc) ? strftime(date->line, sizeof(date->line),
						  "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc)
				       : 0;
}

struct sv http_date_line(struct http_date *date, time_t now)
{
	if (date->second != now || date->n == 0) {
		tell(date, now);
	}
	return (struct sv){date->line, date->n};
}
