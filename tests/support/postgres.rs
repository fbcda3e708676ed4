//! A PostgreSQL of a test's own: in a directory that is gone afterwards, on a socket in it, without durable disks.
#![cfg(all(feature = "kiosk", feature = "server", feature = "sim"))]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running cluster.
pub struct Cluster {
    dir: TempDir,
    settings: Vec<String>,
    server: Child,
    port: u16,
}

/// A cluster that does not run yet.
struct Begun(TempDir);

impl Begun {
    fn run(self, settings: &[&str], port: u16) -> Cluster {
        let settings: Vec<String> = settings.iter().map(|&set| set.to_owned()).collect();
        let server = serve(self.0.path(), &settings);
        let cluster = Cluster {
            dir: self.0,
            settings,
            server,
            port,
        };
        cluster.answers();
        cluster
    }
}

impl Cluster {
    /// Begins one and starts it, with these settings beside (`name=value`).
    pub fn start(settings: &[&str]) -> Cluster {
        Cluster::begin().run(settings, 5432)
    }

    /// The same on this port of 127.0.0.1, where it speaks TLS with this certificate and key, both PEM.
    pub fn start_with_tls(certificate: &str, key: &str, port: u16) -> Cluster {
        let begun = Cluster::begin();
        let data = begun.0.path().join("data");
        let owner = fs::metadata(&data).expect("it was begun").uid();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let file = data.join(name);
            fs::write(&file, text).expect("written");
            chown(&file, Some(owner), None).expect("given away");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        }
        let at = format!("port={port}");
        begun.run(&["ssl=on", "listen_addresses=127.0.0.1", &at], port)
    }

    fn begin() -> Begun {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("set");
        let data = dir.path().join("data");
        let begun = as_somebody("initdb")
            .args(["--auth=trust", "--username=merchant", "--encoding=UTF8"])
            .args(["--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb runs");
        assert!(begun.success(), "the cluster is begun");
        Begun(dir)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        let socket = self.dir.path().display().to_string();
        format!(
            "postgres://merchant@{}:{}/postgres",
            socket.replace('/', "%2F"),
            self.port
        )
    }

    /// The directory of its socket.
    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until it answers.
    pub fn answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while postgres::Client::connect(&self.url(), postgres::NoTls).is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// SIGKILL to every process of it, in the middle of whatever they do.
    pub fn kill(&mut self) {
        let id = self.server.id();
        let children = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let all = children.split_whitespace().map(str::to_owned);
        let all: Vec<String> = all.chain([id.to_string()]).collect();
        let mut kill = Command::new("kill");
        let _ = kill.arg("-KILL").args(all).stderr(Stdio::null()).status();
        let _ = self.server.wait();
    }

    /// Starts it again; it recovers.
    pub fn restart(&mut self) {
        self.server = serve(self.dir.path(), &self.settings);
        self.answers();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(dir: &Path, settings: &[String]) -> Child {
    let mut server = as_somebody("postgres");
    server
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(dir)
        .args(["-c", "listen_addresses="]);
    for setting in settings {
        server.args(["-c", setting]);
    }
    let quiet = server.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().expect("it starts")
}

/// A program of PostgreSQL's, which refuses to run as root.
fn as_somebody(program: &str) -> Command {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let versions = versions.map(|version| version.expect("an entry").path());
    let newest: PathBuf = versions.max().expect("a version");
    let program = newest.join("bin").join(program);
    let owner = fs::metadata("/proc/self").expect("us");
    if owner.uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program)
        .current_dir("/");
    command
}
