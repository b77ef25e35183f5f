/* SPDX-License-Identifier: MIT */
#include "gateway/http/coder.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
/* zlib's inputs are const then. */
#define ZLIB_CONST
#include <zlib.h>

enum {
	/* Levels with lazy matching save 5 % and take twice as long, on some texts twenty times. */
	LEVEL = 1,
	/* One below zlib's default: saves 64 KB, and time to clear them before each text. */
	MEM_LEVEL = 7,
	/* zlib's way to select a format: negated, bare deflate; plus GZIP_BITS, gzip. */
	WINDOW_BITS = MAX_WBITS,
	GZIP_BITS = 16,
	BARE_WINDOW_BITS = -WINDOW_BITS,
	/* What a flush writes behind the text; messages go without it. */
	FLUSH_SIZE = 4,
	/* In z_stream.data_type after Z_BLOCK: a block, or the header, has just ended. */
	BLOCK_ENDED = 128,
	ROOM_MIN = 4096,
};

struct coder {
	z_stream deflate, inflate;
	int deflating;    /* window bits of .deflate; 0 before it is initialised */
	bool can_inflate; /* .inflate is initialised */
	struct buffer scratch;
};

static void *allocate(void *userdata, uInt n, uInt n_one)
{
	(void)userdata;
	return calloc(n, n_one);
}

/* What clients have sent, and so their passwords, stays in zlib's windows. */
static void release(void *userdata, void *block)
{
	(void)userdata;
	if (block) {
		explicit_bzero(block, malloc_usable_size(block));
		free(block);
	}
}

int coder_new(struct coder **ret_coder)
{
	struct coder *coder = calloc(1, sizeof(*coder));

	if (!coder) {
		return -ENOMEM;
	}
	coder->deflate.zalloc = coder->inflate.zalloc = allocate;
	coder->deflate.zfree = coder->inflate.zfree = release;
	*ret_coder = coder;
	return 0;
}

static void end_deflate(struct coder *coder)
{
	if (coder->deflating) {
		deflateEnd(&coder->deflate);
		coder->deflating = 0;
	}
}

struct coder *coder_free(struct coder *coder)
{
	if (!coder) {
		return NULL;
	}
	end_deflate(coder);
	if (coder->can_inflate) {
		inflateEnd(&coder->inflate);
	}
	buffer_deinit(&coder->scratch);
	free(coder);
	return NULL;
}

/* One state serves all codings and is made again when another one is needed. That is rare, because
 * clients that accept deflate accept gzip, too. Returns 0 or -ENOMEM. */
