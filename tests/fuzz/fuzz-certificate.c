/* SPDX-License-Identifier: MIT */
/*
 * tls/certificate.h and tls/pin.h. The input is a certificate in DER, as OpenSSL has taken it. What
 * is shown of it is printable and ends; only its own names match; a pin is read as it is written.
 *
 * covers: gateway/upstream/tls/certificate.c gateway/upstream/tls/pin.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tls/pin.h"

struct names {
	size_t n, n_matching;
};

/* A name matches if it is the domain in its kind's notation; or may, if it has U-labels. */
static void count_name(void *userdata, enum certificate_name_kind kind, struct sv name)
{
	struct names *names = userdata;
	bool is_ascii = true;

	for (size_t i = 0; i < name.n; i++) {
		is_ascii = is_ascii && name.data[i] > 0;
	}
	names->n++;
	switch (kind) {
	case CERTIFICATE_NAME_DNS:
		names->n_matching += sv_eq_nocase(name, SV("a.example.org")) ||
				     sv_eq_nocase(name, SV("*.example.org"));
		break;
	case CERTIFICATE_NAME_SRV:
		names->n_matching += sv_eq_nocase(name, SV("_xmpp-client.a.example.org"));
		break;
	case CERTIFICATE_NAME_XMPP:
		names->n_matching += !is_ascii || sv_eq_nocase(name, SV("a.example.org"));
		break;
	case CERTIFICATE_NAME_OTHER:
		fail_msg("a name of another kind");
	}
}

static void check_shown(const X509 *certificate)
{
	struct names names = {0};

	certificate_each_name(certificate, count_name, &names);
	for (size_t size = 1; size < 100; size += 7) {
		char *text = malloc(size);

		FUZZ_CHECK(text);
		certificate_list_names(certificate, text, size);
		size_t n = strnlen(text, size);

		FUZZ_CHECK(n < size);
		for (size_t i = 0; i < n; i++) {
			FUZZ_CHECK(text[i] >= ' ' && text[i] <= '~');
		}
		free(text);
	}
	FUZZ_CHECK(names.n_matching || !certificate_names(certificate, "a.example.org"));
	FUZZ_CHECK(!certificate_names(certificate, ""));
}

static void check_pin(const X509 *certificate)
{
	char text[PIN_TEXT_MAX];
	struct pin pin, again;

	if (pin_of(certificate, &pin) == 0) {
		assert_int_equal(pin_parse(sv_from(pin_format(&pin, text)), &again), 0);
		FUZZ_CHECK(memcmp(&pin, &again, sizeof(pin)) == 0);
		FUZZ_CHECK(pins_match(&pin, 1, certificate));
		again.sha256[0] ^= 1;
		FUZZ_CHECK(!pins_match(&again, 1, certificate));
	}
}

void fuzz_one(struct sv input)
{
	const unsigned char *at = (const unsigned char *)input.data;
	X509 *certificate = d2i_X509(NULL, &at, (long)input.n);
	char text[PIN_TEXT_MAX];
	struct pin pin;

	if (certificate) {
		check_shown(certificate);
		check_pin(certificate);
		X509_free(certificate);
	}
	if (pin_parse(input, &pin) == 0) {
		/* Each key has one notation. */
		FUZZ_CHECK(sv_eq(sv_from(pin_format(&pin, text)), input));
	}
}
