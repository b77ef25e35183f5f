/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Who pays for what c-ares does: the crowd (common/turn.h) that asked the question. A client whose
 * domains have long answers then waits behind others, as with everything else that takes time.
 *
 * A message is matched to its question by the name in it, as the code that receives it knows no
 * more. Time for which no question is found is charged to nobody.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/turn.h"
#include "gateway/upstream/dns/reply.h"

struct ares_bill {
	struct turn *turn; /* NULL: nobody pays */
	/* The crowd that asked for @kind at @name, or TURN_NO_CROWD. */
	uint32_t (*crowd_of)(void *userdata, enum dns_kind kind, const char *name);
	void *userdata;
	uint32_t crowd; /* internal: that pays for what is done now */
	bool is_open;   /* internal */
};

/* The loop calls: what is done until ares_bill_end() is to be paid. Without this, the others do
 * nothing: what is done when a question is put belongs to the turn of the one who puts it. */
void ares_bill_begin(struct ares_bill *bill);

/* From now on the work is for @message. */
void ares_bill_message(struct ares_bill *bill, const unsigned char *message, size_t n);

/* All that has been done since the last call was for @crowd. */
void ares_bill_charge(struct ares_bill *bill, uint32_t crowd);

/* Charges the crowd of the last message. */
void ares_bill_end(struct ares_bill *bill);
