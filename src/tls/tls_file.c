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

/* Never waits: a FIFO is no file. NULL, and *ret_why says why not. */
static FILE *open_file(const char *name, bool is_key, const char **ret_why)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	FILE *stream = NULL;

	if (fd < 0 || fstat(fd, &status) < 0)
		*ret_why = err_text(-errno);
	else if (!S_ISREG(status.st_mode))
		*ret_why = "is no file";
	else if (is_key && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
		*ret_why = "everybody may read this key: chmod 640 (a Secret of Kubernetes: "
			   "defaultMode: 0440)";
	else if ((stream = fdopen(fd, "r")) == NULL)
		*ret_why = err_text(-errno);
	if (stream == NULL && fd >= 0)
		(void)close(fd);
	return stream;
}

static bool read_file(struct tls_file *file, const char *name, bool is_key,
		      const struct tls_report *report)
{
	const char *why = NULL;

	*file = (struct tls_file){ .name = name };

	FILE *stream = open_file(name, is_key, &why);

	if (stream != NULL) {
		setbuf(stream, NULL); /* no second copy of a key */

		int err = read_stream(file, stream);

		if (err < 0)
			why = err_text(err);
		(void)fclose(stream);
	}
	if (why == NULL)
		return true;
	tls_mistake(report, "%s: %s", name, why);
	tls_file_forget(file);
	return false;
}

bool tls_file_read(struct tls_file *file, const char *name, const struct tls_report *report)
{
	return read_file(file, name, false, report);
}

bool tls_file_read_key(struct tls_file *file, const char *name, const struct tls_report *report)
{
	return read_file(file, name, true, report);
}

void tls_file_forget(struct tls_file *file)
{
	if (file->bytes != NULL)
		explicit_bzero(file->bytes, file->size);
	free(file->bytes);
	file->bytes = NULL;
	file->size = 0;
}
