// SPDX-License-Identifier: GPL-2.0
/*
 * The header of a Raspberry Pi, simulated: 54 GPIO lines under the Pi's own label, and hands that close contacts between
 * them, as the keys of a matrix do. Lines that are connected have one level: low if anything drives them low, else high
 * if anything drives them high, else what their resistors say.
 *
 * Written to /dev/hands:
 *   close A B, open A B   a contact between two lines
 *   low A, high A, free A something outside drives a line, or lets it go
 *   watch A               every change of this line's level is told in the kernel's log from now on
 */
#include <linux/gpio/driver.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/uaccess.h>

#define LINES 54

static struct header {
	struct gpio_chip chip;
	raw_spinlock_t lock;
	u64 outputs;		/* lines that the chip drives */
	u64 values;		/* how it drives them */
	u64 up;			/* lines that a resistor of the chip pulls up; the others are pulled down */
	u64 hands, hands_high;	/* lines that something outside drives, and how */
	u64 touches[LINES];	/* the contacts that are closed, both ways */
	u64 levels;
	u64 watched;
	u64 unmasked, rising, falling;
} header;

/* All lines that are connected to this one. */
static u64 net_of(int line)
{
	u64 net = BIT_ULL(line), before = 0;
	int other;

	while (net != before) {
		before = net;
		for (other = 0; other < LINES; other++)
			if (net & BIT_ULL(other))
				net |= header.touches[other];
	}
	return net;
}

static bool level_of(u64 net)
{
	u64 high = (header.outputs & header.values) | (header.hands & header.hands_high);
	u64 low = (header.outputs & ~header.values) | (header.hands & ~header.hands_high);

	if (net & low)
		return false;
	if (net & high)
		return true;
	return net & header.up;
}

/* Something has changed: new levels, and the edges they make. */
static void settle(void)
{
	u64 before, changed, fired;
	unsigned long flags;
	int line;

	raw_spin_lock_irqsave(&header.lock, flags);
	before = header.levels;
	for (line = 0; line < LINES; line++) {
		if (level_of(net_of(line)))
			header.levels |= BIT_ULL(line);
		else
			header.levels &= ~BIT_ULL(line);
	}
	changed = before ^ header.levels;
	fired = changed & header.unmasked;
	fired &= (header.levels & header.rising) | (~header.levels & header.falling);
	raw_spin_unlock(&header.lock);
	for (line = 0; line < LINES; line++) {
		if (changed & header.watched & BIT_ULL(line))
			pr_notice("header: BCM %d is %s at %lld ms\n", line,
				  header.levels & BIT_ULL(line) ? "high" : "low", ktime_to_ms(ktime_get()));
		if (fired & BIT_ULL(line))
			generic_handle_irq(irq_find_mapping(header.chip.irq.domain, line));
	}
	local_irq_restore(flags);
}

static void change(u64 *bits, unsigned int line, bool on)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&header.lock, flags);
	if (on)
		*bits |= BIT_ULL(line);
	else
		*bits &= ~BIT_ULL(line);
	raw_spin_unlock_irqrestore(&header.lock, flags);
}

