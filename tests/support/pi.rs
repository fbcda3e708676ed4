//! A virtual Pi: the ARM program on Debian's own kernel under QEMU, with real device files. Every line that the panel's
//! bus moves is seen from outside; keys, sensor and relay are on a simulated header (tests/virtual-pi/header.c), which the
//! serial console moves and watches. `.ci/virtual-pi` gets its parts ready.

#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::glass::Display;
use super::modules::Module;

/// Emulated, everything takes its time.
const PATIENCE: Duration = Duration::from_secs(90);

/// The lines of QEMU's GPIO chip that the panel hangs on.
const SCK: u32 = 0;
const MOSI: u32 = 1;
const DC: u32 = 2;
const CS: u32 = 5;

const INIT: &str = r#"#!/busybox sh
/busybox mkdir -p /bin /proc /sys /dev /data /tmp
/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /lib/modules); do insmod /lib/$module $(cat /lib/$module.options 2>/dev/null); done
date -s @$(sed 's/.*epoch=\([0-9]*\).*/\1/' /proc/cmdline) >/dev/null
ifconfig lo up
ifconfig eth0 10.0.2.15 up
mount -t ext4 /dev/vda /data
stty -echo
echo "the virtual Pi is up"
while :; do sh; done
"#;

/// What is under construction for a virtual Pi: what goes into its memory at the start, and the disk that it keeps.
pub struct Parts {
    prepared: PathBuf,
    dir: PathBuf,
}

impl Parts {
    /// With the ARM program in it, and a disk with nothing on it.
    pub fn gather(dir: &Path) -> Parts {
        let from_gate = |name: &str| {
            let value = std::env::var(name);
            PathBuf::from(value.unwrap_or_else(|_| panic!("{name} must be set, as .ci/run does")))
        };
        let prepared = from_gate("VIRTUAL_PI");
        let parts = Parts {
            prepared,
            dir: dir.to_owned(),
        };
        fs::create_dir_all(parts.root().join("etc")).expect("made");
        let guest = parts.prepared.join("guest/.");
        run(Command::new("cp").arg("-r").arg(guest).arg(parts.root()));
        fs::copy(from_gate("KIOSK_ARM64"), parts.root().join("kiosk")).expect("the ARM program");
        parts.put("init", INIT, 0o755);
        // Longer than any call and any picture.
        parts.put("lib/softdog.ko.options", "soft_margin=15", 0o644);
        let disk = fs::File::create(parts.disk()).expect("a disk");
        disk.set_len(32 << 20).expect("32 MiB");
        run(Command::new("mkfs.ext4").arg("-q").arg(parts.disk()));
        parts
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// Puts a file where the kiosk finds it.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let file = self.root().join(name);
        fs::write(&file, content).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
    }