static int begin_deflate(struct coder *coder, int window_bits)
{
	if (coder->deflating == window_bits) {
		return deflateReset(&coder->deflate) == Z_OK ? 0 : -ENOMEM;
	}
	end_deflate(coder);
	if (deflateInit2(&coder->deflate, LEVEL, Z_DEFLATED, window_bits, MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		return -ENOMEM;
	}
	coder->deflating = window_bits;
	return 0;
}

/* Encodes @plain behind what is in @coded. @flush: Z_FINISH, or Z_SYNC_FLUSH, which the text can go
 * on after. Returns 0 or -ENOMEM. */
static int compress_text(struct coder *coder, struct sv plain, int flush, struct buffer *coded)
{
	z_stream *stream = &coder->deflate;
	/* A flush may need a few bytes more than the text alone. */
	uLong n_room = deflateBound(stream, plain.n) + 2UL * FLUSH_SIZE;
	int r = buffer_reserve(coded, n_room);

	if (r < 0) {
		return r;
	}
	stream->next_in = (const Bytef *)plain.data;
	stream->avail_in = (uInt)plain.n;
	stream->next_out = (Bytef *)buffer_end(coded);
	stream->avail_out = (uInt)n_room;
	int z = deflate(stream, flush);

	/* There is room for the worst case. */
	assert(z == (flush == Z_FINISH ? Z_STREAM_END : Z_OK) && stream->avail_out > 0);
	(void)z;
	coded->n += stream->total_out;
	return 0;
}

int coder_encode(struct coder *coder, enum coding coding, struct sv plain, struct blob **ret_coded)
{
	assert(plain.n <= CODING_TEXT_MAX);
	int r = begin_deflate(coder, coding == CODING_GZIP ? WINDOW_BITS + GZIP_BITS : WINDOW_BITS);

	buffer_clear(&coder->scratch);
	if (r == 0) {
		r = compress_text(coder, plain, Z_FINISH, &coder->scratch);
	}
	return r < 0 ? r : blob_copy(buffer_sv(&coder->scratch), ret_coded);
}

int coder_encode_message(struct coder *coder, struct sv plain, struct buffer *coded)
{
	assert(plain.n > 0 && plain.n <= CODING_TEXT_MAX);
	int r = begin_deflate(coder, BARE_WINDOW_BITS);

	if (r == 0) {
		r = compress_text(coder, plain, Z_SYNC_FLUSH, coded);
	}
	if (r == 0) {
		buffer_truncate(coded, coded->n - FLUSH_SIZE);
	}
	return r;
}

/* RFC 1950, 2.2: method 8, a valid window size and check bits. No encoder begins bare deflate like
 * that: it would be a stored block with padding that is not zero. */
static bool has_zlib_header(struct sv coded)
{
	unsigned method, flags;

	if (coded.n < 2) {
		return false;
	}
	method = (unsigned char)coded.data[0];
	flags = (unsigned char)coded.data[1];
	return (method & 0x0f) == Z_DEFLATED && method >> 4 <= MAX_WBITS - 8 &&
	       (method << 8 | flags) % 31 == 0;
}

static int begin_inflate(struct coder *coder, int window_bits, struct sv coded)
{
	z_stream *stream = &coder->inflate;

	stream->next_in = (const Bytef *)coded.data;
	stream->avail_in = (uInt)coded.n;
	if (coder->can_inflate) {
		return inflateReset2(stream, window_bits) == Z_OK ? 0 : -ENOMEM;
	}
	if (inflateInit2(stream, window_bits) != Z_OK) {
		return -ENOMEM;
	}
	coder->can_inflate = true;
	return 0;
}

/* Makes room for more text. The room grows with the text, because a size that the client claims
 * cannot be trusted. Returns 0 or -ENOMEM. */
static int make_room(z_stream *stream, size_t n_max, struct buffer *plain)
{
	assert(plain->n <= n_max);
	size_t n_left = n_max + 1 - plain->n;
	size_t n = plain->n > ROOM_MIN ? plain->n : ROOM_MIN;
	int r;

	n = n < n_left ? n : n_left;
	r = buffer_reserve(plain, n);
	if (r < 0) {
		return r;
	}
	stream->next_out = (Bytef *)buffer_end(plain);
	stream->avail_out = (uInt)n;
	return 0;
}

/* Whether inflate(), which returned @z, can go on. It may reach the end of a block without more
 * input, in bits that it has read already. */
static bool goes_on(const z_stream *stream, int z)
{
	if (z != Z_OK && z != Z_BUF_ERROR) {
		return false;
	}
	return stream->avail_in || stream->avail_out == 0 || (stream->data_type & BLOCK_ENDED);
}

/* Expands up to the end of the next block, or as far as there is room. Returns the result of
 * inflate(). */
static int expand(z_stream *stream, struct buffer *plain, size_t *n_blocks)
{
	size_t n_room = stream->avail_out;
	int z = inflate(stream, Z_BLOCK);

	plain->n += n_room - stream->avail_out;
	*n_blocks += stream->data_type & BLOCK_ENDED ? 1 : 0;
	return z;
}

/* How the coded text may end. */
enum end {
	END_ONCE,    /* with the final block, and nothing behind it */
	END_MEMBERS, /* likewise, or with another such text (gzip) */
	END_FLUSHED, /* behind any block (messages) */
};

static int decode(struct coder *coder, enum end end, size_t n_max, struct buffer *ret_plain)
{
	z_stream *stream = &coder->inflate;
	bool is_behind_block = false;
	size_t n_blocks = 0;
	int r = 0;

	stream->avail_out = 0;
	while (r == 0) {
		if (stream->avail_out == 0) {
			r = make_room(stream, n_max, ret_plain);
			if (r < 0) {
				break;
			}
		}
		int z = expand(stream, ret_plain, &n_blocks);

		if (z == Z_MEM_ERROR) {
			return -ENOMEM;
		}
		if (ret_plain->n > n_max ||
		    n_blocks > CODING_BLOCKS_FREE + ret_plain->n / CODING_BLOCK_TEXT) {
			return CODING_E_TOO_LARGE;
		}
		if (z == Z_STREAM_END && stream->avail_in == 0) {
			return CODING_OK;
		}
		if (z == Z_STREAM_END && end != END_ONCE) {
			/* The next member follows, or garbage. */
			inflateReset(stream);
		} else if (!goes_on(stream, z)) {
			/* There was nothing left to do, and the last block was complete. */
			return end == END_FLUSHED && is_behind_block && z == Z_BUF_ERROR
				     ? CODING_OK
				     : CODING_E_CORRUPT;
		}
		is_behind_block = stream->data_type & BLOCK_ENDED;
	}
	return r;
}

int coder_decode(struct coder *coder, enum coding coding, struct sv coded, size_t n_max,
		 struct buffer *ret_plain)
{
	int window_bits = coding == CODING_GZIP  ? WINDOW_BITS + GZIP_BITS
			: has_zlib_header(coded) ? WINDOW_BITS
						 : BARE_WINDOW_BITS;
	int r = begin_inflate(coder, window_bits, coded);

	return r < 0 ? r
		     : decode(coder, coding == CODING_GZIP ? END_MEMBERS : END_ONCE, n_max,
			      ret_plain);
}

int coder_decode_message(struct coder *coder, struct buffer *coded, size_t n_max,
			 struct buffer *ret_plain)
{
	static const char flush[FLUSH_SIZE] = {0x00, 0x00, (char)0xff, (char)0xff};
	int r = buffer_append(coded, flush, sizeof(flush));

	if (r == 0) {
		r = begin_inflate(coder, BARE_WINDOW_BITS, buffer_sv(coded));
	}
	return r < 0 ? r : decode(coder, END_FLUSHED, n_max, ret_plain);
}