static int get_direction(struct gpio_chip *chip, unsigned int line)
{
	return header.outputs & BIT_ULL(line) ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

static int direction_input(struct gpio_chip *chip, unsigned int line)
{
	change(&header.outputs, line, false);
	settle();
	return 0;
}

static void set(struct gpio_chip *chip, unsigned int line, int value)
{
	change(&header.values, line, value);
	settle();
}

static int direction_output(struct gpio_chip *chip, unsigned int line, int value)
{
	change(&header.values, line, value);
	change(&header.outputs, line, true);
	settle();
	return 0;
}

static int get(struct gpio_chip *chip, unsigned int line)
{
	return !!(header.levels & BIT_ULL(line));
}

/* Open drain and debouncing are left to the kernel, as on a real Pi. */
static int set_config(struct gpio_chip *chip, unsigned int line, unsigned long config)
{
	switch (pinconf_to_config_param(config)) {
	case PIN_CONFIG_BIAS_PULL_UP:
	case PIN_CONFIG_BIAS_PULL_DOWN:
	case PIN_CONFIG_BIAS_DISABLE:
		change(&header.up, line, pinconf_to_config_param(config) == PIN_CONFIG_BIAS_PULL_UP);
		settle();
		return 0;
	default:
		return -ENOTSUPP;
	}
}

static void irq_mask_line(struct irq_data *data)
{
	change(&header.unmasked, irqd_to_hwirq(data), false);
	gpiochip_disable_irq(&header.chip, irqd_to_hwirq(data));
}

static void irq_unmask_line(struct irq_data *data)
{
	gpiochip_enable_irq(&header.chip, irqd_to_hwirq(data));
	change(&header.unmasked, irqd_to_hwirq(data), true);
}

static int irq_type_of_line(struct irq_data *data, unsigned int type)
{
	change(&header.rising, irqd_to_hwirq(data), type & IRQ_TYPE_EDGE_RISING);
	change(&header.falling, irqd_to_hwirq(data), type & IRQ_TYPE_EDGE_FALLING);
	return type & IRQ_TYPE_LEVEL_MASK ? -EINVAL : 0;
}

static const struct irq_chip header_irqs = {
	.name = "header",
	.irq_mask = irq_mask_line,
	.irq_unmask = irq_unmask_line,
	.irq_set_type = irq_type_of_line,
	.flags = IRQCHIP_IMMUTABLE,
	GPIOCHIP_IRQ_RESOURCE_HELPERS,
};

static ssize_t command(struct file *file, const char __user *user, size_t length, loff_t *offset)
{
	char text[32] = "";
	unsigned int a = 0, b = 0;
	char word[8];

	if (length >= sizeof(text) || copy_from_user(text, user, length))
		return -EINVAL;
	if (sscanf(text, "%7s %u %u", word, &a, &b) < 2 || a >= LINES || b >= LINES)
		return -EINVAL;
	if (!strcmp(word, "close") || !strcmp(word, "open")) {
		change(&header.touches[a], b, !strcmp(word, "close"));
		change(&header.touches[b], a, !strcmp(word, "close"));
	} else if (!strcmp(word, "watch")) {
		change(&header.watched, a, true);
	} else {
		change(&header.hands_high, a, !strcmp(word, "high"));
		change(&header.hands, a, strcmp(word, "free"));
	}
	settle();
	return length;
}

static const struct file_operations hands_operations = {
	.owner = THIS_MODULE,
	.write = command,
};

static struct miscdevice hands = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hands",
	.fops = &hands_operations,
};

static int probe(struct platform_device *device)
{
	struct gpio_chip *chip = &header.chip;
	int error;

	raw_spin_lock_init(&header.lock);
	chip->label = "pinctrl-bcm2835";
	chip->parent = &device->dev;
	chip->owner = THIS_MODULE;
	chip->base = -1;
	chip->ngpio = LINES;
	chip->get_direction = get_direction;
	chip->direction_input = direction_input;
	chip->direction_output = direction_output;
	chip->get = get;
	chip->set = set;
	chip->set_config = set_config;
	gpio_irq_chip_set_chip(&chip->irq, &header_irqs);
	chip->irq.handler = handle_simple_irq;
	chip->irq.default_type = IRQ_TYPE_NONE;
	error = devm_gpiochip_add_data(&device->dev, chip, NULL);
	return error ? error : misc_register(&hands);
}

static struct platform_driver driver = {
	.driver = { .name = "header" },
	.probe = probe,
};

static int __init begin(void)
{
	int error = platform_driver_register(&driver);

	if (error)
		return error;
	return PTR_ERR_OR_ZERO(platform_device_register_simple("header", -1, NULL, 0));
}
module_init(begin);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The header of a Raspberry Pi, simulated");
