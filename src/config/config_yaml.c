/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config_yaml: the text of penstock.yaml into a document of nodes with positions. Refused on the
 * way because they surprise: tabs, several documents, anchors, aliases and tags.
 *
 *     text --scan--> tabs? --events--> anchors, documents? --document--> config_walk
 */
#include "config_yaml.h"

#define COMPLAIN(errors, mark, ...) \
	config_error(errors, (mark).file, (mark).line, (mark).column, __VA_ARGS__)

struct config_mark config_yaml_mark(const char *file, const yaml_mark_t *mark)
{
	return (struct config_mark){ .file = file,
				     .line = (uint32_t)mark->line + 1,
				     .column = (uint32_t)mark->column + 1 };
}

/* False if there was a tab outside of comments: YAML forbids them where they matter, and libyaml's
 * own words for it help nobody. */
static bool tabs_check(struct config_errors *errors, const char *file, struct span text)
{
	struct config_mark mark = { .file = file, .line = 1, .column = 1 };
	bool is_comment = false;
	bool is_fine = true;

	for (size_t i = 0; i < text.len; i++, mark.column++) {
		uint8_t byte = text.at[i];

		if (byte == '\n') {
			mark.line++;
			mark.column = 0;
			is_comment = false;
		} else if (byte == '#' && (mark.column == 1 || text.at[i - 1] == ' ')) {
			is_comment = true;
		} else if (byte == '\t' && !is_comment) {
			COMPLAIN(errors, mark, "a tab; write spaces");
			is_fine = false;
			is_comment = true; /* one report a line */
		}
	}
	return is_fine;
}

/* Where a byte of the text is; libyaml's reader knows offsets only. */
static struct config_mark mark_at(const char *file, struct span text, size_t offset)
{
	struct config_mark mark = { .file = file, .line = 1, .column = 1 };

	for (size_t i = 0; i < offset && i < text.len; i++) {
		/* A character is counted where it begins. */
		if (text.at[i] == '\n') {
			mark.line++;
			mark.column = 1;
		} else if ((text.at[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static void syntax_error(struct config_errors *errors, const char *file, struct span text,
			 const yaml_parser_t *parser)
{
	struct config_mark mark = config_yaml_mark(file, &parser->problem_mark);
	const char *problem = parser->problem != NULL ? parser->problem : "cannot be understood";

	if (parser->error == YAML_READER_ERROR) {
		mark = mark_at(file, text, parser->problem_offset);
		COMPLAIN(errors, mark, "%s; write plain UTF-8", problem);
	} else if (parser->context != NULL) {
		COMPLAIN(errors, mark,
			 "not YAML: %s, %s that began at line %zu, column %zu; check the "
			 "indentation, quotes and brackets",
			 problem, parser->context, parser->context_mark.line + 1,
			 parser->context_mark.column + 1);
	} else {
		COMPLAIN(errors, mark, "not YAML: %s; check the indentation, quotes and brackets",
			 problem);
	}
}

static bool event_check(struct config_errors *errors, const char *file, const yaml_event_t *event,
			bool takes_tags, uint32_t *documents)
{
	struct config_mark mark = config_yaml_mark(file, &event->start_mark);
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_DOCUMENT_START_EVENT && ++*documents > 1) {
		COMPLAIN(errors, mark, "a second document begins; keep one per file");
		return false;
	}
	if (event->type == YAML_ALIAS_EVENT) {
		COMPLAIN(errors, mark, "aliases (*%s) are not taken; write the value out",
			 (const char *)event->data.alias.anchor);
		return false;
	}
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor != NULL)
		COMPLAIN(errors, mark, "anchors (&%s) are not taken; remove it",
			 (const char *)anchor);
	if (tag != NULL && !takes_tags)
		COMPLAIN(errors, mark, "tags (%s) are not taken; remove it", (const char *)tag);
	return anchor == NULL && (tag == NULL || takes_tags);
}

/* The document API resolves aliases silently, so the events are looked at first. */
static bool events_check(struct config_errors *errors, const char *file, struct span text,
			 bool takes_tags)
{
	yaml_parser_t parser;
	uint32_t documents = 0;
	bool is_fine = true;

	CHECK(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, text.at, text.len);
	for (bool is_done = false; !is_done;) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			syntax_error(errors, file, text, &parser);
			is_fine = false;
			break;
		}
		is_done = event.type == YAML_STREAM_END_EVENT ||
			  (event.type == YAML_DOCUMENT_START_EVENT && documents > 0);
		is_fine &= event_check(errors, file, &event, takes_tags, &documents);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return is_fine;
}

bool config_yaml_load(struct config_errors *errors, const char *file, struct span text,
		      bool takes_tags, yaml_document_t *ret_document)
{
	yaml_parser_t parser;

	if (!events_check(errors, file, text, takes_tags))
		return false;
	CHECK(yaml_parser_initialize(&parser));
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, text.at, text.len);
	bool is_loaded = yaml_parser_load(&parser, ret_document) != 0;

	if (!is_loaded)
		syntax_error(errors, file, text, &parser);
	yaml_parser_delete(&parser);
	return is_loaded;
}

bool config_yaml_read(struct config_read *read, const char *file, const char *text, size_t len)
{
	struct span span = span_of(text, len);
	yaml_document_t document;

	if (span_starts(span, "\xef\xbb\xbf"))
		span = span_of(span.at + 3, span.len - 3);
	if (!tabs_check(read->errors, file, span) ||
	    !config_yaml_load(read->errors, file, span, false, &document))
		return false;
	bool is_read = config_walk(read, file, &document);

	yaml_document_delete(&document);
	return is_read;
}