    /// Switches it on, with such a display on its bus. Its disk is as it was left.
    pub fn boot(&self, module: Module) -> VirtualPi {
        let initrd = self.dir.join("initrd");
        let pack = format!("find . | cpio --quiet -o -H newc > '{}'", initrd.display());
        run(Command::new("sh")
            .args(["-c", &pack])
            .current_dir(self.root()));
        let (qtest, qmp) = (self.dir.join("qtest"), self.dir.join("qmp"));
        let socket = |path: &Path| format!("unix:{},server=on,wait=off", path.display());
        let epoch = SystemTime::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_secs();
        let mut qemu = Command::new("qemu-system-aarch64")
            .args(
                "-M virt -cpu cortex-a53 -accel tcg -m 256 -display none -monitor none".split(' '),
            )
            .args("-serial stdio -no-reboot -qtest-log none -nic none".split(' '))
            .args("-netdev user,id=net -device virtio-net-device,netdev=net".split(' '))
            .args(["-device", "virtio-blk-device,drive=disk", "-drive"])
            .arg(format!(
                "file={},if=none,format=raw,id=disk",
                self.disk().display()
            ))
            .arg("-kernel")
            .arg(self.prepared.join("vmlinuz"))
            .arg("-dtb")
            .arg(self.prepared.join("board.dtb"))
            .arg("-initrd")
            .arg(initrd)
            .args([
                "-append",
                &format!("console=ttyAMA0 loglevel=6 panic=-1 epoch={epoch}"),
            ])
            .args(["-qtest", &socket(&qtest), "-qmp", &socket(&qmp)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("qemu-system-aarch64");
        let console = Console::default();
        let keys = qemu.stdin.take().expect("piped");
        console.listen(qemu.stdout.take().expect("piped"));
        let bus = Bus::default();
        let display = Arc::new(Mutex::new(Display::new(module)));
        let chip = gpio_chip(connect(&qmp));
        bus.watch(connect(&qtest), &chip, Arc::clone(&display));
        let mut pi = VirtualPi {
            qemu,
            keys,
            console,
            display,
        };
        pi.says("the virtual Pi is up");
        pi
    }
}

/// A virtual Pi that is switched on, until it is dropped.
pub struct VirtualPi {
    qemu: Child,
    keys: ChildStdin,
    console: Console,
    /// What its panel's bus leads to.
    pub display: Arc<Mutex<Display>>,
}

impl VirtualPi {
    /// Types a line on its console.
    pub fn types(&mut self, line: &str) {
        writeln!(self.keys, "{line}").expect("it reads");
    }

    /// Runs a command on its console to the end; its exit status.
    pub fn runs(&mut self, command: &str) -> u32 {
        self.console.forget();
        self.types(&format!("{command}; echo \"ended with $?.\""));
        let told = self.says("ended with ");
        let status = told
            .split("ended with ")
            .nth(1)
            .and_then(|rest| rest.split('.').next());
        status
            .and_then(|status| status.parse().ok())
            .expect("an exit status")
    }

    /// Waits until the console tells this; everything that it has told since it was last forgotten.
    pub fn says(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.console.told();
            // The whole line: what follows the words counts.
            if told.find(text).is_some_and(|at| told[at..].contains('\n')) {
                return told;
            }
            let is_over = self.qemu.try_wait().expect("asked").is_some();
            assert!(
                !is_over && Instant::now() < deadline,
                "{text}: never said, but\n{}",
                self.console.everything()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything that the console has told since it was last forgotten.
    pub fn told(&self) -> String {
        self.console.told()
    }

    /// What is told from now on counts.
    pub fn forget(&self) {
        self.console.forget();
    }

    /// Asks for something until there is an answer.
    pub fn eventually<T>(&self, what: &str, mut ask: impl FnMut(&VirtualPi) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "never: {what}; it told\n{}",
                self.told()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The power goes: nothing is flushed, nobody says goodbye.
    pub fn loses_power(mut self) {
        self.qemu.kill().expect("killed");
        self.qemu.wait().expect("waited for");
    }

    /// Waits until it switches itself off and on again; it is not let on.
    pub fn resets(mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.qemu.try_wait().expect("asked").is_none() {
            assert!(
                Instant::now() < deadline,
                "it goes on as if nothing had happened"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for VirtualPi {
    fn drop(&mut self) {
        // It may be off already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// What the serial console has told.
#[derive(Clone, Default)]
struct Console(Arc<Mutex<(String, usize)>>);

impl Console {
    fn listen(&self, mut serial: impl Read + Send + 'static) {
        let console = self.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = serial.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).replace('\r', "");
                console.0.lock().expect("whole").0.push_str(&text);
            }
        });
    }

    fn everything(&self) -> String {
        self.0.lock().expect("whole").0.clone()
    }

    fn told(&self) -> String {
        let console = self.0.lock().expect("whole");
        console.0[console.1..].to_owned()
    }

    fn forget(&self) {
        let mut console = self.0.lock().expect("whole");
        console.1 = console.0.len();
    }
}

/// The panel's bus, as its lines move.
#[derive(Default)]
struct Bus {
    levels: [bool; 8],
    bits: u32,
    byte: u8,
}

impl Bus {
    /// Reads every change of the chip's lines, and gives each byte to the display.
    fn watch(mut self, mut qtest: UnixStream, chip: &str, display: Arc<Mutex<Display>>) {
        writeln!(qtest, "irq_intercept_out {chip}").expect("it listens");
        thread::spawn(move || {
            for line in BufReader::new(qtest).lines().map_while(Result::ok) {
                let mut words = line.split(' ');
                let (Some("IRQ"), Some(level), Some(number)) =
                    (words.next(), words.next(), words.next())
                else {
                    continue;
                };
                let number = number.parse().expect("a line of the chip");
                if let Some((data, byte)) = self.moves(number, level == "raise") {
                    let mut display = display.lock().expect("whole");
                    display.data = data;
                    display.byte(byte);
                    display.bytes += 1;
                }
            }
        });
    }

    /// A byte that is complete, and whether it is data.
    fn moves(&mut self, line: u32, level: bool) -> Option<(bool, u8)> {
        self.levels[line as usize] = level;
        match (line, level) {
            (CS, _) => self.bits = 0,
            (SCK, true) => {
                self.byte = self.byte << 1 | u8::from(self.levels[MOSI as usize]);
                self.bits += 1;
            }
            _ => return None,
        }
        if self.bits < 8 {
            return None;
        }
        self.bits = 0;
        Some((self.levels[DC as usize], self.byte))
    }
}

/// Asks QEMU where in its machine the GPIO chip is.
fn gpio_chip(qmp: UnixStream) -> String {
    let mut answers = BufReader::new(qmp.try_clone().expect("a socket")).lines();
    let mut qmp = qmp;
    let mut ask = |question: &str| -> Value {
        writeln!(qmp, "{question}").expect("it listens");
        loop {
            let line = answers.next().expect("an answer").expect("text");
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            if answer.get("return").is_some() {
                return answer["return"].clone();
            }
        }
    };
    ask(r#"{"execute":"qmp_capabilities"}"#);
    let parts = ask(r#"{"execute":"qom-list","arguments":{"path":"/machine/unattached"}}"#);
    let is_chip = |part: &&Value| part["type"] == "child<pl061>";
    let chip = parts
        .as_array()
        .expect("a list")
        .iter()
        .find(is_chip)
        .expect("a PL061");
    format!(
        "/machine/unattached/{}",
        chip["name"].as_str().expect("a name")
    )
}

fn connect(socket: &Path) -> UnixStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "{}: {error}", socket.display()),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
