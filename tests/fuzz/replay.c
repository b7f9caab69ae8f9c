/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Feeds every file named on the command line to a fuzz target, without libFuzzer: how gcc replays
 * the corpus in `make check`.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz.h"

static bool replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	if (file == NULL || fstat(fileno(file), &st) != 0)
		return false;
	size_t size = (size_t)st.st_size;
	uint8_t *bytes = malloc(size > 0 ? size : 1);
	bool is_read = bytes != NULL && fread(bytes, 1, size, file) == size;
	(void)fclose(file);
	if (is_read)
		(void)LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return is_read;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!replay(argv[i])) {
			(void)fprintf(stderr, "replay: cannot read %s\n", argv[i]);
			return 1;
		}
	}
	return argc > 1 ? 0 : 1;
}
