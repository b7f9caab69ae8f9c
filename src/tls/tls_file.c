/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_file: certificates, keys and lists as they stand in files, read whole and at once, so that
 * all who look at one see the same bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <penstock/base/err.h>

#include "tls_priv.h"

/* A bundle of all public roots has 230 KB; revocation lists can be larger. */
#define FILE_MAX (16 * 1024 * 1024)

void tls_report_say(const struct tls_report *report, bool is_error, const char *format, ...)
{
	char sentence[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	report->say(report->with, is_error, sentence);
}

static int read_stream(struct tls_file *file, FILE *stream)
{
	size_t room = 0;

	for (;;) {
		if (file->size == room) {
			room = room == 0 ? 16384 : room * 2;
			if (room > FILE_MAX)
				return -EFBIG;

			uint8_t *bytes = realloc(file->bytes, room);

			if (bytes == NULL)
				return -ENOMEM;
			file->bytes = bytes;
		}

		size_t n = fread(file->bytes + file->size, 1, room - file->size, stream);

		file->size += n;
		if (n == 0)
			return ferror(stream) ? -EIO : 0;
	}
}

/* Never waits: a FIFO is no file. */
static int open_file(const char *name, FILE **ret_stream)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	int err = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		err = -errno;
	else if (S_ISDIR(status.st_mode))
		err = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		err = -EINVAL;
	else if ((*ret_stream = fdopen(fd, "r")) == NULL)
		err = -errno;
	if (err < 0 && fd >= 0)
		(void)close(fd);
	return err;
}

bool tls_file_read(struct tls_file *file, const char *name, const struct tls_report *report)
{
	*file = (struct tls_file){ .name = name };

	FILE *stream = NULL;
	int err = open_file(name, &stream);

	if (stream != NULL) {
		setbuf(stream, NULL); /* no second copy of a key */
		err = read_stream(file, stream);
		(void)fclose(stream);
	}
	if (err == 0)
		return true;
	tls_mistake(report, "%s: %s", name, err_text(err));
	tls_file_forget(file);
	return false;
}

void tls_file_forget(struct tls_file *file)
{
	if (file->bytes != NULL)
		explicit_bzero(file->bytes, file->size);
	free(file->bytes);
	file->bytes = NULL;
	file->size = 0;
}

void tls_file_check_mode(const char *name, const struct tls_report *report)
{
	struct stat status;

	if (stat(name, &status) == 0 && (status.st_mode & S_IROTH) != 0)
		tls_doubt(report, "%s: everybody may read this key: chmod 640", name);
}
