//! Display modules that one can buy, as other people's drivers describe them: what must be sent so that a picture stands
//! upright on them.
//!
//! Written from these drivers, never from `src/`. Where both are wrong in the same way nothing else would notice; so a
//! value in here changes only with its source.

#![cfg(feature = "kiosk")]
#![allow(dead_code, reason = "each test file uses its part of it")]

/// MADCTL, as all these controllers have it (MIPI DCS, set_address_mode; the bit names are the data sheets').
const MY: u8 = 0x80;
const MX: u8 = 0x40;
const MV: u8 = 0x20;
const BGR: u8 = 0x08;

/// A module.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// What it is, and who makes it.
    pub name: &'static str,
    /// Where the values were read.
    pub sources: &'static [&'static str],
    /// The controller's memory: columns and rows.
    pub memory: (usize, usize),
    /// The glass, upright: columns and rows.
    pub size: (usize, usize),
    /// MADCTL for a picture turned by 0, 90, 180 and 270 degrees clockwise.
    pub address_modes: [u8; 4],
    /// The first column and row that are glass, counted as MADCTL says.
    pub starts: [(usize, usize); 4],
    /// Whether colours are right after INVON, not after INVOFF.
    pub inverted: bool,
    /// The second parameter of Display Function Control (B6h) with which the directions above hold, where the controller
    /// has that command: bit 5, SS, reverses the columns of the glass, bit 6, GS, its rows. So it is after a reset.
    pub scan: Option<u8>,
    /// Whether shift registers make 16 parallel lines of the serial ones.
    pub shift_registers: bool,
    /// Whether its chip select can be reached; otherwise it is low for ever.
    pub has_chip_select: bool,
}

/// The 2.8" ILI9341 of Adafruit's breakouts (YX240QV29), and the many red ones with the same glass.
pub const ILI9341: Module = Module {
    name: "Adafruit 2.8\" TFT, glass YX240QV29, ILI9341",
    sources: &[
        // 0: MX; 90: MV; 180: MY; 270: MV | MY | MX; all | BGR. DISCTRL 08 82 27 00.
        "Linux, drivers/gpu/drm/tiny/ili9341.c, yx240qv29_enable",
        "TFT_eSPI, TFT_Drivers/ILI9341_Rotation.h, cases 0 to 3",
        "Adafruit_ILI9341.cpp, setRotation; initcmd: DFUNCTR 08 82 27",
    ],
    memory: (240, 320),
    size: (240, 320),
    address_modes: [MX | BGR, MV | BGR, MY | BGR, MX | MY | MV | BGR],
    starts: [(0, 0); 4],
    inverted: false,
    scan: Some(0x82),
    shift_registers: false,
    has_chip_select: true,
};

/// Another maker's glass on the same controller. The kernel counts its rotation from the landscape: 0: MV | MY | MX;
/// 90: MY; 180: MV; 270: MX.
pub const MI0283QT: Module = Module {
    name: "Multi-Inno MI0283QT, ILI9341",
    sources: &[
        "Linux, drivers/gpu/drm/tiny/mi0283qt.c, mi0283qt_enable; DISCTRL 0a 82 27 00",
        "Linux, drivers/staging/fbtft/fb_ili9341.c, set_var (turns counterclockwise)",
    ],
    ..ILI9341
};

/// The 3.5" HATs: a shift register and a counter before an ILI9486. Drivers that are right on them leave B6h as it is after a
/// reset, 02 22 3b; one that writes SS = 0 there (fbcp-ili9341, ili9486.cpp: 00 02 3b) sends no MX with it.
pub const RPI_LCD_35: Module = Module {
    name: "Waveshare 3.5inch RPi LCD (A), Ozzmaker PiScreen, ILI9486",
    sources: &[
        // Counted from the landscape: 0: MV | MY | MX; 90: MY; 180: MV; 270: MX; all | BGR.
        "Linux, drivers/gpu/drm/tiny/ili9486.c, waveshare_enable, waveshare_command",
        // Counterclockwise: 0: 80; 90: 20; 180: 40; 270: e0.
        "Linux, drivers/staging/fbtft/fb_ili9486.c, set_var",
        "TFT_eSPI, TFT_Drivers/RPI_ILI9486_Rotation.h, cases 0 to 3: 48, 28, 88, e8",
        "ZinggJM/ILI9486_SPI, setRotation",
        "fbcp-ili9341, ili9486.cpp: B6h 00 02 3b with MADCTL 08",
    ],
    memory: (320, 480),
    size: (320, 480),
    address_modes: [MX | BGR, MV | BGR, MY | BGR, MX | MY | MV | BGR],
    starts: [(0, 0); 4],
    inverted: false,
    scan: Some(0x22),
    shift_registers: true,
    has_chip_select: true,
};

/// The same controller on its own serial lines.
pub const ILI9486_SERIAL: Module = Module {
    name: "3.5\" SPI module, ILI9486",
    sources: &[
        "Linux, drivers/staging/fbtft/fb_ili9486.c, set_var",
        "ZinggJM/ILI9486_SPI, setRotation, without setSpiKludge",
    ],
    shift_registers: false,
    ..RPI_LCD_35
};

