/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_tokens: files with a token, a password or users, read with the configuration, and once
 * more when one of them is another than it was: whoever issues tokens for an hour (a projected
 * token of Kubernetes, say) renews the file in place.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <penstock/base/err.h>

#include "config_priv.h"

/* What is wrong with the file, or NULL. Never waits: a pipe is no file to read a token from. */
static const char *read_file(const char *path, uint8_t *ret_bytes, size_t *ret_len, bool *ret_open)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return err_text(-errno);
	if (!S_ISREG(status.st_mode))
		return "is no file";
	*ret_open = (status.st_mode & (S_IROTH | S_IWOTH)) != 0;

	FILE *file = fopen(path, "re");

	if (file == NULL)
		return err_text(-errno);
	setbuf(file, NULL); /* no second copy of a secret */
	*ret_len = fread(ret_bytes, 1, CONFIG_TOKEN_MAX + 1, file);
	bool is_bad = ferror(file) != 0;

	(void)fclose(file);
	return is_bad ? err_text(-EIO) : NULL;
}

/* The token in what a file held: a line end behind it is not part of it. */
static const char *trim(const uint8_t *bytes, size_t *len)
{
	if (*len > CONFIG_TOKEN_MAX)
		return "is longer than a token";
	while (*len > 0 && (bytes[*len - 1] == '\n' || bytes[*len - 1] == '\r'))
		--*len;
	if (*len == 0)
		return "is empty";
	for (size_t i = 0; i < *len; i++)
		if (bytes[i] <= ' ' || bytes[i] > '~')
			return "holds more than a token: spaces, lines or other bytes";
	return NULL;
}

const char *config_token_read(const char *path, uint8_t *ret_bytes, size_t *ret_len, bool *ret_open)
{
	const char *why = read_file(path, ret_bytes, ret_len, ret_open);

	return why != NULL ? why : trim(ret_bytes, ret_len);
}

const char *config_password_read(const char *path, uint8_t *ret_bytes, size_t *ret_len)
{
	bool is_open = false;
	const char *why = read_file(path, ret_bytes, ret_len, &is_open);

	if (why == NULL && is_open)
		why = "everybody may read this password: chmod 640 (a Secret of Kubernetes: "
		      "defaultMode: 0440)";
	if (why != NULL)
		return why;
	while (*ret_len > 0 && (ret_bytes[*ret_len - 1] == '\n' || ret_bytes[*ret_len - 1] == '\r'))
		--*ret_len;
	if (memchr(ret_bytes, '\n', *ret_len) != NULL)
		return "is more than one line";
	return *ret_len > 0 ? NULL : "is empty";
}

/* ---- all of a configuration ----------------------------------------------------------------- */

static bool take_token(struct config_tokens *tokens, const struct config *config, uint32_t cluster,
		       struct config_errors *errors)
{
	const char *path = config->clusters[cluster].role.token_file;
	uint8_t bytes[CONFIG_TOKEN_MAX + 1];
	size_t len = 0;
	bool is_open = false;
	const char *why = config_token_read(path, bytes, &len, &is_open);
	uint8_t *copy = NULL;

	if (why == NULL && is_open)
		why = "everybody may read this token";
	if (why == NULL && (copy = malloc(len)) == NULL)
		why = "out of memory";
	if (why == NULL) {
		memcpy(copy, bytes, len);
		tokens->at[cluster].token = span_of(copy, len);
	} else {
		config_error(errors, NULL, 0, 0, "cluster %s: %s: %s",
			     config->clusters[cluster].name, path, why);
	}
	explicit_bzero(bytes, sizeof(bytes));
	return why == NULL;
}

static bool take_users(struct config_tokens *tokens, const struct config *config, uint32_t cluster,
		       struct config_errors *errors)
{
	uint32_t line;
	const char *why = config_sasl_users_read(&config->clusters[cluster].broker_sasl,
						 &tokens->at[cluster].users, &line);

	if (why != NULL)
		config_error(errors, config->clusters[cluster].broker_sasl.users_file, line, 0,
			     "cluster %s: %s", config->clusters[cluster].name, why);
	return why == NULL;
}

static bool take_asker(struct config_tokens *tokens, const struct config *config, uint32_t cluster,
		       struct config_errors *errors)
{
	const struct config_ask_sasl *sasl = &config->clusters[cluster].ask_sasl;
	const char *why = config_sasl_asker_read(sasl, &tokens->at[cluster].asker);

	if (why != NULL)
		config_error(errors, sasl->password_file, 0, 0, "cluster %s: %s",
			     config->clusters[cluster].name, why);
	return why == NULL;
}

struct config_tokens *config_tokens_read(const struct config *config, struct config_errors *errors)
{
	struct config_tokens *tokens =
		calloc(1, sizeof(*tokens) + config->cluster_count * sizeof(tokens->at[0]));
	bool ok = true;

	if (tokens == NULL) {
		config_error(errors, NULL, 0, 0, "out of memory");
		return NULL;
	}
	tokens->count = config->cluster_count;
	for (uint32_t i = 0; i < tokens->count; i++) {
		if (config->clusters[i].role.token_file != NULL)
			ok &= take_token(tokens, config, i, errors);
		if (config->clusters[i].broker_sasl.users_file != NULL)
			ok &= take_users(tokens, config, i, errors);
		if (config->clusters[i].ask_sasl.password_file != NULL)
			ok &= take_asker(tokens, config, i, errors);
	}
	if (ok)
		return tokens;
	config_tokens_free(tokens);
	return NULL;
}

void config_tokens_free(struct config_tokens *tokens)
{
	for (uint32_t i = 0; tokens != NULL && i < tokens->count; i++) {
		uint8_t *bytes = (uint8_t *)(uintptr_t)tokens->at[i].token.at;

		if (bytes != NULL)
			explicit_bzero(bytes, tokens->at[i].token.len);
		free(bytes);
		config_clients_free(tokens->at[i].users);
		config_clients_free(tokens->at[i].asker);
	}
	free(tokens);
}
