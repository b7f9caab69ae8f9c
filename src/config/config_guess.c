/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_guess: the nearest word for "did you mean", and input made safe to show in a message.
 */
#include "config_priv.h"

#define WORD_MAX 64

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein, optimal string alignment: three rows of the matrix at a time. */
uint32_t config_distance(struct span a, struct span b, uint32_t most)
{
	uint32_t rows[3][WORD_MAX + 1];

	if (a.len > WORD_MAX || b.len > WORD_MAX || a.len > b.len + most || b.len > a.len + most)
		return most + 1;
	for (uint32_t j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (uint32_t i = 1; i <= a.len; i++) {
		uint32_t *row = rows[i % 3];
		const uint32_t *above = rows[(i - 1) % 3];
		uint32_t lowest = i;

		row[0] = i;
		for (uint32_t j = 1; j <= b.len; j++) {
			uint32_t cost = a.at[i - 1] == b.at[j - 1] ? 0 : 1;

			row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
			if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] &&
			    a.at[i - 2] == b.at[j - 1])
				row[j] = least(row[j], rows[(i - 2) % 3][j - 2] + 1);
			lowest = least(lowest, row[j]);
		}
		/* What is that far off in all of a row comes no nearer: two rows, for swaps. */
		if (lowest > most + 1)
			return most + 1;
	}
	return least(rows[a.len % 3][b.len], most + 1);
}

void config_guess_begin(struct config_guess *guess, struct span wanted)
{
	/* A third of the letters may be wrong, and in short words one. */
	*guess = (struct config_guess){ .wanted = wanted,
					.distance = (uint32_t)(wanted.len / 3) + 2 };
	if (wanted.len > WORD_MAX)
		guess->distance = 0;
}

void config_guess_offer(struct config_guess *guess, const char *candidate)
{
	if (guess->distance == 0)
		return;
	uint32_t distance =
		config_distance(guess->wanted, span_str(candidate), guess->distance - 1);

	if (distance < guess->distance) {
		guess->distance = distance;
		guess->best = candidate;
	}
}

const char *config_nearer(const char *word, const char *best, const char *candidate)
{
	struct config_guess guess;

	config_guess_begin(&guess, span_str(word));
	if (best != NULL)
		config_guess_offer(&guess, best);
	config_guess_offer(&guess, candidate);
	return guess.best;
}

const char *config_show(struct span text, char *ret_text, size_t size)
{
	size_t len = 0;

	CHECK(size > 8);
	for (; len < text.len && len < size - 4; len++) {
		uint8_t byte = text.at[len];

		ret_text[len] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
	}
	if (len < text.len) {
		memcpy(ret_text + len, "...", 3);
		len += 3;
	}
	ret_text[len] = '\0';
	return ret_text;
}
