//! A drop sensor: a light barrier in the chute, whose line changes when goods fall through it.

use core::time::Duration;
use std::io;

use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind};

use crate::kiosk::board::gpio::{self, GpioChip};

/// Shorter changes are the relay's own noise on the wire, not goods.
const NOISE: Duration = Duration::from_millis(1);

/// A drop sensor, as the board file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SensorLine {
    /// Its line, by BCM number.
    pub pin: u32,
    /// Whether the line is low while goods pass.
    pub active_low: bool,
    /// How long after the last pulse goods may still fall.
    pub grace: Duration,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

/// What counts the goods that fall.
pub trait DropSensor {
    /// How many have fallen since the last time.
    fn drops(&mut self) -> io::Result<u32>;
}

impl SensorLine {
    /// Takes the line.
    pub fn open(&self) -> io::Result<GpioSensor> {
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer(gpio::CONSUMER)
            .with_line(self.pin)
            .as_input()
            .with_edge_detection(EdgeDetection::BothEdges)
            .with_debounce_period(NOISE)
            // The sensor's transistor pulls one way; the Pi's own resistor the other.
            .with_bias(if self.active_low {
                Bias::PullUp
            } else {
                Bias::PullDown
            });
        if self.active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| chip.refused("drop-sensor", &[self.pin], error))?;
        Ok(GpioSensor(request))
    }
}

/// A drop sensor on its line. The kernel keeps its edges, so a busy loop misses none.
#[derive(Debug)]
pub struct GpioSensor(Request);

impl DropSensor for GpioSensor {
    fn drops(&mut self) -> io::Result<u32> {
        let mut drops = 0;
        while self.0.has_edge_event().map_err(io::Error::other)? {
            let edge = self.0.read_edge_event().map_err(io::Error::other)?;
            // Edges are logical: rising is the beginning of a drop, whichever level that is.
            drops += u32::from(edge.kind == EdgeKind::Rising);
        }
        Ok(drops)
    }
}
