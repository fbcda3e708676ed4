/*
 * A USB number pad, by way of uinput. It is plugged in while this program runs, and pulled out when it ends.
 *
 * Reads characters from standard input; each that is printed on a cap of the pad is a press and a release.
 */
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* '\n' stands for the cap Enter. */
static const struct { char cap; int code; } CAPS[] = {
	{ '0', KEY_KP0 }, { '1', KEY_KP1 }, { '2', KEY_KP2 }, { '3', KEY_KP3 }, { '4', KEY_KP4 }, { '5', KEY_KP5 },
	{ '6', KEY_KP6 }, { '7', KEY_KP7 }, { '8', KEY_KP8 }, { '9', KEY_KP9 }, { '.', KEY_KPDOT },
	{ '\n', KEY_KPENTER }, { '-', KEY_KPMINUS }, { '+', KEY_KPPLUS }, { '*', KEY_KPASTERISK }, { '/', KEY_KPSLASH },
};
#define CAP_COUNT (sizeof(CAPS) / sizeof(CAPS[0]))

static void tell(int pad, int type, int code, int value)
{
	struct input_event event = { .type = type, .code = code, .value = value };

	if (write(pad, &event, sizeof(event)) != sizeof(event))
		perror("uinput");
}

int main(void)
{
	struct uinput_setup setup = { .id = { .bustype = BUS_USB }, .name = "virtual number pad" };
	int pad = open("/dev/uinput", O_WRONLY);
	char character;
	size_t cap;

	if (pad < 0) {
		perror("/dev/uinput");
		return 1;
	}
	ioctl(pad, UI_SET_EVBIT, EV_KEY);
	for (cap = 0; cap < CAP_COUNT; cap++)
		ioctl(pad, UI_SET_KEYBIT, CAPS[cap].code);
	if (ioctl(pad, UI_DEV_SETUP, &setup) || ioctl(pad, UI_DEV_CREATE)) {
		perror("uinput");
		return 1;
	}
	while (read(0, &character, 1) == 1) {
		for (cap = 0; cap < CAP_COUNT; cap++) {
			if (CAPS[cap].cap != character)
				continue;
			tell(pad, EV_KEY, CAPS[cap].code, 1);
			tell(pad, EV_SYN, SYN_REPORT, 0);
			tell(pad, EV_KEY, CAPS[cap].code, 0);
			tell(pad, EV_SYN, SYN_REPORT, 0);
		}
	}
	return 0;
}
