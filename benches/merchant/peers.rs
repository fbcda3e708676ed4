//! Servers as they are usually written, measured beside ours where this machine has what they need: each takes in a payment,
//! verifies it, and has it on the disk before it answers.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::shop::{Program, SIGN_KEY};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/merchant");

/// Go on SQLite, with these words before its command; or why it cannot be compared.
pub fn go_on_sqlite(dir: &Path, words: &[String]) -> Result<Program, String> {
    let program = build_go(dir, "plain_sqlite.go", "golang-github-mattn-go-sqlite3-dev")?;
    Ok(serve(&program, words, &new_file(dir)))
}

/// Go on the PostgreSQL with this socket.
pub fn go_on_postgres(dir: &Path, socket: &Path) -> Result<Program, String> {
    let program = build_go(dir, "plain_postgres.go", "golang-github-jackc-pgx-v4-dev")?;
    let database = format!(
        "host={} port=5432 user=merchant dbname=postgres sslmode=disable",
        socket.display()
    );
    Ok(serve(&program, &[], &database))
}

/// Starlette on SQLite; `PYTHON` names a Python that has it, if `python3` does not.
pub fn starlette(dir: &Path, words: &[String]) -> Result<Program, String> {
    let python = env::var("PYTHON").unwrap_or("python3".to_owned());
    let mut imports = Command::new(&python);
    imports.args(["-c", "import starlette, uvicorn"]);
    let imports = imports.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !imports.is_ok_and(|status| status.success()) {
        return Err(format!("{python} has no starlette or no uvicorn"));
    }
    let words = [words, &[python]].concat();
    Ok(serve(
        &format!("{SOURCES}/plain.py"),
        &words,
        &new_file(dir),
    ))
}

fn serve(program: &str, words: &[String], database: &str) -> Program {
    let mut all = words.iter().map(String::as_str).chain([program]);
    let mut command = Command::new(all.next().expect("at least the program"));
    Program::serve(command.args(all).args([database, SIGN_KEY]))
}

/// Where a database can begin.
fn new_file(dir: &Path) -> String {
    let database = dir.join("plain.db").display().to_string();
    for rest in ["", "-wal", "-shm"] {
        // There may be none.
        let _ = fs::remove_file(format!("{database}{rest}"));
    }
    database
}

fn build_go(dir: &Path, driver: &str, package: &str) -> Result<String, String> {
    let program = dir.join(driver).with_extension("");
    if !program.exists() {
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .args([format!("{SOURCES}/plain.go"), format!("{SOURCES}/{driver}")])
            // Debian's packages.
            .envs([
                ("GO111MODULE", "off"),
                ("GOPATH", "/usr/share/gocode"),
                ("GOFLAGS", ""),
            ])
            .env("GOCACHE", dir.join("cache"))
            .stderr(Stdio::null())
            .status();
        match built {
            Ok(status) if status.success() => {}
            Ok(_) => return Err(format!("Go does not build it: is {package} there?")),
            Err(_) => return Err("Go is not there".to_owned()),
        }
    }
    Ok(program.display().to_string())
}
