/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_clients: reading a file of lines of three words. The file's own bytes become the words:
 * the whole is one block, so that a secret is in no second place.
 *
 *     struct config_clients | struct config_client [lines] | the file, cut into words
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <penstock/base/err.h>
#include <penstock/config/clients.h>

static const char no_rule[] =
	"who it is for is none of cn:, ou:, dns:, uri:, email: or ip: with something behind it, "
	"nor *";

/* What is wrong with it, or NULL. Never waits: a pipe is no file. */
static const char *open_file(const char *path, bool is_secret, FILE **ret_file, size_t *ret_size)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return err_text(-errno);
	if (!S_ISREG(status.st_mode))
		return "is no file";
	if (is_secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return "everybody may read these passwords: chmod 640 (a Secret of Kubernetes: "
		       "defaultMode: 0440)";
	if (status.st_size > (off_t)CONFIG_CLIENTS_BYTES)
		return "is longer than 1 MiB";
	*ret_file = fopen(path, "re");
	if (*ret_file == NULL)
		return err_text(-errno);
	*ret_size = (size_t)status.st_size;
	return NULL;
}

static uint32_t count_lines(const char *text, size_t len)
{
	uint32_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

/* ---- words ---------------------------------------------------------------------------------- */

static bool is_blank(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\r';
}

/* In quotes: up to the next one, \ before a " or \ that is meant. False: there is no next one. */
static bool take_quoted(char **at, char **ret_word)
{
	char *to = *ret_word = ++*at;

	for (; **at != '"'; ++*at) {
		if (**at == '\0')
			return false;
		if (**at == '\\' && ((*at)[1] == '"' || (*at)[1] == '\\'))
			++*at;
		*to++ = **at;
	}
	++*at; /* the quote */
	if (**at != '\0' && !is_blank(**at))
		return false;
	*to = '\0';
	return true;
}

/* The next word of the line, which ends with a NUL; *ret_word NULL: there is none. False: a quote
 * without its other one. */
static bool take_word(char **at, char **ret_word)
{
	*ret_word = NULL;
	while (is_blank(**at))
		++*at;
	if (**at == '\0')
		return true;
	if (**at == '"')
		return take_quoted(at, ret_word);
	*ret_word = *at;
	while (**at != '\0' && !is_blank(**at))
		++*at;
	if (**at != '\0')
		*(*at)++ = '\0';
	return true;
}

/* As of tls/peer.h, which this cannot ask. */
static bool is_who(const char *who)
{
	static const char *const kinds[] = { "cn:", "ou:", "dns:", "uri:", "email:", "ip:" };

	if (strcmp(who, "*") == 0)
		return true;
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (strncmp(who, kinds[i], strlen(kinds[i])) == 0)
			return who[strlen(kinds[i])] != '\0';
	return false;
}

/* *ret->who NULL: the line says nothing. */
static const char *read_line(char *line, struct config_client *ret)
{
	char *words[3], *more = NULL;

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (!take_word(&line, &words[i]))
			return "a word in quotes that has no end";
	ret->who = NULL;
	if (words[0] == NULL || words[0][0] == '#')
		return NULL;
	if (words[2] == NULL || words[1][0] == '\0' || words[2][0] == '\0')
		return "it must have three words: who it is for, and two more";
	if (!take_word(&line, &more) || more != NULL)
		return "it has more than three words; put one that has blanks in it in quotes";
	if (!is_who(words[0]))
		return no_rule;
	*ret = (struct config_client){ words[0], words[1], words[2], 0 };
	return NULL;
}

/* ---- lines ---------------------------------------------------------------------------------- */

static const char *read_lines(struct config_clients *clients, char *text, size_t len,
			      uint32_t *ret_line)
{
	if (memchr(text, '\0', len) != NULL)
		return "holds a byte 0";
	for (char *end = NULL; text != NULL; text = end) {
		struct config_client *client = &clients->at[clients->count];

		++*ret_line;
		end = strchr(text, '\n');
		if (end != NULL)
			*end++ = '\0';
		const char *why = read_line(text, client);

		if (why != NULL)
			return why;
		if (client->who == NULL)
			continue;
		client->line = *ret_line;
		if (++clients->count > CONFIG_CLIENTS_MAX)
			return "there are more than 4096 before it";
	}
	*ret_line = 0;
	return clients->count > 0 ? NULL : "is for nobody: there is no line in it";
}

/* The file's bytes into a block with room in front of them for what becomes of its lines. */
static const char *read_bytes(FILE *file, size_t size, struct config_clients **ret_clients,
			      char **ret_text, size_t *ret_len)
{
	char *text = malloc(size + 1);
	size_t len, room;

	if (text == NULL)
		return "out of memory";
	setbuf(file, NULL); /* no second copy of a secret */
	len = fread(text, 1, size, file);
	text[len] = '\0';
	room = sizeof(**ret_clients) + count_lines(text, len) * sizeof((*ret_clients)->at[0]);
	*ret_clients = calloc(1, room + len + 1);
	if (*ret_clients != NULL) {
		(*ret_clients)->size = room + len + 1;
		*ret_text = (char *)*ret_clients + room;
		*ret_len = len;
		memcpy(*ret_text, text, len + 1);
	}
	explicit_bzero(text, len);
	free(text);
	return *ret_clients != NULL ? NULL : "out of memory";
}

const char *config_clients_read(const char *path, bool is_secret,
				struct config_clients **ret_clients, uint32_t *ret_line)
{
	FILE *file = NULL;
	size_t size = 0, len = 0;
	struct config_clients *clients = NULL;
	char *text = NULL;
	const char *why = open_file(path, is_secret, &file, &size);

	*ret_line = 0;
	if (why == NULL)
		why = read_bytes(file, size, &clients, &text, &len);
	if (file != NULL)
		(void)fclose(file);
	if (why == NULL)
		why = read_lines(clients, text, len, ret_line);
	if (why == NULL)
		*ret_clients = clients;
	else
		config_clients_free(clients);
	return why;
}

struct config_clients *config_clients_of(const char *first, struct span second)
{
	struct span user = span_str(first);
	size_t room = sizeof(struct config_clients) + sizeof(struct config_client);
	size_t size = room + user.len + 1 + second.len + 1;
	struct config_clients *clients = calloc(1, size);

	if (clients == NULL)
		return NULL;
	char *text = (char *)clients + room;

	memcpy(text, user.at, user.len);
	memcpy(text + user.len + 1, second.at, second.len);
	clients->size = size;
	clients->count = 1;
	clients->at[0] = (struct config_client){ "*", text, text + user.len + 1, 0 };
	return clients;
}

void config_clients_free(struct config_clients *clients)
{
	if (clients != NULL)
		explicit_bzero(clients, clients->size);
	free(clients);
}

/* ---- asking --------------------------------------------------------------------------------- */

bool config_client_is_any(const struct config_client *client)
{
	return strcmp(client->who, "*") == 0;
}

const struct config_client *config_clients_any(const struct config_clients *clients)
{
	for (uint32_t i = 0; i < clients->count; i++)
		if (config_client_is_any(&clients->at[i]))
			return &clients->at[i];
	return NULL;
}

const struct config_client *config_clients_named(const struct config_clients *clients,
						 struct span first)
{
	for (uint32_t i = 0; i < clients->count; i++)
		if (span_is(first, clients->at[i].first))
			return &clients->at[i];
	return NULL;
}
