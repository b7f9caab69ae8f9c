/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring: making a ring, or saying exactly why this host does not let us.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "uring_priv.h"

/* Ring memory of an exited process returns to the memlock budget late, so a fast restart may meet
 * -ENOMEM for a moment. */
#define ENOMEM_RETRIES	20
#define ENOMEM_PAUSE_NS 100000000

/* SINGLE_ISSUER + DEFER_TASKRUN: completions run only when this thread asks (measured: 6.8
 * against 8.6 us per message at 256 connections). SUBMIT_ALL: one bad entry does not strand the
 * batch. CQSIZE: room so that a multishot poll is not ended by a full queue. */
#define SETUP_FLAGS                                                                          \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | \
	 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED)
#define CQ_PER_SQ	8

#define FEATURES_NEEDED (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP)

static int queue_init(struct uring *ring, uint32_t entries)
{
	int ret = -EINVAL;

	for (int try = 0; try < ENOMEM_RETRIES; try++) {
		/* NO_SQARRAY saves an indirection where the kernel is 6.6 or newer, but liburing
		 * 2.3 would still write the array: so it is not asked for. */
		struct io_uring_params params = {
			.flags = SETUP_FLAGS,
			.cq_entries = entries * CQ_PER_SQ,
		};

		ret = io_uring_queue_init_params(entries, &ring->ring, &params);
		if (ret == 0) {
			ring->features.setup_flags = params.flags;
			ring->features.features = params.features;
		}
		if (ret != -ENOMEM)
			break;
		const struct timespec pause = { .tv_nsec = ENOMEM_PAUSE_NS };

		nanosleep(&pause, NULL);
	}
	return ret;
}

static void probe_ops(struct uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->ring);

	if (probe == NULL)
		return;
	ring->features.last_op = probe->last_op;
	ring->features.has_msg_ring = io_uring_opcode_supported(probe, IORING_OP_MSG_RING) != 0;
	io_uring_free_probe(probe);
}

/* A seccomp filter cannot see ring operations (io_uring_register(2), IORING_REGISTER_RESTRICTIONS):
 * this list can. Registered before the ring is enabled, since afterwards it only gets stricter.
 * liburing 2.3's library does not export the two helpers, io_uring_register is. */
static int restrict_and_enable(struct uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_NOP, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				       IORING_OP_MSG_RING };
	struct io_uring_restriction rules[COUNT_OF(ops) + 1];

	memset(rules, 0, sizeof(rules));
	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = ops[i];
	}
	rules[COUNT_OF(ops)].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	rules[COUNT_OF(ops)].sqe_flags = IOSQE_CQE_SKIP_SUCCESS;

	int ret = io_uring_register((unsigned)ring->ring.ring_fd, IORING_REGISTER_RESTRICTIONS,
				    rules, COUNT_OF(rules));

	ring->features.is_restricted = ret == 0;
	ret = io_uring_register((unsigned)ring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
				0);
	return ret < 0 ? ret : 0;
}

int uring_open(struct uring **ret_ring, uint32_t entries)
{
	struct uring *ring = aligned_alloc(CACHE_LINE, (sizeof(*ring) + CACHE_LINE - 1) &
							       ~(size_t)(CACHE_LINE - 1));

	if (ring == NULL)
		return -ENOMEM;
	*ring = (struct uring){ .wake_fd = -1 };
	CHECK(((uintptr_t)ring & ~UD_ADDRESS) == 0);

	int ret = queue_init(ring, entries);

	if (ret < 0) {
		free(ring);
		return ret;
	}
	probe_ops(ring);
	ret = restrict_and_enable(ring);
	if (ret == 0 && (ring->features.features & FEATURES_NEEDED) != FEATURES_NEEDED)
		ret = -ENOSYS;
	if (ret == 0) {
		ring->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ret = ring->wake_fd < 0 ? -errno : 0;
	}
	if (ret < 0) {
		uring_close(ring);
		return ret;
	}
	uring_poll_many(ring, &ring->wake_op, ring->wake_fd, 1 /* POLLIN */, uring_woken);
	*ret_ring = ring;
	return 0;
}

void uring_close(struct uring *ring)
{
	io_uring_queue_exit(&ring->ring);
	if (ring->wake_fd >= 0)
		close(ring->wake_fd);
	free(ring);
}

const struct uring_features *uring_features(const struct uring *ring)
{
	return &ring->features;
}

struct uring_counts uring_counts(const struct uring *ring)
{
	return ring->counts;
}

static int read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	int value = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%d", &value) != 1)
		value = -1;
	(void)fclose(file);
	return value;
}

static void explain(int err, char *why, size_t size)
{
	int disabled = read_number("/proc/sys/kernel/io_uring_disabled");
	struct rlimit limit = { 0, 0 };

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	switch (-err) {
	case ENOSYS:
		(void)snprintf(why, size,
			       "this kernel has no io_uring, is older than 6.1, or a container's "
			       "seccomp profile hides it; allow io_uring_setup, io_uring_enter and "
			       "io_uring_register in the profile");
		break;
	case EPERM:
	case EACCES:
		if (disabled < 0) /* systemd's ProcSubset=pid hides it */
			(void)snprintf(why, size,
				       "sysctl kernel.io_uring_disabled is not 0, or a seccomp "
				       "profile or security module forbids io_uring; set the "
				       "sysctl to 0, or allow io_uring_setup, io_uring_enter and "
				       "io_uring_register in the profile");
		else if (disabled > 0)
			(void)snprintf(why, size,
				       "kernel.io_uring_disabled is %d; set it to 0, or to 1 with "
				       "kernel.io_uring_group = the group penstock runs as",
				       disabled);
		else
			(void)snprintf(
				why, size,
				"a seccomp profile or security module forbids io_uring; "
				"allow io_uring_setup, io_uring_enter and io_uring_register");
		break;
	case ENOMEM:
		(void)snprintf(why, size,
			       "RLIMIT_MEMLOCK (%llu KiB) is too small for the rings; set "
			       "LimitMEMLOCK=infinity or ulimit -l unlimited",
			       (unsigned long long)limit.rlim_cur / 1024);
		break;
	case EINVAL:
		(void)snprintf(why, size,
			       "the kernel is older than 6.1 (no SINGLE_ISSUER or DEFER_TASKRUN); "
			       "penstock needs 6.1 or newer");
		break;
	default:
		(void)snprintf(why, size, "io_uring_setup failed: errno %d", -err);
		break;
	}
}

int uring_probe(struct uring_features *ret_features, char *ret_why, size_t why_size)
{
	struct uring *ring = NULL;
	int ret = uring_open(&ring, 8);

	if (ret < 0) {
		explain(ret, ret_why, why_size);
		return ret;
	}
	*ret_features = ring->features;
	uring_close(ring);
	return 0;
}
