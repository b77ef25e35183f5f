/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the kernel says about this process (proc(5)): memory, descriptors, CPU time. The files are
 * opened once, because the sandbox lets the process open no files later.
 */
#include <dirent.h>
#include <stdint.h>

#include "common/macro.h"

struct process_facts {
	int stat, statm; /* descriptors; negative: not there */
	DIR *descriptors;
};

struct process_numbers {
	int64_t n_resident;    /* bytes of memory */
	int64_t n_descriptors; /* open ones */
	int64_t n_descriptors_max;
	double cpu_s;     /* of all threads, since the start */
	double started_s; /* since the epoch */
};

/* Opens the files. Those that are not there leave their numbers at 0. */
void process_facts_init(struct process_facts *facts);
void process_facts_deinit(struct process_facts *facts);

void process_facts_read(struct process_facts *facts, struct process_numbers *ret_numbers);