/// The 4.0" and 3.5" modules with an ST7796S.
pub const ST7796S: Module = Module {
    name: "Adafruit 3.5\" TFT, MSP4021 and others, ST7796S",
    sources: &[
        "TFT_eSPI, TFT_Drivers/ST7796_Rotation.h, cases 0 to 3; ST7796_Init.h: MADCTL 48, DFC 20 02 3b",
        "Adafruit_ST7796S.cpp, setRotation; st7796s_init: MADCTL 48, DFC 80 02 3b",
    ],
    memory: (320, 480),
    size: (320, 480),
    address_modes: [MX | BGR, MV | BGR, MY | BGR, MX | MY | MV | BGR],
    starts: [(0, 0); 4],
    inverted: false,
    scan: Some(0x02),
    shift_registers: false,
    has_chip_select: true,
};

/// The 2.0" IPS modules.
pub const ST7789_20: Module = Module {
    name: "Adafruit 2.0\" 320 × 240 IPS, Waveshare 2inch LCD, ST7789V",
    sources: &[
        // Counterclockwise: 0: 0; 90: MV | MY; 180: MX | MY; 270: MV | MX.
        "Linux, drivers/staging/fbtft/fb_st7789v.c, set_var",
        "TFT_eSPI, TFT_Drivers/ST7789_Rotation.h, cases 0 to 3",
        // From its other end: 0: MX | MY; 1: MY | MV; 2: 0; 3: MX | MV. INVON.
        "Adafruit_ST7789.cpp, setRotation, generic_st7789",
    ],
    memory: (240, 320),
    size: (240, 320),
    address_modes: [0, MX | MV, MX | MY, MV | MY],
    starts: [(0, 0); 4],
    inverted: true,
    scan: None,
    shift_registers: false,
    has_chip_select: true,
};

/// The 1.3" and 1.54" ones: 240 of the controller's 320 rows are glass.
pub const ST7789_13: Module = Module {
    name: "Adafruit 1.3\" and 1.54\" 240 × 240 IPS, ST7789",
    sources: &[
        // _rowstart = 80, _rowstart2 = 0. Rotation 2: (0, 0); 3: (0, 0); 0: (0, 80); 1: (80, 0).
        "Adafruit_ST7789.cpp, init, setRotation",
        "TFT_eSPI, TFT_Drivers/ST7789_Rotation.h, CGRAM_OFFSET: rowstart 80 in case 2, colstart 80 in case 3",
    ],
    size: (240, 240),
    starts: [(0, 0), (0, 0), (0, 80), (80, 0)],
    ..ST7789_20
};

/// The cheap 1.3" ones with seven pins.
pub const ST7789_13_WITHOUT_CS: Module = Module {
    name: "1.3\" 240 × 240 IPS with GND VCC SCL SDA RES DC BLK, ST7789",
    sources: &[
        "Bodmer/TFT_eSPI, issue 163 and pull request 182: SPI mode 3 where chip select is not used",
        "juj/fbcp-ili9341, issues 110 and 149: mode 3",
    ],
    has_chip_select: false,
    ..ST7789_13
};

/// The 1.8" ones whose protective film has a green tab: the glass lies two columns and a row inside the memory.
pub const ST7735_GREEN_TAB: Module = Module {
    name: "1.8\" TFT, green tab (Adafruit 358 and many others), ST7735S",
    sources: &[
        // C8, A8, 08, 68; colstart = 2, rowstart = 1.
        "Adafruit_ST7735.cpp, initR(INITR_GREENTAB), setRotation",
        "TFT_eSPI, TFT_Drivers/ST7735_Rotation.h and ST7735_Init.h, INITR_GREENTAB",
        // bgr = true; columns + 2, rows + 1.
        "Linux before 5.4, drivers/staging/fbtft/fbtft_device.c, adafruit18_green; fb_st7735r.c, set_var",
    ],
    memory: (132, 162),
    size: (128, 160),
    address_modes: [MX | MY | BGR, MY | MV | BGR, BGR, MX | MV | BGR],
    starts: [(2, 1), (1, 2), (2, 1), (1, 2)],
    inverted: false,
    scan: None,
    shift_registers: false,
    has_chip_select: true,
};

/// Those with a black tab: the memory is as large as the glass.
pub const ST7735_BLACK_TAB: Module = Module {
    name: "Adafruit 1.8\" TFT, black tab, glass JD-T18003-T01, ST7735R",
    sources: &[
        // 0: MX | MY; 90: MX | MV; 180: 0; 270: MY | MV (counterclockwise); no offset.
        "Linux, drivers/gpu/drm/tiny/st7735r.c, st7735r_pipe_enable, jd_t18003_t01_cfg",
        "Adafruit_ST7735.cpp, initR(INITR_BLACKTAB), setRotation: C0, A0, 00, 60",
    ],
    memory: (128, 160),
    address_modes: [MX | MY, MY | MV, 0, MX | MV],
    starts: [(0, 0); 4],
    ..ST7735_GREEN_TAB
};

/// All of them.
pub const MODULES: [Module; 10] = [
    ILI9341,
    MI0283QT,
    RPI_LCD_35,
    ILI9486_SERIAL,
    ST7796S,
    ST7789_20,
    ST7789_13,
    ST7789_13_WITHOUT_CS,
    ST7735_GREEN_TAB,
    ST7735_BLACK_TAB,
];
